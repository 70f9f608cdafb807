//! Intervals as text, in PostgreSQL's own style: `1 year 2 mons -3 days +04:05:06.7`.
//!
//! Months, days and time stand side by side; a fraction of a greater unit is carried down by 12 months
//! a year, 30 days a month, 24 hours a day, as PostgreSQL does. The time is kept within Arrow's 64 bits
//! of nanoseconds (292 years); beyond, an interval is out of range.

use std::fmt::Write;

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use millrace_engine::{DataError, Literal};

use super::timestamp::{MICROS_PER_DAY, MICROS_PER_SECOND, write_time};
use super::trim;

const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
const NANOS_PER_MICRO: i64 = 1_000;

/// A span of time whose parts do not become one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Months, also those of years.
    pub months: i32,
    /// Days, also those of weeks.
    pub days: i32,
    /// The time, in microseconds.
    pub micros: i64,
}

impl Interval {
    /// The interval of Arrow's value.
    pub fn from_arrow(value: IntervalMonthDayNano) -> Interval {
        Interval { months: value.months, days: value.days, micros: value.nanoseconds / NANOS_PER_MICRO }
    }

    /// Arrow's value.
    ///
    /// # Errors
    /// 22008
    pub fn to_arrow(self) -> Result<IntervalMonthDayNano, DataError> {
        let nanos = self.micros.checked_mul(NANOS_PER_MICRO).ok_or_else(interval_out_of_range)?;
        Ok(IntervalMonthDayNano::new(self.months, self.days, nanos))
    }

    /// The constant.
    pub fn literal(self) -> Literal {
        Literal::Interval { months: self.months, days: self.days, micros: self.micros }
    }

    /// What intervals compare by: microseconds, with months of 30 days and days of 24 hours.
    pub(crate) fn normal(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(MICROS_PER_DAY) + i128::from(self.micros)
    }
}

/// 22008 as PostgreSQL words it.
pub(crate) fn interval_out_of_range() -> DataError {
    DataError::new("22008", "interval out of range")
}

