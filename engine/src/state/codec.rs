//! `RowCodec`: columns to rows of bytes and back, in Arrow's order-preserving row format.
//!
//! Rows compare as byte strings the way their columns do from left to right: NULL before all
//! values, false before true, numbers by value, -0.0 before 0.0, NaN above all numbers, text by its
//! bytes (PostgreSQL's "C"). The bytes keep each value exactly, but every NaN becomes one; keys that must be
//! equal where PostgreSQL says so (0.0 and -0.0, a month and 30 days) go through `normalise_keys` first.
//!
//! Nothing but this module knows the encoding.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Float32Array, Float64Array, IntervalMonthDayNanoArray,
    LargeBinaryArray, StringViewArray,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{
    DataType as ArrowType, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use arrow::row::{RowConverter, SortField};

use crate::decimal::Decimal;
use crate::error::DataError;
use crate::literals::column_of_literals;
use crate::shape::RowShape;
use crate::types::DataType;

use super::bytes::ByteRows;
use super::late::Late;

/// How the values of a column are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// From the greatest down.
    pub descending: bool,
    /// NULL before all values, else behind them.
    pub nulls_first: bool,
}

impl Direction {
    /// From the least up, NULL first: how rows are ordered that nobody ordered.
    pub const ASCENDING: Direction = Direction { descending: false, nulls_first: true };
}

/// Encodes and decodes rows of certain column types. Cheap to clone, usable on any thread.
#[derive(Clone, Debug)]
pub struct RowCodec {
    /// `None` without columns: such rows are empty bytes.
    converter: Option<Arc<RowConverter>>,
    /// Set where the last columns came later.
    late: Option<Arc<Late>>,
}

impl RowCodec {
    /// A codec for rows of these columns.
    ///
    /// # Panics
    /// Never: Arrow's row format knows all our types (a test goes through them).
    pub fn new(columns: &[DataType]) -> RowCodec {
        RowCodec::ordered(&[], columns)
    }

    /// A codec for rows of a shape: those of a table that got columns when it had rows stay in one form.
    ///
    /// # Panics
    /// Never, as `new`.
    pub fn of_shape(shape: &RowShape) -> RowCodec {
        let late = shape.columns().iter().skip(shape.first_late()).zip(shape.missing());
        let encoded = late.map(|(column, missing)| {
            let value = column_of_literals(*column, std::iter::once(missing));
            let rows = RowCodec::new(&[*column]).encode(&[value], 1);
            rows.map(|rows| Box::from(rows.get(0))).unwrap_or_default()
        });
        let late = Late::new(shape, encoded.collect()).map(Arc::new);
        RowCodec { late, ..RowCodec::new(shape.columns()) }
    }

    /// A codec for rows of the columns of an order, then of others: the bytes compare by the order,
    /// where that is equal by the other columns as `new` has it.
    ///
    /// # Panics
    /// Never, as `new`.
    pub fn ordered(order: &[(DataType, Direction)], columns: &[DataType]) -> RowCodec {
        if order.is_empty() && columns.is_empty() {
            return RowCodec { converter: None, late: None };
        }
        let ordered = order.iter().map(|(column, direction)| {
            let Direction { descending, nulls_first } = *direction;
            SortField::new_with_options(column.to_arrow(), SortOptions { descending, nulls_first })
        });
        let plain = columns.iter().map(|column| SortField::new(column.to_arrow()));
        let converter =
            RowConverter::new(ordered.chain(plain).collect()).expect("the row format knows all column types");
        RowCodec { converter: Some(Arc::new(converter)), late: None }
    }

