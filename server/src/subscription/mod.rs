//! SUBSCRIBE: the engine's events become rows.
//!
//! ```text
//! workers ──SubscriptionEvent──► Feed ──► Fold ──► Hub (one for all who follow a relation): Ring of changes
//!                                         complete ticks       │
//!                    the workers' shares at as_of ──► Follower ┴─► rows to the wire
//! ```
//! First the rows at `as_of`, then the changes of each tick once every worker has passed it, and
//! after each, where asked for, a progress row: everything through its tick was sent.
//! A change is merged, shaped and written once, however many follow (`Portion`).
//!
//! The subscription ends with an error where the relation is in error at a tick (that error), where
//! it is dropped (42P01, what a new SUBSCRIBE would say), and where the client reads more slowly
//! than the relation changes (53400).

mod changes; // one tick's, as they are shown
mod feed; // what the workers tell
mod fold; // complete ticks out of the workers' events
mod hub; // one following for all
mod ring; // the newest changes, and where followers stand
mod rows; // what the subscriber sees
#[cfg(test)]
mod tests; // any interleaving gives the same rows

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream;
use millrace_engine::{EngineError, Snapshot, Tick};
use millrace_sql::{Relation, SqlError, Subscribe};

use crate::coordinator::Moment;
use crate::engines::{Reading, Wanted};
use crate::portion::{Portion, Portions};
use crate::server::Server;
use feed::End;
use hub::{Found, Seat};
use rows::{Shape, Share, SnapshotMerge};

pub(crate) use hub::Hubs;
pub use ring::BYTES_MAX as BUFFER_BYTES_MAX;

/// Follows the statement's relation from its AS OF on, or else from the moment.
///
/// # Errors
/// 22023 where history does not reach back to AS OF: the error names since.
pub fn start(server: &Server, subscribe: &Subscribe, moment: &Moment) -> Result<Portions, SqlError> {
    follow(server, subscribe, moment, subscribe.progress)
}

/// The same; where `is_woken` is false, progress is told behind changes, and not for its own sake.
///
/// # Errors
/// As `start`.
pub(crate) fn follow(
    server: &Server,
    subscribe: &Subscribe,
    moment: &Moment,
    is_woken: bool,
) -> Result<Portions, SqlError> {
    let relation = subscribe.relation.clone();
    let as_of = subscribe.as_of.unwrap_or(moment.tick);
    let hold = match subscribe.as_of {
        None => Ok(moment.hold.clone()),
        Some(_) if as_of < relation.created => Err(relation.created),
        Some(_) => server.holds().at(as_of).map(Arc::new),
    };
    // Who wants no snapshot may go on behind a tick that can no longer be read, while its changes are kept.
    if let Err(since) = &hold
        && subscribe.snapshot
    {
        return Err(gone(as_of, *since, &relation));
    }
    let seat = server.hubs().join(server, &relation, as_of, hold.as_ref().ok());
    let (seat, opening) = match (seat, hold) {
        (Some(seat), Ok(hold)) => {
            (seat, Some(server.engines().read(relation.id, as_of, Wanted::Rows, &hold)))
        }
        (Some(seat), Err(_)) => (seat, None),
        (None, hold) => return Err(gone(as_of, hold.err().unwrap_or(as_of), &relation)),
    };
    let follower = Follower {
        seat,
        opening,
        snapshot: None,
        snapshot_waits: false,
        as_of,
        progressed: as_of,
        shape: Shape::new(subscribe),
        relation,
        wants_snapshot: subscribe.snapshot,
        is_woken,
        ready: VecDeque::new(),
        is_over: false,
    };
    Ok(Box::pin(stream::unfold(follower, |mut follower| async move {
        let portion = follower.next().await?;
        Some((portion, follower))
    })))
}

fn gone(as_of: Tick, since: Tick, relation: &Relation) -> SqlError {
    SqlError::new("22023", format!("cannot subscribe to \"{}\" as of tick {as_of}", relation.name))
        .detail(format!("Its history starts at tick {since}."))
        .hint("Without AS OF a subscription starts with the rows of now.")
}

/// The client's end: a stream of rows.
struct Follower {
    seat: Seat,
    /// The workers' shares at the first tick, asked for and not come yet.
    opening: Option<Reading>,
    /// The rows at `as_of` that were not sent yet.
    snapshot: Option<SnapshotMerge>,
    /// Whether they come from another process.
    snapshot_waits: bool,
    as_of: Tick,
    /// Everything through this tick was sent or waits to be sent.
    progressed: Tick,
    shape: Shape,
    relation: Arc<Relation>,
    wants_snapshot: bool,
    /// Progress is told also where nothing has changed.
    is_woken: bool,
    ready: VecDeque<Portion>,
    is_over: bool,
}

