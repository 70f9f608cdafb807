//! Sums, means and deviations of numerics of any number of digits, as aggregates of their parts.
//!
//! ```text
//! sum(x)       →  numeric_total(sum(whole part), sum(part behind the point), max(digits shown), array_agg(far x))
//! avg(x)       →  sum(x) / count(x)
//! variance(x)  →  numeric_var_samp(count(x), sum(x), sum(x * x))
//! ```
//! The engine adds up integers and numerics of a fixed scale in lanes, at the same cost however large a group is.
//! Nearly all numerics are a bigint and 20 digits behind the point; those that are not (longer ones, NaN, the
//! infinities) are far: they are kept each, and added when the aggregate is read.

use millrace_engine::{Aggregate, AggregateFunction, DataType, Element, Expr, Literal};

use super::expr::call;
use crate::error::SqlError;
use crate::functions::{FRACTION, numeric_type};

const NUMERICS: DataType = DataType::Array(Element::Decimal);

/// An aggregate that adds up numerics of any number of digits; `None` for one that does not. `collect` gives each
/// aggregate of a part its column.
///
/// # Errors
/// 0A000 for a deviation of what differs.
pub(super) fn of_parts(
    aggregate: &Aggregate,
    collect: &mut impl FnMut(Aggregate) -> Expr,
) -> Result<Option<Expr>, SqlError> {
    use AggregateFunction as F;
    let Some(argument) = aggregate.arguments.first().cloned() else { return Ok(None) };
    let mut parts = Parts { distinct: aggregate.distinct, collect };
    Ok(Some(match aggregate.function {
        F::Sum => parts.sum(argument),
        F::Avg => {
            let count = Expr::Cast { input: Box::new(parts.count(argument.clone())), to: numeric_type(0) };
            call("divide", vec![parts.sum(argument), count], DataType::Decimal)
        }
        F::VarPop => parts.deviation("numeric_var_pop", argument)?,
        F::VarSamp => parts.deviation("numeric_var_samp", argument)?,
        F::StddevPop => parts.deviation("numeric_stddev_pop", argument)?,
        F::StddevSamp => parts.deviation("numeric_stddev_samp", argument)?,
        F::Count
        | F::Min
        | F::Max
        | F::BoolAnd
        | F::BoolOr
        | F::BitAnd
        | F::BitOr
        | F::BitXor
        | F::StringAgg
        | F::ArrayAgg => return Ok(None),
    }))
}

struct Parts<'c, C> {
    distinct: bool,
    collect: &'c mut C,
}

impl<C: FnMut(Aggregate) -> Expr> Parts<'_, C> {
    fn aggregate(&mut self, function: AggregateFunction, arguments: Vec<Expr>, data_type: DataType) -> Expr {
        let order = Vec::new();
        (self.collect)(Aggregate { function, arguments, distinct: self.distinct, order, data_type })
    }

    fn count(&mut self, argument: Expr) -> Expr {
        self.aggregate(AggregateFunction::Count, vec![argument], DataType::Int64)
    }

    fn sum(&mut self, argument: Expr) -> Expr {
        let part = |name: &str, data_type| call(name, vec![argument.clone()], data_type);
        let null = |data_type| Expr::Literal(Literal::Null(data_type));
        let parts = if self.distinct {
            // What is equal in a part may differ in the other: each number is kept.
            let is_null = Expr::IsNull(Box::new(argument.clone()));
            let branches = vec![(is_null, null(DataType::Boolean))];
            let counts = Some(Box::new(Expr::Literal(Literal::Boolean(true))));
            let counts = Expr::Case { branches, otherwise: counts, data_type: DataType::Boolean };
            let all = self.aggregate(AggregateFunction::ArrayAgg, vec![counts, argument], NUMERICS);
            vec![null(numeric_type(0)), null(FRACTION), null(DataType::Int32), all]
        } else {
            let (whole, fraction) =
                (part("numeric_whole", DataType::Int64), part("numeric_fraction", FRACTION));
            let shown = part("numeric_shown", DataType::Int32);
            let is_far = part("numeric_is_far", DataType::Boolean);
            vec![
                self.aggregate(AggregateFunction::Sum, vec![whole], numeric_type(0)),
                self.aggregate(AggregateFunction::Sum, vec![fraction], FRACTION),
                self.aggregate(AggregateFunction::Max, vec![shown], DataType::Int32),
                self.aggregate(AggregateFunction::ArrayAgg, vec![is_far, argument], NUMERICS),
            ]
        };
        call("numeric_total", parts, DataType::Decimal)
    }

    fn deviation(&mut self, name: &str, argument: Expr) -> Result<Expr, SqlError> {
        if self.distinct {
            return Err(SqlError::unsupported(
                "a deviation of DISTINCT numerics without precision and scale",
            )
            .hint("Cast them, as in x::numeric(20, 6)."));
        }
        let square = call("multiply", vec![argument.clone(), argument.clone()], DataType::Decimal);
        let sums = vec![self.count(argument.clone()), self.sum(argument), self.sum(square)];
        Ok(call(name, sums, DataType::Decimal))
    }
}
