//! What a session draws from sequences: nextval, currval, lastval, setval.
//!
//! A statement draws while its query runs, where nothing can wait for a commit. Where values are not at hand it fails,
//! gives back what it has, and runs again when they are: as nothing has been written by then, nobody notices. A
//! sequence that the block itself has created is the block's alone until it commits. As in PostgreSQL, values that a
//! statement drew are gone, however its transaction ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use futures::stream;
use millrace_engine::{DataError, DataType, RelationId};
use millrace_sql::{
    Catalog, CatalogChange, Position, Query, RelationKind, RowStream, Sequences, SqlError, WANTED,
};

use crate::coordinator::{Moment, Reads, is_provisional};
use crate::sequences::{Taken, named};
use crate::server::Server;
use crate::session::Session;
use crate::session::read::collect;
use crate::session::write::STATEMENT_BYTES_MAX;

/// A session's side of all sequences.
pub(super) struct Drawing {
    server: Arc<Server>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Counts attempts: what is left running of one that is over gets nothing.
    attempt: u64,
    /// What the statement was bound against.
    catalog: Arc<Catalog>,
    /// What the session was given last, by sequence.
    current: BTreeMap<RelationId, i64>,
    last: Option<RelationId>,
    /// What the statement was given.
    taken: Vec<Taken>,
    /// What it wants beyond what is at hand.
    wanted: BTreeMap<RelationId, usize>,
    /// Where it moves sequences.
    moved: Vec<(RelationId, Position)>,
    /// How far the sequences are that the open block has created.
    own: BTreeMap<RelationId, Position>,
}

impl Drawing {
    pub(super) fn new(server: Arc<Server>) -> Drawing {
        Drawing { server, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the queries of the attempt at hand draw by.
    pub(super) fn of_attempt(self: &Arc<Self>) -> Arc<dyn Sequences> {
        Arc::new(OfAttempt { drawing: self.clone(), attempt: self.state().attempt })
    }

    /// A statement begins, or begins again.
    pub(super) fn begin(&self, catalog: &Arc<Catalog>) {
        let mut state = self.state();
        state.attempt += 1;
        state.catalog = catalog.clone();
        state.taken.clear();
        state.wanted.clear();
        state.moved.clear();
    }

    /// What has to be set aside before the statement can succeed; what it was given goes back.
    fn take_wanted(&self) -> BTreeMap<RelationId, usize> {
        let mut state = self.state();
        let wanted = std::mem::take(&mut state.wanted);
        if !wanted.is_empty() {
            state.attempt += 1;
            state.taken.drain(..).rev().for_each(|taken| self.server.reserves().give_back(&taken));
        }
        wanted
    }

    /// The sequences that the open block has created are forgotten from this one on: the block is over, or has
    /// gone back to before it.
    pub(super) fn forget_own(&self, from: RelationId) {
        let mut state = self.state();
        let forgotten = state.own.split_off(&from);
        state.current.retain(|id, _| !forgotten.contains_key(id));
        state.last = state.last.filter(|id| !forgotten.contains_key(id));
    }

    /// How far the block's own sequences are is part of how they are created.
    pub(super) fn settle(&self, changes: &mut [CatalogChange]) {
        let state = self.state();
        for change in changes {
            if let CatalogChange::Create(relation) = change
                && let RelationKind::Sequence(sequence) = &mut relation.kind
                && let Some(position) = state.own.get(&relation.id)
            {
                sequence.position = *position;
            }
        }
    }

    /// After an attempt at a statement: sets aside what it wanted (then it is to be run again), or moves the
    /// sequences that it moves where it `succeeded`.
    ///
    /// # Errors
    /// 2200H where a sequence has no more values; the commit's.
    pub(super) async fn drew(&self, succeeded: bool) -> Result<Attempt, SqlError> {
        let (coordinator, holds) = (self.server.coordinator(), self.server.holds());
        let wanted = self.take_wanted();
        if !wanted.is_empty() {
            for (id, count) in wanted {
                self.server.reserves().set_aside(coordinator, holds, id, count).await?;
            }
            return Ok(Attempt::Again);
        }
        let moved = std::mem::take(&mut self.state().moved);
        if succeeded {
            for (id, position) in moved {
                self.server.reserves().move_to(coordinator, id, position).await?;
            }
        }
        Ok(Attempt::Done)
    }
}

/// A session's side of all sequences, for one attempt at a statement.
struct OfAttempt {
    drawing: Arc<Drawing>,
    attempt: u64,
}

impl std::fmt::Debug for OfAttempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OfAttempt({})", self.attempt)
    }
}

