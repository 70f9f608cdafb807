//! `Decimal`: a `numeric` of any number of digits, as PostgreSQL has it, and the bytes that are stored of it.
//!
//! ```text
//! what is compared                                                     what is shown besides
//! ┌───────┬──────────────┬────────────────────────────────┬─────┐   ┌─────────────────────────┐
//! │ class │ power of 100 │ digits of base 100, each + 1 … │ end │   │ digits behind the point │
//! └───────┴──────────────┴────────────────────────────────┴─────┘   └─────────────────────────┘
//! ```
//! The bytes compare as the numbers do; of equal ones that with fewer digits behind the point comes first. A
//! negative number has its power and digits mirrored. All bytes are ASCII, so that a column of them is Arrow's
//! `Utf8View`, which holds 12 bytes and less, or about 14 digits, in place. `normalise_keys` leaves of what is a
//! key as many digits behind the point as its value needs.

use std::cmp::Ordering;
use std::fmt;

use dashu_int::ops::{Abs, BitTest, UnsignedAbs};
use dashu_int::{IBig, UBig};

use crate::error::DataError;

/// The most digits before the point, as in PostgreSQL.
pub const WHOLE_DIGITS_MAX: u32 = 131_072;

/// The most digits behind the point, as in PostgreSQL.
pub const SCALE_MAX: u16 = 16_383;

/// The digits that a quotient has at least, and the most that it has behind the point, as in PostgreSQL.
const SIGNIFICANT_MIN: i64 = 16;
const QUOTIENT_SCALE_MAX: i64 = 1_000;

const NEGATIVE_INFINITY: u8 = 0x10;
const NEGATIVE: u8 = 0x20;
const ZERO: u8 = 0x30;
const POSITIVE: u8 = 0x40;
const INFINITY: u8 = 0x50;
const NAN: u8 = 0x60;

/// The greatest byte; what mirrors bytes.
const LAST: u8 = 0x7f;

/// Powers of 100 up to this one, and from its negative on, take one byte.
const NEAR: i32 = 24;
const MIDDLE: i32 = 0x40;
/// What stands before the three bytes of a farther power.
const BELOW: u8 = 0x20;
const ABOVE: u8 = 0x60;
/// Makes the least power positive.
const SHIFT: i32 = 16_384;

/// A numeric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// `-Infinity`
    NegativeInfinity,
    /// `unscaled` × 10^-`scale`, shown with `scale` digits behind the point.
    Number {
        /// The value without its point.
        unscaled: IBig,
        /// Digits behind the point.
        scale: u16,
    },
    /// `Infinity`
    Infinity,
    /// `NaN`: equal to itself and greater than all others.
    NaN,
}

impl Decimal {
    /// `unscaled` × 10^-`scale`
    pub fn new(unscaled: impl Into<IBig>, scale: u16) -> Decimal {
        Decimal::Number { unscaled: unscaled.into(), scale }
    }

    /// The number, where it has no more digits than PostgreSQL's numeric; more than that behind the point are
    /// rounded away.
    ///
    /// # Errors
    /// 22003
    pub fn fitted(unscaled: IBig, scale: u32) -> Result<Decimal, DataError> {
        let (unscaled, scale) = match u16::try_from(scale) {
            Ok(scale) if scale <= SCALE_MAX => (unscaled, scale),
            _ => (rescaled(unscaled, scale, SCALE_MAX.into()), SCALE_MAX),
        };
        // A digit has more than three bits, so that most numbers are not counted.
        let is_long = unscaled.bit_len() > 3 * WHOLE_DIGITS_MAX as usize
            && digits_of(&unscaled.clone().unsigned_abs()) - i64::from(scale) > i64::from(WHOLE_DIGITS_MAX);
        if is_long {
            return Err(DataError::new("22003", "value overflows numeric format"));
        }
        Ok(Decimal::Number { unscaled, scale })
    }

