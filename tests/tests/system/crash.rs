//! `kill -9` at every moment that matters: what was acknowledged is there, once; what was not is
//! there whole or not at all.
//!
//! The ledger is the client's: a model of the tables that it keeps itself, step by step, as the
//! server acknowledges. After each crash the server must show the model as of the last acknowledged
//! step, or as of the one that was under way; each view must equal its query run afresh.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_tests::{Launch, Server, kill_at_sync, killed_at_sync};
use tokio_postgres::Client;

/// The two tables' rows with their multiplicities, and whether the view is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ledger {
    readings: BTreeMap<(i32, String), usize>,
    devices: BTreeMap<(i32, String), usize>,
    has_view: bool,
}

fn add(rows: &mut BTreeMap<(i32, String), usize>, key: i32, text: &str) {
    *rows.entry((key, text.to_owned())).or_default() += 1;
}

/// What one commit asks for, and what it then changes.
struct Step {
    sql: &'static str,
    effect: fn(&mut Ledger),
}

const SCHEMA: &str = "CREATE TABLE readings (device int NOT NULL, note text);
    CREATE TABLE devices (device int NOT NULL, note text);";

const VIEW: &str = "CREATE MATERIALIZED VIEW counted AS
    SELECT d.note AS name, count(*) AS n, max(r.note) AS last
    FROM readings r JOIN devices d ON r.device = d.device GROUP BY d.note";

/// The view's query.
const FRESH: &str = "SELECT d.note AS name, count(*) AS n, max(r.note) AS last
    FROM readings r JOIN devices d ON r.device = d.device GROUP BY d.note ORDER BY name";

/// One commit each: single rows, many rows, both tables at once, deletions, a view that comes and goes.
const STEPS: &[Step] = &[
    Step { sql: "INSERT INTO devices VALUES (1, 'pump')", effect: |l| add(&mut l.devices, 1, "pump") },
    Step { sql: "INSERT INTO readings VALUES (1, 'a')", effect: |l| add(&mut l.readings, 1, "a") },
    Step { sql: VIEW, effect: |l| l.has_view = true },
    Step {
        sql: "INSERT INTO readings VALUES (1, 'b'), (1, 'b'), (2, 'c')",
        effect: |l| {
            add(&mut l.readings, 1, "b");
            add(&mut l.readings, 1, "b");
            add(&mut l.readings, 2, "c");
        },
    },
    Step {
        sql: "BEGIN; INSERT INTO devices VALUES (2, 'fan'); INSERT INTO readings VALUES (2, 'd'); COMMIT",
        effect: |l| {
            add(&mut l.devices, 2, "fan");
            add(&mut l.readings, 2, "d");
        },
    },
    Step {
        sql: "DELETE FROM readings WHERE note = 'b'",
        effect: |l| l.readings.retain(|(_, note), _| note != "b"),
    },
    Step {
        sql: "INSERT INTO readings SELECT device, note FROM devices",
        effect: |l| {
            let devices = l.devices.clone();
            devices.keys().for_each(|(device, note)| add(&mut l.readings, *device, note));
        },
    },
    Step { sql: "DROP MATERIALIZED VIEW counted", effect: |l| l.has_view = false },
    Step {
        sql: "DELETE FROM devices WHERE device = 1",
        effect: |l| l.devices.retain(|(device, _), _| *device != 1),
    },
    Step { sql: VIEW, effect: |l| l.has_view = true },
    Step { sql: "INSERT INTO readings VALUES (2, 'e')", effect: |l| add(&mut l.readings, 2, "e") },
];

async fn rows(client: &Client, table: &str) -> BTreeMap<(i32, String), usize> {
    let mut found = BTreeMap::new();
    for row in client.query(&format!("SELECT device, note FROM {table}"), &[]).await.unwrap() {
        add(&mut found, row.get(0), row.get(1));
    }
    found
}

async fn texts(client: &Client, query: &str) -> Vec<(String, i64, String)> {
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// What the server shows; the view, if there is one, is checked against its query on the way.
async fn shown(client: &Client) -> Ledger {
    let view = client.query("SELECT name, n, last FROM counted ORDER BY name", &[]).await;
    let has_view = match view {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code().map(|code| code.code()), Some("42P01"), "{error}");
            false
        }
    };
    if has_view {
        let kept = texts(client, "SELECT name, n, last FROM counted ORDER BY name").await;
        assert_eq!(kept, texts(client, FRESH).await, "the view is not its query");
    }
    Ledger { readings: rows(client, "readings").await, devices: rows(client, "devices").await, has_view }
}

/// Runs the steps until the server dies: the ledger as acknowledged, and with the step under way.
async fn run_until_killed(client: &Client) -> (Ledger, Ledger, usize) {
    let mut acknowledged = Ledger::default();
    for (done, step) in STEPS.iter().enumerate() {
        let mut after = acknowledged.clone();
        (step.effect)(&mut after);
        if let Err(error) = client.batch_execute(step.sql).await {
            assert!(error.as_db_error().is_none(), "{}: {error:?}", step.sql);
            return (acknowledged, after, done);
        }
        acknowledged = after;
    }
    (acknowledged.clone(), acknowledged, STEPS.len())
}

