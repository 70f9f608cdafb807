//! CREATE TABLE: columns, what they are if nothing is said, and what no row may break.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Expr};

use super::create::{CREATED_LATER, ID_LATER, created, created_in, named, terms};
use super::index::joined;
use super::{Scope, index, relations, sequence};
use crate::bound::{Bound, Create};
use crate::catalog::{
    Catalog, Check, Column, Drawn, Generated, IndexKey, Owned, Relation, RelationKind, SchemaId, TableRules,
    Uniqueness,
};
use crate::error::SqlError;
use crate::parse::quoted;
use crate::query::binder::assignable;
use crate::query::change::{check_condition, default_expression};
use crate::query::exprs::columns_of;
use crate::query::scope::unqualified;
use crate::query::types::display;
use crate::query::volatile::next_value_of;
use crate::statement::{ColumnDefinition, ConstraintKind, CreateTable, CreateTableAs, Name, TableConstraint};

/// Binds CREATE TABLE.
pub(super) fn create(create: &CreateTable, scope: &Scope) -> Result<Bound, SqlError> {
    let schema = relations::schema_for(&create.name, scope)?;
    let mut columns: Vec<Column> =
        create.columns.iter().map(|definition| definition.column.clone()).collect();
    let primary = primary_key(create)?;
    for (constraint, name) in
        primary.iter().flat_map(|(key, columns)| columns.iter().map(move |name| (key, name)))
    {
        let column = position(name, &columns, constraint)?;
        columns[column].nullable = false;
    }
    let defaults = defaults(&create.columns, scope)?;
    let (sequences, drawn, owned) = drawn(create, schema, scope)?;
    let mut relation = Relation {
        id: ID_LATER,
        name: create.name.value.clone(),
        schema,
        columns,
        kind: RelationKind::Table { keep_rows: create.keep_rows, rules: TableRules::default() },
        created: CREATED_LATER,
    };
    let checks = checks(create, &relation, scope)?;
    let indexes = indexes(create, &relation, scope)?;
    relation.kind = RelationKind::Table {
        keep_rows: create.keep_rows,
        rules: TableRules {
            defaults,
            checks,
            drawn,
            owned,
            on_commit: create.on_commit,
            ..TableRules::default()
        },
    };
    let mut terms = terms(create.if_not_exists);
    terms.chosen_name = !sequences.is_empty()
        || create.constraints.iter().any(|constraint| constraint.name.is_none()) && !indexes.is_empty();
    match created_in(schema, &relation.name, terms, relation.columns, relation.kind, scope)? {
        Bound::Create(create) => Ok(Bound::Create(Create { sequences, indexes, ..create })),
        other => Ok(other),
    }
}

/// Binds CREATE TABLE … AS: the columns are the query's.
pub(super) fn create_as(create: &CreateTableAs, scope: &Scope) -> Result<Bound, SqlError> {
    let query = scope.plan(&create.query)?;
    let columns = named(query.columns(), &create.columns)?;
    let rules = TableRules { on_commit: create.on_commit, ..TableRules::default() };
    let kind = RelationKind::Table { keep_rows: true, rules };
    match created(&create.name, terms(create.if_not_exists), columns, kind, scope)? {
        Bound::Create(table) => Ok(Bound::CreateAs(table, create.with_data.then_some(query))),
        other => Ok(other),
    }
}

/// The primary key, of which there is at most one.
fn primary_key(create: &CreateTable) -> Result<Option<(&TableConstraint, &Vec<Name>)>, SqlError> {
    let mut keys = create.constraints.iter().filter_map(|constraint| match &constraint.kind {
        ConstraintKind::PrimaryKey(columns) => Some((constraint, columns)),
        ConstraintKind::Unique(_) | ConstraintKind::Check { .. } => None,
    });
    let (first, second) = (keys.next(), keys.next());
    match second {
        None => Ok(first),
        Some((constraint, _)) => {
            let message =
                format!("multiple primary keys for table \"{}\" are not allowed", create.name.value);
            Err(SqlError::new("42P16", message).position(constraint.position))
        }
    }
}

fn position(name: &Name, columns: &[Column], constraint: &TableConstraint) -> Result<usize, SqlError> {
    columns.iter().position(|column| column.name == name.value).ok_or_else(|| {
        SqlError::new("42703", format!("column \"{}\" named in key does not exist", name.value))
            .position(constraint.position)
    })
}

