//! Literals as Arrow columns, and back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array,
    FixedSizeBinaryBuilder, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, LargeBinaryArray, StringArray, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};

use crate::array::Array;
use crate::span::NANOS_PER_MICRO;
use crate::types::{DataType, Literal};

/// Literals of one type as a column; a literal of another type is NULL there (plans are checked).
pub fn column_of_literals<'a>(data_type: DataType, literals: impl Iterator<Item = &'a Literal>) -> ArrayRef {
    match data_type.stored() {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(literals.map(|literal| match literal {
            Literal::Boolean(value) => Some(*value),
            _ => None,
        }))),
        DataType::Int32 => Arc::new(Int32Array::from_iter(literals.map(|literal| match literal {
            Literal::Int32(value) => Some(*value),
            _ => None,
        }))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(literals.map(|literal| match literal {
            Literal::Int64(value) => Some(*value),
            _ => None,
        }))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(literals.map(|literal| match literal {
            Literal::Float64(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }))),
        DataType::Text | DataType::Char | DataType::Json | DataType::Limited(_) => {
            Arc::new(StringArray::from_iter(literals.map(|literal| match literal {
                Literal::Text(value) | Literal::Json(value) => Some(value.as_str()),
                _ => None,
            })))
        }
        DataType::Timestamp => {
            Arc::new(TimestampMicrosecondArray::from_iter(literals.map(|literal| match literal {
                Literal::Timestamp(micros) => Some(*micros),
                _ => None,
            })))
        }
        DataType::Numeric { .. } => {
            let column = Decimal128Array::from_iter(literals.map(|literal| match literal {
                Literal::Numeric { value, .. } => Some(*value),
                _ => None,
            }));
            Arc::new(column.with_data_type(data_type.to_arrow()))
        }
        DataType::Date => Arc::new(Date32Array::from_iter(literals.map(|literal| match literal {
            Literal::Date(days) => Some(*days),
            _ => None,
        }))),
        DataType::Interval => {
            Arc::new(IntervalMonthDayNanoArray::from_iter(literals.map(|literal| match literal {
                // The time part is kept within Arrow's nanoseconds by whoever makes an interval.
                Literal::Interval { months, days, micros } => {
                    Some(IntervalMonthDayNano::new(*months, *days, micros.saturating_mul(1_000)))
                }
                _ => None,
            })))
        }
        DataType::Int16 => Arc::new(Int16Array::from_iter(literals.map(|literal| match literal {
            Literal::Int16(value) => Some(*value),
            _ => None,
        }))),
        DataType::Float32 => Arc::new(Float32Array::from_iter(literals.map(|literal| match literal {
            Literal::Float32(bits) => Some(f32::from_bits(*bits)),
            _ => None,
        }))),
        DataType::TimestampTz => {
            let column = TimestampMicrosecondArray::from_iter(literals.map(|literal| match literal {
                Literal::TimestampTz(micros) => Some(*micros),
                _ => None,
            }));
            Arc::new(column.with_data_type(data_type.to_arrow()))
        }
        DataType::Time => {
            Arc::new(Time64MicrosecondArray::from_iter(literals.map(|literal| match literal {
                Literal::Time(micros) => Some(*micros),
                _ => None,
            })))
        }
        DataType::Uuid => {
            let mut column = FixedSizeBinaryBuilder::new(16);
            literals.for_each(|literal| match literal {
                // Sixteen bytes are what the builder takes.
                Literal::Uuid(bytes) => _ = column.append_value(bytes),
                _ => column.append_null(),
            });
            Arc::new(column.finish())
        }
        DataType::Array(_) => Arc::new(BinaryViewArray::from_iter(literals.map(|literal| match literal {
            Literal::Array { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        }))),
        DataType::Decimal => Arc::new(StringViewArray::from_iter(literals.map(|literal| match literal {
            Literal::Decimal(stored) => Some(stored.as_str()),
            _ => None,
        }))),
        DataType::Jsonb => Arc::new(LargeBinaryArray::from_iter(literals.map(|literal| match literal {
            Literal::Jsonb(bytes) => Some(bytes.as_slice()),
            _ => None,
        }))),
        DataType::Bytea => Arc::new(BinaryArray::from_iter(literals.map(|literal| match literal {
            Literal::Bytea(bytes) => Some(bytes.as_slice()),
            _ => None,
        }))),
    }
}

/// The value of a row that is not NULL; `None` where the column does not have the type's form.
pub fn literal_of(data_type: DataType, column: &ArrayRef, row: usize) -> Option<Literal> {
    Some(match data_type.stored() {
        DataType::Boolean => Literal::Boolean(column.as_boolean_opt()?.value(row)),
        DataType::Int16 => Literal::Int16(column.as_primitive_opt::<Int16Type>()?.value(row)),
        DataType::Int32 => Literal::Int32(column.as_primitive_opt::<Int32Type>()?.value(row)),
        DataType::Int64 => Literal::Int64(column.as_primitive_opt::<Int64Type>()?.value(row)),
        DataType::Float32 => Literal::Float32(column.as_primitive_opt::<Float32Type>()?.value(row).to_bits()),
        DataType::Float64 => Literal::Float64(column.as_primitive_opt::<Float64Type>()?.value(row).to_bits()),
        DataType::Numeric { precision, scale } => {
            let value = column.as_primitive_opt::<Decimal128Type>()?.value(row);
            Literal::Numeric { value, precision, scale }
        }
        DataType::Text | DataType::Char | DataType::Limited(_) => {
            let text = column.as_string_opt::<i32>()?.value(row).to_owned();
            if data_type == DataType::Json { Literal::Json(text) } else { Literal::Text(text) }
        }
        DataType::Json => Literal::Json(column.as_string_opt::<i32>()?.value(row).to_owned()),
        DataType::Date => Literal::Date(column.as_primitive_opt::<Date32Type>()?.value(row)),
        DataType::Time => Literal::Time(column.as_primitive_opt::<Time64MicrosecondType>()?.value(row)),
        DataType::Timestamp => {
            Literal::Timestamp(column.as_primitive_opt::<TimestampMicrosecondType>()?.value(row))
        }
        DataType::TimestampTz => {
            Literal::TimestampTz(column.as_primitive_opt::<TimestampMicrosecondType>()?.value(row))
        }
        DataType::Interval => {
            let value = column.as_primitive_opt::<IntervalMonthDayNanoType>()?.value(row);
            let micros = value.nanoseconds / NANOS_PER_MICRO;
            Literal::Interval { months: value.months, days: value.days, micros }
        }
        DataType::Uuid => Literal::Uuid(column.as_fixed_size_binary_opt()?.value(row).try_into().ok()?),
        DataType::Bytea => Literal::Bytea(column.as_binary_opt::<i32>()?.value(row).to_vec()),
        DataType::Jsonb => Literal::Jsonb(column.as_binary_opt::<i64>()?.value(row).to_vec()),
        DataType::Decimal => Literal::Decimal(column.as_string_view_opt()?.value(row).to_owned()),
        DataType::Array(_) => {
            let bytes = column.as_binary_view_opt()?.value(row).to_vec();
            Literal::Array { element: Array::element_of(&bytes)?, bytes }
        }
    })
}
