//! Operators on the bits of integers: `& | # ~ << >>`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowPrimitiveType};
use datafusion::arrow::datatypes::{Int16Type, Int32Type, Int64Type};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;

type Computed = Result<ArrayRef, DataError>;

fn both<T: ArrowPrimitiveType>(inputs: &Inputs, apply: fn(T::Native, T::Native) -> T::Native) -> Computed {
    Ok(Arc::new(inputs.map2::<T, T, T>(|a, b| Ok(apply(a, b)))?))
}

fn shift<T: ArrowPrimitiveType>(inputs: &Inputs, apply: fn(T::Native, u32) -> T::Native) -> Computed {
    // As many as the type has bits are none, as on PostgreSQL's processors.
    Ok(Arc::new(inputs.map2::<T, Int32Type, T>(|a, by| Ok(apply(a, by as u32)))?))
}

pub(crate) fn and_int2(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int16Type>(inputs, |a, b| a & b)
}
pub(crate) fn and_int4(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int32Type>(inputs, |a, b| a & b)
}
pub(crate) fn and_int8(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int64Type>(inputs, |a, b| a & b)
}
pub(crate) fn or_int2(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int16Type>(inputs, |a, b| a | b)
}
pub(crate) fn or_int4(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int32Type>(inputs, |a, b| a | b)
}
pub(crate) fn or_int8(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int64Type>(inputs, |a, b| a | b)
}
pub(crate) fn xor_int2(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int16Type>(inputs, |a, b| a ^ b)
}
pub(crate) fn xor_int4(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int32Type>(inputs, |a, b| a ^ b)
}
pub(crate) fn xor_int8(inputs: &Inputs, _: DataType) -> Computed {
    both::<Int64Type>(inputs, |a, b| a ^ b)
}
pub(crate) fn not_int2(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.map1::<Int16Type, Int16Type>(|a| Ok(!a))?))
}
pub(crate) fn not_int4(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.map1::<Int32Type, Int32Type>(|a| Ok(!a))?))
}
pub(crate) fn not_int8(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.map1::<Int64Type, Int64Type>(|a| Ok(!a))?))
}
/// A smallint is shifted as an integer is, and cut.
pub(crate) fn left_int2(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int16Type>(inputs, |a, by| i32::from(a).wrapping_shl(by) as i16)
}
pub(crate) fn left_int4(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int32Type>(inputs, i32::wrapping_shl)
}
pub(crate) fn left_int8(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int64Type>(inputs, i64::wrapping_shl)
}
pub(crate) fn right_int2(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int16Type>(inputs, |a, by| i32::from(a).wrapping_shr(by) as i16)
}
pub(crate) fn right_int4(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int32Type>(inputs, i32::wrapping_shr)
}
pub(crate) fn right_int8(inputs: &Inputs, _: DataType) -> Computed {
    shift::<Int64Type>(inputs, i64::wrapping_shr)
}
