//! A server without listeners, on a folder: sessions, and an end as by `kill -9`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use millrace_engine::{Log, LogConfig, OsRandom, RealDisk, Tick};
use millrace_server::StartError;
use millrace_server::config::Config;
use millrace_server::run::{CoordinatorTask, Started, start};
use millrace_server::server::Server;
use millrace_server::session::{Response, Session, TransactionStatus};
use millrace_sql::{RowStream, SqlError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Size, mesh};
use crate::judge::Bag;

/// What takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Segments so small that every script fills some.
const LOG: LogConfig = LogConfig { segment_bytes: 16 << 10, zero_bytes: 4 << 10 };

/// A running server.
pub(crate) struct Database {
    server: Arc<Server>,
    coordinator: CoordinatorTask,
    generations: JoinHandle<StartError>,
    session: Session,
}

impl Database {
    /// Starts on what the folder holds.
    pub(crate) async fn start(folder: &Path, size: Size) -> Result<Database, String> {
        let address = ([127, 0, 0, 1], 0).into();
        let data = folder.to_owned();
        let (lag_bytes, view_memory_bytes) = (1 << 20, None);
        let config = Config {
            pg_addr: address,
            http_addr: address,
            data,
            workers: size.workers,
            lag_bytes,
            view_memory_bytes,
            max_connections: 1,
            max_http_connections: 1,
            connect_time: PATIENCE,
            http_allowed_hosts: Vec::new(),
            http_body_bytes: 1 << 20,
            idempotency_keys: 10,
            cluster: None,
        };
        let (log, replay) = Log::open(folder, Arc::new(RealDisk), LOG, Box::new(OsRandom))
            .map_err(|error| format!("the log does not open: {error}"))?;
        let started = start(&config, mesh(size), log, replay, CancellationToken::new());
        let started =
            tokio::time::timeout(PATIENCE, started).await.map_err(|_| "the server does not start")?;
        let Started { server, coordinator, generations } =
            started.map_err(|error| format!("the server does not start: {error}"))?;
        let session = Session::new(server.clone(), "ada".to_owned(), "millrace".to_owned());
        Ok(Database { server, coordinator, generations, session })
    }

    /// Ends without a farewell: nothing is flushed, nothing is said.
    pub(crate) async fn kill(&mut self) {
        // One that is being formed would take the processes of the cluster from the next server.
        while self.server.engines().loss().is_some() {
            tokio::task::yield_now().await;
        }
        self.generations.abort();
        let _ = (&mut self.generations).await;
        self.coordinator.abort();
        let _ = (&mut self.coordinator).await;
        let engine = self.server.engine();
        let _ = tokio::task::spawn_blocking(move || engine.shutdown()).await;
    }

    /// All workers are lost, while clients go on: returns at once.
    pub(crate) fn lose(&self) {
        let engine = self.server.engine();
        tokio::task::spawn_blocking(move || engine.shutdown());
    }

    /// The newest tick that readers see.
    pub(crate) fn tick(&self) -> Tick {
        self.server.newest().tick
    }

    /// Runs a text as the wire would: several statements are one transaction. Its error, if any.
    pub(crate) async fn run(&mut self, text: &str) -> Result<Result<(), SqlError>, String> {
        let ran = tokio::time::timeout(PATIENCE, run_text(&mut self.session, text)).await;
        ran.map_err(|_| format!("hangs: {text}"))
    }

    /// The same as a task, from a client of its own.
    pub(crate) fn run_beside(&self, text: &str) -> JoinHandle<Result<Result<(), SqlError>, String>> {
        let mut session = Session::new(self.server.clone(), "eve".to_owned(), "millrace".to_owned());
        let text = text.to_owned();
        tokio::spawn(async move {
            let ran = tokio::time::timeout(PATIENCE, run_text(&mut session, &text)).await;
            ran.map_err(|_| format!("hangs: {text}"))
        })
    }

    /// A query's rows, each with its number, or its error.
    pub(crate) async fn ask(&mut self, text: &str) -> Result<Result<Bag, SqlError>, String> {
        let asked = tokio::time::timeout(PATIENCE, ask(&mut self.session, text)).await;
        asked.map_err(|_| format!("hangs: {text}"))
    }

    /// The rows of a SUBSCRIBE, on a session of its own.
    pub(crate) async fn follow(&self, text: &str) -> Result<RowStream, SqlError> {
        let mut session = Session::new(self.server.clone(), "bob".to_owned(), "millrace".to_owned());
        rows(&mut session, text).await
    }
}

async fn run_text(session: &mut Session, text: &str) -> Result<(), SqlError> {
    let statements = session.parse(text)?;
    if statements.len() > 1 {
        session.begin_implicit();
    }
    let mut outcome = Ok(());
    for statement in &statements {
        outcome = session.execute(statement, &[]).await.map(drop);
        if outcome.is_err() {
            break;
        }
    }
    if statements.len() > 1 {
        session.end_implicit(outcome.is_err()).await?;
    }
    if session.transaction_status() == TransactionStatus::Failed {
        session.execute(&session.parse("ROLLBACK")?[0], &[]).await?;
    }
    outcome
}

async fn rows(session: &mut Session, text: &str) -> Result<RowStream, SqlError> {
    let statements = session.parse(text)?;
    match session.execute(&statements[0], &[]).await? {
        Response::Rows { rows, .. } => Ok(Box::pin(rows.map(|portion| portion.map(|portion| portion.rows)))),
        _ => panic!("{text} has no rows"),
    }
}

async fn ask(session: &mut Session, text: &str) -> Result<Bag, SqlError> {
    let mut rows = rows(session, text).await?;
    let mut bag = Bag::new();
    while let Some(batch) = rows.next().await {
        for line in crate::judge::lines(&batch?) {
            *bag.entry(line).or_default() += 1;
        }
    }
    Ok(bag)
}
