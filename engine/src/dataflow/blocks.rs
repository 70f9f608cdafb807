//! How large a batch may become: bounded in rows and in bytes; and how much one activation may do.
//!
//! Wide texts would else make a batch of few rows larger than Arrow's 2 GiB a column, or fill the
//! memory in one activation.

/// The most rows of a batch.
pub(crate) const BLOCK_ROWS: usize = 1 << 13;

/// A batch takes no further row beyond this many encoded bytes.
pub(crate) const BLOCK_BYTES: usize = 4 << 20;

/// How much of what one activation may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    /// Steps of deferred work (pairs, updates, look-ups); wide rows burn more.
    pub(crate) fuel: usize,
    /// Updates that are taken in on the way to a seal.
    pub(crate) seal_fuel: isize,
    /// Rows that an import gives.
    pub(crate) rows: usize,
}

impl Portion {
    /// Of a live view. What an import gives at once is sorted whole and need not be merged.
    pub(crate) const LIVE: Portion = Portion { fuel: 1 << 13, seal_fuel: 1 << 14, rows: 1 << 16 };

    /// Of a view that hydrates. Everything that the dataflow does with the output comes before another
    /// view's turn, too: all of it takes about half a millisecond (measured: benches/src/hydration.rs).
    pub(crate) const HYDRATING: Portion = Portion { fuel: 1 << 10, seal_fuel: 1 << 12, rows: 1 << 10 };

    /// Of an operator whose turn it is not.
    pub(crate) const NOTHING: Portion = Portion { fuel: 0, seal_fuel: 0, rows: 0 };
}

/// The bytes of a row that cost one more unit of fuel.
pub(crate) const FUEL_BYTES: usize = 256;

/// Cuts a list into parts of bounded rows and bytes, each of at least one element.
pub(crate) fn chunks_by_size<X>(all: &[X], size: impl Fn(&X) -> usize) -> impl Iterator<Item = &[X]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |element: &&X| {
            bytes += size(element);
            bytes <= BLOCK_BYTES
        };
        let len = rest.iter().take(BLOCK_ROWS).take_while(fits).count().max(1);
        let (chunk, after) = rest.split_at(len);
        rest = after;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_in_rows_and_bytes_and_hold_everything_in_order() {
        let small = vec![1; 3 * BLOCK_ROWS + 5];
        let lengths: Vec<usize> = chunks_by_size(&small, |size| *size).map(<[usize]>::len).collect();
        assert_eq!(lengths, [BLOCK_ROWS, BLOCK_ROWS, BLOCK_ROWS, 5]);
        let wide = vec![BLOCK_BYTES * 2, BLOCK_BYTES / 2, BLOCK_BYTES / 2, 1];
        let parts: Vec<&[usize]> = chunks_by_size(&wide, |size| *size).collect();
        assert_eq!(parts.concat(), wide);
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!(chunks_by_size(&[] as &[usize], |size| *size).count(), 0);
    }
}
