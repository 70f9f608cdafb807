//! `Spread`: variance and standard deviation of any numbers, exact until they are read.
//!
//! Kept are the count, the sum and the sum of squares, as integers without a bound: then
//! `(n·Σx² - (Σx)²) / (n·(n - 1))` is computed without a rounding and is never negative (Cauchy and
//! Schwarz), and the result is rounded once. So neither the order of rows nor their retraction shows,
//! however close the numbers lie to each other and however far from zero. Views (their lanes) and
//! ad-hoc queries both end here, so that they agree to the last bit.

use num_bigint::{BigInt, BigUint, Sign};

use crate::error::DataError;
use crate::exact::scale;
use crate::plan::AggregateFunction;
use crate::types::NUMERIC_PRECISION_MAX;

/// The fixed point of doubles in the window: units of 2^-64.
const FIXED_BITS: i32 = 64;

/// The unit of doubles outside the window: 2^-1074, the least of all.
const FAR_BITS: i32 = 1074;

/// Which value a spread is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Divides by n, not by n - 1.
    pub population: bool,
    /// The square root of the variance.
    pub root: bool,
}

impl Deviation {
    /// What an aggregate asks for; `None` where it is none of these.
    pub fn of(function: AggregateFunction) -> Option<Deviation> {
        let (population, root) = match function {
            AggregateFunction::VarPop => (true, false),
            AggregateFunction::VarSamp => (false, false),
            AggregateFunction::StddevPop => (true, true),
            AggregateFunction::StddevSamp => (false, true),
            AggregateFunction::Count
            | AggregateFunction::Sum
            | AggregateFunction::Avg
            | AggregateFunction::Min
            | AggregateFunction::Max
            | AggregateFunction::BoolAnd
            | AggregateFunction::BoolOr
            | AggregateFunction::BitAnd
            | AggregateFunction::BitOr
            | AggregateFunction::BitXor
            | AggregateFunction::StringAgg
            | AggregateFunction::ArrayAgg => return None,
        };
        Some(Deviation { population, root })
    }
}

/// The exact sums of numbers and of their squares.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    count: i64,
    sum: BigInt,
    squares: BigInt,
    /// The doubles outside the window, in units of 2^-1074 and 2^-2148.
    far: Option<Box<(BigInt, BigInt)>>,
    /// NaN and the infinities.
    special: i64,
}

impl Spread {
    /// Sums that were kept as limbs of 32 bits, the least first.
    pub(crate) fn of_limbs(count: i64, sum: &[i64], squares: &[i64]) -> Spread {
        Spread { count, sum: of_limbs(sum), squares: of_limbs(squares), far: None, special: 0 }
    }

    /// Adds an integer, or a numeric in units of its scale, `times` over; negative `times` take back.
    pub fn add(&mut self, value: i128, times: i64) {
        self.count += times;
        self.sum += BigInt::from(value) * times;
        self.squares += BigInt::from(value).pow(2) * times;
    }

    /// Adds a double, `times` over.
    pub fn add_double(&mut self, value: f64, times: i64) {
        match fixed(value) {
            Some(value) => self.add(value, times),
            None => {
                self.count += times;
                self.add_far(value, times);
            }
        }
    }

    /// Adds a double outside the window, which the count holds already.
    pub(crate) fn add_far(&mut self, value: f64, times: i64) {
        if !value.is_finite() {
            self.special += times;
            return;
        }
        let (mantissa, shift) = parts(value);
        let wide = BigInt::from(mantissa) << shift;
        let (sum, squares) = &mut **self.far.get_or_insert_with(Box::default);
        *squares += wide.pow(2) * times;
        *sum += wide * times;
    }

