//! INSERT, UPDATE, DELETE and TRUNCATE.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr, Spanned, TableWithJoins};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::{Scope, relations};
use crate::bound::Bound;
use crate::catalog::{Relation, RelationKind};
use crate::error::SqlError;
use crate::parse;
use crate::query::Change;
use crate::query::binder::is_default;
use crate::query::change::{self, ChangeBinder, Conflict, InsertSource};
use crate::statement::{
    Assignment, ConflictAction, ConflictTarget, Delete, Insert, Name, OnConflict, RelationName, Truncate,
    Update,
};

/// What a statement says of the table that it changes.
const REFUSAL: &str = "cannot change materialized view";

/// INSERT.
pub(super) fn insert(insert: &Insert, scope: &Scope) -> Result<Change, SqlError> {
    let table = relations::table(scope, &insert.table, REFUSAL)?;
    let columns = match &insert.source {
        Some(source) => targets(insert, source, table, scope)?,
        None => Vec::new(),
    };
    let conflict =
        insert.on_conflict.as_ref().map(|conflict| on_conflict(conflict, table, scope)).transpose()?;
    let source =
        InsertSource { columns: &columns, query: insert.source.as_deref(), overriding: insert.overriding };
    let change = binder(table, &insert.alias, &insert.with, scope).insert(
        &source,
        conflict,
        insert.returning.as_deref(),
    );
    change.map_err(|error| {
        let error = located(error, insert.source.as_deref(), scope);
        let error = match insert.on_conflict.as_ref().map(|conflict| &conflict.action) {
            Some(ConflictAction::Update { assignments, selection }) => {
                located(located_values(error, assignments, scope), selection.as_deref(), scope)
            }
            Some(ConflictAction::Nothing) | None => error,
        };
        located_items(error, insert.returning.as_deref(), scope)
    })
}

/// UPDATE.
pub(super) fn update(update: &Update, scope: &Scope) -> Result<Change, SqlError> {
    let table = changed(&update.table, "update", scope)?;
    let assignments = assignments(&update.assignments, table, scope)?;
    let change = binder(table, &update.alias, &update.with, scope).update(
        &assignments,
        &update.from,
        update.selection.as_deref(),
        update.returning.as_deref(),
    );
    change.map_err(|error| {
        let error = hidden_by_alias(error, &update.table, &update.alias);
        let error = located_values(located_tables(error, &update.from, scope), &update.assignments, scope);
        let error = located(error, update.selection.as_deref(), scope);
        located_items(error, update.returning.as_deref(), scope)
    })
}

/// DELETE.
pub(super) fn delete(delete: &Delete, scope: &Scope) -> Result<Change, SqlError> {
    let table = changed(&delete.table, "delete from", scope)?;
    let change = binder(table, &delete.alias, &delete.with, scope).delete(
        &delete.using,
        delete.selection.as_deref(),
        delete.returning.as_deref(),
    );
    change.map_err(|error| {
        let error = hidden_by_alias(error, &delete.table, &delete.alias);
        let error = located_tables(error, &delete.using, scope);
        let error = located(error, delete.selection.as_deref(), scope);
        located_items(error, delete.returning.as_deref(), scope)
    })
}

/// TRUNCATE, each table once.
pub(super) fn truncate(truncate: &Truncate, scope: &Scope) -> Result<Bound, SqlError> {
    let mut changes: Vec<Change> = Vec::new();
    for name in &truncate.tables {
        let table = relations::whole_table(scope, name, "cannot truncate materialized view")?;
        if changes.iter().all(|change| change.table.id != table.id) {
            changes.push(binder(table, &None, &None, scope).truncate()?);
        }
    }
    let owned = changes.iter().filter(|_| truncate.restart).filter_map(|change| change.table.rules());
    let owned = owned.flat_map(|rules| rules.owned.iter().map(|owned| owned.sequence));
    let restarted = |id| Some((id, scope.catalog.sequence(id)?.restart()));
    let sequences = owned.filter_map(restarted).collect();
    Ok(Bound::Truncate(changes, sequences))
}

fn binder<'a>(
    table: &'a Arc<Relation>,
    alias: &Option<Name>,
    with: &Option<Arc<ast::With>>,
    scope: &Scope<'a>,
) -> ChangeBinder<'a> {
    let alias = alias.as_ref().map(|alias| alias.value.as_str());
    ChangeBinder::new(table, alias, scope.catalog, scope.parameters).naming(with.clone())
}

/// The table of a statement that needs its rows.
fn changed<'a>(name: &RelationName, verb: &str, scope: &Scope<'a>) -> Result<&'a Arc<Relation>, SqlError> {
    let table = relations::table(scope, name, REFUSAL)?;
    if matches!(table.kind, RelationKind::Table { keep_rows: false, .. }) {
        return Err(SqlError::new("0A000", format!("cannot {verb} stream \"{}\"", table.name))
            .detail("The table was created with append_only and retention = '0': it keeps no rows."));
    }
    Ok(table)
}

/// The columns and values of SET, a column each.
fn assignments(
    assignments: &[Assignment],
    table: &Relation,
    scope: &Scope,
) -> Result<Vec<change::Assignment>, SqlError> {
    let mut found: Vec<change::Assignment> = Vec::new();
    for assignment in assignments {
        let columns = assigned_columns(&assignment.columns, table)?;
        let values = values(assignment, scope)?;
        for ((column, value), name) in columns.into_iter().zip(values).zip(&assignment.columns) {
            if found.iter().any(|other| other.column == column) {
                let message = format!("multiple assignments to same column \"{}\"", name.value);
                return Err(SqlError::new("42601", message));
            }
            let value = if is_default(&value) { None } else { Some(value) };
            found.push(change::Assignment { column, value });
        }
    }
    Ok(found)
}

