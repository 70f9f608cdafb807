//! The engine's closed set of column types and literals, and their Arrow forms.
//!
//! `sql` maps PostgreSQL's types onto these before a plan reaches the engine; nothing further in
//! knows any other type. Invariant: one `DataType` has exactly one Arrow form.

use std::fmt;

use arrow::datatypes::{DataType as ArrowType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::array::Element;
use crate::decimal::Decimal;

/// The moment at which a transaction takes effect: microseconds since 1970, strictly increasing.
pub type Tick = u64;

/// The zone that Arrow's form of a moment names: the one for all.
pub const MOMENT_ZONE: &str = "+00:00";

/// The bytes of a uuid.
const UUID_BYTES: i32 = 16;

/// The most digits that a numeric can have: Decimal128's.
pub const NUMERIC_PRECISION_MAX: u8 = 38;

/// The type of a column. Serialised inside plans and the log: only append variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DataType {
    /// `boolean`
    Boolean,
    /// `integer`, 32 bits
    Int32,
    /// `bigint`, 64 bits
    Int64,
    /// `double precision`
    Float64,
    /// `text`, UTF-8
    Text,
    /// `timestamp without time zone`, microseconds since 1970
    Timestamp,
    /// `numeric(precision, scale)` as Decimal128
    Numeric {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `date`, days since 1970
    Date,
    /// `interval`: months, days and a time of day, of which none becomes another by itself. '1 month' and '30
    /// days' are equal: keys go through `normalise_keys`.
    Interval,
    /// `smallint`, 16 bits
    Int16,
    /// `real`
    Float32,
    /// `timestamp with time zone`, microseconds since 1970: a moment. In which zone it is shown is the reader's.
    TimestampTz,
    /// `uuid`, 16 bytes
    Uuid,
    /// `bytea`, any bytes
    Bytea,
    /// `time without time zone`, microseconds since midnight
    Time,
    /// `char` without a length: a text without blanks at its end
    Char,
    /// A type with a limit that its values keep to.
    Limited(Limit),
    /// `json`: a text, as it was written
    Json,
    /// `jsonb`: bytes that compare as the values do, then what else is shown of them, and in four bytes how long the
    /// first part is. Keys go through `normalise_keys`.
    Jsonb,
    /// An array, in the same form (`array.rs`).
    Array(Element),
    /// `numeric` of any number of digits, each value with a scale of its own (`decimal.rs`). Keys go through
    /// `normalise_keys`.
    Decimal,
}

/// What a type's modifier asks of its values. Serialised inside plans and the log: only append variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Limit {
    /// `varchar(n)`: at most so many characters; without a limit it is only a name of its own.
    Varchar(Option<u32>),
    /// `char(n)`: filled up with blanks to so many characters.
    Char(u32),
    /// `timestamp(p)`: rounded to so many digits of a second.
    Timestamp(u8),
    /// `timestamp(p) with time zone`
    TimestampTz(u8),
    /// `time(p)`
    Time(u8),
    /// `numeric(p, s)` where that has more digits than 38, or its scale is negative or greater than its precision.
    Numeric {
        /// Digits in all.
        precision: u16,
        /// Digits behind the point; negative: so many before it are zero.
        scale: i16,
    },
}

impl Limit {
    /// The type without the limit.
    pub fn base(self) -> DataType {
        match self {
            Limit::Varchar(_) => DataType::Text,
            Limit::Char(_) => DataType::Char,
            Limit::Timestamp(_) => DataType::Timestamp,
            Limit::TimestampTz(_) => DataType::TimestampTz,
            Limit::Time(_) => DataType::Time,
            Limit::Numeric { .. } => DataType::Decimal,
        }
    }
}

impl DataType {
    /// The type without its limit: what operators and functions know.
    pub fn base(self) -> DataType {
        if let DataType::Limited(limit) = self { limit.base() } else { self }
    }

    /// Whether values of it can be equal and yet look different, so that a group has to choose which one it shows.
    pub fn has_equals_that_differ(self) -> bool {
        matches!(self.base(), DataType::Interval | DataType::Jsonb | DataType::Array(_) | DataType::Decimal)
    }

    /// The type whose Arrow form and literals it shares.
    pub fn stored(self) -> DataType {
        match self.base() {
            DataType::Char | DataType::Json => DataType::Text,
            base => base,
        }
    }

