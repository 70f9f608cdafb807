//! Function calls: scalar functions of the function table, the constructs that look like calls
//! (coalesce, nullif, greatest, least), and now(). (aggregate.rs has aggregates.)

use datafusion::sql::sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    OrderByExpr,
};
use millrace_engine::{DataType, Expr, Limit, Literal};

use super::aggregate::{aggregate_function, is_missing_aggregate};
use super::expr::{ExprBinder, call, matched_type};
use super::exprs::columns_of;
use super::grouping::GROUPING;
use super::regression::is_regression;
use super::scope::{fold, fold_name};
use super::typed::{Typed, cast_known};
use super::types::display_known;
use super::window::is_window_function;
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::functions::{
    self, Kind, Unresolved, fold_moment, gives_rows, resolve_function, rounded_type, sql_function,
};

/// The functions whose value is the statement's moment.
pub(crate) fn is_now(name: &str) -> bool {
    matches!(
        name,
        "now"
            | "current_timestamp"
            | "localtimestamp"
            | "localtime"
            | "transaction_timestamp"
            | "statement_timestamp"
            | "current_date"
    )
}

/// What stands between the parentheses of a call.
pub(super) struct Arguments<'a> {
    /// The arguments: `None` for `f(*)`.
    pub(super) exprs: Option<Vec<&'a ast::Expr>>,
    pub(super) distinct: bool,
    pub(super) order: &'a [OrderByExpr],
}

fn arguments_of(function: &ast::Function) -> Result<Arguments<'_>, SqlError> {
    let mut arguments = Arguments { exprs: Some(Vec::new()), distinct: false, order: &[] };
    let list = match &function.args {
        FunctionArguments::None => return Ok(arguments),
        FunctionArguments::Subquery(_) => return Err(SqlError::unsupported("a sub-query as an argument")),
        FunctionArguments::List(list) => list,
    };
    match list.clauses.as_slice() {
        [] => {}
        [FunctionArgumentClause::OrderBy(order)] => arguments.order = order,
        _ => return Err(SqlError::unsupported("a clause other than ORDER BY among a function's arguments")),
    }
    if !function.within_group.is_empty() {
        return Err(SqlError::unsupported("WITHIN GROUP"));
    }
    arguments.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let mut exprs = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => exprs.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => {
                arguments.exprs = None;
                return Ok(arguments);
            }
            other => return Err(SqlError::unsupported(format_args!("the argument {other}"))),
        }
    }
    arguments.exprs = Some(exprs);
    Ok(arguments)
}

/// A call as PostgreSQL's messages show it: `foo(integer, unknown)`.
fn signature(name: &str, types: &[Option<DataType>]) -> String {
    let types: Vec<&str> = types.iter().map(|known| display_known(*known)).collect();
    format!("{name}({})", types.join(", "))
}

