//! A plain SUBSCRIBE through a driver: rows come while the statement runs, until it is cancelled.

use std::pin::pin;

use futures::{Stream, StreamExt, TryStreamExt};
use millrace_tests::Server;
use tokio_postgres::{Client, Error, NoTls, Row};

async fn subscribe(client: &Client, statement: &str) -> impl Stream<Item = Result<Row, Error>> + use<> {
    client.query_raw(statement, std::iter::empty::<i32>()).await.unwrap()
}

/// A row as `(diff, name, n)`, its tick apart.
fn change(row: &Row) -> (i64, (i64, String, i64)) {
    (row.get("tick"), (row.get("diff"), row.get("name"), row.get("n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_tells_each_change_at_its_tick_until_it_is_cancelled() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (name text, n bigint)").await.unwrap();
    client
        .batch_execute("CREATE MATERIALIZED VIEW v AS SELECT name, sum(n)::bigint AS n FROM t GROUP BY name")
        .await
        .unwrap();
    client.batch_execute("INSERT INTO t VALUES ('a', 1)").await.unwrap();
    let watcher = server.connect().await;
    let mut rows = pin!(subscribe(&watcher, "SUBSCRIBE v").await);
    let (first, snapshot) = change(&rows.try_next().await.unwrap().unwrap());
    assert_eq!(snapshot, (1, "a".to_owned(), 1));

    client.batch_execute("INSERT INTO t VALUES ('a', 2)").await.unwrap();
    let (left, old) = change(&rows.try_next().await.unwrap().unwrap());
    let (came, new) = change(&rows.try_next().await.unwrap().unwrap());
    let mut both = [old, new];
    both.sort();
    assert_eq!(both, [(-1, "a".to_owned(), 1), (1, "a".to_owned(), 3)]);
    assert!(first < left && left == came, "one commit, one tick: {first}, {left}, {came}");

    client.batch_execute("DELETE FROM t").await.unwrap();
    let (_, gone) = change(&rows.try_next().await.unwrap().unwrap());
    assert_eq!(gone, (-1, "a".to_owned(), 3));

    watcher.cancel_token().cancel_query(NoTls).await.unwrap();
    let end = rows.next().await.expect("an error tells of the end").unwrap_err();
    assert_eq!(end.code().map(|code| code.code()), Some("57014"), "{end:?}");
    assert_eq!(watcher.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
}

/// Whoever subscribes from an earlier tick gets what has changed since, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_was_cut_off_goes_on_from_a_tick() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (name text, n bigint)").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES ('a', 1)").await.unwrap();
    // A first subscription holds the history that the second one needs.
    let holder = server.connect().await;
    let mut held = pin!(subscribe(&holder, "SUBSCRIBE t").await);
    let (tick, _) = change(&held.try_next().await.unwrap().unwrap());
    client.batch_execute("INSERT INTO t VALUES ('b', 2)").await.unwrap();
    let (later, _) = change(&held.try_next().await.unwrap().unwrap());
    let watcher = server.connect().await;
    let statement = format!("SUBSCRIBE t WITH (SNAPSHOT false) AS OF {later}");
    let mut rows = pin!(subscribe(&watcher, &statement).await);
    client.batch_execute("INSERT INTO t VALUES ('c', 3)").await.unwrap();
    let (newest, row) = change(&rows.try_next().await.unwrap().unwrap());
    assert_eq!(row, (1, "c".to_owned(), 3));
    assert!(tick < later && later < newest);
    // One tick cannot be read any more, and the error says from where on it can.
    let error = client.batch_execute("SUBSCRIBE t AS OF 1").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("22023"), "{error:?}");
}
