//! A block of output on its way out of a driver whose traces hold whole rows, encoded.

use std::sync::Arc;

use arrow::array::Int64Array;

use super::blocks::{BLOCK_BYTES, BLOCK_ROWS};
use super::errors::ErrorRows;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::state::{ByteRows, RowCodec};
use crate::types::{DataType, Tick};

/// Changes of encoded rows, perhaps each with a number as its last column, and error rows.
pub(super) struct Output {
    codec: RowCodec,
    /// The leading columns of the encoding that are left out.
    skipped: usize,
    columns: Vec<DataType>,
    values: ByteRows,
    numbers: Vec<i64>,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
    /// Error rows, taken by themselves.
    pub(super) errors: ErrorRows,
}

impl Output {
    /// Nothing yet. `columns` are those that go out: the encoding's behind `skipped`, then the number's.
    pub(super) fn new(
        codec: RowCodec,
        skipped: usize,
        columns: Vec<DataType>,
        operator: &Arc<str>,
    ) -> Output {
        Output {
            codec,
            skipped,
            columns,
            values: ByteRows::default(),
            numbers: Vec::new(),
            diffs: Vec::new(),
            ticks: Vec::new(),
            errors: ErrorRows::new(Arc::clone(operator)),
        }
    }

    /// Adds a change, if it is one. All rows have a number, or none.
    pub(super) fn push(&mut self, value: &[u8], number: Option<i64>, diff: i64, tick: Tick) {
        if diff != 0 {
            self.values.push(value);
            self.numbers.extend(number);
            self.diffs.push(diff);
            self.ticks.push(tick);
        }
    }

    /// Whether a block is full.
    pub(super) fn is_full(&self) -> bool {
        self.values.len() >= BLOCK_ROWS || self.values.data_bytes() >= BLOCK_BYTES
    }

    /// The rows so far; afterwards there are none.
    pub(super) fn take_rows(&mut self) -> Deltas {
        if self.values.is_empty() {
            return Deltas::default();
        }
        let values = std::mem::take(&mut self.values);
        let decoded = self.codec.decode(values.iter()).expect("a trace holds its own encoding");
        let mut columns = decoded.get(self.skipped..).unwrap_or_default().to_vec();
        let numbers = std::mem::take(&mut self.numbers);
        if !numbers.is_empty() {
            columns.push(Arc::new(Int64Array::from(numbers)));
        }
        let rows = batch_of(&self.columns, columns, values.len()).expect("a trace holds its own columns");
        let (diffs, ticks) = (std::mem::take(&mut self.diffs), std::mem::take(&mut self.ticks));
        Deltas::one(Delta { rows, diffs: Col::Each(diffs), ticks: Col::Each(ticks) })
    }
}
