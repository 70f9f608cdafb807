//! FROM: tables, views, sub-queries and their joins.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableWithJoins,
};
use millrace_engine::{DataType, Expr};

use super::binder::{Binder, BoundQuery, Environment};
use super::call_in_from::CallsInFrom;
use super::expr::{ExprBinder, call};
use super::exprs::columns_of;
use super::rel::{JoinKind, Rel};
use super::scope::{Scope, ScopeColumn, TableName, fold, fold_name};
use super::surroundings::Frame;
use super::typed::Typed;
use super::unnest::{self, Sides};
use super::volatile::sequence_row;
use crate::bind::is_an_index;
use crate::bound::Origin;
use crate::catalog::{Found, Known, PUBLIC_PATH, Relation, RelationKind};
use crate::error::SqlError;
use crate::parse::{self, NAMELESS};
use crate::system::SystemRelation;

/// FROM clauses with more tables are refused, so that no walk over the joins exhausts the stack.
const TABLES_MAX: usize = 100;

/// A relation with the names of its columns.
pub(crate) struct Source {
    pub(crate) rel: Rel,
    pub(crate) scope: Scope,
}

impl Source {
    fn width(&self) -> usize {
        self.rel.columns().len()
    }
}

type Bound = Result<Source, SqlError>;

/// What names of relations mean in a text.
pub(crate) enum Names {
    /// What they mean to the session.
    Statement,
    /// What they meant when the view was created.
    View(Arc<[Known]>),
    /// What is in the schema `public`: in a view of the time before there were others.
    OldView,
}

/// What a name means in a text.
pub(super) enum Named<'c> {
    System(SystemRelation),
    /// A relation, as the text knows it.
    Relation(&'c Arc<Relation>, Known),
}

