//! `ExactSum`: the sum of any doubles, exact until it is read, so that neither the order of rows
//! nor their retraction shows in it.
//!
//! A superaccumulator (Kulisch): one integer in units of 2^-1074, in limbs of 32 bits, wide enough
//! for every finite double times any count. Rounded once, to nearest, ties to even.

/// 32-bit limbs: 2^-1074 up to beyond 2^1023 × 2^63.
const LIMBS: usize = 69;

/// The exact sum of doubles with multiplicities.
#[derive(Clone, Debug)]
pub struct ExactSum {
    limbs: Vec<i128>,
    nans: i64,
    positive_infinities: i64,
    negative_infinities: i64,
}

impl Default for ExactSum {
    fn default() -> ExactSum {
        ExactSum { limbs: vec![0; LIMBS], nans: 0, positive_infinities: 0, negative_infinities: 0 }
    }
}

impl ExactSum {
    /// Adds `value`, `times` over; negative `times` take back.
    pub fn add(&mut self, value: f64, times: i64) {
        if value.is_nan() {
            self.nans += times;
        } else if value == f64::INFINITY {
            self.positive_infinities += times;
        } else if value == f64::NEG_INFINITY {
            self.negative_infinities += times;
        } else {
            self.add_finite(value, times);
        }
    }

    fn add_finite(&mut self, value: f64, times: i64) {
        let bits = value.to_bits();
        let biased = ((bits >> 52) & 0x7ff) as usize;
        let fraction = bits & ((1 << 52) - 1);
        let mantissa = if biased == 0 { fraction } else { fraction | 1 << 52 };
        let shift = biased.max(1) - 1;
        let sign = if value.is_sign_negative() { -1 } else { 1 };
        let mut rest = u128::from(mantissa) << (shift % 32);
        let mut limb = shift / 32;
        while rest != 0 {
            // A 32-bit piece times a 64-bit count leaves room for 2^31 such additions.
            self.limbs[limb] += i128::from(rest as u32) * sign * i128::from(times);
            rest >>= 32;
            limb += 1;
        }
    }

    /// Whether what was added is finite: then an infinite sum is an overflow.
    pub fn is_finite(&self) -> bool {
        self.nans == 0 && self.positive_infinities == 0 && self.negative_infinities == 0
    }

    /// The sum as the nearest double; infinite where it is beyond all doubles.
    pub fn finish(&self) -> f64 {
        let infinities = (self.positive_infinities > 0, self.negative_infinities > 0);
        match infinities {
            _ if self.nans > 0 => f64::NAN,
            (true, true) => f64::NAN,
            (true, false) => f64::INFINITY,
            (false, true) => f64::NEG_INFINITY,
            (false, false) => self.finish_finite(),
        }
    }

    fn finish_finite(&self) -> f64 {
        let (negative, limbs) = self.magnitude();
        let Some(top) = limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        // The top 96 bits hold at least 65 significant ones; what is below only breaks ties.
        let at = |index: Option<usize>| index.map_or(0, |index| u128::from(limbs[index]));
        let bits = at(Some(top)) << 64 | at(top.checked_sub(1)) << 32 | at(top.checked_sub(2));
        let sticky = limbs[..top.saturating_sub(2)].iter().any(|limb| *limb != 0);
        let rounded = (bits | u128::from(sticky)) as f64;
        let exponent = (top as i32 - 2) * 32 - 1074;
        let magnitude = scale(rounded, exponent);
        if negative { -magnitude } else { magnitude }
    }

    /// Sign and 32-bit limbs of the magnitude.
    fn magnitude(&self) -> (bool, Vec<u32>) {
        let (carry, limbs) = carried(&self.limbs);
        if carry >= 0 {
            return (false, limbs);
        }
        let negated: Vec<i128> = self.limbs.iter().map(|limb| -limb).collect();
        (true, carried(&negated).1)
    }
}

