//! JSON objects as rows: each key names a column, and each object gives what columns it likes.
//!
//! A value is taken as it is written, never through a binary float: a string's characters, a number's digits, `true` and
//! `false` go through the text input of the column's type; `null` is NULL. `json` and `jsonb` columns take any value
//! but `null` as JSON, array columns take arrays, as PostgreSQL's json_populate_record does.
//!
//! The parts of a body are found by one scan (`RawValue`); values are read where they stand.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use millrace_engine::{DataType, Element};
use millrace_sql::{SqlError, Zone};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::Rows;
use super::{BadRow, Columns, Given, without_mark};
use crate::pgwire::utf8;

/// What stands between values.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// An object's keys and values as they are written.
struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            fields.push((key, map.next_value()?));
        }
        Ok(Object(fields))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A body of objects.
pub(crate) struct Objects {
    body: Bytes,
    /// Where the next object is looked for.
    at: usize,
    /// Where the next object may stand.
    place: Place,
    /// Line ends before `counted`, which is at or before the value at hand.
    line_ends: u64,
    counted: usize,
    rows: Rows,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The one object of the body, or its array.
    Start,
    /// The first object of an array, or its end.
    First,
    /// A further object of an array.
    Further,
    /// A line of NDJSON.
    Line,
    /// Only blanks.
    End,
}

impl Objects {
    pub(super) fn new(body: Bytes, columns: Columns, zone: Zone, is_lines: bool) -> Result<Objects, BadRow> {
        let at = body.len() - without_mark(&body).len();
        utf8(&body).map_err(|error| {
            let good = std::str::from_utf8(&body).map_or_else(|error| error.valid_up_to(), str::len);
            let zero = body.iter().position(|byte| *byte == 0).unwrap_or(good);
            BadRow::at(error, 1 + line_ends(&body[..good.min(zero)]))
        })?;
        let place = if is_lines { Place::Line } else { Place::Start };
        let rows = Rows::new(columns, zone);
        Ok(Objects { body, at, place, line_ends: 0, counted: 0, rows })
    }

    pub(super) fn next(&mut self) -> Result<Option<Given>, BadRow> {
        let body = self.body.clone();
        let text = std::str::from_utf8(&body).map_err(|error| BadRow::from(SqlError::internal(error)))?;
        loop {
            if let Some(given) = self.rows.take() {
                return Ok(Some(given));
            }
            if self.rows.is_full() {
                self.rows.finish()?;
                continue;
            }
            match self.next_object(text)? {
                Some(Object(fields)) => self.append(text, fields)?,
                None if self.rows.is_empty() => return Ok(None),
                None => self.rows.finish()?,
            }
        }
    }

