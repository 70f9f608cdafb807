//! `Log`: opened once, then appended to, one fdatasync a group.
//!
//! ```text
//!             ┌───────────── append_group ─────────────┐
//!             ▼                                        │ ok: acknowledged
//!        ┌────────┐  write or fsync fails  ┌───────────┴──┐
//!        │ active │ ─────────────────────► │ next segment │   the same group, written anew
//!        └────────┘   (abandon, cut)       └───────┬──────┘
//!             ▲                                    │ fails as well: LogError
//!             │          next append_group         ▼
//!             └───────────────────────────── ┌───────────┐
//!               a new segment, once it works │ read-only │
//!                                            └───────────┘
//! ```
//!
//! An fsync that failed is never tried again on the same file: the kernel may have dropped the
//! pages and would report success. The new segment's header says where the abandoned one ends, so
//! what the failed attempt left behind does not exist.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clock::Random;
use super::disk::{Disk, io_error};
use super::error::LogError;
use super::folder::{self, FolderState};
use super::frame::Group;
use super::head;
use super::record::{self, Record};
use super::recovery::{Recovered, recover};
use super::replay::Replay;
use super::segment::{HEADER_BYTES, Header, Position, Segment, path};
use super::segment_reader::Unproven;
use crate::error::EngineError;
use crate::types::Tick;

/// How a log is laid out on disk. Logs of any layout can be opened with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment takes no more groups once it is this long. One group may be longer.
    pub segment_bytes: u64,
    /// How far ahead of the records a segment is zeroed.
    pub zero_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig { segment_bytes: 64 << 20, zero_bytes: 1 << 20 }
    }
}

/// The log, opened for appending. The caller holds the lock on the data folder.
pub struct Log {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    config: LogConfig,
    random: Box<dyn Random>,
    /// Takes the next group; `None` in read-only mode.
    active: Option<Segment>,
    /// Behind the last record that is certainly durable. Never in a segment without records.
    end: Position,
    /// The tick of the record before `end`.
    end_tick: Tick,
    /// Records behind `end` that the last start found, and that wait for a new segment. Empty but
    /// for a log that has been read-only since it was opened.
    carried: Group,
    /// The tick of the last record, the carried ones included.
    tick: Tick,
    /// The highest number that a segment file was ever given.
    sequence_max: u64,
    /// Segments that may be on disk, but that the chain does not visit.
    orphans: Vec<u64>,
}

impl Log {
    /// Opens the log of a data folder, or creates it in an empty one.
    ///
    /// A torn tail that was never acknowledged is cut with a warning. Where nothing can be written
    /// (a full or read-only disk) the log opens read-only, and tries again at each append.
    ///
    /// # Errors
    /// `ForeignFolder`, `Missing` and `Corrupt`: what the log promises cannot be restored, and
    /// nothing was changed. `Io` where the disk refuses to read, or to make a new log.
    pub fn open(
        folder: &Path,
        disk: Arc<dyn Disk>,
        config: LogConfig,
        random: Box<dyn Random>,
    ) -> Result<(Log, Replay), EngineError> {
        disk.create_folder(folder).map_err(io_error("create", folder))?;
        let state = folder::state(folder, disk.as_ref())?;
        let mut log = Log {
            folder: folder::log_folder(folder),
            disk,
            config,
            random,
            active: None,
            end: Position::default(),
            end_tick: 0,
            carried: Group::default(),
            tick: 0,
            sequence_max: 0,
            orphans: Vec::new(),
        };
        let replay = Replay::empty(log.disk.clone(), log.folder.clone());
        let replay = match state {
            FolderState::Fresh => log.start_fresh().map(|()| replay)?,
            FolderState::Started => {
                let found = recover(folder, log.disk.as_ref())?;
                log.go_on(&found)?;
                replay.of(found)
            }
        };
        match folder::mark(folder, log.disk.as_ref()) {
            Err(error) if state == FolderState::Fresh => return Err(error),
            // The marker only protects the folder from mistakes; the log is there without it.
            Err(error) => tracing::warn!(%error, "could not mark the data folder"),
            Ok(()) => {}
        }
        Ok((log, replay))
    }

    /// All records of a data folder's log, which may be open for appending: no group may be on its way.
    ///
    /// # Errors
    /// As `open`.
    pub fn read(folder: &Path, disk: Arc<dyn Disk>) -> Result<Replay, EngineError> {
        let replay = Replay::empty(disk.clone(), folder::log_folder(folder));
        match folder::state(folder, disk.as_ref())? {
            FolderState::Fresh => Ok(replay),
            FolderState::Started => Ok(replay.of(recover(folder, disk.as_ref())?)),
        }
    }

    /// Writes records, all behind one fdatasync: when this returns they are durable, in this order.
    /// Their ticks ascend strictly and are after `last_tick`.
    ///
    /// # Errors
    /// Then none of the records is acknowledged, and none may be applied. The log goes on: the next
    /// call tries a new segment.
    pub fn append_group(&mut self, records: &[Record]) -> Result<(), LogError> {
        let Some(last) = records.last() else { return Ok(()) };
        let mut group = self.encode(records)?;
        self.write(&mut group).map_err(|error| LogError::from_io(&error))?;
        (self.tick, self.end_tick) = (last.tick, last.tick);
        Ok(())
    }

    /// The tick of the last acknowledged record; 0 where there is none.
    pub fn last_tick(&self) -> Tick {
        self.tick
    }

