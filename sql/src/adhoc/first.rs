//! `First`: the first rows of each group of a sorted input, with their numbers if wanted.
//!
//! The input comes group after group, each in its order, so that one group's key and the number of its rows
//! so far are all that is remembered.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
};
use futures::StreamExt;

/// Which rows of each group are kept.
#[derive(Clone, Debug)]
pub(super) struct Range {
    /// How many are left out at the front.
    pub(super) skip: usize,
    /// How many are kept behind them; `None`: all.
    pub(super) fetch: Option<usize>,
}

/// The operator.
pub(super) struct First {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    range: Range,
    /// Whether the row's number in its group is appended.
    numbered: bool,
    properties: Arc<PlanProperties>,
}

impl First {
    /// Over an input in one partition that is sorted by `keys` first; `schema` is that of the output.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        range: Range,
        numbered: bool,
        schema: SchemaRef,
    ) -> First {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        First { input, keys, range, numbered, properties: Arc::new(properties) }
    }
}

/// The group that the last row belonged to.
struct Group {
    converter: RowConverter,
    key: Option<OwnedRow>,
    rows: usize,
}

impl Group {
    fn new(keys: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef) -> Result<Group> {
        let fields = keys.iter().map(|key| Ok(SortField::new(key.data_type(schema)?)));
        let converter = RowConverter::new(fields.collect::<Result<_>>()?)?;
        Ok(Group { converter, key: None, rows: 0 })
    }

    /// The number of each row in its group, from 1.
    fn numbers(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<usize>> {
        if keys.is_empty() {
            let numbers = (self.rows + 1..=self.rows + rows).collect();
            self.rows += rows;
            return Ok(numbers);
        }
        let keys = self.converter.convert_columns(keys)?;
        let mut numbers = Vec::with_capacity(rows);
        for (index, key) in keys.iter().enumerate() {
            let same = match index.checked_sub(1) {
                Some(before) => keys.row(before) == key,
                None => self.key.as_ref().is_some_and(|last| last.row() == key),
            };
            self.rows = if same { self.rows + 1 } else { 1 };
            numbers.push(self.rows);
        }
        if rows > 0 {
            self.key = Some(keys.row(rows - 1).owned());
        }
        Ok(numbers)
    }
}

/// The rows of a batch that are kept.
fn first(
    batch: &RecordBatch,
    keys: &[Arc<dyn PhysicalExpr>],
    group: &mut Group,
    range: &Range,
    numbered: Option<&SchemaRef>,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let keys =
        keys.iter().map(|key| key.evaluate(batch)?.into_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
    let numbers = group.numbers(&keys, rows)?;
    let last = range.fetch.map_or(usize::MAX, |fetch| range.skip.saturating_add(fetch));
    let kept: BooleanArray =
        numbers.iter().map(|number| Some(*number > range.skip && *number <= last)).collect();
    let batch = match numbered {
        None => batch.clone(),
        Some(schema) => {
            let numbers: Int64Array = numbers.into_iter().map(|number| Some(number as i64)).collect();
            let columns = batch.columns().iter().cloned().chain([Arc::new(numbers) as ArrayRef]);
            RecordBatch::try_new(Arc::clone(schema), columns.collect())?
        }
    };
    Ok(filter_record_batch(&batch, &kept)?)
}

impl fmt::Debug for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "First({:?} of {} keys)", self.range, self.keys.len())
    }
}

impl DisplayAs for First {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ExecutionPlan for First {
    fn name(&self) -> &str {
        "First"
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
        for key in &self.keys {
            if visit(key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = children.as_slice() else {
            return Err(DataFusionError::Internal("First has one input".to_owned()));
        };
        let (keys, range) = (self.keys.clone(), self.range.clone());
        Ok(Arc::new(First::new(Arc::clone(input), keys, range, self.numbered, self.schema())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let mut group = Group::new(&self.keys, &rows.schema())?;
        let (schema, keys, range) = (self.schema(), self.keys.clone(), self.range.clone());
        let numbered = self.numbered.then(|| Arc::clone(&schema));
        let kept = rows.map(move |batch| first(&batch?, &keys, &mut group, &range, numbered.as_ref()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, kept)))
    }
}
