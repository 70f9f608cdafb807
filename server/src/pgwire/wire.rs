//! One client's socket: messages in, messages out, and whatever may interrupt a running statement.
//!
//! ```text
//!            ┌── fired: cancel, deadline, shutdown ──► Fault
//!   run(work)┼── the client hangs up ────────────────► Fault::Lost      (work is dropped)
//!            └── work is done ───────────────────────► its result
//! ```
//! Work that must wait is never waited for before what was answered so far is flushed: that is what
//! brings a live SUBSCRIBE row to the client at once.
//! Invariants: `input` holds at most one message more than `BACKLOG_BYTES` (beyond that the socket is
//! not read and TCP holds the client back); `output` is flushed once it passes `FLUSH_BYTES`.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use ::pgwire::messages::Message as Encode;
use bytes::BytesMut;
use futures::FutureExt as _;
use millrace_sql::SqlError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::fault::{Fault, fatal_response};
use super::message::{Message, Opening, next_is_sync, take_message, take_opening};

/// Output is flushed when it grows past this.
const FLUSH_BYTES: usize = 64 << 10;

/// While a statement runs, no more than this is read ahead.
const BACKLOG_BYTES: usize = 64 << 10;

/// Space for one read of the socket.
const READ_BYTES: usize = 16 << 10;

/// How long a goodbye may wait for a client that does not read.
const GOODBYE_TIME: Duration = Duration::from_secs(1);

/// One client's socket with its buffers.
pub(crate) struct Wire {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    input: BytesMut,
    output: BytesMut,
    signals: Signals,
}

/// What may interrupt a statement from outside.
struct Signals {
    shutdown: CancellationToken,
    /// Counts the cancel requests for this connection.
    cancel: watch::Receiver<u64>,
    /// Whether a statement runs: else cancel requests come too late and are forgotten.
    armed: bool,
    deadline: Option<Instant>,
}

impl Signals {
    /// Waits for the first of them.
    async fn fired(&mut self) -> Fault {
        let deadline = self.deadline.filter(|_| self.armed);
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Fault::shutdown(),
            Ok(()) = self.cancel.changed(), if self.armed => Fault::cancelled(),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Fault::timed_out(),
        }
    }
}

/// Reads ahead until something fires or the client hangs up.
async fn interrupted(reader: &mut OwnedReadHalf, input: &mut BytesMut, signals: &mut Signals) -> Fault {
    loop {
        let has_room = input.len() < BACKLOG_BYTES;
        tokio::select! {
            biased;
            fault = signals.fired() => return fault,
            read = read_some(reader, input), if has_room => if read.is_none() { return Fault::Lost },
        }
    }
}

/// Reads what there is; `None` at the end of the stream or when the connection broke.
async fn read_some(reader: &mut OwnedReadHalf, input: &mut BytesMut) -> Option<()> {
    input.reserve(READ_BYTES);
    match reader.read_buf(input).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

impl Wire {
    /// The socket's two halves with empty buffers. `cancel` counts the cancel requests.
    pub(crate) fn new(socket: TcpStream, shutdown: CancellationToken, cancel: watch::Receiver<u64>) -> Wire {
        let (reader, writer) = socket.into_split();
        let signals = Signals { shutdown, cancel, armed: false, deadline: None };
        Wire { reader, writer, input: BytesMut::new(), output: BytesMut::new(), signals }
    }

    /// A statement begins: from now on it can be cancelled, and must end within the timeout.
    pub(crate) fn begin(&mut self, statement_timeout: Option<Duration>) {
        self.signals.cancel.mark_unchanged();
        self.signals.armed = true;
        self.signals.deadline = statement_timeout.and_then(|time| Instant::now().checked_add(time));
    }

    /// No statement runs any more.
    pub(crate) fn end(&mut self) {
        self.signals.armed = false;
        self.signals.deadline = None;
    }

    /// The next message of a session.
    pub(crate) async fn message(&mut self) -> Result<Message, Fault> {
        loop {
            if let Some(message) = take_message(&mut self.input).map_err(Fault::Fatal)? {
                return Ok(message);
            }
            self.read_more().await?;
        }
    }

    /// The next message of a connection that is being opened.
    pub(crate) async fn opening(&mut self) -> Result<Opening, Fault> {
        loop {
            if let Some(opening) = take_opening(&mut self.input).map_err(Fault::Fatal)? {
                return Ok(opening);
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), Fault> {
        self.flush().await?;
        tokio::select! {
            biased;
            fault = self.signals.fired() => Err(fault),
            read = read_some(&mut self.reader, &mut self.input) => read.ok_or(Fault::Lost),
        }
    }

    /// Whether the client has sent something that was not looked at yet.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Whether a Sync is next, and already here.
    pub(crate) fn next_is_sync(&self) -> bool {
        next_is_sync(&self.input)
    }

    /// Runs work of the session. When something interrupts, the work is dropped.
    ///
    /// # Errors
    /// The work's own, what interrupted it, and XX000 where it panicked.
    pub(crate) async fn run<T>(
        &mut self,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, Fault> {
        let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
        if let Some(fault) = self.signals.fired().now_or_never() {
            return Err(fault);
        }
        let done = match work.as_mut().now_or_never() {
            Some(done) => done,
            None => {
                self.flush().await?;
                tokio::select! {
                    biased;
                    fault = interrupted(&mut self.reader, &mut self.input, &mut self.signals) => return Err(fault),
                    done = work => done,
                }
            }
        };
        done.unwrap_or_else(|panic| Err(panicked(&*panic))).map_err(Fault::Statement)
    }

    /// Puts a message into the output.
    pub(crate) fn send(&mut self, message: &impl Encode) -> Result<(), Fault> {
        message.encode(&mut self.output).map_err(|error| Fault::Fatal(SqlError::internal(error)))
    }

    /// The output, for messages that are written in place.
    pub(crate) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether the output should be flushed before more is put into it.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= FLUSH_BYTES
    }

    /// Writes the output to the socket; waits while the client does not read.
    pub(crate) async fn flush(&mut self) -> Result<(), Fault> {
        while !self.output.is_empty() {
            tokio::select! {
                biased;
                fault = interrupted(&mut self.reader, &mut self.input, &mut self.signals) => return Err(fault),
                written = self.writer.write_buf(&mut self.output) => match written {
                    Ok(0) | Err(_) => return Err(Fault::Lost),
                    Ok(_) => {}
                },
            }
        }
        Ok(())
    }

    /// Tells the client why the connection ends, and closes it.
    pub(crate) async fn goodbye(mut self, error: &SqlError) {
        if fatal_response(error).encode(&mut self.output).is_ok() {
            // A client that is gone or does not read misses its goodbye: nothing is lost by that.
            let _ = timeout(GOODBYE_TIME, self.writer.write_all_buf(&mut self.output)).await;
        }
        let _ = timeout(GOODBYE_TIME, self.writer.shutdown()).await;
    }
}

/// XX000 for a panic. It is logged here, where the connection goes on in spite of it.
fn panicked(panic: &(dyn std::any::Any + Send)) -> SqlError {
    let reason = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned());
    tracing::error!(reason, "a statement panicked");
    SqlError::internal(format!("the statement stopped by a defect of the server: {reason}"))
}
