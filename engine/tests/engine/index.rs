//! Indexes: what is read by key is what a scan would find, at every tick, by far fewer rows; and nobody
//! who drops an index or a view takes an arrangement from another.

use std::ops::Range;

use millrace_engine::{DataType, EngineError, Expr, JoinKey, Literal, Plan, PlanRef, RelationId};

use crate::harness::{Bag, Harness, Row};
use crate::oracle::alone;

const TRIPLE: [DataType; 3] = [DataType::Int32, DataType::Text, DataType::Float64];

fn key(values: &[i32]) -> Vec<Row> {
    values.iter().map(|value| vec![Literal::Int32(*value)]).collect()
}

/// A row whose columns follow from a number, NULL in the first column where that is a multiple of 7.
fn row(number: i32) -> Row {
    let first = match number % 7 {
        0 => Literal::Null(DataType::Int32),
        rest => Literal::Int32(rest),
    };
    let float = if number % 2 == 0 { 0.0_f64 } else { -0.0 };
    vec![first, Literal::Text(format!("text {}", number % 3)), Literal::Float64(float.to_bits())]
}

/// Of these rows those that begin with a text.
fn beginning(rows: Bag, start: &str) -> Bag {
    rows.into_iter().filter(|(row, _)| row.starts_with(start)).collect()
}

#[test]
fn reads_by_key_find_what_a_scan_finds_at_every_tick() {
    let _alone = alone();
    for workers in [1, 2] {
        let harness = Harness::start(workers);
        harness.table(1, &TRIPLE, 10);
        harness.commit(20, &[(1, &TRIPLE, (0..50).map(|number| (row(number), 1)).collect())]);
        harness.index(2, 1, &TRIPLE, &[Expr::Column(0)], 20);
        harness.index(3, 1, &TRIPLE, &[Expr::Column(0), Expr::Column(1)], 20);
        harness.index(4, 1, &TRIPLE, &[Expr::Column(2)], 20);
        harness.commit(30, &[(1, &TRIPLE, (0..50).step_by(3).map(|number| (row(number), -1)).collect())]);
        harness.commit(40, &[(1, &TRIPLE, vec![(row(1), 3), (row(9), 1)])]);
        harness.wait(2, 41);
        for tick in [20, 30, 40] {
            let all = || harness.read(1, tick).unwrap();
            assert_eq!(harness.find(2, tick, &key(&[1])), Ok(beginning(all(), "1|")));
            // A key that is asked for twice gives its rows once.
            let mut both = beginning(all(), "1|");
            both.extend(beginning(all(), "2|"));
            assert_eq!(harness.find(2, tick, &key(&[2, 1, 2])), Ok(both));
            assert_eq!(harness.find(2, tick, &key(&[99])), Ok(Bag::new()));
            let pair = vec![Literal::Int32(1), Literal::Text("text 1".to_owned())];
            assert_eq!(harness.find(3, tick, &[pair]), Ok(beginning(all(), "1|'text 1'")));
            let zero = vec![Literal::Float64((-0.0_f64).to_bits())];
            assert_eq!(harness.find(4, tick, &[zero]), Ok(all()), "0.0 is -0.0");
        }
    }
}

#[test]
fn a_read_by_key_of_a_million_rows_visits_some_tens() {
    let _alone = alone();
    const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.index(2, 1, &PAIR, &[Expr::Column(0)], 10);
    let pair = |key: i32, value: i32| vec![Literal::Int32(key), Literal::Int32(value)];
    for (tick, rows) in [(20, 0..900_000), (30, 900_000..1_000_000)] {
        harness.commit(tick, &[(1, &PAIR, rows.map(|number| (pair(number / 10, number), 1)).collect())]);
        harness.wait(2, tick + 1);
    }
    let before = harness.engine.rows_read();
    assert_eq!(harness.find(2, 30, &key(&[77_777])).unwrap().len(), 10);
    let by_key = harness.engine.rows_read() - before;
    assert_eq!(harness.read(1, 30).unwrap().len(), 1_000_000);
    let by_scan = harness.engine.rows_read() - before - by_key;
    println!("ten rows of a million: {by_key} visited by key, {by_scan} by a scan");
    assert!((10..50).contains(&by_key) && by_scan >= 1_000_000, "{by_key} by key, {by_scan} by a scan");
}

/// One of the rows that agree in the first column.
fn alike(number: i32) -> Row {
    vec![Literal::Int32(1), Literal::Text(number.to_string()), Literal::Float64(0)]
}

/// A table joined with itself by its first column: one input that can be shared.
fn self_join() -> Plan {
    let table = || PlanRef::new(Plan::Get { relation: RelationId(1), columns: TRIPLE.to_vec() });
    let keys = vec![JoinKey { left: Expr::Column(0), right: Expr::Column(0), nulls_equal: false }];
    let join = Plan::Join { left: table(), right: table(), keys };
    Plan::Project { input: PlanRef::new(join), predicates: Vec::new(), outputs: vec![Expr::Column(0)] }
}

/// The updates that each of these relations holds.
fn held<const N: usize>(harness: &Harness, ids: [u64; N]) -> [usize; N] {
    ids.map(|id| harness.engine.state_size(RelationId(id)).updates)
}

