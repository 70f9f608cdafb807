//! The template patterns of numbers, of `to_char` and `to_number`.

use millrace_engine::DataError;

use super::moment_pattern::text_at;

/// Where a sign of the pattern `S` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Before,
    Behind,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// `9` or `0`
    Digit { is_zero: bool },
    /// `.` or `D`
    Point,
    /// `,` or `G`
    Group,
    /// `L`: a currency that has no symbol.
    Currency,
    /// `TH`
    Ordinal { upper: bool },
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    Sign,
    /// `RN`
    Roman { lower: bool },
    /// What has its effect elsewhere: `S`, `PR`, `FM`, `V`, `B`.
    Nothing,
    /// What stands for itself.
    Text(String),
}

/// A pattern, and what all of it says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NumberPattern {
    pub(super) items: Vec<Item>,
    /// The digits before the point, those behind it, and those by which `V` shifts it.
    pub(super) wholes: usize,
    pub(super) decimals: usize,
    pub(super) shifted: usize,
    has_shift: bool,
    pub(super) point: bool,
    /// `FM`
    pub(super) unpadded: bool,
    /// `S`, and how many digits stood before it.
    pub(super) sign: Option<Sign>,
    pub(super) wholes_before_sign: usize,
    pub(super) minus: bool,
    pub(super) plus: bool,
    /// `PR`
    pub(super) brackets: bool,
    /// `EEEE`
    pub(super) scientific: bool,
    roman: bool,
    blank: bool,
    /// Whether there is a `0` before the point, the places of the first, from 0, and of the last.
    pub(super) has_zero: bool,
    pub(super) zero_start: usize,
    pub(super) zero_end: usize,
}

/// Pattern words, longer ones first.
const WORDS: [&str; 20] = [
    "EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", ",", ".", "0", "9", "B", "C", "D", "G", "L", "S",
    "V",
];

fn wrong(message: &str) -> DataError {
    DataError::new("42601", message)
}

impl NumberPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// 42601 where its parts do not go together.
    pub(super) fn parse(text: &str) -> Result<NumberPattern, DataError> {
        let mut pattern = NumberPattern::default();
        let mut rest = text;
        while !rest.is_empty() {
            // A word is written in one case.
            let begins = |word: &&str| {
                let lower = word.to_ascii_lowercase();
                rest.starts_with(*word) || rest.starts_with(&lower)
            };
            if let Some(word) = WORDS.iter().copied().find(|word| begins(word)) {
                let written = &rest[..word.len()];
                rest = &rest[word.len()..];
                pattern.word(word, written)?;
                continue;
            }
            let (text, after) = text_at(rest);
            rest = after;
            match pattern.items.last_mut() {
                Some(Item::Text(before)) => before.push_str(&text),
                _ => pattern.items.push(Item::Text(text)),
            }
        }
        Ok(pattern)
    }

    /// Whether it shows Roman numbers.
    pub(super) fn is_roman(&self) -> bool {
        self.roman
    }

    fn word(&mut self, word: &str, written: &str) -> Result<(), DataError> {
        if self.scientific && word != "EEEE" {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        let item = match word {
            "9" | "0" => self.digit(word == "0")?,
            "." | "D" => self.point()?,
            "," | "G" => Item::Group,
            "L" => Item::Currency,
            "S" => self.sign()?,
            "TH" => Item::Ordinal { upper: written == "TH" },
            "RN" => {
                self.roman = true;
                Item::Roman { lower: written == "rn" }
            }
            _ => self.other(word)?,
        };
        self.items.push(item);
        Ok(())
    }

    fn digit(&mut self, is_zero: bool) -> Result<Item, DataError> {
        if self.brackets {
            return Err(wrong(&format!("\"{}\" must be ahead of \"PR\"", if is_zero { 0 } else { 9 })));
        }
        if is_zero && !self.has_zero && !self.point {
            (self.has_zero, self.zero_start) = (true, self.wholes);
        }
        match () {
            () if self.has_shift && !is_zero => self.shifted += 1,
            () if self.point => self.decimals += 1,
            () => self.wholes += 1,
        }
        if is_zero {
            self.zero_end = self.wholes + self.decimals;
        }
        Ok(Item::Digit { is_zero })
    }

    fn point(&mut self) -> Result<Item, DataError> {
        if self.point {
            return Err(wrong("multiple decimal points"));
        }
        if self.has_shift {
            return Err(wrong("cannot use \"V\" and decimal point together"));
        }
        self.point = true;
        Ok(Item::Point)
    }

    fn sign(&mut self) -> Result<Item, DataError> {
        if self.sign.is_some() {
            return Err(wrong("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.brackets {
            return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
        }
        if !self.point {
            self.wholes_before_sign = self.wholes;
        }
        self.sign = Some(if self.point { Sign::Behind } else { Sign::Before });
        Ok(Item::Nothing)
    }

    fn other(&mut self, word: &str) -> Result<Item, DataError> {
        let beside_sign = |word: &str| wrong(&format!("cannot use \"S\" and \"{word}\" together"));
        match word {
            "MI" | "PL" | "SG" if self.sign.is_some() => return Err(beside_sign(word)),
            "MI" => {
                self.minus = true;
                return Ok(Item::Minus);
            }
            "PL" => {
                self.plus = true;
                return Ok(Item::Plus);
            }
            "SG" => {
                (self.minus, self.plus) = (true, true);
                return Ok(Item::Sign);
            }
            "PR" if self.sign.is_some() || self.plus || self.minus => {
                return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            "PR" => self.brackets = true,
            "FM" => self.unpadded = true,
            "B" => self.blank |= self.wholes == 0 && self.decimals == 0 && !self.has_zero,
            "V" if self.point => return Err(wrong("cannot use \"V\" and decimal point together")),
            "V" => self.has_shift = true,
            "EEEE" => self.scientific()?,
            _ => {}
        }
        Ok(Item::Nothing)
    }

    fn scientific(&mut self) -> Result<(), DataError> {
        if self.scientific {
            return Err(wrong("cannot use \"EEEE\" twice"));
        }
        let others = [
            self.blank,
            self.unpadded,
            self.sign.is_some(),
            self.brackets,
            self.minus,
            self.plus,
            self.roman,
            self.has_shift,
        ];
        if others.contains(&true) {
            return Err(wrong("\"EEEE\" is incompatible with other formats"));
        }
        self.scientific = true;
        Ok(())
    }
}
