//! The groups of a match: it is divided among the parts of the pattern, each of which takes what it prefers of what
//! leaves a match to the rest.

use std::ops::Range;

use millrace_engine::DataError;

use super::automaton::{Automaton, Direction};
use super::invalid;
use super::pieces::{Form, Piece};
use super::syntax::{Prefers, write_repeated};

/// Notes what each group of a part holds, of which it is known that it matches all of `span`.
pub(super) fn groups(
    piece: &Piece,
    text: &str,
    span: Range<usize>,
    found: &mut [Option<Range<usize>>],
) -> Result<(), DataError> {
    for group in &piece.groups {
        found[*group] = Some(span.clone());
    }
    match &piece.form {
        Form::Whole => Ok(()),
        Form::Pair(left, right) => {
            if !left.captures() && !right.captures() {
                return Ok(());
            }
            let middle = divide(left, &right.starts(text, span.clone())?, text, span.clone(), 0)?;
            groups(left, text, span.start..middle, found)?;
            groups(right, text, middle..span.end, found)
        }
        Form::Alternation(branches) => {
            for branch in branches {
                if branch.ends(text, span.clone())?.last() == Some(&span.end) {
                    return groups(branch, text, span, found);
                }
            }
            Err(broken())
        }
        Form::Iteration { child, most } => iteration(child, *most, text, span, found),
    }
}

fn broken() -> DataError {
    invalid("a match that its parts do not make")
}

/// Where a part ends that begins the span and has so many bytes, such that the rest, which can begin at these places,
/// ends it.
fn divide(
    left: &Piece,
    places: &[usize],
    text: &str,
    span: Range<usize>,
    bytes_min: usize,
) -> Result<usize, DataError> {
    let first = span.start + bytes_min;
    let ends = left.ends(text, span)?;
    // Places come from the last down.
    let fits = |end: &&usize| **end >= first && places.binary_search_by(|place| end.cmp(&place)).is_ok();
    let middle = match left.prefers {
        Some(Prefers::Shortest) => ends.iter().find(fits),
        Some(Prefers::Longest) | None => ends.iter().rfind(fits),
    };
    middle.copied().ok_or_else(broken)
}

/// Any number of times the same: each time as it is preferred, and what the last time held stays. Nothing is
/// matched once by what prefers the longest, if that can be, and else no times.
fn iteration(
    child: &Piece,
    most: Option<u32>,
    text: &str,
    span: Range<usize>,
    found: &mut [Option<Range<usize>>],
) -> Result<(), DataError> {
    let mut last = None;
    let mut rest: Option<(u32, Vec<usize>)> = None;
    let mut left = most;
    let mut start = span.start;
    while start < span.end {
        left = left.map(|left| left.saturating_sub(1));
        // Without a bound the rest is the same each time.
        if rest.as_ref().is_none_or(|(times, _)| left.is_some_and(|left| left != *times)) {
            let mut expression = String::new();
            write_repeated(child.expression(), 0, left, &mut expression);
            let automaton = Automaton::new(&expression, child.any_case(), Direction::Backward)?;
            rest = Some((left.unwrap_or(0), automaton.places(text, span.clone())?));
        }
        let places = rest.as_ref().map(|(_, places)| places.as_slice()).unwrap_or_default();
        let end = divide(child, places, text, start..span.end, 1)?;
        last = Some(start..end);
        start = end;
    }
    match last {
        Some(last) => groups(child, text, last, found),
        None if child.prefers == Some(Prefers::Shortest) || most == Some(0) => Ok(()),
        None if child.ends(text, span.clone())?.is_empty() => Ok(()),
        None => groups(child, text, span, found),
    }
}
