//! The rows that a subscriber sees: tick, progressed where asked for, diff, then the relation's columns.
//!
//! Rows of one tick are sorted and each stands once, whichever workers they come from, so that the
//! number of workers never shows.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use millrace_engine::{DataType, Delta, Tick, batch_of, concat};
use millrace_sql::{SqlError, Subscribe};

/// The most rows of a batch.
const BATCH_ROWS: usize = 8192;

/// How a subscription's rows look.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// All columns.
    types: Vec<DataType>,
    /// The relation's columns as rows come, and the places of those that are shown.
    relation: Vec<DataType>,
    shown: Vec<usize>,
    progress: bool,
}

impl Shape {
    /// What the statement asked for.
    pub(crate) fn new(subscribe: &Subscribe) -> Shape {
        let types: Vec<DataType> = subscribe.columns.iter().map(|column| column.data_type).collect();
        let relation = subscribe.relation.types();
        let shown = subscribe.relation.visible().map(|(place, _)| place).collect();
        Shape { types, relation, shown, progress: subscribe.progress }
    }

    /// Whether progress rows are wanted.
    pub(crate) fn has_progress(&self) -> bool {
        self.progress
    }

    /// The relation's own columns, when the subscription began.
    pub(crate) fn relation_types(&self) -> &[DataType] {
        &self.relation
    }

    /// Rows of the relation with their diffs at a tick.
    pub(crate) fn data(
        &self,
        tick: Tick,
        rows: &RecordBatch,
        diffs: &[i64],
    ) -> Result<RecordBatch, SqlError> {
        let diffs = Arc::new(Int64Array::from(diffs.to_vec()));
        let columns: Vec<ArrayRef> = self.shown.iter().map(|place| rows.column(*place).clone()).collect();
        self.batch(tick, false, diffs, &columns, rows.num_rows()).map_err(SqlError::internal)
    }

    /// The row that says that everything through the tick was sent.
    pub(crate) fn progress(&self, tick: Tick) -> Result<RecordBatch, SqlError> {
        let columns: Vec<ArrayRef> =
            self.shown.iter().map(|place| new_null_array(&self.relation[*place].to_arrow(), 1)).collect();
        let diff = Arc::new(Int64Array::new_null(1));
        self.batch(tick, true, diff, &columns, 1).map_err(SqlError::internal)
    }

