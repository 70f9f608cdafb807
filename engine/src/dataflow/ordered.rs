//! The arguments of a reduce that are kept in order: of min and max, of string_agg, and the doubles that
//! lanes cannot hold.
//!
//! One trace an argument: (group, what is compared) → count. Extremes are found by a walk from one end
//! that remembers where everything cancels (`DeadRanges`); texts and doubles by a walk along all.

use std::ops::ControlFlow;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Float64Type;

use super::accumulate::Accumulator;
use super::arrangement::Arrangement;
use super::groups::Cell;
use super::meter::Visits;
use crate::array::Element;
use crate::delta::Delta;
use crate::error::DataError;
use crate::joined::{array_of, join_texts};
use crate::plan::AggregateFunction;
use crate::planted::{self, Bug};
use crate::spread::fixed;
use crate::state::{
    ByteRows, DeadRanges, Direction, End, KeyRanges, LiveWalk, RowCodec, Shared, Updates, key_range,
    normalise_keys, walk_front,
};
use crate::types::{DataType, Tick};

/// What is kept in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OrderedSpec {
    /// The distinct stage that feeds it; `None`: the rows do.
    pub(super) feed: Option<usize>,
    /// The argument: a row where it is NULL is not kept.
    argument: usize,
    /// What the array is of that is made of the values; none for other aggregates.
    element: Option<Element>,
    /// Whether only doubles outside the window are kept.
    outside: bool,
    /// Whether the last column is the argument as its row has it: equal values may look different, and a group
    /// shows the least (or the greatest) of those of its extreme.
    as_it_is: bool,
    /// The columns of a value, in the order in which they are compared.
    columns: Vec<(usize, Direction)>,
}

impl OrderedSpec {
    /// What an aggregate wants kept, if it does.
    pub(super) fn of(accumulator: &Accumulator) -> Option<OrderedSpec> {
        let spec = &accumulator.spec;
        let (argument, data_type) = spec.argument.filter(|_| accumulator.is_ordered())?;
        let shown = spec.delimiter.unwrap_or((argument, data_type));
        let differs =
            shown.1.has_equals_that_differ() || matches!(shown.1, DataType::Float32 | DataType::Float64);
        let as_it_is = match spec.function {
            // Of two zeros a group shows 0, whatever its sign.
            AggregateFunction::Min | AggregateFunction::Max => data_type.has_equals_that_differ(),
            AggregateFunction::ArrayAgg => differs,
            _ => false,
        };
        let mut columns = spec.order.clone();
        if planted::is_on(Bug::JoinedWithoutOrder) {
            columns.clear();
        }
        // As ORDER BY has them where nothing else is said.
        let direction = match spec.function {
            AggregateFunction::ArrayAgg => Direction { descending: false, nulls_first: false },
            _ => Direction::ASCENDING,
        };
        let again = as_it_is.then_some(shown.0);
        let ascending =
            std::iter::once(argument).chain(spec.delimiter.map(|(column, _)| column)).chain(again);
        columns.extend(ascending.map(|column| (column, direction)));
        let outside = accumulator.keeps_outside();
        let element = match (spec.function, spec.result) {
            (AggregateFunction::ArrayAgg, DataType::Array(element)) => Some(element),
            _ => None,
        };
        Some(OrderedSpec { feed: accumulator.feed, argument, element, outside, as_it_is, columns })
    }

    pub(super) fn codec(&self, types: &[DataType]) -> RowCodec {
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
pub(super) struct Ordered {
    pub(super) spec: OrderedSpec,
    codec: RowCodec,
    pub(super) arrangement: Arrangement,
    /// Where walks from the ends need not look, as of the units that are done.
    pub(super) dead: DeadRanges,
}

impl Ordered {
    /// Of an input with these columns.
    pub(super) fn new(spec: OrderedSpec, columns: &[DataType], arrangement: Arrangement) -> Ordered {
        Ordered { codec: spec.codec(columns), spec, arrangement, dead: DeadRanges::default() }
    }

    /// Takes rows, whose encoded groups these are.
    pub(super) fn insert(&mut self, delta: &Delta, keys: &ByteRows) -> Result<(), DataError> {
        let kept = self.spec.rows(delta);
        let rows = UInt32Array::from(kept.clone());
        let columns =
            self.spec.columns.iter().map(|(column, _)| take(delta.rows.column(*column), &rows, None));
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>().map_err(|e| DataError::from_arrow(&e))?;
        let mut compared = normalise_keys(&columns);
        if self.spec.as_it_is {
            compared.pop();
            compared.extend(columns.last().cloned());
        }
        let values = self.codec.encode(&compared, kept.len())?;
        let keys = kept.iter().map(|row| keys.get(*row as usize)).collect();
        let (ticks, diffs) = (delta.ticks.take(&kept), delta.diffs.take(&kept));
        self.arrangement.insert(Updates { keys, values, ticks, lanes: diffs.into() });
        Ok(())
    }

    /// Completes the ticks before `until`, which is prepared.
    pub(super) fn seal(&mut self, until: Tick) -> OrderedSeal {
        let before = self.arrangement.batches();
        let fresh = self.arrangement.seal(until);
        let after = before.iter().cloned().chain(fresh.clone()).collect();
        OrderedSeal { before, after, fresh, next: 0 }
    }

    /// The extreme among the columns of a value: in its own encoding, as which its column is read.
    pub(super) fn shown(&self, value: Vec<u8>) -> Result<Vec<u8>, DataError> {
        if !self.spec.as_it_is {
            return Ok(value);
        }
        let columns = self.codec.decode([value.as_slice()])?;
        let own = columns.last().and_then(|column| Some((column, DataType::from_arrow(column.data_type())?)));
        let (column, data_type) = own.ok_or_else(|| DataError::new("XX000", "an extreme lacks its value"))?;
        let encoded = RowCodec::new(&[data_type]).encode(std::slice::from_ref(column), 1)?;
        Ok(encoded.get(0).to_vec())
    }

    /// Forgets dead ranges where they are too many for what the trace holds.
    pub(super) fn trim(&mut self) {
        self.dead.trim(self.arrangement.batches().iter().map(|batch| batch.len()).sum());
    }
}

/// What one seal needs of an argument kept in order.
pub(super) struct OrderedSeal {
    before: Vec<Shared>,
    after: Vec<Shared>,
    /// What came in the seal, and its first update whose group has not been turned to.
    fresh: Option<Shared>,
    next: usize,
}

impl OrderedSeal {
    /// The next group that something happened to.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        let fresh = self.fresh.as_ref()?;
        (self.next < fresh.len()).then(|| fresh.key(self.next))
    }

    /// Whether nothing happened.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_none()
    }

