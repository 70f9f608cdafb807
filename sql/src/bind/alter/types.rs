//! ALTER COLUMN … TYPE.
//!
//! A column of another type has another place, behind the others, which is computed for each row; the old place stays
//! without a name, as that of a dropped column does, and the new one takes its number (`TableRules::order`). Where
//! the old values are values of the new type as they are kept, the place stays, and no row is touched.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Limit, Literal, RelationId, can_grow};

use super::Altering;
use crate::bind::create::ID_LATER;
use crate::bind::index::refuse_unordered;
use crate::catalog::{CatalogChange, Column, IndexKey, Relation, RelationKind};
use crate::error::SqlError;
use crate::parse::{self, quoted};
use crate::query::binder::assignable;
use crate::query::change::{Assignment, check_condition, type_over};
use crate::query::exprs::columns_of;
use crate::query::index_expression;
use crate::query::types::display_full;
use crate::statement::Name;

impl Altering<'_> {
    pub(super) fn set_type(
        &mut self,
        name: &Name,
        to: DataType,
        using: Option<&ast::Expr>,
    ) -> Result<(), SqlError> {
        let (table, place) = (self.relation()?, self.place(name)?);
        let from = table.columns[place].data_type;
        if self.fills.iter().any(|fill| fill.column == place) {
            let message = format!("cannot alter type of column \"{}\" twice", name.value);
            return Err(SqlError::new("0A000", message));
        }
        if matches!(table.kind, RelationKind::Table { keep_rows: false, .. }) {
            return Err(SqlError::unsupported("ALTER COLUMN … TYPE of a stream"));
        }
        self.check_value(name, from, to, using)?;
        self.check_default(&table, place, to)?;
        self.refuse_readers(name, place)?;
        if using.is_none() && from == to {
            return Ok(());
        }
        let rebuilt = self.take_indexes(place)?;
        if using.is_none() && is_kept_alike(from, to) {
            self.edit(|columns, _| columns[place].data_type = to)?;
        } else {
            let own = ast::Expr::Identifier(ast::Ident::with_quote('"', name.value.clone()));
            let value = using.cloned().unwrap_or(own);
            self.move_column(place, to, value)?;
        }
        self.widen_indexes()?;
        let table = self.relation()?;
        for check in table.rules().into_iter().flat_map(|rules| &rules.checks) {
            check_condition(&table, &parse::expression(&check.condition)?)?;
        }
        rebuilt.into_iter().try_for_each(|index| self.rebuild(&table, index))
    }

    /// What the column becomes has to be assignable to the new type.
    fn check_value(
        &self,
        name: &Name,
        from: DataType,
        to: DataType,
        using: Option<&ast::Expr>,
    ) -> Result<(), SqlError> {
        let (given, what, hint) = match using {
            None => {
                let column = quoted(&name.value);
                let hint = format!("You might need to specify \"USING {column}::{}\".", display_full(to));
                (Some(from), format!("column \"{}\"", name.value), hint)
            }
            Some(value) => {
                let given =
                    type_over(&self.before, value).map_err(|error| self.scope.locate(error, value))?;
                let what = format!("result of USING clause for column \"{}\"", name.value);
                (given, what, "You might need to add an explicit cast.".to_owned())
            }
        };
        if given.is_none_or(|given| assignable(given, to)) {
            return Ok(());
        }
        let message = format!("{what} cannot be cast automatically to type {}", display_full(to));
        Err(SqlError::new("42804", message).hint(hint))
    }

    /// The default has to be assignable to the new type: a literal is what it was made when it was given.
    fn check_default(&self, table: &Relation, place: usize, to: DataType) -> Result<(), SqlError> {
        let Some(rules) = table.rules() else { return Ok(()) };
        let own = table.columns[place].data_type;
        let given = match (rules.drawn_of(place), rules.default_of(place)) {
            (Some(_), _) => DataType::Int64,
            (None, Some(text)) => type_over(table, &parse::expression(text)?)?.unwrap_or(own),
            (None, None) => return Ok(()),
        };
        if assignable(given, to) {
            return Ok(());
        }
        let (name, to) = (&table.columns[place].name, display_full(to));
        let message = format!("default for column \"{name}\" cannot be cast automatically to type {to}");
        Err(SqlError::new("42804", message))
    }

    /// 0A000 where a view reads the column: its columns would have other types.
    fn refuse_readers(&self, name: &Name, place: usize) -> Result<(), SqlError> {
        let readers = self.views_that_read(place)?;
        let Some(view) = readers.first().and_then(|view| self.catalog.by_id(*view)) else { return Ok(()) };
        let described = self.scope().described(view);
        Err(SqlError::new("0A000", "cannot alter type of a column used by a view or rule")
            .detail(format!("rule _RETURN on {described} depends on column \"{}\"", name.value)))
    }

    /// Drops the indexes that read a column: they are built anew.
    fn take_indexes(&mut self, place: usize) -> Result<Vec<Relation>, SqlError> {
        let reads = |index: &Relation| match &index.kind {
            RelationKind::Index { keys, .. } => keys.iter().any(|key| columns_of(&key.expr).contains(&place)),
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Sequence(_) => false,
        };
        let taken: Vec<Relation> = self
            .catalog
            .indexes(self.id)
            .filter(|index| reads(index))
            .map(|index| Relation::clone(index))
            .collect();
        let ids: Vec<RelationId> = taken.iter().map(|index| index.id).collect();
        if !ids.is_empty() {
            self.change(CatalogChange::Drop(ids))?;
        }
        Ok(taken)
    }

    /// Gives a column another place, of another type, with its number and all that belongs to it.
    fn move_column(&mut self, old: usize, to: DataType, value: ast::Expr) -> Result<(), SqlError> {
        let table = self.relation()?;
        let new = table.columns.len();
        let types: Vec<DataType> = table.types().into_iter().chain([to]).collect();
        if !can_grow(&types) {
            return Err(SqlError::unsupported("ALTER COLUMN … TYPE of a table with such columns")
                .hint("Create another table, and copy the rows with INSERT … SELECT."));
        }
        let order = table.rules().map(|rules| rules.order.clone()).filter(|order| !order.is_empty());
        let order = order.unwrap_or_else(|| (0..new).collect());
        let order = order.into_iter().map(|place| if place == old { new } else { place }).collect();
        let comment = self.catalog.comments().find(|(id, column, _)| *id == self.id && *column == Some(old));
        let comment = comment.map(|(_, _, text)| text.to_owned());
        self.edit(|columns, rules| {
            columns.push(Column { data_type: to, ..columns[old].clone() });
            columns[old].drop_at(old);
            rules.defaults.resize(new, None);
            let default = rules.defaults[old].take();
            rules.defaults.push(default);
            rules.missing.push(Literal::Null(to));
            rules.order = order;
            rules.drawn.iter_mut().filter(|drawn| drawn.column == old).for_each(|drawn| drawn.column = new);
            rules.drawn.sort_by_key(|drawn| drawn.column);
            rules.owned.iter_mut().filter(|owned| owned.column == old).for_each(|owned| owned.column = new);
        })?;
        if let Some(text) = comment {
            let (relation, column) = (self.id, Some(new));
            self.change(CatalogChange::Comment { relation, column, text: Some(text) })?;
        }
        let nothing = parse::expression("NULL")?;
        self.fills.push(Assignment { column: new, value: Some(value) });
        self.fills.push(Assignment { column: old, value: Some(nothing) });
        Ok(())
    }

    /// Builds an index anew: its keys are written as before, and may have other types.
    fn rebuild(&mut self, table: &Relation, index: Relation) -> Result<(), SqlError> {
        let RelationKind::Index { keys, definition, uniqueness, .. } = index.kind else { return Ok(()) };
        let method = if definition.contains(" USING hash ") { "hash" } else { "btree" };
        let (mut new_keys, mut columns) = (Vec::new(), Vec::new());
        for (key, column) in keys.into_iter().zip(index.columns) {
            let (expr, data_type, _) = index_expression(table, &parse::expression(&key.text)?)?;
            let data_type = data_type.unwrap_or(column.data_type);
            refuse_unordered(data_type, method)?;
            new_keys.push(IndexKey { expr, text: key.text });
            columns.push(Column { data_type, ..column });
        }
        let kind = RelationKind::Index {
            on: self.id,
            columns: table.types(),
            keys: new_keys,
            definition,
            uniqueness,
        };
        self.create(Relation { id: ID_LATER, columns, kind, ..index }).map(drop)
    }
}

/// Whether each value of a type is one of the other as it is kept: text without a limit, or with a wider one.
fn is_kept_alike(from: DataType, to: DataType) -> bool {
    let varchar = |data_type| match data_type {
        DataType::Text => Some(None),
        DataType::Limited(Limit::Varchar(length)) => Some(length),
        _ => None,
    };
    match (varchar(from), varchar(to)) {
        (Some(_), Some(None)) => true,
        (Some(Some(from)), Some(Some(to))) => from <= to,
        _ => false,
    }
}
