//! Exists: semi and anti joins, maintained.
//!
//! One operator holds both sides: the left rows by key, and how many right rows each key has. A
//! left change passes where the key is present at its tick (anti: absent); where presence flips,
//! all left rows known by then follow. There is no output trace.
//!
//! ```text
//!   left rows (keys, row) ─exchange by key─▶ left:  key → row          seal [lower, upper): unit
//!   right rows (keys) ─────exchange by key─▶ right: key → count        (batches before, fresh batches)
//!   unit, for each touched key:  presence before, and its flips by tick
//!                                left update at s with diff d ⇒ d at s where present(s),
//!                                                               ± d at every flip after s
//! ```
//! A key may have any number of left rows, so units are worked off by fuel, also inside one key.
//! They own the batches that they read: the traces go on merging meanwhile.
//!
//! Invariant: a unit's capabilities lie at or before all its ticks, and are kept until it is done.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::arrange::{KeyedCodec, keep_least, settle};
use super::arrangement::{Arrangement, SavedTrace, Sealing, Start, TraceHandle};
use super::blocks::FUEL_BYTES;
use super::edge::{Edge, EdgeOutput, by_leading_columns, send};
use super::meter::Meter;
use super::output::Output;
use super::publish::least;
use super::turns::Token;
use crate::delta::{Delta, Deltas};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::state::{RowCodec, Shared, accumulate, key_range};
use crate::types::{DataType, Tick};

/// What the operator needs to know.
pub(crate) struct ExistsSpec {
    /// The left columns: the keys, then the row. The right columns are the keys alone.
    pub(crate) columns: Vec<DataType>,
    /// How many of them are keys.
    pub(crate) keys: usize,
    /// Keeps the rows without a match.
    pub(crate) anti: bool,
    /// Where it starts.
    pub(crate) start: Start,
    /// Names the operator in error rows.
    pub(crate) operator: Arc<str>,
}

/// Renders a semi or anti join: its rows, its errors, and handles to its traces for saving.
pub(crate) fn exists<'scope>(
    [left, right]: [Edge<'scope>; 2],
    spec: ExistsSpec,
    saved: Option<Vec<SavedTrace>>,
    meter: Arc<Meter>,
    token: &Token,
) -> (Edge<'scope>, Edge<'scope>, Vec<TraceHandle>) {
    let scope = left.scope();
    let mut builder = OperatorBuilder::new("Exists".to_owned(), scope);
    let mut left = builder.new_input(left, by_leading_columns(spec.keys));
    let mut right = builder.new_input(right, by_leading_columns(spec.keys));
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let info = builder.operator_info();
    let turns = token.register(scope.activator_for(Rc::clone(&info.address)));
    let mut saved = saved.unwrap_or_default().into_iter();
    let mut side = |columns: &[DataType]| Side {
        codec: KeyedCodec::new(columns, spec.keys),
        arrangement: Arrangement::new(scope, &info, spec.start, saved.next(), &turns).metered(&meter),
    };
    let mut sides = [side(&spec.columns), side(&spec.columns[..spec.keys])];
    let traces = sides.iter().map(|side| side.arrangement.observer()).collect();
    let row = spec.columns[spec.keys..].to_vec();
    let mut output = Output::new(RowCodec::new(&row), 0, row, &spec.operator);
    let mut todo: VecDeque<Unit> = VecDeque::new();
    let mut sealing = Sealing::default();
    builder.build(move |initial| {
        drop(initial);
        let mut held: [Option<Capability<Tick>>; 2] = [None, None];
        move |frontiers| {
            for (input, side) in [&mut left, &mut right].into_iter().zip(&mut sides) {
                input.for_each(|capability, deltas| {
                    std::mem::take(&mut deltas.list).iter().for_each(|delta| side.insert(delta));
                    for (port, held) in held.iter_mut().enumerate() {
                        if let Some(capability) = capability.retain_least(port) {
                            keep_least(held, capability);
                        }
                    }
                });
            }
            let mut seal_fuel = turns.portion().seal_fuel;
            while turns.is_due()
                && let Some(until) = sealing.until(least(frontiers), sides[0].upper())
            {
                if !sides.iter_mut().all(|side| side.arrangement.prepare(until, &mut seal_fuel)) {
                    turns.again();
                    break;
                }
                sealing.done();
                todo.extend(Unit::seal(&mut sides, until, spec.anti, &held));
                let pending = sides.iter().filter_map(Side::pending).min();
                held.iter_mut().for_each(|held| settle(held, pending));
            }
            if turns.is_pressed() {
                todo.clear();
            }
            let mut fuel = turns.portion().fuel;
            while let Some(unit) = todo.front_mut().filter(|_| fuel > 0) {
                unit.advance(&mut fuel, &meter, &mut output);
                let [rows_capability, errors_capability] = &unit.capabilities;
                send(&mut rows_port.activate(), rows_capability, output.take_rows());
                if let Some(errors) = output.errors.take() {
                    send(&mut errors_port.activate(), errors_capability, Deltas::one(errors));
                }
                if unit.is_done() {
                    todo.pop_front();
                }
            }
            if !todo.is_empty() {
                turns.again();
            }
            sides.iter_mut().for_each(|side| side.arrangement.exert());
        }
    });
    (rows, errors, traces)
}

