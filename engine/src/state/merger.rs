//! `BatchMerger`: two batches become one, in slices of work that the spine hands out as fuel.
//!
//! One pass merges, advances ticks to since and consolidates. Ticks up to since become since,
//! which keeps (key, value, tick) sorted, so what falls together comes one after the other.
//! Updates of one source that lie before the other's next one are copied together, column by column; how many these are
//! is found by steps that double, since rows of one key often come in order of time: then few comparisons do for many.
//! One that may fall together with another waits: others of its (key, value, tick) are added to
//! it, and it is written, if not all zero, when a different one comes.
//!
//! A unit of fuel is one update taken. Nothing is kept for a whole key, so that a merge can stop
//! and go on in the middle of the largest.

use std::cmp::Ordering;

use differential_dataflow::trace::implementations::spine_fueled::Merger;
use timely::progress::frontier::AntichainRef;

use crate::delta::Col;
use crate::types::Tick;

use super::batch::{Batch, Shared};
use super::builder::{BatchBuilder, SizeHint};
use super::lanes::add_lanes;
use super::run::{RUN_BITS, Run};

/// An update that was taken, and to which those that fall together with it are added.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    source: usize,
    row: usize,
    tick: Tick,
}

/// A merge in progress.
#[derive(Debug)]
pub struct BatchMerger {
    /// The next update of each source.
    rows: [usize; 2],
    since: Tick,
    waiting: Option<Waiting>,
    /// The source whose next update is known to lie behind the other's by (key, value).
    behind: Option<usize>,
    /// The lanes of all updates that fell together with the waiting one.
    sum: Vec<i64>,
    builder: BatchBuilder,
}

/// A source, and where its next update is.
struct Source<'a> {
    batch: &'a Batch,
    run: &'a Run,
    /// The next update's place in the run; behind it where none is left.
    at: usize,
    row: usize,
}

