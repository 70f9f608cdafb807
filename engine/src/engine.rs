//! `Engine`: the handle through which the coordinator drives the workers.
//!
//! One sequenced stream of commands goes to every worker; answers come back through callbacks,
//! which must not block. Everything that a user can get wrong was checked before it comes here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Thread;

use timely::communication::WorkerGuards;

use crate::dataflow::arrangement::{SavedTrace, Start};
use crate::dataflow::flat_map::CompiledCalls;
use crate::dataflow::meter::Meter;
use crate::dataflow::render::{reduce_outputs, reduce_spec};
use crate::dataflow::shared::ArrangementKey;
use crate::delta::Delta;
use crate::error::{DataError, EngineError};
use crate::expr::{Compiler, Expr};
use crate::plan::{Plan, PlanRef};
use crate::progress::Progress;
use crate::shape::RowShape;
use crate::snapshot::Snapshot;
use crate::types::{DataType, RelationId, Tick};
use crate::worker::{Command, Installation, WorkerState};

/// What `Engine::start` needs to know.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// The bytes that a view may hold, over all workers, where it has no limit of its own; `None`:
    /// any number.
    pub view_bytes_max: Option<usize>,
}

/// A table as the engine sees it.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// What errors call it.
    pub name: String,
    /// Its columns.
    pub columns: Vec<DataType>,
    /// False for a stream (`append_only`, `retention = '0'`): passes changes on, keeps no rows.
    pub keep_rows: bool,
}

/// A view as the engine sees it, besides its plan.
#[derive(Clone, Debug, Default)]
pub struct ViewSpec {
    /// What errors call it.
    pub name: String,
    /// Readers see the other rows where some are in error, and views over it do not inherit them.
    pub skip_errors: bool,
    /// The bytes that it may hold; `None`: as the engine's configuration says.
    pub bytes_max: Option<usize>,
}

/// An index as the engine sees it: a relation's rows by the values of some expressions.
#[derive(Clone, Debug)]
pub struct IndexSpec {
    /// Its name.
    pub name: String,
    /// What is indexed. Not a stream.
    pub relation: RelationId,
    /// The relation's columns.
    pub columns: Vec<DataType>,
    /// The keys, over these columns.
    pub keys: Vec<Expr>,
    /// Its readers wait while it takes in its rows; else they are told to read the relation.
    pub is_awaited: bool,
}

impl IndexSpec {
    /// The arrangement that the index is: that of a view's join by the same keys.
    pub(crate) fn arrangement(&self) -> ArrangementKey {
        let input = PlanRef::new(Plan::Get { relation: self.relation, columns: self.columns.clone() });
        ArrangementKey { input, keys: self.keys.iter().map(|key| (key.clone(), false)).collect() }
    }
}

/// What a worker tells a subscriber. Each worker sends `Snapshot` once, then `Changes` in order.
pub enum SubscriptionEvent {
    /// The worker's share of the relation at the subscription's `as_of`, sent once its upper
    /// is beyond `as_of`; `Changes` carries only ticks after `as_of`.
    Snapshot {
        /// Which worker.
        worker: usize,
        /// Its share at `as_of`.
        snapshot: Snapshot,
    },
    /// Consolidated changes and the progress that they complete.
    Changes {
        /// Which worker.
        worker: usize,
        /// Rows sorted by their encoding within each tick, ticks ascending; no two with the same row and tick.
        changes: Vec<Delta>,
        /// Changes of the relation's error collection in the same span: (tick, error, diff).
        errors: Vec<(Tick, DataError, i64)>,
        /// All ticks before this one are complete on this worker.
        upper: Tick,
    },
    /// The relation was dropped; nothing follows.
    Dropped,
    /// The view has failed for good; nothing follows.
    Failed(DataError),
}

/// Receives a subscription's events, on the worker's thread: it must not block. Answers false when
/// the subscriber is gone, and is then not called again.
pub type SubscriptionSink = Arc<dyn Fn(SubscriptionEvent) -> bool + Send + Sync>;

