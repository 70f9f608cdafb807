//! Deltas as bytes: Arrow IPC record batches, with diffs and ticks that are not the same for all rows as further
//! columns.
//!
//! ```text
//!   container = count, u64 │ 0, u64 │ a part a delta
//!   part      = what is constant (bit 0: the diff, bit 1: the tick), u64 │ diff, i64 │ tick, u64
//!             │ length of types, u64 │ length of message, u64 │ 0, u64 │ types (postcard) │ message and its body
//! ```
//! Everything begins at a multiple of `ALIGNMENT`, so that arrays can stand in the container's own memory, and what is
//! encoded shares the arrays' memory until it is written. There is no schema message, which would be a kilobyte: the types
//! tell the schema. Used between the processes of a mesh. The log has its own, versioned form.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType as ArrowType;
use arrow::error::ArrowError;
use arrow::ipc::reader::read_record_batch;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow::ipc::{MetadataVersion, root_as_message};

use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::types::{DataType, schema_of};

/// What begins in a container does so at a multiple of this: enough for every type.
const ALIGNMENT: usize = 16;

/// Bytes before a container's first part, and before a part's types.
const CONTAINER_HEAD: usize = 16;
const PART_HEAD: usize = 48;

/// Bytes before a message: a mark, and the length behind it, i32.
const MESSAGE_HEAD: usize = 8;

/// A thread keeps so many encoders.
const ENCODERS_MAX: usize = 64;

/// The diff of all rows is said once.
const CONST_DIFF: u64 = 1;

/// The tick of all rows is said once.
const CONST_TICK: u64 = 2;

/// A container as it will be written.
pub(crate) struct Encoded {
    parts: Vec<Part>,
}

struct Part {
    head: [u64; PART_HEAD / 8],
    types: Vec<u8>,
    message: Vec<Buffer>,
}

impl Encoded {
    /// Of a container.
    ///
    /// # Panics
    /// Where a batch breaks its own schema, or is longer than Arrow allows.
    pub(crate) fn of(deltas: &Deltas) -> Encoded {
        let part = |delta: &Arc<Delta>| encode(delta).expect("a delta agrees with its schema");
        Encoded { parts: deltas.list.iter().map(part).collect() }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        let part = |part: &Part| {
            let message: usize = part.message.iter().map(Buffer::len).sum();
            PART_HEAD + part.types.len().next_multiple_of(ALIGNMENT) + message.next_multiple_of(ALIGNMENT)
        };
        CONTAINER_HEAD + self.parts.iter().map(part).sum::<usize>()
    }

    /// Writes as many bytes.
    ///
    /// # Errors
    /// The writer's.
    pub(crate) fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let padding = |length: usize| &[0; ALIGNMENT][..length.next_multiple_of(ALIGNMENT) - length];
        writer.write_all(&(self.parts.len() as u64).to_le_bytes())?;
        writer.write_all(&0u64.to_le_bytes())?;
        for Part { head, types, message } in &self.parts {
            head.iter().try_for_each(|word| writer.write_all(&word.to_le_bytes()))?;
            writer.write_all(types)?;
            writer.write_all(padding(types.len()))?;
            message.iter().try_for_each(|buffer| writer.write_all(buffer))?;
            writer.write_all(padding(message.iter().map(Buffer::len).sum()))?;
        }
        Ok(())
    }

    /// The bytes.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        // Memory takes all.
        let _ = self.write(&mut bytes);
        bytes
    }
}

/// A column's constant, and its flag; nothing of one without: then it needs a column of its own.
fn constant<X: Copy + Default>(column: &Col<X>, flag: u64) -> (u64, X) {
    match column {
        Col::Const(value, _) => (flag, *value),
        Col::Each(_) => (0, X::default()),
    }
}

