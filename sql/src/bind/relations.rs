//! Schemas, relations and columns by name.
//!
//! As in PostgreSQL, what reads and writes rows says of a schema that is not there that the relation is not there
//! (42P01); what changes the catalog says that the schema is not (3F000).

use std::sync::Arc;

use super::Scope;
use crate::catalog::{Found, Relation, RelationKind, SchemaId};
use crate::error::SqlError;
use crate::statement::{Name, RelationName};
use crate::system;

/// The relation of a name, or nothing.
///
/// # Errors
/// 3F000 where there is no such schema; 42501 for a relation of the system's.
pub(super) fn find<'a>(
    name: &RelationName,
    scope: &Scope<'a>,
) -> Result<Option<&'a Arc<Relation>>, SqlError> {
    if let Some(schema) = name.schema.as_deref().filter(|schema| !scope.catalog.has_schema(schema)) {
        return Err(no_schema(schema));
    }
    match scope.lookup(name) {
        Some(Found::Relation(relation)) => Ok(Some(relation)),
        Some(Found::System(system)) => Err(is_a_catalog(system.name())),
        None => Ok(None),
    }
}

/// The relation of a name that a statement is about.
///
/// # Errors
/// As `find`; 42P01 where there is none.
pub(super) fn existing<'a>(name: &RelationName, scope: &Scope<'a>) -> Result<&'a Arc<Relation>, SqlError> {
    find(name, scope)?.ok_or_else(|| missing(name))
}

/// The relation that an ALTER is about; where IF EXISTS forgives its absence, what is said instead.
///
/// # Errors
/// As `existing`.
pub(super) fn altered<'a>(
    name: &RelationName,
    if_exists: bool,
    scope: &Scope<'a>,
) -> Result<Result<&'a Arc<Relation>, String>, SqlError> {
    match existing(name, scope) {
        Ok(relation) => Ok(Ok(relation)),
        Err(error) if if_exists && matches!(error.sqlstate.as_str(), "42P01" | "3F000") => {
            Ok(Err(format!("relation \"{}\" does not exist, skipping", name.value)))
        }
        Err(error) => Err(error),
    }
}

/// 42P01, where the name stands.
fn missing(name: &RelationName) -> SqlError {
    SqlError::new("42P01", format!("relation \"{name}\" does not exist")).position(name.position)
}

/// 3F000
pub(crate) fn no_schema(name: &str) -> SqlError {
    SqlError::new("3F000", format!("schema \"{name}\" does not exist"))
}

/// 42501: the system's relations can only be read.
fn is_a_catalog(name: &str) -> SqlError {
    SqlError::new("42501", format!("permission denied: \"{name}\" is a system catalog"))
}

/// The schema in which something of this name is created: its own, or the first along the path that there is.
///
/// # Errors
/// 3F000 where there is none; 42501 for one of the system's.
pub(super) fn schema_for(name: &RelationName, scope: &Scope) -> Result<SchemaId, SqlError> {
    let path = scope.parameters.path;
    let schema = match &name.schema {
        Some(schema) => path.schema(schema),
        None => path.named().find(|schema| scope.catalog.has_schema(schema)).ok_or_else(|| {
            SqlError::new("3F000", "no schema has been selected to create in").position(name.position)
        })?,
    };
    if system::Schema::of_name(schema).is_some() {
        let message = format!("permission denied to create \"{schema}.{}\"", name.value);
        return Err(
            SqlError::new("42501", message).detail("System catalog modifications are currently disallowed.")
        );
    }
    let found = scope.catalog.schema_named(schema).map(|schema| schema.id);
    found.ok_or_else(|| no_schema(schema).position(name.position))
}

/// The schema of users of this name.
///
/// # Errors
/// 3F000
pub(super) fn schema(name: &Name, scope: &Scope) -> Result<SchemaId, SqlError> {
    let named = scope.catalog.schema_named(scope.parameters.path.schema(&name.value));
    named.map(|schema| schema.id).ok_or_else(|| no_schema(&name.value))
}

/// The table or view of this name, or 42P01; 42809 for an index, which has no rows of its own.
pub(crate) fn relation<'a>(scope: &Scope<'a>, name: &RelationName) -> Result<&'a Arc<Relation>, SqlError> {
    let found = match scope.lookup(name) {
        Some(Found::Relation(relation)) => relation,
        Some(Found::System(system)) => return Err(is_a_catalog(system.name()).position(name.position)),
        None => return Err(missing(name)),
    };
    rows_of(found, name)
}

/// What has rows.
fn rows_of<'a>(found: &'a Arc<Relation>, name: &RelationName) -> Result<&'a Arc<Relation>, SqlError> {
    match &found.kind {
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. }
        | RelationKind::Sequence(_) => Ok(found),
        RelationKind::Index { .. } => Err(is_an_index(&name.value).position(name.position)),
    }
}

/// 42809: an index where a table or a view is wanted.
pub(crate) fn is_an_index(name: &str) -> SqlError {
    SqlError::new("42809", format!("\"{name}\" is an index"))
}

/// The table of this name; `refusal` is the message where it is a view.
pub(super) fn table<'a>(
    scope: &Scope<'a>,
    name: &RelationName,
    refusal: &str,
) -> Result<&'a Arc<Relation>, SqlError> {
    writable(relation(scope, name)?, name, refusal)
}

/// The same of a statement that is not about rows: 3F000 where there is no such schema.
pub(super) fn whole_table<'a>(
    scope: &Scope<'a>,
    name: &RelationName,
    refusal: &str,
) -> Result<&'a Arc<Relation>, SqlError> {
    writable(rows_of(existing(name, scope)?, name)?, name, refusal)
}

/// What can be written.
fn writable<'a>(
    relation: &'a Arc<Relation>,
    name: &RelationName,
    refusal: &str,
) -> Result<&'a Arc<Relation>, SqlError> {
    match &relation.kind {
        RelationKind::Table { .. } => Ok(relation),
        RelationKind::Index { .. } => Err(is_an_index(&name.value).position(name.position)),
        RelationKind::Sequence(_) => {
            Err(SqlError::new("42809", format!("cannot change sequence \"{}\"", name.value)))
        }
        RelationKind::View { .. } => {
            Err(SqlError::new("55000", format!("{} view \"{}\"", refusal, name.value))
                .hint("Change the tables that it reads."))
        }
        RelationKind::MaterializedView { .. } => {
            Err(SqlError::new("42809", format!("{refusal} \"{}\"", name.value))
                .detail("A materialized view shows the rows of its query.")
                .hint("Change the tables that it reads."))
        }
    }
}

/// The positions of these columns: 42703 for one that is not there, 42701 for one named twice.
pub(super) fn columns(relation: &Relation, names: &[Name]) -> Result<Vec<usize>, SqlError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = relation.columns.iter().position(|column| column.name == name.value) else {
            let message =
                format!("column \"{}\" of relation \"{}\" does not exist", name.value, relation.name);
            return Err(SqlError::new("42703", message).position(name.position));
        };
        if found.contains(&column) {
            let message = format!("column \"{}\" specified more than once", name.value);
            return Err(SqlError::new("42701", message).position(name.position));
        }
        found.push(column);
    }
    Ok(found)
}
