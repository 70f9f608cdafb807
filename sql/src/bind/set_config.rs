//! `SELECT set_config(…)`: a query that is a SET. Dumps begin with it.
//!
//! It has to stand alone, or with others of its kind: a query over rows would set as often as it is computed.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select, SelectItem, SetExpr,
};
use millrace_engine::{DataType, Literal};

use super::Scope;
use crate::bound::{Bound, Description};
use crate::catalog::Column;
use crate::error::SqlError;
use crate::query::scope::{fold, fold_name};
use crate::query::{constant, parameter_types};
use crate::statement::{Reach, Setting};

/// The name of the function.
const NAME: &str = "set_config";

/// The types of its arguments: parameter, value, whether it is for the transaction only.
const TYPES: [DataType; 3] = [DataType::Text, DataType::Text, DataType::Boolean];

/// The calls that a query is made of.
pub(super) struct Calls<'q>(Vec<(String, Vec<&'q Expr>)>);

/// The calls that a query is made of; nothing where it is another.
pub(super) fn calls(query: &Query) -> Option<Calls<'_>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let is_plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    if !is_plain || !is_plain_select(select) || select.projection.is_empty() {
        return None;
    }
    select.projection.iter().map(call).collect::<Option<Vec<_>>>().map(Calls)
}

fn is_plain_select(select: &Select) -> bool {
    let is_ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
        && is_ungrouped
}

/// A call with the name of its column.
fn call(item: &SelectItem) -> Option<(String, Vec<&Expr>)> {
    let (expr, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(fold(alias))),
        _ => return None,
    };
    let Expr::Function(function) = expr else { return None };
    let name = fold_name(&function.name);
    let is_own = match name.as_slice() {
        [name] => name == NAME,
        [schema, name] => schema == "pg_catalog" && name == NAME,
        _ => false,
    };
    let FunctionArguments::List(list) = &function.args else { return None };
    let argument = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    let arguments = list.args.iter().map(argument).collect::<Option<Vec<_>>>()?;
    (is_own && arguments.len() == TYPES.len()).then(|| (alias.unwrap_or_else(|| NAME.to_owned()), arguments))
}

impl Calls<'_> {
    fn columns(&self) -> Vec<Column> {
        self.0.iter().map(|(name, _)| Column::new(name.clone(), DataType::Text, true)).collect()
    }

    /// The statement that they are.
    pub(super) fn bind(&self, scope: &Scope) -> Result<Bound, SqlError> {
        let setting = |(_, arguments): &(String, Vec<&Expr>)| {
            let value = |at: usize| {
                constant(arguments[at], TYPES[at], NAME, scope.parameters)
                    .map_err(|error| scope.locate(error, arguments[at]))
            };
            let Literal::Text(name) = value(0)? else {
                return Err(SqlError::new("22004", "SET requires parameter name"));
            };
            let given = match value(1)? {
                Literal::Text(given) => Some(given),
                _ => None,
            };
            let is_local = matches!(value(2)?, Literal::Boolean(true));
            let reach = if is_local { Reach::Local } else { Reach::Session };
            Ok(Setting { name: name.to_ascii_lowercase(), value: given, reach })
        };
        let settings = self.0.iter().map(setting).collect::<Result<_, SqlError>>()?;
        Ok(Bound::SetConfig { settings, columns: self.columns() })
    }

    pub(super) fn describe(&self, scope: &Scope) -> Result<Description, SqlError> {
        let all = self.0.iter().flat_map(|(_, arguments)| arguments.iter().copied().zip(TYPES));
        let parameters = parameter_types(all, NAME, scope.parameters)?;
        Ok(Description { parameters, columns: Some(self.columns().into()) })
    }
}
