//! The relation of a clause joined with the clause's sub-queries.
//!
//! ```text
//!   filter    conjuncts that are EXISTS, IN, ANY, ALL or their negations: semi and anti joins, no new column;
//!             the rest as `attach`, then filtered, the new columns dropped
//!   attach    a column for each sub-query: joins that find at most one row and keep every row of the clause
//!   lateral   a derived table for each row
//! ```
//! A scalar sub-query that could have several rows is counted by its arguments; `single_row` fails above the
//! join, so only for a row of the clause whose value is wanted.

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, Literal, RowCalls};

use super::membership::{self, semi_by_comparison};
use super::shape::{at_most_one, exactly_one, for_existence};
use super::{
    Conditions, Key, Subquery, SubqueryKind, Unnested, behind, by_domain, check_size, columns_from, given,
    unnest,
};
use crate::error::SqlError;
use crate::query::expr::call;
use crate::query::exprs::map_columns;
use crate::query::outer::{as_place, map_places, places_of};
use crate::query::rel::{JoinKind, Rel, map_calls};

/// Sub-queries of one clause: beyond this it is refused, so that no walk over the joins exhausts the stack.
const SUBQUERIES_MAX: usize = 100;

pub(super) fn truth() -> Expr {
    Expr::Literal(Literal::Boolean(true))
}

pub(super) fn not_null(expr: Expr) -> Expr {
    Expr::Not(Box::new(Expr::IsNull(Box::new(expr))))
}

pub(super) fn join(kind: JoinKind, left: Rel, right: Rel, on: Vec<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), on }
}

/// The rows for which every predicate is true. The columns stay.
///
/// # Errors
/// 54001 where the plan becomes too large.
pub(crate) fn filter(rel: Rel, predicates: Vec<Expr>, subqueries: &[Subquery]) -> Result<Rel, SqlError> {
    let width = rel.columns().len();
    let (plain, reading): (Vec<_>, Vec<_>) =
        predicates.into_iter().partition(|predicate| places_of(predicate).is_empty());
    let mut rel = rel.filter(plain);
    if reading.is_empty() {
        return Ok(rel);
    }
    // Domains read it once more, and have to see the same rows.
    rel.fix_limits();
    let mut rest = Vec::new();
    for predicate in reading {
        match condition(&predicate, subqueries) {
            Some((subquery, negated)) => rel = semi(rel, subquery, negated)?,
            None => rest.push(predicate),
        }
    }
    if rest.is_empty() {
        return check_size(&rel).map(|()| rel);
    }
    let strict = rest.iter().flat_map(strict_places).collect();
    let (rel, rest) = Attached::new(rel, subqueries, strict)?.all(rest)?;
    Ok(rel.filter(rest).project(columns_from(0, width).collect()))
}

/// The relation with a column or more for each sub-query that the expressions read, behind its own,
/// and the expressions over all of these columns.
///
/// # Errors
/// 54001 where the plan becomes too large.
pub(crate) fn attach(
    rel: Rel,
    exprs: Vec<Expr>,
    subqueries: &[Subquery],
) -> Result<(Rel, Vec<Expr>), SqlError> {
    if exprs.iter().all(|expr| places_of(expr).is_empty()) {
        return Ok((rel, exprs));
    }
    Attached::new(rel, subqueries, BTreeSet::new())?.all(exprs)
}

/// The sub-query that a conjunct asks for nothing but a truth, and whether for its negation.
fn condition<'s>(predicate: &Expr, subqueries: &'s [Subquery]) -> Option<(&'s Subquery, bool)> {
    let (mut expr, mut negated) = (predicate, false);
    while let Expr::Not(inner) = expr {
        (expr, negated) = (inner, !negated);
    }
    let subquery = subqueries.get(as_place(expr)?)?;
    match subquery.kind {
        SubqueryKind::Scalar => None,
        SubqueryKind::Exists | SubqueryKind::Any(_) => Some((subquery, negated)),
    }
    .filter(|(subquery, _)| subquery.operands().all(|operand| places_of(operand).is_empty()))
}

/// The rows for which the sub-query is true; negated, those for which its negation is.
fn semi(rel: Rel, subquery: &Subquery, negated: bool) -> Result<Rel, SqlError> {
    match &subquery.kind {
        SubqueryKind::Exists => semi_exists(rel, subquery, negated),
        SubqueryKind::Any(comparison) => semi_by_comparison(rel, subquery, comparison, negated),
        SubqueryKind::Scalar => Err(SqlError::internal("a scalar sub-query is no condition")),
    }
}

