//! Operators and functions of jsonb and json: `-> ->> @> ? || -`, json_typeof and the like. (json_build.rs makes
//! values, json_path.rs follows paths.)
//!
//! Of a `json`, parts are given as they are written.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, LargeBinaryArray, StringArray};
use datafusion::arrow::datatypes::{
    Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use millrace_engine::{DataError, DataType};

use super::decimal;
use super::inputs::{Input, Inputs};
use super::numeric;
use crate::json::{self, Json, Split, decode, encode};
use crate::text_form;

pub(super) type Computed = Result<ArrayRef, DataError>;

/// The value of a row.
pub(super) fn values(input: &Input) -> impl Fn(usize) -> Result<Json, DataError> + '_ {
    let bytes = input.bytes();
    move |row| decode(bytes(row)).ok_or_else(|| DataError::new("XX000", "stored bytes are no JSON value"))
}

/// Builds values by row; rows with a NULL argument are NULL and not computed.
pub(super) fn build(inputs: &Inputs, compute: impl Fn(usize) -> Result<Option<Json>, DataError>) -> Computed {
    let nulls = inputs.nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let rows = (0..inputs.rows()).map(|row| {
        if !valid(row) {
            return Ok(None);
        }
        Ok(compute(row)?.map(|value| encode(&value)))
    });
    Ok(Arc::new(rows.collect::<Result<Vec<_>, DataError>>()?.into_iter().collect::<LargeBinaryArray>()))
}

/// Builds texts by row; rows with a NULL argument are NULL and not computed.
pub(super) fn build_text(
    inputs: &Inputs,
    compute: impl Fn(usize) -> Result<Option<String>, DataError>,
) -> Computed {
    let nulls = inputs.nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let rows = (0..inputs.rows()).map(|row| if valid(row) { compute(row) } else { Ok(None) });
    Ok(Arc::new(rows.collect::<Result<StringArray, DataError>>()?))
}

/// The text of a part of a `json` without its quotes; none for null.
pub(crate) fn text_of_part(part: &str) -> Result<Option<String>, DataError> {
    match part.as_bytes().first() {
        Some(b'"') => Ok(json::read(part)?.as_text()),
        Some(b'n') => Ok(None),
        _ => Ok(Some(part.to_owned())),
    }
}

/// The part of a `json` of this key: of equal ones the last.
pub(super) fn field_of<'t>(text: &'t str, key: &str) -> Result<Option<&'t str>, DataError> {
    let Split::Object(fields) = json::split(text)? else { return Ok(None) };
    Ok(fields.into_iter().rfind(|(own, _)| own == key).map(|(_, part)| part))
}

/// The element of a `json` at a place.
pub(super) fn element_of(text: &str, place: i32) -> Result<Option<&str>, DataError> {
    let Split::Array(elements) = json::split(text)? else { return Ok(None) };
    Ok(json::place_among(place, elements.len()).map(|index| elements[index]))
}

/// `jsonb -> key`
pub(crate) fn field(inputs: &Inputs, _: DataType) -> Computed {
    let (value, key) = (values(inputs.get(0)), inputs.get(1).text());
    build(inputs, |row| Ok(value(row)?.field(key(row)).cloned()))
}

/// `jsonb ->> key`
pub(crate) fn field_text(inputs: &Inputs, _: DataType) -> Computed {
    let (value, key) = (values(inputs.get(0)), inputs.get(1).text());
    build_text(inputs, |row| Ok(value(row)?.field(key(row)).and_then(Json::as_text)))
}

/// The element at a place; a scalar stands for an array of itself, as PostgreSQL stores it.
fn element_or_scalar(value: Json, place: i32) -> Option<Json> {
    if value.is_scalar() {
        Some(value).filter(|_| matches!(place, 0 | -1))
    } else {
        value.element(place).cloned()
    }
}

/// `jsonb -> place`
pub(crate) fn element(inputs: &Inputs, _: DataType) -> Computed {
    let (value, place) = (values(inputs.get(0)), inputs.get(1).primitive::<Int32Type>());
    build(inputs, |row| Ok(element_or_scalar(value(row)?, place.get(row))))
}

