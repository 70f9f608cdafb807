//! `pg_class`, `pg_attribute` and `pg_attrdef`: every relation with its columns, those of the system among them.

use millrace_engine::{DataType, RelationId};
use millrace_sql::{
    Catalog, Column, Generated, PUBLIC_PATH, Relation, RelationKind, SearchPath, SystemRelation,
    is_temporary, oid_of, oid_of_schema,
};

use super::cells::{Cell, Table, row};
use super::fixed::{OWNER_OID, element_of, type_of};
use crate::pgwire::wire_type;

/// From here on PostgreSQL's own oids are those of views.
const FIRST_SYSTEM_VIEW: i64 = 12_000;

/// The oids of `pg_class` and `pg_namespace`.
const CLASSES_OID: i64 = 1_259;
const NAMESPACES_OID: i64 = 2_615;

/// Oids of what a relation has several of begin here.
const FIRST_PART_OID: i64 = 1 << 31;

/// A relation has at most so many columns, as in PostgreSQL, and we let it have no more checks.
const PARTS_MAX: i64 = 2048;

/// The oid of the n-th column's default, or of the n-th check, of a relation: each kind has a catalog of its own.
pub(super) fn part_oid(relation: RelationId, part: usize) -> i64 {
    let id = i64::try_from(relation.0).unwrap_or(i64::MAX);
    let part = i64::try_from(part).unwrap_or(i64::MAX);
    id.saturating_mul(PARTS_MAX).saturating_add(FIRST_PART_OID).saturating_add(part)
}

/// `relkind`
pub(super) fn kind(relation: &Relation) -> &'static str {
    match &relation.kind {
        RelationKind::Table { .. } => "r",
        RelationKind::View { .. } => "v",
        RelationKind::MaterializedView { .. } => "m",
        RelationKind::Index { .. } => "i",
        RelationKind::Sequence(_) => "S",
    }
}

fn system_kind(relation: SystemRelation) -> &'static str {
    if relation.oid() >= FIRST_SYSTEM_VIEW { "v" } else { "r" }
}

/// The access method's oid: rows are kept by hash, and indexes say what they were created to be.
fn access_method(kind: &str, definition: Option<&str>) -> i64 {
    match (kind, definition) {
        ("r" | "m", _) => 2,
        ("i", Some(definition)) if definition.contains(" USING hash ") => 405,
        ("i", _) => 403,
        _ => 0,
    }
}

/// `pg_class`
pub(super) fn classes(catalog: &Catalog) -> Table {
    let own = catalog.relations().map(|relation| {
        let (checks, definition) = match &relation.kind {
            RelationKind::Table { rules, .. } => (rules.checks.len(), None),
            RelationKind::Index { definition, .. } => (0, Some(definition.as_str())),
            RelationKind::View { .. } | RelationKind::MaterializedView { .. } | RelationKind::Sequence(_) => {
                (0, None)
            }
        };
        let kind = kind(relation);
        row![
            oid_of(relation.id),
            relation.name.as_str(),
            oid_of_schema(relation.schema),
            kind,
            relation.columns.len(),
            checks,
            catalog.indexes(relation.id).next().is_some(),
            matches!(relation.kind, RelationKind::View { .. } | RelationKind::MaterializedView { .. }),
            access_method(kind, definition),
            if kind == "i" { "n" } else { "d" },
            if is_temporary(catalog, relation) { "t" } else { "p" },
        ]
    });
    let system = SystemRelation::all().map(|relation| {
        let kind = system_kind(relation);
        row![
            relation.oid(),
            relation.name(),
            relation.schema().oid(),
            kind,
            relation.columns().len(),
            0,
            false,
            false,
            access_method(kind, None),
            "n",
            "p",
        ]
    });
    let names = &[
        "oid",
        "relname",
        "relnamespace",
        "relkind",
        "relnatts",
        "relchecks",
        "relhasindex",
        "relhasrules",
        "relam",
        "relreplident",
        "relpersistence",
    ];
    Table::new(names, own.chain(system).collect())
        .with(&["relowner"], OWNER_OID)
        .with(&["reltype", "reloftype", "relfilenode", "reltablespace", "reltoastrelid", "relrewrite"], 0)
        .with(&["relpages", "relallvisible", "relfrozenxid", "relminmxid"], 0)
        .with(&["reltuples"], -1)
        .with(&["relispopulated"], true)
        .with(&["relisshared", "relhastriggers", "relhassubclass", "relrowsecurity"], false)
        .with(&["relforcerowsecurity", "relispartition"], false)
}

