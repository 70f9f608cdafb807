//! `GET /v1/subscribe/{view}`: an event a tick, resumed without a gap or a repeat, encoded once for all.

use std::io::{BufRead, BufReader};

use millrace_tests::{PATIENCE, Server, wait_for};
use serde_json::{Value, json};

/// An event as a client gets it: only what has its end.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    id: Option<String>,
    pub(crate) data: Value,
}

/// The events of one subscription.
pub(crate) struct Events(BufReader<ureq::BodyReader<'static>>);

impl Events {
    pub(crate) fn open(server: &Server, path: &str, last: Option<&str>) -> Result<Events, (u16, Value)> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_recv_body(Some(PATIENCE));
        let agent: ureq::Agent = config.build().into();
        let mut request = agent.get(format!("http://{}/v1/subscribe/{path}", server.http()));
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        let mut response = request.call().unwrap();
        let status = response.status().as_u16();
        if status != 200 {
            let body = response.body_mut().read_to_string().unwrap();
            return Err((status, serde_json::from_str(&body).unwrap()));
        }
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        Ok(Events(BufReader::new(response.into_body().into_reader())))
    }

    /// The next event; none at the end.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let (mut kind, mut id, mut data) = ("message".to_owned(), None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("event", value)) => kind = value.to_owned(),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                Some(_) => panic!("{line}"),
                None => {
                    if let Some(data) = data.take() {
                        return Some(Event { kind, id, data });
                    }
                }
            }
        }
    }

    /// The changes of the next event, and its id.
    pub(crate) fn changes(&mut self) -> (Value, String) {
        let event = self.next().expect("an event");
        assert_eq!(event.kind, "message", "{event:?}");
        let id = event.id.expect("an id");
        assert_eq!(event.data["tick"].to_string(), id);
        (event.data["changes"].clone(), id)
    }
}

pub(crate) fn row(diff: i64, k: i64, n: i64) -> Value {
    json!({ "diff": diff, "row": { "k": k, "n": n } })
}

pub(crate) fn start() -> Server {
    let server = Server::start();
    server.query(
        "create table t (k int, v int); \
         create materialized view v as select k, count(*) as n from t group by k; \
         insert into t values (1, 1), (2, 1)",
    );
    server
}

#[test]
fn changes_come_tick_by_tick_and_go_on_behind_an_id() {
    let server = start();
    let mut events = Events::open(&server, "v", None).unwrap();
    assert_eq!(events.changes().0, json!([row(1, 1, 1), row(1, 2, 1)]));
    server.query("insert into t values (1, 2)");
    let (changes, first) = events.changes();
    assert_eq!(changes, json!([row(-1, 1, 1), row(1, 1, 2)]));
    server.query("insert into t values (3, 1); delete from t where k = 2");
    server.query("delete from t where k = 3");
    drop(events);
    let mut again = Events::open(&server, "public.v?snapshot=true", Some(&first)).unwrap();
    assert_eq!(again.changes().0, json!([row(-1, 2, 1), row(1, 3, 1)]));
    let (changes, last) = again.changes();
    assert_eq!(changes, json!([row(-1, 3, 1)]));
    let mut newest = Events::open(&server, "v", Some(&last)).unwrap();
    server.query("insert into t values (9, 9)");
    assert_eq!(newest.changes().0, json!([row(1, 9, 1)]));
    assert_eq!(again.changes().0, json!([row(1, 9, 1)]));
}

#[test]
fn snapshot_and_progress_are_as_the_client_wants_them() {
    let server = start();
    let mut bare = Events::open(&server, "v?snapshot=false", None).unwrap();
    let (changes, id) = bare.changes();
    assert_eq!(changes, json!([]));
    assert!(Events::open(&server, "v", Some(&id)).is_ok());
    server.query("insert into t values (5, 5)");
    assert_eq!(bare.changes().0, json!([row(1, 5, 1)]));
    let mut told = Events::open(&server, "v?progress=true&snapshot=false", None).unwrap();
    let begun = told.next().unwrap();
    server.query("create table other (a int); insert into other values (1)");
    let progress = told.next().unwrap();
    assert_eq!(progress.kind, "progress", "{progress:?}");
    assert!(progress.data["tick"].as_u64() > begun.data["tick"].as_u64());
    server.query("create materialized view empty as select * from t where k = 77");
    assert_eq!(Events::open(&server, "empty", None).unwrap().changes().0, json!([]));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = start();
    let refused = |path: &str, last: Option<&str>| {
        let Err((status, body)) = Events::open(&server, path, last) else { panic!("{path} is followed") };
        (status, body["error"]["code"].as_str().unwrap().to_owned())
    };
    server.query("create view plain as select * from t");
    assert_eq!(refused("nothing", None), (404, "42P01".to_owned()));
    assert_eq!(refused("v%20as%20of%205", None), (404, "42602".to_owned()));
    assert_eq!(refused("plain", None), (400, "0A000".to_owned()));
    assert_eq!(refused("v?snapshots=true", None), (400, "22023".to_owned()));
    assert_eq!(refused("v?snapshot=1", None), (400, "22023".to_owned()));
    assert_eq!(refused("v", Some("x")), (400, "22023".to_owned()));
    assert_eq!(refused("v", Some("5")), (410, "22023".to_owned()));
    let Err((_, body)) = Events::open(&server, "v", Some("5")) else { panic!("is followed") };
    assert!(body["error"]["detail"].as_str().unwrap().starts_with("Its history starts at tick "), "{body}");
}

#[test]
fn the_end_is_told() {
    let mut server = start();
    let failed = |events: &mut Events| {
        let event = std::iter::from_fn(|| events.next()).find(|event| event.kind == "failed").unwrap();
        assert!(events.next().is_none());
        event.data["error"]["code"].as_str().unwrap().to_owned()
    };
    let mut dropped = Events::open(&server, "v", None).unwrap();
    dropped.changes();
    server.query("drop materialized view v");
    assert_eq!(failed(&mut dropped), "42P01");
    server.query("create materialized view w as select 10 / v as n from t");
    let mut wrong = Events::open(&server, "w", None).unwrap();
    wrong.changes();
    server.query("insert into t values (1, 0)");
    assert_eq!(failed(&mut wrong), "22012");
    let mut stopped = Events::open(&server, "t", None).unwrap();
    stopped.changes();
    assert_eq!(server.stop(), Some(0));
    assert!(stopped.next().is_none());
}

#[test]
fn changes_are_written_once_for_all_who_follow() {
    const FOLLOWERS: usize = 20;
    let server = start();
    let mut all: Vec<Events> = (0..FOLLOWERS).map(|_| Events::open(&server, "v", None).unwrap()).collect();
    all.iter_mut().for_each(|events| drop(events.changes()));
    let written = |server: &Server| -> u64 {
        let (_, metrics) = server.get("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix("millrace_subscription_writes_total "));
        line.unwrap().parse().unwrap()
    };
    let before = written(&server);
    for n in 0..10 {
        server.query(&format!("insert into t values ({}, 0)", 100 + n));
        let (changes, _) = all[0].changes();
        assert!(all[1..].iter_mut().all(|events| events.changes().0 == changes));
    }
    assert_eq!(written(&server) - before, 10);
    drop(all);
    // Who left is noticed when something is sent to him.
    wait_for("nobody to follow", || {
        server.query("insert into t values (1, 0)");
        server.get("/metrics").1.contains("millrace_subscribers 0\n").then_some(())
    });
}
