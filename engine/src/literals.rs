//! Literals as Arrow columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryBuilder, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeBinaryArray,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::datatypes::IntervalMonthDayNano;

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
