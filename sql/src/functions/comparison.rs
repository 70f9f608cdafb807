//! Comparisons as PostgreSQL has them: -0.0 = 0.0, NaN = NaN and greater than all, text by bytes.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType, normalise_interval, normalise_keys};

use super::decimal;
use super::inputs::{Input, Inputs};
use super::numeric;
use crate::json::compared;
use crate::text_form::Interval;

/// How two floats compare: all NaN are equal and greater than the rest, the zeros are equal.
pub(crate) fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The same of reals.
fn compare_reals(a: f32, b: f32) -> Ordering {
    compare_floats(a.into(), b.into())
}

/// The float that stands for all that compare equal to it: for keys that are compared by bits.
pub(crate) fn normalize_float(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

/// The same of reals.
pub(crate) fn normalize_real(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value + 0.0 }
}

/// Intervals compare by months of 30 days and days of 24 hours.
fn compare_intervals(a: IntervalMonthDayNano, b: IntervalMonthDayNano) -> Ordering {
    Interval::from_arrow(a).normal().cmp(&Interval::from_arrow(b).normal())
}

/// The order in which the least (or the greatest) interval of a group is found: of equal ones part by part.
pub(crate) fn compare_shown_intervals(a: IntervalMonthDayNano, b: IntervalMonthDayNano) -> Ordering {
    compare_intervals(a, b).then_with(|| a.cmp(&b))
}

type Compare<'a> = Box<dyn Fn(usize) -> Ordering + 'a>;

fn primitives<'a, T: ArrowPrimitiveType>(
    left: &'a Input,
    right: &'a Input,
    compare: fn(T::Native, T::Native) -> Ordering,
) -> Compare<'a> {
    let (left, right) = (left.primitive::<T>(), right.primitive::<T>());
    Box::new(move |row| compare(left.get(row), right.get(row)))
}

/// How the values of a row compare; rows with a NULL give anything.
fn comparison<'a>(left: &'a Input, right: &'a Input) -> Result<Compare<'a>, DataError> {
    let unknown = || DataError::new("XX000", format!("{} cannot be compared", left.array().data_type()));
    Ok(match DataType::from_arrow(left.array().data_type()).ok_or_else(unknown)? {
        DataType::Boolean => {
            let (a, b) = (left.boolean(), right.boolean());
            Box::new(move |row| a(row).cmp(&b(row)))
        }
        DataType::Uuid | DataType::Bytea => {
            let (a, b) = (left.bytes(), right.bytes());
            Box::new(move |row| a(row).cmp(b(row)))
        }
        DataType::Jsonb | DataType::Array(_) => {
            let (a, b) = (left.bytes(), right.bytes());
            Box::new(move |row| compared(a(row)).cmp(compared(b(row))))
        }
        DataType::Text | DataType::Char | DataType::Json | DataType::Limited(_) => {
            let (a, b) = (left.text(), right.text());
            Box::new(move |row| a(row).as_bytes().cmp(b(row).as_bytes()))
        }
        DataType::Int16 => primitives::<Int16Type>(left, right, |a, b| a.cmp(&b)),
        DataType::Int32 => primitives::<Int32Type>(left, right, |a, b| a.cmp(&b)),
        DataType::Int64 => primitives::<Int64Type>(left, right, |a, b| a.cmp(&b)),
        DataType::Timestamp | DataType::TimestampTz => {
            primitives::<TimestampMicrosecondType>(left, right, |a, b| a.cmp(&b))
        }
        DataType::Float64 => primitives::<Float64Type>(left, right, compare_floats),
        DataType::Float32 => primitives::<Float32Type>(left, right, compare_reals),
        DataType::Date => primitives::<Date32Type>(left, right, |a, b| a.cmp(&b)),
        DataType::Time => primitives::<Time64MicrosecondType>(left, right, |a, b| a.cmp(&b)),
        DataType::Interval => primitives::<IntervalMonthDayNanoType>(left, right, compare_intervals),
        DataType::Decimal => decimals(left, right),
        DataType::Numeric { .. } if decimal::is_unlimited(right.array()) => decimals(left, right),
        DataType::Numeric { scale, .. } => {
            let other = numeric::scale_of(right.array());
            let (a, b) = (left.primitive::<Decimal128Type>(), right.primitive::<Decimal128Type>());
            Box::new(move |row| numeric::compare(a.get(row), scale, b.get(row), other))
        }
    })
}

