//! `UpdateBatcher`: collects updates until their ticks are complete, then gives them as one batch.
//!
//! Each container is sorted when it arrives, and sorted chunks of similar size are merged at once,
//! so that few chunks, each at least twice as long as the next, wait for `extract`.

use std::cmp::Ordering;

use crate::delta::Col;
use crate::types::Tick;

use super::batch::{Batch, Shared};
use super::builder::{BatchBuilder, SizeHint};
use super::bytes::ByteRows;
use super::lanes::{Lanes, add_lanes};
use super::merger::merge;
use super::run::{compare_keys, prefix_of};

/// Updates in any order. Invariant: the four columns have one length.
#[derive(Clone, Debug)]
pub struct Updates {
    /// The keys, encoded by a `RowCodec`.
    pub keys: ByteRows,
    /// The values; empty rows where the key is all.
    pub values: ByteRows,
    /// When each update takes effect.
    pub ticks: Col<Tick>,
    /// What each update adds.
    pub lanes: Lanes,
}

impl Updates {
    /// No updates yet, of `stride` lanes.
    pub fn new(stride: usize) -> Updates {
        Updates {
            keys: ByteRows::default(),
            values: ByteRows::default(),
            ticks: Col::Const(0, 0),
            lanes: Lanes::new(stride),
        }
    }

    /// Appends an update.
    pub fn push(&mut self, key: &[u8], value: &[u8], tick: Tick, lanes: &[i64]) {
        self.keys.push(key);
        self.values.push(value);
        self.ticks.push(tick);
        self.lanes.push(lanes);
    }

    /// The number of updates.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no updates.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The updates sorted and consolidated; `None` where they cancel.
    ///
    /// # Panics
    /// Where the columns differ in length.
    pub fn sorted(&self) -> Option<Batch> {
        assert!(
            self.values.len() == self.len()
                && self.ticks.len() == self.len()
                && self.lanes.len() == self.len(),
            "the columns of updates differ in length"
        );
        let order = self.order();
        let hint = SizeHint {
            rows: self.len(),
            key_bytes: self.keys.data_bytes(),
            value_bytes: self.values.data_bytes(),
        };
        let mut builder = BatchBuilder::with_hint(self.lanes.stride(), hint);
        let mut sum = vec![0; self.lanes.stride()];
        for group in order.chunk_by(|left, right| self.compare(*left, *right).is_eq()) {
            sum.fill(0);
            group.iter().for_each(|(_, row)| add_lanes(&mut sum, self.lanes.get(*row)));
            if sum.iter().any(|lane| *lane != 0) {
                let (prefix, row) = group[0];
                let (key, value) = (self.keys.get(row), self.values.get(row));
                builder.push_prefixed(prefix, key, value, self.ticks.get(row), &sum);
            }
        }
        builder.finish()
    }

    /// The rows with their keys' prefixes, in order.
    fn order(&self) -> Vec<(u64, usize)> {
        let mut order: Vec<(u64, usize)> = self.keys.iter().map(prefix_of).zip(0..).collect();
        order.sort_unstable_by(|left, right| self.compare(*left, *right));
        order
    }

    #[inline]
    fn compare(&self, (left_prefix, left): (u64, usize), (right_prefix, right): (u64, usize)) -> Ordering {
        compare_keys(left_prefix, right_prefix, || self.keys.get(left), || self.keys.get(right))
            .then_with(|| self.values.get(left).cmp(self.values.get(right)))
            .then_with(|| self.ticks.get(left).cmp(&self.ticks.get(right)))
    }
}

/// Holds updates until their ticks are complete. Invariant: chunks are sorted by length,
/// descending, each at least twice as long as the next.
#[derive(Debug, Default)]
pub struct UpdateBatcher {
    chunks: Vec<Shared>,
}

impl UpdateBatcher {
    /// Without updates.
    pub fn new() -> UpdateBatcher {
        UpdateBatcher::default()
    }

    /// Takes updates in; they are sorted here.
    pub fn insert(&mut self, updates: Updates) {
        if let Some(chunk) = updates.sorted() {
            self.add(chunk.into());
        }
    }

    /// Adds a chunk, merging it with others while they are less than twice as long.
    fn add(&mut self, mut chunk: Shared) {
        while let Some(last) = self.chunks.pop_if(|last| last.len() < 2 * chunk.len()) {
            match merge(&last, &chunk) {
                Some(merged) => chunk = merged,
                None => return,
            }
        }
        self.chunks.push(chunk);
    }

    /// Gives all updates before `upper` (`None`: all), sorted and consolidated, and keeps the rest.
    pub fn extract(&mut self, upper: Option<Tick>) -> Option<Shared> {
        let mut ready: Option<Shared> = None;
        let mut kept = Vec::new();
        // Shortest first: what is merged so far is about as long as the next chunk, so that the
        // work is linear in all updates held.
        while let Some(chunk) = self.chunks.pop() {
            let (before, rest) = split(chunk, upper);
            kept.extend(rest);
            ready = match (ready, before) {
                (Some(left), Some(right)) => merge(&left, &right),
                (one, other) => one.or(other),
            };
        }
        kept.into_iter().rev().for_each(|chunk| self.add(chunk));
        ready
    }

    /// The least tick of an update held; `None` when there is none. Updates that cancel between
    /// chunks are held until the chunks meet: the tick may then be lower than what `extract` gives.
    pub fn tick_min(&self) -> Option<Tick> {
        self.chunks.iter().map(|chunk| chunk.tick_min()).min()
    }

    /// Updates held.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Whether no updates are held.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The bytes of memory that the updates take.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes()).sum()
    }
}

/// The updates before `upper`, and the others.
fn split(chunk: Shared, upper: Option<Tick>) -> (Option<Shared>, Option<Shared>) {
    let Some(upper) = upper else { return (Some(chunk), None) };
    if chunk.tick_max() < upper {
        return (Some(chunk), None);
    }
    if chunk.tick_min() >= upper {
        return (None, Some(chunk));
    }
    let mut parts = [BatchBuilder::new(chunk.stride()), BatchBuilder::new(chunk.stride())];
    for row in 0..chunk.len() {
        let tick = chunk.tick(row);
        let part = &mut parts[usize::from(tick >= upper)];
        part.push_prefixed(chunk.prefix(row), chunk.key(row), chunk.value(row), tick, chunk.lanes(row));
    }
    let [before, rest] = parts.map(|part| part.finish().map(Shared::from));
    (before, rest)
}
