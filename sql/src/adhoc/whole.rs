//! `Whole`: a join that looks at all rows of its right side, whatever the left side holds.
//!
//! DataFusion's joins leave the right side alone when no row of the left one can match. An
//! expression below that fails would then be an error or none depending on other rows, while a
//! view over the same tables is in error. So the right input is lent to the join; what the join gives
//! back unread is run to its end, only for its errors.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{Stream, StreamExt, stream};

/// The right side's stream, once the join has given it back.
type Unread = Arc<Mutex<Option<SendableRecordBatchStream>>>;

/// One of the two operators: the right input, or the join above it.
pub(super) struct Whole {
    input: Arc<dyn ExecutionPlan>,
    unread: Unread,
    role: Role,
}

enum Role {
    Lends,
    Finishes { keys: Vec<Arc<dyn PhysicalExpr>> },
}

/// Builds a join by `join` over its lent right side, whose keys are these.
///
/// # Errors
/// Those of `join`.
pub(super) fn whole<E>(
    right: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    join: impl FnOnce(Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, E>,
) -> Result<Arc<dyn ExecutionPlan>, E> {
    let unread = Unread::default();
    let lent = Arc::new(Whole { input: right, unread: Arc::clone(&unread), role: Role::Lends });
    Ok(Arc::new(Whole { input: join(lent)?, unread, role: Role::Finishes { keys } }))
}

/// A stream that goes back where it came from when it is dropped before its end.
struct Lent {
    rows: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    unread: Unread,
}

impl Stream for Lent {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rows) = self.rows.as_mut() else { return Poll::Ready(None) };
        let polled = rows.poll_next_unpin(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rows = None;
        }
        polled
    }
}

impl RecordBatchStream for Lent {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = self.rows.take();
    }
}

/// Reads what the join left, and computes its keys.
async fn finish(unread: Unread, keys: Vec<Arc<dyn PhysicalExpr>>) -> Result<()> {
    let rows = unread.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut rows) = rows else { return Ok(()) };
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        keys.iter().try_for_each(|key| key.evaluate(&batch).map(drop))?;
    }
    Ok(())
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DisplayAs for Whole {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for Whole {
    fn name(&self) -> &str {
        match self.role {
            Role::Lends => "Lent",
            Role::Finishes { .. } => "Whole",
        }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // Both operators know each other: neither can be put into another tree.
        Err(DataFusionError::Internal("a join's sides cannot be exchanged".to_owned()))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let (schema, unread) = (rows.schema(), Arc::clone(&self.unread));
        match &self.role {
            Role::Lends => Ok(Box::pin(Lent { rows: Some(rows), schema, unread })),
            Role::Finishes { keys } => {
                let rest = stream::once(finish(unread, keys.clone()));
                let errors = rest.filter_map(|finished| async move { finished.err().map(Err) });
                // The chain drops the join before it asks for the rest.
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows.chain(errors))))
            }
        }
    }
}
