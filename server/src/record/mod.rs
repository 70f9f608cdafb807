//! A group of commits as a record of the log, and back.
//!
//! The log knows tables' changes; a change of the catalog is bytes to it. Their form is `Logged`:
//! a version, then the change. Since version three the change is JSON: its fields have names, so that one
//! that is added later is absent from older logs, and nothing else. What was answered to requests that are done once
//! stands beside them, in the record that has their rows.

mod older; // versions one and two

use millrace_engine::{PlanRef, PlanTree, Record, TableChanges};
use millrace_sql::{CatalogChange, SqlError};
use serde::{Deserialize, Serialize};

use crate::coordinator::{Group, Once};
use older::OldChange;

/// A change of the catalog, or an answer, as it stands in the log. Serialised: only append variants.
#[derive(Serialize, Deserialize)]
enum Logged {
    /// As written before plans shared their inputs.
    V1(OldChange<PlanTree>),
    /// As written before fields had names.
    V2(OldChange<PlanRef>),
    /// JSON.
    V3(String),
    /// A request that was done once, in JSON. Its answer has the record's tick.
    Once(String),
}

/// A request that was done once, as it stands in the log: hashes in hexadecimal digits.
#[derive(Serialize, Deserialize)]
struct LoggedOnce {
    key: String,
    content: String,
    rows: u64,
}

/// What the server keeps in a record beside rows.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Notes {
    /// Changes of the catalog.
    pub(crate) catalog: Vec<CatalogChange>,
    /// Requests that were done once.
    pub(crate) once: Vec<Once>,
}

/// The group's record.
///
/// # Errors
/// XX000 where a change cannot be encoded.
pub(crate) fn encode(group: &Group) -> Result<Record, SqlError> {
    let encoded = |change: &CatalogChange| -> Result<Vec<u8>, SqlError> {
        let json = serde_json::to_string(change).map_err(SqlError::internal)?;
        postcard::to_stdvec(&Logged::V3(json)).map_err(SqlError::internal)
    };
    let changes = group.catalog.iter().map(encoded);
    let catalog = changes.chain(group.once.iter().map(encode_once)).collect::<Result<_, _>>()?;
    let tables = group.changes.iter().flat_map(|(relation, deltas)| {
        deltas.iter().map(|delta| TableChanges { relation: *relation, delta: delta.clone() })
    });
    Ok(Record { tick: group.tick, tables: tables.collect(), catalog })
}

fn encode_once(once: &Once) -> Result<Vec<u8>, SqlError> {
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let logged = LoggedOnce { key: hex(&once.key), content: hex(&once.content), rows: once.rows };
    let json = serde_json::to_string(&logged).map_err(SqlError::internal)?;
    postcard::to_stdvec(&Logged::Once(json)).map_err(SqlError::internal)
}

/// What the server keeps in a record beside rows.
///
/// # Errors
/// What cannot be read.
pub(crate) fn notes(record: &Record) -> Result<Notes, String> {
    let mut notes = Notes::default();
    for bytes in &record.catalog {
        match logged(bytes)? {
            Logged::V1(change) => notes.catalog.push(change.into()),
            Logged::V2(change) => notes.catalog.push(change.into()),
            Logged::V3(json) => notes.catalog.push(
                serde_json::from_str(&json)
                    .map_err(|error| format!("a change of the catalog cannot be read: {error}"))?,
            ),
            Logged::Once(json) => notes.once.push(read_once(&json)?),
        }
    }
    Ok(notes)
}

fn logged(bytes: &[u8]) -> Result<Logged, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((logged, [])) => Ok(logged),
        Ok((_, behind)) => Err(format!("{} bytes follow a change of the catalog", behind.len())),
        Err(error) => Err(format!("a change of the catalog cannot be read: {error}")),
    }
}

