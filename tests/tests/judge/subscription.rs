//! SUBSCRIBE over the wire, folded up: what a client knows of a view that only ever hears changes.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures::TryStreamExt;
use millrace_tests::{PATIENCE, Server};
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryStream};

use crate::answer::{Failure, Row, in_zone, values};

/// A subscription to a relation and what it has told.
pub(crate) struct Subscription {
    messages: Pin<Box<SimpleQueryStream>>,
    known: BTreeMap<Row, i64>,
    /// Everything through this tick is known.
    heard: i64,
    /// The connection, which it has for itself.
    _client: Client,
}

impl Subscription {
    /// Subscribes, and hears the rows of now.
    pub(crate) async fn start(server: &Server, relation: &str) -> Result<Subscription, Failure> {
        let client = in_zone(server.connect().await).await;
        let sql = format!("SUBSCRIBE {relation} WITH (PROGRESS)");
        let messages = Box::pin(client.simple_query_raw(&sql).await?);
        let mut subscription = Subscription { messages, known: BTreeMap::new(), heard: 0, _client: client };
        subscription.listen(1).await?;
        Ok(subscription)
    }

    /// The tick through which everything is known.
    pub(crate) fn heard(&self) -> i64 {
        self.heard
    }

    /// Listens until everything through `tick` is known.
    pub(crate) async fn listen(&mut self, tick: i64) -> Result<(), Failure> {
        while self.heard < tick {
            let message = timeout(PATIENCE, self.messages.try_next()).await;
            let message = message.unwrap_or_else(|_| panic!("the subscription hangs before {tick}"))?;
            if let SimpleQueryMessage::Row(row) = message.expect("a subscription never ends by itself") {
                let at: i64 = row.get("tick").unwrap().parse().unwrap();
                if row.get("progressed") == Some("t") {
                    self.heard = at;
                } else {
                    assert!(at > self.heard, "a change of {at} after progress to {}", self.heard);
                    let diff: i64 = row.get("diff").unwrap().parse().unwrap();
                    *self.known.entry(values(&row, 3)).or_default() += diff;
                }
            }
        }
        self.known.retain(|_, count| *count != 0);
        Ok(())
    }

    /// The rows at the tick through which everything is known. A negative number of a row fails.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let copies = |(row, count): (&Row, &i64)| {
            let count = usize::try_from(*count).unwrap_or_else(|_| panic!("{count} times {row:?}"));
            std::iter::repeat_n(row.clone(), count)
        };
        self.known.iter().flat_map(copies).collect()
    }
}
