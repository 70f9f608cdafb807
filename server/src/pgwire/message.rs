//! What clients send: frames cut from the input, and their bodies decoded.
//!
//! Our own decoder, because the input is a stranger's: pgwire's decoders read on over the end of a
//! short body (and panic there), and replace invalid UTF-8 silently. Pure functions over bytes.
//! Invariant: nothing is allocated for a length that has not arrived.

use bytes::{Buf, Bytes, BytesMut};
use millrace_sql::SqlError;

use super::types::utf8;

/// The largest message before start-up is done.
pub(crate) const STARTUP_BYTES_MAX: usize = 10 << 10;

/// The largest message of a session.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 20;

const PROTOCOL_CANCEL: u32 = 80_877_102;
const PROTOCOL_SSL: u32 = 80_877_103;
const PROTOCOL_GSS: u32 = 80_877_104;

/// A message at the start of a connection, which has no type byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// SSLRequest or GSSENCRequest: both are refused with one byte.
    Encryption,
    /// CancelRequest.
    Cancel { process: i32, secret: i32 },
    /// StartupMessage of protocol 3.`minor`.
    Startup { minor: u16, parameters: Vec<(String, String)> },
}

/// A message of a running session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        rows_max: usize,
    },
    Close(Target),
    Flush,
    Sync,
    CopyData(Bytes),
    CopyDone,
    CopyFail(String),
    Terminate,
    /// Its frame holds but its text is not UTF-8: the statement fails, the connection stays.
    Unreadable {
        simple: bool,
        error: SqlError,
    },
}

/// Bind: a prepared statement with its parameters becomes a portal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) parameter_formats: Vec<i16>,
    /// `None` is NULL.
    pub(crate) parameters: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// What Describe and Close name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// What is wrong with a message.
#[derive(Debug, PartialEq, Eq)]
enum Malformed {
    /// The framing: ends the connection, since what follows cannot be trusted.
    Protocol(SqlError),
    /// Text inside it (22021).
    Text(SqlError),
}

impl From<Malformed> for SqlError {
    fn from(malformed: Malformed) -> SqlError {
        match malformed {
            Malformed::Protocol(error) | Malformed::Text(error) => error,
        }
    }
}

/// Cuts the first message from the start of a connection; `None` while it is not complete.
///
/// # Errors
/// 08P01, 54000, 0A000, 22021: the connection cannot go on.
pub(crate) fn take_opening(input: &mut BytesMut) -> Result<Option<Opening>, SqlError> {
    let Some(mut body) = take_frame(input, 0, STARTUP_BYTES_MAX)? else { return Ok(None) };
    let mut reader = Reader { body: &mut body };
    let code = reader.u32()?;
    Ok(Some(match code {
        PROTOCOL_SSL | PROTOCOL_GSS => Opening::Encryption,
        PROTOCOL_CANCEL => Opening::Cancel { process: reader.i32()?, secret: reader.i32()? },
        _ if code >> 16 == 3 => {
            Opening::Startup { minor: (code & 0xffff) as u16, parameters: startup_parameters(&mut reader)? }
        }
        _ => {
            let message = format!("unsupported frontend protocol {}.{}", code >> 16, code & 0xffff);
            return Err(SqlError::new("0A000", message));
        }
    }))
}

