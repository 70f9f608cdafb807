//! TopK: the first rows of each group in an order, maintained.
//!
//! One ordered trace holds all rows: key → (the order's columns, then the whole row, in a form that
//! compares as bytes) → count. For each touched key and tick, one walk from the front goes along
//! the group as it was before the tick and as it is after it, side by side, and gives the
//! difference of the two windows [skip, skip + fetch).
//!
//! ```text
//!   rows (keys, order, row) ─exchange by key─▶ trace ──seal──▶ unit (batches, fresh batch)
//!
//!   value    a    b    c    d    e           window of 2 behind 1; c comes at this tick
//!   before   1    1    -    1    1           position  0 1 [b] 1 2 [d] 2 3
//!   after    1    1    1    1    1           position  0 1 [b] 1 2 [c] 2 3       ⇒ −d, +c
//! ```
//! The walk ends behind the window, or where nothing more has changed: its cost does not depend on
//! the number of rows in the group. Ranges of cancelled values are remembered (`DeadRanges`), so
//! that it also holds while the first rows are deleted one after the other.
//!
//! Units are worked off by fuel, also inside one key.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::arrange::{keep_least, settle};
use super::arrangement::{Arrangement, SavedTrace, Sealing, Start, TraceHandle};
use super::edge::{Edge, EdgeOutput, by_leading_columns, send};
use super::meter::Meter;
use super::output::Output;
use super::publish::least;
use super::turns::Token;
use crate::delta::{Delta, Deltas};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::state::{
    DeadRanges, Direction, End, KeyRanges, Lanes, LiveWalk, RowCodec, Shared, Updates, key_range,
    normalise_keys,
};
use crate::types::{DataType, Tick};

/// What the operator needs to know.
pub(crate) struct TopKSpec {
    /// The input's columns: the keys, then what is compared, then the row.
    pub(crate) columns: Vec<DataType>,
    /// How many of them are keys.
    pub(crate) keys: usize,
    /// How the columns behind the keys are ordered.
    pub(crate) order: Vec<Direction>,
    /// How many rows are left out.
    pub(crate) skip: u64,
    /// How many are kept behind them; `None`: all.
    pub(crate) fetch: Option<u64>,
    /// Appends the row's number in its group.
    pub(crate) numbered: bool,
    /// Where it starts.
    pub(crate) start: Start,
    /// Names the operator in error rows.
    pub(crate) operator: Arc<str>,
}

impl TopKSpec {
    fn codec(&self) -> RowCodec {
        let (compared, row) = self.columns[self.keys..].split_at(self.order.len());
        let order: Vec<_> = compared.iter().copied().zip(self.order.iter().copied()).collect();
        if planted::is_on(Bug::TopKTiesReversed) {
            let reversed = Direction { descending: true, nulls_first: false };
            let all = order.into_iter().chain(row.iter().map(|column| (*column, reversed)));
            return RowCodec::ordered(&all.collect::<Vec<_>>(), &[]);
        }
        RowCodec::ordered(&order, row)
    }

    /// Where rows go out: without what is compared, with their number where that is wanted.
    fn output(&self) -> Output {
        let mut columns = self.columns[self.keys + self.order.len()..].to_vec();
        columns.extend(self.numbered.then_some(DataType::Int64));
        Output::new(self.codec(), self.order.len(), columns, &self.operator)
    }

    /// The positions that are kept.
    fn window(&self) -> Range<i64> {
        let bound = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
        let skip = bound(self.skip);
        let end = self.fetch.map_or(i64::MAX, |fetch| skip.saturating_add(bound(fetch)));
        skip..end.saturating_add(i64::from(planted::is_on(Bug::TopKOneMore)))
    }
}

