//! DROP TABLE, DROP VIEW, DROP MATERIALIZED VIEW, DROP INDEX, DROP SEQUENCE.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{Drop, DropKind, StatementKind};

/// `DROP kind [IF EXISTS] name, … [CASCADE | RESTRICT]`; `DROP INDEX [CONCURRENTLY] …`
pub(super) fn drop(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let kinds = ["drop table", "drop view", "drop materialized view", "drop index", "drop sequence"];
    let kind = match cursor.accept_one_of(&kinds) {
        Some("drop table") => DropKind::Table,
        Some("drop view") => DropKind::View,
        Some("drop index") => DropKind::Index,
        Some("drop sequence") => DropKind::Sequence,
        Some(_) => DropKind::MaterializedView,
        None => return Err(unsupported::error(cursor)),
    };
    let concurrently = kind == DropKind::Index && cursor.accept("concurrently");
    let if_exists = cursor.accept("if exists");
    let mut names = vec![cursor.relation()?];
    while cursor.accept_token(&Token::Comma) {
        names.push(cursor.relation()?);
    }
    let cascade = cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    Ok(StatementKind::Drop(Drop { kind, concurrently, if_exists, names, cascade }))
}
