//! Types with a limit: varchar(n), char(n), timestamp(p) and their kin, as values are cast or assigned to them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{Time64MicrosecondType, TimestampMicrosecondType};
use millrace_engine::{DataError, DataType, Limit};

use super::decimal;
use super::inputs::Inputs;
use super::zoned::moments;
use crate::text_form::{cut_to, fitted, round_time, round_timestamp};

type Computed = Result<ArrayRef, DataError>;

/// The argument without its limit: only the blanks that fill up a char go away.
pub(super) fn released(inputs: &Inputs, limit: Limit) -> Computed {
    match limit {
        Limit::Char(_) => without_blanks(inputs),
        Limit::Varchar(_)
        | Limit::Timestamp(_)
        | Limit::TimestampTz(_)
        | Limit::Time(_)
        | Limit::Numeric { .. } => Ok(Arc::clone(inputs.get(0).array())),
    }
}

/// A text without the blanks at its end.
pub(super) fn without_blanks(inputs: &Inputs) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(text(row).trim_end_matches(' ')))
}

/// An explicit cast: what is too long is cut, what is too fine is rounded.
pub(super) fn cut(inputs: &Inputs, limit: Limit) -> Computed {
    match limit {
        Limit::Varchar(None) => Ok(Arc::clone(inputs.get(0).array())),
        Limit::Varchar(Some(_)) | Limit::Char(_) => {
            let text = inputs.get(0).text();
            inputs.build_text(|row| Ok(cut_to(text(row), limit)))
        }
        Limit::Numeric { precision, scale } => decimal::limited_all(inputs, precision, scale),
        Limit::Timestamp(digits) => Ok(Arc::new(rounded(inputs, digits)?)),
        Limit::TimestampTz(digits) => Ok(moments(rounded(inputs, digits)?)),
        Limit::Time(digits) => {
            type Type = Time64MicrosecondType;
            Ok(Arc::new(inputs.map1::<Type, Type>(|micros| Ok(round_time(micros, digits)))?))
        }
    }
}

type Micros = TimestampMicrosecondType;

fn rounded(
    inputs: &Inputs,
    digits: u8,
) -> Result<datafusion::arrow::array::PrimitiveArray<Micros>, DataError> {
    inputs.map1::<Micros, Micros>(|micros| Ok(round_timestamp(micros, digits)))
}

/// `assign(text)`: the text as a value of a column, where what is too long is an error, but for blanks.
pub(crate) fn assign(inputs: &Inputs, result: DataType) -> Computed {
    let DataType::Limited(limit) = result else { return Ok(Arc::clone(inputs.get(0).array())) };
    let text = inputs.get(0).text();
    inputs.build_text(|row| fitted(text(row), limit))
}

/// `padded(char)`: the char as a text with the blanks that fill it up.
pub(crate) fn padded(inputs: &Inputs, _: DataType) -> Computed {
    Ok(inputs.get(0).array().slice(0, inputs.rows()))
}
