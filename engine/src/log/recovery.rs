//! What a start finds: the chain of segments, and where the log ends.
//!
//! Records at the end that nothing proves durable may be in the page cache only (the server was
//! killed before the fsync, or after one that failed, which no later fsync makes good). So they are
//! not left where they are: `Log::open` carries them over to a new segment.

use std::collections::VecDeque;
use std::path::Path;

use super::disk::{Disk, io_error};
use super::segment::{HEADER_BYTES, Header, Position, sequence_of};
use super::segment_reader::{Found, Scan, SegmentReader, Unproven, scan, unproven};
use super::{folder, head};
use crate::error::EngineError;

/// A log as it is on disk.
pub(super) struct Recovered {
    /// The segments before the newest, the oldest first.
    pub sealed: VecDeque<Position>,
    /// The newest segment.
    pub newest: SegmentReader,
    /// What the newest segment holds.
    pub scan: Scan,
    /// The newest segment's records that nothing proves durable.
    pub unproven: Vec<Unproven>,
    /// The highest number of a segment file, in the chain or not.
    pub sequence_max: u64,
    /// Segments that the chain up to `end_durable` does not visit.
    pub orphans: Vec<u64>,
}

impl Recovered {
    /// Behind the last record that is certainly durable. A segment without any does not count.
    pub(super) fn end_durable(&self) -> Position {
        let Header { sequence, previous, .. } = self.newest.header;
        let end = self.scan.end_durable;
        if end > HEADER_BYTES { Position { sequence, end } } else { previous }
    }

    /// The chain up to `end_durable`.
    pub(super) fn chain_durable(&self) -> VecDeque<Position> {
        let end = self.end_durable();
        let newest = (end.sequence == self.newest.header.sequence).then_some(end);
        self.sealed.iter().copied().chain(newest).collect()
    }
}

/// Reads the chain and the newest segment; changes nothing.
///
/// # Errors
/// `Missing` and `Corrupt`, each naming a file.
pub(super) fn recover(data_folder: &Path, disk: &dyn Disk) -> Result<Recovered, EngineError> {
    let log_folder = folder::log_folder(data_folder);
    let Some(newest) = head::read(disk, &log_folder)? else {
        let path = head::path(&log_folder).display().to_string();
        return Err(EngineError::Missing { path, reason: "the log has no head".to_owned() });
    };
    let mut newest = SegmentReader::open(disk, &log_folder, newest)?;
    let sealed = sealed(disk, &log_folder, &newest)?;
    let scan = scan(&mut newest)?;
    let unproven = unproven(&mut newest, &scan)?;

    let names = disk.list(&log_folder).map_err(io_error("list", &log_folder))?;
    let sequences: Vec<u64> = names.iter().filter_map(|name| sequence_of(name)).collect();
    let sequence_max = sequences.iter().copied().fold(newest.header.sequence, u64::max);
    for sequence in sequences.iter().copied().filter(|sequence| *sequence > newest.header.sequence) {
        check_unacknowledged(disk, &log_folder, sequence)?;
    }
    let mut found = Recovered { sealed, newest, scan, unproven, sequence_max, orphans: Vec::new() };
    let chain = found.chain_durable();
    let visited = |sequence: &u64| chain.iter().any(|position| position.sequence == *sequence);
    found.orphans = sequences.into_iter().filter(|sequence| !visited(sequence)).collect();
    Ok(found)
}

/// Looks into a segment beyond the one that the head names: an attempt, to which nothing but
/// carried records was ever written. Else the head is not this log's newest (restored from
/// elsewhere, perhaps), and to go on from it would lose commits.
fn check_unacknowledged(disk: &dyn Disk, log_folder: &Path, sequence: u64) -> Result<(), EngineError> {
    // A header that was never finished is no error here.
    let Ok(mut reader) = SegmentReader::open(disk, log_folder, sequence) else { return Ok(()) };
    while let Found::Record(record, _) = reader.next()? {
        if record.tick > reader.header.tick_durable {
            let path = head::path(log_folder).display().to_string();
            let reason = format!("it is older than the log: {} goes on to tick {}", reader.path, record.tick);
            return Err(EngineError::Corrupt { path, offset: 0, reason });
        }
    }
    Ok(())
}

/// Follows the headers back from the newest segment: all before it, the oldest first.
fn sealed(
    disk: &dyn Disk,
    log_folder: &Path,
    newest: &SegmentReader,
) -> Result<VecDeque<Position>, EngineError> {
    let mut chain = VecDeque::new();
    let (mut sequence, mut previous) = (newest.header.sequence, newest.header.previous);
    while previous.sequence > 0 {
        let reader = SegmentReader::open(disk, log_folder, previous.sequence)?.limit(previous.end)?;
        if previous.sequence >= sequence {
            return Err(reader.corrupt(0, format!("segment {sequence} names it as the one before")));
        }
        chain.push_front(previous);
        (sequence, previous) = (previous.sequence, reader.header.previous);
    }
    Ok(chain)
}
