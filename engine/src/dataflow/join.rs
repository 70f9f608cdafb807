//! Join: matches the batches of two arrangements by key.
//!
//! Built after differential's `join_with_tactic`. Each new batch of one side is joined with what
//! the other side had been seen to hold; the pairs come out at the later of the two ticks, with the
//! product of the diffs. Work is deferred in units and done by fuel, also inside one key: a join
//! with many matches never holds up the worker.
//!
//! ```text
//!   left batch  L ─┐ unit (L × right trace through `seen` right)
//!   right batch R ─┘ unit (left trace through `seen` left × R)    each pair once: whichever comes
//!                                                                 second sees the first
//! ```
//!
//! Invariant: a trace is merged only through `seen`, so that the batches up to it can be told
//! from those that are in the trace but have not come in on the stream yet.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use differential_dataflow::trace::TraceReader;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;
use timely::progress::frontier::MutableAntichain;

use super::arrange::{Arranged, Sealed};
use super::arrangement::{SharedHandle, Start};
use super::blocks::{BLOCK_BYTES, BLOCK_ROWS, FUEL_BYTES};
use super::edge::{Edge, EdgeBuilder, send};
use super::meter::Meter;
use super::shared::move_up;
use super::turns::Token;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::planted::{self, Bug};
use crate::state::{RowCodec, Shared, key_range};
use crate::types::{DataType, Tick};

/// One side of the join.
struct Side {
    trace: SharedHandle,
    /// The upper of the last batch that came in on the stream.
    seen: Tick,
}

impl Side {
    /// The batches that have come in on the stream.
    fn seen_batches(&self) -> Vec<Shared> {
        let mut batches = Vec::new();
        let seen = if planted::is_on(Bug::JoinReadsAhead) { Tick::MAX } else { self.seen };
        self.trace.borrow().map_spans(|span| {
            if span.upper().elements().first().is_some_and(|upper| *upper <= seen) {
                batches.extend(span.inner.clone());
            }
        });
        batches
    }

    /// Forgets history that no change of the other side, at or after `frontier`, will ask for. One
    /// tick short of it, so that no past update ever bears a tick that is still to come.
    fn compact(&mut self, frontier: &MutableAntichain<Tick>) {
        let mut trace = self.trace.borrow_mut();
        if let Some(frontier) = frontier.frontier().first().copied() {
            let since = frontier.saturating_sub(1);
            move_up(&mut trace, since, self.seen.min(since.saturating_add(1)));
        }
    }
}

/// A new batch, and what it is to be joined with; and how far that has come.
struct Unit {
    capability: Capability<Tick>,
    fresh_is_left: bool,
    fresh: Shared,
    others: Vec<Shared>,
    positions: Vec<usize>,
    /// The fresh row, and the end of its key's rows; beyond it nothing is looked up yet.
    row: usize,
    key_end: usize,
    /// The key's rows in each of `others`, and where we are in them.
    ranges: Vec<Range<usize>>,
    other: usize,
    inner: usize,
}

/// Pairs of rows: (fresh row, index of the other batch, its row).
#[derive(Default)]
struct Pairs {
    rows: Vec<(usize, usize, usize)>,
    bytes: usize,
}

impl Unit {
    fn new(capability: Capability<Tick>, fresh_is_left: bool, fresh: Shared, others: Vec<Shared>) -> Unit {
        let positions = vec![0; others.len()];
        let ranges = Vec::new();
        Unit {
            capability,
            fresh_is_left,
            fresh,
            others,
            positions,
            row: 0,
            key_end: 0,
            ranges,
            other: 0,
            inner: 0,
        }
    }

    /// Collects up to a block of pairs; less only where the fuel or the unit is at its end.
    fn advance(&mut self, fuel: &mut usize, meter: &Meter) -> Pairs {
        let mut pairs = Pairs::default();
        let has_room = |pairs: &Pairs| pairs.rows.len() < BLOCK_ROWS && pairs.bytes < BLOCK_BYTES;
        while has_room(&pairs) && *fuel > 0 && self.row < self.fresh.len() {
            *fuel -= 1;
            meter.visit(1);
            if self.row >= self.key_end {
                self.look_up();
            } else if self.other >= self.ranges.len() {
                self.row += 1;
                self.restart_ranges();
            } else if self.inner >= self.ranges[self.other].end {
                self.other += 1;
                self.inner = self.ranges.get(self.other).map_or(0, |range| range.start);
            } else {
                let bytes =
                    self.fresh.value(self.row).len() + self.others[self.other].value(self.inner).len();
                *fuel = fuel.saturating_sub(bytes / FUEL_BYTES);
                pairs.bytes += bytes;
                pairs.rows.push((self.row, self.other, self.inner));
                self.inner += 1;
            }
        }
        pairs
    }

    /// Finds the key of the current fresh row in the other batches; skips the key where it is in none.
    fn look_up(&mut self) {
        let key = self.fresh.key(self.row);
        self.key_end = self.fresh.skip_key(self.row);
        self.ranges.clear();
        for (other, position) in self.others.iter().zip(&mut self.positions) {
            let range = key_range(other, *position, key);
            *position = range.start;
            self.ranges.push(range);
        }
        if self.ranges.iter().all(|range| range.is_empty()) {
            self.row = self.key_end;
        }
        self.restart_ranges();
    }

