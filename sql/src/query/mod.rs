//! A bound query: run it over snapshots at one tick, or lower it to a dataflow plan.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast;
use futures::Stream;
use millrace_engine::{DataType, Literal, Plan, RelationId, Snapshot, Tick};

use crate::catalog::{Catalog, Column, Relation};
use crate::error::SqlError;

/// The rows of a running query, in batches.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, SqlError>> + Send>>;

/// What a query reads: for each relation, every worker's share at the query's tick.
pub type Snapshots = HashMap<RelationId, Vec<Snapshot>>;

/// What is known of a statement's parameters `$1`, `$2`, … when it is planned.
#[derive(Clone, Copy, Debug)]
pub enum Parameters<'a> {
    /// Their declared types, for Describe; `None` (and those not listed) are inferred from their use.
    Types(&'a [Option<DataType>]),
    /// Their values, for execution.
    Values(&'a [Literal]),
}

/// A query with names resolved and types known.
#[derive(Clone, Debug)]
pub struct Query {}

impl Query {
    /// Plans SELECT, VALUES, TABLE.
    ///
    /// # Errors
    /// Whatever the user got wrong, with PostgreSQL's SQLSTATE; 0A000 for what is not there yet.
    pub fn plan(_query: &ast::Query, _catalog: &Catalog, _parameters: Parameters) -> Result<Query, SqlError> {
        unimplemented!()
    }

    /// Plans the source of an INSERT into `columns` (positions in `table`): the result has the
    /// table's columns in order and in their types, NULL for those not named.
    ///
    /// # Errors
    /// As `plan`; 42804 where an expression cannot be assigned to its column, 42601 where the
    /// numbers of expressions and of columns differ.
    pub fn plan_insert(
        _table: &Arc<Relation>,
        _columns: &[usize],
        _source: &ast::Query,
        _catalog: &Catalog,
        _parameters: Parameters,
    ) -> Result<Query, SqlError> {
        unimplemented!()
    }

    /// Plans the rows that a DELETE removes: whole rows of `table`, with repetition.
    ///
    /// # Errors
    /// As `plan`.
    pub fn plan_delete(
        _table: &Arc<Relation>,
        _selection: Option<&ast::Expr>,
        _catalog: &Catalog,
        _parameters: Parameters,
    ) -> Result<Query, SqlError> {
        unimplemented!()
    }

    /// The parameters' types, `$1` first.
    pub fn parameter_types(&self) -> &[DataType] {
        unimplemented!()
    }

    /// The result's columns, named and typed as PostgreSQL would.
    pub fn columns(&self) -> &[Column] {
        unimplemented!()
    }

    /// The relations that the query reads, each once.
    pub fn relations(&self) -> Vec<RelationId> {
        unimplemented!()
    }

    /// Runs the query. Batches have the types of `columns()`. Must be polled on a tokio runtime.
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

    /// The optimised query as text, one line an operator: for EXPLAIN.
    pub fn explain(&self) -> Vec<String> {
        unimplemented!()
    }
}