fn read_once(json: &str) -> Result<Once, String> {
    let broken = || "a request that was done once cannot be read".to_owned();
    let LoggedOnce { key, content, rows } = serde_json::from_str(json).map_err(|_| broken())?;
    let digest = |hex: &str| -> Option<[u8; 32]> {
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
        bytes?.try_into().ok()
    };
    let (key, content) = (digest(&key).ok_or_else(broken)?, digest(&content).ok_or_else(broken)?);
    Ok(Once { key, content, rows })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use expect_test::expect;
    use millrace_engine::{DataType, Expr, Plan, PlanRef, RelationId};
    use millrace_sql::{
        Column, IndexKey, OnError, Relation, RelationKind, SchemaId, Uniqueness, ViewOptions,
    };

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
            schema: SchemaId::PUBLIC,
            columns: vec![Column::new("a".to_owned(), DataType::Int32, true)],
            kind: RelationKind::MaterializedView {
                sql: "select a from t".to_owned(),
                plan,
                options,
                through: Vec::new(),
                known: None,
            },
            created: 9,
        };
        let key = IndexKey { expr: Expr::Column(0), text: "a".to_owned() };
        let index = Relation {
            id: RelationId(3),
            name: "v_a_idx".to_owned(),
            schema: SchemaId::PUBLIC,
            columns: view.columns.clone(),
            kind: RelationKind::Index {
                on: RelationId(2),
                columns: vec![DataType::Int32],
                keys: vec![key],
                definition: "CREATE INDEX".to_owned(),
                uniqueness: Uniqueness::None,
            },
            created: 9,
        };
        let drop = CatalogChange::Drop(vec![RelationId(3), RelationId(2), RelationId(1)]);
        let catalog = vec![CatalogChange::Create(view), CatalogChange::Create(index), drop];
        Group { tick: 9, catalog, changes: Vec::new(), once: Vec::new() }
    }

    #[test]
    fn catalog_changes_come_back() {
        let record = encode(&group(shared())).unwrap();
        assert_eq!(notes(&record).unwrap().catalog, group(shared()).catalog);
    }

    #[test]
    fn the_text_of_version_three_stays_readable() {
        let record = encode(&group(shared())).unwrap();
        let text = |bytes: &Vec<u8>| match postcard::from_bytes(bytes).unwrap() {
            Logged::V3(json) => json,
            Logged::V1(_) | Logged::V2(_) | Logged::Once(_) => String::new(),
        };
        let lines: Vec<String> = record.catalog.iter().map(text).collect();
        expect![[r#"
            {"Create":{"id":2,"name":"v","columns":[{"name":"a","data_type":"Int32","nullable":true}],"kind":{"MaterializedView":{"sql":"select a from t","plan":[{"Get":{"relation":1,"columns":["Int32"]}},{"Union":{"inputs":[0,0]}}],"options":{"on_error":"Skip","memory_limit":1048576},"through":[],"known":null}},"created":9}}
            {"Create":{"id":3,"name":"v_a_idx","columns":[{"name":"a","data_type":"Int32","nullable":true}],"kind":{"Index":{"on":2,"columns":["Int32"],"keys":[{"expr":{"Column":0},"text":"a"}],"definition":"CREATE INDEX","uniqueness":"None"}},"created":9}}
            {"Drop":[3,2,1]}"#]].assert_eq(&lines.join("\n"));
    }

    #[test]
    fn what_version_three_lacked_at_first_is_what_it_meant() {
        let view = r#"{"Create":{"id":2,"name":"v","columns":[{"name":"a","data_type":"Int32","nullable":true}],"kind":{"MaterializedView":{"sql":"select a from t","plan":[{"Get":{"relation":1,"columns":["Int32"]}},{"Union":{"inputs":[0,0]}}],"options":{"on_error":"Skip","memory_limit":1048576},"through":[]}},"created":9}}"#;
        let table = r#"{"Create":{"id":1,"name":"t","columns":[{"name":"a","data_type":"Int32","nullable":true}],"kind":{"Table":{"keep_rows":true,"rules":{"defaults":[null],"checks":[]}}},"created":8}}"#;
        let logged = |json: &str| postcard::to_stdvec(&Logged::V3(json.to_owned())).unwrap();
        let record = Record { tick: 9, tables: Vec::new(), catalog: vec![logged(view), logged(table)] };
        let changes = notes(&record).unwrap().catalog;
        assert_eq!(changes[0], group(shared()).catalog[0]);
        let CatalogChange::Create(table) = &changes[1] else { panic!("{changes:?}") };
        assert_eq!(
            table.rules().map(|rules| (rules.missing.len(), rules.drawn.len(), rules.altered)),
            Some((0, 0, 0))
        );
    }

    /// The changes that lines of hexadecimal digits hold.
    fn read(lines: &[&str]) -> Vec<CatalogChange> {
        let byte = |line: &str, at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let bytes = |line: &&str| (0..line.len()).step_by(2).map(|at| byte(line, at)).collect();
        let catalog = lines.iter().map(bytes).collect();
        notes(&Record { tick: 9, tables: Vec::new(), catalog }).unwrap().catalog
    }

    #[test]
    fn the_bytes_of_version_two_are_read() {
        let lines = [
            "01000201760101610101010f73656c65637420612066726f6d2074020001010105020000010180804009",
            "01000307765f615f69647801016101010202010101000001610c43524541544520494e44455809",
            "010103030201",
        ];
        assert_eq!(read(&lines), group(shared()).catalog);
    }

    #[test]
    fn the_bytes_of_version_one_are_read() {
        let lines = [
            "00000201760101610101010f73656c65637420612066726f6d207400010101010180804009",
            "00000307765f615f69647801016101010202010101000001610c43524541544520494e44455809",
            "000103030201",
        ];
        assert_eq!(read(&lines), group(table()).catalog);
    }

    #[test]
    fn requests_that_were_done_once_come_back_from_the_text_that_stays_readable() {
        let once = Once { key: [0xab; 32], content: [1; 32], rows: 7 };
        let record = encode(&Group { once: vec![once], ..group(shared()) }).unwrap();
        let read = notes(&record).unwrap();
        assert_eq!((read.catalog.len(), read.once), (3, vec![once]));
        let Logged::Once(json) = logged(&record.catalog[3]).unwrap() else { panic!("no request") };
        let (key, content) = ("ab".repeat(32), "01".repeat(32));
        assert_eq!(json, format!(r#"{{"key":"{key}","content":"{content}","rows":7}}"#));
        for broken in [r#"{"key":"ab","content":"01","rows":7}"#, "{", r#"{"key":"é","content":"","rows":7}"#]
        {
            let catalog = vec![postcard::to_stdvec(&Logged::Once(broken.to_owned())).unwrap()];
            assert!(notes(&Record { tick: 9, tables: Vec::new(), catalog }).is_err());
        }
    }

    #[test]
    fn damaged_changes_are_refused() {
        let mut record = encode(&group(shared())).unwrap();
        record.catalog[0].push(0);
        assert!(notes(&record).unwrap_err().contains("1 bytes follow"));
        record.catalog[0] = postcard::to_stdvec(&Logged::V3("{".to_owned())).unwrap();
        assert!(notes(&record).unwrap_err().contains("cannot be read"));
        record.catalog[0] = vec![7];
        assert!(notes(&record).unwrap_err().contains("cannot be read"));
    }
}
