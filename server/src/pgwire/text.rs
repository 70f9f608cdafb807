//! Text input: what a client writes in a parameter or a COPY line, read as PostgreSQL reads it.
//!
//! Pure functions from text to a value or to PostgreSQL's error (22P02 for bad syntax, 22003 and
//! 22008 for what is out of range). Used by Bind and by COPY, so that both take the same words.

use millrace_engine::{DataType, Literal};
use millrace_sql::SqlError;

pub(crate) use super::calendar::parse_timestamp;

/// Parses a value of this type.
pub(crate) fn parse(text: &str, data_type: DataType) -> Result<Literal, SqlError> {
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
    })
}

/// 22P02 for a value of this type.
pub(crate) fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
}

/// C's isspace, which is what PostgreSQL trims.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// `boolean`: any unambiguous start of true, false, yes, no, on, off; or 1, 0.
pub(crate) fn parse_boolean(text: &str) -> Result<bool, SqlError> {
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

/// `integer`.
pub(crate) fn parse_int32(text: &str) -> Result<i32, SqlError> {
    let wide = parse_integer(text, "integer")?;
    i32::try_from(wide).map_err(|_| integer_out_of_range(text, "integer"))
}

/// `bigint`.
pub(crate) fn parse_int64(text: &str) -> Result<i64, SqlError> {
    parse_integer(text, "bigint")
}

/// Digits with a sign and spaces around.
fn parse_integer(text: &str, type_name: &str) -> Result<i64, SqlError> {
    let word = trim(text);
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(type_name, text));
    }
    word.parse().map_err(|_| integer_out_of_range(text, type_name))
}

fn integer_out_of_range(text: &str, type_name: &str) -> SqlError {
    SqlError::new("22003", format!("value \"{text}\" is out of range for type {type_name}"))
}

/// `double precision`. Overflow and underflow to zero are errors, as in PostgreSQL.
pub(crate) fn parse_float64(text: &str) -> Result<f64, SqlError> {
    let word = trim(text);
    let value: f64 = word.parse().map_err(|_| invalid_syntax("double precision", text))?;
    let mantissa = word.split(['e', 'E']).next().unwrap_or("");
    let has_digits = mantissa.bytes().any(|b| b.is_ascii_digit());
    let lost = has_digits
        && (value.is_infinite() || (value == 0.0 && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))));
    if lost {
        return Err(SqlError::new("22003", format!("\"{word}\" is out of range for type double precision")));
    }
    Ok(value)
}

/// `numeric(precision, scale)`: the unscaled value, rounded half away from zero.
pub(crate) fn parse_numeric(text: &str, precision: u8, scale: u8) -> Result<i128, SqlError> {
    let word = trim(text);
    if matches!(
        word.to_ascii_lowercase().as_str(),
        "nan" | "infinity" | "-infinity" | "+infinity" | "inf" | "-inf" | "+inf"
    ) {
        return Err(SqlError::unsupported(format!("numeric {word}")));
    }
    let decimal = Decimal::parse(word).ok_or_else(|| invalid_syntax("numeric", text))?;
    decimal
        .unscaled(scale)
        .filter(|magnitude| *magnitude < 10u128.pow(u32::from(precision)))
        .and_then(|magnitude| i128::try_from(magnitude).ok())
        .map(|magnitude| if decimal.negative { -magnitude } else { magnitude })
        .ok_or_else(|| numeric_overflow(precision, scale))
}

fn numeric_overflow(precision: u8, scale: u8) -> SqlError {
    let bound = precision.saturating_sub(scale);
    let limit = if bound == 0 { "1".to_owned() } else { format!("10^{bound}") };
    SqlError::new("22003", "numeric field overflow").detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
    ))
}

/// A decimal number as written: digits, and where the point stands among them.
struct Decimal {
    negative: bool,
    /// Digits without leading zeros.
    digits: Vec<u8>,
    /// Digits before the point; negative where zeros follow the point first.
    point: i64,
}

impl Decimal {
    fn parse(word: &str) -> Option<Decimal> {
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
        Some(Decimal { negative, digits, point })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, SqlError>) -> String {
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

    #[test]
    fn floats_refuse_what_a_double_cannot_hold() {
        assert_eq!(parse_float64(" 1.5e3 "), Ok(1500.0));
        assert_eq!(parse_float64("-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(parse_float64("NaN").is_ok_and(f64::is_nan));
        assert_eq!(parse_float64("1e-320"), Ok(1e-320));
        assert!(parse_float64("-0").is_ok_and(|v| v.is_sign_negative()));
        assert_eq!(code(parse_float64("1e400")), "22003");
        assert_eq!(code(parse_float64("1e-400")), "22003");
        assert_eq!(parse_float64("0e-400"), Ok(0.0));
        assert_eq!(code(parse_float64("1,5")), "22P02");
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
    }
}
