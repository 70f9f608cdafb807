//! Rows into lines, in PostgreSQL's text format or as CSV.

use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};
use millrace_sql::{Column, LineFormat, SqlError, Zone};

use crate::pgwire::values::Values;

/// Writes COPY's lines.
pub struct Encoder {
    format: LineFormat,
    /// A value as text, before its escapes; used again and again.
    value: BytesMut,
}

/// The columns of a batch, ready to be written row by row.
pub struct Columns<'a>(Vec<Values<'a>>);

impl Encoder {
    /// A writer of this format.
    pub fn new(format: &LineFormat) -> Encoder {
        Encoder { format: format.clone(), value: BytesMut::new() }
    }

    /// The columns of a batch.
    ///
    /// # Errors
    /// XX000 for a column of a foreign type.
    pub fn columns<'a>(&self, batch: &'a RecordBatch, zone: &'a Zone) -> Result<Columns<'a>, SqlError> {
        batch.columns().iter().map(|array| Values::of(array, zone)).collect::<Result<_, _>>().map(Columns)
    }

    /// Appends the line of column names.
    pub fn header(&self, columns: &[Column], out: &mut BytesMut) {
        for (at, column) in columns.iter().enumerate() {
            self.separate(at, out);
            self.write(column.name.as_bytes(), columns.len() == 1, out);
        }
        out.put_u8(b'\n');
    }

    /// Appends the line of a row.
    pub fn line(&mut self, columns: &Columns<'_>, row: usize, out: &mut BytesMut) {
        for (at, values) in columns.0.iter().enumerate() {
            self.separate(at, out);
            if values.is_null(row) {
                out.put_slice(self.format.null.as_bytes());
            } else {
                self.value.clear();
                values.write_text(row, &mut self.value);
                self.write(&self.value, columns.0.len() == 1, out);
            }
        }
        out.put_u8(b'\n');
    }

    fn separate(&self, at: usize, out: &mut BytesMut) {
        if at > 0 {
            out.put_u8(self.format.delimiter);
        }
    }

    /// Appends a value with its quotes or escapes.
    fn write(&self, value: &[u8], alone: bool, out: &mut BytesMut) {
        if self.format.csv { self.write_csv(value, alone, out) } else { self.write_text(value, out) }
    }

    /// Quotes where the value would be read as something else without: also what looks like NULL,
    /// and a `\.` that is alone on its line.
    fn write_csv(&self, value: &[u8], alone: bool, out: &mut BytesMut) {
        let quote = self.format.quote;
        let special =
            |byte: &u8| *byte == self.format.delimiter || *byte == quote || matches!(byte, b'\n' | b'\r');
        let quoted =
            value == self.format.null.as_bytes() || (alone && value == b"\\.") || value.iter().any(special);
        if !quoted {
            out.put_slice(value);
            return;
        }
        out.put_u8(quote);
        for byte in value {
            if *byte == quote {
                out.put_u8(quote);
            }
            out.put_u8(*byte);
        }
        out.put_u8(quote);
    }

    fn write_text(&self, value: &[u8], out: &mut BytesMut) {
        for byte in value {
            let letter = match byte {
                0x08 => b'b',
                0x0c => b'f',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                0x0b => b'v',
                b'\\' => b'\\',
                _ if *byte == self.format.delimiter => *byte,
                _ => {
                    out.put_u8(*byte);
                    continue;
                }
            };
            out.put_slice(&[b'\\', letter]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::lines::tests::{csv, text};
    use arrow::array::{ArrayRef, Int32Array, StringArray};
    use millrace_engine::DataType;
    use std::sync::Arc;

    fn lines(format: &LineFormat, texts: &[Option<&str>]) -> String {
        let numbers: ArrayRef = Arc::new((0..texts.len() as i32).collect::<Int32Array>());
        let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).expect("one length");
        let mut encoder = Encoder::new(format);
        let mut out = BytesMut::new();
        let columns = encoder.columns(&batch, &millrace_sql::UTC).expect("our types");
        (0..batch.num_rows()).for_each(|row| encoder.line(&columns, row, &mut out));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn text_is_escaped() {
        let texts = [Some("a\tb\\c\nd"), None, Some("\\N"), Some("")];
        assert_eq!(lines(&text(), &texts), "0\ta\\tb\\\\c\\nd\n1\t\\N\n2\t\\\\N\n3\t\n");
    }

    #[test]
    fn csv_is_quoted_where_needed() {
        let texts = [Some("a,b"), None, Some(""), Some("say \"x\""), Some("l\nm"), Some(" p ")];
        assert_eq!(lines(&csv(), &texts), "0,\"a,b\"\n1,\n2,\"\"\n3,\"say \"\"x\"\"\"\n4,\"l\nm\"\n5, p \n");
    }

    #[test]
    fn a_header_names_the_columns() {
        let column = |name: &str| Column::new(name.to_owned(), DataType::Int32, true);
        let mut out = BytesMut::new();
        Encoder::new(&csv()).header(&[column("a,b"), column("c")], &mut out);
        assert_eq!(&out[..], b"\"a,b\",c\n");
    }
}
