//! Reduce: GROUP BY, maintained.
//!
//! One operator holds all state of the groups: the accumulators (one trace, keyed by the group
//! alone, whose merging is aggregating), an ordered trace for each argument of min and max and for the
//! texts of string_agg, and a distinct stage for each argument that counts once (distinct.rs).
//! When ticks complete, each touched group is read before and after each of them, and the change of
//! its row goes out: old −1, new +1. There is no output trace: the old row follows from the state.
//!
//! ```text
//!   rows (keys, arguments) ─exchange by key─┬──────────────────▶ accumulators: key → lanes
//!                                           ├──────────────────▶ ordered: (key, value) → count
//!                                           └▶ distinct stage ─▶ both, for arguments with DISTINCT
//!   seal [lower, upper): for each touched (key, tick): before ≠ after ⇒ −before, +after
//! ```
//! An aggregate that cannot be computed (22003) is an error row in the place of the group's row.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Float64Type;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::accumulate::{Accumulator, Layout, Outcome, lanes_of};
use super::arrange::{keep_least, settle};
use super::arrangement::{Arrangement, SavedTrace, Start, TraceHandle};
use super::distinct::Distinct;
use super::edge::{Edge, EdgeOutput, by_leading_columns, worker_of};
use super::groups::{Cell, Group, Output};
use super::meter::Meter;
use super::publish::least;
use crate::delta::{Col, Delta};
use crate::error::DataError;
use crate::joined::join_texts;
use crate::plan::AggregateFunction;
use crate::planted::{self, Bug};
use crate::spread::fixed;
use crate::state::{
    ByteRows, DeadRanges, Direction, End, KeyRanges, Lanes, LiveWalk, RowCodec, Shared, Updates, accumulate,
    add_lanes, key_range, normalise_keys, walk_front,
};
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

/// What is kept in order.
#[derive(Clone, Debug, PartialEq)]
struct OrderedSpec {
    /// The distinct stage that feeds it; `None`: the rows do.
    feed: Option<usize>,
    /// The argument: a row where it is NULL is not kept.
    argument: usize,
    /// Whether only doubles outside the window are kept.
    outside: bool,
    /// The columns of a value, in the order in which they are compared.
    columns: Vec<(usize, Direction)>,
}

impl OrderedSpec {
    fn of(accumulator: &Accumulator) -> Option<OrderedSpec> {
        let spec = &accumulator.spec;
        let (argument, _) = spec.argument.filter(|_| accumulator.is_ordered())?;
        let mut columns = spec.order.clone();
        if planted::is_on(Bug::JoinedWithoutOrder) {
            columns.clear();
        }
        let ascending = std::iter::once(argument).chain(spec.delimiter);
        columns.extend(ascending.map(|column| (column, Direction::ASCENDING)));
        let outside = accumulator.keeps_outside();
        Some(OrderedSpec { feed: accumulator.feed, argument, outside, columns })
    }

    fn codec(&self, types: &[DataType]) -> RowCodec {
        let columns = self.columns.iter().map(|(column, options)| (types[*column], *options));
        RowCodec::ordered(&columns.collect::<Vec<_>>(), &[])
    }

    /// The rows that are kept.
    fn rows(&self, delta: &Delta) -> Vec<u32> {
        let column = delta.rows.column(self.argument);
        let is_outside = |row: usize| fixed(column.as_primitive::<Float64Type>().value(row)).is_none();
        let keeps = |row: &u32| {
            let row = *row as usize;
            column.is_valid(row) && (!self.outside || is_outside(row))
        };
        (0..delta.len() as u32).filter(keeps).collect()
    }
}

/// An argument kept in order.
struct Ordered {
    spec: OrderedSpec,
    codec: RowCodec,
    arrangement: Arrangement,
    /// Before and after the seal that is under way.
    before: Vec<Shared>,
    after: Vec<Shared>,
    /// Where walks from the ends need not look.
    dead: DeadRanges,
}

