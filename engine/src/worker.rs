//! The worker loop: commands in one sequence, then a step of every dataflow that has work.
//!
//! Each worker thread owns its dataflows; the only things that cross threads are commands (in),
//! callbacks (out) and timely's own exchanges. A worker without work parks; a command or a message
//! from another worker wakes it. Nothing here blocks on a channel.
//!
//! ```text
//!   Engine ──commands──▶ [loop: take commands → step dataflows → answer reads, report uppers
//!                               └─ nobody waits for a commit: a turn of background work]
//! ```
//! Background work (hydration, merging) gets one turn after the other while all live relations are
//! complete through the newest commit; while some are not, one turn each `PATIENCE`: it never stops.

pub(crate) mod crew; // the threads
mod index; // indexes: arrangements that are read by key
mod sharing; // who uses which shared arrangement

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::core::input::Handle;
use timely::worker::Worker;

use crate::dataflow::arrangement::{SavedTrace, Start, TraceHandle, batches_of, size_of_trace};
use crate::dataflow::meter::Meter;
use crate::dataflow::publish::{Publication, PublishSpec, publish};
use crate::dataflow::render::{Rendered, Renderer};
use crate::dataflow::shared::{ArrangementKey, SharedArrangement};
use crate::dataflow::turns::{Background, Clock, Token};
use crate::delta::{Delta, Deltas};
use crate::engine::{
    IndexSpec, InspectReply, ReadReply, RelationReport, SizeReply, StateSize, SubscriptionEvent,
    SubscriptionSink, TableSpec, ViewSpec,
};
use crate::error::{DataError, EngineError};
use crate::expr::Compiler;
use crate::mesh::loss::Ending;
use crate::plan::PlanRef;
use crate::shape::RowShape;
use crate::snapshot::Snapshot;
use crate::types::{RelationId, Tick};
use crew::CrewSpec;

/// The most commands between two steps of the dataflows.
const COMMANDS_MAX: usize = 64;

/// How long background work waits for a commit to be complete everywhere before it gets a turn all the
/// same. A turn takes below a millisecond, so hydration has a fifth of a worker that is never idle.
const PATIENCE: Duration = Duration::from_millis(2);

/// What a reader wants of a relation or an index. Workers of this process give their shares in any case.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// Its rows.
    Rows,
    /// Of an index the rows with these encoded keys.
    Keys(Arc<BTreeSet<Box<[u8]>>>),
    /// Its errors.
    Errors,
}

/// One command of the sequence that every worker gets.
#[derive(Clone)]
pub(crate) enum Command {
    /// A table that is complete before the tick.
    CreateTable(RelationId, TableSpec, Tick),
    /// A table has these columns from now on.
    Widen(RelationId, RowShape),
    /// A view.
    Install(Arc<Installation>),
    /// An index, from a tick on.
    CreateIndex(RelationId, Arc<IndexSpec>, Tick),
    /// The end of relations.
    Drop(Arc<[RelationId]>),
    /// Changes at a tick, which completes every table through it.
    Commit(Tick, Arc<[(RelationId, Vec<Delta>)]>),
    /// Forget history before a relation's tick.
    Compact(Arc<[(RelationId, Tick)]>),
    /// A worker's share of a relation or of an index at a tick.
    Read(RelationId, Tick, Wanted, ReadReply),
    /// Follow a relation.
    Subscribe(RelationId, Tick, SubscriptionSink),
    /// How much state a relation takes here.
    Measure(RelationId, SizeReply),
    /// The traces of a relation that is complete before the tick.
    Save(RelationId, Tick, std::sync::mpsc::Sender<(usize, Option<Vec<SavedTrace>>)>),
    /// How all relations stand here.
    Inspect(InspectReply),
    /// A view can go on no more: it and what reads it give this error from now on.
    Fail(RelationId, DataError),
}

