//! Semi and anti joins, repetitions and top-k where random scripts do not come: multiplicities below
//! zero, too many copies, keys with very many rows, rows that come back, shared arrangements.

use millrace_engine::{
    Aggregate, AggregateFunction, DataType, Expr, JoinKey, Literal, OrderKey, Plan, PlanRef, RelationId,
    RowCalls, SetCall,
};

use crate::harness::{Bag, Harness, Row};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int64];

fn pair(a: i32, b: i64) -> Row {
    vec![Literal::Int32(a), Literal::Int64(b)]
}

fn table(id: u64) -> Plan {
    Plan::Get { relation: RelationId(id), columns: PAIR.to_vec() }
}

fn first_column() -> Vec<JoinKey> {
    vec![JoinKey { left: Expr::Column(0), right: Expr::Column(0), nulls_equal: false }]
}

fn exists(anti: bool) -> Plan {
    Plan::Exists { left: PlanRef::new(table(1)), right: PlanRef::new(table(2)), keys: first_column(), anti }
}

fn least(fetch: Option<u64>, numbered: bool) -> Plan {
    let order = vec![OrderKey { expr: Expr::Column(1), descending: false, nulls_first: false }];
    let (input, keys) = (PlanRef::new(table(1)), vec![Expr::Column(0)]);
    Plan::TopK { input, keys, order, skip: 0, fetch, numbered }
}

fn bag(rows: &[(&str, i64)]) -> Bag {
    rows.iter().map(|(row, count)| ((*row).to_owned(), *count)).collect()
}

/// Two tables and a view; the changes of each tick to table 1 and table 2.
fn run(plan: &Plan, workers: usize, ticks: &[[Vec<(Row, i64)>; 2]]) -> Harness {
    let harness = Harness::start(workers);
    [1, 2].iter().for_each(|id| harness.table(*id, &PAIR, 10));
    harness.view(3, plan, 10);
    for (index, [left, right]) in ticks.iter().enumerate() {
        let changes = [(1, &PAIR[..], left.clone()), (2, &PAIR[..], right.clone())];
        harness.commit(20 + index as u64, &changes);
    }
    harness.commit(20 + ticks.len() as u64, &[]);
    harness
}

/// The view is in error at 21 only: the table that lacks a row is named while it lasts.
fn check_negative_at_21(harness: &Harness, table: &str, after: &Bag) {
    assert!(harness.read(3, 20).is_ok());
    let error = harness.read(3, 21).unwrap_err();
    let message = format!("relation \"{table}\" has a negative multiplicity");
    assert_eq!((error.sqlstate, error.message), ("XX000".to_owned(), message));
    assert_eq!(harness.read(3, 22).as_ref(), Ok(after));
}

#[test]
fn a_negative_number_of_matches_is_an_error_until_it_is_made_good() {
    let _alone = alone();
    for (anti, after) in [(false, bag(&[])), (true, bag(&[("1|5", 1)]))] {
        let ticks = [
            [vec![(pair(1, 5), 1)], vec![(pair(1, 0), 1)]],
            [vec![], vec![(pair(1, 0), -2)]],
            [vec![], vec![(pair(1, 0), 1)]],
        ];
        check_negative_at_21(&run(&exists(anti), 2, &ticks), "t2", &after);
    }
}

#[test]
fn a_negative_number_of_rows_in_a_window_is_an_error_until_it_is_made_good() {
    let _alone = alone();
    let ticks = [
        [vec![(pair(1, 5), 1), (pair(1, 6), 2)], vec![]],
        [vec![(pair(1, 4), -1)], vec![]],
        [vec![(pair(1, 4), 2)], vec![]],
    ];
    check_negative_at_21(&run(&least(Some(2), false), 2, &ticks), "t1", &bag(&[("1|4", 1), ("1|5", 1)]));
}

#[test]
fn too_many_copies_are_an_error_until_their_row_is_gone() {
    let _alone = alone();
    let plan = Plan::Repeat { input: PlanRef::new(table(1)), count: Expr::Column(1) };
    let ticks = [
        [vec![(pair(1, 3), 2), (pair(2, 0), 1), (pair(3, -4), 1)], vec![]],
        [vec![(pair(4, i64::MAX), 2)], vec![]],
        // One after the other, though they came together.
        [vec![(pair(4, i64::MAX), -1), (pair(4, i64::MAX), -1)], vec![]],
    ];
    let harness = run(&plan, 2, &ticks);
    assert_eq!(harness.read(3, 20), Ok(bag(&[("1|3", 6)])));
    assert_eq!(harness.read(3, 21).unwrap_err().sqlstate, "22003");
    assert_eq!(harness.read(3, 22), Ok(bag(&[("1|3", 6)])));
}

