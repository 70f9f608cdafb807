//! Functions whose value neither rows nor the statement's moment decide: random(), gen_random_uuid(), and those of
//! sequences.
//!
//! They are calls by these names, which no function of the table has; `compile` gives them to whoever runs the
//! statement (`Sequences`). A sequence is named by its id.

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, Value};
use millrace_engine::{DataType, Expr, Literal, RelationId};

use super::binder::Binder;
use super::expr::{Bound, ExprBinder, call};
use super::from::Named;
use super::scope::fold_name;
use super::typed::Typed;
use super::types::display;
use crate::bind::{Scope, no_schema, sequence_of};
use crate::error::SqlError;
use crate::parse;

/// The volatile functions by the names that plans have.
pub(crate) const VOLATILE: [&str; 8] =
    ["random", "gen_random_uuid", NEXT, CURRENT, LAST, SET, SEQUENCE_VALUE, SEQUENCE_IS_CALLED];

pub(crate) const NEXT: &str = "nextval";
pub(crate) const CURRENT: &str = "currval";
pub(crate) const LAST: &str = "lastval";
pub(crate) const SET: &str = "setval";
/// The value that a sequence gave last, and whether it did: what its row shows.
pub(crate) const SEQUENCE_VALUE: &str = "sequence_value";
pub(crate) const SEQUENCE_IS_CALLED: &str = "sequence_is_called";

/// The volatile functions that ask for sequences.
pub(crate) const OF_SEQUENCES: [&str; 6] = [NEXT, CURRENT, LAST, SET, SEQUENCE_VALUE, SEQUENCE_IS_CALLED];

/// The next value of a sequence.
pub(crate) fn next_value(sequence: RelationId) -> Expr {
    call(NEXT, vec![id(sequence)], DataType::Int64)
}

/// The row that a sequence is for queries.
pub(crate) fn sequence_row(sequence: RelationId) -> Vec<Expr> {
    vec![
        call(SEQUENCE_VALUE, vec![id(sequence)], DataType::Int64),
        Expr::Literal(Literal::Int64(0)),
        call(SEQUENCE_IS_CALLED, vec![id(sequence)], DataType::Boolean),
    ]
}

fn id(sequence: RelationId) -> Expr {
    Expr::Literal(Literal::Int64(i64::from_ne_bytes(sequence.0.to_ne_bytes())))
}

/// The sequence that the argument of a call means.
pub(crate) fn id_of(argument: &Literal) -> Option<RelationId> {
    match argument {
        Literal::Int64(id) => Some(RelationId(u64::from_ne_bytes(id.to_ne_bytes()))),
        _ => None,
    }
}

/// The sequence of a default that is `nextval('name')` and nothing else.
///
/// # Errors
/// 42P01 and 42809 where there is no such sequence.
pub(crate) fn next_value_of(expr: &ast::Expr, scope: &Scope) -> Result<Option<RelationId>, SqlError> {
    let ast::Expr::Function(function) = expr else { return Ok(None) };
    let name = fold_name(&function.name);
    let is_next = matches!(name.as_slice(), [name] if name == NEXT)
        || matches!(name.as_slice(), [schema, name] if schema == "pg_catalog" && name == NEXT);
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] if is_next => {
            let binder = || Binder::new(scope.catalog, scope.parameters);
            constant_name(argument).map(|name| sequence_by_name(&name, &binder())).transpose()
        }
        _ => Ok(None),
    }
}

/// A quoted name, perhaps cast to regclass.
fn constant_name(expr: &ast::Expr) -> Option<String> {
    let text = |value: &ast::Value| match value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
        _ => None,
    };
    let is_class = |data_type: &ast::DataType| match data_type {
        ast::DataType::Regclass | ast::DataType::Text => true,
        ast::DataType::Custom(name, _) => fold_name(name).last().is_some_and(|name| name == "regclass"),
        _ => false,
    };
    match expr {
        ast::Expr::Value(value) => text(&value.value),
        ast::Expr::Nested(inner) => constant_name(inner),
        ast::Expr::Cast { expr, data_type, .. } if is_class(data_type) => constant_name(expr),
        ast::Expr::TypedString(typed) if is_class(&typed.data_type) => text(&typed.value.value),
        _ => None,
    }
}

