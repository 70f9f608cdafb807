//! ALTER TABLE, ALTER VIEW, ALTER MATERIALIZED VIEW, ALTER INDEX, and of a sequence RENAME and SET SCHEMA.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::table::{self, LATER};
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{AlterAction, AlterRelation, DropKind, Name, RelationName, StatementKind};

/// Actions that we do not have.
const ACTIONS: &[&str] = &[
    "owner to",
    "set logged",
    "set unlogged",
    "set tablespace",
    "set without",
    "set with",
    "enable",
    "disable",
    "force",
    "no force",
    "inherit",
    "no inherit",
    "of",
    "not of",
    "replica identity",
    "cluster on",
    "attach partition",
    "detach partition",
    "validate constraint",
    "alter constraint",
    "depends on",
];

/// `ALTER kind [IF EXISTS] [ONLY] name action, …`
pub(super) fn alter(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let kinds = ["alter table", "alter view", "alter materialized view", "alter index"];
    let kind = match cursor.accept_one_of(&kinds) {
        Some("alter table") => DropKind::Table,
        Some("alter view") => DropKind::View,
        Some("alter materialized view") => DropKind::MaterializedView,
        Some(_) => DropKind::Index,
        None => return Err(unsupported::error(cursor)),
    };
    let if_exists = cursor.accept("if exists");
    if kind == DropKind::Table {
        cursor.accept("only");
    }
    let relation = cursor.relation()?;
    actions(cursor, kind, if_exists, relation)
}

/// `action, …` behind the name.
pub(super) fn actions(
    cursor: &mut Cursor,
    kind: DropKind,
    if_exists: bool,
    relation: RelationName,
) -> Result<StatementKind, SqlError> {
    let mut actions = vec![action(cursor, kind, &relation.value)?];
    // What is renamed is renamed alone.
    while !actions.iter().any(AlterAction::is_rename) && cursor.accept_token(&Token::Comma) {
        let alone = cursor.syntax_error();
        let next = action(cursor, kind, &relation.value)?;
        if next.is_rename() {
            return Err(alone);
        }
        actions.push(next);
    }
    Ok(StatementKind::Alter(AlterRelation { kind, if_exists, relation, actions }))
}

fn action(cursor: &mut Cursor, kind: DropKind, table_name: &str) -> Result<AlterAction, SqlError> {
    let statement = match kind {
        DropKind::Table => "ALTER TABLE",
        DropKind::View => "ALTER VIEW",
        DropKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        DropKind::Index => "ALTER INDEX",
        DropKind::Sequence => "ALTER SEQUENCE",
    };
    cursor.refuse(ACTIONS, statement).map_err(|error| error.hint("It is planned for a later version."))?;
    if cursor.accept("rename") {
        return rename(cursor);
    }
    if kind != DropKind::Index && cursor.accept("set schema") {
        return Ok(AlterAction::SetSchema(cursor.name()?));
    }
    if kind == DropKind::Index && cursor.comes("set schema") {
        cursor.advance(1);
        return Err(cursor.syntax_error());
    }
    if kind != DropKind::Table {
        return Err(cursor.syntax_error());
    }
    match cursor.accept_one_of(&["add", "drop", "alter"]) {
        Some("add") => add(cursor, table_name),
        Some("drop") => drop(cursor),
        Some(_) => {
            cursor.accept("column");
            let column = cursor.name()?;
            column_action(cursor, column)
        }
        None => Err(cursor.syntax_error()),
    }
}

/// `RENAME {TO name | [COLUMN] name TO name | CONSTRAINT name TO name}`
fn rename(cursor: &mut Cursor) -> Result<AlterAction, SqlError> {
    if cursor.accept("to") {
        return Ok(AlterAction::Rename(cursor.name()?));
    }
    if cursor.accept("constraint") {
        let from = cursor.name()?;
        cursor.expect("to")?;
        return Ok(AlterAction::RenameConstraint { from, to: cursor.name()? });
    }
    cursor.accept("column");
    let from = cursor.name()?;
    cursor.expect("to")?;
    Ok(AlterAction::RenameColumn { from, to: cursor.name()? })
}

fn add(cursor: &mut Cursor, table_name: &str) -> Result<AlterAction, SqlError> {
    cursor.refuse(&["foreign key", "exclude"], "ALTER TABLE … ADD").map_err(|error| error.hint(LATER))?;
    let is_column = cursor.accept("column");
    if !is_column && let Some(constraint) = table::table_constraint(cursor)? {
        cursor.refuse(&["using index"], "ALTER TABLE … ADD")?;
        return Ok(AlterAction::AddConstraint(constraint));
    }
    let if_not_exists = cursor.accept("if not exists");
    let (definition, constraints) = table::one_column(cursor, table_name)?;
    Ok(AlterAction::AddColumn { if_not_exists, definition: Box::new(definition), constraints })
}

fn drop(cursor: &mut Cursor) -> Result<AlterAction, SqlError> {
    let is_constraint = cursor.accept("constraint");
    if !is_constraint {
        cursor.accept("column");
    }
    let if_exists = cursor.accept("if exists");
    let name = cursor.name()?;
    let cascade = cursor.accept_one_of(&["cascade", "restrict"]) == Some("cascade");
    Ok(match is_constraint {
        true => AlterAction::DropConstraint { if_exists, name, cascade },
        false => AlterAction::DropColumn { if_exists, name, cascade },
    })
}

/// `SET DEFAULT value`, `DROP DEFAULT`, `{SET | DROP} NOT NULL` behind ALTER COLUMN name.
fn column_action(cursor: &mut Cursor, column: Name) -> Result<AlterAction, SqlError> {
    let later = [
        "type",
        "set data type",
        "set statistics",
        "set storage",
        "set compression",
        "add generated",
        "set generated",
        "restart",
        "drop identity",
        "drop expression",
        "reset",
    ];
    cursor.refuse(&later, "ALTER COLUMN").map_err(|error| {
        error.hint("Add a column of the new type, fill it with UPDATE, and drop the old one.")
    })?;
    match cursor.accept_one_of(&["set default", "drop default", "set not null", "drop not null"]) {
        Some("set default") => {
            let (value, text) = table::default_value(cursor)?;
            Ok(AlterAction::SetDefault { column, default: Some((Box::new(value), text)) })
        }
        Some("drop default") => Ok(AlterAction::SetDefault { column, default: None }),
        Some("set not null") => Ok(AlterAction::SetNullable { column, nullable: false }),
        Some(_) => Ok(AlterAction::SetNullable { column, nullable: true }),
        None => Err(cursor.syntax_error()),
    }
}
