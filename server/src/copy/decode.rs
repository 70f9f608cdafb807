//! Lines into Arrow batches of the columns' types.
//!
//! Invariant: a batch holds at most `BATCH_ROWS` rows and about `BATCH_BYTES` bytes of lines, so that
//! memory is bounded by the batch at hand whatever the client sends.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use millrace_engine::{DataType, schema_of};
use millrace_sql::{Column, LineFormat, SqlError, Zone};

use super::builder::Builder;
use super::fields::Fields;
use super::lines::{Line, Lines};

pub(crate) const BATCH_ROWS: usize = 4096;
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// How much of a wrong value an error shows.
const SHOWN_CHARS: usize = 100;

/// Decodes COPY's lines: feed bytes, take batches.
pub struct Decoder {
    format: LineFormat,
    /// In which timestamps with time zone are meant that have none of their own.
    zone: Zone,
    columns: Vec<Column>,
    schema: SchemaRef,
    lines: Lines,
    fields: Fields,
    builders: Vec<Builder>,
    /// The numbers of the lines of the rows at hand.
    numbers: Vec<u64>,
    bytes: usize,
    /// The header has not been skipped yet.
    skip_header: bool,
    complete: bool,
}

impl Decoder {
    /// A decoder of lines that give these columns.
    pub fn new(columns: &[Column], format: &LineFormat, zone: Zone) -> Decoder {
        let types: Vec<DataType> = columns.iter().map(|column| column.data_type).collect();
        Decoder {
            format: format.clone(),
            zone,
            columns: columns.to_vec(),
            schema: schema_of(&types),
            lines: Lines::new(format),
            fields: Fields::default(),
            builders: types.iter().map(|data_type| Builder::new(*data_type)).collect(),
            numbers: Vec::new(),
            bytes: 0,
            skip_header: format.header,
            complete: false,
        }
    }

    /// The same of a whole file, in which nothing but its end ends the data.
    pub(crate) fn of_file(self) -> Decoder {
        Decoder { lines: self.lines.of_file(), ..self }
    }

    /// More bytes from the client, cut anywhere.
    pub fn feed(&mut self, data: &[u8]) {
        self.lines.feed(data);
    }

    /// The client's end of data: what follows are the last batches.
    pub fn end(&mut self) {
        self.complete = true;
        self.lines.complete();
    }

