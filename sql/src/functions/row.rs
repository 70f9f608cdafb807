//! `single_row(count, value)`: the value of a scalar sub-query that had `count` rows.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::Int64Type;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;

/// The value, unless there were several rows; a count of NULL says that there was none.
///
/// # Errors
/// 21000 where there were several.
pub(crate) fn single_row(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (counts, value) = (inputs.get(0), inputs.get(1));
    let count = counts.primitive::<Int64Type>();
    if (0..inputs.rows()).any(|row| !counts.is_null(row) && count.get(row) > 1) {
        let message = "more than one row returned by a subquery used as an expression";
        return Err(DataError::new("21000", message));
    }
    let spread = value.spread(inputs.rows()).map_err(|error| DataError::from_arrow(&error))?;
    Ok(Arc::clone(spread.array()))
}