fn sequence_by_name(text: &str, binder: &Binder) -> Result<RelationId, SqlError> {
    match relation_by_name(text, binder)? {
        Named::Relation(relation, _) => {
            sequence_of(relation)?;
            binder.named.borrow_mut().insert(relation.id);
            Ok(relation.id)
        }
        Named::System(system) => {
            Err(SqlError::new("42809", format!("\"{}\" is not a sequence", system.name())))
        }
    }
}

/// The relation of a name in a text of its own, as a cast to regclass has it.
///
/// # Errors
/// 3F000 where its schema is not there, 42P01 where it is not.
pub(super) fn relation_by_name<'b>(text: &str, binder: &'b Binder) -> Result<Named<'b>, SqlError> {
    let name = parse::relation_name(text)?;
    if let Some(found) = binder.found(name.schema.as_deref(), &name.value) {
        return Ok(found);
    }
    match &name.schema {
        Some(schema) if !binder.catalog.has_schema(schema) => Err(no_schema(schema)),
        _ => Err(SqlError::new("42P01", format!("relation \"{name}\" does not exist"))),
    }
}

impl ExprBinder<'_> {
    /// Binds a call of a volatile function, if it is one.
    pub(super) fn volatile_function(&self, name: &str, arguments: &[&ast::Expr]) -> Option<Bound> {
        let plain = |data_type| Some(Ok(Typed::Known(call(name, Vec::new(), data_type), data_type)));
        match (name, arguments) {
            ("random", []) => plain(DataType::Float64),
            ("gen_random_uuid", []) => plain(DataType::Uuid),
            (LAST, []) => plain(DataType::Int64),
            (NEXT | CURRENT, [sequence]) => Some(self.of_sequence(name, sequence, Vec::new())),
            (SET, [sequence, value]) => Some(self.set_value(sequence, value, None)),
            (SET, [sequence, value, is_called]) => Some(self.set_value(sequence, value, Some(*is_called))),
            _ => None,
        }
    }

    fn of_sequence(&self, name: &str, sequence: &ast::Expr, rest: Vec<Expr>) -> Bound {
        let Some(within) = &self.subqueries else {
            if self.clause == "index expressions" {
                let message = "functions in index expression must be marked IMMUTABLE";
                return Err(SqlError::new("42P17", message));
            }
            return Err(SqlError::unsupported(format_args!("{name}() in {}", self.clause)));
        };
        let by_name = |text: &str| sequence_by_name(text, within.binder).map(id);
        let found = match constant_name(sequence) {
            Some(text) => by_name(&text)?,
            None => match self.bind(sequence)? {
                Typed::Text(text) | Typed::Known(Expr::Literal(Literal::Text(text)), _) => by_name(&text)?,
                // A name that is computed becomes an oid when it is there.
                Typed::Known(_, DataType::Text) => self.oid_of_computed_name(sequence)?,
                Typed::Known(oid, DataType::Int64) => oid,
                other => {
                    let given = other.data_type().map_or("unknown", display);
                    let message = format!("function {name}({given}) does not exist");
                    return Err(SqlError::new("42883", message));
                }
            },
        };
        let arguments = [vec![found], rest].concat();
        Ok(Typed::Known(call(name, arguments, DataType::Int64), DataType::Int64))
    }

    fn set_value(&self, sequence: &ast::Expr, value: &ast::Expr, is_called: Option<&ast::Expr>) -> Bound {
        let value = self.parameters.as_type(self.bind(value)?, DataType::Int64)?;
        let is_called = match is_called {
            Some(expr) => self.parameters.as_type(self.bind(expr)?, DataType::Boolean)?,
            None => Expr::Literal(Literal::Boolean(true)),
        };
        self.of_sequence(SET, sequence, vec![value, is_called])
    }
}
