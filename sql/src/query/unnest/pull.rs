//! Conditions over arguments, moved up to the join with the clause's relation.
//!
//! ```text
//!   filter u.k = $1 and u.v > 5    →   filter u.v > 5, key $1 = u.k
//!   aggregate by []                →   aggregate by [u.k], key $1 = #0; where a group is missing:
//!                                      the values over no rows
//! ```
//! No relation below is copied and none is joined in, so this is the way for the queries that
//! people write. It answers `None` where an argument is read by anything but a condition that can move:
//! then the domain is needed.
//!
//! Invariant: the result's own columns come first, in their order; what the conditions read lies behind them.

use std::convert::Infallible;

use millrace_engine::{Aggregate, Expr};

use super::domain::of_no_rows;
use super::shape::top_of_limit;
use super::{Key, Unnested, behind, columns_from};
use crate::compile::evaluate_constant;
use crate::query::exprs::{columns_of, map_columns, try_map_operands};
use crate::query::outer::{has_outer, is_correlated};
use crate::query::rel::{JoinKind, Rel, SortKey, aggregate_exprs};

/// The relation without its conditions over arguments, and those; `None` where that cannot be.
pub(super) fn pull(rel: &Rel) -> Option<Unnested> {
    if !is_correlated(rel) {
        return Some(Unnested::free(rel.clone()));
    }
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } | Rel::Union { .. } => None,
        Rel::Project { input, predicates, outputs } => project(input, predicates, outputs),
        Rel::Join { kind: JoinKind::Inner, left, right, on } => inner_join(left, right, on),
        Rel::Join { kind: kind @ (JoinKind::Left | JoinKind::Semi | JoinKind::Anti), left, right, on } => {
            left_join(*kind, left, right, on)
        }
        Rel::Join { kind: JoinKind::Right | JoinKind::Full, .. } => None,
        Rel::Aggregate { input, keys, aggregates } => aggregate(input, keys, aggregates),
        Rel::Distinct { input } => {
            let (rel, keys) = keyed(input)?;
            Some(Unnested {
                rel: Rel::Distinct { input: Box::new(rel) },
                keys,
                ..Unnested::free(Rel::unit())
            })
        }
        Rel::Sort { input, .. } => pull(input),
        Rel::Limit { input, skip, fetch } => pull(&top_of_limit(input, *skip, *fetch)),
        Rel::Repeat { input, count } if !has_outer(count) => {
            let pulled = pull(input).filter(|pulled| pulled.missing.is_none())?;
            let rel = Rel::Repeat { input: Box::new(pulled.rel), count: count.clone() };
            Some(Unnested { rel, ..pulled })
        }
        Rel::Repeat { .. } | Rel::FlatMap { .. } => None,
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            top(input, keys, order, (*skip, *fetch, *numbered))
        }
    }
}

/// The conditions, sorted by whether they read arguments.
fn split(conditions: &[Expr]) -> (Vec<Expr>, Vec<Expr>) {
    conditions.iter().cloned().partition(|condition| !has_outer(condition))
}

/// A condition that equates an expression over arguments with one over columns.
fn as_key(condition: &Expr) -> Option<Key> {
    let (call, nulls_equal) = match condition {
        Expr::Not(inner) => (inner.as_ref(), true),
        other => (other, false),
    };
    let Expr::Call { function, arguments, .. } = call else { return None };
    let [a, b] = arguments.as_slice() else { return None };
    if function != if nulls_equal { "is_distinct_from" } else { "equal" } {
        return None;
    }
    let outer = |expr: &Expr| has_outer(expr) && columns_of(expr).is_empty();
    let inner = |expr: &Expr| !has_outer(expr) && !columns_of(expr).is_empty();
    match () {
        () if outer(a) && inner(b) => Some(Key { outer: a.clone(), inner: b.clone(), nulls_equal }),
        () if outer(b) && inner(a) => Some(Key { outer: b.clone(), inner: a.clone(), nulls_equal }),
        () => None,
    }
}

