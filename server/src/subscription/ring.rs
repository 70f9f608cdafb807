//! The newest changes of a relation, tick by tick, and where each of its followers stands. Pure.
//!
//! ```text
//!     first              passed                        end
//!  ─────┼──────────────────┼─────────────────────────────┼──▶ places
//!  gone │ kept for a while │ somebody has still to read  │ not come yet
//! ```
//! A follower stands at the place whose changes it has in hand, or just before the first. Changes go
//! when all have passed them and they are older than `KEPT`, and in any case when those behind them take
//! `BYTES_MAX`: whoever has not read them is too slow, and all others do not notice.
//! Invariant: every change after `floor` is in the ring or will be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_engine::Tick;

use super::changes::Changes;

/// The most bytes of changes that are kept, but for the newest tick's, which are there in any case.
pub const BYTES_MAX: usize = 64 << 20;

/// How long changes stay that everybody has read: so late who was cut off may go on behind what it has.
pub(super) const KEPT: Duration = Duration::from_secs(60);

/// Where a follower stands. Places are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

/// What a follower has not read is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow;

pub(super) struct Ring {
    slots: VecDeque<Slot>,
    /// The place of the first slot.
    first: u64,
    /// All before it were passed by everybody.
    passed: u64,
    /// How many stand just before the first.
    before: usize,
    floor: Tick,
    bytes: usize,
}

struct Slot {
    changes: Arc<Changes>,
    come: Instant,
    /// How many stand here.
    here: usize,
}

impl Ring {
    /// The bytes of the changes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// For the changes after a tick.
    pub(super) fn new(floor: Tick) -> Ring {
        Ring { slots: VecDeque::new(), first: 1, passed: 1, before: 0, floor, bytes: 0 }
    }

    /// The changes of the next tick that has some.
    pub(super) fn push(&mut self, changes: Changes, now: Instant) {
        self.bytes += changes.bytes;
        self.slots.push_back(Slot { changes: Arc::new(changes), come: now, here: 0 });
        while self.bytes > BYTES_MAX && self.slots.len() > 1 {
            self.pop();
        }
        self.trim(now);
    }

    /// Lets go of what is old and was passed by everybody.
    pub(super) fn trim(&mut self, now: Instant) {
        self.pass();
        while self.first < self.passed
            && self.slots.front().is_some_and(|slot| now.duration_since(slot.come) > KEPT)
        {
            self.pop();
        }
    }

    /// A follower who knows everything through a tick; `None` where what comes next is gone.
    pub(super) fn join(&mut self, as_of: Tick) -> Option<Place> {
        if as_of < self.floor {
            return None;
        }
        let known = self.slots.partition_point(|slot| slot.changes.tick <= as_of) as u64;
        let place = Place(self.first + known - 1);
        self.stand(place);
        self.passed = self.passed.min(place.0.max(self.first));
        Some(place)
    }

    /// The changes behind a follower's place, where it stands from now on; `None` where there are none yet.
    pub(super) fn next(&mut self, place: &mut Place) -> Result<Option<Arc<Changes>>, TooSlow> {
        let next = Place(place.0 + 1);
        if next.0 < self.first {
            return Err(TooSlow);
        }
        let Some(slot) = self.slots.get((next.0 - self.first) as usize) else { return Ok(None) };
        let changes = slot.changes.clone();
        self.leave(*place);
        self.stand(next);
        *place = next;
        self.pass();
        Ok(Some(changes))
    }

    /// A follower stands there no more.
    pub(super) fn leave(&mut self, place: Place) {
        if let Some(slot) = self.slot(place) {
            slot.here -= 1;
        } else if place.0 + 1 == self.first {
            self.before -= 1;
        }
    }

    fn stand(&mut self, place: Place) {
        match self.slot(place) {
            Some(slot) => slot.here += 1,
            None => self.before += 1,
        }
    }

    fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        let at = place.0.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    /// Those who stood before the first are too slow from now on, those at it stand before the next.
    fn pop(&mut self) {
        let Some(slot) = self.slots.pop_front() else { return };
        self.bytes -= slot.changes.bytes;
        self.floor = slot.changes.tick;
        self.before = slot.here;
        self.first += 1;
        self.passed = self.passed.max(self.first);
    }

