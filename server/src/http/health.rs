//! `GET /health`: whether the server serves, for supervisors.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use millrace_sql::SqlError;
use serde::Serialize;

use super::Http;
use super::failure::Failure;

/// What is answered.
#[derive(Serialize)]
struct Health {
    /// Whether everything is answered at once; else clients wait.
    ok: bool,
    tick: u64,
    workers: usize,
    processes: usize,
    generation: u64,
    /// Why clients wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<String>,
}

/// GET /health
pub(super) async fn health(State(http): State<Arc<Http>>) -> Response {
    let engines = http.server.engines();
    let loss = engines.loss();
    let health = Health {
        ok: loss.is_none(),
        tick: http.server.holds().newest_tick(),
        workers: engines.newest().workers(),
        processes: engines.processes(),
        generation: engines.generation(),
        waiting: loss,
    };
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(&health) {
        Ok(text) => (status, [(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => Failure::from(SqlError::internal(error)).into_response(),
    }
}
