//! ALTER TABLE and its kin: actions become changes of the catalog, one after another, and what has to hold of the
//! rows that are there.
//!
//! Columns have places that never change: a new one comes behind the others, and one that is dropped keeps its
//! place without a name. So whatever reads a table by places, views and indexes, goes on, and views know the
//! relations that they read by the names that these had (`catalog::Known`).

mod columns; // columns that come and go, and their defaults
mod constraints; // constraints that come and go
mod names; // other names

use std::sync::Arc;

use millrace_engine::RelationId;

use super::drop::{kind_of, one};
use super::{Scope, relations};
use crate::bound::{Alteration, Bound, Holds, Violation};
use crate::catalog::{Catalog, CatalogChange, Column, Relation, RelationKind, TableRules};
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::change::ChangeBinder;
use crate::query::{Parameters, Query};
use crate::statement::{AlterAction, AlterRelation, DropKind, Name, RelationName};

/// What the statement creates has these ids until it is run.
const FIRST_NEW: u64 = 3 << 62;

/// Binds ALTER TABLE and its kin.
pub(super) fn alter(alter: &AlterRelation, scope: &Scope) -> Result<Bound, SqlError> {
    let tag = tag(alter.kind);
    let relation = match relations::altered(&alter.relation, alter.if_exists, scope)? {
        Ok(relation) => relation,
        Err(notice) => {
            return Ok(Bound::Alter(Alteration { notices: vec![notice], ..Alteration::new(tag) }));
        }
    };
    // ALTER TABLE takes every kind, as PostgreSQL's does.
    if alter.kind != DropKind::Table {
        check_kind(alter.kind, relation, &alter.relation)?;
    }
    let mut altering = Altering {
        scope,
        catalog: scope.catalog.clone(),
        id: relation.id,
        done: Alteration::new(tag),
        created: 0,
        fills: Vec::new(),
    };
    alter.actions.iter().try_for_each(|action| altering.act(action))?;
    altering.finish().map(Bound::Alter)
}

fn tag(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "ALTER TABLE",
        DropKind::View => "ALTER VIEW",
        DropKind::MaterializedView => "ALTER MATERIALIZED VIEW",
        DropKind::Index => "ALTER INDEX",
        DropKind::Sequence => "ALTER SEQUENCE",
    }
}

/// 42809 where a relation is of another kind than was named.
pub(super) fn check_kind(kind: DropKind, relation: &Relation, name: &RelationName) -> Result<(), SqlError> {
    if kind_of(relation) == kind {
        return Ok(());
    }
    let message = format!("\"{}\" is not {}", relation.name, one(kind));
    Err(SqlError::new("42809", message).position(name.position))
}

/// The statement as far as it has come.
struct Altering<'a> {
    scope: &'a Scope<'a>,
    /// The catalog after what was done so far.
    catalog: Catalog,
    /// What is altered.
    id: RelationId,
    done: Alteration,
    created: u64,
    /// New columns whose values are computed for each row.
    fills: Vec<usize>,
}