impl Follower {
    /// The next rows; `None` after an error.
    async fn next(&mut self) -> Option<Result<Portion, SqlError>> {
        if self.is_over {
            return None;
        }
        let portion = self.next_portion().await;
        self.is_over = portion.is_err();
        Some(portion)
    }

    async fn next_portion(&mut self) -> Result<Portion, SqlError> {
        loop {
            if let Some(opening) = &mut self.opening {
                let shares = opening.answer().await;
                self.opening = None;
                self.open(shares.map_err(|error| self.refused(error))?)?;
            }
            if let Some(portion) = self.next_of_snapshot()? {
                return Ok(portion);
            }
            if let Some(portion) = self.ready.pop_front() {
                return Ok(portion);
            }
            match self.seat.next(self.progressed) {
                Some(found) => self.take(found)?,
                None => self.wait().await,
            }
        }
    }

    /// Waits for changes, or where progress is told for that.
    async fn wait(&mut self) {
        // A hub that is gone has told its end before.
        let _ = match self.is_woken {
            true => self.seat.progressed.changed().await,
            false => self.seat.changed.changed().await,
        };
    }

    fn take(&mut self, found: Found) -> Result<(), SqlError> {
        match found {
            Found::Changes(changes) if changes.tick <= self.as_of => Ok(()),
            Found::Changes(changes) => {
                self.ready.extend(changes.shown(&self.shape)?.iter().cloned());
                self.push_progress(changes.tick)
            }
            Found::All(tick) => self.push_progress(tick),
            Found::TooSlow => Err(self.too_slow()),
            Found::End(End::Dropped) => Err(self.dropped()),
            Found::End(End::Error(error)) => Err(error),
            Found::End(End::Left | End::Stopped) => Err(stopped()),
        }
    }

    /// All workers' shares are there.
    fn open(&mut self, shares: Vec<Snapshot>) -> Result<(), SqlError> {
        if let Some(error) = shares.iter().filter_map(Snapshot::error).min() {
            return Err(error.into());
        }
        if !self.wants_snapshot {
            return self.push_progress(self.as_of);
        }
        self.snapshot_waits = shares.iter().any(Snapshot::is_elsewhere);
        let shares = shares.into_iter().map(|share| {
            let rows = share.shaped(self.relation.shape()).rows().map(|batch| batch.map_err(SqlError::from));
            Box::new(rows) as Share
        });
        let merge = || SnapshotMerge::new(self.shape.relation_types(), shares.collect());
        self.snapshot = Some(waiting(self.snapshot_waits, merge)?);
        Ok(())
    }

    fn next_of_snapshot(&mut self) -> Result<Option<Portion>, SqlError> {
        let Some(merge) = &mut self.snapshot else { return Ok(None) };
        if let Some((rows, diffs)) = waiting(self.snapshot_waits, || merge.next())? {
            return self.shape.data(self.as_of, &rows, &diffs).map(|rows| Some(Portion::alone(rows)));
        }
        self.snapshot = None;
        self.push_progress(self.as_of)?;
        Ok(None)
    }

    fn push_progress(&mut self, tick: Tick) -> Result<(), SqlError> {
        self.progressed = tick;
        if self.shape.has_progress() {
            self.ready.push_back(Portion::alone(self.shape.progress(tick)?));
        }
        Ok(())
    }

    /// Why there are no shares.
    fn refused(&self, error: EngineError) -> SqlError {
        match error {
            EngineError::NoRelation(_) => self.dropped(),
            EngineError::Failed(error) => error.into(),
            EngineError::Stopped => stopped(),
            other => SqlError::internal(other),
        }
    }

    fn dropped(&self) -> SqlError {
        SqlError::new("42P01", format!("relation \"{}\" does not exist", self.relation.name))
            .detail("It was dropped while it was subscribed to.")
    }

    fn too_slow(&self) -> SqlError {
        SqlError::new("53400", "the subscription fell too far behind")
            .detail(format!(
                "More than {} MiB of changes of \"{}\" waited for the client.",
                BUFFER_BYTES_MAX >> 20,
                self.relation.name
            ))
            .hint("Subscribe again and read faster.")
    }
}

/// Does something, on a thread on which others do not wait for it where it waits itself.
fn waiting<T>(waits: bool, act: impl FnOnce() -> T) -> T {
    if waits { tokio::task::block_in_place(act) } else { act() }
}

fn stopped() -> SqlError {
    SqlError::new("57P01", "the workers have stopped")
}
