//! Dead ranges: where a walk along the values of a key need not look, because all of them cancel.
//!
//! Whoever deletes the least value of a key again and again leaves cancelled updates at the front
//! until the spine merges them with the batch that holds the values; a walk from the front would
//! pass them all, every time. So the walk remembers the ranges in which it found nothing alive, and
//! leaps over them the next time. An update inside a range takes its value out of it.
//!
//! ```text
//!   values   a   b   c   d   e   f   g        [b, f) is dead: from a the walk goes on at f
//!   alive    x                   x   x        after an update of d: [b, d) and [d\0, f)
//! ```
//! Invariant: at the reader's tick, the counts of all values inside a range are zero.
//!
//! This is a cache: it is not saved, and dropping any of it costs one more walk.

use std::collections::{BTreeMap, HashMap};

use crate::types::Tick;

use super::batch::Shared;
use super::cursor::{End, ValueWalk};

/// The dead values that a walk must pass one by one before it remembers them: a range is worth more
/// than the memory it takes.
pub(crate) const DEAD_MIN: usize = 8;

/// The dead ranges of one key, disjoint: start (dead) to end (exclusive).
#[derive(Debug, Default)]
pub(crate) struct KeyRanges(BTreeMap<Vec<u8>, Vec<u8>>);

impl KeyRanges {
    /// The value may be alive from now on.
    pub(crate) fn touch(&mut self, value: &[u8]) {
        let Some((start, end)) = self.containing(value) else { return };
        let (start, end, after) = (start.to_vec(), end.to_vec(), successor(value));
        self.0.remove(&start);
        if start.as_slice() < value {
            self.0.insert(start, value.to_vec());
        }
        if after < end {
            self.0.insert(after, end);
        }
    }

    /// The range that a value lies in.
    fn containing(&self, value: &[u8]) -> Option<(&[u8], &[u8])> {
        let up_to = (std::ops::Bound::Unbounded, std::ops::Bound::Included(value));
        let (start, end) = self.0.range::<[u8], _>(up_to).next_back()?;
        (value < end.as_slice()).then_some((start, end))
    }

    /// Remembers a range that holds whole all ranges which it overlaps.
    fn insert(&mut self, start: Vec<u8>, end: Vec<u8>) {
        let inside: Vec<Vec<u8>> =
            self.0.range(start.clone()..end.clone()).map(|(start, _)| start.clone()).collect();
        inside.iter().for_each(|start| drop(self.0.remove(start)));
        self.0.insert(start, end);
    }
}

/// The least byte string behind `value`.
fn successor(value: &[u8]) -> Vec<u8> {
    [value, &[0]].concat()
}

/// The dead ranges of all keys of a trace.
#[derive(Debug, Default)]
pub(crate) struct DeadRanges {
    by_key: HashMap<Vec<u8>, KeyRanges>,
    ranges: usize,
}

impl DeadRanges {
    /// Takes the ranges of a key out, to walk it.
    pub(crate) fn take(&mut self, key: &[u8]) -> KeyRanges {
        let ranges = if self.by_key.is_empty() { None } else { self.by_key.remove(key) };
        let ranges = ranges.unwrap_or_default();
        self.ranges -= ranges.0.len();
        ranges
    }

    /// Puts a key's ranges back.
    pub(crate) fn put(&mut self, key: &[u8], ranges: KeyRanges) {
        if !ranges.0.is_empty() {
            self.ranges += ranges.0.len();
            self.by_key.insert(key.to_vec(), ranges);
        }
    }

    /// Forgets all where there are more ranges than a trace of so many updates can have use for:
    /// merging has removed what many of them stood for.
    pub(crate) fn trim(&mut self, updates: usize) {
        if self.ranges * DEAD_MIN > updates {
            *self = DeadRanges::default();
        }
    }
}

/// Walks the values of one key of which some count is not zero, leaping over dead ranges.
pub(crate) struct LiveWalk<'a, const N: usize> {
    walk: ValueWalk<'a, N>,
    end: End,
    ranges: &'a mut KeyRanges,
    /// The dead values passed since the last one alive.
    run: Option<Run>,
}

/// Dead values in a row.
struct Run {
    start: Vec<u8>,
    end: Vec<u8>,
    /// Values passed one by one.
    passed: usize,
    /// Ranges leapt over.
    leaps: usize,
}

impl<'a, const N: usize> LiveWalk<'a, N> {
    /// At the first value from this end. The ranges hold at all of these ticks.
    pub(crate) fn new(
        batches: &'a [Shared],
        key: &[u8],
        end: End,
        ats: [Tick; N],
        ranges: &'a mut KeyRanges,
    ) -> Self {
        LiveWalk { walk: ValueWalk::new(batches, key, end, ats), end, ranges, run: None }
    }

    /// From the front: goes on behind `value`.
    pub(crate) fn skip_behind(&mut self, value: &[u8]) {
        self.walk.skip_to(&successor(value));
    }

    /// The next value of which some count is not zero, and the counts.
    pub(crate) fn step(&mut self) -> Option<(&'a [u8], [i64; N])> {
        while let Some(value) = self.walk.peek() {
            if let Some((start, end)) = self.ranges.containing(value) {
                self.walk.skip_to(if self.end == End::Front { end } else { start });
                let (start, end) = (start.to_vec(), end.to_vec());
                self.extend_run(start, end, 0, 1);
                continue;
            }
            let (value, counts) = self.walk.step()?;
            if counts.iter().any(|count| *count != 0) {
                self.remember();
                return Some((value, counts));
            }
            self.extend_run(value.to_vec(), successor(value), 1, 0);
        }
        self.remember();
        None
    }

