//! InfluxDB's line protocol: points as rows. `measurement,tag=value field=value,field=value timestamp`.
//!
//! A measurement is a table, each tag and each field a column of it, the timestamp the column `time`. Values go through
//! the text input of the column's type, as in the other forms, so that a field may come to any column that can take it.
//! Source: InfluxData's reference of the line protocol (version 2), which version 1 agrees with.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use millrace_sql::text_form::write_timestamptz;
use millrace_sql::{Column, SqlError, UTC};

use super::rows::Rows;
use super::{BadRow, Columns, Given, without_mark};
use crate::pgwire::utf8;

/// The column of a point's timestamp.
pub(crate) const TIME: &str = "time";

/// The unit of a request's timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
}

impl Precision {
    /// What a request's `precision` means, in either version's words; `None` for an unknown one.
    pub(crate) fn of_parameter(text: &str) -> Option<Precision> {
        match text {
            "" | "ns" | "n" => Some(Precision::Nanoseconds),
            "us" | "u" | "µ" => Some(Precision::Microseconds),
            "ms" => Some(Precision::Milliseconds),
            "s" => Some(Precision::Seconds),
            _ => None,
        }
    }

    /// Microseconds since 1970, rounded down; `None` beyond 64 bits.
    fn micros(self, timestamp: i64) -> Option<i64> {
        match self {
            Precision::Nanoseconds => Some(timestamp.div_euclid(1_000)),
            Precision::Microseconds => Some(timestamp),
            Precision::Milliseconds => timestamp.checked_mul(1_000),
            Precision::Seconds => timestamp.checked_mul(1_000_000),
        }
    }
}

/// One point.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Point<'a> {
    /// The table.
    pub(crate) measurement: Cow<'a, str>,
    /// Columns and their values as texts: tags, fields, then the time.
    pub(crate) values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Where it begins.
    pub(crate) line: u64,
}

/// A body of points.
pub(crate) struct Points {
    body: Bytes,
    precision: Precision,
    /// The time of points that tell none.
    now_micros: i64,
}

impl Points {
    /// # Errors
    /// 22021 for what is no UTF-8 text.
    pub(crate) fn new(body: Bytes, precision: Precision, now_micros: i64) -> Result<Points, SqlError> {
        utf8(&body)?;
        Ok(Points { body, precision, now_micros })
    }

    /// Gives every point to `take`, in order.
    ///
    /// # Errors
    /// 22P02 for what is no point, with its line; what `take` raises.
    pub(crate) fn for_each(
        &self,
        mut take: impl FnMut(Point<'_>) -> Result<(), BadRow>,
    ) -> Result<(), BadRow> {
        let mut rest = std::str::from_utf8(without_mark(&self.body)).map_err(SqlError::internal)?;
        let mut number = 1;
        while !rest.is_empty() {
            let (line, behind) = rest.split_at(line_length(rest));
            rest = behind.strip_prefix('\n').unwrap_or(behind);
            let text = line.trim_matches([' ', '\t', '\r']);
            if !text.is_empty() && !text.starts_with('#') {
                let point = point(text, number, self.precision, self.now_micros);
                take(point.map_err(|error| BadRow::at(error, number))?)?;
            }
            number += 1 + line.matches('\n').count() as u64;
        }
        Ok(())
    }
}

/// Points of one measurement, as rows of its table.
pub(crate) struct PointRows(Rows);

impl PointRows {
    /// For a table of these columns.
    pub(crate) fn new(columns: &[Column]) -> PointRows {
        PointRows(Rows::new(Columns::new(columns), UTC.clone()))
    }

    /// Takes a point.
    ///
    /// # Errors
    /// 42703, 42701, what the input of a column's type raises: with line and column.
    pub(crate) fn append(&mut self, point: Point<'_>) -> Result<(), BadRow> {
        let Point { values, line, .. } = point;
        self.0.begin();
        for (name, value) in values {
            let value = self.0.value(&name, |_| Ok(Some(value)));
            value.map_err(|error| BadRow::of_value(error, line, &name))?;
        }
        self.0.end(line).map_err(|error| BadRow::at(error, line))?;
        if self.0.is_full() { self.0.finish().map_err(BadRow::from) } else { Ok(()) }
    }