/// Appends the interval to a buffer in memory: writing to it cannot fail.
pub fn write_interval(interval: Interval, out: &mut impl Write) {
    let mut before: Option<i64> = None;
    let parts = [
        (i64::from(interval.months / 12), "year"),
        (i64::from(interval.months % 12), "mon"),
        (i64::from(interval.days), "day"),
    ];
    for (value, unit) in parts.into_iter().filter(|(value, _)| *value != 0) {
        let space = if before.is_some() { " " } else { "" };
        // After a negative part a positive one shows its sign.
        let sign = if value > 0 && before.is_some_and(|before| before < 0) { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        before = Some(value);
    }
    if interval.micros == 0 && before.is_some() {
        return;
    }
    let sign = match (interval.micros < 0, before) {
        (true, _) => "-",
        (false, Some(before)) if before < 0 => "+",
        _ => "",
    };
    _ = write!(out, "{}{sign}", if before.is_some() { " " } else { "" });
    write_time(interval.micros.unsigned_abs(), out);
}

/// A unit of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntervalField {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// Reads an interval: numbers with units (`1 day 2.5 hours ago`), times (`02:03[:04.5]`), `Y-M`, or ISO
/// 8601's `P1Y2M3DT4H5M6S`.
///
/// # Errors
/// 22007 for what is none, 22008 and 22015 for what is out of range
pub fn parse_interval(text: &str) -> Result<Interval, DataError> {
    parse(text, None)
}

/// `INTERVAL 'text' field`: a number without a unit counts in the field, and what is less than the field is cut off.
pub(crate) fn parse_interval_of(text: &str, field: IntervalField) -> Result<Interval, DataError> {
    let mut interval = parse(text, Some(field))?;
    let keeps = |least: IntervalField| least as u8 <= field as u8;
    if !keeps(IntervalField::Month) {
        interval.months -= interval.months % 12;
    }
    if !keeps(IntervalField::Day) {
        interval.days = 0;
    }
    interval.micros -= match field {
        IntervalField::Year | IntervalField::Month | IntervalField::Day => interval.micros,
        IntervalField::Hour => interval.micros % MICROS_PER_HOUR,
        IntervalField::Minute => interval.micros % (60 * MICROS_PER_SECOND),
        IntervalField::Second => 0,
    };
    Ok(interval)
}

fn parse(text: &str, field: Option<IntervalField>) -> Result<Interval, DataError> {
    let word = trim(text).to_ascii_lowercase();
    let mut sum = Sum::default();
    let read = match word.strip_prefix('p') {
        Some(iso) => read_iso(iso, &mut sum),
        None => read_words(&word, field, &mut sum),
    };
    if read.is_none() {
        return Err(DataError::new("22007", format!("invalid input syntax for type interval: \"{text}\"")));
    }
    sum.finish(text)
}

/// A unit with its months, days or microseconds.
#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

fn unit(name: &str) -> Option<Unit> {
    const SECOND: i64 = MICROS_PER_SECOND;
    Some(match name {
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" | "usecond" | "useconds" => Unit::Micros(1),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" => {
            Unit::Micros(1_000)
        }
        "second" | "seconds" | "s" | "sec" | "secs" => Unit::Micros(SECOND),
        "minute" | "minutes" | "m" | "min" | "mins" => Unit::Micros(60 * SECOND),
        "hour" | "hours" | "h" | "hr" | "hrs" => Unit::Micros(MICROS_PER_HOUR),
        "day" | "days" | "d" => Unit::Days(1),
        "week" | "weeks" | "w" => Unit::Days(7),
        "month" | "months" | "mon" | "mons" => Unit::Months(1),
        "year" | "years" | "y" | "yr" | "yrs" => Unit::Months(12),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120),
        "century" | "centuries" | "c" | "cent" => Unit::Months(1_200),
        "millennium" | "millennia" | "mil" | "mils" => Unit::Months(12_000),
        _ => return None,
    })
}

fn unit_of(field: IntervalField) -> Unit {
    match field {
        IntervalField::Year => Unit::Months(12),
        IntervalField::Month => Unit::Months(1),
        IntervalField::Day => Unit::Days(1),
        IntervalField::Hour => Unit::Micros(MICROS_PER_HOUR),
        IntervalField::Minute => Unit::Micros(60 * MICROS_PER_SECOND),
        IntervalField::Second => Unit::Micros(MICROS_PER_SECOND),
    }
}

/// The parts read so far, wide enough that no text of a statement's length overflows them.
#[derive(Default)]
struct Sum {
    months: i128,
    days: i128,
    micros: i128,
    too_large: bool,
}

impl Sum {
    /// Adds a number of units; fractions go down to days and to the time.
    fn add(&mut self, number: &Number, unit: Unit) {
        self.too_large |= number.too_large;
        let (whole, fraction) = (i128::from(number.whole), number.fraction);
        match unit {
            Unit::Months(1) => {
                self.months += whole;
                self.add_days(fraction * 30.0);
            }
            Unit::Months(months) => {
                self.months += whole * i128::from(months);
                self.months += (fraction * months as f64).round_ties_even() as i128;
            }
            Unit::Days(days) => {
                self.days += whole * i128::from(days);
                self.add_days(fraction * days as f64);
            }
            Unit::Micros(micros) => {
                self.micros += whole * i128::from(micros);
                self.micros += (fraction * micros as f64).round_ties_even() as i128;
            }
        }
    }

    fn add_days(&mut self, days: f64) {
        self.days += days.trunc() as i128;
        self.micros += (days.fract() * MICROS_PER_DAY as f64).round_ties_even() as i128;
    }

