//! `Remote`: another process, as process 0 sees it: takes the sequence's commands, gives its workers' answers.
//!
//! Invariant: what is asked of a process that is lost is never answered: its callbacks are dropped, and whoever waits
//! sees that. Callbacks are called on the thread that reads the connection and must not block.

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::channel::{Outgoing, read_frames};
use super::frame::{Bytes, Chunk, Down, InstallForm, ReadFailure, Rows, ShareForm, ShareRows, Up, Want};
use super::loss::{Ending, guarded};
use super::scan::RemoteShare;
use crate::delta::Delta;
use crate::engine::{InspectReply, Meters, ReadReply, SizeReply, SubscriptionEvent, SubscriptionSink};
use crate::error::{DataError, EngineError};
use crate::progress::Progress;
use crate::snapshot::{Snapshot, Told};
use crate::types::{RelationId, Tick};
use crate::worker::{Command, Wanted};

/// Fewer rows of a table are given to this process whole: the dataflow sends them on, wherever they belong.
const SPREAD_ROWS_MIN: usize = 4_096;

/// Another process.
pub(crate) struct Remote {
    process: usize,
    processes: usize,
    /// Its workers: their numbers in the whole set.
    workers: std::ops::Range<usize>,
    out: Outgoing,
    asked: Mutex<Asked>,
    /// The updates that readers have looked at.
    rows_read: Arc<AtomicU64>,
}

/// What was asked and not answered, by number.
#[derive(Default)]
struct Asked {
    is_over: bool,
    last: u64,
    reads: HashMap<u64, AskedRead>,
    sizes: HashMap<u64, (SizeReply, usize)>,
    inspections: HashMap<u64, (InspectReply, usize)>,
    subscriptions: HashMap<u64, (SubscriptionSink, Tick)>,
    scans: HashMap<u64, Sender<Chunk>>,
}

/// A read that not all workers have answered: how many have not.
type AskedRead = (Arc<Reading>, usize);

struct Reading {
    tick: Tick,
    wanted: Wanted,
    reply: ReadReply,
}

/// What a worker has answered to: forgotten with the last one's answer.
fn answered<R: Clone>(asked: &mut HashMap<u64, (R, usize)>, request: u64) -> Option<R> {
    let (reply, missing) = asked.get_mut(&request)?;
    *missing = missing.saturating_sub(1);
    let (reply, is_last) = (reply.clone(), *missing == 0);
    if is_last {
        asked.remove(&request);
    }
    Some(reply)
}

impl Asked {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Remote {
    /// The process of this number, each of which has so many workers.
    pub(crate) fn new(
        process: usize,
        processes: usize,
        workers: usize,
        out: Outgoing,
        progress: &Progress,
    ) -> Arc<Remote> {
        let workers = process * workers..(process + 1) * workers;
        let rows_read = Arc::clone(&progress.rows_read);
        Arc::new(Remote { process, processes, workers, out, asked: Mutex::default(), rows_read })
    }

    /// Reads what the process says, on a thread of its own, until the generation is over.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn listen(self: Arc<Self>, socket: TcpStream, ending: Ending, home: Home) -> io::Result<()> {
        let read = move || {
            guarded("what another process tells", &ending, || {
                read_frames(self.process, socket, &ending, |up| self.take_in(up, &home));
            });
            self.forget();
        };
        std::thread::Builder::new().name("mesh:read".to_owned()).spawn(read).map(drop)
    }

    /// A command as this process is told it, what is to be answered noted. `None`: it does not concern it.
    pub(crate) fn prepare(&self, command: &Command) -> Option<Down> {
        Some(match command {
            Command::CreateTable(id, spec, tick) => Down::CreateTable(*id, spec.clone(), *tick),
            Command::Widen(id, shape) => Down::Widen(*id, shape.into()),
            Command::Install(installation) => Down::Install(Box::new(InstallForm {
                id: installation.id,
                plan: installation.plan.clone(),
                spec: installation.spec.clone(),
                as_of: installation.start.upper(),
                bytes_max: installation.meter.bytes_max(),
            })),
            Command::CreateIndex(id, spec, tick) => Down::CreateIndex(*id, spec.as_ref().clone(), *tick),
            Command::Drop(ids) => Down::Drop(ids.to_vec()),
            Command::Commit(tick, changes) => Down::Commit(*tick, self.part_of(changes)),
            Command::Compact(relations) => Down::Compact(relations.to_vec()),
            Command::Read(relation, tick, wanted, reply) => {
                self.prepare_read(*relation, *tick, wanted, reply)?
            }
            Command::Subscribe(relation, as_of, sink) => {
                let mut asked = self.open()?;
                let subscription = asked.number();
                asked.subscriptions.insert(subscription, (Arc::clone(sink), *as_of));
                Down::Subscribe { subscription, relation: *relation, as_of: *as_of }
            }
            Command::Measure(relation, reply) => {
                let mut asked = self.open()?;
                let request = asked.number();
                asked.sizes.insert(request, (Arc::clone(reply), self.workers.len()));
                Down::Measure { request, relation: *relation }
            }
            Command::Inspect(reply) => {
                let mut asked = self.open()?;
                let request = asked.number();
                asked.inspections.insert(request, (Arc::clone(reply), self.workers.len()));
                Down::Inspect { request }
            }
            Command::Fail(id, error) => Down::Fail(*id, error.clone()),
            // State is saved in memory, which processes do not share.
            Command::Save(..) => return None,
        })
    }

