//! A correlated tree for each row of a domain: the distinct argument lists.
//!
//! `push(rel, domain)` has the domain's columns and then those of `rel`; its rows for one row of
//! the domain are those of `rel` with that row's values for the outer references. Below, where nothing
//! reads an argument, the domain is joined in whole; `lower::optimize` makes the conditions above into keys.
//!
//! ```text
//!   project, filter    carry the domain's columns along
//!   aggregate          also groups by them; without keys, domain rows without a group get the values of none
//!   limit, top-k       per row of the domain
//!   join               the side that reads arguments carries them; if both do, they must agree
//! ```

use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, Literal, RowCalls};

use super::shape::top_of_limit;
use super::{behind, columns_from};
use crate::query::expr::call;
use crate::query::exprs::map_columns;
use crate::query::outer::{is_correlated, map_outer};
use crate::query::rel::{JoinKind, Rel, SortKey, map_aggregate, map_calls};

/// `rel` for each row of `domain`, whose columns come first.
pub(super) fn push(rel: &Rel, domain: &Rel) -> Rel {
    Domain { width: domain.columns().len(), rel: domain }.push(rel)
}

struct Domain<'a> {
    rel: &'a Rel,
    width: usize,
}

impl Domain<'_> {
    /// An expression over a pushed relation.
    fn over(&self, expr: &Expr) -> Expr {
        map_outer(&behind(expr, self.width), &mut |index, _| Expr::Column(index))
    }

    fn over_all(&self, exprs: &[Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.over(expr)).collect()
    }

    /// The domain's columns, then these expressions.
    fn with_columns(&self, exprs: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
        columns_from(0, self.width).chain(exprs).collect()
    }

    fn over_sort(&self, keys: &[SortKey]) -> Vec<SortKey> {
        keys.iter().map(|key| SortKey { column: key.column + self.width, ..*key }).collect()
    }

    fn boxed(&self, rel: &Rel) -> Box<Rel> {
        Box::new(self.push(rel))
    }

    fn push(&self, rel: &Rel) -> Rel {
        if !is_correlated(rel) {
            return self.times(rel);
        }
        match rel {
            Rel::Scan { .. } => self.times(rel),
            Rel::Values { rows, .. } => {
                let row = |row: &Vec<Expr>| self.rel.clone().project(self.with_columns(self.over_all(row)));
                Rel::Union { inputs: rows.iter().map(row).collect() }
            }
            Rel::Project { input, predicates, outputs } => Rel::Project {
                input: self.boxed(input),
                predicates: self.over_all(predicates),
                outputs: self.with_columns(self.over_all(outputs)),
            },
            Rel::Join { kind, left, right, on } => self.join(*kind, left, right, on),
            Rel::Aggregate { input, keys, aggregates } => self.aggregate(input, keys, aggregates),
            Rel::Union { inputs } => {
                Rel::Union { inputs: inputs.iter().map(|input| self.push(input)).collect() }
            }
            Rel::Distinct { input } => Rel::Distinct { input: self.boxed(input) },
            Rel::Sort { input, keys } => Rel::Sort { input: self.boxed(input), keys: self.over_sort(keys) },
            Rel::Limit { input, skip, fetch } => self.push(&top_of_limit(input, *skip, *fetch)),
            Rel::Repeat { input, count } => Rel::Repeat { input: self.boxed(input), count: self.over(count) },
            Rel::FlatMap { input, calls } => {
                let own = calls.kept.iter().map(|column| column + self.width);
                let kept = (0..self.width).chain(own).collect();
                let calls = map_calls(RowCalls { kept, ..calls.clone() }, &mut |expr| self.over(expr));
                Rel::FlatMap { input: self.boxed(input), calls }
            }
            Rel::TopK { input, keys, order, skip, fetch, numbered } => Rel::TopK {
                input: self.boxed(input),
                keys: self.with_columns(self.over_all(keys)),
                order: self.over_sort(order),
                skip: *skip,
                fetch: *fetch,
                numbered: *numbered,
            },
        }
    }

    /// Every row of the domain with every row of a relation that reads no argument.
    fn times(&self, rel: &Rel) -> Rel {
        let (left, right) = (Box::new(self.rel.clone()), Box::new(rel.clone()));
        Rel::Join { kind: JoinKind::Inner, left, right, on: Vec::new() }
    }

    /// Each side that reads arguments carries the domain, and so does each whose rows are kept without a match.
    fn join(&self, kind: JoinKind, left: &Rel, right: &Rel, on: &[Expr]) -> Rel {
        let (left_carries, right_carries) = match kind {
            JoinKind::Inner => {
                let right_only = is_correlated(right) && !is_correlated(left);
                (!right_only, is_correlated(right))
            }
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (true, is_correlated(right)),
            JoinKind::Right => (is_correlated(left), true),
            JoinKind::Full => (true, true),
        };
        let width = left.columns().len();
        let left_width = if left_carries { width + self.width } else { width };
        let carried =
            |carries: bool, side: &Rel| Box::new(if carries { self.push(side) } else { side.clone() });
        // Where the domain's columns are in the join, and the others.
        let domain_start = if left_carries { 0 } else { left_width };
        let own = |column: usize| match column < width {
            true => left_width - width + column,
            false => left_width + if right_carries { self.width } else { 0 } + column - width,
        };
        let place = |expr: &Expr| {
            let moved = map_columns(expr, &mut |column| Expr::Column(own(column)));
            map_outer(&moved, &mut |index, _| Expr::Column(domain_start + index))
        };
        let mut conditions: Vec<Expr> = Vec::new();
        if left_carries && right_carries {
            conditions.extend((0..self.width).map(|index| same(index, left_width + index)));
        }
        conditions.extend(on.iter().map(place));
        let (left_side, right_side) = (carried(left_carries, left), carried(right_carries, right));
        let types = self.rel.columns();
        let joined = Rel::Join { kind, left: left_side, right: right_side, on: conditions };
        if kind.shows_left_only() {
            return joined;
        }
        let total = width + right.columns().len();
        let domain = (0..self.width).map(|index| match kind {
            // A row without a match on the left has no domain there.
            JoinKind::Full => {
                let sides = vec![Expr::Column(index), Expr::Column(left_width + index)];
                call("coalesce", sides, types[index])
            }
            JoinKind::Right => Expr::Column(left_width + index),
            JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti => {
                Expr::Column(domain_start + index)
            }
        });
        let outputs = domain.chain((0..total).map(|column| Expr::Column(own(column)))).collect();
        joined.project(outputs)
    }

    fn aggregate(&self, input: &Rel, keys: &[Expr], aggregates: &[Aggregate]) -> Rel {
        let over = |aggregate: &Aggregate| map_aggregate(aggregate.clone(), &mut |expr| self.over(expr));
        let grouped = Rel::Aggregate {
            input: self.boxed(input),
            keys: self.with_columns(self.over_all(keys)),
            aggregates: aggregates.iter().map(over).collect(),
        };
        if !keys.is_empty() {
            return grouped;
        }
        // A global aggregate has a row where the input has none.
        let joined = Rel::Join {
            kind: JoinKind::Left,
            left: Box::new(self.rel.clone()),
            right: Box::new(grouped),
            on: (0..self.width).map(|index| same(index, self.width + index)).collect(),
        };
        let values = aggregates.iter().enumerate().map(|(index, aggregate)| {
            let value = Expr::Column(2 * self.width + index);
            match of_no_rows(aggregate) {
                Literal::Null(_) => value,
                empty => call("coalesce", vec![value, Expr::Literal(empty)], aggregate.data_type),
            }
        });
        joined.project(self.with_columns(values))
    }
}

/// `#left is not distinct from #right`
fn same(left: usize, right: usize) -> Expr {
    let sides = vec![Expr::Column(left), Expr::Column(right)];
    Expr::Not(Box::new(call("is_distinct_from", sides, DataType::Boolean)))
}

/// An aggregate's value over no rows.
pub(super) fn of_no_rows(aggregate: &Aggregate) -> Literal {
    match aggregate.function {
        AggregateFunction::Count => Literal::Int64(0),
        AggregateFunction::Sum
        | AggregateFunction::Avg
        | AggregateFunction::Min
        | AggregateFunction::Max
        | AggregateFunction::BoolAnd
        | AggregateFunction::BoolOr
        | AggregateFunction::BitAnd
        | AggregateFunction::BitOr
        | AggregateFunction::BitXor
        | AggregateFunction::VarPop
        | AggregateFunction::VarSamp
        | AggregateFunction::StddevPop
        | AggregateFunction::StddevSamp
        | AggregateFunction::StringAgg
        | AggregateFunction::ArrayAgg => Literal::Null(aggregate.data_type),
    }
}
