//! PREPARE, EXECUTE and DECLARE: what stands between a name and its statement.

use millrace_engine::{DataType, Literal, Tick};

use super::{Scope, follow};
use crate::bound::{Bound, Description, RowSource};
use crate::catalog::Catalog;
use crate::error::SqlError;
use crate::query::{Parameters, argument_value};
use crate::statement::{CursorSource, Declare, Statement, StatementKind};

/// Binds DECLARE.
pub(super) fn declare(declare: &Declare, scope: &Scope) -> Result<Bound, SqlError> {
    let Declare { name, only_forward, is_held, .. } = declare;
    let source = source(declare, scope)?;
    Ok(Bound::Declare { name: name.clone(), only_forward: *only_forward, is_held: *is_held, source })
}

/// What a DECLARE takes as parameters: those of its query.
pub(super) fn declared(declare: &Declare, scope: &Scope) -> Result<Description, SqlError> {
    let parameters = match source(declare, scope)? {
        RowSource::Query(query) => query.parameter_types().to_vec(),
        RowSource::Subscribe(_) => scope.parameters.declared(),
    };
    Ok(Description { parameters, columns: None })
}

fn source(declare: &Declare, scope: &Scope) -> Result<RowSource, SqlError> {
    Ok(match &declare.source {
        CursorSource::Query(query) => RowSource::Query(scope.plan(query)?),
        CursorSource::Subscribe(subscribe) => RowSource::Subscribe(follow::subscribe(subscribe, scope)?),
    })
}

/// The values of an EXECUTE's arguments, as the types of the parameters that they are for.
///
/// # Errors
/// 42601 where there are more or fewer than parameters, 42804 for one whose type does not fit, and what computing
/// it raises.
pub fn arguments(
    execute: &Statement,
    types: &[DataType],
    catalog: &Catalog,
    parameters: Parameters,
    tick: Tick,
) -> Result<Vec<Literal>, SqlError> {
    let StatementKind::Execute(asked) = &execute.kind else {
        return Err(SqlError::internal("arguments of what is no EXECUTE"));
    };
    let (given, expected) = (asked.arguments.len(), types.len());
    if given != expected {
        let message = format!("wrong number of parameters for prepared statement \"{}\"", asked.name);
        return Err(SqlError::new("42601", message)
            .detail(format!("Expected {expected} parameters but got {given}.")));
    }
    let scope = Scope { catalog, parameters: parameters.none(), source: &execute.source };
    let value = |(at, (argument, to))| {
        argument_value(at, argument, to, scope.parameters, tick)
            .map_err(|error| scope.locate(error, argument))
    };
    asked.arguments.iter().zip(types.iter().copied()).enumerate().map(value).collect()
}
