//! What the workers have told of a relation and its hub has not taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_engine::{SubscriptionEvent, SubscriptionSink, Tick};
use millrace_sql::SqlError;
use tokio::sync::Notify;

use super::fold::{Fold, Step};

/// Why no more changes come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// The relation was dropped.
    Dropped,
    /// The relation is in error, or has failed for good.
    Error(SqlError),
    /// The workers have stopped.
    Stopped,
    /// Nobody follows any more.
    Left,
}

/// The border between the workers' threads and a hub's task.
///
/// It has no bound of its own: the task takes what is complete at once, and commits wait while more
/// than `--lag-bytes` of them are not.
pub(super) struct Feed {
    workers: usize,
    state: Mutex<FeedState>,
    /// Told at each event.
    pub(super) told: Notify,
}

struct FeedState {
    /// How often it has begun anew.
    generation: u64,
    fold: Fold,
    end: Option<End>,
}

impl Feed {
    pub(super) fn new(workers: usize, as_of: Tick) -> Feed {
        let state = FeedState { generation: 0, fold: Fold::new(workers, as_of), end: None };
        Feed { workers, state: Mutex::new(state), told: Notify::new() }
    }

    /// What workers tell goes here, until it begins anew.
    pub(super) fn sink(self: &Arc<Self>) -> SubscriptionSink {
        let (feed, generation) = (self.clone(), self.lock().generation);
        Arc::new(move |event| feed.take_in(generation, event))
    }

    /// Forgets what was not taken: other workers tell what came behind `as_of`. How often it has begun anew.
    pub(super) fn begin_anew(&self, as_of: Tick) -> u64 {
        let mut state = self.lock();
        state.generation += 1;
        state.fold = Fold::new(self.workers, as_of);
        state.generation
    }

    /// On a worker's thread: keeps the event, and answers whether more are wanted.
    fn take_in(&self, generation: u64, event: SubscriptionEvent) -> bool {
        let mut state = self.lock();
        if state.end.is_some() || generation != state.generation {
            return false;
        }
        match event {
            SubscriptionEvent::Snapshot { worker, .. } => state.fold.snapshot(worker),
            SubscriptionEvent::Changes { worker, changes, errors, upper } => {
                state.fold.add(worker, changes, errors, upper);
            }
            SubscriptionEvent::Dropped => state.end = Some(End::Dropped),
            SubscriptionEvent::Failed(error) => state.end = Some(End::Error(error.into())),
        }
        let wants_more = state.end.is_none();
        drop(state);
        self.told.notify_one();
        wants_more
    }

    /// Nothing more is wanted, or will come.
    pub(super) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.told.notify_one();
    }

    /// The next complete tick, and how often the feed has begun anew before it; what was complete before the end comes
    /// before it.
    ///
    /// # Errors
    /// The end.
    pub(super) fn take_step(&self, newest: Tick) -> Result<Option<(u64, Step)>, End> {
        let mut state = self.lock();
        match state.fold.next(newest) {
            Ok(None) => state.end.clone().map_or(Ok(None), Err),
            Ok(Some(step)) => Ok(Some((state.generation, step))),
            Err(error) => Err(End::Error(error.into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
