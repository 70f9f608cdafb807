//! What a reduce gives: the row of a group at one moment, and blocks of changes as columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, StringArray, StringViewArray, new_null_array,
};
use timely::dataflow::operators::Capability;

use super::accumulate::Outcome;
use super::blocks::{BLOCK_BYTES, BLOCK_ROWS};
use super::edge::{EdgeSession, send};
use super::errors::ErrorRows;
use super::reduce::ReduceSpec;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::state::{ByteRows, RowCodec};
use crate::types::{DataType, Tick};

/// A group's row at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Group {
    /// No row.
    Absent,
    /// The aggregates.
    Row(Vec<Cell>),
    /// They cannot be computed.
    Wrong(DataError),
}

impl Group {
    /// Whether the row is arranged before another of the same group, as far as that is easily told.
    pub(super) fn is_before(&self, other: &Group) -> bool {
        let (Group::Row(cells), Group::Row(others)) = (self, other) else { return false };
        let differing = cells.iter().zip(others).find(|(cell, other)| cell != other);
        differing.is_some_and(|(cell, other)| match (cell, other) {
            (Cell::Value(value), Cell::Value(other)) => value.is_less(other),
            (Cell::Encoded(value), Cell::Encoded(other)) => value < other,
            (Cell::Text(value), Cell::Text(other)) => value < other,
            (Cell::Array(value), Cell::Array(other)) => value < other,
            (Cell::Value(_), Cell::Encoded(_) | Cell::Text(_) | Cell::Array(_)) => true,
            (Cell::Encoded(_) | Cell::Text(_) | Cell::Array(_), _) => false,
        })
    }
}

/// One aggregate of a group's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Computed from lanes.
    Value(Outcome),
    /// A value of an ordered trace, encoded.
    Encoded(Vec<u8>),
    /// A text made of the values of an ordered trace.
    Text(String),
    /// An array of them.
    Array(Vec<u8>),
}

/// A block of output.
pub(super) struct Output {
    key_codec: RowCodec,
    /// The output's columns: keys, then aggregates.
    columns: Vec<DataType>,
    keys: ByteRows,
    cells: Vec<CellColumn>,
    /// The encoded bytes so far.
    bytes: usize,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
    errors: ErrorRows,
    /// Room of rows that are no longer needed.
    rooms: Vec<Vec<Cell>>,
}

impl Output {
    pub(super) fn new(spec: &ReduceSpec) -> Output {
        let results = spec.layout.accumulators.iter().map(|accumulator| accumulator.spec.result);
        Output {
            key_codec: RowCodec::new(&spec.columns[..spec.keys]),
            columns: spec.output(),
            keys: ByteRows::default(),
            cells: results.map(CellColumn::new).collect(),
            bytes: 0,
            diffs: Vec::new(),
            ticks: Vec::new(),
            errors: ErrorRows::new(Arc::clone(&spec.operator)),
            rooms: Vec::new(),
        }
    }

    /// Room for the aggregates of a row.
    pub(super) fn room(&mut self) -> Vec<Cell> {
        self.rooms.pop().unwrap_or_default()
    }

    /// Takes back the room of a row.
    pub(super) fn recycle(&mut self, group: Group) {
        if let Group::Row(mut cells) = group {
            cells.clear();
            self.rooms.push(cells);
        }
    }

    pub(super) fn push(&mut self, key: &[u8], group: &Group, diff: i64, tick: Tick) {
        match group {
            Group::Absent => {}
            Group::Wrong(error) => self.errors.push(error.clone(), diff, tick),
            Group::Row(cells) => {
                self.keys.push(key);
                self.cells.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
                self.bytes += key.len() + cells.iter().map(Cell::bytes).sum::<usize>();
                self.diffs.push(diff);
                self.ticks.push(tick + Tick::from(planted::is_on(Bug::TickOffByOne)));
            }
        }
    }

    /// Whether a block is full.
    pub(super) fn is_full(&self) -> bool {
        self.diffs.len() >= BLOCK_ROWS || self.bytes >= BLOCK_BYTES
    }

