//! EXPLAIN.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::view;
use crate::error::SqlError;
use crate::statement::{Explain, StatementKind};

/// `EXPLAIN query | CREATE MATERIALIZED VIEW … | MATERIALIZED VIEW name`
pub(super) fn explain(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("explain")?;
    cursor.refuse(&["analyze", "analyse", "verbose"], "EXPLAIN")?;
    if cursor.accept("materialized view") {
        return Ok(StatementKind::Explain(Explain::View(cursor.relation()?)));
    }
    let words = cursor.peek_words(2);
    Ok(StatementKind::Explain(match words.first().map(String::as_str) {
        Some("create") if words.last().is_some_and(|word| word == "materialized") => {
            Explain::CreateView(view::create(cursor)?)
        }
        Some("select" | "values" | "with" | "table") => Explain::Select(cursor.query()?),
        Some(_) => return Err(cursor.unsupported("EXPLAIN of this statement")),
        None if *cursor.peek() == Token::LParen => parenthesis(cursor)?,
        None => return Err(cursor.syntax_error()),
    }))
}

/// Options, or a query in parentheses.
fn parenthesis(cursor: &mut Cursor) -> Result<Explain, SqlError> {
    let options = cursor.unsupported("EXPLAIN with options");
    cursor.advance(1);
    let is_query = matches!(cursor.peek_word().as_deref(), None | Some("select" | "values" | "with" | "table"));
    cursor.back();
    if is_query { Ok(Explain::Select(cursor.query()?)) } else { Err(options) }
}
