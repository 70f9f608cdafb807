//! What a query sees of what is around it: the queries of WITH, and the columns of the queries that it is
//! part of.
//!
//! ```text
//!   SELECT … FROM t, LATERAL ( SELECT … WHERE EXISTS ( SELECT … ) )
//!   └ frame of the clause ←──── frame of FROM (t) ←──── frame of the inner WHERE
//! ```
//! A frame is a border: a column that is found beyond it becomes an argument of what is inside,
//! which reads it by an outer reference. A column two frames out is passed on by the frame between.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Expr};

use super::binder::BoundQuery;
use super::outer::{map_outer, outer};
use super::scope::{Scope, TableName};
use super::typed::Typed;
use crate::error::SqlError;

/// The border around a sub-query, or around the right side of a join.
pub(crate) struct Frame<'a> {
    /// The columns just outside.
    scope: &'a Scope,
    /// What is further out.
    outside: Option<Outer<'a>>,
    /// Whether the scope is that of tables to the left in FROM, which only LATERAL sees.
    beside: bool,
    /// The arguments so far, over the columns just outside.
    captured: RefCell<Vec<Expr>>,
    depth: usize,
}

/// A frame as it is seen from inside.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a> {
    frame: &'a Frame<'a>,
    /// Whether tables to the left are in sight.
    lateral: bool,
}

impl<'a> Frame<'a> {
    fn new(scope: &'a Scope, outside: Option<Outer<'a>>, beside: bool) -> Frame<'a> {
        let depth = outside.map_or(0, |outer| outer.frame.depth) + 1;
        Frame { scope, outside, beside, captured: RefCell::default(), depth }
    }

    /// The frame of a sub-query in an expression over this scope.
    pub(crate) fn around(scope: &'a Scope, outside: Option<Outer<'a>>) -> Frame<'a> {
        Frame::new(scope, outside, false)
    }

    /// The frame of what stands in FROM to the right of tables with this scope.
    pub(crate) fn beside(scope: &'a Scope, outside: Option<Outer<'a>>) -> Frame<'a> {
        Frame::new(scope, outside, true)
    }

    /// The arguments that the inside reads.
    pub(crate) fn into_arguments(self) -> Vec<Expr> {
        self.captured.into_inner()
    }

    /// An outer reference to this value.
    fn capture(&self, value: Expr, data_type: DataType) -> Expr {
        let mut captured = self.captured.borrow_mut();
        let index = captured.iter().position(|known| *known == value).unwrap_or_else(|| {
            captured.push(value);
            captured.len() - 1
        });
        outer(index, data_type)
    }
}

impl<'a> Outer<'a> {
    fn is_visible(&self) -> bool {
        self.lateral || !self.frame.beside
    }

    /// What is beyond the frame. LATERAL sees all tables to the left, however they are joined.
    fn further(&self) -> Option<Outer<'a>> {
        let further = self.frame.outside?;
        let lateral = further.lateral || (self.lateral && self.frame.beside && further.frame.beside);
        Some(Outer { lateral, ..further })
    }

    /// The column of a name, if there is one outside.
    ///
    /// # Errors
    /// 42702 where it is ambiguous, 42703 where its table has no such column.
    pub(crate) fn column(&self, idents: &[ast::Ident]) -> Result<Option<Typed>, SqlError> {
        let found = if self.is_visible() { in_scope(self.frame.scope, idents)? } else { None };
        let found = match found {
            Some(found) => Some(found),
            None => self.further().map(|outer| outer.column(idents)).transpose()?.flatten(),
        };
        Ok(found.map(|typed| match typed {
            Typed::Known(value, data_type) => Typed::Known(self.frame.capture(value, data_type), data_type),
            other => other,
        }))
    }

    /// The error's detail and hint where LATERAL would have found the name.
    pub(crate) fn explain_missing(&self, idents: &[ast::Ident], error: SqlError) -> SqlError {
        let Some((table, name)) = TableName::and_column(idents) else { return error };
        let table = table.map(|table| table.table);
        let mut outer = Some(*self);
        while let Some(here) = outer {
            let columns = &here.frame.scope.columns;
            let of_table = |own: &Option<String>| table.is_none() || *own == table;
            let hidden = !here.is_visible();
            if hidden
                && let Some(column) = columns
                    .iter()
                    .find(|column| of_table(&column.table) && (table.is_some() || column.name == name))
            {
                return not_lateral(table.as_deref(), &name, column.table.as_deref().unwrap_or_default());
            }
            outer = here.further();
        }
        error
    }

    /// An outer reference of a query of WITH, which was bound `levels` frames further out.
    fn lifted(&self, index: usize, data_type: DataType, levels: usize) -> Expr {
        match (levels, self.frame.outside) {
            (0, _) | (_, None) => outer(index, data_type),
            (1, _) => self.frame.capture(outer(index, data_type), data_type),
            (_, Some(further)) => self.frame.capture(further.lifted(index, data_type, levels - 1), data_type),
        }
    }
}

