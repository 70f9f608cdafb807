//! Segment files: `log/00000000000000000001.seg`, …: a header, then records.
//!
//! A segment is written by one `Segment`, from its creation on; after a restart nothing is ever
//! appended to an old one. What lies behind the last record is zeroes or rubbish.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, write_all};
use super::frame::{Group, half_word, word};
use crate::types::Tick;

const MAGIC: &[u8; 8] = b"MILLSEGM";
const VERSION: u32 = 1;
/// The bytes of the header that carry something.
const USED_BYTES: usize = 64;

/// Where the first record stands: a page of its own for the header, so that appending never
/// rewrites it.
pub(super) const HEADER_BYTES: u64 = 4096;

/// A place in the chain of segments. `sequence` 0 is the place before the first segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The segment's number.
    pub sequence: u64,
    /// The offset behind its last record.
    pub end: u64,
}

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Random; in the head of each of the segment's records.
    pub salt: u64,
    /// The segment's number, also in its name.
    pub sequence: u64,
    /// The segment before, and where it ends: what lies behind was never acknowledged, or has been
    /// written again in this segment.
    pub previous: Position,
    /// The tick of the last record before this segment; 0 where there is none.
    pub tick_before: Tick,
    /// The newest tick known durable once the log's head names this segment: that of the last
    /// record that was carried over from the segment before, else `tick_before`.
    pub tick_durable: Tick,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        let Position { sequence: previous, end } = self.previous;
        for value in [self.salt, self.sequence, previous, end, self.tick_before, self.tick_durable] {
            bytes.extend(value.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes.resize(HEADER_BYTES as usize, 0);
        bytes
    }

    /// The header in the first page of a file, or what is wrong with them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Header, String> {
        if bytes.len() < USED_BYTES || &bytes[..8] != MAGIC {
            return Err("it is not a segment of a log".to_owned());
        }
        let version = half_word(bytes, 8);
        if version > VERSION {
            return Err(format!("it has format {version}, this server knows formats up to {VERSION}"));
        }
        let header = Header {
            salt: word(bytes, 16),
            sequence: word(bytes, 24),
            previous: Position { sequence: word(bytes, 32), end: word(bytes, 40) },
            tick_before: word(bytes, 48),
            tick_durable: word(bytes, 56),
        };
        if bytes != header.encode() {
            return Err("its header does not fit its checksum, or is cut".to_owned());
        }
        Ok(header)
    }
}

/// The name of the segment with this number.
pub(super) fn path(log_folder: &Path, sequence: u64) -> PathBuf {
    log_folder.join(format!("{sequence:020}.seg"))
}

/// The number of the segment with this name; `None` where it is no segment's name.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The newest segment, which takes new records.
pub(super) struct Segment {
    file: Box<dyn DiskFile>,
    /// What it says about itself.
    pub header: Header,
    /// The offset behind the last record.
    pub end: u64,
    /// The file's length: zeroes from `end` to here.
    filled: u64,
}

impl Segment {
    /// Creates the file, with these records to begin with, durably. After an error there may or
    /// may not be a file.
    pub(super) fn create(
        disk: &dyn Disk,
        log_folder: &Path,
        header: Header,
        records: &mut Group,
    ) -> io::Result<Segment> {
        let file = disk.create(&path(log_folder, header.sequence))?;
        write_all(file.as_ref(), &header.encode(), 0)?;
        let mut segment = Segment { file, header, end: HEADER_BYTES, filled: HEADER_BYTES };
        segment.append(records, 0)?;
        disk.sync_folder(log_folder)?;
        Ok(segment)
    }

    /// Writes a group durably. After an error the segment must be given up: `end` still is where
    /// the last durable record ends, what lies behind is unknown.
    ///
    /// Writing over zeroes that are on disk is twice as fast as making the file longer, so
    /// `zero_bytes` more are written along whenever the zeroes have run out.
    pub(super) fn append(&mut self, group: &mut Group, zero_bytes: u64) -> io::Result<()> {
        write_all(self.file.as_ref(), group.seal(self.header.salt), self.end)?;
        let end = self.end + group.length();
        let filled = if end > self.filled { end + self.zero(end, zero_bytes) } else { self.filled };
        self.file.sync()?;
        (self.end, self.filled) = (end, filled);
        Ok(())
    }

    /// Writes zeroes from `end` on; answers how many. A full disk is no error: they are a luxury.
    fn zero(&self, end: u64, count: u64) -> u64 {
        match write_all(self.file.as_ref(), &vec![0; count as usize], end) {
            Ok(()) => count,
            Err(error) => {
                tracing::debug!(%error, "could not zero the log ahead");
                0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            salt: 0x0123_4567_89ab_cdef,
            sequence: 7,
            previous: Position { sequence: 5, end: 12_345 },
            tick_before: 99,
            tick_durable: 101,
        }
    }

    #[test]
    fn a_header_survives_and_any_changed_bit_is_noticed() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&changed).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Header::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        assert_eq!(
            Header::decode(&bytes),
            Err("it has format 2, this server knows formats up to 1".to_owned())
        );
    }

    #[test]
    fn only_segments_names_are_read_as_such() {
        let name = path(Path::new(""), 12).display().to_string();
        assert_eq!(name, "00000000000000000012.seg");
        assert_eq!(sequence_of(&name), Some(12));
        for other in [
            "12.seg",
            "head",
            "0000000000000000001x.seg",
            "00000000000000000012.seg.tmp",
            "+0000000000000000012.seg",
        ] {
            assert_eq!(sequence_of(other), None, "{other}");
        }
    }
}
