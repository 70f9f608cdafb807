//! `numeric(p, s)`: arithmetic on Decimal128 through 256-bit intermediates.
//!
//! A result whose type is of any number of digits is computed as such (`decimal.rs`). Else its scale follows from
//! the types; what does not fit into 38 digits is 22003, never wrapped.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array};
use datafusion::arrow::datatypes::{Decimal128Type, Int32Type, i256};
use millrace_engine::{DataError, DataType, NUMERIC_PRECISION_MAX};

use super::decimal;
use super::inputs::Inputs;

/// 22003 as PostgreSQL words it for a numeric beyond its limits.
pub(crate) fn overflow() -> DataError {
    DataError::new("22003", "value overflows numeric format")
}

/// 10^`exponent`; exponents are scales, so at most 76.
fn power(exponent: u8) -> i256 {
    i256::from_i128(10).checked_pow(u32::from(exponent)).unwrap_or(i256::MAX)
}

/// `numerator / denominator`, rounded half away from zero.
fn divide_rounded(numerator: i256, denominator: i256) -> Option<i256> {
    let quotient = numerator.checked_div(denominator)?;
    let remainder = numerator.checked_rem(denominator)?;
    let twice = remainder.checked_abs()?.checked_mul(i256::from_i128(2))?;
    if twice < denominator.checked_abs()? {
        return Some(quotient);
    }
    let away =
        if (numerator < i256::ZERO) == (denominator < i256::ZERO) { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

/// `value` × 10^-`from` as an unscaled value at scale `to`, rounded half away from zero.
fn rescale_wide(value: i256, from: u8, to: u8) -> Option<i256> {
    match from.cmp(&to) {
        Ordering::Equal => Some(value),
        Ordering::Less => value.checked_mul(power(to - from)),
        Ordering::Greater => divide_rounded(value, power(from - to)),
    }
}

/// As an i128 of at most `precision` digits.
fn narrow(value: Option<i256>, precision: u8) -> Option<i128> {
    let limit = power(precision);
    value.filter(|v| *v < limit && *v > limit.wrapping_neg()).and_then(i256::to_i128)
}

/// `value` × 10^-`from` at scale `to`; `None` where it has more than `precision` digits.
pub(crate) fn rescale(value: i128, from: u8, to: u8, precision: u8) -> Option<i128> {
    narrow(rescale_wide(i256::from_i128(value), from, to), precision)
}

/// How two numerics compare, whatever their scales.
pub(crate) fn compare(a: i128, scale_a: u8, b: i128, scale_b: u8) -> Ordering {
    if scale_a == scale_b {
        return a.cmp(&b);
    }
    // 38 digits and 38 more fit into 256 bits.
    let scale = scale_a.max(scale_b);
    let wide = |value: i128, from: u8| i256::from_i128(value).wrapping_mul(power(scale - from));
    wide(a, scale_a).cmp(&wide(b, scale_b))
}

/// The scale of a numeric argument; 0 for other types.
pub(crate) fn scale_of(array: &ArrayRef) -> u8 {
    match DataType::from_arrow(array.data_type()) {
        Some(DataType::Numeric { scale, .. }) => scale,
        _ => 0,
    }
}

/// Precision and scale of a numeric result.
fn parts(result: DataType) -> (u8, u8) {
    match result {
        DataType::Numeric { precision, scale } => (precision, scale),
        _ => (NUMERIC_PRECISION_MAX, 0),
    }
}

/// Gives computed values their precision and scale.
pub(crate) fn with_type(array: Decimal128Array, result: DataType) -> Result<ArrayRef, DataError> {
    let (precision, scale) = parts(result);
    let array = array
        .with_precision_and_scale(precision, scale as i8)
        .map_err(|error| DataError::from_arrow(&error))?;
    Ok(Arc::new(array))
}

/// Applies `apply(a, b)` where the result is unscaled at the result's scale.
fn binary(
    inputs: &Inputs,
    result: DataType,
    apply: impl Fn(i256, i256) -> Option<i256>,
) -> Result<ArrayRef, DataError> {
    let (precision, _) = parts(result);
    let array = inputs.map2::<Decimal128Type, Decimal128Type, Decimal128Type>(|a, b| {
        let value = apply(i256::from_i128(a), i256::from_i128(b));
        narrow(value, precision).ok_or_else(overflow)
    })?;
    with_type(array, result)
}

fn scales(inputs: &Inputs) -> (u8, u8) {
    (scale_of(inputs.get(0).array()), scale_of(inputs.get(1).array()))
}

pub(crate) fn add(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::add(inputs);
    }
    let ((a, b), (_, scale)) = (scales(inputs), parts(result));
    binary(inputs, result, |x, y| rescale_wide(x, a, scale)?.checked_add(rescale_wide(y, b, scale)?))
}

pub(crate) fn subtract(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::subtract(inputs);
    }
    let ((a, b), (_, scale)) = (scales(inputs), parts(result));
    binary(inputs, result, |x, y| rescale_wide(x, a, scale)?.checked_sub(rescale_wide(y, b, scale)?))
}

