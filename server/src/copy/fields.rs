//! Cuts a line into values and undoes their escapes.
//!
//! A value's bytes go into one buffer that is used for every line; a field remembers where they end.
//! NULL is decided on what was written, before escapes: `\N` is NULL, `\\N` is text.

use millrace_sql::{LineFormat, SqlError};

/// A line's values, in one reused buffer.
#[derive(Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    /// Where each value ends, and whether it is NULL.
    ends: Vec<(usize, bool)>,
}

impl Fields {
    /// Cuts a line.
    ///
    /// # Errors
    /// 22P04 for a quote that is not closed.
    pub(crate) fn cut(&mut self, line: &[u8], format: &LineFormat) -> Result<(), SqlError> {
        self.bytes.clear();
        self.ends.clear();
        if format.csv { self.cut_csv(line, format) } else { self.cut_text(line, format) }
    }

    /// How many values the line has.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The value at this position; `None` for NULL.
    pub(crate) fn value(&self, at: usize) -> Option<&[u8]> {
        let (end, is_null) = self.ends[at];
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 };
        (!is_null).then(|| &self.bytes[start..end])
    }

    fn cut_text(&mut self, line: &[u8], format: &LineFormat) -> Result<(), SqlError> {
        let mut rest = line;
        loop {
            let end = text_field_end(rest, format.delimiter);
            let raw = &rest[..end];
            let is_null = raw == format.null.as_bytes();
            if !is_null {
                unescape(raw, &mut self.bytes);
            }
            self.ends.push((self.bytes.len(), is_null));
            match rest.get(end + 1..) {
                Some(next) => rest = next,
                None => return Ok(()),
            }
        }
    }

    fn cut_csv(&mut self, line: &[u8], format: &LineFormat) -> Result<(), SqlError> {
        let mut at = 0;
        loop {
            let (end, saw_quote) = self.csv_field(line, at, format)?;
            let is_null = !saw_quote && &line[at..end] == format.null.as_bytes();
            self.ends.push((self.bytes.len(), is_null));
            if end == line.len() {
                return Ok(());
            }
            at = end + 1;
        }
    }

    /// Appends the field that starts here; where it ends, and whether it had a quote.
    fn csv_field(
        &mut self,
        line: &[u8],
        start: usize,
        format: &LineFormat,
    ) -> Result<(usize, bool), SqlError> {
        let (mut at, mut in_quote, mut saw_quote) = (start, false, false);
        while let Some(&byte) = line.get(at) {
            let doubled = in_quote && byte == format.quote && line.get(at + 1) == Some(&format.quote);
            if doubled {
                self.bytes.push(byte);
                at += 1;
            } else if byte == format.quote {
                in_quote = !in_quote;
                saw_quote = true;
            } else if byte == format.delimiter && !in_quote {
                break;
            } else {
                self.bytes.push(byte);
            }
            at += 1;
        }
        if in_quote {
            Err(SqlError::new("22P04", "unterminated CSV quoted field"))
        } else {
            Ok((at, saw_quote))
        }
    }
}

/// Where the field ends: at a delimiter that no backslash precedes.
fn text_field_end(rest: &[u8], delimiter: u8) -> usize {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        match byte {
            _ if byte == delimiter => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Undoes the text format's escapes: `\n` and its like, octal and hexadecimal bytes, and any other
/// byte for itself.
fn unescape(mut raw: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = raw.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&raw[..at]);
        let (byte, length) = escaped(&raw[at + 1..]);
        out.extend(byte);
        raw = &raw[at + 1 + length..];
    }
    out.extend_from_slice(raw);
}

/// The byte that stands behind a backslash, and how many bytes write it.
fn escaped(rest: &[u8]) -> (Option<u8>, usize) {
    let Some(&byte) = rest.first() else { return (Some(b'\\'), 0) };
    match byte {
        b'b' => (Some(0x08), 1),
        b'f' => (Some(0x0c), 1),
        b'n' => (Some(b'\n'), 1),
        b'r' => (Some(b'\r'), 1),
        b't' => (Some(b'\t'), 1),
        b'v' => (Some(0x0b), 1),
        b'0'..=b'7' => number(rest, 0, 3, 8),
        b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => number(rest, 1, 2, 16),
        _ => (Some(byte), 1),
    }
}

/// Up to `most` digits after `skip` bytes; a number over 255 loses its high bits, as in PostgreSQL.
fn number(rest: &[u8], skip: usize, most: usize, radix: u32) -> (Option<u8>, usize) {
    let digits = rest[skip..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(radix));
    let (value, count) = digits.fold((0, 0), |(value, count), digit| (value * radix + digit, count + 1));
    (Some((value & 0xff) as u8), skip + count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::lines::tests::{csv, text};

    fn cut(format: &LineFormat, line: &str) -> Vec<Option<String>> {
        let mut fields = Fields::default();
        fields.cut(line.as_bytes(), format).expect("a good line");
        let value = |at| fields.value(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        (0..fields.len()).map(value).collect()
    }

    fn values(of: &[Option<&str>]) -> Vec<Option<String>> {
        of.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn text_fields_are_unescaped() {
        assert_eq!(cut(&text(), "a\tb"), values(&[Some("a"), Some("b")]));
        assert_eq!(cut(&text(), ""), values(&[Some("")]));
        assert_eq!(cut(&text(), "\t"), values(&[Some(""), Some("")]));
        assert_eq!(cut(&text(), "\\N\t\\\\N\tN"), values(&[None, Some("\\N"), Some("N")]));
        assert_eq!(cut(&text(), "a\\tb\\\tc"), values(&[Some("a\tb\tc")]));
        assert_eq!(cut(&text(), "\\101\\x42\\x4Z\\xz\\q\\\n"), values(&[Some("AB\u{4}Zxzq\n")]));
        assert_eq!(cut(&text(), "end\\"), values(&[Some("end\\")]));
    }

    #[test]
    fn csv_fields_are_unquoted() {
        assert_eq!(cut(&csv(), "a,b"), values(&[Some("a"), Some("b")]));
        assert_eq!(cut(&csv(), ""), values(&[None]));
        assert_eq!(cut(&csv(), "\"\","), values(&[Some(""), None]));
        assert_eq!(cut(&csv(), "\"a,\"\"b\"\"\n\",c"), values(&[Some("a,\"b\"\n"), Some("c")]));
        assert_eq!(cut(&csv(), "a\"b,c\"d"), values(&[Some("ab,cd")]));
        assert_eq!(cut(&csv(), " a , b "), values(&[Some(" a "), Some(" b ")]));
        let null = LineFormat { null: "NULL".to_owned(), delimiter: b';', ..csv() };
        assert_eq!(cut(&null, "NULL;\"NULL\";"), values(&[None, Some("NULL"), Some("")]));
    }
}
