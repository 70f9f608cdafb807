//! What keeps one relation's trouble from the others: errors that readers skip, rows that a table
//! lacks, views that hold too much, and views that go in the middle of their hydration.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millrace_engine::{
    Aggregate, AggregateFunction, DataError, DataType, EngineError, Expr, JoinKey, Plan, PlanRef, RelationId,
    RelationReport, Snapshot, SubscriptionEvent, ViewSpec,
};

use crate::harness::{Bag, Harness, Row};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];
const PATIENCE: Duration = Duration::from_secs(60);

fn pair(a: i32, b: i32) -> Row {
    vec![millrace_engine::Literal::Int32(a), millrace_engine::Literal::Int32(b)]
}

fn get(relation: u64) -> Plan {
    Plan::Get { relation: RelationId(relation), columns: PAIR.to_vec() }
}

fn pairs(range: std::ops::Range<i32>, diff: i64) -> Vec<(Row, i64)> {
    range.map(|a| (pair(a, a), diff)).collect()
}

fn quotient(of: u64) -> Plan {
    let divide = Expr::Call {
        function: "divide".to_owned(),
        version: 1,
        arguments: vec![Expr::Column(0), Expr::Column(1)],
        data_type: DataType::Int32,
    };
    Plan::Project { input: PlanRef::new(get(of)), predicates: Vec::new(), outputs: vec![divide] }
}

/// All pairs of a relation's rows.
fn cross(of: u64) -> Plan {
    Plan::Join { left: PlanRef::new(get(of)), right: PlanRef::new(get(of)), keys: Vec::new() }
}

/// How many pairs there are: takes as long as to find them, and keeps little.
fn pairs_counted(of: u64) -> Plan {
    let count = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
    Plan::Reduce { input: PlanRef::new(cross(of)), keys: Vec::new(), aggregates: vec![count] }
}

/// A relation's rows with those of another that have the same first column.
fn by_first(left: u64, right: u64) -> Plan {
    let key = JoinKey { left: Expr::Column(0), right: Expr::Column(0), nulls_equal: false };
    Plan::Join { left: PlanRef::new(get(left)), right: PlanRef::new(get(right)), keys: vec![key] }
}

fn bag(rows: &[(&str, i64)]) -> Bag {
    rows.iter().map(|(row, count)| ((*row).to_owned(), *count)).collect()
}

fn reports(harness: &Harness) -> Vec<RelationReport> {
    let (reply, replies) = mpsc::channel();
    let reply = Mutex::new(reply);
    harness.engine.inspect(Arc::new(move |report| drop(reply.lock().unwrap().send(report))));
    let wait = || replies.recv_timeout(PATIENCE).expect("every worker answers");
    RelationReport::merge((0..harness.engine.workers()).map(|_| wait()))
}

fn report(harness: &Harness, id: u64) -> Option<RelationReport> {
    reports(harness).into_iter().find(|report| report.relation == RelationId(id))
}

/// The bytes of everything that the engine holds.
fn bytes(harness: &Harness) -> usize {
    reports(harness).iter().map(|report| report.state.bytes).sum()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn errors(harness: &Harness, id: u64, tick: u64) -> Vec<(DataError, i64)> {
    let snapshots: Vec<Snapshot> = harness.snapshots(id, tick).into_iter().map(Result::unwrap).collect();
    snapshots.iter().flat_map(Snapshot::errors).map(|(_, error, count)| (error, count)).collect()
}

#[test]
fn a_view_that_skips_errors_is_read_without_them_and_views_over_it_inherit_none() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view_with(2, &quotient(1), ViewSpec { skip_errors: true, ..ViewSpec::default() }, 10);
    let over = |of| {
        let columns = vec![DataType::Int32];
        let input = PlanRef::new(Plan::Get { relation: RelationId(of), columns });
        Plan::Project { input, predicates: Vec::new(), outputs: vec![Expr::Column(0)] }
    };
    harness.view(3, &over(2), 10);
    let events = harness.subscribe(2, 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(6, 2), 1), (pair(1, 0), 1), (pair(2, 0), 1)])]);
    harness.view(4, &over(2), 20);
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 0), -1)])]);
    for view in [2, 3, 4] {
        assert_eq!(harness.read(view, 30), Ok(bag(&[("3", 1)])), "view {view}");
    }
    let zero = DataError::division_by_zero();
    assert_eq!(
        (errors(&harness, 2, 20), errors(&harness, 2, 30)),
        (vec![(zero.clone(), 2)], vec![(zero, 1)])
    );
    assert_eq!(errors(&harness, 3, 30), []);
    let mut uppers = [0, 0];
    while uppers != [31, 31] {
        if let SubscriptionEvent::Changes { worker, errors, upper, .. } =
            events.recv_timeout(PATIENCE).unwrap()
        {
            assert_eq!(errors, []);
            uppers[worker] = upper;
        }
    }
}

