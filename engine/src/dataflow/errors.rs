//! The error collection of a dataflow: rows of (SQLSTATE, message, operator), exchanged, arranged
//! and published like any other rows, so that deleting a wrong row cancels its error exactly.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};

use crate::delta::{Col, Delta, batch_of};
use crate::error::DataError;
use crate::types::Tick;

pub(crate) use crate::snapshot::ERROR_COLUMNS;

/// Collects error rows of one operator.
pub(crate) struct ErrorRows {
    operator: Arc<str>,
    errors: Vec<DataError>,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
}

impl ErrorRows {
    /// No errors yet of this operator.
    pub(crate) fn new(operator: Arc<str>) -> ErrorRows {
        ErrorRows { operator, errors: Vec::new(), diffs: Vec::new(), ticks: Vec::new() }
    }

    /// Adds a change of an error's multiplicity.
    pub(crate) fn push(&mut self, error: DataError, diff: i64, tick: Tick) {
        self.errors.push(error);
        self.diffs.push(diff);
        self.ticks.push(tick);
    }

    /// The changes so far, if there are any; afterwards there are none.
    pub(crate) fn take(&mut self) -> Option<Delta> {
        if self.errors.is_empty() {
            return None;
        }
        let errors = std::mem::take(&mut self.errors);
        let states: ArrayRef = Arc::new(StringArray::from_iter_values(errors.iter().map(|e| &e.sqlstate)));
        let messages: ArrayRef = Arc::new(StringArray::from_iter_values(errors.iter().map(|e| &e.message)));
        let operators: ArrayRef =
            Arc::new(StringArray::from_iter_values(errors.iter().map(|_| self.operator.as_ref())));
        let rows = batch_of(&ERROR_COLUMNS, vec![states, messages, operators], errors.len())
            .expect("three text columns of one length");
        let diffs = Col::Each(std::mem::take(&mut self.diffs));
        Some(Delta { rows, diffs, ticks: Col::Each(std::mem::take(&mut self.ticks)) })
    }
}

/// Errors with the name of the relation in which they arose, where their messages need one.
pub(crate) fn in_relation(errors: Arc<Delta>, relation: &str) -> Arc<Delta> {
    let nameless = DataError::negative_multiplicity().message;
    let messages = errors.rows.column(1).as_string::<i32>();
    if messages.iter().flatten().all(|message| message != nameless) {
        return errors;
    }
    let named =
        messages.iter().flatten().map(|message| DataError::new("", message).in_relation(relation).message);
    let named: ArrayRef = Arc::new(StringArray::from_iter_values(named));
    let columns = vec![Arc::clone(errors.rows.column(0)), named, Arc::clone(errors.rows.column(2))];
    let rows = batch_of(&ERROR_COLUMNS, columns, errors.len()).expect("three text columns of one length");
    Arc::new(errors.with_rows(rows))
}
