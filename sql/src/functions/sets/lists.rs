//! `unnest`, `generate_subscripts`, `string_to_table`, `regexp_matches`, `regexp_split_to_table`.

use datafusion::arrow::datatypes::Int32Type;
use millrace_engine::{DataError, DataType, Literal};

use super::has_null;
use crate::functions::array::{arrays, split_at};
use crate::functions::inputs::Inputs;
use crate::functions::regex::{parts, split};
use crate::regex::{Matches, Options, Pattern};

type Rows = Result<Vec<Vec<Literal>>, DataError>;

/// `unnest(array)`: its elements, in the order in which it has them.
pub(super) fn unnest(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let array = arrays(inputs.get(0))(row)?;
    let null = Literal::Null(array.element.data_type());
    Ok(array.values.into_iter().map(|value| vec![value.unwrap_or_else(|| null.clone())]).collect())
}

/// `generate_subscripts(array, dimension [, reverse])`
pub(super) fn subscripts(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let wanted = usize::try_from(i64::from(inputs.get(1).primitive::<Int32Type>().get(row)) - 1).ok();
    let dimensions = arrays(inputs.get(0))(row)?.dimensions;
    let Some(found) = wanted.and_then(|index| dimensions.get(index)) else { return Ok(Vec::new()) };
    let subscripts = found.lower..found.lower.saturating_add(found.length);
    let mut rows: Vec<Vec<Literal>> = subscripts.map(|place| vec![Literal::Int32(place)]).collect();
    if inputs.len() > 2 && inputs.get(2).boolean()(row) {
        rows.reverse();
    }
    Ok(rows)
}

/// `string_to_table(text, delimiter [, null])`
pub(super) fn split_text(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if inputs.get(0).is_null(row) {
        return Ok(Vec::new());
    }
    let (text, delimiter) = (inputs.get(0).text(), inputs.get(1).text());
    let delimiter = (!inputs.get(1).is_null(row)).then(|| delimiter(row));
    let null = inputs.iter().nth(2).filter(|null| !null.is_null(row)).map(|null| null.text()(row).to_owned());
    let value = |part: String| match Some(&part) == null.as_ref() {
        true => vec![Literal::Null(DataType::Text)],
        false => vec![Literal::Text(part)],
    };
    Ok(split_at(text(row), delimiter).into_iter().map(value).collect())
}

/// The text, the compiled pattern of a row, and its options.
fn pattern(inputs: &Inputs, row: usize) -> Result<(std::rc::Rc<Pattern>, Options), DataError> {
    let options = match inputs.len() {
        2 => Options::default(),
        _ => Options::parse(inputs.get(2).text()(row))?,
    };
    Ok((Pattern::compiled(inputs.get(1).text()(row), options.of_pattern())?, options))
}

/// `regexp_matches(text, pattern [, flags])`: the first match, or all.
pub(super) fn regexp_matches(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let (pattern, options) = pattern(inputs, row)?;
    let text = inputs.get(0).text()(row);
    let mut matches = Matches::new(text, 0);
    let mut rows = Vec::new();
    while let Some(found) = matches.next(&pattern)? {
        let parts = parts(&pattern, &found, text);
        rows.push(vec![Literal::Array { element: parts.element, bytes: parts.encode() }]);
        if !options.all {
            break;
        }
    }
    Ok(rows)
}

/// `regexp_split_to_table(text, pattern [, flags])`
pub(super) fn regexp_split(_: &str, inputs: &Inputs, row: usize) -> Rows {
    if has_null(inputs, row) {
        return Ok(Vec::new());
    }
    let (pattern, options) = pattern(inputs, row)?;
    if options.all {
        let message = "regexp_split_to_table() does not support the \"global\" option";
        return Err(DataError::new("22023", message));
    }
    let parts = split(&pattern, inputs.get(0).text()(row))?;
    Ok(parts.into_iter().map(|part| vec![Literal::Text(part.to_owned())]).collect())
}
