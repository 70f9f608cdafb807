//! A view is incremental: what one change makes the operators look at does not grow with the state.

use millrace_engine::{
    Aggregate, AggregateFunction, DataType, Expr, JoinKey, Literal, OrderKey, Plan, PlanRef, RelationId,
};

use crate::harness::{Harness, Row};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];

fn pair(a: i32, b: i32) -> Row {
    vec![Literal::Int32(a), Literal::Int32(b)]
}

/// Sums, counts and extremes by key, joined with the table again.
fn plan() -> Plan {
    let table = || PlanRef::new(Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() });
    let aggregate = |function, data_type| Aggregate::plain(function, Some(Expr::Column(1)), data_type);
    let aggregates = vec![
        aggregate(AggregateFunction::Sum, DataType::Int64),
        aggregate(AggregateFunction::Min, DataType::Int32),
        aggregate(AggregateFunction::Max, DataType::Int32),
    ];
    let groups = Plan::Reduce { input: table(), keys: vec![Expr::Column(0)], aggregates };
    Plan::Join {
        left: table(),
        right: PlanRef::new(groups),
        keys: vec![JoinKey { left: Expr::Column(0), right: Expr::Column(0), nulls_equal: false }],
    }
}

/// Rows visited for one inserted row over a state of `rows` rows, ten a key.
fn visited(rows: i32) -> u64 {
    let harness = Harness::start(2);
    harness.table(1, &PAIR, 10);
    harness.view(2, &plan(), 10);
    let keys = rows / 10;
    let all = (0..rows).map(|row| (pair(row % keys, row), 1)).collect();
    harness.commit(20, &[(1, &PAIR, all)]);
    harness.wait(2, 21);
    let before = harness.engine.rows_visited(RelationId(2));
    harness.commit(30, &[(1, &PAIR, vec![(pair(keys / 2, -5), 1)])]);
    harness.wait(2, 31);
    harness.engine.rows_visited(RelationId(2)) - before
}

#[test]
fn one_row_visits_as_much_at_a_thousand_rows_as_at_a_million() {
    let _alone = alone();
    let (small, large) = (visited(1_000), visited(1_000_000));
    println!("rows visited for one row: {small} at 10^3 rows of state, {large} at 10^6");
    assert!(small > 0 && large < 3 * small, "{small} at 10^3 rows, {large} at 10^6");
}

/// The least and the greatest value of each key.
fn extremes() -> Plan {
    let aggregate = |function| Aggregate::plain(function, Some(Expr::Column(1)), DataType::Int32);
    Plan::Reduce {
        input: PlanRef::new(Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() }),
        keys: vec![Expr::Column(0)],
        aggregates: vec![aggregate(AggregateFunction::Min), aggregate(AggregateFunction::Max)],
    }
}

/// Three rows of each key behind the first.
fn first_rows(numbered: bool) -> Plan {
    let order = vec![OrderKey { expr: Expr::Column(1), descending: false, nulls_first: false }];
    Plan::TopK {
        input: PlanRef::new(Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() }),
        keys: vec![Expr::Column(0)],
        order,
        skip: 1,
        fetch: Some(3),
        numbered,
    }
}

/// Which row of a group goes in each commit.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// The first: the current least.
    First,
    /// The last: the current greatest.
    Last,
    /// The one behind the first.
    Second,
}

/// Rows visited a change while the rows of one key of `values` are deleted one after the other, a
/// commit each, `deletions` in all; `group` commits are under way at once.
fn visited_by_deletions(plan: &Plan, values: i32, victim: Victim, deletions: i32, group: i32) -> f64 {
    let harness = Harness::start(1);
    harness.table(1, &PAIR, 10);
    harness.view(2, plan, 10);
    let all = (0..values).map(|value| (pair(7, value), 1)).collect();
    harness.commit(20, &[(1, &PAIR, all)]);
    harness.wait(2, 21);
    let before = harness.engine.rows_visited(RelationId(2));
    for index in 0..deletions {
        let value = match victim {
            Victim::First => index,
            Victim::Last => values - 1 - index,
            Victim::Second => index + 1,
        };
        let tick = 30 + index as u64;
        harness.commit(tick, &[(1, &PAIR, vec![(pair(7, value), -1)])]);
        if index % group == group - 1 {
            harness.wait(2, tick + 1);
        }
    }
    let end = 30 + deletions as u64;
    harness.commit(end, &[]);
    harness.wait(2, end + 1);
    let rest: Vec<i64> = harness.read(2, end).unwrap().into_values().collect();
    assert_eq!(rest.iter().sum::<i64>(), if let Plan::TopK { .. } = plan { 3 } else { 1 });
    (harness.engine.rows_visited(RelationId(2)) - before) as f64 / f64::from(deletions)
}

/// Deleting the first row again and again leaves cancelled rows where the walk begins; what a
/// change visits must depend neither on them nor on the number of values.
#[test]
fn deletions_of_the_current_extreme_visit_as_much_as_a_change_of_a_small_group() {
    let _alone = alone();
    for (name, plan, victims) in [
        ("min and max", extremes(), vec![Victim::First, Victim::Last]),
        ("top-k", first_rows(false), vec![Victim::First, Victim::Second]),
        ("numbered top-k", first_rows(true), vec![Victim::First, Victim::Second]),
    ] {
        for victim in victims {
            let small = visited_by_deletions(&plan, 100, victim, 50, 1);
            println!("{name}, {victim:?} of 10^2: {small:.1} rows a change");
            for (values, deletions, group) in [(1_000, 500, 1), (100_000, 1_000, 1), (100_000, 50_000, 100)] {
                let large = visited_by_deletions(&plan, values, victim, deletions, group);
                println!("{name}, {victim:?} of {values}, {group} commits at once: {large:.1} rows a change");
                assert!(small > 0.0 && large < 3.0 * small, "{small} at 10^2 values, {large} at {values}");
            }
        }
    }
}
