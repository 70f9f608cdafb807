//! Statement → bound statement: names are looked up, types found, everything checked that can be
//! checked without data. Pure: the catalog is a value, and what is bound holds what it needs of it.

mod alter; // ALTER TABLE and its kin
mod change; // INSERT, UPDATE, DELETE, TRUNCATE
mod comment; // COMMENT ON
mod copy; // COPY
mod create; // CREATE VIEW, CREATE MATERIALIZED VIEW
mod drop; // DROP, with what depends on it
mod execute; // PREPARE, EXECUTE, DECLARE
mod follow; // SUBSCRIBE
mod index; // CREATE INDEX
mod locate; // where in the text a query's error lies
mod relations; // schemas, relations and columns by name
mod schema; // CREATE SCHEMA, ALTER SCHEMA
mod sequence; // CREATE SEQUENCE, ALTER SEQUENCE
mod set_config; // SELECT set_config(…)
mod table; // CREATE TABLE
#[cfg(test)]
mod tests; // goldens of what each statement is bound to, and of its errors

pub(crate) use self::create::named;
pub use self::execute::arguments;
pub(crate) use self::relations::{is_an_index, no_schema, relation};
pub(crate) use self::sequence::of_relation as sequence_of;

use datafusion::sql::sqlparser::ast;
use millrace_engine::DataType;

use crate::bound::{Bound, Description};
use crate::catalog::{Catalog, Column, Found, Relation};
use crate::error::SqlError;
use crate::explain;
use crate::parse::Source;
use crate::query::{Change, Parameters, Query};
use crate::statement::{RelationName, Statement, StatementKind};

/// What every binding needs: where names are looked up, and where errors point.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) parameters: Parameters<'a>,
    source: &'a Source,
}

impl<'a> Scope<'a> {
    /// What the name of a relation means to the session.
    pub(crate) fn lookup(&self, name: &RelationName) -> Option<Found<'a>> {
        self.catalog.lookup(name.schema.as_deref(), &name.value, self.parameters.path)
    }

    /// What a message calls a relation.
    pub(crate) fn described(&self, relation: &Relation) -> String {
        self.catalog.described(relation, self.parameters.path)
    }

    /// Plans a query; its errors point into the text.
    pub(crate) fn plan(&self, query: &ast::Query) -> Result<Query, SqlError> {
        Query::plan(query, self.catalog, self.parameters).map_err(|error| self.locate(error, query))
    }

    /// Plans the query of a view, which cannot have parameters.
    pub(crate) fn plan_view(&self, query: &ast::Query) -> Result<Query, SqlError> {
        Scope { parameters: self.parameters.none(), ..*self }.plan(query)
    }

    /// Adds the position to an error of a piece of syntax, if it can be found.
    pub(crate) fn locate(&self, error: SqlError, syntax: &impl ast::Visit) -> SqlError {
        locate::locate(error, syntax, self.source)
    }
}

/// Binds a statement with the values of its parameters, in the session's time zone.
///
/// # Errors
/// Whatever the user got wrong, with PostgreSQL's SQLSTATE; 0A000 for what is not there yet.
pub fn bind(statement: &Statement, catalog: &Catalog, parameters: Parameters) -> Result<Bound, SqlError> {
    let scope = Scope { catalog, parameters, source: &statement.source };
    Ok(match &statement.kind {
        StatementKind::CreateSchema(create) => schema::create(create, &scope)?,
        StatementKind::RenameSchema(name, to) => schema::rename(name, to, &scope)?,
        StatementKind::DropSchema(drop) => drop::schemas(drop, &scope)?,
        StatementKind::CreateTable(create) => table::create(create, &scope)?,
        StatementKind::CreateTableAs(create) => table::create_as(create, &scope)?,
        StatementKind::CreateView(create) => create::view(create, &scope)?,
        StatementKind::CreateIndex(create) => index::create(create, &scope)?,
        StatementKind::CreateSequence(create) => sequence::create(create, &scope)?,
        StatementKind::Alter(alter) => alter::alter(alter, &scope)?,
        StatementKind::Comment(comment) => comment::comment(comment, &scope)?,
        StatementKind::AlterSequence(alter) => sequence::alter(alter, &scope)?,
        StatementKind::Drop(drop) => drop::drop(drop, &scope)?,
        StatementKind::Insert(insert) => Bound::Change(change::insert(insert, &scope)?),
        StatementKind::Update(update) => Bound::Change(change::update(update, &scope)?),
        StatementKind::Delete(delete) => Bound::Change(change::delete(delete, &scope)?),
        StatementKind::Truncate(truncate) => change::truncate(truncate, &scope)?,
        StatementKind::Select(query) => match set_config::calls(query) {
            Some(calls) => calls.bind(&scope)?,
            None => Bound::Select(scope.plan(query)?),
        },
        StatementKind::Subscribe(subscribe) => Bound::Subscribe(follow::subscribe(subscribe, &scope)?),
        StatementKind::CopyFrom(from) => copy::from(from, &scope)?,
        StatementKind::CopyTo(to) => copy::to(to, &scope)?,
        StatementKind::Explain(explain) => Bound::Explain(explain::explain(explain, &scope)?),
        StatementKind::Set(settings) => Bound::Set(settings.clone()),
        StatementKind::Show { name } => Bound::Show { name: name.clone() },
        StatementKind::Begin(modes) => Bound::Begin(modes.clone()),
        StatementKind::Commit { chain } => Bound::Commit { chain: *chain },
        StatementKind::Rollback { chain } => Bound::Rollback { chain: *chain },
        StatementKind::Savepoint(action, name) => Bound::Savepoint(*action, name.value.clone()),
        StatementKind::Prepare(prepare) => Bound::Prepare(prepare.clone()),
        StatementKind::Execute(execute) => Bound::Execute { name: execute.name.clone() },
        StatementKind::Declare(declare) => execute::declare(declare, &scope)?,
        StatementKind::Fetch(fetch) => Bound::Fetch(fetch.clone()),
        StatementKind::Close { name } => Bound::Close { name: name.clone() },
        StatementKind::Unlisten => Bound::Unlisten,
        StatementKind::Deallocate { name } => Bound::Deallocate { name: name.clone() },
        StatementKind::Discard { all } => Bound::Discard { all: *all },
        StatementKind::Refused(error) => return Err(error.clone()),
    })
}

