//! Arrays: made, taken apart, joined, searched; `ANY` and `ALL`.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray, BinaryViewArray, BooleanArray};
use datafusion::arrow::datatypes::Int32Type;
use datafusion::common::ScalarValue;
use millrace_engine::{
    Array, DataError, DataType, Dimension, Element, Literal, column_of_literals, order_bytes,
};

use super::cast::cast;
use super::inputs::{Input, Inputs};
use super::json::{build_text, test};
use crate::compile::literal;
use crate::text_form::{self, stored_array};
use crate::zone::UTC;

type Computed = Result<ArrayRef, DataError>;

/// The array of a row.
pub(super) fn arrays(input: &Input) -> impl Fn(usize) -> Result<Array, DataError> + '_ {
    let bytes = input.bytes();
    move |row| stored_array(bytes(row))
}

/// The array of a row; `None` where it is NULL.
pub(super) fn optional_arrays(input: &Input) -> impl Fn(usize) -> Result<Option<Array>, DataError> + '_ {
    let array = arrays(input);
    move |row| if input.is_null(row) { Ok(None) } else { array(row).map(Some) }
}

/// The value of a row; `None` where it is NULL.
pub(super) fn optional_values(input: &Input) -> impl Fn(usize) -> Result<Option<Literal>, DataError> + '_ {
    move |row| input.literal(row)
}

/// Builds arrays by row.
pub(super) fn build(
    inputs: &Inputs,
    compute: impl Fn(usize) -> Result<Option<Array>, DataError>,
) -> Computed {
    let rows = (0..inputs.rows()).map(|row| Ok(compute(row)?.map(|array| array.encode())));
    Ok(Arc::new(rows.collect::<Result<Vec<_>, DataError>>()?.into_iter().collect::<BinaryViewArray>()))
}

/// Builds arrays by row; rows with a NULL argument are NULL and not computed.
pub(super) fn build_strict(
    inputs: &Inputs,
    compute: impl Fn(usize) -> Result<Option<Array>, DataError>,
) -> Computed {
    let nulls = inputs.nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    build(inputs, |row| if valid(row) { compute(row) } else { Ok(None) })
}

/// Values of the type that a call gives, by row.
fn column(result: DataType, values: Vec<Option<Literal>>) -> ArrayRef {
    let values: Vec<Literal> =
        values.into_iter().map(|value| value.unwrap_or(Literal::Null(result))).collect();
    column_of_literals(result, values.iter())
}

/// What arrays of a type are of.
pub(super) fn element_of(result: DataType) -> Result<Element, DataError> {
    match result {
        DataType::Array(element) => Ok(element),
        other => Err(DataError::new("XX000", format!("{other} is no array"))),
    }
}

fn same(left: &Option<Literal>, right: &Option<Literal>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => order_bytes(left) == order_bytes(right),
        (left, right) => left.is_none() == right.is_none(),
    }
}

/// `ARRAY[…]`: of values, or of arrays that become one with a dimension more.
pub(crate) fn construct(inputs: &Inputs, result: DataType) -> Computed {
    let element = element_of(result)?;
    let nested = inputs.iter().next().is_some_and(|first| first.array().as_binary_view_opt().is_some());
    if !nested {
        let values: Vec<_> = inputs.iter().map(optional_values).collect();
        return build(inputs, |row| {
            let values = values.iter().map(|value| value(row)).collect::<Result<_, DataError>>()?;
            Ok(Some(Array::flat(element, values)))
        });
    }
    let parts: Vec<_> = inputs.iter().map(optional_arrays).collect();
    build(inputs, |row| {
        let parts = parts.iter().map(|part| part(row)).collect::<Result<Vec<_>, DataError>>()?;
        stacked(element, parts).map(Some)
    })
}

