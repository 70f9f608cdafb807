//! Several processes as one database: clients, load and subscriptions go on while processes are killed, stopped and cut
//! off, and nothing is lost, repeated or out of order.
//!
//! The ledger is the clients': each notes what was acknowledged. A subscriber folds up what it hears, once a tick.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use millrace_tests::{Launch, Passage, Peers, Proxy, Server, wait_for};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// How many clients write.
const WRITERS: i64 = 3;

const SCHEMA: &str = "
    CREATE TABLE readings (id bigint PRIMARY KEY, device int NOT NULL, value int NOT NULL);
    CREATE TABLE devices (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO devices SELECT i, 'device ' || i FROM generate_series(0, 9) AS i;
    CREATE MATERIALIZED VIEW sums AS SELECT device, count(*) AS n, sum(value) AS total FROM readings GROUP BY device;
    CREATE MATERIALIZED VIEW named AS
        SELECT d.name, max(r.value) AS most, min(r.id) AS first
        FROM readings r JOIN devices d ON d.id = r.device GROUP BY d.name;";

/// What the views say if they are asked anew.
const FRESH: [(&str, &str); 2] = [
    (
        "SELECT device, n, total FROM sums",
        "SELECT device, count(*) AS n, sum(value) AS total FROM readings GROUP BY device",
    ),
    (
        "SELECT name, most, first FROM named",
        "SELECT d.name, max(r.value) AS most, min(r.id) AS first
         FROM readings r JOIN devices d ON d.id = r.device GROUP BY d.name",
    ),
];

/// What happens to processes while clients are at work.
struct Stage {
    server: Server,
    _folder: TempDir,
}

impl Stage {
    fn on(peers: impl FnOnce(&std::path::Path) -> Peers) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let peers = peers(&data);
        let server = Launch::on(data).with(peers).workers(2).start();
        Stage { server, _folder: folder }
    }

    /// Of two processes with a worker each.
    fn of_two() -> Stage {
        Stage::on(|data| Peers::new(data, 2))
    }

    fn health(&self) -> u16 {
        self.server.get("/health").0
    }

    /// Waits until the workers are lost, and clients wait.
    fn wait_lost(&self) {
        wait_for("the loss to be noticed", || (self.health() == 503).then_some(()));
    }

    /// Waits until everything is answered again.
    fn wait_whole(&self) {
        wait_for("all processes to be back", || (self.health() == 200).then_some(()));
    }
}

/// Clients at work.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeSet<i64>>>,
    writers: Vec<JoinHandle<()>>,
    reader: JoinHandle<usize>,
    subscriber: JoinHandle<BTreeMap<String, i64>>,
    last: i64,
}

impl Load {
    async fn start(server: &Server) -> Load {
        let client = server.connect().await;
        client.batch_execute(SCHEMA).await.unwrap();
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let next = Arc::new(AtomicI64::new(0));
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let client = server.connect().await;
            writers.push(tokio::spawn(write(client, stop.clone(), next.clone(), Arc::clone(&acknowledged))));
        }
        let reader = tokio::spawn(read(server.connect().await, stop.clone()));
        let subscriber = tokio::spawn(subscribe(server.connect().await));
        Load { stop, acknowledged, writers, reader, subscriber, last: -1 }
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until more was acknowledged: the whole way works.
    fn wait_more(&self) {
        let before = self.acknowledged();
        wait_for("commits to go on", || (self.acknowledged() > before + 20).then_some(()));
    }

    /// Ends the load and compares everything.
    async fn check(mut self, server: &Server) {
        self.stop.store(true, Ordering::SeqCst);
        for writer in self.writers {
            writer.await.unwrap();
        }
        assert!(self.reader.await.unwrap() > 0, "nothing was read meanwhile");
        let client = server.connect().await;
        let ids: Vec<i64> = client
            .query("SELECT id FROM readings", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        let found: BTreeSet<i64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), &found), (found.len(), &*self.acknowledged.lock().unwrap()));
        for (view, query) in FRESH {
            let rows = |text: &str| sorted(server.query(text));
            assert_eq!(rows(view), rows(query), "{view}");
        }
        // The last commit tells the subscriber to stop.
        client.execute("INSERT INTO readings VALUES ($1, 77, 0)", &[&self.last]).await.unwrap();
        let heard = self.subscriber.await.unwrap();
        self.last = 0;
        let expected: BTreeMap<String, i64> = sorted(server.query("SELECT device, n, total FROM sums"))
            .into_iter()
            .map(|row| (row, 1))
            .collect();
        assert_eq!(heard, expected);
    }
}

