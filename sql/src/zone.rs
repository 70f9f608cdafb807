//! Time zones: which one a name means, and how far it is from UTC at a moment.
//!
//! The rules are those of the IANA database that is built in, so that a server gives the same answers wherever
//! it runs. A name is one of that database's, whatever its case, or an offset in POSIX's form, whose sign is
//! the other way round, as in PostgreSQL: `UTC+3` lies three hours west. Local times that a change of the clocks
//! skips or repeats are read as PostgreSQL reads them: by the offset before a gap, by the later one of two.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};

use crate::text_form::{MICROS_PER_DAY, civil_from_days, days_from_civil};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The built-in rules end with this year; later ones go on as the last of them do.
const LAST_YEAR: i64 = 2095;

/// All forms of a year, by its first weekday and its length, come up in so many years.
const YEAR_FORMS: i64 = 28;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: Cow<'static, str>,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// One of the database's.
    Known(Tz),
    /// So many seconds east of Greenwich, always, under an abbreviation.
    Fixed(i32, String),
}

/// Coordinated universal time.
pub static UTC: Zone = Zone { name: Cow::Borrowed("UTC"), rule: Rule::Known(Tz::UTC) };

impl Zone {
    /// The zone of a name, as AT TIME ZONE and plans name it; `None` where there is none.
    pub fn named(name: &str) -> Option<Zone> {
        let exact = name.parse::<Tz>().ok();
        let known =
            exact.or_else(|| TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name)));
        match known {
            Some(zone) => Some(Zone { name: Cow::Borrowed(zone.name()), rule: Rule::Known(zone) }),
            None => posix(name),
        }
    }

    /// The zone that a session's setting names: a name, or a number of hours east of Greenwich.
    pub fn of_setting(value: &str) -> Option<Zone> {
        match value.parse::<f64>() {
            Ok(hours) if hours.abs() < 168.0 => Some(fixed((hours * 3_600.0).round() as i32)),
            Ok(_) => None,
            Err(_) => Zone::named(value),
        }
    }

    /// The name, in the spelling that is shown.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of Greenwich at a moment, in microseconds since 1970.
    pub(crate) fn offset_at(&self, moment: i64) -> i64 {
        match &self.rule {
            Rule::Known(Tz::UTC) => 0,
            Rule::Known(zone) => known_time(moment)
                .map_or(0, |time| zone.offset_from_utc_datetime(&time).fix().local_minus_utc().into()),
            Rule::Fixed(seconds, _) => i64::from(*seconds),
        }
    }

    /// How clocks show a moment; `None` beyond 64 bits.
    pub(crate) fn local(&self, moment: i64) -> Option<i64> {
        moment.checked_add(self.offset_at(moment) * MICROS_PER_SECOND)
    }

    /// The moment at which clocks show a time; `None` beyond 64 bits.
    pub(crate) fn moment(&self, local: i64) -> Option<i64> {
        let before = self.offset_at(local.checked_sub(MICROS_PER_DAY)?);
        let after = self.offset_at(local.checked_add(MICROS_PER_DAY)?);
        let at = |offset: i64| local.checked_sub(offset * MICROS_PER_SECOND);
        let later = at(after)?;
        // In a gap neither holds, in a repetition both do.
        if before == after || self.offset_at(later) == after { Some(later) } else { at(before) }
    }

    /// What the time is called at a moment: `CET`, `+03`.
    pub(crate) fn abbreviation_at(&self, moment: i64) -> String {
        match &self.rule {
            Rule::Known(zone) => known_time(moment)
                .map(|time| zone.offset_from_utc_datetime(&time))
                .map_or_else(String::new, |offset| match offset.abbreviation() {
                    Some(name) => name.to_owned(),
                    None => offset.to_string(),
                }),
            Rule::Fixed(_, name) => name.clone(),
        }
    }
}

