//! State: sorted runs of updates, the batches they make, and what merges, collects and reads them.
//!
//! An update is (key, value, tick, lanes): two byte strings, the moment, and either one lane (by
//! how much the row's multiplicity changes) or several (additive accumulators of a group). A
//! batch is sorted by (key, value, tick), unique, and holds no update whose lanes are all zero.
//!
//! ```text
//! columns ─RowCodec─► Updates ─UpdateBatcher─► Shared(Arc<Batch>) ─RowSpine (BatchMerger)─► readers
//! ```
//! Readers may be on any thread: batches never change.

mod batch;
mod batcher;
mod builder;
mod bytes; // rows of bytes
mod codec; // columns to rows of bytes and back
mod cursor;
mod dead; // ranges of cancelled values, remembered
mod ladder; // sorted chunks, merged by fuel
mod lanes;
mod late; // rows without the columns that came later
mod merged;
mod merger;
mod run;

#[cfg(test)]
mod model;
#[cfg(test)]
mod spine_tests;
#[cfg(test)]
mod tests;

use differential_dataflow::trace::implementations::spine_fueled::Spine;

pub use batch::{Batch, Shared};
pub use batcher::{UpdateBatcher, Updates};
pub use builder::BatchBuilder;
pub use bytes::ByteRows;
pub use codec::{Direction, RowCodec, compared_part, normalise_interval, normalise_keys};
pub(crate) use cursor::End;
pub use cursor::{accumulate, key_range, walk_back, walk_front};
pub(crate) use dead::{DeadRanges, KeyRanges, LiveWalk};
pub use lanes::{Lanes, add_lanes};
pub use late::can_grow;
pub use merged::{MergedRows, NetRow, NetRows};
pub use merger::BatchMerger;
pub use run::{RUN_ROWS, Run};

/// Differential's log-structured trace over our batches.
pub type RowSpine = Spine<Shared>;
