//! Result rows as messages: RowDescription, and DataRow written straight into the output.

use ::pgwire::messages::data::{FieldDescription, RowDescription};
use arrow::array::RecordBatch;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt as _;
use millrace_sql::{Column, ResultColumns, SqlError, Zone, oid_of};

use super::fault::Fault;
use super::types::wire_type;
use super::values::Values;
use super::wire::{FLUSH_BYTES, Wire};
use crate::portion::{Form, Portion, Portions, Written};
use crate::session::row_size::check_bytes;

/// How a column's values are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As text.
    Text,
    /// In binary.
    Binary,
}

impl Format {
    /// The format of each of `count` values: no code means text for all, one code is for all.
    ///
    /// # Errors
    /// 08P01 where the numbers differ, 22023 for an unknown code.
    pub(crate) fn expand(
        codes: &[i16],
        count: usize,
        mismatch: impl Fn() -> String,
    ) -> Result<Vec<Format>, SqlError> {
        let formats: Vec<Format> = codes.iter().map(|code| Format::of(*code)).collect::<Result<_, _>>()?;
        match formats.as_slice() {
            [] => Ok(vec![Format::Text; count]),
            [one] => Ok(vec![*one; count]),
            _ if formats.len() == count => Ok(formats),
            _ => Err(SqlError::new("08P01", mismatch())),
        }
    }

    fn of(code: i16) -> Result<Format, SqlError> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            _ => Err(SqlError::new("22023", format!("unsupported format code: {code}"))),
        }
    }
}

/// The message that describes the columns. Without formats (Describe of a statement) they are text.
pub(crate) fn row_description(columns: &ResultColumns, formats: &[Format]) -> RowDescription {
    let field = |(at, column): (usize, &Column)| {
        let wire = wire_type(column.data_type);
        let format = match formats.get(at) {
            Some(Format::Binary) => 1,
            Some(Format::Text) | None => 0,
        };
        let (table, number) = match columns.origin(at) {
            Some(origin) => (oid_of(origin.relation), origin.column + 1),
            None => (0, 0),
        };
        FieldDescription::new(
            column.name.replace('\0', ""),
            i32::try_from(table).unwrap_or_default(),
            i16::try_from(number).unwrap_or_default(),
            wire.oid,
            wire.size,
            wire.modifier,
            format,
        )
    };
    RowDescription::new(columns.iter().enumerate().map(field).collect())
}

/// Rows that are being sent, perhaps in several portions (Execute with a limit).
pub(crate) struct Rows {
    stream: Portions,
    /// As whose clocks show them moments are written.
    zone: Zone,
    /// The rows at hand and the first that was not sent yet.
    portion: Option<(Portion, usize)>,
}

impl Rows {
    pub(crate) fn new(stream: Portions, zone: Zone) -> Rows {
        Rows { stream, zone, portion: None }
    }

    /// The next rows, at least one; `None` at the end.
    pub(crate) async fn next(&mut self, wire: &mut Wire) -> Result<Option<(Portion, usize)>, Fault> {
        loop {
            match self.portion.take() {
                Some((portion, row)) if row < portion.rows.num_rows() => return Ok(Some((portion, row))),
                Some(_) | None => {}
            }
            let stream = &mut self.stream;
            match wire.run(async { stream.next().await.transpose() }).await? {
                Some(portion) => self.portion = Some((portion, 0)),
                None => return Ok(None),
            }
        }
    }

    /// The zone in which moments are written.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Sends at most `rows_max` rows as DataRow messages: how many, and whether all are sent.
    ///
    /// As in PostgreSQL, rows that end exactly at the limit are only known to have ended when the
    /// next portion is asked for.
    pub(crate) async fn send(
        &mut self,
        wire: &mut Wire,
        formats: &[Format],
        rows_max: usize,
    ) -> Result<(u64, bool), Fault> {
        let mut sent = 0;
        while sent < rows_max {
            let Some((portion, first)) = self.next(wire).await? else { return Ok((sent as u64, true)) };
            let rows = portion.rows.num_rows();
            let end = rows.min(first.saturating_add(rows_max - sent));
            match &portion.written {
                Some(written) if (first, end) == (0, rows) => {
                    wire.put(data_rows(written, &portion.rows, &self.zone, formats)?).await?;
                }
                Some(_) | None => send_batch(wire, &portion.rows, &self.zone, formats, first..end).await?,
            }
            sent += end - first;
            self.portion = Some((portion, end));
        }
        Ok((sent as u64, false))
    }
}

/// Sends these rows of a batch, and flushes whenever the output is full.
async fn send_batch(
    wire: &mut Wire,
    batch: &RecordBatch,
    zone: &Zone,
    formats: &[Format],
    rows: std::ops::Range<usize>,
) -> Result<(), Fault> {
    let mut row = rows.start;
    while row < rows.end {
        row = write_rows(wire.output(), FLUSH_BYTES, batch, zone, formats, row..rows.end)?;
        if wire.is_full() {
            wire.flush().await?;
        }
    }
    Ok(())
}

