//! A client's session: runs bound statements, keeps the transaction block and the parameters.
//!
//! The wire owns the bytes, the session the meaning. Reads run here, on the connection's own task,
//! off the coordinator: take the newest tick and a hold, ask the workers for their shares, run the
//! query. Writes are gathered and become one commit at one tick.
//!
//! ```text
//! None ──BEGIN──► Open(explicit) ──COMMIT, ROLLBACK──► None
//!   │                 └──error──► Failed(explicit) ──COMMIT, ROLLBACK──► None
//!   └─begin_implicit─► Open(implicit) ──end_implicit──► None
//! ```
//! Invariant: a statement whose future is dropped has either committed whole or left nothing.

mod block; // the transaction block and what it gathers
mod by_key; // the rows with some keys
mod copy_in; // COPY … FROM STDIN
mod cursor; // DECLARE, FETCH, MOVE, CLOSE
mod ddl; // CREATE, ALTER and DROP
mod drawing; // values of sequences
pub(crate) mod ingest; // rows for a table, all or none
mod keys; // keys of rows, encoded
mod not_null; // 23502
mod own; // what a block has written, for its own readers
mod parameters; // SET and SHOW
pub(crate) mod prepared; // Parse, PREPARE, EXECUTE, DEALLOCATE
mod read; // snapshots and queries at a tick
mod response; // what a statement answers
pub(crate) mod row_size; // 54000
mod rows; // what INSERT, UPDATE and DELETE do
pub(crate) mod system; // the relations of pg_catalog, information_schema and millrace
#[cfg(test)]
mod tests; // statements through sessions, with real workers
mod temporary; // relations that go with the session
mod write; // what changes something, and the retry of its commit

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray};
use futures::stream;
use millrace_engine::{DataType, Literal, Tick, batch_of};
use millrace_sql::{
    Bound, Column, CopyFormat, CopySource, CopyTo, CursorSource, Declare, Description, Reach, RowSource,
    SearchPath, Setting, SqlError, Statement, StatementKind, Subscribe, Zone, creates_temporary,
};

pub use copy_in::{COPY_BYTES_MAX, CopyIn};
pub(crate) use response::rows_tag;
pub use response::{Notice, Response, TransactionStatus};

use crate::coordinator::{Moment, provisional_id};
use crate::portion::{Portion, Portions, portions};
use crate::server::Server;
use crate::subscription;
use block::{Block, Transaction, command};
use cursor::Cursors;
use drawing::Drawing;
use parameters::Parameters;
use prepared::{Prepared, Store};
use read::{text_rows, text_table};
use temporary::Temporary;
pub(crate) use temporary::drop_left;

/// A client's session. Not shared: statements of one session run one after the other.
pub struct Session {
    server: Arc<Server>,
    user: String,
    database: String,
    parameters: Parameters,
    prepared: Store,
    cursors: Cursors,
    block: Block,
    /// Between `begin_implicit` and `end_implicit`: what follows a COMMIT is one transaction again.
    implicit: bool,
    notices: Vec<Notice>,
    drawing: Arc<Drawing>,
    temporary: Temporary,
    /// How long a commit may wait for its group.
    patience: Option<Duration>,
}

impl Session {
    /// A session of this user. Any user name is welcome until roles exist.
    pub fn new(server: Arc<Server>, user: String, database: String) -> Session {
        let parameters = Parameters::new(&user);
        let drawing = Arc::new(Drawing::new(server.clone()));
        let temporary = Temporary::new(server.next_session());
        Session {
            server,
            user,
            database,
            parameters,
            prepared: Store::default(),
            cursors: Cursors::default(),
            block: Block::None,
            implicit: false,
            notices: Vec::new(),
            drawing,
            temporary,
            patience: None,
        }
    }

