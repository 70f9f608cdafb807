//! CREATE, ALTER and DROP as changes of the catalog. Ids and the tick of creation are given at commit.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use millrace_engine::{DataType, RelationId};
use millrace_sql::{
    Alteration, Catalog, CatalogChange, Create, Holds, Query, Relation, RelationKind, SchemaChange, SchemaId,
    SqlError, Violation,
};

use crate::coordinator::{Moment, Write, index_spec, provisional_id};
use crate::session::block::Block;
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
        let is_taken =
            |relation: &&Relation| moment.catalog.in_schema(relation.schema, &relation.name).is_some();
        if create.terms.if_not_exists && is_taken(&&create.relation) {
            let message = format!("{}, skipping", exists(&create.relation));
            prepared.notices.push(Notice::new("42P07", message));
            return Ok(prepared);
        }
        if create.terms.becomes_temporary {
            let message = format!("view \"{}\" will be a temporary view", create.relation.name);
            prepared.notices.push(Notice::new("00000", message));
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

    /// CREATE TABLE … AS.
    ///
    /// # Errors
    /// Those of CREATE TABLE and of the query.
    pub(super) async fn create_as(
        &mut self,
        create: &Create,
        query: Option<&Query>,
        moment: &Moment,
    ) -> Result<Prepared, SqlError> {
        let mut prepared = self.create(create, moment).await?;
        prepared.tag = "CREATE TABLE AS".to_owned();
        let created = prepared.changes.iter().find_map(CatalogChange::created);
        let (Some(query), Some(relation)) = (query, created) else { return Ok(prepared) };
        let (rows, reads) = self.run_query(query, None, moment).await?;
        let batches = collect(rows, &create.relation.types(), STATEMENT_BYTES_MAX).await?;
        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let write = |rows| Write { relation, rows, diff: 1, keys: Vec::new(), altered: 0 };
        prepared.writes.extend(batches.into_iter().map(write));
        prepared.reads.extend(reads);
        prepared.tag = format!("SELECT {count}");
        Ok(prepared)
    }

    /// ALTER.
    ///
    /// # Errors
    /// 23502, 23505 and 23514 where a row breaks what is to hold.
    pub(super) async fn alter(
        &mut self,
        alteration: &Alteration,
        moment: &Moment,
    ) -> Result<Prepared, SqlError> {
        let mut prepared = changes(alteration.changes.clone(), alteration.tag, &alteration.notices);
        let altered = Moment { catalog: alteration.catalog.clone(), ..moment.clone() };
        self.fit_own(&altered.catalog)?;
        for Holds { query, violation } in &alteration.holds {
            let types: Vec<DataType> = query.columns().iter().map(|column| column.data_type).collect();
            let (rows, reads) = self.run_query(query, None, &altered).await?;
            prepared.reads.extend(reads);
            let found = collect(rows, &types, STATEMENT_BYTES_MAX).await?;
            let Some(found) = found.first() else { continue };
            return Err(match violation {
                Violation::Is(error) => error.clone(),
                Violation::Duplicate { index, keys } => duplicated(index, &keys.join(", "), found)?,
            });
        }
        if let Some(fill) = &alteration.fill {
            self.drawing.begin(&alteration.catalog);
            let filled = self.change_rows(fill, &altered).await.map_err(of_rows_there)?;
            prepared.writes.extend(filled.writes);
            prepared.reads.extend(filled.reads);
        }
        self.drawing.settle(&mut prepared.changes);
        let new_ids = new_ids(&alteration.changes, self.changes_so_far());
        if let Some(first) = new_ids.keys().next() {
            self.drawing.forget_own(*first);
        }
        let changes = std::mem::take(&mut prepared.changes).into_iter();
        prepared.changes = changes.map(|change| change.renumbered(|id| renumbered(&new_ids, id))).collect();
        for keys in prepared.writes.iter_mut().flat_map(|write| &mut write.keys) {
            keys.index = renumbered(&new_ids, keys.index);
        }
        prepared.reads.keys.retain(|(index, _)| !new_ids.contains_key(index));
        Ok(prepared)
    }

    /// What the block has written has the columns that its tables have now.
    fn fit_own(&mut self, catalog: &Catalog) -> Result<(), SqlError> {
        let Block::Open(transaction) = &mut self.block else { return Ok(()) };
        transaction.fit_own(catalog)
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
        Err(duplicated(&create.relation.name, &texts.join(", "), found)?)
    }
}

/// What is wrong with rows that ALTER TABLE computes anew, in PostgreSQL's words for rows that are there.
fn of_rows_there(error: SqlError) -> SqlError {
    let Some(about) = error.about.clone() else { return error };
    let (table, constraint) = (&about.table, about.constraint.as_deref().unwrap_or_default());
    let (message, detail) = match (error.sqlstate.as_str(), &about.column) {
        ("23502", Some(column)) => {
            (format!("column \"{column}\" of relation \"{table}\" contains null values"), None)
        }
        ("23514", _) => (
            format!("check constraint \"{constraint}\" of relation \"{table}\" is violated by some row"),
            None,
        ),
        ("23505", _) => {
            let detail =
                error.detail.as_ref().map(|text| text.replace(" already exists.", " is duplicated."));
            (format!("could not create unique index \"{constraint}\""), detail)
        }
        _ => return error,
    };
    SqlError { message, detail, ..error }
}

/// 23505 for a unique index whose keys are not.
fn duplicated(index: &str, keys: &str, found: &RecordBatch) -> Result<SqlError, SqlError> {
    let message = format!("could not create unique index \"{index}\"");
    let values = not_null::row_text(found, 0)?;
    Ok(SqlError::new("23505", message).detail(format!("Key ({keys})=({values}) is duplicated.")))
}

/// The provisional ids of what an alteration creates: each behind what the transaction has changed before it.
fn new_ids(changes: &[CatalogChange], first: usize) -> BTreeMap<RelationId, RelationId> {
    let new = (first..).zip(changes);
    new.filter_map(|(place, change)| Some((change.created()?, provisional_id(place)))).collect()
}

fn renumbered(new_ids: &BTreeMap<RelationId, RelationId>, id: RelationId) -> RelationId {
    new_ids.get(&id).copied().unwrap_or(id)
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

/// Changes without rows.
fn changes(changes: Vec<CatalogChange>, tag: &str, notices: &[String]) -> Prepared {
    Prepared {
        changes,
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
pub(super) fn drop(
    ids: &[RelationId],
    schemas: &[SchemaId],
    replaced: &[Relation],
    tag: &str,
    notices: &[String],
) -> Prepared {
    let replaced = replaced.iter().cloned().map(CatalogChange::Replace);
    let dropped = (!ids.is_empty()).then(|| CatalogChange::Drop(ids.to_vec()));
    let schemas = schemas.iter().map(|schema| CatalogChange::Schema(*schema, SchemaChange::Drop));
    changes(replaced.chain(dropped).chain(schemas).collect(), tag, notices)
}
