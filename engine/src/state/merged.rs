//! Readers of everything: all updates of several batches in one order, and their net rows at a tick.
//!
//! Both own handles to the batches, so that they can be moved to another thread and outlive the
//! trace.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

use crate::types::Tick;

use super::batch::Shared;
use super::cursor::key_range;

/// A batch with the number of its next update, and where it ends to be read.
struct Head {
    batch: Shared,
    index: usize,
    row: usize,
    end: usize,
}

impl Head {
    fn compare(&self, other: &Head) -> Ordering {
        self.batch
            .compare_row(self.row, &other.batch, other.row)
            .then_with(|| self.batch.tick(self.row).cmp(&other.batch.tick(other.row)))
            .then_with(|| self.index.cmp(&other.index))
    }
}

// The standard heap gives the greatest first; so the head that comes first counts as greater.
impl Ord for Head {
    fn cmp(&self, other: &Head) -> Ordering {
        other.compare(self)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// All updates of several batches in the order of (key, value, tick), as (number of the batch,
/// number of the update in it).
pub struct MergedRows {
    heads: BinaryHeap<Head>,
}

impl MergedRows {
    /// From the beginning of all these batches.
    pub fn new(batches: &[Shared]) -> MergedRows {
        MergedRows::within(batches, |batch| 0..batch.len())
    }

    /// Of each batch the updates in the range that `range` tells.
    pub fn within(batches: &[Shared], range: impl Fn(&Shared) -> Range<usize>) -> MergedRows {
        let head = |(index, batch): (usize, &Shared)| {
            let Range { start, end } = range(batch);
            (start < end).then(|| Head { batch: batch.clone(), index, row: start, end })
        };
        MergedRows { heads: batches.iter().enumerate().filter_map(head).collect() }
    }
}

impl Iterator for MergedRows {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let mut head = self.heads.peek_mut()?;
        let item = (head.index, head.row);
        if head.row + 1 < head.end {
            head.row += 1;
        } else {
            PeekMut::pop(head);
        }
        Some(item)
    }
}

/// A (key, value) whose lane 0 does not sum to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetRow {
    /// Number of a batch that holds it.
    pub batch: usize,
    /// Number of an update there that has the key and the value.
    pub row: usize,
    /// The sum over all batches and all ticks up to the reader's.
    pub count: i64,
}

/// The (key, value) pairs of several batches at one tick, in order, each with its net count.
pub struct NetRows {
    batches: Vec<Shared>,
    merged: MergedRows,
    tick: Tick,
    /// The update that ended the last group.
    next: Option<(usize, usize)>,
    visited: u64,
}

impl NetRows {
    /// All changes at or before `tick` count.
    pub fn new(batches: Vec<Shared>, tick: Tick) -> NetRows {
        let merged = MergedRows::new(&batches);
        NetRows::of(batches, merged, tick)
    }

    /// The pairs that have this key: they are sought, not scanned for.
    pub fn of_key(batches: Vec<Shared>, key: &[u8], tick: Tick) -> NetRows {
        let merged = MergedRows::within(&batches, |batch| key_range(batch, 0, key));
        NetRows::of(batches, merged, tick)
    }

    fn of(batches: Vec<Shared>, mut merged: MergedRows, tick: Tick) -> NetRows {
        let next = merged.next();
        NetRows { batches, merged, tick, next, visited: 0 }
    }

    /// The key of a net row.
    pub fn key(&self, row: NetRow) -> &[u8] {
        self.batches[row.batch].key(row.row)
    }

    /// The updates looked at since the last call.
    pub fn take_visited(&mut self) -> u64 {
        std::mem::take(&mut self.visited)
    }

    /// The net count of the group that begins with `first`.
    fn count_group(&mut self, first: (usize, usize)) -> i64 {
        let mut count: i64 = 0;
        self.next = Some(first);
        while let Some((batch, row)) = self.next {
            let updates = &self.batches[batch];
            if updates.compare_row(row, &self.batches[first.0], first.1).is_ne() {
                break;
            }
            if updates.tick(row) <= self.tick {
                count += updates.lane(row, 0);
            }
            self.visited += 1;
            self.next = self.merged.next();
        }
        count
    }
}

impl Iterator for NetRows {
    type Item = NetRow;

    fn next(&mut self) -> Option<NetRow> {
        while let Some((batch, row)) = self.next {
            let count = self.count_group((batch, row));
            if count != 0 {
                return Some(NetRow { batch, row, count });
            }
        }
        None
    }
}
