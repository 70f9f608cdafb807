//! `ExactSum`: a sum of doubles that is rounded once, at the end.
//!
//! A fixed-point number wide enough for every finite double (2⁻¹⁰⁷⁴ to 2¹⁰²⁴, and 64 bits for
//! carries) in 32-bit limbs, each in an i64: additions carry lazily, so adding is three limb
//! updates. The order of additions never shows, and what is taken away again leaves no trace.
//! NaN and the infinities are counted. Depends on nothing else, so that the engine may take it.

/// Bits in a limb.
const LIMB_BITS: usize = 32;
/// 2098 bits of doubles, 64 bits of multiplicity and one for the sign, in limbs.
const LIMBS: usize = 68;
/// An addition changes a limb by less than 2³², so this many fit an i64 beside a normalised limb.
const PENDING_MAX: u32 = 1 << 30;

/// An exact sum of doubles with multiplicities.
#[derive(Clone, Debug)]
pub(crate) struct ExactSum {
    limbs: [i64; LIMBS],
    pending: u32,
    nan: i64,
    infinity: i64,
    negative_infinity: i64,
}

impl Default for ExactSum {
    fn default() -> ExactSum {
        ExactSum { limbs: [0; LIMBS], pending: 0, nan: 0, infinity: 0, negative_infinity: 0 }
    }
}

impl ExactSum {
    /// Adds `value` as often as `times` says; a negative `times` takes it away.
    pub(crate) fn add(&mut self, value: f64, times: i64) {
        if value.is_nan() {
            self.nan += times;
        } else if value == f64::INFINITY {
            self.infinity += times;
        } else if value == f64::NEG_INFINITY {
            self.negative_infinity += times;
        } else {
            self.add_finite(value, times);
        }
    }

    fn add_finite(&mut self, value: f64, times: i64) {
        let bits = value.to_bits();
        let exponent = ((bits >> 52) & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        // Subnormals have no hidden bit and the exponent of the smallest normal.
        let mantissa = if exponent == 0 { fraction } else { fraction | (1 << 52) };
        let position = (exponent.max(1) - 1) as usize;
        let sign = if bits >> 63 == 1 { -1 } else { 1 };
        // 53 bits times 64 bits fit 128; shifted by up to 31 they need a fourth and fifth limb.
        let product = i128::from(mantissa) * i128::from(times) * sign;
        self.add_shifted(product, position);
    }

    /// Adds `value` × 2^`position` (counted from the lowest bit).
    fn add_shifted(&mut self, value: i128, position: usize) {
        let (limb, shift) = (position / LIMB_BITS, position % LIMB_BITS);
        let negative = value < 0;
        let mut rest = value.unsigned_abs();
        let mut carried = 0u64;
        let mut index = limb;
        while rest != 0 || carried != 0 {
            let part = ((rest as u32 as u64) << shift) | carried;
            let digit = (part & 0xffff_ffff) as i64;
            self.limbs[index] += if negative { -digit } else { digit };
            carried = part >> LIMB_BITS;
            rest >>= LIMB_BITS;
            index += 1;
        }
        self.pending += 1;
        if self.pending >= PENDING_MAX {
            self.carry();
        }
    }

    /// Brings every limb but the last into 0 ..= 2³²-1; the last one holds the sign.
    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let value = *limb + carry;
            *limb = value & 0xffff_ffff;
            carry = value >> LIMB_BITS;
        }
        self.limbs[LIMBS - 1] += carry;
        self.pending = 0;
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: &ExactSum) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            *limb += more;
        }
        self.carry();
        self.nan += other.nan;
        self.infinity += other.infinity;
        self.negative_infinity += other.negative_infinity;
    }

    /// The sum, rounded once (half to even). NaN where a NaN or both infinities are in it; an
    /// infinity where one is in it, or where the finite sum is beyond the doubles: see `overflows`.
    pub(crate) fn finish(&self) -> f64 {
        if self.nan > 0 || (self.infinity > 0 && self.negative_infinity > 0) {
            return f64::NAN;
        }
        if self.infinity > 0 {
            return f64::INFINITY;
        }
        if self.negative_infinity > 0 {
            return f64::NEG_INFINITY;
        }
        self.finish_finite()
    }

    /// Whether the sum of finite values is beyond the doubles: PostgreSQL's 22003.
    pub(crate) fn overflows(&self) -> bool {
        self.nan == 0
            && self.infinity == 0
            && self.negative_infinity == 0
            && self.finish_finite().is_infinite()
    }

    fn finish_finite(&self) -> f64 {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.limbs[LIMBS - 1] < 0;
        if negative {
            sum.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            sum.carry();
        }
        let magnitude = sum.round_magnitude();
        if negative { -magnitude } else { magnitude }
    }

    /// The bit at a position of a normalised, non-negative sum.
    fn bit(&self, position: usize) -> u64 {
        (self.limbs[position / LIMB_BITS] >> (position % LIMB_BITS)) as u64 & 1
    }

    /// The nearest double of a normalised, non-negative sum.
    fn round_magnitude(&self) -> f64 {
        let Some(top) = self.limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        let highest = top * LIMB_BITS + self.limbs[top].ilog2() as usize;
        // Up to 53 bits are the double itself: subnormals and sums without a rest.
        let lowest = highest.saturating_sub(52);
        let mut mantissa = (lowest..=highest).rev().fold(0u64, |bits, at| (bits << 1) | self.bit(at));
        let mut exponent = lowest;
        if lowest > 0 && self.bit(lowest - 1) == 1 {
            let odd = mantissa & 1 == 1;
            if odd || (0..lowest - 1).any(|at| self.bit(at) == 1) {
                mantissa += 1;
            }
        }
        if mantissa == 1 << 53 {
            mantissa >>= 1;
            exponent += 1;
        }
        from_parts(mantissa, exponent)
    }
}

