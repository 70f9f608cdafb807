//! `POST /v1/sql`: statements, through the same session that psql's go through.
//!
//! Several statements are one implicit transaction. Rows are streamed. A short answer is sent when all is over, with
//! the status that it deserves; one that is longer than `WHOLE_BYTES_MAX` begins before its end is known. Where such
//! a one fails, the error is its last line and the connection is cut in the middle of the body.
//! **Invariant:** an answer that came whole, with status 200, is of statements that have all succeeded and are durable.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use millrace_engine::Literal;
use millrace_sql::{Column, SqlError, Statement, StatementKind, text_form};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::failure::Failure;
use super::tables::IDEMPOTENCY_KEY;
use super::values::{JsonRows, write_string};
use super::{Http, body};
use crate::ingest::json::text_of;
use crate::pgwire::utf8;
use crate::portion::Portions;
use crate::session::{Response as Answer, Session, TransactionStatus, rows_tag};

/// An answer of so many bytes is sent with the status that it deserves.
const WHOLE_BYTES_MAX: usize = 1 << 20;

/// A longer one is sent in pieces of about so many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    query: Option<String>,
    params: Option<Vec<Box<RawValue>>>,
    queries: Option<Vec<Query>>,
}

/// One query of several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    query: String,
    params: Option<Vec<Box<RawValue>>>,
}

/// What is run, one after the other.
enum Step {
    /// A statement without parameters.
    Plain(Box<Statement>),
    /// A text of one statement, with the values of its parameters.
    WithValues(String, Vec<Box<RawValue>>),
}

/// POST /v1/sql
pub(super) async fn sql(
    State(http): State<Arc<Http>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    check_headers(&headers)?;
    let body = body::read(&http, &headers, body).await?;
    let session = super::session(&http.server);
    let mut answering = Answering::new(steps(&session, &body.bytes)?, session);
    drop(body);
    let is_whole = answering.go_on(WHOLE_BYTES_MAX).await?;
    let text = answering.out.split().freeze();
    let body = match is_whole {
        true => Body::from(text),
        false => Body::from_stream(stream::iter([Ok(text)]).chain(pieces(answering))),
    };
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    if !given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let message = format!("the content type is application/json, not \"{given}\"");
        return Err(Failure::of_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if headers.contains_key(IDEMPOTENCY_KEY) {
        return Err(SqlError::unsupported("an Idempotency-Key for statements")
            .hint("POST /v1/tables/{name} has it.")
            .into());
    }
    Ok(())
}

/// What a body asks for. Texts are parsed before the first statement runs.
fn steps(session: &Session, body: &[u8]) -> Result<Vec<Step>, Failure> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        let error = SqlError::new("22P02", "the body cannot be read").detail(format!("{error}."));
        Failure::from(
            error.hint("It is {\"query\": …, \"params\": […]} or {\"queries\": [{\"query\": …}, …]}."),
        )
    })?;
    let queries = match asked {
        Asked { query: Some(query), params, queries: None } => vec![Query { query, params }],
        Asked { query: None, params: None, queries: Some(queries) } => queries,
        Asked { .. } => {
            let error = SqlError::new("22023", "a body has either \"query\" or \"queries\"");
            return Err(error.hint("\"params\" stands beside its \"query\".").into());
        }
    };
    let mut steps = Vec::new();
    for Query { query, params } in queries {
        let statements =
            session.parse(&query).map_err(|error| Failure::of_statement(error, steps.len() + 1))?;
        for (at, statement) in statements.iter().enumerate() {
            check_kind(&statement.kind)
                .map_err(|error| Failure::of_statement(error, steps.len() + at + 1))?;
        }
        match params {
            Some(values) => steps.push(Step::WithValues(query, values)),
            None => steps.extend(statements.into_iter().map(|statement| Step::Plain(Box::new(statement)))),
        }
    }
    Ok(steps)
}

/// What is about the bytes of a connection, or outlives a request, is not for requests.
fn check_kind(kind: &StatementKind) -> Result<(), SqlError> {
    let (what, hint) = match kind {
        StatementKind::Subscribe(_) => ("SUBSCRIBE", "Use GET /v1/subscribe/{view}."),
        StatementKind::CopyFrom(_) => ("COPY FROM STDIN", "Use POST /v1/tables/{name}."),
        StatementKind::CopyTo(_) => ("COPY TO STDOUT", "Use SELECT, whose rows are streamed."),
        StatementKind::Declare(_) | StatementKind::Fetch(_) | StatementKind::Close { .. } => {
            ("a cursor", "Use SELECT, whose rows are streamed.")
        }
        _ => return Ok(()),
    };
    Err(SqlError::unsupported(format!("{what} over HTTP")).hint(hint))
}

