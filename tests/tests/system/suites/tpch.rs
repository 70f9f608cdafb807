//! TPC-H: the 22 queries as views at scale 0.01, while orders come and go.
//!
//! The rows are tpchgen's, texts out of a smaller pool. The refresh functions are ours: of the orders
//! with their line items, the last come as inserts and the first leave, some hundred a round.

use std::fmt::Display;

use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::text::TextPool;

use super::{Pair, Suite};

const SCALE: f64 = 0.01;

/// Rounds of changes, and the orders that come and go in each.
const ROUNDS: usize = 3;
const ORDERS_PER_ROUND: usize = 150;

/// Bytes of text that comments are cut from; the specification's 300 MB take seconds to make.
const TEXT_BYTES: i32 = 4 << 20;

/// Queries that cannot be views yet, and what they wait for.
const WAITING: &[(&str, &str)] = &[];

/// Views that have no rows at this scale.
const EMPTY: &[&str] = &[];

/// Rows as COPY reads them: the generator ends each with a divider.
fn lines<R: Display>(rows: impl Iterator<Item = R>) -> Vec<String> {
    rows.map(|row| row.to_string().trim_end_matches('|').to_owned()).collect()
}

/// The key that a line begins with.
fn key(line: &str) -> u64 {
    line.split('|').next().unwrap().parse().unwrap()
}

/// Orders and their line items; those of `orders` from `from` on leave it.
struct Orders {
    orders: Vec<String>,
    items: Vec<String>,
}

impl Orders {
    fn split_off(&mut self, from: usize) -> Orders {
        let orders = self.orders.split_off(from);
        let first = key(&orders[0]);
        let at = self.items.partition_point(|line| key(line) < first);
        Orders { orders, items: self.items.split_off(at) }
    }

    /// One transaction that inserts them all, every value as a quoted literal.
    fn inserts(&self) -> String {
        let values = |lines: &[String]| {
            let row = |line: &String| {
                let cells = line.split('|').map(|cell| format!("'{}'", cell.replace('\'', "''")));
                format!("({})", cells.collect::<Vec<_>>().join(", "))
            };
            lines.iter().map(row).collect::<Vec<_>>().join(", ")
        };
        format!(
            "BEGIN; INSERT INTO orders VALUES {}; INSERT INTO lineitem VALUES {}; COMMIT",
            values(&self.orders),
            values(&self.items)
        )
    }
}

async fn load(pair: &Pair) -> Orders {
    let distributions = Distributions::static_default();
    let text = TextPool::new(TEXT_BYTES, distributions);
    let (d, t) = (distributions, &text);
    let regions = RegionGenerator::new_with_distributions_and_text_pool(d, t);
    let nations = NationGenerator::new_with_distributions_and_text_pool(d, t);
    let parts = PartGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, d, t);
    let suppliers = SupplierGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, d, t);
    let partsupps = PartSuppGenerator::new_with_text_pool(SCALE, 1, 1, t);
    let customers = CustomerGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, d, t);
    pair.copy("region", &lines(regions.iter())).await;
    pair.copy("nation", &lines(nations.iter())).await;
    pair.copy("part", &lines(parts.iter())).await;
    pair.copy("supplier", &lines(suppliers.iter())).await;
    pair.copy("partsupp", &lines(partsupps.iter())).await;
    pair.copy("customer", &lines(customers.iter())).await;
    let orders = OrderGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, d, t);
    let items = LineItemGenerator::new_with_distributions_and_text_pool(SCALE, 1, 1, d, t);
    Orders { orders: lines(orders.iter()), items: lines(items.iter()) }
}

/// The keys that PostgreSQL's own way to run the queries needs to end soon.
const INDEXES: &str = "CREATE INDEX ON lineitem (l_orderkey); CREATE INDEX ON lineitem (l_partkey, l_suppkey);
    CREATE INDEX ON orders (o_orderkey); CREATE INDEX ON orders (o_custkey); CREATE INDEX ON partsupp (ps_partkey);
    CREATE INDEX ON supplier (s_suppkey); CREATE INDEX ON part (p_partkey); CREATE INDEX ON customer (c_custkey);
    ANALYZE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpc_hs_views_follow_their_tables() {
    let pair = Pair::start().await;
    let mut suite = Suite::create("tpch", &pair, WAITING).await;
    suite.compare(&pair, "over empty tables").await;
    let mut first = load(&pair).await;
    let mut held_back = first.split_off(first.orders.len() - ROUNDS * ORDERS_PER_ROUND);
    pair.copy("orders", &first.orders).await;
    pair.copy("lineitem", &first.items).await;
    pair.only_theirs(INDEXES).await;
    suite.compare(&pair, "after loading").await;
    for round in 0..ROUNDS {
        let rest = (round + 1 < ROUNDS).then(|| held_back.split_off(ORDERS_PER_ROUND));
        pair.both(&held_back.inserts()).await;
        suite.compare(&pair, &format!("after the inserts of round {round}")).await;
        let gone = &first.orders[round * ORDERS_PER_ROUND..(round + 1) * ORDERS_PER_ROUND];
        let (low, high) = (key(&gone[0]), key(&gone[gone.len() - 1]));
        let delete = format!(
            "BEGIN; DELETE FROM orders WHERE o_orderkey BETWEEN {low} AND {high};
             DELETE FROM lineitem WHERE l_orderkey BETWEEN {low} AND {high}; COMMIT"
        );
        pair.both(&delete).await;
        suite.compare(&pair, &format!("after the deletions of round {round}")).await;
        if let Some(rest) = rest {
            held_back = rest;
        }
    }
    suite.finish(EMPTY);
}
