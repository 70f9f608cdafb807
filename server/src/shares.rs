//! What workers have answered readers of indexes at the newest tick: until something is committed, the next reader
//! gets it without a worker being woken for it.
//!
//! Invariant: shares are of one tick, and forgotten within a second, so that what the workers merge meanwhile is not
//! kept twice for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_engine::{RelationId, Snapshot, Tick};

/// How long shares are kept at most.
const KEPT: Duration = Duration::from_secs(1);

/// The shares at one tick.
#[derive(Default)]
struct AtTick {
    tick: Tick,
    of: HashMap<RelationId, Vec<Snapshot>>,
}

/// The shares of indexes that readers have asked for.
#[derive(Clone, Default)]
pub(crate) struct Shares {
    newest: Arc<Mutex<AtTick>>,
}

impl Shares {
    /// Every worker's share of an index at a tick, where somebody has asked for it just now.
    pub(crate) fn get(&self, index: RelationId, tick: Tick) -> Option<Vec<Snapshot>> {
        let newest = self.lock();
        if newest.tick != tick {
            return None;
        }
        newest.of.get(&index).cloned()
    }

    /// Keeps what the workers have answered for the next reader. Must be called on a tokio runtime.
    pub(crate) fn keep(&self, index: RelationId, tick: Tick, shares: Vec<Snapshot>) {
        let mut newest = self.lock();
        if tick < newest.tick {
            return;
        }
        if tick > newest.tick {
            *newest = AtTick { tick, ..AtTick::default() };
        }
        if newest.of.is_empty() {
            let shares = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(KEPT).await;
                shares.forget();
            });
        }
        newest.of.insert(index, shares);
    }

    fn forget(&self) {
        self.lock().of.clear();
    }

    fn lock(&self) -> MutexGuard<'_, AtTick> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(tick: Tick) -> Vec<Snapshot> {
        vec![Snapshot::new(Vec::new(), tick, Vec::new(), Vec::new())]
    }

    #[tokio::test]
    async fn shares_are_of_the_newest_tick_and_of_now() {
        let (shares, index, other) = (Shares::default(), RelationId(1), RelationId(2));
        let has = |index, tick| shares.get(index, tick).is_some();
        shares.keep(index, 5, share(5));
        assert!(has(index, 5) && !has(index, 4) && !has(index, 6) && !has(other, 5));
        shares.keep(other, 4, share(4));
        assert!(has(index, 5) && !has(other, 4) && !has(other, 5));
        shares.keep(other, 6, share(6));
        assert!(has(other, 6) && !has(index, 5) && !has(index, 6));
        shares.forget();
        assert!(!has(other, 6));
    }
}
