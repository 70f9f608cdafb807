//! Nexmark: our engine beside hand-written, typed, retraction-capable differential programs on the
//! same batches, in turn.
//!
//! ```sh
//! cargo run --release -p millrace-benches --bin nexmark       # [profile] [rounds] [query,…] [events]
//! ```
//! - profile: `real` (the default, 10,000 events a second of event time), `flink` (10 million) or
//!   `feldera` (100). It changes the size of answers and so the work: figures of different profiles
//!   are not comparable.
//! - rounds: 3 unless given.
//! - queries: all unless given (or `all`).
//! - events: as many as suit the query (a second of work for the slower side) unless given.
//!
//! - instead of a profile `sizes`: our engine alone, with one worker, with two, and in two processes with a worker each.
//!
//! A line a query: events/s of both sides (all kinds of events are counted, also those that the query
//! does not read: they are not even made) and the ratio, CPU seconds, peak memory, changes in the
//! output; medians of the rounds, in which first ours runs and then theirs. Every measurement is a
//! process of its own, time and memory are measured in different ones.
//!
//! Both sides end in a consumer that counts and hashes every change; the sum of the hashes times their
//! diffs is a fingerprint of the final rows, and the program stops where the two sides' differ. Our
//! inputs are streams, our plans come from SQL, and our result is a view that could be read meanwhile;
//! theirs take only the columns that the query needs, and their result goes to the consumer alone.
//!
//! Before the clock starts both have the same: the events of each tick as columns. Filters, sums per
//! batch, rows and the numbers that stand for texts are made on the clock. What the other side may do
//! and a general engine may not: it knows at compile time which columns there are, which texts are few
//! (it carries numbers for them), and that one DISTINCT behind a join does for two before it. What it
//! reaches, and why it is written like this: docs/decisions/2026-11-26-nexmark-rivals.md.

mod consumer; // counts and hashes changes
mod cluster; // another process with a worker
mod events; // the events, by tick
mod measure; // clocks, memory, processes
mod ours; // our side
mod programs; // the hand-written programs
mod queries; // the queries: their SQL and the streams that they read
mod symbols; // texts as numbers, for the hand-written programs
mod theirs; // what drives the hand-written programs

use millrace_benches::median;

use cluster::Size;
use events::{Events, Profile, TICK_EVENTS};
use measure::{Measured, Order, Side, What};
use queries::Query;

/// Worker threads of either side.
const WORKERS: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(order) = Order::from_arguments(&arguments) {
        println!("{}", measure(&order).to_line());
        return;
    }
    if cluster::is_asked_for(&arguments) {
        return;
    }
    let argument =
        |index: usize, default: &str| arguments.get(index).map_or(default, String::as_str).to_owned();
    let (profile, rounds, chosen) = (argument(0, "real"), argument(1, "3"), argument(2, "all"));
    let events = arguments.get(3).map(|text| text.parse().expect("a number of events"));
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let queries = || {
        let chosen: Vec<String> = chosen.split(',').map(str::to_owned).collect();
        let is_chosen = move |query: &Query| chosen.iter().any(|name| name == "all" || name == query.name());
        Query::ALL.into_iter().filter(is_chosen)
    };
    if profile == "sizes" {
        return queries().for_each(|query| sizes(query, events.unwrap_or_else(|| query.events()), rounds));
    }
    let density = Profile::named(&profile).expect("profile: flink, real or feldera").events_per_second();
    println!(
        "profile {profile}: {density} events a second; {WORKERS} workers, a tick each {TICK_EVENTS} events"
    );
    println!(
        "{:8} {:>8}  {:>14} {:>7} {:>6}  {:>14} {:>16} {:>9}",
        "query", "M events", "ours M ev/s", "theirs", "ratio", "CPU s", "peak MiB", "changes"
    );
    for query in queries() {
        let events = events.unwrap_or_else(|| query.events());
        let both = |what| {
            Side::BOTH.map(|side| Order { what, side, query, events, profile: profile.clone() }.carry_out())
        };
        let times: Vec<[Measured; 2]> = (0..rounds).map(|_| both(What::Time)).collect();
        report(query, events, &times, &both(What::Memory));
    }
}

/// Our engine in several sizes, in turn: events a second, and how the second and the third stand to the first.
fn sizes(query: Query, events: u64, rounds: usize) {
    let profile = "real".to_owned();
    let one = |side| Order { what: What::Time, side, query, events, profile: profile.clone() }.carry_out();
    let times: Vec<[Measured; 3]> = (0..rounds).map(|_| Side::SIZES.map(one)).collect();
    for sizes in &times {
        assert!(
            sizes.iter().all(|size| size.fingerprint == sizes[0].fingerprint),
            "{}: they differ",
            query.name()
        );
    }
    let seconds = |size: usize| move |sizes: &[Measured; 3]| sizes[size].elapsed.as_secs_f64();
    let [alone, threads, processes] =
        [0, 1, 2].map(|size| events as f64 / 1e6 / median(times.iter().map(seconds(size))));
    let [of_threads, of_processes] =
        [1, 2].map(|size| median(times.iter().map(|sizes| seconds(0)(sizes) / seconds(size)(sizes))));
    println!(
        "{:8} {:8.1} M events  1 worker {alone:7.2} M ev/s  2 workers {threads:7.2} ({of_threads:4.2})  \
         2 processes {processes:7.2} ({of_processes:4.2})",
        query.name(),
        events as f64 / 1e6
    );
}

/// The medians of the rounds on one line; the ratio is the median of the pairs' ratios.
fn report(query: Query, events: u64, times: &[[Measured; 2]], memory: &[Measured; 2]) {
    for [ours, theirs] in times.iter().chain([memory]) {
        assert_eq!(ours.fingerprint, theirs.fingerprint, "{}: the two sides differ", query.name());
    }
    let of = |side: usize, value: fn(&Measured) -> f64| median(times.iter().map(|pair| value(&pair[side])));
    let millions = events as f64 / 1e6;
    let [our_rate, their_rate] = [0, 1].map(|side| millions / of(side, |m| m.elapsed.as_secs_f64()));
    let ratio =
        median(times.iter().map(|[ours, theirs]| theirs.elapsed.as_secs_f64() / ours.elapsed.as_secs_f64()));
    let [our_cpu, their_cpu] = [0, 1].map(|side| of(side, |m| m.cpu.as_secs_f64()));
    let [our_peak, their_peak] = memory.map(|m| m.peak_mib);
    println!(
        "{:8} {millions:8.1}  {our_rate:14.2} {their_rate:7.2} {ratio:6.2}  {our_cpu:6.2} : {their_cpu:5.2} \
         {our_peak:7.0} : {their_peak:6.0} {:>9}",
        query.name(),
        memory[0].changes
    );
}

fn measure(order: &Order) -> Measured {
    let profile = Profile::named(&order.profile).expect("a profile");
    let events = || Events::new(order.query, order.events, profile);
    match order.side {
        Side::Ours => ours::measure(order.query, events(), order.what, Size::Threads(WORKERS)),
        Side::OursAlone => ours::measure(order.query, events(), order.what, Size::Threads(1)),
        Side::OursInTwo => ours::measure(order.query, events(), order.what, Size::Processes(2)),
        Side::Theirs => theirs::measure(order.query, &events, order.what),
    }
}
