//! `Snapshot`: one worker's share of a relation at one tick, readable on any thread.
//!
//! A worker answers a read with the list of its immutable batches (microseconds); the reader
//! merges, filters by tick and streams Arrow on its own thread. Invariant: what a snapshot shows
//! does not change, however the relation goes on.

use arrow::array::{ArrayRef, AsArray, RecordBatch};

use crate::delta::{Col, Delta, batch_of};
use crate::error::DataError;
use crate::state::{MergedRows, NetRow, NetRows, RowCodec, Shared};
use crate::types::{DataType, Tick};

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
    /// The columns' types.
    pub columns: Vec<DataType>,
    /// All changes at or before this tick are in, none after.
    pub tick: Tick,
    /// Key: the row. Value: empty. Lane 0: its multiplicity.
    rows: Vec<Shared>,
    /// The same for error rows.
    errors: Vec<Shared>,
}

impl Snapshot {
    /// The share that these batches hold at `tick`.
    ///
    /// `rows` are keyed by whole rows of `columns`, `errors` by (SQLSTATE, message, operator id),
    /// both encoded by `RowCodec`, with empty values and multiplicities in lane 0.
    pub fn new(columns: Vec<DataType>, tick: Tick, rows: Vec<Shared>, errors: Vec<Shared>) -> Snapshot {
        Snapshot { columns, tick, rows, errors }
    }

    /// The least error of the relation at the tick, if it is in error: then no rows may be shown.
    pub fn error(&self) -> Option<DataError> {
        let mut errors = NetRows::new(self.errors.clone(), self.tick);
        let least = errors.find(|error| error.count > 0)?;
        Some(decode_error(errors.key(least)).unwrap_or_else(|damaged| damaged))
    }

    /// The rows in batches of at most 8,192, each repeated as often as its multiplicity says, in
    /// the order of their encoding.
    ///
    /// # Errors
    /// XX000 where a row has a negative multiplicity; nothing follows.
    pub fn rows(&self) -> impl Iterator<Item = Result<RecordBatch, DataError>> + Send + 'static {
        RowStream {
            codec: RowCodec::new(&self.columns),
            columns: self.columns.clone(),
            rows: Some(NetRows::new(self.rows.clone(), self.tick)),
            open: None,
        }
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
        let (codec, columns) = (RowCodec::new(&self.columns), self.columns.clone());
        let mut start = 0;
        std::iter::from_fn(move || {
            let lengths = changes[start..].iter().map(|(_, batch, row)| batches[*batch].key(*row).len());
            let part = &changes[start..][..rows_within_limits(lengths)];
            start += part.len();
            (!part.is_empty()).then(|| decode_changes(&codec, &columns, &batches, part))
        })
    }
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

/// The error in an error row; the second where the row cannot be decoded.
fn decode_error(row: &[u8]) -> Result<DataError, DataError> {
    let columns = RowCodec::new(&ERROR_COLUMNS).decode([row])?;
    let text = |column: &ArrayRef| column.as_string::<i32>().value(0).to_owned();
    Ok(DataError { sqlstate: text(&columns[0]), message: text(&columns[1]) })
}

/// Streams the rows of a snapshot.
struct RowStream {
    codec: RowCodec,
    columns: Vec<DataType>,
    /// `None` after an error.
    rows: Option<NetRows>,
    /// A row that has not been given as often as its count says.
    open: Option<NetRow>,
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
                return Err(DataError::new("XX000", "negative multiplicity"));
            }
            picked.push(row);
            bytes += rows.key(row).len();
            row.count -= 1;
            self.open = (row.count > 0).then_some(row);
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let decoded = self.codec.decode(picked.iter().map(|row| rows.key(*row)))?;
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
