//! COPY's lines, PostgreSQL's text format and CSV: bytes to Arrow batches and back. Pure: no
//! sockets, no session.
//!
//! Modules in reading order:

mod lines; // bytes cut into lines, wherever their chunks end
mod fields; // a line cut into values
mod decode; // values into batches
mod encode; // batches into lines

pub use decode::Decoder;
pub use encode::Encoder;
