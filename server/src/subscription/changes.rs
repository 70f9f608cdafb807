//! The changes of one tick, as they are shown to all who follow.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use millrace_engine::{Tick, batch_bytes};
use millrace_sql::SqlError;

use super::rows::{Diffed, Shape};
use crate::portion::{Portion, Written};

/// The most shapes (with and without progress, columns added and dropped meanwhile) in which changes are kept.
const SHAPES_MAX: usize = 4;

/// The changes of one tick: sorted, each row once.
pub(super) struct Changes {
    pub(super) tick: Tick,
    /// What they take, without what they were written as.
    pub(super) bytes: usize,
    rows: Vec<Diffed>,
    shown: Mutex<Vec<(Shape, Arc<[Portion]>)>>,
    /// Counts how often they are written.
    count: Arc<AtomicU64>,
}

impl Changes {
    pub(super) fn new(tick: Tick, rows: Vec<Diffed>, count: Arc<AtomicU64>) -> Changes {
        let size = |(rows, diffs): &Diffed| batch_bytes(rows) + diffs.len() * size_of::<i64>();
        let bytes = rows.iter().map(size).sum();
        Changes { tick, bytes, rows, shown: Mutex::default(), count }
    }

    /// Their rows as a subscription shows them: made once for all who want the same.
    pub(super) fn shown(&self, shape: &Shape) -> Result<Arc<[Portion]>, SqlError> {
        let mut shown = self.lock();
        if let Some((_, portions)) = shown.iter().find(|(kept, _)| kept == shape) {
            return Ok(portions.clone());
        }
        let portion = |(rows, diffs): &Diffed| -> Result<Portion, SqlError> {
            let rows: RecordBatch = shape.data(self.tick, rows, diffs)?;
            Ok(Portion { rows, written: Some(Arc::new(Written::new(self.count.clone()))) })
        };
        let portions: Arc<[Portion]> = self.rows.iter().map(portion).collect::<Result<_, _>>()?;
        if shown.len() < SHAPES_MAX {
            shown.push((shape.clone(), portions.clone()));
        }
        Ok(portions)
    }

    /// Everybody has them: lets go of all but the rows.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Shape, Arc<[Portion]>)>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
