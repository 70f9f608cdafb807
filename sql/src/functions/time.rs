//! Functions on timestamps and dates: date_trunc, extract and date_part.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, IntervalMonthDayNanoType, TimestampMicrosecondType,
};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::numeric;
use super::zoned::{local_in, moment_in, moments, session_zone, zones};
use crate::text_form::{Interval, civil_from_days, days_from_civil};
use crate::zone::{Zone, zone_of_word};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A unit or field of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
}

/// The field of a name, as PostgreSQL abbreviates them.
fn field(name: &str) -> Option<Field> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Field::Microseconds,
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Field::Milliseconds,
        "second" | "seconds" | "s" | "sec" | "secs" => Field::Second,
        "minute" | "minutes" | "m" | "min" | "mins" => Field::Minute,
        "hour" | "hours" | "h" | "hr" | "hrs" => Field::Hour,
        "day" | "days" | "d" => Field::Day,
        "week" | "weeks" | "w" => Field::Week,
        "month" | "months" | "mon" | "mons" => Field::Month,
        "quarter" | "qtr" => Field::Quarter,
        "year" | "years" | "y" | "yr" | "yrs" => Field::Year,
        "decade" | "decades" | "dec" | "decs" => Field::Decade,
        "century" | "centuries" | "c" | "cent" => Field::Century,
        "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "isoyear" => Field::IsoYear,
        "epoch" => Field::Epoch,
        "timezone" => Field::Zone,
        "timezone_hour" => Field::ZoneHour,
        "timezone_minute" => Field::ZoneMinute,
        _ => return None,
    })
}

const TIMESTAMP: &str = "timestamp without time zone";
const MOMENT: &str = "timestamp with time zone";

fn unknown_unit(name: &str, type_name: &str) -> DataError {
    DataError::new("22023", format!("unit \"{name}\" not recognized for type {type_name}"))
}

/// The first microsecond of a year and month.
fn start_of(year: i64, month: i64) -> i64 {
    days_from_civil(year, month, 1).saturating_mul(DAY)
}

/// The first year of the span of `span` years that holds `year`; spans of 100 and 1000 end at round years.
fn first_year(year: i64, span: i64) -> i64 {
    if span == 10 { year.div_euclid(10) * 10 } else { (year - 1).div_euclid(span) * span + 1 }
}

/// The Monday at or before a day.
fn monday(days: i64) -> i64 {
    days - (days + 3).rem_euclid(7)
}

/// The beginning of the unit that holds `micros`; `None` where the unit is no unit of truncation.
fn truncate(unit: Field, micros: i64) -> Option<i64> {
    let floor = |span: i64| micros.saturating_sub(micros.rem_euclid(span));
    let days = micros.div_euclid(DAY);
    let (year, month, _) = civil_from_days(days);
    Some(match unit {
        Field::Microseconds => micros,
        Field::Milliseconds => floor(1_000),
        Field::Second => floor(SECOND),
        Field::Minute => floor(60 * SECOND),
        Field::Hour => floor(3_600 * SECOND),
        Field::Day => floor(DAY),
        Field::Week => monday(days).saturating_mul(DAY),
        Field::Month => start_of(year, month),
        Field::Quarter => start_of(year, (month - 1) / 3 * 3 + 1),
        Field::Year => start_of(year, 1),
        Field::Decade => start_of(first_year(year, 10), 1),
        Field::Century => start_of(first_year(year, 100), 1),
        Field::Millennium => start_of(first_year(year, 1_000), 1),
        Field::DayOfWeek | Field::IsoDayOfWeek | Field::DayOfYear | Field::IsoYear | Field::Epoch => {
            return None;
        }
        Field::Zone | Field::ZoneHour | Field::ZoneMinute => return None,
    })
}

/// Reads the unit of each row, looking a name up again only where it changes.
fn units<'a>(inputs: &'a Inputs, type_name: &'static str) -> impl Fn(usize) -> Result<Field, DataError> + 'a {
    let name = inputs.get(0).text();
    let last: std::cell::Cell<Option<(&str, Field)>> = std::cell::Cell::new(None);
    move |row| {
        let current = name(row);
        if let Some((known, field)) = last.get().filter(|(known, _)| *known == current) {
            debug_assert_eq!(known, current);
            return Ok(field);
        }
        let found = field(current).ok_or_else(|| unknown_unit(current, type_name))?;
        last.set(Some((current, found)));
        Ok(found)
    }
}