fn defaults(columns: &[ColumnDefinition], scope: &Scope) -> Result<Vec<Option<String>>, SqlError> {
    let default = |definition: &ColumnDefinition| {
        let Some((value, text)) = &definition.default else { return Ok(None) };
        if next_value_of(value, scope)?.is_some() {
            return Ok(None);
        }
        default_expression(value, &definition.column).map_err(|error| scope.locate(error, value))?;
        Ok(Some(text.clone()))
    };
    columns.iter().map(default).collect()
}

/// What columns draw from: the sequences that the table makes for them, each with the column's place, and those
/// that DEFAULT names.
fn drawn(create: &CreateTable, schema: SchemaId, scope: &Scope) -> Result<DrawnColumns, SqlError> {
    let (mut sequences, mut drawn, mut owned) = (Vec::<(usize, Relation)>::new(), Vec::new(), Vec::new());
    for (column, definition) in create.columns.iter().enumerate() {
        if let Some((generated, options)) = &definition.drawn {
            let is_taken = |name: &str| {
                scope.catalog.in_schema(schema, name).is_some()
                    || name == create.name.value
                    || sequences.iter().any(|(_, sequence)| sequence.name == name)
            };
            let name = numbered(&create.name.value, &definition.column.name, "seq", is_taken);
            sequences.push((column, sequence::of_column(name, schema, options)?));
            drawn.push(Drawn { column, sequence: ID_LATER, generated: *generated });
            owned.push(Owned { column, sequence: ID_LATER });
        } else if let Some((value, _)) = &definition.default
            && let Some(sequence) = next_value_of(value, scope)?
        {
            default_is_whole(&definition.column)?;
            drawn.push(Drawn { column, sequence, generated: Generated::Default });
        }
    }
    Ok((sequences, drawn, owned))
}

/// What columns draw from: sequences with the places of their columns, how they draw, and what goes with them.
type DrawnColumns = (Vec<(usize, Relation)>, Vec<Drawn>, Vec<Owned>);

/// A sequence gives bigints.
pub(super) fn default_is_whole(column: &Column) -> Result<(), SqlError> {
    if assignable(DataType::Int64, column.data_type) {
        return Ok(());
    }
    let message = format!(
        "column \"{}\" is of type {} but default expression is of type bigint",
        column.name,
        display(column.data_type)
    );
    Err(SqlError::new("42804", message).hint("You will need to rewrite or cast the expression."))
}

/// A name that is not taken: `table_column_label`, with a number behind it where it needs one.
pub(super) fn numbered(table: &str, column: &str, label: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let labels = std::iter::once(label.to_owned()).chain((1..).map(|number| format!("{label}{number}")));
    let mut names = labels.map(|label| joined(table, column, &label));
    names.find(|name| !is_taken(name)).unwrap_or_default()
}

/// The CHECKs, by name.
fn checks(create: &CreateTable, table: &Relation, scope: &Scope) -> Result<Vec<Check>, SqlError> {
    let named = create.constraints.iter().filter_map(|constraint| constraint.name.as_ref());
    let mut taken: BTreeSet<String> = named.map(|name| name.value.clone()).collect();
    if taken.len() < create.constraints.iter().filter(|constraint| constraint.name.is_some()).count() {
        let message = format!("a constraint of relation \"{}\" is named twice", table.name);
        return Err(SqlError::new("42710", message));
    }
    let mut checks = Vec::new();
    for constraint in &create.constraints {
        let ConstraintKind::Check { condition, text } = &constraint.kind else { continue };
        let check = check_of(table, constraint, condition, text, |name| taken.contains(name), scope)?;
        taken.insert(check.name.clone());
        checks.push(check);
    }
    checks.sort_by(|check, other| check.name.cmp(&other.name));
    Ok(checks)
}

/// A CHECK of a table, under its own name or one that is not taken.
pub(super) fn check_of(
    table: &Relation,
    constraint: &TableConstraint,
    condition: &ast::Expr,
    text: &str,
    is_taken: impl Fn(&str) -> bool,
    scope: &Scope,
) -> Result<Check, SqlError> {
    let schema = scope.catalog.schema_of(table);
    let bare = unqualified(condition, &table.name, schema);
    let bound = check_condition(table, bare.as_ref().unwrap_or(condition));
    let bound = bound.map_err(|error| scope.locate(error, condition))?;
    let text = bare.map_or_else(|| text.to_owned(), |bare| bare.to_string());
    let name = match &constraint.name {
        Some(name) => name.value.clone(),
        None => choose_check_name(table, &bound, is_taken),
    };
    Ok(Check { name, condition: text })
}

