//! How far each relation has come, as the workers tell it: written on their threads, read here.
//!
//! Only the newest upper of a relation counts, so a slow reader costs no memory: one entry a relation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_engine::{ProgressSink, RelationId, Tick};
use tokio::sync::Notify;

/// The uppers of all relations.
#[derive(Default)]
pub struct Progress {
    state: Mutex<State>,
    advanced: Notify,
}

#[derive(Default)]
struct State {
    uppers: BTreeMap<RelationId, Tick>,
    /// Those that advanced since the last `take`.
    news: BTreeMap<RelationId, Tick>,
}

impl Progress {
    /// What the engine calls on every advance.
    pub fn sink(self: &Arc<Self>) -> ProgressSink {
        let progress = self.clone();
        Arc::new(move |relation, upper| progress.advance(relation, upper))
    }

    /// The first tick that is not complete in this relation; `None` before it was told once.
    pub fn upper(&self, relation: RelationId) -> Option<Tick> {
        self.lock().uppers.get(&relation).copied()
    }

    /// What advanced since the last call.
    pub fn take(&self) -> BTreeMap<RelationId, Tick> {
        std::mem::take(&mut self.lock().news)
    }

    /// Returns once something advanced since the last `take`.
    pub async fn advanced(&self) {
        self.advanced.notified().await;
    }

    /// The relation was dropped.
    pub fn forget(&self, relation: RelationId) {
        let mut state = self.lock();
        state.uppers.remove(&relation);
        state.news.remove(&relation);
    }

    fn advance(&self, relation: RelationId, upper: Tick) {
        let mut state = self.lock();
        // Two workers may tell in the other order than they noted it: an upper never goes back.
        if state.uppers.get(&relation).is_some_and(|known| *known >= upper) {
            return;
        }
        state.uppers.insert(relation, upper);
        let first = state.news.is_empty();
        state.news.insert(relation, upper);
        drop(state);
        if first {
            self.advanced.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
