//! Millrace's SQL: text → statement → bound statement → plan, the catalog, and ad-hoc queries over
//! snapshots. No timely, no sockets.
//!
//! In the order in which a statement passes them: `parse`, `statement`, `bind` (with `catalog`),
//! `bound`, `query`, then `lower` and `compile` for views or `adhoc` for everything else, with the
//! functions of `functions`.

mod error; // a user's error with SQLSTATE
mod catalog; // schemas and relations by name and id, and how they change
mod sequence; // what a sequence gives next
mod system; // the relations of pg_catalog, information_schema and millrace
mod parse; // text to statements
mod statement; // what a text asks for
mod bind; // statements to bound statements: names and types
mod bound; // statements that are ready to run: the border to the server
mod temporary; // relations that go with their session
mod query; // a bound query: run it over snapshots, or lower it to a plan
mod json; // JSON values
mod regex; // PostgreSQL's regular expressions
mod zone; // time zones by name, and their offsets
pub mod text_form; // values as text, in and out
mod functions; // the function table and its kernels
mod explain; // plans as text, with names
mod lower; // bound queries to dataflow plans
mod compile; // engine expressions to physical expressions
mod adhoc; // queries over snapshots, through DataFusion's operators

pub use bind::{arguments, bind, describe};
pub use bound::{
    Alteration, Bound, CopyFormat, Create, Description, Holds, LineFormat, Origin, ResultColumns, RowSource,
    Subscribe, Terms, Violation,
};
pub use catalog::{
    Catalog, CatalogChange, Check, Column, Drawn, Generated, IndexKey, Known, OnCommit, OnError, Owned,
    PUBLIC_PATH, Relation, RelationKind, SchemaChange, SchemaId, SearchPath, TableRules, Uniqueness,
    UserSchema, ViewOptions,
};
pub use compile::ExprCompiler;
pub use error::{About, SqlError};
pub use parse::{copy_into, parse, quoted, split, subscribe_to};
pub use query::{
    Change, ChangeKind, LookedUp, OnConflict, Parameters, Query, RowKey, RowStream, Settings, Snapshots,
    Sources,
};
pub use sequence::{Position, Sequence, Sequences, WANTED};
pub use statement::{
    CopySource, CopyTo, CursorSource, Declare, Direction, Execute, Fetch, Prepare, Reach, SavepointAction,
    Setting, Statement, StatementKind,
};
pub use system::{Builtins, DATABASE, OWNER, Schema, SystemRelation, oid_of, oid_of_schema};
pub use temporary::{
    create_temporary_schema, creates_temporary, is_temporary, is_temporary_schema, temporary_schema_name,
};
pub use zone::{UTC, Zone};
