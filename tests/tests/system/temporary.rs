//! Temporary tables belong to one session and go with it, however it ends.

use millrace_tests::{PATIENCE, Server};
use tokio::time::timeout;
use tokio_postgres::Client;

/// The names of all temporary tables, of whichever session.
async fn temporary_tables(client: &Client) -> Vec<String> {
    let sql = "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r' ORDER BY 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn until_gone(client: &Client) {
    let gone = async {
        while !temporary_tables(client).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("temporary tables go with their session");
    let sql = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pg\\_temp\\_%'";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_has_its_own_until_it_ends() {
    let server = Server::start();
    let watcher = server.connect().await;
    let (first, second) = (server.connect().await, server.connect().await);
    for (client, number) in [(&first, 1i32), (&second, 2)] {
        client.batch_execute("CREATE TEMP TABLE t (a int PRIMARY KEY)").await.unwrap();
        client.execute("INSERT INTO t VALUES ($1)", &[&number]).await.unwrap();
        client.batch_execute("CREATE VIEW v AS SELECT a + 1 AS a FROM t").await.unwrap();
    }
    for (client, number) in [(&first, 1i32), (&second, 2)] {
        assert_eq!(client.query_one("SELECT a FROM t", &[]).await.unwrap().get::<_, i32>(0), number);
        assert_eq!(client.query_one("SELECT a FROM v", &[]).await.unwrap().get::<_, i32>(0), number + 1);
    }
    // By the extended protocol, as the first of its session.
    let third = server.connect().await;
    third.execute("CREATE TEMP TABLE t AS SELECT 3 AS a", &[]).await.unwrap();
    assert_eq!(third.query_one("SELECT a FROM t", &[]).await.unwrap().get::<_, i32>(0), 3);
    assert_eq!(temporary_tables(&watcher).await, ["t", "t", "t"]);
    let error = watcher.query("SELECT * FROM t", &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42P01");
    drop((first, second, third));
    until_gone(&watcher).await;
}

/// A table that a block has created goes with it; one that an aborted session leaves goes, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_goes_at_the_next_start() {
    let mut server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE kept (a int); CREATE TEMP TABLE t (a int)").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1); BEGIN; CREATE TEMP TABLE u (a int)").await.unwrap();
    server.kill();
    server.restart();
    let client = server.connect().await;
    until_gone(&client).await;
    client.batch_execute("CREATE TEMP TABLE t (b text); INSERT INTO t VALUES ('new')").await.unwrap();
    assert_eq!(client.query_one("SELECT b FROM t", &[]).await.unwrap().get::<_, &str>(0), "new");
    assert!(client.query("SELECT * FROM kept", &[]).await.unwrap().is_empty());
}