/// `jsonb ->> place`
pub(crate) fn element_text(inputs: &Inputs, _: DataType) -> Computed {
    let (value, place) = (values(inputs.get(0)), inputs.get(1).primitive::<Int32Type>());
    build_text(inputs, |row| {
        Ok(element_or_scalar(value(row)?, place.get(row)).and_then(|value| value.as_text()))
    })
}

/// `json -> key`
pub(crate) fn json_field(inputs: &Inputs, _: DataType) -> Computed {
    let (text, key) = (inputs.get(0).text(), inputs.get(1).text());
    build_text(inputs, |row| Ok(field_of(text(row), key(row))?.map(str::to_owned)))
}

/// `json ->> key`
pub(crate) fn json_field_text(inputs: &Inputs, _: DataType) -> Computed {
    let (text, key) = (inputs.get(0).text(), inputs.get(1).text());
    build_text(inputs, |row| field_of(text(row), key(row))?.map_or(Ok(None), text_of_part))
}

/// `json -> place`
pub(crate) fn json_element(inputs: &Inputs, _: DataType) -> Computed {
    let (text, place) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    build_text(inputs, |row| Ok(element_of(text(row), place.get(row))?.map(str::to_owned)))
}

/// `json ->> place`
pub(crate) fn json_element_text(inputs: &Inputs, _: DataType) -> Computed {
    let (text, place) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    build_text(inputs, |row| element_of(text(row), place.get(row))?.map_or(Ok(None), text_of_part))
}

/// The part of a value that a key of a path leads to.
pub(super) fn step<'v>(value: &'v Json, key: &str) -> Option<&'v Json> {
    match value {
        Json::Object(_) => value.field(key),
        Json::Array(_) => value.element(key.trim().parse().ok()?),
        Json::Null | Json::String(_) | Json::Number(_) | Json::Boolean(_) => None,
    }
}

/// The value at the end of a path.
fn along<'p>(value: Json, mut keys: impl Iterator<Item = &'p str>) -> Option<Json> {
    keys.try_fold(value, |value, key| step(&value, key).cloned())
}

/// The keys of a call whose arguments behind the first are a path.
fn keys_of<'a>(inputs: &'a Inputs) -> Vec<impl Fn(usize) -> &'a str> {
    inputs.iter().skip(1).map(Input::text).collect()
}

/// `jsonb_extract_path(jsonb, key, …)`
pub(crate) fn extract_path(inputs: &Inputs, _: DataType) -> Computed {
    let (value, keys) = (values(inputs.get(0)), keys_of(inputs));
    build(inputs, |row| Ok(along(value(row)?, keys.iter().map(|key| key(row)))))
}

/// `jsonb_extract_path_text(jsonb, key, …)`
pub(crate) fn extract_path_text(inputs: &Inputs, _: DataType) -> Computed {
    let (value, keys) = (values(inputs.get(0)), keys_of(inputs));
    build_text(inputs, |row| {
        Ok(along(value(row)?, keys.iter().map(|key| key(row))).and_then(|value| value.as_text()))
    })
}

/// The part of a `json` at the end of a path.
pub(super) fn part_along<'t, 'p>(
    text: &'t str,
    keys: impl Iterator<Item = &'p str>,
) -> Result<Option<&'t str>, DataError> {
    let mut part = text.trim_matches([' ', '\t', '\n', '\r']);
    for key in keys {
        let next = match json::split(part)? {
            Split::Object(_) => field_of(part, key)?,
            Split::Array(_) => match key.trim().parse() {
                Ok(place) => element_of(part, place)?,
                Err(_) => None,
            },
            Split::Scalar(_) => None,
        };
        match next {
            Some(next) => part = next,
            None => return Ok(None),
        }
    }
    Ok(Some(part))
}

