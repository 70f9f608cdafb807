//! COPY … FROM STDIN: rows arrive in batches and become visible together, at one tick.
//!
//! The rows wait in memory until the client's end of data: nothing may be logged before the last
//! line has proved good. Bound: `COPY_BYTES_MAX`, then 53200.

use std::sync::Arc;

use arrow::array::RecordBatch;
use millrace_engine::{DataType, Tick, batch_bytes, batch_of};
use millrace_sql::{
    Bound, Catalog, Change, Column, CopyFormat, Parameters, Relation, Snapshots, SqlError, Statement,
};

use crate::coordinator::{Moment, Once};
use crate::session::block::too_large;
use crate::session::drawing::{Attempt, Drawing};
use crate::session::read::collect;
use crate::session::write::Task;
use crate::session::{Session, not_null, row_size};

/// The most bytes of rows that one COPY may hold in memory.
pub const COPY_BYTES_MAX: usize = 1 << 30;

/// A COPY that reads the client's rows.
pub struct CopyIn {
    /// The columns that each line gives, in the line's order.
    pub columns: Vec<Column>,
    /// How lines are written.
    pub format: CopyFormat,
    statement: Statement,
    change: Change,
    /// When its defaults are computed.
    tick: Tick,
    catalog: Arc<Catalog>,
    drawing: Arc<Drawing>,
    /// Whole rows of the table.
    batches: Vec<RecordBatch>,
    rows: u64,
    bytes: usize,
}

impl CopyIn {
    pub(super) fn new(
        statement: &Statement,
        change: Change,
        columns: Vec<Column>,
        format: CopyFormat,
        moment: &Moment,
        drawing: Arc<Drawing>,
    ) -> CopyIn {
        let (statement, batches) = (statement.clone(), Vec::new());
        let (tick, catalog) = (moment.tick, moment.catalog.clone());
        CopyIn { columns, format, statement, change, tick, catalog, drawing, batches, rows: 0, bytes: 0 }
    }

    /// Takes rows: the columns of `columns`, in their types.
    ///
    /// # Errors
    /// 23502; 53200 where the rows of the COPY take more than `COPY_BYTES_MAX`.
    pub async fn rows(&mut self, batch: RecordBatch) -> Result<(), SqlError> {
        let rows = self.checked(batch).await?;
        self.accept(rows)
    }

    /// Rows, the columns of `columns`, as whole rows of the table.
    ///
    /// # Errors
    /// 23502, 54000
    pub(super) async fn checked(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>, SqlError> {
        let rows = self.whole_rows(batch).await?;
        let mut before = 0;
        for batch in &rows {
            not_null::check(&self.change.table, &self.change.schema, batch)
                .map_err(|error| error.behind_rows(before))?;
            row_size::check(batch)?;
            before += batch.num_rows();
        }
        Ok(rows)
    }

    /// Keeps whole rows of the table, checked, for the commit.
    ///
    /// # Errors
    /// 53200
    pub(super) fn accept(&mut self, rows: Vec<RecordBatch>) -> Result<(), SqlError> {
        for batch in rows {
            self.bytes += batch_bytes(&batch);
            if self.bytes > COPY_BYTES_MAX {
                return Err(too_large("COPY", COPY_BYTES_MAX));
            }
            self.rows += batch.num_rows() as u64;
            self.batches.push(batch);
        }
        Ok(())
    }

    /// The client's end of data: commits, or adds the rows to the block. Answers their number.
    ///
    /// # Errors
    /// 23505, 23514; the commit's; 42P01 where the table was dropped meanwhile. An open block has then failed.
    pub async fn finish(self, session: &mut Session) -> Result<u64, SqlError> {
        self.finish_once(session, None).await.map(|(rows, _)| rows)
    }

    /// The same, perhaps to be done once; answers with the number of rows, and when they came.
    pub(super) async fn finish_once(
        self,
        session: &mut Session,
        once: Option<Once>,
    ) -> Result<(u64, Tick), SqlError> {
        let CopyIn { statement, change, batches, rows, .. } = self;
        let once = once.map(|once| Once { rows, ..once });
        let given = batches.clone();
        let types = change.table.types();
        let (zone, path, settings) = (session.zone(), session.path(), session.parameters.clone());
        let again = |moment: &Moment| match millrace_sql::bind(
            &statement,
            &moment.catalog,
            Parameters::values(&[]).in_zone(&zone).in_session(&path, &settings),
        )? {
            Bound::CopyFrom { change, .. } if change.table.types() == types => {
                Ok(Task::Copied(change, given.clone(), once))
            }
            _ => Err(SqlError::new("40001", "the table was altered while its rows were copied")),
        };
        let moment = session.moment();
        let finished = session.perform(Task::Copied(change, batches, once), again, moment).await;
        if finished.is_err() {
            session.fail();
        }
        finished.map(|done| (rows, done.tick))
    }

    /// The table's columns in order, with the defaults of those that the lines do not give.
    async fn whole_rows(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>, SqlError> {
        let types: Vec<DataType> = self.columns.iter().map(|column| column.data_type).collect();
        let len = batch.num_rows();
        let batch = batch_of(&types, batch.columns().to_vec(), len).map_err(SqlError::internal)?;
        if self.columns.len() == self.change.table.columns.len() && self.is_in_order() {
            return Ok(vec![batch]);
        }
        loop {
            self.drawing.begin(&self.catalog);
            let whole = self.completed(batch.clone()).await;
            if let Attempt::Done = self.drawing.drew(whole.is_ok()).await? {
                return whole;
            }
        }
    }

    /// The rows with the defaults of the other columns.
    async fn completed(&self, batch: RecordBatch) -> Result<Vec<RecordBatch>, SqlError> {
        let (rows, drawing) = (Some(batch), self.drawing.of_attempt());
        let whole = self.change.source.execute_in(Snapshots::new(), rows, self.tick, drawing)?;
        collect(whole, &self.change.table.types(), COPY_BYTES_MAX).await
    }

    /// The table that the rows are for.
    pub(super) fn table(&self) -> &Relation {
        &self.change.table
    }

    fn is_in_order(&self) -> bool {
        self.columns.iter().zip(&self.change.table.columns).all(|(given, own)| given.name == own.name)
    }
}
