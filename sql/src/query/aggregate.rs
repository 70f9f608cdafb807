//! Aggregates: their names, types and calls. (parts.rs and regression.rs have those that are made of others.)

use datafusion::sql::sqlparser::ast;
use millrace_engine::{Aggregate, AggregateFunction, DataType, Element, Expr, Literal, OrderKey};

use super::binder::sort_key;
use super::expr::{AGGREGATE_BASE, ExprBinder};
use super::exprs::columns_of;
use super::function::{Arguments, ambiguous_function, no_function};
use super::json::{EQUALITY, ORDERING, refuse_json};
use super::outer::has_outer;
use super::parts::of_parts;
use super::rel::{SortKey, aggregate_exprs};
use super::typed::{Typed, cast_known};
use crate::error::SqlError;
use crate::functions::numeric_type;

/// The engine's aggregate of a name.
pub(super) fn aggregate_function(name: &str) -> Option<AggregateFunction> {
    Some(match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "bool_and" | "every" => AggregateFunction::BoolAnd,
        "bool_or" => AggregateFunction::BoolOr,
        "bit_and" => AggregateFunction::BitAnd,
        "bit_or" => AggregateFunction::BitOr,
        "bit_xor" => AggregateFunction::BitXor,
        "var_pop" => AggregateFunction::VarPop,
        "var_samp" | "variance" => AggregateFunction::VarSamp,
        "stddev_pop" => AggregateFunction::StddevPop,
        "stddev_samp" | "stddev" => AggregateFunction::StddevSamp,
        "string_agg" => AggregateFunction::StringAgg,
        "array_agg" | "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg" => {
            AggregateFunction::ArrayAgg
        }
        _ => return None,
    })
}

/// PostgreSQL's aggregates that are not there yet.
pub(super) fn is_missing_aggregate(name: &str) -> bool {
    matches!(name, "any_value" | "mode" | "percentile_cont" | "percentile_disc" | "range_agg" | "xmlagg")
}

/// The result's type of an aggregate over a type, as PostgreSQL has it; `None` where it has none.
fn aggregate_type(function: AggregateFunction, argument: DataType) -> Option<DataType> {
    use AggregateFunction as F;
    use DataType::{
        Array, Boolean, Bytea, Char, Date, Decimal, Float32, Float64, Int16, Int32, Int64, Interval, Json,
        Jsonb, Limited, Numeric, Text, Time, Timestamp, TimestampTz, Uuid,
    };
    Some(match (function, argument) {
        (F::Count, _) => Int64,
        (F::Sum, Int32) => Int64,
        (F::Sum, Int64) => numeric_type(0),
        (F::Sum, Numeric { scale, .. }) => numeric_type(scale),
        (F::Sum | F::Avg, Interval) => Interval,
        (F::Min | F::Max, Boolean | Uuid | Bytea | Json | Jsonb) => return None,
        (F::Min | F::Max, other) => other,
        (F::BoolAnd | F::BoolOr, Boolean) => Boolean,
        (F::BitAnd | F::BitOr | F::BitXor, Int32 | Int64) => argument,
        (F::StringAgg, Text) => Text,
        (F::ArrayAgg, _) => Array(Element::of(argument).or_else(|| Element::of(argument.base()))?),
        (F::BoolAnd | F::BoolOr | F::BitAnd | F::BitOr | F::BitXor | F::StringAgg, _) => return None,
        (F::Sum | F::Avg | F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp, _) => match argument {
            Float64 => Float64,
            Int32 | Int64 | Numeric { .. } | Decimal => Decimal,
            Boolean | Text | Timestamp | TimestampTz | Date | Interval | Uuid | Bytea => return None,
            // `summed_as` has made these wider.
            Int16 | Float32 | Time | Char | Limited(_) => return None,
            Json | Jsonb | Array(_) => return None,
        },
    })
}

/// The type as which an aggregate takes values of a type: it sums, and counts the bits of, integers and doubles.
fn summed_as(function: AggregateFunction, argument: DataType) -> DataType {
    use AggregateFunction as F;
    match (function, argument) {
        (F::Count | F::Min | F::Max | F::BoolAnd | F::BoolOr | F::StringAgg | F::ArrayAgg, _) => argument,
        (_, DataType::Int16) => DataType::Int32,
        (_, DataType::Float32) => DataType::Float64,
        (F::Sum | F::Avg, DataType::Time) => DataType::Interval,
        (_, other) => other,
    }
}

/// The result's type that PostgreSQL has where the aggregate took its argument as another: what it gives always
/// fits, but for sums of reals, which may be out of range.
fn shown_as(function: AggregateFunction, argument: DataType, result: DataType) -> DataType {
    use AggregateFunction as F;
    match (function, argument) {
        (F::BitAnd | F::BitOr | F::BitXor, DataType::Int16) => DataType::Int16,
        (F::Sum, DataType::Float32) => DataType::Float32,
        _ => result,
    }
}

