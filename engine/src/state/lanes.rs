//! `Lanes`: what an update adds to its row, as one or more 64-bit integers.
//!
//! One lane is a multiplicity; more are additive accumulators. Merging batches adds lanes, so
//! their meaning must be a sum.

use std::ops::Range;
use std::slice;

use crate::delta::Col;

/// A column of lanes; the stride (lanes a row) is at least 1.
#[derive(Clone, Debug)]
pub enum Lanes {
    /// Multiplicities, which are mostly all the same.
    One(Col<i64>),
    /// Accumulators, row by row.
    Many {
        /// Lanes a row.
        stride: usize,
        /// `stride` values a row.
        values: Vec<i64>,
    },
}

impl Lanes {
    /// No rows yet.
    ///
    /// # Panics
    /// Where `stride` is 0: an update that adds nothing is none.
    pub fn new(stride: usize) -> Lanes {
        assert!(stride > 0, "an update has at least one lane");
        match stride {
            1 => Lanes::One(Col::Const(0, 0)),
            _ => Lanes::Many { stride, values: Vec::new() },
        }
    }

    /// No rows yet, with room for this many where that is known to be needed.
    pub fn with_capacity(stride: usize, rows: usize) -> Lanes {
        match Lanes::new(stride) {
            Lanes::Many { stride, .. } => Lanes::Many { stride, values: Vec::with_capacity(rows * stride) },
            one @ Lanes::One(_) => one,
        }
    }

    /// Lanes a row.
    #[inline]
    pub fn stride(&self) -> usize {
        match self {
            Lanes::One(_) => 1,
            Lanes::Many { stride, .. } => *stride,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Lanes::One(column) => column.len(),
            Lanes::Many { stride, values } => values.len() / stride,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All lanes of a row.
    ///
    /// # Panics
    /// Where `row` is out of range (for a constant column in debug builds only).
    #[inline]
    pub fn get(&self, row: usize) -> &[i64] {
        match self {
            Lanes::One(Col::Const(value, len)) => {
                debug_assert!(row < *len);
                slice::from_ref(value)
            }
            Lanes::One(Col::Each(values)) => slice::from_ref(&values[row]),
            Lanes::Many { stride, values } => &values[row * stride..(row + 1) * stride],
        }
    }

    /// Appends a row.
    ///
    /// # Panics
    /// Where it has not `stride` lanes.
    #[inline]
    pub fn push(&mut self, lanes: &[i64]) {
        assert_eq!(lanes.len(), self.stride(), "one stride for all updates of a collection");
        match self {
            Lanes::One(column) => column.push(lanes[0]),
            Lanes::Many { values, .. } => values.extend_from_slice(lanes),
        }
    }

    /// Whether no row has zeros alone.
    pub(super) fn none_is_zero(&self) -> bool {
        match self {
            Lanes::One(Col::Const(value, len)) => *value != 0 || *len == 0,
            Lanes::One(Col::Each(values)) => values.iter().all(|value| *value != 0),
            Lanes::Many { stride, values } => {
                values.chunks_exact(*stride).all(|row| row.iter().any(|lane| *lane != 0))
            }
        }
    }

    /// Appends all rows of another.
    ///
    /// # Panics
    /// Where it has another stride.
    pub fn append(&mut self, other: &Lanes) {
        self.append_range(other, 0..other.len());
    }

    /// Appends some rows of another.
    ///
    /// # Panics
    /// Where it has another stride.
    #[inline]
    pub fn append_range(&mut self, other: &Lanes, rows: Range<usize>) {
        match (self, other) {
            (Lanes::One(column), Lanes::One(more)) => column.append_range(more, rows),
            (Lanes::Many { stride, values }, Lanes::Many { stride: other, values: more })
                if stride == other =>
            {
                values.extend_from_slice(&more[rows.start * other..rows.end * other]);
            }
            (Lanes::One(_) | Lanes::Many { .. }, _) => {
                unreachable!("one stride for all updates of a collection")
            }
        }
    }

    /// The bytes of memory that the lanes take.
    pub fn bytes(&self) -> usize {
        match self {
            Lanes::One(column) => column.bytes(),
            Lanes::Many { values, .. } => values.capacity() * size_of::<i64>(),
        }
    }

    /// Gives back memory that was reserved and not used.
    pub fn shrink(&mut self) {
        match self {
            Lanes::One(column) => shrink_column(column),
            Lanes::Many { values, .. } => values.shrink_to_fit(),
        }
    }
}

impl From<Col<i64>> for Lanes {
    fn from(diffs: Col<i64>) -> Lanes {
        Lanes::One(diffs)
    }
}

/// Gives back memory that a column reserved and does not use.
pub(super) fn shrink_column<X>(column: &mut Col<X>) {
    match column {
        Col::Const(..) => {}
        Col::Each(values) => values.shrink_to_fit(),
    }
}

/// Adds `from` to `into`, lane by lane.
///
/// Limbs have at most 32 bits, so sums of up to 2^31 rows a group are exact.
///
/// # Panics
/// Where a lane leaves 64 bits: the worker stops rather than go on with a wrong sum.
#[inline]
pub fn add_lanes(into: &mut [i64], from: &[i64]) {
    debug_assert_eq!(into.len(), from.len());
    let mut overflow = false;
    for (sum, lane) in into.iter_mut().zip(from) {
        let (added, overflowed) = sum.overflowing_add(*lane);
        *sum = added;
        overflow |= overflowed;
    }
    assert!(!overflow, "an accumulator lane left 64 bits: more than 2^31 rows in one group");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_multiplicities_take_no_memory_until_one_differs() {
        let mut lanes = Lanes::new(1);
        (0..100).for_each(|_| lanes.push(&[-1]));
        assert_eq!((lanes.len(), lanes.bytes(), lanes.get(99)), (100, 0, &[-1][..]));
        lanes.push(&[2]);
        assert_eq!((lanes.get(99), lanes.get(100)), (&[-1][..], &[2][..]));
    }

    #[test]
    fn several_lanes_a_row() {
        let mut lanes = Lanes::with_capacity(3, 2);
        lanes.push(&[1, 2, 3]);
        lanes.push(&[4, 5, 6]);
        assert_eq!((lanes.len(), lanes.stride(), lanes.get(1)), (2, 3, &[4, 5, 6][..]));
    }

    #[test]
    #[should_panic(expected = "left 64 bits")]
    fn a_sum_beyond_64_bits_stops_the_worker() {
        add_lanes(&mut [0, i64::MAX], &[0, 1]);
    }
}