#[test]
fn a_row_that_a_table_lacks_is_an_error_with_its_name_until_it_is_there() {
    let _alone = alone();
    for workers in [1, 2] {
        let harness = Harness::start(workers);
        harness.table(1, &PAIR, 10);
        harness.view(2, &by_first(1, 1), 10);
        let events = harness.subscribe(1, 10);
        harness.commit(20, &[(1, &PAIR, pairs(0..5, 1))]);
        harness.commit(30, &[(1, &PAIR, vec![(pair(3, 3), -2), (pair(4, 4), -1)])]);
        harness.commit(40, &[(1, &PAIR, vec![(pair(3, 3), -1)])]);
        harness.commit(50, &[(1, &PAIR, vec![(pair(3, 3), 2)])]);
        harness.commit(60, &[]);
        let negative = DataError::new("XX000", "relation \"t1\" has a negative multiplicity");
        for relation in [1, 2] {
            assert_eq!(harness.read(relation, 20).unwrap().len(), 5);
            for tick in [30, 40] {
                assert_eq!(harness.read(relation, tick), Err(negative.clone()), "{relation} at {tick}");
            }
            assert_eq!(harness.read(relation, 60).unwrap().len(), 3);
        }
        let (mut told, mut done) = (Vec::new(), 0);
        while done < workers {
            if let SubscriptionEvent::Changes { errors, upper, .. } = events.recv_timeout(PATIENCE).unwrap() {
                told.extend(errors);
                done += usize::from(upper == 61);
            }
        }
        assert_eq!(told, [(30, negative.clone(), 1), (50, negative, -1)]);
    }
}

#[test]
fn an_exploding_view_is_stopped_with_those_that_read_it_and_harms_nobody() {
    let _alone = alone();
    let harness = Harness::limited(2, Some(32 << 20));
    harness.table(1, &PAIR, 10);
    harness.view(2, &by_first(1, 1), 10);
    harness.commit(20, &[(1, &PAIR, pairs(0..20_000, 1))]);
    harness.wait(2, 21);
    let before = bytes(&harness);
    // 400 million pairs of rows.
    harness.view(3, &cross(1), 20);
    let four = PAIR.repeat(2);
    harness.view(4, &Plan::Get { relation: RelationId(3), columns: four }, 20);
    let events = harness.subscribe(3, 20);
    let failed = DataError::memory_limit("v3");
    assert_eq!(failed.sqlstate, "53200");
    let is_failed = |answer: &Result<Snapshot, EngineError>| matches!(answer, Err(EngineError::Failed(error)) if *error == failed);
    harness.commit(30, &[(1, &PAIR, vec![(pair(-1, -1), 1)])]);
    assert_eq!(harness.read(2, 30).unwrap().len(), 20_001, "the others stay fresh");
    for view in [3, 4] {
        assert!(harness.snapshots(view, 30).iter().all(is_failed), "view {view}");
        assert_eq!(report(&harness, view).unwrap().failure, Some(failed.clone()));
    }
    assert!(events.iter().any(|event| matches!(event, SubscriptionEvent::Failed(error) if error == failed)));
    until("the memory is given back", || bytes(&harness) < before + (1 << 20));
    // What is created over it fails, too; the same is so on every worker, or this would hang.
    harness.view(5, &cross(4), 30);
    harness.commit(40, &[(1, &PAIR, vec![(pair(-2, -2), 1)])]);
    assert!(harness.snapshots(5, 40).iter().all(is_failed));
    harness.engine.drop_relations(&[RelationId(5), RelationId(4), RelationId(3)]);
    assert!(harness.snapshots(3, 40).iter().all(|answer| matches!(answer, Err(EngineError::NoRelation(_)))));
    until("the dataflows are gone", || harness.engine.leaving() == 0);
    harness.view(6, &by_first(1, 1), 40);
    harness.commit(50, &[]);
    assert_eq!(harness.read(6, 50).unwrap().len(), 20_002);
    assert_eq!(harness.read(2, 50).unwrap().len(), 20_002);
}

