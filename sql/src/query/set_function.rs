//! Functions that give rows: in FROM, where they see the tables to their left, and in the select list, where those of
//! one SELECT go in step.

use std::cell::RefCell;

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr};
use millrace_engine::{DataType, Element, Expr, Literal, RowCalls, SetCall};

use super::binder::{Binder, Environment};
use super::expr::{Bound, ExprBinder};
use super::exprs::map_columns;
use super::from::{Source, renamed};
use super::function::{ambiguous_function, no_function};
use super::rel::Rel;
use super::scope::{Scope, fold};
use super::typed::{Typed, becomes};
use super::unnest;
use crate::error::SqlError;
use crate::functions::{self, gives_rows, numeric_type};

/// While calls are collected, the column that stands for the n-th is this plus n.
pub(crate) const SET_BASE: usize = 1 << 34;

/// A call in FROM.
pub(super) struct CallInFrom<'a> {
    pub(super) name: String,
    pub(super) arguments: Vec<&'a ast::Expr>,
    pub(super) with_ordinality: bool,
    pub(super) alias: Option<&'a ast::TableAlias>,
}

/// What a call gives: of several arrays as many calls, which go in step.
struct Set {
    calls: Vec<SetCall>,
    columns: Vec<(String, DataType)>,
    /// Whether the alias of the call is its column's name, too.
    takes_alias: bool,
}

/// The arguments of a call in FROM.
///
/// # Errors
/// 0A000 for those with names.
pub(super) fn arguments_in_from(arguments: &[FunctionArg]) -> Result<Vec<&ast::Expr>, SqlError> {
    let plain = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        other => Err(SqlError::unsupported(format_args!("the argument {other}"))),
    };
    arguments.iter().map(plain).collect()
}

impl Binder<'_> {
    /// Binds a call in FROM: for each row of the tables to its left, if it reads them.
    ///
    /// # Errors
    /// 42883 where there is no such function.
    pub(super) fn bind_set(&self, set: &CallInFrom, environment: &Environment) -> Result<Source, SqlError> {
        let (scope, subqueries) = (Scope::default(), RefCell::default());
        let environment = environment.lateral();
        let binder = ExprBinder::new(&scope, &self.parameters, "functions in FROM").within(
            self,
            &environment,
            &subqueries,
        );
        let (rel, mut columns, takes_alias) = if gives_rows(&set.name) {
            let arguments = binder.bind_all(&set.arguments)?;
            let Set { mut calls, columns, takes_alias } = binder.set(&set.name, arguments)?;
            let arguments = calls.iter().flat_map(|call| call.arguments.iter().cloned()).collect();
            let (input, arguments) = unnest::attach(Rel::unit(), arguments, &subqueries.take())?;
            let mut attached = arguments.into_iter();
            let slots = calls.iter_mut().flat_map(|call| &mut call.arguments);
            slots.zip(&mut attached).for_each(|(slot, argument)| *slot = argument);
            let calls = RowCalls { kept: Vec::new(), calls, numbered: set.with_ordinality, outer: false };
            (Rel::FlatMap { input: Box::new(input), calls }, columns, takes_alias)
        } else {
            let (rel, column) = self.one_row(set, &binder, &subqueries)?;
            (rel, vec![column], true)
        };
        if let ([(name, _)], true, Some(alias)) = (columns.as_mut_slice(), takes_alias, set.alias) {
            *name = fold(&alias.name);
        }
        if set.with_ordinality {
            columns.push(("ordinality".to_owned(), DataType::Int64));
        }
        let table = set.alias.map_or_else(|| set.name.clone(), |alias| fold(&alias.name));
        renamed(Source { rel, scope: Scope::of_table(&table, columns) }, set.alias)
    }

    /// Any other function in FROM: one row of its value.
    fn one_row(
        &self,
        set: &CallInFrom,
        binder: &ExprBinder,
        subqueries: &RefCell<Vec<unnest::Subquery>>,
    ) -> Result<(Rel, (String, DataType)), SqlError> {
        let typed = binder.plain_call(&set.name, &set.arguments)?;
        let data_type = typed.full_type().unwrap_or(DataType::Text);
        let mut outputs = vec![self.parameters.as_type(typed, data_type)?];
        outputs.extend(set.with_ordinality.then_some(Expr::Literal(Literal::Int64(1))));
        let (input, outputs) = unnest::attach(Rel::unit(), outputs, &subqueries.take())?;
        Ok((input.project(outputs), (set.name.clone(), data_type)))
    }
}

/// Puts calls over the rows of `rel`; `exprs` are changed to read what they give.
pub(crate) fn call_sets(rel: Rel, calls: Vec<SetCall>, exprs: Vec<&mut Expr>) -> Rel {
    let width = rel.columns().len();
    for expr in exprs {
        *expr = map_columns(expr, &mut |column| match column.checked_sub(SET_BASE) {
            Some(call) => Expr::Column(width + call),
            None => Expr::Column(column),
        });
    }
    let calls = RowCalls { kept: (0..width).collect(), calls, numbered: false, outer: false };
    Rel::FlatMap { input: Box::new(rel), calls }
}