fn sorted(text: String) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Inserts, updates and reads by key until it is told to stop; what was acknowledged must be seen at once. No error may come.
async fn write(
    client: Client,
    stop: Arc<AtomicBool>,
    next: Arc<AtomicI64>,
    acknowledged: Arc<Mutex<BTreeSet<i64>>>,
) {
    while !stop.load(Ordering::SeqCst) {
        let id = next.fetch_add(1, Ordering::SeqCst);
        let device = (id % 10) as i32;
        client
            .execute("INSERT INTO readings VALUES ($1, $2, $3)", &[&id, &device, &(id as i32)])
            .await
            .unwrap();
        acknowledged.lock().unwrap().insert(id);
        if id % 3 == 0 {
            let changed = client.execute("UPDATE readings SET value = value + 1 WHERE id = $1", &[&id]).await;
            assert_eq!(changed.unwrap(), 1);
        }
        let row = client.query_one("SELECT value FROM readings WHERE id = $1", &[&id]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), id as i32 + i32::from(id % 3 == 0));
    }
}

/// Compares views with their tables at one moment, again and again: how often.
async fn read(client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut times = 0;
    while !stop.load(Ordering::SeqCst) {
        let both =
            "SELECT (SELECT count(*) FROM readings)::bigint, coalesce((SELECT sum(n) FROM sums), 0)::bigint";
        let row = client.query_one(both, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
        times += 1;
    }
    times
}

/// Follows a view through everything, until it has heard of the last commit: the rows that it knows then.
async fn subscribe(client: Client) -> BTreeMap<String, i64> {
    let statement = "SUBSCRIBE sums WITH (PROGRESS)";
    let mut rows = pin!(client.query_raw(statement, std::iter::empty::<i32>()).await.unwrap());
    let mut known: BTreeMap<String, i64> = BTreeMap::new();
    let mut of_tick: BTreeSet<(i64, String)> = BTreeSet::new();
    let (mut progressed, mut has_last) = (0, false);
    while let Some(row) = rows.next().await {
        let row = row.unwrap();
        let tick: i64 = row.get("tick");
        assert!(tick > progressed, "{tick} comes behind the progress at {progressed}");
        if row.get("progressed") {
            assert!(known.values().all(|count| *count == 1), "{known:?}");
            progressed = tick;
            of_tick.clear();
            if has_last {
                return known;
            }
            continue;
        }
        let device: i32 = row.get("device");
        let total: Option<i64> = row.get("total");
        let shown = format!("{device}|{}|{}", row.get::<_, i64>("n"), total.unwrap_or_default());
        let diff: i64 = row.get("diff");
        assert!(of_tick.insert((diff, shown.clone())), "{shown} comes twice at {tick}");
        *known.entry(shown.clone()).or_default() += diff;
        known.retain(|_, count| *count != 0);
        has_last |= device == 77;
    }
    panic!("the subscription has ended");
}

/// Two processes: everything works as in one, and each has a part of the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_waited_for_and_nothing_is_lost() {
    let stage = Stage::of_two();
    let load = Load::start(&stage.server).await;
    for _ in 0..4 {
        load.wait_more();
        stage.server.peers().kill(1);
        stage.wait_lost();
        // Who comes now waits, and is answered.
        let late = stage.server.connect().await;
        let waiting = tokio::spawn(async move { late.query_one("SELECT count(*) FROM readings", &[]).await });
        stage.server.peers().start_missing(1);
        waiting.await.unwrap().unwrap();
        stage.wait_whole();
    }
    load.wait_more();
    load.check(&stage.server).await;
    let metrics = stage.server.get("/metrics").1;
    for metric in ["millrace_processes 2", "millrace_workers 2", "millrace_workers_lost 0"] {
        assert!(metrics.contains(metric), "{metric}");
    }
    let generation = metrics.lines().find_map(|line| line.strip_prefix("millrace_generation "));
    assert!(generation.unwrap().parse::<u64>().unwrap() >= 5, "{generation:?}");
}

/// Whoever waits can be told that it takes too long, and the server can be stopped.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_process_can_give_up() {
    let mut stage = Stage::of_two();
    let client = stage.server.connect().await;
    client.batch_execute("CREATE TABLE t (x int)").await.unwrap();
    stage.server.peers().kill(1);
    stage.wait_lost();
    client.batch_execute("SET statement_timeout = 300").await.unwrap();
    for text in ["SELECT count(*) FROM t", "INSERT INTO t VALUES (1)"] {
        let error = client.batch_execute(text).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code()), Some("57014"), "{text}: {error:?}");
    }
    let (status, body) = stage.server.get("/health");
    assert!(status == 503 && body.contains("\"waiting\":\"") && body.contains("process 1"), "{body}");
    let http = ureq::post(&format!("http://{}/v1/tables/t", stage.server.http()))
        .config()
        .http_status_as_error(false)
        .build();
    assert_eq!(http.header("Content-Type", "application/json").send("{\"x\": 2}").unwrap().status(), 429);
    let waiting = tokio::spawn(async move {
        client.batch_execute("SET statement_timeout = 0").await?;
        client.query_one("SELECT count(*) FROM t", &[]).await
    });
    assert_eq!(stage.server.stop(), Some(0));
    assert!(waiting.await.unwrap().is_err());
    stage.server.restart();
    assert_eq!(stage.server.query("SELECT count(*) FROM t"), "0");
}

