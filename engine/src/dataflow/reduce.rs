//! Reduce: GROUP BY, maintained.
//!
//! One operator holds all state of the groups: the accumulators (one trace, keyed by the group
//! alone, whose merging is aggregating) and an ordered trace for each argument of min and max.
//! When ticks complete, each touched group is read before and after each of them, and the change of
//! its row goes out: old −1, new +1. There is no output trace: the old row follows from the state.
//!
//! ```text
//!   rows (keys, arguments) ─exchange by key─▶ lanes ──▶ accumulators: key → lanes
//!                                        └──▶ min/max arguments: (key, value) → count
//!   seal [lower, upper): for each touched (key, tick): before ≠ after ⇒ −before, +after
//! ```
//! An aggregate that cannot be computed (22003) is an error row in the place of the group's row.

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Float64Type;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::accumulate::{Accumulator, Outcome, lanes_of};
use super::arrange::{keep_least, settle};
use super::arrangement::{Arrangement, SavedTrace, Start, TraceHandle};
use super::blocks::chunks_by_size;
use super::edge::{Edge, EdgeOutput, EdgeSession, by_leading_columns, send, worker_of};
use super::errors::ErrorRows;
use super::meter::Meter;
use super::publish::least;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::state::{
    ByteRows, Lanes, RowCodec, Shared, Updates, accumulate, add_lanes, normalise_keys, walk_back, walk_front,
};
use crate::types::{DataType, Tick};

/// What the operator needs to know.
pub(crate) struct ReduceSpec {
    /// The input's columns: the keys, then the aggregates' arguments.
    pub(crate) columns: Vec<DataType>,
    /// How many of them are keys.
    pub(crate) keys: usize,
    /// The aggregates, laid out.
    pub(crate) accumulators: Vec<Accumulator>,
    /// Lanes a group.
    pub(crate) stride: usize,
    /// Where it starts.
    pub(crate) start: Start,
    /// Names the operator in error rows.
    pub(crate) operator: Arc<str>,
}

impl ReduceSpec {
    /// The output's columns.
    fn output(&self) -> Vec<DataType> {
        let results = self.accumulators.iter().map(|accumulator| accumulator.spec.result);
        self.columns[..self.keys].iter().copied().chain(results).collect()
    }

    /// How many ordered traces the operator keeps.
    pub(crate) fn ordered_count(&self) -> usize {
        self.ordered().len()
    }

    /// The arguments that are kept in order, each once: (column, whether all its values are kept).
    fn ordered(&self) -> Vec<(usize, bool)> {
        let mut ordered: Vec<(usize, bool)> = self.accumulators.iter().filter_map(Self::ordered_of).collect();
        ordered.sort_unstable();
        ordered.dedup();
        ordered
    }

    fn ordered_of(accumulator: &Accumulator) -> Option<(usize, bool)> {
        let (column, _) = accumulator.spec.argument?;
        accumulator.is_ordered().then_some((column, accumulator.is_extreme()))
    }
}

/// An argument kept in order.
struct Ordered {
    column: usize,
    codec: RowCodec,
    /// An accumulator that says which values are kept.
    keeper: Accumulator,
    arrangement: Arrangement,
    /// Before and after the seal that is under way.
    before: Vec<Shared>,
    after: Vec<Shared>,
}

/// A group's row at one moment.
#[derive(Clone, Debug, PartialEq)]
enum Group {
    /// No row.
    Absent,
    /// The aggregates.
    Row(Vec<Cell>),
    /// They cannot be computed.
    Wrong(DataError),
}

/// One aggregate of a group's row.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    /// Computed from lanes.
    Value(Outcome),
    /// A value of an ordered trace, encoded.
    Encoded(Vec<u8>),
}