/// What a client learns of a statement before it runs. As in PostgreSQL, only queries and changes of
/// rows are looked at: any other CREATE or DROP may be prepared before what it names exists. The columns of EXECUTE and of
/// FETCH only the session knows.
///
/// # Errors
/// As `bind`.
pub fn describe(
    statement: &Statement,
    catalog: &Catalog,
    parameters: Parameters,
) -> Result<Description, SqlError> {
    let scope = Scope { catalog, parameters, source: &statement.source };
    let declared = || parameters.declared();
    let rows = |columns: Vec<Column>| Description { parameters: declared(), columns: Some(columns.into()) };
    Ok(match &statement.kind {
        StatementKind::Select(query) => match set_config::calls(query) {
            Some(calls) => calls.describe(&scope)?,
            None => {
                let query = scope.plan(query)?;
                Description {
                    parameters: query.parameter_types().to_vec(),
                    columns: Some(query.result().clone()),
                }
            }
        },
        StatementKind::Insert(insert) => of_change(&change::insert(insert, &scope)?),
        StatementKind::Update(update) => of_change(&change::update(update, &scope)?),
        StatementKind::Delete(delete) => of_change(&change::delete(delete, &scope)?),
        StatementKind::CreateTableAs(create) => {
            Description { parameters: scope.plan(&create.query)?.parameter_types().to_vec(), columns: None }
        }
        StatementKind::Subscribe(subscribe) => rows(follow::subscribe(subscribe, &scope)?.columns),
        StatementKind::Explain(_) => rows(vec![text_column("QUERY PLAN")]),
        StatementKind::Show { name } => rows(shown_columns(name)),
        StatementKind::Declare(declare) => execute::declared(declare, &scope)?,
        StatementKind::Refused(error) => return Err(error.clone()),
        StatementKind::CreateSchema(_)
        | StatementKind::RenameSchema(..)
        | StatementKind::DropSchema(_)
        | StatementKind::CreateTable(_)
        | StatementKind::CreateView(_)
        | StatementKind::CreateIndex(_)
        | StatementKind::CreateSequence(_)
        | StatementKind::AlterSequence(_)
        | StatementKind::Alter(_)
        | StatementKind::Comment(_)
        | StatementKind::Drop(_)
        | StatementKind::Truncate(_)
        | StatementKind::CopyFrom(_)
        | StatementKind::CopyTo(_)
        | StatementKind::Set(_)
        | StatementKind::Begin(_)
        | StatementKind::Commit { .. }
        | StatementKind::Rollback { .. }
        | StatementKind::Savepoint(..)
        | StatementKind::Prepare(_)
        | StatementKind::Execute(_)
        | StatementKind::Fetch(_)
        | StatementKind::Close { .. }
        | StatementKind::Unlisten
        | StatementKind::Deallocate { .. }
        | StatementKind::Discard { .. } => Description { parameters: declared(), columns: None },
    })
}

/// A change of rows takes parameters, and returns rows where it says RETURNING.
fn of_change(change: &Change) -> Description {
    let columns = change.returning.as_ref().map(|returning| returning.result().clone());
    Description { parameters: change.parameter_types.clone(), columns }
}

/// The columns of SHOW; PostgreSQL writes some parameters in mixed case.
fn shown_columns(name: &str) -> Vec<Column> {
    match name {
        "all" => ["name", "setting", "description"].map(text_column).to_vec(),
        "timezone" => vec![text_column("TimeZone")],
        "datestyle" => vec![text_column("DateStyle")],
        "intervalstyle" => vec![text_column("IntervalStyle")],
        other => vec![text_column(other)],
    }
}

fn text_column(name: &str) -> Column {
    Column::new(name.to_owned(), DataType::Text, false)
}
