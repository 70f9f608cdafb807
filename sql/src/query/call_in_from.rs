//! Functions in FROM, where they see the tables to their left: one, or several side by side as ROWS FROM has them.
//!
//! What several give goes in step, as arrays of one unnest do; a function that gives no rows gives one there.

use std::cell::RefCell;

use datafusion::sql::sqlparser::ast::{
    self, CastKind, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, TableAlias,
    TableAliasColumnDef,
};
use millrace_engine::{DataType, Expr, Literal, RowCalls, SetCall};

use super::binder::{Binder, Environment};
use super::expr::ExprBinder;
use super::exprs::map_columns;
use super::from::{Source, with_names_of};
use super::names::name_of;
use super::record::gives_records;
use super::rel::Rel;
use super::scope::{Scope, fold, fold_name};
use super::set_function::{Set, one};
use super::unnest;
use crate::error::SqlError;
use crate::functions::{ONE_ROW, gives_rows};
use crate::parse::{NAMELESS, ROWS_FROM, column_definitions};

/// What messages call the clause.
pub(super) const IN_FROM: &str = "functions in FROM";

/// The calls of an item of FROM.
pub(super) struct CallsInFrom<'a> {
    calls: Vec<CallInFrom<'a>>,
    /// Whether ROWS FROM is around them.
    side_by_side: bool,
    with_ordinality: bool,
    alias: Option<&'a TableAlias>,
}

/// One of them.
struct CallInFrom<'a> {
    name: String,
    arguments: Vec<&'a ast::Expr>,
    /// The expression that it is, in ROWS FROM.
    expr: Option<&'a ast::Expr>,
    /// The columns of the record that it gives.
    columns: Vec<TableAliasColumnDef>,
}

impl<'a> CallsInFrom<'a> {
    /// A call, or those of ROWS FROM.
    ///
    /// # Errors
    /// 0A000 for a function of another schema and arguments with names, 42601 for what is no call.
    pub(super) fn new(
        name: &ObjectName,
        arguments: &'a [FunctionArg],
        with_ordinality: bool,
        alias: Option<&'a TableAlias>,
    ) -> Result<CallsInFrom<'a>, SqlError> {
        let arguments = plain_arguments(arguments)?;
        let side_by_side = matches!(fold_name(name).as_slice(), [name] if name == ROWS_FROM);
        let calls = match side_by_side {
            true => arguments.into_iter().map(CallInFrom::beside).collect::<Result<_, SqlError>>()?,
            false => vec![CallInFrom { name: own_name(name)?, arguments, expr: None, columns: Vec::new() }],
        };
        Ok(CallsInFrom { calls, side_by_side, with_ordinality, alias })
    }

    /// `unnest(array, …)`
    pub(super) fn unnest(
        arrays: &'a [ast::Expr],
        with_ordinality: bool,
        alias: Option<&'a TableAlias>,
    ) -> CallsInFrom<'a> {
        let arguments = arrays.iter().collect();
        let call = CallInFrom { name: "unnest".to_owned(), arguments, expr: None, columns: Vec::new() };
        CallsInFrom { calls: vec![call], side_by_side: false, with_ordinality, alias }
    }

    /// The columns of the record that a call gives: its own, or those that the alias tells of the only one.
    ///
    /// # Errors
    /// 42601 where both tell them, or they are those of several calls.
    fn definitions<'c>(&'c self, call: &'c CallInFrom) -> Result<&'c [TableAliasColumnDef], SqlError> {
        let of_alias = self.alias.map_or(&[][..], |alias| &alias.columns);
        let wrong = |message: &str| SqlError::new("42601", message);
        if of_alias.iter().all(|column| column.data_type.is_none()) {
            return match self.alias {
                Some(alias) if fold(&alias.name) == NAMELESS => Err(wrong("syntax error at or near \"(\"")),
                _ => Ok(&call.columns),
            };
        }
        if self.calls.iter().any(|call| !call.columns.is_empty()) {
            return Err(wrong("multiple column definition lists are not allowed for the same function"));
        }
        if self.calls.len() > 1 {
            let message = "ROWS FROM() with multiple functions cannot have a column definition list";
            return Err(wrong(message)
                .hint("Put a separate column definition list for each function inside ROWS FROM()."));
        }
        if self.with_ordinality {
            return Err(wrong("WITH ORDINALITY cannot be used with a column definition list")
                .hint("Put the column definition list inside ROWS FROM()."));
        }
        Ok(of_alias)
    }

    /// What the item is called.
    fn name(&self) -> String {
        let named = self.alias.map(|alias| fold(&alias.name)).filter(|name| name != NAMELESS);
        named.or_else(|| self.calls.first().map(|call| call.name.clone())).unwrap_or_default()
    }
}

