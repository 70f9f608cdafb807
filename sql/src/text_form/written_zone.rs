//! Zones as they stand behind a time: abbreviations, offsets, names of the database.

use millrace_engine::DataError;

use super::timestamp::number;
use crate::zone::{Zone, abbreviation};

/// The zone in a text.
pub(super) enum WrittenZone {
    /// Seconds east of Greenwich.
    Offset(i64),
    /// A zone with its rules.
    Named(Zone),
}

impl WrittenZone {
    /// The zone that a word in lower case means; `None` where it is no zone.
    ///
    /// # Errors
    /// 22009 for an offset of too many hours, 22023 for a name that could be a zone's and is none.
    pub(super) fn read(word: &str, text: &str) -> Result<Option<WrittenZone>, DataError> {
        if let Some(minutes) = abbreviation(word) {
            return Ok(Some(WrittenZone::Offset(i64::from(minutes) * 60)));
        }
        if word.starts_with(['+', '-']) {
            let Some(seconds) = written_offset(word) else { return Ok(None) };
            if seconds.abs() >= 16 * 3_600 {
                let message = format!("time zone displacement out of range: \"{text}\"");
                return Err(DataError::new("22009", message));
            }
            return Ok(Some(WrittenZone::Offset(seconds)));
        }
        // Only such a name is taken for a zone's: other words could be anything.
        if !word.contains('/') && !word.contains(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        match Zone::named(word) {
            Some(zone) => Ok(Some(WrittenZone::Named(zone))),
            None => Err(DataError::new("22023", format!("time zone \"{word}\" not recognized"))),
        }
    }
}

/// `±H`, `±HH`, `±HHMM`, `±HH:MM`, `±HH:MM:SS` as seconds.
fn written_offset(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+')?),
    };
    let seconds = match digits.split(':').collect::<Vec<_>>().as_slice() {
        [hours] if hours.len() > 2 => {
            let (hours, minutes) = hours.split_at_checked(hours.len() - 2)?;
            number(hours, 1, 2)? * 3_600 + number(minutes, 2, 2).filter(|minutes| *minutes < 60)? * 60
        }
        [hours] => number(hours, 1, 2)? * 3_600,
        [hours, rest @ ..] if rest.len() <= 2 => {
            let mut seconds = number(hours, 1, 2)? * 3_600;
            for (field, unit) in rest.iter().zip([60, 1]) {
                seconds += number(field, 1, 2).filter(|value| *value < 60)? * unit;
            }
            seconds
        }
        _ => return None,
    };
    Some(sign * seconds)
}
