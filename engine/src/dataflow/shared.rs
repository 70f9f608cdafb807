//! Shared arrangements: a relation by a key, kept once a worker for all views and indexes that need it.
//!
//! What can be shared is the input of a join that is a chain of filters and computations over one
//! relation that keeps its rows. It is a dataflow of its own: relation → chain → arrange. A view takes
//! it in through a source that gives the batches so far and then each new one; the view's join reads
//! the trace through a handle, and so a hold, of its own.
//!
//! ```text
//!   relation ─import─▶ chain ─▶ arrange ─┬─▶ trace ◀────────── handles of views' joins
//!                        └▶ errors       └─ Export ─▶ queues ─▶ sources in views' dataflows
//! ```
//! Invariants: an arrangement lives as long as a view or an index uses it, whichever made it; past updates keep
//! their own ticks, so whoever takes them in from a later as-of moves them up to that; all workers make
//! and drop arrangements at the same commands.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use differential_dataflow::trace::TraceReader;
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::AntichainRef;
use timely::scheduling::Activator;

use super::arrange::{Arranged, Sealed};
use super::arrangement::{SharedHandle, TraceHandle, batches_of, observer};
use super::meter::Meter;
use super::publish::{Contents, Publication};
use super::render::SideKey;
use super::turns::Token;
use crate::expr::Expr;
use crate::plan::{JoinKey, Plan, PlanRef};
use crate::state::Shared;
use crate::types::{RelationId, Tick};

/// What is arranged, and by what: equal ones are one arrangement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ArrangementKey {
    /// Filters and computations over one relation.
    pub(crate) input: PlanRef,
    /// The keys, and whether their NULLs match.
    pub(crate) keys: Vec<SideKey>,
}

impl ArrangementKey {
    /// Of a join's input, if it can be shared.
    pub(crate) fn new(input: &PlanRef, keys: &[SideKey]) -> Option<ArrangementKey> {
        is_chain(input).then(|| ArrangementKey { input: input.clone(), keys: keys.to_vec() })
    }

    /// The relation that is arranged.
    pub(crate) fn relation(&self) -> Option<RelationId> {
        base_of(&self.input)
    }
}

/// Whether a plan is filters and computations over one relation, whose arrangements views share.
pub(crate) fn is_chain(plan: &PlanRef) -> bool {
    base_of(plan).is_some()
}

/// The relation below a chain of filters and computations.
fn base_of(plan: &PlanRef) -> Option<RelationId> {
    match plan.operator() {
        Plan::Get { relation, .. } => Some(*relation),
        Plan::Project { input, .. } => base_of(input),
        Plan::Constant { .. }
        | Plan::Join { .. }
        | Plan::Reduce { .. }
        | Plan::Union { .. }
        | Plan::Exists { .. }
        | Plan::Repeat { .. }
        | Plan::FlatMap { .. }
        | Plan::TopK { .. } => None,
    }
}

/// The arrangements that a plan's joins can share, each once, in the order of the plan.
pub(crate) fn shareable(plan: &PlanRef) -> Vec<ArrangementKey> {
    let mut met = HashSet::new();
    let mut found: Vec<ArrangementKey> = plan.nodes().into_iter().flat_map(of_join).collect();
    found.retain(|key| met.insert(key.clone()));
    found
}

/// The arrangements that can be shared of a join's inputs.
fn of_join(plan: &PlanRef) -> Vec<ArrangementKey> {
    let Plan::Join { left, right, keys } = plan.operator() else { return Vec::new() };
    let side = |key: fn(&JoinKey) -> &Expr| -> Vec<SideKey> {
        keys.iter().map(|k| (key(k).clone(), k.nulls_equal)).collect()
    };
    let sides = [(left, side(|key| &key.left)), (right, side(|key| &key.right))];
    sides.iter().filter_map(|(input, keys)| ArrangementKey::new(input, keys)).collect()
}

/// A shared arrangement on one worker.
pub(crate) struct SharedArrangement {
    /// The handle that keeps history for views that are still to come.
    trace: SharedHandle,
    export: Rc<Export>,
    /// The chain's errors, without those of the relation.
    pub(crate) errors: Rc<Publication>,
    /// Counts its hydration.
    pub(crate) meter: Arc<Meter>,
    /// Stops its dataflow.
    pub(crate) token: Token,
    /// The views and indexes that use it.
    pub(crate) users: usize,
}

impl SharedArrangement {
    /// An arrangement that nobody uses yet; readable from before `as_of` on.
    pub(crate) fn new(
        trace: SharedHandle,
        export: Rc<Export>,
        errors: Rc<Publication>,
        meter: Arc<Meter>,
        token: Token,
        as_of: Tick,
    ) -> SharedArrangement {
        let arrangement = SharedArrangement { trace, export, errors, meter, token, users: 0 };
        arrangement.compact(as_of.saturating_sub(1));
        arrangement
    }

    /// All ticks before this one are complete, in its rows and in its errors.
    pub(crate) fn upper(&self) -> Tick {
        self.export.upper.get().min(self.errors.upper())
    }

    /// Its batches by key, and those of its errors.
    pub(crate) fn contents(&self) -> Contents {
        Contents { rows: batches_of(&self.trace.borrow()), errors: self.errors.contents().errors }
    }

