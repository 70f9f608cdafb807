//! `Engine`: the handle through which the coordinator drives the workers.
//!
//! One sequenced stream of commands goes to every worker; answers come back through callbacks,
//! which must not block. Everything that a user can get wrong was checked before it comes here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};

use serde::{Deserialize, Serialize};

use crate::dataflow::arrangement::{SavedTrace, Start};
use crate::dataflow::flat_map::CompiledCalls;
use crate::dataflow::meter::Meter;
use crate::dataflow::render::{reduce_outputs, reduce_spec};
use crate::dataflow::shared::ArrangementKey;
use crate::delta::Delta;
use crate::error::{DataError, EngineError};
use crate::expr::{Compiler, Expr};
use crate::mesh::Formed;
use crate::mesh::channel;
use crate::mesh::loss::{Ending, Loss};
use crate::mesh::remote::{Home, Remote};
use crate::plan::{Plan, PlanRef};
use crate::progress::Progress;
use crate::shape::RowShape;
use crate::snapshot::Snapshot;
use crate::types::{DataType, RelationId, Tick};
use crate::worker::crew::{Communication, Crew, CrewSpec, MeasuredSink, Queues};
use crate::worker::{Command, Installation, Wanted};

/// What `Engine::start` needs to know.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Worker threads of a process, at least 1.
    pub workers: usize,
    /// The bytes that a view may hold, over all workers, where it has no limit of its own; `None`:
    /// any number.
    pub view_bytes_max: Option<usize>,
}

/// A table as the engine sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableSpec {
    /// What errors call it.
    pub name: String,
    /// Its columns.
    pub columns: Vec<DataType>,
    /// False for a stream (`append_only`, `retention = '0'`): passes changes on, keeps no rows.
    pub keep_rows: bool,
}

/// A view as the engine sees it, besides its plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ViewSpec {
    /// What errors call it.
    pub name: String,
    /// Readers see the other rows where some are in error, and views over it do not inherit them.
    pub skip_errors: bool,
    /// The bytes that it may hold; `None`: as the engine's configuration says.
    pub bytes_max: Option<usize>,
}

/// An index as the engine sees it: a relation's rows by the values of some expressions.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// Receives one worker's answer to a question for the size of its state: it must not block.
pub(crate) type SizeReply = Arc<dyn Fn(StateSize) + Send + Sync>;

/// What each view's operators do and hold in this process.
pub(crate) type Meters = Arc<Mutex<HashMap<RelationId, Arc<Meter>>>>;

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

/// A running set of workers: one generation, which ends for good when a worker or a process of it is lost.
/// Clones are handles to the same.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    compiler: Arc<dyn Compiler>,
    progress: Arc<Progress>,
    meters: Meters,
    /// The meters of dropped views: each is gone with the last operator that holds state.
    leaving: Mutex<Vec<Weak<Meter>>>,
    crew: Crew,
    config: EngineConfig,
    /// Of all processes.
    workers: usize,
}

