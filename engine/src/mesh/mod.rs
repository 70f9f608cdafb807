//! The mesh: worker threads of several processes that work as one set.
//!
//! ```text
//!            process 0                                        process 1 (2, 3 …)
//!  Engine ─▶ Queues ─┬─▶ workers 0 … w-1 ◀══ Link (timely) ══▶ workers w … 2w-1 ◀─ Queues ◀─┐
//!                    └─▶ Remote ─────────── Channel: commands ──────────────────────▶ Host ─┘
//!  replies, uppers ◀──── Remote ◀────────── Channel: answers ─────────────────────── Host ◀── callbacks
//! ```
//! A *generation* is one mesh of connections. When a process dies, stops, or a connection is cut, everybody tears
//! its generation down (`loss.rs`) and a new one is formed from nothing (`forming.rs`): process 0 waits until all
//! are there, and whoever drives the engine fills it again from the log. Connections prove that they know the
//! cluster's secret before anything else of them is read (`handshake.rs`). Nothing on them is encrypted.
//!
//! Invariants: all processes take the same commands in the same order, since one lock orders them and each channel
//! keeps them; what an earlier generation sent never reaches a later one, since each has connections of its own.
//!
//! Timely's own way of connecting processes knows no authentication, waits for ever, and takes a stopped peer for
//! a slow one; only its threads behind connected sockets are used.

pub(crate) mod channel; // frames between process 0 and another, and signs of life
pub(crate) mod forming; // how a generation comes about
pub(crate) mod frame; // what processes tell each other
mod handshake; // the first bytes of a connection
mod host; // a process that has workers only
pub(crate) mod link; // timely's connections, which notice a silent peer
mod listener; // connections that come in
pub(crate) mod loss; // the end of a generation
pub(crate) mod remote; // another process, as process 0 sees it
pub(crate) mod scan; // rows of other processes, for readers
mod secret; // who may take part
mod shares; // rows for readers on process 0

use std::time::Duration;

pub use forming::{Formed, Mesh, MeshConfig, MeshError};
pub use host::host;
pub use loss::{Loss, is_of_lost_connection};
pub use scan::Again;
pub use secret::MeshSecret;

/// How often a process gives a sign of life on each connection.
pub(crate) const BEAT: Duration = Duration::from_millis(500);

/// A peer that has said nothing for so long is taken for dead. Noticed, told and torn down within 5 s.
pub(crate) const SILENCE: Duration = Duration::from_secs(4);

/// The version of all that is said on connections.
pub(crate) const PROTOCOL: u32 = 2;
