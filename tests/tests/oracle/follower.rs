//! A subscription to a view, folded: what a client knows that only ever heard changes.

use futures::StreamExt;
use millrace_engine::Tick;
use millrace_sql::{RowStream, SqlError};

use crate::database::{Database, PATIENCE};
use crate::judge::{Bag, lines};

/// What a subscriber knows.
pub(crate) struct Follower {
    view: String,
    rows: Option<RowStream>,
    known: Bag,
    /// Everything through this tick was heard.
    pub(crate) heard: Tick,
    /// Rows that went, so far.
    pub(crate) retractions: usize,
    /// Progress rows, so far.
    pub(crate) progress: usize,
}

impl Follower {
    /// Of a view that nobody has subscribed to yet.
    pub(crate) fn new(view: &str) -> Follower {
        Follower {
            view: view.to_owned(),
            rows: None,
            known: Bag::new(),
            heard: 0,
            retractions: 0,
            progress: 0,
        }
    }

    /// Goes on after a restart where it stopped, or, where it was in error, anew.
    pub(crate) async fn resume(&mut self, database: &Database) -> Result<(), String> {
        if self.rows.take().is_none() {
            return Ok(());
        }
        let text = format!("SUBSCRIBE {} WITH (PROGRESS, SNAPSHOT = false) AS OF {}", self.view, self.heard);
        let rows = database.follow(&text).await;
        self.rows = Some(rows.map_err(|error| format!("{text}: {error:?}"))?);
        Ok(())
    }

    /// Forgets everything: the next time it hears a snapshot first.
    pub(crate) fn forget(&mut self) {
        self.rows = None;
    }

    /// Listens until everything through `tick` was heard. At each progress row before `tick` it
    /// must know `before`. What it knows then, or the subscription's error.
    pub(crate) async fn listen(
        &mut self,
        database: &Database,
        tick: Tick,
        before: Option<&Bag>,
    ) -> Result<Result<Bag, SqlError>, String> {
        let listened = tokio::time::timeout(PATIENCE, self.try_listen(database, tick, before)).await;
        match listened.map_err(|_| format!("the subscription of {} hangs before {tick}", self.view))? {
            Ok(()) => Ok(Ok(self.known.clone())),
            Err(Trouble::Error(error)) => {
                self.rows = None;
                Ok(Err(error))
            }
            Err(Trouble::Wrong(reason)) => Err(reason),
        }
    }

    async fn try_listen(
        &mut self,
        database: &Database,
        tick: Tick,
        before: Option<&Bag>,
    ) -> Result<(), Trouble> {
        if self.rows.is_none() {
            let text = format!("SUBSCRIBE {} WITH (PROGRESS)", self.view);
            self.rows = Some(database.follow(&text).await?);
            (self.known, self.heard) = (Bag::new(), 0);
        }
        while self.heard < tick {
            let rows = self.rows.as_mut().ok_or(Trouble::Wrong("no subscription".to_owned()))?;
            let batch = rows.next().await.ok_or(Trouble::Wrong("the subscription ended".to_owned()))??;
            for line in lines(&batch) {
                self.take_in(&line, tick, before).map_err(Trouble::Wrong)?;
            }
        }
        Ok(())
    }

    /// A row of the subscription: tick, progressed, diff, and the view's columns.
    fn take_in(&mut self, line: &str, tick: Tick, before: Option<&Bag>) -> Result<(), String> {
        let mut parts = line.splitn(4, '|');
        let at: Tick = parts.next().and_then(|at| at.parse().ok()).ok_or("a row without a tick")?;
        let progressed = parts.next() == Some("true");
        if at < self.heard || (at == self.heard && !progressed && self.heard > 0) {
            return Err(format!("{}: after progress through {} comes {line}", self.view, self.heard));
        }
        if !progressed {
            let diff: i64 = parts.next().and_then(|diff| diff.parse().ok()).ok_or("a row without a diff")?;
            self.retractions += usize::from(diff < 0);
            let row = parts.next().unwrap_or_default().to_owned();
            *self.known.entry(row).or_default() += diff;
            return Ok(());
        }
        self.known.retain(|_, count| *count != 0);
        self.heard = at;
        self.progress += 1;
        match before {
            Some(expected) if at < tick && self.known != *expected => Err(format!(
                "{}: at the progress row of {at} the subscriber knows\n  {:?}\n  instead of\n  {expected:?}",
                self.view, self.known
            )),
            _ => Ok(()),
        }
    }
}

/// Why listening ended early.
enum Trouble {
    /// The subscription said so.
    Error(SqlError),
    /// What it said is wrong.
    Wrong(String),
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Trouble {
        Trouble::Error(error)
    }
}
