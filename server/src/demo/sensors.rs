//! What sensors measure: a slow drift, noise, now and then a spike; and one that fails for a while.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Every demo measures the same.
const SEED: u64 = 20_260_101;

/// Of a thousand readings so many are spikes.
const SPIKES_PER_MILLE: u32 = 1;

/// The failing sensor works so long, then is stuck for as long, then tells nonsense for as long, in seconds.
const PHASE_SECONDS: f64 = 20.0;

/// What a broken thermometer tells.
const NONSENSE: f64 = -273.15;

const KINDS: [Kind; 4] = [
    Kind { name: "temperature", unit: "°C", base: 21.0, swing: 4.0, noise: 0.2, low: 15.0, high: 27.0 },
    Kind { name: "pressure", unit: "hPa", base: 1_013.0, swing: 12.0, noise: 0.5, low: 980.0, high: 1_045.0 },
    Kind { name: "vibration", unit: "mm/s", base: 2.5, swing: 0.8, noise: 0.1, low: 0.0, high: 4.5 },
    Kind { name: "current", unit: "A", base: 12.0, swing: 3.0, noise: 0.3, low: 5.0, high: 18.0 },
];

const PLACES: [&str; 5] = ["boiler house", "press line", "paint shop", "warehouse", "roof"];

struct Kind {
    name: &'static str,
    unit: &'static str,
    base: f64,
    swing: f64,
    noise: f64,
    low: f64,
    high: f64,
}

/// A sensor, as the table `sensors` has it.
pub(super) struct Sensor {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) place: &'static str,
    pub(super) unit: &'static str,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What one of them measured.
pub(super) struct Reading {
    pub(super) sensor: i32,
    pub(super) value: f64,
}

pub(super) struct Sensors {
    list: Vec<Sensor>,
    random: StdRng,
    /// Whose turn it is.
    next: usize,
    /// The last good value of the one that fails.
    stuck: f64,
}

impl Sensors {
    pub(super) fn new(count: u32) -> Sensors {
        let sensor = |at: usize| {
            let kind = &KINDS[at % KINDS.len()];
            Sensor {
                id: at as i32 + 1,
                name: format!("{}-{}", kind.name, at / KINDS.len() + 1),
                place: PLACES[at % PLACES.len()],
                unit: kind.unit,
                low: kind.low,
                high: kind.high,
            }
        };
        let list = (0..count as usize).map(sensor).collect();
        Sensors { list, random: StdRng::seed_from_u64(SEED), next: 0, stuck: KINDS[0].base }
    }

    pub(super) fn list(&self) -> &[Sensor] {
        &self.list
    }

    /// So many readings, by turns, at a time in seconds since the start.
    pub(super) fn measure(&mut self, time: f64, count: usize) -> Vec<Reading> {
        (0..count).map(|_| self.measure_one(time)).collect()
    }

    fn measure_one(&mut self, time: f64) -> Reading {
        let at = self.next;
        self.next = (at + 1) % self.list.len();
        let kind = &KINDS[at % KINDS.len()];
        // Each has a phase of its own, and a period between one minute and two.
        let period = 60.0 + (at * 37 % 60) as f64;
        let drift = kind.swing * (time / period + at as f64).sin();
        // Three uniform numbers are near enough to a bell.
        let bell: f64 = (0..3).map(|_| self.random.random_range(-1.0..1.0)).sum();
        let mut value = kind.base + drift + kind.noise * bell;
        if self.random.random_ratio(SPIKES_PER_MILLE, 1_000) {
            value += kind.noise * 40.0;
        }
        if at == 0 {
            value = self.failing(time, value);
        }
        Reading { sensor: self.list[at].id, value: (value * 1e3).round() / 1e3 }
    }

    /// What the first sensor tells instead of a value.
    fn failing(&mut self, time: f64, value: f64) -> f64 {
        match (time / PHASE_SECONDS) as u64 % 3 {
            0 => {
                self.stuck = value;
                value
            }
            1 => self.stuck,
            _ => NONSENSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_take_turns_and_stay_in_their_ranges_but_for_spikes() {
        let mut sensors = Sensors::new(8);
        let readings = sensors.measure(1.0, 80_000);
        let of = |sensor| readings.iter().filter(move |reading: &&Reading| reading.sensor == sensor);
        assert!((1..=8).all(|sensor| of(sensor).count() == 10_000));
        let outside = (1..=8).map(|id| {
            let sensor = &sensors.list[id as usize - 1];
            of(id).filter(|reading| !(sensor.low..=sensor.high).contains(&reading.value)).count()
        });
        let outside: usize = outside.sum();
        assert!((20..400).contains(&outside), "{outside} of 80,000 are out of range");
    }

    #[test]
    fn one_works_is_stuck_and_tells_nonsense_by_turns() {
        let mut sensors = Sensors::new(1);
        let mut values =
            |time| -> Vec<f64> { sensors.measure(time, 5).iter().map(|reading| reading.value).collect() };
        let works = values(PHASE_SECONDS * 0.5);
        assert!(works.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(values(PHASE_SECONDS * 1.5), [works[4]; 5]);
        assert_eq!(values(PHASE_SECONDS * 2.5), [NONSENSE; 5]);
    }
}
