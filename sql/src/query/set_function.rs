//! Functions that give rows: what they take and give, and those of a select list, which go in step. (call_in_from.rs
//! has those of FROM.)

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Element, Expr, Literal, RowCalls, SetCall};

use super::call_in_from::IN_FROM;
use super::expr::{Bound, ExprBinder};
use super::exprs::map_columns;
use super::function::{ambiguous_function, no_function};
use super::record::gives_records;
use super::rel::Rel;
use super::typed::{Typed, becomes};
use crate::error::SqlError;
use crate::functions::{self, numeric_type};

/// While calls are collected, the column that stands for the n-th is this plus n.
pub(crate) const SET_BASE: usize = 1 << 34;

/// What a call gives: of several arrays as many calls, which go in step.
pub(super) struct Set {
    pub(super) calls: Vec<SetCall>,
    pub(super) columns: Vec<(String, DataType)>,
    /// What the columns are, over those of the calls; `None`: they are those.
    pub(super) fields: Option<Vec<Expr>>,
    /// Whether the alias of the call is its column's name, too.
    pub(super) takes_alias: bool,
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
                IN_FROM => "set-returning functions must appear at top level of FROM".to_owned(),
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

    /// The set that a call of a function that gives rows is.
    ///
    /// # Errors
    /// 42883 where there is none for such arguments.
    pub(super) fn set(&self, name: &str, arguments: Vec<Typed>) -> Result<Set, SqlError> {
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
            (name, 1) if gives_records(name) => {
                let message = format!("could not determine row type for result of {name}");
                Err(SqlError::new("0A000", message).hint(
                    "Provide a non-null record argument, or call the function in the FROM clause using a column definition list.",
                ))
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
        let mut set = Set { calls: Vec::new(), columns: Vec::new(), fields: None, takes_alias: true };
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
pub(super) fn one(name: &str, arguments: Vec<Expr>, data_type: DataType) -> Set {
    let columns = vec![(name.to_owned(), data_type)];
    Set { calls: vec![call(name, arguments, vec![data_type])], columns, fields: None, takes_alias: true }
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
    Set { calls: vec![call(name, arguments, types)], columns, fields: None, takes_alias }
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