/// PostgreSQL's: `t_a_check` for a condition on one column, else `t_check`, with a number where that is taken.
fn choose_check_name(table: &Relation, condition: &Expr, is_taken: impl Fn(&str) -> bool) -> String {
    let columns: BTreeSet<usize> = columns_of(condition).into_iter().collect();
    let column = match columns.first().filter(|_| columns.len() == 1) {
        Some(column) => table.columns[*column].name.as_str(),
        None => "",
    };
    numbered(&table.name, column, "check", is_taken)
}

/// The indexes of the table's keys.
fn indexes(create: &CreateTable, table: &Relation, scope: &Scope) -> Result<Vec<Relation>, SqlError> {
    let mut indexes: Vec<Relation> = Vec::new();
    for constraint in &create.constraints {
        let (names, uniqueness) = match &constraint.kind {
            ConstraintKind::PrimaryKey(names) => (names, Uniqueness::Primary),
            ConstraintKind::Unique(names) => (names, Uniqueness::Unique),
            ConstraintKind::Check { .. } => continue,
        };
        if !create.keep_rows {
            return Err(SqlError::new("0A000", "a stream cannot have a key")
                .detail("With append_only and retention = '0' it keeps no rows that could be compared.")
                .position(constraint.position));
        }
        let columns = key_columns(names, table, uniqueness, constraint)?;
        let is_taken = |name: &str| {
            scope.catalog.in_schema(table.schema, name).is_some()
                || name == table.name
                || indexes.iter().any(|index| index.name == name)
        };
        let name = match &constraint.name {
            Some(name) => name.value.clone(),
            None => key_name(table, &columns, uniqueness, is_taken),
        };
        indexes.push(index_of(table, name, &columns, uniqueness, scope.catalog));
    }
    Ok(indexes)
}

fn key_columns(
    names: &[Name],
    table: &Relation,
    uniqueness: Uniqueness,
    constraint: &TableConstraint,
) -> Result<Vec<usize>, SqlError> {
    let mut columns = Vec::new();
    for name in names {
        let column = position(name, &table.columns, constraint)?;
        if columns.contains(&column) {
            let kind = if uniqueness == Uniqueness::Primary { "primary key" } else { "unique" };
            let message = format!("column \"{}\" appears twice in {kind} constraint", name.value);
            return Err(SqlError::new("42701", message).position(name.position));
        }
        index::refuse_unordered(table.columns[column].data_type, "btree")?;
        columns.push(column);
    }
    Ok(columns)
}

/// PostgreSQL's: `t_pkey`, `t_a_b_key`, with a number where that is taken.
pub(super) fn key_name(
    table: &Relation,
    columns: &[usize],
    uniqueness: Uniqueness,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    let names: Vec<&str> = columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let (middle, label) = match uniqueness {
        Uniqueness::Primary => (String::new(), "pkey"),
        Uniqueness::Unique | Uniqueness::Index | Uniqueness::None => (names.join("_"), "key"),
    };
    numbered(&table.name, &middle, label, is_taken)
}

/// The index that keeps a table by a key.
pub(super) fn index_of(
    table: &Relation,
    name: String,
    columns: &[usize],
    uniqueness: Uniqueness,
    catalog: &Catalog,
) -> Relation {
    let column = |place: &usize| table.columns[*place].clone();
    let keys: Vec<IndexKey> = columns
        .iter()
        .map(|place| IndexKey { expr: Expr::Column(*place), text: quoted(&table.columns[*place].name) })
        .collect();
    let definition = index::definition(
        &name,
        &catalog.qualified(table),
        true,
        "btree",
        keys.iter().map(|key| key.text.clone()),
    );
    let kind = RelationKind::Index { on: table.id, columns: table.types(), keys, definition, uniqueness };
    Relation {
        id: ID_LATER,
        name,
        schema: table.schema,
        columns: columns.iter().map(column).collect(),
        kind,
        created: CREATED_LATER,
    }
}
