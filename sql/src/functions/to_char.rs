//! `to_char(timestamp, pattern)`: the moment by PostgreSQL's template patterns.
//!
//! A pattern is cut into parts once and then written for each row. What is no template pattern stands
//! for itself, as does text in double quotes. (moment_pattern.rs has the patterns.)

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::moment_pattern::{Field, Letters, Part, parts};
use super::time::iso_week;
use super::zoned::{local_in, session_zone};
use crate::text_form::{MICROS_PER_DAY, MONTHS, civil_from_days, days_from_civil};
use crate::zone::write_offset;

pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The longest name is padded to by the others: September, Wednesday.
const NAME_WIDTH: usize = 9;

pub(super) const ROMAN_MONTHS: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// VIII
const ROMAN_WIDTH: usize = 4;

/// A moment's fields.
struct Moment {
    days: i64,
    year: i64,
    month: i64,
    day: i64,
    time: i64,
    /// Seconds east of Greenwich, and what the zone is called.
    zone: (i64, String),
}

impl Moment {
    fn new(micros: i64, zone: (i64, String)) -> Moment {
        let (days, time) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
        let (year, month, day) = civil_from_days(days);
        Moment { days, year, month, day, time, zone }
    }

    fn day_of_year(&self) -> i64 {
        self.days - days_from_civil(self.year, 1, 1) + 1
    }

    /// A year as it is counted: 1 BC is year 0 of the arithmetic.
    fn shown_year(year: i64) -> i64 {
        if year > 0 { year } else { 1 - year }
    }

    /// The number that a field shows, and the digits it has at least; `None` for words.
    fn number(&self, field: Field) -> Option<(i64, usize)> {
        let seconds = self.time / 1_000_000;
        let hour = seconds / 3600;
        let last_digits = |year: i64, digits: u8| {
            let shown = Moment::shown_year(year);
            let cut = if digits < 4 { shown % 10i64.pow(u32::from(digits)) } else { shown };
            (cut, usize::from(digits))
        };
        let (iso_year, iso_week) = iso_week(self.days);
        Some(match field {
            Field::Year(digits) => last_digits(self.year, digits),
            Field::IsoYear(digits) => last_digits(iso_year, digits),
            Field::Century if self.year > 0 => ((self.year + 99) / 100, 2),
            Field::Century => ((self.year - 100) / 100, 2),
            Field::Quarter => ((self.month - 1) / 3 + 1, 1),
            Field::Month => (self.month, 2),
            Field::Week => ((self.day_of_year() - 1) / 7 + 1, 2),
            Field::WeekOfMonth => ((self.day - 1) / 7 + 1, 1),
            Field::IsoWeek => (iso_week, 2),
            Field::DayOfYear => (self.day_of_year(), 3),
            Field::IsoDayOfYear => ((iso_week - 1) * 7 + self.iso_day(), 3),
            Field::Day => (self.day, 2),
            Field::DayOfWeek => (self.weekday() + 1, 1),
            Field::IsoDayOfWeek => (self.iso_day(), 1),
            Field::Julian => (self.days + 2_440_588, 1),
            Field::Hour12 => (if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            Field::Hour24 => (hour, 2),
            Field::Minute => (seconds / 60 % 60, 2),
            Field::Second => (seconds % 60, 2),
            Field::SecondOfDay => (seconds, 5),
            Field::Fraction(digits) => {
                (self.time % 1_000_000 / 10i64.pow(6 - u32::from(digits)), usize::from(digits))
            }
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
            | Field::OffsetHours
            | Field::OffsetMinutes => return None,
        })
    }

    /// From 0 for Sunday.
    fn weekday(&self) -> i64 {
        (self.days + 4).rem_euclid(7)
    }

    /// From 1 for Monday.
    fn iso_day(&self) -> i64 {
        (self.days + 3).rem_euclid(7) + 1
    }

    /// The word of a field, and the width it is padded to; empty for numbers.
    fn word(&self, field: Field) -> (String, usize) {
        let month = MONTHS[self.month as usize - 1];
        let day = DAYS[self.weekday() as usize];
        let dotted = |word: &str, dots: bool| {
            if dots { word.chars().flat_map(|c| [c, '.']).collect() } else { word.to_owned() }
        };
        match field {
            Field::MonthName(letters) => (cased(month, letters), NAME_WIDTH),
            Field::MonthAbbreviation(letters) => (cased(&month[..3], letters), 0),
            Field::DayName(letters) => (cased(day, letters), NAME_WIDTH),
            Field::DayAbbreviation(letters) => (cased(&day[..3], letters), 0),
            Field::Meridiem(letters, dots) => {
                let noon = self.time >= MICROS_PER_DAY / 2;
                (cased(&dotted(if noon { "PM" } else { "AM" }, dots), letters), 0)
            }
            Field::Era(letters, dots) => {
                (cased(&dotted(if self.year > 0 { "AD" } else { "BC" }, dots), letters), 0)
            }
            Field::YearWithComma => {
                let year = Moment::shown_year(self.year);
                (format!("{},{:03}", year / 1000, year % 1000), 0)
            }
            Field::RomanMonth(letters) => {
                (cased(ROMAN_MONTHS[self.month as usize - 1], letters), ROMAN_WIDTH)
            }
            Field::Zone(letters) => (cased(&self.zone.1, letters), 0),
            Field::Offset => {
                let mut offset = String::new();
                write_offset(self.zone.0 / 60 * 60, &mut offset);
                (offset, 0)
            }
            Field::OffsetHours => (format!("{:+03}", self.zone.0 / 3_600), 0),
            Field::OffsetMinutes => (format!("{:02}", self.zone.0.abs() / 60 % 60), 0),
            _ => (String::new(), 0),
        }
    }

    fn write(&self, part: &Part, out: &mut String) {
        let (field, unpadded, ordinal) = match part {
            Part::Text { text, .. } => return out.push_str(text),
            Part::Exact => return,
            Part::Field { field, unpadded, ordinal, .. } => (*field, *unpadded, *ordinal),
        };
        match self.number(field) {
            Some((number, digits)) => {
                // FM leaves zeros in front away, but not the place of a fraction's digits.
                let digits = if unpadded && !matches!(field, Field::Fraction(_)) { 0 } else { digits };
                let (sign, number) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
                _ = write!(out, "{sign}{number:0digits$}");
                if let Some(letters) = ordinal {
                    out.push_str(&cased(suffix(number), letters));
                }
            }
            None => {
                let (word, width) = self.word(field);
                let width = if unpadded { 0 } else { width };
                _ = write!(out, "{word:width$}");
            }
        }
    }
}

pub(super) fn cased(word: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => word.to_ascii_uppercase(),
        Letters::Capital => word.to_owned(),
        Letters::Lower => word.to_ascii_lowercase(),
    }
}

