//! The naive model that the tests of state compare with: a sorted map of updates, and the random
//! updates that they feed to both.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Batch, Updates};
use crate::types::Tick;

/// (key, value, tick, lanes)
pub(crate) type Update = (Vec<u8>, Vec<u8>, Tick, Vec<i64>);

/// (key, value, tick)
pub(crate) type Place = (Vec<u8>, Vec<u8>, Tick);

/// Net lanes by (key, value).
pub(crate) type Net = BTreeMap<(Vec<u8>, Vec<u8>), Vec<i64>>;

/// Updates by (key, value, tick), none all zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(BTreeMap<Place, Vec<i64>>);

impl Model {
    pub(crate) fn of(updates: &[Update]) -> Model {
        let mut model = Model::default();
        updates.iter().for_each(|update| model.add(update));
        model
    }

    pub(crate) fn add(&mut self, (key, value, tick, lanes): &Update) {
        let place = (key.clone(), value.clone(), *tick);
        let sum = self.0.entry(place.clone()).or_insert_with(|| vec![0; lanes.len()]);
        sum.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += lane);
        if sum.iter().all(|lane| *lane == 0) {
            self.0.remove(&place);
        }
    }

    pub(crate) fn updates(&self) -> Vec<Update> {
        let owned = |((key, value, tick), lanes): (&Place, &Vec<i64>)| {
            (key.clone(), value.clone(), *tick, lanes.clone())
        };
        self.0.iter().map(owned).collect()
    }

    /// All ticks moved up to `since` at least.
    pub(crate) fn advanced(&self, since: Tick) -> Model {
        let moved = |(key, value, tick, lanes)| (key, value, since.max(tick), lanes);
        Model::of(&self.updates().into_iter().map(moved).collect::<Vec<_>>())
    }

    /// The net lanes of each (key, value) at a tick, where not all zero.
    pub(crate) fn at(&self, tick: Tick) -> Net {
        let seen = self.updates().into_iter().filter(|update| update.2 <= tick);
        let folded =
            Model::of(&seen.map(|(key, value, _, lanes)| (key, value, 0, lanes)).collect::<Vec<_>>());
        folded.0.into_iter().map(|((key, value, _), lanes)| ((key, value), lanes)).collect()
    }
}

/// The updates of a batch as it stores them.
pub(crate) fn updates_of(batch: &Batch) -> Vec<Update> {
    let update = |row| {
        (batch.key(row).to_vec(), batch.value(row).to_vec(), batch.tick(row), batch.lanes(row).to_vec())
    };
    (0..batch.len()).map(update).collect()
}

/// The container of these updates.
pub(crate) fn container(stride: usize, updates: &[Update]) -> Updates {
    let mut container = Updates::new(stride);
    for (key, value, tick, lanes) in updates {
        container.push(key, value, *tick, lanes);
    }
    container
}

/// Byte strings that collide often, share prefixes of eight bytes and more, and may be empty.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        prop::sample::select(vec![0_u8, 1, 7]).prop_map(|last| [&b"common prefix"[..], &[last]].concat()),
        prop::sample::select(vec![7_usize, 8, 9, 16, 40]).prop_map(|len| vec![b'x'; len]),
        vec(prop::sample::select(vec![0_u8, 1, 255]), 0..10),
    ]
}

/// Random updates with `stride` lanes and ticks in this range.
pub(crate) fn updates(
    stride: usize,
    ticks: Range<Tick>,
    count: Range<usize>,
) -> impl Strategy<Value = Vec<Update>> {
    let value = prop_oneof![Just(Vec::new()), bytes()];
    vec((bytes(), value, ticks, vec(-1_i64..=1, stride)), count)
}
