//! Texts of values into a column of their type: what every format that carries texts ends in.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, LargeBinaryBuilder, StringBuilder, StringViewBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use millrace_engine::{DataType, Element, Limit, Literal, MOMENT_ZONE};
use millrace_sql::{SqlError, Zone, text_form};

use crate::pgwire::utf8;

/// The digits of a second that are kept where no limit says fewer.
const DIGITS: u8 = 6;

/// A column of the batch at hand.
pub(crate) enum Builder {
    Boolean(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Text(StringBuilder),
    /// With the digits of a second.
    Timestamp(TimestampMicrosecondBuilder, u8),
    Numeric(Decimal128Builder, u8, u8),
    Date(Date32Builder),
    Interval(IntervalMonthDayNanoBuilder),
    Int16(Int16Builder),
    Float32(Float32Builder),
    TimestampTz(TimestampMicrosecondBuilder, u8),
    Uuid(FixedSizeBinaryBuilder),
    Bytea(BinaryBuilder),
    Time(Time64MicrosecondBuilder, u8),
    Json(StringBuilder),
    Jsonb(LargeBinaryBuilder),
    Array(BinaryViewBuilder, Element),
    /// `char` without a length.
    Char(StringBuilder),
    /// Texts with a limit.
    Limited(StringBuilder, Limit),
    /// Numerics of any number of digits, or of a type of more than 38.
    Decimal(StringViewBuilder, DataType),
}

impl Builder {
    /// A column of this type, empty.
    pub(crate) fn new(data_type: DataType) -> Builder {
        match data_type {
            DataType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            DataType::Int32 => Builder::Int32(Int32Builder::new()),
            DataType::Int64 => Builder::Int64(Int64Builder::new()),
            DataType::Float64 => Builder::Float64(Float64Builder::new()),
            DataType::Text => Builder::Text(StringBuilder::new()),
            DataType::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new(), DIGITS),
            DataType::Numeric { precision, scale } => {
                Builder::Numeric(Decimal128Builder::new(), precision, scale)
            }
            DataType::Date => Builder::Date(Date32Builder::new()),
            DataType::Interval => Builder::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::Int16 => Builder::Int16(Int16Builder::new()),
            DataType::Float32 => Builder::Float32(Float32Builder::new()),
            DataType::Uuid => Builder::Uuid(FixedSizeBinaryBuilder::new(16)),
            DataType::Bytea => Builder::Bytea(BinaryBuilder::new()),
            DataType::TimestampTz => {
                Builder::TimestampTz(TimestampMicrosecondBuilder::new().with_timezone(MOMENT_ZONE), DIGITS)
            }
            DataType::Time => Builder::Time(Time64MicrosecondBuilder::new(), DIGITS),
            DataType::Char => Builder::Char(StringBuilder::new()),
            DataType::Json => Builder::Json(StringBuilder::new()),
            DataType::Jsonb => Builder::Jsonb(LargeBinaryBuilder::new()),
            DataType::Array(element) => Builder::Array(BinaryViewBuilder::new(), element),
            DataType::Decimal => Builder::Decimal(StringViewBuilder::new(), data_type),
            DataType::Limited(limit) => Builder::limited(limit),
        }
    }

    fn limited(limit: Limit) -> Builder {
        match limit {
            Limit::Varchar(_) | Limit::Char(_) => Builder::Limited(StringBuilder::new(), limit),
            Limit::Timestamp(digits) => Builder::Timestamp(TimestampMicrosecondBuilder::new(), digits),
            Limit::TimestampTz(digits) => {
                Builder::TimestampTz(TimestampMicrosecondBuilder::new().with_timezone(MOMENT_ZONE), digits)
            }
            Limit::Time(digits) => Builder::Time(Time64MicrosecondBuilder::new(), digits),
            Limit::Numeric { .. } => Builder::Decimal(StringViewBuilder::new(), DataType::Limited(limit)),
        }
    }

