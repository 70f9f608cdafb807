//! EXPLAIN: plans as lines of text, relations by their names.

use millrace_engine::Plan;

use crate::bind::{Scope, named, relation};
use crate::catalog::{Catalog, RelationKind};
use crate::error::SqlError;
use crate::parse::quoted;
use crate::statement::{CreateView, Explain, Name};

/// The lines that EXPLAIN answers with.
pub(crate) fn explain(explain: &Explain, scope: &Scope) -> Result<Vec<String>, SqlError> {
    match explain {
        Explain::Select(query) => Ok(scope.plan(query)?.explain()),
        Explain::CreateView(create) => explain_new(create, scope),
        Explain::View(name) => explain_existing(name, scope.catalog),
    }
}

/// The dataflow that a view would have; it is checked as CREATE would.
fn explain_new(create: &CreateView, scope: &Scope) -> Result<Vec<String>, SqlError> {
    let query = scope.plan_view(&create.query)?;
    named(query.columns(), &create.columns)?;
    Ok(lines(&query.lower()?, scope.catalog))
}

/// The dataflow that a view has.
fn explain_existing(name: &Name, catalog: &Catalog) -> Result<Vec<String>, SqlError> {
    match &relation(catalog, name)?.kind {
        RelationKind::MaterializedView { plan, .. } => Ok(lines(plan, catalog)),
        RelationKind::Table { .. } => {
            Err(SqlError::new("42809", format!("\"{}\" is not a materialized view", name.value))
                .position(name.position))
        }
    }
}

/// One operator a line; `Get r1` becomes `Get readings`.
fn lines(plan: &Plan, catalog: &Catalog) -> Vec<String> {
    let names: Vec<(String, String)> = plan
        .relations()
        .into_iter()
        .filter_map(|id| Some((format!("Get {id}"), format!("Get {}", quoted(&catalog.by_id(id)?.name)))))
        .collect();
    plan.to_string().lines().map(|line| with_name(line, &names)).collect()
}

fn with_name(line: &str, names: &[(String, String)]) -> String {
    let operator = line.trim_start();
    match names.iter().find(|(by_id, _)| by_id == operator) {
        Some((_, by_name)) => format!("{}{by_name}", &line[..line.len() - operator.len()]),
        None => line.to_owned(),
    }
}
