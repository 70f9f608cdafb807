//! Arrow IPC streams: columns by their names, values as they are where they have the column's type, else through the
//! text input of the column's type.
//!
//! Nothing that a client sends is taken for one of our own forms: our arrays, `jsonb` and unlimited numerics are
//! Arrow's views and large binaries, which a client's columns never pass as (`natural`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, IntervalUnit, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use bytes::{Bytes, BytesMut};
use millrace_engine::{DataType, MOMENT_ZONE, batch_of};
use millrace_sql::text_form::has_values_of;
use millrace_sql::{Column, SqlError, Zone};

use super::{BadRow, Columns, Given};
use crate::copy::builder::Builder;
use crate::pgwire::utf8;
use crate::pgwire::values::Values;

/// A body that is an Arrow IPC stream.
pub(crate) struct ArrowStream {
    columns: Columns,
    zone: Zone,
    decoder: StreamDecoder,
    rest: Buffer,
    /// How many rows came before.
    rows: u64,
}

impl ArrowStream {
    pub(super) fn new(body: Bytes, columns: Columns, zone: Zone) -> ArrowStream {
        ArrowStream { columns, zone, decoder: StreamDecoder::new(), rest: Buffer::from(body), rows: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Given>, BadRow> {
        loop {
            let Some(batch) = self.next_batch()? else { return Ok(None) };
            if batch.num_rows() > 0 {
                return self.given(&batch).map(Some);
            }
            // The names are checked though no row has them.
            self.places(&batch)?;
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        let (decoder, rest) = (&mut self.decoder, &mut self.rest);
        // Arrow's reader checks much, but it still panics on some impossible messages.
        let decoded = catch_unwind(AssertUnwindSafe(|| match decoder.decode(rest)? {
            Some(batch) => Ok(Some(batch)),
            None if decoder.schema().is_none() => Err(ArrowError::IpcError("there is no schema".to_owned())),
            None => decoder.finish().map(|()| None),
        }));
        let decoded = decoded.map_err(|_| broken(&"it contradicts itself"))?;
        decoded.map_err(|error: ArrowError| broken(&error))
    }

    fn places(&self, batch: &RecordBatch) -> Result<Vec<usize>, BadRow> {
        let schema = batch.schema();
        self.columns.places(schema.fields().iter().map(|field| field.name().as_str()))
    }

    fn given(&mut self, batch: &RecordBatch) -> Result<Given, BadRow> {
        let places = self.places(batch)?;
        let mut values = Vec::with_capacity(places.len());
        for (place, array) in places.iter().zip(batch.columns()) {
            let column = &self.columns.all[*place];
            values.push(converted(array, column, &self.zone).map_err(|(row, error)| {
                BadRow::of_value(*error, self.rows + row as u64 + 1, &column.name)
            })?);
        }
        let types: Vec<DataType> = places.iter().map(|place| self.columns.all[*place].data_type).collect();
        let count = batch.num_rows() as u64;
        let lines = (self.rows + 1..=self.rows + count).collect();
        self.rows += count;
        let batch = batch_of(&types, values, batch.num_rows()).map_err(SqlError::internal)?;
        Ok(Given { columns: places, batch, lines })
    }
}

/// 22P03
fn broken(reason: &dyn std::fmt::Display) -> SqlError {
    SqlError::new("22P03", "the body is not a whole Arrow IPC stream").detail(format!("{reason}."))
}

/// What is wrong, and with which row.
type AtRow = (usize, Box<SqlError>);

fn at_row(row: usize) -> impl Fn(SqlError) -> AtRow {
    move |error| (row, Box::new(error))
}

/// An array as a column stores it.
fn converted(array: &ArrayRef, column: &Column, zone: &Zone) -> Result<ArrayRef, AtRow> {
    let foreign = || {
        let (name, kind) = (&column.name, column.data_type);
        SqlError::new("42804", format!("column \"{name}\" is of type {kind}, not {}", array.data_type()))
    };
    if *array.data_type() == ArrowType::Null {
        return Ok(new_null_array(&column.data_type.to_arrow(), array.len()));
    }
    if let ArrowType::List(_) | ArrowType::LargeList(_) | ArrowType::FixedSizeList(..) = array.data_type() {
        return lists(array, column, zone);
    }
    let natural = natural(array.data_type()).ok_or_else(|| at_row(0)(foreign()))?;
    let own = cast(array, &natural).map_err(|error| at_row(0)(foreign().detail(format!("{error}."))))?;
    let is_of_type = DataType::from_arrow(&natural) == Some(column.data_type);
    if is_of_type && has_values_of(column.data_type, &own) {
        check_texts(&own)?;
        return Ok(own);
    }
    let mut builder = Builder::new(column.data_type);
    let values = Values::of(&own, zone).map_err(at_row(0))?;
    let mut text = BytesMut::new();
    for row in 0..own.len() {
        text.clear();
        let value = (!values.is_null(row)).then(|| {
            values.write_text(row, &mut text);
            text.as_ref()
        });
        builder.append(value, zone).map_err(at_row(row))?;
    }
    builder.finish().map_err(at_row(0))
}

/// Arrow's texts may have a NUL in them, ours not.
fn check_texts(array: &ArrayRef) -> Result<(), AtRow> {
    let Some(texts) = array.as_string_opt::<i32>() else { return Ok(()) };
    if !texts.value_data().contains(&0) {
        return Ok(());
    }
    let bad =
        texts.iter().enumerate().find_map(|(row, text)| Some(at_row(row)(utf8(text?.as_bytes()).err()?)));
    bad.map_or(Ok(()), Err)
}

/// The type of ours, none of our own forms, that has every value of an Arrow type.
fn natural(arrow: &ArrowType) -> Option<ArrowType> {
    Some(match arrow {
        ArrowType::Int8 | ArrowType::UInt8 => ArrowType::Int16,
        ArrowType::UInt16 => ArrowType::Int32,
        ArrowType::UInt32 => ArrowType::Int64,
        ArrowType::UInt64 => ArrowType::Decimal128(20, 0),
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            ArrowType::Decimal128(*precision, *scale)
        }
        ArrowType::Decimal32(..)
        | ArrowType::Decimal64(..)
        | ArrowType::Decimal128(..)
        | ArrowType::Decimal256(..)
        | ArrowType::LargeUtf8
        | ArrowType::Utf8View => ArrowType::Utf8,
        ArrowType::LargeBinary | ArrowType::BinaryView => ArrowType::Binary,
        ArrowType::FixedSizeBinary(16) => ArrowType::FixedSizeBinary(16),
        ArrowType::FixedSizeBinary(_) => ArrowType::Binary,
        ArrowType::Date64 => ArrowType::Date32,
        ArrowType::Time32(_) | ArrowType::Time64(_) => ArrowType::Time64(TimeUnit::Microsecond),
        ArrowType::Timestamp(_, None) => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        ArrowType::Timestamp(_, Some(_)) => {
            ArrowType::Timestamp(TimeUnit::Microsecond, Some(MOMENT_ZONE.into()))
        }
        ArrowType::Dictionary(_, values) => natural(values)?,
        ArrowType::Boolean
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::Float32
        | ArrowType::Float64
        | ArrowType::Utf8
        | ArrowType::Binary
        | ArrowType::Date32
        | ArrowType::Interval(IntervalUnit::MonthDayNano) => arrow.clone(),
        _ => return None,
    })
}

/// A cast that fails rather than giving NULL.
fn cast(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() })
}

