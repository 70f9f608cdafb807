//! CancelRequest: who may cancel what.
//!
//! A connection gets a process number and a secret; a request on another connection that names both
//! is passed on as a signal. Whoever asks learns nothing of whether it hit.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// All connections that can be cancelled.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    last_process: i32,
    by_process: HashMap<i32, Entry>,
}

struct Entry {
    secret: i32,
    signal: watch::Sender<u64>,
}

/// A connection's place in the registry, given back when dropped.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    /// What BackendKeyData tells.
    pub(crate) process: i32,
    /// The other half of it.
    pub(crate) secret: i32,
    /// Counts the requests that named both.
    pub(crate) signal: watch::Receiver<u64>,
}

impl Registry {
    /// A place for a new connection.
    pub(crate) fn register(self: &Arc<Registry>) -> Registration {
        let (sender, signal) = watch::channel(0);
        let secret = random();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let process = entries.free_process();
        entries.by_process.insert(process, Entry { secret, signal: sender });
        Registration { registry: self.clone(), process, secret, signal }
    }

    /// Passes a request on; nothing happens where the secret is wrong.
    pub(crate) fn cancel(&self, process: i32, secret: i32) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.by_process.get(&process).filter(|entry| entry.secret == secret) {
            entry.signal.send_modify(|count| *count += 1);
        }
    }
}

impl Entries {
    /// The next number from 1 that no connection has.
    fn free_process(&mut self) -> i32 {
        loop {
            self.last_process = self.last_process.checked_add(1).unwrap_or(1);
            if !self.by_process.contains_key(&self.last_process) {
                return self.last_process;
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut entries = self.registry.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.by_process.remove(&self.process);
    }
}

/// Unpredictable bits: std seeds each `RandomState` from the operating system's generator.
fn random() -> i32 {
    RandomState::new().build_hasher().finish() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_secret_cancels() {
        let registry = Arc::new(Registry::default());
        let (first, second) = (registry.register(), registry.register());
        registry.cancel(first.process, first.secret.wrapping_add(1));
        registry.cancel(77, first.secret);
        assert!(!first.signal.has_changed().expect("open"));
        registry.cancel(first.process, first.secret);
        assert!(first.signal.has_changed().expect("open"));
        assert!(!second.signal.has_changed().expect("open"));
        let process = first.process;
        drop(first);
        assert!(!registry.entries.lock().expect("not poisoned").by_process.contains_key(&process));
    }
}