/// Arrays of equal dimensions as one of one dimension more.
fn stacked(element: Element, parts: Vec<Option<Array>>) -> Result<Array, DataError> {
    let mismatch = || {
        let message = "multidimensional arrays must have array expressions with matching dimensions";
        DataError::new("2202E", message)
    };
    let parts: Vec<Array> =
        parts.into_iter().map(|part| part.unwrap_or(Array::flat(element, Vec::new()))).collect();
    let inner = parts.first().map(|part| part.dimensions.clone()).unwrap_or_default();
    if parts.iter().any(|part| part.dimensions != inner) {
        return Err(mismatch());
    }
    if inner.is_empty() {
        return Ok(Array::flat(element, Vec::new()));
    }
    let mut dimensions = vec![Dimension { length: parts.len() as i32, lower: 1 }];
    dimensions.extend(inner);
    check_dimensions(dimensions.len())?;
    Ok(Array { element, dimensions, values: parts.into_iter().flat_map(|part| part.values).collect() })
}

pub(super) fn check_dimensions(count: usize) -> Result<(), DataError> {
    const MAX: usize = millrace_engine::DIMENSIONS_MAX;
    if count > MAX {
        let message = format!("number of array dimensions ({count}) exceeds the maximum allowed ({MAX})");
        return Err(DataError::new("54000", message));
    }
    Ok(())
}

/// A cast of arrays: that of their elements.
pub(super) fn cast_elements(inputs: &Inputs, to: Element) -> Computed {
    let array = optional_arrays(inputs.get(0));
    build(inputs, |row| array(row)?.map(|array| converted(array, to)).transpose())
}

fn converted(array: Array, to: Element) -> Result<Array, DataError> {
    if array.element == to {
        return Ok(array);
    }
    let (from, wanted) = (array.element.data_type(), to.data_type());
    let values = cast(&Inputs::of_column(column(from, array.values)), from, wanted)?;
    let values = Input::whole(values);
    let values =
        (0..values.array().len()).map(|row| values.literal(row)).collect::<Result<_, DataError>>()?;
    Ok(Array { element: to, dimensions: array.dimensions, values })
}

/// The text of an array as an array. What depends on the session's zone the binder has dealt with.
pub(super) fn read(inputs: &Inputs, element: Element) -> Computed {
    let text = inputs.get(0).text();
    build_strict(inputs, |row| {
        text_form::parse_array(text(row), element, &UTC)
            .map(Some)
            .map_err(|error| DataError::new(&error.sqlstate, error.message))
    })
}

/// The text of an array.
pub(super) fn shown(inputs: &Inputs) -> Computed {
    let array = arrays(inputs.get(0));
    inputs.build_text(|row| {
        let mut out = String::new();
        text_form::write_array(&array(row)?, &UTC, &mut out);
        Ok(out)
    })
}

/// `array[i][j]…`: NULL where there is no such element, or as many subscripts as dimensions.
pub(crate) fn subscript(inputs: &Inputs, result: DataType) -> Computed {
    let (array, nulls) = (arrays(inputs.get(0)), inputs.nulls());
    let places: Vec<_> = inputs.iter().skip(1).map(Input::primitive::<Int32Type>).collect();
    let value = |row: usize| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let array = array(row)?;
        let places: Vec<i32> = places.iter().map(|place| place.get(row)).collect();
        Ok(offset(&array, &places).and_then(|offset| array.values[offset].clone()))
    };
    Ok(column(result, (0..inputs.rows()).map(value).collect::<Result<_, DataError>>()?))
}

fn offset(array: &Array, places: &[i32]) -> Option<usize> {
    if places.len() != array.dimensions.len() || places.is_empty() {
        return None;
    }
    places.iter().zip(&array.dimensions).try_fold(0usize, |offset, (place, dimension)| {
        let index = i64::from(*place) - i64::from(dimension.lower);
        let index = usize::try_from(index).ok().filter(|index| *index < dimension.length as usize)?;
        Some(offset * dimension.length as usize + index)
    })
}

/// `array[l:u]…`: bounds in pairs; what lies outside is left away, and the result counts from 1.
pub(crate) fn slice(inputs: &Inputs, result: DataType) -> Computed {
    let element = element_of(result)?;
    let array = arrays(inputs.get(0));
    let bounds: Vec<_> = inputs.iter().skip(1).map(Input::primitive::<Int32Type>).collect();
    build_strict(inputs, |row| {
        let bounds: Vec<i32> = bounds.iter().map(|bound| bound.get(row)).collect();
        Ok(Some(sliced(&array(row)?, &bounds, element)))
    })
}