/// Keys and other conditions that lie over the same columns.
#[derive(Default)]
struct Above {
    keys: Vec<Key>,
    rest: Vec<Expr>,
}

impl Above {
    fn add(&mut self, conditions: impl IntoIterator<Item = Expr>) {
        for condition in conditions {
            match as_key(&condition) {
                Some(key) => self.keys.push(key),
                None => self.rest.push(condition),
            }
        }
    }

    /// The same over a projection that shows `outputs` and whatever else the conditions read, which is
    /// appended there.
    fn through(self, outputs: &mut Vec<Expr>) -> Above {
        let mut shown = |expr: &Expr| {
            let at = outputs.iter().position(|output| output == expr).unwrap_or_else(|| {
                outputs.push(expr.clone());
                outputs.len() - 1
            });
            Expr::Column(at)
        };
        let keys = self.keys.into_iter().map(|key| Key { inner: shown(&key.inner), ..key }).collect();
        let rest = self
            .rest
            .iter()
            .map(|condition| map_columns(condition, &mut |at| shown(&Expr::Column(at))))
            .collect();
        Above { keys, rest }
    }
}

fn project(input: &Rel, predicates: &[Expr], outputs: &[Expr]) -> Option<Unnested> {
    if outputs.iter().any(has_outer) {
        return None;
    }
    let pulled = pull(input)?;
    if pulled.missing.is_some() && !predicates.is_empty() {
        return None;
    }
    let (predicates, moved) = split(predicates);
    let mut above = Above { keys: pulled.keys, rest: pulled.rest };
    above.add(moved);
    let missing = pulled
        .missing
        .map(|missing| outputs.iter().map(|output| folded(substitute(output, &missing))).collect());
    let mut outputs = outputs.to_vec();
    let Above { keys, rest } = above.through(&mut outputs);
    let rel = Rel::Project { input: Box::new(pulled.rel), predicates, outputs };
    Some(Unnested { rel, start: 0, keys, rest, missing })
}

/// The value of an expression without columns; itself where it fails, or depends on more than that.
fn folded(expr: Expr) -> Expr {
    match evaluate_constant(&expr) {
        Ok(value) => Expr::Literal(value),
        Err(_) => expr,
    }
}

/// The expression over expressions instead of columns.
fn substitute(expr: &Expr, columns: &[Expr]) -> Expr {
    fn walk(expr: &Expr, columns: &[Expr]) -> Result<Expr, Infallible> {
        match expr {
            Expr::Column(index) => Ok(columns.get(*index).unwrap_or(expr).clone()),
            other => try_map_operands(other, &mut |operand| walk(operand, columns)),
        }
    }
    match walk(expr, columns) {
        Ok(expr) => expr,
        Err(never) => match never {},
    }
}

/// A pulled relation with nothing but its own columns and those of its keys, one a key.
fn keyed(input: &Rel) -> Option<(Rel, Vec<Key>)> {
    let pulled = pull(input).filter(|pulled| pulled.rest.is_empty() && pulled.missing.is_none())?;
    let mut outputs: Vec<Expr> = columns_from(0, input.columns().len()).collect();
    let above = Above { keys: pulled.keys, rest: Vec::new() }.through(&mut outputs);
    Some((pulled.rel.project(outputs), above.keys))
}

fn inner_join(left: &Rel, right: &Rel, on: &[Expr]) -> Option<Unnested> {
    let (left_own, right_own) = (left.columns().len(), right.columns().len());
    let (left, right) = (pull(left)?, pull(right)?);
    if left.missing.is_some() || right.missing.is_some() {
        return None;
    }
    let left_width = left.rel.columns().len();
    // A column of the join's own, in the join of the pulled sides.
    let own = |column: usize| if column < left_own { column } else { left_width + column - left_own };
    let on: Vec<Expr> =
        on.iter().map(|condition| map_columns(condition, &mut |column| Expr::Column(own(column)))).collect();
    let (on, moved) = split(&on);
    let mut above = Above { keys: left.keys, rest: left.rest };
    above.keys.extend(right.keys.into_iter().map(|key| Key { inner: behind(&key.inner, left_width), ..key }));
    above.rest.extend(right.rest.iter().map(|condition| behind(condition, left_width)));
    above.add(moved);
    let mut outputs: Vec<Expr> = (0..left_own + right_own).map(|column| Expr::Column(own(column))).collect();
    let Above { keys, rest } = above.through(&mut outputs);
    let (left, right) = (Box::new(left.rel), Box::new(right.rel));
    let rel = Rel::Join { kind: JoinKind::Inner, left, right, on }.project(outputs);
    Some(Unnested { rel, start: 0, keys, rest, missing: None })
}

