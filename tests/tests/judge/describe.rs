//! What a client is told before a statement runs (ParameterDescription, RowDescription), and COPY's binary format,
//! byte by byte: the same as PostgreSQL's.

use std::collections::BTreeMap;
use std::io::Cursor;

use futures::{SinkExt, TryStreamExt};
use millrace_tests::{Postgres, Server};
use tokio_postgres::Client;

const TABLES: &str = "
    CREATE TABLE d (a int, b bigint NOT NULL, c double precision, t text, e timestamp, f date, g boolean, n numeric(10,2),
        r real, s smallint, u uuid, y bytea, tz timestamptz);
    CREATE TABLE o (a int PRIMARY KEY, z bigint);
    CREATE VIEW pv AS SELECT b, a + 1 AS more, t FROM d";

/// The names of relations by their oids.
async fn names(client: &Client) -> BTreeMap<u32, String> {
    let rows = client.query("SELECT oid::text, relname::text FROM pg_class", &[]).await.unwrap();
    rows.iter().map(|row| (row.get::<_, &str>(0).parse().unwrap(), row.get(1))).collect()
}

/// The statement's parameters and columns, or its SQLSTATE.
async fn described(client: &Client, sql: &str, names: &BTreeMap<u32, String>) -> String {
    let statement = match client.prepare(sql).await {
        Ok(statement) => statement,
        Err(error) => {
            return error.code().map_or_else(|| format!("{error:?}"), |code| code.code().to_owned());
        }
    };
    let parameters: Vec<&str> = statement.params().iter().map(|data_type| data_type.name()).collect();
    let column = |column: &tokio_postgres::Column| {
        let table = column.table_oid().map(|oid| names.get(&oid).map_or("?", String::as_str));
        let (number, modifier) = (column.column_id(), column.type_modifier());
        format!("{} {}({modifier}) {table:?}.{number:?}", column.name(), column.type_().name())
    };
    let columns: Vec<String> = statement.columns().iter().map(column).collect();
    format!("[{}] -> {}", parameters.join(", "), columns.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_described_as_by_postgresql() {
    let postgres = Postgres::start();
    let theirs = postgres.connect().await;
    let server = Server::start();
    let ours = server.connect().await;
    theirs.batch_execute(TABLES).await.unwrap();
    ours.batch_execute(TABLES).await.unwrap();
    let (their_names, our_names) = (names(&theirs).await, names(&ours).await);
    let mut differing = Vec::new();
    let text = include_str!("../../suites/describe.sql");
    for sql in text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let their = described(&theirs, sql, &their_names).await;
        let our = described(&ours, sql, &our_names).await;
        if their != our {
            differing.push(format!("{sql}\n  PostgreSQL: {their}\n  Millrace:   {our}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

const ROWS: &str = "INSERT INTO d VALUES
    (1, 2, 1.5, 'text', '2020-02-29 12:34:56.789', '1999-12-31', true, 12.34, 0.1, -3,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\\x00ff', '2020-02-29 12:34:56+00'),
    (-2147483648, -9223372036854775808, '-Infinity', '', '1970-01-01', '2000-01-01', false, -99999999.99, 'NaN', 32767,
        '00000000-0000-0000-0000-000000000000', '', '1969-12-31 23:59:59.999999+00'),
    (2147483647, 9223372036854775807, -0.0, 'é☃', '9999-12-31 23:59:59', '4713-01-01', NULL, 0, 3e38, 0, NULL, NULL, NULL),
    (NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)";

async fn out(client: &Client, sql: &str) -> Vec<u8> {
    let chunks: Vec<_> = client.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

async fn back_in(client: &Client, sql: &str, file: &[u8]) -> Result<u64, String> {
    let told = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => format!("{error:?}"),
    };
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(sql).await.map_err(told)?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Cursor::new(file.to_vec())).await.map_err(told)?;
    sink.finish().await.map_err(told)
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_copies_are_postgresqls_byte_by_byte() {
    let postgres = Postgres::start();
    let theirs = postgres.connect().await;
    let server = Server::start();
    let ours = server.connect().await;
    for client in [&theirs, &ours] {
        client.batch_execute(TABLES).await.unwrap();
        client.batch_execute(ROWS).await.unwrap();
    }
    let copy = "COPY (SELECT * FROM d ORDER BY a) TO STDOUT (FORMAT binary)";
    let file = out(&theirs, copy).await;
    assert_eq!(out(&ours, copy).await, file);
    for client in [&theirs, &ours] {
        client.batch_execute("DELETE FROM d").await.unwrap();
        assert_eq!(back_in(client, "COPY d FROM STDIN BINARY", &file).await, Ok(4));
        assert_eq!(out(client, copy).await, file);
    }
    // What is wrong with a file is said in the same words.
    let flipped = |at: usize, to: u8| {
        let mut file = file.clone();
        file[at] = to;
        file
    };
    let mut longer = file.clone();
    longer.push(0);
    let files = [
        flipped(0, b'X'),
        flipped(11, 1),
        flipped(12, 1),
        flipped(20, 9),
        flipped(21, 0x80),
        file[..file.len() - 1].to_vec(),
        file[..25].to_vec(),
        file[..13].to_vec(),
        Vec::new(),
        longer,
    ];
    for (index, file) in files.iter().enumerate() {
        let their = back_in(&theirs, "COPY d FROM STDIN BINARY", file).await;
        assert_eq!(back_in(&ours, "COPY d FROM STDIN BINARY", file).await, their, "file {index}");
    }
    for options in [
        "BINARY DELIMITER ','",
        "(FORMAT binary, NULL 'x')",
        "(FORMAT binary, HEADER)",
        "(FORMAT text, FORMAT binary)",
    ] {
        let code = async |client: &Client| {
            let answer = client.copy_out(&format!("COPY d TO STDOUT {options}")).await;
            let error = answer.err().unwrap();
            let error = error.as_db_error().unwrap();
            format!("{} {}", error.code().code(), error.message())
        };
        assert_eq!(code(&ours).await, code(&theirs).await, "{options}");
    }
}