/// `json_extract_path(json, key, …)`
pub(crate) fn json_extract_path(inputs: &Inputs, _: DataType) -> Computed {
    let (text, keys) = (inputs.get(0).text(), keys_of(inputs));
    build_text(inputs, |row| Ok(part_along(text(row), keys.iter().map(|key| key(row)))?.map(str::to_owned)))
}

/// `json_extract_path_text(json, key, …)`
pub(crate) fn json_extract_path_text(inputs: &Inputs, _: DataType) -> Computed {
    let (text, keys) = (inputs.get(0).text(), keys_of(inputs));
    build_text(inputs, |row| {
        part_along(text(row), keys.iter().map(|key| key(row)))?.map_or(Ok(None), text_of_part)
    })
}

/// Rows where the first value contains the second, or the other way round.
fn contained_by(inputs: &Inputs, container: usize) -> Computed {
    let (outer, inner) = (values(inputs.get(container)), values(inputs.get(1 - container)));
    test(inputs, |row| Ok(outer(row)?.contains(&inner(row)?)))
}

/// A test of each row without NULL.
pub(super) fn test(inputs: &Inputs, holds: impl Fn(usize) -> Result<bool, DataError>) -> Computed {
    let nulls = inputs.nulls();
    let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let held = (0..inputs.rows()).map(|row| if valid(row) { holds(row) } else { Ok(false) });
    let held: Vec<bool> = held.collect::<Result<_, DataError>>()?;
    Ok(Arc::new(inputs.build_boolean(|row| held[row])))
}

/// `jsonb @> jsonb`
pub(crate) fn contains(inputs: &Inputs, _: DataType) -> Computed {
    contained_by(inputs, 0)
}

/// `jsonb <@ jsonb`
pub(crate) fn contained(inputs: &Inputs, _: DataType) -> Computed {
    contained_by(inputs, 1)
}

/// Whether a text is a key of an object, an element of an array, or the string itself.
pub(super) fn has_key(value: &Json, key: &str) -> bool {
    let is_key = |value: &Json| matches!(value, Json::String(text) if text == key);
    match value {
        Json::Object(_) => value.field(key).is_some(),
        Json::Array(elements) => elements.iter().any(is_key),
        scalar => is_key(scalar),
    }
}

/// `jsonb ? key`
pub(crate) fn exists(inputs: &Inputs, _: DataType) -> Computed {
    let (value, key) = (values(inputs.get(0)), inputs.get(1).text());
    test(inputs, |row| Ok(has_key(&value(row)?, key(row))))
}

/// Objects are merged, anything else is put behind one another in one array.
fn joined(left: Json, right: Json) -> Json {
    match (left, right) {
        (Json::Object(mut fields), Json::Object(others)) => {
            fields.extend(others);
            Json::object(fields)
        }
        (left, right) => {
            let elements = |value| if let Json::Array(elements) = value { elements } else { vec![value] };
            Json::Array(elements(left).into_iter().chain(elements(right)).collect())
        }
    }
}

/// `jsonb || jsonb`
pub(crate) fn concat(inputs: &Inputs, _: DataType) -> Computed {
    let (left, right) = (values(inputs.get(0)), values(inputs.get(1)));
    build(inputs, |row| Ok(Some(joined(left(row)?, right(row)?))))
}

pub(super) fn cannot_delete(from: &str) -> DataError {
    DataError::new("22023", format!("cannot delete from {from}"))
}

/// `jsonb - key`
pub(crate) fn without_key(inputs: &Inputs, _: DataType) -> Computed {
    let (value, key) = (values(inputs.get(0)), inputs.get(1).text());
    build(inputs, |row| without_keys(value(row)?, &|own| own == key(row)).map(Some))
}

/// The value without fields of such keys, or elements that are such strings.
pub(super) fn without_keys(value: Json, goes: &dyn Fn(&str) -> bool) -> Result<Json, DataError> {
    Ok(match value {
        Json::Object(mut fields) => {
            fields.retain(|(own, _)| !goes(own));
            Json::Object(fields)
        }
        Json::Array(mut elements) => {
            elements.retain(|element| !matches!(element, Json::String(text) if goes(text)));
            Json::Array(elements)
        }
        Json::Null | Json::String(_) | Json::Number(_) | Json::Boolean(_) => {
            return Err(cannot_delete("scalar"));
        }
    })
}

