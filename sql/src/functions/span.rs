//! Functions of intervals: their fields, justify_…, make_interval, age; isfinite.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{
    Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::time::{extracted, part_of_interval};
use super::zoned::{local_in, session_zone};
use crate::text_form::{Interval, MICROS_PER_DAY, civil_from_days, days_in_month, interval_out_of_range};

type Computed = Result<ArrayRef, DataError>;
type Span = IntervalMonthDayNanoType;

const DAYS_PER_MONTH: i64 = 30;

/// `extract(field FROM interval)`
pub(crate) fn extract(inputs: &Inputs, result: DataType) -> Computed {
    let interval = inputs.get(1).primitive::<Span>();
    let part = part_of_interval(inputs);
    extracted(inputs, result, |row| part(row, Interval::from_arrow(interval.get(row))))
}

/// `date_part(field, interval)`
pub(crate) fn date_part(inputs: &Inputs, _: DataType) -> Computed {
    let interval = inputs.get(1).primitive::<Span>();
    let part = part_of_interval(inputs);
    let part = |row| Ok(part(row, Interval::from_arrow(interval.get(row)))? as f64 / 1e6);
    Ok(Arc::new(inputs.build::<Float64Type>(part)?))
}

/// An interval's parts, wide enough for what moves between them.
struct Parts {
    months: i64,
    days: i64,
    micros: i64,
}

impl Parts {
    fn of(interval: Interval) -> Parts {
        let Interval { months, days, micros } = interval;
        Parts { months: months.into(), days: days.into(), micros }
    }

    fn to_arrow(&self) -> Result<IntervalMonthDayNano, DataError> {
        let months = i32::try_from(self.months).map_err(|_| interval_out_of_range())?;
        let days = i32::try_from(self.days).map_err(|_| interval_out_of_range())?;
        Interval { months, days, micros: self.micros }.to_arrow()
    }

    fn hours_to_days(&mut self) {
        self.days += self.micros / MICROS_PER_DAY;
        self.micros %= MICROS_PER_DAY;
    }

    fn days_to_months(&mut self) {
        self.months += self.days / DAYS_PER_MONTH;
        self.days %= DAYS_PER_MONTH;
    }

    /// Gives days and time one sign.
    fn align_time(&mut self) {
        if self.days > 0 && self.micros < 0 {
            (self.days, self.micros) = (self.days - 1, self.micros + MICROS_PER_DAY);
        } else if self.days < 0 && self.micros > 0 {
            (self.days, self.micros) = (self.days + 1, self.micros - MICROS_PER_DAY);
        }
    }

    /// Gives months and what is below them, of the sign of `below`, one sign.
    fn align_days(&mut self, below: i64) {
        if self.months > 0 && below < 0 {
            (self.months, self.days) = (self.months - 1, self.days + DAYS_PER_MONTH);
        } else if self.months < 0 && below > 0 {
            (self.months, self.days) = (self.months + 1, self.days - DAYS_PER_MONTH);
        }
    }
}

fn justified(inputs: &Inputs, justify: fn(&mut Parts)) -> Computed {
    let justify = |value| {
        let mut parts = Parts::of(Interval::from_arrow(value));
        justify(&mut parts);
        parts.to_arrow()
    };
    Ok(Arc::new(inputs.map1::<Span, Span>(justify)?))
}

/// `justify_hours(interval)`: 24 hours are a day.
pub(crate) fn justify_hours(inputs: &Inputs, _: DataType) -> Computed {
    justified(inputs, |parts| {
        parts.hours_to_days();
        parts.align_time();
    })
}

/// `justify_days(interval)`: 30 days are a month.
pub(crate) fn justify_days(inputs: &Inputs, _: DataType) -> Computed {
    justified(inputs, |parts| {
        parts.days_to_months();
        parts.align_days(parts.days);
    })
}

/// `justify_interval(interval)`: both, and one sign for all parts.
pub(crate) fn justify_interval(inputs: &Inputs, _: DataType) -> Computed {
    justified(inputs, |parts| {
        parts.hours_to_days();
        parts.days_to_months();
        parts.align_days(if parts.days == 0 { parts.micros } else { parts.days });
        parts.align_time();
    })
}

/// `make_interval(years, months, weeks, days, hours, mins, secs)`
pub(crate) fn make_interval(inputs: &Inputs, _: DataType) -> Computed {
    let whole: [_; 6] = std::array::from_fn(|index| inputs.get(index).primitive::<Int32Type>());
    let seconds = inputs.get(6).primitive::<Float64Type>();
    let make = |row: usize| {
        let [years, months, weeks, days, hours, minutes] =
            std::array::from_fn(|index| i64::from(whole[index].get(row)));
        let micros = (seconds.get(row) * 1e6).round_ties_even();
        // The bound is a power of two: NaN and what does not fit are on its other side.
        if micros.is_nan() || micros.abs() >= i64::MAX as f64 {
            return Err(interval_out_of_range());
        }
        let time = (hours * 3_600 + minutes * 60).checked_mul(1_000_000);
        let micros =
            time.and_then(|time| time.checked_add(micros as i64)).ok_or_else(interval_out_of_range)?;
        Parts { months: years * 12 + months, days: weeks * 7 + days, micros }.to_arrow()
    };
    Ok(Arc::new(inputs.build::<Span>(make)?))
}

/// The time between two times that clocks show in years, months and days: borrowed from, the month before the
/// later's day has as many days as the earlier's month.
fn symbolic(later: i64, earlier: i64) -> Result<IntervalMonthDayNano, DataError> {
    let split = |micros: i64| {
        let (year, month, day) = civil_from_days(micros.div_euclid(MICROS_PER_DAY));
        (year * 12 + month - 1, day, micros.rem_euclid(MICROS_PER_DAY))
    };
    let ((late_months, late_day, late_time), (early_months, early_day, early_time)) =
        (split(later), split(earlier));
    let (mut months, mut days, mut micros) =
        (late_months - early_months, late_day - early_day, late_time - early_time);
    let is_negative = later < earlier;
    if is_negative {
        (months, days, micros) = (-months, -days, -micros);
    }
    if micros < 0 {
        (days, micros) = (days - 1, micros + MICROS_PER_DAY);
    }
    // Behind a short month twice.
    while days < 0 {
        let borrowed = if is_negative { late_months } else { early_months };
        days += days_in_month(borrowed.div_euclid(12), borrowed.rem_euclid(12) + 1);
        months -= 1;
    }
    if is_negative {
        (months, days, micros) = (-months, -days, -micros);
    }
    Parts { months, days, micros }.to_arrow()
}

/// `age(timestamp, timestamp)`
pub(crate) fn age(inputs: &Inputs, _: DataType) -> Computed {
    type Micros = TimestampMicrosecondType;
    Ok(Arc::new(inputs.map2::<Micros, Micros, Span>(symbolic)?))
}

/// `age(timestamptz, timestamptz)`, as the session's clocks show both.
pub(crate) fn age_in_zone(inputs: &Inputs, _: DataType) -> Computed {
    let later = inputs.get(0).primitive::<TimestampMicrosecondType>();
    let earlier = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let zone = session_zone(inputs);
    let age = |row: usize| {
        let zone = zone(row)?;
        symbolic(local_in(&zone, later.get(row))?, local_in(&zone, earlier.get(row))?)
    };
    Ok(Arc::new(inputs.build::<Span>(age)?))
}

/// `isfinite(…)`: there are no infinite dates, timestamps and intervals.
pub(crate) fn is_finite(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(inputs.build_boolean(|_| true)))
}
