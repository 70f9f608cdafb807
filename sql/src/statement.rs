//! Parsed statements: what a text asks for, before any name is looked up.
//!
//! Our own enum around sqlparser's queries and expressions: the statements are few and each field
//! of theirs is honoured, so nothing that a user writes can be dropped in silence.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::sql::sqlparser::ast;
use millrace_engine::DataType;

use crate::bound::CopyFormat;
use crate::catalog::{Column, Generated, OnCommit, ViewOptions};
use crate::error::SqlError;
use crate::parse::Source;

/// One statement of a text.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The statement's own text, without the semicolon and the white space around it.
    pub text: String,
    /// What it asks for.
    pub kind: StatementKind,
    /// The whole text that it stands in, for the positions of errors.
    pub(crate) source: Arc<Source>,
}

/// A name as it is compared: unquoted names are folded to lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub value: String,
    /// Where it stands in the whole text, in characters from 1.
    pub position: usize,
}

/// The name of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationName {
    /// Its schema, where one was named.
    pub schema: Option<String>,
    /// Its own name.
    pub value: String,
    /// Where it begins in the whole text, in characters from 1.
    pub position: usize,
}

impl fmt::Display for RelationName {
    /// As PostgreSQL's messages have it: without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

/// What a statement asks for.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// CREATE SCHEMA.
    CreateSchema(CreateSchema),
    /// ALTER SCHEMA … RENAME TO: its name, and the new one.
    RenameSchema(Name, Name),
    /// DROP SCHEMA.
    DropSchema(DropSchema),
    /// CREATE TABLE.
    CreateTable(CreateTable),
    /// CREATE TABLE … AS.
    CreateTableAs(CreateTableAs),
    /// CREATE VIEW, CREATE MATERIALIZED VIEW.
    CreateView(CreateView),
    /// CREATE INDEX.
    CreateIndex(CreateIndex),
    /// CREATE SEQUENCE.
    CreateSequence(CreateSequence),
    /// ALTER SEQUENCE with options.
    AlterSequence(AlterSequence),
    /// ALTER TABLE and its kin.
    Alter(AlterRelation),
    /// COMMENT ON.
    Comment(Comment),
    /// DROP TABLE, DROP VIEW, DROP MATERIALIZED VIEW, DROP INDEX, DROP SEQUENCE.
    Drop(Drop),
    /// INSERT.
    Insert(Insert),
    /// UPDATE.
    Update(Update),
    /// DELETE.
    Delete(Delete),
    /// TRUNCATE.
    Truncate(Truncate),
    /// SELECT, VALUES, TABLE, WITH.
    Select(Arc<ast::Query>),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// COPY … FROM STDIN.
    CopyFrom(CopyFrom),
    /// COPY … TO STDOUT.
    CopyTo(CopyTo),
    /// EXPLAIN.
    Explain(Explain),
    /// SET and RESET: several only where one statement sets the modes of a transaction.
    Set(Vec<Setting>),
    /// SHOW.
    Show {
        /// The parameter, lower case.
        name: String,
    },
    /// BEGIN, START TRANSACTION, with the modes of the transaction.
    Begin(Vec<Setting>),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN: the next transaction begins at once, with the same modes.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint(SavepointAction, Name),
    /// PREPARE.
    Prepare(Prepare),
    /// EXECUTE.
    Execute(Execute),
    /// DECLARE … CURSOR.
    Declare(Declare),
    /// FETCH, MOVE.
    Fetch(Fetch),
    /// CLOSE; no name: all.
    Close {
        /// The cursor.
        name: Option<String>,
    },
    /// UNLISTEN: nobody can listen, so there is nothing to end.
    Unlisten,
    /// DEALLOCATE; no name: all.
    Deallocate {
        /// The prepared statement.
        name: Option<String>,
    },
    /// DISCARD of all, or only of temporary relations.
    Discard {
        /// Everything that the session has.
        all: bool,
    },
    /// Well-formed, but nothing that can run, mostly because we do not have it: binding it gives
    /// this error. No error of `parse`, so that the statements before it are still answered.
    Refused(SqlError),
}