/// All rows of a batch that others get, too, as DataRow messages.
fn data_rows(
    written: &Written,
    batch: &RecordBatch,
    zone: &Zone,
    formats: &[Format],
) -> Result<Bytes, SqlError> {
    written.get(&Form::DataRows(formats.to_vec(), zone.clone()), || {
        let mut out = BytesMut::new();
        write_rows(&mut out, usize::MAX, batch, zone, formats, 0..batch.num_rows())?;
        Ok(out.freeze())
    })
}

/// Writes rows until the output has `bytes_max`; returns the first row that was not written.
fn write_rows(
    out: &mut BytesMut,
    bytes_max: usize,
    batch: &RecordBatch,
    zone: &Zone,
    formats: &[Format],
    rows: std::ops::Range<usize>,
) -> Result<usize, SqlError> {
    let columns: Vec<Values<'_>> =
        batch.columns().iter().map(|array| Values::of(array, zone)).collect::<Result<_, _>>()?;
    if columns.len() != formats.len() {
        return Err(SqlError::internal(format!(
            "{} columns came where {} were told",
            columns.len(),
            formats.len()
        )));
    }
    for row in rows.clone() {
        if out.len() >= bytes_max {
            return Ok(row);
        }
        write_row(&columns, formats, row, out)?;
    }
    Ok(rows.end)
}

/// One DataRow: the lengths are filled in when the values stand.
///
/// # Errors
/// 54000 for a row that is too big; nothing of it is left.
fn write_row(
    columns: &[Values<'_>],
    formats: &[Format],
    row: usize,
    out: &mut BytesMut,
) -> Result<(), SqlError> {
    out.put_u8(b'D');
    let start = out.len();
    out.put_i32(0);
    out.put_u16(columns.len() as u16);
    for (values, format) in columns.iter().zip(formats) {
        if values.is_null(row) {
            out.put_i32(-1);
            continue;
        }
        let length_at = out.len();
        out.put_i32(0);
        match format {
            Format::Text => values.write_text(row, out),
            Format::Binary => values.write_binary(row, out),
        }
        set_length(out, length_at, out.len() - length_at - 4);
    }
    let length = out.len() - start;
    set_length(out, start, length);
    check_bytes(length).inspect_err(|_| out.truncate(start - 1))
}

fn set_length(out: &mut BytesMut, at: usize, length: usize) {
    out[at..at + 4].copy_from_slice(&(length as u32).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use millrace_engine::{DataType, RelationId};
    use millrace_sql::Origin;
    use std::sync::Arc;

    #[test]
    fn a_row_is_framed_field_by_field() {
        let columns: [ArrayRef; 2] =
            [Arc::new(Int32Array::from(vec![Some(7)])), Arc::new(StringArray::from(vec![None::<&str>]))];
        let values: Vec<Values<'_>> =
            columns.iter().map(|array| Values::of(array, &millrace_sql::UTC).expect("ours")).collect();
        let mut out = BytesMut::new();
        write_row(&values, &[Format::Binary, Format::Text], 0, &mut out).expect("a small row");
        let expected =
            [b"D\0\0\0\x12\0\x02".as_slice(), b"\0\0\0\x04\0\0\0\x07", b"\xff\xff\xff\xff"].concat();
        assert_eq!(&out[..], &expected[..]);
    }

    #[test]
    fn format_codes_are_for_none_all_or_each() {
        let expand = |codes: &[i16], count| Format::expand(codes, count, || "differs".to_owned());
        assert_eq!(expand(&[], 2), Ok(vec![Format::Text; 2]));
        assert_eq!(expand(&[1], 2), Ok(vec![Format::Binary; 2]));
        assert_eq!(expand(&[1, 0], 2), Ok(vec![Format::Binary, Format::Text]));
        assert_eq!(expand(&[1, 0], 3).expect_err("an error").sqlstate, "08P01");
        assert_eq!(expand(&[2], 1).expect_err("an error").sqlstate, "22023");
    }

    #[test]
    fn columns_are_described_with_oid_size_and_modifier() {
        let data_type = DataType::Numeric { precision: 10, scale: 2 };
        let column = |name: &str| Column::new(name, data_type, true);
        let origin = Origin { relation: RelationId(1), column: 4 };
        let columns = ResultColumns::new(vec![column("price"), column("more")], vec![Some(origin)]);
        let fields = vec![
            FieldDescription::new("price".to_owned(), 16_385, 5, 1700, -1, 655_366, 1),
            FieldDescription::new("more".to_owned(), 0, 0, 1700, -1, 655_366, 0),
        ];
        let formats = [Format::Binary, Format::Text];
        assert_eq!(row_description(&columns, &formats), RowDescription::new(fields));
    }
}
