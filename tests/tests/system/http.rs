//! `POST /v1/tables/{name}`: every form of rows, what is refused with what place, nothing twice and nothing lost over
//! kills, one table whatever the chunks.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_tests::{Server, wait_for};
use proptest::prelude::*;

use crate::http_client::{Http, raw};

const TABLE: &str =
    "create table t (a bigint primary key, b text default 'none', c int not null default 1 check (c > 0))";

/// Media type, table and body; status, SQLSTATE, line and column of the answer.
type Case = (&'static str, &'static str, &'static str, u16, &'static str, Option<u64>, Option<&'static str>);

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn arrow(keys: Vec<i64>, texts: Vec<&str>) -> Vec<u8> {
    let keys: ArrayRef = Arc::new(Int64Array::from(keys));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let batch = RecordBatch::try_from_iter([("b", texts), ("a", keys)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn rows_come_in_every_form() {
    let server = Server::start();
    server.query(TABLE);
    server.query("create schema s; create table s.\"T t\" (x int, y jsonb, z int[]); create materialized view v as select sum(a) as n from t");
    let http = Http::of(&server);
    let (rows, tick) =
        http.json("t", r#"[{"a": 1, "b": "x"}, {"a": 2}, {"c": 5, "a": 3, "b": null}]"#).added();
    assert_eq!((rows, server.query("select n from v")), (3, "6".to_owned()));
    assert_eq!(http.json("t", r#"{"a": 4}"#).added().0, 1);
    assert!(tick > 1_600_000_000_000_000);
    let path = "/v1/tables/t";
    let ndjson = "{\"a\":5}\n{\"a\":6,\"b\":\"é\"}\n";
    assert_eq!(http.post(path, &[("content-type", "application/x-ndjson")], ndjson).added().0, 2);
    let csv = [("content-type", "text/csv; charset=UTF-8"), ("content-encoding", "gzip")];
    assert_eq!(http.post(path, &csv, gzip("a,b\n7,\"p,q\"\n8,\n")).added().0, 2);
    let stream = [("content-type", "application/vnd.apache.arrow.stream")];
    assert_eq!(http.post(path, &stream, arrow(vec![9, 10], vec!["r", "s"])).added().0, 2);
    assert_eq!(http.json("public.t", "[]").added().0, 0);
    let nested = r#"{"x": 1, "y": {"k": [1, "2"]}, "z": [1, null]}"#;
    assert_eq!(http.json("s.%22T%20t%22", nested).added().0, 1);
    assert_eq!(server.query("select x, y, z from s.\"T t\""), "1|{\"k\": [1, \"2\"]}|{1,NULL}");
    assert_eq!(
        server.query("select string_agg(a || ':' || coalesce(b, '-') || ':' || c, ' ' order by a) from t"),
        "1:x:1 2:none:1 3:-:5 4:none:1 5:none:1 6:é:1 7:p,q:1 8:-:1 9:r:1 10:s:1"
    );
    let (_, metrics) = server.get("/metrics");
    let told = |line: &str| assert!(metrics.lines().any(|other| other == line), "{line}\n{metrics}");
    told("millrace_http_rows_total 11");
    told("millrace_http_requests_total{endpoint=\"/v1/tables/{name}\",status=\"200\"} 7");
    told("millrace_http_body_bytes 0");
}

#[test]
fn a_bad_row_is_told_with_its_place_and_nothing_is_applied() {
    let server = Server::start();
    server.query(TABLE);
    server.query("insert into t values (100); create materialized view v as select a from t");
    let http = Http::of(&server);
    let json = "application/json";
    let cases: [Case; 16] = [
        (json, "t", "[{\"a\":1},\n{\"a\":\"x\"}]", 400, "22P02", Some(2), Some("a")),
        (json, "t", "[{\"a\":1},\n{\"b\":\"x\"}]", 400, "23502", Some(2), Some("a")),
        (json, "t", "[{\"a\":1},\n{\"a\":2,\"c\":null}]", 400, "23502", Some(2), Some("c")),
        (json, "t", "[{\"a\":1},\n{\"a\":3},\n{\"a\":2,\"c\":0}]", 400, "23514", Some(3), None),
        (json, "t", "[{\"a\":1},\n{\"a\":2},\n{\"a\":1}]", 400, "23505", Some(3), None),
        (json, "t", "[{\"a\":1},\n{\"a\":100}]", 400, "23505", Some(2), None),
        (json, "t", "[{\"a\":1},\n{\"d\":1}]", 400, "42703", Some(2), Some("d")),
        (json, "t", "[{\"a\":1},", 400, "22P02", Some(1), None),
        (json, "nothing", "{}", 404, "42P01", None, None),
        (json, "nowhere.t", "{}", 404, "3F000", None, None),
        (json, "t%20t", "{}", 404, "42602", None, None),
        (json, "v", "{}", 400, "42809", None, None),
        (json, "pg_catalog.pg_class", "{}", 403, "42501", None, None),
        ("text/plain", "t", "{}", 415, "0A000", None, None),
        ("text/csv", "t", "a,c\n1,2\n3,x\n", 400, "22P02", Some(3), Some("c")),
        ("application/x-ndjson", "t", "{\"a\":1}\n{\"a\":1.5}\n", 400, "22P02", Some(2), Some("a")),
    ];
    for (media_type, table, body, status, code, line, column) in cases {
        let reply = http.post(&format!("/v1/tables/{table}"), &[("content-type", media_type)], body);
        let expected = (status, code.to_owned(), line, column.map(str::to_owned));
        assert_eq!(reply.error(), expected, "{body}: {reply:?}");
    }
    let stream = [("content-type", "application/vnd.apache.arrow.stream")];
    let whole = arrow(vec![1, 100], vec!["r", "s"]);
    assert_eq!(http.post("/v1/tables/t", &stream, &whole).error(), (400, "23505".to_owned(), Some(2), None));
    let cut = &whole[..whole.len() / 2];
    assert_eq!(http.post("/v1/tables/t", &stream, cut).error().1, "22P03");
    assert_eq!(server.query("select count(*) from t"), "1");
    // Some lines into a long body, behind many good ones.
    let body: String = (0..20_000).map(|a| format!("{{\"a\":{a},\"c\":{}}}\n", 15_000 - a)).collect();
    let reply = http.post("/v1/tables/t", &[("content-type", "application/x-ndjson")], body);
    assert_eq!(reply.error(), (400, "23514".to_owned(), Some(15_001), None));
    assert_eq!(server.query("select count(*) from t"), "1");
}

#[test]
fn the_same_key_gets_the_same_answer_also_after_a_kill() {
    let mut server = Server::start();
    server.query(TABLE);
    let http = Http::of(&server);
    let first = http.once("t", "k1", r#"{"a": 1}"#);
    let empty = http.once("t", "k2", "[]");
    assert_eq!((first.added().0, empty.added().0), (1, 0));
    for _ in 0..2 {
        let http = Http::of(&server);
        assert_eq!(http.once("t", "k1", r#"{"a": 1}"#), first);
        assert_eq!(http.once("t", "k2", "[]"), empty);
        for (table, key, body) in
            [("t", "k1", r#"{"a": 2}"#), ("public.t", "k1", r#"{"a": 1}"#), ("t", "k2", "{}")]
        {
            assert_eq!(http.once(table, key, body).error(), (409, "22023".to_owned(), None, None));
        }
        assert_eq!(server.query("select count(*) from t"), "1");
        server.restart();
    }
    let http = Http::of(&server);
    // A request that failed is none that was done.
    assert_eq!(http.once("t", "k3", r#"{"a": 1}"#).error().1, "23505");
    server.query("delete from t");
    assert_eq!(http.once("t", "k3", r#"{"a": 1}"#).added().0, 1);
    let gzipped =
        [("content-type", "application/json"), ("content-encoding", "gzip"), ("idempotency-key", "k1")];
    assert_eq!(http.post("/v1/tables/t", &gzipped, gzip(r#"{"a": 1}"#)), first);
    server.query("drop table t");
    assert_eq!(http.once("t", "k1", r#"{"a": 1}"#), first);
    assert_eq!(http.once("t", "k4", r#"{"a": 1}"#).error().0, 404);
    assert_eq!(http.once("t", "", "{}").error(), (400, "22023".to_owned(), None, None));
    assert_eq!(http.once("t", &"k".repeat(256), "{}").error(), (400, "22023".to_owned(), None, None));
}

#[test]
fn many_at_once_with_one_key_are_applied_once() {
    let server = Server::start();
    server.query("create table keyed (a int primary key); create table bare (a int)");
    for table in ["keyed", "bare"] {
        for round in 0..10 {
            let body = format!("[{{\"a\":{round}}}]");
            let send = || Http::of(&server).once(table, &format!("{table}-{round}"), &body);
            let replies: Vec<_> = std::thread::scope(|scope| {
                let senders: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
                senders.into_iter().map(|sender| sender.join().unwrap()).collect()
            });
            assert_eq!(replies[0].added().0, 1);
            assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        }
        assert_eq!(server.query(&format!("select count(*), count(distinct a) from {table}")), "10|10");
    }
}

/// Clients that send each request again until it is answered, while the server is killed.
#[test]
fn kills_lose_nothing_and_repeat_nothing() {
    const CLIENTS: usize = 3;
    const KILLS: usize = 3;
    let mut server = Server::start();
    server.query("create table t (client int, n int)");
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = Arc::new(std::sync::Mutex::new(Arc::new(Http::of(&server))));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (stop, sent, address) = (stop.clone(), sent.clone(), address.clone());
            std::thread::spawn(move || {
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    let body = format!("{{\"client\":{client},\"n\":{n}}}");
                    let (key, path) = (format!("{client}-{n}"), "/v1/tables/t");
                    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
                    wait_for("an answer", || {
                        let http = address.lock().unwrap().clone();
                        let reply = http.try_post(path, &headers, body.as_bytes()).ok()?;
                        (reply.status == 200).then_some(())
                    });
                    n += 1;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                n
            })
        })
        .collect();
    for kill in 1..=KILLS {
        wait_for("requests", || (sent.load(Ordering::Relaxed) >= kill * 40).then_some(()));
        server.restart();
        *address.lock().unwrap() = Arc::new(Http::of(&server));
    }
    stop.store(true, Ordering::Relaxed);
    let counts: Vec<usize> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for (client, count) in counts.into_iter().enumerate() {
        let found =
            server.query(&format!("select count(*), count(distinct n) from t where client = {client}"));
        assert_eq!(found, format!("{count}|{count}"));
    }
}

#[test]
fn a_body_may_come_in_any_chunks() {
    let server = Server::start();
    server.query("create table t (a int, b text)");
    let body = "{\"a\":1,\"b\":\"é\"}\n{\"a\":2,\"b\":\"x\\ny\"}\n{\"a\":3}\n".as_bytes();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(cuts in prop::collection::vec(0..body.len(), 0..12))| {
        let mut cuts = cuts;
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let head = "POST /v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
            Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let mut parts = vec![head.as_bytes().to_vec()];
        for cut in cuts.windows(2) {
            let chunk = &body[cut[0]..cut[1]];
            parts.push([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        parts.push(b"0\r\n\r\n".to_vec());
        server.query("truncate t");
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let answer = raw(&server, &parts);
        prop_assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let rows = server.query("select string_agg(a || coalesce(b, '-'), ';' order by a) from t");
        prop_assert_eq!(rows, "1é;2x\ny;3-");
    });
}

#[test]
fn a_body_that_does_not_come_whole_is_not_applied() {
    let server = Server::start();
    server.query("create table t (a int)");
    let head = "POST /v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n";
    let mut stream = std::net::TcpStream::connect(server.http()).unwrap();
    write!(stream, "{head}Content-Length: 100\r\n\r\n{{\"a\":1}}\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    let http = Http::of(&server);
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let whole = gzip("[{\"a\":1}]");
    let cut = http.post("/v1/tables/t", &headers, &whole[..whole.len() - 3]);
    assert_eq!(cut.error(), (400, "08P01".to_owned(), None, None));
    assert_eq!(http.post("/v1/tables/t", &headers, "[]").error().0, 400);
    let brotli = [("content-type", "application/json"), ("content-encoding", "br")];
    assert_eq!(http.post("/v1/tables/t", &brotli, "[]").error().0, 415);
    assert_eq!(server.query("select count(*) from t"), "0");
}

#[test]
fn rows_go_on_while_the_table_is_altered() {
    let server = Server::start();
    server.query("create table t (a int)");
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (http, mut sent) = (Http::of(&server), 0);
            while !done.load(Ordering::Relaxed) {
                let reply = http.json("t", &format!("[{{\"a\":{sent}}}]"));
                match reply.status {
                    200 => sent += 1,
                    _ => assert_eq!(reply.error().1, "40001", "{reply:?}"),
                }
            }
            sent
        });
        for n in 0..10 {
            server.query(&format!("alter table t add column c{n} int default {n}"));
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    let found = server.query("select count(*), count(distinct a), count(c9) from t");
    assert_eq!(found, format!("{sent}|{sent}|{sent}"));
}