    /// Whether the last attempt to write failed. The next append may heal it.
    pub fn is_read_only(&self) -> bool {
        self.active.is_none()
    }

    /// Makes the first segment and the head.
    fn start_fresh(&mut self) -> Result<(), EngineError> {
        let folder = self.folder.clone();
        self.disk.create_folder(&folder).map_err(io_error("create", &folder))?;
        // What a first start left that was interrupted holds no records (checked), only the names.
        let names = self.disk.list(&folder).map_err(io_error("list", &folder))?;
        for name in names {
            self.disk.remove(&folder.join(&name)).map_err(io_error("remove", &folder.join(&name)))?;
        }
        self.roll().map_err(io_error("create the log in", &folder))
    }

    /// Goes on behind what was found, in a new segment.
    fn go_on(&mut self, found: &Recovered) -> Result<(), EngineError> {
        self.sequence_max = found.sequence_max;
        self.orphans = found.orphans.clone();
        (self.end, self.end_tick) = (found.end_durable(), found.scan.tick_durable);
        for Unproven { head, body, .. } in &found.unproven {
            self.carried.push(head.tick, head.durable, |bytes| {
                bytes.extend(body);
                Ok::<(), EngineError>(())
            })?;
        }
        self.tick = found.scan.tick;
        if let Err(error) = self.roll() {
            tracing::warn!(%error, "could not begin a new segment of the log: it is read-only");
            // Until it can, what readers see has to be as durable as can be where it is.
            found.newest.sync().map_err(io_error("sync", Path::new(&found.newest.path)))?;
            self.disk.sync_folder(&self.folder).map_err(io_error("sync", &self.folder))?;
        }
        Ok(())
    }

    /// The records as bytes.
    fn encode(&self, records: &[Record]) -> Result<Group, LogError> {
        let mut group = Group::default();
        let mut tick = self.tick;
        for record in records {
            if record.tick <= tick {
                return Err(LogError::invalid(format!("tick {} cannot follow tick {tick}", record.tick)));
            }
            tick = record.tick;
            group.push(tick, self.tick, |bytes| record::encode(record, bytes))?;
        }
        Ok(group)
    }

    /// Writes a group to the active segment, or to a new one where that is full or fails.
    fn write(&mut self, group: &mut Group) -> io::Result<()> {
        let full = |segment: &Segment| {
            segment.end > HEADER_BYTES && segment.end + group.length() > self.config.segment_bytes
        };
        if self.active.as_ref().is_some_and(|segment| !full(segment)) {
            match self.append(group) {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "abandoned a segment of the log"),
            }
        }
        self.active = None;
        self.roll()?;
        self.append(group)
    }

    /// Writes a group to the active segment, which is given up if it fails.
    fn append(&mut self, group: &mut Group) -> io::Result<()> {
        let Some(segment) = &mut self.active else { return Err(io::ErrorKind::ReadOnlyFilesystem.into()) };
        let appended = segment.append(group, self.config.zero_bytes);
        let end = Position { sequence: segment.header.sequence, end: segment.end };
        match appended {
            Ok(()) => self.end = end,
            Err(_) => self.abandon(end),
        }
        appended
    }

    /// Gives the active segment up. What the failed group left behind its end is cut off if the
    /// disk lets us: for the room, and so that it hardly ever comes back after a crash.
    fn abandon(&mut self, end: Position) {
        self.active = None;
        if end.end == HEADER_BYTES {
            self.orphans.push(end.sequence);
        }
        self.cut(end);
    }

    /// Cuts off what lies behind the end of a segment that takes no more records: it does not
    /// count, but takes room.
    fn cut(&self, end: Position) {
        if let Err(error) = self.disk.truncate(&path(&self.folder, end.sequence), end.end) {
            tracing::debug!(%error, "could not cut a segment of the log");
        }
    }

    /// Begins a new segment behind `end`, with the carried records.
    fn roll(&mut self) -> io::Result<()> {
        self.sequence_max += 1;
        let header = Header {
            salt: self.random.next_u64(),
            sequence: self.sequence_max,
            previous: self.end,
            tick_before: self.end_tick,
            tick_durable: self.tick,
        };
        let created = Segment::create(self.disk.as_ref(), &self.folder, header, &mut self.carried);
        let staged = created.and_then(|segment| {
            head::stage(self.disk.as_ref(), &self.folder, header.sequence)?;
            Ok(segment)
        });
        // From here on the segment may be the newest for good, even if publishing reports an error:
        // so it stays until another one is.
        self.orphans.push(header.sequence);
        let segment = staged.inspect_err(|_| self.remove_orphan(header.sequence))?;
        head::publish(self.disk.as_ref(), &self.folder)?;
        self.orphans.retain(|sequence| *sequence != header.sequence);
        for sequence in std::mem::take(&mut self.orphans) {
            self.remove_orphan(sequence);
        }
        if header.previous.sequence > 0 {
            self.cut(header.previous);
        }
        if !std::mem::take(&mut self.carried).is_empty() {
            self.end = Position { sequence: header.sequence, end: segment.end };
            self.end_tick = self.tick;
        }
        self.active = Some(segment);
        Ok(())
    }

    /// Removes a segment that nothing names. If it fails, the next start does it.
    fn remove_orphan(&mut self, sequence: u64) {
        self.orphans.retain(|orphan| *orphan != sequence);
        match self.disk.remove(&path(&self.folder, sequence)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "could not remove an unused segment of the log");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
