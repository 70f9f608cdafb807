//! CREATE MATERIALIZED VIEW.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::CreateView;

/// `CREATE MATERIALIZED VIEW [IF NOT EXISTS] name [(columns)] AS query [WITH DATA]`
pub(super) fn create(cursor: &mut Cursor) -> Result<CreateView, SqlError> {
    cursor.expect("create materialized view")?;
    let if_not_exists = cursor.accept("if not exists");
    let name = cursor.relation()?;
    let columns = cursor.names_in_parentheses()?;
    refuse_options(cursor)?;
    cursor.expect("as")?;
    let mark = cursor.mark();
    let query = cursor.query()?;
    let sql = cursor.text_since(mark);
    cursor.refuse(&["with no data"], "CREATE MATERIALIZED VIEW")?;
    cursor.accept("with data");
    Ok(CreateView { name, if_not_exists, columns, query, sql })
}

fn refuse_options(cursor: &mut Cursor) -> Result<(), SqlError> {
    cursor.refuse(&["using", "tablespace"], "CREATE MATERIALIZED VIEW")?;
    let with = cursor.position();
    if !cursor.accept("with") {
        return Ok(());
    }
    cursor.expect_token(&Token::LParen)?;
    let name = cursor.option()?;
    Err(SqlError::new("22023", format!("unrecognized parameter \"{}\"", name.value))
        .detail("A materialized view has no parameters yet.")
        .position(with))
}
