//! JSON out of other values: to_json, json_build_object and their kin.
//!
//! The binder turns what is no JSON yet into one argument of JSON each: numbers and truths as they are, all else as a
//! string of its text (`json_text`), moments in the session's time zone.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, LargeBinaryArray, StringArray};
use datafusion::arrow::datatypes::DataType as ArrowType;
use millrace_engine::{Array, DataError, DataType, Literal};

use super::array::arrays;
use super::cast::cast;
use super::inputs::{Input, Inputs};
use super::json::{Computed, build as build_strict, values};
use crate::json::{self, Json, Number, encode};

/// `to_jsonb(value)`: numbers and truths as themselves, a text as a string.
pub(crate) fn to_jsonb(inputs: &Inputs, _: DataType) -> Computed {
    let (kind, text) = plain(inputs)?;
    let text = text.as_string::<i32>();
    let value = |text: &str| {
        Ok(match kind {
            Plain::Truth => Json::Boolean(text == "true"),
            Plain::Number if text.ends_with(|last: char| last.is_ascii_digit()) => {
                Json::Number(Number::of_text(text)?)
            }
            Plain::Number | Plain::Text => Json::String(text.to_owned()),
        })
    };
    let bytes = text.iter().map(|text| text.map(|text| value(text).map(|value| encode(&value))).transpose());
    Ok(Arc::new(bytes.collect::<Result<Vec<_>, DataError>>()?.into_iter().collect::<LargeBinaryArray>()))
}

/// `to_json(value)`: the same as a text.
pub(crate) fn to_json(inputs: &Inputs, _: DataType) -> Computed {
    let (kind, text) = plain(inputs)?;
    let value = |text: &str| match kind {
        Plain::Truth => text.to_owned(),
        Plain::Number if text.ends_with(|last: char| last.is_ascii_digit()) => text.to_owned(),
        Plain::Number | Plain::Text => {
            let mut out = String::with_capacity(text.len() + 2);
            json::write_string(text, &mut out);
            out
        }
    };
    Ok(Arc::new(text.as_string::<i32>().iter().map(|text| text.map(value)).collect::<StringArray>()))
}

/// What a value is in JSON.
enum Plain {
    Truth,
    Number,
    Text,
}

/// The text of the one argument, and what it is in JSON.
fn plain(inputs: &Inputs) -> Result<(Plain, ArrayRef), DataError> {
    let array = inputs.get(0).array();
    let kind = match array.data_type() {
        ArrowType::Boolean => Plain::Truth,
        ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::Float32
        | ArrowType::Float64
        | ArrowType::Utf8View
        | ArrowType::Decimal128(..) => Plain::Number,
        _ => Plain::Text,
    };
    let unknown = || DataError::new("XX000", format!("{} as JSON", array.data_type()));
    let from = DataType::from_arrow(array.data_type()).ok_or_else(unknown)?;
    let text = cast(inputs, from, DataType::Text)?;
    Ok((kind, text))
}

/// A value of each argument; NULL is null.
fn arguments(inputs: &Inputs) -> Vec<impl Fn(usize) -> Result<Json, DataError> + '_> {
    let value = |input| {
        let value = values(input);
        move |row| if Input::is_null(input, row) { Ok(Json::Null) } else { value(row) }
    };
    inputs.iter().map(value).collect()
}

fn no_key(place: usize) -> DataError {
    DataError::new("22023", format!("argument {place} cannot be null"))
}

fn build(inputs: &Inputs, compute: impl Fn(usize) -> Result<Json, DataError>) -> Computed {
    let rows = (0..inputs.rows()).map(|row| compute(row).map(|value| Some(encode(&value))));
    Ok(Arc::new(rows.collect::<Result<Vec<_>, DataError>>()?.into_iter().collect::<LargeBinaryArray>()))
}

/// `jsonb_build_array(value, …)`
pub(crate) fn build_array(inputs: &Inputs, _: DataType) -> Computed {
    let arguments = arguments(inputs);
    build(inputs, |row| Ok(Json::Array(arguments.iter().map(|value| value(row)).collect::<Result<_, _>>()?)))
}

/// `jsonb_build_object(key, value, …)`; keys are strings.
pub(crate) fn build_object(inputs: &Inputs, _: DataType) -> Computed {
    let arguments = arguments(inputs);
    build(inputs, |row| {
        let mut fields = Vec::with_capacity(arguments.len() / 2);
        for place in (1..arguments.len()).step_by(2) {
            let key = arguments[place - 1](row)?.as_text().ok_or_else(|| no_key(place))?;
            fields.push((key, arguments[place](row)?));
        }
        Ok(Json::object(fields))
    })
}

