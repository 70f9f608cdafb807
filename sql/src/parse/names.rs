//! Names: folding, reserved words, and the one schema that users have.

use crate::error::SqlError;
use crate::statement::Name;
use crate::system::Schema;

/// The longest name in bytes. PostgreSQL cuts longer ones; two views could then silently be one.
const NAME_BYTES_MAX: usize = 63;

/// The schema that all relations are in.
const SCHEMA: &str = "public";

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
pub(super) fn resolve(mut parts: Vec<Name>) -> Result<Name, SqlError> {
    let position = parts.first().map_or(1, |part| part.position);
    match (parts.len(), parts.pop()) {
        (1, Some(name)) => Ok(name),
        (2, Some(name)) => in_schema(&parts[0], name),
        _ => Err(SqlError::new("0A000", "cross-database references are not implemented").position(position)),
    }
}

fn in_schema(schema: &Name, name: Name) -> Result<Name, SqlError> {
    match schema.value.as_str() {
        SCHEMA => Ok(Name { position: schema.position, ..name }),
        system if Schema::ALL.into_iter().any(|known| known.name() == system) => {
            Err(SqlError::new("42501", format!("permission denied for schema {}", schema.value))
                .detail("The system's relations can only be read.")
                .position(schema.position))
        }
        other => Err(SqlError::new("3F000", format!("schema \"{other}\" does not exist"))
            .hint("All relations are in the schema public.")
            .position(schema.position)),
    }
}

/// A name as it is written in SQL, in quotes only where it needs them.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |char: char| char.is_ascii_lowercase() || char == '_' || char.is_ascii_digit();
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() && name.chars().all(plain) && !is_reserved(name) => {
            name.to_owned()
        }
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}
