//! The hand-written programs: typed rows, the columns that a query needs, differential's own
//! operators and traces. Where it has a faster operator for totally ordered times, that one is used.

use std::cmp::Reverse;

use differential_dataflow::operators::{CountTotal, ThresholdTotal};

use crate::events::{TickEvents, micros};
use crate::theirs::{End, Program, Rows};

/// `SELECT auction, count(*), sum(price) … GROUP BY auction`: the aggregates are the diff.
pub(crate) struct Group;

impl Program for Group {
    /// auction, price
    type Left = (i64, i64);
    type Right = ();

    fn rows(events: TickEvents) -> (Vec<Self::Left>, Vec<()>) {
        let bids = events.bids.into_iter();
        (bids.map(|bid| (bid.auction as i64, bid.price as i64)).collect(), Vec::new())
    }

    fn build<'scope>(bids: Rows<'scope, Self::Left>, _: Rows<'scope, ()>, end: End) {
        let totals =
            bids.explode(|(auction, price)| Some((auction, (1i64, price)))).count_total_core::<i64>();
        end.consume(totals, |row, (auction, (count, sum))| {
            row.int(*auction).int(*count).wide(i128::from(*sum))
        });
    }
}

/// Who sells in category 10 in three states.
pub(crate) struct Q3;

impl Program for Q3 {
    /// seller, id, category
    type Left = (i64, i64, i64);
    /// id, (name, city, state)
    type Right = (i64, (String, String, String));

    fn rows(events: TickEvents) -> (Vec<Self::Left>, Vec<Self::Right>) {
        let auctions = events.auctions.into_iter();
        let persons = events.persons.into_iter();
        (
            auctions.map(|a| (a.seller as i64, a.id as i64, a.category as i64)).collect(),
            persons.map(|p| (p.id as i64, (p.name, p.city, p.state))).collect(),
        )
    }

    fn build<'scope>(auctions: Rows<'scope, Self::Left>, persons: Rows<'scope, Self::Right>, end: End) {
        let auctions = auctions.flat_map(|(seller, id, category)| (category == 10).then_some((seller, id)));
        let persons = persons.filter(|(_, (_, _, state))| ["or", "id", "ca"].contains(&state.as_str()));
        let joined = auctions.join_map(persons, |_, id, person| (person.clone(), *id));
        end.consume(joined, |row, ((name, city, state), id)| row.text(name).text(city).text(state).int(*id));
    }
}

/// An auction's id, category, start and end.
type Span = (i64, (i64, i64, i64));
/// A bid's auction, price and time.
type Offer = (i64, (i64, i64));

/// The mean of the highest bids, by category.
pub(crate) struct Q4;

impl Program for Q4 {
    type Left = Span;
    type Right = Offer;

    fn rows(events: TickEvents) -> (Vec<Span>, Vec<Offer>) {
        let auctions = events.auctions.into_iter();
        let bids = events.bids.into_iter();
        (
            auctions
                .map(|a| (a.id as i64, (a.category as i64, micros(a.date_time), micros(a.expires))))
                .collect(),
            bids.map(|b| (b.auction as i64, (b.price as i64, micros(b.date_time)))).collect(),
        )
    }

    fn build<'scope>(auctions: Rows<'scope, Span>, bids: Rows<'scope, Offer>, end: End) {
        let valid = bids.arrange_by_key().join_core(
            auctions.arrange_by_key(),
            |id, (price, time), (category, from, to)| {
                (from <= time && time <= to).then_some(((*id, *category), Reverse(*price)))
            },
        );
        let highest = valid.reduce(|_, prices, output| output.push((*prices[0].0, 1i64)));
        let means = highest
            .explode(|((_, category), price)| Some((category, (price.0, 1i64))))
            .count_total_core::<i64>();
        end.consume(means, |row, (category, (sum, count))| row.int(*category).wide(mean(*sum, *count)));
    }
}

/// PostgreSQL's mean of bigints in units of 10^-16, half away from zero.
fn mean(sum: i64, count: i64) -> i128 {
    let (scaled, count) = (i128::from(sum) * 10i128.pow(16), i128::from(count));
    scaled / count + i128::from(scaled % count * 2 >= count)
}

/// Who became a seller in the ten seconds in which they registered.
pub(crate) struct Q8;

impl Program for Q8 {
    /// id, name, time
    type Left = (i64, String, i64);
    /// seller, time
    type Right = (i64, i64);

    fn rows(events: TickEvents) -> (Vec<Self::Left>, Vec<Self::Right>) {
        let persons = events.persons.into_iter();
        let auctions = events.auctions.into_iter();
        (
            persons.map(|p| (p.id as i64, p.name, micros(p.date_time))).collect(),
            auctions.map(|a| (a.seller as i64, micros(a.date_time))).collect(),
        )
    }

