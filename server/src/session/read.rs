//! Reads at a tick, on the connection's own task: each worker's share of each relation, then the
//! query over them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use futures::{StreamExt, stream};
use millrace_engine::{DataType, Engine, EngineError, RelationId, Snapshot, Tick, batch_bytes, batch_of};
use millrace_sql::{Column, Query, RowStream, Snapshots, Sources, SqlError, SystemRelation};
use tokio::sync::oneshot;

use crate::coordinator::{Moment, is_provisional, tables_below};
use crate::session::block::{Block, too_large};
use crate::session::{Response, Session, system};

/// What one relation's workers answer.
type Answer = Result<Vec<Snapshot>, EngineError>;

impl Session {
    /// SELECT. Inside a block the relations count as read.
    pub(super) async fn select(&mut self, query: &Query, moment: &Moment) -> Result<RowStream, SqlError> {
        let relations = stored(query);
        self.check_readable(&relations, moment)?;
        if let Block::Open(transaction) = &mut self.block {
            transaction.gather(Vec::new(), relations)?;
        }
        self.run_query(query, moment).await
    }

    /// The rows of a query at a moment.
    pub(super) async fn run_query(&self, query: &Query, moment: &Moment) -> Result<RowStream, SqlError> {
        let snapshots = snapshots(self.server.engine(), query.sources(), moment).await?;
        query.execute(snapshots, moment.tick)
    }

    /// A block cannot see its own changes yet.
    ///
    /// # Errors
    /// 0A000 where a relation, or a table below it, was written or created in the block.
    pub(super) fn check_readable(
        &self,
        relations: &BTreeSet<RelationId>,
        moment: &Moment,
    ) -> Result<(), SqlError> {
        let Block::Open(transaction) = &self.block else { return Ok(()) };
        let written = transaction.written();
        let below = tables_below(&moment.catalog, relations).unwrap_or_default();
        let created = relations.iter().chain(&below).any(|id| is_provisional(*id));
        if created || below.iter().any(|table| written.contains(table)) {
            return Err(SqlError::unsupported("reading what the same transaction has written")
                .hint("Commit first, then read."));
        }
        Ok(())
    }
}

/// The relations of the catalog that a query reads: what others may change.
pub(super) fn stored(query: &Query) -> BTreeSet<RelationId> {
    query.relations().into_iter().filter(|id| SystemRelation::of_id(*id).is_none()).collect()
}

/// Each worker's share of each source at the moment, which the caller keeps held.
///
/// An index that has not taken in all rows yet, or lacks one whose key cannot be computed, or is gone since,
/// is not waited for: its relation is read instead, and gives the same answer.
///
/// # Errors
/// 42P01 where a relation was dropped since; 57P01 where the workers have stopped.
async fn snapshots(engine: &Engine, sources: Sources, moment: &Moment) -> Result<Snapshots, SqlError> {
    let Sources { mut relations, indexes } = sources;
    // All are asked before the first answer is awaited.
    let ask = |relation: RelationId| (relation, read(engine, relation, moment.tick));
    let is_stored = |relation: &RelationId| SystemRelation::of_id(*relation).is_none();
    let mut answers: Vec<_> = relations.iter().copied().filter(is_stored).map(ask).collect();
    let by_key: Vec<_> = indexes.into_iter().map(|(index, relation)| (relation, ask(index))).collect();
    let mut snapshots = HashMap::with_capacity(relations.len() + by_key.len());
    for relation in relations.iter().copied().filter_map(SystemRelation::of_id) {
        snapshots.insert(relation.id(), vec![system::snapshot(engine, relation, moment).await?]);
    }
    for (relation, (index, answer)) in by_key {
        match answer.await {
            Ok(Ok(shares)) if shares.iter().all(Snapshot::is_complete) => {
                drop(snapshots.insert(index, shares))
            }
            _ if relations.insert(relation) => answers.push(ask(relation)),
            _ => {}
        }
    }
    for (relation, answer) in answers {
        let answer = answer.await.unwrap_or(Err(EngineError::Stopped));
        snapshots.insert(relation, answer.map_err(|error| read_error(error, moment))?);
    }
    Ok(snapshots)
}

