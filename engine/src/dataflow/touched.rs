//! The groups that a seal of a reduce touches, read before it and at each of its ticks.
//!
//! ```text
//!   fresh        g1@5  g1@7        g4@5               touched: g1 at 5 and 7, g2 at 6, g4 at 5
//!   ordered            g2@6                           (a group's least value may change, its lanes not)
//!   before ──▶ lanes of g1 ──+5──▶ row ──+7──▶ row    −old +new where they differ
//! ```
//! Groups are turned to in the order of their keys, so that every batch is only searched forward. A unit
//! owns the batches that it reads: the traces go on merging meanwhile.
//!
//! Invariant: a unit's capabilities lie at or before all its ticks, and are kept until it is done.

use std::cmp::Ordering;

use timely::dataflow::operators::Capability;

use super::accumulate::{Accumulator, Outcome};
use super::groups::{Cell, Group, Output};
use super::meter::Visits;
use super::ordered::{GroupWalks, OrderedSeal};
use super::reduce::{Reduce, ReduceSpec};
use crate::error::DataError;
use crate::plan::AggregateFunction;
use crate::planted::{self, Bug};
use crate::state::{End, Shared, accumulate, add_lanes};
use crate::types::Tick;

/// The changes of one seal, and how far they have been worked off.
pub(super) struct Unit {
    /// For rows, for errors.
    capabilities: [Capability<Tick>; 2],
    /// The tick of the row that a global aggregate has over no rows, where that is still to be given.
    initial: Option<Tick>,
    before: Vec<Shared>,
    positions: Vec<usize>,
    /// The lanes that came in the seal, and the first row whose group has not been turned to.
    fresh: Option<Shared>,
    next: usize,
    ordered: Vec<OrderedSeal>,
    /// Room for the group at hand.
    key: Vec<u8>,
    ticks: Vec<Tick>,
    lanes: Vec<i64>,
    visits: Visits,
}

impl Unit {
    pub(super) fn new(
        capabilities: [Capability<Tick>; 2],
        initial: Option<Tick>,
        before: Vec<Shared>,
        fresh: Option<Shared>,
        ordered: Vec<OrderedSeal>,
        stride: usize,
    ) -> Unit {
        Unit {
            capabilities,
            initial,
            positions: vec![0; before.len()],
            before,
            fresh,
            next: 0,
            ordered,
            key: Vec::new(),
            ticks: Vec::new(),
            lanes: vec![0; stride],
            visits: Visits::default(),
        }
    }

    /// For rows, for errors.
    pub(super) fn capabilities(&self) -> &[Capability<Tick>; 2] {
        &self.capabilities
    }

    /// Whether no group is left.
    pub(super) fn is_done(&self) -> bool {
        self.initial.is_none() && self.next_key().is_none()
    }

    /// Works until a block of output is full, the fuel is burnt, or all is done.
    pub(super) fn advance(&mut self, reduce: &mut Reduce, fuel: &mut usize, output: &mut Output) {
        let mut visited = 0;
        while *fuel > 0 && !output.is_full() && !self.is_done() {
            self.next_group(reduce, output);
            let visits = self.visits.take();
            *fuel = fuel.saturating_sub(1 + visits);
            visited += visits;
        }
        reduce.visited(visited);
    }

    /// The next key that something happened to.
    fn next_key(&self) -> Option<&[u8]> {
        let fresh = self.fresh.as_ref().filter(|fresh| self.next < fresh.len());
        let lanes = fresh.map(|fresh| fresh.key(self.next));
        lanes.into_iter().chain(self.ordered.iter().filter_map(OrderedSeal::peek)).min()
    }

    /// Gives the changes of the next touched group.
    fn next_group(&mut self, reduce: &mut Reduce, output: &mut Output) {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let initial = self.initial.take();
        // A global aggregate has one group, whose key is empty.
        key.extend_from_slice(if initial.is_some() { &[] } else { self.next_key().unwrap_or_default() });
        let walks = self.turn_to(&key, initial, reduce);
        self.lanes.fill(0);
        accumulate(&self.before, &mut self.positions, &key, Tick::MAX, &mut self.lanes);
        self.visits.add(self.before.len());
        let mut reader = GroupReader {
            reduce,
            key: &key,
            lanes: &mut self.lanes,
            fresh: self.fresh.as_ref(),
            row: self.next,
            ordered: &self.ordered,
            walks,
            visits: &mut self.visits,
        };
        reader.changes(&self.ticks, initial.is_some(), output);
        self.next = reader.row;
        let walks = reader.walks;
        let ordered = reduce.ordered.iter_mut().zip(walks);
        ordered.for_each(|(ordered, walks)| ordered.dead.put(&key, walks.ranges));
        self.key = key;
    }

