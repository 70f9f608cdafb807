//! Transactions seen by others: all or nothing, at one tick, also while many write.

use std::collections::BTreeSet;
use std::pin::pin;

use futures::TryStreamExt;
use futures::future::{join_all, try_join_all};
use millrace_tests::Server;
use tokio_postgres::{Client, Error};

pub(crate) fn code<T>(answer: Result<T, Error>) -> String {
    let Err(error) = answer else { panic!("this should have failed") };
    error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
}

pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_several_statements_is_one_commit() {
    let server = Server::start();
    let (client, watcher, other) = (server.connect().await, server.connect().await, server.connect().await);
    client.batch_execute("CREATE TABLE t (a bigint)").await.unwrap();
    let rows = watcher.query_raw("SUBSCRIBE t", std::iter::empty::<i32>()).await.unwrap();
    let mut rows = pin!(rows);
    let failed = "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT 1/0";
    assert_eq!(code(client.batch_execute(failed).await), "22012");
    assert_eq!(number(&other, "SELECT count(*) FROM t").await, 0);
    client.batch_execute("INSERT INTO t VALUES (3); INSERT INTO t VALUES (4)").await.unwrap();
    assert_eq!(number(&other, "SELECT sum(a)::bigint FROM t").await, 7);
    let mut ticks = BTreeSet::new();
    let mut values = BTreeSet::new();
    for _ in 0..2 {
        let row = rows.try_next().await.unwrap().unwrap();
        ticks.insert(row.get::<_, i64>("tick"));
        values.insert(row.get::<_, i64>("a"));
    }
    assert_eq!((ticks.len(), values), (1, BTreeSet::from([3, 4])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_seen_at_its_end_or_never() {
    let server = Server::start();
    let (client, other) = (server.connect().await, server.connect().await);
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(number(&other, "SELECT count(*) FROM t").await, 0);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(number(&other, "SELECT count(*) FROM t").await, 1);
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2)").await.unwrap();
    client.batch_execute("ROLLBACK").await.unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (3)").await.unwrap();
    assert_eq!(code(client.batch_execute("SELECT nope").await), "42703");
    assert_eq!(code(client.batch_execute("INSERT INTO t VALUES (4)").await), "25P02");
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(number(&other, "SELECT count(*) FROM t").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_whose_rows_have_changed_is_refused() {
    let server = Server::start();
    let (one, two) = (server.connect().await, server.connect().await);
    one.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").await.unwrap();
    one.batch_execute("BEGIN; DELETE FROM t WHERE a = 1").await.unwrap();
    two.batch_execute("DELETE FROM t").await.unwrap();
    assert_eq!(code(one.batch_execute("COMMIT").await), "40001");
    assert_eq!(number(&two, "SELECT count(*) FROM t").await, 0);
    one.batch_execute("INSERT INTO t VALUES (3)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_deleted_twice() {
    const ROWS: i64 = 200;
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    client.batch_execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t").await.unwrap();
    let values: Vec<String> = (0..ROWS).map(|a| format!("({a})")).collect();
    client.batch_execute(&format!("INSERT INTO t VALUES {}", values.join(","))).await.unwrap();
    let clients = try_join_all((0..6).map(|_| server.try_connect())).await.unwrap();
    let deletes = clients.iter().enumerate().map(|(nth, client)| async move {
        let mut deleted = 0;
        for step in 0..10 {
            // Every range overlaps those of the others.
            let bound = (step + 1) * 20 + (nth as i32) - 3;
            deleted += client.execute("DELETE FROM t WHERE a < $1", &[&bound]).await.unwrap();
        }
        deleted
    });
    let deleted: u64 = join_all(deletes).await.iter().sum();
    let left = number(&client, "SELECT n FROM v").await;
    assert_eq!(i64::try_from(deleted).unwrap() + left, ROWS);
    assert_eq!(left, number(&client, "SELECT count(*) FROM t").await);
}

/// Money moves between two tables; nobody ever sees more or less of it than there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_all_relations_at_one_tick() {
    let server = Server::start();
    let client = server.connect().await;
    client
        .batch_execute(
            "CREATE TABLE debit (amount bigint);
             CREATE TABLE credit (amount bigint);
             INSERT INTO debit VALUES (1000);
             INSERT INTO credit VALUES (1000)",
        )
        .await
        .unwrap();
    client
        .batch_execute(
            "CREATE MATERIALIZED VIEW d AS SELECT sum(amount)::bigint AS total FROM debit;
             CREATE MATERIALIZED VIEW c AS SELECT sum(amount)::bigint AS total FROM credit",
        )
        .await
        .unwrap();
    let writers = try_join_all((0..3).map(|_| server.try_connect())).await.unwrap();
    let readers = try_join_all((0..3).map(|_| server.try_connect())).await.unwrap();
    let write = async |client: &Client, nth: i64| {
        for step in 0..40 {
            let amount = nth * 100 + step;
            let sql = format!("INSERT INTO debit VALUES (-{amount}); INSERT INTO credit VALUES ({amount})");
            client.batch_execute(&sql).await.unwrap();
        }
    };
    let read = async |client: &Client| {
        for _ in 0..40 {
            let sql = "SELECT sum(amount)::bigint FROM debit";
            let both = "SELECT d.total + c.total FROM d JOIN c ON d.total < 10000000 AND c.total > 0";
            assert_eq!(number(client, both).await, 2000);
            client.batch_execute("BEGIN").await.unwrap();
            let view = number(client, "SELECT total FROM d").await;
            assert_eq!(number(client, sql).await, view);
            let other = number(client, "SELECT sum(amount)::bigint FROM credit").await;
            assert_eq!(view + other, 2000);
            client.batch_execute("COMMIT").await.unwrap();
        }
    };
    futures::join!(
        join_all(writers.iter().zip(1..).map(|(client, nth)| write(client, nth))),
        join_all(readers.iter().map(read))
    );
    assert_eq!(number(&client, "SELECT count(*) FROM debit").await, 121);
}

/// A wrong row fails reads of the view, and of nothing else, until it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_in_error_until_the_row_is_gone() {
    let mut server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)").await.unwrap();
    client
        .batch_execute(
            "CREATE MATERIALIZED VIEW v AS SELECT 10 / a AS q FROM t;
             CREATE MATERIALIZED VIEW above AS SELECT sum(q) AS s FROM v;
             CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t",
        )
        .await
        .unwrap();
    client.batch_execute("INSERT INTO t VALUES (0)").await.unwrap();
    assert_eq!(code(client.query("SELECT * FROM v", &[]).await), "22012");
    assert_eq!(code(client.query("SELECT * FROM above", &[]).await), "22012");
    assert_eq!(number(&client, "SELECT n FROM n").await, 3);
    drop(client);
    server.restart();
    let client = server.connect().await;
    assert_eq!(code(client.query("SELECT * FROM above", &[]).await), "22012");
    client.batch_execute("DELETE FROM t WHERE a = 0").await.unwrap();
    assert_eq!(number(&client, "SELECT s FROM above").await, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_no_rows_and_its_views_keep_counting() {
    let mut server = Server::start();
    let client = server.connect().await;
    client
        .batch_execute(
            "CREATE TABLE s (k int, n int) WITH (append_only, retention = '0');
             CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c, sum(n) AS n FROM s GROUP BY k",
        )
        .await
        .unwrap();
    client.batch_execute("INSERT INTO s VALUES (1, 10), (1, 20), (2, 5)").await.unwrap();
    assert_eq!(number(&client, "SELECT n FROM v WHERE k = 1").await, 30);
    assert_eq!(code(client.batch_execute("DELETE FROM s").await), "0A000");
    drop(client);
    server.restart();
    let client = server.connect().await;
    assert_eq!(number(&client, "SELECT n FROM v WHERE k = 1").await, 30);
    client.batch_execute("INSERT INTO s VALUES (1, 1)").await.unwrap();
    assert_eq!(number(&client, "SELECT n FROM v WHERE k = 1").await, 31);
    assert_eq!(number(&client, "SELECT c FROM v WHERE k = 1").await, 3);
}
