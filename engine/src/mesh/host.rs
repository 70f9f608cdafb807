//! A process that has workers only: takes process 0's commands, and tells it what its workers answer.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::channel::{self, Outgoing, read_frames};
use super::forming::Formed;
use super::frame::{Down, InstallForm, Rows, Up, Want};
use super::loss::{Ending, Loss};
use super::shares::Shares;
use crate::dataflow::arrangement::Start;
use crate::dataflow::meter::Meter;
use crate::engine::SubscriptionEvent;
use crate::expr::Compiler;
use crate::progress::Progress;
use crate::types::{RelationId, Tick};
use crate::worker::crew::{Communication, Crew, CrewSpec, Queues};
use crate::worker::{Command, Installation, Wanted};

/// Runs the workers of a process other than 0 until its generation is over: why it is.
pub fn host(formed: Formed, compiler: Arc<dyn Compiler>) -> Loss {
    let ending = formed.ending.clone();
    if let Err(error) = serve(formed, compiler, &ending) {
        ending.end(Loss::of_peer(format!("the workers could not be started: {error}")));
    }
    ending.loss().unwrap_or_else(|| Loss::of_peer("the generation is over"))
}

fn serve(formed: Formed, compiler: Arc<dyn Compiler>, ending: &Ending) -> io::Result<()> {
    let Formed { process, processes, workers, controls, links, .. } = formed;
    let (_, socket) = controls.into_iter().next().ok_or(io::ErrorKind::NotConnected)?;
    let out = channel::open(0, &socket, ending)?;
    let shares = Arc::new(Shares::new(workers, &out, ending)?);
    let first = process * workers;
    let told = out.clone();
    let upper = move |relation: RelationId, upper: Tick| told.send(Up::Upper(relation, upper));
    let progress = Arc::new(Progress::new(first..first + workers, Arc::new(upper)));
    let told = out.clone();
    let on_measured =
        Arc::new(move |view: RelationId, meter: &Meter| told.send(Up::Held(view, meter.held())));
    let spec = CrewSpec { first, workers, compiler, progress: Arc::clone(&progress), on_measured };
    let mesh = Communication::Mesh { process, links };
    let crew = Crew::start(spec, mesh, Arc::default(), ending.clone())?;
    let queues = Arc::clone(crew.queues());
    let host = Host { all: workers * processes, queues, progress, out, shares, followed: Mutex::default() };
    read_frames(0, socket, ending, |down| host.execute(down));
    crew.join();
    Ok(())
}

/// What the workers of this process and process 0 have with each other.
struct Host {
    /// The workers of all processes.
    all: usize,
    queues: Arc<Queues>,
    progress: Arc<Progress>,
    out: Outgoing,
    shares: Arc<Shares>,
    /// The subscriptions: each is false once nobody on process 0 follows any more.
    followed: Mutex<HashMap<u64, Arc<AtomicBool>>>,
}

impl Host {
    fn execute(&self, down: Down) -> io::Result<()> {
        let command = match down {
            Down::Form { .. } => return Err(io::Error::other("it has formed a generation twice")),
            Down::CreateTable(id, spec, tick) => {
                self.progress.expect(id);
                Command::CreateTable(id, spec, tick)
            }
            Down::Widen(id, shape) => Command::Widen(id, shape.shape().map_err(io::Error::other)?),
            Down::Install(form) => self.install(*form),
            Down::CreateIndex(id, spec, tick) => {
                self.progress.expect(id);
                Command::CreateIndex(id, Arc::new(spec), tick)
            }
            Down::Drop(ids) => {
                ids.iter().for_each(|id| self.progress.forget(*id));
                Command::Drop(ids.into())
            }
            Down::Commit(tick, changes) => {
                Command::Commit(tick, changes.into_iter().map(|(id, rows)| (id, rows.deltas())).collect())
            }
            Down::Compact(relations) => Command::Compact(relations.into()),
            Down::Read { request, relation, tick, want } => self.read(request, relation, tick, want),
            Down::Subscribe { subscription, relation, as_of } => {
                self.subscribe(subscription, relation, as_of)
            }
            Down::Unsubscribe(subscription) => {
                let followed = self.lock().remove(&subscription);
                followed.iter().for_each(|followed| followed.store(false, Ordering::Relaxed));
                return Ok(());
            }
            Down::Measure { request, relation } => {
                let out = self.out.clone();
                Command::Measure(relation, Arc::new(move |size| out.send(Up::Measured { request, size })))
            }
            Down::Inspect { request } => {
                let out = self.out.clone();
                Command::Inspect(Arc::new(move |reports| out.send(Up::Inspected { request, reports })))
            }
            Down::Fail(id, error) => Command::Fail(id, error),
            Down::Scan { share, scan, skip } => return self.scans(|shares| shares.scan(share, scan, skip)),
            Down::More { scan } => return self.scans(|shares| shares.more(scan)),
            Down::EndScan { scan } => return self.scans(|shares| shares.end(scan)),
            Down::Release { share } => return self.scans(|shares| shares.release(share)),
        };
        self.queues.send(&command);
        Ok(())
    }

    fn scans(&self, act: impl FnOnce(&Shares)) -> io::Result<()> {
        act(&self.shares);
        Ok(())
    }

    fn install(&self, form: InstallForm) -> Command {
        let InstallForm { id, plan, spec, as_of, bytes_max } = form;
        self.progress.expect(id);
        let meter = Arc::new(Meter::new(&spec.name, self.all, bytes_max));
        let start = Start::Fresh(as_of);
        Command::Install(Arc::new(Installation { id, plan, spec, start, saved: Vec::new(), meter }))
    }

    fn read(&self, request: u64, relation: RelationId, tick: Tick, want: Want) -> Command {
        let shares = Arc::clone(&self.shares);
        let reply = move |worker, answer| shares.answer(request, worker, answer, &want);
        Command::Read(relation, tick, Wanted::Rows, Arc::new(reply))
    }

    fn subscribe(&self, subscription: u64, relation: RelationId, as_of: Tick) -> Command {
        let followed = Arc::new(AtomicBool::new(true));
        self.lock().insert(subscription, Arc::clone(&followed));
        let (out, shares) = (self.out.clone(), Arc::clone(&self.shares));
        let sink = move |event| {
            let is_followed = followed.load(Ordering::Relaxed);
            if is_followed {
                out.send(told(subscription, event, &shares));
            }
            is_followed
        };
        Command::Subscribe(relation, as_of, Arc::new(sink))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<AtomicBool>>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription's event as process 0 is told it.
fn told(subscription: u64, event: SubscriptionEvent, shares: &Shares) -> Up {
    match event {
        SubscriptionEvent::Snapshot { worker, snapshot } => {
            Up::Snapshot { subscription, worker, share: shares.keep(snapshot) }
        }
        SubscriptionEvent::Changes { worker, changes, errors, upper } => {
            Up::Changes { subscription, worker, changes: Rows::new(changes), errors, upper }
        }
        SubscriptionEvent::Dropped => Up::Dropped { subscription },
        SubscriptionEvent::Failed(error) => Up::Failed { subscription, error },
    }
}
