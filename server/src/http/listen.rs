//! Accepting HTTP connections: limits, time limits, and a task for each.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Budget;
use super::counts::Counts;
use super::{Http, Settings, router};
use crate::server::Server;

/// The most connections at once; further ones are closed at once.
const CONNECTIONS_MAX: usize = 4096;

/// The pause after an accept that failed, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then until the requests at hand are answered.
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let (head_time, counts) = (settings.head_time, Arc::new(Counts::default()));
    let budget = Budget::new(settings.body_bytes_max);
    let http = Http { server, settings, counts: counts.clone(), budget, shutdown: shutdown.clone() };
    let router = router(Arc::new(http));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((socket, _)), Ok(place)) => {
                let (router, counted, shutdown) = (router.clone(), counts.connected(), shutdown.clone());
                tasks.spawn(async move {
                    let _counted = counted;
                    connection(socket, router, head_time, shutdown, place).await;
                });
            }
            (Ok((_, peer)), Err(_)) => {
                tracing::warn!(%peer, "too many HTTP connections: one was closed at once");
            }
            (Err(error), _) => {
                tracing::warn!(%error, "accepting an HTTP connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// One connection from its first byte to its last.
async fn connection(
    socket: TcpStream,
    router: Router,
    head_time: Duration,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "the socket is gone");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_time);
    let connection = http.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}
