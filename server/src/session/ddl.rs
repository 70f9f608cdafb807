//! CREATE and DROP as changes of the catalog. Ids and the tick of creation are given at commit.

use millrace_engine::{Engine, RelationId};
use millrace_sql::{CatalogChange, Relation, RelationKind, SqlError, Terms};

use crate::coordinator::{Moment, index_spec, provisional_id};
use crate::session::Notice;
use crate::session::write::Prepared;

/// CREATE: the `n`-th change of its transaction.
///
/// # Errors
/// 42P07 where the name is taken; XX000 for a plan that the engine would refuse, which must not
/// reach the log: every later start would fail on it.
pub(super) fn create(
    engine: &Engine,
    relation: &Relation,
    terms: Terms,
    moment: &Moment,
    n: usize,
) -> Result<Prepared, SqlError> {
    let tag = match &relation.kind {
        RelationKind::Table { .. } => "CREATE TABLE",
        RelationKind::MaterializedView { plan, .. } => {
            engine.check(plan).map_err(SqlError::internal)?;
            "CREATE MATERIALIZED VIEW"
        }
        RelationKind::Index { on, columns, keys, .. } => {
            let spec = index_spec(&relation.name, *on, columns, keys);
            engine.check_index(&spec).map_err(SqlError::internal)?;
            "CREATE INDEX"
        }
    };
    let prepared = Prepared { tag: tag.to_owned(), ..Prepared::default() };
    if moment.catalog.get(&relation.name).is_some() {
        let message = format!("relation \"{}\" already exists", relation.name);
        if !terms.if_not_exists {
            return Err(SqlError::new("42P07", message));
        }
        let notice = Notice::new("42P07", format!("{message}, skipping"));
        return Ok(Prepared { notices: vec![notice], ..prepared });
    }
    let relation = Relation { id: provisional_id(n), created: moment.tick, ..relation.clone() };
    Ok(Prepared { change: Some(CatalogChange::Create(relation)), ..prepared })
}

/// DROP.
pub(super) fn drop(ids: &[RelationId], tag: &str, notices: &[String]) -> Prepared {
    Prepared {
        change: (!ids.is_empty()).then(|| CatalogChange::Drop(ids.to_vec())),
        tag: tag.to_owned(),
        notices: notices.iter().map(|message| Notice::new("00000", message)).collect(),
        ..Prepared::default()
    }
}