impl Altering<'_> {
    /// The statement's scope with the catalog as it is by now.
    fn scope(&self) -> Scope<'_> {
        Scope { catalog: &self.catalog, ..*self.scope }
    }

    fn relation(&self) -> Result<Arc<Relation>, SqlError> {
        self.catalog.by_id(self.id).cloned().ok_or_else(|| SqlError::internal("what is altered is gone"))
    }

    fn change(&mut self, change: CatalogChange) -> Result<(), SqlError> {
        self.catalog.apply(&change)?;
        self.done.changes.push(change);
        Ok(())
    }

    fn create(&mut self, relation: Relation) -> Result<RelationId, SqlError> {
        let id = RelationId(FIRST_NEW + self.created);
        self.created += 1;
        self.change(CatalogChange::Create(Relation { id, ..relation }))?;
        Ok(id)
    }

    /// Puts the table back as `edit` makes it.
    fn edit(&mut self, edit: impl FnOnce(&mut Vec<Column>, &mut TableRules)) -> Result<(), SqlError> {
        let mut relation = Relation::clone(&*self.relation()?);
        let RelationKind::Table { rules, .. } = &mut relation.kind else {
            return Err(SqlError::internal("a table that is none"));
        };
        edit(&mut relation.columns, rules);
        self.change(CatalogChange::Replace(relation))
    }

    fn act(&mut self, action: &AlterAction) -> Result<(), SqlError> {
        let relation = self.relation()?;
        if !action.is_rename() && relation.rules().is_none() {
            let message = format!(
                "ALTER action {} cannot be performed on relation \"{}\"",
                action_name(action),
                relation.name
            );
            return Err(SqlError::new("42809", message)
                .detail(format!("This operation is not supported for {}.", plural(&relation))));
        }
        match action {
            AlterAction::AddColumn { if_not_exists, definition, constraints } => {
                self.add_column(definition, constraints, *if_not_exists)
            }
            AlterAction::DropColumn { if_exists, name, cascade } => {
                self.drop_column(name, *if_exists, *cascade)
            }
            AlterAction::SetDefault { column, default } => self.set_default(column, default.as_ref()),
            AlterAction::SetNullable { column, nullable } => self.set_nullable(column, *nullable),
            AlterAction::AddConstraint(constraint) => self.add_constraint(constraint),
            AlterAction::DropConstraint { if_exists, name, .. } => self.drop_constraint(name, *if_exists),
            AlterAction::SetSchema(to) => self.set_schema(to),
            AlterAction::Rename(to) => self.rename(to),
            AlterAction::RenameColumn { from, to } => self.rename_column(from, to),
            AlterAction::RenameConstraint { from, to } => self.rename_constraint(from, to),
        }
    }

    /// The place of a column by its name.
    fn place(&self, name: &Name) -> Result<usize, SqlError> {
        let relation = self.relation()?;
        let found = relation.visible().find(|(_, column)| column.name == name.value);
        found.map(|(place, _)| place).ok_or_else(|| {
            let message =
                format!("column \"{}\" of relation \"{}\" does not exist", name.value, relation.name);
            SqlError::new("42703", message)
        })
    }

    /// No row may have NULL in a column.
    fn expect_no_nulls(&mut self, column: usize) -> Result<(), SqlError> {
        let table = self.relation()?;
        let (name, table_name) = (&table.columns[column].name, &table.name);
        let message = format!("column \"{name}\" of relation \"{table_name}\" contains null values");
        let from = self.catalog.qualified(&table);
        let query = format!("SELECT 1 FROM {from} WHERE {} IS NULL LIMIT 1", quoted(name));
        self.expect_no_rows(&query, Violation::Is(SqlError::new("23502", message)))
    }

    fn expect_no_rows(&mut self, query: &str, violation: Violation) -> Result<(), SqlError> {
        // What each row gets is checked when it gets it.
        if !self.fills.is_empty() {
            return Ok(());
        }
        let query = Query::plan(&*parse::query(query)?, &self.catalog, Parameters::values(&[]))?;
        self.done.holds.push(Holds { query, violation });
        Ok(())
    }

    /// What was done, with the change that computes new columns.
    fn finish(mut self) -> Result<Alteration, SqlError> {
        if !self.fills.is_empty() {
            let table = self.relation()?;
            let binder = ChangeBinder::new(&table, None, &self.catalog, Parameters::values(&[]));
            self.done.fill = Some(binder.filled(&self.fills)?);
        }
        self.done.catalog = Arc::new(self.catalog);
        Ok(self.done)
    }
}

fn action_name(action: &AlterAction) -> &'static str {
    match action {
        AlterAction::AddColumn { .. } => "ADD COLUMN",
        AlterAction::DropColumn { .. } => "DROP COLUMN",
        AlterAction::SetDefault { default: Some(_), .. } => "ALTER COLUMN ... SET DEFAULT",
        AlterAction::SetDefault { default: None, .. } => "ALTER COLUMN ... DROP DEFAULT",
        AlterAction::SetNullable { nullable: false, .. } => "ALTER COLUMN ... SET NOT NULL",
        AlterAction::SetNullable { nullable: true, .. } => "ALTER COLUMN ... DROP NOT NULL",
        AlterAction::AddConstraint(_) => "ADD CONSTRAINT",
        AlterAction::DropConstraint { .. } => "DROP CONSTRAINT",
        AlterAction::SetSchema(_) => "SET SCHEMA",
        AlterAction::Rename(_) => "RENAME",
        AlterAction::RenameColumn { .. } => "RENAME COLUMN",
        AlterAction::RenameConstraint { .. } => "RENAME CONSTRAINT",
    }
}

fn plural(relation: &Relation) -> &'static str {
    match &relation.kind {
        RelationKind::Table { .. } => "tables",
        RelationKind::View { .. } => "views",
        RelationKind::MaterializedView { .. } => "materialized views",
        RelationKind::Index { .. } => "indexes",
        RelationKind::Sequence(_) => "sequences",
    }
}
