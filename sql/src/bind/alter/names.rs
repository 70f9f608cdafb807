//! Other names: of relations, columns and constraints, wherever they are written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;

use super::{Altering, plural};
use crate::bind::{index, relations};
use crate::catalog::{CatalogChange, Relation, RelationKind};
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::scope::fold;
use crate::statement::Name;

impl Altering<'_> {
    pub(super) fn rename(&mut self, to: &Name) -> Result<(), SqlError> {
        let relation = self.relation()?;
        self.renamed(&relation, &to.value)
    }

    /// SET SCHEMA: indexes, and the sequences that go with columns, go along.
    pub(super) fn set_schema(&mut self, to: &Name) -> Result<(), SqlError> {
        let relation = self.relation()?;
        if let RelationKind::Sequence(_) = &relation.kind
            && let Some((table, _)) = self.catalog.owner(relation.id)
        {
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", relation.name, table.name);
            let message = "cannot move an owned sequence into another schema";
            return Err(SqlError::new("0A000", message).detail(detail));
        }
        let schema = relations::schema(to, &self.scope())?;
        if schema == relation.schema {
            return Ok(());
        }
        let parts = self.catalog.with_parts([self.id]);
        let others = parts.into_iter().filter(|part| *part != relation.id);
        for id in std::iter::once(relation.id).chain(others) {
            let Some(part) = self.catalog.by_id(id).cloned() else { continue };
            if self.catalog.in_schema(schema, &part.name).is_some() {
                let message = format!("relation \"{}\" already exists in schema \"{}\"", part.name, to.value);
                return Err(SqlError::new("42P07", message));
            }
            self.change(CatalogChange::Replace(Relation { schema, ..Relation::clone(&part) }))?;
        }
        Ok(())
    }

    /// Gives a relation another name.
    pub(super) fn renamed(&mut self, relation: &Relation, to: &str) -> Result<(), SqlError> {
        if self.catalog.in_schema(relation.schema, to).is_some() {
            return Err(SqlError::new("42P07", format!("relation \"{to}\" already exists")));
        }
        self.change(CatalogChange::Replace(Relation { name: to.to_owned(), ..relation.clone() }))
    }

    /// The definitions of indexes name columns.
    fn redefine_indexes(&mut self, from: &str, to: &str) -> Result<(), SqlError> {
        let indexes: Vec<Relation> =
            self.catalog.indexes(self.id).map(|index| Relation::clone(index)).collect();
        for mut index in indexes {
            if let RelationKind::Index { definition, keys, .. } = &mut index.kind {
                *definition = index::with_keys(definition, keys, |text| renamed_in(text, from, to))?;
            }
            self.change(CatalogChange::Replace(index))?;
        }
        Ok(())
    }

    pub(super) fn rename_column(&mut self, from: &Name, to: &Name) -> Result<(), SqlError> {
        let mut relation = Relation::clone(&*self.relation()?);
        let message = match &relation.kind {
            RelationKind::Index { .. } | RelationKind::Sequence(_) => {
                Some(format!("cannot rename columns of relation \"{}\"", relation.name))
            }
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. } => None,
        };
        if let Some(message) = message {
            return Err(SqlError::new("42809", message)
                .detail(format!("This operation is not supported for {}.", plural(&relation))));
        }
        let place = self
            .place(from)
            .map_err(|_| SqlError::new("42703", format!("column \"{}\" does not exist", from.value)))?;
        if relation.visible().any(|(_, column)| column.name == to.value) {
            let message = format!("column \"{}\" of relation \"{}\" already exists", to.value, relation.name);
            return Err(SqlError::new("42701", message));
        }
        relation.columns[place].name.clone_from(&to.value);
        if let RelationKind::Table { rules, .. } = &mut relation.kind {
            for check in &mut rules.checks {
                check.condition = renamed_in(&check.condition, &from.value, &to.value)?;
            }
        }
        self.change(CatalogChange::Replace(relation))?;
        self.redefine_indexes(&from.value, &to.value)
    }

    pub(super) fn rename_constraint(&mut self, from: &Name, to: &Name) -> Result<(), SqlError> {
        let table = self.relation()?;
        let has_check = |name: &str| {
            table.rules().is_some_and(|rules| rules.checks.iter().any(|check| check.name == name))
        };
        if has_check(&to.value) {
            let message =
                format!("constraint \"{}\" for relation \"{}\" already exists", to.value, table.name);
            return Err(SqlError::new("42710", message));
        }
        if has_check(&from.value) {
            return self.edit(|_, rules| {
                let named = rules.checks.iter_mut().filter(|check| check.name == from.value);
                named.for_each(|check| check.name.clone_from(&to.value));
                rules.checks.sort_by(|check, other| check.name.cmp(&other.name));
            });
        }
        let index = self.key_constraint(&from.value).and_then(|id| self.catalog.by_id(id).cloned());
        match index {
            Some(index) => self.renamed(&index, &to.value),
            None => {
                let message =
                    format!("constraint \"{}\" for table \"{}\" does not exist", from.value, table.name);
                Err(SqlError::new("42704", message))
            }
        }
    }
}

/// An expression over one table with a column under another name.
fn renamed_in(text: &str, from: &str, to: &str) -> Result<String, SqlError> {
    let mut expr = parse::expression(text)?;
    let is_old = |ident: &ast::Ident| fold(ident) == from;
    let new = || match quoted(to) {
        plain if plain == to => ast::Ident::new(to),
        _ => ast::Ident::with_quote('"', to),
    };
    let mut changed = false;
    let _ = ast::visit_expressions_mut(&mut expr, |expr| {
        match expr {
            ast::Expr::Identifier(ident) if is_old(ident) => (*ident, changed) = (new(), true),
            ast::Expr::CompoundIdentifier(idents) => {
                if let Some(last) = idents.last_mut().filter(|last| is_old(last)) {
                    (*last, changed) = (new(), true);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(if changed { expr.to_string() } else { text.to_owned() })
}