/// The limbs with carries resolved, and what is left above them: its sign is the number's.
fn carried(limbs: &[i128]) -> (i128, Vec<u32>) {
    let mut carry = 0;
    let mut resolved = Vec::with_capacity(limbs.len() + 4);
    for limb in limbs {
        let total = limb + carry;
        resolved.push(total as u32);
        carry = total >> 32;
    }
    let sign = carry;
    for _ in 0..4 {
        resolved.push(carry as u32);
        carry >>= 32;
    }
    (sign, resolved)
}

/// `value` × 2^`exponent` in steps that neither overflow nor underflow before the result does.
pub(crate) fn scale(mut value: f64, mut exponent: i32) -> f64 {
    while exponent > 0 {
        let step = exponent.min(1000);
        value *= 2f64.powi(step);
        exponent -= step;
    }
    while exponent < 0 {
        let step = (-exponent).min(1000);
        value *= 2f64.powi(-step);
        exponent += step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::ExactSum;
    use proptest::prelude::*;

    fn sum(values: &[(f64, i64)]) -> f64 {
        let mut exact = ExactSum::default();
        values.iter().for_each(|(value, times)| exact.add(*value, *times));
        exact.finish()
    }

    #[test]
    fn known_sums() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[(1e308, 1), (1e308, 1), (-1e308, 1), (-1e308, 1), (3.5, 1)]), 3.5);
        assert_eq!(sum(&[(1e16, 1), (1.0, 1), (-1e16, 1)]), 1.0);
        assert_eq!(sum(&[(f64::MAX, 2)]), f64::INFINITY);
        assert_eq!(sum(&[(-f64::MAX, 2)]), f64::NEG_INFINITY);
        assert_eq!(sum(&[(f64::from_bits(1), 1)]), f64::from_bits(1));
        assert_eq!(sum(&[(f64::from_bits(1), -3)]), -f64::from_bits(3));
        assert_eq!(sum(&[(0.1, 10)]), 1.0);
        // Ties go to the even neighbour: 2^53 + 1 lies between 2^53 and 2^53 + 2.
        assert_eq!(sum(&[(9_007_199_254_740_992.0, 1), (1.0, 1)]), 9_007_199_254_740_992.0);
        assert_eq!(sum(&[(9_007_199_254_740_992.0, 1), (1.0, 1), (1e-300, 1)]), 9_007_199_254_740_994.0);
        assert!(sum(&[(f64::NAN, 1), (1.0, 1)]).is_nan());
        assert!(sum(&[(f64::INFINITY, 1), (f64::NEG_INFINITY, 1)]).is_nan());
        assert_eq!(sum(&[(f64::INFINITY, 1), (f64::INFINITY, -1), (2.0, 1)]), 2.0);
    }

    proptest! {
        #[test]
        fn one_double_is_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(sum(&[(value, 1)]), value);
        }

        #[test]
        fn integers_agree_with_128_bits(values in prop::collection::vec((any::<i32>(), -5i64..5), 0..40)) {
            let exact: i128 = values.iter().map(|(value, times)| i128::from(*value) * i128::from(*times)).sum();
            let doubles: Vec<(f64, i64)> = values.iter().map(|(value, times)| (f64::from(*value), *times)).collect();
            prop_assert_eq!(sum(&doubles), exact as f64);
        }

        #[test]
        fn order_and_retraction_do_not_show(bits in prop::collection::vec(any::<u64>(), 1..20), rotation in 0usize..20) {
            let values: Vec<(f64, i64)> = bits.iter().map(|bits| (f64::from_bits(*bits), 1)).filter(|(v, _)| v.is_finite()).collect();
            let mut other = values.clone();
            let middle = rotation % other.len().max(1);
            other.rotate_left(middle);
            other.push((1e300, 3));
            other.push((1e300, -3));
            prop_assert_eq!(sum(&values).to_bits(), sum(&other).to_bits());
        }
    }
}
