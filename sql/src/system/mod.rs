//! System relations: the schemas `pg_catalog`, `information_schema` and `millrace`, by name and column.
//!
//! They are read like tables. Their rows are made when a query asks, at the query's tick, by the
//! server; the catalog does not hold them, so nothing can be created over them, written to them or
//! dropped. Their ids are far from those that relations and transactions give.
//!
//! ```text
//! oid 1 … 15,999     PostgreSQL's own: its catalogs, types, schemas (one of a major version for ever)
//!     16,000 … 16,383 the schema millrace and its relations
//!     16,384 …        16,384 + the relation's id, which the log keeps: the same after a restart
//! ```

mod builtin; // functions, operators, casts
mod information_schema;
mod millrace;
mod pg_catalog;
mod types;
mod vacant; // what never has a row

use millrace_engine::{DataType, RelationId};

use crate::catalog::{Column, SchemaId};
pub use builtin::Builtins;
pub(crate) use builtin::is_builtin;

/// The one database.
pub const DATABASE: &str = "millrace";

/// The one role, which owns everything.
pub const OWNER: &str = "millrace";

/// Ids of system relations begin here; those of a transaction's new relations lie higher.
const FIRST_ID: u64 = 1 << 62;

/// The oid of a relation or schema of the catalog is this more than its id.
const FIRST_OID: i64 = 16_384;

/// PostgreSQL's oid of the schema `public`.
const PUBLIC_OID: i64 = 2_200;

/// A schema of the system's, which is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// PostgreSQL's catalogs, which an unqualified name means first.
    PgCatalog,
    /// The standard's catalogs.
    InformationSchema,
    /// What the server tells of itself.
    Millrace,
}

impl Schema {
    /// All of them.
    pub const ALL: [Schema; 3] = [Schema::PgCatalog, Schema::InformationSchema, Schema::Millrace];

    /// That of this name.
    pub(crate) fn of_name(name: &str) -> Option<Schema> {
        Schema::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Schema::PgCatalog => "pg_catalog",
            Schema::InformationSchema => "information_schema",
            Schema::Millrace => "millrace",
        }
    }

    /// Its oid: PostgreSQL's where it has the schema.
    pub fn oid(self) -> i64 {
        match self {
            Schema::PgCatalog => 11,
            Schema::InformationSchema => 13_207,
            Schema::Millrace => 16_001,
        }
    }
}

/// A relation that the server makes when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRelation {
    /// `millrace.frontiers`: how far each relation is complete, and what it holds.
    Frontiers,
    /// `millrace.hydration`: which relations can be read, and how far the others have come.
    Hydration,
    /// `millrace.view_errors`: the rows in error of each relation.
    ViewErrors,
    /// `millrace.definitions`: the texts that create views, indexes and constraints.
    Definitions,
    /// `millrace.names`: what the session's search path makes of the names of relations and schemas.
    Names,
    /// `millrace.sizes`: what each relation holds in memory.
    Sizes,
    /// `millrace.signatures`: the arguments and results of functions as messages write them.
    Signatures,
    /// `pg_am`
    AccessMethods,
    /// `pg_attrdef`
    Defaults,
    /// `pg_attribute`
    Attributes,
    /// `pg_cast`
    Casts,
    /// `pg_class`
    Classes,
    /// `pg_collation`
    Collations,
    /// `pg_constraint`
    Constraints,
    /// `pg_database`
    Databases,
    /// `pg_depend`: the sequences that go with columns.
    Dependencies,
    /// `pg_description`
    Descriptions,
    /// `pg_index`
    Indexes,
    /// `pg_language`
    Languages,
    /// `pg_indexes`
    IndexTexts,
    /// `pg_matviews`
    MaterializedViews,
    /// `pg_namespace`
    Namespaces,
    /// `pg_operator`
    Operators,
    /// `pg_proc`
    Functions,
    /// `pg_roles`
    Roles,
    /// `pg_sequence`
    Sequences,
    /// `pg_sequences`
    SequenceTexts,
    /// `pg_settings`
    Settings,
    /// `pg_tables`
    Tables,
    /// `pg_tablespace`
    Tablespaces,
    /// `pg_type`
    Types,
    /// `pg_user`
    Users,
    /// `pg_views`
    Views,
    /// `information_schema.columns`
    InformationColumns,
    /// `information_schema.key_column_usage`
    InformationKeys,
    /// `information_schema.schemata`
    InformationSchemata,
    /// `information_schema.sequences`
    InformationSequences,
    /// `information_schema.table_constraints`
    InformationConstraints,
    /// `information_schema.tables`
    InformationTables,
    /// `information_schema.views`
    InformationViews,
    /// The relation of `pg_catalog` of this oid, which has no rows.
    Vacant(i64),
}

