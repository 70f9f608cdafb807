//! `Publication`: what a table or a view offers to others on one worker.
//!
//! Two things, sealed together at one upper: its changes as Arrow batches, as they come (imports of
//! other dataflows follow these: stateless views never pay for sorting), and its arrangement (reads,
//! snapshots of imports, subscriptions). Rows and errors are two collections with one upper.
//!
//! ```text
//!   rows ───exchange by row──▶ publish ──▶ trace of rows    ──▶ reads
//!   errors ─exchange by row──▶    │    ──▶ trace of errors
//!                                 └── at each seal ──▶ followers (imports), subscribers
//! ```

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;
use timely::scheduling::Activator;

use super::arrangement::{
    Arrangement, SavedTrace, Sealing, Start, TraceHandle, batches_of, compact, observer,
};
use super::edge::{Distribution, Edge, by_leading_columns, exchange};
use super::errors::{ERROR_COLUMNS, in_relation};
use super::meter::{Meter, Waiting};
use super::negative::NegativeRows;
use super::subscribe::Subscriber;
use super::turns::Token;
use crate::delta::Delta;
use crate::engine::SubscriptionSink;
use crate::error::DataError;
use crate::shape::RowShape;
use crate::snapshot::Snapshot;
use crate::state::{ByteRows, Lanes, RowCodec, Shared, UpdateBatcher, Updates};
use crate::types::{DataType, Tick};

/// A relation's offer to imports, reads and subscriptions of the same worker.
pub(crate) struct Publication {
    /// The columns of its rows; a table may get others.
    shape: RefCell<RowShape>,
    /// What errors call it.
    name: Arc<str>,
    /// Readers go on where rows are in error: they see the others.
    skips_errors: bool,
    worker: usize,
    keep_rows: bool,
    upper: Cell<Tick>,
    since: Cell<Tick>,
    rows: RefCell<TraceHandle>,
    errors: RefCell<TraceHandle>,
    /// A stream keeps no rows; what it passed on after its since is still here, for imports and
    /// subscriptions that start at a tick which is being held.
    recent: RefCell<VecDeque<SealedChanges>>,
    started: Tick,
    followers: RefCell<Vec<Weak<Follower>>>,
    subscribers: RefCell<Vec<Subscriber>>,
}

/// One import's queue of sealed changes.
pub(crate) struct Follower {
    /// What was sealed and not taken yet. Bounded by the coordinator's back-pressure: it stops
    /// commits while too much is committed and not applied.
    pub(crate) queue: RefCell<VecDeque<SealedChanges>>,
    activator: Activator,
}

/// The changes of a span of ticks that ends before `upper`.
#[derive(Clone)]
pub(crate) struct SealedChanges {
    /// Changes of rows.
    pub(crate) rows: Changes,
    /// Changes of errors.
    pub(crate) errors: Changes,
    /// All ticks before this one are complete.
    pub(crate) upper: Tick,
}

/// The changes of one span.
#[derive(Clone)]
pub(crate) enum Changes {
    /// As they came, not consolidated.
    AsTheyCame(Vec<Arc<Delta>>),
    /// The first span of a view, which has all that the view was made from: its batch.
    Sorted(Option<Shared>),
}

impl SealedChanges {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.errors.is_empty()
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        match self {
            Changes::AsTheyCame(deltas) => deltas.is_empty(),
            Changes::Sorted(batch) => batch.is_none(),
        }
    }

    /// As one batch.
    fn sorted(&self, shape: &RowShape) -> Option<Shared> {
        let deltas = match self {
            Changes::AsTheyCame(deltas) => deltas,
            Changes::Sorted(batch) => return batch.clone(),
        };
        let mut codec = Codec::new(shape.clone());
        let mut batcher = UpdateBatcher::new();
        deltas.iter().for_each(|delta| codec.insert(delta, |updates| batcher.insert(updates)));
        batcher.extract(None)
    }
}