    /// The updates looked at so far, and the seeks.
    pub(crate) fn visited(&self) -> usize {
        self.walk.visited()
    }

    fn extend_run(&mut self, start: Vec<u8>, end: Vec<u8>, passed: usize, leaps: usize) {
        let Some(run) = &mut self.run else {
            self.run = Some(Run { start, end, passed, leaps });
            return;
        };
        match self.end {
            End::Front => run.end = end,
            End::Back => run.start = start,
        }
        run.passed += passed;
        run.leaps += leaps;
    }

    /// Keeps the run that ends here, where it is long, or joins ranges that are remembered.
    fn remember(&mut self) {
        if let Some(run) = self.run.take()
            && (run.passed >= DEAD_MIN || run.leaps > 1)
        {
            self.ranges.insert(run.start, run.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::model::{Model, Update, container, updates};
    use super::*;

    /// Values close together, so that runs of dead ones arise and are broken.
    fn history() -> impl Strategy<Value = Vec<Vec<(u8, i64)>>> {
        vec(vec((0u8..60, prop::sample::select(vec![-1i64, 1, 1])), 1..60), 1..8)
    }

    proptest! {
        /// A walk that remembers sees at each tick, from both ends, what a walk without memory sees.
        #[test]
        fn leaping_over_dead_ranges_changes_nothing(history in history()) {
            let key = b"key".to_vec();
            let mut ranges = KeyRanges::default();
            let mut all: Vec<Update> = Vec::new();
            let mut batches: Vec<Shared> = Vec::new();
            for (tick, changes) in history.iter().enumerate() {
                let tick = tick as Tick;
                let update = |(value, diff): &(u8, i64)| (key.clone(), vec![*value], tick, vec![*diff]);
                let mut fresh: Vec<Update> = changes.iter().map(update).collect();
                // Every other tick kills most of what is alive.
                if tick % 2 == 1 {
                    let alive = Model::of(&all).at(Tick::MAX);
                    fresh.extend(alive.into_iter().filter(|((_, value), _)| value[0] % 13 != 0).map(
                        |((key, value), lanes)| (key, value, tick, vec![-lanes[0]])));
                }
                fresh.iter().for_each(|(_, value, _, _)| ranges.touch(value));
                batches.extend(container(1, &fresh).sorted().map(Shared::from));
                all.extend(fresh);
                let expected: Vec<(Vec<u8>, i64)> = Model::of(&all)
                    .at(Tick::MAX).into_iter().map(|((_, value), lanes)| (value, lanes[0])).collect();
                for end in [End::Front, End::Back] {
                    let mut found = Vec::new();
                    let mut walk = LiveWalk::new(&batches, &key, end, [tick], &mut ranges);
                    while let Some((value, [count])) = walk.step() {
                        found.push((value.to_vec(), count));
                    }
                    if end == End::Back {
                        found.reverse();
                    }
                    prop_assert_eq!(&found, &expected);
                }
            }
        }

        #[test]
        fn ranges_stay_disjoint_and_lose_what_is_touched(touched in vec(0u8..200, 0..40)) {
            let mut ranges = KeyRanges::default();
            ranges.insert(vec![10], vec![150]);
            touched.iter().for_each(|value| ranges.touch(&[*value]));
            for value in 0u8..200 {
                let dead = (10..150).contains(&value) && !touched.contains(&value);
                prop_assert_eq!(ranges.containing(&[value]).is_some(), dead, "{}", value);
            }
        }

        #[test]
        fn what_is_taken_out_and_put_back_is_counted_right(random in updates(1, 0..3, 0..20)) {
            let mut dead = DeadRanges::default();
            for (key, value, _, _) in &random {
                let mut ranges = dead.take(key);
                ranges.insert(value.clone(), successor(value));
                dead.put(key, ranges);
            }
            let counted: usize = dead.by_key.values().map(|ranges| ranges.0.len()).sum();
            prop_assert_eq!(dead.ranges, counted);
            dead.trim(counted * DEAD_MIN);
            prop_assert_eq!(dead.ranges, counted);
            dead.trim((counted * DEAD_MIN).saturating_sub(1));
            prop_assert_eq!(dead.ranges, 0);
        }
    }

    #[test]
    fn a_second_walk_leaps_over_what_the_first_passed() {
        let update = |value: u32, tick, diff| (b"k".to_vec(), value.to_be_bytes().to_vec(), tick, vec![diff]);
        let values: Vec<Update> = (0..10_000).map(|value| update(value, 1, 1)).collect();
        let deleted: Vec<Update> = (0..9_000).map(|value| update(value, 2, -1)).collect();
        let batches: Vec<Shared> = [values, deleted]
            .iter()
            .filter_map(|part| container(1, part).sorted().map(Shared::from))
            .collect();
        let mut ranges = KeyRanges::default();
        let mut visited = |end| {
            let mut walk = LiveWalk::new(&batches, b"k", end, [2], &mut ranges);
            assert!(walk.step().is_some());
            walk.visited()
        };
        assert!(visited(End::Front) >= 18_000);
        assert!(visited(End::Front) < 5);
        assert_eq!(visited(End::Back), 1);
    }
}
