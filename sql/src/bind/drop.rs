//! DROP: which relations and schemas go, and what keeps them.

mod dependants; // what goes with them

use std::sync::Arc;

use millrace_engine::RelationId;

pub(super) use self::dependants::Dependants;
use self::dependants::Object;
use super::{Scope, no_schema, relations};
use crate::bound::Bound;
use crate::catalog::{Generated, Relation, RelationKind, SchemaId};
use crate::error::SqlError;
use crate::statement::{Drop, DropKind, DropSchema, RelationName};
use crate::system;

/// Binds DROP of relations.
pub(super) fn drop(drop: &Drop, scope: &Scope) -> Result<Bound, SqlError> {
    let mut notices = Vec::new();
    let mut targets: Vec<Object> = Vec::new();
    for name in &drop.names {
        match find(drop, name, scope) {
            Ok(Some(relation)) => {
                refuse_constraint(relation.id, scope)?;
                targets.push(Object::Relation(relation.id));
            }
            Ok(None) => notices.push(format!("{}, skipping", missing(drop.kind, name))),
            Err(error) if drop.if_exists && error.sqlstate == "3F000" => {
                notices.push(format!("{}, skipping", error.message));
            }
            Err(error) => return Err(error),
        }
    }
    if drop.concurrently {
        check_concurrent(drop)?;
    }
    let terms = Terms { cascade: drop.cascade, tag: tag(drop.kind), concurrently: drop.concurrently };
    dropped(&targets, terms, notices, scope)
}

/// Binds DROP SCHEMA.
pub(super) fn schemas(drop: &DropSchema, scope: &Scope) -> Result<Bound, SqlError> {
    let mut notices = Vec::new();
    let mut targets: Vec<Object> = Vec::new();
    for name in &drop.names {
        match scope.catalog.schema_named(&name.value) {
            Some(schema) => targets.push(Object::Schema(schema.id)),
            None if system::Schema::of_name(&name.value).is_some() => {
                let message = format!(
                    "cannot drop schema {} because it is required by the database system",
                    name.value
                );
                return Err(SqlError::new("2BP01", message));
            }
            None if drop.if_exists => notices.push(format!("{}, skipping", no_schema(&name.value).message)),
            None => return Err(no_schema(&name.value)),
        }
    }
    let terms = Terms { cascade: drop.cascade, tag: "DROP SCHEMA", concurrently: false };
    dropped(&targets, terms, notices, scope)
}

/// How something is dropped.
struct Terms {
    cascade: bool,
    tag: &'static str,
    concurrently: bool,
}

/// The targets with what goes with them.
fn dropped(
    targets: &[Object],
    terms: Terms,
    mut notices: Vec<String>,
    scope: &Scope,
) -> Result<Bound, SqlError> {
    let Terms { cascade, tag, concurrently } = terms;
    let dependants = Dependants::of(targets, scope);
    let ids = scope.catalog.with_parts(dependants.relations());
    let replaced = without_defaults(&ids, scope)?;
    match cascade {
        true => notices.extend(dependants.notices()),
        false => dependants.refuse()?,
    }
    let schemas: Vec<SchemaId> = targets.iter().filter_map(Object::schema).collect();
    Ok(Bound::Drop { ids, schemas, replaced, tag, concurrently, notices })
}

/// The tables that draw from a sequence that goes, and stay: they lose these defaults.
fn without_defaults(ids: &[RelationId], scope: &Scope) -> Result<Vec<Relation>, SqlError> {
    let catalog = scope.catalog;
    let mut changed: Vec<Relation> = Vec::new();
    for id in ids {
        for (table, column) in catalog.drawing(*id).filter(|(table, _)| !ids.contains(&table.id)) {
            let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
            if drawn.is_some_and(|drawn| drawn.generated != Generated::Default) {
                let sequence =
                    catalog.by_id(*id).map(|sequence| scope.described(sequence)).unwrap_or_default();
                let what = format!("column {} of {}", table.columns[column].name, scope.described(table));
                let message = format!("cannot drop {sequence} because {what} requires it");
                return Err(SqlError::new("2BP01", message).hint(format!("You can drop {what} instead.")));
            }
            let at = changed.iter().position(|other| other.id == table.id).unwrap_or_else(|| {
                changed.push(Relation::clone(table));
                changed.len() - 1
            });
            if let RelationKind::Table { rules, .. } = &mut changed[at].kind {
                rules.drawn.retain(|drawn| drawn.sequence != *id);
                rules.owned.retain(|owned| owned.sequence != *id);
            }
        }
    }
    Ok(changed)
}

