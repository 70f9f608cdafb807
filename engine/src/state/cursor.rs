//! Readers of single keys over several batches.
//!
//! Batches of a trace may hold ticks that since has passed and updates that cancel between
//! batches: every reader here folds all ticks up to the one it reads at.

use std::ops::{ControlFlow, Range};

use crate::types::Tick;

use super::batch::{Batch, Shared};
use super::lanes::add_lanes;

/// The updates of `key` at or after number `position`; empty, at the place where they would be, if
/// there are none.
pub fn key_range(batch: &Batch, position: usize, key: &[u8]) -> Range<usize> {
    let start = batch.seek_key(position, key);
    let found = start < batch.len() && batch.key(start) == key;
    start..if found { batch.skip_key(start) } else { start }
}

/// Adds to `into` the lanes of all updates of `key` with a tick up to `before_or_at`.
///
/// `positions` has one entry a batch, 0 at first; it is moved to the key, so that asking for
/// ascending keys (or the same key again) only gallops forward.
///
/// # Panics
/// Where `positions` or `into` has the wrong length.
pub fn accumulate(
    batches: &[Shared],
    positions: &mut [usize],
    key: &[u8],
    before_or_at: Tick,
    into: &mut [i64],
) {
    assert_eq!(batches.len(), positions.len(), "one position a batch");
    for (batch, position) in batches.iter().zip(positions) {
        *position = batch.seek_key(*position, key);
        let mut row = *position;
        while row < batch.len() && batch.key(row) == key {
            if batch.tick(row) <= before_or_at {
                add_lanes(into, batch.lanes(row));
            }
            row += 1;
        }
    }
}

/// From which end the values of a key are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// From the least value up.
    Front,
    /// From the greatest value down.
    Back,
}

/// Visits the values of `key` from the least on: each with its net count (lane 0, all batches,
/// ticks up to `at`) where that is not zero. Ends early where `visit` breaks.
///
/// The cost depends on the values walked (those that cancel included), not on those that the key has.
pub fn walk_front<B>(
    batches: &[Shared],
    key: &[u8],
    at: Tick,
    visit: impl FnMut(&[u8], i64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk(End::Front, batches, key, at, visit)
}

/// `walk_front` from the greatest value down.
pub fn walk_back<B>(
    batches: &[Shared],
    key: &[u8],
    at: Tick,
    visit: impl FnMut(&[u8], i64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk(End::Back, batches, key, at, visit)
}

fn walk<B>(
    end: End,
    batches: &[Shared],
    key: &[u8],
    at: Tick,
    mut visit: impl FnMut(&[u8], i64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut values = ValueWalk::new(batches, key, end, [at]);
    while let Some((value, [count])) = values.step() {
        if count != 0 {
            visit(value, count)?;
        }
    }
    ControlFlow::Continue(())
}

/// One batch's updates of the key that have not been walked yet; never empty.
struct Window<'a> {
    batch: &'a Batch,
    rows: Range<usize>,
}

impl<'a> Window<'a> {
    fn next_row(&self, end: End) -> usize {
        match end {
            End::Front => self.rows.start,
            End::Back => self.rows.end - 1,
        }
    }

    /// The next value from this end.
    fn value(&self, end: End) -> &'a [u8] {
        self.batch.value(self.next_row(end))
    }

    /// Takes all updates of `value` from this end: adds to the counts, answers how many these were.
    fn take<const N: usize>(
        &mut self,
        end: End,
        value: &[u8],
        ats: &[Tick; N],
        counts: &mut [i64; N],
    ) -> usize {
        let mut taken = 0;
        while !self.rows.is_empty() && self.value(end) == value {
            let row = self.next_row(end);
            let (tick, diff) = (self.batch.tick(row), self.batch.lane(row, 0));
            for (at, count) in ats.iter().zip(counts.iter_mut()) {
                *count += if tick <= *at { diff } else { 0 };
            }
            match end {
                End::Front => self.rows.start += 1,
                End::Back => self.rows.end -= 1,
            }
            taken += 1;
        }
        taken
    }
}

/// Walks the values of one key from one end, each with its net counts (lane 0, all batches) at `N`
/// ticks; values that cancel come, too.
pub(crate) struct ValueWalk<'a, const N: usize> {
    end: End,
    windows: Vec<Window<'a>>,
    ats: [Tick; N],
    visited: usize,
}

impl<'a, const N: usize> ValueWalk<'a, N> {
    /// At the first value from this end.
    pub(crate) fn new(batches: &'a [Shared], key: &[u8], end: End, ats: [Tick; N]) -> Self {
        let windows = batches.iter().map(|batch| Window { batch, rows: key_range(batch, 0, key) });
        let windows = windows.filter(|window| !window.rows.is_empty()).collect();
        ValueWalk { end, windows, ats, visited: 0 }
    }

    /// The value that comes next.
    pub(crate) fn peek(&self) -> Option<&'a [u8]> {
        let values = self.windows.iter().map(|window| window.value(self.end));
        match self.end {
            End::Front => values.min(),
            End::Back => values.max(),
        }
    }

    /// The next value and its counts.
    pub(crate) fn step(&mut self) -> Option<(&'a [u8], [i64; N])> {
        let value = self.peek()?;
        let mut counts = [0; N];
        for window in &mut self.windows {
            self.visited += window.take(self.end, value, &self.ats, &mut counts);
        }
        self.windows.retain(|window| !window.rows.is_empty());
        Some((value, counts))
    }

    /// Leaves out the values before `value`; from the back those at and behind it.
    pub(crate) fn skip_to(&mut self, value: &[u8]) {
        for Window { batch, rows } in &mut self.windows {
            let found = batch.seek(rows.start, batch.key(rows.start), value).min(rows.end);
            match self.end {
                End::Front => rows.start = found,
                End::Back => rows.end = found,
            }
            self.visited += 1;
        }
        self.windows.retain(|window| !window.rows.is_empty());
    }

    /// The updates looked at so far, and the seeks.
    pub(crate) fn visited(&self) -> usize {
        self.visited
    }
}