    fn finish(&self, text: &str) -> Result<Interval, DataError> {
        let out_of_range =
            || DataError::new("22015", format!("interval field value out of range: \"{text}\""));
        if self.too_large {
            return Err(out_of_range());
        }
        let interval = Interval {
            months: i32::try_from(self.months).map_err(|_| interval_out_of_range())?,
            days: i32::try_from(self.days).map_err(|_| out_of_range())?,
            micros: i64::try_from(self.micros).map_err(|_| out_of_range())?,
        };
        interval.to_arrow()?;
        Ok(interval)
    }
}

/// A signed decimal number.
struct Number {
    whole: i64,
    /// Of the whole's sign.
    fraction: f64,
    too_large: bool,
}

/// Takes a number off the front.
fn number(text: &str) -> Option<(Number, &str)> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    let parsed = if whole.is_empty() { Ok(0) } else { whole.parse::<i64>() };
    let too_large =
        parsed.is_err() || parsed.as_ref().is_ok_and(|whole| *whole > i64::from(i32::MAX) * 1_000_000);
    let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
    Some((Number { whole: parsed.unwrap_or(0) * sign, fraction: fraction * sign as f64, too_large }, rest))
}

fn read_words(word: &str, field: Option<IntervalField>, sum: &mut Sum) -> Option<()> {
    let mut rest = word.strip_prefix('@').unwrap_or(word).trim_start();
    let ago = rest.strip_suffix("ago").filter(|before| before.ends_with([' ', '\t']));
    rest = ago.unwrap_or(rest).trim_end();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        rest = read_part(rest, field, sum)?.trim_start();
    }
    if ago.is_some() {
        (sum.months, sum.days, sum.micros) = (-sum.months, -sum.days, -sum.micros);
    }
    Some(())
}

/// Reads a time, `Y-M`, or a number with its unit; what follows it.
fn read_part<'t>(text: &'t str, field: Option<IntervalField>, sum: &mut Sum) -> Option<&'t str> {
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (part, after) = text.split_at(end);
    if part.contains(':') {
        read_time(part, sum)?;
        return Some(after);
    }
    let (value, rest) = number(text)?;
    if let Some(months) = rest.strip_prefix('-') {
        let (months, rest) = number(months)?;
        if !(rest.is_empty() || rest.starts_with(' ')) || months.whole > 11 || months.fraction != 0.0 {
            return None;
        }
        let sign = if text.starts_with('-') { -1 } else { 1 };
        sum.add(&value, Unit::Months(12));
        sum.add(&Number { whole: months.whole * sign, ..months }, Unit::Months(1));
        return Some(rest);
    }
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if !(after.is_empty() || after.starts_with([' ', '\t']) || name.is_empty()) {
        return None;
    }
    let unit = match name {
        // Before a time, a number alone counts days; at the end, seconds.
        "" if rest.is_empty() => field.map_or(Unit::Micros(MICROS_PER_SECOND), unit_of),
        "" if rest.split(' ').next().is_some_and(|next| next.contains(':')) => Unit::Days(1),
        name => unit(name)?,
    };
    sum.add(&value, unit);
    Some(after)
}

/// `[±]H:M[:S[.f]]`; `M:S.f` where the second field has a fraction.
fn read_time(part: &str, sum: &mut Sum) -> Option<()> {
    let sign = if part.starts_with('-') { -1 } else { 1 };
    let unsigned = part.strip_prefix(['+', '-']).unwrap_or(part);
    let mut fields = Vec::new();
    for field in unsigned.split(':') {
        let (value, rest) = number(field).filter(|_| field.starts_with(|c: char| c.is_ascii_digit()))?;
        if !rest.is_empty() {
            return None;
        }
        fields.push(Number { whole: value.whole * sign, fraction: value.fraction * sign as f64, ..value });
    }
    let units: &[IntervalField] = match fields.as_slice() {
        [_, second] if second.fraction != 0.0 => &[IntervalField::Minute, IntervalField::Second],
        [_, _] => &[IntervalField::Hour, IntervalField::Minute],
        [_, _, _] => &[IntervalField::Hour, IntervalField::Minute, IntervalField::Second],
        _ => return None,
    };
    for (value, field) in fields.iter().zip(units) {
        sum.add(value, unit_of(*field));
    }
    Some(())
}