fn sliced(array: &Array, bounds: &[i32], element: Element) -> Array {
    let empty = || Array::flat(element, Vec::new());
    if bounds.len() / 2 > array.dimensions.len() {
        return empty();
    }
    let mut ranges = Vec::new();
    for (index, dimension) in array.dimensions.iter().enumerate() {
        let upper = dimension.lower.saturating_add(dimension.length - 1);
        let (from, to) = match bounds.get(2 * index..2 * index + 2) {
            Some([from, to]) => ((*from).max(dimension.lower), (*to).min(upper)),
            _ => (dimension.lower, upper),
        };
        if from > to {
            return empty();
        }
        ranges.push((from - dimension.lower, to - dimension.lower));
    }
    let is_inside = |offset: usize| {
        let mut rest = offset;
        let places = array.dimensions.iter().rev().zip(ranges.iter().rev());
        places.fold(true, |inside, (dimension, (from, to))| {
            let place = (rest % dimension.length as usize) as i32;
            rest /= dimension.length as usize;
            inside && (*from..=*to).contains(&place)
        })
    };
    let values = array.values.iter().enumerate();
    let values = values.filter(|(offset, _)| is_inside(*offset)).map(|(_, value)| value.clone()).collect();
    let dimensions = ranges.iter().map(|(from, to)| Dimension { length: to - from + 1, lower: 1 }).collect();
    Array { element, dimensions, values }
}

/// `array_cat(array, array)`, `array || array`
pub(crate) fn concat(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (optional_arrays(inputs.get(0)), optional_arrays(inputs.get(1)));
    build(inputs, |row| match (left(row)?, right(row)?) {
        (Some(left), Some(right)) => joined(left, right).map(Some),
        (one, other) => Ok(one.or(other)),
    })
}

fn joined(mut left: Array, mut right: Array) -> Result<Array, DataError> {
    if left.dimensions.is_empty() {
        return Ok(right);
    }
    if right.dimensions.is_empty() {
        return Ok(left);
    }
    let incompatible = || DataError::new("2202E", "cannot concatenate incompatible arrays");
    let one = Dimension { length: 1, lower: 1 };
    match left.dimensions.len() as i64 - right.dimensions.len() as i64 {
        0 => {}
        1 => right.dimensions.insert(0, one),
        -1 => left.dimensions.insert(0, Dimension { lower: right.dimensions[0].lower, ..one }),
        _ => return Err(incompatible()),
    }
    if left.dimensions[1..] != right.dimensions[1..] {
        return Err(incompatible());
    }
    left.dimensions[0].length += right.dimensions[0].length;
    left.values.extend(right.values);
    Ok(left)
}

/// An array, NULL or not, that takes one element more.
fn one_dimension(array: Option<Array>, element: Element) -> Result<Array, DataError> {
    let array = array.unwrap_or(Array::flat(element, Vec::new()));
    match array.dimensions.len() {
        0 => Ok(Array { dimensions: vec![Dimension { length: 0, lower: 1 }], ..array }),
        1 => Ok(array),
        _ => Err(DataError::new("22000", "argument must be empty or one-dimensional array")),
    }
}

/// `array_append(array, element)`
pub(crate) fn append(inputs: &Inputs, result: DataType) -> Computed {
    let element = element_of(result)?;
    let (array, value) = (optional_arrays(inputs.get(0)), optional_values(inputs.get(1)));
    build(inputs, |row| {
        let mut array = one_dimension(array(row)?, element)?;
        array.values.push(value(row)?);
        array.dimensions[0].length += 1;
        Ok(Some(array))
    })
}

