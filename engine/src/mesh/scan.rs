//! Rows of another process's share, for readers on process 0: chunk by chunk, as the reader takes them.
//!
//! Invariants: at most `AHEAD` chunks are on their way for a reader, however slow it is; a share is kept where its rows are
//! for as long as somebody has it here. Reading waits for the network: never on a thread that must not block.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use super::frame::{Chunk, Down};
use super::remote::Remote;
use crate::error::{DataError, EngineError};
use crate::snapshot::Snapshot;

/// The chunks that are on their way for a reader.
const AHEAD: usize = 2;

/// Asks the next generation for the same share, at the same tick: waits until there is one.
pub type Again = Arc<dyn Fn() -> Result<Snapshot, EngineError> + Send + Sync>;

/// One worker's share, in another process.
pub(crate) struct RemoteShare {
    remote: Arc<Remote>,
    number: u64,
}

impl RemoteShare {
    pub(super) fn new(remote: Arc<Remote>, number: u64) -> RemoteShare {
        RemoteShare { remote, number }
    }
}

/// The same, with a way to go on elsewhere when its process is lost.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    pub(crate) share: Arc<RemoteShare>,
    pub(crate) again: Option<Again>,
}

impl Elsewhere {
    /// Reads the rows behind the first `taken`.
    pub(crate) fn scan(&self, taken: u64) -> ShareScan {
        let (sender, chunks) = mpsc::channel();
        let scan = self.share.remote.scan(self.share.number, taken, sender);
        let scan =
            ShareScan { of: self.clone(), scan, chunks, chunk: Chunk::default(), row: 0, byte: 0, taken };
        (0..AHEAD).for_each(|_| scan.ask());
        scan
    }
}

impl Drop for RemoteShare {
    fn drop(&mut self) {
        self.remote.tell(Down::Release { share: self.number });
    }
}

/// A reader of a share's rows, in the order of their bytes.
pub(crate) struct ShareScan {
    of: Elsewhere,
    /// `None` where the generation was over before.
    scan: Option<u64>,
    chunks: Receiver<Chunk>,
    chunk: Chunk,
    /// The next row of the chunk, and where it begins.
    row: usize,
    byte: usize,
    /// The rows taken so far, those before the first included.
    taken: u64,
}

impl ShareScan {
    /// Sees to it that the next row is here; false at the end.
    ///
    /// # Errors
    /// 57P01 where the other process is lost and nobody can be asked again.
    pub(crate) fn fill(&mut self, visited: &mut u64) -> Result<bool, DataError> {
        while self.row == self.chunk.lengths.len() {
            if self.chunk.is_last {
                return Ok(false);
            }
            let Ok(chunk) = self.chunks.recv() else {
                self.go_on()?;
                continue;
            };
            (self.chunk, self.row, self.byte) = (chunk, 0, 0);
            *visited += self.chunk.visited;
            if !self.chunk.is_last {
                self.ask();
            }
        }
        Ok(true)
    }

    /// The next row and its multiplicity, after `fill`.
    pub(crate) fn head(&self) -> Option<(&[u8], i64)> {
        let length = *self.chunk.lengths.get(self.row)? as usize;
        let row = self.chunk.bytes.0.get(self.byte..self.byte + length)?;
        Some((row, *self.chunk.counts.get(self.row)?))
    }

    /// Goes on behind the next row.
    pub(crate) fn advance(&mut self) {
        self.byte += self.chunk.lengths.get(self.row).map_or(0, |length| *length as usize);
        self.row += 1;
        self.taken += 1;
    }

    /// Goes on in the next generation. Its share has the same rows in the same order: they follow from the log, and
    /// from the number of the worker.
    fn go_on(&mut self) -> Result<(), DataError> {
        let again = self.of.again.clone().ok_or_else(lost)?;
        let found = again().map_err(|_| lost())?;
        let next = found.in_other_processes().first().ok_or_else(lost)?.scan(self.taken);
        *self = next;
        Ok(())
    }

    fn ask(&self) {
        if let Some(scan) = self.scan {
            self.of.share.remote.tell(Down::More { scan });
        }
    }
}

impl Drop for ShareScan {
    fn drop(&mut self) {
        if let Some(scan) = self.scan {
            self.of.share.remote.end_scan(scan);
        }
    }
}

fn lost() -> DataError {
    DataError::new("57P01", "another process of the cluster was lost while its rows were read")
}
