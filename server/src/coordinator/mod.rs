//! The coordinator orders commits and changes of the catalog; nothing else goes through it.
//!
//! ```text
//! sessions ──Request──► bounded queue ─► runtime (a task) ─► CommitPath (pure)
//!     ▲                                    │  ▲    │
//!     └──── acknowledged, rejected ────────┘  │    ├─► log thread: append and fsync a group
//!                                    outcome, uppers└─► engine: install, commit, drop, compact
//! readers ──► Holds: newest tick, catalog, hold; never the queue
//! ```

mod answers; // requests that are done once
mod coalesce; // many small batches become few
mod commit; // the commit path, a pure state machine
mod ddl; // ids and checks of catalog changes at commit
mod keys; // which keys of unique indexes were written
mod holds; // the newest moment and who keeps which tick readable
mod lag; // how far the engine is behind, in bytes
mod progress; // the uppers as the workers tell them
mod request; // commits, events and effects
mod runtime; // the task around the commit path
#[cfg(test)]
mod simulation; // random schedules against a model ledger
#[cfg(test)]
mod tests; // the task with real workers and a real log

pub use answers::{Answer, Answers, Digest, Once};
pub(crate) use coalesce::coalesce;
pub use commit::{CommitPath, conflict};
pub(crate) use ddl::tables_below;
pub use holds::{Hold, Holds, Moment};
pub(crate) use lag::Lag;
pub use progress::Progress;
pub use request::{
    AloneId, CommitId, Effect, Event, Group, Reads, Request, Write, WrittenKeys, is_provisional,
    provisional_id,
};
pub(crate) use runtime::index_spec;
pub use runtime::{Alone, AppendGroup, Coordinator, Counts, Parts, apply};
