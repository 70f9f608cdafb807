//! The fields of a moment as a text has them, and the moment that they make.

use millrace_engine::DataError;

use super::moment_pattern::Field;
use super::time::iso_week;
use crate::text_form::{DATES, days_from_civil, days_in_month};

/// Fields that were read; each once.
#[derive(Default)]
pub(super) struct Fields {
    year: Option<i64>,
    /// How many digits the year was written in.
    year_digits: usize,
    century: Option<i64>,
    before_christ: Option<bool>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    /// From 1 for Sunday; by ISO from 1 for Monday.
    day_of_week: Option<i64>,
    julian: Option<i64>,
    quarter: Option<i64>,
    is_iso: Option<bool>,
    hour: Option<i64>,
    clock_of_12: bool,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    second_of_day: Option<i64>,
    millis: Option<i64>,
    micros: Option<i64>,
    offset_hours: Option<(i64, bool)>,
    offset_minutes: Option<i64>,
}

impl Field {
    /// Whether it is written in digits alone.
    pub(super) fn is_digits(self) -> bool {
        self.digits_read().is_some() || matches!(self, Field::YearWithComma | Field::OffsetHours)
    }

    /// How many digits are read for it where others follow; `None` for words.
    pub(super) fn digits_read(self) -> Option<usize> {
        Some(match self {
            Field::Year(digits) | Field::IsoYear(digits) | Field::Fraction(digits) => usize::from(digits),
            Field::Century
            | Field::Month
            | Field::Week
            | Field::IsoWeek
            | Field::Day
            | Field::Hour12
            | Field::Hour24
            | Field::Minute
            | Field::Second
            | Field::OffsetMinutes => 2,
            Field::Quarter | Field::WeekOfMonth | Field::DayOfWeek | Field::IsoDayOfWeek => 1,
            Field::DayOfYear | Field::IsoDayOfYear => 3,
            Field::SecondOfDay => 5,
            Field::Julian => 7,
            Field::YearWithComma
            | Field::MonthName(_)
            | Field::MonthAbbreviation(_)
            | Field::DayName(_)
            | Field::DayAbbreviation(_)
            | Field::Meridiem(..)
            | Field::Era(..)
            | Field::RomanMonth(_)
            | Field::Zone(_)
            | Field::Offset
            | Field::OffsetHours => return None,
        })
    }
}

