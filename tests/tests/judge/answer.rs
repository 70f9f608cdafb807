//! What a database says to a text of SQL, PostgreSQL and Millrace alike: rows as text with the names
//! and types of their columns, or an error.

use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

/// A row as PostgreSQL's text forms; `None` is NULL.
pub(crate) type Row = Vec<Option<String>>;

/// The rows of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

/// A column as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// PostgreSQL's own name of the type (`int4`), which stands for its number.
    pub(crate) type_name: String,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The SQLSTATE; [`LOST`] where the connection ended.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The code of a failure that is no answer: the connection ended, which a database never does.
pub(crate) const LOST: &str = "LOST";

/// Rows or an error.
pub(crate) type Answer = Result<Table, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error.as_db_error() {
            Some(told) => Failure { code: told.code().code().to_owned(), message: told.message().to_owned() },
            None => Failure { code: LOST.to_owned(), message: error.to_string() },
        }
    }
}

/// The connection with the time zone in which both databases are asked: one with summer time.
pub(crate) async fn in_zone(client: Client) -> Client {
    execute(&client, "SET TIME ZONE 'Europe/Berlin'").await.unwrap();
    client
}

/// Asks a query: prepared for the types of its columns, then simply for the text of its rows.
pub(crate) async fn ask(client: &Client, sql: &str) -> Answer {
    let prepared = client.prepare(sql).await?;
    let of = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        type_name: column.type_().name().to_owned(),
    };
    let columns: Vec<Column> = prepared.columns().iter().map(of).collect();
    let mut rows = Vec::new();
    let mut messages = pin!(client.simple_query_raw(sql).await?);
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                let names = described.iter().map(|column| column.name().to_owned());
                assert!(names.eq(columns.iter().map(|column| column.name.clone())), "two names: {sql}");
            }
            SimpleQueryMessage::Row(row) => rows.push(values(&row, 0)),
            _ => {}
        }
    }
    Ok(Table { columns, rows })
}

/// The values of a row from the column `start` on.
pub(crate) fn values(row: &SimpleQueryRow, start: usize) -> Row {
    (start..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()
}

/// Runs a statement: the number that its tag ends with.
pub(crate) async fn execute(client: &Client, sql: &str) -> Result<u64, Failure> {
    let mut count = 0;
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::CommandComplete(told) = message {
            count = told;
        }
    }
    Ok(count)
}
