//! PostgreSQL's advanced regular expressions: where a pattern matches, and what its groups hold.
//!
//! ```text
//! text → syntax (a tree) ─┬→ written: the dialect of the crate `regex`, which finds where a match begins
//!                         └→ pieces: PostgreSQL's parts, each with automata that say where it can end and begin
//!                              → dissect: of the match that POSIX means (the longest; where the pattern prefers
//!                                that, the shortest) the groups
//! ```
//! `regex` alone takes the first alternative that matches, POSIX the longest match, so only a match's beginning is
//! `regex`'s. All automata take time linear in the text. What only a matcher that goes back can do (references to
//! groups, looking ahead and behind) is refused.

mod automaton; // where an expression can end, where it can begin
mod dissect; // the groups of a match
mod options; // the letters of flags
mod pieces; // a pattern as PostgreSQL takes it apart
mod similar; // SIMILAR TO
mod syntax; // a pattern as a tree
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use millrace_engine::DataError;
use regex::{Regex, RegexBuilder};

pub(crate) use options::Options;
use pieces::Piece;
pub(crate) use similar::similar;

/// A compiled pattern may take this many bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiled patterns that a thread keeps.
const KEPT_MAX: usize = 32;

fn invalid(why: &str) -> DataError {
    DataError::new("2201B", format!("invalid regular expression: {why}"))
}

fn too_complex() -> DataError {
    invalid("regular expression is too complex")
}

fn missing(what: &str) -> DataError {
    DataError::new("0A000", format!("{what} in a regular expression is not supported"))
}

/// A compiled pattern.
pub(crate) struct Pattern {
    first: Regex,
    whole: Piece,
    groups: usize,
}

/// A match: the whole, then the groups, as ranges of bytes; `None` for a group that took no part.
pub(crate) struct Match {
    pub(crate) spans: Vec<Option<Range<usize>>>,
}

impl Match {
    /// All of it.
    pub(crate) fn whole(&self) -> Range<usize> {
        self.spans.first().cloned().flatten().unwrap_or_default()
    }
}

impl Pattern {
    fn new(pattern: &str, options: Options) -> Result<Pattern, DataError> {
        let (tree, groups, options) = syntax::parse(pattern, options)?;
        let written = tree.written();
        let first = RegexBuilder::new(&written)
            .dot_matches_new_line(true)
            .case_insensitive(options.any_case)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => too_complex(),
                error if error.to_string().contains("range") => invalid("invalid character range"),
                _ => invalid("invalid regexp (reg version 0.8)"),
            })?;
        Ok(Pattern { first, whole: pieces::of(&tree, options.any_case)?, groups })
    }

    /// The pattern, compiled now or before by this thread.
    ///
    /// # Errors
    /// 2201B for what is no pattern, 0A000 for what is not there.
    pub(crate) fn compiled(pattern: &str, options: Options) -> Result<Rc<Pattern>, DataError> {
        thread_local! {
            static KEPT: RefCell<Vec<(String, Options, Rc<Pattern>)>> = const { RefCell::new(Vec::new()) };
        }
        let is_it = |(text, own, _): &(String, Options, Rc<Pattern>)| text == pattern && *own == options;
        let found =
            KEPT.with_borrow(|kept| kept.iter().rfind(|kept| is_it(kept)).map(|kept| Rc::clone(&kept.2)));
        if let Some(found) = found {
            return Ok(found);
        }
        let new = Rc::new(Pattern::new(pattern, options)?);
        KEPT.with_borrow_mut(|kept| {
            if kept.len() == KEPT_MAX {
                kept.remove(0);
            }
            kept.push((pattern.to_owned(), options, Rc::clone(&new)));
        });
        Ok(new)
    }

    /// How many groups it captures.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Whether it matches anywhere.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.first.is_match(text)
    }

    /// The first match at or behind a place; what stands before the place is seen, but not matched.
    ///
    /// # Errors
    /// 2201B where a part of the pattern is too large.
    pub(crate) fn find(&self, text: &str, from: usize) -> Result<Option<Match>, DataError> {
        let Some(span) = self.span(text, from)? else { return Ok(None) };
        let mut spans = vec![None; self.groups + 1];
        dissect::groups(&self.whole, text, span.clone(), &mut spans)?;
        spans[0] = Some(span);
        Ok(Some(Match { spans }))
    }

    /// Where the first match lies, without its groups.
    ///
    /// # Errors
    /// As `find`.
    pub(crate) fn span(&self, text: &str, from: usize) -> Result<Option<Range<usize>>, DataError> {
        if from > text.len() {
            return Ok(None);
        }
        let Some(first) = self.first.find_at(text, from) else { return Ok(None) };
        let start = first.start();
        let end = self.whole.end(text, start..text.len())?.unwrap_or(first.end());
        Ok(Some(start..end))
    }
}

/// All matches of a pattern, as PostgreSQL goes on from one to the next.
pub(crate) struct Matches<'t> {
    text: &'t str,
    from: usize,
}

impl<'t> Matches<'t> {
    /// From the character at this place on, counted from 0.
    pub(crate) fn new(text: &'t str, skip: usize) -> Matches<'t> {
        let mut places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
        Matches { text, from: places.nth(skip).unwrap_or(text.len() + 1) }
    }

    /// The next match; behind one of nothing the search goes on a character further.
    ///
    /// # Errors
    /// Those of `Pattern::find`.
    pub(crate) fn next(&mut self, pattern: &Pattern) -> Result<Option<Match>, DataError> {
        let found = pattern.find(self.text, self.from)?;
        if let Some(found) = &found {
            let Range { start, end } = found.whole();
            let one = self.text[end..].chars().next().map_or(1, char::len_utf8);
            self.from = if start == end { end + one } else { end };
        }
        Ok(found)
    }
}
