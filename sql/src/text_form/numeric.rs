//! `numeric`, read and written: digits, a point, an exponent.
//!
//! What is read is rounded once, from the digits as written to the scale that is asked for, if one is.

use std::fmt::Write;

use dashu_int::IBig;
use millrace_engine::{
    DataError, Decimal, Literal, NUMERIC_PRECISION_MAX, SCALE_MAX, WHOLE_DIGITS_MAX, ten_to,
};

use super::{invalid_syntax, trim};
use crate::SqlError;

/// Beyond 38 digits.
const LIMIT: u128 = 10u128.pow(38);

/// `numeric(precision, scale)`: the unscaled value, rounded half away from zero.
///
/// # Errors
/// 22P02; 22003 with the field's bounds as detail; 0A000 for NaN
pub fn parse_numeric(text: &str, precision: u8, scale: u8) -> Result<i128, SqlError> {
    if let Some(Decimal::Infinity | Decimal::NegativeInfinity) = word_for(trim(text)) {
        let field =
            format!("A field with precision {precision}, scale {scale} cannot hold an infinite value.");
        return Err(SqlError::from(without_fixed_scale(&Decimal::Infinity)).detail(field));
    }
    parse_decimal(text)?.fit(precision, scale).ok_or_else(|| field_overflow(precision, scale))
}

/// What is no number cannot have a fixed scale: no column can hold an infinite one, and none of ours NaN, as its 38
/// digits leave no value for it.
pub(crate) fn without_fixed_scale(number: &Decimal) -> DataError {
    match number {
        Decimal::Infinity | Decimal::NegativeInfinity => DataError::new("22003", "numeric field overflow"),
        Decimal::NaN | Decimal::Number { .. } => {
            DataError::new("0A000", "numeric NaN is not supported with a precision of up to 38 digits")
        }
    }
}

/// A numeric with the digits behind the point as they stand: of a fixed scale where 38 digits hold it.
///
/// # Errors
/// 22P02, 22003
pub(crate) fn parse_digits(text: &str) -> Result<Literal, DataError> {
    let decimal = parse_unlimited(text)?;
    Ok(match &decimal {
        Decimal::Number { unscaled, scale } => match (i128::try_from(unscaled), u8::try_from(*scale)) {
            (Ok(value), Ok(scale @ ..=NUMERIC_PRECISION_MAX)) if value.unsigned_abs() < LIMIT => {
                Literal::Numeric { value, precision: NUMERIC_PRECISION_MAX, scale }
            }
            _ => Literal::Decimal(decimal.encode()),
        },
        Decimal::NaN | Decimal::Infinity | Decimal::NegativeInfinity => Literal::Decimal(decimal.encode()),
    })
}

/// `numeric`, with the digits behind the point as they stand.
///
/// # Errors
/// 22P02, 22003
pub fn parse_unlimited(text: &str) -> Result<Decimal, DataError> {
    let word = trim(text);
    match word_for(word) {
        Some(number) => Ok(number),
        None => Written::parse(word).ok_or_else(|| invalid_syntax("numeric", text))?.exact(),
    }
}

/// What is no number, of a word.
fn word_for(word: &str) -> Option<Decimal> {
    match word.to_ascii_lowercase().as_str() {
        "nan" => Some(Decimal::NaN),
        "infinity" | "+infinity" | "inf" | "+inf" => Some(Decimal::Infinity),
        "-infinity" | "-inf" => Some(Decimal::NegativeInfinity),
        _ => None,
    }
}

/// So many significant digits of a finite float, without zeros at the end, as PostgreSQL casts it to numeric.
pub(crate) fn significant_digits(value: f64, digits: usize) -> String {
    let digits = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}e{exponent}")
}

/// A decimal number as it is written, not yet fitted to a precision and scale.
pub(crate) fn parse_decimal(text: &str) -> Result<Written, DataError> {
    let word = trim(text);
    match word_for(word) {
        Some(number) => Err(without_fixed_scale(&number)),
        None => Written::parse(word).ok_or_else(|| invalid_syntax("numeric", text)),
    }
}

fn field_overflow(precision: u8, scale: u8) -> SqlError {
    let bound = precision.saturating_sub(scale);
    let limit = if bound == 0 { "1".to_owned() } else { format!("10^{bound}") };
    SqlError::new("22003", "numeric field overflow").detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
    ))
}

/// A decimal number as written: digits, and where the point stands among them.
pub(crate) struct Written {
    negative: bool,
    /// Digits without leading zeros.
    digits: Vec<u8>,
    /// Digits before the point; negative where zeros follow the point first.
    point: i64,
    /// Digits that stand behind the point; negative where zeros stand before it.
    behind: i64,
}

