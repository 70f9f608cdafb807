//! Millrace's SQL: text → statement → bound statement → plan, the catalog, and ad-hoc queries over
//! snapshots. No timely, no sockets.
//!
//! Modules in reading order:

mod bound;
mod catalog; // relations by name and id, and how they change
mod compile; // engine expressions to physical expressions
mod error; // a user's error with SQLSTATE // statements that are ready to run: the border to the server
mod query; // a bound query: run it over snapshots, or lower it to a plan

pub use bound::{Bound, CopyFormat, CopySource, Description, Subscribe};
pub use catalog::{Catalog, CatalogChange, Column, Relation, RelationKind};
pub use compile::ExprCompiler;
pub use error::SqlError;
pub use query::{Parameters, Query, RowStream, Snapshots};
