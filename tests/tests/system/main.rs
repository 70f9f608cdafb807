//! The whole system from outside: the real binary, real clients, real kills.

#![allow(clippy::unwrap_used)]

mod smoke; // the harness itself: psql, drivers, kill, restart, PostgreSQL
mod structure; // the shape of the code: crates, files, dependencies
