//! The life of relations: reads that wait, drops while others go on, errors that come and go,
//! streams that keep nothing, memory that is given back.

use std::sync::Arc;

use millrace_engine::{
    Aggregate, AggregateFunction, DataType, Engine, EngineConfig, EngineError, Expr, Literal, Plan, PlanRef,
    RelationId, SubscriptionEvent, TableSpec,
};

use crate::compiler::TestCompiler;
use crate::harness::{Bag, Harness, Row};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];

fn pair(a: i32, b: i32) -> Row {
    vec![Literal::Int32(a), Literal::Int32(b)]
}

fn table() -> Plan {
    Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() }
}

fn sums() -> Plan {
    let sum = Aggregate::plain(AggregateFunction::Sum, Some(Expr::Column(1)), DataType::Int64);
    Plan::Reduce { input: PlanRef::new(table()), keys: vec![Expr::Column(0)], aggregates: vec![sum] }
}

fn quotient() -> Plan {
    let divide = Expr::Call {
        function: "divide".to_owned(),
        version: 1,
        arguments: vec![Expr::Column(0), Expr::Column(1)],
        data_type: DataType::Int32,
    };
    Plan::Project { input: PlanRef::new(table()), predicates: Vec::new(), outputs: vec![divide] }
}

fn bag(rows: &[(&str, i64)]) -> Bag {
    rows.iter().map(|(row, count)| ((*row).to_owned(), *count)).collect()
}

#[test]
fn an_error_holds_until_its_row_is_gone_and_hurts_no_other_view() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &quotient(), 10);
    harness.view(3, &sums(), 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(6, 2), 1), (pair(1, 0), 1)])]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 0), -1)])]);
    harness.commit(40, &[]);
    let error = harness.read(2, 20).unwrap_err();
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("22012", "division by zero"));
    assert_eq!(harness.read(2, 30), Ok(bag(&[("3", 1)])));
    assert_eq!(harness.read(3, 20), Ok(bag(&[("1|0", 1), ("6|2", 1)])));
}

#[test]
fn a_dropped_view_leaves_the_others_and_answers_its_readers() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &sums(), 10);
    harness.view(3, &sums(), 10);
    let events = harness.subscribe(2, 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(1, 5), 1)])]);
    harness.wait(2, 21);
    harness.engine.drop_relations(&[RelationId(2)]);
    let gone = harness.snapshots(2, 20);
    assert!(gone.iter().all(|answer| matches!(answer, Err(EngineError::NoRelation(RelationId(2))))));
    assert!(events.iter().any(|event| matches!(event, SubscriptionEvent::Dropped)));
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 6), 1)])]);
    assert_eq!(harness.read(3, 30), Ok(bag(&[("1|11", 1)])));
    assert_eq!(harness.engine.state_size(RelationId(2)).updates, 0);
}

#[test]
fn a_view_is_readable_from_its_as_of_on_only() {
    let _alone = alone();
    let harness = Harness::start(1);
    harness.table(1, &PAIR, 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(1, 5), 1)])]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 6), 1)])]);
    harness.view(2, &sums(), 30);
    harness.commit(40, &[]);
    assert_eq!(harness.read(2, 30), Ok(bag(&[("1|11", 1)])));
    let early = harness.snapshots(2, 20);
    assert!(matches!(early[0], Err(EngineError::Compacted { tick: 20, since: 29 })));
}

#[test]
fn a_stream_passes_rows_on_and_keeps_none() {
    let _alone = alone();
    let harness = Harness::start(2);
    let spec = TableSpec { name: "stream".to_owned(), columns: PAIR.to_vec(), keep_rows: false };
    harness.engine.create_table(RelationId(1), spec, 10);
    harness.view(2, &sums(), 10);
    let events = harness.subscribe(1, 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(1, 5), 1), (pair(2, 7), 1)])]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 6), 1)])]);
    assert_eq!(harness.read(2, 30), Ok(bag(&[("1|11", 1), ("2|7", 1)])));
    harness.view(3, &sums(), 30);
    harness.commit(40, &[(1, &PAIR, vec![(pair(1, 1), 1)])]);
    assert_eq!(harness.read(3, 40), Ok(bag(&[("1|1", 1)])));
    assert_eq!(harness.engine.state_size(RelationId(1)).updates, 0);
    let mut rows = 0;
    let mut uppers = [0, 0];
    while uppers != [41, 41] {
        if let SubscriptionEvent::Changes { worker, changes, upper, .. } = events.recv().unwrap() {
            rows += changes.iter().map(|delta| delta.len()).sum::<usize>();
            uppers[worker] = upper;
        }
    }
    assert_eq!(rows, 4);
}

