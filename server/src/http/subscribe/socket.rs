//! Events as messages of a WebSocket (RFC 6455), a message of text each.
//!
//! ```text
//! {"event":"changes","tick":T,"changes":[{"diff":1,"row":{…}},…]}      ?after=T goes on behind it
//! {"event":"progress","tick":T}
//! {"event":"failed","error":{…}}                                       then the socket is closed
//! ```
//! A message of more than `FRAGMENT_BYTES` is sent in fragments, so that nobody's event is in memory as a whole.
//! **Invariant:** a client gets a message whole or not at all, so whoever goes on behind a tick misses nothing and gets
//! nothing twice.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::UPGRADE;
use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::events::{Events, Part};
use crate::http::failure::Failure;
use crate::http::listen::Place;

/// What is sent of a message at once.
const FRAGMENT_BYTES: usize = 64 << 10;

/// The room for what a client says: pongs, and why it closes.
const HEARD_BYTES: usize = 4 << 10;

/// A client that takes nothing for so long is gone, or as good as gone.
const STALLED: Duration = Duration::from_secs(120);

/// How many pings in a row a client may leave without an answer.
const PINGS_MAX: u32 = 4;

/// How long a client may take to answer that the socket is closed.
const CLOSING: Duration = Duration::from_secs(3);

/// The longest reason of a close that a frame can hold.
const REASON_BYTES_MAX: usize = 123;

/// A client that asks for a WebSocket, and may have one.
pub(super) struct Handshake {
    answer: Response,
    upgrade: OnUpgrade,
    place: Option<Arc<Place>>,
}

impl Handshake {
    /// `None`: the request does not ask for it.
    ///
    /// # Errors
    /// 400, and 426 for another version than 13
    pub(super) fn of(request: &mut Request) -> Result<Option<Handshake>, Failure> {
        let asks = |value: &[u8]| value.eq_ignore_ascii_case(b"websocket");
        if !request.headers().get_all(UPGRADE).iter().any(|value| asks(value.as_bytes())) {
            return Ok(None);
        }
        let answer = create_response_with_body(request, Body::empty).map_err(|error| refused(&error))?;
        let place = request.extensions().get::<Arc<Place>>().cloned();
        Ok(Some(Handshake { answer, upgrade: hyper::upgrade::on(request), place }))
    }

    /// The answer behind which the connection is the socket's, which tells these events.
    pub(super) fn serve(self, events: Events) -> Response {
        let Handshake { answer, upgrade, place } = self;
        tokio::spawn(async move {
            let _place = place;
            match upgrade.await {
                Ok(upgraded) => Socket::new(upgraded).await.run(events).await,
                Err(error) => tracing::debug!(%error, "a client was gone before its WebSocket began"),
            }
        });
        answer
    }
}

fn refused(error: &Error) -> Failure {
    let status = match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => StatusCode::UPGRADE_REQUIRED,
        _ => StatusCode::BAD_REQUEST,
    };
    Failure::of_request(status, format!("this is no request for a WebSocket of version 13: {error}"))
}

/// Why a socket ends.
enum End {
    /// We close it.
    Closed(CloseCode, String),
    /// The client has closed it, or is not there any more.
    Gone,
}

/// One client's socket.
struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    /// What was not sent yet of the message.
    message: Vec<u8>,
    /// Fragments of the message were sent.
    is_fragmented: bool,
    /// Pings since the client was heard.
    pings: u32,
}