/// Receives one worker's answer to a read, on the worker's thread: it must not block.
pub type ReadReply = Arc<dyn Fn(usize, Result<Snapshot, EngineError>) + Send + Sync>;

/// Receives one worker's answer to `Engine::inspect`, on the worker's thread: it must not block.
pub type InspectReply = Arc<dyn Fn(Vec<RelationReport>) + Send + Sync>;

/// Told of every advance of a relation's upper (the least over all workers), on a worker's
/// thread: it must not block.
pub type ProgressSink = Arc<dyn Fn(RelationId, Tick) + Send + Sync>;

/// A relation's operators' state at a tick, saved in memory: what checkpoints are made of.
#[derive(Clone)]
pub struct SavedState {
    at: Tick,
    workers: Vec<Vec<SavedTrace>>,
}

impl SavedState {
    /// Everything before this tick is in the state.
    pub fn at(&self) -> Tick {
        self.at
    }
}

/// A running set of workers. Clones are handles to the same.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    compiler: Arc<dyn Compiler>,
    progress: Arc<Progress>,
    meters: Mutex<HashMap<RelationId, Arc<Meter>>>,
    /// The meters of dropped views: each is gone with the last operator that holds state.
    leaving: Mutex<Vec<Weak<Meter>>>,
    queues: Arc<Queues>,
    guards: Mutex<Option<WorkerGuards<()>>>,
    config: EngineConfig,
}

/// The workers' queues, under one lock: every worker gets the commands in the same order. Workers
/// have it, too: what one of them finds out and all must act on becomes a command.
#[derive(Default)]
pub(crate) struct Queues {
    workers: Mutex<Vec<(Sender<Command>, Thread)>>,
}

impl Queues {
    /// Gives every worker the command.
    pub(crate) fn send(&self, command: &Command) {
        for (queue, thread) in lock(&self.workers).iter() {
            // A worker that is gone takes no commands; callbacks and waits then end by themselves.
            let _ = queue.send(command.clone());
            thread.unpark();
        }
    }
}

impl Shared {
    fn send(&self, command: &Command) {
        self.queues.send(command);
    }
}

impl Drop for Shared {
    /// The last handle is gone: parked workers must hear of it before their threads are joined.
    fn drop(&mut self) {
        self.send(&Command::Stop);
    }
}

