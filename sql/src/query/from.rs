//! FROM: tables, views, sub-queries and their joins.

use datafusion::sql::sqlparser::ast::{
    self, JoinConstraint, JoinOperator, TableAlias, TableFactor, TableWithJoins,
};
use millrace_engine::{DataType, Expr};

use super::binder::{Binder, Environment};
use super::expr::{ExprBinder, call};
use super::rel::{JoinKind, Rel};
use super::scope::{Scope, ScopeColumn, fold, fold_name};
use super::typed::Typed;
use crate::error::SqlError;
use crate::system::{self, SystemRelation};

/// FROM clauses with more tables are refused, so that no walk over the joins exhausts the stack.
const TABLES_MAX: usize = 100;

/// A relation with the names of its columns.
pub(crate) struct Source {
    pub(crate) rel: Rel,
    pub(crate) scope: Scope,
}

impl Source {
    fn width(&self) -> usize {
        self.rel.columns().len()
    }
}

type Bound = Result<Source, SqlError>;

impl Binder<'_> {
    /// Binds a FROM clause; without one there is one row without columns.
    pub(crate) fn bind_from(&self, from: &[TableWithJoins], environment: &Environment) -> Bound {
        let count: usize = from.iter().map(|table| 1 + table.joins.len()).sum();
        if count > TABLES_MAX {
            return Err(SqlError::new("54001", "stack depth limit exceeded")
                .detail(format!("A FROM clause may join {TABLES_MAX} tables.")));
        }
        let mut tables = from.iter();
        let Some(first) = tables.next() else {
            return Ok(Source { rel: Rel::unit(), scope: Scope::default() });
        };
        let first = self.bind_joins(first, environment)?;
        tables.try_fold(first, |left, next| {
            let right = self.bind_joins(next, environment)?;
            self.join(left, right, JoinKind::Inner, &JoinConstraint::None)
        })
    }

    fn bind_joins(&self, table: &TableWithJoins, environment: &Environment) -> Bound {
        let first = self.bind_factor(&table.relation, environment)?;
        table.joins.iter().try_fold(first, |left, join| {
            let right = self.bind_factor(&join.relation, environment)?;
            let (kind, constraint) = join_kind(&join.join_operator)?;
            self.join(left, right, kind, constraint)
        })
    }

    fn bind_factor(&self, factor: &TableFactor, environment: &Environment) -> Bound {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. } => {
                self.bind_table(&fold_name(name), alias.as_ref(), environment)
            }
            TableFactor::Derived { lateral: false, subquery, alias, .. } => {
                let bound = self.bind_query(subquery, environment, None)?;
                let name = alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default();
                let scope = Scope::of_table(&name, bound.columns());
                renamed(Source { rel: bound.rel, scope }, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.bind_joins(table_with_joins, environment)
            }
            TableFactor::Derived { lateral: true, .. } => Err(SqlError::unsupported("LATERAL")),
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::Function { .. }
            | TableFactor::TableFunction { .. } => Err(SqlError::unsupported("a function in FROM")),
            other => Err(SqlError::unsupported(format_args!("FROM {other}"))),
        }
    }

    fn bind_table(&self, name: &[String], alias: Option<&TableAlias>, environment: &Environment) -> Bound {
        let (schema, table) = match name {
            [table] => (None, table),
            [schema, table] => (Some(schema), table),
            _ => return Err(missing_relation(&name.join("."))),
        };
        let alias_name = alias.map_or_else(|| table.clone(), |alias| fold(&alias.name));
        if schema.is_none()
            && let Some(cte) = environment.get(table)
        {
            let scope = Scope::of_table(&alias_name, cte.columns());
            return renamed(Source { rel: cte.rel.clone(), scope }, alias);
        }
        let (rel, named) = self.scan(schema.map(String::as_str), table)?;
        let scope = Scope::of_table(&alias_name, named);
        renamed(Source { rel, scope }, alias)
    }

    /// All rows of a relation, and its columns' names and types.
    ///
    /// # Errors
    /// 42P01.
    pub(crate) fn scan(
        &self,
        schema: Option<&str>,
        table: &str,
    ) -> Result<(Rel, Vec<(String, DataType)>), SqlError> {
        let found = match schema {
            None | Some("public") => {
                self.catalog.get(table).map(|relation| (relation.id, relation.columns.clone()))
            }
            Some(system::SCHEMA) => {
                SystemRelation::of_name(table).map(|relation| (relation.id(), relation.columns()))
            }
            Some(_) => None,
        };
        let (relation, columns) = found.ok_or_else(|| {
            let schema = schema.map(|schema| format!("{schema}.")).unwrap_or_default();
            missing_relation(&format!("{schema}{table}"))
        })?;
        let types = columns.iter().map(|column| column.data_type).collect();
        let named = columns.into_iter().map(|column| (column.name, column.data_type)).collect();
        Ok((Rel::Scan { relation, columns: types }, named))
    }

    fn join(&self, left: Source, right: Source, kind: JoinKind, constraint: &JoinConstraint) -> Bound {
        let shared = match constraint {
            JoinConstraint::Using(names) => {
                names.iter().map(|name| fold_name(name).pop().unwrap_or_default()).collect()
            }
            JoinConstraint::Natural => shared_names(&left.scope, &right.scope),
            JoinConstraint::On(_) | JoinConstraint::None => Vec::new(),
        };
        let width = left.width();
        let pairs = shared
            .iter()
            .map(|name| shared_pair(name, &left.scope, &right.scope, width))
            .collect::<Result<Vec<_>, _>>()?;
        let scope = left.scope.join(right.scope, width)?;
        let on = match constraint {
            JoinConstraint::On(condition) => ExprBinder::new(&scope, &self.parameters, "JOIN conditions")
                .bind_conjuncts(condition, "argument of JOIN/ON")?,
            _ => self.equalities(&pairs, &scope)?,
        };
        let rel = Rel::Join { kind, left: Box::new(left.rel), right: Box::new(right.rel), on };
        if pairs.is_empty() {
            return Ok(Source { rel, scope });
        }
        self.merge(rel, scope, kind, &pairs)
    }

    fn equalities(&self, pairs: &[(ScopeColumn, ScopeColumn)], scope: &Scope) -> Result<Vec<Expr>, SqlError> {
        let binder = ExprBinder::new(scope, &self.parameters, "JOIN conditions");
        pairs.iter().map(|(left, right)| binder.comparison("equal", "=", typed(left), typed(right))).collect()
    }

    /// Gives the shared columns of USING their one merged column, which comes first in `*`.
    fn merge(
        &self,
        rel: Rel,
        mut scope: Scope,
        kind: JoinKind,
        pairs: &[(ScopeColumn, ScopeColumn)],
    ) -> Bound {
        let mut outputs: Vec<Expr> = (0..rel.columns().len()).map(Expr::Column).collect();
        let mut merged = Vec::new();
        for (left, right) in pairs {
            let name = left.name.clone();
            for column in &mut scope.columns {
                column.merged |= column.position == left.position || column.position == right.position;
            }
            let kept = if kind == JoinKind::Right { right } else { left };
            let (position, data_type) = match kind {
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Semi | JoinKind::Anti => {
                    (kept.position, kept.data_type)
                }
                JoinKind::Full => {
                    let operands = vec![typed(left), typed(right)];
                    let data_type = super::expr::matched_type("JOIN/USING", &operands)?;
                    let binder = ExprBinder::new(&scope, &self.parameters, "JOIN conditions");
                    outputs.push(call("coalesce", binder.all_as(operands, data_type)?, data_type));
                    (outputs.len() - 1, data_type)
                }
            };
            merged.push(ScopeColumn { table: None, name, data_type, position, merged: false });
        }
        merged.append(&mut scope.columns);
        let scope = Scope { columns: merged };
        let rel = if kind == JoinKind::Full { rel.project(outputs) } else { rel };
        Ok(Source { rel, scope })
    }
}