    fn batch(
        &self,
        tick: Tick,
        progressed: bool,
        diffs: ArrayRef,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<RecordBatch, ArrowError> {
        // Ticks stay below 2^63 microseconds for 292,000 years.
        let ticks: ArrayRef = Arc::new(Int64Array::from(vec![tick as i64; rows]));
        let mut all = vec![ticks];
        if self.progress {
            all.push(Arc::new(BooleanArray::from(vec![progressed; rows])));
        }
        all.push(diffs);
        for (column, data_type) in all.iter_mut().zip(&self.types) {
            *column = cast(column, &data_type.to_arrow())?;
        }
        all.extend(columns.iter().cloned());
        batch_of(&self.types, all, rows)
    }
}

/// Changes with these columns: without those that the relation has got since.
pub(crate) fn cut(delta: &Delta, types: &[DataType]) -> Result<Delta, SqlError> {
    let width = types.len().min(delta.rows.num_columns());
    let rows = delta.rows.project(&(0..width).collect::<Vec<_>>()).map_err(SqlError::internal)?;
    Ok(Delta { rows, diffs: delta.diffs.clone(), ticks: delta.ticks.clone() })
}

/// Rows with a diff each.
pub(crate) type Diffed = (RecordBatch, Vec<i64>);

fn converter(types: &[DataType]) -> Result<RowConverter, ArrowError> {
    RowConverter::new(types.iter().map(|data_type| SortField::new(data_type.to_arrow())).collect())
}

/// The changes of one tick: sorted, each row once, those that cancel left out.
///
/// # Errors
/// XX000 where the deltas do not have these types.
pub(crate) fn merge_tick(types: &[DataType], changes: &[Delta]) -> Result<Vec<Diffed>, SqlError> {
    merge_deltas(types, changes).map_err(SqlError::internal)
}

fn merge_deltas(types: &[DataType], changes: &[Delta]) -> Result<Vec<Diffed>, ArrowError> {
    let batches: Vec<RecordBatch> = changes.iter().map(|delta| delta.rows.clone()).collect();
    let all = concat(types, &batches)?;
    let diffs: Vec<i64> = changes.iter().flat_map(|delta| delta.diffs.iter()).collect();
    let rows = converter(types)?.convert_columns(all.columns());
    // Without columns there is nothing to sort: all rows are the same.
    let rows = if types.is_empty() { None } else { Some(rows?) };
    let compare = |a: u32, b: u32| {
        rows.as_ref().map_or(Ordering::Equal, |rows| rows.row(a as usize).cmp(&rows.row(b as usize)))
    };
    let mut order: Vec<u32> = (0..diffs.len() as u32).collect();
    order.sort_by(|a, b| compare(*a, *b));
    let mut kept: Vec<(u32, i64)> = Vec::new();
    for same in order.chunk_by(|a, b| compare(*a, *b) == Ordering::Equal) {
        let diff: i64 = same.iter().map(|row| diffs[*row as usize]).sum();
        kept.extend((diff != 0).then_some((same[0], diff)));
    }
    let merged = Delta::uniform(all, 0, 0);
    let chunks = kept.chunks(BATCH_ROWS).map(|chunk| {
        let rows: Vec<u32> = chunk.iter().map(|(row, _)| *row).collect();
        Ok((merged.take(&rows)?.rows, chunk.iter().map(|(_, diff)| *diff).collect()))
    });
    chunks.collect()
}

/// One worker's rows, sorted, with repetition.
pub(crate) type Share = Box<dyn Iterator<Item = Result<RecordBatch, SqlError>> + Send>;

/// Merges the workers' shares of a snapshot: sorted, each row once, its diff the multiplicity.
///
/// Streams: holds a batch a worker. Where a share is not sorted in Arrow's row order the rows and
/// the sum of their diffs are right all the same.
pub(crate) struct SnapshotMerge {
    types: Vec<DataType>,
    converter: RowConverter,
    heads: Vec<Head>,
}

/// Where the merge stands in one share.
struct Head {
    share: Share,
    batch: RecordBatch,
    rows: Rows,
    position: usize,
}

impl SnapshotMerge {
    /// Of these shares.
    ///
    /// # Errors
    /// XX000 for types without an order; what reading the shares raises.
    pub(crate) fn new(types: &[DataType], shares: Vec<Share>) -> Result<SnapshotMerge, SqlError> {
        let converter = converter(types).map_err(SqlError::internal)?;
        let mut merge = SnapshotMerge { types: types.to_vec(), converter, heads: Vec::new() };
        for share in shares {
            let head = merge.open(share)?;
            merge.heads.extend(head);
        }
        Ok(merge)
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    /// What reading the shares raises.
    pub(crate) fn next(&mut self) -> Result<Option<Diffed>, SqlError> {
        let mut parts: Vec<RecordBatch> = Vec::new();
        let mut diffs: Vec<i64> = Vec::new();
        while diffs.len() < BATCH_ROWS {
            let Some(least) = self.least() else { break };
            let head = &self.heads[least];
            parts.push(head.batch.slice(head.position, 1));
            let row = head.rows.row(head.position).owned();
            let mut multiplicity = 0;
            while let Some(equal) = self.heads.iter().position(|head| head.row() == row.row()) {
                multiplicity += self.skip(equal)?;
            }
            diffs.push(multiplicity);
        }
        if diffs.is_empty() {
            return Ok(None);
        }
        let rows = concat(&self.types, &parts).map_err(SqlError::internal)?;
        Ok(Some((rows, diffs)))
    }

    /// The share whose row comes first.
    fn least(&self) -> Option<usize> {
        (0..self.heads.len()).min_by(|a, b| self.heads[*a].row().cmp(&self.heads[*b].row()))
    }

    /// Passes the rows of a share that equal its next one, within its batch; answers how many.
    fn skip(&mut self, index: usize) -> Result<i64, SqlError> {
        let head = &mut self.heads[index];
        let start = head.position;
        let end = head.rows.num_rows();
        while head.position < end && head.rows.row(head.position) == head.rows.row(start) {
            head.position += 1;
        }
        let passed = (head.position - start) as i64;
        if head.position == end {
            let Head { share, .. } = self.heads.swap_remove(index);
            let head = self.open(share)?;
            self.heads.extend(head);
        }
        Ok(passed)
    }

    /// The share's next batch that has rows.
    fn open(&self, mut share: Share) -> Result<Option<Head>, SqlError> {
        while let Some(batch) = share.next().transpose()? {
            if batch.num_rows() > 0 {
                let rows = self.converter.convert_columns(batch.columns()).map_err(SqlError::internal)?;
                return Ok(Some(Head { share, batch, rows, position: 0 }));
            }
        }
        Ok(None)
    }
}

impl Head {
    fn row(&self) -> arrow::row::Row<'_> {
        self.rows.row(self.position)
    }
}
