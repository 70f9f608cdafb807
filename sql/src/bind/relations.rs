//! Relations and columns by name.

use std::sync::Arc;

use crate::catalog::{Catalog, Relation, RelationKind};
use crate::error::SqlError;
use crate::statement::Name;

/// The table or view of this name, or 42P01; 42809 for an index, which has no rows of its own.
pub(crate) fn relation<'a>(catalog: &'a Catalog, name: &Name) -> Result<&'a Arc<Relation>, SqlError> {
    let found = catalog.get(&name.value).ok_or_else(|| {
        SqlError::new("42P01", format!("relation \"{}\" does not exist", name.value)).position(name.position)
    })?;
    match &found.kind {
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. }
        | RelationKind::Sequence(_) => Ok(found),
        RelationKind::Index { .. } => Err(is_an_index(&name.value).position(name.position)),
    }
}

/// 42809: an index where a table or a view is wanted.
pub(crate) fn is_an_index(name: &str) -> SqlError {
    SqlError::new("42809", format!("\"{name}\" is an index"))
}

/// The table of this name; `refusal` is the message where it is a view.
pub(super) fn table<'a>(
    catalog: &'a Catalog,
    name: &Name,
    refusal: &str,
) -> Result<&'a Arc<Relation>, SqlError> {
    let relation = relation(catalog, name)?;
    match &relation.kind {
        RelationKind::Table { .. } => Ok(relation),
        RelationKind::Index { .. } => Err(is_an_index(&name.value).position(name.position)),
        RelationKind::Sequence(_) => {
            Err(SqlError::new("42809", format!("cannot change sequence \"{}\"", name.value)))
        }
        RelationKind::View { .. } => {
            Err(SqlError::new("55000", format!("{} view \"{}\"", refusal, name.value))
                .hint("Change the tables that it reads."))
        }
        RelationKind::MaterializedView { .. } => {
            Err(SqlError::new("42809", format!("{refusal} \"{}\"", name.value))
                .detail("A materialized view shows the rows of its query.")
                .hint("Change the tables that it reads."))
        }
    }
}

/// The positions of these columns: 42703 for one that is not there, 42701 for one named twice.
pub(super) fn columns(relation: &Relation, names: &[Name]) -> Result<Vec<usize>, SqlError> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = relation.columns.iter().position(|column| column.name == name.value) else {
            let message =
                format!("column \"{}\" of relation \"{}\" does not exist", name.value, relation.name);
            return Err(SqlError::new("42703", message).position(name.position));
        };
        if found.contains(&column) {
            let message = format!("column \"{}\" specified more than once", name.value);
            return Err(SqlError::new("42701", message).position(name.position));
        }
        found.push(column);
    }
    Ok(found)
}
