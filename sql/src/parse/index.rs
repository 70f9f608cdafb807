//! CREATE INDEX.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use crate::error::SqlError;
use crate::statement::{CreateIndex, IndexItem, Name};

/// What an index's method is where none is named.
const METHOD: &str = "btree";

/// PostgreSQL's clauses behind the columns that an index here cannot have.
const CLAUSES: [&str; 5] = ["include", "nulls not distinct", "nulls distinct", "with", "tablespace"];

/// `CREATE [UNIQUE] INDEX [CONCURRENTLY] [IF NOT EXISTS] [name] ON [ONLY] relation [USING method] (item, …)`
pub(super) fn create(cursor: &mut Cursor) -> Result<CreateIndex, SqlError> {
    cursor.expect("create")?;
    let is_unique = cursor.accept("unique");
    cursor.expect("index")?;
    let concurrently = cursor.accept("concurrently");
    let if_not_exists = cursor.accept("if not exists");
    let is_nameless = !if_not_exists && cursor.peek_word().as_deref() == Some("on");
    let name = if is_nameless { None } else { Some(cursor.name()?) };
    cursor.expect("on")?;
    cursor.accept("only");
    let relation = cursor.relation()?;
    let default = Name { value: METHOD.to_owned(), position: relation.position };
    let method = if cursor.accept("using") { cursor.name()? } else { default };
    cursor.expect_token(&Token::LParen)?;
    let mut items = vec![item(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        items.push(item(cursor)?);
    }
    cursor.expect_token(&Token::RParen)?;
    cursor.refuse(&CLAUSES, "CREATE INDEX")?;
    let is_partial = cursor.peek_word().as_deref() == Some("where");
    if is_partial {
        return Err(cursor
            .unsupported("CREATE INDEX … WHERE")
            .hint("Create a materialized view of these rows, and an index on it."));
    }
    Ok(CreateIndex { is_unique, concurrently, if_not_exists, name, relation, method, items })
}

/// `{column | function call | (expression)} [ASC | DESC] [NULLS {FIRST | LAST}]`
fn item(cursor: &mut Cursor) -> Result<IndexItem, SqlError> {
    let position = cursor.position();
    let (expr, text) = if cursor.accept_token(&Token::LParen) {
        // PostgreSQL's grammar takes a sub-query here only in parentheses of its own, and then refuses it.
        if matches!(cursor.peek_word().as_deref(), Some("select" | "values" | "with" | "table")) {
            return Err(cursor.syntax_error());
        }
        let mark = cursor.mark();
        let expr = cursor.sqlparser(Parser::parse_expr)?;
        let text = cursor.text_since(mark);
        cursor.expect_token(&Token::RParen)?;
        (expr, text)
    } else {
        let mark = cursor.mark();
        let expr = column_or_call(cursor)?;
        (expr, cursor.text_since(mark))
    };
    cursor.refuse(&["collate"], "CREATE INDEX")?;
    if cursor.peek_word().is_some_and(|word| !["asc", "desc", "nulls"].contains(&word.as_str())) {
        return Err(cursor.unsupported("CREATE INDEX with an operator class"));
    }
    let descending = cursor.accept_one_of(&["asc", "desc"]).map(|word| word == "desc");
    let nulls_first =
        cursor.accept_one_of(&["nulls first", "nulls last"]).map(|words| words == "nulls first");
    Ok(IndexItem { expr, text, position, descending, nulls_first })
}

/// A column's name, or a call; anything else needs parentheses.
fn column_or_call(cursor: &mut Cursor) -> Result<ast::Expr, SqlError> {
    if !cursor.comes_call() {
        let name = cursor.name()?;
        return Ok(ast::Expr::Identifier(ast::Ident::with_quote('"', name.value)));
    }
    let error = cursor.syntax_error();
    let expr = cursor.sqlparser(Parser::parse_prefix)?;
    match expr {
        ast::Expr::Function(_)
        | ast::Expr::Substring { .. }
        | ast::Expr::Trim { .. }
        | ast::Expr::Extract { .. }
        | ast::Expr::Position { .. }
        | ast::Expr::Overlay { .. }
        | ast::Expr::Ceil { .. }
        | ast::Expr::Floor { .. } => Ok(expr),
        _ => Err(error),
    }
}
