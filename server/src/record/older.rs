//! The catalog's changes as older logs have them: versions one and two, in postcard's form, where fields have
//! places and no names. Read, never written. Nothing here may change.

use millrace_engine::{DataType, Expr, PlanRef, RelationId, Tick};
use millrace_sql::{
    CatalogChange, Column, IndexKey, OnError, Relation, RelationKind, SchemaId, TableRules, Uniqueness,
    ViewOptions,
};
use serde::{Deserialize, Serialize};

/// A change; `P` is a plan, as a tree or as a list of operators.
#[derive(Serialize, Deserialize)]
pub(super) enum OldChange<P> {
    Create(OldRelation<P>),
    Drop(Vec<RelationId>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct OldRelation<P> {
    id: RelationId,
    name: String,
    columns: Vec<OldColumn>,
    kind: OldKind<P>,
    created: Tick,
}

#[derive(Serialize, Deserialize)]
struct OldColumn {
    name: String,
    data_type: DataType,
    nullable: bool,
}

#[derive(Serialize, Deserialize)]
enum OldKind<P> {
    Table { keep_rows: bool },
    MaterializedView { sql: String, plan: P, options: OldOptions },
    Index { on: RelationId, columns: Vec<DataType>, keys: Vec<OldKey>, definition: String },
}

#[derive(Serialize, Deserialize)]
struct OldKey {
    expr: Expr,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct OldOptions {
    on_error: OldOnError,
    memory_limit: Option<u64>,
}

#[derive(Serialize, Deserialize)]
enum OldOnError {
    Fail,
    Skip,
}

impl<P: Into<PlanRef>> From<OldChange<P>> for CatalogChange {
    fn from(change: OldChange<P>) -> CatalogChange {
        match change {
            OldChange::Create(OldRelation { id, name, columns, kind, created }) => {
                let columns = columns.into_iter().map(Column::from).collect();
                let (schema, kind) = (SchemaId::PUBLIC, kind.into());
                CatalogChange::Create(Relation { id, name, schema, columns, kind, created })
            }
            OldChange::Drop(ids) => CatalogChange::Drop(ids),
        }
    }
}

impl From<OldColumn> for Column {
    fn from(OldColumn { name, data_type, nullable }: OldColumn) -> Column {
        Column::new(name, data_type, nullable)
    }
}

impl<P: Into<PlanRef>> From<OldKind<P>> for RelationKind {
    fn from(kind: OldKind<P>) -> RelationKind {
        match kind {
            OldKind::Table { keep_rows } => RelationKind::Table { keep_rows, rules: TableRules::default() },
            OldKind::MaterializedView { sql, plan, options: OldOptions { on_error, memory_limit } } => {
                let on_error = match on_error {
                    OldOnError::Fail => OnError::Fail,
                    OldOnError::Skip => OnError::Skip,
                };
                let options = ViewOptions { on_error, memory_limit };
                let (through, known) = (Vec::new(), None);
                RelationKind::MaterializedView { sql, plan: plan.into(), options, through, known }
            }
            OldKind::Index { on, columns, keys, definition } => {
                let keys = keys.into_iter().map(|OldKey { expr, text }| IndexKey { expr, text }).collect();
                RelationKind::Index { on, columns, keys, definition, uniqueness: Uniqueness::None }
            }
        }
    }
}
