//! Sub-queries become joins: our own unnesting, run while the binder builds the tree, from the
//! innermost sub-query outwards.
//!
//! A bound sub-query reads its surroundings through outer references to its arguments. For the
//! relation L of the clause that holds it, the answer wanted is, for each row of L, that of the
//! sub-query for the row's arguments. Two ways lead there:
//!
//! ```text
//! pull (pull.rs)   conditions that compare arguments move up and become those of a join
//!
//!   L ─┬───────────────────────── join on L.args = S'.keys
//!      S' = the sub-query without the conditions, by their inner sides where it aggregates
//!
//! domain (domain.rs)   everything else: the sub-query is computed once for each argument list
//!
//!   L ─┬───────────────────────── join on L.args is not distinct from D
//!      └─ D = distinct args of L ── S(D): D joined in below, kept as leading columns upwards
//! ```
//!
//! `attach.rs` then joins L with the result: semi and anti joins where a condition of WHERE is a
//! sub-query, inner and left joins of at most one row elsewhere.
//!
//! Invariant: what comes out has no place, and no outer reference but those to the surroundings of L
//! itself, which go when that sub-query is unnested. `Query::plan` asserts that none is left.
//!
//! Source: Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015).

mod attach; // the join of the clause's relation with its sub-queries
mod domain; // a sub-query for each of its argument lists
mod join; // joins whose right side or condition has sub-queries
mod membership; // IN, ANY and ALL
mod pull; // conditions over arguments, moved up
mod shape; // how many rows a relation can have

use millrace_engine::{DataType, Expr, Limit};

use super::expr::call;
use super::exprs::{columns_of, map_columns};
use super::outer::{map_outer, outer};
use super::rel::Rel;
use crate::error::SqlError;
pub(crate) use attach::{attach, filter};
pub(crate) use join::{Sides, join};

/// A bound sub-query of a clause.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subquery {
    /// Its rows; outer references are to `arguments`.
    pub(crate) rel: Rel,
    /// Over the columns of the clause.
    pub(crate) arguments: Vec<Expr>,
    /// What is asked of it.
    pub(crate) kind: SubqueryKind,
    /// The name of its first column: what a select item that is nothing else is called.
    pub(crate) name: String,
}

/// What is asked of a sub-query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SubqueryKind {
    /// The value of its one column in its one row; NULL without a row.
    Scalar,
    /// Whether it has a row.
    Exists,
    /// Whether a row compares true, in three-valued logic; ALL is the negation of ANY with the
    /// opposite comparison.
    Any(Comparison),
}

/// The comparison of ANY: `(a, b) = (x, y)` is of the pairs (a, x) and (b, y).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comparison {
    /// A comparison of the function table; with several pairs `equal` (all are) or `not_equal` (one is).
    pub(crate) function: &'static str,
    /// Over the columns of the clause, and over those of the sub-query.
    pub(crate) pairs: Vec<(Expr, Expr)>,
}

impl Subquery {
    /// The sub-query with each expression over the clause's columns replaced by what `map` makes of it.
    pub(crate) fn try_map_outside<E>(
        mut self,
        map: &mut impl FnMut(&Expr) -> Result<Expr, E>,
    ) -> Result<Subquery, E> {
        for argument in &mut self.arguments {
            *argument = map(argument)?;
        }
        if let SubqueryKind::Any(comparison) = &mut self.kind {
            for (operand, _) in &mut comparison.pairs {
                *operand = map(operand)?;
            }
        }
        Ok(self)
    }

    /// The operands of ANY, which may read other sub-queries of the clause.
    pub(crate) fn operands(&self) -> impl Iterator<Item = &Expr> {
        let pairs = match &self.kind {
            SubqueryKind::Any(comparison) => comparison.pairs.as_slice(),
            SubqueryKind::Scalar | SubqueryKind::Exists => &[],
        };
        pairs.iter().map(|(operand, _)| operand)
    }
}

/// An equality that ties a row of the unnested sub-query to rows of the clause's relation.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    /// Over outer references until `unnest` returns, then over the clause's columns.
    outer: Expr,
    /// Over the unnested sub-query's columns.
    inner: Expr,
    nulls_equal: bool,
}

impl Key {
    /// The key as a condition of a join, with the inner columns behind `width` others.
    fn condition(&self, width: usize) -> Expr {
        let sides = vec![self.outer.clone(), behind(&self.inner, width)];
        if self.nulls_equal {
            return Expr::Not(Box::new(call("is_distinct_from", sides, DataType::Boolean)));
        }
        call("equal", sides, DataType::Boolean)
    }
}

/// A sub-query whose rows stand for all its argument lists at once.
#[derive(Clone, Debug)]
struct Unnested {
    rel: Rel,
    /// Where the sub-query's own columns begin.
    start: usize,
    /// What makes a row one of an argument list's.
    keys: Vec<Key>,
    /// Other conditions, over outer references and columns of `rel`.
    rest: Vec<Expr>,
    /// The row of an argument list that `rel` has no row of: an aggregate's over no rows.
    missing: Option<Vec<Expr>>,
}

impl Unnested {
    /// A sub-query that no argument reaches.
    fn free(rel: Rel) -> Unnested {
        Unnested { rel, start: 0, keys: Vec::new(), rest: Vec::new(), missing: None }
    }

    /// The same with the arguments in its keys.
    fn told(mut self, arguments: &[Expr]) -> Unnested {
        for key in &mut self.keys {
            key.outer = given(&key.outer, arguments);
        }
        self
    }

