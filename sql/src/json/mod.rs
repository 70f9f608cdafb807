//! JSON values: read from text, written as PostgreSQL writes jsonb, and stored in bytes that order as PostgreSQL's
//! btree does.
//!
//! A parser of our own: what matters is which of several wrong texts PostgreSQL refuses with which code, digits as
//! they stand, and the places of parts in a `json`'s text, none of which a general one keeps.

mod encode; // values as the bytes that are stored
mod number; // digits, exactly
mod read; // from text
mod write; // to text

use std::cmp::Ordering;

pub(crate) use encode::{compared, decode, encode};
pub(crate) use number::Number;
pub(crate) use read::{Split, check, read, split};
pub use write::write_stored;
pub(crate) use write::{write, write_pretty, write_string};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// A string, without NUL.
    String(String),
    /// A number.
    Number(Number),
    /// `true` or `false`
    Boolean(bool),
    /// `[…]`
    Array(Vec<Json>),
    /// `{…}`: each key once, in the order of `key_order`.
    Object(Vec<(String, Json)>),
}

/// The order of an object's keys: the shorter first, else by bytes.
pub(crate) fn key_order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

impl Json {
    /// An object of these fields; of equal keys the last one counts.
    pub(crate) fn object(mut fields: Vec<(String, Json)>) -> Json {
        // Stable: the last of equal keys stays the last.
        fields.sort_by(|(left, _), (right, _)| key_order(left, right));
        let mut unique: Vec<(String, Json)> = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            match unique.last_mut().filter(|(last, _)| *last == key) {
                Some((_, last)) => *last = value,
                None => unique.push((key, value)),
            }
        }
        Json::Object(unique)
    }

    /// What `jsonb_typeof` calls it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::String(_) => "string",
            Json::Number(_) => "number",
            Json::Boolean(_) => "boolean",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// The value of a key of an object.
    pub(crate) fn field(&self, key: &str) -> Option<&Json> {
        let Json::Object(fields) = self else { return None };
        let found = fields.binary_search_by(|(own, _)| key_order(own, key)).ok()?;
        Some(&fields[found].1)
    }

    /// The element of an array at a place, from the end where negative.
    pub(crate) fn element(&self, place: i32) -> Option<&Json> {
        let Json::Array(elements) = self else { return None };
        elements.get(place_among(place, elements.len())?)
    }

    /// Whether it contains another as `@>` has it: an array also a scalar that is an element of it.
    pub(crate) fn contains(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Array(elements), scalar) if scalar.is_scalar() => elements.contains(scalar),
            _ => self.contains_part(other),
        }
    }

    fn contains_part(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Object(_), Json::Object(wanted)) => {
                wanted.iter().all(|(key, value)| self.field(key).is_some_and(|own| own.contains_part(value)))
            }
            (Json::Array(own), Json::Array(wanted)) => {
                let has = |value: &Json| own.iter().any(|element| element.contains_part(value));
                wanted.iter().all(has)
            }
            (own, other) => own.is_scalar() && own == other,
        }
    }

    /// Whether it is neither an array nor an object.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    /// The text that `->>` gives: a string without its quotes; none for null.
    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            Json::Number(_) | Json::Boolean(_) | Json::Array(_) | Json::Object(_) => {
                let mut out = String::new();
                write(self, &mut out);
                Some(out)
            }
        }
    }
}

/// The index of a place among `len` elements: from the end where negative; `None` where there is none.
pub(crate) fn place_among(place: i32, len: usize) -> Option<usize> {
    let index = if place < 0 { i64::from(place) + len as i64 } else { i64::from(place) };
    usize::try_from(index).ok().filter(|index| *index < len)
}
