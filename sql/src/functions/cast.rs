//! Casts between the engine's types: PostgreSQL's pairs, rounding and errors.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType, BooleanArray};
use datafusion::arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType, NUMERIC_PRECISION_MAX};

use super::arithmetic::narrowed;
use super::array;
use super::bytes;
use super::date;
use super::decimal;
use super::inputs::Inputs;
use super::json;
use super::limits;
use super::numeric::{self, rescale};
use crate::text_form::{self, MICROS_PER_DAY};

/// How a cast may come about, as in PostgreSQL's pg_cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// Anywhere an expression of another type is needed.
    Implicit,
    /// Where a value is stored in a column.
    Assignment,
    /// Only where the user writes it.
    Explicit,
}

/// The least that allows a cast; `None` where there is no such cast.
pub(crate) fn context(from: DataType, to: DataType) -> Option<Context> {
    if let (DataType::Array(from), DataType::Array(to)) = (from, to) {
        return context(from.data_type(), to.data_type());
    }
    use DataType::{
        Boolean, Char, Date, Decimal, Float32, Float64, Int16, Int32, Int64, Interval, Json, Jsonb, Numeric,
        Text, Time, Timestamp, TimestampTz,
    };
    Some(match (from.base(), to.base()) {
        (from, to) if from == to => Context::Implicit,
        (Numeric { .. } | Decimal, Numeric { .. } | Decimal) => Context::Implicit,
        (Int16, Int32 | Int64 | Float32 | Float64 | Numeric { .. } | Decimal) => Context::Implicit,
        (Int32, Int64 | Float32 | Float64 | Numeric { .. } | Decimal) => Context::Implicit,
        (Int64, Float32 | Float64 | Numeric { .. } | Decimal) => Context::Implicit,
        (Numeric { .. } | Decimal, Float32 | Float64) | (Float32, Float64) => Context::Implicit,
        (Int32 | Int64 | Float32 | Float64 | Numeric { .. } | Decimal, Int16) => Context::Assignment,
        (Int64 | Float32 | Float64 | Numeric { .. } | Decimal, Int32) => Context::Assignment,
        (Float32 | Float64 | Numeric { .. } | Decimal, Int64) => Context::Assignment,
        (Float32 | Float64, Numeric { .. } | Decimal) | (Float64, Float32) => Context::Assignment,
        (Char, Text) => Context::Implicit,
        (Json, Jsonb) | (Jsonb, Json) => Context::Assignment,
        (Jsonb, Boolean | Int16 | Int32 | Int64 | Float32 | Float64 | Numeric { .. } | Decimal) => {
            Context::Explicit
        }
        (_, Text | Char) => Context::Assignment,
        (Text | Char, _) => Context::Explicit,
        (Boolean, Int32) | (Int32, Boolean) => Context::Explicit,
        (Date, Timestamp | TimestampTz) | (Timestamp, TimestampTz) => Context::Implicit,
        (Timestamp | TimestampTz, Date | Time) | (TimestampTz, Timestamp) => Context::Assignment,
        (Time, Interval) => Context::Implicit,
        (Interval, Time) => Context::Assignment,
        _ => return None,
    })
}

type Cast = Result<ArrayRef, DataError>;

