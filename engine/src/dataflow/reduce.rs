//! Reduce: GROUP BY, maintained.
//!
//! One operator holds all state of the groups: the accumulators (one trace, keyed by the group
//! alone, whose merging is aggregating), an ordered trace for each argument of min and max and for the
//! texts of string_agg (ordered.rs), and a distinct stage for each argument that counts once
//! (distinct.rs). When ticks complete, each touched group is read before and after each of them, and the
//! change of its row goes out: old −1, new +1 (touched.rs). There is no output trace: the old row
//! follows from the state.
//!
//! ```text
//!   rows (keys, arguments) ─exchange by key─┬──────────────────▶ accumulators: key → lanes
//!                                           ├──────────────────▶ ordered: (key, value) → count
//!                                           └▶ distinct stage ─▶ both, for arguments with DISTINCT
//!   seal [lower, until): unit (batches before, fresh batches)
//!   unit, for each touched (key, tick): before ≠ after ⇒ −before, +after
//! ```
//! Seals and units are worked off by fuel.
//!
//! An aggregate that cannot be computed (22003) is an error row in the place of the group's row.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::accumulate::{Accumulator, Layout, lanes_of};
use super::arrange::{keep_least, settle};
use super::arrangement::{Arrangement, SavedTrace, Sealing, Start, TraceHandle};
use super::distinct::{Distinct, Step};
use super::edge::{Edge, EdgeOutput, by_leading_columns};
use super::groups::Output;
use super::meter::Meter;
use super::ordered::{Ordered, OrderedSpec};
use super::placement::worker_of_all;
use super::publish::least;
use super::touched::Unit;
use super::turns::Token;
use crate::delta::{Col, Delta};
use crate::state::{ByteRows, Lanes, RowCodec, Updates, normalise_keys};
use crate::types::{DataType, Tick};

/// What the operator needs to know.
pub(crate) struct ReduceSpec {
    /// The input's columns: the keys, then the aggregates' arguments.
    pub(crate) columns: Vec<DataType>,
    /// How many of them are keys.
    pub(crate) keys: usize,
    /// The aggregates, laid out.
    pub(crate) layout: Layout,
    /// Where it starts.
    pub(crate) start: Start,
    /// Names the operator in error rows.
    pub(crate) operator: Arc<str>,
}

impl ReduceSpec {
    /// The output's columns.
    pub(super) fn output(&self) -> Vec<DataType> {
        let results = self.layout.accumulators.iter().map(|accumulator| accumulator.spec.result);
        self.columns[..self.keys].iter().copied().chain(results).collect()
    }

    /// How many traces the operator keeps.
    pub(crate) fn trace_count(&self) -> usize {
        1 + self.ordered().len() + self.layout.distinct.len()
    }

    /// What is kept in order, each once.
    fn ordered(&self) -> Vec<OrderedSpec> {
        let mut ordered: Vec<OrderedSpec> = Vec::new();
        for wanted in self.layout.accumulators.iter().filter_map(OrderedSpec::of) {
            if !ordered.contains(&wanted) {
                ordered.push(wanted);
            }
        }
        ordered
    }
}

/// The operator's state.
pub(super) struct Reduce {
    pub(super) spec: ReduceSpec,
    key_codec: RowCodec,
    groups: Arrangement,
    pub(super) ordered: Vec<Ordered>,
    distinct: Vec<Distinct>,
    /// For each accumulator its place in `ordered`.
    pub(super) places: Vec<Option<usize>>,
    /// The row that a global aggregate has over no rows is still to be given.
    initial: bool,
    meter: Arc<Meter>,
}

