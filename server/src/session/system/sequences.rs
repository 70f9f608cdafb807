//! What the catalogs tell of sequences: `pg_sequence`, `pg_sequences`, `information_schema.sequences`, and in
//! `pg_depend` the columns that they go with.

use millrace_engine::DataType;
use millrace_sql::{Catalog, DATABASE, Generated, OWNER, Relation, RelationKind, Sequence, oid_of};

use super::cells::{Table, row};
use super::classes::type_and_modifier;
use super::fixed::type_of;

fn all(catalog: &Catalog) -> impl Iterator<Item = (&Relation, &Sequence)> {
    catalog.relations().filter_map(|relation| match &relation.kind {
        RelationKind::Sequence(sequence) => Some((relation.as_ref(), sequence)),
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. }
        | RelationKind::Index { .. } => None,
    })
}

/// `pg_sequence`
pub(super) fn sequences(catalog: &Catalog) -> Table {
    let rows = all(catalog).map(|(relation, sequence)| {
        row![
            oid_of(relation.id),
            type_and_modifier(sequence.data_type).0,
            sequence.start,
            sequence.increment,
            sequence.max,
            sequence.min,
            sequence.cache,
            sequence.cycles,
        ]
    });
    let names =
        &["seqrelid", "seqtypid", "seqstart", "seqincrement", "seqmax", "seqmin", "seqcache", "seqcycle"];
    Table::new(names, rows.collect())
}

fn type_name(sequence: &Sequence) -> Option<&'static str> {
    type_of(type_and_modifier(sequence.data_type).0).map(|known| known.long_name)
}

/// `pg_sequences`: `last_value` is the last that was set aside.
pub(super) fn texts(catalog: &Catalog) -> Table {
    let rows = all(catalog).map(|(relation, sequence)| {
        row![
            catalog.schema_of(relation),
            relation.name.as_str(),
            type_name(sequence),
            sequence.start,
            sequence.min,
            sequence.max,
            sequence.increment,
            sequence.cycles,
            sequence.cache,
            sequence.position.is_called.then_some(sequence.position.value),
        ]
    });
    let names = &[
        "schemaname",
        "sequencename",
        "data_type",
        "start_value",
        "min_value",
        "max_value",
        "increment_by",
        "cycle",
        "cache_size",
        "last_value",
    ];
    Table::new(names, rows.collect()).with(&["sequenceowner"], OWNER)
}

/// `information_schema.sequences`: those of identity columns are not in it, as in PostgreSQL.
pub(super) fn information(catalog: &Catalog) -> Table {
    let is_listed = |relation: &Relation| deptype(catalog, relation) != Some("i");
    let rows = all(catalog).filter(|(relation, _)| is_listed(relation)).map(|(relation, sequence)| {
        let bits = match sequence.data_type {
            DataType::Int16 => 16,
            DataType::Int32 => 32,
            _ => 64,
        };
        row![
            catalog.schema_of(relation),
            relation.name.as_str(),
            type_name(sequence),
            bits,
            sequence.start.to_string(),
            sequence.min.to_string(),
            sequence.max.to_string(),
            sequence.increment.to_string(),
            if sequence.cycles { "YES" } else { "NO" },
        ]
    });
    let names = &[
        "sequence_schema",
        "sequence_name",
        "data_type",
        "numeric_precision",
        "start_value",
        "minimum_value",
        "maximum_value",
        "increment",
        "cycle_option",
    ];
    Table::new(names, rows.collect())
        .with(&["sequence_catalog"], DATABASE)
        .with(&["numeric_precision_radix"], 2)
        .with(&["numeric_scale"], 0)
}

/// How a sequence goes with a column: `i`, it is the column's identity; `a`, it was made for it or given to it.
fn deptype(catalog: &Catalog, sequence: &Relation) -> Option<&'static str> {
    let (table, column) = catalog.owner(sequence.id)?;
    let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
    let is_identity =
        drawn.is_some_and(|drawn| drawn.sequence == sequence.id && drawn.generated != Generated::Default);
    Some(if is_identity { "i" } else { "a" })
}

/// `pg_depend`: the sequences that go with columns, and nothing else.
pub(super) fn dependencies(catalog: &Catalog) -> Table {
    let rows = all(catalog).filter_map(|(relation, _)| {
        let (table, column) = catalog.owner(relation.id)?;
        Some(row![oid_of(relation.id), oid_of(table.id), column + 1, deptype(catalog, relation)?])
    });
    Table::new(&["objid", "refobjid", "refobjsubid", "deptype"], rows.collect())
        .with(&["classid", "refclassid"], 1259)
        .with(&["objsubid"], 0)
}
