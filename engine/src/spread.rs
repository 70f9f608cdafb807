//! `Spread`: variance and standard deviation of any numbers, exact until they are read.
//!
//! Kept are the count, the sum and the sum of squares, as integers without a bound: then
//! `(n·Σx² - (Σx)²) / (n·(n - 1))` is computed without a rounding and is never negative (Cauchy and
//! Schwarz), and the result is rounded once. So neither the order of rows nor their retraction shows,
//! however close the numbers lie to each other and however far from zero. Views (their lanes) and
//! ad-hoc queries both end here, so that they agree to the last bit.

use dashu_int::ops::{BitTest, SquareRoot};
use dashu_int::{IBig, UBig};

use crate::decimal::{Decimal, quotient, ten_to};
use crate::error::DataError;
use crate::exact::scale;
use crate::plan::AggregateFunction;

/// The fixed point of doubles in the window: units of 2^-64.
pub(crate) const FIXED_BITS: i32 = 64;

/// The unit of doubles outside the window: 2^-1074, the least of all.
pub(crate) const FAR_BITS: i32 = 1074;

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
    sum: IBig,
    squares: IBig,
    /// The doubles outside the window, in units of 2^-1074 and 2^-2148.
    far: Option<Box<(IBig, IBig)>>,
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
        self.sum += IBig::from(value) * times;
        self.squares += IBig::from(value).pow(2) * times;
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
        let wide = IBig::from(mantissa) << shift as usize;
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
        let far = self.far.iter().flat_map(|far| [far.0.bit_len(), far.1.bit_len()]).sum::<usize>();
        size_of::<Spread>() + (self.sum.bit_len() + self.squares.bit_len() + far) / 8
    }

    /// The deviation of integers or numerics with `scale` digits behind the point, rounded to as many as PostgreSQL
    /// shows; `None`: NULL. The root is that of the rounded variance, as there.
    ///
    /// # Errors
    /// Those of a negative number of rows.
    pub fn numeric(&self, deviation: Deviation, scale: u16) -> Result<Option<Decimal>, DataError> {
        let found = self.quotient(deviation, &self.sum, &self.squares)?;
        Ok(found.map(|(numerator, denominator)| {
            if numerator.is_zero() {
                return Decimal::new(0, 0);
            }
            let variance = quotient((&numerator.into(), 2 * scale), (&denominator.into(), 0));
            if deviation.root { root(variance) } else { variance }
        }))
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
        let (sum, squares, bits): (IBig, IBig, i32);
        let quotient = match &self.far {
            None => {
                bits = FIXED_BITS;
                self.quotient(deviation, &self.sum, &self.squares)?
            }
            Some(far) => {
                let shift = (FAR_BITS - FIXED_BITS) as usize;
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
        sum: &IBig,
        squares: &IBig,
    ) -> Result<Option<(UBig, UBig)>, DataError> {
        let count = IBig::from(self.count);
        let divisor = if deviation.population { count.clone() } else { &count - 1 };
        if divisor <= IBig::ZERO {
            return Ok(None);
        }
        // Below zero only where some number is there less than no times.
        let numerator = UBig::try_from(&count * squares - sum.pow(2));
        let numerator = numerator.map_err(|_| DataError::negative_multiplicity())?;
        Ok(Some((numerator, (count * divisor).into_parts().1)))
    }
}

/// The root of a number that is not negative, with as many digits behind the point, rounded half up.
fn root(variance: Decimal) -> Decimal {
    let Decimal::Number { unscaled, scale } = variance else { return variance };
    let square = UBig::try_from(unscaled * ten_to(scale.into())).unwrap_or_default();
    // The floor of √R + 1/2 is that of (⌊√4R⌋ + 1) / 2.
    let doubled: UBig = (square << 2).sqrt();
    Decimal::new((doubled + 1u8) >> 1, scale)
}

/// The integer that limbs stand for.
fn of_limbs(limbs: &[i64]) -> IBig {
    limbs.iter().rev().fold(IBig::ZERO, |sum, limb| (sum << 32) + limb)
}

/// A finite double as ± mantissa × 2^(shift - 1074).
pub(crate) fn parts(value: f64) -> (i128, i32) {
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
fn shifted(numerator: &UBig, denominator: &UBig, up: i64) -> (UBig, bool) {
    let (numerator, denominator) = match up {
        0.. => (numerator << up as usize, denominator.clone()),
        _ => (numerator.clone(), denominator << up.unsigned_abs() as usize),
    };
    let quotient = &numerator / &denominator;
    let cut = &quotient * denominator != numerator;
    (quotient, cut)
}

/// The double nearest to `numerator` / `denominator` × 2^-`bits`.
pub(crate) fn nearest(numerator: &UBig, denominator: &UBig, bits: i32) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    let unit = unit_of(numerator.bit_len() as i64 - denominator.bit_len() as i64 - i64::from(bits));
    let (quotient, cut) = shifted(numerator, denominator, -unit - i64::from(bits));
    rounded(&quotient, cut, unit)
}

/// The double nearest to the root of `numerator` / `denominator` × 2^(-2 × `bits`).
pub(crate) fn nearest_root(numerator: &UBig, denominator: &UBig, bits: i32) -> f64 {
    if numerator.is_zero() {
        return 0.0;
    }
    let unit = unit_of((numerator.bit_len() as i64 - denominator.bit_len() as i64) / 2 - i64::from(bits));
    let (square, cut) = shifted(numerator, denominator, 2 * (-unit - i64::from(bits)));
    let root = square.sqrt();
    let cut = cut || root.sqr() != square;
    rounded(&root, cut, unit)
}

/// (`quotient` and a bit more, if something was `cut` off) × 2^`unit`, to nearest, ties to even.
fn rounded(quotient: &UBig, cut: bool, unit: i64) -> f64 {
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
        const DIGITS: usize = 2400;
        let numbers: Vec<IBig> = values
            .iter()
            .map(|value| {
                let (mantissa, shift) = parts(*value);
                IBig::from(mantissa) << shift as usize
            })
            .collect();
        let n = IBig::from(values.len());
        let sum: IBig = numbers.iter().sum();
        let total: IBig = numbers.iter().map(|number| (number * &n - &sum).pow(2)).sum();
        let divisor = &n * &n * (if deviation.population { n.clone() } else { &n - 1 });
        // Units of 2^-2148 are 5^2148 units of 10^-2148.
        let digits = total * IBig::from(10u8).pow(2 * DIGITS - 2148) * IBig::from(5u8).pow(2148) / divisor;
        let (digits, exponent) = match deviation.root {
            true => (UBig::try_from(digits).unwrap().sqrt().into(), DIGITS),
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
    fn numerics_have_the_digits_of_postgresql() {
        let mut spread = Spread::default();
        let shown = |spread: &Spread, deviation, scale| {
            spread.numeric(deviation, scale).unwrap().map(|found| found.to_string()).unwrap_or_default()
        };
        spread.add(1, 1);
        assert_eq!((shown(&spread, ALL[0], 0), shown(&spread, ALL[1], 2)), (String::new(), "0".to_owned()));
        spread.add(2, 1);
        assert_eq!(shown(&spread, ALL[0], 0), "0.50000000000000000000");
        assert_eq!(shown(&spread, ALL[1], 0), "0.25000000000000000000");
        assert_eq!(shown(&spread, ALL[2], 0), "0.70710678118654752440");
        assert_eq!(shown(&spread, ALL[0], 15), "0.000000000000000000000000000000500000000000000000");
        spread.add(i128::MAX, 1);
        assert_eq!(shown(&spread, ALL[0], 0).len(), 76);
        spread.add(i128::MAX, -1);
        assert_eq!(shown(&spread, ALL[3], 0), "0.50000000000000000000");
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
            let (mut whole, mut sum, mut squares) = (Spread::default(), 0i128, IBig::ZERO);
            for value in &values {
                whole.add(i128::from(*value), 1);
                sum += i128::from(*value);
                squares += IBig::from(*value).pow(2);
            }
            prop_assert_eq!(&whole.sum, &IBig::from(sum));
            prop_assert_eq!(&whole.squares, &squares);
        }
    }
}
