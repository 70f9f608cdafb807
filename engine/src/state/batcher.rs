//! `UpdateBatcher`: collects updates until their ticks are complete, then gives them as one batch.
//!
//! What arrives is sorted some thousand updates at a time and goes to a `Ladder` of sorted chunks. The
//! one batch is made by fuel (`prepare`), so that a large one does not hold up the worker.

use std::cmp::Ordering;

use crate::delta::Col;
use crate::types::Tick;

use super::batch::{Batch, Shared};
use super::builder::{BatchBuilder, SizeHint};
use super::bytes::ByteRows;
use super::ladder::Ladder;
use super::lanes::{Lanes, add_lanes};
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

    /// Appends all of these.
    fn append(&mut self, other: &Updates) {
        self.keys.append(&other.keys);
        self.values.append(&other.values);
        self.ticks.append(&other.ticks);
        self.lanes.append(&other.lanes);
    }

    /// The number of updates.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no updates.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The bytes of memory that the updates take.
    fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes() + self.ticks.bytes() + self.lanes.bytes()
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
        let hint = SizeHint {
            rows: self.len(),
            key_bytes: self.keys.data_bytes(),
            value_bytes: self.values.data_bytes(),
        };
        let mut builder = BatchBuilder::with_hint(self.lanes.stride(), hint);
        // Numbers that are not NULL are compared whole, others by what their prefixes leave open.
        match self.keys.words(1) {
            Some(words) => {
                let order = words.zip(0..).collect();
                self.build(
                    &mut builder,
                    order,
                    |word| word >> 1,
                    |left, right| left.0.cmp(&right.0).then_with(|| self.compare_rest(left.1, right.1)),
                );
            }
            None => {
                let order = self.keys.iter().map(prefix_of).zip(0..).collect();
                self.build(
                    &mut builder,
                    order,
                    |prefix| prefix,
                    |left, right| {
                        let keys = (|| self.keys.get(left.1), || self.keys.get(right.1));
                        compare_keys(left.0, right.0, keys.0, keys.1)
                            .then_with(|| self.compare_rest(left.1, right.1))
                    },
                );
            }
        }
        builder.finish()
    }

    /// Builds the batch of the updates given by a number each, which `prefix` makes a key's prefix of.
    fn build(
        &self,
        builder: &mut BatchBuilder,
        mut order: Vec<(u64, usize)>,
        prefix: impl Fn(u64) -> u64,
        compare: impl Fn((u64, usize), (u64, usize)) -> Ordering,
    ) {
        let stands = order.windows(2).all(|pair| compare(pair[0], pair[1]).is_lt());
        if stands && self.lanes.none_is_zero() {
            return builder.append_updates(self, order.iter().map(|(number, _)| prefix(*number)));
        }
        // By their numbers, in the order in which they came where these are equal: what comes in order of time then stands
        // right already, and is not compared byte by byte more than once.
        order.sort_unstable();
        for same in order.chunk_by_mut(|left, right| left.0 == right.0) {
            if !same.is_sorted_by(|left, right| compare(*left, *right).is_le()) {
                same.sort_unstable_by(|left, right| compare(*left, *right));
            }
        }
        let mut sum = vec![0; self.lanes.stride()];
        for group in order.chunk_by(|left, right| compare(*left, *right).is_eq()) {
            sum.fill(0);
            group.iter().for_each(|(_, row)| add_lanes(&mut sum, self.lanes.get(*row)));
            if sum.iter().any(|lane| *lane != 0) {
                let (number, row) = group[0];
                let (key, value) = (self.keys.get(row), self.values.get(row));
                builder.push_prefixed(prefix(number), key, value, self.ticks.get(row), &sum);
            }
        }
    }

    /// Compares what is behind the keys. Of many equal keys without values only ticks are looked at.
    #[inline]
    fn compare_rest(&self, left: usize, right: usize) -> Ordering {
        let ticks = || self.ticks.get(left).cmp(&self.ticks.get(right));
        match self.values.data_bytes() {
            0 => ticks(),
            _ => self.values.get(left).cmp(self.values.get(right)).then_with(ticks),
        }
    }
}

/// Updates that are sorted together while a dataflow hydrates: in well below a millisecond.
const SORTED_HYDRATING: usize = 1 << 11;

/// And afterwards: what is sorted together need not be merged.
const SORTED_LIVE: usize = 1 << 18;

/// Holds updates until their ticks are complete.
///
/// ```text
///   insert ─┬─▶ early: ticks up to the boundary ─┐ prepare(upper): what lies before `upper`
///           └─▶ late: all others ────────split───┴──▶ ready ─unite─▶ one batch ─▶ take
/// ```
/// A dataflow that hydrates has most of its updates at one tick, its as-of; while the large batch of
/// these is made, later ones come in. The boundary keeps the two apart, so that nothing large is split.
#[derive(Debug)]
pub struct UpdateBatcher {
    boundary: Tick,
    early: Side,
    late: Side,
    /// What lies before the upper that is being prepared.
    ready: Ladder,
    /// Whether what lies before that is in `ready` already.
    is_split: bool,
    /// How many updates are sorted together.
    sorted: usize,
}

/// The updates on one side of the boundary.
#[derive(Debug, Default)]
struct Side {
    /// Not sorted yet.
    fresh: Option<Updates>,
    /// The least tick among them.
    fresh_min: Tick,
    ladder: Ladder,
}

impl Default for UpdateBatcher {
    fn default() -> UpdateBatcher {
        UpdateBatcher::with_boundary(Tick::MIN)
    }
}