fn encode(delta: &Delta) -> Result<Part, ArrowError> {
    let unknown = |column: &ArrayRef| ArrowError::IpcError(format!("a column of {}", column.data_type()));
    let type_of = |column: &ArrayRef| DataType::from_arrow(column.data_type()).ok_or_else(|| unknown(column));
    let mut columns: Vec<ArrayRef> = delta.rows.columns().iter().map(compact).collect();
    let (diff_flag, diff) = constant(&delta.diffs, CONST_DIFF);
    let (tick_flag, tick) = constant(&delta.ticks, CONST_TICK);
    if diff_flag == 0 {
        columns.push(Arc::new(Int64Array::from_iter_values(delta.diffs.iter())));
    }
    if tick_flag == 0 {
        columns.push(Arc::new(Int64Array::from_iter_values(delta.ticks.iter().map(u64::cast_signed))));
    }
    let types = columns.iter().map(type_of).collect::<Result<Vec<_>, _>>()?;
    let batch = batch_of(&types, columns, delta.len())?;
    let types = postcard::to_stdvec(&types).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let message = message(&types, &batch)?;
    let length = message.iter().map(Buffer::len).sum::<usize>() as u64;
    let head = [diff_flag | tick_flag, diff.cast_unsigned(), tick, types.len() as u64, length, 0];
    Ok(Part { head, types, message })
}

thread_local! {
    /// Encoders that have told their schema, by the types in it: it is told once only.
    static ENCODERS: RefCell<HashMap<Vec<u8>, StreamEncoder>> = RefCell::default();
}

/// The message of a batch of these types, and its body.
fn message(types: &[u8], batch: &RecordBatch) -> Result<Vec<Buffer>, ArrowError> {
    ENCODERS.with_borrow_mut(|encoders| {
        if let Some(encoder) = encoders.get_mut(types) {
            return encoder.encode(batch);
        }
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let mut encoder = StreamEncoder::try_new_with_options(&batch.schema(), options)?;
        encoder.encode(&batch.slice(0, 0))?;
        let encoded = encoder.encode(batch);
        if encoders.len() >= ENCODERS_MAX {
            encoders.clear();
        }
        encoders.insert(types.to_vec(), encoder);
        encoded
    })
}

/// The column without bytes that none of its rows has: rows that were taken from views share the memory of all.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::BinaryView => Arc::new(column.as_binary_view().gc()),
        ArrowType::Utf8View => Arc::new(column.as_string_view().gc()),
        _ => Arc::clone(column),
    }
}

/// The container whose bytes these are; others behind them are padding.
pub(crate) fn decode_deltas(bytes: &[u8]) -> Result<Deltas, ArrowError> {
    // One copy, which the arrays are parts of.
    decode_next(&mut Sections::of(Buffer::from(bytes)))
}

/// The next of the containers that stand one behind the other.
pub(crate) fn decode_next(sections: &mut Sections) -> Result<Deltas, ArrowError> {
    let count = words(&sections.take(CONTAINER_HEAD)?)[0];
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(Arc::new(decode(sections)?));
    }
    Ok(Deltas { list })
}

/// Bytes that are taken from the front: what is decoded of them are parts of their memory.
pub(crate) struct Sections {
    bytes: Buffer,
    at: usize,
}

impl Sections {
    /// Of these bytes, which begin at a multiple of `ALIGNMENT` where arrays are not to be copied.
    pub(crate) fn of(bytes: Buffer) -> Sections {
        Sections { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Result<Buffer, ArrowError> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or_else(truncated)?;
        let section = self.bytes.slice_with_length(self.at, length);
        self.at = end.next_multiple_of(ALIGNMENT);
        Ok(section)
    }
}

fn words(bytes: &Buffer) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes)).collect()
}

fn truncated() -> ArrowError {
    ArrowError::IpcError("a container of deltas ends early".to_owned())
}

fn decode(sections: &mut Sections) -> Result<Delta, ArrowError> {
    let [flags, diff, tick, types, length, _] = words(&sections.take(PART_HEAD)?)[..] else {
        return Err(truncated());
    };
    let types = sections.take(types as usize)?;
    let mut types: Vec<DataType> =
        postcard::from_bytes(&types).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let (message, body) = split_message(&sections.take(length as usize)?)?;
    let message = root_as_message(&message).map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(truncated)?;
    let batch =
        read_record_batch(&body, batch, schema_of(&types), &HashMap::new(), None, &message.version())?;
    let (rows, mut columns) = (batch.num_rows(), batch.columns().to_vec());
    let mut numbers = || -> Result<Int64Array, ArrowError> {
        types.pop();
        let column = columns.pop().ok_or_else(truncated)?;
        column.as_primitive_opt().cloned().ok_or_else(truncated)
    };
    let ticks = match flags & CONST_TICK {
        0 => collect(numbers()?.values().iter().map(|tick| tick.cast_unsigned())),
        _ => Col::Const(tick, rows),
    };
    let diffs = match flags & CONST_DIFF {
        0 => collect(numbers()?.values().iter().copied()),
        _ => Col::Const(diff.cast_signed(), rows),
    };
    Ok(Delta { rows: batch_of(&types, columns, rows)?, diffs, ticks })
}

