//! ALTER TABLE and its kin: actions become changes of the catalog, one after another, and what has to hold of the
//! rows that are there.
//!
//! Columns have places that never change: a new one comes behind the others, and one that is dropped keeps its
//! place without a name. So whatever reads a table by places, views and indexes, goes on, and views know the
//! relations that they read by the names that these had (`catalog::Known`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use millrace_engine::{Literal, RelationId, can_grow};

use super::drop::dependence;
use super::table::{check_of, default_is_whole, index_of, key_name, numbered};
use super::{Scope, index, sequence};
use crate::bound::{Alteration, Bound, Holds, Violation};
use crate::catalog::{
    Catalog, CatalogChange, Check, Column, Drawn, Generated, Owned, Relation, RelationKind, TableRules,
    Uniqueness,
};
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::change::{ChangeBinder, check_condition, default_expression};
use crate::query::exprs::{calls, columns_of, volatile_call};
use crate::query::volatile::next_value_of;
use crate::query::{Parameters, Query};
use crate::statement::{
    AlterAction, AlterRelation, ColumnDefinition, ConstraintKind, DropKind, Name, TableConstraint,
};

/// What the statement creates has these ids until it is run.
const FIRST_NEW: u64 = 3 << 62;

/// As many columns as PostgreSQL's tables can have.
const COLUMNS_MAX: usize = 1_600;

