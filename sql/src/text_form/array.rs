//! Arrays as text: `{1,NULL,"a b"}`, nested for more dimensions, with `[0:1]=` before it where they do not count from 1.

use std::fmt::Write;

use millrace_engine::{Array, DIMENSIONS_MAX, DataError, Dimension, Element, Literal};

use super::write_literal;
use crate::SqlError;
use crate::zone::Zone;

/// C's isspace.
const SPACES: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// Reads an array whose elements are of a type.
///
/// # Errors
/// 22P02 for what is no array, 54000 for too many dimensions, and what an element's input raises.
pub fn parse_array(text: &str, element: Element, zone: &Zone) -> Result<Array, SqlError> {
    let malformed = || SqlError::new("22P02", format!("malformed array literal: \"{text}\""));
    let (bounds, body) = bounds(text.trim_start_matches(SPACES)).ok_or_else(malformed)?;
    let mut reader = Reader { rest: body, lengths: Vec::new(), values: Vec::new() };
    reader.level(0)?.ok_or_else(malformed)?;
    if !reader.rest.trim_start_matches(SPACES).is_empty() {
        return Err(malformed());
    }
    let lengths: Vec<i32> = reader.lengths.iter().map(|length| length.unwrap_or(0)).collect();
    let is_empty = reader.values.is_empty();
    if is_empty && lengths.iter().skip(1).any(|length| *length > 0) {
        return Err(malformed());
    }
    let dimensions = match &bounds {
        None if is_empty => Vec::new(),
        None => lengths.iter().map(|length| Dimension { length: *length, lower: 1 }).collect(),
        Some(bounds) => {
            if !bounds.iter().map(|bound| bound.length).eq(lengths.iter().copied()) {
                return Err(malformed());
            }
            bounds.clone()
        }
    };
    let data_type = element.data_type();
    let value = |text: Option<String>| text.map(|text| super::parse(&text, data_type, zone)).transpose();
    let values = reader.values.into_iter().map(value).collect::<Result<_, SqlError>>()?;
    Ok(Array { element, dimensions, values })
}

/// The bounds before a text's `=`, if there are any, and what follows.
fn bounds(text: &str) -> Option<(Option<Vec<Dimension>>, &str)> {
    if !text.starts_with('[') {
        return Some((None, text));
    }
    let (written, body) = text.split_once('=')?;
    let mut found = Vec::new();
    for part in written.trim_end_matches(SPACES).strip_suffix(']')?.strip_prefix('[')?.split("][") {
        let (lower, upper) = part.split_once(':').unwrap_or(("1", part));
        let (lower, upper): (i32, i32) = (lower.trim().parse().ok()?, upper.trim().parse().ok()?);
        let length = upper.checked_sub(lower)?.checked_add(1).filter(|length| *length > 0)?;
        found.push(Dimension { length, lower });
    }
    Some((Some(found), body.trim_start_matches(SPACES)))
}

/// Reads braces level by level.
struct Reader<'t> {
    rest: &'t str,
    /// How long each level is, as the first of it was.
    lengths: Vec<Option<i32>>,
    values: Vec<Option<String>>,
}

/// What stands between two separators.
enum Part {
    Nested,
    Value,
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(SPACES);
    }

    fn accept(&mut self, sign: char) -> bool {
        self.skip_spaces();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads one pair of braces; `None` where it is malformed.
    fn level(&mut self, depth: usize) -> Result<Option<()>, SqlError> {
        if !self.accept('{') {
            return Ok(None);
        }
        if depth == DIMENSIONS_MAX {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                depth + 1
            );
            return Err(SqlError::new("54000", message));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        let (mut length, mut kind) = (0, None);
        if !self.accept('}') {
            loop {
                let Some(part) = self.part(depth)? else { return Ok(None) };
                let is_nested = matches!(part, Part::Nested);
                if kind.replace(is_nested).is_some_and(|before| before != is_nested) {
                    return Ok(None);
                }
                length += 1;
                if !self.accept(',') {
                    break;
                }
            }
            if !self.accept('}') {
                return Ok(None);
            }
        }
        // Elements lie at one depth only.
        let is_deepest = kind == Some(false) && self.lengths.len() > depth + 1;
        let differs = self.lengths[depth].replace(length).is_some_and(|before| before != length);
        Ok((!is_deepest && !differs).then_some(()))
    }

    fn part(&mut self, depth: usize) -> Result<Option<Part>, SqlError> {
        self.skip_spaces();
        if self.rest.starts_with('{') {
            return Ok(self.level(depth + 1)?.map(|()| Part::Nested));
        }
        let value = if self.rest.starts_with('"') { self.quoted().map(Some) } else { self.plain() };
        Ok(value.map(|value| {
            self.values.push(value);
            Part::Value
        }))
    }

    fn quoted(&mut self) -> Option<String> {
        let mut chars = self.rest.char_indices().skip(1);
        let mut out = String::new();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(out);
                }
                '\\' => out.push(chars.next()?.1),
                other => out.push(other),
            }
        }
        None
    }

    /// A value without quotes: NULL, or a text without the spaces around it.
    fn plain(&mut self) -> Option<Option<String>> {
        let mut chars = self.rest.char_indices();
        let (mut out, mut kept, mut escaped, mut end) = (String::new(), 0, false, self.rest.len());
        while let Some((at, char)) = chars.next() {
            match char {
                ',' | '}' => {
                    end = at;
                    break;
                }
                '{' | '"' => return None,
                '\\' => {
                    out.push(chars.next()?.1);
                    escaped = true;
                    kept = out.len();
                }
                space if SPACES.contains(&space) => out.push(space),
                other => {
                    out.push(other);
                    kept = out.len();
                }
            }
        }
        self.rest = &self.rest[end..];
        out.truncate(kept);
        match (out.as_str(), escaped) {
            ("", false) => None,
            (word, false) if word.eq_ignore_ascii_case("null") => Some(None),
            _ => Some(Some(out)),
        }
    }
}

