//! Rows for a table from a request: all of them at one tick, or none.
//!
//! Rows may give different columns; the others take their defaults, as with INSERT. Those that give the same go
//! through one `CopyIn`, and all together through the first one's commit.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use millrace_engine::Tick;
use millrace_sql::{Column, CopyFormat, SqlError, copy_into};

use crate::coordinator::Once;
use crate::ingest::{BadRow, Given};
use crate::session::{CopyIn, Response, Session};

/// Rows for a table.
pub(crate) struct Ingest {
    /// What the client calls the table.
    relation: String,
    /// All columns of the table.
    columns: Vec<Column>,
    /// Gathers all rows.
    whole: CopyIn,
    /// Makes whole rows of those that give some columns.
    by_columns: BTreeMap<Vec<usize>, CopyIn>,
    /// In which line of the request each row stands.
    lines: Vec<u64>,
}

impl Session {
    /// Rows for the table of a name, which is written as SQL has it.
    ///
    /// # Errors
    /// 42P01, 3F000, 42602 where there is no such table; 42809, 55000, 42501 where it is no table of the user's.
    pub(crate) async fn ingest(&mut self, relation: &str) -> Result<Ingest, SqlError> {
        let whole = self.copy_into(relation, None).await?;
        let (relation, columns) = (relation.to_owned(), whole.columns.clone());
        Ok(Ingest { relation, columns, whole, by_columns: BTreeMap::new(), lines: Vec::new() })
    }

    async fn copy_into(&mut self, relation: &str, columns: Option<&[&str]>) -> Result<CopyIn, SqlError> {
        // Rows come decoded; their format is nobody's business.
        let statement = copy_into(relation, columns, CopyFormat::Binary)?;
        match self.execute(&statement, &[]).await.map_err(|error| SqlError { position: None, ..error })? {
            Response::CopyIn(copy) => Ok(*copy),
            Response::Empty | Response::Command { .. } | Response::Rows { .. } | Response::CopyOut { .. } => {
                Err(SqlError::internal("COPY takes rows"))
            }
        }
    }
}

impl Ingest {
    /// The table's columns.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes rows.
    ///
    /// # Errors
    /// 23502 and what defaults raise; 53200 where there are too many.
    pub(crate) async fn rows(&mut self, session: &mut Session, given: Given) -> Result<(), BadRow> {
        let Given { columns, batch, lines } = given;
        if !self.by_columns.contains_key(&columns) {
            let copy = self.of_columns(session, &columns).await?;
            self.by_columns.insert(columns.clone(), copy);
        }
        let Some(copy) = self.by_columns.get(&columns) else {
            return Err(SqlError::internal("columns that were just bound").into());
        };
        let rows: Vec<RecordBatch> =
            copy.checked(batch).await.map_err(|error| BadRow::of_rows(error, &lines))?;
        self.whole.accept(rows)?;
        self.lines.extend(lines);
        Ok(())
    }

    async fn of_columns(&self, session: &mut Session, columns: &[usize]) -> Result<CopyIn, SqlError> {
        let names: Vec<&str> = columns.iter().map(|place| self.columns[*place].name.as_str()).collect();
        let copy = session.copy_into(&self.relation, Some(&names)).await?;
        let (now, then) = (copy.table(), self.whole.table());
        if now.id == then.id && now.types() == then.types() {
            return Ok(copy);
        }
        Err(SqlError::new("40001", "the table was altered while its rows were read"))
    }

    /// Commits: the number of rows, and the tick at which they came.
    ///
    /// # Errors
    /// 23505, 23514; the commit's.
    pub(crate) async fn finish(
        self,
        session: &mut Session,
        once: Option<Once>,
    ) -> Result<(u64, Tick), BadRow> {
        let Ingest { whole, lines, .. } = self;
        whole.finish_once(session, once).await.map_err(|error| BadRow::of_rows(error, &lines))
    }
}
