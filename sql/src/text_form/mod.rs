//! Values as text, in and out, as PostgreSQL reads and writes them: the one copy of these rules.
//!
//! Pure functions from text to a value or to PostgreSQL's error (22P02 for bad syntax, 22003 and
//! 22008 for what is out of range), and back. Casts, parameters, result rows and COPY all go through
//! them, so that every way in takes the same words and every way out prints the same.

mod array; // arrays
mod bytes; // bytea and uuid
mod date; // date, and names of months
mod float; // double precision and real
mod interval; // interval
mod iso; // the usual form of dates and timestamps
mod limit; // varchar(n), char(n), timestamp(p)
mod numeric; // numeric
mod range; // which values are a type's
mod time; // time of day
mod timestamp; // timestamps with and without time zone, and the calendar
mod written_zone; // the zone behind a time

use std::fmt::Write;

use millrace_engine::{DataError, DataType, Decimal, Limit, Literal};

use crate::SqlError;
use crate::functions;
use crate::json;
pub use crate::json::write_stored as write_jsonb;
use crate::zone::Zone;

pub use array::{parse_array, stored_array, write_array};
pub use bytes::{parse_bytea, parse_uuid, write_bytea, write_uuid};
pub(crate) use bytes::{parse_escapes, parse_hex, write_hex};
pub(crate) use date::{DATES, MONTHS};
pub use date::{parse_date, write_date};
pub use float::{parse_float32, parse_float64, write_float32, write_float64};
pub use interval::{Interval, parse_interval, write_interval};
pub(crate) use interval::{IntervalField, interval_out_of_range, parse_interval_of};
pub(crate) use limit::cut_to;
pub use limit::{fitted, round_time, round_timestamp};
pub(crate) use numeric::{parse_decimal, parse_digits, significant_digits, without_fixed_scale};
pub use numeric::{parse_numeric, parse_unlimited, write_numeric};
pub use range::has_values_of;
pub use time::{parse_time, write_time};
pub(crate) use timestamp::{FIRST_DAY, MICROS_PER_DAY, civil_from_days, days_from_civil, days_in_month};
pub use timestamp::{parse_timestamp, parse_timestamptz, write_timestamp, write_timestamptz};

/// Parses a value of this type; what has no time zone of its own is meant in `zone`.
///
/// # Errors
/// 22P02, 22003, 22007, 22008, 22009, 22023: the text is no value of the type; 0A000 for an infinity that we do not have.
pub fn parse(text: &str, data_type: DataType, zone: &Zone) -> Result<Literal, SqlError> {
    Ok(match data_type {
        DataType::Boolean => Literal::Boolean(parse_boolean(text)?),
        DataType::Int32 => Literal::Int32(parse_int32(text)?),
        DataType::Int64 => Literal::Int64(parse_int64(text)?),
        DataType::Float64 => Literal::Float64(parse_float64(text)?.to_bits()),
        DataType::Text => Literal::Text(text.to_owned()),
        DataType::Timestamp => Literal::Timestamp(parse_timestamp(text)?),
        DataType::Numeric { precision, scale } => {
            Literal::Numeric { value: parse_numeric(text, precision, scale)?, precision, scale }
        }
        DataType::Decimal => Literal::Decimal(parse_unlimited(text)?.encode()),
        DataType::Date => Literal::Date(parse_date(text)?),
        DataType::Interval => parse_interval(text)?.literal(),
        DataType::Int16 => Literal::Int16(parse_int16(text)?),
        DataType::Float32 => Literal::Float32(parse_float32(text)?.to_bits()),
        DataType::TimestampTz => Literal::TimestampTz(parse_timestamptz(text, zone)?),
        DataType::Uuid => Literal::Uuid(parse_uuid(text)?),
        DataType::Bytea => Literal::Bytea(parse_bytea(text)?),
        DataType::Time => Literal::Time(parse_time(text)?),
        DataType::Array(element) => {
            Literal::Array { element, bytes: parse_array(text, element, zone)?.encode() }
        }
        DataType::Json => Literal::Json(check_json(text)?.to_owned()),
        DataType::Jsonb => Literal::Jsonb(parse_jsonb(text)?),
        DataType::Char => Literal::Text(text.trim_end_matches(' ').to_owned()),
        DataType::Limited(limit) => limited(parse(text, limit.base(), zone)?, limit)?,
    })
}

/// Appends the text of a constant, a moment as the clocks of a zone show it, to a buffer in memory: writing to it
/// cannot fail. Nothing of NULL.
pub fn write_literal(value: &Literal, zone: &Zone, out: &mut impl Write) {
    match value {
        Literal::Null(_) => {}
        Literal::Boolean(value) => _ = out.write_char(if *value { 't' } else { 'f' }),
        Literal::Int16(value) => _ = write!(out, "{value}"),
        Literal::Int32(value) => _ = write!(out, "{value}"),
        Literal::Int64(value) => _ = write!(out, "{value}"),
        Literal::Float32(bits) => write_float32(f32::from_bits(*bits), out),
        Literal::Float64(bits) => write_float64(f64::from_bits(*bits), out),
        Literal::Numeric { value, scale, .. } => write_numeric(*value, *scale, out),
        Literal::Decimal(stored) => write_stored_numeric(stored, out),
        Literal::Text(text) | Literal::Json(text) => _ = out.write_str(text),
        Literal::Date(days) => write_date(*days, out),
        Literal::Time(micros) => write_time(*micros, out),
        Literal::Timestamp(micros) => write_timestamp(*micros, out),
        Literal::TimestampTz(micros) => write_timestamptz(*micros, zone, out),
        Literal::Interval { months, days, micros } => {
            write_interval(Interval { months: *months, days: *days, micros: *micros }, out);
        }
        Literal::Uuid(bytes) => write_uuid(*bytes, out),
        Literal::Bytea(bytes) => write_bytea(bytes, out),
        Literal::Jsonb(bytes) => write_jsonb(bytes, out),
        Literal::Array { bytes, .. } => {
            if let Ok(array) = stored_array(bytes) {
                write_array(&array, zone, out);
            }
        }
    }
}

