//! UNION, INTERSECT and EXCEPT, with and without ALL, by the operators that are there for other things.
//!
//! ```text
//! a UNION ALL b      both           a INTERSECT b      distinct a, semi join with b on whole rows
//! a UNION b          the distinct   a EXCEPT b         distinct a, anti join with b on whole rows
//! a INTERSECT ALL b, a EXCEPT ALL b: each row with its counts l in a and r in b, repeated least(l, r) or l - r times
//! ```
//! In whole rows NULL equals NULL, and -0.0 equals 0.0.

use datafusion::sql::sqlparser::ast::{SetExpr, SetOperator, SetQuantifier};
use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, Literal};

use super::binder::{Binder, Bound, BoundQuery, Environment, Targets, cast_columns};
use super::expr::{call, unmatched};
use super::json::{EQUALITY, refuse_json};
use super::rel::{JoinKind, Rel};
use crate::error::SqlError;
use crate::functions::common_type;

impl Binder<'_> {
    /// Binds a set operation without its ORDER BY and LIMIT.
    pub(super) fn bind_set_operation(
        &self,
        body: &SetExpr,
        environment: &Environment,
        targets: Targets,
    ) -> Bound {
        let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
            return self.bind_body(body, environment, targets);
        };
        let all = match set_quantifier {
            SetQuantifier::All => true,
            SetQuantifier::None | SetQuantifier::Distinct => false,
            other => return Err(SqlError::unsupported(format_args!("{op} {other}"))),
        };
        let (name, branches) = match op {
            SetOperator::Union => ("UNION", union_branches(body, *set_quantifier)),
            SetOperator::Intersect => ("INTERSECT", vec![left.as_ref(), right.as_ref()]),
            SetOperator::Except => ("EXCEPT", vec![left.as_ref(), right.as_ref()]),
            SetOperator::Minus => return Err(SqlError::new("42601", "syntax error at or near \"MINUS\"")),
        };
        let arms = self.bind_arms(name, branches, environment, targets)?;
        let Some(first) = arms.first() else {
            return Err(SqlError::internal("a set operation without branches"));
        };
        if !(all && *op == SetOperator::Union) {
            first.rel.columns().into_iter().try_for_each(|column| refuse_json(Some(column), EQUALITY))?;
        }
        let (names, untyped) = (first.names.clone(), vec![false; first.names.len()]);
        let mut inputs: Vec<Rel> = arms.into_iter().map(|arm| arm.rel).collect();
        let rel = match op {
            SetOperator::Union if all => Rel::Union { inputs },
            SetOperator::Union => distinct(Rel::Union { inputs }),
            SetOperator::Intersect | SetOperator::Except | SetOperator::Minus => {
                let right = inputs.pop().unwrap_or_else(Rel::unit);
                let left = inputs.pop().unwrap_or_else(Rel::unit);
                let common = *op == SetOperator::Intersect;
                if all { counted(left, right, common) } else { matched(left, right, common) }
            }
        };
        Ok(BoundQuery { rel, names, untyped, origins: Vec::new() })
    }

    /// The branches of a set operation, brought to common column types.
    fn bind_arms(
        &self,
        operation: &str,
        branches: Vec<&SetExpr>,
        environment: &Environment,
        targets: Targets,
    ) -> Result<Vec<BoundQuery>, SqlError> {
        let probing = self.probing.replace(true);
        let arms = branches
            .iter()
            .map(|branch| self.bind_body(branch, environment, None))
            .collect::<Result<Vec<_>, _>>();
        self.probing.set(probing);
        let arms = arms?;
        let width = arms.first().map_or(0, |arm| arm.names.len());
        if arms.iter().any(|arm| arm.names.len() != width) {
            let message = format!("each {operation} query must have the same number of columns");
            return Err(SqlError::new("42601", message));
        }
        let mut types = Vec::new();
        for column in 0..width {
            let known: Vec<Option<DataType>> =
                arms.iter().map(|arm| (!arm.untyped[column]).then(|| arm.rel.columns()[column])).collect();
            let target = targets.and_then(|targets| targets.get(column)).copied();
            types.push(match (known.iter().all(Option::is_none), target) {
                (true, Some(target)) => target,
                _ => common_type(&known).map_err(|(left, right)| unmatched(operation, left, right))?,
            });
        }
        let mut bound = Vec::new();
        for (branch, arm) in branches.into_iter().zip(arms) {
            let arm = if arm.untyped.contains(&true) {
                self.bind_body(branch, environment, Some(&types))?
            } else {
                arm
            };
            bound.push(BoundQuery { rel: cast_columns(arm.rel, &types, self.parameters.zone)?, ..arm });
        }
        Ok(bound)
    }
}

/// The branches of a chain of the same UNION, left to right, without recursion along the chain.
fn union_branches(body: &SetExpr, quantifier: SetQuantifier) -> Vec<&SetExpr> {
    let mut found = Vec::new();
    let mut rest = body;
    while let SetExpr::SetOperation { op: SetOperator::Union, left, right, set_quantifier } = rest {
        if *set_quantifier != quantifier {
            break;
        }
        found.push(right.as_ref());
        rest = left;
    }
    found.push(rest);
    found.reverse();
    found
}

fn distinct(input: Rel) -> Rel {
    Rel::Distinct { input: Box::new(input) }
}

/// INTERSECT and EXCEPT: the distinct left rows that are, or are not, among the right ones.
fn matched(left: Rel, right: Rel, common: bool) -> Rel {
    let types = left.columns();
    let equal = |column: usize| {
        let operands = vec![Expr::Column(column), Expr::Column(column + types.len())];
        Expr::Not(Box::new(call("is_distinct_from", operands, DataType::Boolean)))
    };
    let on = (0..types.len()).map(equal).collect();
    let kind = if common { JoinKind::Semi } else { JoinKind::Anti };
    Rel::Join { kind, left: Box::new(distinct(left)), right: Box::new(right), on }
}

/// INTERSECT ALL and EXCEPT ALL, by the counts of each row on both sides.
fn counted(left: Rel, right: Rel, common: bool) -> Rel {
    let width = left.columns().len();
    let columns: Vec<Expr> = (0..width).map(Expr::Column).collect();
    let marked = |side: Rel, is_left: bool| {
        let mark = |present: bool| match present {
            true => Expr::Literal(Literal::Boolean(true)),
            false => Expr::Literal(Literal::Null(DataType::Boolean)),
        };
        side.project(columns.iter().cloned().chain([mark(is_left), mark(!is_left)]).collect())
    };
    let count =
        |column| Aggregate::plain(AggregateFunction::Count, Some(Expr::Column(column)), DataType::Int64);
    let counts = Rel::Aggregate {
        input: Box::new(Rel::Union { inputs: vec![marked(left, true), marked(right, false)] }),
        keys: columns.clone(),
        aggregates: vec![count(width), count(width + 1)],
    };
    let of_both = vec![Expr::Column(width), Expr::Column(width + 1)];
    let count = call(if common { "least" } else { "subtract" }, of_both, DataType::Int64);
    Rel::Repeat { input: Box::new(counts), count }.project(columns)
}
