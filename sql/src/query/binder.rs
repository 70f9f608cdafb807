//! Queries: WITH, VALUES, ORDER BY and LIMIT around them. (select.rs has SELECT, set_operation.rs UNION and its kin.)

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    self, LimitClause, OrderByExpr, OrderByKind, Query, SetExpr, Values, With,
};
use millrace_engine::{DataType, Expr, Literal, RelationId};

use super::expr::{ExprBinder, unmatched};
use super::from::Names;
use super::rel::{Rel, SortKey};
use super::scope::{Scope, fold};
use super::typed::{ParameterTypes, Typed, cast_known};
use super::types::display;
use super::unnest::{self, Subquery};
use crate::bound::Origin;
use crate::catalog::Catalog;
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::functions::{self, Context, common_type};
use crate::zone::Zone;

pub(crate) use super::surroundings::Environment;

/// What a column without a type of its own (a quoted literal, NULL) is to become: by position, for
/// a branch of UNION and for the source of INSERT.
pub(crate) type Targets<'a> = Option<&'a [DataType]>;

/// Queries nested deeper than this are refused, so that no walk over one exhausts the stack.
const DEPTH_MAX: usize = 50;

/// Binds one statement.
pub(crate) struct Binder<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) parameters: ParameterTypes<'a>,
    pub(crate) depth: std::cell::Cell<usize>,
    /// The columns of an INSERT, in the order of its source: VALUES are assigned one by one.
    pub(crate) assigning: Option<Vec<Target>>,
    /// Whether branches of a UNION are bound only to learn their types.
    pub(crate) probing: std::cell::Cell<bool>,
    /// The relations that the statement's own text names.
    pub(crate) named: RefCell<BTreeSet<RelationId>>,
    /// What names of relations mean in the text at hand.
    pub(crate) names: RefCell<Names>,
}

/// A column that an INSERT gives values.
pub(crate) struct Target {
    pub(crate) name: String,
    /// What DEFAULT is, in the column's type.
    pub(crate) default: Expr,
}

/// A bound query.
#[derive(Clone, Debug)]
pub(crate) struct BoundQuery {
    pub(crate) rel: Rel,
    pub(crate) names: Vec<String>,
    /// Whether a column is a literal that had no type of its own.
    pub(crate) untyped: Vec<bool>,
    /// What its columns are in the catalog; empty where none is there.
    pub(crate) origins: Vec<Option<Origin>>,
}

impl BoundQuery {
    /// Names and types.
    pub(crate) fn columns(&self) -> Vec<(String, DataType)> {
        self.names.iter().cloned().zip(self.rel.columns()).collect()
    }
}

pub(super) type Bound = Result<BoundQuery, SqlError>;

