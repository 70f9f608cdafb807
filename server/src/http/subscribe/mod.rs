//! `GET /v1/subscribe/{view}`: changes as they come, an event a tick.
//!
//! ```text
//! Session::follow ─► Events ─► Part ─┬─► sse      server-sent events, in the body of the answer
//!                                    └─► socket   a message of text each, where the client asks for a WebSocket
//! ```
//! It is SUBSCRIBE with progress, whose changes are encoded once for all who follow (`Portion`).
//! **Invariant:** what cannot be followed is refused before the first event, and before the upgrade.
//!
//! Modules in reading order:

mod events; // the parts of events
mod socket; // as messages of a WebSocket
mod sse; // as server-sent events

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use millrace_engine::Tick;
use millrace_sql::SqlError;

use super::Http;
use super::failure::Failure;
use super::tables::of_relation;
use events::Events;
use socket::Handshake;

/// GET /v1/subscribe/{view}
pub(super) async fn subscribe(
    State(http): State<Arc<Http>>,
    view: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Result<Response, Failure> {
    let Path(view) = view.map_err(|error| {
        Failure::of_request(StatusCode::BAD_REQUEST, format!("the path cannot be read: {error}"))
    })?;
    let mut options = Options::of(query.as_deref().unwrap_or_default())?;
    // A browser that connects again has the newer tick in its header, and the first one still in its address.
    options.behind = last_event(request.headers())?.or(options.behind);
    let handshake = Handshake::of(&mut request)?;
    let events = follow(&http, &view, &options)?;
    Ok(match handshake {
        Some(handshake) => handshake.serve(events),
        None => sse::answer(events),
    })
}

fn follow(http: &Http, view: &str, options: &Options) -> Result<Events, Failure> {
    let Options { snapshot, progress, behind } = *options;
    let mut session = super::session(&http.server);
    let followed = session.follow(view, behind, snapshot && behind.is_none(), progress);
    let (columns, portions) = followed.map_err(|error| match error.sqlstate.as_str() {
        "22023" => Failure::with(StatusCode::GONE, error)
            .hint("Without Last-Event-ID and without after= the events start with the rows of now."),
        _ => of_relation(error),
    })?;
    Ok(Events::new(portions, &columns, session.zone(), progress, behind.is_none(), http.shutdown.clone()))
}

/// What the client may choose.
struct Options {
    snapshot: bool,
    progress: bool,
    /// The tick of the last event that the client has.
    behind: Option<Tick>,
}

impl Options {
    fn of(query: &str) -> Result<Options, Failure> {
        let mut options = Options { snapshot: true, progress: false, behind: None };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            options.set(part).ok_or_else(|| {
                let error = SqlError::new("22023", format!("unrecognized option \"{part}\""));
                let hint = "The options are snapshot=true or false, progress=true or false, and after=TICK.";
                Failure::from(error.hint(hint))
            })?;
        }
        Ok(options)
    }

    fn set(&mut self, part: &str) -> Option<()> {
        let (name, value) = part.split_once('=')?;
        match name {
            "snapshot" => self.snapshot = value.parse().ok()?,
            "progress" => self.progress = value.parse().ok()?,
            "after" => self.behind = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

fn last_event(headers: &HeaderMap) -> Result<Option<Tick>, Failure> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let tick = id.to_str().ok().and_then(|id| id.parse().ok());
    let wrong =
        || SqlError::new("22023", "Last-Event-ID is no id of an event").hint("An event's id is its tick.");
    Ok(Some(tick.ok_or_else(wrong)?))
}
