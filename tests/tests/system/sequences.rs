//! Values of sequences are given once: to sessions beside one another, over kill -9 and restarts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use millrace_tests::Server;

const TABLE: &str = "CREATE TABLE t (id bigserial PRIMARY KEY, session int, n int)";

/// Rows that each session inserts between two crashes.
const ROWS: i32 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_given_twice_whatever_happens() {
    let mut server = Server::with_workers(2);
    server.connect().await.batch_execute(TABLE).await.unwrap();
    for round in 0..3 {
        let mut sessions = Vec::new();
        for session in 0..4 {
            let client = server.connect().await;
            sessions.push(tokio::spawn(async move {
                for n in 0..ROWS {
                    let insert = "INSERT INTO t (session, n) VALUES ($1, $2), ($1, $3) RETURNING id";
                    let rows = client.query(insert, &[&session, &n, &-n]).await.unwrap();
                    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
                    assert!(ids[0] < ids[1]);
                    let last: i64 = client.query_one("SELECT lastval()", &[]).await.unwrap().get(0);
                    assert_eq!(last, ids[1], "each session knows its own");
                }
            }));
        }
        for session in sessions {
            session.await.unwrap();
        }
        server.kill();
        server.restart();
        let client = server.connect().await;
        let rows = client.query("SELECT id FROM t", &[]).await.unwrap();
        let ids: BTreeSet<i64> = rows.iter().map(|row| row.get(0)).collect();
        let inserted = 4 * 2 * usize::try_from(ROWS * (round + 1)).unwrap();
        assert_eq!((rows.len(), ids.len()), (inserted, inserted));
        let next: i64 = client.query_one("SELECT nextval('t_id_seq')", &[]).await.unwrap().get(0);
        assert!(ids.last().is_some_and(|greatest| next > *greatest), "{next} was given before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_gets_all_its_values_one_after_another() {
    let server = Server::with_workers(2);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE n (x int); CREATE TABLE t (id serial, x int)").await.unwrap();
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let insert = format!(
        "INSERT INTO n SELECT a + 10 * b + 100 * c + 1000 * d + 10000 * e \
         FROM {digits} v1 (a), {digits} v2 (b), {digits} v3 (c), {digits} v4 (d), (VALUES (0), (1)) v5 (e)"
    );
    client.batch_execute(&insert).await.unwrap();
    for round in 1..=2_i64 {
        client.batch_execute("INSERT INTO t (x) SELECT x FROM n").await.unwrap();
        let row = client.query_one("SELECT count(DISTINCT id), min(id), max(id) FROM t", &[]).await.unwrap();
        let found: (i64, i32, i32) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((found.0, found.1, i64::from(found.2)), (20_000 * round, 1, 20_000 * round));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_block_creates_counts_on_behind_it() {
    let mut server = Server::with_workers(2);
    let client = server.connect().await;
    let script = "BEGIN; CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, x int); \
                  INSERT INTO t (x) VALUES (1), (2); COMMIT; INSERT INTO t (x) VALUES (3)";
    client.batch_execute(script).await.unwrap();
    server.kill();
    server.restart();
    let client = server.connect().await;
    client.batch_execute("INSERT INTO t (x) VALUES (4)").await.unwrap();
    let rows = client.query("SELECT id FROM t ORDER BY id", &[]).await.unwrap();
    let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids[..3], [1, 2, 3]);
    assert!(ids[3] > 3);
}
