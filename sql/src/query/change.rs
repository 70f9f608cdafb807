//! Changes of rows: what INSERT, UPDATE and DELETE read, and what they check and give back.
//!
//! ```text
//!   source     the rows to write, and of UPDATE and DELETE those to take away, behind one another in one row:
//!              INSERT new │ UPDATE old, new [, FROM] │ DELETE old [, USING]
//!   checks     over the rows to write: those that a CHECK makes false
//!   conflict   ON CONFLICT DO UPDATE, over the row that is there and the one that was proposed: old, new
//!   returning  over the rows written (DELETE: taken away) [, FROM or USING]
//! ```
//! Whoever runs a change evaluates them in this order: the last three read rows that the statement itself has
//! at hand (`STATEMENT_ROWS`), so that each is computed once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::sql::sqlparser::ast::{self, SelectItem, TableWithJoins};
use millrace_engine::{Compiler, DataType, Expr, Literal, RelationId};

use super::binder::{self, Binder, BoundQuery, Environment, check_assignment};
use super::expr::{ExprBinder, call};
use super::exprs::volatile_call;

use super::from::Source;
use super::rel::{JoinKind, Rel};
use super::scope::{Scope, ScopeColumn};
use super::typed::{ParameterTypes, Typed, cast_known};
use super::types::display;
use super::volatile::next_value;
use super::{Parameters, Query, unnest};
use crate::bound::Origin;
use crate::catalog::{Catalog, Column, Generated, Relation, RelationKind, Uniqueness};
use crate::compile::ExprCompiler;
use crate::error::SqlError;
use crate::parse;
use crate::statement::Overriding;
use crate::zone::UTC;

/// By this id queries read the rows that their own statement has at hand.
pub(crate) const STATEMENT_ROWS: RelationId = RelationId((1 << 62) - 1);

/// A change of a table's rows.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table.
    pub table: Arc<Relation>,
    /// The name of its schema.
    pub schema: String,
    /// Which statement it is.
    pub kind: ChangeKind,
    /// What it reads.
    pub source: Query,
    /// Each CHECK by its name: of the rows to write (`Query::execute_over`) those that break it.
    pub checks: Vec<(String, Query)>,
    /// RETURNING, over the rows written.
    pub returning: Option<Query>,
    /// Of what the table may have one row only.
    pub keys: Vec<RowKey>,
    /// The types of the statement's parameters.
    pub parameter_types: Vec<DataType>,
}

/// The statement that a change is.
#[derive(Clone, Debug)]
pub enum ChangeKind {
    /// INSERT, and what becomes of rows whose key is there.
    Insert(Option<OnConflict>),
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Which keys make a conflict: positions in `Change::keys`.
    pub arbiters: Vec<usize>,
    /// DO UPDATE: over the row that is there and then the one that was proposed, the row that goes and then the
    /// one that comes, of those that WHERE lets pass. None: DO NOTHING.
    pub update: Option<Query>,
}

/// A key by which an index keeps a table.
#[derive(Clone, Debug)]
pub struct RowKey {
    /// The index that keeps the table by it.
    pub index: RelationId,
    /// Its name.
    pub name: String,
    /// Whether no two rows may have the same.
    pub is_unique: bool,
    /// How the key's parts are written.
    pub texts: Vec<String>,
    /// The parts' types.
    pub types: Vec<DataType>,
    /// The parts over the table's columns.
    exprs: Vec<Expr>,
    columns: Vec<DataType>,
}

impl RowKey {
    /// The keys of which a table may have one row only, the oldest index's first.
    pub fn unique_of(catalog: &Catalog, table: &Relation) -> Vec<RowKey> {
        let keys = catalog.indexes(table.id).filter_map(|index| RowKey::new(table, index));
        keys.filter(|key| key.is_unique).collect()
    }

