//! Timestamps as text: PostgreSQL's ISO output form, and the forms of it that are read back.
//!
//! A timestamp is microseconds since 1970 in the proleptic Gregorian calendar. There is no infinite
//! timestamp: expressions would take it for a moment. The day arithmetic is Howard Hinnant's (days from civil).

use std::fmt::Write;

use millrace_engine::DataError;

use super::iso::Iso;
use super::written_zone::WrittenZone;
use super::{invalid_syntax, trim};
use crate::zone::{Zone, write_offset};

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// 4714-11-24 BC, the first day that PostgreSQL takes.
pub(crate) const FIRST_DAY: i64 = -2_440_588;

/// Appends `YYYY-MM-DD HH:MM:SS[.ffffff]`, without trailing zeros in the fraction, to a buffer in memory:
/// writing to it cannot fail.
pub fn write_timestamp(micros: i64, out: &mut impl Write) {
    let (days, rest) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let before_christ = write_day(days, out);
    _ = out.write_char(' ');
    write_time(rest.unsigned_abs(), out);
    if before_christ {
        _ = out.write_str(" BC");
    }
}

/// Appends `YYYY-MM-DD HH:MM:SS[.ffffff]±HH[:MM[:SS]]`, as the clocks of a zone show the moment.
pub fn write_timestamptz(micros: i64, zone: &Zone, out: &mut impl Write) {
    let offset = zone.offset_at(micros);
    let local = micros.saturating_add(offset * MICROS_PER_SECOND);
    let (days, rest) = (local.div_euclid(MICROS_PER_DAY), local.rem_euclid(MICROS_PER_DAY));
    let before_christ = write_day(days, out);
    _ = out.write_char(' ');
    write_time(rest.unsigned_abs(), out);
    write_offset(offset, out);
    if before_christ {
        _ = out.write_str(" BC");
    }
}

/// Appends `YYYY-MM-DD`; whether the year is before Christ, which stands behind all the rest.
pub(super) fn write_day(days: i64, out: &mut impl Write) -> bool {
    let (year, month, day) = civil_from_days(days);
    let shown = if year > 0 { year } else { 1 - year };
    _ = write!(out, "{shown:04}-{month:02}-{day:02}");
    year <= 0
}

/// Appends `HH:MM:SS[.ffffff]`.
pub(super) fn write_time(micros: u64, out: &mut impl Write) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// Year, month and day of a day since 1970; year 0 is 1 BC.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970; year 0 is 1 BC.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Reads a timestamp: a date as `Y-M-D`, `Y/M/D`, `YYYYMMDD`, `M/D/Y` or with the month's name, then a
/// time, a zone (which a timestamp without time zone ignores) and BC, each optional.
///
/// # Errors
/// 22007, 22008; 0A000 for the infinities
pub fn parse_timestamp(text: &str) -> Result<i64, DataError> {
    if let Some(iso) = Iso::read(text) {
        return Ok(iso.micros());
    }
    let word = trim(text).to_ascii_lowercase();
    match word.as_str() {
        "infinity" | "-infinity" => {
            return Err(DataError::new("0A000", format!("timestamp {word} is not supported")));
        }
        "epoch" => return Ok(0),
        _ => {}
    }
    let parts = Parts::read(&word, text, "timestamp")?;
    parts.micros().ok_or_else(|| DataError::new("22008", format!("timestamp out of range: \"{text}\"")))
}

/// Reads a timestamp with time zone: a moment. Without a zone of its own the text means one in `zone`.
///
/// # Errors
/// 22007, 22008, 22009, 22023; 0A000 for the infinities
pub fn parse_timestamptz(text: &str, zone: &Zone) -> Result<i64, DataError> {
    if let Some(iso) = Iso::read(text) {
        let moment = match iso.offset {
            Some(seconds) => Some(iso.micros() - seconds * MICROS_PER_SECOND),
            None => zone.moment(iso.micros()),
        };
        if let Some(moment) = moment {
            return Ok(moment);
        }
    }
    let word = trim(text).to_ascii_lowercase();
    match word.as_str() {
        "infinity" | "-infinity" => {
            return Err(DataError::new("0A000", format!("timestamp with time zone {word} is not supported")));
        }
        "epoch" => return Ok(0),
        _ => {}
    }
    let parts = Parts::read(&word, text, "timestamp with time zone")?;
    let moment = parts.micros().and_then(|local| match &parts.zone {
        Some(WrittenZone::Offset(seconds)) => local.checked_sub(seconds * MICROS_PER_SECOND),
        Some(WrittenZone::Named(own)) => own.moment(local),
        None => zone.moment(local),
    });
    let in_range = moment.filter(|moment| moment.div_euclid(MICROS_PER_DAY) >= FIRST_DAY);
    in_range.ok_or_else(|| DataError::new("22008", format!("timestamp out of range: \"{text}\"")))
}

