//! INSERT, UPDATE, DELETE and TRUNCATE.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, TableWithJoins};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::{
    Assignment, ConflictAction, ConflictTarget, Delete, Insert, Name, OnConflict, Overriding, StatementKind,
    Truncate, Update,
};

/// `INSERT INTO table [AS alias] [(columns)] [OVERRIDING …] {query | DEFAULT VALUES} [ON CONFLICT …] [RETURNING …]`
pub(super) fn insert(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("insert into")?;
    let table = cursor.relation()?;
    let alias = if cursor.accept("as") { Some(cursor.name()?) } else { None };
    let columns = match is_column_list(cursor) {
        true => cursor.names_in_parentheses()?,
        false => Vec::new(),
    };
    let overriding = match cursor.accept_one_of(&["overriding system value", "overriding user value"]) {
        Some("overriding system value") => Some(Overriding::System),
        Some(_) => Some(Overriding::User),
        None => None,
    };
    let source = if cursor.accept("default values") { None } else { Some(source(cursor)?) };
    let on_conflict = if cursor.accept("on conflict") { Some(on_conflict(cursor)?) } else { None };
    let returning = returning(cursor)?;
    Ok(StatementKind::Insert(Insert {
        with: None,
        table,
        alias,
        columns,
        overriding,
        source,
        on_conflict,
        returning,
    }))
}

