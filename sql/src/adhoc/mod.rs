//! Ad-hoc queries: a bound query runs once over snapshots, through DataFusion's physical operators.
//!
//! The operators are put together here, by position: none of DataFusion's logical rules sees the
//! query. Expressions are compiled as in views, aggregates are ours (aggregate.rs), and floats and intervals are
//! normalised where operators compare bits (keys of joins, groups, sorts). Memory is bounded by one
//! pool for all queries: beyond it a query fails with 53200.

mod aggregate; // aggregates with the engine's answers
mod first; // the first rows of each group
mod flat_map; // calls for each row
mod repeat; // rows as often as a column says
mod scan; // snapshots and constant rows as sources
mod slices; // an input in small pieces
mod whole; // joins that look at every row of both sides

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{SortOptions, concat_batches, filter_record_batch};
use datafusion::common::{DataFusionError, JoinSide, JoinType, NullEquality, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, PartitionMode};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PhysicalExpr, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::{StreamExt, TryStreamExt, stream};
use millrace_engine::{Aggregate, DataError, DataType, Expr, Literal, Snapshot, Tick, batch_of, schema_of};

use crate::compile::{compile_drawing, compile_set, evaluate_constant, evaluate_drawing, scalar};
use crate::error::SqlError;
use crate::functions;
use crate::lower::{join_keys, key_literal};
use crate::query::change::STATEMENT_ROWS;
use crate::query::exprs::{try_map_operands, volatile_call};
use crate::query::rel::{JoinKind, Lookup, LookupKey, Rel, SortKey, aggregate_exprs, types_of};
use crate::query::typed::PLACEHOLDER;
use crate::query::{RowStream, Snapshots};
use crate::sequence::Sequences;
use first::{First, Range};
use flat_map::FlatMap;
use repeat::Repeat;
use scan::{Partition, Source};
use slices::Slices;
use whole::whole;

/// What all ad-hoc queries together may hold.
const MEMORY_BYTES_MAX: usize = 1 << 30;
/// So many keys of a unique index are looked up at once.
const KEYS_AT_HAND: usize = 64;
/// Rows in a batch between operators.
const BATCH_ROWS: usize = 8_192;

/// Every combination of the values that a lookup asks for.
///
/// # Errors
/// Those of a value that cannot be computed.
pub(crate) fn keys(lookup: &Lookup, tick: Tick, values: &[Literal]) -> Result<Vec<Vec<Literal>>, SqlError> {
    Builder { snapshots: Snapshots::new(), rows: None, tick, sequences: None, values }.keys(lookup)
}

/// The value of an expression without columns, at a tick.
///
/// # Errors
/// Those of computing it; 0A000 where each computation gives another value.
pub(crate) fn constant(expr: &Expr, tick: Tick) -> Result<Literal, SqlError> {
    if let Some(name) = volatile_call(expr) {
        return Err(SqlError::unsupported(format_args!("{name}()")));
    }
    let builder = Builder { snapshots: Snapshots::new(), rows: None, tick, sequences: None, values: &[] };
    Ok(evaluate_constant(&builder.at_tick(expr))?)
}

/// What a query runs with.
pub(crate) struct Given<'a> {
    pub(crate) snapshots: Snapshots,
    /// The rows that its statement has at hand.
    pub(crate) rows: Option<RecordBatch>,
    pub(crate) tick: Tick,
    pub(crate) sequences: Option<Arc<dyn Sequences>>,
    /// The values of placeholders.
    pub(crate) values: &'a [Literal],
}

/// Runs an optimised query at a tick.
///
/// # Errors
/// The error of a relation that is in error.
pub(crate) fn execute(rel: &Rel, given: Given) -> Result<RowStream, SqlError> {
    let Given { snapshots, rows, tick, sequences, values } = given;
    let builder = Builder { snapshots, rows, tick, sequences, values };
    builder.check_relations(rel)?;
    let types = rel.columns();
    if let Some(batch) = builder.at_hand(rel)? {
        return Ok(Box::pin(stream::iter([finish(&batch, &types)])));
    }
    let plan = builder.build(rel)?;
    let context = task_context()?;
    // Operators may start tasks, so they start only once the stream is polled, on its runtime.
    let rows = stream::once(async move { execute_stream(plan, context) }).try_flatten().map(move |batch| {
        batch.map_err(|error| from_datafusion(&error)).and_then(|batch| finish(&batch, &types))
    });
    Ok(Box::pin(rows))
}

