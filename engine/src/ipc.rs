//! Deltas as bytes: Arrow IPC, with diffs and ticks that are not the same for all rows as further columns.
//!
//! ```text
//!   delta = what is constant (bit 0: the diff, bit 1: the tick), u64 │ diff, i64 │ tick, u64 │ an IPC stream of the rest
//! ```
//! Used between the processes of a mesh. The log has its own, versioned form.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::delta::{Col, Delta, Deltas};
use crate::types::DataType;

/// The container's batches, each as {length, IPC stream}.
pub(crate) fn encode_deltas(deltas: &Deltas) -> Vec<u8> {
    let mut bytes = (deltas.list.len() as u64).to_le_bytes().to_vec();
    for delta in &deltas.list {
        // Writing to memory fails only where a batch breaks its own schema.
        let encoded = encode(delta).expect("a delta agrees with its schema");
        bytes.extend((encoded.len() as u64).to_le_bytes());
        bytes.extend(encoded);
    }
    bytes
}

/// The container that `encode_deltas` wrote; bytes behind it are padding.
pub(crate) fn decode_deltas(bytes: &[u8]) -> Result<Deltas, ArrowError> {
    let mut rest = bytes;
    let count = take_length(&mut rest)?;
    let mut list = Vec::new();
    for _ in 0..count {
        let length = take_length(&mut rest)?;
        let (encoded, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
        list.push(Arc::new(decode(encoded)?));
        rest = after;
    }
    Ok(Deltas { list })
}

fn take_length(rest: &mut &[u8]) -> Result<usize, ArrowError> {
    let (length, after) = rest.split_first_chunk::<8>().ok_or_else(truncated)?;
    *rest = after;
    usize::try_from(u64::from_le_bytes(*length)).map_err(|_| truncated())
}

fn truncated() -> ArrowError {
    ArrowError::IpcError("a container of deltas ends early".to_owned())
}

/// The diff of all rows is said once.
const CONST_DIFF: u64 = 1;

/// The tick of all rows is said once.
const CONST_TICK: u64 = 2;

/// Bytes before the IPC stream.
const HEAD: usize = 24;

/// A column's constant, and its flag; nothing of one without: then it needs a column of its own.
fn constant<X: Copy + Default>(column: &Col<X>, flag: u64) -> (u64, X) {
    match column {
        Col::Const(value, _) => (flag, *value),
        Col::Each(_) => (0, X::default()),
    }
}

fn encode(delta: &Delta) -> Result<Vec<u8>, ArrowError> {
    let mut fields: Vec<Field> =
        delta.rows.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns: Vec<ArrayRef> = delta.rows.columns().to_vec();
    let (diff_flag, diff) = constant(&delta.diffs, CONST_DIFF);
    // Rows without columns are counted by that of their ticks.
    let (tick_flag, tick) = if columns.is_empty() { (0, 0) } else { constant(&delta.ticks, CONST_TICK) };
    if diff_flag == 0 {
        fields.push(Field::new("diff", ArrowType::Int64, false));
        columns.push(Arc::new(Int64Array::from_iter_values(delta.diffs.iter())));
    }
    if tick_flag == 0 {
        fields.push(Field::new("tick", ArrowType::UInt64, false));
        columns.push(Arc::new(UInt64Array::from_iter_values(delta.ticks.iter())));
    }
    let mut bytes = (diff_flag | tick_flag).to_le_bytes().to_vec();
    bytes.extend(diff.to_le_bytes());
    bytes.extend(tick.to_le_bytes());
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = StreamWriter::try_new(bytes, &schema)?;
    writer.write(&batch)?;
    writer.into_inner()
}

fn decode(bytes: &[u8]) -> Result<Delta, ArrowError> {
    let (head, stream) = bytes.split_at_checked(HEAD).ok_or_else(truncated)?;
    let mut words = head.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
    let mut word = || words.next().ok_or_else(truncated);
    let (flags, diff, tick) = (word()?, word()? as i64, word()?);
    let mut reader = StreamReader::try_new(stream, None)?;
    let batch = reader.next().ok_or_else(truncated)??;
    let (rows, mut columns) = (batch.num_rows(), batch.columns().to_vec());
    let ticks = match flags & CONST_TICK {
        0 => {
            let column = columns.pop().ok_or_else(truncated)?;
            collect(column.as_any().downcast_ref::<UInt64Array>().ok_or_else(truncated)?.values())
        }
        _ => Col::Const(tick, rows),
    };
    let diffs = match flags & CONST_DIFF {
        0 => {
            let column = columns.pop().ok_or_else(truncated)?;
            collect(column.as_any().downcast_ref::<Int64Array>().ok_or_else(truncated)?.values())
        }
        _ => Col::Const(diff, rows),
    };
    let types = columns.iter().map(|column| DataType::from_arrow(column.data_type()).ok_or_else(truncated));
    let rows = crate::delta::batch_of(&types.collect::<Result<Vec<_>, _>>()?, columns, rows)?;
    Ok(Delta { rows, diffs, ticks })
}

/// A column that is constant again if it was.
fn collect<X: Copy + PartialEq>(values: &[X]) -> Col<X> {
    match values.first() {
        Some(first) if values.iter().all(|value| value == first) => Col::Const(*first, values.len()),
        _ => Col::Each(values.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::StringArray;

    #[test]
    fn a_container_comes_back_as_it_was() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
        let rows = crate::delta::batch_of(&[DataType::Text], vec![column], 3).unwrap();
        let mixed = Delta { rows: rows.clone(), diffs: Col::Each(vec![1, -1, 2]), ticks: Col::Const(7, 3) };
        let bare = Delta::uniform(crate::delta::batch_of(&[], Vec::new(), 4).unwrap(), 1, 9);
        let deltas = Deltas { list: vec![Arc::new(mixed), Arc::new(bare)] };
        let mut bytes = encode_deltas(&deltas);
        bytes.extend([0; 5]);
        assert_eq!(decode_deltas(&bytes).unwrap().list, deltas.list);
    }

    #[test]
    fn every_cut_is_an_error() {
        let rows = crate::delta::batch_of(&[], Vec::new(), 1).unwrap();
        let bytes = encode_deltas(&Deltas { list: vec![Arc::new(Delta::uniform(rows, 1, 1))] });
        (0..bytes.len() - 8).for_each(|cut| assert!(decode_deltas(&bytes[..cut]).is_err()));
    }
}
