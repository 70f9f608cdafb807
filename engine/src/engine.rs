//! `Engine`: the handle through which the coordinator drives the workers.
//!
//! One sequenced stream of commands goes to every worker; answers come back through callbacks,
//! which must not block. Everything that a user can get wrong was checked before it comes here.

use std::sync::Arc;

use crate::delta::Delta;
use crate::error::{DataError, EngineError};
use crate::expr::Compiler;
use crate::plan::Plan;
use crate::snapshot::Snapshot;
use crate::types::{DataType, RelationId, Tick};

/// What `Engine::start` needs to know.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Worker threads, at least 1.
    pub workers: usize,
}

/// A table as the engine sees it.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its columns.
    pub columns: Vec<DataType>,
    /// False for a stream (`append_only`, `retention = '0'`): passes changes on, keeps no rows.
    pub keep_rows: bool,
}

/// What a worker tells a subscriber. Each worker sends `Snapshot` once, then `Changes` in order.
pub enum SubscriptionEvent {
    /// The worker's share of the relation at the subscription's `as_of`, sent once its upper
    /// is beyond `as_of`; `Changes` carries only ticks after `as_of`.
    Snapshot {
        /// Which worker.
        worker: usize,
        /// Its share at `as_of`.
        snapshot: Snapshot,
    },
    /// Consolidated changes and the progress that they complete.
    Changes {
        /// Which worker.
        worker: usize,
        /// Rows sorted by their encoding within each tick, ticks ascending; no two with the same row and tick.
        changes: Vec<Delta>,
        /// Changes of the relation's error collection in the same span: (tick, error, diff).
        errors: Vec<(Tick, DataError, i64)>,
        /// All ticks before this one are complete on this worker.
        upper: Tick,
    },
    /// The relation was dropped; nothing follows.
    Dropped,
}

/// Receives a subscription's events, on the worker's thread: it must not block. Answers false when
/// the subscriber is gone, and is then not called again.
pub type SubscriptionSink = Arc<dyn Fn(SubscriptionEvent) -> bool + Send + Sync>;

/// Receives one worker's answer to a read, on the worker's thread: it must not block.
pub type ReadReply = Arc<dyn Fn(usize, Result<Snapshot, EngineError>) + Send + Sync>;

/// Told of every advance of a relation's upper (the least over all workers), on a worker's
/// thread: it must not block.
pub type ProgressSink = Arc<dyn Fn(RelationId, Tick) + Send + Sync>;

/// A running set of workers. Clones are handles to the same.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Starts the workers. `progress` is called on every advance of a relation's upper.
    ///
    /// # Errors
    /// `Stopped` where threads cannot be started.
    pub fn start(
        _config: EngineConfig,
        _compiler: Arc<dyn Compiler>,
        _progress: ProgressSink,
    ) -> Result<Engine, EngineError> {
        unimplemented!()
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        unimplemented!()
    }

    /// Creates a table that is empty before `as_of` (the newest tick); its upper starts there.
    pub fn create_table(&self, _id: RelationId, _spec: TableSpec, _as_of: Tick) {
        unimplemented!()
    }

    /// Installs a materialized view. It is readable from `as_of` on, once hydrated. `as_of` is at
    /// or after the since of every relation that the plan reads, and the caller holds it until
    /// the call returns.
    ///
    /// # Errors
    /// `InvalidPlan`; then nothing was installed. (Checked on the caller's thread: expressions are
    /// compiled here before any worker sees the plan.)
    pub fn install(&self, _id: RelationId, _plan: Plan, _as_of: Tick) -> Result<(), EngineError> {
        unimplemented!()
    }

    /// Removes relations and all their state, also in the middle of hydration. Dependants first.
    pub fn drop_relations(&self, _ids: &[RelationId]) {
        unimplemented!()
    }

    /// Changes of tables at one tick, then every table is complete through `tick`. Ticks ascend.
    pub fn commit(&self, _tick: Tick, _changes: Vec<(RelationId, Vec<Delta>)>) {
        unimplemented!()
    }

    /// Allows each relation to forget history before its tick.
    pub fn compact(&self, _since: &[(RelationId, Tick)]) {
        unimplemented!()
    }

    /// Each worker's share of a relation at `tick`, once the worker's upper is beyond it.
    pub fn read(&self, _relation: RelationId, _tick: Tick, _reply: ReadReply) {
        unimplemented!()
    }

    /// Follows a relation from `as_of` on.
    pub fn subscribe(&self, _relation: RelationId, _as_of: Tick, _sink: SubscriptionSink) {
        unimplemented!()
    }

    /// Bytes of state that the relation's arrangements take, summed over the workers (the
    /// operators' own state included), and their number of updates.
    pub fn state_size(&self, _relation: RelationId) -> StateSize {
        unimplemented!()
    }

    /// Stops the workers and waits for them.
    pub fn shutdown(&self) {
        unimplemented!()
    }
}

/// What a relation's state takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Updates held.
    pub updates: usize,
    /// Bytes held.
    pub bytes: usize,
}