    /// The Arrow type that holds values of this type.
    pub fn to_arrow(self) -> ArrowType {
        match self {
            DataType::Boolean => ArrowType::Boolean,
            DataType::Int32 => ArrowType::Int32,
            DataType::Int64 => ArrowType::Int64,
            DataType::Float64 => ArrowType::Float64,
            DataType::Text => ArrowType::Utf8,
            DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Numeric { precision, scale } => ArrowType::Decimal128(precision, scale as i8),
            DataType::Date => ArrowType::Date32,
            DataType::Interval => ArrowType::Interval(IntervalUnit::MonthDayNano),
            DataType::Int16 => ArrowType::Int16,
            DataType::Float32 => ArrowType::Float32,
            DataType::Uuid => ArrowType::FixedSizeBinary(UUID_BYTES),
            DataType::Bytea => ArrowType::Binary,
            DataType::Time => ArrowType::Time64(TimeUnit::Microsecond),
            DataType::Char | DataType::Limited(_) | DataType::Json => self.stored().to_arrow(),
            DataType::Jsonb => ArrowType::LargeBinary,
            DataType::Array(_) => ArrowType::BinaryView,
            DataType::Decimal => ArrowType::Utf8View,
            DataType::TimestampTz => ArrowType::Timestamp(TimeUnit::Microsecond, Some(MOMENT_ZONE.into())),
        }
    }

    /// The type whose Arrow form this is, of several the one that they are stored as; `None` where the engine has
    /// no such type.
    pub fn from_arrow(arrow: &ArrowType) -> Option<DataType> {
        Some(match arrow {
            ArrowType::Boolean => DataType::Boolean,
            ArrowType::Int32 => DataType::Int32,
            ArrowType::Int64 => DataType::Int64,
            ArrowType::Float64 => DataType::Float64,
            ArrowType::Utf8 => DataType::Text,
            ArrowType::Timestamp(TimeUnit::Microsecond, None) => DataType::Timestamp,
            ArrowType::Decimal128(precision, scale) => {
                DataType::Numeric { precision: *precision, scale: u8::try_from(*scale).ok()? }
            }
            ArrowType::Date32 => DataType::Date,
            ArrowType::Interval(IntervalUnit::MonthDayNano) => DataType::Interval,
            ArrowType::Int16 => DataType::Int16,
            ArrowType::FixedSizeBinary(UUID_BYTES) => DataType::Uuid,
            ArrowType::Binary => DataType::Bytea,
            ArrowType::Float32 => DataType::Float32,
            ArrowType::Time64(TimeUnit::Microsecond) => DataType::Time,
            ArrowType::LargeBinary => DataType::Jsonb,
            // What it is of each value says.
            ArrowType::BinaryView => DataType::Array(Element::Text),
            ArrowType::Utf8View => DataType::Decimal,
            ArrowType::Timestamp(TimeUnit::Microsecond, Some(zone)) if **zone == *MOMENT_ZONE => {
                DataType::TimestampTz
            }
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("boolean"),
            DataType::Int32 => f.write_str("integer"),
            DataType::Int64 => f.write_str("bigint"),
            DataType::Float64 => f.write_str("double precision"),
            DataType::Text => f.write_str("text"),
            DataType::Timestamp => f.write_str("timestamp"),
            DataType::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            DataType::Date => f.write_str("date"),
            DataType::Interval => f.write_str("interval"),
            DataType::Int16 => f.write_str("smallint"),
            DataType::Float32 => f.write_str("real"),
            DataType::TimestampTz => f.write_str("timestamptz"),
            DataType::Uuid => f.write_str("uuid"),
            DataType::Bytea => f.write_str("bytea"),
            DataType::Time => f.write_str("time"),
            DataType::Char => f.write_str("bpchar"),
            DataType::Limited(limit) => limit.fmt(f),
            DataType::Json => f.write_str("json"),
            DataType::Jsonb => f.write_str("jsonb"),
            DataType::Array(element) => write!(f, "{}[]", element.data_type()),
            DataType::Decimal => f.write_str("numeric"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Varchar(None) => f.write_str("varchar"),
            Limit::Varchar(Some(length)) => write!(f, "varchar({length})"),
            Limit::Char(length) => write!(f, "char({length})"),
            Limit::Timestamp(digits) => write!(f, "timestamp({digits})"),
            Limit::TimestampTz(digits) => write!(f, "timestamptz({digits})"),
            Limit::Time(digits) => write!(f, "time({digits})"),
            Limit::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
        }
    }
}

/// Each type once, for tests that go through them.
#[cfg(test)]
pub(crate) const EVERY: [DataType; 23] = [
    DataType::Boolean,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::Float32,
    DataType::Float64,
    DataType::Numeric { precision: 38, scale: 5 },
    DataType::Text,
    DataType::Date,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Bytea,
    DataType::Time,
    DataType::Char,
    DataType::Limited(Limit::Char(3)),
    DataType::Limited(Limit::TimestampTz(3)),
    DataType::Json,
    DataType::Jsonb,
    DataType::Array(Element::Text),
    DataType::Decimal,
    DataType::Limited(Limit::Numeric { precision: 50, scale: 10 }),
];

/// The Arrow schema of unnamed columns: `c0`, `c1`, … of these types, all nullable.
///
/// The engine knows columns by position only; names live in the catalog.
pub fn schema_of(types: &[DataType]) -> SchemaRef {
    let fields: Vec<Field> =
        types.iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t.to_arrow(), true)).collect();
    Schema::new(fields).into()
}