/// The index of a constraint goes with the constraint only.
fn refuse_constraint(id: RelationId, scope: &Scope) -> Result<(), SqlError> {
    let Some(index) = scope.catalog.by_id(id) else { return Ok(()) };
    let RelationKind::Index { on, uniqueness, .. } = index.kind else { return Ok(()) };
    if !uniqueness.is_constraint() {
        return Ok(());
    }
    let table = scope.catalog.by_id(on).map(|table| scope.described(table)).unwrap_or_default();
    let constraint = format!("constraint {} on {table}", index.name);
    let message = format!("cannot drop {} because {constraint} requires it", scope.described(index));
    Err(SqlError::new("2BP01", message).hint(format!("You can drop {constraint} instead.")))
}

/// DROP INDEX CONCURRENTLY takes one index and nothing with it, as in PostgreSQL.
fn check_concurrent(drop: &Drop) -> Result<(), SqlError> {
    let what = match () {
        () if drop.names.len() > 1 => "dropping multiple objects",
        () if drop.cascade => "CASCADE",
        () => return Ok(()),
    };
    Err(SqlError::new("0A000", format!("DROP INDEX CONCURRENTLY does not support {what}")))
}

/// The relation of this name if it is of the kind; `None` where IF EXISTS forgives its absence.
fn find<'a>(
    drop: &Drop,
    name: &RelationName,
    scope: &Scope<'a>,
) -> Result<Option<&'a Arc<Relation>>, SqlError> {
    let Some(relation) = relations::find(name, scope)? else {
        return match drop.if_exists {
            true => Ok(None),
            false => Err(SqlError::new(undefined(drop.kind), missing(drop.kind, name))),
        };
    };
    let actual = kind_of(relation);
    if actual == drop.kind {
        return Ok(Some(relation));
    }
    Err(SqlError::new("42809", format!("\"{}\" is not {}", name.value, one(drop.kind))).hint(format!(
        "Use {} to remove {}.",
        tag(actual),
        one(actual)
    )))
}

/// PostgreSQL's SQLSTATE where there is none of this name.
fn undefined(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table | DropKind::View | DropKind::MaterializedView | DropKind::Sequence => "42P01",
        DropKind::Index => "42704",
    }
}

fn missing(kind: DropKind, name: &RelationName) -> String {
    format!("{} \"{}\" does not exist", word(kind), name.value)
}

fn word(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "table",
        DropKind::View => "view",
        DropKind::MaterializedView => "materialized view",
        DropKind::Index => "index",
        DropKind::Sequence => "sequence",
    }
}

/// The kind by which a relation is dropped.
pub(super) fn kind_of(relation: &Relation) -> DropKind {
    match relation.kind {
        RelationKind::Table { .. } => DropKind::Table,
        RelationKind::View { .. } => DropKind::View,
        RelationKind::MaterializedView { .. } => DropKind::MaterializedView,
        RelationKind::Index { .. } => DropKind::Index,
        RelationKind::Sequence(_) => DropKind::Sequence,
    }
}

/// The word with its article.
pub(super) fn one(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "a table",
        DropKind::View => "a view",
        DropKind::MaterializedView => "a materialized view",
        DropKind::Index => "an index",
        DropKind::Sequence => "a sequence",
    }
}

fn tag(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "DROP TABLE",
        DropKind::View => "DROP VIEW",
        DropKind::MaterializedView => "DROP MATERIALIZED VIEW",
        DropKind::Index => "DROP INDEX",
        DropKind::Sequence => "DROP SEQUENCE",
    }
}
