//! Functions on text, the third part: initcap, reverse, repeat, translate, ascii, chr, overlay, quoting, format, to_hex.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use millrace_engine::{DataError, DataType};

use super::inputs::{Input, Inputs};
use super::text::each_char;

type Computed = Result<ArrayRef, DataError>;

/// The longest text, in bytes: PostgreSQL's bound for a value.
const BYTES_MAX: usize = (1 << 30) - 1;

/// `initcap(text)`: the first letter of each word in upper case, the others in lower.
pub(crate) fn initcap(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| {
        let mut out = String::new();
        let mut in_word = false;
        for char in text(row).chars() {
            let part = char.to_string();
            out += &if in_word {
                each_char(&part, char::to_lowercase)
            } else {
                each_char(&part, char::to_uppercase)
            };
            in_word = char.is_alphanumeric();
        }
        Ok(out)
    })
}

/// `reverse(text)`
pub(crate) fn reverse(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(text(row).chars().rev().collect::<String>()))
}

/// `repeat(text, count)`
pub(crate) fn repeat(inputs: &Inputs, _: DataType) -> Computed {
    let (text, count) = (inputs.get(0).text(), inputs.get(1).primitive::<Int32Type>());
    inputs.build_text(|row| {
        let count = usize::try_from(count.get(row)).unwrap_or(0);
        match text(row).len().checked_mul(count) {
            Some(length) if length <= BYTES_MAX => Ok(text(row).repeat(count)),
            _ => Err(DataError::new("54000", "requested length too large")),
        }
    })
}

/// `translate(text, from, to)`: characters of `from` become those at their places in `to`, or go.
pub(crate) fn translate(inputs: &Inputs, _: DataType) -> Computed {
    let (text, from, to) = (inputs.get(0).text(), inputs.get(1).text(), inputs.get(2).text());
    inputs.build_text(|row| {
        let to: Vec<char> = to(row).chars().collect();
        let mapped = |char: char| match from(row).chars().position(|own| own == char) {
            Some(place) => to.get(place).copied(),
            None => Some(char),
        };
        Ok(text(row).chars().filter_map(mapped).collect::<String>())
    })
}

/// `ascii(text)`: the code point of the first character; 0 of an empty text.
pub(crate) fn ascii(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    let code = |row| Ok(text(row).chars().next().map_or(0, |char| u32::from(char) as i32));
    Ok(Arc::new(inputs.build::<Int32Type>(code)?))
}

/// `chr(code)`
pub(crate) fn chr(inputs: &Inputs, _: DataType) -> Computed {
    let code = inputs.get(0).primitive::<Int32Type>();
    inputs.build_text(|row| {
        let code = code.get(row);
        if code < 0 {
            return Err(DataError::new("54000", "character number must be positive"));
        }
        if code == 0 {
            return Err(DataError::new("54000", "null character not permitted"));
        }
        let char = u32::try_from(code).ok().and_then(char::from_u32).map(String::from);
        char.ok_or_else(|| {
            DataError::new("54000", format!("requested character too large for encoding: {code}"))
        })
    })
}

pub(crate) fn to_hex_int4(inputs: &Inputs, _: DataType) -> Computed {
    let value = inputs.get(0).primitive::<Int32Type>();
    inputs.build_text(|row| Ok(format!("{:x}", value.get(row))))
}

pub(crate) fn to_hex_int8(inputs: &Inputs, _: DataType) -> Computed {
    let value = inputs.get(0).primitive::<Int64Type>();
    inputs.build_text(|row| Ok(format!("{:x}", value.get(row))))
}

/// `pg_size_pretty(bytes)`: PostgreSQL's units and rounding.
pub(crate) fn size(inputs: &Inputs, _: DataType) -> Computed {
    let value = inputs.get(0).primitive::<Int64Type>();
    inputs.build_text(|row| Ok(pretty(value.get(row))))
}

