//! COPY's binary format: a header, rows of counted fields, a trailer.
//!
//! ```text
//!  "PGCOPY\\n\\xff\\r\\n\\0"  flags: u32  extension: u32 length, bytes
//!  fields: i16 ( length: i32, -1 NULL │ bytes )*      a row
//!  -1: i16                                           the end
//! ```
//! Invariant: nothing is reserved for a length that has not arrived, and a row of more than `ROW_BYTES_MAX` is
//! refused before it is gathered.

use arrow::array::RecordBatch;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use millrace_engine::{DataType, Literal, batch_of, column_of_literals};
use millrace_sql::{Column, SqlError, Zone};

use crate::pgwire::read_binary_value;
use crate::pgwire::values::Values;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const BATCH_ROWS: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;

/// The longest row, and with it the most bytes that wait for their row's end.
const ROW_BYTES_MAX: usize = 64 << 20;

/// The flag of files that have an oid before each row, which PostgreSQL no longer reads either.
const WITH_OIDS: u32 = 1 << 16;

/// Decodes the binary format: feed bytes, take batches.
pub struct BinaryDecoder {
    columns: Vec<Column>,
    /// For values that a type reads through its text.
    zone: Zone,
    waiting: BytesMut,
    at: Place,
    /// The values of the batch at hand, by column.
    values: Vec<Vec<Literal>>,
    in_batch: usize,
    bytes: usize,
    /// How many rows have come.
    rows: u64,
    complete: bool,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Row,
    /// Behind the trailer.
    End,
}

impl BinaryDecoder {
    /// A decoder of rows that give these columns.
    pub fn new(columns: &[Column], zone: Zone) -> BinaryDecoder {
        BinaryDecoder {
            columns: columns.to_vec(),
            zone,
            waiting: BytesMut::new(),
            at: Place::Header,
            values: vec![Vec::new(); columns.len()],
            in_batch: 0,
            bytes: 0,
            rows: 0,
            complete: false,
        }
    }

    /// More bytes from the client, cut anywhere.
    pub fn feed(&mut self, data: &[u8]) {
        self.waiting.extend_from_slice(data);
    }

    /// The client's end of data: what follows are the last batches.
    pub fn end(&mut self) {
        self.complete = true;
    }

    /// The next batch: a full one, or after `end` what is left; `None` where there is none (yet).
    ///
    /// # Errors
    /// 22P04 for a file of the wrong shape, 54000 for a row that is too long, 22P03 and whatever the type's input
    /// raises for a value. The detail names row and column. No batch follows an error.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        while self.in_batch < BATCH_ROWS && self.bytes < BATCH_BYTES {
            match self.step()? {
                Step::Row => self.in_batch += 1,
                Step::Other => {}
                Step::Wait if self.complete && self.in_batch > 0 => break,
                Step::Wait => return Ok(None),
            }
        }
        self.finish().map(Some)
    }

    fn step(&mut self) -> Result<Step, SqlError> {
        match self.at {
            Place::Header => self.header(),
            Place::Row => self.row(),
            Place::End if self.waiting.is_empty() => Ok(Step::Wait),
            Place::End => Err(wrong("received copy data after EOF marker")),
        }
    }

    fn header(&mut self) -> Result<Step, SqlError> {
        let (signature, rest) = self.waiting.split_at(self.waiting.len().min(SIGNATURE.len()));
        if !SIGNATURE.starts_with(signature) || (self.complete && signature != SIGNATURE) {
            return Err(wrong("COPY file signature not recognized"));
        }
        let Some(flags) = number(rest, 0) else {
            return self.wait_or("invalid COPY file header (missing flags)");
        };
        if flags & WITH_OIDS != 0 {
            return Err(wrong("invalid COPY file header (WITH OIDS)"));
        }
        if flags >> 16 != 0 {
            return Err(wrong("unrecognized critical flags in COPY file header"));
        }
        let Some(length) = number(rest, 4) else {
            return self.wait_or("invalid COPY file header (missing length)");
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > ROW_BYTES_MAX {
            return Err(wrong("invalid COPY file header (wrong length)"));
        }
        if rest.len() < 8 + length {
            return self.wait_or("invalid COPY file header (wrong length)");
        }
        self.waiting.advance(SIGNATURE.len() + 8 + length);
        self.at = Place::Row;
        Ok(Step::Other)
    }

    fn row(&mut self) -> Result<Step, SqlError> {
        if self.waiting.is_empty() {
            return Ok(Step::Wait);
        }
        let row = self.rows + 1;
        let Some(count) = self.waiting.get(..2) else {
            // As in PostgreSQL a trailer that is cut off is as good as none.
            if self.complete {
                self.waiting.clear();
            }
            return Ok(Step::Wait);
        };
        let count = i16::from_be_bytes([count[0], count[1]]);
        if count == -1 {
            self.waiting.advance(2);
            self.at = Place::End;
            return Ok(Step::Other);
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            let message = format!("row field count is {count}, expected {}", self.columns.len());
            return Err(in_row(wrong(message), row));
        }
        let Some(length) = self.row_length().map_err(|error| in_row(error, row))? else {
            return self.wait_or("unexpected EOF in COPY data");
        };
        let mut bytes = self.waiting.split_to(length).freeze();
        bytes.advance(2);
        self.append(bytes, row)?;
        self.bytes += length;
        self.rows = row;
        Ok(Step::Row)
    }

    /// The bytes of the row that comes next, once all have come.
    fn row_length(&self) -> Result<Option<usize>, SqlError> {
        let mut end = 2;
        for _ in &self.columns {
            let Some(length) = number(&self.waiting, end) else { return Ok(None) };
            end += 4;
            match length as i32 {
                -1 => {}
                length => end += usize::try_from(length).map_err(|_| wrong("invalid field size"))?,
            }
            if end > ROW_BYTES_MAX {
                let message = format!("a row is longer than {ROW_BYTES_MAX} bytes");
                return Err(SqlError::new("54000", message));
            }
        }
        Ok((end <= self.waiting.len()).then_some(end))
    }

    fn append(&mut self, mut row: Bytes, number: u64) -> Result<(), SqlError> {
        for (column, values) in self.columns.iter().zip(&mut self.values) {
            let value = match row.get_i32() {
                -1 => Literal::Null(column.data_type),
                length => {
                    let bytes = row.split_to(usize::try_from(length).unwrap_or_default());
                    read_binary_value(&bytes, column.data_type, &self.zone)
                        .map_err(|error| in_column(error, number, column))?
                }
            };
            values.push(value);
        }
        Ok(())
    }

    /// Waits for more bytes; an error where none will come.
    fn wait_or(&self, message: &str) -> Result<Step, SqlError> {
        if self.complete { Err(in_row(wrong(message), self.rows + 1)) } else { Ok(Step::Wait) }
    }

    fn finish(&mut self) -> Result<RecordBatch, SqlError> {
        self.bytes = 0;
        let types: Vec<DataType> = self.columns.iter().map(|column| column.data_type).collect();
        let rows = std::mem::take(&mut self.in_batch);
        let columns = types.iter().zip(&self.values);
        let columns = columns.map(|(data_type, values)| column_of_literals(*data_type, values.iter()));
        let batch = batch_of(&types, columns.collect(), rows).map_err(SqlError::internal);
        self.values.iter_mut().for_each(Vec::clear);
        batch
    }
}

