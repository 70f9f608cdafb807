//! `array_fill(value, lengths [, lower bounds])`

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{Array, DataError, DataType, Dimension, Element, Literal};

use super::array::{build, check_dimensions, element_of, optional_arrays, optional_values};
use super::inputs::Inputs;

/// PostgreSQL's arrays have no more elements.
const ELEMENTS_MAX: i64 = 134_217_727;

/// An array that is filled may take so many bytes.
const BYTES_MAX: usize = 1 << 28;

/// `array_fill(value, lengths [, lower bounds])`
pub(crate) fn fill(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    let element = element_of(result)?;
    let value = optional_values(inputs.get(0));
    let lists: Vec<_> = inputs.iter().skip(1).map(optional_arrays).collect();
    build(inputs, |row| {
        let lists = lists.iter().map(|list| list(row)?.ok_or_else(no_list));
        let lists = lists.collect::<Result<Vec<Array>, DataError>>()?;
        let dimensions = dimensions(&lists)?;
        filled(element, value(row)?, dimensions).map(Some)
    })
}

fn no_list() -> DataError {
    DataError::new("22004", "dimension array or low bound array cannot be null")
}

/// The dimensions of the lengths, and of the lower bounds where they are told.
fn dimensions(lists: &[Array]) -> Result<Vec<Dimension>, DataError> {
    let lengths = lists.first().map(numbers).transpose()?.unwrap_or_default();
    check_dimensions(lengths.len())?;
    let lower = match lists.get(1) {
        Some(bounds) => numbers(bounds)?,
        None => vec![1; lengths.len()],
    };
    if lower.len() != lengths.len() {
        return Err(wrong_subscripts());
    }
    Ok(lengths.into_iter().zip(lower).map(|(length, lower)| Dimension { length, lower }).collect())
}

/// The integers of an array of one dimension.
fn numbers(array: &Array) -> Result<Vec<i32>, DataError> {
    if array.dimensions.len() > 1 {
        return Err(wrong_subscripts());
    }
    let number = |value: &Option<Literal>| match value {
        Some(Literal::Int32(number)) => Ok(*number),
        _ => Err(DataError::new("22004", "dimension values cannot be null")),
    };
    array.values.iter().map(number).collect()
}

fn wrong_subscripts() -> DataError {
    DataError::new("2202E", "wrong number of array subscripts")
}

fn filled(element: Element, value: Option<Literal>, dimensions: Vec<Dimension>) -> Result<Array, DataError> {
    let too_large =
        |most: i64| DataError::new("54000", format!("array size exceeds the maximum allowed ({most})"));
    let mut count = i64::from(!dimensions.is_empty());
    for dimension in &dimensions {
        count *= i64::from(dimension.length);
        if dimension.length < 0 || count > i64::from(i32::MAX) {
            return Err(too_large(ELEMENTS_MAX));
        }
    }
    if count > ELEMENTS_MAX {
        return Err(too_large(ELEMENTS_MAX));
    }
    if let Some(wrong) = dimensions.iter().find(|own| own.lower.checked_add(own.length).is_none()) {
        let message = format!("array lower bound is too large: {}", wrong.lower);
        return Err(DataError::new("54000", message));
    }
    if count == 0 {
        return Ok(Array::flat(element, Vec::new()));
    }
    let bytes = Array::flat(element, vec![value.clone()]).encode().len();
    if bytes.saturating_mul(count as usize) > BYTES_MAX {
        return Err(too_large(BYTES_MAX as i64));
    }
    Ok(Array { element, dimensions, values: vec![value; count as usize] })
}
