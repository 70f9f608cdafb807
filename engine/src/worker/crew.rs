//! `Crew`: the worker threads of this process, alone or connected with those of others.
//!
//! Invariant: workers end by leaving their loops and dropping their dataflows, whatever has ended them; a panic of one is
//! caught at its loop, told as the end of the generation, and takes nobody along.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use timely::communication::allocator::ProcessBuilder;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::{AllocatorBuilder, Hooks, WorkerGuards};
use timely::worker::Worker;

use super::{Command, WorkerState};
use crate::dataflow::meter::Meter;
use crate::delta::Delta;
use crate::expr::Compiler;
use crate::mesh::link::{Link, keep_alive};
use crate::mesh::loss::{Ending, Loss, guarded};
use crate::mesh::remote::{Remote, part_of_process};
use crate::progress::Progress;
use crate::types::RelationId;

/// Told when a view that may hold so much and no more was measured, on a worker's thread: it must not block.
pub(crate) type MeasuredSink = Arc<dyn Fn(RelationId, &Meter) + Send + Sync>;

/// What worker threads are given.
#[derive(Clone)]
pub(crate) struct CrewSpec {
    /// The number of the first, among all processes'.
    pub(crate) first: usize,
    /// How many there are in this process.
    pub(crate) workers: usize,
    pub(crate) compiler: Arc<dyn Compiler>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) on_measured: MeasuredSink,
}

/// How workers exchange data.
pub(crate) enum Communication {
    /// In this process alone.
    Alone,
    /// Also with those of other processes.
    Mesh {
        /// The number of this process.
        process: usize,
        /// A link to each other.
        links: Vec<Option<Link>>,
    },
}

/// Worker threads.
pub(crate) struct Crew {
    queues: Arc<Queues>,
    guards: Mutex<Option<WorkerGuards<()>>>,
    ending: Ending,
}

/// The workers' queues, and the other processes, under one lock: all get the commands in the same order.
#[derive(Default)]
pub(crate) struct Queues {
    workers: Mutex<Vec<(Sender<Command>, Thread)>>,
    remotes: Vec<Arc<Remote>>,
}

impl Queues {
    /// Of this process, which gives commands to others, too.
    pub(crate) fn with(remotes: Vec<Arc<Remote>>) -> Queues {
        Queues { workers: Mutex::default(), remotes }
    }

    /// Gives every worker the command.
    pub(crate) fn send(&self, command: &Command) {
        if self.remotes.is_empty() {
            return give(&self.lock(), command);
        }
        let told: Vec<_> = self.remotes.iter().map(|remote| remote.prepare(command)).collect();
        let own = self.own_part(command);
        let workers = self.lock();
        for (remote, down) in self.remotes.iter().zip(told) {
            down.into_iter().for_each(|down| remote.tell(down));
        }
        give(&workers, own.as_ref().unwrap_or(command));
    }

    /// Of a commit the part that the workers of process 0 take in.
    fn own_part(&self, command: &Command) -> Option<Command> {
        let Command::Commit(tick, changes) = command else { return None };
        let processes = self.remotes.len() + 1;
        let part = |(id, deltas): &(RelationId, Vec<Delta>)| {
            (*id, deltas.iter().filter_map(|delta| part_of_process(delta, 0, processes)).collect())
        };
        Some(Command::Commit(*tick, changes.iter().map(part).collect()))
    }

    /// Wakes all workers of this process.
    fn wake(&self) {
        self.lock().iter().for_each(|(_, thread)| thread.unpark());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Sender<Command>, Thread)>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give(workers: &[(Sender<Command>, Thread)], command: &Command) {
    for (queue, thread) in workers {
        // A worker that is gone takes no commands; callbacks and waits then end by themselves.
        let _ = queue.send(command.clone());
        thread.unpark();
    }
}

/// Lets timely's connection threads end; dropped before they are waited for.
struct Release(Ending);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.release();
    }
}

type Builders = (Vec<AllocatorBuilder>, Box<dyn Any + Send>);

fn builders(workers: usize, communication: Communication, ending: &Ending) -> io::Result<Builders> {
    match communication {
        Communication::Alone => {
            timely::CommunicationConfig::Process(workers).try_build().map_err(io::Error::other)
        }
        Communication::Mesh { process, links } => {
            keep_alive(links.iter().flatten(), ending)?;
            let hooks = Hooks::default();
            let inside = ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), None);
            let (builders, connections) =
                initialize_networking_from_sockets(inside, links, process, workers, hooks)?;
            let builders = builders.into_iter().map(AllocatorBuilder::Tcp).collect();
            Ok((builders, Box::new((Release(ending.clone()), connections))))
        }
    }
}

impl Crew {
    /// Starts workers, which run until `ending`.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub(crate) fn start(
        spec: CrewSpec,
        communication: Communication,
        queues: Arc<Queues>,
        ending: Ending,
    ) -> io::Result<Crew> {
        let workers = spec.workers;
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel()).unzip();
        let receivers: Mutex<Vec<_>> = Mutex::new(receivers.into_iter().map(Some).collect());
        let (started, starts) = mpsc::channel();
        let started = Mutex::new(started);
        let (builders, others) = builders(workers, communication, &ending)?;
        let workers_ending = ending.clone();
        let run = move |worker: &mut Worker| {
            let place = worker.index() - spec.first;
            let commands = receivers.lock().unwrap_or_else(PoisonError::into_inner)[place].take();
            // `Crew::start` waits for every thread, so the receiver is there.
            let started = started.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = started.send((place, std::thread::current()));
            drop(started);
            if let Some(commands) = commands {
                work(worker, &commands, spec.clone(), &workers_ending);
            }
        };
        let guards = timely::execute::execute_from(builders, others, timely::WorkerConfig::default(), run);
        let guards = guards.map_err(io::Error::other)?;
        let mut threads: Vec<(usize, Thread)> = starts.iter().take(workers).collect();
        threads.sort_by_key(|(place, _)| *place);
        *queues.lock() = senders.into_iter().zip(threads.into_iter().map(|(_, thread)| thread)).collect();
        let woken = Arc::downgrade(&queues);
        ending.tell(Box::new(move |_| woken.upgrade().iter().for_each(|queues| queues.wake())));
        Ok(Crew { queues, guards: Mutex::new(Some(guards)), ending })
    }

    /// Where commands go.
    pub(crate) fn queues(&self) -> &Arc<Queues> {
        &self.queues
    }

    /// What ends the workers.
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Waits until the workers are gone, which something has ended.
    pub(crate) fn join(&self) {
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Timely's connection threads panic when they end, and so does waiting for them.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(guards.map(WorkerGuards::join))));
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.ending.end(Loss::of_peer("the workers are not needed any more"));
        self.join();
    }
}

/// What a worker's thread does.
fn work(worker: &mut Worker, commands: &Receiver<Command>, spec: CrewSpec, ending: &Ending) {
    let index = worker.index();
    guarded(&format!("worker {index}"), ending, || WorkerState::new(worker, spec).run(commands, ending));
    // Else timely would wait for the other workers to complete them.
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
    }));
    if dropped.is_err() {
        tracing::warn!(worker = index, "the dataflows of a worker that has panicked are not dropped cleanly");
    }
}
