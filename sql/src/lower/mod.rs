//! From a bound query to the plan that maintains it.

mod optimize; // filters down, columns away
mod reorder; // joins in an order in which each has a key

use millrace_engine::{DataType, Expr, JoinKey, NUMERIC_PRECISION_MAX, OrderKey, Plan};

use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::query::exprs::{calls, columns_of, map_columns};
use crate::query::rel::{JoinKind, Rel, SortKey};
use crate::system::{self, SystemRelation};
pub(crate) use optimize::optimize;

/// The plan that maintains an optimised query.
///
/// # Errors
/// 0A000 for what cannot be maintained yet, 42P17 for what never can.
pub(crate) fn lower(rel: &Rel) -> Result<Plan, SqlError> {
    check_calls(rel)?;
    check_relations(rel)?;
    let plan = plan(&optimize(without_sorts(rel.clone())))?;
    plan.check().map_err(SqlError::internal)?;
    Ok(plan)
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
    let (mut random, mut now) = (false, false);
    rel.visit_exprs(&mut |expr| {
        random |= calls(expr, "random");
        now |= calls(expr, "now");
    });
    if random {
        let message = "functions in a materialized view must be deterministic: random() is volatile";
        return Err(SqlError::new("42P17", message));
    }
    if now { Err(not_yet("now()")) } else { Ok(()) }
}

/// Refuses relations that have no changes to follow.
fn check_relations(rel: &Rel) -> Result<(), SqlError> {
    match rel.relations().into_iter().find_map(SystemRelation::of_id) {
        None => Ok(()),
        Some(relation) => {
            let name = format!("{}.{}", system::SCHEMA, relation.name());
            Err(SqlError::unsupported(format_args!("a materialized view over {name}"))
                .hint("It shows the moment at which it is read; SELECT from it whenever you want to know."))
        }
    }
}

fn plan(rel: &Rel) -> Result<Plan, SqlError> {
    Ok(match rel {
        Rel::Scan { relation, columns } => Plan::Get { relation: *relation, columns: columns.clone() },
        Rel::Values { rows, columns } => {
            let row = |row: &Vec<Expr>| row.iter().map(evaluate_constant).collect::<Result<Vec<_>, _>>();
            Plan::Constant { rows: rows.iter().map(row).collect::<Result<_, _>>()?, columns: columns.clone() }
        }
        Rel::Project { input, predicates, outputs } => {
            let (input, residual) = joined(input)?;
            let predicates = one_predicate([residual.as_slice(), predicates].concat());
            Plan::Project { input: Box::new(input), predicates, outputs: outputs.clone() }
        }
        Rel::Join { kind: JoinKind::Inner, .. } => {
            let (input, residual) = joined(rel)?;
            if residual.is_empty() {
                return Ok(input);
            }
            let outputs = (0..rel.columns().len()).map(Expr::Column).collect();
            Plan::Project { input: Box::new(input), predicates: one_predicate(residual), outputs }
        }
        Rel::Join { kind: JoinKind::Left, .. } => return Err(not_yet("LEFT JOIN")),
        Rel::Join { kind: JoinKind::Right, .. } => return Err(not_yet("RIGHT JOIN")),
        Rel::Join { kind: JoinKind::Full, .. } => return Err(not_yet("FULL JOIN")),
        Rel::Join { kind: JoinKind::Semi | JoinKind::Anti, .. } => return Err(not_yet("a semi join")),
        Rel::Aggregate { input, keys, aggregates } => {
            if aggregates.iter().any(|aggregate| aggregate.distinct) {
                return Err(not_yet("DISTINCT in an aggregate"));
            }
            Plan::Reduce { input: Box::new(plan(input)?), keys: keys.clone(), aggregates: aggregates.clone() }
        }
        Rel::Union { inputs } => Plan::Union { inputs: inputs.iter().map(plan).collect::<Result<_, _>>()? },
        Rel::Distinct { input } => {
            let keys = (0..input.columns().len()).map(Expr::Column).collect();
            Plan::Reduce { input: Box::new(plan(input)?), keys, aggregates: Vec::new() }
        }
        Rel::Sort { input, .. } => plan(input)?,
        Rel::Limit { input, skip, fetch } => top(input, Vec::new(), &[], *skip, *fetch, false)?,
        Rel::Repeat { input, count } => Plan::Repeat { input: Box::new(plan(input)?), count: count.clone() },
        Rel::TopK { input, keys, order, skip, fetch, numbered } => {
            top(input, keys.clone(), order, *skip, *fetch, *numbered)?
        }
    })
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
        input: Box::new(plan(input)?),
        keys,
        order: order.iter().map(order_key).collect(),
        skip: skip as u64,
        fetch: fetch.map(|fetch| fetch as u64),
        numbered,
    })
}