/// The moment in the years that the rules know, with the same rules in force. Months and days are the same there,
/// so whole weeks lie between.
fn known_time(moment: i64) -> Option<NaiveDateTime> {
    let (year, _, _) = civil_from_days(moment.div_euclid(MICROS_PER_DAY));
    let form = |year: i64| {
        let (first, next) = (days_from_civil(year, 1, 1), days_from_civil(year + 1, 1, 1));
        (first.rem_euclid(7), next - first)
    };
    let known = match year {
        ..=LAST_YEAR => year,
        _ => (LAST_YEAR - YEAR_FORMS + 1..=LAST_YEAR).find(|known| form(*known) == form(year))?,
    };
    let shift = (days_from_civil(known, 1, 1) - days_from_civil(year, 1, 1)) * MICROS_PER_DAY;
    DateTime::from_timestamp_micros(moment + shift).map(|time| time.naive_utc())
}

/// A fixed offset under the name that PostgreSQL gives it: `<+03>-03`.
fn fixed(seconds: i32) -> Zone {
    let mut shown = String::new();
    write_offset(seconds.into(), &mut shown);
    let mut other_way = String::new();
    write_offset((-seconds).into(), &mut other_way);
    if seconds == 0 {
        other_way = "-00".to_owned();
    }
    Zone { name: Cow::Owned(format!("<{shown}>{other_way}")), rule: Rule::Fixed(seconds, shown) }
}

/// `name±hours[:minutes[:seconds]]`, the name of letters, in angle brackets, or missing. West is positive.
fn posix(text: &str) -> Option<Zone> {
    let (name, offset) = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => {
            let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
            text.split_at(end)
        }
    };
    let seconds = parse_offset(offset, 167)?;
    let spelling = text.to_ascii_uppercase();
    Some(Zone { name: Cow::Owned(spelling), rule: Rule::Fixed(-seconds, name.to_ascii_uppercase()) })
}

/// `[±]hours[:minutes[:seconds]]` as seconds.
fn parse_offset(text: &str, hours_max: i32) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut fields = digits.split(':');
    let number = |field: &str, max: i32| {
        let is_number = (1..=3).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_digit());
        field.parse().ok().filter(|value: &i32| is_number && *value <= max)
    };
    let hours = number(fields.next()?, hours_max)?;
    let minutes = fields.next().map_or(Some(0), |field| number(field, 59))?;
    let seconds = fields.next().map_or(Some(0), |field| number(field, 59))?;
    fields.next().is_none().then_some(sign * (hours * 3_600 + minutes * 60 + seconds))
}

/// Appends `±HH[:MM[:SS]]`.
pub(crate) fn write_offset(seconds: i64, out: &mut impl Write) {
    let sign = if seconds < 0 { '-' } else { '+' };
    let magnitude = seconds.abs();
    _ = write!(out, "{sign}{:02}", magnitude / 3_600);
    if magnitude % 3_600 != 0 {
        _ = write!(out, ":{:02}", magnitude / 60 % 60);
    }
    if magnitude % 60 != 0 {
        _ = write!(out, ":{:02}", magnitude % 60);
    }
}

/// The zone in which AT TIME ZONE and literals understand a word: an abbreviation first, then a name.
pub(crate) fn zone_of_word(word: &str) -> Option<Zone> {
    match abbreviation(word) {
        Some(minutes) => {
            let rule = Rule::Fixed(minutes * 60, word.to_ascii_uppercase());
            Some(Zone { name: Cow::Owned(word.to_owned()), rule })
        }
        None => Zone::named(word),
    }
}