#[test]
fn a_view_keeps_to_a_limit_of_its_own() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view_with(2, &get(1), ViewSpec { bytes_max: Some(1 << 20), ..ViewSpec::default() }, 10);
    harness.view(3, &get(1), 10);
    let mut tick = 10;
    // It grows a little at a time: nothing of it waits for long, all of it is in traces.
    until("the view is stopped", || {
        tick += 10;
        harness.commit(tick, &[(1, &PAIR, pairs(tick as i32 * 1_000..tick as i32 * 1_000 + 2_000, 1))]);
        harness.snapshots(2, tick).iter().any(Result::is_err)
    });
    assert_eq!(harness.read(3, tick).unwrap().len() as u64, (tick - 10) / 10 * 2_000);
}

#[test]
fn a_view_dropped_in_the_middle_of_its_hydration_leaves_nothing() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &get(1), 10);
    harness.commit(20, &[(1, &PAIR, pairs(0..300_000, 1))]);
    harness.wait(2, 21);
    harness.engine.compact(&[(RelationId(1), 20), (RelationId(2), 20)]);
    let before = bytes(&harness);
    // 90 thousand million pairs: it cannot be done before it goes.
    harness.view(3, &pairs_counted(1), 20);
    until("the hydration is on its way", || {
        let report = report(&harness, 3).unwrap();
        assert!(!report.is_hydrated);
        report.hydration_rows > 0 && report.hydration_rows_all == 300_000
    });
    harness.engine.drop_relations(&[RelationId(3)]);
    until("the memory is given back", || bytes(&harness) <= before && harness.engine.leaving() == 0);
    harness.commit(30, &[(1, &PAIR, vec![(pair(-1, -1), 1)])]);
    assert_eq!(harness.read(2, 30).unwrap().len(), 300_001);
    assert!(report(&harness, 3).is_none());
}

/// The updates that tables and views hold, all together.
fn updates(harness: &Harness) -> usize {
    reports(harness).iter().map(|report| report.state.updates).sum()
}

