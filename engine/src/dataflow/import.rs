//! Import: the source through which a view reads a table or another view.
//!
//! First the snapshot from the relation's trace, then the live changes as they are sealed; in slices,
//! so that hydrating one view does not stall the others. Everything up to the as-of tick comes out at
//! the as-of tick, the rest at its own.
//! Invariant: the capability stays at the as-of until the whole snapshot is out.

use std::collections::VecDeque;
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
use super::meter::Meter;
use super::publish::{Changes, Follower, Publication, SealedChanges, errors_shape};
use super::turns::Token;
use crate::delta::{Col, Delta, Deltas, batch_of};
use crate::planted::{self, Bug};
use crate::shape::RowShape;
use crate::state::{RowCodec, Shared};
use crate::types::Tick;

/// Changes on their way out.
enum Source {
    /// Of batches.
    Sorted(Slices),
    /// As they came.
    AsTheyCame(VecDeque<Arc<Delta>>),
}

impl Source {
    /// A part of up to so many rows; `None` at the end.
    fn next(&mut self, rows_max: usize) -> Option<Arc<Delta>> {
        match self {
            Source::Sorted(slices) => slices.next(rows_max).map(Arc::new),
            Source::AsTheyCame(deltas) => {
                let delta = deltas.pop_front()?;
                if delta.len() <= rows_max {
                    return Some(delta);
                }
                deltas.push_front(Arc::new(delta.slice(rows_max, delta.len() - rows_max)));
                Some(Arc::new(delta.slice(0, rows_max)))
            }
        }
    }
}

/// Batches on their way out, and where we are in them.
struct Slices {
    codec: RowCodec,
    shape: RowShape,
    batches: Vec<Shared>,
    row: usize,
}

impl Slices {
    fn new(shape: &RowShape, mut batches: Vec<Shared>) -> Slices {
        batches.reverse();
        Slices { codec: RowCodec::of_shape(shape), shape: shape.clone(), batches, row: 0 }
    }

    /// The next rows; `None` at the end.
    fn next(&mut self, rows_max: usize) -> Option<Delta> {
        let batch = loop {
            let batch = self.batches.last()?;
            if self.row < batch.len() {
                break batch;
            }
            self.batches.pop();
            self.row = 0;
        };
        let range = self.row..self.row + rows_of_block(batch, self.row, rows_max.min(BLOCK_ROWS));
        let decoded = self.codec.decode(range.clone().map(|row| batch.key(row)));
        let columns = decoded.expect("a trace holds its own encoding");
        let rows =
            batch_of(self.shape.columns(), columns, range.len()).expect("a trace holds its own columns");
        let mut diffs = Col::Const(0, 0);
        let mut ticks = Col::Const(0, 0);
        for row in range.clone() {
            diffs.push(batch.lane(row, 0));
            ticks.push(batch.tick(row));
        }
        self.row = range.end;
        Some(Delta { rows, diffs, ticks })
    }
}

/// How many rows from `row` on make a block.
fn rows_of_block(batch: &Shared, row: usize, rows_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |row: &usize| {
        bytes += batch.key(*row).len();
        bytes <= BLOCK_BYTES
    };
    (row..batch.len()).take(rows_max).take_while(fits).count().max(1)
}

/// One span of ticks on its way out: the snapshot, or what was sealed at once after it.
struct Span {
    rows: Source,
    errors: Source,
    /// All ticks of the relation before this one are complete when the span is out.
    upper: Tick,
    is_snapshot: bool,
}

/// The state of one import.
struct Import {
    /// The relation's columns when the import began.
    shape: RowShape,
    /// How many of them the dataflow reads: it knows nothing of those that came later.
    width: usize,
    /// A stream has no past: what it passed on up to the as-of is not seen.
    has_past: bool,
    start: Start,
    span: Option<Span>,
    follower: Rc<Follower>,
    /// False where the rows come in another way, and only the errors here.
    wants_rows: bool,
    /// The relation's errors are not the reader's.
    skips_errors: bool,
    /// Told how far the snapshot is out.
    meter: Arc<Meter>,
    /// All ticks of the relation before this one are out.
    upper: Tick,
}

impl Import {
    /// Gives up to `rows_max` rows of the span at hand, then of the next ones: true while there are more.
    fn give(
        &mut self,
        rows_max: usize,
        capability: &[Capability<Tick>; 2],
        rows_out: &mut EdgeSession<'_>,
        errors_out: &mut EdgeSession<'_>,
    ) -> bool {
        let mut given = 0;
        while let Some(mut span) = self.span.take().or_else(|| self.next_span()) {
            if given >= rows_max {
                self.span = Some(span);
                return true;
            }
            if let Some(delta) = span.rows.next(rows_max - given) {
                given += delta.len();
                self.meter.give_rows(if span.is_snapshot { delta.len() } else { 0 });
                send(rows_out, &capability[0], self.see(&self.fitted(delta), span.is_snapshot));
                self.span = Some(span);
            } else if let Some(delta) = span.errors.next(rows_max - given) {
                given += delta.len();
                send(errors_out, &capability[1], self.see(&delta, span.is_snapshot));
                self.span = Some(span);
            } else {
                self.upper = span.upper;
            }
        }
        false
    }