    /// Sends the block; afterwards it is empty.
    pub(super) fn send(
        &mut self,
        [rows, errors]: &[Capability<Tick>; 2],
        [rows_port, errors_port]: [&mut EdgeSession<'_>; 2],
    ) {
        if !self.diffs.is_empty() {
            send(rows_port, rows, Deltas::one(self.take_rows()));
        }
        if let Some(wrong) = self.errors.take() {
            send(errors_port, errors, Deltas::one(wrong));
        }
    }

    fn take_rows(&mut self) -> Delta {
        let keys = std::mem::take(&mut self.keys);
        let mut columns = self.key_codec.decode(keys.iter()).expect("a group key is its own encoding");
        columns.extend(self.cells.iter_mut().map(CellColumn::take));
        let batch = batch_of(&self.columns, columns, keys.len()).expect("the output has the spec's types");
        self.bytes = 0;
        let (diffs, ticks) = (std::mem::take(&mut self.diffs), std::mem::take(&mut self.ticks));
        Delta { rows: batch, diffs: Col::Each(diffs), ticks: Col::Each(ticks) }
    }
}

impl Cell {
    /// About the bytes that it takes encoded.
    fn bytes(&self) -> usize {
        match self {
            Cell::Value(_) => size_of::<Outcome>(),
            Cell::Encoded(value) => value.len(),
            Cell::Text(value) => value.len(),
            Cell::Array(value) => value.len(),
        }
    }
}

/// One aggregate's column of a block.
struct CellColumn {
    data_type: DataType,
    outcomes: Vec<Outcome>,
    /// Encoded values of an ordered trace, NULL as encoded, too; empty where there are none.
    encoded: ByteRows,
    null: ByteRows,
    texts: Vec<Option<String>>,
    arrays: Vec<Option<Vec<u8>>>,
}

impl CellColumn {
    fn new(data_type: DataType) -> CellColumn {
        let null = RowCodec::new(&[data_type]).encode(&[new_null_array(&data_type.to_arrow(), 1)], 1);
        CellColumn {
            data_type,
            outcomes: Vec::new(),
            encoded: ByteRows::default(),
            null: null.expect("NULL has an encoding"),
            texts: Vec::new(),
            arrays: Vec::new(),
        }
    }

    /// Appends a cell. Only NULL is found in more than one form: among encoded values and texts it is
    /// an outcome.
    fn push(&mut self, cell: &Cell) {
        let rows = self.outcomes.len();
        match cell {
            Cell::Value(outcome) => {
                if !self.encoded.is_empty() {
                    self.encoded.push(self.null.get(0));
                }
                if !self.texts.is_empty() {
                    self.texts.push(None);
                }
                if !self.arrays.is_empty() {
                    self.arrays.push(None);
                }
                return self.outcomes.push(outcome.clone());
            }
            Cell::Encoded(value) => {
                (self.encoded.len()..rows).for_each(|_| self.encoded.push(self.null.get(0)));
                self.encoded.push(value);
            }
            Cell::Text(text) => {
                self.texts.resize(rows, None);
                self.texts.push(Some(text.clone()));
            }
            Cell::Array(array) => {
                self.arrays.resize(rows, None);
                self.arrays.push(Some(array.clone()));
            }
        }
        self.outcomes.push(Outcome::Null);
    }

    /// The cells as an array; afterwards there are none.
    fn take(&mut self) -> ArrayRef {
        let outcomes = std::mem::take(&mut self.outcomes);
        let encoded = std::mem::take(&mut self.encoded);
        if !encoded.is_empty() {
            let decoded = RowCodec::new(&[self.data_type]).decode(encoded.iter());
            let mut columns = decoded.expect("a trace holds its own encoding");
            return columns.pop().expect("one column was encoded");
        }
        let outcomes = outcomes.into_iter();
        match self.data_type {
            DataType::Boolean => Arc::new(BooleanArray::from_iter(outcomes.map(Outcome::boolean))),
            DataType::Int32 => Arc::new(Int32Array::from_iter(outcomes.map(Outcome::int32))),
            DataType::Int64 => Arc::new(Int64Array::from_iter(outcomes.map(Outcome::int64))),
            DataType::Float64 => Arc::new(Float64Array::from_iter(outcomes.map(Outcome::float64))),
            DataType::Numeric { .. } => {
                let column = Decimal128Array::from_iter(outcomes.map(Outcome::numeric));
                Arc::new(column.with_data_type(self.data_type.to_arrow()))
            }
            DataType::Text => {
                let mut texts = std::mem::take(&mut self.texts);
                texts.resize(outcomes.len(), None);
                Arc::new(StringArray::from_iter(texts))
            }
            DataType::Interval => {
                Arc::new(IntervalMonthDayNanoArray::from_iter(outcomes.map(Outcome::interval)))
            }
            DataType::Array(_) => {
                let mut arrays = std::mem::take(&mut self.arrays);
                arrays.resize(outcomes.len(), None);
                Arc::new(BinaryViewArray::from_iter(arrays))
            }
            DataType::Decimal => Arc::new(StringViewArray::from_iter(outcomes.map(Outcome::decimal))),
            DataType::Timestamp
            | DataType::Date
            | DataType::Time
            | DataType::Char
            | DataType::Limited(_)
            | DataType::Json
            | DataType::Jsonb
            | DataType::TimestampTz
            | DataType::Uuid
            | DataType::Bytea
            | DataType::Int16
            | DataType::Float32 => new_null_array(&self.data_type.to_arrow(), outcomes.len()),
        }
    }
}
