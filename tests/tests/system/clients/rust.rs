//! The steps by tokio-postgres.

use std::future::poll_fn;
use std::io::Cursor;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{SinkExt, TryStreamExt};
use millrace_tests::Server;
use tokio::sync::mpsc;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Row, SimpleQueryMessage};

use super::Said;

/// A value in binary, as it came and as it goes: of a type that has no Rust type in the standard library.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// What is said, gathered.
#[derive(Default)]
struct Teller(Said);

impl Teller {
    fn tell(&mut self, step: &str, line: impl ToString) {
        self.0.entry(step.to_owned()).or_default().push(line.to_string());
    }
}

fn code<T>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(_) => "none".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

async fn texts(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let values = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(values).collect()
}

async fn one(client: &Client, sql: &str) -> String {
    texts(client, sql).await.remove(0).remove(0).unwrap_or_else(|| "null".to_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Days since 1970 as a date, by the rule of the Gregorian calendar.
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month_number) =
        (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month_number:02}-{day:02}", year + era * 400 + i64::from(month_number <= 2))
}

fn moment(time: SystemTime, zone: &str) -> String {
    let millis = time.duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
    format!("{} {hours:02}:{minutes:02}:{:02}.{:03}{zone}", date(days), of_day / 1_000 % 60, of_day % 1_000)
}

/// A numeric: digits to the base of 10,000, of which this table has few.
fn numeric(Raw(bytes): Raw) -> String {
    let word = |at: usize| i16::from_be_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    let (count, weight, scale) = (word(0), word(1), usize::try_from(word(3)).unwrap());
    let units: i64 = (0..count)
        .map(|at| i64::from(word(4 + at as usize)) * 10i64.pow((4 * (weight - at + 1)) as u32))
        .sum();
    let text = format!("{}.{:04}", units / 10_000, units % 10_000);
    text[..text.len() - 4 + scale].to_owned()
}