/// Renders a top-k: its rows, its errors, and a handle to its trace for saving.
pub(crate) fn top_k<'scope>(
    input: Edge<'scope>,
    spec: TopKSpec,
    saved: Option<SavedTrace>,
    meter: Arc<Meter>,
    token: &Token,
) -> (Edge<'scope>, Edge<'scope>, TraceHandle) {
    let scope = input.scope();
    let mut builder = OperatorBuilder::new("TopK".to_owned(), scope);
    let mut input = builder.new_input(input, by_leading_columns(spec.keys));
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let info = builder.operator_info();
    let turns = token.register(scope.activator_for(Rc::clone(&info.address)));
    let arrangement = Arrangement::new(scope, &info, spec.start, saved, &turns).metered(&meter);
    let trace = arrangement.observer();
    let mut state = TopK::new(&spec, arrangement);
    let mut output = spec.output();
    let mut todo: VecDeque<Unit> = VecDeque::new();
    let mut sealing = Sealing::default();
    builder.build(move |initial| {
        drop(initial);
        let mut held: [Option<Capability<Tick>>; 2] = [None, None];
        move |frontiers| {
            input.for_each(|capability, deltas| {
                std::mem::take(&mut deltas.list).iter().for_each(|delta| state.insert(delta));
                for (port, held) in held.iter_mut().enumerate() {
                    if let Some(capability) = capability.retain_least(port) {
                        keep_least(held, capability);
                    }
                }
            });
            let mut seal_fuel = turns.portion().seal_fuel;
            while turns.is_due()
                && let Some(until) = sealing.until(least(frontiers), state.upper())
            {
                if !state.arrangement.prepare(until, &mut seal_fuel) {
                    turns.again();
                    break;
                }
                sealing.done();
                todo.extend(state.seal(until, &held));
                let pending = state.arrangement.pending();
                held.iter_mut().for_each(|held| settle(held, pending));
            }
            if turns.is_pressed() {
                todo.clear();
            }
            let mut fuel = turns.portion().fuel;
            while let Some(unit) = todo.front_mut().filter(|_| fuel > 0) {
                let before = fuel;
                unit.advance(&state.walk, &mut state.dead, &mut fuel, &mut output);
                meter.visit(before - fuel);
                let [rows_capability, errors_capability] = &unit.capabilities;
                send(&mut rows_port.activate(), rows_capability, output.take_rows());
                if let Some(errors) = output.errors.take() {
                    send(&mut errors_port.activate(), errors_capability, Deltas::one(errors));
                }
                if unit.is_done() {
                    todo.pop_front();
                }
            }
            if todo.is_empty() {
                state.trim();
            } else {
                turns.again();
            }
            state.arrangement.exert();
        }
    });
    (rows, errors, trace)
}

/// The operator's state.
struct TopK {
    keys: usize,
    order: usize,
    key_codec: RowCodec,
    codec: RowCodec,
    arrangement: Arrangement,
    /// Where walks need not look, as of the units that are done.
    dead: DeadRanges,
    walk: WindowWalk,
}

impl TopK {
    fn new(spec: &TopKSpec, arrangement: Arrangement) -> TopK {
        TopK {
            keys: spec.keys,
            order: spec.order.len(),
            key_codec: RowCodec::new(&spec.columns[..spec.keys]),
            codec: spec.codec(),
            arrangement,
            dead: DeadRanges::default(),
            walk: WindowWalk { window: spec.window(), numbered: spec.numbered },
        }
    }

    fn upper(&self) -> Tick {
        self.arrangement.upper()
    }

    fn insert(&mut self, delta: &Delta) {
        match self.updates(delta) {
            Ok(updates) => self.arrangement.insert(updates),
            Err(error) => tracing::error!(%error, "a row could not be encoded and is not kept"),
        }
    }

