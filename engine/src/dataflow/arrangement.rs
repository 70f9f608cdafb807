//! `Arrangement`: the writing side of one collection's state on one worker.
//!
//! A batcher, which sorts what arrives, and a trace (differential's `Spine` of our batches), which
//! keeps it; drivers own one or more and say when a span of ticks is complete.
//!
//! ```text
//!   updates → batcher ──seal(until)──▶ batch [lower, until) ──▶ trace ──▶ readers
//!                                          └──▶ downstream
//! ```
//! A seal is made ready by fuel first (`prepare`), over as many activations as it takes; an operator
//! keeps to the upper that it began with (`Sealing`).
//!
//!
//! Invariants:
//! - Nothing is sealed before the tick at which the dataflow starts (an empty batch merged with
//!   the snapshot would double the memory), and no empty span ever enters the trace: an idle
//!   collection's trace stays as it is while the upper moves on.
//! - The trace merges only what lies at or before its since: a merge then always cancels what can
//!   cancel, and no batch has to be merged again for that alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::operators::arrange::{TraceAgent, TraceWriter};
use differential_dataflow::trace::{Description, ExertionLogic, Span, Trace, TraceReader};
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::OperatorInfo;
use timely::progress::frontier::AntichainRef;
use timely::progress::{Antichain, Stamp};

use super::meter::{Meter, Waiting};
use super::turns::Turns;
use crate::engine::StateSize;
use crate::state::{RowSpine, Shared, UpdateBatcher, Updates};
use crate::types::Tick;

/// State saved at a tick: what an operator is rebuilt from.
#[derive(Clone, Default)]
pub(crate) struct SavedTrace {
    /// Batches that together hold all updates before the tick.
    pub(crate) batches: Vec<Shared>,
}

/// Where a driver starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// From nothing: the snapshot comes in at this tick.
    Fresh(Tick),
    /// From saved traces that hold everything before this tick.
    Restored(Tick),
}

impl Start {
    /// The first tick that is not complete yet.
    pub(crate) fn upper(self) -> Tick {
        match self {
            Start::Fresh(as_of) => as_of,
            Start::Restored(at) => at,
        }
    }
}

/// A handle to a trace: reads it and holds back its compaction.
pub(crate) type TraceHandle = TraceAgent<RowSpine>;

/// The state of one collection on one worker.
pub(crate) struct Arrangement {
    batcher: UpdateBatcher,
    writer: TraceWriter<RowSpine>,
    reader: TraceHandle,
    /// All ticks before this one are complete.
    upper: Tick,
    /// The trace's own upper: behind `upper` where nothing came since.
    sealed: Tick,
    /// Counts what waits in the batcher, where somebody wants to know.
    waiting: Option<Waiting>,
    turns: Turns,
    worker: usize,
}

/// The upper before which an operator is about to complete all ticks.
#[derive(Default)]
pub(crate) struct Sealing(Option<Tick>);

impl Sealing {
    /// What is to be sealed until; `None` where the frontier has not moved beyond `upper`. The end of
    /// all ticks is the last tick.
    pub(crate) fn until(&mut self, frontier: Option<Tick>, upper: Tick) -> Option<Tick> {
        if self.0.is_none() {
            self.0 = Some(frontier.unwrap_or(Tick::MAX)).filter(|until| *until > upper);
        }
        self.0
    }

    /// It is sealed.
    pub(crate) fn done(&mut self) {
        self.0 = None;
    }
}

impl Arrangement {
    /// An arrangement inside an operator that is being built; seeded where it is restored.
    pub(crate) fn new(
        scope: Scope<'_, Tick>,
        info: &OperatorInfo,
        start: Start,
        saved: Option<SavedTrace>,
        turns: &Turns,
    ) -> Self {
        let merge_activator = turns.merge_activator(Rc::clone(&info.address));
        let mut spine = RowSpine::new(info.clone(), None, Some(merge_activator));
        spine.set_exert_logic(idle_effort());
        let (reader, writer) = TraceAgent::new(spine, info.clone(), None);
        let mut arrangement = Arrangement {
            batcher: UpdateBatcher::with_boundary(start.upper()),
            writer,
            reader,
            upper: start.upper(),
            sealed: 0,
            waiting: None,
            turns: turns.clone(),
            worker: scope.index(),
        };
        if let (Start::Restored(at), Some(saved)) = (start, saved) {
            arrangement.seed(at, saved);
        }
        arrangement
    }

    /// The same, but what waits for its tick is counted, and nothing is taken in once the view goes.
    pub(crate) fn metered(mut self, meter: &Arc<Meter>) -> Self {
        self.waiting = Some(Waiting::new(meter, self.worker));
        self
    }

    /// Puts the saved batches into the trace, one tick-span each, before anything runs.
    fn seed(&mut self, at: Tick, saved: SavedTrace) {
        if crate::planted::is_on(crate::planted::Bug::SeedIgnored) {
            return;
        }
        // The spine wants contiguous spans; saved batches overlap in ticks, all before `at`, so
        // the cuts between them are made up. Only `at` must be exact: all readers read from there.
        let count = saved.batches.len() as Tick;
        for (index, batch) in saved.batches.into_iter().enumerate() {
            let upper = at.saturating_sub(count - 1 - index as Tick).max(self.sealed + 1);
            self.insert_span(upper, batch);
        }
    }

    /// Takes updates at or after the upper.
    pub(crate) fn insert(&mut self, updates: Updates) {
        self.batcher.insert(updates);
        self.count_waiting();
    }

