//! What a group shows of a key whose equal values look different: '1 month' and '30 days' are one group, so are 1
//! and 1.0 of jsonb, and it shows the least of its members, part by part, whatever came first.
//!
//! ```text
//! GROUP BY key           →  GROUP BY key, with min(key) in the place of the key above
//! DISTINCT               →  GROUP BY all columns, so
//! ```

use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr};

use crate::query::rel::{Rel, types_of};

/// Gives every aggregation by such a key, and every DISTINCT over one, a column for what it shows.
pub(super) fn show_members(rel: &mut Rel) {
    rel.inputs_mut().into_iter().for_each(show_members);
    let (keys, aggregates, types) = match rel {
        Rel::Aggregate { input, keys, aggregates } => {
            (keys.clone(), aggregates.clone(), types_of(keys, &input.columns()))
        }
        Rel::Distinct { input } => {
            let types = input.columns();
            ((0..types.len()).map(Expr::Column).collect(), Vec::new(), types)
        }
        _ => return,
    };
    if !types.iter().any(|data_type| data_type.has_equals_that_differ()) {
        return;
    }
    let (Rel::Aggregate { input, .. } | Rel::Distinct { input }) = std::mem::replace(rel, Rel::unit()) else {
        return;
    };
    *rel = with_members(input, keys, aggregates, &types);
}

fn with_members(input: Box<Rel>, keys: Vec<Expr>, mut aggregates: Vec<Aggregate>, types: &[DataType]) -> Rel {
    let own = aggregates.len();
    let mut outputs: Vec<Expr> = (0..keys.len() + own).map(Expr::Column).collect();
    for (index, key) in keys.iter().enumerate().filter(|(index, _)| types[*index].has_equals_that_differ()) {
        outputs[index] = Expr::Column(keys.len() + aggregates.len());
        let least = Aggregate::plain(AggregateFunction::Min, Some(key.clone()), types[index]);
        aggregates.push(least);
    }
    Rel::Aggregate { input, keys, aggregates }.project(outputs)
}
