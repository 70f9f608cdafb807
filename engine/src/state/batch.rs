//! `Batch`: sorted updates in runs, and `Shared`, the handle that traces and readers hold.
//!
//! All runs but the last are full, so that the update with number `i` is number `i & 16383` of run
//! `i >> 14`. Searches gallop from where the reader stands: readers come with ascending keys.

use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use differential_dataflow::trace::implementations::spine_fueled::SpineBatch;

use crate::types::Tick;

use super::builder::SizeHint;
use super::merger::{BatchMerger, gallop};
use super::run::{RUN_BITS, RUN_ROWS, Run, compare_keys, prefix_of};

/// Immutable sorted updates. Invariant: not empty; sorted by (key, value, tick), unique, no
/// all-zero lanes; all runs but the last hold `RUN_ROWS` updates.
#[derive(Debug)]
pub struct Batch {
    runs: Vec<Run>,
    len: usize,
    stride: usize,
    ticks: (Tick, Tick),
    bytes: usize,
}

impl Batch {
    /// A batch of these runs; `None` without updates.
    pub(super) fn of_runs(stride: usize, mut runs: Vec<Run>) -> Option<Batch> {
        let spans = runs.iter().filter_map(Run::tick_span);
        let ticks = spans.reduce(|all, run| (all.0.min(run.0), all.1.max(run.1)))?;
        let full = &runs[..runs.len() - 1];
        debug_assert!(full.iter().all(|run| run.len() == RUN_ROWS));
        runs.shrink_to_fit();
        let len = runs.iter().map(Run::len).sum();
        let bytes = size_of::<Batch>() + runs.iter().map(Run::bytes).sum::<usize>();
        Some(Batch { runs, len, stride, ticks, bytes })
    }

    /// The number of updates.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never true: kept because `len` without it surprises.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lanes an update.
    #[inline]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The bytes of memory that the batch takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The least tick of an update.
    pub fn tick_min(&self) -> Tick {
        self.ticks.0
    }

    /// The greatest tick of an update.
    pub fn tick_max(&self) -> Tick {
        self.ticks.1
    }

    /// The runs, in order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    #[inline]
    fn at(&self, row: usize) -> (&Run, usize) {
        (&self.runs[row >> RUN_BITS], row & (RUN_ROWS - 1))
    }

    /// The key of an update.
    ///
    /// # Panics
    /// As all accessors, where `row` is out of range.
    #[inline]
    pub fn key(&self, row: usize) -> &[u8] {
        let (run, row) = self.at(row);
        run.keys.get(row)
    }

    #[inline]
    pub(super) fn prefix(&self, row: usize) -> u64 {
        let (run, row) = self.at(row);
        run.prefixes[row]
    }

    /// The value of an update.
    #[inline]
    pub fn value(&self, row: usize) -> &[u8] {
        let (run, row) = self.at(row);
        run.values.get(row)
    }

    /// The tick of an update.
    #[inline]
    pub fn tick(&self, row: usize) -> Tick {
        let (run, row) = self.at(row);
        run.ticks.get(row)
    }

    /// The lanes of an update.
    #[inline]
    pub fn lanes(&self, row: usize) -> &[i64] {
        let (run, row) = self.at(row);
        run.lanes.get(row)
    }

    /// One lane of an update.
    #[inline]
    pub fn lane(&self, row: usize, lane: usize) -> i64 {
        self.lanes(row)[lane]
    }

    /// The first update at or after number `from` whose key is `key` or greater; `len` if none is.
    pub fn seek_key(&self, from: usize, key: &[u8]) -> usize {
        let prefix = prefix_of(key);
        self.gallop(from, |row| self.compare_key(row, prefix, key).is_lt())
    }

    /// The first update after number `row` that has another key; `len` if none has.
    pub fn skip_key(&self, row: usize) -> usize {
        let (prefix, key) = (self.prefix(row), self.key(row));
        self.gallop(row + 1, |other| self.compare_key(other, prefix, key).is_le())
    }

    /// The first update at or after number `from` that is at or behind (key, value); `len` if none is.
    pub fn seek(&self, from: usize, key: &[u8], value: &[u8]) -> usize {
        let prefix = prefix_of(key);
        self.gallop(from, |row| {
            self.compare_key(row, prefix, key).then_with(|| self.value(row).cmp(value)).is_lt()
        })
    }

    /// How an update's key compares with a key given with its prefix.
    #[inline]
    pub(super) fn compare_key(&self, row: usize, prefix: u64, key: &[u8]) -> Ordering {
        let (run, row) = self.at(row);
        compare_keys(run.prefixes[row], prefix, || run.keys.get(row), || key)
    }

    /// How (key, value) of an update compares with that of another, maybe in another batch.
    #[inline]
    pub(super) fn compare_row(&self, row: usize, other: &Batch, other_row: usize) -> Ordering {
        let ((left, i), (right, j)) = (self.at(row), other.at(other_row));
        compare_keys(left.prefixes[i], right.prefixes[j], || left.keys.get(i), || right.keys.get(j))
            .then_with(|| left.values.get(i).cmp(right.values.get(j)))
    }

    /// The first row at or after `from` for which `before` is false. `before` must be true up to
    /// some row and false from there on. Takes steps in the logarithm of the distance.
    fn gallop(&self, from: usize, before: impl Fn(usize) -> bool) -> usize {
        let from = from.min(self.len);
        let compare = |row| if before(from + row) { Ordering::Less } else { Ordering::Greater };
        from + gallop(self.len - from, compare).0
    }

    /// The memory that a copy needs.
    pub(super) fn size_hint(&self) -> SizeHint {
        let sum = |bytes: fn(&Run) -> usize| self.runs.iter().map(bytes).sum();
        SizeHint {
            rows: self.len,
            key_bytes: sum(|run| run.keys.data_bytes()),
            value_bytes: sum(|run| run.values.data_bytes()),
        }
    }
}

/// A shared handle to a batch. Not `Rc`: readers and checkpoints scan on their own threads.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Batch>);

impl Deref for Shared {
    type Target = Batch;

    #[inline]
    fn deref(&self) -> &Batch {
        &self.0
    }
}

impl From<Batch> for Shared {
    fn from(batch: Batch) -> Shared {
        Shared(Arc::new(batch))
    }
}

impl SpineBatch for Shared {
    type Time = Tick;
    type Merger = BatchMerger;

    fn len(&self) -> usize {
        self.0.len
    }
}