fn decimals<'a>(left: &'a Input, right: &'a Input) -> Compare<'a> {
    let (left, right) = (decimal::compared(left), decimal::compared(right));
    Box::new(move |row| left(row).cmp(&right(row)))
}

fn compare(inputs: &Inputs, keep: fn(Ordering) -> bool) -> Result<ArrayRef, DataError> {
    let comparison = comparison(inputs.get(0), inputs.get(1))?;
    Ok(Arc::new(inputs.build_boolean(|row| keep(comparison(row)))))
}

pub(crate) fn equal(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_eq)
}
pub(crate) fn not_equal(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_ne)
}
pub(crate) fn less(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_lt)
}
pub(crate) fn less_equal(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_le)
}
pub(crate) fn greater(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_gt)
}
pub(crate) fn greater_equal(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    compare(inputs, Ordering::is_ge)
}

/// `a IS DISTINCT FROM b`: never NULL.
pub(crate) fn is_distinct_from(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (left, right) = (inputs.get(0), inputs.get(1));
    let comparison = comparison(left, right)?;
    let values =
        BooleanBuffer::collect_bool(inputs.rows(), |row| match (left.is_null(row), right.is_null(row)) {
            (false, false) => comparison(row).is_ne(),
            (a, b) => a != b,
        });
    Ok(Arc::new(BooleanArray::new(values, None)))
}

/// `x IN (a, b, …)`: true where one equals, else NULL where any is NULL, else false.
pub(crate) fn is_in(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let needle = inputs.get(0);
    let items: Vec<(&Input, Compare)> = inputs
        .iter()
        .skip(1)
        .map(|item| Ok((item, comparison(needle, item)?)))
        .collect::<Result<_, DataError>>()?;
    let contains = |row: usize| -> Option<bool> {
        if needle.is_null(row) {
            return None;
        }
        let mut unknown = false;
        for (item, comparison) in &items {
            match item.is_null(row) {
                true => unknown = true,
                false if comparison(row).is_eq() => return Some(true),
                false => {}
            }
        }
        if unknown { None } else { Some(false) }
    };
    Ok(Arc::new((0..inputs.rows()).map(contains).collect::<BooleanArray>()))
}

/// The row with the least or the greatest value; `None` where all are NULL.
pub(crate) fn extreme_row(array: &ArrayRef, greatest: bool) -> Result<Option<usize>, DataError> {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    let unknown = || DataError::new("XX000", format!("{} cannot be compared", array.data_type()));
    Ok(match DataType::from_arrow(array.data_type()).ok_or_else(unknown)? {
        DataType::Boolean => best_row(array, wanted, |row| array.as_boolean().value(row), |a, b| a.cmp(b)),
        DataType::Bytea => {
            let bytes = array.as_binary::<i32>();
            best_row(array, wanted, |row| bytes.value(row), |a, b| a.cmp(b))
        }
        DataType::Uuid => {
            let bytes = array.as_fixed_size_binary();
            best_row(array, wanted, |row| bytes.value(row), |a, b| a.cmp(b))
        }
        DataType::Array(_) => {
            let bytes = array.as_binary_view();
            best_row(array, wanted, |row| (compared(bytes.value(row)), bytes.value(row)), |a, b| a.cmp(b))
        }
        DataType::Decimal => {
            // Of equal ones the bytes tell by what is shown of them.
            let stored = array.as_string_view();
            best_row(array, wanted, |row| stored.value(row), |a, b| a.cmp(b))
        }
        DataType::Jsonb => {
            let bytes = array.as_binary::<i64>();
            // Of equal ones by what is shown of them.
            best_row(array, wanted, |row| (compared(bytes.value(row)), bytes.value(row)), |a, b| a.cmp(b))
        }
        DataType::Text | DataType::Char | DataType::Json | DataType::Limited(_) => {
            let text = array.as_string::<i32>();
            best_row(array, wanted, |row| text.value(row), |a, b| a.as_bytes().cmp(b.as_bytes()))
        }
        DataType::Int16 => best_primitive::<Int16Type>(array, wanted, Ord::cmp),
        DataType::Int32 => best_primitive::<Int32Type>(array, wanted, Ord::cmp),
        DataType::Int64 => best_primitive::<Int64Type>(array, wanted, Ord::cmp),
        DataType::Timestamp | DataType::TimestampTz => {
            best_primitive::<TimestampMicrosecondType>(array, wanted, Ord::cmp)
        }
        DataType::Numeric { .. } => best_primitive::<Decimal128Type>(array, wanted, Ord::cmp),
        DataType::Date => best_primitive::<Date32Type>(array, wanted, Ord::cmp),
        DataType::Time => best_primitive::<Time64MicrosecondType>(array, wanted, Ord::cmp),
        DataType::Interval => {
            best_primitive::<IntervalMonthDayNanoType>(array, wanted, |a, b| compare_shown_intervals(*a, *b))
        }
        DataType::Float64 => best_primitive::<Float64Type>(array, wanted, |a, b| compare_floats(*a, *b)),
        DataType::Float32 => best_primitive::<Float32Type>(array, wanted, |a, b| compare_reals(*a, *b)),
    })
}

