//! SELECT: its list, WHERE, GROUP BY, HAVING, windows, DISTINCT and ORDER BY.
//!
//! ```text
//! FROM → WHERE → aggregate → HAVING → windows → select list and sort keys → DISTINCT → ORDER BY
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::ast::{self, Distinct, GroupByExpr, OrderByExpr, Select, SelectItem};
use millrace_engine::{DataType, Expr, SetCall};

use super::binder::{Binder, BoundQuery, Environment, Targets, output_column, sort_key};
use super::expr::{AGGREGATE_BASE, ExprBinder};
use super::exprs::{calls, columns_of};
use super::from::wildcard_table;
use super::grouping::{GROUPING, Grouping, Regroup, refuse_grouping};
use super::json::{EQUALITY, ORDERING, refuse_json};
use super::outer::{map_places, place, places_of};
use super::rel::{Rel, SortKey};
use super::scope::{Scope, ScopeColumn, fold};
use super::set_function::{SET_BASE, call_sets};
use super::typed::Typed;
use super::unnest::{self, Subquery};
use super::window::{WINDOW_BASE, Window, Windows, number_rows};
use crate::bound::Origin;
use crate::error::SqlError;

/// An item of the select list.
struct Item {
    name: String,
    value: Typed,
    origin: Option<Origin>,
}

/// What ORDER BY sorts by.
enum Order {
    /// A column of the select list.
    Output(usize),
    /// Something else.
    Extra(Expr),
}

/// An item of the select list. What cannot be computed yet is NULL where nothing computes it: clients ask
/// the catalogs for arrays of what is not there, and compare with arrays where a column is only a text (42809).
fn bind_item(expr: &ast::Expr, binder: &ExprBinder, vacant: bool) -> Result<Typed, SqlError> {
    match binder.bind(expr) {
        Err(error) if vacant && ["0A000", "42804", "42809", "42883"].contains(&&*error.sqlstate) => {
            Ok(Typed::Null)
        }
        bound => bound,
    }
}