/// A relation's rows and errors at the moment when an import or a read asks.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    /// Batches of rows.
    pub(crate) rows: Vec<Shared>,
    /// Batches of errors.
    pub(crate) errors: Vec<Shared>,
}

impl Publication {
    /// The columns of its rows, as they are now.
    pub(crate) fn shape(&self) -> RowShape {
        self.shape.borrow().clone()
    }

    /// The table has more columns from now on.
    pub(crate) fn widen(&self, shape: RowShape) {
        self.shape.replace(shape);
    }

    /// All ticks before this one are complete on this worker.
    pub(crate) fn upper(&self) -> Tick {
        self.upper.get()
    }

    /// The first tick that can still be read.
    pub(crate) fn since(&self) -> Tick {
        self.since.get()
    }

    /// Whether the relation shows more than the emptiness before its first seal.
    pub(crate) fn is_hydrated(&self) -> bool {
        self.upper() > self.started
    }

    /// Everything sealed so far that is kept: a stream's rows back to its since only.
    pub(crate) fn contents(&self) -> Contents {
        if !self.keep_rows {
            let recent = self.recent.borrow();
            return Contents {
                rows: recent.iter().filter_map(|changes| changes.rows.sorted(&self.shape())).collect(),
                errors: recent.iter().filter_map(|changes| changes.errors.sorted(&errors_shape())).collect(),
            };
        }
        Contents { rows: batches_of(&self.rows.borrow()), errors: batches_of(&self.errors.borrow()) }
    }

    /// This worker's share at `tick`, which is complete and not compacted away.
    pub(crate) fn snapshot(&self, tick: Tick) -> Snapshot {
        self.snapshot_of(tick, self.contents())
    }

    /// The share at `tick` that `contents` holds; a stream holds nothing at any tick.
    pub(crate) fn snapshot_of(&self, tick: Tick, contents: Contents) -> Snapshot {
        let Contents { rows, errors } = if self.keep_rows { contents } else { Contents::default() };
        let snapshot =
            Snapshot::new(Vec::new(), tick, rows, errors).shaped(self.shape()).named(Arc::clone(&self.name));
        if self.skips_errors { snapshot.skipping_errors() } else { snapshot }
    }

    /// Whether readers see the other rows where some are in error.
    pub(crate) fn skips_errors(&self) -> bool {
        self.skips_errors
    }

    /// Whether rows are kept: false for streams.
    pub(crate) fn keeps_rows(&self) -> bool {
        self.keep_rows
    }

    /// Queues all changes sealed from now on for an import.
    pub(crate) fn follow(&self, activator: Activator) -> Rc<Follower> {
        let follower = Rc::new(Follower { queue: RefCell::default(), activator });
        self.followers.borrow_mut().push(Rc::downgrade(&follower));
        follower
    }

    /// Sends the snapshot at `as_of` and everything after it, once it is complete.
    pub(crate) fn subscribe(&self, as_of: Tick, sink: SubscriptionSink) {
        let mut subscriber = Subscriber::new(self.worker, as_of, sink);
        if subscriber.catch_up(self, self.contents()) {
            self.subscribers.borrow_mut().push(subscriber);
        }
    }

    /// Forgets history before `since`.
    pub(crate) fn compact(&self, since: Tick) {
        if since > self.since.get() {
            self.since.set(since);
            compact(&mut self.rows.borrow_mut(), since);
            compact(&mut self.errors.borrow_mut(), since);
            self.recent.borrow_mut().retain(|changes| changes.upper > since + 1);
        }
    }

    /// The traces, for saving: rows, then errors.
    pub(crate) fn traces(&self) -> Vec<TraceHandle> {
        vec![observer(&self.rows.borrow()), observer(&self.errors.borrow())]
    }

    /// Tells subscribers that the relation is gone, or why it has failed.
    pub(crate) fn close(&self, failure: Option<&DataError>) {
        self.subscribers.borrow_mut().drain(..).for_each(|subscriber| subscriber.close(failure));
    }