fn uuid(Raw(bytes): Raw) -> String {
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

fn days(Raw(bytes): Raw) -> String {
    date(i64::from(i32::from_be_bytes(bytes.try_into().unwrap())) + 10_957)
}

/// A row of the table of types.
fn decoded(row: &Row) -> String {
    let null = || "null".to_owned();
    let values = [
        row.get::<_, Option<bool>>(0).map(|value| value.to_string()),
        row.get::<_, Option<i16>>(1).map(|value| value.to_string()),
        row.get::<_, Option<i32>>(2).map(|value| value.to_string()),
        row.get::<_, Option<i64>>(3).map(|value| value.to_string()),
        row.get::<_, Option<f32>>(4).map(|value| value.to_string()),
        row.get::<_, Option<f64>>(5).map(|value| value.to_string()),
        row.get::<_, Option<Raw>>(6).map(numeric),
        row.get::<_, Option<String>>(7),
        row.get::<_, Option<Raw>>(8).map(days),
        row.get::<_, Option<SystemTime>>(9).map(|time| moment(time, "")),
        row.get::<_, Option<SystemTime>>(10).map(|time| moment(time, " UTC")),
        row.get::<_, Option<Raw>>(11).map(uuid),
        row.get::<_, Option<&[u8]>>(12).map(hex),
    ];
    values.map(|value| value.unwrap_or_else(null)).join("|")
}

async fn copy(client: &Client, sql: &str, data: Vec<u8>) {
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(sql).await.unwrap();
    let mut sink = pin!(sink);
    sink.send(Cursor::new(data)).await.unwrap();
    sink.finish().await.unwrap();
}

async fn copied(client: &Client, sql: &str) -> Vec<u8> {
    let chunks: Vec<_> = client.copy_out(sql).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

fn fields(error: &DbError) -> String {
    if let Some(ErrorPosition::Original(position)) = error.position() {
        return format!("{}|{position}", error.code().code());
    }
    let names = [error.schema(), error.table(), error.column(), error.constraint(), error.detail()];
    let names: Vec<&str> = names.iter().map(|name| name.unwrap_or_default()).collect();
    format!("{}|{}", error.code().code(), names.join("|"))
}

/// A row of a subscription without its tick.
fn change(row: &Row) -> String {
    format!("{}|{}|{}", row.get::<_, i64>(1), row.get::<_, i32>(2), row.get::<_, &str>(3))
}

/// Does every step.
pub(super) async fn steps(mut server: Server) -> Said {
    let mut said = Teller::default();
    let (mut a, b) = (server.connect().await, server.connect().await);
    said.tell("connect", one(&a, "SELECT current_database()").await);
    values(&a, &mut said).await;
    statements(&a, &mut said).await;
    copies(&a, &mut said).await;
    blocks(&mut a, &mut said).await;
    errors(&a, &mut said).await;
    followed(&mut a, &b, &mut said).await;
    ended(&a, &mut said).await;
    told(&server, &a, &mut said).await;
    server.kill();
    server.restart();
    said.tell("restart", one(&server.connect().await, "SELECT count(*) FROM k").await);
    said.0
}

async fn values(a: &Client, said: &mut Teller) {
    let types = "SELECT * FROM types ORDER BY b";
    for row in texts(a, types).await {
        let values: Vec<&str> = row.iter().map(|value| value.as_deref().unwrap_or("null")).collect();
        said.tell("types-text", values.join("|"));
    }
    for row in a.query(types, &[]).await.unwrap() {
        said.tell("types-binary", decoded(&row));
    }
    let moment = UNIX_EPOCH + Duration::from_millis(1_582_979_696_789);
    let numeric = Raw([2u16, 0, 0, 2, 12, 3400].iter().flat_map(|word| word.to_be_bytes()).collect());
    let date = Raw((18_321i32 - 10_957).to_be_bytes().to_vec());
    let uuid = Raw(0xa0eebc99_9c0b_4ef8_bb6d_6bb9bd380a11_u128.to_be_bytes().to_vec());
    let insert =
        "INSERT INTO types VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING *";
    let bytes: &[u8] = &[0, 255];
    let parameters: [&(dyn ToSql + Sync); 13] = [
        &true,
        &-5i16,
        &7i32,
        &9_007_199_254_740_993i64,
        &0.5f32,
        &-0.25f64,
        &numeric,
        &"é'\\",
        &date,
        &moment,
        &moment,
        &uuid,
        &bytes,
    ];
    let row = a.query_one(insert, &parameters).await.unwrap();
    said.tell("parameters", decoded(&row));
}

async fn statements(a: &Client, said: &mut Teller) {
    let next = a.prepare("SELECT $1::int + 1").await.unwrap();
    for number in [1, 41] {
        said.tell("prepared", a.query_one(&next, &[&number]).await.unwrap().get::<_, i32>(0));
    }
    // Futures that are polled together are sent together.
    let insert = a.prepare("INSERT INTO k VALUES ($1, 'x', 1)").await.unwrap();
    let inserts = [1, 2, 3].map(|number| {
        let (a, insert) = (&a, &insert);
        async move { a.execute(insert, &[&number]).await }
    });
    futures::future::try_join_all(inserts).await.unwrap();
    said.tell("batch", one(a, "SELECT count(*) FROM k").await);
    let batch = [4, 1, 5].map(|number| format!("INSERT INTO k VALUES ({number}, 'x', 1)")).join("; ");
    said.tell("batch-error", code(a.batch_execute(&batch).await));
    said.tell("batch-error", one(a, "SELECT count(*) FROM k").await);
}

async fn copies(a: &Client, said: &mut Teller) {
    copy(a, "COPY copied FROM STDIN", b"1\tone\n2\ttwo, and\n".to_vec()).await;
    said.tell("copy-in", one(a, "SELECT count(*) FROM copied").await);
    let out = copied(a, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT").await;
    for line in String::from_utf8(out).unwrap().replace('\t', " ").lines() {
        said.tell("copy-out", line);
    }
    let file = copied(a, "COPY types TO STDOUT (FORMAT binary)").await;
    copy(a, "COPY more_types FROM STDIN (FORMAT binary)", file).await;
    said.tell("copy-binary", one(a, "SELECT count(*) FROM more_types").await);
}

async fn blocks(a: &mut Client, said: &mut Teller) {
    let block = a.transaction().await.unwrap();
    block.execute("INSERT INTO moved VALUES (1)", &[]).await.unwrap();
    block.rollback().await.unwrap();
    said.tell("transaction", one(a, "SELECT count(*) FROM moved").await);
    let block = a.transaction().await.unwrap();
    block.execute("INSERT INTO moved VALUES (1)", &[]).await.unwrap();
    block.commit().await.unwrap();
    said.tell("transaction", one(a, "SELECT count(*) FROM moved").await);

    let block = a.transaction().await.unwrap();
    said.tell("failed-block", code(block.query("SELECT 1/0", &[]).await));
    said.tell("failed-block", code(block.query("SELECT 1", &[]).await));
    block.rollback().await.unwrap();

    let mut block = a.transaction().await.unwrap();
    block.execute("INSERT INTO moved VALUES (2)", &[]).await.unwrap();
    let inner = block.savepoint("s").await.unwrap();
    code(inner.query("SELECT 1/0", &[]).await);
    inner.rollback().await.unwrap();
    block.execute("INSERT INTO moved VALUES (3)", &[]).await.unwrap();
    block.commit().await.unwrap();
    for row in a.query("SELECT id FROM moved WHERE id > 1 ORDER BY id", &[]).await.unwrap() {
        said.tell("savepoint", row.get::<_, i32>(0));
    }
}

async fn errors(a: &Client, said: &mut Teller) {
    for sql in [
        "INSERT INTO k VALUES (1, 'x', 1)",
        "INSERT INTO k VALUES (9, 'x', -1)",
        "INSERT INTO k VALUES (9, NULL, 1)",
        "SELECT nope FROM k",
    ] {
        let error = a.simple_query(sql).await.unwrap_err();
        said.tell("error-fields", fields(error.as_db_error().unwrap()));
    }
}

async fn followed(a: &mut Client, b: &Client, said: &mut Teller) {
    let many: String = (0..1000).map(|number| format!("{number}\n")).collect();
    copy(b, "COPY many FROM STDIN", many.into_bytes()).await;
    let block = a.transaction().await.unwrap();
    let portal = block.bind("SELECT id FROM many", &[]).await.unwrap();
    let (mut count, mut sum) = (0, 0);
    loop {
        let rows = block.query_portal(&portal, 100).await.unwrap();
        count += rows.len();
        sum += rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>();
        if rows.len() < 100 {
            break;
        }
    }
    block.commit().await.unwrap();
    said.tell("cursor", format!("{count}|{sum}"));

    {
        let rows = a.query_raw("SUBSCRIBE live", std::iter::empty::<i32>()).await.unwrap();
        let mut rows = pin!(rows);
        said.tell("live", change(&rows.try_next().await.unwrap().unwrap()));
        b.execute("INSERT INTO live VALUES (2, 'two')", &[]).await.unwrap();
        said.tell("live", change(&rows.try_next().await.unwrap().unwrap()));
        a.cancel_token().cancel_query(NoTls).await.unwrap();
        said.tell("cancel", code(rows.try_next().await));
    }

    let block = a.transaction().await.unwrap();
    block.batch_execute("DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false)").await.unwrap();
    b.execute("INSERT INTO live VALUES (3, 'three')", &[]).await.unwrap();
    said.tell("live-cursor", change(&block.query_one("FETCH 1 FROM c", &[]).await.unwrap()));
    let none = block.query("FETCH ALL FROM c WITH (timeout = '10ms')", &[]).await.unwrap();
    said.tell("live-cursor", none.len());
    block.commit().await.unwrap();
}

async fn ended(a: &Client, said: &mut Teller) {
    a.batch_execute("SET statement_timeout = '50ms'").await.unwrap();
    said.tell("timeout", code(a.simple_query("SUBSCRIBE live").await));
    a.batch_execute("RESET statement_timeout").await.unwrap();
    said.tell("timeout", one(a, "SELECT 1").await);
}

async fn told(server: &Server, a: &Client, said: &mut Teller) {
    let mut config = tokio_postgres::Config::new();
    config.host(server.pg().ip().to_string()).port(server.pg().port()).user("ada").dbname("millrace");
    let (client, mut connection) = config.connect(NoTls).await.unwrap();
    let of =
        |connection: &tokio_postgres::Connection<_, _>, name| connection.parameter(name).unwrap().to_owned();
    let (version, encoding) = (of(&connection, "server_version"), of(&connection, "client_encoding"));
    said.tell("reported", format!("{}|{encoding}", &version[..4]));
    let (sender, mut notices) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                // Nobody listens any more when the test is over.
                let _ = sender.send(format!("{}|{}", notice.code().code(), notice.message()));
            }
        }
    });
    client.batch_execute("DROP TABLE IF EXISTS nowhere").await.unwrap();
    said.tell("notice", notices.recv().await.unwrap());

    for (name, value) in [
        ("application_name", "'me'"),
        ("client_encoding", "'utf-8'"),
        ("DateStyle", "ISO, DMY"),
        ("extra_float_digits", "3"),
        ("search_path", "public"),
        ("standard_conforming_strings", "on"),
        ("bytea_output", "hex"),
        ("TimeZone", "'Europe/Berlin'"),
        ("statement_timeout", "5000"),
        ("lock_timeout", "0"),
    ] {
        a.batch_execute(&format!("SET {name} = {value}")).await.unwrap();
        said.tell("settings", format!("{name}={}", one(a, &format!("SHOW {name}")).await));
        a.batch_execute(&format!("RESET {name}")).await.unwrap();
    }
    said.tell("settings", format!("DateStyle={}", one(a, "SHOW DateStyle").await));

    let columns = "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
                   WHERE table_name = $1 ORDER BY ordinal_position";
    for row in a.query(columns, &[&"k"]).await.unwrap() {
        let nullable = if row.get::<_, &str>(2) == "NO" { " not null" } else { "" };
        said.tell("catalog", format!("{} {}{nullable}", row.get::<_, &str>(0), row.get::<_, &str>(1)));
    }
    let key = "SELECT column_name FROM information_schema.key_column_usage WHERE constraint_name = 'k_pkey'";
    said.tell("catalog", format!("key {}", one(a, key).await));
}
