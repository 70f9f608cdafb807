//! Statements that PostgreSQL or its kin have and we do not: named in the error.
//!
//! Their syntax is not checked: whether it is right makes no difference to the answer.

use super::cursor::Cursor;
use crate::error::SqlError;

/// First words of statements that we do not have at all.
#[rustfmt::skip]
const STATEMENTS: &[&str] = &[
    "alter", "analyze", "call", "checkpoint", "cluster", "comment", "create", "describe", "do", "drop", "grant",
    "import", "insert", "kill", "listen", "load", "lock", "merge", "notify", "reassign", "refresh", "reindex",
    "replace", "revoke", "rollback", "security", "start", "unlisten", "upsert", "use", "vacuum",
];

/// Words between CREATE, ALTER or DROP and what it is about.
const MODIFIERS: &[&str] = &[
    "or",
    "replace",
    "global",
    "local",
    "unique",
    "constraint",
    "default",
    "procedural",
    "trusted",
    "recursive",
];

/// Kinds of objects whose names have two words or three.
const LONG_KINDS: &[&str] = &[
    "materialized view",
    "event trigger",
    "foreign table",
    "foreign data wrapper",
    "operator class",
    "operator family",
    "text search",
    "access method",
    "user mapping",
    "large object",
    "unlogged table",
    "owned by",
];

/// 0A000 for a statement that we know by name, else 42601.
pub(super) fn error(cursor: &mut Cursor) -> SqlError {
    let words = cursor.peek_words(8);
    let Some(verb) = words.first().filter(|word| STATEMENTS.contains(&word.as_str())) else {
        return cursor.syntax_error();
    };
    let name = match verb.as_str() {
        "create" | "alter" | "drop" | "refresh" => match kind(&words[1..]) {
            Some(kind) => format!("{verb} {kind}"),
            None => {
                cursor.advance(1);
                return cursor.syntax_error();
            }
        },
        _ => verb.clone(),
    };
    let error = SqlError::unsupported(name.to_uppercase()).position(cursor.position());
    match hint(&name) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What a CREATE, ALTER or DROP is about.
fn kind(words: &[String]) -> Option<String> {
    let words: Vec<&str> =
        words.iter().map(String::as_str).skip_while(|word| MODIFIERS.contains(word)).collect();
    let text = words.join(" ");
    let long = LONG_KINDS.iter().find(|kind| text == **kind || text.starts_with(&format!("{kind} ")));
    long.or(words.first()).map(|kind| kind.to_string())
}

/// What to do instead.
fn hint(name: &str) -> Option<&'static str> {
    match name {
        "reindex" => Some("An index is always up to date."),
        "create stream" => Some("Use CREATE TABLE … WITH (append_only, retention = '0')."),
        "create or replace materialized view" => Some("Drop the view and create it again."),
        "refresh materialized view" => Some("A materialized view is always up to date."),
        "listen" | "notify" => Some("SUBSCRIBE tells of changes."),
        _ => None,
    }
}
