//! Dates as text: `YYYY-MM-DD` out, and in what timestamp.rs reads, its time of day left away.
//!
//! A date is days since 1970. There are no infinite dates, as there are no infinite timestamps.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

use millrace_engine::DataError;

use super::iso::Iso;
use super::timestamp::{FIRST_DAY, Parts, write_day};
use super::trim;

/// The days that a date can be: from 4714-11-24 BC to 5874897-12-31.
pub(crate) const DATES: RangeInclusive<i64> = FIRST_DAY..=2_145_042_905;

/// The months' names; three letters are enough.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Appends `YYYY-MM-DD`, and BC where the year is, to a buffer in memory: writing to it cannot fail.
pub fn write_date(days: i32, out: &mut impl Write) {
    if write_day(i64::from(days), out) {
        _ = out.write_str(" BC");
    }
}

/// Reads a date in the forms of a timestamp.
///
/// # Errors
/// 22007, 22008; 0A000 for the infinities
pub fn parse_date(text: &str) -> Result<i32, DataError> {
    if let Some(days) = Iso::read(text).and_then(|iso| i32::try_from(iso.days).ok()) {
        return Ok(days);
    }
    let word = trim(text).to_ascii_lowercase();
    match word.as_str() {
        "infinity" | "-infinity" => {
            return Err(DataError::new("0A000", format!("date {word} is not supported")));
        }
        "epoch" => return Ok(0),
        _ => {}
    }
    let days = Parts::read(&word, text, "date")?.days();
    match i32::try_from(days) {
        Ok(days) if DATES.contains(&i64::from(days)) => Ok(days),
        _ => Err(DataError::new("22008", format!("date out of range: \"{text}\""))),
    }
}

/// The month that a word names, from 1.
fn month_of(word: &str) -> Option<usize> {
    let names = |month: &&str| {
        let full = month.to_ascii_lowercase();
        word == full || word == &full[..3] || (word == "sept" && full == "september")
    };
    MONTHS.iter().position(names).map(|month| month + 1)
}

/// `jan 31 2024`, `31 january, 2024`, `2024-jan-31` and the like with the month as a number:
/// `2024-1-31`, and what follows. Text without such a beginning stays as it is.
pub(super) fn month_as_number(word: &str) -> Cow<'_, str> {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = word;
    while parts.len() < 3 {
        let end = rest.find([' ', ',', '-']).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        let after = rest[end..].trim_start_matches([' ', ',']);
        // One hyphen divides; another would be a sign.
        rest = after.strip_prefix('-').filter(|_| parts.len() < 3).unwrap_or(after);
        if rest.is_empty() {
            break;
        }
    }
    let &[first, second, third] = parts.as_slice() else { return Cow::Borrowed(word) };
    let (year, month, day) = match (month_of(first), month_of(second)) {
        (Some(month), None) => (third, month, second),
        (None, Some(month)) if first.len() > 2 => (first, month, third),
        (None, Some(month)) => (third, month, first),
        _ => return Cow::Borrowed(word),
    };
    // The year of `Y-M-D` has three digits at least.
    let year = match year.parse::<u32>() {
        Ok(short @ 0..70) if year.len() <= 2 => (2000 + short).to_string(),
        Ok(short @ 70..100) if year.len() <= 2 => (1900 + short).to_string(),
        _ => year.to_owned(),
    };
    let space = if rest.is_empty() { "" } else { " " };
    Cow::Owned(format!("{year}-{month}-{day}{space}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_form::{parse_timestamp, write_timestamp};

    fn read_back(text: &str) -> Result<String, String> {
        let mut out = String::new();
        write_date(parse_date(text).map_err(|error| error.message)?, &mut out);
        Ok(out)
    }

    /// Texts and PostgreSQL 15's answer to `text::date`.
    #[test]
    fn dates_are_read_and_written_as_by_postgresql() {
        let cases = [
            ("2024-01-31", "2024-01-31"),
            (" 20240131 ", "2024-01-31"),
            ("Jan 31 2024", "2024-01-31"),
            ("31 Jan 2024", "2024-01-31"),
            ("January 31, 2024", "2024-01-31"),
            ("Jan-31-2024", "2024-01-31"),
            ("31-jan-24", "2024-01-31"),
            ("2024-Jan-31", "2024-01-31"),
            ("1/31/2024", "2024-01-31"),
            ("0044-03-15 BC", "0044-03-15 BC"),
            ("2024-01-31 23:59", "2024-01-31"),
            ("epoch", "1970-01-01"),
            ("5874897-12-31", "5874897-12-31"),
        ];
        for (text, expected) in cases {
            assert_eq!(read_back(text).as_deref(), Ok(expected), "{text}");
        }
        let timestamp = |text: &str| {
            let mut out = String::new();
            write_timestamp(parse_timestamp(text).expect("a timestamp"), &mut out);
            out
        };
        assert_eq!(timestamp("Jan 31 2024 10:00"), "2024-01-31 10:00:00");
        assert_eq!(timestamp("Oct 5, 2024 3:04"), "2024-10-05 03:04:00");
    }

    #[test]
    fn wrong_dates_say_how() {
        let cases = [
            ("2024-13-01", "date/time field value out of range: \"2024-13-01\""),
            ("2024-02-30", "date/time field value out of range: \"2024-02-30\""),
            ("xx", "invalid input syntax for type date: \"xx\""),
            ("Foo 31 2024", "invalid input syntax for type date: \"Foo 31 2024\""),
            ("5874898-01-01", "date out of range: \"5874898-01-01\""),
            ("4714-11-23 BC", "date out of range: \"4714-11-23 BC\""),
            ("infinity", "date infinity is not supported"),
        ];
        for (text, message) in cases {
            assert_eq!(read_back(text), Err(message.to_owned()), "{text}");
        }
    }
}
