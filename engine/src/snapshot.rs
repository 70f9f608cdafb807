//! `Snapshot`: one worker's share of a relation at one tick, readable on any thread.
//!
//! A worker answers a read with the list of its immutable batches (microseconds); the reader
//! merges, filters by tick and streams Arrow on its own thread. Invariant: what a snapshot shows
//! does not change, however the relation goes on. The share of a worker in another process has its rows there;
//! reading them waits for the network (mesh/scan.rs).

mod joined; // rows of this process and of others in one order

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{ArrayRef, AsArray, RecordBatch};

use crate::delta::{Col, Delta, batch_of};
use crate::error::DataError;
use crate::lookup::{FoundRows, Lookup};
use crate::mesh::scan::{Again, Elsewhere, RemoteShare};
use crate::shape::RowShape;
use crate::state::{ByteRows, Lanes, MergedRows, NetRow, NetRows, RowCodec, Shared, Updates};
use crate::types::{DataType, Literal, Tick};
use joined::JoinedRows;

/// The most rows in a batch that a reader gets.
const READ_ROWS: usize = 8_192;

/// A batch ends before its rows take more than this as stored (but has at least one row), so that
/// wide rows do not fill the memory.
const READ_BYTES: usize = 4 << 20;

/// The columns of an error row: SQLSTATE, message, operator id.
pub(crate) const ERROR_COLUMNS: [DataType; 3] = [DataType::Text, DataType::Text, DataType::Text];

/// One worker's share of a relation at one tick.
#[derive(Clone)]
pub struct Snapshot {
    /// The columns of the rows.
    shape: RowShape,
    /// All changes at or before this tick are in, none after.
    pub tick: Tick,
    /// Key: the row. Value: empty. Lane 0: its multiplicity. In the share of an index the key is what it
    /// is by, and the value the row.
    rows: Vec<Shared>,
    /// The same for error rows.
    errors: Vec<Shared>,
    /// What errors call the relation.
    name: Arc<str>,
    /// The relation is read in spite of its errors.
    skips_errors: bool,
    /// Set in the share of an index.
    lookup: Option<Lookup>,
    /// What is looked for was found: looking for keys changes nothing.
    is_found: bool,
    /// Counts the updates that reading looks at.
    visited: Arc<AtomicU64>,
    /// Rows in other processes.
    elsewhere: Vec<Elsewhere>,
    told: Told,
}

/// What other processes have told of their shares.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Errors that readers are to be given.
    pub(crate) errors: Vec<DataError>,
    /// Whether the shares show all rows.
    pub(crate) is_complete: bool,
}

impl Default for Told {
    fn default() -> Told {
        Told { errors: Vec::new(), is_complete: true }
    }
}

impl Snapshot {
    /// The share that these batches hold at `tick`.
    ///
    /// `rows` are keyed by whole rows of `columns`, `errors` by (SQLSTATE, message, operator id),
    /// both encoded by `RowCodec`, with empty values and multiplicities in lane 0.
    pub fn new(columns: Vec<DataType>, tick: Tick, rows: Vec<Shared>, errors: Vec<Shared>) -> Snapshot {
        let (lookup, visited) = (None, Arc::default());
        Snapshot {
            shape: RowShape::new(&columns),
            tick,
            rows,
            errors,
            name: "".into(),
            skips_errors: false,
            lookup,
            is_found: false,
            visited,
            elsewhere: Vec::new(),
            told: Told::default(),
        }
    }

    /// The share that consists of these rows, each `count` times; below zero they are taken away from those of
    /// another share (`united`).
    ///
    /// # Errors
    /// XX000 where a row cannot be encoded: the batch does not have our types.
    pub fn of_rows(
        shape: &RowShape,
        tick: Tick,
        batch: &RecordBatch,
        count: i64,
    ) -> Result<Snapshot, DataError> {
        let keys = RowCodec::of_shape(shape).encode(batch.columns(), batch.num_rows())?;
        let updates = Updates {
            keys,
            values: ByteRows::empty_rows(batch.num_rows()),
            ticks: Col::Const(tick, batch.num_rows()),
            lanes: Lanes::One(Col::Const(count, batch.num_rows())),
        };
        let rows = updates.sorted().map(Shared::from).into_iter().collect();
        Ok(Snapshot::new(Vec::new(), tick, rows, Vec::new()).shaped(shape.clone()))
    }

