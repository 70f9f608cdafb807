//! Cuts the client's bytes into lines, wherever its chunks end.
//!
//! The rules are PostgreSQL's (CopyReadLineText): the first line's end decides whether lines end with
//! LF, CR or CRLF, and any other is an error; in text format a backslash takes the next byte into the
//! line, in CSV an open quote takes everything; `\.` alone on a line ends the data.
//! Invariant: no byte is looked at twice, so that a long line costs no more than a short one.

use bytes::{Buf, Bytes, BytesMut};
use millrace_sql::{LineFormat, SqlError};

/// The longest line, and with it the most bytes that wait for their line's end.
const LINE_BYTES_MAX: usize = 64 << 20;

/// How lines end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lf,
    Cr,
    CrLf,
}

/// A line without its end, and the number of its first line in the file, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) bytes: Bytes,
    pub(crate) number: u64,
}

/// The cutter: feed bytes, take lines.
pub(crate) struct Lines {
    csv: bool,
    quote: u8,
    waiting: BytesMut,
    /// Bytes of `waiting` that belong to the line at hand.
    scanned: usize,
    in_quote: bool,
    end: Option<End>,
    number: u64,
    /// Line ends inside the quotes of the line at hand.
    inner_ends: u64,
    /// The client said that nothing follows.
    complete: bool,
    /// `\.` alone on a line ends the data.
    has_mark: bool,
    /// It was seen: what follows does not count.
    ended: bool,
}

/// What the byte at hand means.
enum Step {
    /// It and this many bytes in all belong to the line.
    Take(usize),
    /// The line ends here, with an end of this many bytes.
    EndOfLine(usize),
    /// Only the bytes that are still to come can tell.
    Wait,
}

impl Lines {
    pub(crate) fn new(format: &LineFormat) -> Lines {
        Lines {
            csv: format.csv,
            quote: format.quote,
            waiting: BytesMut::new(),
            scanned: 0,
            in_quote: false,
            end: None,
            number: 0,
            inner_ends: 0,
            complete: false,
            has_mark: true,
            ended: false,
        }
    }

    /// The lines of a whole file of CSV, in which nothing but its end ends the data.
    pub(crate) fn of_file(self) -> Lines {
        Lines { has_mark: false, ..self }
    }

    /// More bytes from the client.
    pub(crate) fn feed(&mut self, data: &[u8]) {
        if !self.ended {
            self.waiting.extend_from_slice(data);
        }
    }

    /// The client's end of data.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// How many lines were taken, those inside quotes included.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` where more bytes are needed, or none follow.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, SqlError> {
        if self.ended {
            return Ok(None);
        }
        while self.scanned < self.waiting.len() {
            match self.step()? {
                Step::Take(count) => self.scanned += count,
                Step::EndOfLine(count) => return Ok(self.cut(count)),
                Step::Wait if self.complete => self.scanned += 1,
                Step::Wait => return self.check_length(),
            }
        }
        if self.complete && !self.waiting.is_empty() {
            if self.in_quote {
                return Err(SqlError::new("22P04", "unterminated CSV quoted field"));
            }
            return Ok(self.cut(0));
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<Option<Line>, SqlError> {
        if self.waiting.len() <= LINE_BYTES_MAX {
            return Ok(None);
        }
        let message = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number + 1);
        Err(SqlError::new("54000", message).hint("A quote that is not closed may be the reason."))
    }

    /// Takes the line at hand, with an end of this many bytes, out of the waiting bytes.
    fn cut(&mut self, end: usize) -> Option<Line> {
        let bytes = self.waiting.split_to(self.scanned).freeze();
        self.waiting.advance(end);
        self.scanned = 0;
        let number = self.number + 1;
        self.number = number + std::mem::take(&mut self.inner_ends);
        if self.has_mark && bytes.as_ref() == b"\\." {
            self.ended = true;
            self.waiting.clear();
            return None;
        }
        Some(Line { bytes, number })
    }

    fn step(&mut self) -> Result<Step, SqlError> {
        let byte = self.waiting[self.scanned];
        if self.csv && byte == self.quote {
            // A doubled quote closes and opens again: the end of the line stays where it is.
            self.in_quote = !self.in_quote;
            return Ok(Step::Take(1));
        }
        match byte {
            b'\n' | b'\r' if self.in_quote => {
                self.count_inner_end(byte);
                Ok(Step::Take(1))
            }
            b'\r' => self.carriage_return(),
            b'\n' => self.line_feed(),
            b'\\' if !self.csv => self.backslash(),
            _ => Ok(Step::Take(1)),
        }
    }

    /// A CRLF inside quotes counts once.
    fn count_inner_end(&mut self, byte: u8) {
        let counted = if self.end == Some(End::Cr) { b'\r' } else { b'\n' };
        self.inner_ends += u64::from(byte == counted);
    }

    fn carriage_return(&mut self) -> Result<Step, SqlError> {
        let next = self.waiting.get(self.scanned + 1).copied();
        match (self.end, next) {
            (Some(End::Lf), _) => Err(self.foreign_end("carriage return", "\\r")),
            (Some(End::Cr), _) => Ok(Step::EndOfLine(1)),
            (None | Some(End::CrLf), None) if !self.complete => Ok(Step::Wait),
            (None | Some(End::CrLf), Some(b'\n')) => {
                self.end = Some(End::CrLf);
                Ok(Step::EndOfLine(2))
            }
            (Some(End::CrLf), _) => Err(self.foreign_end("carriage return", "\\r")),
            (None, _) => {
                self.end = Some(End::Cr);
                Ok(Step::EndOfLine(1))
            }
        }
    }

