//! What drives the hand-written side: timely workers, each with its share of every tick.

use std::sync::{Arc, Barrier, Mutex};

use differential_dataflow::difference::Multiply;
use differential_dataflow::{AsCollection, VecCollection};
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::vec::{Input, Map};
use timely::dataflow::{InputHandle, Scope, StreamVec};
use timely::worker::Worker;

use crate::WORKERS;
use crate::consumer::{RowHash, Seen};
use crate::events::{Events, TickEvents};
use crate::measure::{Measured, Meter, What};
use crate::programs::{Group, Q3, Q4, Q8, Q9, Q18, Q20};
use crate::queries::Query;

pub(crate) type Tick = u64;
/// A collection: the diffs may be negative, as a retraction's is.
pub(crate) type Rows<'scope, D> = VecCollection<'scope, Tick, D, i64>;

/// Rows of one tick and one diff, as columns; deltas on our side have both as constants, too.
#[derive(Clone)]
pub(crate) struct Batch<C> {
    tick: Tick,
    diff: i64,
    columns: C,
}

/// What comes in: a worker's share of each tick.
pub(crate) type Batches<'scope, C> = StreamVec<'scope, Tick, Batch<C>>;

/// The first tick of events.
const FIRST: Tick = 2;
/// How many ticks an input may be ahead of the output, as on our side.
const AHEAD: Tick = 4;

/// A query, as someone would write it who knows differential and the query: of at most two inputs,
/// with the columns that it needs.
pub(crate) trait Program: 'static {
    /// A tick's columns of the first input.
    type Left: Clone + Send + 'static;
    /// A tick's columns of the second input.
    type Right: Clone + Send + 'static;

    /// A tick's events as they come in: made before the clock starts.
    fn columns(events: TickEvents) -> (Self::Left, Self::Right);

    /// The dataflow, up to the consumer.
    fn build<'scope>(left: Batches<'scope, Self::Left>, right: Batches<'scope, Self::Right>, end: End);
}

/// What a program makes of its input: rows with their multiplicities or addends.
pub(crate) fn updates<'scope, C: 'static, D, R, I>(
    batches: Batches<'scope, C>,
    mut of: impl FnMut(C) -> I + 'static,
) -> VecCollection<'scope, Tick, D, R>
where
    D: Clone + 'static,
    R: Multiply<i64, Output = R> + Clone + 'static,
    I: IntoIterator<Item = (D, R)>,
{
    let update = |tick, diff| move |(row, addend): (D, R)| (row, tick, addend.multiply(&diff));
    batches
        .flat_map(move |batch| of(batch.columns).into_iter().map(update(batch.tick, batch.diff)))
        .as_collection()
}

/// The rows of columns that hold whole rows.
pub(crate) fn rows<'scope, D: Clone + 'static>(batches: Batches<'scope, Vec<D>>) -> Rows<'scope, D> {
    updates(batches, |rows| rows.into_iter().map(|row| (row, 1)))
}

/// Where a program's output goes.
pub(crate) struct End {
    seen: Arc<Seen>,
    probe: Probe<Tick>,
}

impl End {
    /// Counts and hashes every change.
    pub(crate) fn consume<D: Clone + 'static, R: Copy + Into<i64> + 'static>(
        self,
        rows: VecCollection<'_, Tick, D, R>,
        mut hash: impl FnMut(RowHash, &D) -> RowHash + 'static,
    ) {
        let End { seen, probe } = self;
        let noted = rows.inspect_batch(move |_, changes| {
            seen.note(changes.iter().map(|(row, _, diff)| (hash(RowHash::new(), row), (*diff).into())));
        });
        noted.probe_with(&probe);
    }
}

/// Runs the query's program over the events.
pub(crate) fn measure(query: Query, events: &dyn Fn() -> Events, what: What) -> Measured {
    match query {
        Query::Group => run::<Group>(events, what),
        Query::Q3 => run::<Q3>(events, what),
        Query::Q4 => run::<Q4>(events, what),
        Query::Q8 => run::<Q8>(events, what),
        Query::Q9 => run::<Q9>(events, what),
        Query::Q18 => run::<Q18>(events, what),
        Query::Q20 => run::<Q20>(events, what),
    }
}

/// Both inputs of a worker at a tick.
type Part<P> = (Batch<<P as Program>::Left>, Batch<<P as Program>::Right>);

/// Each worker's parts, in order; a worker takes its own.
type Shares<P> = Vec<Mutex<Option<Box<dyn Iterator<Item = Part<P>> + Send>>>>;

fn run<P: Program>(events: &dyn Fn() -> Events, what: What) -> Measured {
    let shares: Shares<P> = (0..WORKERS)
        .map(|worker| {
            let parts = events().zip(FIRST..).map(move |(events, tick)| part::<P>(events, tick, worker));
            let parts: Box<dyn Iterator<Item = Part<P>> + Send> = match what {
                What::Time => Box::new(parts.collect::<Vec<_>>().into_iter()),
                What::Memory => Box::new(parts),
            };
            Mutex::new(Some(parts))
        })
        .collect();
    let seen = Arc::<Seen>::default();
    let (noted, started) = (Arc::clone(&seen), Arc::new(Barrier::new(WORKERS + 1)));
    let ready = Arc::clone(&started);
    let guards = timely::execute(timely::Config::process(WORKERS), move |worker| {
        let own = shares[worker.index()].lock().expect("no holder panics").take();
        work::<P>(worker, own.into_iter().flatten(), Arc::clone(&noted), &ready);
    })
    .expect("threads start");
    let meter = Meter::start();
    started.wait();
    guards.join().into_iter().for_each(|done| done.expect("no worker panics"));
    meter.stop(&seen)
}

fn part<P: Program>(events: TickEvents, tick: Tick, worker: usize) -> Part<P> {
    let (left, right) = P::columns(events.share(worker, WORKERS));
    (Batch { tick, diff: 1, columns: left }, Batch { tick, diff: 1, columns: right })
}

/// One worker: gives its parts to the dataflow, some ticks ahead of what comes out.
fn work<P: Program>(
    worker: &mut Worker,
    parts: impl Iterator<Item = Part<P>>,
    seen: Arc<Seen>,
    ready: &Barrier,
) {
    let (mut left, mut right) = (InputHandle::new(), InputHandle::new());
    let probe = Probe::new();
    worker.dataflow(|scope: Scope<'_, Tick>| {
        let (rows, others) = (scope.input_from(&mut left), scope.input_from(&mut right));
        P::build(rows, others, End { seen, probe: probe.clone() });
    });
    left.advance_to(FIRST);
    right.advance_to(FIRST);
    ready.wait();
    let mut end = FIRST;
    for (batch, other) in parts {
        end = batch.tick + 1;
        left.send(batch);
        right.send(other);
        left.advance_to(end);
        right.advance_to(end);
        while probe.less_than(&end.saturating_sub(AHEAD)) {
            worker.step();
        }
    }
    while probe.less_than(&end) {
        worker.step();
    }
}