/// Pairs of name and value up to an empty name.
fn startup_parameters(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, Malformed> {
    let mut parameters = Vec::new();
    loop {
        let name = reader.text()?;
        if name.is_empty() {
            return Ok(parameters);
        }
        parameters.push((name, reader.text()?));
    }
}

/// Cuts the next message of a session; `None` while it is not complete.
///
/// # Errors
/// 08P01, 54000: the connection cannot go on.
pub(crate) fn take_message(input: &mut BytesMut) -> Result<Option<Message>, SqlError> {
    let Some(kind) = input.first().copied() else { return Ok(None) };
    let Some(mut body) = take_frame(input, 1, MESSAGE_BYTES_MAX)? else { return Ok(None) };
    match decode(kind, &mut Reader { body: &mut body }) {
        Ok(message) => Ok(Some(message)),
        Err(Malformed::Text(error)) => Ok(Some(Message::Unreadable { simple: kind == b'Q', error })),
        Err(Malformed::Protocol(error)) => Err(error),
    }
}

/// Whether the next message is a Sync that has arrived whole.
pub(crate) fn next_is_sync(input: &BytesMut) -> bool {
    input.starts_with(&[b'S', 0, 0, 0, 4])
}

/// Cuts a frame: `skip` bytes, a length that counts itself, and the body, which is returned.
fn take_frame(input: &mut BytesMut, skip: usize, bytes_max: usize) -> Result<Option<Bytes>, Malformed> {
    let Some(header) = input.get(skip..skip + 4) else { return Ok(None) };
    let length = i64::from(i32::from_be_bytes([header[0], header[1], header[2], header[3]]));
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length >= 4)
        .ok_or_else(|| protocol("invalid message length"))?;
    if length > bytes_max {
        let message = format!("message of {length} bytes exceeds the limit of {bytes_max}");
        return Err(Malformed::Protocol(SqlError::new("54000", message)));
    }
    if input.len() < skip + length {
        return Ok(None);
    }
    let mut frame = input.split_to(skip + length).freeze();
    frame.advance(skip + 4);
    Ok(Some(frame))
}

fn protocol(message: impl Into<String>) -> Malformed {
    Malformed::Protocol(SqlError::new("08P01", message))
}

fn decode(kind: u8, reader: &mut Reader<'_>) -> Result<Message, Malformed> {
    let message = match kind {
        b'Q' => Message::Query(reader.text()?),
        b'P' => {
            Message::Parse { name: reader.text()?, sql: reader.text()?, types: reader.list(Reader::u32)? }
        }
        b'B' => Message::Bind(Bind {
            portal: reader.text()?,
            statement: reader.text()?,
            parameter_formats: reader.list(Reader::i16)?,
            parameters: reader.list(Reader::value)?,
            result_formats: reader.list(Reader::i16)?,
        }),
        b'D' => Message::Describe(reader.target()?),
        b'C' => Message::Close(reader.target()?),
        // Zero and negative numbers ask for all rows.
        b'E' => Message::Execute {
            portal: reader.text()?,
            rows_max: usize::try_from(reader.i32()?).ok().filter(|rows| *rows > 0).unwrap_or(usize::MAX),
        },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'd' => Message::CopyData(reader.rest()),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(reader.text()?),
        b'X' => Message::Terminate,
        _ => return Err(protocol(format!("invalid frontend message type {kind}"))),
    };
    if reader.body.is_empty() { Ok(message) } else { Err(protocol("invalid message format")) }
}