/// Casts the one argument, which is of type `from`.
pub(crate) fn cast(inputs: &Inputs, from: DataType, to: DataType) -> Cast {
    if from == to {
        return Ok(Arc::clone(inputs.get(0).array()));
    }
    match (from, to) {
        (DataType::Limited(limit), _) if to == from.base() => return limits::released(inputs, limit),
        (DataType::Limited(_), _) => return through(inputs, from, from.base(), to),
        (_, DataType::Limited(limit)) if from == to.base() => return limits::cut(inputs, limit),
        (_, DataType::Limited(_)) => return through(inputs, from, to.base(), to),
        (DataType::Jsonb, DataType::Text | DataType::Json) => return json::shown(inputs),
        (DataType::Jsonb, DataType::Char) => return through(inputs, from, DataType::Text, to),
        (DataType::Jsonb, _) => return json::cast_jsonb(inputs, to),
        (DataType::Json, DataType::Text) => return Ok(Arc::clone(inputs.get(0).array())),
        (DataType::Json, DataType::Jsonb) | (DataType::Text, DataType::Jsonb) => return json::read(inputs),
        (DataType::Text, DataType::Json) => return json::checked(inputs),
        (DataType::Json, _) => return cast(inputs, DataType::Text, to),
        (DataType::Array(_), DataType::Array(to)) => return array::cast_elements(inputs, to),
        (DataType::Array(_), DataType::Text) => return array::shown(inputs),
        (DataType::Array(_), _) => return through(inputs, from, DataType::Text, to),
        (DataType::Text, DataType::Array(to)) => return array::read(inputs, to),
        // Its text has no blanks at its end.
        (DataType::Char, _) if to != DataType::Text => return cast(inputs, DataType::Text, to),
        _ => {}
    }
    match to {
        DataType::Boolean => to_boolean(inputs, from),
        DataType::Int32 => to_int4(inputs, from),
        DataType::Int64 => to_int8(inputs, from),
        DataType::Float64 => to_float(inputs, from),
        DataType::Text => to_text(inputs, from),
        DataType::Timestamp => to_timestamp(inputs, from),
        DataType::Numeric { precision, scale } => to_numeric(inputs, from, precision, scale),
        DataType::Decimal => to_decimal(inputs, from),
        DataType::Date => to_date(inputs, from),
        DataType::Interval => to_interval(inputs, from),
        DataType::Int16 => to_int2(inputs, from),
        DataType::Float32 => to_real(inputs, from),
        DataType::Time => to_time(inputs, from),
        DataType::Char => {
            let text = through_text(inputs, from)?;
            limits::without_blanks(&text)
        }
        DataType::Limited(_) | DataType::Json | DataType::Jsonb | DataType::Array(_) => missing(from, to),
        // These casts need a zone: they are calls (`cast_in_zone`).
        DataType::TimestampTz => missing(from, to),
        DataType::Uuid if from == DataType::Text => bytes::read_uuids(inputs),
        DataType::Bytea if from == DataType::Text => {
            let text = inputs.get(0).text();
            inputs.build_bytes(|row| text_form::parse_bytea(text(row)))
        }
        DataType::Uuid | DataType::Bytea => missing(from, to),
    }
}

/// A cast in two steps.
fn through(inputs: &Inputs, from: DataType, middle: DataType, to: DataType) -> Cast {
    let half = cast(inputs, from, middle)?;
    cast(&Inputs::of_column(half), middle, to)
}

/// The text of the argument, as an argument.
fn through_text(inputs: &Inputs, from: DataType) -> Result<Inputs, DataError> {
    Ok(Inputs::of_column(cast(inputs, from, DataType::Text)?))
}

/// The binder lets no such cast through.
fn missing(from: DataType, to: DataType) -> Cast {
    Err(DataError::new("42846", format!("cannot cast type {from} to {to}")))
}

fn map<A: ArrowPrimitiveType, R: ArrowPrimitiveType>(
    inputs: &Inputs,
    apply: impl Fn(A::Native) -> Result<R::Native, DataError>,
) -> Cast {
    Ok(Arc::new(inputs.map1::<A, R>(apply)?))
}

fn parse<R: ArrowPrimitiveType>(inputs: &Inputs, apply: fn(&str) -> Result<R::Native, DataError>) -> Cast {
    let text = inputs.get(0).text();
    Ok(Arc::new(inputs.build::<R>(|row| apply(text(row)))?))
}

fn to_boolean(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Int32 => {
            let values = inputs.get(0).primitive::<Int32Type>();
            Ok(Arc::new(inputs.build_boolean(|row| values.get(row) != 0)))
        }
        DataType::Text => {
            let (text, input) = (inputs.get(0).text(), inputs.get(0));
            let parse = |row| {
                if input.is_null(row) { Ok(None) } else { text_form::parse_boolean(text(row)).map(Some) }
            };
            Ok(Arc::new((0..inputs.rows()).map(parse).collect::<Result<BooleanArray, DataError>>()?))
        }
        _ => missing(from, DataType::Boolean),
    }
}

/// Rounds half to even; out of range (and NaN) is 22003.
fn float_to_integer(value: f64, low: f64, high: f64, what: &str) -> Result<f64, DataError> {
    let rounded = value.round_ties_even();
    // The bounds are powers of two: `high` itself is the first that does not fit.
    if rounded >= low && rounded < high { Ok(rounded) } else { Err(DataError::out_of_range(what)) }
}

