//! The log: the durable sequence of commits, and the data folder in which it lives.
//!
//! A commit is acknowledged only after its record is in the log (write all, one fdatasync), and a
//! restart replays the log. Everything here goes through the traits `Disk`, `Clock` and `Random`,
//! so that tests crash, tear and refuse by seed.
//!
//! ```text
//! data folder                     log/…1.seg                      log/…4.seg (the newest)
//! ├─ millrace.lock    flock       ┌────────┬───┬───┬─────┬╌╌╌╌┐    ┌────────┬───┬───┬╌╌╌╌╌╌╌╌┐
//! ├─ millrace.folder  "ours"      │ header │ R │ R │  R  │tail│ ◄──│ header │ R │ R │ zeroes │
//! └─ log/                         └────────┴───┴───┴─────┴╌╌╌╌┘    └────────┴───┴───┴╌╌╌╌╌╌╌╌┘
//!    ├─ head          names the newest segment           ▲ its header names the segment before
//!    └─ …n.seg                                             and the offset at which that one ends
//! ```
//!
//! The head file and the headers form a chain: whatever lies behind the stated end of a segment
//! (a group that failed there and was written again in the next), or in a segment that the chain
//! does not visit (an attempt that failed), does not exist.
//!
//! Invariants: a record is acknowledged only in the segment that the durable head names; ticks
//! ascend strictly; a file whose fsync failed is never written for a commit again.

mod clock; // time and randomness come from outside
mod disk; // the only way to files
mod error; // why a group was not written
mod folder; // whose folder it is, and that only one server has it
mod frame; // a record's head, groups of records as bytes
mod head; // the file that names the newest segment
mod record; // what a commit leaves behind, and its bytes
mod recovery; // what a start finds, and what it makes of it
mod replay; // every record, in the order of ticks
mod segment; // segment files: header, writing
mod segment_reader; // segment files: reading, torn or rotten
#[cfg(test)]
mod simulated; // a disk that crashes and fails by seed
#[cfg(test)]
mod tests;
mod writer; // the log itself

pub use clock::{Clock, OsRandom, Random, TickSource};
pub use disk::{Disk, DiskFile, RealDisk};
pub use error::LogError;
pub use folder::DataFolder;
pub use record::{Record, TableChanges};
pub use replay::Replay;
pub use writer::{Log, LogConfig};