impl Engine {
    /// Starts the workers. `progress` is called on every advance of a relation's upper.
    ///
    /// # Errors
    /// `Stopped` where threads cannot be started.
    pub fn start(
        config: EngineConfig,
        compiler: Arc<dyn Compiler>,
        progress: ProgressSink,
    ) -> Result<Engine, EngineError> {
        let workers = config.workers.max(1);
        let config = EngineConfig { workers, ..config };
        let queues: Arc<Queues> = Arc::default();
        let progress = Arc::new(Progress::new(workers, progress));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel()).unzip();
        let receivers: Mutex<Vec<Option<Receiver<Command>>>> =
            Mutex::new(receivers.into_iter().map(Some).collect());
        let (started, starts) = mpsc::channel();
        let started = Mutex::new(started);
        let (thread_compiler, thread_progress) = (Arc::clone(&compiler), Arc::clone(&progress));
        let thread_queues = Arc::clone(&queues);
        let guards = timely::execute(timely::Config::process(workers), move |worker| {
            let commands = lock(&receivers)[worker.index()].take();
            // `Engine::start` waits for every thread, so the receiver is there.
            let _ = lock(&started).send((worker.index(), std::thread::current()));
            if let Some(commands) = commands {
                let (compiler, progress) = (Arc::clone(&thread_compiler), Arc::clone(&thread_progress));
                WorkerState::new(worker, compiler, progress, Arc::clone(&thread_queues)).run(&commands);
            }
        });
        let guards = guards.map_err(|_| EngineError::Stopped)?;
        let mut threads: Vec<(usize, Thread)> = starts.iter().take(workers).collect();
        threads.sort_by_key(|(index, _)| *index);
        *lock(&queues.workers) =
            senders.into_iter().zip(threads.into_iter().map(|(_, thread)| thread)).collect();
        let guards = Mutex::new(Some(guards));
        let shared = Shared {
            compiler,
            progress,
            meters: Mutex::default(),
            leaving: Mutex::default(),
            queues,
            guards,
            config,
        };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.shared.config.workers
    }

    /// Creates a table that is empty before `as_of` (the newest tick); its upper starts there.
    pub fn create_table(&self, id: RelationId, spec: TableSpec, as_of: Tick) {
        self.shared.progress.expect(id);
        self.send(&Command::CreateTable(id, spec, as_of));
    }

    /// Gives a table more columns behind those that it has. Rows that are there have the columns' missing values;
    /// what reads the table goes on with the columns that it knows.
    pub fn widen(&self, id: RelationId, shape: RowShape) {
        self.send(&Command::Widen(id, shape));
    }

    /// Installs a materialized view. It is readable from `as_of` on, once hydrated. `as_of` is at
    /// or after the since of every relation that the plan reads, and the caller holds it until
    /// the call returns.
    ///
    /// # Errors
    /// `InvalidPlan`; then nothing was installed. (Checked on the caller's thread: expressions are
    /// compiled here before any worker sees the plan.)
    pub fn install(
        &self,
        id: RelationId,
        plan: PlanRef,
        spec: ViewSpec,
        as_of: Tick,
    ) -> Result<(), EngineError> {
        self.install_from(id, plan, spec, Start::Fresh(as_of), Vec::new())
    }

    /// Creates an index, which can be read by key from `as_of` on, once it has taken in all rows. It goes
    /// with its relation. The caller holds `as_of` until the call returns.
    ///
    /// # Errors
    /// `InvalidPlan`; then nothing was created.
    pub fn create_index(&self, id: RelationId, spec: IndexSpec, as_of: Tick) -> Result<(), EngineError> {
        self.check_index(&spec)?;
        self.shared.progress.expect(id);
        self.send(&Command::CreateIndex(id, Arc::new(spec), as_of));
        Ok(())
    }

    /// Checks an index as `create_index` does, and creates nothing.
    ///
    /// # Errors
    /// `InvalidPlan`.
    pub fn check_index(&self, spec: &IndexSpec) -> Result<(), EngineError> {
        let input = spec.arrangement().input;
        let (predicates, outputs) = (Vec::new(), spec.keys.clone());
        self.check(&Plan::Project { input, predicates, outputs }.into())
    }

    /// Checks a plan as `install` does, and installs nothing: before the plan goes into the log.
    ///
    /// # Errors
    /// `InvalidPlan`.
    pub fn check(&self, plan: &PlanRef) -> Result<(), EngineError> {
        plan.check()?;
        check_compiles(self.shared.compiler.as_ref(), plan)
    }

    /// Installs a view that goes on from saved state: nothing before the state's tick is done
    /// again. Its relations are complete before that tick, and no further.
    ///
    /// # Errors
    /// `InvalidPlan` also where the state comes from another number of workers.
    pub fn restore(
        &self,
        id: RelationId,
        plan: PlanRef,
        spec: ViewSpec,
        state: SavedState,
    ) -> Result<(), EngineError> {
        if state.workers.len() != self.workers() {
            return Err(EngineError::InvalidPlan(
                "the state was saved by another number of workers".to_owned(),
            ));
        }
        self.install_from(id, plan, spec, Start::Restored(state.at), state.workers)
    }

    fn install_from(
        &self,
        id: RelationId,
        plan: PlanRef,
        spec: ViewSpec,
        start: Start,
        saved: Vec<Vec<SavedTrace>>,
    ) -> Result<(), EngineError> {
        self.check(&plan)?;
        let bytes_max = spec.bytes_max.or(self.shared.config.view_bytes_max);
        let meter = Arc::new(Meter::new(self.workers(), bytes_max));
        lock(&self.shared.meters).insert(id, Arc::clone(&meter));
        self.shared.progress.expect(id);
        self.send(&Command::Install(Arc::new(Installation { id, plan, spec, start, saved, meter })));
        Ok(())
    }

    /// Removes relations and all their state, also in the middle of hydration. Dependants first.
    pub fn drop_relations(&self, ids: &[RelationId]) {
        self.send(&Command::Drop(ids.into()));
        for id in ids {
            self.shared.progress.forget(*id);
            let meter = lock(&self.shared.meters).remove(id);
            lock(&self.shared.leaving).extend(meter.iter().map(Arc::downgrade));
        }
        self.leaving();
    }

    /// Changes of tables at one tick, then every table is complete through `tick`. Ticks ascend.
    pub fn commit(&self, tick: Tick, changes: Vec<(RelationId, Vec<Delta>)>) {
        self.send(&Command::Commit(tick, changes.into()));
    }

    /// Allows each relation to forget history before its tick.
    pub fn compact(&self, since: &[(RelationId, Tick)]) {
        self.send(&Command::Compact(since.into()));
    }

    /// Each worker's share of a relation at `tick`, once the worker's upper is beyond it; of an index its
    /// batches by key (`Snapshot::find`). An index answers `NoRelation` or `NotHydrated` where the relation
    /// itself has to be read instead.
    pub fn read(&self, relation: RelationId, tick: Tick, reply: ReadReply) {
        self.send(&Command::Read(relation, tick, reply));
    }

    /// Follows a relation from `as_of` on.
    pub fn subscribe(&self, relation: RelationId, as_of: Tick, sink: SubscriptionSink) {
        self.send(&Command::Subscribe(relation, as_of, sink));
    }

    /// All ticks of the relation before this one are complete on every worker.
    pub fn upper(&self, relation: RelationId) -> Tick {
        self.shared.progress.upper(relation)
    }

    /// The rows that the view's stateful operators have looked at so far, over all workers.
    pub fn rows_visited(&self, relation: RelationId) -> u64 {
        lock(&self.shared.meters).get(&relation).map_or(0, |meter| meter.visited())
    }

    /// The rows that readers have looked at so far, updates that cancel and seeks included.
    pub fn rows_read(&self) -> u64 {
        self.shared.progress.rows_read.load(Ordering::Relaxed)
    }

    /// Bytes of state that the relation's arrangements take, summed over the workers (the
    /// operators' own state included), and their number of updates. Waits for every worker's answer.
    pub fn state_size(&self, relation: RelationId) -> StateSize {
        let (reply, replies) = mpsc::channel();
        self.send(&Command::Measure(relation, reply));
        replies.iter().take(self.workers()).fold(StateSize::default(), |total, size: StateSize| StateSize {
            updates: total.updates + size.updates,
            bytes: total.bytes + size.bytes,
        })
    }

    /// The state of a view that is complete before `at` and no further; `None` where it is not.
    /// Waits for every worker's answer.
    pub fn save(&self, relation: RelationId, at: Tick) -> Option<SavedState> {
        let (reply, replies) = mpsc::channel();
        self.send(&Command::Save(relation, at, reply));
        let mut workers: Vec<(usize, Option<Vec<SavedTrace>>)> =
            replies.iter().take(self.workers()).collect();
        workers.sort_by_key(|(worker, _)| *worker);
        let workers: Option<Vec<_>> = workers.into_iter().map(|(_, saved)| saved).collect();
        workers.filter(|workers| workers.len() == self.workers()).map(|workers| SavedState { at, workers })
    }

    /// The views that were dropped and still hold memory: their dataflows are on the way out.
    pub fn leaving(&self) -> usize {
        let mut leaving = lock(&self.shared.leaving);
        leaving.retain(|meter| meter.strong_count() > 0);
        leaving.len()
    }

    /// How each relation stands, worker by worker: every worker answers once, between two steps, also
    /// while relations hydrate. `RelationReport::merge` puts the answers together.
    pub fn inspect(&self, reply: InspectReply) {
        self.send(&Command::Inspect(reply));
    }

    /// Stops the workers and waits for them.
    pub fn shutdown(&self) {
        self.send(&Command::Stop);
        if let Some(guards) = lock(&self.shared.guards).take() {
            // A worker that panicked has said so; joining must not take this thread along.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(guards.join())));
        }
    }

    fn send(&self, command: &Command) {
        self.shared.send(command);
    }
}

