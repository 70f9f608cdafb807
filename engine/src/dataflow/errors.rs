//! The error collection of a dataflow: rows of (SQLSTATE, message, operator), exchanged, arranged
//! and published like any other rows, so that deleting a wrong row cancels its error exactly.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

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
