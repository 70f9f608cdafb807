//! The extended protocol: prepared statements and portals.
//!
//! Parse keeps a statement with its parameters' types and its columns; Bind makes it a portal with
//! values; Execute runs the portal, whole or in portions.

use ::pgwire::messages::data::{NoData, ParameterDescription};
use ::pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use bytes::Bytes;
use millrace_engine::{DataType, Literal};
use millrace_sql::{Column, Description, SqlError, Statement, Zone};

use super::connection::{Connection, no_statement, rows_tag};
use super::fault::Fault;
use super::message::{Bind, Target};
use super::rows::{Format, Rows, row_description};
use super::types::{parameter_oid, parameter_type, read_parameter};
use crate::session::Response;

/// The most prepared statements, and the most portals, of one connection.
const NAMES_MAX: usize = 10_000;

/// A prepared statement.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// `None`: the text was empty.
    statement: Option<Statement>,
    description: Description,
    /// The parameters' oids as the client knows them.
    oids: Vec<u32>,
}

/// A prepared statement with its parameters' values, perhaps half run.
pub(crate) struct Portal {
    statement: Option<Statement>,
    columns: Option<Vec<Column>>,
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
        self.check_new_name(&name)?;
        let types = oids.iter().map(|oid| parameter_type(*oid)).collect::<Result<Vec<_>, _>>()?;
        let session = &self.session;
        let (statement, description) = self
            .wire
            .run(async {
                let statement = single(session.parse(sql)?)?;
                let description = match &statement {
                    Some(statement) => session.describe(statement, &types)?,
                    None => Description::default(),
                };
                Ok((statement, description))
            })
            .await?;
        let oids = known_oids(&oids, &description.parameters);
        self.statements.insert(name, Prepared { statement, description, oids });
        self.wire.send(&ParseComplete::new())
    }

    /// The unnamed statement is replaced silently, a named one never.
    fn check_new_name(&self, name: &str) -> Result<(), SqlError> {
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(SqlError::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        if self.statements.len() >= NAMES_MAX {
            return Err(SqlError::new("53000", format!("more than {NAMES_MAX} prepared statements")));
        }
        Ok(())
    }

    /// Bind: values for a prepared statement's parameters.
    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Fault> {
        let prepared = self.statements.get(&bind.statement).ok_or_else(|| no_statement(&bind.statement))?;
        let portal = prepared.bind(&bind, &self.session.zone())?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(SqlError::new("42P03", format!("cursor \"{}\" already exists", bind.portal)).into());
        }
        if self.portals.len() >= NAMES_MAX {
            return Err(SqlError::new("53000", format!("more than {NAMES_MAX} portals")).into());
        }
        self.portals.insert(bind.portal, portal);
        self.wire.send(&BindComplete::new())
    }

    /// Describe of a statement: its parameters and its columns.
    pub(crate) fn describe_statement(&mut self, name: &str) -> Result<(), Fault> {
        let prepared = self.statements.get(name).ok_or_else(|| no_statement(name))?;
        self.wire.send(&ParameterDescription::new(prepared.oids.clone()))?;
        match &prepared.description.columns {
            Some(columns) => self.wire.send(&row_description(columns, &[])),
            None => self.wire.send(&NoData::new()),
        }
    }

    /// Describe of a portal: its columns in the formats that Bind chose.
    pub(crate) fn describe_portal(&mut self, name: &str) -> Result<(), Fault> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        match &portal.columns {
            Some(columns) => self.wire.send(&row_description(columns, &portal.formats)),
            None => self.wire.send(&NoData::new()),
        }
    }

    /// Close: no error where the name is unknown.
    pub(crate) fn close(&mut self, target: &Target) -> Result<(), Fault> {
        match target {
            Target::Statement(name) => drop(self.statements.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        self.wire.send(&CloseComplete::new())
    }

    /// Execute: runs the portal, or goes on with it, up to `rows_max` rows.
    pub(crate) async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Fault> {
        // Taken out while it runs: a portal that fails does not come back.
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
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

    async fn start(&mut self, portal: &mut Portal, rows_max: usize) -> Result<(), Fault> {
        let Some(statement) = &portal.statement else {
            let empty = self.finish_response(Response::Empty).await?;
            return self.complete(empty);
        };
        // An Execute with Sync right behind it is alone in its transaction: it commits by itself,
        // before its CommandComplete. Else the pipeline's statements commit together at Sync.
        if self.pipeline || !self.wire.next_is_sync() {
            self.session.begin_implicit();
            self.pipeline = true;
        }
        let response = self.wire.run(self.session.execute(statement, &portal.parameters)).await?;
        if let Response::Rows { columns, rows, tag } = response {
            portal.check_columns(&columns)?;
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

/// The one statement of a Parse; `None` where the text is empty.
fn single(mut statements: Vec<Statement>) -> Result<Option<Statement>, SqlError> {
    if statements.len() > 1 {
        return Err(SqlError::new("42601", "cannot insert multiple commands into a prepared statement"));
    }
    Ok(statements.pop())
}

/// The client's oids where it gave some, ours elsewhere.
fn known_oids(declared: &[u32], described: &[DataType]) -> Vec<u32> {
    let declared = declared.iter().copied().chain(std::iter::repeat(0));
    described.iter().zip(declared).map(|(data_type, oid)| parameter_oid(oid, *data_type)).collect()
}

impl Prepared {
    /// A portal of this statement with these values.
    fn bind(&self, bind: &Bind, zone: &Zone) -> Result<Portal, SqlError> {
        let expected = self.oids.len();
        let supplied = bind.parameters.len();
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
        let parameters = (0..expected)
            .map(|at| self.value(at, bind.parameters[at].as_ref(), formats[at], zone))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = self.description.columns.clone();
        let count = columns.as_ref().map_or(0, Vec::len);
        let formats = Format::expand(&bind.result_formats, count, || {
            format!(
                "bind message has {} result formats but query has {count} columns",
                bind.result_formats.len()
            )
        })?;
        Ok(Portal { statement: self.statement.clone(), columns, parameters, formats, state: State::Bound })
    }

    fn value(
        &self,
        at: usize,
        bytes: Option<&Bytes>,
        format: Format,
        zone: &Zone,
    ) -> Result<Literal, SqlError> {
        let target = self.description.parameters[at];
        let Some(bytes) = bytes else { return Ok(Literal::Null(target)) };
        read_parameter(bytes, format == Format::Binary, self.oids[at], target, zone).map_err(|error| {
            match error.detail {
                Some(_) => error,
                None => error.detail(format!("Parameter ${}.", at + 1)),
            }
        })
    }
}

impl Portal {
    /// The client was told of columns at Describe; since then somebody may have changed a relation.
    fn check_columns(&self, columns: &[Column]) -> Result<(), SqlError> {
        let told = self.columns.as_deref().unwrap_or(&[]);
        let same = told.len() == columns.len()
            && told
                .iter()
                .zip(columns)
                .all(|(told, now)| told.name == now.name && told.data_type == now.data_type);
        if same { Ok(()) } else { Err(SqlError::new("0A000", "cached plan must not change result type")) }
    }
}

/// 34000
fn no_portal(name: &str) -> SqlError {
    SqlError::new("34000", format!("portal \"{name}\" does not exist"))
}
