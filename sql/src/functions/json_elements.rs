//! Arrays of JSON as arrays of SQL, as `json_to_record` makes them: their elements as texts, in as many dimensions as
//! the first elements are nested.

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{Array, DataError, DataType, Dimension, Element, Literal};

use super::array::{build_strict, check_dimensions};
use super::inputs::Inputs;
use super::json::{text_of_part, values};
use crate::json::{self, Split};
use crate::text_form;
use crate::zone::UTC;

type Computed = Result<ArrayRef, DataError>;

/// `json_elements(json, key)`: each element as JSON.
pub(super) fn parts(inputs: &Inputs, _: DataType) -> Computed {
    of_texts(inputs, true)
}

/// `json_element_texts(json, key)`: each element as `->>` gives it.
pub(super) fn texts(inputs: &Inputs, _: DataType) -> Computed {
    of_texts(inputs, false)
}

/// `json_elements(jsonb, key)`
pub(super) fn stored_parts(inputs: &Inputs, _: DataType) -> Computed {
    of_stored(inputs, true)
}

/// `json_element_texts(jsonb, key)`
pub(super) fn stored_texts(inputs: &Inputs, _: DataType) -> Computed {
    of_stored(inputs, false)
}

fn of_texts(inputs: &Inputs, as_json: bool) -> Computed {
    let text = inputs.get(0).text();
    build_strict(inputs, |row| elements(text(row), as_json))
}

fn of_stored(inputs: &Inputs, as_json: bool) -> Computed {
    let value = values(inputs.get(0));
    build_strict(inputs, |row| {
        let mut text = String::new();
        json::write(&value(row)?, &mut text);
        elements(&text, as_json)
    })
}

/// The array of a text of JSON; none of null. A string is the text of an array.
fn elements(text: &str, as_json: bool) -> Result<Option<Array>, DataError> {
    let text = match json::split(text)? {
        Split::Scalar(part) => match (part.as_bytes().first(), text_of_part(part)?) {
            (_, None) => return Ok(None),
            (Some(b'"'), Some(text)) => {
                let array = text_form::parse_array(&text, Element::Text, &UTC);
                return array.map(Some).map_err(|error| DataError::new(&error.sqlstate, error.message));
            }
            _ => return Err(not_an_array()),
        },
        Split::Array(_) | Split::Object(_) => text,
    };
    let mut gathered = Gathered { as_json, values: Vec::new(), sizes: Vec::new(), depth: None };
    gathered.take(text, 0)?;
    if gathered.values.is_empty() {
        return Ok(Some(Array::flat(Element::Text, Vec::new())));
    }
    let dimension = |length: &Option<i32>| Dimension { length: length.unwrap_or(0), lower: 1 };
    let dimensions = gathered.sizes.iter().map(dimension).collect();
    Ok(Some(Array { element: Element::Text, dimensions, values: gathered.values }))
}

/// What was found so far.
struct Gathered {
    as_json: bool,
    values: Vec<Option<Literal>>,
    /// How many elements the arrays of each level have.
    sizes: Vec<Option<i32>>,
    /// The level whose elements are values, once it is known.
    depth: Option<usize>,
}

impl Gathered {
    fn take(&mut self, text: &str, level: usize) -> Result<(), DataError> {
        check_dimensions(level + 1)?;
        let Split::Array(parts) = json::split(text)? else { return Err(not_an_array()) };
        if self.sizes.len() == level {
            self.sizes.push(None);
        }
        if self.depth.is_none() && !parts.first().is_some_and(|part| part.starts_with('[')) {
            self.depth = Some(level);
        }
        for part in &parts {
            match self.depth.is_some_and(|depth| level >= depth) {
                true => self.values.push(self.value(part)?),
                false => self.take(part, level + 1)?,
            }
        }
        let size = i32::try_from(parts.len()).unwrap_or(i32::MAX);
        match self.sizes[level].replace(size) {
            Some(before) if before != size => Err(DataError::new("22P02", "malformed JSON array")),
            _ => Ok(()),
        }
    }

    fn value(&self, part: &str) -> Result<Option<Literal>, DataError> {
        let text = text_of_part(part)?;
        let shown = if self.as_json { text.map(|_| part.to_owned()) } else { text };
        Ok(shown.map(Literal::Text))
    }
}

fn not_an_array() -> DataError {
    DataError::new("22P02", "expected JSON array")
}
