//! SELECT: its list, WHERE, GROUP BY, HAVING, DISTINCT and ORDER BY.
//!
//! ```text
//! FROM → WHERE → aggregate → HAVING, select list and sort keys → DISTINCT → ORDER BY
//! ```

use std::cell::RefCell;

use datafusion::sql::sqlparser::ast::{self, Distinct, GroupByExpr, OrderByExpr, Select, SelectItem};
use millrace_engine::{DataType, Expr};

use super::binder::{Binder, BoundQuery, Environment, Targets, output_column, sort_key};
use super::expr::{AGGREGATE_BASE, ExprBinder};
use super::exprs::calls;
use super::from::wildcard_table;
use super::grouping::{GROUPING, Grouping, Regroup, refuse_grouping};
use super::names::name_of;
use super::rel::{Rel, SortKey};
use super::scope::{Scope, ScopeColumn, fold};
use super::typed::Typed;
use crate::error::SqlError;

/// An item of the select list.
struct Item {
    name: String,
    value: Typed,
}

/// What ORDER BY sorts by.
enum Order {
    /// A column of the select list.
    Output(usize),
    /// Something else.
    Extra(Expr),
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
        let filters = match &select.selection {
            None => Vec::new(),
            Some(condition) => ExprBinder::new(scope, &self.parameters, "WHERE")
                .bind_conjuncts(condition, "argument of WHERE")?,
        };
        let rel = source.rel.filter(filters);

        let aggregates = RefCell::new(Vec::new());
        let binder = ExprBinder::new(scope, &self.parameters, "SELECT").collecting(&aggregates);
        let items = self.bind_items(&select.projection, scope, &binder)?;
        let grouping = self.bind_group_by(&select.group_by, &items, scope)?;
        let having = match &select.having {
            None => Vec::new(),
            Some(having) => binder.bind_conjuncts(having, "argument of HAVING")?,
        };
        let names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        let untyped: Vec<bool> = items.iter().map(|item| item.value.data_type().is_none()).collect();
        let outputs = self.finish_items(items, targets)?;
        let orders = self.bind_order_by(order_by, &names, &binder)?;

        let aggregates = aggregates.into_inner();
        let grouped = grouping.is_there() || !aggregates.is_empty() || select.having.is_some();
        let list = SelectList { outputs, having, orders };
        let (rel, list) = if grouped {
            let mut regroup = Regroup::new(&grouping, aggregates.len(), scope);
            let list = list.regroup(&mut regroup)?;
            let groupings = regroup.groupings;
            (grouping.aggregate(rel, aggregates, &groupings), list)
        } else {
            refuse_grouping(list.exprs())?;
            (rel, list)
        };
        let distinct = matches!(select.distinct, Some(Distinct::Distinct));
        Ok(BoundQuery { rel: list.build(rel, order_by, distinct)?, names, untyped })
    }

    fn bind_items(
        &self,
        projection: &[SelectItem],
        scope: &Scope,
        binder: &ExprBinder,
    ) -> Result<Vec<Item>, SqlError> {
        let mut items = Vec::new();
        for item in projection {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    items.push(Item { name: name_of(expr), value: binder.bind(expr)? });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    items.push(Item { name: fold(alias), value: binder.bind(expr)? });
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
        scope: &Scope,
    ) -> Result<Grouping, SqlError> {
        let exprs = match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            other => return Err(SqlError::unsupported(other)),
        };
        let binder = ExprBinder::new(scope, &self.parameters, "GROUP BY");
        Grouping::bind(exprs, &mut |expr| self.bind_group_key(expr, items, scope, &binder))
    }

    fn bind_group_key(
        &self,
        expr: &ast::Expr,
        items: &[Item],
        scope: &Scope,
        binder: &ExprBinder,
    ) -> Result<Expr, SqlError> {
        let typed = match group_item(expr, items, scope)? {
            Some(item) => item.value.clone(),
            None => binder.bind(expr)?,
        };
        let data_type = typed.data_type().unwrap_or(DataType::Text);
        let key = self.parameters.as_type(typed, data_type)?;
        let mut aggregate = false;
        key.for_each_column(&mut |column| aggregate |= column >= AGGREGATE_BASE);
        let what = match aggregate {
            true => "aggregate functions",
            false if calls(&key, GROUPING) => "grouping operations",
            false => return Ok(key),
        };
        Err(SqlError::new("42803", format!("{what} are not allowed in GROUP BY")))
    }

    /// Gives items without a type their target's, or text.
    fn finish_items(&self, items: Vec<Item>, targets: Targets) -> Result<Vec<Expr>, SqlError> {
        let finish = |(column, item): (usize, Item)| {
            let target = targets.and_then(|targets| targets.get(column)).copied();
            let data_type = item.value.data_type().or(target).unwrap_or(DataType::Text);
            self.settle(item.value, data_type)
        };
        items.into_iter().enumerate().map(finish).collect()
    }

    fn bind_order_by(
        &self,
        order_by: &[OrderByExpr],
        names: &[String],
        binder: &ExprBinder,
    ) -> Result<Vec<Order>, SqlError> {
        let mut orders = Vec::new();
        for item in order_by {
            orders.push(match output_column(&item.expr, names)? {
                Some(column) => Order::Output(column),
                None => {
                    let typed = binder.bind(&item.expr)?;
                    let data_type = typed.data_type().unwrap_or(DataType::Text);
                    Order::Extra(self.parameters.as_type(typed, data_type)?)
                }
            });
        }
        Ok(orders)
    }
}