    /// Tells the meter what waits; forgets it where the view goes, so that it is not merged first.
    fn count_waiting(&mut self) {
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.is_stopped() {
            self.batcher = UpdateBatcher::default();
        }
        waiting.set(self.batcher.bytes());
    }

    /// Works, as far as the fuel goes, towards a seal of all ticks before `until`; true once `seal` only
    /// has to be called. Until then all calls are for the same tick.
    pub(crate) fn prepare(&mut self, until: Tick, fuel: &mut isize) -> bool {
        if until <= self.upper {
            return true;
        }
        self.count_waiting();
        let is_ready = self.batcher.prepare(upper_of(until), fuel);
        self.count_waiting();
        is_ready
    }

    /// Completes all ticks before `until`, which is prepared: the batch of what came in them, already
    /// in the trace.
    pub(crate) fn seal(&mut self, until: Tick) -> Option<Shared> {
        if until <= self.upper {
            return None;
        }
        let batch = self.batcher.take();
        self.count_waiting();
        self.upper = until;
        if let Some(batch) = &batch {
            self.insert_span(until, batch.clone());
        }
        batch
    }

    fn insert_span(&mut self, upper: Tick, batch: Shared) {
        let description =
            Description::new(frontier(self.sealed), frontier(upper), Antichain::from_elem(Tick::MIN));
        self.writer.insert(Span::new(description, Some(batch)), Stamp::new());
        self.sealed = upper;
    }

    /// All ticks before this one are complete.
    pub(crate) fn upper(&self) -> Tick {
        self.upper
    }

    /// The earliest tick that has arrived and is not complete.
    pub(crate) fn pending(&self) -> Option<Tick> {
        self.batcher.tick_min()
    }

    /// All batches of the trace.
    pub(crate) fn batches(&self) -> Vec<Shared> {
        batches_of(&self.reader)
    }

    /// A handle that looks at the trace and holds nothing back.
    pub(crate) fn observer(&self) -> TraceHandle {
        observer(&self.reader)
    }

    /// Another handle to the trace, with a hold of its own.
    pub(crate) fn handle(&self) -> TraceHandle {
        self.reader.clone()
    }

    /// Lets the driver's own hold on history go up to `since`, the first tick it still reads at.
    pub(crate) fn compact(&mut self, since: Tick) {
        compact(&mut self.reader, since);
    }

    /// Gives up the driver's own hold for good: others hold the history.
    pub(crate) fn release(&mut self) {
        release(&mut self.reader);
    }

    /// Merges on, a little, where the worker has time for it.
    pub(crate) fn exert(&mut self) {
        if self.turns.is_merging() {
            self.writer.exert();
        }
    }
}

/// The upper of a batcher; all where it is the end of all ticks.
fn upper_of(until: Tick) -> Option<Tick> {
    Some(until).filter(|until| *until < Tick::MAX)
}

/// The frontier {tick}; the end of all ticks is the last.
fn frontier(tick: Tick) -> Antichain<Tick> {
    Antichain::from_elem(tick)
}

/// All batches of a trace.
pub(crate) fn batches_of(trace: &TraceHandle) -> Vec<Shared> {
    let mut batches = Vec::new();
    trace.map_spans(|span| batches.extend(span.inner.clone()));
    batches
}

/// Releases this handle's hold on history before `since`: logically first, so that what is then
/// merged is merged with the new since.
pub(crate) fn compact(trace: &mut TraceHandle, since: Tick) {
    trace.set_logical_compaction(AntichainRef::new(&[since]));
    trace.set_physical_compaction(AntichainRef::new(&[since.saturating_add(1)]));
}

/// A handle that looks at the trace and holds nothing back.
pub(crate) fn observer(trace: &TraceHandle) -> TraceHandle {
    let mut observer = trace.clone();
    release(&mut observer);
    observer
}

fn release(trace: &mut TraceHandle) {
    trace.set_logical_compaction(AntichainRef::new(&[]));
    trace.set_physical_compaction(AntichainRef::new(&[]));
}

/// What a trace holds.
pub(crate) fn size_of_trace(trace: &TraceHandle) -> StateSize {
    let of = |batch: &Shared| StateSize { updates: batch.len(), bytes: batch.bytes(), batches: 1 };
    batches_of(trace).iter().map(of).sum()
}

/// How much a trace merges while nothing arrives (spines do not by themselves).
///
/// It finishes merges under way, and starts one where all smaller layers together hold more than a
/// quarter of the largest: then garbage is bounded. The smaller layers among themselves are left to
/// the spine: a merge that is started here takes all of them, so that a trickle of small commits
/// would merge the same rows again and again.
fn idle_effort() -> ExertionLogic {
    /// Updates that each merge under way takes in at a time: well below a millisecond.
    const EFFORT: usize = 1 << 11;
    /// A merge that is begun takes all layers together that are smaller than this.
    const SMALL: usize = 1 << 14;
    Arc::new(|layers| {
        if layers.iter().any(|(_, count, _)| *count > 1) {
            return Some(EFFORT);
        }
        let mut lengths = layers.iter().map(|(_, _, len)| *len).filter(|len| *len > 0);
        let largest = lengths.next()?;
        (lengths.sum::<usize>() * 4 > largest).then_some(SMALL)
    })
}

/// A handle that several places of one worker share.
pub(crate) type SharedHandle = Rc<RefCell<TraceHandle>>;