    /// What is stored.
    pub fn encode(&self) -> String {
        let bytes = match self {
            Decimal::NegativeInfinity => vec![NEGATIVE_INFINITY],
            Decimal::Infinity => vec![INFINITY],
            Decimal::NaN => vec![NAN],
            Decimal::Number { unscaled, scale } => encoded(unscaled, *scale),
        };
        // All of them are ASCII.
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The number of what is stored; `None` for bytes that are none.
    pub fn decode(stored: &str) -> Option<Decimal> {
        let (class, rest) = stored.as_bytes().split_first()?;
        match *class {
            NEGATIVE_INFINITY => return Some(Decimal::NegativeInfinity),
            INFINITY => return Some(Decimal::Infinity),
            NAN => return Some(Decimal::NaN),
            _ => {}
        }
        let (body, scale) = rest.split_last_chunk::<2>()?;
        let scale = u16::from(scale[0]) << 7 | u16::from(scale[1]);
        if *class == ZERO {
            return Some(Decimal::new(0, scale));
        }
        let parts = Parts::of(*class, body)?;
        let shift = parts.unit() + i64::from(scale);
        let digits = IBig::from(parts.number());
        let magnitude = match u32::try_from(shift) {
            Ok(shift) => digits * ten_to(shift),
            Err(_) => digits / ten_to(u32::try_from(-shift).ok()?),
        };
        Some(Decimal::new(if *class == NEGATIVE { -magnitude } else { magnitude }, scale))
    }

    /// The part of what is stored that is compared: equal numbers have the same.
    pub fn compared(stored: &str) -> &str {
        let shown = match stored.as_bytes().first() {
            Some(&(NEGATIVE | ZERO | POSITIVE)) => 2,
            _ => 0,
        };
        &stored[..stored.len().saturating_sub(shown)]
    }

    /// What is stored of the equal number that has no zeros at its end.
    pub fn normalised(stored: &str) -> String {
        let compared = Decimal::compared(stored);
        let least = match compared.as_bytes().split_first() {
            Some((class @ &(NEGATIVE | POSITIVE), body)) => {
                Parts::of(*class, body).map(|parts| parts.scale())
            }
            Some((&ZERO, _)) => Some(0),
            _ => None,
        };
        match least {
            Some(scale) => {
                format!("{compared}{}{}", char::from((scale >> 7) as u8), char::from((scale & 0x7f) as u8))
            }
            None => compared.to_owned(),
        }
    }

    /// The mean of so many numbers that sum up to `total` × 10^-`scale`, with as many digits as PostgreSQL shows.
    pub fn mean(total: IBig, scale: u16, count: i64) -> Decimal {
        quotient((&total, scale), (&IBig::from(count), 0))
    }
}

/// The number in digits, as many behind the point as it is shown with.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unscaled, scale) = match self {
            Decimal::NegativeInfinity => return f.write_str("-Infinity"),
            Decimal::Infinity => return f.write_str("Infinity"),
            Decimal::NaN => return f.write_str("NaN"),
            Decimal::Number { unscaled, scale } => (unscaled, usize::from(*scale)),
        };
        let sign = if *unscaled < IBig::ZERO { "-" } else { "" };
        let digits = format!("{:0>width$}", unscaled.clone().unsigned_abs().to_string(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// The bytes of a number.
fn encoded(unscaled: &IBig, scale: u16) -> Vec<u8> {
    let shown = [(scale >> 7) as u8, (scale & 0x7f) as u8];
    if unscaled.is_zero() {
        return vec![ZERO, shown[0], shown[1]];
    }
    let is_negative = *unscaled < IBig::ZERO;
    let mut magnitude = unscaled.clone().unsigned_abs();
    if scale % 2 == 1 {
        magnitude *= 10u8;
    }
    let mut bytes = vec![if is_negative { NEGATIVE } else { POSITIVE }];
    let digits = base_100(&magnitude);
    write_power(digits.len() as i32 - 1 - i32::from(scale.div_ceil(2)), &mut bytes);
    let last = digits.iter().rposition(|digit| *digit != 0).unwrap_or(0);
    bytes.extend(digits[..=last].iter().map(|digit| digit + 1));
    bytes.push(0);
    if is_negative {
        bytes[1..].iter_mut().for_each(|byte| *byte = LAST - *byte);
    }
    bytes.extend(shown);
    bytes
}

/// The digits of base 100, the first one first.
fn base_100(magnitude: &UBig) -> Vec<u8> {
    if let Ok(mut rest) = u64::try_from(magnitude) {
        let mut digits = Vec::with_capacity(10);
        while rest > 0 {
            digits.push((rest % 100) as u8);
            rest /= 100;
        }
        digits.reverse();
        return digits;
    }
    let mut decimal = magnitude.to_string();
    if decimal.len() % 2 == 1 {
        decimal.insert(0, '0');
    }
    decimal.as_bytes().chunks(2).map(|pair| (pair[0] - b'0') * 10 + pair[1] - b'0').collect()
}

fn write_power(power: i32, bytes: &mut Vec<u8>) {
    if power.abs() <= NEAR {
        return bytes.push((MIDDLE + power) as u8);
    }
    let (lead, far) = if power < 0 { (BELOW, power + SHIFT) } else { (ABOVE, power) };
    let part = |shift: u32| (far >> shift & 0x7f) as u8;
    bytes.extend([lead, part(14), part(7), part(0)]);
}

/// What is compared of a number that is not zero, behind its class.
struct Parts {
    /// The power of 100 that the first digit counts.
    power: i32,
    /// Digits of base 100 without zeros at either end.
    digits: Vec<u8>,
}

impl Parts {
    fn of(class: u8, body: &[u8]) -> Option<Parts> {
        let (_end, body) = body.split_last()?;
        let mut bytes =
            body.iter().map(|byte| if class == NEGATIVE { LAST.saturating_sub(*byte) } else { *byte });
        let lead = bytes.next()?;
        let power = match lead {
            BELOW | ABOVE => {
                let parts = [bytes.next()?, bytes.next()?, bytes.next()?];
                let far = parts.iter().fold(0, |far, part| far << 7 | i32::from(*part));
                if lead == BELOW { far - SHIFT } else { far }
            }
            near => i32::from(near) - MIDDLE,
        };
        let digits: Vec<u8> = bytes.map(|digit| digit.wrapping_sub(1)).collect();
        (!digits.is_empty() && digits.iter().all(|digit| *digit < 100)).then_some(Parts { power, digits })
    }

    /// The power of ten that the last digit of base 100 counts.
    fn unit(&self) -> i64 {
        2 * (i64::from(self.power) - self.digits.len() as i64 + 1)
    }

    /// The digits as a number.
    fn number(&self) -> UBig {
        if self.digits.len() <= 9 {
            return self.digits.iter().fold(0u64, |number, digit| number * 100 + u64::from(*digit)).into();
        }
        let text: String = self
            .digits
            .iter()
            .flat_map(|digit| [digit / 10, digit % 10])
            .map(|digit| char::from(b'0' + digit))
            .collect();
        text.parse().unwrap_or_default()
    }

    /// The digits behind the point that the value needs.
    fn scale(&self) -> u16 {
        let ends_in_zero = self.digits.last().is_some_and(|digit| digit % 10 == 0);
        let behind = -self.unit() - i64::from(ends_in_zero);
        u16::try_from(behind.max(0)).unwrap_or(SCALE_MAX)
    }
}

/// 10^`exponent`
pub fn ten_to(exponent: u32) -> IBig {
    match 10i128.checked_pow(exponent) {
        Some(power) => IBig::from(power),
        None => IBig::from(10).pow(exponent as usize),
    }
}

/// `value` × 10^-`from` in units of 10^-`to`, rounded half away from zero.
pub fn rescaled(value: IBig, from: u32, to: u32) -> IBig {
    match from.cmp(&to) {
        Ordering::Equal => value,
        Ordering::Less => value * ten_to(to - from),
        Ordering::Greater => rounded_quotient(&value, &ten_to(from - to)),
    }
}

/// `numerator` / `denominator`, which is not zero, rounded half away from zero.
pub fn rounded_quotient(numerator: &IBig, denominator: &IBig) -> IBig {
    let (above, below) = (numerator.clone().abs(), denominator.clone().abs());
    let magnitude = (above * 2 + &below) / (below * 2);
    if (*numerator < IBig::ZERO) == (*denominator < IBig::ZERO) { magnitude } else { -magnitude }
}

/// The quotient of two numbers (unscaled, digits behind the point), of which the second is not zero, rounded to as
/// many digits as PostgreSQL shows.
pub fn quotient(numerator: (&IBig, u16), denominator: (&IBig, u16)) -> Decimal {
    let scale = quotient_scale(numerator, denominator);
    let shift = i64::from(scale) + i64::from(denominator.1) - i64::from(numerator.1);
    let power = ten_to(shift.unsigned_abs() as u32);
    let unscaled = match shift {
        0.. => rounded_quotient(&(numerator.0 * power), denominator.0),
        _ => rounded_quotient(numerator.0, &(denominator.0 * power)),
    };
    Decimal::Number { unscaled, scale }
}

/// The digits behind the point of a quotient: 16 significant ones at least (`select_div_scale` of PostgreSQL's
/// numeric.c, which counts in groups of four), and no fewer than either operand has.
fn quotient_scale(numerator: (&IBig, u16), denominator: (&IBig, u16)) -> u16 {
    let (above, below) = (Group::first_of(numerator), Group::first_of(denominator));
    let weight = above.weight - below.weight - i64::from(above.value <= below.value);
    let operands = i64::from(numerator.1.max(denominator.1));
    (SIGNIFICANT_MIN - 4 * weight).max(operands).clamp(0, QUOTIENT_SCALE_MAX) as u16
}

/// Four digits of a number, in the places where PostgreSQL's digits of base 10,000 stand.
pub struct Group {
    /// The power of 10,000 that it counts.
    pub weight: i64,
    /// The digits.
    pub value: u32,
}

impl Group {
    /// The first one that is not zero; of zero, zero.
    pub fn first_of((unscaled, scale): (&IBig, u16)) -> Group {
        if unscaled.is_zero() {
            return Group { weight: 0, value: 0 };
        }
        let magnitude = unscaled.clone().abs();
        let digits = digits_of(&unscaled.clone().unsigned_abs());
        // The power of ten of the first digit.
        let power = digits - 1 - i64::from(scale);
        let kept = power.rem_euclid(4) + 1;
        let first = match u32::try_from(digits - kept) {
            Ok(more) => magnitude / ten_to(more),
            Err(_) => magnitude * ten_to((kept - digits) as u32),
        };
        Group { weight: power.div_euclid(4), value: u32::try_from(first).unwrap_or(9_999) }
    }
}

/// The decimal digits of a number; those of zero are none.
pub fn digits_of(magnitude: &UBig) -> i64 {
    match u128::try_from(magnitude) {
        Ok(0) => 0,
        Ok(small) => i64::from(small.ilog10()) + 1,
        Err(_) => magnitude.to_string().len() as i64,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(unscaled: i128, scale: u16) -> Decimal {
        Decimal::new(unscaled, scale)
    }

    #[test]
    fn numbers_come_back() {
        let far = Decimal::new(IBig::from(-7) * ten_to(131_071), 0);
        let fine = Decimal::new(3, SCALE_MAX);
        let long = Decimal::new(ten_to(400) + IBig::from(1), 200);
        let all =
            [number(0, 0), number(0, 16_383), number(10, 1), number(-105, 3), number(1, 49), far, fine, long];
        for decimal in all.into_iter().chain([Decimal::NaN, Decimal::Infinity, Decimal::NegativeInfinity]) {
            let stored = decimal.encode();
            assert!(stored.is_ascii());
            assert_eq!(Decimal::decode(&stored), Some(decimal));
        }
        assert_eq!(number(1995, 2).encode().len(), 7);
        for wrong in ["", "@", "@\u{1}", "A", "@A\u{7f}\0\0\0"] {
            assert_eq!(Decimal::decode(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn stored_numbers_compare_as_the_numbers_do() {
        let ascending = [
            Decimal::NegativeInfinity,
            Decimal::new(-ten_to(100_000), 0),
            number(-1_000_000, 0),
            number(-101, 2),
            number(-1, 0),
            number(-1, 16_000),
            number(0, 0),
            number(1, 16_000),
            number(1, 200),
            number(99, 2),
            number(1, 0),
            number(1_000_000_000_000_001, 15),
            number(2, 0),
            number(1_000_000, 0),
            Decimal::new(ten_to(100_000), 0),
            Decimal::Infinity,
            Decimal::NaN,
        ];
        let stored: Vec<String> = ascending.iter().map(Decimal::encode).collect();
        assert!(
            stored.is_sorted_by(
                |left, right| left < right && Decimal::compared(left) < Decimal::compared(right)
            )
        );
    }

    #[test]
    fn quotients_have_the_digits_of_postgresql() {
        let quotient = |a: i64, b: i64| match quotient((&IBig::from(a), 0), (&IBig::from(b), 0)) {
            Decimal::Number { unscaled, scale } => (unscaled.to_string(), scale),
            other => panic!("{other:?}"),
        };
        assert_eq!(quotient(3, 2), ("15000000000000000".to_owned(), 16));
        assert_eq!(quotient(1, 3), ("33333333333333333333".to_owned(), 20));
        assert_eq!(quotient(30_001, 2), ("15000500000000000".to_owned(), 12));
        assert_eq!(quotient(-2, 3), ("-66666666666666666667".to_owned(), 20));
    }

    proptest! {
        #[test]
        fn order_and_equality_are_the_values(a in any::<i64>(), b in any::<i64>(), s in 0u16..40, t in 0u16..40) {
            let (left, right) = (number(a.into(), s).encode(), number(b.into(), t).encode());
            let wide = |value: i64, scale: u16| IBig::from(value) * ten_to(40 - u32::from(scale));
            let expected = wide(a, s).cmp(&wide(b, t));
            prop_assert_eq!(Decimal::compared(&left).cmp(Decimal::compared(&right)), expected);
            prop_assert_eq!(left.cmp(&right), expected.then(s.cmp(&t)));
        }

        #[test]
        fn normalised_numbers_are_equal_and_the_shortest(value in any::<i32>(), scale in 0u16..30, zeros in 0u32..9) {
            let shown = number(i128::from(value) * 10i128.pow(zeros), scale).encode();
            let normalised = Decimal::normalised(&shown);
            prop_assert_eq!(Decimal::compared(&normalised), Decimal::compared(&shown));
            prop_assert_eq!(Decimal::normalised(&normalised), normalised.clone());
            let Some(Decimal::Number { unscaled, scale }) = Decimal::decode(&normalised) else { panic!("no number") };
            prop_assert!(scale == 0 || !(unscaled % IBig::from(10)).is_zero());
        }
    }
}
