//! Reads at a tick, on the connection's own task: each worker's share of each relation, then the
//! query over them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use futures::{StreamExt, stream};
use millrace_engine::{DataType, EngineError, RelationId, Snapshot, batch_bytes, batch_of};
use millrace_sql::{
    Catalog, Column, Query, Relation, RowKey, RowStream, Snapshots, Sources, SqlError, SystemRelation,
};

use crate::coordinator::{Moment, Reads, is_provisional, tables_below};
use crate::engines::Wanted;
use crate::portion::Portion;
use crate::server::Server;
use crate::session::block::{Block, too_large};
use crate::session::keys::{Key, hash_of, keys_looked_up};
use crate::session::system::{self, Looking};
use crate::session::{Response, Session};

impl Session {
    /// SELECT. Inside a block what it reads is noted.
    pub(super) async fn select(&mut self, query: &Query, moment: &Moment) -> Result<RowStream, SqlError> {
        let (rows, reads) = match query.draws() {
            true => self.rows_drawing(query, moment).await?,
            false => self.run_query(query, None, moment).await?,
        };
        if let Block::Open(transaction) = &mut self.block {
            transaction.gather(Vec::new(), reads)?;
        }
        Ok(rows)
    }

    /// The rows of a query at a moment, and with what the block has written itself; and what it reads. `rows` are
    /// those that the statement has at hand.
    pub(super) async fn run_query(
        &mut self,
        query: &Query,
        rows: Option<RecordBatch>,
        moment: &Moment,
    ) -> Result<(RowStream, Reads), SqlError> {
        let mut sources = query.sources();
        let looked_up = keys_by_index(query, moment)?;
        let mut given = self.own_by_key(&mut sources, &looked_up, moment).await?;
        let own = match &mut self.block {
            Block::Open(transaction) => transaction.own_rows(&mut sources, moment)?,
            Block::None | Block::Failed { .. } => HashMap::new(),
        };
        let looking = Looking { path: self.path(), parameters: &self.parameters };
        given.extend(snapshots(&self.server, sources, &looked_up, moment, &looking).await?);
        for (relation, share) in own {
            let shares = given.remove(&relation).unwrap_or_default();
            given.insert(relation, Snapshot::united(shares.into_iter().chain([share])).into_iter().collect());
        }
        let reads = reads_of(query, &given, &looked_up, moment);
        let stream = query.execute_in(given, rows, moment.tick, self.drawing.of_attempt())?;
        Ok((stream, reads))
    }

    /// What is looked up in a table that the block has written: the index lacks the block's own rows.
    async fn own_by_key(
        &mut self,
        sources: &mut Sources,
        looked_up: &BTreeMap<RelationId, BTreeSet<Key>>,
        moment: &Moment,
    ) -> Result<Snapshots, SqlError> {
        let mut given = Snapshots::new();
        for (index, relation) in sources.indexes.clone() {
            let Block::Open(transaction) = &self.block else { break };
            let is_asked = !is_provisional(index) && !is_provisional(relation);
            if !transaction.own.has(relation) && is_asked {
                continue;
            }
            sources.indexes.remove(&index);
            let key = row_key(&moment.catalog, index, relation);
            let (Some((relation, key)), Some(wanted), true) = (key, looked_up.get(&index), is_asked) else {
                sources.relations.insert(relation);
                continue;
            };
            let share = self.rows_by_key(&relation, &key, wanted.clone(), moment).await?;
            given.insert(index, vec![share.found()]);
        }
        Ok(given)
    }

    /// What is followed is what all see: nothing of the block's own.
    ///
    /// # Errors
    /// 0A000 where the relation, or a table below it, was written or created in the block.
    pub(super) fn check_untouched(&self, relation: RelationId, moment: &Moment) -> Result<(), SqlError> {
        let Block::Open(transaction) = &self.block else { return Ok(()) };
        let below = tables_below(&moment.catalog, &BTreeSet::from([relation])).unwrap_or_default();
        let created = below.iter().chain([&relation]).any(|id| is_provisional(*id));
        if created || below.iter().any(|table| transaction.own.has(*table)) {
            return Err(SqlError::unsupported("SUBSCRIBE to what the same transaction has written")
                .hint("Commit first, then subscribe."));
        }
        Ok(())
    }
}

/// The relations of the catalog that a query reads: what others may change.
pub(super) fn stored(query: &Query) -> BTreeSet<RelationId> {
    query.relations().into_iter().filter(|id| SystemRelation::of_id(*id).is_none()).collect()
}

/// The keys that a query looks up, by index.
fn keys_by_index(query: &Query, moment: &Moment) -> Result<BTreeMap<RelationId, BTreeSet<Key>>, SqlError> {
    let mut keys: BTreeMap<RelationId, BTreeSet<Key>> = BTreeMap::new();
    for looked_up in query.looked_up(moment.tick)? {
        keys.entry(looked_up.index).or_default().extend(keys_looked_up(&looked_up)?);
    }
    Ok(keys)
}