impl Binder<'_> {
    /// Binds a SELECT with the ORDER BY that follows it.
    pub(crate) fn bind_select(
        &self,
        select: &Select,
        order_by: &[OrderByExpr],
        environment: &Environment,
        targets: Targets,
    ) -> Result<BoundQuery, SqlError> {
        refuse(select)?;
        let source = self.bind_from(&select.from, environment)?;
        let scope = &source.scope;
        let subqueries = RefCell::default();
        let filters = match &select.selection {
            None => Vec::new(),
            Some(condition) => ExprBinder::new(scope, &self.parameters, "WHERE")
                .within(self, environment, &subqueries)
                .bind_conjuncts(condition, "argument of WHERE")?,
        };
        let rel = unnest::filter(source.rel, filters, &subqueries.take())?;

        let aggregates = RefCell::new(Vec::new());
        let windows = Windows::new(&select.named_window)?;
        let sets = RefCell::default();
        let binder = ExprBinder::new(scope, &self.parameters, "SELECT")
            .within(self, environment, &subqueries)
            .collecting(&aggregates)
            .numbering(&windows)
            .giving_rows(&sets);
        let items = self.bind_items(&select.projection, scope, &binder, rel.is_vacant())?;
        let grouping = self.bind_group_by(&select.group_by, &items, &binder)?;
        let having = match &select.having {
            None => Vec::new(),
            Some(having) => ExprBinder::new(scope, &self.parameters, "HAVING")
                .seeing(&binder)
                .collecting(&aggregates)
                .bind_conjuncts(having, "argument of HAVING")?,
        };
        let names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        let untyped: Vec<bool> = items.iter().map(|item| item.value.data_type().is_none()).collect();
        let origins = items.iter().map(|item| item.origin).collect();
        let outputs = self.finish_items(items, targets)?;
        let order_exprs = order_by.iter().map(|item| &item.expr);
        let orders = self.bind_orders("ORDER BY", order_exprs, &names, &outputs, &binder)?;
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => Distinctness::All,
            Some(Distinct::Distinct) => {
                let columns = scope.types();
                outputs.iter().try_for_each(|output| refuse_json(output.data_type(&columns), EQUALITY))?;
                Distinctness::Rows
            }
            Some(Distinct::On(exprs)) => {
                Distinctness::On(self.bind_orders("DISTINCT ON", exprs, &names, &outputs, &binder)?)
            }
        };

        let (windows, sets) = (windows.into_found(), sets.into_inner());
        let aggregates = aggregates.into_inner();
        let grouped = grouping.is_there() || !aggregates.is_empty() || select.having.is_some();
        let subqueries = subqueries.into_inner();
        let mut list = SelectList { outputs, having, windows, sets, orders, distinct, subqueries };
        let (rel, list) = if grouped {
            let subqueries = list.subqueries.clone();
            let mut regroup = Regroup::new(&grouping, aggregates.len(), scope);
            let list = list.regroup(&mut regroup)?;
            let groupings = regroup.groupings;
            (grouping.aggregate(rel, aggregates, &groupings, &subqueries)?, list)
        } else {
            list.refuse_grouping()?;
            (rel, list)
        };
        Ok(BoundQuery { rel: list.build(rel, order_by)?, names, untyped, origins })
    }

    /// Binds RETURNING, over a relation whose columns the scope names.
    pub(crate) fn bind_returning(
        &self,
        items: &[SelectItem],
        scope: &Scope,
        rel: Rel,
        environment: &Environment,
    ) -> Result<BoundQuery, SqlError> {
        let subqueries = RefCell::default();
        let binder =
            ExprBinder::new(scope, &self.parameters, "RETURNING").within(self, environment, &subqueries);
        let items = self.bind_items(items, scope, &binder, false)?;
        let names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        let origins = items.iter().map(|item| item.origin).collect();
        let outputs = self.finish_items(items, None)?;
        let (rel, outputs) = unnest::attach(rel, outputs, &subqueries.take())?;
        let untyped = vec![false; names.len()];
        Ok(BoundQuery { rel: rel.project(outputs), names, untyped, origins })
    }

    /// Binds the select list; `vacant` tells that there are no rows for it.
    fn bind_items(
        &self,
        projection: &[SelectItem],
        scope: &Scope,
        binder: &ExprBinder,
        vacant: bool,
    ) -> Result<Vec<Item>, SqlError> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let value = bind_item(expr, binder, vacant)?;
                    let (name, origin) = (binder.item_name(expr, &value), origin(expr, &value, scope));
                    items.push(Item { name, value, origin });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let value = bind_item(expr, binder, vacant)?;
                    let origin = origin(expr, &value, scope);
                    items.push(Item { name: fold(alias), value, origin });
                }
                SelectItem::Wildcard(_) if scope.columns.is_empty() => {
                    return Err(SqlError::new("42601", "SELECT * with no tables specified is not valid"));
                }
                SelectItem::Wildcard(options) if plain(options) => {
                    items.extend(scope.visible().map(column_item));
                }
                SelectItem::QualifiedWildcard(kind, options) if plain(options) => {
                    items.extend(scope.of(&wildcard_table(kind)?)?.into_iter().map(column_item));
                }
                other => return Err(SqlError::unsupported(format_args!("the select item {other}"))),
            }
        }
        Ok(items)
    }

    /// The grouping sets. Of a key a bare name is an input column first, an output's alias else; a number
    /// is a position in the select list.
    fn bind_group_by(
        &self,
        group_by: &GroupByExpr,
        items: &[Item],
        outputs: &ExprBinder,
    ) -> Result<Grouping, SqlError> {
        let exprs = match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            other => return Err(SqlError::unsupported(other)),
        };
        let binder = ExprBinder::new(outputs.scope, &self.parameters, "GROUP BY").seeing(outputs);
        Grouping::bind(exprs, &mut |expr| self.bind_group_key(expr, items, &binder))
    }

    fn bind_group_key(
        &self,
        expr: &ast::Expr,
        items: &[Item],
        binder: &ExprBinder,
    ) -> Result<Expr, SqlError> {
        let typed = match group_item(expr, items, binder.scope)? {
            Some(item) => item.value.clone(),
            None => binder.bind(expr)?,
        };
        refuse_json(typed.data_type(), EQUALITY)?;
        let data_type = typed.full_type().unwrap_or(DataType::Text);
        let key = self.parameters.as_type(typed, data_type)?;
        let (mut aggregate, mut window, mut set) = (false, false, false);
        key.for_each_column(&mut |column| {
            set |= column >= SET_BASE;
            window |= (WINDOW_BASE..SET_BASE).contains(&column);
            aggregate |= (AGGREGATE_BASE..WINDOW_BASE).contains(&column);
        });
        if set {
            return Err(SqlError::unsupported("a function that gives rows in GROUP BY"));
        }
        let (sqlstate, what) = match (window, aggregate) {
            (true, _) => ("42P20", "window functions"),
            (false, true) => ("42803", "aggregate functions"),
            (false, false) if calls(&key, GROUPING) => ("42803", "grouping operations"),
            (false, false) => return Ok(key),
        };
        Err(SqlError::new(sqlstate, format!("{what} are not allowed in GROUP BY")))
    }

    /// Gives items without a type their target's, or text.
    fn finish_items(&self, items: Vec<Item>, targets: Targets) -> Result<Vec<Expr>, SqlError> {
        let finish = |(column, item): (usize, Item)| {
            let target = targets.and_then(|targets| targets.get(column)).copied();
            let data_type = item.value.full_type().or(target).unwrap_or(DataType::Text);
            self.settle(item.value, data_type)
        };
        items.into_iter().enumerate().map(finish).collect()
    }

    /// What the items of ORDER BY, or of DISTINCT ON, mean: a bare name is an output's first, a number a
    /// position in the select list.
    fn bind_orders<'e>(
        &self,
        clause: &str,
        exprs: impl IntoIterator<Item = &'e ast::Expr>,
        names: &[String],
        outputs: &[Expr],
        binder: &ExprBinder,
    ) -> Result<Vec<Order>, SqlError> {
        let mut orders = Vec::new();
        let columns = binder.scope.types();
        for expr in exprs {
            orders.push(match output_column(clause, expr, names, outputs)? {
                Some(column) => {
                    refuse_json(outputs[column].data_type(&columns), ORDERING)?;
                    Order::Output(column)
                }
                None => {
                    let typed = binder.bind(expr)?;
                    refuse_json(typed.data_type(), ORDERING)?;
                    let data_type = typed.full_type().unwrap_or(DataType::Text);
                    Order::Extra(self.parameters.as_type(typed, data_type)?)
                }
            });
        }
        Ok(orders)
    }
}

