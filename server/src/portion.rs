//! Rows on their way from a session to its listener, and what they are once they are written.
//!
//! Rows that many clients get, the changes of a relation, carry with them what they were written as:
//! the first client's task writes them, all others send its bytes.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use millrace_sql::{CopyFormat, RowStream, SqlError, Zone};

use crate::pgwire::Format;

/// The most forms that are kept of the same rows. Further ones are written for each client.
const KEPT_MAX: usize = 4;

/// Rows as they come. Dropping the stream stops what makes them.
pub type Portions = Pin<Box<dyn Stream<Item = Result<Portion, SqlError>> + Send>>;

/// Some rows.
#[derive(Clone)]
pub struct Portion {
    /// The rows.
    pub rows: RecordBatch,
    /// Where other clients get the same rows: what they were written as.
    pub written: Option<Arc<Written>>,
}

impl Portion {
    /// Rows for one client.
    pub fn alone(rows: RecordBatch) -> Portion {
        Portion { rows, written: None }
    }

    /// These of the rows. All of them stay what other clients get.
    pub fn slice(&self, first: usize, count: usize) -> Portion {
        if first == 0 && count == self.rows.num_rows() {
            return self.clone();
        }
        Portion::alone(self.rows.slice(first, count))
    }
}

/// The rows of a query.
pub fn portions(rows: RowStream) -> Portions {
    Box::pin(rows.map(|batch| batch.map(Portion::alone)))
}

/// How rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A DataRow message a row, its columns in these formats, its moments as clocks of the zone show them.
    DataRows(Vec<Format>, Zone),
    /// A CopyData message a row.
    Copy(CopyFormat, Zone),
    /// JSON of the changes that the rows tell.
    Json(Zone),
}

/// What rows were written as, in each form that somebody asked for.
pub struct Written {
    forms: Mutex<Vec<(Form, Bytes)>>,
    /// How often rows were written, for all to see.
    count: Arc<AtomicU64>,
}

impl Written {
    /// Nothing yet. `count` counts how often it has to be written.
    pub fn new(count: Arc<AtomicU64>) -> Written {
        Written { forms: Mutex::default(), count }
    }

    /// The rows in a form: those that wait for the same get what the first writes.
    ///
    /// # Errors
    /// What writing raises.
    pub fn get(
        &self,
        form: &Form,
        write: impl FnOnce() -> Result<Bytes, SqlError>,
    ) -> Result<Bytes, SqlError> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = forms.iter().find(|(kept, _)| kept == form) {
            return Ok(bytes.clone());
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if forms.len() >= KEPT_MAX {
            drop(forms);
            return write();
        }
        let bytes = write()?;
        forms.push((form.clone(), bytes.clone()));
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_sql::UTC;

    #[test]
    fn each_form_is_written_once() {
        let count = Arc::new(AtomicU64::new(0));
        let written = Written::new(count.clone());
        let form = |columns| Form::DataRows(vec![Format::Text; columns], UTC.clone());
        let get = |columns, text: &'static str| {
            written.get(&form(columns), || Ok(Bytes::from_static(text.as_bytes())))
        };
        assert_eq!(get(1, "a"), Ok(Bytes::from_static(b"a")));
        assert_eq!(get(1, "b"), Ok(Bytes::from_static(b"a")));
        assert_eq!(get(2, "b"), Ok(Bytes::from_static(b"b")));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        let failed = written.get(&form(3), || Err(SqlError::new("54000", "too big")));
        assert!(failed.is_err());
        assert_eq!(get(3, "c"), Ok(Bytes::from_static(b"c")));
    }

    #[test]
    fn forms_beyond_the_bound_are_written_for_each() {
        let count = Arc::new(AtomicU64::new(0));
        let written = Written::new(count.clone());
        for _ in 0..2 {
            for columns in 0..=KEPT_MAX {
                let form = Form::DataRows(vec![Format::Binary; columns], UTC.clone());
                assert!(written.get(&form, || Ok(Bytes::new())).is_ok());
            }
        }
        assert_eq!(count.load(Ordering::Relaxed), KEPT_MAX as u64 + 2);
    }
}
