//! Statements through sessions, with real workers; the log only says yes.

#![allow(clippy::unwrap_used)]

use arrow::array::RecordBatch;
use std::ops::Deref;

use arrow::array::{Array, Int32Array, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use millrace_engine::{Engine, EngineConfig, batch_of};
use millrace_sql::{Catalog, ExprCompiler};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::coordinator::{Answers, AppendGroup, CommitPath, Coordinator, Holds, Parts, Progress};
use crate::engines::Engines;

/// A server whose workers stop with the test, also with one that fails.
struct Running(Arc<Server>);

impl Deref for Running {
    type Target = Arc<Server>;

    fn deref(&self) -> &Arc<Server> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.engine().shutdown();
    }
}

fn server_with(append: AppendGroup) -> Running {
    let progress = Arc::new(Progress::default());
    let engine = Engine::start(
        EngineConfig { workers: 2, view_bytes_max: None },
        Arc::new(ExprCompiler),
        progress.sink(),
    )
    .unwrap();
    let catalog: Arc<Catalog> = Arc::default();
    let holds = Arc::new(Holds::new(0, catalog.clone()));
    let path = CommitPath::new(catalog, 0, 1 << 20, Answers::new(10));
    let parts =
        Parts { path, holds: holds.clone(), progress: progress.clone(), engine: engine.clone(), append };
    let (coordinator, _) = Coordinator::start(parts, CancellationToken::new()).unwrap();
    Running(Arc::new(Server::new(coordinator, holds, progress, Engines::new(engine, 1))))
}

fn server() -> Running {
    server_with(Box::new(|_| Ok(())))
}

fn session(server: &Arc<Server>) -> Session {
    Session::new(server.clone(), "ada".to_owned(), "millrace".to_owned())
}

/// A value as a test writes it.
fn cell(array: &dyn Array, row: usize) -> String {
    let options = FormatOptions::new().with_null("null");
    ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let line = |row| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(line).collect()
}

async fn all(mut rows: Portions) -> Result<Vec<String>, SqlError> {
    let mut found = Vec::new();
    while let Some(portion) = rows.next().await {
        found.extend(lines(&portion?.rows));
    }
    Ok(found)
}

/// Nothing here takes long: what does hangs.
async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let time = Duration::from_secs(20);
    tokio::time::timeout(time, future).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// Runs a text of one statement: its rows, or else its tag.
async fn try_run(session: &mut Session, text: &str) -> Result<Vec<String>, SqlError> {
    in_time(text, try_run_slowly(session, text)).await
}

async fn try_run_slowly(session: &mut Session, text: &str) -> Result<Vec<String>, SqlError> {
    let statements = session.parse(text)?;
    let [statement] = statements.as_slice() else { panic!("one statement a time") };
    match session.execute(statement, &[]).await? {
        Response::Command { tag } => Ok(vec![tag]),
        Response::Rows { rows, .. } | Response::CopyOut { rows, .. } => all(rows).await,
        Response::Empty | Response::CopyIn(_) => panic!("use another way for {text}"),
    }
}

