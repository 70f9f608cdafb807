//! Transactions, prepared statements, the session's reset.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{Name, Reach, SavepointAction, Setting, StatementKind};

/// BEGIN, START TRANSACTION, COMMIT, END, ROLLBACK, ABORT.
pub(super) fn transaction(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    refuse_two_phases(cursor)?;
    match cursor.accept_one_of(&["begin", "start transaction", "commit", "end", "rollback", "abort"]) {
        Some(words @ ("begin" | "start transaction")) => {
            if words == "begin" {
                cursor.accept_one_of(&["work", "transaction"]);
            }
            Ok(StatementKind::Begin(modes(cursor, "transaction", Reach::Local)?))
        }
        Some("commit" | "end") => Ok(StatementKind::Commit { chain: comes_chain(cursor) }),
        Some(words) => match words == "rollback" && comes_to(cursor) {
            true => Ok(StatementKind::Savepoint(SavepointAction::RollbackTo, savepoint_name(cursor)?)),
            false => Ok(StatementKind::Rollback { chain: comes_chain(cursor) }),
        },
        None => Err(unsupported::error(cursor)),
    }
}

/// `SET TRANSACTION modes` and `SET SESSION CHARACTERISTICS AS TRANSACTION modes`, of which each sets a parameter.
pub(super) fn transaction_setting(
    cursor: &mut Cursor,
    prefix: &str,
    reach: Reach,
) -> Result<StatementKind, SqlError> {
    cursor.refuse(&["snapshot"], "SET TRANSACTION")?;
    if cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    modes(cursor, prefix, reach).map(StatementKind::Set)
}

/// `UNLISTEN channel | *`
pub(super) fn unlisten(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("unlisten")?;
    if !cursor.accept_token(&Token::Mul) {
        cursor.name()?;
    }
    Ok(StatementKind::Unlisten)
}

/// `DEALLOCATE [PREPARE] name | ALL`
pub(super) fn deallocate(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("deallocate")?;
    cursor.accept("prepare");
    let name = if cursor.accept("all") { None } else { Some(cursor.name()?.value) };
    Ok(StatementKind::Deallocate { name })
}

/// `DISCARD {ALL | TEMP | TEMPORARY}`
pub(super) fn discard(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("discard")?;
    cursor.refuse(&["plans", "sequences"], "DISCARD")?;
    if cursor.accept_one_of(&["temporary", "temp"]).is_some() {
        return Ok(StatementKind::Discard { all: false });
    }
    cursor.expect("all")?;
    Ok(StatementKind::Discard { all: true })
}

fn refuse_two_phases(cursor: &mut Cursor) -> Result<(), SqlError> {
    let words = cursor.peek_words(2);
    match words.get(1).map(String::as_str) {
        Some("prepared") => Err(cursor.unsupported(&format!("{} PREPARED", words[0].to_uppercase()))),
        _ => Ok(()),
    }
}

/// `SAVEPOINT name` and `RELEASE [SAVEPOINT] name`
pub(super) fn savepoint(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let action = if cursor.accept("release") { SavepointAction::Release } else { SavepointAction::Set };
    Ok(StatementKind::Savepoint(action, savepoint_name(cursor)?))
}

fn savepoint_name(cursor: &mut Cursor) -> Result<Name, SqlError> {
    cursor.accept("savepoint");
    cursor.name()
}

/// Passes `[WORK | TRANSACTION] TO`, if that comes.
fn comes_to(cursor: &mut Cursor) -> bool {
    ["to", "work to", "transaction to"].into_iter().any(|words| cursor.accept(words))
}

/// What may follow COMMIT and ROLLBACK: whether the next transaction begins at once.
fn comes_chain(cursor: &mut Cursor) -> bool {
    cursor.accept_one_of(&["work", "transaction"]);
    cursor.accept_one_of(&["and chain", "and no chain"]) == Some("and chain")
}

/// Modes of a transaction, with or without commas, as parameters whose names have this prefix.
fn modes(cursor: &mut Cursor, prefix: &str, reach: Reach) -> Result<Vec<Setting>, SqlError> {
    let mut modes = Vec::new();
    while !cursor.at_end() {
        let (mode, value) =
            match cursor.accept_one_of(&["read only", "read write", "deferrable", "not deferrable"]) {
                Some("read only") => ("read_only", "on"),
                Some("read write") => ("read_only", "off"),
                Some("deferrable") => ("deferrable", "on"),
                Some(_) => ("deferrable", "off"),
                None => ("isolation", isolation_level(cursor)?),
            };
        let name = format!("{prefix}_{mode}");
        modes.push(Setting { name, value: Some(value.to_owned()), reach });
        if cursor.accept_token(&Token::Comma) && cursor.at_end() {
            return Err(cursor.syntax_error());
        }
    }
    Ok(modes)
}

fn isolation_level(cursor: &mut Cursor) -> Result<&'static str, SqlError> {
    cursor.expect("isolation level")?;
    let known = ["serializable", "repeatable read", "read committed", "read uncommitted"];
    cursor.accept_one_of(&known).ok_or_else(|| cursor.syntax_error())
}
