//! `Source`: a text, its tokens' places, and the errors that point into it.
//!
//! sqlparser counts lines and columns; PostgreSQL's clients expect characters from 1 over the whole
//! text. All positions are translated here.

use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, TokenWithSpan, TokenizerError};

use crate::error::SqlError;

/// How much of a bad token an error message repeats.
const QUOTED_CHARS_MAX: usize = 64;

/// The whole text of a simple query or of a Parse message.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    /// Where each line starts: in bytes, and in characters from 0.
    lines: Vec<(usize, usize)>,
}

impl Source {
    pub(super) fn new(text: &str) -> Source {
        let mut lines = vec![(0, 0)];
        for (chars, (bytes, char)) in text.char_indices().enumerate() {
            if char == '\n' {
                lines.push((bytes + 1, chars + 1));
            }
        }
        Source { text: text.to_owned(), lines }
    }

    /// The place of a location in characters from 1; the text's end for a location of nothing.
    pub(crate) fn position(&self, location: Location) -> usize {
        match self.line(location) {
            Some((_, chars)) => chars + location.column as usize,
            None => self.text.chars().count() + 1,
        }
    }

    /// The place of a location in bytes from 0.
    pub(super) fn offset(&self, location: Location) -> usize {
        let Some((bytes, _)) = self.line(location) else { return self.text.len() };
        let line = &self.text[bytes..];
        let before = location.column.saturating_sub(1) as usize;
        bytes + line.char_indices().nth(before).map_or(line.len(), |(offset, _)| offset)
    }

    /// The text between two places in bytes; nothing where they are out of order.
    pub(super) fn between(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The text between two locations.
    pub(super) fn slice(&self, start: Location, end: Location) -> &str {
        self.between(self.offset(start), self.offset(end))
    }

    /// 42601 at a token, in PostgreSQL's words. `None`, or the token of nothing, is the end.
    pub(super) fn syntax_error(&self, at: Option<&TokenWithSpan>) -> SqlError {
        match at {
            Some(token) if token.span != Span::empty() => self.error_at(token.span.start, token.span.end),
            _ => SqlError::new("42601", "syntax error at end of input")
                .position(self.position(Location::empty())),
        }
    }

    /// What the tokenizer found wrong: always something that is opened and not closed.
    pub(super) fn tokenizer_error(&self, error: &TokenizerError) -> SqlError {
        let rest = abbreviate(&self.text[self.offset(error.location)..]);
        let what = match error.message.as_str() {
            message if message.contains("comment") => "unterminated /* comment",
            message if message.contains("dollar") => "unterminated dollar-quoted string",
            message if message.contains("delimiter '\"'") => "unterminated quoted identifier",
            message if message.contains("string") => "unterminated quoted string",
            _ => "syntax error",
        };
        let end = if rest.is_empty() { "at end of input".to_owned() } else { format!("at or near \"{rest}\"") };
        SqlError::new("42601", format!("{what} {end}")).position(self.position(error.location))
    }

    /// What sqlparser found wrong; its messages end in ` at Line: 1, Column: 2`.
    pub(super) fn parser_error(&self, error: &ParserError, tokens: &[TokenWithSpan]) -> SqlError {
        let message = match error {
            ParserError::RecursionLimitExceeded => return too_deep(),
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
        };
        let Some((what, location)) = split_location(message) else {
            return match message.contains("found: EOF") {
                true => self.syntax_error(None),
                false => SqlError::new("42601", format!("syntax error: {message}")),
            };
        };
        match tokens.iter().find(|token| token.span.start == location) {
            Some(token) if what.contains("found: ") => self.syntax_error(Some(token)),
            _ => SqlError::new("42601", format!("syntax error: {what}")).position(self.position(location)),
        }
    }

    fn error_at(&self, start: Location, end: Location) -> SqlError {
        let near = abbreviate(self.slice(start, end));
        SqlError::new("42601", format!("syntax error at or near \"{near}\"")).position(self.position(start))
    }

    fn line(&self, location: Location) -> Option<(usize, usize)> {
        let index = usize::try_from(location.line).ok()?.checked_sub(1)?;
        self.lines.get(index).copied()
    }
}

/// 54001: deeper than the stack of a worker thread allows.
pub(super) fn too_deep() -> SqlError {
    SqlError::new("54001", "stack depth limit exceeded")
        .hint("Write the statement with fewer nested parentheses or shorter chains of operators.")
}

/// The first characters of a text that may be long.
fn abbreviate(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Splits `… at Line: 1, Column: 2`.
fn split_location(message: &str) -> Option<(&str, Location)> {
    let (what, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((what, Location::new(line.parse().ok()?, column.parse().ok()?)))
}