    /// All of them.
    ///
    /// # Errors
    /// XX000
    pub(crate) fn finish(mut self) -> Result<Vec<Given>, BadRow> {
        if !self.0.is_empty() {
            self.0.finish()?;
        }
        Ok(std::iter::from_fn(|| self.0.take()).collect())
    }
}

/// The length of a line: a line end between quotes is a part of a string. Only behind the first space, among the
/// fields, and behind an equals sign a quote begins one.
fn line_length(text: &str) -> usize {
    let start = text.len() - text.trim_start_matches([' ', '\t']).len();
    if text[start..].starts_with('#') {
        return text.find('\n').unwrap_or(text.len());
    }
    let (mut among_fields, mut in_string, mut escaped, mut after_equals) = (false, false, false, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        let is_value = std::mem::take(&mut after_equals);
        match byte {
            b'\n' if !in_string => return at,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if in_string => in_string = false,
            b'"' if among_fields && is_value => in_string = true,
            b'=' => after_equals = true,
            b' ' => among_fields = true,
            _ => {}
        }
    }
    text.len()
}

fn point(line: &str, number: u64, precision: Precision, now_micros: i64) -> Result<Point<'_>, SqlError> {
    let mut rest = line;
    let (measurement, mut end) = word(&mut rest, &[',', ' ']);
    if measurement.is_empty() {
        return Err(malformed("a measurement is missing"));
    }
    let mut values = Vec::new();
    while end == Some(',') {
        let (key, separator) = word(&mut rest, &['=', ',', ' ']);
        if separator != Some('=') || key.is_empty() {
            return Err(malformed("a tag is key=value"));
        }
        let (value, separator) = word(&mut rest, &[',', ' ']);
        if value.is_empty() {
            return Err(malformed(format_args!("the tag {key} has no value")));
        }
        values.push((key, value));
        end = separator;
    }
    rest = rest.trim_start_matches(' ');
    loop {
        let (key, separator) = word(&mut rest, &['=', ',', ' ']);
        if separator != Some('=') || key.is_empty() {
            return Err(malformed("a field is key=value"));
        }
        let (value, separator) = field(&mut rest)?;
        values.push((key, value));
        if separator != Some(',') {
            break;
        }
    }
    values.push((Cow::Borrowed(TIME), Cow::Owned(time(rest.trim(), precision, now_micros)?)));
    Ok(Point { measurement, values, line: number })
}

/// The text up to one of these characters that no backslash escapes, without the escapes; and the character, which is
/// passed. `None` at the end.
fn word<'a>(rest: &mut &'a str, ends: &[char]) -> (Cow<'a, str>, Option<char>) {
    let mut escaped = false;
    let mut has_escapes = false;
    let text = *rest;
    for (at, char) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if char == '\\' {
            (escaped, has_escapes) = (true, true);
        } else if ends.contains(&char) {
            *rest = &text[at + char.len_utf8()..];
            return (unescaped(&text[..at], has_escapes), Some(char));
        }
    }
    *rest = "";
    (unescaped(text, has_escapes), None)
}

/// A backslash escapes a comma, a space and an equals sign; before anything else it is itself.
fn unescaped(text: &str, has_escapes: bool) -> Cow<'_, str> {
    if !has_escapes {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' if chars.peek().is_some_and(|next| matches!(next, ',' | ' ' | '=')) => {}
            _ => plain.push(char),
        }
    }
    Cow::Owned(plain)
}

