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
    walk(End::Front, windows(batches, key), at, visit)
}

/// `walk_front` from the greatest value down.
pub fn walk_back<B>(
    batches: &[Shared],
    key: &[u8],
    at: Tick,
    visit: impl FnMut(&[u8], i64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk(End::Back, windows(batches, key), at, visit)
}

/// From which end the values are walked.
#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

/// One batch's updates of the key that have not been walked yet; never empty.
struct Window<'a> {
    batch: &'a Batch,
    rows: Range<usize>,
}

fn windows<'a>(batches: &'a [Shared], key: &[u8]) -> Vec<Window<'a>> {
    let all = batches.iter().map(|batch| Window { batch, rows: key_range(batch, 0, key) });
    all.filter(|window| !window.rows.is_empty()).collect()
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

    /// Takes all updates of `value` from this end; answers their count.
    fn take(&mut self, end: End, value: &[u8], at: Tick) -> i64 {
        let mut count = 0;
        while !self.rows.is_empty() && self.value(end) == value {
            let row = self.next_row(end);
            if self.batch.tick(row) <= at {
                count += self.batch.lane(row, 0);
            }
            match end {
                End::Front => self.rows.start += 1,
                End::Back => self.rows.end -= 1,
            }
        }
        count
    }
}

fn walk<B>(
    end: End,
    mut windows: Vec<Window<'_>>,
    at: Tick,
    mut visit: impl FnMut(&[u8], i64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    loop {
        let values = windows.iter().map(|window| window.value(end));
        let next = match end {
            End::Front => values.min(),
            End::Back => values.max(),
        };
        let Some(value) = next else { return ControlFlow::Continue(()) };
        let count: i64 = windows.iter_mut().map(|window| window.take(end, value, at)).sum();
        windows.retain(|window| !window.rows.is_empty());
        if count != 0 {
            visit(value, count)?;
        }
    }
}