fn to_int2(inputs: &Inputs, from: DataType) -> Cast {
    let range = || DataError::out_of_range("smallint");
    let from_float = |v: f64| float_to_integer(v, -32_768.0, 32_768.0, "smallint").map(|v| v as i16);
    match from {
        DataType::Int32 => map::<Int32Type, Int16Type>(inputs, |v| i16::try_from(v).map_err(|_| range())),
        DataType::Int64 => map::<Int64Type, Int16Type>(inputs, |v| i16::try_from(v).map_err(|_| range())),
        DataType::Float32 => map::<Float32Type, Int16Type>(inputs, |v| from_float(v.into())),
        DataType::Float64 => map::<Float64Type, Int16Type>(inputs, from_float),
        DataType::Numeric { scale, .. } => map::<Decimal128Type, Int16Type>(inputs, |v| {
            let whole = rescale(v, scale, 0, NUMERIC_PRECISION_MAX);
            whole.and_then(|v| i16::try_from(v).ok()).ok_or_else(range)
        }),
        DataType::Decimal => decimal::to_whole::<Int16Type>(inputs, "smallint"),
        DataType::Text => parse::<Int16Type>(inputs, text_form::parse_int16),
        DataType::Boolean
        | DataType::Int16
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => missing(from, DataType::Int16),
    }
}

fn to_int4(inputs: &Inputs, from: DataType) -> Cast {
    let range = || DataError::out_of_range("integer");
    let from_float =
        |v: f64| float_to_integer(v, -2_147_483_648.0, 2_147_483_648.0, "integer").map(|v| v as i32);
    match from {
        DataType::Boolean => {
            let values = inputs.get(0).boolean();
            Ok(Arc::new(inputs.build::<Int32Type>(|row| Ok(i32::from(values(row))))?))
        }
        DataType::Int16 => map::<Int16Type, Int32Type>(inputs, |v| Ok(i32::from(v))),
        DataType::Int64 => map::<Int64Type, Int32Type>(inputs, |v| i32::try_from(v).map_err(|_| range())),
        DataType::Float32 => map::<Float32Type, Int32Type>(inputs, |v| from_float(v.into())),
        DataType::Float64 => map::<Float64Type, Int32Type>(inputs, from_float),
        DataType::Numeric { scale, .. } => map::<Decimal128Type, Int32Type>(inputs, |v| {
            let whole = rescale(v, scale, 0, NUMERIC_PRECISION_MAX);
            whole.and_then(|v| i32::try_from(v).ok()).ok_or_else(range)
        }),
        DataType::Decimal => decimal::to_whole::<Int32Type>(inputs, "integer"),
        DataType::Text => parse::<Int32Type>(inputs, text_form::parse_int32),
        DataType::Int32
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => missing(from, DataType::Int32),
    }
}

fn to_int8(inputs: &Inputs, from: DataType) -> Cast {
    let range = || DataError::out_of_range("bigint");
    let from_float = |v: f64| {
        float_to_integer(v, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, "bigint")
            .map(|v| v as i64)
    };
    match from {
        DataType::Int16 => map::<Int16Type, Int64Type>(inputs, |v| Ok(i64::from(v))),
        DataType::Int32 => map::<Int32Type, Int64Type>(inputs, |v| Ok(i64::from(v))),
        DataType::Float32 => map::<Float32Type, Int64Type>(inputs, |v| from_float(v.into())),
        DataType::Float64 => map::<Float64Type, Int64Type>(inputs, from_float),
        DataType::Numeric { scale, .. } => map::<Decimal128Type, Int64Type>(inputs, |v| {
            let whole = rescale(v, scale, 0, NUMERIC_PRECISION_MAX);
            whole.and_then(|v| i64::try_from(v).ok()).ok_or_else(range)
        }),
        DataType::Decimal => decimal::to_whole::<Int64Type>(inputs, "bigint"),
        DataType::Text => parse::<Int64Type>(inputs, text_form::parse_int64),
        DataType::Boolean
        | DataType::Int64
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => missing(from, DataType::Int64),
    }
}

