//! JSON from text: the whole value, or only its first level with the texts of its parts.

use millrace_engine::DataError;

use super::{Json, Number};

/// Values nested deeper are refused, so that no walk over one exhausts the stack.
const DEPTH_MAX: usize = 500;

/// Reads a value, as jsonb has it.
///
/// # Errors
/// 22P02; 22P05 for a string with NUL; 22003 for a number beyond numeric; 54001 for what is nested too deep
pub(crate) fn read(text: &str) -> Result<Json, DataError> {
    Reader::new(text, true).whole()
}

/// Checks a text that is kept as it is written.
///
/// # Errors
/// 22P02, 54001
pub(crate) fn check(text: &str) -> Result<(), DataError> {
    Reader::new(text, false).whole().map(drop)
}

/// The first level of a value, with the texts of its parts as they are written.
pub(crate) enum Split<'t> {
    /// Neither an array nor an object: its text.
    Scalar(&'t str),
    /// The elements.
    Array(Vec<&'t str>),
    /// The fields, as often as they are there.
    Object(Vec<(String, &'t str)>),
}

/// Splits a text that `check` has found good.
///
/// # Errors
/// As `check`, and 22P05 for a key with NUL.
pub(crate) fn split(text: &str) -> Result<Split<'_>, DataError> {
    let mut reader = Reader::new(text, false);
    reader.skip_spaces();
    match reader.peek() {
        Some(b'[') => {
            let mut elements = Vec::new();
            reader.array(&mut |reader| {
                elements.push(reader.part()?);
                Ok(())
            })?;
            Ok(Split::Array(elements))
        }
        Some(b'{') => {
            let mut fields = Vec::new();
            reader.object(&mut |reader, key| {
                fields.push((without_nul(key)?, reader.part()?));
                Ok(())
            })?;
            Ok(Split::Object(fields))
        }
        _ => Ok(Split::Scalar(reader.part()?)),
    }
}

fn invalid() -> DataError {
    DataError::new("22P02", "invalid input syntax for type json")
}

fn without_nul(text: String) -> Result<String, DataError> {
    if text.contains('\0') {
        Err(DataError::new("22P05", "unsupported Unicode escape sequence"))
    } else {
        Ok(text)
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Whether what jsonb cannot hold is refused.
    strict: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, strict: bool) -> Reader<'t> {
        Reader { text, at: 0, depth: 0, strict }
    }

    fn whole(&mut self) -> Result<Json, DataError> {
        let value = self.value()?;
        self.skip_spaces();
        if self.at == self.text.len() { Ok(value) } else { Err(invalid()) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes this byte, behind spaces.
    fn accept(&mut self, byte: u8) -> bool {
        self.skip_spaces();
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), DataError> {
        if self.accept(byte) { Ok(()) } else { Err(invalid()) }
    }

    /// The text of the next value.
    fn part(&mut self) -> Result<&'t str, DataError> {
        self.skip_spaces();
        let start = self.at;
        self.value()?;
        Ok(&self.text[start..self.at])
    }

    fn value(&mut self) -> Result<Json, DataError> {
        self.skip_spaces();
        match self.peek() {
            Some(b'{') => {
                let mut fields = Vec::new();
                self.object(&mut |reader, key| {
                    let key = if reader.strict { without_nul(key)? } else { key };
                    fields.push((key, reader.value()?));
                    Ok(())
                })?;
                Ok(Json::object(fields))
            }
            Some(b'[') => {
                let mut elements = Vec::new();
                self.array(&mut |reader| {
                    elements.push(reader.value()?);
                    Ok(())
                })?;
                Ok(Json::Array(elements))
            }
            Some(b'"') => {
                let text = self.string()?;
                Ok(Json::String(if self.strict { without_nul(text)? } else { text }))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn deeper(&mut self) -> Result<(), DataError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            Err(DataError::new("54001", "stack depth limit exceeded"))
        } else {
            Ok(())
        }
    }

    fn array(
        &mut self,
        element: &mut dyn FnMut(&mut Reader<'t>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        self.expect(b'[')?;
        self.deeper()?;
        if !self.accept(b']') {
            loop {
                element(self)?;
                if !self.accept(b',') {
                    break;
                }
            }
            self.expect(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn object(
        &mut self,
        field: &mut dyn FnMut(&mut Reader<'t>, String) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        self.expect(b'{')?;
        self.deeper()?;
        if !self.accept(b'}') {
            loop {
                self.skip_spaces();
                let key = self.string()?;
                self.expect(b':')?;
                field(self, key)?;
                if !self.accept(b',') {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// A string in quotes, with its escapes resolved.
    fn string(&mut self) -> Result<String, DataError> {
        if self.peek() != Some(b'"') {
            return Err(invalid());
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').ok_or_else(invalid)?;
            out.push_str(&rest[..end]);
            self.at += end + 1;
            match rest.as_bytes()[end] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escaped()?),
                _ => return Err(invalid()),
            }
        }
    }

    /// The character of an escape, behind its backslash.
    fn escaped(&mut self) -> Result<char, DataError> {
        let letter = self.peek().ok_or_else(invalid)?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.code_unit()?;
                let code = match unit {
                    0xd800..=0xdbff => {
                        let is_pair = self.text[self.at..].starts_with("\\u");
                        self.at += 2;
                        let low = if is_pair { self.code_unit()? } else { 0 };
                        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or_else(invalid)?;
                        0x1_0000 + ((unit - 0xd800) << 10) + low
                    }
                    unit => unit,
                };
                char::from_u32(code).ok_or_else(invalid)?
            }
            _ => return Err(invalid()),
        })
    }

    /// Four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, DataError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or_else(invalid)?;
        self.at += 4;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or_else(invalid)?;
            Ok(unit << 4 | digit)
        })
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn number(&mut self) -> Result<Json, DataError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let is_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (is_zero && whole > 1) {
            return Err(invalid());
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(invalid());
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(invalid());
            }
        }
        // What follows directly must be no part of a word.
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_') {
            return Err(invalid());
        }
        if !self.strict {
            return Ok(Json::Null);
        }
        Number::of_text(&self.text[start..self.at]).map(Json::Number)
    }

    fn word(&mut self) -> Result<Json, DataError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        Ok(match &rest[..end] {
            "true" => Json::Boolean(true),
            "false" => Json::Boolean(false),
            "null" => Json::Null,
            _ => return Err(invalid()),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::write;
    use super::*;

    fn shown(text: &str) -> String {
        match read(text) {
            Ok(value) => {
                let mut out = String::new();
                write(&value, &mut out);
                out
            }
            Err(error) => error.sqlstate,
        }
    }

    /// Texts and PostgreSQL 15's answer to `text::jsonb`.
    #[test]
    fn values_are_read_and_written_as_by_postgresql() {
        for (text, expected) in [
            ("1.50e1", "15.0"),
            ("1e-2", "0.01"),
            ("-0", "0"),
            ("0.00", "0.00"),
            ("1E3", "1000"),
            ("12345678901234567890.10", "12345678901234567890.10"),
            (" [1 , 2,{}]\n", "[1, 2, {}]"),
            (r#"{"bb":1,"a":2,"bb":[],"c":null}"#, r#"{"a": 2, "c": null, "bb": []}"#),
            (r#""\u00e9\ud83d\ude00\n\u0001\/""#, "\"é😀\\n\\u0001/\""),
            (r#""\u0000""#, "22P05"),
            (r#""\ud83d""#, "22P02"),
            (r#""\ude00""#, "22P02"),
            ("", "22P02"),
            ("01", "22P02"),
            ("1.", "22P02"),
            ("+1", "22P02"),
            ("nul", "22P02"),
            ("[1,]", "22P02"),
            ("{1:2}", "22P02"),
            ("{\"a\":1} x", "22P02"),
            ("\"a\nb\"", "22P02"),
            ("'a'", "22P02"),
            ("1e131072", "22003"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(shown(&"[".repeat(100_000)), "54001");
    }

    #[test]
    fn parts_keep_their_text() {
        let Split::Object(fields) = split(r#" {"a" : [1,  2], "b":1.0 , "a":"\u00e9"}"#).unwrap() else {
            panic!("an object")
        };
        let shown: Vec<(&str, &str)> = fields.iter().map(|(key, text)| (key.as_str(), *text)).collect();
        assert_eq!(shown, [("a", "[1,  2]"), ("b", "1.0"), ("a", r#""\u00e9""#)]);
    }
}
