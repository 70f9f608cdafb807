//! The SQL oracle: after every commit, each view equals its query asked anew, and its subscription
//! folded up.
//!
//! ```text
//! genes (proptest) ─► script of SQL texts ─► server in this process ─┬─ SELECT * FROM view
//!                        ▲    kept as text under tests/regressions   ├─ the view's query, ad hoc
//!                        └──────────────── shrinks ◄── differ? ──────┴─ SUBSCRIBE, folded
//! ```
//! It proves that views are maintained as their queries say, through parsing, log, workers and
//! restart. It does not prove scalar semantics: both ways share our functions (those are compared
//! with PostgreSQL elsewhere).

#![allow(clippy::unwrap_used)]

mod cluster; // several processes
mod database; // a server in this process, and its end without a farewell
mod expressions; // SQL expressions out of genes
mod follower; // a subscription, folded
mod judge; // runs a script and compares
mod kept; // scripts that once failed
mod planted; // the oracle finds what was planted
mod random; // seeded runs, shrunk and kept
mod script; // scripts as text, and their strategy
mod views; // the forms of views