/// A message without its head, and its body.
fn split_message(bytes: &Buffer) -> Result<(Buffer, Buffer), ArrowError> {
    let length = bytes.get(4..MESSAGE_HEAD).and_then(|length| length.try_into().ok()).map(i32::from_le_bytes);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(truncated)?;
    let end = MESSAGE_HEAD.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(truncated)?;
    Ok((bytes.slice_with_length(MESSAGE_HEAD, length), bytes.slice(end)))
}

/// A column that is constant again if it was.
fn collect<X: Copy + PartialEq>(mut values: impl ExactSizeIterator<Item = X> + Clone) -> Col<X> {
    let (len, mut rest) = (values.len(), values.clone());
    match rest.next() {
        Some(first) if rest.all(|value| value == first) => Col::Const(first, len),
        _ => Col::Each(values.by_ref().collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::array::Element;
    use arrow::array::{BinaryViewArray, BooleanArray, Decimal128Array, StringArray};

    fn container() -> Deltas {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("a"), None, Some("")])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            Arc::new(Decimal128Array::from(vec![1, -2, 3]).with_precision_and_scale(38, 2).unwrap()),
        ];
        let types = [DataType::Text, DataType::Boolean, DataType::Numeric { precision: 38, scale: 2 }];
        let rows = batch_of(&types, columns, 3).unwrap();
        let mixed = Delta { rows: rows.clone(), diffs: Col::Each(vec![1, -1, 2]), ticks: Col::Const(7, 3) };
        let each = Delta { rows, diffs: Col::Const(-1, 3), ticks: Col::Each(vec![7, u64::MAX, 8]) };
        let bare = Delta::uniform(batch_of(&[], Vec::new(), 4).unwrap(), 1, 9);
        let ticks = Delta { ticks: Col::Each(vec![1, 2, 3, 4]), ..bare.clone() };
        Deltas { list: [mixed, each, bare, ticks].map(Arc::new).into() }
    }

    #[test]
    fn a_container_comes_back_as_it_was() {
        let encoded = Encoded::of(&container());
        let mut bytes = encoded.to_vec();
        assert_eq!(bytes.len(), encoded.len());
        bytes.extend([0; 5]);
        assert_eq!(decode_deltas(&bytes).unwrap().list, container().list);
        assert_eq!(decode_deltas(&Encoded::of(&Deltas::default()).to_vec()).unwrap().list, []);
        // The thread's encoders have told their schemas by now.
        assert_eq!(Encoded::of(&container()).to_vec(), encoded.to_vec());
    }

    #[test]
    fn small_containers_are_small() {
        let rows = batch_of(&[DataType::Int64], vec![Arc::new(Int64Array::from(vec![1]))], 1).unwrap();
        let length = Encoded::of(&Deltas::one(Delta::uniform(rows, 1, 1))).len();
        assert!(length < 300, "{length}");
    }

    #[test]
    fn containers_follow_each_other() {
        let bytes = [Encoded::of(&container()).to_vec(), Encoded::of(&Deltas::default()).to_vec()].concat();
        let mut sections = Sections::of(Buffer::from_vec([bytes.clone(), bytes].concat()));
        for expected in [container(), Deltas::default(), container(), Deltas::default()] {
            assert_eq!(decode_next(&mut sections).unwrap().list, expected.list);
        }
        assert!(decode_next(&mut sections).is_err());
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = Encoded::of(&container()).to_vec();
        (0..bytes.len() - ALIGNMENT).for_each(|cut| assert!(decode_deltas(&bytes[..cut]).is_err()));
    }

    #[test]
    fn rows_that_were_taken_leave_the_others_bytes() {
        let long = "x".repeat(1_000);
        let column: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(vec![long.as_bytes(); 1_000]));
        let rows = batch_of(&[DataType::Array(Element::Text)], vec![column], 1_000).unwrap();
        let part = Delta::uniform(rows, 1, 1).take(&[3, 5]).unwrap();
        let bytes = Encoded::of(&Deltas::one(part.clone())).to_vec();
        assert!(bytes.len() < 3_000, "{}", bytes.len());
        assert_eq!(*decode_deltas(&bytes).unwrap().list[0], part);
    }
}
