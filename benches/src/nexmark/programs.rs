//! The hand-written programs: typed rows, the columns that a query needs, differential's own
//! operators and traces. Where it has a faster operator for totally ordered times, that one is used.
//!
//! A rival that is weak proves nothing: filters come before a row is made, sums before the exchange, and
//! texts that are few are numbers.

use std::cmp::Reverse;

use arrow::array::StringArray;
use differential_dataflow::operators::{CountTotal, ThresholdTotal};

use crate::events::{TickEvents, micros};
use crate::symbols::{FastMap, Reader, Writer};
use crate::theirs::{Batches, End, Program, rows, updates};

/// `SELECT auction, count(*), sum(price) … GROUP BY auction`: the aggregates are the diff. Each
/// batch is summed up before the exchange, as ours is.
pub(crate) struct Group;

impl Program for Group {
    /// auction, price
    type Left = Vec<(i64, i64)>;
    type Right = ();

    fn columns(events: TickEvents) -> (Self::Left, ()) {
        let bids = events.bids.into_iter();
        (bids.map(|bid| (bid.auction as i64, bid.price as i64)).collect(), ())
    }

    fn build<'scope>(bids: Batches<'scope, Self::Left>, _: Batches<'scope, ()>, end: End) {
        let totals = updates(bids, |bids| {
            let mut sums = FastMap::<i64, (i64, i64)>::default();
            for (auction, price) in bids {
                let (count, sum) = sums.entry(auction).or_default();
                (*count, *sum) = (*count + 1, *sum + price);
            }
            sums
        });
        end.consume(totals.count_total_core::<i64>(), |row, (auction, (count, sum))| {
            row.int(*auction).int(*count).wide(i128::from(*sum))
        });
    }
}

/// Who sells in category 10 in three states. Both inputs are filtered before a row is made; the
/// rows carry symbols for texts.
pub(crate) struct Q3;

/// The columns of persons, as ours come in.
#[derive(Clone)]
pub(crate) struct Persons {
    ids: Vec<i64>,
    names: StringArray,
    cities: StringArray,
    states: StringArray,
}

impl Program for Q3 {
    /// seller, id, category
    type Left = Vec<(i64, i64, i64)>;
    type Right = Persons;

    fn columns(events: TickEvents) -> (Self::Left, Persons) {
        let auctions = events.auctions.into_iter();
        let persons = &events.persons;
        let persons = Persons {
            ids: persons.iter().map(|p| p.id as i64).collect(),
            names: StringArray::from_iter_values(persons.iter().map(|p| &p.name)),
            cities: StringArray::from_iter_values(persons.iter().map(|p| &p.city)),
            states: StringArray::from_iter_values(persons.iter().map(|p| &p.state)),
        };
        (auctions.map(|a| (a.seller as i64, a.id as i64, a.category as i64)).collect(), persons)
    }

    fn build<'scope>(auctions: Batches<'scope, Self::Left>, persons: Batches<'scope, Persons>, end: End) {
        let auctions = updates(auctions, |rows| {
            rows.into_iter()
                .filter(|(_, _, category)| *category == 10)
                .map(|(seller, id, _)| ((seller, id), 1))
        });
        let mut symbols = Writer::default();
        let persons = updates(persons, move |persons| {
            let wanted =
                (0..persons.ids.len()).filter(|row| ["or", "id", "ca"].contains(&persons.states.value(*row)));
            let person = |row| {
                let texts = [&persons.names, &persons.cities, &persons.states];
                ((persons.ids[row], texts.map(|column| symbols.symbol(column.value(row)))), 1)
            };
            wanted.map(person).collect::<Vec<_>>()
        });
        let joined = auctions.join_map(persons, |_, id, person| (*person, *id));
        let mut texts = Reader::default();
        end.consume(joined, move |row, (person, id)| {
            person.iter().fold(row, |row, symbol| row.text(texts.text(*symbol))).int(*id)
        });
    }
}

/// An auction's id, category, start and end.
type Span = (i64, (i64, i64, i64));
/// A bid's auction, price and time.
type Offer = (i64, (i64, i64));

/// The mean of the highest bids, by category.
pub(crate) struct Q4;

impl Program for Q4 {
    type Left = Vec<Span>;
    type Right = Vec<Offer>;

    fn columns(events: TickEvents) -> (Self::Left, Self::Right) {
        let auctions = events.auctions.into_iter();
        let bids = events.bids.into_iter();
        (
            auctions
                .map(|a| (a.id as i64, (a.category as i64, micros(a.date_time), micros(a.expires))))
                .collect(),
            bids.map(|b| (b.auction as i64, (b.price as i64, micros(b.date_time)))).collect(),
        )
    }

