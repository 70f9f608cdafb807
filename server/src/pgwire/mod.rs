//! PostgreSQL's protocol: sockets on one side, sessions on the other. Nothing here knows SQL.
//!
//! Our own loop over pgwire's messages: rows are flushed whenever they pause (a live SUBSCRIBE row
//! reaches its client at once), a running statement can be cancelled and is dropped when its client
//! hangs up, and a text of several statements is answered one by one.
//!
//! Modules in reading order:

mod cancel; // who may cancel what
mod connection; // the loop over messages, and the simple protocol
mod copying; // COPY's two directions
mod extended; // prepared statements and portals
mod fault; // what ends a statement or a connection
mod listen; // accepting connections and their limits
mod message; // what clients send
mod numeric; // numerics in binary
mod rows; // RowDescription and DataRow
mod startup; // the start of a connection
mod types; // oids, and parameters as values
pub(crate) mod values; // columns of a batch as text and binary
mod wire; // the socket, its buffers and interrupts

pub use listen::{Limits, serve};
pub use rows::Format;
pub(crate) use types::{read_binary_value, utf8, wire_type};
