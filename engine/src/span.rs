//! Sums of intervals, for views and ad-hoc queries alike: their months, days and time are summed apart.

use arrow::datatypes::IntervalMonthDayNano;

use crate::error::DataError;

/// Arrow counts the time of an interval in these.
pub(crate) const NANOS_PER_MICRO: i64 = 1_000;

/// The interval of so many months, days and microseconds.
///
/// # Errors
/// 22008 where it has no room for them.
pub fn interval_of_sums(months: i128, days: i128, micros: i128) -> Result<IntervalMonthDayNano, DataError> {
    let interval = || {
        let nanos = micros.checked_mul(NANOS_PER_MICRO.into())?;
        let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
        Some(IntervalMonthDayNano::new(months, days, i64::try_from(nanos).ok()?))
    };
    interval().ok_or_else(|| DataError::new("22008", "interval out of range"))
}
