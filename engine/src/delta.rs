//! `Delta`: a batch of changes, the form in which data moves between operators.
//!
//! Arrow columns, a diff a row and a tick a row; the latter two are usually one value for the
//! whole batch. `Deltas` is the container that timely moves: between worker threads as it is,
//! between processes as Arrow IPC.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_empty_array};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::error::ArrowError;

use crate::types::{DataType, Tick, schema_of};

/// A column that is often one value throughout: then it takes no memory a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Col<X> {
    /// The same value, this many times.
    Const(X, usize),
    /// One value a row.
    Each(Vec<X>),
}

impl<X: Copy + PartialEq> Col<X> {
    /// The value of a row.
    ///
    /// # Panics
    /// Where `row` is out of range (for `Const` in debug builds only).
    #[inline]
    pub fn get(&self, row: usize) -> X {
        match self {
            Col::Const(value, len) => {
                debug_assert!(row < *len);
                *value
            }
            Col::Each(values) => values[row],
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Col::Const(_, len) => *len,
            Col::Each(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = X> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The rows at these positions, in this order.
    pub fn take(&self, rows: &[u32]) -> Col<X> {
        match self {
            Col::Const(value, _) => Col::Const(*value, rows.len()),
            Col::Each(values) => Col::Each(rows.iter().map(|row| values[*row as usize]).collect()),
        }
    }

    /// `len` rows from `offset` on.
    pub fn slice(&self, offset: usize, len: usize) -> Col<X> {
        match self {
            Col::Const(value, _) => Col::Const(*value, len),
            Col::Each(values) => Col::Each(values[offset..offset + len].to_vec()),
        }
    }

    /// Appends `value`, staying constant while it can.
    pub fn push(&mut self, value: X) {
        match self {
            Col::Const(constant, len) if *len == 0 || *constant == value => {
                *constant = value;
                *len += 1;
            }
            Col::Const(constant, len) => {
                let mut values = vec![*constant; *len];
                values.push(value);
                *self = Col::Each(values);
            }
            Col::Each(values) => values.push(value),
        }
    }

    /// The least and the greatest value; `None` without values.
    pub fn span(&self) -> Option<(X, X)>
    where
        X: Ord,
    {
        match self {
            Col::Const(_, 0) => None,
            Col::Const(value, _) => Some((*value, *value)),
            Col::Each(values) => Some((*values.iter().min()?, *values.iter().max()?)),
        }
    }

    /// Appends all values of another, staying constant while it can.
    pub fn append(&mut self, other: &Col<X>) {
        self.append_range(other, 0..other.len());
    }

    /// Appends some values of another, staying constant while it can.
    #[inline]
    pub fn append_range(&mut self, other: &Col<X>, rows: Range<usize>) {
        match (&mut *self, other) {
            (_, _) if rows.is_empty() => {}
            (Col::Const(_, 0), Col::Const(value, _)) => *self = Col::Const(*value, rows.len()),
            (Col::Const(_, 0), Col::Each(_)) => rows.for_each(|row| self.push(other.get(row))),
            (Col::Const(value, len), Col::Const(other, _)) if value == other => *len += rows.len(),
            (Col::Each(values), Col::Each(others)) => values.extend_from_slice(&others[rows]),
            (Col::Each(values), Col::Const(other, _)) => {
                values.extend(std::iter::repeat_n(*other, rows.len()));
            }
            (Col::Const(value, len), _) => {
                let mut values = vec![*value; *len];
                values.extend(rows.map(|row| other.get(row)));
                *self = Col::Each(values);
            }
        }
    }

    /// The bytes that the column takes.
    pub fn bytes(&self) -> usize {
        match self {
            Col::Const(..) => 0,
            Col::Each(values) => values.capacity() * size_of::<X>(),
        }
    }
}

/// A batch of changes. Invariant: rows, diffs and ticks have the same length, which is not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// The rows, columns named `c0`, `c1`, ….
    pub rows: RecordBatch,
    /// By how much each row's multiplicity changes.
    pub diffs: Col<i64>,
    /// When each change takes effect.
    pub ticks: Col<Tick>,
}

impl Delta {
    /// All rows with one diff, at one tick.
    pub fn uniform(rows: RecordBatch, diff: i64, tick: Tick) -> Delta {
        let len = rows.num_rows();
        Delta { rows, diffs: Col::Const(diff, len), ticks: Col::Const(tick, len) }
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The changes at these positions, in this order.
    ///
    /// # Errors
    /// Where a position is out of range.
    pub fn take(&self, rows: &[u32]) -> Result<Delta, ArrowError> {
        let indices = UInt32Array::from(rows.to_vec());
        let batch = if self.rows.num_columns() == 0 {
            batch_of(&[], Vec::new(), rows.len())?
        } else {
            take_record_batch(&self.rows, &indices)?
        };
        Ok(Delta { rows: batch, diffs: self.diffs.take(rows), ticks: self.ticks.take(rows) })
    }

    /// The same changes of the first columns alone.
    pub(crate) fn columns_to(&self, columns: usize) -> Delta {
        let indices: Vec<usize> = (0..columns).collect();
        self.with_rows(self.rows.project(&indices).expect("there are so many columns"))
    }

    /// `len` changes from `offset` on, without a copy of the columns.
    pub fn slice(&self, offset: usize, len: usize) -> Delta {
        Delta {
            rows: self.rows.slice(offset, len),
            diffs: self.diffs.slice(offset, len),
            ticks: self.ticks.slice(offset, len),
        }
    }

    /// One of `parts` even pieces; `None` where it is empty.
    pub(crate) fn part(&self, place: usize, parts: usize) -> Option<Delta> {
        let (from, to) = (self.len() * place / parts, self.len() * (place + 1) / parts);
        (to > from).then(|| self.slice(from, to - from))
    }

    /// The same changes with other columns (of the same number of rows).
    pub fn with_rows(&self, rows: RecordBatch) -> Delta {
        debug_assert_eq!(rows.num_rows(), self.len());
        Delta { rows, diffs: self.diffs.clone(), ticks: self.ticks.clone() }
    }

    /// The earliest tick of a change.
    pub fn tick_min(&self) -> Tick {
        self.ticks.span().map_or(Tick::MAX, |(least, _)| least)
    }

    /// The changes at or after a tick; `None` where there are none. All of them are not copied.
    pub fn since(self: &Arc<Delta>, tick: Tick) -> Option<Arc<Delta>> {
        if self.tick_min() >= tick {
            return Some(Arc::clone(self));
        }
        let is_since = |row: &u32| self.ticks.get(*row as usize) >= tick;
        let rows: Vec<u32> = (0..self.len() as u32).filter(is_since).collect();
        (!rows.is_empty()).then(|| Arc::new(self.take(&rows).expect("row positions are in range")))
    }

    /// The bytes that the columns take.
    pub fn bytes(&self) -> usize {
        batch_bytes(&self.rows) + self.diffs.bytes() + self.ticks.bytes()
    }
}

/// The bytes that the rows of a batch take: of a slice its own, not the whole it was cut from.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    let size = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(size).sum()
}

/// A batch of unnamed columns; `rows` counts also where there are no columns.
///
/// # Errors
/// Where a column has another type or length.
pub fn batch_of(types: &[DataType], columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema_of(types), columns, &options)
}

/// The batch without rows of these column types.
pub fn empty_batch(types: &[DataType]) -> RecordBatch {
    let columns = types.iter().map(|t| new_empty_array(&t.to_arrow())).collect();
    batch_of(types, columns, 0).unwrap_or_else(|_| RecordBatch::new_empty(schema_of(types)))
}

/// One batch with the rows of all.
///
/// # Errors
/// Where the column types differ.
pub fn concat(types: &[DataType], batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    if types.is_empty() {
        return batch_of(types, Vec::new(), batches.iter().map(RecordBatch::num_rows).sum());
    }
    concat_batches(&schema_of(types), batches)
}

/// The rows for which `keep` is true.
///
/// # Errors
/// Where the lengths differ.
pub fn filter(batch: &RecordBatch, keep: &arrow::array::BooleanArray) -> Result<RecordBatch, ArrowError> {
    if batch.num_columns() == 0 {
        return batch_of(&[], Vec::new(), keep.true_count());
    }
    filter_record_batch(batch, keep)
}

/// What travels on a dataflow edge: a list of deltas, counted by rows.
#[derive(Clone, Debug, Default)]
pub struct Deltas {
    /// The batches, in order.
    pub list: Vec<Arc<Delta>>,
}
