//! A view is incremental: what one change makes the operators look at does not grow with the state.

use millrace_engine::{Aggregate, AggregateFunction, DataType, Expr, JoinKey, Literal, Plan, RelationId};

use crate::harness::{Harness, Row};
use crate::oracle::alone;

const PAIR: [DataType; 2] = [DataType::Int32, DataType::Int32];

fn pair(a: i32, b: i32) -> Row {
    vec![Literal::Int32(a), Literal::Int32(b)]
}

/// Sums, counts and extremes by key, joined with the table again.
fn plan() -> Plan {
    let table = || Box::new(Plan::Get { relation: RelationId(1), columns: PAIR.to_vec() });
    let aggregate = |function, data_type| Aggregate::plain(function, Some(Expr::Column(1)), data_type);
    let aggregates = vec![
        aggregate(AggregateFunction::Sum, DataType::Int64),
        aggregate(AggregateFunction::Min, DataType::Int32),
        aggregate(AggregateFunction::Max, DataType::Int32),
    ];
    let groups = Plan::Reduce { input: table(), keys: vec![Expr::Column(0)], aggregates };
    Plan::Join {
        left: table(),
        right: Box::new(groups),
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
