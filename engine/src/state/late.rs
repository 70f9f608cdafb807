//! Rows of tables that got columns when they had rows: kept without the columns at their end that have their
//! missing value, and completed where they are read.
//!
//! ```text
//!   │ columns from the start │ late 1 │ late 2 │        as Arrow's row format has them, one after another
//!   └────────────────────────┴── up to the last one that is not its missing value
//! ```
//! So a row that was written before the columns came is what the same row is that was written after. Where a row
//! ends is found by walking its columns, whose lengths this module knows for the types that it names; a test holds
//! it against Arrow's encoder. (Arrow's documentation of its row format: `arrow::row::RowConverter`.)

use std::borrow::Cow;

use arrow::datatypes::DataType as ArrowType;

use crate::shape::RowShape;
use crate::types::DataType;

/// A value of many bytes is cut into so many small blocks first …
const SMALL_BLOCKS: usize = 4;
/// … of so many bytes, and then
const SMALL_BLOCK: usize = 8;
/// into these. A byte behind each says whether another follows.
const BLOCK: usize = 32;
const ANOTHER_FOLLOWS: u8 = 0xff;
/// What a text begins with that is neither NULL nor empty.
const NOT_EMPTY: u8 = 2;

/// How long the encoded values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Fixed(usize),
    /// As long as its blocks say.
    Blocks,
}

/// The length of a type's values; `None` where rows with it cannot be walked.
fn length(data_type: DataType) -> Option<Length> {
    Some(match data_type.to_arrow() {
        ArrowType::Boolean => Length::Fixed(2),
        ArrowType::Int16 => Length::Fixed(3),
        ArrowType::Int32 | ArrowType::Float32 | ArrowType::Date32 => Length::Fixed(5),
        ArrowType::Int64 | ArrowType::Float64 | ArrowType::Timestamp(..) | ArrowType::Time64(_) => {
            Length::Fixed(9)
        }
        ArrowType::Decimal128(..) | ArrowType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => {
            Length::Fixed(17)
        }
        ArrowType::FixedSizeBinary(bytes) => Length::Fixed(1 + usize::try_from(bytes).ok()?),
        ArrowType::Utf8
        | ArrowType::Utf8View
        | ArrowType::Binary
        | ArrowType::LargeBinary
        | ArrowType::BinaryView => Length::Blocks,
        _ => return None,
    })
}

/// Whether a table with columns of these types can get others.
pub fn can_grow(columns: &[DataType]) -> bool {
    columns.iter().all(|column| length(*column).is_some())
}

/// Where the value that starts at `at` ends.
fn end_of(row: &[u8], at: usize, length: Length) -> usize {
    match length {
        Length::Fixed(bytes) => at + bytes,
        Length::Blocks if row.get(at) != Some(&NOT_EMPTY) => at + 1,
        Length::Blocks => {
            let mut end = at + 1;
            for number in 0.. {
                end += if number < SMALL_BLOCKS { SMALL_BLOCK } else { BLOCK } + 1;
                if row.get(end - 1) != Some(&ANOTHER_FOLLOWS) {
                    break;
                }
            }
            end
        }
    }
}

/// What a codec needs to complete rows.
#[derive(Clone, Debug)]
pub(super) struct Late {
    lengths: Vec<Length>,
    /// The late columns' missing values, encoded.
    missing: Vec<Box<[u8]>>,
}

impl Late {
    /// Of a shape with late columns, whose missing values are encoded as these; `None` where it has none, or its
    /// rows cannot be walked.
    pub(super) fn new(shape: &RowShape, missing: Vec<Box<[u8]>>) -> Option<Late> {
        let lengths: Option<Vec<Length>> = shape.columns().iter().map(|column| length(*column)).collect();
        lengths.filter(|_| !missing.is_empty()).map(|lengths| Late { lengths, missing })
    }

    /// How many columns every row has.
    fn first(&self) -> usize {
        self.lengths.len() - self.missing.len()
    }

    /// The part of a whole row that is kept.
    pub(super) fn kept<'r>(&self, row: &'r [u8]) -> &'r [u8] {
        let mut at = 0;
        let mut kept = 0;
        for (column, length) in self.lengths.iter().enumerate() {
            let end = end_of(row, at, *length).min(row.len());
            let is_missing = column >= self.first() && row[at..end] == *self.missing[column - self.first()];
            if !is_missing {
                kept = end;
            }
            at = end;
        }
        &row[..kept]
    }

    /// The whole row of one that is kept.
    pub(super) fn whole<'r>(&self, row: &'r [u8]) -> Cow<'r, [u8]> {
        let mut at = 0;
        for (column, length) in self.lengths.iter().enumerate() {
            if at >= row.len() && column >= self.first() {
                let missing = &self.missing[column - self.first()..];
                return Cow::Owned([row, &missing.concat()].concat());
            }
            at = end_of(row, at, *length);
        }
        Cow::Borrowed(row)
    }
}
