//! How large a row may be: what is stored, and what is sent.
//!
//! A row travels whole: in a message, in a batch of each operator, in a record of the log.

use arrow::array::RecordBatch;
use bytes::BytesMut;
use millrace_engine::batch_bytes;
use millrace_sql::{SqlError, UTC};

use crate::pgwire::values::Values;

/// The most bytes of one row, in the binary form of its values or in the form in which it is sent.
pub(crate) const ROW_BYTES_MAX: usize = 16 << 20;

/// Checks rows that are to be stored.
///
/// # Errors
/// 54000
pub(super) fn check(rows: &RecordBatch) -> Result<(), SqlError> {
    // All together are no more: then none is looked at.
    if batch_bytes(rows) <= ROW_BYTES_MAX {
        return Ok(());
    }
    let columns: Vec<Values<'_>> =
        rows.columns().iter().map(|array| Values::of(array, &UTC)).collect::<Result<_, _>>()?;
    let mut written = BytesMut::new();
    for row in 0..rows.num_rows() {
        written.clear();
        let values = columns.iter().filter(|values| !values.is_null(row));
        values.for_each(|values| values.write_binary(row, &mut written));
        check_bytes(written.len())?;
    }
    Ok(())
}

/// Checks the bytes of one row.
///
/// # Errors
/// 54000
pub(crate) fn check_bytes(bytes: usize) -> Result<(), SqlError> {
    if bytes <= ROW_BYTES_MAX {
        return Ok(());
    }
    Err(SqlError::new("54000", format!("row is too big: size {bytes}, maximum size {ROW_BYTES_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray};
    use millrace_engine::{DataType, batch_of};
    use std::sync::Arc;

    #[test]
    fn one_row_may_be_so_large_and_all_together_larger() {
        let rows = |lengths: &[usize]| {
            let texts: StringArray = lengths.iter().map(|length| Some("x".repeat(*length))).collect();
            batch_of(&[DataType::Text], vec![Arc::new(texts) as ArrayRef], lengths.len()).expect("a batch")
        };
        assert_eq!(check(&rows(&[ROW_BYTES_MAX, 10, ROW_BYTES_MAX])), Ok(()));
        let error = check(&rows(&[10, ROW_BYTES_MAX + 1])).expect_err("too big");
        assert_eq!(
            (error.sqlstate.as_str(), error.message.as_str()),
            ("54000", "row is too big: size 16777217, maximum size 16777216")
        );
    }
}
