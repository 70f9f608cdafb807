//! `(start, end) OVERLAPS (start, end)`: whether two spans of time have a moment in common.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::{Time64MicrosecondType, TimestampMicrosecondType};
use millrace_engine::{DataError, DataType};

use super::date;
use super::inputs::{Input, Inputs};

/// A span: its beginning, and its end if that is known.
type Span = (i64, Option<i64>);

/// `overlaps(start, end, start, end)` of one type, which is ordered as its numbers are
pub(crate) fn overlaps(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let ends: Vec<_> = inputs.iter().map(values).collect();
    let overlap = |row: usize| {
        let first = span(ends[0](row), ends[1](row))?;
        overlap(first, span(ends[2](row), ends[3](row))?)
    };
    Ok(Arc::new((0..inputs.rows()).map(overlap).collect::<BooleanArray>()))
}

fn values(input: &Input) -> Box<dyn Fn(usize) -> Option<i64> + '_> {
    if date::is(input, DataType::Time) {
        let values = input.primitive::<Time64MicrosecondType>();
        return Box::new(move |row| (!input.is_null(row)).then(|| values.get(row)));
    }
    let values = input.primitive::<TimestampMicrosecondType>();
    Box::new(move |row| (!input.is_null(row)).then(|| values.get(row)))
}

/// The ends in their order; of one that is known alone it is the beginning.
fn span(start: Option<i64>, end: Option<i64>) -> Option<Span> {
    match (start, end) {
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
        (one, other) => Some((one.or(other)?, None)),
    }
}

/// Whether they overlap, if that can be known. A span without length is a moment, which overlaps with itself.
fn overlap(first: Span, second: Span) -> Option<bool> {
    let (earlier, later) = if first.0 <= second.0 { (first, second) } else { (second, first) };
    if first.0 == second.0 {
        return first.1.and(second.1).map(|_| true);
    }
    match later.0 < earlier.1? {
        true => Some(true),
        false => later.1.map(|_| false),
    }
}
