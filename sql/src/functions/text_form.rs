//! The text form of each type, in and out, as PostgreSQL reads and writes it.

use std::fmt::Write;

use millrace_engine::{DataError, NUMERIC_PRECISION_MAX};

use super::numeric;

fn invalid(type_name: &str, text: &str) -> DataError {
    DataError::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
}

fn out_of_range(type_name: &str, text: &str) -> DataError {
    DataError::new("22003", format!("value \"{text}\" is out of range for type {type_name}"))
}

/// What PostgreSQL skips around a value.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// `boolean`: any unambiguous beginning of true, false, yes, no, on, off; 1 and 0.
pub(crate) fn parse_boolean(text: &str) -> Result<bool, DataError> {
    let word = trimmed(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Ok(true);
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        return Ok(false);
    }
    Err(invalid("boolean", text))
}

/// An optional sign and digits, as an i128; `None` where it is something else.
fn parse_digits(text: &str) -> Option<Result<i128, ()>> {
    let word = trimmed(text);
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(word.strip_prefix('+').unwrap_or(word).parse::<i128>().map_err(drop))
}

fn parse_integer<T: TryFrom<i128>>(text: &str, type_name: &str) -> Result<T, DataError> {
    let digits = parse_digits(text).ok_or_else(|| invalid(type_name, text))?;
    digits.ok().and_then(|value| T::try_from(value).ok()).ok_or_else(|| out_of_range(type_name, text))
}

/// `integer`
pub(crate) fn parse_int4(text: &str) -> Result<i32, DataError> {
    parse_integer(text, "integer")
}

/// `bigint`
pub(crate) fn parse_int8(text: &str) -> Result<i64, DataError> {
    parse_integer(text, "bigint")
}

/// `double precision`, with NaN and the infinities by name.
pub(crate) fn parse_float(text: &str) -> Result<f64, DataError> {
    const NAME: &str = "double precision";
    let word = trimmed(text);
    let (sign, magnitude) = match word.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, word.strip_prefix('+').unwrap_or(word)),
    };
    match magnitude.to_ascii_lowercase().as_str() {
        "nan" if magnitude.len() == word.len() => return Ok(f64::NAN),
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    if !magnitude.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(invalid(NAME, text));
    }
    let value: f64 = word.parse().map_err(|_| invalid(NAME, text))?;
    let mantissa = magnitude.split(['e', 'E']).next().unwrap_or_default();
    let underflow = value == 0.0 && mantissa.contains(|c: char| ('1'..='9').contains(&c));
    if value.is_infinite() || underflow {
        return Err(DataError::new("22003", format!("\"{word}\" is out of range for type {NAME}")));
    }
    Ok(value)
}

/// `numeric` as (unscaled value, scale), with the digits behind the point as they stand.
pub(crate) fn parse_numeric(text: &str) -> Result<(i128, u8), DataError> {
    let wrong = || invalid("numeric", text);
    let word = trimmed(text);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (word, 0),
    };
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let shift = i64::from(exponent) - fraction.len() as i64;
    let (value, scale) = scaled(digits.trim_start_matches('0'), shift).ok_or_else(numeric::overflow)?;
    Ok((if negative { -value } else { value }, scale))
}

/// `digits` × 10^`shift` as (unscaled value, scale). Digits that 38 cannot hold are rounded away
/// behind the point; before it there is no room for them.
fn scaled(digits: &str, shift: i64) -> Option<(i128, u8)> {
    const DIGITS_MAX: i64 = NUMERIC_PRECISION_MAX as i64;
    let length = digits.len() as i64;
    if digits.is_empty() {
        return Some((
            0,
            u8::try_from(-shift.min(0)).unwrap_or(NUMERIC_PRECISION_MAX).min(NUMERIC_PRECISION_MAX),
        ));
    }
    if length + shift > DIGITS_MAX {
        return None;
    }
    if shift >= 0 {
        return Some((digits.parse::<i128>().ok()? * 10i128.pow(shift as u32), 0));
    }
    let scale = (-shift).min(DIGITS_MAX).min(DIGITS_MAX - (length + shift).max(0));
    let kept = length + shift + scale;
    let (kept, dropped) = if kept < 0 { ("", "") } else { digits.split_at(kept as usize) };
    let value = if kept.is_empty() { 0 } else { kept.parse::<i128>().ok()? };
    let rounded = value + i128::from(dropped.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    (rounded < 10i128.pow(u32::from(NUMERIC_PRECISION_MAX))).then_some((rounded, scale as u8))
}

/// The output of `numeric`.
pub(crate) fn format_numeric(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The output of `double precision`: the shortest digits that read back the same.
pub(crate) fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..15).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The output of `boolean` where it is cast to text (`t` and `f` are for the wire).
pub(crate) fn format_boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

const DAY: i64 = 86_400_000_000;

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => 31,
    }
}

