//! Accumulators: aggregates as sums of 64-bit lanes, so that merging batches is aggregating.
//!
//! ```text
//!   lane 0        the group's rows
//!   count(x)      [rows with x]
//!   sum, avg      [rows with x] then: int 1 lane; bigint 2, numeric 4 limbs of 32 bits;
//!                 double precision 4 limbs of 32 bits in units of 2^-64, [rows outside that window]
//!   min, max      [rows with x], and x in an ordered trace
//! ```
//! A limb carries its number's sign and holds 32 bits of its magnitude, so that a lane is exact for
//! 2^31 rows; sums neither wrap nor depend on the order of their rows. Doubles that the window
//! (2^-64 to 2^63) cannot hold exactly go to an ordered trace of their own, one entry a value, and
//! are added when the sum is read. Every aggregate has its own lane of non-null rows.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};

use crate::delta::Delta;
use crate::error::{DataError, EngineError};
use crate::exact::ExactSum;
use crate::plan::AggregateFunction;
use crate::planted::{self, Bug};
use crate::types::DataType;

/// The bits of one limb.
const LIMB_BITS: u32 = 32;

/// The fixed point of doubles: units of 2^-64.
const FIXED_BITS: i32 = 64;

/// One aggregate over the columns of a reduce's input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AggregateSpec {
    /// Which aggregate.
    pub(crate) function: AggregateFunction,
    /// Its argument's column and type; `None` for `count(*)`.
    pub(crate) argument: Option<(usize, DataType)>,
    /// The result's type.
    pub(crate) result: DataType,
}

/// What an aggregate's lanes hold behind its lane of non-null rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sum {
    /// Nothing: counts and extremes.
    None,
    /// One lane.
    Int32,
    /// Two limbs.
    Int64,
    /// Four limbs of numbers with this many digits behind the point.
    Numeric { scale: u8 },
    /// Four limbs and the number of rows outside the window.
    Float64,
}

impl Sum {
    fn lanes(self) -> usize {
        match self {
            Sum::None => 0,
            Sum::Int32 => 1,
            Sum::Int64 => 2,
            Sum::Numeric { .. } => 4,
            Sum::Float64 => 5,
        }
    }
}

/// One aggregate and where its lanes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accumulator {
    /// What is computed.
    pub(crate) spec: AggregateSpec,
    sum: Sum,
    /// The lane of non-null rows; the sum's lanes follow.
    first: usize,
}

/// What an aggregate comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// NULL
    Null,
    /// bigint
    Int64(i64),
    /// numeric, in units of its scale
    Numeric(i128),
    /// double precision
    Float64(f64),
    /// The first value of the ordered trace.
    Least,
    /// The last value of the ordered trace.
    Greatest,
}

/// Lays out the lanes of some aggregates: the accumulators and the stride.
///
/// # Errors
/// `InvalidPlan` for an argument type that the aggregate does not take.
pub(crate) fn lay_out(specs: &[AggregateSpec]) -> Result<(Vec<Accumulator>, usize), EngineError> {
    let mut stride = 1;
    let mut accumulators = Vec::new();
    for spec in specs {
        if spec.function as u8 > AggregateFunction::Max as u8 {
            return Err(EngineError::InvalidPlan(format!("{} is not maintained yet", spec.function.name())));
        }
        let sum = sum_of(spec)?;
        let first = if spec.argument.is_some() { stride } else { 0 };
        stride += if spec.argument.is_some() { 1 + sum.lanes() } else { 0 };
        accumulators.push(Accumulator { spec: *spec, sum, first });
    }
    Ok((accumulators, stride))
}

fn sum_of(spec: &AggregateSpec) -> Result<Sum, EngineError> {
    if !matches!(spec.function, AggregateFunction::Sum | AggregateFunction::Avg) {
        return Ok(Sum::None);
    }
    match spec.argument {
        Some((_, DataType::Int32)) => Ok(Sum::Int32),
        Some((_, DataType::Int64)) => Ok(Sum::Int64),
        Some((_, DataType::Numeric { scale, .. })) => Ok(Sum::Numeric { scale }),
        Some((_, DataType::Float64)) => Ok(Sum::Float64),
        other => Err(EngineError::InvalidPlan(format!("sums of {other:?}"))),
    }
}

/// The lanes of every row of a delta, `stride` a row.
pub(crate) fn lanes_of(accumulators: &[Accumulator], stride: usize, delta: &Delta) -> Vec<i64> {
    let mut lanes = vec![0i64; stride * delta.len()];
    for (row, lanes) in lanes.chunks_exact_mut(stride).enumerate() {
        lanes[0] = delta.diffs.get(row);
    }
    for accumulator in accumulators {
        if let Some((column, _)) = accumulator.spec.argument {
            accumulator.fill(delta.rows.column(column), stride, &mut lanes);
        }
    }
    lanes
}

