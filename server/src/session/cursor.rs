//! Cursors: rows that a client takes a few at a time, by FETCH.
//!
//! ```text
//!  DECLARE ──► rows of a query at its tick, or of a SUBSCRIBE ──► FETCH, MOVE ──► CLOSE, or the block's end
//!                                                  WITH HOLD: the block's commit leaves it open
//! ```
//! A cursor goes forward only. Its query is read while its rows are taken: it holds what it reads, at its tick, and
//! no row waits in memory but for the batch at hand. What a SUBSCRIBE has to tell waits up to its bound
//! (`BUFFER_BYTES_MAX`), then the cursor fails with 53400.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use millrace_sql::{Direction, Fetch, ResultColumns, RowSource, SqlError};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::coordinator::Moment;
use crate::portion::{Portion, Portions, portions};
use crate::session::block::{Block, command};
use crate::session::{Response, Session};

/// The most cursors of one session.
const CURSORS_MAX: usize = 1_000;

/// The cursors of a session by name.
#[derive(Default)]
pub(super) struct Cursors {
    by_name: BTreeMap<String, Cursor>,
    /// How many there have been: each knows its number.
    born: u64,
}

struct Cursor {
    columns: ResultColumns,
    is_held: bool,
    /// NO SCROLL was given.
    only_forward: bool,
    /// Whether it is a SUBSCRIBE's, whose rows never end.
    follows: bool,
    /// Its number.
    born: u64,
    /// Whether its transaction has committed.
    is_committed: bool,
    rows: Arc<Mutex<Rows>>,
}

impl Cursors {
    /// How many there have been, for a savepoint.
    pub(super) fn born(&self) -> u64 {
        self.born
    }

    /// Closes those that were born after a savepoint.
    pub(super) fn close_younger(&mut self, born: u64) {
        self.by_name.retain(|_, cursor| cursor.born <= born);
    }

    /// The transaction has committed: those WITH HOLD stay.
    pub(super) fn commit(&mut self) {
        self.by_name.retain(|_, cursor| cursor.is_held);
        self.by_name.values_mut().for_each(|cursor| cursor.is_committed = true);
    }

    /// The transaction has come to nothing: those stay that were there before.
    pub(super) fn roll_back(&mut self) {
        self.by_name.retain(|_, cursor| cursor.is_committed);
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.by_name.clear();
    }

    fn find(&self, name: &str) -> Result<&Cursor, SqlError> {
        self.by_name
            .get(name)
            .ok_or_else(|| SqlError::new("34000", format!("cursor \"{name}\" does not exist")))
    }
}