    /// Whether every argument list has the same rows.
    fn is_free(&self) -> bool {
        self.keys.is_empty() && self.rest.is_empty()
    }

    /// The conditions of a join with the clause's relation of this width.
    fn on(&self, width: usize, arguments: &[Expr]) -> Vec<Expr> {
        let rest = self.rest.iter().map(|condition| given(&behind(condition, width), arguments));
        self.keys.iter().map(|key| key.condition(width)).chain(rest).collect()
    }

    /// An expression over the sub-query's own columns, over those of a join behind `width` others.
    fn own(&self, expr: &Expr, width: usize) -> Expr {
        behind(expr, self.start + width)
    }
}

/// The expression over columns that lie behind `width` others.
fn behind(expr: &Expr, width: usize) -> Expr {
    map_columns(expr, &mut |column| Expr::Column(column + width))
}

/// The expression with its outer references replaced by the arguments.
fn given(expr: &Expr, arguments: &[Expr]) -> Expr {
    map_outer(expr, &mut |index, own| arguments.get(index).unwrap_or(own).clone())
}

/// Columns of these types, from `start`.
fn columns_from(start: usize, count: usize) -> impl Iterator<Item = Expr> {
    (start..start + count).map(Expr::Column)
}

/// What `unnest` may leave to the join.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conditions {
    /// Keys only: the rows will be grouped by them.
    Keys,
    /// Any.
    Any,
}

/// Unnests a sub-query for the rows of `base`.
fn unnest(rel: &Rel, arguments: &[Expr], base: &Rel, allowed: Conditions) -> Result<Unnested, SqlError> {
    if arguments.iter().all(|argument| columns_of(argument).is_empty()) {
        // Only the surroundings of the surroundings are meant, if any.
        return Ok(Unnested::free(rel.clone().map_exprs(&mut |expr| given(expr, arguments))));
    }
    let pulled = if may_pull() { pull::pull(rel) } else { None };
    match pulled.filter(|pulled| allowed == Conditions::Any || pulled.rest.is_empty()) {
        Some(pulled) => Ok(pulled.told(arguments)),
        None => by_domain(rel, arguments, base),
    }
}

#[cfg(not(test))]
fn may_pull() -> bool {
    true
}

#[cfg(test)]
fn may_pull() -> bool {
    MAY_PULL.get()
}

#[cfg(test)]
thread_local! {
    static MAY_PULL: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Runs a test in which every correlated sub-query takes the general way.
#[cfg(test)]
pub(crate) fn without_pulling<T>(test: impl FnOnce() -> T) -> T {
    MAY_PULL.set(false);
    let result = test();
    MAY_PULL.set(true);
    result
}

/// The sub-query for each list of arguments that `base` has, as leading columns.
fn by_domain(rel: &Rel, arguments: &[Expr], base: &Rel) -> Result<Unnested, SqlError> {
    let columns = base.columns();
    let types: Vec<DataType> =
        arguments.iter().map(|argument| argument.data_type(&columns).unwrap_or(DataType::Boolean)).collect();
    let arguments: Vec<Expr> = arguments
        .iter()
        .zip(&types)
        .map(|(argument, own)| cast(argument.clone(), *own, told_apart(*own)))
        .collect();
    let mut exact = |expr: &Expr| {
        map_outer(expr, &mut |index, own| match types.get(index) {
            Some(data_type) => cast(outer(index, told_apart(*data_type)), told_apart(*data_type), *data_type),
            None => own.clone(),
        })
    };
    let domain = Rel::Distinct { input: Box::new(base.clone().project(arguments.clone())) };
    let rel = domain::push(&rel.clone().map_exprs(&mut exact), &domain);
    check_size(&rel)?;
    let key = |(index, data_type): (usize, &DataType)| Key {
        outer: outer(index, told_apart(*data_type)),
        inner: Expr::Column(index),
        nulls_equal: true,
    };
    let keys = types.iter().enumerate().map(key).collect();
    Ok(Unnested { rel, start: types.len(), keys, rest: Vec::new(), missing: None }.told(&arguments))
}

/// The type as which an argument stands in a domain: 0.0 and -0.0 are equal, so are a month and 30 days, but a
/// sub-query may tell them apart; as text they differ.
fn told_apart(data_type: DataType) -> DataType {
    match data_type {
        DataType::Float32
        | DataType::Float64
        | DataType::Interval
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Decimal => DataType::Text,
        DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Text
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Date
        | DataType::Numeric { .. } => data_type,
        DataType::Limited(Limit::Numeric { .. }) => told_apart(DataType::Decimal),
        DataType::Limited(_) => data_type,
    }
}

fn cast(input: Expr, from: DataType, to: DataType) -> Expr {
    if from == to { input } else { Expr::Cast { input: Box::new(input), to } }
}

/// Operators of a tree: beyond this a query is refused, since sub-queries within sub-queries may
/// double it with each level.
const OPERATORS_MAX: usize = 5_000;

fn check_size(rel: &Rel) -> Result<(), SqlError> {
    let mut operators = 0usize;
    rel.visit(&mut |_| operators += 1);
    if operators > OPERATORS_MAX {
        return Err(SqlError::new("54001", "stack depth limit exceeded").detail(format!(
            "Sub-queries within sub-queries make a plan of more than {OPERATORS_MAX} operators."
        )));
    }
    Ok(())
}