/// The operator's state.
struct Reduce {
    spec: ReduceSpec,
    key_codec: RowCodec,
    groups: Arrangement,
    ordered: Vec<Ordered>,
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
            ReduceSpec::ordered_of(accumulator)
                .and_then(|wanted| layout.iter().position(|have| *have == wanted))
        };
        let places: Vec<Option<usize>> = spec.accumulators.iter().map(place).collect();
        let keeper = |index: usize| places.iter().position(|place| *place == Some(index));
        let ordered = layout.iter().enumerate().filter_map(|(index, (column, _))| {
            Some(Ordered {
                column: *column,
                codec: RowCodec::new(&[spec.columns[*column]]),
                keeper: spec.accumulators[keeper(index)?],
                arrangement: arrangement(),
                before: Vec::new(),
                after: Vec::new(),
            })
        });
        let ordered = ordered.collect();
        let initial = owns_global && matches!(spec.start, Start::Fresh(_));
        let key_codec = RowCodec::new(&spec.columns[..spec.keys]);
        Reduce { key_codec, groups, ordered, places, initial, meter, spec }
    }

    fn traces(&self) -> Vec<TraceHandle> {
        let ordered = self.ordered.iter().map(|ordered| ordered.arrangement.observer());
        std::iter::once(self.groups.observer()).chain(ordered).collect()
    }

    /// Takes rows: their lanes, and the arguments that are kept in order.
    fn insert(&mut self, delta: &Delta) {
        self.meter.visit(delta.len());
        let keys = normalise_keys(&delta.rows.columns()[..self.spec.keys]);
        let keys = match self.key_codec.encode(&keys, delta.len()) {
            Ok(keys) => keys,
            Err(error) => return tracing::error!(%error, "a group key could not be encoded and is not kept"),
        };
        for ordered in &mut self.ordered {
            if let Err(error) = ordered.insert(delta, &keys) {
                tracing::error!(%error, "an argument could not be encoded and is not kept");
            }
        }
        let stride = self.spec.stride;
        let lanes = lanes_of(&self.spec.accumulators, stride, delta);
        let lanes =
            if stride == 1 { Lanes::One(Col::Each(lanes)) } else { Lanes::Many { stride, values: lanes } };
        let values = ByteRows::empty_rows(delta.len());
        self.groups.insert(Updates { keys, values, ticks: delta.ticks.clone(), lanes });
    }

    /// Completes the ticks before `upper` and collects the changes of the touched groups.
    fn seal(&mut self, upper: Option<Tick>, output: &mut Output) {
        let first_tick = self.groups.upper();
        let before = self.groups.batches();
        let fresh = self.groups.seal(upper);
        self.ordered.iter_mut().for_each(|ordered| ordered.seal(upper));
        let touched = self.touched(fresh.as_ref(), first_tick);
        let mut positions = vec![0; before.len() + 1];
        for group in touched.chunk_by(|a, b| a.0 == b.0) {
            let mut reader = GroupReader {
                reduce: self,
                key: &group[0].0,
                lanes: vec![0; self.spec.stride],
                fresh: fresh.as_ref(),
                row: 0,
            };
            reader.read_before(&before, &mut positions);
            reader.changes(group, output);
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
        for ordered in &mut self.ordered {
            ordered.arrangement.compact(since);
            ordered.before.clear();
            ordered.after.clear();
        }
    }

    /// The earliest tick that has arrived and is not complete.
    fn pending(&self) -> Option<Tick> {
        let ordered = self.ordered.iter().filter_map(|ordered| ordered.arrangement.pending());
        self.groups.pending().into_iter().chain(ordered).min()
    }

    fn exert(&mut self) {
        self.groups.exert();
        self.ordered.iter_mut().for_each(|ordered| ordered.arrangement.exert());
    }
}