/// A batch under the one schema that its types have.
fn finish(batch: &RecordBatch, types: &[DataType]) -> Result<RecordBatch, SqlError> {
    batch_of(types, batch.columns().to_vec(), batch.num_rows()).map_err(SqlError::internal)
}

fn task_context() -> Result<Arc<TaskContext>, SqlError> {
    static RUNTIME: LazyLock<Result<Arc<RuntimeEnv>, String>> = LazyLock::new(|| {
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        RuntimeEnvBuilder::new()
            .with_memory_limit(MEMORY_BYTES_MAX, 1.0)
            .with_disk_manager_builder(no_disk)
            .build_arc()
            .map_err(|error| error.to_string())
    });
    let runtime = RUNTIME.as_ref().map_err(SqlError::internal)?;
    let config = SessionConfig::new().with_batch_size(BATCH_ROWS);
    Ok(Arc::new(TaskContext::default().with_session_config(config).with_runtime(Arc::clone(runtime))))
}

/// A computed column.
fn evaluated(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef, SqlError> {
    let value = expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    value.map_err(|error| from_datafusion(&error))
}

/// All rows of shares of a relation in which there are few.
fn all_rows(shares: &[Snapshot], columns: &[DataType]) -> Result<RecordBatch, SqlError> {
    let batches =
        shares.iter().flat_map(|share| share.rows()).collect::<Result<Vec<RecordBatch>, DataError>>()?;
    match batches.as_slice() {
        [one] => Ok(one.clone()),
        several => concat_batches(&schema_of(columns), several).map_err(SqlError::internal),
    }
}

/// An operator's error as the user's.
pub(crate) fn from_datafusion(error: &DataFusionError) -> SqlError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(detail) => {
            SqlError::new("53200", "out of memory").detail(detail.clone())
        }
        _ => DataError::from_datafusion(error).into(),
    }
}

type Operator = Arc<dyn ExecutionPlan>;
type Built = Result<Operator, SqlError>;

/// Puts operators together.
struct Builder<'a> {
    snapshots: Snapshots,
    rows: Option<RecordBatch>,
    tick: Tick,
    sequences: Option<Arc<dyn Sequences>>,
    values: &'a [Literal],
}