    fn line_feed(&mut self) -> Result<Step, SqlError> {
        match self.end {
            Some(End::Cr | End::CrLf) => Err(self.foreign_end("newline", "\\n")),
            Some(End::Lf) | None => {
                self.end = Some(End::Lf);
                Ok(Step::EndOfLine(1))
            }
        }
    }

    /// An end of line that is not the file's own.
    fn foreign_end(&self, name: &str, escape: &str) -> SqlError {
        let (kind, hint) = if self.csv {
            ("unquoted", format!("Use quoted CSV field to represent {name}."))
        } else {
            ("literal", format!("Use \"{escape}\" to represent {name}."))
        };
        SqlError::new("22P04", format!("{kind} {name} found in data")).hint(hint)
    }

    /// Text format: a backslash and the byte behind it belong together, and `\.` is only for the end.
    fn backslash(&self) -> Result<Step, SqlError> {
        let rest = &self.waiting[self.scanned + 1..];
        match rest {
            [] => Ok(Step::Wait),
            [b'.'] if !self.complete => Ok(Step::Wait),
            [b'.'] | [b'.', b'\n' | b'\r', ..] if self.scanned == 0 => Ok(Step::Take(2)),
            [b'.', ..] => Err(SqlError::new("22P04", "end-of-copy marker corrupt")),
            _ => Ok(Step::Take(2)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn text() -> LineFormat {
        LineFormat { csv: false, header: false, delimiter: b'\t', quote: b'"', null: "\\N".to_owned() }
    }

    pub(crate) fn csv() -> LineFormat {
        LineFormat { csv: true, header: false, delimiter: b',', quote: b'"', null: String::new() }
    }

    /// The lines of these chunks with their numbers, or the error's SQLSTATE and message.
    fn cut(format: &LineFormat, chunks: &[&[u8]]) -> Result<Vec<(u64, String)>, String> {
        let mut lines = Lines::new(format);
        let mut taken = Vec::new();
        let mut take = |lines: &mut Lines| -> Result<(), String> {
            while let Some(line) =
                lines.next().map_err(|error| format!("{} {}", error.sqlstate, error.message))?
            {
                taken.push((line.number, String::from_utf8_lossy(&line.bytes).into_owned()));
            }
            Ok(())
        };
        for chunk in chunks {
            lines.feed(chunk);
            take(&mut lines)?;
        }
        lines.complete();
        take(&mut lines)?;
        Ok(taken)
    }

    fn whole(format: &LineFormat, data: &str) -> Result<Vec<String>, String> {
        cut(format, &[data.as_bytes()]).map(|lines| lines.into_iter().map(|(_, line)| line).collect())
    }

    fn lines(of: &[&str]) -> Result<Vec<String>, String> {
        Ok(of.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn the_first_end_of_line_decides() {
        assert_eq!(whole(&text(), "a\nb\n"), lines(&["a", "b"]));
        assert_eq!(whole(&text(), "a\r\nb\r\n"), lines(&["a", "b"]));
        assert_eq!(whole(&text(), "a\rb"), lines(&["a", "b"]));
        assert_eq!(whole(&text(), "a\n\nb"), lines(&["a", "", "b"]));
        assert_eq!(whole(&text(), "a\nb\rc"), Err("22P04 literal carriage return found in data".to_owned()));
        assert_eq!(whole(&csv(), "a\r\nb\nc"), Err("22P04 unquoted newline found in data".to_owned()));
        assert_eq!(whole(&text(), ""), lines(&[]));
    }

    #[test]
    fn quotes_and_backslashes_keep_line_ends() {
        assert_eq!(whole(&csv(), "\"a\nb\",\"c\"\"\n\"\nd\n"), lines(&["\"a\nb\",\"c\"\"\n\"", "d"]));
        assert_eq!(whole(&text(), "a\\\nb\nc\\\\\nd\n"), lines(&["a\\\nb", "c\\\\", "d"]));
        assert_eq!(whole(&csv(), "a\\\nb\n"), lines(&["a\\", "b"]));
        assert_eq!(whole(&csv(), "\"a\nb"), Err("22P04 unterminated CSV quoted field".to_owned()));
    }

    #[test]
    fn a_backslash_and_a_dot_end_the_data() {
        assert_eq!(whole(&text(), "a\n\\.\nb\n"), lines(&["a"]));
        assert_eq!(whole(&csv(), "a\n\\.\nb\n"), lines(&["a"]));
        assert_eq!(whole(&text(), "a\n\\."), lines(&["a"]));
        assert_eq!(whole(&text(), "a\\.b\n"), Err("22P04 end-of-copy marker corrupt".to_owned()));
        assert_eq!(whole(&csv(), "a\\.\n"), lines(&["a\\."]));
    }

    #[test]
    fn lines_are_numbered_with_those_inside_quotes() {
        let taken = cut(&csv(), &[b"a\n\"b\n\nc\"\nd\n"])
            .map(|lines| lines.iter().map(|(n, _)| *n).collect::<Vec<_>>());
        assert_eq!(taken, Ok(vec![1, 2, 5]));
    }

    proptest! {
        /// Whatever the chunks, the lines (or the error) are the same.
        #[test]
        fn chunks_do_not_matter(
            data in "[ab\\\\.\"\n\r,]{0,40}",
            cuts in prop::collection::vec(0usize..40, 0..6),
            as_csv in any::<bool>(),
        ) {
            let format = if as_csv { csv() } else { text() };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(data.len())).collect();
            cuts.sort_unstable();
            cuts.push(data.len());
            let mut chunks = Vec::new();
            let mut start = 0;
            for at in cuts {
                chunks.push(&data.as_bytes()[start..at]);
                start = at;
            }
            prop_assert_eq!(cut(&format, &chunks), cut(&format, &[data.as_bytes()]));
        }
    }
}
