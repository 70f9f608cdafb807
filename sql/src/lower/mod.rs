//! From a bound query to the plan that maintains it.

mod lookup; // which index answers a filter
mod join; // outer joins and semi joins by what the engine has
mod optimize; // filters down, columns away
mod shown; // what groups of equal intervals show
mod reorder; // joins in an order in which each has a key
mod top; // the bounds that filters put on row numbers

use millrace_engine::{Expr, OrderKey, Plan, PlanRef};

use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::query::exprs::{calls, volatile_call};
use crate::query::rel::{JoinKind, Rel, SortKey};
use crate::system::SystemRelation;
pub(crate) use join::join_keys;
use join::one_predicate;
pub(crate) use lookup::{choose_indexes, key_literal};
pub(crate) use optimize::optimize;

/// A plan with more distinct operators is refused: each becomes one or more operators of every worker.
const OPERATORS_MAX: usize = 5_000;

/// A plan with more operators above one another is refused: workers render plans by recursion.
const DEPTH_MAX: usize = 1_000;

/// The plan that maintains an optimised query.
///
/// # Errors
/// 0A000 for what cannot be maintained yet, 42P17 for what never can, 54001 for a plan too large.
pub(crate) fn lower(rel: &Rel) -> Result<PlanRef, SqlError> {
    check_calls(rel)?;
    check_relations(rel)?;
    // Without another look at which columns are needed: what breaks ties is settled by the query itself.
    let plan = plan(&optimize::fuse(without_sorts(rel.clone())))?;
    check_size(&plan)?;
    plan.check().map_err(SqlError::internal)?;
    Ok(plan)
}

/// Refuses a plan that is too large or too deep.
fn check_size(plan: &PlanRef) -> Result<(), SqlError> {
    let too_complex = |detail: String| {
        SqlError::new("54001", "statement too complex")
            .detail(detail)
            .hint("Put a part of the query into a view of its own.")
    };
    if plan.nodes().len() > OPERATORS_MAX {
        return Err(too_complex(format!(
            "The plan of the view would have more than {OPERATORS_MAX} operators."
        )));
    }
    if plan.depth() > DEPTH_MAX {
        return Err(too_complex(format!(
            "The plan of the view would be more than {DEPTH_MAX} operators deep."
        )));
    }
    Ok(())
}

/// The query without sorts, which only a LIMIT would read: views keep no order, nor do
/// PostgreSQL's.
fn without_sorts(rel: Rel) -> Rel {
    let boxed = |input: Box<Rel>| Box::new(without_sorts(*input));
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } => rel,
        Rel::Project { input, predicates, outputs } => {
            Rel::Project { input: boxed(input), predicates, outputs }
        }
        Rel::Join { kind, left, right, on } => Rel::Join { kind, left: boxed(left), right: boxed(right), on },
        Rel::Aggregate { input, keys, aggregates } => {
            Rel::Aggregate { input: boxed(input), keys, aggregates }
        }
        Rel::Union { inputs } => Rel::Union { inputs: inputs.into_iter().map(without_sorts).collect() },
        Rel::Distinct { input } => Rel::Distinct { input: boxed(input) },
        Rel::Sort { input, .. } => without_sorts(*input),
        Rel::Limit { input, skip, fetch } => Rel::Limit { input: boxed(input), skip, fetch },
        Rel::Repeat { input, count } => Rel::Repeat { input: boxed(input), count },
        Rel::FlatMap { input, calls } => Rel::FlatMap { input: boxed(input), calls },
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            Rel::TopK { input: boxed(input), keys, order, skip, fetch, numbered }
        }
    }
}

fn not_yet(what: &str) -> SqlError {
    SqlError::new("0A000", format!("{what} in a materialized view is not supported yet"))
}

/// Refuses functions whose value does not follow from the rows.
fn check_calls(rel: &Rel) -> Result<(), SqlError> {
    let (mut volatile, mut now) = (None, false);
    rel.visit_exprs(&mut |expr| {
        volatile = volatile.or(volatile_call(expr));
        now |= calls(expr, "now");
    });
    if let Some(name) = volatile {
        let message = format!("functions in a materialized view must be deterministic: {name}() is volatile");
        return Err(SqlError::new("42P17", message));
    }
    if now { Err(not_yet("now()")) } else { Ok(()) }
}

/// Refuses relations that have no changes to follow.
fn check_relations(rel: &Rel) -> Result<(), SqlError> {
    match rel.relations().into_iter().find_map(SystemRelation::of_id) {
        None => Ok(()),
        Some(relation) => {
            let name = relation.qualified_name();
            Err(SqlError::unsupported(format_args!("a materialized view over {name}"))
                .hint("It shows the moment at which it is read; SELECT from it whenever you want to know."))
        }
    }
}

fn plan(rel: &Rel) -> Result<PlanRef, SqlError> {
    let operator = match rel {
        Rel::Scan { relation, columns, .. } => Plan::Get { relation: *relation, columns: columns.clone() },
        Rel::Values { rows, columns } => {
            let row = |row: &Vec<Expr>| row.iter().map(evaluate_constant).collect::<Result<Vec<_>, _>>();
            Plan::Constant { rows: rows.iter().map(row).collect::<Result<_, _>>()?, columns: columns.clone() }
        }
        Rel::Project { input, predicates, outputs } => {
            let (input, residual) = joined(input)?;
            let predicates = one_predicate([residual.as_slice(), predicates].concat());
            Plan::Project { input, predicates, outputs: outputs.clone() }
        }
        Rel::Join { kind, left, right, on } => return join::join(*kind, left, right, on),
        Rel::Aggregate { input, keys, aggregates } => {
            Plan::Reduce { input: plan(input)?, keys: keys.clone(), aggregates: aggregates.clone() }
        }
        Rel::Union { inputs } => Plan::Union { inputs: inputs.iter().map(plan).collect::<Result<_, _>>()? },
        Rel::Distinct { input } => {
            let keys = (0..input.columns().len()).map(Expr::Column).collect();
            Plan::Reduce { input: plan(input)?, keys, aggregates: Vec::new() }
        }
        Rel::Sort { input, .. } => return plan(input),
        Rel::Limit { input, skip, fetch } => top(input, Vec::new(), &[], *skip, *fetch, false)?,
        Rel::Repeat { input, count } => Plan::Repeat { input: plan(input)?, count: count.clone() },
        Rel::FlatMap { input, calls } => Plan::FlatMap { input: plan(input)?, calls: calls.clone() },
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            top(input, keys.clone(), order, *skip, *fetch, *numbered)?
        }
    };
    Ok(operator.into())
}

/// The plan of LIMIT, with an order or without.
fn top(
    input: &Rel,
    keys: Vec<Expr>,
    order: &[SortKey],
    skip: usize,
    fetch: Option<usize>,
    numbered: bool,
) -> Result<Plan, SqlError> {
    let order_key = |key: &SortKey| OrderKey {
        expr: Expr::Column(key.column),
        descending: key.descending,
        nulls_first: key.nulls_first,
    };
    Ok(Plan::TopK {
        input: plan(input)?,
        keys,
        order: order.iter().map(order_key).collect(),
        skip: skip as u64,
        fetch: fetch.map(|fetch| fetch as u64),
        numbered,
    })
}

/// The plan of a relation; of an inner join without the conditions that are no keys, which are
/// for the projection above it.
fn joined(rel: &Rel) -> Result<(PlanRef, Vec<Expr>), SqlError> {
    match rel {
        Rel::Join { kind: JoinKind::Inner, left, right, on } => join::inner(left, right, on),
        other => Ok((plan(other)?, Vec::new())),
    }
}
