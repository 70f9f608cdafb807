//! Reading a segment, and the judgement on damage: a torn tail, which is cut, or rot, which is not.
//!
//! A crash may lose any part of the last group, which nobody acknowledged. So where the records of
//! the newest segment stop making sense, the reader looks further for sound heads: if one of them
//! (or the segment's header) knows a tick durable that is newer than the last good record, then a
//! durable record is damaged, and nothing may be cut.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, io_error, read_full};
use super::frame::{ALIGNMENT, HEAD_BYTES, Head};
use super::segment::{HEADER_BYTES, Header, path};
use crate::error::EngineError;
use crate::types::Tick;

/// How much is read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// What stands at a place of a segment.
pub(super) enum Found {
    /// A sound record.
    Record(Head, Vec<u8>),
    /// No sound record, and why.
    Damage(String),
    /// The end that the reader was given.
    End,
}

/// Reads the records of one segment in order.
pub(super) struct SegmentReader {
    file: Box<dyn DiskFile>,
    /// The file's name, for errors.
    pub path: String,
    /// What the segment says about itself.
    pub header: Header,
    /// Where the next record stands.
    pub offset: u64,
    end: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl SegmentReader {
    /// Opens a segment to be read up to the file's end. A missing file, a header that is damaged
    /// or another segment's is an error that names the file.
    pub(super) fn open(
        disk: &dyn Disk,
        log_folder: &Path,
        sequence: u64,
    ) -> Result<SegmentReader, EngineError> {
        let path = path(log_folder, sequence);
        let name = path.display().to_string();
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(EngineError::Missing {
                    path: name,
                    reason: "the log needs this segment".to_owned(),
                });
            }
            opened => opened.map_err(io_error("open", &path))?,
        };
        let end = file.length().map_err(io_error("read", &path))?;
        let mut start = vec![0; HEADER_BYTES as usize];
        let length = read_full(file.as_ref(), &mut start, 0).map_err(io_error("read", &path))?;
        let header = Header::decode(&start[..length]).and_then(|header| {
            if header.sequence != sequence {
                return Err(format!("it is segment {}, under another's name", header.sequence));
            }
            Ok(header)
        });
        let header =
            header.map_err(|reason| EngineError::Corrupt { path: name.clone(), offset: 0, reason })?;
        Ok(SegmentReader {
            file,
            path: name,
            header,
            offset: HEADER_BYTES,
            end,
            window: Vec::new(),
            window_start: 0,
        })
    }

    /// Reads only what lies before `end`, which must not lie behind the file's end.
    ///
    /// # Errors
    /// `Corrupt` where the file is shorter.
    pub(super) fn limit(mut self, end: u64) -> Result<SegmentReader, EngineError> {
        if end > self.end || end < HEADER_BYTES {
            return Err(
                self.corrupt(self.end, format!("its records reach to offset {end}, the file does not"))
            );
        }
        self.end = end;
        Ok(self)
    }

    /// An error that names this segment.
    pub(super) fn corrupt(&self, offset: u64, reason: impl Into<String>) -> EngineError {
        EngineError::Corrupt { path: self.path.clone(), offset, reason: reason.into() }
    }

    /// What stands at `offset`. Goes on to the next place if it is a record.
    pub(super) fn next(&mut self) -> Result<Found, EngineError> {
        let rest = self.end - self.offset;
        if rest == 0 {
            return Ok(Found::End);
        }
        let (offset, salt) = (self.offset, self.header.salt);
        let Some(head) = Head::decode(self.read(offset, HEAD_BYTES)?, salt) else {
            return Ok(Found::Damage("there is no sound head of a record".to_owned()));
        };
        // Never more is allocated than the file has.
        let rest = rest - HEAD_BYTES as u64;
        let Some(padded) = head.length.checked_next_multiple_of(ALIGNMENT).filter(|padded| *padded <= rest)
        else {
            return Ok(Found::Damage(format!("the record of tick {} is cut", head.tick)));
        };
        let mut body = self.read(offset + HEAD_BYTES as u64, padded as usize)?.to_vec();
        if body.len() as u64 != padded || crc32c::crc32c(&body) != head.body_crc {
            return Ok(Found::Damage(format!(
                "the checksum of the record of tick {} does not fit",
                head.tick
            )));
        }
        body.truncate(head.length as usize);
        self.offset = offset + HEAD_BYTES as u64 + padded;
        Ok(Found::Record(head, body))
    }

    /// The bytes at `offset`; fewer than asked for at the end.
    fn read(&mut self, offset: u64, length: usize) -> Result<&[u8], EngineError> {
        let length = length.min((self.end - offset) as usize);
        let inside = offset >= self.window_start
            && offset + length as u64 <= self.window_start + self.window.len() as u64;
        if !inside {
            self.window.resize(length.max(WINDOW_BYTES.min((self.end - offset) as usize)), 0);
            self.window_start = offset;
            let count = read_full(self.file.as_ref(), &mut self.window, offset)
                .map_err(io_error("read", Path::new(&self.path)))?;
            self.window.truncate(count);
        }
        let start = (offset - self.window_start) as usize;
        let end = (start + length).min(self.window.len());
        Ok(&self.window[start..end])
    }

    /// The newest tick that the heads from `offset` on know durable. Bodies do not matter.
    fn durable_behind(&mut self, mut offset: u64) -> Result<Tick, EngineError> {
        let (salt, mut newest) = (self.header.salt, 0);
        while offset + HEAD_BYTES as u64 <= self.end {
            let window = self.read(offset, WINDOW_BYTES)?;
            let places = window.len().saturating_sub(HEAD_BYTES) / ALIGNMENT as usize + 1;
            for place in 0..places {
                if let Some(head) = Head::decode(&window[place * ALIGNMENT as usize..], salt) {
                    newest = newest.max(head.durable);
                }
            }
            offset += places as u64 * ALIGNMENT;
        }
        Ok(newest)
    }

    /// Whether only zeroes follow: the usual end, nothing to warn of.
    fn all_zero_from(&mut self, mut offset: u64) -> Result<bool, EngineError> {
        while offset < self.end {
            let window = self.read(offset, WINDOW_BYTES)?;
            if window.is_empty() || window.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            offset += window.len() as u64;
        }
        Ok(true)
    }

    /// Makes all that can be read durable, if it is not yet (fdatasync).
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// What the newest segment of the log holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// Behind the last record that is certainly durable.
    pub end_durable: u64,
    /// Behind the last good record.
    pub end: u64,
    /// The tick of the last record before `end_durable`.
    pub tick_durable: Tick,
    /// The tick of the last good record.
    pub tick: Tick,
}

