//! When nothing happens nothing runs; when something happens it is shown at once.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use millrace_tests::Server;

/// How long the server is watched doing nothing.
const WATCHED: Duration = Duration::from_secs(4);

/// Views that wait.
const VIEWS: usize = 100;

/// The processor time that a process has used, all threads, user and system, in ticks of 10 ms.
fn processor_ticks(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The second field is the name in parentheses, which may have blanks in it.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// A subscriber hears nothing for some seconds, in which the server uses less than 1 % of one
/// processor; the next commit reaches the subscriber in far less than any timer would take.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_idle_views_cost_nothing_and_wake_at_once() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int, b int)").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (1, 1), (2, 1), (3, 2)").await.unwrap();
    for view in 0..VIEWS {
        let query = format!("SELECT b + {view} AS b, count(*) AS n, max(a) AS a FROM t GROUP BY 1");
        client.batch_execute(&format!("CREATE MATERIALIZED VIEW v{view} AS {query}")).await.unwrap();
    }
    let last = format!("v{}", VIEWS - 1);
    for view in 0..VIEWS {
        client.query(&format!("SELECT * FROM v{view}"), &[]).await.unwrap();
    }
    let subscriber = server.connect().await;
    let copy = format!("COPY (SUBSCRIBE {last} WITH (SNAPSHOT false, PROGRESS)) TO STDOUT");
    let mut rows = pin!(subscriber.copy_out(&copy).await.unwrap());
    rows.next().await.expect("the subscription stands").unwrap();

    let before = processor_ticks(server.process_id());
    let heard = tokio::time::timeout(WATCHED, rows.next()).await;
    let used = processor_ticks(server.process_id()) - before;
    assert!(heard.is_err(), "nothing has happened, but the subscriber heard {heard:?}");
    let allowed = WATCHED.as_millis() as u64 / 10 / 100;
    println!("{VIEWS} idle views used {used} ticks of 10 ms in {WATCHED:?}");
    assert!(used <= allowed, "{used} ticks of 10 ms in {WATCHED:?} is more than 1 %");

    let begun = Instant::now();
    client.batch_execute("INSERT INTO t VALUES (9, 1)").await.unwrap();
    // A row of progress may come first: an upper can stand just before the commit's tick.
    let is_change = |row: &[u8]| row.split(|byte| *byte == b'\t').nth(1) == Some(b"f".as_slice());
    while !is_change(&rows.next().await.expect("the subscription goes on").unwrap()) {}
    let waited = begun.elapsed();
    println!("a commit was seen through the last of {VIEWS} views after {waited:?}");
    assert!(waited < Duration::from_secs(1), "seen after {waited:?}");
}