    fn restart_ranges(&mut self) {
        self.other = 0;
        self.inner = self.ranges.first().map_or(0, |range| range.start);
    }

    fn is_done(&self) -> bool {
        self.row >= self.fresh.len()
    }

    /// The pairs as rows: the left values, then the right ones.
    fn gather(&self, pairs: &Pairs, output: &Output) -> Option<Delta> {
        let fresh = pairs.rows.iter().map(|(row, _, _)| self.fresh.value(*row));
        let other = pairs.rows.iter().map(|(_, other, row)| self.others[*other].value(*row));
        let decoded = if self.fresh_is_left {
            output.left.decode(fresh).and_then(|left| Ok([left, output.right.decode(other)?]))
        } else {
            output.left.decode(other).and_then(|left| Ok([left, output.right.decode(fresh)?]))
        };
        let columns = decoded.expect("a trace holds its own encoding").concat();
        let rows =
            batch_of(&output.columns, columns, pairs.rows.len()).expect("a trace holds its own columns");
        let mut diffs = Col::Const(0, 0);
        let mut ticks = Col::Const(0, 0);
        let as_of = output.as_of + Tick::from(planted::is_on(Bug::JoinMovesUpTooFar));
        for (row, other, inner) in &pairs.rows {
            let other = &self.others[*other];
            diffs.push(self.fresh.lane(*row, 0) * other.lane(*inner, 0));
            // Of a shared arrangement the past comes with its own ticks, which lie before the as-of.
            ticks.push(self.fresh.tick(*row).max(other.tick(*inner)).max(as_of));
        }
        let delta = Delta { rows, diffs, ticks };
        (!delta.is_empty()).then_some(delta)
    }
}

/// How output rows are decoded.
struct Output {
    left: RowCodec,
    right: RowCodec,
    columns: Vec<DataType>,
    /// Nothing comes out before this tick.
    as_of: Tick,
}

/// What the operator needs to know of its two inputs.
pub(crate) struct JoinSpec {
    /// The left value columns.
    pub(crate) left: Vec<DataType>,
    /// The right value columns.
    pub(crate) right: Vec<DataType>,
    /// Where it starts.
    pub(crate) start: Start,
}

/// Renders the join of two arrangements by the same key.
pub(crate) fn join<'scope>(
    left: Arranged<'scope>,
    right: Arranged<'scope>,
    spec: JoinSpec,
    meter: Arc<Meter>,
    token: &Token,
) -> Edge<'scope> {
    let scope = left.stream.scope();
    let (seen, as_of) = match spec.start {
        Start::Fresh(as_of) => (0, as_of),
        Start::Restored(at) => (at, 0),
    };
    let output = Output {
        as_of,
        left: RowCodec::new(&spec.left),
        right: RowCodec::new(&spec.right),
        columns: [spec.left, spec.right].concat(),
    };
    let mut sides = [Side { trace: left.trace, seen }, Side { trace: right.trace, seen }];
    left.stream.binary_frontier::<_, EdgeBuilder, _, _, _, _>(
        right.stream,
        Pipeline,
        Pipeline,
        "Join",
        |initial, info| {
            drop(initial);
            let turns = token.register(scope.activator_for(info.address));
            let mut todo: VecDeque<Unit> = VecDeque::new();
            move |(left, left_frontier), (right, right_frontier), port| {
                left.for_each(|capability, sealed| {
                    let capability = capability.retain_least(0);
                    accept(&mut sides, 0, capability, std::mem::take(sealed), &mut todo);
                });
                right.for_each(|capability, sealed| {
                    let capability = capability.retain_least(0);
                    accept(&mut sides, 1, capability, std::mem::take(sealed), &mut todo);
                });
                if turns.is_pressed() {
                    todo.clear();
                }
                let mut fuel = turns.portion().fuel;
                while let Some(unit) = todo.front_mut().filter(|_| fuel > 0) {
                    let pairs = unit.advance(&mut fuel, &meter);
                    if let Some(delta) = unit.gather(&pairs, &output) {
                        send(port, &unit.capability, Deltas::one(delta));
                    }
                    if unit.is_done() {
                        todo.pop_front();
                    }
                }
                if !todo.is_empty() {
                    turns.again();
                }
                sides[0].compact(right_frontier);
                sides[1].compact(left_frontier);
            }
        },
    )
}

/// Queues the join of one side's new batches with what the other side has shown.
fn accept(
    sides: &mut [Side; 2],
    fresh: usize,
    capability: Option<Capability<Tick>>,
    sealed: Vec<Sealed>,
    todo: &mut VecDeque<Unit>,
) {
    let Some(capability) = capability else { return };
    for Sealed { batch, upper } in sealed {
        let forgetting = fresh == 1 && planted::is_on(Bug::JoinOneSided) && sides[1].seen > 0;
        let others = sides[1 - fresh].seen_batches();
        if !others.is_empty() && !forgetting {
            todo.push_back(Unit::new(capability.clone(), fresh == 0, batch, others));
        }
        sides[fresh].seen = upper;
    }
}
