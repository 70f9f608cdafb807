//! `GET /v1/subscribe/{view}` as a WebSocket: the same events as server-sent ones, and how a socket ends. The client is
//! Python's `websockets`; bare sockets say what no client would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdout, Command, Stdio};

use millrace_tests::{Launch, PATIENCE, Process, Server, signal, wait_for};
use serde_json::{Value, json};

use crate::clients::{INSTALL, folder, libraries};
use crate::http_client::raw;
use crate::http_subscribe::{Events, row, start};

/// The fields of a request that asks for a WebSocket.
const ASKING: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client, and what it tells.
struct Socket {
    process: Process,
    lines: BufReader<ChildStdout>,
}

impl Socket {
    fn open(server: &Server, path: &str) -> Socket {
        Socket::with(server, path, &[])
    }

    fn with(server: &Server, path: &str, flags: &[&str]) -> Socket {
        let mut command = Command::new(libraries().join("python/bin/python"));
        command.arg(folder().join("websocket_client.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(format!("ws://{}/v1/subscribe/{path}", server.http())).args(flags);
        let mut process = Process::start(command.stdout(Stdio::piped()), INSTALL);
        let lines = BufReader::new(process.child().stdout.take().unwrap());
        Socket { process, lines }
    }

    /// What happens next.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client has ended; {INSTALL}"))
    }

    fn message(&mut self) -> Value {
        let mut told = self.next();
        assert!(told["message"].is_object(), "{told}");
        told["message"].take()
    }

    /// The changes of the next message, and its tick.
    fn changes(&mut self) -> (Value, i64) {
        let mut message = self.message();
        assert_eq!(message["event"], "changes", "{message}");
        (message["changes"].take(), message["tick"].as_i64().unwrap())
    }

    /// The code and the reason with which it is closed, behind whatever else it is told.
    fn closed(&mut self) -> (u64, String) {
        loop {
            let told = self.next();
            if let Some(close) = told.get("close") {
                return (close[0].as_u64().unwrap(), close[1].as_str().unwrap().to_owned());
            }
        }
    }

    /// The status and the SQLSTATE of a refusal.
    fn refused(&mut self) -> (u64, String) {
        let told = self.next();
        let refused = told.get("refused").unwrap_or_else(|| panic!("{told}"));
        (refused[0].as_u64().unwrap(), refused[1]["error"]["code"].as_str().unwrap().to_owned())
    }
}

#[test]
fn messages_come_tick_by_tick_and_go_on_behind_one() {
    let server = start();
    let mut socket = Socket::open(&server, "v");
    assert_eq!(socket.changes().0, json!([row(1, 1, 1), row(1, 2, 1)]));
    server.query("insert into t values (1, 2)");
    let (changes, tick) = socket.changes();
    assert_eq!(changes, json!([row(-1, 1, 1), row(1, 1, 2)]));
    server.query("insert into t values (3, 1); delete from t where k = 2");
    server.query("delete from t where k = 3");
    drop(socket);
    let mut again = Socket::open(&server, &format!("public.v?snapshot=true&after={tick}"));
    let mut events = Events::open(&server, &format!("v?after={tick}"), None).unwrap();
    let expected = json!([row(-1, 2, 1), row(1, 3, 1)]);
    assert_eq!((again.changes().0, events.changes().0), (expected.clone(), expected));
    let (changes, tick) = again.changes();
    assert_eq!(changes, json!([row(-1, 3, 1)]));
    // The header is what a browser knows better than its address.
    let mut newest = Events::open(&server, "v?after=5", Some(&tick.to_string())).unwrap();
    server.query("insert into t values (9, 9)");
    assert_eq!((again.changes().0, newest.changes().0), (json!([row(1, 9, 1)]), json!([row(1, 9, 1)])));
}

#[test]
fn snapshot_and_progress_are_as_the_client_wants_them() {
    let server = start();
    let mut bare = Socket::open(&server, "v?snapshot=false");
    let (changes, tick) = bare.changes();
    assert_eq!(changes, json!([]));
    let mut told = Socket::open(&server, &format!("v?progress=true&after={tick}"));
    server.query("create table other (a int); insert into other values (1)");
    let progress = told.message();
    assert_eq!(progress["event"], "progress");
    assert!(progress["tick"].as_i64() >= Some(tick), "{progress}");
}

/// Fragments are cut wherever it is, also within a character.
#[test]
fn long_messages_come_whole() {
    let server = start();
    server.query("create table long as select k, repeat('é€', k) as text from generate_series(1, 1500) as k");
    let mut socket = Socket::open(&server, "long");
    let (changes, _) = socket.changes();
    let changes = changes.as_array().unwrap();
    assert_eq!(changes.len(), 1_500);
    for change in changes {
        let k = change["row"]["k"].as_u64().unwrap() as usize;
        assert_eq!(change["row"]["text"], json!("é€".repeat(k)));
    }
    server.query("insert into long values (0, 'short')");
    assert_eq!(socket.changes().0, json!([{ "diff": 1, "row": { "k": 0, "text": "short" } }]));
}

#[test]
fn what_cannot_be_followed_is_refused_before_the_upgrade() {
    let server = start();
    let refused = |path: &str, flags: &[&str]| Socket::with(&server, path, flags).refused();
    assert_eq!(refused("nothing", &[]), (404, "42P01".to_owned()));
    assert_eq!(refused("v?after=x", &[]), (400, "22023".to_owned()));
    assert_eq!(refused("v?after=5", &[]), (410, "22023".to_owned()));
    assert_eq!(refused("v", &["--origin", "https://example.com"]), (403, "42501".to_owned()));
    assert_eq!(refused("v", &["--origin", "null"]), (403, "42501".to_owned()));
    let own = format!("http://{}", server.http());
    assert_eq!(Socket::with(&server, "v", &["--origin", &own]).message()["event"], "changes");
}

#[test]
fn a_bad_handshake_is_none() {
    let server = start();
    let ask = |version: &str, fields: &str| {
        let head = format!("GET /v1/subscribe/v HTTP/{version}\r\nHost: localhost\r\n{fields}\r\n");
        raw(&server, &[head.as_bytes()]).to_ascii_lowercase()
    };
    let old = ask("1.1", "Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n");
    assert!(old.starts_with("http/1.1 426 ") && old.contains("\r\nsec-websocket-version: 13\r\n"), "{old}");
    let close = "Connection: close, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(&ask("1.1", &format!("{close}{VERSION}"))[9..12], "400");
    assert_eq!(&ask("1.1", &format!("{close}{VERSION}Sec-WebSocket-Key: short\r\n"))[9..12], "400");
    assert_eq!(
        &ask("1.1", &format!("Connection: close\r\nUpgrade: websocket\r\n{VERSION}{KEY}"))[9..12],
        "400"
    );
    assert_eq!(&ask("1.0", &format!("{ASKING}{VERSION}{KEY}"))[9..12], "400");
}

#[test]
fn the_end_is_told() {
    let mut server = start();
    let mut dropped = Socket::open(&server, "v");
    dropped.changes();
    server.query("drop materialized view v");
    let failed = dropped.message();
    assert_eq!((&failed["event"], &failed["error"]["code"]), (&json!("failed"), &json!("42P01")));
    assert_eq!(dropped.closed(), (1011, "42P01: relation \"v\" does not exist".to_owned()));
    server.query("create materialized view w as select 10 / v as n from t");
    let mut wrong = Socket::open(&server, "w");
    wrong.changes();
    server.query("insert into t values (1, 0)");
    assert_eq!(wrong.message()["error"]["code"], "22012");
    assert_eq!(wrong.closed(), (1011, "22012: division by zero".to_owned()));
    // Who says something is told that nobody listens; who closes is answered.
    let mut talker = Socket::with(&server, "t", &["--say", "hello"]);
    assert_eq!(talker.closed(), (1008, "a subscription takes no messages".to_owned()));
    let mut leaver = Socket::with(&server, "t", &["--messages", "1"]);
    assert_eq!(leaver.closed().0, 1000);
    let mut stopped = Socket::open(&server, "t");
    stopped.changes();
    assert_eq!(server.stop(), Some(0));
    assert_eq!(stopped.closed(), (1001, "the server stops".to_owned()));
}

/// The value of a metric.
fn metric(server: &Server, name: &str) -> u64 {
    let (_, metrics) = server.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

#[test]
fn changes_are_written_once_for_sockets_and_events() {
    let server = start();
    let mut sockets = [(); 3].map(|()| Socket::open(&server, "v"));
    sockets.iter_mut().for_each(|socket| drop(socket.changes()));
    let mut events = Events::open(&server, "v", None).unwrap();
    events.changes();
    let before = metric(&server, "millrace_subscription_writes_total");
    for n in 0..5 {
        server.query(&format!("insert into t values ({}, 0)", 100 + n));
        let (changes, _) = events.changes();
        assert!(sockets.iter_mut().all(|socket| socket.changes().0 == changes));
    }
    assert_eq!(metric(&server, "millrace_subscription_writes_total") - before, 5);
    drop(sockets);
    drop(events);
    wait_for("nobody to follow", || {
        server.query("insert into t values (1, 0)");
        (metric(&server, "millrace_subscribers") == 0).then_some(())
    });
}

#[test]
fn sockets_keep_their_place_among_the_connections() {
    let folder = tempfile::tempdir().unwrap();
    let mut launch = Launch::on(folder.path().join("data")).workers(1);
    launch.flags = ["--max-http-connections", "2"].map(str::to_owned).to_vec();
    let server = launch.start();
    server.query("create table t (k int)");
    let mut socket = Socket::open(&server, "t");
    socket.changes();
    let mut events = Events::open(&server, "t", None).unwrap();
    events.changes();
    let health = || {
        let mut stream = TcpStream::connect(server.http()).ok()?;
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(request).and_then(|()| stream.read_to_string(&mut answer)).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    assert_eq!(health(), None, "one more than there may be");
    server.query("insert into t values (1)");
    assert_eq!(socket.changes().0, events.changes().0);
    socket.process.kill();
    wait_for("a place", health);
}

/// More than 64 MiB of changes wait for a socket and for a reader of events, of which neither reads. Both are cut and
/// told so; who reads gets every row.
#[test]
fn who_does_not_read_is_cut_and_nobody_else() {
    const ROWS: usize = 12;
    let server = Server::start();
    server.query("create table t (n int, a text)");
    let mut lazy = Socket::open(&server, "t");
    lazy.changes();
    signal("STOP", lazy.process.id());
    let mut lazy_events = Events::open(&server, "t", None).unwrap();
    let (mut socket, mut events) = (Socket::open(&server, "t"), Events::open(&server, "t", None).unwrap());
    socket.changes();
    events.changes();
    for n in 0..ROWS {
        server.query(&format!("insert into t values ({n}, repeat('x', 8388608))"));
        let (of_socket, of_events) = (socket.changes().0, events.changes().0);
        assert_eq!((&of_socket[0]["row"]["n"], &of_events[0]["row"]["n"]), (&json!(n), &json!(n)));
    }
    signal("CONT", lazy.process.id());
    let (code, reason) = lazy.closed();
    assert_eq!((code, reason.as_str()), (1013, "53400: the subscription fell too far behind"));
    let last = std::iter::from_fn(|| lazy_events.next()).last().unwrap();
    assert_eq!((last.kind.as_str(), &last.data["error"]["code"]), ("failed", &json!("53400")));
    server.query("insert into t values (-1, '')");
    assert_eq!(socket.changes().0, events.changes().0);
}

/// Where nothing happens both ends show that they are there: a ping, a comment. Where a body does not come, its client
/// is not waited for.
#[test]
fn silence_is_broken_in_time() {
    let server = start();
    let send = |head: &str| {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut body = send(
        "POST /v1/tables/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[",
    );
    let subscribe = "GET /v1/subscribe/v?snapshot=false HTTP/1.1\r\nHost: localhost\r\n";
    let mut events = send(&format!("{subscribe}\r\n"));
    let mut socket = send(&format!("{subscribe}{ASKING}{VERSION}{KEY}\r\n"));
    let until = |stream: &mut TcpStream, end: &[u8]| {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(end) {
            stream.read_exact(&mut byte).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&seen)));
            seen.push(byte[0]);
        }
        String::from_utf8_lossy(&seen).to_ascii_lowercase()
    };
    let head = until(&mut socket, b"\r\n\r\n");
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    until(&mut socket, b"\"changes\":[]}");
    // A ping without a content.
    until(&mut socket, &[0x89, 0]);
    until(&mut events, b"\r\n3\r\n:\n\n\r\n");
    let mut answer = String::new();
    body.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("08P01"), "{answer}");
    assert_eq!(metric(&server, "millrace_http_body_bytes"), 0);
    assert_eq!(server.query("select count(*) from t"), "2");
}