fn source(cursor: &mut Cursor) -> Result<Arc<datafusion::sql::sqlparser::ast::Query>, SqlError> {
    let begins_query = |word: String| ["select", "values", "with", "table"].contains(&word.as_str());
    if !cursor.peek_word().is_some_and(begins_query) && *cursor.peek() != Token::LParen {
        return Err(cursor.syntax_error());
    }
    cursor.query()
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

/// `[(columns) | ON CONSTRAINT name] DO {NOTHING | UPDATE SET assignments [WHERE condition]}`
fn on_conflict(cursor: &mut Cursor) -> Result<OnConflict, SqlError> {
    let position = cursor.position();
    let target = if cursor.accept("on constraint") {
        Some(ConflictTarget::Constraint(cursor.name()?))
    } else if *cursor.peek() == Token::LParen {
        let columns = conflict_columns(cursor)?;
        cursor.refuse(&["where"], "ON CONFLICT")?;
        Some(ConflictTarget::Columns(columns))
    } else {
        None
    };
    cursor.expect("do")?;
    if cursor.accept("nothing") {
        return Ok(OnConflict { target, action: ConflictAction::Nothing });
    }
    cursor.expect("update set")?;
    if target.is_none() {
        let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
        return Err(SqlError::new("42601", message)
            .hint("For example, ON CONFLICT (column_name).")
            .position(position));
    }
    let assignments = assignments(cursor)?;
    let selection = selection(cursor)?;
    Ok(OnConflict { target, action: ConflictAction::Update { assignments, selection } })
}

/// The columns of a conflict's target: those of an index of expressions are named by ON CONSTRAINT only.
fn conflict_columns(cursor: &mut Cursor) -> Result<Vec<Name>, SqlError> {
    cursor.advance(1);
    let is_name = matches!(cursor.peek(), Token::Word(_)) && !cursor.comes_call();
    if !is_name {
        return Err(cursor.unsupported("ON CONFLICT (expression)"));
    }
    cursor.back();
    cursor.names_in_parentheses()
}

/// `UPDATE [ONLY] table [[AS] alias] SET assignments [FROM …] [WHERE condition] [RETURNING …]`
pub(super) fn update(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("update")?;
    cursor.accept("only");
    let table = cursor.relation()?;
    let alias = alias(cursor, "set")?;
    cursor.expect("set")?;
    let assignments = assignments(cursor)?;
    let from = if cursor.accept("from") { tables(cursor)? } else { Vec::new() };
    cursor.refuse(&["where current of"], "UPDATE")?;
    let selection = selection(cursor)?;
    let returning = returning(cursor)?;
    Ok(StatementKind::Update(Update { with: None, table, alias, assignments, from, selection, returning }))
}

/// `DELETE FROM [ONLY] table [[AS] alias] [USING …] [WHERE condition] [RETURNING …]`
pub(super) fn delete(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("delete from")?;
    cursor.accept("only");
    let table = cursor.relation()?;
    cursor.refuse(&["order by", "limit"], "DELETE")?;
    let alias = alias(cursor, "using")?;
    let using = if cursor.accept("using") { tables(cursor)? } else { Vec::new() };
    cursor.refuse(&["order by", "limit", "where current of"], "DELETE")?;
    let selection = selection(cursor)?;
    cursor.refuse(&["order by", "limit"], "DELETE")?;
    let returning = returning(cursor)?;
    Ok(StatementKind::Delete(Delete { with: None, table, alias, using, selection, returning }))
}

/// `TRUNCATE [TABLE] [ONLY] table, … [CONTINUE IDENTITY] [CASCADE | RESTRICT]`
pub(super) fn truncate(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("truncate")?;
    cursor.accept("table");
    let mut tables = Vec::new();
    loop {
        cursor.accept("only");
        tables.push(cursor.relation()?);
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    let restart =
        cursor.accept_one_of(&["restart identity", "continue identity"]) == Some("restart identity");
    // No table refers to another, so there is nothing that CASCADE could reach.
    cursor.accept_one_of(&["cascade", "restrict"]);
    Ok(StatementKind::Truncate(Truncate { tables, restart }))
}

/// What the statement calls its table, unless the word that comes next is `next`, or begins another clause.
fn alias(cursor: &mut Cursor, next: &str) -> Result<Option<Name>, SqlError> {
    if cursor.accept("as") {
        return cursor.name().map(Some);
    }
    let clauses = [next, "set", "using", "where", "returning"];
    let is_alias = matches!(cursor.peek(), Token::Word(_))
        && cursor.peek_word().is_none_or(|word| !clauses.contains(&word.as_str()));
    if is_alias { cursor.name().map(Some) } else { Ok(None) }
}

fn tables(cursor: &mut Cursor) -> Result<Vec<TableWithJoins>, SqlError> {
    cursor.sqlparser(|parser| parser.parse_comma_separated(Parser::parse_table_and_joins))
}

fn selection(cursor: &mut Cursor) -> Result<Option<Arc<Expr>>, SqlError> {
    match cursor.accept("where") {
        true => Ok(Some(Arc::new(cursor.sqlparser(Parser::parse_expr)?))),
        false => Ok(None),
    }
}

fn returning(cursor: &mut Cursor) -> Result<Option<Vec<SelectItem>>, SqlError> {
    match cursor.accept("returning") {
        true => cursor.sqlparser(|parser| parser.parse_comma_separated(Parser::parse_select_item)).map(Some),
        false => Ok(None),
    }
}

/// `column = value, (column, …) = value, …`
fn assignments(cursor: &mut Cursor) -> Result<Vec<Assignment>, SqlError> {
    let mut assignments = Vec::new();
    loop {
        let columns = match *cursor.peek() == Token::LParen {
            true => cursor.names_in_parentheses()?,
            false => Vec::new(),
        };
        let is_list = !columns.is_empty();
        let columns = if is_list { columns } else { vec![cursor.name()?] };
        if matches!(cursor.peek(), Token::LBracket | Token::Period) {
            return Err(cursor.unsupported("an assignment to a part of a column"));
        }
        cursor.expect_token(&Token::Eq)?;
        let is_row = is_list && cursor.accept("row");
        let value = cursor.sqlparser(Parser::parse_expr)?;
        assignments.push(Assignment { columns, is_list, value, is_row });
        if !cursor.accept_token(&Token::Comma) {
            return Ok(assignments);
        }
    }
}