/// One input's state.
struct Side {
    codec: KeyedCodec,
    arrangement: Arrangement,
}

impl Side {
    fn insert(&mut self, delta: &Delta) {
        match self.codec.updates(delta) {
            Ok(updates) => self.arrangement.insert(updates),
            Err(error) => tracing::error!(%error, "a row could not be encoded and is not kept"),
        }
    }

    fn upper(&self) -> Tick {
        self.arrangement.upper()
    }

    fn pending(&self) -> Option<Tick> {
        self.arrangement.pending()
    }

    /// Completes the ticks before `until`, which is prepared: the batches from before, and the fresh one.
    fn seal(&mut self, until: Tick) -> (Vec<Shared>, Option<Shared>) {
        let before = self.arrangement.batches();
        let fresh = self.arrangement.seal(until);
        self.arrangement.compact(self.upper().saturating_sub(1));
        (before, fresh)
    }
}

/// The changes of one seal, and how far they have been worked off.
struct Unit {
    /// For rows, for errors.
    capabilities: [Capability<Tick>; 2],
    anti: bool,
    /// The first tick of the seal: all updates before it are from before.
    lower: Tick,
    /// The left batches: those from before, then the fresh one.
    left: Vec<Shared>,
    left_positions: Vec<usize>,
    right: Vec<Shared>,
    right_positions: Vec<usize>,
    /// Of each side the fresh batch, and its first row whose key has not been looked up.
    fresh: [Option<Shared>; 2],
    next: [usize; 2],
    key: KeyWork,
}

/// What is still to be done for one key.
#[derive(Default)]
struct KeyWork {
    /// Whether left rows pass, from which tick on; the first entry counts from the beginning.
    passing: Vec<(Tick, bool)>,
    /// The left updates to be gone through: (batch, rows).
    ranges: Vec<(usize, Range<usize>)>,
    /// The flip that the first of these updates meets next.
    flip: usize,
}

impl Unit {
    /// Completes the ticks before `until` on both sides.
    fn seal(
        [left, right]: &mut [Side; 2],
        until: Tick,
        anti: bool,
        held: &[Option<Capability<Tick>>; 2],
    ) -> Option<Unit> {
        let lower = left.upper();
        let (mut left, fresh_left) = left.seal(until);
        let (right, fresh_right) = right.seal(until);
        let fresh = [fresh_left, fresh_right];
        if fresh.iter().all(Option::is_none) {
            return None;
        }
        left.extend(fresh[0].clone());
        let (left_positions, right_positions) = (vec![0; left.len()], vec![0; right.len()]);
        // Something arrived, so there is a capability for it.
        let capabilities = [held[0].clone()?, held[1].clone()?];
        let (next, key) = ([0, 0], KeyWork::default());
        Some(Unit {
            capabilities,
            anti,
            lower,
            left,
            left_positions,
            right,
            right_positions,
            fresh,
            next,
            key,
        })
    }

    /// Works until a block of output is full, the fuel is burnt, or all is done.
    fn advance(&mut self, fuel: &mut usize, meter: &Meter, output: &mut Output) {
        while *fuel > 0 && !output.is_full() && !self.is_done() {
            *fuel -= 1;
            meter.visit(1);
            if self.key.ranges.is_empty() {
                self.look_up(meter, output);
            } else {
                self.step(fuel, output);
            }
        }
    }

