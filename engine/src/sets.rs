//! Functions that give rows, called for each row of a batch: a part of what they give at a time.
//!
//! Several calls of a row go in step: the n-th row of each stand in one output row, and one that has ended before
//! the others is NULL there. What runs a dataflow and what runs a query once both walk a batch by this, so they
//! cannot differ.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::DataType as ArrowType;

use crate::error::DataError;
use crate::literals::column_of_literals;
use crate::types::{DataType, Literal};

/// A function that gives rows.
pub trait SetFunction: Send + Sync {
    /// The function over the arguments of a batch's rows.
    fn open(&self, arguments: Vec<ArrayRef>) -> Box<dyn SetRows>;
}

/// A function at work on one row after the other.
pub trait SetRows: Send {
    /// Calls it with the arguments of a row.
    ///
    /// # Errors
    /// What the row's arguments make of it. Then it gives nothing for the row.
    fn start(&mut self, row: usize) -> Result<(), DataError>;

    /// Appends up to `most` further rows of the call to `columns`, a list a column, and tells how many: less than
    /// `most` only where the call ends.
    ///
    /// # Errors
    /// Then the call ends behind the rows that were appended. Which row fails must follow from the arguments alone,
    /// so that a deletion takes back what an insertion gave.
    fn give(&mut self, most: usize, columns: &mut [Vec<Literal>]) -> Result<usize, DataError>;
}

/// The calls of a batch's rows.
pub struct CallsInStep {
    calls: Vec<OpenCall>,
    /// Whether the rows of each input row are numbered.
    numbered: bool,
    /// Whether an input row for which nothing is given comes once, with NULLs.
    outer: bool,
    rows: usize,
    row: usize,
    /// How many rows the current one has given; `None` before its calls.
    given: Option<i64>,
}

struct OpenCall {
    rows: Box<dyn SetRows>,
    columns: Vec<DataType>,
    has_ended: bool,
}

/// A part of what calls give.
#[derive(Debug)]
pub struct CalledRows {
    /// For each output row the input row that it is of.
    pub rows: Vec<u32>,
    /// The columns of the calls; then the number, if there is one.
    pub columns: Vec<ArrayRef>,
    /// The input rows that failed.
    pub failed: Vec<(u32, DataError)>,
}

/// At most so many rows are asked of a call at once: it may end long before.
const STEP_ROWS: usize = 256;

impl CallsInStep {
    /// Calls with their columns, over a batch of so many rows.
    pub fn new(
        calls: impl IntoIterator<Item = (Box<dyn SetRows>, Vec<DataType>)>,
        rows: usize,
        numbered: bool,
        outer: bool,
    ) -> CallsInStep {
        let open = |(rows, columns)| OpenCall { rows, columns, has_ended: false };
        CallsInStep {
            calls: calls.into_iter().map(open).collect(),
            numbered,
            outer,
            rows,
            row: 0,
            given: None,
        }
    }

    /// Whether every row has given what it gives.
    pub fn is_done(&self) -> bool {
        self.row >= self.rows
    }

    /// The next output rows. Before each step `room` is asked, with the input row and the number of output rows so
    /// far, how many further ones there is room for; none ends the part. It must have room for the first.
    pub fn next(&mut self, mut room: impl FnMut(usize, usize) -> usize) -> CalledRows {
        let mut out = Vec::new();
        let mut failed = Vec::new();
        let mut numbers = Vec::new();
        let mut columns: Vec<Vec<Literal>> = self.types().map(|_| Vec::new()).collect();
        while !self.is_done() {
            let most = room(self.row, out.len()).min(STEP_ROWS);
            if most == 0 {
                break;
            }
            let row = self.row as u32;
            let (step, error) = self.step(most, &mut columns);
            let before = self.given.unwrap_or(0);
            out.extend(std::iter::repeat_n(row, step));
            numbers.extend((1..=step as i64).map(|number| Some(before + number)));
            self.given = Some(before + step as i64);
            if let Some(error) = error {
                failed.push((row, error));
                self.finish_row();
            } else if self.calls.iter().all(|call| call.has_ended) {
                if self.outer && self.given == Some(0) {
                    out.push(row);
                    numbers.push(None);
                    let types: Vec<DataType> = self.types().collect();
                    columns.iter_mut().zip(types).for_each(|(column, own)| column.push(Literal::Null(own)));
                }
                self.finish_row();
            }
        }
        let arrays = self.types().zip(&columns).map(|(own, values)| column_of_literals(own, values.iter()));
        let mut arrays: Vec<ArrayRef> = arrays.collect();
        if self.numbered {
            arrays.push(Arc::new(Int64Array::from(numbers)));
        }
        CalledRows { rows: out, columns: arrays, failed }
    }