    /// The share that has all rows of these shares of one relation at one tick, where what one takes away may
    /// lie in another; `None` of none.
    pub fn united(shares: impl IntoIterator<Item = Snapshot>) -> Option<Snapshot> {
        shares.into_iter().reduce(|mut united, share| {
            united.rows.extend(share.rows);
            united.errors.extend(share.errors);
            united.elsewhere.extend(share.elsewhere);
            united.told.errors.extend(share.told.errors);
            united.told.is_complete &= share.told.is_complete;
            united
        })
    }

    /// The same share, whose rows have these columns at its tick.
    #[must_use]
    pub fn shaped(self, shape: RowShape) -> Snapshot {
        Snapshot { shape, ..self }
    }

    /// The columns of the rows.
    pub fn shape(&self) -> &RowShape {
        &self.shape
    }

    /// The same share of a relation that errors call by this name.
    pub(crate) fn named(self, name: Arc<str>) -> Snapshot {
        Snapshot { name, ..self }
    }

    /// What errors call the relation.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same share, with rows in another process.
    pub(crate) fn elsewhere(mut self, share: Arc<RemoteShare>) -> Snapshot {
        self.elsewhere.push(Elsewhere { share, again: None });
        self
    }

    /// The same share, whose reader goes on with what `again` gives where the process that has the rows is lost: the share of
    /// the same worker at the same tick.
    #[must_use]
    pub fn reread(mut self, again: Again) -> Snapshot {
        self.elsewhere.iter_mut().for_each(|elsewhere| elsewhere.again = Some(again.clone()));
        self
    }

    /// The parts that are in other processes.
    pub(crate) fn in_other_processes(&self) -> &[Elsewhere] {
        &self.elsewhere
    }

    /// The same share, of which another process has told this.
    pub(crate) fn told(self, told: Told) -> Snapshot {
        Snapshot { told, ..self }
    }

    /// Whether reading the rows waits for another process.
    pub fn is_elsewhere(&self) -> bool {
        !self.elsewhere.is_empty()
    }

    /// The same share of a relation that is read in spite of its errors.
    pub(crate) fn skipping_errors(self) -> Snapshot {
        Snapshot { skips_errors: true, ..self }
    }

    /// The same, but what reading looks at is counted here.
    pub(crate) fn counted(self, visited: Arc<AtomicU64>) -> Snapshot {
        Snapshot { visited, ..self }
    }

    /// The same as the share of an index: its batches are by keys.
    pub(crate) fn indexed(self, lookup: Lookup) -> Snapshot {
        Snapshot { lookup: Some(lookup), ..self }
    }

    /// Whether the share shows all rows: false for that of an index at a tick at which some row's key
    /// cannot be computed. The relation itself then has to be read.
    pub fn is_complete(&self) -> bool {
        self.told.is_complete && self.lookup.as_ref().is_none_or(|lookup| lookup.is_complete(self.tick))
    }

    /// Whether the share has certain rows of an index only: those that were asked for.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// Of the share of an index the rows that have one of these keys; none of them is NULL.
    ///
    /// # Errors
    /// XX000 where this is no index, or not by such keys.
    pub fn find(self, keys: &[Vec<Literal>]) -> Result<Snapshot, DataError> {
        match &self.lookup {
            Some(lookup) => Ok(Snapshot { lookup: Some(lookup.of_keys(keys)?), ..self }),
            None if self.is_found => Ok(self),
            None => Err(not_by_key()),
        }
    }

    /// Of the share of an index the rows that have one of these keys, which are encoded as `RowCodec` encodes
    /// normalised keys; none of them is NULL.
    ///
    /// # Errors
    /// XX000 where this is no index.
    pub fn find_encoded(self, keys: BTreeSet<Box<[u8]>>) -> Result<Snapshot, DataError> {
        if self.is_found {
            return Ok(self);
        }
        let lookup = self.lookup.as_ref().ok_or_else(not_by_key)?.of_encoded(keys);
        Ok(Snapshot { lookup: Some(lookup), ..self })
    }

    /// The same as the share of an index that has the wanted rows, and perhaps others, already.
    #[must_use]
    pub fn found(self) -> Snapshot {
        Snapshot { is_found: true, ..self }
    }

