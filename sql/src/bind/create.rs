//! CREATE VIEW and CREATE MATERIALIZED VIEW; and what all CREATEs share.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_engine::{RelationId, Tick};

use super::{Scope, relations};
use crate::bound::{Bound, Create, Terms};
use crate::catalog::{Column, Known, Relation, RelationKind, SchemaId};
use crate::error::SqlError;
use crate::query::Query;
use crate::query::types::display;
use crate::statement::{CreateView, Name, RelationName, ViewKind};
use crate::system::SystemRelation;
use crate::temporary::{is_temporary, is_temporary_schema};

/// As many columns as PostgreSQL's tables can have.
const COLUMNS_MAX: usize = 1_600;

/// Given at commit.
pub(super) const ID_LATER: RelationId = RelationId(0);
pub(super) const CREATED_LATER: Tick = 0;

/// Binds CREATE VIEW and CREATE MATERIALIZED VIEW.
pub(super) fn view(create: &CreateView, scope: &Scope) -> Result<Bound, SqlError> {
    let mut schema = relations::schema_for(&create.name, scope)?;
    let query = scope.plan_view(&create.query)?;
    let columns = named(query.columns(), &create.columns)?;
    let sql = create.sql.clone();
    let mut terms = terms(create.if_not_exists);
    let over_temporary = query
        .named()
        .iter()
        .filter_map(|id| scope.catalog.by_id(*id))
        .find(|named| is_temporary(scope.catalog, named));
    match create.kind {
        ViewKind::Plain { or_replace } => {
            if let Some(named) = over_temporary
                && !is_temporary_schema(scope.catalog.schema(schema).map_or("", |schema| &schema.name))
            {
                schema = named.schema;
                terms.becomes_temporary = true;
            }
            refuse_system_relations(&query)?;
            let reads = query.named().iter().copied().collect();
            let kind = RelationKind::View { sql, reads, known: Some(known(&query, scope)) };
            match scope.catalog.in_schema(schema, &create.name.value).filter(|_| or_replace) {
                Some(replaced) => replaces(replaced, columns, kind, scope),
                None => created_in(schema, &create.name.value, terms, columns, kind, scope),
            }
        }
        ViewKind::Materialized(_) if over_temporary.is_some() => {
            Err(SqlError::new("0A000", "materialized views must not use temporary tables or views")
                .hint("Use CREATE TABLE without TEMP, or CREATE VIEW."))
        }
        ViewKind::Materialized(options) => {
            let plan = query.lower()?;
            let is_plain = |id: &RelationId| {
                scope.catalog.by_id(*id).is_some_and(|named| matches!(named.kind, RelationKind::View { .. }))
            };
            let through = query.named().iter().copied().filter(is_plain).collect();
            let known = Some(known(&query, scope));
            let kind = RelationKind::MaterializedView { sql, plan, options, through, known };
            created_in(schema, &create.name.value, terms, columns, kind, scope)
        }
    }
}

/// The relations that a view's text names, as they are called now.
fn known(query: &Query, scope: &Scope) -> Vec<Known> {
    let (catalog, path) = (scope.catalog, scope.parameters.path);
    let named = query.named().iter().filter_map(|id| catalog.by_id(*id));
    let known = |relation: &Arc<Relation>| {
        Known::now(relation, catalog.schema_of(relation), catalog.is_visible(relation, path))
    };
    named.map(known).collect()
}

/// A view's text means the same for ever; of what the server tells of itself only today's form is known.
fn refuse_system_relations(query: &Query) -> Result<(), SqlError> {
    match query.relations().into_iter().find_map(SystemRelation::of_id) {
        Some(system) => {
            let schema = system.schema().name();
            Err(SqlError::unsupported(format_args!("a view over a relation of the schema {schema}")))
        }
        None => Ok(()),
    }
}

/// CREATE OR REPLACE VIEW, where there is something of this name: a view whose columns stay, others may follow.
fn replaces(
    replaced: &Arc<Relation>,
    columns: Vec<Column>,
    kind: RelationKind,
    scope: &Scope,
) -> Result<Bound, SqlError> {
    let catalog = scope.catalog;
    if !matches!(replaced.kind, RelationKind::View { .. }) {
        return Err(SqlError::new("42809", format!("\"{}\" is not a view", replaced.name)));
    }
    if columns.len() < replaced.columns.len() {
        return Err(SqlError::new("42P16", "cannot drop columns from view"));
    }
    for (old, new) in replaced.columns.iter().zip(&columns) {
        check_replaced(old, new)?;
    }
    let dependants = catalog.dependants(replaced.id);
    let kept =
        dependants.iter().filter_map(|id| catalog.by_id(*id)).find(|relation| relation.is_maintained());
    if let Some(kept) = kept {
        return Err(SqlError::unsupported(format_args!(
            "replacing view {}, of which {} is maintained",
            replaced.name,
            scope.described(kept)
        ))
        .hint("Drop the materialized view first, and create it again."));
    }
    Ok(Bound::Replace { relation: Relation { columns, kind, ..Relation::clone(replaced) } })
}

/// A column that readers of the view know has to stay what it is.
fn check_replaced(old: &Column, new: &Column) -> Result<(), SqlError> {
    if old.name != new.name {
        let message = format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name);
        return Err(SqlError::new("42P16", message)
            .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
    }
    if old.data_type != new.data_type {
        let (from, to) = (display(old.data_type), display(new.data_type));
        let message = format!("cannot change data type of view column \"{}\" from {from} to {to}", old.name);
        return Err(SqlError::new("42P16", message));
    }
    Ok(())
}

pub(super) fn terms(if_not_exists: bool) -> Terms {
    Terms { if_not_exists, ..Terms::default() }
}

/// A new relation of this name.
pub(super) fn created(
    name: &RelationName,
    terms: Terms,
    columns: Vec<Column>,
    kind: RelationKind,
    scope: &Scope,
) -> Result<Bound, SqlError> {
    created_in(relations::schema_for(name, scope)?, &name.value, terms, columns, kind, scope)
}

/// A new relation of this name in a schema.
pub(super) fn created_in(
    schema: SchemaId,
    name: &str,
    terms: Terms,
    columns: Vec<Column>,
    kind: RelationKind,
    scope: &Scope,
) -> Result<Bound, SqlError> {
    if !terms.if_not_exists && scope.catalog.in_schema(schema, name).is_some() {
        return Err(SqlError::new("42P07", format!("relation \"{name}\" already exists")));
    }
    if columns.len() > COLUMNS_MAX {
        return Err(SqlError::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
    }
    let (id, name, created) = (ID_LATER, name.to_owned(), CREATED_LATER);
    let relation = Relation { id, name, schema, columns, kind, created };
    Ok(Bound::Create(Create {
        relation,
        sequences: Vec::new(),
        indexes: Vec::new(),
        duplicates: None,
        terms,
    }))
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
        None => error.hint("Name the columns with AS, or in parentheses after its name."),
    }
}
