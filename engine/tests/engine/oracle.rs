//! The oracle: random changes through random small plans equal the naive model at every tick.
//!
//! A script has two tables, a view over them and a view over that view; each tick inserts and
//! deletes rows. After each script both views are read at every tick that is still readable and
//! a subscription is folded up; all must equal the model. It also holds where the view is rebuilt
//! from saved state in the middle. The oracle proves itself on planted bugs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use millrace_engine::{
    Aggregate, AggregateFunction, DataError, DataType, Expr, JoinKey, Literal, OrderKey, Plan, PlanRef,
    RelationId, RowCalls, SetCall, SubscriptionEvent, Tick, ViewSpec,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::harness::{Bag, Harness, Row, Size, rows_of};
use crate::model::{Tables, evaluate};

/// The columns of both tables.
pub(crate) const COLUMNS: [DataType; 5] =
    [DataType::Int32, DataType::Int32, DataType::Float64, DataType::Text, DataType::Int64];

const LEFT: u64 = 1;
const RIGHT: u64 = 2;
const VIEW: u64 = 3;
const OVER: u64 = 4;

/// Planted bugs hold for the whole process: scripts run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One tick: rows that come (table, row, times), and existing rows that go (table, which, times).
#[derive(Clone, Debug)]
pub(crate) struct TickScript {
    inserts: Vec<(bool, Row, i64)>,
    deletes: Vec<(bool, usize)>,
    compact: bool,
}

/// A whole script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) view: Plan,
    pub(crate) over: Plan,
    /// The views are created after so many ticks.
    pub(crate) late: usize,
    pub(crate) ticks: Vec<TickScript>,
}

fn get(id: u64, columns: &[DataType]) -> Plan {
    Plan::Get { relation: RelationId(id), columns: columns.to_vec() }
}

fn int(value: i32) -> Expr {
    Expr::Literal(Literal::Int32(value))
}

fn call(function: &str, left: Expr, right: Expr, data_type: DataType) -> Expr {
    Expr::Call { function: function.to_owned(), version: 1, arguments: vec![left, right], data_type }
}

fn columns(range: impl IntoIterator<Item = usize>) -> Vec<Expr> {
    range.into_iter().map(Expr::Column).collect()
}

fn predicate() -> impl Strategy<Value = Expr> {
    let greater = |column, value| call("greater", Expr::Column(column), int(value), DataType::Boolean);
    prop_oneof![
        (0usize..2, -2i32..3).prop_map(move |(column, value)| greater(column, value)),
        (0usize..5).prop_map(|column| Expr::Not(Box::new(Expr::IsNull(Box::new(Expr::Column(column)))))),
        Just(call(
            "greater",
            call("divide", int(6), Expr::Column(1), DataType::Int32),
            int(1),
            DataType::Boolean
        )),
        Just(Expr::And(vec![greater(0, -1), Expr::Not(Box::new(greater(1, 1)))])),
    ]
}

/// An expression in the place of the first column; the last can overflow.
fn first_output() -> impl Strategy<Value = Expr> {
    prop_oneof![
        4 => Just(Expr::Column(0)),
        2 => Just(call("add", Expr::Column(0), Expr::Column(1), DataType::Int32)),
        1 => Just(call("multiply", Expr::Column(0), int(700_000_000), DataType::Int32)),
        1 => Just(call("divide", int(7), Expr::Column(0), DataType::Int32)),
    ]
}