/// What a stream passed on is kept back to its since, for those who start at a tick that is held.
#[test]
fn a_late_subscriber_of_a_stream_misses_nothing_after_its_as_of() {
    let _alone = alone();
    let harness = Harness::start(2);
    let spec = TableSpec { name: "stream".to_owned(), columns: PAIR.to_vec(), keep_rows: false };
    harness.engine.create_table(RelationId(1), spec, 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(1, 5), 1)])]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(2, 7), 1), (pair(3, 8), 1)])]);
    harness.wait(1, 31);
    let ticks_seen = |as_of| {
        let events = harness.subscribe(1, as_of);
        let (mut ticks, mut uppers) = (Vec::new(), [0, 0]);
        while uppers.contains(&0) {
            match events.recv().unwrap() {
                SubscriptionEvent::Snapshot { snapshot, .. } => assert_eq!(snapshot.rows().count(), 0),
                SubscriptionEvent::Changes { worker, changes, upper, .. } => {
                    changes.iter().for_each(|delta| ticks.extend(delta.ticks.iter()));
                    uppers[worker] = upper;
                }
                SubscriptionEvent::Dropped | SubscriptionEvent::Failed(_) => panic!("the stream is there"),
            }
        }
        ticks.sort_unstable();
        ticks
    };
    assert_eq!(ticks_seen(10), [20, 30, 30]);
    assert_eq!(ticks_seen(20), [30, 30]);
    harness.engine.compact(&[(RelationId(1), 20)]);
    assert_eq!(ticks_seen(20), [30, 30]);
    harness.engine.compact(&[(RelationId(1), 30)]);
    assert_eq!(ticks_seen(30), [0; 0]);
}

#[test]
fn deleted_rows_give_their_memory_back_without_new_writes() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &sums(), 10);
    let rows = |range: std::ops::Range<i32>, diff| range.map(|a| (pair(a, 1), diff)).collect::<Vec<_>>();
    harness.commit(20, &[(1, &PAIR, rows(0..200_000, 1))]);
    harness.wait(2, 21);
    let full = harness.engine.state_size(RelationId(1)).bytes;
    harness.commit(30, &[(1, &PAIR, rows(0..180_000, -1))]);
    harness.wait(2, 31);
    harness.engine.compact(&[(RelationId(1), 30), (RelationId(2), 30)]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let small = |id: u64, full: usize| harness.engine.state_size(RelationId(id)).bytes * 100 < full * 15;
    while !small(1, full) {
        assert!(
            std::time::Instant::now() < deadline,
            "{:?} of {full}",
            harness.engine.state_size(RelationId(1))
        );
        std::thread::yield_now();
    }
    assert_eq!(harness.read(2, 30).unwrap().len(), 20_000);
}

#[test]
fn an_idle_relation_s_trace_does_not_grow_with_the_ticks() {
    let _alone = alone();
    let harness = Harness::start(1);
    harness.table(1, &PAIR, 10);
    harness.view(2, &sums(), 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(1, 5), 1)])]);
    for tick in 0..20_000 {
        harness.commit(30 + tick, &[]);
    }
    assert_eq!(harness.read(2, 20_029), Ok(bag(&[("1|5", 1)])));
    let size = harness.engine.state_size(RelationId(2));
    assert!(size.updates <= 2 && size.bytes < 4096, "{size:?}");
}

/// Whoever forgets to shut down still gets away: the workers stop with the last handle.
#[test]
fn dropping_the_last_handle_stops_idle_workers() {
    let (ended, ends) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..20 {
            let progress = Arc::new(|_: RelationId, _: u64| {});
            let engine = Engine::start(
                EngineConfig { workers: 2, view_bytes_max: None },
                Arc::new(TestCompiler),
                progress,
            )
            .unwrap();
            drop(engine);
        }
        ended.send(()).unwrap();
    });
    ends.recv_timeout(std::time::Duration::from_secs(60)).expect("a drop waits for parked workers");
}
