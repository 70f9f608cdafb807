//! abs, ceil, floor, round, sqrt. (numeric.rs has those of numeric.)

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;

fn float(inputs: &Inputs, apply: fn(f64) -> f64) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(|value| Ok(apply(value)))?))
}

pub(crate) fn abs_int4(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let abs = |value: i32| value.checked_abs().ok_or_else(|| DataError::out_of_range("integer"));
    Ok(Arc::new(inputs.map1::<Int32Type, Int32Type>(abs)?))
}
pub(crate) fn abs_int8(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let abs = |value: i64| value.checked_abs().ok_or_else(|| DataError::out_of_range("bigint"));
    Ok(Arc::new(inputs.map1::<Int64Type, Int64Type>(abs)?))
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