    fn build<'scope>(persons: Rows<'scope, Self::Left>, auctions: Rows<'scope, Self::Right>, end: End) {
        let start = |time: i64| time - time.rem_euclid(10_000_000);
        let persons = persons.map(move |(id, name, time)| ((id, start(time)), name));
        let sellers = auctions.map(move |(seller, time)| (seller, start(time)));
        let persons = persons.distinct_total_core::<i64>();
        let sellers = sellers.distinct_total_core::<i64>();
        let joined = persons
            .arrange_by_key()
            .join_core(sellers.arrange_by_self(), |(id, start), name, ()| Some((*id, name.clone(), *start)));
        end.consume(joined, |row, (id, name, start)| row.int(*id).text(name).int(*start));
    }
}

/// item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra
type Auction = (String, String, i64, i64, i64, i64, i64, i64, String);

fn auctions(events: &mut TickEvents) -> Vec<(i64, Auction)> {
    let auctions = std::mem::take(&mut events.auctions).into_iter();
    auctions
        .map(|a| {
            let (bid, reserve) = (a.initial_bid as i64, a.reserve as i64);
            let (from, to) = (micros(a.date_time), micros(a.expires));
            let (seller, category) = (a.seller as i64, a.category as i64);
            (a.id as i64, (a.item_name, a.description, bid, reserve, from, to, seller, category, a.extra))
        })
        .collect()
}

/// The best bid of each auction, with all columns of both.
pub(crate) struct Q9;

impl Program for Q9 {
    type Left = (i64, Auction);
    /// auction, (price, date_time, bidder, extra): the first is the best
    type Right = (i64, (Reverse<i64>, i64, i64, String));

    fn rows(mut events: TickEvents) -> (Vec<Self::Left>, Vec<Self::Right>) {
        let auctions = auctions(&mut events);
        let bids = events.bids.into_iter();
        let bids = bids.map(|b| {
            (b.auction as i64, (Reverse(b.price as i64), micros(b.date_time), b.bidder as i64, b.extra))
        });
        (auctions, bids.collect())
    }

    fn build<'scope>(auctions: Rows<'scope, Self::Left>, bids: Rows<'scope, Self::Right>, end: End) {
        let valid = bids.arrange_by_key().join_core(auctions.arrange_by_key(), |id, bid, auction| {
            (auction.4 <= bid.1 && bid.1 <= auction.5).then(|| (*id, (bid.clone(), auction.clone())))
        });
        let best = valid.reduce(|_, rows, output| output.push((rows[0].0.clone(), 1i64)));
        end.consume(best, |row, (id, ((price, time, bidder, extra), a))| {
            let auction = row.int(*id).text(&a.0).text(&a.1).int(a.2).int(a.3).int(a.4).int(a.5).int(a.6);
            auction.int(a.7).text(&a.8).int(*id).int(*bidder).int(price.0).int(*time).text(extra)
        });
    }
}

/// date_time and price from the greatest down, then url, extra, channel.
type Newest = (Reverse<i64>, Reverse<i64>, String, String, String);

/// The newest bid of each bidder on each auction.
pub(crate) struct Q18;

impl Program for Q18 {
    /// (bidder, auction), the rest
    type Left = ((i64, i64), Newest);
    type Right = ();

    fn rows(events: TickEvents) -> (Vec<Self::Left>, Vec<()>) {
        let bids = events.bids.into_iter().map(|b| {
            let order = (Reverse(micros(b.date_time)), Reverse(b.price as i64));
            ((b.bidder as i64, b.auction as i64), (order.0, order.1, b.url, b.extra, b.channel))
        });
        (bids.collect(), Vec::new())
    }

    fn build<'scope>(bids: Rows<'scope, Self::Left>, _: Rows<'scope, ()>, end: End) {
        let newest = bids.reduce(|_, rows, output| output.push((rows[0].0.clone(), 1i64)));
        end.consume(newest, |row, ((bidder, auction), (time, price, url, extra, channel))| {
            row.int(*auction).int(*bidder).int(price.0).text(channel).text(url).int(time.0).text(extra)
        });
    }
}

/// bidder, price, channel, url, date_time, extra
type Bid = (i64, i64, String, String, i64, String);

/// Bids with all columns of their auctions, where the category is 10.
pub(crate) struct Q20;

impl Program for Q20 {
    type Left = (i64, Auction);
    type Right = (i64, Bid);

    fn rows(mut events: TickEvents) -> (Vec<Self::Left>, Vec<Self::Right>) {
        let auctions = auctions(&mut events);
        let bids = events.bids.into_iter().map(|b| {
            (
                b.auction as i64,
                (b.bidder as i64, b.price as i64, b.channel, b.url, micros(b.date_time), b.extra),
            )
        });
        (auctions, bids.collect())
    }

    fn build<'scope>(auctions: Rows<'scope, Self::Left>, bids: Rows<'scope, Self::Right>, end: End) {
        let wanted = auctions.filter(|(_, auction)| auction.7 == 10);
        let joined = bids.join_map(wanted, |id, bid, auction| (*id, bid.clone(), auction.clone()));
        end.consume(joined, |row, (id, (bidder, price, channel, url, time, extra), a)| {
            let bid = row.int(*id).int(*bidder).int(*price).text(channel).text(url).int(*time).text(extra);
            let auction = bid.text(&a.0).text(&a.1).int(a.2).int(a.3).int(a.4).int(a.5).int(a.6);
            auction.int(a.7).text(&a.8)
        });
    }
}
