//! CREATE SCHEMA and ALTER SCHEMA … RENAME TO.

use super::{Scope, relations};
use crate::bound::{Alteration, Bound};
use crate::catalog::{CatalogChange, SchemaChange};
use crate::error::SqlError;
use crate::statement::{CreateSchema, Name, Role};
use crate::system::OWNER;
use crate::temporary::NEW_SCHEMA;

/// Binds CREATE SCHEMA.
pub(super) fn create(create: &CreateSchema, scope: &Scope) -> Result<Bound, SqlError> {
    let tag = "CREATE SCHEMA";
    let owner = create.owner.as_ref().map(|role| role_name(role, scope)).transpose()?;
    let name = create.name.as_ref().map(|name| name.value.clone()).or(owner).unwrap_or_default();
    check_name(&name)?;
    if scope.catalog.has_schema(&name) {
        let message = format!("schema \"{name}\" already exists");
        if create.if_not_exists {
            let notices = vec![format!("{message}, skipping")];
            return Ok(Bound::Alter(Alteration { notices, ..Alteration::new(tag) }));
        }
        return Err(SqlError::new("42P06", message));
    }
    let changes = vec![CatalogChange::Schema(NEW_SCHEMA, SchemaChange::Create(name))];
    Ok(Bound::Alter(Alteration { changes, ..Alteration::new(tag) }))
}

/// Binds ALTER SCHEMA … RENAME TO.
pub(super) fn rename(name: &Name, to: &Name, scope: &Scope) -> Result<Bound, SqlError> {
    let id = relations::schema(name, scope)?;
    if scope.catalog.has_schema(&to.value) {
        return Err(SqlError::new("42P06", format!("schema \"{}\" already exists", to.value)));
    }
    check_name(&to.value)?;
    let changes = vec![CatalogChange::Schema(id, SchemaChange::Rename(to.value.clone()))];
    Ok(Bound::Alter(Alteration { changes, ..Alteration::new("ALTER SCHEMA") }))
}

/// The name of a role: that of the session's user, or of the one that owns everything.
fn role_name(role: &Role, scope: &Scope) -> Result<String, SqlError> {
    let user = scope.parameters.setting("session_authorization").unwrap_or_else(|| OWNER.to_owned());
    match role {
        Role::Current => Ok(user),
        Role::Named(name) if name.value == user || name.value == OWNER => Ok(name.value.clone()),
        Role::Named(name) => Err(SqlError::new("42704", format!("role \"{}\" does not exist", name.value))),
    }
}

fn check_name(name: &str) -> Result<(), SqlError> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(SqlError::new("42939", format!("unacceptable schema name \"{name}\""))
        .detail("The prefix \"pg_\" is reserved for system schemas."))
}
