//! The distinct stage of a reduce: `sum(DISTINCT x)` and the like, inside the same operator.
//!
//! A trace (group, arguments) → count of rows. When ticks complete, each combination of arguments that
//! comes to be there is a change +1, each that is there no longer -1; these changes are deltas in the
//! layout of the reduce's input, and feed the accumulators with DISTINCT as rows feed the others. They
//! come in parts, by fuel, before the seal of what they feed is made ready.
//!
//! ```text
//!   rows ──▶ (group, x) → count ──seal──▶ ±1 where x comes or goes ──▶ lanes, ordered traces
//! ```
//! No join: the changes carry their group with them and never leave the worker that owns it.

use arrow::array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow::compute::take;

use super::arrangement::{Arrangement, TraceHandle};
use super::blocks::BLOCK_ROWS;
use super::meter::Meter;
use crate::delta::{Col, Delta, batch_of};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::state::{ByteRows, RowCodec, Shared, Updates, normalise_keys};
use crate::types::{DataType, Tick};

/// The combinations of some arguments that each group has.
pub(super) struct Distinct {
    /// The arguments' columns; where the first is NULL nothing counts.
    arguments: Vec<usize>,
    /// The types of all columns of the input.
    columns: Vec<DataType>,
    /// How many of them are keys.
    keys: usize,
    codec: RowCodec,
    arrangement: Arrangement,
    seal: Option<Seal>,
}

/// What is still to be gone through of a seal.
struct Seal {
    before: Vec<Shared>,
    positions: Vec<usize>,
    fresh: Shared,
    row: usize,
}

/// How far a stage has come.
pub(super) enum Step {
    /// A part of the changes, with the encoded groups.
    Changes(ByteRows, Delta),
    /// The fuel is burnt.
    Unfinished,
    /// That was all.
    Done,
}

/// The rows of a batch, gathered: groups, arguments, and by how much each changes when.
#[derive(Default)]
struct Changes {
    keys: ByteRows,
    values: ByteRows,
    diffs: Vec<i64>,
    ticks: Vec<Tick>,
}

impl Distinct {
    pub(super) fn new(
        arguments: Vec<usize>,
        columns: &[DataType],
        keys: usize,
        arrangement: Arrangement,
    ) -> Distinct {
        let types: Vec<DataType> = arguments.iter().map(|argument| columns[*argument]).collect();
        let codec = RowCodec::new(&types);
        Distinct { codec, arguments, columns: columns.to_vec(), keys, arrangement, seal: None }
    }

    /// Takes rows, whose encoded groups these are.
    pub(super) fn insert(&mut self, delta: &Delta, keys: &ByteRows) -> Result<(), DataError> {
        let first = delta.rows.column(self.arguments[0]);
        let kept: Vec<u32> = (0..delta.len() as u32).filter(|row| first.is_valid(*row as usize)).collect();
        let rows = UInt32Array::from(kept.clone());
        let taken = self.arguments.iter().map(|argument| take(delta.rows.column(*argument), &rows, None));
        let taken = taken.collect::<Result<Vec<ArrayRef>, _>>().map_err(|e| DataError::from_arrow(&e))?;
        let values = self.codec.encode(&normalise_keys(&taken), kept.len())?;
        let keys = kept.iter().map(|row| keys.get(*row as usize)).collect();
        let (ticks, diffs) = (delta.ticks.take(&kept), delta.diffs.take(&kept));
        self.arrangement.insert(Updates { keys, values, ticks, lanes: diffs.into() });
        Ok(())
    }

    /// Works, as far as the fuel goes, towards what comes and goes in the ticks before `until`.
    pub(super) fn advance(&mut self, until: Tick, fuel: &mut isize, meter: &Meter) -> Step {
        if self.arrangement.upper() < until {
            if !self.arrangement.prepare(until, fuel) {
                return Step::Unfinished;
            }
            let before = self.arrangement.batches();
            let positions = vec![0; before.len()];
            let fresh = self.arrangement.seal(until);
            self.seal = fresh.map(|fresh| Seal { before, positions, fresh, row: 0 });
        }
        let mut changes = Changes::default();
        while let Some(seal) = &mut self.seal
            && *fuel > 0
            && changes.diffs.len() < BLOCK_ROWS
        {
            let next = changes.of_value(seal);
            meter.visit(next - seal.row);
            *fuel -= (next - seal.row) as isize;
            seal.row = next;
            self.seal.take_if(|seal| seal.row == seal.fresh.len());
        }
        if !changes.diffs.is_empty() {
            let delta = self.delta(&changes);
            return Step::Changes(changes.keys, delta);
        }
        if self.seal.is_some() { Step::Unfinished } else { Step::Done }
    }

    /// The changes in the layout of the input; the columns that nobody reads are NULL.
    fn delta(&self, changes: &Changes) -> Delta {
        let rows = changes.diffs.len();
        let key_codec = RowCodec::new(&self.columns[..self.keys]);
        let mut arrays = key_codec.decode(changes.keys.iter()).expect("a group key is its own encoding");
        arrays
            .extend(self.columns[self.keys..].iter().map(|column| new_null_array(&column.to_arrow(), rows)));
        let values = self.codec.decode(changes.values.iter()).expect("a trace holds its own encoding");
        self.arguments.iter().zip(values).for_each(|(argument, values)| arrays[*argument] = values);
        let batch = batch_of(&self.columns, arrays, rows).expect("the columns have the input's types");
        Delta {
            rows: batch,
            diffs: Col::Each(changes.diffs.clone()),
            ticks: Col::Each(changes.ticks.clone()),
        }
    }

    pub(super) fn observer(&self) -> TraceHandle {
        self.arrangement.observer()
    }

    pub(super) fn pending(&self) -> Option<Tick> {
        self.arrangement.pending()
    }

    pub(super) fn compact(&mut self, since: Tick) {
        self.arrangement.compact(since);
    }

    pub(super) fn exert(&mut self) {
        self.arrangement.exert();
    }
}

impl Changes {
    /// Goes through the fresh updates of the value that is next; answers the row behind them.
    fn of_value(&mut self, seal: &mut Seal) -> usize {
        let Seal { before, positions, fresh, row } = seal;
        let (key, value) = (fresh.key(*row), fresh.value(*row));
        let mut count = count_of(before, positions, key, value);
        if planted::is_on(Bug::DistinctForgetsHistory) {
            count = 0;
        }
        let mut next = *row;
        while next < fresh.len() && fresh.value(next) == value && fresh.key(next) == key {
            let was_there = count > 0;
            count += fresh.lane(next, 0);
            let stays = planted::is_on(Bug::DistinctNeverRetracted) && was_there;
            if was_there != (count > 0) && !stays {
                self.keys.push(key);
                self.values.push(value);
                self.diffs.push(if was_there { -1 } else { 1 });
                self.ticks.push(fresh.tick(next));
            }
            next += 1;
        }
        next
    }
}

/// How many rows have the value so far; `positions` move on, as values are asked for in ascending order.
fn count_of(batches: &[Shared], positions: &mut [usize], key: &[u8], value: &[u8]) -> i64 {
    let mut count = 0;
    for (batch, position) in batches.iter().zip(positions) {
        *position = batch.seek(*position, key, value);
        let mut row = *position;
        while row < batch.len() && batch.value(row) == value && batch.key(row) == key {
            count += batch.lane(row, 0);
            row += 1;
        }
    }
    count
}
