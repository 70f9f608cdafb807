//! The queries: their SQL, and which streams they read.

/// A query of the suite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Query {
    Group,
    Q3,
    Q4,
    Q8,
    Q9,
    Q18,
    Q20,
}

/// The streams, as users create them (q3's states are lower case in this generator).
pub(crate) const STREAMS: [&str; 3] = [
    "CREATE TABLE person (id bigint, name text, email_address text, credit_card text, city text, state text,
       date_time timestamp, extra text) WITH (append_only, retention = '0')",
    "CREATE TABLE auction (id bigint, item_name text, description text, initial_bid bigint, reserve bigint,
       date_time timestamp, expires timestamp, seller bigint, category bigint, extra text)
       WITH (append_only, retention = '0')",
    "CREATE TABLE bid (auction bigint, bidder bigint, price bigint, channel text, url text, date_time timestamp,
       extra text) WITH (append_only, retention = '0')",
];

/// Which streams a query reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) persons: bool,
    pub(crate) auctions: bool,
    pub(crate) bids: bool,
}

impl Query {
    /// All of them.
    pub(crate) const ALL: [Query; 7] =
        [Query::Group, Query::Q3, Query::Q4, Query::Q8, Query::Q9, Query::Q18, Query::Q20];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Query::Group => "group_by",
            Query::Q3 => "q3",
            Query::Q4 => "q4",
            Query::Q8 => "q8",
            Query::Q9 => "q9",
            Query::Q18 => "q18",
            Query::Q20 => "q20",
        }
    }

    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Query> {
        Query::ALL.into_iter().find(|query| query.name() == name)
    }

    /// Which streams it reads: the others are left out on both sides.
    pub(crate) fn reads(self) -> Reads {
        let reads = |persons, auctions, bids| Reads { persons, auctions, bids };
        match self {
            Query::Group | Query::Q18 => reads(false, false, true),
            Query::Q3 | Query::Q8 => reads(true, true, false),
            Query::Q4 | Query::Q9 | Query::Q20 => reads(false, true, true),
        }
    }

    /// How many events make about a second of work for the slower side.
    pub(crate) fn events(self) -> u64 {
        match self {
            Query::Q3 | Query::Q8 => 50_000_000,
            Query::Group => 10_000_000,
            Query::Q4 => 4_000_000,
            Query::Q9 | Query::Q18 | Query::Q20 => 1_000_000,
        }
    }

    /// The view's query.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Query::Group => "SELECT auction, count(*), sum(price) FROM bid GROUP BY auction",
            Query::Q3 => {
                "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
                 WHERE a.category = 10 AND p.state IN ('or', 'id', 'ca')"
            }
            Query::Q4 => {
                "SELECT q.category, avg(q.final) FROM (
                   SELECT max(b.price) AS final, a.category FROM auction a JOIN bid b ON a.id = b.auction
                   WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
                 GROUP BY q.category"
            }
            Query::Q8 => {
                "SELECT p.id, p.name, p.starttime FROM
                   (SELECT id, name, date_bin(interval '10 seconds', date_time, timestamp '1970-01-01') AS starttime
                    FROM person GROUP BY 1, 2, 3) p
                 JOIN (SELECT seller, date_bin(interval '10 seconds', date_time, timestamp '1970-01-01') AS starttime
                    FROM auction GROUP BY 1, 2) a
                 ON p.id = a.seller AND p.starttime = a.starttime"
            }
            Query::Q9 => {
                "SELECT id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra,
                   auction, bidder, price, bid_date_time, bid_extra
                 FROM (SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_date_time, b.extra AS bid_extra,
                         row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.bidder, b.extra) AS rn
                       FROM auction a JOIN bid b ON a.id = b.auction
                       WHERE b.date_time BETWEEN a.date_time AND a.expires) t
                 WHERE rn <= 1"
            }
            Query::Q18 => {
                "SELECT auction, bidder, price, channel, url, date_time, extra FROM (
                   SELECT *, row_number() OVER (PARTITION BY bidder, auction
                     ORDER BY date_time DESC, price DESC, url, extra) AS rn FROM bid) t
                 WHERE rn <= 1"
            }
            Query::Q20 => {
                "SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_date_time, b.extra AS bid_extra,
                   a.item_name, a.description, a.initial_bid, a.reserve, a.date_time AS auction_date_time, a.expires,
                   a.seller, a.category, a.extra AS auction_extra
                 FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10"
            }
        }
    }
}
