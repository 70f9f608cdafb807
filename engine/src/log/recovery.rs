//! What a start finds: the chain of segments, and where the log ends.
//!
//! Records at the end that nothing proves durable may be in the page cache only (the server was
//! killed before the fsync, or after one that failed), so they are not shown from where they are:
//! `Log::open` writes them again to a new segment first.

use std::collections::VecDeque;
use std::path::Path;

use super::disk::{Disk, io_error};
use super::frame::Group;
use super::segment::{HEADER_BYTES, Position, sequence_of};
use super::segment_reader::{Scan, SegmentReader, carry, scan};
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
    pub unproven: Group,
    /// The highest number of a segment file, in the chain or not.
    pub sequence_max: u64,
    /// Segments that the chain does not visit.
    pub orphans: Vec<u64>,
}

impl Recovered {
    /// Where the log ends if it ends with its certainly durable records.
    pub(super) fn end_durable(&self) -> Position {
        self.position(self.scan.end_durable)
    }

    /// Where the log ends if it ends with its last good record.
    pub(super) fn end(&self) -> Position {
        self.position(self.scan.end)
    }

    /// A place in the newest segment; a segment without records does not count.
    fn position(&self, end: u64) -> Position {
        let header = self.newest.header;
        if end > HEADER_BYTES { Position { sequence: header.sequence, end } } else { header.previous }
    }

    /// The chain that ends at one of the two places.
    pub(super) fn chain(&self, end: Position) -> VecDeque<Position> {
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
    let unproven = carry(&mut newest, &scan)?;

    let names = disk.list(&log_folder).map_err(io_error("list", &log_folder))?;
    let sequences: Vec<u64> = names.iter().filter_map(|name| sequence_of(name)).collect();
    let sequence_max = sequences.iter().copied().fold(newest.header.sequence, u64::max);
    let in_chain = |sequence: &u64| {
        *sequence == newest.header.sequence || sealed.iter().any(|position| position.sequence == *sequence)
    };
    let orphans = sequences.into_iter().filter(|sequence| !in_chain(sequence)).collect();
    Ok(Recovered { sealed, newest, scan, unproven, sequence_max, orphans })
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