impl<'a> CallInFrom<'a> {
    /// One of those in ROWS FROM. A cast with two colons is how its columns were written (parse/rows_from.rs).
    fn beside(expr: &'a ast::Expr) -> Result<CallInFrom<'a>, SqlError> {
        match expr {
            ast::Expr::Cast {
                kind: CastKind::DoubleColon,
                expr,
                data_type: ast::DataType::Custom(name, modifiers),
                ..
            } if modifiers.is_empty() => {
                let text = fold_name(name).pop().unwrap_or_default();
                Ok(CallInFrom { columns: column_definitions(&text)?, ..CallInFrom::beside(expr)? })
            }
            ast::Expr::Function(function) => {
                let arguments = match &function.args {
                    FunctionArguments::List(list) => plain_arguments(&list.args).unwrap_or_default(),
                    FunctionArguments::None | FunctionArguments::Subquery(_) => Vec::new(),
                };
                let name = own_name(&function.name)?;
                Ok(CallInFrom { name, arguments, expr: Some(expr), columns: Vec::new() })
            }
            ast::Expr::Cast { kind: CastKind::Cast, .. }
            | ast::Expr::Ceil { .. }
            | ast::Expr::Extract { .. }
            | ast::Expr::Floor { .. }
            | ast::Expr::Overlay { .. }
            | ast::Expr::Position { .. }
            | ast::Expr::Substring { .. }
            | ast::Expr::Trim { .. } => Ok(CallInFrom {
                name: name_of(expr),
                arguments: Vec::new(),
                expr: Some(expr),
                columns: Vec::new(),
            }),
            other => Err(SqlError::new("42601", format!("syntax error at or near \"{other}\""))),
        }
    }
}

/// The arguments of a call.
///
/// # Errors
/// 0A000 for those with names.
fn plain_arguments(arguments: &[FunctionArg]) -> Result<Vec<&ast::Expr>, SqlError> {
    let plain = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
        other => Err(SqlError::unsupported(format_args!("the argument {other}"))),
    };
    arguments.iter().map(plain).collect()
}

/// The name of a function without its schema.
fn own_name(name: &ObjectName) -> Result<String, SqlError> {
    let mut parts = fold_name(name);
    let last = parts.pop().unwrap_or_default();
    match parts.as_slice() {
        [] => Ok(last),
        [schema] if schema == "pg_catalog" => Ok(last),
        _ => Err(SqlError::unsupported(format_args!("{}.{last}()", parts.join(".")))),
    }
}

/// The rows of calls, their columns, and whether the only one takes the alias.
type Rows = (Rel, Vec<(String, DataType)>, bool);

/// What calls give side by side.
#[derive(Default)]
struct Beside {
    calls: Vec<SetCall>,
    columns: Vec<(String, DataType)>,
    /// What the columns are, over those of the calls.
    fields: Vec<Expr>,
    /// How many columns the calls give.
    width: usize,
}

impl Beside {
    fn add(&mut self, set: Set) {
        let start = self.width;
        self.width += set.calls.iter().map(|call| call.columns.len()).sum::<usize>();
        let own = || (start..self.width).map(Expr::Column).collect();
        let moved = |field: &Expr| map_columns(field, &mut |column| Expr::Column(start + column));
        self.fields
            .extend(set.fields.map_or_else(own, |fields| fields.iter().map(moved).collect::<Vec<_>>()));
        self.calls.extend(set.calls);
        self.columns.extend(set.columns);
    }

    /// The rows: `attach` has put the sub-queries of the arguments below.
    fn rows(mut self, input: Rel, arguments: Vec<Expr>, numbered: bool) -> Rel {
        let slots = self.calls.iter_mut().flat_map(|call| &mut call.arguments);
        slots.zip(arguments).for_each(|(slot, argument)| *slot = argument);
        let is_changed = !self.fields.iter().cloned().eq((0..self.width).map(Expr::Column));
        let calls = RowCalls { kept: Vec::new(), calls: self.calls, numbered, outer: false };
        let rel = Rel::FlatMap { input: Box::new(input), calls };
        if !is_changed {
            return rel;
        }
        self.fields.extend(numbered.then_some(Expr::Column(self.width)));
        rel.project(self.fields)
    }
}

