//! Functions of doubles that mathematics has names for: sin and its kin, degrees, cbrt; gcd, lcm.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use millrace_engine::{DataError, DataType};

use super::arithmetic::float_overflow;
use super::inputs::Inputs;

type Computed = Result<ArrayRef, DataError>;

fn out_of_range() -> DataError {
    DataError::new("22003", "input is out of range")
}

/// A function of the numbers for which `takes` holds; NaN it leaves as it is.
fn float(inputs: &Inputs, takes: fn(f64) -> bool, apply: fn(f64) -> f64) -> Computed {
    let value = |value: f64| match value {
        _ if value.is_nan() => Ok(value),
        _ if takes(value) => Ok(apply(value)),
        _ => Err(out_of_range()),
    };
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(value)?))
}

/// The same where the result may be too large.
fn growing(inputs: &Inputs, apply: fn(f64) -> f64) -> Computed {
    let value = |value: f64| {
        let result = apply(value);
        if result.is_infinite() && value.is_finite() { Err(float_overflow()) } else { Ok(result) }
    };
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(value)?))
}

pub(crate) fn sin(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, f64::is_finite, f64::sin)
}
pub(crate) fn cos(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, f64::is_finite, f64::cos)
}
pub(crate) fn tan(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, f64::is_finite, f64::tan)
}
pub(crate) fn cot(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, f64::is_finite, |value| 1.0 / value.tan())
}
pub(crate) fn asin(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |value| value.abs() <= 1.0, f64::asin)
}
pub(crate) fn acos(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |value| value.abs() <= 1.0, f64::acos)
}
pub(crate) fn atan(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::atan)
}
pub(crate) fn atan2(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.map2::<Float64Type, Float64Type, Float64Type>(|y, x| Ok(y.atan2(x)))?))
}
/// Beyond a double it is infinite, as PostgreSQL has it.
pub(crate) fn sinh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::sinh)
}
pub(crate) fn cosh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::cosh)
}
pub(crate) fn tanh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::tanh)
}
pub(crate) fn asinh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::asinh)
}
pub(crate) fn acosh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |value| value >= 1.0, f64::acosh)
}
pub(crate) fn atanh(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |value| value.abs() <= 1.0, f64::atanh)
}
pub(crate) fn degrees(inputs: &Inputs, _: DataType) -> Computed {
    growing(inputs, f64::to_degrees)
}
pub(crate) fn radians(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::to_radians)
}
pub(crate) fn cbrt(inputs: &Inputs, _: DataType) -> Computed {
    float(inputs, |_| true, f64::cbrt)
}

fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

pub(crate) fn gcd_int4(inputs: &Inputs, _: DataType) -> Computed {
    let gcd = |a: i32, b: i32| {
        let gcd = greatest_divisor(a.unsigned_abs().into(), b.unsigned_abs().into());
        i32::try_from(gcd).map_err(|_| DataError::out_of_range("integer"))
    };
    Ok(Arc::new(inputs.map2::<Int32Type, Int32Type, Int32Type>(gcd)?))
}

pub(crate) fn gcd_int8(inputs: &Inputs, _: DataType) -> Computed {
    let gcd = |a: i64, b: i64| {
        let gcd = greatest_divisor(a.unsigned_abs(), b.unsigned_abs());
        i64::try_from(gcd).map_err(|_| DataError::out_of_range("bigint"))
    };
    Ok(Arc::new(inputs.map2::<Int64Type, Int64Type, Int64Type>(gcd)?))
}

/// The least common multiple; `None` where it does not fit.
fn least_multiple(a: u64, b: u64) -> Option<u64> {
    if a == 0 || b == 0 { Some(0) } else { (a / greatest_divisor(a, b)).checked_mul(b) }
}

pub(crate) fn lcm_int4(inputs: &Inputs, _: DataType) -> Computed {
    let lcm = |a: i32, b: i32| {
        let lcm = least_multiple(a.unsigned_abs().into(), b.unsigned_abs().into());
        lcm.and_then(|lcm| i32::try_from(lcm).ok()).ok_or_else(|| DataError::out_of_range("integer"))
    };
    Ok(Arc::new(inputs.map2::<Int32Type, Int32Type, Int32Type>(lcm)?))
}

pub(crate) fn lcm_int8(inputs: &Inputs, _: DataType) -> Computed {
    let lcm = |a: i64, b: i64| {
        let lcm = least_multiple(a.unsigned_abs(), b.unsigned_abs());
        lcm.and_then(|lcm| i64::try_from(lcm).ok()).ok_or_else(|| DataError::out_of_range("bigint"))
    };
    Ok(Arc::new(inputs.map2::<Int64Type, Int64Type, Int64Type>(lcm)?))
}

/// `width_bucket(value, low, high, count)`: from 1, 0 before them, `count` + 1 behind them.
pub(crate) fn width_bucket(inputs: &Inputs, _: DataType) -> Computed {
    let (value, low, high) = (
        inputs.get(0).primitive::<Float64Type>(),
        inputs.get(1).primitive::<Float64Type>(),
        inputs.get(2).primitive::<Float64Type>(),
    );
    let count = inputs.get(3).primitive::<Int32Type>();
    let invalid = |why: &str| Err(DataError::new("2201G", why));
    let bucket = |row: usize| {
        let (value, low, high, count) = (value.get(row), low.get(row), high.get(row), count.get(row));
        if count <= 0 {
            return invalid("count must be greater than zero");
        }
        if value.is_nan() || low.is_nan() || high.is_nan() {
            return invalid("operand, lower bound, and upper bound cannot be NaN");
        }
        if !low.is_finite() || !high.is_finite() {
            return invalid("lower and upper bounds must be finite");
        }
        if low == high {
            return invalid("lower bound cannot equal upper bound");
        }
        // Both ways are one with the signs turned.
        let (value, low, high) = if low < high { (value, low, high) } else { (-value, -low, -high) };
        let behind = || count.checked_add(1).ok_or_else(|| DataError::out_of_range("integer"));
        match value {
            _ if value < low => Ok(0),
            _ if value >= high => behind(),
            _ => Ok((((value - low) / (high - low)) * f64::from(count)) as i32 + 1),
        }
    };
    Ok(Arc::new(inputs.build::<Int32Type>(bucket)?))
}
