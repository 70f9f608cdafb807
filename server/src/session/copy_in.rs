//! COPY … FROM STDIN: rows arrive in batches and become visible together, at one tick.
//!
//! The rows wait in memory until the client's end of data: nothing may be logged before the last
//! line has proved good. Bound: `COPY_BYTES_MAX`, then 53200.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use millrace_engine::{DataType, batch_of};
use millrace_sql::{Column, CopyFormat, Relation, SqlError};

use crate::coordinator::Write;
use crate::session::{Session, not_null};

/// The most bytes of rows that one COPY may hold in memory.
pub const COPY_BYTES_MAX: usize = 1 << 30;

/// A COPY that reads the client's rows.
pub struct CopyIn {
    /// The columns that each line gives, in the line's order.
    pub columns: Vec<Column>,
    /// How lines are written.
    pub format: CopyFormat,
    table: Arc<Relation>,
    /// For each column of the table, which column of the line gives it.
    sources: Vec<Option<usize>>,
    writes: Vec<Write>,
    rows: u64,
    bytes: usize,
}
