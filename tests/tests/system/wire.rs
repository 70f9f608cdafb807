//! PostgreSQL's protocol against the real binary: forms of values, statements, portals, pipelines, COPY.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, UNIX_EPOCH};

use futures::{SinkExt, TryStreamExt};
use millrace_tests::{PATIENCE, Server};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// A value as it came, whatever its type.
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Bytes(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The SQLSTATE of a failure.
fn code<T>(answer: Result<T, Error>) -> String {
    let Err(error) = answer else { panic!("this should have failed") };
    error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
}

/// The rows of a text of statements, in text form.
async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("null")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(line).collect()
}

async fn table(client: &Client, rows: i32) {
    client.batch_execute("CREATE TABLE t (a int, b text)").await.unwrap();
    for a in 0..rows {
        client.execute("INSERT INTO t VALUES ($1, $2)", &[&a, &format!("row {a}")]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_go_in_and_out_in_text_and_binary() {
    let server = Server::start();
    let client = server.connect().await;
    client
        .batch_execute(
            "CREATE TABLE v (a boolean, b int, c bigint, d double precision, e text, f timestamp, g smallint, h real, \
             i timestamptz, j uuid, l bytea)",
        )
        .await
        .unwrap();
    let moment = UNIX_EPOCH + Duration::from_micros(1_400_000_000_123_456);
    let insert = client.prepare("INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', $10)").await.unwrap();
    assert_eq!(
        insert.params(),
        [
            Type::BOOL,
            Type::INT4,
            Type::INT8,
            Type::FLOAT8,
            Type::TEXT,
            Type::TIMESTAMP,
            Type::INT2,
            Type::FLOAT4,
            Type::TIMESTAMPTZ,
            Type::BYTEA
        ]
    );
    client
        .execute(
            &insert,
            &[
                &true,
                &-5i32,
                &i64::MIN,
                &1e23f64,
                &"é'\"\\\n",
                &moment,
                &i16::MIN,
                &0.1f32,
                &moment,
                &&[0u8, 255][..],
            ],
        )
        .await
        .unwrap();
    let row = client.query_one("SELECT *, c::numeric + 0.25 FROM v", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0));
    assert_eq!((row.get::<_, i32>(1), row.get::<_, i64>(2)), (-5, i64::MIN));
    assert_eq!(row.get::<_, f64>(3).to_bits(), 1e23f64.to_bits());
    assert_eq!((row.get::<_, &str>(4), row.get::<_, std::time::SystemTime>(5)), ("é'\"\\\n", moment));
    // -9223372036854775807.75: five digits to the base 10,000 and one behind the point.
    let words = [6u16, 4, 0x4000, 2, 922, 3372, 368, 5477, 5807, 7500];
    let numeric: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    assert_eq!((row.get::<_, i16>(6), row.get::<_, f32>(7)), (i16::MIN, 0.1));
    assert_eq!(row.get::<_, std::time::SystemTime>(8), moment);
    let uuid = 0xa0eebc99_9c0b_4ef8_bb6d_6bb9bd380a11_u128.to_be_bytes().to_vec();
    assert_eq!((row.get::<_, Bytes>(9).0, row.get::<_, &[u8]>(10)), (uuid, &[0, 255][..]));
    assert_eq!(row.get::<_, Bytes>(11).0, numeric);
    assert_eq!(
        texts(&client, "SELECT * FROM v").await,
        [
            "t|-5|-9223372036854775808|9.999999999999999e+22|é'\"\\\n|2014-05-13 16:53:20.123456|-32768|0.1|2014-05-13 16:53:20.123456+00|\
             a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\\x00ff"
        ]
    );
    client.batch_execute("SET TIME ZONE 'Asia/Kolkata'").await.unwrap();
    assert_eq!(texts(&client, "SELECT i FROM v").await, ["2014-05-13 22:23:20.123456+05:30"]);
    assert_eq!(
        texts(&client, "SELECT d::text, f::text, a::text FROM v").await,
        ["9.999999999999999e+22|2014-05-13 16:53:20.123456|true"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_of_every_type_go_in_and_out() {
    let server = Server::start();
    let client = server.connect().await;
    let sql = "CREATE TABLE v (a boolean, b int, c bigint, d double precision, e text, f timestamp)";
    client.batch_execute(sql).await.unwrap();
    let moment: Option<std::time::SystemTime> = None;
    client
        .execute(
            "INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6)",
            &[&None::<bool>, &None::<i32>, &None::<i64>, &None::<f64>, &None::<&str>, &moment],
        )
        .await
        .unwrap();
    let row = client.query_one("SELECT * FROM v", &[]).await.unwrap();
    assert_eq!((row.get::<_, Option<bool>>(0), row.get::<_, Option<i32>>(1)), (None, None));
    assert_eq!((row.get::<_, Option<f64>>(3), row.get::<_, Option<&str>>(4)), (None, None));
    assert_eq!(texts(&client, "SELECT * FROM v").await, ["null|null|null|null|null|null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_types_are_inferred_from_their_place() {
    let server = Server::start();
    let client = server.connect().await;
    table(&client, 3).await;
    for (sql, types) in [
        ("SELECT * FROM t WHERE a = $1 AND b > $2", vec![Type::INT4, Type::TEXT]),
        ("SELECT a + $1 FROM t", vec![Type::INT4]),
        ("SELECT $1::bigint", vec![Type::INT8]),
        ("DELETE FROM t WHERE a < $1", vec![Type::INT4]),
        ("SELECT count(*) FROM t HAVING count(*) > $1", vec![Type::INT8]),
    ] {
        assert_eq!(client.prepare(sql).await.unwrap().params(), types, "{sql}");
    }
    assert_eq!(code(client.prepare("SELECT nope FROM t").await), "42703");
    assert_eq!(client.query("SELECT a FROM t WHERE a >= $1", &[&1i32]).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_of_a_query_with_parameters() {
    let mut server = Server::start();
    let client = server.connect().await;
    table(&client, 3).await;
    let sql = "CREATE TABLE made AS SELECT a * $1 AS times, b FROM t WHERE a > $2";
    let statement = client.prepare(sql).await.unwrap();
    assert_eq!((statement.params(), statement.columns().len()), (&[Type::INT4, Type::INT4][..], 0));
    assert_eq!(client.execute(&statement, &[&7i32, &0i32]).await.unwrap(), 2);
    assert_eq!(code(client.execute(&statement, &[&7i32, &0i32]).await), "42P07");
    assert_eq!(code(client.execute("CREATE TABLE other AS SELECT 1 / $1 AS n", &[&0i32]).await), "22012");
    assert_eq!(code(client.batch_execute("SELECT * FROM other").await), "42P01");
    server.restart();
    let client = server.connect().await;
    assert_eq!(texts(&client, "SELECT * FROM made ORDER BY times").await, ["7|row 1", "14|row 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_gives_its_rows_in_portions() {
    let server = Server::start();
    let mut client = server.connect().await;
    table(&client, 5).await;
    let other = server.connect().await;
    let block = client.transaction().await.unwrap();
    let portal = block.bind("SELECT a FROM t ORDER BY a", &[]).await.unwrap();
    let mut found = Vec::new();
    for (limit, size) in [(2, 2), (2, 2), (2, 1), (2, 0)] {
        let rows = block.query_portal(&portal, limit).await.unwrap();
        assert_eq!(rows.len(), size);
        found.extend(rows.iter().map(|row| row.get::<_, i32>(0)));
        // What others do meanwhile changes nothing in an open portal.
        other.execute("DELETE FROM t WHERE a = 4", &[]).await.unwrap();
    }
    assert_eq!(found, [0, 1, 2, 3, 4]);
    block.commit().await.unwrap();
    assert_eq!(texts(&client, "SELECT count(*) FROM t").await, ["4"]);
}

/// A client that sends messages by hand, for orders that no driver lets one choose.
struct Raw(TcpStream);

impl Raw {
    fn connect(server: &Server) -> Raw {
        let mut raw = Raw(TcpStream::connect(server.pg()).unwrap());
        raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut body = 196_608u32.to_be_bytes().to_vec();
        body.extend(b"user\0ada\0database\0millrace\0\0");
        raw.0.write_all(&(body.len() as u32 + 4).to_be_bytes()).unwrap();
        raw.0.write_all(&body).unwrap();
        raw.until_ready();
        raw
    }

    fn send(&mut self, tag: u8, body: &[u8]) {
        let length = (body.len() as u32 + 4).to_be_bytes();
        self.0.write_all(&[&[tag][..], &length, body].concat()).unwrap();
    }

    /// Parse, Bind and Execute of one statement without parameters.
    fn run(&mut self, sql: &str) {
        self.send(b'P', format!("\0{sql}\0\0\0").as_bytes());
        self.send(b'B', &[0; 8]);
        self.send(b'E', &[0; 5]);
    }

    /// The tags of what a text is answered with.
    fn query(&mut self, sql: &str) -> String {
        self.send(b'Q', format!("{sql}\0").as_bytes());
        self.until_ready()
    }

    /// The tags up to ReadyForQuery, and its status; an error's SQLSTATE stands in its place.
    fn until_ready(&mut self) -> String {
        let mut seen = String::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            match head[0] {
                b'E' => {
                    let fields = String::from_utf8(body).unwrap();
                    let code = fields.split('\0').find_map(|field| field.strip_prefix('C'));
                    seen += &format!("({})", code.unwrap());
                }
                b'Z' => return seen + "Z" + std::str::from_utf8(&body).unwrap(),
                tag => seen.push(char::from(tag)),
            }
        }
    }
}

#[test]
fn an_error_in_a_pipeline_undoes_it_and_skips_to_sync() {
    let server = Server::start();
    server.query("create table t (a int)");
    let mut raw = Raw::connect(&server);
    for sql in ["insert into t values (1)", "select 1/0", "insert into t values (2)"] {
        raw.run(sql);
    }
    raw.send(b'S', b"");
    raw.run("insert into t values (3)");
    raw.run("insert into t values (4)");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "12C12(22012)ZI");
    assert_eq!(raw.until_ready(), "12C12CZI");
    assert_eq!(server.query("select sum(a) from t"), "7");
    // Inside a block the block has failed, and says so until its end.
    raw.run("begin");
    raw.run("insert into t values (5)");
    raw.run("select nope");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "12C12C(42703)ZE");
    raw.run("select 1");
    raw.send(b'S', b"");
    raw.run("rollback");
    raw.send(b'S', b"");
    assert_eq!((raw.until_ready(), raw.until_ready()), ("(25P02)ZE".to_owned(), "12CZI".to_owned()));
    assert_eq!(server.query("select sum(a) from t"), "7");
}

#[test]
fn prepared_statements_and_cursors_are_the_same_in_sql_and_in_the_protocol() {
    let server = Server::start();
    let mut raw = Raw::connect(&server);
    assert_eq!(raw.query("create table t (a int); insert into t values (1), (2), (3), (4), (5)"), "CCZI");
    assert_eq!(raw.query("prepare s (int) as select a from t where a > $1 order by a"), "CZI");
    // Bind and Execute of what PREPARE has prepared, with 3 as its parameter.
    raw.send(b'D', b"Ss\0");
    raw.send(b'B', b"\0s\0\0\0\0\x01\0\0\0\x013\0\0");
    raw.send(b'E', &[0; 5]);
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "tT2DDCZI");
    // EXECUTE and DEALLOCATE of what Parse has prepared, and Close of what PREPARE has.
    raw.send(b'P', b"p\0select a from t where a = $1\0\0\0");
    raw.send(b'C', b"Ss\0");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "13ZI");
    assert_eq!(raw.query("execute p(4)"), "TDCZI");
    assert_eq!(raw.query("execute s(4)"), "(26000)ZI");
    assert_eq!(raw.query("deallocate p"), "CZI");
    raw.send(b'D', b"Sp\0");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "(26000)ZI");
    // A cursor is a portal: Describe, Execute with a limit, Close.
    assert_eq!(raw.query("begin; declare c cursor for select a from t order by a"), "CCZT");
    raw.send(b'D', b"Pc\0");
    raw.send(b'E', b"c\0\0\0\0\x02");
    raw.run("fetch 1 from c");
    raw.send(b'E', b"c\0\0\0\0\0");
    raw.send(b'C', b"Pc\0");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "TDDs12DCDDC3ZT");
    raw.send(b'E', b"c\0\0\0\0\0");
    raw.send(b'S', b"");
    assert_eq!(raw.until_ready(), "(34000)ZE");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_statements_in_flight_are_answered_in_order() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
    let inserts = (0..100i32).map(|a| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[&a]).await }
    });
    assert_eq!(futures::future::try_join_all(inserts).await.unwrap(), vec![1; 100]);
    assert_eq!(texts(&client, "SELECT count(*), sum(a) FROM t").await, ["100|4950"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_applies_all_lines_or_none() {
    let server = Server::start();
    let client = server.connect().await;
    client.batch_execute("CREATE TABLE t (a int NOT NULL, b text)").await.unwrap();
    let copy = async |sql: &str, data: &'static [u8]| {
        let sink = client.copy_in::<_, &[u8]>(sql).await?;
        let mut sink = std::pin::pin!(sink);
        // In two pieces, cut inside of a line.
        let (head, tail) = data.split_at(data.len() / 2);
        sink.send(head).await?;
        sink.send(tail).await?;
        sink.finish().await
    };
    assert_eq!(copy("COPY t FROM STDIN", b"1\tone\\ttab\n2\t\\N\n").await.unwrap(), 2);
    let csv = "COPY t FROM STDIN WITH (FORMAT csv, HEADER)";
    assert_eq!(copy(csv, b"a,b\n3,\"three, \"\"quoted\"\"\nand more\"\n4,\n").await.unwrap(), 2);
    let rows = ["1|one\ttab", "2|null", "3|three, \"quoted\"\nand more", "4|null"];
    assert_eq!(texts(&client, "SELECT * FROM t ORDER BY a").await, rows);

    let error = copy(csv, b"a,b\n5,x\nsix,y\n7,z\n").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "22P02");
    assert_eq!(error.message(), "invalid input syntax for type integer: \"six\"");
    assert_eq!(error.detail(), Some("COPY, line 3, column a: \"six\""));
    assert_eq!(code(copy("COPY t FROM STDIN", b"5\tx\n\\N\ty\n").await), "23502");
    assert_eq!(code(copy("COPY t FROM STDIN", b"5\tx\n6\n").await), "22P04");
    assert_eq!(texts(&client, "SELECT * FROM t ORDER BY a").await, rows);
    let out: Vec<_> = client.copy_out("COPY t TO STDOUT").await.unwrap().try_collect().await.unwrap();
    let mut lines: Vec<&str> = out.iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1\tone\\ttab\n", "2\t\\N\n", "3\tthree, \"quoted\"\\nand more\n", "4\t\\N\n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_code_hint_and_position() {
    let server = Server::start();
    let client = server.connect().await;
    table(&client, 1).await;
    let error = client.simple_query("SELECT a, nope FROM t").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!((error.severity(), error.code().code()), ("ERROR", "42703"));
    assert_eq!(error.message(), "column \"nope\" does not exist");
    assert_eq!(error.position(), Some(&tokio_postgres::error::ErrorPosition::Original(11)));
    for (sql, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nope", "42P01"),
        ("CREATE TABLE t (a int)", "42P07"),
        ("SELECT 2147483647 + 1", "22003"),
        ("INSERT INTO t VALUES (1, 'x', 2)", "42601"),
        ("SELECT 'abc'::int", "22P02"),
        ("SUBSCRIBE nope", "42P01"),
        ("DROP VIEW nope", "42P01"),
    ] {
        assert_eq!(code(client.simple_query(sql).await), expected, "{sql}");
    }
}
