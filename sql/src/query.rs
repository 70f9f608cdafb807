//! A bound query: run it over snapshots at one tick, or lower it to a dataflow plan.

use std::collections::HashMap;
use std::pin::Pin;

use datafusion::arrow::array::RecordBatch;
use futures::Stream;
use millrace_engine::{Plan, RelationId, Snapshot, Tick};

use crate::catalog::Column;
use crate::error::SqlError;

/// The rows of a running query, in batches.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, SqlError>> + Send>>;

/// What a query reads: for each relation, every worker's share at the query's tick.
pub type Snapshots = HashMap<RelationId, Vec<Snapshot>>;

/// A query with names resolved and types known.
#[derive(Clone, Debug)]
pub struct Query {}

impl Query {
    /// The result's columns, named and typed as PostgreSQL would.
    pub fn columns(&self) -> &[Column] {
        unimplemented!()
    }

    /// The relations that the query reads, each once.
    pub fn relations(&self) -> Vec<RelationId> {
        unimplemented!()
    }

    /// Runs the query. Batches have the types of `columns()`.
    ///
    /// # Errors
    /// What planning or the first rows raise; later errors come through the stream. A relation in
    /// error gives that error.
    pub fn execute(&self, _snapshots: Snapshots, _tick: Tick) -> Result<RowStream, SqlError> {
        unimplemented!()
    }

    /// The plan that maintains the query.
    ///
    /// # Errors
    /// 0A000 for what cannot be maintained yet, 42P17 for what never can (`random()`).
    pub fn lower(&self) -> Result<Plan, SqlError> {
        unimplemented!()
    }
}