    /// The relation's errors at the tick: the operator's id, the error, and how many rows have it. They
    /// are listed also where the relation is read in spite of them.
    pub fn errors(&self) -> Vec<(String, DataError, i64)> {
        let mut errors = NetRows::new(self.errors.clone(), self.tick);
        let mut found = Vec::new();
        while let Some(error) = errors.next() {
            let (operator, what) =
                decode_error(errors.key(error)).unwrap_or_else(|damaged| (String::new(), damaged));
            found.push((operator, what, error.count));
        }
        found
    }

    /// The least error of the relation at the tick, if it is in error: then no rows may be shown.
    pub fn error(&self) -> Option<DataError> {
        if self.skips_errors {
            return None;
        }
        let mut errors = NetRows::new(self.errors.clone(), self.tick);
        let least = errors.find(|error| error.count > 0);
        let decoded =
            |least| decode_error(errors.key(least)).map_or_else(|damaged| damaged, |(_, error)| error);
        least.map(decoded).into_iter().chain(self.told.errors.iter().cloned()).min()
    }

    /// The rows of this process as they are stored.
    pub(crate) fn found_rows(&self) -> FoundRows {
        FoundRows::new(&self.rows, self.lookup.as_ref(), self.tick, &self.visited)
    }

    /// The error rows of this process as they are stored.
    pub(crate) fn error_rows(&self) -> FoundRows {
        FoundRows::new(&self.errors, None, self.tick, &self.visited)
    }

    /// The rows in batches of at most 8,192, each repeated as often as its multiplicity says, in
    /// the order of their encoding.
    ///
    /// # Errors
    /// XX000 where a row has a negative multiplicity, 57P01 where another process that has rows is lost; nothing
    /// follows.
    pub fn rows(&self) -> Rows {
        let codec = RowCodec::of_shape(&self.shape);
        let (columns, name) = (self.shape.columns().to_vec(), Arc::clone(&self.name));
        if self.elsewhere.is_empty() {
            return Rows::Here(RowStream { codec, columns, rows: Some(self.found_rows()), open: None, name });
        }
        let scans = self.elsewhere.iter().map(|elsewhere| elsewhere.scan(0)).collect();
        let rows = JoinedRows::new(self.found_rows(), scans, Arc::clone(&self.visited), name);
        Rows::Joined(JoinedStream { codec, columns, rows: Some(rows) })
    }

    /// The changes of rows after `since`, up to the snapshot's tick, in the order of (tick, row),
    /// in batches of at most 8,192. `since` must be at or after the relation's since.
    ///
    /// Holds 24 bytes a change, not the rows.
    pub fn changes_after(
        &self,
        since: Tick,
    ) -> impl Iterator<Item = Result<Delta, DataError>> + Send + 'static + use<> {
        let (batches, until) = (self.rows.clone(), self.tick);
        let mut changes: Vec<(Tick, usize, usize)> = MergedRows::new(&batches)
            .map(|(batch, row)| (batches[batch].tick(row), batch, row))
            .filter(|(tick, ..)| since < *tick && *tick <= until)
            .collect();
        // Stable, so that rows stay in order within a tick.
        changes.sort_by_key(|(tick, ..)| *tick);
        let (codec, columns) = (RowCodec::of_shape(&self.shape), self.shape.columns().to_vec());
        let mut start = 0;
        std::iter::from_fn(move || {
            let lengths = changes[start..].iter().map(|(_, batch, row)| batches[*batch].key(*row).len());
            let part = &changes[start..][..rows_within_limits(lengths)];
            start += part.len();
            (!part.is_empty()).then(|| decode_changes(&codec, &columns, &batches, part))
        })
    }
}

fn not_by_key() -> DataError {
    DataError::new("XX000", "a relation cannot be read by key")
}

/// How many of the rows of these lengths one batch may have: at least one, if there is any.
fn rows_within_limits(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let mut fits = |length: usize| {
        let first = bytes == 0;
        bytes += length.max(1);
        first || bytes <= READ_BYTES
    };
    lengths.take(READ_ROWS).take_while(|length| fits(*length)).count()
}

