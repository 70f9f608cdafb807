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
use bytes::{Buf, Bytes, BytesMut};
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
pub(crate) const FLUSH_BYTES: usize = 64 << 10;

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
    /// Whether a statement runs, and so can be interrupted.
    armed: bool,
    /// Whether something has begun since the client was last told that we are ready. A cancel
    /// request before that came too late for what it meant; one after it is never lost.
    busy: bool,
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

/// Writes what the socket takes; reads ahead while it takes nothing.
async fn write_some(
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    input: &mut BytesMut,
    signals: &mut Signals,
    bytes: &mut impl Buf,
) -> Result<(), Fault> {
    tokio::select! {
        biased;
        fault = interrupted(reader, input, signals) => Err(fault),
        written = writer.write_buf(bytes) => match written {
            Ok(0) | Err(_) => Err(Fault::Lost),
            Ok(_) => Ok(()),
        },
    }
}

impl Wire {
    /// The socket's two halves with empty buffers. `cancel` counts the cancel requests.
    pub(crate) fn new(socket: TcpStream, shutdown: CancellationToken, cancel: watch::Receiver<u64>) -> Wire {
        let (reader, writer) = socket.into_split();
        let signals = Signals { shutdown, cancel, armed: false, busy: false, deadline: None };
        Wire { reader, writer, input: BytesMut::new(), output: BytesMut::new(), signals }
    }

    /// A statement begins: from now on it can be cancelled, and must end within the timeout.
    pub(crate) fn begin(&mut self, statement_timeout: Option<Duration>) {
        if !std::mem::replace(&mut self.signals.busy, true) {
            self.signals.cancel.mark_unchanged();
        }
        self.signals.armed = true;
        self.signals.deadline = statement_timeout.and_then(|time| Instant::now().checked_add(time));
    }

    /// No statement runs any more.
    pub(crate) fn end(&mut self) {
        self.signals.armed = false;
        self.signals.deadline = None;
    }

    /// The client is about to be told that we are ready.
    pub(crate) fn idle(&mut self) {
        self.end();
        self.signals.busy = false;
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
        let before = self.input.len();
        self.flush().await?;
        // The flush may have read ahead what is waited for.
        if self.input.len() > before {
            return Ok(());
        }
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
        let Wire { reader, writer, input, output, signals } = self;
        while !output.is_empty() {
            write_some(reader, writer, input, signals, output).await?;
        }
        Ok(())
    }