    /// The key of an index of a relation; `None` where it is no index.
    pub fn new(relation: &Relation, index: &Relation) -> Option<RowKey> {
        let RelationKind::Index { keys, uniqueness, .. } = &index.kind else { return None };
        Some(RowKey {
            index: index.id,
            name: index.name.clone(),
            is_unique: *uniqueness != Uniqueness::None,
            texts: keys.iter().map(|key| key.text.clone()).collect(),
            types: index.types(),
            exprs: keys.iter().map(|key| key.expr.clone()).collect(),
            columns: relation.types(),
        })
    }

    /// The keys of whole rows of the table, a column a part.
    ///
    /// # Errors
    /// Those of an expression.
    pub fn of_rows(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, SqlError> {
        let part = |expr: &Expr| match expr {
            Expr::Column(column) => Ok(Arc::clone(rows.column(*column))),
            computed => {
                let compiled = ExprCompiler.compile(computed, &self.columns).map_err(SqlError::internal)?;
                let value = compiled.evaluate(rows).and_then(|value| value.into_array(rows.num_rows()));
                value.map_err(|error| crate::adhoc::from_datafusion(&error))
            }
        };
        self.exprs.iter().map(part).collect()
    }

    /// Whether the key is by exactly these columns.
    fn is_by(&self, wanted: &BTreeSet<usize>) -> bool {
        let column = |expr: &Expr| if let Expr::Column(column) = expr { Some(*column) } else { None };
        let own: Option<BTreeSet<usize>> = self.exprs.iter().map(column).collect();
        own.as_ref() == Some(wanted)
    }
}

/// The source of INSERT.
pub(crate) struct InsertSource<'a> {
    /// The columns that it gives, by their positions.
    pub(crate) columns: &'a [usize],
    /// The query; none: DEFAULT VALUES.
    pub(crate) query: Option<&'a ast::Query>,
    /// Whose values identity columns take where both are given.
    pub(crate) overriding: Option<Overriding>,
}

/// A value that UPDATE, or DO UPDATE, gives a column.
pub(crate) struct Assignment {
    /// The column.
    pub(crate) column: usize,
    /// The value; none: DEFAULT.
    pub(crate) value: Option<ast::Expr>,
}

/// ON CONFLICT as it was bound so far.
pub(crate) struct Conflict<'a> {
    pub(crate) target: ConflictTarget,
    /// DO UPDATE, and its WHERE.
    pub(crate) update: Option<(Vec<Assignment>, Option<&'a ast::Expr>)>,
}

/// What makes a conflict.
pub(crate) enum ConflictTarget {
    /// Any key.
    Any,
    /// The key by these columns.
    Columns(BTreeSet<usize>),
    /// The constraint of this name.
    Constraint(String),
}

/// RETURNING, and what it is asked over.
struct Returning<'a> {
    items: Option<&'a [SelectItem]>,
    scope: Scope,
    /// The types of the columns that the scope names.
    shown: Vec<DataType>,
}

/// Binds the parts of one statement.
pub(crate) struct ChangeBinder<'a> {
    binder: Binder<'a>,
    table: &'a Arc<Relation>,
    /// What the statement calls the table.
    alias: String,
    /// Whether that is the table's own name, so that it can stand behind its schema.
    is_own_name: bool,
    /// The queries that it can name.
    with: Option<Arc<ast::With>>,
}

