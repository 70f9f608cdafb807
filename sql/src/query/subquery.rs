//! Sub-queries in expressions: bound inside a frame, kept beside the expression, and read by a place.

use std::cell::RefCell;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, SelectItem, SetExpr};
use millrace_engine::{Array, DataType, Element, Expr, Literal};

use super::binder::{Binder, BoundQuery};
use super::expr::ExprBinder;
use super::function::is_aggregate;
use super::names::name_of;
use super::outer::{as_place, place};
use super::scope::fold_name;
use super::surroundings::{Environment, Frame};
use super::typed::Typed;
use super::unnest::{Comparison, Subquery, SubqueryKind};
use crate::error::SqlError;
use crate::parse;

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

    /// `ARRAY(SELECT …)`: an aggregate over the sub-query; of what can have no rows the empty array.
    pub(crate) fn array_of(&self, query: &ast::Query) -> Bound {
        let (bound, _) = self.inner_query(query)?;
        if bound.columns().len() != 1 {
            return Err(SqlError::new("42601", "subquery must return only one column"));
        }
        if !bound.rel.is_vacant() {
            return self.scalar_subquery(&aggregated(query)?);
        }
        let element = bound.columns().first().and_then(|(_, data_type)| Element::of(*data_type));
        Ok(Typed::literal(match element {
            Some(element) => Literal::Array { element, bytes: Array::flat(element, Vec::new()).encode() },
            None => Literal::Text("{}".to_owned()),
        }))
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

fn negated_if(negated: bool, typed: Typed) -> Typed {
    match typed {
        Typed::Known(expr, _) if negated => Typed::boolean(Expr::Not(Box::new(expr))),
        other => other,
    }
}

/// The query whose one value is the array of what a query of one column gives, in its order.
fn aggregated(query: &ast::Query) -> Result<ast::Query, SqlError> {
    let order = match &query.order_by {
        Some(ast::OrderBy { kind: ast::OrderByKind::Expressions(order), .. }) => order.as_slice(),
        _ => &[],
    };
    let is_plain = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    if let SetExpr::Select(select) = query.body.as_ref()
        && is_plain
        && let Some(item) = lone_item(select)
    {
        let keys: Vec<String> = order.iter().map(|key| ordered(key, item)).collect();
        let order = if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) };
        let array = parse::expression(&format!("coalesce(array_agg({item}{order}), '{{}}')"))?;
        let mut select = select.clone();
        select.projection = vec![SelectItem::UnnamedExpr(array)];
        return Ok(ast::Query { body: Box::new(SetExpr::Select(select)), order_by: None, ..query.clone() });
    }
    if !order.is_empty() {
        let message =
            "ARRAY of a sub-query with ORDER BY beside DISTINCT, GROUP BY, LIMIT, WITH or a set operation";
        return Err(SqlError::unsupported(message));
    }
    let whole =
        format!("SELECT coalesce(array_agg(\" a\".\" x\"), '{{}}') FROM ({query}) AS \" a\" (\" x\")");
    parse::query(&whole).map(|query| ast::Query::clone(&query))
}

/// The one value of a SELECT whose rows are those of its FROM and WHERE.
fn lone_item(select: &ast::Select) -> Option<&ast::Expr> {
    let is_ungrouped = matches!(&select.group_by, ast::GroupByExpr::Expressions(keys, _) if keys.is_empty());
    if select.distinct.is_some() || select.having.is_some() || !is_ungrouped {
        return None;
    }
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] if !aggregates(expr) => {
            Some(expr)
        }
        _ => None,
    }
}

/// Whether a select item is an aggregate, or may be: anything that is called.
fn aggregates(expr: &ast::Expr) -> bool {
    let found = ast::visit_expressions(expr, |expr| match expr {
        ast::Expr::Function(function) if is_aggregate(&fold_name(&function.name)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// A key of ORDER BY as it stands behind an aggregate's argument: the first column is the argument itself.
fn ordered(key: &ast::OrderByExpr, item: &ast::Expr) -> String {
    let is_first = matches!(&key.expr, ast::Expr::Value(value) if value.to_string() == "1");
    match is_first {
        true => ast::OrderByExpr { expr: item.clone(), ..key.clone() }.to_string(),
        false => key.to_string(),
    }
}