impl ExprBinder<'_> {
    /// A call in an expression: the column of what it gives, equal ones once.
    ///
    /// # Errors
    /// 0A000 where no function may give rows.
    pub(super) fn set_in_expression(&self, name: &str, arguments: &[&ast::Expr]) -> Bound {
        let Some(sets) = self.sets else {
            let message = match self.clause {
                "the argument of an aggregate function" => {
                    "aggregate function calls cannot contain set-returning function calls".to_owned()
                }
                clause => format!("set-returning functions are not allowed in {clause}"),
            };
            return Err(SqlError::new("0A000", message));
        };
        let arguments = self.bind_all(arguments)?;
        let Set { mut calls, columns, .. } = self.set(name, arguments)?;
        let ([call], [(_, data_type)]) = (calls.as_mut_slice(), columns.as_slice()) else {
            return Err(SqlError::unsupported(format_args!(
                "{name}() of several columns in the select list"
            )));
        };
        let reads_set = |expr: &Expr| {
            let mut reads = false;
            expr.for_each_column(&mut |column| reads |= column >= SET_BASE);
            reads
        };
        if call.arguments.iter().any(reads_set) {
            let what = "a function that gives rows among the arguments of another in the select list";
            return Err(SqlError::unsupported(what).hint("Put the inner one into FROM."));
        }
        let mut sets = sets.borrow_mut();
        let index = sets.iter().position(|known| known == call).unwrap_or_else(|| {
            sets.push(call.clone());
            sets.len() - 1
        });
        Ok(Typed::Known(Expr::Column(SET_BASE + index), *data_type))
    }

    /// Binds what may not contain a call that gives rows, since it may not be computed.
    pub(super) fn without_sets<T>(
        &self,
        what: &str,
        bind: impl FnOnce() -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let count = || self.sets.map_or(0, |sets| sets.borrow().len());
        let before = count();
        let bound = bind()?;
        if count() > before {
            let message = format!("set-returning functions are not allowed in {what}");
            return Err(SqlError::new("0A000", message)
                .hint("You might be able to move the set-returning function into a LATERAL FROM item."));
        }
        Ok(bound)
    }

    fn set(&self, name: &str, arguments: Vec<Typed>) -> Result<Set, SqlError> {
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        match (name, arguments.len()) {
            ("unnest", 1..) => self.unnest(arguments),
            ("generate_series", 2..=3) => self.series(arguments),
            ("generate_subscripts", 2..=3) => self.subscripts(arguments),
            ("regexp_matches" | "regexp_split_to_table", 2..=3) | ("string_to_table", 2..=3) => {
                let is_text = |known: &DataType| matches!(known, DataType::Text | DataType::Char);
                if !types.iter().flatten().all(is_text) {
                    return Err(no_function(name, &types));
                }
                let given = match name {
                    "regexp_matches" => DataType::Array(Element::Text),
                    _ => DataType::Text,
                };
                Ok(one(name, self.all_as(arguments, DataType::Text)?, given))
            }
            (name, 1) if name.starts_with("json") => {
                let to = if name.starts_with("jsonb") { DataType::Jsonb } else { DataType::Json };
                if types[0].is_some_and(|known| known != to) {
                    return Err(no_function(name, &types));
                }
                Ok(json(name, self.all_as(arguments, to)?, to))
            }
            _ => Err(no_function(name, &types)),
        }
    }

    /// `unnest(array, …)`: shorter ones end in NULLs.
    fn unnest(&self, arguments: Vec<Typed>) -> Result<Set, SqlError> {
        let mut set = Set { calls: Vec::new(), columns: Vec::new(), takes_alias: true };
        for argument in arguments {
            let element = match argument.data_type() {
                Some(DataType::Array(element)) => element,
                None => return Err(ambiguous_function("unnest", &[None])),
                other => return Err(no_function("unnest", &[other])),
            };
            let array = self.parameters.as_type(argument, DataType::Array(element))?;
            let Set { calls, columns, .. } = one("unnest", vec![array], element.data_type());
            set.calls.extend(calls);
            set.columns.extend(columns);
        }
        Ok(set)
    }

    /// `generate_subscripts(array, dimension [, reverse])`
    fn subscripts(&self, arguments: Vec<Typed>) -> Result<Set, SqlError> {
        const NAME: &str = "generate_subscripts";
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        let Some(array @ DataType::Array(_)) = types[0] else {
            return Err(if types[0].is_none() {
                ambiguous_function(NAME, &types)
            } else {
                no_function(NAME, &types)
            });
        };
        let wanted = [array, DataType::Int32, DataType::Boolean];
        let mut values = Vec::new();
        for (argument, to) in arguments.into_iter().zip(wanted) {
            if argument.data_type().is_some_and(|from| !becomes(from, to)) {
                return Err(no_function(NAME, &types));
            }
            values.push(self.parameters.as_type(argument, to)?);
        }
        Ok(one(NAME, values, DataType::Int32))
    }

    /// `generate_series(start, stop, step)`
    fn series(&self, arguments: Vec<Typed>) -> Result<Set, SqlError> {
        const NAME: &str = "generate_series";
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        let data_type = series_type(&types)?;
        let step_fits = match types.get(2).copied().flatten() {
            None => types.len() == 3 || !is_of_time(data_type),
            Some(DataType::Interval) => is_of_time(data_type),
            Some(known) => {
                let is_numeric = matches!(known, DataType::Numeric { .. } | DataType::Decimal);
                !is_of_time(data_type) && (is_whole(known) || is_numeric)
            }
        };
        if !step_fits {
            return Err(no_function(NAME, &types));
        }
        let mut arguments = arguments;
        if arguments.len() == 2 {
            arguments.push(Typed::literal(Literal::Int32(1)));
        }
        let step_type = if is_of_time(data_type) { DataType::Interval } else { data_type };
        let wanted = [data_type, data_type, step_type];
        let values =
            arguments.into_iter().zip(wanted).map(|(argument, to)| self.parameters.as_type(argument, to));
        let mut values = values.collect::<Result<Vec<_>, SqlError>>()?;
        // Days and months are added by the session's clocks.
        values.extend((data_type == DataType::TimestampTz).then(|| self.parameters.zone_name()));
        Ok(one(NAME, values, data_type))
    }
}