/// `date_trunc(unit, timestamp)`
pub(crate) fn date_trunc(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (unit, name) = (units(inputs, TIMESTAMP), inputs.get(0).text());
    let micros = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let array = inputs.build::<TimestampMicrosecondType>(|row| {
        truncate(unit(row)?, micros.get(row)).ok_or_else(|| unknown_unit(name(row), TIMESTAMP))
    })?;
    Ok(Arc::new(array))
}

/// `date_trunc(unit, timestamptz)`: the unit as the session's clocks show it.
pub(crate) fn date_trunc_in_zone(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    truncated(inputs, session_zone(inputs))
}

/// `date_trunc(unit, timestamptz, zone)`
pub(crate) fn date_trunc_in_named_zone(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    truncated(inputs, zones(inputs, 2, zone_of_word))
}

/// Units below a day keep the moment's offset; a day, or more, begins when the clocks show its beginning.
fn truncated(
    inputs: &Inputs,
    zone: impl Fn(usize) -> Result<Zone, DataError>,
) -> Result<ArrayRef, DataError> {
    let (unit, name) = (units(inputs, MOMENT), inputs.get(0).text());
    let moment = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let array = inputs.build::<TimestampMicrosecondType>(|row| {
        let (unit, zone) = (unit(row)?, zone(row)?);
        let (moment, local) = (moment.get(row), local_in(&zone, moment.get(row))?);
        let start = truncate(unit, local).ok_or_else(|| unsupported_unit(name(row), MOMENT))?;
        if is_of_time(unit) { Ok(moment - (local - start)) } else { moment_in(&zone, start) }
    })?;
    Ok(moments(array))
}

/// The interval without what is below the unit; `None` where the unit is no unit of truncation.
fn truncate_interval(unit: Field, interval: Interval) -> Option<Interval> {
    let months = |span: i32| Interval { months: interval.months / span * span, days: 0, micros: 0 };
    let time = |span: i64| Interval { micros: interval.micros / span * span, ..interval };
    Some(match unit {
        Field::Microseconds => interval,
        Field::Milliseconds => time(1_000),
        Field::Second => time(SECOND),
        Field::Minute => time(60 * SECOND),
        Field::Hour => time(3_600 * SECOND),
        Field::Day => Interval { micros: 0, ..interval },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1_200),
        Field::Millennium => months(12_000),
        Field::Week
        | Field::DayOfWeek
        | Field::IsoDayOfWeek
        | Field::DayOfYear
        | Field::IsoYear
        | Field::Epoch
        | Field::Zone
        | Field::ZoneHour
        | Field::ZoneMinute => return None,
    })
}

/// `date_trunc(unit, interval)`
pub(crate) fn date_trunc_of_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (unit, name) = (units(inputs, "interval"), inputs.get(0).text());
    let interval = inputs.get(1).primitive::<IntervalMonthDayNanoType>();
    let array = inputs.build::<IntervalMonthDayNanoType>(|row| {
        let truncated = truncate_interval(unit(row)?, Interval::from_arrow(interval.get(row)));
        truncated.ok_or_else(|| unsupported_unit(name(row), "interval"))?.to_arrow()
    })?;
    Ok(Arc::new(array))
}

/// The ISO year, and the ordinal of the week in it.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    // A week belongs to the year of its Thursday.
    let thursday = monday(days) + 3;
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// Years counted in spans from 1, without a span 0: 2001 is in century 21, 1 BC in century -1.
fn ordinal(year: i64, span: i64) -> i64 {
    if year > 0 { (year + span - 1) / span } else { -((span - year) / span) }
}

/// A field's value in millionths, of a day since 1970 and the microseconds of its time.
fn extract_micros(wanted: Field, days: i64, time: i64) -> i128 {
    let (year, month, day) = civil_from_days(days);
    let whole = match wanted {
        // The callers have dealt with these.
        Field::Zone | Field::ZoneHour | Field::ZoneMinute => 0,
        Field::Epoch => return i128::from(days) * i128::from(DAY) + i128::from(time),
        Field::Second => return i128::from(time % (60 * SECOND)),
        Field::Milliseconds => return i128::from(time % (60 * SECOND)) * 1_000,
        Field::Microseconds => time % (60 * SECOND),
        Field::Minute => time / (60 * SECOND) % 60,
        Field::Hour => time / (3_600 * SECOND),
        Field::Day => day,
        Field::Week => iso_week(days).1,
        Field::Month => month,
        Field::Quarter => (month - 1) / 3 + 1,
        Field::Year => {
            if year > 0 {
                year
            } else {
                year - 1
            }
        }
        Field::Decade => year.div_euclid(10),
        Field::Century => ordinal(year, 100),
        Field::Millennium => ordinal(year, 1_000),
        Field::DayOfWeek => (days + 4).rem_euclid(7),
        Field::IsoDayOfWeek => (days + 3).rem_euclid(7) + 1,
        Field::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        Field::IsoYear => {
            let (iso, _) = iso_week(days);
            if iso > 0 { iso } else { iso - 1 }
        }
    };
    i128::from(whole) * 1_000_000
}

