//! INSERT and DELETE.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, SelectItem, SetExpr, Spanned};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::{Scope, relations};
use crate::bound::Bound;
use crate::catalog::{Relation, RelationKind};
use crate::error::SqlError;
use crate::query::Query;
use crate::statement::{Delete, Insert};

/// Binds INSERT.
pub(super) fn insert(insert: &Insert, scope: &Scope) -> Result<Bound, SqlError> {
    let (table, source) = plan_insert(insert, scope)?;
    Ok(Bound::Insert { table, source })
}

/// Binds DELETE.
pub(super) fn delete(delete: &Delete, scope: &Scope) -> Result<Bound, SqlError> {
    let (table, source) = plan_delete(delete, scope)?;
    Ok(Bound::Delete { table, source })
}

/// The table and the whole rows to insert into it.
pub(super) fn plan_insert(insert: &Insert, scope: &Scope) -> Result<(Arc<Relation>, Query), SqlError> {
    let table = relations::table(scope.catalog, &insert.table, "cannot change materialized view")?;
    let columns = targets(insert, table, scope)?;
    let source = Query::plan_insert(table, &columns, &insert.source, scope.catalog, scope.parameters)
        .map_err(|error| scope.locate(error, insert.source.as_ref()))?;
    Ok((table.clone(), source))
}

/// The table and the whole rows to delete from it.
pub(super) fn plan_delete(delete: &Delete, scope: &Scope) -> Result<(Arc<Relation>, Query), SqlError> {
    let table = relations::table(scope.catalog, &delete.table, "cannot change materialized view")?;
    if table.kind == (RelationKind::Table { keep_rows: false }) {
        return Err(SqlError::new("0A000", format!("cannot delete from stream \"{}\"", table.name))
            .detail("The table was created with append_only and retention = '0': it keeps no rows."));
    }
    let selection = delete.selection.as_deref();
    let source =
        Query::plan_delete(table, selection, scope.catalog, scope.parameters).map_err(
            |error| match selection {
                Some(selection) => scope.locate(error, selection),
                None => error,
            },
        )?;
    Ok((table.clone(), source))
}

/// The columns that the source's columns go to. Without a list these are the first ones, and the
/// source may have fewer.
fn targets(insert: &Insert, table: &Relation, scope: &Scope) -> Result<Vec<usize>, SqlError> {
    let listed = !insert.columns.is_empty();
    let mut columns = match listed {
        true => relations::columns(table, &insert.columns)?,
        false => (0..table.columns.len()).collect(),
    };
    let width = width(&insert.source, scope)?;
    if width > columns.len() {
        let error = SqlError::new("42601", "INSERT has more expressions than target columns");
        return Err(match expression(&insert.source, columns.len()) {
            Some(extra) => error.position(scope.source.position(extra)),
            None => error,
        });
    }
    if listed && width < columns.len() {
        let error = SqlError::new("42601", "INSERT has more target columns than expressions");
        return Err(error.position(insert.columns[width].position));
    }
    columns.truncate(width);
    Ok(columns)
}

/// How many columns a source has: counted where it is written down, else planned.
fn width(source: &ast::Query, scope: &Scope) -> Result<usize, SqlError> {
    match source.body.as_ref() {
        SetExpr::Values(values) => {
            let first = values.rows.first().map_or(0, |row| row.content.len());
            match values.rows.iter().find(|row| row.content.len() != first) {
                None => Ok(first),
                Some(row) => Err(uneven(row.content.first(), scope)),
            }
        }
        SetExpr::Select(select) if select.projection.iter().all(is_one_column) => Ok(select.projection.len()),
        _ => Ok(scope.plan(source)?.columns().len()),
    }
}

fn uneven(first: Option<&ast::Expr>, scope: &Scope) -> SqlError {
    let error = SqlError::new("42601", "VALUES lists must all be the same length");
    match first.map(|expr| expr.span().start).filter(|start| start.line > 0) {
        Some(start) => error.position(scope.source.position(start)),
        None => error,
    }
}

fn is_one_column(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// Where the expression for a column starts, if it is written down.
fn expression(source: &ast::Query, column: usize) -> Option<Location> {
    let start = match source.body.as_ref() {
        SetExpr::Values(values) => values.rows.first()?.content.get(column)?.span().start,
        SetExpr::Select(select) => select.projection.get(column)?.span().start,
        _ => return None,
    };
    (start.line > 0).then_some(start)
}
