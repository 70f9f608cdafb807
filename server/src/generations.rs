//! Generations of workers: one is formed, filled from the log, served from, and lost; then the next.
//!
//! ```text
//!   form (wait for all processes) ─► recover: the log, replayed ─► serve ──lost──┐
//!          ▲                                                                     │
//!          └── no group goes to the log; readers wait; what is followed is held ◀┘
//! ```
//! Client connections do not notice: reads are asked again (`engines.rs`), commits wait, subscriptions go on behind what
//! they have. For that the replay keeps the history that somebody still reads: from the `floor` on, each commit comes at its
//! own tick.
//!
//! A worker's panic loses a generation, too. That is a defect of ours, which may come back at once: it is tried
//! again after a pause, at most `DEFECTS_MAX` times a minute, and then the server ends with exit code 70.

use std::collections::VecDeque;
use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use millrace_engine::{
    Engine, EngineConfig, EngineError, Log, Loss, Mesh, MeshError, ProgressSink, RealDisk, Replay, Tick,
};
use millrace_sql::ExprCompiler;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::coordinator::{Answers, Progress};
use crate::recovery::{Bounds, Recovered, recover};
use crate::server::Server;
use crate::start::StartError;

/// Panics of workers in a minute before it is given up.
const DEFECTS_MAX: usize = 5;
const DEFECTS_WITHIN: Duration = Duration::from_secs(60);

/// The pause after the first panic; doubled with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// What generations are made of.
#[derive(Clone)]
pub struct Generations {
    mesh: Option<Arc<Mesh>>,
    config: EngineConfig,
    folder: PathBuf,
    lag_bytes: usize,
    idempotency_keys: usize,
    /// What the coordinator follows, over all generations.
    progress: Arc<Progress>,
}

/// A generation.
pub struct Generation {
    /// Its engine.
    pub engine: Engine,
    lost: Lost,
}

/// The end of a generation.
#[derive(Clone, Default)]
struct Lost {
    token: CancellationToken,
    loss: Arc<OnceLock<Loss>>,
}

impl Generation {
    /// Returns once it is lost: why.
    async fn lost(&self) -> Loss {
        self.lost.token.cancelled().await;
        match self.lost.loss.get() {
            Some(loss) => loss.clone(),
            // Unreachable: the reason is there before the token is cancelled.
            None => pending().await,
        }
    }
}

impl Generations {
    /// In the only process, or with those of a mesh.
    pub fn new(config: &Config, mesh: Option<Arc<Mesh>>) -> Generations {
        Generations {
            mesh,
            config: EngineConfig { workers: config.workers, view_bytes_max: config.view_memory_bytes },
            folder: config.data.clone(),
            lag_bytes: config.lag_bytes,
            idempotency_keys: config.idempotency_keys,
            progress: Arc::default(),
        }
    }

    /// What follows the uppers of all generations.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The number of processes.
    pub fn processes(&self) -> usize {
        self.mesh.as_ref().map_or(1, |mesh| mesh.processes())
    }

    /// The first generation, with all that the log has, and what the log has beside it.
    ///
    /// # Errors
    /// Why the server does not start.
    pub async fn first(&self, replay: Replay) -> Result<(Generation, Recovered), StartError> {
        let mut defects = Defects::default();
        let mut replay = Some(replay);
        loop {
            let replay = match replay.take() {
                Some(replay) => replay,
                None => self.replay().await?,
            };
            match self.begin(replay, Tick::MAX, Tick::MAX).await? {
                (generation, Some(recovered)) => return Ok((generation, recovered)),
                (generation, None) => self.bury(&generation, &mut defects).await?,
            }
        }
    }

    /// Sees to it that the server has a generation, for as long as it runs.
    ///
    /// # Errors
    /// Why the server cannot go on.
    pub async fn keep(&self, server: Arc<Server>, first: Generation) -> StartError {
        let kept = async {
            let mut defects = Defects::default();
            let mut generation = first;
            loop {
                let loss = generation.lost().await;
                server.engines().lose(&loss.reason);
                self.bury(&generation, &mut defects).await?;
                generation = self.next(&server, &mut defects).await?;
            }
        };
        let kept: Result<(), StartError> = kept.await;
        kept.err().unwrap_or_else(|| StartError::internal("generations have come to an end"))
    }

