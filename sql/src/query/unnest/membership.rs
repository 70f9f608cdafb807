//! IN, ANY and ALL, in SQL's three-valued logic.
//!
//! `x IN (S)` is true where a row of S equals x; else NULL where x is NULL and S has a row, or S has a row
//! with a NULL; else false. As a condition of WHERE it is a semi join. Its negation keeps a row where the
//! answer is false, so that three anti joins, each by keys, say it all:
//!
//! ```text
//!   rows ▷ S on x = s  ▷ (rows of S with a NULL)  ▷ (S, if x is NULL)
//! ```
//! Anywhere else a left join finds the match, and a second one what S has for the row's arguments. Other
//! comparisons, and rows of several values, take the greatest of 2 (true), 1 (NULL) and 0 (false) over S.

use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, Literal};

use super::attach::{Attached, distinct_of, join, marked, not_null, regrouped, truth};
use super::{Comparison, Conditions, Subquery, SubqueryKind, Unnested, by_domain, unnest};
use crate::error::SqlError;
use crate::query::expr::call;
use crate::query::outer::outer;
use crate::query::rel::{JoinKind, Rel};

impl Comparison {
    /// The comparison of one row, whose operands and own values are given pair by pair.
    fn test(&self, sides: impl IntoIterator<Item = (Expr, Expr)>) -> Expr {
        let compare = |(left, right)| call(self.function, vec![left, right], DataType::Boolean);
        let mut tests: Vec<Expr> = sides.into_iter().map(compare).collect();
        match tests.len() {
            1 => tests.remove(0),
            _ if self.function == "not_equal" => Expr::Or(tests),
            _ => Expr::And(tests),
        }
    }

    /// The operands and the sub-query's own values, over a join with the clause's relation of this width.
    fn sides(&self, unnested: &Unnested, width: usize) -> Vec<(Expr, Expr)> {
        let side = |(operand, own): &(Expr, Expr)| (operand.clone(), unnested.own(own, width));
        self.pairs.iter().map(side).collect()
    }

    fn is_equality(&self) -> bool {
        self.function == "equal"
    }
}

fn is_null(expr: Expr) -> Expr {
    Expr::IsNull(Box::new(expr))
}

fn any_of(mut terms: Vec<Expr>) -> Expr {
    if terms.len() == 1 { terms.remove(0) } else { Expr::Or(terms) }
}

/// The clause's rows for which the comparison is true of a row; negated, false of all.
pub(super) fn semi_by_comparison(
    rel: Rel,
    subquery: &Subquery,
    comparison: &Comparison,
    negated: bool,
) -> Result<Rel, SqlError> {
    let width = rel.columns().len();
    let mut unnested = unnest(&subquery.rel, &subquery.arguments, &rel, Conditions::Any)?;
    if unnested.missing.is_some() {
        // The row over no rows takes part in the comparison.
        unnested = by_domain(&subquery.rel, &subquery.arguments, &rel)?;
    }
    let own = unnested.on(width, &subquery.arguments);
    let with = |conditions: Vec<Expr>| -> Vec<Expr> { own.iter().cloned().chain(conditions).collect() };
    let sides = comparison.sides(&unnested, width);
    let equalities = || sides.iter().map(|side| comparison.test([side.clone()])).collect();
    if !negated {
        let on = if comparison.is_equality() { equalities() } else { vec![comparison.test(sides.clone())] };
        return Ok(join(JoinKind::Semi, rel, unnested.rel, with(on)));
    }
    // What is not false excludes: true and NULL.
    let not_false = vec![call(
        "is_distinct_from",
        vec![comparison.test(sides.clone()), Expr::Literal(Literal::Boolean(false))],
        DataType::Boolean,
    )];
    if !comparison.is_equality() {
        return Ok(join(JoinKind::Anti, rel, unnested.rel, with(not_false)));
    }
    let single = sides.len() == 1;
    let residual = if single { Vec::new() } else { not_false };
    let rel = join(JoinKind::Anti, rel, unnested.rel.clone(), with(equalities()));
    let has_null = any_of(comparison.pairs.iter().map(|(_, own)| is_null(unnested.own(own, 0))).collect());
    let with_null = unnested.rel.clone().filter(vec![has_null]);
    let rel = join(JoinKind::Anti, rel, with_null, with(residual.clone()));
    // The operand's NULL as a key, so that only rows with one meet all rows of the sub-query.
    let marker = width + unnested.rel.columns().len();
    let operand_is_null =
        any_of(comparison.pairs.iter().map(|(operand, _)| is_null(operand.clone())).collect());
    let by_null = call("equal", vec![operand_is_null, Expr::Column(marker)], DataType::Boolean);
    let on = with([vec![by_null], residual].concat());
    Ok(join(JoinKind::Anti, rel, marked(unnested.rel), on))
}

