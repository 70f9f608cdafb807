//! `+ - * / %` and unary minus on integers and floats: checked, with PostgreSQL's errors.
//! (numeric.rs has them for numeric.)

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::ArrowPrimitiveType;
use datafusion::arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use millrace_engine::{DataError, DataType};

use super::inputs::{Input, Inputs};

type Checked<T> = fn(T, T) -> Option<T>;

fn integers<T: ArrowPrimitiveType>(
    inputs: &Inputs,
    apply: Checked<T::Native>,
    what: &str,
) -> Result<ArrayRef, DataError> {
    let result = inputs.map2::<T, T, T>(|a, b| apply(a, b).ok_or_else(|| DataError::out_of_range(what)))?;
    Ok(Arc::new(result))
}

/// Integer division and modulo: a zero divisor is 22012, the one overflow 22003.
fn dividing<T: ArrowPrimitiveType>(
    inputs: &Inputs,
    apply: Checked<T::Native>,
    what: &str,
) -> Result<ArrayRef, DataError> {
    let result = inputs.map2::<T, T, T>(|a, b| {
        if b == T::Native::default() {
            return Err(DataError::division_by_zero());
        }
        apply(a, b).ok_or_else(|| DataError::out_of_range(what))
    })?;
    Ok(Arc::new(result))
}

fn floats(inputs: &Inputs, apply: fn(f64, f64) -> Result<f64, DataError>) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map2::<Float64Type, Float64Type, Float64Type>(apply)?))
}

/// A real and a double in either order: computed as doubles.
fn mixed(inputs: &Inputs, apply: fn(f64, f64) -> Result<f64, DataError>) -> Result<ArrayRef, DataError> {
    let real = |input: &Input| *input.array().data_type() == ArrowType::Float32;
    Ok(Arc::new(if real(inputs.get(0)) {
        inputs.map2::<Float32Type, Float64Type, Float64Type>(|a, b| apply(a.into(), b))?
    } else {
        inputs.map2::<Float64Type, Float32Type, Float64Type>(|a, b| apply(a, b.into()))?
    }))
}

/// Two reals. Double precision holds more than twice the digits, so that rounding its result gives what the
/// operation on reals does; overflow and underflow are those of the rounded result.
fn reals(inputs: &Inputs, apply: fn(f64, f64) -> Result<f64, DataError>) -> Result<ArrayRef, DataError> {
    let rounded = |a: f32, b: f32| narrowed(apply(a.into(), b.into())?);
    Ok(Arc::new(inputs.map2::<Float32Type, Float32Type, Float32Type>(rounded)?))
}

/// A double as a real. One that is beyond the reals or rounds to zero is 22003.
pub(super) fn narrowed(value: f64) -> Result<f32, DataError> {
    let result = value as f32;
    if result.is_infinite() && value.is_finite() {
        return Err(float_overflow());
    }
    if result == 0.0 && value != 0.0 { Err(float_underflow()) } else { Ok(result) }
}

/// An infinite result of finite operands is an overflow.
pub(super) fn check_overflow(result: f64, a: f64, b: f64) -> Result<f64, DataError> {
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(float_overflow());
    }
    Ok(result)
}

/// 22003 as PostgreSQL words it for floats.
pub(crate) fn float_overflow() -> DataError {
    DataError::float_overflow()
}

pub(super) fn float_underflow() -> DataError {
    DataError::new("22003", "value out of range: underflow")
}

fn multiply_float(a: f64, b: f64) -> Result<f64, DataError> {
    let result = check_overflow(a * b, a, b)?;
    if result == 0.0 && a != 0.0 && b != 0.0 {
        return Err(float_underflow());
    }
    Ok(result)
}

fn divide_float(a: f64, b: f64) -> Result<f64, DataError> {
    if b == 0.0 && !a.is_nan() {
        return Err(DataError::division_by_zero());
    }
    let result = check_overflow(a / b, a, b)?;
    if result == 0.0 && a != 0.0 && !b.is_infinite() {
        return Err(float_underflow());
    }
    Ok(result)
}

pub(crate) fn add_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int16Type>(inputs, i16::checked_add, "smallint")
}
pub(crate) fn add_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int32Type>(inputs, i32::checked_add, "integer")
}
pub(crate) fn add_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int64Type>(inputs, i64::checked_add, "bigint")
}
pub(crate) fn add_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    floats(inputs, |a, b| check_overflow(a + b, a, b))
}
pub(crate) fn add_mixed(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    mixed(inputs, |a, b| check_overflow(a + b, a, b))
}
pub(crate) fn add_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    reals(inputs, |a, b| Ok(a + b))
}

pub(crate) fn subtract_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int16Type>(inputs, i16::checked_sub, "smallint")
}
pub(crate) fn subtract_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int32Type>(inputs, i32::checked_sub, "integer")
}
pub(crate) fn subtract_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int64Type>(inputs, i64::checked_sub, "bigint")
}
pub(crate) fn subtract_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    floats(inputs, |a, b| check_overflow(a - b, a, b))
}
pub(crate) fn subtract_mixed(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    mixed(inputs, |a, b| check_overflow(a - b, a, b))
}
pub(crate) fn subtract_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    reals(inputs, |a, b| Ok(a - b))
}

pub(crate) fn multiply_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int16Type>(inputs, i16::checked_mul, "smallint")
}
pub(crate) fn multiply_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int32Type>(inputs, i32::checked_mul, "integer")
}
pub(crate) fn multiply_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    integers::<Int64Type>(inputs, i64::checked_mul, "bigint")
}
pub(crate) fn multiply_floats(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    floats(inputs, multiply_float)
}
pub(crate) fn multiply_mixed(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    mixed(inputs, multiply_float)
}
pub(crate) fn multiply_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    reals(inputs, multiply_float)
}

pub(crate) fn divide_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int16Type>(inputs, i16::checked_div, "smallint")
}
pub(crate) fn divide_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int32Type>(inputs, i32::checked_div, "integer")
}
pub(crate) fn divide_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int64Type>(inputs, i64::checked_div, "bigint")
}
pub(crate) fn divide_floats(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    floats(inputs, divide_float)
}
pub(crate) fn divide_mixed(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    mixed(inputs, divide_float)
}
pub(crate) fn divide_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    reals(inputs, divide_float)
}

// The smallest integer % -1 is 0, where the hardware would trap.
pub(crate) fn modulo_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int16Type>(inputs, |a, b| Some(a.wrapping_rem(b)), "smallint")
}
pub(crate) fn modulo_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int32Type>(inputs, |a, b| Some(a.wrapping_rem(b)), "integer")
}
pub(crate) fn modulo_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    dividing::<Int64Type>(inputs, |a, b| Some(a.wrapping_rem(b)), "bigint")
}

pub(crate) fn negate_int2(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let negate = |a: i16| a.checked_neg().ok_or_else(|| DataError::out_of_range("smallint"));
    Ok(Arc::new(inputs.map1::<Int16Type, Int16Type>(negate)?))
}
pub(crate) fn negate_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let negate = |a: i32| a.checked_neg().ok_or_else(|| DataError::out_of_range("integer"));
    Ok(Arc::new(inputs.map1::<Int32Type, Int32Type>(negate)?))
}
pub(crate) fn negate_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let negate = |a: i64| a.checked_neg().ok_or_else(|| DataError::out_of_range("bigint"));
    Ok(Arc::new(inputs.map1::<Int64Type, Int64Type>(negate)?))
}
pub(crate) fn negate_float(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(|a| Ok(-a))?))
}
pub(crate) fn negate_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float32Type, Float32Type>(|a| Ok(-a))?))
}
