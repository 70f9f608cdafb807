//! Changes of rows on both sides: INSERT with defaults and ON CONFLICT, UPDATE, DELETE, TRUNCATE, RETURNING, keys
//! and CHECKs, in blocks with savepoints and outside. Each answer is PostgreSQL's: rows, counts, SQLSTATE,
//! message and detail; and so is what a view over the tables shows, inside the blocks, too.
//!
//! Of a statement with several rows that fails the error is not compared: PostgreSQL stops at the first row that
//! breaks any rule, Millrace tries rule after rule.

use millrace_tests::{Postgres, Random, Server};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::answer::{Row, values};

/// The tables, and the query whose materialized view Millrace maintains.
const TABLES: &str = "
    CREATE TABLE k (
        id int PRIMARY KEY, u int UNIQUE, t text DEFAULT 'd' || 1,
        n int NOT NULL DEFAULT 7 CONSTRAINT small CHECK (n < 50), CHECK (id >= 0 OR u IS NULL)
    );
    CREATE TABLE p (a int, b int, c text DEFAULT 'c', UNIQUE (a, b));
    CREATE TABLE q (a int DEFAULT 3, b text)";
const VIEW: &str =
    "SELECT k.t, count(*) AS n, sum(k.n) AS s, max(p.b) AS m FROM k LEFT JOIN p ON p.a = k.id GROUP BY k.t";
const STEPS: usize = 30;

/// What a statement gives.
#[derive(Debug, PartialEq)]
struct Given {
    rows: Vec<Row>,
    count: u64,
}

/// An error with what PostgreSQL says of it.
#[derive(Debug, PartialEq)]
struct Wrong {
    code: String,
    message: String,
    detail: Option<String>,
}

async fn run(client: &Client, sql: &str) -> Result<Given, Wrong> {
    let messages = client.simple_query(sql).await.map_err(|error| match error.as_db_error() {
        Some(told) => Wrong {
            code: told.code().code().to_owned(),
            message: told.message().to_owned(),
            detail: told.detail().map(str::to_owned),
        },
        None => Wrong { code: "LOST".to_owned(), message: error.to_string(), detail: None },
    })?;
    let mut given = Given { rows: Vec::new(), count: 0 };
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => given.rows.push(values(&row, 0)),
            SimpleQueryMessage::CommandComplete(count) => given.count = count,
            _ => {}
        }
    }
    given.rows.sort();
    Ok(given)
}

/// Whether both say the same.
fn same(sql: &str, theirs: &Result<Given, Wrong>, ours: &Result<Given, Wrong>) -> bool {
    match (theirs, ours) {
        (Err(_), Err(_)) if has_several_rows(sql) => true,
        (theirs, ours) => theirs == ours,
    }
}

fn has_several_rows(sql: &str) -> bool {
    sql.contains("), (") || (sql.starts_with("UPDATE") && !sql.contains("WHERE id = "))
}

fn number(random: &mut Random, bound: usize) -> String {
    if random.chance(12) { "NULL".to_owned() } else { random.below(bound).to_string() }
}

fn value(random: &mut Random, column: &str) -> String {
    if random.chance(8) {
        return "DEFAULT".to_owned();
    }
    match column {
        "id" if random.chance(5) => "-1".to_owned(),
        "n" => number(random, 55),
        "t" | "c" => format!("'{}'", random.pick(&["x", "y", "z"])),
        _ => number(random, 8),
    }
}