/// A type's oid and modifier.
pub(super) fn type_and_modifier(data_type: DataType) -> (i64, i64) {
    let wire = wire_type(data_type);
    (i64::from(wire.oid), i64::from(wire.modifier))
}

/// `attidentity`
fn identity(relation: &Relation, at: usize) -> &'static str {
    let drawn = relation.rules().and_then(|rules| rules.drawn_of(at));
    match drawn.map(|drawn| drawn.generated) {
        Some(Generated::Always) => "a",
        Some(Generated::ByDefault) => "d",
        Some(Generated::Default) | None => "",
    }
}

fn attribute(oid: i64, at: usize, column: &Column, has_default: bool, identity: &str) -> Vec<Cell> {
    let (type_oid, modifier) = type_and_modifier(column.data_type);
    let known = type_of(type_oid);
    let element = element_of(type_oid);
    let alignment = element.map(|element| if element.align == "d" { "d" } else { "i" });
    let type_oid = if column.dropped { 0 } else { type_oid };
    row![
        oid,
        column.name.as_str(),
        type_oid,
        modifier,
        known.map_or(-1, |known| known.length),
        at + 1,
        known.is_some_and(|known| known.by_value),
        known.map(|known| known.align).or(alignment),
        known.map_or("x", |known| known.storage),
        !column.nullable,
        has_default,
        known.or(element).map(|known| known.collation),
        i64::from(element.is_some()),
        identity,
        column.dropped,
    ]
}

/// `pg_attribute`
pub(super) fn attributes(catalog: &Catalog) -> Table {
    let own = catalog.relations().flat_map(|relation| {
        let has_default = |at| catalog.default_text(relation, at, &PUBLIC_PATH).is_some();
        let columns = relation.columns.iter().enumerate();
        columns.map(move |(at, column)| {
            let (number, identity) = (relation.number(at), identity(relation, at));
            attribute(oid_of(relation.id), number, column, has_default(at), identity)
        })
    });
    let system = SystemRelation::all().flat_map(|relation| {
        let columns = relation.columns().into_iter().enumerate();
        columns.map(move |(at, column)| attribute(relation.oid(), at, &column, false, ""))
    });
    let names = &[
        "attrelid",
        "attname",
        "atttypid",
        "atttypmod",
        "attlen",
        "attnum",
        "attbyval",
        "attalign",
        "attstorage",
        "attnotnull",
        "atthasdef",
        "attcollation",
        "attndims",
        "attidentity",
        "attisdropped",
    ];
    Table::new(names, own.chain(system).collect())
        .with(&["attstattarget", "attcacheoff"], -1)
        .with(&["attinhcount"], 0)
        .with(&["attcompression", "attgenerated"], "")
        .with(&["atthasmissing"], false)
        .with(&["attislocal"], true)
}

/// `pg_attrdef`: each default as it was written.
pub(super) fn defaults(catalog: &Catalog, path: &SearchPath) -> Table {
    let rows = catalog.relations().flat_map(|relation| {
        let row = move |at| {
            let default = catalog.default_text(relation, at, path)?;
            Some(row![part_oid(relation.id, at), oid_of(relation.id), relation.number(at) + 1, default])
        };
        (0..relation.columns.len()).filter_map(row)
    });
    Table::new(&["oid", "adrelid", "adnum", "adbin"], rows.collect())
}

/// `pg_description`: comments on schemas, relations and columns.
pub(super) fn comments(catalog: &Catalog) -> Table {
    let relations = catalog.comments().map(|(relation, column, text)| {
        let number = |place| catalog.by_id(relation).map_or(place, |relation| relation.number(place)) + 1;
        row![oid_of(relation), CLASSES_OID, column.map_or(0, number), text]
    });
    let schemas = catalog.schemas().filter_map(|schema| {
        Some(row![oid_of_schema(schema.id), NAMESPACES_OID, 0, schema.comment.as_deref()?])
    });
    let names = &["objoid", "classoid", "objsubid", "description"];
    Table::new(names, relations.chain(schemas).collect())
}
