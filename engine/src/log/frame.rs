//! A record as it stands in a segment: a head of 40 bytes, the body, zeroes up to 8 bytes.
//!
//! ```text
//!  0         4         8       16       24      32        40
//!  ├ head CRC┼ body CRC┼ salt  ┼ length ┼ tick  ┼ durable ┤ body … ┤ zeroes ┤
//! ```
//!
//! The head has a CRC of its own (over all that follows it in the head, the body's CRC included),
//! so that a wrong length is never believed, and so that a search behind damage can recognise
//! later records by their heads alone. `durable` is the newest tick that was known durable when
//! the record was written: a record at or before some later record's `durable` was acknowledged,
//! so its damage is rot; damage of other records is a torn tail.

use crate::types::Tick;

/// The bytes of a head.
pub(super) const HEAD_BYTES: usize = 40;

/// Heads stand at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

/// What precedes a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// CRC32C of the body and the zeroes behind it.
    pub body_crc: u32,
    /// Bytes of the body.
    pub length: u64,
    /// The record's tick.
    pub tick: Tick,
    /// The newest tick known durable when the record was written.
    pub durable: Tick,
}

impl Head {
    /// The head's bytes in the segment with this salt.
    pub(super) fn encode(&self, salt: u64) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[4..8].copy_from_slice(&self.body_crc.to_le_bytes());
        for (index, value) in [salt, self.length, self.tick, self.durable].into_iter().enumerate() {
            bytes[8 + index * 8..16 + index * 8].copy_from_slice(&value.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The head at the start of `bytes`, if there is a sound one of the segment with this salt.
    pub(super) fn decode(bytes: &[u8], salt: u64) -> Option<Head> {
        let bytes = bytes.first_chunk::<HEAD_BYTES>()?;
        // The salt first: the search behind damage tries every eighth byte.
        if word(bytes, 8) != salt || half_word(bytes, 0) != crc32c::crc32c(&bytes[4..]) {
            return None;
        }
        Some(Head {
            body_crc: half_word(bytes, 4),
            length: word(bytes, 16),
            tick: word(bytes, 24),
            durable: word(bytes, 32),
        })
    }
}

/// The 8 bytes at `offset` as a number; `bytes` must reach so far.
pub(super) fn word(bytes: &[u8], offset: usize) -> u64 {
    bytes[offset..offset + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The 4 bytes at `offset` as a number; `bytes` must reach so far.
pub(super) fn half_word(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..offset + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// Records on their way into one segment, by one write and one fdatasync.
#[derive(Default)]
pub(super) struct Group {
    bytes: Vec<u8>,
    heads: Vec<(usize, Head)>,
}

impl Group {
    /// Adds a record whose body `write` appends to the bytes it is given. After an error the group
    /// must not be used.
    pub(super) fn push<E>(
        &mut self,
        tick: Tick,
        durable: Tick,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.resize(start + HEAD_BYTES, 0);
        write(&mut self.bytes)?;
        let length = (self.bytes.len() - start - HEAD_BYTES) as u64;
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        let body_crc = crc32c::crc32c(&self.bytes[start + HEAD_BYTES..]);
        let head = Head { body_crc, length, tick, durable };
        self.heads.push((start, head));
        Ok(())
    }

    /// The bytes to be written in the segment with this salt. May be asked for again with another.
    pub(super) fn seal(&mut self, salt: u64) -> &[u8] {
        for (start, head) in &self.heads {
            self.bytes[*start..start + HEAD_BYTES].copy_from_slice(&head.encode(salt));
        }
        &self.bytes
    }

    /// How many bytes the group takes.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether there are no records.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn heads_survive_the_way_through_bytes(body_crc: u32, length: u64, tick: u64, durable: u64, salt: u64) {
            let head = Head { body_crc, length, tick, durable };
            prop_assert_eq!(Head::decode(&head.encode(salt), salt), Some(head));
            prop_assert_eq!(Head::decode(&head.encode(salt), salt ^ 1), None);
        }

        #[test]
        fn a_changed_bit_is_noticed(length: u64, tick: u64, salt: u64, bit in 0..HEAD_BYTES * 8) {
            let mut bytes = Head { body_crc: 7, length, tick, durable: 3 }.encode(salt);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Head::decode(&bytes, salt), None);
        }
    }

    #[test]
    fn a_group_is_sealed_anew_for_each_segment() {
        let mut group = Group::default();
        for (tick, body) in [(5, "abc"), (6, "")] {
            let write = |bytes: &mut Vec<u8>| {
                bytes.extend(body.as_bytes());
                Ok::<(), ()>(())
            };
            group.push(tick, 4, write).unwrap();
        }
        for salt in [1, 2] {
            let bytes = group.seal(salt).to_vec();
            assert_eq!(bytes.len(), 40 + 8 + 40);
            assert_eq!(Head::decode(&bytes, salt).unwrap().length, 3);
            assert_eq!(Head::decode(&bytes[48..], salt).unwrap().tick, 6);
        }
    }
}