/// The ending of an ordinal number.
pub(super) fn suffix(number: u64) -> &'static str {
    match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// `to_char(timestamp, pattern)`; NULL where the pattern is empty, as in PostgreSQL.
pub(crate) fn to_char(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let micros = inputs.get(0).primitive::<TimestampMicrosecondType>();
    shown(inputs, |row| Ok(Moment::new(micros.get(row), (0, String::new()))))
}

/// `to_char(timestamptz, pattern)`, as the session's clocks show the moment
pub(crate) fn to_char_in_zone(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (moment, zone) = (inputs.get(0).primitive::<TimestampMicrosecondType>(), session_zone(inputs));
    shown(inputs, |row| {
        let (zone, moment) = (zone(row)?, moment.get(row));
        Ok(Moment::new(local_in(&zone, moment)?, (zone.offset_at(moment), zone.abbreviation_at(moment))))
    })
}

fn shown(
    inputs: &Inputs,
    moment: impl Fn(usize) -> Result<Moment, DataError>,
) -> Result<ArrayRef, DataError> {
    by_parts(inputs, |row, parts| {
        let moment = moment(row)?;
        let mut out = String::new();
        parts.iter().for_each(|part| moment.write(part, &mut out));
        Ok(out)
    })
}

/// A text for each row by the parts of its pattern, the second argument; NULL where that is empty, as in PostgreSQL.
pub(super) fn by_parts(
    inputs: &Inputs,
    write: impl Fn(usize, &[Part]) -> Result<String, DataError>,
) -> Result<ArrayRef, DataError> {
    let pattern = inputs.get(1).text();
    let nulls = inputs.nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let mut last: (&str, Vec<Part>) = Default::default();
    let mut shown = |row: usize| {
        if is_null(row) || pattern(row).is_empty() {
            return Ok(None);
        }
        if last.0 != pattern(row) {
            last = (pattern(row), parts(pattern(row)));
        }
        write(row, &last.1).map(Some)
    };
    let array = (0..inputs.rows()).map(&mut shown).collect::<Result<StringArray, DataError>>()?;
    Ok(Arc::new(array))
}