/// Its connections stand, and nothing comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_is_noticed_and_fenced() {
    let stage = Stage::on(|data| Peers::new(data, 3));
    let load = Load::start(&stage.server).await;
    for process in [1, 2] {
        load.wait_more();
        stage.server.peers().signal("STOP", process);
        stage.wait_lost();
        stage.server.peers().signal("CONT", process);
        stage.wait_whole();
    }
    load.wait_more();
    load.check(&stage.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_cut_is_noticed_and_used_again_when_it_is_back() {
    let proxy = Proxy::start();
    let stage = Stage::on(|data| {
        let peers = Peers::new(data, 2).through(&proxy);
        proxy.lead_to(&peers.addresses()[0]);
        peers
    });
    let load = Load::start(&stage.server).await;
    proxy.delay(Duration::from_millis(2));
    load.wait_more();
    proxy.cut();
    load.wait_more();
    for passage in [Passage::Held, Passage::OneWay] {
        proxy.pass(passage);
        stage.wait_lost();
        proxy.pass(Passage::Open);
        stage.wait_whole();
        load.wait_more();
    }
    load.check(&stage.server).await;
}

/// A reader that has had a part of its rows gets the rest, once.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_being_read_come_to_their_end() {
    let stage = Stage::of_two();
    let client = stage.server.connect().await;
    client.batch_execute("CREATE TABLE wide (id bigint, pad text)").await.unwrap();
    let fill = "INSERT INTO wide SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) AS i";
    client.batch_execute(fill).await.unwrap();
    let mut rows =
        pin!(client.query_raw("SELECT id, pad FROM wide", std::iter::empty::<i32>()).await.unwrap());
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.insert(rows.next().await.unwrap().unwrap().get::<_, i64>(0));
    }
    stage.server.peers().kill(1);
    stage.wait_lost();
    // What is read meanwhile is of the same moment.
    stage.server.peers().start_missing(1);
    stage.wait_whole();
    stage.server.query("DELETE FROM wide WHERE id > 1000");
    while let Some(row) = rows.next().await {
        assert!(seen.insert(row.unwrap().get(0)), "a row comes twice");
    }
    assert_eq!(seen, (1..=60_000).collect());
    assert_eq!(stage.server.query("SELECT count(*) FROM wide"), "1000");
}

/// The process with the data goes, and the others find the one that takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn processes_outlive_the_one_that_leads_them() {
    let mut stage = Stage::of_two();
    stage.server.query("CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 5000)");
    stage.server.query("CREATE MATERIALIZED VIEW v AS SELECT x % 10 AS g, count(*) FROM t GROUP BY 1");
    for round in 0..3 {
        stage.server.restart();
        let expected = (5_000 + round).to_string();
        assert_eq!(stage.server.query("SELECT sum(count)::bigint FROM v"), expected);
        stage.server.query("INSERT INTO t VALUES (1)");
    }
    assert_eq!(stage.server.stop(), Some(0));
    stage.server.peers().signal("TERM", 1);
    assert_eq!(stage.server.peers().wait(1), Some(0));
}

#[test]
fn processes_that_do_not_agree_say_why() {
    let stage = Stage::of_two();
    stage.server.peers().kill(1);
    stage.server.peers().start_missing(3);
    assert_eq!(stage.server.peers().wait(1), Some(78));
    let log = stage.server.peers().log();
    assert!(log.contains("process 1 has --workers 3, process 0 has 1"), "{log}");
    stage.server.peers().start_missing(1);
    stage.wait_whole();
    assert_eq!(stage.server.query("SELECT 1"), "1");
}

/// Bytes of strangers on the port of the processes change nothing.
#[test]
fn strangers_are_dropped() {
    use std::io::{Read, Write};
    let stage = Stage::of_two();
    for address in stage.server.peers().addresses() {
        let mut stranger = std::net::TcpStream::connect(address).unwrap();
        stranger.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut told = Vec::new();
        // It may be reset: what it sent was not read to the end.
        let _ = stranger.read_to_end(&mut told);
        assert!(told.len() <= 40, "{told:?}");
    }
    assert_eq!(stage.server.query("SELECT 1"), "1");
    assert!(stage.server.get("/metrics").1.contains("millrace_generation 1\n"));
}
