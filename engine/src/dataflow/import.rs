//! Import: the source through which a view reads a table or another view.
//!
//! First the snapshot from the relation's trace, in slices of one block an activation, so
//! that hydrating one view does not stall the others; then the live Arrow changes as they are
//! sealed. Everything up to the as-of tick comes out at the as-of tick, the rest at its own.
//! Invariant: the capability stays at the as-of until the whole snapshot is out.

use std::rc::Rc;
use std::sync::Arc;

use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::scheduling::Activator;

use super::arrangement::Start;
use super::blocks::{BLOCK_BYTES, BLOCK_ROWS};
use super::edge::{Edge, EdgeOutput, EdgeSession, send};
use super::errors::ERROR_COLUMNS;
use super::meter::Meter;
use super::publish::{Follower, Publication, SealedChanges};
use super::token::Token;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::planted::{self, Bug};
use crate::state::{RowCodec, Shared};
use crate::types::{DataType, Tick};

/// A snapshot's activation ends after so many rows: one block, since everything that the view does with
/// them comes before another view's turn (measured: benches/src/hydration.rs).
const SLICE_ROWS: usize = BLOCK_ROWS;

/// A snapshot on its way out: batches, and where we are in them.
struct Slices {
    codec: RowCodec,
    columns: Vec<DataType>,
    batches: Vec<Shared>,
    row: usize,
}

impl Slices {
    fn new(columns: &[DataType], mut batches: Vec<Shared>) -> Slices {
        batches.reverse();
        Slices { codec: RowCodec::new(columns), columns: columns.to_vec(), batches, row: 0 }
    }

    /// The next rows, at `as_of` or later; `None` at the end.
    fn next(&mut self, as_of: Tick) -> Option<Delta> {
        let batch = loop {
            let batch = self.batches.last()?;
            if self.row < batch.len() {
                break batch;
            }
            self.batches.pop();
            self.row = 0;
        };
        let range = self.row..self.row + rows_of_block(batch, self.row);
        let decoded = self.codec.decode(range.clone().map(|row| batch.key(row)));
        let columns = decoded.expect("a trace holds its own encoding");
        let rows = batch_of(&self.columns, columns, range.len()).expect("a trace holds its own columns");
        let mut diffs = Col::Const(0, 0);
        let mut ticks = Col::Const(0, 0);
        for row in range.clone() {
            diffs.push(batch.lane(row, 0));
            ticks.push(batch.tick(row).max(as_of));
        }
        self.row = range.end;
        Some(Delta { rows, diffs, ticks })
    }
}

/// How many rows from `row` on make a block.
fn rows_of_block(batch: &Shared, row: usize) -> usize {
    let mut bytes = 0;
    let fits = |row: &usize| {
        bytes += batch.key(*row).len();
        bytes <= BLOCK_BYTES
    };
    (row..batch.len()).take(BLOCK_ROWS).take_while(fits).count().max(1)
}

/// The state of one import.
struct Import {
    /// A stream has no past: what it passed on up to the as-of is not seen.
    has_past: bool,
    start: Start,
    rows: Slices,
    errors: Slices,
    follower: Rc<Follower>,
    /// False where the rows come in another way, and only the errors here.
    wants_rows: bool,
    /// The relation's errors are not the reader's.
    skips_errors: bool,
    /// Told how far the snapshot is out.
    meter: Arc<Meter>,
    /// All ticks of the relation before this one are in the snapshot or the queue.
    upper: Tick,
}

impl Import {
    /// Gives up to a slice; true while the snapshot goes on.
    fn give_snapshot(
        &mut self,
        capability: &[Capability<Tick>; 2],
        rows_out: &mut EdgeSession<'_>,
        errors_out: &mut EdgeSession<'_>,
    ) -> bool {
        let mut given = 0;
        while given < SLICE_ROWS {
            if let Some(delta) = self.rows.next(self.start.upper()) {
                given += delta.len();
                self.meter.give_rows(delta.len());
                let Some(delta) = self.after_as_of(delta) else { continue };
                let delta = if planted::is_on(Bug::StaleImport) { stale(&delta) } else { Some(delta) };
                send(rows_out, &capability[0], delta.map(Deltas::one).unwrap_or_default());
            } else if let Some(delta) = self.errors.next(self.start.upper()) {
                given += delta.len();
                send(errors_out, &capability[1], Deltas::one(delta));
            } else {
                return false;
            }
        }
        true
    }

    /// Gives everything that was sealed since the last time.
    fn give_live(
        &mut self,
        capability: &[Capability<Tick>; 2],
        rows_out: &mut EdgeSession<'_>,
        errors_out: &mut EdgeSession<'_>,
    ) {
        let queue = std::mem::take(&mut *self.follower.queue.borrow_mut());
        for SealedChanges { rows, errors, upper } in queue {
            if self.wants_rows {
                send(rows_out, &capability[0], self.see(rows));
            }
            if !self.skips_errors {
                send(errors_out, &capability[1], self.see(errors));
            }
            self.upper = upper;
        }
    }
}

