//! CREATE, ALTER and DROP as changes of the catalog. Ids and the tick of creation are given at commit.

use millrace_engine::RelationId;
use millrace_sql::{CatalogChange, Create, Relation, RelationKind, SqlError};

use crate::coordinator::{Moment, index_spec, provisional_id};
use crate::session::read::collect;
use crate::session::write::{Prepared, STATEMENT_BYTES_MAX};
use crate::session::{Notice, Session, not_null};

impl Session {
    /// CREATE.
    ///
    /// # Errors
    /// 42P07 where a name is taken; 23505 where a unique index would have a key twice; XX000 for a plan that the
    /// engine would refuse, which must not reach the log: every later start would fail on it.
    pub(super) async fn create(&mut self, create: &Create, moment: &Moment) -> Result<Prepared, SqlError> {
        let tag = self.check_plan(&create.relation)?;
        let mut prepared = Prepared { tag: tag.to_owned(), ..Prepared::default() };
        let exists = |relation: &Relation| format!("relation \"{}\" already exists", relation.name);
        let is_taken = |relation: &&Relation| moment.catalog.get(&relation.name).is_some();
        if create.terms.if_not_exists && is_taken(&&create.relation) {
            let message = format!("{}, skipping", exists(&create.relation));
            prepared.notices.push(Notice::new("42P07", message));
            return Ok(prepared);
        }
        let sequences = create.sequences.iter().map(|(_, sequence)| sequence);
        let mut all = std::iter::once(&create.relation).chain(&create.indexes).chain(sequences);
        if let Some(taken) = all.find(is_taken) {
            return Err(SqlError::new("42P07", exists(taken)));
        }
        self.check_duplicates(create, &mut prepared, moment).await?;
        let first = self.changes_so_far();
        let mut relation = create.relation.clone();
        for (place, (column, sequence)) in (first..).zip(&create.sequences) {
            prepared.changes.push(created(sequence, provisional_id(place), moment));
            draw_from(&mut relation, *column, provisional_id(place));
        }
        let at = first + create.sequences.len();
        let table = provisional_id(at);
        prepared.changes.push(created(&relation, table, moment));
        for (place, index) in (at + 1..).zip(&create.indexes) {
            let mut index = index.clone();
            if let RelationKind::Index { on, .. } = &mut index.kind {
                *on = table;
            }
            prepared.changes.push(created(&index, provisional_id(place), moment));
        }
        Ok(prepared)
    }

    /// The tag of a CREATE, and that the engine takes what it creates.
    fn check_plan(&self, relation: &Relation) -> Result<&'static str, SqlError> {
        let engine = self.server.engine();
        Ok(match &relation.kind {
            RelationKind::Table { .. } => "CREATE TABLE",
            RelationKind::View { .. } => "CREATE VIEW",
            RelationKind::Sequence(_) => "CREATE SEQUENCE",
            RelationKind::MaterializedView { plan, .. } => {
                engine.check(plan).map_err(SqlError::internal)?;
                "CREATE MATERIALIZED VIEW"
            }
            RelationKind::Index { .. } => {
                let spec = index_spec(relation).ok_or_else(|| SqlError::internal("an index that is none"))?;
                engine.check_index(&spec).map_err(SqlError::internal)?;
                "CREATE INDEX"
            }
        })
    }

    /// A unique index needs rows of which no two have its key.
    async fn check_duplicates(
        &mut self,
        create: &Create,
        prepared: &mut Prepared,
        moment: &Moment,
    ) -> Result<(), SqlError> {
        let Some(duplicates) = &create.duplicates else { return Ok(()) };
        let (rows, reads) = self.run_query(duplicates, None, moment).await?;
        prepared.reads.extend(reads);
        let types = create.relation.types();
        let found = collect(rows, &types, STATEMENT_BYTES_MAX).await?;
        let Some(found) = found.first() else { return Ok(()) };
        let texts: Vec<&str> = match &create.relation.kind {
            RelationKind::Index { keys, .. } => keys.iter().map(|key| key.text.as_str()).collect(),
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Sequence(_) => Vec::new(),
        };
        let message = format!("could not create unique index \"{}\"", create.relation.name);
        let values = not_null::row_text(found, 0)?;
        Err(SqlError::new("23505", message)
            .detail(format!("Key ({})=({values}) is duplicated.", texts.join(", "))))
    }
}

fn created(relation: &Relation, id: RelationId, moment: &Moment) -> CatalogChange {
    CatalogChange::Create(Relation { id, created: moment.tick, ..relation.clone() })
}

/// The column of a table draws from a sequence, which goes with it.
fn draw_from(table: &mut Relation, column: usize, sequence: RelationId) {
    let RelationKind::Table { rules, .. } = &mut table.kind else { return };
    rules.drawn.iter_mut().filter(|drawn| drawn.column == column).for_each(|drawn| drawn.sequence = sequence);
    rules.owned.iter_mut().filter(|owned| owned.column == column).for_each(|owned| owned.sequence = sequence);
}

/// ALTER.
pub(super) fn alter(replaced: &[Relation], tag: &str, notices: &[String]) -> Prepared {
    Prepared {
        changes: replaced.iter().cloned().map(CatalogChange::Replace).collect(),
        tag: tag.to_owned(),
        notices: notices.iter().map(|message| Notice::new("00000", message)).collect(),
        ..Prepared::default()
    }
}

/// CREATE OR REPLACE VIEW, where there is the view.
pub(super) fn replace(relation: &Relation) -> Prepared {
    let changes = vec![CatalogChange::Replace(relation.clone())];
    Prepared { changes, tag: "CREATE VIEW".to_owned(), ..Prepared::default() }
}

/// DROP.
pub(super) fn drop(ids: &[RelationId], replaced: &[Relation], tag: &str, notices: &[String]) -> Prepared {
    let mut prepared = alter(replaced, tag, notices);
    prepared.changes.extend((!ids.is_empty()).then(|| CatalogChange::Drop(ids.to_vec())));
    prepared
}