impl<'a> ChangeBinder<'a> {
    pub(crate) fn new(
        table: &'a Arc<Relation>,
        alias: Option<&str>,
        catalog: &'a Catalog,
        parameters: Parameters<'a>,
    ) -> ChangeBinder<'a> {
        let is_own_name = alias.is_none();
        let alias = alias.unwrap_or(&table.name).to_owned();
        ChangeBinder { binder: Binder::new(catalog, parameters), table, alias, is_own_name, with: None }
    }

    /// The same with queries that the statement can name.
    pub(crate) fn naming(self, with: Option<Arc<ast::With>>) -> ChangeBinder<'a> {
        ChangeBinder { with, ..self }
    }

    /// What every part of the statement can name.
    fn environment(&self) -> Result<Environment<'static>, SqlError> {
        match &self.with {
            None => Ok(Environment::new()),
            Some(with) => self.binder.bind_with(with, &Environment::new()),
        }
    }

    /// INSERT.
    pub(crate) fn insert(
        mut self,
        source: &InsertSource,
        conflict: Option<Conflict>,
        returning: Option<&[SelectItem]>,
    ) -> Result<Change, SqlError> {
        let rows = self.inserted(source)?;
        let keys = self.keys();
        let on_conflict = conflict.map(|conflict| self.on_conflict(conflict, &keys)).transpose()?;
        let returning =
            Returning { items: returning, scope: self.scope(&self.alias), shown: self.table.types() };
        self.finish(ChangeKind::Insert(on_conflict), rows, keys, returning)
    }

    /// UPDATE … [FROM …].
    pub(crate) fn update(
        self,
        assignments: &[Assignment],
        from: &[TableWithJoins],
        selection: Option<&ast::Expr>,
        returning: Option<&[SelectItem]>,
    ) -> Result<Change, SqlError> {
        let width = self.table.columns.len();
        let source = self.chosen(from, selection)?;
        let shown = source.rel.columns();
        let extra = if returning.is_some() { width..shown.len() } else { 0..0 };
        let (mut rel, new) = self.assigned(source.rel, &source.scope, assignments, "UPDATE")?;
        let old = (0..width).map(Expr::Column);
        let outputs: Vec<Expr> = old.chain(new).chain(extra.map(Expr::Column)).collect();
        rel = rel.project(outputs);
        if !from.is_empty() {
            rel = self.once_a_row(rel);
        }
        let keys = self.keys();
        self.finish(ChangeKind::Update, rel, keys, Returning { items: returning, scope: source.scope, shown })
    }

    /// DELETE … [USING …].
    pub(crate) fn delete(
        self,
        using: &[TableWithJoins],
        selection: Option<&ast::Expr>,
        returning: Option<&[SelectItem]>,
    ) -> Result<Change, SqlError> {
        let Source { mut rel, scope } = self.chosen(using, selection)?;
        let shown = rel.columns();
        if !using.is_empty() {
            if returning.is_none() {
                rel = rel.project((0..self.table.columns.len()).map(Expr::Column).collect());
            }
            rel = self.once_a_row(rel);
        }
        let keys = self.keys();
        self.finish(ChangeKind::Delete, rel, keys, Returning { items: returning, scope, shown })
    }

    /// All rows with values that ALTER TABLE computes for each. They are computed by the names that the columns had
    /// `before`; their places are the same.
    pub(crate) fn filled(self, fills: &[Assignment], before: &Relation) -> Result<Change, SqlError> {
        let width = self.table.columns.len();
        let source = self.chosen(&[], None)?;
        let scope = table_scope(before, &before.name);
        let (environment, subqueries) = (Environment::new(), RefCell::default());
        let binder = ExprBinder::new(&scope, &self.binder.parameters, "transform expressions").within(
            &self.binder,
            &environment,
            &subqueries,
        );
        let mut new: Vec<Expr> = (0..width).map(Expr::Column).collect();
        for Assignment { column, value } in fills {
            new[*column] = match value {
                Some(value) => self.assign(binder.bind(value)?, &self.table.columns[*column])?,
                None => default_of(self.table, *column)?,
            };
        }
        let (rel, new) = unnest::attach(source.rel, new, &subqueries.take())?;
        let rel = rel.project((0..width).map(Expr::Column).chain(new).collect());
        let (keys, shown) = (self.keys(), self.table.types());
        let returning = Returning { items: None, scope: source.scope, shown };
        self.finish(ChangeKind::Update, rel, keys, returning)
    }

    /// All rows of the table, as TRUNCATE takes them away.
    pub(crate) fn truncate(self) -> Result<Change, SqlError> {
        self.delete(&[], None, None)
    }

    /// The projection that makes whole rows of the table of rows that give these columns: COPY.
    pub(crate) fn copied(self, columns: &[usize]) -> Result<Change, SqlError> {
        let types = columns.iter().map(|column| self.table.columns[*column].data_type).collect();
        let rel = self.whole_rows(Rel::scan(STATEMENT_ROWS, types), columns)?;
        let keys = self.keys();
        let returning = Returning { items: None, scope: Scope::default(), shown: Vec::new() };
        self.finish(ChangeKind::Insert(None), rel, keys, returning)
    }

    fn keys(&self) -> Vec<RowKey> {
        RowKey::unique_of(self.binder.catalog, self.table)
    }

    fn scope(&self, name: &str) -> Scope {
        let schema = self.binder.catalog.schema_of(self.table);
        let schema = (self.is_own_name && name == self.alias).then(|| schema.to_owned());
        table_scope(self.table, name).in_schema(schema)
    }

    /// The rows of the table, joined with those of FROM, for which the condition is true.
    fn chosen(&self, from: &[TableWithJoins], selection: Option<&ast::Expr>) -> Result<Source, SqlError> {
        let environment = self.environment()?;
        let (mut rel, mut scope) = (Rel::scan(self.table.id, self.table.types()), self.scope(&self.alias));
        self.binder.named.borrow_mut().insert(self.table.id);
        if !from.is_empty() {
            let other = self.binder.bind_from(from, &environment)?;
            let width = self.table.columns.len();
            scope = scope.join(other.scope, width)?;
            rel = Rel::Join {
                kind: JoinKind::Inner,
                left: Box::new(rel),
                right: Box::new(other.rel),
                on: Vec::new(),
            };
        }
        let rel = self.filtered(rel, &scope, selection)?;
        Ok(Source { rel, scope })
    }

    /// The rows for which a WHERE is true.
    fn filtered(&self, rel: Rel, scope: &Scope, selection: Option<&ast::Expr>) -> Result<Rel, SqlError> {
        let Some(condition) = selection else { return Ok(rel) };
        let (environment, subqueries) = (self.environment()?, RefCell::default());
        let predicates = ExprBinder::new(scope, &self.binder.parameters, "WHERE")
            .within(&self.binder, &environment, &subqueries)
            .bind_conjuncts(condition, "argument of WHERE")?;
        unnest::filter(rel, predicates, &subqueries.take())
    }

    /// The columns of the rows to write, over a relation that may have become wider than `scope`.
    fn assigned(
        &self,
        rel: Rel,
        scope: &Scope,
        assignments: &[Assignment],
        clause: &'static str,
    ) -> Result<(Rel, Vec<Expr>), SqlError> {
        let (environment, subqueries) = (self.environment()?, RefCell::default());
        let binder = ExprBinder::new(scope, &self.binder.parameters, clause).within(
            &self.binder,
            &environment,
            &subqueries,
        );
        let mut new: Vec<Expr> = (0..self.table.columns.len()).map(Expr::Column).collect();
        for Assignment { column, value } in assignments {
            if value.is_some() && self.identity(*column) == Some(Generated::Always) {
                let name = &self.table.columns[*column].name;
                let message = format!("column \"{name}\" can only be updated to DEFAULT");
                return Err(always_generated(message, name));
            }
            new[*column] = match value {
                Some(value) => self.assign(binder.bind(value)?, &self.table.columns[*column])?,
                None => default_of(self.table, *column)?,
            };
        }
        unnest::attach(rel, new, &subqueries.take())
    }

    fn assign(&self, value: Typed, column: &Column) -> Result<Expr, SqlError> {
        if let Some(from) = value.data_type() {
            check_assignment(&column.name, from, column.data_type)?;
        }
        self.binder.parameters.assign(value, column.data_type)
    }

    /// Each row of the table that was matched, as often as the table has it, with one of its matches: the least
    /// as a whole row. (PostgreSQL takes any.)
    fn once_a_row(&self, matched: Rel) -> Rel {
        let types = self.table.types();
        let (width, all) = (types.len(), matched.columns().len());
        let keys = (0..width).map(Expr::Column).collect();
        let first = Rel::TopK {
            input: Box::new(matched),
            keys,
            order: Vec::new(),
            skip: 0,
            fetch: Some(1),
            numbered: false,
        };
        let same = |column: usize| {
            let sides = vec![Expr::Column(column), Expr::Column(width + column)];
            Expr::Not(Box::new(call("is_distinct_from", sides, DataType::Boolean)))
        };
        let on = (0..width).map(same).collect();
        let rows = Rel::scan(self.table.id, types);
        let joined = Rel::Join { kind: JoinKind::Inner, left: Box::new(rows), right: Box::new(first), on };
        joined.project((0..width).chain(2 * width..width + all).map(Expr::Column).collect())
    }

    /// The whole rows that an INSERT proposes.
    fn inserted(&mut self, source: &InsertSource) -> Result<Rel, SqlError> {
        let Some(query) = source.query else { return self.whole_rows(Rel::unit(), &[]) };
        self.check_identities(source, query)?;
        let named: Vec<&Column> = source.columns.iter().map(|column| &self.table.columns[*column]).collect();
        let targets: Vec<DataType> = named.iter().map(|column| column.data_type).collect();
        let target = |column: &usize| {
            let name = self.table.columns[*column].name.clone();
            Ok(binder::Target { name, default: default_of(self.table, *column)? })
        };
        let environment = self.environment()?;
        self.binder.assigning = Some(source.columns.iter().map(target).collect::<Result<_, SqlError>>()?);
        let bound = self.binder.bind_query(query, &environment, Some(&targets))?;
        self.binder.assigning = None;
        let own = bound.rel.columns();
        if own.len() != named.len() {
            let message = if own.len() > named.len() {
                "INSERT has more expressions than target columns"
            } else {
                "INSERT has more target columns than expressions"
            };
            return Err(SqlError::new("42601", message));
        }
        for (column, from) in named.iter().zip(&own) {
            check_assignment(&column.name, *from, column.data_type)?;
        }
        let rel = binder::assign_columns(bound.rel, &targets, &self.binder.parameters)?;
        if source.overriding != Some(Overriding::User) {
            return self.whole_rows(rel, source.columns);
        }
        let taken: Vec<usize> =
            (0..source.columns.len()).filter(|at| self.identity(source.columns[*at]).is_none()).collect();
        let columns: Vec<usize> = taken.iter().map(|at| source.columns[*at]).collect();
        self.whole_rows(rel.project(taken.into_iter().map(Expr::Column).collect()), &columns)
    }

    /// How an identity column was declared.
    fn identity(&self, column: usize) -> Option<Generated> {
        let drawn = self.table.rules().and_then(|rules| rules.drawn_of(column));
        drawn.map(|drawn| drawn.generated).filter(|generated| *generated != Generated::Default)
    }

    /// 428C9 where an INSERT gives a value to a column that is always the sequence's.
    fn check_identities(&self, source: &InsertSource, query: &ast::Query) -> Result<(), SqlError> {
        if source.overriding.is_some() {
            return Ok(());
        }
        let all_default = |at: usize| match query.body.as_ref() {
            ast::SetExpr::Values(values) => {
                values.rows.iter().all(|row| row.content.get(at).is_some_and(binder::is_default))
            }
            _ => false,
        };
        let given = source.columns.iter().enumerate();
        let mut always = given.filter(|(_, column)| self.identity(**column) == Some(Generated::Always));
        match always.find(|(at, _)| !all_default(*at)) {
            None => Ok(()),
            Some((_, column)) => {
                let name = &self.table.columns[*column].name;
                let message = format!("cannot insert a non-DEFAULT value into column \"{name}\"");
                Err(always_generated(message, name).hint("Use OVERRIDING SYSTEM VALUE to override."))
            }
        }
    }

    /// Whole rows of the table, of a relation that has these columns of it in their types; the others get their
    /// defaults.
    fn whole_rows(&self, rel: Rel, columns: &[usize]) -> Result<Rel, SqlError> {
        if columns.iter().copied().eq(0..self.table.columns.len()) {
            return Ok(rel);
        }
        let place = |column: usize| match columns.iter().position(|given| *given == column) {
            Some(source) => Ok(Expr::Column(source)),
            None => default_of(self.table, column),
        };
        Ok(rel.project((0..self.table.columns.len()).map(place).collect::<Result<_, SqlError>>()?))
    }

    fn on_conflict(&self, conflict: Conflict, keys: &[RowKey]) -> Result<OnConflict, SqlError> {
        let arbiters: Vec<usize> = match &conflict.target {
            ConflictTarget::Any => (0..keys.len()).collect(),
            ConflictTarget::Columns(columns) => {
                let arbiters: Vec<usize> = (0..keys.len()).filter(|key| keys[*key].is_by(columns)).collect();
                if arbiters.is_empty() {
                    let message =
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                    return Err(SqlError::new("42P10", message));
                }
                arbiters
            }
            ConflictTarget::Constraint(name) => {
                let named = keys.iter().position(|key| key.name == *name);
                vec![named.ok_or_else(|| {
                    let message =
                        format!("constraint \"{name}\" for table \"{}\" does not exist", self.table.name);
                    SqlError::new("42704", message)
                })?]
            }
        };
        let update =
            conflict.update.map(|(assignments, selection)| self.conflict_update(&assignments, selection));
        Ok(OnConflict { arbiters, update: update.transpose()? })
    }

    /// DO UPDATE SET … WHERE …: the table's own name means the row that is there, `excluded` the other.
    fn conflict_update(
        &self,
        assignments: &[Assignment],
        selection: Option<&ast::Expr>,
    ) -> Result<Query, SqlError> {
        let types = self.table.types();
        let width = types.len();
        let pairs = Rel::scan(STATEMENT_ROWS, [types.clone(), types].concat());
        let scope = self.scope(&self.alias).join(self.scope("excluded"), width)?;
        let chosen = self.filtered(pairs, &scope, selection)?;
        let (rel, new) = self.assigned(chosen, &scope, assignments, "UPDATE")?;
        let rel = rel.project((0..width).map(Expr::Column).chain(new).collect());
        self.query(rel)
    }

    /// A query without names, of a part of the statement.
    fn query(&self, rel: Rel) -> Result<Query, SqlError> {
        let names = (0..rel.columns().len()).map(|column| format!("column{column}")).collect::<Vec<_>>();
        let untyped = vec![false; names.len()];
        Query::new(BoundQuery { rel, names, untyped, origins: Vec::new() }, &self.binder)
    }

    /// Of the rows to write those that a CHECK makes false. NULL is not false.
    fn checks(&self) -> Result<Vec<(String, Query)>, SqlError> {
        let RelationKind::Table { rules, .. } = &self.table.kind else { return Ok(Vec::new()) };
        let check = |check: &crate::catalog::Check| {
            let condition = check_condition(self.table, &parse::expression(&check.condition)?)?;
            let failing = call(
                "is_distinct_from",
                vec![condition, Expr::Literal(Literal::Boolean(false))],
                DataType::Boolean,
            );
            let rel =
                Rel::scan(STATEMENT_ROWS, self.table.types()).filter(vec![Expr::Not(Box::new(failing))]);
            Ok((check.name.clone(), self.query(rel)?))
        };
        rules.checks.iter().map(check).collect()
    }

    fn finish(
        self,
        kind: ChangeKind,
        source: Rel,
        keys: Vec<RowKey>,
        returning: Returning,
    ) -> Result<Change, SqlError> {
        let source = self.query(source)?;
        let checks = if matches!(kind, ChangeKind::Delete) { Vec::new() } else { self.checks()? };
        let Returning { items, scope, shown } = returning;
        let environment = self.environment()?;
        let returned = |items: &[SelectItem]| {
            let rel = Rel::scan(STATEMENT_ROWS, shown);
            let bound = self.binder.bind_returning(items, &scope, rel, &environment)?;
            Query::new(bound, &self.binder)
        };
        let returning = items.map(returned).transpose()?;
        let parameter_types = self.binder.parameters.finish()?;
        let table = Arc::clone(self.table);
        let schema = self.binder.catalog.schema_of(&table).to_owned();
        Ok(Change { table, schema, kind, source, checks, returning, keys, parameter_types })
    }
}

