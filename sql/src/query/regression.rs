//! corr, covar_pop, covar_samp and regr_…: aggregates of two doubles, as aggregates of their parts.
//!
//! ```text
//! regr_slope(y, x)  →  regression('regr_slope', count(both), sums of pieces of x, y, x², xy, y², array_agg(far pairs))
//! ```
//! As numerics of any number of digits are summed (parts.rs): the engine adds up pieces of a fixed size, exactly, and
//! keeps only what does not fit them. Calls over the same columns share their parts.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{Aggregate, AggregateFunction, DataType, Element, Expr, Literal, Regression};

use super::aggregate::nested;
use super::expr::{ExprBinder, call};
use super::function::{Arguments, no_function};
use super::typed::{Typed, becomes};
use crate::error::SqlError;
use crate::functions::{PARTS, Part, numeric_type, regression_of};

/// Counts the pairs: a bigint, where the others give doubles.
const COUNT: &str = "regr_count";

/// Whether a name is that of an aggregate of two columns.
pub(super) fn is_regression(name: &str) -> bool {
    name == COUNT || regression_of(name).is_some()
}

/// The sums that a value is made of.
fn sums_of(asked: Regression) -> &'static [Part] {
    use Part::{X, XX, XY, Y, YY};
    match asked {
        Regression::MeanX => &[X],
        Regression::MeanY => &[Y],
        Regression::SquaresX => &[X, XX],
        Regression::SquaresY => &[Y, YY],
        Regression::Products | Regression::CovariancePopulation | Regression::CovarianceSample => &[X, Y, XY],
        Regression::Slope | Regression::Intercept => &[X, Y, XX, XY],
        Regression::Correlation | Regression::Determination => &[X, Y, XX, XY, YY],
    }
}

impl ExprBinder<'_> {
    /// Binds a call of an aggregate of two columns.
    ///
    /// # Errors
    /// 42803 where there may be none, 42883 where its arguments are no doubles.
    pub(super) fn regression(
        &self,
        name: &str,
        arguments: &Arguments,
        filter: Option<&ast::Expr>,
    ) -> Result<Typed, SqlError> {
        let mut collect = self.collect_aggregates()?;
        let exprs = arguments.exprs.as_ref().ok_or_else(|| no_function(name, &[]))?;
        let pair = self.inside_aggregate().pair(name, exprs).map_err(nested)?;
        // What is read, until it is known in which parts.
        let (function, data_type) = (AggregateFunction::Count, DataType::Int64);
        let mut read = Aggregate { function, arguments: pair, distinct: false, order: Vec::new(), data_type };
        self.filter_aggregate(&mut read, filter)?;
        match <[Expr; 2]>::try_from(read.arguments) {
            Ok(pair) => Ok(of_pairs(name, pair, arguments.distinct, &mut collect)),
            Err(_) => Err(SqlError::internal("an aggregate of no two columns")),
        }
    }

    /// The arguments of an aggregate of two columns, y and x.
    fn pair(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Vec<Expr>, SqlError> {
        let operands = self.bind_all(arguments)?;
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let is_double = |known: &DataType| *known == DataType::Float64 || becomes(*known, DataType::Float64);
        if types.len() != 2 || !types.iter().flatten().all(is_double) {
            return Err(no_function(name, &types));
        }
        self.all_as(operands, DataType::Float64)
    }
}

/// The value of an aggregate of two columns over its parts, which `collect` gives each its column.
fn of_pairs(
    name: &str,
    [y, x]: [Expr; 2],
    distinct: bool,
    collect: &mut impl FnMut(Aggregate) -> Expr,
) -> Typed {
    let pair = |all: bool| {
        let all = Expr::Literal(Literal::Boolean(all));
        call("regression_pair", vec![y.clone(), x.clone(), all], DataType::Bytea)
    };
    let null = |data_type| Expr::Literal(Literal::Null(data_type));
    let mut aggregate = |function, arguments, data_type| {
        collect(Aggregate { function, arguments, distinct, order: Vec::new(), data_type })
    };
    let both = match distinct {
        true => pair(true),
        false => Expr::Case {
            branches: vec![(Expr::IsNull(Box::new(y.clone())), null(DataType::Float64))],
            otherwise: Some(Box::new(x.clone())),
            data_type: DataType::Float64,
        },
    };
    let count = aggregate(AggregateFunction::Count, vec![both], DataType::Int64);
    let Some(asked) = regression_of(name) else { return Typed::Known(count, DataType::Int64) };
    let mut arguments = vec![Expr::Literal(Literal::Text(name.to_owned())), count];
    for (part, pieces) in PARTS {
        for piece in 0..pieces {
            // What counts once is kept each, as pairs: their parts may be equal where they are not.
            let is_summed = !distinct && sums_of(asked).contains(&part);
            arguments.push(match is_summed {
                true => {
                    let number = |value: i32| Expr::Literal(Literal::Int32(value));
                    let read = vec![y.clone(), x.clone(), number(part.number()), number(piece)];
                    let read = call("regression_part", read, numeric_type(0));
                    aggregate(AggregateFunction::Sum, vec![read], numeric_type(0))
                }
                false => null(numeric_type(0)),
            });
        }
    }
    let pair = pair(distinct);
    let counts = Expr::Case {
        branches: vec![(Expr::IsNull(Box::new(pair.clone())), null(DataType::Boolean))],
        otherwise: Some(Box::new(Expr::Literal(Literal::Boolean(true)))),
        data_type: DataType::Boolean,
    };
    let kept = DataType::Array(Element::Bytea);
    arguments.push(aggregate(AggregateFunction::ArrayAgg, vec![counts, pair], kept));
    Typed::Known(call("regression", arguments, DataType::Float64), DataType::Float64)
}
