//! Changes of the catalog at commit: provisional ids become final, and the changes are tried on
//! the newest catalog, so that nothing is logged that would not apply.

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::{RelationId, Tick};
use millrace_sql::{Catalog, CatalogChange, Relation, RelationKind, SchemaChange, SchemaId, SqlError};

use super::commit::conflict;
use super::request::Write;

/// A change of the catalog that applies.
pub(crate) struct Resolved {
    /// The catalog after it.
    pub(crate) catalog: Catalog,
    /// The changes, final ids in place.
    pub(crate) changes: Vec<CatalogChange>,
    /// The writes, final ids in place.
    pub(crate) writes: Vec<Write>,
}

/// Gives ids and the tick of creation, and applies the changes to a copy of the catalog.
///
/// # Errors
/// 42P07 for a name taken meanwhile, 2BP01 for a drop that would leave a new dependant behind;
/// 40001 where what is read or dropped is gone: bound again, the statement gives the right error.
pub(crate) fn resolve(
    catalog: &Catalog,
    changes: Vec<CatalogChange>,
    mut writes: Vec<Write>,
    bound: Tick,
    tick: Tick,
) -> Result<Resolved, SqlError> {
    let mut catalog = catalog.clone();
    let mut final_ids = BTreeMap::new();
    let mut resolved = Vec::with_capacity(changes.len());
    for change in changes {
        let change = resolve_change(&catalog, change, &mut final_ids, tick)?;
        if let CatalogChange::Replace(relation) = &change {
            check_replaced(&catalog, relation, bound, tick)?;
        }
        let change = altered(&catalog, change, tick);
        catalog.apply(&change)?;
        resolved.push(change);
    }
    for write in &mut writes {
        write.relation = final_id(&final_ids, write.relation);
        write.keys.iter_mut().for_each(|keys| keys.index = final_id(&final_ids, keys.index));
    }
    Ok(Resolved { catalog, changes: resolved, writes })
}

fn resolve_change(
    catalog: &Catalog,
    change: CatalogChange,
    final_ids: &mut BTreeMap<RelationId, RelationId>,
    tick: Tick,
) -> Result<CatalogChange, SqlError> {
    match change {
        CatalogChange::Create(mut relation) => {
            let id = catalog.next_id();
            final_ids.insert(relation.id, id);
            relation.id = id;
            relation.schema = schema_left(catalog, relation.schema, final_ids)?;
            relation.created = tick;
            resolve_plan(catalog, &mut relation, final_ids)?;
            Ok(CatalogChange::Create(relation))
        }
        CatalogChange::Drop(ids) => {
            // Indexes that were created since the statement was bound go with their relations.
            let ids = catalog.with_parts(ids.into_iter().map(|id| final_id(final_ids, id)));
            if ids.iter().any(|id| catalog.by_id(*id).is_none()) {
                return Err(conflict());
            }
            Ok(CatalogChange::Drop(ids))
        }
        CatalogChange::Comment { relation, column, text } => {
            let relation = final_id(final_ids, relation);
            catalog.by_id(relation).ok_or_else(conflict)?;
            Ok(CatalogChange::Comment { relation, column, text })
        }
        CatalogChange::Schema(id, change) => resolve_schema(catalog, id, change, final_ids),
        CatalogChange::Move(id, position) => {
            let id = final_id(final_ids, id);
            catalog.sequence(id).ok_or_else(conflict)?;
            Ok(CatalogChange::Move(id, position))
        }
        CatalogChange::Replace(mut relation) => {
            relation.id = final_id(final_ids, relation.id);
            relation.schema = schema_left(catalog, relation.schema, final_ids)?;
            resolve_plan(catalog, &mut relation, final_ids)?;
            Ok(CatalogChange::Replace(relation))
        }
    }
}

/// A schema that is still there.
fn schema_left(
    catalog: &Catalog,
    schema: SchemaId,
    final_ids: &BTreeMap<RelationId, RelationId>,
) -> Result<SchemaId, SqlError> {
    let schema = SchemaId(final_id(final_ids, RelationId(schema.0)).0);
    if catalog.schema(schema).is_some() { Ok(schema) } else { Err(conflict()) }
}

/// A change of a schema: where somebody was faster, the statement is bound again and says so in its own words.
fn resolve_schema(
    catalog: &Catalog,
    id: SchemaId,
    change: SchemaChange,
    final_ids: &mut BTreeMap<RelationId, RelationId>,
) -> Result<CatalogChange, SqlError> {
    let is_taken = |name: &str| catalog.schema_named(name).is_some();
    let id = match &change {
        SchemaChange::Create(name) if is_taken(name) => return Err(conflict()),
        SchemaChange::Create(_) => {
            final_ids.insert(RelationId(id.0), catalog.next_id());
            SchemaId(catalog.next_id().0)
        }
        SchemaChange::Drop | SchemaChange::Rename(_) | SchemaChange::Comment(_) => {
            schema_left(catalog, id, final_ids)?
        }
    };
    let has_gained = |id| catalog.schema(id).is_some_and(|schema| !schema.relations().is_empty());
    match &change {
        SchemaChange::Drop if has_gained(id) => return Err(conflict()),
        SchemaChange::Rename(name) if is_taken(name) => return Err(conflict()),
        SchemaChange::Create(_) | SchemaChange::Drop | SchemaChange::Rename(_) | SchemaChange::Comment(_) => {
        }
    }
    Ok(CatalogChange::Schema(id, change))
}

