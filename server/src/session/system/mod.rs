//! The system relations, made when a query asks for them.
//!
//! Those of `pg_catalog` and `information_schema` follow from the catalog of the query's moment. What
//! the schema `millrace` tells of the relations the workers have to say.
//!
//! The workers are asked once for all, between two of their steps, also while views hydrate; the
//! answers come through callbacks, so nothing waits on a thread. Rows in error are read at the query's
//! tick, as any read of the relations would be.

mod builtin; // functions, operators, casts
mod cells; // rows by the names of their columns
mod classes; // pg_class, pg_attribute, pg_attrdef, pg_type
mod constraints; // pg_index, pg_constraint, and the texts of both
mod fixed; // what is the same in every database
mod information_schema;
mod names; // pg_tables, pg_views and their kin
mod sequences; // pg_sequence and its kin

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use millrace_engine::{DataError, DataType, EngineError, RelationReport, RowShape, Snapshot, Tick, batch_of};
use millrace_sql::{Catalog, Relation, RelationKind, SearchPath, SqlError, SystemRelation};

use super::parameters::Parameters;
use super::read::read_error;
use crate::coordinator::{Moment, is_provisional};
use crate::engines::{Engines, Wanted};
use crate::server::Server;
use cells::Table;

/// What of a session its system relations show.
pub(super) struct Looking<'s> {
    /// Where it looks up unqualified names.
    pub(super) path: SearchPath,
    /// What `pg_settings` shows.
    pub(super) parameters: &'s Parameters,
}

/// The rows of a system relation at a moment, which the caller keeps held.
///
/// # Errors
/// 57P01 where the workers have stopped.
pub(super) async fn snapshot(
    server: &Server,
    relation: SystemRelation,
    moment: &Moment,
    session: &Looking<'_>,
) -> Result<Snapshot, SqlError> {
    let (catalog, path) = (&moment.catalog, &session.path);
    let of = |table: Table| table.columns(relation);
    let columns = match relation {
        SystemRelation::Frontiers => frontiers(&reports(server.engines(), &moment.catalog).await?, moment),
        SystemRelation::Hydration => hydration(&reports(server.engines(), &moment.catalog).await?, moment),
        SystemRelation::ViewErrors => view_errors(&errors(server.engines(), moment).await?),
        SystemRelation::Sizes => of(names::sizes(catalog, &reports(server.engines(), catalog).await?)),
        SystemRelation::Names => of(names::names(catalog, path)),
        SystemRelation::Signatures => of(builtin::signatures()),
        SystemRelation::Definitions => of(constraints::definitions(catalog)),
        SystemRelation::AccessMethods => of(fixed::access_methods()),
        SystemRelation::Defaults => of(classes::defaults(catalog, path)),
        SystemRelation::Attributes => of(classes::attributes(catalog)),
        SystemRelation::Casts => of(builtin::casts()),
        SystemRelation::Classes => of(classes::classes(catalog)),
        SystemRelation::Collations => of(fixed::collations()),
        SystemRelation::Constraints => of(constraints::constraints(catalog)),
        SystemRelation::Databases => of(fixed::databases()),
        SystemRelation::Dependencies => of(sequences::dependencies(catalog)),
        SystemRelation::Descriptions => of(classes::comments(catalog)),
        SystemRelation::Indexes => of(constraints::indexes(catalog)),
        SystemRelation::IndexTexts => of(names::indexes(catalog)),
        SystemRelation::Functions => of(builtin::functions()),
        SystemRelation::Languages => of(builtin::languages()),
        SystemRelation::MaterializedViews => of(names::materialized_views(catalog)),
        SystemRelation::Namespaces => of(fixed::namespaces(catalog)),
        SystemRelation::Operators => of(builtin::operators()),
        SystemRelation::Roles => of(fixed::roles()),
        SystemRelation::Sequences => of(sequences::sequences(catalog)),
        SystemRelation::SequenceTexts => of(sequences::texts(catalog)),
        SystemRelation::Settings => of(fixed::settings(&session.parameters.all())),
        SystemRelation::Tables => of(names::tables(catalog)),
        SystemRelation::Tablespaces => of(fixed::tablespaces()),
        SystemRelation::Types => of(fixed::types()),
        SystemRelation::Users => of(fixed::users()),
        SystemRelation::Views => of(names::views(catalog)),
        SystemRelation::InformationColumns => of(information_schema::columns(catalog, path)),
        SystemRelation::InformationKeys => of(information_schema::key_column_usage(catalog)),
        SystemRelation::InformationSchemata => of(information_schema::schemata(catalog)),
        SystemRelation::InformationSequences => of(sequences::information(catalog)),
        SystemRelation::InformationConstraints => of(information_schema::table_constraints(catalog)),
        SystemRelation::InformationTables => of(information_schema::tables(catalog)),
        SystemRelation::InformationViews => of(information_schema::views(catalog)),
        SystemRelation::Vacant(_) => of(Table::vacant()),
    };
    let types: Vec<DataType> = relation.columns().iter().map(|column| column.data_type).collect();
    let rows = columns.first().map_or(0, |column| column.len());
    let batch = batch_of(&types, columns, rows).map_err(SqlError::internal)?;
    Ok(Snapshot::of_rows(&RowShape::new(&types), moment.tick, &batch, 1)?)
}