/// Reads the newest segment to the last good record.
///
/// # Errors
/// `Corrupt` where a record that is known durable is damaged.
pub(super) fn scan(reader: &mut SegmentReader) -> Result<Scan, EngineError> {
    let header = reader.header;
    let mut tick_known = header.tick_durable;
    let mut scan = Scan {
        end_durable: HEADER_BYTES,
        end: HEADER_BYTES,
        tick_durable: header.tick_before,
        tick: header.tick_before,
    };
    // Records that no other has proven durable yet: (tick, end).
    let mut unproven = VecDeque::new();
    let damage = loop {
        let head = match reader.next()? {
            Found::Record(head, _) => head,
            Found::Damage(reason) => break Some(reason),
            Found::End => break None,
        };
        if head.tick <= scan.tick {
            return Err(reader.corrupt(scan.end, format!("tick {} follows tick {}", head.tick, scan.tick)));
        }
        (scan.tick, scan.end) = (head.tick, reader.offset);
        unproven.push_back((head.tick, reader.offset));
        tick_known = tick_known.max(head.durable);
        while let Some((tick, end)) = unproven.pop_front_if(|(tick, _)| *tick <= tick_known) {
            (scan.tick_durable, scan.end_durable) = (tick, end);
        }
    };
    if let Some(reason) = damage {
        judge(reader, &scan, tick_known, reason)?;
    } else if tick_known > scan.tick {
        return Err(reader.corrupt(scan.end, format!("the durable record of tick {tick_known} is missing")));
    }
    Ok(scan)
}

/// Whether the damage behind the last good record is a torn tail (warns) or rot (an error).
fn judge(
    reader: &mut SegmentReader,
    scan: &Scan,
    tick_known: Tick,
    reason: String,
) -> Result<(), EngineError> {
    let tick_behind = reader.durable_behind(scan.end)?;
    if tick_known.max(tick_behind) > scan.tick {
        return Err(reader.corrupt(scan.end, reason));
    }
    if !reader.all_zero_from(scan.end)? {
        tracing::warn!(path = reader.path, offset = scan.end, reason, "cut a torn tail off the log");
    }
    Ok(())
}

/// A record that nothing proves durable where it is.
pub(super) struct Unproven {
    /// Where it stands in the newest segment.
    pub offset: u64,
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

/// The records of the newest segment that nothing proves durable: at most the last group.
pub(super) fn unproven(reader: &mut SegmentReader, scan: &Scan) -> Result<Vec<Unproven>, EngineError> {
    let mut records = Vec::new();
    reader.offset = scan.end_durable;
    while reader.offset < scan.end {
        let offset = reader.offset;
        let Found::Record(head, body) = reader.next()? else {
            return Err(reader.corrupt(offset, "the record changed while it was read"));
        };
        records.push(Unproven { offset, head, body });
    }
    Ok(records)
}
