//! Where in the text an error of a query lies.
//!
//! Planning works on names without their places. What its error names is looked up again in the
//! syntax tree, whose identifiers know theirs; where the name is not there, there is no position.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Value, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::error::SqlError;
use crate::parse::Source;

/// Adds the position of the first piece of syntax that the error names.
pub(super) fn locate(error: SqlError, syntax: &impl Visit, source: &Source) -> SqlError {
    let wanted = match (error.position, error.sqlstate.as_str()) {
        (None, "42P01" | "42809") => Wanted::Relation,
        (None, "42703" | "42702" | "42803") => Wanted::Column,
        (None, "42883") => Wanted::Function,
        (None, "42P02") => Wanted::Parameter,
        (None, "22P02" | "22007" | "22008" | "22003") => Wanted::Text,
        _ => return error,
    };
    let Some(name) = named(&error.message, wanted) else { return error };
    match syntax.visit(&mut Finder { wanted, name }) {
        ControlFlow::Break(location) if location.line > 0 => error.position(source.position(location)),
        ControlFlow::Break(_) | ControlFlow::Continue(()) => error,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Relation,
    Column,
    Function,
    Parameter,
    Text,
}

/// The name in a message: `relation "x" …`, `column t.x …`, `function f(integer) …`, `… parameter $1`,
/// `invalid input syntax for type bigint: "x"`.
fn named(message: &str, wanted: Wanted) -> Option<String> {
    match wanted {
        Wanted::Parameter => return Some(message.rsplit(' ').next()?.to_owned()),
        Wanted::Text => return Some(message.split_once('"')?.1.strip_suffix('"')?.to_owned()),
        Wanted::Relation | Wanted::Column | Wanted::Function => {}
    }
    let name = match message.split('"').nth(1) {
        Some(quoted) => quoted,
        None => message.split_whitespace().nth(1)?,
    };
    let name = name.split('(').next()?;
    Some(name.rsplit('.').next()?.to_owned())
}

struct Finder {
    wanted: Wanted,
    name: String,
}

impl Finder {
    /// Stops at the start of the whole name if its last part is the wanted one.
    fn compare<'a>(&self, mut parts: impl DoubleEndedIterator<Item = &'a Ident>) -> ControlFlow<Location> {
        let Some(last) = parts.next_back() else { return ControlFlow::Continue(()) };
        let value = match last.quote_style {
            Some(_) => last.value.clone(),
            None => last.value.to_ascii_lowercase(),
        };
        match value == self.name {
            true => ControlFlow::Break(parts.next().unwrap_or(last).span.start),
            false => ControlFlow::Continue(()),
        }
    }

    fn compare_object(&self, name: &ObjectName) -> ControlFlow<Location> {
        let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        self.compare(parts.into_iter())
    }
}

impl Visitor for Finder {
    type Break = Location;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Location> {
        match self.wanted == Wanted::Relation {
            true => self.compare_object(relation),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Location> {
        match (self.wanted, expr) {
            (Wanted::Column, Expr::Identifier(name)) => self.compare(std::iter::once(name)),
            (Wanted::Column, Expr::CompoundIdentifier(parts)) => self.compare(parts.iter()),
            (Wanted::Function, Expr::Function(function)) => self.compare_object(&function.name),
            (Wanted::Parameter | Wanted::Text, Expr::Value(value)) => match &value.value {
                Value::Placeholder(text) | Value::SingleQuotedString(text) if *text == self.name => {
                    ControlFlow::Break(value.span.start)
                }
                _ => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}
