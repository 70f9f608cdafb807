//! SUBSCRIBE and its ends: progress, AS OF, DROP, cancel, timeout, a client that goes; COPY of it.

use std::collections::BTreeMap;
use std::pin::pin;

use futures::TryStreamExt;
use millrace_tests::{PATIENCE, Server, wait_for};
use tokio::time::timeout;
use tokio_postgres::{Client, Error, NoTls, RowStream, SimpleQueryMessage};

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
    client.batch_execute("CREATE TABLE u (a int)").await.unwrap();
    // Cancelled while it waits for rows, in the middle of a text of several statements.
    let token = client.cancel_token();
    let waiting = client.simple_query("INSERT INTO u VALUES (9); SUBSCRIBE t WITH (SNAPSHOT false)");
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
    assert_eq!(other.query("SELECT * FROM u", &[]).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_a_subscription_shows_rows_as_they_come() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let sql = "COPY (SUBSCRIBE v WITH (SNAPSHOT false)) TO STDOUT WITH (FORMAT csv)";
    let watcher = server.connect().await;
    let mut lines = pin!(watcher.copy_out(sql).await.unwrap());
    for k in 100..103i32 {
        client.execute("INSERT INTO t VALUES ($1, 1)", &[&k]).await.unwrap();
        // Each at once, not when a buffer is full.
        let line = timeout(PATIENCE, lines.try_next()).await.expect("a row").unwrap().unwrap();
        let line = String::from_utf8(line.to_vec()).unwrap();
        assert_eq!(line.split_once(',').unwrap().1, format!("1,{k},1\n"));
    }
    let mut lines = pin!(client.copy_out("COPY (SUBSCRIBE v) TO STDOUT").await.unwrap());
    let first = timeout(PATIENCE, lines.try_next()).await.expect("a row").unwrap().unwrap();
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
        let line = metrics.lines().find_map(|line| line.strip_prefix("millrace_connections "));
        line.unwrap_or_else(|| panic!("{metrics}")).parse::<u32>().unwrap()
    };
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.pg().port()).user("ada").dbname("millrace");
    let (watcher, connection) = config.connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    {
        let mut rows = pin!(subscribe(&watcher, "SUBSCRIBE v").await);
        rows.try_next().await.unwrap().unwrap();
        assert_eq!(connections(), 2);
        // The socket closes without a word of farewell.
        connection.abort();
        wait_for("the lost client", || (connections() == 1).then_some(()));
    }
    client.batch_execute("DROP MATERIALIZED VIEW v").await.unwrap();
}