/// Minutes east of Greenwich that an abbreviation means, summer or winter.
pub(crate) fn abbreviation(word: &str) -> Option<i32> {
    #[rustfmt::skip]
    const ABBREVIATIONS: &[(&str, i32)] = &[
        ("acdt", 630), ("acst", 570), ("adt", -180), ("aedt", 660), ("aest", 600), ("akdt", -480),
        ("akst", -540), ("ast", -240), ("awst", 480), ("brst", -120), ("brt", -180), ("bst", 60),
        ("cct", 480), ("cdt", -300), ("cest", 120), ("cet", 60), ("cetdst", 120), ("cst", -360),
        ("eat", 180), ("edt", -240), ("eest", 180), ("eet", 120), ("eetdst", 180), ("est", -300),
        ("gmt", 0), ("hkt", 480), ("hst", -600), ("ict", 420), ("idt", 180), ("ist", 120),
        ("jst", 540), ("kst", 540), ("mdt", -360), ("mest", 120), ("met", 60), ("mst", -420),
        ("ndt", -150), ("nst", -210), ("nzdt", 780), ("nzst", 720), ("nzt", 720), ("pdt", -420),
        ("pht", 480), ("pkt", 300), ("pst", -480), ("sast", 120), ("uct", 0),
        ("ut", 0), ("utc", 0), ("wat", 60), ("wet", 0), ("wetdst", 60), ("z", 0), ("zulu", 0),
    ];
    let word = word.to_ascii_lowercase();
    ABBREVIATIONS.iter().find(|(known, _)| *known == word).map(|(_, minutes)| *minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_form::{parse_timestamp, write_timestamp};

    fn zone(name: &str) -> Zone {
        Zone::named(name).expect("a zone")
    }

    fn micros(text: &str) -> i64 {
        parse_timestamp(text).expect("a timestamp")
    }

    fn moment(local: &str, name: &str) -> String {
        let mut out = String::new();
        write_timestamp(zone(name).moment(micros(local)).expect("in range"), &mut out);
        out
    }

    /// What PostgreSQL 15 makes of local times.
    #[test]
    fn gaps_and_repetitions_are_read_as_by_postgresql() {
        assert_eq!(moment("2024-03-31 01:59", "Europe/Berlin"), "2024-03-31 00:59:00");
        assert_eq!(moment("2024-03-31 02:30", "Europe/Berlin"), "2024-03-31 01:30:00");
        assert_eq!(moment("2024-03-31 03:00", "Europe/Berlin"), "2024-03-31 01:00:00");
        assert_eq!(moment("2024-10-27 01:59", "Europe/Berlin"), "2024-10-26 23:59:00");
        assert_eq!(moment("2024-10-27 02:30", "Europe/Berlin"), "2024-10-27 01:30:00");
        assert_eq!(moment("2024-10-27 03:00", "Europe/Berlin"), "2024-10-27 02:00:00");
        assert_eq!(moment("2024-01-01 00:00", "America/New_York"), "2024-01-01 05:00:00");
    }

    #[test]
    fn rules_go_on_beyond_the_database() {
        assert_eq!(moment("2150-07-01", "Europe/Berlin"), "2150-06-30 22:00:00");
        assert_eq!(moment("20000-07-01", "Europe/Berlin"), "20000-06-30 22:00:00");
        assert_eq!(moment("20000-01-01", "Europe/Berlin"), "19999-12-31 23:00:00");
        assert_eq!(zone("Europe/Berlin").offset_at(micros("1890-01-01")), 3_208);
    }

    #[test]
    fn names_have_every_form() {
        assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
        assert_eq!(zone("foo-3"), Zone { name: "FOO-3".into(), rule: Rule::Fixed(10_800, "FOO".to_owned()) });
        assert_eq!(zone("+03:30").offset_at(0), -12_600);
        assert_eq!(Zone::of_setting("3").map(|zone| zone.name().to_owned()).as_deref(), Some("<+03>-03"));
        assert_eq!(
            Zone::of_setting("-3.5").map(|zone| zone.name().to_owned()).as_deref(),
            Some("<-03:30>+03:30")
        );
        // A shown name is a name again.
        for name in ["<+03>-03", "<-03:30>+03:30", "FOO-3", "+03:30", "Europe/Berlin", "UTC"] {
            assert_eq!(zone(name).name(), name);
        }
        for name in ["", "nowhere", "no/where", "+", "<+03", "UTC+200"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        assert_eq!(zone_of_word("EST").map(|zone| zone.offset_at(0)), Some(-18_000));
    }

    #[test]
    fn times_have_abbreviations() {
        assert_eq!(zone("Europe/Berlin").abbreviation_at(micros("2024-07-01")), "CEST");
        assert_eq!(zone("America/Sao_Paulo").abbreviation_at(micros("2024-07-01")), "-03");
    }
}