/// What one look at the bytes has brought.
enum Step {
    /// A row.
    Row,
    /// The header or the trailer.
    Other,
    /// Nothing: more bytes are needed, or none follow.
    Wait,
}

/// The number of 32 bits at a place, if it has come.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new("22P04", message)
}

fn in_row(error: SqlError, row: u64) -> SqlError {
    with_place(error, format!("COPY, line {row}"))
}

fn in_column(error: SqlError, row: u64, column: &Column) -> SqlError {
    with_place(error, format!("COPY, line {row}, column {}", column.name))
}

fn with_place(error: SqlError, place: String) -> SqlError {
    let detail = match &error.detail {
        Some(detail) => format!("{detail} {place}"),
        None => place,
    };
    error.detail(detail)
}

/// Writes the binary format.
#[derive(Default)]
pub struct BinaryEncoder;

impl BinaryEncoder {
    /// Appends what stands before the rows.
    pub fn header(&self, out: &mut BytesMut) {
        out.put_slice(SIGNATURE);
        out.put_u32(0);
        out.put_u32(0);
    }

    /// The columns of a batch.
    ///
    /// # Errors
    /// XX000 for a column of a foreign type.
    pub(crate) fn columns<'a>(
        &self,
        batch: &'a RecordBatch,
        zone: &'a Zone,
    ) -> Result<Vec<Values<'a>>, SqlError> {
        batch.columns().iter().map(|array| Values::of(array, zone)).collect()
    }

    /// Appends a row.
    pub(crate) fn row(&self, columns: &[Values<'_>], row: usize, out: &mut BytesMut) {
        out.put_u16(columns.len() as u16);
        for values in columns {
            if values.is_null(row) {
                out.put_i32(-1);
                continue;
            }
            let start = out.len();
            out.put_u32(0);
            values.write_binary(row, out);
            let length = (out.len() - start - 4) as u32;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Appends what stands behind the rows.
    pub fn trailer(&self, out: &mut BytesMut) {
        out.put_i16(-1);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use arrow::compute::concat_batches;
    use millrace_sql::UTC;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn columns() -> Vec<Column> {
        let column =
            |(name, data_type): (&str, DataType)| Column { name: name.to_owned(), data_type, nullable: true };
        [("a", DataType::Int32), ("b", DataType::Text)].map(column).to_vec()
    }

    fn batch(numbers: Vec<Option<i32>>, texts: Vec<Option<&str>>) -> RecordBatch {
        let rows = numbers.len();
        let values: [ArrayRef; 2] = [Arc::new(Int32Array::from(numbers)), Arc::new(StringArray::from(texts))];
        batch_of(&[DataType::Int32, DataType::Text], values.to_vec(), rows).unwrap()
    }

    fn encoded(batch: &RecordBatch) -> Vec<u8> {
        let (encoder, mut out) = (BinaryEncoder, BytesMut::new());
        encoder.header(&mut out);
        let values = encoder.columns(batch, &UTC).unwrap();
        (0..batch.num_rows()).for_each(|row| encoder.row(&values, row, &mut out));
        encoder.trailer(&mut out);
        out.to_vec()
    }

    fn decoded(chunks: &[&[u8]]) -> Result<RecordBatch, String> {
        let told = |error: SqlError| format!("{} {}", error.sqlstate, error.message);
        let mut decoder = BinaryDecoder::new(&columns(), UTC.clone());
        let mut batches = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            batches.extend(
                std::iter::from_fn(|| decoder.next_batch().transpose())
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(told)?,
            );
        }
        decoder.end();
        batches.extend(
            std::iter::from_fn(|| decoder.next_batch().transpose())
                .collect::<Result<Vec<_>, _>>()
                .map_err(told)?,
        );
        let empty = batch(Vec::new(), Vec::new());
        Ok(concat_batches(&empty.schema(), &batches).unwrap())
    }

    /// What PostgreSQL 15 writes for the rows (7, 'x') and (NULL, NULL).
    #[test]
    fn rows_are_written_as_by_postgresql() {
        let rows = batch(vec![Some(7), None], vec![Some("x"), None]);
        let expected = [
            b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".as_slice(),
            b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01x",
            b"\0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff",
        ];
        assert_eq!(encoded(&rows), expected.concat());
        assert_eq!(decoded(&[&expected.concat()]), Ok(rows));
    }

    #[test]
    fn files_of_another_shape_are_refused() {
        let good = encoded(&batch(vec![Some(7)], vec![Some("x")]));
        let with = |at: usize, bytes: &[u8]| {
            let mut file = good.clone();
            file.splice(at..at + bytes.len(), bytes.iter().copied());
            decoded(&[&file]).unwrap_err()
        };
        assert_eq!(with(0, b"X"), "22P04 COPY file signature not recognized");
        assert_eq!(with(12, &[1]), "22P04 invalid COPY file header (WITH OIDS)");
        assert_eq!(with(11, &[1]), "22P04 unrecognized critical flags in COPY file header");
        assert_eq!(with(15, &[0xff]), "22P04 invalid COPY file header (wrong length)");
        assert_eq!(with(19, &[0, 3]), "22P04 row field count is 3, expected 2");
        assert_eq!(with(21, &[0xff, 0xff, 0xff, 0xfe]), "22P04 invalid field size");
        assert_eq!(with(21, &[0x7f]), format!("54000 a row is longer than {ROW_BYTES_MAX} bytes"));
        let short = [SIGNATURE, &[0; 8], &[0, 2, 0, 0, 0, 3, 1, 2, 3], &[0xff; 6]].concat();
        assert_eq!(decoded(&[&short]).unwrap_err(), "22P03 incorrect binary data format");
        assert_eq!(decoded(&[&good, b"x"]).unwrap_err(), "22P04 received copy data after EOF marker");
        assert_eq!(decoded(&[&good[..25]]).unwrap_err(), "22P04 unexpected EOF in COPY data");
        assert_eq!(decoded(&[&good[..13]]).unwrap_err(), "22P04 invalid COPY file header (missing flags)");
        assert_eq!(decoded(&[]).unwrap_err(), "22P04 COPY file signature not recognized");
        // Without its trailer a file is read, as in PostgreSQL.
        assert_eq!(decoded(&[&good[..good.len() - 2]]).map(|rows| rows.num_rows()), Ok(1));
    }

    proptest! {
        /// Whatever the chunks, the rows are the same.
        #[test]
        fn chunks_do_not_matter(
            rows in prop::collection::vec((any::<Option<i32>>(), "[a-z]{0,9}"), 0..20),
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            let texts = rows.iter().map(|(_, text)| Some(text.as_str())).collect();
            let rows = batch(rows.iter().map(|(number, _)| *number).collect(), texts);
            let file = encoded(&rows);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(file.len())).chain([0, file.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|ends| &file[ends[0]..ends[1]]).collect();
            prop_assert_eq!(decoded(&chunks), Ok(rows));
        }

        /// Whatever a stranger sends ends in rows or an error.
        #[test]
        fn no_file_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decoded(&[&bytes]);
            let _ = decoded(&[SIGNATURE, &[0; 8], &bytes]);
        }
    }
}