impl Binder<'_> {
    /// Binds a FROM clause; without one there is one row without columns.
    pub(crate) fn bind_from(&self, from: &[TableWithJoins], environment: &Environment) -> Bound {
        let count: usize = from.iter().map(|table| 1 + table.joins.len()).sum();
        if count > TABLES_MAX {
            return Err(SqlError::new("54001", "stack depth limit exceeded")
                .detail(format!("A FROM clause may join {TABLES_MAX} tables.")));
        }
        let mut tables = from.iter();
        let Some(first) = tables.next() else {
            return Ok(Source { rel: Rel::unit(), scope: Scope::default() });
        };
        let first = self.bind_joins(first, environment)?;
        tables.try_fold(first, |left, next| {
            let frame = Frame::beside(&left.scope, environment.outer);
            let right = self.bind_joins(next, &environment.inside(&frame))?;
            let arguments = frame.into_arguments();
            self.join(left, right, arguments, JoinKind::Inner, &JoinConstraint::None, environment)
        })
    }

    fn bind_joins(&self, table: &TableWithJoins, environment: &Environment) -> Bound {
        let first = self.bind_factor(&table.relation, environment)?;
        table.joins.iter().try_fold(first, |left, join| {
            let frame = Frame::beside(&left.scope, environment.outer);
            let right = self.bind_factor(&join.relation, &environment.inside(&frame))?;
            let arguments = frame.into_arguments();
            let (kind, constraint) = join_kind(&join.join_operator)?;
            let crossed = matches!(join.join_operator, JoinOperator::CrossJoin(_));
            if !crossed && matches!(constraint, JoinConstraint::None) {
                return Err(SqlError::new(
                    "42601",
                    format!("a join of {} without ON or USING", join.relation),
                ));
            }
            self.join(left, right, arguments, kind, constraint, environment)
        })
    }

    fn bind_factor(&self, factor: &TableFactor, environment: &Environment) -> Bound {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. } => {
                self.bind_table(&fold_name(name), alias.as_ref(), environment)
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let bound = match lateral {
                    true => self.bind_query(subquery, &environment.lateral(), None)?,
                    false => self.bind_query(subquery, environment, None)?,
                };
                let name = alias.as_ref().map(|alias| fold(&alias.name));
                let scope = Scope::named(name, bound.columns()).with_origins(bound.origins);
                renamed(Source { rel: bound.rel, scope }, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.bind_joins(table_with_joins, environment)
            }
            TableFactor::Table {
                name, args: Some(arguments), alias, with_ordinality, sample: None, ..
            } => {
                let calls = CallsInFrom::new(name, &arguments.args, *with_ordinality, alias.as_ref())?;
                self.bind_calls(&calls, environment)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                let calls = CallsInFrom::new(name, args, *with_ordinality, alias.as_ref())?;
                self.bind_calls(&calls, environment)
            }
            TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality, alias, .. } => {
                let calls = CallsInFrom::unnest(array_exprs, *with_ordinality, alias.as_ref());
                self.bind_calls(&calls, environment)
            }
            TableFactor::TableFunction { .. } => Err(SqlError::unsupported("TABLE(…)")),
            other => Err(SqlError::unsupported(format_args!("FROM {other}"))),
        }
    }

    fn bind_table(&self, name: &[String], alias: Option<&TableAlias>, environment: &Environment) -> Bound {
        let Some(Some(TableName { schema, table })) = TableName::of_parts(name) else {
            let message = format!("cross-database references are not implemented: \"{}\"", name.join("."));
            return Err(SqlError::new("0A000", message));
        };
        let alias_name = alias.map_or_else(|| table.clone(), |alias| fold(&alias.name));
        if schema.is_none()
            && let Some(cte) = environment.get(&table)
        {
            let scope = Scope::of_table(&alias_name, cte.columns()).with_origins(cte.origins.clone());
            return renamed(Source { rel: cte.rel, scope }, alias);
        }
        let found = self.found(schema.as_deref(), &table).ok_or_else(|| {
            let schema = schema.map(|schema| format!("{schema}.")).unwrap_or_default();
            SqlError::new("42P01", format!("relation \"{schema}{table}\" does not exist"))
        })?;
        let (rel, scope, schema) = match found {
            Named::System(system) => {
                let columns = system.columns().into_iter().map(|column| (column.name, column.data_type));
                let scope = Scope::of_table(&alias_name, columns).of_relation(system.id());
                (Rel::scan(system.id(), scope.types()), scope, system.schema().name().to_owned())
            }
            Named::Relation(relation, known) => {
                let (rel, named) = self.scan(relation, &known)?;
                let origin = |place| Some(Origin { relation: relation.id, column: relation.number(place) });
                let origins = named_places(relation, &known).into_iter().map(origin);
                (rel, Scope::of_table(&alias_name, named).with_origins(origins), known.schema)
            }
        };
        let scope = scope.in_schema(alias.is_none().then_some(schema));
        renamed(Source { rel, scope }, alias)
    }

    /// All rows of a relation, and its columns' names and types.
    fn scan(&self, relation: &Relation, known: &Known) -> Result<(Rel, Vec<(String, DataType)>), SqlError> {
        match &relation.kind {
            RelationKind::Index { .. } => return Err(is_an_index(&relation.name)),
            RelationKind::Sequence(_) => {
                self.named.borrow_mut().insert(relation.id);
                let named = relation.columns.iter().map(|column| (column.name.clone(), column.data_type));
                let rows = vec![sequence_row(relation.id)];
                return Ok((Rel::Values { rows, columns: relation.types() }, named.collect()));
            }
            RelationKind::Table { .. }
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. } => {}
        }
        self.named.borrow_mut().insert(relation.id);
        match self.catalog.text_of(relation) {
            Some((text, names)) => self.expanded(relation, text, names),
            None => Ok(self.rows_of(relation, known)),
        }
    }

    /// What a name means in the text at hand: that of a view knows the relations of its creation.
    pub(super) fn found(&self, schema: Option<&str>, name: &str) -> Option<Named<'_>> {
        let path = match &*self.names.borrow() {
            Names::Statement => self.parameters.path,
            Names::OldView => &PUBLIC_PATH,
            Names::View(known) => {
                let is_meant = |known: &&Known| {
                    known.name == name && schema.map_or(known.is_visible, |schema| known.schema == schema)
                };
                let known = known.iter().find(is_meant)?;
                return Some(Named::Relation(self.catalog.by_id(known.id)?, known.clone()));
            }
        };
        Some(match self.catalog.lookup(schema, name, path)? {
            Found::System(system) => Named::System(system),
            Found::Relation(relation) => {
                let known = Known::now(relation, self.catalog.schema_of(relation), schema.is_none());
                Named::Relation(relation, known)
            }
        })
    }

    /// The rows of a relation, with the columns that the text at hand can name.
    fn rows_of(&self, relation: &Relation, known: &Known) -> (Rel, Vec<(String, DataType)>) {
        let types = relation.types();
        let places = named_places(relation, known);
        let named = places.iter().filter_map(|place| Some((known.columns[*place].clone()?, types[*place])));
        let named = named.collect();
        let rel = Rel::scan(relation.id, types);
        let rel = match places.iter().copied().eq(0..relation.columns.len()) {
            true => rel,
            false => rel.project(places.into_iter().map(Expr::Column).collect()),
        };
        (rel, named)
    }

    /// A view as its query. The names that the query reads are the view's own affair, not the statement's.
    fn expanded(
        &self,
        view: &Relation,
        text: &str,
        known: Option<&[Known]>,
    ) -> Result<(Rel, Vec<(String, DataType)>), SqlError> {
        let query = parse::query(text)?;
        let named = self.named.borrow().clone();
        let names = known.map_or(Names::OldView, |known| Names::View(known.into()));
        let outside = self.names.replace(names);
        let bound = self.bind_query(&query, &Environment::new(), None);
        self.names.replace(outside);
        self.named.replace(named);
        let BoundQuery { mut rel, .. } = bound?;
        // It may be read several times, and each time it has to be the same rows.
        rel.fix_limits();
        let names = view.columns.iter().map(|column| (column.name.clone(), column.data_type)).collect();
        Ok((rel, names))
    }

    /// Joins two sources; the right one reads `arguments` over the left one's columns.
    fn join(
        &self,
        left: Source,
        right: Source,
        arguments: Vec<Expr>,
        kind: JoinKind,
        constraint: &JoinConstraint,
        environment: &Environment,
    ) -> Bound {
        let reads_left = arguments.iter().any(|argument| !columns_of(argument).is_empty());
        if reads_left && !matches!(kind, JoinKind::Inner | JoinKind::Left) {
            return Err(not_combining(&left.scope, &arguments));
        }
        let shared = match constraint {
            JoinConstraint::Using(names) => {
                names.iter().map(|name| fold_name(name).pop().unwrap_or_default()).collect()
            }
            JoinConstraint::Natural => shared_names(&left.scope, &right.scope),
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        let width = left.width();
        let pairs = shared
            .iter()
            .map(|name| shared_pair(name, &left.scope, &right.scope, width))
            .collect::<Result<Vec<_>, _>>()?;
        let scope = left.scope.join(right.scope, width)?;
        let subqueries = RefCell::default();
        let on = match constraint {
            JoinConstraint::On(condition) => ExprBinder::new(&scope, &self.parameters, "JOIN conditions")
                .within(self, environment, &subqueries)
                .bind_conjuncts(condition, "argument of JOIN/ON")?,
            _ => self.equalities(&pairs, &scope)?,
        };
        let sides = Sides { kind, left: left.rel, right: right.rel, arguments };
        let rel = unnest::join(sides, on, &subqueries.borrow())?;
        if pairs.is_empty() {
            return Ok(Source { rel, scope });
        }
        self.merge(rel, scope, kind, &pairs)
    }

    fn equalities(&self, pairs: &[(ScopeColumn, ScopeColumn)], scope: &Scope) -> Result<Vec<Expr>, SqlError> {
        let binder = ExprBinder::new(scope, &self.parameters, "JOIN conditions");
        pairs.iter().map(|(left, right)| binder.comparison("equal", "=", typed(left), typed(right))).collect()
    }

    /// Gives the shared columns of USING their one merged column, which comes first in `*`.
    fn merge(
        &self,
        rel: Rel,
        mut scope: Scope,
        kind: JoinKind,
        pairs: &[(ScopeColumn, ScopeColumn)],
    ) -> Bound {
        let mut outputs: Vec<Expr> = (0..rel.columns().len()).map(Expr::Column).collect();
        let mut merged = Vec::new();
        for (left, right) in pairs {
            let name = left.name.clone();
            for column in &mut scope.columns {
                column.merged |= column.position == left.position || column.position == right.position;
            }
            let operands = [typed(left), typed(right)];
            let data_type = super::expr::matched_type("JOIN/USING", &operands)?;
            let binder = ExprBinder::new(&scope, &self.parameters, "JOIN conditions");
            let value = match (kind, binder.all_as(operands.to_vec(), data_type)?.as_slice()) {
                (JoinKind::Full, both) => call("coalesce", both.to_vec(), data_type),
                (JoinKind::Right, [_, value]) => value.clone(),
                (_, [value, ..]) => value.clone(),
                (_, []) => return Err(SqlError::internal("a merged column of nothing")),
            };
            let position = match value {
                Expr::Column(position) => position,
                computed => {
                    outputs.push(computed);
                    outputs.len() - 1
                }
            };
            let origin = scope.origin(position);
            let (table, schema) = (None, None);
            merged.push(ScopeColumn { table, schema, name, data_type, position, merged: false, origin });
        }
        merged.append(&mut scope.columns);
        let scope = Scope { columns: merged };
        let rel = if outputs.len() > rel.columns().len() { rel.project(outputs) } else { rel };
        Ok(Source { rel, scope })
    }
}

