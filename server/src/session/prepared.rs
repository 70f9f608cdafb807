//! Prepared statements: one store for those of Parse and those of PREPARE, as in PostgreSQL. EXECUTE runs
//! either, DEALLOCATE and Close forget either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use millrace_engine::{DataType, Literal};
use millrace_sql::{
    Bound, Catalog, Column, Description, Prepare, ResultColumns, SavepointAction, SqlError, Statement,
    StatementKind,
};

use crate::coordinator::Moment;
use crate::pgwire::wire_type;
use crate::session::block::command;
use crate::session::parameters::OwnValues;
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
    plan: Mutex<Plan>,
}

/// What is kept of the runs of a prepared query, or change of rows.
#[derive(Default)]
enum Plan {
    /// It has not run.
    #[default]
    New,
    /// It has run once.
    Run,
    /// A plan for any values, while nothing changes that it was made with. What reads other things for some values
    /// than for others has none.
    Kept { made_with: MadeWith, plan: Option<Box<Bound>> },
}

/// What the meaning of a statement's text depends on.
struct MadeWith {
    /// It is never changed but replaced, and is not kept for the plan's sake.
    catalog: Weak<Catalog>,
    settings: OwnValues,
}

impl MadeWith {
    fn is(&self, catalog: &Arc<Catalog>, settings: &OwnValues) -> bool {
        std::ptr::eq(self.catalog.as_ptr(), Arc::as_ptr(catalog)) && self.settings == *settings
    }
}

impl Prepared {
    fn new(statement: Option<Statement>, description: Description, declared: Vec<u32>) -> Prepared {
        Prepared { statement, description, declared, plan: Mutex::default() }
    }
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
        self.keep(name, Prepared::new(statement, description, declared));
        Ok(())
    }

    /// PREPARE.
    pub(super) fn prepare_statement(&mut self, prepare: Prepare) -> Result<Response, SqlError> {
        self.check_new_name(&prepare.name)?;
        let Prepare { name, types, statement } = prepare;
        let description = self.describe(&statement, &types)?;
        self.keep(&name, Prepared::new(Some(*statement), description, Vec::new()));
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
        let response = Box::pin(self.run(statement, &arguments, Some(&prepared))).await;
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

    /// A statement, bound, before anything is done. A prepared query, or change of rows, that has run before is not
    /// bound anew while nothing has changed.
    pub(super) fn bind(
        &self,
        statement: &Statement,
        values: &[Literal],
        prepared: Option<&Prepared>,
        catalog: &Arc<Catalog>,
    ) -> Result<Bound, SqlError> {
        let bind = |known: millrace_sql::Parameters| {
            let (zone, path) = (self.zone(), self.path());
            millrace_sql::bind(statement, catalog, known.in_zone(&zone).in_session(&path, &self.parameters))
        };
        let own = || {
            let bound = bind(millrace_sql::Parameters::values(values))?;
            check_told(prepared, &bound)?;
            Ok(bound)
        };
        let Some(prepared) = prepared.filter(|_| is_planned(&statement.kind)) else { return own() };
        let settings = self.parameters.own_values();
        let mut plan = prepared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        match &*plan {
            Plan::New => *plan = Plan::Run,
            Plan::Kept { made_with, plan } if made_with.is(catalog, settings) => {
                let filled = plan.as_ref().and_then(|plan| filled(plan, values));
                return filled.map_or_else(own, Ok);
            }
            Plan::Run | Plan::Kept { .. } => {
                let bound = own()?;
                let types = &prepared.description.parameters;
                let for_any = bind(millrace_sql::Parameters::placeholders(types)).ok();
                let for_any = for_any.filter(|for_any| reads_alike(for_any, &bound));
                let made_with = MadeWith { catalog: Arc::downgrade(catalog), settings: settings.clone() };
                *plan = Plan::Kept { made_with, plan: for_any.map(Box::new) };
                return Ok(bound);
            }
        }
        own()
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

/// Whether a statement has a plan that is worth to be kept.
fn is_planned(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Select(_)
            | StatementKind::Insert(_)
            | StatementKind::Update(_)
            | StatementKind::Delete(_)
    )
}

/// Whether two plans of one statement read the same relations, by the same indexes.
fn reads_alike(one: &Bound, other: &Bound) -> bool {
    if let (Bound::Select(one), Bound::Select(other)) = (one, other) {
        return one.sources() == other.sources();
    }
    if let (Bound::Change(one), Bound::Change(other)) = (one, other) {
        return one.sources() == other.sources();
    }
    false
}

/// A plan with values of its placeholders.
fn filled(plan: &Bound, values: &[Literal]) -> Option<Bound> {
    if let Bound::Select(query) = plan {
        return Some(Bound::Select(query.with_values(values)));
    }
    if let Bound::Change(change) = plan {
        return Some(Bound::Change(change.with_values(values)));
    }
    None
}

/// Fails where a client was told of other columns than a query, or a change of rows, has now.
fn check_told(prepared: Option<&Prepared>, bound: &Bound) -> Result<(), SqlError> {
    let Some(prepared) = prepared else { return Ok(()) };
    let told = prepared.description.columns.as_deref();
    if let Bound::Select(query) = bound {
        return check_columns(told, query.columns());
    }
    if let Bound::Change(change) = bound {
        return check_columns(told, change.returning.as_ref().map_or(&[], |returning| returning.columns()));
    }
    Ok(())
}

/// The client was told of columns before; since then somebody may have changed a relation.
///
/// # Errors
/// 0A000
pub(crate) fn check_columns(told: Option<&[Column]>, now: &[Column]) -> Result<(), SqlError> {
    let told = told.unwrap_or(&[]);
    let is_same = |(told, now): (&Column, &Column)| {
        // A numeric of a fixed scale and one of any are one type.
        told.name == now.name && wire_type(told.data_type) == wire_type(now.data_type)
    };
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