fn semi_exists(rel: Rel, subquery: &Subquery, negated: bool) -> Result<Rel, SqlError> {
    let asked = for_existence(subquery.rel.clone());
    if exactly_one(&asked) {
        let never = Expr::Literal(Literal::Boolean(false));
        return Ok(if negated { rel.filter(vec![never]) } else { rel });
    }
    let width = rel.columns().len();
    let unnested = unnest(&asked, &subquery.arguments, &rel, Conditions::Any)?;
    let on = unnested.on(width, &subquery.arguments);
    Ok(join(if negated { JoinKind::Anti } else { JoinKind::Semi }, rel, unnested.rel, on))
}

/// The places whose NULL makes the predicate NULL: a row without a match is dropped by it anyway.
fn strict_places(predicate: &Expr) -> Vec<usize> {
    const COMPARISONS: &[&str] =
        &["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "like"];
    const ARITHMETIC: &[&str] = &["add", "subtract", "multiply", "divide", "modulo", "negate", "abs"];
    fn walk(expr: &Expr, found: &mut Vec<usize>) {
        match expr {
            Expr::Call { function, arguments, .. } if ARITHMETIC.contains(&function.as_str()) => {
                arguments.iter().for_each(|argument| walk(argument, found));
            }
            Expr::Cast { input, .. } => walk(input, found),
            other => found.extend(as_place(other)),
        }
    }
    let mut found = Vec::new();
    if let Expr::Call { function, arguments, .. } = predicate
        && COMPARISONS.contains(&function.as_str())
    {
        arguments.iter().for_each(|argument| walk(argument, &mut found));
    }
    found
}

/// A relation on its way to one with a value for each sub-query.
pub(super) struct Attached<'s> {
    /// The clause's relation, then what was joined.
    rel: Rel,
    /// The clause's relation: what domains are taken from.
    base: Rel,
    subqueries: &'s [Subquery],
    /// The values of sub-queries, over `rel`.
    values: BTreeMap<usize, Expr>,
    /// Those of which rows without a value may be dropped.
    strict: BTreeSet<usize>,
}