pub(crate) fn multiply(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::multiply(inputs);
    }
    let ((a, b), (_, scale)) = (scales(inputs), parts(result));
    binary(inputs, result, |x, y| rescale_wide(x.checked_mul(y)?, a + b, scale))
}

/// Fails with 22012 where a divisor is zero.
fn check_divisors(inputs: &Inputs) -> Result<(), DataError> {
    inputs
        .map2::<Decimal128Type, Decimal128Type, Decimal128Type>(|_, b| match b {
            0 => Err(DataError::division_by_zero()),
            _ => Ok(b),
        })
        .map(drop)
}

/// `numeric / numeric`: each quotient has a scale of its own.
pub(crate) fn divide(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    decimal::divide(inputs)
}

pub(crate) fn modulo(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::modulo(inputs);
    }
    check_divisors(inputs)?;
    let ((a, b), (_, scale)) = (scales(inputs), parts(result));
    binary(inputs, result, |x, y| rescale_wide(x, a, scale)?.checked_rem(rescale_wide(y, b, scale)?))
}

fn unary(inputs: &Inputs, result: DataType, apply: fn(i128) -> i128) -> Result<ArrayRef, DataError> {
    with_type(inputs.map1::<Decimal128Type, Decimal128Type>(|value| Ok(apply(value)))?, result)
}

pub(crate) fn negate(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::negate(inputs);
    }
    unary(inputs, result, |value| -value)
}

pub(crate) fn abs(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::abs(inputs);
    }
    unary(inputs, result, i128::abs)
}

/// Rounds to whole numbers: `adjust(quotient, remainder)` after a truncating division.
fn whole(inputs: &Inputs, result: DataType, adjust: fn(i128, i128) -> i128) -> Result<ArrayRef, DataError> {
    let unit = 10i128.pow(u32::from(scale_of(inputs.get(0).array())));
    let array =
        inputs.map1::<Decimal128Type, Decimal128Type>(|value| Ok(adjust(value / unit, value % unit)))?;
    with_type(array, result)
}

pub(crate) fn ceil(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::ceil(inputs);
    }
    whole(inputs, result, |quotient, remainder| quotient + i128::from(remainder > 0))
}

pub(crate) fn floor(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::floor(inputs);
    }
    whole(inputs, result, |quotient, remainder| quotient - i128::from(remainder < 0))
}

pub(crate) fn round(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::round(inputs);
    }
    let from = scale_of(inputs.get(0).array());
    let array = inputs.map1::<Decimal128Type, Decimal128Type>(|value| {
        rescale(value, from, 0, NUMERIC_PRECISION_MAX).ok_or_else(overflow)
    })?;
    with_type(array, result)
}

pub(crate) fn trunc(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::trunc(inputs);
    }
    whole(inputs, result, |quotient, _| quotient)
}

pub(crate) fn sign(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::sign(inputs);
    }
    unary(inputs, result, i128::signum)
}

/// The unscaled value cut to `digits` behind the point (before it, where negative) at scale `to`:
/// `cut(value, unit)` gives how many units of 10^-digits there are.
fn cut_to(
    inputs: &Inputs,
    result: DataType,
    cut: fn(i256, i256) -> Option<i256>,
) -> Result<ArrayRef, DataError> {
    let (from, (precision, to)) = (scale_of(inputs.get(0).array()), parts(result));
    let array = inputs.map2::<Decimal128Type, Int32Type, Decimal128Type>(|value, digits| {
        let value = i256::from_i128(value);
        let dropped = i32::from(from).saturating_sub(digits);
        let kept = match u8::try_from(dropped) {
            // Nothing to cut.
            Ok(0) | Err(_) if dropped <= 0 => Some(value),
            // No value has so many digits.
            Ok(76..) | Err(_) => Some(i256::ZERO),
            Ok(dropped) => cut(value, power(dropped)).and_then(|units| units.checked_mul(power(dropped))),
        };
        narrow(kept.and_then(|kept| rescale_wide(kept, from, to)), precision).ok_or_else(overflow)
    })?;
    with_type(array, result)
}

/// `round(numeric, digits)`: half away from zero.
pub(crate) fn round_to(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::round_to(inputs);
    }
    cut_to(inputs, result, divide_rounded)
}

/// `trunc(numeric, digits)`: towards zero.
pub(crate) fn trunc_to(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    if result == DataType::Decimal {
        return decimal::trunc_to(inputs);
    }
    cut_to(inputs, result, |value, unit| value.checked_div(unit))
}