/// The server as it came back is checked, written to, restarted, and checked again.
async fn check_what_came_back(server: &mut Server, acknowledged: &Ledger, under_way: &Ledger, when: &str) {
    let client = server.connect().await;
    let found = shown(&client).await;
    assert!(
        found == *acknowledged || found == *under_way,
        "{when}: found {found:#?}\nacknowledged {acknowledged:#?}\nunder way {under_way:#?}"
    );
    client.batch_execute("INSERT INTO readings VALUES (2, 'afterwards')").await.unwrap();
    let mut after = found;
    add(&mut after.readings, 2, "afterwards");
    server.restart();
    assert_eq!(shown(&server.connect().await).await, after, "{when}, then written to and restarted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_sync_of_a_script_loses_nothing_and_repeats_nothing() {
    for n in 1.. {
        let mut server = Server::start();
        let client = server.connect().await;
        client.batch_execute(SCHEMA).await.unwrap();
        let mut strace = kill_at_sync(server.process_id(), n);
        let (acknowledged, under_way, done) = run_until_killed(&client).await;
        if done == STEPS.len() {
            assert!(n > STEPS.len(), "{done} commits with only {n} syncs: some were not made durable");
            server.kill();
        }
        assert_eq!(server.wait(), None, "it was killed");
        strace.wait();
        server.restart();
        check_what_came_back(&mut server, &acknowledged, &under_way, &format!("killed at sync {n}")).await;
        if done == STEPS.len() {
            return;
        }
    }
}

/// A data folder in which all steps were acknowledged, killed afterwards.
async fn folder_of_all_steps(folder: &Path) -> Ledger {
    let mut server = Launch::on(folder).start();
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.unwrap();
    let (acknowledged, _, done) = run_until_killed(&client).await;
    assert_eq!(done, STEPS.len());
    server.kill();
    acknowledged
}

/// Kills the start at its n-th sync for every n, then starts again.
async fn kill_every_start(folder: &Path, mut prepare: impl FnMut(&Path), expected: Option<&Ledger>) {
    for n in 1.. {
        let data = folder.join(format!("start-{n}"));
        prepare(&data);
        match Launch::on(&data).wrapped(killed_at_sync(n)).try_start() {
            Err(ended) => assert_eq!(ended.code, None, "sync {n}: {ended:?}"),
            Ok(mut server) => {
                server.kill();
                assert!(n > 1, "a start makes nothing durable");
                return;
            }
        }
        let mut server = Launch::on(&data).start();
        match expected {
            Some(ledger) => {
                let when = format!("the start killed at sync {n}");
                check_what_came_back(&mut server, ledger, ledger, &when).await;
            }
            None => assert_eq!(server.query("CREATE TABLE t (a int)"), ""),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_sync_of_the_first_start_leaves_a_folder_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    kill_every_start(folder.path(), |_| {}, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_sync_of_a_restart_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let ledger = folder_of_all_steps(&original).await;
    kill_every_start(folder.path(), |data| copy_folder(&original, data), Some(&ledger)).await;
}

/// A copy of a data folder.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

/// Inserts 0, 1, 2 … under its own number until the server is gone: how many were acknowledged.
async fn insert_until_killed(client: Client, number: i32) -> i32 {
    // The kill may come before a client's first word.
    let Ok(insert) = client.prepare("INSERT INTO readings VALUES ($1, $2)").await else { return 0 };
    for row in 0.. {
        if client.execute(&insert, &[&number, &row]).await.is_err() {
            return row;
        }
    }
    unreachable!("a killed server answers no more")
}

/// Commits of several clients share records of the log; each client's ledger must hold by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_many_clients_keeps_each_ones_acknowledged_rows_once() {
    for n in [2, 7, 23, 60] {
        let mut server = Server::start();
        server.query("CREATE TABLE readings (client int NOT NULL, n int NOT NULL)");
        server.query("CREATE MATERIALIZED VIEW counted AS SELECT client, count(*) AS n, max(n) AS last FROM readings GROUP BY client");
        let mut clients = Vec::new();
        for number in 0..8 {
            clients.push((number, server.connect().await));
        }
        let mut strace = kill_at_sync(server.process_id(), n);
        let tasks: Vec<_> = clients
            .into_iter()
            .map(|(number, client)| tokio::spawn(insert_until_killed(client, number)))
            .collect();
        let mut ledgers = Vec::new();
        for task in tasks {
            ledgers.push(task.await.unwrap());
        }
        server.wait();
        strace.wait();
        server.restart();
        let client = server.connect().await;
        for (number, acknowledged) in (0..).zip(ledgers) {
            let query = "SELECT n FROM readings WHERE client = $1 ORDER BY n";
            let rows = client.query(query, &[&number]).await.unwrap();
            let found: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
            let expected: Vec<i32> = (0..acknowledged).collect();
            let with_next: Vec<i32> = (0..=acknowledged).collect();
            assert!(
                found == expected || found == with_next,
                "sync {n}: {acknowledged} acknowledged, {found:?}"
            );
        }
        let fresh =
            "SELECT client, count(*) AS n, max(n) AS last FROM readings GROUP BY client ORDER BY client";
        assert_eq!(server.query("SELECT * FROM counted ORDER BY client"), server.query(fresh));
    }
}
