//! `Meter`: what the operators of one view do and hold, over all workers.
//!
//! It counts the rows that they visit, so that a test can show that a view is incremental; the rows
//! of its hydration; and bytes, so that a view that grows beyond its limit is found. State in traces is
//! measured from time to time: a view is looked at again when it has taken in a part of its limit
//! since. What waits for its tick is in no trace yet and is counted as it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Traces are measured again when this part of the limit has been taken in since.
const MEASURES: usize = 64;

/// The counts of one view. Shared by its operators on all workers.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    visited: AtomicU64,
    /// Rows that imports have to give for the view's hydration, and those given.
    hydration_rows: AtomicU64,
    hydrated_rows: AtomicU64,
    /// Bytes that wait for their tick, in no trace yet.
    waiting: AtomicUsize,
    /// Bytes taken in so far: never falls.
    taken_in: AtomicU64,
    /// Bytes in traces, each worker's as it measured them last.
    traces: Vec<AtomicUsize>,
    bytes_max: Option<usize>,
    is_exceeded: AtomicBool,
    /// On which workers the view goes.
    stopped: Vec<AtomicBool>,
}

impl Meter {
    /// Of a view that may hold so many bytes on this many workers.
    pub(crate) fn new(workers: usize, bytes_max: Option<usize>) -> Meter {
        let traces = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        let stopped = (0..workers).map(|_| AtomicBool::new(false)).collect();
        Meter { traces, stopped, bytes_max, ..Meter::default() }
    }

    /// Adds rows that an operator looked at.
    pub(crate) fn visit(&self, rows: usize) {
        self.visited.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Rows visited so far.
    pub(crate) fn visited(&self) -> u64 {
        self.visited.load(Ordering::Relaxed)
    }

    /// An import has so many rows to give before the view is hydrated.
    pub(crate) fn expect_rows(&self, rows: usize) {
        self.hydration_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// An import has given rows of its snapshot.
    pub(crate) fn give_rows(&self, rows: usize) {
        self.hydrated_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// The rows of the hydration: those given, and all.
    pub(crate) fn hydration(&self) -> (u64, u64) {
        (self.hydrated_rows.load(Ordering::Relaxed), self.hydration_rows.load(Ordering::Relaxed))
    }

    /// Bytes that wait for their tick.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether the view, of which this worker last looked at `seen` bytes taken in, holds too much.
    /// `measure` gives the bytes of its traces on this worker. True once, for one worker.
    pub(crate) fn finds_excess(
        &self,
        worker: usize,
        seen: &mut u64,
        measure: impl FnOnce() -> usize,
    ) -> bool {
        let Some(bytes_max) = self.bytes_max else { return false };
        let taken_in = self.taken_in.load(Ordering::Relaxed);
        if taken_in - *seen <= (bytes_max / MEASURES) as u64 {
            return false;
        }
        *seen = taken_in;
        if let Some(own) = self.traces.get(worker) {
            own.store(measure(), Ordering::Relaxed);
        }
        let in_traces: usize = self.traces.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum();
        in_traces + self.waiting_bytes() > bytes_max && !self.is_exceeded.swap(true, Ordering::Relaxed)
    }

    /// From now on nothing is taken in any more on this worker: the view goes. Others may still have
    /// to answer what was asked before.
    pub(crate) fn stop(&self, worker: usize) {
        if let Some(stopped) = self.stopped.get(worker) {
            stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the view goes, on this worker.
    fn is_stopped(&self, worker: usize) -> bool {
        self.stopped.get(worker).is_some_and(|stopped| stopped.load(Ordering::Relaxed))
    }
}

/// Rows that an operator looked at, counted on the spot: its meter is shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Visits(usize);

impl Visits {
    /// Adds rows.
    pub(crate) fn add(&mut self, rows: usize) {
        self.0 += rows;
    }

    /// The rows so far; afterwards there are none.
    pub(crate) fn take(&mut self) -> usize {
        std::mem::take(&mut self.0)
    }
}

/// The bytes that wait at one place of a view on one worker, counted in its meter for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting {
    meter: Arc<Meter>,
    worker: usize,
    bytes: usize,
}

impl Waiting {
    /// Nothing waits yet.
    pub(crate) fn new(meter: &Arc<Meter>, worker: usize) -> Waiting {
        Waiting { meter: Arc::clone(meter), worker, bytes: 0 }
    }

    /// So many bytes wait now.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.meter.waiting.fetch_add(bytes - self.bytes, Ordering::Relaxed);
            self.meter.taken_in.fetch_add((bytes - self.bytes) as u64, Ordering::Relaxed);
        } else {
            self.meter.waiting.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// Whether the view goes: then nothing waits any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.meter.is_stopped(self.worker)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excess_is_found_once_and_counts_traces_and_what_waits() {
        let meter = Arc::new(Meter::new(2, Some(6_400)));
        let (mut waiting, mut seen) = (Waiting::new(&meter, 0), [0, 0]);
        waiting.set(100);
        assert!(!meter.finds_excess(0, &mut seen[0], || unreachable!("too little came in")));
        waiting.set(3_000);
        assert!(!meter.finds_excess(0, &mut seen[0], || 3_400));
        waiting.set(0);
        waiting.set(3_000);
        assert!(meter.finds_excess(1, &mut seen[1], || 1));
        waiting.set(6_000);
        assert!(!meter.finds_excess(0, &mut seen[0], || 9_999));
        drop(waiting);
        assert_eq!(meter.waiting_bytes(), 0);
    }

    #[test]
    fn a_view_goes_on_each_worker_by_itself() {
        let meter = Arc::new(Meter::new(2, None));
        meter.stop(1);
        assert_eq!([0, 1].map(|worker| Waiting::new(&meter, worker).is_stopped()), [false, true]);
    }

    #[test]
    fn without_a_limit_nothing_is_measured() {
        let meter = Arc::new(Meter::new(1, None));
        Waiting::new(&meter, 0).set(1 << 40);
        assert!(!meter.finds_excess(0, &mut 0, || unreachable!("nothing to compare with")));
    }
}
