//! `BatchMerger`: two batches become one, in slices of work that the spine hands out as fuel.
//!
//! One pass merges, advances ticks to since and consolidates. Ticks up to since become since,
//! which keeps (key, value, tick) sorted, so what falls together comes one after the other:
//! the update taken last waits, others of its (key, value, tick) are added to it, and it is
//! written, if not all zero, when a different one comes.
//!
//! A unit of fuel is one update taken. Nothing is kept for a whole key, so that a merge can stop
//! and go on in the middle of the largest.

use differential_dataflow::trace::implementations::spine_fueled::Merger;
use timely::progress::frontier::AntichainRef;

use crate::types::Tick;

use super::batch::{Batch, Shared};
use super::builder::{BatchBuilder, SizeHint};
use super::lanes::add_lanes;

/// Which of the two sources.
#[derive(Clone, Copy, Debug)]
enum Side {
    Left,
    Right,
}

/// The update taken last.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    side: Side,
    row: usize,
    tick: Tick,
}

/// A merge in progress.
#[derive(Debug)]
pub struct BatchMerger {
    left: usize,
    right: usize,
    since: Tick,
    waiting: Option<Waiting>,
    /// The lanes of all updates that fell together with the waiting one.
    sum: Vec<i64>,
    builder: BatchBuilder,
}

impl BatchMerger {
    /// Begins a merge that advances ticks to `since`.
    ///
    /// # Panics
    /// Where the batches have different strides.
    pub fn begin(left: &Batch, right: &Batch, since: Tick) -> BatchMerger {
        assert_eq!(left.stride(), right.stride(), "one stride for all batches of a trace");
        let (a, b) = (left.size_hint(), right.size_hint());
        let hint = SizeHint {
            rows: a.rows + b.rows,
            key_bytes: a.key_bytes + b.key_bytes,
            value_bytes: a.value_bytes + b.value_bytes,
        };
        BatchMerger {
            left: 0,
            right: 0,
            since,
            waiting: None,
            sum: vec![0; left.stride()],
            builder: BatchBuilder::with_hint(left.stride(), hint),
        }
    }

    /// The side whose next update comes first; `None` when both are exhausted.
    #[inline]
    fn next_side(&self, left: &Batch, right: &Batch) -> Option<Side> {
        match (self.left < left.len(), self.right < right.len()) {
            (true, true) => {
                let ticks =
                    || left.tick(self.left).max(self.since).cmp(&right.tick(self.right).max(self.since));
                let order = left.compare_row(self.left, right, self.right).then_with(ticks);
                Some(if order.is_le() { Side::Left } else { Side::Right })
            }
            (true, false) => Some(Side::Left),
            (false, true) => Some(Side::Right),
            (false, false) => None,
        }
    }

    /// Takes the next update of a side: adds it to the waiting one, or lets it wait instead.
    #[inline]
    fn take(&mut self, left: &Batch, right: &Batch, side: Side) {
        let (batch, position) = match side {
            Side::Left => (left, &mut self.left),
            Side::Right => (right, &mut self.right),
        };
        let row = *position;
        *position += 1;
        let tick = batch.tick(row).max(self.since);
        if let Some(waiting) = self.waiting {
            let source = match waiting.side {
                Side::Left => left,
                Side::Right => right,
            };
            if waiting.tick == tick && source.compare_row(waiting.row, batch, row).is_eq() {
                return add_lanes(&mut self.sum, batch.lanes(row));
            }
        }
        self.write_waiting(left, right);
        self.waiting = Some(Waiting { side, row, tick });
        self.sum.copy_from_slice(batch.lanes(row));
    }

    fn write_waiting(&mut self, left: &Batch, right: &Batch) {
        let Some(Waiting { side, row, tick }) = self.waiting.take() else { return };
        if self.sum.iter().all(|lane| *lane == 0) {
            return;
        }
        let source = match side {
            Side::Left => left,
            Side::Right => right,
        };
        let (prefix, key, value) = (source.prefix(row), source.key(row), source.value(row));
        self.builder.push_prefixed(prefix, key, value, tick, &self.sum);
    }

    /// Works until the fuel is spent or the merge complete; complete if any fuel is left.
    pub(super) fn work_on(&mut self, left: &Batch, right: &Batch, fuel: &mut isize) {
        while *fuel > 0 {
            let Some(side) = self.next_side(left, right) else {
                // `done` does not see the sources, so the last update is written here.
                return self.write_waiting(left, right);
            };
            self.take(left, right, side);
            *fuel -= 1;
        }
    }

    pub(super) fn finish(self) -> Option<Shared> {
        debug_assert!(self.waiting.is_none(), "the merge is not complete");
        self.builder.finish().map(Shared::from)
    }
}

/// Merges two batches whole, ticks as they are; `None` where they cancel.
pub(super) fn merge(left: &Shared, right: &Shared) -> Option<Shared> {
    let mut merger = BatchMerger::begin(left, right, Tick::MIN);
    let mut fuel = isize::MAX;
    merger.work_on(left, right, &mut fuel);
    merger.finish()
}

impl Merger<Shared> for BatchMerger {
    fn new(left: &Shared, right: &Shared, since: AntichainRef<'_, Tick>) -> BatchMerger {
        // An empty since means that nobody will read again: then ticks stay as they are.
        BatchMerger::begin(left, right, since.first().copied().unwrap_or(Tick::MIN))
    }

    fn work(&mut self, left: &Shared, right: &Shared, fuel: &mut isize) {
        self.work_on(left, right, fuel);
    }

    fn done(self) -> Option<Shared> {
        self.finish()
    }
}