/// `timestamp`: `YYYY-MM-DD[ T]HH:MM[:SS[.ffffff]]`, a date alone, `epoch`; a zone at the end is
/// read and ignored, as PostgreSQL does.
pub(crate) fn parse_timestamp(text: &str) -> Result<i64, DataError> {
    let wrong = || DataError::new("22007", format!("invalid input syntax for type timestamp: \"{text}\""));
    let beyond = || DataError::new("22008", format!("date/time field value out of range: \"{text}\""));
    let word = trimmed(text);
    if word.eq_ignore_ascii_case("epoch") {
        return Ok(0);
    }
    let (date, time) = match word.find([' ', 'T', 't']) {
        Some(at) => (&word[..at], trimmed(&word[at + 1..])),
        None => (word, ""),
    };
    let (year, month, day) = split_date(date).ok_or_else(wrong)?;
    if year == 0 || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return Err(beyond());
    }
    let micros = if time.is_empty() { 0 } else { time_of_day(time).ok_or_else(wrong)?.ok_or_else(beyond)? };
    let days = days_of(year, month, day);
    days.checked_mul(DAY)
        .and_then(|start| start.checked_add(micros))
        .filter(|_| year <= 294_276)
        .ok_or_else(|| DataError::new("22008", format!("timestamp out of range: \"{text}\"")))
}

fn split_date(date: &str) -> Option<(i64, i64, i64)> {
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() < 3 {
        return None;
    }
    Some((number(year, 6)?, number(month, 2)?, number(day, 2)?))
}

