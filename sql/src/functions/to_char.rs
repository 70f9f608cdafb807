//! `to_char(timestamp, pattern)`: the moment by PostgreSQL's template patterns.
//!
//! A pattern is cut into parts once and then written for each row. What is no template pattern stands
//! for itself, as does text in double quotes.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::time::iso_week;
use super::zoned::{local_in, session_zone};
use crate::text_form::{MICROS_PER_DAY, MONTHS, civil_from_days, days_from_civil};
use crate::zone::write_offset;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The longest name is padded to by the others: September, Wednesday.
const NAME_WIDTH: usize = 9;

/// How the letters of a word are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Letters {
    Upper,
    Capital,
    Lower,
}

/// What a template pattern shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    /// The year's last digits, so many; all of it from four on.
    Year(u8),
    YearWithComma,
    IsoYear(u8),
    Century,
    Quarter,
    MonthName(Letters),
    MonthAbbreviation(Letters),
    Month,
    Week,
    WeekOfMonth,
    IsoWeek,
    DayName(Letters),
    DayAbbreviation(Letters),
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    Julian,
    Hour12,
    Hour24,
    Minute,
    Second,
    SecondOfDay,
    /// The first digits of the fraction of a second.
    Fraction(u8),
    Meridiem(Letters, bool),
    Era(Letters, bool),
    /// The zone's abbreviation.
    Zone(Letters),
    /// `+05:30`
    Offset,
    /// `+05`
    OffsetHours,
    /// `30`
    OffsetMinutes,
}

/// The patterns; a longer one stands before one that it begins with.
const PATTERNS: &[(&str, Field)] = &[
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("I", Field::IsoYear(1)),
    ("CC", Field::Century),
    ("MONTH", Field::MonthName(Letters::Upper)),
    ("Month", Field::MonthName(Letters::Capital)),
    ("month", Field::MonthName(Letters::Lower)),
    ("MON", Field::MonthAbbreviation(Letters::Upper)),
    ("Mon", Field::MonthAbbreviation(Letters::Capital)),
    ("mon", Field::MonthAbbreviation(Letters::Lower)),
    ("MM", Field::Month),
    ("MI", Field::Minute),
    ("MS", Field::Fraction(3)),
    ("US", Field::Fraction(6)),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("DAY", Field::DayName(Letters::Upper)),
    ("Day", Field::DayName(Letters::Capital)),
    ("day", Field::DayName(Letters::Lower)),
    ("DY", Field::DayAbbreviation(Letters::Upper)),
    ("Dy", Field::DayAbbreviation(Letters::Capital)),
    ("dy", Field::DayAbbreviation(Letters::Lower)),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("D", Field::DayOfWeek),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Q", Field::Quarter),
    ("J", Field::Julian),
    ("AM", Field::Meridiem(Letters::Upper, false)),
    ("PM", Field::Meridiem(Letters::Upper, false)),
    ("am", Field::Meridiem(Letters::Lower, false)),
    ("pm", Field::Meridiem(Letters::Lower, false)),
    ("A.M.", Field::Meridiem(Letters::Upper, true)),
    ("P.M.", Field::Meridiem(Letters::Upper, true)),
    ("a.m.", Field::Meridiem(Letters::Lower, true)),
    ("p.m.", Field::Meridiem(Letters::Lower, true)),
    ("AD", Field::Era(Letters::Upper, false)),
    ("BC", Field::Era(Letters::Upper, false)),
    ("ad", Field::Era(Letters::Lower, false)),
    ("bc", Field::Era(Letters::Lower, false)),
    ("A.D.", Field::Era(Letters::Upper, true)),
    ("B.C.", Field::Era(Letters::Upper, true)),
    ("a.d.", Field::Era(Letters::Lower, true)),
    ("b.c.", Field::Era(Letters::Lower, true)),
    ("TZH", Field::OffsetHours),
    ("TZM", Field::OffsetMinutes),
    ("TZ", Field::Zone(Letters::Upper)),
    ("tz", Field::Zone(Letters::Lower)),
    ("OF", Field::Offset),
];