/// A call of one column, which is called like it.
fn one(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Set {
    let columns = vec![(name.to_owned(), data_type)];
    Set { calls: vec![call(name, arguments, vec![data_type])], columns, takes_alias: true }
}

fn call(name: &str, arguments: Vec<Expr>, columns: Vec<DataType>) -> SetCall {
    SetCall { function: name.to_owned(), version: functions::VERSION, arguments, columns }
}

/// A function of JSON: what it gives has names of its own.
fn json(name: &str, arguments: Vec<Expr>, of: DataType) -> Set {
    let key = ("key".to_owned(), DataType::Text);
    let value = ("value".to_owned(), if name.ends_with("_text") { DataType::Text } else { of });
    let (columns, takes_alias) = match name {
        "json_object_keys" | "jsonb_object_keys" => (vec![(name.to_owned(), DataType::Text)], true),
        _ if name.contains("array") => (vec![value], false),
        _ => (vec![key, value], false),
    };
    let types = columns.iter().map(|(_, data_type)| *data_type).collect();
    Set { calls: vec![call(name, arguments, types)], columns, takes_alias }
}

fn is_whole(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn is_of_time(data_type: DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::TimestampTz)
}

/// The type of a series' values.
fn series_type(types: &[Option<DataType>]) -> Result<DataType, SqlError> {
    const NAME: &str = "generate_series";
    if types.contains(&Some(DataType::Decimal)) {
        let is_number = |known: &DataType| {
            is_whole(*known) || matches!(known, DataType::Numeric { .. } | DataType::Decimal)
        };
        let fits = types.iter().flatten().all(is_number);
        return if fits { Ok(DataType::Decimal) } else { Err(no_function(NAME, types)) };
    }
    let mut data_type = None;
    for known in types.iter().take(2).flatten() {
        let next = match known {
            DataType::Int16 | DataType::Int32 => DataType::Int32,
            DataType::Date if data_type.is_none() => DataType::TimestampTz,
            DataType::Date => continue,
            DataType::Int64 | DataType::Numeric { .. } | DataType::Timestamp | DataType::TimestampTz => {
                *known
            }
            _ => return Err(no_function(NAME, types)),
        };
        data_type = Some(match (data_type, next) {
            (None, next) => next,
            (Some(DataType::Numeric { scale, .. }), DataType::Numeric { scale: other, .. }) => {
                numeric_type(scale.max(other))
            }
            (Some(DataType::Int32 | DataType::Int64), DataType::Numeric { .. } | DataType::Int64) => next,
            (Some(DataType::TimestampTz), DataType::Timestamp) if types[0] == Some(DataType::Date) => next,
            (Some(before), next) if before == next || is_whole(next) && !is_of_time(before) => before,
            _ => return Err(no_function(NAME, types)),
        });
    }
    Ok(match (data_type, types.get(2).copied().flatten()) {
        (Some(DataType::Int32), Some(DataType::Int64)) => DataType::Int64,
        (Some(DataType::Int32 | DataType::Int64), Some(DataType::Numeric { scale, .. })) => {
            numeric_type(scale)
        }
        (Some(DataType::Numeric { scale, .. }), Some(DataType::Numeric { scale: other, .. })) => {
            numeric_type(scale.max(other))
        }
        (Some(DataType::Numeric { scale, .. }), _) => numeric_type(scale),
        (Some(data_type), _) => data_type,
        (None, _) => return Err(ambiguous_function(NAME, types)),
    })
}
