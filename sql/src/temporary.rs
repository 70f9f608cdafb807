//! Temporary relations: those of the session's own schema, which goes with the session.
//!
//! `pg_temp` means that schema to the session (PostgreSQL's runtime-config-client, `search_path`); its real name,
//! which the session chooses, begins with `pg_temp_`. CREATE TEMP is CREATE in `pg_temp`.

use crate::bound::{Alteration, Bound};
use crate::catalog::{Catalog, CatalogChange, Relation, SchemaChange, SchemaId};
use crate::error::SqlError;
use crate::statement::{RelationName, StatementKind};

/// What a session calls its schema of temporary relations.
pub(crate) const ALIAS: &str = "pg_temp";

/// What the names of all such schemas begin with.
const PREFIX: &str = "pg_temp_";

/// What CREATE SCHEMA creates has this id until it is run.
pub(crate) const NEW_SCHEMA: SchemaId = SchemaId(3 << 62);

/// The name of the `number`th session's schema of temporary relations.
pub fn temporary_schema_name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// Whether a schema of this name has a session's temporary relations.
pub fn is_temporary_schema(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Creates a session's schema of temporary relations.
pub fn create_temporary_schema(name: &str) -> Bound {
    let changes = vec![CatalogChange::Schema(NEW_SCHEMA, SchemaChange::Create(name.to_owned()))];
    Bound::Alter(Alteration { changes, ..Alteration::new("CREATE SCHEMA") })
}

/// Whether the statement creates something in the session's schema, which then has to be there.
pub fn creates_temporary(statement: &StatementKind) -> bool {
    let name = match statement {
        StatementKind::CreateTable(create) => &create.name,
        StatementKind::CreateTableAs(create) => &create.name,
        StatementKind::CreateView(create) => &create.name,
        StatementKind::CreateSequence(create) => &create.name,
        _ => return false,
    };
    name.schema.as_deref() == Some(ALIAS)
}

/// Whether a relation goes with a session.
pub fn is_temporary(catalog: &Catalog, relation: &Relation) -> bool {
    is_temporary_schema(catalog.schema_of(relation))
}

/// Whether a name tells that it is in a session's schema.
pub(crate) fn is_in_temporary(name: &RelationName) -> bool {
    name.schema.as_deref().is_some_and(|schema| schema == ALIAS || is_temporary_schema(schema))
}

/// The name of something that CREATE TEMP creates.
///
/// # Errors
/// 42P16 where it tells another schema.
pub(crate) fn in_temporary(name: RelationName) -> Result<RelationName, SqlError> {
    match &name.schema {
        None => Ok(RelationName { schema: Some(ALIAS.to_owned()), ..name }),
        Some(_) if is_in_temporary(&name) => Ok(name),
        Some(_) => {
            let message = "cannot create temporary relation in non-temporary schema";
            Err(SqlError::new("42P16", message).position(name.position))
        }
    }
}
