//! `~` and `~*`: PostgreSQL's advanced regular expressions, by the crate `regex`, which matches in time linear
//! in the text.
//!
//! A pattern is written anew, for the two dialects share most of their syntax but not its corners. What only
//! a matcher that goes back can do (references to groups, looking ahead and behind), and what is rare
//! (embedded options, collating elements), is refused.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use millrace_engine::{DataError, DataType};
use regex::{Regex, RegexBuilder};

use super::inputs::Inputs;

/// A compiled pattern may take this many bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

fn invalid(why: &str) -> DataError {
    DataError::new("2201B", format!("invalid regular expression: {why}"))
}

fn missing(what: &str) -> DataError {
    DataError::new("0A000", format!("{what} in a regular expression is not supported"))
}

/// A pattern on its way from one dialect to the other.
struct Translation<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    out: String,
    /// Whether something stands right before that a quantifier can repeat.
    repeatable: bool,
}

impl Translation<'_> {
    fn run(mut self) -> Result<String, DataError> {
        while let Some(char) = self.rest.next() {
            match char {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '*' | '+' | '?' => self.quantifier(char.to_string())?,
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                    let bounds = self.bounds()?;
                    self.quantifier(bounds)?;
                }
                '(' => self.group()?,
                '|' | '^' | '$' => {
                    self.out.push(char);
                    self.repeatable = false;
                }
                ')' | '.' => {
                    self.out.push(char);
                    self.repeatable = true;
                }
                literal => self.literal(literal),
            }
        }
        Ok(self.out)
    }

    fn literal(&mut self, char: char) {
        self.out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4])));
        self.repeatable = true;
    }

    fn group(&mut self) -> Result<(), DataError> {
        self.out.push('(');
        self.repeatable = false;
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        self.rest.next();
        match self.rest.next() {
            Some(':') => self.out.push_str("?:"),
            Some('=' | '!' | '<') => return Err(missing("looking ahead or behind")),
            _ => return Err(missing("an embedded option")),
        }
        Ok(())
    }

    /// What stands between braces, which begins with a digit.
    fn bounds(&mut self) -> Result<String, DataError> {
        let bounds: String = std::iter::from_fn(|| self.rest.next_if(|char| *char != '}')).collect();
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= 255);
        let (least, most) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
        let closed = self.rest.next() == Some('}');
        let fine = number(least)
            .is_some_and(|least| most.is_empty() || number(most).is_some_and(|most| least <= most));
        if closed && fine { Ok(format!("{{{bounds}}}")) } else { Err(invalid("invalid repetition count(s)")) }
    }

    /// A quantifier; a `?` behind it makes it reluctant, which decides nothing here.
    fn quantifier(&mut self, quantifier: String) -> Result<(), DataError> {
        if !self.repeatable {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push_str(&quantifier);
        self.rest.next_if_eq(&'?');
        self.repeatable = false;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), DataError> {
        let Some(char) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
        let (written, repeatable) = match char {
            'd' => ("[0-9]", true),
            'D' => ("[^0-9]", true),
            'w' => ("[0-9A-Za-z_]", true),
            'W' => ("[^0-9A-Za-z_]", true),
            's' => (r"[ \t\n\x0b\x0c\r]", true),
            'S' => (r"[^ \t\n\x0b\x0c\r]", true),
            'y' => (r"(?-u:\b)", false),
            'm' => (r"\b{start}", false),
            'M' => (r"\b{end}", false),
            'A' => (r"\A", false),
            'Z' => (r"\z", false),
            'n' => (r"\n", true),
            't' => (r"\t", true),
            'r' => (r"\r", true),
            '1'..='9' => return Err(missing("a reference to a group")),
            other if other.is_alphanumeric() => return Err(missing(&format!("the escape \\{other}"))),
            other => {
                self.literal(other);
                return Ok(());
            }
        };
        self.out.push_str(written);
        self.repeatable = repeatable;
        Ok(())
    }

    /// A bracket expression. Within one the other dialect gives more characters a meaning.
    fn bracket(&mut self) -> Result<(), DataError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.rest.next() {
                None => return Err(invalid("brackets [] not balanced")),
                Some(']') if !first => break,
                Some('[') => self.inner_bracket()?,
                Some('\\') => self.escape_in_bracket()?,
                Some('-') if !first && self.rest.peek() != Some(&']') => self.out.push('-'),
                Some(char) => self.out.push_str(&regex::escape(char.encode_utf8(&mut [0; 4]))),
            }
            first = false;
        }
        self.out.push(']');
        self.repeatable = true;
        Ok(())
    }

    /// `[:class:]`, or a bracket that stands for itself.
    fn inner_bracket(&mut self) -> Result<(), DataError> {
        match self.rest.peek() {
            Some('.' | '=') => Err(missing("a collating element")),
            Some(':') => {
                self.rest.next();
                let class: String = std::iter::from_fn(|| self.rest.next_if(|char| *char != ':')).collect();
                let closed = self.rest.next() == Some(':') && self.rest.next() == Some(']');
                if !closed || !class.chars().all(|char| char.is_ascii_lowercase()) {
                    return Err(invalid("invalid character class"));
                }
                self.out.push_str(&format!("[:{class}:]"));
                Ok(())
            }
            _ => {
                self.out.push_str("\\[");
                Ok(())
            }
        }
    }

    fn escape_in_bracket(&mut self) -> Result<(), DataError> {
        match self.rest.next() {
            None => return Err(invalid("brackets [] not balanced")),
            Some('d') => self.out.push_str("0-9"),
            Some('w') => self.out.push_str("0-9A-Za-z_"),
            Some('s') => self.out.push_str(r" \t\n\x0b\x0c\r"),
            Some('n') => self.out.push_str(r"\n"),
            Some('t') => self.out.push_str(r"\t"),
            Some('r') => self.out.push_str(r"\r"),
            Some(other) if other.is_alphanumeric() => {
                return Err(missing(&format!("the escape \\{other}")));
            }
            Some(other) => self.out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
        Ok(())
    }
}