    /// The next batch: a full one, or after `end` what is left; `None` where there is none (yet).
    ///
    /// # Errors
    /// 22P04 for a line of the wrong shape, 22021 for bytes that are not UTF-8, else what the type's
    /// input raises; with line and column. No batch follows an error.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, BadLine> {
        Ok(self.next_numbered()?.map(|(batch, _)| batch))
    }

    /// The same, and the number of each row's line.
    pub(crate) fn next_numbered(&mut self) -> Result<Option<(RecordBatch, Vec<u64>)>, BadLine> {
        while self.numbers.len() < BATCH_ROWS && self.bytes < BATCH_BYTES {
            match self.lines.next().map_err(|error| BadLine::new(error, self.lines.number() + 1))? {
                Some(_) if std::mem::take(&mut self.skip_header) => {}
                Some(line) => self.append(&line)?,
                None if self.complete && !self.numbers.is_empty() => break,
                None => return Ok(None),
            }
        }
        self.finish().map(Some)
    }

    fn append(&mut self, line: &Line) -> Result<(), BadLine> {
        let misplaced = |error| BadLine::new(error, line.number);
        self.fields.cut(&line.bytes, &self.format).map_err(misplaced)?;
        self.check_count().map_err(misplaced)?;
        for (at, (builder, column)) in self.builders.iter_mut().zip(&self.columns).enumerate() {
            let value = self.fields.value(at);
            builder
                .append(value, &self.zone)
                .map_err(|error| BadLine::of_value(error, line.number, column, value))?;
        }
        self.numbers.push(line.number);
        self.bytes += line.bytes.len();
        Ok(())
    }

    fn check_count(&self) -> Result<(), SqlError> {
        if self.fields.len() > self.columns.len() {
            return Err(SqlError::new("22P04", "extra data after last expected column"));
        }
        match self.columns.get(self.fields.len()) {
            Some(missing) => {
                Err(SqlError::new("22P04", format!("missing data for column \"{}\"", missing.name)))
            }
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(RecordBatch, Vec<u64>), BadLine> {
        self.bytes = 0;
        let numbers = std::mem::take(&mut self.numbers);
        let arrays = self.builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>();
        let batch = arrays
            .and_then(|arrays| RecordBatch::try_new(self.schema.clone(), arrays).map_err(SqlError::internal));
        Ok((batch.map_err(|error| BadLine::new(error, 0))?, numbers))
    }
}

/// What is wrong with a line, and where.
#[derive(Debug)]
pub struct BadLine {
    /// What is wrong.
    pub error: Box<SqlError>,
    /// The number of the line, from 1.
    pub line: u64,
    /// The column whose value is wrong.
    pub column: Option<String>,
    /// That value.
    value: Option<String>,
}

impl BadLine {
    fn new(error: SqlError, line: u64) -> BadLine {
        BadLine { error: Box::new(error), line, column: None, value: None }
    }

    fn of_value(error: SqlError, line: u64, column: &Column, value: Option<&[u8]>) -> BadLine {
        let value = value.map(|value| {
            let value = String::from_utf8_lossy(value);
            let shown: String = value.chars().take(SHOWN_CHARS).collect();
            if shown.len() < value.len() { format!("{shown}...") } else { shown }
        });
        BadLine { error: Box::new(error), line, column: Some(column.name.clone()), value }
    }
}

impl From<BadLine> for SqlError {
    /// The detail tells the place, as PostgreSQL's context does.
    fn from(BadLine { error, line, column, value }: BadLine) -> SqlError {
        let column = column.map(|column| format!(", column {column}")).unwrap_or_default();
        let value = value.map(|value| format!(": \"{value}\"")).unwrap_or_default();
        let place = format!("COPY, line {line}{column}{value}");
        let detail = match &error.detail {
            Some(detail) => format!("{detail} {place}"),
            None => place,
        };
        error.detail(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::copy::Encoder;
    use crate::copy::lines::tests::{csv, text};
    use arrow::array::ArrayRef;
    use arrow::compute::concat_batches;
    use arrow::util::pretty::pretty_format_batches;
    use bytes::BytesMut;
    use millrace_engine::MOMENT_ZONE;
    use millrace_sql::UTC;
    use proptest::prelude::*;

    fn columns(types: &[DataType]) -> Vec<Column> {
        let column = |(at, data_type): (usize, &DataType)| Column::new(format!("c{at}"), *data_type, true);
        types.iter().enumerate().map(column).collect()
    }

    /// All rows of these chunks as one batch.
    fn decode(types: &[DataType], format: &LineFormat, chunks: &[&[u8]]) -> Result<RecordBatch, SqlError> {
        let mut decoder = Decoder::new(&columns(types), format, UTC.clone());
        let mut batches = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            while let Some(batch) = decoder.next_batch()? {
                batches.push(batch);
            }
        }
        decoder.end();
        while let Some(batch) = decoder.next_batch()? {
            batches.push(batch);
        }
        Ok(concat_batches(&schema_of(types), &batches).expect("one schema"))
    }

    fn encode(batch: &RecordBatch, format: &LineFormat) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut encoder = Encoder::new(format);
        let values = encoder.columns(batch, &UTC).expect("our types");
        (0..batch.num_rows()).for_each(|row| encoder.line(&values, row, &mut out));
        out.to_vec()
    }

    const ALL: [DataType; 11] = [
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float64,
        DataType::Text,
        DataType::Timestamp,
        DataType::Numeric { precision: 10, scale: 2 },
        DataType::Date,
        DataType::Int16,
        DataType::Float32,
        DataType::TimestampTz,
    ];

    #[test]
    fn lines_become_typed_columns() {
        let data =
            "t,1,2,2.5,x,2013-12-02 21:15:00,1.005,2013-12-02,-3,0.1,2013-12-02 21:15:00+02\n,,,,,,,,,,\n";
        let batch = decode(&ALL, &csv(), &[data.as_bytes()]).expect("good lines");
        expect_test::expect![[r#"
            +------+----+----+-----+----+---------------------+------+------------+----+-----+----------------------+
            | c0   | c1 | c2 | c3  | c4 | c5                  | c6   | c7         | c8 | c9  | c10                  |
            +------+----+----+-----+----+---------------------+------+------------+----+-----+----------------------+
            | true | 1  | 2  | 2.5 | x  | 2013-12-02T21:15:00 | 1.01 | 2013-12-02 | -3 | 0.1 | 2013-12-02T19:15:00Z |
            |      |    |    |     |    |                     |      |            |    |     |                      |
            +------+----+----+-----+----+---------------------+------+------------+----+-----+----------------------+"#]]
        .assert_eq(&pretty_format_batches(&[batch]).expect("printable").to_string());
    }

    #[test]
    fn a_header_is_skipped_once() {
        let format = LineFormat { header: true, ..csv() };
        let batch = decode(&[DataType::Int32], &format, &[b"c0\n1\n2\n"]).expect("good lines");
        assert_eq!(batch.num_rows(), 2);
    }

    #[test]
    fn batches_are_bounded() {
        let mut decoder = Decoder::new(&columns(&[DataType::Int32]), &csv(), UTC.clone());
        decoder.feed("1\n".repeat(BATCH_ROWS + 1).as_bytes());
        assert_eq!(decoder.next_batch().expect("good").map(|batch| batch.num_rows()), Some(BATCH_ROWS));
        assert_eq!(decoder.next_batch().expect("good"), None);
        decoder.end();
        assert_eq!(decoder.next_batch().expect("good").map(|batch| batch.num_rows()), Some(1));
        assert_eq!(decoder.next_batch().expect("good"), None);
    }

    #[test]
    fn errors_name_line_and_column() {
        let types = [DataType::Int32, DataType::Timestamp];
        let error = |data: &[u8]| {
            let error = decode(&types, &csv(), &[data]).expect_err("an error");
            (error.sqlstate, error.message, error.detail.expect("a place"))
        };
        let cases: [(&[u8], &str, &str, &str); 7] = [
            (b"1,2020-01-01\n2\n", "22P04", "missing data for column \"c1\"", "COPY, line 2"),
            (b"1,2020-01-01,3\n", "22P04", "extra data after last expected column", "COPY, line 1"),
            (
                b"x,2020-01-01\n",
                "22P02",
                "invalid input syntax for type integer: \"x\"",
                "COPY, line 1, column c0: \"x\"",
            ),
            (
                b"1,soon\n",
                "22007",
                "invalid input syntax for type timestamp: \"soon\"",
                "COPY, line 1, column c1: \"soon\"",
            ),
            (
                b"1,2020-02-30\n",
                "22008",
                "date/time field value out of range: \"2020-02-30\"",
                "COPY, line 1, column c1: \"2020-02-30\"",
            ),
            (
                b"1,\xff\n",
                "22021",
                "invalid byte sequence for encoding \"UTF8\": 0xff",
                "COPY, line 1, column c1: \"\u{fffd}\"",
            ),
            (b"1,2020-01-01\n2,\"x\n", "22P04", "unterminated CSV quoted field", "COPY, line 2"),
        ];
        for (data, sqlstate, message, detail) in cases {
            assert_eq!(error(data), (sqlstate.to_owned(), message.to_owned(), detail.to_owned()));
        }
    }

    /// Any batch of all types.
    fn rows() -> impl Strategy<Value = RecordBatch> {
        use arrow::array::{
            BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array, Int32Array,
            Int64Array, StringArray, TimestampMicrosecondArray,
        };
        let text = prop::option::of("[ab,\t\n\r\\\\\"N.é\u{8}]{0,6}");
        let row = (
            any::<Option<bool>>(),
            any::<Option<i32>>(),
            any::<Option<i64>>(),
            any::<Option<f64>>(),
            text,
            prop::option::of(-62_135_596_800_000_000i64..253_402_300_799_999_999),
            prop::option::of(-9_999_999_999i128..=9_999_999_999),
            prop::option::of(-2_440_588i32..=2_145_042_905),
            any::<Option<i16>>(),
            any::<Option<f32>>(),
            prop::option::of(-62_135_596_800_000_000i64..253_402_300_799_999_999),
        );
        prop::collection::vec(row, 1..8).prop_map(|rows| {
            let arrays: Vec<ArrayRef> = vec![
                Arc::new(rows.iter().map(|row| row.0).collect::<BooleanArray>()),
                Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
                Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
                Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
                Arc::new(rows.iter().map(|row| row.4.clone()).collect::<StringArray>()),
                Arc::new(rows.iter().map(|row| row.5).collect::<TimestampMicrosecondArray>()),
                Arc::new(
                    rows.iter()
                        .map(|row| row.6)
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(10, 2)
                        .expect("valid"),
                ),
                Arc::new(rows.iter().map(|row| row.7).collect::<Date32Array>()),
                Arc::new(rows.iter().map(|row| row.8).collect::<Int16Array>()),
                Arc::new(rows.iter().map(|row| row.9).collect::<Float32Array>()),
                Arc::new(
                    rows.iter()
                        .map(|row| row.10)
                        .collect::<TimestampMicrosecondArray>()
                        .with_timezone(MOMENT_ZONE),
                ),
            ];
            RecordBatch::try_new(schema_of(&ALL), arrays).expect("one length")
        })
    }

    proptest! {
        /// What is written is read back, wherever the chunks end.
        #[test]
        fn encoded_rows_come_back(batch in rows(), size in 1usize..50, as_csv in any::<bool>(), other in any::<bool>()) {
            let format = match (as_csv, other) {
                (true, false) => csv(),
                (true, true) => LineFormat { delimiter: b';', quote: b'\'', null: "NN".to_owned(), ..csv() },
                (false, false) => text(),
                (false, true) => LineFormat { delimiter: b'a', null: String::new(), ..text() },
            };
            // In text format an empty text cannot be told from a NULL that is written as nothing.
            prop_assume!(as_csv || !other || !has_empty_text(&batch));
            let data = encode(&batch, &format);
            let chunks: Vec<&[u8]> = data.chunks(size).collect();
            let back = decode(&ALL, &format, &chunks).expect("our own lines");
            prop_assert_eq!(format!("{back:?}"), format!("{batch:?}"));
        }
    }

    fn has_empty_text(batch: &RecordBatch) -> bool {
        use arrow::array::AsArray as _;
        batch.column(4).as_string::<i32>().iter().any(|text| text == Some(""))
    }
}
