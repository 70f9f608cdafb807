//! The rows of a group, table by table: many small batches become few.
//!
//! A batch of one row costs the log and the engine nearly what a thousand cost, so a burst of
//! one-row commits travels as one batch. Order within a table stays: it does not matter to the
//! engine (one tick), but the log should say what happened.

use std::collections::BTreeMap;

use arrow::compute::concat_batches;
use millrace_engine::{Col, Delta, RelationId, Tick};

/// Batches of more rows than this stay as they are.
const SMALL_ROWS: usize = 1024;
/// Small batches are put together up to this many rows.
const MERGED_ROWS: usize = 8192;

/// The deltas, each table once, all moved to `tick`.
pub(crate) fn coalesce(deltas: Vec<(RelationId, Delta)>, tick: Tick) -> Vec<(RelationId, Vec<Delta>)> {
    let mut tables: BTreeMap<RelationId, Vec<Delta>> = BTreeMap::new();
    for (relation, delta) in deltas.into_iter().filter(|(_, delta)| !delta.is_empty()) {
        let delta = Delta { ticks: Col::Const(tick, delta.len()), ..delta };
        tables.entry(relation).or_default().push(delta);
    }
    tables.into_iter().map(|(relation, deltas)| (relation, merge(deltas))).collect()
}

/// Puts small neighbours together.
fn merge(deltas: Vec<Delta>) -> Vec<Delta> {
    let mut merged = Vec::new();
    let mut run: Vec<Delta> = Vec::new();
    let mut run_rows = 0;
    for delta in deltas {
        if delta.len() > SMALL_ROWS || run_rows + delta.len() > MERGED_ROWS {
            flush(&mut run, &mut merged);
            run_rows = 0;
        }
        if delta.len() > SMALL_ROWS {
            merged.push(delta);
        } else {
            run_rows += delta.len();
            run.push(delta);
        }
    }
    flush(&mut run, &mut merged);
    merged
}

/// One delta of the run; where the batches do not fit together (they always should), one each.
fn flush(run: &mut Vec<Delta>, merged: &mut Vec<Delta>) {
    match join(run) {
        Some(delta) => {
            run.clear();
            merged.push(delta);
        }
        None => merged.append(run),
    }
}

fn join(run: &[Delta]) -> Option<Delta> {
    let [first, _, ..] = run else { return None };
    if first.rows.num_columns() == 0 {
        return None;
    }
    let rows = concat_batches(&first.rows.schema(), run.iter().map(|delta| &delta.rows)).ok()?;
    let mut diffs = Col::Const(1, 0);
    run.iter().flat_map(|delta| delta.diffs.iter()).for_each(|diff| diffs.push(diff));
    let ticks = Col::Const(first.tick_min(), rows.num_rows());
    Some(Delta { rows, diffs, ticks })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use millrace_engine::{DataType, batch_of};

    use arrow::array::RecordBatch;

    use super::*;

    fn rows_of(values: std::ops::Range<i32>) -> RecordBatch {
        let rows = values.len();
        let column = Arc::new(Int32Array::from_iter_values(values));
        batch_of(&[DataType::Int32], vec![column], rows).unwrap()
    }

    fn write(relation: u64, values: std::ops::Range<i32>, diff: i64) -> (RelationId, Delta) {
        (RelationId(relation), Delta::uniform(rows_of(values), diff, 0))
    }

    #[test]
    fn small_batches_of_a_table_become_one_and_keep_their_diffs() {
        let writes = vec![write(1, 0..2, 1), write(2, 5..6, 1), write(1, 0..1, -1), write(1, 3..3, 1)];
        let deltas = coalesce(writes, 7);
        assert_eq!(deltas.len(), 2);
        let (relation, first) = &deltas[0];
        assert_eq!((*relation, first.len()), (RelationId(1), 1));
        assert_eq!(
            first[0].rows,
            concat_batches(&first[0].rows.schema(), [&rows_of(0..2), &rows_of(0..1)]).unwrap()
        );
        assert_eq!(first[0].diffs, Col::Each(vec![1, 1, -1]));
        assert_eq!(first[0].ticks, Col::Const(7, 3));
        assert_eq!(deltas[1].1, vec![Delta::uniform(rows_of(5..6), 1, 7)]);
    }

    #[test]
    fn large_batches_stay_as_they_are_and_in_their_place() {
        let writes = vec![write(1, 0..3, 1), write(1, 0..5000, 1), write(1, 7..9, 1)];
        let lengths: Vec<usize> = coalesce(writes, 1)[0].1.iter().map(Delta::len).collect();
        assert_eq!(lengths, [3, 5000, 2]);
    }

    #[test]
    fn a_run_of_small_batches_ends_at_the_bound() {
        let writes = (0..20).map(|_| write(1, 0..1000, 1)).collect();
        let lengths: Vec<usize> = coalesce(writes, 1)[0].1.iter().map(Delta::len).collect();
        assert_eq!(lengths, [8000, 8000, 4000]);
    }
}