/// The rows of a text of statements, `|` between columns, without the tick that comes first.
async fn fetched(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((1..row.len()).map(|at| row.get(at).unwrap_or("null")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_follows_a_view_a_few_rows_at_a_time() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let watcher = server.connect().await;
    let sql = "DECLARE c CURSOR FOR SUBSCRIBE v";
    assert_eq!(code(&watcher.simple_query(sql).await.unwrap_err()), "25P01");
    watcher.batch_execute(&format!("BEGIN; {sql}")).await.unwrap();
    assert_eq!(fetched(&watcher, "FETCH 1 c").await, ["1|1|10"]);
    assert_eq!(fetched(&watcher, "FETCH ALL c").await, ["1|2|20"]);
    // Nothing is there, and nothing comes: an empty answer when the time is over.
    assert!(fetched(&watcher, "FETCH ALL c WITH (timeout = '0s')").await.is_empty());
    assert!(fetched(&watcher, "FETCH ALL c WITH (timeout = '10ms')").await.is_empty());
    // A FETCH without a timeout waits for the first row.
    let waits = fetched(&watcher, "FETCH ALL c");
    let (rows, ()) = tokio::join!(waits, async {
        client.batch_execute("INSERT INTO t VALUES (1, 5)").await.unwrap();
    });
    let mut seen = rows;
    while seen.len() < 2 {
        seen.extend(fetched(&watcher, "FETCH ALL c WITH (timeout = '60s')").await);
    }
    seen.sort();
    assert_eq!(seen, ["-1|1|10", "1|1|15"]);
    // The open block holds back nothing: only the newest tick can be read.
    client.batch_execute("INSERT INTO t VALUES (9, 9)").await.unwrap();
    wait_for("since to pass the block's start", || {
        let (_, metrics) = server.get("/metrics");
        let of = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<f64>().ok()
        };
        (of("millrace_since_tick ")? >= of("millrace_newest_tick ")?).then_some(())
    });
    watcher.batch_execute("COMMIT").await.unwrap();
    assert_eq!(code(&watcher.simple_query("FETCH c").await.unwrap_err()), "34000");
    // With HOLD outside of a block; a query's cursor takes no timeout.
    watcher
        .batch_execute("DECLARE h CURSOR WITH HOLD FOR SUBSCRIBE v WITH (SNAPSHOT = false)")
        .await
        .unwrap();
    client.batch_execute("DELETE FROM t WHERE k = 9").await.unwrap();
    assert_eq!(fetched(&watcher, "FETCH h").await, ["-1|9|9"]);
    let sql = "DECLARE q CURSOR WITH HOLD FOR SELECT 1; FETCH q WITH (timeout = '1s')";
    assert_eq!(code(&watcher.simple_query(sql).await.unwrap_err()), "0A000");
    client.batch_execute("DROP MATERIALIZED VIEW v").await.unwrap();
    assert_eq!(code(&watcher.simple_query("FETCH h").await.unwrap_err()), "42P01");
    assert_eq!(code(&watcher.simple_query("FETCH h").await.unwrap_err()), "55000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_waits_can_be_cancelled() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    client.batch_execute("DECLARE c CURSOR WITH HOLD FOR SUBSCRIBE v WITH (SNAPSHOT = false)").await.unwrap();
    let token = client.cancel_token();
    let mut waits = pin!(client.simple_query("FETCH c"));
    // A cancel that comes before the statement finds nothing to cancel, so it is asked for until it takes.
    let answer = loop {
        tokio::select! {
            answer = &mut waits => break answer,
            cancelled = token.cancel_query(NoTls) => cancelled.unwrap(),
        }
    };
    assert_eq!(code(&answer.unwrap_err()), "57014");
    // One that was on its way may still meet the next statement.
    while client.batch_execute("SET statement_timeout = '1ms'").await.is_err() {}
    assert_eq!(code(&client.simple_query("FETCH c").await.unwrap_err()), "57014");
}

/// How often changes were written for subscribers.
fn writes(server: &Server) -> u64 {
    let (_, metrics) = server.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("millrace_subscription_writes_total "));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_written_once_for_all_who_follow() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let mut watchers = Vec::new();
    for _ in 0..40 {
        let watcher = server.connect().await;
        let rows = Box::pin(subscribe(&watcher, "SUBSCRIBE v WITH (SNAPSHOT false)").await);
        watchers.push((watcher, rows));
    }
    let before = writes(&server);
    for n in 0..5i32 {
        client.execute("INSERT INTO t VALUES ($1, $1)", &[&(100 + n)]).await.unwrap();
        for (_, rows) in &mut watchers {
            let row = timeout(PATIENCE, rows.try_next()).await.expect("a row").unwrap().unwrap();
            assert_eq!((row.get::<_, i64>("diff"), row.get::<_, i32>("k")), (1, 100 + n));
        }
    }
    assert_eq!(writes(&server) - before, 5, "once for all");
    // Another form is written for those who want that one.
    let copies = [server.connect().await, server.connect().await];
    let mut lines = Vec::new();
    for copy in &copies {
        let sql = "COPY (SUBSCRIBE v WITH (SNAPSHOT false)) TO STDOUT";
        lines.push(Box::pin(copy.copy_out(sql).await.unwrap()));
    }
    let before = writes(&server);
    client.execute("INSERT INTO t VALUES (200, 7)", &[]).await.unwrap();
    for lines in &mut lines {
        let line = timeout(PATIENCE, lines.try_next()).await.expect("a row").unwrap().unwrap();
        assert!(line.ends_with(b"\t1\t200\t7\n"), "{line:?}");
    }
    for (_, rows) in &mut watchers {
        timeout(PATIENCE, rows.try_next()).await.expect("a row").unwrap().unwrap();
    }
    assert_eq!(writes(&server) - before, 2, "once for each of two forms");
}

/// Whoever was cut off goes on behind what it has, though nothing has kept that history readable.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_kept_for_who_comes_back() {
    let server = Server::start();
    let client = server.connect().await;
    view(&client).await;
    let watcher = server.connect().await;
    let mut rows = Box::pin(subscribe(&watcher, "SUBSCRIBE v WITH (PROGRESS)").await);
    let progressed = loop {
        let row = timeout(PATIENCE, rows.try_next()).await.expect("rows").unwrap().unwrap();
        if row.get::<_, bool>("progressed") {
            break row.get::<_, i64>("tick");
        }
    };
    drop((rows, watcher));
    for n in 0..20i32 {
        client.execute("INSERT INTO t VALUES ($1, $1)", &[&(100 + n)]).await.unwrap();
    }
    wait_for("history to go", || {
        let (_, metrics) = server.get("/metrics");
        let since = metrics.lines().find_map(|line| line.strip_prefix("millrace_since_tick "))?;
        (since.parse::<i64>().ok()? > progressed).then_some(())
    });
    let again = server.connect().await;
    let sql = format!("SUBSCRIBE v WITH (SNAPSHOT false) AS OF {progressed}");
    let mut rows = Box::pin(subscribe(&again, &sql).await);
    for n in 0..20i32 {
        let row = timeout(PATIENCE, rows.try_next()).await.expect("a row").unwrap().unwrap();
        assert_eq!((row.get::<_, i64>("diff"), row.get::<_, i32>("k")), (1, 100 + n));
    }
    // Its rows at that moment are gone.
    let error = client.simple_query(&format!("SUBSCRIBE v AS OF {progressed}")).await.unwrap_err();
    assert_eq!(code(&error), "22023");
}