/// SET, RESET, and one mode of a transaction. RESET ALL has the name `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter, lower case.
    pub name: String,
    /// Its value as text; none resets.
    pub value: Option<String>,
    /// For how long.
    pub reach: Reach,
}

/// For how long a SET holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// SET: for the session, if the transaction commits.
    Session,
    /// SET LOCAL: up to the end of the transaction.
    Local,
    /// SET TRANSACTION: the same, of a mode of the transaction.
    Transaction,
}

/// PREPARE name [(types)] AS statement.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// Its name.
    pub name: String,
    /// The types of the first parameters; `None` is left to where the parameter stands.
    pub types: Vec<Option<DataType>>,
    /// What is prepared.
    pub statement: Box<Statement>,
}

/// EXECUTE name [(arguments)].
#[derive(Clone, Debug)]
pub struct Execute {
    /// The prepared statement.
    pub name: String,
    /// The values of its parameters.
    pub arguments: Vec<ast::Expr>,
}

/// DECLARE name CURSOR … FOR ….
#[derive(Clone, Debug)]
pub struct Declare {
    /// Its name.
    pub name: String,
    /// NO SCROLL was given: not even the row at hand is shown again.
    pub only_forward: bool,
    /// WITH HOLD: it outlives its transaction.
    pub is_held: bool,
    /// What it reads.
    pub source: CursorSource,
}

/// What a cursor reads.
#[derive(Clone, Debug)]
pub enum CursorSource {
    /// A query.
    Query(Arc<ast::Query>),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
}

/// FETCH and MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// MOVE: the rows are passed over.
    pub is_move: bool,
    /// The cursor.
    pub name: String,
    /// Which rows.
    pub direction: Direction,
    /// WITH (timeout): how long to wait for the first row of a SUBSCRIBE.
    pub timeout: Option<Duration>,
}

/// Which rows FETCH and MOVE mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// So many further on; negative: back; 0: the row at hand again.
    Forward(i64),
    /// All further on.
    ForwardAll,
    /// All back.
    BackwardAll,
    /// The row of this number; negative: from the end.
    Absolute(i64),
    /// The row so many further on.
    Relative(i64),
}

/// What is done with a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavepointAction {
    /// SAVEPOINT: it is set.
    Set,
    /// RELEASE: it is forgotten, with those that came after it.
    Release,
    /// ROLLBACK TO: what came after it is taken back.
    RollbackTo,
}

/// CREATE SCHEMA [IF NOT EXISTS] [name] [AUTHORIZATION role].
#[derive(Clone, Debug)]
pub struct CreateSchema {
    /// Its name; none: the role's.
    pub name: Option<Name>,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// Whose it is.
    pub owner: Option<Role>,
}

/// Who a statement names.
#[derive(Clone, Debug)]
pub enum Role {
    /// CURRENT_USER, CURRENT_ROLE, SESSION_USER.
    Current,
    /// A role by its name.
    Named(Name),
}

/// DROP SCHEMA [IF EXISTS] names [CASCADE | RESTRICT].
#[derive(Clone, Debug)]
pub struct DropSchema {
    /// What goes.
    pub names: Vec<Name>,
    /// IF EXISTS was given.
    pub if_exists: bool,
    /// What is in it goes as well.
    pub cascade: bool,
}

/// CREATE TABLE [IF NOT EXISTS] name (columns and constraints) [WITH (append_only, retention = '0')].
#[derive(Clone, Debug)]
pub struct CreateTable {
    /// Its name.
    pub name: RelationName,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// Its columns; names are unique.
    pub columns: Vec<ColumnDefinition>,
    /// The constraints of the table and of its columns, but for NOT NULL.
    pub constraints: Vec<TableConstraint>,
    /// False for a stream.
    pub keep_rows: bool,
    /// What becomes of it when a transaction commits.
    pub on_commit: OnCommit,
}