/// A pattern as it is matched: it is looked for anywhere in the text, and a dot is any character.
fn compiled(pattern: &str, any_case: bool) -> Result<Regex, DataError> {
    if pattern.starts_with("***") {
        return Err(missing("a director ***"));
    }
    let translation = Translation { rest: pattern.chars().peekable(), out: String::new(), repeatable: false };
    RegexBuilder::new(&translation.run()?)
        .dot_matches_new_line(true)
        .case_insensitive(any_case)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
            _ if pattern.matches('(').count() != pattern.matches(')').count() => {
                invalid("parentheses () not balanced")
            }
            error if error.to_string().contains("range") => invalid("invalid character range"),
            _ => invalid("invalid regexp (reg version 0.8)"),
        })
}

/// Matches row by row; a pattern is compiled again only where it changes.
fn match_all(inputs: &Inputs, any_case: bool) -> Result<ArrayRef, DataError> {
    let (text, pattern) = (inputs.get(0).text(), inputs.get(1).text());
    let mut known: Option<(&str, Regex)> = None;
    let mut result = Vec::with_capacity(inputs.rows());
    for row in 0..inputs.rows() {
        if inputs.iter().any(|input| input.is_null(row)) {
            result.push(None);
            continue;
        }
        if known.as_ref().is_none_or(|(known, _)| *known != pattern(row)) {
            known = Some((pattern(row), compiled(pattern(row), any_case)?));
        }
        result.push(known.as_ref().map(|(_, regex)| regex.is_match(text(row))));
    }
    Ok(Arc::new(BooleanArray::from(result)))
}

/// `text ~ pattern`
pub(crate) fn matches(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    match_all(inputs, false)
}

/// `text ~* pattern`
pub(crate) fn matches_any_case(inputs: &Inputs, _: DataType) -> Result<ArrayRef, DataError> {
    match_all(inputs, true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // What PostgreSQL says to more of them stands in tests/slt/regex.slt.
    #[test]
    fn a_pattern_is_looked_for_anywhere_and_anchored_at_the_ends_of_the_text() {
        for (text, pattern, expected) in [
            ("orders", "^(orders)$", true),
            ("reorders", "^(orders)$", false),
            ("pg_toast_1", "^pg_toast", true),
            ("a\nb", "a.b", true),
            ("a\nb", "^b", false),
            ("a{b", "a{b", true),
            ("x-y", "^[a-z-]+$", true),
            ("[", "[[]", true),
            ("a&&b", "^[&a-b]+$", true),
            ("one two", "\\mtwo\\M", true),
        ] {
            assert_eq!(compiled(pattern, false).unwrap().is_match(text), expected, "{text} ~ {pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_and_what_is_not_there_are_told_apart() {
        for (pattern, sqlstate) in [
            ("*a", "2201B"),
            ("a**", "2201B"),
            ("a{2,1}", "2201B"),
            ("(a", "2201B"),
            ("[a", "2201B"),
            ("a\\", "2201B"),
            ("(a)\\1", "0A000"),
            ("a(?=b)", "0A000"),
            ("(?i)a", "0A000"),
        ] {
            assert_eq!(compiled(pattern, false).unwrap_err().sqlstate, sqlstate, "{pattern}");
        }
    }
}
