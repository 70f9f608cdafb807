//! The objects of `json_to_record` and `json_to_recordset`, one a row: what is made of their fields the binder adds
//! (query/record.rs). And the one row of a value, as which a function stands in ROWS FROM.

use millrace_engine::{DataError, DataType, Literal};

use super::has_null;
use crate::functions::inputs::Inputs;
use crate::json::{self, Json, Split};

type Rows = Result<Vec<Vec<Literal>>, DataError>;

/// One row of what it is given.
pub(super) fn one_row(_: &str, inputs: &Inputs, row: usize) -> Rows {
    Ok(vec![vec![inputs.get(0).literal(row)?.unwrap_or(Literal::Null(DataType::Boolean))]])
}

/// `json_to_record(json)`
pub(super) fn record(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(vec![vec![Literal::Null(DataType::Json)]]);
    }
    let text = inputs.get(0).text()(row);
    match json::split(text)? {
        Split::Object(_) => Ok(vec![vec![Literal::Json(text.to_owned())]]),
        Split::Array(_) => Err(no_composite("an array")),
        Split::Scalar(_) => Err(no_composite("a scalar")),
    }
}

/// `jsonb_to_record(jsonb)`
pub(super) fn stored_record(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(vec![vec![Literal::Null(DataType::Jsonb)]]);
    }
    let bytes = inputs.get(0).bytes()(row);
    match decoded(bytes)? {
        Json::Object(_) => Ok(vec![vec![Literal::Jsonb(bytes.to_vec())]]),
        Json::Array(_) => Err(no_composite("an array")),
        _ => Err(no_composite("a scalar")),
    }
}

/// `json_to_recordset(json)`
pub(super) fn records(name: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let elements = match json::split(inputs.get(0).text()(row))? {
        Split::Array(elements) => elements,
        Split::Object(_) => return Err(wrong(format!("cannot call {name} on an object"))),
        Split::Scalar(_) => return Err(wrong(format!("cannot call {name} on a scalar"))),
    };
    let object = |element: &str| match element.starts_with('{') {
        true => Ok(vec![Literal::Json(element.to_owned())]),
        false => Err(no_object(name)),
    };
    elements.into_iter().map(object).collect()
}

/// `jsonb_to_recordset(jsonb)`
pub(super) fn stored_records(name: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let Json::Array(elements) = decoded(inputs.get(0).bytes()(row))? else {
        return Err(wrong(format!("cannot call {name} on a non-array")));
    };
    let object = |element: Json| match element {
        Json::Object(_) => Ok(vec![Literal::Jsonb(json::encode(&element))]),
        _ => Err(no_object(name)),
    };
    elements.into_iter().map(object).collect()
}

fn decoded(bytes: &[u8]) -> Result<Json, DataError> {
    json::decode(bytes).ok_or_else(|| DataError::new("XX000", "a jsonb value that cannot be read"))
}

fn wrong(message: String) -> DataError {
    DataError::new("22023", message)
}

/// PostgreSQL's words, which name a function of its own.
fn no_composite(what: &str) -> DataError {
    wrong(format!("cannot call populate_composite on {what}"))
}

fn no_object(name: &str) -> DataError {
    wrong(format!("argument of {name} must be an array of objects"))
}