/// What is computed above FROM and WHERE, or above the aggregation.
struct SelectList {
    outputs: Vec<Expr>,
    having: Vec<Expr>,
    orders: Vec<Order>,
}

impl SelectList {
    /// The same over the output of the aggregation.
    fn regroup(self, regroup: &mut Regroup) -> Result<SelectList, SqlError> {
        let mut all = |exprs: &[Expr]| -> Result<Vec<Expr>, SqlError> {
            exprs.iter().map(|expr| regroup.over(expr)).collect()
        };
        let (outputs, having) = (all(&self.outputs)?, all(&self.having)?);
        let order = |order| match order {
            Order::Output(column) => Ok(Order::Output(column)),
            Order::Extra(expr) => regroup.over(&expr).map(Order::Extra),
        };
        let orders = self.orders.into_iter().map(order).collect::<Result<_, SqlError>>()?;
        Ok(SelectList { outputs, having, orders })
    }

    /// Every expression of it.
    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let orders = self.orders.iter().filter_map(|order| match order {
            Order::Output(_) => None,
            Order::Extra(expr) => Some(expr),
        });
        self.outputs.iter().chain(&self.having).chain(orders)
    }

    /// Puts everything above `rel`.
    fn build(self, rel: Rel, order_by: &[OrderByExpr], distinct: bool) -> Result<Rel, SqlError> {
        let width = self.outputs.len();
        let mut outputs = self.outputs;
        let mut keys: Vec<SortKey> = Vec::new();
        for (order, item) in self.orders.into_iter().zip(order_by) {
            let column = match order {
                Order::Output(column) => column,
                Order::Extra(expr) => {
                    outputs.iter().position(|output| *output == expr).unwrap_or_else(|| {
                        outputs.push(expr);
                        outputs.len() - 1
                    })
                }
            };
            keys.push(sort_key(item, column));
        }
        let extras = outputs.len() > width;
        if extras && distinct {
            return Err(SqlError::new(
                "42P10",
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
        let mut rel = Rel::Project { input: Box::new(rel), predicates: self.having, outputs };
        if distinct {
            rel = Rel::Distinct { input: Box::new(rel) };
        }
        if !keys.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys };
        }
        Ok(if extras { rel.project((0..width).map(Expr::Column).collect()) } else { rel })
    }
}

fn column_item(column: &ScopeColumn) -> Item {
    Item { name: column.name.clone(), value: Typed::Known(Expr::Column(column.position), column.data_type) }
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
        (matches!(select.distinct, Some(Distinct::On(_))), "DISTINCT ON"),
        (!select.named_window.is_empty(), "WINDOW"),
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
