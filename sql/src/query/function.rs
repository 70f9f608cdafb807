//! Function calls: scalar functions of the function table, the constructs that look like calls
//! (coalesce, nullif, greatest, least), now(), and aggregates.

use datafusion::sql::sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArguments,
};
use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, Literal};

use super::expr::{AGGREGATE_BASE, ExprBinder, call, matched_type};
use super::exprs::columns_of;
use super::outer::has_outer;
use super::scope::fold_name;
use super::typed::Typed;
use super::types::display_known;
use super::window::is_window_function;
use crate::error::SqlError;
use crate::functions::{
    self, Unresolved, fold_moment, numeric_type, quotient_scale, resolve_function, rounded_type, sql_function,
};

/// The functions whose value is the statement's moment.
pub(crate) fn is_now(name: &str) -> bool {
    matches!(
        name,
        "now" | "current_timestamp" | "localtimestamp" | "transaction_timestamp" | "statement_timestamp"
    )
}

/// The statement's moment: a call that execution replaces by the tick, and that no view may hold.
pub(crate) fn now() -> Typed {
    Typed::Known(call("now", Vec::new(), DataType::Timestamp), DataType::Timestamp)
}

/// A function's arguments: `None` for `f(*)`.
type Arguments<'a> = Option<Vec<&'a ast::Expr>>;

fn arguments_of(function: &ast::Function) -> Result<(Arguments<'_>, bool), SqlError> {
    let list = match &function.args {
        FunctionArguments::None => return Ok((Some(Vec::new()), false)),
        FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a sub-query as an argument")),
        FunctionArguments::List(list) => list,
    };
    if !list.clauses.is_empty() {
        return Err(SqlError::unsupported("ORDER BY or another clause among a function's arguments"));
    }
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let mut arguments = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => {
                return Ok((None, distinct));
            }
            other => return Err(SqlError::unsupported(format_args!("the argument {other}"))),
        }
    }
    Ok((Some(arguments), distinct))
}

/// A call as PostgreSQL's messages show it: `foo(integer, unknown)`.
fn signature(name: &str, types: &[Option<DataType>]) -> String {
    let types: Vec<&str> = types.iter().map(|known| display_known(*known)).collect();
    format!("{name}({})", types.join(", "))
}

