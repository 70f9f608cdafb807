//! Transactions that interleave are as good as one after the other, in the order of their commits.
//!
//! Random histories: three sessions, whose statements come in a random order, one at a time. What a transaction
//! saw must be what it sees when it is run by itself, on a model, at its first statement, and, if it changed
//! something, at its commit. A refused one must have left nothing. `MILLRACE_NIGHTLY=1` runs 10,000 histories.

use std::collections::BTreeMap;

use futures::future::join_all;
use millrace_tests::{Random, Server};
use tokio_postgres::{Client, Error};

use crate::transactions::{code, number};

type Rows = BTreeMap<i32, i32>;

const KEYS: usize = 4;

/// A statement of a transaction.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One row by its key.
    Get(i32),
    /// Two rows by their keys.
    Two(i32, i32),
    /// All rows, by a materialized view.
    Sum,
    /// How many rows are above a bound, by a scan.
    Above(i32),
    /// A row gets a value made of what the transaction saw last.
    Put(i32),
    /// A row more by its key, if there is none.
    Add(i32),
    /// A row less.
    Remove(i32),
    /// All rows above a bound become one more.
    Raise(i32),
}

impl Step {
    fn random(random: &mut Random) -> Step {
        let key = |random: &mut Random| random.below(KEYS) as i32;
        match random.below(12) {
            0 | 1 => Step::Get(key(random)),
            2 => Step::Two(key(random), key(random)),
            3 => Step::Sum,
            4 => Step::Above(random.below(20) as i32),
            5..8 => Step::Put(key(random)),
            8 => Step::Add(key(random)),
            9 => Step::Remove(key(random)),
            10 => Step::Raise(random.below(20) as i32),
            _ => Step::Get(key(random)),
        }
    }

    /// The statement; `last` is what was seen last.
    fn sql(self, last: i64) -> String {
        match self {
            Step::Get(key) => format!("SELECT coalesce(max(v), -1)::bigint FROM kv WHERE id = {key}"),
            Step::Two(one, two) => {
                format!("SELECT coalesce(sum(v), -1)::bigint FROM kv WHERE id IN ({one}, {two})")
            }
            Step::Sum => "SELECT s::bigint FROM total".to_owned(),
            Step::Above(bound) => format!("SELECT count(*) FROM kv WHERE v > {bound}"),
            Step::Put(key) => {
                format!("UPDATE kv SET v = ({last} + v) % 23 WHERE id = {key} RETURNING v::bigint")
            }
            Step::Add(key) => {
                format!("INSERT INTO kv VALUES ({key}, 5) ON CONFLICT DO NOTHING RETURNING v::bigint")
            }
            Step::Remove(key) => format!("DELETE FROM kv WHERE id = {key} RETURNING v::bigint"),
            Step::Raise(bound) => format!("UPDATE kv SET v = v + 1 WHERE v > {bound}"),
        }
    }

    /// What the statement shows and does, on a model.
    fn model(self, rows: &mut Rows, last: i64) -> Option<i64> {
        let get = |rows: &Rows, key: i32| rows.get(&key).map(|value| i64::from(*value));
        match self {
            Step::Get(key) => Some(get(rows, key).unwrap_or(-1)),
            Step::Two(one, two) if one == two => Some(get(rows, one).unwrap_or(-1)),
            Step::Two(one, two) => match (get(rows, one), get(rows, two)) {
                (None, None) => Some(-1),
                (one, two) => Some(one.unwrap_or(0) + two.unwrap_or(0)),
            },
            Step::Sum => Some(rows.values().map(|value| i64::from(*value)).sum()),
            Step::Above(bound) => Some(rows.values().filter(|value| **value > bound).count() as i64),
            Step::Put(key) => {
                let value = rows.get_mut(&key)?;
                *value = ((last + i64::from(*value)) % 23) as i32;
                Some(i64::from(*value))
            }
            Step::Add(key) => {
                let is_new = !rows.contains_key(&key);
                rows.entry(key).or_insert(5);
                is_new.then_some(5)
            }
            Step::Remove(key) => rows.remove(&key).map(i64::from),
            Step::Raise(bound) => {
                rows.values_mut().filter(|value| **value > bound).for_each(|value| *value += 1);
                None
            }
        }
    }
}

/// A transaction on its way.
#[derive(Default)]
struct Running {
    /// What was there when it began to look.
    began: Option<Rows>,
    seen: Vec<(Step, Option<i64>)>,
    last: i64,
}

