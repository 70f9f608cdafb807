//! The standard's catalogs. As in PostgreSQL materialized views are not in them: the standard has none.

use millrace_engine::{DataType, Limit};
use millrace_sql::{
    Catalog, Column, DATABASE, Generated, OWNER, Relation, RelationKind, Schema, SearchPath, Sequence,
    is_temporary,
};

use super::cells::{Cell, Table, row};
use super::classes::type_and_modifier;
use super::constraints::{all_checks, all_indexes, query_of};
use super::fixed::{element_of, type_of};
use super::names::takes_rows;

fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

/// The relations that the standard knows: tables and plain views.
fn known(catalog: &Catalog) -> impl Iterator<Item = &Relation> {
    catalog.relations().map(AsRef::as_ref).filter(|relation| match &relation.kind {
        RelationKind::Table { .. } | RelationKind::View { .. } => true,
        RelationKind::MaterializedView { .. } | RelationKind::Index { .. } | RelationKind::Sequence(_) => {
            false
        }
    })
}

/// `tables`
pub(super) fn tables(catalog: &Catalog) -> Table {
    let rows = known(catalog).map(|relation| {
        let kind = match (takes_rows(relation), is_temporary(catalog, relation)) {
            (true, true) => "LOCAL TEMPORARY",
            (true, false) => "BASE TABLE",
            (false, _) => "VIEW",
        };
        row![catalog.schema_of(relation), relation.name.as_str(), kind, yes_or_no(takes_rows(relation))]
    });
    Table::new(&["table_schema", "table_name", "table_type", "is_insertable_into"], rows.collect())
        .with(&["table_catalog"], DATABASE)
        .with(&["is_typed"], "NO")
}

/// `views`
pub(super) fn views(catalog: &Catalog) -> Table {
    let rows = known(catalog).filter_map(|view| {
        Some(row![catalog.schema_of(view), view.name.as_str(), format!("{};", query_of(view)?)])
    });
    Table::new(&["table_schema", "table_name", "view_definition"], rows.collect())
        .with(&["table_catalog"], DATABASE)
        .with(&["check_option"], "NONE")
        .with(&["is_updatable", "is_insertable_into"], "NO")
        .with(&["is_trigger_updatable", "is_trigger_deletable", "is_trigger_insertable_into"], "NO")
}

/// Precision, its radix and scale of a number.
fn numeric_parts(data_type: DataType, modifier: i64) -> [Option<i64>; 3] {
    match data_type {
        DataType::Int16 => [Some(16), Some(2), Some(0)],
        DataType::Int32 => [Some(32), Some(2), Some(0)],
        DataType::Int64 => [Some(64), Some(2), Some(0)],
        DataType::Float32 => [Some(24), Some(2), None],
        DataType::Float64 => [Some(53), Some(2), None],
        DataType::Numeric { precision, scale } if modifier >= 0 => {
            [Some(i64::from(precision)), Some(10), Some(i64::from(scale))]
        }
        DataType::Limited(Limit::Numeric { precision, scale }) => {
            [Some(precision.into()), Some(10), Some(scale.into())]
        }
        DataType::Numeric { .. } | DataType::Decimal => [None, Some(10), None],
        DataType::Boolean
        | DataType::Text
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Date
        | DataType::Interval
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Time
        | DataType::Char
        | DataType::Limited(_) => [None; 3],
    }
}

fn column(
    catalog: &Catalog,
    path: &SearchPath,
    relation: &Relation,
    at: usize,
    column: &Column,
) -> Vec<Cell> {
    let default = catalog.default_text(relation, at, path);
    let identity = Identity::of(catalog, relation, at);
    let (oid, modifier) = type_and_modifier(column.data_type);
    let (known, element) = (type_of(oid), element_of(oid));
    let [precision, radix, scale] = numeric_parts(column.data_type, modifier);
    let of_time = match column.data_type {
        DataType::Timestamp | DataType::TimestampTz | DataType::Interval | DataType::Time => Some(6),
        DataType::Limited(Limit::Timestamp(digits) | Limit::TimestampTz(digits) | Limit::Time(digits)) => {
            Some(digits.into())
        }
        DataType::Date => Some(0),
        DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Text
        | DataType::Numeric { .. }
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Char
        | DataType::Decimal
        | DataType::Limited(Limit::Varchar(_) | Limit::Char(_) | Limit::Numeric { .. }) => None,
    };
    let characters = match column.data_type {
        DataType::Limited(Limit::Varchar(length)) => length.map(i64::from),
        DataType::Limited(Limit::Char(length)) => Some(i64::from(length)),
        _ => None,
    };
    let is_text = matches!(column.data_type.base(), DataType::Text | DataType::Char);
    row![
        catalog.schema_of(relation),
        relation.name.as_str(),
        column.name.as_str(),
        relation.number(at) + 1,
        default,
        yes_or_no(column.nullable),
        element.map_or_else(|| known.map(|known| known.long_name), |_| Some("ARRAY")),
        characters,
        // A character has four bytes at most.
        is_text.then(|| characters.map_or(1 << 30, |length| 4 * length)),
        precision,
        radix,
        scale,
        of_time,
        known.map(|known| known.name.to_owned()).or(element.map(|element| format!("_{}", element.name))),
        (relation.number(at) + 1).to_string(),
        yes_or_no(takes_rows(relation)),
        yes_or_no(identity.is_some()),
        identity.as_ref().map(|identity| identity.generation),
        identity.as_ref().map(|identity| identity.sequence.start.to_string()),
        identity.as_ref().map(|identity| identity.sequence.increment.to_string()),
        identity.as_ref().map(|identity| identity.sequence.max.to_string()),
        identity.as_ref().map(|identity| identity.sequence.min.to_string()),
        yes_or_no(identity.is_some_and(|identity| identity.sequence.cycles)),
    ]
}