    fn is_done(&self) -> bool {
        let rest = self.fresh.iter().zip(self.next).any(|(fresh, next)| next < len_of(fresh));
        self.key.ranges.is_empty() && !rest
    }

    /// Turns to the next touched key: when its left rows pass, and which of them are concerned.
    fn look_up(&mut self, meter: &Meter, output: &mut Output) {
        let keys = self.fresh.iter().zip(self.next).filter_map(|(fresh, next)| {
            fresh.as_ref().filter(|fresh| next < fresh.len()).map(|fresh| fresh.key(next))
        });
        let Some(key) = keys.min().map(<[u8]>::to_vec) else { return };
        let fresh = [0, 1].map(|side| {
            let rows =
                self.fresh[side].as_ref().map_or(0..0, |batch| key_range(batch, self.next[side], &key));
            self.next[side] = self.next[side].max(rows.end);
            rows
        });
        meter.visit(self.right.len() + fresh[1].len());
        self.key.passing = self.passing(&key, fresh[1].clone(), output);
        self.key.flip = 1;
        let flips = self.key.passing.len() > 1;
        if flips {
            for (index, batch) in self.left.iter().enumerate() {
                let rows = key_range(batch, self.left_positions[index], &key);
                self.left_positions[index] = rows.end;
                self.key.ranges.push((index, rows));
            }
        } else if self.key.passing[0].1 || planted::is_on(Bug::SemiIgnoresAbsence) {
            // The fresh batch is the last one; where there is none, the range is empty.
            self.key.ranges.push((self.left.len().saturating_sub(1), fresh[0].clone()));
        }
        self.key.ranges.retain(|(_, rows)| !rows.is_empty());
    }

    /// Whether the key's left rows pass, before the seal and from each tick on at which that flips.
    fn passing(&mut self, key: &[u8], fresh: Range<usize>, output: &mut Output) -> Vec<(Tick, bool)> {
        let mut count = [0];
        accumulate(&self.right, &mut self.right_positions, key, Tick::MAX, &mut count);
        let [mut count] = count;
        let mut passing = vec![(0, (count > 0) != self.anti)];
        let Some(batch) = &self.fresh[1] else { return passing };
        for row in fresh {
            let (tick, before) = (batch.tick(row), count);
            count += batch.lane(row, 0);
            if (before < 0) != (count < 0) {
                let error = DataError::negative_multiplicity();
                output.errors.push(error, if count < 0 { 1 } else { -1 }, tick);
            }
            let forgets = self.anti && planted::is_on(Bug::AntiForgetsFlipBack) && count <= 0;
            let rows_count = planted::is_on(Bug::PresenceByRows);
            let present = if rows_count { batch.lane(row, 0) > 0 } else { count > 0 };
            let passes = present != self.anti;
            if passing.last().is_some_and(|(_, passed)| *passed != passes) && !forgets {
                passing.push((tick, passes));
            }
        }
        passing
    }

    /// One output of the first left update that is still to be gone through.
    fn step(&mut self, fuel: &mut usize, output: &mut Output) {
        let KeyWork { passing, ranges, flip } = &mut self.key;
        let Some((index, rows)) = ranges.last_mut() else { return };
        let (batch, row) = (&self.left[*index], rows.start);
        let (tick, diff) = (batch.tick(row), batch.lane(row, 0));
        let value = batch.value(row);
        if *flip == 1 {
            // First the update itself, where it belongs to this seal; then the flips after it. A
            // later step for the same update finds `flip` beyond 1: this one moves it on.
            *flip += passing[1..].partition_point(|(at, _)| *at <= tick);
            let passes = passing[*flip - 1].1 || planted::is_on(Bug::SemiIgnoresAbsence);
            if tick >= self.lower && passes {
                output.push(value, None, diff, tick);
            }
        }
        if let Some((at, passes)) = passing.get(*flip) {
            output.push(value, None, if *passes { diff } else { -diff }, *at);
            *flip += 1;
        }
        *fuel = fuel.saturating_sub(value.len() / FUEL_BYTES);
        if *flip >= passing.len() {
            *flip = 1;
            rows.start += 1;
            if rows.start >= rows.end {
                ranges.pop();
            }
        }
    }
}

/// The number of updates of a batch.
fn len_of(batch: &Option<Shared>) -> usize {
    batch.as_ref().map_or(0, |batch| batch.len())
}
