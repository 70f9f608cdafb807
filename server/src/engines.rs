//! The workers' generations, as readers see them: the newest, and how to ask it so that its end does not show.
//!
//! When a generation is lost what was asked of it is never answered. Whoever waits then waits for the next one, which has all
//! that readers may see, and asks it the same: a tick has one answer in all of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_engine::{Engine, EngineError, RelationId, RelationReport, Snapshot, Tick};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::coordinator::Hold;

/// What the workers answer to a read.
pub(crate) type Answer = Result<Vec<Snapshot>, EngineError>;

/// The same, with the workers' numbers.
type Numbered = Result<Vec<(usize, Snapshot)>, EngineError>;

/// The generations. Clones are handles to the same.
#[derive(Clone)]
pub struct Engines {
    shared: Arc<Shared>,
}

struct Shared {
    newest: watch::Sender<Engine>,
    /// The server goes down: there will be no other.
    closed: CancellationToken,
    /// How many there were.
    generation: AtomicU64,
    processes: usize,
    /// Why there is none at the moment.
    loss: Mutex<Option<String>>,
}

/// What a read is of.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// A relation's rows.
    Rows,
    /// The rows of an index that have one of these encoded keys; others may come with them.
    Keys(Arc<BTreeSet<Box<[u8]>>>),
    /// A relation's errors.
    Errors,
}

impl Engines {
    /// The first generation, of so many processes.
    pub fn new(first: Engine, processes: usize) -> Engines {
        let shared = Shared {
            newest: watch::Sender::new(first),
            closed: CancellationToken::new(),
            generation: AtomicU64::new(1),
            processes,
            loss: Mutex::default(),
        };
        Engines { shared: Arc::new(shared) }
    }

    /// The newest generation; it may be lost.
    pub fn newest(&self) -> Engine {
        self.shared.newest.borrow().clone()
    }

    /// The number of processes.
    pub fn processes(&self) -> usize {
        self.shared.processes
    }

