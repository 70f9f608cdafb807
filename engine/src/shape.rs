//! `RowShape`: the columns of a table's rows, of which the last ones may have come when there were rows already.
//!
//! ALTER TABLE … ADD COLUMN touches no row: a row that was there has the column's missing value, which the shape
//! knows. A row is kept without the columns at its end that have their missing value, whenever it was written, so
//! that it stays one row in one form (state/late.rs).

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};

use crate::delta::{Delta, batch_of};
use crate::error::DataError;
use crate::literals::column_of_literals;
use crate::types::{DataType, Literal};

/// The columns of a relation's rows. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct RowShape {
    columns: Arc<[DataType]>,
    /// What the last columns are in rows that were written before they came.
    missing: Arc<[Literal]>,
}

impl RowShape {
    /// Columns that all rows have.
    pub fn new(columns: &[DataType]) -> RowShape {
        RowShape { columns: columns.into(), missing: Arc::default() }
    }

    /// Columns of which the last came later: each with what it is in rows that were there.
    ///
    /// # Errors
    /// XX000 where a missing value does not have its column's type.
    pub fn with_missing(columns: &[DataType], missing: Vec<Literal>) -> Result<RowShape, DataError> {
        let late = columns.iter().skip(columns.len().saturating_sub(missing.len()));
        let kept_as = missing.iter().map(|literal| literal.data_type().to_arrow());
        if missing.len() > columns.len() || !kept_as.eq(late.map(|column| column.to_arrow())) {
            return Err(DataError::new("XX000", "a missing value does not have the type of its column"));
        }
        Ok(RowShape { columns: columns.into(), missing: missing.into() })
    }

    /// The columns' types.
    pub fn columns(&self) -> &[DataType] {
        &self.columns
    }

    /// The missing values of the last columns.
    pub(crate) fn missing(&self) -> &[Literal] {
        &self.missing
    }

    /// How many columns came with the table.
    pub(crate) fn first_late(&self) -> usize {
        self.columns.len() - self.missing.len()
    }

    /// The same with the first columns only.
    pub(crate) fn first(&self, width: usize) -> RowShape {
        let width = width.min(self.columns.len());
        let missing = width.saturating_sub(self.first_late());
        RowShape { columns: self.columns[..width].into(), missing: self.missing[..missing].into() }
    }

    /// Rows with the first `width` columns: others are left out, and those that the rows lack are filled in.
    ///
    /// # Errors
    /// XX000 where the rows lack a column that has no missing value.
    pub fn fit(&self, rows: &RecordBatch, width: usize) -> Result<RecordBatch, DataError> {
        let own = rows.num_columns();
        if own == width {
            return Ok(rows.clone());
        }
        if own < width && (width > self.columns.len() || own < self.first_late()) {
            return Err(DataError::new("XX000", "rows do not have the columns of their relation"));
        }
        let filled = |at: usize| -> ArrayRef {
            let missing = &self.missing[at - self.first_late()];
            column_of_literals(self.columns[at], (0..rows.num_rows()).map(|_| missing))
        };
        let column = |at: usize| if at < own { Arc::clone(rows.column(at)) } else { filled(at) };
        let columns = (0..width).map(column).collect();
        let types: Vec<DataType> = self.columns.iter().copied().take(width).collect();
        let fitted = batch_of(&types, columns, rows.num_rows());
        fitted.map_err(|error| DataError::from_arrow(&error))
    }

    /// The same of changes.
    pub(crate) fn fit_delta(&self, delta: &Delta, width: usize) -> Result<Delta, DataError> {
        let rows = self.fit(&delta.rows, width)?;
        Ok(Delta { rows, diffs: delta.diffs.clone(), ticks: delta.ticks.clone() })
    }
}
