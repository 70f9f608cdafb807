//! The events of the crate `nexmark`, cut into ticks, typed.
//!
//! Each kind is generated on its own, and only where the query reads it: an event depends on its
//! number alone, so leaving out the others changes nothing.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, EventType, Person};

use crate::queries::Query;

/// Events of one tick, over all workers and kinds.
pub(crate) const TICK_EVENTS: u64 = 100_000;
/// The first event's time, in ms since 1970: fixed, so that every run has the same events.
const BASE_TIME_MS: u64 = 1_700_000_000_000;

/// How densely events lie in event time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Profile {
    /// 10 million events a second, as Flink's suite has it.
    Flink,
    /// 10,000 events a second.
    Real,
    /// 100 events a second, as Feldera's suite has it.
    Feldera,
}

impl Profile {
    /// By its name on the command line.
    pub(crate) fn named(name: &str) -> Option<Profile> {
        match name {
            "flink" => Some(Profile::Flink),
            "real" => Some(Profile::Real),
            "feldera" => Some(Profile::Feldera),
            _ => None,
        }
    }

    /// Events a second of event time.
    pub(crate) fn events_per_second(self) -> usize {
        match self {
            Profile::Flink => 10_000_000,
            Profile::Real => 10_000,
            Profile::Feldera => 100,
        }
    }
}

/// The events of one tick, by kind; empty where the query does not read them.
#[derive(Default)]
pub(crate) struct TickEvents {
    pub(crate) persons: Vec<Person>,
    pub(crate) auctions: Vec<Auction>,
    pub(crate) bids: Vec<Bid>,
}

impl TickEvents {
    /// Every `workers`-th event of each kind, from the `worker`-th on.
    pub(crate) fn share(self, worker: usize, workers: usize) -> TickEvents {
        fn part<E>(events: Vec<E>, worker: usize, workers: usize) -> Vec<E> {
            events.into_iter().skip(worker).step_by(workers).collect()
        }
        TickEvents {
            persons: part(self.persons, worker, workers),
            auctions: part(self.auctions, worker, workers),
            bids: part(self.bids, worker, workers),
        }
    }
}

/// Generates the events that a query reads, tick by tick.
pub(crate) struct Events {
    persons: Option<EventGenerator>,
    auctions: Option<EventGenerator>,
    bids: Option<EventGenerator>,
    /// The number of the next tick's first event.
    next: u64,
    /// The number behind the last event.
    end: u64,
}

impl Events {
    /// Of the first `count` events of all kinds, those that a query reads.
    pub(crate) fn new(query: Query, count: u64, profile: Profile) -> Events {
        let reads = query.reads();
        let generator =
            |read: bool, kind| read.then(|| EventGenerator::new(config(profile)).with_type_filter(kind));
        Events {
            persons: generator(reads.persons, EventType::Person),
            auctions: generator(reads.auctions, EventType::Auction),
            bids: generator(reads.bids, EventType::Bid),
            next: 0,
            end: count,
        }
    }
}

fn config(profile: Profile) -> NexmarkConfig {
    let rate = profile.events_per_second();
    NexmarkConfig { base_time: BASE_TIME_MS, first_rate: rate, next_rate: rate, ..NexmarkConfig::default() }
}

impl Iterator for Events {
    type Item = TickEvents;

    fn next(&mut self) -> Option<TickEvents> {
        if self.next >= self.end {
            return None;
        }
        self.next = (self.next + TICK_EVENTS).min(self.end);
        let mut tick = TickEvents::default();
        for generator in [&mut self.persons, &mut self.auctions, &mut self.bids].into_iter().flatten() {
            while generator.global_offset() < self.next
                && let Some(event) = generator.next()
            {
                match event {
                    Event::Person(person) => tick.persons.push(person),
                    Event::Auction(auction) => tick.auctions.push(auction),
                    Event::Bid(bid) => tick.bids.push(bid),
                }
            }
        }
        Some(tick)
    }
}

/// Microseconds since 1970 of an event's milliseconds.
pub(crate) fn micros(millis: u64) -> i64 {
    millis as i64 * 1000
}