    /// How many numbers there are.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let far = self.far.iter().flat_map(|far| [far.0.bits(), far.1.bits()]).sum::<u64>();
        size_of::<Spread>() + ((self.sum.bits() + self.squares.bits() + far) / 8) as usize
    }

    /// The deviation of integers or numerics at `from` digits behind the point, in units of
    /// 10^-`wanted` (at least `from`), rounded half away from zero; `None`: NULL.
    ///
    /// # Errors
    /// 22003 beyond 38 digits.
    pub fn numeric(&self, deviation: Deviation, from: u8, wanted: u8) -> Result<Option<i128>, DataError> {
        let overflow = || DataError::new("22003", "value overflows numeric format");
        let Some((mut numerator, mut denominator)) = self.quotient(deviation, &self.sum, &self.squares)?
        else {
            return Ok(None);
        };
        let power = |exponent: u8| BigUint::from(10u8).pow(exponent.into());
        if wanted < from {
            return Err(overflow());
        }
        let rounded: BigUint = if deviation.root {
            numerator *= power(wanted - from).pow(2);
            // The floor of √R + 1/2 is that of (⌊√4R⌋ + 1) / 2.
            let doubled: BigUint = (numerator << 2u8) / denominator;
            (doubled.sqrt() + 1u8) >> 1u8
        } else {
            numerator *= power(wanted);
            denominator *= power(from).pow(2);
            ((numerator << 1u8) + &denominator) / (denominator << 1u8)
        };
        if rounded >= power(NUMERIC_PRECISION_MAX) {
            return Err(overflow());
        }
        i128::try_from(rounded).map(Some).map_err(|_| overflow())
    }

    /// The deviation of doubles, rounded once; `None`: NULL.
    ///
    /// # Errors
    /// 22003 where it is beyond all doubles.
    pub fn double(&self, deviation: Deviation) -> Result<Option<f64>, DataError> {
        let least = if deviation.population { 1 } else { 2 };
        if self.special > 0 && self.count >= least {
            return Ok(Some(f64::NAN));
        }
        let (sum, squares, bits);
        let quotient = match &self.far {
            None => {
                bits = FIXED_BITS;
                self.quotient(deviation, &self.sum, &self.squares)?
            }
            Some(far) => {
                let shift = FAR_BITS - FIXED_BITS;
                sum = (&self.sum << shift) + &far.0;
                squares = (&self.squares << (2 * shift)) + &far.1;
                bits = FAR_BITS;
                self.quotient(deviation, &sum, &squares)?
            }
        };
        let Some((numerator, denominator)) = quotient else { return Ok(None) };
        let value = match deviation.root {
            true => nearest_root(&numerator, &denominator, bits),
            false => nearest(&numerator, &denominator, 2 * bits),
        };
        if value.is_infinite() { Err(DataError::float_overflow()) } else { Ok(Some(value)) }
    }

    /// The variance as numerator and denominator, in squares of the sums' unit; `None`: NULL.
    fn quotient(
        &self,
        deviation: Deviation,
        sum: &BigInt,
        squares: &BigInt,
    ) -> Result<Option<(BigUint, BigUint)>, DataError> {
        let count = BigInt::from(self.count);
        let divisor = if deviation.population { count.clone() } else { &count - 1 };
        if divisor.sign() != Sign::Plus {
            return Ok(None);
        }
        let numerator = (&count * squares - sum.pow(2)).to_biguint();
        // Below zero only where some number is there less than no times.
        let numerator = numerator.ok_or_else(DataError::negative_multiplicity)?;
        Ok(Some((numerator, (count * divisor).into_parts().1)))
    }
}

/// The integer that limbs stand for.
fn of_limbs(limbs: &[i64]) -> BigInt {
    limbs.iter().rev().fold(BigInt::ZERO, |sum, limb| (sum << 32u8) + limb)
}

/// A finite double as ± mantissa × 2^(shift - 1074).
fn parts(value: f64) -> (i128, i32) {
    let bits = value.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let mantissa = (bits & ((1 << 52) - 1)) as i128 | if biased == 0 { 0 } else { 1 << 52 };
    (if value.is_sign_negative() { -mantissa } else { mantissa }, biased.max(1) - 1)
}

/// The double in units of 2^-64, where that is exact and its magnitude below 2^63: in the window.
pub(crate) fn fixed(value: f64) -> Option<i128> {
    const LIMIT: f64 = (1u64 << 63) as f64;
    if value.is_nan() || value.abs() >= LIMIT {
        return None;
    }
    let (mantissa, shift) = parts(value);
    let shift = shift - FAR_BITS + FIXED_BITS;
    if shift >= 0 {
        return Some(mantissa << shift);
    }
    let shift = shift.unsigned_abs();
    let exact = mantissa == 0 || (shift < 64 && mantissa.trailing_zeros() >= shift);
    exact.then(|| mantissa.checked_shr(shift).unwrap_or(0))
}