impl<'s> Attached<'s> {
    fn new(
        mut rel: Rel,
        subqueries: &'s [Subquery],
        strict: BTreeSet<usize>,
    ) -> Result<Attached<'s>, SqlError> {
        if subqueries.len() > SUBQUERIES_MAX {
            return Err(SqlError::new("54001", "stack depth limit exceeded")
                .detail(format!("A clause may have {SUBQUERIES_MAX} sub-queries.")));
        }
        rel.fix_limits();
        Ok(Attached { base: rel.clone(), rel, subqueries, values: BTreeMap::new(), strict })
    }

    /// Joins all sub-queries that the expressions read, and gives the expressions over the result.
    fn all(mut self, exprs: Vec<Expr>) -> Result<(Rel, Vec<Expr>), SqlError> {
        for index in exprs.iter().flat_map(places_of) {
            self.value(index)?;
        }
        let exprs = exprs.iter().map(|expr| self.resolved(expr)).collect::<Result<_, _>>()?;
        check_size(&self.rel)?;
        Ok((self.rel, exprs))
    }

    /// The expression with the values of the sub-queries, which are joined already.
    fn resolved(&self, expr: &Expr) -> Result<Expr, SqlError> {
        let known = places_of(expr).iter().all(|index| self.values.contains_key(index));
        if !known {
            return Err(SqlError::internal("a sub-query was not joined"));
        }
        Ok(map_places(expr, &mut |index| self.values[&index].clone()))
    }

    fn value(&mut self, index: usize) -> Result<(), SqlError> {
        if self.values.contains_key(&index) {
            return Ok(());
        }
        let Some(subquery) = self.subqueries.get(index) else {
            return Err(SqlError::internal("no such sub-query"));
        };
        let operands: Vec<usize> = subquery.operands().flat_map(places_of).collect();
        for place in &operands {
            self.value(*place)?;
        }
        let subquery = subquery.clone().try_map_outside(&mut |expr| self.resolved(expr))?;
        let base = if operands.is_empty() { self.base.clone() } else { self.rel.clone() };
        let value = match &subquery.kind {
            SubqueryKind::Scalar => self.scalar(&subquery, &base, self.strict.contains(&index))?,
            SubqueryKind::Exists => self.exists(&subquery, &base)?,
            SubqueryKind::Any(comparison) => membership::value(self, &subquery, comparison, &base)?,
        };
        self.values.insert(index, value);
        Ok(())
    }

    pub(super) fn columns(&self) -> Vec<DataType> {
        self.rel.columns()
    }

    pub(super) fn width(&self) -> usize {
        self.rel.columns().len()
    }

    pub(super) fn join(&mut self, kind: JoinKind, right: Rel, on: Vec<Expr>) {
        let left = std::mem::replace(&mut self.rel, Rel::unit());
        self.rel = join(kind, left, right, on);
    }

    /// The value of the one row; NULL where there is none.
    pub(super) fn scalar(&mut self, subquery: &Subquery, base: &Rel, strict: bool) -> Result<Expr, SqlError> {
        if let Some(value) = of_unit(&subquery.rel) {
            return Ok(given(value, &subquery.arguments));
        }
        let width = self.width();
        let unnested = unnest(&subquery.rel, &subquery.arguments, base, Conditions::Keys)?;
        if unnested.is_free() {
            let one = exactly_one(&subquery.rel);
            let (right, value) =
                if one { (unnested.rel, Expr::Column(width)) } else { counted(unnested, width).into() };
            self.join(JoinKind::Inner, right, Vec::new());
            return Ok(value);
        }
        let missing = unnested.missing.as_ref().and_then(|row| row.first()).cloned();
        let missing = missing.filter(|value| !matches!(value, Expr::Literal(Literal::Null(_))));
        if !at_most_one(&subquery.rel) {
            let keys = unnested.keys.clone();
            let Counted { rel, value } = counted(unnested, width);
            let on = regrouped(&keys, COUNTED_KEYS).map(|key| key.condition(width)).collect();
            // An inner join would take the value for a key where it is compared, and compute it for rows that
            // nobody asks for.
            self.join(JoinKind::Left, rel, on);
            return Ok(value);
        }
        let on = unnested.on(width, &subquery.arguments);
        let value = unnested.own(&Expr::Column(0), width);
        let Some(missing) = missing else {
            self.join(if strict { JoinKind::Inner } else { JoinKind::Left }, unnested.rel, on);
            return Ok(value);
        };
        let data_type = subquery.rel.columns().first().copied().unwrap_or(DataType::Boolean);
        let marker = width + unnested.rel.columns().len();
        self.join(JoinKind::Left, marked(unnested.rel), on);
        Ok(or_missing(marker, missing, value, data_type))
    }

    /// Whether there is a row.
    fn exists(&mut self, subquery: &Subquery, base: &Rel) -> Result<Expr, SqlError> {
        let width = self.width();
        let asked = for_existence(subquery.rel.clone());
        if exactly_one(&asked) {
            return Ok(truth());
        }
        let unnested = unnest(&asked, &subquery.arguments, base, Conditions::Keys)?;
        if unnested.is_free() {
            let count = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
            let counted =
                Rel::Aggregate { input: Box::new(unnested.rel), keys: Vec::new(), aggregates: vec![count] };
            // The truth changes seldom, where the count may change with every row.
            let some =
                call("greater", vec![Expr::Column(0), Expr::Literal(Literal::Int64(0))], DataType::Boolean);
            self.join(JoinKind::Inner, counted.project(vec![some]), Vec::new());
            return Ok(Expr::Column(width));
        }
        let keys = distinct_of(unnested.rel, unnested.keys.iter().map(|key| key.inner.clone()).collect());
        let on = regrouped(&unnested.keys, 0).map(|key| key.condition(width)).collect();
        self.join(JoinKind::Left, marked(keys), on);
        Ok(not_null(Expr::Column(width + unnested.keys.len())))
    }
}

/// The first column of a SELECT without FROM and WHERE: an expression in parentheses.
fn of_unit(rel: &Rel) -> Option<&Expr> {
    match rel {
        Rel::Project { input, predicates, outputs } if predicates.is_empty() && **input == Rel::unit() => {
            outputs.first()
        }
        _ => None,
    }
}

/// These expressions over the relation, each list once.
pub(super) fn distinct_of(rel: Rel, exprs: Vec<Expr>) -> Rel {
    Rel::Distinct { input: Box::new(rel.project(exprs)) }
}

/// The relation with a column that is true in each of its rows: it is NULL only where a join found none.
pub(super) fn marked(rel: Rel) -> Rel {
    let width = rel.columns().len();
    rel.project(columns_from(0, width).chain([truth()]).collect())
}

/// The keys over columns from `start`.
pub(super) fn regrouped(keys: &[Key], start: usize) -> impl Iterator<Item = Key> {
    let over = move |(index, key): (usize, &Key)| Key { inner: Expr::Column(start + index), ..key.clone() };
    keys.iter().enumerate().map(over)
}

/// The value, or that of a missing row where the marker says that there is none.
fn or_missing(marker: usize, missing: Expr, value: Expr, data_type: DataType) -> Expr {
    let branches = vec![(Expr::IsNull(Box::new(Expr::Column(marker))), missing)];
    Expr::Case { branches, otherwise: Some(Box::new(value)), data_type }
}

/// Rows of the keys with the number of rows and a value, and the value over the join.
struct Counted {
    rel: Rel,
    value: Expr,
}

impl From<Counted> for (Rel, Expr) {
    fn from(counted: Counted) -> (Rel, Expr) {
        (counted.rel, counted.value)
    }
}