/// `nYnMnWnDTnHnMnS` behind the P.
fn read_iso(text: &str, sum: &mut Sum) -> Option<()> {
    let (mut rest, mut in_time, mut parts) = (text, false, 0);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('t').filter(|_| !in_time) {
            (rest, in_time) = (time, true);
            continue;
        }
        let (value, after) = number(rest)?;
        let unit = match (after.chars().next()?, in_time) {
            ('y', false) => Unit::Months(12),
            ('m', false) => Unit::Months(1),
            ('w', false) => Unit::Days(7),
            ('d', false) => Unit::Days(1),
            ('h', true) => unit_of(IntervalField::Hour),
            ('m', true) => unit_of(IntervalField::Minute),
            ('s', true) => unit_of(IntervalField::Second),
            _ => return None,
        };
        sum.add(&value, unit);
        rest = &after[1..];
        parts += 1;
    }
    (parts > 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(interval: Result<Interval, DataError>) -> String {
        let mut out = String::new();
        match interval {
            Ok(interval) => write_interval(interval, &mut out),
            Err(error) => out = format!("{} {}", error.sqlstate, error.message),
        }
        out
    }

    /// Texts and PostgreSQL 15's answer to `text::interval`.
    #[test]
    fn intervals_are_read_and_written_as_by_postgresql() {
        for (text, expected) in [
            ("90 day", "90 days"),
            ("1 month", "1 mon"),
            ("1 year 2 mons -3 days", "1 year 2 mons -3 days"),
            ("1 day 02:03:04", "1 day 02:03:04"),
            ("10 seconds", "00:00:10"),
            ("1.5 days", "1 day 12:00:00"),
            ("0.5 month", "15 days"),
            ("1.5 year", "1 year 6 mons"),
            ("02:03", "02:03:00"),
            ("-1 day +02:03:04.5", "-1 days +02:03:04.5"),
            ("1 week", "7 days"),
            ("1.5 hours 3 minutes ago", "-01:33:00"),
            ("100 ms", "00:00:00.1"),
            ("5", "00:00:05"),
            ("36 hours", "36:00:00"),
            ("1 decade", "10 years"),
            ("1.2 weeks", "8 days 09:36:00"),
            ("-00:00:01", "-00:00:01"),
            ("-1 mon", "-1 mons"),
            ("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"),
            ("3 4:05", "3 days 04:05:00"),
            ("1-2", "1 year 2 mons"),
            ("@ 1 minute", "00:01:00"),
            ("0", "00:00:00"),
        ] {
            assert_eq!(shown(parse_interval(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_field_counts_bare_numbers_and_cuts() {
        for (text, field, expected) in [
            ("1", IntervalField::Year, "1 year"),
            ("5", IntervalField::Minute, "00:05:00"),
            ("1.5", IntervalField::Second, "00:00:01.5"),
            ("3", IntervalField::Day, "3 days"),
            ("1 day 3 hours", IntervalField::Day, "1 day"),
            ("3", IntervalField::Month, "3 mons"),
            ("1:59", IntervalField::Hour, "01:00:00"),
        ] {
            assert_eq!(shown(parse_interval_of(text, field)), expected, "{text}");
        }
    }

    #[test]
    fn wrong_intervals_say_how() {
        for (text, expected) in [
            ("foo", "22007 invalid input syntax for type interval: \"foo\""),
            ("1 foo", "22007 invalid input syntax for type interval: \"1 foo\""),
            ("", "22007 invalid input syntax for type interval: \"\""),
            ("P", "22007 invalid input syntax for type interval: \"P\""),
            ("99999999999 days", "22015 interval field value out of range: \"99999999999 days\""),
            ("300000000 years", "22008 interval out of range"),
        ] {
            assert_eq!(shown(parse_interval(text)), expected, "{text}");
        }
    }
}