/// Identifies a table or a view for good: never given twice, stable over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RelationId(pub u64);

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// A typed constant. Floats are kept as bits so that equality and the canonical bytes are exact.
/// Serialised inside plans and the log: only append variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Literal {
    /// NULL of a type
    Null(DataType),
    /// `boolean`
    Boolean(bool),
    /// `integer`
    Int32(i32),
    /// `bigint`
    Int64(i64),
    /// `double precision`, as IEEE 754 bits
    Float64(u64),
    /// `text`
    Text(String),
    /// `timestamp`, microseconds since 1970
    Timestamp(i64),
    /// `numeric`: `value` × 10^-`scale`
    Numeric {
        /// The unscaled value.
        value: i128,
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// `date`, days since 1970
    Date(i32),
    /// `interval`
    Interval {
        /// Months, also those of years.
        months: i32,
        /// Days, also those of weeks.
        days: i32,
        /// The time, in microseconds.
        micros: i64,
    },
    /// `smallint`
    Int16(i16),
    /// `real`, as IEEE 754 bits
    Float32(u32),
    /// `timestamp with time zone`, microseconds since 1970
    TimestampTz(i64),
    /// `uuid`
    Uuid([u8; 16]),
    /// `bytea`
    Bytea(Vec<u8>),
    /// `time`, microseconds since midnight
    Time(i64),
    /// `jsonb`, as it is stored
    Jsonb(Vec<u8>),
    /// `json`
    Json(String),
    /// An array, as it is stored.
    Array {
        /// What it is of.
        element: Element,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// `numeric` of any number of digits, as it is stored.
    Decimal(String),
}

impl Literal {
    /// The literal's type.
    pub fn data_type(&self) -> DataType {
        match self {
            Literal::Null(data_type) => *data_type,
            Literal::Boolean(_) => DataType::Boolean,
            Literal::Int32(_) => DataType::Int32,
            Literal::Int64(_) => DataType::Int64,
            Literal::Float64(_) => DataType::Float64,
            Literal::Text(_) => DataType::Text,
            Literal::Timestamp(_) => DataType::Timestamp,
            Literal::Numeric { precision, scale, .. } => {
                DataType::Numeric { precision: *precision, scale: *scale }
            }
            Literal::Date(_) => DataType::Date,
            Literal::Interval { .. } => DataType::Interval,
            Literal::Int16(_) => DataType::Int16,
            Literal::Float32(_) => DataType::Float32,
            Literal::TimestampTz(_) => DataType::TimestampTz,
            Literal::Uuid(_) => DataType::Uuid,
            Literal::Bytea(_) => DataType::Bytea,
            Literal::Time(_) => DataType::Time,
            Literal::Jsonb(_) => DataType::Jsonb,
            Literal::Json(_) => DataType::Json,
            Literal::Array { element, .. } => DataType::Array(*element),
            Literal::Decimal(_) => DataType::Decimal,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null(data_type) => write!(f, "null::{data_type}"),
            Literal::Boolean(value) => write!(f, "{value}"),
            Literal::Int32(value) => write!(f, "{value}"),
            Literal::Int64(value) => write!(f, "{value}::bigint"),
            Literal::Float64(bits) => write!(f, "{:?}::double precision", f64::from_bits(*bits)),
            Literal::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
            Literal::Timestamp(micros) => write!(f, "{micros}us::timestamp"),
            Literal::Numeric { value, scale, .. } => write!(f, "{value}e-{scale}::numeric"),
            Literal::Date(days) => write!(f, "{days}d::date"),
            Literal::Interval { months, days, micros } => {
                write!(f, "{months}mon {days}d {micros}us::interval")
            }
            Literal::Int16(value) => write!(f, "{value}::smallint"),
            Literal::Float32(bits) => write!(f, "{:?}::real", f32::from_bits(*bits)),
            Literal::TimestampTz(micros) => write!(f, "{micros}us::timestamptz"),
            Literal::Uuid(bytes) => write!(f, "'{:032x}'::uuid", u128::from_be_bytes(*bytes)),
            Literal::Bytea(bytes) => hexadecimal(bytes, "bytea", f),
            Literal::Jsonb(bytes) => hexadecimal(bytes, "jsonb", f),
            Literal::Array { element, bytes } => {
                hexadecimal(bytes, &DataType::Array(*element).to_string(), f)
            }
            Literal::Json(text) => write!(f, "'{}'::json", text.replace('\'', "''")),
            Literal::Time(micros) => write!(f, "{micros}us::time"),
            Literal::Decimal(stored) => match Decimal::decode(stored) {
                Some(decimal) => write!(f, "{decimal}::numeric"),
                None => write!(f, "{stored:?}::numeric"),
            },
        }
    }
}

fn hexadecimal(bytes: &[u8], data_type: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("'\\x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
    write!(f, "'::{data_type}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_arrow_form() {
        for data_type in EVERY {
            assert_eq!(DataType::from_arrow(&data_type.to_arrow()), Some(data_type.stored()));
        }
    }
}