/// `jsonb - place`
pub(crate) fn without_element(inputs: &Inputs, _: DataType) -> Computed {
    let (value, place) = (values(inputs.get(0)), inputs.get(1).primitive::<Int32Type>());
    build(inputs, |row| match value(row)? {
        Json::Array(mut elements) => {
            if let Some(index) = json::place_among(place.get(row), elements.len()) {
                elements.remove(index);
            }
            Ok(Some(Json::Array(elements)))
        }
        Json::Object(_) => Err(cannot_delete("object using integer index")),
        Json::Null | Json::String(_) | Json::Number(_) | Json::Boolean(_) => Err(cannot_delete("scalar")),
    })
}

/// `jsonb_typeof(jsonb)`
pub(crate) fn type_name(inputs: &Inputs, _: DataType) -> Computed {
    let value = values(inputs.get(0));
    inputs.build_text(|row| Ok(value(row)?.type_name()))
}

/// `json_typeof(json)`
pub(crate) fn json_type_name(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| {
        let text = text(row).trim_start_matches([' ', '\t', '\n', '\r']);
        Ok(match text.as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            Some(_) | None => "number",
        })
    })
}

fn count(length: usize) -> Result<i32, DataError> {
    i32::try_from(length).map_err(|_| DataError::out_of_range("integer"))
}

fn no_array(what: &str) -> DataError {
    DataError::new("22023", format!("cannot get array length of a {what}"))
}

/// `jsonb_array_length(jsonb)`
pub(crate) fn array_length(inputs: &Inputs, _: DataType) -> Computed {
    let value = values(inputs.get(0));
    let length = |row: usize| match value(row)? {
        Json::Array(elements) => count(elements.len()),
        Json::Object(_) => Err(no_array("non-array")),
        Json::Null | Json::String(_) | Json::Number(_) | Json::Boolean(_) => Err(no_array("scalar")),
    };
    Ok(Arc::new(inputs.build::<Int32Type>(length)?))
}

/// `json_array_length(json)`
pub(crate) fn json_array_length(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    let length = |row: usize| match json::split(text(row))? {
        Split::Array(elements) => count(elements.len()),
        Split::Object(_) => Err(no_array("non-array")),
        Split::Scalar(_) => Err(no_array("scalar")),
    };
    Ok(Arc::new(inputs.build::<Int32Type>(length)?))
}

/// The value without fields that are null.
fn stripped(value: Json) -> Json {
    match value {
        Json::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| *value != Json::Null);
            Json::Object(kept.map(|(key, value)| (key, stripped(value))).collect())
        }
        Json::Array(elements) => Json::Array(elements.into_iter().map(stripped).collect()),
        scalar => scalar,
    }
}

/// `jsonb_strip_nulls(jsonb)`
pub(crate) fn strip_nulls(inputs: &Inputs, _: DataType) -> Computed {
    let value = values(inputs.get(0));
    build(inputs, |row| Ok(Some(stripped(value(row)?))))
}