/// The field of a zone's offset; `None` for all others.
fn offset_field(wanted: Field, offset: i64) -> Option<i64> {
    match wanted {
        Field::Zone => Some(offset),
        Field::ZoneHour => Some(offset / 3_600),
        Field::ZoneMinute => Some(offset / 60 % 60),
        _ => None,
    }
}

/// Fails for a field that a time without zone does not have.
fn check_has(wanted: Field, name: &str, type_name: &str) -> Result<(), DataError> {
    match offset_field(wanted, 0) {
        None => Ok(()),
        Some(_) => Err(unsupported_unit(name, type_name)),
    }
}

fn unsupported_unit(name: &str, type_name: &str) -> DataError {
    DataError::new("0A000", format!("unit \"{name}\" not supported for type {type_name}"))
}

/// A field's value in millionths, of a moment in a zone.
fn extract_of_moment(wanted: Field, moment: i64, zone: &Zone) -> Result<i128, DataError> {
    if let Some(value) = offset_field(wanted, zone.offset_at(moment)) {
        return Ok(i128::from(value) * 1_000_000);
    }
    let micros = if wanted == Field::Epoch { moment } else { local_in(zone, moment)? };
    Ok(extract_micros(wanted, micros.div_euclid(DAY), micros.rem_euclid(DAY)))
}

/// The digits behind the point that `extract` shows for a field: a constant of the field's name.
pub(crate) fn extract_scale(name: &str) -> u8 {
    match field(name) {
        Some(Field::Epoch | Field::Second) => 6,
        Some(Field::Milliseconds) => 3,
        _ => 0,
    }
}

/// `extract(field FROM timestamp)`, numeric with the scale of the result's type.
pub(crate) fn extract(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    let micros = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let (wanted, name) = (units(inputs, TIMESTAMP), inputs.get(0).text());
    extracted(inputs, result, |row| {
        let (days, time) = (micros.get(row).div_euclid(DAY), micros.get(row).rem_euclid(DAY));
        let wanted = wanted(row)?;
        check_has(wanted, name(row), TIMESTAMP)?;
        Ok(extract_micros(wanted, days, time))
    })
}

/// `extract(field FROM timestamptz)`, as the session's clocks show the moment.
pub(crate) fn extract_in_zone(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    let moment = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let (wanted, zone) = (units(inputs, MOMENT), session_zone(inputs));
    extracted(inputs, result, |row| extract_of_moment(wanted(row)?, moment.get(row), &zone(row)?))
}

/// Values in millionths as a numeric.
pub(super) fn extracted(
    inputs: &Inputs,
    result: DataType,
    value: impl Fn(usize) -> Result<i128, DataError>,
) -> Result<ArrayRef, DataError> {
    let DataType::Numeric { precision, scale } = result else {
        return Err(DataError::new("XX000", "extract gives numeric"));
    };
    let array = inputs.build::<Decimal128Type>(|row| {
        numeric::rescale(value(row)?, 6, scale, precision).ok_or_else(numeric::overflow)
    })?;
    numeric::with_type(array, result)
}

/// The field that a call asks for, of a time of day: in millionths.
pub(super) fn part_of_time(inputs: &Inputs) -> impl Fn(usize, i64) -> Result<i128, DataError> + '_ {
    const TIME: &str = "time without time zone";
    let (wanted, name) = (units(inputs, TIME), inputs.get(0).text());
    move |row, micros| match wanted(row)? {
        Field::Epoch => Ok(i128::from(micros)),
        wanted if is_of_time(wanted) && offset_field(wanted, 0).is_none() => {
            Ok(extract_micros(wanted, 0, micros))
        }
        _ => Err(unsupported_unit(name(row), TIME)),
    }
}