impl<'a> Binder<'a> {
    pub(crate) fn new(catalog: &'a Catalog, parameters: super::Parameters<'a>) -> Binder<'a> {
        let parameters = ParameterTypes::new(parameters);
        Binder {
            catalog,
            parameters,
            depth: Default::default(),
            assigning: None,
            probing: Default::default(),
            named: RefCell::default(),
            names: RefCell::new(Names::Statement),
        }
    }

    /// Binds a query.
    pub(crate) fn bind_query(&self, query: &Query, environment: &Environment, targets: Targets) -> Bound {
        self.nested(|| self.bind_parts(query, environment, targets))
    }

    /// Binds something one level further in.
    pub(super) fn nested(&self, bind: impl FnOnce() -> Bound) -> Bound {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > DEPTH_MAX {
            return Err(SqlError::new("54001", "stack depth limit exceeded")
                .detail(format!("Queries may be nested {DEPTH_MAX} deep.")));
        }
        let bound = bind();
        self.depth.set(self.depth.get() - 1);
        bound
    }

    fn bind_parts(&self, query: &Query, environment: &Environment, targets: Targets) -> Bound {
        if !query.locks.is_empty() {
            return Err(SqlError::unsupported("FOR UPDATE and FOR SHARE"));
        }
        let environment = match &query.with {
            None => environment.clone(),
            Some(with) => self.bind_with(with, environment)?,
        };
        let order_by = order_by(query)?;
        let bound = match query.body.as_ref() {
            SetExpr::Select(select) => self.bind_select(select, order_by, &environment, targets)?,
            body => {
                let bound = self.bind_body(body, &environment, targets)?;
                self.sort_outputs(bound, order_by)?
            }
        };
        self.limit(bound, query)
    }

    /// What is in sight behind WITH.
    pub(super) fn bind_with<'e>(
        &self,
        with: &With,
        environment: &Environment<'e>,
    ) -> Result<Environment<'e>, SqlError> {
        if with.recursive {
            return Err(SqlError::unsupported("WITH RECURSIVE"));
        }
        let mut environment = environment.clone();
        for (index, cte) in with.cte_tables.iter().enumerate() {
            let name = fold(&cte.alias.name);
            if with.cte_tables[..index].iter().any(|other| fold(&other.alias.name) == name) {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(SqlError::new("42712", message));
            }
            let mut bound = self.bind_query(&cte.query, &environment, None)?;
            // It may be read several times, and each time it has to be the same rows.
            bound.rel.fix_limits();
            if cte.alias.columns.len() > bound.names.len() {
                let message = format!(
                    "WITH query \"{name}\" has {} columns available but {} columns specified",
                    bound.names.len(),
                    cte.alias.columns.len()
                );
                return Err(SqlError::new("42P10", message));
            }
            for (own, given) in bound.names.iter_mut().zip(&cte.alias.columns) {
                *own = fold(&given.name);
            }
            environment.insert(name, Arc::new(bound));
        }
        Ok(environment)
    }

    /// Binds a query without its ORDER BY and LIMIT.
    pub(super) fn bind_body(&self, body: &SetExpr, environment: &Environment, targets: Targets) -> Bound {
        match body {
            SetExpr::Select(select) => self.bind_select(select, &[], environment, targets),
            SetExpr::Query(query) => self.bind_query(query, environment, targets),
            SetExpr::Values(values) => self.bind_values(values, environment, targets),
            SetExpr::SetOperation { .. } => {
                self.nested(|| self.bind_set_operation(body, environment, targets))
            }
            // The parser writes TABLE as SELECT * FROM.
            SetExpr::Table(_) => Err(SqlError::unsupported("TABLE")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported("a data-modifying statement inside a query"))
            }
        }
    }

    fn bind_values(&self, values: &Values, environment: &Environment, targets: Targets) -> Bound {
        let (scope, subqueries) = (Scope::default(), RefCell::default());
        let binder =
            ExprBinder::new(&scope, &self.parameters, "VALUES").within(self, environment, &subqueries);
        let mut rows = Vec::new();
        for row in &values.rows {
            let row = row
                .content
                .iter()
                .enumerate()
                .map(|(column, cell)| self.bind_cell(&binder, targets.map(|_| column), cell))
                .collect::<Result<Vec<_>, _>>()?;
            rows.push(row);
        }
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(SqlError::new("42601", "VALUES lists must all be the same length"));
        }
        let names = (1..=width).map(|column| format!("column{column}")).collect();
        if let Some(targets) = targets.filter(|targets| targets.len() == width)
            && let Some(assigned) = &self.assigning
        {
            return self.assigned_values(rows, names, assigned, targets, &subqueries.borrow());
        }
        let mut untyped = Vec::new();
        let mut columns = Vec::new();
        for column in 0..width {
            let known: Vec<_> = rows.iter().map(|row| own_type(&row[column])).collect();
            let target = targets.and_then(|targets| targets.get(column)).copied();
            untyped.push(known.iter().all(Option::is_none));
            columns.push(match (untyped[column], target) {
                (true, Some(target)) => target,
                _ => common_type(&known).map_err(|(left, right)| unmatched("VALUES", left, right))?,
            });
        }
        let typed_row = |row: Vec<Typed>| {
            let cells = row.into_iter().zip(&columns);
            cells.map(|(cell, to)| self.settle(cell, *to)).collect::<Result<Vec<_>, _>>()
        };
        let rows = rows.into_iter().map(typed_row).collect::<Result<_, _>>()?;
        Ok(BoundQuery {
            rel: values_of(rows, columns, &subqueries.borrow())?,
            names,
            untyped,
            origins: Vec::new(),
        })
    }

    /// A cell of VALUES; in those of an INSERT, which have targets, DEFAULT is that of the cell's column.
    fn bind_cell(
        &self,
        binder: &ExprBinder,
        target: Option<usize>,
        cell: &ast::Expr,
    ) -> Result<Typed, SqlError> {
        if !is_default(cell) {
            return binder.bind(cell);
        }
        match self.assigning.as_ref().and_then(|assigning| assigning.get(target?)) {
            Some(Target { default: Expr::Literal(Literal::Null(_)), .. }) => Ok(Typed::Null),
            Some(Target { default, .. }) => {
                let data_type = default.data_type(&[]).unwrap_or(DataType::Text);
                Ok(Typed::Known(default.clone(), data_type))
            }
            None => Err(SqlError::new("42601", "DEFAULT is not allowed in this context")),
        }
    }

    /// The rows of INSERT … VALUES: each cell is assigned to its column by itself.
    fn assigned_values(
        &self,
        rows: Vec<Vec<Typed>>,
        names: Vec<String>,
        assigned: &[Target],
        targets: &[DataType],
        subqueries: &[Subquery],
    ) -> Bound {
        let assign = |(cell, (to, target)): (Typed, (&DataType, &Target))| {
            if let Some(from) = cell.data_type() {
                check_assignment(&target.name, from, *to)?;
            }
            self.parameters.assign(cell, *to)
        };
        let columns = || targets.iter().zip(assigned);
        let rows = rows
            .into_iter()
            .map(|row| row.into_iter().zip(columns()).map(assign).collect::<Result<Vec<_>, SqlError>>())
            .collect::<Result<_, _>>()?;
        let untyped = vec![false; names.len()];
        Ok(BoundQuery {
            rel: values_of(rows, targets.to_vec(), subqueries)?,
            names,
            untyped,
            origins: Vec::new(),
        })
    }

    /// An output as its type. While only types are wanted, a parameter's stays open.
    pub(crate) fn settle(&self, typed: Typed, to: DataType) -> Result<Expr, SqlError> {
        match typed {
            Typed::Parameter(_) if self.probing.get() => Ok(Expr::Literal(Literal::Null(to))),
            typed => self.parameters.as_type(typed, to),
        }
    }

    /// ORDER BY over a set operation or VALUES: by output column only.
    fn sort_outputs(&self, bound: BoundQuery, order_by: &[OrderByExpr]) -> Bound {
        if order_by.is_empty() {
            return Ok(bound);
        }
        let mut keys = Vec::new();
        let outputs: Vec<Expr> = (0..bound.names.len()).map(Expr::Column).collect();
        for item in order_by {
            let column = output_column("ORDER BY", &item.expr, &bound.names, &outputs)?.ok_or_else(|| {
                SqlError::new("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .detail("Only result column names can be used, not expressions or functions.")
            })?;
            super::json::refuse_json(bound.rel.columns().get(column).copied(), super::json::ORDERING)?;
            keys.push(sort_key(item, column));
        }
        Ok(BoundQuery { rel: Rel::Sort { input: Box::new(bound.rel), keys }, ..bound })
    }

    fn limit(&self, bound: BoundQuery, query: &Query) -> Bound {
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(other) => return Err(SqlError::unsupported(other)),
        };
        let limit = match &query.fetch {
            None => limit,
            Some(fetch) if fetch.with_ties || fetch.percent => {
                return Err(SqlError::unsupported("FETCH with PERCENT or WITH TIES"));
            }
            Some(fetch) => fetch.quantity.as_ref().or(limit),
        };
        let one_row = query.fetch.as_ref().is_some_and(|fetch| fetch.quantity.is_none());
        let fetch = limit.map(|limit| self.count(limit, "LIMIT", "2201W")).transpose()?.flatten();
        let fetch = if one_row { Some(1) } else { fetch };
        let skip = offset.map(|offset| self.count(offset, "OFFSET", "2201X")).transpose()?.flatten();
        let skip = skip.unwrap_or(0);
        if fetch.is_none() && skip == 0 {
            return Ok(bound);
        }
        Ok(BoundQuery { rel: limited(bound.rel, skip, fetch), ..bound })
    }

    /// The number of LIMIT or OFFSET; `None` where it is NULL.
    fn count(
        &self,
        expr: &ast::Expr,
        clause: &'static str,
        sqlstate: &str,
    ) -> Result<Option<usize>, SqlError> {
        if matches!(expr, ast::Expr::Identifier(ident) if fold(ident) == "all") {
            return Ok(None);
        }
        let scope = Scope::default();
        let typed = ExprBinder::new(&scope, &self.parameters, clause).bind(expr)?;
        if let Some(from) = typed.data_type()
            && !assignable(from, DataType::Int64)
        {
            let message = format!("argument of {clause} must be type bigint, not type {}", display(from));
            return Err(SqlError::new("42804", message));
        }
        let value = evaluate_constant(&self.parameters.as_type(typed, DataType::Int64)?)?;
        match value {
            Literal::Int64(value) if value < 0 => {
                Err(SqlError::new(sqlstate, format!("{clause} must not be negative")))
            }
            Literal::Int64(value) => Ok(Some(usize::try_from(value).unwrap_or(usize::MAX))),
            _ => Ok(None),
        }
    }
}