/// What takes the place of a relation was made of it as it was when the statement was bound: what has changed since
/// would be taken back. What the same transaction has done before, at `tick`, the statement knew.
fn check_replaced(catalog: &Catalog, relation: &Relation, bound: Tick, tick: Tick) -> Result<(), SqlError> {
    let Some(rules) = relation.rules() else { return Ok(()) };
    let current = catalog.by_id(relation.id).and_then(|current| current.rules()).ok_or_else(conflict)?;
    let is_known = current.altered == rules.altered || current.altered == tick;
    let mut others = catalog.relations().filter(|other| bound < other.created && other.created != tick);
    let has_readers = others.any(|other| other.reads().contains(&relation.id));
    if is_known && !has_readers { Ok(()) } else { Err(conflict()) }
}

/// What the commit path knows better than the statement: when a table was altered, and how far a sequence is.
fn altered(catalog: &Catalog, change: CatalogChange, tick: Tick) -> CatalogChange {
    let CatalogChange::Replace(mut relation) = change else { return change };
    match &mut relation.kind {
        RelationKind::Table { rules, .. } => rules.altered = tick,
        RelationKind::Sequence(sequence) => {
            if let Some(current) = catalog.sequence(relation.id) {
                sequence.position = current.position;
            }
        }
        RelationKind::View { .. } | RelationKind::MaterializedView { .. } | RelationKind::Index { .. } => {}
    }
    CatalogChange::Replace(relation)
}

/// A view's plan and an index name final ids of relations that still exist.
fn resolve_plan(
    catalog: &Catalog,
    relation: &mut Relation,
    final_ids: &BTreeMap<RelationId, RelationId>,
) -> Result<(), SqlError> {
    match &mut relation.kind {
        RelationKind::Sequence(_) => Ok(()),
        RelationKind::Table { rules, .. } => {
            rules.drawn.iter_mut().for_each(|drawn| drawn.sequence = final_id(final_ids, drawn.sequence));
            rules.owned.iter_mut().for_each(|owned| owned.sequence = final_id(final_ids, owned.sequence));
            let drawn: Vec<RelationId> = rules.drawn.iter().map(|drawn| drawn.sequence).collect();
            all_exist(catalog, &drawn)
        }
        RelationKind::View { reads, known, .. } => {
            known.iter_mut().flatten().for_each(|known| known.id = final_id(final_ids, known.id));
            reads.iter_mut().for_each(|id| *id = final_id(final_ids, *id));
            all_exist(catalog, reads)
        }
        RelationKind::Index { on, columns, .. } => {
            *on = final_id(final_ids, *on);
            // The relation may have got columns since.
            let fits = catalog.by_id(*on).is_some_and(|relation| relation.types() == *columns);
            if fits { Ok(()) } else { Err(conflict()) }
        }
        RelationKind::MaterializedView { plan, through, known, .. } => {
            known.iter_mut().flatten().for_each(|known| known.id = final_id(final_ids, known.id));
            *plan = plan.map_relations(|id| final_id(final_ids, id));
            through.iter_mut().for_each(|id| *id = final_id(final_ids, *id));
            all_exist(catalog, &plan.relations())?;
            all_exist(catalog, through)
        }
    }
}

fn all_exist(catalog: &Catalog, ids: &[RelationId]) -> Result<(), SqlError> {
    let exists = |id: &RelationId| catalog.by_id(*id).is_some();
    if ids.iter().all(exists) { Ok(()) } else { Err(conflict()) }
}

fn final_id(final_ids: &BTreeMap<RelationId, RelationId>, id: RelationId) -> RelationId {
    final_ids.get(&id).copied().unwrap_or(id)
}

/// The tables that these relations are made of, themselves included; `None` where one is gone.
pub(crate) fn tables_below(
    catalog: &Catalog,
    relations: &BTreeSet<RelationId>,
) -> Option<BTreeSet<RelationId>> {
    let mut tables = BTreeSet::new();
    let mut open: Vec<RelationId> = relations.iter().copied().collect();
    let mut seen = relations.clone();
    while let Some(id) = open.pop() {
        let relation = catalog.by_id(id)?;
        match &relation.kind {
            RelationKind::Table { .. } => {
                tables.insert(id);
            }
            RelationKind::Sequence(_) => {}
            RelationKind::Index { on, .. } => open.extend(seen.insert(*on).then_some(*on)),
            RelationKind::View { .. } | RelationKind::MaterializedView { .. } => {
                open.extend(relation.reads().into_iter().filter(|input| seen.insert(*input)));
            }
        }
    }
    Some(tables)
}
