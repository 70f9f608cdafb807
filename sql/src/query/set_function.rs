//! Functions that give rows, where their arguments are known when the query is bound: in FROM, and as an item of a
//! SELECT without FROM. Their rows stand in the plan as those of VALUES do.

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem};
use millrace_engine::{DataType, Expr, Literal};

use super::binder::{Binder, Environment};
use super::expr::ExprBinder;
use super::exprs::{calls, columns_of, volatile_call};
use super::from::{Source, renamed};
use super::function::{ambiguous_function, no_function};
use super::rel::Rel;
use super::scope::{Scope, fold, fold_name};
use super::typed::Typed;
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::functions::{numeric_type, text_of_part};
use crate::json::{self, Json, Split};
use crate::text_form::stored_array;

/// Calls that give more rows are refused: all of them are in memory before the first is used.
const ROWS_MAX: usize = 1 << 20;

const MICROS_PER_DAY: i128 = 86_400_000_000;

/// The functions that give several rows.
pub(super) const SETS: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
];

/// A call in FROM.
pub(super) struct SetCall<'a> {
    pub(super) name: String,
    pub(super) arguments: Vec<&'a ast::Expr>,
    pub(super) with_ordinality: bool,
    pub(super) alias: Option<&'a ast::TableAlias>,
}

/// What a function gives.
struct Given {
    columns: Vec<(String, DataType)>,
    rows: Vec<Vec<Literal>>,
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

/// A SELECT without FROM of which one item is a call that gives rows, as the SELECT from that call that it means.
pub(super) fn from_call(select: &ast::Select) -> Option<ast::Select> {
    if !select.from.is_empty() {
        return None;
    }
    let call_of = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(ast::Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: ast::Expr::Function(function), .. } => {
            let mut name = fold_name(&function.name);
            name.pop_if(|last| SETS.contains(&last.as_str()) && !last.ends_with("each"))
        }
        _ => None,
    };
    let mut calls = select.projection.iter().enumerate().filter_map(|(at, item)| Some((at, call_of(item)?)));
    let ((at, name), None) = (calls.next()?, calls.next()) else { return None };
    let mut select = select.clone();
    let item = select.projection.get_mut(at)?;
    let ident = ast::Ident::with_quote('"', &name);
    let read = ast::Expr::CompoundIdentifier(vec![ident.clone(), ident.clone()]);
    let (expr, alias) = match item.clone() {
        SelectItem::ExprWithAlias { expr, alias } => (expr, alias),
        SelectItem::UnnamedExpr(expr) => (expr, ident.clone()),
        _ => return None,
    };
    *item = SelectItem::ExprWithAlias { expr: read, alias };
    let ast::Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = function.args else { return None };
    let column = ast::TableAliasColumnDef { name: ident.clone(), data_type: None };
    let relation = ast::TableFactor::Function {
        lateral: false,
        name: function.name,
        args: list.args,
        with_ordinality: false,
        alias: Some(ast::TableAlias { explicit: true, name: ident, columns: vec![column], at: None }),
    };
    select.from = vec![ast::TableWithJoins { relation, joins: Vec::new() }];
    Some(select)
}

impl Binder<'_> {
    /// Binds a call in FROM.
    ///
    /// # Errors
    /// 0A000 where its arguments depend on rows, or on the moment.
    pub(super) fn bind_set(&self, set: &SetCall, environment: &Environment) -> Result<Source, SqlError> {
        let scope = Scope::default();
        let binder = ExprBinder::new(&scope, &self.parameters, "functions in FROM");
        let arguments = binder.bind_all(&set.arguments).map_err(|error| {
            let may_be_beside = environment.outer.is_some() && ["42703", "42P01"].contains(&&*error.sqlstate);
            if may_be_beside { unsupported() } else { error }
        })?;
        let Given { mut columns, mut rows, takes_alias } = binder.set(&set.name, arguments)?;
        if let ([(name, _)], true, Some(alias)) = (columns.as_mut_slice(), takes_alias, set.alias) {
            *name = fold(&alias.name);
        }
        if set.with_ordinality {
            columns.push(("ordinality".to_owned(), DataType::Int64));
            (1..).zip(&mut rows).for_each(|(number, row)| row.push(Literal::Int64(number)));
        }
        let table = set.alias.map_or_else(|| set.name.clone(), |alias| fold(&alias.name));
        let types = columns.iter().map(|(_, data_type)| *data_type).collect();
        let rows = rows.into_iter().map(|row| row.into_iter().map(Expr::Literal).collect()).collect();
        let source =
            Source { rel: Rel::Values { rows, columns: types }, scope: Scope::of_table(&table, columns) };
        renamed(source, set.alias)
    }
}