/// The type of a cell of VALUES. A number that is written with a point keeps its own digits, as in PostgreSQL.
fn own_type(cell: &Typed) -> Option<DataType> {
    match cell {
        Typed::Known(Expr::Literal(_), DataType::Numeric { .. }) => Some(DataType::Decimal),
        cell => cell.full_type(),
    }
}

/// VALUES; a row that reads sub-queries becomes a projection of their answers.
fn values_of(rows: Vec<Vec<Expr>>, columns: Vec<DataType>, subqueries: &[Subquery]) -> Result<Rel, SqlError> {
    if subqueries.is_empty() {
        return Ok(Rel::Values { rows, columns });
    }
    let row = |row: Vec<Expr>| {
        let (rel, cells) = unnest::attach(Rel::unit(), row, subqueries)?;
        Ok(rel.project(cells))
    };
    let mut inputs = rows.into_iter().map(row).collect::<Result<Vec<_>, SqlError>>()?;
    Ok(if inputs.len() == 1 { inputs.remove(0) } else { Rel::Union { inputs } })
}

/// The items of ORDER BY.
fn order_by(query: &Query) -> Result<&[OrderByExpr], SqlError> {
    match &query.order_by {
        None => Ok(&[]),
        Some(ast::OrderBy { kind: OrderByKind::Expressions(exprs), interpolate: None }) => Ok(exprs),
        Some(other) => Err(SqlError::unsupported(other)),
    }
}

