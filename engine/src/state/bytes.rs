//! `ByteRows`: rows of bytes, one after the other in one buffer.
//!
//! Most keys are of one width (integers, timestamps) and many values are empty. So no offsets are
//! stored as long as all rows have the same length, and four bytes a row as long as the buffer is
//! below 4 GiB.

use std::ops::Range;

/// Where each row lies in the buffer.
#[derive(Clone, Debug)]
enum Offsets {
    /// All rows have this length.
    Fixed { width: usize, len: usize },
    /// Row `i` lies from entry `i` to entry `i + 1`.
    Narrow(Vec<u32>),
    /// The same, for buffers of 4 GiB and more.
    Wide(Vec<usize>),
}

/// Rows of bytes, append-only.
#[derive(Clone, Debug)]
pub struct ByteRows {
    offsets: Offsets,
    bytes: Vec<u8>,
}

impl Default for ByteRows {
    fn default() -> ByteRows {
        ByteRows::with_capacity(0)
    }
}

impl ByteRows {
    /// No rows yet, with room for this many bytes in all.
    pub fn with_capacity(bytes: usize) -> ByteRows {
        ByteRows { offsets: Offsets::Fixed { width: 0, len: 0 }, bytes: Vec::with_capacity(bytes) }
    }

    /// This many empty rows; takes no memory.
    pub fn empty_rows(len: usize) -> ByteRows {
        ByteRows { offsets: Offsets::Fixed { width: 0, len }, bytes: Vec::new() }
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, row: &[u8]) {
        match &mut self.offsets {
            Offsets::Fixed { width, len } if *width == row.len() || *len == 0 => {
                *width = row.len();
                *len += 1;
            }
            Offsets::Fixed { .. } | Offsets::Narrow(_) | Offsets::Wide(_) => {
                self.push_offset(self.bytes.len() + row.len());
            }
        }
        self.bytes.extend_from_slice(row);
    }

    /// Appends all rows of another.
    pub fn append(&mut self, other: &ByteRows) {
        self.append_range(other, 0..other.len());
    }

    /// Appends some rows of another.
    ///
    /// # Panics
    /// Where the range is out of bounds.
    #[inline]
    pub fn append_range(&mut self, other: &ByteRows, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let (start, end) = (other.start_of(rows.start), other.start_of(rows.end));
        match (&mut self.offsets, &other.offsets) {
            (Offsets::Fixed { width, len }, Offsets::Fixed { width: other_width, .. })
                if *len == 0 || *width == *other_width =>
            {
                *width = *other_width;
                *len += rows.len();
            }
            (Offsets::Narrow(ends), Offsets::Narrow(others))
                if self.bytes.len() + (end - start) <= u32::MAX as usize =>
            {
                // Both sums are positions below 4 GiB, so wrapping in between does no harm.
                let shift = (self.bytes.len() as u32).wrapping_sub(start as u32);
                let others = &others[rows.start + 1..=rows.end];
                ends.extend(others.iter().map(|end| end.wrapping_add(shift)));
            }
            (Offsets::Fixed { .. } | Offsets::Narrow(_) | Offsets::Wide(_), _) => {
                return rows.for_each(|row| self.push(other.get(row)));
            }
        }
        self.bytes.extend_from_slice(&other.bytes[start..end]);
    }

    /// Where a row begins, or the last one ends.
    #[inline]
    fn start_of(&self, row: usize) -> usize {
        match &self.offsets {
            Offsets::Fixed { width, .. } => row * width,
            Offsets::Narrow(ends) => ends[row] as usize,
            Offsets::Wide(ends) => ends[row],
        }
    }

    /// Notes where the next row ends, in the narrowest form that can say so.
    fn push_offset(&mut self, end: usize) {
        if let Offsets::Fixed { width, len } = self.offsets {
            // 0 to len * width is within the buffer; a buffer too large for u32 widens just below.
            self.offsets = match u32::try_from(len * width) {
                Ok(_) => Offsets::Narrow((0..=len).map(|row| (row * width) as u32).collect()),
                Err(_) => Offsets::Wide((0..=len).map(|row| row * width).collect()),
            };
        }
        if let Offsets::Narrow(ends) = &mut self.offsets {
            match u32::try_from(end) {
                Ok(end) => return ends.push(end),
                Err(_) => self.offsets = Offsets::Wide(ends.iter().map(|end| *end as usize).collect()),
            }
        }
        if let Offsets::Wide(ends) = &mut self.offsets {
            ends.push(end);
        }
    }

