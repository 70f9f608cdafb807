//! Writes the expectations of tests/slt from a real PostgreSQL, so that nobody types them.
//!
//! ```sh
//! cargo test --workspace --test judge -- --ignored write_expectations
//! ```
//! A new record needs only `statement ok` or `query rowsort` (or `nosort`), and its SQL; one that is
//! to fail says `statement error` or `query error`. Whether it fails stands in the file by hand, with
//! what by PostgreSQL: so a slip of the pen never becomes an expectation.

use millrace_tests::Postgres;
use tokio_postgres::Client;

use crate::answer::{Failure, ask, execute, in_zone};
use crate::conform::files;
use crate::slt::{Kind, Outcome, Record, expected, read, write};

/// What PostgreSQL says to a record.
async fn answered(client: &Client, record: &Record) -> Result<Kind, Failure> {
    Ok(match &record.kind {
        Kind::Statement(Outcome::Error(_)) => match execute(client, &record.sql).await {
            Err(failure) => Kind::Statement(Outcome::Error(failure.code)),
            Ok(_) => return Err(unexpected("it does not fail")),
        },
        Kind::Statement(Outcome::Ok | Outcome::Count(_)) => {
            let counts = ["INSERT", "DELETE"].iter().any(|word| record.sql.starts_with(word));
            let count = execute(client, &record.sql).await?;
            Kind::Statement(if counts { Outcome::Count(count) } else { Outcome::Ok })
        }
        Kind::Query { ordered, view, answer: Err(_) } => match ask(client, &record.sql).await {
            Err(failure) => Kind::Query { ordered: *ordered, view: *view, answer: Err(failure.code) },
            Ok(_) => return Err(unexpected("it does not fail")),
        },
        Kind::Query { ordered, view, answer: Ok(_) } => {
            let answer = Ok(expected(&ask(client, &record.sql).await?, *ordered));
            Kind::Query { ordered: *ordered, view: *view, answer }
        }
    })
}

fn unexpected(message: &str) -> Failure {
    Failure { code: "none".to_owned(), message: message.to_owned() }
}

/// A file's records with the answers of PostgreSQL, in a schema of their own.
async fn ask_anew(client: &Client, name: &str, records: &mut [Record]) {
    let schema = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
    client.batch_execute(schema).await.unwrap();
    let mut wrong = Vec::new();
    for record in records {
        match answered(client, record).await {
            Ok(kind) => record.kind = kind,
            Err(failure) => wrong.push(format!("{name}, line {}: {}\n{failure:?}", record.line, record.sql)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into tests/slt"]
async fn write_expectations() {
    let postgres = Postgres::start();
    let client = in_zone(postgres.connect().await).await;
    for file in files() {
        let mut records = read(&std::fs::read_to_string(&file).unwrap());
        ask_anew(&client, &file.display().to_string(), &mut records).await;
        std::fs::write(&file, write(&records)).unwrap();
    }
}

/// The files say what this PostgreSQL says: no expectation was typed or has grown stale.
#[tokio::test(flavor = "multi_thread")]
async fn the_expectations_are_postgresqls() {
    let postgres = Postgres::start();
    let client = in_zone(postgres.connect().await).await;
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut records = read(&text);
        ask_anew(&client, &file.display().to_string(), &mut records).await;
        assert_eq!(write(&records), text, "{}: see the head of expectations.rs", file.display());
    }
}
