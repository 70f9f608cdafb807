//! `row_number() OVER (…)`: window calls are collected while the select list is bound, as aggregates are,
//! and computed above the aggregation, each as a numbering of the rows of its partitions.
//!
//! Rows that tie in a window's order are numbered by their other columns, so that the numbers follow from the
//! rows alone. A filter on the number above becomes the bound of the numbering (lower/top.rs).

use std::cell::RefCell;
use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    self, FunctionArguments, NamedWindowDefinition, NamedWindowExpr, WindowSpec, WindowType,
};
use millrace_engine::{DataType, Expr, OrderKey};

use super::expr::ExprBinder;
use super::exprs::map_columns;
use super::json::{ORDERING, refuse_json};
use super::rel::{Rel, SortKey};
use super::scope::fold;
use super::set_function::SET_BASE;
use super::typed::Typed;
use crate::error::SqlError;

/// While window calls are collected, the column that stands for the n-th is this plus n.
pub(crate) const WINDOW_BASE: usize = 1 << 33;

/// The window functions of PostgreSQL that are not there yet.
const LATER: &[&str] = &[
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// What a call of `row_number()` numbers: the rows of each partition in an order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    partition: Vec<Expr>,
    order: Vec<OrderKey>,
}

/// The windows of one SELECT.
pub(crate) struct Windows<'a> {
    named: Vec<(String, &'a NamedWindowExpr)>,
    found: RefCell<Vec<Window>>,
}

impl<'a> Windows<'a> {
    /// With the definitions of a WINDOW clause.
    pub(crate) fn new(definitions: &'a [NamedWindowDefinition]) -> Result<Windows<'a>, SqlError> {
        let mut named: Vec<(String, &NamedWindowExpr)> = Vec::new();
        for NamedWindowDefinition(name, definition) in definitions {
            let name = fold(name);
            if named.iter().any(|(other, _)| *other == name) {
                return Err(SqlError::new("42P20", format!("window \"{name}\" is already defined")));
            }
            named.push((name, definition));
        }
        Ok(Windows { named, found: RefCell::default() })
    }

    /// The windows that were called, in the order of their columns.
    pub(crate) fn into_found(self) -> Vec<Window> {
        self.found.into_inner()
    }

    /// The definition of a name among the first `visible` ones: a definition may only use those before it.
    fn named(&self, name: &ast::Ident, visible: usize) -> Result<(&'a NamedWindowExpr, usize), SqlError> {
        let name = fold(name);
        let found = self.named[..visible].iter().position(|(other, _)| *other == name);
        found
            .map(|index| (self.named[index].1, index))
            .ok_or_else(|| SqlError::new("42704", format!("window \"{name}\" does not exist")))
    }
}

impl ExprBinder<'_> {
    /// Binds a call with OVER.
    pub(crate) fn window_call(
        &self,
        name: &str,
        function: &ast::Function,
        over: &WindowType,
    ) -> Result<Typed, SqlError> {
        let Some(windows) = self.windows else { return Err(self.no_windows()) };
        if name != "row_number" {
            return Err(SqlError::unsupported(format_args!("{name}() as a window function"))
                .hint("Only row_number() can have OVER."));
        }
        if function.filter.is_some() {
            let message = "FILTER is not implemented for non-aggregate window functions";
            return Err(SqlError::new("0A000", message));
        }
        match &function.args {
            FunctionArguments::List(list) if !list.args.is_empty() || list.duplicate_treatment.is_some() => {
                return Err(SqlError::new("42883", "function row_number has no arguments"));
            }
            _ => {}
        }
        let visible = windows.named.len();
        let window = match over {
            WindowType::NamedWindow(name) => self.named_window(windows, name, visible)?,
            WindowType::WindowSpec(spec) => self.window(windows, spec, visible)?,
        };
        let mut found = windows.found.borrow_mut();
        let index = found.iter().position(|known| *known == window).unwrap_or_else(|| {
            found.push(window);
            found.len() - 1
        });
        Ok(Typed::Known(Expr::Column(WINDOW_BASE + index), DataType::Int64))
    }

    /// 42P20 where no window function may stand.
    fn no_windows(&self) -> SqlError {
        if self.clause == "the argument of an aggregate function" {
            let message = "aggregate function calls cannot contain window function calls";
            return SqlError::new("42803", message);
        }
        SqlError::new("42P20", format!("window functions are not allowed in {}", self.clause))
    }

    fn named_window(&self, windows: &Windows, name: &ast::Ident, visible: usize) -> Result<Window, SqlError> {
        match windows.named(name, visible)? {
            (NamedWindowExpr::NamedWindow(other), index) => self.named_window(windows, other, index),
            (NamedWindowExpr::WindowSpec(spec), index) => self.window(windows, spec, index),
        }
    }

