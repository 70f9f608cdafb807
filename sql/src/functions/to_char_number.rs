//! `to_char(number, pattern)`: a number by PostgreSQL's template patterns, from its text.
//!
//! A pattern says how many digits stand before and behind the point; the number is rounded to that and its digits
//! are handed out to the pattern's places from the left, the first ones to blanks or zeros where the number is
//! shorter than the pattern.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::number_pattern::{Item, NumberPattern, Sign};
use super::to_char::suffix;

/// What kind of number it was before it became a text: doubles show fewer digits than they may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Integer,
    Numeric,
    /// With so many digits that count.
    Float(usize),
}

/// The width of a Roman number.
const ROMAN_WIDTH: usize = 15;

/// A number that is ready for its pattern.
struct Prepared {
    is_negative: bool,
    /// Digits, perhaps with a point; `#` where they do not fit.
    digits: Vec<u8>,
    /// How many places before the digits have none.
    blanks: usize,
    decimals: usize,
    wholes: usize,
}

/// `to_char(integer, pattern)`
pub(crate) fn of_integer(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shown(inputs, Source::Integer)
}

/// `to_char(bigint, pattern)`, `to_char(numeric, pattern)`
pub(crate) fn of_numeric(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shown(inputs, Source::Numeric)
}

/// `to_char(double precision, pattern)`
pub(crate) fn of_double(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shown(inputs, Source::Float(15))
}

/// `to_char(real, pattern)`
pub(crate) fn of_real(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    shown(inputs, Source::Float(6))
}

fn shown(inputs: &Inputs, source: Source) -> Result<ArrayRef, DataError> {
    let (number, pattern, nulls) = (inputs.get(0).text(), inputs.get(1).text(), inputs.nulls());
    let mut last: Option<(&str, NumberPattern)> = None;
    let mut shown = |row: usize| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        if last.as_ref().is_none_or(|(known, _)| *known != pattern(row)) {
            last = Some((pattern(row), NumberPattern::parse(pattern(row))?));
        }
        Ok(last.as_ref().map(|(_, pattern)| write(number(row), pattern, source)))
    };
    let array = (0..inputs.rows()).map(&mut shown).collect::<Result<StringArray, DataError>>()?;
    Ok(Arc::new(array))
}

fn write(number: &str, pattern: &NumberPattern, source: Source) -> String {
    if pattern.scientific {
        return scientific(number, pattern, source);
    }
    if pattern.is_roman() {
        return roman_text(number, pattern, source);
    }
    let prepared = prepare(number, pattern, source);
    Writer::new(pattern, &prepared).run()
}

/// The digits that a pattern shows of a number.
fn prepare(number: &str, pattern: &NumberPattern, source: Source) -> Prepared {
    let (text, decimals) = digits_of(number, pattern, source);
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, text),
    };
    let wholes = pattern.wholes + pattern.shifted;
    let length = text.find('.').unwrap_or(text.len());
    let (mut digits, mut blanks) = (text.into_bytes(), 0);
    if length < wholes {
        blanks = wholes - length;
    } else if length > wholes {
        digits = vec![b'#'; wholes + decimals + 1];
        digits[wholes] = b'.';
    }
    Prepared { is_negative, digits, blanks, decimals, wholes }
}

/// A number with as many digits behind the point as its pattern shows.
fn digits_of(number: &str, pattern: &NumberPattern, source: Source) -> (String, usize) {
    let shift = pattern.shifted;
    match source {
        Source::Integer | Source::Numeric => (rounded(number, shift, pattern.decimals), pattern.decimals),
        Source::Float(digits_max) => {
            let value = number.parse::<f64>().unwrap_or(f64::NAN) * 10f64.powi(shift as i32);
            // A word counts by its letters.
            let whole = match value.is_finite() {
                true => format!("{:.0}", value.abs()).len(),
                false => number.trim_start_matches('-').len(),
            };
            let decimals = match whole >= digits_max {
                true => 0,
                false => pattern.decimals.min(digits_max - whole),
            };
            let shown = if value.is_finite() { format!("{value:.decimals$}") } else { number.to_owned() };
            (shown, decimals)
        }
    }
}

/// A decimal number times ten to the power of `shift`, rounded half away from zero to so many digits behind the
/// point.
pub(super) fn rounded(number: &str, shift: usize, decimals: usize) -> String {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return format!("{sign}{number}");
    }
    let point = whole.len() + shift;
    let wanted = point + decimals;
    let up = digits.get(wanted).is_some_and(|next| *next >= b'5');
    digits.resize(wanted, b'0');
    let mut carry = up;
    for digit in digits.iter_mut().rev() {
        if carry {
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
    }
    let mut text: String = digits.iter().map(|digit| char::from(*digit)).collect();
    let mut point = point;
    if carry {
        text.insert(0, '1');
        point += 1;
    }
    let leading = text[..point].len() - text[..point].trim_start_matches('0').len();
    let cut = leading.min(point.saturating_sub(1));
    text.drain(..cut);
    if decimals > 0 {
        text.insert(point - cut, '.');
    }
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if is_zero { text } else { format!("{sign}{text}") }
}