/// A plan whose output has the tables' columns.
fn five_columns() -> impl Strategy<Value = Plan> {
    let table = prop_oneof![Just(get(LEFT, &COLUMNS)), Just(get(RIGHT, &COLUMNS))];
    table.prop_recursive(3, 6, 2, |inner| {
        let project = (inner.clone(), prop::collection::vec(predicate(), 0..2), first_output());
        let project = project.prop_map(|(input, predicates, first)| Plan::Project {
            input: PlanRef::new(input),
            predicates,
            outputs: [vec![first], columns(1..5)].concat(),
        });
        let narrow = |join| Plan::Project {
            input: PlanRef::new(join),
            predicates: Vec::new(),
            outputs: columns([0, 6, 2, 8, 4]),
        };
        let join = join(inner.clone()).prop_map(narrow);
        let union = (inner.clone(), inner.clone())
            .prop_map(|(left, right)| Plan::Union { inputs: vec![left.into(), right.into()] });
        let exists = exists(inner.clone());
        let repeat = (inner.clone(), copies())
            .prop_map(|(input, count)| Plan::Repeat { input: PlanRef::new(input), count });
        prop_oneof![
            3 => project, 2 => join, 1 => union, 2 => exists, 1 => repeat, 2 => flat_map(inner.clone()),
            2 => narrow_top_k(inner)
        ]
    })
}

/// One or two calls for each row, the first one's column in the place of the first.
fn flat_map(inner: impl Strategy<Value = Plan> + Clone + 'static) -> impl Strategy<Value = Plan> {
    let argument = || prop_oneof![3 => (0usize..2).prop_map(Expr::Column), 1 => first_output()];
    let arguments = prop::collection::vec(argument(), 1..3);
    (inner, arguments, any::<bool>(), any::<bool>()).prop_map(|(input, arguments, numbered, outer)| {
        let call = |argument| SetCall {
            function: "up_to".to_owned(),
            version: 1,
            arguments: vec![argument],
            columns: vec![DataType::Int32],
        };
        let calls = arguments.into_iter().map(call).collect();
        let calls = RowCalls { kept: vec![4, 1, 2, 3], calls, numbered, outer };
        let input = Plan::FlatMap { input: PlanRef::new(input), calls };
        Plan::Project {
            input: PlanRef::new(input),
            predicates: Vec::new(),
            outputs: columns([4, 1, 2, 3, 0]),
        }
    })
}

/// A semi or anti join by no, one or two keys, some computed; now and then with itself.
fn exists(inner: impl Strategy<Value = Plan> + Clone + 'static) -> impl Strategy<Value = Plan> {
    let divided = |column| call("divide", int(6), Expr::Column(column), DataType::Int32);
    let keys = prop_oneof![
        3 => Just(vec![]),
        6 => Just(vec![(Expr::Column(0), Expr::Column(0))]),
        6 => Just(vec![(Expr::Column(1), Expr::Column(0))]),
        6 => Just(vec![(Expr::Column(2), Expr::Column(2))]),
        6 => Just(vec![(Expr::Column(3), Expr::Column(3)), (Expr::Column(0), Expr::Column(1))]),
        1 => Just(vec![(Expr::Column(0), divided(1))]),
        1 => Just(vec![(divided(0), Expr::Column(1)), (Expr::Column(2), Expr::Column(2))]),
    ];
    let right = prop_oneof![4 => inner.clone().prop_map(Some), 1 => Just(None)];
    (inner, right, keys, prop::collection::vec(prop::bool::weighted(0.3), 2), any::<bool>()).prop_map(
        |(left, right, keys, nulls_equal, anti)| {
            let key = |((left, right), nulls_equal)| JoinKey { left, right, nulls_equal };
            let right = PlanRef::new(right.unwrap_or_else(|| left.clone()));
            let keys = keys.into_iter().zip(nulls_equal).map(key).collect();
            Plan::Exists { left: PlanRef::new(left), right, keys, anti }
        },
    )
}

/// How often a row comes: also not at all, NULL, negative, failing, or too often.
fn copies() -> impl Strategy<Value = Expr> {
    let long = |value| Expr::Literal(Literal::Int64(value));
    prop_oneof![
        8 => (-1i64..4).prop_map(long),
        1 => Just(Expr::Literal(Literal::Null(DataType::Int64))),
        1 => Just(Expr::Column(4)),
        1 => Just(call("divide", long(2), Expr::Column(4), DataType::Int64)),
        1 => Just(call("add", long(1), Expr::Column(4), DataType::Int64)),
    ]
}