/// A field's value as the text of a column's value, and what follows it.
fn field<'a>(rest: &mut &'a str) -> Result<(Cow<'a, str>, Option<char>), SqlError> {
    if rest.starts_with('"') {
        return string(rest);
    }
    let (text, separator) = word(rest, &[',', ' ']);
    let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
    let is_whole = |text: &str, digits: &str| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty()
    };
    let value = match text.as_ref() {
        "t" | "T" | "true" | "True" | "TRUE" => Cow::Borrowed("true"),
        "f" | "F" | "false" | "False" | "FALSE" => Cow::Borrowed("false"),
        number
            if number
                .strip_suffix('i')
                .is_some_and(|whole| is_whole(whole, whole.trim_start_matches('-'))) =>
        {
            Cow::Owned(number[..number.len() - 1].to_owned())
        }
        number if number.strip_suffix('u').is_some_and(|whole| is_whole(whole, whole)) => {
            Cow::Owned(number[..number.len() - 1].to_owned())
        }
        number if is_number(number) => text,
        other => {
            return Err(malformed(format_args!("\"{other}\" is no field value; strings stand in quotes")));
        }
    };
    Ok((value, separator))
}

/// A string in quotes, in which a backslash escapes a quote and a backslash.
fn string<'a>(rest: &mut &'a str) -> Result<(Cow<'a, str>, Option<char>), SqlError> {
    let mut plain = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                plain.extend(chars.next().map(|(_, next)| next));
            }
            '"' => {
                let behind = &rest[at + 1..];
                let separator = behind.chars().next();
                if separator.is_some_and(|char| !matches!(char, ',' | ' ')) {
                    return Err(malformed("something follows a string"));
                }
                *rest = behind.get(1..).unwrap_or_default();
                return Ok((Cow::Owned(plain), separator));
            }
            _ => plain.push(char),
        }
    }
    Err(malformed("a string does not end"))
}