    fn sealed(&self, changes: SealedChanges, rows: Option<Shared>, errors: Option<Shared>) {
        self.upper.set(changes.upper);
        self.followers.borrow_mut().retain(|follower| follower.upgrade().is_some());
        for follower in self.followers.borrow().iter().filter_map(Weak::upgrade) {
            follower.queue.borrow_mut().push_back(changes.clone());
            follower.activator.activate();
        }
        let mut subscribers = std::mem::take(&mut *self.subscribers.borrow_mut());
        let mut fresh = Contents { rows: rows.into_iter().collect(), errors: errors.into_iter().collect() };
        if !self.keep_rows && !changes.is_empty() {
            if !subscribers.is_empty() {
                fresh.rows.extend(changes.rows.sorted(&self.shape()));
                fresh.errors.extend(changes.errors.sorted(&errors_shape()));
            }
            self.recent.borrow_mut().push_back(changes);
        }
        subscribers.retain_mut(|subscriber| match subscriber.is_started() {
            true => subscriber.send(self, &fresh),
            false => subscriber.catch_up(self, self.contents()),
        });
        self.subscribers.borrow_mut().extend(subscribers);
    }
}

/// How a publication is made.
pub(crate) struct PublishSpec {
    /// The columns' types.
    pub(crate) columns: Vec<DataType>,
    /// False for streams: changes pass, nothing is kept.
    pub(crate) keep_rows: bool,
    /// Whether equal rows come in at one worker, so that they need not be brought together.
    pub(crate) is_placed: bool,
    /// Where it starts.
    pub(crate) start: Start,
    /// Saved rows and errors, where it is restored.
    pub(crate) saved: Option<[SavedTrace; 2]>,
    /// What errors call it.
    pub(crate) name: Arc<str>,
    /// Readers go on where rows are in error.
    pub(crate) skips_errors: bool,
    /// Counts what waits; none for tables, of which nothing waits for long.
    pub(crate) meter: Option<Arc<Meter>>,
    /// Rows are checked for what lacks: of tables that keep them.
    pub(crate) checks_counts: bool,
}

/// Half of a publication: its rows or its errors.
struct Half {
    arrangement: Arrangement,
    /// False for streams: nothing enters the trace.
    keep: bool,
    /// The first span of a view is still to be sealed: nothing is kept beside its batch.
    hydrates: bool,
    pending: Vec<Arc<Delta>>,
    /// The bytes of `pending`, and where they are counted.
    pending_bytes: usize,
    waiting: Option<Waiting>,
}

impl Half {
    fn insert(&mut self, deltas: Vec<Arc<Delta>>, codec: &mut Codec) {
        for delta in deltas {
            if self.keep {
                codec.insert(&delta, |updates| self.arrangement.insert(updates));
            }
            let Some(delta) = self.beyond_first_span(delta) else { continue };
            if self.waiting.is_some() {
                self.pending_bytes += delta.bytes();
            }
            self.pending.push(delta);
        }
        self.count_waiting();
    }

    /// The part of a delta that followers are given as it came.
    fn beyond_first_span(&self, delta: Arc<Delta>) -> Option<Arc<Delta>> {
        if !self.hydrates {
            return Some(delta);
        }
        delta.since(self.arrangement.upper() + 1)
    }

    /// Tells the meter what waits; forgets it where the view goes.
    fn count_waiting(&mut self) {
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.is_stopped() {
            self.pending.clear();
            self.pending_bytes = 0;
        }
        waiting.set(self.pending_bytes);
    }

    /// Completes the ticks before `until`, which is prepared: the changes, and the batch of them.
    fn seal(&mut self, until: Tick) -> (Changes, Option<Shared>) {
        let batch = self.arrangement.seal(until);
        let upper = Some(until).filter(|until| *until < Tick::MAX);
        let sealed = split_before(&mut self.pending, upper);
        if self.waiting.is_some() {
            self.pending_bytes = self.pending.iter().map(|delta| delta.bytes()).sum();
            self.count_waiting();
        }
        let first = std::mem::take(&mut self.hydrates);
        let changes = if first { Changes::Sorted(batch.clone()) } else { Changes::AsTheyCame(sealed) };
        (changes, batch)
    }
}