/// The first rows by no, one or two keys, in any order, numbered or not.
fn top_k(inner: impl Strategy<Value = Plan>) -> impl Strategy<Value = Plan> {
    let keys = prop_oneof![Just(vec![]), Just(vec![0]), Just(vec![2]), Just(vec![1, 3])];
    let compared = prop_oneof![
        12 => (0usize..5).prop_map(Expr::Column),
        1 => Just(call("divide", int(6), Expr::Column(1), DataType::Int32)),
    ];
    let order = (compared, any::<bool>(), any::<bool>())
        .prop_map(|(expr, descending, nulls_first)| OrderKey { expr, descending, nulls_first });
    let order = prop::collection::vec(order, 0..3);
    let window = (0u64..3, prop_oneof![4 => (0u64..4).prop_map(Some), 1 => Just(None)]);
    (inner, keys, order, window, any::<bool>()).prop_map(|(input, keys, order, (skip, fetch), numbered)| {
        Plan::TopK { input: PlanRef::new(input), keys: columns(keys), order, skip, fetch, numbered }
    })
}

/// A top-k with the tables' columns: a row's number comes in the place of the last.
fn narrow_top_k(inner: impl Strategy<Value = Plan>) -> impl Strategy<Value = Plan> {
    top_k(inner).prop_map(|top_k| match PlanRef::new(top_k.clone()).columns().len() {
        6 => Plan::Project {
            input: PlanRef::new(top_k),
            predicates: Vec::new(),
            outputs: columns([0, 1, 2, 3, 5]),
        },
        _ => top_k,
    })
}

fn join(inner: impl Strategy<Value = Plan> + Clone + 'static) -> impl Strategy<Value = Plan> {
    let column = Expr::Column;
    let divided = |column| call("divide", int(6), Expr::Column(column), DataType::Int32);
    let keys = prop_oneof![
        5 => Just(vec![(column(0), column(0))]),
        5 => Just(vec![(column(1), column(0))]),
        5 => Just(vec![(column(2), column(2))]),
        5 => Just(vec![(column(3), column(3)), (column(1), column(1))]),
        5 => Just(vec![(column(4), column(4))]),
        1 => Just(vec![(column(1), divided(0))]),
    ];
    let nulls_equal = prop::bool::weighted(0.2);
    // Now and then with itself: then the two sides share what they can.
    let right = prop_oneof![4 => inner.clone().prop_map(Some), 1 => Just(None)];
    (inner, right, keys, nulls_equal).prop_map(|(left, right, keys, nulls_equal)| {
        let right = right.unwrap_or_else(|| left.clone());
        let key = |(left, right)| JoinKey { nulls_equal: nulls_equal && left == right, left, right };
        let keys = keys.into_iter().map(key).collect();
        Plan::Join { left: PlanRef::new(left), right: PlanRef::new(right), keys }
    })
}

fn aggregate() -> impl Strategy<Value = Aggregate> {
    (prop_oneof![5 => plain_aggregate(), 1 => joined_texts()], prop::bool::weighted(0.3)).prop_map(
        |(mut aggregate, distinct)| {
            aggregate.distinct = distinct && !aggregate.arguments.is_empty();
            if aggregate.distinct {
                let arguments = &aggregate.arguments;
                aggregate.order.retain(|key| arguments.contains(&key.expr));
            }
            aggregate
        },
    )
}