impl Ordered {
    fn insert(&mut self, delta: &Delta, keys: &ByteRows) -> Result<(), DataError> {
        let column = delta.rows.column(self.column);
        let kept: Vec<u32> =
            (0..delta.len()).filter(|row| self.keeper.keeps(column, *row)).map(|row| row as u32).collect();
        let taken =
            take(column, &UInt32Array::from(kept.clone()), None).map_err(|e| DataError::from_arrow(&e))?;
        let values = self.codec.encode(&normalise_keys(&[taken]), kept.len())?;
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

    /// The first or last value of a group, up to a tick.
    fn extreme(
        &self,
        batches: &[Shared],
        key: &[u8],
        at: Tick,
        greatest: bool,
        meter: &Meter,
    ) -> Option<Vec<u8>> {
        let visit = |value: &[u8], count: i64| {
            meter.visit(1);
            if count > 0 { ControlFlow::Break(value.to_vec()) } else { ControlFlow::Continue(()) }
        };
        let found =
            if greatest { walk_back(batches, key, at, visit) } else { walk_front(batches, key, at, visit) };
        found.break_value()
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

/// Reads one group from before the first of its touched ticks to after the last.
struct GroupReader<'a> {
    reduce: &'a Reduce,
    key: &'a [u8],
    lanes: Vec<i64>,
    fresh: Option<&'a Shared>,
    row: usize,
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
        let Some(fresh) = self.fresh else { return };
        while self.row < fresh.len() && fresh.key(self.row) == self.key && fresh.tick(self.row) <= tick {
            add_lanes(&mut self.lanes, fresh.lanes(self.row));
            self.row += 1;
            self.reduce.meter.visit(1);
        }
    }

    /// The group's row: before the seal, or at a tick of it.
    fn read(&self, at: Option<Tick>) -> Group {
        match self.lanes[0].cmp(&0) {
            Ordering::Less => return Group::Wrong(DataError::new("XX000", "negative multiplicity")),
            Ordering::Equal if self.reduce.spec.keys > 0 && !planted::is_on(Bug::EmptyGroupStays) => {
                return Group::Absent;
            }
            Ordering::Equal | Ordering::Greater => {}
        }
        let places = self.reduce.spec.accumulators.iter().zip(&self.reduce.places);
        let cells = places.map(|(accumulator, place)| self.cell(accumulator, *place, at));
        match cells.collect::<Result<Vec<Cell>, DataError>>() {
            Ok(cells) => Group::Row(cells),
            Err(error) => Group::Wrong(error),
        }
    }

    fn cell(
        &self,
        accumulator: &Accumulator,
        place: Option<usize>,
        at: Option<Tick>,
    ) -> Result<Cell, DataError> {
        let ordered = place.map(|place| &self.reduce.ordered[place]);
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
        let greatest = match outcome {
            Outcome::Least => false,
            Outcome::Greatest => true,
            value => return Ok(Cell::Value(value)),
        };
        let ordered = ordered.ok_or_else(|| DataError::new("XX000", "min or max lacks its trace"))?;
        let (batches, at) = batches(ordered);
        let found = ordered.extreme(&batches, self.key, at, greatest, &self.reduce.meter);
        found.map(Cell::Encoded).ok_or_else(|| DataError::new("XX000", "negative multiplicity"))
    }
}

/// A planted bug: the greatest value stays when its row is gone.
fn never_fall(spec: &ReduceSpec, old: &Group, new: &mut Group) {
    let (Group::Row(old), Group::Row(new)) = (old, new) else { return };
    for (index, accumulator) in spec.accumulators.iter().enumerate().filter(|(_, a)| a.is_extreme()) {
        if let (Cell::Encoded(was), Cell::Encoded(is)) = (&old[index], &mut new[index]) {
            let falls = accumulator.spec.function == crate::plan::AggregateFunction::Max && *is < *was;
            if falls {
                is.clone_from(was);
            }
        }
    }
}

/// Collects the output of one seal.
struct Output {
    keys: ByteRows,
    cells: Vec<Vec<Cell>>,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
    errors: ErrorRows,
}

impl Output {
    fn new(spec: &ReduceSpec) -> Output {
        Output {
            keys: ByteRows::default(),
            cells: vec![Vec::new(); spec.accumulators.len()],
            diffs: Vec::new(),
            ticks: Vec::new(),
            errors: ErrorRows::new(Arc::clone(&spec.operator)),
        }
    }