    fn types(&self) -> impl Iterator<Item = DataType> + '_ {
        self.calls.iter().flat_map(|call| call.columns.iter().copied())
    }

    fn finish_row(&mut self) {
        self.row += 1;
        self.given = None;
    }

    /// The next rows of the current input row's calls, as many of each; behind them the row may fail.
    fn step(&mut self, asked: usize, columns: &mut [Vec<Literal>]) -> (usize, Option<DataError>) {
        if self.given.is_none() {
            for call in &mut self.calls {
                let row = self.row;
                if let Err(error) = guarded(|| call.rows.start(row)) {
                    return (0, Some(error));
                }
                call.has_ended = false;
            }
        }
        let before = columns.first().map_or(0, Vec::len);
        // What the longest call gave, and the first failure with its place.
        let (mut most, mut failure): (usize, Option<(usize, DataError)>) = (0, None);
        let mut rest = &mut *columns;
        for call in &mut self.calls {
            let (own, others) = rest.split_at_mut(call.columns.len());
            rest = others;
            let given = if call.has_ended { Ok(0) } else { guarded(|| call.rows.give(asked, own)) };
            let rows = own.iter().map(Vec::len).min().unwrap_or(before) - before;
            call.has_ended |= rows < asked;
            most = most.max(rows);
            if let Err(error) = given
                && failure.as_ref().is_none_or(|(place, _)| rows < *place)
            {
                failure = Some((rows, error));
            }
        }
        let step = failure.as_ref().map_or(most, |(place, _)| *place);
        for (column, data_type) in columns.iter_mut().zip(self.types()) {
            column.resize(before + step, Literal::Null(data_type));
        }
        (step, failure.map(|(_, error)| error))
    }
}

/// A panic of a function becomes XX000.
fn guarded<T>(work: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(DataError::new("XX000", "a function that gives rows panicked")))
}

/// The bytes that a row's copy takes in these columns.
pub fn row_bytes(columns: &[ArrayRef], row: usize) -> usize {
    let bytes = |column: &ArrayRef| match column.data_type() {
        _ if column.is_null(row) => 8,
        ArrowType::Utf8 => column.as_string::<i32>().value(row).len(),
        ArrowType::Binary => column.as_binary::<i32>().value(row).len(),
        ArrowType::LargeBinary => column.as_binary::<i64>().value(row).len(),
        // Of views only the reference is copied.
        _ => 16,
    };
    columns.iter().map(bytes).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// From 1 as far as the row's number; 13 fails when it comes.
    struct Count(Vec<i64>, i64, i64);

    impl SetRows for Count {
        fn start(&mut self, row: usize) -> Result<(), DataError> {
            (self.1, self.2) = (0, self.0[row]);
            if self.2 < 0 { Err(DataError::new("22000", "negative")) } else { Ok(()) }
        }

        fn give(&mut self, most: usize, columns: &mut [Vec<Literal>]) -> Result<usize, DataError> {
            let step = (self.2 - self.1).min(most as i64);
            for value in self.1 + 1..=self.1 + step {
                if value == 1300 {
                    return Err(DataError::new("22000", "1300"));
                }
                columns[0].push(Literal::Int64(value));
            }
            self.1 += step;
            Ok(step as usize)
        }
    }

    fn calls(counts: &[&[i64]], outer: bool) -> CallsInStep {
        let rows = counts[0].len();
        let open = |counts: &&[i64]| -> (Box<dyn SetRows>, Vec<DataType>) {
            (Box::new(Count(counts.to_vec(), 0, 0)), vec![DataType::Int64])
        };
        CallsInStep::new(counts.iter().map(open), rows, true, outer)
    }

    fn all(mut calls: CallsInStep, block: usize) -> (Vec<String>, Vec<(u32, String)>) {
        let (mut rows, mut failed) = (Vec::new(), Vec::new());
        while !calls.is_done() {
            let called = calls.next(|_, rows| block.saturating_sub(rows));
            for (at, row) in called.rows.iter().enumerate() {
                let cell = |column: &ArrayRef| {
                    let column = column.as_primitive::<arrow::datatypes::Int64Type>();
                    if column.is_null(at) { "-".to_owned() } else { column.value(at).to_string() }
                };
                let cells: Vec<String> = called.columns.iter().map(cell).collect();
                rows.push(format!("{row}: {}", cells.join(" ")));
            }
            failed.extend(called.failed.into_iter().map(|(row, error)| (row, error.message)));
        }
        (rows, failed)
    }

    #[test]
    fn calls_go_in_step_and_shorter_ones_end_in_nulls() {
        let (rows, failed) = all(calls(&[&[2, 0, 1], &[1, 0, 3]], false), 1);
        assert_eq!(rows, ["0: 1 1 1", "0: 2 - 2", "2: 1 1 1", "2: - 2 2", "2: - 3 3"]);
        assert!(failed.is_empty());
        assert_eq!(all(calls(&[&[0, 1]], true), 100).0, ["0: - -", "1: 1 1"]);
    }

    #[test]
    fn the_size_of_a_part_does_not_show() {
        let counts: &[&[i64]] = &[&[1000, 3, 256, 257, 512], &[700, 5, 0, 0, 0]];
        let whole = all(calls(counts, false), usize::MAX);
        assert_eq!(whole, all(calls(counts, false), 1));
        assert_eq!(whole.0.len(), 1000 + 5 + 256 + 257 + 512);
    }

    #[test]
    fn a_row_that_fails_gives_the_same_in_parts_of_any_size() {
        let counts: &[&[i64]] = &[&[1, -1, 2000, 1], &[2, 5, 1290, 0]];
        let whole = all(calls(counts, false), usize::MAX);
        assert_eq!(whole.1, [(1, "negative".to_owned()), (2, "1300".to_owned())]);
        assert_eq!((whole.0.len(), whole.0[1].as_str()), (2 + 1299 + 1, "0: - 2 2"));
        [1, 7, 100, 257].iter().for_each(|block| assert_eq!(all(calls(counts, false), *block), whole));
    }
}