    /// Finds the ticks at which something happened to a group, and what its walks share.
    fn turn_to(&mut self, key: &[u8], initial: Option<Tick>, reduce: &mut Reduce) -> Vec<GroupWalks> {
        self.ticks.clear();
        self.ticks.extend(initial);
        if let Some(fresh) = &self.fresh {
            let rows = self.next..fresh.len();
            self.ticks.extend(rows.take_while(|row| fresh.key(*row) == key).map(|row| fresh.tick(row)));
        }
        let ordered = self.ordered.iter_mut().zip(&mut reduce.ordered);
        let walks: Vec<GroupWalks> =
            ordered.map(|(seal, ordered)| seal.turn_to(key, &mut ordered.dead)).collect();
        self.ticks.extend(walks.iter().flat_map(GroupWalks::ticks));
        self.ticks.sort_unstable();
        self.ticks.dedup();
        walks
    }
}

/// Reads one group from before the first of its touched ticks to after the last.
struct GroupReader<'a> {
    reduce: &'a Reduce,
    key: &'a [u8],
    lanes: &'a mut [i64],
    fresh: Option<&'a Shared>,
    row: usize,
    ordered: &'a [OrderedSeal],
    /// One for each ordered argument.
    walks: Vec<GroupWalks>,
    visits: &'a mut Visits,
}

impl GroupReader<'_> {
    fn changes(&mut self, ticks: &[Tick], is_initial: bool, output: &mut Output) {
        let mut old = if is_initial { Group::Absent } else { self.read(None, output.room()) };
        for tick in ticks {
            self.advance(*tick);
            let mut new = self.read(Some(*tick), output.room());
            if planted::is_on(Bug::MaxNeverFalls) {
                never_fall(&self.reduce.spec, &old, &mut new);
            }
            if old != new {
                // In the order in which they will be arranged, so that they need not be sorted.
                let mut pair = [(&old, -1), (&new, 1)];
                if new.is_before(&old) {
                    pair.reverse();
                }
                pair.iter().for_each(|(group, diff)| output.push(self.key, group, *diff, *tick));
            }
            output.recycle(std::mem::replace(&mut old, new));
        }
        output.recycle(old);
    }

    /// Adds the fresh lanes of one tick.
    fn advance(&mut self, tick: Tick) {
        let walks = self.walks.iter_mut().zip(self.ordered);
        walks.for_each(|(walks, ordered)| walks.advance(ordered, tick));
        let Some(fresh) = self.fresh else { return };
        while self.row < fresh.len() && fresh.tick(self.row) <= tick && fresh.key(self.row) == self.key {
            add_lanes(self.lanes, fresh.lanes(self.row));
            self.row += 1;
            self.visits.add(1);
        }
    }

    /// The group's row: before the seal, or at a tick of it. `cells` is room for it.
    fn read(&mut self, at: Option<Tick>, mut cells: Vec<Cell>) -> Group {
        match self.lanes[0].cmp(&0) {
            Ordering::Less => return Group::Wrong(DataError::negative_multiplicity()),
            Ordering::Equal if self.reduce.spec.keys > 0 && !planted::is_on(Bug::EmptyGroupStays) => {
                return Group::Absent;
            }
            Ordering::Equal | Ordering::Greater => {}
        }
        let reduce = self.reduce;
        for (accumulator, place) in reduce.spec.layout.accumulators.iter().zip(&reduce.places) {
            match self.cell(accumulator, *place, at) {
                Ok(cell) => cells.push(cell),
                Err(error) => return Group::Wrong(error),
            }
        }
        Group::Row(cells)
    }

    fn cell(
        &mut self,
        accumulator: &Accumulator,
        place: Option<usize>,
        at: Option<Tick>,
    ) -> Result<Cell, DataError> {
        let ordered = place.map(|place| (&self.ordered[place], &self.reduce.ordered[place]));
        let outcome = accumulator.finish(self.lanes, |add| {
            if let Some((seal, ordered)) = ordered {
                seal.doubles(ordered, self.key, at, add);
            }
        })?;
        let end = match outcome {
            Outcome::Least => Some(End::Front),
            Outcome::Greatest => Some(End::Back),
            Outcome::Joined => None,
            value => return Ok(Cell::Value(value)),
        };
        let lacking = || DataError::new("XX000", "an aggregate lacks its trace");
        let ((seal, ordered), place) = ordered.zip(place).ok_or_else(lacking)?;
        let Some(end) = end else { return seal.joined(ordered, self.key, at, self.visits) };
        let found = seal.extreme(self.key, at, end, &mut self.walks[place], self.visits);
        let value = found.ok_or_else(DataError::negative_multiplicity)?;
        ordered.shown(value).map(Cell::Encoded)
    }
}

/// A planted bug: the greatest value stays when its row is gone.
fn never_fall(spec: &ReduceSpec, old: &Group, new: &mut Group) {
    let (Group::Row(old), Group::Row(new)) = (old, new) else { return };
    for (index, accumulator) in spec.layout.accumulators.iter().enumerate().filter(|(_, a)| a.is_extreme()) {
        if let (Cell::Encoded(was), Cell::Encoded(is)) = (&old[index], &mut new[index]) {
            let falls = accumulator.spec.function == AggregateFunction::Max && *is < *was;
            if falls {
                is.clone_from(was);
            }
        }
    }
}
