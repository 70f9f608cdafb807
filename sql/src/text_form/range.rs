//! Which values of an Arrow type are values of ours.

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use datafusion::arrow::datatypes::{
    Date32Type, Decimal128Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_engine::DataType;

use super::date::DATES;
use super::timestamp::{FIRST_DAY, MICROS_PER_DAY};

/// Whether an array of the type's Arrow type has values of the type only, as far as that can be told without looking
/// at texts: an interval, an array or a document has to be read.
pub fn has_values_of(data_type: DataType, array: &ArrayRef) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Text
        | DataType::Uuid
        | DataType::Bytea => true,
        DataType::Timestamp | DataType::TimestampTz => {
            all::<TimestampMicrosecondType>(array, |micros| micros >= FIRST_DAY * MICROS_PER_DAY)
        }
        DataType::Date => all::<Date32Type>(array, |days| DATES.contains(&i64::from(days))),
        DataType::Time => {
            all::<Time64MicrosecondType>(array, |micros| (0..=MICROS_PER_DAY).contains(&micros))
        }
        DataType::Numeric { precision, .. } => {
            let bound = 10_u128.pow(u32::from(precision));
            all::<Decimal128Type>(array, |value| value.unsigned_abs() < bound)
        }
        DataType::Interval
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Decimal
        | DataType::Char
        | DataType::Limited(_) => false,
    }
}

fn all<T: ArrowPrimitiveType>(array: &ArrayRef, is_one: impl Fn(T::Native) -> bool) -> bool {
    array.as_primitive_opt::<T>().is_some_and(|values| match values.null_count() {
        0 => values.values().iter().all(|value| is_one(*value)),
        _ => values.iter().flatten().all(is_one),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use datafusion::arrow::array::{
        Date32Array, Decimal128Array, Time64MicrosecondArray, TimestampMicrosecondArray,
    };

    #[test]
    fn the_ends_of_ranges_are_within() {
        let first = FIRST_DAY * MICROS_PER_DAY;
        let moments =
            |micros: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None])) };
        assert!(has_values_of(DataType::Timestamp, &moments(first)));
        assert!(!has_values_of(DataType::TimestampTz, &moments(first - 1)));
        let dates = |days: i32| -> ArrayRef { Arc::new(Date32Array::from(vec![0, days])) };
        assert!(has_values_of(DataType::Date, &dates(2_145_042_905)));
        assert!(!has_values_of(DataType::Date, &dates(i32::MAX)));
        let times = |micros: i64| -> ArrayRef { Arc::new(Time64MicrosecondArray::from(vec![micros])) };
        assert!(has_values_of(DataType::Time, &times(MICROS_PER_DAY)));
        assert!(!has_values_of(DataType::Time, &times(-1)));
        let numerics = |value: i128| -> ArrayRef { Arc::new(Decimal128Array::from(vec![value])) };
        let numeric = DataType::Numeric { precision: 4, scale: 2 };
        assert!(has_values_of(numeric, &numerics(-9_999)) && !has_values_of(numeric, &numerics(10_000)));
        assert!(!has_values_of(DataType::Timestamp, &dates(0)));
    }
}
