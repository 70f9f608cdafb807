//! What a transaction block has written itself, as its own statements see it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use millrace_engine::{RelationId, RowShape, Snapshot, Tick};
use millrace_sql::{Relation, RelationKind, RowKey, SqlError};

use crate::coordinator::Write;
use crate::session::keys::{Key, keys_of_rows};

/// The writes of a block, in order, and what was made of them for readers.
#[derive(Default)]
pub(super) struct OwnWrites {
    writes: Vec<Write>,
    /// The tables that were written.
    tables: BTreeSet<RelationId>,
    /// Each table's share, and how many of its writes are in it.
    shares: HashMap<RelationId, (usize, Snapshot)>,
    /// By index: where rows with a key are.
    keys: HashMap<RelationId, OwnKeys>,
}

/// Where the rows with each key are: the write and the row in it.
#[derive(Default)]
struct OwnKeys {
    /// How many writes have been looked at.
    seen: usize,
    places: HashMap<Key, Vec<(usize, u32)>>,
}

impl OwnWrites {
    /// Adds writes.
    pub(super) fn extend(&mut self, writes: Vec<Write>) {
        self.tables.extend(writes.iter().map(|write| write.relation));
        self.writes.extend(writes);
    }

    /// How many writes there are.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// Forgets all writes but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.writes.len() {
            self.writes.truncate(len);
            self.tables = self.writes.iter().map(|write| write.relation).collect();
            self.shares.clear();
            self.keys.clear();
        }
    }

    /// The rows of a table have these columns from now on, or again.
    ///
    /// # Errors
    /// XX000 where they cannot have them.
    pub(super) fn fit(&mut self, table: RelationId, shape: &RowShape) -> Result<(), SqlError> {
        for write in self.writes.iter_mut().filter(|write| write.relation == table) {
            write.rows = shape.fit(&write.rows, shape.columns().len())?;
        }
        self.shares.remove(&table);
        Ok(())
    }

    /// The tables that were written.
    pub(super) fn tables(&self) -> &BTreeSet<RelationId> {
        &self.tables
    }

    /// Whether a table was written.
    pub(super) fn has(&self, table: RelationId) -> bool {
        self.tables.contains(&table)
    }

    /// The writes to relations that are `left`.
    pub(super) fn into_writes(self, left: impl Fn(RelationId) -> bool) -> Vec<Write> {
        self.writes.into_iter().filter(|write| left(write.relation)).collect()
    }

    /// The share of a table that the writes make; an empty one of a stream, which keeps nothing.
    pub(super) fn share(&mut self, table: &Relation, tick: Tick) -> Result<Snapshot, SqlError> {
        let empty = || Snapshot::new(Vec::new(), tick, Vec::new(), Vec::new()).shaped(table.shape());
        if !matches!(table.kind, RelationKind::Table { keep_rows: true, .. }) {
            return Ok(empty());
        }
        let writes: Vec<&Write> = self.writes.iter().filter(|write| write.relation == table.id).collect();
        let (seen, mut share) = self.shares.remove(&table.id).unwrap_or_else(|| (0, empty()));
        for write in &writes[seen..] {
            share = united(share, Snapshot::of_rows(&table.shape(), tick, &write.rows, write.diff)?);
        }
        self.shares.insert(table.id, (writes.len(), share.clone()));
        Ok(share)
    }

    /// The rows with some keys of an index, and by how much they change.
    pub(super) fn rows_with(
        &mut self,
        table: &Relation,
        key: &RowKey,
        wanted: &BTreeSet<Key>,
    ) -> Result<Vec<(RecordBatch, i64)>, SqlError> {
        if !self.has(table.id) {
            return Ok(Vec::new());
        }
        let own = self.keys.entry(key.index).or_default();
        for (place, write) in self.writes.iter().enumerate().skip(own.seen) {
            if write.relation == table.id {
                own.add(key, place, write)?;
            }
        }
        own.seen = self.writes.len();
        let mut found: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (write, row) in wanted.iter().filter_map(|key| own.places.get(key)).flatten() {
            found.entry(*write).or_default().push(*row);
        }
        let taken = |(write, rows): (usize, Vec<u32>)| {
            let write = &self.writes[write];
            let rows =
                take_record_batch(&write.rows, &UInt32Array::from(rows)).map_err(SqlError::internal)?;
            Ok((rows, write.diff))
        };
        found.into_iter().map(taken).collect()
    }
}

impl OwnKeys {
    fn add(&mut self, key: &RowKey, place: usize, write: &Write) -> Result<(), SqlError> {
        for (row, key) in (0..).zip(keys_of_rows(key, &write.rows)?) {
            if let Some(key) = key {
                self.places.entry(key).or_default().push((place, row));
            }
        }
        Ok(())
    }
}

/// Two shares of one relation as one.
pub(super) fn united(share: Snapshot, other: Snapshot) -> Snapshot {
    let empty = Snapshot::new(Vec::new(), share.tick, Vec::new(), Vec::new()).shaped(share.shape().clone());
    Snapshot::united([share, other]).unwrap_or(empty)
}