/// A view to install.
pub(crate) struct Installation {
    /// Its id.
    pub(crate) id: RelationId,
    /// What it maintains.
    pub(crate) plan: PlanRef,
    /// Its name and options.
    pub(crate) spec: ViewSpec,
    /// Where it starts.
    pub(crate) start: Start,
    /// Each worker's saved traces, where it is restored.
    pub(crate) saved: Vec<Vec<SavedTrace>>,
    /// Counts what its operators do and hold.
    pub(crate) meter: Arc<Meter>,
}

/// What a worker has of a relation.
struct Installed {
    publication: Rc<Publication>,
    token: Token,
    input: Option<Handle<Tick, NoopBuilder<Deltas>>>,
    traces: Vec<TraceHandle>,
    /// Which of its traces belong to shared arrangements.
    borrowed: HashSet<usize>,
    view: Option<InstalledView>,
}

impl Installed {
    /// The traces that are its own.
    fn own_traces(&self) -> impl Iterator<Item = &TraceHandle> {
        self.traces
            .iter()
            .enumerate()
            .filter(|(place, _)| !self.borrowed.contains(place))
            .map(|(_, trace)| trace)
    }
}

/// What only a view has.
struct InstalledView {
    reads: Vec<RelationId>,
    meter: Arc<Meter>,
    /// The shared arrangements that it uses, each once.
    uses: Vec<ArrangementKey>,
    /// The bytes that it had taken in when its traces were measured last.
    measured: u64,
}

/// A read that waits for its tick.
struct PendingRead {
    relation: RelationId,
    tick: Tick,
    reply: ReadReply,
}

/// Everything a worker thread has.
pub(crate) struct WorkerState<'w> {
    worker: &'w mut Worker,
    /// What all workers of this process have been given.
    crew: CrewSpec,
    installed: HashMap<RelationId, Installed>,
    published: HashMap<RelationId, Rc<Publication>>,
    /// The arrangements that views and indexes share.
    shared: HashMap<ArrangementKey, SharedArrangement>,
    /// Which arrangement each index is.
    indexes: BTreeMap<RelationId, ArrangementKey>,
    /// The indexes whose readers wait while they take in their rows.
    awaited: HashSet<RelationId>,
    /// The views that have failed for good, until they are dropped.
    failed: BTreeMap<RelationId, DataError>,
    reads: Vec<PendingRead>,
    clock: Clock,
    background: Background,
    /// All live relations are complete before this tick.
    live_upper: Tick,
    /// When background work had its last turn.
    turned: Instant,
}

impl<'w> WorkerState<'w> {
    /// A worker without dataflows.
    pub(crate) fn new(worker: &'w mut Worker, crew: CrewSpec) -> Self {
        let (installed, published, shared, indexes, awaited, failed, reads, clock) = Default::default();
        WorkerState {
            worker,
            crew,
            installed,
            published,
            shared,
            indexes,
            awaited,
            failed,
            reads,
            clock,
            background: Background::new(),
            live_upper: 0,
            turned: Instant::now(),
        }
    }

    /// Runs until the end, or until the engine's handles are gone.
    pub(crate) fn run(mut self, commands: &Receiver<Command>, ending: &Ending) {
        while let Some(taken) = self.take_commands(commands)
            && !ending.is_over()
        {
            // Work between commands never waits; without any, the worker parks until it is woken.
            let wait = self.turn();
            self.worker.step_or_park(if taken > 0 { Some(Duration::ZERO) } else { wait });
            self.background.rest();
            self.report();
            self.look_for_excess();
        }
        self.installed.drain().for_each(|(_, installed)| installed.token.press());
        let worker = self.worker.index();
        self.shared.drain().for_each(|(_, arrangement)| arrangement.stop(worker));
    }

    /// Gives background work a turn, if it is time: how long the worker may park.
    fn turn(&mut self) -> Option<Duration> {
        if self.background.is_empty() {
            return None;
        }
        let waited = self.turned.elapsed();
        if self.live_upper < self.clock.now() && waited < PATIENCE {
            return Some(PATIENCE - waited);
        }
        self.background.wake_one(&self.worker.activations());
        self.turned = Instant::now();
        Some(Duration::ZERO)
    }