    /// What is compared is normalised; the row stays as it is.
    fn updates(&self, delta: &Delta) -> Result<Updates, DataError> {
        let (compared, row) = delta.rows.columns().split_at(self.keys + self.order);
        let compared = normalise_keys(compared);
        let (keys, compared) = compared.split_at(self.keys);
        Ok(Updates {
            keys: self.key_codec.encode(keys, delta.len())?,
            values: self.codec.encode(&[compared, row].concat(), delta.len())?,
            ticks: delta.ticks.clone(),
            lanes: Lanes::One(delta.diffs.clone()),
        })
    }

    /// Completes the ticks before `until`, which is prepared.
    fn seal(&mut self, until: Tick, held: &[Option<Capability<Tick>>; 2]) -> Option<Unit> {
        let mut batches = self.arrangement.batches();
        let fresh = self.arrangement.seal(until);
        self.arrangement.compact(self.upper().saturating_sub(1));
        let fresh = fresh?;
        batches.push(fresh.clone());
        // Something arrived, so there is a capability for it.
        let capabilities = [held[0].clone()?, held[1].clone()?];
        Some(Unit { capabilities, fresh, batches, next: 0, group: None })
    }

    /// Forgets dead ranges where they are too many for what the trace holds.
    fn trim(&mut self) {
        self.dead.trim(self.arrangement.batches().iter().map(|batch| batch.len()).sum());
    }
}

/// The changes of one seal, and how far they have been worked off.
struct Unit {
    /// For rows, for errors.
    capabilities: [Capability<Tick>; 2],
    fresh: Shared,
    /// All batches, the fresh one last.
    batches: Vec<Shared>,
    /// The first fresh row whose key has not been turned to.
    next: usize,
    group: Option<Group>,
}

/// What is still to be done for one key.
struct Group {
    key: Vec<u8>,
    ranges: KeyRanges,
    /// The fresh rows of the key by tick; those before `taken` are at or before the tick at hand.
    fresh: Vec<(Tick, usize)>,
    taken: usize,
    tick: Tick,
    /// The greatest value that changes at the tick.
    last: usize,
    /// Where a walk that was interrupted goes on: behind this value, at these positions.
    resume: Option<(Vec<u8>, [i64; 2])>,
}

impl Unit {
    fn is_done(&self) -> bool {
        self.group.is_none() && self.next >= self.fresh.len()
    }

    /// Works until a block of output is full, the fuel is burnt, or all is done.
    fn advance(&mut self, walk: &WindowWalk, dead: &mut DeadRanges, fuel: &mut usize, output: &mut Output) {
        while *fuel > 0 && !output.is_full() && !self.is_done() {
            *fuel = fuel.saturating_sub(1 + self.batches.len());
            let mut group = self.group.take().unwrap_or_else(|| self.next_group(dead));
            walk.run(&mut group, &self.batches, &self.fresh, fuel, output);
            if group.resume.is_some() || group.next_tick(&self.fresh) {
                self.group = Some(group);
            } else {
                dead.put(&group.key, group.ranges);
            }
        }
    }

    /// Turns to the next touched key, at the first of its ticks.
    fn next_group(&mut self, dead: &mut DeadRanges) -> Group {
        let key = self.fresh.key(self.next).to_vec();
        let rows = key_range(&self.fresh, self.next, &key);
        self.next = rows.end;
        let mut fresh: Vec<(Tick, usize)> = rows.map(|row| (self.fresh.tick(row), row)).collect();
        fresh.sort_unstable();
        let ranges = dead.take(&key);
        let mut group = Group { key, ranges, fresh, taken: 0, tick: 0, last: 0, resume: None };
        group.next_tick(&self.fresh);
        group
    }
}

impl Group {
    /// Turns to the next tick at which something changes, if there is one.
    fn next_tick(&mut self, fresh: &Shared) -> bool {
        let Some((tick, _)) = self.fresh.get(self.taken) else { return false };
        self.tick = *tick;
        while let Some((_, row)) = self.fresh.get(self.taken).filter(|(tick, _)| *tick == self.tick) {
            self.ranges.touch(fresh.value(*row));
            self.last = *row;
            self.taken += 1;
        }
        true
    }
}