impl OfAttempt {
    /// The state, while the attempt is not over: operators that run beside one that has failed go on for a while.
    fn state(&self) -> Result<std::sync::MutexGuard<'_, State>, DataError> {
        let state = self.drawing.state();
        if state.attempt == self.attempt {
            Ok(state)
        } else {
            Err(DataError::new(WANTED, "the attempt is over"))
        }
    }

    fn server(&self) -> &Server {
        &self.drawing.server
    }
}

impl Sequences for OfAttempt {
    fn next(&self, id: RelationId, count: usize) -> Result<Vec<i64>, DataError> {
        let mut state = self.state()?;
        let state = &mut *state;
        let values = if is_provisional(id) {
            let (name, sequence) = named(&state.catalog, id)?;
            let position = state.own.entry(id).or_insert(sequence.position);
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                *position = sequence.next(*position).ok_or_else(|| sequence.exhausted(name))?;
                values.push(position.value);
            }
            values
        } else {
            match self.server().reserves().take(&self.server().catalog(), id, count)? {
                Some((values, taken)) => {
                    state.taken.push(taken);
                    values
                }
                None => {
                    let before: usize =
                        state.taken.iter().filter(|taken| taken.is_of(id)).map(Taken::count).sum();
                    state.wanted.insert(id, before + count);
                    return Err(DataError::new(WANTED, "values of a sequence are not at hand"));
                }
            }
        };
        if let Some(last) = values.last() {
            state.current.insert(id, *last);
            state.last = Some(id);
        }
        Ok(values)
    }

    fn current(&self, id: RelationId) -> Result<i64, DataError> {
        let state = self.state()?;
        state.current.get(&id).copied().ok_or_else(|| {
            let name = state.catalog.by_id(id).map(|relation| relation.name.clone()).unwrap_or_default();
            let message = format!("currval of sequence \"{name}\" is not yet defined in this session");
            DataError::new("55000", message)
        })
    }

    fn last(&self) -> Result<i64, DataError> {
        let state = self.state()?;
        let last = state.last.and_then(|id| state.current.get(&id));
        last.copied().ok_or_else(|| DataError::new("55000", "lastval is not yet defined in this session"))
    }

    fn set(&self, id: RelationId, position: Position) -> Result<(), DataError> {
        let mut state = self.state()?;
        let state = &mut *state;
        let (name, sequence) = named(&state.catalog, id)?;
        if !(sequence.min..=sequence.max).contains(&position.value) {
            let (value, min, max) = (position.value, sequence.min, sequence.max);
            let message =
                format!("setval: value {value} is out of bounds for sequence \"{name}\" ({min}..{max})");
            return Err(DataError::new("22003", message));
        }
        if is_provisional(id) {
            state.own.insert(id, position);
        } else {
            state.moved.push((id, position));
        }
        if position.is_called {
            state.current.insert(id, position.value);
        }
        Ok(())
    }

    fn position(&self, id: RelationId) -> Result<Position, DataError> {
        let state = self.state()?;
        match state.own.get(&id) {
            Some(position) => Ok(*position),
            None if is_provisional(id) => Ok(named(&state.catalog, id)?.1.position),
            None => self.server().reserves().position(&self.server().catalog(), id),
        }
    }
}

impl Session {
    /// All rows of a query that draws, once it had all values that it asks for.
    pub(super) async fn rows_drawing(
        &mut self,
        query: &Query,
        moment: &Moment,
    ) -> Result<(RowStream, Reads), SqlError> {
        loop {
            self.drawing.begin(&moment.catalog);
            let answer = self.all_rows(query, moment).await;
            if let Attempt::Done = self.drawing.drew(answer.is_ok()).await? {
                let (batches, reads) = answer?;
                return Ok((Box::pin(stream::iter(batches.into_iter().map(Ok))), reads));
            }
        }
    }

    async fn all_rows(
        &mut self,
        query: &Query,
        moment: &Moment,
    ) -> Result<(Vec<RecordBatch>, Reads), SqlError> {
        let types: Vec<DataType> = query.columns().iter().map(|column| column.data_type).collect();
        let (rows, reads) = self.run_query(query, None, moment).await?;
        Ok((collect(rows, &types, STATEMENT_BYTES_MAX).await?, reads))
    }
}

/// What became of an attempt at a statement.
pub(super) enum Attempt {
    /// It is over.
    Done,
    /// The values that it wanted are at hand now.
    Again,
}
