//! `to_date(text, pattern)` and `to_timestamp(text, pattern)`: a text read by PostgreSQL's template patterns.
//!
//! The pattern's parts take what they mean off the text, one after the other. Outside FX mode blanks before and
//! behind fields do not count, and a separator of the pattern stands for one of the text, or for none.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Date32Type, TimestampMicrosecondType};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::moment_fields::Fields;
use super::moment_pattern::{Field, Part, parts};
use super::to_char::{DAYS, ROMAN_MONTHS};
use super::zoned::{moment_in, moments, session_zone};
use crate::text_form::{MICROS_PER_DAY, MONTHS};

/// `to_date(text, pattern)`
pub(crate) fn to_date(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    let date = |row| {
        let (days, _, _) = read(text(row), pattern(row))?.moment(text(row))?;
        i32::try_from(days)
            .map_err(|_| DataError::new("22008", format!("date out of range: \"{}\"", text(row))))
    };
    Ok(Arc::new(inputs.build::<Date32Type>(date)?))
}

/// `to_timestamp(text, pattern)`, as the session's clocks show the moment where the text has no zone
pub(crate) fn to_timestamp(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, pattern, zone) = (inputs.get(0).text(), inputs.get(1).text(), session_zone(inputs));
    let moment = |row| {
        let (days, micros, offset) = read(text(row), pattern(row))?.moment(text(row))?;
        let local = days.checked_mul(MICROS_PER_DAY).and_then(|start| start.checked_add(micros));
        let local = local.ok_or_else(|| DataError::new("22008", "timestamp out of range"))?;
        match offset {
            Some(seconds) => Ok(local - seconds * 1_000_000),
            None => moment_in(&zone(row)?, local),
        }
    };
    Ok(moments(inputs.build::<TimestampMicrosecondType>(moment)?))
}

fn read(text: &str, pattern: &str) -> Result<Fields, DataError> {
    Reader { text, rest: text, exact: false, skipped: 0, fields: Fields::default() }.run(&parts(pattern))
}

/// A text on its way through a pattern.
struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    /// FX
    exact: bool,
    /// How many blanks were passed over more than the pattern has.
    skipped: i64,
    fields: Fields,
}

/// What comes behind a field decides how far its digits go.
fn ends_digits(next: Option<&Part>) -> bool {
    match next {
        None => true,
        Some(Part::Text { text, .. }) => !text.starts_with(|char: char| char.is_ascii_digit()),
        Some(Part::Field { field, .. }) => !field.is_digits(),
        Some(Part::Exact) => true,
    }
}

fn is_separator(char: char) -> bool {
    char.is_ascii()
        && !char.is_ascii_alphanumeric()
        && !char.is_ascii_whitespace()
        && !char.is_ascii_control()
}

impl<'t> Reader<'t> {
    fn run(mut self, parts: &[Part]) -> Result<Fields, DataError> {
        for (index, part) in parts.iter().enumerate() {
            if self.rest.is_empty() {
                break;
            }
            match part {
                Part::Exact => self.exact = true,
                Part::Text { text, quoted } => {
                    if !self.exact && index == 0 {
                        self.skip_blanks();
                    }
                    text.chars().for_each(|char| self.text_char(char, *quoted));
                }
                Part::Field { field, name, unpadded, ordinal } => {
                    if !self.exact {
                        self.skip_blanks();
                    }
                    let greedy = *unpadded || ordinal.is_some() || ends_digits(parts.get(index + 1));
                    self.field(*field, name, greedy)?;
                    if ordinal.is_some() {
                        self.skip_chars(2);
                    }
                    if !self.exact {
                        self.skipped = 0;
                        self.skip_blanks();
                    }
                }
            }
        }
        Ok(self.fields)
    }

    fn skip_blanks(&mut self) {
        let after = self.rest.trim_start_matches(|char: char| char.is_ascii_whitespace());
        self.skipped += (self.rest.len() - after.len()) as i64;
        self.rest = after;
    }

    fn skip_chars(&mut self, count: usize) {
        let mut chars = self.rest.chars();
        (0..count).for_each(|_| _ = chars.next());
        self.rest = chars.as_str();
    }

    /// A character of the pattern that is no field.
    fn text_char(&mut self, char: char, quoted: bool) {
        let separates = !quoted && (is_separator(char) || char.is_ascii_whitespace());
        if self.exact {
            self.skip_chars(1);
        } else if separates {
            self.skipped -= 1;
            if self.rest.starts_with(|char: char| char.is_ascii_whitespace() || is_separator(char)) {
                self.skip_chars(1);
                self.skipped += 1;
            }
        } else if self.skipped > 0 {
            self.skipped -= 1;
        } else {
            self.skip_chars(1);
        }
    }

    fn invalid(&self, name: &str) -> DataError {
        let mut rest = self.rest;
        if let Some(end) = rest.find(|char: char| char.is_ascii_whitespace() || char == ',') {
            rest = &rest[..end];
        }
        DataError::new("22007", format!("invalid value \"{rest}\" for \"{name}\""))
    }

