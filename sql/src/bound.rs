//! Bound statements: names resolved, types known, everything checked that can be checked without
//! data. The border between `sql` and `server`: a session executes exactly these.

use std::ops::Deref;
use std::sync::Arc;

use millrace_engine::{DataType, RelationId};

use crate::catalog::{Catalog, CatalogChange, Column, Relation, SchemaId};
use crate::error::SqlError;
use crate::query::{Change, Query};
use crate::sequence::Position;
use crate::statement::{Fetch, Prepare, SavepointAction, Setting};

/// A statement that is ready to run.
#[derive(Clone, Debug)]
pub enum Bound {
    /// CREATE TABLE, CREATE VIEW, CREATE MATERIALIZED VIEW, CREATE INDEX or CREATE SEQUENCE.
    Create(Create),
    /// CREATE TABLE … AS: a table, and its rows, if they are wanted.
    CreateAs(Create, Option<Query>),
    /// CREATE OR REPLACE VIEW, where there is the view.
    Replace {
        /// What it is from now on; its id stays.
        relation: Relation,
    },
    /// ALTER.
    Alter(Alteration),
    /// DROP of relations and schemas: the ids, dependants first (CASCADE resolved). Empty when IF EXISTS found nothing.
    Drop {
        /// What goes.
        ids: Vec<RelationId>,
        /// The schemas that go, whose relations are among these.
        schemas: Vec<SchemaId>,
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
        source: RowSource,
        /// How lines are written.
        format: CopyFormat,
    },
    /// EXPLAIN: the finished text, a row a line.
    Explain(Vec<String>),
    /// SET and RESET.
    Set(Vec<Setting>),
    /// SELECT set_config(…), …: a SET that answers with the values.
    SetConfig {
        /// What is set.
        settings: Vec<Setting>,
        /// The columns of the one row.
        columns: Vec<Column>,
    },
    /// SHOW name.
    Show {
        /// The parameter, lower case.
        name: String,
    },
    /// BEGIN, START TRANSACTION, with the modes of the transaction.
    Begin(Vec<Setting>),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT, RELEASE, ROLLBACK TO, and the savepoint's name.
    Savepoint(SavepointAction, String),
    /// PREPARE: who prepares binds what is prepared.
    Prepare(Prepare),
    /// EXECUTE of the prepared statement of this name, which tells the types of the `arguments`.
    Execute {
        /// The prepared statement.
        name: String,
    },
    /// DECLARE … CURSOR.
    Declare {
        /// Its name.
        name: String,
        /// NO SCROLL was given.
        only_forward: bool,
        /// WITH HOLD.
        is_held: bool,
        /// What it reads.
        source: RowSource,
    },
    /// FETCH, MOVE.
    Fetch(Fetch),
    /// CLOSE.
    Close {
        /// Which cursor; `None`: all.
        name: Option<String>,
    },
    /// UNLISTEN.
    Unlisten,
    /// DEALLOCATE.
    Deallocate {
        /// Which prepared statement; `None`: all.
        name: Option<String>,
    },
    /// DISCARD of all, or only of temporary relations.
    Discard {
        /// Everything that the session has.
        all: bool,
    },
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
    /// It reads what is temporary, and so is temporary itself though nobody said so.
    pub becomes_temporary: bool,
}

/// What COPY … TO STDOUT and cursors read.
#[derive(Clone, Debug)]
pub enum RowSource {
    /// A table or a query.
    Query(Query),
    /// SUBSCRIBE.
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

/// The format of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// A line a row.
    Lines(LineFormat),
    /// PostgreSQL's binary format.
    Binary,
}

/// The text formats of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFormat {
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
    pub columns: Option<ResultColumns>,
}

/// The columns of a result, and which of them a client could find in the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultColumns {
    columns: Vec<Column>,
    /// By column; where it is shorter, the rest comes from nowhere.
    origins: Vec<Option<Origin>>,
}

/// The column of a relation that a column of a result shows as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The table or view.
    pub relation: RelationId,
    /// Its column, from 0.
    pub column: usize,
}

impl ResultColumns {
    /// Columns with their origins.
    pub fn new(columns: Vec<Column>, origins: Vec<Option<Origin>>) -> ResultColumns {
        ResultColumns { columns, origins }
    }

    /// Where a column comes from.
    pub fn origin(&self, column: usize) -> Option<Origin> {
        self.origins.get(column).copied().flatten()
    }
}

impl From<Vec<Column>> for ResultColumns {
    /// Columns that come from nowhere.
    fn from(columns: Vec<Column>) -> ResultColumns {
        ResultColumns { columns, origins: Vec::new() }
    }
}

impl Deref for ResultColumns {
    type Target = [Column];

    fn deref(&self) -> &[Column] {
        &self.columns
    }
}