    /// Tells the process something that was prepared.
    pub(crate) fn tell(&self, down: Down) {
        self.out.send(down);
    }

    fn prepare_read(
        &self,
        relation: RelationId,
        tick: Tick,
        wanted: &Wanted,
        reply: &ReadReply,
    ) -> Option<Down> {
        let mut asked = self.open()?;
        let request = asked.number();
        let reading = Reading { tick, wanted: wanted.clone(), reply: Arc::clone(reply) };
        asked.reads.insert(request, (Arc::new(reading), self.workers.len()));
        let want = match wanted {
            Wanted::Rows => Want::Rows,
            Wanted::Keys(keys) => Want::Keys(keys.iter().map(|key| Bytes(key.to_vec())).collect()),
            Wanted::Errors => Want::Errors,
        };
        Some(Down::Read { request, relation, tick, want })
    }

    fn part_of(&self, changes: &[(RelationId, Vec<Delta>)]) -> Vec<(RelationId, Rows)> {
        let part = |(id, deltas): &(RelationId, Vec<Delta>)| {
            let deltas: Vec<Delta> = deltas
                .iter()
                .filter_map(|delta| part_of_process(delta, self.process, self.processes))
                .collect();
            (!deltas.is_empty()).then(|| (*id, Rows::new(deltas)))
        };
        changes.iter().filter_map(part).collect()
    }

    /// Begins to read a share behind its first rows. `None` where the generation is over.
    pub(super) fn scan(&self, share: u64, skip: u64, chunks: Sender<Chunk>) -> Option<u64> {
        let mut asked = self.open()?;
        let scan = asked.number();
        asked.scans.insert(scan, chunks);
        drop(asked);
        self.tell(Down::Scan { share, scan, skip });
        Some(scan)
    }

    /// A scan's reader wants no more.
    pub(super) fn end_scan(&self, scan: u64) {
        if self.lock().scans.remove(&scan).is_some() {
            self.tell(Down::EndScan { scan });
        }
    }

    fn take_in(self: &Arc<Self>, up: Up, home: &Home) -> io::Result<()> {
        match up {
            Up::Formed { .. } => return Err(io::Error::other("it has formed a generation twice")),
            Up::Upper(relation, upper) => home.progress.report_all(relation, self.workers.clone(), upper),
            Up::Read { request, worker, answer } => self.answer_read(request, worker, answer)?,
            Up::Snapshot { subscription, worker, share } => {
                let Some((_, as_of)) = self.subscription(subscription) else { return Ok(()) };
                let snapshot = self.snapshot(share, as_of, &Wanted::Rows)?;
                self.pass_on(subscription, SubscriptionEvent::Snapshot { worker, snapshot });
            }
            Up::Changes { subscription, worker, changes, errors, upper } => {
                let changes = changes.deltas();
                self.pass_on(subscription, SubscriptionEvent::Changes { worker, changes, errors, upper });
            }
            Up::Dropped { subscription } => self.pass_on(subscription, SubscriptionEvent::Dropped),
            Up::Failed { subscription, error } => {
                self.pass_on(subscription, SubscriptionEvent::Failed(error))
            }
            Up::Measured { request, size } => {
                let reply = answered(&mut self.lock().sizes, request);
                reply.iter().for_each(|reply| reply(size));
            }
            Up::Inspected { request, reports } => {
                let reply = answered(&mut self.lock().inspections, request);
                reply.into_iter().for_each(|reply| reply(reports.clone()));
            }
            Up::Held(view, bytes) => home.note_held(view, self.process, bytes),
            Up::Chunk { scan, chunk } => {
                let mut asked = self.lock();
                let is_last = chunk.is_last;
                let is_wanted = asked.scans.get(&scan).is_some_and(|reader| reader.send(chunk).is_ok());
                if is_last || !is_wanted {
                    asked.scans.remove(&scan);
                }
            }
        }
        Ok(())
    }