fn plain_aggregate() -> impl Strategy<Value = Aggregate> {
    use AggregateFunction::*;
    let exact = DataType::Decimal;
    let numeric = DataType::Numeric { precision: 38, scale: 0 };
    let column = |index| Some(Expr::Column(index));
    let truth = |column, value| Some(call("greater", Expr::Column(column), int(value), DataType::Boolean));
    let choices = vec![
        (Count, None, DataType::Int64),
        (Count, column(2), DataType::Int64),
        (Sum, column(0), DataType::Int64),
        (Sum, column(0), DataType::Int64),
        (Sum, column(1), DataType::Int64),
        (Sum, column(4), numeric),
        (Sum, column(2), DataType::Float64),
        (Avg, column(1), exact),
        (Avg, column(4), exact),
        (Avg, column(2), DataType::Float64),
        (Min, column(0), DataType::Int32),
        (Max, column(1), DataType::Int32),
        (Min, column(2), DataType::Float64),
        (Max, column(2), DataType::Float64),
        (Max, column(3), DataType::Text),
        (Max, column(4), DataType::Int64),
        (BoolAnd, truth(0, 0), DataType::Boolean),
        (BoolOr, truth(1, 1), DataType::Boolean),
        (BitAnd, column(0), DataType::Int32),
        (BitOr, column(4), DataType::Int64),
        (BitXor, column(1), DataType::Int32),
        (BitXor, column(4), DataType::Int64),
        (VarPop, column(0), exact),
        (VarSamp, column(4), exact),
        (VarSamp, column(2), DataType::Float64),
        (BoolAnd, truth(1, -2), DataType::Boolean),
        (BoolOr, truth(0, 2), DataType::Boolean),
        (StddevSamp, column(1), exact),
        (StddevPop, column(4), exact),
        (StddevSamp, column(2), DataType::Float64),
        (StddevPop, column(2), DataType::Float64),
    ];
    prop::sample::select(choices)
        .prop_map(|(function, argument, data_type)| Aggregate::plain(function, argument, data_type))
}

/// `string_agg`, with a delimiter that may be NULL, in some order.
fn joined_texts() -> impl Strategy<Value = Aggregate> {
    let delimiter = prop_oneof![
        3 => Just(Expr::Literal(Literal::Text(", ".to_owned()))),
        1 => Just(Expr::Column(3)),
        1 => Just(Expr::Literal(Literal::Null(DataType::Text))),
    ];
    let key = (0usize..5, any::<bool>(), any::<bool>()).prop_map(|(column, descending, nulls_first)| {
        OrderKey { expr: Expr::Column(column), descending, nulls_first }
    });
    (delimiter, prop::collection::vec(key, 0..3)).prop_map(|(delimiter, order)| {
        let mut aggregate =
            Aggregate::plain(AggregateFunction::StringAgg, Some(Expr::Column(3)), DataType::Text);
        aggregate.arguments.push(delimiter);
        aggregate.order = order;
        aggregate
    })
}

fn reduce(input: impl Strategy<Value = Plan>) -> impl Strategy<Value = Plan> {
    let keys = prop_oneof![
        Just(vec![]),
        Just(vec![0]),
        Just(vec![1]),
        Just(vec![2]),
        Just(vec![3]),
        Just(vec![0, 3]),
    ];
    (input, keys, prop::collection::vec(aggregate(), 0..6)).prop_map(|(input, keys, aggregates)| {
        Plan::Reduce { input: PlanRef::new(input), keys: columns(keys), aggregates }
    })
}

fn view() -> impl Strategy<Value = Plan> {
    prop_oneof![
        2 => five_columns(),
        1 => join(five_columns().boxed()),
        1 => exists(join(five_columns().boxed()).boxed()),
        1 => exists(five_columns().boxed()),
        2 => top_k(five_columns()),
        1 => top_k(join(five_columns().boxed())),
        14 => reduce(five_columns()),
    ]
}

/// A view over a view: its rows counted by their first column, or all of them.
fn over(view: &Plan) -> BoxedStrategy<Plan> {
    let columns_of_view = PlanRef::new(view.clone()).columns().to_vec();
    let all = get(VIEW, &columns_of_view);
    let count = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
    let keys = if columns_of_view.is_empty() { Vec::new() } else { columns(0..1) };
    let counted = Plan::Reduce { input: PlanRef::new(all.clone()), keys, aggregates: vec![count] };
    prop_oneof![Just(all), Just(counted)].boxed()
}

