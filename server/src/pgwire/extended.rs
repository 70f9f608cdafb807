//! The extended protocol: prepared statements and portals.
//!
//! Parse keeps a statement with its parameters' types and its columns; Bind makes it a portal with
//! values; Execute runs the portal, whole or in portions.

use std::sync::Arc;

use ::pgwire::messages::data::{NoData, ParameterDescription};
use ::pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use bytes::Bytes;
use millrace_engine::{DataType, Literal};
use millrace_sql::{ResultColumns, SqlError, Zone};

use super::connection::Connection;
use super::fault::Fault;
use super::message::{Bind, Target};
use super::rows::{Format, Rows, row_description};
use super::types::{parameter_oid, parameter_type, read_parameter};
use crate::session::prepared::{Prepared, check_columns};
use crate::session::{Response, rows_tag};

/// The most portals of one connection.
const PORTALS_MAX: usize = 10_000;

/// A prepared statement with its parameters' values, perhaps half run.
pub(crate) struct Portal {
    prepared: Arc<Prepared>,
    columns: Option<ResultColumns>,
    parameters: Vec<Literal>,
    formats: Vec<Format>,
    state: State,
}

/// How far a portal has run.
enum State {
    Bound,
    /// Some rows are sent, others are not.
    Suspended(Rows, &'static str),
    /// All rows are sent: there are no more.
    Exhausted(&'static str),
    /// A command, or a portal that failed: it cannot run again.
    Done,
}

impl Connection {
    /// Parse: errors of the statement's text, names and types come here.
    pub(crate) async fn parse(&mut self, name: String, sql: &str, oids: Vec<u32>) -> Result<(), Fault> {
        let types = oids.iter().map(|oid| parameter_type(*oid)).collect::<Result<Vec<_>, _>>()?;
        let session = &mut self.session;
        self.wire.run(async { session.prepare_text(&name, sql, oids, &types) }).await?;
        self.wire.send(&ParseComplete::new())
    }

    /// Bind: values for a prepared statement's parameters.
    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let prepared = self.session.prepared(&bind.statement)?;
        let columns = self.session.columns_now(&prepared);
        let portal = Portal::new(&prepared, columns, &bind, &self.session.zone())?;
        let is_taken = self.portals.contains_key(&bind.portal) || self.session.has_cursor(&bind.portal);
        if !bind.portal.is_empty() && is_taken {
            return Err(SqlError::new("42P03", format!("cursor \"{}\" already exists", bind.portal)).into());
        }
        if self.portals.len() >= PORTALS_MAX {
            return Err(SqlError::new("53000", format!("more than {PORTALS_MAX} portals")).into());
        }
        self.portals.insert(bind.portal, portal);
        self.wire.send(&BindComplete::new())
    }

    /// Describe of a statement: its parameters and its columns.
    pub(crate) fn describe_statement(&mut self, name: &str) -> Result<(), Fault> {
        let prepared = self.session.prepared(name)?;
        self.wire.send(&ParameterDescription::new(oids(&prepared)))?;
        match self.session.columns_now(&prepared) {
            Some(columns) => self.wire.send(&row_description(&columns, &[])),
            None => self.wire.send(&NoData::new()),
        }
    }

    /// Describe of a portal: its columns in the formats that Bind chose. A cursor's are text.
    pub(crate) fn describe_portal(&mut self, name: &str) -> Result<(), Fault> {
        let (columns, formats) = match self.portals.get(name) {
            Some(portal) => (portal.columns.as_ref(), portal.formats.as_slice()),
            None => (Some(self.session.cursor_columns(name).ok_or_else(|| no_portal(name))?), [].as_slice()),
        };
        match columns {
            Some(columns) => self.wire.send(&row_description(columns, formats)),
            None => self.wire.send(&NoData::new()),
        }
    }

    /// Close: no error where the name is unknown.
    pub(crate) fn close(&mut self, target: &Target) -> Result<(), Fault> {
        match target {
            Target::Statement(name) => self.session.forget_prepared(name),
            Target::Portal(name) if self.portals.remove(name).is_some() => {}
            Target::Portal(name) => self.session.forget_cursor(name),
        }
        self.wire.send(&CloseComplete::new())
    }

    /// Execute: runs the portal, or goes on with it, up to `rows_max` rows.
    pub(crate) async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Fault> {
        // Taken out while it runs: a portal that fails does not come back.
        let Some(mut portal) = self.portals.remove(name) else {
            return self.fetch_from_cursor(name, rows_max).await;
        };
        match std::mem::replace(&mut portal.state, State::Done) {
            State::Bound => self.start(&mut portal, rows_max).await?,
            State::Suspended(rows, tag) => self.portion(&mut portal, rows, tag, rows_max).await?,
            State::Exhausted(tag) => {
                portal.state = State::Exhausted(tag);
                self.complete(Some(rows_tag(tag, 0)))?;
            }
            State::Done => {
                return Err(SqlError::new("55000", format!("portal \"{name}\" cannot be run")).into());
            }
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// Execute of a cursor that DECLARE has made: its next rows.
    async fn fetch_from_cursor(&mut self, name: &str, rows_max: usize) -> Result<(), Fault> {
        if !self.session.has_cursor(name) {
            return Err(no_portal(name).into());
        }
        let response = self.wire.run(self.session.fetch_next(name, rows_max)).await?;
        let Response::Rows { columns, rows, .. } = response else {
            return Err(SqlError::internal("a cursor gives rows").into());
        };
        let formats = vec![Format::Text; columns.len()];
        let mut rows = Rows::new(rows, self.session.zone());
        let (count, _) = rows.send(&mut self.wire, &formats, usize::MAX).await?;
        if count == rows_max as u64 {
            return self.wire.send(&PortalSuspended::new());
        }
        self.complete(Some(rows_tag("SELECT", count)))
    }

    async fn start(&mut self, portal: &mut Portal, rows_max: usize) -> Result<(), Fault> {
        if portal.prepared.statement.is_none() {
            let empty = self.finish_response(Response::Empty).await?;
            return self.complete(empty);
        }
        // An Execute with Sync right behind it is alone in its transaction: it commits by itself,
        // before its CommandComplete. Else the pipeline's statements commit together at Sync.
        if self.pipeline || !self.wire.next_is_sync() {
            self.session.begin_implicit();
            self.pipeline = true;
        }
        let response =
            self.wire.run(self.session.execute_bound(&portal.prepared, &portal.parameters)).await?;
        if let Response::Rows { columns, rows, tag } = response {
            check_columns(portal.columns.as_deref(), &columns)?;
            return self.portion(portal, Rows::new(rows, self.session.zone()), tag, rows_max).await;
        }
        let tag = self.finish_response(response).await?;
        self.complete(tag)
    }

    /// Sends the next portion of rows.
    async fn portion(
        &mut self,
        portal: &mut Portal,
        mut rows: Rows,
        tag: &'static str,
        rows_max: usize,
    ) -> Result<(), Fault> {
        let (count, finished) = rows.send(&mut self.wire, &portal.formats, rows_max).await?;
        if finished {
            portal.state = State::Exhausted(tag);
            self.complete(Some(rows_tag(tag, count)))
        } else {
            portal.state = State::Suspended(rows, tag);
            self.wire.send(&PortalSuspended::new())
        }
    }
}

/// The oids of a statement's parameters: the client's own where it gave some, ours elsewhere.
fn oids(prepared: &Prepared) -> Vec<u32> {
    let declared = prepared.declared.iter().copied().chain(std::iter::repeat(0));
    let described = prepared.description.parameters.iter();
    described.zip(declared).map(|(data_type, oid)| parameter_oid(oid, *data_type)).collect()
}

impl Portal {
    /// A portal of a prepared statement, which has these columns, with the values of Bind.
    fn new(
        prepared: &Arc<Prepared>,
        columns: Option<ResultColumns>,
        bind: &Bind,
        zone: &Zone,
    ) -> Result<Portal, SqlError> {
        let targets = &prepared.description.parameters;
        let (expected, supplied) = (targets.len(), bind.parameters.len());
        if supplied != expected {
            let message = format!(
                "bind message supplies {supplied} parameters, but prepared statement \"{}\" requires {expected}",
                bind.statement
            );
            return Err(SqlError::new("08P01", message));
        }
        let formats = Format::expand(&bind.parameter_formats, expected, || {
            format!(
                "bind message has {} parameter formats but {expected} parameters",
                bind.parameter_formats.len()
            )
        })?;
        let (oids, given) = (oids(prepared), bind.parameters.iter());
        let parameters = given
            .enumerate()
            .map(|(at, bytes)| value(at, bytes.as_ref(), formats[at], oids[at], targets[at], zone))
            .collect::<Result<Vec<_>, _>>()?;
        let count = columns.as_ref().map_or(0, |columns| columns.len());
        let formats = Format::expand(&bind.result_formats, count, || {
            format!(
                "bind message has {} result formats but query has {count} columns",
                bind.result_formats.len()
            )
        })?;
        let prepared = Arc::clone(prepared);
        Ok(Portal { prepared, columns, parameters, formats, state: State::Bound })
    }
}

/// The value of a parameter, whose position from 0 an error's detail tells.
fn value(
    at: usize,
    bytes: Option<&Bytes>,
    format: Format,
    oid: u32,
    target: DataType,
    zone: &Zone,
) -> Result<Literal, SqlError> {
    let Some(bytes) = bytes else { return Ok(Literal::Null(target)) };
    read_parameter(bytes, format == Format::Binary, oid, target, zone).map_err(|error| match error.detail {
        Some(_) => error,
        None => error.detail(format!("Parameter ${}.", at + 1)),
    })
}

/// 34000
fn no_portal(name: &str) -> SqlError {
    SqlError::new("34000", format!("portal \"{name}\" does not exist"))
}
