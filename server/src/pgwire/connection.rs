//! A client's connection after its start: one loop over messages, each answered before the next.
//!
//! ```text
//!  message ─► Query ──────────────────────────► answers, ReadyForQuery
//!          ─► Parse, Bind, Describe, Execute ─► answers; an error skips all messages up to Sync
//!          ─► Sync ───────────────────────────► the pipeline's transaction ends, ReadyForQuery
//! ```

use std::collections::HashMap;

use ::pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus as Status,
};
use ::pgwire::messages::startup::ParameterStatus;
use millrace_sql::{SqlError, Statement};

use super::copying::{copy_in, copy_out};
use super::extended::Portal;
use super::fault::{Fault, error_response, notice_response};
use super::message::{Message, Target};
use super::rows::{Format, Rows, row_description};
use super::wire::Wire;
use crate::session::{Response, Session, TransactionStatus, rows_tag};

/// A client's connection: its socket, its session, and the portals, which only the wire knows.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) session: Session,
    /// Portals by name. None outlives its transaction.
    pub(crate) portals: HashMap<String, Portal>,
    /// An extended-protocol message failed: everything up to Sync is skipped.
    skipping: bool,
    /// Executes since the last Sync are one implicit transaction.
    pub(crate) pipeline: bool,
}

impl Connection {
    /// A connection of a session that has been greeted.
    pub(crate) fn new(wire: Wire, session: Session) -> Connection {
        Connection { wire, session, portals: HashMap::new(), skipping: false, pipeline: false }
    }

    /// Serves until the client leaves or the connection must end.
    pub(crate) async fn serve(mut self) {
        match self.answer_all().await {
            Err(Fault::Fatal(error) | Fault::Statement(error)) => self.wire.goodbye(&error).await,
            Ok(()) | Err(Fault::Lost) => {}
        }
    }

    /// Never returns but with the fault that ends the connection.
    async fn answer_all(&mut self) -> Result<(), Fault> {
        self.ready()?;
        loop {
            let message = self.wire.message().await?;
            self.answer(message).await?;
        }
    }