/// What a system relation is called, and its columns.
struct Description {
    relation: SystemRelation,
    schema: Schema,
    oid: i64,
    name: &'static str,
    columns: &'static [(&'static str, DataType)],
}

fn descriptions() -> impl Iterator<Item = &'static Description> {
    [pg_catalog::RELATIONS, vacant::RELATIONS, information_schema::RELATIONS, millrace::RELATIONS]
        .into_iter()
        .flatten()
}

impl SystemRelation {
    /// All of them.
    pub fn all() -> impl Iterator<Item = SystemRelation> {
        descriptions().map(|description| description.relation)
    }

    fn description(self) -> Option<&'static Description> {
        descriptions().find(|description| description.relation == self)
    }

    /// The name in the schema.
    pub fn name(self) -> &'static str {
        self.description().map_or("", |description| description.name)
    }

    /// The schema.
    pub fn schema(self) -> Schema {
        self.description().map_or(Schema::PgCatalog, |description| description.schema)
    }

    /// The name with the schema.
    pub fn qualified_name(self) -> String {
        format!("{}.{}", self.schema().name(), self.name())
    }

    /// The oid.
    pub fn oid(self) -> i64 {
        self.description().map_or(0, |description| description.oid)
    }

    /// The id by which queries read it.
    pub fn id(self) -> RelationId {
        RelationId(FIRST_ID + self.oid().unsigned_abs())
    }

    /// The system relation of this id.
    pub fn of_id(id: RelationId) -> Option<SystemRelation> {
        let oid = id.0.checked_sub(FIRST_ID).and_then(|oid| i64::try_from(oid).ok())?;
        let found = descriptions().find(|description| description.oid == oid);
        found.map(|description| description.relation)
    }

    /// The system relation of this name in a schema.
    pub(crate) fn of_name(schema: &str, name: &str) -> Option<SystemRelation> {
        let found = descriptions()
            .find(|description| description.schema.name() == schema && description.name == name);
        found.map(|description| description.relation)
    }

    /// The columns.
    pub fn columns(self) -> Vec<Column> {
        let column = |(name, data_type): &(&str, DataType)| Column::new((*name).to_owned(), *data_type, true);
        self.description().map_or_else(Vec::new, |found| found.columns.iter().map(column).collect())
    }
}

/// The oid of a relation, of the catalog or of the system.
pub fn oid_of(id: RelationId) -> i64 {
    match SystemRelation::of_id(id) {
        Some(relation) => relation.oid(),
        None => i64::try_from(id.0).unwrap_or(i64::MAX).saturating_add(FIRST_OID),
    }
}

/// The oid of a schema of users.
pub fn oid_of_schema(id: SchemaId) -> i64 {
    if id.is_first() { PUBLIC_OID } else { oid_of(RelationId(id.0)) }
}

/// The id of a relation of the catalog by its oid; that of none for an oid of the system's.
pub(crate) fn id_of_oid(oid: i64) -> RelationId {
    RelationId(oid.saturating_sub(FIRST_OID).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_found_by_its_name_and_by_its_id() {
        for relation in SystemRelation::all() {
            let schema = relation.schema().name();
            assert_eq!(SystemRelation::of_name(schema, relation.name()), Some(relation));
            assert_eq!(SystemRelation::of_id(relation.id()), Some(relation));
            assert_eq!(oid_of(relation.id()), relation.oid());
        }
        assert_eq!(SystemRelation::of_id(RelationId(1)), None);
        assert_eq!(oid_of(RelationId(1)), 16_385);
    }

    #[test]
    fn no_two_have_the_same_oid_and_none_has_one_of_the_catalog() {
        let oids: BTreeSet<i64> = SystemRelation::all().map(SystemRelation::oid).collect();
        assert_eq!(oids.len(), SystemRelation::all().count());
        assert!(oids.iter().all(|oid| (1..FIRST_OID).contains(oid)));
    }
}