/// A relation with the key of one of its indexes.
fn row_key(catalog: &Catalog, index: RelationId, relation: RelationId) -> Option<(Arc<Relation>, RowKey)> {
    let relation = catalog.by_id(relation)?;
    let key = RowKey::new(relation, catalog.by_id(index)?)?;
    Some((Arc::clone(relation), key))
}

/// What a query reads, of what it was given: single keys where it looks up only these in unique indexes, whose
/// writers tell their keys.
fn reads_of(
    query: &Query,
    given: &Snapshots,
    looked_up: &BTreeMap<RelationId, BTreeSet<Key>>,
    moment: &Moment,
) -> Reads {
    let mut reads = Reads { tick: moment.tick, ..Reads::default() };
    reads.relations = stored(query).into_iter().filter(|relation| given.contains_key(relation)).collect();
    for (index, relation) in query.sources().indexes {
        if !given.contains_key(&index) {
            continue;
        }
        let is_unique = row_key(&moment.catalog, index, relation).is_some_and(|(_, key)| key.is_unique);
        match looked_up.get(&index).filter(|_| is_unique) {
            Some(keys) => reads.keys.extend(keys.iter().map(|key| (index, hash_of(key)))),
            None => drop(reads.relations.insert(relation)),
        }
    }
    reads
}

/// Each worker's share of each source at the moment, which the caller keeps held.
///
/// An index that has not taken in all rows yet, or lacks one whose key cannot be computed, or is gone since,
/// is not waited for: its relation is read instead, and gives the same answer.
///
/// # Errors
/// 42P01 where a relation was dropped since; 57P01 where the workers have stopped.
async fn snapshots(
    server: &Server,
    sources: Sources,
    looked_up: &BTreeMap<RelationId, BTreeSet<Key>>,
    moment: &Moment,
    looking: &Looking<'_>,
) -> Result<Snapshots, SqlError> {
    let Sources { mut relations, mut indexes } = sources;
    let mut snapshots = HashMap::with_capacity(relations.len() + indexes.len());
    indexes.retain(|index, relation| match server.shares().get(*index, moment.tick) {
        Some(shares) => {
            snapshots.insert(*index, shaped(shares, *relation, moment));
            false
        }
        None => true,
    });
    // All are asked before the first answer is awaited.
    let ask = |relation: RelationId| {
        (relation, server.engines().read(relation, moment.tick, Wanted::Rows, &moment.hold))
    };
    let ask_for_keys = |(index, relation): (RelationId, RelationId)| {
        let keys = looked_up.get(&index).cloned().unwrap_or_default();
        let wanted = Wanted::Keys(Arc::new(keys));
        (relation, index, server.engines().read(index, moment.tick, wanted, &moment.hold))
    };
    let is_stored = |relation: &RelationId| SystemRelation::of_id(*relation).is_none();
    let mut answers: Vec<_> = relations.iter().copied().filter(is_stored).map(ask).collect();
    let by_key: Vec<_> = indexes.into_iter().map(ask_for_keys).collect();
    for relation in relations.iter().copied().filter_map(SystemRelation::of_id) {
        snapshots.insert(relation.id(), vec![system::snapshot(server, relation, moment, looking).await?]);
    }
    for (relation, index, mut reading) in by_key {
        match reading.answer().await {
            Ok(shares) if shares.iter().all(Snapshot::is_complete) => {
                if !shares.iter().any(Snapshot::is_found) {
                    server.shares().keep(index, moment.tick, shares.clone());
                }
                drop(snapshots.insert(index, shaped(shares, relation, moment)))
            }
            _ if relations.insert(relation) => answers.push(ask(relation)),
            _ => {}
        }
    }
    for (relation, mut reading) in answers {
        let shares = reading.answer().await.map_err(|error| read_error(error, moment))?;
        snapshots.insert(relation, shaped(shares, relation, moment));
    }
    Ok(snapshots)
}

/// Shares of a relation, whose rows have the columns that it has at the moment.
fn shaped(shares: Vec<Snapshot>, relation: RelationId, moment: &Moment) -> Vec<Snapshot> {
    match moment.catalog.by_id(relation) {
        Some(relation) => shares.into_iter().map(|share| share.shaped(relation.shape())).collect(),
        None => shares,
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
    let column = |name: &str| Column::new(name.to_owned(), DataType::Text, false);
    let columns = names.map(column).to_vec();
    let values = |index: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[index])))
    };
    let values = (0..WIDTH).map(values).collect();
    let batch = batch_of(&[DataType::Text; WIDTH], values, rows.len()).map_err(SqlError::internal)?;
    let rows = Box::pin(stream::iter([Ok(Portion::alone(batch))]));
    Ok(Response::Rows { columns: columns.into(), rows, tag })
}
