//! One following of a relation for all who subscribe to it.
//!
//! ```text
//! workers ──events──► Feed ──► Hub's task: complete ticks, merged once ──► Ring ──► each Follower
//! ```
//! A hub lives while somebody follows, and a while longer, so that a client that was cut off finds what it missed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_engine::{DataType, Engine, RelationId, Tick};
use millrace_sql::{Relation, SqlError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::changes::Changes;
use super::feed::{End, Feed};
use super::fold::Step;
use super::ring::{KEPT, Place, Ring, TooSlow};
use super::rows::{cut, merge_tick};
use crate::coordinator::{Hold, Holds};
use crate::server::Server;

/// A server's hubs.
#[derive(Clone, Default)]
pub(crate) struct Hubs {
    by_relation: Arc<Mutex<HashMap<RelationId, Vec<Arc<Hub>>>>>,
    counts: Arc<Counts>,
}

/// What metrics tell of subscriptions.
#[derive(Default)]
pub(crate) struct Counts {
    /// Those who follow now.
    pub(crate) followers: AtomicUsize,
    /// How often changes were written for those who follow.
    pub(crate) written: Arc<AtomicU64>,
}

/// A relation that is followed.
pub(super) struct Hub {
    /// Its columns when the hub began.
    types: Vec<DataType>,
    /// The tick behind which it began.
    as_of: Tick,
    state: Mutex<State>,
    feed: Arc<Feed>,
    /// Told when there are changes, or the end.
    changed: watch::Sender<()>,
    /// Told when more is complete, or at the end.
    progressed: watch::Sender<()>,
    counts: Arc<Counts>,
}

struct State {
    ring: Ring,
    /// Everything through this tick is in the ring, or was.
    complete: Tick,
    /// How often the feed has begun anew.
    generation: u64,
    /// Keeps the tick behind which the workers tell readable, until they have begun.
    hold: Option<Arc<Hold>>,
    followers: usize,
    /// Since when nobody follows.
    left: Instant,
    end: Option<End>,
}

/// What a follower finds.
pub(super) enum Found {
    Changes(Arc<Changes>),
    /// It has all changes through a tick.
    All(Tick),
    TooSlow,
    End(End),
}

/// A follower's end of a hub.
pub(super) struct Seat {
    hub: Arc<Hub>,
    place: Place,
    pub(super) changed: watch::Receiver<()>,
    pub(super) progressed: watch::Receiver<()>,
}

impl Hubs {
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Follows a relation behind a tick: with others where there is a hub that has all that came since, else
    /// anew, if the tick is held. Must be called on a tokio runtime.
    pub(super) fn join(
        &self,
        server: &Server,
        relation: &Relation,
        as_of: Tick,
        hold: Option<&Arc<Hold>>,
    ) -> Option<Seat> {
        let mut hubs = self.lock();
        let types = relation.types();
        let of_relation = hubs.get(&relation.id).into_iter().flatten();
        let joined = of_relation.filter(|hub| hub.types == types).find_map(|hub| hub.join(as_of));
        if joined.is_some() {
            return joined;
        }
        let hold = hold?.clone();
        let engine = server.engine();
        let hub = Arc::new(Hub::new(engine.workers(), types, as_of, hold, self.counts.clone()));
        let seat = hub.join(as_of);
        hubs.entry(relation.id).or_default().push(hub.clone());
        // Before `go_on` may look: a hub that it does not know has asked the generation after the lost one.
        engine.subscribe(relation.id, as_of, hub.feed.sink());
        drop(hubs);
        let (hubs, relation, published) = (self.clone(), relation.id, server.holds().follow());
        tokio::spawn(async move {
            hub.run(published).await;
            hubs.forget(relation, &hub);
        });
        seat
    }

    /// The bytes of changes that are kept for followers.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.lock().values().flatten().map(|hub| hub.lock().ring.bytes()).sum()
    }

    /// The workers are lost: holds what is followed where each hub stands, and gives the first tick that must be
    /// readable in the next generation.
    pub(crate) fn hold(&self, holds: &Arc<Holds>) -> Tick {
        let hubs = self.lock();
        hubs.values().flatten().filter_map(|hub| hub.begin_anew(holds)).fold(holds.since(), Tick::min)
    }

    /// The next generation has what is held: it tells what comes behind it, also to those who have come meanwhile.
    pub(crate) fn go_on(&self, engine: &Engine, holds: &Arc<Holds>) {
        for (relation, hubs) in self.lock().iter() {
            for hub in hubs {
                if let Some(as_of) = hub.begin_anew(holds) {
                    engine.subscribe(*relation, as_of, hub.feed.sink());
                }
            }
        }
    }

    fn forget(&self, relation: RelationId, hub: &Arc<Hub>) {
        let mut hubs = self.lock();
        if let Some(of_relation) = hubs.get_mut(&relation) {
            of_relation.retain(|kept| !Arc::ptr_eq(kept, hub));
            if of_relation.is_empty() {
                hubs.remove(&relation);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RelationId, Vec<Arc<Hub>>>> {
        self.by_relation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    fn new(workers: usize, types: Vec<DataType>, as_of: Tick, hold: Arc<Hold>, counts: Arc<Counts>) -> Hub {
        let state = State {
            ring: Ring::new(as_of),
            complete: 0,
            generation: 0,
            hold: Some(hold),
            followers: 0,
            left: Instant::now(),
            end: None,
        };
        Hub {
            types,
            as_of,
            state: Mutex::new(state),
            feed: Arc::new(Feed::new(workers, as_of)),
            changed: watch::Sender::new(()),
            progressed: watch::Sender::new(()),
            counts,
        }
    }

    /// `None` where the hub has ended, or what came behind the tick is gone.
    fn join(self: &Arc<Hub>, as_of: Tick) -> Option<Seat> {
        let (changed, progressed) = (self.changed.subscribe(), self.progressed.subscribe());
        let mut state = self.lock();
        if state.end.is_some() {
            return None;
        }
        let place = state.ring.join(as_of)?;
        state.followers += 1;
        drop(state);
        self.counts.followers.fetch_add(1, Ordering::Relaxed);
        Some(Seat { hub: self.clone(), place, changed, progressed })
    }

    /// Forgets what it has not taken in, and holds where it stands, also where that could not be read any more: where it
    /// stands. `None`: it has ended.
    fn begin_anew(&self, holds: &Arc<Holds>) -> Option<Tick> {
        let mut state = self.lock();
        if state.end.is_some() {
            return None;
        }
        let tick = state.complete.max(self.as_of);
        state.hold = Some(Arc::new(holds.again(tick)));
        state.generation = self.feed.begin_anew(tick);
        Some(tick)
    }

    /// Takes in what the workers tell until the end, or until nobody has followed for a while.
    async fn run(&self, mut published: watch::Receiver<Tick>) {
        let end = loop {
            let newest = *published.borrow_and_update();
            if let Err(end) = self.take_steps(newest) {
                break end;
            }
            let Some(closing) = self.closing() else { break End::Left };
            tokio::select! {
                () = self.feed.told.notified() => {}
                () = sleep_until(closing.unwrap_or_else(Instant::now)), if closing.is_some() => {}
                changed = published.changed() => {
                    if changed.is_err() {
                        // No more ticks will come: the server goes down.
                        self.feed.end(End::Stopped);
                    }
                }
            }
        };
        self.feed.end(end.clone());
        self.lock().end = Some(end);
        self.changed.send_replace(());
        self.progressed.send_replace(());
    }

    /// Puts what is complete into the ring.
    fn take_steps(&self, newest: Tick) -> Result<(), End> {
        while let Some((generation, step)) = self.feed.take_step(newest)? {
            self.take_in(generation, &step).map_err(End::Error)?;
        }
        Ok(())
    }

    fn take_in(&self, generation: u64, step: &Step) -> Result<(), SqlError> {
        let changes: Vec<_> =
            step.changes.iter().map(|delta| cut(delta, &self.types)).collect::<Result<_, _>>()?;
        let rows = merge_tick(&self.types, &changes)?;
        let has_changes = !rows.is_empty();
        let now = Instant::now().into_std();
        let mut state = self.lock();
        if generation != state.generation {
            // The feed has begun anew since the step was taken: it comes again.
            return Ok(());
        }
        state.complete = step.tick;
        // Every worker has begun.
        drop(state.hold.take());
        if has_changes {
            state.ring.push(Changes::new(step.tick, rows, self.counts.written.clone()), now);
        } else {
            state.ring.trim(now);
        }
        drop(state);
        if has_changes {
            self.changed.send_replace(());
        }
        self.progressed.send_replace(());
        Ok(())
    }

    /// When nobody will have followed for a while, if nobody follows now. `None`: that was so, and nobody can
    /// join any more.
    fn closing(&self) -> Option<Option<Instant>> {
        let mut state = self.lock();
        let closing = state.left + KEPT;
        if state.followers > 0 {
            return Some(None);
        }
        if Instant::now() < closing {
            return Some(Some(closing));
        }
        state.end = Some(End::Left);
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// What there is behind what the follower has; it has all through `progressed`. `None`: nothing yet.
    pub(super) fn next(&mut self, progressed: Tick) -> Option<Found> {
        self.changed.borrow_and_update();
        self.progressed.borrow_and_update();
        let mut state = self.hub.lock();
        match state.ring.next(&mut self.place) {
            Err(TooSlow) => Some(Found::TooSlow),
            Ok(Some(changes)) => Some(Found::Changes(changes)),
            Ok(None) if state.complete > progressed => Some(Found::All(state.complete)),
            Ok(None) => state.end.clone().map(Found::End),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.ring.leave(self.place);
        state.followers -= 1;
        if state.followers == 0 {
            state.left = Instant::now();
            self.hub.feed.told.notify_one();
        }
        drop(state);
        self.hub.counts.followers.fetch_sub(1, Ordering::Relaxed);
    }
}
