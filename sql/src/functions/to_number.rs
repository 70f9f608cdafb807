//! `to_number(text, pattern)`: a number that is written as a pattern says.

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{DataError, DataType};

use super::inputs::Inputs;
use super::number_pattern::{Item, NumberPattern};

/// The digits behind the point that V makes at least: it divides.
const SHIFTED_DIGITS_MIN: usize = 16;

/// `to_number(text, pattern)`, as a text that is read as a number
pub(crate) fn to_number(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    inputs.build_text(|row| {
        let pattern = NumberPattern::parse(pattern(row))?;
        for (is_there, word) in [(pattern.scientific, "EEEE"), (pattern.is_roman(), "RN")] {
            if is_there {
                return Err(DataError::new("0A000", format!("\"{word}\" not supported for input")));
            }
        }
        let text: Vec<char> = text(row).chars().collect();
        let (digits, point) = (Vec::new(), None);
        let number = Reader { text: &text, next: 0, pattern: &pattern, digits, point, sign: None }.run();
        if !number.contains(|char: char| char.is_ascii_digit()) {
            let message = "invalid input syntax for type numeric: \" \"";
            return Err(DataError::new("22P02", message));
        }
        Ok(number)
    })
}

/// A text on its way through a pattern: each part of the pattern takes a character, whatever it is, but for those
/// that stand for text, which leave digits and signs.
struct Reader<'a> {
    text: &'a [char],
    next: usize,
    pattern: &'a NumberPattern,
    digits: Vec<char>,
    /// How many digits stand before the point, once there is one.
    point: Option<usize>,
    sign: Option<char>,
}

impl Reader<'_> {
    fn run(mut self) -> String {
        for item in &self.pattern.items {
            if self.next >= self.text.len() {
                break;
            }
            match item {
                Item::Digit { .. } => self.place(true),
                Item::Point => self.place(false),
                Item::Group => {
                    let leads = self.digits.is_empty() && self.pattern.unpadded;
                    if !leads && self.text[self.next] == ',' {
                        self.next += 1;
                    }
                }
                Item::Minus => self.sign_part(&['-']),
                Item::Plus => self.sign_part(&['+']),
                Item::Sign => self.sign_part(&['-', '+']),
                Item::Ordinal { .. } => self.skip(2),
                Item::Currency => self.skip(1),
                Item::Text(text) => self.skip(text.chars().count()),
                Item::Roman { .. } | Item::Nothing => {}
            }
        }
        self.number()
    }

    /// The number that was read, with the point moved by V.
    fn number(&self) -> String {
        let wholes = self.point.unwrap_or(self.digits.len());
        let shift = self.pattern.shifted;
        let digits: String = std::iter::repeat_n(&'0', shift).chain(&self.digits).collect();
        let (whole, fraction) = digits.split_at(wholes);
        let least = if shift > 0 { SHIFTED_DIGITS_MIN } else { 0 };
        let fraction = format!("{fraction:0<least$}");
        let sign = if self.sign == Some('-') { "-" } else { "" };
        match fraction.is_empty() {
            true => format!("{sign}{whole}"),
            false => format!("{sign}{whole}.{fraction}"),
        }
    }

    /// Passes over so many characters, but not over what belongs to a number.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            match self.text.get(self.next) {
                Some(char) if !"0123456789.,+-".contains(*char) => self.next += 1,
                _ => return,
            }
        }
    }

    fn sign_part(&mut self, signs: &[char]) {
        match self.text.get(self.next) {
            Some(sign) if signs.contains(sign) => {
                self.sign = Some(*sign);
                self.next += 1;
            }
            _ => self.skip(1),
        }
    }

    fn char(&self) -> Option<char> {
        self.text.get(self.next).copied()
    }

    /// A place for a digit or the point.
    fn place(&mut self, is_digit: bool) {
        if self.char() == Some(' ') {
            self.next += 1;
        }
        if is_digit && self.sign.is_none() && self.digits.is_empty() {
            match self.char() {
                Some('<') if self.pattern.brackets => self.take_sign('-'),
                Some(sign @ ('-' | '+')) => self.take_sign(sign),
                _ => {}
            }
        }
        let read = match self.char() {
            Some(digit) if digit.is_ascii_digit() => {
                let behind = self.point.map_or(0, |point| self.digits.len() - point);
                if self.point.is_none() || behind < self.pattern.decimals {
                    self.digits.push(digit);
                }
                true
            }
            Some('.') if self.pattern.point && self.point.is_none() => {
                self.point = Some(self.digits.len());
                true
            }
            _ => false,
        };
        if self.sign.is_none() && !self.digits.is_empty() {
            self.trailing_sign(read);
        }
        self.next += 1;
    }

    fn take_sign(&mut self, sign: char) {
        self.sign = Some(sign);
        self.next += 1;
    }

    /// A sign right behind the last digit, where one is expected; or in the place of a digit.
    fn trailing_sign(&mut self, read: bool) {
        let is_sign = |char: &&char| ['-', '+'].contains(*char);
        if self.pattern.sign.is_some() {
            if let Some(sign) = self.text.get(self.next + 1).filter(is_sign).filter(|_| read) {
                self.take_sign(*sign);
            }
        } else if !read {
            self.sign = self.text.get(self.next).filter(is_sign).copied();
        }
    }
}