    /// From now on a commit that has waited for its group for so long is refused with 53000.
    pub(crate) fn limit_patience(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// The state that all sessions share.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The user that the client named.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database that the client named.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The statements of a text, in order.
    ///
    /// # Errors
    /// 42601 with the position.
    pub fn parse(&self, text: &str) -> Result<Vec<Statement>, SqlError> {
        millrace_sql::parse(text)
    }

    /// What the client may know of a statement before it runs. `None`: a parameter whose type the client leaves open.
    ///
    /// # Errors
    /// What binding raises; 42P18 for a parameter whose type nothing tells.
    pub fn describe(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Description, SqlError> {
        let (zone, path) = (self.zone(), self.path());
        let known = millrace_sql::Parameters::types(parameter_types)
            .in_zone(&zone)
            .in_session(&path, &self.parameters);
        let description = millrace_sql::describe(statement, &self.catalog(), known)?;
        Ok(match self.columns_of_another(&statement.kind) {
            Some(columns) => Description { columns, ..description },
            None => description,
        })
    }

    /// Runs a statement. Dropping the future cancels it (then call `fail`, as for an error in the rows).
    ///
    /// A lone statement (`begin_implicit` not called) commits by itself and is retried when another
    /// commit got in between; inside a block such a conflict is 40001 at COMMIT.
    ///
    /// # Errors
    /// The statement's error; an open block has then failed.
    pub async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[Literal],
    ) -> Result<Response, SqlError> {
        let answer = self.run(statement, parameters, None).await;
        if answer.is_err() {
            self.fail();
        }
        answer
    }

    /// Runs a prepared statement, as `execute`.
    ///
    /// # Errors
    /// As `execute`.
    pub(crate) async fn execute_bound(
        &mut self,
        prepared: &Prepared,
        parameters: &[Literal],
    ) -> Result<Response, SqlError> {
        let Some(statement) = &prepared.statement else { return Ok(Response::Empty) };
        let answer = self.run(statement, parameters, Some(prepared)).await;
        if answer.is_err() {
            self.fail();
        }
        answer
    }

    /// The statements from here to `end_implicit` are one transaction (PostgreSQL's rule for a text of
    /// several statements, and for a pipeline of several executions up to Sync). Nothing inside a block.
    pub fn begin_implicit(&mut self) {
        self.implicit = true;
        self.open_implicit();
    }

    /// Opens an implicit transaction where no block is open and the wire asked for one.
    fn open_implicit(&mut self) {
        if self.implicit && matches!(self.block, Block::None) {
            self.block = Block::Open(Box::new(Transaction::new(false, self.parameters.clone())));
        }
    }

    /// Ends what `begin_implicit` began: commits, or forgets everything when a statement `failed`.
    /// A block that BEGIN opened meanwhile stays open.
    ///
    /// # Errors
    /// The commit's, 40001 among them.
    pub async fn end_implicit(&mut self, failed: bool) -> Result<(), SqlError> {
        self.implicit = false;
        if failed {
            self.fail();
        }
        match &self.block {
            Block::Open(transaction) if !transaction.explicit => self.commit_block().await,
            Block::Failed { explicit: false, .. } => {
                self.block = Block::None;
                self.cursors.roll_back();
                Ok(())
            }
            Block::None | Block::Open(_) | Block::Failed { explicit: true, .. } => Ok(()),
        }
    }

    /// Tells the session of an error that it did not see: one that arose while rows were streaming
    /// or lines were read, or a statement that was cancelled.
    pub fn fail(&mut self) {
        match std::mem::replace(&mut self.block, Block::None) {
            Block::Open(transaction) => {
                if !transaction.has_savepoints() {
                    self.drawing.forget_own(provisional_id(0));
                }
                self.parameters.restore(transaction.saved_parameters.clone());
                let explicit = transaction.explicit;
                let kept = transaction.has_savepoints().then_some(transaction);
                if kept.is_none() {
                    self.cursors.roll_back();
                }
                self.block = Block::Failed { explicit, kept };
            }
            Block::None => self.cursors.roll_back(),
            failed @ Block::Failed { .. } => self.block = failed,
        }
    }

    /// Where the session stands, for ReadyForQuery.
    pub fn transaction_status(&self) -> TransactionStatus {
        match &self.block {
            Block::Open(transaction) if transaction.explicit => TransactionStatus::InBlock,
            Block::Failed { explicit: true, .. } => TransactionStatus::Failed,
            Block::None | Block::Open(_) | Block::Failed { explicit: false, .. } => TransactionStatus::Idle,
        }
    }

    /// The notices since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.notices);
        notices.retain(|notice| self.parameters.wants(notice.severity));
        notices
    }

