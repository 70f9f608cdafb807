//! Recovery: the log is replayed into catalog and engine, in the order in which it was written.
//!
//! Nobody reads history from before the start, so neighbouring commits are put together at the
//! tick of the last: a million small commits come back as a few hundred batches. A change of the
//! catalog ends such a batch. When workers are replaced while clients stay, the history that somebody
//! still reads begins at the floor, and commits behind it come one by one. Memory is bounded: the
//! replay waits while the engine is more than `lag_bytes` behind. Invariant: what cannot be applied
//! refuses the start; nothing is skipped.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use millrace_engine::{Delta, Engine, Record, RelationId, Replay, Tick};
use millrace_sql::{Catalog, CatalogChange};
use tracing::info;

use crate::coordinator::{Answers, Group, Lag, Progress, apply, coalesce};
use crate::record::{Notes, notes};
use crate::start::StartError;

/// A batch of commits goes to the engine at this many rows …
const BATCH_ROWS: usize = 64 << 10;
/// … or this many bytes …
const BATCH_BYTES: usize = 8 << 20;
/// … or this many commits.
const BATCH_COMMITS: usize = 16 << 10;
/// How often progress is told.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What the log left behind.
pub struct Recovered {
    /// The catalog after the last commit.
    pub catalog: Arc<Catalog>,
    /// The tick of the last commit; 0 in a new database.
    pub newest: Tick,
    /// What was answered to requests that are done once.
    pub answers: Answers,
}

/// How far the log is replayed, and how.
pub struct Bounds {
    /// Records beyond this tick are left out.
    pub through: Tick,
    /// Commits beyond this tick keep theirs: somebody reads that history.
    pub floor: Tick,
    /// The replay waits while the engine is more than this many bytes behind.
    pub lag_bytes: usize,
    /// Cancelled where the engine is lost.
    pub lost: CancellationToken,
}

/// Replays the log. Returns when the engine has been given everything; it may still be computing. `None`: the
/// engine was lost meanwhile.
///
/// # Errors
/// Exit code 78 where the log is damaged or a record cannot be applied.
pub async fn recover(
    replay: Replay,
    engine: &Engine,
    progress: &Progress,
    answers: Answers,
    bounds: Bounds,
) -> Result<Option<Recovered>, StartError> {
    let mut recovery = Recovery {
        engine,
        progress,
        lag: Lag::new(bounds.lag_bytes, std::iter::empty(), 0),
        floor: bounds.floor,
        catalog: Catalog::default(),
        newest: 0,
        answers,
        batch: Batch::default(),
    };
    let mut report = Report::start();
    let replayed = async {
        for record in replay {
            let record = record?;
            if record.tick > bounds.through || bounds.lost.is_cancelled() {
                break;
            }
            report.count(record.tick);
            recovery.take_in(record).await?;
        }
        recovery.flush().await
    };
    tokio::select! {
        replayed = replayed => replayed?,
        () = bounds.lost.cancelled() => return Ok(None),
    }
    if bounds.lost.is_cancelled() {
        return Ok(None);
    }
    report.end();
    let Recovery { catalog, newest, answers, .. } = recovery;
    Ok(Some(Recovered { catalog: Arc::new(catalog), newest, answers }))
}

struct Recovery<'a> {
    engine: &'a Engine,
    progress: &'a Progress,
    lag: Lag,
    floor: Tick,
    catalog: Catalog,
    newest: Tick,
    answers: Answers,
    batch: Batch,
}

/// Commits that wait to be handed over together.
#[derive(Default)]
struct Batch {
    deltas: Vec<(RelationId, Delta)>,
    commits: usize,
    rows: usize,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, record: Record) {
        self.commits += 1;
        for table in record.tables {
            self.rows += table.delta.len();
            self.bytes += table.delta.bytes();
            self.deltas.push((table.relation, table.delta));
        }
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES || self.commits >= BATCH_COMMITS
    }
}

impl Recovery<'_> {
    async fn take_in(&mut self, record: Record) -> Result<(), StartError> {
        let tick = record.tick;
        let Notes { catalog: changes, once } =
            notes(&record).map_err(|reason| cannot_apply(tick, &reason))?;
        once.iter().for_each(|once| self.answers.keep(once, tick));
        self.answers.forget_old(tick);
        // How far a sequence is concerns the catalog only.
        let is_structural = changes.iter().any(CatalogChange::is_structural);
        let stands_alone = is_structural || tick > self.floor;
        if stands_alone {
            self.flush().await?;
        }
        for change in &changes {
            self.catalog.apply(change).map_err(|error| cannot_apply(tick, &error.message))?;
        }
        for table in &record.tables {
            if self.catalog.by_id(table.relation).is_none() {
                return Err(cannot_apply(tick, &format!("there is no table {}", table.relation)));
            }
        }
        self.newest = tick;
        self.batch.add(record);
        if !stands_alone {
            return if self.batch.is_full() { self.flush().await } else { Ok(()) };
        }
        let changed = mem::take(&mut self.batch);
        self.hand_over(group(tick, changes, changed.deltas)).await
    }

    /// Hands the batch over, at the tick of its last commit.
    async fn flush(&mut self) -> Result<(), StartError> {
        let batch = mem::take(&mut self.batch);
        if batch.commits == 0 {
            return Ok(());
        }
        self.hand_over(group(self.newest, Vec::new(), batch.deltas)).await
    }

    async fn hand_over(&mut self, group: Group) -> Result<(), StartError> {
        apply(self.engine, self.progress, &group)
            .map_err(|error| cannot_apply(group.tick, &error.to_string()))?;
        self.lag.committed(&group);
        // Nobody reads what lies before the floor.
        let since = group.tick.min(self.floor);
        let since: Vec<(RelationId, Tick)> =
            self.catalog.relations().map(|relation| (relation.id, since)).collect();
        self.engine.compact(&since);
        self.take_progress();
        while self.lag.is_exceeded() {
            self.progress.advanced().await;
            self.take_progress();
        }
        Ok(())
    }

    fn take_progress(&mut self) {
        let news: BTreeMap<RelationId, Tick> = self.progress.take();
        news.into_iter().for_each(|(relation, upper)| self.lag.applied(relation, upper));
    }
}

fn group(tick: Tick, catalog: Vec<CatalogChange>, deltas: Vec<(RelationId, Delta)>) -> Group {
    Group { tick, catalog, changes: coalesce(deltas, tick), once: Vec::new() }
}

fn cannot_apply(tick: Tick, reason: &str) -> StartError {
    StartError::refused(format!("the log's record of tick {tick} cannot be applied: {reason}"))
}

/// Tells how far the replay is.
struct Report {
    started: Instant,
    last: Instant,
    records: u64,
}

impl Report {
    fn start() -> Report {
        Report { started: Instant::now(), last: Instant::now(), records: 0 }
    }

    fn count(&mut self, tick: Tick) {
        self.records += 1;
        if self.last.elapsed() >= REPORT_EVERY {
            self.last = Instant::now();
            info!(records = self.records, tick, "replaying the log");
        }
    }

    fn end(&self) {
        if self.records > 0 {
            info!(records = self.records, milliseconds = self.started.elapsed().as_millis(), "log replayed");
        }
    }
}
