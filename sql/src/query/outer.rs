//! Expressions that stand for something outside the relation below them, until `unnest` puts
//! something else in their place.
//!
//! - An *outer reference* stands in a sub-query for the n-th argument that its surroundings give it.
//!   Arguments are expressions over the columns of the clause that holds the sub-query, so a reference over
//!   two levels is an argument that is itself an outer reference: every reference crosses one border.
//! - A *place* stands in a clause for the value of its n-th sub-query.
//!
//! Both are calls of functions that do not exist: they carry their type, no walk over columns
//! mistakes them for a column, and one that were left over could not be compiled, let alone answer
//! wrongly.

use std::convert::Infallible;

use millrace_engine::{DataType, Expr, Literal};

use super::expr::call;
use super::exprs::try_map_operands;
use super::rel::Rel;

const OUTER: &str = "outer reference";
const PLACE: &str = "sub-query";

fn numbered(name: &str, index: usize, data_type: DataType) -> Expr {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    call(name, vec![Expr::Literal(Literal::Int64(index))], data_type)
}

fn number_of(expr: &Expr, name: &str) -> Option<usize> {
    match expr {
        Expr::Call { function, arguments, .. } if function == name => match arguments.as_slice() {
            [Expr::Literal(Literal::Int64(index))] => usize::try_from(*index).ok(),
            _ => None,
        },
        _ => None,
    }
}

fn map_numbered(expr: &Expr, name: &str, map: &mut impl FnMut(usize, &Expr) -> Expr) -> Expr {
    fn walk(expr: &Expr, name: &str, map: &mut impl FnMut(usize, &Expr) -> Expr) -> Result<Expr, Infallible> {
        match number_of(expr, name) {
            Some(index) => Ok(map(index, expr)),
            None => try_map_operands(expr, &mut |operand| walk(operand, name, map)),
        }
    }
    match walk(expr, name, map) {
        Ok(mapped) => mapped,
        Err(never) => match never {},
    }
}

fn numbers_of(expr: &Expr, name: &str) -> Vec<usize> {
    let mut found = Vec::new();
    map_numbered(expr, name, &mut |index, own| {
        found.push(index);
        own.clone()
    });
    found
}

/// The n-th argument of the sub-query around.
pub(crate) fn outer(index: usize, data_type: DataType) -> Expr {
    numbered(OUTER, index, data_type)
}

/// The value of the clause's n-th sub-query.
pub(crate) fn place(index: usize, data_type: DataType) -> Expr {
    numbered(PLACE, index, data_type)
}

/// The number of the sub-query whose value the expression is, if it is nothing else.
pub(crate) fn as_place(expr: &Expr) -> Option<usize> {
    number_of(expr, PLACE)
}

/// Whether an outer reference is part of the expression.
pub(crate) fn has_outer(expr: &Expr) -> bool {
    !numbers_of(expr, OUTER).is_empty()
}

/// The numbers of the sub-queries that the expression reads.
pub(crate) fn places_of(expr: &Expr) -> Vec<usize> {
    numbers_of(expr, PLACE)
}

/// The expression with `map`'s answer for each outer reference's number.
pub(crate) fn map_outer(expr: &Expr, map: &mut impl FnMut(usize, &Expr) -> Expr) -> Expr {
    map_numbered(expr, OUTER, map)
}

/// The expression with `map`'s answer for each sub-query's number.
pub(crate) fn map_places(expr: &Expr, map: &mut impl FnMut(usize) -> Expr) -> Expr {
    map_numbered(expr, PLACE, &mut |index, _| map(index))
}

/// Whether an outer reference is left anywhere in the tree.
pub(crate) fn is_correlated(rel: &Rel) -> bool {
    let mut found = false;
    rel.visit_exprs(&mut |expr| found |= has_outer(expr));
    found
}

/// Whether a place is left anywhere in the tree.
pub(crate) fn has_places(rel: &Rel) -> bool {
    let mut found = false;
    rel.visit_exprs(&mut |expr| found |= !places_of(expr).is_empty());
    found
}