/// Appends a `json` without spaces and without fields that are null.
fn write_stripped(text: &str, out: &mut String) -> Result<(), DataError> {
    match json::split(text)? {
        Split::Scalar(part) if part.starts_with('"') => match json::read(part)? {
            Json::String(text) => json::write_string(&text, out),
            _ => out.push_str(part),
        },
        Split::Scalar(part) => out.push_str(part),
        Split::Array(elements) => {
            out.push('[');
            for (index, element) in elements.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_stripped(element, out)?;
            }
            out.push(']');
        }
        Split::Object(fields) => {
            out.push('{');
            let kept = fields.into_iter().filter(|(_, part)| *part != "null");
            for (index, (key, part)) in kept.enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                json::write_string(&key, out);
                out.push(':');
                write_stripped(part, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// `json_strip_nulls(json)`
pub(crate) fn json_strip_nulls(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| {
        let mut out = String::new();
        write_stripped(text(row), &mut out)?;
        Ok(out)
    })
}

/// `jsonb_pretty(jsonb)`
pub(crate) fn pretty(inputs: &Inputs, _: DataType) -> Computed {
    let value = values(inputs.get(0));
    inputs.build_text(|row| {
        let mut out = String::new();
        json::write_pretty(&value(row)?, &mut out);
        Ok(out)
    })
}

/// The text of a jsonb that is to become a number or a boolean.
fn scalar_text(value: &Json, wanted: &str, to: &str) -> Result<String, DataError> {
    let name = value.type_name();
    if name == wanted {
        return Ok(value.as_text().unwrap_or_default());
    }
    Err(DataError::new("22023", format!("cannot cast jsonb {name} to type {to}")))
}

/// A jsonb as a number or a boolean.
pub(super) fn cast_jsonb(inputs: &Inputs, to: DataType) -> Computed {
    let value = values(inputs.get(0));
    let number = |row: usize, to: &str| scalar_text(&value(row)?, "number", to);
    /// 22003 where the digits before the point do not fit.
    fn whole(text: &str, to: &str) -> Result<i64, DataError> {
        text_form::parse_decimal(text)?
            .fit(millrace_engine::NUMERIC_PRECISION_MAX, 0)
            .and_then(|value| i64::try_from(value).ok())
            .ok_or_else(|| DataError::out_of_range(to))
    }
    Ok(match to {
        DataType::Boolean => {
            return test(inputs, |row| Ok(scalar_text(&value(row)?, "boolean", "boolean")? == "true"));
        }
        DataType::Int16 => Arc::new(inputs.build::<Int16Type>(|row| {
            let value = whole(&number(row, "smallint")?, "smallint")?;
            i16::try_from(value).map_err(|_| DataError::out_of_range("smallint"))
        })?),
        DataType::Int32 => Arc::new(inputs.build::<Int32Type>(|row| {
            let value = whole(&number(row, "integer")?, "integer")?;
            i32::try_from(value).map_err(|_| DataError::out_of_range("integer"))
        })?),
        DataType::Int64 => {
            Arc::new(inputs.build::<Int64Type>(|row| whole(&number(row, "bigint")?, "bigint"))?)
        }
        DataType::Float32 => {
            Arc::new(inputs.build::<Float32Type>(|row| text_form::parse_float32(&number(row, "real")?))?)
        }
        DataType::Float64 => Arc::new(
            inputs.build::<Float64Type>(|row| text_form::parse_float64(&number(row, "double precision")?))?,
        ),
        DataType::Decimal => {
            return decimal::build(inputs, |row| text_form::parse_unlimited(&number(row, "numeric")?));
        }
        DataType::Numeric { precision, scale } => {
            let array = inputs.build::<Decimal128Type>(|row| {
                let decimal = text_form::parse_decimal(&number(row, "numeric")?)?;
                decimal.fit(precision, scale).ok_or_else(|| DataError::new("22003", "numeric field overflow"))
            })?;
            return numeric::with_type(array, to);
        }
        other => return Err(DataError::new("42846", format!("cannot cast type jsonb to {other}"))),
    })
}

/// The text of a jsonb.
pub(super) fn shown(inputs: &Inputs) -> Computed {
    let bytes = inputs.get(0).bytes();
    inputs.build_text(|row| {
        let mut out = String::new();
        json::write_stored(bytes(row), &mut out);
        Ok(out)
    })
}

/// A text as a jsonb.
pub(super) fn read(inputs: &Inputs) -> Computed {
    let text = inputs.get(0).text();
    build(inputs, |row| json::read(text(row)).map(Some))
}

/// A text as a json.
pub(super) fn checked(inputs: &Inputs) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| json::check(text(row)).map(|()| text(row)))
}
