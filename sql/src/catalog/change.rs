//! How the catalog changes.

use std::sync::Arc;

use millrace_engine::RelationId;
use serde::{Deserialize, Serialize};

use super::{Catalog, PUBLIC_PATH, Relation, RelationKind, SchemaId, UserSchema};
use crate::error::SqlError;
use crate::sequence::Position;

/// One change of the catalog, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogChange {
    /// CREATE. The id and `created` are assigned by the coordinator at commit.
    Create(Relation),
    /// DROP of these relations, dependants first.
    Drop(Vec<RelationId>),
    /// A relation in the place of the one with its id: CREATE OR REPLACE VIEW, ALTER.
    Replace(Relation),
    /// COMMENT ON a relation, or a column of it; no text: the comment goes.
    Comment {
        /// The relation.
        relation: RelationId,
        /// The column's place.
        column: Option<usize>,
        /// The comment.
        text: Option<String>,
    },
    /// A sequence is this far: values up to here were set aside, or it was moved.
    Move(RelationId, Position),
    /// A change of a schema.
    Schema(SchemaId, SchemaChange),
}

/// What becomes of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchemaChange {
    /// CREATE SCHEMA of this name. The id is assigned by the coordinator at commit.
    Create(String),
    /// DROP SCHEMA of one that is empty by then.
    Drop,
    /// ALTER SCHEMA … RENAME TO.
    Rename(String),
    /// COMMENT ON SCHEMA; no text: the comment goes.
    Comment(Option<String>),
}

impl CatalogChange {
    /// Whether it changes what there is, and not only how far a sequence is or what is said of something.
    pub fn is_structural(&self) -> bool {
        match self {
            CatalogChange::Create(_) | CatalogChange::Drop(_) | CatalogChange::Replace(_) => true,
            CatalogChange::Schema(..) | CatalogChange::Comment { .. } | CatalogChange::Move(..) => false,
        }
    }

    /// The id that what it creates has until it is run, or committed.
    pub fn created(&self) -> Option<RelationId> {
        match self {
            CatalogChange::Create(relation) => Some(relation.id),
            CatalogChange::Schema(schema, SchemaChange::Create(_)) => Some(RelationId(schema.0)),
            CatalogChange::Drop(_)
            | CatalogChange::Replace(_)
            | CatalogChange::Schema(..)
            | CatalogChange::Comment { .. }
            | CatalogChange::Move(..) => None,
        }
    }

    /// The same with other ids for relations and schemas.
    #[must_use]
    pub fn renumbered(mut self, id_of: impl Fn(RelationId) -> RelationId) -> CatalogChange {
        let schema_of = |schema: SchemaId| SchemaId(id_of(RelationId(schema.0)).0);
        match &mut self {
            CatalogChange::Create(relation) | CatalogChange::Replace(relation) => {
                relation.id = id_of(relation.id);
                relation.schema = schema_of(relation.schema);
                if let RelationKind::Table { rules, .. } = &mut relation.kind {
                    rules.drawn.iter_mut().for_each(|drawn| drawn.sequence = id_of(drawn.sequence));
                    rules.owned.iter_mut().for_each(|owned| owned.sequence = id_of(owned.sequence));
                }
            }
            CatalogChange::Drop(ids) => ids.iter_mut().for_each(|id| *id = id_of(*id)),
            CatalogChange::Comment { relation, .. } => *relation = id_of(*relation),
            CatalogChange::Move(id, _) => *id = id_of(*id),
            CatalogChange::Schema(schema, _) => *schema = schema_of(*schema),
        }
        self
    }
}

impl Catalog {
    /// Applies a change; on an error nothing is changed.
    ///
    /// # Errors
    /// 42P07 and 42P06 for a name that is taken, 42P01 and 3F000 for an id that does not exist, 2BP01 for a drop that
    /// would leave a dependant or an index behind.
    pub fn apply(&mut self, change: &CatalogChange) -> Result<(), SqlError> {
        match change {
            CatalogChange::Create(relation) => self.add(relation),
            CatalogChange::Drop(ids) => {
                ids.iter().try_for_each(|id| self.check_dropped(*id, ids))?;
                self.comments.retain(|(relation, _), _| !ids.contains(relation));
                for id in ids {
                    if let Some(relation) = self.by_id.remove(id) {
                        self.forget_name(&relation);
                    }
                }
                Ok(())
            }
            CatalogChange::Replace(relation) => self.replace(relation),
            CatalogChange::Comment { relation, column, text } => {
                self.by_id.get(relation).ok_or_else(|| gone(*relation))?;
                match text {
                    Some(text) => drop(self.comments.insert((*relation, *column), text.clone())),
                    None => drop(self.comments.remove(&(*relation, *column))),
                }
                Ok(())
            }
            CatalogChange::Move(id, position) => {
                let moved = self.by_id.get_mut(id).ok_or_else(|| gone(*id))?;
                if let RelationKind::Sequence(sequence) = &mut Arc::make_mut(moved).kind {
                    sequence.position = *position;
                }
                Ok(())
            }
            CatalogChange::Schema(id, change) => self.apply_to_schema(*id, change),
        }
    }

