//! Keys of rows in the encoding of their index: to be looked up, compared and counted.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use millrace_engine::{DataType, Literal, RowCodec, column_of_literals, normalise_keys};
use millrace_sql::{LookedUp, RowKey, SqlError};

/// An encoded key.
pub(super) type Key = Box<[u8]>;

/// The key of each row; `None` where a part is NULL, which is like no other.
///
/// # Errors
/// Those of an expression that is part of the key.
pub(super) fn keys_of_rows(key: &RowKey, rows: &RecordBatch) -> Result<Vec<Option<Key>>, SqlError> {
    encoded(&key.types, &key.of_rows(rows)?, rows.num_rows())
}

/// The keys that a query looks up.
///
/// # Errors
/// XX000 where they are not of its types.
pub(super) fn keys_looked_up(looked_up: &LookedUp) -> Result<Vec<Key>, SqlError> {
    let column = |(index, data_type): (usize, &DataType)| -> ArrayRef {
        column_of_literals(*data_type, looked_up.keys.iter().map(|key: &Vec<Literal>| &key[index]))
    };
    let columns: Vec<ArrayRef> = looked_up.types.iter().enumerate().map(column).collect();
    Ok(encoded(&looked_up.types, &columns, looked_up.keys.len())?.into_iter().flatten().collect())
}

/// What the coordinator knows a key by.
pub(super) fn hash_of(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

fn encoded(types: &[DataType], columns: &[ArrayRef], len: usize) -> Result<Vec<Option<Key>>, SqlError> {
    let keys = RowCodec::new(types).encode(&normalise_keys(columns), len)?;
    let has_null = |row: usize| columns.iter().any(|column: &Arc<dyn Array>| column.is_null(row));
    Ok((0..len).map(|row| (!has_null(row)).then(|| keys.get(row).into())).collect())
}
