//! `Replay`: every record of the log, in the order of ticks, one at a time in memory.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::Disk;
use super::record::{self, Record};
use super::recovery::Recovered;
use super::segment::Position;
use super::segment_reader::{Found, SegmentReader, Unproven};
use crate::error::EngineError;
use crate::types::Tick;

/// Yields the records that were in the log when it was opened; appends meanwhile do not disturb.
///
/// An error is the last item: all records before it are sound, what follows must not be used.
pub struct Replay {
    disk: Arc<dyn Disk>,
    log_folder: PathBuf,
    /// The segments that were not read yet, and where they end.
    rest: VecDeque<Position>,
    reader: Option<SegmentReader>,
    /// The last records, which are being carried over to another segment, and where they stood.
    carried: VecDeque<Unproven>,
    carried_path: String,
    tick: Tick,
}

impl Replay {
    /// A replay of nothing.
    pub(super) fn empty(disk: Arc<dyn Disk>, log_folder: PathBuf) -> Replay {
        Replay {
            disk,
            log_folder,
            rest: VecDeque::new(),
            reader: None,
            carried: VecDeque::new(),
            carried_path: String::new(),
            tick: 0,
        }
    }

    /// A replay of all that was found. It does not depend on where the unproven records go.
    pub(super) fn of(self, found: Recovered) -> Replay {
        let rest = found.chain_durable();
        Replay { rest, carried: found.unproven.into(), carried_path: found.newest.path, ..self }
    }

    /// The next record; `None` behind the last one.
    fn advance(&mut self) -> Result<Option<Record>, EngineError> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(position) = self.rest.pop_front() else { return self.advance_carried() };
                self.reader = Some(self.open(position)?);
                continue;
            };
            let offset = reader.offset;
            let (head, body) = match reader.next()? {
                Found::Record(head, body) => (head, body),
                Found::Damage(reason) => return Err(reader.corrupt(offset, reason)),
                Found::End => {
                    self.reader = None;
                    continue;
                }
            };
            if head.tick <= self.tick {
                return Err(reader.corrupt(offset, format!("tick {} follows tick {}", head.tick, self.tick)));
            }
            self.tick = head.tick;
            return record::decode(head.tick, body)
                .map(Some)
                .map_err(|reason| reader.corrupt(offset, reason));
        }
    }

    /// The next of the last records.
    fn advance_carried(&mut self) -> Result<Option<Record>, EngineError> {
        let Some(Unproven { offset, head, body }) = self.carried.pop_front() else { return Ok(None) };
        let corrupt = |reason| EngineError::Corrupt { path: self.carried_path.clone(), offset, reason };
        record::decode(head.tick, body).map(Some).map_err(corrupt)
    }

    /// Opens a segment, which must go on where the one before ended.
    fn open(&self, position: Position) -> Result<SegmentReader, EngineError> {
        let reader = SegmentReader::open(self.disk.as_ref(), &self.log_folder, position.sequence)?;
        let tick_before = reader.header.tick_before;
        if tick_before != self.tick {
            let reason =
                format!("it follows tick {tick_before}, the segment before ends with tick {}", self.tick);
            return Err(reader.corrupt(0, reason));
        }
        reader.limit(position.end)
    }
}

impl Iterator for Replay {
    type Item = Result<Record, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, Some(Err(_))) {
            self.rest.clear();
            self.carried.clear();
            self.reader = None;
        }
        next
    }
}
