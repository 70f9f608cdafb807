//! What of sqlparser's queries we refuse before planning: clauses that would otherwise be dropped
//! in silence, and changes of data inside a query.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Spanned};

use super::source::Source;
use crate::error::SqlError;

/// Refuses clauses of a query that nothing further on looks at.
pub(super) fn check(query: &Query, source: &Source) -> Result<(), SqlError> {
    let what = if !query.locks.is_empty() {
        "SELECT … FOR UPDATE or FOR SHARE"
    } else if query.for_clause.is_some() {
        "SELECT … FOR"
    } else if query.settings.is_some() || query.format_clause.is_some() || !query.pipe_operators.is_empty() {
        "a query in this form"
    } else {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        with.map(|table| table.query.as_ref()).try_for_each(|query| check(query, source))?;
        return check_body(&query.body, source);
    };
    Err(at(what, query, source))
}

fn check_body(body: &SetExpr, source: &Source) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => Err(at("SELECT … INTO", body, source)),
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
        SetExpr::Query(query) => check(query, source),
        SetExpr::SetOperation { left, right, .. } => {
            check_body(left, source)?;
            check_body(right, source)
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err(SqlError::unsupported("INSERT, UPDATE, DELETE or MERGE with WITH or inside a query"))
        }
    }
}

fn at(what: &str, syntax: &impl Spanned, source: &Source) -> SqlError {
    let start = syntax.span().start;
    let error = SqlError::unsupported(what);
    if start.line == 0 { error } else { error.position(source.position(start)) }
}
