//! Cursors: DECLARE, FETCH, MOVE, CLOSE.

use std::time::Duration;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::subscribe;
use crate::error::SqlError;
use crate::statement::{CursorSource, Declare, Direction, Fetch, StatementKind};
use crate::text_form::parse_interval;

/// `DECLARE name [INSENSITIVE | ASENSITIVE | NO SCROLL …] CURSOR [{WITH | WITHOUT} HOLD] FOR {query | SUBSCRIBE …}`
pub(super) fn declare(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("declare")?;
    let name = cursor.name()?.value;
    let mut only_forward = false;
    loop {
        cursor.refuse(&["binary", "scroll"], "DECLARE")?;
        match cursor.accept_one_of(&["no scroll", "insensitive", "asensitive"]) {
            Some("no scroll") => only_forward = true,
            Some(_) => {}
            None => break,
        }
    }
    cursor.expect("cursor")?;
    let is_held = cursor.accept_one_of(&["with hold", "without hold"]) == Some("with hold");
    cursor.expect("for")?;
    let source = match cursor.peek_word().as_deref() {
        Some("subscribe") => CursorSource::Subscribe(subscribe::subscribe(cursor)?),
        Some("select" | "values" | "with" | "table") => CursorSource::Query(cursor.query()?),
        _ if *cursor.peek() == Token::LParen => CursorSource::Query(cursor.query()?),
        _ => return Err(cursor.syntax_error()),
    };
    Ok(StatementKind::Declare(Declare { name, only_forward, is_held, source }))
}

/// `{FETCH | MOVE} [direction] [FROM | IN] name [WITH (timeout = '…')]`
pub(super) fn fetch(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let is_move = cursor.accept("move");
    if !is_move {
        cursor.expect("fetch")?;
    }
    let direction = direction(cursor)?;
    cursor.accept_one_of(&["from", "in"]);
    let name = cursor.name()?.value;
    let timeout = if cursor.accept("with") { Some(timeout(cursor)?) } else { None };
    Ok(StatementKind::Fetch(Fetch { is_move, name, direction, timeout }))
}

/// `CLOSE name | ALL`
pub(super) fn close(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("close")?;
    let name = if cursor.accept("all") { None } else { Some(cursor.name()?.value) };
    Ok(StatementKind::Close { name })
}

fn direction(cursor: &mut Cursor) -> Result<Direction, SqlError> {
    if let Some(count) = number(cursor)? {
        return Ok(Direction::Forward(count));
    }
    let words = ["next", "prior", "first", "last", "absolute", "relative", "all", "forward", "backward"];
    // A word of these can also be the cursor's name: then nothing follows.
    let Some(word) = cursor.accept_one_of(&words) else { return Ok(Direction::Forward(1)) };
    if cursor.at_end() {
        cursor.back();
        return Ok(Direction::Forward(1));
    }
    Ok(match word {
        "next" => Direction::Forward(1),
        "prior" => Direction::Forward(-1),
        "first" => Direction::Absolute(1),
        "last" => Direction::Absolute(-1),
        "absolute" => Direction::Absolute(expect_number(cursor)?),
        "relative" => Direction::Relative(expect_number(cursor)?),
        "all" => Direction::ForwardAll,
        "forward" if cursor.accept("all") => Direction::ForwardAll,
        "forward" => Direction::Forward(number(cursor)?.unwrap_or(1)),
        _ if cursor.accept("all") => Direction::BackwardAll,
        _ => Direction::Forward(number(cursor)?.unwrap_or(1).saturating_neg()),
    })
}

fn expect_number(cursor: &mut Cursor) -> Result<i64, SqlError> {
    number(cursor)?.ok_or_else(|| cursor.syntax_error())
}

/// An integer with its sign, if one comes.
fn number(cursor: &mut Cursor) -> Result<Option<i64>, SqlError> {
    let minus = cursor.accept_token(&Token::Minus);
    let signed = minus || cursor.accept_token(&Token::Plus);
    let Token::Number(digits, _) = cursor.peek() else {
        return if signed { Err(cursor.syntax_error()) } else { Ok(None) };
    };
    // PostgreSQL's grammar takes integers of 32 bits here, and nothing else.
    let number: i32 = digits.parse().map_err(|_| cursor.syntax_error())?;
    cursor.advance(1);
    Ok(Some(if minus { -i64::from(number) } else { i64::from(number) }))
}

/// `(timeout = '1s')`, the one option of FETCH.
fn timeout(cursor: &mut Cursor) -> Result<Duration, SqlError> {
    cursor.expect_token(&Token::LParen)?;
    let option = cursor.option()?;
    if option.value != "timeout" {
        return Err(SqlError::new("22023", format!("unrecognized FETCH option \"{}\"", option.value))
            .hint("The option is TIMEOUT.")
            .position(option.position));
    }
    cursor.accept_token(&Token::Eq);
    let position = cursor.position();
    let text = cursor.string()?;
    cursor.expect_token(&Token::RParen)?;
    let interval = parse_interval(&text).map_err(|error| SqlError::from(error).position(position))?;
    match u64::try_from(interval.micros) {
        Ok(micros) if interval.months == 0 && interval.days == 0 => Ok(Duration::from_micros(micros)),
        _ => Err(SqlError::new("22023", format!("invalid value for FETCH option \"timeout\": \"{text}\""))
            .hint("It is a time without days, such as '1s' or '500ms'.")
            .position(position)),
    }
}