async fn run(session: &mut Session, text: &str) -> Vec<String> {
    try_run(session, text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

async fn sqlstate(session: &mut Session, text: &str) -> String {
    match try_run(session, text).await {
        Ok(rows) => panic!("{text} gives {rows:?}"),
        Err(error) => error.sqlstate,
    }
}

/// The rows of a subscription, one at a time.
struct Followed {
    rows: Portions,
    ready: Vec<String>,
}

impl Followed {
    async fn start(session: &mut Session, text: &str) -> Followed {
        let statements = session.parse(text).unwrap();
        match session.execute(&statements[0], &[]).await.unwrap() {
            Response::Rows { rows, tag: "SUBSCRIBE", .. } => Followed { rows, ready: Vec::new() },
            _ => panic!("not a subscription"),
        }
    }

    async fn try_next(&mut self) -> Result<String, SqlError> {
        while self.ready.is_empty() {
            let portion = in_time("the subscription", self.rows.next()).await;
            let portion = portion.expect("a subscription ends only with an error")?;
            self.ready = lines(&portion.rows);
        }
        Ok(self.ready.remove(0))
    }

    /// The next row without its tick.
    async fn next(&mut self) -> String {
        let line = self.try_next().await.unwrap();
        line.split_once('|').unwrap().1.to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_written_and_views_follow() {
    let server = server();
    let mut session = session(&server);
    assert_eq!(run(&mut session, "create table t (a int not null, b text)").await, ["CREATE TABLE"]);
    let view = "create materialized view v as select b, count(*), sum(a) from t group by b";
    assert_eq!(run(&mut session, view).await, ["CREATE MATERIALIZED VIEW"]);
    assert_eq!(run(&mut session, "insert into t values (1, 'x'), (2, 'x'), (3, 'y')").await, ["INSERT 0 3"]);
    assert_eq!(run(&mut session, "select * from v order by b").await, ["x|2|3", "y|1|3"]);
    assert_eq!(run(&mut session, "insert into t select a + 10, b from t").await, ["INSERT 0 3"]);
    assert_eq!(run(&mut session, "delete from t where a = 2").await, ["DELETE 1"]);
    assert_eq!(run(&mut session, "delete from t where a = 99").await, ["DELETE 0"]);
    assert_eq!(run(&mut session, "select * from v order by b").await, ["x|3|24", "y|2|16"]);
    assert_eq!(sqlstate(&mut session, "insert into t values (null, 'z')").await, "23502");
    assert_eq!(run(&mut session, "select count(*) from t").await, ["5"]);
    assert_eq!(sqlstate(&mut session, "drop table t").await, "2BP01");
    assert_eq!(run(&mut session, "drop table t cascade").await, ["DROP TABLE"]);
    assert_eq!(sqlstate(&mut session, "select * from v").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_taken_or_gone_are_told() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int)").await;
    assert_eq!(sqlstate(&mut session, "create table t (b text)").await, "42P07");
    assert_eq!(run(&mut session, "create table if not exists t (b text)").await, ["CREATE TABLE"]);
    let notice = Notice::new("42P07", "relation \"t\" already exists, skipping");
    assert_eq!(session.take_notices(), [notice]);
    assert_eq!(run(&mut session, "drop table if exists nothing").await, ["DROP TABLE"]);
    assert_eq!(session.take_notices().len(), 1);
    assert_eq!(sqlstate(&mut session, "drop table nothing").await, "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_commits_whole_and_is_seen_by_others_only_then() {
    let server = server();
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int)").await;
    run(&mut one, "create table u (a int)").await;
    assert_eq!(run(&mut one, "begin").await, ["BEGIN"]);
    assert_eq!(one.transaction_status(), TransactionStatus::InBlock);
    run(&mut one, "insert into t values (1)").await;
    run(&mut one, "insert into u values (1)").await;
    assert_eq!(run(&mut two, "select count(*) from t").await, ["0"]);
    assert_eq!(run(&mut one, "select * from t").await, ["1"]);
    assert_eq!(sqlstate(&mut one, "select nope").await, "42703");
    assert_eq!(one.transaction_status(), TransactionStatus::Failed);
    assert_eq!(sqlstate(&mut one, "select * from nothing_at_all").await, "25P02");
    assert_eq!(run(&mut one, "commit").await, ["ROLLBACK"]);
    assert_eq!(one.transaction_status(), TransactionStatus::Idle);
    run(&mut one, "begin").await;
    run(&mut one, "insert into t values (2)").await;
    run(&mut one, "insert into u values (2)").await;
    assert_eq!(run(&mut one, "commit").await, ["COMMIT"]);
    assert_eq!(run(&mut two, "select t.a from t join u on t.a = u.a").await, ["2"]);
    run(&mut one, "begin").await;
    run(&mut one, "insert into t values (3)").await;
    assert_eq!(run(&mut one, "rollback").await, ["ROLLBACK"]);
    assert_eq!(run(&mut two, "select count(*) from t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_reads_at_one_tick_and_is_refused_when_what_it_read_has_changed() {
    let server = server();
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int)").await;
    run(&mut one, "create table u (a int)").await;
    run(&mut one, "insert into t values (1)").await;
    run(&mut one, "begin").await;
    assert_eq!(run(&mut one, "select count(*) from t").await, ["1"]);
    run(&mut two, "insert into t values (2)").await;
    assert_eq!(run(&mut one, "select count(*) from t").await, ["1"]);
    run(&mut one, "insert into u values (1)").await;
    assert_eq!(sqlstate(&mut one, "commit").await, "40001");
    assert_eq!(one.transaction_status(), TransactionStatus::Idle);
    assert_eq!(run(&mut one, "select count(*) from u").await, ["0"]);
    run(&mut one, "begin").await;
    run(&mut one, "select count(*) from t").await;
    run(&mut two, "insert into t values (3)").await;
    assert_eq!(run(&mut one, "commit").await, ["COMMIT"], "who only read was right at its tick");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_created_in_a_block_exist_with_their_rows_or_not_at_all() {
    let server = server();
    let mut session = session(&server);
    for end in ["rollback", "commit"] {
        run(&mut session, "begin").await;
        run(&mut session, "create table t (a int)").await;
        run(&mut session, "insert into t values (1), (2)").await;
        run(&mut session, "create materialized view v as select sum(a) from t").await;
        run(&mut session, "create table passing (a int)").await;
        run(&mut session, "insert into passing values (1)").await;
        run(&mut session, "drop table passing").await;
        run(&mut session, end).await;
    }
    assert_eq!(run(&mut session, "select * from v").await, ["3"]);
    assert_eq!(sqlstate(&mut session, "select * from passing").await, "42P01");
    run(&mut session, "begin").await;
    run(&mut session, "create table u (a int)").await;
    assert_eq!(run(&mut session, "select count(*) from u").await, ["0"]);
    run(&mut session, "insert into u values (7)").await;
    run(&mut session, "create materialized view w as select a * 2 from u").await;
    assert_eq!(run(&mut session, "select * from w").await, ["14"]);
    assert_eq!(sqlstate(&mut session, "subscribe to u").await, "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_of_one_text_are_one_transaction() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int)").await;
    session.begin_implicit();
    run(&mut session, "insert into t values (1)").await;
    assert_eq!(session.transaction_status(), TransactionStatus::Idle);
    sqlstate(&mut session, "insert into nothing values (1)").await;
    session.end_implicit(true).await.unwrap();
    assert_eq!(run(&mut session, "select count(*) from t").await, ["0"]);
    session.begin_implicit();
    run(&mut session, "insert into t values (1)").await;
    run(&mut session, "commit").await;
    run(&mut session, "insert into t values (2)").await;
    sqlstate(&mut session, "insert into nothing values (1)").await;
    session.end_implicit(true).await.unwrap();
    assert_eq!(run(&mut session, "select * from t").await, ["1"], "what came after COMMIT is gone, too");
    session.begin_implicit();
    run(&mut session, "begin").await;
    session.end_implicit(false).await.unwrap();
    assert_eq!(session.transaction_status(), TransactionStatus::InBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deletes_of_the_same_rows_delete_them_once() {
    let server = server();
    let mut main = session(&server);
    run(&mut main, "create table t (a int)").await;
    for round in 0..10 {
        run(&mut main, "insert into t values (1), (2), (3)").await;
        let task = |server: Arc<Server>| async move {
            let mut session = session(&server);
            run(&mut session, "delete from t where a <> 3").await.remove(0)
        };
        let tasks: Vec<_> = (0..12).map(|_| tokio::spawn(task(server.0.clone()))).collect();
        let mut deleted = 0;
        for task in tasks {
            deleted += task.await.unwrap().strip_prefix("DELETE ").unwrap().parse::<usize>().unwrap();
        }
        assert_eq!(deleted, 2, "round {round}");
    }
    assert_eq!(run(&mut main, "select a, count(*) from t group by a").await, ["3|10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_tells_the_rows_then_each_change() {
    let server = server();
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int, b text)").await;
    run(&mut one, "insert into t values (2, 'x'), (1, 'y'), (2, 'x')").await;
    let mut rows = Followed::start(&mut two, "subscribe t with (progress)").await;
    assert_eq!(rows.next().await, "false|1|1|y");
    assert_eq!(rows.next().await, "false|2|2|x");
    assert_eq!(rows.next().await, "true|null|null|null");
    run(&mut one, "delete from t where a = 2").await;
    assert_eq!(rows.next().await, "false|-2|2|x");
    assert_eq!(rows.next().await, "true|null|null|null");
    run(&mut one, "create table other (a int)").await;
    assert_eq!(rows.next().await, "true|null|null|null", "progress without changes");
    run(&mut one, "drop table t").await;
    let error = loop {
        match rows.try_next().await {
            Ok(row) => assert!(row.contains("|true|"), "{row}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate, "42P01");
    assert!(rows.rows.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_goes_back_as_far_as_since_and_waits_for_what_comes() {
    let server = server();
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int)").await;
    run(&mut one, "insert into t values (1)").await;
    let held = server.newest();
    run(&mut one, "insert into t values (2)").await;
    let text = format!("subscribe t with (snapshot = false) as of {}", held.tick);
    let mut rows = Followed::start(&mut two, &text).await;
    assert_eq!(rows.next().await, "1|2");
    let future = server.holds().newest_tick() + 60_000_000;
    let mut later = Followed::start(&mut two, &format!("subscribe t as of {future}")).await;
    let waits = tokio::time::timeout(Duration::from_millis(20), later.try_next()).await;
    assert!(waits.is_err(), "{waits:?}");
    drop(held);
    run(&mut one, "insert into t values (3)").await;
    run(&mut one, "insert into t values (4)").await;
    assert_eq!(sqlstate(&mut two, "subscribe t as of 1").await, "22023");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_in_error_fails_reads_and_subscriptions_until_the_row_is_gone() {
    let server = server();
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int)").await;
    run(&mut one, "create materialized view v as select 10 / a as q from t").await;
    run(&mut one, "insert into t values (5)").await;
    let mut rows = Followed::start(&mut two, "subscribe v").await;
    assert_eq!(rows.next().await, "1|2");
    run(&mut one, "insert into t values (0)").await;
    assert_eq!(sqlstate(&mut one, "select * from v").await, "22012");
    assert_eq!(rows.try_next().await.unwrap_err().sqlstate, "22012");
    assert_eq!(sqlstate(&mut two, "subscribe v").await, "22012");
    run(&mut one, "delete from t where a = 0").await;
    assert_eq!(run(&mut one, "select * from v").await, ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_rows_become_visible_together() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int not null, b text, c int)").await;
    let statements = session.parse("copy t (b, a) from stdin with (format csv)").unwrap();
    let Response::CopyIn(mut copy) = session.execute(&statements[0], &[]).await.unwrap() else { panic!() };
    assert_eq!(copy.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    let batch = |a: Vec<Option<i32>>| {
        let types = [DataType::Text, DataType::Int32];
        let texts = Arc::new(StringArray::from(vec!["x"; a.len()]));
        batch_of(&types, vec![texts, Arc::new(Int32Array::from(a.clone()))], a.len()).unwrap()
    };
    copy.rows(batch(vec![Some(1), Some(2)])).await.unwrap();
    copy.rows(batch(vec![Some(3)])).await.unwrap();
    assert_eq!(copy.rows(batch(vec![None])).await.unwrap_err().sqlstate, "23502");
    assert_eq!(run(&mut session, "select count(*) from t").await, ["0"]);
    assert_eq!(copy.finish(&mut session).await.unwrap(), 3);
    assert_eq!(run(&mut session, "select * from t order by a").await, ["1|x|null", "2|x|null", "3|x|null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_write_refuses_writes_and_reads_go_on() {
    let mut groups = 0;
    let server = server_with(Box::new(move |_| {
        groups += 1;
        if groups == 3 { Err(SqlError::new("53100", "could not write to the log")) } else { Ok(()) }
    }));
    let mut session = session(&server);
    run(&mut session, "create table t (a int)").await;
    run(&mut session, "insert into t values (1)").await;
    assert_eq!(sqlstate(&mut session, "insert into t values (2)").await, "53100");
    assert_eq!(run(&mut session, "select * from t").await, ["1"]);
    run(&mut session, "insert into t values (3)").await;
    assert_eq!(run(&mut session, "select * from t order by a").await, ["1", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_statement_leaves_nothing() {
    let (permit, permits) = std::sync::mpsc::channel::<()>();
    let (arrived, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    let mut groups = 0;
    let server = server_with(Box::new(move |_| {
        groups += 1;
        if groups == 2 {
            let _ = (arrived.send(()), permits.recv());
        }
        Ok(())
    }));
    let (mut one, mut two) = (session(&server), session(&server));
    run(&mut one, "create table t (a int)").await;
    let first = tokio::spawn(async move { run(&mut one, "insert into t values (1)").await });
    in_time("the first insert", arrivals.recv()).await;
    let queued = || server.coordinator().counts().queued.load(std::sync::atomic::Ordering::Relaxed);
    let statements = two.parse("insert into t values (2)").unwrap();
    {
        let mut cancelled = std::pin::pin!(two.execute(&statements[0], &[]));
        while queued() == 0 {
            assert!(futures::poll!(&mut cancelled).is_pending());
            tokio::task::yield_now().await;
        }
    }
    two.fail();
    // The task has heard of the cancellation once the queue is empty again.
    while queued() != 0 {
        tokio::task::yield_now().await;
    }
    drop(permit);
    assert_eq!(first.await.unwrap(), ["INSERT 0 1"]);
    assert_eq!(run(&mut two, "select * from t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_set_shown_and_rolled_back() {
    let server = server();
    let mut session = session(&server);
    assert_eq!(run(&mut session, "set statement_timeout = '5s'").await, ["SET"]);
    assert_eq!(session.statement_timeout(), Some(Duration::from_secs(5)));
    run(&mut session, "begin").await;
    run(&mut session, "set statement_timeout = 100").await;
    assert_eq!(run(&mut session, "show statement_timeout").await, ["100ms"]);
    run(&mut session, "rollback").await;
    assert_eq!(run(&mut session, "show statement_timeout").await, ["5s"]);
    assert_eq!(sqlstate(&mut session, "set nonsense = 1").await, "42704");
    assert_eq!(run(&mut session, "discard all").await, ["DISCARD ALL"]);
    assert_eq!(session.statement_timeout(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_relations_are_read_like_tables() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int)").await;
    run(&mut session, "create materialized view v as select a, count(*) from t group by a").await;
    run(&mut session, "insert into t values (1), (2), (2)").await;
    let frontiers = "select relation, kind, lag, since <= upper, state_rows, state_bytes > 0 from \
                     millrace.frontiers where upper > 0 order by relation";
    // The view has taken in the insert once it has been read.
    assert_eq!(run(&mut session, "select count(*) from v").await, ["2"]);
    let expected = ["t|table|0|true|2|true", "v|materialized view|0|true|4|true"];
    assert_eq!(run(&mut session, frontiers).await, expected);
    let joined = "select h.relation, hydrated, rows, rows_all from millrace.hydration h \
                  join millrace.frontiers as f using (relation) where kind like '%view' order by 1";
    assert_eq!(run(&mut session, joined).await, ["v|true|0|0"]);
    assert_eq!(run(&mut session, "copy (table millrace.view_errors) to stdout").await, [""; 0]);
    assert_eq!(
        run(&mut session, "explain select * from millrace.hydration").await,
        ["Scan millrace.hydration"]
    );
    for (text, state) in [
        ("select * from millrace.nothing", "42P01"),
        ("select * from frontiers", "42P01"),
        ("create materialized view w as select * from millrace.frontiers", "0A000"),
        ("insert into millrace.frontiers values (1)", "42501"),
        ("drop table millrace.frontiers", "42501"),
        ("subscribe millrace.frontiers", "42501"),
    ] {
        assert_eq!(sqlstate(&mut session, text).await, state, "{text}");
    }
    // They count neither as read nor as written.
    run(&mut session, "create table kept (relation text, n bigint)").await;
    for text in [
        "begin",
        "insert into kept select relation, state_rows from millrace.frontiers where relation = 't'",
        "create table later (a int)",
        "select count(*) from millrace.hydration",
        "select count(*) from millrace.view_errors",
        "commit",
    ] {
        run(&mut session, text).await;
    }
    assert_eq!(run(&mut session, "select * from kept").await, ["t|2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_in_error_are_listed_and_a_view_may_be_read_without_them() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int, b int)").await;
    let query = "as select a / b as q from t";
    run(&mut session, &format!("create materialized view strict with (on_error = fail) {query}")).await;
    run(&mut session, &format!("create materialized view lenient with (on_error = 'skip') {query}")).await;
    run(&mut session, "create materialized view over as select q + 1 as r from lenient").await;
    let mut followed = Followed::start(&mut session, "subscribe lenient").await;
    run(&mut session, "insert into t values (6, 2), (1, 0), (2, 0)").await;
    assert_eq!(sqlstate(&mut session, "select * from strict").await, "22012");
    assert_eq!(run(&mut session, "select * from lenient").await, ["3"]);
    assert_eq!(run(&mut session, "select * from over").await, ["4"]);
    assert_eq!(followed.next().await, "1|3");
    let listed = "select relation, sqlstate, message, count, operator is null from millrace.view_errors \
                  order by relation";
    let expected = ["lenient|22012|division by zero|2|false", "strict|22012|division by zero|2|false"];
    assert_eq!(run(&mut session, listed).await, expected);
    run(&mut session, "delete from t where b = 0").await;
    assert_eq!(run(&mut session, listed).await, [""; 0]);
    assert_eq!(run(&mut session, "select * from strict").await, ["3"]);
    for text in
        ["(on_error = 'ignore')", "(on_errors = 'skip')", "(memory_limit = 'much')", "(memory_limit = 0)"]
    {
        let text = format!("create materialized view w with {text} {query}");
        assert_eq!(sqlstate(&mut session, &text).await, "22023", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_beyond_its_limit_fails_for_good_and_alone() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "create table t (a int)").await;
    run(&mut session, "create materialized view sums as select sum(a) from t").await;
    run(&mut session, "insert into t values (1), (2), (3), (4)").await;
    for _ in 0..2 {
        run(&mut session, "insert into t select l.a + 5 * r.a from t l, t r").await;
    }
    // 74 million triples.
    assert_eq!(run(&mut session, "select count(*) from t").await, ["420"]);
    let view = "create materialized view pairs with (memory_limit = '4MB') as select l.a, m.a as b, r.a as c from t l, t m, t r";
    run(&mut session, view).await;
    let mut followed = Followed::start(&mut session, "subscribe pairs").await;
    let error = try_run(&mut session, "select * from pairs").await.unwrap_err();
    assert_eq!(
        (error.sqlstate.as_str(), error.message.as_str()),
        ("53200", "view \"pairs\" exceeded its memory limit")
    );
    assert_eq!(followed.try_next().await.unwrap_err().sqlstate, "53200");
    run(&mut session, "create materialized view over as select count(*) from pairs").await;
    assert_eq!(sqlstate(&mut session, "select * from over").await, "53200");
    run(&mut session, "insert into t values (0)").await;
    assert_eq!(run(&mut session, "select count(*) from sums").await, ["1"]);
    let listed = "select relation, sqlstate, count, operator from millrace.view_errors order by relation";
    assert_eq!(run(&mut session, listed).await, ["over|53200|1|null", "pairs|53200|1|null"]);
    let frontiers =
        "select relation, upper, lag, state_bytes from millrace.frontiers where upper is null order by 1";
    assert_eq!(run(&mut session, frontiers).await, ["over|null|null|0", "pairs|null|null|0"]);
    let hydrated = "select relation from millrace.hydration where not hydrated order by 1";
    assert_eq!(run(&mut session, hydrated).await, ["over", "pairs"]);
    run(&mut session, "drop materialized view pairs cascade").await;
    assert_eq!(run(&mut session, "select count(*) from millrace.hydration").await, ["2"]);
    assert_eq!(sqlstate(&mut session, "select * from pairs").await, "42P01");
    run(&mut session, "insert into t values (1)").await;
    assert_eq!(run(&mut session, "select count(*) from sums").await, ["1"]);
}
