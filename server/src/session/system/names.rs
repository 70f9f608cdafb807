//! PostgreSQL's views for people: `pg_tables`, `pg_views`, `pg_matviews`, `pg_indexes`.

use millrace_sql::{Catalog, Relation, RelationKind, Schema, SystemRelation};

use super::cells::{Table, row};
use super::classes::kind;
use super::constraints::{all_indexes, query_of};
use super::fixed::OWNER;

fn of_kind<'c>(catalog: &'c Catalog, wanted: &'static str) -> impl Iterator<Item = &'c Relation> {
    catalog.relations().map(AsRef::as_ref).filter(move |relation| kind(relation) == wanted)
}

fn has_indexes(catalog: &Catalog, relation: &Relation) -> bool {
    catalog.indexes(relation.id).next().is_some()
}

/// `pg_tables`
pub(super) fn tables(catalog: &Catalog) -> Table {
    let own = of_kind(catalog, "r")
        .map(|table| row![Schema::Public.name(), table.name.as_str(), has_indexes(catalog, table)]);
    let system = SystemRelation::all()
        .filter(|relation| relation.schema() == Schema::PgCatalog)
        .map(|relation| row![relation.schema().name(), relation.name(), false]);
    Table::new(&["schemaname", "tablename", "hasindexes"], own.chain(system).collect())
        .with(&["tableowner"], OWNER)
        .with(&["hasrules", "hastriggers", "rowsecurity"], false)
}

/// `pg_views`
pub(super) fn views(catalog: &Catalog) -> Table {
    let rows = of_kind(catalog, "v").map(|view| row![view.name.as_str(), definition(view)]);
    Table::new(&["viewname", "definition"], rows.collect())
        .with(&["schemaname"], Schema::Public.name())
        .with(&["viewowner"], OWNER)
}

/// `pg_matviews`
pub(super) fn materialized_views(catalog: &Catalog) -> Table {
    let rows = of_kind(catalog, "m")
        .map(|view| row![view.name.as_str(), definition(view), has_indexes(catalog, view)]);
    Table::new(&["matviewname", "definition", "hasindexes"], rows.collect())
        .with(&["schemaname"], Schema::Public.name())
        .with(&["matviewowner"], OWNER)
        .with(&["ispopulated"], true)
}

/// A view's query, as it was written.
fn definition(view: &Relation) -> Option<String> {
    query_of(view).map(|sql| format!("{sql};"))
}

/// `pg_indexes`
pub(super) fn indexes(catalog: &Catalog) -> Table {
    let rows = all_indexes(catalog)
        .map(|index| row![index.on.name.as_str(), index.relation.name.as_str(), index.definition]);
    Table::new(&["tablename", "indexname", "indexdef"], rows.collect())
        .with(&["schemaname"], Schema::Public.name())
}

/// Whether rows can be written to it.
pub(super) fn takes_rows(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table { .. })
}
