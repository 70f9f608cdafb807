//! Walks over expressions that the binder and the lowering share.

use millrace_engine::Expr;

use super::volatile::VOLATILE;

/// The expression with each direct operand replaced by what `map` makes of it.
pub(crate) fn try_map_operands<E>(
    expr: &Expr,
    map: &mut impl FnMut(&Expr) -> Result<Expr, E>,
) -> Result<Expr, E> {
    let mut all = |exprs: &[Expr]| exprs.iter().map(&mut *map).collect::<Result<Vec<_>, E>>();
    Ok(match expr {
        Expr::Column(_) | Expr::Literal(_) => expr.clone(),
        Expr::Call { function, version, arguments, data_type } => Expr::Call {
            function: function.clone(),
            version: *version,
            arguments: all(arguments)?,
            data_type: *data_type,
        },
        Expr::And(terms) => Expr::And(all(terms)?),
        Expr::Or(terms) => Expr::Or(all(terms)?),
        Expr::Cast { input, to } => Expr::Cast { input: Box::new(map(input)?), to: *to },
        Expr::Not(input) => Expr::Not(Box::new(map(input)?)),
        Expr::IsNull(input) => Expr::IsNull(Box::new(map(input)?)),
        Expr::Case { branches, otherwise, data_type } => Expr::Case {
            branches: branches
                .iter()
                .map(|(condition, result)| Ok((map(condition)?, map(result)?)))
                .collect::<Result<_, E>>()?,
            otherwise: match otherwise {
                Some(otherwise) => Some(Box::new(map(otherwise)?)),
                None => None,
            },
            data_type: *data_type,
        },
    })
}

/// The expression with every column replaced by what `map` makes of its position.
pub(crate) fn map_columns(expr: &Expr, map: &mut impl FnMut(usize) -> Expr) -> Expr {
    fn walk(expr: &Expr, map: &mut impl FnMut(usize) -> Expr) -> Result<Expr, std::convert::Infallible> {
        match expr {
            Expr::Column(index) => Ok(map(*index)),
            other => try_map_operands(other, &mut |operand| walk(operand, map)),
        }
    }
    match walk(expr, map) {
        Ok(mapped) => mapped,
        Err(never) => match never {},
    }
}

/// The expression's columns, each once, ascending.
pub(crate) fn columns_of(expr: &Expr) -> Vec<usize> {
    let mut columns = Vec::new();
    expr.for_each_column(&mut |column| columns.push(column));
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The conjuncts of a predicate. What all branches of an OR demand stands before it: `(a and b) or (a and c)`
/// is `a and (b or c)`, so that an equality in every branch can be the key of a join.
pub(crate) fn conjuncts(predicate: Expr) -> Vec<Expr> {
    match predicate {
        Expr::And(terms) => terms.into_iter().flat_map(conjuncts).collect(),
        Expr::Or(branches) => factored(branches.into_iter().map(conjuncts).collect()),
        other => vec![other],
    }
}

/// The disjunction of some conjunctions, as conjuncts.
fn factored(mut branches: Vec<Vec<Expr>>) -> Vec<Expr> {
    let shared = |term: &&Expr| branches.iter().all(|branch| branch.contains(term));
    let mut common: Vec<Expr> = branches.first().into_iter().flatten().filter(shared).cloned().collect();
    branches.iter_mut().for_each(|branch| branch.retain(|term| !common.contains(term)));
    // A branch that demands nothing else is true wherever the common terms are.
    if branches.iter().any(Vec::is_empty) {
        return common;
    }
    let conjunction = |mut terms: Vec<Expr>| match (terms.len(), terms.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            terms.extend(last);
            Expr::And(terms)
        }
    };
    common.push(Expr::Or(branches.into_iter().map(conjunction).collect()));
    common
}

/// Whether the expression calls a function of this name anywhere.
pub(crate) fn calls(expr: &Expr, name: &str) -> bool {
    calls_any(expr, &|called| called == name)
}

/// The volatile function that the expression calls, if it calls one.
pub(crate) fn volatile_call(expr: &Expr) -> Option<&'static str> {
    VOLATILE.into_iter().find(|name| calls(expr, name))
}

/// Whether the expression calls a function of such a name anywhere.
pub(crate) fn calls_any(expr: &Expr, named: &dyn Fn(&str) -> bool) -> bool {
    let within = |expr: &Expr| calls_any(expr, named);
    match expr {
        Expr::Call { function, arguments, .. } => named(function) || arguments.iter().any(within),
        Expr::Column(_) | Expr::Literal(_) => false,
        Expr::And(terms) | Expr::Or(terms) => terms.iter().any(within),
        Expr::Cast { input, .. } | Expr::Not(input) | Expr::IsNull(input) => within(input),
        Expr::Case { branches, otherwise, .. } => {
            branches.iter().any(|(condition, result)| within(condition) || within(result))
                || otherwise.as_deref().is_some_and(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(index: usize) -> Expr {
        Expr::Column(index)
    }

    fn shown(predicate: Expr) -> Vec<String> {
        conjuncts(predicate).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_every_branch_demands_stands_before_the_or() {
        let both = |a, b| Expr::And(vec![column(a), column(b)]);
        assert_eq!(shown(Expr::Or(vec![both(0, 1), both(2, 0)])), ["#0", "(#1 or #2)"]);
        assert_eq!(shown(Expr::Or(vec![both(0, 1), column(0)])), ["#0"]);
        assert_eq!(shown(Expr::Or(vec![both(0, 1), both(2, 3)])), ["((#0 and #1) or (#2 and #3))"]);
        assert_eq!(shown(Expr::Or(Vec::new())), ["()"]);
    }
}