/// How the relations of a catalog stand on all workers.
///
/// # Errors
/// 57P01 where the workers have stopped.
pub(crate) async fn reports(
    engines: &Engines,
    catalog: &Catalog,
) -> Result<Vec<(Arc<Relation>, RelationReport)>, SqlError> {
    let answers = engines.inspect().await.map_err(|_| stopped())?;
    // A relation that was dropped since has no name to be shown under.
    let named = |report: RelationReport| Some((catalog.by_id(report.relation)?.clone(), report));
    Ok(RelationReport::merge(answers).into_iter().filter_map(named).collect())
}

fn stopped() -> SqlError {
    SqlError::new("57P01", "the workers have stopped")
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn numbers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.map(|value| value.map(as_bigint)).collect::<Int64Array>())
}

fn as_bigint(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The name of a kind of relation.
pub(crate) fn kind_of(relation: &Relation) -> &'static str {
    match &relation.kind {
        RelationKind::Table { keep_rows: true, .. } => "table",
        RelationKind::Table { keep_rows: false, .. } => "stream",
        RelationKind::View { .. } => "view",
        RelationKind::MaterializedView { .. } => "materialized view",
        RelationKind::Index { .. } => "index",
        RelationKind::Sequence(_) => "sequence",
    }
}

fn frontiers(reports: &[(Arc<Relation>, RelationReport)], moment: &Moment) -> Vec<ArrayRef> {
    // What has failed for good will never be complete, nor readable.
    let of_living = |tick: fn(&RelationReport) -> Tick| {
        numbers(reports.iter().map(move |(_, report)| report.failure.is_none().then(|| tick(report))))
    };
    let lag = |report: &RelationReport| (moment.tick + 1).saturating_sub(report.upper);
    vec![
        texts(reports.iter().map(|(relation, _)| moment.catalog.schema_of(relation))),
        texts(reports.iter().map(|(relation, _)| relation.name.as_str())),
        texts(reports.iter().map(|(relation, _)| kind_of(relation))),
        of_living(|report| report.upper),
        of_living(|report| report.since),
        numbers(reports.iter().map(|(_, report)| report.failure.is_none().then(|| lag(report)))),
        numbers(reports.iter().map(|(_, report)| Some(report.state.updates as u64))),
        numbers(reports.iter().map(|(_, report)| Some(report.state.bytes as u64))),
    ]
}

fn hydration(reports: &[(Arc<Relation>, RelationReport)], moment: &Moment) -> Vec<ArrayRef> {
    let hydrated: BooleanArray = reports.iter().map(|(_, report)| Some(report.is_hydrated)).collect();
    vec![
        texts(reports.iter().map(|(relation, _)| moment.catalog.schema_of(relation))),
        texts(reports.iter().map(|(relation, _)| relation.name.as_str())),
        Arc::new(hydrated),
        numbers(reports.iter().map(|(_, report)| Some(report.hydration_rows))),
        numbers(reports.iter().map(|(_, report)| Some(report.hydration_rows_all))),
        numbers(reports.iter().map(|(_, report)| Some(report.state.bytes as u64))),
        numbers(reports.iter().map(|_| Some(moment.tick))),
    ]
}

/// An error of a relation, which has its schema before it, and the operator in which it arose.
type ErrorKey = ([String; 2], DataError, Option<String>);

/// How many rows have which error at the moment.
async fn errors(engines: &Engines, moment: &Moment) -> Result<BTreeMap<ErrorKey, i64>, SqlError> {
    // All are asked before the first answer is awaited. What the same transaction has created cannot
    // be read yet.
    let relations: Vec<&Arc<Relation>> = moment
        .catalog
        .relations()
        .filter(|relation| {
            let has_rows = relation.is_maintained() && !matches!(relation.kind, RelationKind::Index { .. });
            has_rows && !is_provisional(relation.id)
        })
        .collect();
    let ask = |relation: &Relation| engines.read(relation.id, moment.tick, Wanted::Errors, &moment.hold);
    let readings: Vec<_> = relations.iter().map(|relation| (relation, ask(relation))).collect();
    let mut found = BTreeMap::new();
    for (relation, mut reading) in readings {
        let name = || [moment.catalog.schema_of(relation).to_owned(), relation.name.clone()];
        match reading.answer().await {
            Ok(snapshots) => {
                for (operator, error, count) in snapshots.iter().flat_map(Snapshot::errors) {
                    *found.entry((name(), error, Some(operator))).or_default() += count;
                }
            }
            Err(EngineError::Failed(error)) => drop(found.insert((name(), error, None), 1)),
            Err(EngineError::NoRelation(_)) => {}
            Err(error) => return Err(read_error(error, moment)),
        }
    }
    found.retain(|_, count| *count > 0);
    Ok(found)
}

fn view_errors(errors: &BTreeMap<ErrorKey, i64>) -> Vec<ArrayRef> {
    let operators: StringArray = errors.keys().map(|(_, _, operator)| operator.as_deref()).collect();
    let counts: Int64Array = errors.values().map(|count| Some(*count)).collect();
    vec![
        texts(errors.keys().map(|([schema, _], _, _)| schema.as_str())),
        texts(errors.keys().map(|([_, relation], _, _)| relation.as_str())),
        texts(errors.keys().map(|(_, error, _)| error.sqlstate.as_str())),
        texts(errors.keys().map(|(_, error, _)| error.message.as_str())),
        Arc::new(counts),
        Arc::new(operators),
    ]
}
