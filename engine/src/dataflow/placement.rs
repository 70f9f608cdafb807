//! Placement: which worker owns a row, and where a plan's rows lie by what they are.
//!
//! A row is owned by the worker that the hash of its leading columns tells. The hash is stable over
//! processes and releases, and equal for values that PostgreSQL calls equal.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};

use crate::expr::Expr;
use crate::plan::{Plan, PlanRef};
use crate::state::normalise_keys;

/// What NULL counts as: any value may have the same hash.
const NULL: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of each row of these columns.
pub(crate) fn hash_rows(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut hashes = vec![0; rows];
    normalise_keys(columns).iter().for_each(|column| add_column(column, &mut hashes));
    hashes.iter_mut().for_each(|hash| *hash = finish(*hash));
    hashes
}

/// The worker that owns rows with this hash, of `peers`.
pub(crate) fn worker_of(hash: u64, peers: usize) -> usize {
    (hash % peers as u64) as usize
}

/// The worker that owns the one group of a global aggregate.
pub(crate) fn worker_of_all(peers: usize) -> usize {
    worker_of(finish(0), peers)
}

fn add_column(column: &ArrayRef, hashes: &mut [u64]) {
    match column.data_type() {
        ArrowType::Boolean => {
            let values = column.as_boolean();
            add(column, hashes, |hash, row| mix(hash, values.value(row).into()));
        }
        ArrowType::Int16 => add_numbers::<Int16Type>(column, hashes, |value| value as u64),
        ArrowType::Int32 => add_numbers::<Int32Type>(column, hashes, |value| value as u64),
        ArrowType::Int64 => add_numbers::<Int64Type>(column, hashes, |value| value as u64),
        ArrowType::Date32 => add_numbers::<Date32Type>(column, hashes, |value| value as u64),
        ArrowType::Time64(_) => add_numbers::<Time64MicrosecondType>(column, hashes, |value| value as u64),
        ArrowType::Timestamp(_, _) => {
            add_numbers::<TimestampMicrosecondType>(column, hashes, |value| value as u64);
        }
        ArrowType::Float32 => add_numbers::<Float32Type>(column, hashes, |value| value.to_bits().into()),
        ArrowType::Float64 => add_numbers::<Float64Type>(column, hashes, f64::to_bits),
        ArrowType::Decimal128(_, _) => {
            let fold = |value: i128| (value as u64) ^ ((value >> 64) as u64).rotate_left(32);
            add_numbers::<Decimal128Type>(column, hashes, fold);
        }
        ArrowType::Interval(_) => add_numbers::<IntervalMonthDayNanoType>(column, hashes, |value| {
            mix(mix(value.months as u64, value.days as u64), value.nanoseconds as u64)
        }),
        ArrowType::Binary => {
            let values = column.as_binary::<i32>();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row)));
        }
        ArrowType::Utf8View => {
            let values = column.as_string_view();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row).as_bytes()));
        }
        ArrowType::BinaryView => {
            let values = column.as_binary_view();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row)));
        }
        ArrowType::LargeBinary => {
            let values = column.as_binary::<i64>();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row)));
        }
        ArrowType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row)));
        }
        ArrowType::Utf8 => {
            let values = column.as_string::<i32>();
            add(column, hashes, |hash, row| mix_bytes(hash, values.value(row).as_bytes()));
        }
        // Our types are those above (a test goes through them): rows of another would all lie together.
        other => debug_assert!(false, "no hash of {other}"),
    }
}

fn add_numbers<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    hashes: &mut [u64],
    word: impl Fn(T::Native) -> u64,
) {
    let values: &PrimitiveArray<T> = column.as_primitive();
    add(column, hashes, |hash, row| mix(hash, word(values.value(row))));
}

fn add(column: &Arc<dyn Array>, hashes: &mut [u64], of_row: impl Fn(u64, usize) -> u64) {
    if column.null_count() == 0 {
        hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = of_row(*hash, row));
        return;
    }
    let of_row = |hash, row| if column.is_valid(row) { of_row(hash, row) } else { mix(hash, NULL) };
    hashes.iter_mut().enumerate().for_each(|(row, hash)| *hash = of_row(*hash, row));
}

