//! Sub-queries in expressions: bound inside a frame, kept beside the expression, and read by a place.

use std::cell::RefCell;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator};
use millrace_engine::{Aggregate, AggregateFunction, Array, DataType, Element, Expr, Literal, OrderKey};

use super::binder::{Binder, BoundQuery};
use super::expr::ExprBinder;
use super::names::name_of;
use super::outer::{as_place, place};
use super::rel::{Rel, SortKey};
use super::surroundings::{Environment, Frame};
use super::typed::{Typed, cast_known};
use super::types::display;
use super::unnest::{Comparison, Subquery, SubqueryKind};
use crate::error::SqlError;

/// Where an expression's sub-queries are bound and kept.
#[derive(Clone, Copy)]
pub(crate) struct Subqueries<'a> {
    pub(crate) binder: &'a Binder<'a>,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) found: &'a RefCell<Vec<Subquery>>,
}

type Bound = Result<Typed, SqlError>;

/// A comparison: its function, its sign, and the function of its opposite.
fn comparison(operator: &BinaryOperator) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match operator {
        BinaryOperator::Eq => ("equal", "=", "not_equal"),
        BinaryOperator::NotEq => ("not_equal", "<>", "equal"),
        BinaryOperator::Lt => ("less", "<", "greater_equal"),
        BinaryOperator::LtEq => ("less_equal", "<=", "greater"),
        BinaryOperator::Gt => ("greater", ">", "less_equal"),
        BinaryOperator::GtEq => ("greater_equal", ">=", "less"),
        _ => return None,
    })
}

