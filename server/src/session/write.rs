//! Statements that change something: each is prepared at a moment and becomes one commit, or part
//! of its block's.
//!
//! A lone statement whose commit was refused because somebody else was faster starts again at the
//! newest moment: `RETRIES` times beside the others, then alone, when nobody can be faster.

use arrow::array::RecordBatch;
use futures::stream;
use millrace_engine::{Literal, Tick};
use millrace_sql::{Bound, CatalogChange, Change, Parameters, ResultColumns, SqlError, Statement, Terms};

use crate::coordinator::{Alone, Moment, Once, Reads, Request, Write};
use crate::portion::Portion;
use crate::session::block::{Block, command};
use crate::session::drawing::Attempt;
use crate::session::temporary::forget_what_goes;
use crate::session::{Notice, Response, Session, ddl};

/// How often a lone statement starts again beside others.
const RETRIES: usize = 5;
/// The most bytes of rows that one statement may hold in memory before its commit.
pub(super) const STATEMENT_BYTES_MAX: usize = 1 << 30;

/// What a statement does, found out at a moment.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) writes: Vec<Write>,
    /// What the writes were computed from.
    pub(super) reads: Reads,
    pub(super) changes: Vec<CatalogChange>,
    /// It is done once, however often it is asked for.
    pub(super) once: Option<Once>,
    /// When it took effect, or would have: known once it is committed.
    pub(super) tick: Tick,
    /// The rows of RETURNING.
    pub(super) returned: Option<Returned>,
    /// The command tag; where there is RETURNING the wire appends the number of rows to `returned_tag`.
    pub(super) tag: String,
    pub(super) returned_tag: &'static str,
    pub(super) notices: Vec<Notice>,
}

/// The rows of RETURNING.
pub(super) struct Returned {
    pub(super) columns: ResultColumns,
    pub(super) batches: Vec<RecordBatch>,
}

/// What is to be done, and done again at a newer moment where somebody else was faster.
pub(super) enum Task {
    /// A bound statement.
    Bound(Bound),
    /// COPY, with the rows that the client sent; perhaps to be done once.
    Copied(Change, Vec<RecordBatch>, Option<Once>),
}

impl Prepared {
    /// Whether there is something to commit. What changes nothing was right at its moment, but that it was done once
    /// has to be known.
    fn is_effective(&self) -> bool {
        !self.writes.is_empty() || !self.changes.is_empty() || self.once.is_some()
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
        check_outside_block(&bound, &self.block)?;
        let (zone, path, settings) = (self.zone(), self.path(), self.parameters.clone());
        let again = |moment: &Moment| {
            let known = Parameters::values(parameters).in_zone(&zone).in_session(&path, &settings);
            millrace_sql::bind(statement, &moment.catalog, known).map(Task::Bound)
        };
        let prepared = self.perform(Task::Bound(bound), again, moment).await?;
        self.notices.extend(prepared.notices);
        Ok(match prepared.returned {
            None => command(prepared.tag),
            Some(Returned { columns, batches }) => {
                let rows = Box::pin(stream::iter(batches.into_iter().map(|batch| Ok(Portion::alone(batch)))));
                Response::Rows { columns, rows, tag: prepared.returned_tag }
            }
        })
    }

    /// Does a task, as a part of the block or by itself; `again` makes it anew for a newer moment.
    pub(super) async fn perform(
        &mut self,
        task: Task,
        again: impl Fn(&Moment) -> Result<Task, SqlError>,
        moment: Moment,
    ) -> Result<Prepared, SqlError> {
        match &self.block {
            Block::Open(_) => self.change_in_block(task, &moment).await,
            Block::None | Block::Failed { .. } => self.change_alone(task, again, moment).await,
        }
    }

    async fn change_in_block(&mut self, task: Task, moment: &Moment) -> Result<Prepared, SqlError> {
        let mut prepared = self.prepare(&task, moment).await?;
        let Block::Open(transaction) = &mut self.block else {
            return Err(SqlError::internal("the block ended under a statement"));
        };
        for change in std::mem::take(&mut prepared.changes) {
            transaction.change_catalog(change)?;
        }
        transaction.gather(std::mem::take(&mut prepared.writes), std::mem::take(&mut prepared.reads))?;
        Ok(prepared)
    }

