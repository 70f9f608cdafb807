//! CREATE SEQUENCE, ALTER SEQUENCE, and the options of a sequence wherever they stand.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::query::types::{Named, named};
use crate::statement::{
    AlterSequence, ColumnName, CreateSequence, RelationName, SequenceOption, SequenceOptions,
};

/// `CREATE [TEMP] SEQUENCE [IF NOT EXISTS] name [options]`
pub(super) fn create(cursor: &mut Cursor) -> Result<CreateSequence, SqlError> {
    cursor.expect("create")?;
    let temporary = cursor.accepts_temporary();
    cursor.expect("sequence")?;
    let if_not_exists = cursor.accept("if not exists");
    let name = cursor.created(temporary)?;
    let options = options(cursor)?;
    Ok(CreateSequence { name, if_not_exists, options })
}

/// `ALTER SEQUENCE [IF EXISTS] name options`, behind the name.
pub(super) fn alter(
    cursor: &mut Cursor,
    if_exists: bool,
    name: RelationName,
) -> Result<AlterSequence, SqlError> {
    if cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    let options = options(cursor)?;
    Ok(AlterSequence { name, if_exists, options })
}

/// The options in parentheses, of an identity column; none where no parenthesis comes.
pub(super) fn in_parentheses(cursor: &mut Cursor) -> Result<SequenceOptions, SqlError> {
    if !cursor.accept_token(&Token::LParen) {
        return Ok(SequenceOptions::default());
    }
    let options = options(cursor)?;
    cursor.expect_token(&Token::RParen)?;
    Ok(options)
}

/// Options up to the end, or a parenthesis.
fn options(cursor: &mut Cursor) -> Result<SequenceOptions, SqlError> {
    let mut options = SequenceOptions::default();
    while !cursor.at_end() && *cursor.peek() != Token::RParen {
        let position = cursor.position();
        let option = option(cursor)?;
        if options.0.iter().any(|(known, _)| known.is_like(&option)) {
            return Err(SqlError::new("42601", "conflicting or redundant options").position(position));
        }
        options.0.push((option, position));
    }
    Ok(options)
}

pub(super) fn option(cursor: &mut Cursor) -> Result<SequenceOption, SqlError> {
    let words = [
        "as",
        "increment by",
        "increment",
        "minvalue",
        "no minvalue",
        "maxvalue",
        "no maxvalue",
        "start with",
        "start",
        "restart",
        "cache",
        "cycle",
        "no cycle",
        "owned by",
    ];
    let Some(word) = cursor.accept_one_of(&words) else { return Err(cursor.syntax_error()) };
    Ok(match word {
        "as" => SequenceOption::Type(data_type(cursor)?),
        "increment by" | "increment" => SequenceOption::Increment(number(cursor)?),
        "minvalue" => SequenceOption::Min(Some(number(cursor)?)),
        "no minvalue" => SequenceOption::Min(None),
        "maxvalue" => SequenceOption::Max(Some(number(cursor)?)),
        "no maxvalue" => SequenceOption::Max(None),
        "start with" | "start" => SequenceOption::Start(number(cursor)?),
        "restart" => SequenceOption::Restart(restart(cursor)?),
        "cache" => SequenceOption::Cache(number(cursor)?),
        "cycle" => SequenceOption::Cycles(true),
        "no cycle" => SequenceOption::Cycles(false),
        _ => SequenceOption::OwnedBy(owner(cursor)?),
    })
}

fn data_type(cursor: &mut Cursor) -> Result<millrace_engine::DataType, SqlError> {
    let position = cursor.position();
    let parsed = cursor.sqlparser(Parser::parse_data_type)?;
    match named(&parsed) {
        Ok(Named::Type(data_type)) => Ok(data_type),
        Ok(Named::Numeric) => Err(not_a_sequence_type().position(position)),
        Err(error) => Err(error.position(position)),
    }
}

/// 22023, PostgreSQL's words.
pub(crate) fn not_a_sequence_type() -> SqlError {
    SqlError::new("22023", "sequence type must be smallint, integer, or bigint")
}

/// `[[WITH] number]` behind RESTART.
fn restart(cursor: &mut Cursor) -> Result<Option<i64>, SqlError> {
    let is_given =
        cursor.accept("with") || matches!(cursor.peek(), Token::Number(..) | Token::Minus | Token::Plus);
    is_given.then(|| number(cursor)).transpose()
}

/// A whole number with its sign.
fn number(cursor: &mut Cursor) -> Result<i64, SqlError> {
    let position = cursor.position();
    let is_negative = cursor.accept_token(&Token::Minus);
    if !is_negative {
        cursor.accept_token(&Token::Plus);
    }
    let Token::Number(digits, _) = cursor.peek().clone() else { return Err(cursor.syntax_error()) };
    let text = if is_negative { format!("-{digits}") } else { digits };
    let value = text.parse().map_err(|_| {
        SqlError::new("22P02", format!("invalid input syntax for type bigint: \"{text}\"")).position(position)
    })?;
    cursor.advance(1);
    Ok(value)
}

/// `table.column`, or NONE.
fn owner(cursor: &mut Cursor) -> Result<Option<ColumnName>, SqlError> {
    if cursor.accept("none") {
        return Ok(None);
    }
    let position = cursor.position();
    let mut parts = vec![cursor.name()?];
    while cursor.accept_token(&Token::Period) {
        parts.push(cursor.name()?);
    }
    let column = parts.pop().filter(|_| !parts.is_empty()).ok_or_else(|| {
        SqlError::new("22023", "invalid OWNED BY option")
            .hint("Specify OWNED BY table.column or OWNED BY NONE.")
            .position(position)
    })?;
    Ok(Some(ColumnName { table: super::names::resolve(parts)?, column }))
}
