//! DROP TABLE, DROP VIEW, DROP MATERIALIZED VIEW.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{Drop, DropKind, StatementKind};

/// `DROP kind [IF EXISTS] name, … [CASCADE | RESTRICT]`
pub(super) fn drop(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let kind = match cursor.accept_one_of(&["drop table", "drop view", "drop materialized view"]) {
        Some("drop table") => DropKind::Table,
        Some("drop view") => DropKind::View,
        Some(_) => DropKind::MaterializedView,
        None => return Err(unsupported::error(cursor)),
    };
    let if_exists = cursor.accept("if exists");
    let mut names = vec![cursor.relation()?];
    while cursor.accept_token(&Token::Comma) {
        names.push(cursor.relation()?);
    }
    let cascade = cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    Ok(StatementKind::Drop(Drop { kind, if_exists, names, cascade }))
}
