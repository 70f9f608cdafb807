//! COPY's formats, PostgreSQL's text and binary formats and CSV: bytes to Arrow batches and back. Pure: no
//! sockets, no session.
//!
//! Modules in reading order:

mod binary; // the binary format, both ways
mod decode; // values into batches
mod encode; // batches into lines
mod fields; // a line cut into values
mod lines; // bytes cut into lines, wherever their chunks end

pub use binary::{BinaryDecoder, BinaryEncoder};
pub use decode::Decoder;
pub use encode::Encoder;
