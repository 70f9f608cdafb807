//! HTTP: rows into tables, statements, what supervisors and Prometheus ask.
//!
//! ```text
//! listen ─► guard (Host, Origin) ─► router ─► endpoint ─► session, as pgwire's
//!                                     └─ failure: an error as JSON with its status
//! ```
//! One file an endpoint. **Invariant:** every answer of a request that failed is a `Failure`, and every request is
//! counted by its endpoint.
//!
//! Modules in reading order:

mod body; // bodies, within bounds
mod counts; // what is counted
mod failure; // errors as answers
mod guard; // who may ask
mod health; // GET /health
mod influx; // POST /write, POST /api/v2/write
mod listen; // connections
mod metrics; // GET /metrics
mod openapi; // GET /v1/openapi.json
mod sql; // POST /v1/sql
mod subscribe; // GET /v1/subscribe/{view}
mod tables; // POST /v1/tables/{name}
mod values; // values as JSON

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use millrace_sql::DATABASE;

use tokio_util::sync::CancellationToken;

pub use listen::serve;

use crate::server::Server;
use crate::session::Session;
use body::Budget;
use counts::Counts;
use failure::Failure;

/// How long a request waits where the server has too much to do, then 429.
const PATIENCE: Duration = Duration::from_secs(5);

/// As whom requests act, until there are roles.
const USER: &str = "http";

/// What the user has set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a client may take to send the head of a request.
    pub head_time: Duration,
    /// The most connections at once, at least 1; further ones are closed at once.
    pub connections_max: usize,
    /// Further names of this machine, in lower case.
    pub allowed_hosts: Vec<String>,
    /// The longest body.
    pub body_bytes_max: usize,
}

/// What all requests share.
struct Http {
    server: Arc<Server>,
    settings: Settings,
    counts: Arc<Counts>,
    budget: Budget,
    /// Told when the server stops: what would go on for ever ends then.
    shutdown: CancellationToken,
}

/// The endpoints. What `/v1/openapi.json` describes is these, which a test sees to.
fn endpoints() -> [(&'static str, MethodRouter<Arc<Http>>); 8] {
    [
        ("/api/v2/write", post(influx::write)),
        ("/health", get(health::health)),
        ("/metrics", get(metrics::metrics)),
        ("/v1/openapi.json", get(openapi::openapi)),
        ("/v1/sql", post(sql::sql)),
        ("/v1/subscribe/{view}", get(subscribe::subscribe)),
        ("/v1/tables/{name}", post(tables::insert)),
        ("/write", post(influx::write)),
    ]
}

fn router(http: Arc<Http>) -> Router {
    let routes = endpoints()
        .into_iter()
        .fold(Router::new(), |routes, (path, methods)| routes.route(path, methods.fallback(other_method)));
    // Each route by itself, so that the endpoint is known; and what no route takes.
    let watched = from_fn_with_state(http.clone(), watch);
    routes.fallback(nothing_here).layer(watched).with_state(http)
}

/// Guards and counts a request.
async fn watch(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let endpoint = endpoints().iter().find(|(own, _)| *own == path).map_or("other", |(own, _)| *own);
    let response = match guard::check(request.uri(), request.headers(), &http.settings.allowed_hosts) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    http.counts.answered(endpoint, response.status().as_u16());
    response
}

/// A session for one request.
fn session(server: &Arc<Server>) -> Session {
    let mut session = Session::new(server.clone(), USER.to_owned(), DATABASE.to_owned());
    session.limit_patience(PATIENCE);
    session
}

async fn nothing_here() -> Failure {
    Failure::of_request(StatusCode::NOT_FOUND, "there is no such endpoint")
        .hint("GET /v1/openapi.json describes all of them.")
}

async fn other_method() -> Failure {
    Failure::of_request(StatusCode::METHOD_NOT_ALLOWED, "the endpoint has no such method")
        .hint("GET /v1/openapi.json describes all of them.")
}
