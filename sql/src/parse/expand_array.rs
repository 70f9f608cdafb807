//! `information_schema._pg_expandarray` in a select list: the one function of several rows that drivers ask for
//! there, to number the columns of a key. It is written as what it means, a join with the numbers of the columns:
//!
//! ```text
//!   SELECT (_pg_expandarray(i.indkey)).n, … FROM … WHERE …
//!   SELECT " e"." n", … FROM …, (VALUES (1), (2), …) AS " e" (" n") WHERE … AND it has a part of this number
//! ```
//! A column that is the whole pair is its value `x`, so that `(pair).x` is the column itself.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    ObjectNamePart, Query, Select, SelectItem, SetExpr, TableWithJoins, VisitMut, VisitorMut,
};

use super::{expression, query};
use crate::error::SqlError;

/// PostgreSQL's keys have no more columns.
const COLUMNS_MAX: usize = 32;

/// What it is called.
pub(super) const NAME: &str = "_pg_expandarray";

/// The number of a part.
const NUMBER: &str = "\" e\".\" n\"";

/// Writes the function as a join wherever a select list calls it.
pub(super) fn spell_out(query: &mut Query) -> Result<(), SqlError> {
    match query.visit(&mut Rewriter { is_there: false }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter {
    /// Whether it was called in what was visited so far: in FROM, before what reads its columns.
    is_there: bool,
}

impl VisitorMut for Rewriter {
    type Break = SqlError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        match expanded(select) {
            Ok(found) => {
                self.is_there |= found;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        if self.is_there
            && let Some((root, "x")) = field(expr)
            && matches!(root, Expr::Nested(_) | Expr::CompoundIdentifier(_) | Expr::Identifier(_))
        {
            *expr = root.clone();
        }
        ControlFlow::Continue(())
    }
}

/// Whether the select list has called it.
fn expanded(select: &mut Select) -> Result<bool, SqlError> {
    let mut argument = None;
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        if let ControlFlow::Break(error) = expr.visit(&mut Replacer { argument: &mut argument }) {
            return Err(error);
        }
    }
    let Some(argument) = argument else { return Ok(false) };
    select.from.push(numbers()?);
    let has_part = expression(&format!("split_part(({argument})::text, ' ', {NUMBER}) <> ''"))?;
    select.selection = Some(match select.selection.take() {
        None => has_part,
        Some(other) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(other))),
            op: BinaryOperator::And,
            right: Box::new(has_part),
        },
    });
    Ok(true)
}

/// Replaces calls, from the outside in: a field before what it is of.
struct Replacer<'a> {
    /// What is expanded.
    argument: &'a mut Option<String>,
}

impl VisitorMut for Replacer<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match replace(expr, self.argument) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// Replaces a call, or one of its two fields.
fn replace(expr: &mut Expr, argument: &mut Option<String>) -> Result<(), SqlError> {
    let (call, name) = match field(expr) {
        Some((root, name)) => (root, name),
        None => (&*expr, "x"),
    };
    let Some(given) = argument_of(call) else { return Ok(()) };
    let value = match name {
        "n" => NUMBER.to_owned(),
        _ => format!("nullif(split_part(({given})::text, ' ', {NUMBER}), '')::bigint"),
    };
    if argument.get_or_insert_with(|| given.clone()) != &given {
        return Err(SqlError::unsupported(format_args!("{NAME} of two arrays")));
    }
    *expr = expression(&value)?;
    Ok(())
}

/// `(root).name`
fn field(expr: &Expr) -> Option<(&Expr, &str)> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match access_chain.as_slice() {
        [AccessExpr::Dot(Expr::Identifier(name))] => Some((root, name.value.as_str())),
        _ => None,
    }
}

/// The argument of a call, as text.
fn argument_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => argument_of(inner),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => {
            let is_named = match name.0.last() {
                Some(ObjectNamePart::Identifier(ident)) => ident.value.eq_ignore_ascii_case(NAME),
                _ => false,
            };
            match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if is_named => {
                    Some(argument.to_string())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The numbers from 1, as an item of FROM.
fn numbers() -> Result<TableWithJoins, SqlError> {
    let rows: Vec<String> = (1..=COLUMNS_MAX).map(|number| format!("({number})")).collect();
    let text = format!("SELECT 1 FROM (VALUES {}) AS \" e\" (\" n\")", rows.join(", "));
    match query(&text)?.body.as_ref() {
        SetExpr::Select(select) => select.from.first().cloned(),
        _ => None,
    }
    .ok_or_else(|| SqlError::internal("a FROM without a table"))
}