/// The rows that LIMIT and OFFSET leave: the first in the order of an ORDER BY that stands right below.
fn limited(rel: Rel, skip: usize, fetch: Option<usize>) -> Rel {
    match rel {
        Rel::Sort { input, keys: order } => {
            Rel::TopK { input, keys: Vec::new(), order, skip, fetch, numbered: false }
        }
        Rel::Project { input, predicates, outputs } if predicates.is_empty() && is_sorted(&input) => {
            limited(*input, skip, fetch).project(outputs)
        }
        other => Rel::Limit { input: Box::new(other), skip, fetch },
    }
}

fn is_sorted(rel: &Rel) -> bool {
    match rel {
        Rel::Sort { .. } => true,
        Rel::Project { input, predicates, .. } => predicates.is_empty() && is_sorted(input),
        _ => false,
    }
}

/// The output column that an item of ORDER BY (or of DISTINCT ON) means by its position or its name.
pub(crate) fn output_column(
    clause: &str,
    expr: &ast::Expr,
    names: &[String],
    outputs: &[Expr],
) -> Result<Option<usize>, SqlError> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let position = digits.parse::<usize>().unwrap_or(0);
                if !(1..=names.len()).contains(&position) {
                    let message = format!("{clause} position {digits} is not in select list");
                    return Err(SqlError::new("42P10", message));
                }
                Ok(Some(position - 1))
            }
            ast::Value::Placeholder(_) => Ok(None),
            _ => Err(SqlError::new("42601", format!("non-integer constant in {clause}"))),
        },
        ast::Expr::Identifier(ident) => {
            let name = fold(ident);
            let mut named = (0..names.len()).filter(|column| names[*column] == name);
            let first = named.next();
            if let Some(first) = first
                && named.any(|other| outputs[other] != outputs[first])
            {
                return Err(SqlError::new("42702", format!("{clause} \"{name}\" is ambiguous")));
            }
            Ok(first)
        }
        _ => Ok(None),
    }
}