fn typed(column: &ScopeColumn) -> Typed {
    Typed::Known(Expr::Column(column.position), column.data_type)
}

/// PostgreSQL's words for LATERAL on the side whose rows are kept.
fn not_combining(left: &Scope, arguments: &[Expr]) -> SqlError {
    let column = arguments.iter().flat_map(columns_of).next();
    let named = left.columns.iter().find(|own| Some(own.position) == column && own.table.is_some());
    let table = named.and_then(|column| column.table.clone()).unwrap_or_default();
    SqlError::new("42P10", format!("invalid reference to FROM-clause entry for table \"{table}\""))
        .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
}

/// The names that both sides show, in the left side's order.
fn shared_names(left: &Scope, right: &Scope) -> Vec<String> {
    let names = left.visible().map(|column| &column.name);
    names.filter(|name| right.visible().any(|column| column.name == **name)).cloned().collect()
}

/// The two columns of a name of USING, by their positions after the join.
fn shared_pair(
    name: &str,
    left: &Scope,
    right: &Scope,
    width: usize,
) -> Result<(ScopeColumn, ScopeColumn), SqlError> {
    let find = |scope: &Scope, side: &str| {
        scope.find(name)?.cloned().ok_or_else(|| {
            let message =
                format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            SqlError::new("42703", message)
        })
    };
    let (left, right) = (find(left, "left")?, find(right, "right")?);
    let position = right.position + width;
    Ok((left, ScopeColumn { position, ..right }))
}