impl ExprBinder<'_> {
    /// Binds a sub-query inside a frame; the arguments are over this expression's columns.
    fn inner_query(&self, query: &ast::Query) -> Result<(BoundQuery, Vec<Expr>), SqlError> {
        let Some(subqueries) = self.subqueries else {
            return Err(SqlError::unsupported(format_args!("a sub-query in {}", self.clause)));
        };
        let frame = Frame::around(self.scope, subqueries.environment.outer);
        let environment = subqueries.environment.inside(&frame);
        let mut bound = subqueries.binder.bind_query(query, &environment, None)?;
        // It may be read several times, and each time it has to be the same rows.
        bound.rel.fix_limits();
        drop(environment);
        Ok((bound, frame.into_arguments()))
    }

    /// Keeps a sub-query, equal ones once, and reads it.
    fn kept(
        &self,
        bound: BoundQuery,
        arguments: Vec<Expr>,
        kind: SubqueryKind,
        data_type: DataType,
    ) -> Typed {
        let Some(subqueries) = self.subqueries else { return Typed::Null };
        let name = bound.names.into_iter().next().unwrap_or_default();
        let subquery = Subquery { rel: bound.rel, arguments, kind, name };
        let mut found = subqueries.found.borrow_mut();
        let index = found.iter().position(|known| *known == subquery).unwrap_or_else(|| {
            found.push(subquery);
            found.len() - 1
        });
        Typed::Known(place(index, data_type), data_type)
    }

    /// `(SELECT …)`
    pub(crate) fn scalar_subquery(&self, query: &ast::Query) -> Bound {
        let (bound, arguments) = self.inner_query(query)?;
        match bound.columns().as_slice() {
            [(_, data_type)] => Ok(self.kept(bound, arguments, SubqueryKind::Scalar, *data_type)),
            _ => Err(SqlError::new("42601", "subquery must return only one column")),
        }
    }

    /// `ARRAY(SELECT …)`: its values as an array, in the order of its ORDER BY; without rows an empty one.
    pub(crate) fn array_of(&self, query: &ast::Query) -> Bound {
        let (mut bound, arguments) = self.inner_query(query)?;
        let columns = bound.columns();
        let [(_, own)] = columns.as_slice() else {
            return Err(SqlError::new("42601", "subquery must return only one column"));
        };
        let element = match Element::of(own.base()) {
            Some(element) => element,
            // What can have no rows is empty, of whatever type it would be.
            None if bound.rel.is_vacant() => return Ok(Typed::literal(Literal::Text("{}".to_owned()))),
            None => return Err(SqlError::unsupported(format_args!("an array of type {}", display(*own)))),
        };
        let data_type = DataType::Array(element);
        let (input, value, order) = in_order(bound.rel);
        let value = cast_known(value, *own, element.data_type(), self.parameters.zone)?;
        // What counts is told apart from what is NULL.
        let arguments_of_call = vec![Expr::Literal(Literal::Boolean(true)), value];
        let function = AggregateFunction::ArrayAgg;
        let call = Aggregate { function, arguments: arguments_of_call, distinct: false, order, data_type };
        let empty = Literal::Array { element, bytes: Array::flat(element, Vec::new()).encode() };
        let whole = super::expr::call("coalesce", vec![Expr::Column(0), Expr::Literal(empty)], data_type);
        bound.rel = Rel::Aggregate { input: Box::new(input), keys: Vec::new(), aggregates: vec![call] };
        bound.rel = bound.rel.project(vec![whole]);
        Ok(self.kept(bound, arguments, SubqueryKind::Scalar, data_type))
    }

    /// The name of a select item: a scalar sub-query is called like its column.
    pub(crate) fn item_name(&self, expr: &ast::Expr, bound: &Typed) -> String {
        let mut inner = expr;
        while let ast::Expr::Nested(nested) = inner {
            inner = nested;
        }
        match (inner, bound, self.subqueries) {
            (ast::Expr::Subquery(_), Typed::Known(value, _), Some(subqueries)) => as_place(value)
                .and_then(|index| subqueries.found.borrow().get(index).map(|subquery| subquery.name.clone()))
                .unwrap_or_else(|| name_of(expr)),
            _ => name_of(expr),
        }
    }

    /// `EXISTS (SELECT …)`
    pub(crate) fn exists(&self, query: &ast::Query, negated: bool) -> Bound {
        let (bound, arguments) = self.inner_query(query)?;
        Ok(negated_if(negated, self.kept(bound, arguments, SubqueryKind::Exists, DataType::Boolean)))
    }

    /// `x IN (SELECT …)`
    pub(crate) fn in_subquery(&self, operand: &ast::Expr, query: &ast::Query, negated: bool) -> Bound {
        Ok(negated_if(negated, self.any(operand, "equal", "=", query)?))
    }

    /// `x op ANY (SELECT …)`, and ALL, which is no ANY of the opposite.
    pub(crate) fn quantified(
        &self,
        operand: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
        all: bool,
    ) -> Bound {
        let mut right = right;
        while let ast::Expr::Nested(inner) = right {
            right = inner;
        }
        let Some((function, sign, opposite)) = comparison(operator) else {
            return Err(SqlError::unsupported(format_args!("operator {operator} with ANY or ALL")));
        };
        let ast::Expr::Subquery(query) = right else {
            return self.quantified_array(operand, (function, sign), right, all);
        };
        let function = if all { opposite } else { function };
        Ok(negated_if(all, self.any(operand, function, sign, query)?))
    }

    fn any(&self, operand: &ast::Expr, function: &'static str, sign: &str, query: &ast::Query) -> Bound {
        let operands = match operand {
            ast::Expr::Tuple(operands) => operands.iter().collect(),
            operand => vec![operand],
        };
        if operands.len() > 1 && !matches!(function, "equal" | "not_equal") {
            return Err(SqlError::unsupported(format_args!("operator {sign} between rows")));
        }
        let operands = self.bind_all(&operands)?;
        let (bound, arguments) = self.inner_query(query)?;
        let columns = bound.columns();
        match operands.len().cmp(&columns.len()) {
            std::cmp::Ordering::Less => {
                return Err(SqlError::new("42601", "subquery has too many columns"));
            }
            std::cmp::Ordering::Greater => {
                return Err(SqlError::new("42601", "subquery has too few columns"));
            }
            std::cmp::Ordering::Equal => {}
        }
        let mut pairs = Vec::new();
        for (operand, (column, (_, data_type))) in operands.into_iter().zip(columns.into_iter().enumerate()) {
            let own = Typed::Known(Expr::Column(column), data_type);
            pairs.push(self.comparison_sides(sign, operand, own)?);
        }
        let kind = SubqueryKind::Any(Comparison { function, pairs });
        Ok(self.kept(bound, arguments, kind, DataType::Boolean))
    }
}

/// A query's rows without their order, its one column over them, and the order.
fn in_order(rel: Rel) -> (Rel, Expr, Vec<OrderKey>) {
    let order_of = |keys: &[SortKey]| {
        let key = |key: &SortKey| OrderKey {
            expr: Expr::Column(key.column),
            descending: key.descending,
            nulls_first: key.nulls_first,
        };
        keys.iter().map(key).collect::<Vec<_>>()
    };
    match rel {
        Rel::Sort { input, keys } => (*input, Expr::Column(0), order_of(&keys)),
        Rel::Project { input, predicates, mut outputs } if predicates.is_empty() && outputs.len() == 1 => {
            match *input {
                Rel::Sort { input, keys } => (*input, outputs.remove(0), order_of(&keys)),
                Rel::TopK { ref order, .. } => {
                    let order = order_of(order);
                    (*input, outputs.remove(0), order)
                }
                input => (input, outputs.remove(0), Vec::new()),
            }
        }
        Rel::TopK { ref order, .. } => {
            let order = order_of(order);
            (rel, Expr::Column(0), order)
        }
        other => (other, Expr::Column(0), Vec::new()),
    }
}

fn negated_if(negated: bool, typed: Typed) -> Typed {
    match typed {
        Typed::Known(expr, _) if negated => Typed::boolean(Expr::Not(Box::new(expr))),
        other => other,
    }
}
