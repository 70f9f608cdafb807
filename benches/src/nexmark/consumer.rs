//! The consumer at the end of both sides: counts changes and hashes rows, so that neither side can
//! leave work undone and both can be compared without keeping their rows.

use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// Changes seen so far, by all workers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    changes: AtomicU64,
    fingerprint: AtomicU64,
}

impl Seen {
    /// Takes a batch of changes: each a row's hash and by how much its multiplicity changes.
    /// Fingerprints add up, so that neither order nor the number of workers shows.
    pub(crate) fn note(&self, batch: impl Iterator<Item = (RowHash, i64)>) {
        let (mut changes, mut fingerprint) = (0u64, 0u64);
        for (hash, diff) in batch {
            changes += 1;
            fingerprint = fingerprint.wrapping_add(hash.mixed().wrapping_mul(diff as u64));
        }
        self.changes.fetch_add(changes, Ordering::Relaxed);
        self.fingerprint.fetch_add(fingerprint, Ordering::Relaxed);
    }

    /// How many changes there were.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Of the rows that are left after all changes.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.load(Ordering::Relaxed)
    }
}

/// The hash of a row, column by column.
#[derive(Clone, Copy)]
pub(crate) struct RowHash(u64);

impl RowHash {
    /// No columns yet.
    pub(crate) fn new() -> RowHash {
        RowHash(0x9e37_79b9_7f4a_7c15)
    }

    /// With a column of 64 bits.
    pub(crate) fn int(self, value: i64) -> RowHash {
        RowHash((self.0.rotate_left(5) ^ value as u64).wrapping_mul(0x517c_c1b7_2722_0a95))
    }

    /// With a column of 128 bits.
    pub(crate) fn wide(self, value: i128) -> RowHash {
        self.int(value as i64).int((value >> 64) as i64)
    }

    /// With a column of text.
    pub(crate) fn text(self, value: &str) -> RowHash {
        self.bytes(value.as_bytes())
    }

    fn bytes(self, value: &[u8]) -> RowHash {
        let mut hash = self.int(value.len() as i64);
        let (words, rest) = value.as_chunks::<8>();
        for word in words {
            hash = hash.int(i64::from_le_bytes(*word));
        }
        rest.iter().fold(hash, |hash, byte| hash.int(i64::from(*byte)))
    }

    fn mixed(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 29)
    }
}

impl Default for RowHash {
    fn default() -> RowHash {
        RowHash::new()
    }
}

/// For the tables of the hand-written programs.
impl Hasher for RowHash {
    fn finish(&self) -> u64 {
        self.mixed()
    }

    fn write(&mut self, bytes: &[u8]) {
        *self = self.bytes(bytes);
    }

    fn write_i64(&mut self, value: i64) {
        *self = self.int(value);
    }
}
