//! A group of commits as a record of the log, and back.
//!
//! The log knows tables' changes; a change of the catalog is bytes to it. Their form is `Logged`:
//! a version, then the change.

use millrace_engine::{PlanTree, Record, TableChanges};
use millrace_sql::{CatalogChange, SqlError};
use serde::{Deserialize, Serialize};

use crate::coordinator::Group;

/// A change of the catalog as it stands in the log. Serialised: only append variants.
#[derive(Serialize, Deserialize)]
enum Logged {
    /// As written before plans shared their inputs.
    V1(CatalogChange<PlanTree>),
    V2(CatalogChange),
}

/// The group's record.
///
/// # Errors
/// XX000 where a change cannot be encoded.
pub(crate) fn encode(group: &Group) -> Result<Record, SqlError> {
    let encoded = |change: &CatalogChange| postcard::to_stdvec(&Logged::V2(change.clone()));
    let catalog: Result<Vec<Vec<u8>>, _> = group.catalog.iter().map(encoded).collect();
    let tables = group.changes.iter().flat_map(|(relation, deltas)| {
        deltas.iter().map(|delta| TableChanges { relation: *relation, delta: delta.clone() })
    });
    Ok(Record { tick: group.tick, tables: tables.collect(), catalog: catalog.map_err(SqlError::internal)? })
}

/// The catalog changes of a record.
///
/// # Errors
/// What cannot be read.
pub(crate) fn catalog_changes(record: &Record) -> Result<Vec<CatalogChange>, String> {
    record.catalog.iter().map(|bytes| catalog_change(bytes)).collect()
}

fn catalog_change(bytes: &[u8]) -> Result<CatalogChange, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((Logged::V1(change), [])) => Ok(change.with_shared_plan()),
        Ok((Logged::V2(change), [])) => Ok(change),
        Ok((_, behind)) => Err(format!("{} bytes follow a change of the catalog", behind.len())),
        Err(error) => Err(format!("a change of the catalog cannot be read: {error}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use expect_test::expect;
    use millrace_engine::{DataType, Expr, Plan, PlanRef, RelationId};
    use millrace_sql::{Column, IndexKey, OnError, Relation, RelationKind, ViewOptions};

    use super::*;

    fn table() -> PlanRef {
        PlanRef::new(Plan::Get { relation: RelationId(1), columns: vec![DataType::Int32] })
    }

    /// A plan that reads the table twice.
    fn shared() -> PlanRef {
        Plan::Union { inputs: vec![table(), table()] }.into()
    }

    fn group(plan: PlanRef) -> Group {
        let options = ViewOptions { on_error: OnError::Skip, memory_limit: Some(1 << 20) };
        let view = Relation {
            id: RelationId(2),
            name: "v".to_owned(),
            columns: vec![Column { name: "a".to_owned(), data_type: DataType::Int32, nullable: true }],
            kind: RelationKind::MaterializedView { sql: "select a from t".to_owned(), plan, options },
            created: 9,
        };
        let key = IndexKey { expr: Expr::Column(0), text: "a".to_owned() };
        let index = Relation {
            id: RelationId(3),
            name: "v_a_idx".to_owned(),
            columns: view.columns.clone(),
            kind: RelationKind::Index {
                on: RelationId(2),
                columns: vec![DataType::Int32],
                keys: vec![key],
                definition: "CREATE INDEX".to_owned(),
            },
            created: 9,
        };
        let drop = CatalogChange::Drop(vec![RelationId(3), RelationId(2), RelationId(1)]);
        let catalog = vec![CatalogChange::Create(view), CatalogChange::Create(index), drop];
        Group { tick: 9, catalog, changes: Vec::new() }
    }

    #[test]
    fn catalog_changes_come_back() {
        let record = encode(&group(shared())).unwrap();
        assert_eq!(catalog_changes(&record).unwrap(), group(shared()).catalog);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_version_two_stay_what_they_are() {
        let record = encode(&group(shared())).unwrap();
        let lines: Vec<String> = record.catalog.iter().map(|bytes| hex(bytes)).collect();
        expect![[r#"
            01000201760101610101010f73656c65637420612066726f6d2074020001010105020000010180804009
            01000307765f615f69647801016101010202010101000001610c43524541544520494e44455809
            010103030201"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_bytes_of_version_one_are_read() {
        let lines = [
            "00000201760101610101010f73656c65637420612066726f6d207400010101010180804009",
            "00000307765f615f69647801016101010202010101000001610c43524541544520494e44455809",
            "000103030201",
        ];
        let byte = |line: &str, at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let bytes = |line: &str| (0..line.len()).step_by(2).map(|at| byte(line, at)).collect();
        let catalog = lines.into_iter().map(bytes).collect();
        let record = Record { tick: 9, tables: Vec::new(), catalog };
        assert_eq!(catalog_changes(&record).unwrap(), group(table()).catalog);
    }

    #[test]
    fn damaged_changes_are_refused() {
        let mut record = encode(&group(shared())).unwrap();
        record.catalog[0].push(0);
        assert!(catalog_changes(&record).unwrap_err().contains("1 bytes follow"));
        record.catalog[0] = vec![7];
        assert!(catalog_changes(&record).unwrap_err().contains("cannot be read"));
    }
}
