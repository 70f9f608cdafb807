//! `time without time zone`: `HH:MM:SS[.ffffff]`, microseconds since midnight.

use std::fmt::Write;

use millrace_engine::DataError;

use super::timestamp::{self, Parts};
use super::trim;
use super::written_zone::WrittenZone;

/// Appends `HH:MM:SS[.ffffff]` to a buffer in memory: writing to it cannot fail.
pub fn write_time(micros: i64, out: &mut impl Write) {
    timestamp::write_time(micros.unsigned_abs(), out);
}

/// Reads a time of day: `H:M[:S[.f]]` or `HHMMSS`, with AM or PM, with an offset that says nothing, or behind a date.
///
/// # Errors
/// 22007, 22008
pub fn parse_time(text: &str) -> Result<i64, DataError> {
    let word = trim(text).to_ascii_lowercase();
    let invalid = || DataError::new("22007", format!("invalid input syntax for type time: \"{text}\""));
    let parts = match Parts::of_clock(&with_colons(&word)) {
        Some(parts) => parts,
        None if word.contains(':') => Parts::read(&word, text, "time")?,
        None => return Err(invalid()),
    };
    if !parts.zone_word.is_empty() {
        // A zone whose offset depends on the day says nothing of a time without one.
        match WrittenZone::read(&parts.zone_word, text)? {
            Some(WrittenZone::Offset(_)) => {}
            Some(WrittenZone::Named(_)) | None => return Err(invalid()),
        }
    }
    parts
        .time_of_day()
        .ok_or_else(|| DataError::new("22008", format!("date/time field value out of range: \"{text}\"")))
}

/// `040506.7` as `04:05:06.7`; other words as they are.
fn with_colons(word: &str) -> String {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    match (digits, &word[digits..]) {
        (4, rest) if !rest.starts_with(['-', ':', '/', '.']) => {
            format!("{}:{}{rest}", &word[..2], &word[2..4])
        }
        (6, rest) if !rest.starts_with(['-', ':', '/']) => {
            format!("{}:{}:{}{rest}", &word[..2], &word[2..4], &word[4..6])
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(text: &str) -> String {
        match parse_time(text) {
            Ok(micros) => {
                let mut out = String::new();
                write_time(micros, &mut out);
                out
            }
            Err(error) => format!("{} {}", error.sqlstate, error.message),
        }
    }

    /// Texts and PostgreSQL 15's answer to `text::time`.
    #[test]
    fn times_are_read_and_written_as_by_postgresql() {
        for (text, expected) in [
            ("04:05", "04:05:00"),
            ("4:5:6.789", "04:05:06.789"),
            ("040506", "04:05:06"),
            ("0405", "04:05:00"),
            ("040506.789", "04:05:06.789"),
            ("04:05 AM", "04:05:00"),
            ("12:05 AM", "00:05:00"),
            ("04:05 pm", "16:05:00"),
            ("04:05:06+02", "04:05:06"),
            ("04:05:06 PST", "04:05:06"),
            ("24:00:00", "24:00:00"),
            ("23:59:60", "24:00:00"),
            ("2024-02-29 10:11", "10:11:00"),
            ("00:00:00.0000004", "00:00:00"),
            ("foo", "22007 invalid input syntax for type time: \"foo\""),
            ("", "22007 invalid input syntax for type time: \"\""),
            ("2024-02-29", "22007 invalid input syntax for type time: \"2024-02-29\""),
            ("25:00", "22008 date/time field value out of range: \"25:00\""),
            ("24:00:01", "22008 date/time field value out of range: \"24:00:01\""),
            ("10:60", "22008 date/time field value out of range: \"10:60\""),
        ] {
            assert_eq!(read_back(text), expected, "{text}");
        }
    }
}
