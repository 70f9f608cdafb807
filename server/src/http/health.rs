//! `GET /health`: whether the server serves, for supervisors.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Http;

/// GET /health
pub(super) async fn health(State(http): State<Arc<Http>>) -> Response {
    let tick = http.server.holds().newest_tick();
    let workers = http.server.engine().workers();
    let text = format!("{{\"ok\":true,\"tick\":{tick},\"workers\":{workers}}}\n");
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}
