//! COMMENT ON: what is commented, as the catalog keeps it.

use super::alter::check_kind;
use super::{Scope, relations};
use crate::bound::{Alteration, Bound};
use crate::catalog::{CatalogChange, SchemaChange};
use crate::error::SqlError;
use crate::statement::{Comment, Commented};

/// Binds COMMENT ON.
pub(super) fn comment(comment: &Comment, scope: &Scope) -> Result<Bound, SqlError> {
    let text = comment.text.clone().filter(|text| !text.is_empty());
    let (relation, column) = match &comment.on {
        Commented::Schema(name) => {
            let change = CatalogChange::Schema(relations::schema(name, scope)?, SchemaChange::Comment(text));
            return Ok(Bound::Alter(Alteration { changes: vec![change], ..Alteration::new("COMMENT") }));
        }
        Commented::Relation(kind, name) => {
            let relation = relations::existing(name, scope)?;
            check_kind(*kind, relation, name)?;
            (relation, None)
        }
        Commented::Column(column) => {
            let relation = relations::existing(&column.table, scope)?;
            let found = relation.visible().find(|(_, own)| own.name == column.column.value);
            let (place, _) = found.ok_or_else(|| {
                let (name, relation) = (&column.column.value, &relation.name);
                SqlError::new("42703", format!("column \"{name}\" of relation \"{relation}\" does not exist"))
            })?;
            (relation, Some(place))
        }
    };
    let changes = vec![CatalogChange::Comment { relation: relation.id, column, text }];
    Ok(Bound::Alter(Alteration { changes, ..Alteration::new("COMMENT") }))
}
