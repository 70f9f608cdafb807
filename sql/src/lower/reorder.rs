//! Inner joins in an order in which each has a key, where there is one.
//!
//! `FROM a, b, c WHERE a.x = c.x AND b.y = c.y` would otherwise pair every row of `a` with every
//! row of `b`. The order that the user wrote is kept as far as it goes.

use millrace_engine::Expr;

use super::join_keys;
use crate::query::exprs::{columns_of, map_columns};
use crate::query::rel::{JoinKind, Rel};

/// Reorders every chain of inner joins of the tree.
pub(super) fn reorder_joins(rel: Rel) -> Rel {
    let boxed = |input: Box<Rel>| Box::new(reorder_joins(*input));
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } => rel,
        Rel::Project { input, predicates, outputs } => {
            Rel::Project { input: boxed(input), predicates, outputs }
        }
        Rel::Join { kind: JoinKind::Inner, .. } => reorder_chain(rel),
        Rel::Join { kind, left, right, on } => Rel::Join { kind, left: boxed(left), right: boxed(right), on },
        Rel::Aggregate { input, keys, aggregates } => {
            Rel::Aggregate { input: boxed(input), keys, aggregates }
        }
        Rel::Union { inputs } => Rel::Union { inputs: inputs.into_iter().map(reorder_joins).collect() },
        Rel::Distinct { input } => Rel::Distinct { input: boxed(input) },
        Rel::Sort { input, keys } => Rel::Sort { input: boxed(input), keys },
        Rel::Limit { input, skip, fetch } => Rel::Limit { input: boxed(input), skip, fetch },
        Rel::Repeat { input, count } => Rel::Repeat { input: boxed(input), count },
        Rel::FlatMap { input, calls } => Rel::FlatMap { input: boxed(input), calls },
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            Rel::TopK { input: boxed(input), keys, order, skip, fetch, numbered }
        }
    }
}

/// A chain of inner joins, taken apart. Columns count over all parts in the order written.
#[derive(Default)]
struct Chain {
    /// Each part with the position of its first column.
    parts: Vec<(Rel, usize)>,
    conditions: Vec<Expr>,
    width: usize,
}

impl Chain {
    fn collect(&mut self, rel: Rel) {
        let start = self.width;
        match rel {
            Rel::Join { kind: JoinKind::Inner, left, right, on } => {
                self.collect(*left);
                self.collect(*right);
                let shift =
                    |condition: &Expr| map_columns(condition, &mut |column| Expr::Column(column + start));
                self.conditions.extend(on.iter().map(shift));
            }
            other => {
                let part = reorder_joins(other);
                self.width += part.columns().len();
                self.parts.push((part, start));
            }
        }
    }
}

/// The joined parts so far.
struct Joined {
    rel: Rel,
    /// For each column of `rel`, its position as written.
    columns: Vec<usize>,
}

impl Joined {
    fn position(&self, column: usize) -> Option<usize> {
        self.columns.iter().position(|own| *own == column)
    }

    /// The conditions that can be tested once `part` is joined, over the joined columns; taken out
    /// of `conditions`.
    fn testable(&self, part: &Rel, start: usize, conditions: &mut Vec<Expr>) -> Vec<Expr> {
        let width = self.columns.len();
        let part_columns = start..start + part.columns().len();
        let place = |column: usize| match self.position(column) {
            Some(position) => Some(position),
            None if part_columns.contains(&column) => Some(width + column - start),
            None => None,
        };
        let mut found = Vec::new();
        conditions.retain(|condition| {
            if columns_of(condition).into_iter().any(|column| place(column).is_none()) {
                return true;
            }
            found.push(map_columns(condition, &mut |column| Expr::Column(place(column).unwrap_or(column))));
            false
        });
        found
    }

    /// Whether joining `part` has a key.
    fn has_key(&self, part: &Rel, start: usize, conditions: &[Expr]) -> bool {
        let on = self.testable(part, start, &mut conditions.to_vec());
        !join_keys(&on, &self.rel.columns(), &part.columns()).0.is_empty()
    }

    fn join(self, part: Rel, start: usize, conditions: &mut Vec<Expr>) -> Joined {
        let on = self.testable(&part, start, conditions);
        let mut columns = self.columns;
        columns.extend(start..start + part.columns().len());
        let (left, right) = (Box::new(self.rel), Box::new(part));
        Joined { rel: Rel::Join { kind: JoinKind::Inner, left, right, on }, columns }
    }
}

fn reorder_chain(rel: Rel) -> Rel {
    let mut chain = Chain::default();
    chain.collect(rel);
    let Chain { mut parts, mut conditions, width } = chain;
    let (first, start) = parts.remove(0);
    let columns = (start..start + first.columns().len()).collect();
    let mut joined = Joined { rel: first, columns };
    while !parts.is_empty() {
        let keyed = parts.iter().position(|(part, start)| joined.has_key(part, *start, &conditions));
        let (part, start) = parts.remove(keyed.unwrap_or(0));
        joined = joined.join(part, start, &mut conditions);
    }
    if joined.columns.iter().copied().eq(0..width) {
        return joined.rel;
    }
    let restored = (0..width).map(|column| Expr::Column(joined.position(column).unwrap_or(column))).collect();
    joined.rel.project(restored)
}