fn to_real(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Int16 => map::<Int16Type, Float32Type>(inputs, |v| Ok(f32::from(v))),
        DataType::Int32 => map::<Int32Type, Float32Type>(inputs, |v| Ok(v as f32)),
        DataType::Int64 => map::<Int64Type, Float32Type>(inputs, |v| Ok(v as f32)),
        DataType::Float64 => map::<Float64Type, Float32Type>(inputs, narrowed),
        // Through the digits, so that the result is the nearest real.
        DataType::Numeric { scale, .. } => map::<Decimal128Type, Float32Type>(inputs, |v| {
            text_form::parse_float32(&shown(|out| text_form::write_numeric(v, scale, out)))
        }),
        DataType::Decimal => decimal::to_float::<Float32Type>(inputs, text_form::parse_float32),
        DataType::Text => parse::<Float32Type>(inputs, text_form::parse_float32),
        DataType::Boolean
        | DataType::Float32
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => missing(from, DataType::Float32),
    }
}

fn to_float(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Int16 => map::<Int16Type, Float64Type>(inputs, |v| Ok(f64::from(v))),
        DataType::Float32 => map::<Float32Type, Float64Type>(inputs, |v| Ok(f64::from(v))),
        DataType::Int32 => map::<Int32Type, Float64Type>(inputs, |v| Ok(f64::from(v))),
        DataType::Int64 => map::<Int64Type, Float64Type>(inputs, |v| Ok(v as f64)),
        // Through the digits, so that the result is the nearest double.
        DataType::Numeric { scale, .. } => map::<Decimal128Type, Float64Type>(inputs, |v| {
            text_form::parse_float64(&shown(|out| text_form::write_numeric(v, scale, out)))
        }),
        DataType::Decimal => decimal::to_float::<Float64Type>(inputs, text_form::parse_float64),
        DataType::Text => parse::<Float64Type>(inputs, text_form::parse_float64),
        DataType::Boolean
        | DataType::Float64
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => missing(from, DataType::Float64),
    }
}

fn to_timestamp(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Text => parse::<TimestampMicrosecondType>(inputs, text_form::parse_timestamp),
        DataType::Date => map::<Date32Type, TimestampMicrosecondType>(inputs, date::midnight),
        _ => missing(from, DataType::Timestamp),
    }
}

fn to_date(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Text => parse::<Date32Type>(inputs, text_form::parse_date),
        DataType::Timestamp => map::<TimestampMicrosecondType, Date32Type>(inputs, date::day_of),
        _ => missing(from, DataType::Date),
    }
}

fn to_time(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Text => parse::<Time64MicrosecondType>(inputs, text_form::parse_time),
        DataType::Timestamp => map::<TimestampMicrosecondType, Time64MicrosecondType>(inputs, |micros| {
            Ok(micros.rem_euclid(MICROS_PER_DAY))
        }),
        DataType::Interval => map::<IntervalMonthDayNanoType, Time64MicrosecondType>(inputs, |value| {
            Ok(text_form::Interval::from_arrow(value).micros.rem_euclid(MICROS_PER_DAY))
        }),
        _ => missing(from, DataType::Time),
    }
}

fn to_interval(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Time => map::<Time64MicrosecondType, IntervalMonthDayNanoType>(inputs, |micros| {
            text_form::Interval { months: 0, days: 0, micros }.to_arrow()
        }),
        DataType::Text => {
            parse::<IntervalMonthDayNanoType>(inputs, |text| text_form::parse_interval(text)?.to_arrow())
        }
        _ => missing(from, DataType::Interval),
    }
}

/// 22003: the value does not fit numeric(precision, scale).
fn field_overflow() -> DataError {
    DataError::new("22003", "numeric field overflow")
}

/// A double's 15 significant digits, or a real's 6, as PostgreSQL casts it to numeric.
fn float_to_numeric(value: f64, digits: usize, precision: u8, scale: u8) -> Result<i128, DataError> {
    if !value.is_finite() {
        let number =
            if value.is_nan() { millrace_engine::Decimal::NaN } else { millrace_engine::Decimal::Infinity };
        return Err(text_form::without_fixed_scale(&number));
    }
    let digits = text_form::significant_digits(value, digits);
    text_form::parse_decimal(&digits)?.fit(precision, scale).ok_or_else(field_overflow)
}

fn to_decimal(inputs: &Inputs, from: DataType) -> Cast {
    match from {
        DataType::Int16 => decimal::of_whole::<Int16Type>(inputs),
        DataType::Int32 => decimal::of_whole::<Int32Type>(inputs),
        DataType::Int64 => decimal::of_whole::<Int64Type>(inputs),
        DataType::Float32 => decimal::of_reals(inputs),
        DataType::Float64 => decimal::of_doubles(inputs),
        DataType::Numeric { .. } => decimal::widened(inputs),
        DataType::Text => decimal::of_texts(inputs),
        _ => missing(from, DataType::Decimal),
    }
}

