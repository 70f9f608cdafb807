//! Accepting HTTP connections: limits, time limits, and a task for each.
//!
//! A connection that is upgraded is its endpoint's, and its `Place` with it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::body::Budget;
use super::counts::{Connected, Counts};
use super::{Http, Settings, router};
use crate::server::Server;

/// The pause after an accept that failed, for want of file descriptors most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection's place among those that there may be.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _counted: Connected,
    /// A server that stops waits for it.
    _awaited: TaskTrackerToken,
}

/// Serves until `shutdown`, then until the requests at hand are answered.
pub async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    settings: Settings,
    shutdown: CancellationToken,
) {
    let Settings { head_time, connections_max, .. } = settings;
    let counts = Arc::new(Counts::default());
    let budget = Budget::new(settings.body_bytes_max);
    let http = Http { server, settings, counts: counts.clone(), budget, shutdown: shutdown.clone() };
    let router = router(Arc::new(http));
    let places = Arc::new(Semaphore::new(connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((socket, _)), Ok(permit)) => {
                let place = Place { _permit: permit, _counted: counts.connected(), _awaited: tasks.token() };
                let (router, shutdown) = (router.clone(), shutdown.clone());
                tokio::spawn(connection(socket, router, head_time, shutdown, Arc::new(place)));
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

/// One connection from its first byte to its last, or to its upgrade.
async fn connection(
    socket: TcpStream,
    router: Router,
    head_time: Duration,
    shutdown: CancellationToken,
    place: Arc<Place>,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "the socket is gone");
        return;
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_time);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        routes.call(request)
    });
    let connection = http.serve_connection(TokioIo::new(socket), service).with_upgrades();
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