    /// Lets history before `since` go. What was not exported yet is not merged with what was.
    pub(crate) fn compact(&self, since: Tick) {
        let mut trace = self.trace.borrow_mut();
        move_up(&mut trace, since, since.saturating_add(1).min(self.export.upper.get()));
        self.errors.compact(since);
    }

    /// The traces: the arrangement's own, then those of its errors.
    pub(crate) fn traces(&self) -> Vec<TraceHandle> {
        let mut traces = vec![observer(&self.trace.borrow())];
        traces.extend(self.errors.traces());
        traces
    }

    /// The first tick at which it shows rows.
    pub(crate) fn started(&self) -> Tick {
        self.export.started
    }

    /// Whether it has caught up with the as-of that it was made at.
    pub(crate) fn is_hydrated(&self) -> bool {
        self.export.upper.get() > self.export.started
    }

    /// Stops its dataflow: nobody uses it any more.
    pub(crate) fn stop(&self, worker: usize) {
        self.meter.stop(worker);
        self.token.press();
    }
}

/// Moves a handle's holds up to these ticks, never back.
pub(crate) fn move_up(trace: &mut TraceHandle, logical: Tick, physical: Tick) {
    if trace.get_logical_compaction().iter().any(|held| *held < logical) {
        trace.set_logical_compaction(AntichainRef::new(&[logical]));
    }
    if trace.get_physical_compaction().iter().any(|held| *held < physical) {
        trace.set_physical_compaction(AntichainRef::new(&[physical]));
    }
}

/// Where an arrangement tells its batches to other dataflows of the worker.
pub(crate) struct Export {
    started: Tick,
    upper: Cell<Tick>,
    followers: RefCell<Vec<Weak<Follower>>>,
}

/// One view's queue of sealed spans. Bounded as those of imports are: by the back-pressure on commits.
struct Follower {
    queue: RefCell<VecDeque<(Option<Shared>, Tick)>>,
    activator: Activator,
}

impl Export {
    /// Of an arrangement that is complete before `upper`.
    pub(crate) fn new(upper: Tick) -> Rc<Export> {
        Rc::new(Export { started: upper, upper: Cell::new(upper), followers: RefCell::default() })
    }

    /// All ticks before `upper` are complete now; `batch` has just come into the trace.
    pub(crate) fn sealed(&self, batch: Option<&Shared>, upper: Tick) {
        if upper == self.upper.get() {
            return;
        }
        self.upper.set(upper);
        self.followers.borrow_mut().retain(|follower| follower.strong_count() > 0);
        for follower in self.followers.borrow().iter().filter_map(Weak::upgrade) {
            follower.queue.borrow_mut().push_back((batch.cloned(), upper));
            follower.activator.activate();
        }
    }

    fn follow(&self, activator: Activator) -> Rc<Follower> {
        let follower = Rc::new(Follower { queue: RefCell::default(), activator });
        self.followers.borrow_mut().push(Rc::downgrade(&follower));
        follower
    }
}

/// Renders the source through which a view that starts at `as_of` takes in a shared arrangement.
pub(crate) fn import_arranged<'scope>(
    scope: Scope<'scope, Tick>,
    shared: &SharedArrangement,
    as_of: Tick,
    token: &Token,
) -> Arranged<'scope> {
    let mut builder = OperatorBuilder::new("ImportArranged".to_owned(), scope);
    let (port, stream) = builder.new_output();
    let mut port: OutputBuilder<Tick, NoopBuilder<Vec<Sealed>>> = OutputBuilder::from(port);
    let activator = scope.activator_for(builder.operator_info().address);
    let token = token.register(activator.clone());
    let trace: TraceHandle = shared.trace.borrow().clone();
    let mut past: Vec<Sealed> = Vec::new();
    let mut upper = shared.export.upper.get();
    trace.map_spans(|span| past.extend(span.inner.clone().map(|batch| Sealed { batch, upper })));
    let follower = shared.export.follow(activator.clone());
    activator.activate();
    builder.build(move |mut capabilities| {
        let mut capability: Option<Capability<Tick>> = capabilities.pop();
        move |_frontiers| {
            if token.is_pressed() {
                capability = None;
                past.clear();
            }
            let Some(held) = capability.as_mut() else { return };
            let mut give = |held: &mut Capability<Tick>, tick: Tick, mut sealed: Vec<Sealed>| {
                if *held.time() < tick {
                    held.downgrade(&tick);
                }
                if !sealed.is_empty() {
                    port.activate().session_with_builder(&*held).give_container(&mut sealed);
                }
            };
            give(held, as_of, std::mem::take(&mut past));
            let queue = std::mem::take(&mut *follower.queue.borrow_mut());
            for (batch, sealed_upper) in queue {
                let sealed = batch.map(|batch| Sealed { batch, upper: sealed_upper });
                give(held, upper.max(as_of), sealed.into_iter().collect());
                upper = sealed_upper;
            }
            give(held, upper.max(as_of), Vec::new());
            if upper == Tick::MAX {
                capability = None;
            }
        }
    });
    Arranged { stream, trace: Rc::new(RefCell::new(trace)) }
}