/// Multiply and rotate, as Firefox does.
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

fn mix_bytes(hash: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let words = chunks.by_ref().map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
    let hash = words.fold(hash, mix);
    let rest =
        chunks.remainder().iter().fold(bytes.len() as u64, |word, byte| (word << 8) | u64::from(*byte));
    mix(hash, rest)
}

/// Brings all bits to bear on the lower ones.
fn finish(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 29)
}

/// Whether equal rows of a plan come out at one worker: then there is no need to bring them together.
pub(crate) fn is_placed(plan: &PlanRef) -> bool {
    placed_by(plan).is_some()
}

/// Columns of the output that tell where a row lies; `None` where it may lie anywhere.
fn placed_by(plan: &PlanRef) -> Option<Vec<usize>> {
    match plan.operator() {
        Plan::Reduce { keys, .. } => Some((0..keys.len()).collect()),
        Plan::TopK { keys, .. } => Some(read_by(keys.iter())),
        Plan::Join { keys, .. } => Some(read_by(keys.iter().map(|key| &key.left))),
        Plan::Exists { keys, .. } => Some(read_by(keys.iter().map(|key| &key.left))),
        Plan::Repeat { input, .. } => placed_by(input),
        Plan::FlatMap { input, calls } => {
            let kept = |column: usize| calls.kept.iter().position(|kept| *kept == column);
            placed_by(input)?.into_iter().map(kept).collect()
        }
        Plan::Project { input, outputs, .. } => {
            let kept = |column: usize| outputs.iter().position(|output| *output == Expr::Column(column));
            placed_by(input)?.into_iter().map(kept).collect()
        }
        Plan::Get { .. } | Plan::Constant { .. } | Plan::Union { .. } => None,
    }
}

fn read_by<'a>(exprs: impl Iterator<Item = &'a Expr>) -> Vec<usize> {
    let mut columns = Vec::new();
    exprs.for_each(|expr| expr.for_each_column(&mut |column| columns.push(column)));
    columns
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray, new_null_array};

    use super::*;
    use crate::plan::{Aggregate, AggregateFunction};
    use crate::types::{DataType, RelationId};

    #[test]
    fn equal_values_have_equal_hashes_and_every_type_has_one() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]));
        let hashes = hash_rows(&[floats], 4);
        assert_eq!((hashes[0], hashes[2]), (hashes[1], hashes[3]));
        for data_type in crate::types::EVERY {
            let nulls = new_null_array(&data_type.to_arrow(), 2);
            assert_eq!(hash_rows(&[nulls], 2), [finish(mix(0, NULL)); 2], "{data_type:?}");
        }
    }

    #[test]
    fn rows_spread_over_workers() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..9_000));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..9_000).map(|n| format!("key {n}"))));
        for column in [numbers, texts] {
            let mut counts = [0; 3];
            hash_rows(&[column], 9_000).iter().for_each(|hash| counts[worker_of(*hash, 3)] += 1);
            assert!(counts.iter().all(|count| (2_700..3_300).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn a_projection_that_loses_the_key_places_nothing() {
        let get = PlanRef::new(Plan::Get { relation: RelationId(1), columns: vec![DataType::Int64; 2] });
        let count = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
        let reduce = PlanRef::new(Plan::Reduce {
            input: get.clone(),
            keys: vec![Expr::Column(1)],
            aggregates: vec![count],
        });
        let project = |outputs: Vec<usize>| {
            let outputs = outputs.into_iter().map(Expr::Column).collect();
            PlanRef::new(Plan::Project { input: reduce.clone(), predicates: Vec::new(), outputs })
        };
        assert!(is_placed(&reduce) && is_placed(&project(vec![1, 0])));
        assert!(!is_placed(&get) && !is_placed(&project(vec![1])));
        assert!(!is_placed(&Plan::Union { inputs: vec![reduce.clone(), reduce] }.into()));
    }
}
