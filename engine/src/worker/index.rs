//! Indexes on a worker: each is a user of a shared arrangement, as a view's join is.
//!
//! ```text
//!   CreateIndex ─▶ arrangement (made, or found because a view joins by it) ◀─ views
//!   Read(index, tick) ─▶ its batches, once the tick is complete there and in the relation
//! ```
//! Invariants: an index and views hold an arrangement each for itself, so dropping one never takes it from
//! another; an index goes with its relation. An index without an arrangement (its relation has failed) is
//! complete for ever, so that nothing waits for it, and cannot be read.

use std::sync::Arc;

use super::{WorkerState, is_readable, no_relation, size_of};
use crate::dataflow::publish::Contents;
use crate::dataflow::shared::{ArrangementKey, SharedArrangement};
use crate::engine::{IndexSpec, RelationReport, StateSize, ViewSpec};
use crate::error::EngineError;
use crate::lookup::Lookup;
use crate::snapshot::Snapshot;
use crate::types::{DataType, RelationId, Tick};

impl WorkerState<'_> {
    /// Creates an index: its arrangement, or a share in it. One that is there stays if it is the same, else the new
    /// one takes its place.
    pub(super) fn create_index(&mut self, id: RelationId, spec: &IndexSpec, as_of: Tick) {
        let key = spec.arrangement();
        if self.indexes.get(&id) == Some(&key) {
            return;
        }
        self.drop_index(id);
        if self.published.get(&spec.relation).is_some_and(|relation| relation.keeps_rows()) {
            let user = ViewSpec { name: spec.name.clone(), ..ViewSpec::default() };
            self.use_arrangement(&key, &user, as_of);
        }
        self.indexes.insert(id, key);
        if spec.is_awaited {
            self.awaited.insert(id);
        }
    }

    /// The end of an index; nothing where the id is none of an index.
    pub(super) fn drop_index(&mut self, id: RelationId) {
        self.awaited.remove(&id);
        if let Some(key) = self.indexes.remove(&id) {
            self.release_shared(&[key]);
        }
    }

    /// The relation is gone: its indexes let go of their arrangements. What still waits for them hears that
    /// they cannot be read; they themselves stay until they are dropped.
    pub(super) fn drop_indexes_of(&mut self, relation: RelationId) {
        let of_relation = self.indexes.iter().filter(|(_, key)| key.relation() == Some(relation));
        let of_relation: Vec<_> = of_relation.map(|(id, key)| (*id, key.clone())).collect();
        for (id, key) in of_relation {
            self.release_shared(&[key]);
            self.refuse_reads(id, None);
        }
    }

    /// The arrangement of an index and the relation that it is of.
    fn arrangement_of(&self, key: &ArrangementKey) -> Option<(&SharedArrangement, RelationId)> {
        self.shared.get(key).zip(key.relation())
    }

    /// All ticks before this one are complete in an index.
    pub(super) fn index_upper(&self, key: &ArrangementKey) -> Tick {
        self.shared.get(key).map_or(Tick::MAX, SharedArrangement::upper)
    }

    /// The index that is told to hold an arrangement, the first of several; none where only views use it.
    pub(super) fn index_of(&self, key: &ArrangementKey) -> Option<RelationId> {
        self.indexes.iter().find(|(_, of_index)| *of_index == key).map(|(id, _)| *id)
    }

    /// The answer to a read by key; `None` while its tick is not complete. One that has not taken in all
    /// rows is refused, unless it is awaited: until then whoever asks is answered sooner by the relation itself.
    pub(super) fn answer_by_key(
        &self,
        id: RelationId,
        key: &ArrangementKey,
        tick: Tick,
    ) -> Option<Result<Snapshot, EngineError>> {
        let found = self.arrangement_of(key);
        let found =
            found.and_then(|(arrangement, relation)| Some((arrangement, self.published.get(&relation)?)));
        let Some((arrangement, publication)) = found else { return Some(Err(no_relation(id, None))) };
        // An index that took the place of another knows nothing of before.
        let is_early = tick < arrangement.started();
        if is_early || (!arrangement.is_hydrated() && !self.awaited.contains(&id)) {
            return Some(Err(EngineError::NotHydrated(id)));
        }
        if arrangement.upper() <= tick {
            return None;
        }
        if let Err(error) = is_readable(publication, tick)? {
            return Some(Err(error));
        }
        let Contents { rows, errors } = arrangement.contents();
        let of_relation = publication.contents().errors;
        let share = publication.snapshot_of(tick, Contents { rows, errors: of_relation });
        let share = share.counted(Arc::clone(&self.crew.progress.rows_read));
        Some(Ok(share.indexed(Lookup::new(key.types(), errors))))
    }

    /// What an index holds.
    pub(super) fn measure_index(&self, id: RelationId, key: &ArrangementKey) -> StateSize {
        let told_here = self.index_of(key) == Some(id);
        let arrangement = self.shared.get(key).filter(|_| told_here);
        let traces = arrangement.map(SharedArrangement::traces).unwrap_or_default();
        size_of(traces.iter())
    }

    /// How an index stands.
    pub(super) fn inspect_index(&self, id: RelationId, key: &ArrangementKey) -> RelationReport {
        let found = self.arrangement_of(key);
        let (hydration_rows, hydration_rows_all) =
            found.map_or((0, 0), |(arrangement, _)| arrangement.meter.hydration());
        let of_relation = key.relation();
        let since = of_relation.and_then(|relation| self.published.get(&relation)).map(|found| found.since());
        RelationReport {
            relation: id,
            upper: self.index_upper(key),
            since: since.unwrap_or(Tick::MAX),
            is_hydrated: found.is_some_and(|(arrangement, _)| arrangement.is_hydrated()),
            state: self.measure_index(id, key),
            hydration_rows,
            hydration_rows_all,
            failure: of_relation.and_then(|relation| self.failed.get(&relation)).cloned(),
        }
    }
}

impl ArrangementKey {
    /// The types of the keys; the plan was checked.
    fn types(&self) -> Vec<DataType> {
        let columns = self.input.columns();
        self.keys.iter().filter_map(|(key, _)| key.data_type(columns)).collect()
    }
}
