//! A JSON value as the bytes that are stored of it.
//!
//! ```text
//! what is compared                          what is shown beside          how long the first part is
//! ┌─────┬───────────────────────────────┐  ┌────────────────────────┐   ┌────┐
//! │ top │ tag, count, parts, …          │  │ a number's scale: u16 … │   │ u32 │
//! └─────┴───────────────────────────────┘  └────────────────────────┘   └────┘
//! ```
//! The first part compares byte by byte as PostgreSQL's btree compares jsonb: at the top an empty array, then scalars,
//! arrays and objects; within, null < string < number < boolean < array < object, the one with fewer parts first. It
//! is the same for 1 and 1.0, which are equal; how many digits each number shows stands behind it. The engine's
//! `normalise_keys` keeps the first part of what is a key.

use super::{Json, Number};

const TOP_EMPTY_ARRAY: u8 = 1;
const TOP_SCALAR: u8 = 2;
const TOP_ARRAY: u8 = 3;
const TOP_OBJECT: u8 = 4;

const NULL: u8 = 1;
const STRING: u8 = 2;
const NUMBER: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;

/// The bytes of a value.
pub(crate) fn encode(value: &Json) -> Vec<u8> {
    let mut encoder = Encoder { bytes: vec![top(value)], scales: Vec::new() };
    encoder.value(value);
    let Encoder { mut bytes, scales } = encoder;
    let compared = bytes.len() as u32;
    bytes.extend(scales);
    bytes.extend(compared.to_be_bytes());
    bytes
}

/// The bytes by which values are compared.
pub(crate) fn compared(bytes: &[u8]) -> &[u8] {
    let length = bytes.last_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    bytes.get(..length).unwrap_or(bytes)
}

fn top(value: &Json) -> u8 {
    match value {
        Json::Array(elements) if elements.is_empty() => TOP_EMPTY_ARRAY,
        Json::Array(_) => TOP_ARRAY,
        Json::Object(_) => TOP_OBJECT,
        Json::Null | Json::String(_) | Json::Number(_) | Json::Boolean(_) => TOP_SCALAR,
    }
}

struct Encoder {
    bytes: Vec<u8>,
    scales: Vec<u8>,
}

impl Encoder {
    fn value(&mut self, value: &Json) {
        match value {
            Json::Null => self.bytes.push(NULL),
            Json::Boolean(value) => self.bytes.push(if *value { TRUE } else { FALSE }),
            Json::String(text) => {
                self.bytes.push(STRING);
                self.text(text);
            }
            Json::Number(number) => {
                self.bytes.push(NUMBER);
                self.number(number);
            }
            Json::Array(elements) => {
                self.bytes.push(ARRAY);
                self.count(elements.len());
                elements.iter().for_each(|element| self.value(element));
            }
            Json::Object(fields) => {
                self.bytes.push(OBJECT);
                self.count(fields.len());
                for (key, value) in fields {
                    self.text(key);
                    self.value(value);
                }
            }
        }
    }

    /// A value of PostgreSQL's has less than 1 GiB.
    fn count(&mut self, count: usize) {
        self.bytes.extend((count as u32).to_be_bytes());
    }

    /// No text has a NUL.
    fn text(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// The sign, the exponent, the digits plus one up to a zero; of a negative number all but its sign inverted.
    fn number(&mut self, number: &Number) {
        self.scales.extend(number.scale.to_be_bytes());
        if number.digits.is_empty() {
            return self.bytes.push(ZERO);
        }
        self.bytes.push(if number.negative { NEGATIVE } else { POSITIVE });
        let inverted = if number.negative { 0xff } else { 0 };
        let exponent = number.point.wrapping_add(i32::MIN).to_be_bytes();
        let digits = number.digits.iter().map(|digit| digit + 1).chain([0]);
        self.bytes.extend(exponent.into_iter().chain(digits).map(|byte| byte ^ inverted));
    }
}

/// The value of stored bytes; `None` for bytes that are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<Json> {
    let compared = compared(bytes);
    let scales = bytes.get(compared.len()..bytes.len().checked_sub(4)?)?;
    let (_, rest) = compared.split_first()?;
    Decoder { rest, scales }.value()
}

struct Decoder<'b> {
    rest: &'b [u8],
    scales: &'b [u8],
}

impl Decoder<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn count(&mut self) -> Option<usize> {
        let (count, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*count) as usize)
    }

    fn text(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        String::from_utf8(text.to_vec()).ok()
    }

    fn value(&mut self) -> Option<Json> {
        Some(match self.byte()? {
            NULL => Json::Null,
            FALSE => Json::Boolean(false),
            TRUE => Json::Boolean(true),
            STRING => Json::String(self.text()?),
            NUMBER => Json::Number(self.number()?),
            ARRAY => {
                let count = self.count()?;
                Json::Array((0..count).map(|_| self.value()).collect::<Option<_>>()?)
            }
            OBJECT => {
                let count = self.count()?;
                Json::Object((0..count).map(|_| Some((self.text()?, self.value()?))).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    fn number(&mut self) -> Option<Number> {
        let (scale, rest) = self.scales.split_first_chunk()?;
        self.scales = rest;
        let scale = u16::from_be_bytes(*scale);
        let sign = self.byte()?;
        if sign == ZERO {
            return Some(Number { negative: false, digits: Vec::new(), point: 0, scale });
        }
        let negative = sign == NEGATIVE;
        let inverted = if negative { 0xff } else { 0 };
        let (exponent, rest) = self.rest.split_first_chunk::<4>()?;
        let end = rest.iter().position(|byte| byte ^ inverted == 0)?;
        let digits = rest[..end].iter().map(|byte| (byte ^ inverted).wrapping_sub(1)).collect();
        self.rest = &rest[end + 1..];
        let point = i32::from_be_bytes(exponent.map(|byte| byte ^ inverted)).wrapping_sub(i32::MIN);
        Some(Number { negative, digits, point, scale })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{read, write_stored};
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        encode(&read(text).unwrap())
    }

    #[test]
    fn values_come_back_with_their_digits() {
        for text in
            ["null", "[]", "{}", "-1.50", "0.00", "1000", "0.001", r#"{"a": [1, {"b": "é\n"}], "bb": -20}"#]
        {
            let mut shown = String::new();
            write_stored(&bytes(text), &mut shown);
            assert_eq!(shown, text);
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[1, 2, 3, 4, 5]), None);
    }

    /// In the order that PostgreSQL 15 gives them.
    #[test]
    fn bytes_order_as_postgresql_orders_jsonb() {
        let ascending = [
            "[]",
            "null",
            r#""""#,
            r#""a""#,
            r#""ab""#,
            r#""b""#,
            "-100",
            "-12",
            "-1.5",
            "-0.2",
            "0",
            "0.01",
            "0.2",
            "1",
            "1.5",
            "2",
            "10",
            "false",
            "true",
            "[null]",
            "[1]",
            "[true]",
            "[[]]",
            "[[1]]",
            "[{}]",
            "[1, 1]",
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": 2}"#,
            r#"{"b": 1}"#,
            r#"{"a": 1, "b": 1}"#,
        ];
        for pair in ascending.windows(2) {
            let (left, right) = (bytes(pair[0]), bytes(pair[1]));
            assert!(compared(&left) < compared(&right), "{} {}", pair[0], pair[1]);
        }
        assert_eq!(compared(&bytes("1.0")), compared(&bytes("1")));
    }
}
