//! Functions on text: length, lower, upper, concatenation, substr. (strings.rs has the others, like.rs LIKE.)

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Int32Type;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;

/// The number of characters.
pub(crate) fn length(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    let count =
        |row| i32::try_from(text(row).chars().count()).map_err(|_| DataError::out_of_range("integer"));
    Ok(Arc::new(inputs.build::<Int32Type>(count)?))
}

/// Each character mapped to one other, as PostgreSQL does: a character with a longer form stays.
pub(super) fn each_char<I: ExactSizeIterator<Item = char>>(text: &str, map: fn(char) -> I) -> String {
    let single = |c: char| {
        let mut mapped = map(c);
        if mapped.len() == 1 { mapped.next().unwrap_or(c) } else { c }
    };
    text.chars().map(single).collect()
}

pub(crate) fn lower(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(each_char(text(row), char::to_lowercase)))
}

pub(crate) fn upper(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(each_char(text(row), char::to_uppercase)))
}

/// `a || b`
pub(crate) fn concat(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (left, right) = (inputs.get(0).text(), inputs.get(1).text());
    inputs.build_text(|row| Ok([left(row), right(row)].concat()))
}

/// `substr(text, start [, count])`: positions from 1, those before it count but show nothing.
pub(crate) fn substr(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    let start = inputs.get(1).primitive::<Int32Type>();
    let count = (inputs.len() > 2).then(|| inputs.get(2).primitive::<Int32Type>());
    inputs.build_text(|row| {
        let first = i64::from(start.get(row));
        let end = match &count {
            None => i64::MAX,
            Some(count) if count.get(row) < 0 => {
                return Err(DataError::new("22011", "negative substring length not allowed"));
            }
            Some(count) => first + i64::from(count.get(row)),
        };
        let skip = (first - 1).max(0);
        let take = (end - 1).max(0).saturating_sub(skip).max(0);
        Ok(text(row).chars().skip(skip as usize).take(take as usize).collect::<String>())
    })
}
