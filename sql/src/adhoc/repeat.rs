//! `Repeat`: each row as often as one of its columns says.
//!
//! Streams: a row that comes a million times goes out in batches like any other rows.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, Int64Array, RecordBatch, UInt64Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::cast::as_int64_array;
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

use super::BATCH_ROWS;

/// The operator.
pub(super) struct Repeat {
    input: Arc<dyn ExecutionPlan>,
    count: Arc<dyn PhysicalExpr>,
    properties: Arc<PlanProperties>,
}

impl Repeat {
    /// Repeats each row of `input` `count` times (a bigint).
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, count: Arc<dyn PhysicalExpr>) -> Repeat {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Repeat { input, count, properties: Arc::new(properties) }
    }
}

/// The rows of one batch, repeated: an iterator over batches.
struct Repeated {
    rows: RecordBatch,
    counts: Int64Array,
    /// The row that comes next, and how many of its copies went out.
    row: usize,
    done: i64,
}

impl Iterator for Repeated {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let mut indices = Vec::new();
        while self.row < self.counts.len() && indices.len() < BATCH_ROWS {
            let count = if self.counts.is_null(self.row) { 0 } else { self.counts.value(self.row) };
            let room = BATCH_ROWS - indices.len();
            let copies = usize::try_from(count - self.done).unwrap_or(0).min(room);
            indices.extend(std::iter::repeat_n(self.row as u64, copies));
            self.done += copies as i64;
            if self.done >= count {
                (self.row, self.done) = (self.row + 1, 0);
            }
        }
        if indices.is_empty() {
            return None;
        }
        Some(take_record_batch(&self.rows, &UInt64Array::from(indices)).map_err(DataFusionError::from))
    }
}

fn repeated(rows: RecordBatch, count: &Arc<dyn PhysicalExpr>) -> Result<Repeated> {
    let counts = count.evaluate(&rows)?.into_array(rows.num_rows())?;
    let counts = as_int64_array(&counts)?.clone();
    Ok(Repeated { rows, counts, row: 0, done: 0 })
}

impl fmt::Debug for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repeat({})", self.count)
    }
}

impl DisplayAs for Repeat {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for Repeat {
    fn name(&self) -> &str {
        "Repeat"
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
        visit(&self.count)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(Repeat::new(Arc::clone(input), Arc::clone(&self.count)))),
            _ => Err(DataFusionError::Internal("Repeat has one input".to_owned())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let (schema, count) = (rows.schema(), Arc::clone(&self.count));
        let repeated = rows
            .map(move |batch| batch.and_then(|batch| repeated(batch, &count)))
            .map_ok(stream::iter)
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, repeated)))
    }
}