/// The field that a call asks for, of an interval: in millionths.
pub(super) fn part_of_interval(inputs: &Inputs) -> impl Fn(usize, Interval) -> Result<i128, DataError> + '_ {
    let (wanted, name) = (units(inputs, "interval"), inputs.get(0).text());
    move |row, interval| {
        interval_part(wanted(row)?, interval).ok_or_else(|| unsupported_unit(name(row), "interval"))
    }
}

/// A field of an interval in millionths; `None` where it has no such field. An epoch has years of 365.25 days
/// and months of 30.
fn interval_part(wanted: Field, interval: Interval) -> Option<i128> {
    let Interval { months, days, micros } = interval;
    let seconds = i128::from(micros % (60 * SECOND));
    let whole = match wanted {
        Field::Epoch => {
            let (years, months) = (i128::from(months / 12), i128::from(months % 12));
            let from_months = (years * 1_461 * 6 + months * 720) * 3_600;
            return Some((from_months + i128::from(days) * 86_400) * 1_000_000 + i128::from(micros));
        }
        Field::Second => return Some(seconds),
        Field::Milliseconds => return Some(seconds * 1_000),
        Field::Microseconds => micros % (60 * SECOND),
        Field::Minute => micros / (60 * SECOND) % 60,
        Field::Hour => micros / (3_600 * SECOND),
        Field::Day => days.into(),
        Field::Month => (months % 12).into(),
        Field::Quarter => (months % 12 / 3 + 1).into(),
        Field::Year => (months / 12).into(),
        Field::Decade => (months / 120).into(),
        Field::Century => (months / 1_200).into(),
        Field::Millennium => (months / 12_000).into(),
        Field::Week
        | Field::DayOfWeek
        | Field::IsoDayOfWeek
        | Field::DayOfYear
        | Field::IsoYear
        | Field::Zone
        | Field::ZoneHour
        | Field::ZoneMinute => return None,
    };
    Some(i128::from(whole) * 1_000_000)
}

/// Whether a date has no such field: those of the time of day.
fn is_of_time(wanted: Field) -> bool {
    offset_field(wanted, 0).is_some()
        || matches!(
            wanted,
            Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour
        )
}

/// `extract(field FROM date)`, numeric without digits behind the point.
pub(crate) fn extract_of_date(inputs: &Inputs, result: DataType) -> Result<ArrayRef, DataError> {
    let (wanted, name) = (units(inputs, "date"), inputs.get(0).text());
    let days = inputs.get(1).primitive::<Date32Type>();
    let array = inputs.build::<Decimal128Type>(|row| {
        let wanted = wanted(row)?;
        if is_of_time(wanted) {
            return Err(unsupported_unit(name(row), "date"));
        }
        Ok(extract_micros(wanted, i64::from(days.get(row)), 0) / 1_000_000)
    })?;
    numeric::with_type(array, result)
}

/// `date_part(field, timestamp)`: the same as double precision.
pub(crate) fn date_part(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (wanted, name) = (units(inputs, TIMESTAMP), inputs.get(0).text());
    let micros = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let part = |row| {
        let (days, time) = (micros.get(row).div_euclid(DAY), micros.get(row).rem_euclid(DAY));
        let wanted = wanted(row)?;
        check_has(wanted, name(row), TIMESTAMP)?;
        Ok(extract_micros(wanted, days, time) as f64 / 1e6)
    };
    Ok(Arc::new(inputs.build::<Float64Type>(part)?))
}

/// `date_part(field, date)`: as of the timestamp at which the day begins.
pub(crate) fn date_part_of_date(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (wanted, name) = (units(inputs, TIMESTAMP), inputs.get(0).text());
    let days = inputs.get(1).primitive::<Date32Type>();
    let part = |row| {
        let wanted = wanted(row)?;
        check_has(wanted, name(row), TIMESTAMP)?;
        Ok(extract_micros(wanted, i64::from(days.get(row)), 0) as f64 / 1e6)
    };
    Ok(Arc::new(inputs.build::<Float64Type>(part)?))
}

/// `date_part(field, timestamptz)`, as the session's clocks show the moment.
pub(crate) fn date_part_in_zone(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (wanted, zone) = (units(inputs, MOMENT), session_zone(inputs));
    let moment = inputs.get(1).primitive::<TimestampMicrosecondType>();
    let part = |row| Ok(extract_of_moment(wanted(row)?, moment.get(row), &zone(row)?)? as f64 / 1e6);
    Ok(Arc::new(inputs.build::<Float64Type>(part)?))
}
