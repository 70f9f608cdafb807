//! WITH: before a query, or before INSERT, UPDATE and DELETE.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;

use super::change;
use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::StatementKind;

/// `WITH name AS (query), … {query | INSERT … | UPDATE … | DELETE …}`
pub(super) fn with(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let Some(word) = cursor.word_behind_parentheses(&["insert", "update", "delete"]) else {
        return Ok(StatementKind::Select(cursor.query()?));
    };
    let with = Some(queries(cursor)?);
    let mut kind = match word {
        "insert" => change::insert(cursor)?,
        "update" => change::update(cursor)?,
        _ => change::delete(cursor)?,
    };
    match &mut kind {
        StatementKind::Insert(insert) => insert.with = with,
        StatementKind::Update(update) => update.with = with,
        StatementKind::Delete(delete) => delete.with = with,
        _ => {}
    }
    Ok(kind)
}

fn queries(cursor: &mut Cursor) -> Result<Arc<ast::With>, SqlError> {
    cursor.expect("with")?;
    cursor.refuse(&["recursive"], "WITH")?;
    let cte_tables = cursor.queries_by_name()?;
    let with_token = ast::helpers::attached_token::AttachedToken::empty();
    Ok(Arc::new(ast::With { with_token, recursive: false, cte_tables }))
}
