//! SUBSCRIBE.

use std::str::FromStr;
use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::{Source, setting};
use crate::error::SqlError;
use crate::statement::{RelationName, Statement, StatementKind, Subscribe};

/// SUBSCRIBE with progress, without a text: to the relation of a name as SQL has it.
///
/// # Errors
/// 42602 where it is no name, 0A000 where it names another database.
pub fn subscribe_to(relation: &str, as_of: Option<u64>, snapshot: bool) -> Result<Statement, SqlError> {
    let relation = super::relation_name(relation)?;
    let text = format!("SUBSCRIBE {relation}");
    let source = Arc::new(Source::new(&text));
    let subscribe = Subscribe { relation, snapshot, progress: true, as_of };
    Ok(Statement { text, kind: StatementKind::Subscribe(subscribe), source })
}

/// `SUBSCRIBE [TO] relation | (SELECT * FROM relation) [WITH (options)] [AS OF tick]`
pub(super) fn subscribe(cursor: &mut Cursor) -> Result<Subscribe, SqlError> {
    cursor.expect("subscribe")?;
    cursor.accept("to");
    let relation = match cursor.accept_token(&Token::LParen) {
        true => whole_relation(cursor)?,
        false => cursor.relation()?,
    };
    let mut subscribe = Subscribe { relation, snapshot: true, progress: false, as_of: None };
    if cursor.accept("with") {
        options(cursor, &mut subscribe)?;
    }
    cursor.refuse(&["envelope", "within timestamp", "up to", "as of at least"], "SUBSCRIBE")?;
    if cursor.accept("as of") {
        subscribe.as_of = Some(tick(cursor)?);
    }
    cursor.refuse(&["envelope", "within timestamp", "up to", "with"], "SUBSCRIBE")?;
    Ok(subscribe)
}

/// The one query that can be followed: all of a relation.
fn whole_relation(cursor: &mut Cursor) -> Result<RelationName, SqlError> {
    let other = cursor
        .unsupported("SUBSCRIBE to a query")
        .hint("Create a materialized view of the query and subscribe to that.");
    if matches!(cursor.peek_word().as_deref(), Some("values" | "with" | "table")) {
        return Err(other);
    }
    cursor.expect("select")?;
    if !cursor.accept_token(&Token::Mul) || !cursor.accept("from") {
        return Err(other);
    }
    let relation = cursor.relation()?;
    if cursor.accept_token(&Token::RParen) { Ok(relation) } else { Err(other) }
}

fn options(cursor: &mut Cursor, subscribe: &mut Subscribe) -> Result<(), SqlError> {
    cursor.expect_token(&Token::LParen)?;
    loop {
        let option = cursor.option()?;
        cursor.accept_token(&Token::Eq);
        let value = setting::optional_boolean(cursor, &option)?;
        match option.value.as_str() {
            "progress" => subscribe.progress = value,
            "snapshot" => subscribe.snapshot = value,
            other => {
                return Err(SqlError::new("22023", format!("unrecognized SUBSCRIBE option \"{other}\""))
                    .hint("The options are PROGRESS and SNAPSHOT.")
                    .position(option.position));
            }
        }
        if !cursor.accept_token(&Token::Comma) {
            return cursor.expect_token(&Token::RParen);
        }
    }
}

fn tick(cursor: &mut Cursor) -> Result<u64, SqlError> {
    let position = cursor.position();
    let text = match cursor.peek() {
        Token::Number(text, _) | Token::SingleQuotedString(text) => text.clone(),
        Token::Placeholder(_) => return Err(cursor.unsupported("a parameter in AS OF")),
        _ => return Err(cursor.syntax_error()),
    };
    cursor.advance(1);
    u64::from_str(&text).map_err(|_| {
        SqlError::new("22023", format!("invalid tick \"{text}\""))
            .hint("A tick is the number of microseconds since 1970.")
            .position(position)
    })
}