/// The unit (its exponent) in which a quotient of about 2^`top` is rounded: 66 bits and more for
/// normal doubles, two bits below the least double for the others.
fn unit_of(top: i64) -> i64 {
    (top - 66).max(-i64::from(FAR_BITS) - 2)
}

/// `numerator` / `denominator` × 2^`up`, cut, and whether something was cut off.
fn shifted(numerator: &BigUint, denominator: &BigUint, up: i64) -> (BigUint, bool) {
    let (numerator, denominator) = match up {
        0.. => (numerator << up as u64, denominator.clone()),
        _ => (numerator.clone(), denominator << up.unsigned_abs()),
    };
    let quotient = &numerator / &denominator;
    let cut = &quotient * denominator != numerator;
    (quotient, cut)
}

/// The double nearest to `numerator` / `denominator` × 2^-`bits`.
fn nearest(numerator: &BigUint, denominator: &BigUint, bits: i32) -> f64 {
    if numerator.bits() == 0 {
        return 0.0;
    }
    let unit = unit_of(numerator.bits() as i64 - denominator.bits() as i64 - i64::from(bits));
    let (quotient, cut) = shifted(numerator, denominator, -unit - i64::from(bits));
    rounded(&quotient, cut, unit)
}

/// The double nearest to the root of `numerator` / `denominator` × 2^(-2 × `bits`).
fn nearest_root(numerator: &BigUint, denominator: &BigUint, bits: i32) -> f64 {
    if numerator.bits() == 0 {
        return 0.0;
    }
    let unit = unit_of((numerator.bits() as i64 - denominator.bits() as i64) / 2 - i64::from(bits));
    let (square, cut) = shifted(numerator, denominator, 2 * (-unit - i64::from(bits)));
    let root = square.sqrt();
    let cut = cut || root.pow(2) != square;
    rounded(&root, cut, unit)
}