fn decode_changes(
    codec: &RowCodec,
    columns: &[DataType],
    batches: &[Shared],
    changes: &[(Tick, usize, usize)],
) -> Result<Delta, DataError> {
    let decoded = codec.decode(changes.iter().map(|(_, batch, row)| batches[*batch].key(*row)))?;
    let rows = batch_of(columns, decoded, changes.len()).map_err(|error| DataError::from_arrow(&error))?;
    let (mut diffs, mut ticks) = (Col::Const(0, 0), Col::Const(0, 0));
    for (tick, batch, row) in changes {
        diffs.push(batches[*batch].lane(*row, 0));
        ticks.push(*tick);
    }
    Ok(Delta { rows, diffs, ticks })
}

/// The operator and the error in an error row; the second where the row cannot be decoded.
fn decode_error(row: &[u8]) -> Result<(String, DataError), DataError> {
    let columns = RowCodec::new(&ERROR_COLUMNS).decode([row])?;
    let text = |column: &ArrayRef| column.as_string::<i32>().value(0).to_owned();
    Ok((text(&columns[2]), DataError { sqlstate: text(&columns[0]), message: text(&columns[1]) }))
}

/// The rows of a snapshot, in batches.
pub enum Rows {
    /// Of this process alone.
    #[doc(hidden)]
    Here(RowStream),
    /// Also of others.
    #[doc(hidden)]
    Joined(JoinedStream),
}

impl Iterator for Rows {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Here(rows) => rows.next(),
            Rows::Joined(rows) => rows.next(),
        }
    }
}

/// Streams the rows of a snapshot that has rows in other processes.
pub struct JoinedStream {
    codec: RowCodec,
    columns: Vec<DataType>,
    /// `None` after an error.
    rows: Option<JoinedRows>,
}

impl Iterator for JoinedStream {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let picked = match self.rows.as_mut()?.next_rows(READ_ROWS, READ_BYTES) {
            Ok(picked) if picked.is_empty() => return None,
            Ok(picked) => picked,
            Err(error) => {
                self.rows = None;
                return Some(Err(error));
            }
        };
        let batch = self.codec.decode(picked.iter()).and_then(|decoded| {
            batch_of(&self.columns, decoded, picked.len()).map_err(|error| DataError::from_arrow(&error))
        });
        Some(batch)
    }
}

/// Streams the rows of a snapshot.
pub struct RowStream {
    codec: RowCodec,
    columns: Vec<DataType>,
    /// `None` after an error.
    rows: Option<FoundRows>,
    /// A row that has not been given as often as its count says.
    open: Option<NetRow>,
    /// What errors call the relation.
    name: Arc<str>,
}

impl RowStream {
    /// The next batch; `None` at the end.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, DataError> {
        let Some(rows) = &mut self.rows else { return Ok(None) };
        let mut picked: Vec<NetRow> = Vec::new();
        let mut bytes = 0;
        while picked.len() < READ_ROWS && bytes < READ_BYTES {
            let Some(mut row) = self.open.take().or_else(|| rows.next()) else { break };
            if row.count < 0 {
                return Err(DataError::negative_multiplicity().in_relation(&self.name));
            }
            picked.push(row);
            bytes += rows.bytes(row).len();
            row.count -= 1;
            self.open = (row.count > 0).then_some(row);
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let decoded = self.codec.decode(picked.iter().map(|row| rows.bytes(*row)))?;
        let batch = batch_of(&self.columns, decoded, picked.len());
        batch.map(Some).map_err(|error| DataError::from_arrow(&error))
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.next_batch().transpose();
        if matches!(batch, Some(Err(_))) {
            self.rows = None;
        }
        batch
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: [DataType; 2] = [DataType::Int64, DataType::Text];

    /// A batch of rows (number, text made of it) with diffs and ticks.
    fn batch(changes: &[(Option<i64>, i64, Tick)]) -> Option<Shared> {
        let numbers: Int64Array = changes.iter().map(|change| change.0).collect();
        let texts: StringArray = numbers.iter().map(|number| number.map(text_of)).collect();
        let keys = RowCodec::new(&COLUMNS).encode(&[Arc::new(numbers), Arc::new(texts)], changes.len());
        updates(keys.unwrap(), changes.iter().map(|(_, diff, tick)| (*diff, *tick)))
    }

    fn text_of(number: i64) -> String {
        format!("a text with a long common prefix, {number}")
    }

    fn updates(keys: ByteRows, changes: impl Iterator<Item = (i64, Tick)>) -> Option<Shared> {
        let mut updates = Updates::new(1);
        keys.iter().zip(changes).for_each(|(key, (diff, tick))| updates.push(key, b"", tick, &[diff]));
        updates.sorted().map(Shared::from)
    }

    fn errors(rows: &[(&str, &str, i64, Tick)]) -> Vec<Shared> {
        let column = |text: fn(&(&str, &str, i64, Tick)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>())
        };
        let columns =
            [column(|row| row.0.to_owned()), column(|row| row.1.to_owned()), column(|_| "op".to_owned())];
        let keys = RowCodec::new(&ERROR_COLUMNS).encode(&columns, rows.len()).unwrap();
        updates(keys, rows.iter().map(|row| (row.2, row.3))).into_iter().collect()
    }

