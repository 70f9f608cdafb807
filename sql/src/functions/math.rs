//! Functions of numbers: abs, ceil, floor, round, trunc, sign, sqrt, power, ln, log, exp. (numeric.rs has those of numeric.)

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use millrace_engine::{DataError, DataType};

use super::arithmetic::{check_overflow, float_overflow, float_underflow};
use super::inputs::Inputs;

fn float(inputs: &Inputs, apply: fn(f64) -> f64) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(|value| Ok(apply(value)))?))
}

pub(crate) fn abs_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let abs = |value: i16| value.checked_abs().ok_or_else(|| DataError::out_of_range("smallint"));
    Ok(Arc::new(inputs.map1::<Int16Type, Int16Type>(abs)?))
}
pub(crate) fn abs_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let abs = |value: i32| value.checked_abs().ok_or_else(|| DataError::out_of_range("integer"));
    Ok(Arc::new(inputs.map1::<Int32Type, Int32Type>(abs)?))
}
pub(crate) fn abs_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let abs = |value: i64| value.checked_abs().ok_or_else(|| DataError::out_of_range("bigint"));
    Ok(Arc::new(inputs.map1::<Int64Type, Int64Type>(abs)?))
}
pub(crate) fn abs_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float32Type, Float32Type>(|value| Ok(value.abs()))?))
}
pub(crate) fn abs_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, f64::abs)
}
pub(crate) fn ceil_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, f64::ceil)
}
pub(crate) fn floor_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, f64::floor)
}

/// Floats round half to even, as the C library does for PostgreSQL.
pub(crate) fn round_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, f64::round_ties_even)
}

pub(crate) fn sqrt(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let sqrt = |value: f64| {
        if value < 0.0 {
            return Err(DataError::new("2201F", "cannot take square root of a negative number"));
        }
        Ok(value.sqrt())
    };
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(sqrt)?))
}

pub(crate) fn trunc_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, f64::trunc)
}

/// -1, 0 or 1; 0 for NaN, as in PostgreSQL.
pub(crate) fn sign_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    float(inputs, |value| f64::from(i8::from(value > 0.0) - i8::from(value < 0.0)))
}

/// `power(a, b)`, `a ^ b`
pub(crate) fn power(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let power = |base: f64, exponent: f64| {
        if base == 0.0 && exponent < 0.0 {
            return Err(DataError::new("2201F", "zero raised to a negative power is undefined"));
        }
        if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(DataError::new("2201F", message));
        }
        let result = check_overflow(base.powf(exponent), base, exponent)?;
        if result == 0.0 && base != 0.0 && base.is_finite() && exponent.is_finite() {
            return Err(float_underflow());
        }
        Ok(result)
    };
    Ok(Arc::new(inputs.map2::<Float64Type, Float64Type, Float64Type>(power)?))
}

fn logarithm(inputs: &Inputs, apply: fn(f64) -> f64) -> Result<ArrayRef, DataError> {
    let checked = |value: f64| match value {
        0.0 => Err(DataError::new("2201E", "cannot take logarithm of zero")),
        value if value < 0.0 => Err(DataError::new("2201E", "cannot take logarithm of a negative number")),
        value => Ok(apply(value)),
    };
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(checked)?))
}

pub(crate) fn ln(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    logarithm(inputs, f64::ln)
}

pub(crate) fn log10(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    logarithm(inputs, f64::log10)
}

pub(crate) fn exp(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let exp = |value: f64| match value.exp() {
        result if result.is_infinite() && value.is_finite() => Err(float_overflow()),
        0.0 if value.is_finite() => Err(float_underflow()),
        result => Ok(result),
    };
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(exp)?))
}