    fn build<'scope>(auctions: Batches<'scope, Self::Left>, bids: Batches<'scope, Self::Right>, end: End) {
        let valid = rows(bids).arrange_by_key().join_core(
            rows(auctions).arrange_by_key(),
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

/// Who became a seller in the ten seconds in which they registered. Sellers of a batch are counted
/// before the exchange. Both GROUP BYs only make distinct: once behind the join is enough, because a
/// product of counts is above zero where both are.
pub(crate) struct Q8;

impl Program for Q8 {
    /// id, name, time
    type Left = (Vec<(i64, i64)>, StringArray);
    /// seller, time
    type Right = Vec<(i64, i64)>;

    fn columns(events: TickEvents) -> (Self::Left, Self::Right) {
        let persons = events.persons.iter();
        let names = StringArray::from_iter_values(persons.clone().map(|p| &p.name));
        let auctions = events.auctions.into_iter();
        (
            (persons.map(|p| (p.id as i64, micros(p.date_time))).collect(), names),
            auctions.map(|a| (a.seller as i64, micros(a.date_time))).collect(),
        )
    }

    fn build<'scope>(persons: Batches<'scope, Self::Left>, auctions: Batches<'scope, Self::Right>, end: End) {
        let start = |time: i64| time - time.rem_euclid(10_000_000);
        let mut symbols = Writer::default();
        let persons = updates(persons, move |(rows, names)| {
            let rows = rows.into_iter().zip(names.iter().flatten());
            let person = |((id, time), name)| (((id, start(time)), symbols.symbol(name)), 1);
            rows.map(person).collect::<Vec<_>>()
        });
        let sellers = updates(auctions, move |rows| {
            let mut counts = FastMap::<(i64, i64), i64>::default();
            rows.into_iter()
                .for_each(|(seller, time)| *counts.entry((seller, start(time))).or_default() += 1);
            counts
        });
        let joined = persons
            .arrange_by_key()
            .join_core(sellers.arrange_by_self(), |key, name, ()| Some((*key, *name)));
        let mut texts = Reader::default();
        end.consume(joined.distinct_total_core::<i64>(), move |row, ((id, start), name)| {
            row.int(*id).text(texts.text(*name)).int(*start)
        });
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
    type Left = Vec<(i64, Auction)>;
    /// auction, (price, date_time, bidder, extra): the first is the best
    type Right = Vec<(i64, (Reverse<i64>, i64, i64, String))>;

    fn columns(mut events: TickEvents) -> (Self::Left, Self::Right) {
        let auctions = auctions(&mut events);
        let bids = events.bids.into_iter();
        let bids = bids.map(|b| {
            (b.auction as i64, (Reverse(b.price as i64), micros(b.date_time), b.bidder as i64, b.extra))
        });
        (auctions, bids.collect())
    }

    fn build<'scope>(auctions: Batches<'scope, Self::Left>, bids: Batches<'scope, Self::Right>, end: End) {
        let valid =
            rows(bids).arrange_by_key().join_core(rows(auctions).arrange_by_key(), |id, bid, auction| {
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
    type Left = Vec<((i64, i64), Newest)>;
    type Right = ();

    fn columns(events: TickEvents) -> (Self::Left, ()) {
        let bids = events.bids.into_iter().map(|b| {
            let order = (Reverse(micros(b.date_time)), Reverse(b.price as i64));
            ((b.bidder as i64, b.auction as i64), (order.0, order.1, b.url, b.extra, b.channel))
        });
        (bids.collect(), ())
    }

    fn build<'scope>(bids: Batches<'scope, Self::Left>, _: Batches<'scope, ()>, end: End) {
        let newest = rows(bids).reduce(|_, rows, output| output.push((rows[0].0.clone(), 1i64)));
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
    type Left = Vec<(i64, Auction)>;
    type Right = Vec<(i64, Bid)>;

    fn columns(mut events: TickEvents) -> (Self::Left, Self::Right) {
        let auctions = auctions(&mut events);
        let bids = events.bids.into_iter().map(|b| {
            (
                b.auction as i64,
                (b.bidder as i64, b.price as i64, b.channel, b.url, micros(b.date_time), b.extra),
            )
        });
        (auctions, bids.collect())
    }

    fn build<'scope>(auctions: Batches<'scope, Self::Left>, bids: Batches<'scope, Self::Right>, end: End) {
        let wanted = rows(auctions).filter(|(_, auction)| auction.7 == 10);
        let joined = rows(bids).join_map(wanted, |id, bid, auction| (*id, bid.clone(), auction.clone()));
        end.consume(joined, |row, (id, (bidder, price, channel, url, time, extra), a)| {
            let bid = row.int(*id).int(*bidder).int(*price).text(channel).text(url).int(*time).text(extra);
            let auction = bid.text(&a.0).text(&a.1).int(a.2).int(a.3).int(a.4).int(a.5).int(a.6);
            auction.int(a.7).text(&a.8)
        });
    }
}