    fn snapshot(tick: Tick, rows: Vec<Shared>) -> Snapshot {
        Snapshot::new(COLUMNS.to_vec(), tick, rows, Vec::new())
    }

    fn numbers(batch: &RecordBatch) -> Vec<Option<i64>> {
        let texts: Vec<_> =
            batch.column(1).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect();
        let numbers: Vec<_> = batch.column(0).as_primitive::<Int64Type>().iter().collect();
        assert!(numbers.iter().map(|number| number.map(text_of)).eq(texts));
        numbers
    }

    fn read(snapshot: &Snapshot) -> Vec<Option<i64>> {
        snapshot.rows().flat_map(|batch| numbers(&batch.unwrap())).collect()
    }

    proptest! {
        #[test]
        fn a_snapshot_shows_its_tick(
            inserted in vec(vec((prop::option::of(0_i64..20), 0_u64..6), 0..30), 0..4),
            tick in 0_u64..7,
        ) {
            // Each row is inserted at its tick, and every third taken back two ticks later, in another batch.
            let taken_back = |part: &[(Option<i64>, Tick)]| {
                part.iter().step_by(3).map(|(n, t)| (*n, -1, t + 2)).collect::<Vec<_>>()
            };
            let mut parts = Vec::new();
            for part in &inserted {
                parts.push(part.iter().map(|(n, t)| (*n, 1, *t)).collect::<Vec<_>>());
                parts.push(taken_back(part));
            }
            let mut expected: Vec<Option<i64>> = Vec::new();
            for row in std::iter::once(None).chain((0..20).map(Some)) {
                let changes = parts.iter().flatten().filter(|(n, _, t)| *n == row && *t <= tick);
                let count: i64 = changes.map(|(_, diff, _)| diff).sum();
                expected.extend((0..count).map(|_| row));
            }
            let batches: Vec<Shared> = parts.iter().filter_map(|part| batch(part)).collect();
            prop_assert_eq!(read(&snapshot(tick, batches)), expected);
        }

        #[test]
        fn changes_come_by_tick_and_row(
            parts in vec(vec((prop::option::of(0_i64..9), prop::sample::select(vec![-1_i64, 1, 2]), 0_u64..6), 0..30), 0..3),
            since in 0_u64..6,
            tick in 0_u64..7,
        ) {
            // Batches of a trace cover spans of ticks that do not overlap.
            let parts: Vec<Vec<_>> =
                (0..).zip(parts).map(|(i, part)| part.into_iter().map(|(n, d, t)| (n, d, t + 6 * i)).collect()).collect();
            let mut expected: Vec<(Tick, Option<i64>, i64)> = Vec::new();
            for at in since + 1..=tick {
                for row in std::iter::once(None).chain((0..9).map(Some)) {
                    let changes = parts.iter().flatten().filter(|(n, _, t)| *n == row && *t == at);
                    let diff: i64 = changes.map(|(_, diff, _)| *diff).sum();
                    expected.extend((diff != 0).then_some((at, row, diff)));
                }
            }
            let batches: Vec<Shared> = parts.iter().filter_map(|part| batch(part)).collect();
            let mut found = Vec::new();
            for delta in snapshot(tick, batches).changes_after(since) {
                let delta = delta.unwrap();
                let rows = numbers(&delta.rows).into_iter();
                found.extend(delta.ticks.iter().zip(rows).zip(delta.diffs.iter()).map(|((t, n), d)| (t, n, d)));
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn batches_have_at_most_8192_rows() {
        let rows: Vec<_> = (0..20_000).map(|i| (Some(i), 1, 1)).collect();
        let all = snapshot(1, batch(&rows).into_iter().collect());
        let sizes: Vec<_> = all.rows().map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(sizes, [8_192, 8_192, 3_616]);
        assert!(read(&all).into_iter().eq((0..20_000).map(Some)));
        assert_eq!(all.changes_after(0).map(|delta| delta.unwrap().len()).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn a_row_is_repeated_across_batches() {
        let repeated = snapshot(
            1,
            batch(&[(Some(1), 1, 1), (Some(2), 10_000, 1), (Some(3), 2, 1)]).into_iter().collect(),
        );
        let found = read(&repeated);
        let count = |row: i64| found.iter().filter(|found| **found == Some(row)).count();
        assert_eq!((count(1), count(2), count(3), found.len()), (1, 10_000, 2, 10_003));
    }

    #[test]
    fn wide_rows_come_in_small_batches() {
        let text: ArrayRef =
            Arc::new((0..40).map(|i| Some(format!("{i}{}", "x".repeat(1 << 20)))).collect::<StringArray>());
        let keys = RowCodec::new(&[DataType::Text]).encode(&[text], 40).unwrap();
        let rows = updates(keys, (0..40).map(|_| (1, 1))).into_iter().collect();
        let wide = Snapshot::new(vec![DataType::Text], 1, rows, Vec::new());
        let sizes: Vec<_> = wide.rows().map(|batch| batch.unwrap().num_rows()).collect();
        assert!(sizes.iter().all(|rows| *rows <= 4) && sizes.iter().sum::<usize>() == 40, "{sizes:?}");
        let sizes: Vec<_> = wide.changes_after(0).map(|delta| delta.unwrap().len()).collect();
        assert!(sizes.iter().all(|rows| *rows <= 4) && sizes.iter().sum::<usize>() == 40, "{sizes:?}");
    }

    #[test]
    fn a_negative_multiplicity_is_an_error_and_the_end() {
        let wrong = snapshot(2, batch(&[(Some(1), 1, 1), (Some(1), -2, 2)]).into_iter().collect());
        let wrong = wrong.named("owed".into());
        let answers: Vec<_> = wrong.rows().collect();
        let expected = DataError::new("XX000", "relation \"owed\" has a negative multiplicity");
        assert_eq!(answers, [Err(expected)]);
        // At the tick before there was nothing wrong.
        let before = Snapshot { tick: 1, ..wrong };
        assert_eq!(read(&before), [Some(1)]);
    }

    #[test]
    fn rows_without_columns_are_counted() {
        let keys = ByteRows::empty_rows(1);
        let rows = updates(keys, std::iter::once((3, 1))).into_iter().collect();
        let bare = Snapshot::new(Vec::new(), 1, rows, Vec::new());
        assert_eq!(bare.rows().map(|batch| batch.unwrap().num_rows()).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn the_least_error_at_the_tick() {
        let rows = [
            ("22012", "division by zero", 1, 1),
            ("22003", "integer out of range", 2, 2),
            ("22003", "integer out of range", -2, 4),
            ("22012", "division by zero", -1, 5),
        ];
        let at = |tick| Snapshot::new(COLUMNS.to_vec(), tick, Vec::new(), errors(&rows)).error();
        let (zero, range) = (DataError::division_by_zero(), DataError::out_of_range("integer"));
        assert_eq!([at(0), at(1), at(2)], [None, Some(zero.clone()), Some(range.clone())]);
        assert_eq!([at(3), at(4), at(5)], [Some(range), Some(zero), None]);
    }

    #[test]
    fn streams_move_to_another_thread() {
        let shown = snapshot(1, batch(&[(Some(7), 1, 1)]).into_iter().collect());
        let (rows, changes) = (shown.rows(), shown.changes_after(0));
        drop(shown);
        let counts = std::thread::spawn(move || (rows.count(), changes.count())).join().unwrap();
        assert_eq!(counts, (1, 1));
    }
}