impl Socket {
    async fn new(upgraded: Upgraded) -> Socket {
        let bounds = WebSocketConfig::default()
            .read_buffer_size(HEARD_BYTES)
            .max_message_size(Some(HEARD_BYTES))
            .max_frame_size(Some(HEARD_BYTES));
        let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(bounds));
        Socket { stream: stream.await, message: Vec::new(), is_fragmented: false, pings: 0 }
    }

    async fn run(mut self, mut events: Events) {
        let end = loop {
            let done = tokio::select! {
                part = events.next() => self.tell(part).await,
                heard = self.stream.next() => self.hear(heard),
            };
            if let Err(end) = done {
                break end;
            }
        };
        // Nothing is kept for a client while it says goodbye.
        drop(events);
        // Who does not answer is left without an answer.
        let _ = timeout(CLOSING, self.close(end)).await;
    }

    async fn tell(&mut self, part: Part) -> Result<(), End> {
        match part {
            Part::Begins(tick) => {
                self.write(format!("{{\"event\":\"changes\",\"tick\":{tick},\"changes\":[").as_bytes()).await
            }
            Part::Changes(changes) => self.write(&changes).await,
            Part::Ends(_) => self.finish("]}").await,
            Part::Progress(tick) => self.finish(&format!("{{\"event\":\"progress\",\"tick\":{tick}}}")).await,
            Part::Quiet => self.ping().await,
            Part::Failed(failure) => {
                self.finish(&format!("{{\"event\":\"failed\",\"error\":{}}}", failure.to_json())).await?;
                Err(failed(&failure))
            }
            Part::Broken(failure) => Err(failed(&failure)),
            Part::Stopped => Err(End::Closed(CloseCode::Away, "the server stops".to_owned())),
        }
    }

    /// Adds to the message.
    async fn write(&mut self, text: &[u8]) -> Result<(), End> {
        for piece in text.chunks(FRAGMENT_BYTES) {
            if self.message.len() + piece.len() > FRAGMENT_BYTES {
                self.send_fragment(false).await?;
            }
            self.message.extend_from_slice(piece);
        }
        Ok(())
    }

    /// The message's last words.
    async fn finish(&mut self, text: &str) -> Result<(), End> {
        self.write(text.as_bytes()).await?;
        self.send_fragment(true).await
    }

    async fn send_fragment(&mut self, is_last: bool) -> Result<(), End> {
        let data = match self.is_fragmented {
            true => Data::Continue,
            false => Data::Text,
        };
        self.is_fragmented = !is_last;
        let bytes = Bytes::from(std::mem::take(&mut self.message));
        self.send(Message::Frame(Frame::message(bytes, OpCode::Data(data), is_last))).await
    }

    async fn ping(&mut self) -> Result<(), End> {
        self.pings += 1;
        match self.pings > PINGS_MAX {
            true => Err(End::Gone),
            false => self.send(Message::Ping(Bytes::new())).await,
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(STALLED, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Pings are answered by the stream.
    fn hear(&mut self, heard: Option<Result<Message, Error>>) -> Result<(), End> {
        self.pings = 0;
        match heard {
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Text(_) | Message::Binary(_)) | Err(Error::Capacity(_))) => {
                Err(End::Closed(CloseCode::Policy, "a subscription takes no messages".to_owned()))
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    /// Says goodbye, or answers the client's, and hears what it says until then: a socket that is left with something
    /// unheard takes with it what was sent last.
    async fn close(&mut self, end: End) {
        let closed = match end {
            End::Closed(code, reason) => {
                let frame = CloseFrame { code, reason: reason.into() };
                self.stream.close(Some(frame)).await
            }
            End::Gone => SinkExt::close(&mut self.stream).await,
        };
        if closed.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }
}

/// The close of a subscription that cannot go on: 1013, try again later, for a client that was too slow, 1001 where the
/// server goes, else 1011.
fn failed(failure: &Failure) -> End {
    let (sqlstate, message) = failure.told();
    let code = match sqlstate {
        "53400" => CloseCode::Again,
        _ if sqlstate.starts_with("57") => CloseCode::Away,
        _ => CloseCode::Error,
    };
    let mut reason = format!("{sqlstate}: {message}");
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    End::Closed(code, reason)
}

#[cfg(test)]
mod tests {
    use millrace_sql::SqlError;

    use super::*;

    fn close_of(sqlstate: &str, message: &str) -> (u16, String) {
        match failed(&Failure::from(SqlError::new(sqlstate, message))) {
            End::Closed(code, reason) => (code.into(), reason),
            End::Gone => panic!("no close"),
        }
    }

    #[test]
    fn a_close_fits_its_sqlstate() {
        let closes = [("53400", 1013), ("57P01", 1001), ("42P01", 1011), ("22012", 1011)];
        for (sqlstate, code) in closes {
            assert_eq!(close_of(sqlstate, "why"), (code, format!("{sqlstate}: why")));
        }
    }

    #[test]
    fn a_reason_fits_its_frame() {
        let (_, reason) = close_of("22012", &"é".repeat(100));
        assert_eq!((reason.len(), reason.chars().last()), (REASON_BYTES_MAX, Some('é')));
    }
}
