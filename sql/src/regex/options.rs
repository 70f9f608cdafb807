//! The letters that say how a pattern is read: as an argument of functions, or at a pattern's beginning, `(?i)…`.

use millrace_engine::DataError;

use super::missing;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Options {
    /// `i`: letters match in either case.
    pub(crate) any_case: bool,
    /// A dot and a bracket with `^` match no end of a line (`n`, `p`).
    pub(crate) lines_apart: bool,
    /// `^` and `$` match at the ends of lines (`n`, `w`).
    pub(crate) ends_of_lines: bool,
    /// `x`: blanks and comments do not count.
    pub(crate) expanded: bool,
    /// `q`: no character has a meaning.
    pub(crate) literal: bool,
    /// `g`: all matches. No matter of the pattern's.
    pub(crate) all: bool,
}

impl Options {
    /// Those of an argument.
    ///
    /// # Errors
    /// 22023 for a letter that is none; 0A000 for other kinds of expressions.
    pub(crate) fn parse(flags: &str) -> Result<Options, DataError> {
        let mut options = Options::default();
        for letter in flags.chars() {
            if letter == 'g' {
                options.all = true;
            } else if !options.set(letter)? {
                let message = format!("invalid regular expression option: \"{letter}\"");
                return Err(DataError::new("22023", message));
            }
        }
        Ok(options)
    }

    /// One letter; whether it is one.
    pub(super) fn set(&mut self, letter: char) -> Result<bool, DataError> {
        match letter {
            'i' => self.any_case = true,
            'c' => self.any_case = false,
            'n' | 'm' => (self.lines_apart, self.ends_of_lines) = (true, true),
            'p' => (self.lines_apart, self.ends_of_lines) = (true, false),
            'w' => (self.lines_apart, self.ends_of_lines) = (false, true),
            's' => (self.lines_apart, self.ends_of_lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'b' => return Err(missing("the syntax of basic expressions (option b)")),
            'e' => return Err(missing("the syntax of extended expressions (option e)")),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The same without `g`, which is no matter of the pattern's.
    pub(crate) fn of_pattern(self) -> Options {
        Options { all: false, ..self }
    }
}