/// Several predicates as one AND, which is evaluated from left to right and only where needed.
fn one_predicate(mut predicates: Vec<Expr>) -> Vec<Expr> {
    if predicates.len() > 1 {
        predicates = vec![Expr::And(predicates)];
    }
    predicates
}

/// The keys among the conditions of a join, and the conditions that are none.
pub(crate) fn join_keys(on: &[Expr], left: &[DataType], right: &[DataType]) -> (Vec<JoinKey>, Vec<Expr>) {
    let mut keys = Vec::new();
    let mut residual = Vec::new();
    for condition in on {
        match join_key(condition, left, right) {
            Some(key) => keys.push(key),
            None => residual.push(condition.clone()),
        }
    }
    (keys, residual)
}

fn join_key(condition: &Expr, left: &[DataType], right: &[DataType]) -> Option<JoinKey> {
    let (call, nulls_equal) = match condition {
        Expr::Not(inner) => (inner.as_ref(), true),
        other => (other, false),
    };
    let Expr::Call { function, arguments, .. } = call else { return None };
    let [a, b] = arguments.as_slice() else { return None };
    if function != if nulls_equal { "is_distinct_from" } else { "equal" } {
        return None;
    }
    let width = left.len();
    let of_left = |expr: &Expr| side(expr, width) == Some(true);
    let of_right = |expr: &Expr| side(expr, width) == Some(false);
    let (a, b) = match () {
        () if of_left(a) && of_right(b) => (a, b),
        () if of_left(b) && of_right(a) => (b, a),
        () => return None,
    };
    let b = map_columns(b, &mut |column| Expr::Column(column - width));
    let to = common_key_type(a.data_type(left)?, b.data_type(right)?);
    Some(JoinKey { left: as_key(a.clone(), left, to), right: as_key(b, right, to), nulls_equal })
}

/// `Some(true)` where the expression reads left columns only, `Some(false)` where right ones only.
fn side(expr: &Expr, width: usize) -> Option<bool> {
    let columns = columns_of(expr);
    let left = *columns.first()? < width;
    let right = *columns.last()? >= width;
    if left == right { None } else { Some(left) }
}

/// Operands of `equal` differ at most by the scale of numerics.
fn common_key_type(a: DataType, b: DataType) -> DataType {
    match (a, b) {
        (DataType::Numeric { scale: left, .. }, DataType::Numeric { scale: right, .. }) if a != b => {
            DataType::Numeric { precision: NUMERIC_PRECISION_MAX, scale: left.max(right) }
        }
        _ => a,
    }
}

fn as_key(expr: Expr, columns: &[DataType], to: DataType) -> Expr {
    if expr.data_type(columns) == Some(to) { expr } else { Expr::Cast { input: Box::new(expr), to } }
}

/// The plan of a relation; of an inner join without the conditions that are no keys, which are
/// for the projection above it.
fn joined(rel: &Rel) -> Result<(Plan, Vec<Expr>), SqlError> {
    let Rel::Join { kind: JoinKind::Inner, left, right, on } = rel else {
        return Ok((plan(rel)?, Vec::new()));
    };
    let (keys, residual) = join_keys(on, &left.columns(), &right.columns());
    let (left, right) = (Box::new(plan(left)?), Box::new(plan(right)?));
    Ok((Plan::Join { left, right, keys }, residual))
}