/// CREATE TABLE [IF NOT EXISTS] name [(columns)] AS query [WITH [NO] DATA].
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// Its name.
    pub name: RelationName,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// Names for the first columns of the query.
    pub columns: Vec<Name>,
    /// Its rows.
    pub query: Arc<ast::Query>,
    /// Whether the rows are taken, and not only their columns.
    pub with_data: bool,
    /// What becomes of it when a transaction commits.
    pub on_commit: OnCommit,
}

/// A column of CREATE TABLE.
#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    /// The column.
    pub column: Column,
    /// DEFAULT, and how its value is written.
    pub default: Option<(ast::Expr, String)>,
    /// The sequence that it draws from: serial, GENERATED … AS IDENTITY.
    pub drawn: Option<(Generated, SequenceOptions)>,
}

/// TRUNCATE tables [RESTART IDENTITY].
#[derive(Clone, Debug)]
pub struct Truncate {
    /// The tables.
    pub tables: Vec<RelationName>,
    /// RESTART IDENTITY was given: their sequences start again.
    pub restart: bool,
}

/// A column of a table by its name.
#[derive(Clone, Debug)]
pub struct ColumnName {
    /// The table.
    pub table: RelationName,
    /// The column.
    pub column: Name,
}

/// CREATE SEQUENCE [IF NOT EXISTS] name [options].
#[derive(Clone, Debug)]
pub struct CreateSequence {
    /// Its name.
    pub name: RelationName,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// What was said of it.
    pub options: SequenceOptions,
}

/// ALTER SEQUENCE [IF EXISTS] name options.
#[derive(Clone, Debug)]
pub struct AlterSequence {
    /// Its name.
    pub name: RelationName,
    /// IF EXISTS was given.
    pub if_exists: bool,
    /// What changes.
    pub options: SequenceOptions,
}

/// ALTER kind [IF EXISTS] relation actions.
#[derive(Clone, Debug)]
pub struct AlterRelation {
    /// Which kind of relation the user named; ALTER TABLE renames the others as well.
    pub kind: DropKind,
    /// IF EXISTS was given.
    pub if_exists: bool,
    /// What is altered.
    pub relation: RelationName,
    /// How, one after another.
    pub actions: Vec<AlterAction>,
}

/// COMMENT ON … IS text.
#[derive(Clone, Debug)]
pub struct Comment {
    /// What is commented.
    pub on: Commented,
    /// The comment; none: NULL, which takes it away.
    pub text: Option<String>,
}

/// What can have a comment.
#[derive(Clone, Debug)]
pub enum Commented {
    /// A schema.
    Schema(Name),
    /// A relation of a kind.
    Relation(DropKind, RelationName),
    /// A column.
    Column(ColumnName),
}

