//! Nexmark: its queries as views over three tables, while events come in batches and rows are deleted.

use super::events::Generator;
use super::{Pair, Suite};

/// Events in all, and in each batch.
const EVENTS: u64 = 20_000;
const BATCH: u64 = 2_500;

/// Keys of the side input, of which one in `BATCHES` leaves and another comes with each batch.
const SIDE_KEYS: u64 = 2_000;

/// Queries that cannot be views yet, and what they wait for.
const WAITING: &[(&str, &str)] = &[];

/// Deletions after a batch, other rows each time.
fn deletions(batch: u64) -> String {
    format!(
        "DELETE FROM bid WHERE auction % 7 = {batch} % 7 AND price % 3 = 0;
         DELETE FROM auction WHERE id % 31 = {batch};
         DELETE FROM person WHERE id % 29 = {batch};
         DELETE FROM side_input WHERE key % 50 = {batch};
         INSERT INTO side_input VALUES ({key}, 'later {batch}')",
        key = SIDE_KEYS + batch
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nexmarks_views_follow_their_streams() {
    let pair = Pair::start().await;
    let mut suite = Suite::create("nexmark", &pair, WAITING).await;
    let side: Vec<String> = (0..SIDE_KEYS).map(|key| format!("{key}|value {key}")).collect();
    pair.copy("side_input", &side).await;
    pair.only_theirs(
        "CREATE INDEX ON bid (auction); CREATE INDEX ON auction (id); CREATE INDEX ON person (id)",
    )
    .await;
    let mut generator = Generator::new(20_150_715);
    for batch in 0..EVENTS / BATCH {
        let events = generator.batch(BATCH);
        pair.copy("person", &events.persons).await;
        pair.copy("auction", &events.auctions).await;
        pair.copy("bid", &events.bids).await;
        pair.only_theirs("ANALYZE").await;
        suite.compare(&pair, &format!("after batch {batch}")).await;
        pair.both(&deletions(batch)).await;
        suite.compare(&pair, &format!("after the deletions of batch {batch}")).await;
    }
    suite.finish(&[]);
}
