//! Millrace's server: sessions, the coordinator of commits, recovery, and the listeners.
//!
//! Modules in reading order:

pub mod apply; // millrace run
pub mod cli; // commands and their flags
mod client; // what commands are to a server
pub mod config; // the server's flags and environment variables
pub mod demo; // millrace demo
pub mod coordinator; // orders commits; what readers see
pub mod copy; // COPY's lines
pub mod http; // rows, statements, health and metrics over HTTP
mod ingest; // bodies of requests into rows
pub mod pgwire; // PostgreSQL's protocol
pub mod portion; // rows between a session and its listener
mod record; // groups of commits as records of the log
pub mod engines; // the workers of now, and those after them
pub mod recovery; // the log, replayed
pub mod generations; // workers that come and go
pub mod member; // a process with workers only
pub mod panics; // what is told of them
pub mod run; // the order of start and stop
pub mod sequences; // values of sequences at hand
mod shares; // what workers have answered just now
pub mod server; // what all sessions share
pub mod session; // a client's statements
pub mod start; // why a server does not start
pub mod subscription; // SUBSCRIBE

pub use cli::{Cli, Command};
pub use config::{Config, RawConfig};
pub use panics::watch_panics;
pub use run::run;
pub use start::StartError;
