//! `to_char(interval, pattern)`: only what does not need a date.

use std::fmt::Write;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::IntervalMonthDayNanoType;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::moment_pattern::{Field, Part};
use super::to_char::{ROMAN_MONTHS, by_parts, cased, suffix};
use crate::text_form::Interval;

/// `to_char(interval, pattern)`
pub(crate) fn to_char_interval(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let intervals = inputs.get(0).primitive::<IntervalMonthDayNanoType>();
    by_parts(inputs, |row, parts| {
        let interval = Interval::from_arrow(intervals.get(row));
        let mut out = String::new();
        parts.iter().try_for_each(|part| write_part(interval, part, &mut out))?;
        Ok(out)
    })
}

fn of_a_date() -> DataError {
    DataError::new("22007", "invalid format specification for an interval value")
}

fn write_part(interval: Interval, part: &Part, out: &mut String) -> Result<(), DataError> {
    let (field, unpadded, ordinal) = match part {
        Part::Text { text, .. } => {
            out.push_str(text);
            return Ok(());
        }
        Part::Exact => return Ok(()),
        Part::Field { field, unpadded, ordinal, .. } => (*field, *unpadded, *ordinal),
    };
    if let Some(word) = word(interval, field, unpadded) {
        out.push_str(&word);
        return Ok(());
    }
    let Some((number, digits)) = number(interval, field)? else { return Ok(()) };
    let digits = if unpadded && !matches!(field, Field::Fraction(_)) { 0 } else { digits };
    let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    _ = write!(out, "{sign}{size:0digits$}");
    if let Some(letters) = ordinal {
        out.push_str(&cased(suffix(size), letters));
    }
    Ok(())
}

fn word(interval: Interval, field: Field, unpadded: bool) -> Option<String> {
    let (years, months) = (interval.months / 12, interval.months % 12);
    Some(match field {
        Field::Meridiem(letters, dots) => {
            let noon = hours(interval) % 24 >= 12;
            let word = if noon { ["PM", "P.M."] } else { ["AM", "A.M."] };
            cased(word[usize::from(dots)], letters)
        }
        Field::RomanMonth(letters) => {
            if interval.months == 0 {
                return Some(String::new());
            }
            // A year is twelve months, and from its end back the months of what is negative are counted.
            let month = match months {
                0 if years >= 0 => 12,
                0 => 1,
                months if months < 0 => 13 + months,
                months => months,
            };
            let roman = cased(ROMAN_MONTHS[month as usize - 1], letters);
            if unpadded { roman } else { format!("{roman:4}") }
        }
        Field::YearWithComma => format!("{},{:03}", years / 1000, years % 1000),
        _ => return None,
    })
}

fn hours(interval: Interval) -> i64 {
    interval.micros / 3_600_000_000
}

/// The number that a field shows, and the digits that it has at least; none for a quarter of no months.
fn number(interval: Interval, field: Field) -> Result<Option<(i64, usize)>, DataError> {
    let (years, months, days) =
        (i64::from(interval.months / 12), i64::from(interval.months % 12), i64::from(interval.days));
    let seconds = interval.micros / 1_000_000;
    let hour = hours(interval);
    let day_of_year = (years * 12 + months) * 30 + days;
    Ok(Some(match field {
        Field::Year(digits) if digits < 4 => (years % 10i64.pow(u32::from(digits)), usize::from(digits)),
        Field::Year(_) => (years, 4),
        Field::Century => (years / 100, 2),
        Field::Quarter if months == 0 => return Ok(None),
        Field::Quarter => ((months - 1) / 3 + 1, 1),
        Field::Month => (months, 2),
        Field::Week => ((day_of_year - 1) / 7 + 1, 2),
        Field::WeekOfMonth => ((days - 1) / 7 + 1, 1),
        Field::DayOfYear => (day_of_year, 3),
        Field::Day => (days, 2),
        Field::Hour12 => (if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
        Field::Hour24 => (hour, 2),
        Field::Minute => (seconds / 60 % 60, 2),
        Field::Second => (seconds % 60, 2),
        Field::SecondOfDay => (seconds, 1),
        Field::Fraction(digits) => {
            (interval.micros % 1_000_000 / 10i64.pow(6 - u32::from(digits)), usize::from(digits))
        }
        Field::Julian => {
            return Err(DataError::new("0A000", "to_char pattern J of an interval is not supported"));
        }
        Field::IsoYear(_)
        | Field::MonthName(_)
        | Field::MonthAbbreviation(_)
        | Field::IsoWeek
        | Field::DayName(_)
        | Field::DayAbbreviation(_)
        | Field::IsoDayOfYear
        | Field::DayOfWeek
        | Field::IsoDayOfWeek
        | Field::Era(..)
        | Field::Zone(_)
        | Field::Offset
        | Field::OffsetHours
        | Field::OffsetMinutes => return Err(of_a_date()),
        Field::Meridiem(..) | Field::RomanMonth(_) | Field::YearWithComma => return Ok(None),
    }))
}
