//! `Meter`: what the operators of one view do and hold, over all workers of this process.
//!
//! It counts the rows that they visit, so that a test can show that a view is incremental; the rows
//! of its hydration; and bytes, so that a view that grows beyond its limit is found. State in traces is
//! measured from time to time: a view is looked at again when it has taken in a part of its limit
//! since. What waits for its tick is in no trace yet and is counted as it comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Traces are measured again when this part of the limit has been taken in since.
const MEASURES: usize = 64;

/// The counts of one view. Shared by its operators on all workers of a process.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    name: String,
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
    /// Bytes in other processes, by their number.
    elsewhere: Mutex<BTreeMap<usize, usize>>,
    bytes_max: Option<usize>,
    is_exceeded: AtomicBool,
    /// On which workers the view goes.
    stopped: Vec<AtomicBool>,
}

impl Meter {
    /// Of a view that may hold so many bytes on this many workers.
    pub(crate) fn new(name: &str, workers: usize, bytes_max: Option<usize>) -> Meter {
        let traces = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        let stopped = (0..workers).map(|_| AtomicBool::new(false)).collect();
        Meter { name: name.to_owned(), traces, stopped, bytes_max, ..Meter::default() }
    }

    /// What errors call the view.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that it may hold.
    pub(crate) fn bytes_max(&self) -> Option<usize> {
        self.bytes_max
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

    /// Measures what a view that has a limit holds on this worker, where it has taken in enough beyond the `seen` bytes at
    /// which this worker measured it last; whether it did. `measure` gives the bytes of its traces.
    pub(crate) fn measure(&self, worker: usize, seen: &mut u64, measure: impl FnOnce() -> usize) -> bool {
        let Some(bytes_max) = self.bytes_max else { return false };
        let taken_in = self.taken_in.load(Ordering::Relaxed);
        if taken_in - *seen <= (bytes_max / MEASURES) as u64 {
            return false;
        }
        *seen = taken_in;
        if let Some(own) = self.traces.get(worker) {
            own.store(measure(), Ordering::Relaxed);
        }
        true
    }

    /// The bytes that the view holds in this process, as they were measured last.
    pub(crate) fn held(&self) -> usize {
        let in_traces: usize = self.traces.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum();
        in_traces + self.waiting_bytes()
    }

    /// Another process holds so many bytes of the view.
    pub(crate) fn note_elsewhere(&self, process: usize, bytes: usize) {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).insert(process, bytes);
    }

    /// Whether the view holds more than it may, over all processes. True once.
    pub(crate) fn is_exceeded(&self) -> bool {
        let Some(bytes_max) = self.bytes_max else { return false };
        let elsewhere: usize = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        self.held() + elsewhere > bytes_max && !self.is_exceeded.swap(true, Ordering::Relaxed)
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
    fn an_excess_is_found_once_and_counts_traces_what_waits_and_other_processes() {
        let meter = Arc::new(Meter::new("v", 2, Some(6_400)));
        let (mut waiting, mut seen) = (Waiting::new(&meter, 0), [0, 0]);
        waiting.set(100);
        assert!(!meter.measure(0, &mut seen[0], || unreachable!("too little came in")));
        waiting.set(3_000);
        assert!(meter.measure(0, &mut seen[0], || 3_000) && !meter.is_exceeded());
        waiting.set(0);
        waiting.set(3_000);
        assert!(meter.measure(1, &mut seen[1], || 1) && !meter.is_exceeded());
        meter.note_elsewhere(1, 400);
        assert!(meter.is_exceeded());
        waiting.set(6_000);
        assert!(meter.measure(0, &mut seen[0], || 9_999) && !meter.is_exceeded());
        drop(waiting);
        assert_eq!(meter.waiting_bytes(), 0);
    }

    #[test]
    fn a_view_goes_on_each_worker_by_itself() {
        let meter = Arc::new(Meter::new("v", 2, None));
        meter.stop(1);
        assert_eq!([0, 1].map(|worker| Waiting::new(&meter, worker).is_stopped()), [false, true]);
    }

    #[test]
    fn without_a_limit_nothing_is_measured() {
        let meter = Arc::new(Meter::new("v", 1, None));
        Waiting::new(&meter, 0).set(1 << 40);
        assert!(!meter.measure(0, &mut 0, || unreachable!("nothing to compare with")));
        assert!(!meter.is_exceeded());
    }
}
