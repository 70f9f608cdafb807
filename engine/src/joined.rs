//! What `string_agg` and `array_agg` answer, for views and ad-hoc queries alike.

use arrow::array::{Array as _, ArrayRef};

use crate::array::{Array, Element};
use crate::error::DataError;
use crate::literals::literal_of;

/// The longest text that comes out: PostgreSQL's limit for one value.
const BYTES_MAX: usize = (1 << 30) - 1;

/// The texts in their order, each with the delimiter that stands before it (not before the first; NULL
/// is empty) and how often it comes; `None` where there is no text.
///
/// # Errors
/// 54000 beyond 1 GiB, XX000 for a text that is there less than no times.
pub fn join_texts<'a>(
    parts: impl IntoIterator<Item = (&'a str, Option<&'a str>, i64)>,
) -> Result<Option<String>, DataError> {
    let mut joined: Option<String> = None;
    for (text, delimiter, times) in parts {
        let times = usize::try_from(times).map_err(|_| DataError::negative_multiplicity())?;
        let delimiter = delimiter.unwrap_or_default();
        let length = joined.as_ref().map_or(0, String::len);
        let added = times.saturating_mul(text.len() + delimiter.len());
        if length.saturating_add(added) > BYTES_MAX {
            let message = format!("string buffer exceeds maximum allowed length ({BYTES_MAX} bytes)");
            return Err(DataError::new("54000", message));
        }
        for _ in 0..times {
            match &mut joined {
                None => joined = Some(text.to_owned()),
                Some(joined) => {
                    joined.push_str(delimiter);
                    joined.push_str(text);
                }
            }
        }
    }
    Ok(joined)
}

/// The values of a column in their order, each as often as it comes, as the bytes of an array.
///
/// # Errors
/// 54000 beyond what an array holds, XX000 for a value that is there less than no times.
pub fn array_of(element: Element, column: &ArrayRef, counts: &[i64]) -> Result<Vec<u8>, DataError> {
    /// As many as PostgreSQL's arrays can have.
    const ELEMENTS_MAX: i64 = 134_217_727;
    if counts.iter().any(|count| *count < 0) {
        return Err(DataError::negative_multiplicity());
    }
    if counts.iter().sum::<i64>() > ELEMENTS_MAX {
        let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
        return Err(DataError::new("54000", message));
    }
    let mut values = Vec::new();
    for (row, count) in counts.iter().enumerate() {
        let value = if column.is_null(row) { None } else { literal_of(element.data_type(), column, row) };
        values.extend(std::iter::repeat_n(value, *count as usize));
    }
    Ok(Array::flat(element, values).encode())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::join_texts;

    #[test]
    fn the_first_delimiter_is_not_used_and_null_is_empty() {
        assert_eq!(join_texts([]).unwrap(), None);
        let parts = [("a", Some(","), 1), ("b", None, 2), ("c", Some("; "), 1)];
        assert_eq!(join_texts(parts).unwrap().unwrap(), "abb; c");
        assert_eq!(join_texts([("", Some(","), 2)]).unwrap().unwrap(), ",");
    }

    #[test]
    fn what_is_too_long_is_an_error_before_it_takes_memory() {
        assert_eq!(join_texts([("abc", None, i64::MAX)]).unwrap_err().sqlstate, "54000");
        assert_eq!(join_texts([("abc", None, -1)]).unwrap_err().sqlstate, "XX000");
    }
}
