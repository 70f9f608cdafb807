//! The head file `log/head`: names the newest segment.
//!
//! It is replaced (temporary file, fsync, rename, fsync of the folder) before any record of a new
//! segment is acknowledged. So the loss of the newest segment is noticed, and segments beyond the
//! named one are attempts in which nothing was acknowledged.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, io_error};
use super::frame::{half_word, word};
use crate::error::EngineError;

const MAGIC: &[u8; 8] = b"MILLHEAD";
const VERSION: u32 = 1;
const BYTES: usize = 24;

/// The file's name.
pub(super) const NAME: &str = "head";
/// The name under which the next head is written.
pub(super) const TEMPORARY: &str = "head.tmp";

/// Where the head of the log in this folder is.
pub(super) fn path(log_folder: &Path) -> PathBuf {
    log_folder.join(NAME)
}

/// Prepares a head that names this segment; nothing has changed yet, also not after an error.
pub(super) fn stage(disk: &dyn Disk, log_folder: &Path, newest: u64) -> io::Result<()> {
    disk::stage(disk, &log_folder.join(TEMPORARY), &encode(newest))
}

/// Makes the prepared head the head. After an error the old and the new one are both possible.
pub(super) fn publish(disk: &dyn Disk, log_folder: &Path) -> io::Result<()> {
    disk::publish(disk, &log_folder.join(TEMPORARY), &path(log_folder))
}

/// The newest segment's number; `None` where there is no head.
pub(super) fn read(disk: &dyn Disk, log_folder: &Path) -> Result<Option<u64>, EngineError> {
    let path = path(log_folder);
    let Some(bytes) = disk::read_start(disk, &path, BYTES + 1).map_err(io_error("read", &path))? else {
        return Ok(None);
    };
    decode(&bytes).map(Some).map_err(|reason| EngineError::Corrupt {
        path: path.display().to_string(),
        offset: 0,
        reason,
    })
}

fn encode(newest: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(newest.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<u64, String> {
    if bytes.len() < BYTES || &bytes[..8] != MAGIC {
        return Err("it is not the head of a log".to_owned());
    }
    let version = half_word(bytes, 8);
    if version > VERSION {
        return Err(format!("it has format {version}, this server knows formats up to {VERSION}"));
    }
    let newest = word(bytes, 16);
    if bytes != encode(newest) {
        return Err("its checksum does not fit".to_owned());
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_bit_or_length_is_noticed() {
        let bytes = encode(42);
        assert_eq!(decode(&bytes), Ok(42));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&changed).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err());
        }
        assert!(decode(&[bytes, vec![0]].concat()).is_err());
    }
}
