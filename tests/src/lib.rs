//! What the integration tests stand on: the real binary in a folder of its own, real clients, and a
//! private PostgreSQL to compare with.
//!
//! Nothing here sleeps: a start ends when the server tells its addresses, a PostgreSQL when it says
//! that it is ready, a kill when the process is gone. Everything fails by a panic, with the
//! server's own log behind it: these are tools of tests. What must be installed (psql, PostgreSQL,
//! strace) fails the test with the line that installs it where it is missing.

#![allow(clippy::unwrap_used)]

mod peers; // other processes of a cluster, and bad networks
mod postgres; // a private PostgreSQL cluster
mod process; // processes that end with their handle
mod psql; // the real psql
mod random; // numbers out of a seed
mod server; // the real millrace
mod strace; // kills at the n-th fsync

pub use peers::{Passage, Peers, Proxy};
pub use postgres::Postgres;
pub use process::{Process, signal};
pub use psql::{Answer, Psql};
pub use random::Random;
pub use server::{Ended, Launch, Server, binary};
pub use strace::{kill_at_sync, killed_at_sync};

use std::time::{Duration, Instant};

/// The longest that anything in a test waits before it is called a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `ready` again and again until it answers; panics with `what` when that takes too long.
/// For conditions that nobody announces; each `ready` does real work (a query, a look at a file).
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "still waiting for {what} after {PATIENCE:?}");
        std::thread::yield_now();
    }
}
