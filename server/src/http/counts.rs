//! What HTTP counts for `/metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What was received and answered since the start. Bounded: endpoints and statuses are few.
#[derive(Default)]
pub(super) struct Counts {
    /// By endpoint and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Bytes of bodies, as they came.
    pub(super) received_bytes: AtomicU64,
    /// Rows that were added to tables.
    pub(super) rows: AtomicU64,
    /// Connections, now.
    pub(super) connections: AtomicU64,
}

impl Counts {
    /// A request was answered.
    pub(super) fn answered(&self, endpoint: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((endpoint, status)).or_default() += 1;
    }

    /// How many requests were answered.
    pub(super) fn requests(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a connection for as long as the answer lives.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }
}

/// A connection, counted until this is dropped.
pub(super) struct Connected(Arc<Counts>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
