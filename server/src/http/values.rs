//! Values as JSON: numbers and booleans as they are, `json` and `jsonb` embedded, arrays as arrays, all else as
//! PostgreSQL's text in a string.
//!
//! Numbers keep all their digits (`bigint` and `numeric`, too), as PostgreSQL's to_json writes them; what JSON has no
//! number for (NaN, the infinities) is a string. What is written here, `POST /v1/tables` reads.

use arrow::array::RecordBatch;
use bytes::{BufMut, BytesMut};
use millrace_engine::{Array, DataType};
use millrace_sql::text_form::{stored_array, write_literal};
use millrace_sql::{Column, SqlError, Zone};

use crate::pgwire::values::Values;

/// The columns of a batch, ready to be written row by row.
pub(super) struct JsonRows<'a> {
    columns: Vec<(Values<'a>, DataType, &'a str)>,
    zone: &'a Zone,
}

impl<'a> JsonRows<'a> {
    /// Of columns of these types and names.
    ///
    /// # Errors
    /// XX000 for a column of a foreign type.
    pub(super) fn new(
        batch: &'a RecordBatch,
        columns: &'a [Column],
        zone: &'a Zone,
    ) -> Result<JsonRows<'a>, SqlError> {
        let of = |(array, column): (&'a _, &'a Column)| {
            Ok((Values::of(array, zone)?, column.data_type, column.name.as_str()))
        };
        let columns = batch.columns().iter().zip(columns).map(of).collect::<Result<_, SqlError>>()?;
        Ok(JsonRows { columns, zone })
    }

    /// Appends a row as an array of its values.
    pub(super) fn write_array(&self, row: usize, out: &mut BytesMut) {
        out.put_u8(b'[');
        for at in 0..self.columns.len() {
            if at > 0 {
                out.put_u8(b',');
            }
            self.write(at, row, out);
        }
        out.put_u8(b']');
    }

    /// Appends a row as an object of its columns.
    pub(super) fn write_object(&self, row: usize, out: &mut BytesMut) {
        out.put_u8(b'{');
        for (at, (_, _, name)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            write_string(name, out);
            out.put_u8(b':');
            self.write(at, row, out);
        }
        out.put_u8(b'}');
    }

    fn write(&self, column: usize, row: usize, out: &mut BytesMut) {
        let (values, data_type, _) = &self.columns[column];
        if values.is_null(row) {
            return out.put_slice(b"null");
        }
        if let Values::Array(arrays, _) = values {
            // What is stored can be read.
            if let Ok(array) = stored_array(arrays.value(row)) {
                write_elements(&array, self.zone, out);
            }
            return;
        }
        let mut text = BytesMut::new();
        values.write_text(row, &mut text);
        write_scalar(&String::from_utf8_lossy(&text), *data_type, out);
    }
}

/// A text as a JSON string.
pub(super) fn write_string(text: &str, out: &mut BytesMut) {
    // Writing to a buffer in memory cannot fail.
    let _ = serde_json::to_writer(out.writer(), text);
}

/// PostgreSQL's text of a value of a type that is no array.
fn write_scalar(text: &str, data_type: DataType, out: &mut BytesMut) {
    let is_finite = || text.trim_start_matches('-').starts_with(|char: char| char.is_ascii_digit());
    match data_type {
        DataType::Limited(limit) => write_scalar(text, limit.base(), out),
        DataType::Boolean => out.put_slice(if text == "t" { b"true" } else { b"false" }),
        DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Numeric { .. }
        | DataType::Decimal
            if is_finite() =>
        {
            out.put_slice(text.as_bytes());
        }
        // Between the values of a `json` there may be line ends, which mean something where this is sent.
        DataType::Json => {
            out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }))
        }
        DataType::Jsonb => out.put_slice(text.as_bytes()),
        _ => write_string(text, out),
    }
}

