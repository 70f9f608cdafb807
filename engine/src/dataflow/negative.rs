//! Rows that a table holds less often than not at all: found when they are sealed, and told as an
//! error that names the table.
//!
//! Every other collection is computed from tables, so this is where a negative multiplicity can come
//! in. Only rows that are taken away are looked up; an insert-only table pays nothing. Invariant: while
//! a row is negative its error stands once, from the tick at which it became so to the one at which
//! it is not any more.

use std::collections::HashSet;

use super::errors::ErrorRows;
use crate::delta::Delta;
use crate::error::DataError;
use crate::state::{Shared, accumulate};
use crate::types::Tick;

/// The check of one table on one worker.
pub(crate) struct NegativeRows {
    error: DataError,
    errors: ErrorRows,
    /// The rows that are negative now: nearly always none.
    standing: HashSet<Vec<u8>>,
}

impl NegativeRows {
    /// Of a table that errors call by this name.
    pub(crate) fn new(relation: &str) -> NegativeRows {
        let error = DataError::negative_multiplicity().in_relation(relation);
        NegativeRows { error, errors: ErrorRows::new("table".into()), standing: HashSet::new() }
    }

    /// The changes of errors that a batch brings; `before` is what the trace held without it.
    pub(crate) fn check(&mut self, batch: &Shared, before: &[Shared]) -> Option<Delta> {
        let mut positions = vec![0; before.len()];
        let mut row = 0;
        while row < batch.len() {
            let end = batch.skip_key(row);
            let takes = (row..end).any(|row| batch.lane(row, 0) < 0);
            let key = batch.key(row);
            if takes || self.standing.contains(key) {
                let mut count = [0];
                accumulate(before, &mut positions, key, Tick::MAX, &mut count);
                let changes = (row..end).map(|row| (batch.tick(row), batch.lane(row, 0)));
                self.follow(key, count[0], changes);
            }
            row = end;
        }
        self.errors.take()
    }

    /// Follows one row's count through its changes.
    fn follow(&mut self, key: &[u8], mut count: i64, changes: impl Iterator<Item = (Tick, i64)>) {
        for (tick, diff) in changes {
            let was = count;
            count += diff;
            match (was < 0, count < 0) {
                (false, true) => self.errors.push(self.error.clone(), 1, tick),
                (true, false) => self.errors.push(self.error.clone(), -1, tick),
                (true, true) | (false, false) => {}
            }
        }
        match count < 0 {
            true => self.standing.insert(key.to_vec()),
            false => self.standing.remove(key),
        };
    }
}
