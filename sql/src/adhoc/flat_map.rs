//! `FlatMap`: calls of functions that give rows, for each row.
//!
//! Streams: what a call gives goes out in batches of bounded rows and bytes, however much it is. The walk over a batch
//! is the engine's, so that a view gives the same.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PhysicalExpr,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};
use millrace_engine::{CallsInStep, DataType, RowCalls, SetFunction, batch_of, row_bytes, schema_of};

use super::BATCH_ROWS;

/// A batch takes no further row beyond this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// The operator.
pub(super) struct FlatMap {
    input: Arc<dyn ExecutionPlan>,
    call: Arc<Compiled>,
    properties: Arc<PlanProperties>,
}

/// What is called.
struct Compiled {
    calls: RowCalls,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    functions: Vec<Arc<dyn SetFunction>>,
    columns: Vec<DataType>,
}

impl FlatMap {
    /// Calls for each row of `input`: the arguments of all, the functions, and the output's columns.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        calls: &RowCalls,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        functions: Vec<Arc<dyn SetFunction>>,
        columns: &[DataType],
    ) -> FlatMap {
        let call = Compiled { calls: calls.clone(), arguments, functions, columns: columns.to_vec() };
        FlatMap::over(input, Arc::new(call))
    }

    fn over(input: Arc<dyn ExecutionPlan>, call: Arc<Compiled>) -> FlatMap {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema_of(&call.columns)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        FlatMap { input, call, properties: Arc::new(properties) }
    }
}

/// The calls of one batch: an iterator over batches.
struct Called {
    rows: RecordBatch,
    open: CallsInStep,
    call: Arc<Compiled>,
}

fn called(rows: &RecordBatch, call: &Arc<Compiled>) -> Result<Called> {
    let count = rows.num_rows();
    let arguments = call.arguments.iter().map(|argument| argument.evaluate(rows)?.into_array(count));
    let mut arguments = arguments.collect::<Result<Vec<_>>>()?.into_iter();
    let opened = call.functions.iter().zip(&call.calls.calls).map(|(function, own)| {
        let given = arguments.by_ref().take(own.arguments.len()).collect();
        (function.open(given), own.columns.clone())
    });
    let open = CallsInStep::new(opened.collect::<Vec<_>>(), count, call.calls.numbered, call.calls.outer);
    Ok(Called { rows: rows.project(&call.calls.kept)?, open, call: Arc::clone(call) })
}

impl Iterator for Called {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        while !self.open.is_done() {
            let part = self.part();
            match part {
                Ok(batch) if batch.num_rows() == 0 => {}
                other => return Some(other),
            }
        }
        None
    }
}

impl Called {
    fn part(&mut self) -> Result<RecordBatch> {
        let kept = self.rows.columns();
        let (mut bytes, mut before, mut size) = (0, 0, 0);
        let called = self.open.next(|row, rows| {
            bytes += (rows - before) * size;
            before = rows;
            size = row_bytes(kept, row).max(1);
            let room = BATCH_ROWS.min(BATCH_BYTES.saturating_sub(bytes) / size).saturating_sub(rows);
            if rows == 0 { room.max(1) } else { room }
        });
        if let Some((_, error)) = called.failed.into_iter().next() {
            return Err(DataFusionError::from(error));
        }
        let (count, indices) = (called.rows.len(), UInt32Array::from(called.rows));
        let mut columns = kept
            .iter()
            .map(|column| take(column, &indices, None))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        columns.extend(called.columns);
        Ok(batch_of(&self.call.columns, columns, count)?)
    }
}

impl fmt::Debug for FlatMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FlatMap({})", self.call.calls)
    }
}

impl DisplayAs for FlatMap {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for FlatMap {
    fn name(&self) -> &str {
        "FlatMap"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for argument in &self.call.arguments {
            if visit(argument)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(FlatMap::over(Arc::clone(input), Arc::clone(&self.call)))),
            _ => Err(DataFusionError::Internal("FlatMap has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (schema, call) = (schema_of(&self.call.columns), Arc::clone(&self.call));
        let rows = self.input.execute(partition, context)?;
        let output = rows
            .map(move |batch| batch.and_then(|batch| called(&batch, &call)))
            .map_ok(stream::iter)
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, output)))
    }
}
