//! SUBSCRIBE and its ends: progress, AS OF, DROP, cancel, timeout, a client that goes; COPY of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::pin::pin;

use futures::TryStreamExt;
use millrace_tests::{PATIENCE, Server, wait_for};
use tokio::time::timeout;
use tokio_postgres::{Client, Error, NoTls, RowStream};

fn code(error: &Error) -> &str {
    error.code().unwrap_or_else(|| panic!("{error:?}")).code()
}

async fn subscribe(client: &Client, sql: &str) -> RowStream {
    client.query_raw(sql, std::iter::empty::<i32>()).await.unwrap()
}

async fn view(client: &Client) {
    client.batch_execute("CREATE TABLE t (k int, n int)").await.unwrap();
    let sql = "CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS n FROM t GROUP BY k";
    client.batch_execute(sql).await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 10), (2, 20)").await.unwrap();
}

/// Folded up to every progress row, a subscription is what a SELECT at that tick gives.
#[tokio::test(flavor = "multi_thread")]
async fn progress_rows_stand_behind_all_rows_of_their_tick() {
    for workers in [1, 2] {
        let server = Server::with_workers(workers);
        let client = server.connect().await;
        view(&client).await;
        let watcher = server.connect().await;
        let mut rows = pin!(subscribe(&watcher, "SUBSCRIBE v WITH (PROGRESS)").await);
        for n in 0..20i32 {
            client.execute("INSERT INTO t VALUES ($1 % 3, $1)", &[&n]).await.unwrap();
            client.execute("DELETE FROM t WHERE n = $1 - 2", &[&n]).await.unwrap();
        }
        let expected: BTreeMap<i32, i64> = client
            .query("SELECT k, n FROM v", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let mut folded: BTreeMap<(i32, i64), i64> = BTreeMap::new();
        let mut progressed_to = 0;
        loop {
            let row = timeout(PATIENCE, rows.try_next()).await.expect("rows go on").unwrap().unwrap();
            let tick: i64 = row.get("tick");
            if row.get::<_, bool>("progressed") {
                assert!(tick >= progressed_to, "progress goes forward");
                assert_eq!(row.get::<_, Option<i64>>("diff"), None);
                assert!(folded.values().all(|diff| *diff == 1), "whole ticks only: {folded:?}");
                progressed_to = tick;
                if folded.keys().copied().eq(expected.iter().map(|(k, n)| (*k, *n))) {
                    break;
                }
                continue;
            }
            assert!(tick > progressed_to, "nothing comes behind its progress row");
            let diff = folded.entry((row.get("k"), row.get("n"))).or_default();
            *diff += row.get::<_, i64>("diff");
            folded.retain(|_, diff| *diff != 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_ends_the_subscription() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let watcher = server.connect().await;
    let mut rows = pin!(subscribe(&watcher, "SUBSCRIBE v").await);
    rows.try_next().await.unwrap().unwrap();
    rows.try_next().await.unwrap().unwrap();
    client.batch_execute("DROP MATERIALIZED VIEW v").await.unwrap();
    let error = timeout(PATIENCE, rows.try_next()).await.expect("it ends").unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.message()), ("42P01", "relation \"v\" does not exist"));
    assert_eq!(error.detail(), Some("It was dropped while it was subscribed to."));
    client.batch_execute("DROP TABLE t").await.unwrap();
    assert_eq!(watcher.query("SELECT 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_and_cancel_end_it_with_57014() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    client.batch_execute("SET statement_timeout = '200ms'").await.unwrap();
    let timed_out = client.simple_query("SUBSCRIBE v").await.unwrap_err();
    assert_eq!(code(&timed_out), "57014");
    let message = timed_out.as_db_error().unwrap().message().to_owned();
    assert_eq!(message, "canceling statement due to statement timeout");
    client.batch_execute("RESET statement_timeout").await.unwrap();
    // Cancelled while it waits for rows, in the middle of a text of several statements.
    let token = client.cancel_token();
    let waiting = client.simple_query("INSERT INTO t VALUES (9, 9); SUBSCRIBE t WITH (SNAPSHOT false)");
    let cancel = async {
        let other = server.connect().await;
        // A cancel that comes too early is lost, as in PostgreSQL: ask until it is heard.
        loop {
            token.cancel_query(NoTls).await.unwrap();
            other.query("SELECT 1", &[]).await.unwrap();
        }
    };
    let error = tokio::select! {
        answer = waiting => answer.unwrap_err(),
        () = cancel => unreachable!(),
    };
    assert_eq!(code(&error), "57014");
    // A late cancel may still hit the next statement; a new connection is out of its reach.
    let other = server.connect().await;
    assert_eq!(other.query("SELECT * FROM t WHERE k = 9", &[]).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_a_subscription_shows_rows_as_they_come() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    // Through psql, whose rows would otherwise wait for the end.
    let sql = "COPY (SUBSCRIBE v WITH (SNAPSHOT false)) TO STDOUT WITH (FORMAT csv)";
    let mut psql = server.psql().start(&["-qAt", "-c", sql]);
    let mut output = BufReader::new(psql.child().stdout.take().unwrap());
    // Without a snapshot nothing tells that it has begun: one of many changes will be seen.
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        told.send(line)
    });
    let mut line = None;
    for k in 100..100_000i32 {
        client.execute("INSERT INTO t VALUES ($1, 1)", &[&k]).await.unwrap();
        line = tells.try_recv().ok();
        if line.is_some() {
            break;
        }
    }
    let line = line.expect("a line");
    let fields: Vec<&str> = line.trim_end().split(',').collect();
    assert_eq!((fields.len(), fields[1], fields[3]), (4, "1", "1"), "{line}");
    // Through a driver.
    let stream = client.copy_out("COPY (SUBSCRIBE v) TO STDOUT").await.unwrap();
    let first = timeout(PATIENCE, pin!(stream).try_next()).await.expect("a row").unwrap().unwrap();
    assert_eq!(first.iter().filter(|byte| **byte == b'\t').count(), 3);
}

/// A client that is gone is noticed while its subscription waits, and holds nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_client_ends_its_subscription() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let connections = || {
        let (_, metrics) = server.get("/metrics");
        let line = metrics.lines().find(|line| line.starts_with("millrace_connections "));
        line.unwrap_or_else(|| panic!("{metrics}")).to_owned()
    };
    let before = connections();
    let mut psql = server.psql().start(&["-qAt", "-c", "COPY (SUBSCRIBE v) TO STDOUT"]);
    let mut line = String::new();
    BufReader::new(psql.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_ne!(connections(), before);
    psql.kill();
    wait_for("the lost client", || (connections() == before).then_some(()));
}
