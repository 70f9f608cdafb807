//! Bodies of requests, read whole and decompressed, within bounds.
//!
//! A body has at most `--http-body-bytes`, decompressed too, else 413. All bodies together have at most
//! `BODIES_AT_ONCE` times as many: whoever finds no place waits `PATIENCE`, then 429. A client that sends nothing for
//! `IDLE` is given up, so that nobody holds a place for nothing.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use millrace_sql::SqlError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::failure::Failure;
use super::{Http, PATIENCE};

/// The places for bodies are given out in pieces of this many bytes.
const PIECE: usize = 64 << 10;

/// How many of the longest bodies there may be at once.
const BODIES_AT_ONCE: usize = 4;

/// How long a client may pause within a body.
const IDLE: Duration = Duration::from_secs(30);

/// The memory for the bodies of all requests.
pub(super) struct Budget {
    pieces: Arc<Semaphore>,
    pieces_max: usize,
}

impl Budget {
    /// For bodies of at most so many bytes each.
    pub(super) fn new(body_bytes_max: usize) -> Budget {
        let pieces_max = BODIES_AT_ONCE * body_bytes_max.div_ceil(PIECE);
        Budget { pieces: Arc::new(Semaphore::new(pieces_max)), pieces_max }
    }

    /// How much of it is taken.
    pub(super) fn taken_bytes(&self) -> usize {
        (self.pieces_max - self.pieces.available_permits()) * PIECE
    }
}

/// A body in memory, and its place there.
pub(super) struct WholeBody {
    pub(super) bytes: Bytes,
    _place: Place,
}

/// A part of the budget, which is given back when this is dropped.
#[derive(Default)]
struct Place(Option<OwnedSemaphorePermit>);

impl Place {
    /// Takes room for so many bytes in all.
    async fn grow(&mut self, bytes: usize, budget: &Budget) -> Result<(), Failure> {
        let taken = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = u32::try_from(bytes.div_ceil(PIECE).saturating_sub(taken)).unwrap_or(u32::MAX);
        if wanted == 0 {
            return Ok(());
        }
        let full = || Failure::from(SqlError::new("53000", "too many bodies are being read"));
        let more = timeout(PATIENCE, budget.pieces.clone().acquire_many_owned(wanted)).await;
        let more = more.map_err(|_| full())?.map_err(|_| full())?;
        match &mut self.0 {
            Some(place) => place.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// Reads a body.
///
/// # Errors
/// 400, 408, 413, 415, 429
pub(super) async fn read(http: &Http, headers: &HeaderMap, body: Body) -> Result<WholeBody, Failure> {
    let is_gzip = is_gzip(headers)?;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > http.settings.body_bytes_max) {
        return Err(too_long(http));
    }
    let (mut place, mut bytes) = (Place::default(), Vec::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = timeout(IDLE, chunks.next()).await.map_err(|_| paused())? {
        let chunk = chunk.map_err(|error| {
            Failure::of_request(StatusCode::BAD_REQUEST, format!("the body did not come whole: {error}"))
        })?;
        http.counts.received_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        if bytes.len() + chunk.len() > http.settings.body_bytes_max {
            return Err(too_long(http));
        }
        place.grow(bytes.len() + chunk.len(), &http.budget).await?;
        bytes.extend_from_slice(&chunk);
    }
    if is_gzip {
        return decompress(http, &bytes).await;
    }
    Ok(WholeBody { bytes: bytes.into(), _place: place })
}

async fn decompress(http: &Http, compressed: &[u8]) -> Result<WholeBody, Failure> {
    let (mut place, mut bytes) = (Place::default(), Vec::new());
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut piece = vec![0; PIECE];
    loop {
        let length = decoder.read(&mut piece).map_err(|error| {
            Failure::of_request(StatusCode::BAD_REQUEST, format!("the body is not whole gzip: {error}"))
        })?;
        if length == 0 {
            return Ok(WholeBody { bytes: bytes.into(), _place: place });
        }
        if bytes.len() + length > http.settings.body_bytes_max {
            return Err(too_long(http));
        }
        place.grow(bytes.len() + length, &http.budget).await?;
        bytes.extend_from_slice(&piece[..length]);
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Failure> {
    let codings = headers.get_all(CONTENT_ENCODING).iter().map(|coding| coding.to_str().unwrap_or("?"));
    let codings: Vec<String> = codings.map(|coding| coding.trim().to_ascii_lowercase()).collect();
    match codings.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["identity"] => Ok(false),
        ["gzip" | "x-gzip"] => Ok(true),
        _ => {
            let message = format!("the content encoding {} is not supported", codings.join(", "));
            Err(Failure::of_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
                .hint("Send the body as it is, or with Content-Encoding: gzip."))
        }
    }
}

fn too_long(http: &Http) -> Failure {
    let max = http.settings.body_bytes_max;
    let error = SqlError::new("54000", format!("the body is longer than {max} bytes"))
        .hint("Send several requests, or start with a larger --http-body-bytes.");
    Failure::with(StatusCode::PAYLOAD_TOO_LARGE, error)
}

fn paused() -> Failure {
    Failure::of_request(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
}