/// The columns of a table that can be named, in their places.
pub(super) fn table_scope(table: &Relation, name: &str) -> Scope {
    let columns = table.columns.iter().map(|column| (column.name.clone(), column.data_type));
    let Scope { columns } = Scope::of_table(name, columns);
    let column = |(place, _): (usize, &Column)| {
        let origin = Some(Origin { relation: table.id, column: table.number(place) });
        ScopeColumn { origin, ..columns[place].clone() }
    };
    Scope { columns: table.visible().map(column).collect() }
}

/// 428C9, PostgreSQL's words.
fn always_generated(message: String, column: &str) -> SqlError {
    SqlError::new("428C9", message)
        .detail(format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS."))
}

/// The value that a column has where none is given.
fn default_of(table: &Relation, column: usize) -> Result<Expr, SqlError> {
    let rules = table.rules().ok_or_else(|| SqlError::internal("a default of what is no table"))?;
    if let Some(drawn) = rules.drawn_of(column) {
        return cast_known(
            next_value(drawn.sequence),
            DataType::Int64,
            table.columns[column].data_type,
            &UTC,
        );
    }
    match rules.default_of(column) {
        Some(text) => default_expression(&parse::expression(text)?, &table.columns[column]),
        None => Ok(Expr::Literal(Literal::Null(table.columns[column].data_type))),
    }
}

/// A default, in its column's type. It is kept as text, so it is read in one time zone for all: UTC.
///
/// # Errors
/// 0A000, 42803 and the like for what a default cannot be; 42804 where its type does not fit.
pub(crate) fn default_expression(expr: &ast::Expr, column: &Column) -> Result<Expr, SqlError> {
    let (scope, parameters) = (Scope::default(), ParameterTypes::new(Parameters::values(&[])));
    let typed = ExprBinder::new(&scope, &parameters, "DEFAULT expressions").bind(expr);
    let typed = typed.map_err(|error| match error.sqlstate.as_str() {
        "42703" | "42P01" => SqlError::new("0A000", "cannot use column reference in DEFAULT expression"),
        _ => error,
    })?;
    if let Some(from) = typed.data_type()
        && !binder::assignable(from, column.data_type)
    {
        let message = format!(
            "column \"{}\" is of type {} but default expression is of type {}",
            column.name,
            display(column.data_type),
            display(from)
        );
        return Err(SqlError::new("42804", message).hint("You will need to rewrite or cast the expression."));
    }
    parameters.assign(typed, column.data_type)
}

/// The condition of a CHECK, over the table's columns. Whether a row breaks it must not depend on the session, so
/// it is read and computed in UTC.
///
/// # Errors
/// What binding it raises.
pub(crate) fn check_condition(table: &Relation, expr: &ast::Expr) -> Result<Expr, SqlError> {
    let scope = table_scope(table, &table.name);
    let parameters = ParameterTypes::new(Parameters::values(&[]));
    let condition =
        ExprBinder::new(&scope, &parameters, "check constraints").bind_boolean(expr, "argument of CHECK")?;
    match volatile_call(&condition) {
        Some(name) => Err(SqlError::unsupported(format_args!("{name}() in a CHECK constraint"))),
        None => Ok(condition),
    }
}

/// The type of an expression over a table's columns; none of NULL and a quoted literal.
///
/// # Errors
/// What binding it raises.
pub(crate) fn type_over(table: &Relation, expr: &ast::Expr) -> Result<Option<DataType>, SqlError> {
    let (scope, parameters) = (table_scope(table, &table.name), ParameterTypes::new(Parameters::values(&[])));
    let typed = ExprBinder::new(&scope, &parameters, "transform expressions").bind(expr)?;
    Ok(typed.full_type())
}
