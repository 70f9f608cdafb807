//! `Subscriber`: one subscription on one worker: the snapshot at its as-of, then each sealed span.
//!
//! Invariant: a subscriber sees every change after its as-of exactly once, consolidated, ticks in
//! order; rows of one tick are sorted by their encoding.

use super::blocks::chunks_by_size;
use super::errors::ERROR_COLUMNS;
use super::publish::{Contents, Publication};
use crate::delta::{Col, Delta, batch_of};
use crate::engine::{SubscriptionEvent, SubscriptionSink};
use crate::error::DataError;
use crate::planted::{self, Bug};
use crate::shape::RowShape;
use crate::state::{RowCodec, Shared};
use crate::types::{DataType, Tick};

/// One subscription on one worker.
pub(crate) struct Subscriber {
    worker: usize,
    as_of: Tick,
    started: bool,
    sink: SubscriptionSink,
}

impl Subscriber {
    /// A subscription that has not seen anything yet.
    pub(crate) fn new(worker: usize, as_of: Tick, sink: SubscriptionSink) -> Subscriber {
        Subscriber { worker, as_of, started: false, sink }
    }

    /// Whether the snapshot has been sent.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// Sends the snapshot in `contents`, and what came after it, once the as-of is complete.
    /// False: the subscriber is gone.
    pub(crate) fn catch_up(&mut self, relation: &Publication, contents: Contents) -> bool {
        if relation.upper() <= self.as_of {
            return true;
        }
        self.started = true;
        let snapshot = relation.snapshot_of(self.as_of, contents.clone());
        (self.sink)(SubscriptionEvent::Snapshot { worker: self.worker, snapshot })
            && self.send(relation, &contents)
    }

    /// Sends the changes after the as-of that `contents` holds. False: the subscriber is gone.
    pub(crate) fn send(&self, relation: &Publication, contents: &Contents) -> bool {
        (self.sink)(SubscriptionEvent::Changes {
            worker: self.worker,
            changes: decode_changes(&relation.shape(), &contents.rows, self.as_of),
            errors: match relation.skips_errors() {
                true => Vec::new(),
                false => decode_errors(&contents.errors, self.as_of),
            },
            upper: relation.upper(),
        })
    }

    /// The relation was dropped, or has failed for good.
    pub(crate) fn close(self, failure: Option<&DataError>) {
        (self.sink)(match failure {
            Some(error) => SubscriptionEvent::Failed(error.clone()),
            None => SubscriptionEvent::Dropped,
        });
    }
}

/// Changes after `as_of`, consolidated, by tick and row.
fn changes_after(batches: &[Shared], as_of: Tick) -> Vec<(Tick, &[u8], i64)> {
    let mut changes: Vec<(Tick, &[u8], i64)> = Vec::new();
    for batch in batches.iter().filter(|batch| batch.tick_max() > as_of) {
        for row in (0..batch.len()).filter(|row| batch.tick(*row) > as_of) {
            changes.push((batch.tick(row), batch.key(row), batch.lane(row, 0)));
        }
    }
    changes.sort_unstable();
    changes.dedup_by(|later, kept| {
        let same = (later.0, later.1) == (kept.0, kept.1);
        if same {
            kept.2 += later.2;
        }
        same
    });
    changes.retain(|(_, _, diff)| *diff != 0);
    changes
}

fn decode_changes(shape: &RowShape, batches: &[Shared], as_of: Tick) -> Vec<Delta> {
    let mut changes = changes_after(batches, as_of);
    if planted::is_on(Bug::SubscriptionLosesRow) {
        changes.pop();
    }
    let codec = RowCodec::of_shape(shape);
    chunks_by_size(&changes, |(_, row, _)| row.len())
        .map(|chunk| decode_chunk(&codec, shape.columns(), chunk))
        .collect()
}

fn decode_chunk(codec: &RowCodec, columns: &[DataType], chunk: &[(Tick, &[u8], i64)]) -> Delta {
    let decoded = codec.decode(chunk.iter().map(|(_, row, _)| *row)).expect("a trace holds its own encoding");
    let rows = batch_of(columns, decoded, chunk.len()).expect("a trace holds its own columns");
    let mut diffs = Col::Const(0, 0);
    let mut ticks = Col::Const(0, 0);
    chunk.iter().for_each(|(tick, _, diff)| {
        diffs.push(*diff);
        ticks.push(*tick);
    });
    Delta { rows, diffs, ticks }
}

fn decode_errors(batches: &[Shared], as_of: Tick) -> Vec<(Tick, DataError, i64)> {
    let changes = changes_after(batches, as_of);
    let codec = RowCodec::new(&ERROR_COLUMNS);
    let columns =
        codec.decode(changes.iter().map(|(_, row, _)| *row)).expect("a trace holds its own encoding");
    let text = |column: usize, row: usize| {
        arrow::array::AsArray::as_string::<i32>(&columns[column]).value(row).to_owned()
    };
    let decode = |(row, (tick, _, diff)): (usize, &(Tick, &[u8], i64))| {
        (*tick, DataError { sqlstate: text(0, row), message: text(1, row) }, *diff)
    };
    changes.iter().enumerate().map(decode).collect()
}
