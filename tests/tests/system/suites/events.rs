//! Nexmark's events, the same for the same seed: persons, auctions and bids as 1 : 3 : 46 of 50.
//!
//! After the reference generator's rules (github.com/nexmark/nexmark), at 10,000 events a second. We add
//! the first person's id to a bidder once, where the reference does so twice. The first event is a second
//! before midnight, so that few events cross a day, an hour and a window of 10 seconds.

use millrace_sql::text_form::write_timestamp;

/// 2015-07-14 23:59:59.
const BASE_MICROS: i64 = 1_436_918_399_000_000;
const MICROS_PER_EVENT: u64 = 100;

const FIRST_ID: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;
const ACTIVE_PERSONS: u64 = 1_000;
const AUCTIONS_IN_FLIGHT: u64 = 100;
/// Ids that are named before they exist.
const LEAD: u64 = 10;
/// The hot person and the hot auction are the first of so many.
const HOT_BATCH: u64 = 100;
const CHANNELS: u64 = 10_000;

const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// Some events as lines for COPY, divided by `|`.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) persons: Vec<String>,
    pub(crate) auctions: Vec<String>,
    pub(crate) bids: Vec<String>,
}

/// The stream of events.
pub(crate) struct Generator {
    next: u64,
    state: u64,
}

/// A place in the stream of 50 events that repeats: the newest ids there.
struct Place {
    person: u64,
    auction: u64,
}

fn place(event: u64) -> Place {
    let (epoch, offset) = (event / 50, event % 50);
    let auction = match offset {
        0 => (epoch * 3).saturating_sub(1),
        1..=3 => epoch * 3 + offset - 1,
        _ => epoch * 3 + 2,
    };
    Place { person: epoch, auction }
}

/// When an event happens: whole milliseconds.
fn micros(event: u64) -> i64 {
    BASE_MICROS + i64::try_from(event * MICROS_PER_EVENT / 1_000 * 1_000).unwrap()
}

fn timestamp(micros: i64) -> String {
    let mut out = String::new();
    write_timestamp(micros, &mut out);
    out
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Generator {
        println!("nexmark: seed {seed}");
        Generator { next: 0, state: seed }
    }

    /// The next events.
    pub(crate) fn batch(&mut self, events: u64) -> Events {
        let mut batch = Events::default();
        for event in self.next..self.next + events {
            match event % 50 {
                0 => batch.persons.push(self.person(event)),
                1..=3 => batch.auctions.push(self.auction(event)),
                _ => batch.bids.push(self.bid(event)),
            }
        }
        self.next += events;
        batch
    }

    /// A number below `bound`, by splitmix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    /// Small letters, and a space now and then.
    fn text(&mut self, length: u64) -> String {
        (0..length)
            .map(|_| match self.below(13) {
                0 => ' ',
                _ => char::from(b'a' + self.below(26) as u8),
            })
            .collect()
    }

    /// Text that brings a row of `used` bytes to about `average`.
    fn extra(&mut self, used: usize, average: u64) -> String {
        let missing = average.saturating_sub(used as u64);
        let spread = missing / 5;
        let length = missing - spread + self.below(2 * spread + 1);
        self.text(length)
    }

    /// A price between 1.00 and a million, in cents; small ones are likelier.
    fn price(&mut self) -> u64 {
        let exponent = self.below(6_000_000) as f64 / 1e6;
        (10f64.powf(exponent) * 100.0).round() as u64
    }

    fn some_person(&mut self, newest: u64) -> u64 {
        let active = (newest + 1).min(ACTIVE_PERSONS);
        newest + 1 - active + self.below(active + LEAD)
    }

    fn some_auction(&mut self, newest: u64) -> u64 {
        let least = newest.saturating_sub(AUCTIONS_IN_FLIGHT);
        least + self.below(newest - least + 1 + LEAD)
    }

    fn person(&mut self, event: u64) -> String {
        let id = FIRST_ID + place(event).person;
        let name = format!("{} {}", self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES));
        let email = format!("{}@{}.com", self.text(7), self.text(5));
        let card: Vec<String> = (0..4).map(|_| format!("{:04}", self.below(10_000))).collect();
        let (city, state) = (self.pick(&CITIES), self.pick(&STATES));
        let row =
            format!("{id}|{name}|{email}|{}|{city}|{state}|{}", card.join(" "), timestamp(micros(event)));
        let extra = self.extra(row.len(), 200);
        format!("{row}|{extra}")
    }

    fn auction(&mut self, event: u64) -> String {
        let newest = place(event);
        let seller = match self.below(4) {
            0 => self.some_person(newest.person),
            _ => newest.person / HOT_BATCH * HOT_BATCH,
        };
        let (initial, above) = (self.price(), self.price());
        let horizon = (micros(event + AUCTIONS_IN_FLIGHT * 50 / 3) - micros(event)) / 1_000;
        let open_millis = 1 + self.below(2 * horizon.unsigned_abs().max(1));
        let expires = micros(event) + i64::try_from(open_millis).unwrap() * 1_000;
        let (name, description) = (3 + self.below(17), 3 + self.below(97));
        let row = format!(
            "{}|{}|{}|{initial}|{}|{}|{}|{}|{}",
            FIRST_ID + newest.auction,
            self.text(name),
            self.text(description),
            initial + above,
            timestamp(micros(event)),
            timestamp(expires),
            FIRST_ID + seller,
            FIRST_CATEGORY + self.below(CATEGORIES)
        );
        let extra = self.extra(row.len(), 500);
        format!("{row}|{extra}")
    }

    fn bid(&mut self, event: u64) -> String {
        let newest = place(event);
        let auction = match self.below(2) {
            0 => self.some_auction(newest.auction),
            _ => newest.auction / HOT_BATCH * HOT_BATCH,
        };
        let bidder = match self.below(4) {
            0 => self.some_person(newest.person),
            _ => newest.person / HOT_BATCH * HOT_BATCH + 1,
        };
        let (channel, url) = self.channel();
        let row = format!(
            "{}|{}|{}|{channel}|{url}|{}",
            FIRST_ID + auction,
            FIRST_ID + bidder,
            self.price(),
            timestamp(micros(event))
        );
        let extra = self.extra(row.len(), 100);
        format!("{row}|{extra}")
    }

    /// Half the bids come over four channels with one address each.
    fn channel(&mut self) -> (String, String) {
        let address = |path: &str| format!("https://www.nexmark.com/{path}/item.htm?query=1");
        if self.below(2) > 0 {
            let channel = self.pick(&HOT_CHANNELS);
            return (channel.to_owned(), address(&format!("{}/hot/item", channel.to_lowercase())));
        }
        let number = self.below(CHANNELS);
        let path: Vec<String> = (0..3).map(|_| self.text(5).replace(' ', "_")).collect();
        let mut url = address(&path.join("/"));
        if !number.is_multiple_of(10) {
            url.push_str(&format!("&channel_id={}", (number as u32).reverse_bits() >> 1));
        }
        (format!("channel-{number}"), url)
    }
}
