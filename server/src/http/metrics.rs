//! `GET /metrics`: what the server counts, in Prometheus' text format.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use millrace_engine::Tick;
use millrace_sql::{Catalog, Relation, SqlError};

use super::Http;
use super::failure::Failure;
use crate::server::Server;
use crate::session::system::kind_of;

/// GET /metrics
pub(super) async fn metrics(State(http): State<Arc<Http>>) -> Response {
    // The workers are asked for their sizes: that waits, and must not hold up the server's tasks.
    match tokio::task::spawn_blocking(move || metrics_text(&http)).await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => Failure::from(SqlError::internal(error)).into_response(),
    }
}

/// All metrics in Prometheus' text format.
fn metrics_text(http: &Http) -> String {
    let server = &http.server;
    let counts = server.coordinator().counts();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut text = Text::default();
    text.metric("millrace_commits_total", "counter", "Commits acknowledged.", count(&counts.commits));
    text.metric(
        "millrace_commit_groups_total",
        "counter",
        "Records of the log written.",
        count(&counts.groups),
    );
    text.metric("millrace_rows_total", "counter", "Rows added and taken away.", count(&counts.rows));
    let rows_read = server.engine().rows_read();
    text.metric(
        "millrace_rows_read_total",
        "counter",
        "Rows of relations that queries looked at.",
        rows_read,
    );
    text.metric(
        "millrace_conflicts_total",
        "counter",
        "Commits refused for retry.",
        count(&counts.conflicts),
    );
    text.metric(
        "millrace_lag_bytes",
        "gauge",
        "Bytes committed that not all views show.",
        count(&counts.lag_bytes),
    );
    text.metric(
        "millrace_commits_queued",
        "gauge",
        "Commits that wait for their group.",
        count(&counts.queued),
    );
    text.metric("millrace_newest_tick", "gauge", "The newest tick.", server.holds().newest_tick());
    text.metric("millrace_since_tick", "gauge", "The first tick that can be read.", server.holds().since());
    text.metric("millrace_holds", "gauge", "Holds on ticks.", server.holds().count() as u64);
    let buffered = server.hubs().buffered_bytes() as u64;
    text.metric(
        "millrace_subscription_buffer_bytes",
        "gauge",
        "Bytes of changes kept for subscribers.",
        buffered,
    );
    text.metric("millrace_connections", "gauge", "Clients connected.", server.connections() as u64);
    let subscriptions = server.hubs().counts();
    let followers = subscriptions.followers.load(Ordering::Relaxed) as u64;
    text.metric("millrace_subscribers", "gauge", "Subscriptions and their cursors open.", followers);
    text.metric(
        "millrace_subscription_writes_total",
        "counter",
        "Times that changes were written for subscribers; each once a form, however many follow.",
        count(&subscriptions.written),
    );
    text.metric("millrace_workers", "gauge", "Worker threads.", server.engine().workers() as u64);
    let engines = server.engines();
    text.metric("millrace_processes", "gauge", "Processes of the cluster.", engines.processes() as u64);
    text.metric(
        "millrace_generation",
        "counter",
        "Times that the workers were formed.",
        engines.generation(),
    );
    text.metric(
        "millrace_workers_lost",
        "gauge",
        "1 while workers are lost and clients wait.",
        u64::from(engines.loss().is_some()),
    );
    let uptime_seconds = server.started().elapsed().as_secs();
    text.metric("millrace_uptime_seconds", "gauge", "Since the server was ready.", uptime_seconds);
    http_metrics(http, &mut text);
    relation_metrics(server, &mut text);
    text.0
}

fn http_metrics(http: &Http, text: &mut Text) {
    let (counts, commits) = (&http.counts, http.server.coordinator().counts());
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    text.family("millrace_http_requests_total", "counter", "HTTP requests answered.");
    for ((endpoint, status), requests) in counts.requests() {
        let labels = format!("endpoint=\"{endpoint}\",status=\"{status}\"");
        let _ = writeln!(text.0, "millrace_http_requests_total{{{labels}}} {requests}");
    }
    text.metric(
        "millrace_http_received_bytes_total",
        "counter",
        "Bytes of bodies received.",
        count(&counts.received_bytes),
    );
    text.metric("millrace_http_rows_total", "counter", "Rows added to tables by HTTP.", count(&counts.rows));
    text.metric("millrace_http_connections", "gauge", "HTTP connections open.", count(&counts.connections));
    text.metric(
        "millrace_http_body_bytes",
        "gauge",
        "Bytes of bodies in memory.",
        http.budget.taken_bytes() as u64,
    );
    text.metric("millrace_idempotency_keys", "gauge", "Idempotency keys kept.", count(&commits.answers_kept));
}

fn relation_metrics(server: &Server, text: &mut Text) {
    let catalog = server.catalog();
    text.family("millrace_relation_upper", "gauge", "The first tick that is not complete.");
    for relation in catalog.relations() {
        let upper = server.progress().upper(relation.id).unwrap_or(relation.created);
        // A view that has failed for good is told to be complete for ever.
        if upper == Tick::MAX {
            continue;
        }
        text.of_relation("millrace_relation_upper", &catalog, relation, upper);
    }
    text.family("millrace_relation_state_bytes", "gauge", "Bytes of state.");
    let sizes: Vec<_> =
        catalog.relations().map(|relation| (relation, server.engine().state_size(relation.id))).collect();
    for (relation, size) in &sizes {
        text.of_relation("millrace_relation_state_bytes", &catalog, relation, size.bytes as u64);
    }
    text.family("millrace_relation_state_batches", "gauge", "Batches of state.");
    for (relation, size) in &sizes {
        text.of_relation("millrace_relation_state_batches", &catalog, relation, size.batches as u64);
    }
    text.family("millrace_relation_state_updates", "gauge", "Updates held in state.");
    for (relation, size) in &sizes {
        text.of_relation("millrace_relation_state_updates", &catalog, relation, size.updates as u64);
    }
}

/// Prometheus' text format while it is written. Writing to a string cannot fail.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn of_relation(&mut self, name: &str, catalog: &Catalog, relation: &Relation, value: u64) {
        let kind = kind_of(relation);
        let (schema, relation) = (label(catalog.schema_of(relation)), label(&relation.name));
        let labels = format!("schema=\"{schema}\",relation=\"{relation}\",kind=\"{kind}\"");
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }
}

/// A label's value, escaped as the format asks.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[test]
    fn a_metric_has_its_help_and_type() {
        let mut text = Text::default();
        text.metric("m", "gauge", "Help.", 3);
        assert_eq!(text.0, "# HELP m Help.\n# TYPE m gauge\nm 3\n");
    }
}
