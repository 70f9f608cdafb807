//! Functions on text, the second part: replace, split_part, strpos, left, right, padding, trimming, concat.
//!
//! Positions and lengths count characters.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::Int32Type;
use millrace_engine::{DataError, DataType};

use super::inputs::{Input, Inputs};

/// The longest text that padding makes, in bytes: PostgreSQL's bound for a value.
const BYTES_MAX: usize = 1 << 30;

/// `replace(text, from, to)`; an empty `from` is nowhere.
pub(crate) fn replace(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, from, to) = (inputs.get(0).text(), inputs.get(1).text(), inputs.get(2).text());
    inputs.build_text(|row| match from(row) {
        "" => Ok(text(row).to_owned()),
        from => Ok(text(row).replace(from, to(row))),
    })
}

/// `split_part(text, delimiter, n)`: the n-th field from 1, from the end where negative; empty where there is none.
pub(crate) fn split_part(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, delimiter) = (inputs.get(0).text(), inputs.get(1).text());
    let position = inputs.get(2).primitive::<Int32Type>();
    inputs.build_text(|row| {
        let position = position.get(row);
        let index = position.unsigned_abs() as usize;
        if index == 0 {
            return Err(DataError::new("22023", "field position must not be zero"));
        }
        let (text, delimiter) = (text(row), delimiter(row));
        let field = match (delimiter, position > 0) {
            // The whole text is the only field.
            ("", _) => (index == 1).then_some(text),
            (_, true) => text.split(delimiter).nth(index - 1),
            (_, false) => text.rsplit(delimiter).nth(index - 1),
        };
        Ok(field.unwrap_or_default())
    })
}

/// `strpos(text, part)`, `position(part IN text)`: from 1, 0 where it is nowhere.
pub(crate) fn strpos(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, part) = (inputs.get(0).text(), inputs.get(1).text());
    let position = |row: usize| {
        let found = text(row).find(part(row)).map_or(0, |at| text(row)[..at].chars().count() + 1);
        i32::try_from(found).map_err(|_| DataError::out_of_range("integer"))
    };
    Ok(Arc::new(inputs.build::<Int32Type>(position)?))
}

/// `starts_with(text, prefix)`
pub(crate) fn starts_with(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, prefix) = (inputs.get(0).text(), inputs.get(1).text());
    let nulls = inputs.nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    Ok(Arc::new(inputs.build_boolean(|row| valid(row) && text(row).starts_with(prefix(row)))))
}

/// The bytes at which the text's first `count` characters end.
fn end_of(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// How many characters to take of `length` where `count` are asked for: all but -`count` where negative.
fn taken(count: i32, length: usize) -> usize {
    let magnitude = count.unsigned_abs() as usize;
    if count >= 0 { magnitude.min(length) } else { length.saturating_sub(magnitude) }
}

/// `left(text, count)`
pub(crate) fn left(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, count) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    inputs.build_text(|row| {
        let text = text(row);
        Ok(&text[..end_of(text, taken(count.get(row), text.chars().count()))])
    })
}

/// `right(text, count)`
pub(crate) fn right(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, count) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    inputs.build_text(|row| {
        let text = text(row);
        let length = text.chars().count();
        Ok(&text[end_of(text, length - taken(count.get(row), length))..])
    })
}

/// Pads to `length` characters with `fill` over and over, or cuts the text's end off.
fn pad(inputs: &Inputs, before: bool) -> Result<ArrayRef, DataError> {
    let (text, length) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    let fill = (inputs.len() > 2).then(|| inputs.get(2).text());
    inputs.build_text(|row| {
        let (text, length) = (text(row), usize::try_from(length.get(row)).unwrap_or(0));
        let fill = fill.as_ref().map_or(" ", |fill| fill(row));
        let missing = length.saturating_sub(text.chars().count());
        if missing == 0 || fill.is_empty() {
            return Ok(text[..end_of(text, length)].to_owned());
        }
        if missing > BYTES_MAX / 4 {
            return Err(DataError::new("54000", "requested length too large"));
        }
        let padding = fill.chars().cycle().take(missing);
        Ok(if before { padding.chain(text.chars()).collect() } else { text.chars().chain(padding).collect() })
    })
}

/// `lpad(text, length [, fill])`
pub(crate) fn lpad(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    pad(inputs, true)
}

/// `rpad(text, length [, fill])`
pub(crate) fn rpad(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    pad(inputs, false)
}

/// Removes characters of a set (spaces where none is given) from the ends.
fn trim(inputs: &Inputs, start: bool, end: bool) -> Result<ArrayRef, DataError> {
    let text = inputs.get(0).text();
    let characters = (inputs.len() > 1).then(|| inputs.get(1).text());
    inputs.build_text(|row| {
        let set = characters.as_ref().map_or(" ", |characters| characters(row));
        let mut trimmed = text(row);
        if start {
            trimmed = trimmed.trim_start_matches(|c| set.contains(c));
        }
        if end {
            trimmed = trimmed.trim_end_matches(|c| set.contains(c));
        }
        Ok(trimmed)
    })
}

/// `btrim(text [, characters])`
pub(crate) fn btrim(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    trim(inputs, true, true)
}

/// `ltrim(text [, characters])`
pub(crate) fn ltrim(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    trim(inputs, true, false)
}

/// `rtrim(text [, characters])`
pub(crate) fn rtrim(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    trim(inputs, false, true)
}

/// The texts of a row that are not NULL, with a separator between them.
fn joined(parts: &[&Input], separator: &str, row: usize) -> String {
    let parts: Vec<&str> =
        parts.iter().filter(|part| !part.is_null(row)).map(|part| part.text()(row)).collect();
    parts.join(separator)
}

/// `concat(…)`: all texts that are not NULL, one after the other.
pub(crate) fn concat_all(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let parts: Vec<&Input> = inputs.iter().collect();
    Ok(Arc::new(StringArray::from_iter_values((0..inputs.rows()).map(|row| joined(&parts, "", row)))))
}

/// `concat_ws(separator, …)`: the same with a separator between them; NULL where that is NULL.
pub(crate) fn concat_ws(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let separator = inputs.get(0);
    let parts: Vec<&Input> = inputs.iter().skip(1).collect();
    let text = |row: usize| (!separator.is_null(row)).then(|| joined(&parts, separator.text()(row), row));
    Ok(Arc::new((0..inputs.rows()).map(text).collect::<StringArray>()))
}