/// Renders the publication of a dataflow's rows and errors.
pub(crate) fn publish<'scope>(
    rows: Edge<'scope>,
    errors: Edge<'scope>,
    spec: PublishSpec,
    token: &Token,
) -> Rc<Publication> {
    let scope = rows.scope();
    let worker = scope.worker().index();
    let mut builder = OperatorBuilder::new("Publish".to_owned(), scope);
    let stay = spec.is_placed || !spec.keep_rows;
    let distribution =
        if stay { Distribution::Here(worker) } else { Distribution::ByColumns(spec.columns.len()) };
    let mut rows = builder.new_input(rows, exchange(distribution));
    let mut errors = builder.new_input(errors, by_leading_columns(ERROR_COLUMNS.len()));
    let info = builder.operator_info();
    let turns = token.register(scope.activator_for(Rc::clone(&info.address)));
    let [saved_rows, saved_errors] = spec.saved.map_or([None, None], |saved| saved.map(Some));
    let half = |saved| {
        let arrangement = Arrangement::new(scope, &info, spec.start, saved, &turns);
        Half {
            arrangement: match &spec.meter {
                Some(meter) => arrangement.metered(meter),
                None => arrangement,
            },
            keep: spec.keep_rows,
            hydrates: spec.meter.is_some() && matches!(spec.start, Start::Fresh(_)),
            pending: Vec::new(),
            pending_bytes: 0,
            waiting: spec.meter.as_ref().map(|meter| Waiting::new(meter, worker)),
        }
    };
    let mut row_half = half(saved_rows);
    let mut error_half = half(saved_errors);
    let shape = RowShape::new(&spec.columns);
    let (mut codec, mut error_codec) = (Codec::new(shape.clone()), Codec::new(errors_shape()));
    let publication = Rc::new(Publication {
        shape: RefCell::new(shape),
        name: Arc::clone(&spec.name),
        skips_errors: spec.skips_errors,
        worker,
        keep_rows: spec.keep_rows,
        upper: Cell::new(spec.start.upper()),
        since: Cell::new(0),
        rows: RefCell::new(row_half.arrangement.handle()),
        errors: RefCell::new(error_half.arrangement.handle()),
        recent: RefCell::default(),
        started: spec.start.upper(),
        followers: RefCell::default(),
        subscribers: RefCell::default(),
    });
    publication.compact(spec.start.upper().saturating_sub(1));
    row_half.arrangement.release();
    error_half.arrangement.release();
    let shared = Rc::clone(&publication);
    let mut negative = spec.checks_counts.then(|| NegativeRows::new(&spec.name));
    let mut sealing = Sealing::default();
    // Rows with columns of which this worker has not been told: another one may be ahead of it in the sequence. It is told
    // before it is told of their commit, and so before their tick is sealed.
    let mut early: Vec<Arc<Delta>> = Vec::new();
    builder.build(move |_capabilities| {
        move |frontiers: &[MutableAntichain<Tick>]| {
            codec.follow(&shared.shape.borrow());
            row_half.insert(codec.known(std::mem::take(&mut early), &mut early), &mut codec);
            rows.for_each(|_, deltas| {
                let known = codec.known(std::mem::take(&mut deltas.list), &mut early);
                row_half.insert(known, &mut codec);
            });
            errors.for_each(|_, deltas| {
                let named =
                    std::mem::take(&mut deltas.list).into_iter().map(|d| in_relation(d, &shared.name));
                error_half.insert(named.collect(), &mut error_codec);
            });
            let mut fuel = turns.portion().seal_fuel;
            while turns.is_due()
                && let Some(until) = sealing.until(least(frontiers), shared.upper())
            {
                // Of a table the errors follow from the rows.
                let ready = row_half.arrangement.prepare(until, &mut fuel)
                    && (negative.is_some() || error_half.arrangement.prepare(until, &mut fuel));
                if !ready {
                    turns.again();
                    break;
                }
                sealing.done();
                let before = if negative.is_some() { row_half.arrangement.batches() } else { Vec::new() };
                let (rows, row_batch) = row_half.seal(until);
                if let Some(negative) = &mut negative {
                    let lacking = row_batch.as_ref().and_then(|batch| negative.check(batch, &before));
                    error_half.insert(lacking.map(Arc::new).into_iter().collect(), &mut error_codec);
                    error_half.arrangement.prepare(until, &mut isize::MAX.clone());
                }
                let (errors, error_batch) = error_half.seal(until);
                shared.sealed(SealedChanges { rows, errors, upper: until }, row_batch, error_batch);
            }
            row_half.arrangement.exert();
            error_half.arrangement.exert();
        }
    });
    publication
}

