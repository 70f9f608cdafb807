//! A bound query: run it over snapshots at one tick, or lower it to a dataflow plan.
//!
//! ```text
//! parser's tree → binder → Rel → lower::optimize ─┬→ lower::lower → engine::Plan   (views)
//!                                                 └→ adhoc::execute → row stream   (everything else)
//! ```
//! Names, types and errors are settled in the binder, by PostgreSQL's rules; from `Rel` on there
//! are only positions.

mod aggregate; // calls of aggregates
mod array; // arrays in expressions
pub(crate) mod binder; // WITH, VALUES, ORDER BY, LIMIT
mod call_in_from; // functions in FROM
mod catalog_function; // functions over the catalogs
pub(crate) mod change; // INSERT, UPDATE, DELETE
mod comparing; // comparisons, BETWEEN, IN
mod explain; // a Rel as text
pub(crate) mod expr; // scalar expressions
pub(crate) mod exprs; // walks over expressions
mod forms; // LIKE, TRIM, INTERVAL, EXTRACT
mod from; // tables and joins
mod function; // calls
mod grouping; // GROUP BY and its sets
mod json; // calls that make JSON
mod names; // names of unaliased columns
mod parts; // sums of numerics by their parts
mod placeholders; // plans for any values
mod outer; // what stands for something outside the relation below
mod regression; // aggregates of two columns
mod record; // the columns of json_to_record
pub(crate) mod rel; // the bound query
mod rows; // row values
pub(crate) mod scope; // what a name can mean
mod select; // SELECT
mod subquery; // sub-queries in expressions
mod surroundings; // what is around a query
mod set_function; // functions that give rows
mod set_operation; // UNION, INTERSECT, EXCEPT
#[cfg(test)]
mod tests;
pub(crate) mod typed; // expressions before they have a type
pub(crate) mod types; // PostgreSQL's names of types
mod unnest; // sub-queries become joins
pub(crate) mod volatile; // random(), and the functions of sequences
mod window; // row_number() OVER (…)

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast;
use futures::Stream;
use millrace_engine::{DataType, Expr, Literal, PlanRef, RelationId, Snapshot, Tick};

use crate::bound::ResultColumns;
use crate::catalog::{Catalog, Column, PUBLIC_PATH, Relation, SearchPath};
use crate::error::SqlError;
use crate::sequence::Sequences;
use crate::zone::{UTC, Zone};
use crate::{adhoc, functions, lower};
use binder::{Binder, BoundQuery, Environment};
use change::STATEMENT_ROWS;
pub use change::{Change, ChangeKind, OnConflict, RowKey};
use expr::ExprBinder;
use rel::{Lookup, Rel};
use scope::Scope;
use typed::ParameterTypes;
use volatile::OF_SEQUENCES;

/// The rows of a running query, in batches.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, SqlError>> + Send>>;

/// What a query reads: for each of its sources, every worker's share at the query's tick.
pub type Snapshots = HashMap<RelationId, Vec<Snapshot>>;

/// What a query reads its rows from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The relations that are scanned.
    pub relations: BTreeSet<RelationId>,
    /// The indexes that are read by key, with the relation of each.
    pub indexes: BTreeMap<RelationId, RelationId>,
}

/// The keys of an index that a query looks up.
#[derive(Clone, Debug)]
pub struct LookedUp {
    /// The index.
    pub index: RelationId,
    /// The types of its keys.
    pub types: Vec<DataType>,
    /// Each key's values.
    pub keys: Vec<Vec<Literal>>,
}

