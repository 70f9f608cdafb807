//! Dates and times out of their fields: make_date and its kin, to_timestamp of seconds.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{
    Date32Type, Float64Type, Int32Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType};

use super::date::timestamp_out_of_range;
use super::inputs::Inputs;
use super::zoned::{moment_in, moments, session_zone, zones};
use crate::text_form::{DATES, FIRST_DAY, MICROS_PER_DAY, days_from_civil, days_in_month};
use crate::zone::{Zone, zone_of_word};

type Computed = Result<ArrayRef, DataError>;

/// The day of a year (below zero: before Christ), a month and a day of it.
fn day(year: i32, month: i32, day: i32) -> Result<i64, DataError> {
    let out_of_range =
        || DataError::new("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    let astronomical = i64::from(if year < 0 { year + 1 } else { year });
    let (wide_month, wide_day) = (i64::from(month), i64::from(day));
    let is_day = year != 0
        && (1..=12).contains(&month)
        && (1..=days_in_month(astronomical, wide_month)).contains(&wide_day);
    if !is_day {
        return Err(out_of_range());
    }
    let days = days_from_civil(astronomical, wide_month, wide_day);
    if DATES.contains(&days) { Ok(days) } else { Err(out_of_range()) }
}

/// The microseconds of an hour, a minute and seconds.
fn time(hour: i32, minute: i32, second: f64) -> Result<i64, DataError> {
    let out_of_range =
        || DataError::new("22008", format!("time field value out of range: {hour}:{minute:02}:{second:02}"));
    let is_time = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    if !is_time {
        return Err(out_of_range());
    }
    let micros = (second * 1e6).round_ties_even() as i64;
    let micros = (i64::from(hour) * 60 + i64::from(minute)) * 60_000_000 + micros;
    if micros <= MICROS_PER_DAY { Ok(micros) } else { Err(out_of_range()) }
}

/// The integers of a call's leading arguments.
fn integers<const N: usize>(inputs: &Inputs) -> impl Fn(usize) -> [i32; N] + '_ {
    let columns: [_; N] = std::array::from_fn(|index| inputs.get(index).primitive::<Int32Type>());
    move |row| std::array::from_fn(|index| columns[index].get(row))
}

/// `make_date(year, month, day)`
pub(crate) fn make_date(inputs: &Inputs, _: DataType) -> Computed {
    let fields = integers::<3>(inputs);
    let date = |row| {
        let [year, month, of_month] = fields(row);
        Ok(day(year, month, of_month)? as i32)
    };
    Ok(Arc::new(inputs.build::<Date32Type>(date)?))
}

/// `make_time(hour, minute, seconds)`
pub(crate) fn make_time(inputs: &Inputs, _: DataType) -> Computed {
    let (fields, second) = (integers::<2>(inputs), inputs.get(2).primitive::<Float64Type>());
    let value = |row| {
        let [hour, minute] = fields(row);
        time(hour, minute, second.get(row))
    };
    Ok(Arc::new(inputs.build::<Time64MicrosecondType>(value)?))
}

/// The timestamps of a call's first six arguments.
fn timestamps(inputs: &Inputs) -> impl Fn(usize) -> Result<i64, DataError> + '_ {
    let (fields, second) = (integers::<5>(inputs), inputs.get(5).primitive::<Float64Type>());
    move |row| {
        let [year, month, of_month, hour, minute] = fields(row);
        let days = day(year, month, of_month)?;
        let micros = days.checked_mul(MICROS_PER_DAY).ok_or_else(timestamp_out_of_range)?;
        micros.checked_add(time(hour, minute, second.get(row))?).ok_or_else(timestamp_out_of_range)
    }
}

/// `make_timestamp(year, month, day, hour, minute, seconds)`
pub(crate) fn make_timestamp(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.build::<TimestampMicrosecondType>(timestamps(inputs))?))
}

fn in_zones(inputs: &Inputs, zone: impl Fn(usize) -> Result<Zone, DataError>) -> Computed {
    let local = timestamps(inputs);
    let moment = |row| moment_in(&zone(row)?, local(row)?);
    Ok(moments(inputs.build::<TimestampMicrosecondType>(moment)?))
}

/// `make_timestamptz(year, month, day, hour, minute, seconds)`, as the session's clocks show it
pub(crate) fn make_timestamptz(inputs: &Inputs, _: DataType) -> Computed {
    in_zones(inputs, session_zone(inputs))
}

/// `make_timestamptz(year, month, day, hour, minute, seconds, zone)`
pub(crate) fn make_timestamptz_in(inputs: &Inputs, _: DataType) -> Computed {
    in_zones(inputs, zones(inputs, 6, zone_of_word))
}

/// `to_timestamp(seconds)`: since 1970
pub(crate) fn to_timestamp(inputs: &Inputs, _: DataType) -> Computed {
    let moment = |seconds: f64| {
        if seconds.is_nan() {
            return Err(DataError::new("22008", "timestamp cannot be NaN"));
        }
        if seconds.is_infinite() {
            return Err(DataError::new("0A000", "timestamp with time zone infinity is not supported"));
        }
        let micros = (seconds * 1e6).round_ties_even();
        let first = FIRST_DAY as f64 * MICROS_PER_DAY as f64;
        if micros < first || micros >= i64::MAX as f64 {
            return Err(DataError::new("22008", format!("timestamp out of range: \"{seconds}\"")));
        }
        Ok(micros as i64)
    };
    Ok(moments(inputs.map1::<Float64Type, TimestampMicrosecondType>(moment)?))
}