/// Where the keys of `counted` begin.
const COUNTED_KEYS: usize = 2;

/// One row for each list of keys: the count and the least value of the first column, then the keys.
/// Of one row the least value is the value.
fn counted(unnested: Unnested, width: usize) -> Counted {
    let own = unnested.own(&Expr::Column(0), 0);
    let data_type = own.data_type(&unnested.rel.columns()).unwrap_or(DataType::Boolean);
    // There is no least boolean in SQL, so nor among the aggregates.
    let held = if data_type == DataType::Boolean { DataType::Int32 } else { data_type };
    let cast = |input: Expr, to: DataType| match held == data_type {
        true => input,
        false => Expr::Cast { input: Box::new(input), to },
    };
    let aggregates = vec![
        Aggregate::plain(AggregateFunction::Count, None, DataType::Int64),
        Aggregate::plain(AggregateFunction::Min, Some(cast(own, held)), held),
    ];
    let keys: Vec<Expr> = unnested.keys.iter().map(|key| key.inner.clone()).collect();
    let (own, count) = (columns_from(keys.len(), 2), keys.len());
    let outputs = own.chain(columns_from(0, count)).collect();
    let rel = Rel::Aggregate { input: Box::new(unnested.rel), keys, aggregates }.project(outputs);
    let value = cast(behind(&Expr::Column(1), width), data_type);
    let value = call("single_row", vec![Expr::Column(width), value], data_type);
    Counted { rel, value }
}

/// Each left row with the right rows for its arguments: the left columns, then the right ones.
///
/// # Errors
/// 54001 where the plan becomes too large.
pub(crate) fn lateral(
    kind: JoinKind,
    mut left: Rel,
    right: &Rel,
    arguments: &[Expr],
    on: &[Expr],
) -> Result<Rel, SqlError> {
    if let Some(called) = called(kind, &left, right, arguments, on) {
        return Ok(called);
    }
    left.fix_limits();
    let mut unnested = unnest(right, arguments, &left, Conditions::Any)?;
    if unnested.missing.is_some() && kind == JoinKind::Left && !on.is_empty() {
        // The row over no rows would have to meet the condition, too.
        unnested = by_domain(right, arguments, &left)?;
    }
    let joined = match unnested.missing.take() {
        None => lateral_rows(kind, left, unnested, right, arguments, on),
        Some(missing) => lateral_row(left, unnested, missing, right, arguments).filter(on.to_vec()),
    };
    check_size(&joined).map(|()| joined)
}

/// Calls on the right side are made for each left row, where nothing else is on that side. An outer join keeps a
/// left row for which they give nothing, but not one all of whose rows miss a condition.
fn called(kind: JoinKind, left: &Rel, right: &Rel, arguments: &[Expr], on: &[Expr]) -> Option<Rel> {
    let Rel::FlatMap { input, calls } = right else { return None };
    let always = on.iter().all(|condition| *condition == truth());
    let is_inner = kind == JoinKind::Inner;
    if **input != Rel::unit() || !(is_inner || kind == JoinKind::Left && always) {
        return None;
    }
    let calls = map_calls(calls.clone(), &mut |argument| given(argument, arguments));
    let calls = RowCalls { kept: (0..left.columns().len()).collect(), outer: !is_inner, ..calls };
    let called = Rel::FlatMap { input: Box::new(left.clone()), calls };
    Some(if always { called } else { called.filter(on.to_vec()) })
}

fn lateral_rows(
    kind: JoinKind,
    left: Rel,
    unnested: Unnested,
    right: &Rel,
    arguments: &[Expr],
    on: &[Expr],
) -> Rel {
    let width = left.columns().len();
    let own = |column: usize| Expr::Column(if column < width { column } else { column + unnested.start });
    let mut conditions = unnested.on(width, arguments);
    conditions.extend(on.iter().map(|condition| map_columns(condition, &mut |column| own(column))));
    let shown = (0..width + right.columns().len()).map(own).collect();
    join(kind, left, unnested.rel, conditions).project(shown)
}

/// A right side that has one row whatever the arguments, that of no rows where a join finds none.
fn lateral_row(left: Rel, unnested: Unnested, missing: Vec<Expr>, right: &Rel, arguments: &[Expr]) -> Rel {
    let width = left.columns().len();
    let (start, marker) = (width + unnested.start, width + unnested.rel.columns().len());
    let values =
        missing.into_iter().zip(right.columns()).enumerate().map(|(column, (missing, data_type))| {
            or_missing(marker, missing, Expr::Column(start + column), data_type)
        });
    let outputs = columns_from(0, width).chain(values).collect();
    let keys = unnested.on(width, arguments);
    join(JoinKind::Left, left, marked(unnested.rel), keys).project(outputs)
}
