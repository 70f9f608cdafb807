//! JSON as text: as jsonb is shown, and as `jsonb_pretty` shows it.

use std::fmt::Write;

use super::{Json, decode};

/// Appends a string in quotes, to a buffer in memory: writing to it cannot fail.
pub(crate) fn write_string(text: &str, out: &mut impl Write) {
    _ = out.write_char('"');
    for char in text.chars() {
        _ = match char {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\u{8}' => out.write_str("\\b"),
            '\u{c}' => out.write_str("\\f"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)),
            other => out.write_char(other),
        };
    }
    _ = out.write_char('"');
}

/// What stands between the parts of an array or object.
struct Style {
    /// Each part on a line of its own, indented.
    lines: bool,
}

/// Appends a value in one line.
pub(crate) fn write(value: &Json, out: &mut impl Write) {
    Style { lines: false }.write(value, 0, out);
}

/// Appends a value with a line for each part.
pub(crate) fn write_pretty(value: &Json, out: &mut impl Write) {
    Style { lines: true }.write(value, 0, out);
}

/// Appends the value of stored bytes; nothing for bytes that are none.
pub fn write_stored(bytes: &[u8], out: &mut impl Write) {
    if let Some(value) = decode(bytes) {
        write(&value, out);
    }
}

impl Style {
    fn write(&self, value: &Json, depth: usize, out: &mut impl Write) {
        match value {
            Json::Null => _ = out.write_str("null"),
            Json::Boolean(value) => _ = write!(out, "{value}"),
            Json::Number(number) => number.write(out),
            Json::String(text) => write_string(text, out),
            Json::Array(elements) => {
                _ = out.write_char('[');
                for (index, element) in elements.iter().enumerate() {
                    self.separate(index, depth + 1, out);
                    self.write(element, depth + 1, out);
                }
                self.end_line(depth, out);
                _ = out.write_char(']');
            }
            Json::Object(fields) => {
                _ = out.write_char('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    self.separate(index, depth + 1, out);
                    write_string(key, out);
                    _ = out.write_str(": ");
                    self.write(value, depth + 1, out);
                }
                self.end_line(depth, out);
                _ = out.write_char('}');
            }
        }
    }

    fn separate(&self, index: usize, depth: usize, out: &mut impl Write) {
        if index > 0 {
            _ = out.write_str(if self.lines { "," } else { ", " });
        }
        self.end_line(depth, out);
    }

    fn end_line(&self, depth: usize, out: &mut impl Write) {
        if self.lines {
            _ = write!(out, "\n{:width$}", "", width = 4 * depth);
        }
    }
}