/// The text of each argument; NULL is null.
fn texts<'a>(inputs: &'a Inputs) -> Vec<impl Fn(usize) -> &'a str> {
    let text = |input| {
        let text = Input::text(input);
        move |row| if Input::is_null(input, row) { "null" } else { text(row) }
    };
    inputs.iter().map(text).collect()
}

/// `json_build_array(value, …)`
pub(crate) fn json_build_array(inputs: &Inputs, _: DataType) -> Computed {
    let texts = texts(inputs);
    let row = |row| format!("[{}]", texts.iter().map(|text| text(row)).collect::<Vec<_>>().join(", "));
    Ok(Arc::new((0..inputs.rows()).map(|index| Some(row(index))).collect::<StringArray>()))
}

/// `json_build_object(key, value, …)`; keys are strings.
pub(crate) fn json_build_object(inputs: &Inputs, _: DataType) -> Computed {
    let texts = texts(inputs);
    let rows = (0..inputs.rows()).map(|row| {
        let mut fields = Vec::new();
        for (index, pair) in texts.chunks(2).enumerate() {
            if inputs.get(2 * index).is_null(row) {
                return Err(no_key(2 * index + 1));
            }
            fields.push(pair.iter().map(|text| text(row)).collect::<Vec<_>>().join(" : "));
        }
        Ok(Some(format!("{{{}}}", fields.join(", "))))
    });
    Ok(Arc::new(rows.collect::<Result<StringArray, DataError>>()?))
}

/// The text of a timestamp in ISO 8601's form, as JSON has it: `2024-01-01T10:00:00+01:00`.
pub(crate) fn iso_text(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| {
        let text = text(row).replacen(' ', "T", 1);
        // A zone of whole hours is written without minutes.
        let zone = text.len().checked_sub(3).and_then(|at| text.get(at..)).unwrap_or_default();
        let minutes = if text.contains(':') && zone.starts_with(['+', '-']) { ":00" } else { "" };
        Ok(text + minutes)
    })
}

/// The texts of an array's elements; NULL is null.
fn element_texts(array: Array) -> impl Iterator<Item = String> {
    array.values.into_iter().map(|value| match value {
        Some(Literal::Json(text) | Literal::Text(text)) => text,
        Some(_) | None => "null".to_owned(),
    })
}

/// The values of an array's elements; NULL is null.
fn element_values(array: Array) -> impl Iterator<Item = Json> {
    array.values.into_iter().map(|value| match value {
        Some(Literal::Jsonb(bytes)) => json::decode(&bytes).unwrap_or(Json::Null),
        Some(_) | None => Json::Null,
    })
}

/// `json_agg(…)`, over the array that was gathered
pub(crate) fn json_agg(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    inputs.build_text(|row| Ok(format!("[{}]", element_texts(array(row)?).collect::<Vec<_>>().join(", "))))
}

/// `jsonb_agg(…)`
pub(crate) fn jsonb_agg(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    build_strict(inputs, |row| Ok(Some(Json::Array(element_values(array(row)?).collect()))))
}

/// One field of `json_object_agg(…)`
pub(crate) fn json_pair(inputs: &Inputs, _: DataType) -> Computed {
    let texts = texts(inputs);
    let pair = |row: usize| {
        if inputs.get(0).is_null(row) {
            return Err(DataError::new("22023", "field name must not be null"));
        }
        Ok(Some(texts.iter().map(|text| text(row)).collect::<Vec<_>>().join(" : ")))
    };
    Ok(Arc::new((0..inputs.rows()).map(pair).collect::<Result<StringArray, DataError>>()?))
}

/// `json_object_agg(…)`
pub(crate) fn json_object_agg(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    inputs.build_text(|row| {
        let fields = element_texts(array(row)?).collect::<Vec<_>>().join(", ");
        Ok(format!("{{ {fields} }}"))
    })
}

/// `jsonb_object_agg(…)`: of pairs of a key and a value
pub(crate) fn jsonb_object_agg(inputs: &Inputs, _: DataType) -> Computed {
    let array = arrays(inputs.get(0));
    build_strict(inputs, |row| {
        let field = |pair: Json| {
            let Json::Array(pair) = pair else { return Err(DataError::new("XX000", "a field is no pair")) };
            let [key, value] =
                <[Json; 2]>::try_from(pair).map_err(|_| DataError::new("XX000", "a field is no pair"))?;
            let key = key.as_text().ok_or_else(|| DataError::new("22023", "field name must not be null"))?;
            Ok((key, value))
        };
        let fields = element_values(array(row)?).map(field).collect::<Result<_, DataError>>()?;
        Ok(Some(Json::object(fields)))
    })
}
