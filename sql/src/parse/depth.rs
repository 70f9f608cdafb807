//! How deep a statement's syntax tree can become, estimated from its tokens before it is parsed.
//!
//! Trees are parsed, copied and dropped by recursion, and a worker thread's stack has 2 MiB: a
//! statement that could overflow it must be refused (54001), as an overflow would end the server.
//! Invariant: every level of a syntax tree stems from an open parenthesis, bracket or CASE, or from
//! an operator or prefix word since the last comma at its level. Counting those bounds the depth
//! from above.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::source::too_deep;
use crate::error::SqlError;

/// Parentheses, brackets and CASEs in one another.
pub(super) const NESTING_MAX: usize = 100;

/// Operators that may hang below one another: `a + b + c` is two levels deep.
const CHAIN_MAX: usize = 2_000;

/// Words that make the tree deeper without a parenthesis.
#[rustfmt::skip]
const OPERATOR_WORDS: &[&str] = &[
    "and", "or", "not", "is", "in", "like", "ilike", "similar", "between", "collate", "at", "isnull", "notnull",
    "union", "intersect", "except", "join", "interval", "prior", "array", "any", "all", "some", "exists",
    "operator", "lateral", "explain", "analyze", "setof", "connect_by_root", "overlaps", "xor", "div", "rlike",
    "regexp", "match", "member",
];

/// Refuses a statement whose tree could be too deep.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut open: Vec<usize> = vec![0];
    let mut total = 0;
    for token in tokens {
        match step(&token.token) {
            Step::Down => open.push(0),
            Step::Up if open.len() > 1 => total -= open.pop().unwrap_or_default(),
            Step::Up | Step::Same => {}
            Step::Operator => {
                total += 1;
                if let Some(chain) = open.last_mut() {
                    *chain += 1;
                }
            }
            Step::Next => total -= open.last_mut().map(std::mem::take).unwrap_or_default(),
        }
        if open.len() > NESTING_MAX + 1 || total > CHAIN_MAX {
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
        Token::Word(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => Step::Same,
        _ => Step::Operator,
    }
}

fn word_step(word: &str) -> Step {
    match word {
        "case" => Step::Down,
        "end" => Step::Up,
        word if OPERATOR_WORDS.contains(&word) => Step::Operator,
        _ => Step::Same,
    }
}
