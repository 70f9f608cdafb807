//! From a configuration to a running server and down again: the order of start and stop.
//!
//! ```text
//! lock the folder ─► listen ─► open the log ─► form a generation of workers ─► replay ─► serve
//! signal ─► listeners close, sessions are told ─► the group in flight is settled ─► workers stop
//! ```

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_engine::{DataFolder, Log, LogConfig, Mesh, OsRandom, RealDisk, Replay};
use millrace_sql::SqlError;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::Config;
use crate::coordinator::{AppendGroup, CommitPath, Coordinator, Group, Holds, Parts};
use crate::engines::Engines;
use crate::generations::Generations;
use crate::pgwire::Limits;
use crate::recovery::Recovered;
use crate::server::Server;
use crate::start::StartError;
use crate::{http, member, pgwire, record, session};

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// Why it did not start, or could not go on; with the process's exit code.
pub async fn run(config: Config) -> Result<(), StartError> {
    if let Some(cluster) = config.cluster.as_ref().filter(|cluster| cluster.process > 0) {
        return member::run(&config, cluster).await;
    }
    let running = Running::start(config).await?;
    let stop = told_to_stop()?;
    running.announce()?;
    running.serve_while(stop).await
}

/// A server that listens.
pub struct Running {
    /// Where PostgreSQL clients connect.
    pub pg: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
    server: Arc<Server>,
    folder: DataFolder,
    coordinator: CoordinatorTask,
    generations: JoinHandle<StartError>,
    mesh: Option<Arc<Mesh>>,
    commits_down: CancellationToken,
    listeners_down: CancellationToken,
    pg_task: JoinHandle<()>,
    http_task: JoinHandle<()>,
}

impl Running {
    /// Takes the folder and begins to listen.
    ///
    /// # Errors
    /// Why it does not start, with the process's exit code.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let folder = DataFolder::lock(&config.data)?;
        let pg = listen(config.pg_addr).await?;
        let http = listen(config.http_addr).await?;
        let (log, replay) =
            Log::open(folder.path(), Arc::new(RealDisk), LogConfig::default(), Box::new(OsRandom))?;
        let commits_down = CancellationToken::new();
        let mesh = config.cluster.as_ref().map(|cluster| Mesh::listen(cluster.mesh(config.workers)));
        let mesh = mesh.transpose()?.map(Arc::new);
        let Started { server, coordinator, generations } =
            start(&config, mesh.clone(), log, replay, commits_down.clone()).await?;
        session::drop_left(&server).await.map_err(|error| StartError::system(error.message))?;
        let listeners_down = CancellationToken::new();
        let limits = Limits { sessions: config.max_connections, opening_time: config.connect_time };
        let settings = http::Settings {
            head_time: config.connect_time,
            connections_max: config.max_http_connections,
            allowed_hosts: config.http_allowed_hosts,
            body_bytes_max: config.http_body_bytes,
        };
        Ok(Running {
            pg: address_of(&pg)?,
            http: address_of(&http)?,
            pg_task: tokio::spawn(pgwire::serve(pg, server.clone(), limits, listeners_down.clone())),
            http_task: tokio::spawn(http::serve(http, server.clone(), settings, listeners_down.clone())),
            server,
            folder,
            coordinator,
            generations,
            mesh,
            commits_down,
            listeners_down,
        })
    }

    /// The state that all sessions share.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Serves until something is done, then stops: clients are told, and the group in flight is settled.
    ///
    /// # Errors
    /// Why the server could not go on until then.
    pub async fn serve_while<T>(mut self, work: impl Future<Output = T>) -> Result<T, StartError> {
        let done = tokio::select! {
            done = work => done,
            ended = &mut self.generations => {
                return Err(ended.unwrap_or_else(|error| StartError::internal(error.to_string())));
            }
            ended = &mut self.coordinator => {
                settled(ended)?;
                return Err(StartError::internal("the coordinator has ended"));
            }
        };
        info!("stopping");
        self.listeners_down.cancel();
        // What a listener's own end says does not matter any more. A client that never finishes its
        // HTTP request must not keep the server from stopping.
        let _ = tokio::join!(self.pg_task, tokio::time::timeout(HTTP_STOP, self.http_task));
        self.commits_down.cancel();
        settled(self.coordinator.await)?;
        // Nobody forms another generation, or waits for one.
        self.generations.abort();
        self.mesh.iter().for_each(|mesh| mesh.close());
        self.server.engines().close();
        self.server.engine().shutdown();
        Ok(done)
    }

    /// Tells on stdout where to connect. Tests read the first line; its form is stable.
    fn announce(&self) -> Result<(), StartError> {
        let text = format!(
            "millrace: listening for PostgreSQL clients on {}\n\
             millrace: listening for HTTP on {} (/health, /metrics)\n\
             millrace: data in {}\n\
             millrace: connect with: psql -h {} -p {} -d millrace\n",
            self.pg,
            self.http,
            self.folder.path().display(),
            self.pg.ip(),
            self.pg.port()
        );
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| StartError::system(format!("cannot tell where to connect: {error}")))
    }
}

