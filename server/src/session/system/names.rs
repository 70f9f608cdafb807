//! PostgreSQL's views for people: `pg_tables`, `pg_views`, `pg_matviews`, `pg_indexes`; and how names are shown.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_engine::{RelationId, RelationReport};
use millrace_sql::{
    Catalog, OWNER, Relation, RelationKind, Schema, SearchPath, SystemRelation, oid_of, oid_of_schema, quoted,
};

use super::cells::{Table, row};
use super::classes::kind;
use super::constraints::{all_indexes, query_of};

fn of_kind<'c>(catalog: &'c Catalog, wanted: &'static str) -> impl Iterator<Item = &'c Relation> {
    catalog.relations().map(AsRef::as_ref).filter(move |relation| kind(relation) == wanted)
}

fn has_indexes(catalog: &Catalog, relation: &Relation) -> bool {
    catalog.indexes(relation.id).next().is_some()
}

/// `pg_tables`
pub(super) fn tables(catalog: &Catalog) -> Table {
    let own = of_kind(catalog, "r")
        .map(|table| row![catalog.schema_of(table), table.name.as_str(), has_indexes(catalog, table)]);
    let system = SystemRelation::all()
        .filter(|relation| relation.schema() == Schema::PgCatalog)
        .map(|relation| row![relation.schema().name(), relation.name(), false]);
    Table::new(&["schemaname", "tablename", "hasindexes"], own.chain(system).collect())
        .with(&["tableowner"], OWNER)
        .with(&["hasrules", "hastriggers", "rowsecurity"], false)
}

/// `pg_views`
pub(super) fn views(catalog: &Catalog) -> Table {
    let rows =
        of_kind(catalog, "v").map(|view| row![catalog.schema_of(view), view.name.as_str(), definition(view)]);
    Table::new(&["schemaname", "viewname", "definition"], rows.collect()).with(&["viewowner"], OWNER)
}

/// `pg_matviews`
pub(super) fn materialized_views(catalog: &Catalog) -> Table {
    let rows = of_kind(catalog, "m").map(|view| {
        let schema = catalog.schema_of(view);
        row![schema, view.name.as_str(), definition(view), has_indexes(catalog, view)]
    });
    Table::new(&["schemaname", "matviewname", "definition", "hasindexes"], rows.collect())
        .with(&["matviewowner"], OWNER)
        .with(&["ispopulated"], true)
}

/// A view's query, as it was written.
fn definition(view: &Relation) -> Option<String> {
    query_of(view).map(|sql| format!("{sql};"))
}

/// `pg_indexes`
pub(super) fn indexes(catalog: &Catalog) -> Table {
    let rows = all_indexes(catalog).map(|index| {
        let schema = catalog.schema_of(index.relation);
        row![schema, index.on.name.as_str(), index.relation.name.as_str(), index.definition]
    });
    Table::new(&["schemaname", "tablename", "indexname", "indexdef"], rows.collect())
}

/// `millrace.names`: relations and schemas as SQL writes them from where the session looks.
pub(super) fn names(catalog: &Catalog, path: &SearchPath) -> Table {
    let own = catalog.relations().map(|relation| {
        let visible = catalog.is_visible(relation, path);
        row![
            oid_of(relation.id),
            catalog.shown(relation, path),
            catalog.qualified_along(relation, path),
            visible
        ]
    });
    let system = SystemRelation::all().map(|relation| {
        let (qualified, visible) = (relation.qualified_name(), catalog.sees(relation, path));
        let name = if visible { relation.name().to_owned() } else { qualified.clone() };
        row![relation.oid(), name, qualified, visible]
    });
    let schema = |oid: i64, name: &str| row![oid, quoted(name), Option::<&str>::None, Option::<bool>::None];
    let schemas = catalog.schemas().map(|own| schema(oid_of_schema(own.id), &own.name));
    let system_schemas = Schema::ALL.iter().map(|system| schema(system.oid(), system.name()));
    let rows = own.chain(system).chain(schemas).chain(system_schemas).collect();
    Table::new(&["oid", "name", "qualified", "visible"], rows)
}

/// `millrace.sizes`: what each relation holds in memory, and what its indexes do.
pub(super) fn sizes(catalog: &Catalog, reports: &[(Arc<Relation>, RelationReport)]) -> Table {
    let sizes: HashMap<RelationId, usize> =
        reports.iter().map(|(relation, report)| (relation.id, report.state.bytes)).collect();
    let bytes = |relation: &Relation| sizes.get(&relation.id).copied().unwrap_or_default();
    let rows = catalog.relations().map(|relation| {
        let indexes: usize = catalog.indexes(relation.id).map(|index| bytes(index)).sum();
        row![oid_of(relation.id), bytes(relation), indexes]
    });
    Table::new(&["oid", "bytes", "indexes"], rows.collect())
}

/// Whether rows can be written to it.
pub(super) fn takes_rows(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table { .. })
}
