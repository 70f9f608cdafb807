//! DROP: which relations go, and what keeps them.

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_engine::RelationId;

use super::Scope;
use crate::bound::Bound;
use crate::catalog::{Catalog, Generated, Relation, RelationKind};
use crate::error::SqlError;
use crate::statement::{Drop, DropKind, Name};

/// Binds DROP.
pub(super) fn drop(drop: &Drop, scope: &Scope) -> Result<Bound, SqlError> {
    let mut notices = Vec::new();
    let mut named: BTreeSet<RelationId> = BTreeSet::new();
    for name in &drop.names {
        match find(drop, name, scope.catalog)? {
            Some(relation) => {
                named.insert(relation.id);
            }
            None => notices.push(format!("{}, skipping", missing(drop.kind, name))),
        }
    }
    named.iter().try_for_each(|id| refuse_constraint(*id, scope.catalog))?;
    if drop.concurrently {
        check_concurrent(drop)?;
    }
    let dependants = dependants(&named, scope.catalog);
    if !drop.cascade {
        refuse_dependants(&named, &dependants, scope.catalog)?;
    }
    let described = dependants.iter().rev().map(|id| describe(*id, scope.catalog));
    notices.extend(described.map(|what| format!("drop cascades to {what}")));
    let ids = scope.catalog.with_parts(named.union(&dependants).copied());
    let replaced = without_defaults(drop, &ids, &mut notices, scope.catalog)?;
    Ok(Bound::Drop { ids, replaced, tag: tag(drop.kind), concurrently: drop.concurrently, notices })
}

/// The tables that draw from a sequence that goes, and stay: with CASCADE they lose these defaults.
fn without_defaults(
    drop: &Drop,
    ids: &[RelationId],
    notices: &mut Vec<String>,
    catalog: &Catalog,
) -> Result<Vec<Relation>, SqlError> {
    let mut changed: Vec<Relation> = Vec::new();
    for id in ids {
        for (table, column) in catalog.drawing(*id).filter(|(table, _)| !ids.contains(&table.id)) {
            let column_name = &table.columns[column].name;
            let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
            if drawn.is_some_and(|drawn| drawn.generated != Generated::Default) {
                let (table_name, sequence) = (&table.name, describe(*id, catalog));
                let what = format!("column {column_name} of table {table_name}");
                let message = format!("cannot drop {sequence} because {what} requires it");
                return Err(SqlError::new("2BP01", message).hint(format!("You can drop {what} instead.")));
            }
            let default = format!("default value for column {column_name} of table {}", table.name);
            if !drop.cascade {
                let sequence = describe(*id, catalog);
                let message = format!("cannot drop {sequence} because other objects depend on it");
                return Err(SqlError::new("2BP01", message)
                    .detail(format!("{default} depends on {sequence}"))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            notices.push(format!("drop cascades to {default}"));
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
fn refuse_constraint(id: RelationId, catalog: &Catalog) -> Result<(), SqlError> {
    let Some(index) = catalog.by_id(id) else { return Ok(()) };
    let RelationKind::Index { on, uniqueness, .. } = index.kind else { return Ok(()) };
    if !uniqueness.is_constraint() {
        return Ok(());
    }
    let (name, table) = (&index.name, catalog.by_id(on).map(|table| table.name.as_str()).unwrap_or_default());
    let message = format!("cannot drop index {name} because constraint {name} on table {table} requires it");
    Err(SqlError::new("2BP01", message)
        .hint(format!("You can drop constraint {name} on table {table} instead.")))
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
fn find<'a>(drop: &Drop, name: &Name, catalog: &'a Catalog) -> Result<Option<&'a Arc<Relation>>, SqlError> {
    let Some(relation) = catalog.get(&name.value) else {
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

fn missing(kind: DropKind, name: &Name) -> String {
    format!("{} \"{}\" does not exist", word(kind), name.value)
}

/// The views that read these relations and are not among them.
fn dependants(named: &BTreeSet<RelationId>, catalog: &Catalog) -> BTreeSet<RelationId> {
    let all = named.iter().flat_map(|id| catalog.dependants(*id));
    all.filter(|id| !named.contains(id)).collect()
}

fn refuse_dependants(
    named: &BTreeSet<RelationId>,
    dependants: &BTreeSet<RelationId>,
    catalog: &Catalog,
) -> Result<(), SqlError> {
    if dependants.is_empty() {
        return Ok(());
    }
    let message = match named.first().filter(|_| named.len() == 1) {
        Some(id) => format!("cannot drop {} because other objects depend on it", describe(*id, catalog)),
        None => "cannot drop desired object(s) because other objects depend on them".to_owned(),
    };
    let detail: Vec<String> =
        dependants.iter().map(|id| dependence(*id, named, dependants, catalog)).collect();
    Err(SqlError::new("2BP01", message)
        .detail(detail.join("\n"))
        .hint("Use DROP ... CASCADE to drop the dependent objects too."))
}

/// `materialized view v depends on table t`: the direct reason why a view would go.
pub(super) fn dependence(
    view: RelationId,
    named: &BTreeSet<RelationId>,
    dependants: &BTreeSet<RelationId>,
    catalog: &Catalog,
) -> String {
    let read = catalog.by_id(view).map(|relation| relation.reads()).unwrap_or_default();
    let reason = read.into_iter().find(|id| named.contains(id) || dependants.contains(id));
    let reason = reason.map_or_else(String::new, |id| describe(id, catalog));
    format!("{} depends on {reason}", describe(view, catalog))
}

/// A relation with its kind, as PostgreSQL's messages name it.
fn describe(id: RelationId, catalog: &Catalog) -> String {
    catalog.by_id(id).map_or_else(|| format!("relation {id}"), |relation| relation.described())
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
