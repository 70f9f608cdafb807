//! The end of a generation: told once, with the first reason, and then all its parts come down.
//!
//! ```text
//!   a peer is silent │ a connection is closed │ a worker panics │ shutdown
//!                     └─▶ Ending::end ─▶ sockets are shut down, who waits is told
//!                          workers leave their loops and drop their dataflows, pushing into queues that nobody reads
//!                          all workers are gone ─▶ released: timely's connection threads may end, too
//! ```
//! Timely's connection threads panic when a connection breaks and poison the queues that they share with workers,
//! which then panic in the middle of their dataflows. So they never see it break: a `Link` that is over takes what
//! is written and says nothing, and keeps its reader waiting until no worker is left.

use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why a generation has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// For whoever reads the log.
    pub reason: String,
    /// A worker has panicked: a defect of ours. Otherwise another process or the network is to blame.
    pub is_defect: bool,
}

impl Loss {
    /// Another process is gone, or cannot be reached.
    pub(crate) fn of_peer(reason: impl Into<String>) -> Loss {
        Loss { reason: reason.into(), is_defect: false }
    }
}

/// Told of the end, on the thread that found out: it must not block.
pub(crate) type LossSink = Box<dyn FnOnce(Loss) + Send>;

/// The end of one generation, shared by all its parts.
#[derive(Clone, Default)]
pub(crate) struct Ending {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    loss: Option<Loss>,
    is_released: bool,
    sockets: Vec<TcpStream>,
    sinks: Vec<LossSink>,
}

impl Ending {
    /// A socket to shut down at the end: what reads or writes it then wakes.
    pub(crate) fn guard(&self, socket: TcpStream) {
        let mut state = self.lock();
        if state.loss.is_some() {
            shut_down(&socket);
        }
        state.sockets.push(socket);
    }

    /// Tells the sink of the end, at once where it has come already.
    pub(crate) fn tell(&self, sink: LossSink) {
        let mut state = self.lock();
        match state.loss.clone() {
            Some(loss) => {
                drop(state);
                sink(loss);
            }
            None => state.sinks.push(sink),
        }
    }

    /// The end. Only the first reason counts.
    pub(crate) fn end(&self, loss: Loss) {
        let mut state = self.lock();
        if state.loss.is_some() {
            return;
        }
        state.loss = Some(loss.clone());
        state.sockets.iter().for_each(shut_down);
        let sinks = std::mem::take(&mut state.sinks);
        drop(state);
        self.shared.changed.notify_all();
        sinks.into_iter().for_each(|sink| sink(loss.clone()));
    }

    /// The reason, once it has ended.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.lock().loss.clone()
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().loss.is_some()
    }

    /// No worker of this process is left.
    pub(crate) fn release(&self) {
        self.lock().is_released = true;
        self.shared.changed.notify_all();
    }

    /// Waits until no worker of this process is left.
    pub(crate) fn wait_released(&self) {
        let mut state = self.lock();
        while !state.is_released {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the end, at most so long; whether it has come.
    pub(crate) fn wait_over(&self, time: Duration) -> bool {
        let state = self.lock();
        let waited = self.shared.changed.wait_timeout_while(state, time, |state| state.loss.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.loss.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It may be gone already.
fn shut_down(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Both);
}

/// Whether a panic is that of a connection's thread whose generation is over: it is expected and says nothing new.
pub fn is_of_lost_connection(panic: &PanicHookInfo<'_>) -> bool {
    let message = panic.payload_as_str().unwrap_or_default();
    ["timely communication error:", "MergeQueue poisoned", "Send thread panic", "Recv thread panic"]
        .iter()
        .any(|start| message.starts_with(start))
}

/// Does something on a thread that others rely on: a panic of it ends the generation, as a defect.
pub(crate) fn guarded(what: &str, ending: &Ending, act: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
        let reason = format!("{what} has panicked: {}", message_of(panic.as_ref()));
        ending.end(Loss { reason, is_defect: true });
    }
}

/// What a panic said.
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_first_reason_is_told_to_all_once() {
        let ending = Ending::default();
        let (sender, told) = mpsc::channel();
        let tell = |sender: mpsc::Sender<Loss>| -> LossSink { Box::new(move |loss| drop(sender.send(loss))) };
        ending.tell(tell(sender.clone()));
        assert!(!ending.wait_over(Duration::ZERO) && ending.loss().is_none());
        ending.end(Loss::of_peer("first"));
        ending.end(Loss { reason: "second".to_owned(), is_defect: true });
        ending.tell(tell(sender));
        assert_eq!(told.iter().collect::<Vec<_>>(), [Loss::of_peer("first"), Loss::of_peer("first")]);
        assert!(ending.wait_over(Duration::MAX) && ending.is_over());
    }
}
