//! Dates and intervals: their arithmetic, the casts between dates and timestamps, date_bin.
//!
//! Months are added first and keep within the month's length (January 31 and a month is the last of
//! February), then days, then time, as PostgreSQL does.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{
    Date32Type, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType, Expr, Literal};

use super::inputs::{Input, Inputs};
use super::zoned::moments;
use crate::compile::evaluate_constant;
use crate::text_form::{
    DATES, FIRST_DAY, Interval, MICROS_PER_DAY, civil_from_days, days_from_civil, days_in_month,
    interval_out_of_range,
};

fn date_out_of_range() -> DataError {
    DataError::new("22008", "date out of range")
}

pub(super) fn timestamp_out_of_range() -> DataError {
    DataError::new("22008", "timestamp out of range")
}

fn date(days: i64) -> Result<i32, DataError> {
    let in_range = DATES.contains(&days).then(|| i32::try_from(days).ok()).flatten();
    in_range.ok_or_else(date_out_of_range)
}

/// The timestamp at which a day begins.
pub(super) fn midnight(days: i32) -> Result<i64, DataError> {
    let micros = i64::from(days).checked_mul(MICROS_PER_DAY);
    micros.ok_or_else(|| DataError::new("22008", "date out of range for timestamp"))
}

/// The day of a timestamp.
pub(super) fn day_of(micros: i64) -> Result<i32, DataError> {
    date(micros.div_euclid(MICROS_PER_DAY))
}

/// The arguments that are dates, timestamps or intervals: which is which follows from their types.
pub(super) fn is(input: &Input, data_type: DataType) -> bool {
    *input.array().data_type() == data_type.to_arrow()
}

fn shift_days(inputs: &Inputs, sign: i64) -> Result<ArrayRef, DataError> {
    let shift = |days: i32, by: i32| date(i64::from(days) + sign * i64::from(by));
    Ok(Arc::new(if is(inputs.get(0), DataType::Date) {
        inputs.map2::<Date32Type, Int32Type, Date32Type>(shift)?
    } else {
        inputs.map2::<Int32Type, Date32Type, Date32Type>(|by, days| shift(days, by))?
    }))
}

/// `date + integer`, `integer + date`
pub(crate) fn add_days(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shift_days(inputs, 1)
}

/// `date - integer`
pub(crate) fn subtract_days(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shift_days(inputs, -1)
}

/// `date - date`: days
pub(crate) fn days_between(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    // Two valid dates are less than 2^32 days apart, and the greatest distance is below 2^31 but for
    // dates near both ends.
    let between = |a: i32, b: i32| a.checked_sub(b).ok_or_else(date_out_of_range);
    Ok(Arc::new(inputs.map2::<Date32Type, Date32Type, Int32Type>(between)?))
}

/// `timestamp - timestamp`: days and time
pub(crate) fn time_between(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let between = |a: i64, b: i64| {
        let micros = a.checked_sub(b).ok_or_else(interval_out_of_range)?;
        let days = i32::try_from(micros / MICROS_PER_DAY).map_err(|_| interval_out_of_range())?;
        Interval { months: 0, days, micros: micros % MICROS_PER_DAY }.to_arrow()
    };
    let array = inputs
        .map2::<TimestampMicrosecondType, TimestampMicrosecondType, IntervalMonthDayNanoType>(between)?;
    Ok(Arc::new(array))
}

/// The timestamp `sign` times an interval later.
fn shifted(micros: i64, interval: Interval, sign: i64) -> Option<i64> {
    let (days, time) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let days = add_months(days, sign * i64::from(interval.months)) + sign * i64::from(interval.days);
    let shifted = days.checked_mul(MICROS_PER_DAY)?.checked_add(time)?;
    let shifted = shifted.checked_add(interval.micros.checked_mul(sign)?)?;
    (shifted.div_euclid(MICROS_PER_DAY) >= FIRST_DAY).then_some(shifted)
}

/// The timestamp an interval later.
pub(super) fn later_timestamp(micros: i64, interval: Interval) -> Result<i64, DataError> {
    shifted(micros, interval, 1).ok_or_else(timestamp_out_of_range)
}

/// The same day so many months later, or the month's last.
pub(super) fn add_months(days: i64, months: i64) -> i64 {
    if months == 0 {
        return days;
    }
    let (year, month, day) = civil_from_days(days);
    let ordinal = year * 12 + month - 1 + months;
    let (year, month) = (ordinal.div_euclid(12), ordinal.rem_euclid(12) + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month)))
}

/// A moment ± an interval, in either order.
fn shift(inputs: &Inputs, sign: i64) -> Result<ArrayRef, DataError> {
    let (moment, interval) = match is(inputs.get(0), DataType::Interval) {
        true => (inputs.get(1), inputs.get(0)),
        false => (inputs.get(0), inputs.get(1)),
    };
    let interval = interval.primitive::<IntervalMonthDayNanoType>();
    let by = |row: usize, micros: i64| {
        shifted(micros, Interval::from_arrow(interval.get(row)), sign).ok_or_else(timestamp_out_of_range)
    };
    Ok(Arc::new(if is(moment, DataType::Date) {
        let days = moment.primitive::<Date32Type>();
        inputs.build::<TimestampMicrosecondType>(|row| by(row, midnight(days.get(row))?))?
    } else {
        let micros = moment.primitive::<TimestampMicrosecondType>();
        inputs.build::<TimestampMicrosecondType>(|row| by(row, micros.get(row)))?
    }))
}

/// `timestamp + interval`, also of a date, in either order
pub(crate) fn add_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shift(inputs, 1)
}

/// `timestamp - interval`, also of a date
pub(crate) fn subtract_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shift(inputs, -1)
}

