//! The harness works: a server starts, answers every client, is killed, comes back, stops.

use millrace_tests::{Postgres, Server};

#[test]
fn a_server_starts_answers_is_killed_comes_back_and_stops() {
    let mut server = Server::start();
    assert_eq!(server.query("create table t (a int); insert into t values (1), (2)"), "");
    assert_eq!(server.query("select sum(a) from t"), "3");
    server.restart();
    assert_eq!(server.query("select sum(a) from t"), "3");
    let (status, body) = server.get("/health");
    assert_eq!((status, body.starts_with("{\"ok\":true,")), (200, true), "{body}");
    assert_eq!(server.stop(), Some(0), "SIGTERM is a request, not a failure");
    assert!(server.log().contains("stopping"));
}

#[tokio::test]
async fn a_driver_connects() {
    let server = Server::with_workers(1);
    let client = server.connect().await;
    let row = client.query_one("select 40 + $1::int", &[&2]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}

#[tokio::test]
async fn a_postgresql_of_our_own_answers() {
    let postgres = Postgres::start();
    assert_eq!(postgres.query("select 40 + 2"), "42");
    let row = postgres.connect().await.query_one("select 40 + 2", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 42);
}
