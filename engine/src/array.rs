//! Arrays: values of one type in one or more dimensions, as the bytes that are stored of them.
//!
//! ```text
//! what is compared                          what is read                                  how long the first part is
//! ┌──────────────────────┬──────────────┐  ┌────────────────┬────────────┬───────────┐   ┌────┐
//! │ element, element … 0 │ dimensions   │  │ the type       │ dimensions │ elements  │   │ u32 │
//! └──────────────────────┴──────────────┘  └────────────────┴────────────┴───────────┘   └────┘
//! ```
//! The first part compares byte by byte as PostgreSQL's btree compares arrays: by elements, NULL behind all others,
//! then by their number, then by dimensions. Elements that are equal (0 and -0, 1 month and 30 days) are the same
//! there; how they look stands in the second part. `normalise_keys` keeps the first part of what is a key.

use arrow::datatypes::IntervalMonthDayNano;
use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
use crate::state::{compared_part, normalise_interval};
use crate::types::{DataType, Limit, Literal};

/// The most dimensions of an array, as in PostgreSQL.
pub const DIMENSIONS_MAX: usize = 6;

/// The type of an array's elements. Serialised inside plans and the log: only append variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Element {
    /// `boolean`
    Boolean,
    /// `smallint`
    Int16,
    /// `integer`
    Int32,
    /// `bigint`
    Int64,
    /// `real`
    Float32,
    /// `double precision`
    Float64,
    /// `numeric(precision, scale)`
    Numeric {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `text`
    Text,
    /// `varchar` without a length
    Varchar,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `bytea`
    Bytea,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// `numeric` of any number of digits
    Decimal,
}

impl Element {
    /// The elements that arrays of a type have; `None` where there are none of it.
    pub fn of(data_type: DataType) -> Option<Element> {
        Some(match data_type {
            DataType::Boolean => Element::Boolean,
            DataType::Int16 => Element::Int16,
            DataType::Int32 => Element::Int32,
            DataType::Int64 => Element::Int64,
            DataType::Float32 => Element::Float32,
            DataType::Float64 => Element::Float64,
            DataType::Numeric { precision, scale } => Element::Numeric { precision, scale },
            DataType::Text => Element::Text,
            DataType::Limited(Limit::Varchar(None)) => Element::Varchar,
            DataType::Date => Element::Date,
            DataType::Time => Element::Time,
            DataType::Timestamp => Element::Timestamp,
            DataType::TimestampTz => Element::TimestampTz,
            DataType::Interval => Element::Interval,
            DataType::Uuid => Element::Uuid,
            DataType::Bytea => Element::Bytea,
            DataType::Json => Element::Json,
            DataType::Jsonb => Element::Jsonb,
            DataType::Decimal => Element::Decimal,
            DataType::Char | DataType::Limited(_) | DataType::Array(_) => return None,
        })
    }

    /// The type of one element.
    pub fn data_type(self) -> DataType {
        match self {
            Element::Boolean => DataType::Boolean,
            Element::Int16 => DataType::Int16,
            Element::Int32 => DataType::Int32,
            Element::Int64 => DataType::Int64,
            Element::Float32 => DataType::Float32,
            Element::Float64 => DataType::Float64,
            Element::Numeric { precision, scale } => DataType::Numeric { precision, scale },
            Element::Text => DataType::Text,
            Element::Varchar => DataType::Limited(Limit::Varchar(None)),
            Element::Date => DataType::Date,
            Element::Time => DataType::Time,
            Element::Timestamp => DataType::Timestamp,
            Element::TimestampTz => DataType::TimestampTz,
            Element::Interval => DataType::Interval,
            Element::Uuid => DataType::Uuid,
            Element::Bytea => DataType::Bytea,
            Element::Json => DataType::Json,
            Element::Jsonb => DataType::Jsonb,
            Element::Decimal => DataType::Decimal,
        }
    }

    /// The three bytes that stand for it in a value.
    fn code(self) -> [u8; 3] {
        let plain = |code| [code, 0, 0];
        match self {
            Element::Boolean => plain(1),
            Element::Int16 => plain(2),
            Element::Int32 => plain(3),
            Element::Int64 => plain(4),
            Element::Float32 => plain(5),
            Element::Float64 => plain(6),
            Element::Numeric { precision, scale } => [7, precision, scale],
            Element::Text => plain(8),
            Element::Varchar => plain(9),
            Element::Date => plain(10),
            Element::Time => plain(11),
            Element::Timestamp => plain(12),
            Element::TimestampTz => plain(13),
            Element::Interval => plain(14),
            Element::Uuid => plain(15),
            Element::Bytea => plain(16),
            Element::Json => plain(17),
            Element::Jsonb => plain(18),
            Element::Decimal => plain(19),
        }
    }

