//! `pg_index` and `pg_constraint`, and `millrace.definitions`: the texts that create what has an oid.

use std::sync::Arc;

use millrace_engine::{Expr, RelationId};
use millrace_sql::{Catalog, IndexKey, Relation, RelationKind, Uniqueness, oid_of, oid_of_schema};

use super::cells::{Cell, Table, row};
use super::classes::part_oid;

/// An index, as the catalog has it.
pub(super) struct Index<'c> {
    pub(super) relation: &'c Relation,
    pub(super) on: &'c Arc<Relation>,
    pub(super) keys: &'c [IndexKey],
    pub(super) definition: String,
    pub(super) uniqueness: Uniqueness,
}

impl Index<'_> {
    /// The columns that it is by, from 1; 0 for an expression.
    pub(super) fn columns(&self) -> Vec<usize> {
        let number = |key: &IndexKey| match &key.expr {
            Expr::Column(at) => at + 1,
            Expr::Literal(_)
            | Expr::Call { .. }
            | Expr::Cast { .. }
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::Case { .. } => 0,
        };
        self.keys.iter().map(number).collect()
    }

    fn texts(&self) -> String {
        self.keys.iter().map(|key| key.text.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// `contype`, where it belongs to a constraint.
    pub(super) fn constraint(&self) -> Option<&'static str> {
        match self.uniqueness {
            Uniqueness::None | Uniqueness::Index => None,
            Uniqueness::Unique => Some("u"),
            Uniqueness::Primary => Some("p"),
        }
    }
}

/// All indexes.
pub(super) fn all_indexes(catalog: &Catalog) -> impl Iterator<Item = Index<'_>> {
    catalog.relations().filter_map(|relation| match &relation.kind {
        RelationKind::Index { on, keys, uniqueness, .. } => {
            let (on, definition) = (catalog.by_id(*on)?, catalog.definition(relation)?);
            Some(Index { relation, on, keys, definition, uniqueness: *uniqueness })
        }
        RelationKind::Table { .. }
        | RelationKind::View { .. }
        | RelationKind::MaterializedView { .. }
        | RelationKind::Sequence(_) => None,
    })
}

/// Each CHECK: its table, its number there, its name and its condition.
pub(super) fn all_checks(catalog: &Catalog) -> impl Iterator<Item = (&Relation, usize, &str, &str)> {
    catalog.relations().flat_map(|relation| {
        let checks = relation.rules().map_or(&[][..], |rules| &rules.checks);
        let checks = checks.iter().enumerate();
        checks.map(|(at, check)| (relation.as_ref(), at, check.name.as_str(), check.condition.as_str()))
    })
}

fn joined(numbers: &[usize], separator: &str) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(separator)
}

/// `pg_index`
pub(super) fn indexes(catalog: &Catalog) -> Table {
    let rows = all_indexes(catalog).map(|index| {
        let zeros = vec![0; index.keys.len()];
        row![
            oid_of(index.relation.id),
            oid_of(index.on.id),
            index.keys.len(),
            index.keys.len(),
            index.uniqueness != Uniqueness::None,
            index.uniqueness == Uniqueness::Primary,
            joined(&index.columns(), " "),
            joined(&zeros, " "),
            joined(&zeros, " "),
            joined(&zeros, " "),
        ]
    });
    let names = &[
        "indexrelid",
        "indrelid",
        "indnatts",
        "indnkeyatts",
        "indisunique",
        "indisprimary",
        "indkey",
        "indcollation",
        "indclass",
        "indoption",
    ];
    Table::new(names, rows.collect())
        .with(&["indimmediate", "indisvalid", "indisready", "indislive"], true)
        .with(&["indnullsnotdistinct", "indisexclusion", "indisclustered", "indcheckxmin"], false)
        .with(&["indisreplident"], false)
}

/// The oid of the constraint that an index belongs to: the index's, in another catalog.
fn key_constraint_oid(index: RelationId) -> i64 {
    oid_of(index)
}

/// `pg_constraint`
pub(super) fn constraints(catalog: &Catalog) -> Table {
    let none = Option::<&str>::None;
    let keys = all_indexes(catalog).filter_map(|index| {
        Some(row![
            key_constraint_oid(index.relation.id),
            index.relation.name.as_str(),
            oid_of_schema(index.on.schema),
            index.constraint()?,
            oid_of(index.on.id),
            oid_of(index.relation.id),
            true,
            format!("{{{}}}", joined(&index.columns(), ",")),
            none,
        ])
    });
    let checks = all_checks(catalog).map(|(table, at, name, condition)| {
        let schema = oid_of_schema(table.schema);
        row![part_oid(table.id, at), name, schema, "c", oid_of(table.id), 0, false, none, condition]
    });
    let names = &[
        "oid",
        "conname",
        "connamespace",
        "contype",
        "conrelid",
        "conindid",
        "connoinherit",
        "conkey",
        "conbin",
    ];
    Table::new(names, keys.chain(checks).collect())
        .with(&["condeferrable", "condeferred"], false)
        .with(&["convalidated", "conislocal"], true)
        .with(&["contypid", "conparentid", "confrelid", "coninhcount"], 0)
        .with(&["confupdtype", "confdeltype", "confmatchtype"], " ")
}

/// The text of a view's query, if it is a view.
pub(super) fn query_of(relation: &Relation) -> Option<&str> {
    match &relation.kind {
        RelationKind::View { sql, .. } | RelationKind::MaterializedView { sql, .. } => Some(sql),
        RelationKind::Table { .. } | RelationKind::Index { .. } | RelationKind::Sequence(_) => None,
    }
}

/// `millrace.definitions`: part 0 is the whole, the others are columns of indexes. A constraint of a key has
/// its index's oid; there the part -1 is the constraint.
pub(super) fn definitions(catalog: &Catalog) -> Table {
    let views = catalog
        .relations()
        .filter_map(|view| Some(row![oid_of(view.id), 0, format!("{};", query_of(view)?)]));
    let indexes = all_indexes(catalog).flat_map(|index| definitions_of_index(&index));
    let checks = all_checks(catalog)
        .map(|(table, at, _, condition)| row![part_oid(table.id, at), -1, format!("CHECK ({condition})")]);
    Table::new(&["oid", "part", "definition"], views.chain(indexes).chain(checks).collect())
}

fn definitions_of_index(index: &Index) -> Vec<Vec<Cell>> {
    let oid = oid_of(index.relation.id);
    let kind = match index.uniqueness {
        Uniqueness::None | Uniqueness::Index => None,
        Uniqueness::Unique => Some("UNIQUE"),
        Uniqueness::Primary => Some("PRIMARY KEY"),
    };
    let constraint = kind.map(|kind| row![oid, -1, format!("{kind} ({})", index.texts())]);
    let keys = index.keys.iter().enumerate().map(|(at, key)| row![oid, at + 1, key.text.as_str()]);
    [row![oid, 0, index.definition.as_str()]].into_iter().chain(constraint).chain(keys).collect()
}