/// Which rows of the select list are left.
enum Distinctness {
    /// All.
    All,
    /// Equal ones once: DISTINCT.
    Rows,
    /// The first of those that are equal in these: DISTINCT ON.
    On(Vec<Order>),
}

/// What is computed above FROM and WHERE, or above the aggregation.
struct SelectList {
    outputs: Vec<Expr>,
    having: Vec<Expr>,
    windows: Vec<Window>,
    /// Calls that give rows.
    sets: Vec<SetCall>,
    orders: Vec<Order>,
    distinct: Distinctness,
    /// What their places stand for.
    subqueries: Vec<Subquery>,
}

impl SelectList {
    /// The same over the output of the aggregation.
    fn regroup(mut self, regroup: &mut Regroup) -> Result<SelectList, SqlError> {
        for expr in self.having.iter_mut() {
            *expr = regroup.over(expr)?;
        }
        for expr in self.computed() {
            *expr = regroup.over(expr)?;
        }
        let windows = std::mem::take(&mut self.windows).into_iter();
        let mut over = |expr: &Expr| regroup.over(expr);
        self.windows = windows.map(|window| window.try_map(&mut over)).collect::<Result<_, _>>()?;
        self.regroup_subqueries(regroup)?;
        Ok(self)
    }

    /// Refuses GROUPING(…), as the query does not group.
    fn refuse_grouping(&mut self) -> Result<(), SqlError> {
        refuse_grouping(&self.having)?;
        refuse_grouping(self.windows.iter().flat_map(Window::exprs))?;
        refuse_grouping(self.computed().into_iter().map(|expr| &*expr))
    }

