//! `Snapshot`: one worker's share of a relation at one tick, readable on any thread.
//!
//! A worker answers a read with the list of its immutable batches (microseconds); the reader
//! merges, filters by tick and streams Arrow on its own thread. Invariant: what a snapshot shows
//! does not change, however the relation goes on.

use arrow::array::RecordBatch;

use crate::error::DataError;
use crate::types::{DataType, Tick};

/// One worker's share of a relation at one tick.
#[derive(Clone)]
pub struct Snapshot {
    /// The columns' types.
    pub columns: Vec<DataType>,
    /// All changes at or before this tick are in, none after.
    pub tick: Tick,
    // batches of rows and of errors come here
}

impl Snapshot {
    /// The least error of the relation at the tick, if it is in error: then no rows may be shown.
    pub fn error(&self) -> Option<DataError> {
        unimplemented!()
    }

    /// The rows in batches of at most 8,192, each repeated as often as its multiplicity says, in
    /// the order of their encoding.
    ///
    /// # Errors
    /// XX000 where a row has a negative multiplicity (it names the row count, the caller adds the relation).
    pub fn rows(&self) -> impl Iterator<Item = Result<RecordBatch, DataError>> + Send + 'static {
        std::iter::empty()
    }
}
