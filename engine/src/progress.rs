//! `Progress`: how far each relation is complete, over all workers; and what readers have looked at.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::engine::ProgressSink;
use crate::types::{RelationId, Tick};

/// The upper of every relation on every worker.
pub(crate) struct Progress {
    uppers: Mutex<HashMap<RelationId, Vec<Tick>>>,
    workers: usize,
    sink: ProgressSink,
    /// The updates that readers have looked at.
    pub(crate) rows_read: Arc<AtomicU64>,
}

impl Progress {
    /// No relations yet.
    pub(crate) fn new(workers: usize, sink: ProgressSink) -> Progress {
        Progress { uppers: Mutex::default(), workers, sink, rows_read: Arc::default() }
    }

    /// A relation is about to be created on every worker.
    pub(crate) fn expect(&self, relation: RelationId) {
        self.lock().insert(relation, vec![0; self.workers]);
    }

    /// Notes a worker's upper; true where that is news. Tells the sink where the least has moved.
    pub(crate) fn report(&self, relation: RelationId, worker: usize, upper: Tick) -> bool {
        let moved = {
            let mut uppers = self.lock();
            // A relation that was dropped meanwhile is news to nobody.
            let Some(of_relation) = uppers.get_mut(&relation) else { return false };
            if of_relation[worker] == upper {
                return false;
            }
            let before = least(of_relation);
            of_relation[worker] = upper;
            let after = least(of_relation);
            (after > before).then_some(after)
        };
        if let Some(upper) = moved {
            (self.sink)(relation, upper);
        }
        true
    }

    /// All ticks of the relation before this one are complete on every worker.
    pub(crate) fn upper(&self, relation: RelationId) -> Tick {
        self.lock().get(&relation).map_or(0, |uppers| least(uppers))
    }

    /// The relation is gone.
    pub(crate) fn forget(&self, relation: RelationId) {
        self.lock().remove(&relation);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RelationId, Vec<Tick>>> {
        // Every write of the map is whole, so a panic elsewhere leaves it usable.
        self.uppers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn least(uppers: &[Tick]) -> Tick {
    uppers.iter().copied().min().unwrap_or(0)
}