    fn of_code(code: [u8; 3]) -> Option<Element> {
        const PLAIN: [Element; 18] = [
            Element::Boolean,
            Element::Int16,
            Element::Int32,
            Element::Int64,
            Element::Float32,
            Element::Float64,
            Element::Text,
            Element::Varchar,
            Element::Date,
            Element::Time,
            Element::Timestamp,
            Element::TimestampTz,
            Element::Interval,
            Element::Uuid,
            Element::Bytea,
            Element::Json,
            Element::Jsonb,
            Element::Decimal,
        ];
        match code {
            [7, precision, scale] => Some(Element::Numeric { precision, scale }),
            code => PLAIN.into_iter().find(|element| element.code() == code),
        }
    }
}

/// One dimension of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// How many elements it counts.
    pub length: i32,
    /// The index of the first.
    pub lower: i32,
}

/// An array in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// What it is of.
    pub element: Element,
    /// Its dimensions, the outermost first; none: it is empty.
    pub dimensions: Vec<Dimension>,
    /// The elements, those of the innermost dimension side by side; `None` is NULL.
    pub values: Vec<Option<Literal>>,
}

impl Array {
    /// An array of one dimension, counted from 1; without values it has none.
    pub fn flat(element: Element, values: Vec<Option<Literal>>) -> Array {
        // No value of a gigabyte has more elements.
        let length = values.len() as i32;
        let dimensions = if values.is_empty() { Vec::new() } else { vec![Dimension { length, lower: 1 }] };
        Array { element, dimensions, values }
    }

    /// The bytes that are stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in &self.values {
            match value {
                Some(value) => {
                    bytes.push(1);
                    compare_bytes(value, &mut bytes);
                }
                None => bytes.push(2),
            }
        }
        bytes.push(0);
        bytes.push(self.dimensions.len() as u8);
        let ordered = |number: i32| number.wrapping_add(i32::MIN).to_be_bytes();
        self.dimensions.iter().for_each(|dimension| bytes.extend(ordered(dimension.length)));
        self.dimensions.iter().for_each(|dimension| bytes.extend(ordered(dimension.lower)));
        let compared = bytes.len() as u32;
        bytes.extend(self.element.code());
        bytes.push(self.dimensions.len() as u8);
        for dimension in &self.dimensions {
            bytes.extend(dimension.length.to_be_bytes());
            bytes.extend(dimension.lower.to_be_bytes());
        }
        self.values.iter().for_each(|value| write_value(value.as_ref(), &mut bytes));
        bytes.extend(compared.to_be_bytes());
        bytes
    }

    /// What the array of stored bytes is of; `None` for bytes that are none.
    pub fn element_of(bytes: &[u8]) -> Option<Element> {
        let length = u32::from_be_bytes(*bytes.last_chunk()?) as usize;
        Element::of_code(*bytes.get(length..)?.first_chunk()?)
    }

    /// The array of stored bytes; `None` for bytes that are none, or of a key, which is only compared.
    pub fn decode(bytes: &[u8]) -> Option<Array> {
        let length = u32::from_be_bytes(*bytes.last_chunk()?) as usize;
        let mut rest = bytes.get(length..bytes.len().checked_sub(4)?)?;
        let element = Element::of_code(take(&mut rest)?)?;
        let [count] = take(&mut rest)?;
        let mut dimensions = Vec::with_capacity(count.into());
        for _ in 0..count {
            let length = i32::from_be_bytes(take(&mut rest)?);
            dimensions.push(Dimension { length, lower: i32::from_be_bytes(take(&mut rest)?) });
        }
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(read_value(element, &mut rest)?);
        }
        Some(Array { element, dimensions, values })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

/// Bytes that order as a value does among values of its type.
pub fn order_bytes(value: &Literal) -> Vec<u8> {
    let mut bytes = Vec::new();
    compare_bytes(value, &mut bytes);
    bytes
}

