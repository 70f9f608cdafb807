//! CREATE TABLE: columns of the types that we have, constraints, and streams.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_engine::DataType;

use super::cursor::Cursor;
use super::setting::option;
use crate::catalog::{Column, Generated, OnCommit};
use crate::error::SqlError;
use crate::query::types::{Named, named};
use crate::statement::{
    ColumnDefinition, ConstraintKind, CreateTable, CreateTableAs, Name, SequenceOption, SequenceOptions,
    StatementKind, TableConstraint,
};
use crate::temporary::is_in_temporary;

/// What may begin an element of the list that we do not have.
const TABLE_CONSTRAINTS: &[&str] = &["foreign key", "exclude", "like", "watermark for"];

/// What may follow a column's type that we do not have.
const COLUMN_CONSTRAINTS: &[&str] = &["references", "collate", "storage", "compression"];

/// What may follow a constraint that we do not have.
const CONSTRAINT_TERMS: &[&str] = &[
    "deferrable",
    "initially",
    "no inherit",
    "not valid",
    "include",
    "nulls not distinct",
    "using index tablespace",
];

/// What may follow the list of columns, besides WITH.
const TABLE_CLAUSES: &[&str] = &["inherits", "partition by", "using", "without oids", "tablespace", "as"];

/// Said of everything that a table could have and does not have yet.
pub(super) const LATER: &str =
    "It is planned for a later version; today there are NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, CHECK.";

/// `CREATE [TEMP] TABLE [IF NOT EXISTS] name {(columns) [WITH (options)] | [(names)] AS query [WITH [NO] DATA]}`
pub(super) fn create(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("create")?;
    let temporary = cursor.accepts_temporary();
    cursor.expect("table")?;
    let if_not_exists = cursor.accept("if not exists");
    let name = cursor.created(temporary)?;
    let temporary = is_in_temporary(&name);
    if matches!(cursor.peek_word().as_deref(), Some("as" | "on")) || cursor.comes_list_of_names() {
        let columns = cursor.names_in_parentheses()?;
        let on_commit = on_commit(cursor, temporary)?.unwrap_or_default();
        cursor.expect("as")?;
        let query = cursor.query()?;
        let with_data = cursor.accept_one_of(&["with data", "with no data"]) != Some("with no data");
        let create = CreateTableAs { name, if_not_exists, columns, query, with_data, on_commit };
        return Ok(StatementKind::CreateTableAs(create));
    }
    cursor.refuse(&["of", "partition of"], "CREATE TABLE")?;
    let elements = elements(cursor, &name.value)?;
    let (mut keep_rows, mut at_commit) = (true, OnCommit::default());
    while !cursor.at_end() {
        if let Some(told) = on_commit(cursor, temporary)? {
            at_commit = told;
            continue;
        }
        cursor.refuse(TABLE_CLAUSES, "CREATE TABLE")?;
        keep_rows = !is_stream(cursor)?;
    }
    let Elements { columns, constraints } = elements;
    let on_commit = at_commit;
    let create = CreateTable { name, if_not_exists, columns, constraints, keep_rows, on_commit };
    Ok(StatementKind::CreateTable(create))
}

/// `ON COMMIT {PRESERVE ROWS | DELETE ROWS | DROP}`, if it comes.
fn on_commit(cursor: &mut Cursor, temporary: bool) -> Result<Option<OnCommit>, SqlError> {
    if cursor.comes("on commit") && !temporary {
        let message = "ON COMMIT can only be used on temporary tables";
        return Err(SqlError::new("42P16", message).position(cursor.position()));
    }
    let told = cursor.accept_one_of(&["on commit preserve rows", "on commit delete rows", "on commit drop"]);
    Ok(told.map(|told| match told {
        "on commit delete rows" => OnCommit::DeleteRows,
        "on commit drop" => OnCommit::Drop,
        _ => OnCommit::PreserveRows,
    }))
}

/// What stands in the parentheses.
#[derive(Default)]
struct Elements {
    columns: Vec<ColumnDefinition>,
    constraints: Vec<TableConstraint>,
}