    fn apply_to_schema(&mut self, id: SchemaId, change: &SchemaChange) -> Result<(), SqlError> {
        match change {
            SchemaChange::Create(name) => {
                self.check_schema_name(name)?;
                self.next_id = self.next_id.max(id.0 + 1);
                self.schema_names.insert(name.clone(), id);
                self.schemas.insert(id, Arc::new(UserSchema::new(id, name)));
                Ok(())
            }
            SchemaChange::Drop => self.drop_schema(id),
            SchemaChange::Rename(name) => self.rename_schema(id, name),
            SchemaChange::Comment(text) => {
                let schema = self.schemas.get_mut(&id).ok_or_else(|| no_schema(id))?;
                Arc::make_mut(schema).comment.clone_from(text);
                Ok(())
            }
        }
    }

    fn drop_schema(&mut self, id: SchemaId) -> Result<(), SqlError> {
        let schema = self.schema(id).ok_or_else(|| no_schema(id))?;
        if let Some(left) = schema.relations.values().find_map(|id| self.by_id(*id)) {
            let (schema, left) = (&schema.name, self.described(left, &PUBLIC_PATH));
            let message = format!("cannot drop schema {schema} because other objects depend on it");
            let detail = format!("{left} depends on schema {schema}");
            return Err(SqlError::new("2BP01", message).detail(detail));
        }
        if let Some(schema) = self.schemas.remove(&id) {
            self.schema_names.remove(&schema.name);
        }
        Ok(())
    }

    fn rename_schema(&mut self, id: SchemaId, name: &str) -> Result<(), SqlError> {
        if self.schema_names.get(name) != Some(&id) {
            self.check_schema_name(name)?;
        }
        let schema = self.schemas.get_mut(&id).ok_or_else(|| no_schema(id))?;
        self.schema_names.remove(&schema.name);
        name.clone_into(&mut Arc::make_mut(schema).name);
        self.schema_names.insert(name.to_owned(), id);
        Ok(())
    }

    /// 42P06 where there is a schema of this name.
    fn check_schema_name(&self, name: &str) -> Result<(), SqlError> {
        match self.has_schema(name) {
            true => Err(SqlError::new("42P06", format!("schema \"{name}\" already exists"))),
            false => Ok(()),
        }
    }

    fn add(&mut self, relation: &Relation) -> Result<(), SqlError> {
        self.remember_name(relation)?;
        self.next_id = self.next_id.max(relation.id.0 + 1);
        self.by_id.insert(relation.id, Arc::new(relation.clone()));
        Ok(())
    }

    /// Puts a relation into its schema.
    fn remember_name(&mut self, relation: &Relation) -> Result<(), SqlError> {
        let schema = self.schemas.get_mut(&relation.schema).ok_or_else(|| no_schema(relation.schema))?;
        match schema.relations.get(&relation.name) {
            Some(other) if *other != relation.id => {
                Err(SqlError::new("42P07", format!("relation \"{}\" already exists", relation.name)))
            }
            Some(_) => Ok(()),
            None => {
                Arc::make_mut(schema).relations.insert(relation.name.clone(), relation.id);
                Ok(())
            }
        }
    }

    fn forget_name(&mut self, relation: &Relation) {
        if let Some(schema) = self.schemas.get_mut(&relation.schema) {
            Arc::make_mut(schema).relations.remove(&relation.name);
        }
    }

    /// A relation can be dropped with these: nothing that is left depends on it.
    fn check_dropped(&self, id: RelationId, ids: &[RelationId]) -> Result<(), SqlError> {
        let relation = self.by_id(id).ok_or_else(|| gone(id))?;
        let name = self.described(relation, &PUBLIC_PATH);
        let refuse = |detail: String| {
            let message = format!("cannot drop {name} because other objects depend on it");
            Err(SqlError::new("2BP01", message).detail(detail))
        };
        if let Some((table, _)) = self.drawing(id).find(|(table, _)| !ids.contains(&table.id)) {
            let table = self.described(table, &PUBLIC_PATH);
            return refuse(format!("a default value of {table} depends on {name}"));
        }
        let left = self.dependants(id).into_iter().find(|dependant| !ids.contains(dependant));
        if let Some(left) = left.and_then(|left| self.by_id(left)) {
            return refuse(format!("{} depends on {name}", self.described(left, &PUBLIC_PATH)));
        }
        match self.indexes(id).find(|index| !ids.contains(&index.id)) {
            Some(index) => Err(SqlError::internal(format_args!(
                "{} would be dropped without its index {}",
                relation.name, index.name
            ))),
            None => Ok(()),
        }
    }

    fn replace(&mut self, relation: &Relation) -> Result<(), SqlError> {
        let replaced = self.by_id.get(&relation.id).cloned().ok_or_else(|| gone(relation.id))?;
        self.remember_name(relation)?;
        if (&replaced.name, replaced.schema) != (&relation.name, relation.schema) {
            self.forget_name(&replaced);
        }
        let is_gone = |column: usize| relation.columns.get(column).is_none_or(|column| column.dropped);
        self.comments.retain(|(id, column), _| *id != relation.id || !column.is_some_and(is_gone));
        self.by_id.insert(relation.id, Arc::new(relation.clone()));
        Ok(())
    }
}

fn gone(id: RelationId) -> SqlError {
    SqlError::new("42P01", format!("relation {id} does not exist"))
}

fn no_schema(id: SchemaId) -> SqlError {
    SqlError::new("3F000", format!("schema {} does not exist", id.0))
}