    async fn change_alone(
        &mut self,
        mut task: Task,
        again: impl Fn(&Moment) -> Result<Task, SqlError>,
        mut moment: Moment,
    ) -> Result<Prepared, SqlError> {
        let server = self.server.clone();
        let mut alone = None;
        let mut retries = 0;
        loop {
            let mut prepared = self.prepare(&task, &moment).await?;
            forget_what_goes(&mut prepared, &moment.catalog);
            prepared.tick = moment.tick;
            if !prepared.is_effective() {
                return Ok(prepared);
            }
            let request = Request {
                writes: std::mem::take(&mut prepared.writes),
                reads: Reads { tick: moment.tick, ..std::mem::take(&mut prepared.reads) },
                catalog: std::mem::take(&mut prepared.changes),
                alone: alone.as_ref().map(Alone::id),
                once: prepared.once,
                patience: self.patience,
            };
            match server.coordinator().commit(request).await {
                Ok(tick) => return Ok(Prepared { tick, ..prepared }),
                Err(error) if alone.is_none() && is_retried(&error, &task) => retries += 1,
                Err(error) => return Err(error),
            }
            if retries > RETRIES {
                alone = Some(server.coordinator().alone().await?);
            }
            moment = server.newest();
            task = again(&moment)?;
        }
    }

    /// What a task does, at a moment, once it had all values of sequences that it asks for.
    async fn prepare(&mut self, task: &Task, moment: &Moment) -> Result<Prepared, SqlError> {
        loop {
            self.drawing.begin(&moment.catalog);
            let prepared = self.attempt(task, moment).await;
            if let Attempt::Done = self.drawing.drew(prepared.is_ok()).await? {
                return prepared;
            }
        }
    }

    async fn attempt(&mut self, task: &Task, moment: &Moment) -> Result<Prepared, SqlError> {
        let bound = match task {
            Task::Bound(bound) => bound,
            Task::Copied(change, rows, once) => {
                let prepared = self.change_given(change, rows.clone(), Reads::default(), moment).await?;
                return Ok(Prepared { once: *once, ..prepared });
            }
        };
        match bound {
            Bound::Create(create) => self.create(create, moment).await,
            Bound::CreateAs(create, rows) => self.create_as(create, rows.as_ref(), moment).await,
            Bound::Replace { relation } => Ok(ddl::replace(relation)),
            Bound::Alter(alteration) => self.alter(alteration, moment).await,
            Bound::Drop { ids, schemas, replaced, tag, notices, .. } => {
                Ok(ddl::drop(ids, schemas, replaced, tag, notices))
            }
            Bound::Change(change) => self.change_rows(change, moment).await,
            Bound::Truncate(changes, sequences) => {
                let mut all = Prepared { tag: "TRUNCATE TABLE".to_owned(), ..Prepared::default() };
                for change in changes {
                    let one = self.change_rows(change, moment).await?;
                    all.writes.extend(one.writes);
                    all.reads.extend(one.reads);
                }
                all.changes = sequences.iter().map(|(id, start)| CatalogChange::Move(*id, *start)).collect();
                Ok(all)
            }
            Bound::Select(_)
            | Bound::Subscribe(_)
            | Bound::CopyFrom { .. }
            | Bound::CopyTo { .. }
            | Bound::Explain(_)
            | Bound::Set { .. }
            | Bound::SetConfig { .. }
            | Bound::Show { .. }
            | Bound::Begin(_)
            | Bound::Commit { .. }
            | Bound::Rollback { .. }
            | Bound::Savepoint(..)
            | Bound::Prepare(_)
            | Bound::Execute { .. }
            | Bound::Declare { .. }
            | Bound::Fetch(_)
            | Bound::Close { .. }
            | Bound::Unlisten
            | Bound::Deallocate { .. }
            | Bound::Discard { .. } => Err(SqlError::internal("this statement changes nothing")),
        }
    }

    pub(super) fn changes_so_far(&self) -> usize {
        match &self.block {
            Block::Open(transaction) => transaction.changes.len(),
            Block::None | Block::Failed { .. } => 0,
        }
    }
}

/// What is done concurrently is no part of a transaction, as in PostgreSQL.
fn check_outside_block(bound: &Bound, block: &Block) -> Result<(), SqlError> {
    if !matches!(block, Block::Open(_)) {
        return Ok(());
    }
    let refuse = |statement: &str| {
        Err(SqlError::new("25001", format!("{statement} cannot run inside a transaction block")))
    };
    match bound {
        Bound::Create(create) if create.terms.concurrently => refuse("CREATE INDEX CONCURRENTLY"),
        Bound::Drop { concurrently: true, .. } => refuse("DROP INDEX CONCURRENTLY"),
        _ => Ok(()),
    }
}

/// Whether a commit's refusal may turn out otherwise when the statement is bound and run again.
fn is_retried(error: &SqlError, task: &Task) -> bool {
    let other_name = |terms: &Terms| terms.if_not_exists || terms.chosen_name;
    let name_taken = error.sqlstate == "42P07"
        && matches!(task, Task::Bound(Bound::Create(create) | Bound::CreateAs(create, _)) if other_name(&create.terms));
    error.sqlstate == "40001" || name_taken
}