impl Builder<'_> {
    /// The error of a relation that is in error, the least one if there are several. An index shows those of
    /// its relation.
    fn check_relations(&self, rel: &Rel) -> Result<(), SqlError> {
        for (index, relation) in rel.relations_and_indexes() {
            let snapshots = index.and_then(|index| self.snapshots.get(&index));
            let snapshots = snapshots.or_else(|| self.snapshots.get(&relation));
            let errors = snapshots.into_iter().flatten().filter_map(|snapshot| snapshot.error());
            if let Some(error) = errors.min() {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// The operators of a query. Each lets others have their turn once it has given some batches: what runs a query
    /// can stop it then.
    fn build(&self, rel: &Rel) -> Built {
        Ok(Arc::new(CooperativeExec::new(self.operator(rel)?)))
    }

    fn operator(&self, rel: &Rel) -> Built {
        match rel {
            Rel::Scan { relation, columns, by } => {
                if let Some(rows) = self.rows.as_ref().filter(|_| *relation == STATEMENT_ROWS) {
                    return Ok(Arc::new(Source::new("rows", columns, vec![Partition::Rows(rows.clone())])));
                }
                if let Some(found) = by.as_ref().and_then(|lookup| self.look_up(lookup, columns)) {
                    return Ok(Arc::new(Source::new(&relation.to_string(), columns, found?)));
                }
                let snapshots = self.snapshots.get(relation).ok_or_else(|| {
                    SqlError::internal(format_args!("the query was given no snapshot of {relation}"))
                })?;
                let partitions = snapshots.iter().cloned().map(Partition::Snapshot).collect();
                Ok(Arc::new(Source::new(&relation.to_string(), columns, partitions)))
            }
            Rel::Values { rows, columns } => {
                let batch = self.values(rows, columns)?;
                Ok(Arc::new(Source::new("values", columns, vec![Partition::Rows(batch)])))
            }
            Rel::Project { input, predicates, outputs } => self.project(input, predicates, outputs),
            Rel::Join { kind, left, right, on } => self.join(*kind, left, right, on),
            Rel::Aggregate { input, keys, aggregates } => self.aggregate(input, keys, aggregates),
            Rel::Union { inputs } => {
                let inputs = inputs.iter().map(|input| self.build(input)).collect::<Result<_, _>>()?;
                UnionExec::try_new(inputs).map_err(|error| from_datafusion(&error))
            }
            Rel::Distinct { input } => {
                let columns: Vec<Expr> = (0..input.columns().len()).map(Expr::Column).collect();
                self.aggregate(input, &columns, &[])
            }
            Rel::Sort { input, keys } => self.sort(input, keys),
            Rel::Limit { input, skip, fetch } => {
                Ok(Arc::new(GlobalLimitExec::new(one_partition(self.build(input)?), *skip, *fetch)))
            }
            Rel::Repeat { input, count } => {
                let count = self.compile(count, &input.columns())?;
                Ok(Arc::new(Repeat::new(self.build(input)?, count)))
            }
            Rel::FlatMap { input, calls } => {
                let columns = input.columns();
                let compile = |argument: &Expr| self.compile(argument, &columns);
                let arguments = calls.arguments().map(compile).collect::<Result<_, SqlError>>()?;
                let function = |call| compile_set(call, &columns).map_err(SqlError::internal);
                let functions = calls.calls.iter().map(function).collect::<Result<_, SqlError>>()?;
                let output = calls.output(&columns);
                Ok(Arc::new(FlatMap::new(self.build(input)?, calls, arguments, functions, &output)))
            }
            Rel::TopK { input, keys, order, skip, fetch, numbered } => {
                let range = Range { skip: *skip, fetch: *fetch };
                self.top(input, keys, order, range, *numbered)
            }
        }
    }

    /// The rows that have the keys of an index; `None` where the query was not given the index. Those of a few
    /// keys are read at once: no thread is asked for them.
    fn look_up(&self, lookup: &Lookup, columns: &[DataType]) -> Option<Result<Vec<Partition>, SqlError>> {
        let shares = self.snapshots.get(&lookup.index)?;
        let found = self.keys(lookup).and_then(|keys| {
            let find = |share: &Snapshot| share.clone().find(&keys).map_err(SqlError::from);
            let found = shares.iter().map(find).collect::<Result<Vec<Snapshot>, SqlError>>()?;
            match keys.len() <= KEYS_AT_HAND && lookup.is_unique {
                true => Ok(vec![Partition::Rows(all_rows(&found, columns)?)]),
                false => Ok(found.into_iter().map(Partition::Snapshot).collect()),
            }
        });
        Some(found)
    }

    /// The answer of a query that only filters and computes rows that are at hand (those of a few keys of a unique
    /// index, of VALUES, of the statement): one batch, without operators.
    fn at_hand(&self, rel: &Rel) -> Result<Option<RecordBatch>, SqlError> {
        match rel {
            Rel::Scan { relation, columns, by } => {
                if let Some(rows) = self.rows.as_ref().filter(|_| *relation == STATEMENT_ROWS) {
                    return Ok(Some(rows.clone()));
                }
                let unique = by.as_ref().filter(|lookup| lookup.is_unique);
                let found = unique.and_then(|lookup| self.look_up(lookup, columns)).transpose()?;
                Ok(match found.as_deref() {
                    Some([Partition::Rows(rows)]) => Some(rows.clone()),
                    _ => None,
                })
            }
            Rel::Values { rows, columns } => self.values(rows, columns).map(Some),
            Rel::Project { input, predicates, outputs } => {
                let columns = input.columns();
                let Some(mut batch) = self.at_hand(input)? else { return Ok(None) };
                if !predicates.is_empty() {
                    let predicate = self.compile(&Expr::And(predicates.to_vec()), &columns)?;
                    let wanted = evaluated(&predicate, &batch)?;
                    batch = filter_record_batch(&batch, wanted.as_boolean()).map_err(SqlError::internal)?;
                }
                let column = |output| evaluated(&self.compile(output, &columns)?, &batch);
                let computed = outputs.iter().map(column).collect::<Result<Vec<_>, SqlError>>()?;
                let types: Vec<DataType> = rel.columns();
                batch_of(&types, computed, batch.num_rows()).map(Some).map_err(SqlError::internal)
            }
            Rel::Join { .. }
            | Rel::Aggregate { .. }
            | Rel::Union { .. }
            | Rel::Distinct { .. }
            | Rel::Sort { .. }
            | Rel::Limit { .. }
            | Rel::Repeat { .. }
            | Rel::FlatMap { .. }
            | Rel::TopK { .. } => Ok(None),
        }
    }

    /// Every combination of the values that a lookup asks for.
    fn keys(&self, lookup: &Lookup) -> Result<Vec<Vec<Literal>>, SqlError> {
        let mut keys: Vec<Vec<Literal>> = vec![Vec::new()];
        for LookupKey { data_type, values, .. } in &lookup.keys {
            let values = values.iter().map(|value| key_literal(&self.at_tick(value), *data_type));
            let values: Vec<Literal> = values.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            let with_each = |key: Vec<Literal>| {
                values.iter().map(move |value| [key.as_slice(), std::slice::from_ref(value)].concat())
            };
            keys = keys.into_iter().flat_map(with_each).collect();
        }
        Ok(keys)
    }

    fn compile(&self, expr: &Expr, columns: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        compile_drawing(&self.at_tick(expr), columns, self.sequences.as_ref()).map_err(SqlError::internal)
    }

    /// The expression with now() replaced by the tick, and placeholders by their values.
    fn at_tick(&self, expr: &Expr) -> Expr {
        let walked = match expr {
            Expr::Call { function, arguments, data_type, .. } if function == PLACEHOLDER => {
                let value = match arguments.as_slice() {
                    [Expr::Literal(Literal::Int32(place))] => self.values.get(*place as usize),
                    _ => None,
                };
                Ok(Expr::Literal(value.cloned().unwrap_or(Literal::Null(*data_type))))
            }
            Expr::Call { function, .. } if function == "now" => {
                Ok(Expr::Literal(Literal::TimestampTz(i64::try_from(self.tick).unwrap_or(i64::MAX))))
            }
            other => try_map_operands(other, &mut |operand| Ok::<_, ()>(self.at_tick(operand))),
        };
        walked.unwrap_or_else(|()| expr.clone())
    }

    /// An expression as a key that operators compare by bits.
    fn compile_key(&self, expr: &Expr, columns: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        let data_type = match expr.data_type(columns) {
            Some(float @ (DataType::Float32 | DataType::Float64)) => float,
            Some(several) if several.has_equals_that_differ() => several,
            _ => return self.compile(expr, columns),
        };
        let normalized = Expr::Call {
            function: "normalize".to_owned(),
            version: functions::VERSION,
            arguments: vec![expr.clone()],
            data_type,
        };
        self.compile(&normalized, columns)
    }

    fn values(&self, rows: &[Vec<Expr>], columns: &[DataType]) -> Result<RecordBatch, SqlError> {
        let column = |index: usize| {
            let cell = |row: &Vec<Expr>| match &row[index] {
                Expr::Literal(literal) => Ok(scalar(literal)),
                other => {
                    let value = evaluate_drawing(&self.at_tick(other), self.sequences.as_ref())?;
                    Ok(scalar(&value))
                }
            };
            let cells = rows.iter().map(cell).collect::<Result<Vec<ScalarValue>, DataError>>()?;
            if cells.is_empty() {
                return Ok(datafusion::arrow::array::new_empty_array(&columns[index].to_arrow()));
            }
            ScalarValue::iter_to_array(cells).map_err(|error| from_datafusion(&error))
        };
        let arrays = (0..columns.len()).map(column).collect::<Result<Vec<_>, SqlError>>()?;
        batch_of(columns, arrays, rows.len()).map_err(SqlError::internal)
    }

    fn project(&self, input: &Rel, predicates: &[Expr], outputs: &[Expr]) -> Built {
        let columns = input.columns();
        let mut built = self.build(input)?;
        if !predicates.is_empty() {
            let predicate = self.compile(&Expr::And(predicates.to_vec()), &columns)?;
            let filter = FilterExec::try_new(predicate, built).map_err(|error| from_datafusion(&error))?;
            built = Arc::new(filter);
        }
        if outputs.iter().cloned().eq((0..columns.len()).map(Expr::Column)) {
            return Ok(built);
        }
        let named = |(index, output)| Ok((self.compile(output, &columns)?, format!("c{index}")));
        let outputs = outputs.iter().enumerate().map(named).collect::<Result<Vec<_>, SqlError>>()?;
        let project = ProjectionExec::try_new(outputs, built).map_err(|error| from_datafusion(&error))?;
        Ok(Arc::new(project))
    }

    fn join(&self, kind: JoinKind, left: &Rel, right: &Rel, on: &[Expr]) -> Built {
        let (left_columns, right_columns) = (left.columns(), right.columns());
        let (keys, mut residual) = join_keys(on, &left_columns, &right_columns);
        // The operator has one rule for NULLs in all keys: where some match, the others say so again.
        let nulls_equal = keys.iter().any(|key| key.nulls_equal);
        if nulls_equal {
            residual = on.iter().filter(|condition| !matches!(condition, Expr::Not(_))).cloned().collect();
        }
        let on = keys
            .iter()
            .map(|key| {
                let left = self.compile_key(&key.left, &left_columns)?;
                Ok((left, self.compile_key(&key.right, &right_columns)?))
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        let filter = self.join_filter(&residual, &left_columns, &right_columns)?;
        let left = one_partition(self.build(left)?);
        let mut can_fail = keys.iter().any(|key| computes(&key.right));
        right.visit_exprs(&mut |expr| can_fail |= computes(expr));
        let right = one_partition(self.build(right)?);
        let right_keys = on.iter().map(|(_, right)| Arc::clone(right)).collect();
        let join = |right: Operator| {
            let right: Operator = if filter.is_some() { Arc::new(Slices::new(right)) } else { right };
            hash_or_loop_join(kind, left, right, on, nulls_equal, filter)
        };
        renamed(if can_fail { whole(right, right_keys, join)? } else { join(right)? })
    }

    /// The conditions of a join that are no keys, over all columns of both sides.
    fn join_filter(
        &self,
        residual: &[Expr],
        left: &[DataType],
        right: &[DataType],
    ) -> Result<Option<JoinFilter>, SqlError> {
        if residual.is_empty() {
            return Ok(None);
        }
        let columns = [left, right].concat();
        let predicate = self.compile(&Expr::And(residual.to_vec()), &columns)?;
        let of_left = (0..left.len()).map(|index| ColumnIndex { index, side: JoinSide::Left });
        let of_right = (0..right.len()).map(|index| ColumnIndex { index, side: JoinSide::Right });
        Ok(Some(JoinFilter::new(predicate, of_left.chain(of_right).collect(), schema_of(&columns))))
    }

    fn aggregate(&self, input: &Rel, keys: &[Expr], aggregates: &[Aggregate]) -> Built {
        let columns = input.columns();
        let built = one_partition(self.build(input)?);
        let named = |(index, key)| Ok((self.compile_key(key, &columns)?, format!("c{index}")));
        let groups = keys.iter().enumerate().map(named).collect::<Result<Vec<_>, SqlError>>()?;
        let schema = built.schema();
        let calls = aggregates
            .iter()
            .enumerate()
            .map(|(index, call)| {
                let mut arguments: Vec<Expr> = aggregate_exprs(call).cloned().collect();
                if arguments.is_empty() {
                    arguments.push(Expr::Literal(Literal::Boolean(true)));
                }
                let compiled = arguments.iter().map(|argument| self.compile(argument, &columns));
                let compiled = compiled.collect::<Result<_, SqlError>>()?;
                let types = types_of(&arguments, &columns);
                aggregate::physical(call, types, compiled, &schema, keys.len() + index)
                    .map_err(|error| from_datafusion(&error))
            })
            .collect::<Result<Vec<_>, SqlError>>()?;
        let filters = vec![None; calls.len()];
        let groups = PhysicalGroupBy::new_single(groups);
        let exec = AggregateExec::try_new(AggregateMode::Single, groups, calls, filters, built, schema);
        Ok(Arc::new(exec.map_err(|error| from_datafusion(&error))?))
    }

    fn sort(&self, input: &Rel, keys: &[SortKey]) -> Built {
        let built = one_partition(self.build(input)?);
        Ok(sorted(built, self.sort_keys(keys, &input.columns())?, None))
    }

    fn sort_keys(&self, keys: &[SortKey], columns: &[DataType]) -> Result<Vec<PhysicalSortExpr>, SqlError> {
        let key = |key: &SortKey| {
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            Ok(PhysicalSortExpr::new(self.compile_key(&Expr::Column(key.column), columns)?, options))
        };
        keys.iter().map(key).collect()
    }

    /// The first rows of each group: sorted by group, order and whole row. Without groups they come out in
    /// their order, and no more than are wanted are kept while sorting.
    fn top(&self, input: &Rel, keys: &[Expr], order: &[SortKey], range: Range, numbered: bool) -> Built {
        let columns = input.columns();
        let ascending = SortOptions { descending: false, nulls_first: true };
        let keys =
            keys.iter().map(|key| self.compile_key(key, &columns)).collect::<Result<Vec<_>, SqlError>>()?;
        let by = |exprs: &[Arc<dyn PhysicalExpr>]| -> Vec<PhysicalSortExpr> {
            exprs.iter().map(|expr| PhysicalSortExpr::new(Arc::clone(expr), ascending)).collect()
        };
        let mut sort = by(&keys);
        sort.extend(self.sort_keys(order, &columns)?);
        let mut all = Vec::new();
        for (index, data_type) in columns.iter().enumerate() {
            let column = Expr::Column(index);
            if data_type.has_equals_that_differ() {
                // Part by part, as the engine's rows have it.
                all.push(self.compile(&column, &columns)?);
                continue;
            }
            all.push(self.compile_key(&column, &columns)?);
            let zero = match data_type {
                DataType::Float64 => Literal::Float64(0.0_f64.to_bits()),
                DataType::Float32 => Literal::Float32(0.0_f32.to_bits()),
                _ => continue,
            };
            all.push(self.compile(&zero_as_text(column, zero), &columns)?);
        }
        sort.extend(by(&all));
        let limit = match range.fetch {
            Some(fetch) if keys.is_empty() => Some(range.skip.saturating_add(fetch)),
            _ => None,
        };
        // All rows are looked at, also for none: they may fail, as they would in a view.
        let built = one_partition(self.build(input)?);
        let built = if limit == Some(0) { built } else { sorted(built, sort, limit) };
        let mut shown = columns;
        shown.extend(numbered.then_some(DataType::Int64));
        Ok(Arc::new(First::new(built, keys, range, numbered, schema_of(&shown))))
    }
}

/// The text of a float that is zero: -0.0 comes before 0.0, where nothing else tells rows apart. (Floats
/// themselves DataFusion's operators compare now by bits, now by value.)
fn zero_as_text(column: Expr, zero: Literal) -> Expr {
    let is_zero = Expr::Call {
        function: "equal".to_owned(),
        version: functions::VERSION,
        arguments: vec![column.clone(), Expr::Literal(zero)],
        data_type: DataType::Boolean,
    };
    let text = Expr::Cast { input: Box::new(column), to: DataType::Text };
    Expr::Case { branches: vec![(is_zero, text)], otherwise: None, data_type: DataType::Text }
}

/// Whether the expression is more than a value at hand, so that it could fail.
fn computes(expr: &Expr) -> bool {
    !matches!(expr, Expr::Column(_) | Expr::Literal(_))
}

fn hash_or_loop_join(
    kind: JoinKind,
    left: Operator,
    right: Operator,
    on: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
    nulls_equal: bool,
    filter: Option<JoinFilter>,
) -> Built {
    let kind = match kind {
        JoinKind::Inner => JoinType::Inner,
        JoinKind::Left => JoinType::Left,
        JoinKind::Right => JoinType::Right,
        JoinKind::Full => JoinType::Full,
        JoinKind::Semi => JoinType::LeftSemi,
        JoinKind::Anti => JoinType::LeftAnti,
    };
    if on.is_empty() {
        let join = NestedLoopJoinExec::try_new(left, right, filter, &kind, None);
        return Ok(Arc::new(join.map_err(|error| from_datafusion(&error))?));
    }
    let nulls = if nulls_equal { NullEquality::NullEqualsNull } else { NullEquality::NullEqualsNothing };
    let mode = PartitionMode::CollectLeft;
    let join = HashJoinExec::try_new(left, right, on, filter, &kind, None, mode, nulls, false);
    Ok(Arc::new(join.map_err(|error| from_datafusion(&error))?))
}

/// The operator with its columns named `c0`, `c1`, … again: a join repeats those of its inputs.
fn renamed(operator: Operator) -> Built {
    let schema = operator.schema();
    let named = schema.fields().iter().enumerate().map(|(index, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
        (column, format!("c{index}"))
    });
    let named: Vec<_> = named.collect();
    Ok(Arc::new(ProjectionExec::try_new(named, operator).map_err(|error| from_datafusion(&error))?))
}

/// The rows in an order, or only the first of them.
fn sorted(operator: Operator, keys: Vec<PhysicalSortExpr>, fetch: Option<usize>) -> Operator {
    match LexOrdering::new(keys) {
        Some(ordering) => Arc::new(SortExec::new(ordering, operator).with_fetch(fetch)),
        None => operator,
    }
}

/// The operator with its output in one partition.
fn one_partition(operator: Operator) -> Operator {
    if operator.output_partitioning().partition_count() == 1 {
        return operator;
    }
    Arc::new(CoalescePartitionsExec::new(operator))
}
