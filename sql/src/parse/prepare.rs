//! PREPARE and EXECUTE.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_engine::DataType;

use super::change;
use super::cursor::Cursor;
use crate::error::SqlError;
use crate::query::types::{Named, named};
use crate::statement::{Execute, Prepare, Statement, StatementKind};

/// `PREPARE name [(type, …)] AS statement`
pub(super) fn prepare(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("prepare")?;
    cursor.refuse(&["transaction"], "PREPARE")?;
    let name = cursor.name()?;
    let types = types(cursor)?;
    cursor.expect("as")?;
    let mark = cursor.mark();
    let kind = preparable(cursor)?;
    let text = cursor.text_since(mark);
    let statement = Box::new(Statement { text, kind, source: cursor.source().clone() });
    Ok(StatementKind::Prepare(Prepare { name: name.value, types, statement }))
}

/// `EXECUTE name [(argument, …)]`
pub(super) fn execute(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("execute")?;
    let name = cursor.name()?;
    let mut arguments = Vec::new();
    if cursor.accept_token(&Token::LParen) {
        arguments.push(cursor.sqlparser(Parser::parse_expr)?);
        while cursor.accept_token(&Token::Comma) {
            arguments.push(cursor.sqlparser(Parser::parse_expr)?);
        }
        cursor.expect_token(&Token::RParen)?;
    }
    Ok(StatementKind::Execute(Execute { name: name.value, arguments }))
}

/// The statements that PostgreSQL's grammar lets stand behind PREPARE … AS.
fn preparable(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    match cursor.peek_word().unwrap_or_default().as_str() {
        "insert" => change::insert(cursor),
        "update" => change::update(cursor),
        "delete" => change::delete(cursor),
        "merge" => Err(cursor.unsupported("MERGE")),
        "select" | "values" | "with" | "table" => Ok(StatementKind::Select(cursor.query()?)),
        _ if *cursor.peek() == Token::LParen => Ok(StatementKind::Select(cursor.query()?)),
        _ => Err(cursor.syntax_error()),
    }
}

/// The types of the first parameters; `None` is left to where the parameter stands.
fn types(cursor: &mut Cursor) -> Result<Vec<Option<DataType>>, SqlError> {
    let mut types = Vec::new();
    if cursor.accept_token(&Token::LParen) {
        types.push(parameter_type(cursor)?);
        while cursor.accept_token(&Token::Comma) {
            types.push(parameter_type(cursor)?);
        }
        cursor.expect_token(&Token::RParen)?;
    }
    Ok(types)
}

/// PostgreSQL takes no notice of precision and scale here.
fn parameter_type(cursor: &mut Cursor) -> Result<Option<DataType>, SqlError> {
    let position = cursor.position();
    if cursor.accept("unknown") {
        return Ok(None);
    }
    let parsed = cursor.sqlparser(Parser::parse_data_type)?;
    match named(&parsed).map_err(|error| error.position(position))? {
        Named::Numeric | Named::Type(DataType::Numeric { .. }) => Ok(Some(DataType::Decimal)),
        Named::Type(data_type) => Ok(Some(data_type)),
    }
}