impl UpdateBatcher {
    /// Without updates.
    pub fn new() -> UpdateBatcher {
        UpdateBatcher::default()
    }

    /// The same; updates up to the boundary tick and later ones are merged with their like alone.
    pub fn with_boundary(boundary: Tick) -> UpdateBatcher {
        let (early, late, ready) = Default::default();
        UpdateBatcher { boundary, early, late, ready, is_split: false, sorted: SORTED_HYDRATING }
    }

    /// Takes updates in.
    pub fn insert(&mut self, updates: Updates) {
        let Some((least, greatest)) = updates.ticks.span() else { return };
        let side = if greatest <= self.boundary { &mut self.early } else { &mut self.late };
        side.insert(updates, least, self.sorted);
    }

    /// Works, as far as the fuel goes, on making one batch of all updates before `upper` (`None`: all);
    /// true once `take` gives it. Until then all calls have the same `upper`, and no update before it
    /// may come in.
    pub fn prepare(&mut self, upper: Option<Tick>, fuel: &mut isize) -> bool {
        if !self.is_split {
            for side in [&mut self.early, &mut self.late] {
                side.sort(fuel);
                if !side.ladder.finish_merges(fuel) {
                    return false;
                }
            }
            self.split(upper, fuel);
        }
        self.ready.unite(fuel)
    }

    /// Moves what lies before `upper` into `ready`.
    fn split(&mut self, upper: Option<Tick>, fuel: &mut isize) {
        for Side { ladder, .. } in [&mut self.early, &mut self.late] {
            for chunk in ladder.take() {
                let (before, rest) = split(chunk, upper, fuel);
                before.into_iter().for_each(|chunk| self.ready.add(chunk));
                rest.into_iter().for_each(|chunk| ladder.add(chunk));
            }
        }
        self.is_split = true;
    }

    /// The batch that was prepared; `None` where the updates cancel or there were none.
    pub fn take(&mut self) -> Option<Shared> {
        self.is_split = false;
        self.sorted = SORTED_LIVE;
        self.ready.take().next()
    }

    /// Gives all updates before `upper` (`None`: all), sorted and consolidated, and keeps the rest.
    pub fn extract(&mut self, upper: Option<Tick>) -> Option<Shared> {
        self.prepare(upper, &mut isize::MAX.clone());
        self.take()
    }

    /// The least tick of an update held; `None` when there is none. Updates that cancel are held until
    /// they meet: the tick may then be lower than what `take` gives.
    pub fn tick_min(&self) -> Option<Tick> {
        let fresh = self.fresh().map(|(_, least)| least);
        self.ladders().filter_map(Ladder::tick_min).chain(fresh).min()
    }

    /// Updates held.
    pub fn len(&self) -> usize {
        let sorted = self.ladders().flat_map(Ladder::chunks).map(|chunk| chunk.len());
        sorted.chain(self.fresh().map(|(fresh, _)| fresh.len())).sum()
    }

    /// Whether no updates are held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that the updates take.
    pub fn bytes(&self) -> usize {
        let sorted = self.ladders().flat_map(Ladder::chunks).map(|chunk| chunk.bytes());
        sorted.chain(self.fresh().map(|(fresh, _)| fresh.bytes())).sum()
    }

    fn ladders(&self) -> impl Iterator<Item = &Ladder> {
        [&self.early.ladder, &self.late.ladder, &self.ready].into_iter()
    }

    /// What is not sorted yet, and the least tick in it.
    fn fresh(&self) -> impl Iterator<Item = (&Updates, Tick)> {
        let sides = [&self.early, &self.late].into_iter();
        sides.filter_map(|side| side.fresh.as_ref().map(|fresh| (fresh, side.fresh_min)))
    }
}

impl Side {
    /// Takes updates in, of which `least` is the least tick; sorts when there are enough of them.
    fn insert(&mut self, updates: Updates, least: Tick, sorted: usize) {
        self.ladder.keep_up(updates.len());
        self.fresh_min = if self.fresh.is_some() { self.fresh_min.min(least) } else { least };
        match &mut self.fresh {
            Some(fresh) => fresh.append(&updates),
            None => self.fresh = Some(updates),
        }
        if self.fresh.as_ref().is_some_and(|fresh| fresh.len() >= sorted) {
            self.sort(&mut 0);
        }
    }

    fn sort(&mut self, fuel: &mut isize) {
        let Some(fresh) = self.fresh.take() else { return };
        *fuel -= fresh.len() as isize;
        if let Some(chunk) = fresh.sorted() {
            self.ladder.add(chunk.into());
        }
    }
}

/// The updates before `upper`, and the others.
fn split(chunk: Shared, upper: Option<Tick>, fuel: &mut isize) -> (Option<Shared>, Option<Shared>) {
    let Some(upper) = upper else { return (Some(chunk), None) };
    if chunk.tick_max() < upper {
        return (Some(chunk), None);
    }
    if chunk.tick_min() >= upper {
        return (None, Some(chunk));
    }
    *fuel -= chunk.len() as isize;
    let mut parts = [BatchBuilder::new(chunk.stride()), BatchBuilder::new(chunk.stride())];
    for row in 0..chunk.len() {
        let tick = chunk.tick(row);
        let part = &mut parts[usize::from(tick >= upper)];
        part.push_prefixed(chunk.prefix(row), chunk.key(row), chunk.value(row), tick, chunk.lanes(row));
    }
    let [before, rest] = parts.map(|part| part.finish().map(Shared::from));
    (before, rest)
}
