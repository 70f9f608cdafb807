//! EXPLAIN: plans as lines of text, relations by their names.

use millrace_engine::{PlanRef, RelationId};

use crate::bind::{Scope, named, relation};
use crate::catalog::RelationKind;
use crate::error::SqlError;
use crate::statement::{CreateView, Explain, RelationName};
use crate::system::SystemRelation;

/// The lines that EXPLAIN answers with.
pub(crate) fn explain(explain: &Explain, scope: &Scope) -> Result<Vec<String>, SqlError> {
    match explain {
        Explain::Select(query) => {
            let query = scope.plan(query)?;
            let indexes = query.sources().indexes.into_keys();
            let read: Vec<RelationId> = query.relations().into_iter().chain(indexes).collect();
            Ok(with_names(query.explain(), &read, scope))
        }
        Explain::CreateView(create) => explain_new(create, scope),
        Explain::View(name) => explain_existing(name, scope),
    }
}

/// The dataflow that a view would have; it is checked as CREATE would.
fn explain_new(create: &CreateView, scope: &Scope) -> Result<Vec<String>, SqlError> {
    let query = scope.plan_view(&create.query)?;
    named(query.columns(), &create.columns)?;
    Ok(lines(&query.lower()?, scope))
}

/// The dataflow that a view has.
fn explain_existing(name: &RelationName, scope: &Scope) -> Result<Vec<String>, SqlError> {
    match &relation(scope, name)?.kind {
        RelationKind::MaterializedView { plan, .. } => Ok(lines(plan, scope)),
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::Index { .. }
        | RelationKind::Sequence(_) => {
            Err(SqlError::new("42809", format!("\"{}\" is not a materialized view", name.value))
                .position(name.position))
        }
    }
}

/// One operator a line.
fn lines(plan: &PlanRef, scope: &Scope) -> Vec<String> {
    with_names(plan.to_string().lines().map(str::to_owned).collect(), &plan.relations(), scope)
}

/// `Get r1` and `Scan r1` become `Get readings` and `Scan readings`, and so for the names in
/// `Index Scan using r2 on r1`.
fn with_names(lines: Vec<String>, read: &[RelationId], scope: &Scope) -> Vec<String> {
    let name = |id: &RelationId| {
        let name = match SystemRelation::of_id(*id) {
            Some(relation) => relation.qualified_name(),
            None => scope.catalog.shown(scope.catalog.by_id(*id)?, scope.parameters.path),
        };
        Some((id.to_string(), name))
    };
    let names: Vec<(String, String)> = read.iter().filter_map(name).collect();
    lines.into_iter().map(|line| with_name(line, &names)).collect()
}

fn with_name(line: String, names: &[(String, String)]) -> String {
    let reads = ["Get ", "Scan ", "Index Scan using "].iter().any(|read| line.trim_start().starts_with(read));
    if !reads {
        return line;
    }
    let name = |word: &str| {
        let found = names.iter().find(|(by_id, _)| by_id == word);
        found.map_or_else(|| word.to_owned(), |(_, by_name)| by_name.clone())
    };
    line.split(' ').map(name).collect::<Vec<_>>().join(" ")
}