/// Whether the sum's window holds a double exactly; the others go to the ordered trace.
pub(crate) fn in_window(value: f64) -> bool {
    fixed(value).is_some()
}

/// The double in units of 2^-64, where that is exact and its magnitude below 2^63.
fn fixed(value: f64) -> Option<i128> {
    const LIMIT: f64 = (1u64 << 63) as f64;
    if value.is_nan() || value.abs() >= LIMIT {
        return None;
    }
    let bits = value.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let mantissa = (bits & ((1 << 52) - 1)) as i128 | if biased == 0 { 0 } else { 1 << 52 };
    let shift = biased.max(1) - 1075 + FIXED_BITS;
    let magnitude = if shift >= 0 {
        mantissa << shift
    } else {
        let exact = shift > -64 && mantissa & ((1 << -shift) - 1) == 0;
        if !exact && mantissa != 0 {
            return None;
        }
        mantissa.checked_shr(shift.unsigned_abs()).unwrap_or(0)
    };
    Some(if value.is_sign_negative() { -magnitude } else { magnitude })
}

/// Adds `diff` times the limbs of `value` to lanes.
fn add_limbs(value: i128, diff: i64, lanes: &mut [i64]) {
    let magnitude = value.unsigned_abs();
    for (index, lane) in lanes.iter_mut().enumerate() {
        let limb = (magnitude >> (LIMB_BITS * index as u32)) as u32;
        *lane = i64::from(limb) * value.signum() as i64 * diff;
    }
}

/// The number that limbs stand for, as (high, low): high × 2^64 + low.
fn wide(limbs: &[i64]) -> (i128, u64) {
    let pair = |low: i64, high: i64| i128::from(low) + (i128::from(high) << LIMB_BITS);
    let limb = |index: usize| limbs.get(index).copied().unwrap_or(0);
    let low = pair(limb(0), limb(1));
    (pair(limb(2), limb(3)) + (low >> 64), low as u64)
}

impl Accumulator {
    fn fill(&self, column: &ArrayRef, stride: usize, lanes: &mut [i64]) {
        let rows = lanes.chunks_exact_mut(stride).enumerate().filter(|(row, _)| column.is_valid(*row));
        for (row, lanes) in rows {
            let mut diff = lanes[0];
            if planted::is_on(Bug::MultiplicityIgnored) {
                diff = diff.signum();
            }
            lanes[self.first] = diff;
            let target = &mut lanes[self.first + 1..self.first + 1 + self.sum.lanes()];
            match self.sum {
                Sum::None => {}
                Sum::Int32 => target[0] = i64::from(column.as_primitive::<Int32Type>().value(row)) * diff,
                Sum::Int64 => add_limbs(column.as_primitive::<Int64Type>().value(row).into(), diff, target),
                Sum::Numeric { .. } => {
                    add_limbs(column.as_primitive::<Decimal128Type>().value(row), diff, target)
                }
                Sum::Float64 => match fixed(column.as_primitive::<Float64Type>().value(row)) {
                    Some(value) => add_limbs(value, diff, &mut target[..4]),
                    None => target[4] = diff,
                },
            }
        }
    }

    /// Whether the aggregate keeps some or all of its argument's values in an ordered trace.
    pub(crate) fn is_ordered(&self) -> bool {
        self.sum == Sum::Float64 || self.is_extreme()
    }

    /// Whether it is `min` or `max`.
    pub(crate) fn is_extreme(&self) -> bool {
        matches!(self.spec.function, AggregateFunction::Min | AggregateFunction::Max)
    }

    /// Whether a value of the argument belongs into the ordered trace.
    pub(crate) fn keeps(&self, column: &ArrayRef, row: usize) -> bool {
        column.is_valid(row)
            && (self.is_extreme() || !in_window(column.as_primitive::<Float64Type>().value(row)))
    }

    /// What the lanes come to; `outside` gives the doubles outside the window with their counts.
    ///
    /// # Errors
    /// 22003 where the result's type cannot hold it, XX000 for a negative number of rows.
    pub(crate) fn finish(
        &self,
        lanes: &[i64],
        outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
    ) -> Result<Outcome, DataError> {
        let count = lanes[self.first];
        if count < 0 {
            return Err(DataError::new("XX000", "negative multiplicity"));
        }
        match self.spec.function {
            AggregateFunction::Count => Ok(Outcome::Int64(count)),
            _ if count == 0 => Ok(Outcome::Null),
            AggregateFunction::Min => Ok(Outcome::Least),
            AggregateFunction::Max => Ok(Outcome::Greatest),
            AggregateFunction::Sum => self.total(lanes, None, outside),
            AggregateFunction::Avg if planted::is_on(Bug::AverageCountsNulls) => {
                self.total(lanes, Some(lanes[0]), outside)
            }
            AggregateFunction::Avg => self.total(lanes, Some(count), outside),
            other => Err(DataError::new("XX000", format!("{} is not maintained yet", other.name()))),
        }
    }