/// A number of bytes in the first unit in which it is small, rounded to the nearest whole one.
fn pretty(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes.unsigned_abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    // In halves of the unit, so that the last bit rounds.
    let mut halves = bytes / 512;
    for unit in UNITS {
        if halves.unsigned_abs() < 20 * 1024 - 1 || unit == "PB" {
            return format!("{} {unit}", (halves + halves.signum()) / 2);
        }
        halves /= 1024;
    }
    format!("{bytes} bytes")
}

/// `overlay(text PLACING new FROM start [FOR count])`
pub(crate) fn overlay(inputs: &Inputs, _: DataType) -> Computed {
    let (text, new) = (inputs.get(0).text(), inputs.get(1).text());
    let start = inputs.get(2).primitive::<Int32Type>();
    let count = (inputs.len() > 3).then(|| inputs.get(3).primitive::<Int32Type>());
    inputs.build_text(|row| {
        let (text, new, start) = (text(row), new(row), i64::from(start.get(row)));
        let count = match &count {
            Some(count) => i64::from(count.get(row)),
            None => new.chars().count() as i64,
        };
        if start <= 0 {
            return Err(DataError::new("22011", "negative substring length not allowed"));
        }
        let end = start.checked_add(count).filter(|end| *end <= i64::from(i32::MAX));
        let end = end.ok_or_else(|| DataError::out_of_range("integer"))?;
        let head = text.chars().take((start - 1) as usize);
        let tail = text.chars().skip((end - 1).max(0) as usize);
        Ok(head.chain(new.chars()).chain(tail).collect::<String>())
    })
}

/// The text as a constant of SQL.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

/// `quote_literal(text)`
pub(crate) fn quote_literal(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(quoted(text(row))))
}

/// `quote_nullable(text)`: of NULL the word.
pub(crate) fn quote_nullable(inputs: &Inputs, _: DataType) -> Computed {
    let (input, text) = (inputs.get(0), inputs.get(0).text());
    let shown = |row| if input.is_null(row) { "NULL".to_owned() } else { quoted(text(row)) };
    Ok(Arc::new((0..inputs.rows()).map(|row| Some(shown(row))).collect::<StringArray>()))
}

/// `quote_ident(text)`
pub(crate) fn quote_ident(inputs: &Inputs, _: DataType) -> Computed {
    let text = inputs.get(0).text();
    inputs.build_text(|row| Ok(crate::parse::quoted(text(row))))
}

/// `format(pattern, …)`: `%s`, `%I`, `%L` and `%%`, with positions (`%2$s`) and widths (`%-10s`, `%*s`).
pub(crate) fn format(inputs: &Inputs, _: DataType) -> Computed {
    let pattern = inputs.get(0).text();
    let arguments: Vec<_> = inputs.iter().skip(1).map(|input| (input, input.text())).collect();
    let shown = |row: usize| -> Result<Option<String>, DataError> {
        if inputs.get(0).is_null(row) {
            return Ok(None);
        }
        let argument = |place: usize| {
            let missing = || DataError::new("22023", "too few arguments for format()");
            let (input, text): &(&Input, _) = arguments.get(place).ok_or_else(missing)?;
            Ok((!input.is_null(row)).then(|| text(row)))
        };
        Formatter { rest: pattern(row), next: 0, argument: &argument, out: String::new() }.run().map(Some)
    };
    Ok(Arc::new((0..inputs.rows()).map(shown).collect::<Result<StringArray, DataError>>()?))
}

/// A pattern of `format` at work.
struct Formatter<'p, 'a> {
    rest: &'p str,
    /// The argument that comes next, from 0.
    next: usize,
    argument: &'a dyn Fn(usize) -> Result<Option<&'a str>, DataError>,
    out: String,
}

fn unterminated() -> DataError {
    DataError::new("22023", "unterminated format() type specifier")
}

