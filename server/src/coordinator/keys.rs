//! Which keys of unique indexes were written, and when: so that commits which look at different keys of one
//! table do not disturb each other.
//!
//! Keys are known by their hashes. Two keys with one hash look like one: a commit is then refused that could
//! have been let through, and tries again.
//!
//! Invariant: what is forgotten counts as changed.

use std::collections::{HashMap, HashSet};

use millrace_engine::{RelationId, Tick};

use super::request::WrittenKeys;

/// As many keys are remembered one by one; beyond them all are forgotten.
const KEYS_MAX: usize = 1 << 18;

/// The keys that the members of a forming group write.
#[derive(Default)]
pub(super) struct KeySet {
    keys: HashSet<(RelationId, u64)>,
    /// Indexes of which perhaps all keys are written.
    whole: HashSet<RelationId>,
}

impl KeySet {
    pub(super) fn add(&mut self, written: &WrittenKeys) {
        match &written.hashes {
            Some(hashes) => self.keys.extend(hashes.iter().map(|hash| (written.index, *hash))),
            None => drop(self.whole.insert(written.index)),
        }
    }

    pub(super) fn have(&self, index: RelationId, hash: u64) -> bool {
        self.whole.contains(&index) || self.keys.contains(&(index, hash))
    }
}

/// When keys last changed.
pub(super) struct RecentKeys {
    keys: HashMap<(RelationId, u64), Tick>,
    /// The last tick at which perhaps all keys of an index were written.
    whole: HashMap<RelationId, Tick>,
    /// What changed at or before this tick is forgotten.
    forgotten: Tick,
}

impl RecentKeys {
    /// Nothing is known of what changed through `newest`.
    pub(super) fn new(newest: Tick) -> RecentKeys {
        RecentKeys { keys: HashMap::new(), whole: HashMap::new(), forgotten: newest }
    }

    pub(super) fn written(&mut self, written: &WrittenKeys, tick: Tick) {
        let Some(hashes) = &written.hashes else {
            self.whole.insert(written.index, tick);
            return;
        };
        if self.keys.len() + hashes.len() > KEYS_MAX {
            *self = RecentKeys::new(tick);
            return;
        }
        self.keys.extend(hashes.iter().map(|hash| ((written.index, *hash), tick)));
    }

    /// Whether a key may have changed after a tick.
    pub(super) fn changed_after(&self, index: RelationId, hash: u64, tick: Tick) -> bool {
        let whole = self.whole.get(&index).is_some_and(|written| *written > tick);
        tick < self.forgotten || whole || self.keys.get(&(index, hash)).is_some_and(|written| *written > tick)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const INDEX: RelationId = RelationId(7);

    fn written(hashes: impl IntoIterator<Item = u64>) -> WrittenKeys {
        WrittenKeys { index: INDEX, hashes: Some(hashes.into_iter().collect::<Arc<[u64]>>()) }
    }

    #[test]
    fn a_key_changed_when_it_was_written_last() {
        let mut recent = RecentKeys::new(10);
        recent.written(&written([1, 2]), 11);
        recent.written(&written([2]), 13);
        let changed = |hash, tick| recent.changed_after(INDEX, hash, tick);
        assert!(changed(1, 10) && !changed(1, 11) && changed(2, 12) && !changed(2, 13) && !changed(3, 10));
        assert!(changed(3, 9), "what lies before the start is not known");
        assert!(!recent.changed_after(RelationId(8), 1, 10));
    }

    #[test]
    fn what_is_forgotten_counts_as_changed() {
        let mut recent = RecentKeys::new(0);
        recent.written(&written(0..KEYS_MAX as u64), 5);
        assert!(!recent.changed_after(INDEX, KEYS_MAX as u64, 4));
        recent.written(&written([0]), 6);
        assert!(recent.changed_after(INDEX, KEYS_MAX as u64, 5) && !recent.changed_after(INDEX, 0, 6));
        recent.written(&WrittenKeys { index: INDEX, hashes: None }, 8);
        assert!(recent.changed_after(INDEX, 1, 7) && !recent.changed_after(INDEX, 1, 8));
    }
}
