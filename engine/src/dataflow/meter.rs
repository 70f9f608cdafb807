//! `Meter`: counts the rows that the operators of a relation visit, so that a test can show that a
//! view is incremental: the work of one change must not grow with the state.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows visited, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    visited: AtomicU64,
}

impl Meter {
    /// Adds rows that an operator looked at.
    pub(crate) fn visit(&self, rows: usize) {
        self.visited.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Rows visited so far.
    pub(crate) fn visited(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }
}