    /// How many generations there were.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Relaxed)
    }

    /// Why nothing is answered at the moment; `None` while a generation stands.
    pub fn loss(&self) -> Option<String> {
        self.shared.loss.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The newest generation is lost.
    pub(crate) fn lose(&self, reason: &str) {
        *self.shared.loss.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    /// The next generation, which has all that readers may see.
    pub(crate) fn publish(&self, engine: Engine) {
        self.shared.generation.fetch_add(1, Ordering::Relaxed);
        *self.shared.loss.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.newest.send_replace(engine);
    }

    /// The server goes down: nobody waits any more.
    pub(crate) fn close(&self) {
        self.shared.closed.cancel();
    }

    /// The generation after a lost one, once there is one.
    ///
    /// # Errors
    /// `Stopped` where the server goes down.
    pub(crate) async fn after(&self, lost: &Engine) -> Result<Engine, EngineError> {
        let mut newest = self.shared.newest.subscribe();
        tokio::select! {
            found = newest.wait_for(|engine| !engine.is_same(lost)) => {
                found.map(|engine| engine.clone()).map_err(|_| EngineError::Stopped)
            }
            () = self.shared.closed.cancelled() => Err(EngineError::Stopped),
        }
    }

    /// Asks all workers now; the answer is awaited later.
    ///
    /// The hold keeps the tick readable, also for shares in other processes whose rows are read later. Must be called on a
    /// tokio runtime.
    pub(crate) fn read(&self, relation: RelationId, tick: Tick, wanted: Wanted, hold: &Arc<Hold>) -> Reading {
        let what = What { engines: self.clone(), relation, tick, wanted, _hold: hold.clone() };
        let engine = self.newest();
        Reading { answer: what.ask(&engine), engine, what }
    }

    /// How the relations stand on all workers: each worker's report.
    ///
    /// # Errors
    /// `Stopped` where the server goes down.
    pub(crate) async fn inspect(&self) -> Result<Vec<Vec<RelationReport>>, EngineError> {
        let mut engine = self.newest();
        loop {
            let gathered = Gathering::start(engine.workers(), |gathering| {
                engine.inspect(Arc::new(move |reports| gathering.add(Ok(reports))));
            });
            match gathered.await {
                Ok(reports) => return reports,
                Err(_) => engine = self.after(&engine).await?,
            }
        }
    }
}

/// What is read.
#[derive(Clone)]
struct What {
    engines: Engines,
    relation: RelationId,
    tick: Tick,
    wanted: Wanted,
    /// Keeps the tick readable.
    _hold: Arc<Hold>,
}

/// A read that is under way.
pub(crate) struct Reading {
    what: What,
    engine: Engine,
    answer: oneshot::Receiver<Numbered>,
}

impl Reading {
    /// What all workers answer, or the first that refuses.
    ///
    /// # Errors
    /// The refusal; `Stopped` where the server goes down.
    pub(crate) async fn answer(&mut self) -> Answer {
        Ok(self.numbered().await?.into_iter().map(|(_, share)| share).collect())
    }

    /// The same, each with the number of the worker whose share it is.
    async fn numbered(&mut self) -> Numbered {
        loop {
            if let Ok(answer) = (&mut self.answer).await {
                return Ok(answer?
                    .into_iter()
                    .map(|(worker, share)| (worker, self.reread(worker, share)))
                    .collect());
            }
            self.engine = self.what.engines.after(&self.engine).await?;
            self.answer = self.what.ask(&self.engine);
        }
    }

    /// A worker's share, whose reader goes on in the next generation where this one is lost.
    fn reread(&self, worker: usize, share: Snapshot) -> Snapshot {
        if !share.is_elsewhere() {
            return share;
        }
        let (what, lost, runtime) = (self.what.clone(), self.engine.clone(), Handle::current());
        share.reread(Arc::new(move || runtime.block_on(what.share_after(&lost, worker))))
    }
}

impl What {
    fn ask(&self, engine: &Engine) -> oneshot::Receiver<Numbered> {
        let What { relation, tick, wanted, .. } = self;
        Gathering::start(engine.workers(), |gathering| {
            let reply = Arc::new(move |worker, share: Result<Snapshot, EngineError>| {
                gathering.add(share.map(|share| (worker, share)));
            });
            match wanted {
                Wanted::Rows => engine.read(*relation, *tick, reply),
                Wanted::Keys(keys) => engine.find(*relation, *tick, keys.clone(), reply),
                Wanted::Errors => engine.read_errors(*relation, *tick, reply),
            }
        })
    }

    /// One worker's share in the generation after a lost one.
    async fn share_after(&self, lost: &Engine, worker: usize) -> Result<Snapshot, EngineError> {
        let engine = self.engines.after(lost).await?;
        let mut reading = Reading { answer: self.ask(&engine), engine, what: self.clone() };
        let shares = reading.numbered().await?;
        shares.into_iter().find(|(of, _)| *of == worker).map(|(_, share)| share).ok_or(EngineError::Stopped)
    }
}

/// The workers' answers so far.
struct Gathering<T> {
    state: Mutex<GatheringState<T>>,
}

struct GatheringState<T> {
    missing: usize,
    answers: Vec<T>,
    sender: Option<oneshot::Sender<Result<Vec<T>, EngineError>>>,
}

impl<T> Gathering<T> {
    /// What comes once so many have answered, or one has refused.
    fn start(
        workers: usize,
        ask: impl FnOnce(Gathering<T>),
    ) -> oneshot::Receiver<Result<Vec<T>, EngineError>> {
        let (sender, receiver) = oneshot::channel();
        let state = GatheringState { missing: workers, answers: Vec::new(), sender: Some(sender) };
        ask(Gathering { state: Mutex::new(state) });
        receiver
    }

    fn add(&self, answer: Result<T, EngineError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.missing = state.missing.saturating_sub(1);
        let all = match answer {
            Ok(answer) => {
                state.answers.push(answer);
                if state.missing > 0 {
                    return;
                }
                Ok(std::mem::take(&mut state.answers))
            }
            Err(error) => Err(error),
        };
        if let Some(sender) = state.sender.take() {
            // Whoever asked may have been cancelled.
            let _ = sender.send(all);
        }
    }
}
