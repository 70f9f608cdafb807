//! `RowCodec`: columns to rows of bytes and back, in Arrow's order-preserving row format.
//!
//! Rows compare as byte strings the way their columns do from left to right: NULL before all
//! values, false before true, numbers by value, -0.0 before 0.0, NaN above all numbers, text by its
//! bytes (PostgreSQL's "C"). The bytes keep each value exactly (a NaN's bits, too); keys that must
//! be equal where PostgreSQL says so go through `normalise_keys` first.
//!
//! Nothing but this module knows the encoding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use arrow::row::{RowConverter, SortField};

use crate::error::DataError;
use crate::types::DataType;

use super::bytes::ByteRows;

/// Encodes and decodes rows of certain column types. Cheap to clone, usable on any thread.
#[derive(Clone, Debug)]
pub struct RowCodec {
    /// `None` without columns: such rows are empty bytes.
    converter: Option<Arc<RowConverter>>,
}

impl RowCodec {
    /// A codec for rows of these columns.
    ///
    /// # Panics
    /// Never: Arrow's row format knows all our types (a test goes through them).
    pub fn new(columns: &[DataType]) -> RowCodec {
        if columns.is_empty() {
            return RowCodec { converter: None };
        }
        let fields = columns.iter().map(|column| SortField::new(column.to_arrow())).collect();
        let converter = RowConverter::new(fields).expect("the row format knows all column types");
        RowCodec { converter: Some(Arc::new(converter)) }
    }

    /// The rows of these columns; `rows` counts also where there are no columns.
    ///
    /// # Errors
    /// XX000 where the columns do not have the codec's types or differ in length.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<ByteRows, DataError> {
        let Some(converter) = &self.converter else { return Ok(ByteRows::empty_rows(rows)) };
        let encoded = converter.convert_columns(columns).map_err(|error| DataError::from_arrow(&error))?;
        debug_assert_eq!(encoded.num_rows(), rows);
        let mut bytes = ByteRows::with_capacity(encoded.lengths().sum());
        bytes.extend(encoded.iter().map(|row| row.data()));
        Ok(bytes)
    }

    /// The columns of these rows; none where the codec has no columns.
    ///
    /// # Errors
    /// XX000 where the bytes were not made by a codec for the same columns and that shows.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, DataError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        let rows = rows.into_iter().map(|row| parser.parse(row));
        converter.convert_rows(rows).map_err(|error| DataError::from_arrow(&error))
    }
}

/// Columns whose values are equal where PostgreSQL says so: -0.0 becomes 0.0 and every NaN one
/// positive NaN. For the keys of groups and joins, before they are hashed or encoded.
pub fn normalise_keys(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    columns.iter().map(normalise_key).collect()
}

fn normalise_key(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Float64 => {
            let normalised: Float64Array = column.as_primitive::<Float64Type>().unary(normalise_float);
            Arc::new(normalised)
        }
        _ => column.clone(),
    }
}

fn normalise_float(value: f64) -> f64 {
    match value {
        _ if value.is_nan() => f64::NAN,
        _ if value == 0.0 => 0.0,
        _ => value,
    }
}
