//! Accepting connections: limits, time limits, and a task for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_sql::SqlError;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancel::{Registration, Registry};
use super::connection::Connection;
use super::fault::{Fault, notice_response};
use super::startup::{Client, check_peer, greet, open};
use super::wire::Wire;
use crate::server::Server;
use crate::session::{Notice, Session};

/// The most sockets beside those of sessions: connections that are being opened, or cancel something.
const OTHER_SOCKETS_MAX: usize = 200;

/// The pause after an accept that failed, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many may connect, and how fast they have to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most sessions at once; more are refused with 53300.
    pub sessions: usize,
    /// How long a client may take to ask for its session.
    pub opening_time: Duration,
}

/// What all connections share.
struct Shared {
    server: Arc<Server>,
    registry: Arc<Registry>,
    sessions: Arc<Semaphore>,
    opening_time: Duration,
    shutdown: CancellationToken,
}

/// Serves PostgreSQL's protocol until `shutdown`, then until the last connection has been told so.
pub async fn serve(listener: TcpListener, server: Arc<Server>, limits: Limits, shutdown: CancellationToken) {
    let Limits { sessions, opening_time } = limits;
    let sockets = Arc::new(Semaphore::new(sessions + OTHER_SOCKETS_MAX));
    let sessions = Arc::new(Semaphore::new(sessions));
    let registry = Arc::default();
    let shared = Arc::new(Shared { server, registry, sessions, opening_time, shutdown: shutdown.clone() });
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => accept(&tasks, &shared, &sockets, socket, peer),
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Starts a connection's task. Where no socket is left the connection is closed at once.
fn accept(
    tasks: &TaskTracker,
    shared: &Arc<Shared>,
    sockets: &Arc<Semaphore>,
    socket: TcpStream,
    peer: SocketAddr,
) {
    match sockets.clone().try_acquire_owned() {
        Ok(permit) => {
            tasks.spawn(connect(shared.clone(), socket, peer, permit));
        }
        Err(_) => tracing::warn!(%peer, "too many connections: one was closed at once"),
    }
}

/// One connection from its first byte to its last.
async fn connect(shared: Arc<Shared>, socket: TcpStream, peer: SocketAddr, _permit: OwnedSemaphorePermit) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "the socket is gone");
        return;
    }
    let registration = shared.registry.register();
    let mut wire = Wire::new(socket, shared.shutdown.clone(), registration.signal.clone());
    let opened = match timeout(shared.opening_time, open(&mut wire, &shared.registry)).await {
        Ok(opened) => opened,
        // As PostgreSQL does: whoever says nothing in time is not told anything either.
        Err(_) => return,
    };
    match opened.and_then(|client| client.map(|client| admit(&shared, peer, client)).transpose()) {
        Ok(Some((client, session, _session_permit))) => begin(wire, session, &client, &registration).await,
        Ok(None) | Err(Fault::Lost) => {}
        Err(Fault::Fatal(error) | Fault::Statement(error)) => wire.goodbye(&error).await,
    }
}

/// A session for the client, if it may have one.
fn admit(
    shared: &Shared,
    peer: SocketAddr,
    client: Client,
) -> Result<(Client, Session, OwnedSemaphorePermit), Fault> {
    check_peer(peer.ip()).map_err(Fault::Fatal)?;
    let permit = shared
        .sessions
        .clone()
        .try_acquire_owned()
        .map_err(|_| Fault::Fatal(SqlError::new("53300", "sorry, too many clients already")))?;
    let session = Session::new(shared.server.clone(), client.user.clone(), client.database.clone());
    Ok((client, session, permit))
}

/// Applies the client's settings, greets it and serves it.
async fn begin(mut wire: Wire, mut session: Session, client: &Client, registration: &Registration) {
    let greeted = match apply_settings(&mut wire, &mut session, client) {
        Ok(()) => {
            let parameters = session.changed_parameters();
            greet(&mut wire, client, registration, parameters)
        }
        Err(fault) => Err(fault),
    };
    let _connected = session.server().connected();
    match greeted {
        Ok(()) => Connection::new(wire, session).serve().await,
        Err(Fault::Fatal(error) | Fault::Statement(error)) => wire.goodbye(&error).await,
        Err(Fault::Lost) => {}
    }
}

/// The settings of a StartupMessage hold before the first statement. A wrong one refuses the
/// connection, as in PostgreSQL, but one that the user did not ask for (JDBC sends its time zone) is a
/// warning: ParameterStatus then tells the value that holds.
fn apply_settings(wire: &mut Wire, session: &mut Session, client: &Client) -> Result<(), Fault> {
    for (name, value) in &client.settings {
        match session.begin_with(name, value) {
            Err(error) if is_unasked(name) => {
                wire.send(&notice_response(&Notice::warning("01000", error.message)))?;
            }
            other => other.map_err(Fault::Fatal)?,
        }
    }
    Ok(())
}

/// What drivers set without being asked, from the machine that they run on.
fn is_unasked(name: &str) -> bool {
    ["TimeZone", "DateStyle", "client_encoding", "extra_float_digits"]
        .iter()
        .any(|unasked| unasked.eq_ignore_ascii_case(name))
}