/// `array_prepend(element, array)`
pub(crate) fn prepend(inputs: &Inputs, result: DataType) -> Computed {
    let element = element_of(result)?;
    let (value, array) = (optional_values(inputs.get(0)), optional_arrays(inputs.get(1)));
    build(inputs, |row| {
        let mut array = one_dimension(array(row)?, element)?;
        array.values.insert(0, value(row)?);
        array.dimensions[0].length += 1;
        Ok(Some(array))
    })
}

/// Whether each element of one array is among those of another; NULL is not.
fn is_within(inner: &Array, outer: &Array) -> bool {
    let has = |value: &Option<Literal>| value.is_some() && outer.values.iter().any(|own| same(own, value));
    inner.values.iter().all(has)
}

/// `array @> array`
pub(crate) fn contains(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (arrays(inputs.get(0)), arrays(inputs.get(1)));
    test(inputs, |row| Ok(is_within(&right(row)?, &left(row)?)))
}

/// `array <@ array`
pub(crate) fn contained(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (arrays(inputs.get(0)), arrays(inputs.get(1)));
    test(inputs, |row| Ok(is_within(&left(row)?, &right(row)?)))
}

/// `array && array`
pub(crate) fn overlaps(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (arrays(inputs.get(0)), arrays(inputs.get(1)));
    test(inputs, |row| {
        let right = right(row)?;
        let has =
            |value: &Option<Literal>| value.is_some() && right.values.iter().any(|own| same(own, value));
        Ok(left(row)?.values.iter().any(has))
    })
}

/// An integer of each array and dimension.
fn of_dimension(inputs: &Inputs, number: fn(&Dimension) -> i32) -> Computed {
    let (array, nulls) = (arrays(inputs.get(0)), inputs.nulls());
    let wanted = inputs.get(1).primitive::<Int32Type>();
    let value = |row: usize| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let dimensions = array(row)?.dimensions;
        let index = usize::try_from(i64::from(wanted.get(row)) - 1).ok();
        Ok(index.and_then(|index| dimensions.get(index)).map(|found| Literal::Int32(number(found))))
    };
    Ok(column(DataType::Int32, (0..inputs.rows()).map(value).collect::<Result<_, DataError>>()?))
}

/// `array_length(array, dimension)`
pub(crate) fn length(inputs: &Inputs, _: DataType) -> Computed {
    of_dimension(inputs, |dimension| dimension.length)
}

/// `array_lower(array, dimension)`
pub(crate) fn lower(inputs: &Inputs, _: DataType) -> Computed {
    of_dimension(inputs, |dimension| dimension.lower)
}

/// `array_upper(array, dimension)`
pub(crate) fn upper(inputs: &Inputs, _: DataType) -> Computed {
    of_dimension(inputs, |dimension| dimension.lower.saturating_add(dimension.length - 1))
}

/// `cardinality(array)`
pub(crate) fn cardinality(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    Ok(Arc::new(inputs.build::<Int32Type>(|row| Ok(array(row)?.values.len() as i32))?))
}

/// `array_ndims(array)`
pub(crate) fn dimension_count(inputs: &Inputs, _: DataType) -> Computed {
    let array = optional_arrays(inputs.get(0));
    let count = |row| {
        let count = array(row)?.map_or(0, |array| array.dimensions.len());
        Ok((count > 0).then_some(Literal::Int32(count as i32)))
    };
    Ok(column(DataType::Int32, (0..inputs.rows()).map(count).collect::<Result<_, DataError>>()?))
}

/// `array_dims(array)`
pub(crate) fn dimensions(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    build_text(inputs, |row| {
        let shown =
            |found: &Dimension| format!("[{}:{}]", found.lower, found.lower.saturating_add(found.length - 1));
        let dimensions = array(row)?.dimensions;
        Ok((!dimensions.is_empty()).then(|| dimensions.iter().map(shown).collect()))
    })
}

fn refuse_more_dimensions(array: &Array, doing: &str) -> Result<(), DataError> {
    if array.dimensions.len() > 1 {
        let message = format!("{doing} elements in multidimensional arrays is not supported");
        return Err(DataError::new("0A000", message));
    }
    Ok(())
}