    /// The sub-queries that are read above the aggregation, with their arguments over its output.
    fn regroup_subqueries(&mut self, regroup: &mut Regroup) -> Result<(), SqlError> {
        let mut open = self.places();
        open.extend(self.having.iter().flat_map(places_of));
        let mut done = BTreeSet::new();
        while let Some(index) = open.pop() {
            if !done.insert(index) {
                continue;
            }
            let Some(subquery) = self.subqueries.get_mut(index) else { continue };
            open.extend(subquery.operands().flat_map(places_of));
            for operand in subquery.operands() {
                regroup.over(operand)?;
            }
            *subquery = subquery.clone().try_map_outside(&mut |expr: &Expr| regroup.over_argument(expr))?;
        }
        Ok(())
    }

    /// The sub-queries that are read by what is computed last, or by the windows below.
    fn places(&mut self) -> Vec<usize> {
        let mut found: Vec<usize> = self.windows.iter().flat_map(Window::exprs).flat_map(places_of).collect();
        found.extend(self.computed().into_iter().flat_map(|expr| places_of(expr)));
        found
    }

    /// Joins the sub-queries above HAVING, and puts their values where they are read.
    fn attach(&mut self, rel: Rel) -> Result<Rel, SqlError> {
        let places = self.places();
        let operands =
            places.iter().filter_map(|index| self.subqueries.get(*index)).flat_map(Subquery::operands);
        if operands.flat_map(columns_of).any(|column| column >= WINDOW_BASE) {
            let what = "a window function, or one that gives rows, as the operand of a sub-query";
            return Err(SqlError::unsupported(what));
        }
        let read = places.iter().map(|index| place(*index, DataType::Boolean)).collect();
        let (rel, values) = unnest::attach(rel, read, &self.subqueries)?;
        let values: BTreeMap<usize, Expr> = places.into_iter().zip(values).collect();
        let resolved = |expr: &Expr| {
            map_places(expr, &mut |index| {
                values.get(&index).cloned().unwrap_or_else(|| place(index, DataType::Boolean))
            })
        };
        for expr in self.computed() {
            *expr = resolved(expr);
        }
        let windows = std::mem::take(&mut self.windows).into_iter();
        let mut over = |expr: &Expr| Ok::<Expr, SqlError>(resolved(expr));
        self.windows = windows.map(|window| window.try_map(&mut over)).collect::<Result<_, _>>()?;
        Ok(rel)
    }

    /// The expressions that are computed last, and the arguments of calls that give rows, right before.
    fn computed(&mut self) -> Vec<&mut Expr> {
        let on = match &mut self.distinct {
            Distinctness::On(on) => on.as_mut_slice(),
            Distinctness::All | Distinctness::Rows => &mut [],
        };
        let orders = self.orders.iter_mut().chain(on).filter_map(|order| match order {
            Order::Extra(expr) => Some(expr),
            Order::Output(_) => None,
        });
        let arguments = self.sets.iter_mut().flat_map(|call| &mut call.arguments);
        self.outputs.iter_mut().chain(orders).chain(arguments).collect()
    }