fn insert(random: &mut Random) -> String {
    let (table, columns): (&str, &[&str]) =
        random.pick(&[("k", ["id", "u", "n", "t"].as_slice()), ("p", ["a", "b", "c"].as_slice())]);
    let width = 1 + random.below(columns.len());
    let columns = &columns[..width];
    if random.chance(5) {
        return format!("INSERT INTO {table} DEFAULT VALUES{}", returning(random, table));
    }
    let row = |random: &mut Random| {
        let cells: Vec<String> = columns.iter().map(|column| value(random, column)).collect();
        format!("({})", cells.join(", "))
    };
    let rows: Vec<String> = (0..random.pick(&[1, 1, 1, 2, 3])).map(|_| row(random)).collect();
    let conflict = match (table, random.below(6)) {
        (_, 0) => " ON CONFLICT DO NOTHING".to_owned(),
        ("k", 1) => " ON CONFLICT (id) DO UPDATE SET n = k.n + excluded.n, t = 'up'".to_owned(),
        ("k", 2) => " ON CONFLICT (u) DO UPDATE SET t = excluded.t || k.t WHERE k.n < 20".to_owned(),
        ("k", 3) => " ON CONFLICT ON CONSTRAINT k_pkey DO NOTHING".to_owned(),
        ("p", 1) => " ON CONFLICT (b, a) DO UPDATE SET c = excluded.c, b = DEFAULT".to_owned(),
        _ => String::new(),
    };
    let (rows, columns) = (rows.join(", "), columns.join(", "));
    format!("INSERT INTO {table} ({columns}) VALUES {rows}{conflict}{}", returning(random, table))
}

fn returning(random: &mut Random, table: &str) -> &'static str {
    match (table, random.below(4)) {
        (_, 0) => " RETURNING *",
        ("k", 1) => " RETURNING n + 1 AS more, k.id, upper(t)",
        ("p", 1) => " RETURNING c, (SELECT count(*) FROM q) AS q",
        _ => "",
    }
}

fn update(random: &mut Random) -> String {
    let (id, new) = (random.below(8), random.below(8));
    match random.below(9) {
        0 => format!("UPDATE k SET n = n + {new}{}", returning(random, "k")),
        1 => format!("UPDATE k SET id = {new} WHERE id = {id}{}", returning(random, "k")),
        2 => format!("UPDATE k SET (u, t) = ({new}, DEFAULT) WHERE id = {id}{}", returning(random, "k")),
        3 => format!("UPDATE k SET n = 40 / (id - {new}) WHERE id = {id}"),
        4 => format!(
            "UPDATE k x SET n = v.j, t = t || v.j FROM (VALUES ({id}, 3), ({new}, 4)) v (i, j) WHERE x.id = v.i AND v.j <> 4 RETURNING x.n, v.i"
        ),
        5 => format!(
            "UPDATE p SET c = (SELECT max(t) FROM k WHERE k.id = p.a) WHERE b > {new}{}",
            returning(random, "p")
        ),
        6 => {
            "UPDATE p SET (b, c) = (SELECT min(n) + 10, 'sub' FROM k WHERE k.id = p.a) WHERE a = 1 AND b = 2"
                .to_owned()
        }
        7 => format!("UPDATE q SET a = a + 1, b = 'q{new}' WHERE a < 6 RETURNING *"),
        _ => format!("UPDATE k SET n = NULL WHERE id = {id}"),
    }
}

fn delete(random: &mut Random) -> String {
    let id = random.below(8);
    match random.below(6) {
        0 => format!("DELETE FROM k WHERE id = {id}{}", returning(random, "k")),
        1 => format!("DELETE FROM k USING (VALUES ({id}), (2)) AS v (i) WHERE v.i = k.u RETURNING k.id, i"),
        2 => format!("DELETE FROM p WHERE a IN (SELECT id FROM k WHERE n > {id}){}", returning(random, "p")),
        3 => "DELETE FROM q WHERE a > 4 RETURNING a".to_owned(),
        4 => "DELETE FROM q USING k WHERE k.n = q.a".to_owned(),
        _ => random.pick(&["TRUNCATE q", "TRUNCATE TABLE p, q"]).to_owned(),
    }
}

