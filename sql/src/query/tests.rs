//! Tests of planning, lowering and ad-hoc execution, from SQL text. What an expectation says of
//! values and messages is what PostgreSQL 15 answers; where ours differs by design, a comment says so.

#![allow(clippy::unwrap_used)]

mod adhoc;
mod errors;
mod forms;
mod lowering;
mod stacked;
mod subqueries;
mod tpch;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::sql::sqlparser::ast::{self, Expr, Query as SqlQuery, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::TryStreamExt;
use millrace_engine::{DataType, RelationId};

use super::change::{ChangeBinder, InsertSource};
use super::{Change, Parameters, Query};
use crate::catalog::{Catalog, CatalogChange, Column, Relation, RelationKind, SchemaId, TableRules};
use crate::error::SqlError;
use crate::functions::{Inputs, cast};
use crate::statement::StatementKind;

/// The change that an INSERT into these columns is.
fn plan_insert(
    table: &Arc<Relation>,
    columns: &[usize],
    source: &ast::Query,
    catalog: &Catalog,
    parameters: Parameters,
) -> Result<Change, SqlError> {
    let source = InsertSource { columns, query: Some(source), overriding: None };
    ChangeBinder::new(table, None, catalog, parameters).insert(&source, None, None)
}

/// The change that a DELETE is.
fn plan_delete(table: &Arc<Relation>, condition: &ast::Expr, catalog: &Catalog) -> Result<Change, SqlError> {
    ChangeBinder::new(table, None, catalog, Parameters::values(&[])).delete(&[], Some(condition), None)
}

fn relation(id: u64, name: &str, columns: &[(&str, DataType)]) -> Relation {
    let column = |(name, data_type): &(&str, DataType)| Column::new((*name).to_owned(), *data_type, true);
    Relation {
        id: RelationId(id),
        name: name.to_owned(),
        schema: SchemaId::PUBLIC,
        columns: columns.iter().map(column).collect(),
        kind: RelationKind::Table { keep_rows: true, rules: TableRules::default() },
        created: 0,
    }
}

/// `readings` and its view `hourly` of the quickstart, tables of every type, and two of Nexmark's.
fn catalog() -> Catalog {
    use DataType::{Int64, Text, Timestamp};
    let mut catalog = Catalog::default();
    let auction = [
        ("id", Int64),
        ("item_name", Text),
        ("date_time", Timestamp),
        ("expires", Timestamp),
        ("seller", Int64),
    ];
    let bid =
        [("auction", Int64), ("bidder", Int64), ("price", Int64), ("date_time", Timestamp), ("extra", Text)];
    let numeric = DataType::Numeric { precision: 10, scale: 2 };
    for relation in [
        relation(1, "readings", &[("ts", DataType::Timestamp), ("value", DataType::Float64)]),
        relation(
            2,
            "hourly",
            &[("hour", DataType::Timestamp), ("n", DataType::Int64), ("mean", DataType::Float64)],
        ),
        relation(3, "t", &[("a", DataType::Int32), ("b", DataType::Int64), ("c", DataType::Text)]),
        relation(4, "u", &[("a", DataType::Int32), ("x", DataType::Float64), ("y", numeric)]),
        relation(5, "v", &[("x", DataType::Int64), ("flag", DataType::Boolean)]),
        relation(6, "auction", &auction),
        relation(7, "bid", &bid),
    ] {
        catalog.apply(&CatalogChange::Create(relation)).unwrap();
    }
    catalog
}

fn parse(sql: &str) -> SqlQuery {
    // sqlparser alone cannot read TABLE; ours refuses what some tests want the binder to refuse.
    if sql.contains("TABLE ") {
        return match crate::parse(sql).unwrap().pop().map(|statement| statement.kind) {
            Some(StatementKind::Select(query)) => (*query).clone(),
            other => panic!("{other:?} is no query"),
        };
    }
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop() {
        Some(Statement::Query(query)) => *query,
        other => panic!("{other:?} is no query"),
    }
}

fn parse_expr(sql: &str) -> Expr {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap()
}

fn plan(sql: &str) -> Result<Query, SqlError> {
    Query::plan(&parse(sql), &catalog(), Parameters::values(&[]))
}

/// The tick of executions: 2001-09-09 01:46:40.
const TICK: u64 = 1_000_000_000_000_000;

fn run(query: &Query) -> Result<Vec<RecordBatch>, SqlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { query.execute(HashMap::new(), TICK)?.try_collect().await })
}

/// Rows as `psql -At` shows them, NULL as `null`.
fn text_rows(query: &Query, batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = query
            .columns()
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| {
                assert_eq!(*array.data_type(), column.data_type.to_arrow());
                let inputs = Inputs::new(vec![Arc::clone(array).into()], batch.num_rows()).unwrap();
                cast(&inputs, column.data_type, DataType::Text).unwrap()
            })
            .collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().zip(query.columns()).map(|(text, column)| {
                let text = text.as_string::<i32>();
                let text = text.is_valid(row).then(|| text.value(row));
                match (column.data_type, text) {
                    (_, None) => "null".to_owned(),
                    (DataType::Boolean, Some(text)) => text[..1].to_owned(),
                    (_, Some(text)) => text.to_owned(),
                }
            });
            rows.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

/// The rows of a query without relations, or its error as `SQLSTATE: message`.
fn answer(sql: &str) -> String {
    let rows = plan(sql).and_then(|query| run(&query).map(|batches| text_rows(&query, &batches)));
    match rows {
        Ok(rows) => rows.join("\n"),
        Err(error) => format!("{}: {}", error.sqlstate, error.message),
    }
}

/// Names and types of a query's columns.
fn columns(sql: &str) -> String {
    let query = plan(sql).unwrap();
    let columns: Vec<String> =
        query.columns().iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    columns.join(", ")
}
