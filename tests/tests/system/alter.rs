//! ALTER TABLE while the table lives: views, indexes and subscriptions go on, other sessions write, the server dies.
#![allow(clippy::unwrap_used)]

use std::pin::pin;

use futures::TryStreamExt;
use millrace_tests::Server;
use tokio_postgres::Client;

/// One row of texts a line, as psql's unaligned output has them.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let answers = client.simple_query(sql).await.unwrap();
    let text = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|at| row.get(at).unwrap_or("null").to_owned()).collect::<Vec<_>>().join("|")
    };
    let rows = answers.iter().filter_map(|answer| match answer {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(text(row)),
        _ => None,
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_a_table_goes_on_when_columns_come_and_go() {
    let mut server = Server::with_workers(2);
    let client = server.connect().await;
    let script = "CREATE TABLE t (a int PRIMARY KEY, b text, c int); \
                  CREATE INDEX by_b ON t (b); \
                  INSERT INTO t VALUES (1, 'x', 10), (2, 'x', 20), (3, 'y', 30); \
                  CREATE MATERIALIZED VIEW whole AS SELECT * FROM t; \
                  CREATE MATERIALIZED VIEW sums AS SELECT b, sum(c) AS sum FROM t GROUP BY b; \
                  CREATE MATERIALIZED VIEW pairs AS SELECT l.a, r.a AS other FROM t l JOIN t r ON l.b = r.b; \
                  CREATE VIEW plain AS SELECT * FROM t WHERE b = 'x'";
    client.batch_execute(script).await.unwrap();
    client.batch_execute("ALTER TABLE t ADD COLUMN d int DEFAULT 7, ADD COLUMN e text").await.unwrap();
    client
        .batch_execute("CREATE MATERIALIZED VIEW wide AS SELECT d, count(*) AS n FROM t GROUP BY d")
        .await
        .unwrap();
    // Rows from before are changed and taken away by those who see the new columns.
    client.batch_execute("DELETE FROM t WHERE a = 1; UPDATE t SET d = 8, c = 21 WHERE a = 2").await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES (4, 'x', 40, 9, 'e'); INSERT INTO t VALUES (5, 'y', 50)")
        .await
        .unwrap();
    let all = ["2|x|21|8|null", "3|y|30|7|null", "4|x|40|9|e", "5|y|50|7|null"];
    for _ in 0..2 {
        let client = server.connect().await;
        assert_eq!(rows(&client, "SELECT * FROM t ORDER BY a").await, all);
        assert_eq!(rows(&client, "SELECT * FROM t WHERE a = 3").await, all[1..2]);
        assert_eq!(rows(&client, "SELECT * FROM t WHERE b = 'x' ORDER BY a").await, [all[0], all[2]]);
        let whole = ["2|x|21", "3|y|30", "4|x|40", "5|y|50"];
        assert_eq!(rows(&client, "SELECT * FROM whole ORDER BY a").await, whole);
        assert_eq!(rows(&client, "SELECT * FROM plain ORDER BY a").await, [whole[0], whole[2]]);
        assert_eq!(rows(&client, "SELECT * FROM sums ORDER BY b").await, ["x|61", "y|80"]);
        assert_eq!(rows(&client, "SELECT count(*) FROM pairs").await, ["8"]);
        assert_eq!(rows(&client, "SELECT * FROM wide ORDER BY d").await, ["7|2", "8|1", "9|1"]);
        server.kill();
        server.restart();
    }
    // The first columns go, though indexes and views are by them; what does not read them stays.
    let client = server.connect().await;
    let refused = client.batch_execute("ALTER TABLE t DROP COLUMN c").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "2BP01");
    client.batch_execute("DROP VIEW plain; DROP MATERIALIZED VIEW whole, sums").await.unwrap();
    client
        .batch_execute("ALTER TABLE t DROP COLUMN c; ALTER TABLE t RENAME b TO bb; ALTER TABLE t RENAME TO u")
        .await
        .unwrap();
    client.batch_execute("INSERT INTO u VALUES (6, 'y', 1, 'f'); DELETE FROM u WHERE a = 4").await.unwrap();
    for _ in 0..2 {
        let client = server.connect().await;
        let all = ["2|x|8|null", "3|y|7|null", "5|y|7|null", "6|y|1|f"];
        assert_eq!(rows(&client, "SELECT * FROM u ORDER BY a").await, all);
        assert_eq!(rows(&client, "SELECT a FROM u WHERE bb = 'y' ORDER BY a").await, ["3", "5", "6"]);
        assert_eq!(rows(&client, "SELECT count(*) FROM pairs").await, ["10"]);
        server.kill();
        server.restart();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_write_while_a_table_is_altered() {
    const ROWS: i32 = 150;
    let server = Server::with_workers(2);
    let client = server.connect().await;
    let script = "CREATE TABLE t (a int PRIMARY KEY, b int); \
                  CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, sum(b) AS sum FROM t";
    client.batch_execute(script).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..3 {
        let client = server.connect().await;
        writers.push(tokio::spawn(async move {
            for n in 0..ROWS {
                let a = writer * ROWS + n;
                client.batch_execute(&format!("INSERT INTO t (a, b) VALUES ({a}, {n})")).await.unwrap();
                if n % 3 == 0 {
                    client.batch_execute(&format!("UPDATE t SET b = b + 1 WHERE a = {a}")).await.unwrap();
                }
                if n % 5 == 0 {
                    client.batch_execute(&format!("DELETE FROM t WHERE a = {a}")).await.unwrap();
                }
            }
        }));
    }
    let mut altered = 0;
    while !writers.iter().all(|writer| writer.is_finished()) || altered < 3 {
        let column = format!("ALTER TABLE t ADD COLUMN c{altered} int NOT NULL DEFAULT {altered}");
        client.batch_execute(&column).await.unwrap();
        let check = format!("ALTER TABLE t ADD CHECK (c{altered} = {altered})");
        client.batch_execute(&check).await.unwrap();
        if altered % 2 == 1 {
            client.batch_execute(&format!("ALTER TABLE t DROP COLUMN c{}", altered - 1)).await.unwrap();
        }
        altered += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let kept: Vec<i32> = (0..ROWS).filter(|n| n % 5 != 0).collect();
    let sum: i32 = kept.iter().map(|n| n + i32::from(n % 3 == 0)).sum();
    let expected = format!("{}|{}", 3 * kept.len(), 3 * sum);
    assert_eq!(rows(&client, "SELECT count(*), sum(b) FROM t").await, std::slice::from_ref(&expected));
    assert_eq!(rows(&client, "SELECT * FROM v").await, [expected]);
    let last = altered - 1;
    let wrong = format!("SELECT count(*) FROM t WHERE c{last} IS DISTINCT FROM {last}");
    assert_eq!(rows(&client, &wrong).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_shows_the_columns_that_it_began_with() {
    let server = Server::with_workers(2);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')").await.unwrap();
    let watcher = server.connect().await;
    let mut watched = pin!(watcher.query_raw("SUBSCRIBE t", std::iter::empty::<i32>()).await.unwrap());
    let row = watched.try_next().await.unwrap().unwrap();
    assert_eq!((row.get(1), row.get(2), row.get(3)), (1_i64, 1, "x"));
    client.batch_execute("ALTER TABLE t ADD COLUMN c int DEFAULT 3").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (2, 'y', 4)").await.unwrap();
    let row = watched.try_next().await.unwrap().unwrap();
    assert_eq!((row.len(), row.get(1), row.get(2), row.get(3)), (4, 1_i64, 2, "y"));
    client.batch_execute("DELETE FROM t WHERE a = 1").await.unwrap();
    let row = watched.try_next().await.unwrap().unwrap();
    assert_eq!((row.len(), row.get(1), row.get(2), row.get(3)), (4, -1_i64, 1, "x"));
    client.batch_execute("ALTER TABLE t DROP COLUMN b").await.unwrap();
    let other = server.connect().await;
    let mut seen = pin!(other.query_raw("SUBSCRIBE t", std::iter::empty::<i32>()).await.unwrap());
    let row = seen.try_next().await.unwrap().unwrap();
    assert_eq!((row.len(), row.get(1), row.get(2), row.get(3)), (4, 1_i64, 2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn alterations_beside_one_another_all_happen() {
    const COLUMNS: usize = 12;
    let server = Server::with_workers(2);
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    let mut sessions = Vec::new();
    for session in 0..3 {
        let client = server.connect().await;
        sessions.push(tokio::spawn(async move {
            for n in 0..COLUMNS {
                let add = format!("ALTER TABLE t ADD COLUMN c{session}_{n} int DEFAULT {n}");
                client.batch_execute(&add).await.unwrap();
                client.batch_execute(&format!("CREATE INDEX ON t (c{session}_{n})")).await.unwrap();
            }
        }));
    }
    for session in sessions {
        session.await.unwrap();
    }
    let all = [(3 * COLUMNS + 1).to_string()];
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 't'";
    assert_eq!(rows(&client, columns).await, all);
    assert_eq!(rows(&client, "SELECT count(*) FROM pg_indexes WHERE tablename = 't'").await, all);
    assert_eq!(rows(&client, "SELECT a FROM t WHERE c0_3 = 3 AND c1_4 = 4 AND c2_11 = 11").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_goes_on_behind_what_was_given_while_it_was_altered() {
    let server = Server::with_workers(2);
    let client = server.connect().await;
    client.batch_execute("CREATE SEQUENCE s; SELECT nextval('s')").await.unwrap();
    let other = server.connect().await;
    client.batch_execute("BEGIN; ALTER SEQUENCE s MAXVALUE 1000").await.unwrap();
    let mut given = Vec::new();
    for _ in 0..100 {
        given.extend(rows(&other, "SELECT nextval('s')").await);
    }
    client.batch_execute("COMMIT").await.unwrap();
    for _ in 0..100 {
        given.extend(rows(&other, "SELECT nextval('s')").await);
    }
    let mut once = given.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 200, "{given:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_keeps_its_number_and_what_reads_the_others_goes_on() {
    let mut server = Server::with_workers(2);
    let client = server.connect().await;
    let script = "CREATE TABLE t (a int PRIMARY KEY, b text, c int NOT NULL DEFAULT 3); \
                  CREATE INDEX by_b ON t (b); \
                  INSERT INTO t VALUES (1, '10', 100), (2, '20', 200), (3, NULL, 300); \
                  CREATE MATERIALIZED VIEW sums AS SELECT a % 2 AS odd, sum(c) AS sum FROM t GROUP BY 1";
    client.batch_execute(script).await.unwrap();
    client.batch_execute("ALTER TABLE t ALTER COLUMN b TYPE int USING b::int * 2").await.unwrap();
    client.batch_execute("CREATE MATERIALIZED VIEW whole AS SELECT * FROM t").await.unwrap();
    client.batch_execute("INSERT INTO t VALUES (4, 80); UPDATE t SET c = 101 WHERE a = 1").await.unwrap();
    for _ in 0..2 {
        let client = server.connect().await;
        let all = ["1|20|101", "2|40|200", "3|null|300", "4|80|3"];
        assert_eq!(rows(&client, "SELECT * FROM t ORDER BY a").await, all);
        assert_eq!(rows(&client, "SELECT * FROM whole ORDER BY a").await, all);
        assert_eq!(rows(&client, "SELECT * FROM t WHERE b = 40").await, all[1..2]);
        assert_eq!(rows(&client, "SELECT * FROM t WHERE a = 4").await, all[3..]);
        assert_eq!(rows(&client, "SELECT * FROM sums ORDER BY 1").await, ["0|203", "1|401"]);
        let names = "SELECT attname, attnum FROM pg_attribute WHERE attrelid = 't'::regclass AND NOT attisdropped ORDER BY 2";
        assert_eq!(rows(&client, names).await, ["a|1", "b|2", "c|3"]);
        let prepared = client.prepare("SELECT c, b FROM t").await.unwrap();
        let numbers: Vec<_> = prepared.columns().iter().map(|column| column.column_id()).collect();
        assert_eq!(numbers, [Some(3), Some(2)]);
        server.kill();
        server.restart();
    }
    // Two sessions: what was bound before is bound again.
    let (one, other) = (server.connect().await, server.connect().await);
    one.batch_execute("DROP MATERIALIZED VIEW whole").await.unwrap();
    one.batch_execute("BEGIN; SELECT * FROM t").await.unwrap();
    one.batch_execute("INSERT INTO t VALUES (5, 90)").await.unwrap();
    other.batch_execute("ALTER TABLE t ALTER COLUMN b TYPE text").await.unwrap();
    let refused = one.batch_execute("COMMIT").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "40001");
    one.batch_execute("INSERT INTO t VALUES (5, 'five')").await.unwrap();
    assert_eq!(rows(&other, "SELECT b FROM t WHERE a >= 4 ORDER BY a").await, ["80", "five"]);
    let twice = other.batch_execute("INSERT INTO t VALUES (5, 'x')").await.unwrap_err();
    assert_eq!(twice.code().unwrap().code(), "23505");
}