/// What an identity column is.
struct Identity<'c> {
    generation: &'static str,
    sequence: &'c Sequence,
}

impl<'c> Identity<'c> {
    fn of(catalog: &'c Catalog, relation: &Relation, at: usize) -> Option<Identity<'c>> {
        let drawn = relation.rules()?.drawn_of(at)?;
        let generation = match drawn.generated {
            Generated::Always => "ALWAYS",
            Generated::ByDefault => "BY DEFAULT",
            Generated::Default => return None,
        };
        Some(Identity { generation, sequence: catalog.sequence(drawn.sequence)? })
    }
}

/// `columns`
pub(super) fn columns(catalog: &Catalog, path: &SearchPath) -> Table {
    let of = |relation| move |(at, own)| column(catalog, path, relation, at, own);
    let rows = known(catalog).flat_map(|relation| relation.visible().map(of(relation)));
    let names = &[
        "table_schema",
        "table_name",
        "column_name",
        "ordinal_position",
        "column_default",
        "is_nullable",
        "data_type",
        "character_maximum_length",
        "character_octet_length",
        "numeric_precision",
        "numeric_precision_radix",
        "numeric_scale",
        "datetime_precision",
        "udt_name",
        "dtd_identifier",
        "is_updatable",
        "is_identity",
        "identity_generation",
        "identity_start",
        "identity_increment",
        "identity_maximum",
        "identity_minimum",
        "identity_cycle",
    ];
    Table::new(names, rows.collect())
        .with(&["table_catalog", "udt_catalog"], DATABASE)
        .with(&["udt_schema"], Schema::PgCatalog.name())
        .with(&["is_self_referencing"], "NO")
        .with(&["is_generated"], "NEVER")
}

/// `schemata`
pub(super) fn schemata(catalog: &Catalog) -> Table {
    let own = catalog.schemas().map(|schema| row![schema.name.as_str()]);
    let system = Schema::ALL.iter().map(|schema| row![schema.name()]);
    Table::new(&["schema_name"], own.chain(system).collect())
        .with(&["catalog_name"], DATABASE)
        .with(&["schema_owner"], OWNER)
}

/// `table_constraints`
pub(super) fn table_constraints(catalog: &Catalog) -> Table {
    let keys = all_indexes(catalog).filter_map(|index| {
        let kind = if index.constraint()? == "p" { "PRIMARY KEY" } else { "UNIQUE" };
        let nulls_distinct = (kind == "UNIQUE").then_some("YES");
        let (schema, name) = (catalog.schema_of(index.on), index.relation.name.as_str());
        Some(row![schema, name, schema, index.on.name.as_str(), kind, nulls_distinct])
    });
    let checks = all_checks(catalog).map(|(table, _, name, _)| {
        let schema = catalog.schema_of(table);
        row![schema, name, schema, table.name.as_str(), "CHECK", Option::<&str>::None]
    });
    let names = &[
        "constraint_schema",
        "constraint_name",
        "table_schema",
        "table_name",
        "constraint_type",
        "nulls_distinct",
    ];
    Table::new(names, keys.chain(checks).collect())
        .with(&["constraint_catalog", "table_catalog"], DATABASE)
        .with(&["is_deferrable", "initially_deferred"], "NO")
        .with(&["enforced"], "YES")
}

/// `key_column_usage`
pub(super) fn key_column_usage(catalog: &Catalog) -> Table {
    let rows = all_indexes(catalog).filter(|index| index.constraint().is_some()).flat_map(|index| {
        let columns = index.columns().into_iter().enumerate();
        let row = |(at, number): (usize, usize)| {
            let column = index.on.columns.get(*index.on.places().get(number.checked_sub(1)?)?)?;
            let (schema, name) = (catalog.schema_of(index.on), index.relation.name.as_str());
            Some(row![schema, name, schema, index.on.name.as_str(), column.name.as_str(), at + 1])
        };
        columns.filter_map(row).collect::<Vec<_>>()
    });
    let names = &[
        "constraint_schema",
        "constraint_name",
        "table_schema",
        "table_name",
        "column_name",
        "ordinal_position",
    ];
    Table::new(names, rows.collect()).with(&["constraint_catalog", "table_catalog"], DATABASE)
}