/// The operator's state.
struct Reduce {
    spec: ReduceSpec,
    key_codec: RowCodec,
    groups: Arrangement,
    ordered: Vec<Ordered>,
    distinct: Vec<Distinct>,
    /// For each accumulator its place in `ordered`.
    places: Vec<Option<usize>>,
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
) -> (Edge<'scope>, Edge<'scope>, Vec<TraceHandle>) {
    let scope = input.scope();
    let mut builder = OperatorBuilder::new("Reduce".to_owned(), scope);
    let mut input = builder.new_input(input, by_leading_columns(&spec.columns, spec.keys));
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let info = builder.operator_info();
    let start = spec.start;
    let mut saved = saved.unwrap_or_default().into_iter();
    let arrangement_meter = Arc::clone(&meter);
    let mut arrangement = || Arrangement::new(scope, &info, start, saved.next()).metered(&arrangement_meter);
    let worker = scope.worker();
    let owns_global = spec.keys == 0 && worker_of(&[], worker.peers()) == worker.index();
    let mut state = Reduce::new(spec, &mut arrangement, owns_global, meter);
    let traces = state.traces();
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
            let upper = least(frontiers);
            if upper.is_none_or(|upper| upper > state.groups.upper()) && state.groups.upper() < Tick::MAX {
                let mut output = Output::new(&state.spec);
                state.seal(upper, &mut output);
                output.send(&state.spec, &held, [&mut rows_port.activate(), &mut errors_port.activate()]);
                let pending = state.pending();
                held.iter_mut().for_each(|held| settle(held, pending));
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
        let ordered = layout.into_iter().map(|ordered| Ordered {
            codec: ordered.codec(&spec.columns),
            spec: ordered,
            arrangement: arrangement(),
            before: Vec::new(),
            after: Vec::new(),
            dead: DeadRanges::default(),
        });
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

    /// Completes the ticks before `upper` and collects the changes of the touched groups.
    fn seal(&mut self, upper: Option<Tick>, output: &mut Output) {
        let first_tick = self.groups.upper();
        let before = self.groups.batches();
        for stage in 0..self.distinct.len() {
            if let Some((keys, changes)) = self.distinct[stage].seal(upper, &self.meter) {
                self.feed(&changes, keys, Some(stage));
            }
        }
        let fresh = self.groups.seal(upper);
        self.ordered.iter_mut().for_each(|ordered| ordered.seal(upper));
        let touched = self.touched(fresh.as_ref(), first_tick);
        let mut positions = vec![0; before.len() + 1];
        for group in touched.chunk_by(|a, b| a.0 == b.0) {
            let key = &group[0].0;
            let walks = self.ordered.iter_mut().map(|ordered| ordered.begin_walks(key)).collect();
            let mut reader = GroupReader {
                reduce: self,
                key,
                lanes: vec![0; self.spec.layout.stride],
                fresh: fresh.as_ref(),
                row: 0,
                walks,
            };
            reader.read_before(&before, &mut positions);
            reader.changes(group, output);
            let walks = reader.walks;
            let ordered = self.ordered.iter_mut().zip(walks);
            ordered.for_each(|(ordered, walks)| ordered.dead.put(key, walks.ranges));
        }
        self.initial = false;
        self.compact();
    }

    /// The groups that something happened to, and when, in order.
    fn touched(&self, fresh: Option<&Shared>, first_tick: Tick) -> Vec<(Vec<u8>, Tick)> {
        let fresh_ordered = self.ordered.iter().filter_map(|o| o.after.get(o.before.len()));
        let mut touched: Vec<(Vec<u8>, Tick)> = Vec::new();
        if self.initial {
            touched.push((Vec::new(), first_tick));
        }
        for batch in fresh.into_iter().chain(fresh_ordered) {
            touched.extend((0..batch.len()).map(|row| (batch.key(row).to_vec(), batch.tick(row))));
        }
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    fn compact(&mut self) {
        let since = self.groups.upper().saturating_sub(1);
        self.groups.compact(since);
        self.distinct.iter_mut().for_each(|distinct| distinct.compact(since));
        for ordered in &mut self.ordered {
            ordered.arrangement.compact(since);
            ordered.dead.trim(ordered.after.iter().map(|batch| batch.len()).sum());
            ordered.before.clear();
            ordered.after.clear();
        }
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
}

impl Ordered {
    fn insert(&mut self, delta: &Delta, keys: &ByteRows) -> Result<(), DataError> {
        let kept = self.spec.rows(delta);
        let rows = UInt32Array::from(kept.clone());
        let columns =
            self.spec.columns.iter().map(|(column, _)| take(delta.rows.column(*column), &rows, None));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>().map_err(|e| DataError::from_arrow(&e))?;
        let values = self.codec.encode(&normalise_keys(&columns), kept.len())?;
        let mut updates = Updates::new(1);
        for (index, row) in kept.iter().enumerate() {
            let row = *row as usize;
            updates.push(keys.get(row), values.get(index), delta.ticks.get(row), &[delta.diffs.get(row)]);
        }
        self.arrangement.insert(updates);
        Ok(())
    }

    fn seal(&mut self, upper: Option<Tick>) {
        self.before = self.arrangement.batches();
        self.after.clone_from(&self.before);
        self.after.extend(self.arrangement.seal(upper));
    }

    /// What the walks of one group share during a seal.
    fn begin_walks(&mut self, key: &[u8]) -> GroupWalks {
        let ranges = self.dead.take(key);
        let mut fresh: Vec<(Tick, usize)> = Vec::new();
        if let Some(batch) = self.after.get(self.before.len()) {
            fresh.extend(key_range(batch, 0, key).map(|row| (batch.tick(row), row)));
        }
        fresh.sort_unstable();
        GroupWalks { ranges, fresh, taken: 0 }
    }

    /// The first or last value of a group, up to a tick.
    fn extreme(
        &self,
        batches: &[Shared],
        key: &[u8],
        at: Tick,
        end: End,
        ranges: &mut KeyRanges,
        meter: &Meter,
    ) -> Option<Vec<u8>> {
        let mut walk = LiveWalk::new(batches, key, end, [at], ranges);
        let mut found = None;
        while let (None, Some((value, [count]))) = (&found, walk.step()) {
            found = (count > 0).then(|| value.to_vec());
        }
        meter.visit(walk.visited());
        found
    }

    /// All values of a group, up to a tick, as doubles.
    fn doubles(&self, batches: &[Shared], key: &[u8], at: Tick, add: &mut dyn FnMut(f64, i64)) {
        let _: ControlFlow<()> = walk_front(batches, key, at, |value, count| {
            if let Ok(decoded) = self.codec.decode([value]) {
                add(decoded[0].as_primitive::<Float64Type>().value(0), count);
            }
            ControlFlow::Continue(())
        });
    }
}

/// One group's walks along an ordered argument during a seal.
struct GroupWalks {
    ranges: KeyRanges,
    /// The group's fresh updates, by tick; `taken` of them lie at or before the tick that is read.
    fresh: Vec<(Tick, usize)>,
    taken: usize,
}

impl GroupWalks {
    /// Moves on to a tick: what was updated up to it may be alive.
    fn advance(&mut self, ordered: &Ordered, tick: Tick) {
        let Some(batch) = ordered.after.get(ordered.before.len()) else { return };
        while let Some((_, row)) = self.fresh.get(self.taken).filter(|(at, _)| *at <= tick) {
            self.ranges.touch(batch.value(*row));
            self.taken += 1;
        }
    }
}

/// The texts of a group, up to a tick, in order and joined.
fn joined(
    ordered: &Ordered,
    batches: &[Shared],
    key: &[u8],
    at: Tick,
    meter: &Meter,
) -> Result<Cell, DataError> {
    let mut values = ByteRows::default();
    let mut counts = Vec::new();
    let _: ControlFlow<()> = walk_front(batches, key, at, |value, count| {
        values.push(value);
        counts.push(count);
        ControlFlow::Continue(())
    });
    meter.visit(counts.len());
    let columns = ordered.codec.decode(values.iter())?;
    let [.., texts, delimiters] = columns.as_slice() else {
        return Err(DataError::new("XX000", "a joined text lacks its delimiter"));
    };
    let (texts, delimiters) = (texts.as_string::<i32>(), delimiters.as_string::<i32>());
    let parts = texts.iter().zip(delimiters).zip(&counts);
    let joined =
        join_texts(parts.map(|((text, delimiter), count)| (text.unwrap_or_default(), delimiter, *count)))?;
    joined.map(Cell::Text).ok_or_else(DataError::negative_multiplicity)
}

/// Reads one group from before the first of its touched ticks to after the last.
struct GroupReader<'a> {
    reduce: &'a Reduce,
    key: &'a [u8],
    lanes: Vec<i64>,
    fresh: Option<&'a Shared>,
    row: usize,
    /// One for each ordered argument.
    walks: Vec<GroupWalks>,
}

impl GroupReader<'_> {
    /// The lanes before the seal, and the place of the group in the fresh batch.
    fn read_before(&mut self, before: &[Shared], positions: &mut [usize]) {
        let (fresh_position, positions) = positions.split_last_mut().expect("one position more than batches");
        accumulate(before, positions, self.key, Tick::MAX, &mut self.lanes);
        if let Some(fresh) = self.fresh {
            *fresh_position = fresh.seek_key(*fresh_position, self.key);
            self.row = *fresh_position;
        }
        self.reduce.meter.visit(before.len());
    }

    fn changes(&mut self, ticks: &[(Vec<u8>, Tick)], output: &mut Output) {
        let mut old = if self.reduce.initial { Group::Absent } else { self.read(None) };
        for (_, tick) in ticks {
            self.advance(*tick);
            let mut new = self.read(Some(*tick));
            if planted::is_on(Bug::MaxNeverFalls) {
                never_fall(&self.reduce.spec, &old, &mut new);
            }
            if old != new {
                output.push(self.key, &old, -1, *tick);
                output.push(self.key, &new, 1, *tick);
                old = new;
            }
        }
    }

    /// Adds the fresh lanes of one tick.
    fn advance(&mut self, tick: Tick) {
        let walks = self.walks.iter_mut().zip(&self.reduce.ordered);
        walks.for_each(|(walks, ordered)| walks.advance(ordered, tick));
        let Some(fresh) = self.fresh else { return };
        while self.row < fresh.len() && fresh.key(self.row) == self.key && fresh.tick(self.row) <= tick {
            add_lanes(&mut self.lanes, fresh.lanes(self.row));
            self.row += 1;
            self.reduce.meter.visit(1);
        }
    }

    /// The group's row: before the seal, or at a tick of it.
    fn read(&mut self, at: Option<Tick>) -> Group {
        match self.lanes[0].cmp(&0) {
            Ordering::Less => return Group::Wrong(DataError::negative_multiplicity()),
            Ordering::Equal if self.reduce.spec.keys > 0 && !planted::is_on(Bug::EmptyGroupStays) => {
                return Group::Absent;
            }
            Ordering::Equal | Ordering::Greater => {}
        }
        let reduce = self.reduce;
        let places = reduce.spec.layout.accumulators.iter().zip(&reduce.places);
        let cells = places.map(|(accumulator, place)| self.cell(accumulator, *place, at));
        match cells.collect::<Result<Vec<Cell>, DataError>>() {
            Ok(cells) => Group::Row(cells),
            Err(error) => Group::Wrong(error),
        }
    }

    fn cell(
        &mut self,
        accumulator: &Accumulator,
        place: Option<usize>,
        at: Option<Tick>,
    ) -> Result<Cell, DataError> {
        let reduce = self.reduce;
        let ordered = place.map(|place| &reduce.ordered[place]);
        let batches = |ordered: &'_ Ordered| match at {
            None => (ordered.before.clone(), Tick::MAX),
            Some(tick) => (ordered.after.clone(), tick),
        };
        let outcome = accumulator.finish(&self.lanes, |add| {
            if let Some(ordered) = ordered {
                let (batches, at) = batches(ordered);
                ordered.doubles(&batches, self.key, at, add);
            }
        })?;
        let end = match outcome {
            Outcome::Least => Some(End::Front),
            Outcome::Greatest => Some(End::Back),
            Outcome::Joined => None,
            value => return Ok(Cell::Value(value)),
        };
        let lacking = || DataError::new("XX000", "an aggregate lacks its trace");
        let (ordered, place) = ordered.zip(place).ok_or_else(lacking)?;
        let (batches, at) = batches(ordered);
        let Some(end) = end else { return joined(ordered, &batches, self.key, at, &reduce.meter) };
        let ranges = &mut self.walks[place].ranges;
        let found = ordered.extreme(&batches, self.key, at, end, ranges, &reduce.meter);
        found.map(Cell::Encoded).ok_or_else(DataError::negative_multiplicity)
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
