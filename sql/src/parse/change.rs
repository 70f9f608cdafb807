//! INSERT and DELETE.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Value};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::{Delete, Insert, StatementKind};

/// `INSERT INTO table [(columns)] query`
pub(super) fn insert(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("insert into")?;
    let table = cursor.relation()?;
    cursor.refuse(&["as", "overriding", "default values"], "INSERT")?;
    let columns = match is_column_list(cursor) {
        true => cursor.names_in_parentheses()?,
        false => Vec::new(),
    };
    cursor.refuse(&["overriding"], "INSERT")?;
    if !cursor.peek_word().is_some_and(|word| ["select", "values", "with", "table"].contains(&word.as_str()))
        && *cursor.peek() != Token::LParen
    {
        return Err(cursor.syntax_error());
    }
    let source = defaults_to_null(cursor.query()?);
    cursor.refuse(&["on conflict", "returning"], "INSERT")?;
    Ok(StatementKind::Insert(Insert { table, columns, source }))
}

/// Whether the parenthesis that comes next holds names of columns, not a query.
fn is_column_list(cursor: &mut Cursor) -> bool {
    *cursor.peek() == Token::LParen && {
        cursor.advance(1);
        let word = cursor.peek_word();
        let is_query = matches!(word.as_deref(), Some("select" | "values" | "with" | "table"))
            || *cursor.peek() == Token::LParen;
        cursor.back();
        !is_query
    }
}

/// DEFAULT as a value of a row is NULL: no column has another default yet.
fn defaults_to_null(mut source: Arc<Query>) -> Arc<Query> {
    if let SetExpr::Values(values) = Arc::make_mut(&mut source).body.as_mut() {
        for value in values.rows.iter_mut().flat_map(|row| row.content.iter_mut()) {
            if matches!(value, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
            {
                *value = Expr::value(Value::Null);
            }
        }
    }
    source
}

/// `DELETE FROM table [WHERE condition]`
pub(super) fn delete(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("delete from")?;
    cursor.accept("only");
    let table = cursor.relation()?;
    cursor.refuse(&["using", "returning", "order by", "limit", "where current of"], "DELETE")?;
    if !cursor.at_end() && cursor.peek_word().as_deref() != Some("where") {
        return match cursor.name() {
            Ok(alias) => Err(SqlError::unsupported("DELETE … AS").position(alias.position)),
            Err(_) if cursor.accept("as") => Err(cursor.unsupported("DELETE … AS")),
            Err(error) => Err(error),
        };
    }
    let selection = match cursor.accept("where") {
        true => Some(Arc::new(cursor.sqlparser(Parser::parse_expr)?)),
        false => None,
    };
    cursor.refuse(&["returning", "order by", "limit"], "DELETE")?;
    Ok(StatementKind::Delete(Delete { table, selection }))
}