fn row() -> impl Strategy<Value = Row> {
    let small = || {
        prop_oneof![6 => (-2i32..4).prop_map(Literal::Int32), 1 => Just(Literal::Null(DataType::Int32)),
                    1 => prop_oneof![Just(Literal::Int32(i32::MAX)), Just(Literal::Int32(i32::MIN))]]
    };
    let doubles =
        vec![0.0, -0.0, 1.5, -2.25, 0.1, 1e300, -1e300, 1e-300, f64::NAN, f64::INFINITY, 3.0, 3.0, 2.0];
    let double = prop_oneof![
        8 => prop::sample::select(doubles).prop_map(|value| Literal::Float64(value.to_bits())),
        1 => Just(Literal::Null(DataType::Float64)),
    ];
    let texts = vec![
        "",
        "a",
        "ab",
        "a longer text that shares its prefix A",
        "a longer text that shares its prefix B",
    ];
    let text = prop_oneof![
        6 => prop::sample::select(texts).prop_map(|text| Literal::Text(text.to_owned())),
        1 => Just(Literal::Null(DataType::Text)),
    ];
    let long =
        prop::sample::select(vec![0, 1, -7, i64::MAX, i64::MIN, 5_000_000_000]).prop_map(Literal::Int64);
    let long = prop_oneof![6 => long, 1 => Just(Literal::Null(DataType::Int64))];
    (small(), small(), double, text, long).prop_map(|(a, b, c, d, e)| vec![a, b, c, d, e])
}

fn tick() -> impl Strategy<Value = TickScript> {
    let inserts = prop::collection::vec((any::<bool>(), row(), 1i64..3), 0..6);
    let deletes = prop::collection::vec((any::<bool>(), 0usize..40), 0..4);
    (inserts, deletes, prop::bool::weighted(0.2)).prop_map(|(inserts, deletes, compact)| TickScript {
        inserts,
        deletes,
        compact,
    })
}

pub(crate) fn script() -> impl Strategy<Value = Script> {
    let views = view().prop_flat_map(|view| (Just(view.clone()), over(&view)));
    (views, 0usize..4, prop::collection::vec(tick(), 1..9)).prop_map(|((view, over), late, ticks)| Script {
        view,
        over,
        late,
        ticks,
    })
}

/// The operators of a plan, counted by name.
fn operators(plan: &Plan, found: &mut BTreeMap<&'static str, usize>) {
    let name = match plan {
        Plan::Get { .. } => "get",
        Plan::Constant { .. } => "constant",
        Plan::Project { .. } => "project",
        Plan::Join { .. } => "join",
        Plan::Reduce { .. } => "reduce",
        Plan::Union { .. } => "union",
        Plan::Exists { anti: false, .. } => "semi join",
        Plan::Exists { anti: true, .. } => "anti join",
        Plan::Repeat { .. } => "repeat",
        Plan::FlatMap { .. } => "flat map",
        Plan::TopK { numbered: false, .. } => "top-k",
        Plan::TopK { numbered: true, .. } => "numbered top-k",
    };
    *found.entry(name).or_default() += 1;
    plan.inputs().into_iter().for_each(|input| operators(input.operator(), found));
}

/// What scripts have shown, so that a weak generator is noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The operators of views that had rows at the end.
    pub(crate) operators: BTreeMap<&'static str, usize>,
    pub(crate) non_empty: usize,
    pub(crate) retractions: usize,
    pub(crate) in_error: usize,
}

/// The tables after each tick, as changes and as contents.
struct History {
    changes: Vec<[Vec<(Row, i64)>; 2]>,
    contents: Vec<Tables>,
}

fn history(script: &Script) -> History {
    let mut contents = [Vec::<(Row, i64)>::new(), Vec::new()];
    let mut history = History { changes: Vec::new(), contents: Vec::new() };
    for tick in &script.ticks {
        let mut changes = [Vec::new(), Vec::new()];
        for (right, which) in &tick.deletes {
            let table = &mut contents[usize::from(*right)];
            if !table.is_empty() {
                let (row, diff) = table.remove(which % table.len());
                changes[usize::from(*right)].push((row, -diff));
            }
        }
        for (right, row, times) in &tick.inserts {
            contents[usize::from(*right)].push((row.clone(), *times));
            changes[usize::from(*right)].push((row.clone(), *times));
        }
        history.changes.push(changes);
        let tables = contents.iter().cloned().enumerate();
        history.contents.push(tables.map(|(index, rows)| (RelationId(index as u64 + 1), rows)).collect());
    }
    history
}

