//! CREATE SCHEMA, ALTER SCHEMA, DROP SCHEMA.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::{CreateSchema, DropSchema, Role, StatementKind};

/// What may stand behind CREATE SCHEMA to be created in it.
const ELEMENTS: &[&str] = &["create", "grant"];

/// `CREATE SCHEMA [IF NOT EXISTS] {name [AUTHORIZATION role] | AUTHORIZATION role}`
pub(super) fn create(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("create schema")?;
    let if_not_exists = cursor.accept("if not exists");
    let is_named = cursor.peek_word().as_deref() != Some("authorization");
    let name = if is_named { Some(cursor.name()?) } else { None };
    let owner = if cursor.accept("authorization") { Some(role(cursor)?) } else { None };
    cursor.refuse(ELEMENTS, "CREATE SCHEMA")?;
    Ok(StatementKind::CreateSchema(CreateSchema { name, if_not_exists, owner }))
}

fn role(cursor: &mut Cursor) -> Result<Role, SqlError> {
    match cursor.accept_one_of(&["current_user", "current_role", "session_user"]) {
        Some(_) => Ok(Role::Current),
        None => Ok(Role::Named(cursor.name()?)),
    }
}

/// `ALTER SCHEMA name RENAME TO name`
pub(super) fn alter(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("alter schema")?;
    let name = cursor.name()?;
    cursor.refuse(&["owner to"], "ALTER SCHEMA")?;
    cursor.expect("rename to")?;
    Ok(StatementKind::RenameSchema(name, cursor.name()?))
}

/// `DROP SCHEMA [IF EXISTS] name, … [CASCADE | RESTRICT]`
pub(super) fn drop(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("drop schema")?;
    let if_exists = cursor.accept("if exists");
    let mut names = vec![cursor.name()?];
    while cursor.accept_token(&Token::Comma) {
        names.push(cursor.name()?);
    }
    let cascade = cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    Ok(StatementKind::DropSchema(DropSchema { names, if_exists, cascade }))
}