/// Part by part.
fn combine(a: IntervalMonthDayNano, b: Interval, sign: i32) -> Result<IntervalMonthDayNano, DataError> {
    let a = Interval::from_arrow(a);
    let sum = || {
        Some(Interval {
            months: a.months.checked_add(b.months.checked_mul(sign)?)?,
            days: a.days.checked_add(b.days.checked_mul(sign)?)?,
            micros: a.micros.checked_add(b.micros.checked_mul(i64::from(sign))?)?,
        })
    };
    sum().ok_or_else(interval_out_of_range)?.to_arrow()
}

fn combine_all(inputs: &Inputs, sign: i32) -> Result<ArrayRef, DataError> {
    type Type = IntervalMonthDayNanoType;
    let array = inputs.map2::<Type, Type, Type>(|a, b| combine(a, Interval::from_arrow(b), sign))?;
    Ok(Arc::new(array))
}

/// `interval + interval`
pub(crate) fn add_intervals(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    combine_all(inputs, 1)
}

/// `interval - interval`
pub(crate) fn subtract_intervals(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    combine_all(inputs, -1)
}

/// `- interval`
pub(crate) fn negate_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    type Type = IntervalMonthDayNanoType;
    let zero = IntervalMonthDayNano::default();
    let array = inputs.map1::<Type, Type>(|value| combine(zero, Interval::from_arrow(value), -1))?;
    Ok(Arc::new(array))
}

/// An interval with each part scaled: fractions of months go down to days of which a month has 30, fractions of
/// days to the time.
fn scaled(interval: Interval, scale: impl Fn(f64) -> f64) -> Result<IntervalMonthDayNano, DataError> {
    // A microsecond of a day is the least that counts; below it is the floats' noise.
    let clean = |value: f64| (value * 1e6).round_ties_even() / 1e6;
    let (months, days) = (scale(f64::from(interval.months)), scale(f64::from(interval.days)));
    let month_days = clean(months.fract() * 30.0);
    let seconds = clean((days.fract() + month_days.fract()) * 86_400.0);
    let full_days = (seconds / 86_400.0).trunc();
    let micros = scale(interval.micros as f64) + (seconds - full_days * 86_400.0) * 1e6;
    let whole = |value: f64, limit: f64| {
        // NaN fits nowhere.
        if value.abs() < limit { Ok(value) } else { Err(interval_out_of_range()) }
    };
    let limit = f64::from(i32::MAX);
    Interval {
        months: whole(months.trunc(), limit)? as i32,
        days: whole(days.trunc() + month_days.trunc() + full_days, limit)? as i32,
        micros: whole(micros.round_ties_even(), i64::MAX as f64)? as i64,
    }
    .to_arrow()
}

/// `interval * number`, `number * interval`
pub(crate) fn multiply_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    type Type = IntervalMonthDayNanoType;
    let multiply = |interval, factor: f64| scaled(Interval::from_arrow(interval), |part| part * factor);
    Ok(Arc::new(if is(inputs.get(0), DataType::Interval) {
        inputs.map2::<Type, Float64Type, Type>(multiply)?
    } else {
        inputs.map2::<Float64Type, Type, Type>(|factor, interval| multiply(interval, factor))?
    }))
}

/// `interval / number`
pub(crate) fn divide_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    type Type = IntervalMonthDayNanoType;
    let array = inputs.map2::<Type, Float64Type, Type>(|interval, divisor| match divisor {
        0.0 => Err(DataError::division_by_zero()),
        divisor => scaled(Interval::from_arrow(interval), |part| part / divisor),
    })?;
    Ok(Arc::new(array))
}

/// `date_bin(stride, timestamp, origin)`: the beginning of the stride that holds the timestamp.
pub(crate) fn date_bin(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    let stride = inputs.get(0).primitive::<IntervalMonthDayNanoType>();
    let micros = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let origin = inputs.get(2).primitive::<TimestampMicrosecondType>();
    let array = inputs.build::<TimestampMicrosecondType>(|row| {
        let stride = stride_micros(Interval::from_arrow(stride.get(row)))?;
        let (micros, origin) = (micros.get(row), origin.get(row));
        let since = micros.checked_sub(origin).ok_or_else(interval_out_of_range)?;
        micros.checked_sub(since.rem_euclid(stride)).ok_or_else(timestamp_out_of_range)
    })?;
    Ok(if result == DataType::TimestampTz { moments(array) } else { Arc::new(array) })
}

fn stride_micros(stride: Interval) -> Result<i64, DataError> {
    if stride.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(DataError::new("0A000", message));
    }
    let days = i64::from(stride.days).checked_mul(MICROS_PER_DAY);
    let micros = days.and_then(|days| days.checked_add(stride.micros)).ok_or_else(interval_out_of_range)?;
    if micros <= 0 {
        return Err(DataError::new("22008", "stride must be greater than zero"));
    }
    Ok(micros)
}

/// A call over constants that gives a date, a timestamp or an interval, as its value: `date '1998-12-01' -
/// interval '90 days'` is then a constant like any other. What fails stays a call, and fails when it runs.
pub(crate) fn fold_moment(call: Expr) -> Expr {
    let foldable = match &call {
        Expr::Call { arguments, data_type, .. } => {
            matches!(
                data_type,
                DataType::Date
                    | DataType::Time
                    | DataType::Timestamp
                    | DataType::TimestampTz
                    | DataType::Interval
            ) && !arguments.is_empty()
                && arguments.iter().all(|argument| matches!(argument, Expr::Literal(_)))
        }
        _ => false,
    };
    let value: Option<Literal> = foldable.then(|| evaluate_constant(&call).ok()).flatten();
    value.map_or(call, Expr::Literal)
}
