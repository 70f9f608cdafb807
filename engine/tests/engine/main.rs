//! The engine's own tests through its public face: plans over tables, against a naive model.
//!
//! `oracle` proves each operator right at every tick under random changes, with 1 and 2 workers,
//! and rebuilt from saved state in the middle; `incremental` that one change costs the same
//! whatever the state; `operators` where scripts do not come; `lifecycle` reads, subscriptions, drops, errors and compaction;
//! `index` reads by key, and who may drop what; `mesh` several processes (as threads of the test's own) as one.

#![allow(clippy::unwrap_used)]

mod compiler;
mod harness;
mod mesh;
mod model;
mod guards;
mod lifecycle;
mod oracle;
mod operators;
mod incremental;
mod index;