    fn answer_read(
        self: &Arc<Self>,
        request: u64,
        worker: usize,
        answer: Result<ShareForm, ReadFailure>,
    ) -> io::Result<()> {
        let Some(reading) = answered(&mut self.lock().reads, request) else { return Ok(()) };
        let answer = match answer {
            Ok(share) => Ok(self.snapshot(share, reading.tick, &reading.wanted)?),
            Err(failure) => Err(EngineError::from(failure)),
        };
        (reading.reply)(worker, answer);
        Ok(())
    }

    /// A share of this process's as readers get it.
    fn snapshot(self: &Arc<Self>, share: ShareForm, tick: Tick, wanted: &Wanted) -> io::Result<Snapshot> {
        let ShareForm { name, shape, error, is_complete, rows } = share;
        let shape = shape.shape().map_err(io::Error::other)?;
        let told = Told { errors: error.into_iter().collect(), is_complete };
        let here = |rows, errors| Snapshot::new(Vec::new(), tick, rows, errors);
        if let ShareRows::Here(chunk) = &rows {
            self.rows_read.fetch_add(chunk.visited, Ordering::Relaxed);
        }
        let snapshot = match (rows, wanted) {
            (ShareRows::There(number), _) => {
                let there = Arc::new(RemoteShare::new(Arc::clone(self), number));
                here(Vec::new(), Vec::new()).elsewhere(there)
            }
            (ShareRows::Here(chunk), Wanted::Errors) => here(Vec::new(), chunk.batch().into_iter().collect()),
            (ShareRows::Here(chunk), Wanted::Keys(_) | Wanted::Rows) => {
                here(chunk.batch().into_iter().collect(), Vec::new())
            }
        };
        let snapshot = snapshot.shaped(shape).named(name.into()).told(told);
        let snapshot = snapshot.counted(Arc::clone(&self.rows_read));
        Ok(if matches!(wanted, Wanted::Keys(_)) { snapshot.found() } else { snapshot })
    }

    fn subscription(&self, number: u64) -> Option<(SubscriptionSink, Tick)> {
        self.lock().subscriptions.get(&number).cloned()
    }

    fn pass_on(&self, number: u64, event: SubscriptionEvent) {
        let Some((sink, _)) = self.subscription(number) else { return };
        if !sink(event) {
            self.lock().subscriptions.remove(&number);
            self.tell(Down::Unsubscribe(number));
        }
    }

    /// Notes nothing any more, and drops the callbacks that it has: nobody will answer.
    fn forget(&self) {
        let forgotten = std::mem::replace(&mut *self.lock(), Asked { is_over: true, ..Asked::default() });
        drop(forgotten);
    }

    /// Where questions are noted; `None` where nobody would answer.
    fn open(&self) -> Option<MutexGuard<'_, Asked>> {
        let asked = self.lock();
        (!asked.is_over).then_some(asked)
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What answers of other processes concern on process 0.
pub(crate) struct Home {
    pub(crate) progress: Arc<Progress>,
    pub(crate) meters: Meters,
    /// Gives a command to all processes.
    pub(crate) to_all: Box<dyn Fn(&Command) + Send>,
}

impl Home {
    /// A view holds so many bytes in another process: it is stopped where that is too much in all.
    fn note_held(&self, view: RelationId, process: usize, bytes: usize) {
        let meter = self.meters.lock().unwrap_or_else(PoisonError::into_inner).get(&view).cloned();
        let Some(meter) = meter else { return };
        meter.note_elsewhere(process, bytes);
        if meter.is_exceeded() {
            (self.to_all)(&Command::Fail(view, DataError::memory_limit(meter.name())));
        }
    }
}

/// A process's part of a delta: one of even pieces, or all on process 0 where that is not worth it.
pub(crate) fn part_of_process(delta: &Delta, process: usize, processes: usize) -> Option<Delta> {
    if delta.len() < SPREAD_ROWS_MIN {
        return (process == 0).then(|| delta.clone());
    }
    delta.part(process, processes)
}