/// `EEEE`: one digit before the point, and the power of ten.
fn scientific(number: &str, pattern: &NumberPattern, source: Source) -> String {
    let decimals = pattern.decimals;
    let value = number.parse::<f64>().unwrap_or(f64::NAN);
    let exact = source == Source::Numeric;
    if !value.is_finite() {
        let mut out = vec!['#'; pattern.wholes + decimals + 6];
        out[0] = ' ';
        out[pattern.wholes + 1] = '.';
        return out.into_iter().collect();
    }
    let (mantissa, exponent) = match exact {
        true => decimal_power(number, decimals),
        false => {
            let shown = format!("{value:.decimals$e}");
            let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
            (mantissa.to_owned(), exponent.parse().unwrap_or(0))
        }
    };
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// A decimal number as a mantissa with one digit before the point and a power of ten.
fn decimal_power(number: &str, decimals: usize) -> (String, i32) {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let Some(first) = all.find(|digit| digit != '0') else { return (rounded("0", 0, decimals), 0) };
    let exponent = whole.len() as i32 - 1 - first as i32;
    let mantissa = rounded(&format!("{}.{}", &all[first..=first], &all[first + 1..]), 0, decimals);
    // Rounded up to ten it stays so, as in PostgreSQL.
    (format!("{sign}{mantissa}"), exponent)
}

fn roman_text(number: &str, pattern: &NumberPattern, source: Source) -> String {
    let whole = match source {
        Source::Float(_) => number.parse::<f64>().map_or(-1, |value| value.round_ties_even() as i64),
        Source::Integer | Source::Numeric => rounded(number, 0, 0).parse().unwrap_or(-1),
    };
    let roman = roman(whole);
    let mut out = String::new();
    for item in &pattern.items {
        let text = match item {
            Item::Roman { lower: true } => roman.to_lowercase(),
            Item::Roman { lower: false } => roman.clone(),
            Item::Text(text) => {
                out.push_str(text);
                continue;
            }
            _ => continue,
        };
        out += &if pattern.unpadded { text } else { format!("{text:>ROMAN_WIDTH$}") };
    }
    out
}

fn roman(number: i64) -> String {
    const PARTS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&number) {
        return "#".repeat(ROMAN_WIDTH);
    }
    let (mut rest, mut out) = (number, String::new());
    for (value, letters) in PARTS {
        while rest >= value {
            out.push_str(letters);
            rest -= value;
        }
    }
    out
}

