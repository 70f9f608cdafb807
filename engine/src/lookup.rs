//! Reads by key: the rows of an index's batches that have one of some keys, found by seeking.
//!
//! An index on one worker is an arrangement (dataflow/shared.rs): batches whose keys are the encoded key
//! columns and whose values are whole rows. A reader gets these batches as it gets a relation's, and seeks
//! each key in each batch, in the logarithm of the batch's length. A row whose key is NULL is in no index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::ArrayRef;

use crate::error::DataError;
use crate::literals::column_of_literals;
use crate::state::{NetRow, NetRows, RowCodec, Shared, normalise_keys};
use crate::types::{DataType, Literal, Tick};

/// Encoded keys.
type Keys = Arc<[Box<[u8]>]>;

/// What makes the share of an index of a snapshot.
#[derive(Clone)]
pub(crate) struct Lookup {
    /// The types of the key columns.
    keys: Vec<DataType>,
    /// Error rows for the rows whose key cannot be computed.
    errors: Vec<Shared>,
    /// The encoded keys that are looked for, ascending, each once.
    wanted: Keys,
}

impl Lookup {
    /// Of an index by keys of these types. It finds nothing yet.
    pub(crate) fn new(keys: Vec<DataType>, errors: Vec<Shared>) -> Lookup {
        Lookup { keys, errors, wanted: Arc::default() }
    }

    /// Whether every row with a key is there.
    pub(crate) fn is_complete(&self, tick: Tick) -> bool {
        NetRows::new(self.errors.clone(), tick).all(|error| error.count <= 0)
    }

    /// The same, looking for these keys.
    pub(crate) fn of_keys(&self, keys: &[Vec<Literal>]) -> Result<Lookup, DataError> {
        let forms = || self.keys.iter().map(|column| column.to_arrow());
        let fits = |key: &Vec<Literal>| key.iter().map(|value| value.data_type().to_arrow()).eq(forms());
        if !keys.iter().all(fits) {
            return Err(DataError::new("XX000", "a key does not have the types of its index"));
        }
        let column = |(index, data_type): (usize, &DataType)| -> ArrayRef {
            column_of_literals(*data_type, keys.iter().map(|key| &key[index]))
        };
        let columns: Vec<ArrayRef> = self.keys.iter().enumerate().map(column).collect();
        let encoded = RowCodec::new(&self.keys).encode(&normalise_keys(&columns), keys.len())?;
        Ok(self.of_encoded(encoded.iter().map(Box::from).collect()))
    }

    /// The same, looking for these keys in their encoding.
    pub(crate) fn of_encoded(&self, wanted: BTreeSet<Box<[u8]>>) -> Lookup {
        Lookup { wanted: wanted.into_iter().collect(), ..self.clone() }
    }
}

/// The net rows of batches: all, or those of the wanted keys one key after the other.
pub(crate) struct FoundRows {
    batches: Vec<Shared>,
    tick: Tick,
    /// The keys that are still to be looked for, and which comes next; none where all rows are read.
    wanted: Option<(Keys, usize)>,
    open: NetRows,
    visited: Arc<AtomicU64>,
    /// The same since `take_visited` was called.
    visited_here: u64,
}

impl FoundRows {
    pub(crate) fn new(
        batches: &[Shared],
        lookup: Option<&Lookup>,
        tick: Tick,
        visited: &Arc<AtomicU64>,
    ) -> FoundRows {
        let (batches, visited) = (batches.to_vec(), Arc::clone(visited));
        let wanted = lookup.map(|lookup| (Arc::clone(&lookup.wanted), 0));
        let of_all = if wanted.is_none() { batches.clone() } else { Vec::new() };
        FoundRows { batches, tick, wanted, open: NetRows::new(of_all, tick), visited, visited_here: 0 }
    }

    /// The updates looked at since the last call.
    pub(crate) fn take_visited(&mut self) -> u64 {
        self.count();
        std::mem::take(&mut self.visited_here)
    }

    /// The encoded row of a net row.
    pub(crate) fn bytes(&self, row: NetRow) -> &[u8] {
        let batch = &self.batches[row.batch];
        if self.wanted.is_some() { batch.value(row.row) } else { batch.key(row.row) }
    }

    /// Goes on to the next key; false where there is none. A seek in a batch counts as a visit.
    fn seek_next(&mut self) -> bool {
        self.count();
        let Some((wanted, next)) = &mut self.wanted else { return false };
        let Some(key) = wanted.get(*next) else { return false };
        *next += 1;
        self.open = NetRows::of_key(self.batches.clone(), key, self.tick);
        self.add_visited(self.batches.len() as u64);
        true
    }

    /// Tells the counter what was looked at since it was told last.
    fn count(&mut self) {
        let visited = self.open.take_visited();
        self.add_visited(visited);
    }

    fn add_visited(&mut self, visited: u64) {
        self.visited_here += visited;
        self.visited.fetch_add(visited, Ordering::Relaxed);
    }
}

impl Iterator for FoundRows {
    type Item = NetRow;

    fn next(&mut self) -> Option<NetRow> {
        loop {
            if let Some(row) = self.open.next() {
                return Some(row);
            }
            if !self.seek_next() {
                return None;
            }
        }
    }
}

impl Drop for FoundRows {
    fn drop(&mut self) {
        self.count();
    }
}
