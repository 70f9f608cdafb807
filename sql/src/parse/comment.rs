//! COMMENT ON.

use super::cursor::Cursor;
use super::names;
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{ColumnName, Comment, Commented, DropKind, StatementKind};

/// `COMMENT ON {SCHEMA name | kind name | COLUMN relation.column} IS {'text' | NULL}`
pub(super) fn comment(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    if cursor.accept("comment on schema") {
        let on = Commented::Schema(cursor.name()?);
        return Ok(StatementKind::Comment(Comment { on, text: text(cursor)? }));
    }
    let kinds = [
        "comment on table",
        "comment on view",
        "comment on materialized view",
        "comment on index",
        "comment on sequence",
        "comment on column",
    ];
    let kind = match cursor.accept_one_of(&kinds) {
        Some("comment on table") => Some(DropKind::Table),
        Some("comment on view") => Some(DropKind::View),
        Some("comment on materialized view") => Some(DropKind::MaterializedView),
        Some("comment on index") => Some(DropKind::Index),
        Some("comment on sequence") => Some(DropKind::Sequence),
        Some(_) => None,
        None => return Err(unsupported::error(cursor)),
    };
    let on = match kind {
        Some(kind) => Commented::Relation(kind, cursor.relation()?),
        None => Commented::Column(column(cursor)?),
    };
    Ok(StatementKind::Comment(Comment { on, text: text(cursor)? }))
}

/// `IS {'text' | NULL}`
fn text(cursor: &mut Cursor) -> Result<Option<String>, SqlError> {
    cursor.expect("is")?;
    if cursor.accept("null") { Ok(None) } else { cursor.string().map(Some) }
}

fn column(cursor: &mut Cursor) -> Result<ColumnName, SqlError> {
    let mut parts = vec![cursor.name()?];
    while cursor.accept_token(&datafusion::sql::sqlparser::tokenizer::Token::Period) {
        parts.push(cursor.name()?);
    }
    match parts.pop().filter(|_| !parts.is_empty()) {
        Some(column) => Ok(ColumnName { table: names::resolve(parts)?, column }),
        None => Err(SqlError::new("42601", "column name must be qualified").position(cursor.position())),
    }
}
