//! Text → statements. First of the steps that a statement takes; no name is looked up here.
//!
//! The tokenizer cuts the whole text (quotes, dollar quotes and comments respected), semicolons
//! split it into statements, our grammar reads each and leaves queries, expressions and types to
//! sqlparser. Invariant: no text makes this panic or overflow the stack.
//!
//! `source` and `depth` look at the whole text, `cursor` and `names` are what every statement's
//! grammar is made of; each of the others reads one kind of statement.

mod alter; // ALTER TABLE and its kin
mod change; // INSERT, UPDATE, DELETE, TRUNCATE
mod comment; // COMMENT ON
mod copy; // COPY
mod copy_format; // COPY's options
mod cursor; // the tokens, word by word
mod depth; // refuses what would overflow the stack
mod dialect; // what sqlparser takes for PostgreSQL, with bounded work
mod drop; // DROP
mod expand_array; // a function of the catalogs that gives rows in a select list
mod explain; // EXPLAIN
mod index; // CREATE INDEX
mod names; // folding, reserved words, the parts of a name
mod portal; // DECLARE, FETCH, MOVE, CLOSE
mod prepare; // PREPARE, EXECUTE
mod refused; // clauses of queries that we refuse
mod rows_from; // ROWS FROM, and calls with the columns of a record
mod schema; // CREATE SCHEMA, ALTER SCHEMA, DROP SCHEMA
mod sequence; // CREATE SEQUENCE, ALTER SEQUENCE
mod session; // BEGIN and its kin, DEALLOCATE, DISCARD
mod setting; // SET, RESET, SHOW
mod source; // positions in the text, and syntax errors
mod subscribe; // SUBSCRIBE
mod table; // CREATE TABLE
#[cfg(test)]
pub(crate) mod tests; // goldens of every form and error, and texts that must not break it
mod unsupported; // names of what we do not have
mod view; // CREATE VIEW, CREATE MATERIALIZED VIEW
mod with; // WITH

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, TableFactor, TableWithJoins};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

pub use self::copy::copy_into;
use self::cursor::Cursor;
use self::dialect::BoundedDialect;
pub use self::names::quoted;
pub(crate) use self::rows_from::{NAMELESS, ROWS_FROM, column_definitions};
pub(crate) use self::sequence::not_a_sequence_type;
pub(crate) use self::source::Source;
pub use self::subscribe::subscribe_to;
pub(crate) use self::table::not_an_identity_type;
use crate::error::SqlError;
use crate::query::scope::fold_name;
use crate::statement::{DropKind, Name, RelationName, Statement, StatementKind};

/// The longest text.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The statements of a text, in order; none for an empty text or one of comments only.
///
/// # Errors
/// 42601 with the position, 54001 for a statement that is nested too deeply, 54000 for a text
/// over 1 MiB. What is well-formed but cannot run is no error here but `StatementKind::Refused`.
pub fn parse(text: &str) -> Result<Vec<Statement>, SqlError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SqlError::new("54000", "statement is too long")
            .detail(format!("It has {} bytes, at most {TEXT_BYTES_MAX} are allowed.", text.len()))
            .hint("Load many rows with COPY."));
    }
    let source = Arc::new(Source::new(text));
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| source.tokenizer_error(&error))?;
    if let Some(nameless) = tokens.iter().find(|token| is_nameless(&token.token)) {
        let position = source.position(nameless.span.start);
        return Err(SqlError::new("42601", "zero-length delimited identifier").position(position));
    }
    tokens
        .split_inclusive(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(is_content))
        .map(|tokens| parse_one(&source, tokens))
        .collect()
}

/// The statements of a text of any length: where each begins, in characters from 0, and its text, which is not
/// parsed further.
///
/// # Errors
/// 42601 with the position where the text does not even have words, as with a quote that does not end.
pub fn split(text: &str) -> Result<Vec<(usize, String)>, SqlError> {
    let source = Source::new(text);
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| source.tokenizer_error(&error))?;
    let statements = tokens.split(|token| token.token == Token::SemiColon);
    let whole = |tokens: &[TokenWithSpan]| {
        let first = tokens.iter().position(is_content)?;
        let last = tokens.iter().rposition(is_content)?;
        let (start, end) = (tokens[first].span.start, tokens[last].span.end);
        Some((source.position(start) - 1, source.slice(start, end).to_owned()))
    };
    Ok(statements.filter_map(whole).collect())
}

/// A text that is one query: as the catalog keeps views, and as we write queries ourselves.
///
/// # Errors
/// XX000 where it is none.
pub(crate) fn query(text: &str) -> Result<Arc<Query>, SqlError> {
    match parse(text)?.pop().map(|statement| statement.kind) {
        Some(StatementKind::Select(query)) => Ok(query),
        _ => Err(SqlError::internal(format_args!("not a query: {text}"))),
    }
}

/// A text that is one expression: as the catalog keeps defaults and conditions.
///
/// # Errors
/// XX000 where it is none.
pub(crate) fn expression(text: &str) -> Result<Expr, SqlError> {
    let broken = || SqlError::internal(format_args!("not an expression: {text}"));
    match query(&format!("SELECT {text}"))?.body.as_ref() {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr)] => Ok(expr.clone()),
            _ => Err(broken()),
        },
        _ => Err(broken()),
    }
}