    fn window(&self, windows: &Windows, spec: &WindowSpec, visible: usize) -> Result<Window, SqlError> {
        if spec.window_frame.is_some() {
            return Err(SqlError::unsupported("a frame in OVER").hint("row_number() does not depend on one."));
        }
        let base = match &spec.window_name {
            None => None,
            Some(name) => Some((fold(name), self.named_window(windows, name, visible)?)),
        };
        let cannot = |clause: &str, name: &str| {
            SqlError::new("42P20", format!("cannot override {clause} clause of window \"{name}\""))
        };
        let binder = self.in_window_definition();
        let expr = |expr: &ast::Expr| {
            let typed = binder.bind(expr)?;
            refuse_json(typed.data_type(), ORDERING)?;
            let data_type = typed.full_type().unwrap_or(DataType::Text);
            self.parameters.as_type(typed, data_type)
        };
        let partition = spec.partition_by.iter().map(expr).collect::<Result<Vec<_>, _>>()?;
        let order = spec.order_by.iter().map(|item| {
            let descending = item.options.asc == Some(false);
            let nulls_first = item.options.nulls_first.unwrap_or(descending);
            Ok(OrderKey { expr: expr(&item.expr)?, descending, nulls_first })
        });
        let order = order.collect::<Result<Vec<_>, SqlError>>()?;
        match base {
            None => Ok(Window { partition, order }),
            Some((name, _)) if !partition.is_empty() => Err(cannot("PARTITION BY", &name)),
            Some((name, base)) if !order.is_empty() && !base.order.is_empty() => {
                Err(cannot("ORDER BY", &name))
            }
            Some((_, base)) => {
                let order = if order.is_empty() { base.order } else { order };
                Ok(Window { partition: base.partition, order })
            }
        }
    }
}

/// Whether PostgreSQL has a window function of this name that cannot be called without OVER.
pub(crate) fn is_window_function(name: &str) -> bool {
    name == "row_number" || LATER.contains(&name)
}

impl Window {
    /// The same over what `map` makes of its expressions.
    pub(crate) fn try_map<E>(self, map: &mut impl FnMut(&Expr) -> Result<Expr, E>) -> Result<Window, E> {
        let partition = self.partition.iter().map(&mut *map).collect::<Result<_, E>>()?;
        let mut order = self.order;
        for key in &mut order {
            key.expr = map(&key.expr)?;
        }
        Ok(Window { partition, order })
    }

    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.partition.iter().chain(self.order.iter().map(|key| &key.expr))
    }
}

/// Computes the windows' numbers over the rows of `rel` for which the predicates are true. Only the columns
/// that windows and `exprs` read are kept, since all columns that are there break ties; `exprs` are changed
/// to read the result.
pub(crate) fn number_rows(
    rel: Rel,
    predicates: Vec<Expr>,
    windows: Vec<Window>,
    exprs: Vec<&mut Expr>,
) -> Rel {
    let mut read = BTreeSet::new();
    for expr in windows.iter().flat_map(Window::exprs).chain(exprs.iter().map(|expr| &**expr)) {
        expr.for_each_column(&mut |column| {
            read.insert(column);
        });
    }
    let read: Vec<usize> = read.into_iter().filter(|column| *column < WINDOW_BASE).collect();
    let width = read.len();
    let place = |expr: &Expr| {
        map_columns(expr, &mut |column| match column.checked_sub(WINDOW_BASE) {
            _ if column >= SET_BASE => Expr::Column(column),
            Some(window) => Expr::Column(width + window),
            None => Expr::Column(read.binary_search(&column).unwrap_or(column)),
        })
    };
    let outputs = read.iter().copied().map(Expr::Column).collect();
    let mut rel = Rel::Project { input: Box::new(rel), predicates, outputs };
    for window in windows {
        let partition = window.partition.iter().map(place).collect();
        let order = window.order.into_iter().map(|key| OrderKey { expr: place(&key.expr), ..key }).collect();
        rel = numbered(rel, partition, order);
    }
    for expr in exprs {
        *expr = place(expr);
    }
    rel
}

/// The rows with their number in their partition as one more column.
fn numbered(rel: Rel, keys: Vec<Expr>, order: Vec<OrderKey>) -> Rel {
    let width = rel.columns().len();
    let mut outputs: Vec<Expr> = (0..width).map(Expr::Column).collect();
    let mut sort = Vec::new();
    for OrderKey { expr, descending, nulls_first } in order {
        let column = outputs.iter().position(|output| *output == expr).unwrap_or_else(|| {
            outputs.push(expr);
            outputs.len() - 1
        });
        sort.push(SortKey { column, descending, nulls_first });
    }
    let computed = outputs.len();
    let input = if computed > width { rel.project(outputs) } else { rel };
    let input = Box::new(input);
    let top = Rel::TopK { input, keys, order: sort, skip: 0, fetch: None, numbered: true };
    if computed == width {
        return top;
    }
    top.project((0..width).chain([computed]).map(Expr::Column).collect())
}