/// A timestamp's fields as written.
#[derive(Default)]
pub(super) struct Parts {
    before_christ: bool,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// What stands behind the time, and the zone that it is.
    pub(super) zone_word: String,
    zone: Option<WrittenZone>,
}

impl Parts {
    /// The fields of a word in lower case; errors show `text`.
    pub(super) fn read(word: &str, text: &str, type_name: &str) -> Result<Parts, DataError> {
        let invalid = || {
            let mut error = invalid_syntax(type_name, text);
            error.sqlstate = "22007".to_owned();
            error
        };
        let mut parts = Parts::parse(&super::date::month_as_number(word)).ok_or_else(invalid)?;
        if !parts.zone_word.is_empty() {
            parts.zone = Some(WrittenZone::read(&parts.zone_word, text)?.ok_or_else(invalid)?);
        }
        if !parts.in_range() {
            return Err(DataError::new("22008", format!("date/time field value out of range: \"{text}\"")));
        }
        Ok(parts)
    }

    fn parse(word: &str) -> Option<Parts> {
        let (word, before_christ) = match word.strip_suffix(" bc") {
            Some(rest) => (rest.trim_end(), true),
            None => (word.strip_suffix(" ad").unwrap_or(word).trim_end(), false),
        };
        let end = word.find(['t', ' ']).unwrap_or(word.len());
        let (date, time) = word.split_at(end);
        let mut parts = Parts { before_christ, ..Parts::parse_date(date)? };
        let is_time = time.starts_with('t') || time.trim_start().starts_with(|c: char| c.is_ascii_digit());
        if is_time {
            parts.parse_time(time.strip_prefix('t').unwrap_or(time).trim_start())?;
        } else {
            parts.zone_word = time.trim().to_owned();
        }
        Some(parts)
    }

    /// The fields of a time of day alone.
    pub(super) fn of_clock(word: &str) -> Option<Parts> {
        let mut parts = Parts::default();
        parts.parse_time(word)?;
        Some(parts)
    }

    /// Microseconds since midnight; `None` where a field is out of range.
    pub(super) fn time_of_day(&self) -> Option<i64> {
        let in_range = self.hour <= 24 && self.minute < 60 && self.second <= 60;
        let seconds = (self.hour * 60 + self.minute) * 60 + self.second;
        let micros = seconds * MICROS_PER_SECOND + self.micros;
        (in_range && micros <= MICROS_PER_DAY).then_some(micros)
    }

    fn parse_date(date: &str) -> Option<Parts> {
        if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) {
            let (year, rest) = date.split_at(4);
            let (month, day) = rest.split_at(2);
            return Parts::of_date(year, month, day);
        }
        let separator = if date.contains('/') { '/' } else { '-' };
        let mut fields = date.split(separator);
        let (first, second, third) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        // A year has three digits or more; else PostgreSQL's default order, month day year.
        if first.len() >= 3 {
            Parts::of_date(first, second, third)
        } else {
            Parts::of_date(third, first, second)
        }
    }

    fn of_date(year: &str, month: &str, day: &str) -> Option<Parts> {
        let short = year.len() <= 2;
        let (year, month, day) = (number(year, 1, 7)?, number(month, 1, 2)?, number(day, 1, 2)?);
        // Two digits are a year from 1970 to 2069.
        let year = if short { year + if year < 70 { 2000 } else { 1900 } } else { year };
        Some(Parts { year, month, day, ..Parts::default() })
    }

    fn parse_time(&mut self, time: &str) -> Option<()> {
        let end = time.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(time.len());
        let (clock, zone) = time.split_at(end);
        let zone = zone.trim();
        let half = ["am", "pm"].into_iter().find(|half| {
            zone.strip_prefix(half).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '+', '-']))
        });
        self.zone_word = zone[half.map_or(0, str::len)..].trim().to_owned();
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut fields = clock.split(':');
        self.hour = number(fields.next()?, 1, 2)?;
        self.minute = number(fields.next()?, 1, 2)?;
        self.second = match fields.next() {
            Some(second) => number(second, 1, 2)?,
            None if fraction.is_empty() => 0,
            None => return None,
        };
        self.micros = fraction_micros(fraction)?;
        match (half, self.hour) {
            (None, _) | (Some("am"), ..12) => {}
            (Some("am"), 12) => self.hour = 0,
            (Some(_), ..12) => self.hour += 12,
            (Some(_), 12) => {}
            // No hour of twelve: out of range.
            (Some(_), _) => self.hour = 25,
        }
        fields.next().is_none().then_some(())
    }

    /// 24:00:00 and a second of 60 are taken, as in PostgreSQL.
    fn in_range(&self) -> bool {
        let midnight = self.hour == 24 && self.minute == 0 && self.second == 0 && self.micros == 0;
        (1..=12).contains(&self.month)
            && (1..=days_in_month(self.astronomical_year(), self.month)).contains(&self.day)
            && self.year > 0
            && (self.hour < 24 || midnight)
            && self.minute < 60
            && self.second <= 60
    }

    /// There is no year 0: 1 BC is year 0 of the arithmetic.
    fn astronomical_year(&self) -> i64 {
        if self.before_christ { 1 - self.year } else { self.year }
    }

    /// The day, counted from 1970; the time of day is left away.
    pub(super) fn days(&self) -> i64 {
        days_from_civil(self.astronomical_year(), self.month, self.day)
    }

    /// Seconds east of Greenwich, where that is what the zone says.
    #[cfg(test)]
    pub(super) fn offset(&self) -> Option<i64> {
        match self.zone {
            Some(WrittenZone::Offset(seconds)) => Some(seconds),
            Some(WrittenZone::Named(_)) | None => None,
        }
    }

    pub(super) fn micros(&self) -> Option<i64> {
        let days = self.days();
        let seconds = self.hour * 3600 + self.minute * 60 + self.second;
        (days >= FIRST_DAY)
            .then(|| days.checked_mul(MICROS_PER_DAY)?.checked_add(seconds * MICROS_PER_SECOND + self.micros))
            .flatten()
    }
}