/// Renders a reduce: its rows, its errors, and handles to its traces for saving.
pub(crate) fn reduce<'scope>(
    input: Edge<'scope>,
    spec: ReduceSpec,
    saved: Option<Vec<SavedTrace>>,
    meter: Arc<Meter>,
    token: &Token,
) -> (Edge<'scope>, Edge<'scope>, Vec<TraceHandle>) {
    let scope = input.scope();
    let mut builder = OperatorBuilder::new("Reduce".to_owned(), scope);
    let mut input = builder.new_input(input, by_leading_columns(spec.keys));
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let info = builder.operator_info();
    let turns = token.register(scope.activator_for(Rc::clone(&info.address)));
    let start = spec.start;
    let mut saved = saved.unwrap_or_default().into_iter();
    let arrangement_meter = Arc::clone(&meter);
    let mut arrangement =
        || Arrangement::new(scope, &info, start, saved.next(), &turns).metered(&arrangement_meter);
    let worker = scope.worker();
    let owns_global = spec.keys == 0 && worker_of_all(worker.peers()) == worker.index();
    let mut output = Output::new(&spec);
    let mut state = Reduce::new(spec, &mut arrangement, owns_global, meter);
    let traces = state.traces();
    let mut todo: VecDeque<Unit> = VecDeque::new();
    let mut sealing = Sealing::default();
    builder.build(move |mut capabilities| {
        let errors_capability = capabilities.pop();
        let rows_capability = capabilities.pop();
        let mut held =
            [rows_capability, errors_capability].map(|capability| capability.filter(|_| state.initial));
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
                && let Some(until) = sealing.until(least(frontiers), state.groups.upper())
            {
                if !state.prepare(until, &mut seal_fuel) {
                    turns.again();
                    break;
                }
                sealing.done();
                todo.extend(state.seal(until, &held));
                let pending = state.pending();
                held.iter_mut().for_each(|held| settle(held, pending));
            }
            if turns.is_pressed() {
                todo.clear();
            }
            let mut fuel = turns.portion().fuel;
            while let Some(unit) = todo.front_mut().filter(|_| fuel > 0) {
                unit.advance(&mut state, &mut fuel, &mut output);
                output.send(unit.capabilities(), [&mut rows_port.activate(), &mut errors_port.activate()]);
                if unit.is_done() {
                    todo.pop_front();
                }
            }
            if todo.is_empty() {
                state.ordered.iter_mut().for_each(Ordered::trim);
            } else {
                turns.again();
            }
            state.exert();
        }
    });
    (rows, errors, traces)
}

impl Reduce {
    fn new(
        spec: ReduceSpec,
        arrangement: &mut impl FnMut() -> Arrangement,
        owns_global: bool,
        meter: Arc<Meter>,
    ) -> Reduce {
        let groups = arrangement();
        let layout = spec.ordered();
        let place = |accumulator: &Accumulator| {
            OrderedSpec::of(accumulator).and_then(|wanted| layout.iter().position(|have| *have == wanted))
        };
        let places: Vec<Option<usize>> = spec.layout.accumulators.iter().map(place).collect();
        let ordered = layout.into_iter().map(|ordered| Ordered::new(ordered, &spec.columns, arrangement()));
        let ordered = ordered.collect();
        let stages = spec.layout.distinct.iter();
        let distinct = stages
            .map(|arguments| Distinct::new(arguments.clone(), &spec.columns, spec.keys, arrangement()))
            .collect();
        let initial = owns_global && matches!(spec.start, Start::Fresh(_));
        let key_codec = RowCodec::new(&spec.columns[..spec.keys]);
        Reduce { key_codec, groups, ordered, distinct, places, initial, meter, spec }
    }

    fn traces(&self) -> Vec<TraceHandle> {
        let ordered = self.ordered.iter().map(|ordered| ordered.arrangement.observer());
        let distinct = self.distinct.iter().map(Distinct::observer);
        std::iter::once(self.groups.observer()).chain(ordered).chain(distinct).collect()
    }

