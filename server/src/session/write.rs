//! Statements that change something: each is prepared at a moment and becomes one commit, or part
//! of its block's.
//!
//! A lone statement whose commit was refused because somebody else was faster starts again at the
//! newest moment: `RETRIES` times beside the others, then alone, when nobody can be faster.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use millrace_engine::{DataType, Literal, RelationId};
use millrace_sql::{Bound, CatalogChange, Query, Relation, SqlError, Statement, Terms};

use crate::coordinator::{Moment, Reads, Request, Write};
use crate::session::block::{Block, command};
use crate::session::read::{collect, stored};
use crate::session::{Notice, Response, Session, ddl, not_null};

/// How often a lone statement starts again beside others.
const RETRIES: usize = 5;
/// The most bytes of rows that one statement may hold in memory before its commit.
const STATEMENT_BYTES_MAX: usize = 1 << 30;

/// What a statement does, found out at a moment.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) writes: Vec<Write>,
    /// What the writes were computed from.
    pub(super) reads: BTreeSet<RelationId>,
    pub(super) change: Option<CatalogChange>,
    pub(super) tag: String,
    pub(super) notices: Vec<Notice>,
}

impl Prepared {
    /// Whether there is something to commit. What changes nothing was right at its moment.
    fn is_effective(&self) -> bool {
        !self.writes.is_empty() || self.change.is_some()
    }
}

impl Session {
    /// Runs a statement that changes something.
    pub(super) async fn change(
        &mut self,
        statement: &Statement,
        parameters: &[Literal],
        bound: Bound,
        moment: Moment,
    ) -> Result<Response, SqlError> {
        let prepared = match &self.block {
            Block::Open(_) => self.change_in_block(&bound, &moment).await?,
            Block::None | Block::Failed { .. } => {
                self.change_alone(statement, parameters, bound, moment).await?
            }
        };
        self.notices.extend(prepared.notices);
        Ok(command(prepared.tag))
    }

    async fn change_in_block(&mut self, bound: &Bound, moment: &Moment) -> Result<Prepared, SqlError> {
        check_outside_block(bound)?;
        let mut prepared = self.prepare(bound, moment).await?;
        let Block::Open(transaction) = &mut self.block else {
            return Err(SqlError::internal("the block ended under a statement"));
        };
        if let Some(change) = prepared.change.take() {
            transaction.change_catalog(moment, change)?;
        }
        transaction.gather(std::mem::take(&mut prepared.writes), std::mem::take(&mut prepared.reads))?;
        Ok(prepared)
    }

    async fn change_alone(
        &mut self,
        statement: &Statement,
        parameters: &[Literal],
        mut bound: Bound,
        mut moment: Moment,
    ) -> Result<Prepared, SqlError> {
        let server = self.server.clone();
        let mut alone = None;
        let mut retries = 0;
        loop {
            let mut prepared = self.prepare(&bound, &moment).await?;
            if !prepared.is_effective() {
                return Ok(prepared);
            }
            let request = Request {
                writes: std::mem::take(&mut prepared.writes),
                reads: Reads { tick: moment.tick, relations: std::mem::take(&mut prepared.reads) },
                catalog: prepared.change.take().into_iter().collect(),
                alone: alone.as_ref().map(|alone: &crate::coordinator::Alone| alone.id()),
            };
            match server.coordinator().commit(request).await {
                Ok(_) => return Ok(prepared),
                Err(error) if alone.is_none() && is_retried(&error, &bound) => retries += 1,
                Err(error) => return Err(error),
            }
            if retries > RETRIES {
                alone = Some(server.coordinator().alone().await?);
            }
            moment = server.newest();
            let zone = self.zone();
            let known = millrace_sql::Parameters::values(parameters).in_zone(&zone);
            bound = millrace_sql::bind(statement, &moment.catalog, known)?;
        }
    }

    /// What the statement does, at a moment.
    async fn prepare(&self, bound: &Bound, moment: &Moment) -> Result<Prepared, SqlError> {
        match bound {
            Bound::Create { relation, terms } => {
                let engine = self.server().engine();
                ddl::create(engine, relation, *terms, moment, self.changes_so_far())
            }
            Bound::Drop { ids, tag, notices, .. } => Ok(ddl::drop(ids, tag, notices)),
            Bound::Insert { table, source } => {
                let batches = self.source_rows(table, source, moment).await?;
                batches.iter().try_for_each(|batch| not_null::check(table, batch))?;
                Ok(rows_change(table, batches, 1, relations_of(source, None), |rows| {
                    format!("INSERT 0 {rows}")
                }))
            }
            Bound::Delete { table, source } => {
                let batches = self.source_rows(table, source, moment).await?;
                let reads = relations_of(source, Some(table.id));
                Ok(rows_change(table, batches, -1, reads, |rows| format!("DELETE {rows}")))
            }
            Bound::Select(_)
            | Bound::Subscribe(_)
            | Bound::CopyFrom { .. }
            | Bound::CopyTo { .. }
            | Bound::Explain(_)
            | Bound::Set { .. }
            | Bound::Show { .. }
            | Bound::Begin
            | Bound::Commit
            | Bound::Rollback
            | Bound::Deallocate { .. }
            | Bound::Discard => Err(SqlError::internal("this statement changes nothing")),
        }
    }

    /// The whole rows of `table` that a source query gives.
    async fn source_rows(
        &self,
        table: &Relation,
        source: &Query,
        moment: &Moment,
    ) -> Result<Vec<RecordBatch>, SqlError> {
        self.check_readable(&stored(source), moment)?;
        let rows = self.run_query(source, moment).await?;
        collect(rows, &types_of(table), STATEMENT_BYTES_MAX).await
    }

    fn changes_so_far(&self) -> usize {
        match &self.block {
            Block::Open(transaction) => transaction.changes.len(),
            Block::None | Block::Failed { .. } => 0,
        }
    }
}

/// The types of a relation's columns.
pub(super) fn types_of(relation: &Relation) -> Vec<DataType> {
    relation.columns.iter().map(|column| column.data_type).collect()
}

fn relations_of(source: &Query, table: Option<RelationId>) -> BTreeSet<RelationId> {
    stored(source).into_iter().chain(table).collect()
}

fn rows_change(
    table: &Arc<Relation>,
    batches: Vec<RecordBatch>,
    diff: i64,
    reads: BTreeSet<RelationId>,
    tag: impl FnOnce(usize) -> String,
) -> Prepared {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let writes = batches.into_iter().map(|rows| Write { relation: table.id, rows, diff }).collect();
    Prepared { writes, reads, tag: tag(rows), ..Prepared::default() }
}

/// What is done concurrently is no part of a transaction, as in PostgreSQL.
fn check_outside_block(bound: &Bound) -> Result<(), SqlError> {
    let refuse = |statement: &str| {
        Err(SqlError::new("25001", format!("{statement} cannot run inside a transaction block")))
    };
    if matches!(bound, Bound::Create { terms: Terms { concurrently: true, .. }, .. }) {
        return refuse("CREATE INDEX CONCURRENTLY");
    }
    if matches!(bound, Bound::Drop { concurrently: true, .. }) {
        return refuse("DROP INDEX CONCURRENTLY");
    }
    Ok(())
}

/// Whether a commit's refusal may turn out otherwise when the statement is bound and run again.
fn is_retried(error: &SqlError, bound: &Bound) -> bool {
    let other_name = |terms: &Terms| terms.if_not_exists || terms.chosen_name;
    let name_taken =
        error.sqlstate == "42P07" && matches!(bound, Bound::Create { terms, .. } if other_name(terms));
    error.sqlstate == "40001" || name_taken
}
