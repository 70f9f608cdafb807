//! The rows of a group, table by table: many small batches become few.
//!
//! A batch of one row costs the log and the engine nearly what a thousand cost, so a burst of
//! one-row commits travels as one batch. Order within a table stays: it does not matter to the
//! engine (one tick), but the log should say what happened.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use millrace_engine::{Col, Delta, RelationId, Tick};

use super::request::Write;

/// Batches of more rows than this stay as they are.
const SMALL_ROWS: usize = 1024;
/// Small batches are put together up to this many rows.
const MERGED_ROWS: usize = 8192;

/// The writes as deltas at `tick`, each table once.
pub(crate) fn coalesce(writes: Vec<Write>, tick: Tick) -> Vec<(RelationId, Vec<Delta>)> {
    let mut tables: BTreeMap<RelationId, Vec<Write>> = BTreeMap::new();
    for write in writes.into_iter().filter(|write| write.rows.num_rows() > 0) {
        tables.entry(write.relation).or_default().push(write);
    }
    tables.into_iter().map(|(relation, writes)| (relation, merge(writes, tick))).collect()
}

fn merge(writes: Vec<Write>, tick: Tick) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let mut run: Vec<Write> = Vec::new();
    let mut run_rows = 0;
    for write in writes {
        let rows = write.rows.num_rows();
        if rows > SMALL_ROWS || run_rows + rows > MERGED_ROWS {
            flush(&mut run, tick, &mut deltas);
            run_rows = 0;
        }
        if rows > SMALL_ROWS {
            deltas.push(Delta::uniform(write.rows, write.diff, tick));
        } else {
            run_rows += rows;
            run.push(write);
        }
    }
    flush(&mut run, tick, &mut deltas);
    deltas
}

/// One delta of the run; where the batches do not fit together (they always should), one each.
fn flush(run: &mut Vec<Write>, tick: Tick, deltas: &mut Vec<Delta>) {
    let Some(first) = run.first() else { return };
    let batches: Vec<&RecordBatch> = run.iter().map(|write| &write.rows).collect();
    let merged = if run.len() > 1 && first.rows.num_columns() > 0 {
        concat_batches(&first.rows.schema(), batches).ok()
    } else {
        None
    };
    match merged {
        Some(rows) => {
            let mut diffs = Col::Const(1, 0);
            for write in run.drain(..) {
                (0..write.rows.num_rows()).for_each(|_| diffs.push(write.diff));
            }
            let ticks = Col::Const(tick, rows.num_rows());
            deltas.push(Delta { rows, diffs, ticks });
        }
        None => deltas.extend(run.drain(..).map(|write| Delta::uniform(write.rows, write.diff, tick))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use millrace_engine::{DataType, batch_of};

    use super::*;

    fn write(relation: u64, values: std::ops::Range<i32>, diff: i64) -> Write {
        let rows = values.len();
        let column = Arc::new(Int32Array::from_iter_values(values));
        let rows = batch_of(&[DataType::Int32], vec![column], rows).unwrap();
        Write { relation: RelationId(relation), rows, diff }
    }

    #[test]
    fn small_batches_of_a_table_become_one_and_keep_their_diffs() {
        let writes = vec![write(1, 0..2, 1), write(2, 5..6, 1), write(1, 0..1, -1), write(1, 3..3, 1)];
        let deltas = coalesce(writes, 7);
        assert_eq!(deltas.len(), 2);
        let (relation, first) = &deltas[0];
        assert_eq!((*relation, first.len()), (RelationId(1), 1));
        assert_eq!(first[0].rows, concat_batches(&first[0].rows.schema(), [&write(1, 0..2, 1).rows, &write(1, 0..1, 1).rows]).unwrap());
        assert_eq!(first[0].diffs, Col::Each(vec![1, 1, -1]));
        assert_eq!(first[0].ticks, Col::Const(7, 3));
        assert_eq!(deltas[1].1, vec![Delta::uniform(write(2, 5..6, 1).rows, 1, 7)]);
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
