//! Folding is a function of what the workers did, not of when they told it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use millrace_engine::{Col, DataError, DataType, Delta, RelationId, Tick, batch_of};
use millrace_sql::{Column, Relation, RelationKind, SchemaId, SqlError, Subscribe, TableRules};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fold::Fold;
use super::rows::{Diffed, Shape, Share, SnapshotMerge, merge_tick};

const AS_OF: Tick = 10;
const TYPES: [DataType; 1] = [DataType::Int32];

fn rows(values: &[Option<i32>]) -> RecordBatch {
    batch_of(&TYPES, vec![Arc::new(Int32Array::from(values.to_vec()))], values.len()).unwrap()
}

/// One worker's history: changes (tick after `AS_OF`, value, diff) and errors (tick, which, diff).
#[derive(Clone, Debug, Default)]
struct History {
    changes: Vec<(Tick, Option<i32>, i64)>,
    errors: Vec<(Tick, u8, i64)>,
    /// Where the worker's events end.
    cuts: Vec<Tick>,
}

const TICKS: u64 = 12;

fn history() -> impl Strategy<Value = History> {
    let tick = || AS_OF + 1..AS_OF + TICKS;
    let changes = vec(
        (tick(), prop::option::weighted(0.9, 0..4i32), prop_oneof![Just(1i64), Just(-1), Just(2)]),
        0..20,
    );
    let errors = prop_oneof![
        6 => Just(Vec::new()),
        1 => vec((tick(), 0..2u8, Just(1i64)), 0..3),
    ];
    (changes, errors, vec(tick(), 0..6)).prop_map(|(mut changes, errors, mut cuts)| {
        changes.sort();
        cuts.push(AS_OF + TICKS);
        cuts.sort();
        cuts.dedup();
        History { changes, errors, cuts }
    })
}

/// What a worker tells: its snapshot, then spans of its history.
#[derive(Clone, Debug)]
enum Told {
    Snapshot,
    Changes(Vec<Delta>, Vec<(Tick, DataError, i64)>, Tick),
}

fn error(which: u8) -> DataError {
    DataError::new("22012", format!("error {which}"))
}

fn events(history: &History) -> Vec<Told> {
    let mut events = vec![Told::Snapshot];
    let mut lower = AS_OF + 1;
    for upper in &history.cuts {
        let span: Vec<_> =
            history.changes.iter().filter(|(tick, ..)| (lower..*upper).contains(tick)).collect();
        let values: Vec<Option<i32>> = span.iter().map(|(_, value, _)| *value).collect();
        let delta = Delta {
            rows: rows(&values),
            diffs: Col::Each(span.iter().map(|(.., diff)| *diff).collect()),
            ticks: Col::Each(span.iter().map(|(tick, ..)| *tick).collect()),
        };
        let errors = history.errors.iter().filter(|(tick, ..)| (lower..*upper).contains(tick));
        let errors = errors.map(|(tick, which, diff)| (*tick, error(*which), *diff)).collect();
        let deltas = if span.is_empty() { Vec::new() } else { vec![delta] };
        events.push(Told::Changes(deltas, errors, *upper));
        lower = *upper;
    }
    events
}

type Rows = BTreeMap<Option<i32>, i64>;

/// Per tick the net changes, up to the first tick in error; and that error.
fn expected(histories: &[History]) -> (BTreeMap<Tick, Rows>, Option<DataError>) {
    let mut ticks: BTreeMap<Tick, Rows> = BTreeMap::new();
    let first_error =
        histories.iter().flat_map(|history| &history.errors).map(|(tick, which, _)| (*tick, *which)).min();
    for (tick, value, diff) in histories.iter().flat_map(|history| &history.changes) {
        if first_error.is_none_or(|(error_tick, _)| *tick < error_tick) {
            *ticks.entry(*tick).or_default().entry(*value).or_default() += diff;
        }
    }
    for rows in ticks.values_mut() {
        rows.retain(|_, diff| *diff != 0);
    }
    ticks.retain(|_, rows| !rows.is_empty());
    (ticks, first_error.map(|(_, which)| error(which)))
}

