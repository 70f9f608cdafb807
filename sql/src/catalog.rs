//! The catalog: which relations exist, by name and by id. A value: cloned, changed, published whole.
//!
//! Every change is a `CatalogChange`, written to the log before it takes effect and replayed at
//! start. Invariant: applying the same changes in the same order gives the same catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace_engine::{DataType, Expr, PlanRef, RelationId, Tick};
use serde::{Deserialize, Serialize};

use crate::error::SqlError;

/// A column of a relation or of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its visible name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// False where NOT NULL holds.
    pub nullable: bool,
}

/// A table, a view or an index, with everything needed to install it again after a restart; `P` is a plan, in
/// the form that it has in memory or in an older log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation<P = PlanRef> {
    /// Its id.
    pub id: RelationId,
    /// Its name, unqualified.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// What it is.
    pub kind: RelationKind<P>,
    /// The tick of its creation.
    pub created: Tick,
}

/// What a relation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind<P = PlanRef> {
    /// A table.
    Table {
        /// False for a stream: `WITH (append_only, retention = '0')` keeps no rows.
        keep_rows: bool,
    },
    /// A materialized view.
    MaterializedView {
        /// The query as the user wrote it.
        sql: String,
        /// What is maintained.
        plan: P,
        /// WITH (…).
        options: ViewOptions,
    },
    /// An index. Its columns are its keys.
    Index {
        /// What it is an index of.
        on: RelationId,
        /// The types of the columns of that.
        columns: Vec<DataType>,
        /// What it is by.
        keys: Vec<IndexKey>,
        /// The statement that creates it, as PostgreSQL would write it.
        definition: String,
    },
}

/// One of the values that an index is by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The value, over the columns of the relation.
    pub expr: Expr,
    /// How it is written in SQL: a column's name, a call, or an expression in parentheses.
    pub text: String,
}

/// What WITH says of a materialized view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewOptions {
    /// What its readers get where rows cannot be computed.
    pub on_error: OnError,
    /// The bytes that it may hold; none: as the server was told.
    pub memory_limit: Option<u64>,
}

/// What the readers of a view get where rows cannot be computed. Serialised: only append variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// The error.
    #[default]
    Fail,
    /// The other rows.
    Skip,
}

/// One change of the catalog, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogChange<P = PlanRef> {
    /// CREATE TABLE, CREATE MATERIALIZED VIEW or CREATE INDEX. The id and `created` are assigned by the coordinator at commit.
    Create(Relation<P>),
    /// DROP of these relations, dependants first.
    Drop(Vec<RelationId>),
}

impl<P: Into<PlanRef>> CatalogChange<P> {
    /// The change with its plan in the form that it has in memory.
    pub fn with_shared_plan(self) -> CatalogChange {
        match self {
            CatalogChange::Create(Relation { id, name, columns, kind, created }) => {
                CatalogChange::Create(Relation { id, name, columns, kind: kind.with_shared_plan(), created })
            }
            CatalogChange::Drop(ids) => CatalogChange::Drop(ids),
        }
    }
}

impl<P: Into<PlanRef>> RelationKind<P> {
    fn with_shared_plan(self) -> RelationKind {
        match self {
            RelationKind::Table { keep_rows } => RelationKind::Table { keep_rows },
            RelationKind::MaterializedView { sql, plan, options } => {
                RelationKind::MaterializedView { sql, plan: plan.into(), options }
            }
            RelationKind::Index { on, columns, keys, definition } => {
                RelationKind::Index { on, columns, keys, definition }
            }
        }
    }
}

/// All relations at one moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    by_id: BTreeMap<RelationId, Arc<Relation>>,
    by_name: BTreeMap<String, RelationId>,
    next_id: u64,
}

impl Catalog {
    /// The id that the next relation gets.
    pub fn next_id(&self) -> RelationId {
        RelationId(self.next_id.max(1))
    }

    /// The relation of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Relation>> {
        self.by_name.get(name).and_then(|id| self.by_id.get(id))
    }

    /// The relation of this id.
    pub fn by_id(&self, id: RelationId) -> Option<&Arc<Relation>> {
        self.by_id.get(&id)
    }

    /// All relations in the order of their creation, so that each comes after what it reads.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.by_id.values()
    }

    /// The views that read `id`, directly or through other views, dependants first (the reverse of creation).
    pub fn dependants(&self, id: RelationId) -> Vec<RelationId> {
        let mut found = vec![id];
        for relation in self.by_id.values() {
            if let RelationKind::MaterializedView { plan, .. } = &relation.kind
                && plan.relations().iter().any(|read| found.contains(read))
            {
                found.push(relation.id);
            }
        }
        found.remove(0);
        found.reverse();
        found
    }

    /// The indexes of a relation, the oldest first.
    pub fn indexes(&self, of: RelationId) -> impl Iterator<Item = &Arc<Relation>> {
        self.by_id
            .values()
            .filter(move |relation| matches!(&relation.kind, RelationKind::Index { on, .. } if *on == of))
    }

    /// These relations with their indexes, dependants first: an index goes with its relation.
    pub fn with_indexes(&self, ids: impl IntoIterator<Item = RelationId>) -> Vec<RelationId> {
        let mut all: BTreeSet<RelationId> = ids.into_iter().collect();
        let indexes: Vec<RelationId> =
            all.iter().flat_map(|id| self.indexes(*id)).map(|index| index.id).collect();
        all.extend(indexes);
        // A dependant is created after what it reads and so has the greater id.
        all.into_iter().rev().collect()
    }

    /// Applies a change; on an error nothing is changed.
    ///
    /// # Errors
    /// 42P07 for a name that is taken, 42P01 for an id that does not exist, 2BP01 for a drop that
    /// would leave a dependant or an index behind.
    pub fn apply(&mut self, change: &CatalogChange) -> Result<(), SqlError> {
        match change {
            CatalogChange::Create(relation) => {
                if self.by_name.contains_key(&relation.name) {
                    return Err(SqlError::new(
                        "42P07",
                        format!("relation \"{}\" already exists", relation.name),
                    ));
                }
                self.next_id = self.next_id.max(relation.id.0 + 1);
                self.by_name.insert(relation.name.clone(), relation.id);
                self.by_id.insert(relation.id, Arc::new(relation.clone()));
            }
            CatalogChange::Drop(ids) => {
                for id in ids {
                    let Some(relation) = self.by_id.get(id) else {
                        return Err(SqlError::new("42P01", format!("relation {id} does not exist")));
                    };
                    if let Some(left) =
                        self.dependants(*id).into_iter().find(|dependant| !ids.contains(dependant))
                    {
                        let name = self.by_id.get(&left).map(|r| r.name.clone()).unwrap_or_default();
                        return Err(SqlError::new(
                            "2BP01",
                            format!("cannot drop {} because other objects depend on it", relation.name),
                        )
                        .detail(format!("materialized view {name} depends on {}", relation.name)));
                    }
                    if let Some(index) = self.indexes(*id).find(|index| !ids.contains(&index.id)) {
                        return Err(SqlError::internal(format_args!(
                            "{} would be dropped without its index {}",
                            relation.name, index.name
                        )));
                    }
                }
                for id in ids {
                    if let Some(relation) = self.by_id.remove(id) {
                        self.by_name.remove(&relation.name);
                    }
                }
            }
        }
        Ok(())
    }
}
