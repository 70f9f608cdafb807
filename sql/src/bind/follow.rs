//! SUBSCRIBE: the columns that its rows have.

use millrace_engine::DataType;

use super::{Scope, relations};
use crate::bound;
use crate::catalog::{Column, Relation};
use crate::error::SqlError;
use crate::statement;

/// Binds SUBSCRIBE.
pub(super) fn subscribe(
    subscribe: &statement::Subscribe,
    scope: &Scope,
) -> Result<bound::Subscribe, SqlError> {
    let relation = relations::relation(scope, &subscribe.relation)?.clone();
    if !relation.is_maintained() {
        return Err(SqlError::unsupported(format_args!("SUBSCRIBE to the plain view \"{}\"", relation.name))
            .position(subscribe.relation.position)
            .hint("Create a materialized view over it, and subscribe to that."));
    }
    Ok(bound::Subscribe {
        columns: columns(&relation, subscribe.progress),
        relation,
        snapshot: subscribe.snapshot,
        progress: subscribe.progress,
        as_of: subscribe.as_of,
    })
}

/// `tick`, `progressed` where progress was asked for, `diff`, the relation's columns. A progress row
/// has a tick only, so that all others can then be NULL.
fn columns(relation: &Relation, progress: bool) -> Vec<Column> {
    let lead = |name: &str, data_type, nullable| Column::new(name.to_owned(), data_type, nullable);
    let mut columns = vec![lead("tick", DataType::Int64, false)];
    if progress {
        columns.push(lead("progressed", DataType::Boolean, false));
    }
    columns.push(lead("diff", DataType::Int64, progress));
    columns.extend(
        relation
            .visible()
            .map(|(_, column)| Column { nullable: column.nullable || progress, ..column.clone() }),
    );
    columns
}