impl Running {
    /// That it saw what it sees alone over these rows; what it leaves.
    fn replayed(&self, mut rows: Rows) -> Rows {
        let mut last = 0;
        for (step, seen) in &self.seen {
            let expected = step.model(&mut rows, last);
            assert_eq!(*seen, expected, "{step:?} of {:?}", self.seen);
            last = expected.unwrap_or(last);
        }
        rows
    }
}

async fn ask(client: &Client, sql: &str) -> Result<Option<i64>, Error> {
    Ok(client.query_opt(sql, &[]).await?.map(|row| row.get(0)))
}

#[tokio::test(flavor = "multi_thread")]
async fn interleaved_transactions_have_a_serial_order() {
    let is_nightly = std::env::var_os("MILLRACE_NIGHTLY").is_some();
    let first: u64 = std::env::var("MILLRACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let server = Server::with_workers(2);
    let clients: Vec<Client> = join_all((0..3).map(|_| server.connect())).await;
    let setup = "CREATE TABLE kv (id int PRIMARY KEY, v int NOT NULL);
        CREATE MATERIALIZED VIEW total AS SELECT coalesce(sum(v), 0) AS s FROM kv";
    clients[0].batch_execute(setup).await.unwrap();
    let (mut committed, mut refused) = (0, 0);
    let histories = if is_nightly { 10_000 } else { 300 };
    for seed in first..first + histories {
        let random = &mut Random::new(seed);
        clients[0]
            .batch_execute("TRUNCATE kv; INSERT INTO kv VALUES (0, 10), (1, 20), (2, 3)")
            .await
            .unwrap();
        let mut rows: Rows = [(0, 10), (1, 20), (2, 3)].into();
        let mut running: Vec<Option<Running>> = vec![None, None, None];
        for _ in 0..30 {
            let who = random.below(3);
            let client = &clients[who];
            let Some(transaction) = &mut running[who] else {
                client.batch_execute("BEGIN").await.unwrap();
                running[who] = Some(Running::default());
                continue;
            };
            if random.below(4) > 0 {
                transaction.began.get_or_insert_with(|| rows.clone());
                let step = Step::random(random);
                let seen = match step {
                    Step::Raise(_) => client.batch_execute(&step.sql(0)).await.map(|()| None),
                    _ => ask(client, &step.sql(transaction.last)).await,
                };
                let seen = seen.unwrap_or_else(|error| panic!("seed {seed}: {step:?}: {error:?}"));
                transaction.seen.push((step, seen));
                transaction.last = seen.unwrap_or(transaction.last);
                continue;
            }
            let transaction = running[who].take().unwrap();
            let began = transaction.began.clone().unwrap_or_else(|| rows.clone());
            let alone = transaction.replayed(began.clone());
            match client.batch_execute("COMMIT").await {
                // What only read was right when it read.
                Ok(()) if alone == began => {}
                Ok(()) => {
                    rows = transaction.replayed(rows);
                    committed += 1;
                }
                error => {
                    assert_eq!(code(error), "40001", "seed {seed}");
                    refused += 1;
                }
            }
            let left: Rows = (clients[who].query("SELECT id, v FROM kv", &[]).await.unwrap().iter())
                .map(|row| (row.get(0), row.get(1)))
                .collect();
            assert_eq!(left, rows, "seed {seed}");
        }
        for client in &clients {
            client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
    assert!(committed > histories && refused > histories / 4, "{committed} committed, {refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_on_different_keys_do_not_disturb_each_other() {
    let server = Server::start();
    let (one, two) = (server.connect().await, server.connect().await);
    let setup = "CREATE TABLE kv (id int PRIMARY KEY, v int); INSERT INTO kv VALUES (1, 1), (2, 2), (3, 3)";
    one.batch_execute(setup).await.unwrap();
    let block = async |first: &str, second: &str| {
        one.batch_execute("BEGIN").await.unwrap();
        one.batch_execute(first).await.unwrap();
        two.batch_execute(second).await.unwrap();
        one.batch_execute("COMMIT").await.err().map(|error| code::<()>(Err(error)))
    };
    let put = |key: i32| format!("UPDATE kv SET v = v + 1 WHERE id = {key}");
    assert_eq!(block(&put(1), &put(2)).await, None);
    assert_eq!(block(&put(1), &put(1)).await.as_deref(), Some("40001"));
    assert_eq!(block(&put(1), "INSERT INTO kv VALUES (9, 9)").await, None);
    assert_eq!(block(&put(1), "UPDATE kv SET id = 1 WHERE id = 1").await.as_deref(), Some("40001"));
    assert_eq!(block("INSERT INTO kv VALUES (4, 4)", "INSERT INTO kv VALUES (5, 5)").await, None);
    assert_eq!(
        block("INSERT INTO kv VALUES (6, 6)", "INSERT INTO kv VALUES (6, 7)").await.as_deref(),
        Some("40001")
    );
    // A key that was not there is a thing that was seen, too: write skew by absence.
    let absent = format!("SELECT * FROM kv WHERE id = 77; {}", put(3));
    assert_eq!(block(&absent, "INSERT INTO kv VALUES (77, 0)").await.as_deref(), Some("40001"));
    assert_eq!(block(&absent, "INSERT INTO kv VALUES (78, 0)").await, None);
    // A scan sees all rows.
    let scan = format!("SELECT count(*) FROM kv WHERE v > 100; {}", put(3));
    assert_eq!(block(&scan, "INSERT INTO kv VALUES (79, 0)").await.as_deref(), Some("40001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_of_a_bank_never_changes() {
    const ACCOUNTS: i64 = 20;
    const TRANSFERS: usize = 40;
    let server = Server::with_workers(2);
    let client = server.connect().await;
    let setup = format!(
        "CREATE TABLE acc (id int PRIMARY KEY, bal int NOT NULL CHECK (bal >= 0));
         INSERT INTO acc VALUES {};
         CREATE MATERIALIZED VIEW total AS SELECT sum(bal) AS s, count(*) AS n FROM acc",
        (0..ACCOUNTS).map(|id| format!("({id}, 100)")).collect::<Vec<_>>().join(", ")
    );
    client.batch_execute(&setup).await.unwrap();
    let transfers = (0..6_u64).map(|who| {
        let server = &server;
        async move {
            let client = server.connect().await;
            let random = &mut Random::new(who);
            let mut retries = 0;
            for _ in 0..TRANSFERS {
                let (from, to, amount) = (random.below(20), random.below(20), random.below(60));
                let block = format!(
                    "BEGIN; UPDATE acc SET bal = bal - {amount} WHERE id = {from};
                     UPDATE acc SET bal = bal + {amount} WHERE id = {to}; COMMIT"
                );
                while let Err(error) = client.batch_execute(&block).await {
                    let code = code::<()>(Err(error));
                    client.batch_execute("ROLLBACK").await.unwrap();
                    match code.as_str() {
                        "40001" => retries += 1,
                        "23514" => break,
                        other => panic!("{other}"),
                    }
                }
            }
            retries
        }
    });
    let watcher = server.connect().await;
    let watch = async {
        for _ in 0..200 {
            assert_eq!(number(&watcher, "SELECT s::bigint FROM total").await, 100 * ACCOUNTS);
            assert_eq!(number(&watcher, "SELECT sum(bal)::bigint FROM acc").await, 100 * ACCOUNTS);
        }
    };
    let (retries, ()) = tokio::join!(join_all(transfers), watch);
    assert_eq!(number(&client, "SELECT s::bigint FROM total WHERE n = 20").await, 100 * ACCOUNTS);
    println!("{:?} retries", retries);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_defaults_outlive_a_kill() {
    let mut server = Server::start();
    let client = server.connect().await;
    let setup = "CREATE TABLE kv (id int PRIMARY KEY, v int DEFAULT 5 CHECK (v < 9), w text UNIQUE);
        CREATE VIEW plain AS SELECT id, v FROM kv WHERE v > 1; INSERT INTO kv (id, w) VALUES (1, 'a'), (2, NULL)";
    client.batch_execute(setup).await.unwrap();
    server.restart();
    let client = server.connect().await;
    assert_eq!(number(&client, "SELECT sum(v)::bigint FROM plain").await, 10);
    let refused = [
        ("INSERT INTO kv VALUES (1)", "23505"),
        ("INSERT INTO kv VALUES (3, 4, 'a')", "23505"),
        ("INSERT INTO kv VALUES (3, 9)", "23514"),
        ("DROP INDEX kv_pkey", "2BP01"),
        ("DROP TABLE kv", "2BP01"),
    ];
    for (sql, expected) in refused {
        assert_eq!(code(client.batch_execute(sql).await), expected, "{sql}");
    }
    client.batch_execute("INSERT INTO kv (id) VALUES (3); UPDATE kv SET w = 'b' WHERE id = 2").await.unwrap();
    assert_eq!(number(&client, "SELECT count(*) FROM kv WHERE v = 5 AND w IS NOT NULL").await, 2);
}
