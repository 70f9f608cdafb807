//! The task around the commit path, with real workers and, where it matters, a real log.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc as thread_channel};

use arrow::array::{AsArray, Int32Array};
use arrow::datatypes::Int32Type;
use millrace_engine::{
    DataType, Engine, EngineConfig, Log, LogConfig, OsRandom, Plan, RealDisk, RelationId, Snapshot, Tick,
    batch_of,
};
use millrace_sql::{
    CatalogChange, Column, ExprCompiler, Relation, RelationKind, SchemaId, SqlError, TableRules, ViewOptions,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::record;
use crate::recovery::{Bounds, Recovered, recover};

const LAG_BYTES: usize = 1 << 20;

/// Everything, put together as a start does.
fn bounds() -> Bounds {
    Bounds { through: Tick::MAX, floor: Tick::MAX, lag_bytes: LAG_BYTES, lost: CancellationToken::new() }
}

/// A coordinator with workers below it.
struct Bench {
    coordinator: Arc<Coordinator>,
    holds: Arc<Holds>,
    engine: Engine,
    task: JoinHandle<Result<(), SqlError>>,
    shutdown: CancellationToken,
}

fn engine(workers: usize) -> (Engine, Arc<Progress>) {
    let progress = Arc::new(Progress::default());
    (
        Engine::start(
            EngineConfig { workers, view_bytes_max: None },
            Arc::new(ExprCompiler),
            progress.sink(),
        )
        .unwrap(),
        progress,
    )
}

impl Bench {
    /// Nothing stored yet.
    fn empty(append: AppendGroup) -> Bench {
        let (engine, progress) = engine(2);
        let (catalog, answers) = (Arc::default(), Answers::new(10));
        Bench::start(engine, progress, Recovered { catalog, newest: 0, answers }, append)
    }

    /// On the log of a folder.
    async fn on(folder: &Path) -> Bench {
        let (engine, progress) = engine(2);
        let (mut log, replay) =
            Log::open(folder, Arc::new(RealDisk), LogConfig::default(), Box::new(OsRandom)).unwrap();
        let recovered =
            recover(replay, &engine, &progress, Answers::new(10), bounds()).await.unwrap().unwrap();
        let append: AppendGroup = Box::new(move |group| {
            log.append_group(&[record::encode(group)?])
                .map_err(|error| SqlError::new(error.sqlstate, error.message))
        });
        Bench::start(engine, progress, recovered, append)
    }

    fn start(engine: Engine, progress: Arc<Progress>, recovered: Recovered, append: AppendGroup) -> Bench {
        let Recovered { catalog, newest, answers } = recovered;
        let holds = Arc::new(Holds::new(newest, catalog.clone()));
        let path = CommitPath::new(catalog, newest, LAG_BYTES, answers);
        let shutdown = CancellationToken::new();
        let parts = Parts { path, holds: holds.clone(), progress, engine: engine.clone(), append };
        let (coordinator, task) = Coordinator::start(parts, shutdown.clone()).unwrap();
        Bench { coordinator: Arc::new(coordinator), holds, engine, task, shutdown }
    }

    async fn create(&self, name: &str, kind: RelationKind) -> RelationId {
        let column = Column::new("x".to_owned(), DataType::Int32, true);
        let id = provisional_id(0);
        let relation = Relation {
            id,
            name: name.to_owned(),
            schema: SchemaId::PUBLIC,
            columns: vec![column],
            kind,
            created: 0,
        };
        let catalog = vec![CatalogChange::Create(relation)];
        self.coordinator.commit(Request { catalog, ..Request::default() }).await.unwrap();
        self.holds.catalog().named("public", name).unwrap().id
    }

    async fn create_table(&self) -> RelationId {
        self.create("t", RelationKind::Table { keep_rows: true, rules: TableRules::default() }).await
    }

    /// The rows at the newest tick, in order.
    async fn rows(&self, relation: RelationId) -> Vec<i32> {
        let moment = self.holds.newest();
        self.rows_at(relation, moment.tick).await
    }

    async fn rows_at(&self, relation: RelationId, tick: Tick) -> Vec<i32> {
        let (answers, mut answered) = mpsc::unbounded_channel();
        let reply = Arc::new(move |_, share: Result<Snapshot, _>| drop(answers.send(share)));
        self.engine.read(relation, tick, reply);
        let mut rows = Vec::new();
        while let Some(share) = answered.recv().await {
            for batch in share.unwrap().rows() {
                rows.extend(batch.unwrap().column(0).as_primitive::<Int32Type>().values());
            }
        }
        rows.sort();
        rows
    }

    fn queued(&self) -> u64 {
        self.coordinator.counts().queued.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        self.engine.shutdown();
    }
}

fn insert(relation: RelationId, values: &[i32], diff: i64) -> Request {
    let column = Arc::new(Int32Array::from(values.to_vec()));
    let rows = batch_of(&[DataType::Int32], vec![column], values.len()).unwrap();
    Request {
        writes: vec![Write { relation, rows, diff, keys: Vec::new(), altered: 0 }],
        ..Request::default()
    }
}

fn always() -> AppendGroup {
    Box::new(|_| Ok(()))
}

/// A log that waits for a permit before each group, and tells when it has one.
fn gated() -> (AppendGroup, thread_channel::Sender<Result<(), SqlError>>, mpsc::UnboundedReceiver<usize>) {
    let (permit, permits) = thread_channel::channel();
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let permits = Mutex::new(permits);
    let append = Box::new(move |group: &Group| {
        let _ = arrived.send(group.rows());
        permits.lock().unwrap().recv().unwrap_or(Ok(()))
    });
    (append, permit, arrivals)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_read_at_once() {
    let bench = Bench::empty(always());
    let table = bench.create_table().await;
    let plan = Plan::Get { relation: table, columns: vec![DataType::Int32] }.into();
    let view = bench
        .create(
            "v",
            RelationKind::MaterializedView {
                sql: String::new(),
                plan,
                options: ViewOptions::default(),
                through: Vec::new(),
                known: None,
            },
        )
        .await;
    for value in 0..50 {
        let tick = bench.coordinator.commit(insert(table, &[value, value], 1)).await.unwrap();
        assert_eq!(bench.holds.newest_tick(), tick);
        bench.coordinator.commit(insert(table, &[value], -1)).await.unwrap();
        assert_eq!(bench.rows(table).await, (0..=value).collect::<Vec<_>>());
        assert_eq!(bench.rows(view).await, (0..=value).collect::<Vec<_>>());
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_arrive_during_an_fsync_share_the_next() {
    let (append, permit, mut arrivals) = gated();
    let bench = Bench::empty(append);
    permit.send(Ok(())).unwrap();
    let table = bench.create_table().await;
    arrivals.recv().await;
    let commit = |value| {
        let coordinator = bench.coordinator.clone();
        tokio::spawn(async move { coordinator.commit(insert(table, &[value], 1)).await.unwrap() })
    };
    let first = commit(0);
    assert_eq!(arrivals.recv().await, Some(1));
    let rest: Vec<_> = (1..100).map(commit).collect();
    // All have queued once the queue has taken this many requests.
    while bench.queued() < 99 {
        tokio::task::yield_now().await;
    }
    permit.send(Ok(())).unwrap();
    permit.send(Ok(())).unwrap();
    assert_eq!(arrivals.recv().await, Some(99), "one group of all that waited");
    let first = first.await.unwrap();
    let mut ticks = BTreeSet::new();
    for commit in rest {
        ticks.insert(commit.await.unwrap());
    }
    assert!(ticks.len() == 1 && ticks.iter().all(|tick| *tick > first));
    assert_eq!(bench.rows(table).await, (0..100).collect::<Vec<_>>());
    assert_eq!(bench.coordinator.counts().groups.load(Ordering::Relaxed), 3);
    drop(permit);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_fails_leaves_nothing_and_the_next_goes_on() {
    let (append, permit, _arrivals) = gated();
    let bench = Bench::empty(append);
    permit.send(Ok(())).unwrap();
    let table = bench.create_table().await;
    permit.send(Err(SqlError::new("53100", "could not write to the log"))).unwrap();
    let error = bench.coordinator.commit(insert(table, &[1], 1)).await.unwrap_err();
    assert_eq!(error.sqlstate, "53100");
    permit.send(Ok(())).unwrap();
    bench.coordinator.commit(insert(table, &[2], 1)).await.unwrap();
    assert_eq!(bench.rows(table).await, [2]);
    drop(permit);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_caller_left_before_it_was_logged_is_taken_back() {
    let (append, permit, mut arrivals) = gated();
    let bench = Bench::empty(append);
    permit.send(Ok(())).unwrap();
    let table = bench.create_table().await;
    arrivals.recv().await;
    let spawn = |value| {
        let coordinator = bench.coordinator.clone();
        tokio::spawn(async move { coordinator.commit(insert(table, &[value], 1)).await })
    };
    let first = spawn(1);
    arrivals.recv().await;
    let leaver = spawn(2);
    while bench.queued() < 1 {
        tokio::task::yield_now().await;
    }
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    drop(permit);
    first.await.unwrap().unwrap();
    spawn(3).await.unwrap().unwrap();
    assert_eq!(bench.rows(table).await, [1, 3]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn optimistic_counters_never_lose_an_update() {
    let bench = Bench::empty(always());
    let table = bench.create_table().await;
    bench.coordinator.commit(insert(table, &[0], 1)).await.unwrap();
    let bench = Arc::new(bench);
    let add_one = |bench: Arc<Bench>| async move {
        for attempt in 0.. {
            let alone = if attempt > 3 { Some(bench.coordinator.alone().await.unwrap()) } else { None };
            let moment = bench.holds.newest();
            let value = bench.rows_at(table, moment.tick).await[0];
            let mut request = insert(table, &[value], -1);
            request.writes.extend(insert(table, &[value + 1], 1).writes);
            request.reads =
                Reads { tick: moment.tick, relations: BTreeSet::from([table]), keys: BTreeSet::new() };
            request.alone = alone.as_ref().map(Alone::id);
            match bench.coordinator.commit(request).await {
                Ok(_) => return,
                Err(error) => assert_eq!((error.sqlstate.as_str(), alone.is_none()), ("40001", true)),
            }
        }
    };
    let tasks: Vec<_> = (0..40).map(|_| tokio::spawn(add_one(bench.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(bench.rows(table).await, [40]);
    Arc::into_inner(bench).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_brings_back_catalog_rows_and_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::on(folder.path()).await;
    let table = bench.create_table().await;
    for value in 0..30 {
        bench.coordinator.commit(insert(table, &[value], 1)).await.unwrap();
    }
    let plan = Plan::Get { relation: table, columns: vec![DataType::Int32] }.into();
    bench
        .create(
            "v",
            RelationKind::MaterializedView {
                sql: String::new(),
                plan,
                options: ViewOptions::default(),
                through: Vec::new(),
                known: None,
            },
        )
        .await;
    let dropped =
        bench.create("gone", RelationKind::Table { keep_rows: true, rules: TableRules::default() }).await;
    bench.coordinator.commit(insert(dropped, &[7], 1)).await.unwrap();
    let catalog = vec![CatalogChange::Drop(vec![dropped])];
    bench.coordinator.commit(Request { catalog, ..Request::default() }).await.unwrap();
    let newest = bench.coordinator.commit(insert(table, &[5], -1)).await.unwrap();
    let before: Vec<Relation> = bench.holds.catalog().relations().map(|r| Relation::clone(r)).collect();
    bench.stop().await;

    let bench = Bench::on(folder.path()).await;
    assert_eq!(bench.holds.newest_tick(), newest);
    let after: Vec<Relation> = bench.holds.catalog().relations().map(|r| Relation::clone(r)).collect();
    assert_eq!(after, before);
    let view = bench.holds.catalog().named("public", "v").unwrap().id;
    let expected: Vec<i32> = (0..30).filter(|value| *value != 5).collect();
    assert_eq!(bench.rows(table).await, expected);
    assert_eq!(bench.rows(view).await, expected);
    let next = bench.create("u", RelationKind::Table { keep_rows: true, rules: TableRules::default() }).await;
    assert!(next > dropped, "ids are never given twice");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_shutdown_commits_are_refused() {
    let bench = Bench::empty(always());
    let table = bench.create_table().await;
    let coordinator = bench.coordinator.clone();
    bench.stop().await;
    let error = coordinator.commit(insert(table, &[1], 1)).await.unwrap_err();
    assert_eq!(error.sqlstate, "57P01");
}

fn once(key: u8, content: u8) -> Option<Once> {
    Some(Once { key: [key; 32], content: [content; 32], rows: 1 })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_done_once_is_done_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::on(folder.path()).await;
    let table = bench.create_table().await;
    let request = |content| Request { once: once(1, content), ..insert(table, &[7], 1) };
    let commits: Vec<_> = (0..8)
        .map(|_| {
            let (coordinator, request) = (bench.coordinator.clone(), request(1));
            tokio::spawn(async move { coordinator.commit(request).await.unwrap() })
        })
        .collect();
    let mut ticks = BTreeSet::new();
    for commit in commits {
        ticks.insert(commit.await.unwrap());
    }
    assert_eq!((ticks.len(), bench.rows(table).await), (1, vec![7]));
    let other = bench.coordinator.commit(request(2)).await;
    assert_eq!(other.map_err(|error| error.sqlstate), Err("22023".to_owned()));
    bench.stop().await;

    let bench = Bench::on(folder.path()).await;
    assert_eq!(bench.coordinator.commit(request(1)).await.ok(), ticks.first().copied());
    assert_eq!(bench.rows(table).await, [7]);
    let answer = bench.coordinator.answered(once(1, 1).unwrap()).await.unwrap().unwrap();
    assert_eq!((Some(answer.tick), answer.rows), (ticks.first().copied(), 1));
    assert_eq!(bench.coordinator.answered(once(3, 1).unwrap()).await, Ok(None));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_no_longer_knows_that_nothing_was_done() {
    let (append, permit, mut arrivals) = gated();
    permit.send(Ok(())).unwrap();
    let bench = Bench::empty(append);
    let table = bench.create_table().await;
    arrivals.recv().await;
    let coordinator = bench.coordinator.clone();
    let first = tokio::spawn(async move { coordinator.commit(insert(table, &[1], 1)).await });
    arrivals.recv().await;
    // The log is busy: this one waits in the queue for as long as it wants to, and is refused.
    let patience = Some(std::time::Duration::from_millis(1));
    let impatient = Request { patience, ..insert(table, &[2], 1) };
    let refused = bench.coordinator.commit(impatient).await;
    assert_eq!(refused.map_err(|error| error.sqlstate), Err("53000".to_owned()));
    permit.send(Ok(())).unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(bench.rows(table).await, [1]);
    bench.stop().await;
}
