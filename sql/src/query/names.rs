//! The name of an unaliased select item, as PostgreSQL chooses it (its `FigureColname`).

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, DateTimeField, Expr, SelectItem, SetExpr, TrimWhereField,
};

use super::scope::{fold, fold_name};
use super::types::internal_name;

/// What an expression without a better name is called.
const NAMELESS: &str = "?column?";

/// The name of a select item without an alias.
pub(crate) fn name_of(expr: &Expr) -> String {
    figure(expr).map_or_else(|| NAMELESS.to_owned(), |(name, _)| name)
}

/// The name of an index's column that is this expression.
pub(crate) fn name_in_index(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "expr".to_owned(), |(name, _)| name)
}

/// A name, and whether it is a strong one, which CASE and casts take over.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), true)),
        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| (fold(ident), true)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => fold_name(&function.name).pop().map(|name| (name, true)),
        Expr::Cast { expr: inner, data_type, .. } => {
            figure(inner).filter(|(_, strong)| *strong).or_else(|| Some((internal_name(data_type), false)))
        }
        Expr::TypedString(typed) => Some((internal_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Case { else_result, .. } => else_result
            .as_deref()
            .and_then(figure)
            .filter(|(_, strong)| *strong)
            .or_else(|| Some(("case".to_owned(), false))),
        Expr::Extract { .. } => strong("extract"),
        Expr::Substring { shorthand, .. } => strong(if *shorthand { "substr" } else { "substring" }),
        Expr::Position { .. } => strong("position"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            Some(TrimWhereField::Both) | None => "btrim",
        }),
        Expr::Ceil { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        // NOT before it is an operator, which has no name.
        Expr::Exists { negated, .. } => (!negated).then(|| ("exists".to_owned(), true)),
        Expr::Array(_) => strong("array"),
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => strong("overlaps"),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some((fold(name), true)),
                _ => None,
            });
            field.or_else(|| figure(root))
        }
        Expr::Tuple(_) => strong("row"),
        Expr::Subquery(query) => first_column(&query.body).map(|name| (name, true)),
        _ => None,
    }
}

/// The name of the only column of a sub-query; `None` where a wildcard hides it.
fn first_column(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
            SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
            _ => None,
        },
        SetExpr::Query(query) => first_column(&query.body),
        SetExpr::SetOperation { left, .. } => first_column(left),
        SetExpr::Values(_) => Some("column1".to_owned()),
        SetExpr::Table(_)
        | SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_) => None,
    }
}