    /// The rows of these columns; `rows` counts also where there are no columns.
    ///
    /// # Errors
    /// XX000 where the columns do not have the codec's types or differ in length.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<ByteRows, DataError> {
        let Some(converter) = &self.converter else { return Ok(ByteRows::empty_rows(rows)) };
        let columns: Vec<ArrayRef> = columns.iter().map(one_nan).collect();
        let encoded = converter.convert_columns(&columns).map_err(|error| DataError::from_arrow(&error))?;
        debug_assert_eq!(encoded.num_rows(), rows);
        let mut bytes = ByteRows::with_capacity(encoded.lengths().sum());
        match &self.late {
            None => bytes.extend(encoded.iter().map(|row| row.data())),
            Some(late) => bytes.extend(encoded.iter().map(|row| late.kept(row.data()))),
        }
        Ok(bytes)
    }

    /// The columns of these rows; none where the codec has no columns.
    ///
    /// # Errors
    /// XX000 where the bytes were not made by a codec for the same columns and that shows.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>, DataError> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        let decoded = match &self.late {
            None => converter.convert_rows(rows.into_iter().map(|row| parser.parse(row))),
            Some(late) => {
                let whole: Vec<Cow<[u8]>> = rows.into_iter().map(|row| late.whole(row)).collect();
                converter.convert_rows(whole.iter().map(|row| parser.parse(row)))
            }
        };
        decoded.map_err(|error| DataError::from_arrow(&error))
    }
}

/// The column with one positive NaN in the place of every NaN: a processor sets the sign of those that it
/// computes (Infinity * 0) as it likes, and such a one would be below all numbers.
fn one_nan(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Float64 => {
            let floats = column.as_primitive::<Float64Type>();
            if !floats.values().iter().any(|value| value.is_nan()) {
                return column.clone();
            }
            let floats: Float64Array = floats.unary(|value| if value.is_nan() { f64::NAN } else { value });
            Arc::new(floats)
        }
        ArrowType::Float32 => {
            let floats = column.as_primitive::<Float32Type>();
            let floats: Float32Array = floats.unary(|value| if value.is_nan() { f32::NAN } else { value });
            Arc::new(floats)
        }
        _ => column.clone(),
    }
}

/// Columns whose values are equal where PostgreSQL says so: -0.0 becomes 0.0, every NaN one positive NaN,
/// an interval the one of its length that orders as it does, a jsonb and an array the part that is
/// compared, a numeric the one without zeros at its end. For the keys of groups and joins, before they are
/// hashed or encoded.
pub fn normalise_keys(columns: &[ArrayRef]) -> Vec<ArrayRef> {
    columns.iter().map(normalise_key).collect()
}

fn normalise_key(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Float64 => {
            let normalised: Float64Array = column.as_primitive::<Float64Type>().unary(normalise_float);
            Arc::new(normalised)
        }
        ArrowType::Float32 => {
            let normalised: Float32Array = column.as_primitive::<Float32Type>().unary(normalise_real);
            Arc::new(normalised)
        }
        ArrowType::Interval(_) => {
            let intervals = column.as_primitive::<IntervalMonthDayNanoType>();
            let normalised: IntervalMonthDayNanoArray = intervals.unary(normalise_interval);
            Arc::new(normalised)
        }
        ArrowType::BinaryView => {
            let values = column.as_binary_view().iter();
            Arc::new(values.map(|value| value.map(compared_part)).collect::<BinaryViewArray>())
        }
        ArrowType::Utf8View => {
            let values = column.as_string_view().iter();
            Arc::new(values.map(|value| value.map(Decimal::normalised)).collect::<StringViewArray>())
        }
        ArrowType::LargeBinary => {
            let values = column.as_binary::<i64>().iter();
            Arc::new(values.map(|value| value.map(compared_part)).collect::<LargeBinaryArray>())
        }
        _ => column.clone(),
    }
}

