//! Names: folding, reserved words, and the parts of a relation's name.

use crate::error::SqlError;
use crate::statement::{Name, RelationName};
use crate::system::DATABASE;

/// The longest name in bytes. PostgreSQL cuts longer ones; two views could then silently be one.
const NAME_BYTES_MAX: usize = 63;

/// Words that PostgreSQL takes as the name of a column or table only in quotes (its appendix C).
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary",
    "both", "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create",
    "cross", "current_catalog", "current_date", "current_role", "current_schema", "current_time",
    "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike",
    "in", "initially", "inner", "intersect", "into", "is", "isnull", "join", "lateral", "leading", "left",
    "like", "limit", "localtime", "localtimestamp", "natural", "not", "notnull", "null", "offset", "on", "only",
    "or", "order", "outer", "overlaps", "placing", "primary", "references", "returning", "right", "select",
    "session_user", "similar", "some", "symmetric", "system_user", "table", "tablesample", "then", "to",
    "trailing", "true", "union", "unique", "user", "using", "variadic", "verbose", "when", "where", "window",
    "with",
];

/// Whether a word, in any case, needs quotes to be a name.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

/// A name as it is compared: PostgreSQL folds the ASCII letters of unquoted names.
pub(super) fn fold(value: &str, quote: Option<char>) -> String {
    if quote.is_some() { value.to_owned() } else { value.to_ascii_lowercase() }
}

/// Refuses names that PostgreSQL would cut.
pub(super) fn checked(value: String, position: usize) -> Result<String, SqlError> {
    if value.len() > NAME_BYTES_MAX {
        return Err(SqlError::new("42622", format!("identifier \"{value}\" is too long"))
            .detail(format!("A name can have {NAME_BYTES_MAX} bytes, this one has {}.", value.len()))
            .position(position));
    }
    Ok(value)
}

/// The relation that a possibly qualified name means.
pub(super) fn resolve(mut parts: Vec<Name>) -> Result<RelationName, SqlError> {
    let position = parts.first().map_or(1, |part| part.position);
    let all = || parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    match parts.as_slice() {
        [_] | [_, _] => {}
        [database, _, _] if database.value == DATABASE => {}
        [_, _, _] => {
            let message = format!("cross-database references are not implemented: \"{}\"", all());
            return Err(SqlError::new("0A000", message).position(position));
        }
        _ => {
            let message = format!("improper qualified name (too many dotted names): {}", all());
            return Err(SqlError::new("42601", message).position(position));
        }
    }
    let value = parts.pop().map(|name| name.value).unwrap_or_default();
    Ok(RelationName { schema: parts.pop().map(|schema| schema.value), value, position })
}

/// A name as it is written in SQL, in quotes only where it needs them.
pub fn quoted(name: &str) -> String {
    let plain = |char: char| char.is_ascii_lowercase() || char == '_' || char.is_ascii_digit();
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() && name.chars().all(plain) && !is_reserved(name) => {
            name.to_owned()
        }
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}