/// The subscripts at which an array has a value.
fn places<'a>(array: &'a Array, value: &'a Option<Literal>) -> impl Iterator<Item = i32> + 'a {
    let lower = array.dimensions.first().map_or(1, |dimension| dimension.lower);
    let found = array.values.iter().enumerate().filter(move |(_, own)| same(own, value));
    found.map(move |(index, _)| lower.saturating_add(index as i32))
}

/// `array_position(array, value [, start])`
pub(crate) fn position(inputs: &Inputs, _: DataType) -> Computed {
    let (array, wanted) = (optional_arrays(inputs.get(0)), optional_values(inputs.get(1)));
    let start = (inputs.len() > 2).then(|| inputs.get(2).primitive::<Int32Type>());
    let place = |row| {
        let Some(array) = array(row)? else { return Ok(None) };
        refuse_more_dimensions(&array, "searching for")?;
        let start = match &start {
            Some(_) if inputs.get(2).is_null(row) => {
                return Err(DataError::new("22004", "initial position must not be null"));
            }
            Some(start) => start.get(row),
            None => i32::MIN,
        };
        let wanted = wanted(row)?;
        let found = places(&array, &wanted).find(|place| *place >= start);
        Ok(found.map(Literal::Int32))
    };
    Ok(column(DataType::Int32, (0..inputs.rows()).map(place).collect::<Result<_, DataError>>()?))
}

/// `array_positions(array, value)`
pub(crate) fn positions(inputs: &Inputs, _: DataType) -> Computed {
    let (array, wanted) = (optional_arrays(inputs.get(0)), optional_values(inputs.get(1)));
    build(inputs, |row| {
        let Some(array) = array(row)? else { return Ok(None) };
        refuse_more_dimensions(&array, "searching for")?;
        let wanted = wanted(row)?;
        let found = places(&array, &wanted).map(|place| Some(Literal::Int32(place))).collect();
        Ok(Some(Array::flat(Element::Int32, found)))
    })
}

/// `array_remove(array, value)`
pub(crate) fn remove(inputs: &Inputs, _: DataType) -> Computed {
    let (array, value) = (optional_arrays(inputs.get(0)), optional_values(inputs.get(1)));
    build(inputs, |row| {
        let Some(mut array) = array(row)? else { return Ok(None) };
        if array.dimensions.len() > 1 {
            let message = "removing elements from multidimensional arrays is not supported";
            return Err(DataError::new("0A000", message));
        }
        let value = value(row)?;
        array.values.retain(|own| !same(own, &value));
        match array.dimensions.first_mut() {
            Some(dimension) if !array.values.is_empty() => dimension.length = array.values.len() as i32,
            _ => array.dimensions.clear(),
        }
        Ok(Some(array))
    })
}

/// `array_replace(array, from, to)`
pub(crate) fn replace(inputs: &Inputs, _: DataType) -> Computed {
    let array = optional_arrays(inputs.get(0));
    let (from, to) = (optional_values(inputs.get(1)), optional_values(inputs.get(2)));
    build(inputs, |row| {
        let Some(mut array) = array(row)? else { return Ok(None) };
        let (from, to) = (from(row)?, to(row)?);
        array.values.iter_mut().filter(|own| same(own, &from)).for_each(|own| own.clone_from(&to));
        Ok(Some(array))
    })
}

/// `array_to_string(array, delimiter [, null])`
pub(crate) fn to_text(inputs: &Inputs, _: DataType) -> Computed {
    let (array, delimiter) = (optional_arrays(inputs.get(0)), inputs.get(1).text());
    let null = inputs.iter().nth(2).map(|null| (null, null.text()));
    let joined = |row: usize| {
        let Some(array) = array(row)?.filter(|_| !inputs.get(1).is_null(row)) else { return Ok(None) };
        let null = null.as_ref().filter(|(input, _)| !input.is_null(row)).map(|(_, text)| text(row));
        let shown = |value: &Option<Literal>| match value {
            None => null.map(str::to_owned),
            Some(value) => {
                let mut out = String::new();
                text_form::write_literal(value, &UTC, &mut out);
                Some(out)
            }
        };
        Ok(Some(array.values.iter().filter_map(shown).collect::<Vec<_>>().join(delimiter(row))))
    };
    let texts = (0..inputs.rows()).map(|row| Ok(joined(row)?.map(Literal::Text)));
    Ok(column(DataType::Text, texts.collect::<Result<_, DataError>>()?))
}

