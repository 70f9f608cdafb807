//! CREATE VIEW and CREATE MATERIALIZED VIEW.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::setting::option;
use crate::catalog::{OnError, ViewOptions};
use crate::error::SqlError;
use crate::statement::{CreateView, ViewKind};

/// PostgreSQL's units of memory.
const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("kB", 10), ("B", 0)];

/// `CREATE [OR REPLACE] [TEMP] VIEW name [(columns)] AS query`
pub(super) fn create_plain(cursor: &mut Cursor) -> Result<CreateView, SqlError> {
    cursor.expect("create")?;
    let or_replace = cursor.accept("or replace");
    let temporary = cursor.accepts_temporary();
    cursor.expect("view")?;
    let name = cursor.created(temporary)?;
    let columns = cursor.names_in_parentheses()?;
    cursor.refuse(&["with"], "CREATE VIEW")?;
    let (query, sql) = query(cursor)?;
    cursor.refuse(
        &["with check option", "with local check option", "with cascaded check option"],
        "CREATE VIEW",
    )?;
    let (if_not_exists, kind) = (false, ViewKind::Plain { or_replace });
    Ok(CreateView { name, kind, if_not_exists, columns, query, sql })
}

/// `AS query`, and the query as it is written.
fn query(cursor: &mut Cursor) -> Result<(Arc<Query>, String), SqlError> {
    cursor.expect("as")?;
    let mark = cursor.mark();
    let query = cursor.query()?;
    Ok((query, cursor.text_since(mark)))
}

/// `CREATE MATERIALIZED VIEW [IF NOT EXISTS] name [(columns)] [WITH (options)] AS query [WITH DATA]`
pub(super) fn create(cursor: &mut Cursor) -> Result<CreateView, SqlError> {
    cursor.expect("create materialized view")?;
    let if_not_exists = cursor.accept("if not exists");
    let name = cursor.relation()?;
    let columns = cursor.names_in_parentheses()?;
    let options = options(cursor)?;
    let (query, sql) = query(cursor)?;
    cursor.refuse(&["with no data"], "CREATE MATERIALIZED VIEW")?;
    cursor.accept("with data");
    let kind = ViewKind::Materialized(options);
    Ok(CreateView { name, kind, if_not_exists, columns, query, sql })
}

/// `WITH (on_error = 'fail' | 'skip', memory_limit = '64MB')`
fn options(cursor: &mut Cursor) -> Result<ViewOptions, SqlError> {
    cursor.refuse(&["using", "tablespace"], "CREATE MATERIALIZED VIEW")?;
    let mut options = ViewOptions::default();
    if !cursor.accept("with") {
        return Ok(options);
    }
    cursor.expect_token(&Token::LParen)?;
    loop {
        let position = cursor.position();
        let (name, value) = option(cursor)?;
        match name.as_str() {
            "on_error" => options.on_error = on_error(&value).map_err(|error| error.position(position))?,
            "memory_limit" => {
                let bytes =
                    bytes_of(&value).ok_or_else(|| invalid(&name, &value, MEMORY_HINT).position(position))?;
                options.memory_limit = Some(bytes);
            }
            _ => {
                return Err(SqlError::new("22023", format!("unrecognized parameter \"{name}\""))
                    .hint("A materialized view can have the parameters on_error and memory_limit.")
                    .position(position));
            }
        }
        if !cursor.accept_token(&Token::Comma) {
            break;
        }
    }
    cursor.expect_token(&Token::RParen)?;
    Ok(options)
}

const MEMORY_HINT: &str = "It is a number of bytes, or one with a unit: B, kB, MB, GB, TB.";

fn invalid(name: &str, value: &str, hint: &str) -> SqlError {
    SqlError::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\"")).hint(hint)
}

fn on_error(value: &str) -> Result<OnError, SqlError> {
    match value {
        "fail" => Ok(OnError::Fail),
        "skip" => Ok(OnError::Skip),
        _ => Err(invalid("on_error", value, "It is 'fail' or 'skip'.")),
    }
}

/// A size of memory as PostgreSQL writes them; not zero.
fn bytes_of(value: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|(unit, shift)| Some((value.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((value, 0));
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let sizes = ["64MB", "1 GB", "4096", "12kB", "7B", "0", "", "MB", "-1MB", "64mb", "99999999TB"];
        let expected = [
            Some(64 << 20),
            Some(1 << 30),
            Some(4096),
            Some(12 << 10),
            Some(7),
            None,
            None,
            None,
            None,
            None,
            None,
        ];
        assert_eq!(sizes.map(bytes_of), expected);
    }
}
