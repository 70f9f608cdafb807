//! Millrace and PostgreSQL side by side, fed the same statements.

use std::io::Cursor;

use futures::SinkExt;
use millrace_tests::{Postgres, Server};
use tokio_postgres::Client;

/// The two servers, a connection to each.
pub(crate) struct Pair {
    ours: Client,
    theirs: Client,
    _server: Server,
    _postgres: Postgres,
}

impl Pair {
    pub(crate) async fn start() -> Pair {
        let (server, postgres) = (Server::start(), Postgres::start());
        let (ours, theirs) = (server.connect().await, postgres.connect().await);
        Pair { ours, theirs, _server: server, _postgres: postgres }
    }

    pub(crate) fn ours(&self) -> &Client {
        &self.ours
    }

    pub(crate) fn theirs(&self) -> &Client {
        &self.theirs
    }

    /// Runs a text on both.
    pub(crate) async fn both(&self, sql: &str) {
        for (name, client) in [("millrace", &self.ours), ("PostgreSQL", &self.theirs)] {
            let shown: String = sql.chars().take(300).collect();
            client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{name}: {shown}\n{error:?}"));
        }
    }

    /// COPY of lines divided by `|` into a table on both.
    pub(crate) async fn copy(&self, table: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let mut data = lines.join("\n");
        data.push('\n');
        let copy = format!("COPY {table} FROM STDIN WITH (FORMAT text, DELIMITER '|')");
        for client in [&self.ours, &self.theirs] {
            let mut sink = Box::pin(client.copy_in(&copy).await.unwrap());
            sink.send(Cursor::new(data.clone().into_bytes())).await.unwrap();
            let copied = sink.as_mut().finish().await.unwrap();
            assert_eq!(copied, lines.len() as u64, "{table}");
        }
    }

    /// What only the other side needs: its statistics, and indexes.
    pub(crate) async fn only_theirs(&self, sql: &str) {
        self.theirs.batch_execute(sql).await.unwrap();
    }
}