/// Replaces the view's name by its plan.
fn inline(plan: &Plan, view: &Plan) -> Plan {
    match plan {
        Plan::Get { relation, .. } if *relation == RelationId(VIEW) => view.clone(),
        other => other.map_inputs(|input| inline(input.operator(), view).into()),
    }
}

const START: Tick = 100;

fn tick_of(index: usize) -> Tick {
    START + 10 * (index as Tick + 1)
}

fn commit(harness: &Harness, history: &History, index: usize) {
    let [left, right] = history.changes[index].clone();
    harness.commit(tick_of(index), &[(LEFT, &COLUMNS, left), (RIGHT, &COLUMNS, right)]);
}

fn compare(what: &str, got: Result<Bag, DataError>, expected: &Result<Bag, DataError>) -> Result<(), String> {
    if got == *expected {
        Ok(())
    } else {
        Err(format!("{what}\n  got      {got:?}\n  expected {expected:?}"))
    }
}

/// Runs a script and compares everything with the model.
pub(crate) fn check(script: &Script, size: Size, seen: &mut Seen) -> Result<(), String> {
    let history = history(script);
    let harness = Harness::of(size);
    let workers = harness.engine.workers();
    harness.table(LEFT, &COLUMNS, START);
    harness.table(RIGHT, &COLUMNS, START);
    let over = inline(&script.over, &script.view);
    let late = script.late.min(script.ticks.len());
    (0..late).for_each(|index| commit(&harness, &history, index));
    let as_of = if late == 0 { START } else { tick_of(late - 1) };
    if late % 2 == 1 {
        // Else the commits reach the dataflows after the views, and nothing comes by snapshot.
        [LEFT, RIGHT].iter().for_each(|id| harness.wait(*id, as_of + 1));
    }
    harness.view(VIEW, &script.view, as_of);
    harness.view(OVER, &script.over, as_of);
    let events = harness.subscribe(VIEW, as_of);
    let mut since = 0;
    for index in late..script.ticks.len() {
        commit(&harness, &history, index);
        if script.ticks[index].compact {
            since = tick_of(index).saturating_sub(5);
            let relations = [LEFT, RIGHT, VIEW, OVER].map(|id| (RelationId(id), since));
            harness.wait(VIEW, tick_of(index) + 1);
            harness.engine.compact(&relations);
        }
    }
    harness.commit(tick_of(script.ticks.len()), &[]);
    // From the as-of on: what is there at once is read, too.
    for index in late.saturating_sub(1)..script.ticks.len() {
        let tick = tick_of(index);
        for (id, plan) in [(VIEW, &script.view), (OVER, &over)] {
            let expected = evaluate(plan, &history.contents[index]);
            if tick >= since {
                compare(&format!("relation {id} at {tick}, {size:?}"), harness.read(id, tick), &expected)?;
            }
            seen.note(&expected);
            if id == VIEW && index + 1 == script.ticks.len() && expected.is_ok_and(|bag| !bag.is_empty()) {
                operators(plan, &mut seen.operators);
            }
        }
    }
    fold(script, &history, late, &events, workers, seen)
}

impl Seen {
    fn note(&mut self, expected: &Result<Bag, DataError>) {
        match expected {
            Ok(bag) if bag.is_empty() => {}
            Ok(_) => self.non_empty += 1,
            Err(_) => self.in_error += 1,
        }
    }
}