impl Engine {
    /// Starts the workers of the only process. `progress` is called on every advance of a relation's upper.
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
        let progress = Arc::new(Progress::new(0..workers, progress));
        let (communication, ending) = (Communication::Alone, Ending::default());
        Engine::over(config, compiler, progress, communication, Vec::new(), ending, workers)
    }

    /// Starts the workers of process 0, and commands those of the other processes, which are connected.
    ///
    /// # Errors
    /// `Stopped` where threads cannot be started or a connection is gone already.
    pub fn lead(
        formed: Formed,
        view_bytes_max: Option<usize>,
        compiler: Arc<dyn Compiler>,
        progress: ProgressSink,
    ) -> Result<Engine, EngineError> {
        let Formed { process, processes, workers, controls, links, ending, .. } = formed;
        let all = workers * processes;
        let progress = Arc::new(Progress::new(0..all, progress));
        let config = EngineConfig { workers, view_bytes_max };
        let stopped = |error| {
            tracing::warn!(%error, "a generation could not begin");
            EngineError::Stopped
        };
        let remote = |(peer, socket): &(usize, std::net::TcpStream)| {
            let out = channel::open(*peer, socket, &ending)?;
            Ok(Remote::new(*peer, processes, workers, out, &progress))
        };
        let remotes = controls.iter().map(remote).collect::<std::io::Result<Vec<_>>>().map_err(stopped)?;
        let mesh = Communication::Mesh { process, links };
        let engine = Engine::over(config, compiler, progress, mesh, remotes.clone(), ending.clone(), all)?;
        for (remote, (_, socket)) in remotes.into_iter().zip(controls) {
            remote.listen(socket, ending.clone(), engine.home()).map_err(stopped)?;
        }
        Ok(engine)
    }

    fn over(
        config: EngineConfig,
        compiler: Arc<dyn Compiler>,
        progress: Arc<Progress>,
        communication: Communication,
        remotes: Vec<Arc<Remote>>,
        ending: Ending,
        workers: usize,
    ) -> Result<Engine, EngineError> {
        let queues = Arc::new(Queues::with(remotes));
        let spec = CrewSpec {
            first: 0,
            workers: config.workers,
            compiler: Arc::clone(&compiler),
            progress: Arc::clone(&progress),
            on_measured: stop_excess(Arc::downgrade(&queues)),
        };
        let crew = Crew::start(spec, communication, queues, ending);
        let crew = crew.map_err(|error| {
            tracing::warn!(%error, "the workers could not be started");
            EngineError::Stopped
        })?;
        let (meters, leaving) = Default::default();
        let shared = Shared { compiler, progress, meters, leaving, crew, config, workers };
        Ok(Engine { shared: Arc::new(shared) })
    }

    /// What other processes' answers concern here.
    fn home(&self) -> Home {
        let queues = Arc::downgrade(self.shared.crew.queues());
        Home {
            progress: Arc::clone(&self.shared.progress),
            meters: Arc::clone(&self.shared.meters),
            to_all: Box::new(move |command| queues.upgrade().iter().for_each(|queues| queues.send(command))),
        }
    }

    /// The number of workers, of all processes.
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// Whether two handles are of the same generation.
    pub fn is_same(&self, other: &Engine) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Tells `sink` once this generation is over: a worker or another process is lost, or `shutdown` was called. The sink
    /// is called on the thread that found out, or at once, and must not block. From then on nothing is answered;
    /// callbacks that wait are dropped.
    pub fn on_loss(&self, sink: impl FnOnce(Loss) + Send + 'static) {
        self.shared.crew.ending().tell(Box::new(sink));
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
        let meter = Arc::new(Meter::new(&spec.name, self.workers(), bytes_max));
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
        self.send(&Command::Read(relation, tick, Wanted::Rows, reply));
    }

    /// The same of an index of which only the rows with some encoded keys are wanted: other processes answer with these
    /// rows, workers of this one with their shares. `Snapshot::find_encoded` then takes the rows out of either.
    pub fn find(&self, index: RelationId, tick: Tick, keys: Arc<BTreeSet<Box<[u8]>>>, reply: ReadReply) {
        self.send(&Command::Read(index, tick, Wanted::Keys(keys), reply));
    }

    /// The same of a relation of which only the errors are wanted (`Snapshot::errors`).
    pub fn read_errors(&self, relation: RelationId, tick: Tick, reply: ReadReply) {
        self.send(&Command::Read(relation, tick, Wanted::Errors, reply));
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
        // Whoever asked has not gone: it waits.
        self.send(&Command::Measure(relation, Arc::new(move |size| reply.send(size).unwrap_or_default())));
        replies.iter().take(self.workers()).sum()
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

    /// Stops the workers of this process and waits for them; other processes see that it has gone.
    pub fn shutdown(&self) {
        self.shared.crew.ending().end(Loss::of_peer("it was shut down"));
        self.shared.crew.join();
    }

    fn send(&self, command: &Command) {
        self.shared.crew.queues().send(command);
    }
}

/// Has all workers stop a view that holds more than it may.
fn stop_excess(queues: Weak<Queues>) -> MeasuredSink {
    Arc::new(move |view, meter| {
        if meter.is_exceeded() {
            tracing::warn!(view = meter.name(), "a view holds more than it may and is stopped");
            let fail = Command::Fail(view, DataError::memory_limit(meter.name()));
            queues.upgrade().iter().for_each(|queues| queues.send(&fail));
        }
    })
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSize {
    /// Updates held.
    pub updates: usize,
    /// Bytes held.
    pub bytes: usize,
    /// Batches in which they are: what readers merge.
    pub batches: usize,
}

impl AddAssign for StateSize {
    fn add_assign(&mut self, other: StateSize) {
        self.updates += other.updates;
        self.bytes += other.bytes;
        self.batches += other.batches;
    }
}

impl Sum for StateSize {
    fn sum<I: Iterator<Item = StateSize>>(sizes: I) -> StateSize {
        sizes.fold(StateSize::default(), |mut total, size| {
            total += size;
            total
        })
    }
}

/// How a relation stands on a worker, or on all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        self.state += other.state;
        self.hydration_rows += other.hydration_rows;
        self.hydration_rows_all += other.hydration_rows_all;
        self.failure = self.failure.take().or(other.failure);
    }
}