fn no_function(name: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42883", format!("function {} does not exist", signature(name, types))).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

fn ambiguous_function(name: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42725", format!("function {} is not unique", signature(name, types)))
        .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

fn aggregate_function(name: &str) -> Option<AggregateFunction> {
    Some(match name {
        "count" => AggregateFunction::Count,
        "sum" => AggregateFunction::Sum,
        "avg" => AggregateFunction::Avg,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        _ => return None,
    })
}

/// The result's type of an aggregate over a type, as PostgreSQL has it; `None` where it has none.
/// avg is numeric with 16 digits behind the point (or its argument's), where PostgreSQL's number varies.
fn aggregate_type(function: AggregateFunction, argument: DataType) -> Option<DataType> {
    use DataType::{Boolean, Date, Float64, Int32, Int64, Interval, Numeric, Text, Timestamp};
    Some(match (function, argument) {
        (AggregateFunction::Count, _) => Int64,
        (AggregateFunction::Sum, Int32) => Int64,
        (AggregateFunction::Sum, Int64) => numeric_type(0),
        (AggregateFunction::Sum, Numeric { scale, .. }) => numeric_type(scale),
        (AggregateFunction::Sum | AggregateFunction::Avg, Float64) => Float64,
        (AggregateFunction::Avg, Int32 | Int64) => numeric_type(quotient_scale(0, 0)),
        (AggregateFunction::Avg, Numeric { scale, .. }) => numeric_type(quotient_scale(scale, 0)),
        (AggregateFunction::Sum | AggregateFunction::Avg, Boolean | Text | Timestamp | Date | Interval) => {
            return None;
        }
        (AggregateFunction::Min | AggregateFunction::Max, Boolean) => return None,
        (AggregateFunction::Min | AggregateFunction::Max, other) => other,
        _ => return None,
    })
}

/// The value of a constant integer.
fn constant_int4(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(Literal::Int32(value)) => Some(*value),
        _ => None,
    }
}

impl ExprBinder<'_> {
    /// Binds a call.
    pub(crate) fn function(&self, function: &ast::Function) -> Result<Typed, SqlError> {
        let mut parts = fold_name(&function.name);
        let name = parts.pop().unwrap_or_default();
        if parts.iter().any(|schema| schema != "pg_catalog") {
            let message = format!("schema \"{}\" does not exist", parts.join("."));
            return Err(SqlError::new("3F000", message));
        }
        if let Some(over) = &function.over {
            return self.window_call(&name, function, over);
        }
        if is_window_function(&name) {
            let message = format!("window function {name} requires an OVER clause");
            return Err(SqlError::new("42809", message));
        }
        let (arguments, distinct) = arguments_of(function)?;
        if let Some(aggregate) = aggregate_function(&name) {
            return self.aggregate(&name, aggregate, arguments, distinct, function.filter.as_deref());
        }
        let Some(arguments) = arguments else { return Err(no_function(&name, &[])) };
        if distinct || function.filter.is_some() {
            let what = if function.filter.is_some() { "FILTER" } else { "DISTINCT" };
            let message = format!("{what} specified, but {name} is not an aggregate function");
            return Err(SqlError::new("42809", message));
        }
        self.plain_call(&name, &arguments)
    }

    /// Binds a call that is no aggregate.
    pub(crate) fn plain_call(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        match (name, arguments) {
            ("coalesce" | "greatest" | "least", [_, ..]) => return self.of_one_type(name, arguments),
            ("nullif", [left, right]) => return self.nullif(left, right),
            ("concat", [_, ..]) => return self.concat_all("concat_all", arguments),
            ("concat_ws", [_, _, ..]) => return self.concat_all("concat_ws", arguments),
            ("random", []) => {
                return Ok(Typed::Known(call("random", Vec::new(), DataType::Float64), DataType::Float64));
            }
            (name, []) if is_now(name) => return Ok(now()),
            _ => {}
        }
        let operands = self.bind_all(arguments)?;
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let table_name = sql_function(name).ok_or_else(|| no_function(name, &types))?;
        let function = resolve_function(table_name, &types).map_err(|unresolved| match unresolved {
            Unresolved::Missing => no_function(name, &types),
            Unresolved::Ambiguous => ambiguous_function(name, &types),
        })?;
        self.call_of(function, operands)
    }

    /// A call of a resolved overload.
    pub(crate) fn call_of(
        &self,
        function: &functions::Function,
        operands: Vec<Typed>,
    ) -> Result<Typed, SqlError> {
        let mut arguments = Vec::new();
        let mut types = Vec::new();
        for (operand, kind) in operands.into_iter().zip(function.arguments()) {
            let (expr, data_type) = self.parameters.as_kind(operand, *kind)?;
            arguments.push(expr);
            types.push(data_type);
        }
        let data_type = match (function.name(), arguments.as_slice()) {
            ("round" | "trunc", [_, digits]) => rounded_type(types[0], constant_int4(digits)),
            _ => function.result(&types),
        };
        Ok(Typed::Known(fold_moment(call(function.name(), arguments, data_type)), data_type))
    }

    /// `concat` and `concat_ws`: of anything, each as its output function writes it.
    fn concat_all(&self, table_name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let as_text = |operand: Typed| match operand.data_type() {
            // A boolean's text is `true`, but what it writes is `t`.
            Some(DataType::Boolean) => {
                let value = self.parameters.as_type(operand, DataType::Boolean)?;
                let word = |word: &str| Expr::Literal(Literal::Text(word.to_owned()));
                let branches = vec![(value.clone(), word("t")), (Expr::Not(Box::new(value)), word("f"))];
                Ok(Expr::Case { branches, otherwise: None, data_type: DataType::Text })
            }
            _ => self.parameters.as_type(operand, DataType::Text),
        };
        let operands = self.bind_all(arguments)?;
        let arguments = operands.into_iter().map(as_text).collect::<Result<_, SqlError>>()?;
        Ok(Typed::Known(call(table_name, arguments, DataType::Text), DataType::Text))
    }

    fn of_one_type(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let operands = self.bind_all(arguments)?;
        let data_type = matched_type(&name.to_uppercase(), &operands)?;
        Ok(Typed::Known(call(name, self.all_as(operands, data_type)?, data_type), data_type))
    }

    /// `nullif(a, b)`: NULL where they are equal, else `a`.
    fn nullif(&self, left: &ast::Expr, right: &ast::Expr) -> Result<Typed, SqlError> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let data_type = left.data_type().or(right.data_type()).unwrap_or(DataType::Text);
        let equal = self.comparison("equal", "=", left.clone(), right)?;
        let branches = vec![(equal, Expr::Literal(Literal::Null(data_type)))];
        let otherwise = Some(Box::new(self.parameters.as_type(left, data_type)?));
        Ok(Typed::Known(Expr::Case { branches, otherwise, data_type }, data_type))
    }

    fn aggregate(
        &self,
        name: &str,
        function: AggregateFunction,
        arguments: Option<Vec<&ast::Expr>>,
        distinct: bool,
        filter: Option<&ast::Expr>,
    ) -> Result<Typed, SqlError> {
        let Some(collected) = self.aggregates else {
            let message = format!("aggregate functions are not allowed in {}", self.clause);
            return Err(SqlError::new("42803", message));
        };
        let inner = ExprBinder::new(self.scope, self.parameters, "the argument of an aggregate function")
            .seeing(self);
        let nested = |error: SqlError| match error.message.starts_with("aggregate functions are not allowed")
        {
            true => SqlError::new("42803", "aggregate function calls cannot be nested"),
            false => error,
        };
        let (argument, data_type) =
            inner.aggregate_argument(name, function, arguments, distinct).map_err(nested)?;
        let argument = match filter {
            None => argument,
            Some(filter) => Some(inner.filtered(argument, filter)?),
        };
        if argument.iter().any(|argument| has_outer(argument) && columns_of(argument).is_empty()) {
            return Err(SqlError::unsupported("an aggregate of an outer query's columns inside a sub-query"));
        }
        let arguments = argument.into_iter().collect();
        let call = Aggregate { function, arguments, distinct, order: Vec::new(), data_type };
        let mut collected = collected.borrow_mut();
        let index = collected.iter().position(|known| *known == call).unwrap_or_else(|| {
            collected.push(call);
            collected.len() - 1
        });
        Ok(Typed::Known(Expr::Column(AGGREGATE_BASE + index), data_type))
    }

    /// The argument of an aggregate and the result's type.
    fn aggregate_argument(
        &self,
        name: &str,
        function: AggregateFunction,
        arguments: Option<Vec<&ast::Expr>>,
        distinct: bool,
    ) -> Result<(Option<Expr>, DataType), SqlError> {
        let Some(arguments) = arguments else {
            return match (function, distinct) {
                (AggregateFunction::Count, false) => Ok((None, DataType::Int64)),
                (AggregateFunction::Count, true) => Err(SqlError::new("42601", "DISTINCT * is not allowed")),
                _ => Err(no_function(name, &[])),
            };
        };
        let operands = self.bind_all(&arguments)?;
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let mut operands = operands.into_iter();
        let (Some(operand), None) = (operands.next(), operands.next()) else {
            let error = no_function(name, &types);
            return Err(match (function, types.is_empty()) {
                (AggregateFunction::Count, true) => {
                    SqlError::new("42809", "count(*) must be used to call a parameterless aggregate function")
                }
                _ => error,
            });
        };
        let own = match (operand.data_type(), function) {
            (Some(own), _) => own,
            (None, AggregateFunction::Sum | AggregateFunction::Avg) => {
                return Err(ambiguous_function(name, &types));
            }
            (None, _) => DataType::Text,
        };
        if own == DataType::Interval {
            return Err(super::interval_column());
        }
        let result = aggregate_type(function, own).ok_or_else(|| no_function(name, &types))?;
        Ok((Some(self.parameters.as_type(operand, own)?), result))
    }

    /// The argument of an aggregate with FILTER: NULL, which all aggregates skip, where it is not true.
    fn filtered(&self, argument: Option<Expr>, filter: &ast::Expr) -> Result<Expr, SqlError> {
        let condition = self.bind_boolean(filter, "argument of FILTER")?;
        let value = argument.unwrap_or(Expr::Literal(Literal::Boolean(true)));
        let types: Vec<DataType> = self.types();
        let data_type = value.data_type(&types).unwrap_or(DataType::Boolean);
        Ok(Expr::Case { branches: vec![(condition, value)], otherwise: None, data_type })
    }

    /// The types of the input's columns by position.
    fn types(&self) -> Vec<DataType> {
        let mut types = Vec::new();
        for column in &self.scope.columns {
            if column.position >= types.len() {
                types.resize(column.position + 1, DataType::Boolean);
            }
            types[column.position] = column.data_type;
        }
        types
    }
}
