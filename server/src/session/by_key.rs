//! The rows of a table that have some keys of an index, at a moment and with what the block has written.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use millrace_engine::Snapshot;
use millrace_sql::{Relation, RowKey, SqlError};

use crate::coordinator::{Moment, is_provisional};
use crate::engines::Wanted;
use crate::session::Session;
use crate::session::block::Block;
use crate::session::keys::{Key, keys_of_rows};
use crate::session::own::united;
use crate::session::read::read_error;

/// More keys than this are looked for on a thread of its own, so that other connections go on.
const KEYS_INLINE_MAX: usize = 256;

impl Session {
    /// The share that has the rows with these keys, perhaps beside others. Where the index does not answer, which
    /// it does not while it takes in its rows, the whole table is looked through.
    pub(super) async fn rows_by_key(
        &mut self,
        table: &Relation,
        key: &RowKey,
        wanted: BTreeSet<Key>,
        moment: &Moment,
    ) -> Result<Snapshot, SqlError> {
        let found = match self.shares_by_key(table, key, &wanted, moment).await? {
            Some(shares) => rows_of(shares, wanted.len()).await?,
            None => self.looked_through(table, key, &wanted, moment).await?,
        };
        let shape = table.shape();
        let mut share = Snapshot::new(Vec::new(), moment.tick, Vec::new(), Vec::new()).shaped(shape.clone());
        for rows in &found {
            share = united(share, Snapshot::of_rows(&shape, moment.tick, rows, 1)?);
        }
        if let Block::Open(transaction) = &mut self.block {
            for (rows, diff) in transaction.own.rows_with(table, key, &wanted)? {
                share = united(share, Snapshot::of_rows(&shape, moment.tick, &rows, diff)?);
            }
        }
        Ok(share)
    }

    /// The workers' shares of the rows with these keys; `None` where the index does not answer.
    async fn shares_by_key(
        &self,
        table: &Relation,
        key: &RowKey,
        wanted: &BTreeSet<Key>,
        moment: &Moment,
    ) -> Result<Option<Vec<Snapshot>>, SqlError> {
        if is_provisional(table.id) || wanted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if is_provisional(key.index) {
            return Ok(None);
        }
        let wanted_keys = Wanted::Keys(Arc::new(wanted.clone()));
        let mut reading = self.server.engines().read(key.index, moment.tick, wanted_keys, &moment.hold);
        let Ok(shares) = reading.answer().await else { return Ok(None) };
        if !shares.iter().all(Snapshot::is_complete) {
            return Ok(None);
        }
        if let Some(error) = shares.iter().filter_map(Snapshot::error).min() {
            return Err(error.into());
        }
        let shaped = shares.into_iter().map(|share| share.shaped(table.shape()));
        let found = shaped.map(|share| share.find_encoded(wanted.clone()));
        Ok(Some(found.collect::<Result<_, _>>()?))
    }

    async fn looked_through(
        &self,
        table: &Relation,
        key: &RowKey,
        wanted: &BTreeSet<Key>,
        moment: &Moment,
    ) -> Result<Vec<RecordBatch>, SqlError> {
        let mut reading = self.server.engines().read(table.id, moment.tick, Wanted::Rows, &moment.hold);
        let shares = reading.answer().await.map_err(|error| read_error(error, moment))?;
        let shares = shares.into_iter().map(|share| share.shaped(table.shape())).collect();
        let mut found = Vec::new();
        for rows in rows_of(shares, usize::MAX).await? {
            let is_wanted = |found: &Option<Key>| found.as_ref().is_some_and(|found| wanted.contains(found));
            let mask: BooleanArray =
                keys_of_rows(key, &rows)?.iter().map(|key| Some(is_wanted(key))).collect();
            found.push(filter_record_batch(&rows, &mask).map_err(SqlError::internal)?);
        }
        Ok(found)
    }
}

/// All rows of shares; `keys` says how many were looked for.
pub(super) async fn rows_of(shares: Vec<Snapshot>, keys: usize) -> Result<Vec<RecordBatch>, SqlError> {
    let is_elsewhere = shares.iter().any(Snapshot::is_elsewhere);
    let collect = move || {
        let rows = shares.iter().flat_map(Snapshot::rows).collect::<Result<Vec<RecordBatch>, _>>();
        rows.map_err(SqlError::from)
    };
    if keys <= KEYS_INLINE_MAX && !is_elsewhere {
        return collect();
    }
    tokio::task::spawn_blocking(collect).await.map_err(SqlError::internal)?
}
