//! Rows of this process and of others in the order of their bytes: what one source takes away may lie in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DataError;
use crate::lookup::FoundRows;
use crate::mesh::scan::ShareScan;
use crate::state::{ByteRows, NetRow};

/// The rows of one relation at one tick, merged.
pub(super) struct JoinedRows {
    here: FoundRows,
    /// The next row of `here`.
    head: Option<NetRow>,
    there: Vec<ShareScan>,
    /// A row that was not given as often as its count says, and how often it is still to be.
    open: Option<(Vec<u8>, i64)>,
    visited: Arc<AtomicU64>,
    name: Arc<str>,
}

impl JoinedRows {
    pub(super) fn new(
        mut here: FoundRows,
        there: Vec<ShareScan>,
        visited: Arc<AtomicU64>,
        name: Arc<str>,
    ) -> JoinedRows {
        let head = here.next();
        JoinedRows { here, head, there, open: None, visited, name }
    }

    /// The next rows, each as often as its multiplicity says, within these limits; none at the end.
    ///
    /// # Errors
    /// As `Snapshot::rows`.
    pub(super) fn next_rows(&mut self, rows_max: usize, bytes_max: usize) -> Result<ByteRows, DataError> {
        let mut picked = ByteRows::default();
        while picked.len() < rows_max && picked.data_bytes() < bytes_max {
            let open = match self.open.take() {
                Some(open) => Some(open),
                None => self.next_net()?,
            };
            let Some((row, count)) = open else { break };
            picked.push(&row);
            self.open = (count > 1).then_some((row, count - 1));
        }
        Ok(picked)
    }

    /// The next row whose counts in all sources do not sum to zero.
    fn next_net(&mut self) -> Result<Option<(Vec<u8>, i64)>, DataError> {
        loop {
            let mut visited = 0;
            for scan in &mut self.there {
                scan.fill(&mut visited)?;
            }
            self.visited.fetch_add(visited, Ordering::Relaxed);
            let Some(row) = self.least() else { return Ok(None) };
            let count = self.take(&row);
            match count {
                0 => {}
                1.. => return Ok(Some((row, count))),
                _ => return Err(DataError::negative_multiplicity().in_relation(&self.name)),
            }
        }
    }

    fn least(&self) -> Option<Vec<u8>> {
        let here = self.head.map(|head| self.here.bytes(head));
        let there = self.there.iter().filter_map(|scan| Some(scan.head()?.0));
        here.into_iter().chain(there).min().map(<[u8]>::to_vec)
    }

    /// Goes on behind a row in all sources that have it next: the sum of its counts.
    fn take(&mut self, row: &[u8]) -> i64 {
        let mut count = 0;
        while let Some(head) = self.head.filter(|head| self.here.bytes(*head) == row) {
            count += head.count;
            self.head = self.here.next();
        }
        for scan in &mut self.there {
            if let Some((_, own)) = scan.head().filter(|(own, _)| *own == row) {
                count += own;
                scan.advance();
            }
        }
        count
    }
}