/// A message's body, read from the front; a short body is 08P01.
struct Reader<'a> {
    body: &'a mut Bytes,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<Bytes, Malformed> {
        if self.body.len() < count {
            return Err(protocol("insufficient data left in message"));
        }
        Ok(self.body.split_to(count))
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?.get_u8())
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(self.take(2)?.get_i16())
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.take(4)?.get_u32())
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.take(4)?.get_i32())
    }

    /// Text up to a zero byte.
    fn text(&mut self) -> Result<String, Malformed> {
        let end = self
            .body
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| protocol("invalid string in message"))?;
        let bytes = self.body.split_to(end);
        self.body.advance(1);
        utf8(&bytes).map(str::to_owned).map_err(Malformed::Text)
    }

    /// A count of 16 bits and as many elements. Nothing is reserved: the count is the client's word.
    fn list<T>(&mut self, element: fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.take(2)?.get_u16();
        (0..count).map(|_| element(self)).collect()
    }

    /// A length of 32 bits and as many bytes; -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| protocol("invalid parameter length"))?;
                self.take(length).map(Some)
            }
        }
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.u8()? {
            b'S' => Ok(Target::Statement(self.text()?)),
            b'P' => Ok(Target::Portal(self.text()?)),
            other => Err(protocol(format!("invalid target of Describe or Close: {other}"))),
        }
    }

    fn rest(&mut self) -> Bytes {
        self.body.split_to(self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;
    use proptest::prelude::*;

    fn frame(kind: u8, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u8(kind);
        out.put_i32(body.len() as i32 + 4);
        out.put_slice(body);
        out
    }

    fn code(result: Result<Option<Message>, SqlError>) -> String {
        match result {
            Ok(Some(Message::Unreadable { error, .. })) => format!("text {}", error.sqlstate),
            Ok(other) => panic!("not an error: {other:?}"),
            Err(error) => format!("protocol {}", error.sqlstate),
        }
    }

    #[test]
    fn messages_are_cut_only_when_whole() {
        let whole = frame(b'Q', b"select 1\0");
        for end in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..end]);
            assert_eq!(take_message(&mut part), Ok(None), "{end} bytes");
        }
        let mut two = whole.clone();
        two.extend_from_slice(&frame(b'S', b""));
        assert_eq!(take_message(&mut two), Ok(Some(Message::Query("select 1".to_owned()))));
        assert!(next_is_sync(&two));
        assert_eq!(take_message(&mut two), Ok(Some(Message::Sync)));
        assert!(two.is_empty());
    }

    #[test]
    fn bind_is_read_field_by_field() {
        let body =
            [b"p\0s\0".as_slice(), &[0, 1, 0, 1], &[0, 2, 0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff], &[0, 0]]
                .concat();
        let bind = Bind {
            portal: "p".to_owned(),
            statement: "s".to_owned(),
            parameter_formats: vec![1],
            parameters: vec![Some(Bytes::from_static(&[7])), None],
            result_formats: vec![],
        };
        assert_eq!(take_message(&mut frame(b'B', &body)), Ok(Some(Message::Bind(bind))));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_before_their_bytes_arrive() {
        let header = |length: i32| {
            let mut out = BytesMut::from(&b"Q"[..]);
            out.put_i32(length);
            out
        };
        assert_eq!(code(take_message(&mut header(3))), "protocol 08P01");
        assert_eq!(code(take_message(&mut header(-1))), "protocol 08P01");
        assert_eq!(code(take_message(&mut header(i32::MAX))), "protocol 54000");
        let mut startup = BytesMut::new();
        startup.put_i32(STARTUP_BYTES_MAX as i32 + 1);
        assert!(matches!(take_opening(&mut startup), Err(error) if error.sqlstate == "54000"));
    }

    #[test]
    fn bodies_that_lie_are_refused() {
        assert_eq!(code(take_message(&mut frame(b'Q', b"no end"))), "protocol 08P01");
        assert_eq!(code(take_message(&mut frame(b'Q', b"a\0b\0"))), "protocol 08P01");
        assert_eq!(code(take_message(&mut frame(b'Q', b"\xff\0"))), "text 22021");
        assert_eq!(code(take_message(&mut frame(b'P', b"\0\0\xff\xff"))), "protocol 08P01");
        assert_eq!(code(take_message(&mut frame(b'D', b"Z\0"))), "protocol 08P01");
        assert_eq!(code(take_message(&mut frame(b'!', b""))), "protocol 08P01");
    }

    #[test]
    fn openings_are_told_apart() {
        let opening = |code: u32, rest: &[u8]| {
            let mut out = BytesMut::new();
            out.put_i32(rest.len() as i32 + 8);
            out.put_u32(code);
            out.put_slice(rest);
            take_opening(&mut out)
        };
        assert_eq!(opening(PROTOCOL_SSL, &[]), Ok(Some(Opening::Encryption)));
        assert_eq!(
            opening(PROTOCOL_CANCEL, &[0, 0, 0, 7, 0, 0, 0, 9]),
            Ok(Some(Opening::Cancel { process: 7, secret: 9 }))
        );
        let parameters = vec![("user".to_owned(), "ann".to_owned()), ("x".to_owned(), String::new())];
        assert_eq!(
            opening(0x0003_0002, b"user\0ann\0x\0\0\0"),
            Ok(Some(Opening::Startup { minor: 2, parameters }))
        );
        assert!(matches!(opening(0x0002_0000, b"\0"), Err(error) if error.sqlstate == "0A000"));
    }

    proptest! {
        /// Whatever a stranger sends, decoding ends in a message or an error, never in a panic.
        #[test]
        fn no_body_panics(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = take_message(&mut frame(kind, &body));
            let mut raw = BytesMut::from(&body[..]);
            let _ = take_opening(&mut raw);
        }
    }
}