/// Compiles every expression of the plan, to refuse it here and not on a worker.
fn check_compiles(compiler: &dyn Compiler, plan: &PlanRef) -> Result<(), EngineError> {
    plan.nodes().into_iter().try_for_each(|plan| check_operator_compiles(compiler, plan))
}

fn check_operator_compiles(compiler: &dyn Compiler, plan: &PlanRef) -> Result<(), EngineError> {
    let compile = |exprs: &[Expr], columns: &[DataType]| -> Result<(), EngineError> {
        exprs.iter().try_for_each(|expr| compiler.compile(expr, columns).map(drop))
    };
    match plan.operator() {
        Plan::Get { .. } | Plan::Constant { .. } | Plan::Union { .. } => {}
        Plan::Project { input, predicates, outputs } => {
            compile(predicates, input.columns())?;
            compile(outputs, input.columns())?;
        }
        Plan::Join { left, right, keys } | Plan::Exists { left, right, keys, .. } => {
            let (left, right) = (left.columns(), right.columns());
            for key in keys {
                compile(std::slice::from_ref(&key.left), left)?;
                compile(std::slice::from_ref(&key.right), right)?;
            }
        }
        Plan::Reduce { input, keys, aggregates } => {
            let columns = input.columns();
            compile(keys, columns)?;
            let outputs = reduce_outputs(keys, aggregates);
            compile(&outputs, columns)?;
            reduce_spec(columns, keys.len(), &outputs, aggregates, Start::Fresh(0), plan)?;
        }
        Plan::Repeat { input, count } => compile(std::slice::from_ref(count), input.columns())?,
        Plan::FlatMap { input, calls } => {
            CompiledCalls::compile(compiler, calls, input.columns())?;
        }
        Plan::TopK { input, keys, order, .. } => {
            let columns = input.columns();
            compile(keys, columns)?;
            order.iter().try_for_each(|key| compile(std::slice::from_ref(&key.expr), columns))?;
        }
    }
    Ok(())
}