/// A pattern at work: the digits go to its places one after the other.
struct Writer<'a> {
    pattern: &'a NumberPattern,
    number: &'a Prepared,
    /// The next digit.
    next: usize,
    /// The next of the pattern's places.
    place: usize,
    sign_written: bool,
    sign: Option<Sign>,
    brackets: bool,
    /// Whether the last place has a digit.
    in_number: bool,
    /// The last digit that is shown in spite of FM.
    last: Option<usize>,
    /// The last place that counts.
    places: usize,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(pattern: &'a NumberPattern, number: &'a Prepared) -> Writer<'a> {
        let mut sign = pattern.sign;
        let mut brackets = pattern.brackets;
        let mut sign_written = true;
        if pattern.plus || pattern.minus {
            sign_written = !pattern.plus || pattern.minus;
        } else {
            if !number.is_negative && pattern.unpadded {
                brackets = false;
            }
            sign_written = !number.is_negative && pattern.unpadded && sign.is_none() && sign_written;
            if sign == Some(Sign::Before) && number.wholes == pattern.wholes_before_sign {
                sign = Some(Sign::Behind);
            }
        }
        let mut places = number.decimals + number.wholes;
        places = places.saturating_sub(1) + usize::from(!sign_written && number.blanks == 0);
        let mut last = None;
        if pattern.unpadded && pattern.point {
            last = last_relevant(&number.digits);
            if let Some(found) = last.filter(|_| pattern.zero_end > number.blanks) {
                let zero = (number.digits.len() - 1).min(pattern.zero_end - number.blanks);
                last = Some(found.max(zero));
            }
        }
        let (next, place, in_number, out) = (0, 0, false, String::new());
        Writer { pattern, number, next, place, sign_written, sign, brackets, in_number, last, places, out }
    }

    fn run(mut self) -> String {
        for item in &self.pattern.items {
            match item {
                Item::Digit { is_zero } => self.digit(*is_zero),
                Item::Point => self.digit(false),
                Item::Group => match (self.in_number, self.pattern.unpadded) {
                    (true, _) => self.out.push(','),
                    (false, true) => {}
                    (false, false) => self.out.push(' '),
                },
                Item::Currency => self.out.push(' '),
                Item::Ordinal { upper } => self.ordinal(*upper),
                Item::Minus => self.sign_or_blank(self.number.is_negative, '-'),
                Item::Plus => self.sign_or_blank(!self.number.is_negative, '+'),
                Item::Sign => self.out.push(if self.number.is_negative { '-' } else { '+' }),
                Item::Text(text) => self.out.push_str(text),
                Item::Roman { .. } | Item::Nothing => {}
            }
        }
        self.out
    }

    fn sign_or_blank(&mut self, shows: bool, sign: char) {
        match (shows, self.pattern.unpadded) {
            (true, _) => self.out.push(sign),
            (false, true) => {}
            (false, false) => self.out.push(' '),
        }
    }

    fn ordinal(&mut self, upper: bool) {
        let digits = &self.number.digits;
        if digits.first() == Some(&b'#') || self.number.is_negative || self.pattern.point {
            return;
        }
        let text: String = digits.iter().map(|digit| char::from(*digit)).collect();
        let ending = suffix(text.parse().unwrap_or(0));
        self.out += &if upper { ending.to_uppercase() } else { ending.to_owned() };
    }

    /// Whether the number is below one and its zero before the point is not shown.
    fn hides_zero(&self) -> bool {
        let first = self.number.digits.first() == Some(&b'0');
        !self.pattern.has_zero && self.next == 0 && first && self.number.decimals != 0
    }

    fn ends_at_point(&self) -> bool {
        self.last.is_some_and(|last| self.number.digits[last] == b'.')
    }

    fn leading_sign(&mut self) {
        let begins = self.place >= self.number.blanks
            || (self.pattern.has_zero && self.pattern.zero_start == self.place);
        if self.sign_written || !begins || (self.hides_zero() && !self.ends_at_point()) {
            return;
        }
        let negative = self.number.is_negative;
        if self.pattern.sign.is_some() {
            if self.sign == Some(Sign::Before) {
                self.out.push(if negative { '-' } else { '+' });
                self.sign_written = true;
            }
        } else {
            match (self.brackets, negative) {
                (true, _) => self.out.push(if negative { '<' } else { ' ' }),
                (false, true) => self.out.push('-'),
                (false, false) if self.pattern.unpadded => {}
                (false, false) => self.out.push(' '),
            }
            self.sign_written = true;
        }
    }

    /// A place for a digit or the point.
    fn digit(&mut self, is_zero: bool) {
        self.in_number = false;
        self.leading_sign();
        let before = self.place < self.number.blanks;
        if before && (self.pattern.zero_start > self.place || !self.pattern.has_zero) {
            if !self.pattern.unpadded {
                self.out.push(' ');
            }
        } else if before && self.pattern.has_zero {
            self.out.push('0');
            self.in_number = true;
        } else {
            self.next_digit(is_zero);
        }
        self.trailing_sign();
        self.place += 1;
    }

    fn next_digit(&mut self, is_zero: bool) {
        match self.number.digits.get(self.next) {
            Some(b'.') if self.ends_at_point() && !self.pattern.unpadded => {}
            Some(b'.') => self.out.push('.'),
            _ if self.last.is_some_and(|last| self.next > last) && !is_zero => {}
            Some(_) if self.hides_zero() => match (self.pattern.unpadded, self.ends_at_point()) {
                (false, _) => self.out.push(' '),
                (true, true) => self.out.push('0'),
                (true, false) => {}
            },
            Some(digit) => {
                self.out.push(char::from(*digit));
                self.in_number = true;
            }
            None => {}
        }
        self.next = (self.next + 1).min(self.number.digits.len());
    }

    fn trailing_sign(&mut self) {
        let mut end = self.places + usize::from(self.number.blanks > 0) + usize::from(self.pattern.point);
        if self.last.is_some_and(|last| last == self.next) {
            end = self.place;
        }
        if self.place + 1 != end {
            return;
        }
        let negative = self.number.is_negative;
        if self.sign_written && self.brackets {
            self.out.push(if negative { '>' } else { ' ' });
        } else if self.pattern.sign.is_some() && self.sign == Some(Sign::Behind) {
            self.out.push(if negative { '-' } else { '+' });
        }
    }
}

/// The last digit behind the point that is not zero, or the point.
fn last_relevant(digits: &[u8]) -> Option<usize> {
    let point = digits.iter().position(|digit| *digit == b'.')?;
    let last = digits[point + 1..].iter().rposition(|digit| *digit != b'0');
    Some(last.map_or(point, |last| point + 1 + last))
}
