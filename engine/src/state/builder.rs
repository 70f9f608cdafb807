//! `BatchBuilder`: fills runs with updates that come in order.

use std::ops::Range;

use crate::types::Tick;

use super::batch::Batch;
use super::batcher::Updates;
use super::run::{RUN_ROWS, Run, prefix_of};

/// How large a batch may become, so that its memory is reserved at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeHint {
    /// Updates, at most.
    pub(super) rows: usize,
    /// Bytes of all keys, about.
    pub(super) key_bytes: usize,
    /// Bytes of all values, about.
    pub(super) value_bytes: usize,
}

/// Makes a batch of updates that come sorted by (key, value, tick), unique and not all zero.
#[derive(Debug)]
pub struct BatchBuilder {
    stride: usize,
    hint: SizeHint,
    full: Vec<Run>,
    current: Run,
}

impl BatchBuilder {
    /// An empty builder of updates with `stride` lanes.
    pub fn new(stride: usize) -> BatchBuilder {
        BatchBuilder::with_hint(stride, SizeHint { rows: 0, key_bytes: 0, value_bytes: 0 })
    }

    pub(super) fn with_hint(stride: usize, hint: SizeHint) -> BatchBuilder {
        BatchBuilder { stride, hint, full: Vec::new(), current: next_run(stride, hint, 0) }
    }

    /// Appends an update.
    ///
    /// # Panics
    /// In debug builds where it is not after the last one, or adds nothing.
    #[inline]
    pub fn push(&mut self, key: &[u8], value: &[u8], tick: Tick, lanes: &[i64]) {
        self.push_prefixed(prefix_of(key), key, value, tick, lanes);
    }

    /// `push` where the key's prefix is at hand.
    #[inline]
    pub(super) fn push_prefixed(&mut self, prefix: u64, key: &[u8], value: &[u8], tick: Tick, lanes: &[i64]) {
        debug_assert_eq!(prefix, prefix_of(key));
        debug_assert!(lanes.iter().any(|lane| *lane != 0), "an update that adds nothing");
        debug_assert!(self.is_after_last(key, value, tick), "updates out of order");
        if self.current.len() == RUN_ROWS {
            self.seal_run();
        }
        let run = &mut self.current;
        run.prefixes.push(prefix);
        run.keys.push(key);
        run.values.push(value);
        run.ticks.push(tick);
        run.lanes.push(lanes);
    }

    /// Appends some updates of a run, with ticks of `since` at least. None of them may fall together
    /// with another.
    pub(super) fn append(&mut self, from: &Run, mut rows: Range<usize>, since: Tick) {
        while !rows.is_empty() {
            if self.current.len() == RUN_ROWS {
                self.seal_run();
            }
            let part = rows.start..rows.end.min(rows.start + RUN_ROWS - self.current.len());
            debug_assert!(self.is_after_last(
                from.keys.get(part.start),
                from.values.get(part.start),
                from.ticks.get(part.start).max(since)
            ));
            rows.start = part.end;
            self.current.append(from, part, since);
        }
    }

    /// Appends all of these updates, which stand in order and none of which is to be left out.
    pub(super) fn append_updates(&mut self, from: &Updates, prefixes: impl Iterator<Item = u64>) {
        let (mut start, mut prefixes) = (0, prefixes);
        while start < from.len() {
            if self.current.len() == RUN_ROWS {
                self.seal_run();
            }
            let end = from.len().min(start + RUN_ROWS - self.current.len());
            let run = &mut self.current;
            run.prefixes.extend(prefixes.by_ref().take(end - start));
            run.keys.append_range(&from.keys, start..end);
            run.values.append_range(&from.values, start..end);
            run.ticks.append_range(&from.ticks, start..end);
            run.lanes.append_range(&from.lanes, start..end);
            start = end;
        }
    }

    fn is_after_last(&self, key: &[u8], value: &[u8], tick: Tick) -> bool {
        let run = &self.current;
        let Some(last) = run.len().checked_sub(1) else { return true };
        (run.keys.get(last), run.values.get(last), run.ticks.get(last)) < (key, value, tick)
    }

    fn seal_run(&mut self) {
        let done = (self.full.len() + 1) * RUN_ROWS;
        let next = next_run(self.stride, self.hint, done);
        let mut sealed = std::mem::replace(&mut self.current, next);
        sealed.shrink();
        self.full.push(sealed);
    }

    /// The batch; `None` without updates.
    pub fn finish(mut self) -> Option<Batch> {
        if !self.current.is_empty() {
            self.current.shrink();
            self.full.push(self.current);
        }
        Batch::of_runs(self.stride, self.full)
    }
}

/// An empty run with room for what is still expected when `done` updates are in full runs.
fn next_run(stride: usize, hint: SizeHint, done: usize) -> Run {
    let rows = hint.rows.saturating_sub(done).min(RUN_ROWS);
    let share = |bytes: usize| (bytes as u128 * rows as u128 / hint.rows.max(1) as u128) as usize;
    Run::with_capacity(stride, rows, share(hint.key_bytes), share(hint.value_bytes))
}
