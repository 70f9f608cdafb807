//! Bound statements: names resolved, types known, everything checked that can be checked without
//! data. The border between `sql` and `server`: a session executes exactly these.

use std::sync::Arc;

use millrace_engine::{DataType, RelationId};

use crate::catalog::{Catalog, CatalogChange, Column, Relation};
use crate::error::SqlError;
use crate::query::{Change, Query};
use crate::sequence::Position;
use crate::statement::SavepointAction;

/// A statement that is ready to run.
#[derive(Clone, Debug)]
pub enum Bound {
    /// CREATE TABLE, CREATE VIEW, CREATE MATERIALIZED VIEW, CREATE INDEX or CREATE SEQUENCE.
    Create(Create),
    /// CREATE OR REPLACE VIEW, where there is the view.
    Replace {
        /// What it is from now on; its id stays.
        relation: Relation,
    },
    /// ALTER.
    Alter(Alteration),
    /// DROP TABLE / DROP VIEW / DROP MATERIALIZED VIEW / DROP INDEX / DROP SEQUENCE: the ids, dependants first (CASCADE resolved). Empty
    /// when IF EXISTS found nothing.
    Drop {
        /// What goes.
        ids: Vec<RelationId>,
        /// Tables without the defaults that went with a sequence.
        replaced: Vec<Relation>,
        /// The command tag: `DROP TABLE`, `DROP VIEW`, ….
        tag: &'static str,
        /// CONCURRENTLY was given: not within a transaction.
        concurrently: bool,
        /// Notices, e.g. `table "x" does not exist, skipping`.
        notices: Vec<String>,
    },
    /// INSERT, UPDATE, DELETE.
    Change(Change),
    /// TRUNCATE: all rows of each table, as DELETE takes them away; these sequences start again.
    Truncate(Vec<Change>, Vec<(RelationId, Position)>),
    /// SELECT, VALUES, TABLE.
    Select(Query),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// COPY table FROM STDIN.
    CopyFrom {
        /// What becomes of the rows that the lines give: its source reads them.
        change: Change,
        /// The columns that each line gives, in the line's order.
        columns: Vec<Column>,
        /// How lines are written.
        format: CopyFormat,
    },
    /// COPY … TO STDOUT.
    CopyTo {
        /// What is copied.
        source: CopySource,
        /// How lines are written.
        format: CopyFormat,
    },
    /// EXPLAIN: the finished text, a row a line.
    Explain(Vec<String>),
    /// SET name = value; `None` resets.
    Set {
        /// The parameter, lower case.
        name: String,
        /// Its value as text.
        value: Option<String>,
    },
    /// SHOW name.
    Show {
        /// The parameter, lower case.
        name: String,
    },
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT, RELEASE, ROLLBACK TO, and the savepoint's name.
    Savepoint(SavepointAction, String),
    /// DISCARD ALL, DEALLOCATE and the like: `tag` is the answer.
    Deallocate {
        /// Which prepared statement; `None`: all.
        name: Option<String>,
    },
    /// DISCARD ALL.
    Discard,
}

/// A new relation. `id` and `created` of relations are placeholders (0) until commit.
#[derive(Clone, Debug)]
pub struct Create {
    /// What is created.
    pub relation: Relation,
    /// The sequences of a table's columns, which are created with it: each with the place of its column.
    pub sequences: Vec<(usize, Relation)>,
    /// The indexes of a table's keys, which are created with it.
    pub indexes: Vec<Relation>,
    /// Of a unique index the query for a key that its relation has twice: such a one, if there is any.
    pub duplicates: Option<Query>,
    /// What else was said of how.
    pub terms: Terms,
}

/// ALTER: what changes, and what has to hold of the rows that are there.
#[derive(Clone, Debug)]
pub struct Alteration {
    /// The changes in their order. What they create has ids that nothing else has.
    pub changes: Vec<CatalogChange>,
    /// The catalog after them: rows are read, and changed, against it.
    pub catalog: Arc<Catalog>,
    /// What no row may break.
    pub holds: Vec<Holds>,
    /// New columns that are computed for each row: an UPDATE of all rows.
    pub fill: Option<Change>,
    /// The command tag.
    pub tag: &'static str,
    /// Notices.
    pub notices: Vec<String>,
}

impl Alteration {
    pub(crate) fn new(tag: &'static str) -> Alteration {
        let (changes, holds, notices) = (Vec::new(), Vec::new(), Vec::new());
        Alteration { changes, catalog: Arc::default(), holds, fill: None, tag, notices }
    }
}

/// Something that holds while a query has no rows.
#[derive(Clone, Debug)]
pub struct Holds {
    /// The query.
    pub query: Query,
    /// What it is if there is a row.
    pub violation: Violation,
}

/// What a row breaks.
#[derive(Clone, Debug)]
pub enum Violation {
    /// This.
    Is(SqlError),
    /// A key that two rows have: the query gives the key's values.
    Duplicate {
        /// The index.
        index: String,
        /// How its keys are written.
        keys: Vec<String>,
    },
}

/// What a CREATE says besides what is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// The name was chosen because none was given: where it is taken meanwhile, another will do.
    pub chosen_name: bool,
    /// CONCURRENTLY was given: not within a transaction.
    pub concurrently: bool,
}

/// What COPY … TO STDOUT reads.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// COPY table or COPY (SELECT …).
    Query(Query),
    /// COPY (SUBSCRIBE …).
    Subscribe(Subscribe),
}

/// SUBSCRIBE [TO] relation [WITH (…)] [AS OF tick].
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// What is followed.
    pub relation: Arc<Relation>,
    /// The result's columns: `tick`, `progressed` when asked for, `diff`, then the relation's.
    pub columns: Vec<Column>,
    /// Whether the rows at the start are sent first.
    pub snapshot: bool,
    /// Whether progress rows are sent.
    pub progress: bool,
    /// Start after this tick; `None`: now.
    pub as_of: Option<u64>,
}

/// The text format of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFormat {
    /// CSV, else PostgreSQL's text format.
    pub csv: bool,
    /// A first line of column names (skipped on the way in, written on the way out).
    pub header: bool,
    /// Between columns.
    pub delimiter: u8,
    /// CSV only: around values that need it.
    pub quote: u8,
    /// What stands for NULL: `\N` in text, nothing in CSV.
    pub null: String,
}

/// What a client learns of a statement before it runs (Parse/Describe).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The parameters' types, `$1` first.
    pub parameters: Vec<DataType>,
    /// The result's columns; `None` where it returns no rows.
    pub columns: Option<Vec<Column>>,
}