/// `mantissa` × 2^(`exponent` - 1074): exact, or infinite. The mantissa has at most 53 bits, and
/// exactly 53 where `exponent` is not 0.
fn from_parts(mantissa: u64, exponent: usize) -> f64 {
    if mantissa < 1 << 52 {
        debug_assert_eq!(exponent, 0);
        return f64::from_bits(mantissa);
    }
    let biased = exponent as u64 + 1;
    if biased >= 0x7ff {
        return f64::INFINITY;
    }
    f64::from_bits((biased << 52) | (mantissa & ((1 << 52) - 1)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shewchuk's exact expansions with the rounding of Python's `math.fsum`; overflow left out.
    fn reference(values: &[f64]) -> f64 {
        let mut partials: Vec<f64> = Vec::new();
        for value in values {
            let mut x = *value;
            let mut kept = Vec::new();
            for partial in &partials {
                let (big, small) = if x.abs() < partial.abs() { (*partial, x) } else { (x, *partial) };
                let high = big + small;
                let low = small - (high - big);
                if low != 0.0 {
                    kept.push(low);
                }
                x = high;
            }
            kept.push(x);
            partials = kept;
        }
        let mut rest = partials.into_iter().rev();
        let mut high = rest.next().unwrap_or_default();
        while let Some(next) = rest.next() {
            let before = high;
            high = before + next;
            let low = next - (high - before);
            if low != 0.0 {
                // Halfway cases: the next partial decides.
                let following = rest.next().unwrap_or_default();
                if (low < 0.0 && following < 0.0) || (low > 0.0 && following > 0.0) {
                    let twice = low * 2.0;
                    let moved = high + twice;
                    if twice == moved - high {
                        high = moved;
                    }
                }
                break;
            }
        }
        high
    }

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value, 1));
        sum
    }

    /// Doubles of every magnitude that leave room for a few thousand of them.
    fn any_double() -> impl Strategy<Value = f64> {
        (any::<u64>(), 0u64..2000).prop_map(|(bits, exponent)| {
            f64::from_bits((bits & 0x800f_ffff_ffff_ffff) | (exponent << 52))
        })
    }

    /// Doubles near each other, so that they cancel and carry.
    fn near_double() -> impl Strategy<Value = f64> {
        (-(1i64 << 53)..(1i64 << 53), -60i32..60).prop_map(|(value, shift)| value as f64 * 2f64.powi(shift))
    }

    proptest! {
        #[test]
        fn sums_are_rounded_once(values in prop::collection::vec(any_double(), 0..40)) {
            prop_assert_eq!(sum(&values).finish(), reference(&values));
        }

        #[test]
        fn near_sums_are_rounded_once(values in prop::collection::vec(near_double(), 0..60)) {
            prop_assert_eq!(sum(&values).finish(), reference(&values));
        }

        #[test]
        fn small_integers_agree_with_i128(values in prop::collection::vec((-(1i64 << 40)..1i64 << 40, 1i64..1 << 40), 0..60)) {
            let mut exact = ExactSum::default();
            let mut model = 0i128;
            for (value, times) in &values {
                exact.add(*value as f64, *times);
                model += i128::from(*value) * i128::from(*times);
            }
            prop_assert_eq!(exact.finish(), model as f64);
        }

        #[test]
        fn order_and_grouping_do_not_show(
            values in prop::collection::vec((any_double(), 1i64..1000), 0..40).prop_shuffle(),
            cut in 0usize..40,
        ) {
            let add = |values: &[(f64, i64)]| {
                let mut sum = ExactSum::default();
                values.iter().for_each(|(value, times)| sum.add(*value, *times));
                sum
            };
            let whole = add(&values).finish();
            let cut = cut.min(values.len());
            let mut parts = add(&values[cut..]);
            parts.merge(&add(&values[..cut]));
            prop_assert_eq!(parts.finish().to_bits(), whole.to_bits());
        }

        #[test]
        fn what_is_taken_away_leaves_no_trace(
            kept in prop::collection::vec(any_double(), 0..20),
            gone in prop::collection::vec((any::<f64>(), 1i64..i64::MAX), 0..20),
        ) {
            let mut with = sum(&kept);
            gone.iter().for_each(|(value, times)| with.add(*value, *times));
            gone.iter().rev().for_each(|(value, times)| with.add(*value, -*times));
            prop_assert_eq!(with.finish().to_bits(), sum(&kept).finish().to_bits());
        }
    }

    #[test]
    fn special_values() {
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).finish().is_nan());
        assert!(sum(&[1.0, f64::NAN]).finish().is_nan());
        assert_eq!(sum(&[f64::INFINITY, 1.0]).finish(), f64::INFINITY);
        assert!(!sum(&[f64::INFINITY, 1.0]).overflows());
        assert_eq!(sum(&[]).finish(), 0.0);
        assert_eq!(sum(&[5e-324, 5e-324]).finish(), 1e-323);
        assert_eq!(sum(&[0.1; 10]).finish(), 1.0);
    }

    #[test]
    fn overflow_is_seen_only_at_the_end() {
        assert!(sum(&[f64::MAX, f64::MAX]).overflows());
        assert!(!sum(&[f64::MAX, f64::MAX, -f64::MAX]).overflows());
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]).finish(), f64::MAX);
        let mut many = ExactSum::default();
        many.add(f64::MAX, i64::MAX);
        many.add(-f64::MAX, i64::MAX);
        assert_eq!(many.finish(), 0.0);
    }
}
