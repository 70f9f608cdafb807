//! `GET /v1/subscribe/{view}`: changes as server-sent events, one a tick.
//!
//! ```text
//! data: {"tick":T,"changes":[{"diff":1,"row":{…}},…]}      first the rows at the start, then what each tick changes
//! id: T                                                    Last-Event-ID: T goes on behind it
//! ```
//! It is SUBSCRIBE with progress, whose changes are encoded once for all who follow (`Portion`). A client that reads too
//! slowly, and a view in error, are told by an event `failed`, the last one.
//! **Invariant:** an event has all of its tick, and its id stands at its end, so whoever goes on behind an id misses
//! nothing and gets nothing twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use millrace_engine::Tick;
use millrace_sql::{Column, SqlError, Zone};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Http;
use super::failure::Failure;
use super::tables::of_relation;
use super::values::JsonRows;
use crate::portion::{Form, Portion, Portions};

/// A comment is sent where nothing else was for so long, so that both ends know that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The places of `tick`, `progressed` and `diff`; then come the view's columns.
const LEADING: [usize; 3] = [0, 1, 2];

/// GET /v1/subscribe/{view}
pub(super) async fn subscribe(
    State(http): State<Arc<Http>>,
    view: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Path(view) = view.map_err(|error| {
        Failure::of_request(StatusCode::BAD_REQUEST, format!("the path cannot be read: {error}"))
    })?;
    let Options { snapshot, progress } = options(query.as_deref().unwrap_or_default())?;
    let behind = last_event(&headers)?;
    let mut session = super::session(&http.server);
    let followed = session.follow(&view, behind, snapshot && behind.is_none(), progress);
    let (columns, portions) = followed.map_err(|error| match error.sqlstate.as_str() {
        "22023" => Failure::with(StatusCode::GONE, error)
            .hint("Without Last-Event-ID the events start with the rows of now."),
        _ => of_relation(error),
    })?;
    let events = Events {
        portions,
        columns: columns.get(LEADING.len()..).unwrap_or_default().to_vec(),
        zone: session.zone(),
        wants_progress: progress,
        opens: behind.is_none(),
        inside: false,
        ready: VecDeque::new(),
        is_over: false,
        shutdown: http.shutdown.clone(),
    };
    let body = Body::from_stream(stream::unfold(events, |mut events| async move {
        let bytes = events.next().await?;
        Some((Ok::<Bytes, Infallible>(bytes), events))
    }));
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// What the client may choose.
struct Options {
    snapshot: bool,
    progress: bool,
}

fn options(query: &str) -> Result<Options, Failure> {
    let mut options = Options { snapshot: true, progress: false };
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let wrong = || {
            let error = SqlError::new("22023", format!("unrecognized option \"{part}\""));
            Failure::from(error.hint("The options are snapshot=true or false, and progress=true or false."))
        };
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let value: bool = value.parse().map_err(|_| wrong())?;
        match name {
            "snapshot" => options.snapshot = value,
            "progress" => options.progress = value,
            _ => return Err(wrong()),
        }
    }
    Ok(options)
}

/// The tick of the last event that the client has.
fn last_event(headers: &HeaderMap) -> Result<Option<Tick>, Failure> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let tick = id.to_str().ok().and_then(|id| id.parse().ok());
    let wrong =
        || SqlError::new("22023", "Last-Event-ID is no id of an event").hint("An event's id is its tick.");
    Ok(Some(tick.ok_or_else(wrong)?))
}

/// The events of one client.
struct Events {
    portions: Portions,
    /// The view's.
    columns: Vec<Column>,
    zone: Zone,
    wants_progress: bool,
    /// The first event is sent though it may have no rows: its id is where the client has begun.
    opens: bool,
    /// An event has begun and has not ended.
    inside: bool,
    ready: VecDeque<Bytes>,
    is_over: bool,
    shutdown: CancellationToken,
}

impl Events {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                portion = self.portions.next() => {
                    let taken = portion.map(|portion| portion.and_then(|portion| self.take(&portion)));
                    match taken {
                        Some(Ok(())) => {}
                        Some(Err(error)) => self.fail(error),
                        None => return None,
                    }
                }
                () = sleep_until(heartbeat), if !self.inside => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    fn take(&mut self, portion: &Portion) -> Result<(), SqlError> {
        let [tick, progressed, _] = LEADING;
        let rows = &portion.rows;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let tick = rows.column(tick).as_primitive::<Int64Type>().value(0);
        if rows.column(progressed).as_boolean().value(0) {
            self.end(tick);
            return Ok(());
        }
        let changes = match &portion.written {
            Some(written) => {
                let form = Form::Json(self.zone.clone());
                written.get(&form, || changes(rows, &self.columns, &self.zone))?
            }
            None => changes(rows, &self.columns, &self.zone)?,
        };
        match self.inside {
            true => self.ready.push_back(Bytes::from_static(b",")),
            false => self.begin(tick),
        }
        self.ready.push_back(changes);
        Ok(())
    }

    fn begin(&mut self, tick: i64) {
        self.ready.push_back(format!("data: {{\"tick\":{tick},\"changes\":[").into());
        self.inside = true;
    }

    /// All of a tick is there.
    fn end(&mut self, tick: i64) {
        if std::mem::take(&mut self.opens) && !self.inside {
            self.begin(tick);
        }
        if std::mem::take(&mut self.inside) {
            self.ready.push_back(format!("]}}\nid: {tick}\n\n").into());
        } else if self.wants_progress {
            let text = format!("event: progress\ndata: {{\"tick\":{tick}}}\nid: {tick}\n\n");
            self.ready.push_back(text.into());
        }
    }

    /// The last event: why there are no more. What of another one was sent is none, as it has no end.
    fn fail(&mut self, error: SqlError) {
        self.is_over = true;
        if std::mem::take(&mut self.inside) {
            // The client must not take a part for the whole: nothing that follows could prevent that.
            return;
        }
        let error = serde_json::json!({ "error": Failure::from(error).to_json() });
        self.ready.push_back(format!("event: failed\ndata: {error}\n\n").into());
    }
}

/// Rows of a subscription as JSON, divided by commas.
fn changes(rows: &RecordBatch, columns: &[Column], zone: &Zone) -> Result<Bytes, SqlError> {
    let places: Vec<usize> = (LEADING.len()..rows.num_columns()).collect();
    let shown = rows.project(&places).map_err(SqlError::internal)?;
    let json = JsonRows::new(&shown, columns, zone)?;
    let diffs = rows.column(LEADING[2]).as_primitive::<Int64Type>();
    let mut out = BytesMut::new();
    for row in 0..rows.num_rows() {
        if row > 0 {
            out.put_u8(b',');
        }
        out.put_slice(format!("{{\"diff\":{},\"row\":", diffs.value(row)).as_bytes());
        json.write_object(row, &mut out);
        out.put_u8(b'}');
    }
    Ok(out.freeze())
}