/// Folds the subscription's events and compares them with the model at every tick without errors.
fn fold(
    script: &Script,
    history: &History,
    late: usize,
    events: &std::sync::mpsc::Receiver<SubscriptionEvent>,
    workers: usize,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut changes: BTreeMap<Tick, Vec<(String, i64)>> = BTreeMap::new();
    let mut uppers = vec![0; workers];
    let end = tick_of(script.ticks.len()) + 1;
    while uppers.iter().any(|upper| *upper < end) {
        match events.recv_timeout(std::time::Duration::from_secs(60)).map_err(|e| e.to_string())? {
            SubscriptionEvent::Snapshot { snapshot, .. } => {
                for batch in snapshot.rows().filter_map(Result::ok) {
                    changes
                        .entry(snapshot.tick)
                        .or_default()
                        .extend(rows_of(&batch).into_iter().map(|row| (row, 1)));
                }
            }
            SubscriptionEvent::Changes { worker, changes: deltas, upper, .. } => {
                for delta in deltas {
                    for (index, row) in rows_of(&delta.rows).into_iter().enumerate() {
                        seen.retractions += usize::from(delta.diffs.get(index) < 0);
                        changes
                            .entry(delta.ticks.get(index))
                            .or_default()
                            .push((row, delta.diffs.get(index)));
                    }
                }
                uppers[worker] = upper;
            }
            SubscriptionEvent::Dropped | SubscriptionEvent::Failed(_) => {
                return Err("the subscription has ended".to_owned());
            }
        }
    }
    for index in late..script.ticks.len() {
        let expected = evaluate(&script.view, &history.contents[index]);
        if expected.is_ok() {
            let mut bag = Bag::new();
            let before = changes.range(..=tick_of(index)).flat_map(|(_, rows)| rows);
            before.for_each(|(row, diff)| *bag.entry(row.clone()).or_default() += diff);
            bag.retain(|_, count| *count != 0);
            compare(&format!("subscription at {}", tick_of(index)), Ok(bag), &expected)?;
        }
    }
    Ok(())
}