impl<'a> Formatter<'_, 'a> {
    fn run(mut self) -> Result<String, DataError> {
        while let Some((head, rest)) = self.rest.split_once('%') {
            self.out += head;
            self.rest = rest;
            if let Some(rest) = self.rest.strip_prefix('%') {
                self.out.push('%');
                self.rest = rest;
            } else {
                self.specifier()?;
            }
        }
        self.out += self.rest;
        Ok(self.out)
    }

    fn digits(&mut self) -> Result<Option<usize>, DataError> {
        let end = self.rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        digits
            .parse::<i32>()
            .map(|number| Some(number as usize))
            .map_err(|_| DataError::new("22003", "number is out of range"))
    }

    /// The place that a number before a `$` says.
    fn place(number: usize) -> Result<usize, DataError> {
        let wrong =
            || DataError::new("22023", "format specifies argument 0, but arguments are numbered from 1");
        number.checked_sub(1).ok_or_else(wrong)
    }

    fn accept(&mut self, char: char) -> bool {
        let stripped = self.rest.strip_prefix(char);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    /// The argument of a place, or the next one.
    fn take(&mut self, place: Option<usize>) -> Result<Option<&'a str>, DataError> {
        let place = place.unwrap_or(self.next);
        self.next = place + 1;
        (self.argument)(place)
    }

    fn specifier(&mut self) -> Result<(), DataError> {
        let (mut place, mut width, mut to_left) = (None, None, false);
        match self.digits()? {
            Some(number) if self.accept('$') => place = Some(Self::place(number)?),
            number => width = number,
        }
        if width.is_none() {
            while self.accept('-') {
                to_left = true;
            }
            width = if self.accept('*') { Some(self.given_width(&mut to_left)?) } else { self.digits()? };
        }
        let mut chars = self.rest.chars();
        let kind = chars.next().ok_or_else(unterminated)?;
        self.rest = chars.as_str();
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(DataError::new("22023", message));
        }
        let value = self.take(place)?;
        let shown = match (kind, value) {
            ('I', None) => {
                return Err(DataError::new("22004", "null values cannot be formatted as an SQL identifier"));
            }
            ('I', Some(text)) => crate::parse::quoted(text),
            ('L', None) => "NULL".to_owned(),
            ('L', Some(text)) => quoted(text),
            (_, value) => value.unwrap_or_default().to_owned(),
        };
        let width = width.unwrap_or(0);
        if width > BYTES_MAX / 4 {
            return Err(DataError::new("54000", "requested length too large"));
        }
        self.out += &if to_left { format!("{shown:<width$}") } else { format!("{shown:>width$}") };
        Ok(())
    }

    /// The width that an argument says; a negative one is to the left.
    fn given_width(&mut self, to_left: &mut bool) -> Result<usize, DataError> {
        let place = match self.digits()? {
            Some(number) if self.accept('$') => Some(Self::place(number)?),
            Some(_) => return Err(DataError::new("22023", "width argument position must be ended by \"$\"")),
            None => None,
        };
        let Some(text) = self.take(place)? else { return Ok(0) };
        let width = crate::text_form::parse_int32(text)?;
        *to_left |= width < 0;
        Ok(width.unsigned_abs() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::pretty;

    /// What PostgreSQL 15 says.
    #[test]
    fn sizes_are_rounded_as_in_postgresql() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (-1, "-1 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (-10_240, "-10 kB"),
            (10_751, "10 kB"),
            (10_752, "11 kB"),
            (10_485_247, "10239 kB"),
            (10_485_248, "10 MB"),
            (1 << 30, "1024 MB"),
            (10_736_893_952, "10 GB"),
            (1 << 40, "1024 GB"),
            (1 << 60, "1024 PB"),
            (i64::MAX, "8192 PB"),
            (i64::MIN, "-8192 PB"),
            (-15_000, "-15 kB"),
        ] {
            assert_eq!(pretty(bytes), text);
        }
    }
}
