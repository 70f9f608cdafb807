//! What a commit leaves behind, and the bytes of it.
//!
//! ```text
//! body = Arrow IPC stream of each table's delta │ catalog changes │ layout (postcard) │ its length, u32
//! ```
//!
//! The layout has structs of its own with a version; columns travel as one Arrow IPC stream a
//! delta, without compression, diffs that are not all the same as one more column behind them.
//! Ticks are not stored a row: a record has one. Decoding takes any bytes without a panic and
//! allocates no more than their length warrants (the checksums come first; this is the second line).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};

use super::error::LogError;
use super::frame::half_word;
use crate::delta::{Col, Delta, batch_of};
use crate::types::{DataType, RelationId, Tick};

/// One commit: all or nothing of it is in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it takes effect; after the tick of every record before.
    pub tick: Tick,
    /// What it changes in tables.
    pub tables: Vec<TableChanges>,
    /// What it changes in the catalog, and what else the server keeps of it, in the server's own encoding.
    pub catalog: Vec<Vec<u8>>,
}

/// The changes of one table. A delta without rows is not stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChanges {
    /// The table.
    pub relation: RelationId,
    /// Its changes, all at the record's tick.
    pub delta: Delta,
}

/// How a body is divided. Serialised: only append variants.
#[derive(Serialize, Deserialize)]
enum Layout {
    V1(LayoutV1),
}

/// The first version of the layout; the parts follow each other without gaps.
#[derive(Serialize, Deserialize)]
struct LayoutV1 {
    tables: Vec<TableV1>,
    /// Bytes of each catalog change.
    catalog: Vec<u64>,
}

/// One delta in the body.
#[derive(Serialize, Deserialize)]
struct TableV1 {
    relation: u64,
    /// The diff of all rows; else the last column has them.
    diff: Option<i64>,
    /// Bytes of the Arrow IPC stream.
    bytes: u64,
}

/// Appends the record's body to `bytes`.
///
/// # Errors
/// XX000 where a delta is at another tick or has columns that the engine does not know.
pub(super) fn encode(record: &Record, bytes: &mut Vec<u8>) -> Result<(), LogError> {
    let mut layout = LayoutV1 { tables: Vec::with_capacity(record.tables.len()), catalog: Vec::new() };
    for TableChanges { relation, delta } in record.tables.iter().filter(|table| !table.delta.is_empty()) {
        if delta.ticks.iter().any(|tick| tick != record.tick) {
            return Err(LogError::invalid(format!("changes of {relation} are not at tick {}", record.tick)));
        }
        let start = bytes.len();
        let diff =
            write_delta(delta, bytes).map_err(|reason| LogError::invalid(format!("{relation}: {reason}")))?;
        layout.tables.push(TableV1 { relation: relation.0, diff, bytes: (bytes.len() - start) as u64 });
    }
    for change in &record.catalog {
        bytes.extend(change);
        layout.catalog.push(change.len() as u64);
    }
    let layout =
        postcard::to_stdvec(&Layout::V1(layout)).map_err(|error| LogError::invalid(error.to_string()))?;
    bytes.extend(&layout);
    bytes.extend((layout.len() as u32).to_le_bytes());
    Ok(())
}

/// The record of this tick with this body, or what is wrong with it.
pub(super) fn decode(tick: Tick, body: Vec<u8>) -> Result<Record, String> {
    let (layout, parts) = read_layout(&body)?;
    let mut rest = Buffer::from_vec(body);
    rest.truncate_to(parts);
    let mut tables = Vec::new();
    for TableV1 { relation, diff, bytes } in layout.tables {
        let delta = read_delta(rest.split_off_front(bytes)?, diff, tick)?;
        tables.push(TableChanges { relation: RelationId(relation), delta });
    }
    let mut catalog = Vec::new();
    for bytes in layout.catalog {
        catalog.push(rest.split_off_front(bytes)?.as_slice().to_vec());
    }
    if !rest.is_empty() {
        return Err("the record has bytes that belong to nothing".to_owned());
    }
    Ok(Record { tick, tables, catalog })
}