    /// A parameter as SHOW shows it.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.show(name)
    }

    /// The parameters that the client is told of and that changed since the last call; on the first
    /// call all of them: one ParameterStatus each.
    pub fn changed_parameters(&mut self) -> Vec<(String, String)> {
        self.parameters.take_changed()
    }

    /// The session's time zone.
    pub fn zone(&self) -> Zone {
        self.parameters.zone()
    }

    /// Where the session looks up unqualified names.
    pub(crate) fn path(&self) -> SearchPath {
        self.parameters.search_path(&self.user).with_temporary(self.temporary.name())
    }

    /// How long a statement may run; `None`: for ever. The wire cancels it then with 57014.
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.parameters.statement_timeout()
    }

    async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[Literal],
        prepared: Option<&Prepared>,
    ) -> Result<Response, SqlError> {
        if creates_temporary(&statement.kind) {
            self.make_temporary_schema().await?;
        }
        let moment = if is_of_no_moment(&statement.kind) { self.passing_moment() } else { self.moment() };
        let bound = self.bind(statement, parameters, prepared, &moment.catalog);
        self.check_not_failed(bound.as_ref())?;
        match bound? {
            bound @ (Bound::Create(_)
            | Bound::CreateAs(..)
            | Bound::Replace { .. }
            | Bound::Alter(_)
            | Bound::Drop { .. }
            | Bound::Change(_)
            | Bound::Truncate(..)) => {
                self.check_writable(statement)?;
                self.change(statement, parameters, bound, moment).await
            }
            Bound::Select(query) => {
                let rows = portions(self.select(&query, &moment).await?);
                Ok(Response::Rows { columns: query.result().clone(), rows, tag: "SELECT" })
            }
            Bound::Subscribe(subscribe) => {
                let rows = self.subscribe(&subscribe, &moment)?;
                Ok(Response::Rows { columns: subscribe.columns.into(), rows, tag: "SUBSCRIBE" })
            }
            Bound::CopyFrom { change, columns, format } => {
                self.check_writable(statement)?;
                let copy = CopyIn::new(statement, change, columns, format, &moment, self.drawing.clone());
                Ok(Response::CopyIn(Box::new(copy)))
            }
            Bound::CopyTo { source, format } => self.copy_out(source, format, &moment).await,
            Bound::Explain(lines) => text_rows("QUERY PLAN", lines, "EXPLAIN"),
            Bound::Set(settings) => self.set(&settings),
            Bound::SetConfig { settings, columns } => self.set_config(&settings, columns),
            Bound::Show { name } if name == "all" => {
                text_table(["name", "setting", "description"], self.parameters.all(), "SHOW")
            }
            Bound::Show { name } => {
                let (name, value) = self.parameters.get(&name)?;
                text_rows(name, vec![value], "SHOW")
            }
            Bound::Begin(modes) => self.begin(&modes),
            Bound::Commit { chain } => {
                let committed = self.commit(chain).await;
                self.open_implicit();
                committed
            }
            Bound::Rollback { chain } => {
                let rolled_back = self.rollback(chain);
                self.open_implicit();
                rolled_back
            }
            Bound::Savepoint(action, name) => self.savepoint(action, &name),
            Bound::Prepare(prepare) => self.prepare_statement(prepare),
            Bound::Execute { name } => self.execute_prepared(&name, statement, &moment).await,
            Bound::Declare { name, only_forward, is_held, source } => {
                self.declare(name, only_forward, is_held, source, &moment).await
            }
            Bound::Fetch(fetch) => self.fetch(&fetch).await,
            Bound::Close { name } => self.close_cursor(name.as_deref()),
            Bound::Unlisten => Ok(command("UNLISTEN")),
            Bound::Deallocate { name } => self.deallocate(name.as_deref()),
            Bound::Discard { all: true } => self.discard().await,
            Bound::Discard { all: false } => {
                self.discard_temporary().await?;
                Ok(command("DISCARD TEMP"))
            }
        }
    }

    async fn copy_out(
        &mut self,
        source: RowSource,
        format: CopyFormat,
        moment: &Moment,
    ) -> Result<Response, SqlError> {
        match source {
            RowSource::Query(query) => {
                let rows = portions(self.select(&query, moment).await?);
                Ok(Response::CopyOut { columns: query.columns().to_vec(), rows, format })
            }
            RowSource::Subscribe(subscribe) => {
                let rows = self.subscribe(&subscribe, moment)?;
                Ok(Response::CopyOut { columns: subscribe.columns, rows, format })
            }
        }
    }

    /// SUBSCRIBE, from the statement's AS OF or else from its moment.
    fn subscribe(&mut self, subscribe: &Subscribe, moment: &Moment) -> Result<Portions, SqlError> {
        self.check_untouched(subscribe.relation.id, moment)?;
        subscription::start(&self.server, subscribe, moment)
    }

    /// Follows the relation of a name, which is written as SQL has it: the columns of the rows that come, and these,
    /// with progress. Where `is_woken` is false, progress is told behind changes, and not for its own sake.
    ///
    /// # Errors
    /// 42P01, 42602, 0A000 where there is nothing of that name to follow; 22023 where history does not reach back so far.
    pub(crate) fn follow(
        &mut self,
        relation: &str,
        as_of: Option<Tick>,
        snapshot: bool,
        is_woken: bool,
    ) -> Result<(Vec<Column>, Portions), SqlError> {
        let statement = millrace_sql::subscribe_to(relation, as_of, snapshot)?;
        let moment = self.moment();
        let without_position = |error| SqlError { position: None, ..error };
        match self.bind(&statement, &[], None, &moment.catalog).map_err(without_position)? {
            Bound::Subscribe(subscribe) => {
                let rows = subscription::follow(&self.server, &subscribe, &moment, is_woken)?;
                Ok((subscribe.columns, rows))
            }
            _ => Err(SqlError::internal("SUBSCRIBE follows")),
        }
    }

    /// DISCARD ALL.
    async fn discard(&mut self) -> Result<Response, SqlError> {
        match &self.block {
            Block::None => {
                self.discard_temporary().await?;
                self.cursors.clear();
                self.prepared.clear();
                self.parameters.set("all", None)?;
                Ok(command("DISCARD ALL"))
            }
            Block::Open(_) | Block::Failed { .. } => {
                Err(SqlError::new("25001", "DISCARD ALL cannot run inside a transaction block"))
            }
        }
    }

    /// A parameter as the client has it when it connects.
    ///
    /// # Errors
    /// As SET.
    pub(crate) fn begin_with(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        self.parameters.set(name, Some(value))
    }

    /// SET and RESET.
    fn set(&mut self, settings: &[Setting]) -> Result<Response, SqlError> {
        for setting in settings {
            let is_mode = setting.name.starts_with("transaction_");
            match (setting.reach, &self.block) {
                (Reach::Session, _) if !is_mode => self.set_for_session(setting)?,
                (_, Block::Open(_)) => self.set_for_block(setting)?,
                (reach, Block::None | Block::Failed { .. }) => {
                    let what = if reach == Reach::Local { "SET LOCAL" } else { "SET TRANSACTION" };
                    let message = format!("{what} can only be used in transaction blocks");
                    self.notices.push(Notice::warning("25P01", message));
                }
            }
        }
        let resets = settings.iter().all(|setting| setting.value.is_none());
        Ok(command(if resets { "RESET" } else { "SET" }))
    }

    /// SELECT set_config(…), …: what is for the transaction only does nothing outside of one.
    fn set_config(&mut self, settings: &[Setting], columns: Vec<Column>) -> Result<Response, SqlError> {
        let mut values = Vec::new();
        for setting in settings {
            match (setting.reach, &self.block) {
                (Reach::Local, Block::Open(_)) => self.set_for_block(setting)?,
                (Reach::Local, Block::None | Block::Failed { .. }) => {
                    self.parameters.clone().set(&setting.name, setting.value.as_deref())?;
                }
                (Reach::Session | Reach::Transaction, _) => self.set_for_session(setting)?,
            }
            values.push(self.parameters.get(&setting.name)?.1);
        }
        let types = vec![DataType::Text; values.len()];
        let arrays = values.into_iter().map(|value| Arc::new(StringArray::from(vec![value])) as ArrayRef);
        let row = batch_of(&types, arrays.collect(), 1).map_err(SqlError::internal)?;
        let rows = Box::pin(stream::iter([Ok(Portion::alone(row))]));
        Ok(Response::Rows { columns: columns.into(), rows, tag: "SELECT" })
    }

    /// 25006 where the transaction may only read.
    fn check_writable(&self, statement: &Statement) -> Result<(), SqlError> {
        if self.parameters.show("transaction_read_only").as_deref() != Some("on") {
            return Ok(());
        }
        let what = match &statement.kind {
            StatementKind::CopyFrom(_) => "COPY FROM".to_owned(),
            _ => verb(&statement.text),
        };
        Err(SqlError::new("25006", format!("cannot execute {what} in a read-only transaction")))
    }
}