fn best_primitive<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    wanted: Ordering,
    compare: fn(&T::Native, &T::Native) -> Ordering,
) -> Option<usize> {
    let values = array.as_primitive::<T>().values();
    best_row(array, wanted, |row| values[row], compare)
}

fn best_row<V>(
    array: &ArrayRef,
    wanted: Ordering,
    value: impl Fn(usize) -> V,
    compare: impl Fn(&V, &V) -> Ordering,
) -> Option<usize> {
    let rows = (0..array.len()).filter(|row| array.is_valid(*row));
    rows.reduce(|best, row| if compare(&value(row), &value(best)) == wanted { row } else { best })
}

/// The least or the greatest argument that is not NULL.
fn extreme(inputs: &Inputs, replaces: fn(Ordering) -> bool) -> Result<ArrayRef, DataError> {
    let from_arrow = |error| DataError::from_arrow(&error);
    let rows = inputs.rows();
    let mut best = Input::spread(inputs.get(0), rows).map_err(from_arrow)?;
    for candidate in inputs.iter().skip(1) {
        let candidate = Input::spread(candidate, rows).map_err(from_arrow)?;
        let comparison = comparison(&candidate, &best)?;
        let take = |row: usize| match (candidate.is_null(row), best.is_null(row)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => replaces(comparison(row)),
        };
        let mask = BooleanArray::new(BooleanBuffer::collect_bool(rows, take), None);
        let chosen = zip(&mask, candidate.array(), best.array()).map_err(from_arrow)?;
        drop(comparison);
        best = Input::whole(chosen);
    }
    Ok(Arc::clone(best.array()))
}

pub(crate) fn least(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    extreme(inputs, Ordering::is_lt)
}

pub(crate) fn greatest(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    extreme(inputs, Ordering::is_gt)
}

/// Floats as keys: equal ones become the same bits.
pub(crate) fn normalize(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float64Type, Float64Type>(|value| Ok(normalize_float(value)))?))
}

/// The same of reals.
pub(crate) fn normalize_reals(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::new(inputs.map1::<Float32Type, Float32Type>(|value| Ok(normalize_real(value)))?))
}

/// The same of intervals, by their length.
pub(crate) fn normalize_intervals(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    type Type = IntervalMonthDayNanoType;
    Ok(Arc::new(inputs.map1::<Type, Type>(|value| Ok(normalise_interval(value)))?))
}

/// The same of jsonb and arrays: what is compared of them.
pub(crate) fn normalize_stored(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    Ok(Arc::clone(&normalise_keys(std::slice::from_ref(inputs.get(0).array()))[0]))
}