impl Written {
    fn parse(word: &str) -> Option<Written> {
        let (mantissa, exponent) = match word.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (word, 0),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|d| **d == b'0').count();
        let point = whole.len() as i64 - zeros as i64 + exponent;
        let digits = digits.into_iter().skip(zeros).map(|d| d - b'0').collect();
        let behind = fraction.len() as i64 - exponent;
        Some(Written { negative, digits, point, behind })
    }

    /// The number with all of its digits.
    fn exact(&self) -> Result<Decimal, DataError> {
        let overflow = || DataError::new("22003", "value overflows numeric format");
        let is_zero = self.digits.iter().all(|digit| *digit == 0);
        let scale = u16::try_from(self.behind.max(0)).ok().filter(|scale| *scale <= SCALE_MAX);
        let scale = scale.ok_or_else(overflow)?;
        if is_zero {
            return Ok(Decimal::new(0, scale));
        }
        if self.point > i64::from(WHOLE_DIGITS_MAX) {
            return Err(overflow());
        }
        let text: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let digits: IBig = text.parse().map_err(|_| overflow())?;
        // Zeros that an exponent asks for.
        let zeros = u32::try_from((-self.behind).max(0)).map_err(|_| overflow())?;
        let magnitude = digits * ten_to(zeros);
        Ok(Decimal::new(if self.negative { -magnitude } else { magnitude }, scale))
    }

    /// The value times 10^scale, rounded half away from zero; `None` where the precision is too small.
    pub(crate) fn fit(&self, precision: u8, scale: u8) -> Option<i128> {
        let magnitude = i128::try_from(self.unscaled(scale)?).ok()?;
        let value = if self.negative { -magnitude } else { magnitude };
        (magnitude < 10i128.pow(u32::from(precision))).then_some(value)
    }

    /// The magnitude times 10^scale, rounded; `None` where it has more than 38 digits.
    fn unscaled(&self, scale: u8) -> Option<u128> {
        let kept = self.point + i64::from(scale);
        if self.digits.is_empty() || kept < 0 {
            return Some(0);
        }
        if kept > 38 {
            return None;
        }
        let kept = kept as usize;
        let digit = |at: usize| u128::from(self.digits.get(at).copied().unwrap_or(0));
        let magnitude = (0..kept).fold(0u128, |sum, at| sum * 10 + digit(at));
        Some(magnitude + u128::from(digit(kept) >= 5))
    }
}

/// An exponent; what no number of ours can have is capped, so that sums with it cannot overflow.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000_000_000);
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Appends the decimal text of value × 10^-scale to a buffer in memory: writing to it cannot fail.
pub fn write_numeric(value: i128, scale: u8, out: &mut impl Write) {
    let sign = if value < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if fraction.is_empty() { "" } else { "." };
    _ = write!(out, "{sign}{whole}{point}{fraction}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, SqlError>) -> String {
        result.expect_err("an error").sqlstate
    }

    #[test]
    fn numerics_round_half_away_from_zero() {
        let cases = [
            ("12345.678", 10, 2, 1_234_568),
            ("-0.005", 10, 2, -1),
            ("0.0049", 10, 2, 0),
            ("1e3", 10, 2, 100_000),
            ("1.5E-3", 10, 4, 15),
            (" +7. ", 5, 0, 7),
            (".5", 5, 0, 1),
            ("000123.450", 8, 3, 123_450),
            ("0e999999999999999999999", 5, 2, 0),
            ("1e-999999999999999999999", 5, 2, 0),
        ];
        for (text, precision, scale, value) in cases {
            assert_eq!(parse_numeric(text, precision, scale), Ok(value), "{text}");
        }
        assert_eq!(parse_numeric("99999999999999999999999999999999999999", 38, 0), Ok(10i128.pow(38) - 1));
        for text in ["1000", "999.995", "1e400", "1e99999999999999999999"] {
            assert_eq!(code(parse_numeric(text, 5, 2)), "22003", "{text}");
        }
        for text in ["", ".", "1e", "1.2.3", "1 2", "-", "0x10"] {
            assert_eq!(code(parse_numeric(text, 5, 2)), "22P02", "{text}");
        }
        assert_eq!(code(parse_numeric("NaN", 5, 2)), "0A000");
        let infinite = parse_numeric(" -inf", 5, 2).expect_err("no field holds it");
        let detail = "A field with precision 5, scale 2 cannot hold an infinite value.";
        assert_eq!((infinite.sqlstate.as_str(), infinite.detail.as_deref()), ("22003", Some(detail)));
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
            ("0.00", "0.00"),
            ("0e-3", "0.000"),
            ("1.50e1", "15.0"),
            ("0001.2e5", "120000"),
            ("nan", "NaN"),
            (" -Inf ", "-Infinity"),
            ("+infinity", "Infinity"),
            ("1e40", "10000000000000000000000000000000000000000"),
        ] {
            let parsed = parse_unlimited(text).map(|decimal| decimal.to_string());
            assert_eq!(parsed, Ok(printed.to_owned()), "{text}");
        }
        assert_eq!(parse_digits("-1.50"), Ok(Literal::Numeric { value: -150, precision: 38, scale: 2 }));
        let long = "12345678901234567890.12345678901234567895";
        assert!(matches!(parse_digits(long), Ok(Literal::Decimal(_))));
        assert_eq!(parse_unlimited(long).map(|decimal| decimal.to_string()), Ok(long.to_owned()));
        for (text, sqlstate) in [
            ("1..2", "22P02"),
            ("e5", "22P02"),
            ("1e131072", "22003"),
            ("1e2147483647", "22003"),
            ("1e-16384", "22003"),
            ("0e-2147483648", "22003"),
        ] {
            assert_eq!(parse_unlimited(text).expect_err("an error").sqlstate, sqlstate, "{text}");
        }
        assert!(parse_unlimited("1e131071").is_ok() && parse_unlimited("1e-16383").is_ok());
        assert_eq!(significant_digits(0.1, 15), "1e-1");
        assert_eq!(significant_digits(100.0, 15), "1e2");
    }
}