/// The command of a statement, as its tag begins: `INSERT`, `CREATE TABLE`.
fn verb(text: &str) -> String {
    let mut words = text.split(|char: char| !char.is_ascii_alphabetic()).map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_default();
    let kinds = ["SCHEMA", "TABLE", "VIEW", "MATERIALIZED", "INDEX", "SEQUENCE"];
    match first.as_str() {
        "CREATE" | "ALTER" | "DROP" => {
            let kind = words.find(|word| kinds.contains(&word.as_str())).unwrap_or_default();
            let kind = if kind == "MATERIALIZED" { "MATERIALIZED VIEW".to_owned() } else { kind };
            format!("{first} {kind}")
        }
        _ => first,
    }
}

/// Whether a statement leaves open what the block reads: it reads nothing, or what comes from now on.
fn is_of_no_moment(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Set(_)
            | StatementKind::Show { .. }
            | StatementKind::Begin(_)
            | StatementKind::Prepare(_)
            | StatementKind::Fetch(_)
            | StatementKind::Close { .. }
            | StatementKind::Unlisten
            | StatementKind::Deallocate { .. }
            | StatementKind::Subscribe(_)
            | StatementKind::Declare(Declare { source: CursorSource::Subscribe(_), .. })
            | StatementKind::CopyTo(CopyTo { source: CopySource::Subscribe(_), .. })
    )
}