    /// The next span that the relation has sealed.
    fn next_span(&mut self) -> Option<Span> {
        let SealedChanges { rows, errors, upper } = self.follower.queue.borrow_mut().pop_front()?;
        let rows = if self.wants_rows { rows } else { Changes::Sorted(None) };
        let errors = if self.skips_errors { Changes::Sorted(None) } else { errors };
        let (rows, errors) = (source(&self.shape, rows), source(&errors_shape(), errors));
        Some(Span { rows, errors, upper, is_snapshot: false })
    }

    /// Rows with the columns that the dataflow reads.
    fn fitted(&self, delta: Arc<Delta>) -> Arc<Delta> {
        if delta.rows.num_columns() == self.width {
            return delta;
        }
        Arc::new(self.shape.fit_delta(&delta, self.width).expect("a relation has the columns of its views"))
    }

    /// What the dataflow sees of changes: earlier ones come at its as-of tick; where it is
    /// restored they are in its own state already, and of a stream they are past.
    fn see(&self, delta: &Arc<Delta>, is_snapshot: bool) -> Deltas {
        let seen = match self.start {
            Start::Fresh(as_of) if !self.has_past => delta.since(as_of + 1),
            _ if delta.tick_min() >= self.start.upper() => Some(Arc::clone(delta)),
            Start::Fresh(as_of) => Some(Arc::new(not_before(delta, as_of))),
            Start::Restored(at) => delta.since(at),
        };
        let seen = match planted::is_on(Bug::StaleImport) && is_snapshot {
            true => seen.and_then(|delta| stale(&delta)).map(Arc::new),
            false => seen,
        };
        Deltas { list: seen.into_iter().collect() }
    }
}

/// Changes as they come out.
fn source(shape: &RowShape, changes: Changes) -> Source {
    match changes {
        Changes::AsTheyCame(deltas) => Source::AsTheyCame(deltas.into()),
        Changes::Sorted(batch) => Source::Sorted(Slices::new(shape, batch.into_iter().collect())),
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

/// Renders an import: the relation's rows with their first `width` columns, and its errors, from `start` on.
///
/// A restored dataflow has the relation's past in its own traces: it gets live changes only.
pub(crate) fn import<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
    width: usize,
) -> (Edge<'scope>, Edge<'scope>) {
    import_wanted(scope, relation, start, token, meter, Some(width))
}

/// Renders an import of the relation's errors alone.
pub(crate) fn import_errors<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
) -> Edge<'scope> {
    import_wanted(scope, relation, start, token, meter, None).1
}

fn import_wanted<'scope>(
    scope: Scope<'scope, Tick>,
    relation: &Publication,
    start: Start,
    token: &Token,
    meter: &Arc<Meter>,
    wanted: Option<usize>,
) -> (Edge<'scope>, Edge<'scope>) {
    let mut builder = OperatorBuilder::new("Import".to_owned(), scope);
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let activator = scope.activator_for(builder.operator_info().address);
    let turns = token.register(activator.clone());
    let mut state = begin(relation, start, activator, meter, wanted);
    builder.build(move |capabilities| {
        let mut capabilities: Option<[Capability<Tick>; 2]> = capabilities.try_into().ok();
        move |_frontiers| {
            if turns.is_pressed() {
                capabilities = None;
            }
            let Some(held) = capabilities.as_mut().filter(|_| turns.is_due()) else { return };
            held.iter_mut().for_each(|capability| raise(capability, state.start.upper()));
            let (mut rows_out, mut errors_out) = (rows_port.activate(), errors_port.activate());
            let goes_on = state.give(turns.portion().rows, held, &mut rows_out, &mut errors_out);
            held.iter_mut().for_each(|capability| raise(capability, state.upper));
            if state.upper == Tick::MAX {
                capabilities = None;
            } else if goes_on {
                turns.again();
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
    wanted: Option<usize>,
) -> Import {
    let mut contents = relation.contents();
    if wanted.is_none() {
        contents.rows.clear();
    }
    let (rows, errors) = match start {
        Start::Fresh(_) if relation.skips_errors() => (contents.rows, Vec::new()),
        Start::Fresh(_) => (contents.rows, contents.errors),
        Start::Restored(_) => (Vec::new(), Vec::new()),
    };
    activator.activate();
    meter.expect_rows(rows.iter().map(|batch| batch.len()).sum());
    let shape = relation.shape();
    let snapshot = Span {
        rows: Source::Sorted(Slices::new(&shape, rows)),
        errors: Source::Sorted(Slices::new(&errors_shape(), errors)),
        upper: relation.upper(),
        is_snapshot: true,
    };
    Import {
        width: wanted.unwrap_or(0),
        shape,
        has_past: relation.keeps_rows(),
        start,
        span: Some(snapshot),
        follower: relation.follow(activator),
        wants_rows: wanted.is_some(),
        skips_errors: relation.skips_errors(),
        meter: Arc::clone(meter),
        upper: 0,
    }
}

/// Downgrades a capability to `tick`, if that is later.
fn raise(capability: &mut Capability<Tick>, tick: Tick) {
    if *capability.time() < tick {
        capability.downgrade(&tick);
    }
}