/// The comparison's truth for each row, joined to `attached`.
pub(super) fn value(
    attached: &mut Attached,
    subquery: &Subquery,
    comparison: &Comparison,
    base: &Rel,
) -> Result<Expr, SqlError> {
    if let [(operand, own)] = comparison.pairs.as_slice()
        && comparison.is_equality()
    {
        let unnested = unnest(&subquery.rel, &subquery.arguments, base, Conditions::Keys)?;
        if unnested.missing.is_none() {
            return Ok(value_of_in(attached, unnested, operand, own));
        }
    }
    ranked(attached, subquery, comparison, base)
}

/// IN of one value: a join for the match and one for what else the sub-query has.
fn value_of_in(attached: &mut Attached, unnested: Unnested, operand: &Expr, own: &Expr) -> Expr {
    let keys = &unnested.keys;
    let own = unnested.own(own, 0);
    let inner = || keys.iter().map(|key| key.inner.clone());

    let width = attached.width();
    let matches = distinct_of(unnested.rel.clone(), inner().chain([own.clone()]).collect());
    let equal = vec![operand.clone(), Expr::Column(width + keys.len())];
    let mut on: Vec<Expr> = regrouped(keys, 0).map(|key| key.condition(width)).collect();
    on.push(call("equal", equal, DataType::Boolean));
    attached.join(JoinKind::Left, marked(matches), on);
    let matched = not_null(Expr::Column(width + keys.len() + 1));

    // By key: whether there is a NULL, whether there is a row. They change seldom; counts would not.
    let width = attached.width();
    let count = |argument| Aggregate::plain(AggregateFunction::Count, argument, DataType::Int64);
    let counts = Rel::Aggregate {
        input: Box::new(unnested.rel.clone()),
        keys: inner().collect(),
        aggregates: vec![count(None), count(Some(own))],
    };
    let (all, valid) = (Expr::Column(keys.len()), Expr::Column(keys.len() + 1));
    let greater = |left: Expr, right: Expr| call("greater", vec![left, right], DataType::Boolean);
    let mut outputs: Vec<Expr> = (0..keys.len()).map(Expr::Column).collect();
    outputs.push(greater(all.clone(), valid));
    outputs.push(greater(all, Expr::Literal(Literal::Int64(0))));
    let flags = counts.project(outputs);
    let kind = if keys.is_empty() { JoinKind::Inner } else { JoinKind::Left };
    let on = regrouped(keys, 0).map(|key| key.condition(width)).collect();
    attached.join(kind, flags, on);
    let has_null = Expr::Column(width + keys.len());
    let has_row = Expr::Column(width + keys.len() + 1);

    let unknown = Expr::Or(vec![has_null, Expr::And(vec![is_null(operand.clone()), has_row])]);
    truth_of(matched, unknown)
}

/// True, else NULL, else false.
fn truth_of(matched: Expr, unknown: Expr) -> Expr {
    Expr::Case {
        branches: vec![(matched, truth()), (unknown, Expr::Literal(Literal::Null(DataType::Boolean)))],
        otherwise: Some(Box::new(Expr::Literal(Literal::Boolean(false)))),
        data_type: DataType::Boolean,
    }
}

/// Any comparison: the greatest of its truths over the sub-query's rows, the operands being arguments.
fn ranked(
    attached: &mut Attached,
    subquery: &Subquery,
    comparison: &Comparison,
    base: &Rel,
) -> Result<Expr, SqlError> {
    let rank = |value: i32| Expr::Literal(Literal::Int32(value));
    let columns = attached.columns();
    let mut arguments = subquery.arguments.clone();
    let mut sides = Vec::new();
    for (operand, own) in &comparison.pairs {
        let data_type = operand.data_type(&columns).unwrap_or(DataType::Boolean);
        sides.push((outer(arguments.len(), data_type), own.clone()));
        arguments.push(operand.clone());
    }
    let test = comparison.test(sides);
    let ranks = Expr::Case {
        branches: vec![(test.clone(), rank(2)), (is_null(test), rank(1))],
        otherwise: Some(Box::new(rank(0))),
        data_type: DataType::Int32,
    };
    let input = Box::new(subquery.rel.clone().project(vec![ranks]));
    let greatest = Aggregate::plain(AggregateFunction::Max, Some(Expr::Column(0)), DataType::Int32);
    let rel = Rel::Aggregate { input, keys: Vec::new(), aggregates: vec![greatest] };
    let greatest = Subquery { rel, arguments, kind: SubqueryKind::Scalar, name: String::new() };
    let greatest = attached.scalar(&greatest, base, false)?;
    let is = |value| call("equal", vec![greatest.clone(), rank(value)], DataType::Boolean);
    Ok(truth_of(is(2), is(1)))
}