/// Appends the digits of a numeric as it is stored to a buffer in memory: writing to it cannot fail.
pub fn write_stored_numeric(stored: &str, out: &mut impl Write) {
    if let Some(decimal) = Decimal::decode(stored) {
        _ = write!(out, "{decimal}");
    }
}

/// `jsonb`, as it is stored.
///
/// # Errors
/// 22P02, 22P05, 22003, 54001
pub fn parse_jsonb(text: &str) -> Result<Vec<u8>, DataError> {
    Ok(json::encode(&json::read(text)?))
}

/// `json`, which is kept as it is written.
///
/// # Errors
/// 22P02, 54001
pub fn check_json(text: &str) -> Result<&str, DataError> {
    json::check(text).map(|()| text)
}

/// A value of the type without its limit, as a column of the limit stores it.
fn limited(value: Literal, limit: Limit) -> Result<Literal, DataError> {
    Ok(match (value, limit) {
        (Literal::Text(text), _) => Literal::Text(fitted(&text, limit)?.into_owned()),
        (Literal::Timestamp(micros), Limit::Timestamp(digits)) => {
            Literal::Timestamp(round_timestamp(micros, digits))
        }
        (Literal::TimestampTz(micros), Limit::TimestampTz(digits)) => {
            Literal::TimestampTz(round_timestamp(micros, digits))
        }
        (Literal::Time(micros), Limit::Time(digits)) => Literal::Time(round_time(micros, digits)),
        (Literal::Decimal(stored), Limit::Numeric { precision, scale }) => {
            let decimal = Decimal::decode(&stored).unwrap_or(Decimal::NaN);
            Literal::Decimal(functions::limited(decimal, precision, scale)?.encode())
        }
        (value, _) => value,
    })
}

/// 22P02 for a value of this type.
fn invalid_syntax(type_name: &str, text: &str) -> DataError {
    DataError::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// C's isspace, which is what PostgreSQL trims.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// `boolean`: any unambiguous start of true, false, yes, no, on, off; or 1, 0.
///
/// # Errors
/// 22P02
pub fn parse_boolean(text: &str) -> Result<bool, DataError> {
    let word = trim(text).to_ascii_lowercase();
    let starts = |full: &str, shortest: usize| word.len() >= shortest && full.starts_with(&word);
    if starts("true", 1) || starts("yes", 1) || starts("on", 2) || word == "1" {
        Ok(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// `smallint`.
///
/// # Errors
/// 22P02, 22003
pub fn parse_int16(text: &str) -> Result<i16, DataError> {
    let wide = parse_integer(text, "smallint")?;
    i16::try_from(wide).map_err(|_| integer_out_of_range(text, "smallint"))
}

/// `integer`.
///
/// # Errors
/// 22P02, 22003
pub fn parse_int32(text: &str) -> Result<i32, DataError> {
    let wide = parse_integer(text, "integer")?;
    i32::try_from(wide).map_err(|_| integer_out_of_range(text, "integer"))
}

/// `bigint`.
///
/// # Errors
/// 22P02, 22003
pub fn parse_int64(text: &str) -> Result<i64, DataError> {
    parse_integer(text, "bigint")
}

/// Digits with a sign and spaces around.
fn parse_integer(text: &str, type_name: &str) -> Result<i64, DataError> {
    let word = trim(text);
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(type_name, text));
    }
    word.parse().map_err(|_| integer_out_of_range(text, type_name))
}

fn integer_out_of_range(text: &str, type_name: &str) -> DataError {
    DataError::new("22003", format!("value \"{text}\" is out of range for type {type_name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
        result.expect_err("an error").sqlstate
    }

    #[test]
    fn booleans_take_every_unambiguous_start() {
        for word in ["t", "TRUE", "tr", "y", "yes", "on", "1", "  true\n"] {
            assert_eq!(parse_boolean(word), Ok(true), "{word}");
        }
        for word in ["f", "fal", "n", "NO", "of", "off", "0"] {
            assert_eq!(parse_boolean(word), Ok(false), "{word}");
        }
        for word in ["", "o", "2", "truee", "tr ue"] {
            assert_eq!(code(parse_boolean(word)), "22P02", "{word}");
        }
    }

    #[test]
    fn integers_are_checked_for_syntax_and_range() {
        assert_eq!(parse_int32(" -2147483648 "), Ok(i32::MIN));
        assert_eq!(parse_int64("+9223372036854775807"), Ok(i64::MAX));
        assert_eq!(code(parse_int32("2147483648")), "22003");
        assert_eq!(code(parse_int64("9223372036854775808")), "22003");
        for word in ["", "-", "1.5", "1e3", "12a", "+-1"] {
            assert_eq!(code(parse_int32(word)), "22P02", "{word}");
        }
        let error = parse_int32("abc").expect_err("an error");
        assert_eq!(error.message, "invalid input syntax for type integer: \"abc\"");
    }
}
