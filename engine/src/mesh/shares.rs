//! Shares that readers on process 0 have asked this process for, and the threads that read them.
//!
//! Invariants: workers hand over a list of batches and do no more; each chunk is made when it was asked for; the chunks of
//! a scan are made by one thread, in order.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::channel::Outgoing;
use super::frame::{Chunk, ReadFailure, ShareForm, ShareRows, Up, Want, share_form};
use super::loss::{Ending, guarded};
use crate::error::{DataError, EngineError};
use crate::lookup::FoundRows;
use crate::snapshot::Snapshot;

/// A chunk ends before its rows take more than this, or are more.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS: usize = 8_192;

/// Rows that come with the answer to a read by key take no more than this, or are no more; else they are scanned.
const FOUND_BYTES: usize = 8 << 20;
const FOUND_ROWS: usize = 65_536;

/// The shares that are read.
pub(super) struct Shares {
    out: Outgoing,
    kept: Arc<Kept>,
    readers: Vec<Sender<Job>>,
}

/// Shares to be scanned, by the numbers that process 0 knows them by.
#[derive(Default)]
struct Kept {
    by_number: Mutex<HashMap<u64, Snapshot>>,
    last: AtomicU64,
}

impl Kept {
    /// Keeps a share: what process 0 is told of it.
    fn keep(&self, share: Snapshot) -> ShareForm {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let form = share_form(&share, ShareRows::There(number));
        self.lock().insert(number, share);
        form
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Snapshot>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work for a reader's thread.
enum Job {
    Scan { scan: u64, share: Snapshot, skip: u64 },
    More(u64),
    End(u64),
    Answer { request: u64, worker: usize, share: Snapshot, want: Want },
}

impl Shares {
    /// None yet, and so many threads.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub(super) fn new(readers: usize, out: &Outgoing, ending: &Ending) -> io::Result<Shares> {
        let kept: Arc<Kept> = Arc::default();
        let start = |_| {
            let (jobs, queue) = mpsc::channel();
            let (out, ending, kept) = (out.clone(), ending.clone(), Arc::clone(&kept));
            let read = move || guarded("a reader of shares", &ending, || read(&queue, &out, &kept));
            std::thread::Builder::new().name("mesh:scan".to_owned()).spawn(read)?;
            Ok(jobs)
        };
        let readers = (0..readers).map(start).collect::<io::Result<_>>()?;
        Ok(Shares { out: out.clone(), kept, readers })
    }

    /// Answers a read, on a worker's thread.
    pub(super) fn answer(
        &self,
        request: u64,
        worker: usize,
        answer: Result<Snapshot, EngineError>,
        want: &Want,
    ) {
        let share = match (answer, want) {
            (Err(error), _) => Err(ReadFailure::from(error)),
            (Ok(share), Want::Rows) => Ok(self.keep(share)),
            (Ok(share), Want::Keys(_) | Want::Errors) => {
                return self.give(request, Job::Answer { request, worker, share, want: want.clone() });
            }
        };
        self.out.send(Up::Read { request, worker, answer: share });
    }

    /// Keeps a share to be scanned.
    pub(super) fn keep(&self, share: Snapshot) -> ShareForm {
        self.kept.keep(share)
    }

    pub(super) fn release(&self, share: u64) {
        self.kept.lock().remove(&share);
    }

    pub(super) fn scan(&self, share: u64, scan: u64, skip: u64) {
        let found = self.kept.lock().get(&share).cloned();
        if let Some(share) = found {
            self.give(scan, Job::Scan { scan, share, skip });
        }
    }

    pub(super) fn more(&self, scan: u64) {
        self.give(scan, Job::More(scan));
    }

    pub(super) fn end(&self, scan: u64) {
        self.give(scan, Job::End(scan));
    }

    /// What has one number goes to one thread, in order.
    fn give(&self, number: u64, job: Job) {
        let reader = &self.readers[number as usize % self.readers.len()];
        // One that has panicked takes no jobs, and has ended the generation.
        let _ = reader.send(job);
    }
}

/// A reader's thread.
fn read(queue: &Receiver<Job>, out: &Outgoing, kept: &Kept) {
    let mut scans: HashMap<u64, FoundRows> = HashMap::new();
    for job in queue {
        match job {
            Job::Scan { scan, share, skip } => {
                let mut rows = share.found_rows();
                for _ in 0..skip {
                    rows.next();
                }
                scans.insert(scan, rows);
            }
            Job::More(scan) => {
                let Some(rows) = scans.get_mut(&scan) else { continue };
                let chunk = next_chunk(rows, CHUNK_ROWS, CHUNK_BYTES);
                if chunk.is_last {
                    scans.remove(&scan);
                }
                out.send(Up::Chunk { scan, chunk });
            }
            Job::End(scan) => drop(scans.remove(&scan)),
            Job::Answer { request, worker, share, want } => {
                let answer =
                    found(share, &want, kept).map_err(|error| ReadFailure::from(EngineError::Failed(error)));
                out.send(Up::Read { request, worker, answer });
            }
        }
    }
}

/// A share with the rows that are wanted of it.
fn found(share: Snapshot, want: &Want, kept: &Kept) -> Result<ShareForm, DataError> {
    Ok(match want {
        Want::Keys(keys) if share.is_complete() => {
            let share = share.find_encoded(keys.iter().map(|key| key.0.as_slice().into()).collect())?;
            let chunk = next_chunk(&mut share.found_rows(), FOUND_ROWS, FOUND_BYTES);
            match chunk.is_last {
                true => share_form(&share, ShareRows::Here(chunk)),
                false => kept.keep(share),
            }
        }
        Want::Errors => {
            let chunk = next_chunk(&mut share.error_rows(), usize::MAX, usize::MAX);
            share_form(&share, ShareRows::Here(chunk))
        }
        Want::Keys(_) | Want::Rows => share_form(&share, ShareRows::Here(Chunk::default())),
    })
}

fn next_chunk(rows: &mut FoundRows, rows_max: usize, bytes_max: usize) -> Chunk {
    let mut chunk = Chunk::default();
    while chunk.lengths.len() < rows_max && chunk.bytes.0.len() < bytes_max {
        let Some(row) = rows.next() else {
            chunk.is_last = true;
            break;
        };
        chunk.push(rows.bytes(row), row.count);
    }
    chunk.visited = rows.take_visited();
    chunk
}
