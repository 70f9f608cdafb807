//! `Run`: up to 16,384 updates, sorted by (key, value, tick), column by column.
//!
//! A batch is a list of runs, all but the last of exactly 16,384 updates. Runs are small enough to
//! be written, kept and freed one by one, and large enough that their fixed cost does not count.

use std::cmp::Ordering;
use std::ops::Range;

use crate::delta::Col;
use crate::types::Tick;

use super::bytes::ByteRows;
use super::lanes::{Lanes, shrink_column};

/// log2 of the updates in a full run.
pub(super) const RUN_BITS: usize = 14;

/// The updates in a full run.
pub const RUN_ROWS: usize = 1 << RUN_BITS;

/// Sorted updates. Invariant: the columns have one length; sorted by (key, value, tick), unique,
/// no all-zero lanes.
#[derive(Clone, Debug)]
pub struct Run {
    /// The prefix of each key (`prefix_of`): they order as the keys do, except that different keys may
    /// have equal prefixes. Most comparisons end here.
    pub(super) prefixes: Vec<u64>,
    pub(super) keys: ByteRows,
    pub(super) values: ByteRows,
    pub(super) ticks: Col<Tick>,
    pub(super) lanes: Lanes,
}

impl Run {
    /// No updates yet, with room for this many and the bytes of their keys and values.
    pub(super) fn with_capacity(stride: usize, rows: usize, key_bytes: usize, value_bytes: usize) -> Run {
        Run {
            prefixes: Vec::with_capacity(rows),
            keys: ByteRows::with_capacity(key_bytes),
            values: ByteRows::with_capacity(value_bytes),
            ticks: Col::Const(0, 0),
            lanes: Lanes::with_capacity(stride, rows),
        }
    }

    /// The number of updates.
    #[inline]
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Whether there are no updates.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// The least and the greatest tick; `None` without updates.
    pub(super) fn tick_span(&self) -> Option<(Tick, Tick)> {
        self.ticks.span()
    }

    /// Appends some updates of another run, with ticks of `since` at least.
    pub(super) fn append(&mut self, other: &Run, rows: Range<usize>, since: Tick) {
        self.prefixes.extend_from_slice(&other.prefixes[rows.clone()]);
        self.keys.append_range(&other.keys, rows.clone());
        self.values.append_range(&other.values, rows.clone());
        self.lanes.append_range(&other.lanes, rows.clone());
        match &other.ticks {
            Col::Const(tick, _) => {
                self.ticks.append_range(&Col::Const((*tick).max(since), rows.len()), 0..rows.len());
            }
            Col::Each(ticks) => ticks[rows].iter().for_each(|tick| self.ticks.push((*tick).max(since))),
        }
    }

    /// The bytes of memory that the run takes.
    pub fn bytes(&self) -> usize {
        size_of::<Run>()
            + self.prefixes.capacity() * size_of::<u64>()
            + self.keys.bytes()
            + self.values.bytes()
            + self.ticks.bytes()
            + self.lanes.bytes()
    }

    /// Gives back memory that was reserved and not used.
    pub(super) fn shrink(&mut self) {
        self.prefixes.shrink_to_fit();
        self.keys.shrink();
        self.values.shrink();
        shrink_column(&mut self.ticks);
        self.lanes.shrink();
    }
}

/// What of a key most comparisons need, as a number: keys with different prefixes order as these do.
///
/// A key begins with a byte that tells NULL (0) from a number or an empty text (1) from a text (2), and
/// only these; so one bit and the 63 that follow it say more than the first eight bytes. (NULL has
/// the prefix of the least number.)
#[inline]
pub(super) fn prefix_of(key: &[u8]) -> u64 {
    let Some((first, rest)) = key.split_first() else { return 0 };
    let rest = match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut padded = [0; 8];
            padded[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(padded)
        }
    };
    match first {
        0 => 0,
        1 => rest >> 1,
        2 => (1 << 63) | rest >> 1,
        _ => u64::MAX,
    }
}

/// Orders two keys given with their prefixes; the bytes are asked for only where those are equal.
#[inline]
pub(super) fn compare_keys<'a, 'b>(
    left: u64,
    right: u64,
    left_key: impl FnOnce() -> &'a [u8],
    right_key: impl FnOnce() -> &'b [u8],
) -> Ordering {
    match left.cmp(&right) {
        Ordering::Equal => left_key().cmp(right_key()),
        unequal => unequal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_order_as_keys_do() {
        let keys: [&[u8]; 20] = [
            b"",
            b"\0",
            b"\0\0\0\0\0\0\0\0\0",
            b"\x01",
            b"\x01\0",
            b"\x01\0\x01",
            b"\x01\x01\0",
            b"\x01aaaaaaaa",
            b"\x01aaaaaaab",
            b"\x01aaaaaaac",
            b"\x01\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x02",
            b"\x02a",
            b"\x02a\0",
            b"\x02abcdefgh",
            b"\x02abcdefghi",
            b"\x02\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x03",
            b"\x03a",
            b"\xff",
        ];
        for (i, left) in keys.iter().enumerate() {
            for (j, right) in keys.iter().enumerate() {
                let order = compare_keys(prefix_of(left), prefix_of(right), || left, || right);
                assert_eq!(order, i.cmp(&j), "{left:?} {right:?}");
            }
        }
    }
}
