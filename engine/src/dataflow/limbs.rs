//! Limbs: wide integers as lanes, so that their sums are exact whatever merges them.
//!
//! A limb carries its number's sign and holds 32 bits of its magnitude, so that a lane is exact for
//! 2^31 rows; sums neither wrap nor depend on the order of their rows. Doubles are integers in units
//! of 2^-64, where the window (2^-64 to 2^63) holds them exactly.

use super::accumulate::Outcome;
use crate::error::DataError;
use crate::exact::ExactSum;

/// The bits of one limb.
const LIMB_BITS: u32 = 32;

/// The fixed point of doubles: units of 2^-64.
const FIXED_BITS: i32 = 64;

/// Sets lanes to `diff` times the limbs of `value`.
pub(super) fn set_limbs(value: i128, diff: i64, lanes: &mut [i64]) {
    let magnitude = value.unsigned_abs();
    for (index, lane) in lanes.iter_mut().enumerate() {
        let limb = (magnitude >> (LIMB_BITS * index as u32)) as u32;
        *lane = i64::from(limb) * value.signum() as i64 * diff;
    }
}

/// The number that limbs stand for, as (high, low): high × 2^64 + low.
fn wide(limbs: &[i64]) -> (i128, u64) {
    let pair = |low: i64, high: i64| i128::from(low) + (i128::from(high) << LIMB_BITS);
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    let low = pair(limb(0), limb(1));
    (pair(limb(2), limb(3)) + (low >> 64), low as u64)
}

/// Sets lanes to `diff` times the limbs of the square of `value`.
pub(super) fn set_square(value: i128, diff: i64, lanes: &mut [i64]) {
    let magnitude = value.unsigned_abs();
    let limbs: [u64; 4] =
        std::array::from_fn(|index| (magnitude >> (LIMB_BITS * index as u32)) as u32 as u64);
    let mut square = [0u64; 8];
    for (low, a) in limbs.iter().enumerate() {
        let mut carry = 0;
        for (high, b) in limbs.iter().enumerate() {
            // At most (2^32 - 1)^2 + 2 (2^32 - 1): exactly 64 bits.
            let sum = a * b + square[low + high] + carry;
            square[low + high] = u64::from(sum as u32);
            carry = sum >> LIMB_BITS;
        }
        square[low + 4] = carry;
    }
    debug_assert!(square[lanes.len()..].iter().all(|limb| *limb == 0), "the square fits its lanes");
    lanes.iter_mut().zip(square).for_each(|(lane, limb)| *lane = limb as i64 * diff);
}

/// The exact integer of some limbs.
pub(super) fn integer(limbs: &[i64]) -> Result<i128, DataError> {
    let (high, low) = wide(limbs);
    let high = i64::try_from(high).map_err(|_| DataError::out_of_range("numeric value"))?;
    Ok((i128::from(high) << 64) | i128::from(low))
}

/// A sum of numerics, where 38 digits hold it.
pub(super) fn numeric(total: i128) -> Result<i128, DataError> {
    const LIMIT: u128 = 10u128.pow(38);
    match total.unsigned_abs() < LIMIT {
        true => Ok(total),
        false => Err(DataError::new("22003", "numeric field overflow")),
    }
}

/// The sum of doubles, rounded once; then divided.
pub(super) fn float_total(
    sum: &[i64],
    divisor: Option<i64>,
    outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
) -> Result<Outcome, DataError> {
    const UNIT: f64 = 1.0 / ((1u128 << FIXED_BITS) as f64);
    let (high, low) = wide(&sum[..4]);
    if let (Ok(high), 0) = (i64::try_from(high), sum[4]) {
        // The conversion rounds to the nearest, and 2^-64 only moves the exponent.
        let total = ((i128::from(high) << 64) | i128::from(low)) as f64 * UNIT;
        return Ok(Outcome::Float64(divisor.map_or(total, |divisor| total / divisor as f64)));
    }
    let mut exact = ExactSum::default();
    add_fixed(&mut exact, high, low);
    outside(&mut |value, count| exact.add(value, count));
    let total = exact.finish();
    if total.is_infinite() && exact.is_finite() {
        return Err(DataError::float_overflow());
    }
    Ok(Outcome::Float64(divisor.map_or(total, |divisor| total / divisor as f64)))
}

/// Adds (`high` × 2^64 + `low`) × 2^-64, in pieces that doubles hold exactly.
fn add_fixed(exact: &mut ExactSum, high: i128, low: u64) {
    let sign = if high < 0 { -1 } else { 1 };
    let piece = |bits: u64, exponent: i32| bits as f64 * 2f64.powi(exponent);
    let magnitude = high.unsigned_abs();
    for index in 0..4 {
        let bits = (magnitude >> (LIMB_BITS * index)) as u32;
        exact.add(piece(bits.into(), (LIMB_BITS * index) as i32), sign);
    }
    exact.add(piece(low >> LIMB_BITS, -32), 1);
    exact.add(piece(low & u64::from(u32::MAX), -64), 1);
}

#[cfg(test)]
mod tests {
    use dashu_int::IBig;
    use proptest::prelude::*;

    use super::*;

    fn value_of(limbs: &[i64]) -> IBig {
        limbs.iter().rev().fold(IBig::ZERO, |sum, limb| (sum << LIMB_BITS as usize) + limb)
    }

    proptest! {
        #[test]
        fn limbs_hold_numbers_and_their_squares(value in any::<i128>(), small in any::<i64>(), diff in -3i64..4) {
            let (mut limbs, mut squares) = ([0; 4], [0; 8]);
            set_limbs(value, diff, &mut limbs);
            set_square(value, diff, &mut squares);
            prop_assert_eq!(value_of(&limbs), IBig::from(value) * diff);
            prop_assert_eq!(value_of(&squares), IBig::from(value).pow(2) * diff);
            set_square(small.into(), diff, &mut squares[..4]);
            prop_assert_eq!(value_of(&squares[..4]), IBig::from(small).pow(2) * diff);
        }
    }
}
