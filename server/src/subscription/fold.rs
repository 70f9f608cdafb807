//! Folds what all workers tell of a relation into one sequence of complete ticks. Pure.
//!
//! A tick is complete once every worker's upper has passed it, and is told once it is published:
//! who saw a change and then reads must find it. Ticks without changes are told when they are the
//! newest, so that those in between (an upper may stand just before a commit) do not show.
//! Invariant: the steps' ticks ascend, and the steps that carry changes are the same however the
//! workers' events interleave.

use std::collections::BTreeMap;

use millrace_engine::{Col, DataError, Delta, Tick};

/// Everything through `tick` is complete; `changes` are all those at `tick`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The tick.
    pub(crate) tick: Tick,
    /// Its changes, worker by worker, rows of different workers not merged yet.
    pub(crate) changes: Vec<Delta>,
}

/// The events of all workers so far, less the steps taken.
pub(crate) struct Fold {
    as_of: Tick,
    /// A worker's upper; `None` until its snapshot came.
    uppers: Vec<Option<Tick>>,
    /// The tick of the last step.
    progressed: Option<Tick>,
    changes: BTreeMap<Tick, Vec<Delta>>,
    errors: BTreeMap<Tick, Vec<(DataError, i64)>>,
    /// The relation's error collection at the last step; empty unless it is in error.
    standing: BTreeMap<DataError, i64>,
}

impl Fold {
    /// Of this many workers, from `as_of` on.
    pub(crate) fn new(workers: usize, as_of: Tick) -> Fold {
        Fold {
            as_of,
            uppers: vec![None; workers],
            progressed: None,
            changes: BTreeMap::new(),
            errors: BTreeMap::new(),
            standing: BTreeMap::new(),
        }
    }

    /// A worker's snapshot at `as_of` has come.
    pub(crate) fn snapshot(&mut self, worker: usize) {
        self.pass(worker, self.as_of + 1);
    }

    /// A worker's changes and errors after `as_of`, complete before `upper`.
    pub(crate) fn add(
        &mut self,
        worker: usize,
        changes: Vec<Delta>,
        errors: Vec<(Tick, DataError, i64)>,
        upper: Tick,
    ) {
        for delta in changes.iter().flat_map(by_tick) {
            self.changes.entry(delta.tick_min()).or_default().push(delta);
        }
        for (tick, error, diff) in errors {
            self.errors.entry(tick).or_default().push((error, diff));
        }
        self.pass(worker, upper);
    }

    /// The next complete tick, if there is one that says something new. The first is `as_of`.
    /// `newest` is the newest published tick.
    ///
    /// # Errors
    /// The least error of the relation at that tick.
    pub(crate) fn next(&mut self, newest: Tick) -> Result<Option<Step>, DataError> {
        let Some(complete) = self.complete_through().filter(|_| newest >= self.as_of) else {
            return Ok(None);
        };
        if self.progressed.is_none() {
            self.progressed = Some(self.as_of);
            return Ok(Some(Step { tick: self.as_of, changes: Vec::new() }));
        }
        let waiting = [self.changes.keys().next(), self.errors.keys().next()].into_iter().flatten().min();
        let tick = match waiting {
            Some(tick) if *tick <= complete.min(newest) => *tick,
            Some(_) | None if complete >= newest => newest,
            Some(_) | None => return Ok(None),
        };
        if self.progressed >= Some(tick) {
            return Ok(None);
        }
        self.progressed = Some(tick);
        self.apply_errors(tick)?;
        let changes = self.changes.remove(&tick).unwrap_or_default();
        Ok(Some(Step { tick, changes }))
    }

    /// The last tick that is complete on every worker.
    fn complete_through(&self) -> Option<Tick> {
        let uppers: Option<Vec<Tick>> = self.uppers.iter().copied().collect();
        uppers?.into_iter().min()?.checked_sub(1)
    }

    fn apply_errors(&mut self, tick: Tick) -> Result<(), DataError> {
        for (error, diff) in self.errors.remove(&tick).unwrap_or_default() {
            *self.standing.entry(error).or_default() += diff;
        }
        self.standing.retain(|_, count| *count != 0);
        self.standing.keys().next().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn pass(&mut self, worker: usize, upper: Tick) {
        if let Some(known) = self.uppers.get_mut(worker) {
            *known = (*known).max(Some(upper));
        }
    }
}

/// The delta cut where its tick changes.
fn by_tick(delta: &Delta) -> Vec<Delta> {
    match &delta.ticks {
        Col::Const(..) => vec![delta.clone()],
        Col::Each(ticks) => {
            let mut parts = Vec::new();
            let mut start = 0;
            for run in ticks.chunk_by(|a, b| a == b) {
                parts.push(delta.slice(start, run.len()));
                start += run.len();
            }
            parts
        }
    }
}
