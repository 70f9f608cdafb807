//! What goes with what is dropped: a walk over what depends on it, told in PostgreSQL's order.
//!
//! Each object is visited once, the youngest of several dependants first, and noted behind its own dependants; told
//! is the reverse. Indexes and the sequences of columns go in silence.

use std::collections::BTreeSet;

use millrace_engine::RelationId;

use crate::bind::Scope;
use crate::catalog::{Relation, RelationKind, SchemaId};
use crate::error::SqlError;

/// What can be dropped, or change by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Schema(SchemaId),
    Relation(RelationId),
    /// The default of a column: the table, and the column's place.
    Default(RelationId, usize),
    /// A column of a table.
    Column(RelationId, usize),
}

impl Object {
    pub(super) fn schema(&self) -> Option<SchemaId> {
        match self {
            Object::Schema(id) => Some(*id),
            Object::Relation(_) | Object::Default(..) | Object::Column(..) => None,
        }
    }
}

/// What depends on some objects.
pub(in crate::bind) struct Dependants<'s> {
    scope: &'s Scope<'s>,
    targets: Vec<Object>,
    /// The views that read the column that goes.
    readers: BTreeSet<RelationId>,
    seen: BTreeSet<Object>,
    /// Each behind its own dependants, with what it was found by.
    found: Vec<(Object, Option<Object>)>,
}

impl<'s> Dependants<'s> {
    pub(super) fn of(targets: &[Object], scope: &'s Scope<'s>) -> Dependants<'s> {
        Dependants::with_readers(targets, BTreeSet::new(), scope)
    }

    /// What depends on a column of a table, which these views read.
    pub(in crate::bind) fn of_column(
        table: RelationId,
        column: usize,
        readers: BTreeSet<RelationId>,
        scope: &'s Scope<'s>,
    ) -> Dependants<'s> {
        Dependants::with_readers(&[Object::Column(table, column)], readers, scope)
    }

    fn with_readers(
        targets: &[Object],
        readers: BTreeSet<RelationId>,
        scope: &'s Scope<'s>,
    ) -> Dependants<'s> {
        let (seen, found) = (BTreeSet::new(), Vec::new());
        let mut dependants = Dependants { scope, targets: targets.to_vec(), readers, seen, found };
        targets.iter().for_each(|target| dependants.visit(*target, None));
        // What depends on one target may be another.
        for (object, by) in &mut dependants.found {
            *by = by.filter(|_| !targets.contains(object));
        }
        dependants.found.reverse();
        dependants
    }

    fn visit(&mut self, object: Object, by: Option<Object>) {
        if !self.seen.insert(object) {
            return;
        }
        for dependant in self.direct(object) {
            self.visit(dependant, Some(object));
        }
        self.found.push((object, by));
    }

    /// What depends on an object by itself, the youngest first.
    fn direct(&self, object: Object) -> Vec<Object> {
        let catalog = self.scope.catalog;
        match object {
            Object::Schema(id) => {
                let ids = catalog.schema(id).map(|schema| schema.relations()).unwrap_or_default();
                let is_own = |id: &RelationId| {
                    catalog
                        .by_id(*id)
                        .is_some_and(|relation| !matches!(relation.kind, RelationKind::Index { .. }))
                };
                ids.into_iter().rev().filter(is_own).map(Object::Relation).collect()
            }
            Object::Relation(id) => {
                let mut relations: BTreeSet<RelationId> = catalog
                    .relations()
                    .filter(|relation| relation.names().contains(&id))
                    .map(|relation| relation.id)
                    .collect();
                relations.extend(catalog.with_parts([id]).into_iter().filter(|part| *part != id));
                let defaults = catalog.drawing(id).map(|(table, column)| Object::Default(table.id, column));
                defaults.chain(relations.into_iter().rev().map(Object::Relation)).collect()
            }
            Object::Column(..) => self.readers.iter().rev().copied().map(Object::Relation).collect(),
            Object::Default(..) => Vec::new(),
        }
    }

    /// The relations that go, the targets among them.
    pub(in crate::bind) fn relations(&self) -> impl Iterator<Item = RelationId> {
        self.found.iter().filter_map(|(object, _)| match object {
            Object::Relation(id) => Some(*id),
            Object::Schema(_) | Object::Default(..) | Object::Column(..) => None,
        })
    }

    /// What is told of, with what it depends on.
    fn told(&self) -> impl Iterator<Item = (Object, Object)> {
        let catalog = self.scope.catalog;
        let goes_alone = |object: Object| match object {
            Object::Schema(_) | Object::Column(..) => true,
            Object::Relation(id) => catalog.by_id(id).is_some_and(|relation| match relation.kind {
                RelationKind::Index { .. } => false,
                RelationKind::Sequence(_) => catalog.owner(id).is_none(),
                RelationKind::Table { .. }
                | RelationKind::View { .. }
                | RelationKind::MaterializedView { .. } => true,
            }),
            Object::Default(table, _) => !self.seen.contains(&Object::Relation(table)),
        };
        let told = self.found.iter().filter(move |(object, _)| goes_alone(*object));
        told.filter_map(|(object, by)| Some((*object, (*by)?)))
    }

    /// The notices of CASCADE.
    pub(in crate::bind) fn notices(&self) -> Vec<String> {
        self.told().map(|(object, _)| format!("drop cascades to {}", self.described(object))).collect()
    }

    /// 2BP01 where something depends on the targets.
    pub(in crate::bind) fn refuse(&self) -> Result<(), SqlError> {
        let line = |(object, by)| format!("{} depends on {}", self.described(object), self.described(by));
        let lines: Vec<String> = self.told().map(line).collect();
        if lines.is_empty() {
            return Ok(());
        }
        let message = match self.targets.as_slice() {
            [one] => format!("cannot drop {} because other objects depend on it", self.described(*one)),
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        Err(SqlError::new("2BP01", message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }

    /// An object with its kind, as PostgreSQL's messages name it.
    fn described(&self, object: Object) -> String {
        let catalog = self.scope.catalog;
        let relation = |id: RelationId, describe: &dyn Fn(&Relation) -> String| {
            catalog.by_id(id).map_or_else(|| format!("relation {id}"), |relation| describe(relation))
        };
        match object {
            Object::Schema(id) => {
                format!("schema {}", catalog.schema(id).map_or("", |schema| schema.name.as_str()))
            }
            Object::Relation(id) => relation(id, &|relation| self.scope.described(relation)),
            Object::Default(table, column) => relation(table, &|table| {
                let name = &table.columns[column].name;
                format!("default value for column {name} of {}", self.scope.described(table))
            }),
            Object::Column(table, column) => relation(table, &|table| {
                format!("column {} of {}", table.columns[column].name, self.scope.described(table))
            }),
        }
    }
}