    /// Takes rows: their lanes, and the arguments that are kept in order.
    fn insert(&mut self, delta: &Delta) {
        self.meter.visit(delta.len());
        let keys = normalise_keys(&delta.rows.columns()[..self.spec.keys]);
        let keys = match self.key_codec.encode(&keys, delta.len()) {
            Ok(keys) => keys,
            Err(error) => return tracing::error!(%error, "a group key could not be encoded and is not kept"),
        };
        for distinct in &mut self.distinct {
            if let Err(error) = distinct.insert(delta, &keys) {
                tracing::error!(%error, "an argument could not be encoded and is not kept");
            }
        }
        self.feed(delta, keys, None);
    }

    /// Takes rows, or the changes of a distinct stage, for what they feed.
    fn feed(&mut self, delta: &Delta, keys: ByteRows, feed: Option<usize>) {
        for ordered in self.ordered.iter_mut().filter(|ordered| ordered.spec.feed == feed) {
            if let Err(error) = ordered.insert(delta, &keys) {
                tracing::error!(%error, "an argument could not be encoded and is not kept");
            }
        }
        let stride = self.spec.layout.stride;
        let lanes = lanes_of(&self.spec.layout.accumulators, stride, delta, feed);
        let lanes =
            if stride == 1 { Lanes::One(Col::Each(lanes)) } else { Lanes::Many { stride, values: lanes } };
        let values = ByteRows::empty_rows(delta.len());
        self.groups.insert(Updates { keys, values, ticks: delta.ticks.clone(), lanes });
    }

    /// Works, as far as the fuel goes, towards a seal of the ticks before `until`: whether it is ready.
    fn prepare(&mut self, until: Tick, fuel: &mut isize) -> bool {
        for stage in 0..self.distinct.len() {
            loop {
                match self.distinct[stage].advance(until, fuel, &self.meter) {
                    Step::Changes(keys, changes) => self.feed(&changes, keys, Some(stage)),
                    Step::Unfinished => return false,
                    Step::Done => break,
                }
            }
        }
        self.groups.prepare(until, fuel)
            && self.ordered.iter_mut().all(|ordered| ordered.arrangement.prepare(until, fuel))
    }

    /// Completes the ticks before `until`, which is prepared.
    fn seal(&mut self, until: Tick, held: &[Option<Capability<Tick>>; 2]) -> Option<Unit> {
        let first_tick = self.groups.upper();
        let before = self.groups.batches();
        let fresh = self.groups.seal(until);
        let ordered: Vec<_> = self.ordered.iter_mut().map(|ordered| ordered.seal(until)).collect();
        self.compact();
        let initial = std::mem::take(&mut self.initial).then_some(first_tick);
        if fresh.is_none() && initial.is_none() && ordered.iter().all(|ordered| ordered.is_empty()) {
            return None;
        }
        // Something arrived or is to be given, so there is a capability for it.
        let capabilities = [held[0].clone()?, held[1].clone()?];
        Some(Unit::new(capabilities, initial, before, fresh, ordered, self.spec.layout.stride))
    }

    fn compact(&mut self) {
        let since = self.groups.upper().saturating_sub(1);
        self.groups.compact(since);
        self.distinct.iter_mut().for_each(|distinct| distinct.compact(since));
        self.ordered.iter_mut().for_each(|ordered| ordered.arrangement.compact(since));
    }

    /// The earliest tick that has arrived and is not complete.
    fn pending(&self) -> Option<Tick> {
        let ordered = self.ordered.iter().filter_map(|ordered| ordered.arrangement.pending());
        let distinct = self.distinct.iter().filter_map(Distinct::pending);
        self.groups.pending().into_iter().chain(ordered).chain(distinct).min()
    }

    fn exert(&mut self) {
        self.groups.exert();
        self.ordered.iter_mut().for_each(|ordered| ordered.arrangement.exert());
        self.distinct.iter_mut().for_each(Distinct::exert);
    }

    /// Counts rows that were looked at.
    pub(super) fn visited(&self, rows: usize) {
        self.meter.visit(rows);
    }
}