/// An answer while it is written.
struct Answering {
    session: Session,
    steps: std::vec::IntoIter<Step>,
    /// The statements are one implicit transaction.
    are_several: bool,
    /// How many have begun.
    begun: usize,
    next: Part,
    out: BytesMut,
}

/// What is written next.
enum Part {
    Start,
    /// A statement, or the end.
    Between,
    /// Rows of a statement.
    Rows(Box<Rows>),
    End,
}

struct Rows {
    rows: Portions,
    columns: Vec<Column>,
    tag: &'static str,
    /// The batch at hand, and its first row that was not written.
    batch: Option<(RecordBatch, usize)>,
    count: u64,
    /// How long the next rows may take.
    time: Option<Duration>,
}

impl Answering {
    fn new(steps: Vec<Step>, session: Session) -> Answering {
        let are_several = steps.len() > 1;
        let (steps, out) = (steps.into_iter(), BytesMut::new());
        Answering { session, steps, are_several, begun: 0, next: Part::Start, out }
    }

    /// Writes until there are so many bytes; whether the answer is whole.
    async fn go_on(&mut self, bytes: usize) -> Result<bool, Failure> {
        while self.out.len() < bytes {
            let part = std::mem::replace(&mut self.next, Part::End);
            self.next = match part {
                Part::Start => {
                    self.out.put_slice(b"{\"results\":[");
                    Part::Between
                }
                Part::Between => self.next_statement().await.map_err(|error| self.failed(error))?,
                Part::Rows(rows) => {
                    self.write_rows(*rows, bytes).await.map_err(|error| self.failed(error))?
                }
                Part::End => return Ok(true),
            };
        }
        Ok(matches!(self.next, Part::End))
    }

    fn failed(&self, error: SqlError) -> Failure {
        Failure::of_statement(error, self.begun)
    }

    async fn next_statement(&mut self) -> Result<Part, SqlError> {
        let Some(step) = self.steps.next() else {
            self.end().await?;
            self.out.put_slice(b"]}\n");
            return Ok(Part::End);
        };
        self.begun += 1;
        if self.are_several {
            self.session.begin_implicit();
        }
        if self.begun > 1 {
            self.out.put_u8(b',');
        }
        let time = self.session.statement_timeout();
        match within(time, self.run(step)).await? {
            Answer::Empty => self.write_tag(""),
            Answer::Command { tag } => self.write_tag(&tag),
            Answer::Rows { columns, rows, tag } => {
                let columns = columns.to_vec();
                self.write_columns(&columns);
                return Ok(Part::Rows(Box::new(Rows { rows, columns, tag, batch: None, count: 0, time })));
            }
            Answer::CopyIn(_) | Answer::CopyOut { .. } => {
                return Err(SqlError::unsupported("COPY over HTTP"));
            }
        }
        Ok(Part::Between)
    }

    async fn run(&mut self, step: Step) -> Result<Answer, SqlError> {
        let (text, values) = match step {
            Step::Plain(statement) => return self.session.execute(&statement, &[]).await,
            Step::WithValues(text, values) => (text, values),
        };
        self.session.forget_prepared("");
        self.session.prepare_text("", &text, Vec::new(), &[])?;
        let prepared = self.session.prepared("")?;
        let types = &prepared.description.parameters;
        if types.len() != values.len() {
            let (given, wanted) = (values.len(), types.len());
            let message = format!("{given} params were given, but the statement has {wanted} parameters");
            return Err(SqlError::new("08P01", message));
        }
        let zone = self.session.zone();
        let mut literals = Vec::with_capacity(values.len());
        for (at, (value, data_type)) in values.iter().zip(types).enumerate() {
            let text = text_of(value.get(), *data_type);
            let literal = text.and_then(|text| match text {
                None => Ok(Literal::Null(*data_type)),
                Some(text) => text_form::parse(utf8(text.as_bytes())?, *data_type, &zone),
            });
            literals.push(literal.map_err(|error| match error.detail {
                Some(_) => error,
                None => error.detail(format!("Parameter ${}.", at + 1)),
            })?);
        }
        self.session.execute_bound(&prepared, &literals).await
    }