/// One action of ALTER TABLE.
#[derive(Clone, Debug)]
pub enum AlterAction {
    /// ADD COLUMN.
    AddColumn {
        /// IF NOT EXISTS was given.
        if_not_exists: bool,
        /// The column.
        definition: Box<ColumnDefinition>,
        /// Its constraints.
        constraints: Vec<TableConstraint>,
    },
    /// DROP COLUMN.
    DropColumn {
        /// IF EXISTS was given.
        if_exists: bool,
        /// The column.
        name: Name,
        /// What depends on it goes as well.
        cascade: bool,
    },
    /// ALTER COLUMN … SET DEFAULT; none: DROP DEFAULT.
    SetDefault {
        /// The column.
        column: Name,
        /// The value, and how it is written.
        default: Option<(Box<ast::Expr>, String)>,
    },
    /// ALTER COLUMN … {SET | DROP} NOT NULL.
    SetNullable {
        /// The column.
        column: Name,
        /// Whether it may be NULL from now on.
        nullable: bool,
    },
    /// ALTER COLUMN … TYPE.
    SetType {
        /// The column.
        column: Name,
        /// The new type.
        data_type: DataType,
        /// USING: what its values become; none: themselves.
        using: Option<Box<ast::Expr>>,
    },
    /// ALTER COLUMN … ADD GENERATED … AS IDENTITY.
    AddIdentity {
        /// The column.
        column: Name,
        /// How it draws.
        generated: Generated,
        /// Its sequence.
        options: SequenceOptions,
    },
    /// ALTER COLUMN … SET GENERATED …, SET option, RESTART.
    SetIdentity {
        /// The column.
        column: Name,
        /// How it draws from now on.
        generated: Option<Generated>,
        /// What changes of its sequence.
        options: SequenceOptions,
    },
    /// ALTER COLUMN … DROP IDENTITY.
    DropIdentity {
        /// The column.
        column: Name,
        /// IF EXISTS was given.
        if_exists: bool,
    },
    /// ADD CONSTRAINT.
    AddConstraint(TableConstraint),
    /// DROP CONSTRAINT.
    DropConstraint {
        /// IF EXISTS was given.
        if_exists: bool,
        /// The constraint.
        name: Name,
        /// What depends on it goes as well.
        cascade: bool,
    },
    /// SET SCHEMA.
    SetSchema(Name),
    /// RENAME TO.
    Rename(Name),
    /// RENAME COLUMN.
    RenameColumn {
        /// Its name.
        from: Name,
        /// The new one.
        to: Name,
    },
    /// RENAME CONSTRAINT.
    RenameConstraint {
        /// Its name.
        from: Name,
        /// The new one.
        to: Name,
    },
}

impl AlterAction {
    /// Whether it only gives a name, or another schema: then it stands alone.
    pub(crate) fn is_rename(&self) -> bool {
        matches!(
            self,
            AlterAction::SetSchema(_)
                | AlterAction::Rename(_)
                | AlterAction::RenameColumn { .. }
                | AlterAction::RenameConstraint { .. }
        )
    }
}

/// The options of a sequence, each kind at most once, with where it stands.
#[derive(Clone, Debug, Default)]
pub struct SequenceOptions(pub Vec<(SequenceOption, usize)>);

/// An option of a sequence.
#[derive(Clone, Debug)]
pub enum SequenceOption {
    /// AS type.
    Type(DataType),
    /// INCREMENT BY.
    Increment(i64),
    /// MINVALUE; none: NO MINVALUE.
    Min(Option<i64>),
    /// MAXVALUE; none: NO MAXVALUE.
    Max(Option<i64>),
    /// START WITH.
    Start(i64),
    /// RESTART [WITH].
    Restart(Option<i64>),
    /// CACHE.
    Cache(i64),
    /// CYCLE, NO CYCLE.
    Cycles(bool),
    /// OWNED BY; none: OWNED BY NONE.
    OwnedBy(Option<ColumnName>),
}

impl SequenceOption {
    /// Whether both say the same sort of thing, so that only one of them may be given.
    pub(crate) fn is_like(&self, other: &SequenceOption) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// [CONSTRAINT name] PRIMARY KEY, UNIQUE or CHECK.
#[derive(Clone, Debug)]
pub struct TableConstraint {
    /// Its name; none: one is chosen.
    pub name: Option<Name>,
    /// What it asks.
    pub kind: ConstraintKind,
    /// Where it stands.
    pub position: usize,
}

/// What a constraint asks.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    /// PRIMARY KEY (columns).
    PrimaryKey(Vec<Name>),
    /// UNIQUE (columns).
    Unique(Vec<Name>),
    /// CHECK (condition).
    Check {
        /// The condition.
        condition: Box<ast::Expr>,
        /// How it is written.
        text: String,
    },
}

/// CREATE MATERIALIZED VIEW [IF NOT EXISTS] name [(columns)] [WITH (options)] AS query, and
/// CREATE [OR REPLACE] VIEW name [(columns)] AS query.
#[derive(Clone, Debug)]
pub struct CreateView {
    /// Its name.
    pub name: RelationName,
    /// Whether anything is kept for it.
    pub kind: ViewKind,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// Names for the first columns of the query.
    pub columns: Vec<Name>,
    /// What it shows.
    pub query: Arc<ast::Query>,
    /// The query as the user wrote it.
    pub sql: String,
}