impl Import {
    /// What the dataflow sees of live changes: earlier ones come at its as-of tick; where it is
    /// restored they are in its own state already, and of a stream they are past.
    fn see(&self, list: Vec<Arc<Delta>>) -> Deltas {
        let see = |delta: Arc<Delta>| match self.start {
            Start::Fresh(as_of) if !self.has_past => only_from(&delta, as_of + 1).map(Arc::new),
            _ if delta.tick_min() >= self.start.upper() => Some(delta),
            Start::Fresh(as_of) => Some(Arc::new(not_before(&delta, as_of))),
            Start::Restored(at) => only_from(&delta, at).map(Arc::new),
        };
        Deltas { list: list.into_iter().filter_map(see).collect() }
    }

    /// A part of the snapshot; of a stream only what came after the as-of.
    fn after_as_of(&self, delta: Delta) -> Option<Delta> {
        if self.has_past { Some(delta) } else { only_from(&delta, self.start.upper() + 1) }
    }
}

/// A planted bug: the snapshot lacks its last row.
fn stale(delta: &Delta) -> Option<Delta> {
    (delta.len() > 1).then(|| delta.slice(0, delta.len() - 1))
}

/// The changes with their ticks moved up to `as_of`.
fn not_before(delta: &Delta, as_of: Tick) -> Delta {
    let mut ticks = Col::Const(0, 0);
    delta.ticks.iter().for_each(|tick| ticks.push(tick.max(as_of)));
    Delta { rows: delta.rows.clone(), diffs: delta.diffs.clone(), ticks }
}

/// The changes at or after `at`.
fn only_from(delta: &Delta, at: Tick) -> Option<Delta> {
    let rows: Vec<u32> =
        (0..delta.len()).filter(|row| delta.ticks.get(*row) >= at).map(|row| row as u32).collect();
    (!rows.is_empty()).then(|| delta.take(&rows).expect("row positions are in range"))
}

/// Renders an import: the relation's rows and its errors, from `start` on.
///
/// A restored dataflow has the relation's past in its own traces: it gets live changes only.
pub(crate) fn import<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
) -> (Edge<'scope>, Edge<'scope>) {
    import_wanted(scope, relation, start, token, meter, true)
}

/// Renders an import of the relation's errors alone.
pub(crate) fn import_errors<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
) -> Edge<'scope> {
    import_wanted(scope, relation, start, token, meter, false).1
}

fn import_wanted<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
    wants_rows: bool,
) -> (Edge<'scope>, Edge<'scope>) {
    let mut builder = OperatorBuilder::new("Import".to_owned(), scope);
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let activator = scope.activator_for(builder.operator_info().address);
    let token = token.register(activator.clone());
    let mut state = begin(relation, start, activator.clone(), meter, wants_rows);
    builder.build(move |capabilities| {
        let mut capabilities: Option<[Capability<Tick>; 2]> = capabilities.try_into().ok();
        move |_frontiers| {
            if token.is_pressed() {
                capabilities = None;
            }
            let Some(held) = capabilities.as_mut() else { return };
            held.iter_mut().for_each(|capability| raise(capability, state.start.upper()));
            let (mut rows_out, mut errors_out) = (rows_port.activate(), errors_port.activate());
            if state.give_snapshot(held, &mut rows_out, &mut errors_out) {
                activator.activate();
                return;
            }
            state.give_live(held, &mut rows_out, &mut errors_out);
            held.iter_mut().for_each(|capability| raise(capability, state.upper));
            if state.upper == Tick::MAX {
                capabilities = None;
            }
        }
    });
    (rows, errors)
}

/// The snapshot and the queue, taken at the same moment.
fn begin(
    relation: &Publication,
    start: Start,
    activator: Activator,
    meter: &Arc<Meter>,
    wants_rows: bool,
) -> Import {
    let mut contents = relation.contents();
    if !wants_rows {
        contents.rows.clear();
    }
    let (rows, errors) = match start {
        Start::Fresh(_) if relation.skips_errors() => (contents.rows, Vec::new()),
        Start::Fresh(_) => (contents.rows, contents.errors),
        Start::Restored(_) => (Vec::new(), Vec::new()),
    };
    activator.activate();
    meter.expect_rows(rows.iter().map(|batch| batch.len()).sum());
    Import {
        has_past: relation.keeps_rows(),
        start,
        rows: Slices::new(&relation.columns, rows),
        errors: Slices::new(&ERROR_COLUMNS, errors),
        follower: relation.follow(activator),
        wants_rows,
        skips_errors: relation.skips_errors(),
        meter: Arc::clone(meter),
        upper: relation.upper(),
    }
}

/// Downgrades a capability to `tick`, if that is later.
fn raise(capability: &mut Capability<Tick>, tick: Tick) {
    if *capability.time() < tick {
        capability.downgrade(&tick);
    }
}
