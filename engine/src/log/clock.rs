//! Time and randomness, passed in from outside so that tests can drive them.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::types::Tick;

/// The wall clock.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970. May stand still or jump back.
    fn now_micros(&self) -> u64;
}

/// A source of numbers that nobody can foresee.
pub trait Random: Send {
    /// The next number.
    fn next_u64(&mut self) -> u64;
}

/// Randomness of the operating system, through the keys of std's hash maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn next_u64(&mut self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// Gives ticks: strictly ascending, and the wall clock's time where that is possible.
///
/// A clock that jumps back, or stands still, never turns ticks back: they go on by one.
#[derive(Clone, Debug)]
pub struct TickSource {
    last: Tick,
}

impl TickSource {
    /// Goes on after `last`, the newest tick that was ever given (0 where none was).
    pub fn new(last: Tick) -> TickSource {
        TickSource { last }
    }

    /// The newest tick given.
    pub fn last(&self) -> Tick {
        self.last
    }

    /// The next tick, where the wall clock shows `now_micros`.
    pub fn next(&mut self, now_micros: u64) -> Tick {
        self.last = now_micros.max(self.last + 1);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_follow_the_clock_and_never_turn_back() {
        let mut ticks = TickSource::new(100);
        assert_eq!(ticks.next(50), 101, "the clock is behind what was given before the restart");
        assert_eq!(ticks.next(1_000), 1_000);
        assert_eq!(ticks.next(1_000), 1_001, "the clock stands still");
        assert_eq!(ticks.next(3), 1_002, "the clock jumped back");
        assert_eq!(ticks.next(2_000), 2_000);
        assert_eq!(ticks.last(), 2_000);
    }

    #[test]
    fn random_numbers_differ() {
        let numbers: std::collections::HashSet<u64> = (0..1_000).map(|_| OsRandom.next_u64()).collect();
        assert_eq!(numbers.len(), 1_000);
    }
}