/// What is known of a statement's parameters `$1`, `$2`, … when it is planned.
#[derive(Clone, Copy, Debug)]
enum KnownParameters<'a> {
    /// Their declared types, for Describe; `None` (and those not listed) are inferred from their use.
    Types(&'a [Option<DataType>]),
    /// Their values, for execution.
    Values(&'a [Literal]),
    /// Their types, for a plan that is given values each time it runs.
    Placeholders(&'a [DataType]),
}

/// What a statement's meaning depends on besides its text: its parameters, and the session's time zone, search path
/// and other settings.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    known: KnownParameters<'a>,
    zone: &'a Zone,
    pub(crate) path: &'a SearchPath,
    settings: Option<&'a dyn Settings>,
}

/// The parameters of a session, as SHOW shows them.
pub trait Settings: fmt::Debug + Sync {
    /// The value of a parameter; `None` where there is none of this name.
    fn setting(&self, name: &str) -> Option<String>;
}

impl<'a> Parameters<'a> {
    /// Types where they were declared, for Describe; in UTC.
    pub fn types(types: &'a [Option<DataType>]) -> Parameters<'a> {
        Parameters { known: KnownParameters::Types(types), zone: &UTC, path: &PUBLIC_PATH, settings: None }
    }

    /// Values, for execution; in UTC.
    pub fn values(values: &'a [Literal]) -> Parameters<'a> {
        Parameters { known: KnownParameters::Values(values), zone: &UTC, path: &PUBLIC_PATH, settings: None }
    }

    /// Types, for a plan that is given values each time it runs (`Query::with_values`); in UTC.
    pub fn placeholders(types: &'a [DataType]) -> Parameters<'a> {
        Parameters { known: KnownParameters::Placeholders(types), ..Parameters::types(&[]) }
    }

    /// The same in a time zone.
    pub fn in_zone(self, zone: &'a Zone) -> Parameters<'a> {
        Parameters { zone, ..self }
    }

    /// The same along a search path, with the other parameters of its session.
    pub fn in_session(self, path: &'a SearchPath, settings: &'a dyn Settings) -> Parameters<'a> {
        Parameters { path, settings: Some(settings), ..self }
    }

    /// No parameters, in the same session.
    pub(crate) fn none(self) -> Parameters<'a> {
        Parameters { known: KnownParameters::Values(&[]), ..self }
    }

    /// The value of a session's parameter.
    pub(crate) fn setting(self, name: &str) -> Option<String> {
        self.settings.and_then(|settings| settings.setting(name))
    }

    /// The declared types, or those of the values.
    pub(crate) fn declared(self) -> Vec<DataType> {
        match self.known {
            KnownParameters::Types(types) => types.iter().flatten().copied().collect(),
            KnownParameters::Values(values) => values.iter().map(Literal::data_type).collect(),
            KnownParameters::Placeholders(types) => types.to_vec(),
        }
    }
}

/// A query with names resolved and types known.
#[derive(Clone, Debug)]
pub struct Query {
    rel: Arc<Rel>,
    columns: ResultColumns,
    parameter_types: Vec<DataType>,
    /// What its text names.
    named: BTreeSet<RelationId>,
    /// The values of placeholders, the first one's first.
    values: Arc<[Literal]>,
}

impl Query {
    /// Plans SELECT, VALUES, TABLE.
    ///
    /// # Errors
    /// Whatever the user got wrong, with PostgreSQL's SQLSTATE; 0A000 for what is not there yet.
    pub fn plan(query: &ast::Query, catalog: &Catalog, parameters: Parameters) -> Result<Query, SqlError> {
        let binder = Binder::new(catalog, parameters);
        let bound = binder.bind_query(query, &Environment::new(), None)?;
        let query = Query::new(bound, &binder)?;
        Ok(Query { parameter_types: binder.parameters.finish()?, ..query })
    }

    /// A bound query, or one of those that a statement is made of: then its parameters are the statement's.
    fn new(bound: BoundQuery, binder: &Binder) -> Result<Query, SqlError> {
        if outer::is_correlated(&bound.rel) || outer::has_places(&bound.rel) {
            return Err(SqlError::internal("an outer reference is left in the plan"));
        }
        let columns: Vec<Column> =
            bound.columns().into_iter().map(|(name, data_type)| Column::new(name, data_type, true)).collect();
        let columns = ResultColumns::new(columns, bound.origins);
        let mut rel = lower::optimize(bound.rel);
        lower::choose_indexes(&mut rel, binder.catalog);
        let rel = Arc::new(rel);
        let named = binder.named.borrow().clone();
        Ok(Query { rel, columns, parameter_types: Vec::new(), named, values: Arc::default() })
    }

    /// The relations that the query's own text names: views, too, of which it reads the tables.
    pub(crate) fn named(&self) -> &BTreeSet<RelationId> {
        &self.named
    }

    /// The parameters' types, `$1` first.
    pub fn parameter_types(&self) -> &[DataType] {
        &self.parameter_types
    }

    /// The result's columns, named and typed as PostgreSQL would.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The same with where they come from.
    pub fn result(&self) -> &ResultColumns {
        &self.columns
    }

    /// The columns of a relation that the query's answer depends on.
    pub(crate) fn columns_read(&self, relation: RelationId) -> BTreeSet<usize> {
        self.rel.columns_read(relation)
    }

    /// The relations that the query reads, each once.
    pub fn relations(&self) -> Vec<RelationId> {
        self.rel.relations().into_iter().filter(|relation| *relation != STATEMENT_ROWS).collect()
    }

    /// What the query looks up: each index with the types of its keys, and the keys at this tick.
    ///
    /// # Errors
    /// Those of a key that cannot be computed.
    pub fn looked_up(&self, tick: Tick) -> Result<Vec<LookedUp>, SqlError> {
        let mut found = Vec::new();
        self.rel.visit(&mut |rel| {
            if let Rel::Scan { by: Some(lookup), .. } = rel {
                found.push(lookup.clone());
            }
        });
        let keys = |lookup: &Lookup| {
            Ok(LookedUp {
                index: lookup.index,
                types: lookup.keys.iter().map(|key| key.data_type).collect(),
                keys: adhoc::keys(lookup, tick, &self.values)?,
            })
        };
        found.iter().map(keys).collect()
    }

    /// What has to be read to run the query: relations, and indexes for those scans that can do with some
    /// keys. Where an index cannot be read, or is not complete, the relation that it is of is read instead.
    pub fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        for (index, relation) in self.rel.relations_and_indexes() {
            match index {
                Some(index) => sources.indexes.extend([(index, relation)]),
                None if relation == STATEMENT_ROWS => {}
                None => sources.relations.extend([relation]),
            }
        }
        sources
    }

    /// Runs the query. Batches have the types of `columns()`. Must be polled on a tokio runtime.
    ///
    /// # Errors
    /// What planning or the first rows raise; later errors come through the stream. A relation in
    /// error gives that error.
    pub fn execute(&self, snapshots: Snapshots, tick: Tick) -> Result<RowStream, SqlError> {
        let given = adhoc::Given { snapshots, rows: None, tick, sequences: None, values: &self.values };
        adhoc::execute(&self.rel, given)
    }

    /// Runs the query, or a part of a change, as a session does: over rows that its statement has at hand, in
    /// their order, and with values of sequences.
    ///
    /// # Errors
    /// As `execute`; `WANTED` where values of a sequence are not at hand.
    pub fn execute_in(
        &self,
        snapshots: Snapshots,
        rows: Option<RecordBatch>,
        tick: Tick,
        sequences: Arc<dyn Sequences>,
    ) -> Result<RowStream, SqlError> {
        let given = adhoc::Given { snapshots, rows, tick, sequences: Some(sequences), values: &self.values };
        adhoc::execute(&self.rel, given)
    }

    /// Whether it asks for values of sequences, or moves one, so that it has to run to its end.
    pub fn draws(&self) -> bool {
        let mut draws = false;
        let of_sequences = |name: &str| OF_SEQUENCES.contains(&name);
        self.rel.visit_exprs(&mut |expr| draws |= exprs::calls_any(expr, &of_sequences));
        draws
    }

    /// The plan that maintains the query.
    ///
    /// # Errors
    /// 0A000 for what cannot be maintained yet, 42P17 for what never can (`random()`).
    pub fn lower(&self) -> Result<PlanRef, SqlError> {
        lower::lower(&self.rel)
    }

    /// The optimised query as text, one line an operator: for EXPLAIN.
    pub fn explain(&self) -> Vec<String> {
        self.rel.to_string().lines().map(str::to_owned).collect()
    }
}

/// An expression that an index of `relation` is by: over the relation's columns, with its type (none for
/// NULL and a quoted literal) and the name that its column has.
///
/// # Errors
/// What binding it raises; 42P17 where its value does not follow from the row alone.
pub(crate) fn index_expression(
    relation: &Relation,
    expr: &ast::Expr,
) -> Result<(Expr, Option<DataType>, String), SqlError> {
    let scope = change::table_scope(relation, &relation.name);
    let parameters = ParameterTypes::new(Parameters::values(&[]));
    let typed = ExprBinder::new(&scope, &parameters, "index expressions").bind(expr)?;
    let data_type = typed.full_type();
    let expr_bound = parameters.as_type(typed, data_type.unwrap_or(DataType::Text))?;
    let is_stable = |name: &str| name == "now" || functions::depends_on_session(name);
    if exprs::volatile_call(&expr_bound).is_some() || exprs::calls_any(&expr_bound, &is_stable) {
        return Err(SqlError::new("42P17", "functions in index expression must be marked IMMUTABLE"));
    }
    Ok((expr_bound, data_type, names::name_in_index(expr)))
}

/// The value of an expression without columns, as a type.
///
/// # Errors
/// What binding and computing it raise.
pub(crate) fn constant(
    expr: &ast::Expr,
    to: DataType,
    clause: &'static str,
    parameters: Parameters,
) -> Result<Literal, SqlError> {
    let (scope, parameters) = (Scope::default(), ParameterTypes::new(parameters));
    let typed = ExprBinder::new(&scope, &parameters, clause).bind(expr)?;
    adhoc::constant(&parameters.as_type(typed, to)?, 0)
}

/// The types of the parameters in expressions without columns, each of which is to have a type.
///
/// # Errors
/// What binding them raises; 42P18 for a parameter that nothing gives a type.
pub(crate) fn parameter_types<'e>(
    exprs: impl Iterator<Item = (&'e ast::Expr, DataType)>,
    clause: &'static str,
    parameters: Parameters,
) -> Result<Vec<DataType>, SqlError> {
    let (scope, parameters) = (Scope::default(), ParameterTypes::new(parameters));
    for (expr, to) in exprs {
        let typed = ExprBinder::new(&scope, &parameters, clause).bind(expr)?;
        parameters.as_type(typed, to)?;
    }
    parameters.finish()
}

/// The value of an argument of EXECUTE, the parameter of this position from 0, as the parameter's type.
///
/// # Errors
/// 42804 where its type cannot be assigned to that one; what binding and computing it raise.
pub(crate) fn argument_value(
    at: usize,
    argument: &ast::Expr,
    to: DataType,
    parameters: Parameters,
    tick: Tick,
) -> Result<Literal, SqlError> {
    let (scope, parameters) = (Scope::default(), ParameterTypes::new(parameters));
    let typed = ExprBinder::new(&scope, &parameters, "EXECUTE parameters").bind(argument)?;
    if let Some(from) = typed.data_type()
        && !binder::assignable(from, to)
    {
        let (from, to) = (types::display(from), types::display(to));
        let message =
            format!("parameter ${} of type {from} cannot be coerced to the expected type {to}", at + 1);
        return Err(SqlError::new("42804", message).hint("You will need to rewrite or cast the expression."));
    }
    adhoc::constant(&parameters.as_type(typed, to)?, tick)
}