/// Digits only, of this many.
pub(super) fn number(text: &str, least: usize, most: usize) -> Option<i64> {
    let fits = (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// A fraction of a second in microseconds, rounded as PostgreSQL rounds it: through a double.
fn fraction_micros(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: f64 = format!("0.{fraction}0").parse().ok()?;
    Some((seconds * 1e6).round_ties_even() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(micros: i64) -> String {
        let mut out = String::new();
        write_timestamp(micros, &mut out);
        out
    }

    fn read_back(text: &str) -> Result<String, String> {
        parse_timestamp(text).map(shown).map_err(|error| error.sqlstate)
    }

    /// Texts and PostgreSQL 15's answer to `text::timestamp`.
    #[test]
    fn timestamps_are_read_and_written_as_by_postgresql() {
        let cases = [
            ("2024-02-29 12:34:56.789", "2024-02-29 12:34:56.789"),
            ("2024-02-29T12:34:56.000001", "2024-02-29 12:34:56.000001"),
            ("2024-02-29", "2024-02-29 00:00:00"),
            ("  20240229 01:02 ", "2024-02-29 01:02:00"),
            ("2024/2/9 1:2:3", "2024-02-09 01:02:03"),
            ("2/9/99", "1999-02-09 00:00:00"),
            ("2/9/2024 1:02:03", "2024-02-09 01:02:03"),
            ("2024-01-01 24:00:00", "2024-01-02 00:00:00"),
            ("2024-01-01 23:59:60", "2024-01-02 00:00:00"),
            ("1999-12-31 23:59:59.9999995", "2000-01-01 00:00:00"),
            ("2024-01-01 00:00:00+02", "2024-01-01 00:00:00"),
            ("2024-01-01 00:00:00Z", "2024-01-01 00:00:00"),
            ("2024-01-01 00:00:00 UTC", "2024-01-01 00:00:00"),
            ("0001-01-01", "0001-01-01 00:00:00"),
            ("0001-12-31 BC", "0001-12-31 00:00:00 BC"),
            ("0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"),
            ("12345-01-02 03:04:05.5", "12345-01-02 03:04:05.5"),
            ("2000-01-01 00:00:00.1234565", "2000-01-01 00:00:00.123456"),
            ("2000-01-01 00:00:00.1234575", "2000-01-01 00:00:00.123458"),
            ("epoch", "1970-01-01 00:00:00"),
            ("2014-01-02T03:04:05.5", "2014-01-02 03:04:05.5"),
            ("2014-01-02 03:04", "2014-01-02 03:04:00"),
            ("2014-1-2 3:04:05", "2014-01-02 03:04:05"),
            (" 2014-01-02 03:04:05.1234567 ", "2014-01-02 03:04:05.123457"),
            ("2016-02-29 23:59:60", "2016-03-01 00:00:00"),
            ("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
        ];
        for (text, expected) in cases {
            assert_eq!(read_back(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_timestamps_say_how() {
        for text in [
            "",
            "abc",
            "2024",
            "2024-01",
            "2024-01-01x",
            "2024-01-01 1",
            "2024-01-01T",
            "2024-01-01 10:00 nowhere",
        ] {
            assert_eq!(read_back(text), Err("22007".to_owned()), "{text}");
        }
        for text in [
            "2024-13-01",
            "2023-02-29",
            "2024-01-01 25:00:00",
            "2024-01-01 10:60:00",
            "0000-01-01",
            "99-01-02",
            "999999-01-01",
            "4714-11-23 BC",
        ] {
            assert_eq!(read_back(text), Err("22008".to_owned()), "{text}");
        }
    }

    #[test]
    fn errors_repeat_the_text() {
        let message = |text: &str| parse_timestamp(text).expect_err("an error").message;
        assert_eq!(message("2014-13-01"), "date/time field value out of range: \"2014-13-01\"");
        assert_eq!(message("yesterday?"), "invalid input syntax for type timestamp: \"yesterday?\"");
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}
