//! `Slices`: an input in pieces as large as what reads them can take in a while.
//!
//! A join with a condition that is no key may look at billions of pairs for one batch and give none of them, and
//! meanwhile nothing can stop it. So its input comes in slices: the longer the last one took, the smaller is the next,
//! and after one that took long others have their turn first.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties};
use futures::{Stream, StreamExt};

/// The rows of the first slice.
const ROWS_FIRST: usize = 64;

/// The most rows of a slice.
const ROWS_MAX: usize = 8_192;

/// A slice that took longer was too large.
const LONG: Duration = Duration::from_millis(10);

/// The operator.
pub(super) struct Slices {
    input: Arc<dyn ExecutionPlan>,
}

impl Slices {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Slices {
        Slices { input }
    }
}

/// The rows on their way.
struct Slicing {
    input: SendableRecordBatchStream,
    /// The batch at hand and its first row that was not given yet.
    batch: Option<(RecordBatch, usize)>,
    /// The rows of the next slice.
    rows: usize,
    /// When the last slice was given.
    given: Option<Instant>,
}

impl Slicing {
    /// Whether the last slice took so long that others should have their turn.
    fn took_long(&mut self) -> bool {
        let Some(given) = self.given.take() else { return false };
        let took_long = given.elapsed() > LONG;
        self.rows = if took_long { (self.rows / 2).max(1) } else { (self.rows * 2).min(ROWS_MAX) };
        took_long
    }
}

impl Stream for Slicing {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.took_long() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some((batch, first)) = self.batch.take()
                && first < batch.num_rows()
            {
                let count = self.rows.min(batch.num_rows() - first);
                let slice = batch.slice(first, count);
                self.batch = Some((batch, first + count));
                self.given = Some(Instant::now());
                return Poll::Ready(Some(Ok(slice)));
            }
            match ready!(self.input.poll_next_unpin(context)) {
                Some(Ok(batch)) => self.batch = Some((batch, 0)),
                other => return Poll::Ready(other),
            }
        }
    }
}

impl fmt::Debug for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slices")
    }
}

impl DisplayAs for Slices {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for Slices {
    fn name(&self) -> &str {
        "Slices"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("Slices has one input".to_owned()));
        };
        Ok(Arc::new(Slices::new(Arc::clone(input))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let slicing = Slicing { input, batch: None, rows: ROWS_FIRST, given: None };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), slicing)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, Int32Array};
    use datafusion::arrow::datatypes::Int32Type;
    use futures::{FutureExt, stream};

    fn numbers(count: i32) -> Slicing {
        let batch =
            RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from_iter_values(0..count)) as _)]);
        let batch = batch.unwrap();
        let schema = batch.schema();
        let input = RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch.clone()), Ok(batch)]));
        Slicing { input: Box::pin(input), batch: None, rows: ROWS_FIRST, given: None }
    }

    #[tokio::test]
    async fn all_rows_come_in_order_in_slices_that_grow() {
        let slices: Vec<RecordBatch> = numbers(1_000).map(Result::unwrap).collect().await;
        let values =
            slices.iter().flat_map(|slice| slice.column(0).as_primitive::<Int32Type>().values().to_vec());
        assert!(values.eq((0..1_000).chain(0..1_000)));
        assert_eq!(slices[0].num_rows(), ROWS_FIRST);
        assert!(slices[1].num_rows() > ROWS_FIRST);
    }

    #[test]
    fn after_a_long_slice_others_have_their_turn_and_the_next_is_smaller() {
        let mut slicing = numbers(1_000);
        assert_eq!(slicing.next().now_or_never().unwrap().unwrap().unwrap().num_rows(), ROWS_FIRST);
        slicing.given = Instant::now().checked_sub(LONG * 2);
        assert!(slicing.next().now_or_never().is_none());
        assert_eq!(slicing.next().now_or_never().unwrap().unwrap().unwrap().num_rows(), ROWS_FIRST / 2);
    }
}