/// Whether anything is kept for a view.
#[derive(Clone, Copy, Debug)]
pub enum ViewKind {
    /// Nothing: it is its query wherever it is read.
    Plain {
        /// OR REPLACE was given.
        or_replace: bool,
    },
    /// Its rows, with what WITH says of them.
    Materialized(ViewOptions),
}

/// CREATE INDEX [CONCURRENTLY] [IF NOT EXISTS] [name] ON [ONLY] relation [USING method] (items).
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// UNIQUE was given: no two rows may have the same keys.
    pub is_unique: bool,
    /// CONCURRENTLY was given: not within a transaction.
    pub concurrently: bool,
    /// IF NOT EXISTS was given.
    pub if_not_exists: bool,
    /// Its name; none: one is chosen.
    pub name: Option<Name>,
    /// What is indexed.
    pub relation: RelationName,
    /// `btree` or `hash`: every index here can be read by whole keys, and by nothing else.
    pub method: Name,
    /// What it is by, the first first.
    pub items: Vec<IndexItem>,
}

/// One column or expression that an index is by. Its order says nothing to reads by key; it is kept for the
/// index's definition.
#[derive(Clone, Debug)]
pub struct IndexItem {
    /// The value.
    pub expr: ast::Expr,
    /// How it was written, without the parentheses around it.
    pub text: String,
    /// Where it stands.
    pub position: usize,
    /// ASC (false) or DESC (true), where one of them was given.
    pub descending: Option<bool>,
    /// NULLS FIRST (true) or NULLS LAST (false), where one of them was given.
    pub nulls_first: Option<bool>,
}

/// DROP … [IF EXISTS] names [CASCADE | RESTRICT].
#[derive(Clone, Debug)]
pub struct Drop {
    /// Which kind of relation the user named.
    pub kind: DropKind,
    /// CONCURRENTLY was given, for an index only: not within a transaction.
    pub concurrently: bool,
    /// IF EXISTS was given.
    pub if_exists: bool,
    /// What goes.
    pub names: Vec<RelationName>,
    /// What depends on it goes as well.
    pub cascade: bool,
}

/// The kind of relation that a DROP names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    /// DROP TABLE.
    Table,
    /// DROP VIEW.
    View,
    /// DROP MATERIALIZED VIEW.
    MaterializedView,
    /// DROP INDEX.
    Index,
    /// DROP SEQUENCE.
    Sequence,
}

/// [WITH …] INSERT INTO table [AS alias] [(columns)] source [ON CONFLICT …] [RETURNING …].
#[derive(Clone, Debug)]
pub struct Insert {
    /// The queries that it can name.
    pub with: Option<Arc<ast::With>>,
    /// Where to.
    pub table: RelationName,
    /// What the statement calls it.
    pub alias: Option<Name>,
    /// The columns that the source gives; none: from the first on.
    pub columns: Vec<Name>,
    /// OVERRIDING SYSTEM VALUE, OVERRIDING USER VALUE.
    pub overriding: Option<Overriding>,
    /// The rows; none: DEFAULT VALUES.
    pub source: Option<Arc<ast::Query>>,
    /// What becomes of rows whose key is there.
    pub on_conflict: Option<OnConflict>,
    /// What it answers with.
    pub returning: Option<Vec<ast::SelectItem>>,
}

/// What becomes of the values that an INSERT gives identity columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// SYSTEM VALUE: they are taken, also where the column is GENERATED ALWAYS.
    System,
    /// USER VALUE: the sequence's are taken instead.
    User,
}

/// ON CONFLICT [target] action.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// What makes a conflict; none: any key.
    pub target: Option<ConflictTarget>,
    /// What is done about it.
    pub action: ConflictAction,
}

