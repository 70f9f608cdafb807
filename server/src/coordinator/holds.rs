//! What readers may see: the newest tick with its catalog, and the holds that keep history readable.
//!
//! Readers come here, not to the coordinator's queue: a lock for a few instructions gives tick,
//! catalog and hold together. Invariant: `since` never passes a hold that is taken, nor the newest
//! tick; it only grows. So whoever holds a tick can read it, and whoever takes the newest needs no check.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_engine::Tick;
use millrace_sql::Catalog;
use tokio::sync::{Notify, watch};

/// A moment that a reader sees: everything committed at or before its tick, and nothing after.
#[derive(Clone)]
pub struct Moment {
    /// The moment's tick.
    pub tick: Tick,
    /// The catalog at that tick.
    pub catalog: Arc<Catalog>,
    /// Keeps the tick readable.
    pub hold: Arc<Hold>,
}

/// Keeps a tick readable until it is dropped.
pub struct Hold {
    tick: Tick,
    holds: Arc<Holds>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.release(self.tick);
    }
}

/// The newest tick, its catalog, and all holds.
pub struct Holds {
    state: Mutex<State>,
    /// Told when since could move because a hold went.
    released: Notify,
    /// The newest tick again, for those who wait for it to move.
    published: watch::Sender<Tick>,
}

struct State {
    newest: Tick,
    catalog: Arc<Catalog>,
    since: Tick,
    /// How many hold each tick.
    held: BTreeMap<Tick, usize>,
}

impl State {
    /// What since may be: the newest tick less holds.
    fn since_target(&self) -> Tick {
        self.held.keys().next().map_or(self.newest, |least| self.newest.min(*least))
    }
}

impl Holds {
    /// Nothing before `newest` can be read, nobody holds anything.
    pub fn new(newest: Tick, catalog: Arc<Catalog>) -> Holds {
        let state = State { newest, catalog, since: newest, held: BTreeMap::new() };
        Holds { state: Mutex::new(state), released: Notify::new(), published: watch::Sender::new(newest) }
    }

    /// The newest moment, held.
    pub fn newest(self: &Arc<Self>) -> Moment {
        let mut state = self.lock();
        let tick = state.newest;
        let catalog = state.catalog.clone();
        Moment { tick, catalog, hold: Arc::new(self.hold(&mut state, tick)) }
    }

    /// A hold on this tick, which may lie in the future.
    ///
    /// # Errors
    /// since, where it has passed the tick.
    pub fn at(self: &Arc<Self>, tick: Tick) -> Result<Hold, Tick> {
        let mut state = self.lock();
        if tick < state.since { Err(state.since) } else { Ok(self.hold(&mut state, tick)) }
    }

    /// A hold on this tick, also where since has passed it: since then stays where it is for as long. For what is read
    /// again of a log that is replayed.
    pub(crate) fn again(self: &Arc<Self>, tick: Tick) -> Hold {
        self.hold(&mut self.lock(), tick)
    }

    /// How many holds there are.
    pub fn count(&self) -> usize {
        self.lock().held.values().sum()
    }

    /// The newest tick.
    pub fn newest_tick(&self) -> Tick {
        self.lock().newest
    }

    /// The newest catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.lock().catalog.clone()
    }

    /// The first tick that can still be read.
    pub fn since(&self) -> Tick {
        self.lock().since
    }

    /// Lets readers see a commit. Coordinator only; ticks ascend.
    pub fn publish(&self, tick: Tick, catalog: Arc<Catalog>) {
        let mut state = self.lock();
        debug_assert!(tick > state.newest, "published ticks ascend");
        state.newest = tick;
        state.catalog = catalog;
        drop(state);
        self.published.send_replace(tick);
    }

    /// Follows the newest tick.
    pub fn follow(&self) -> watch::Receiver<Tick> {
        self.published.subscribe()
    }

    /// Moves since as far as holds allow; the new since where it moved. Coordinator only, which
    /// then sends the engine's `compact`: a hold taken from now on is at or after it.
    pub fn move_since(&self) -> Option<Tick> {
        let mut state = self.lock();
        let target = state.since_target();
        let moved = target > state.since;
        state.since = state.since.max(target);
        moved.then_some(target)
    }

    /// Returns once a hold went that since waited for.
    pub async fn released(&self) {
        self.released.notified().await;
    }

    fn hold(self: &Arc<Self>, state: &mut State, tick: Tick) -> Hold {
        *state.held.entry(tick).or_default() += 1;
        Hold { tick, holds: self.clone() }
    }

    fn release(&self, tick: Tick) {
        let mut state = self.lock();
        if let Some(count) = state.held.get_mut(&tick) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&tick);
            }
        }
        if state.since_target() > state.since {
            self.released.notify_one();
        }
    }

    /// The state is whole at every unlock, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(newest: Tick) -> Arc<Holds> {
        Arc::new(Holds::new(newest, Arc::default()))
    }

    #[test]
    fn since_follows_the_newest_tick_when_nobody_holds() {
        let holds = holds(10);
        assert_eq!(holds.move_since(), None);
        holds.publish(12, Arc::default());
        assert_eq!(holds.move_since(), Some(12));
        assert_eq!(holds.move_since(), None);
        assert_eq!(holds.at(11).err(), Some(12));
    }

    #[test]
    fn since_stays_at_the_least_hold_until_the_last_of_it_goes() {
        let holds = holds(10);
        let first = holds.newest();
        let second = first.clone();
        holds.publish(15, Arc::default());
        let third = holds.newest();
        holds.publish(20, Arc::default());
        drop(first);
        assert_eq!(holds.move_since(), None);
        drop(second);
        assert_eq!(holds.move_since(), Some(15));
        drop(third);
        assert_eq!(holds.move_since(), Some(20));
    }

    #[test]
    fn a_hold_in_the_future_does_not_keep_since_back_before_its_tick() {
        let holds = holds(10);
        let hold = holds.at(30).ok();
        holds.publish(20, Arc::default());
        assert_eq!(holds.move_since(), Some(20));
        holds.publish(40, Arc::default());
        assert_eq!(holds.move_since(), Some(30));
        drop(hold);
        assert_eq!(holds.move_since(), Some(40));
    }
}