/// The layout of a body, and how many bytes stand before it.
fn read_layout(body: &[u8]) -> Result<(LayoutV1, usize), String> {
    let cut = || "the record has no layout".to_owned();
    let layout_end = body.len().checked_sub(4).ok_or_else(cut)?;
    let parts = layout_end.checked_sub(half_word(body, layout_end) as usize).ok_or_else(cut)?;
    let (Layout::V1(layout), behind) = postcard::take_from_bytes(&body[parts..layout_end])
        .map_err(|error| format!("the record's layout cannot be read: {error}"))?;
    if !behind.is_empty() {
        return Err("the record's layout is longer than it should be".to_owned());
    }
    Ok((layout, parts))
}

/// Cuts a buffer without copying it.
trait Cut: Sized {
    /// Forgets all but the first bytes.
    fn truncate_to(&mut self, length: usize);

    /// Takes the first bytes away.
    fn split_off_front(&mut self, length: u64) -> Result<Self, String>;
}

impl Cut for Buffer {
    fn truncate_to(&mut self, length: usize) {
        *self = self.slice_with_length(0, length.min(self.len()));
    }

    fn split_off_front(&mut self, length: u64) -> Result<Buffer, String> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.len());
        let length = length.ok_or_else(|| "a part of the record is cut".to_owned())?;
        let front = self.slice_with_length(0, length);
        self.advance(length);
        Ok(front)
    }
}

/// Appends a delta as an Arrow IPC stream; answers the diff of all rows if there is one.
fn write_delta(delta: &Delta, bytes: &mut Vec<u8>) -> Result<Option<i64>, String> {
    if let Some(field) =
        delta.rows.schema().fields().iter().find(|f| DataType::from_arrow(f.data_type()).is_none())
    {
        return Err(format!("column {} has type {}", field.name(), field.data_type()));
    }
    let (diff, batch) = match &delta.diffs {
        Col::Const(diff, _) => (Some(*diff), delta.rows.clone()),
        Col::Each(diffs) => (None, with_diffs(&delta.rows, diffs).map_err(|error| error.to_string())?),
    };
    let written = StreamWriter::try_new(bytes, &batch.schema()).and_then(|mut writer| {
        writer.write(&batch)?;
        writer.finish()
    });
    written.map(|()| diff).map_err(|error| error.to_string())
}

/// The rows with one more column: their diffs.
fn with_diffs(rows: &RecordBatch, diffs: &[i64]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = rows.schema();
    let diff_field = Arc::new(Field::new("diff", ArrowType::Int64, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([diff_field]).collect();
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(Int64Array::from(diffs.to_vec())));
    RecordBatch::try_new(SchemaRef::from(Schema::new(fields)), columns)
}

/// The delta in an Arrow IPC stream.
fn read_delta(stream: Buffer, diff: Option<i64>, tick: Tick) -> Result<Delta, String> {
    // Arrow's reader checks much, but it still panics on some impossible messages.
    let batch = catch_unwind(AssertUnwindSafe(|| read_batch(stream)))
        .map_err(|_| "the rows cannot be read".to_owned())?
        .map_err(|reason| format!("the rows cannot be read: {reason}"))?;
    let rows = batch.num_rows();
    let mut columns = batch.columns().to_vec();
    let diffs = match diff {
        Some(diff) => Col::Const(diff, rows),
        None => Col::Each(diffs_of(columns.pop()).ok_or("the column of diffs is missing")?),
    };
    let types: Option<Vec<DataType>> =
        columns.iter().map(|column| DataType::from_arrow(column.data_type())).collect();
    let types = types.ok_or("a column has an unknown type")?;
    let rows = batch_of(&types, columns, rows).map_err(|error| error.to_string())?;
    Ok(Delta { ticks: Col::Const(tick, rows.num_rows()), rows, diffs })
}

/// The values of the column of diffs.
fn diffs_of(column: Option<ArrayRef>) -> Option<Vec<i64>> {
    let column = column?;
    let diffs = column.as_any().downcast_ref::<Int64Array>()?;
    (diffs.null_count() == 0).then(|| diffs.values().to_vec())
}

/// The only batch of a stream, which must end behind it.
fn read_batch(mut stream: Buffer) -> Result<RecordBatch, String> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut stream).map_err(|error| error.to_string())?;
    let batch = batch.ok_or("there is no batch")?;
    // What follows the batch is the mark of the stream's end; the reader takes it in, then says so.
    match decoder.decode(&mut stream).map_err(|error| error.to_string())? {
        None if stream.is_empty() => {}
        None | Some(_) => return Err("there is more than one batch".to_owned()),
    }
    decoder.finish().map_err(|error| error.to_string())?;
    Ok(batch)
}