pub(super) fn no_function(name: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42883", format!("function {} does not exist", signature(name, types))).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

pub(super) fn ambiguous_function(name: &str, types: &[Option<DataType>]) -> SqlError {
    SqlError::new("42725", format!("function {} is not unique", signature(name, types)))
        .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

/// Whether a call of constants has a value that a numeric of a fixed scale cannot hold.
fn is_beyond(function: &functions::Function, arguments: &[Expr], data_type: DataType) -> bool {
    if !arguments.iter().all(|argument| columns_of(argument).is_empty()) {
        return false;
    }
    let computed = evaluate_constant(&call(function.name(), arguments.to_vec(), data_type));
    computed.is_err_and(|error| error.sqlstate == "22003")
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
        if is_missing_aggregate(&name) {
            return Err(SqlError::unsupported(format_args!("the aggregate {name}")));
        }
        if let ("array", FunctionArguments::Subquery(query)) = (name.as_str(), &function.args) {
            return self.array_of(query);
        }
        if name == "make_interval" {
            return self.make_interval(function);
        }
        let arguments = arguments_of(function)?;
        if is_regression(&name) {
            return self.regression(&name, &arguments, function.filter.as_deref());
        }
        if let Some(aggregate) = aggregate_function(&name) {
            return self.aggregate(&name, aggregate, &arguments, function.filter.as_deref());
        }
        let special = [
            (arguments.distinct, "DISTINCT"),
            (!arguments.order.is_empty(), "ORDER BY"),
            (function.filter.is_some(), "FILTER"),
        ];
        let Some(arguments) = arguments.exprs else { return Err(no_function(&name, &[])) };
        if let Some((_, what)) = special.iter().find(|(is_there, _)| *is_there) {
            let message = format!("{what} specified, but {name} is not an aggregate function");
            return Err(SqlError::new("42809", message));
        }
        if name == GROUPING {
            return self.grouping(&arguments);
        }
        self.plain_call(&name, &arguments)
    }

    /// Binds GROUPING(…): a call that the aggregation replaces.
    fn grouping(&self, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        if self.aggregates.is_none() {
            let message = format!("grouping operations are not allowed in {}", self.clause);
            return Err(SqlError::new("42803", message));
        }
        if !(1..32).contains(&arguments.len()) {
            return Err(SqlError::new("54023", "GROUPING must have fewer than 32 arguments"));
        }
        let mut keys = Vec::new();
        for operand in self.bind_all(arguments)? {
            let data_type = operand.full_type().unwrap_or(DataType::Text);
            keys.push(self.parameters.as_type(operand, data_type)?);
        }
        Ok(Typed::Known(call(GROUPING, keys, DataType::Int32), DataType::Int32))
    }

    /// Binds a call that is no aggregate.
    pub(crate) fn plain_call(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        match (name, arguments) {
            ("coalesce", [_, ..]) => {
                return self.without_sets("COALESCE", || self.of_one_type(name, arguments));
            }
            ("greatest" | "least", [_, ..]) => return self.of_one_type(name, arguments),
            ("nullif", [left, right]) => return self.nullif(left, right),
            ("concat", [_, ..]) => return self.concat_all("concat_all", arguments),
            ("format", [_, ..]) => return self.concat_all("format", arguments),
            ("pi", []) => return Ok(Typed::literal(Literal::Float64(std::f64::consts::PI.to_bits()))),
            ("quote_literal" | "quote_nullable", [_]) => return self.text_call(name, arguments),
            ("num_nulls" | "num_nonnulls", [_, ..]) => {
                return self.count_nulls(name == "num_nulls", arguments);
            }
            ("pg_typeof", [value]) => {
                let known = self.bind(value)?.data_type();
                return Ok(Typed::literal(Literal::Text(display_known(known).to_owned())));
            }
            ("concat_ws", [_, _, ..]) => return self.concat_all("concat_ws", arguments),
            (name, []) if is_now(name) => return self.now(name),
            ("current_time", []) => return Err(SqlError::unsupported("type time with time zone")),
            ("age", [since]) => return self.age_today(since),
            ("to_number", [text, pattern]) => return self.to_number(text, pattern),
            ("to_char", [value, pattern]) => {
                if let Some(bound) = self.number_as_text(self.bind(value)?, pattern) {
                    return bound;
                }
            }
            _ => {}
        }
        if gives_rows(name) {
            return self.set_in_expression(name, arguments);
        }
        if let Some(bound) = self.volatile_function(name, arguments) {
            return bound;
        }
        if let Some(bound) = self.json_function(name, arguments) {
            return bound;
        }
        if let Some(bound) = self.array_function(name, arguments) {
            return bound;
        }
        if let Some(bound) = self.catalog_function(name, arguments) {
            return bound;
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

    /// The statement's moment, or what the session's clocks show then: a call that execution replaces by the
    /// tick, and that no view may hold.
    pub(crate) fn now(&self, name: &str) -> Result<Typed, SqlError> {
        let moment = call("now", Vec::new(), DataType::TimestampTz);
        let shown = match name {
            "localtimestamp" => DataType::Timestamp,
            "localtime" => DataType::Time,
            "current_date" => DataType::Date,
            _ => DataType::TimestampTz,
        };
        let expr = cast_known(moment, DataType::TimestampTz, shown, self.parameters.zone)?;
        Ok(Typed::Known(expr, shown))
    }

    /// `make_interval(years, months, weeks, days, hours, mins, secs)`, each by its place or its name, or 0.
    fn make_interval(&self, function: &ast::Function) -> Result<Typed, SqlError> {
        const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
        let zero = |place| if place == 6 { Literal::Float64(0) } else { Literal::Int32(0) };
        let mut operands: Vec<Typed> = (0..NAMES.len()).map(|place| Typed::literal(zero(place))).collect();
        let arguments = match &function.args {
            FunctionArguments::List(list) => list.args.as_slice(),
            FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
        };
        for (place, argument) in arguments.iter().enumerate() {
            let (place, expr) = match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (Some(place), expr),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    (NAMES.iter().position(|known| *known == fold(name)), expr)
                }
                other => return Err(SqlError::unsupported(format_args!("the argument {other}"))),
            };
            let slot = place.and_then(|place| operands.get_mut(place));
            *slot.ok_or_else(|| no_function("make_interval", &[]))? = self.bind(expr)?;
        }
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let resolved = resolve_function("make_interval", &types);
        self.call_of(resolved.map_err(|_| no_function("make_interval", &types))?, operands)
    }

    /// `age(moment)`: until the midnight at which today began.
    fn age_today(&self, since: &ast::Expr) -> Result<Typed, SqlError> {
        let operands = vec![self.now("current_date")?, self.bind(since)?];
        let types: Vec<_> = operands.iter().map(Typed::data_type).collect();
        let function = resolve_function("age", &types).map_err(|_| no_function("age", &types[1..]))?;
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
            let (expr, data_type) = match operand {
                // What is of char counts its blanks.
                Typed::Known(expr, full @ DataType::Limited(Limit::Char(_))) if *kind == Kind::Char => {
                    (expr, full)
                }
                operand => self.parameters.as_kind(operand, *kind)?,
            };
            arguments.push(expr);
            types.push(data_type);
        }
        let data_type = match (function.name(), arguments.as_slice()) {
            ("round" | "trunc", [_, digits]) => rounded_type(types[0], constant_int4(digits)),
            _ => function.result(&types),
        };
        let data_type = match data_type {
            DataType::Numeric { .. } if is_beyond(function, &arguments, data_type) => DataType::Decimal,
            other => other,
        };
        let name = match function.in_zone() {
            None => function.name(),
            Some(in_zone) => {
                arguments.push(self.parameters.zone_name());
                in_zone
            }
        };
        Ok(Typed::Known(fold_moment(call(name, arguments, data_type)), data_type))
    }

    /// `concat` and `concat_ws`: of anything, each as its output function writes it.
    fn concat_all(&self, table_name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let as_text = |operand: Typed| match operand.full_type() {
            Some(DataType::Limited(Limit::Char(_))) => {
                let char = self
                    .parameters
                    .as_type(operand.clone(), operand.full_type().unwrap_or(DataType::Char))?;
                Ok(call("padded", vec![char], DataType::Text))
            }
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

    /// A function of the text of anything.
    fn text_call(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let operands = self.bind_all(arguments)?;
        let texts = self.all_as(operands, DataType::Text)?;
        Ok(Typed::Known(call(name, texts, DataType::Text), DataType::Text))
    }

    /// `num_nulls(…)` and `num_nonnulls(…)`
    fn count_nulls(&self, nulls: bool, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let number = |value: i32| Expr::Literal(Literal::Int32(value));
        let mut count = number(0);
        for argument in arguments {
            let branches = vec![(self.is_null(argument)?, number(nulls.into()))];
            let otherwise = Some(Box::new(number((!nulls).into())));
            let one = Expr::Case { branches, otherwise, data_type: DataType::Int32 };
            count = call("add", vec![count, one], DataType::Int32);
        }
        Ok(Typed::Known(count, DataType::Int32))
    }

    fn of_one_type(&self, name: &str, arguments: &[&ast::Expr]) -> Result<Typed, SqlError> {
        let operands = self.bind_all(arguments)?;
        let data_type = matched_type(&name.to_uppercase(), &operands)?;
        Ok(Typed::Known(call(name, self.all_as(operands, data_type)?, data_type), data_type))
    }

    /// `nullif(a, b)`: NULL where they are equal, else `a`.
    fn nullif(&self, left: &ast::Expr, right: &ast::Expr) -> Result<Typed, SqlError> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let data_type = match left.full_type() {
            Some(char @ DataType::Limited(Limit::Char(_))) => char,
            _ => left.data_type().or(right.data_type()).unwrap_or(DataType::Text),
        };
        let equal = self.comparison("equal", "=", left.clone(), right)?;
        let branches = vec![(equal, Expr::Literal(Literal::Null(data_type)))];
        let otherwise = Some(Box::new(self.parameters.as_type(left, data_type)?));
        Ok(Typed::Known(Expr::Case { branches, otherwise, data_type }, data_type))
    }
}
