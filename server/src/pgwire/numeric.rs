//! `numeric` in PostgreSQL's binary form: four 16-bit words (number of digits, weight, sign, display scale), then digits to the
//! base 10,000, most significant first; the first digit counts 10000^weight. Zero digits at both
//! ends are left out.

use bytes::{BufMut, BytesMut};
use millrace_engine::Decimal;
use millrace_sql::SqlError;
use millrace_sql::text_form::parse_unlimited;

const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0x0000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// The digits behind the point that PostgreSQL says an infinity has.
const SCALE_OF_INFINITY: u16 = 0x20;

/// The digits of the magnitude before the point (at least one) and behind it (`scale` of them).
fn decimal_parts(value: i128, scale: u8) -> (String, String) {
    let scale = usize::from(scale);
    let mut whole = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let fraction = whole.split_off(whole.len() - scale);
    (whole, fraction)
}

/// Appends the binary form of value × 10^-scale.
pub(crate) fn write_numeric_binary(value: i128, scale: u8, out: &mut BytesMut) {
    let (whole, fraction) = decimal_parts(value, scale);
    write_parts(if value < 0 { NEGATIVE } else { POSITIVE }, &whole, &fraction, out);
}

/// Appends the binary form of a numeric of any number of digits.
pub(crate) fn write_decimal_binary(decimal: &Decimal, out: &mut BytesMut) {
    let (sign, scale) = match decimal {
        Decimal::NaN => (NAN, 0),
        Decimal::Infinity => (INFINITY, SCALE_OF_INFINITY),
        Decimal::NegativeInfinity => (NEGATIVE_INFINITY, SCALE_OF_INFINITY),
        Decimal::Number { .. } => {
            let text = decimal.to_string();
            let (sign, unsigned) =
                text.strip_prefix('-').map_or((POSITIVE, text.as_str()), |rest| (NEGATIVE, rest));
            let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
            return write_parts(sign, whole, fraction, out);
        }
    };
    out.put_slice(&[0; 4]);
    out.put_u16(sign);
    out.put_u16(scale);
}

fn write_parts(sign: u16, whole: &str, fraction: &str, out: &mut BytesMut) {
    let (digits, weight) = base_10000(whole, fraction);
    out.put_u16(digits.len() as u16);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(fraction.len() as u16);
    for digit in digits {
        out.put_u16(digit);
    }
}

/// The digits to the base 10,000 without zeros at either end, and the weight of the first.
fn base_10000(whole: &str, fraction: &str) -> (Vec<u16>, i16) {
    let groups_before = whole.len().div_ceil(4);
    let groups_behind = fraction.len().div_ceil(4);
    let padded = format!(
        "{whole:0>before$}{fraction:0<behind$}",
        before = groups_before * 4,
        behind = groups_behind * 4
    );
    let groups: Vec<u16> = padded.as_bytes().chunks(4).map(group).collect();
    let zeros = groups.iter().take_while(|g| **g == 0).count();
    let end = groups.iter().rposition(|g| *g != 0).map_or(zeros, |last| last + 1);
    let weight = if zeros == groups.len() { 0 } else { groups_before as i16 - 1 - zeros as i16 };
    (groups[zeros..end].to_vec(), weight)
}

fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

