//! COPY: rows from the client and to the client, never to or from the server's files.

use std::sync::Arc;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::copy_format;
use super::cursor::Cursor;
use super::{Source, subscribe};
use crate::bound::CopyFormat;
use crate::error::SqlError;
use crate::statement::{CopyFrom, CopySource, CopyTo, Name, Statement, StatementKind};

/// COPY … FROM STDIN without a text: into the relation of a name as SQL has it, of rows that give these columns.
///
/// # Errors
/// 42602 where it is no name, 0A000 where it names another database.
pub fn copy_into(
    relation: &str,
    columns: Option<&[&str]>,
    format: CopyFormat,
) -> Result<Statement, SqlError> {
    let table = super::relation_name(relation)?;
    let name = |column: &&str| Name { value: (*column).to_owned(), position: 0 };
    let columns = columns.map(|columns| columns.iter().map(name).collect());
    let text = format!("COPY {table} FROM STDIN");
    let source = Arc::new(Source::new(&text));
    Ok(Statement { text, kind: StatementKind::CopyFrom(CopyFrom { table, columns, format }), source })
}

/// `COPY relation [(columns)] | (query) | (SUBSCRIBE …) {FROM STDIN | TO STDOUT} [options]`
pub(super) fn copy(cursor: &mut Cursor) -> Result<StatementKind, SqlError> {
    cursor.expect("copy")?;
    let binary = cursor.accept("binary");
    let source = match cursor.accept_token(&Token::LParen) {
        true => query(cursor)?,
        false => {
            let relation = cursor.relation()?;
            CopySource::Relation { relation, columns: cursor.names_in_parentheses()? }
        }
    };
    let position = cursor.position();
    let from = cursor.accept("from");
    if !from {
        cursor.expect("to")?;
    }
    client(cursor)?;
    let format = copy_format::format(cursor, binary)?;
    cursor.refuse(&["where"], "COPY")?;
    match source {
        CopySource::Relation { relation, columns } if from => {
            let columns = Some(columns).filter(|columns| !columns.is_empty());
            Ok(StatementKind::CopyFrom(CopyFrom { table: relation, columns, format }))
        }
        CopySource::Query(_) | CopySource::Subscribe(_) if from => {
            Err(SqlError::new("42601", "syntax error at or near \"FROM\"").position(position))
        }
        source => Ok(StatementKind::CopyTo(CopyTo { source, format })),
    }
}

fn query(cursor: &mut Cursor) -> Result<CopySource, SqlError> {
    let source = match cursor.peek_word().as_deref() {
        Some("subscribe") => CopySource::Subscribe(subscribe::subscribe(cursor)?),
        Some("insert" | "update" | "delete" | "merge") => {
            return Err(cursor.unsupported("COPY of a statement that changes data"));
        }
        _ => CopySource::Query(cursor.query()?),
    };
    cursor.expect_token(&Token::RParen)?;
    Ok(source)
}

/// STDIN and STDOUT are the client; PostgreSQL does not mind which of them stands where.
fn client(cursor: &mut Cursor) -> Result<(), SqlError> {
    if cursor.accept_one_of(&["stdin", "stdout"]).is_some() {
        return Ok(());
    }
    let refused = cursor
        .unsupported("COPY with a file or program on the server")
        .hint("Use psql's \\copy, or COPY … FROM STDIN and COPY … TO STDOUT.");
    match cursor.accept("program") || matches!(cursor.peek(), Token::SingleQuotedString(_)) {
        true => Err(refused),
        false => Err(cursor.syntax_error()),
    }
}