impl Binder<'_> {
    /// Binds the calls of an item of FROM: for each row of the tables to its left, if they read them.
    ///
    /// # Errors
    /// 42883 where there is no such function.
    pub(super) fn bind_calls(
        &self,
        from: &CallsInFrom,
        environment: &Environment,
    ) -> Result<Source, SqlError> {
        let (rel, mut columns, takes_alias) = match from.calls.as_slice() {
            [call] if !from.side_by_side => match without_rows(call) {
                Some((rel, columns)) => {
                    let takes_alias = columns.len() == 1;
                    (rel, columns, takes_alias)
                }
                None => self.rows_of_calls(from, environment)?,
            },
            _ => self.rows_of_calls(from, environment)?,
        };
        let name = from.name();
        if let ([(own, _)], true, Some(_)) = (columns.as_mut_slice(), takes_alias, from.alias) {
            own.clone_from(&name);
        }
        if from.with_ordinality {
            columns.push(("ordinality".to_owned(), DataType::Int64));
        }
        with_names_of(Source { rel, scope: Scope::of_table(&name, columns) }, from.alias)
    }

    /// The rows of calls, their columns but for the number, and whether the only column takes the alias.
    fn rows_of_calls(&self, from: &CallsInFrom, environment: &Environment) -> Result<Rows, SqlError> {
        let (scope, subqueries) = (Scope::default(), RefCell::default());
        let environment = environment.lateral();
        let binder =
            ExprBinder::new(&scope, &self.parameters, IN_FROM).within(self, &environment, &subqueries);
        if let ([call], false) = (from.calls.as_slice(), from.side_by_side)
            && !gives_rows(&call.name)
        {
            not_a_record(from.definitions(call)?)?;
            let (rel, column) = self.one_row(call, from.with_ordinality, &binder, &subqueries)?;
            return Ok((rel, vec![column], true));
        }
        let mut beside = Beside::default();
        let mut takes_alias = from.calls.len() == 1;
        for call in &from.calls {
            let set = binder.set_in_from(call, from.definitions(call)?)?;
            takes_alias &= set.takes_alias;
            beside.add(set);
        }
        let arguments = beside.calls.iter().flat_map(|call| call.arguments.iter().cloned()).collect();
        let (input, arguments) = unnest::attach(Rel::unit(), arguments, &subqueries.take())?;
        let columns = beside.columns.clone();
        Ok((beside.rows(input, arguments, from.with_ordinality), columns, takes_alias))
    }

    /// A function in FROM that gives no rows: one row of its value.
    fn one_row(
        &self,
        call: &CallInFrom,
        with_ordinality: bool,
        binder: &ExprBinder,
        subqueries: &RefCell<Vec<unnest::Subquery>>,
    ) -> Result<(Rel, (String, DataType)), SqlError> {
        let typed = binder.plain_call(&call.name, &call.arguments)?;
        let data_type = typed.full_type().unwrap_or(DataType::Text);
        let mut outputs = vec![self.parameters.as_type(typed, data_type)?];
        outputs.extend(with_ordinality.then_some(Expr::Literal(Literal::Int64(1))));
        let (input, outputs) = unnest::attach(Rel::unit(), outputs, &subqueries.take())?;
        Ok((input.project(outputs), (call.name.clone(), data_type)))
    }
}

impl ExprBinder<'_> {
    /// A call in FROM as what gives rows: of a value one.
    fn set_in_from(&self, call: &CallInFrom, columns: &[TableAliasColumnDef]) -> Result<Set, SqlError> {
        if gives_records(&call.name) {
            return self.records(&call.name, self.bind_all(&call.arguments)?, columns);
        }
        if gives_rows(&call.name) {
            let set = self.set(&call.name, self.bind_all(&call.arguments)?)?;
            if !columns.is_empty() && !set.takes_alias {
                let message = "a column definition list is redundant for a function with OUT parameters";
                return Err(SqlError::new("42601", message));
            }
            not_a_record(columns)?;
            return Ok(set);
        }
        not_a_record(columns)?;
        let typed = match call.expr {
            Some(expr) => self.bind(expr)?,
            None => self.plain_call(&call.name, &call.arguments)?,
        };
        let data_type = typed.full_type().unwrap_or(DataType::Text);
        let value = self.parameters.as_type(typed, data_type)?;
        let set = one(ONE_ROW, vec![value], data_type);
        Ok(Set { columns: vec![(call.name.clone(), data_type)], ..set })
    }
}

/// 42601 for the columns of a record where there is none.
fn not_a_record(columns: &[TableAliasColumnDef]) -> Result<(), SqlError> {
    if columns.is_empty() {
        return Ok(());
    }
    let message = "a column definition list is only allowed for functions returning \"record\"";
    Err(SqlError::new("42601", message))
}

/// What a call is of which psql asks for the rows and which has none here.
fn without_rows(call: &CallInFrom) -> Option<(Rel, Vec<(String, DataType)>)> {
    let columns = never_a_row(&call.name, &call.arguments)?;
    let types = columns.iter().map(|(_, data_type)| *data_type).collect();
    let named = columns.iter().map(|(name, data_type)| ((*name).to_owned(), *data_type));
    Some((Rel::Values { rows: Vec::new(), columns: types }, named.collect()))
}

/// The columns of what psql asks for row by row and what has no rows here: the parts of a table, and the elements
/// of what is NULL in every row of the catalogs.
fn never_a_row(name: &str, arguments: &[&ast::Expr]) -> Option<&'static [(&'static str, DataType)]> {
    let is_option = |argument: &ast::Expr| match argument {
        ast::Expr::CompoundIdentifier(idents) => {
            idents.last().is_some_and(|ident| fold(ident) == "reloptions")
        }
        _ => false,
    };
    match (name, arguments) {
        ("pg_partition_tree", [_]) => Some(&[
            ("relid", DataType::Int64),
            ("parentrelid", DataType::Int64),
            ("isleaf", DataType::Boolean),
            ("level", DataType::Int32),
        ]),
        ("unnest", [argument]) if is_option(argument) => Some(&[("unnest", DataType::Text)]),
        _ => None,
    }
}