fn called(function: &str) -> Plan {
    let call = SetCall {
        function: function.to_owned(),
        version: 1,
        arguments: vec![Expr::Column(0)],
        columns: vec![DataType::Int32],
    };
    let calls = RowCalls { kept: vec![0], calls: vec![call], numbered: true, outer: false };
    Plan::FlatMap { input: PlanRef::new(table(1)), calls }
}

/// A call that gives more than many activations, beside others, and taken back.
#[test]
fn a_long_call_is_given_in_parts_and_taken_back_whole() {
    let _alone = alone();
    const LONG: i32 = 100_000;
    let count = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
    let keys = vec![Expr::Column(0)];
    let plan = Plan::Reduce { input: called("all_up_to").into(), keys, aggregates: vec![count] };
    let ticks = [
        [vec![(pair(LONG, 0), 2), (pair(2, 0), 1)], vec![]],
        [vec![(pair(LONG, 0), -1), (pair(1, 0), 1)], vec![]],
        [vec![(pair(LONG, 0), -1)], vec![]],
    ];
    let harness = run(&plan, 2, &ticks);
    assert_eq!(harness.read(3, 20), Ok(bag(&[("100000|200000", 1), ("2|2", 1)])));
    assert_eq!(harness.read(3, 21), Ok(bag(&[("100000|100000", 1), ("2|2", 1), ("1|1", 1)])));
    assert_eq!(harness.read(3, 22), Ok(bag(&[("2|2", 1), ("1|1", 1)])));
}

#[test]
fn a_call_that_fails_is_an_error_until_its_row_is_gone() {
    let _alone = alone();
    let ticks = [
        [vec![(pair(2, 0), 1), (pair(3, 0), 2)], vec![]],
        [vec![(pair(3, 0), -1), (pair(1, 0), 1)], vec![]],
        [vec![(pair(3, 0), -1)], vec![]],
    ];
    let harness = run(&called("up_to"), 2, &ticks);
    assert_eq!(harness.read(3, 20).unwrap_err().message, "three");
    assert_eq!(harness.read(3, 21).unwrap_err().message, "three");
    assert_eq!(harness.read(3, 22), Ok(bag(&[("2|1|1", 1), ("2|2|2", 1), ("1|1|1", 1)])));
}

/// A call that is still being given when its view is dropped holds nothing up.
#[test]
fn a_view_dropped_in_the_middle_of_a_call_is_gone() {
    let _alone = alone();
    let harness = run(&called("all_up_to"), 2, &[[vec![(pair(1, 5), 1)], vec![]]]);
    harness.wait(3, 21);
    harness.commit(30, &[(1, &PAIR, vec![(pair(2_000_000_000, 5), 1)])]);
    harness.engine.drop_relations(&[RelationId(3)]);
    harness.commit(40, &[]);
    harness.view(4, &table(2), 40);
    harness.commit(50, &[]);
    assert_eq!(harness.read(4, 50), Ok(bag(&[])));
    assert_eq!(harness.engine.state_size(RelationId(3)).updates, 0);
}

/// More left rows of one key than one activation gives, in both directions.
#[test]
fn a_flip_gives_all_rows_of_its_key() {
    let _alone = alone();
    const ROWS: i64 = 300_000;
    let all: Vec<(Row, i64)> = (0..ROWS).map(|row| (pair(1, row), 1)).collect();
    for (anti, counts) in [(false, [0, ROWS, 0]), (true, [ROWS, 0, ROWS])] {
        let ticks =
            [[all.clone(), vec![]], [vec![], vec![(pair(1, 0), 1)]], [vec![], vec![(pair(1, 0), -1)]]];
        let harness = run(&exists(anti), 2, &ticks);
        for (tick, count) in (20..).zip(counts) {
            assert_eq!(harness.read(3, tick).unwrap().len() as i64, count, "anti {anti} at {tick}");
        }
    }
}

