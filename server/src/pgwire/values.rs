//! Values on their way out: a column of a batch, written row by row as text or in binary.

use arrow::array::{
    Array as _, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, LargeBinaryArray, StringArray, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use bytes::{BufMut, BytesMut};
use millrace_engine::{Array, Decimal, Literal, column_of_literals};
use millrace_sql::text_form::{
    Interval, stored_array, write_array, write_bytea, write_date, write_float32, write_float64,
    write_interval, write_jsonb, write_numeric, write_stored_numeric, write_time, write_timestamp,
    write_timestamptz, write_uuid,
};
use millrace_sql::{SqlError, Zone};
use std::fmt::Write as _;

use super::numeric::{write_decimal_binary, write_numeric_binary};
use super::types::{DAYS_TO_2000, MICROS_TO_2000, wire_type};

/// A column's values, looked up once a batch.
pub(crate) enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Text(&'a StringArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Numeric(&'a Decimal128Array, u8),
    Date(&'a Date32Array),
    Interval(&'a IntervalMonthDayNanoArray),
    Int16(&'a Int16Array),
    Float32(&'a Float32Array),
    TimestampTz(&'a TimestampMicrosecondArray, &'a Zone),
    Uuid(&'a FixedSizeBinaryArray),
    Bytea(&'a BinaryArray),
    Time(&'a Time64MicrosecondArray),
    Jsonb(&'a LargeBinaryArray),
    Array(&'a BinaryViewArray, &'a Zone),
    Decimal(&'a StringViewArray),
}

impl<'a> Values<'a> {
    /// The values of an array, moments as clocks of a zone show them. A type that is none of the engine's is a
    /// defect of ours: XX000.
    pub(crate) fn of(array: &'a ArrayRef, zone: &'a Zone) -> Result<Values<'a>, SqlError> {
        Ok(match array.data_type() {
            ArrowType::Boolean => Values::Boolean(array.as_boolean()),
            ArrowType::Int32 => Values::Int32(array.as_primitive::<Int32Type>()),
            ArrowType::Int64 => Values::Int64(array.as_primitive::<Int64Type>()),
            ArrowType::Float64 => Values::Float64(array.as_primitive::<Float64Type>()),
            ArrowType::Utf8 => Values::Text(array.as_string::<i32>()),
            ArrowType::Timestamp(TimeUnit::Microsecond, None) => {
                Values::Timestamp(array.as_primitive::<TimestampMicrosecondType>())
            }
            ArrowType::Decimal128(_, scale) if *scale >= 0 => {
                Values::Numeric(array.as_primitive::<Decimal128Type>(), scale.unsigned_abs())
            }
            ArrowType::Date32 => Values::Date(array.as_primitive::<Date32Type>()),
            ArrowType::Interval(IntervalUnit::MonthDayNano) => {
                Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>())
            }
            ArrowType::Int16 => Values::Int16(array.as_primitive::<Int16Type>()),
            ArrowType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
                Values::TimestampTz(array.as_primitive::<TimestampMicrosecondType>(), zone)
            }
            ArrowType::FixedSizeBinary(16) => Values::Uuid(array.as_fixed_size_binary()),
            ArrowType::Binary => Values::Bytea(array.as_binary::<i32>()),
            ArrowType::BinaryView => Values::Array(array.as_binary_view(), zone),
            ArrowType::Utf8View => Values::Decimal(array.as_string_view()),
            ArrowType::LargeBinary => Values::Jsonb(array.as_binary::<i64>()),
            ArrowType::Time64(TimeUnit::Microsecond) => {
                Values::Time(array.as_primitive::<Time64MicrosecondType>())
            }
            ArrowType::Float32 => Values::Float32(array.as_primitive::<Float32Type>()),
            other => return Err(SqlError::internal(format!("a result column has the type {other}"))),
        })
    }

    /// Whether the row's value is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Values::Boolean(array) => array.is_null(row),
            Values::Int32(array) => array.is_null(row),
            Values::Int64(array) => array.is_null(row),
            Values::Float64(array) => array.is_null(row),
            Values::Text(array) => array.is_null(row),
            Values::Timestamp(array) => array.is_null(row),
            Values::Numeric(array, _) => array.is_null(row),
            Values::Date(array) => array.is_null(row),
            Values::Interval(array) => array.is_null(row),
            Values::Int16(array) => array.is_null(row),
            Values::Float32(array) => array.is_null(row),
            Values::TimestampTz(array, _) => array.is_null(row),
            Values::Uuid(array) => array.is_null(row),
            Values::Bytea(array) => array.is_null(row),
            Values::Time(array) => array.is_null(row),
            Values::Jsonb(array) => array.is_null(row),
            Values::Array(array, _) => array.is_null(row),
            Values::Decimal(array) => array.is_null(row),
        }
    }

    /// Appends the text of a value that is not NULL.
    pub(crate) fn write_text(&self, row: usize, out: &mut BytesMut) {
        match self {
            Values::Boolean(array) => out.put_u8(if array.value(row) { b't' } else { b'f' }),
            // Writing to a buffer in memory cannot fail.
            Values::Int16(array) => _ = write!(out, "{}", array.value(row)),
            Values::Int32(array) => _ = write!(out, "{}", array.value(row)),
            Values::Int64(array) => _ = write!(out, "{}", array.value(row)),
            Values::Float32(array) => write_float32(array.value(row), out),
            Values::TimestampTz(array, zone) => write_timestamptz(array.value(row), zone, out),
            Values::Uuid(array) => write_uuid(array.value(row).try_into().unwrap_or_default(), out),
            Values::Bytea(array) => write_bytea(array.value(row), out),
            Values::Float64(array) => write_float64(array.value(row), out),
            Values::Text(array) => out.put_slice(array.value(row).as_bytes()),
            Values::Timestamp(array) => write_timestamp(array.value(row), out),
            Values::Numeric(array, scale) => write_numeric(array.value(row), *scale, out),
            Values::Decimal(array) => write_stored_numeric(array.value(row), out),
            Values::Date(array) => write_date(array.value(row), out),
            Values::Time(array) => write_time(array.value(row), out),
            Values::Jsonb(array) => write_jsonb(array.value(row), out),
            Values::Array(array, zone) => {
                if let Ok(array) = stored_array(array.value(row)) {
                    write_array(&array, zone, out);
                }
            }
            Values::Interval(array) => write_interval(Interval::from_arrow(array.value(row)), out),
        }
    }

    /// Appends the binary form of a value that is not NULL.
    pub(crate) fn write_binary(&self, row: usize, out: &mut BytesMut) {
        match self {
            Values::Boolean(array) => out.put_u8(u8::from(array.value(row))),
            Values::Int16(array) => out.put_i16(array.value(row)),
            Values::Int32(array) => out.put_i32(array.value(row)),
            Values::Int64(array) => out.put_i64(array.value(row)),
            Values::Float32(array) => out.put_f32(array.value(row)),
            Values::Uuid(array) => out.put_slice(array.value(row)),
            Values::Bytea(array) => out.put_slice(array.value(row)),
            Values::Float64(array) => out.put_f64(array.value(row)),
            Values::Time(array) => out.put_i64(array.value(row)),
            Values::Array(array, zone) => {
                if let Ok(array) = stored_array(array.value(row)) {
                    write_array_binary(&array, zone, out);
                }
            }
            Values::Jsonb(array) => {
                // The version of the form.
                out.put_u8(1);
                write_jsonb(array.value(row), out);
            }
            Values::Text(array) => out.put_slice(array.value(row).as_bytes()),
            // Binary timestamps count from 2000.
            Values::Timestamp(array) | Values::TimestampTz(array, _) => {
                out.put_i64(array.value(row).saturating_sub(MICROS_TO_2000));
            }
            Values::Numeric(array, scale) => write_numeric_binary(array.value(row), *scale, out),
            Values::Decimal(array) => {
                if let Some(decimal) = Decimal::decode(array.value(row)) {
                    write_decimal_binary(&decimal, out);
                }
            }
            Values::Date(array) => out.put_i32(array.value(row).saturating_sub(DAYS_TO_2000)),
            Values::Interval(array) => {
                let interval = Interval::from_arrow(array.value(row));
                out.put_i64(interval.micros);
                out.put_i32(interval.days);
                out.put_i32(interval.months);
            }
        }
    }
}

/// The binary form of an array: dimensions, whether there are NULLs, the elements' oid, then each with its length.
fn write_array_binary(array: &Array, zone: &Zone, out: &mut BytesMut) {
    out.put_i32(array.dimensions.len() as i32);
    out.put_i32(i32::from(array.values.iter().any(Option::is_none)));
    out.put_u32(wire_type(array.element.data_type()).oid);
    for dimension in &array.dimensions {
        out.put_i32(dimension.length);
        out.put_i32(dimension.lower);
    }
    let null = Literal::Null(array.element.data_type());
    let literals = array.values.iter().map(|value| value.as_ref().unwrap_or(&null));
    let column = column_of_literals(array.element.data_type(), literals);
    // Elements have types of ours.
    let Ok(values) = Values::of(&column, zone) else { return };
    for row in 0..column.len() {
        if values.is_null(row) {
            out.put_i32(-1);
            continue;
        }
        let start = out.len();
        out.put_i32(0);
        values.write_binary(row, out);
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::IntervalMonthDayNano;
    use millrace_engine::Element;
    use millrace_sql::UTC;
    use std::sync::Arc;

    fn both(array: ArrayRef) -> (String, String) {
        let zone = Zone::named("Europe/Berlin").expect("a zone");
        let values = Values::of(&array, &zone).expect("one of our types");
        let (mut text, mut binary) = (BytesMut::new(), BytesMut::new());
        values.write_text(0, &mut text);
        values.write_binary(0, &mut binary);
        (
            String::from_utf8_lossy(&text).into_owned(),
            binary.iter().map(|byte| format!("{byte:02x}")).collect(),
        )
    }

    /// Text and the hex of the send functions of PostgreSQL 15.
    #[test]
    fn values_are_written_as_by_postgresql() {
        let timestamp = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros])) as ArrayRef;
        let ints = Array::flat(Element::Int32, vec![Some(Literal::Int32(1)), None]).encode();
        let stored = |text: &str| {
            let decimal = millrace_sql::text_form::parse_unlimited(text).expect("a numeric");
            Arc::new(StringViewArray::from_iter_values([decimal.encode()])) as ArrayRef
        };
        let cases: [(ArrayRef, &str, &str); 26] = [
            (stored("12.50"), "12.50", "0002000000000002000c1388"),
            (stored("-0.0001"), "-0.0001", "0001ffff400000040001"),
            (stored("NaN"), "NaN", "00000000c0000000"),
            (stored("-Infinity"), "-Infinity", "00000000f0000020"),
            (
                Arc::new(BinaryViewArray::from_iter_values([ints])),
                "{1,NULL}",
                "00000001000000010000001700000002000000010000000400000001ffffffff",
            ),
            (
                Arc::new(Time64MicrosecondArray::from(vec![3_723_000_004])),
                "01:02:03.000004",
                "00000000dde878c4",
            ),
            (Arc::new(BinaryArray::from(vec![&[0u8, 255][..]])), "\\x00ff", "00ff"),
            (
                Arc::new(FixedSizeBinaryArray::try_from_iter([[0xa0u8; 16]].into_iter()).expect("16 bytes")),
                "a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0",
                "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0",
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![MICROS_TO_2000]).with_timezone("+00:00")),
                "2000-01-01 01:00:00+01",
                "0000000000000000",
            ),
            (Arc::new(Int16Array::from(vec![-5])), "-5", "fffb"),
            (Arc::new(Float32Array::from(vec![4.35])), "4.35", "408b3333"),
            (Arc::new(Float32Array::from(vec![1e6])), "1e+06", "49742400"),
            (Arc::new(BooleanArray::from(vec![true])), "t", "01"),
            (Arc::new(BooleanArray::from(vec![false])), "f", "00"),
            (Arc::new(Int32Array::from(vec![-5])), "-5", "fffffffb"),
            (Arc::new(Int64Array::from(vec![-5])), "-5", "fffffffffffffffb"),
            (Arc::new(Float64Array::from(vec![4.35])), "4.35", "4011666666666666"),
            (Arc::new(Float64Array::from(vec![-0.0])), "-0", "8000000000000000"),
            (Arc::new(StringArray::from(vec!["aé"])), "aé", "61c3a9"),
            (timestamp(MICROS_TO_2000), "2000-01-01 00:00:00", "0000000000000000"),
            (timestamp(0), "1970-01-01 00:00:00", "fffca2fec4c82000"),
            (timestamp(MICROS_TO_2000 - 1), "1999-12-31 23:59:59.999999", "ffffffffffffffff"),
            (
                Arc::new(Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).expect("valid")),
                "12.50",
                "0002000000000002000c1388",
            ),
            (Arc::new(Date32Array::from(vec![DAYS_TO_2000])), "2000-01-01", "00000000"),
            (Arc::new(Date32Array::from(vec![0])), "1970-01-01", "ffffd533"),
            (
                Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, -3, 4_000)])),
                "1 year 2 mons -3 days +00:00:00.000004",
                "0000000000000004fffffffd0000000e",
            ),
        ];
        for (array, text, hex) in cases {
            assert_eq!(both(array), (text.to_owned(), hex.to_owned()));
        }
    }

    #[test]
    fn a_foreign_type_is_a_defect() {
        let array: ArrayRef = Arc::new(arrow::array::Int8Array::from(vec![1]));
        assert_eq!(Values::of(&array, &UTC).err().map(|error| error.sqlstate).as_deref(), Some("XX000"));
    }
}