/// The type of an argument that has none of its own; `None` where several would fit equally well.
fn unknown_argument(function: AggregateFunction) -> Option<DataType> {
    use AggregateFunction as F;
    match function {
        F::Sum | F::Avg | F::BitAnd | F::BitOr | F::BitXor => None,
        F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => Some(DataType::Float64),
        F::BoolAnd | F::BoolOr => Some(DataType::Boolean),
        F::ArrayAgg => None,
        F::Count | F::Min | F::Max | F::StringAgg => Some(DataType::Text),
    }
}

/// The error of what an aggregate reads: an aggregate inside of it is nested.
pub(super) fn nested(error: SqlError) -> SqlError {
    let refused = ["aggregate functions are not allowed", "grouping operations are not allowed"];
    match refused.iter().any(|refused| error.message.starts_with(refused)) {
        true => SqlError::new("42803", "aggregate function calls cannot be nested"),
        false => error,
    }
}

impl ExprBinder<'_> {
    /// Binds a call of an aggregate.
    ///
    /// # Errors
    /// 42803 where there may be none, 42883 where there is none for such arguments.
    pub(super) fn aggregate(
        &self,
        name: &str,
        function: AggregateFunction,
        arguments: &Arguments,
        filter: Option<&ast::Expr>,
    ) -> Result<Typed, SqlError> {
        let mut collect = self.collect_aggregates()?;
        let (mut call, shown) =
            self.inside_aggregate().aggregate_call(name, function, arguments).map_err(nested)?;
        self.filter_aggregate(&mut call, filter)?;
        let data_type = call.data_type;
        if (call.function, data_type) == (AggregateFunction::Avg, DataType::Interval) {
            return self.mean_interval(call, &mut collect);
        }
        let types = self.scope.types();
        let argument = call.arguments.first().and_then(|argument| argument.data_type(&types));
        if argument == Some(DataType::Decimal)
            && let Some(expr) = of_parts(&call, &mut collect)?
        {
            return Ok(Typed::Known(expr, DataType::Decimal));
        }
        let column = collect(call);
        if function == AggregateFunction::ArrayAgg && name != "array_agg" {
            let made = if name.starts_with("jsonb") { DataType::Jsonb } else { DataType::Json };
            return Ok(Typed::Known(super::expr::call(name, vec![column], made), made));
        }
        Ok(Typed::Known(cast_known(column, data_type, shown, self.parameters.zone)?, shown))
    }

    /// What gives each aggregate the column that stands for it, equal ones once.
    ///
    /// # Errors
    /// 42803 where there may be none.
    pub(super) fn collect_aggregates(&self) -> Result<impl FnMut(Aggregate) -> Expr, SqlError> {
        let Some(collected) = self.aggregates else {
            let message = format!("aggregate functions are not allowed in {}", self.clause);
            return Err(SqlError::new("42803", message));
        };
        Ok(|call: Aggregate| {
            let mut collected = collected.borrow_mut();
            let index = collected.iter().position(|known| *known == call).unwrap_or_else(|| {
                collected.push(call);
                collected.len() - 1
            });
            Expr::Column(AGGREGATE_BASE + index)
        })
    }

    /// The binder of what an aggregate reads.
    pub(super) fn inside_aggregate(&self) -> ExprBinder<'_> {
        ExprBinder::new(self.scope, self.parameters, "the argument of an aggregate function").seeing(self)
    }

    /// The mean of intervals is their sum divided by their number, as PostgreSQL divides one.
    fn mean_interval(
        &self,
        call: Aggregate,
        collect: &mut impl FnMut(Aggregate) -> Expr,
    ) -> Result<Typed, SqlError> {
        let count =
            Aggregate { function: AggregateFunction::Count, data_type: DataType::Int64, ..call.clone() };
        let sum = collect(Aggregate { function: AggregateFunction::Sum, ..call });
        let count = Expr::Cast { input: Box::new(collect(count)), to: DataType::Float64 };
        Ok(Typed::Known(
            super::expr::call("divide", vec![sum, count], DataType::Interval),
            DataType::Interval,
        ))
    }

    /// The call without its FILTER, and the type as which its result is shown. Only `string_agg` keeps its ORDER BY: elsewhere it does not show.
    fn aggregate_call(
        &self,
        name: &str,
        function: AggregateFunction,
        arguments: &Arguments,
    ) -> Result<(Aggregate, DataType), SqlError> {
        let distinct = arguments.distinct;
        let (mut exprs, own) = match (&arguments.exprs, function, distinct) {
            (Some(exprs), _, _) => self.aggregate_arguments(name, function, exprs, distinct)?,
            (None, AggregateFunction::Count, false) => (Vec::new(), DataType::Int64),
            (None, AggregateFunction::Count, true) => {
                return Err(SqlError::new("42601", "DISTINCT * is not allowed"));
            }
            (None, _, _) => return Err(no_function(name, &[])),
        };
        let mut order = Vec::new();
        for item in arguments.order {
            let typed = self.bind(&item.expr)?;
            let key_type = typed.data_type().unwrap_or(DataType::Text);
            refuse_json(Some(key_type), ORDERING)?;
            let SortKey { descending, nulls_first, .. } = sort_key(item, 0);
            let expr = self.parameters.as_type(typed, key_type)?;
            if distinct && !exprs.contains(&expr) {
                let message =
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                return Err(SqlError::new("42P10", message));
            }
            order.push(OrderKey { expr, descending, nulls_first });
        }
        if !matches!(function, AggregateFunction::StringAgg | AggregateFunction::ArrayAgg) {
            order.clear();
        }
        let taken = summed_as(function, own);
        let data_type = aggregate_type(function, taken).ok_or_else(|| no_function(name, &[Some(own)]))?;
        if function == AggregateFunction::ArrayAgg {
            // What counts is told apart from what is NULL.
            exprs.insert(0, Expr::Literal(Literal::Boolean(true)));
        } else if let Some(argument) = exprs.first_mut() {
            *argument = cast_known(argument.clone(), own, taken, self.parameters.zone)?;
        }
        let shown = shown_as(function, own, data_type);
        let call = Aggregate { function, arguments: exprs, distinct, order, data_type };
        Ok((call, shown))
    }

    /// The arguments of an aggregate and the first one's type.
    fn aggregate_arguments(
        &self,
        name: &str,
        function: AggregateFunction,
        arguments: &[&ast::Expr],
        distinct: bool,
    ) -> Result<(Vec<Expr>, DataType), SqlError> {
        let mut operands = self.bind_all(arguments)?;
        if function == AggregateFunction::ArrayAgg && name != "array_agg" {
            operands = self.json_elements(name, operands)?;
        }
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let types_in_full: Vec<_> = operands.iter().map(Typed::full_type).collect();
        let wanted = if function == AggregateFunction::StringAgg { 2 } else { 1 };
        if operands.len() != wanted {
            return Err(match (function, types.is_empty()) {
                (AggregateFunction::Count, true) => {
                    SqlError::new("42809", "count(*) must be used to call a parameterless aggregate function")
                }
                _ => no_function(name, &types),
            });
        }
        let own = types[0].or_else(|| unknown_argument(function));
        let own = own.ok_or_else(|| ambiguous_function(name, &types))?;
        if distinct {
            refuse_json(Some(own), EQUALITY)?;
        }
        let own = match (function, own, types_in_full.first().copied().flatten()) {
            (AggregateFunction::StringAgg, DataType::Char, _) => DataType::Text,
            (AggregateFunction::ArrayAgg, DataType::Text, Some(full)) => full,
            // A char is shown with its blanks.
            (AggregateFunction::Min | AggregateFunction::Max, DataType::Char, Some(full)) => full,
            (_, own, _) => own,
        };
        if function == AggregateFunction::ArrayAgg {
            super::array::element_of(own)?;
        }
        if aggregate_type(function, summed_as(function, own)).is_none() {
            return Err(no_function(name, &types));
        }
        let mut exprs = vec![self.parameters.as_type(operands.remove(0), own)?];
        if let Some(delimiter) = operands.pop() {
            let is_text = |known| matches!(known, DataType::Text | DataType::Char);
            if !delimiter.data_type().is_none_or(is_text) {
                return Err(no_function(name, &types));
            }
            exprs.push(self.parameters.as_type(delimiter, DataType::Text)?);
        }
        Ok((exprs, own))
    }

    /// FILTER: where the condition is not true the argument is NULL, which all aggregates skip, and nothing
    /// else that the aggregate reads is computed.
    ///
    /// # Errors
    /// 0A000 for an aggregate of an outer query's columns.
    pub(super) fn filter_aggregate(
        &self,
        call: &mut Aggregate,
        filter: Option<&ast::Expr>,
    ) -> Result<(), SqlError> {
        if let Some(filter) = filter {
            let condition = ExprBinder::new(self.scope, self.parameters, "FILTER")
                .seeing(self)
                .bind_boolean(filter, "argument of FILTER")?;
            self.read_where(call, &condition);
        }
        let is_of_outer = aggregate_exprs(call).any(has_outer);
        if is_of_outer && aggregate_exprs(call).all(|expr| columns_of(expr).is_empty()) {
            return Err(SqlError::unsupported("an aggregate of an outer query's columns inside a sub-query"));
        }
        Ok(())
    }

    fn read_where(&self, call: &mut Aggregate, condition: &Expr) {
        let types: Vec<DataType> = self.scope.types();
        let filtered = |value: Expr| {
            let data_type = value.data_type(&types).unwrap_or(DataType::Boolean);
            Expr::Case { branches: vec![(condition.clone(), value)], otherwise: None, data_type }
        };
        let arguments = call.arguments.clone();
        if call.arguments.is_empty() {
            call.arguments.push(Expr::Literal(Literal::Boolean(true)));
        }
        for (index, argument) in call.arguments.iter_mut().enumerate() {
            if index == 0 || !matches!(argument, Expr::Column(_) | Expr::Literal(_)) {
                *argument = filtered(argument.clone());
            }
        }
        for key in &mut call.order {
            key.expr = match arguments.iter().position(|argument| *argument == key.expr) {
                // With DISTINCT the order must stay one of the arguments.
                Some(argument) => call.arguments[argument].clone(),
                None if matches!(key.expr, Expr::Column(_) | Expr::Literal(_)) => continue,
                None => filtered(key.expr.clone()),
            };
        }
    }
}
