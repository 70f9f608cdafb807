//! How many rows a relation can have, by its form alone, for each list of arguments.

use crate::query::rel::{JoinKind, Rel};

/// Whether it has one row, always.
pub(super) fn exactly_one(rel: &Rel) -> bool {
    match rel {
        Rel::Values { rows, .. } => rows.len() == 1,
        Rel::Project { input, predicates, .. } => predicates.is_empty() && exactly_one(input),
        Rel::Aggregate { keys, .. } => keys.is_empty(),
        Rel::Join { kind: JoinKind::Inner, left, right, on } => {
            on.is_empty() && exactly_one(left) && exactly_one(right)
        }
        Rel::Sort { input, .. } | Rel::Distinct { input } => exactly_one(input),
        Rel::Scan { .. }
        | Rel::Join { .. }
        | Rel::Union { .. }
        | Rel::Limit { .. }
        | Rel::Repeat { .. }
        | Rel::FlatMap { .. }
        | Rel::TopK { .. } => false,
    }
}

/// Whether it never has two rows.
pub(super) fn at_most_one(rel: &Rel) -> bool {
    match rel {
        Rel::Values { rows, .. } => rows.len() <= 1,
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Distinct { input } => at_most_one(input),
        Rel::Aggregate { keys, .. } => keys.is_empty(),
        Rel::Join { kind: JoinKind::Inner | JoinKind::Left, left, right, .. } => {
            at_most_one(left) && at_most_one(right)
        }
        Rel::Join { kind: JoinKind::Semi | JoinKind::Anti, left, .. } => at_most_one(left),
        Rel::Limit { input, fetch, .. } => matches!(fetch, Some(0 | 1)) || at_most_one(input),
        Rel::TopK { input, keys, fetch, .. } => {
            (keys.is_empty() && matches!(fetch, Some(0 | 1))) || at_most_one(input)
        }
        Rel::Scan { .. }
        | Rel::Join { kind: JoinKind::Right | JoinKind::Full, .. }
        | Rel::Union { .. }
        | Rel::Repeat { .. }
        | Rel::FlatMap { .. } => false,
    }
}

/// A relation that has a row whenever `rel` has one, with as little work as possible.
pub(super) fn for_existence(rel: Rel) -> Rel {
    match rel {
        Rel::Sort { input, .. } | Rel::Distinct { input } => for_existence(*input),
        Rel::Limit { input, skip: 0, fetch } if fetch != Some(0) => for_existence(*input),
        Rel::TopK { input, skip: 0, fetch, .. } if fetch != Some(0) => for_existence(*input),
        Rel::Aggregate { input, keys, .. } if !keys.is_empty() => for_existence(*input),
        // What nothing reads need not be computed; that it could fail is of no interest to EXISTS.
        Rel::Project { input, predicates, .. } if predicates.is_empty() => for_existence(*input),
        Rel::Project { input, predicates, .. } => Rel::Project { input, predicates, outputs: Vec::new() },
        other => other,
    }
}

/// LIMIT as the first rows of one group, with the sort below it, if there is one, as their order.
pub(super) fn top_of_limit(input: &Rel, skip: usize, fetch: Option<usize>) -> Rel {
    let top = |input: &Rel, order| Rel::TopK {
        input: Box::new(input.clone()),
        keys: Vec::new(),
        order,
        skip,
        fetch,
        numbered: false,
    };
    match input {
        Rel::Sort { input, keys } => top(input, keys.clone()),
        Rel::Project { input: sorted, predicates, outputs } if predicates.is_empty() => match sorted.as_ref()
        {
            Rel::Sort { input, keys } => top(input, keys.clone()).project(outputs.clone()),
            _ => top(input, Vec::new()),
        },
        other => top(other, Vec::new()),
    }
}