    /// Puts bytes that others send, too, behind the output. Many are not copied, but written at once.
    pub(crate) async fn put(&mut self, mut bytes: Bytes) -> Result<(), Fault> {
        if bytes.len() < FLUSH_BYTES {
            self.output.extend_from_slice(&bytes);
            return if self.is_full() { self.flush().await } else { Ok(()) };
        }
        self.flush().await?;
        let Wire { reader, writer, input, signals, .. } = self;
        while !bytes.is_empty() {
            write_some(reader, writer, input, signals, &mut bytes).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use ::pgwire::messages::response::CommandComplete;
    use futures::future::pending;
    use tokio::net::TcpListener;

    struct Other {
        socket: TcpStream,
        shutdown: CancellationToken,
        cancel: watch::Sender<u64>,
    }

    /// A wire, and what stands at its other ends.
    async fn pair() -> (Wire, Other) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let socket = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
        let (accepted, _) = listener.accept().await.expect("connected");
        let (cancel, signal) = watch::channel(0);
        let shutdown = CancellationToken::new();
        (Wire::new(accepted, shutdown.clone(), signal), Other { socket, shutdown, cancel })
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
        match result.expect_err("a fault") {
            Fault::Statement(error) => error.sqlstate,
            Fault::Fatal(error) => format!("fatal {}", error.sqlstate),
            Fault::Lost => "lost".to_owned(),
        }
    }

    async fn never() -> Result<(), SqlError> {
        pending().await
    }

    #[tokio::test]
    async fn work_that_waits_is_cancelled_at_once() {
        let (mut wire, other) = pair().await;
        wire.begin(None);
        let (result, ()) =
            tokio::join!(wire.run(never()), async { other.cancel.send_modify(|count| *count += 1) });
        assert_eq!(code(result), "57014");
    }

    #[tokio::test]
    async fn a_cancel_counts_from_the_first_message_to_ready() {
        let (mut wire, other) = pair().await;
        let cancel = || other.cancel.send_modify(|count| *count += 1);
        cancel();
        wire.begin(None);
        assert!(wire.run(async { Ok(()) }).await.is_ok(), "it came before the statement");
        wire.end();
        cancel();
        wire.begin(None);
        assert_eq!(code(wire.run(async { Ok(()) }).await), "57014", "it came between two messages");
        cancel();
        wire.idle();
        wire.begin(None);
        assert!(wire.run(async { Ok(()) }).await.is_ok(), "it came after the last statement");
    }

    #[tokio::test]
    async fn a_statement_has_until_its_deadline() {
        let (mut wire, _other) = pair().await;
        wire.begin(Some(Duration::from_millis(1)));
        assert_eq!(code(wire.run(never()).await), "57014");
    }

    #[tokio::test]
    async fn shutdown_and_a_lost_client_end_the_connection() {
        let (mut wire, other) = pair().await;
        other.shutdown.cancel();
        assert_eq!(code(wire.run(never()).await), "fatal 57P01");
        let (mut wire, other) = pair().await;
        drop(other.socket);
        assert_eq!(code(wire.run(never()).await), "lost");
    }

    #[tokio::test]
    async fn a_panic_fails_the_statement_only() {
        let (mut wire, _other) = pair().await;
        assert_eq!(code(wire.run(async { Err::<(), _>(planted()) }).await), "XX000");
        assert!(wire.run(async { Ok(()) }).await.is_ok());
    }

    fn planted() -> SqlError {
        panic!("planted")
    }

    #[tokio::test]
    async fn answers_are_flushed_before_work_waits() {
        let (mut wire, mut other) = pair().await;
        wire.send(&CommandComplete::new("FIRST".to_owned())).expect("it fits");
        let mut answer = [0; 11];
        tokio::select! {
            _ = wire.run(never()) => unreachable!("it never ends"),
            read = other.socket.read_exact(&mut answer) => assert_eq!(read.expect("sent"), 11),
        }
        assert_eq!(&answer, b"C\0\0\0\x0aFIRST\0");
    }

    #[tokio::test]
    async fn a_message_that_comes_during_a_flush_is_answered() {
        let (mut wire, mut other) = pair().await;
        other.socket.write_all(b"S\0\0\0\x04").await.expect("connected");
        wire.reader.readable().await.expect("connected");
        wire.send(&CommandComplete::new("FIRST".to_owned())).expect("it fits");
        let message = timeout(Duration::from_secs(60), wire.message()).await.expect("it is here");
        assert!(matches!(message, Ok(Message::Sync)));
    }

    async fn write_for_ever(wire: &mut Wire) -> Result<(), Fault> {
        loop {
            wire.output().extend_from_slice(&[0; FLUSH_BYTES]);
            assert!(wire.output().len() <= 2 * FLUSH_BYTES, "the output is bounded");
            wire.flush().await?;
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_can_be_cancelled() {
        let (mut wire, other) = pair().await;
        wire.begin(None);
        // The flushes stop when the kernel's buffers are full; the cancel then comes through.
        let cancel = async {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            other.cancel.send_modify(|count| *count += 1);
        };
        let (result, ()) = tokio::join!(write_for_ever(&mut wire), cancel);
        assert_eq!(code(result), "57014");
    }

    #[tokio::test]
    async fn a_client_that_sends_ahead_is_held_back() {
        let (mut wire, other) = pair().await;
        let (_reader, mut writer) = other.socket.into_split();
        let flood = async { writer.write_all(&vec![b'x'; 64 << 20]).await };
        tokio::select! {
            biased;
            _ = wire.run(never()) => unreachable!("it never ends"),
            _ = flood => unreachable!("nobody reads that much"),
            () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
        }
        assert!(wire.input.len() <= BACKLOG_BYTES + READ_BYTES + 64, "{} bytes were read", wire.input.len());
    }
}