/// Reads the binary form. Digits behind those that it says are shown are cut off, as PostgreSQL does.
///
/// # Errors
/// 22P03 for bytes that are none, 22003 for more digits than a numeric has.
pub(crate) fn decimal_from_binary(bytes: &[u8]) -> Result<Decimal, SqlError> {
    let words: Vec<u16> =
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])).collect();
    let malformed = || SqlError::new("22P03", "invalid binary representation of type numeric");
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else { return Err(malformed()) };
    let weight = i32::from(*weight as i16);
    let wrong = !bytes.len().is_multiple_of(2)
        || usize::from(*count) != digits.len()
        || digits.iter().any(|digit| *digit > 9999);
    if wrong {
        return Err(malformed());
    }
    let sign = match *sign {
        POSITIVE => "",
        NEGATIVE => "-",
        NAN => return Ok(Decimal::NaN),
        INFINITY => return Ok(Decimal::Infinity),
        NEGATIVE_INFINITY => return Ok(Decimal::NegativeInfinity),
        _ => return Err(malformed()),
    };
    let digit = |place: i32| {
        let digit = usize::try_from(weight - place).ok().and_then(|at| digits.get(at));
        format!("{:04}", digit.copied().unwrap_or(0))
    };
    let scale = usize::from(*scale);
    let whole: String = (0..=weight.max(0)).rev().map(digit).collect();
    let fraction: String = (1..=scale.div_ceil(4) as i32).map(|place| digit(-place)).collect();
    Ok(parse_unlimited(&format!("{sign}{whole}.{}", fraction.get(..scale).unwrap_or_default()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_sql::text_form::{parse_numeric, write_numeric};
    use proptest::prelude::*;

    fn text(value: i128, scale: u8) -> String {
        let mut out = String::new();
        write_numeric(value, scale, &mut out);
        out
    }

    fn hex(value: i128, scale: u8) -> String {
        let mut out = BytesMut::new();
        write_numeric_binary(value, scale, &mut out);
        out.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Text and numeric_send of PostgreSQL 15.
    #[test]
    fn numerics_are_written_as_by_postgresql() {
        let cases: [(i128, u8, &str, &str); 13] = [
            (0, 0, "0", "0000000000000000"),
            (0, 2, "0.00", "0000000000000002"),
            (1, 0, "1", "00010000000000000001"),
            (-1, 0, "-1", "00010000400000000001"),
            (12_345_678, 3, "12345.678", "0003000100000003000109291a7c"),
            (-1, 4, "-0.0001", "0001ffff400000040001"),
            (10_000, 0, "10000", "00010001000000000001"),
            (99_999_999, 0, "99999999", "0002000100000000270f270f"),
            (1_000_000_005, 1, "100000000.5", "00040002000000010001000000001388"),
            (1, 1, "0.1", "0001ffff0000000103e8"),
            (1250, 2, "12.50", "0002000000000002000c1388"),
            (1234, 8, "0.00001234", "0001fffe0000000804d2"),
            (
                -12_345_678_901_234_567_890_123_456_789_012_345_678,
                0,
                "-12345678901234567890123456789012345678",
                "000a000940000000000c0d801ed204d2162e23340d801ed204d2162e",
            ),
        ];
        for (value, scale, as_text, as_hex) in cases {
            assert_eq!(text(value, scale), as_text);
            assert_eq!(hex(value, scale), as_hex, "{as_text}");
        }
    }

    #[test]
    fn damaged_binary_numerics_are_refused() {
        for bytes in [
            &[][..],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0, 0, 0, 0, 0x12, 0, 0, 0],
        ] {
            assert_eq!(decimal_from_binary(bytes).expect_err("an error").sqlstate, "22P03");
        }
        // 10,000 to the power of 32,767 has as many digits as there can be; a whole number is cut at its point.
        let far = [0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1];
        assert_eq!(decimal_from_binary(&far).expect("well formed").to_string().len(), 131_069);
        let cut = [0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88];
        assert_eq!(decimal_from_binary(&cut).expect("well formed").to_string(), "1.5");
    }

    proptest! {
        #[test]
        fn numerics_come_back_from_text_and_binary(value in -(10i128.pow(38) - 1)..10i128.pow(38), scale in 0u8..=38) {
            prop_assert_eq!(parse_numeric(&text(value, scale), 38, scale), Ok(value));
            let mut out = BytesMut::new();
            write_numeric_binary(value, scale, &mut out);
            let decimal = Decimal::new(value, scale.into());
            prop_assert_eq!(decimal_from_binary(&out), Ok(decimal.clone()));
            let mut same = BytesMut::new();
            write_decimal_binary(&decimal, &mut same);
            prop_assert_eq!(same, out);
        }
    }
}