/// (`quotient` and a bit more, if something was `cut` off) × 2^`unit`, to nearest, ties to even.
fn rounded(quotient: &BigUint, cut: bool, unit: i64) -> f64 {
    let quotient = u128::try_from(quotient).unwrap_or(u128::MAX);
    if unit == -i64::from(FAR_BITS) - 2 && quotient < 1 << 55 {
        // In units of 2^-1074 the least doubles are their own bits.
        let (whole, rest) = ((quotient >> 2) as u64, (quotient & 3) as u64 * 2 + u64::from(cut));
        return f64::from_bits(whole + u64::from(rest > 4 || (rest == 4 && whole % 2 == 1)));
    }
    scale((quotient | u128::from(cut)) as f64, unit as i32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const VARIANCE: Deviation = Deviation { population: false, root: false };
    const ALL: [Deviation; 4] = [
        VARIANCE,
        Deviation { population: true, root: false },
        Deviation { population: false, root: true },
        Deviation { population: true, root: true },
    ];

    fn spread(values: &[f64]) -> Spread {
        let mut spread = Spread::default();
        values.iter().for_each(|value| spread.add_double(*value, 1));
        spread
    }

    /// The definition, Σ(nx - Σx)² / n²(n - 1), in decimal digits that the standard library rounds.
    fn reference(values: &[f64], deviation: Deviation) -> f64 {
        const DIGITS: u32 = 2400;
        let numbers: Vec<BigInt> = values
            .iter()
            .map(|value| {
                let (mantissa, shift) = parts(*value);
                BigInt::from(mantissa) << shift
            })
            .collect();
        let n = BigInt::from(values.len());
        let sum: BigInt = numbers.iter().sum();
        let total: BigInt = numbers.iter().map(|number| (number * &n - &sum).pow(2)).sum();
        let divisor = &n * &n * (if deviation.population { n.clone() } else { &n - 1 });
        // Units of 2^-2148 are 5^2148 units of 10^-2148.
        let digits =
            total * BigInt::from(10u8).pow(2 * DIGITS - 2148) * BigInt::from(5u8).pow(2148) / divisor;
        let (digits, exponent) = match deviation.root {
            true => (digits.sqrt(), DIGITS),
            false => (digits, 2 * DIGITS),
        };
        format!("{digits}e-{exponent}").parse().unwrap()
    }

    #[test]
    fn known_deviations() {
        let of = |values: &[f64], deviation| spread(values).double(deviation).unwrap();
        assert_eq!(of(&[], ALL[1]), None);
        assert_eq!((of(&[3.0], ALL[0]), of(&[3.0], ALL[1])), (None, Some(0.0)));
        assert_eq!(of(&[f64::NAN], ALL[0]), None);
        assert!(of(&[f64::INFINITY], ALL[1]).unwrap().is_nan());
        assert!(of(&[f64::NAN, 1.0], ALL[0]).unwrap().is_nan());
        // Far from zero and close together: the textbook formula in doubles answers 0 or less.
        assert_eq!(of(&[1e15 + 1.0, 1e15 + 2.0, 1e15 + 3.0], VARIANCE), Some(1.0));
        assert_eq!(of(&[1e300, 1e300], VARIANCE), Some(0.0));
        assert_eq!(of(&[f64::from_bits(1), 0.0], ALL[3]), Some(0.0));
        assert_eq!(of(&[f64::from_bits(3), 0.0], ALL[3]), Some(f64::from_bits(2)));
        assert_eq!(spread(&[1e300, 0.0]).double(VARIANCE).unwrap_err().sqlstate, "22003");
        assert_eq!(of(&[1e300, -1e300], ALL[3]), Some(1e300));
    }

    #[test]
    fn numerics_round_half_away_from_zero() {
        let mut spread = Spread::default();
        [1, 2].iter().for_each(|value| spread.add(*value, 1));
        assert_eq!(spread.numeric(ALL[0], 0, 16).unwrap(), Some(5_000_000_000_000_000));
        assert_eq!(spread.numeric(ALL[1], 0, 1).unwrap(), Some(3));
        assert_eq!(spread.numeric(ALL[2], 0, 16).unwrap(), Some(7_071_067_811_865_475));
        assert_eq!(spread.numeric(ALL[0], 1, 1).unwrap(), Some(0));
        spread.add(i128::MAX, 1);
        assert_eq!(spread.numeric(ALL[0], 0, 16).unwrap_err().sqlstate, "22003");
        spread.add(i128::MAX, -1);
        assert_eq!(spread.numeric(ALL[0], 0, 16).unwrap(), Some(5_000_000_000_000_000));
    }

    /// Doubles of every magnitude, close ones among them.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let any = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite());
        let near = (-8i32..8, 0i32..60).prop_map(|(value, shift)| f64::from(value) * 2f64.powi(-shift) + 1e9);
        let least = (0u64..40).prop_map(f64::from_bits);
        prop::collection::vec(prop_oneof![any, near, least], 2..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn deviations_of_doubles_are_rounded_once(values in values()) {
            for deviation in ALL {
                let expected = reference(&values, deviation);
                match spread(&values).double(deviation) {
                    Ok(found) => prop_assert_eq!(found.unwrap().to_bits(), expected.to_bits()),
                    Err(error) => prop_assert!(expected.is_infinite(), "{error}"),
                }
            }
        }

        #[test]
        fn order_and_retraction_do_not_show(values in values(), rotation in 0usize..6) {
            let mut other = values.clone();
            other.rotate_left(rotation % values.len());
            let mut changed = spread(&other);
            for (value, times) in [(1e300, 3), (0.1, 2), (f64::NAN, 1)] {
                changed.add_double(value, times);
                changed.add_double(value, -times);
            }
            let bits = |found: Result<Option<f64>, DataError>| found.map(|value| value.map(f64::to_bits));
            for deviation in ALL {
                prop_assert_eq!(bits(spread(&values).double(deviation)), bits(changed.double(deviation)));
            }
        }

        #[test]
        fn limbs_are_the_same_sums(values in prop::collection::vec(any::<i64>(), 2..20)) {
            let (mut whole, mut sum, mut squares) = (Spread::default(), 0i128, BigInt::ZERO);
            for value in &values {
                whole.add(i128::from(*value), 1);
                sum += i128::from(*value);
                squares += BigInt::from(*value).pow(2);
            }
            prop_assert_eq!(&whole.sum, &BigInt::from(sum));
            prop_assert_eq!(&whole.squares, &squares);
        }
    }
}