/// The least tick of the frontiers; `None` where all are closed.
pub(crate) fn least(frontiers: &[MutableAntichain<Tick>]) -> Option<Tick> {
    frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min()
}

/// The shape of error rows.
pub(crate) fn errors_shape() -> RowShape {
    RowShape::new(&ERROR_COLUMNS)
}

/// Encodes rows of a relation that may get columns: those that were on their way then lack them.
struct Codec {
    shape: RowShape,
    /// By how many columns the rows have: one or two at a time.
    by_width: Vec<(usize, RowCodec)>,
}

impl Codec {
    fn new(shape: RowShape) -> Codec {
        Codec { shape, by_width: Vec::new() }
    }

    /// The relation has this shape now.
    fn follow(&mut self, shape: &RowShape) {
        if self.shape != *shape {
            *self = Codec::new(shape.clone());
        }
    }

    /// The deltas whose columns are all known; the others wait.
    fn known(&self, deltas: Vec<Arc<Delta>>, early: &mut Vec<Arc<Delta>>) -> Vec<Arc<Delta>> {
        let width = self.shape.columns().len();
        let (known, others) = deltas.into_iter().partition(|delta| delta.rows.num_columns() <= width);
        early.extend::<Vec<Arc<Delta>>>(others);
        known
    }

    /// Inserts a delta's rows as whole rows of a multiset.
    fn insert(&mut self, delta: &Delta, insert: impl FnOnce(Updates)) {
        match row_updates(self.of_width(delta.rows.num_columns()), delta) {
            Ok(updates) => insert(updates),
            // Unreachable for rows of the relation's own types; a silent loss would be worse.
            Err(error) => tracing::error!(%error, "a row could not be encoded and is not kept"),
        }
    }

    fn of_width(&mut self, width: usize) -> &RowCodec {
        let at = self.by_width.iter().position(|(of, _)| *of == width).unwrap_or_else(|| {
            self.by_width.push((width, RowCodec::of_shape(&self.shape.first(width))));
            self.by_width.len() - 1
        });
        &self.by_width[at].1
    }
}

/// Whole rows as keys of a multiset.
fn row_updates(codec: &RowCodec, delta: &Delta) -> Result<Updates, DataError> {
    let keys = codec.encode(delta.rows.columns(), delta.len())?;
    let values = ByteRows::empty_rows(delta.len());
    Ok(Updates { keys, values, ticks: delta.ticks.clone(), lanes: Lanes::One(delta.diffs.clone()) })
}

/// Takes the changes before `upper` out of `pending`, in order.
fn split_before(pending: &mut Vec<Arc<Delta>>, upper: Option<Tick>) -> Vec<Arc<Delta>> {
    let Some(upper) = upper else { return std::mem::take(pending) };
    let mut before = Vec::new();
    for delta in std::mem::take(pending) {
        let (early, late): (Vec<u32>, Vec<u32>) =
            (0..delta.len() as u32).partition(|row| delta.ticks.get(*row as usize) < upper);
        if late.is_empty() {
            before.push(delta);
        } else if early.is_empty() {
            pending.push(delta);
        } else {
            let part = |rows: &[u32]| Arc::new(delta.take(rows).expect("row positions are in range"));
            before.push(part(&early));
            pending.push(part(&late));
        }
    }
    before
}
