//! Schemas while the server dies, while several sessions work on them, and as drivers and psql name them.
#![allow(clippy::unwrap_used)]

use millrace_tests::Server;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let answers = client.simple_query(sql).await.unwrap();
    let text = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|at| row.get(at).unwrap_or("null").to_owned()).collect::<Vec<_>>().join("|")
    };
    let rows = answers.iter().filter_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => Some(text(row)),
        _ => None,
    });
    rows.collect()
}

async fn code(client: &Client, sql: &str) -> String {
    client.simple_query(sql).await.unwrap_err().code().unwrap().code().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_and_what_names_meant_outlive_the_server() {
    let mut server = Server::with_workers(2);
    let client = server.connect().await;
    let script = "CREATE SCHEMA a; CREATE SCHEMA b; \
                  CREATE TABLE t (x int); CREATE TABLE a.t (x int PRIMARY KEY, n serial); CREATE TABLE b.t (x int); \
                  INSERT INTO t VALUES (1); INSERT INTO a.t VALUES (10), (11); INSERT INTO b.t VALUES (20); \
                  SET search_path TO a, public; \
                  CREATE MATERIALIZED VIEW kept AS SELECT t.x, o.x AS other FROM t, b.t AS o; \
                  CREATE VIEW plain AS SELECT x FROM t; \
                  CREATE INDEX ON kept (x)";
    client.batch_execute(script).await.unwrap();
    // What is altered after that changes no meaning.
    client.batch_execute("ALTER SCHEMA a RENAME TO c; ALTER TABLE b.t SET SCHEMA c").await.unwrap_err();
    client
        .batch_execute("CREATE SCHEMA d; ALTER SCHEMA a RENAME TO c; ALTER TABLE b.t SET SCHEMA d")
        .await
        .unwrap();
    client
        .batch_execute("COMMENT ON SCHEMA c IS 'was a'; DROP SCHEMA b; INSERT INTO c.t VALUES (12)")
        .await
        .unwrap();
    let oids = "SELECT oid, nspname FROM pg_namespace ORDER BY 1; \
                SELECT oid, relname, relnamespace FROM pg_class ORDER BY 1";
    let before = rows(&client, oids).await;
    for _ in 0..2 {
        let client = server.connect().await;
        assert_eq!(rows(&client, "SELECT x FROM c.t ORDER BY x").await, ["10", "11", "12"]);
        assert_eq!(rows(&client, "SELECT * FROM c.kept ORDER BY 1").await, ["10|20", "11|20", "12|20"]);
        assert_eq!(rows(&client, "SELECT * FROM c.kept WHERE x = 11").await, ["11|20"]);
        assert_eq!(rows(&client, "SELECT * FROM c.plain ORDER BY 1").await, ["10", "11", "12"]);
        assert_eq!(rows(&client, "SELECT * FROM t").await, ["1"]);
        assert_eq!(code(&client, "SELECT * FROM b.t").await, "42P01");
        let of_schema = "SELECT obj_description('c'::regnamespace), pg_get_serial_sequence('c.t', 'n')";
        assert_eq!(rows(&client, of_schema).await, ["was a|c.t_n_seq"]);
        assert_eq!(rows(&client, oids).await, before);
        server.restart();
    }
    let client = server.connect().await;
    client.batch_execute("DROP SCHEMA c CASCADE; CREATE SCHEMA c").await.unwrap();
    let oid = rows(&client, "SELECT oid FROM pg_namespace WHERE nspname = 'c'").await.remove(0);
    assert!(!before.iter().any(|row| row.starts_with(&format!("{oid}|"))), "an oid is given again");
    server.restart();
    let client = server.connect().await;
    assert_eq!(code(&client, "SELECT * FROM c.t").await, "42P01");
    assert_eq!(rows(&client, "SELECT * FROM d.t").await, ["20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_have_their_own_paths_and_see_what_is_committed() {
    let server = Server::with_workers(2);
    let (one, other) = (server.connect().await, server.connect().await);
    one.batch_execute("CREATE SCHEMA ada; CREATE TABLE public.t (a int); INSERT INTO public.t VALUES (1)")
        .await
        .unwrap();
    // The schema of the user's name comes first in the default path.
    one.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (2)").await.unwrap();
    assert_eq!(rows(&other, "SELECT a FROM t; SELECT a FROM public.t").await, ["2", "1"]);
    other.batch_execute("SET search_path TO public").await.unwrap();
    assert_eq!(rows(&other, "SELECT a FROM t").await, ["1"]);
    assert_eq!(rows(&one, "SELECT a FROM t").await, ["2"]);
    one.batch_execute("BEGIN; CREATE SCHEMA late; CREATE TABLE late.t (a int)").await.unwrap();
    assert_eq!(code(&other, "CREATE TABLE late.u (a int)").await, "3F000");
    one.batch_execute("COMMIT").await.unwrap();
    other.batch_execute("CREATE TABLE late.u (a int)").await.unwrap();
    // Who was faster wins: what is in the way of a block's DROP came after its first statement.
    one.batch_execute("BEGIN; SELECT 1 FROM late.t; DROP TABLE late.t, late.u; DROP SCHEMA late")
        .await
        .unwrap();
    other.batch_execute("CREATE TABLE late.more (a int)").await.unwrap();
    assert_eq!(code(&one, "COMMIT").await, "40001");
    one.batch_execute("DROP SCHEMA late CASCADE").await.unwrap();
    assert_eq!(code(&other, "SELECT * FROM late.more").await, "42P01");
    let create = "CREATE SCHEMA IF NOT EXISTS shared";
    let (first, second) = tokio::join!(one.batch_execute(create), other.batch_execute(create));
    first.unwrap();
    second.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_name_schemas_at_the_start_and_in_prepared_statements() {
    let server = Server::with_workers(2);
    let client = server.connect().await;
    client
        .batch_execute(
            "CREATE SCHEMA s; CREATE TABLE s.t (a int PRIMARY KEY, b text NOT NULL); INSERT INTO s.t VALUES (1, 'x'); \
             CREATE TABLE t (a int, b text); INSERT INTO t VALUES (7, 'y')",
        )
        .await
        .unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host(server.pg().ip().to_string()).port(server.pg().port()).user("ada").dbname("millrace");
    config.options("-c search_path=s,public");
    let (started, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(async move { connection.await.ok() });
    assert_eq!(rows(&started, "SELECT current_schema()").await, ["s"]);
    // A prepared statement means what its names mean when it runs.
    let prepared = started.prepare("SELECT b FROM t WHERE a = $1").await.unwrap();
    let found =
        |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>();
    assert_eq!(found(started.query(&prepared, &[&1]).await.unwrap()), ["x"]);
    started.batch_execute("SET search_path TO public").await.unwrap();
    assert_eq!(found(started.query(&prepared, &[&1]).await.unwrap()), Vec::<String>::new());
    assert_eq!(found(started.query(&prepared, &[&7]).await.unwrap()), ["y"]);
    let set = started.prepare("SELECT set_config($1, $2, false)").await.unwrap();
    started.query(&set, &[&"search_path", &"s"]).await.unwrap();
    assert_eq!(rows(&started, "SHOW search_path").await, ["s"]);
    let error = started.batch_execute("INSERT INTO t VALUES (2, NULL)").await.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!((told.schema(), told.table(), told.column()), (Some("s"), Some("t"), Some("b")));
    let error = started.batch_execute("INSERT INTO t VALUES (1, 'x')").await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().schema(), Some("s"));
}

#[test]
fn psql_shows_and_copies_what_is_in_schemas() {
    let server = Server::start();
    server.query(
        "create schema sales; comment on schema sales is 'who bought what'; \
         create table sales.orders (id int primary key, customer text); create table orders (a int); \
         create materialized view sales.totals as select customer, count(*) as n from sales.orders group by 1; \
         insert into sales.orders values (1, 'ada'), (2, 'bob')",
    );
    let shown = |command: &str| {
        let answer = server.psql().run(&["-c", command]);
        let lines = answer.stdout.lines().chain(answer.stderr.lines()).map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n")
    };
    expect_test::expect![[r#"
           List of schemas
           Name   |  Owner
        ----------+----------
         millrace | millrace
         public   | millrace
         sales    | millrace
        (3 rows)

                       List of relations
         Schema |  Name  |       Type        |  Owner
        --------+--------+-------------------+----------
         sales  | orders | table             | millrace
         sales  | totals | materialized view | millrace
        (2 rows)

                  Materialized view "sales.totals"
          Column  |  Type  | Collation | Nullable | Default
        ----------+--------+-----------+----------+---------
         customer | text   |           |          |
         n        | bigint |           |          |
    "#]]
    .assert_eq(&["\\dn", "\\dtvm sales.*", "\\d sales.totals"].map(shown).join("\n"));
    assert!(shown("\\dn+").contains("who bought what"), "{}", shown("\\dn+"));
    assert!(shown("\\d sales.*").contains("Index \"sales.orders_pkey\""));
    let everything = shown("\\dt *.*");
    let is_listed = everything.lines().any(|line| line.starts_with(" sales ") && line.contains("| orders "));
    assert!(is_listed && everything.contains("pg_catalog"), "{everything}");
    // As in PostgreSQL: no relation has an empty name.
    assert_eq!(shown("\\dt sales."), "Did not find any relation named \"sales.\".");
    let copied = server.psql().script(
        &["-qAt"],
        "\\copy sales.orders from stdin csv\n3,eve\n\\.\n\\copy sales.orders to stdout csv\n",
    );
    let mut lines: Vec<&str> = copied.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1,ada", "2,bob", "3,eve"], "{}", copied.stderr);
    assert_eq!(server.query("select * from sales.totals order by 1"), "ada|1\nbob|1\neve|1");
    let followed = server.query("begin; declare c cursor for subscribe to sales.totals; fetch 1 c");
    assert!(
        followed.contains("|ada|1") || followed.contains("|bob|1") || followed.contains("|eve|1"),
        "{followed}"
    );
}