fn assigned_columns(names: &[Name], table: &Relation) -> Result<Vec<usize>, SqlError> {
    let column = |name: &Name| {
        table.columns.iter().position(|column| column.name == name.value).ok_or_else(|| {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", name.value, table.name);
            SqlError::new("42703", message).position(name.position)
        })
    };
    names.iter().map(column).collect()
}

/// The values of one assignment, one a column.
fn values(assignment: &Assignment, scope: &Scope) -> Result<Vec<Expr>, SqlError> {
    let count = assignment.columns.len();
    if !assignment.is_list {
        return Ok(vec![assignment.value.clone()]);
    }
    let values = match &assignment.value {
        Expr::Tuple(values) => values.clone(),
        Expr::Nested(value) => vec![value.as_ref().clone()],
        Expr::Subquery(query) => return parts_of(query, count, scope),
        _ => {
            let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
            return Err(SqlError::new("0A000", message));
        }
    };
    if values.len() != count {
        return Err(SqlError::new("42601", "number of columns does not match number of values"));
    }
    // A lone value in parentheses is a row only where ROW says so; PostgreSQL takes it for a column, too.
    Ok(values)
}

/// Each column of a sub-query by itself.
fn parts_of(query: &ast::Query, count: usize, scope: &Scope) -> Result<Vec<Expr>, SqlError> {
    // What cannot be planned by itself reads the statement's row; then its list is not a wildcard alone.
    if width(query, scope).is_ok_and(|width| width != count) {
        return Err(SqlError::new("42601", "number of columns does not match number of values"));
    }
    let names: Vec<String> = (0..count).map(|column| format!("column{column}")).collect();
    let part = |name: &String| {
        parse::expression(&format!("(SELECT {name} FROM ({query}) AS assigned ({}))", names.join(", ")))
    };
    names.iter().map(part).collect()
}

fn on_conflict<'a>(
    conflict: &'a OnConflict,
    table: &Relation,
    scope: &Scope,
) -> Result<Conflict<'a>, SqlError> {
    let target = match &conflict.target {
        None => change::ConflictTarget::Any,
        Some(ConflictTarget::Constraint(name)) => change::ConflictTarget::Constraint(name.value.clone()),
        Some(ConflictTarget::Columns(names)) => {
            let column = |name: &Name| {
                table.columns.iter().position(|column| column.name == name.value).ok_or_else(|| {
                    SqlError::new("42703", format!("column \"{}\" does not exist", name.value))
                        .position(name.position)
                })
            };
            change::ConflictTarget::Columns(names.iter().map(column).collect::<Result<BTreeSet<_>, _>>()?)
        }
    };
    let update = match &conflict.action {
        ConflictAction::Nothing => None,
        ConflictAction::Update { assignments: set, selection } => {
            Some((assignments(set, table, scope)?, selection.as_deref()))
        }
    };
    Ok(Conflict { target, update })
}

/// A table that has an alias is known by that only: PostgreSQL's words for its own name.
fn hidden_by_alias(error: SqlError, table: &RelationName, alias: &Option<Name>) -> SqlError {
    let missing = format!("missing FROM-clause entry for table \"{}\"", table.value);
    match alias {
        Some(alias) if error.message == missing => {
            let message = format!("invalid reference to FROM-clause entry for table \"{}\"", table.value);
            let hint = format!("Perhaps you meant to reference the table alias \"{}\".", alias.value);
            SqlError::new("42P01", message).hint(hint)
        }
        _ => error,
    }
}

/// Where in a part of the statement its error lies.
fn located(error: SqlError, part: Option<&impl ast::Visit>, scope: &Scope) -> SqlError {
    match part {
        Some(part) => scope.locate(error, part),
        None => error,
    }
}

fn located_values(error: SqlError, assignments: &[Assignment], scope: &Scope) -> SqlError {
    assignments.iter().fold(error, |error, assignment| scope.locate(error, &assignment.value))
}

fn located_tables(error: SqlError, tables: &[TableWithJoins], scope: &Scope) -> SqlError {
    tables.iter().fold(error, |error, table| scope.locate(error, table))
}

fn located_items(error: SqlError, items: Option<&[SelectItem]>, scope: &Scope) -> SqlError {
    items.into_iter().flatten().fold(error, |error, item| scope.locate(error, item))
}

/// The columns that the source's columns go to. Without a list these are the first ones, and the
/// source may have fewer.
fn targets(
    insert: &Insert,
    source: &ast::Query,
    table: &Relation,
    scope: &Scope,
) -> Result<Vec<usize>, SqlError> {
    let listed = !insert.columns.is_empty();
    let mut columns = match listed {
        true => relations::columns(table, &insert.columns)?,
        false => table.visible().map(|(place, _)| place).collect(),
    };
    let width = width(&with_queries(source, insert.with.as_deref()), scope)?;
    if width > columns.len() {
        let error = SqlError::new("42601", "INSERT has more expressions than target columns");
        return Err(match expression(source, columns.len()) {
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

/// A query with the queries that its statement can name before its own.
fn with_queries<'q>(query: &'q ast::Query, with: Option<&ast::With>) -> Cow<'q, ast::Query> {
    let Some(with) = with else { return Cow::Borrowed(query) };
    let mut query = query.clone();
    match &mut query.with {
        None => query.with = Some(with.clone()),
        Some(own) => own.cte_tables.splice(0..0, with.cte_tables.iter().cloned()).for_each(drop),
    }
    Cow::Owned(query)
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
