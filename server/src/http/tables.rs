//! `POST /v1/tables/{name}`: rows into a table, all or none, in one commit.
//!
//! ```text
//! media type ─► table ─► body ─► was it done before? ─► rows ─► commit ─► {"rows", "tick"}
//!                                   (Idempotency-Key)              └─ its key in the same record of the log
//! ```
//! **Invariant:** an answer is sent after the commit is durable, and it is the same for the same key.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use millrace_engine::Tick;
use millrace_sql::SqlError;

use super::failure::Failure;
use super::{Http, body};
use crate::coordinator::Once;
use crate::ingest::{BadRow, Form, Reader};
use crate::session::Session;
use crate::session::ingest::Ingest;

/// The header that names a request that is to be done once.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest key.
const KEY_BYTES_MAX: usize = 255;

/// POST /v1/tables/{name}
pub(super) async fn insert(
    State(http): State<Arc<Http>>,
    table: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let Path(table) = table.map_err(|error| {
        Failure::of_request(StatusCode::BAD_REQUEST, format!("the path cannot be read: {error}"))
    })?;
    let form = form(&headers)?;
    let key = key(&headers)?;
    let mut session = super::session(&http.server);
    // A table that is not there is told before its rows are read; but a request that was done may be older than that.
    let ingest = match (session.ingest(&table).await.map_err(of_relation), key) {
        (Err(failure), None) => return Err(failure),
        (ingest, _) => ingest,
    };
    let body = body::read(&http, &headers, body).await?;
    let once = key.map(|key| once(key, &table, form, &body.bytes));
    if let Some((rows, tick)) = done_before(&http, once).await? {
        return Ok(answer(rows, tick));
    }
    match ingest_all(&mut session, ingest?, form, body.bytes.clone(), once).await {
        Ok((rows, tick)) => {
            http.counts.rows.fetch_add(rows, Ordering::Relaxed);
            Ok(answer(rows, tick))
        }
        // The same request beside this one may have been faster: then its rows are what is in the way.
        Err(bad) => match done_before(&http, once).await? {
            Some((rows, tick)) => Ok(answer(rows, tick)),
            None => Err(bad.into()),
        },
    }
}

async fn ingest_all(
    session: &mut Session,
    mut ingest: Ingest,
    form: Form,
    body: Bytes,
    once: Option<Once>,
) -> Result<(u64, Tick), BadRow> {
    let mut reader = Reader::new(form, body, ingest.columns(), session.zone())?;
    while let Some(given) = reader.next()? {
        ingest.rows(session, given).await?;
        // Reading a long body must not hold up the others of this thread.
        tokio::task::yield_now().await;
    }
    ingest.finish(session, once).await
}

async fn done_before(http: &Http, once: Option<Once>) -> Result<Option<(u64, Tick)>, Failure> {
    let Some(once) = once else { return Ok(None) };
    match http.server.coordinator().answered(once).await {
        Ok(answer) => Ok(answer.map(|answer| (answer.rows, answer.tick))),
        Err(error) if error.sqlstate == "22023" => Err(Failure::with(StatusCode::CONFLICT, error)),
        Err(error) => Err(error.into()),
    }
}

fn answer(rows: u64, tick: Tick) -> Response {
    let text = format!("{{\"rows\":{rows},\"tick\":{tick}}}\n");
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// What is wrong with the relation of a path.
pub(super) fn of_relation(error: SqlError) -> Failure {
    match error.sqlstate.as_str() {
        "42P01" | "3F000" | "42602" => Failure::with(StatusCode::NOT_FOUND, error),
        _ => error.into(),
    }
}

fn form(headers: &HeaderMap) -> Result<Form, Failure> {
    let given = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let mut parts = given.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=").map(|set| set.replace('"', "")));
    let is_utf8 = charset.as_deref().is_none_or(|set| matches!(set, "utf-8" | "utf8" | "us-ascii"));
    Form::of_media_type(&media_type).filter(|_| is_utf8).ok_or_else(|| {
        let forms = [Form::Json, Form::Ndjson, Form::Csv, Form::Arrow].map(Form::media_type).join(", ");
        let message = format!("rows of the content type \"{given}\" cannot be read");
        let error = SqlError::new("0A000", message).hint(format!("Send one of {forms}; texts in UTF-8."));
        Failure::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
    })
}

fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let keys: Vec<&[u8]> = headers.get_all(IDEMPOTENCY_KEY).iter().map(|value| value.as_bytes()).collect();
    match keys.as_slice() {
        [] => Ok(None),
        [key] if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key)),
        _ => {
            let message = format!("an idempotency key is one header of 1 to {KEY_BYTES_MAX} bytes");
            Err(SqlError::new("22023", message).into())
        }
    }
}

/// The request as it is remembered. The content is what the client means: not how it was compressed.
fn once(key: &[u8], table: &str, form: Form, body: &[u8]) -> Once {
    let mut content = blake3::Hasher::new();
    for part in [table.as_bytes(), form.media_type().as_bytes()] {
        content.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let content = *content.update(body).finalize().as_bytes();
    Once { key: *blake3::hash(key).as_bytes(), content, rows: 0 }
}