    async fn answer(&mut self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Query(text) => self.query(&text).await,
            Message::Unreadable { simple: true, error } => self.query_failed(error).await,
            Message::Sync => self.sync().await,
            Message::Flush => self.wire.flush().await,
            Message::Terminate => Err(Fault::Lost),
            // What a client still sends of a COPY that failed.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
            extended @ (Message::Parse { .. }
            | Message::Bind(_)
            | Message::Describe(_)
            | Message::Execute { .. }
            | Message::Close(_)
            | Message::Unreadable { simple: false, .. }) => self.extended(extended).await,
        }
    }

    /// A message of the extended protocol; after an error all of them are skipped until Sync.
    async fn extended(&mut self, message: Message) -> Result<(), Fault> {
        if self.skipping {
            return Ok(());
        }
        self.wire.begin(self.session.statement_timeout());
        let answered = match message {
            Message::Parse { name, sql, types } => self.parse(name, &sql, types).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name),
            Message::Describe(Target::Portal(name)) => self.describe_portal(&name),
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close(target) => self.close(&target),
            Message::Unreadable { error, .. } => Err(Fault::Statement(error)),
            other => Err(Fault::Fatal(SqlError::internal(format!("not an extended message: {other:?}")))),
        };
        self.wire.end();
        match answered {
            Err(Fault::Statement(error)) => {
                self.skipping = true;
                self.failed(&error)
            }
            other => other,
        }
    }

    /// Sync: the pipeline's transaction ends here.
    async fn sync(&mut self) -> Result<(), Fault> {
        let failed = std::mem::take(&mut self.skipping);
        if std::mem::take(&mut self.pipeline) {
            self.wire.begin(self.session.statement_timeout());
            match self.wire.run(self.session.end_implicit(failed)).await {
                Err(Fault::Statement(error)) => self.failed(&error)?,
                other => other?,
            }
        }
        self.ready()?;
        self.wire.flush().await
    }

    /// A text of statements: one implicit transaction, each answered as it finishes.
    async fn query(&mut self, text: &str) -> Result<(), Fault> {
        // A Query replaces the unnamed statement and portal.
        self.session.forget_prepared("");
        self.portals.remove("");
        self.skipping = false;
        match self.run_text(text).await {
            Err(Fault::Statement(error)) => self.query_failed(error).await,
            Ok(()) => {
                self.ready()?;
                self.wire.flush().await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn query_failed(&mut self, error: SqlError) -> Result<(), Fault> {
        self.wire.end();
        self.pipeline = false;
        self.failed(&error)?;
        // What failed is forgotten: there is nothing left that could fail again.
        match self.wire.run(self.session.end_implicit(true)).await {
            Ok(()) | Err(Fault::Statement(_)) => {}
            Err(fault) => return Err(fault),
        }
        self.ready()?;
        self.wire.flush().await
    }

    async fn run_text(&mut self, text: &str) -> Result<(), Fault> {
        self.wire.begin(self.session.statement_timeout());
        let session = &self.session;
        let statements = self.wire.run(async { session.parse(text) }).await?;
        if statements.is_empty() {
            self.wire.send(&EmptyQueryResponse::new())?;
        }
        let several = statements.len() > 1 || std::mem::take(&mut self.pipeline);
        for (at, statement) in statements.iter().enumerate() {
            let last = at + 1 == statements.len();
            self.wire.begin(self.session.statement_timeout());
            if several {
                self.session.begin_implicit();
            }
            let tag = self.run_statement(statement).await?;
            if several && last {
                // The last answer is the acknowledgement of all: it waits for the commit.
                self.wire.run(self.session.end_implicit(false)).await?;
            }
            self.complete(tag)?;
            self.wire.flush().await?;
        }
        Ok(())
    }

    /// Runs a statement of a Query and sends its rows; the tag is left to the caller.
    async fn run_statement(&mut self, statement: &Statement) -> Result<Option<String>, Fault> {
        let response = self.wire.run(self.session.execute(statement, &[])).await?;
        if let Response::Rows { columns, rows, tag } = response {
            let formats = vec![Format::Text; columns.len()];
            self.wire.send(&row_description(&columns, &formats))?;
            let mut rows = Rows::new(rows, self.session.zone());
            let (count, _) = rows.send(&mut self.wire, &formats, usize::MAX).await?;
            return Ok(Some(rows_tag(tag, count)));
        }
        self.finish_response(response).await
    }

    /// Everything but rows, which differ between the protocols.
    pub(crate) async fn finish_response(&mut self, response: Response) -> Result<Option<String>, Fault> {
        match response {
            Response::Empty => {
                self.wire.send(&EmptyQueryResponse::new())?;
                Ok(None)
            }
            Response::Command { tag } => Ok(Some(tag)),
            Response::CopyIn(copy) => copy_in(&mut self.wire, &mut self.session, *copy).await.map(Some),
            Response::CopyOut { columns, rows, format } => {
                copy_out(&mut self.wire, &columns, Rows::new(rows, self.session.zone()), &format)
                    .await
                    .map(Some)
            }
            Response::Rows { .. } => {
                Err(Fault::Statement(SqlError::internal("rows are sent by each protocol itself")))
            }
        }
    }

    /// CommandComplete, and before it what the statement had to say.
    pub(crate) fn complete(&mut self, tag: Option<String>) -> Result<(), Fault> {
        self.tell_notices()?;
        match tag {
            Some(tag) => self.wire.send(&CommandComplete::new(tag)),
            None => Ok(()),
        }
    }

    fn tell_notices(&mut self) -> Result<(), Fault> {
        for notice in self.session.take_notices() {
            self.wire.send(&notice_response(&notice))?;
        }
        Ok(())
    }

    /// ErrorResponse. The transaction has failed and with it every portal.
    fn failed(&mut self, error: &SqlError) -> Result<(), Fault> {
        self.session.fail();
        self.portals.clear();
        self.tell_notices()?;
        self.wire.send(&error_response(error))
    }

    /// ReadyForQuery, and before it the parameters that changed.
    fn ready(&mut self) -> Result<(), Fault> {
        self.wire.idle();
        for (name, value) in self.session.changed_parameters() {
            self.wire.send(&ParameterStatus::new(name, value))?;
        }
        let status = match self.session.transaction_status() {
            TransactionStatus::Idle => {
                self.portals.clear();
                Status::Idle
            }
            TransactionStatus::InBlock => Status::Transaction,
            TransactionStatus::Failed => Status::Error,
        };
        self.wire.send(&ReadyForQuery::new(status))
    }
}