    /// The sum, divided by `divisor` where there is one.
    fn total(
        &self,
        lanes: &[i64],
        divisor: Option<i64>,
        outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
    ) -> Result<Outcome, DataError> {
        let sum = &lanes[self.first + 1..self.first + 1 + self.sum.lanes()];
        let (total, scale) = match self.sum {
            Sum::Float64 => return float_total(sum, divisor, outside),
            Sum::None => return Ok(Outcome::Null),
            Sum::Int32 if planted::is_on(Bug::OverflowWraps) => (i128::from(sum[0] as i32), 0),
            Sum::Int32 => (i128::from(sum[0]), 0),
            Sum::Int64 => (integer(sum)?, 0),
            Sum::Numeric { scale } => (integer(sum)?, scale),
        };
        match (self.spec.result, divisor) {
            (DataType::Numeric { scale: wanted, .. }, _) => {
                numeric(total, scale, wanted, divisor.unwrap_or(1)).map(Outcome::Numeric)
            }
            (_, None) => {
                i64::try_from(total).map(Outcome::Int64).map_err(|_| DataError::out_of_range("bigint"))
            }
            (_, Some(divisor)) => Ok(Outcome::Float64(total as f64 / divisor as f64)),
        }
    }
}

/// The exact integer of some limbs.
fn integer(limbs: &[i64]) -> Result<i128, DataError> {
    let (high, low) = wide(limbs);
    let high = i64::try_from(high).map_err(|_| DataError::out_of_range("numeric value"))?;
    Ok((i128::from(high) << 64) | i128::from(low))
}

/// `total` × 10^-`scale` / `divisor` in units of 10^-`wanted`, half away from zero.
fn numeric(total: i128, scale: u8, wanted: u8, divisor: i64) -> Result<i128, DataError> {
    let out_of_range = || DataError::new("22003", "numeric field overflow");
    let divisor = i128::from(divisor);
    let (mut quotient, mut rest) = (total / divisor, total % divisor);
    if wanted < scale {
        return Err(out_of_range());
    }
    // Digit by digit, so that no product leaves 128 bits: the rest stays below the divisor.
    for _ in scale..wanted {
        rest *= 10;
        quotient = quotient
            .checked_mul(10)
            .and_then(|quotient| quotient.checked_add(rest / divisor))
            .ok_or_else(out_of_range)?;
        rest %= divisor;
    }
    if rest.abs() * 2 >= divisor {
        quotient += total.signum();
    }
    if quotient.unsigned_abs() >= 10u128.pow(38) { Err(out_of_range()) } else { Ok(quotient) }
}

/// The sum of doubles, rounded once; then divided.
fn float_total(
    sum: &[i64],
    divisor: Option<i64>,
    outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
) -> Result<Outcome, DataError> {
    const UNIT: f64 = 1.0 / ((1u128 << FIXED_BITS) as f64);
    let (high, low) = wide(&sum[..4]);
    if let (Ok(high), 0) = (i64::try_from(high), sum[4]) {
        // The conversion rounds to the nearest, and 2^-64 only moves the exponent.
        let total = ((i128::from(high) << 64) | i128::from(low)) as f64 * UNIT;
        return Ok(Outcome::Float64(divisor.map_or(total, |divisor| total / divisor as f64)));
    }
    let mut exact = ExactSum::default();
    add_fixed(&mut exact, high, low);
    outside(&mut |value, count| exact.add(value, count));
    let total = exact.finish();
    if total.is_infinite() && exact.is_finite() {
        return Err(DataError::out_of_range("value"));
    }
    Ok(Outcome::Float64(divisor.map_or(total, |divisor| total / divisor as f64)))
}

/// Adds (`high` × 2^64 + `low`) × 2^-64, in pieces that doubles hold exactly.
fn add_fixed(exact: &mut ExactSum, high: i128, low: u64) {
    let sign = if high < 0 { -1 } else { 1 };
    let piece = |bits: u64, exponent: i32| bits as f64 * 2f64.powi(exponent);
    let magnitude = high.unsigned_abs();
    for index in 0..4 {
        let bits = (magnitude >> (LIMB_BITS * index)) as u32;
        exact.add(piece(bits.into(), (LIMB_BITS * index) as i32), sign);
    }
    exact.add(piece(low >> LIMB_BITS, -32), 1);
    exact.add(piece(low & u64::from(u32::MAX), -64), 1);
}

impl Outcome {
    /// The value where it is a bigint.
    pub(crate) fn int64(self) -> Option<i64> {
        if let Outcome::Int64(value) = self { Some(value) } else { None }
    }

    /// The value where it is a double.
    pub(crate) fn float64(self) -> Option<f64> {
        if let Outcome::Float64(value) = self { Some(value) } else { None }
    }

    /// The value where it is a numeric.
    pub(crate) fn numeric(self) -> Option<i128> {
        if let Outcome::Numeric(value) = self { Some(value) } else { None }
    }
}
