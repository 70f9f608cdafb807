//! What a reduce gives: the row of a group at one moment, and the changes of one seal as columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use timely::dataflow::operators::Capability;

use super::accumulate::Outcome;
use super::blocks::chunks_by_size;
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

/// One aggregate of a group's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Computed from lanes.
    Value(Outcome),
    /// A value of an ordered trace, encoded.
    Encoded(Vec<u8>),
    /// A text made of the values of an ordered trace.
    Text(String),
}

/// Collects the output of one seal.
pub(super) struct Output {
    keys: ByteRows,
    cells: Vec<Vec<Cell>>,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
    errors: ErrorRows,
}

impl Output {
    pub(super) fn new(spec: &ReduceSpec) -> Output {
        Output {
            keys: ByteRows::default(),
            cells: vec![Vec::new(); spec.layout.accumulators.len()],
            diffs: Vec::new(),
            ticks: Vec::new(),
            errors: ErrorRows::new(Arc::clone(&spec.operator)),
        }
    }

    pub(super) fn push(&mut self, key: &[u8], group: &Group, diff: i64, tick: Tick) {
        match group {
            Group::Absent => {}
            Group::Wrong(error) => self.errors.push(error.clone(), diff, tick),
            Group::Row(cells) => {
                self.keys.push(key);
                self.cells.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell.clone()));
                self.diffs.push(diff);
                self.ticks.push(tick + Tick::from(planted::is_on(Bug::TickOffByOne)));
            }
        }
    }

    pub(super) fn send(
        mut self,
        spec: &ReduceSpec,
        held: &[Option<Capability<Tick>>; 2],
        ports: [&mut EdgeSession<'_>; 2],
    ) {
        let [rows_port, errors_port] = ports;
        if let (Some(capability), false) = (&held[0], self.diffs.is_empty()) {
            let rows: Vec<usize> = (0..self.diffs.len()).collect();
            let blocks = chunks_by_size(&rows, |row| self.bytes(*row));
            let blocks = blocks.map(|rows| Arc::new(self.build(spec, rows[0]..rows[0] + rows.len())));
            send(rows_port, capability, Deltas { list: blocks.collect() });
        }
        if let (Some(capability), Some(errors)) = (&held[1], self.errors.take()) {
            send(errors_port, capability, Deltas::one(errors));
        }
    }

    /// The encoded bytes of a row.
    fn bytes(&self, row: usize) -> usize {
        let cell = |column: &Vec<Cell>| match &column[row] {
            Cell::Value(_) => size_of::<Outcome>(),
            Cell::Encoded(value) => value.len(),
            Cell::Text(value) => value.len(),
        };
        self.keys.get(row).len() + self.cells.iter().map(cell).sum::<usize>()
    }

    fn build(&self, spec: &ReduceSpec, rows: Range<usize>) -> Delta {
        let codec = RowCodec::new(&spec.columns[..spec.keys]);
        let keys = codec.decode(rows.clone().map(|row| self.keys.get(row)));
        let mut columns = keys.expect("a group key is its own encoding");
        for (accumulator, cells) in spec.layout.accumulators.iter().zip(&self.cells) {
            columns.push(column_of(accumulator.spec.result, &cells[rows.clone()]));
        }
        let batch = batch_of(&spec.output(), columns, rows.len()).expect("the output has the spec's types");
        let (diffs, ticks) = (self.diffs[rows.clone()].to_vec(), self.ticks[rows].to_vec());
        Delta { rows: batch, diffs: Col::Each(diffs), ticks: Col::Each(ticks) }
    }
}

/// The cells of one aggregate as a column of its type.
fn column_of(data_type: DataType, cells: &[Cell]) -> ArrayRef {
    if cells.iter().any(|cell| matches!(cell, Cell::Encoded(_))) {
        return extreme_column(data_type, cells);
    }
    let outcomes = cells.iter().map(|cell| match cell {
        Cell::Value(outcome) => *outcome,
        Cell::Encoded(_) | Cell::Text(_) => Outcome::Null,
    });
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(outcomes.map(Outcome::boolean))),
        DataType::Int32 => Arc::new(Int32Array::from_iter(outcomes.map(Outcome::int32))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(outcomes.map(Outcome::int64))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(outcomes.map(Outcome::float64))),
        DataType::Numeric { .. } => {
            let column = Decimal128Array::from_iter(outcomes.map(Outcome::numeric));
            Arc::new(column.with_data_type(data_type.to_arrow()))
        }
        DataType::Text => {
            let texts = cells.iter().map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                Cell::Value(_) | Cell::Encoded(_) => None,
            });
            Arc::new(StringArray::from_iter(texts))
        }
        DataType::Timestamp | DataType::Date | DataType::Interval => {
            arrow::array::new_null_array(&data_type.to_arrow(), cells.len())
        }
    }
}

/// Encoded values, and NULLs between them, as a column.
fn extreme_column(data_type: DataType, cells: &[Cell]) -> ArrayRef {
    let codec = RowCodec::new(&[data_type]);
    let null = codec.encode(&[arrow::array::new_null_array(&data_type.to_arrow(), 1)], 1);
    let null = null.expect("NULL has an encoding");
    let encoded = cells.iter().map(|cell| match cell {
        Cell::Encoded(value) => value.as_slice(),
        Cell::Value(_) | Cell::Text(_) => null.get(0),
    });
    let mut columns = codec.decode(encoded).expect("a trace holds its own encoding");
    columns.pop().expect("one column was encoded")
}