/// A number of one to `digits_max` digits.
fn number(text: &str, digits_max: usize) -> Option<i64> {
    let valid = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// Microseconds since midnight; `None` where it is no time, `Some(None)` where it is out of range.
fn time_of_day(text: &str) -> Option<Option<i64>> {
    let time = without_zone(text)?;
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let seconds = parts.next().unwrap_or("0");
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let (second, micros) = (number(second, 2)?, fraction_micros(fraction)?);
    let total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    Some((minute < 60 && second <= 60 && total <= DAY).then_some(total))
}

/// A fraction of a second, rounded to microseconds.
fn fraction_micros(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: f64 = format!("0.{digits}0").parse().ok()?;
    Some((fraction * 1e6).round_ties_even() as i64)
}

/// The time before a zone (`Z`, `+02`, `-05:30`, `+0530`).
fn without_zone(text: &str) -> Option<&str> {
    let Some(at) = text.find(['+', '-', 'Z', 'z', ' ']) else { return Some(text) };
    let zone = text[at..].trim_start();
    let known = match zone.as_bytes().first()? {
        b'Z' | b'z' => zone.len() == 1,
        b'+' | b'-' => {
            let digits: Vec<&str> = zone[1..].split(':').collect();
            digits.len() <= 3 && digits.iter().all(|part| number(part, 4).is_some())
        }
        _ => zone.eq_ignore_ascii_case("utc"),
    };
    known.then(|| text[..at].trim_end())
}

/// The output of `timestamp`.
pub(crate) fn format_timestamp(micros: i64) -> String {
    let (year, month, day) = date_of(micros.div_euclid(DAY));
    let time = micros.rem_euclid(DAY);
    let (seconds, fraction) = (time / 1_000_000, time % 1_000_000);
    let (shown, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let mut text = format!(
        "{shown:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    if fraction != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{}", format!("{fraction:06}").trim_end_matches('0'));
    }
    text + era
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_postgresql_prints_them() {
        // SELECT x::float8::text in PostgreSQL 15.
        for (value, text) in [
            (0.1, "0.1"),
            (1.0, "1"),
            (-0.0, "-0"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-300, "1e-300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(format_float(value), text);
        }
    }

    #[test]
    fn timestamps_read_and_print() {
        for (text, printed) in [
            ("2014-01-02 03:04:05", "2014-01-02 03:04:05"),
            ("2014-01-02T03:04:05.5", "2014-01-02 03:04:05.5"),
            ("2014-01-02 03:04", "2014-01-02 03:04:00"),
            ("2014-01-02", "2014-01-02 00:00:00"),
            ("2014-1-2 3:04:05", "2014-01-02 03:04:05"),
            (" 2014-01-02 03:04:05.1234567 ", "2014-01-02 03:04:05.123457"),
            ("2014-01-02 03:04:05+02", "2014-01-02 03:04:05"),
            ("2014-01-02T03:04:05Z", "2014-01-02 03:04:05"),
            ("2014-01-02 24:00:00", "2014-01-03 00:00:00"),
            ("2016-02-29 23:59:60", "2016-03-01 00:00:00"),
            ("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
            ("0001-01-01", "0001-01-01 00:00:00"),
            ("epoch", "1970-01-01 00:00:00"),
        ] {
            assert_eq!(parse_timestamp(text).map(format_timestamp), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn wrong_text_is_refused_with_postgresqls_codes() {
        let code = |error: Option<DataError>| error.map(|e| (e.sqlstate, e.message));
        let expect = |sqlstate: &str, message: &str| Some((sqlstate.to_owned(), message.to_owned()));
        assert_eq!(
            code(parse_int4("abc").err()),
            expect("22P02", "invalid input syntax for type integer: \"abc\"")
        );
        assert_eq!(
            code(parse_int4("2147483648").err()),
            expect("22003", "value \"2147483648\" is out of range for type integer")
        );
        assert_eq!(
            code(parse_float("1e400").err()),
            expect("22003", "\"1e400\" is out of range for type double precision")
        );
        assert_eq!(
            code(parse_float("1e-400").err()),
            expect("22003", "\"1e-400\" is out of range for type double precision")
        );
        assert_eq!(
            code(parse_timestamp("2014-13-01").err()),
            expect("22008", "date/time field value out of range: \"2014-13-01\"")
        );
        assert_eq!(
            code(parse_timestamp("yesterday?").err()),
            expect("22007", "invalid input syntax for type timestamp: \"yesterday?\"")
        );
        for text in ["", "-", "1.5", "0x10", "1 2"] {
            assert!(parse_int8(text).is_err(), "{text}");
        }
        for text in ["", "e5", "1e", "+-1", "-nan"] {
            assert!(parse_float(text).is_err(), "{text}");
        }
        assert!(parse_boolean("o").is_err());
        assert_eq!((parse_boolean("T"), parse_boolean(" off ")), (Ok(true), Ok(false)));
    }

    #[test]
    fn numerics_keep_their_digits() {
        for (text, printed) in [
            ("1.50", "1.50"),
            ("-0.05", "-0.05"),
            ("1e3", "1000"),
            ("1.5e-3", "0.0015"),
            (".5", "0.5"),
            ("7.", "7"),
        ] {
            let parsed = parse_numeric(text).map(|(value, scale)| format_numeric(value, scale));
            assert_eq!(parsed, Ok(printed.to_owned()), "{text}");
        }
        assert!(parse_numeric("1..2").is_err());
        assert!(parse_numeric("1e40").is_err());
        assert!(parse_numeric("1e2147483647").is_err());
        assert_eq!(parse_numeric("1e-2147483648"), Ok((0, 38)));
        assert_eq!(parse_numeric("0e-2147483648"), Ok((0, 38)));
        assert_eq!(parse_numeric("5e-39"), Ok((1, 38)));
        assert_eq!(parse_numeric("4e-39"), Ok((0, 38)));
        let long = "12345678901234567890.12345678901234567895";
        assert_eq!(
            parse_numeric(long).map(|(v, s)| format_numeric(v, s)),
            Ok("12345678901234567890.123456789012345679".to_owned())
        );
    }
}
