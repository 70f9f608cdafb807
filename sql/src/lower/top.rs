//! Filters on a row number as the bound of the numbering: `row_number() … <= k` keeps `k` rows a group, and
//! no more of them are looked at.

use millrace_engine::{Expr, Literal};

use crate::query::exprs::conjuncts;

/// A bound that a predicate puts on a number.
struct Bound {
    /// The greatest number; none: it says nothing that is not so anyway.
    most: Option<usize>,
    /// Whether the predicate says no more than that.
    whole: bool,
}

/// The least bound that predicates put on the number in a column, and the predicates that are still needed.
pub(super) fn bound(
    predicates: Vec<Expr>,
    number: usize,
    mut fetch: Option<usize>,
) -> (Option<usize>, Vec<Expr>) {
    let mut kept = Vec::new();
    for predicate in predicates.into_iter().flat_map(conjuncts) {
        let found = bound_of(&predicate, number);
        if let Some(Bound { most: Some(most), .. }) = found {
            fetch = Some(fetch.map_or(most, |fetch| fetch.min(most)));
        }
        if !found.is_some_and(|bound| bound.whole) {
            kept.push(predicate);
        }
    }
    (fetch, kept)
}

fn bound_of(predicate: &Expr, number: usize) -> Option<Bound> {
    let Expr::Call { function, arguments, .. } = predicate else { return None };
    let (limit, number_first) = match arguments.as_slice() {
        [Expr::Column(column), Expr::Literal(Literal::Int64(limit))] if *column == number => (*limit, true),
        [Expr::Literal(Literal::Int64(limit)), Expr::Column(column)] if *column == number => (*limit, false),
        _ => return None,
    };
    let most = match (function.as_str(), number_first) {
        ("equal", _) | ("less_equal", true) | ("greater_equal", false) => limit,
        ("less", true) | ("greater", false) => limit.saturating_sub(1),
        ("greater_equal", true) | ("less_equal", false) if limit <= 1 => {
            return Some(Bound { most: None, whole: true });
        }
        _ => return None,
    };
    let most = usize::try_from(most.max(0)).ok()?;
    Some(Bound { most: Some(most), whole: function != "equal" || most <= 1 })
}
