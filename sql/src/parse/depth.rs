//! How deep a statement's syntax tree can become, estimated from its tokens before it is parsed.
//!
//! Trees are parsed, copied, printed, evaluated and dropped by recursion, in our code and in that of
//! our dependencies, and a thread's stack may have 2 MiB only: a statement that could overflow it
//! must be refused (54001), as an overflow would end the server. Measured: copying takes 1 KiB of
//! stack for each operator and 5 KiB for each set operation (debug build).
//!
//! Invariant: every level of a syntax tree stems from an open parenthesis, bracket or brace, from a
//! set operation at its level, from a word that binds loosely (AND, OR) since the last comma, or
//! from another operator or prefix since the last loose one. Counting those bounds the depth from
//! above. CASE and END are not counted as brackets: sqlparser also takes END for a name, so that it
//! does not always close anything.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::source::too_deep;
use crate::error::SqlError;

/// Parentheses, brackets and braces in one another.
const NESTING_MAX: usize = 100;

/// Operators that may hang below one another: `a + b + c` is two levels deep.
const CHAIN_MAX: usize = 500;

/// sqlparser's own limit, on its recursion into expressions and queries: beyond what we let through.
pub(super) const RECURSION_MAX: usize = CHAIN_MAX + 4 * NESTING_MAX;

/// A set operation takes as much stack as this many operators.
const SET_WEIGHT: usize = 4;

/// Words that make the tree deeper until the next comma; tighter operators before them are complete.
const LOOSE_WORDS: &[&str] = &["and", "or", "xor", "case", "when"];

/// Words that make the tree deeper until the next loose word or comma.
#[rustfmt::skip]
const TIGHT_WORDS: &[&str] = &[
    "not", "is", "in", "like", "ilike", "similar", "between", "collate", "at", "isnull", "notnull", "join",
    "interval", "prior", "array", "any", "all", "some", "exists", "operator", "lateral", "explain", "setof",
    "connect_by_root", "overlaps", "div", "rlike", "regexp", "match", "member",
];

/// Words that make the tree deeper for all that follows.
const SET_WORDS: &[&str] = &["union", "intersect", "except", "minus"];

/// How deep the tree is between two brackets.
#[derive(Default)]
struct Level {
    sets: usize,
    loose: usize,
    tight: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.sets + self.loose + self.tight
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Set => *self = Level { sets: self.sets + SET_WEIGHT, ..Level::default() },
            Step::Comma => *self = Level { sets: self.sets, ..Level::default() },
            Step::Loose => (self.loose, self.tight) = (self.loose + 1, 0),
            Step::Tight => self.tight += 1,
            Step::Down | Step::Up | Step::Same => {}
        }
    }
}

/// Refuses a statement whose tree could be too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut outer: Vec<Level> = Vec::new();
    let mut outer_depth = 0;
    let mut level = Level::default();
    for token in tokens {
        match step(&token.token) {
            Step::Down => {
                outer_depth += level.depth();
                outer.push(std::mem::take(&mut level));
            }
            Step::Up => {
                if let Some(enclosing) = outer.pop() {
                    outer_depth -= enclosing.depth();
                    level = enclosing;
                }
            }
            step => level.take(&step),
        }
        if outer.len() > NESTING_MAX || outer_depth + level.depth() > CHAIN_MAX {
            return Err(too_deep());
        }
    }
    Ok(())
}

/// What a token does to the depth.
enum Step {
    /// Opens a level.
    Down,
    /// Closes a level.
    Up,
    /// Hangs all that stands at the level so far one below.
    Set,
    /// Hangs what stands there since the last comma one below.
    Loose,
    /// Hangs what stands there since the last loose word one below.
    Tight,
    /// Begins a sibling.
    Comma,
    /// Nothing.
    Same,
}

fn step(token: &Token) -> Step {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Step::Down,
        Token::RParen | Token::RBracket | Token::RBrace => Step::Up,
        Token::Comma => Step::Comma,
        Token::Whitespace(_) | Token::EOF | Token::SemiColon | Token::Period => Step::Same,
        Token::Word(word) if word.quote_style.is_none() => word_step(&word.value.to_ascii_lowercase()),
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {
            Step::Same
        }
        _ => Step::Tight,
    }
}

fn word_step(word: &str) -> Step {
    match word {
        word if LOOSE_WORDS.contains(&word) => Step::Loose,
        word if TIGHT_WORDS.contains(&word) => Step::Tight,
        word if SET_WORDS.contains(&word) => Step::Set,
        _ => Step::Same,
    }
}
