//! Comparisons: =, < and their kin, IS …, BETWEEN, and IN with a list.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Expr, Limit, Literal};

use super::expr::{Bound, ExprBinder, call, common_of_list, negated_if, no_operator, not};
use super::exprs::columns_of;
use super::rows;
use super::typed::Typed;
use crate::error::SqlError;
use crate::functions::{Kind, common_type, comparison_type};

impl ExprBinder<'_> {
    pub(super) fn compare(&self, name: &str, symbol: &str, left: &ast::Expr, right: &ast::Expr) -> Bound {
        if let (Some(left), Some(right)) = (rows::entries(left), rows::entries(right)) {
            return self.compare_rows(name, symbol, left, right).map(Typed::boolean);
        }
        self.comparison(name, symbol, self.bind(left)?, self.bind(right)?).map(Typed::boolean)
    }

    /// A comparison of two bound operands.
    pub(crate) fn comparison(
        &self,
        name: &str,
        symbol: &str,
        left: Typed,
        right: Typed,
    ) -> Result<Expr, SqlError> {
        let (left, right) = self.comparison_sides(symbol, left, right)?;
        Ok(call(name, vec![left, right], DataType::Boolean))
    }

    /// Two operands as the types in which they are compared.
    pub(crate) fn comparison_sides(
        &self,
        symbol: &str,
        left: Typed,
        right: Typed,
    ) -> Result<(Expr, Expr), SqlError> {
        let types = [left.data_type(), right.data_type()];
        if types.iter().any(|known| matches!(known, Some(DataType::Array(_)))) {
            let common = common_type(&types).map_err(|_| no_operator(symbol, &types))?;
            let left = self.parameters.as_type(left, common)?;
            return Ok((left, self.parameters.as_type(right, common)?));
        }
        let is_varchar =
            |typed: &Typed| matches!(typed.full_type(), Some(DataType::Limited(Limit::Varchar(_))));
        let kind = match types {
            // A varchar becomes a char, where a char becomes a text.
            [Some(DataType::Char), Some(_)] if is_varchar(&right) => Some(Kind::Char),
            [Some(_), Some(DataType::Char)] if is_varchar(&left) => Some(Kind::Char),
            [left, right] => comparison_type(left, right),
        };
        let kind = kind.filter(|kind| *kind != Kind::Json).ok_or_else(|| no_operator(symbol, &types))?;
        let (left, _) = self.parameters.as_kind(left, kind)?;
        let (right, _) = self.parameters.as_kind(right, kind)?;
        Ok((left, right))
    }

    pub(super) fn is_not_distinct(&self, left: &ast::Expr, right: &ast::Expr) -> Bound {
        let distinct = self.compare("is_distinct_from", "=", left, right)?;
        Ok(Typed::boolean(not(self.parameters.as_type(distinct, DataType::Boolean)?)))
    }

    pub(super) fn null_test(&self, inner: &ast::Expr, negated: bool) -> Bound {
        match rows::entries(inner) {
            Some(row) => self.row_is_null(row, negated),
            None => Ok(Typed::boolean(negated_if(negated, self.is_null(inner)?))),
        }
    }

    pub(super) fn is_null(&self, inner: &ast::Expr) -> Result<Expr, SqlError> {
        let typed = self.bind(inner)?;
        let data_type = typed.full_type().unwrap_or(DataType::Text);
        // Whether a parameter is NULL tells nothing of its type: another place has to.
        if let Typed::Parameter(_) = typed {
            return Ok(Expr::IsNull(Box::new(Expr::Literal(Literal::Null(data_type)))));
        }
        Ok(Expr::IsNull(Box::new(self.parameters.as_type(typed, data_type)?)))
    }

    pub(super) fn is_unknown(&self, inner: &ast::Expr, negated: bool, what: &str) -> Bound {
        let operand = self.bind_boolean(inner, &format!("argument of {what}"))?;
        Ok(Typed::boolean(negated_if(negated, Expr::IsNull(Box::new(operand)))))
    }

    pub(super) fn is_value(&self, inner: &ast::Expr, value: Literal, negated: bool, what: &str) -> Bound {
        let operand = self.bind_boolean(inner, &format!("argument of {what}"))?;
        let differs = call("is_distinct_from", vec![operand, Expr::Literal(value)], DataType::Boolean);
        Ok(Typed::boolean(negated_if(!negated, differs)))
    }

    pub(super) fn between(
        &self,
        expr: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
    ) -> Bound {
        if let (Some(row), Some(low), Some(high)) =
            (rows::entries(expr), rows::entries(low), rows::entries(high))
        {
            let low = self.compare_rows("greater_equal", ">=", row, low)?;
            let high = self.compare_rows("less_equal", "<=", row, high)?;
            return Ok(Typed::boolean(negated_if(negated, Expr::And(vec![low, high]))));
        }
        let operand = self.bind(expr)?;
        let low = self.comparison("greater_equal", ">=", operand.clone(), self.bind(low)?)?;
        let high = self.comparison("less_equal", "<=", operand, self.bind(high)?)?;
        Ok(Typed::boolean(negated_if(negated, Expr::And(vec![low, high]))))
    }

    pub(super) fn in_list(&self, expr: &ast::Expr, list: &[ast::Expr], negated: bool) -> Bound {
        if let Some(row) = rows::entries(expr) {
            return self.row_in_list(row, list, negated);
        }
        let mut operands = vec![self.bind(expr)?];
        for item in list {
            operands.push(self.bind(item)?);
        }
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let common = common_of_list(&types)?;
        if types.contains(&Some(DataType::Float32)) && types.iter().flatten().any(|known| *known != common) {
            let needle = operands.remove(0);
            return Ok(Typed::boolean(negated_if(negated, self.in_list_of_reals(needle, operands)?)));
        }
        let as_common = |operand| match operand {
            // Text with and without a limit compares as it is.
            Typed::Known(expr, DataType::Limited(limit))
                if limit.base() == common && common != DataType::Char =>
            {
                Ok(expr)
            }
            operand => self.parameters.as_type(operand, common),
        };
        let arguments = operands.into_iter().map(as_common).collect::<Result<_, SqlError>>()?;
        Ok(Typed::boolean(negated_if(negated, call("in", arguments, DataType::Boolean))))
    }

    /// IN where reals meet other numbers: the constants become of one type with the operand, as the array that
    /// PostgreSQL makes of two and more of them does; then each item is compared, mostly as doubles.
    pub(super) fn in_list_of_reals(&self, needle: Typed, mut items: Vec<Typed>) -> Result<Expr, SqlError> {
        let is_constant = |item: &Typed| match item {
            Typed::Known(expr, _) => columns_of(expr).is_empty(),
            Typed::Text(_) | Typed::Null | Typed::Parameter(_) => true,
        };
        let mut types = vec![needle.data_type()];
        types.extend(items.iter().filter(|item| is_constant(item)).map(Typed::data_type));
        if types.len() > 2 {
            let common = common_of_list(&types)?;
            for item in items.iter_mut().filter(|item| is_constant(item)) {
                *item = Typed::Known(self.parameters.as_type(item.clone(), common)?, common);
            }
        }
        let equal = |item| self.comparison("equal", "=", needle.clone(), item);
        Ok(Expr::Or(items.into_iter().map(equal).collect::<Result<_, _>>()?))
    }
}
