//! The elements of arrays and the fields of objects of JSON.

use millrace_engine::{DataError, DataType, Literal};

use super::has_null;
use crate::functions::inputs::Inputs;
use crate::functions::json::text_of_part;
use crate::json::{self, Json, Split};

/// A key, a value as it is, and as a text.
type Part = (String, Literal, Option<String>);

/// `json_each(json)` and its kin
pub(super) fn parts(name: &str, inputs: &Inputs, row: usize) -> Result<Vec<Vec<Literal>>, DataError> {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let parts = match name.starts_with("jsonb") {
        true => parts_of_binary(name, inputs.get(0).bytes()(row))?,
        false => parts_of_text(name, inputs.get(0).text()(row))?,
    };
    Ok(parts.into_iter().map(|part| shown(name, part)).collect())
}

/// What a function shows of a part.
fn shown(name: &str, (key, value, text): Part) -> Vec<Literal> {
    let value = match name.ends_with("_text") {
        true => text.map_or(Literal::Null(DataType::Text), Literal::Text),
        false => value,
    };
    match () {
        () if name.ends_with("keys") => vec![Literal::Text(key)],
        () if wants_array(name) => vec![value],
        () => vec![Literal::Text(key), value],
    }
}

fn wants_array(name: &str) -> bool {
    name.contains("array")
}

fn parts_of_text(name: &str, text: &str) -> Result<Vec<Part>, DataError> {
    let part = |key: String, part: &str| Ok((key, Literal::Json(part.to_owned()), text_of_part(part)?));
    match json::split(text)? {
        Split::Array(parts) if wants_array(name) => {
            parts.into_iter().map(|value| part(String::new(), value)).collect()
        }
        Split::Object(fields) if !wants_array(name) => {
            fields.into_iter().map(|(key, value)| part(key, value)).collect()
        }
        other => Err(refused(name, matches!(other, Split::Array(_)), matches!(other, Split::Scalar(_)))),
    }
}

fn parts_of_binary(name: &str, bytes: &[u8]) -> Result<Vec<Part>, DataError> {
    let part = |(key, part): (String, Json)| (key, Literal::Jsonb(json::encode(&part)), part.as_text());
    match json::decode(bytes) {
        Some(Json::Array(parts)) if wants_array(name) => {
            Ok(parts.into_iter().map(|value| part((String::new(), value))).collect())
        }
        Some(Json::Object(fields)) if !wants_array(name) => Ok(fields.into_iter().map(part).collect()),
        Some(other) => Err(refused(name, matches!(other, Json::Array(_)), other.is_scalar())),
        None => Err(DataError::new("XX000", "a jsonb value that cannot be read")),
    }
}

/// PostgreSQL's words for a value of another kind.
fn refused(name: &str, is_array: bool, is_scalar: bool) -> DataError {
    let what = match (is_array, is_scalar) {
        (_, true) => "a scalar",
        (true, _) => "an array",
        (false, _) => "an object",
    };
    let message = match name {
        "json_array_elements" | "json_array_elements_text" if is_scalar => {
            format!("cannot call {name} on a scalar")
        }
        "json_array_elements" | "json_array_elements_text" => format!("cannot call {name} on a non-array"),
        "jsonb_array_elements" | "jsonb_array_elements_text" => {
            format!("cannot extract elements from {what}")
        }
        "json_object_keys" | "jsonb_object_keys" => format!("cannot call {name} on {what}"),
        "json_each" | "json_each_text" => format!("cannot deconstruct {what} as an object"),
        _ => format!("cannot call {name} on a non-object"),
    };
    DataError::new("22023", message)
}