fn typed(column: &ScopeColumn) -> Typed {
    Typed::Known(Expr::Column(column.position), column.data_type)
}

fn missing_relation(name: &str) -> SqlError {
    SqlError::new("42P01", format!("relation \"{name}\" does not exist"))
}

/// The names that both sides show, in the left side's order.
fn shared_names(left: &Scope, right: &Scope) -> Vec<String> {
    let names = left.visible().map(|column| &column.name);
    names.filter(|name| right.visible().any(|column| column.name == **name)).cloned().collect()
}

/// The two columns of a name of USING, by their positions after the join.
fn shared_pair(
    name: &str,
    left: &Scope,
    right: &Scope,
    width: usize,
) -> Result<(ScopeColumn, ScopeColumn), SqlError> {
    let find = |scope: &Scope, side: &str| {
        scope.find(name)?.cloned().ok_or_else(|| {
            let message =
                format!("column \"{name}\" specified in USING clause does not exist in {side} table");
            SqlError::new("42703", message)
        })
    };
    let (left, right) = (find(left, "left")?, find(right, "right")?);
    let position = right.position + width;
    Ok((left, ScopeColumn { position, ..right }))
}

fn join_kind(operator: &JoinOperator) -> Result<(JoinKind, &JoinConstraint), SqlError> {
    Ok(match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (JoinKind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
        other => return Err(SqlError::unsupported(format_args!("the join {other:?}"))),
    })
}

/// Applies the column names of an alias: `AS t (a, b)`.
fn renamed(mut source: Source, alias: Option<&TableAlias>) -> Bound {
    let Some(alias) = alias else { return Ok(source) };
    let available = source.scope.columns.len();
    if alias.columns.len() > available {
        return Err(SqlError::new(
            "42P10",
            format!(
                "table \"{}\" has {available} columns available but {} columns specified",
                fold(&alias.name),
                alias.columns.len()
            ),
        ));
    }
    for (column, name) in source.scope.columns.iter_mut().zip(&alias.columns) {
        column.name = fold(&name.name);
    }
    Ok(source)
}

/// Whether a select item names the tables of a FROM clause by a wildcard.
pub(crate) fn wildcard_table(kind: &ast::SelectItemQualifiedWildcardKind) -> Result<String, SqlError> {
    match kind {
        ast::SelectItemQualifiedWildcardKind::ObjectName(name) => {
            Ok(fold_name(name).pop().unwrap_or_default())
        }
        ast::SelectItemQualifiedWildcardKind::Expr(_) => {
            Err(SqlError::unsupported("the expansion of a composite value"))
        }
    }
}
