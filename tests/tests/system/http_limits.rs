//! Who may ask, for how long, and for how much.

use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_tests::{Launch, PATIENCE, Server};

use crate::http_client::{Http, raw};

fn launch(folder: &tempfile::TempDir, flags: &[&str]) -> Server {
    let mut launch = Launch::on(folder.path().join("data")).workers(1);
    launch.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    launch.start()
}

#[test]
fn foreign_hosts_and_origins_are_refused_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--http-allowed-hosts", "Millrace.lan,other"]);
    let get = |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        raw(&server, &[request.as_bytes()])[9..12].to_owned()
    };
    for path in ["/health", "/metrics", "/v1/openapi.json", "/v1/sql", "/v1/tables/t", "/nothing"] {
        assert_eq!(get(path, "Host: example.com\r\n"), "403", "{path}");
        assert_eq!(get(path, "Host: localhost\r\nOrigin: http://example.com\r\n"), "403", "{path}");
        assert_eq!(get(path, "Host: localhost\r\nOrigin: null\r\n"), "403", "{path}");
    }
    for host in ["localhost", "127.0.0.1:8432", "[::1]:1", "millrace.lan", "MILLRACE.LAN:80", "other"] {
        assert_eq!(get("/health", &format!("Host: {host}\r\nOrigin: http://{host}\r\n")), "200", "{host}");
    }
    let http = Http::of(&server);
    let headers = [("content-type", "application/json"), ("origin", "https://example.com")];
    let reply = http.post("/v1/sql", &headers, r#"{"query": "create table t (a int)"}"#);
    assert_eq!(reply.error(), (403, "42501".to_owned(), None, None));
    assert_eq!(server.query("select count(*) from pg_tables where tablename = 't'"), "0");
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--connect-seconds", "1"]);
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    let mut rest = Vec::new();
    // The server closes, perhaps after a word; it does not wait for the end of the head.
    let _ = stream.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn long_bodies_are_refused_also_once_they_are_decompressed() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--http-body-bytes", "100000"]);
    server.query("create table t (b text)");
    let http = Http::of(&server);
    let body = format!("{{\"b\":\"{}\"}}", "x".repeat(99_900));
    assert_eq!(http.json("t", &body).added().0, 1);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(format!("{{\"b\":\"{}\"}}", "x".repeat(50_000_000)).as_bytes()).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(http.post("/v1/tables/t", &headers, bomb).error(), (413, "54000".to_owned(), None, None));
    // Told by its length before it is sent, and found out while it comes.
    let head = "POST /v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let told = format!("{head}Content-Length: 100001\r\n\r\n");
    assert_eq!(&raw(&server, &[told.as_bytes()])[9..12], "413");
    let chunk = format!("186a1\r\n{}", "x".repeat(100_001));
    let found = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}");
    assert_eq!(&raw(&server, &[found.as_bytes()])[9..12], "413");
    assert_eq!(server.query("select count(*) from t"), "1");
}

#[test]
fn too_many_bodies_at_once_wait_and_are_asked_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--http-body-bytes", "60000"]);
    server.query("create table t (a int)");
    let head = "POST /v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let holders: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.http()).unwrap();
            write!(stream, "{head}Content-Length: 100\r\n\r\n[").unwrap();
            stream
        })
        .collect();
    millrace_tests::wait_for("four bodies", || {
        server.get("/metrics").1.contains("millrace_http_body_bytes 262144\n").then_some(())
    });
    let http = Http::of(&server);
    let reply = http.json("t", r#"{"a": 1}"#);
    assert_eq!(reply.error(), (429, "53000".to_owned(), None, None));
    assert_eq!(reply.retry_after.as_deref(), Some("1"));
    drop(holders);
    assert_eq!(http.json("t", r#"{"a": 1}"#).added().0, 1);
}

#[test]
fn too_many_keys_are_refused_and_old_ones_are_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--idempotency-keys", "2"]);
    server.query("create table t (a int)");
    let http = Http::of(&server);
    let first = http.once("t", "k1", r#"{"a": 1}"#);
    assert_eq!((first.added().0, http.once("t", "k2", r#"{"a": 2}"#).added().0), (1, 1));
    let reply = http.once("t", "k3", r#"{"a": 3}"#);
    assert_eq!((reply.error().0, reply.error().1.as_str()), (429, "53400"));
    assert_eq!(http.once("t", "k1", r#"{"a": 1}"#), first);
    assert_eq!(http.json("t", r#"{"a": 4}"#).added().0, 1);
    assert_eq!(server.query("select sum(a) from t"), "7");
    assert!(server.get("/metrics").1.contains("millrace_idempotency_keys 2\n"));
}

#[test]
fn other_paths_and_methods_are_answered_with_errors_too() {
    let server = Server::with_workers(1);
    let http = Http::of(&server);
    assert_eq!(http.post("/nothing", &[], "").error(), (404, "08P01".to_owned(), None, None));
    assert_eq!(http.post("/health", &[], "").error(), (405, "08P01".to_owned(), None, None));
    let (status, body) = server.get("/v1/sql");
    assert_eq!((status, body.contains("08P01")), (405, true), "{body}");
    let (status, body) = server.get("/v1/openapi.json");
    let description: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, description["openapi"].as_str()), (200, Some("3.1.0")));
    let (_, metrics) = server.get("/metrics");
    let told = "millrace_http_requests_total{endpoint=\"other\",status=\"404\"} 1";
    assert!(metrics.contains(told), "{metrics}");
}

#[test]
fn the_server_stops_though_a_client_keeps_its_connection() {
    let mut server = Server::with_workers(1);
    let mut stream = TcpStream::connect(server.http()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(server.stop(), Some(0));
}

/// The view is quadratic in the rows of its table, so that each batch keeps it busy for about four times as long as the
/// one before, until a commit has waited for more than five seconds.
#[test]
fn commits_over_http_wait_for_views_and_are_asked_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch(&folder, &["--lag-bytes", "1"]);
    server.query("create table t (k int, n int)");
    server.query("create materialized view pairs as select count(*) as n from t a join t b on a.k = b.k and a.n <> b.n");
    let http = Http::of(&server);
    let mut next = 0;
    let mut add = |count: usize| {
        let rows: Vec<String> = (next..next + count).map(|n| format!("{{\"k\":1,\"n\":{n}}}")).collect();
        let reply = http.json("t", &format!("[{}]", rows.join(",")));
        if reply.status == 200 {
            next += count;
        }
        reply
    };
    let mut count = 500;
    let reply = loop {
        let reply = add(count);
        if reply.status != 200 {
            break reply;
        }
        count *= 2;
    };
    assert_eq!(reply.error(), (429, "53000".to_owned(), None, None));
    assert_eq!(reply.retry_after.as_deref(), Some("1"));
    millrace_tests::wait_for("the view to be there", || (add(1).status == 200).then_some(()));
    // What was refused was not done.
    assert_eq!(server.query("select count(*) from t"), next.to_string());
}