/// The words of PostgreSQL 16 (15 has no hint) for a name that only LATERAL would see.
fn not_lateral(table: Option<&str>, name: &str, of: &str) -> SqlError {
    match table {
        Some(table) => SqlError::new("42P01", format!("invalid reference to FROM-clause entry for table \"{table}\""))
            .detail(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
            ))
            .hint("To reference that table, you must mark this subquery with LATERAL."),
        None => SqlError::new("42703", format!("column \"{name}\" does not exist"))
            .detail(format!(
                "There is a column named \"{name}\" in table \"{of}\", but it cannot be referenced from this part of the query."
            ))
            .hint("To reference that column, you must mark this subquery with LATERAL."),
    }
}

/// The column of a name in one scope; `None` where the scope does not know it or its table.
fn in_scope(scope: &Scope, idents: &[ast::Ident]) -> Result<Option<Typed>, SqlError> {
    let column = match TableName::and_column(idents) {
        None => None,
        Some((None, name)) => scope.find(&name)?,
        Some((Some(table), name)) => match scope.of(&table) {
            Ok(_) => Some(scope.resolve_qualified(&table, &name)?),
            Err(error) if error.sqlstate == "42P09" => return Err(error),
            Err(_) => None,
        },
    };
    Ok(column.map(|column| Typed::Known(Expr::Column(column.position), column.data_type)))
}

/// What is in sight of a query.
#[derive(Clone, Default)]
pub(crate) struct Environment<'a> {
    /// The queries of WITH by name, each with the depth of the frame in which it was bound.
    queries: HashMap<String, (Arc<BoundQuery>, usize)>,
    /// What is around the query.
    pub(crate) outer: Option<Outer<'a>>,
}

impl<'a> Environment<'a> {
    /// That of a statement: nothing.
    pub(crate) fn new() -> Environment<'a> {
        Environment::default()
    }

    fn depth(&self) -> usize {
        self.outer.map_or(0, |outer| outer.frame.depth)
    }

    /// Adds a query of WITH.
    pub(crate) fn insert(&mut self, name: String, query: Arc<BoundQuery>) {
        let depth = self.depth();
        self.queries.insert(name, (query, depth));
    }

    /// The query of WITH of this name, as it is seen from here.
    pub(crate) fn get(&self, name: &str) -> Option<BoundQuery> {
        let (query, depth) = self.queries.get(name)?;
        let mut query = BoundQuery::clone(query);
        let levels = self.depth().saturating_sub(*depth);
        if let Some(outer) = self.outer
            && levels > 0
        {
            query.rel = query.rel.map_exprs(&mut |expr| {
                map_outer(expr, &mut |index, own| {
                    outer.lifted(index, own.data_type(&[]).unwrap_or(DataType::Boolean), levels)
                })
            });
        }
        Some(query)
    }

    /// That of what is inside a frame.
    pub(crate) fn inside<'b>(&self, frame: &'b Frame<'b>) -> Environment<'b>
    where
        'a: 'b,
    {
        Environment { queries: self.queries.clone(), outer: Some(Outer { frame, lateral: false }) }
    }

    /// The same with the tables to the left in sight.
    pub(crate) fn lateral(&self) -> Environment<'a> {
        let outer = self.outer.map(|outer| Outer { lateral: true, ..outer });
        Environment { queries: self.queries.clone(), outer }
    }
}
