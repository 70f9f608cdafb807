//! `double precision` and `real`, read and written: the shortest digits that read back as the same number, laid
//! out as PostgreSQL 12 and later lay them out (extra_float_digits 1).
//!
//! One difference from Rust's own shortest digits: PostgreSQL never prints a decimal that lies
//! exactly halfway between two doubles (it reads back right only where ties go to even), so 1e23
//! is 9.999999999999999e+22.

use std::fmt::{LowerExp, Write};
use std::str::FromStr;

use millrace_engine::DataError;

use super::{invalid_syntax, trim};

/// What the two widths differ by.
trait Width: Copy + PartialEq + LowerExp + FromStr + Into<f64> {
    /// PostgreSQL's name.
    const NAME: &'static str;
    /// Numbers with fewer digits before the point are written without an exponent.
    const PLAIN_DIGITS: i32;
    /// So many digits always suffice.
    const DIGITS_MAX: usize;

    /// Mantissa and exponent of a positive number: value = mantissa × 2^exponent.
    fn parts(self) -> (u64, i32);
}

impl Width for f64 {
    const NAME: &'static str = "double precision";
    const PLAIN_DIGITS: i32 = 15;
    const DIGITS_MAX: usize = 17;

    fn parts(self) -> (u64, i32) {
        let bits = self.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        match (bits >> 52) & 0x7ff {
            0 => (fraction, -1074),
            biased => (fraction | 1 << 52, biased as i32 - 1075),
        }
    }
}

impl Width for f32 {
    const NAME: &'static str = "real";
    const PLAIN_DIGITS: i32 = 6;
    const DIGITS_MAX: usize = 9;

    fn parts(self) -> (u64, i32) {
        let bits = self.to_bits();
        let fraction = u64::from(bits & ((1 << 23) - 1));
        match (bits >> 23) & 0xff {
            0 => (fraction, -149),
            biased => (fraction | 1 << 23, biased as i32 - 150),
        }
    }
}

/// `double precision`. Overflow and underflow to zero are errors, as in PostgreSQL.
///
/// # Errors
/// 22P02, 22003
pub fn parse_float64(text: &str) -> Result<f64, DataError> {
    parse(text)
}

/// `real`, rounded once. Overflow and underflow to zero are errors, as in PostgreSQL.
///
/// # Errors
/// 22P02, 22003
pub fn parse_float32(text: &str) -> Result<f32, DataError> {
    parse(text)
}

fn parse<F: Width>(text: &str) -> Result<F, DataError> {
    let word = trim(text);
    let value: F = word.parse().map_err(|_| invalid_syntax(F::NAME, text))?;
    let mantissa = word.split(['e', 'E']).next().unwrap_or("");
    let has_digits = mantissa.bytes().any(|b| b.is_ascii_digit());
    let wide: f64 = value.into();
    let lost = has_digits
        && (wide.is_infinite() || (wide == 0.0 && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))));
    if lost {
        return Err(DataError::new("22003", format!("\"{word}\" is out of range for type {}", F::NAME)));
    }
    Ok(value)
}

/// Appends a double to a buffer in memory: writing to it cannot fail.
pub fn write_float64(value: f64, out: &mut impl Write) {
    write(value, value.abs(), out);
}

/// Appends a real to a buffer in memory: writing to it cannot fail.
pub fn write_float32(value: f32, out: &mut impl Write) {
    write(value, value.abs(), out);
}

fn write<F: Width>(value: F, magnitude: F, out: &mut impl Write) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        _ = out.write_str("NaN");
    } else if wide.is_infinite() {
        _ = out.write_str(if wide > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        if wide.is_sign_negative() {
            _ = out.write_str("-");
        }
        write_magnitude(magnitude, out);
    }
}

fn write_magnitude<F: Width>(value: F, out: &mut impl Write) {
    if value.into() == 0.0 {
        _ = out.write_str("0");
        return;
    }
    let (digits, exponent) = shortest(value);
    if (-4..F::PLAIN_DIGITS).contains(&exponent) {
        write_plain(&digits, exponent, out);
    } else {
        write_scientific(&digits, exponent, out);
    }
}

/// `d.ddde±xx`, the exponent of two digits or more.
fn write_scientific(digits: &str, exponent: i32, out: &mut impl Write) {
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    _ = write!(out, "{first}{point}{rest}e{sign}{:02}", exponent.abs());
}

fn write_plain(digits: &str, exponent: i32, out: &mut impl Write) {
    if exponent < 0 {
        _ = out.write_str("0.");
        write_zeros((-exponent - 1) as usize, out);
        _ = out.write_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        _ = out.write_str(digits);
        write_zeros(whole - digits.len(), out);
    } else {
        _ = out.write_str(&digits[..whole]);
        _ = out.write_str(".");
        _ = out.write_str(&digits[whole..]);
    }
}

fn write_zeros(count: usize, out: &mut impl Write) {
    for _ in 0..count {
        _ = out.write_char('0');
    }
}

/// The digits and the decimal exponent of the first one.
fn shortest<F: Width>(value: F) -> (String, i32) {
    let (digits, exponent) = split(&format!("{value:e}"));
    if !is_halfway(value, &digits, exponent) {
        return (digits, exponent);
    }
    (digits.len()..F::DIGITS_MAX)
        .map(|places| split(&format!("{value:.places$e}")))
        .find(|(digits, exponent)| {
            reads_back(value, digits, *exponent) && !is_halfway(value, digits, *exponent)
        })
        .unwrap_or((digits, exponent))
}