/// A text that is the name of a relation, as the argument of nextval is.
///
/// # Errors
/// 42602 where it is none, 0A000 where it names another database.
pub(crate) fn relation_name(text: &str) -> Result<RelationName, SqlError> {
    let broken = || SqlError::new("42602", "invalid name syntax");
    match query(&format!("TABLE {text}")).map_err(|_| broken())?.body.as_ref() {
        SetExpr::Select(select) => match select.from.as_slice() {
            [TableWithJoins { relation: TableFactor::Table { name, alias: None, .. }, joins }]
                if joins.is_empty() =>
            {
                let parts = fold_name(name).into_iter().map(|value| Name { value, position: 0 });
                names::resolve(parts.collect()).map_err(|error| SqlError { position: None, ..error })
            }
            _ => Err(broken()),
        },
        _ => Err(broken()),
    }
}

/// One statement, whose tokens end in the semicolon if there is one.
fn parse_one(source: &Arc<Source>, tokens: &[TokenWithSpan]) -> Result<Statement, SqlError> {
    depth::check(tokens)?;
    let dialect = BoundedDialect::new(tokens.len());
    let mut cursor = Cursor::new(source, tokens, &dialect);
    let kind = match statement(&mut cursor) {
        Ok(kind) => kind,
        Err(error) if error.sqlstate == "42601" || error.sqlstate.starts_with("54") => return Err(error),
        Err(error) => StatementKind::Refused(error),
    };
    Ok(Statement { text: own_text(source, tokens), kind, source: source.clone() })
}

/// Reads a statement up to its end.
fn statement(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let kind = match cursor.peek_word().unwrap_or_default().as_str() {
        "create" => create(cursor)?,
        "drop" if cursor.comes("drop schema") => schema::drop(cursor)?,
        "drop" => drop::drop(cursor)?,
        "alter" => alter(cursor)?,
        "comment" => comment::comment(cursor)?,
        "insert" => change::insert(cursor)?,
        "update" => change::update(cursor)?,
        "delete" => change::delete(cursor)?,
        "truncate" => change::truncate(cursor)?,
        "select" | "values" | "table" => StatementKind::Select(cursor.query()?),
        "with" => with::with(cursor)?,
        "subscribe" => StatementKind::Subscribe(subscribe::subscribe(cursor)?),
        "copy" => copy::copy(cursor)?,
        "explain" => explain::explain(cursor)?,
        "set" => setting::set(cursor)?,
        "reset" => setting::reset(cursor)?,
        "show" => setting::show(cursor)?,
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" => session::transaction(cursor)?,
        "savepoint" | "release" => session::savepoint(cursor)?,
        "prepare" => prepare::prepare(cursor)?,
        "execute" => prepare::execute(cursor)?,
        "deallocate" => session::deallocate(cursor)?,
        "declare" => portal::declare(cursor)?,
        "fetch" | "move" => portal::fetch(cursor)?,
        "close" => portal::close(cursor)?,
        "unlisten" => session::unlisten(cursor)?,
        "discard" => session::discard(cursor)?,
        _ if *cursor.peek() == Token::LParen => StatementKind::Select(cursor.query()?),
        _ => return Err(unsupported::error(cursor)),
    };
    cursor.expect_end()?;
    Ok(kind)
}

fn create(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    let words = cursor.peek_words(6);
    let is_modifier = |word: &&str| matches!(*word, "local" | "global" | "temp" | "temporary");
    let words: Vec<&str> =
        words.iter().skip(1).map(String::as_str).filter(|word| !is_modifier(word)).collect();
    if matches!(words.as_slice(), ["view", ..] | ["or", "replace", "view", ..]) {
        return Ok(StatementKind::CreateView(view::create_plain(cursor)?));
    }
    if matches!(words.as_slice(), ["index", ..] | ["unique", "index", ..]) {
        return Ok(StatementKind::CreateIndex(index::create(cursor)?));
    }
    match words.first().copied() {
        Some("schema") => schema::create(cursor),
        Some("sequence") => Ok(StatementKind::CreateSequence(sequence::create(cursor)?)),
        Some("table") => table::create(cursor),
        Some("materialized") => Ok(StatementKind::CreateView(view::create(cursor)?)),
        _ => Err(unsupported::error(cursor)),
    }
}

fn alter(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    if cursor.comes("alter schema") {
        return schema::alter(cursor);
    }
    if !cursor.accept("alter sequence") {
        return alter::alter(cursor);
    }
    let if_exists = cursor.accept("if exists");
    let name = cursor.relation()?;
    match cursor.peek_word().as_deref() {
        Some("rename" | "owner" | "set") => alter::actions(cursor, DropKind::Sequence, if_exists, name),
        _ => Ok(StatementKind::AlterSequence(sequence::alter(cursor, if_exists, name)?)),
    }
}

/// Whether a token is `""`.
fn is_nameless(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.value.is_empty())
}

fn is_content(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_) | Token::SemiColon)
}

/// The text from the first to the last token.
fn own_text(source: &Source, tokens: &[TokenWithSpan]) -> String {
    let first = tokens.iter().find(|token| is_content(token));
    let last = tokens.iter().rfind(|token| is_content(token));
    match (first, last) {
        (Some(first), Some(last)) => source.slice(first.span.start, last.span.end).to_owned(),
        _ => String::new(),
    }
}