impl<'a> Source<'a> {
    fn new(batch: &'a Batch, row: usize) -> Source<'a> {
        let number = (row >> RUN_BITS).min(batch.runs().len() - 1);
        Source { batch, run: &batch.runs()[number], at: row - (number << RUN_BITS), row }
    }

    fn is_done(&self) -> bool {
        self.row == self.batch.len()
    }

    #[inline]
    fn advance(&mut self, rows: usize) {
        self.at += rows;
        self.row += rows;
        if self.at >= self.run.len() {
            *self = Source::new(self.batch, self.row);
        }
    }

    #[inline]
    fn prefix(&self) -> u64 {
        self.run.prefixes[self.at]
    }

    #[inline]
    fn tick(&self, since: Tick) -> Tick {
        self.run.ticks.get(self.at).max(since)
    }

    /// How (key, value, tick) of the next updates of two sources compare.
    #[inline]
    fn compare(&self, other: &Source<'_>, since: Tick) -> Ordering {
        self.prefix().cmp(&other.prefix()).then_with(|| {
            self.batch
                .compare_row(self.row, other.batch, other.row)
                .then_with(|| self.tick(since).cmp(&other.tick(since)))
        })
    }

    /// How many updates, from the next one on, can be copied as they are: their (key, value) lies before that of the
    /// other's next, they are in this run, and none falls together with another; `most` at most. And whether the update
    /// behind them is known to lie behind the other's next.
    #[inline]
    fn alone(&self, other: Option<&Source<'_>>, since: Tick, most: usize) -> (usize, bool) {
        let most = most.min(self.run.len() - self.at);
        let (before, next) = match other {
            Some(other) => self.before(other, most),
            None => (most, None),
        };
        // Where all have one tick, no two of the run are one.
        let alone = match &self.run.ticks {
            Col::Const(..) if self.at + before < self.run.len() => before,
            Col::Const(..) => before - usize::from(before > 0 && self.may_fall_together(before - 1, since)),
            Col::Each(_) => (0..before).take_while(|row| !self.may_fall_together(*row, since)).count(),
        };
        (alone, alone == before && next == Some(Ordering::Greater))
    }

    /// How many of the next `most` updates lie before the other's next one by (key, value), and how the one behind them
    /// compares with it where it is one of these.
    #[inline]
    fn before(&self, other: &Source<'_>, most: usize) -> (usize, Option<Ordering>) {
        let (prefixes, end) = (&self.run.prefixes[self.at..self.at + most], other.prefix());
        let (clear, next) = gallop(most, |row| prefixes[row].cmp(&end));
        if next != Some(Ordering::Equal) {
            return (clear, next);
        }
        let compare = |row| self.batch.compare_row(self.row + clear + row, other.batch, other.row);
        let (more, next) = gallop(most - clear, compare);
        (clear + more, next)
    }

    /// Whether the update so many behind the next one may be one with its successor at `since`.
    #[inline]
    fn may_fall_together(&self, offset: usize, since: Tick) -> bool {
        let (run, row) = (self.run, self.at + offset);
        if row + 1 == run.len() {
            // The successor is in another run.
            return self.row + offset + 1 < self.batch.len();
        }
        run.prefixes[row] == run.prefixes[row + 1]
            && run.ticks.get(row).max(since) == run.ticks.get(row + 1).max(since)
            && run.keys.get(row) == run.keys.get(row + 1)
            && run.values.get(row) == run.values.get(row + 1)
    }
}

/// How many of `len` come before something, which then none behind them does, and how the first that does not compares.
/// Takes steps in the logarithm of the answer.
#[inline]
pub(super) fn gallop(len: usize, compare: impl Fn(usize) -> Ordering) -> (usize, Option<Ordering>) {
    let (mut low, mut step) = (0, 1);
    // Everything below `low` is before; `high` is the least that is known not to be, with how it compares.
    let (mut high, mut at_high) = (len, None);
    while low < high {
        let probe = (low + step - 1).min(low + (high - low) / 2);
        match compare(probe) {
            Ordering::Less => low = probe + 1,
            not_before => (high, at_high) = (probe, Some(not_before)),
        }
        step = if at_high.is_none() { step << 1 } else { usize::MAX / 2 };
    }
    (low, at_high)
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
            rows: [0, 0],
            since,
            waiting: None,
            behind: None,
            sum: vec![0; left.stride()],
            builder: BatchBuilder::with_hint(left.stride(), hint),
        }
    }

    /// Works until the fuel is spent or the merge complete; complete if any fuel is left.
    pub(super) fn work_on(&mut self, left: &Batch, right: &Batch, fuel: &mut isize) {
        let mut sources = [Source::new(left, self.rows[0]), Source::new(right, self.rows[1])];
        while *fuel > 0 && self.step(&mut sources, fuel) {}
        self.rows = sources.map(|source| source.row);
    }

    /// Takes the next update, or several that can be copied; false where none is left.
    #[inline]
    fn step(&mut self, sources: &mut [Source<'_>; 2], fuel: &mut isize) -> bool {
        if self.waiting.is_some() {
            if self.add_to_waiting(sources) {
                *fuel -= 1;
                return true;
            }
            // `done` does not see the sources, so the last update is written here, too.
            self.write_waiting(sources);
        }
        let [left, right] = &*sources;
        let (first, other) = match (left.is_done(), right.is_done(), self.behind.take()) {
            (true, true, _) => return false,
            (false, true, _) => (0, None),
            (true, false, _) => (1, None),
            (false, false, Some(0)) => (1, Some(left)),
            (false, false, Some(_)) => (0, Some(right)),
            (false, false, None) if left.compare(right, self.since).is_le() => (0, Some(right)),
            (false, false, None) => (1, Some(left)),
        };
        let (alone, is_behind) = sources[first].alone(other, self.since, *fuel as usize);
        self.behind = is_behind.then_some(first);
        let source = &mut sources[first];
        if alone > 0 {
            self.builder.append(source.run, source.at..source.at + alone, self.since);
            *fuel -= alone as isize;
        } else {
            self.waiting = Some(Waiting { source: first, row: source.row, tick: source.tick(self.since) });
            self.sum.copy_from_slice(source.run.lanes.get(source.at));
            *fuel -= 1;
        }
        source.advance(alone.max(1));
        true
    }

    /// Adds an update that falls together with the waiting one, if there is one more.
    #[inline]
    fn add_to_waiting(&mut self, sources: &mut [Source<'_>; 2]) -> bool {
        let Some(waiting) = self.waiting else { return false };
        let batch = sources[waiting.source].batch;
        for source in sources {
            let falls_together = !source.is_done()
                && source.tick(self.since) == waiting.tick
                && source.batch.compare_row(source.row, batch, waiting.row).is_eq();
            if falls_together {
                add_lanes(&mut self.sum, source.run.lanes.get(source.at));
                source.advance(1);
                return true;
            }
        }
        false
    }

    fn write_waiting(&mut self, sources: &[Source<'_>; 2]) {
        let Some(Waiting { source, row, tick }) = self.waiting.take() else { return };
        if self.sum.iter().any(|lane| *lane != 0) {
            let batch = sources[source].batch;
            let (prefix, key, value) = (batch.prefix(row), batch.key(row), batch.value(row));
            self.builder.push_prefixed(prefix, key, value, tick, &self.sum);
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
