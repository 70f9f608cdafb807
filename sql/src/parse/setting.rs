//! SET, RESET, SHOW, and the boolean values of options everywhere.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::names::quoted;
use super::session;
use crate::error::SqlError;
use crate::statement::{Name, Reach, Setting, StatementKind};

/// The parameters whose values are lists of names: each is quoted where it needs it.
const LISTS_OF_NAMES: [&str; 1] = ["search_path"];

/// `SET [SESSION | LOCAL] name {TO | =} {value, … | DEFAULT}` and the forms that have words of their own.
pub(super) fn set(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("set")?;
    if cursor.accept("session characteristics as transaction") {
        return session::transaction_setting(cursor, "default_transaction", Reach::Session);
    }
    if cursor.accept_one_of(&["transaction", "local transaction", "session transaction"]).is_some() {
        return session::transaction_setting(cursor, "transaction", Reach::Transaction);
    }
    cursor.refuse(&["constraints"], "SET")?;
    let own_words = special_when_set(cursor);
    let reach = match own_words {
        None if cursor.accept("local") => Reach::Local,
        None | Some(_) => Reach::Session,
    };
    if own_words.is_none() && reach == Reach::Session {
        cursor.accept("session");
    }
    let name = match own_words.or_else(|| special_when_set(cursor)) {
        Some(name) => {
            let _ = name == "role" && (cursor.accept("to") || cursor.accept_token(&Token::Eq));
            name.to_owned()
        }
        None => {
            let name = parameter(cursor)?;
            if !cursor.accept("to") {
                cursor.expect_token(&Token::Eq)?;
            }
            name
        }
    };
    let resets = cursor.accept("default") || (name == "timezone" && cursor.accept("local"));
    let value = if resets { None } else { Some(values(cursor, LISTS_OF_NAMES.contains(&name.as_str()))?) };
    Ok(StatementKind::Set(vec![Setting { name, value, reach }]))
}

/// `RESET name | ALL`
pub(super) fn reset(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("reset")?;
    let setting = Setting { name: shown(cursor)?, value: None, reach: Reach::Session };
    Ok(StatementKind::Set(vec![setting]))
}

/// `SHOW name | ALL`
pub(super) fn show(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("show")?;
    Ok(StatementKind::Show { name: shown(cursor)? })
}

/// Whether a word means true or false, as PostgreSQL reads booleans of options.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The value of an option in parentheses; true where the option stands alone.
pub(super) fn optional_boolean(cursor: &mut Cursor, option: &Name) -> Result<bool, SqlError> {
    let value = match cursor.peek().clone() {
        Token::Comma | Token::RParen => return Ok(true),
        Token::Word(word) => word.value,
        Token::Number(value, _) | Token::SingleQuotedString(value) => value,
        _ => return Err(cursor.syntax_error()),
    };
    let position = cursor.position();
    cursor.advance(1);
    boolean(&value).ok_or_else(|| {
        SqlError::new("42601", format!("{} requires a Boolean value", option.value)).position(position)
    })
}

/// Parameters that are written as several words, or without `=`.
fn special(cursor: &mut Cursor) -> Option<&'static str> {
    match cursor.accept_one_of(&["time zone", "session authorization", "role", "names"])? {
        "time zone" => Some("timezone"),
        "session authorization" => Some("session_authorization"),
        "role" => Some("role"),
        _ => Some("client_encoding"),
    }
}

/// The same, and the one that has such words only where it is set.
fn special_when_set(cursor: &mut Cursor) -> Option<&'static str> {
    if cursor.accept("schema") { Some("search_path") } else { special(cursor) }
}

/// A parameter to show or reset.
fn shown(cursor: &mut Cursor) -> Result<String, SqlError> {
    if cursor.accept("all") {
        return Ok("all".to_owned());
    }
    if cursor.accept("transaction isolation level") {
        return Ok("transaction_isolation".to_owned());
    }
    match special(cursor) {
        Some(name) => Ok(name.to_owned()),
        None => parameter(cursor),
    }
}

/// A parameter's name; those of extensions have a dot. Not folded like other names: never case-sensitive.
fn parameter(cursor: &mut Cursor) -> Result<String, SqlError> {
    let mut name = cursor.name()?.value;
    while cursor.accept_token(&Token::Period) {
        name = format!("{name}.{}", cursor.name()?.value);
    }
    Ok(name.to_ascii_lowercase())
}

/// One value or more, as one text.
fn values(cursor: &mut Cursor, are_names: bool) -> Result<String, SqlError> {
    let mut values = vec![value(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        values.push(value(cursor)?);
    }
    if are_names {
        values.iter_mut().for_each(|value| *value = quoted(value));
    }
    Ok(values.join(", "))
}

fn value(cursor: &mut Cursor) -> Result<String, SqlError> {
    let sign = if cursor.accept_token(&Token::Minus) { "-" } else { "" };
    let value = match cursor.peek().clone() {
        Token::Number(value, _) => format!("{sign}{value}"),
        _ if !sign.is_empty() => return Err(cursor.syntax_error()),
        Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value) => value,
        Token::Word(word) if word.quote_style.is_some() => word.value,
        Token::Word(word) if word.value.eq_ignore_ascii_case("interval") => {
            return Err(cursor.unsupported("SET TIME ZONE INTERVAL"));
        }
        Token::Word(word) => word.value.to_ascii_lowercase(),
        _ => return Err(cursor.syntax_error()),
    };
    cursor.advance(1);
    Ok(value)
}

/// An option of WITH (…) and its value as text; no value is `true`.
pub(super) fn option(cursor: &mut Cursor) -> Result<(String, String), SqlError> {
    let name = cursor.option()?.value;
    if !cursor.accept_token(&Token::Eq) {
        return Ok((name, "true".to_owned()));
    }
    let value = match cursor.peek().clone() {
        Token::Word(word) => word.value.to_ascii_lowercase(),
        Token::SingleQuotedString(value) | Token::Number(value, _) => value,
        _ => return Err(cursor.syntax_error()),
    };
    cursor.advance(1);
    Ok((name, value))
}