/// A sort key by an item's options: NULLs are greater than all values.
pub(crate) fn sort_key(item: &OrderByExpr, column: usize) -> SortKey {
    let descending = item.options.asc == Some(false);
    SortKey { column, descending, nulls_first: item.options.nulls_first.unwrap_or(descending) }
}

/// Whether an expression is the word DEFAULT, which stands for no value of its own.
pub(crate) fn is_default(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(ident) if ident.quote_style.is_none() && fold(ident) == "default")
}

/// Whether a value of one type may be stored in a column of another.
pub(crate) fn assignable(from: DataType, to: DataType) -> bool {
    functions::context(from, to).is_some_and(|least| least <= Context::Assignment)
}

/// 42804 where a value of one type may not be stored in the column.
pub(crate) fn check_assignment(column: &str, from: DataType, to: DataType) -> Result<(), SqlError> {
    if assignable(from, to) {
        return Ok(());
    }
    let (to, from) = (display(to), display(from));
    let message = format!("column \"{column}\" is of type {to} but expression is of type {from}");
    Err(SqlError::new("42804", message).hint("You will need to rewrite or cast the expression."))
}

/// The relation with its columns as these types, where casts exist.
pub(crate) fn cast_columns(rel: Rel, types: &[DataType], zone: &Zone) -> Result<Rel, SqlError> {
    let own = rel.columns();
    if own == types {
        return Ok(rel);
    }
    let outputs = own
        .iter()
        .zip(types)
        .enumerate()
        .map(|(column, (from, to))| cast_known(Expr::Column(column), *from, *to, zone))
        .collect::<Result<_, _>>()?;
    Ok(rel.project(outputs))
}

/// The relation with its columns assigned to columns of these types.
pub(crate) fn assign_columns(
    rel: Rel,
    types: &[DataType],
    parameters: &ParameterTypes,
) -> Result<Rel, SqlError> {
    let own = rel.columns();
    if own == types {
        return Ok(rel);
    }
    let assign = |(column, (from, to)): (usize, (&DataType, &DataType))| {
        parameters.assign(Typed::Known(Expr::Column(column), *from), *to)
    };
    let outputs = own.iter().zip(types).enumerate().map(assign).collect::<Result<_, _>>()?;
    Ok(rel.project(outputs))
}
