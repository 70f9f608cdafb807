//! Millrace's server: sessions, the coordinator of commits, recovery, and the listeners.
//!
//! Modules in reading order:

pub mod coordinator; // orders commits; what readers see
