//! CREATE TABLE and CREATE MATERIALIZED VIEW; and what all CREATEs share.

use std::collections::HashSet;

use millrace_engine::{RelationId, Tick};

use super::Scope;
use crate::bound::{Bound, Terms};
use crate::catalog::{Column, Relation, RelationKind};
use crate::error::SqlError;
use crate::statement::{CreateTable, CreateView, Name};

/// As many columns as PostgreSQL's tables can have.
const COLUMNS_MAX: usize = 1_600;

/// Given at commit.
const ID_LATER: RelationId = RelationId(0);
const CREATED_LATER: Tick = 0;

/// Binds CREATE TABLE.
pub(super) fn table(create: &CreateTable, scope: &Scope) -> Result<Bound, SqlError> {
    let kind = RelationKind::Table { keep_rows: create.keep_rows };
    created(&create.name.value, terms(create.if_not_exists), create.columns.clone(), kind, scope)
}

/// Binds CREATE MATERIALIZED VIEW.
pub(super) fn view(create: &CreateView, scope: &Scope) -> Result<Bound, SqlError> {
    let query = scope.plan_view(&create.query)?;
    let columns = named(query.columns(), &create.columns)?;
    let kind = RelationKind::MaterializedView {
        sql: create.sql.clone(),
        plan: query.lower()?,
        options: create.options,
    };
    created(&create.name.value, terms(create.if_not_exists), columns, kind, scope)
}

fn terms(if_not_exists: bool) -> Terms {
    Terms { if_not_exists, ..Terms::default() }
}

/// A new relation of this name.
pub(super) fn created(
    name: &str,
    terms: Terms,
    columns: Vec<Column>,
    kind: RelationKind,
    scope: &Scope,
) -> Result<Bound, SqlError> {
    if !terms.if_not_exists && scope.catalog.get(name).is_some() {
        return Err(SqlError::new("42P07", format!("relation \"{name}\" already exists")));
    }
    if columns.len() > COLUMNS_MAX {
        return Err(SqlError::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
    }
    let relation = Relation { id: ID_LATER, name: name.to_owned(), columns, kind, created: CREATED_LATER };
    Ok(Bound::Create { relation, terms })
}

/// A query's columns under the names that the user gave, which must differ.
pub(crate) fn named(columns: &[Column], names: &[Name]) -> Result<Vec<Column>, SqlError> {
    if let Some(name) = names.get(columns.len()) {
        return Err(SqlError::new("42601", "too many column names were specified").position(name.position));
    }
    let mut named = columns.to_vec();
    named.iter_mut().zip(names).for_each(|(column, name)| column.name.clone_from(&name.value));
    let mut seen = HashSet::new();
    match named.iter().position(|column| !seen.insert(column.name.as_str())) {
        None => Ok(named),
        Some(index) => Err(duplicate(&named[index].name, names.get(index))),
    }
}

fn duplicate(column: &str, name: Option<&Name>) -> SqlError {
    let error = SqlError::new("42701", format!("column \"{column}\" specified more than once"));
    match name {
        Some(name) => error.position(name.position),
        None => error.hint("Name the columns with AS, or in parentheses after the view's name."),
    }
}