fn join_kind(operator: &JoinOperator) -> Result<(JoinKind, &JoinConstraint), SqlError> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinKind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
        other => return Err(SqlError::unsupported(format_args!("the join {other:?}"))),
    })
}

/// Applies the column names of an alias: `AS t (a, b)`. Only those of calls have types, too.
fn renamed(source: Source, alias: Option<&TableAlias>) -> Bound {
    let mut typed =
        alias.iter().flat_map(|alias| &alias.columns).filter_map(|column| column.data_type.as_ref());
    if alias.is_some_and(|alias| fold(&alias.name) == NAMELESS) {
        return Err(SqlError::new("42601", "syntax error at or near \"(\""));
    }
    match typed.next() {
        Some(data_type) => Err(SqlError::new(
            "42601",
            format!("syntax error at or near \"{}\"", data_type.to_string().to_lowercase()),
        )),
        None => with_names_of(source, alias),
    }
}

/// Applies the column names of an alias, whatever types stand beside them.
pub(super) fn with_names_of(mut source: Source, alias: Option<&TableAlias>) -> Bound {
    let Some(alias) = alias else { return Ok(source) };
    let available = source.scope.columns.len();
    if alias.columns.len() > available {
        return Err(SqlError::new(
            "42P10",
            format!(
                "table \"{}\" has {available} columns available but {} columns specified",
                fold(&alias.name),
                alias.columns.len()
            ),
        ));
    }
    for (column, name) in source.scope.columns.iter_mut().zip(&alias.columns) {
        column.name = fold(&name.name);
    }
    Ok(source)
}

/// Whether a select item names the tables of a FROM clause by a wildcard.
pub(crate) fn wildcard_table(kind: &ast::SelectItemQualifiedWildcardKind) -> Result<TableName, SqlError> {
    match kind {
        ast::SelectItemQualifiedWildcardKind::ObjectName(name) => {
            let parts = fold_name(name);
            let missing = || {
                let message = format!("missing FROM-clause entry for table \"{}\"", parts.join("."));
                SqlError::new("42P01", message)
            };
            TableName::of_parts(&parts).flatten().ok_or_else(missing)
        }
        ast::SelectItemQualifiedWildcardKind::Expr(_) => {
            Err(SqlError::unsupported("the expansion of a composite value"))
        }
    }
}

/// The places of the columns that a text can name, in the order in which it sees them.
fn named_places(relation: &Relation, known: &Known) -> Vec<usize> {
    let width = relation.columns.len().min(known.columns.len());
    let is_named = |place: &usize| *place < width && known.columns[*place].is_some();
    match known.order.as_slice() {
        [] => (0..width).filter(is_named).collect(),
        order => order.iter().copied().filter(is_named).collect(),
    }
}
