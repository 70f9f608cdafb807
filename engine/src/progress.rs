//! `Progress`: how far each relation is complete, over all workers; and what readers have looked at.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::engine::ProgressSink;
use crate::types::{RelationId, Tick};

/// The upper of every relation on every worker of some.
pub(crate) struct Progress {
    uppers: Mutex<HashMap<RelationId, Vec<Tick>>>,
    workers: Range<usize>,
    sink: ProgressSink,
    /// The updates that readers have looked at.
    pub(crate) rows_read: Arc<AtomicU64>,
}

impl Progress {
    /// No relations yet.
    pub(crate) fn new(workers: Range<usize>, sink: ProgressSink) -> Progress {
        Progress { uppers: Mutex::default(), workers, sink, rows_read: Arc::default() }
    }

    /// A relation is about to be created on every worker.
    pub(crate) fn expect(&self, relation: RelationId) {
        self.lock().insert(relation, vec![0; self.workers.len()]);
    }

    /// Notes a worker's upper; true where that is news. Tells the sink where the least has moved.
    pub(crate) fn report(&self, relation: RelationId, worker: usize, upper: Tick) -> bool {
        let moved = {
            let mut uppers = self.lock();
            // A relation that was dropped meanwhile is news to nobody.
            let Some(of_relation) = uppers.get_mut(&relation) else { return false };
            let place = worker - self.workers.start;
            if of_relation[place] == upper {
                return false;
            }
            let before = least(of_relation);
            of_relation[place] = upper;
            let after = least(of_relation);
            (after > before).then_some(after)
        };
        if let Some(upper) = moved {
            (self.sink)(relation, upper);
        }
        true
    }

    /// Notes that several workers have come this far, or were further already: what another process tells of its
    /// workers may come in another order than it was noted there.
    pub(crate) fn report_all(&self, relation: RelationId, workers: Range<usize>, upper: Tick) {
        for worker in workers {
            let known =
                self.lock().get(&relation).map_or(Tick::MAX, |uppers| uppers[worker - self.workers.start]);
            if known < upper {
                self.report(relation, worker, upper);
            }
        }
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