fn unsupported() -> SqlError {
    SqlError::unsupported("a function in FROM whose arguments are not constant")
}

fn invalid(message: String) -> SqlError {
    SqlError::new("22023", message)
}

impl ExprBinder<'_> {
    fn set(&self, name: &str, arguments: Vec<Typed>) -> Result<Given, SqlError> {
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        let missing = || no_function(name, &types);
        match (name, arguments.len()) {
            ("unnest", 1..) => self.unnest(arguments),
            ("generate_series", 2..=3) => self.series(arguments),
            (name, 1) if name.starts_with("json") && SETS.contains(&name) => {
                let is_binary = name.starts_with("jsonb");
                let to = if is_binary { DataType::Jsonb } else { DataType::Json };
                if types[0].is_some_and(|known| known != to) {
                    return Err(missing());
                }
                let value = self.known(arguments.into_iter().next(), to)?;
                let parts = Parts::of(name, value, to)?;
                Ok(parts.given(name))
            }
            (name, _) if SETS.contains(&name) => {
                let built = ["unnest", "generate_series"].contains(&name) || name.starts_with("json");
                if built { Err(missing()) } else { Err(SqlError::unsupported(format_args!("{name}()"))) }
            }
            _ => Err(SqlError::unsupported(format_args!("{name}() in FROM"))),
        }
    }

    /// The value of an argument, as this type.
    fn known(&self, typed: Option<Typed>, to: DataType) -> Result<Literal, SqlError> {
        let typed = typed.unwrap_or(Typed::Null);
        let expr = self.parameters.as_type(typed, to)?;
        if !columns_of(&expr).is_empty() || volatile_call(&expr).is_some() || calls(&expr, "now") {
            return Err(unsupported());
        }
        Ok(match evaluate_constant(&expr)? {
            // The form of both is the same.
            Literal::Text(text) if to == DataType::Json => Literal::Json(text),
            value => value,
        })
    }

    /// `unnest(array, …)`: shorter ones end in NULLs.
    fn unnest(&self, arguments: Vec<Typed>) -> Result<Given, SqlError> {
        let mut columns = Vec::new();
        let mut lists = Vec::new();
        for argument in arguments {
            let data_type = match argument.data_type() {
                Some(data_type @ DataType::Array(_)) => data_type,
                None => return Err(ambiguous_function("unnest", &[None])),
                other => return Err(no_function("unnest", &[other])),
            };
            let DataType::Array(element) = data_type else { return Err(unsupported()) };
            columns.push(("unnest".to_owned(), element.data_type()));
            lists.push(match self.known(Some(argument), data_type)? {
                Literal::Array { bytes, .. } => stored_array(&bytes)?.values,
                _ => Vec::new(),
            });
        }
        let length = lists.iter().map(Vec::len).max().unwrap_or_default();
        check_count(length)?;
        let cell = |place: usize, list: &Vec<Option<Literal>>, data_type: DataType| {
            list.get(place).cloned().flatten().unwrap_or(Literal::Null(data_type))
        };
        let row =
            |place| lists.iter().zip(&columns).map(|(list, column)| cell(place, list, column.1)).collect();
        let rows = (0..length).map(row).collect();
        Ok(Given { columns, rows, takes_alias: true })
    }

    /// `generate_series(start, stop, step)`
    fn series(&self, arguments: Vec<Typed>) -> Result<Given, SqlError> {
        const NAME: &str = "generate_series";
        let types: Vec<_> = arguments.iter().map(Typed::data_type).collect();
        let mut data_type = None;
        for known in types.iter().take(2).flatten() {
            let next = match known {
                DataType::Int16 | DataType::Int32 => DataType::Int32,
                DataType::Date if data_type.is_none() => DataType::TimestampTz,
                DataType::Date => continue,
                DataType::Int64 | DataType::Numeric { .. } | DataType::Timestamp | DataType::TimestampTz => {
                    *known
                }
                _ => return Err(no_function(NAME, &types)),
            };
            data_type = Some(match (data_type, next) {
                (None, next) => next,
                (Some(DataType::Numeric { scale, .. }), DataType::Numeric { scale: other, .. }) => {
                    numeric_type(scale.max(other))
                }
                (Some(DataType::Int32 | DataType::Int64), DataType::Numeric { .. } | DataType::Int64) => next,
                (Some(DataType::TimestampTz), DataType::Timestamp) if types[0] == Some(DataType::Date) => {
                    next
                }
                (Some(before), next) if before == next || is_whole(next) && !is_of_time(before) => before,
                _ => return Err(no_function(NAME, &types)),
            });
        }
        let step_type = types.get(2).copied().flatten();
        let data_type = match (data_type, step_type) {
            (Some(DataType::Int32), Some(DataType::Int64)) => DataType::Int64,
            (Some(DataType::Int32 | DataType::Int64), Some(DataType::Numeric { scale, .. })) => {
                numeric_type(scale)
            }
            (Some(DataType::Numeric { scale, .. }), Some(DataType::Numeric { scale: other, .. })) => {
                numeric_type(scale.max(other))
            }
            (Some(DataType::Numeric { scale, .. }), _) => numeric_type(scale),
            (Some(data_type), _) => data_type,
            (None, _) => return Err(ambiguous_function(NAME, &types)),
        };
        let step_fits = match step_type {
            None => types.len() == 3 || !is_of_time(data_type),
            Some(DataType::Interval) => is_of_time(data_type),
            Some(known) => {
                !is_of_time(data_type) && (is_whole(known) || matches!(known, DataType::Numeric { .. }))
            }
        };
        if !step_fits {
            return Err(no_function(NAME, &types));
        }
        let mut arguments = arguments.into_iter();
        let start = self.known(arguments.next(), data_type)?;
        let stop = self.known(arguments.next(), data_type)?;
        let step_type = if is_of_time(data_type) { DataType::Interval } else { data_type };
        let step = match arguments.next() {
            Some(step) => self.known(Some(step), step_type)?,
            None => self.known(Some(Typed::literal(Literal::Int32(1))), step_type)?,
        };
        let values = match [&start, &stop, &step].iter().any(|value| matches!(value, Literal::Null(_))) {
            true => Vec::new(),
            false => self.steps(start, &stop, &step)?,
        };
        let rows = values.into_iter().map(|value| vec![value]).collect();
        Ok(Given { columns: vec![(NAME.to_owned(), data_type)], rows, takes_alias: true })
    }

    /// From `start` by `step` as far as `stop`.
    fn steps(&self, start: Literal, stop: &Literal, step: &Literal) -> Result<Vec<Literal>, SqlError> {
        let direction = place(step).signum();
        if direction == 0 {
            return Err(invalid("step size cannot equal zero".to_owned()));
        }
        let mut values = Vec::new();
        let mut at = start;
        while place(&at) * direction <= place(stop) * direction {
            check_count(values.len() + 1)?;
            values.push(at.clone());
            at = match self.after(at, step)? {
                Some(next) => next,
                None => break,
            };
        }
        Ok(values)
    }

    /// The next value; `None` where the type has none.
    fn after(&self, at: Literal, step: &Literal) -> Result<Option<Literal>, SqlError> {
        Ok(match (at, step) {
            (Literal::Int32(at), Literal::Int32(step)) => at.checked_add(*step).map(Literal::Int32),
            (Literal::Int64(at), Literal::Int64(step)) => at.checked_add(*step).map(Literal::Int64),
            (Literal::Numeric { value, precision, scale }, Literal::Numeric { value: step, .. }) => {
                let next = value.checked_add(*step);
                next.map(|value| Literal::Numeric { value, precision, scale })
            }
            (at, step) => {
                let data_type = at.data_type();
                let operands = vec![Typed::literal(at), Typed::literal(step.clone())];
                Some(self.known(Some(self.operator_of("add", "+", operands)?), data_type)?)
            }
        })
    }
}