/// Asks the workers; the answer comes when all have, or one failed.
pub(super) fn read(engine: &Engine, relation: RelationId, tick: Tick) -> oneshot::Receiver<Answer> {
    let (sender, receiver) = oneshot::channel();
    let gathering =
        Mutex::new(Gathering { missing: engine.workers(), snapshots: Vec::new(), sender: Some(sender) });
    let reply = Arc::new(move |_worker, share| {
        gathering.lock().unwrap_or_else(PoisonError::into_inner).add(share);
    });
    engine.read(relation, tick, reply);
    receiver
}

/// The workers' answers so far.
struct Gathering {
    missing: usize,
    snapshots: Vec<Snapshot>,
    sender: Option<oneshot::Sender<Answer>>,
}

impl Gathering {
    fn add(&mut self, share: Result<Snapshot, EngineError>) {
        self.missing = self.missing.saturating_sub(1);
        let answer = match share {
            Ok(snapshot) => {
                self.snapshots.push(snapshot);
                if self.missing > 0 {
                    return;
                }
                Ok(std::mem::take(&mut self.snapshots))
            }
            Err(error) => Err(error),
        };
        if let Some(sender) = self.sender.take() {
            // The reader may have been cancelled.
            let _ = sender.send(answer);
        }
    }
}

/// What a reader gets to hear of an engine's refusal.
pub(crate) fn read_error(error: EngineError, moment: &Moment) -> SqlError {
    match error {
        EngineError::NoRelation(id) => {
            let name = moment.catalog.by_id(id).map(|relation| relation.name.clone()).unwrap_or_default();
            SqlError::new("42P01", format!("relation \"{name}\" does not exist"))
                .detail("It was dropped while the statement ran.")
        }
        EngineError::Failed(error) => SqlError::from(error)
            .detail("It was stopped for good; the relations that it reads go on.")
            .hint("Drop it, and create it with a larger memory_limit or of a query that keeps less."),
        EngineError::Stopped => SqlError::new("57P01", "the workers have stopped"),
        other => SqlError::internal(other),
    }
}

/// All batches of a stream, in the engine's form.
///
/// # Errors
/// The stream's; 53200 where they take more than `bytes_max`.
pub(super) async fn collect(
    mut rows: RowStream,
    types: &[DataType],
    bytes_max: usize,
) -> Result<Vec<RecordBatch>, SqlError> {
    let mut batches = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        bytes += batch_bytes(&batch);
        if bytes > bytes_max {
            return Err(too_large("the statement", bytes_max));
        }
        let columns = batch.columns().to_vec();
        batches.push(batch_of(types, columns, batch.num_rows()).map_err(SqlError::internal)?);
    }
    Ok(batches)
}

/// Rows of one text column, as SHOW and EXPLAIN answer.
pub(super) fn text_rows(column: &str, lines: Vec<String>, tag: &'static str) -> Result<Response, SqlError> {
    text_table([column], lines.into_iter().map(|line| [line]).collect(), tag)
}

/// Rows of text columns.
pub(super) fn text_table<const WIDTH: usize>(
    names: [&str; WIDTH],
    rows: Vec<[String; WIDTH]>,
    tag: &'static str,
) -> Result<Response, SqlError> {
    let column = |name: &str| Column { name: name.to_owned(), data_type: DataType::Text, nullable: false };
    let columns = names.map(column).to_vec();
    let values = |index: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[index])))
    };
    let values = (0..WIDTH).map(values).collect();
    let batch = batch_of(&[DataType::Text; WIDTH], values, rows.len()).map_err(SqlError::internal)?;
    Ok(Response::Rows { columns, rows: Box::pin(stream::iter([Ok(batch)])), tag })
}