/// Appends bytes that order as a value does among values of its type, none of them the beginning of another.
fn compare_bytes(value: &Literal, out: &mut Vec<u8>) {
    /// A byte row in which no zero is the last of two: bytes with zeros told apart from their end.
    fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            out.push(*byte);
            if *byte == 0 {
                out.push(0xff);
            }
        }
        out.extend([0, 0]);
    }
    /// IEEE 754's bits in the order of the numbers; -0 is 0, NaN is one and the greatest.
    fn float(value: f64) -> [u8; 8] {
        let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
        let bits = value.to_bits();
        (if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }).to_be_bytes()
    }
    match value {
        Literal::Boolean(value) => out.push(u8::from(*value)),
        Literal::Int16(value) => out.extend(value.wrapping_add(i16::MIN).to_be_bytes()),
        Literal::Int32(value) | Literal::Date(value) => {
            out.extend(value.wrapping_add(i32::MIN).to_be_bytes())
        }
        Literal::Int64(value)
        | Literal::Timestamp(value)
        | Literal::TimestampTz(value)
        | Literal::Time(value) => out.extend(value.wrapping_add(i64::MIN).to_be_bytes()),
        Literal::Float32(bits) => out.extend(float(f32::from_bits(*bits).into())),
        Literal::Float64(bits) => out.extend(float(f64::from_bits(*bits))),
        Literal::Numeric { value, .. } => out.extend(value.wrapping_add(i128::MIN).to_be_bytes()),
        Literal::Interval { months, days, micros } => {
            let interval = IntervalMonthDayNano::new(*months, *days, micros.saturating_mul(1_000));
            let interval = normalise_interval(interval);
            out.extend(interval.months.wrapping_add(i32::MIN).to_be_bytes());
            out.extend(interval.days.wrapping_add(i32::MIN).to_be_bytes());
            out.extend(interval.nanoseconds.wrapping_add(i64::MIN).to_be_bytes());
        }
        Literal::Text(text) | Literal::Json(text) => escaped(text.as_bytes(), out),
        Literal::Bytea(bytes) => escaped(bytes, out),
        Literal::Jsonb(bytes) => escaped(&compared_part(bytes), out),
        Literal::Uuid(bytes) => out.extend(bytes),
        // None of them is the beginning of another.
        Literal::Decimal(stored) => out.extend(Decimal::compared(stored).as_bytes()),
        // Arrays hold neither NULL as a literal nor arrays.
        Literal::Null(_) | Literal::Array { .. } => {}
    }
}