#[test]
fn an_index_and_the_joins_of_views_are_one_arrangement_that_each_may_drop() {
    let _alone = alone();
    for index_first in [true, false] {
        let harness = Harness::start(2);
        let rows =
            |numbers: Range<i32>, diff| numbers.map(|number| (alike(number), diff)).collect::<Vec<_>>();
        harness.table(1, &TRIPLE, 10);
        harness.commit(20, &[(1, &TRIPLE, rows(0..60, 1))]);
        let index = || harness.index(2, 1, &TRIPLE, &[Expr::Column(0)], 20);
        let view = |id| harness.view(id, &self_join(), 20);
        if index_first {
            index();
            harness.commit(30, &[]);
            harness.wait(2, 31);
            let before = held(&harness, [1, 2]);
            view(3);
            harness.commit(31, &[]);
            harness.wait(3, 32);
            assert_eq!(held(&harness, [1, 2]), before, "the view arranges nothing anew");
        } else {
            view(3);
            index();
        }
        view(4);
        harness.commit(40, &[(1, &TRIPLE, rows(60..61, 1))]);
        [2, 3, 4].iter().for_each(|id| harness.wait(*id, 41));
        // The view's own state is its one row. The arrangement counts as the index's.
        assert_eq!(held(&harness, [3, 4]).iter().max(), Some(&2));
        let [table, of_index] = held(&harness, [1, 2]);
        assert_eq!([table, of_index], [61, 61]);
        let squares = || Bag::from([("1".to_owned(), 61 * 61)]);
        assert_eq!(harness.read(3, 40).unwrap(), squares());

        harness.engine.drop_relations(&[RelationId(3)]);
        assert_eq!(harness.find(2, 40, &key(&[1])).unwrap().values().sum::<i64>(), 61);
        harness.engine.drop_relations(&[RelationId(2)]);
        assert!(
            harness.snapshots(2, 40).iter().all(|answer| matches!(answer, Err(EngineError::NoRelation(_))))
        );
        // The view that is left goes on, and its arrangement counts as the table's again.
        harness.commit(50, &[(1, &TRIPLE, rows(0..1, -1))]);
        harness.wait(4, 51);
        assert_eq!(harness.read(4, 50).unwrap(), Bag::from([("1".to_owned(), 60 * 60)]));
        assert!(held(&harness, [1])[0] >= 2 * 60);
        harness.engine.drop_relations(&[RelationId(4)]);
        harness.commit(60, &[]);
        harness.wait(1, 61);
        assert!(held(&harness, [1])[0] <= 62, "with its last user the arrangement is gone");
    }
}

#[test]
fn an_index_goes_with_its_relation_and_waits_for_its_rows() {
    let _alone = alone();
    let harness = Harness::start(2);
    harness.table(1, &TRIPLE, 10);
    harness.index(2, 1, &TRIPLE, &[Expr::Column(0)], 10);
    let refused =
        |answer: &Result<_, EngineError>| matches!(answer, Err(EngineError::NotHydrated(RelationId(2))));
    assert!(harness.snapshots(2, 10).iter().all(refused), "nothing is complete at its first tick yet");
    harness.commit(20, &[(1, &TRIPLE, vec![(row(1), 1)])]);
    harness.wait(2, 21);
    harness.engine.compact(&[(RelationId(1), 20), (RelationId(2), 20)]);
    assert!(matches!(harness.snapshots(2, 10)[0], Err(EngineError::Compacted { tick: 10, since: 20 })));
    assert_eq!(harness.find(2, 20, &key(&[1])).unwrap().len(), 1);
    harness.engine.drop_relations(&[RelationId(2), RelationId(1)]);
    assert!(harness.snapshots(2, 20).iter().all(|answer| matches!(answer, Err(EngineError::NoRelation(_)))));
    assert_eq!(held(&harness, [1, 2]), [0, 0]);
}

#[test]
fn an_index_lacks_rows_while_a_key_fails_and_then_says_so() {
    let _alone = alone();
    const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];
    let divide = Expr::Call {
        function: "divide".to_owned(),
        version: 1,
        arguments: vec![Expr::Column(0), Expr::Column(1)],
        data_type: DataType::Int32,
    };
    let harness = Harness::start(2);
    let pair = |a: i32, b: i32| vec![Literal::Int32(a), Literal::Int32(b)];
    harness.table(1, &PAIR, 10);
    harness.index(2, 1, &PAIR, &[divide], 10);
    harness.commit(20, &[(1, &PAIR, vec![(pair(6, 2), 1), (pair(1, 0), 1)])]);
    harness.commit(30, &[(1, &PAIR, vec![(pair(1, 0), -1)])]);
    harness.wait(2, 31);
    let complete = |tick| harness.snapshots(2, tick).into_iter().all(|share| share.unwrap().is_complete());
    assert_eq!([complete(20), complete(30)], [false, true]);
    assert_eq!(harness.find(2, 30, &key(&[3])), Ok(Bag::from([("6|2".to_owned(), 1)])));
    // Nothing is the matter with the relation itself.
    assert_eq!(harness.read(1, 20).unwrap().len(), 2);
}