    /// Appends a value as the client wrote it; `None` is NULL.
    pub(crate) fn append(&mut self, value: Option<&[u8]>, zone: &Zone) -> Result<(), SqlError> {
        let text = value.map(utf8).transpose()?;
        match self {
            Builder::Boolean(builder) => {
                builder.append_option(text.map(text_form::parse_boolean).transpose()?)
            }
            Builder::Int16(builder) => builder.append_option(text.map(text_form::parse_int16).transpose()?),
            Builder::Bytea(builder) => builder.append_option(text.map(text_form::parse_bytea).transpose()?),
            Builder::Uuid(builder) => match text.map(text_form::parse_uuid).transpose()? {
                Some(uuid) => builder.append_value(uuid).map_err(SqlError::internal)?,
                None => builder.append_null(),
            },
            Builder::TimestampTz(builder, digits) => {
                let moment = text.map(|text| text_form::parse_timestamptz(text, zone)).transpose()?;
                builder.append_option(moment.map(|moment| text_form::round_timestamp(moment, *digits)));
            }
            Builder::Time(builder, digits) => {
                let time = text.map(text_form::parse_time).transpose()?;
                builder.append_option(time.map(|time| text_form::round_time(time, *digits)));
            }
            Builder::Json(builder) => builder.append_option(text.map(text_form::check_json).transpose()?),
            Builder::Array(builder, element) => {
                let array = text.map(|text| text_form::parse_array(text, *element, zone)).transpose()?;
                builder.append_option(array.map(|array| array.encode()));
            }
            Builder::Jsonb(builder) => builder.append_option(text.map(text_form::parse_jsonb).transpose()?),
            Builder::Char(builder) => builder.append_option(text.map(|text| text.trim_end_matches(' '))),
            Builder::Limited(builder, limit) => {
                builder.append_option(text.map(|text| text_form::fitted(text, *limit)).transpose()?);
            }
            Builder::Float32(builder) => {
                builder.append_option(text.map(text_form::parse_float32).transpose()?)
            }
            Builder::Int32(builder) => builder.append_option(text.map(text_form::parse_int32).transpose()?),
            Builder::Int64(builder) => builder.append_option(text.map(text_form::parse_int64).transpose()?),
            Builder::Float64(builder) => {
                builder.append_option(text.map(text_form::parse_float64).transpose()?)
            }
            Builder::Text(builder) => builder.append_option(text),
            Builder::Timestamp(builder, digits) => {
                let time = text.map(text_form::parse_timestamp).transpose()?;
                builder.append_option(time.map(|time| text_form::round_timestamp(time, *digits)));
            }
            Builder::Numeric(builder, precision, scale) => {
                let value =
                    text.map(|text| text_form::parse_numeric(text, *precision, *scale)).transpose()?;
                builder.append_option(value);
            }
            Builder::Decimal(builder, data_type) => {
                let value = text.map(|text| text_form::parse(text, *data_type, zone)).transpose()?;
                builder.append_option(value.as_ref().and_then(|value| match value {
                    Literal::Decimal(stored) => Some(stored),
                    _ => None,
                }));
            }
            Builder::Date(builder) => builder.append_option(text.map(text_form::parse_date).transpose()?),
            Builder::Interval(builder) => {
                let value = text.map(|text| text_form::parse_interval(text)?.to_arrow()).transpose()?;
                builder.append_option(value);
            }
        }
        Ok(())
    }

    /// What was appended, in the form of the type.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, SqlError> {
        Ok(match self {
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Int32(builder) => Arc::new(builder.finish()),
            Builder::Int64(builder) => Arc::new(builder.finish()),
            Builder::Float64(builder) => Arc::new(builder.finish()),
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder, _) | Builder::TimestampTz(builder, _) => Arc::new(builder.finish()),
            Builder::Time(builder, _) => Arc::new(builder.finish()),
            Builder::Jsonb(builder) => Arc::new(builder.finish()),
            Builder::Array(builder, _) => Arc::new(builder.finish()),
            Builder::Json(builder) | Builder::Char(builder) | Builder::Limited(builder, _) => {
                Arc::new(builder.finish())
            }
            Builder::Decimal(builder, _) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Interval(builder) => Arc::new(builder.finish()),
            Builder::Int16(builder) => Arc::new(builder.finish()),
            Builder::Float32(builder) => Arc::new(builder.finish()),
            Builder::Uuid(builder) => Arc::new(builder.finish()),
            Builder::Bytea(builder) => Arc::new(builder.finish()),
            Builder::Numeric(builder, precision, scale) => {
                let array = builder.finish().with_precision_and_scale(*precision, *scale as i8);
                Arc::new(array.map_err(SqlError::internal)?)
            }
        })
    }
}