/// Takes a field that may be written twice only if it is the same.
fn put<T: PartialEq>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), DataError> {
    match slot {
        Some(known) if *known != value => {
            let message = format!("conflicting values for \"{name}\" field in formatting string");
            Err(DataError::new("22007", message))
        }
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// A year of one to three digits lies as near to 2020 as can be.
fn near_2020(year: i64) -> i64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

impl Fields {
    /// Takes a number, written with so many characters.
    ///
    /// # Errors
    /// 22007 where it was read before, otherwise.
    pub(super) fn set(
        &mut self,
        field: Field,
        name: &str,
        value: i64,
        length: usize,
    ) -> Result<(), DataError> {
        self.set_calendar(field, name)?;
        match field {
            Field::Year(digits) | Field::IsoYear(digits) => {
                self.year_digits = usize::from(digits);
                let short = digits < 4 && length < 4;
                put(&mut self.year, name, if short { near_2020(value) } else { value })
            }
            Field::Century => put(&mut self.century, name, value),
            Field::Quarter => put(&mut self.quarter, name, value),
            Field::Month => put(&mut self.month, name, value),
            Field::Week | Field::IsoWeek => put(&mut self.week, name, value),
            Field::WeekOfMonth => put(&mut self.week_of_month, name, value),
            Field::DayOfYear | Field::IsoDayOfYear => put(&mut self.day_of_year, name, value),
            Field::Day => put(&mut self.day, name, value),
            Field::DayOfWeek => put(&mut self.day_of_week, name, value),
            // By ISO Sunday is the last day.
            Field::IsoDayOfWeek => put(&mut self.day_of_week, name, if value == 7 { 1 } else { value + 1 }),
            Field::Julian => put(&mut self.julian, name, value),
            Field::Hour12 => {
                self.clock_of_12 = true;
                put(&mut self.hour, name, value)
            }
            Field::Hour24 => put(&mut self.hour, name, value),
            Field::Minute => put(&mut self.minute, name, value),
            Field::Second => put(&mut self.second, name, value),
            Field::SecondOfDay => put(&mut self.second_of_day, name, value),
            Field::Fraction(3) if name.starts_with(['M', 'm']) => {
                // 25 is 0.25, as 250 is.
                put(&mut self.millis, name, value * [1, 100, 10, 1][length.min(3)])
            }
            Field::Fraction(_) => put(&mut self.micros, name, value * 10i64.pow(6 - length.min(6) as u32)),
            Field::OffsetMinutes => put(&mut self.offset_minutes, name, value),
            Field::YearWithComma
            | Field::MonthName(_)
            | Field::MonthAbbreviation(_)
            | Field::DayName(_)
            | Field::DayAbbreviation(_)
            | Field::Meridiem(..)
            | Field::Era(..)
            | Field::RomanMonth(_)
            | Field::Zone(_)
            | Field::Offset
            | Field::OffsetHours => Err(DataError::new("XX000", format!("{name} is no number"))),
        }
    }

    /// Dates are counted by ISO's weeks or by months, not by both.
    fn set_calendar(&mut self, field: Field, name: &str) -> Result<(), DataError> {
        let is_iso = match field {
            Field::IsoYear(_) | Field::IsoWeek | Field::IsoDayOfYear | Field::IsoDayOfWeek => true,
            Field::Year(_)
            | Field::Century
            | Field::Month
            | Field::Week
            | Field::WeekOfMonth
            | Field::DayOfYear
            | Field::Day => false,
            // Names of days go with both.
            Field::DayOfWeek if name.len() > 1 => return Ok(()),
            Field::DayOfWeek => false,
            _ => return Ok(()),
        };
        if self.is_iso.is_some_and(|known| known != is_iso) {
            return Err(DataError::new("22007", "invalid combination of date conventions"));
        }
        self.is_iso = Some(is_iso);
        Ok(())
    }

    pub(super) fn set_half_of_day(&mut self, name: &str, afternoon: bool) -> Result<(), DataError> {
        self.clock_of_12 = true;
        put(&mut self.afternoon, name, afternoon)
    }

    pub(super) fn set_era(&mut self, name: &str, before_christ: bool) -> Result<(), DataError> {
        put(&mut self.before_christ, name, before_christ)
    }

    pub(super) fn set_offset_hours(&mut self, hours: i64, negative: bool) {
        self.offset_hours = Some((hours, negative));
    }

    /// The day since 1970, the microseconds of the day, and the offset in seconds, if there is one.
    ///
    /// # Errors
    /// 22008 where a field is out of range; `text` is what was read.
    pub(super) fn moment(&self, text: &str) -> Result<(i64, i64, Option<i64>), DataError> {
        let out_of_range =
            || DataError::new("22008", format!("date/time field value out of range: \"{text}\""));
        let micros = self.time_of_day(out_of_range)?;
        let days = self.days(out_of_range)?;
        if !DATES.contains(&days) {
            return Err(DataError::new("22008", format!("date out of range: \"{text}\"")));
        }
        let offset = match (self.offset_hours, self.offset_minutes) {
            (None, None) => None,
            (hours, minutes) => {
                let ((hours, negative), minutes) = (hours.unwrap_or((0, false)), minutes.unwrap_or(0));
                if hours > 15 || !(0..60).contains(&minutes) {
                    return Err(out_of_range());
                }
                let seconds = (hours * 60 + minutes) * 60;
                Some(if negative { -seconds } else { seconds })
            }
        };
        Ok((days, micros, offset))
    }

    fn time_of_day(&self, out_of_range: impl Fn() -> DataError) -> Result<i64, DataError> {
        let (mut hour, mut minute, mut second) = match self.second_of_day {
            Some(seconds) => (seconds / 3600, seconds / 60 % 60, seconds % 60),
            None => (0, 0, 0),
        };
        hour = self.hour.unwrap_or(hour);
        minute = self.minute.unwrap_or(minute);
        second = self.second.unwrap_or(second);
        if self.clock_of_12 {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(DataError::new("22007", message));
            }
            hour = hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 };
        }
        let fraction = self.micros.unwrap_or(0) + self.millis.unwrap_or(0) * 1000;
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
        if !fits || !(0..1_000_000).contains(&fraction) {
            return Err(out_of_range());
        }
        Ok(((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction)
    }

    /// The year by its century, or by its digits; 1 BC is year 0.
    fn calendar_year(&self) -> Option<i64> {
        let before_christ = self.before_christ == Some(true);
        match (self.year, self.century) {
            (Some(year), Some(century)) if self.year_digits <= 2 => {
                let (last, century) = (year.rem_euclid(100), if before_christ { -century } else { century });
                let year = match (century >= 0, last) {
                    (true, 0) => century * 100,
                    (true, last) => (century - 1) * 100 + last,
                    (false, last) => (century + 1) * 100 - last + 1,
                };
                Some(year)
            }
            (Some(year), _) => Some(match before_christ {
                true if year > 0 => 1 - year,
                // Before Christ of a year that is negative itself is after.
                true => -year,
                false if year < 0 => year + 1,
                false => year,
            }),
            (None, Some(century)) => {
                let century = if before_christ { -century } else { century };
                Some(if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 })
            }
            (None, None) => None,
        }
    }

    fn days(&self, out_of_range: impl Fn() -> DataError) -> Result<i64, DataError> {
        if let Some(julian) = self.julian {
            return Ok(julian - 2_440_588);
        }
        let year = self.calendar_year();
        if self.is_iso == Some(true)
            && let Some(days) = self.iso_days(year, &out_of_range)?
        {
            return Ok(days);
        }
        // What is 0 counts as not given, as in PostgreSQL.
        let given = |value: Option<i64>| value.filter(|value| *value != 0);
        let (mut month, mut day) = (given(self.month), given(self.day));
        let mut day_of_year = given(self.day_of_year);
        if let Some(week) = given(self.week) {
            day_of_year = Some((week - 1) * 7 + 1);
        }
        if let Some(week) = given(self.week_of_month) {
            day = Some((week - 1) * 7 + 1);
        }
        if let Some(number) = day_of_year.filter(|_| month.is_none() || day.is_none()) {
            let Some(year) = year else {
                let message = "cannot calculate day of year without year information";
                return Err(DataError::new("22007", message));
            };
            let length = if days_in_month(year, 2) == 29 { 366 } else { 365 };
            if !(1..=length).contains(&number) {
                return Err(out_of_range());
            }
            return Ok(days_from_civil(year, 1, 1) + number - 1);
        }
        month.get_or_insert(1);
        day.get_or_insert(1);
        // Without a year it is 1 BC, as in PostgreSQL.
        let (year, month, day) = (year.unwrap_or(0), month.unwrap_or(1), day.unwrap_or(1));
        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err(out_of_range());
        }
        Ok(days_from_civil(year, month, day))
    }

    /// The day by ISO's year and week, or day of the year; `None` where there is neither.
    fn iso_days(
        &self,
        year: Option<i64>,
        out_of_range: &impl Fn() -> DataError,
    ) -> Result<Option<i64>, DataError> {
        let Some(year) = year else { return Ok(None) };
        // The fourth of January lies in the first week.
        let fourth = days_from_civil(year, 1, 4);
        let first = fourth - (fourth + 3).rem_euclid(7);
        let days = match (self.week, self.day_of_year) {
            (Some(week), _) => {
                let day = self.day_of_week.map_or(1, |day| if day == 1 { 7 } else { day - 1 });
                first + (week - 1) * 7 + day - 1
            }
            (None, Some(number)) => first + number - 1,
            (None, None) => first,
        };
        if !(first..first + 371).contains(&days) || iso_week(days).0 != year && self.week.is_none() {
            return Err(out_of_range());
        }
        Ok(Some(days))
    }
}
