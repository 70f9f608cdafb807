//! SUBSCRIBE: the engine's events become rows.
//!
//! ```text
//! workers ──SubscriptionEvent──► Feed (bounded) ──► Fold ──► Follower ──► rows to the wire
//!                                53400 when full     complete ticks
//! ```
//! First the rows at `as_of`, then the changes of each tick once every worker has passed it, and
//! after each, where asked for, a progress row: everything through its tick was sent.
//!
//! The subscription ends with an error where the relation is in error at a tick (that error), where
//! it is dropped (42P01, what a new SUBSCRIBE would say), and where the client reads more slowly
//! than the relation changes (53400).

mod fold; // complete ticks out of the workers' events
mod rows; // what the subscriber sees
#[cfg(test)]
mod tests; // any interleaving gives the same rows

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use futures::stream;
use millrace_engine::{DataError, Snapshot, SubscriptionEvent, Tick};
use millrace_sql::{Relation, RowStream, SqlError, Subscribe};
use tokio::sync::{Notify, watch};

use crate::coordinator::{Hold, Moment};
use crate::server::Server;
use fold::{Fold, Step};
use rows::{Shape, Share, SnapshotMerge, merge_tick};

/// The most bytes of changes that wait for the client; one event of each worker may go beyond.
pub const BUFFER_BYTES_MAX: usize = 64 << 20;

/// Follows the statement's relation from its AS OF on, or else from the moment.
///
/// # Errors
/// 22023 where history does not reach back to AS OF: the error names since.
pub fn start(server: &Server, subscribe: &Subscribe, moment: &Moment) -> Result<RowStream, SqlError> {
    let relation = subscribe.relation.clone();
    let as_of = subscribe.as_of.unwrap_or(moment.tick);
    let hold = match subscribe.as_of {
        None => moment.hold.clone(),
        Some(_) if as_of < relation.created => return Err(gone(as_of, relation.created, &relation)),
        Some(_) => Arc::new(server.holds().at(as_of).map_err(|since| gone(as_of, since, &relation))?),
    };
    let feed = Arc::new(Feed::new(server.engine().workers(), as_of));
    let sink = Sink { feed: feed.clone() };
    server.engine().subscribe(relation.id, as_of, Arc::new(move |event| sink.feed.take_in(event)));
    let follower = Follower {
        feed,
        published: server.holds().follow(),
        shape: Shape::new(subscribe),
        relation,
        wants_snapshot: subscribe.snapshot,
        snapshot: None,
        hold: Some(hold),
        ready: VecDeque::new(),
        is_over: false,
    };
    Ok(Box::pin(stream::unfold(follower, |mut follower| async move {
        let batch = follower.next().await?;
        Some((batch, follower))
    })))
}

fn gone(as_of: Tick, since: Tick, relation: &Relation) -> SqlError {
    SqlError::new("22023", format!("cannot subscribe to \"{}\" as of tick {as_of}", relation.name))
        .detail(format!("Its history starts at tick {since}."))
        .hint("Without AS OF a subscription starts with the rows of now.")
}

/// What the workers have told and the follower has not taken.
struct Feed {
    state: Mutex<FeedState>,
    told: Notify,
}

struct FeedState {
    fold: Fold,
    snapshots: Vec<Snapshot>,
    end: Option<End>,
}

/// Why no more events come.
#[derive(Clone)]
enum End {
    /// The relation was dropped.
    Dropped,
    /// The view has failed for good.
    Failed(DataError),
    /// The client is too slow.
    Overflow,
    /// The client is gone.
    Left,
    /// The workers have stopped.
    Stopped,
}

/// The engine's end of a feed. The engine drops it when nothing more will come.
struct Sink {
    feed: Arc<Feed>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.feed.end(End::Stopped);
    }
}

impl Feed {
    fn new(workers: usize, as_of: Tick) -> Feed {
        let state = FeedState { fold: Fold::new(workers, as_of), snapshots: Vec::new(), end: None };
        Feed { state: Mutex::new(state), told: Notify::new() }
    }

    /// On a worker's thread: keeps the event, and answers whether more are wanted.
    fn take_in(&self, event: SubscriptionEvent) -> bool {
        let mut state = self.lock();
        if state.end.is_some() {
            return false;
        }
        match event {
            SubscriptionEvent::Snapshot { worker, snapshot } => {
                state.snapshots.push(snapshot);
                state.fold.snapshot(worker);
            }
            SubscriptionEvent::Changes { .. } if state.fold.bytes() > BUFFER_BYTES_MAX => {
                state.end = Some(End::Overflow);
            }
            SubscriptionEvent::Changes { worker, changes, errors, upper } => {
                state.fold.add(worker, changes, errors, upper);
            }
            SubscriptionEvent::Dropped => state.end = Some(End::Dropped),
            SubscriptionEvent::Failed(error) => state.end = Some(End::Failed(error)),
        }
        let wants_more = state.end.is_none();
        drop(state);
        self.told.notify_one();
        wants_more
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        drop(state);
        self.told.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's end of a feed: a stream of batches.
struct Follower {
    feed: Arc<Feed>,
    /// The newest tick.
    published: watch::Receiver<Tick>,
    shape: Shape,
    relation: Arc<Relation>,
    wants_snapshot: bool,
    /// The rows at `as_of` that were not sent yet, and that tick.
    snapshot: Option<(Tick, SnapshotMerge)>,
    /// Keeps `as_of` readable until every worker's snapshot has come.
    hold: Option<Arc<Hold>>,
    ready: VecDeque<RecordBatch>,
    is_over: bool,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.feed.end(End::Left);
    }
}

impl Follower {
    /// The next rows; `None` after an error.
    async fn next(&mut self) -> Option<Result<RecordBatch, SqlError>> {
        if self.is_over {
            return None;
        }
        let batch = self.next_batch().await;
        self.is_over = batch.is_err();
        Some(batch)
    }