/// The same with the view rebuilt from its state after `cut` ticks, in a new engine.
pub(crate) fn check_restored(script: &Script, workers: usize, cut: usize) -> Result<(), String> {
    let history = history(script);
    let cut = cut % script.ticks.len();
    let at = tick_of(cut) + 1;
    let first = Harness::start(workers);
    first.table(LEFT, &COLUMNS, START);
    first.table(RIGHT, &COLUMNS, START);
    first.view(VIEW, &script.view, START);
    (0..=cut).for_each(|index| commit(&first, &history, index));
    first.wait(VIEW, at);
    let state = first.engine.save(RelationId(VIEW), at).ok_or("the view is complete before the cut")?;

    let second = Harness::start(workers);
    second.table(LEFT, &COLUMNS, START);
    second.table(RIGHT, &COLUMNS, START);
    (0..=cut).for_each(|index| commit(&second, &history, index));
    second
        .engine
        .restore(RelationId(VIEW), script.view.clone().into(), ViewSpec::default(), state)
        .map_err(|e| e.to_string())?;
    let events = second.subscribe(VIEW, at - 1);
    second.commit(at, &[]);
    second.wait(VIEW, at + 1);
    if second.engine.rows_visited(RelationId(VIEW)) > 0 {
        return Err("the restored view worked on what lies before the cut".to_owned());
    }
    for index in cut + 1..script.ticks.len() {
        commit(&second, &history, index);
        commit(&first, &history, index);
    }
    second.commit(tick_of(script.ticks.len()), &[]);
    first.commit(tick_of(script.ticks.len()), &[]);
    for index in cut..script.ticks.len() {
        let tick = tick_of(index);
        let expected = evaluate(&script.view, &history.contents[index]);
        compare(&format!("restored at {at}, read at {tick}"), second.read(VIEW, tick), &expected)?;
        compare(&format!("uninterrupted, read at {tick}"), first.read(VIEW, tick), &expected)?;
    }
    drop(events);
    Ok(())
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases: scripts(), failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// How many scripts each test runs: more in nightly mode.
fn scripts() -> u32 {
    if std::env::var_os("MILLRACE_NIGHTLY").is_some() { 3000 } else { 300 }
}

#[test]
fn views_equal_the_model_at_every_tick() {
    let _alone = alone();
    let seen = Mutex::new(Seen::default());
    for (seed, size) in (1..).zip([Size(1, 1), Size(1, 2), Size(2, 1), Size(3, 2)]) {
        runner(seed)
            .run(&script(), |script| {
                check(&script, size, &mut seen.lock().unwrap()).map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
    let seen = seen.into_inner().unwrap();
    println!("readings: {seen:?}");
    assert!(
        seen.non_empty > 300 && seen.retractions > 300 && seen.in_error > 30,
        "a weak generator: {seen:?}"
    );
    for operator in ["join", "reduce", "semi join", "anti join", "repeat", "top-k", "numbered top-k"] {
        assert!(seen.operators.get(operator) >= Some(&5), "{operator} is hardly seen: {seen:?}");
    }
}

#[test]
fn views_go_on_from_saved_state() {
    let _alone = alone();
    for workers in [1, 2] {
        runner(7 + workers as u64)
            .run(&(script(), 0usize..8), |(script, cut)| {
                check_restored(&script, workers, cut).map_err(TestCaseError::fail)
            })
            .unwrap_or_else(|failure| panic!("seed {}: {failure}", 7 + workers));
    }
}

/// A row fails before the cut, in a chain that a join reads by two keys and in a join's key, and goes
/// behind it: its errors go with it, however often they were counted.
#[test]
fn errors_of_shared_arrangements_go_after_a_restore() {
    let _alone = alone();
    let divided = |input, column| call("divide", input, Expr::Column(column), DataType::Int32);
    let chain = PlanRef::new(Plan::Project {
        input: get(RIGHT, &COLUMNS).into(),
        predicates: Vec::new(),
        outputs: [vec![divided(int(7), 0)], columns(1..5)].concat(),
    });
    let by = |left, right| vec![JoinKey { left, right, nulls_equal: false }];
    let twice = Plan::Join { left: chain.clone(), right: chain, keys: by(Expr::Column(1), Expr::Column(0)) };
    let (left, right) = (get(LEFT, &COLUMNS).into(), get(RIGHT, &COLUMNS).into());
    let by_key = Plan::Join { left, right, keys: by(Expr::Column(1), divided(int(6), 0)) };
    for view in [twice, by_key] {
        let row = vec![Literal::Int32(0), Literal::Int32(1), Literal::Null(DataType::Float64)];
        let row = [row, vec![Literal::Null(DataType::Text), Literal::Int64(0)]].concat();
        let inserts = vec![(false, row.clone(), 1), (true, row, 2)];
        let comes = TickScript { inserts, deletes: Vec::new(), compact: false };
        let goes = TickScript { inserts: Vec::new(), deletes: vec![(true, 0)], compact: false };
        let over = get(RIGHT, &COLUMNS);
        let script = Script { view, over, late: 0, ticks: vec![comes, goes] };
        for workers in [1, 2] {
            check_restored(&script, workers, 0).unwrap_or_else(|failure| {
                panic!("{view:?}, {workers} workers: {failure}", view = script.view)
            });
        }
    }
}

/// Each planted bug is found within 500 scripts; without one nothing is found.
#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_bug_is_found() {
    let _alone = alone();
    for bug in millrace_engine::Bug::ALL {
        millrace_engine::plant(Some(bug));
        let mut runner = runner(bug as u64);
        let found = (1..=500).find(|index| {
            let tree = (script(), 0usize..8).new_tree(&mut runner).unwrap();
            let (script, cut) = tree.current();
            check(&script, Size(1, 2), &mut Seen::default()).is_err()
                || (index % 2 == 0 && check_restored(&script, 2, cut).is_err())
        });
        millrace_engine::plant(None);
        println!("{bug:?}: found by script {found:?}");
        assert!(found.is_some(), "{bug:?} was not found");
    }
}