/// A join that keeps or drops left rows one by one commutes with conditions on them.
fn left_join(kind: JoinKind, left: &Rel, right: &Rel, on: &[Expr]) -> Option<Unnested> {
    if is_correlated(right) || on.iter().any(has_outer) {
        return None;
    }
    let own = left.columns().len();
    let pulled = pull(left).filter(|pulled| pulled.missing.is_none())?;
    let extra = pulled.rel.columns().len() - own;
    let moved = |column: usize| Expr::Column(if column < own { column } else { column + extra });
    let on = on.iter().map(|condition| map_columns(condition, &mut |column| moved(column))).collect();
    let rel = Rel::Join { kind, left: Box::new(pulled.rel), right: Box::new(right.clone()), on };
    if kind.shows_left_only() {
        return Some(Unnested { rel, start: 0, keys: pulled.keys, rest: pulled.rest, missing: None });
    }
    let mut outputs: Vec<Expr> = (0..own + right.columns().len()).map(moved).collect();
    let Above { keys, rest } = Above { keys: pulled.keys, rest: pulled.rest }.through(&mut outputs);
    Some(Unnested { rel: rel.project(outputs), start: 0, keys, rest, missing: None })
}

fn aggregate(input: &Rel, keys: &[Expr], aggregates: &[Aggregate]) -> Option<Unnested> {
    if keys.iter().chain(aggregates.iter().flat_map(aggregate_exprs)).any(has_outer) {
        return None;
    }
    let (rel, outer_keys) = keyed(input)?;
    let mut groups = keys.to_vec();
    let above = Above { keys: outer_keys, rest: Vec::new() }.through(&mut groups);
    let (own, grouped) = (keys.len(), groups.len());
    let rel = Rel::Aggregate { input: Box::new(rel), keys: groups, aggregates: aggregates.to_vec() };
    let mut outputs: Vec<Expr> =
        columns_from(0, own).chain(columns_from(grouped, aggregates.len())).collect();
    let Above { keys: outer_keys, .. } = above.through(&mut outputs);
    let missing = keys
        .is_empty()
        .then(|| aggregates.iter().map(|aggregate| Expr::Literal(of_no_rows(aggregate))).collect());
    Some(Unnested { rel: rel.project(outputs), start: 0, keys: outer_keys, rest: Vec::new(), missing })
}

/// The first rows for each list of arguments: also grouped by its keys.
fn top(
    input: &Rel,
    keys: &[Expr],
    order: &[SortKey],
    (skip, fetch, numbered): (usize, Option<usize>, bool),
) -> Option<Unnested> {
    if keys.iter().any(has_outer) {
        return None;
    }
    let own = input.columns().len();
    let (rel, outer_keys) = keyed(input)?;
    let width = rel.columns().len();
    let groups = keys.iter().cloned().chain(outer_keys.iter().map(|key| key.inner.clone())).collect();
    let order = order.to_vec();
    let rel = Rel::TopK { input: Box::new(rel), keys: groups, order, skip, fetch, numbered };
    let mut outputs: Vec<Expr> =
        columns_from(0, own).chain(columns_from(width, usize::from(numbered))).collect();
    let above = Above { keys: outer_keys, rest: Vec::new() }.through(&mut outputs);
    Some(Unnested { rel: rel.project(outputs), start: 0, keys: above.keys, rest: Vec::new(), missing: None })
}