    /// Executes what has arrived, up to a bound, so that a flood of commands cannot keep the
    /// dataflows from their work: how many. `None` at the end.
    fn take_commands(&mut self, commands: &Receiver<Command>) -> Option<usize> {
        for taken in 0..COMMANDS_MAX {
            match commands.try_recv() {
                Err(TryRecvError::Disconnected) => return None,
                Ok(command) => self.execute(command),
                Err(TryRecvError::Empty) => return Some(taken),
            }
        }
        Some(COMMANDS_MAX)
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::CreateTable(id, spec, as_of) => self.create_table(id, spec, as_of),
            Command::Widen(id, shape) => {
                if let Some(table) = self.published.get(&id) {
                    table.widen(shape);
                }
            }
            Command::Install(installation) => self.install(&installation),
            Command::CreateIndex(id, spec, as_of) => self.create_index(id, &spec, as_of),
            Command::Drop(ids) => ids.iter().for_each(|id| self.drop_relation(*id)),
            Command::Commit(tick, changes) => self.commit(tick, &changes),
            Command::Compact(relations) => self.compact(&relations),
            Command::Read(relation, tick, _, reply) => self.read(relation, tick, reply),
            Command::Subscribe(relation, as_of, sink) => self.subscribe(relation, as_of, sink),
            Command::Measure(relation, reply) => reply(self.measure(relation)),
            // Whoever asked may have gone: then nobody minds.
            Command::Save(relation, at, reply) => {
                drop(reply.send((self.worker.index(), self.save(relation, at))));
            }
            Command::Inspect(reply) => reply(self.inspect()),
            Command::Fail(id, error) => self.fail(id, &error),
        }
    }

    fn create_table(&mut self, id: RelationId, spec: TableSpec, as_of: Tick) {
        let token = Token::new(&self.background);
        token.set_live();
        let (mut input, publication) = self.worker.dataflow_named(&format!("table {id}"), |scope| {
            let (input, rows) = scope.new_input_with_builder::<NoopBuilder<Deltas>>();
            let errors = timely::dataflow::operators::Concatenate::concatenate(&scope, Vec::new());
            let spec = PublishSpec {
                columns: spec.columns,
                keep_rows: spec.keep_rows,
                is_placed: false,
                start: Start::Fresh(as_of),
                saved: None,
                name: spec.name.into(),
                skips_errors: false,
                meter: None,
                checks_counts: spec.keep_rows,
            };
            (input, publish(rows, errors, spec, &token))
        });
        input.advance_to(as_of);
        let traces = publication.traces();
        self.add(
            id,
            Installed {
                publication,
                token,
                input: Some(input),
                traces,
                borrowed: HashSet::new(),
                view: None,
            },
        );
    }

    fn install(&mut self, installation: &Installation) {
        let reads = installation.plan.relations();
        // What has failed is the same on all workers: none builds a dataflow over it.
        if let Some(error) = reads.iter().find_map(|read| self.failed.get(read)).cloned() {
            self.set_failed(installation.id, error);
            return;
        }
        let uses = self.use_shared(installation);
        let token = Token::new(&self.background);
        let saved = installation.saved.get(self.worker.index()).map(|saved| saved.iter().cloned().collect());
        let parts =
            Parts { compiler: self.crew.compiler.as_ref(), relations: &self.published, clock: &self.clock };
        let shared = &self.shared;
        let name = format!("view {}", installation.id);
        let rendered = self.worker.dataflow_named(&name, |scope| {
            let (start, spec, meter) = (installation.start, &installation.spec, &installation.meter);
            let mut renderer = parts.renderer(scope, start, spec, &token, meter, shared);
            renderer.saved = saved;
            renderer.view(&installation.plan)
        });
        match rendered {
            Ok(Rendered { publication, traces, borrowed }) => {
                let meter = Arc::clone(&installation.meter);
                let view = Some(InstalledView { reads, meter, uses, measured: 0 });
                self.add(
                    installation.id,
                    Installed { publication, token, input: None, traces, borrowed, view },
                );
            }
            // `Engine::install` has compiled the same plan; a difference would be a defect.
            Err(error) => {
                token.press();
                self.release_shared(&uses);
                tracing::error!(%error, view = %installation.id, "a checked plan was not rendered");
            }
        }
    }

    fn add(&mut self, id: RelationId, installed: Installed) {
        self.published.insert(id, Rc::clone(&installed.publication));
        self.installed.insert(id, installed);
    }

    fn drop_relation(&mut self, id: RelationId) {
        self.failed.remove(&id);
        self.drop_index(id);
        self.remove(id, None);
    }

    /// Takes a relation away and frees what it holds; who follows or waits for it hears why.
    fn remove(&mut self, id: RelationId, failure: Option<&DataError>) {
        self.published.remove(&id);
        if let Some(installed) = self.installed.remove(&id) {
            installed.token.press();
            installed.publication.close(failure);
            if let Some(view) = &installed.view {
                view.meter.stop(self.worker.index());
                self.release_shared(&view.uses);
            }
        }
        self.drop_indexes_of(id);
        self.refuse_reads(id, failure);
    }

    /// Whoever waits for a relation or an index that is gone hears why.
    fn refuse_reads(&mut self, id: RelationId, failure: Option<&DataError>) {
        let (gone, waiting) =
            std::mem::take(&mut self.reads).into_iter().partition(|read| read.relation == id);
        self.reads = waiting;
        let gone: Vec<PendingRead> = gone;
        gone.iter().for_each(|read| (read.reply)(self.worker.index(), Err(no_relation(id, failure))));
    }

    /// A view fails for good, and with it every view that reads it.
    fn fail(&mut self, id: RelationId, error: &DataError) {
        if self.installed.get(&id).is_none_or(|installed| installed.view.is_none()) {
            return;
        }
        self.remove(id, Some(error));
        self.set_failed(id, error.clone());
        let reads_it = |installed: &Installed| installed.view.as_ref().is_some_and(|v| v.reads.contains(&id));
        let readers: Vec<RelationId> =
            self.installed.iter().filter(|(_, installed)| reads_it(installed)).map(|(id, _)| *id).collect();
        readers.into_iter().for_each(|reader| self.fail(reader, error));
    }

    /// Nobody waits for a view that has failed: it is told to be complete for ever.
    fn set_failed(&mut self, id: RelationId, error: DataError) {
        self.failed.insert(id, error);
        self.crew.progress.report(id, self.worker.index(), Tick::MAX);
    }

    /// Measures views that have taken in enough since they were measured last: some hold more than they may.
    fn look_for_excess(&mut self) {
        let worker = self.worker.index();
        for (id, installed) in &mut self.installed {
            let Installed { traces, borrowed, view: Some(view), .. } = installed else { continue };
            let is_own = |(place, _): &(usize, &TraceHandle)| !borrowed.contains(place);
            let measure = || {
                traces.iter().enumerate().filter(is_own).map(|(_, trace)| size_of_trace(trace).bytes).sum()
            };
            if view.meter.measure(worker, &mut view.measured, measure) {
                (self.crew.on_measured)(*id, &view.meter);
            }
        }
    }

    /// Sends this worker's part of what its process got, then completes every table through `tick`.
    fn commit(&mut self, tick: Tick, changes: &[(RelationId, Vec<Delta>)]) {
        let (place, workers) = (self.worker.index() - self.crew.first, self.crew.workers);
        for (id, deltas) in changes {
            let input = self.installed.get_mut(id).and_then(|installed| installed.input.as_mut());
            let Some(input) = input else { continue };
            if *input.time() < tick {
                input.advance_to(tick);
            }
            let parts = deltas.iter().filter_map(|delta| delta.part(place, workers));
            let mut container = Deltas { list: parts.map(Arc::new).collect() };
            if !container.list.is_empty() {
                input.send_batch(&mut container);
            }
        }
        for input in self.installed.values_mut().filter_map(|installed| installed.input.as_mut()) {
            if *input.time() <= tick {
                input.advance_to(tick + 1);
            }
        }
        self.clock.advance(tick + 1);
    }

    fn compact(&mut self, relations: &[(RelationId, Tick)]) {
        for (id, since) in relations {
            if let Some(publication) = self.published.get(id) {
                publication.compact(*since);
            }
            let of_relation = self.shared.iter().filter(|(key, _)| key.relation() == Some(*id));
            of_relation.for_each(|(_, arrangement)| arrangement.compact(*since));
        }
    }

    fn read(&mut self, relation: RelationId, tick: Tick, reply: ReadReply) {
        match self.answer(relation, tick) {
            Some(answer) => reply(self.worker.index(), answer),
            None => self.reads.push(PendingRead { relation, tick, reply }),
        }
    }

    /// Answers the reads whose tick is complete.
    fn answer_reads(&mut self) {
        let mut reads = std::mem::take(&mut self.reads);
        reads.retain(|read| match self.answer(read.relation, read.tick) {
            Some(answer) => {
                (read.reply)(self.worker.index(), answer);
                false
            }
            None => true,
        });
        self.reads = reads;
    }

    /// The answer to a read; `None` while its tick is not complete.
    fn answer(&self, relation: RelationId, tick: Tick) -> Option<Result<Snapshot, EngineError>> {
        if let Some(key) = self.indexes.get(&relation) {
            return self.answer_by_key(relation, key, tick);
        }
        let Some(publication) = self.published.get(&relation) else {
            return Some(Err(no_relation(relation, self.failed.get(&relation))));
        };
        let readable = is_readable(publication, tick)?;
        let share = || publication.snapshot(tick).counted(Arc::clone(&self.crew.progress.rows_read));
        Some(readable.map(|()| share()))
    }

    fn subscribe(&mut self, relation: RelationId, as_of: Tick, sink: SubscriptionSink) {
        match self.published.get(&relation) {
            Some(publication) => publication.subscribe(as_of, sink),
            None => drop(sink(match self.failed.get(&relation) {
                Some(error) => SubscriptionEvent::Failed(error.clone()),
                None => SubscriptionEvent::Dropped,
            })),
        }
    }

    /// How every relation stands here.
    fn inspect(&self) -> Vec<RelationReport> {
        let standing = self.installed.iter().map(|(id, installed)| self.inspect_one(*id, installed));
        let indexes = self.indexes.iter().map(|(id, key)| self.inspect_index(*id, key));
        let failed = self.failed.iter().map(|(id, error)| RelationReport {
            relation: *id,
            upper: Tick::MAX,
            since: Tick::MAX,
            is_hydrated: false,
            state: StateSize::default(),
            hydration_rows: 0,
            hydration_rows_all: 0,
            failure: Some(error.clone()),
        });
        standing.chain(indexes).chain(failed).collect()
    }

    /// The rows of a view's hydration, those of the arrangements that it shares included.
    fn hydration(&self, view: Option<&InstalledView>) -> (u64, u64) {
        let Some(view) = view else { return (0, 0) };
        let shared = view.uses.iter().filter_map(|key| self.shared.get(key));
        // The view's own meter counts for all workers of the process: one of them tells it.
        let own = Some(&view.meter).filter(|_| self.is_first());
        let meters = shared.map(|arrangement| &arrangement.meter).chain(own);
        meters.map(|meter| meter.hydration()).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// Whether it is the first worker of its process.
    fn is_first(&self) -> bool {
        self.worker.index() == self.crew.first
    }

    fn inspect_one(&self, id: RelationId, installed: &Installed) -> RelationReport {
        let publication = &installed.publication;
        let mut state = self.measure(id);
        let (hydration_rows, hydration_rows_all) = self.hydration(installed.view.as_ref());
        // What waits is counted over all workers of the process: one of them tells it.
        if let (Some(view), true) = (&installed.view, self.is_first()) {
            state.bytes += view.meter.waiting_bytes();
        }
        RelationReport {
            relation: id,
            upper: publication.upper(),
            since: publication.since(),
            is_hydrated: installed.view.is_none() || publication.is_hydrated(),
            state,
            hydration_rows,
            hydration_rows_all,
            failure: None,
        }
    }

    fn measure(&self, relation: RelationId) -> StateSize {
        if let Some(key) = self.indexes.get(&relation) {
            return self.measure_index(relation, key);
        }
        let Some(installed) = self.installed.get(&relation) else { return StateSize::default() };
        // An arrangement that only views share belongs to what it arranges.
        let shared = self.shared.iter().filter(|(key, _)| key.relation() == Some(relation));
        let shared = shared.filter(|(key, _)| self.index_of(key).is_none());
        let shared: Vec<TraceHandle> = shared.flat_map(|(_, arrangement)| arrangement.traces()).collect();
        size_of(installed.own_traces().chain(&shared))
    }

    fn save(&self, relation: RelationId, at: Tick) -> Option<Vec<SavedTrace>> {
        let installed = self.installed.get(&relation)?;
        let save = |trace: &TraceHandle| SavedTrace { batches: batches_of(trace) };
        let saved: Vec<SavedTrace> = installed.traces.iter().map(save).collect();
        // An operator may be ahead of the publication; a view that is not hydrated has no state.
        let cut_is_clean = saved.iter().flat_map(|trace| &trace.batches).all(|batch| batch.tick_max() < at);
        (installed.publication.is_hydrated() && installed.publication.upper() == at && cut_is_clean)
            .then_some(saved)
    }

    /// Tells the engine which uppers have moved, and answers what waited for them.
    fn report(&mut self) {
        let worker = self.worker.index();
        let mut moved = false;
        self.live_upper = Tick::MAX;
        for (id, Installed { publication, token, .. }) in &self.installed {
            let upper = publication.upper();
            moved |= self.crew.progress.report(*id, worker, upper);
            if token.is_live() {
                self.live_upper = self.live_upper.min(upper);
            } else if publication.is_hydrated() {
                token.set_live();
            }
        }
        for (id, key) in &self.indexes {
            moved |= self.crew.progress.report(*id, worker, self.index_upper(key));
        }
        self.shared.values().filter(|shared| shared.is_hydrated()).for_each(|shared| shared.token.set_live());
        if moved {
            self.answer_reads();
        }
    }
}