    /// Puts everything above `rel`.
    fn build(mut self, mut rel: Rel, order_by: &[OrderByExpr]) -> Result<Rel, SqlError> {
        if !self.subqueries.is_empty() {
            rel = unnest::filter(rel, std::mem::take(&mut self.having), &self.subqueries)?;
            rel = self.attach(rel)?;
        }
        if !self.windows.is_empty() {
            let (windows, having) = (std::mem::take(&mut self.windows), std::mem::take(&mut self.having));
            rel = number_rows(rel, having, windows, self.computed());
        }
        if !self.sets.is_empty() {
            let (sets, having) = (std::mem::take(&mut self.sets), std::mem::take(&mut self.having));
            rel = call_sets(rel.filter(having), sets, self.computed());
        }
        let width = self.outputs.len();
        let mut outputs = self.outputs;
        let mut column_of = |order: Order| match order {
            Order::Output(column) => column,
            Order::Extra(expr) => outputs.iter().position(|output| *output == expr).unwrap_or_else(|| {
                outputs.push(expr);
                outputs.len() - 1
            }),
        };
        let sorted = self.orders.into_iter().zip(order_by);
        let keys: Vec<SortKey> = sorted.map(|(order, item)| sort_key(item, column_of(order))).collect();
        let distinct = match self.distinct {
            Distinctness::On(on) => Some(on.into_iter().map(&mut column_of).collect::<Vec<usize>>()),
            Distinctness::Rows if outputs.len() > width => {
                return Err(SqlError::new(
                    "42P10",
                    "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                ));
            }
            Distinctness::Rows => Some(Vec::new()),
            Distinctness::All => None,
        };
        let extras = outputs.len() > width;
        let mut rel = Rel::Project { input: Box::new(rel), predicates: self.having, outputs };
        rel = match distinct {
            None => rel,
            Some(on) if on.is_empty() => Rel::Distinct { input: Box::new(rel) },
            Some(on) => first_of_each(rel, on, &keys)?,
        };
        if !keys.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys };
        }
        Ok(if extras { rel.project((0..width).map(Expr::Column).collect()) } else { rel })
    }
}

/// DISTINCT ON: of the rows that are equal in the columns `on` the first in the order of ORDER BY, which has
/// to begin with those columns in any order.
fn first_of_each(rel: Rel, on: Vec<usize>, keys: &[SortKey]) -> Result<Rel, SqlError> {
    let leading = keys.iter().take_while(|key| on.contains(&key.column)).count();
    let all_lead = on.iter().all(|column| keys[..leading].iter().any(|key| key.column == *column));
    if leading < keys.len() && !all_lead {
        return Err(SqlError::new(
            "42P10",
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        ));
    }
    let order = keys[leading..].to_vec();
    let keys = on.into_iter().map(Expr::Column).collect();
    Ok(Rel::TopK { input: Box::new(rel), keys, order, skip: 0, fetch: Some(1), numbered: false })
}

fn column_item(column: &ScopeColumn) -> Item {
    let value = Typed::Known(Expr::Column(column.position), column.data_type);
    Item { name: column.name.clone(), value, origin: column.origin }
}

/// The column of the catalog that an item is: one that is named and shown as it is.
fn origin(expr: &ast::Expr, value: &Typed, scope: &Scope) -> Option<Origin> {
    match (expr, value) {
        (ast::Expr::Nested(inner), value) => origin(inner, value, scope),
        (
            ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_),
            Typed::Known(Expr::Column(position), _),
        ) => scope.origin(*position),
        _ => None,
    }
}

/// A wildcard without the additions of other databases.
fn plain(options: &ast::WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none()
}

/// The select item that a group key names by position or alias.
fn group_item<'i>(expr: &ast::Expr, items: &'i [Item], scope: &Scope) -> Result<Option<&'i Item>, SqlError> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(digits, _) => {
                let position = digits.parse::<usize>().ok().filter(|position| *position >= 1);
                position.and_then(|position| items.get(position - 1)).map(Some).ok_or_else(|| {
                    SqlError::new("42P10", format!("GROUP BY position {digits} is not in select list"))
                })
            }
            _ => Ok(None),
        },
        ast::Expr::Identifier(ident) => {
            let name = fold(ident);
            if scope.find(&name)?.is_some() {
                return Ok(None);
            }
            Ok(items.iter().find(|item| item.name == name))
        }
        _ => Ok(None),
    }
}

/// Refuses the parts of SELECT that are not there (yet).
fn refuse(select: &Select) -> Result<(), SqlError> {
    let unsupported = [
        (select.into.is_some(), "SELECT INTO"),
        (select.top.is_some(), "TOP"),
        (select.qualify.is_some(), "QUALIFY"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (select.exclude.is_some(), "EXCLUDE"),
        (!select.sort_by.is_empty(), "SORT BY"),
        (!select.cluster_by.is_empty() || !select.distribute_by.is_empty(), "CLUSTER BY"),
    ];
    match unsupported.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(SqlError::unsupported(what)),
        None => Ok(()),
    }
}
