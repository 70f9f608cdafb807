//! What the limits of types do to values: lengths in characters, digits of a second.

use std::borrow::Cow;

use millrace_engine::{DataError, Limit};

use super::timestamp::MICROS_PER_DAY;

/// Days from 1970 to 2000: from there PostgreSQL counts, and rounds away from, time.
const DAYS_TO_2000: i64 = 10_957;

/// The bytes at which a text's first characters end, so many of them.
fn end_of(text: &str, count: u32) -> usize {
    text.char_indices().nth(count as usize).map_or(text.len(), |(at, _)| at)
}

/// The text with blanks up to so many characters.
fn padded(text: &str, length: u32) -> Cow<'_, str> {
    let missing = (length as usize).saturating_sub(text.chars().count());
    if missing == 0 { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}{:missing$}", "")) }
}

/// The text as an explicit cast cuts and fills it; limits of time leave it.
pub(crate) fn cut_to(text: &str, limit: Limit) -> Cow<'_, str> {
    match limit {
        Limit::Varchar(Some(length)) => Cow::Borrowed(&text[..end_of(text, length)]),
        Limit::Char(length) => padded(&text[..end_of(text, length)], length),
        Limit::Varchar(None)
        | Limit::Timestamp(_)
        | Limit::TimestampTz(_)
        | Limit::Time(_)
        | Limit::Numeric { .. } => Cow::Borrowed(text),
    }
}

/// The text as a value of a column of this limit.
///
/// # Errors
/// 22001 where more than blanks would be cut off.
pub fn fitted(text: &str, limit: Limit) -> Result<Cow<'_, str>, DataError> {
    let (length, name) = match limit {
        Limit::Varchar(Some(length)) => (length, "character varying"),
        Limit::Char(length) => (length, "character"),
        Limit::Varchar(None)
        | Limit::Timestamp(_)
        | Limit::TimestampTz(_)
        | Limit::Time(_)
        | Limit::Numeric { .. } => return Ok(Cow::Borrowed(text)),
    };
    if !text[end_of(text, length)..].bytes().all(|byte| byte == b' ') {
        return Err(DataError::new("22001", format!("value too long for type {name}({length})")));
    }
    Ok(cut_to(text, limit))
}

/// The microseconds of the last digit that is kept.
fn unit(digits: u8) -> i64 {
    10i64.pow(6 - u32::from(digits.min(6)))
}

/// A timestamp with so many digits behind its seconds: rounded, halves away from the year 2000.
pub fn round_timestamp(micros: i64, digits: u8) -> i64 {
    let unit = unit(digits);
    let from_2000 = micros.saturating_sub(DAYS_TO_2000 * MICROS_PER_DAY);
    let steps = (from_2000.unsigned_abs() + unit as u64 / 2) / unit as u64;
    let rounded = (steps as i64).saturating_mul(unit) * from_2000.signum();
    rounded.saturating_add(DAYS_TO_2000 * MICROS_PER_DAY)
}

/// The same of a time of day; what is rounded up to its end is 24:00:00.
pub fn round_time(micros: i64, digits: u8) -> i64 {
    let unit = unit(digits);
    (micros + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_are_no_excess() {
        let fits =
            |text: &str, limit| fitted(text, limit).map(Cow::into_owned).map_err(|error| error.message);
        assert_eq!(fits("abc", Limit::Varchar(Some(3))), Ok("abc".to_owned()));
        assert_eq!(fits("abc  ", Limit::Varchar(Some(4))), Ok("abc ".to_owned()));
        assert_eq!(
            fits("abcd", Limit::Varchar(Some(3))),
            Err("value too long for type character varying(3)".to_owned())
        );
        assert_eq!(fits("é", Limit::Char(3)), Ok("é  ".to_owned()));
        assert_eq!(fits("abcd", Limit::Char(3)), Err("value too long for type character(3)".to_owned()));
        assert_eq!(cut_to("abcd", Limit::Char(3)), "abc");
    }

    #[test]
    fn digits_of_a_second_are_rounded() {
        let year_2000 = DAYS_TO_2000 * MICROS_PER_DAY;
        assert_eq!(round_timestamp(year_2000 + 1_500, 3), year_2000 + 2_000);
        assert_eq!(round_timestamp(year_2000 - 1_500, 3), year_2000 - 2_000);
        assert_eq!(round_timestamp(year_2000 - 1_499, 3), year_2000 - 1_000);
        assert_eq!(round_timestamp(1, 6), 1);
        assert_eq!(round_time(MICROS_PER_DAY - 1, 0), MICROS_PER_DAY);
    }
}
