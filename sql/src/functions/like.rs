//! LIKE and ILIKE, with ESCAPE.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::text::each_char;

/// A part of a LIKE pattern.
#[derive(Debug, PartialEq)]
enum Part {
    One(char),
    AnyOne,
    AnyMany,
    /// An escape character at the end: an error, once the match gets there.
    Dangling,
}

/// The parts of a pattern; without an escape character, every character but `%` and `_` is itself.
fn parts(pattern: &str, escape: Option<char>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            c if Some(c) == escape => chars.next().map_or(Part::Dangling, Part::One),
            '%' => Part::AnyMany,
            '_' => Part::AnyOne,
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

/// The character of an ESCAPE clause; none where it is empty.
fn escape_character(escape: &str) -> Result<Option<char>, DataError> {
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (character, None) => Ok(character),
        _ => Err(DataError::new("22025", "invalid escape string")),
    }
}

/// Matches row by row; a pattern is cut into its parts again only where it changes.
fn match_all(inputs: &Inputs, fold: fn(&str) -> String) -> Result<ArrayRef, DataError> {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    let escape = (inputs.len() > 2).then(|| inputs.get(2).text());
    let nulls = |row| inputs.iter().any(|input| input.is_null(row));
    let mut compiled: Option<((&str, &str), Vec<Part>)> = None;
    let mut result = Vec::with_capacity(inputs.rows());
    for row in 0..inputs.rows() {
        if nulls(row) {
            result.push(None);
            continue;
        }
        let current = (pattern(row), escape.as_ref().map_or("\\", |escape| escape(row)));
        if compiled.as_ref().is_none_or(|(known, _)| *known != current) {
            compiled = Some((current, parts(&fold(current.0), escape_character(current.1)?)));
        }
        let matched = compiled.as_ref().map(|(_, parts)| matches(&fold(text(row)), parts));
        result.push(matched.transpose()?);
    }
    Ok(Arc::new(BooleanArray::from(result)))
}

/// `text LIKE pattern [ESCAPE character]`
pub(crate) fn like(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    match_all(inputs, str::to_owned)
}

/// `text ILIKE pattern [ESCAPE character]`
pub(crate) fn ilike(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    match_all(inputs, |text| each_char(text, char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_matches_as_postgresql() {
        let parts = |pattern: &str| parts(pattern, Some('\\'));
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

    #[test]
    fn an_escape_character_is_one_or_none() {
        assert_eq!(escape_character("#"), Ok(Some('#')));
        assert_eq!(escape_character(""), Ok(None));
        assert_eq!(escape_character("ab").map_err(|error| error.sqlstate), Err("22025".to_owned()));
        assert_eq!(matches("a%", &parts("a#%", Some('#'))), Ok(true));
        assert_eq!(matches("a\\b", &parts("a\\_", None)), Ok(true));
    }
}