/// The interval of the same length, with months of 30 days and days of 24 hours, that has as many months and days
/// as fit: parts below the first are not negative, so part by part they order as the lengths do.
pub fn normalise_interval(value: IntervalMonthDayNano) -> IntervalMonthDayNano {
    const DAY: i128 = 86_400_000_000_000;
    let days = i128::from(value.months) * 30 + i128::from(value.days);
    let length = days * DAY + i128::from(value.nanoseconds);
    // Near the ends of what months, and then days, can count the rest is left to the parts below, which have
    // room for it: it came from them.
    let part =
        |length: i128, unit: i128| length.div_euclid(unit).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    let months = part(length, 30 * DAY);
    let rest = length - months * 30 * DAY;
    let days = part(rest, DAY);
    IntervalMonthDayNano::new(months as i32, days as i32, (rest - days * DAY) as i64)
}

/// The part of a `jsonb`, or an array, that is compared, as a value of its own: nothing else is shown of it.
pub fn compared_part(value: &[u8]) -> Vec<u8> {
    let length = value.last_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let compared = value.get(..length).unwrap_or(value);
    [compared, &(compared.len() as u32).to_be_bytes()].concat()
}

fn normalise_float(value: f64) -> f64 {
    match value {
        _ if value.is_nan() => f64::NAN,
        _ if value == 0.0 => 0.0,
        _ => value,
    }
}