/// Appends an array, moments in it as the clocks of a zone show them, to a buffer in memory: writing to it cannot fail.
pub fn write_array(array: &Array, zone: &Zone, out: &mut impl Write) {
    if array.dimensions.iter().any(|dimension| dimension.lower != 1) {
        for Dimension { length, lower } in &array.dimensions {
            _ = write!(out, "[{lower}:{}]", lower.saturating_add(length - 1));
        }
        _ = out.write_char('=');
    }
    if array.dimensions.is_empty() {
        _ = out.write_str("{}");
    } else {
        write_level(&array.dimensions, &mut array.values.iter(), zone, out);
    }
}

fn write_level<'v>(
    dimensions: &[Dimension],
    values: &mut impl Iterator<Item = &'v Option<Literal>>,
    zone: &Zone,
    out: &mut impl Write,
) {
    let Some((dimension, inner)) = dimensions.split_first() else {
        match values.next() {
            Some(Some(value)) => write_element(value, zone, out),
            Some(None) | None => _ = out.write_str("NULL"),
        }
        return;
    };
    _ = out.write_char('{');
    for index in 0..dimension.length {
        if index > 0 {
            _ = out.write_char(',');
        }
        write_level(inner, values, zone, out);
    }
    _ = out.write_char('}');
}

fn write_element(value: &Literal, zone: &Zone, out: &mut impl Write) {
    let mut text = String::new();
    write_literal(value, zone, &mut text);
    let is_special = |char: char| matches!(char, '"' | '\\' | '{' | '}' | ',') || SPACES.contains(&char);
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(is_special) {
        _ = out.write_str(&text);
        return;
    }
    _ = out.write_char('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            _ = out.write_char('\\');
        }
        _ = out.write_char(char);
    }
    _ = out.write_char('"');
}

/// The array of stored bytes.
///
/// # Errors
/// XX000 for bytes that are none.
pub fn stored_array(bytes: &[u8]) -> Result<Array, DataError> {
    Array::decode(bytes).ok_or_else(|| DataError::new("XX000", "stored bytes are no array"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::UTC;

    fn shown(text: &str, element: Element) -> String {
        match parse_array(text, element, &UTC) {
            Ok(array) => {
                let mut out = String::new();
                write_array(&array, &UTC, &mut out);
                out
            }
            Err(error) => error.sqlstate,
        }
    }

    /// Texts and PostgreSQL 15's answer to `text::text[]`.
    #[test]
    fn arrays_are_read_and_written_as_by_postgresql() {
        for (text, expected) in [
            ("{}", "{}"),
            (" { a , b c ,\"\", null, \"NULL\" } ", "{a,\"b c\",\"\",NULL,\"NULL\"}"),
            ("{{a,b},{c,d}}", "{{a,b},{c,d}}"),
            ("{\"a\\\"b\\\\\",c\\ }", "{\"a\\\"b\\\\\",\"c \"}"),
            ("[0:1]={a,b}", "[0:1]={a,b}"),
            ("[2:3][-1:-1]={{a},{b}}", "[2:3][-1:-1]={{a},{b}}"),
            ("{a,}", "22P02"),
            ("{,a}", "22P02"),
            ("a", "22P02"),
            ("", "22P02"),
            ("{a", "22P02"),
            ("{a}}", "22P02"),
            ("{a} x", "22P02"),
            ("{{a,b},{c}}", "22P02"),
            ("{{a},b}", "22P02"),
            ("{a,{b}}", "22P02"),
            ("[1:3]={a,b}", "22P02"),
            ("{a\"b\"}", "22P02"),
            ("{{{{{{{a}}}}}}}", "54000"),
        ] {
            assert_eq!(shown(text, Element::Text), expected, "{text}");
        }
        assert_eq!(shown("{1, -2 ,NULL}", Element::Int32), "{1,-2,NULL}");
        assert_eq!(shown("{t,false}", Element::Boolean), "{t,f}");
        assert_eq!(shown("{x}", Element::Int32), "22P02");
        assert_eq!(shown("{2024-01-01 10:00}", Element::Timestamp), "{\"2024-01-01 10:00:00\"}");
    }
}
