//! Functions on text: length, lower, upper, concatenation, substr, LIKE.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
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
fn each_char<I: ExactSizeIterator<Item = char>>(text: &str, map: fn(char) -> I) -> String {
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

/// A part of a LIKE pattern.
enum Part {
    One(char),
    AnyOne,
    AnyMany,
    /// An escape character at the end: an error, once the match gets there.
    Dangling,
}

/// The parts of a pattern; the escape character is the backslash.
fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::AnyMany,
            '_' => Part::AnyOne,
            '\\' => chars.next().map_or(Part::Dangling, Part::One),
            c => Part::One(c),
        });
    }
    parts
}

/// Greedy matching that goes back to the last `%` only: linear in text × pattern.
fn matches(text: &str, parts: &[Part]) -> Result<bool, DataError> {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(Part::AnyMany) => {
                back = Some((at, part));
                part += 1;
            }
            Some(Part::AnyOne) => {
                at += 1;
                part += 1;
            }
            Some(Part::One(c)) if *c == text[at] => {
                at += 1;
                part += 1;
            }
            Some(Part::Dangling) => {
                return Err(DataError::new("22025", "LIKE pattern must not end with escape character"));
            }
            Some(Part::One(_)) | None => match back {
                None => return Ok(false),
                Some((start, many)) => {
                    back = Some((start + 1, many));
                    at = start + 1;
                    part = many + 1;
                }
            },
        }
    }
    Ok(parts[part..].iter().all(|rest| matches!(rest, Part::AnyMany)))
}

/// `text LIKE pattern`
pub(crate) fn like(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    let nulls = |row| inputs.iter().any(|input| input.is_null(row));
    let mut compiled: Option<(&str, Vec<Part>)> = None;
    let mut result = Vec::with_capacity(inputs.rows());
    for row in 0..inputs.rows() {
        if nulls(row) {
            result.push(None);
            continue;
        }
        let current = pattern(row);
        if compiled.as_ref().is_none_or(|(known, _)| *known != current) {
            compiled = Some((current, parts(current)));
        }
        let matched = compiled.as_ref().map(|(_, parts)| matches(text(row), parts));
        result.push(matched.transpose()?);
    }
    Ok(Arc::new(BooleanArray::from(result)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_postgresql() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "_b_", true),
            ("abc", "b", false),
            ("", "%", true),
            ("", "_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("aXbXc", "a%b%c", true),
            ("äöü", "_ö_", true),
            ("abab", "%ab", true),
            ("Abc", "abc", false),
        ] {
            assert_eq!(matches(text, &parts(pattern)), Ok(expected), "{text} like {pattern}");
        }
        assert!(matches("ab", &parts("a\\")).is_err());
        assert_eq!(matches("a", &parts("a\\")), Ok(false));
    }
}