/// Patterns that PostgreSQL has and we do not: refused, so that they are not taken for text.
const REFUSED: &[&str] = &["RM", "TM"];

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// A field, without padding after FM, with st, nd, rd or th where `ordinal` is set.
    Field {
        field: Field,
        unpadded: bool,
        ordinal: Option<Letters>,
    },
}

/// The template pattern that begins here. Those of numbers may be written in lower case, too; those of
/// words say by their letters how the word is written.
fn pattern_at(text: &str) -> Option<(&'static str, Field)> {
    let is_word = |field: Field| {
        matches!(
            field,
            Field::MonthName(_)
                | Field::MonthAbbreviation(_)
                | Field::DayName(_)
                | Field::DayAbbreviation(_)
                | Field::Meridiem(..)
                | Field::Era(..)
                | Field::Zone(_)
        )
    };
    let begins = |(name, field): &&(&str, Field)| {
        text.starts_with(name)
            || (!is_word(*field)
                && text.get(..name.len()).is_some_and(|start| start == name.to_ascii_lowercase()))
    };
    PATTERNS.iter().find(begins).copied()
}

fn parts(pattern: &str) -> Result<Vec<Part>, DataError> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    let mut unpadded = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (rest, unpadded) = (after, true);
            continue;
        }
        if let Some((name, field)) = pattern_at(rest) {
            rest = &rest[name.len()..];
            let ordinal = match rest.get(..2) {
                Some("TH") => Some(Letters::Upper),
                Some("th") => Some(Letters::Lower),
                _ => None,
            };
            rest = if ordinal.is_some() { &rest[2..] } else { rest };
            parts.push(Part::Field { field, unpadded, ordinal });
            unpadded = false;
            continue;
        }
        let upper: String = rest.chars().take(3).collect::<String>().to_ascii_uppercase();
        if let Some(name) = REFUSED.iter().find(|name| upper.starts_with(**name)) {
            return Err(DataError::new("0A000", format!("to_char pattern {name} is not supported")));
        }
        rest = text_part(rest, &mut parts);
    }
    Ok(parts)
}

/// Takes what stands for itself: text in quotes, an escaped quote, or one character.
fn text_part<'p>(rest: &'p str, parts: &mut Vec<Part>) -> &'p str {
    let mut chars = rest.chars();
    let mut text = String::new();
    match chars.next() {
        Some('"') => {
            while let Some(c) = chars.next().filter(|c| *c != '"') {
                text.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
        }
        Some('\\') if chars.as_str().starts_with('"') => text.extend(chars.next()),
        first => text.extend(first),
    }
    match parts.last_mut() {
        Some(Part::Text(before)) => before.push_str(&text),
        _ => parts.push(Part::Text(text)),
    }
    chars.as_str()
}

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
            Part::Text(text) => return out.push_str(text),
            Part::Field { field, unpadded, ordinal } => (*field, *unpadded, *ordinal),
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

fn cased(word: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => word.to_ascii_uppercase(),
        Letters::Capital => word.to_owned(),
        Letters::Lower => word.to_ascii_lowercase(),
    }
}

/// The ending of an ordinal number.
fn suffix(number: u64) -> &'static str {
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
    let pattern = inputs.get(1).text();
    let nulls = inputs.nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let mut last: (&str, Vec<Part>) = Default::default();
    let mut shown = |row: usize| {
        if is_null(row) || pattern(row).is_empty() {
            return Ok(None);
        }
        if last.0 != pattern(row) {
            last = (pattern(row), parts(pattern(row))?);
        }
        let moment = moment(row)?;
        let mut out = String::new();
        last.1.iter().for_each(|part| moment.write(part, &mut out));
        Ok(Some(out))
    };
    let array = (0..inputs.rows()).map(&mut shown).collect::<Result<StringArray, DataError>>()?;
    Ok(Arc::new(array))
}
