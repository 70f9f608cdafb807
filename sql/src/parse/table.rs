//! CREATE TABLE: columns of the types that we have, and streams.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_engine::DataType;

use super::cursor::Cursor;
use super::setting::option;
use crate::catalog::Column;
use crate::error::SqlError;
use crate::query::types::{Named, named};
use crate::statement::CreateTable;

/// What may begin an element of the list that is not a column.
const TABLE_CONSTRAINTS: &[&str] =
    &["constraint", "primary key", "unique", "check", "foreign key", "exclude", "like", "watermark for"];

/// What may follow a column's type, besides NOT NULL and NULL.
const COLUMN_CONSTRAINTS: &[&str] = &[
    "constraint",
    "primary key",
    "unique",
    "check",
    "default",
    "references",
    "generated",
    "collate",
    "storage",
    "compression",
];

/// What may follow the list of columns, besides WITH.
const TABLE_CLAUSES: &[&str] =
    &["inherits", "partition by", "using", "without oids", "on commit", "tablespace", "as"];

/// Said of everything that a table could have and does not have yet.
const LATER: &str = "It is planned for a later version; NOT NULL is what a column can have today.";

/// `CREATE TABLE [IF NOT EXISTS] name (columns) [WITH (options)]`
pub(super) fn create(cursor: &mut Cursor) -> Result<CreateTable, SqlError> {
    cursor.expect("create table")?;
    let if_not_exists = cursor.accept("if not exists");
    let name = cursor.relation()?;
    cursor.refuse(&["as", "of", "partition of"], "CREATE TABLE")?;
    let columns = columns(cursor)?;
    let mut keep_rows = true;
    while !cursor.at_end() {
        cursor.refuse(TABLE_CLAUSES, "CREATE TABLE")?;
        keep_rows = !is_stream(cursor)?;
    }
    Ok(CreateTable { name, if_not_exists, columns, keep_rows })
}

fn columns(cursor: &mut Cursor) -> Result<Vec<Column>, SqlError> {
    let mut columns: Vec<Column> = Vec::new();
    cursor.expect_token(&Token::LParen)?;
    if cursor.accept_token(&Token::RParen) {
        return Ok(columns);
    }
    loop {
        cursor.refuse(TABLE_CONSTRAINTS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
        let name = cursor.name()?;
        if columns.iter().any(|column| column.name == name.value) {
            let message = format!("column \"{}\" specified more than once", name.value);
            return Err(SqlError::new("42701", message).position(name.position));
        }
        let data_type = data_type(cursor)?;
        columns.push(Column { name: name.value, data_type, nullable: nullable(cursor)? });
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(columns)
}

/// NOT NULL and NULL, each at most once and not both.
fn nullable(cursor: &mut Cursor) -> Result<bool, SqlError> {
    let mut nullable = None;
    loop {
        cursor.refuse(COLUMN_CONSTRAINTS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
        let position = cursor.position();
        let Some(words) = cursor.accept_one_of(&["not null", "null"]) else {
            return Ok(nullable.unwrap_or(true));
        };
        if nullable.replace(words == "null").is_some_and(|before| before != (words == "null")) {
            let message = "conflicting NULL/NOT NULL declarations";
            return Err(SqlError::new("42601", message).position(position));
        }
    }
}

fn data_type(cursor: &mut Cursor) -> Result<DataType, SqlError> {
    let (position, mark) = (cursor.position(), cursor.mark());
    let parsed = cursor.sqlparser(Parser::parse_data_type)?;
    column_type(&parsed, &cursor.text_since(mark)).map_err(|error| error.position(position))
}

/// The type of a column.
///
/// # Errors
/// 42704 and 22023 as for every type; 0A000 for one that no column can have.
fn column_type(data_type: &ast::DataType, written: &str) -> Result<DataType, SqlError> {
    match named(data_type) {
        Ok(Named::Type(DataType::Interval)) => Err(no_column_of(written)),
        Ok(Named::Type(known)) => Ok(known),
        // Without a precision each value would have a scale of its own.
        Ok(Named::Numeric) => {
            Err(SqlError::unsupported(format!("a column of type {written} without precision and scale"))
                .hint("Give it both, as in numeric(15, 2): up to 38 digits in all."))
        }
        Err(error) if error.sqlstate == "0A000" && error.detail.is_none() => Err(no_column_of(written)),
        Err(error) => Err(error),
    }
}

fn no_column_of(written: &str) -> SqlError {
    SqlError::unsupported(format!("a column of type {written}")).hint("It is planned for a later version.")
}

/// `WITH (append_only [= true], retention = '0')` makes a stream; nothing else is known.
fn is_stream(cursor: &mut Cursor) -> Result<bool, SqlError> {
    cursor.expect("with")?;
    cursor.expect_token(&Token::LParen)?;
    let position = cursor.position();
    let (mut append_only, mut no_retention) = (false, false);
    loop {
        let (name, value) = option(cursor)?;
        match name.as_str() {
            "append_only" => append_only = boolean(&value, &name, position)?,
            "retention" => no_retention = is_zero(&value, position)?,
            _ => {
                let message = format!("unrecognized parameter \"{name}\"");
                return Err(SqlError::new("22023", message)
                    .hint("A table can have the parameters append_only and retention.")
                    .position(position));
            }
        }
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    if append_only != no_retention {
        return Err(SqlError::new("22023", "append_only and retention = '0' must be given together")
            .detail("Together they make a stream, a table that keeps no rows.")
            .position(position));
    }
    Ok(append_only)
}

fn boolean(value: &str, name: &str, position: usize) -> Result<bool, SqlError> {
    super::setting::boolean(value).ok_or_else(|| {
        let message = format!("invalid value for boolean option \"{name}\": {value}");
        SqlError::new("22023", message).position(position)
    })
}

/// The only retention so far: none at all.
fn is_zero(value: &str, position: usize) -> Result<bool, SqlError> {
    if value == "0" {
        return Ok(true);
    }
    Err(SqlError::new("22023", format!("invalid value for parameter \"retention\": \"{value}\""))
        .hint("A table keeps all its rows, or none with retention = '0'.")
        .position(position))
}
