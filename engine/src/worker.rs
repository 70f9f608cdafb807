//! The worker loop: commands in one sequence, then a step of every dataflow that has work.
//!
//! Each worker thread owns its dataflows; the only things that cross threads are commands (in),
//! callbacks (out) and timely's own exchanges. A worker without work parks; a command or a message
//! from another worker wakes it. Nothing here blocks on a channel.
//!
//! ```text
//!   Engine ──commands──▶ [loop: take commands → step dataflows → answer reads, report uppers]
//! ```

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use timely::container::NoopBuilder;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::core::input::Handle;
use timely::worker::Worker;

use crate::dataflow::arrangement::{SavedTrace, Start, TraceHandle, batches_of, size_of_trace};
use crate::dataflow::meter::Meter;
use crate::dataflow::publish::{Publication, PublishSpec, publish};
use crate::dataflow::render::Renderer;
use crate::dataflow::token::{Clock, Token};
use crate::delta::{Delta, Deltas};
use crate::engine::{ReadReply, StateSize, SubscriptionEvent, SubscriptionSink, TableSpec};
use crate::error::EngineError;
use crate::expr::Compiler;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::types::{RelationId, Tick};

/// The most commands between two steps of the dataflows.
const COMMANDS_MAX: usize = 64;

/// One command of the sequence that every worker gets.
#[derive(Clone)]
pub(crate) enum Command {
    /// A table that is complete before the tick.
    CreateTable(RelationId, TableSpec, Tick),
    /// A view.
    Install(Arc<Installation>),
    /// The end of relations.
    Drop(Arc<[RelationId]>),
    /// Changes at a tick, which completes every table through it.
    Commit(Tick, Arc<[(RelationId, Vec<Delta>)]>),
    /// Forget history before a relation's tick.
    Compact(Arc<[(RelationId, Tick)]>),
    /// A worker's share at a tick.
    Read(RelationId, Tick, ReadReply),
    /// Follow a relation.
    Subscribe(RelationId, Tick, SubscriptionSink),
    /// How much state a relation takes here.
    Measure(RelationId, std::sync::mpsc::Sender<StateSize>),
    /// The traces of a relation that is complete before the tick.
    Save(RelationId, Tick, std::sync::mpsc::Sender<(usize, Option<Vec<SavedTrace>>)>),
    /// The end.
    Stop,
}

/// A view to install.
pub(crate) struct Installation {
    /// Its id.
    pub(crate) id: RelationId,
    /// What it maintains.
    pub(crate) plan: Plan,
    /// Where it starts.
    pub(crate) start: Start,
    /// Each worker's saved traces, where it is restored.
    pub(crate) saved: Vec<Vec<SavedTrace>>,
    /// Counts the rows its operators visit.
    pub(crate) meter: Arc<Meter>,
}

/// What a worker has of a relation.
struct Installed {
    publication: Rc<Publication>,
    token: Token,
    input: Option<Handle<Tick, NoopBuilder<Deltas>>>,
    traces: Vec<TraceHandle>,
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
    compiler: Arc<dyn Compiler>,
    progress: Arc<Progress>,
    installed: HashMap<RelationId, Installed>,
    published: HashMap<RelationId, Rc<Publication>>,
    reads: Vec<PendingRead>,
    clock: Clock,
}

impl<'w> WorkerState<'w> {
    /// A worker without dataflows.
    pub(crate) fn new(worker: &'w mut Worker, compiler: Arc<dyn Compiler>, progress: Arc<Progress>) -> Self {
        let (installed, published, reads) = Default::default();
        WorkerState { worker, compiler, progress, installed, published, reads, clock: Clock::default() }
    }