    /// The row at this position.
    ///
    /// # Panics
    /// Where `row` is out of range.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        match &self.offsets {
            Offsets::Fixed { width, len } => {
                debug_assert!(row < *len, "row {row} of {len}");
                &self.bytes[row * width..(row + 1) * width]
            }
            Offsets::Narrow(ends) => &self.bytes[ends[row] as usize..ends[row + 1] as usize],
            Offsets::Wide(ends) => &self.bytes[ends[row]..ends[row + 1]],
        }
    }

    /// The eight bytes behind the first of each row, as numbers that order as the rows do: where all rows
    /// are that long, or as long as each other and shorter, and begin with this byte.
    pub(super) fn words(&self, first: u8) -> Option<impl Iterator<Item = u64>> {
        let Offsets::Fixed { width: width @ 1..=9, .. } = self.offsets else { return None };
        let rows = || self.bytes.chunks_exact(width);
        let word = move |row: &[u8]| {
            let mut padded = [0; 8];
            padded[..width - 1].copy_from_slice(&row[1..]);
            u64::from_be_bytes(padded)
        };
        rows().all(|row| row[0] == first).then(|| rows().map(word))
    }

    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.offsets {
            Offsets::Fixed { len, .. } => *len,
            Offsets::Narrow(ends) => ends.len() - 1,
            Offsets::Wide(ends) => ends.len() - 1,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The sum of the rows' lengths.
    pub fn data_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of memory that the rows take.
    pub fn bytes(&self) -> usize {
        let offsets = match &self.offsets {
            Offsets::Fixed { .. } => 0,
            Offsets::Narrow(ends) => ends.capacity() * size_of::<u32>(),
            Offsets::Wide(ends) => ends.capacity() * size_of::<usize>(),
        };
        self.bytes.capacity() + offsets
    }

    /// Gives back memory that was reserved and not used.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        match &mut self.offsets {
            Offsets::Fixed { .. } => {}
            Offsets::Narrow(ends) => ends.shrink_to_fit(),
            Offsets::Wide(ends) => ends.shrink_to_fit(),
        }
    }
}

impl<'a> Extend<&'a [u8]> for ByteRows {
    fn extend<I: IntoIterator<Item = &'a [u8]>>(&mut self, rows: I) {
        rows.into_iter().for_each(|row| self.push(row));
    }
}

impl<'a> FromIterator<&'a [u8]> for ByteRows {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(rows: I) -> ByteRows {
        let mut all = ByteRows::default();
        all.extend(rows);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&[u8]]) {
        let bytes: ByteRows = rows.iter().copied().collect();
        assert_eq!(bytes.len(), rows.len());
        assert_eq!(bytes.iter().collect::<Vec<_>>(), rows);
        for cut in 0..=rows.len() {
            let mut whole: ByteRows = rows[..cut].iter().copied().collect();
            let middle = cut + (rows.len() - cut) / 2;
            whole.append_range(&bytes, cut..middle);
            whole.append(&rows[middle..].iter().copied().collect());
            assert_eq!(whole.iter().collect::<Vec<_>>(), rows, "cut at {cut}");
        }
    }

    #[test]
    fn rows_of_one_width_and_of_many() {
        check(&[]);
        check(&[b"", b"", b""]);
        check(&[b"abc", b"def"]);
        check(&[b"", b"", b"x", b""]);
        check(&[b"abc", b"defg", b"", b"h"]);
    }

    #[test]
    fn empty_rows_take_no_memory() {
        let mut rows = ByteRows::empty_rows(1_000_000);
        rows.push(b"");
        assert_eq!((rows.len(), rows.bytes(), rows.get(999_999)), (1_000_001, 0, &b""[..]));
    }

    #[test]
    fn rows_of_one_width_store_no_offsets() {
        let mut rows: ByteRows = std::iter::repeat_n(&b"12345678"[..], 100).collect();
        rows.shrink();
        assert_eq!((rows.bytes(), rows.data_bytes()), (800, 800));
    }
}
