//! Transactions, prepared statements, the session's reset.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::unsupported;
use crate::error::SqlError;
use crate::statement::{Name, SavepointAction, StatementKind};

/// BEGIN, START TRANSACTION, COMMIT, END, ROLLBACK, ABORT.
pub(super) fn transaction(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    refuse_two_phases(cursor)?;
    match cursor.accept_one_of(&["begin", "start transaction", "commit", "end", "rollback", "abort"]) {
        Some(words @ ("begin" | "start transaction")) => {
            if words == "begin" {
                cursor.accept_one_of(&["work", "transaction"]);
            }
            modes(cursor)?;
            Ok(StatementKind::Begin)
        }
        Some(words @ ("commit" | "end")) => ended(cursor, words, StatementKind::Commit),
        Some(words) => match words == "rollback" && comes_to(cursor) {
            true => Ok(StatementKind::Savepoint(SavepointAction::RollbackTo, savepoint_name(cursor)?)),
            false => ended(cursor, words, StatementKind::Rollback),
        },
        None => Err(unsupported::error(cursor)),
    }
}

/// `SET TRANSACTION modes`: our isolation is the strictest, so that each level that is asked for is
/// given; the parameter shows which it was.
pub(super) fn transaction_setting(cursor: &mut Cursor, name: &str) -> Result<StatementKind, SqlError> {
    cursor.refuse(&["snapshot"], "SET TRANSACTION")?;
    if cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    let value = modes(cursor)?.unwrap_or("serializable");
    Ok(StatementKind::Set { name: name.to_owned(), value: Some(value.to_owned()) })
}

/// `DEALLOCATE [PREPARE] name | ALL`
pub(super) fn deallocate(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("deallocate")?;
    cursor.accept("prepare");
    let name = if cursor.accept("all") { None } else { Some(cursor.name()?.value) };
    Ok(StatementKind::Deallocate { name })
}

/// `DISCARD ALL`
pub(super) fn discard(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("discard")?;
    cursor.refuse(&["plans", "sequences", "temp", "temporary"], "DISCARD")?;
    cursor.expect("all")?;
    Ok(StatementKind::Discard)
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

/// What may follow COMMIT and ROLLBACK.
fn ended(cursor: &mut Cursor, words: &str, kind: StatementKind) -> Result<StatementKind, SqlError> {
    cursor.accept_one_of(&["work", "transaction"]);
    cursor.refuse(&["and chain"], &words.to_uppercase())?;
    cursor.accept("and no chain");
    Ok(kind)
}

fn refuse_mode(cursor: &mut Cursor, mode: &str) -> Result<(), SqlError> {
    let refused = cursor.unsupported(&format!("the transaction mode {}", mode.to_uppercase()));
    if cursor.accept(mode) { Err(refused) } else { Ok(()) }
}

/// Modes of a transaction, with or without commas; the last isolation level that was named.
fn modes(cursor: &mut Cursor) -> Result<Option<&'static str>, SqlError> {
    let mut level = None;
    while !cursor.at_end() {
        refuse_mode(cursor, "read only")?;
        refuse_mode(cursor, "deferrable")?;
        if cursor.accept_one_of(&["read write", "not deferrable"]).is_none() {
            cursor.expect("isolation level")?;
            let known = ["serializable", "repeatable read", "read committed", "read uncommitted"];
            level = Some(cursor.accept_one_of(&known).ok_or_else(|| cursor.syntax_error())?);
        }
        if cursor.accept_token(&Token::Comma) && cursor.at_end() {
            return Err(cursor.syntax_error());
        }
    }
    Ok(level)
}