/// Locks also after a panic: what these locks guard is changed in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a relation's state takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Updates held.
    pub updates: usize,
    /// Bytes held.
    pub bytes: usize,
}

/// How a relation stands on a worker, or on all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationReport {
    /// Which.
    pub relation: RelationId,
    /// All ticks before this one are complete.
    pub upper: Tick,
    /// The first tick that can be read.
    pub since: Tick,
    /// Whether it can be read at all, at its upper less one.
    pub is_hydrated: bool,
    /// What it holds, what waits for its tick included.
    pub state: StateSize,
    /// The rows of other relations that it has taken in for its hydration.
    pub hydration_rows: u64,
    /// And all that there are to take in.
    pub hydration_rows_all: u64,
    /// Why it has failed for good.
    pub failure: Option<DataError>,
}

impl RelationReport {
    /// The reports of all workers as one a relation, in the order of the ids.
    pub fn merge(workers: impl IntoIterator<Item = Vec<RelationReport>>) -> Vec<RelationReport> {
        let mut merged: BTreeMap<RelationId, RelationReport> = BTreeMap::new();
        for report in workers.into_iter().flatten() {
            match merged.entry(report.relation) {
                Entry::Vacant(place) => drop(place.insert(report)),
                Entry::Occupied(mut place) => place.get_mut().add(report),
            }
        }
        merged.into_values().collect()
    }

    /// Adds another worker's report of the same relation.
    fn add(&mut self, other: RelationReport) {
        self.upper = self.upper.min(other.upper);
        self.since = self.since.max(other.since);
        self.is_hydrated &= other.is_hydrated;
        self.state.updates += other.state.updates;
        self.state.bytes += other.state.bytes;
        self.hydration_rows += other.hydration_rows;
        self.hydration_rows_all += other.hydration_rows_all;
        self.failure = self.failure.take().or(other.failure);
    }
}
