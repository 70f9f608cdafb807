//! Stateless operators: filter and compute, repetition of rows, and constants.
//!
//! A whole batch is evaluated at once; where that fails it is repeated row by row, for this batch
//! only, and the rows that fail become rows of the error collection. Predicates run one after the
//! other on what the earlier ones left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::Int64Type;
use datafusion_physical_expr::PhysicalExpr;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::edge::{Edge, EdgeOutput, send};
use super::errors::ErrorRows;
use super::turns::Token;
use crate::delta::{Col, Delta, Deltas, batch_of, concat};
use crate::error::{DataError, EngineError};
use crate::expr::{Compiler, Expr};
use crate::planted::{self, Bug};
use crate::types::DataType;

/// A compiled `Plan::Project`.
pub(crate) struct Projection {
    predicates: Vec<Arc<dyn PhysicalExpr>>,
    outputs: Vec<Arc<dyn PhysicalExpr>>,
    columns: Vec<DataType>,
}

impl Projection {
    /// Compiles predicates and outputs over an input of these columns.
    pub(crate) fn compile(
        compiler: &dyn Compiler,
        predicates: &[Expr],
        outputs: &[Expr],
        input: &[DataType],
    ) -> Result<Projection, EngineError> {
        let compile = |expr: &Expr| compiler.compile(expr, input);
        let type_of = |expr: &Expr| {
            expr.data_type(input).ok_or_else(|| EngineError::InvalidPlan(format!("{expr} has no type")))
        };
        Ok(Projection {
            predicates: predicates.iter().map(compile).collect::<Result<_, _>>()?,
            outputs: outputs.iter().map(compile).collect::<Result<_, _>>()?,
            columns: outputs.iter().map(type_of).collect::<Result<_, _>>()?,
        })
    }

    /// The output of a batch; what fails goes to `errors`.
    pub(crate) fn apply(&self, delta: &Delta, errors: &mut ErrorRows) -> Vec<Delta> {
        match self.evaluate(delta) {
            Ok(output) => output.into_iter().collect(),
            Err(error) if delta.len() == 1 => {
                if !planted::is_on(Bug::LostError) {
                    errors.push(error, delta.diffs.get(0), delta.ticks.get(0));
                }
                Vec::new()
            }
            Err(_) => self.apply_row_by_row(delta, errors),
        }
    }

    fn apply_row_by_row(&self, delta: &Delta, errors: &mut ErrorRows) -> Vec<Delta> {
        let single = (0..delta.len()).flat_map(|row| self.apply(&delta.slice(row, 1), errors));
        join_deltas(&self.columns, &single.collect::<Vec<_>>())
    }

    /// Evaluates a batch; a panic of a kernel becomes XX000.
    fn evaluate(&self, delta: &Delta) -> Result<Option<Delta>, DataError> {
        catch_unwind(AssertUnwindSafe(|| self.evaluate_unguarded(delta)))
            .unwrap_or_else(|_| Err(DataError::new("XX000", "an expression kernel panicked")))
    }

    fn evaluate_unguarded(&self, delta: &Delta) -> Result<Option<Delta>, DataError> {
        let mut kept = delta.clone();
        for predicate in &self.predicates {
            if planted::is_on(Bug::IgnoredFilter) && delta.len() > 1 {
                break;
            }
            kept = keep(&kept, predicate)?;
            if kept.is_empty() {
                return Ok(None);
            }
        }
        let len = kept.len();
        let columns = self.outputs.iter().map(|output| evaluate_column(output, &kept.rows));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = batch_of(&self.columns, columns, len).map_err(|e| DataError::from_arrow(&e))?;
        Ok(Some(kept.with_rows(rows)))
    }
}

/// The changes whose row the predicate is true for.
fn keep(delta: &Delta, predicate: &Arc<dyn PhysicalExpr>) -> Result<Delta, DataError> {
    let value = evaluate_column(predicate, &delta.rows)?;
    let mask = value
        .as_any()
        .downcast_ref::<BooleanArray>()
        .ok_or_else(|| DataError::new("XX000", "a predicate is not boolean"))?;
    let mask = if mask.null_count_is_zero() { mask.clone() } else { prep_null_mask_filter(mask) };
    if mask.true_count() == delta.len() {
        return Ok(delta.clone());
    }
    let dropping = planted::is_on(Bug::DropRetraction);
    let rows: Vec<u32> = (0..delta.len())
        .filter(|row| mask.value(*row) && !(dropping && delta.diffs.get(*row) < 0))
        .map(|row| row as u32)
        .collect();
    delta.take(&rows).map_err(|e| DataError::from_arrow(&e))
}

/// Shorthand for a mask without NULLs.
trait NullCount {
    fn null_count_is_zero(&self) -> bool;
}

impl NullCount for BooleanArray {
    fn null_count_is_zero(&self) -> bool {
        arrow::array::Array::null_count(self) == 0
    }
}