/// Lists into an array column, by the text of arrays.
fn lists(array: &ArrayRef, column: &Column, zone: &Zone) -> Result<ArrayRef, AtRow> {
    let DataType::Array(element) = column.data_type else {
        let message = format!("column \"{}\" is of type {}, not a list", column.name, column.data_type);
        return Err(at_row(0)(SqlError::new("42804", message)));
    };
    let foreign = |error: ArrowError| at_row(0)(SqlError::new("42804", error.to_string()));
    let items = match array.data_type() {
        ArrowType::List(items) | ArrowType::LargeList(items) | ArrowType::FixedSizeList(items, _) => items,
        other => return Err(at_row(0)(SqlError::new("42804", format!("{other} is no list")))),
    };
    let lists = cast(array, &ArrowType::LargeList(Arc::clone(items))).map_err(foreign)?;
    let lists = lists.as_list::<i64>();
    let of_element = Column::new(column.name.clone(), element.data_type(), true);
    let mut builder = Builder::new(column.data_type);
    for row in 0..lists.len() {
        if lists.is_null(row) {
            builder.append(None, zone).map_err(at_row(row))?;
            continue;
        }
        let values = converted(&lists.value(row), &of_element, zone).map_err(|(_, error)| (row, error))?;
        let text = array_text(&values, zone).map_err(at_row(row))?;
        builder.append(Some(&text), zone).map_err(at_row(row))?;
    }
    builder.finish().map_err(at_row(0))
}

/// Elements as PostgreSQL writes an array of them.
fn array_text(elements: &ArrayRef, zone: &Zone) -> Result<BytesMut, SqlError> {
    let values = Values::of(elements, zone)?;
    let (mut out, mut element) = (BytesMut::from(&b"{"[..]), BytesMut::new());
    for row in 0..elements.len() {
        if row > 0 {
            out.extend_from_slice(b",");
        }
        if values.is_null(row) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        element.clear();
        values.write_text(row, &mut element);
        out.extend_from_slice(b"\"");
        for byte in &element {
            if matches!(byte, b'"' | b'\\') {
                out.extend_from_slice(b"\\");
            }
            out.extend_from_slice(&[*byte]);
        }
        out.extend_from_slice(b"\"");
    }
    out.extend_from_slice(b"}");
    Ok(out)
}
