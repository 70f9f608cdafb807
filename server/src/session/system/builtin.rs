//! `pg_proc`, `pg_operator`, `pg_cast` and `pg_language`, and `millrace.signatures`: what is built in.

use millrace_engine::DataType;
use millrace_sql::{Builtins, Schema, SystemRelation};

use super::cells::{Cell, Table, row};
use super::fixed::OWNER_OID;

/// PostgreSQL's oid of the language of what is built in.
const INTERNAL: i64 = 12;

/// The rows of a relation of what is built in, by the columns that are told of each.
fn told(relation: SystemRelation) -> Table {
    let Builtins { columns, rows } = Builtins::of(relation);
    let types: Vec<Option<DataType>> = columns
        .iter()
        .map(|name| relation.columns().iter().find(|column| column.name == *name).map(|own| own.data_type))
        .collect();
    let cells = |row: Vec<Option<&str>>| {
        let cell = |(value, data_type): (Option<&str>, &DataType)| cell(value, *data_type);
        row.into_iter().zip(types.iter().flatten()).map(cell).collect()
    };
    // Columns that are not the relation's stand behind its own.
    let own: Vec<&'static str> =
        columns.iter().zip(&types).filter(|(_, found)| found.is_some()).map(|(name, _)| *name).collect();
    Table::new(&own, rows.into_iter().map(cells).collect())
}

fn cell(value: Option<&str>, data_type: DataType) -> Cell {
    match (value, data_type) {
        (None, _) => Cell::Null,
        (Some(value), DataType::Boolean) => Cell::Boolean(value == "t"),
        (Some(value), DataType::Int32 | DataType::Int64 | DataType::Float64) => {
            value.parse().map_or(Cell::Null, Cell::Number)
        }
        (Some(value), _) => Cell::from(value),
    }
}

/// `pg_proc`
pub(super) fn functions() -> Table {
    told(SystemRelation::Functions)
        .with(&["pronamespace"], Schema::PgCatalog.oid())
        .with(&["proowner"], OWNER_OID)
        .with(&["prolang"], INTERNAL)
        .with(&["prosecdef"], false)
        .with(&["prosupport"], "-")
}

/// `pg_operator`
pub(super) fn operators() -> Table {
    told(SystemRelation::Operators)
        .with(&["oprnamespace"], Schema::PgCatalog.oid())
        .with(&["oprowner"], OWNER_OID)
}

/// `pg_cast`
pub(super) fn casts() -> Table {
    told(SystemRelation::Casts)
}

/// `pg_language`
pub(super) fn languages() -> Table {
    Table::new(&["oid", "lanname"], vec![row![INTERNAL, "internal"]])
        .with(&["lanowner"], OWNER_OID)
        .with(&["lanispl", "lanpltrusted"], false)
        .with(&["lanplcallfoid", "laninline", "lanvalidator"], 0)
}

/// `millrace.signatures`
pub(super) fn signatures() -> Table {
    let known = Builtins::of(SystemRelation::Functions);
    let value =
        |row: &[Option<&'static str>], column: &str| known.place(column).and_then(|place| *row.get(place)?);
    let signature = |row: &Vec<Option<&'static str>>| {
        let oid = value(row, "oid").and_then(|oid| oid.parse::<i64>().ok());
        let arguments = value(row, "arguments");
        row![oid, arguments, arguments.map(without_defaults), value(row, "result")]
    };
    Table::new(&["oid", "arguments", "identity", "result"], known.rows.iter().map(signature).collect())
}

/// Arguments without what they are where none is given.
fn without_defaults(arguments: &str) -> String {
    let bare = |argument: &str| argument.split(" DEFAULT ").next().map(str::to_owned);
    arguments.split(", ").filter_map(bare).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_identifies_without_defaults() {
        assert_eq!(without_defaults("a jsonb, b boolean DEFAULT false, c int"), "a jsonb, b boolean, c int");
        assert_eq!(without_defaults(""), "");
    }
}
