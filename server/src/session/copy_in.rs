//! COPY … FROM STDIN: rows arrive in batches and become visible together, at one tick.
//!
//! The rows wait in memory until the client's end of data: nothing may be logged before the last
//! line has proved good. Bound: `COPY_BYTES_MAX`, then 53200.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use millrace_engine::batch_of;
use millrace_sql::{Column, CopyFormat, Relation, SqlError};

use crate::coordinator::{Request, Write};
use crate::session::block::{Block, too_large};
use crate::session::write::types_of;
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

impl CopyIn {
    pub(super) fn new(table: Arc<Relation>, positions: &[usize], format: CopyFormat) -> CopyIn {
        let columns = positions.iter().filter_map(|position| table.columns.get(*position).cloned()).collect();
        let sources = (0..table.columns.len())
            .map(|column| positions.iter().position(|position| *position == column))
            .collect();
        CopyIn { columns, format, table, sources, writes: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes rows: the columns of `columns`, in their types.
    ///
    /// # Errors
    /// 23502; 53200 where the rows of the COPY take more than `COPY_BYTES_MAX`.
    pub async fn rows(&mut self, batch: RecordBatch) -> Result<(), SqlError> {
        let rows = self.whole_rows(&batch)?;
        not_null::check(&self.table, &rows)?;
        let write = Write { relation: self.table.id, rows, diff: 1 };
        self.bytes += write.bytes();
        if self.bytes > COPY_BYTES_MAX {
            return Err(too_large("COPY", COPY_BYTES_MAX));
        }
        self.rows += batch.num_rows() as u64;
        self.writes.push(write);
        Ok(())
    }

    /// The client's end of data: commits, or adds the rows to the block. Answers their number.
    ///
    /// # Errors
    /// The commit's; 42P01 where the table was dropped meanwhile. An open block has then failed.
    pub async fn finish(self, session: &mut Session) -> Result<u64, SqlError> {
        let rows = self.rows;
        let finished = session.commit_rows(&self.table, self.writes).await;
        if finished.is_err() {
            session.fail();
        }
        finished.map(|()| rows)
    }

    /// The table's columns in order, NULL for those that the lines do not give.
    fn whole_rows(&self, batch: &RecordBatch) -> Result<RecordBatch, SqlError> {
        let len = batch.num_rows();
        let types = types_of(&self.table);
        let columns = self.sources.iter().zip(&types).map(|(source, data_type)| match source {
            Some(source) => batch.columns().get(*source).cloned(),
            None => Some(new_null_array(&data_type.to_arrow(), len)),
        });
        let columns: Option<Vec<_>> = columns.collect();
        let columns = columns.ok_or_else(|| SqlError::internal("a line lacks a column"))?;
        batch_of(&types, columns, len).map_err(SqlError::internal)
    }
}

impl Session {
    /// Commits rows that depend on nothing, or adds them to the block.
    async fn commit_rows(&mut self, table: &Relation, writes: Vec<Write>) -> Result<(), SqlError> {
        match &mut self.block {
            Block::Open(transaction) => transaction.gather(writes, BTreeSet::new()),
            Block::None if writes.is_empty() => Ok(()),
            Block::None => {
                let request = Request { writes, ..Request::default() };
                match self.server.coordinator().commit(request).await {
                    Ok(_) => Ok(()),
                    // Nothing was read, so the only conflict is that the table is gone.
                    Err(error) if error.sqlstate == "40001" => {
                        Err(SqlError::new("42P01", format!("relation \"{}\" does not exist", table.name)))
                    }
                    Err(error) => Err(error),
                }
            }
            Block::Failed { .. } => Err(SqlError::internal("COPY ended in a failed block")),
        }
    }
}
