//! How deep a statement's syntax tree can become, estimated from its tokens before it is parsed.
//!
//! Trees are parsed, copied and dropped by recursion, and a worker thread's stack has 2 MiB: a
//! statement that could overflow it must be refused (54001), as an overflow would end the server.
//! Invariant: every level of a syntax tree stems from an open parenthesis, bracket or brace, from a
//! set operation at its level, or from an operator or prefix word since the last comma at its level.
//! Counting those bounds the depth from above. CASE and END are counted as operators, not as
//! brackets: sqlparser also takes END for a name, so that it does not always close anything.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::source::too_deep;
use crate::error::SqlError;

/// Parentheses, brackets and braces in one another.
pub(super) const NESTING_MAX: usize = 100;

/// Operators that may hang below one another: `a + b + c` is two levels deep.
const CHAIN_MAX: usize = 2_000;

/// Words that make the tree deeper, until the next comma.
#[rustfmt::skip]
const OPERATOR_WORDS: &[&str] = &[
    "and", "or", "not", "is", "in", "like", "ilike", "similar", "between", "collate", "at", "isnull", "notnull",
    "case", "when", "join", "interval", "prior", "array", "any", "all", "some", "exists", "operator", "lateral",
    "explain", "setof", "connect_by_root", "overlaps", "xor", "div", "rlike", "regexp", "match", "member",
];

/// Words that make the tree deeper for all that follows.
const SET_WORDS: &[&str] = &["union", "intersect", "except", "minus"];

/// What is open between two brackets.
#[derive(Default)]
struct Level {
    /// Operators since the last comma.
    operators: usize,
    /// Set operations.
    sets: usize,
}

/// Refuses a statement whose tree could be too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    let mut total = 0;
    for token in tokens {
        match step(&token.token) {
            Step::Down => outer.push(std::mem::take(&mut level)),
            Step::Up => {
                if let Some(enclosing) = outer.pop() {
                    total -= level.operators + level.sets;
                    level = enclosing;
                }
            }
            Step::Operator => (level.operators, total) = (level.operators + 1, total + 1),
            Step::Set => (level.sets, total) = (level.sets + 1, total + 1),
            Step::Next => total -= std::mem::take(&mut level.operators),
            Step::Same => {}
        }
        if outer.len() > NESTING_MAX || total > CHAIN_MAX {
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
    /// Hangs one more below.
    Operator,
    /// Hangs everything so far one below.
    Set,
    /// Begins a sibling.
    Next,
    /// Nothing.
    Same,
}

fn step(token: &Token) -> Step {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Step::Down,
        Token::RParen | Token::RBracket | Token::RBrace => Step::Up,
        Token::Comma => Step::Next,
        Token::Whitespace(_) | Token::EOF | Token::SemiColon | Token::Period => Step::Same,
        Token::Word(word) if word.quote_style.is_none() => word_step(&word.value.to_ascii_lowercase()),
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {
            Step::Same
        }
        _ => Step::Operator,
    }
}

fn word_step(word: &str) -> Step {
    match word {
        word if OPERATOR_WORDS.contains(&word) => Step::Operator,
        word if SET_WORDS.contains(&word) => Step::Set,
        _ => Step::Same,
    }
}