/// How long HTTP requests may still take when the server stops.
const HTTP_STOP: Duration = Duration::from_secs(5);

/// The coordinator's task; it ends after its shutdown token, or with a defect.
pub type CoordinatorTask = JoinHandle<Result<(), SqlError>>;

/// A server without listeners.
pub struct Started {
    /// What sessions need.
    pub server: Arc<Server>,
    /// Commits.
    pub coordinator: CoordinatorTask,
    /// Sees to it that there are workers; ends with the reason where there can be none.
    pub generations: JoinHandle<StartError>,
}

/// Forms the first generation of workers, replays the log into it and starts what sessions need.
///
/// # Errors
/// Where the log cannot be applied, or workers die of it again and again.
pub async fn start(
    config: &Config,
    mesh: Option<Arc<Mesh>>,
    log: Log,
    replay: Replay,
    shutdown: CancellationToken,
) -> Result<Started, StartError> {
    let generations = Generations::new(config, mesh);
    let (first, Recovered { catalog, newest, answers }) = generations.first(replay).await?;
    let holds = Arc::new(Holds::new(newest, catalog.clone()));
    let progress = generations.progress().clone();
    let parts = Parts {
        path: CommitPath::new(catalog, newest, config.lag_bytes, answers),
        holds: holds.clone(),
        progress: progress.clone(),
        engine: first.engine.clone(),
        append: append_to(log),
    };
    let started = Coordinator::start(parts, shutdown);
    let (coordinator, task) =
        started.map_err(|error| StartError::system(format!("cannot start a thread: {error}")))?;
    let engines = Engines::new(first.engine.clone(), generations.processes());
    let server = Arc::new(Server::new(coordinator, holds, progress, engines));
    let kept = server.clone();
    let generations = tokio::spawn(async move { generations.keep(kept, first).await });
    Ok(Started { server, coordinator: task, generations })
}

/// What the log's thread does with a group.
fn append_to(mut log: Log) -> AppendGroup {
    Box::new(move |group: &Group| {
        let record = record::encode(group)?;
        log.append_group(&[record]).map_err(|error| SqlError::new(error.sqlstate, error.message))
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| StartError::system(format!("cannot listen on {address}: {error}")))
}

fn address_of(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let address = listener.local_addr();
    address.map_err(|error| StartError::system(format!("cannot tell where to connect: {error}")))
}

/// Done at SIGTERM or SIGINT, from now on.
///
/// # Errors
/// Where the system does not let us wait for signals.
pub fn told_to_stop() -> Result<impl Future<Output = ()>, StartError> {
    let signals = || Ok((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (mut terminate, mut interrupt) = signals()
        .map_err(|error: std::io::Error| StartError::system(format!("cannot wait for signals: {error}")))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn settled(ended: Result<Result<(), SqlError>, tokio::task::JoinError>) -> Result<(), StartError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(StartError::internal(error.message)),
        Err(error) => Err(StartError::internal(format!("the coordinator has panicked: {error}"))),
    }
}