fn elements(cursor: &mut Cursor, table: &str) -> Result<Elements, SqlError> {
    let mut elements = Elements::default();
    cursor.expect_token(&Token::LParen)?;
    if cursor.accept_token(&Token::RParen) {
        return Ok(elements);
    }
    loop {
        cursor.refuse(TABLE_CONSTRAINTS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
        if let Some(constraint) = table_constraint(cursor)? {
            elements.constraints.push(constraint);
        } else {
            column(cursor, table, &mut elements)?;
        }
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(elements)
}

/// `[CONSTRAINT name] {PRIMARY KEY (columns) | UNIQUE (columns) | CHECK (condition)}`; none where a column comes.
pub(super) fn table_constraint(cursor: &mut Cursor) -> Result<Option<TableConstraint>, SqlError> {
    let name = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
    let position = cursor.position();
    cursor.refuse(TABLE_CONSTRAINTS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
    let kind = match cursor.accept_one_of(&["primary key", "unique", "check"]) {
        Some("primary key") => ConstraintKind::PrimaryKey(key_columns(cursor)?),
        Some("unique") => {
            cursor.refuse(CONSTRAINT_TERMS, "UNIQUE").map_err(|error| error.hint(LATER))?;
            ConstraintKind::Unique(key_columns(cursor)?)
        }
        Some(_) => condition(cursor)?,
        None if name.is_some() => return Err(cursor.syntax_error()),
        None => return Ok(None),
    };
    cursor.refuse(CONSTRAINT_TERMS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
    Ok(Some(TableConstraint { name, kind, position }))
}

fn key_columns(cursor: &mut Cursor) -> Result<Vec<Name>, SqlError> {
    if *cursor.peek() != Token::LParen {
        return Err(cursor.syntax_error());
    }
    cursor.names_in_parentheses()
}

/// The condition of a CHECK, in its parentheses.
fn condition(cursor: &mut Cursor) -> Result<ConstraintKind, SqlError> {
    cursor.expect_token(&Token::LParen)?;
    let mark = cursor.mark();
    let condition = Box::new(cursor.sqlparser(Parser::parse_expr)?);
    let text = cursor.text_since(mark);
    cursor.expect_token(&Token::RParen)?;
    Ok(ConstraintKind::Check { condition, text })
}

/// A column with its type and constraints, as ADD COLUMN has it.
pub(super) fn one_column(
    cursor: &mut Cursor,
    table: &str,
) -> Result<(ColumnDefinition, Vec<TableConstraint>), SqlError> {
    let mut elements = Elements::default();
    column(cursor, table, &mut elements)?;
    match elements.columns.pop() {
        Some(definition) => Ok((definition, elements.constraints)),
        None => Err(cursor.syntax_error()),
    }
}

/// A column with its type and constraints.
fn column(cursor: &mut Cursor, table: &str, elements: &mut Elements) -> Result<(), SqlError> {
    let name = cursor.name()?;
    if elements.columns.iter().any(|known| known.column.name == name.value) {
        let message = format!("column \"{}\" specified more than once", name.value);
        return Err(SqlError::new("42701", message).position(name.position));
    }
    let serial = serial_type(cursor);
    let data_type = match serial {
        Some(data_type) => data_type,
        None => data_type(cursor)?,
    };
    let mut drawn = serial.map(|data_type| {
        (Generated::Default, SequenceOptions(vec![(SequenceOption::Type(data_type), cursor.position())]))
    });
    let (mut nullable, mut default) = (serial.map(|_| false), None);
    loop {
        cursor.refuse(COLUMN_CONSTRAINTS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
        let constraint_name = if cursor.accept("constraint") { Some(cursor.name()?) } else { None };
        let position = cursor.position();
        let own = || vec![name.clone()];
        let words = ["not null", "null", "default", "generated", "primary key", "unique", "check"];
        let kind = match cursor.accept_one_of(&words) {
            Some(words @ ("not null" | "null")) => {
                let is_null = words == "null";
                if nullable.replace(is_null).is_some_and(|before| before != is_null) {
                    return Err(conflicting_null(&name, table).position(position));
                }
                continue;
            }
            Some("generated") => {
                if drawn.replace(identity(cursor, data_type)?).is_some() || serial.is_some() {
                    let message = match serial {
                        Some(_) => "both default and identity specified for",
                        None => "multiple identity specifications for",
                    };
                    let message = format!("{message} column \"{}\" of table \"{table}\"", name.value);
                    return Err(SqlError::new("42601", message).position(position));
                }
                if nullable.replace(false) == Some(true) {
                    return Err(conflicting_null(&name, table).position(position));
                }
                continue;
            }
            Some("default") => {
                if default.replace(default_value(cursor)?).is_some() {
                    let message = format!(
                        "multiple default values specified for column \"{}\" of table \"{table}\"",
                        name.value
                    );
                    return Err(SqlError::new("42601", message).position(position));
                }
                continue;
            }
            Some("primary key") => ConstraintKind::PrimaryKey(own()),
            Some("unique") => ConstraintKind::Unique(own()),
            Some(_) => condition(cursor)?,
            None if constraint_name.is_some() => return Err(cursor.syntax_error()),
            None => break,
        };
        cursor.refuse(CONSTRAINT_TERMS, "CREATE TABLE").map_err(|error| error.hint(LATER))?;
        elements.constraints.push(TableConstraint { name: constraint_name, kind, position });
    }
    if drawn.is_some() && default.is_some() {
        let message = match serial {
            Some(_) => "multiple default values specified for",
            None => "both default and identity specified for",
        };
        let message = format!("{message} column \"{}\" of table \"{table}\"", name.value);
        return Err(SqlError::new("42601", message).position(name.position));
    }
    let column = Column::new(name.value, data_type, nullable.unwrap_or(true));
    elements.columns.push(ColumnDefinition { column, default, drawn });
    Ok(())
}

fn conflicting_null(column: &Name, table: &str) -> SqlError {
    let name = &column.value;
    let message =
        format!("conflicting NULL/NOT NULL declarations for column \"{name}\" of table \"{table}\"");
    SqlError::new("42601", message)
}

/// serial and its kin: the type that the column has.
fn serial_type(cursor: &mut Cursor) -> Option<DataType> {
    let words = ["serial", "serial4", "bigserial", "serial8", "smallserial", "serial2"];
    Some(match cursor.accept_one_of(&words)? {
        "serial" | "serial4" => DataType::Int32,
        "bigserial" | "serial8" => DataType::Int64,
        _ => DataType::Int16,
    })
}

/// `{ALWAYS | BY DEFAULT} AS IDENTITY [(options)]` behind GENERATED, of a column of a type.
fn identity(cursor: &mut Cursor, data_type: DataType) -> Result<(Generated, SequenceOptions), SqlError> {
    let position = cursor.position();
    let (generated, SequenceOptions(mut options)) = generated(cursor)?;
    if !matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64) {
        return Err(not_an_identity_type().position(position));
    }
    if !options.iter().any(|(option, _)| matches!(option, SequenceOption::Type(_))) {
        options.push((SequenceOption::Type(data_type), position));
    }
    Ok((generated, SequenceOptions(options)))
}

/// 22023, PostgreSQL's words.
pub(crate) fn not_an_identity_type() -> SqlError {
    SqlError::new("22023", "identity column type must be smallint, integer, or bigint")
}

/// The same of a column whose type is not known here.
pub(super) fn generated(cursor: &mut Cursor) -> Result<(Generated, SequenceOptions), SqlError> {
    let generated = match cursor.accept_one_of(&["always as", "by default as"]) {
        Some("always as") => Generated::Always,
        Some(_) => Generated::ByDefault,
        None => return Err(cursor.syntax_error()),
    };
    if *cursor.peek() == Token::LParen {
        return Err(cursor.unsupported("CREATE TABLE … GENERATED ALWAYS AS (expression)"));
    }
    cursor.expect("identity")?;
    Ok((generated, super::sequence::in_parentheses(cursor)?))
}

/// The value of DEFAULT, and how it is written. What follows it in parentheses or with an operator is its own, so
/// that NOT NULL behind it is not.
pub(super) fn default_value(cursor: &mut Cursor) -> Result<(Expr, String), SqlError> {
    let mark = cursor.mark();
    // IS, NOT and LIKE bind more weakly than what a default may have without parentheses: PostgreSQL's `b_expr`.
    let binding = PostgreSqlDialect {}.prec_value(Precedence::Like);
    let value = cursor.sqlparser(|parser| parser.parse_subexpr(binding))?;
    Ok((value, cursor.text_since(mark)))
}

pub(super) fn data_type(cursor: &mut Cursor) -> Result<DataType, SqlError> {
    let (position, mark) = (cursor.position(), cursor.mark());
    let parsed = cursor.sqlparser(Parser::parse_data_type)?;
    column_type(&parsed, || cursor.text_since(mark)).map_err(|error| error.position(position))
}

/// The type of a column.
///
/// # Errors
/// 42704 and 22023 as for every type; 0A000 for one that no column can have.
fn column_type(data_type: &ast::DataType, written: impl Fn() -> String) -> Result<DataType, SqlError> {
    match named(data_type) {
        Ok(Named::Type(known)) => Ok(known),
        Ok(Named::Numeric) => Ok(DataType::Decimal),
        Err(error) if error.sqlstate == "0A000" && error.detail.is_none() => Err(no_column_of(&written())),
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
