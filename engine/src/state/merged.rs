//! Readers of everything: all updates of several batches in one order, and their net rows at a tick.
//!
//! Both own handles to the batches, so that they can be moved to another thread and outlive the
//! trace.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::types::Tick;

use super::batch::Shared;

/// A batch with the number of its next update.
struct Head {
    batch: Shared,
    index: usize,
    row: usize,
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
        let heads = batches.iter().enumerate();
        MergedRows {
            heads: heads.map(|(index, batch)| Head { batch: batch.clone(), index, row: 0 }).collect(),
        }
    }
}

impl Iterator for MergedRows {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let mut head = self.heads.peek_mut()?;
        let item = (head.index, head.row);
        if head.row + 1 < head.batch.len() {
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
}

impl NetRows {
    /// All changes at or before `tick` count.
    pub fn new(batches: Vec<Shared>, tick: Tick) -> NetRows {
        let mut merged = MergedRows::new(&batches);
        let next = merged.next();
        NetRows { batches, merged, tick, next }
    }

    /// The key of a net row.
    pub fn key(&self, row: NetRow) -> &[u8] {
        self.batches[row.batch].key(row.row)
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