/// What rendering needs of the worker.
struct Parts<'a> {
    compiler: &'a dyn Compiler,
    relations: &'a HashMap<RelationId, Rc<Publication>>,
    clock: &'a Clock,
}

impl<'a> Parts<'a> {
    /// A renderer of a view's dataflow, or of one that the view needs.
    fn renderer<'scope>(
        &self,
        scope: Scope<'scope, Tick>,
        start: Start,
        spec: &ViewSpec,
        token: &'a Token,
        meter: &'a Arc<Meter>,
        shared: &'a HashMap<ArrangementKey, SharedArrangement>,
    ) -> Renderer<'a, 'scope> {
        Renderer {
            scope,
            compiler: self.compiler,
            relations: self.relations,
            start,
            token,
            clock: self.clock,
            name: spec.name.as_str().into(),
            skips_errors: spec.skip_errors,
            meter,
            saved: None,
            traces: Vec::new(),
            imports: HashMap::new(),
            rendered: HashMap::new(),
            arranged: HashMap::new(),
            erring: HashSet::new(),
            taken_in: HashSet::new(),
            errors: Vec::new(),
            shared,
            borrowed: HashSet::new(),
        }
    }
}

/// Why a relation cannot be read.
fn no_relation(id: RelationId, failure: Option<&DataError>) -> EngineError {
    failure.map_or(EngineError::NoRelation(id), |error| EngineError::Failed(error.clone()))
}

/// Whether a relation can be read at a tick; `None` while the tick is not complete.
fn is_readable(publication: &Publication, tick: Tick) -> Option<Result<(), EngineError>> {
    if publication.upper() <= tick {
        return None;
    }
    let since = publication.since();
    Some(if tick < since { Err(EngineError::Compacted { tick, since }) } else { Ok(()) })
}

/// What traces hold.
fn size_of<'t>(traces: impl Iterator<Item = &'t TraceHandle>) -> StateSize {
    traces.map(size_of_trace).sum()
}