    /// Runs until `Stop`, or until the engine's handles are gone.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        while let Some(taken) = self.take_commands(commands) {
            // Work between commands never waits; without any, the worker parks until it is woken.
            self.worker.step_or_park((taken > 0).then_some(Duration::ZERO));
            self.report();
        }
        self.installed.drain().for_each(|(_, installed)| installed.token.press());
    }

    /// Executes what has arrived, up to a bound, so that a flood of commands cannot keep the
    /// dataflows from their work: how many. `None` at the end.
    fn take_commands(&mut self, commands: &Receiver<Command>) -> Option<usize> {
        for taken in 0..COMMANDS_MAX {
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return None,
                Ok(command) => self.execute(command),
                Err(TryRecvError::Empty) => return Some(taken),
            }
        }
        Some(COMMANDS_MAX)
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::CreateTable(id, spec, as_of) => self.create_table(id, spec, as_of),
            Command::Install(installation) => self.install(&installation),
            Command::Drop(ids) => ids.iter().for_each(|id| self.drop_relation(*id)),
            Command::Commit(tick, changes) => self.commit(tick, &changes),
            Command::Compact(relations) => self.compact(&relations),
            Command::Read(relation, tick, reply) => self.read(relation, tick, reply),
            Command::Subscribe(relation, as_of, sink) => self.subscribe(relation, as_of, sink),
            // Whoever asked may have gone: then nobody minds.
            Command::Measure(relation, reply) => drop(reply.send(self.measure(relation))),
            Command::Save(relation, at, reply) => {
                drop(reply.send((self.worker.index(), self.save(relation, at))));
            }
            Command::Stop => {}
        }
    }

    fn create_table(&mut self, id: RelationId, spec: TableSpec, as_of: Tick) {
        let (mut input, publication) = self.worker.dataflow_named(&format!("table {id}"), |scope| {
            let (input, rows) = scope.new_input_with_builder::<NoopBuilder<Deltas>>();
            let errors = timely::dataflow::operators::Concatenate::concatenate(&scope, Vec::new());
            let spec = PublishSpec {
                columns: spec.columns,
                keep_rows: spec.keep_rows,
                start: Start::Fresh(as_of),
                saved: None,
            };
            (input, publish(rows, errors, spec))
        });
        input.advance_to(as_of);
        let traces = publication.traces();
        self.add(id, Installed { publication, token: Token::default(), input: Some(input), traces });
    }

    fn install(&mut self, installation: &Installation) {
        let token = Token::default();
        let saved = installation.saved.get(self.worker.index()).map(|saved| saved.iter().cloned().collect());
        let (compiler, published, clock) = (&self.compiler, &self.published, &self.clock);
        let name = format!("view {}", installation.id);
        let rendered = self.worker.dataflow_named(&name, |scope| {
            let renderer = Renderer {
                scope,
                compiler: compiler.as_ref(),
                relations: published,
                start: installation.start,
                token: &token,
                clock,
                meter: &installation.meter,
                saved,
                traces: Vec::new(),
                imports: HashMap::new(),
                rendered: HashMap::new(),
                arranged: HashMap::new(),
                errors: Vec::new(),
            };
            renderer.view(&installation.plan)
        });
        match rendered {
            Ok((publication, traces)) => {
                self.add(installation.id, Installed { publication, token, input: None, traces });
            }
            // `Engine::install` has compiled the same plan; a difference would be a defect.
            Err(error) => {
                token.press();
                tracing::error!(%error, view = %installation.id, "a checked plan was not rendered");
            }
        }
    }

    fn add(&mut self, id: RelationId, installed: Installed) {
        self.published.insert(id, Rc::clone(&installed.publication));
        self.installed.insert(id, installed);
    }

    fn drop_relation(&mut self, id: RelationId) {
        self.published.remove(&id);
        if let Some(installed) = self.installed.remove(&id) {
            installed.token.press();
            installed.publication.close();
        }
        let (gone, waiting) =
            std::mem::take(&mut self.reads).into_iter().partition(|read| read.relation == id);
        self.reads = waiting;
        let gone: Vec<PendingRead> = gone;
        gone.iter().for_each(|read| (read.reply)(self.worker.index(), Err(EngineError::NoRelation(id))));
    }

    /// Sends this worker's part of the changes, then completes every table through `tick`.
    fn commit(&mut self, tick: Tick, changes: &[(RelationId, Vec<Delta>)]) {
        for (id, deltas) in changes {
            let input = self.installed.get_mut(id).and_then(|installed| installed.input.as_mut());
            let Some(input) = input else { continue };
            if *input.time() < tick {
                input.advance_to(tick);
            }
            let parts =
                deltas.iter().filter_map(|delta| part_of(delta, self.worker.index(), self.worker.peers()));
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
        }
    }

    fn read(&mut self, relation: RelationId, tick: Tick, reply: ReadReply) {
        match self.published.get(&relation) {
            Some(_) => self.reads.push(PendingRead { relation, tick, reply }),
            None => reply(self.worker.index(), Err(EngineError::NoRelation(relation))),
        }
        self.answer_reads();
    }

    /// Answers the reads whose tick is complete.
    fn answer_reads(&mut self) {
        let (published, worker) = (&self.published, self.worker.index());
        self.reads.retain(|read| {
            let Some(publication) = published.get(&read.relation) else { return false };
            if publication.upper() <= read.tick {
                return true;
            }
            let since = publication.since();
            let answer = if read.tick < since {
                Err(EngineError::Compacted { tick: read.tick, since })
            } else {
                Ok(publication.snapshot(read.tick))
            };
            (read.reply)(worker, answer);
            false
        });
    }

    fn subscribe(&mut self, relation: RelationId, as_of: Tick, sink: SubscriptionSink) {
        match self.published.get(&relation) {
            Some(publication) => publication.subscribe(as_of, sink),
            None => drop(sink(SubscriptionEvent::Dropped)),
        }
    }

    fn measure(&self, relation: RelationId) -> StateSize {
        let Some(installed) = self.installed.get(&relation) else { return StateSize::default() };
        let sizes = installed.traces.iter().map(size_of_trace);
        sizes.fold(StateSize::default(), |total, (updates, bytes)| StateSize {
            updates: total.updates + updates,
            bytes: total.bytes + bytes,
        })
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
        for (id, publication) in &self.published {
            moved |= self.progress.report(*id, worker, publication.upper());
        }
        if moved {
            self.answer_reads();
        }
    }
}

/// A worker's part of a delta: one of `peers` even pieces.
fn part_of(delta: &Delta, worker: usize, peers: usize) -> Option<Delta> {
    let from = delta.len() * worker / peers;
    let to = delta.len() * (worker + 1) / peers;
    (to > from).then(|| delta.slice(from, to - from))
}
