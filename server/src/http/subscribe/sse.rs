//! Events as server-sent events.
//!
//! ```text
//! data: {"tick":T,"changes":[{"diff":1,"row":{…}},…]}
//! id: T                                                    Last-Event-ID: T goes on behind it
//! ```
//! A client that reads too slowly, and a view in error, are told by an event `failed`, the last one.
//! **Invariant:** an event's id stands at its end, so whoever goes on behind an id misses nothing and gets nothing twice.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;

use super::events::{Events, Part};

/// An answer that ends when the events do.
pub(super) fn answer(events: Events) -> Response {
    let body = Body::from_stream(stream::unfold(events, |mut events| async move {
        let bytes = written(events.next().await)?;
        Some((Ok::<Bytes, Infallible>(bytes), events))
    }));
    ([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response()
}

/// `None`: the end.
fn written(part: Part) -> Option<Bytes> {
    Some(match part {
        Part::Begins(tick) => format!("data: {{\"tick\":{tick},\"changes\":[").into(),
        Part::Changes(changes) => changes,
        Part::Ends(tick) => format!("]}}\nid: {tick}\n\n").into(),
        Part::Progress(tick) => format!("event: progress\ndata: {{\"tick\":{tick}}}\nid: {tick}\n\n").into(),
        Part::Quiet => Bytes::from_static(b":\n\n"),
        Part::Failed(failure) => {
            format!("event: failed\ndata: {{\"error\":{}}}\n\n", failure.to_json()).into()
        }
        // The client must not take a part for the whole: nothing that follows could prevent that.
        Part::Broken(_) | Part::Stopped => return None,
    })
}