    async fn next_batch(&mut self) -> Result<RecordBatch, SqlError> {
        loop {
            if let Some(batch) = self.next_of_snapshot()? {
                return Ok(batch);
            }
            if let Some(batch) = self.ready.pop_front() {
                return Ok(batch);
            }
            match self.take_step()? {
                Some(step) => self.prepare(step)?,
                None => self.wait().await,
            }
        }
    }

    /// Waits for a worker's event, or for the next tick.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.feed.told.notified() => {}
            changed = self.published.changed() => {
                if changed.is_err() {
                    // No more ticks will come: the server goes down.
                    self.feed.end(End::Stopped);
                }
            }
        }
    }

    /// The next complete tick; what was complete before the end is still sent.
    fn take_step(&mut self) -> Result<Option<Step>, SqlError> {
        let newest = *self.published.borrow_and_update();
        let mut state = self.feed.lock();
        if matches!(state.end, Some(End::Overflow)) {
            return Err(self.too_slow());
        }
        if let Some(step) = state.fold.next(newest)? {
            return Ok(Some(step));
        }
        match &state.end {
            None => Ok(None),
            Some(End::Dropped) => Err(self.dropped()),
            Some(End::Failed(error)) => Err(error.clone().into()),
            Some(End::Overflow) => Err(self.too_slow()),
            Some(End::Left | End::Stopped) => Err(SqlError::new("57P01", "the workers have stopped")),
        }
    }

    fn prepare(&mut self, step: Step) -> Result<(), SqlError> {
        if let Some(hold) = self.hold.take() {
            drop(hold);
            return self.open_snapshot(step.tick);
        }
        let changes: Vec<_> =
            step.changes.iter().map(|delta| self.shape.cut(delta)).collect::<Result<_, _>>()?;
        for (rows, diffs) in merge_tick(self.shape.relation_types(), &changes)? {
            self.ready.push_back(self.shape.data(step.tick, &rows, &diffs)?);
        }
        self.push_progress(step.tick)
    }

    /// The first step: all workers' snapshots are there.
    fn open_snapshot(&mut self, as_of: Tick) -> Result<(), SqlError> {
        let snapshots = std::mem::take(&mut self.feed.lock().snapshots);
        if let Some(error) = snapshots.iter().filter_map(Snapshot::error).min() {
            return Err(error.into());
        }
        if !self.wants_snapshot {
            return self.push_progress(as_of);
        }
        let shares = snapshots.iter().map(|snapshot| {
            let rows = snapshot
                .clone()
                .shaped(self.relation.shape())
                .rows()
                .map(|batch| batch.map_err(SqlError::from));
            Box::new(rows) as Share
        });
        let merge = SnapshotMerge::new(self.shape.relation_types(), shares.collect())?;
        self.snapshot = Some((as_of, merge));
        Ok(())
    }

    fn next_of_snapshot(&mut self) -> Result<Option<RecordBatch>, SqlError> {
        let Some((as_of, merge)) = &mut self.snapshot else { return Ok(None) };
        let as_of = *as_of;
        match merge.next()? {
            Some((rows, diffs)) => self.shape.data(as_of, &rows, &diffs).map(Some),
            None => {
                self.snapshot = None;
                self.push_progress(as_of)?;
                Ok(None)
            }
        }
    }

    fn push_progress(&mut self, tick: Tick) -> Result<(), SqlError> {
        if self.shape.has_progress() {
            self.ready.push_back(self.shape.progress(tick)?);
        }
        Ok(())
    }

    fn dropped(&self) -> SqlError {
        SqlError::new("42P01", format!("relation \"{}\" does not exist", self.relation.name))
            .detail("It was dropped while it was subscribed to.")
    }

    fn too_slow(&self) -> SqlError {
        SqlError::new("53400", "the subscription fell too far behind")
            .detail(format!(
                "More than {} MiB of changes of \"{}\" waited for the client.",
                BUFFER_BYTES_MAX >> 20,
                self.relation.name
            ))
            .hint("Subscribe again and read faster.")
    }
}