    /// An integer of so many characters, or of as many as there are; and how many they were.
    fn integer(&mut self, name: &str, digits: usize, greedy: bool) -> Result<(i64, usize), DataError> {
        self.skip_blanks_of_number();
        let source = self.rest;
        let within: &str = match source.char_indices().nth(digits) {
            Some((end, _)) if !greedy => &source[..end],
            _ => source,
        };
        if !greedy && within.chars().count() < digits {
            let message = format!("source string too short for \"{name}\" formatting field");
            return Err(DataError::new("22007", message));
        }
        let unsigned = within.strip_prefix(['-', '+']).unwrap_or(within);
        let sign = within.len() - unsigned.len();
        let end = unsigned.find(|char: char| !char.is_ascii_digit()).unwrap_or(unsigned.len());
        let number = &within[..sign + end];
        let short = !greedy && end > 0 && number.len() < digits;
        if end == 0 || short {
            let shown: String = within.chars().take(digits).collect();
            return Err(DataError::new("22007", format!("invalid value \"{shown}\" for \"{name}\"")));
        }
        self.rest = &source[number.len()..];
        let value = number.trim_start_matches('+').parse::<i32>().map_err(|_| {
            DataError::new("22008", format!("value for \"{name}\" in source string is out of range"))
        })?;
        Ok((i64::from(value), number.len()))
    }

    fn skip_blanks_of_number(&mut self) {
        self.rest = self.rest.trim_start_matches(|char: char| char.is_ascii_whitespace());
    }

    /// Which of these words the text goes on with, in whatever case.
    fn word(&mut self, words: &[&str], name: &str, letters: Option<usize>) -> Result<usize, DataError> {
        let shown = |word: &str| word.get(..letters.unwrap_or(word.len())).unwrap_or(word).len();
        let begins = |word: &&str| {
            let length = shown(word);
            self.rest.get(..length).is_some_and(|start| start.eq_ignore_ascii_case(&word[..length]))
        };
        // A longer word may begin with a shorter one.
        let found = (0..words.len()).filter(|at| begins(&words[*at])).max_by_key(|at| shown(words[*at]));
        let found = found.ok_or_else(|| self.invalid(name))?;
        self.rest = &self.rest[shown(words[found])..];
        Ok(found)
    }

    fn field(&mut self, field: Field, name: &str, greedy: bool) -> Result<(), DataError> {
        if let Some(digits) = field.digits_read() {
            let (value, length) = self.integer(name, digits, greedy)?;
            return self.fields.set(field, name, value, length);
        }
        match field {
            Field::MonthName(_) => {
                let month = self.word(&MONTHS, name, None)?;
                self.fields.set(Field::Month, name, month as i64 + 1, 2)
            }
            Field::MonthAbbreviation(_) => {
                let month = self.word(&MONTHS, name, Some(3))?;
                self.fields.set(Field::Month, name, month as i64 + 1, 2)
            }
            Field::RomanMonth(_) => {
                let month = self.word(&ROMAN_MONTHS, name, None)?;
                self.fields.set(Field::Month, name, month as i64 + 1, 2)
            }
            Field::DayName(_) => {
                let day = self.word(&DAYS, name, None)?;
                self.fields.set(Field::DayOfWeek, name, day as i64 + 1, 1)
            }
            Field::DayAbbreviation(_) => {
                let day = self.word(&DAYS, name, Some(3))?;
                self.fields.set(Field::DayOfWeek, name, day as i64 + 1, 1)
            }
            Field::Meridiem(_, dots) => {
                let words = if dots { ["A.M.", "P.M."] } else { ["AM", "PM"] };
                let noon = self.word(&words, name, None)?;
                self.fields.set_half_of_day(name, noon == 1)
            }
            Field::Era(_, dots) => {
                let words = if dots { ["A.D.", "B.C."] } else { ["AD", "BC"] };
                let era = self.word(&words, name, None)?;
                self.fields.set_era(name, era == 1)
            }
            Field::YearWithComma => self.year_with_comma(name),
            Field::OffsetHours => self.offset_hours(name),
            Field::Offset | Field::Zone(_) => {
                let message = format!("formatting field \"{name}\" is only supported in to_char");
                Err(DataError::new("0A000", message))
            }
            _ => Err(DataError::new("XX000", format!("the field {name} has no digits and no words"))),
        }
    }

    fn year_with_comma(&mut self, name: &str) -> Result<(), DataError> {
        let wrong = || DataError::new("22007", "invalid input string for \"Y,YYY\"");
        let (thousands, rest) = self.rest.split_once(',').ok_or_else(wrong)?;
        let end = rest.char_indices().take(3).take_while(|(_, char)| char.is_ascii_digit()).count();
        let (thousands, years) = (thousands.trim().parse::<i64>(), rest[..end].parse::<i64>());
        let (Ok(thousands), Ok(years)) = (thousands, years) else { return Err(wrong()) };
        self.rest = &rest[end..];
        self.fields.set(Field::Year(4), name, thousands * 1000 + years, 4)
    }

    /// The hours of an offset, whose sign may stand apart.
    fn offset_hours(&mut self, name: &str) -> Result<(), DataError> {
        let negative = match self.rest.chars().next() {
            Some(sign @ ('+' | '-' | ' ')) => {
                self.skip_chars(1);
                sign == '-'
            }
            _ => {
                let before = self.text.len() - self.rest.len();
                self.skipped > 0 && self.text[..before].ends_with('-')
            }
        };
        let (hours, _) = self.integer(name, 2, false)?;
        self.fields.set_offset_hours(hours, negative);
        Ok(())
    }
}