impl Session {
    /// DECLARE.
    pub(super) async fn declare(
        &mut self,
        name: String,
        only_forward: bool,
        is_held: bool,
        source: RowSource,
        moment: &Moment,
    ) -> Result<Response, SqlError> {
        let in_block = matches!(self.block, Block::Open(_));
        if !in_block && !is_held {
            return Err(SqlError::new("25P01", "DECLARE CURSOR can only be used in transaction blocks"));
        }
        if self.cursors.by_name.contains_key(&name) {
            return Err(SqlError::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        if self.cursors.by_name.len() >= CURSORS_MAX {
            return Err(SqlError::new("53000", format!("more than {CURSORS_MAX} cursors")));
        }
        let (columns, rows, follows) = match source {
            RowSource::Query(query) => {
                (query.result().clone(), portions(self.select(&query, moment).await?), false)
            }
            RowSource::Subscribe(subscribe) => {
                let rows = self.subscribe(&subscribe, moment)?;
                (subscribe.columns.into(), rows, true)
            }
        };
        self.cursors.born += 1;
        let (born, is_committed) = (self.cursors.born, !in_block);
        let rows = Arc::new(Mutex::new(Rows::new(rows)));
        let cursor = Cursor { columns, is_held, only_forward, follows, born, is_committed, rows };
        self.cursors.by_name.insert(name, cursor);
        Ok(command("DECLARE CURSOR"))
    }

    /// FETCH and MOVE.
    pub(super) async fn fetch(&mut self, fetch: &Fetch) -> Result<Response, SqlError> {
        let cursor = self.cursors.find(&fetch.name)?;
        if fetch.timeout.is_some() && !cursor.follows {
            return Err(SqlError::unsupported("a timeout of FETCH from a cursor that is not of a SUBSCRIBE")
                .hint("Use SET statement_timeout."));
        }
        let mut rows = cursor.rows.lock().await;
        rows.check(&fetch.name)?;
        let again = !cursor.only_forward || fetch.is_move;
        // As in PostgreSQL a cursor that could not do what it was asked is of no more use.
        let asked = asked(fetch.direction, &rows, again).inspect_err(|_| rows.has_failed = true)?;
        drop(rows);
        let patience = match (cursor.follows, fetch.timeout) {
            (false, _) => Patience::Endless,
            (true, None) => Patience::FirstRow,
            (true, Some(time)) => Patience::Time(time),
        };
        let fetched = fetched(cursor.rows.clone(), asked, patience);
        if fetch.is_move {
            let count = count(fetched).await?;
            return Ok(command(format!("MOVE {count}")));
        }
        Ok(Response::Rows { columns: cursor.columns.clone(), rows: fetched, tag: "FETCH" })
    }

    /// CLOSE.
    pub(super) fn close_cursor(&mut self, name: Option<&str>) -> Result<Response, SqlError> {
        let Some(name) = name else {
            self.cursors.clear();
            return Ok(command("CLOSE CURSOR ALL"));
        };
        self.cursors.find(name)?;
        self.cursors.by_name.remove(name);
        Ok(command("CLOSE CURSOR"))
    }

    /// Execute of a cursor: its next rows, at most so many.
    ///
    /// # Errors
    /// As FETCH.
    pub(crate) async fn fetch_next(&mut self, name: &str, rows_max: usize) -> Result<Response, SqlError> {
        let count = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let direction = Direction::Forward(count);
        self.fetch(&Fetch { is_move: false, name: name.to_owned(), direction, timeout: None }).await
    }

    /// Whether there is a cursor of this name.
    pub(crate) fn has_cursor(&self, name: &str) -> bool {
        self.cursors.by_name.contains_key(name)
    }

    /// Close: nothing where the name is unknown.
    pub(crate) fn forget_cursor(&mut self, name: &str) {
        self.cursors.by_name.remove(name);
    }

    /// The columns of a cursor; `None` where there is no such one.
    pub(crate) fn cursor_columns(&self, name: &str) -> Option<&ResultColumns> {
        self.cursors.by_name.get(name).map(|cursor| &cursor.columns)
    }
}

/// The rows of a cursor, and where it stands.
struct Rows {
    stream: Portions,
    /// The rows at hand and the first that was not taken yet.
    portion: Option<(Portion, usize)>,
    /// The row that it stands on.
    current: Option<Portion>,
    /// How many rows it has passed.
    position: u64,
    /// Its rows have failed: there are no more.
    has_failed: bool,
}

impl Rows {
    fn new(stream: Portions) -> Rows {
        Rows { stream, portion: None, current: None, position: 0, has_failed: false }
    }

    /// # Errors
    /// 55000 where a FETCH has failed already.
    fn check(&self, name: &str) -> Result<(), SqlError> {
        match self.has_failed {
            true => Err(SqlError::new("55000", format!("portal \"{name}\" cannot be run"))),
            false => Ok(()),
        }
    }

    /// The next rows, at most so many; `None` at the end, behind the last row. Nothing is lost where this is dropped.
    async fn next(&mut self, rows_max: u64) -> Option<Result<Portion, SqlError>> {
        loop {
            if let Some((portion, first)) = self.portion.take()
                && first < portion.rows.num_rows()
            {
                let left = portion.rows.num_rows() - first;
                let count = usize::try_from(rows_max).unwrap_or(usize::MAX).min(left);
                let taken = portion.slice(first, count);
                self.current = Some(portion.slice(first + count - 1, 1));
                self.position += count as u64;
                self.portion = Some((portion, first + count));
                return Some(Ok(taken));
            }
            match self.stream.next().await {
                Some(Ok(portion)) => self.portion = Some((portion, 0)),
                Some(Err(error)) => {
                    self.has_failed = true;
                    return Some(Err(error));
                }
                None => {
                    self.current = None;
                    return None;
                }
            }
        }
    }

    /// Passes over rows.
    async fn skip(&mut self, mut count: u64) -> Result<(), SqlError> {
        while count > 0 {
            match self.next(count).await.transpose()? {
                Some(portion) => count -= portion.rows.num_rows() as u64,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// What a FETCH asks of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The row at hand again.
    Again,
    /// So many rows, behind those that are passed over.
    Next { skip: u64, take: u64 },
}

/// `again`: the row at hand can be shown once more.
///
/// # Errors
/// 55000 where it would have to go back.
fn asked(direction: Direction, rows: &Rows, again: bool) -> Result<Asked, SqlError> {
    let next = |take: u64| Asked::Next { skip: 0, take };
    let at_hand = || if again || rows.current.is_none() { Ok(Asked::Again) } else { Err(only_forward()) };
    let one_further_on = |by: i64| match by {
        0 => at_hand(),
        1.. => Ok(Asked::Next { skip: by.unsigned_abs() - 1, take: 1 }),
        _ => Err(only_forward()),
    };
    match direction {
        Direction::Forward(0) => at_hand(),
        Direction::Forward(count @ 1..) => Ok(next(count.unsigned_abs())),
        Direction::ForwardAll => Ok(next(u64::MAX)),
        Direction::Relative(by) => one_further_on(by),
        Direction::Absolute(0) if rows.position == 0 => Ok(next(0)),
        Direction::Absolute(number @ 1..) if number.unsigned_abs() > rows.position => {
            Ok(Asked::Next { skip: number.unsigned_abs() - rows.position - 1, take: 1 })
        }
        Direction::Absolute(_) | Direction::Forward(_) | Direction::BackwardAll => Err(only_forward()),
    }
}

fn only_forward() -> SqlError {
    SqlError::new("55000", "cursor can only scan forward")
        .hint("Declare it anew to start from its first row.")
}

/// How long a FETCH waits.
#[derive(Clone, Copy)]
enum Patience {
    /// For all that it asked for.
    Endless,
    /// For the first row; then it takes what is ready.
    FirstRow,
    /// So long for the first row.
    Time(Duration),
}

/// A FETCH on its way.
struct Fetching {
    rows: Arc<Mutex<Rows>>,
    asked: Asked,
    patience: Patience,
    /// Whether it has given rows.
    has_begun: bool,
}

/// The rows that a FETCH takes.
fn fetched(rows: Arc<Mutex<Rows>>, asked: Asked, patience: Patience) -> Portions {
    let fetching = Fetching { rows, asked, patience, has_begun: false };
    Box::pin(stream::unfold(Some(fetching), |fetching| async move {
        let mut fetching = fetching?;
        let portion = fetching.next().await.transpose()?;
        let is_over = portion.is_err();
        Some((portion, (!is_over).then_some(fetching)))
    }))
}

impl Fetching {
    async fn next(&mut self) -> Result<Option<Portion>, SqlError> {
        let mut rows = self.rows.lock().await;
        let Asked::Next { skip, take } = &mut self.asked else {
            self.asked = Asked::Next { skip: 0, take: 0 };
            return Ok(rows.current.clone());
        };
        let (skipped, wanted) = (std::mem::take(skip), *take);
        let taken = async {
            rows.skip(skipped).await?;
            if wanted == 0 { Ok(None) } else { rows.next(wanted).await.transpose() }
        };
        let taken = match self.patience {
            Patience::Endless => taken.await?,
            Patience::FirstRow | Patience::Time(_) if self.has_begun => {
                taken.now_or_never().transpose()?.flatten()
            }
            Patience::FirstRow => taken.await?,
            Patience::Time(time) => timeout(time, taken).await.ok().transpose()?.flatten(),
        };
        self.has_begun = true;
        *take -= taken.as_ref().map_or(*take, |portion| portion.rows.num_rows() as u64);
        Ok(taken)
    }
}

/// How many rows there are.
async fn count(mut rows: Portions) -> Result<u64, SqlError> {
    let mut count = 0;
    while let Some(portion) = rows.next().await {
        count += portion?.rows.num_rows() as u64;
    }
    Ok(count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
    use arrow::datatypes::Int32Type;

    /// The numbers from 0, in batches of three, as the rows of a cursor.
    fn numbers(count: i32) -> Arc<Mutex<Rows>> {
        let all: Vec<i32> = (0..count).collect();
        let batch = |chunk: &[i32]| {
            let column: ArrayRef = Arc::new(Int32Array::from(chunk.to_vec()));
            Ok(Portion::alone(RecordBatch::try_from_iter([("n", column)]).unwrap()))
        };
        let batches: Vec<_> = all.chunks(3).map(batch).collect();
        Arc::new(Mutex::new(Rows::new(Box::pin(stream::iter(batches)))))
    }

    async fn take(rows: &Arc<Mutex<Rows>>, direction: Direction) -> Result<Vec<i32>, String> {
        let asked = asked(direction, &*rows.lock().await, true).map_err(|error| error.sqlstate)?;
        let portions: Vec<Portion> =
            fetched(rows.clone(), asked, Patience::Endless).map(|portion| portion.unwrap()).collect().await;
        let values = |portion: &Portion| portion.rows.column(0).as_primitive::<Int32Type>().values().to_vec();
        Ok(portions.iter().flat_map(values).collect())
    }

    #[tokio::test]
    async fn directions_are_postgresqls_as_far_as_they_go_forward() {
        let rows = numbers(10);
        let cases = [
            (Direction::Forward(0), Ok(vec![])),
            (Direction::Absolute(0), Ok(vec![])),
            (Direction::Forward(2), Ok(vec![0, 1])),
            (Direction::Forward(0), Ok(vec![1])),
            (Direction::Relative(0), Ok(vec![1])),
            (Direction::Forward(3), Ok(vec![2, 3, 4])),
            (Direction::Relative(2), Ok(vec![6])),
            (Direction::Absolute(9), Ok(vec![8])),
            (Direction::Absolute(9), Err("55000".to_owned())),
            (Direction::Forward(-1), Err("55000".to_owned())),
            (Direction::BackwardAll, Err("55000".to_owned())),
            (Direction::ForwardAll, Ok(vec![9])),
            (Direction::Forward(0), Ok(vec![])),
            (Direction::Forward(1), Ok(vec![])),
        ];
        for (direction, expected) in cases {
            assert_eq!(take(&rows, direction).await, expected, "{direction:?}");
        }
    }

    #[tokio::test]
    async fn a_fetch_that_follows_takes_what_is_ready() {
        let (sender, receiver) = futures::channel::mpsc::unbounded();
        let rows = Arc::new(Mutex::new(Rows::new(Box::pin(receiver))));
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let batch = Portion::alone(RecordBatch::try_from_iter([("n", column)]).unwrap());
        let time = Patience::Time(Duration::ZERO);
        let asked = Asked::Next { skip: 0, take: u64::MAX };
        assert_eq!(count(fetched(rows.clone(), asked, time)).await, Ok(0));
        sender.unbounded_send(Ok(batch.clone())).unwrap();
        let two = Asked::Next { skip: 0, take: 2 };
        assert_eq!(count(fetched(rows.clone(), two, Patience::FirstRow)).await, Ok(2));
        sender.unbounded_send(Ok(batch)).unwrap();
        assert_eq!(count(fetched(rows.clone(), asked, Patience::FirstRow)).await, Ok(4));
    }
}