/// `string_to_array(text, delimiter [, null])`
pub(crate) fn of_text(inputs: &Inputs, _: DataType) -> Computed {
    let (text, delimiter) = (inputs.get(0).text(), inputs.get(1).text());
    let null = inputs.iter().nth(2).map(|null| (null, null.text()));
    build(inputs, |row| {
        if inputs.get(0).is_null(row) {
            return Ok(None);
        }
        let null = null.as_ref().filter(|(input, _)| !input.is_null(row)).map(|(_, text)| text(row));
        let parts = split_at(text(row), (!inputs.get(1).is_null(row)).then(|| delimiter(row)));
        let value = |part: String| if Some(part.as_str()) == null { None } else { Some(Literal::Text(part)) };
        Ok(Some(Array::flat(Element::Text, parts.into_iter().map(value).collect())))
    })
}

/// A text at its delimiters; without one each character by itself.
pub(super) fn split_at(text: &str, delimiter: Option<&str>) -> Vec<String> {
    match delimiter {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(String::from).collect(),
        Some("") => vec![text.to_owned()],
        Some(delimiter) => text.split(delimiter).map(str::to_owned).collect(),
    }
}

/// Whether a comparison of this name holds for an order.
fn comparison(name: &str) -> Result<fn(Ordering) -> bool, DataError> {
    Ok(match name {
        "equal" => Ordering::is_eq,
        "not_equal" => Ordering::is_ne,
        "less" => Ordering::is_lt,
        "less_equal" => Ordering::is_le,
        "greater" => Ordering::is_gt,
        "greater_equal" => Ordering::is_ge,
        other => return Err(DataError::new("XX000", format!("no comparison {other}"))),
    })
}

/// A comparison, a value, an array: true (of ALL: false) where one element decides, else NULL where one is unknown.
fn quantified(inputs: &Inputs, all: bool) -> Computed {
    let holds = comparison(inputs.get(0).text()(0))?;
    let (value, array) = (optional_values(inputs.get(1)), optional_arrays(inputs.get(2)));
    let answer = |row: usize| -> Result<Option<bool>, DataError> {
        let Some(array) = array(row)? else { return Ok(None) };
        if array.values.is_empty() {
            return Ok(Some(all));
        }
        let Some(value) = value(row)? else { return Ok(None) };
        let value = order_bytes(&value);
        let test = |own: &Literal| holds(value.as_slice().cmp(&order_bytes(own)));
        let mut unknown = false;
        for own in &array.values {
            match own.as_ref().map(test) {
                Some(held) if held != all => return Ok(Some(held)),
                Some(_) => {}
                None => unknown = true,
            }
        }
        Ok(if unknown { None } else { Some(all) })
    };
    Ok(Arc::new((0..inputs.rows()).map(answer).collect::<Result<BooleanArray, DataError>>()?))
}

/// `value op ANY (array)`: the comparison's name, the value, the array
pub(crate) fn any(inputs: &Inputs, _: DataType) -> Computed {
    quantified(inputs, false)
}

/// `value op ALL (array)`
pub(crate) fn all(inputs: &Inputs, _: DataType) -> Computed {
    quantified(inputs, true)
}

impl Input {
    /// The value of a row as a literal; `None` where it is NULL.
    pub(super) fn literal(&self, row: usize) -> Result<Option<Literal>, DataError> {
        if self.is_null(row) {
            return Ok(None);
        }
        let row = if self.array().len() == 1 { 0 } else { row };
        let value = ScalarValue::try_from_array(self.array(), row);
        let value = value.map_err(|error| DataError::from_datafusion(&error))?;
        literal(&value).map(Some).ok_or_else(|| DataError::new("XX000", format!("{value} has no literal")))
    }
}