fn statement(random: &mut Random) -> String {
    match random.below(20) {
        0..8 => insert(random),
        8 => format!("INSERT INTO q SELECT id, t FROM k WHERE n < {}", random.below(50)),
        9..13 => update(random),
        13 | 14 => delete(random),
        15 => random.pick(&["BEGIN", "COMMIT", "ROLLBACK"]).to_owned(),
        16 => random
            .pick(&["SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "SAVEPOINT r", "ROLLBACK TO r"])
            .to_owned(),
        17 => random
            .pick(&["SELECT * FROM k", "SELECT * FROM q", "SELECT * FROM p WHERE a = 2 AND b = 3"])
            .to_owned(),
        18 => format!("SELECT * FROM k WHERE id IN ({}, {})", random.below(8), random.below(8)),
        _ => "SELECT * FROM v".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_do_what_they_do_in_postgresql() {
    let is_nightly = std::env::var_os("MILLRACE_NIGHTLY").is_some();
    let first = std::env::var("MILLRACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let scripts: u64 = if is_nightly { 10_000 } else { 200 };
    let postgres = Postgres::start();
    let theirs = postgres.connect().await;
    let server = Server::with_workers(2);
    let ours = server.connect().await;
    let (mut rows, mut errors) = (0, 0);
    for seed in first..first + scripts {
        let random = &mut Random::new(seed);
        run(&theirs, &format!("{TABLES}; CREATE VIEW v AS {VIEW}")).await.unwrap();
        run(&ours, TABLES).await.unwrap();
        run(&ours, &format!("CREATE MATERIALIZED VIEW v AS {VIEW}")).await.unwrap();
        let mut done = Vec::new();
        let tables = ["COMMIT", "SELECT * FROM k", "SELECT * FROM p", "SELECT * FROM q", "SELECT * FROM v"];
        let steps = (0..STEPS).map(|_| statement(random)).chain(tables.map(str::to_owned));
        for sql in steps.collect::<Vec<String>>() {
            let (their, our) = (run(&theirs, &sql).await, run(&ours, &sql).await);
            done.push(sql);
            let sql = done.last().unwrap();
            assert!(
                same(sql, &their, &our),
                "seed {seed}:\n{};\nPostgreSQL: {their:?}\nMillrace:   {our:?}",
                done.join(";\n")
            );
            match their {
                Ok(given) => rows += given.rows.len(),
                Err(_) => errors += 1,
            }
        }
        run(&theirs, "DROP TABLE k, p, q CASCADE").await.unwrap();
        run(&ours, "DROP TABLE k, p, q CASCADE").await.unwrap();
    }
    println!("{scripts} scripts: {rows} equal rows, {errors} equal errors");
    assert!(
        rows > 20 * usize::try_from(scripts).unwrap() && errors > 2 * scripts,
        "{rows} rows, {errors} errors"
    );
}

/// Statements one by one with what is said of them, errors in full.
async fn said_alike(text: &str) {
    let postgres = Postgres::start();
    let theirs = postgres.connect().await;
    let server = Server::with_workers(2);
    let ours = server.connect().await;
    for statement in ["SET default_transaction_isolation = serializable", "SET timezone = 'UTC'"] {
        run(&theirs, statement).await.unwrap();
    }
    let mut differing = Vec::new();
    for sql in text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")) {
        let (their, our) = (run(&theirs, sql).await, run(&ours, sql).await);
        if their != our {
            differing.push(format!("{sql}\n  PostgreSQL: {their:?}\n  Millrace:   {our:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_changes_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/changes.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_sequences_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/sequences.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_alterations_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/alter.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_other_types_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/retype.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_schemas_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/schemas.sql")).await;
}

/// Plans that are kept for any values.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_prepared_queries_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/prepared.sql")).await;
}

/// Prepared statements, cursors, modes of transactions, SET LOCAL.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_sessions_is_what_postgresql_says() {
    said_alike(include_str!("../../suites/session.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_relations_do_what_they_do_in_postgresql() {
    said_alike(include_str!("../../suites/temporary.sql")).await;
}
