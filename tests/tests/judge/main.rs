//! The judge: what Millrace answers is what PostgreSQL answers.
//!
//! ```text
//! tests/slt/*.slt ── expectations written by PostgreSQL ──► Millrace: view, ad hoc, SUBSCRIBE folded
//! seed ──► random scripts and queries ──┬─► a private PostgreSQL ─┐
//!                                       └─► Millrace ─────────────┴─ rows, names, types, SQLSTATE
//! ```
//! It proves what the oracle (tests/oracle) cannot: scalar and relational semantics, since PostgreSQL
//! shares no code with us. It does not prove maintenance at every tick; that is the oracle's.

#![allow(clippy::unwrap_used)]

mod answer; // what a database says
mod describe; // ParameterDescription, RowDescription, binary COPY
mod differences; // what may differ, and the comparison
mod slt; // files of sqllogictest
mod subscription; // a subscription over the wire, folded
mod conform; // runs the files, three ways each query
mod expectations; // writes the files' expectations from PostgreSQL
mod expressions; // random expressions
mod aggregates; // random aggregates
mod queries; // random queries
mod script; // random scripts
mod duel; // runs them on both sides
mod minimise; // makes what fails small
mod changes; // changes of rows on both sides
mod builtins; // pg_proc, pg_operator, pg_cast