fn evaluate_column(expr: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<ArrayRef, DataError> {
    expr.evaluate(rows)
        .and_then(|value| value.into_array(rows.num_rows()))
        .map_err(|error| DataError::from_datafusion(&error))
}

/// Several batches as one; none where there are none.
fn join_deltas(columns: &[DataType], parts: &[Delta]) -> Vec<Delta> {
    if parts.is_empty() {
        return Vec::new();
    }
    let batches: Vec<RecordBatch> = parts.iter().map(|part| part.rows.clone()).collect();
    let rows = concat(columns, &batches).expect("the parts come from one projection");
    let mut diffs = Col::Const(0, 0);
    let mut ticks = Col::Const(0, 0);
    for part in parts {
        part.diffs.iter().for_each(|diff| diffs.push(diff));
        part.ticks.iter().for_each(|tick| ticks.push(tick));
    }
    vec![Delta { rows, diffs, ticks }]
}

/// Renders a projection: its rows, and its errors.
pub(crate) fn project<'scope>(
    input: Edge<'scope>,
    projection: Projection,
    operator: Arc<str>,
) -> (Edge<'scope>, Edge<'scope>) {
    let name = format!("Project {operator}");
    each_batch(input, name, operator, move |delta, errors| projection.apply(delta, errors))
}

/// Renders a repetition: the projection's last output says how often a row of the others comes.
pub(crate) fn repeat<'scope>(
    input: Edge<'scope>,
    projection: Projection,
    operator: Arc<str>,
) -> (Edge<'scope>, Edge<'scope>) {
    let name = format!("Repeat {operator}");
    each_batch(input, name, operator, move |delta, errors| {
        let counted = projection.apply(delta, errors);
        let columns = &projection.columns[..projection.columns.len() - 1];
        counted.iter().filter_map(|delta| multiply(delta, columns, errors)).collect()
    })
}

/// The most copies that one row may become: what accumulators of groups hold exactly.
const COPIES_MAX: i64 = 1 << 31;

/// Multiplies each diff by the last column; none or fewer copies remove the row.
fn multiply(delta: &Delta, columns: &[DataType], errors: &mut ErrorRows) -> Option<Delta> {
    let counts = delta.rows.columns().last()?.as_primitive::<Int64Type>();
    let mut kept = Vec::new();
    let mut diffs = Col::Const(0, 0);
    for row in 0..delta.len() {
        let least = i64::from(planted::is_on(Bug::RepeatIgnoresZero));
        let count = if counts.is_null(row) { 0 } else { counts.value(row).max(least) };
        // Whether a row fails follows from the row alone, so that deleting it cancels the error;
        // the product cannot overflow before a diff of 2^32.
        match delta.diffs.get(row).checked_mul(count).filter(|_| count <= COPIES_MAX) {
            Some(0) => {}
            Some(diff) => {
                kept.push(row as u32);
                diffs.push(diff);
            }
            None => {
                let error = DataError::out_of_range("number of copies of a row");
                errors.push(error, delta.diffs.get(row), delta.ticks.get(row));
            }
        }
    }
    let kept = delta.take(&kept).expect("row positions are in range");
    let arrays = kept.rows.columns()[..columns.len()].to_vec();
    let rows = batch_of(columns, arrays, kept.len()).expect("the projection's own columns");
    let repeated = Delta { rows, diffs, ticks: kept.ticks };
    (!repeated.is_empty()).then_some(repeated)
}

/// Renders a stateless operator: what `step` makes of each batch, and its errors.
fn each_batch<'scope>(
    input: Edge<'scope>,
    name: String,
    operator: Arc<str>,
    step: impl Fn(&Delta, &mut ErrorRows) -> Vec<Delta> + 'static,
) -> (Edge<'scope>, Edge<'scope>) {
    let mut builder = OperatorBuilder::new(name, input.scope());
    let mut input = builder.new_input(input, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    builder.build(move |_capabilities| {
        let mut wrong = ErrorRows::new(operator);
        move |_frontiers| {
            let mut rows_out = rows_port.activate();
            let mut errors_out = errors_port.activate();
            input.for_each(|capability, deltas| {
                let list = std::mem::take(&mut deltas.list);
                let output = list.iter().flat_map(|delta| step(delta, &mut wrong));
                let output = Deltas { list: output.map(Arc::new).collect() };
                send(&mut rows_out, &capability, output);
                if let Some(errors) = wrong.take() {
                    send(&mut errors_out, &capability, Deltas::one(errors));
                }
            });
        }
    });
    (rows, errors)
}

/// A source that gives `delta` once, then ends; nothing where `delta` is `None` (other workers).
/// It stays open until the token is pressed: a constant view is never complete for good.
pub(crate) fn constant<'scope>(
    scope: timely::dataflow::Scope<'scope, crate::types::Tick>,
    delta: Option<Delta>,
    clock: super::turns::Clock,
    token: &Token,
) -> Edge<'scope> {
    let mut builder = OperatorBuilder::new("Constant".to_owned(), scope);
    let (port, stream) = builder.new_output();
    let mut port: EdgeOutput = OutputBuilder::from(port);
    let activator = scope.activator_for(builder.operator_info().address);
    let token = token.register(activator.clone());
    clock.listen(token.clone(), activator);
    builder.build(move |mut capabilities| {
        let mut capability = capabilities.pop();
        let mut delta = delta;
        move |_frontiers| {
            if token.is_pressed() {
                capability = None;
            }
            let Some(held) = capability.as_mut() else { return };
            if let Some(delta) = delta.take() {
                held.downgrade(&delta.tick_min().max(*held.time()));
                send(&mut port.activate(), &*held, Deltas::one(delta));
            }
            held.downgrade(&clock.now().max(*held.time()));
        }
    });
    stream
}