    /// Ends the transaction.
    async fn end(&mut self) -> Result<(), SqlError> {
        if self.are_several {
            let time = self.session.statement_timeout();
            within(time, self.session.end_implicit(false)).await?;
        }
        if self.session.transaction_status() == TransactionStatus::Idle {
            return Ok(());
        }
        Err(SqlError::new("25001", "the request ended inside a transaction block, which was rolled back")
            .hint(
                "End it with COMMIT, or leave BEGIN away: the statements of a request are one transaction.",
            ))
    }

    async fn write_rows(&mut self, mut rows: Rows, bytes: usize) -> Result<Part, SqlError> {
        let zone = self.session.zone();
        loop {
            let (batch, first) = match rows.batch.take() {
                Some(batch) => batch,
                None => {
                    let next = within(rows.time, async { rows.rows.next().await.transpose() }).await?;
                    let Some(portion) = next else { break };
                    (portion.rows, 0)
                }
            };
            let json = JsonRows::new(&batch, &rows.columns, &zone)?;
            for row in first..batch.num_rows() {
                if self.out.len() >= bytes {
                    rows.batch = Some((batch, row));
                    return Ok(Part::Rows(Box::new(rows)));
                }
                if rows.count > 0 {
                    self.out.put_u8(b',');
                }
                json.write_array(row, &mut self.out);
                rows.count += 1;
            }
        }
        self.out.put_slice(b"],");
        self.write_rest(&rows_tag(rows.tag, rows.count));
        Ok(Part::Between)
    }

    fn write_columns(&mut self, columns: &[Column]) {
        self.out.put_slice(b"{\"columns\":[");
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                self.out.put_u8(b',');
            }
            self.out.put_slice(b"{\"name\":");
            write_string(&column.name, &mut self.out);
            self.out.put_slice(b",\"type\":");
            write_string(&column.data_type.to_string(), &mut self.out);
            self.out.put_u8(b'}');
        }
        self.out.put_slice(b"],\"rows\":[");
    }

    /// A result without rows.
    fn write_tag(&mut self, tag: &str) {
        self.out.put_u8(b'{');
        self.write_rest(tag);
    }

    /// The tag, and what the statement had to say.
    fn write_rest(&mut self, tag: &str) {
        self.out.put_slice(b"\"tag\":");
        write_string(tag, &mut self.out);
        let notices = self.session.take_notices();
        if !notices.is_empty() {
            let notice = |notice: &crate::session::Notice| serde_json::json!({ "severity": notice.severity, "code": notice.sqlstate, "message": notice.message });
            let notices: Vec<serde_json::Value> = notices.iter().map(notice).collect();
            self.out.put_slice(format!(",\"notices\":{}", serde_json::Value::from(notices)).as_bytes());
        }
        self.out.put_u8(b'}');
    }
}

/// What comes in time.
///
/// # Errors
/// 57014
async fn within<T>(
    time: Option<Duration>,
    what: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    match time {
        None => what.await,
        Some(time) => timeout(time, what)
            .await
            .unwrap_or_else(|_| Err(SqlError::new("57014", "canceling statement due to statement timeout"))),
    }
}

/// The rest of a long answer.
fn pieces(answering: Answering) -> impl futures::Stream<Item = Result<Bytes, Failed>> {
    stream::unfold(Some(Ok(answering)), |state| async move {
        match state? {
            Err(failed) => Some((Err(failed), None)),
            Ok(mut answering) => match answering.go_on(PIECE_BYTES).await {
                Ok(true) => Some((Ok(answering.out.split().freeze()), None)),
                Ok(false) => Some((Ok(answering.out.split().freeze()), Some(Ok(answering)))),
                Err(failure) => {
                    let error = serde_json::json!({ "error": failure.to_json() });
                    answering.out.put_slice(format!("\n{error}\n").as_bytes());
                    // The error behind it cuts the connection.
                    Some((Ok(answering.out.split().freeze()), Some(Err(Failed))))
                }
            },
        }
    })
}

/// The statement failed after its answer had begun.
#[derive(Debug, thiserror::Error)]
#[error("the statement failed while its rows were being sent")]
struct Failed;
