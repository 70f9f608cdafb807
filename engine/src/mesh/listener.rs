//! Connections that come in: each shows on a thread of its own that it is of the cluster, and then waits to be
//! taken by whoever forms a generation.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::handshake::{self, Hello, Purpose, Refusal};
use super::secret::MeshSecret;

/// The most connections whose handshake is not done; further ones are dropped.
const STRANGERS_MAX: usize = 64;

/// The most data connections that nobody has taken yet.
const LINKS_MAX: usize = 1024;

/// At most one stranger is told of in the log within this time.
const QUIET: Duration = Duration::from_secs(1);

/// A generation: of the start of process 0 that formed it, and its number since.
pub(super) type Generation = (u64, u64);

/// What has come in.
pub(super) struct Arrivals {
    own: Hello,
    secret: MeshSecret,
    state: Mutex<State>,
    changed: Condvar,
    strangers: AtomicUsize,
    told: Mutex<Told>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// When a stranger was told of last, and how many were not since: whoever knocks often shall not fill the log.
#[derive(Default)]
struct Told {
    last: Option<Instant>,
    unsaid: u64,
}

impl Told {
    /// One more has come. `Some`: it is to be told, with how many others there were since the last one that was.
    fn again(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[derive(Default)]
struct State {
    /// The newest of each process.
    controls: HashMap<usize, TcpStream>,
    links: HashMap<(Generation, usize), TcpStream>,
    is_closed: bool,
}

impl Arrivals {
    /// Begins to accept, with a thread of its own. `own` is what this process says of itself.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(super) fn listen(
        listener: TcpListener,
        own: Hello,
        secret: MeshSecret,
    ) -> std::io::Result<Arc<Arrivals>> {
        let (state, changed, strangers, told, accepting) = Default::default();
        let arrivals = Arc::new(Arrivals { own, secret, state, changed, strangers, told, accepting });
        let accepting = Arc::clone(&arrivals);
        let accept = move || {
            for stream in listener.incoming() {
                if accepting.is_closed() {
                    return;
                }
                match stream {
                    Ok(stream) => accepting.take_in(stream),
                    // Of one connection, or for want of files: neither goes by itself at once.
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        };
        let thread = std::thread::Builder::new().name("mesh:accept".to_owned()).spawn(accept)?;
        *arrivals.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(arrivals)
    }

    /// No more are accepted, and nobody waits any longer. The address is free when this returns.
    pub(super) fn close(&self, address: SocketAddr) {
        let mut state = self.lock();
        state.is_closed = true;
        state.controls.clear();
        state.links.clear();
        drop(state);
        self.changed.notify_all();
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Wakes the accepting thread; if that fails, the next connection does.
        let is_woken = TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
        if let Some(accepting) = accepting.filter(|_| is_woken) {
            // It has nothing to say.
            let _ = accepting.join();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// The control connections that have come since the last call.
    pub(super) fn take_controls(&self) -> HashMap<usize, TcpStream> {
        std::mem::take(&mut self.lock().controls)
    }

    /// Waits until something comes in, or it is closed; at most so long.
    pub(super) fn wait(&self, time: Duration) {
        let state = self.lock();
        if state.controls.is_empty() && !state.is_closed {
            drop(self.changed.wait_timeout(state, time));
        }
    }

    /// The data connection of a process in a generation, if it comes before the deadline. Those of other
    /// generations are dropped.
    pub(super) fn take_link(&self, wanted: Generation, from: usize, deadline: Instant) -> Option<TcpStream> {
        let mut state = self.lock();
        state.links.retain(|(generation, _), _| *generation == wanted);
        loop {
            if let Some(link) = state.links.remove(&(wanted, from)) {
                return Some(link);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_closed {
                return None;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take_in(self: &Arc<Self>, stream: TcpStream) {
        if self.strangers.fetch_add(1, Ordering::Relaxed) >= STRANGERS_MAX {
            self.strangers.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let arrivals = Arc::clone(self);
        let greet = move || {
            arrivals.greet(stream);
            arrivals.strangers.fetch_sub(1, Ordering::Relaxed);
        };
        if std::thread::Builder::new().name("mesh:greet".to_owned()).spawn(greet).is_err() {
            self.strangers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn greet(&self, stream: TcpStream) {
        let accepted = handshake::accept(&stream, &self.secret, |hello| {
            hello.check(&self.own)?;
            match hello.purpose {
                Purpose::Control if self.own.from != 0 => Err("only process 0 gives commands".to_owned()),
                Purpose::Control | Purpose::Data { .. } => Ok(()),
            }
        });
        let address = stream.peer_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        match accepted {
            Ok(hello) => self.add(&hello, stream),
            Err(Refusal::Disagrees(reason)) => tracing::warn!(address, reason, "refused another process"),
            Err(Refusal::Failed(error)) => {
                let unsaid = self.told.lock().unwrap_or_else(PoisonError::into_inner).again(Instant::now());
                if let Some(others) = unsaid {
                    tracing::warn!(address, %error, others, "dropped a connection that is not of the cluster");
                }
            }
        }
    }

    fn add(&self, hello: &Hello, stream: TcpStream) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        match hello.purpose {
            Purpose::Control => drop(state.controls.insert(hello.from, stream)),
            Purpose::Data { incarnation, generation } => {
                if state.links.len() >= LINKS_MAX {
                    state.links.clear();
                }
                state.links.insert(((incarnation, generation), hello.from), stream);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_of_once_a_second() {
        let (mut told, began) = (Told::default(), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        let answers = [0, 10, 999, 1_000, 1_500, 5_000, 9_000].map(|millis| told.again(at(millis)));
        assert_eq!(answers, [Some(0), None, None, Some(2), None, Some(1), Some(0)]);
    }
}