fn int32(column: &dyn Array, row: usize) -> Option<i32> {
    let column = column.as_primitive::<Int32Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// The rows in their order.
fn listed(diffed: &[Diffed]) -> Vec<(Option<i32>, i64)> {
    let of_batch = |(rows, diffs): &Diffed| {
        (0..rows.num_rows()).map(|row| (int32(rows.column(0), row), diffs[row])).collect::<Vec<_>>()
    };
    diffed.iter().flat_map(of_batch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_gives_the_same_rows(
        histories in vec(history(), 1..4),
        schedule in vec((0..4usize, any::<bool>(), 0..3u64), 0..60),
    ) {
        let mut queues: Vec<_> = histories.iter().map(|history| events(history).into_iter()).collect();
        let mut fold = Fold::new(histories.len(), AS_OF);
        let mut seen: BTreeMap<Tick, Rows> = BTreeMap::new();
        let mut last = None;
        let mut failed = None;
        let mut newest = AS_OF - 1;
        let finish = (0..histories.len() * 8).map(|index| (index, true, TICKS));
        for (worker, takes, publishes) in schedule.into_iter().chain(finish) {
            let worker = worker % histories.len();
            newest = (newest + publishes).min(AS_OF + TICKS - 1);
            match queues[worker].next() {
                Some(Told::Snapshot) => fold.snapshot(worker),
                Some(Told::Changes(changes, errors, upper)) => fold.add(worker, changes, errors, upper),
                None => {}
            }
            while takes && failed.is_none() {
                match fold.next(newest) {
                    Ok(None) => break,
                    Err(error) => failed = Some(error),
                    Ok(Some(step)) => {
                        prop_assert!(last.map_or(step.tick == AS_OF, |last| step.tick > last));
                        prop_assert!(step.tick <= newest, "told before it was published");
                        prop_assert!(!step.changes.is_empty() || step.tick == AS_OF || step.tick == newest || !histories.iter().all(|h| h.errors.is_empty()));
                        last = Some(step.tick);
                        let listed = listed(&merge_tick(&TYPES, &step.changes).unwrap());
                        prop_assert!(listed.is_sorted(), "sorted by row, NULL first, each once");
                        if !listed.is_empty() {
                            seen.insert(step.tick, listed.into_iter().collect());
                        }
                    }
                }
            }
        }
        let (rows, error) = expected(&histories);
        prop_assert_eq!(seen, rows);
        prop_assert_eq!(&failed, &error);
        if error.is_none() {
            prop_assert_eq!(last, Some(AS_OF + TICKS - 1));
        }
    }

    #[test]
    fn shares_of_a_snapshot_merge_into_sorted_rows_with_multiplicities(
        shares in vec(vec(prop::option::weighted(0.9, 0..50i32), 0..60), 1..4),
        batch_rows in 1..9usize,
    ) {
        let mut all = Rows::new();
        shares.iter().flatten().for_each(|value| *all.entry(*value).or_default() += 1);
        let streams = shares.iter().map(|share| {
            let mut share = share.clone();
            share.sort();
            share_of(&share, batch_rows)
        });
        let mut merge = SnapshotMerge::new(&TYPES, streams.collect()).unwrap();
        let mut merged = Vec::new();
        while let Some(rows) = merge.next().unwrap() {
            merged.push(rows);
        }
        prop_assert_eq!(listed(&merged), all.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn shares_that_are_not_sorted_lose_nothing(share in vec(prop::option::weighted(0.9, 0..5i32), 0..60)) {
        let mut merge = SnapshotMerge::new(&TYPES, vec![share_of(&share, 7), share_of(&share, 3)]).unwrap();
        let mut merged = Rows::new();
        while let Some(rows) = merge.next().unwrap() {
            listed(&[rows]).into_iter().for_each(|(value, diff)| *merged.entry(value).or_default() += diff);
        }
        let mut all = Rows::new();
        share.iter().for_each(|value| *all.entry(*value).or_default() += 2);
        prop_assert_eq!(merged, all);
    }
}

fn share_of(values: &[Option<i32>], batch_rows: usize) -> Share {
    let batches: Vec<Result<RecordBatch, SqlError>> =
        values.chunks(batch_rows).map(|chunk| Ok(rows(chunk))).collect();
    Box::new(batches.into_iter())
}

#[test]
fn an_error_that_comes_and_goes_within_a_tick_is_none() {
    let mut fold = Fold::new(2, AS_OF);
    fold.snapshot(0);
    fold.snapshot(1);
    fold.add(0, Vec::new(), vec![(AS_OF + 1, error(0), 1)], AS_OF + 2);
    fold.add(1, Vec::new(), vec![(AS_OF + 1, error(0), -1)], AS_OF + 2);
    assert_eq!(fold.next(AS_OF + 1).unwrap().unwrap().tick, AS_OF);
    assert_eq!(fold.next(AS_OF + 1).unwrap().unwrap().tick, AS_OF + 1);
    assert_eq!(fold.next(AS_OF + 2), Ok(None));
}

fn subscribe(progress: bool, tick_type: DataType) -> Subscribe {
    let column = |name: &str, data_type| Column::new(name.to_owned(), data_type, true);
    let own = column("x", DataType::Int32);
    let mut columns = vec![column("tick", tick_type)];
    columns.extend(progress.then(|| column("progressed", DataType::Boolean)));
    columns.extend([column("diff", DataType::Int64), own.clone()]);
    let relation = Relation {
        id: RelationId(1),
        name: "t".to_owned(),
        schema: SchemaId::PUBLIC,
        columns: vec![own],
        kind: RelationKind::Table { keep_rows: true, rules: TableRules::default() },
        created: 1,
    };
    Subscribe { relation: Arc::new(relation), columns, snapshot: true, progress, as_of: None }
}

#[test]
fn rows_have_tick_progressed_and_diff_in_front() {
    let shape = Shape::new(&subscribe(true, DataType::Int64));
    let batch = shape.data(7, &rows(&[Some(1), None]), &[3, -1]).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[7, 7]);
    assert!(!batch.column(1).as_boolean().value(0));
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().values(), &[3, -1]);
    assert_eq!((int32(batch.column(3), 0), int32(batch.column(3), 1)), (Some(1), None));
}

#[test]
fn a_progress_row_has_only_its_tick() {
    let shape = Shape::new(&subscribe(true, DataType::Numeric { precision: 20, scale: 0 }));
    let batch = shape.progress(1_795_000_000_000_000).unwrap();
    assert_eq!(
        batch.column(0).as_primitive::<arrow::datatypes::Decimal128Type>().value(0),
        1_795_000_000_000_000
    );
    assert!(batch.column(1).as_boolean().value(0));
    assert!(batch.column(2).is_null(0) && batch.column(3).is_null(0));
    assert!(!Shape::new(&subscribe(false, DataType::Int64)).has_progress());
}
