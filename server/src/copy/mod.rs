//! COPY's lines, PostgreSQL's text format and CSV: bytes to Arrow batches and back. Pure: no
//! sockets, no session.
//!
//! Modules in reading order:

mod decode; // values into batches
mod encode;
mod fields; // a line cut into values
mod lines; // bytes cut into lines, wherever their chunks end // batches into lines

pub use decode::Decoder;
pub use encode::Encoder;