    /// The next object, wherever it may stand.
    fn next_object<'a>(&mut self, text: &'a str) -> Result<Option<Object<'a>>, BadRow> {
        if self.place == Place::Line {
            return self.next_line(text);
        }
        loop {
            self.skip_blanks(text);
            let next = text.as_bytes().get(self.at).copied();
            match (self.place, next) {
                (Place::End, None) => return Ok(None),
                (Place::Start, Some(b'[')) => {
                    self.at += 1;
                    self.place = Place::First;
                }
                (Place::First, Some(b']')) => {
                    self.at += 1;
                    self.place = Place::End;
                }
                (Place::Start, Some(b'{')) => {
                    self.place = Place::End;
                    return self.object(&text[self.at..]).map(Some);
                }
                (Place::First | Place::Further, Some(b'{')) => {
                    let object = self.object(&text[self.at..])?;
                    self.skip_blanks(text);
                    self.place = match text.as_bytes().get(self.at) {
                        Some(b',') => Place::Further,
                        Some(b']') => Place::End,
                        _ => return Err(self.broken(text, "expected `,` or `]` behind an object")),
                    };
                    self.at += 1;
                    return Ok(Some(object));
                }
                (Place::Start, _) => {
                    return Err(self.broken(text, "expected an object or an array of objects"));
                }
                (Place::First | Place::Further, _) => return Err(self.broken(text, "expected an object")),
                (Place::End | Place::Line, _) => {
                    return Err(self.broken(text, "something follows behind the end"));
                }
            }
        }
    }

    /// The object of the next line that is not empty.
    fn next_line<'a>(&mut self, text: &'a str) -> Result<Option<Object<'a>>, BadRow> {
        while self.at < text.len() {
            let rest = &text[self.at..];
            let length = rest.find('\n').unwrap_or(rest.len());
            let line = &rest[..length];
            if line.trim_matches(BLANKS).is_empty() {
                self.at = (self.at + length + 1).min(text.len());
                continue;
            }
            let end = self.at + length;
            self.skip_blanks(text);
            let object = self.object(&text[self.at..end])?;
            if !text[self.at..end].trim_matches(BLANKS).is_empty() {
                return Err(self.broken(text, "something follows behind the object on its line"));
            }
            self.at = (end + 1).min(text.len());
            return Ok(Some(object));
        }
        Ok(None)
    }

    /// The object with which a text begins; what follows it is next.
    fn object<'a>(&mut self, text: &'a str) -> Result<Object<'a>, BadRow> {
        let mut objects = serde_json::Deserializer::from_str(text).into_iter::<Object<'a>>();
        match objects.next() {
            Some(Ok(object)) => {
                self.at += objects.byte_offset();
                Ok(object)
            }
            Some(Err(error)) => {
                let line = self.line_at(self.at) + error.line().saturating_sub(1) as u64;
                Err(BadRow::at(malformed(&error), line))
            }
            None => Err(BadRow::at(malformed(&"expected an object"), self.line_at(self.at))),
        }
    }

    fn skip_blanks(&mut self, text: &str) {
        let rest = &text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(BLANKS).len();
    }

    fn broken(&mut self, text: &str, reason: &str) -> BadRow {
        let found = text[self.at.min(text.len())..].chars().next();
        let found = found.map_or("the end".to_owned(), |char| format!("`{char}`"));
        BadRow::at(malformed(&format_args!("{reason}, found {found}")), self.line_at(self.at))
    }

    /// The line of a place that is not before the last one that was asked for.
    fn line_at(&mut self, at: usize) -> u64 {
        self.line_ends += line_ends(&self.body[self.counted.min(at)..at]);
        self.counted = at.max(self.counted);
        self.line_ends + 1
    }

    /// Adds the row of an object, which stands in the line of its first value.
    fn append(&mut self, text: &str, fields: Vec<(Cow<'_, str>, &RawValue)>) -> Result<(), BadRow> {
        // A raw value is a part of the text.
        let place = |value: &RawValue| value.get().as_ptr() as usize - text.as_ptr() as usize;
        let mut line = None;
        self.rows.begin();
        for (key, value) in fields {
            let here = self.line_at(place(value));
            line.get_or_insert(here);
            let text_of = |data_type| text_of(value.get(), data_type);
            self.rows.value(&key, text_of).map_err(|error| BadRow::of_value(error, here, &key))?;
        }
        let line = line.unwrap_or_else(|| self.line_at(self.counted));
        self.rows.end(line).map_err(|error| BadRow::at(error, line))
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// 22P02, with what is wrong.
fn malformed(reason: &dyn fmt::Display) -> SqlError {
    // The reader counts lines from the object on; the body's line is told beside.
    let reason = reason.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    SqlError::new("22P02", "invalid input syntax for type json").detail(format!("{reason}."))
}

/// The text that a JSON value is to a type's input; `None` for NULL.
///
/// # Errors
/// 42804 for an array or an object where the type has none; 22P05 for a string that is no text.
pub(crate) fn text_of(value: &str, data_type: DataType) -> Result<Option<Cow<'_, str>>, SqlError> {
    let is_json = matches!(data_type, DataType::Json | DataType::Jsonb);
    Ok(Some(match (value.as_bytes().first(), data_type) {
        (Some(b'n'), _) => return Ok(None),
        _ if is_json => Cow::Borrowed(value),
        (Some(b'"'), _) => string(value)?,
        (Some(b'['), DataType::Array(element)) => {
            let mut text = String::new();
            write_array(value, element, &mut text)?;
            Cow::Owned(text)
        }
        (Some(b'['), _) => return Err(mismatch("an array", data_type)),
        (Some(b'{'), _) => return Err(mismatch("an object", data_type)),
        _ => Cow::Borrowed(value),
    }))
}

/// The characters of a string.
fn string(value: &str) -> Result<Cow<'_, str>, SqlError> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(value).map(Cow::Owned).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            SqlError::new("22P05", "a string cannot be read as text").detail(format!("{reason}."))
        }),
    }
}

/// 42804
fn mismatch(what: &str, data_type: DataType) -> SqlError {
    SqlError::new("42804", format!("the value is {what}, but the column is of type {data_type}"))
}

/// A JSON array as PostgreSQL writes arrays.
fn write_array(value: &str, element: Element, out: &mut String) -> Result<(), SqlError> {
    let elements: Vec<&RawValue> = serde_json::from_str(value).map_err(|error| malformed(&error))?;
    let is_json = matches!(element.data_type(), DataType::Json | DataType::Jsonb);
    out.push('{');
    for (at, value) in elements.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        match value.get().as_bytes().first() {
            Some(b'[') if !is_json => write_array(value.get(), element, out)?,
            _ => match text_of(value.get(), element.data_type())? {
                None => out.push_str("NULL"),
                Some(text) => write_quoted(&text, out),
            },
        }
    }
    out.push('}');
    Ok(())
}

fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out.push('"');
}