#[test]
fn views_that_join_a_table_by_the_same_key_share_one_arrangement() {
    let _alone = alone();
    for workers in [1, 2] {
        let harness = Harness::start(workers);
        harness.table(1, &PAIR, 10);
        harness.table(2, &PAIR, 10);
        harness.commit(20, &[(1, &PAIR, pairs(0..1_000, 1)), (2, &PAIR, pairs(500..2_000, 1))]);
        [1, 2].iter().for_each(|table| harness.wait(*table, 21));
        assert_eq!(updates(&harness), 2_500);
        harness.view(3, &by_first(1, 2), 20);
        harness.commit(30, &[(1, &PAIR, pairs(1_000..1_001, 1))]);
        harness.wait(3, 31);
        // Both tables by their first column, and the view's rows.
        assert_eq!(updates(&harness), 2 * 2_501 + 501);
        // Installed later, in the other order and beside itself: nothing is arranged again.
        harness.view(4, &by_first(2, 1), 30);
        harness.view(5, &by_first(1, 1), 30);
        harness.commit(40, &[(1, &PAIR, vec![(pair(600, 7), 1)]), (2, &PAIR, pairs(700..701, -1))]);
        for (view, rows) in [(3, 501), (4, 501), (5, 1_004)] {
            assert_eq!(harness.read(view, 40).unwrap().values().sum::<i64>(), rows, "view {view}");
        }
        assert_eq!(harness.read(4, 30).unwrap().len(), 501, "it has its as-of");
        // The one that made the arrangements goes; those that use them go on.
        harness.engine.drop_relations(&[RelationId(3)]);
        until("the view is gone", || harness.engine.leaving() == 0);
        harness.commit(50, &[(2, &PAIR, vec![(pair(600, 8), 1)])]);
        assert_eq!(harness.read(4, 50).unwrap().values().sum::<i64>(), 503);
        harness.engine.drop_relations(&[RelationId(4)]);
        harness.commit(60, &[(1, &PAIR, vec![(pair(600, 7), -1)])]);
        assert_eq!(harness.read(5, 60).unwrap().values().sum::<i64>(), 1_001);
        harness.engine.drop_relations(&[RelationId(5)]);
        let since: Vec<_> = [1, 2].map(|id| (RelationId(id), 60)).to_vec();
        harness.engine.compact(&since);
        until("the last user frees the arrangements", || updates(&harness) <= 2_502 + 3);
    }
}

#[test]
fn a_shared_arrangement_brings_each_view_its_errors_once() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &joined_by_quotient(), 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(6, 2), 1), (pair(1, 0), 1)])]);
    harness.view(3, &joined_by_quotient(), 20);
    harness.commit(30, &[(1, &PAIR, vec![(pair(5, 5), -1)])]);
    harness.commit(40, &[(1, &PAIR, vec![(pair(5, 5), 1), (pair(1, 0), -1)])]);
    harness.commit(50, &[]);
    let negative = DataError::new("XX000", "relation \"t1\" has a negative multiplicity");
    for view in [2, 3] {
        assert_eq!(harness.read(view, 20).unwrap_err(), DataError::division_by_zero());
        let mut found = errors(&harness, view, 30);
        found.sort();
        assert_eq!(found, [(DataError::division_by_zero(), 1), (negative.clone(), 1)], "view {view}");
        assert_eq!(errors(&harness, view, 50), []);
        assert_eq!(harness.read(view, 50).unwrap().len(), 1);
    }
}

/// A table with itself by a key that can fail.
fn joined_by_quotient() -> Plan {
    let divide = Expr::Call {
        function: "divide".to_owned(),
        version: 1,
        arguments: vec![Expr::Column(0), Expr::Column(1)],
        data_type: DataType::Int32,
    };
    let key = JoinKey { left: divide.clone(), right: divide, nulls_equal: false };
    Plan::Join { left: PlanRef::new(get(1)), right: PlanRef::new(get(1)), keys: vec![key] }
}

#[test]
fn commits_are_seen_by_other_views_while_one_hydrates() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.table(2, &PAIR, 10);
    harness.view(3, &get(2), 10);
    harness.commit(20, &[(1, &PAIR, pairs(0..300_000, 1))]);
    harness.wait(1, 21);
    // 90 thousand million pairs: it hydrates as long as we let it.
    harness.view(4, &pairs_counted(1), 20);
    for row in 0..5 {
        let tick = 30 + row as u64;
        harness.commit(tick, &[(2, &PAIR, pairs(row..row + 1, 1))]);
        harness.wait(3, tick + 1);
        assert_eq!(harness.read(3, tick).unwrap().len() as i32, row + 1);
        let report = report(&harness, 4).unwrap();
        assert!(!report.is_hydrated && report.upper == 20, "{report:?}");
    }
    harness.engine.drop_relations(&[RelationId(4)]);
    until("the view is gone", || harness.engine.leaving() == 0);
}