    /// Turns to a group, which is the least that `peek` gives: what its walks share.
    pub(super) fn turn_to(&mut self, key: &[u8], dead: &mut DeadRanges) -> GroupWalks {
        let mut fresh: Vec<(Tick, usize)> = Vec::new();
        if let Some(batch) = &self.fresh {
            let rows = key_range(batch, self.next, key);
            self.next = rows.end.max(self.next);
            fresh.extend(rows.map(|row| (batch.tick(row), row)));
        }
        fresh.sort_unstable();
        GroupWalks { ranges: dead.take(key), fresh, taken: 0 }
    }

    /// The batches that show the group before the seal (`None`), or at a tick of it.
    fn batches(&self, at: Option<Tick>) -> (&[Shared], Tick) {
        match at {
            None => (&self.before, Tick::MAX),
            Some(tick) => (&self.after, tick),
        }
    }

    /// The first or last value of a group.
    pub(super) fn extreme(
        &self,
        key: &[u8],
        at: Option<Tick>,
        end: End,
        walks: &mut GroupWalks,
        visits: &mut Visits,
    ) -> Option<Vec<u8>> {
        let (batches, at) = self.batches(at);
        let mut walk = LiveWalk::new(batches, key, end, [at], &mut walks.ranges);
        let mut found = None;
        while let (None, Some((value, [count]))) = (&found, walk.step()) {
            found = (count > 0).then(|| value.to_vec());
        }
        visits.add(walk.visited());
        found
    }

    /// All values of a group as doubles.
    pub(super) fn doubles(
        &self,
        ordered: &Ordered,
        key: &[u8],
        at: Option<Tick>,
        add: &mut dyn FnMut(f64, i64),
    ) {
        let (batches, at) = self.batches(at);
        let _: ControlFlow<()> = walk_front(batches, key, at, |value, count| {
            if let Ok(decoded) = ordered.codec.decode([value]) {
                add(decoded[0].as_primitive::<Float64Type>().value(0), count);
            }
            ControlFlow::Continue(())
        });
    }

    /// The texts of a group, in order and joined; or its values as an array.
    pub(super) fn joined(
        &self,
        ordered: &Ordered,
        key: &[u8],
        at: Option<Tick>,
        visits: &mut Visits,
    ) -> Result<Cell, DataError> {
        let mut values = ByteRows::default();
        let mut counts = Vec::new();
        let (batches, at) = self.batches(at);
        let _: ControlFlow<()> = walk_front(batches, key, at, |value, count| {
            values.push(value);
            counts.push(count);
            ControlFlow::Continue(())
        });
        visits.add(counts.len());
        let columns = ordered.codec.decode(values.iter())?;
        if let Some(element) = ordered.spec.element {
            let values =
                columns.last().ok_or_else(|| DataError::new("XX000", "an array lacks its values"))?;
            return array_of(element, values, &counts).map(Cell::Array);
        }
        let [.., texts, delimiters] = columns.as_slice() else {
            return Err(DataError::new("XX000", "a joined text lacks its delimiter"));
        };
        let (texts, delimiters) = (texts.as_string::<i32>(), delimiters.as_string::<i32>());
        let parts = texts.iter().zip(delimiters).zip(&counts);
        let joined = join_texts(
            parts.map(|((text, delimiter), count)| (text.unwrap_or_default(), delimiter, *count)),
        )?;
        joined.map(Cell::Text).ok_or_else(DataError::negative_multiplicity)
    }
}

/// One group's walks along an argument kept in order, during a seal.
pub(super) struct GroupWalks {
    /// Where they need not look.
    pub(super) ranges: KeyRanges,
    /// The group's fresh updates, by tick; `taken` of them lie at or before the tick that is read.
    fresh: Vec<(Tick, usize)>,
    taken: usize,
}

impl GroupWalks {
    /// The ticks at which something happened, in order, some more than once.
    pub(super) fn ticks(&self) -> impl Iterator<Item = Tick> {
        self.fresh.iter().map(|(tick, _)| *tick)
    }

    /// Moves on to a tick: what was updated up to it may be alive.
    pub(super) fn advance(&mut self, seal: &OrderedSeal, tick: Tick) {
        let Some(batch) = &seal.fresh else { return };
        while let Some((_, row)) = self.fresh.get(self.taken).filter(|(at, _)| *at <= tick) {
            self.ranges.touch(batch.value(*row));
            self.taken += 1;
        }
    }
}
