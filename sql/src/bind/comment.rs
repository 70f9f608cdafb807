//! COMMENT ON: what is commented, as the catalog keeps it.

use super::Scope;
use super::alter::check_kind;
use crate::bound::{Alteration, Bound};
use crate::catalog::CatalogChange;
use crate::error::SqlError;
use crate::statement::{Comment, Commented};

/// Binds COMMENT ON.
pub(super) fn comment(comment: &Comment, scope: &Scope) -> Result<Bound, SqlError> {
    let name = match &comment.on {
        Commented::Relation(_, name) => name,
        Commented::Column(column) => &column.table,
    };
    let relation = scope.catalog.get(&name.value).ok_or_else(|| {
        SqlError::new("42P01", format!("relation \"{}\" does not exist", name.value)).position(name.position)
    })?;
    let column = match &comment.on {
        Commented::Relation(kind, name) => {
            check_kind(*kind, relation, name)?;
            None
        }
        Commented::Column(column) => {
            let found = relation.visible().find(|(_, own)| own.name == column.column.value);
            let (place, _) = found.ok_or_else(|| {
                let (name, relation) = (&column.column.value, &relation.name);
                SqlError::new("42703", format!("column \"{name}\" of relation \"{relation}\" does not exist"))
            })?;
            Some(place)
        }
    };
    let text = comment.text.clone().filter(|text| !text.is_empty());
    let changes = vec![CatalogChange::Comment { relation: relation.id, column, text }];
    Ok(Bound::Alter(Alteration { changes, ..Alteration::new("COMMENT") }))
}
