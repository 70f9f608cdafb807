//! `Source`: snapshots of a relation, or constant rows, as the leaf of an execution.
//!
//! One partition a worker's share. A share is scanned on a thread for blocking work, which sends
//! batches through a channel of two and stops when the receiver is gone: memory stays flat however
//! large the relation is.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use millrace_engine::{DataType, Snapshot, schema_of};

/// Batches that a scan is ahead of its reader.
const BATCHES_AHEAD: usize = 2;

/// A part of a source.
#[derive(Clone)]
pub(super) enum Partition {
    /// One worker's share of a relation.
    Snapshot(Snapshot),
    /// Constant rows.
    Rows(RecordBatch),
}

/// A leaf operator.
pub(super) struct Source {
    name: String,
    partitions: Vec<Partition>,
    properties: Arc<PlanProperties>,
}

impl Source {
    /// A source of these columns; `name` is for messages.
    pub(super) fn new(name: &str, columns: &[DataType], partitions: Vec<Partition>) -> Source {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema_of(columns)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Source { name: name.to_owned(), partitions, properties: Arc::new(properties) }
    }

    fn scan(&self, snapshot: &Snapshot) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema(), BATCHES_AHEAD);
        let sender = builder.tx();
        let rows = snapshot.rows();
        builder.spawn_blocking(move || {
            for batch in rows {
                if sender.blocking_send(batch.map_err(DataFusionError::from)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} partitions)", self.name, self.partitions.len())
    }
}

impl DisplayAs for Source {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for Source {
    fn name(&self) -> &str {
        "Source"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.partitions.get(partition) {
            Some(Partition::Snapshot(snapshot)) => Ok(self.scan(snapshot)),
            Some(Partition::Rows(rows)) => {
                Ok(Box::pin(MemoryStream::try_new(vec![rows.clone()], self.schema(), None)?))
            }
            None => Err(DataFusionError::Internal(format!("{self:?} has no partition {partition}"))),
        }
    }
}