fn to_numeric(inputs: &Inputs, from: DataType, precision: u8, scale: u8) -> Cast {
    let fit = |value: i128, own: u8| rescale(value, own, scale, precision).ok_or_else(field_overflow);
    let array = match from {
        DataType::Int32 => inputs.map1::<Int32Type, Decimal128Type>(|v| fit(i128::from(v), 0)),
        DataType::Int64 => inputs.map1::<Int64Type, Decimal128Type>(|v| fit(i128::from(v), 0)),
        DataType::Float64 => {
            inputs.map1::<Float64Type, Decimal128Type>(|v| float_to_numeric(v, 15, precision, scale))
        }
        DataType::Float32 => {
            inputs.map1::<Float32Type, Decimal128Type>(|v| float_to_numeric(v.into(), 6, precision, scale))
        }
        DataType::Decimal => {
            let number = decimal::reader(inputs.get(0));
            inputs.build::<Decimal128Type>(|row| decimal::fixed(number(row)?, precision, scale))
        }
        DataType::Int16 => inputs.map1::<Int16Type, Decimal128Type>(|v| fit(i128::from(v), 0)),
        DataType::Numeric { scale: own, .. } => {
            inputs.map1::<Decimal128Type, Decimal128Type>(|v| fit(v, own))
        }
        DataType::Text => {
            let text = inputs.get(0).text();
            inputs.build::<Decimal128Type>(|row| {
                text_form::parse_decimal(text(row))?.fit(precision, scale).ok_or_else(field_overflow)
            })
        }
        DataType::Boolean
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Limited(_)
        | DataType::Date
        | DataType::Interval => {
            return missing(from, DataType::Numeric { precision, scale });
        }
    };
    numeric::with_type(array?, DataType::Numeric { precision, scale })
}

/// What a writer writes, as a text of its own.
fn shown(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    out
}

fn to_text(inputs: &Inputs, from: DataType) -> Cast {
    let input = inputs.get(0);
    match from {
        DataType::Boolean => {
            let values = input.boolean();
            inputs.build_text(|row| Ok(if values(row) { "true" } else { "false" }))
        }
        DataType::Int16 => {
            let values = input.primitive::<Int16Type>();
            inputs.build_text(|row| Ok(values.get(row).to_string()))
        }
        DataType::Float32 => {
            let values = input.primitive::<Float32Type>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_float32(values.get(row), out))))
        }
        DataType::Int32 => {
            let values = input.primitive::<Int32Type>();
            inputs.build_text(|row| Ok(values.get(row).to_string()))
        }
        DataType::Int64 => {
            let values = input.primitive::<Int64Type>();
            inputs.build_text(|row| Ok(values.get(row).to_string()))
        }
        DataType::Float64 => {
            let values = input.primitive::<Float64Type>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_float64(values.get(row), out))))
        }
        DataType::Timestamp => {
            let values = input.primitive::<TimestampMicrosecondType>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_timestamp(values.get(row), out))))
        }
        DataType::Numeric { scale, .. } => {
            let values = input.primitive::<Decimal128Type>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_numeric(values.get(row), scale, out))))
        }
        DataType::Date => {
            let values = input.primitive::<Date32Type>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_date(values.get(row), out))))
        }
        DataType::Interval => {
            let values = input.primitive::<IntervalMonthDayNanoType>();
            inputs.build_text(|row| {
                let interval = text_form::Interval::from_arrow(values.get(row));
                Ok(shown(|out| text_form::write_interval(interval, out)))
            })
        }
        DataType::Time => {
            let values = input.primitive::<Time64MicrosecondType>();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_time(values.get(row), out))))
        }
        DataType::Decimal => decimal::shown(inputs),
        DataType::Char => Ok(Arc::clone(input.array())),
        DataType::Bytea => {
            let values = input.bytes();
            inputs.build_text(|row| Ok(shown(|out| text_form::write_bytea(values(row), out))))
        }
        DataType::Uuid => {
            let values = input.bytes();
            inputs.build_text(|row| {
                let uuid = values(row).try_into().unwrap_or_default();
                Ok(shown(|out| text_form::write_uuid(uuid, out)))
            })
        }
        DataType::Text
        | DataType::TimestampTz
        | DataType::Limited(_)
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_) => missing(from, DataType::Text),
    }
}