/// Binds ALTER TABLE and its kin.
pub(super) fn alter(alter: &AlterRelation, scope: &Scope) -> Result<Bound, SqlError> {
    let tag = tag(alter.kind);
    let Some(relation) = scope.catalog.get(&alter.relation.value) else {
        let message = format!("relation \"{}\" does not exist", alter.relation.value);
        if alter.if_exists {
            let notices = vec![format!("{message}, skipping")];
            return Ok(Bound::Alter(Alteration { notices, ..Alteration::new(tag) }));
        }
        return Err(SqlError::new("42P01", message).position(alter.relation.position));
    };
    check_kind(alter, relation)?;
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

/// ALTER TABLE takes every kind of relation, the others their own, as PostgreSQL's do.
fn check_kind(alter: &AlterRelation, relation: &Relation) -> Result<(), SqlError> {
    let fits = match (alter.kind, &relation.kind) {
        (DropKind::Table, _)
        | (DropKind::View, RelationKind::View { .. })
        | (DropKind::MaterializedView, RelationKind::MaterializedView { .. })
        | (DropKind::Index, RelationKind::Index { .. })
        | (DropKind::Sequence, RelationKind::Sequence(_)) => true,
        (
            DropKind::View | DropKind::MaterializedView | DropKind::Index | DropKind::Sequence,
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. }
            | RelationKind::Sequence(_),
        ) => false,
    };
    if fits {
        return Ok(());
    }
    let wanted = match alter.kind {
        DropKind::Table => "a table",
        DropKind::View => "a view",
        DropKind::MaterializedView => "a materialized view",
        DropKind::Index => "an index",
        DropKind::Sequence => "a sequence",
    };
    Err(SqlError::new("42809", format!("\"{}\" is not {wanted}", relation.name))
        .position(alter.relation.position))
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

    fn add_column(
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
            let is_taken = |name: &str| self.catalog.get(name).is_some();
            let name = numbered(&table.name, &definition.column.name, "seq", is_taken);
            let sequence = self.create(sequence::of_column(name, options)?)?;
            let drawn = Drawn { column, sequence, generated: *generated };
            return Ok(NewValue::Computed(ComputedDefault::Drawn(drawn)));
        }
        let Some((value, text)) = &definition.default else {
            return Ok(NewValue::Constant { value: Literal::Null(definition.column.data_type), text: None });
        };
        if let Some(sequence) = next_value_of(value, &self.catalog)? {
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
    fn widen_indexes(&mut self) -> Result<(), SqlError> {
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

    fn drop_column(&mut self, name: &Name, if_exists: bool, cascade: bool) -> Result<(), SqlError> {
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
            let what = format!("column {} of table {}", name.value, table.name);
            let described =
                |id: &RelationId| self.catalog.by_id(*id).map(|view| view.described()).unwrap_or_default();
            let others = views.iter().flat_map(|view| self.catalog.dependants(*view));
            let others: BTreeSet<RelationId> = others.filter(|id| !views.contains(id)).collect();
            if !cascade {
                let mut detail: Vec<String> =
                    views.iter().map(|view| format!("{} depends on {what}", described(view))).collect();
                detail.extend(others.iter().map(|view| dependence(*view, &views, &others, &self.catalog)));
                let message = format!("cannot drop {what} because other objects depend on it");
                return Err(SqlError::new("2BP01", message)
                    .detail(detail.join("\n"))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            let all: BTreeSet<RelationId> = others.into_iter().chain(views).collect();
            let notices = all.iter().map(|view| format!("drop cascades to {}", described(view)));
            self.done.notices.extend(notices);
            self.change(CatalogChange::Drop(self.catalog.with_parts(all)))?;
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
    fn views_that_read(&self, column: usize) -> Result<BTreeSet<RelationId>, SqlError> {
        let mut found = BTreeSet::new();
        for view in self.catalog.relations().filter(|relation| relation.reads().contains(&self.id)) {
            let query = parse::query(&format!("SELECT * FROM {}", quoted(&view.name)))?;
            let catalog = self.catalog.inlining(BTreeSet::from([view.id]));
            let query = Query::plan(&query, &catalog, Parameters::values(&[]))?;
            if query.columns_read(self.id).contains(&column) {
                found.insert(view.id);
            }
        }
        Ok(found)
    }

    /// The CHECKs that do not read a column.
    fn checks_without(
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

    fn set_default(
        &mut self,
        column: &Name,
        default: Option<&(Box<ast::Expr>, String)>,
    ) -> Result<(), SqlError> {
        let place = self.place(column)?;
        let table = self.relation()?;
        self.refuse_identity(&table, place)?;
        let (mut text, mut drawn) = (None, None);
        if let Some((value, written)) = default {
            match next_value_of(value, &self.catalog)? {
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

    fn refuse_identity(&self, table: &Relation, column: usize) -> Result<(), SqlError> {
        let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
        if drawn.is_none_or(|drawn| drawn.generated == Generated::Default) {
            return Ok(());
        }
        let name = &table.columns[column].name;
        let message = format!("column \"{name}\" of relation \"{}\" is an identity column", table.name);
        Err(SqlError::new("42601", message))
    }

    fn set_nullable(&mut self, column: &Name, nullable: bool) -> Result<(), SqlError> {
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

    /// No row may have NULL in a column.
    fn expect_no_nulls(&mut self, column: usize) -> Result<(), SqlError> {
        let table = self.relation()?;
        let (name, table_name) = (&table.columns[column].name, &table.name);
        let message = format!("column \"{name}\" of relation \"{table_name}\" contains null values");
        let query = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", quoted(table_name), quoted(name));
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

    fn add_constraint(&mut self, constraint: &TableConstraint) -> Result<(), SqlError> {
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
                let query = format!("SELECT 1 FROM {} WHERE NOT ({text}) LIMIT 1", quoted(&table.name));
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

    fn add_key(
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
        let is_taken = |name: &str| self.catalog.get(name).is_some();
        let name = match &constraint.name {
            Some(name) => name.value.clone(),
            None => key_name(&table, &columns, uniqueness, is_taken),
        };
        let index = index_of(&table, name, &columns, uniqueness);
        let texts: Vec<String> = names.iter().map(|name| quoted(&name.value)).collect();
        let not_null: Vec<String> = texts.iter().map(|text| format!("{text} IS NOT NULL")).collect();
        let query = index::duplicates_query(&texts, &not_null, &table.name);
        let violation = Violation::Duplicate { index: index.name.clone(), keys: texts };
        self.create(index)?;
        self.expect_no_rows(&query, violation)
    }

    fn drop_constraint(&mut self, name: &Name, if_exists: bool) -> Result<(), SqlError> {
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
    fn key_constraint(&self, name: &str) -> Option<RelationId> {
        let is_named = |index: &&Arc<Relation>| {
            index.name == name
                && matches!(index.kind, RelationKind::Index { uniqueness, .. } if uniqueness.is_constraint())
        };
        self.catalog.indexes(self.id).find(is_named).map(|index| index.id)
    }

    fn rename(&mut self, to: &Name) -> Result<(), SqlError> {
        let relation = self.relation()?;
        self.renamed(&relation, &to.value)?;
        self.redefine_indexes(&to.value, None)
    }

    /// Gives a relation another name.
    fn renamed(&mut self, relation: &Relation, to: &str) -> Result<(), SqlError> {
        if self.catalog.get(to).is_some() {
            return Err(SqlError::new("42P07", format!("relation \"{to}\" already exists")));
        }
        let mut renamed = Relation { name: to.to_owned(), ..relation.clone() };
        if let RelationKind::Index { on, definition, .. } = &mut renamed.kind {
            let table = self.catalog.by_id(*on).map(|table| table.name.clone()).unwrap_or_default();
            *definition = index::redefined(definition, to, &table);
        }
        self.change(CatalogChange::Replace(renamed))
    }

    /// The definitions of indexes name their relation, and the column that is `renamed`: from, to.
    fn redefine_indexes(&mut self, name: &str, renamed: Option<(&str, &str)>) -> Result<(), SqlError> {
        let indexes: Vec<Relation> =
            self.catalog.indexes(self.id).map(|index| Relation::clone(index)).collect();
        for mut index in indexes {
            if let RelationKind::Index { definition, keys, .. } = &mut index.kind {
                if let Some((from, to)) = renamed {
                    *definition = index::with_keys(definition, keys, |text| renamed_in(text, from, to))?;
                }
                *definition = index::redefined(definition, &index.name, name);
            }
            self.change(CatalogChange::Replace(index))?;
        }
        Ok(())
    }

    fn rename_column(&mut self, from: &Name, to: &Name) -> Result<(), SqlError> {
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
        let name = relation.name.clone();
        self.change(CatalogChange::Replace(relation))?;
        self.redefine_indexes(&name, Some((&from.value, &to.value)))
    }

    fn rename_constraint(&mut self, from: &Name, to: &Name) -> Result<(), SqlError> {
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

/// An expression over one table with a column under another name.
fn renamed_in(text: &str, from: &str, to: &str) -> Result<String, SqlError> {
    use crate::query::scope::fold;
    use std::ops::ControlFlow;
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