/// A flip that is still being given when its view is dropped holds nothing up.
#[test]
fn a_view_dropped_in_the_middle_of_a_flip_is_gone() {
    let _alone = alone();
    let all: Vec<(Row, i64)> = (0..500_000).map(|row| (pair(1, row), 1)).collect();
    let harness = run(&exists(false), 2, &[[all, vec![]]]);
    harness.wait(3, 21);
    harness.commit(30, &[(2, &PAIR, vec![(pair(1, 0), 1)])]);
    harness.engine.drop_relations(&[RelationId(3)]);
    harness.view(4, &exists(true), 30);
    harness.commit(40, &[]);
    assert_eq!(harness.read(4, 40), Ok(bag(&[])));
    assert_eq!(harness.engine.state_size(RelationId(3)).updates, 0);
}

/// All rows numbered: more of one group than one block holds, and one that pushes all others on.
#[test]
fn a_new_first_row_moves_every_number() {
    let _alone = alone();
    const ROWS: i64 = 50_000;
    let all: Vec<(Row, i64)> = (1..=ROWS).map(|row| (pair(1, row), 1)).collect();
    let ticks = [[all, vec![]], [vec![(pair(1, 0), 1)], vec![]]];
    let harness = run(&least(None, true), 2, &ticks);
    for (tick, moved) in [(20, 0), (21, 1)] {
        let rows = harness.read(3, tick).unwrap();
        let expected = (1 - moved..=ROWS).map(|row| (format!("1|{row}|{}", row + moved), 1));
        assert!(rows.into_iter().eq(expected.collect::<Bag>()), "wrong numbers at {tick}");
    }
}

/// Rows that come back where walks have learnt to leap.
#[test]
fn a_row_that_returns_among_deleted_ones_is_found_again() {
    let _alone = alone();
    let rows = |range: std::ops::Range<i64>, diff| range.map(|row| (pair(1, row), diff)).collect::<Vec<_>>();
    let mut ticks = vec![[rows(0..1_000, 1), vec![]]];
    ticks.extend((0..200).map(|row| [rows(row..row + 1, -1), vec![]]));
    ticks.push([rows(150..151, 1), vec![]]);
    ticks.push([rows(40..41, 1), vec![]]);
    ticks.push([rows(150..151, -1), vec![]]);
    let harness = run(&least(Some(2), false), 1, &ticks);
    let expected = [["1|200", "1|201"], ["1|150", "1|200"], ["1|150", "1|40"], ["1|200", "1|40"]];
    for (tick, expected) in (220..).zip(expected) {
        assert!(harness.read(3, tick).unwrap().into_keys().eq(expected), "at {tick}");
    }
}

/// A self-join by one key keeps one arrangement; by two keys, two.
#[test]
fn equal_inputs_of_joins_are_arranged_once() {
    let _alone = alone();
    let key = |left, right| {
        vec![JoinKey { left: Expr::Column(left), right: Expr::Column(right), nulls_equal: false }]
    };
    let twice = || {
        let outputs = vec![Expr::Column(1), Expr::Column(1)];
        PlanRef::new(Plan::Project { input: PlanRef::new(table(1)), predicates: Vec::new(), outputs })
    };
    let self_join = |keys| Plan::Join { left: twice(), right: twice(), keys };
    let rows: Vec<(Row, i64)> = (0..1_000).map(|row| (pair(row, i64::from(row)), 1)).collect();
    let updates = |plan: &Plan| {
        let harness = run(plan, 2, &[[rows.clone(), vec![]]]);
        assert_eq!(harness.read(3, 20).unwrap().len(), 1_000);
        // The table and the view hold 1,000 updates each; what views may share counts with the table.
        let held = [1, 3].map(|id| harness.engine.state_size(RelationId(id)).updates);
        held.iter().sum::<usize>() - 2_000
    };
    assert_eq!(updates(&self_join(key(0, 0))), 1_000);
    assert_eq!(updates(&self_join(key(0, 1))), 2_000);
}

/// Each step reads the one before twice: as a tree the plan would have 2^1000 leaves.
#[test]
fn a_deep_plan_that_shares_its_inputs_is_maintained() {
    let semi = |input: PlanRef| Plan::Exists {
        left: input.clone(),
        right: input,
        keys: first_column(),
        anti: false,
    };
    let plan = (1..1_000).fold(semi(PlanRef::new(table(1))), |plan, _| semi(plan.into()));
    let harness =
        run(&plan, 2, &[[vec![(pair(1, 2), 1), (pair(3, 4), 2)], vec![]], [vec![(pair(1, 2), -1)], vec![]]]);
    assert_eq!(harness.read(3, 20), Ok(bag(&[("1|2", 1), ("3|4", 2)])));
    assert_eq!(harness.read(3, 21), Ok(bag(&[("3|4", 2)])));
}
