//! Prepared statements: one store for those of Parse and those of PREPARE, as in PostgreSQL. EXECUTE runs
//! either, DEALLOCATE and Close forget either.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_engine::{DataType, Literal};
use millrace_sql::{
    Column, Description, Prepare, ResultColumns, SavepointAction, SqlError, Statement, StatementKind,
};

use crate::coordinator::Moment;
use crate::session::block::command;
use crate::session::{Response, Session};

/// The most prepared statements of one session.
pub(crate) const STATEMENTS_MAX: usize = 10_000;

/// A prepared statement.
pub(crate) struct Prepared {
    /// `None`: the text was empty.
    pub(crate) statement: Option<Statement>,
    pub(crate) description: Description,
    /// The oids that Parse gave for the first parameters; 0 where it left one open.
    pub(crate) declared: Vec<u32>,
}

/// The prepared statements of a session by name; the unnamed one has the empty name.
#[derive(Default)]
pub(super) struct Store {
    by_name: HashMap<String, Arc<Prepared>>,
}

impl Store {
    fn find(&self, name: &str) -> Option<&Arc<Prepared>> {
        self.by_name.get(name)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.by_name.clear();
    }
}

impl Session {
    /// Parse: prepares the one statement of a text. `types` are those that the client means with `declared`.
    ///
    /// # Errors
    /// 42P05 where the name is taken, 53000 where there are too many; what parsing and binding raise.
    pub(crate) fn prepare_text(
        &mut self,
        name: &str,
        sql: &str,
        declared: Vec<u32>,
        types: &[Option<DataType>],
    ) -> Result<(), SqlError> {
        self.check_new_name(name)?;
        let statement = single(self.parse(sql)?)?;
        if !matches!(&statement, Some(statement) if ends_block(statement)) {
            self.check_block_is_whole()?;
        }
        let description = match &statement {
            Some(statement) => self.describe(statement, types)?,
            None => Description::default(),
        };
        self.keep(name, Prepared { statement, description, declared });
        Ok(())
    }

    /// PREPARE.
    pub(super) fn prepare_statement(&mut self, prepare: Prepare) -> Result<Response, SqlError> {
        self.check_new_name(&prepare.name)?;
        let Prepare { name, types, statement } = prepare;
        let description = self.describe(&statement, &types)?;
        self.keep(&name, Prepared { statement: Some(*statement), description, declared: Vec::new() });
        Ok(command("PREPARE"))
    }

    /// EXECUTE: the statement is run as if it had come by itself, with the arguments as its parameters.
    pub(super) async fn execute_prepared(
        &mut self,
        name: &str,
        execute: &Statement,
        moment: &Moment,
    ) -> Result<Response, SqlError> {
        let prepared = self.prepared(name)?;
        let Some(statement) = &prepared.statement else { return Ok(Response::Empty) };
        if matches!(statement.kind, StatementKind::Execute(_)) {
            return Err(SqlError::unsupported("EXECUTE of a prepared EXECUTE"));
        }
        let arguments = self.arguments(execute, &prepared.description.parameters, moment)?;
        // Positions point into the text of the prepared statement, which the client did not send now.
        let response = Box::pin(self.run(statement, &arguments)).await;
        let response = response.map_err(|error| SqlError { position: None, ..error })?;
        if let Response::Rows { columns, .. } = &response {
            check_columns(prepared.description.columns.as_deref(), columns)?;
        }
        Ok(response)
    }

    fn arguments(
        &self,
        execute: &Statement,
        types: &[DataType],
        moment: &Moment,
    ) -> Result<Vec<Literal>, SqlError> {
        let (zone, path) = (self.zone(), self.path());
        let known = millrace_sql::Parameters::values(&[]).in_zone(&zone).in_session(&path, &self.parameters);
        millrace_sql::arguments(execute, types, &moment.catalog, known, moment.tick)
    }

    /// The prepared statement of a name.
    ///
    /// # Errors
    /// 26000
    pub(crate) fn prepared(&self, name: &str) -> Result<Arc<Prepared>, SqlError> {
        self.prepared.find(name).cloned().ok_or_else(|| no_statement(name))
    }

    /// The columns that a prepared statement has now: those of EXECUTE and of FETCH are another's.
    pub(crate) fn columns_now(&self, prepared: &Prepared) -> Option<ResultColumns> {
        match &prepared.statement {
            Some(statement) => match self.columns_of_another(&statement.kind) {
                Some(columns) => columns,
                None => prepared.description.columns.clone(),
            },
            None => None,
        }
    }

    /// The columns of EXECUTE and FETCH, which only the session knows; none while what they name is not there.
    pub(super) fn columns_of_another(&self, kind: &StatementKind) -> Option<Option<ResultColumns>> {
        match kind {
            StatementKind::Execute(execute) => {
                let prepared = self.prepared.find(&execute.name);
                Some(prepared.and_then(|prepared| prepared.description.columns.clone()))
            }
            StatementKind::Fetch(fetch) if fetch.is_move => Some(None),
            StatementKind::Fetch(fetch) => Some(self.cursor_columns(&fetch.name).cloned()),
            _ => None,
        }
    }

    /// Close: nothing where the name is unknown.
    pub(crate) fn forget_prepared(&mut self, name: &str) {
        self.prepared.by_name.remove(name);
    }

    /// DEALLOCATE.
    pub(super) fn deallocate(&mut self, name: Option<&str>) -> Result<Response, SqlError> {
        match name {
            None => {
                self.prepared.clear();
                Ok(command("DEALLOCATE ALL"))
            }
            Some(name) => match self.prepared.by_name.remove(name) {
                Some(_) => Ok(command("DEALLOCATE")),
                None => Err(no_statement(name)),
            },
        }
    }

    /// The unnamed statement can be replaced, a name is given once.
    fn check_new_name(&self, name: &str) -> Result<(), SqlError> {
        if !name.is_empty() && self.prepared.find(name).is_some() {
            return Err(SqlError::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        if self.prepared.by_name.len() >= STATEMENTS_MAX {
            return Err(SqlError::new("53000", format!("more than {STATEMENTS_MAX} prepared statements")));
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, prepared: Prepared) {
        self.prepared.by_name.insert(name.to_owned(), Arc::new(prepared));
    }
}

/// The client was told of columns before; since then somebody may have changed a relation.
///
/// # Errors
/// 0A000
pub(crate) fn check_columns(told: Option<&[Column]>, now: &[Column]) -> Result<(), SqlError> {
    let told = told.unwrap_or(&[]);
    let is_same = |(told, now): (&Column, &Column)| told.name == now.name && told.data_type == now.data_type;
    if told.len() == now.len() && told.iter().zip(now).all(is_same) {
        return Ok(());
    }
    Err(SqlError::new("0A000", "cached plan must not change result type"))
}

/// Whether a statement is heard in a block that has failed.
fn ends_block(statement: &Statement) -> bool {
    matches!(
        statement.kind,
        StatementKind::Commit { .. }
            | StatementKind::Rollback { .. }
            | StatementKind::Savepoint(SavepointAction::RollbackTo, _)
    )
}

/// The one statement of a Parse; `None` where the text is empty.
fn single(mut statements: Vec<Statement>) -> Result<Option<Statement>, SqlError> {
    if statements.len() > 1 {
        return Err(SqlError::new("42601", "cannot insert multiple commands into a prepared statement"));
    }
    Ok(statements.pop())
}

/// 26000
fn no_statement(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        _ => format!("prepared statement \"{name}\" does not exist"),
    };
    SqlError::new("26000", message)
}
