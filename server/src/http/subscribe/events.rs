//! The events of one client, part by part, whatever they are written as.
//!
//! ```text
//! Begins(T) Changes … Changes Ends(T)     first the rows at the start, then what each tick changes
//! ```
//! **Invariant:** between `Begins` and `Ends` is all of a tick; an end within is `Broken` or `Stopped`.

use std::collections::VecDeque;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use millrace_sql::{Column, SqlError, Zone};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::http::failure::Failure;
use crate::http::values::JsonRows;
use crate::portion::{Form, Portion, Portions};

/// A sign of life is sent where nothing else was for so long, so that both ends know that the other is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The places of `tick`, `progressed` and `diff`; then come the view's columns.
const LEADING: [usize; 3] = [0, 1, 2];

/// What a client is told next.
pub(super) enum Part {
    /// The changes of a tick begin.
    Begins(i64),
    /// JSON of some of them, with the comma that divides them from those before.
    Changes(Bytes),
    /// All of the tick was told.
    Ends(i64),
    /// Nothing has changed through this tick.
    Progress(i64),
    /// Nothing was told for a while.
    Quiet,
    /// There are no more events. The last part.
    Failed(Failure),
    /// The same within an event, which the client has not whole.
    Broken(Failure),
    /// The server stops. The last part, perhaps within an event.
    Stopped,
}

/// The events of one client.
pub(super) struct Events {
    portions: Portions,
    /// The view's.
    columns: Vec<Column>,
    zone: Zone,
    wants_progress: bool,
    /// The first event is sent though it may have no rows: its id is where the client has begun.
    opens: bool,
    /// An event has begun and has not ended.
    inside: bool,
    ready: VecDeque<Part>,
    is_over: bool,
    shutdown: CancellationToken,
}

impl Events {
    /// Of what a session follows, with its columns. Where it `opens`, there is a first event in any case.
    pub(super) fn new(
        portions: Portions,
        columns: &[Column],
        zone: Zone,
        wants_progress: bool,
        opens: bool,
        shutdown: CancellationToken,
    ) -> Events {
        let columns = columns.get(LEADING.len()..).unwrap_or_default().to_vec();
        let (inside, is_over, ready) = (false, false, VecDeque::new());
        Events { portions, columns, zone, wants_progress, opens, inside, ready, is_over, shutdown }
    }

    /// The next part. Whoever stops to wait for it loses nothing.
    pub(super) async fn next(&mut self) -> Part {
        let quiet = Instant::now() + HEARTBEAT;
        loop {
            if let Some(part) = self.ready.pop_front() {
                return part;
            }
            if self.is_over {
                return Part::Stopped;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => self.is_over = true,
                portion = self.portions.next() => match portion {
                    Some(portion) => {
                        let taken = portion.and_then(|portion| self.take(&portion));
                        taken.unwrap_or_else(|error| self.fail(error));
                    }
                    None => self.is_over = true,
                },
                () = sleep_until(quiet), if !self.inside => return Part::Quiet,
            }
        }
    }

    fn take(&mut self, portion: &Portion) -> Result<(), SqlError> {
        let [tick, progressed, _] = LEADING;
        let rows = &portion.rows;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let tick = rows.column(tick).as_primitive::<Int64Type>().value(0);
        if rows.column(progressed).as_boolean().value(0) {
            self.end(tick);
            return Ok(());
        }
        let changes = match &portion.written {
            Some(written) => {
                let form = Form::Json(self.zone.clone());
                written.get(&form, || changes(rows, &self.columns, &self.zone))?
            }
            None => changes(rows, &self.columns, &self.zone)?,
        };
        match self.inside {
            true => self.ready.push_back(Part::Changes(Bytes::from_static(b","))),
            false => self.begin(tick),
        }
        self.ready.push_back(Part::Changes(changes));
        Ok(())
    }

    fn begin(&mut self, tick: i64) {
        self.ready.push_back(Part::Begins(tick));
        self.inside = true;
    }

    /// All of a tick is there.
    fn end(&mut self, tick: i64) {
        if std::mem::take(&mut self.opens) && !self.inside {
            self.begin(tick);
        }
        if std::mem::take(&mut self.inside) {
            self.ready.push_back(Part::Ends(tick));
        } else if self.wants_progress {
            self.ready.push_back(Part::Progress(tick));
        }
    }

    fn fail(&mut self, error: SqlError) {
        self.is_over = true;
        let failure = Failure::from(error);
        self.ready.push_back(match self.inside {
            true => Part::Broken(failure),
            false => Part::Failed(failure),
        });
    }
}

/// Rows of a subscription as JSON, divided by commas.
fn changes(rows: &RecordBatch, columns: &[Column], zone: &Zone) -> Result<Bytes, SqlError> {
    let places: Vec<usize> = (LEADING.len()..rows.num_columns()).collect();
    let shown = rows.project(&places).map_err(SqlError::internal)?;
    let json = JsonRows::new(&shown, columns, zone)?;
    let diffs = rows.column(LEADING[2]).as_primitive::<Int64Type>();
    let mut out = BytesMut::new();
    for row in 0..rows.num_rows() {
        if row > 0 {
            out.put_u8(b',');
        }
        out.put_slice(format!("{{\"diff\":{},\"row\":", diffs.value(row)).as_bytes());
        json.write_object(row, &mut out);
        out.put_u8(b'}');
    }
    Ok(out.freeze())
}