/// Appends a value with its length; that of NULL is -1.
fn write_value(value: Option<&Literal>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend((-1i32).to_be_bytes());
    match value {
        None | Some(Literal::Null(_) | Literal::Array { .. }) => return,
        Some(Literal::Boolean(value)) => out.push(u8::from(*value)),
        Some(Literal::Int16(value)) => out.extend(value.to_be_bytes()),
        Some(Literal::Int32(value) | Literal::Date(value)) => out.extend(value.to_be_bytes()),
        Some(
            Literal::Int64(value)
            | Literal::Timestamp(value)
            | Literal::TimestampTz(value)
            | Literal::Time(value),
        ) => out.extend(value.to_be_bytes()),
        Some(Literal::Float32(bits)) => out.extend(bits.to_be_bytes()),
        Some(Literal::Float64(bits)) => out.extend(bits.to_be_bytes()),
        Some(Literal::Numeric { value, .. }) => out.extend(value.to_be_bytes()),
        Some(Literal::Interval { months, days, micros }) => {
            out.extend(months.to_be_bytes());
            out.extend(days.to_be_bytes());
            out.extend(micros.to_be_bytes());
        }
        Some(Literal::Text(text) | Literal::Json(text) | Literal::Decimal(text)) => {
            out.extend(text.as_bytes())
        }
        Some(Literal::Bytea(bytes) | Literal::Jsonb(bytes)) => out.extend(bytes),
        Some(Literal::Uuid(bytes)) => out.extend(bytes),
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads a value; the outer `None` is for bytes that are none.
fn read_value(element: Element, rest: &mut &[u8]) -> Option<Option<Literal>> {
    let length = i32::from_be_bytes(take(rest)?);
    let Ok(length) = usize::try_from(length) else { return Some(None) };
    let (mut bytes, left) = rest.split_at_checked(length)?;
    *rest = left;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(Some(match element {
        Element::Boolean => Literal::Boolean(*bytes.first()? != 0),
        Element::Int16 => Literal::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
        Element::Int32 => Literal::Int32(i32::from_be_bytes(bytes.try_into().ok()?)),
        Element::Int64 => Literal::Int64(i64::from_be_bytes(bytes.try_into().ok()?)),
        Element::Float32 => Literal::Float32(u32::from_be_bytes(bytes.try_into().ok()?)),
        Element::Float64 => Literal::Float64(u64::from_be_bytes(bytes.try_into().ok()?)),
        Element::Numeric { precision, scale } => {
            let value = i128::from_be_bytes(bytes.try_into().ok()?);
            Literal::Numeric { value, precision, scale }
        }
        Element::Text | Element::Varchar => Literal::Text(text(bytes)?),
        Element::Date => Literal::Date(i32::from_be_bytes(bytes.try_into().ok()?)),
        Element::Time => Literal::Time(i64::from_be_bytes(bytes.try_into().ok()?)),
        Element::Timestamp => Literal::Timestamp(i64::from_be_bytes(bytes.try_into().ok()?)),
        Element::TimestampTz => Literal::TimestampTz(i64::from_be_bytes(bytes.try_into().ok()?)),
        Element::Interval => {
            let months = i32::from_be_bytes(take(&mut bytes)?);
            let days = i32::from_be_bytes(take(&mut bytes)?);
            Literal::Interval { months, days, micros: i64::from_be_bytes(bytes.try_into().ok()?) }
        }
        Element::Uuid => Literal::Uuid(bytes.try_into().ok()?),
        Element::Bytea => Literal::Bytea(bytes.to_vec()),
        Element::Json => Literal::Json(text(bytes)?),
        Element::Jsonb => Literal::Jsonb(bytes.to_vec()),
        Element::Decimal => Literal::Decimal(text(bytes)?),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ints(values: &[Option<i32>]) -> Array {
        Array::flat(Element::Int32, values.iter().map(|value| value.map(Literal::Int32)).collect())
    }

    fn compared(array: &Array) -> Vec<u8> {
        compared_part(&array.encode())[..].to_vec()
    }

    #[test]
    fn arrays_come_back() {
        let square = Array {
            element: Element::Text,
            dimensions: vec![Dimension { length: 2, lower: 0 }, Dimension { length: 1, lower: -3 }],
            values: vec![None, Some(Literal::Text("é".to_owned()))],
        };
        let interval = Literal::Interval { months: 1, days: -2, micros: 3 };
        let numeric = Literal::Numeric { value: -150, precision: 10, scale: 2 };
        for array in [
            ints(&[]),
            ints(&[Some(1), None, Some(-5)]),
            square,
            Array::flat(Element::Interval, vec![Some(interval)]),
            Array::flat(Element::Numeric { precision: 10, scale: 2 }, vec![Some(numeric)]),
            Array::flat(Element::Boolean, vec![Some(Literal::Boolean(true)), None]),
        ] {
            assert_eq!(Array::decode(&array.encode()).unwrap(), array);
        }
        assert_eq!(Array::decode(&[]), None);
        assert_eq!(Array::decode(&[0, 0, 0, 9, 9, 9, 9]), None);
    }

    #[test]
    fn arrays_compare_by_elements_then_number_then_dimensions() {
        let text = |text: &str| Some(Literal::Text(text.to_owned()));
        let ascending = [
            ints(&[]),
            ints(&[Some(-1)]),
            ints(&[Some(1)]),
            ints(&[Some(1), Some(0)]),
            ints(&[Some(1), None]),
            ints(&[Some(2)]),
            ints(&[None]),
        ];
        assert!(ascending.windows(2).all(|pair| compared(&pair[0]) < compared(&pair[1])));
        let texts = |values| Array::flat(Element::Text, values);
        assert!(compared(&texts(vec![text("a"), text("b")])) < compared(&texts(vec![text("a\u{1}")])));
        let float = |value: f64| Array::flat(Element::Float64, vec![Some(Literal::Float64(value.to_bits()))]);
        assert_eq!(compared(&float(0.0)), compared(&float(-0.0)));
        assert!(compared(&float(f64::INFINITY)) < compared(&float(-f64::NAN)));
    }
}