    /// The generation after one that is lost, with all that is durable.
    async fn next(&self, server: &Arc<Server>, defects: &mut Defects) -> Result<Generation, StartError> {
        let stopped = |error: millrace_sql::SqlError| StartError::internal(error.message);
        let newest = server.coordinator().pause().await.map_err(stopped)?;
        let began = Instant::now();
        loop {
            let floor = server.hubs().hold(server.holds());
            match self.begin(self.replay().await?, newest, floor).await? {
                (generation, None) => self.bury(&generation, defects).await?,
                (generation, Some(_)) => {
                    // Who begins to follow from now on asks the new one; `go_on` sees to all who began before.
                    server.engines().publish(generation.engine.clone());
                    server.hubs().go_on(&generation.engine, server.holds());
                    server.coordinator().resume(generation.engine.clone()).map_err(stopped)?;
                    let milliseconds = began.elapsed().as_millis();
                    info!(milliseconds, generation = server.engines().generation(), "the workers go on");
                    return Ok(generation);
                }
            }
        }
    }

    /// Forms a generation and fills it. Nothing recovered: it was lost meanwhile.
    async fn begin(
        &self,
        replay: Replay,
        through: Tick,
        floor: Tick,
    ) -> Result<(Generation, Option<Recovered>), StartError> {
        let own = Arc::new(Progress::default());
        let generation = self.form(&own).await?;
        let answers = Answers::new(self.idempotency_keys);
        let bounds =
            Bounds { through, floor, lag_bytes: self.lag_bytes, lost: generation.lost.token.clone() };
        let engine = generation.engine.clone();
        // The log is read on this thread, which it blocks.
        let recovered = spawn_blocking(move || {
            Handle::current().block_on(async move { recover(replay, &engine, &own, answers, bounds).await })
        });
        let recovered = recovered.await.map_err(|error| StartError::internal(error.to_string()))??;
        Ok((generation, recovered))
    }

    async fn form(&self, own: &Arc<Progress>) -> Result<Generation, StartError> {
        let (own, all) = (own.sink(), self.progress.sink());
        let sink: ProgressSink = Arc::new(move |relation, upper| {
            own(relation, upper);
            all(relation, upper);
        });
        let engine = match &self.mesh {
            None => Engine::start(self.config, Arc::new(ExprCompiler), sink)?,
            Some(mesh) => self.lead(mesh, sink).await?,
        };
        let lost = Lost::default();
        let told = lost.clone();
        engine.on_loss(move |loss| {
            let _ = told.loss.set(loss);
            told.token.cancel();
        });
        Ok(Generation { engine, lost })
    }

    /// Forms a mesh, again where a process of it is lost before it has begun.
    async fn lead(&self, mesh: &Arc<Mesh>, sink: ProgressSink) -> Result<Engine, StartError> {
        loop {
            let (mesh, sink, view_bytes_max) = (mesh.clone(), sink.clone(), self.config.view_bytes_max);
            let lead = move || Ok(Engine::lead(mesh.form()?, view_bytes_max, Arc::new(ExprCompiler), sink));
            let led: Result<_, MeshError> =
                spawn_blocking(lead).await.map_err(|error| StartError::internal(error.to_string()))?;
            match led? {
                Err(EngineError::Stopped) => tokio::time::sleep(PAUSE_MIN).await,
                led => return Ok(led?),
            }
        }
    }

    async fn replay(&self) -> Result<Replay, StartError> {
        let folder = self.folder.clone();
        let read = spawn_blocking(move || Log::read(&folder, Arc::new(RealDisk)));
        Ok(read.await.map_err(|error| StartError::internal(error.to_string()))??)
    }

    /// The end of a generation that is lost; a pause after a defect.
    async fn bury(&self, generation: &Generation, defects: &mut Defects) -> Result<(), StartError> {
        let loss = generation.lost().await;
        let engine = generation.engine.clone();
        warn!(reason = loss.reason, "the workers are lost; clients wait until they are back");
        spawn_blocking(move || engine.shutdown())
            .await
            .map_err(|error| StartError::internal(error.to_string()))?;
        if loss.is_defect {
            defects.note(&loss.reason).await?;
        }
        Ok(())
    }
}

/// The panics of workers of the last minute.
#[derive(Default)]
pub(crate) struct Defects {
    at: VecDeque<Instant>,
}

impl Defects {
    /// Notes a panic, and waits.
    ///
    /// # Errors
    /// Exit code 70 where there were too many.
    pub(crate) async fn note(&mut self, reason: &str) -> Result<(), StartError> {
        let now = Instant::now();
        self.at.push_back(now);
        while self.at.front().is_some_and(|first| now.duration_since(*first) > DEFECTS_WITHIN) {
            self.at.pop_front();
        }
        if self.at.len() > DEFECTS_MAX {
            return Err(StartError::internal(format!(
                "{reason}; that was panic {} within a minute; what was acknowledged is in the log",
                self.at.len()
            )));
        }
        tokio::time::sleep(PAUSE_MIN * (1 << (self.at.len() - 1))).await;
        Ok(())
    }
}