    /// Finds out what everybody has passed, and lets go of what that was written as.
    fn pass(&mut self) {
        while self.before == 0
            && let Some(slot) = self.slots.get((self.passed - self.first) as usize)
            && slot.here == 0
        {
            slot.changes.forget();
            self.passed += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn changes(tick: Tick, bytes: usize) -> Changes {
        let mut changes = Changes::new(tick, Vec::new(), Arc::default());
        changes.bytes = bytes;
        changes
    }

    #[derive(Clone, Debug)]
    enum Act {
        Push { bytes: usize, seconds: u64 },
        Join { back: Tick },
        Read(usize),
        Leave(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            3 => (0..BYTES_MAX, 0..40u64).prop_map(|(bytes, seconds)| Act::Push { bytes: bytes / 3, seconds }),
            2 => (0..6u64).prop_map(|back| Act::Join { back }),
            6 => any::<usize>().prop_map(Act::Read),
            1 => any::<usize>().prop_map(Act::Leave),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        /// Each follower reads every tick once, in order, or is told that it is too slow; nobody is told so
        /// while what it has not read takes less than the bound; what is kept stays below the bounds.
        #[test]
        fn followers_miss_nothing(acts in vec(act(), 0..80)) {
            let start = Instant::now();
            let (mut ring, mut tick, mut seconds) = (Ring::new(10), 10, 0);
            let mut sizes: Vec<usize> = Vec::new();
            let mut followers: Vec<(Place, Tick)> = Vec::new();
            for act in acts {
                match act {
                    Act::Push { bytes, seconds: more } => {
                        tick += 1;
                        seconds += more;
                        sizes.push(bytes);
                        ring.push(changes(tick, bytes), start + Duration::from_secs(seconds));
                    }
                    Act::Join { back } => {
                        let as_of = tick.saturating_sub(back);
                        let joined = ring.join(as_of);
                        prop_assert!(joined.is_some() || as_of < ring.floor);
                        followers.extend(joined.map(|place| (place, as_of)));
                    }
                    Act::Read(which) if !followers.is_empty() => {
                        let at = which % followers.len();
                        let (place, seen) = &mut followers[at];
                        match ring.next(place) {
                            Ok(Some(changes)) => {
                                prop_assert_eq!(changes.tick, *seen + 1);
                                *seen += 1;
                            }
                            Ok(None) => prop_assert_eq!(*seen, tick),
                            Err(TooSlow) => {
                                let unread: usize = sizes[(*seen - 10) as usize..].iter().sum();
                                prop_assert!(unread > BYTES_MAX);
                                let (place, _) = followers.swap_remove(at);
                                ring.leave(place);
                            }
                        }
                    }
                    Act::Leave(which) if !followers.is_empty() => {
                        let (place, _) = followers.swap_remove(which % followers.len());
                        ring.leave(place);
                    }
                    Act::Read(_) | Act::Leave(_) => {}
                }
                prop_assert!(ring.bytes <= BYTES_MAX || ring.slots.len() == 1);
                prop_assert_eq!(ring.bytes, ring.slots.iter().map(|slot| slot.changes.bytes).sum::<usize>());
                let standing = ring.before + ring.slots.iter().map(|slot| slot.here).sum::<usize>();
                let lost = followers.iter().filter(|(place, _)| place.0 + 1 < ring.first).count();
                prop_assert_eq!(standing + lost, followers.len());
            }
            followers.drain(..).for_each(|(place, _)| ring.leave(place));
            ring.trim(start + Duration::from_secs(seconds) + KEPT + Duration::from_secs(1));
            prop_assert_eq!((ring.slots.len(), ring.bytes, ring.before), (0, 0, 0));
        }
    }

    #[test]
    fn what_has_been_read_stays_for_who_comes_back() {
        let now = Instant::now();
        let mut ring = Ring::new(10);
        let mut place = ring.join(10).unwrap();
        ring.push(changes(11, 1), now);
        ring.push(changes(12, 1), now);
        assert_eq!(ring.next(&mut place).unwrap().unwrap().tick, 11);
        assert_eq!(ring.next(&mut place).unwrap().unwrap().tick, 12);
        ring.leave(place);
        ring.trim(now + KEPT);
        let mut again = ring.join(11).unwrap();
        assert_eq!(ring.next(&mut again).unwrap().unwrap().tick, 12);
        ring.leave(again);
        ring.trim(now + KEPT + Duration::from_secs(1));
        assert_eq!(ring.join(11), None);
        assert!(ring.join(12).is_some());
    }
}
