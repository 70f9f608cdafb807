//! COPY's formats, PostgreSQL's text and binary formats and CSV: bytes to Arrow batches and back. Pure: no
//! sockets, no session.
//!
//! Modules in reading order:

mod binary; // the binary format, both ways
pub(crate) mod builder; // values into columns
pub(crate) mod decode; // lines into batches
mod encode; // batches into lines
pub(crate) mod fields; // a line cut into values
pub(crate) mod lines; // bytes cut into lines, wherever their chunks end

pub use binary::{BinaryDecoder, BinaryEncoder};
pub use decode::Decoder;
pub use encode::Encoder;