/// What of a group is wanted.
struct WindowWalk {
    window: Range<i64>,
    numbered: bool,
}

impl WindowWalk {
    /// Gives the difference that the group's tick makes to its window; stops in the middle where
    /// the output is full or the fuel is burnt.
    fn run(
        &self,
        group: &mut Group,
        batches: &[Shared],
        fresh: &Shared,
        fuel: &mut usize,
        output: &mut Output,
    ) {
        let Group { key, ranges, tick, last, resume, .. } = group;
        let last = fresh.value(*last);
        // The last tick before this one may be far back: nothing of the group changes in between.
        let ats = [tick.saturating_sub(1), *tick];
        let mut walk = LiveWalk::new(batches, key, End::Front, ats, ranges);
        let mut positions = [0, 0];
        if let Some((value, reached)) = resume.take() {
            walk.skip_behind(&value);
            positions = reached;
        }
        while positions.iter().any(|position| *position < self.window.end) {
            let Some((value, counts)) = walk.step() else { break };
            self.emit(value, counts, &mut positions, *tick, output);
            if value >= last && self.is_settled(positions) {
                break;
            }
            if output.is_full() || walk.visited() >= *fuel {
                *resume = Some((value.to_vec(), positions));
                break;
            }
        }
        *fuel = fuel.saturating_sub(walk.visited());
    }

    /// Whether the window's rest is the same before and after, given that no further count differs.
    fn is_settled(&self, [before, after]: [i64; 2]) -> bool {
        let endless = self.window.end == i64::MAX && !self.numbered;
        before == after || (endless && before.min(after) >= self.window.start)
    }

    /// What one value has before and after the tick, and where.
    fn emit(
        &self,
        value: &[u8],
        counts: [i64; 2],
        positions: &mut [i64; 2],
        tick: Tick,
        output: &mut Output,
    ) {
        let mut taken = [0..0, 0..0];
        for side in [0, 1] {
            let start = positions[side];
            if start >= self.window.end {
                continue;
            }
            if counts[side] < 0 {
                let error = DataError::negative_multiplicity();
                output.errors.push(error, if side == 0 { -1 } else { 1 }, tick);
            }
            let copies = if planted::is_on(Bug::TopKCopiesOnce) { counts[side].min(1) } else { counts[side] };
            positions[side] = start.saturating_add(copies.max(0));
            let from = start.max(self.window.start);
            taken[side] = from..positions[side].min(self.window.end).max(from);
        }
        let [before, after] = taken;
        if self.numbered {
            without(&before, &after).for_each(|number| output.push(value, Some(number + 1), -1, tick));
            without(&after, &before).for_each(|number| output.push(value, Some(number + 1), 1, tick));
        } else {
            let diff = (after.end - after.start) - (before.end - before.start);
            output.push(value, None, diff, tick);
        }
    }
}

/// The numbers of `range` that `other` lacks.
fn without(range: &Range<i64>, other: &Range<i64>) -> impl Iterator<Item = i64> + use<> {
    let below = range.start..range.end.min(other.start.max(range.start));
    let above = range.start.max(other.end.min(range.end))..range.end;
    // Where `other` is empty or apart, all of `range` is in one of the two.
    let apart = other.is_empty() || other.end <= range.start || other.start >= range.end;
    if apart { range.clone().chain(0..0) } else { below.chain(above) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_range_lacks_of_another() {
        for (range, other) in (0..6).flat_map(|a| (a..6).map(move |b| a..b)).flat_map(|range| {
            (0..6).flat_map(move |c| (c..6).map(move |d| c..d)).map(move |other| (range.clone(), other))
        }) {
            let expected: Vec<i64> = range.clone().filter(|number| !other.contains(number)).collect();
            assert_eq!(without(&range, &other).collect::<Vec<_>>(), expected, "{range:?} {other:?}");
        }
    }
}