fn is_whole(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

fn is_of_time(data_type: DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::TimestampTz)
}

/// A number by which the values of a series, and its steps, are ordered.
fn place(value: &Literal) -> i128 {
    match value {
        Literal::Int32(value) => i128::from(*value),
        Literal::Int64(value) | Literal::Timestamp(value) | Literal::TimestampTz(value) => i128::from(*value),
        Literal::Numeric { value, .. } => *value,
        Literal::Interval { months, days, micros } => {
            (i128::from(*months) * 30 + i128::from(*days)) * MICROS_PER_DAY + i128::from(*micros)
        }
        _ => 0,
    }
}

fn check_count(count: usize) -> Result<(), SqlError> {
    match count <= ROWS_MAX {
        true => Ok(()),
        false => Err(SqlError::unsupported(format_args!(
            "a function in FROM that gives more than {ROWS_MAX} rows"
        ))),
    }
}

/// The elements or fields of a JSON value: keys, and values as they are and as texts.
struct Parts {
    of: DataType,
    parts: Vec<(String, Literal, Option<String>)>,
}

impl Parts {
    fn of(name: &str, value: Literal, of: DataType) -> Result<Parts, SqlError> {
        let wants_array = name.contains("array");
        let refused = |is_array: bool, is_scalar: bool| {
            let what = match (is_array, is_scalar) {
                (_, true) => "a scalar",
                (true, _) => "an array",
                (false, _) => "an object",
            };
            invalid(match name {
                "json_array_elements" | "json_array_elements_text" if is_scalar => {
                    format!("cannot call {name} on a scalar")
                }
                "json_array_elements" | "json_array_elements_text" => {
                    format!("cannot call {name} on a non-array")
                }
                "jsonb_array_elements" | "jsonb_array_elements_text" => {
                    format!("cannot extract elements from {what}")
                }
                "json_object_keys" | "jsonb_object_keys" => format!("cannot call {name} on {what}"),
                "json_each" | "json_each_text" => format!("cannot deconstruct {what} as an object"),
                _ => format!("cannot call {name} on a non-object"),
            })
        };
        let of_text = |key: String, part: &str| -> Result<_, SqlError> {
            Ok((key, Literal::Json(part.to_owned()), text_of_part(part)?))
        };
        let of_binary =
            |(key, part): (String, Json)| (key, Literal::Jsonb(json::encode(&part)), part.as_text());
        let nameless = |part| (String::new(), part);
        let parts = match value {
            Literal::Json(text) => match json::split(&text)? {
                Split::Array(parts) if wants_array => {
                    parts.into_iter().map(|part| of_text(String::new(), part)).collect::<Result<_, _>>()?
                }
                Split::Object(fields) if !wants_array => {
                    fields.into_iter().map(|(key, part)| of_text(key, part)).collect::<Result<_, _>>()?
                }
                other => {
                    return Err(refused(matches!(other, Split::Array(_)), matches!(other, Split::Scalar(_))));
                }
            },
            Literal::Jsonb(bytes) => match json::decode(&bytes) {
                Some(Json::Array(parts)) if wants_array => {
                    parts.into_iter().map(nameless).map(of_binary).collect()
                }
                Some(Json::Object(fields)) if !wants_array => fields.into_iter().map(of_binary).collect(),
                Some(other) => return Err(refused(matches!(other, Json::Array(_)), other.is_scalar())),
                None => return Err(SqlError::internal("a jsonb value that cannot be read")),
            },
            _ => Vec::new(),
        };
        check_count(parts.len())?;
        Ok(Parts { of, parts })
    }

    fn given(self, name: &str) -> Given {
        let key = ("key".to_owned(), DataType::Text);
        let as_text = name.ends_with("_text");
        let value_type = if as_text { DataType::Text } else { self.of };
        let value = ("value".to_owned(), value_type);
        let columns = match name {
            "json_object_keys" | "jsonb_object_keys" => vec![(name.to_owned(), DataType::Text)],
            _ if name.contains("array") => vec![value],
            _ => vec![key, value],
        };
        let is_keys = name.ends_with("keys");
        let takes_value = columns.iter().any(|(name, _)| name == "value");
        let takes_key = !name.contains("array");
        let row = |(key, part, text): (String, Literal, Option<String>)| {
            let text = text.map_or(Literal::Null(DataType::Text), Literal::Text);
            let value = if as_text { text } else { part };
            let key = takes_key.then_some(Literal::Text(key));
            key.into_iter().chain(takes_value.then_some(value)).collect()
        };
        let rows = self.parts.into_iter().map(row).collect();
        Given { columns, rows, takes_alias: is_keys }
    }
}