    fn push(&mut self, key: &[u8], group: &Group, diff: i64, tick: Tick) {
        match group {
            Group::Absent => {}
            Group::Wrong(error) => self.errors.push(error.clone(), diff, tick),
            Group::Row(cells) => {
                self.keys.push(key);
                self.cells.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell.clone()));
                self.diffs.push(diff);
                self.ticks.push(tick + Tick::from(planted::is_on(Bug::TickOffByOne)));
            }
        }
    }

    fn send(
        mut self,
        spec: &ReduceSpec,
        held: &[Option<Capability<Tick>>; 2],
        ports: [&mut EdgeSession<'_>; 2],
    ) {
        let [rows_port, errors_port] = ports;
        if let (Some(capability), false) = (&held[0], self.diffs.is_empty()) {
            let rows: Vec<usize> = (0..self.diffs.len()).collect();
            let blocks = chunks_by_size(&rows, |row| self.bytes(*row));
            let blocks = blocks.map(|rows| Arc::new(self.build(spec, rows[0]..rows[0] + rows.len())));
            send(rows_port, capability, Deltas { list: blocks.collect() });
        }
        if let (Some(capability), Some(errors)) = (&held[1], self.errors.take()) {
            send(errors_port, capability, Deltas::one(errors));
        }
    }

    /// The encoded bytes of a row.
    fn bytes(&self, row: usize) -> usize {
        let cell = |column: &Vec<Cell>| match &column[row] {
            Cell::Value(_) => size_of::<Outcome>(),
            Cell::Encoded(value) => value.len(),
        };
        self.keys.get(row).len() + self.cells.iter().map(cell).sum::<usize>()
    }

    fn build(&self, spec: &ReduceSpec, rows: Range<usize>) -> Delta {
        let codec = RowCodec::new(&spec.columns[..spec.keys]);
        let keys = codec.decode(rows.clone().map(|row| self.keys.get(row)));
        let mut columns = keys.expect("a group key is its own encoding");
        for (accumulator, cells) in spec.accumulators.iter().zip(&self.cells) {
            columns.push(column_of(accumulator.spec.result, &cells[rows.clone()]));
        }
        let batch = batch_of(&spec.output(), columns, rows.len()).expect("the output has the spec's types");
        let (diffs, ticks) = (self.diffs[rows.clone()].to_vec(), self.ticks[rows].to_vec());
        Delta { rows: batch, diffs: Col::Each(diffs), ticks: Col::Each(ticks) }
    }
}

/// The cells of one aggregate as a column of its type.
fn column_of(data_type: DataType, cells: &[Cell]) -> ArrayRef {
    if cells.iter().any(|cell| matches!(cell, Cell::Encoded(_))) {
        return extreme_column(data_type, cells);
    }
    let outcomes = cells.iter().map(|cell| match cell {
        Cell::Value(outcome) => *outcome,
        Cell::Encoded(_) => Outcome::Null,
    });
    match data_type {
        DataType::Int64 => Arc::new(Int64Array::from_iter(outcomes.map(Outcome::int64))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(outcomes.map(Outcome::float64))),
        DataType::Numeric { .. } => {
            let column = Decimal128Array::from_iter(outcomes.map(Outcome::numeric));
            Arc::new(column.with_data_type(data_type.to_arrow()))
        }
        DataType::Boolean | DataType::Int32 | DataType::Text | DataType::Timestamp => {
            arrow::array::new_null_array(&data_type.to_arrow(), cells.len())
        }
    }
}

/// Encoded values, and NULLs between them, as a column.
fn extreme_column(data_type: DataType, cells: &[Cell]) -> ArrayRef {
    let codec = RowCodec::new(&[data_type]);
    let null = codec.encode(&[arrow::array::new_null_array(&data_type.to_arrow(), 1)], 1);
    let null = null.expect("NULL has an encoding");
    let encoded = cells.iter().map(|cell| match cell {
        Cell::Encoded(value) => value.as_slice(),
        Cell::Value(_) => null.get(0),
    });
    let mut columns = codec.decode(encoded).expect("a trace holds its own encoding");
    columns.pop().expect("one column was encoded")
}