/// The text of a point's time.
fn time(text: &str, precision: Precision, now_micros: i64) -> Result<String, SqlError> {
    let micros = match text {
        "" => now_micros,
        _ => {
            let number: i64 =
                text.parse().map_err(|_| malformed(format_args!("\"{text}\" is no timestamp")))?;
            precision
                .micros(number)
                .ok_or_else(|| malformed(format_args!("the timestamp {text} is out of range")))?
        }
    };
    let mut out = BytesMut::new();
    write_timestamptz(micros, &UTC, &mut out);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// 22P02, with what is wrong.
fn malformed(reason: impl std::fmt::Display) -> SqlError {
    SqlError::new("22P02", "invalid input syntax for the line protocol").detail(format!("{reason}."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The points of a text, written plainly; or the detail of what is wrong and its line.
    fn read(text: &str) -> Result<Vec<String>, (String, u64)> {
        let mut found = Vec::new();
        let points = Points::new(Bytes::copy_from_slice(text.as_bytes()), Precision::Seconds, 0).unwrap();
        let read = points.for_each(|point| {
            let values: Vec<String> =
                point.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
            found.push(format!("{}: {} {}", point.line, point.measurement, values.join("|")));
            Ok(())
        });
        match read {
            Ok(()) => Ok(found),
            Err(bad) => Err((bad.error.detail.unwrap_or_default(), bad.line.unwrap_or_default())),
        }
    }

    #[test]
    fn points_are_read_as_influxdb_reads_them() {
        let cases = [
            ("m f=1", "1: m f=1|time=1970-01-01 00:00:00+00"),
            (
                "m,a=x,b=y f=1.5,g=2i,h=3u,i=t,j=FALSE 60\n",
                "1: m a=x|b=y|f=1.5|g=2|h=3|i=true|j=false|time=1970-01-01 00:01:00+00",
            ),
            ("\n# m f=\"\n\r\n  m f=-1e3  1 \r\n", "4: m f=-1e3|time=1970-01-01 00:00:01+00"),
            (r"my\ m\,x,t\=ag=a\ b f\ g=1", "1: my m,x t=ag=a b|f g=1|time=1970-01-01 00:00:00+00"),
            (
                r#"m f="say \"x\", \\ y = z",g=1"#,
                r#"1: m f=say "x", \ y = z|g=1|time=1970-01-01 00:00:00+00"#,
            ),
            (
                "m f=\"two\nlines\" 1\nm g=1",
                "1: m f=two\nlines|time=1970-01-01 00:00:01+00\n3: m g=1|time=1970-01-01 00:00:00+00",
            ),
            (r"m,path=C:\dir f=1", r"1: m path=C:\dir|f=1|time=1970-01-01 00:00:00+00"),
            (r#"m,quote=a"b f=1"#, r#"1: m quote=a"b|f=1|time=1970-01-01 00:00:00+00"#),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).map(|points| points.join("\n")), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_point_is_told_with_its_line() {
        let cases = [
            ("m", "a field is key=value."),
            (",a=b f=1", "a measurement is missing."),
            ("m,a f=1", "a tag is key=value."),
            ("m,a= f=1", "the tag a has no value."),
            ("m f=", "\"\" is no field value; strings stand in quotes."),
            ("m f=x", "\"x\" is no field value; strings stand in quotes."),
            ("m f=1.5i", "\"1.5i\" is no field value; strings stand in quotes."),
            ("m f=-1u", "\"-1u\" is no field value; strings stand in quotes."),
            ("m f=NaN", "\"NaN\" is no field value; strings stand in quotes."),
            ("m f=\"x", "a string does not end."),
            ("m f=\"x\"y", "something follows a string."),
            ("m f=1 soon", "\"soon\" is no timestamp."),
            ("m f=1 9223372036854775807", "the timestamp 9223372036854775807 is out of range."),
        ];
        for (text, detail) in cases {
            assert_eq!(read(&format!("m f=1\n{text}")), Err((detail.to_owned(), 2)), "{text}");
        }
    }

    #[test]
    fn timestamps_have_the_unit_that_the_request_tells() {
        let micros =
            |unit, number| Precision::of_parameter(unit).and_then(|precision| precision.micros(number));
        assert_eq!(micros("", -1), Some(-1));
        assert_eq!(micros("ns", 1_999), Some(1));
        assert_eq!(
            (micros("us", 5), micros("ms", 5), micros("s", 5)),
            (Some(5), Some(5_000), Some(5_000_000))
        );
        assert_eq!(micros("fortnight", 5), None);
    }

    proptest! {
        /// A right body of which some bytes are others, or gone, is answered; what is no text is refused.
        #[test]
        fn changed_points_are_answered(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            end in any::<prop::sample::Index>(),
        ) {
            let right = "m,a=x,b=\\ y f=1.5,g=2i,s=\"say \\\"é\\\"\" 60\n# m\nm\\,x h=t,i=-1e3 1465839830\n";
            let mut body = right.as_bytes().to_vec();
            prop_assert_eq!(read(right).map(|points| points.len()), Ok(2));
            changes.iter().for_each(|(at, byte)| body[at.index(right.len())] = *byte);
            body.truncate(end.index(right.len()) + 1);
            match Points::new(body.clone().into(), Precision::Nanoseconds, 0) {
                Ok(points) => {
                    let columns = [Column::new("a", millrace_engine::DataType::Text, true)];
                    let mut rows = PointRows::new(&columns);
                    let _ = points.for_each(|point| rows.append(point));
                    let _ = rows.finish();
                }
                Err(error) => {
                    prop_assert!(body.contains(&0) || std::str::from_utf8(&body).is_err());
                    prop_assert_eq!(error.sqlstate.as_str(), "22021");
                }
            }
        }

        /// Whatever comes, there is an answer.
        #[test]
        fn no_text_is_too_odd(text in "[mf=, \"\\\\\n#1itu.-]{0,60}") {
            let _ = read(&text);
        }

        /// What is written with escapes is read back.
        #[test]
        fn escapes_come_back(name in "[a-z,= é\"]{1,8}", value in "[a-z\"\\\\, =\n]{0,12}") {
            let escaped: String = name.chars().flat_map(|char| {
                let escape = matches!(char, ',' | '=' | ' ').then_some('\\');
                escape.into_iter().chain([char])
            }).collect();
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("m,{escaped}=x {escaped}=\"{quoted}\" 0");
            let expected = format!("1: m {name}=x|{name}={value}|time=1970-01-01 00:00:00+00");
            prop_assert_eq!(read(&text), Ok(vec![expected]));
        }
    }
}