/// Digits without the point and without zeros at the end, and the exponent, of `d.ddde±x`.
fn split(text: &str) -> (String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits = mantissa.replace('.', "");
    let trimmed = digits.trim_end_matches('0');
    (if trimmed.is_empty() { "0" } else { trimmed }.to_owned(), exponent.parse().unwrap_or(0))
}

fn reads_back<F: Width>(value: F, digits: &str, exponent: i32) -> bool {
    let places = digits.len() as i32 - 1;
    format!("{digits}e{}", exponent - places).parse().is_ok_and(|read: F| read == value)
}

/// Whether the decimal is exactly the middle of two neighbouring numbers of the width, one of them `value`.
///
/// digits × 10^k = (2m ± 1) × 2^(e-1) needs 5^k to divide a number of 54 bits (25 for a real), or the digits to
/// be divisible by 5^-k: nothing outside -1 ≤ k ≤ 23 qualifies (a real has a few more below, whose digits are
/// never the shortest), and 128 bits hold every product.
fn is_halfway<F: Width>(value: F, digits: &str, exponent: i32) -> bool {
    let power = exponent - (digits.len() as i32 - 1);
    let Ok(digits) = digits.parse::<u128>() else { return false };
    let scaled = match power {
        0..=23 => digits * 5u128.pow(power as u32),
        -1 if digits % 5 == 0 => digits / 5,
        _ => return false,
    };
    // The decimal is odd × 2^twos.
    let twos = scaled.trailing_zeros() as i32 + power;
    let odd = scaled >> scaled.trailing_zeros();
    let (mantissa, binary_exponent) = value.parts();
    let doubled = u128::from(mantissa) * 2;
    twos == binary_exponent - 1 && (odd == doubled + 1 || odd == doubled - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: f64) -> String {
        let mut out = String::new();
        write_float64(value, &mut out);
        out
    }

    fn code(result: Result<f64, DataError>) -> String {
        result.expect_err("an error").sqlstate
    }

    /// PostgreSQL 15's output for these doubles.
    #[test]
    fn doubles_are_written_as_by_postgresql() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (4.35, "4.35"),
            (1e14, "100000000000000"),
            (123456789012345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (1e20, "1e+20"),
            (1e22, "1e+22"),
            (1e23, "9.999999999999999e+22"),
            (8.41e21, "8.409999999999999e+21"),
            (9.5e22, "9.5e+22"),
            (5e23, "5e+23"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (9.9999e-5, "9.9999e-05"),
            (1e-300, "1e-300"),
            (5e-324, "5e-324"),
            (2.2250738585072014e-308, "2.2250738585072014e-308"),
            (f64::MAX, "1.7976931348623157e+308"),
            (9007199254740992.0, "9.007199254740992e+15"),
            (9.5367431640625e-07, "9.5367431640625e-07"),
            (36028797018963960.0, "3.602879701896396e+16"),
            (123456.789, "123456.789"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value), expected);
        }
    }

    /// PostgreSQL 15's output for these reals.
    #[test]
    fn reals_are_written_as_by_postgresql() {
        let shown = |value: f32| {
            let mut out = String::new();
            write_float32(value, &mut out);
            out
        };
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (4.35, "4.35"),
            (123456.0, "123456"),
            (123456.79, "123456.79"),
            (999999.0, "999999"),
            (1e6, "1e+06"),
            (1234567.0, "1.234567e+06"),
            (16777216.0, "1.6777216e+07"),
            (33554432.0, "3.3554432e+07"),
            (8589973000.0, "8.589974e+09"),
            (1e10, "1e+10"),
            (1e15, "1e+15"),
            (1e23, "1e+23"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-45, "1e-45"),
            (1.1754944e-38, "1.1754944e-38"),
            (f32::MAX, "3.4028235e+38"),
            (f32::NAN, "NaN"),
            (f32::INFINITY, "Infinity"),
            (f32::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn reals_refuse_what_they_cannot_hold() {
        assert_eq!(parse_float32("3.4028235e38"), Ok(f32::MAX));
        assert_eq!(parse_float32(" 16777217 "), Ok(16777216.0));
        let message = |text: &str| parse_float32(text).expect_err("an error").message;
        assert_eq!(message("1e39"), "\"1e39\" is out of range for type real");
        assert_eq!(message("1e-50"), "\"1e-50\" is out of range for type real");
        assert_eq!(message("x"), "invalid input syntax for type real: \"x\"");
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
        for text in ["1,5", "", "e5", "1e", "+-1"] {
            assert_eq!(code(parse_float64(text)), "22P02", "{text}");
        }
        let error = parse_float64("1e400").expect_err("an error");
        assert_eq!(error.message, "\"1e400\" is out of range for type double precision");
    }

    proptest! {
        #[test]
        fn doubles_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(shown(value).parse::<f64>().expect("a number").to_bits(), bits);
        }

        #[test]
        fn reals_read_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut text = String::new();
            write_float32(value, &mut text);
            prop_assert_eq!(text.parse::<f32>().expect("a number").to_bits(), bits);
        }
    }
}
