//! An automaton of a part of a pattern: where a match that begins at one place can end, or the other way round. It is
//! built as texts need its states, and within a bound.

use std::cell::RefCell;
use std::ops::Range;

use millrace_engine::DataError;
use regex_automata::hybrid::dfa::{Cache, DFA, OverlappingState};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::{COMPILED_BYTES_MAX, too_complex};

/// Which way a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// An automaton.
pub(super) struct Automaton {
    dfa: DFA,
    /// The states that texts have needed.
    cache: RefCell<Cache>,
    direction: Direction,
}

impl Automaton {
    /// Of an expression.
    ///
    /// # Errors
    /// 2201B where it is too large.
    pub(super) fn new(
        expression: &str,
        any_case: bool,
        direction: Direction,
    ) -> Result<Automaton, DataError> {
        let syntax = syntax::Config::new().case_insensitive(any_case).dot_matches_new_line(true).utf8(false);
        let nfa = thompson::Config::new()
            .reverse(direction == Direction::Backward)
            .utf8(false)
            .nfa_size_limit(Some(COMPILED_BYTES_MAX))
            .which_captures(thompson::WhichCaptures::None);
        let dfa = DFA::builder()
            .configure(DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true))
            .syntax(syntax)
            .thompson(nfa)
            .build(expression)
            .map_err(|_| too_complex())?;
        let cache = RefCell::new(dfa.create_cache());
        Ok(Automaton { dfa, cache, direction })
    }

    /// Where a match with one end at the range's beginning (read backwards: its end) can have its other end, in the
    /// order of reading.
    pub(super) fn places(&self, text: &str, within: Range<usize>) -> Result<Vec<usize>, DataError> {
        let input = Input::new(text).span(within).anchored(Anchored::Yes);
        let cache = &mut self.cache.borrow_mut();
        let mut state = OverlappingState::start();
        let mut places = Vec::new();
        loop {
            let searched = match self.direction {
                Direction::Forward => self.dfa.try_search_overlapping_fwd(cache, &input, &mut state),
                Direction::Backward => self.dfa.try_search_overlapping_rev(cache, &input, &mut state),
            };
            searched.map_err(|_| too_complex())?;
            match state.get_match() {
                Some(found) => places.push(found.offset()),
                None => return Ok(places),
            }
        }
    }

    /// Where the longest or the shortest match from the range's beginning ends.
    pub(super) fn preferred(
        &self,
        text: &str,
        within: Range<usize>,
        shortest: bool,
    ) -> Result<Option<usize>, DataError> {
        let input = Input::new(text).span(within).anchored(Anchored::Yes).earliest(shortest);
        let found = self.dfa.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        Ok(found.map_err(|_| too_complex())?.map(|found| found.offset()))
    }
}
