//! Columns that come and go, and their defaults.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast;
use millrace_engine::{Literal, RelationId, can_grow};

use super::Altering;
use crate::bind::drop::Dependants;
use crate::bind::sequence;
use crate::bind::table::{default_is_whole, numbered};
use crate::catalog::{
    CatalogChange, Check, Drawn, Generated, Owned, Relation, RelationKind, TableRules, Uniqueness,
};
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::parse;
use crate::query::change::{check_condition, default_expression};
use crate::query::exprs::{calls, columns_of, volatile_call};
use crate::query::volatile::next_value_of;
use crate::query::{Parameters, Query};
use crate::statement::{ColumnDefinition, ConstraintKind, Name, TableConstraint};

/// As many columns as PostgreSQL's tables can have.
const COLUMNS_MAX: usize = 1_600;

impl Altering<'_> {
    pub(super) fn add_column(
        &mut self,
        definition: &ColumnDefinition,
        constraints: &[TableConstraint],
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let table = self.relation()?;
        let name = &definition.column.name;
        if table.visible().any(|(_, column)| column.name == *name) {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", table.name);
            if if_not_exists {
                self.done.notices.push(format!("{message}, skipping"));
                return Ok(());
            }
            return Err(SqlError::new("42701", message));
        }
        if table.columns.len() >= COLUMNS_MAX {
            return Err(SqlError::new("54011", format!("tables can have at most {COLUMNS_MAX} columns")));
        }
        let types: Vec<_> = table.types().into_iter().chain([definition.column.data_type]).collect();
        if !can_grow(&types) {
            return Err(SqlError::unsupported("ADD COLUMN of a table with such columns")
                .hint("Create another table, and copy the rows with INSERT … SELECT."));
        }
        let column = table.columns.len();
        let value = self.value_of(definition, column)?;
        let is_computed = matches!(value, NewValue::Computed(_));
        let (default, drawn) = match &value {
            NewValue::Constant { text, .. } => (text.clone(), None),
            NewValue::Computed(ComputedDefault::Text(text)) => (Some(text.clone()), None),
            NewValue::Computed(ComputedDefault::Drawn(drawn)) => (None, Some(drawn.clone())),
        };
        let missing = match value {
            NewValue::Constant { value, .. } => value,
            NewValue::Computed(_) => Literal::Null(definition.column.data_type),
        };
        let owned = drawn.as_ref().filter(|_| definition.drawn.is_some());
        let owned = owned.map(|drawn| Owned { column, sequence: drawn.sequence });
        let lacks_values = matches!(missing, Literal::Null(_)) && !is_computed;
        self.edit(|columns, rules| {
            columns.push(definition.column.clone());
            rules.defaults.resize(column, None);
            rules.defaults.push(default);
            rules.missing.push(missing);
            rules.drawn.extend(drawn);
            rules.owned.extend(owned);
        })?;
        self.widen_indexes()?;
        if is_computed {
            self.fills.push(column);
        }
        let is_key = |constraint: &TableConstraint| matches!(constraint.kind, ConstraintKind::PrimaryKey(_));
        if lacks_values && (!definition.column.nullable || constraints.iter().any(is_key)) {
            self.expect_no_nulls(column)?;
        }
        constraints.iter().try_for_each(|constraint| self.add_constraint(constraint))
    }

    /// What a new column is in the rows that are there.
    fn value_of(&mut self, definition: &ColumnDefinition, column: usize) -> Result<NewValue, SqlError> {
        let table = self.relation()?;
        if let Some((generated, options)) = &definition.drawn {
            let is_taken = |name: &str| self.catalog.in_schema(table.schema, name).is_some();
            let name = numbered(&table.name, &definition.column.name, "seq", is_taken);
            let sequence = self.create(sequence::of_column(name, table.schema, options)?)?;
            let drawn = Drawn { column, sequence, generated: *generated };
            return Ok(NewValue::Computed(ComputedDefault::Drawn(drawn)));
        }
        let Some((value, text)) = &definition.default else {
            return Ok(NewValue::Constant { value: Literal::Null(definition.column.data_type), text: None });
        };
        if let Some(sequence) = next_value_of(value, &self.scope())? {
            default_is_whole(&definition.column)?;
            let drawn = Drawn { column, sequence, generated: Generated::Default };
            return Ok(NewValue::Computed(ComputedDefault::Drawn(drawn)));
        }
        let bound =
            default_expression(value, &definition.column).map_err(|error| self.scope.locate(error, value))?;
        if volatile_call(&bound).is_some() || calls(&bound, "now") {
            return Ok(NewValue::Computed(ComputedDefault::Text(text.clone())));
        }
        Ok(NewValue::Constant { value: evaluate_constant(&bound)?, text: Some(text.clone()) })
    }

    /// Indexes know the columns of their relation.
    pub(super) fn widen_indexes(&mut self) -> Result<(), SqlError> {
        let types = self.relation()?.types();
        let indexes: Vec<Relation> =
            self.catalog.indexes(self.id).map(|index| Relation::clone(index)).collect();
        for mut index in indexes {
            if let RelationKind::Index { columns, .. } = &mut index.kind {
                columns.clone_from(&types);
            }
            self.change(CatalogChange::Replace(index))?;
        }
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        name: &Name,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let table = self.relation()?;
        let column = match self.place(name) {
            Ok(column) => column,
            Err(error) if if_exists => {
                self.done.notices.push(format!("{}, skipping", error.message));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let views = self.views_that_read(column)?;
        if !views.is_empty() {
            let scope = self.scope();
            let dependants = Dependants::of_column(self.id, column, views, &scope);
            if !cascade {
                dependants.refuse()?;
            }
            let (notices, all) = (dependants.notices(), self.catalog.with_parts(dependants.relations()));
            self.done.notices.extend(notices);
            self.change(CatalogChange::Drop(all))?;
        }
        let reads_column = |index: &Relation| match &index.kind {
            RelationKind::Index { keys, .. } => {
                keys.iter().any(|key| columns_of(&key.expr).contains(&column))
            }
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Sequence(_) => false,
        };
        let gone: Vec<RelationId> =
            self.catalog.indexes(self.id).filter(|index| reads_column(index)).map(|index| index.id).collect();
        let rules = table.rules().cloned().unwrap_or_default();
        let kept_checks = self.checks_without(&table, &rules, column)?;
        let sequences = rules.owned.iter().filter(|owned| owned.column == column);
        let sequences: Vec<RelationId> = sequences.map(|owned| owned.sequence).collect();
        self.edit(|columns, rules| {
            let place = column + 1;
            let dropped = &mut columns[column];
            dropped.name = format!("........pg.dropped.{place}........");
            dropped.nullable = true;
            dropped.dropped = true;
            if let Some(default) = rules.defaults.get_mut(column) {
                *default = None;
            }
            rules.checks = kept_checks;
            rules.drawn.retain(|drawn| drawn.column != column);
            rules.owned.retain(|owned| owned.column != column);
        })?;
        let gone: Vec<RelationId> = gone.into_iter().chain(sequences).collect();
        if !gone.is_empty() {
            self.change(CatalogChange::Drop(gone))?;
        }
        Ok(())
    }

    /// The views whose answers depend on a column of the table.
    pub(super) fn views_that_read(&self, column: usize) -> Result<BTreeSet<RelationId>, SqlError> {
        let mut found = BTreeSet::new();
        for view in self.catalog.relations().filter(|relation| relation.reads().contains(&self.id)) {
            let query = parse::query(&format!("SELECT * FROM {}", self.catalog.qualified(view)))?;
            let catalog = self.catalog.inlining(BTreeSet::from([view.id]));
            let query = Query::plan(&query, &catalog, Parameters::values(&[]))?;
            if query.columns_read(self.id).contains(&column) {
                found.insert(view.id);
            }
        }
        Ok(found)
    }

    /// The CHECKs that do not read a column.
    pub(super) fn checks_without(
        &self,
        table: &Relation,
        rules: &TableRules,
        column: usize,
    ) -> Result<Vec<Check>, SqlError> {
        let mut kept = Vec::new();
        for check in &rules.checks {
            let condition = check_condition(table, &parse::expression(&check.condition)?)?;
            if !columns_of(&condition).contains(&column) {
                kept.push(check.clone());
            }
        }
        Ok(kept)
    }

    pub(super) fn set_default(
        &mut self,
        column: &Name,
        default: Option<&(Box<ast::Expr>, String)>,
    ) -> Result<(), SqlError> {
        let place = self.place(column)?;
        let table = self.relation()?;
        self.refuse_identity(&table, place)?;
        let (mut text, mut drawn) = (None, None);
        if let Some((value, written)) = default {
            match next_value_of(value, &self.scope())? {
                Some(sequence) => {
                    default_is_whole(&table.columns[place])?;
                    drawn = Some(Drawn { column: place, sequence, generated: Generated::Default });
                }
                None => {
                    default_expression(value, &table.columns[place])
                        .map_err(|error| self.scope.locate(error, value.as_ref()))?;
                    text = Some(written.clone());
                }
            }
        }
        self.edit(|columns, rules| {
            rules.defaults.resize(columns.len(), None);
            rules.defaults[place] = text;
            rules.drawn.retain(|drawn| drawn.column != place);
            rules.drawn.extend(drawn);
        })
    }

    pub(super) fn refuse_identity(&self, table: &Relation, column: usize) -> Result<(), SqlError> {
        let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
        if drawn.is_none_or(|drawn| drawn.generated == Generated::Default) {
            return Ok(());
        }
        let name = &table.columns[column].name;
        let message = format!("column \"{name}\" of relation \"{}\" is an identity column", table.name);
        Err(SqlError::new("42601", message))
    }

    pub(super) fn set_nullable(&mut self, column: &Name, nullable: bool) -> Result<(), SqlError> {
        let place = self.place(column)?;
        let table = self.relation()?;
        if nullable {
            self.refuse_identity(&table, place)?;
            let is_key = |index: &Relation| match &index.kind {
                RelationKind::Index { keys, uniqueness: Uniqueness::Primary, .. } => {
                    keys.iter().any(|key| columns_of(&key.expr).contains(&place))
                }
                _ => false,
            };
            if self.catalog.indexes(self.id).any(|index| is_key(index)) {
                let message = format!("column \"{}\" is in a primary key", column.value);
                return Err(SqlError::new("42P16", message));
            }
        }
        self.edit(|columns, _| columns[place].nullable = nullable)?;
        if nullable { Ok(()) } else { self.expect_no_nulls(place) }
    }
}

/// What a new column is in the rows that are there.
enum NewValue {
    /// The same in all, and the default as it is written.
    Constant { value: Literal, text: Option<String> },
    /// One for each.
    Computed(ComputedDefault),
}

enum ComputedDefault {
    Text(String),
    Drawn(Drawn),
}
