//! How far the engine is behind the log, in bytes: what back-pressure looks at.
//!
//! Invariant: a group counts until the upper of every relation that existed then has passed its tick.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use millrace_engine::{RelationId, Tick};
use millrace_sql::CatalogChange;

use super::request::Group;

/// The groups that not every relation has passed.
pub(crate) struct Lag {
    bytes_max: usize,
    bytes: usize,
    /// Tick and bytes, ticks ascending.
    groups: VecDeque<(Tick, usize)>,
    uppers: BTreeMap<RelationId, Tick>,
    /// The same, least upper first.
    by_upper: BTreeSet<(Tick, RelationId)>,
}

impl Lag {
    /// Nothing committed after `newest`; these relations are told to have passed nothing beyond it.
    pub(crate) fn new(bytes_max: usize, relations: impl Iterator<Item = RelationId>, newest: Tick) -> Lag {
        let mut lag = Lag {
            bytes_max,
            bytes: 0,
            groups: VecDeque::new(),
            uppers: BTreeMap::new(),
            by_upper: BTreeSet::new(),
        };
        relations.for_each(|relation| lag.set_upper(relation, newest));
        lag
    }

    /// Bytes that not every relation has passed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the next group has to wait.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// The group goes to the engine.
    pub(crate) fn committed(&mut self, group: &Group) {
        for change in &group.catalog {
            match change {
                CatalogChange::Create(relation) if relation.is_maintained() => {
                    self.set_upper(relation.id, group.tick);
                }
                CatalogChange::Create(_)
                | CatalogChange::Replace(_)
                | CatalogChange::Move(..)
                | CatalogChange::Schema(..)
                | CatalogChange::Comment { .. } => {}
                CatalogChange::Drop(ids) => ids.iter().for_each(|id| self.forget(*id)),
            }
        }
        let bytes = group.bytes();
        if bytes > 0 {
            self.groups.push_back((group.tick, bytes));
            self.bytes += bytes;
        }
        self.settle();
    }

    /// The relation is complete before `upper`. News of relations that are gone comes late and is ignored.
    pub(crate) fn applied(&mut self, relation: RelationId, upper: Tick) {
        if self.uppers.contains_key(&relation) {
            self.set_upper(relation, upper);
            self.settle();
        }
    }

    fn set_upper(&mut self, relation: RelationId, upper: Tick) {
        self.forget(relation);
        self.uppers.insert(relation, upper);
        self.by_upper.insert((upper, relation));
    }

    fn forget(&mut self, relation: RelationId) {
        if let Some(upper) = self.uppers.remove(&relation) {
            self.by_upper.remove(&(upper, relation));
        }
    }

    fn settle(&mut self) {
        let passed = self.by_upper.first().map_or(Tick::MAX, |(upper, _)| *upper);
        while let Some((tick, bytes)) = self.groups.front() {
            if *tick >= passed {
                return;
            }
            self.bytes -= bytes;
            self.groups.pop_front();
        }
    }
}