/// What makes a conflict.
#[derive(Clone, Debug)]
pub enum ConflictTarget {
    /// The key by these columns.
    Columns(Vec<Name>),
    /// ON CONSTRAINT.
    Constraint(Name),
}

/// What is done about a conflict.
#[derive(Clone, Debug)]
pub enum ConflictAction {
    /// DO NOTHING.
    Nothing,
    /// DO UPDATE SET … [WHERE …].
    Update {
        /// What the row that is there becomes.
        assignments: Vec<Assignment>,
        /// Which rows are changed; none: all.
        selection: Option<Arc<ast::Expr>>,
    },
}

/// `column = value` or `(column, …) = value` of SET.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The columns.
    pub columns: Vec<Name>,
    /// Whether they stand in parentheses: then the value is a row.
    pub is_list: bool,
    /// The value.
    pub value: ast::Expr,
    /// Whether ROW stands before the value.
    pub is_row: bool,
}

/// [WITH …] UPDATE table [AS alias] SET assignments [FROM …] [WHERE selection] [RETURNING …].
#[derive(Clone, Debug)]
pub struct Update {
    /// The queries that it can name.
    pub with: Option<Arc<ast::With>>,
    /// What changes.
    pub table: RelationName,
    /// What the statement calls it.
    pub alias: Option<Name>,
    /// What becomes of its columns.
    pub assignments: Vec<Assignment>,
    /// What it is joined with.
    pub from: Vec<ast::TableWithJoins>,
    /// Which rows; none: all.
    pub selection: Option<Arc<ast::Expr>>,
    /// What it answers with.
    pub returning: Option<Vec<ast::SelectItem>>,
}

/// [WITH …] DELETE FROM table [AS alias] [USING …] [WHERE selection] [RETURNING …].
#[derive(Clone, Debug)]
pub struct Delete {
    /// The queries that it can name.
    pub with: Option<Arc<ast::With>>,
    /// Where from.
    pub table: RelationName,
    /// What the statement calls it.
    pub alias: Option<Name>,
    /// What it is joined with.
    pub using: Vec<ast::TableWithJoins>,
    /// Which rows; none: all.
    pub selection: Option<Arc<ast::Expr>>,
    /// What it answers with.
    pub returning: Option<Vec<ast::SelectItem>>,
}

/// SUBSCRIBE [TO] relation [WITH (…)] [AS OF tick].
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// What is followed.
    pub relation: RelationName,
    /// Whether the rows at the start are sent first.
    pub snapshot: bool,
    /// Whether progress rows are sent.
    pub progress: bool,
    /// Start after this tick; none: now.
    pub as_of: Option<u64>,
}

/// COPY table [(columns)] FROM STDIN.
#[derive(Clone, Debug)]
pub struct CopyFrom {
    /// Where to.
    pub table: RelationName,
    /// The columns that each line gives; `None`: all.
    pub columns: Option<Vec<Name>>,
    /// How lines are written.
    pub format: CopyFormat,
}

/// COPY … TO STDOUT.
#[derive(Clone, Debug)]
pub struct CopyTo {
    /// What is copied.
    pub source: CopySource,
    /// How lines are written.
    pub format: CopyFormat,
}

/// What COPY … TO STDOUT reads.
#[derive(Clone, Debug)]
pub enum CopySource {
    /// COPY relation [(columns)].
    Relation {
        /// Which.
        relation: RelationName,
        /// Which columns; none: all.
        columns: Vec<Name>,
    },
    /// COPY (query).
    Query(Arc<ast::Query>),
    /// COPY (SUBSCRIBE …).
    Subscribe(Subscribe),
}

/// What EXPLAIN explains.
#[derive(Clone, Debug)]
pub enum Explain {
    /// How a query would be answered once.
    Select(Arc<ast::Query>),
    /// How a view would be maintained.
    CreateView(CreateView),
    /// How an existing view is maintained.
    View(RelationName),
}
