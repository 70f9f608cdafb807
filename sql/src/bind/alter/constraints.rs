//! Constraints that come and go.

use std::collections::HashSet;
use std::sync::Arc;

use millrace_engine::RelationId;

use super::Altering;
use crate::bind::index;
use crate::bind::table::{check_of, index_of, key_name};
use crate::bound::Violation;
use crate::catalog::{CatalogChange, Relation, RelationKind, Uniqueness};
use crate::error::SqlError;
use crate::parse::quoted;
use crate::statement::{ConstraintKind, Name, TableConstraint};

impl Altering<'_> {
    pub(super) fn add_constraint(&mut self, constraint: &TableConstraint) -> Result<(), SqlError> {
        let table = self.relation()?;
        let mut taken: HashSet<String> =
            self.catalog.indexes(self.id).map(|index| index.name.clone()).collect();
        taken.extend(
            table.rules().into_iter().flat_map(|rules| &rules.checks).map(|check| check.name.clone()),
        );
        if let Some(name) = constraint.name.as_ref().filter(|name| taken.contains(&name.value)) {
            let (name, relation) = (&name.value, &table.name);
            let message = format!("constraint \"{name}\" for relation \"{relation}\" already exists");
            return Err(SqlError::new("42710", message));
        }
        match &constraint.kind {
            ConstraintKind::Check { condition, text } => {
                let is_taken = |name: &str| taken.contains(name);
                let check = check_of(&table, constraint, condition, text, is_taken, self.scope)?;
                let from = self.catalog.qualified(&table);
                let query = format!("SELECT 1 FROM {from} WHERE NOT ({}) LIMIT 1", check.condition);
                let message = format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    check.name, table.name
                );
                self.edit(|_, rules| {
                    rules.checks.push(check);
                    rules.checks.sort_by(|check, other| check.name.cmp(&other.name));
                })?;
                self.expect_no_rows(&query, Violation::Is(SqlError::new("23514", message)))
            }
            ConstraintKind::Unique(names) => self.add_key(constraint, names, Uniqueness::Unique),
            ConstraintKind::PrimaryKey(names) => {
                let is_primary = |index: &&Arc<Relation>| {
                    matches!(index.kind, RelationKind::Index { uniqueness: Uniqueness::Primary, .. })
                };
                if self.catalog.indexes(self.id).any(|index| is_primary(&index)) {
                    let message =
                        format!("multiple primary keys for table \"{}\" are not allowed", table.name);
                    return Err(SqlError::new("42P16", message));
                }
                self.add_key(constraint, names, Uniqueness::Primary)?;
                for name in names {
                    let place = self.place(name)?;
                    if table.columns[place].nullable {
                        self.edit(|columns, _| columns[place].nullable = false)?;
                        self.expect_no_nulls(place)?;
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn add_key(
        &mut self,
        constraint: &TableConstraint,
        names: &[Name],
        uniqueness: Uniqueness,
    ) -> Result<(), SqlError> {
        let table = self.relation()?;
        if !matches!(table.kind, RelationKind::Table { keep_rows: true, .. }) {
            return Err(SqlError::new("0A000", "a stream cannot have a key"));
        }
        let mut columns = Vec::new();
        for name in names {
            let place = self.place(name).map_err(|_| {
                SqlError::new("42703", format!("column \"{}\" named in key does not exist", name.value))
            })?;
            columns.push(place);
        }
        let is_taken = |name: &str| self.catalog.in_schema(table.schema, name).is_some();
        let name = match &constraint.name {
            Some(name) => name.value.clone(),
            None => key_name(&table, &columns, uniqueness, is_taken),
        };
        let index = index_of(&table, name, &columns, uniqueness, &self.catalog);
        let texts: Vec<String> = names.iter().map(|name| quoted(&name.value)).collect();
        let not_null: Vec<String> = texts.iter().map(|text| format!("{text} IS NOT NULL")).collect();
        let query = index::duplicates_query(&texts, &not_null, &self.catalog.qualified(&table));
        let violation = Violation::Duplicate { index: index.name.clone(), keys: texts };
        self.create(index)?;
        self.expect_no_rows(&query, violation)
    }

    pub(super) fn drop_constraint(&mut self, name: &Name, if_exists: bool) -> Result<(), SqlError> {
        let table = self.relation()?;
        let is_check =
            table.rules().is_some_and(|rules| rules.checks.iter().any(|check| check.name == name.value));
        if is_check {
            return self.edit(|_, rules| rules.checks.retain(|check| check.name != name.value));
        }
        if let Some(id) = self.key_constraint(&name.value) {
            return self.change(CatalogChange::Drop(vec![id]));
        }
        let message = format!("constraint \"{}\" of relation \"{}\" does not exist", name.value, table.name);
        if if_exists {
            self.done.notices.push(format!("{message}, skipping"));
            return Ok(());
        }
        Err(SqlError::new("42704", message))
    }

    /// The index of a key constraint.
    pub(super) fn key_constraint(&self, name: &str) -> Option<RelationId> {
        let is_named = |index: &&Arc<Relation>| {
            index.name == name
                && matches!(index.kind, RelationKind::Index { uniqueness, .. } if uniqueness.is_constraint())
        };
        self.catalog.indexes(self.id).find(is_named).map(|index| index.id)
    }
}