fn normalise_real(value: f32) -> f32 {
    match value {
        _ if value.is_nan() => f32::NAN,
        _ if value == 0.0 => 0.0,
        _ => value,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Int16Array,
        Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::{
        Date32Type, Decimal128Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    };
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::types::Literal;

    const NUMERIC: DataType = DataType::Numeric { precision: 38, scale: 5 };

    const ALL: [DataType; 11] = [
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::Float64,
        DataType::Text,
        DataType::Timestamp,
        NUMERIC,
        DataType::Date,
        DataType::Int16,
        DataType::Float32,
        DataType::TimestampTz,
    ];

    type Row = (
        Option<bool>,
        Option<i32>,
        Option<i64>,
        Option<f64>,
        Option<String>,
        Option<i64>,
        Option<i128>,
        Option<i32>,
        Option<i16>,
        Option<f32>,
        Option<i64>,
    );

    fn float() -> impl Strategy<Value = f64> {
        let special = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE];
        prop_oneof![
            prop::sample::select(special.to_vec()),
            any::<f64>(),
            any::<u64>().prop_map(f64::from_bits)
        ]
    }

    /// A value of a column.
    fn literal_of(column: &ArrayRef, row: usize) -> Literal {
        let data_type = DataType::from_arrow(column.data_type()).unwrap();
        if column.is_null(row) {
            return Literal::Null(data_type);
        }
        let column = column.as_ref();
        match data_type {
            DataType::Boolean => Literal::Boolean(column.as_boolean().value(row)),
            DataType::Int16 => Literal::Int16(column.as_primitive::<Int16Type>().value(row)),
            DataType::Int32 => Literal::Int32(column.as_primitive::<Int32Type>().value(row)),
            DataType::Int64 => Literal::Int64(column.as_primitive::<Int64Type>().value(row)),
            DataType::Float32 => Literal::Float32(column.as_primitive::<Float32Type>().value(row).to_bits()),
            DataType::Float64 => Literal::Float64(column.as_primitive::<Float64Type>().value(row).to_bits()),
            DataType::Text => Literal::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Date => Literal::Date(column.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp => {
                Literal::Timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::TimestampTz => {
                Literal::TimestampTz(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::Numeric { precision, scale } => {
                let value = column.as_primitive::<Decimal128Type>().value(row);
                Literal::Numeric { value, precision, scale }
            }
            other => panic!("{other} is not among the types of the test"),
        }
    }

    fn real() -> impl Strategy<Value = f32> {
        prop_oneof![float().prop_map(|value| value as f32), any::<u32>().prop_map(f32::from_bits)]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "[a-c]{0,3}",
            "prefix of many bytes [a-b]{0,2}",
            "\\PC{0,80}",
            Just("é".repeat(500)),
        ]
    }

    fn row() -> impl Strategy<Value = Row> {
        (
            option::of(any::<bool>()),
            option::of(any::<i32>()),
            option::of(any::<i64>()),
            option::of(float()),
            option::of(text()),
            option::of(any::<i64>()),
            option::of(-(10_i128.pow(38) - 1)..10_i128.pow(38)),
            option::of(any::<i32>()),
            option::of(any::<i16>()),
            option::of(real()),
            option::of(any::<i64>()),
        )
    }

    fn columns(rows: &[Row]) -> Vec<ArrayRef> {
        let numeric: Decimal128Array = rows.iter().map(|row| row.6).collect();
        let moments: TimestampMicrosecondArray = rows.iter().map(|row| row.10).collect();
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.4.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.5).collect::<TimestampMicrosecondArray>()),
            Arc::new(numeric.with_precision_and_scale(38, 5).unwrap()),
            Arc::new(rows.iter().map(|row| row.7).collect::<Date32Array>()),
            Arc::new(rows.iter().map(|row| row.8).collect::<Int16Array>()),
            Arc::new(rows.iter().map(|row| row.9).collect::<Float32Array>()),
            Arc::new(moments.with_data_type(DataType::TimestampTz.to_arrow())),
        ]
    }

    /// Encodes, decodes, and encodes again: floats compare by their bits that way, but for the bits of a NaN.
    fn check_round_trip(types: &[DataType], columns: &[ArrayRef], rows: usize) {
        let codec = RowCodec::new(types);
        let bytes = codec.encode(columns, rows).unwrap();
        assert_eq!(bytes.len(), rows);
        let decoded = codec.decode(bytes.iter()).unwrap();
        let types_found = decoded.iter().map(|column| column.data_type().clone());
        assert!(types_found.eq(types.iter().map(|data_type| data_type.to_arrow())));
        assert!(
            decoded.iter().zip(columns).all(|(found, given)| found.to_data() == one_nan(given).to_data())
        );
        let again = codec.encode(&decoded, rows).unwrap();
        assert!(again.iter().eq(bytes.iter()));
    }

    proptest! {
        #[test]
        fn every_type_comes_back(rows in vec(row(), 0..20)) {
            let columns = columns(&rows);
            for (data_type, column) in ALL.iter().zip(&columns) {
                check_round_trip(&[*data_type], std::slice::from_ref(column), rows.len());
            }
            check_round_trip(&ALL, &columns, rows.len());
        }

        #[test]
        fn rows_without_their_late_columns_are_the_same_rows(rows in vec(row(), 1..20), late in 1..ALL.len()) {
            // A table that had the first columns, and got the others one by one: missing are the first row's.
            let columns = columns(&rows);
            let first = ALL.len() - late;
            let missing = columns[first..].iter().map(|column| literal_of(column, 0));
            let shape = RowShape::with_missing(&ALL, missing.collect()).unwrap();
            let codec = RowCodec::of_shape(&shape);
            let plain = RowCodec::new(&ALL).encode(&columns, rows.len()).unwrap();
            let kept = codec.encode(&columns, rows.len()).unwrap();
            prop_assert!(kept.iter().zip(plain.iter()).all(|(kept, plain)| plain.starts_with(kept)));
            let before = RowCodec::new(&ALL[..first]).encode(&columns[..first], rows.len()).unwrap();
            prop_assert_eq!(kept.get(0), before.get(0));
            for form in [&kept, &plain] {
                let decoded = codec.decode(form.iter()).unwrap();
                let again = RowCodec::new(&ALL).encode(&decoded, rows.len()).unwrap();
                prop_assert!(again.iter().eq(plain.iter()));
            }
            // Rows that were written between two of the columns.
            let between = RowCodec::of_shape(&shape.first(first + late / 2));
            let early = between.encode(&columns[..first + late / 2], rows.len()).unwrap();
            prop_assert_eq!(early.get(0), kept.get(0));
        }

        #[test]
        fn slices_encode_as_their_rows(rows in vec(row(), 2..20)) {
            let slices: Vec<ArrayRef> =
                columns(&rows).iter().map(|column| column.slice(1, rows.len() - 1)).collect();
            let codec = RowCodec::new(&ALL);
            let whole = codec.encode(&columns(&rows), rows.len()).unwrap();
            let part = codec.encode(&slices, rows.len() - 1).unwrap();
            prop_assert!(part.iter().eq(whole.iter().skip(1)));
        }

        #[test]
        fn bytes_order_as_values(left in row(), right in row()) {
            let columns = columns(&[left.clone(), right.clone()]);
            // Options order as the encoding does: NULL first.
            let order = |data_type: DataType, column: usize| {
                let bytes = RowCodec::new(&[data_type]).encode(&columns[column..=column], 2).unwrap();
                bytes.get(0).cmp(bytes.get(1))
            };
            prop_assert_eq!(order(DataType::Boolean, 0), left.0.cmp(&right.0));
            prop_assert_eq!(order(DataType::Int32, 1), left.1.cmp(&right.1));
            prop_assert_eq!(order(DataType::Int64, 2), left.2.cmp(&right.2));
            prop_assert_eq!(order(DataType::Text, 4), left.4.cmp(&right.4));
            prop_assert_eq!(order(DataType::Timestamp, 5), left.5.cmp(&right.5));
            prop_assert_eq!(order(NUMERIC, 6), left.6.cmp(&right.6));
            prop_assert_eq!(order(DataType::Date, 7), left.7.cmp(&right.7));
            prop_assert_eq!(order(DataType::Int16, 8), left.8.cmp(&right.8));
            prop_assert_eq!(order(DataType::TimestampTz, 10), left.10.cmp(&right.10));
            let floats = |left: Option<f64>, right: Option<f64>| match (left, right) {
                (Some(left), Some(right)) if left.is_nan() || right.is_nan() => left.is_nan().cmp(&right.is_nan()),
                (Some(left), Some(right)) => left.total_cmp(&right),
                (left, right) => left.is_some().cmp(&right.is_some()),
            };
            prop_assert_eq!(order(DataType::Float64, 3), floats(left.3, right.3));
            prop_assert_eq!(
                order(DataType::Float32, 9),
                floats(left.9.map(f64::from), right.9.map(f64::from))
            );
        }

        #[test]
        fn ordered_bytes_order_as_asked_and_come_back(
            left in row(), right in row(), descending in any::<bool>(), nulls_first in any::<bool>(),
        ) {
            let columns = columns(&[left.clone(), right.clone()]);
            let direction = Direction { descending, nulls_first };
            let codec = RowCodec::ordered(&[(DataType::Text, direction)], &[DataType::Int64]);
            let pair = [columns[4].clone(), columns[2].clone()];
            let bytes = codec.encode(&pair, 2).unwrap();
            let texts = match (&left.4, &right.4) {
                (Some(left), Some(right)) if descending => right.cmp(left),
                (Some(left), Some(right)) => left.cmp(right),
                (left, right) if nulls_first => left.is_some().cmp(&right.is_some()),
                (left, right) => right.is_some().cmp(&left.is_some()),
            };
            prop_assert_eq!(bytes.get(0).cmp(bytes.get(1)), texts.then(left.2.cmp(&right.2)));
            prop_assert_eq!(codec.decode(bytes.iter()).unwrap(), pair.to_vec());
        }

        #[test]
        fn normalised_keys_are_equal_where_postgresql_says_so(left in float(), right in float()) {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![left, right]));
            let bytes = RowCodec::new(&[DataType::Float64]).encode(&normalise_keys(&[column]), 2).unwrap();
            let equal = left == right || (left.is_nan() && right.is_nan());
            prop_assert_eq!(bytes.get(0) == bytes.get(1), equal);
        }

        #[test]
        fn bytes_and_uuids_come_back_in_the_order_of_their_bytes(
            rows in vec((option::of(vec(any::<u8>(), 0..40)), option::of(any::<[u8; 16]>())), 2..10),
        ) {
            let uuids = rows.iter().map(|row| row.1);
            let columns: [ArrayRef; 2] = [
                Arc::new(rows.iter().map(|row| row.0.as_deref()).collect::<BinaryArray>()),
                Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap()),
            ];
            check_round_trip(&[DataType::Bytea, DataType::Uuid], &columns, rows.len());
            let order = |data_type: DataType, column: usize| {
                let bytes = RowCodec::new(&[data_type]).encode(&columns[column..=column], rows.len()).unwrap();
                bytes.get(0).cmp(bytes.get(1))
            };
            prop_assert_eq!(order(DataType::Bytea, 0), rows[0].0.cmp(&rows[1].0));
            prop_assert_eq!(order(DataType::Uuid, 1), rows[0].1.cmp(&rows[1].1));
        }

        #[test]
        fn so_are_normalised_reals(left in real(), right in real()) {
            let column: ArrayRef = Arc::new(Float32Array::from(vec![left, right]));
            let bytes = RowCodec::new(&[DataType::Float32]).encode(&normalise_keys(&[column]), 2).unwrap();
            let equal = left == right || (left.is_nan() && right.is_nan());
            prop_assert_eq!(bytes.get(0) == bytes.get(1), equal);
        }
    }

    #[test]
    fn rows_without_columns_are_empty() {
        let codec = RowCodec::new(&[]);
        let bytes = codec.encode(&[], 3).unwrap();
        assert_eq!(bytes.iter().collect::<Vec<_>>(), [b"", b"", b""]);
        assert!(codec.decode(bytes.iter()).unwrap().is_empty());
    }

    #[test]
    fn table_rows_keep_negative_zero_and_nan_apart() {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), None]));
        let codec = RowCodec::new(&[DataType::Float64]);
        let bytes = codec.encode(&[column], 3).unwrap();
        let decoded = codec.decode(bytes.iter()).unwrap();
        let bits: Vec<_> =
            decoded[0].as_primitive::<Float64Type>().iter().map(|f| f.map(f64::to_bits)).collect();
        assert_eq!(bits, [Some(0), Some(1 << 63), None]);
    }

    #[test]
    fn intervals_of_one_length_are_one_key_and_order_by_length() {
        const HOUR: i64 = 3_600_000_000_000;
        let interval = IntervalMonthDayNano::new;
        let same =
            [interval(1, 0, 0), interval(0, 30, 0), interval(0, 29, 24 * HOUR), interval(2, -31, 24 * HOUR)];
        assert!(same.iter().all(|value| normalise_interval(*value) == interval(1, 0, 0)));
        let ascending = [
            interval(i32::MIN, i32::MIN, i64::MIN),
            interval(i32::MIN, i32::MIN, 0),
            interval(-1, 0, 0),
            interval(0, -1, 23 * HOUR),
            interval(0, 0, 0),
            interval(0, 0, HOUR),
            interval(0, 1, -HOUR),
            interval(1, -1, 0),
            interval(i32::MAX, i32::MAX, i64::MAX),
        ];
        let column: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(ascending.to_vec()));
        let bytes =
            RowCodec::new(&[DataType::Interval]).encode(&normalise_keys(&[column]), ascending.len()).unwrap();
        assert!((1..ascending.len()).all(|row| bytes.get(row - 1) < bytes.get(row)));
    }

    #[test]
    fn normalising_keeps_nulls_and_other_columns() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["-0.0", "NaN"]));
        let keys = normalise_keys(&[floats, texts.clone()]);
        assert_eq!((keys[0].null_count(), &keys[1]), (1, &texts));
    }

    #[test]
    fn a_column_of_another_type_is_an_error() {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
        let error = RowCodec::new(&[DataType::Int64]).encode(&[column], 1).unwrap_err();
        assert_eq!(error.sqlstate, "XX000");
    }
}
