//! The time of day: its arithmetic, which goes round the clock, and its fields.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{
    Date32Type, Float64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType};

use super::date::{is, midnight, timestamp_out_of_range};
use super::inputs::Inputs;
use super::time::{extracted, part_of_time};
use crate::text_form::{Interval, MICROS_PER_DAY};

type Computed = Result<ArrayRef, DataError>;
type Time = Time64MicrosecondType;

/// A time ± an interval, in either order: its months and days do not matter.
fn shift(inputs: &Inputs, sign: i64) -> Computed {
    let (time, interval) = match is(inputs.get(0), DataType::Interval) {
        true => (inputs.get(1), inputs.get(0)),
        false => (inputs.get(0), inputs.get(1)),
    };
    let (time, interval) = (time.primitive::<Time>(), interval.primitive::<IntervalMonthDayNanoType>());
    let shifted = |row: usize| {
        // What is left of a day keeps the sum far from overflow.
        let by = Interval::from_arrow(interval.get(row)).micros % MICROS_PER_DAY;
        Ok((time.get(row) + sign * by).rem_euclid(MICROS_PER_DAY))
    };
    Ok(Arc::new(inputs.build::<Time>(shifted)?))
}

/// `time + interval`, in either order
pub(crate) fn add_interval(inputs: &Inputs, _: DataType) -> Computed {
    shift(inputs, 1)
}

/// `time - interval`
pub(crate) fn subtract_interval(inputs: &Inputs, _: DataType) -> Computed {
    shift(inputs, -1)
}

/// `time - time`
pub(crate) fn between(inputs: &Inputs, _: DataType) -> Computed {
    let between = |a: i64, b: i64| Interval { months: 0, days: 0, micros: a - b }.to_arrow();
    Ok(Arc::new(inputs.map2::<Time, Time, IntervalMonthDayNanoType>(between)?))
}

/// `date + time`, in either order
pub(crate) fn on_day(inputs: &Inputs, _: DataType) -> Computed {
    let (day, time) = match is(inputs.get(0), DataType::Date) {
        true => (inputs.get(0), inputs.get(1)),
        false => (inputs.get(1), inputs.get(0)),
    };
    let (day, time) = (day.primitive::<Date32Type>(), time.primitive::<Time>());
    let moment =
        |row: usize| midnight(day.get(row))?.checked_add(time.get(row)).ok_or_else(timestamp_out_of_range);
    Ok(Arc::new(inputs.build::<TimestampMicrosecondType>(moment)?))
}

/// `extract(field FROM time)`
pub(crate) fn extract(inputs: &Inputs, result: DataType) -> Computed {
    let time = inputs.get(1).primitive::<Time>();
    let part = part_of_time(inputs);
    extracted(inputs, result, |row| part(row, time.get(row)))
}

/// `date_part(field, time)`
pub(crate) fn date_part(inputs: &Inputs, _: DataType) -> Computed {
    let time = inputs.get(1).primitive::<Time>();
    let part = part_of_time(inputs);
    Ok(Arc::new(inputs.build::<Float64Type>(|row| Ok(part(row, time.get(row))? as f64 / 1e6))?))
}