/// An array, as arrays of arrays where it has several dimensions.
fn write_elements(array: &Array, zone: &Zone, out: &mut BytesMut) {
    let lengths: Vec<usize> =
        array.dimensions.iter().map(|dimension| usize::try_from(dimension.length).unwrap_or(0)).collect();
    match lengths.is_empty() {
        true => out.put_slice(b"[]"),
        false => write_dimension(array, &lengths, 0, zone, out),
    }
}

fn write_dimension(array: &Array, lengths: &[usize], first: usize, zone: &Zone, out: &mut BytesMut) {
    let [length, inner @ ..] = lengths else { return };
    let width: usize = inner.iter().product();
    out.put_u8(b'[');
    for at in 0..*length {
        if at > 0 {
            out.put_u8(b',');
        }
        let place = first + at * width;
        if !inner.is_empty() {
            write_dimension(array, inner, place, zone, out);
            continue;
        }
        match array.values.get(place).and_then(Option::as_ref) {
            None => out.put_slice(b"null"),
            Some(value) => {
                let mut text = String::new();
                write_literal(value, zone, &mut text);
                write_scalar(&text, array.element.data_type(), out);
            }
        }
    }
    out.put_u8(b']');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use millrace_engine::{batch_of, column_of_literals};
    use millrace_sql::{UTC, text_form};

    use super::*;

    /// The JSON of the value that a text is to a type.
    fn json(text: &str, data_type: DataType) -> String {
        let literal = text_form::parse(text, data_type, &UTC).unwrap();
        let array = column_of_literals(data_type, [&literal].into_iter());
        let batch = batch_of(&[data_type], vec![array], 1).unwrap();
        let columns = [Column::new("a", data_type, true)];
        let mut out = BytesMut::new();
        JsonRows::new(&batch, &columns, &UTC).unwrap().write_array(0, &mut out);
        // What is written is JSON.
        serde_json::from_slice::<Vec<serde_json::Value>>(&out).unwrap();
        String::from_utf8_lossy(&out[1..out.len() - 1]).into_owned()
    }

    #[test]
    fn values_are_the_json_that_has_all_of_them() {
        use millrace_engine::Element;
        let ints = DataType::Array(Element::Int32);
        let texts = DataType::Array(Element::Text);
        let cases = [
            ("t", DataType::Boolean, "true"),
            ("-5", DataType::Int16, "-5"),
            ("9223372036854775807", DataType::Int64, "9223372036854775807"),
            ("1e300", DataType::Float64, "1e+300"),
            ("NaN", DataType::Float64, "\"NaN\""),
            ("-Infinity", DataType::Float32, "\"-Infinity\""),
            ("12.50", DataType::Numeric { precision: 10, scale: 2 }, "12.50"),
            ("123456789012345678901234567890.5", DataType::Decimal, "123456789012345678901234567890.5"),
            ("NaN", DataType::Decimal, "\"NaN\""),
            ("say \"x\"\n", DataType::Text, "\"say \\\"x\\\"\\n\""),
            ("2026-01-01 10:00", DataType::Timestamp, "\"2026-01-01 10:00:00\""),
            ("2026-01-01 10:00Z", DataType::TimestampTz, "\"2026-01-01 10:00:00+00\""),
            ("{\"a\":\r\n[1, 2]}", DataType::Json, "{\"a\":  [1, 2]}"),
            ("{\"b\":1,\"a\":null}", DataType::Jsonb, "{\"a\": null, \"b\": 1}"),
            ("\\x00ff", DataType::Bytea, "\"\\\\x00ff\""),
            ("{}", ints, "[]"),
            ("{1,NULL,3}", ints, "[1,null,3]"),
            ("{{1,2},{3,4}}", ints, "[[1,2],[3,4]]"),
            ("{a,\"b c\"}", texts, "[\"a\",\"b c\"]"),
        ];
        for (text, data_type, expected) in cases {
            assert_eq!(json(text, data_type), expected, "{text}");
        }
    }
}
