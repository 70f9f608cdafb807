//! Accumulators: aggregates as sums of 64-bit lanes, so that merging batches is aggregating.
//!
//! ```text
//!   lane 0          the group's rows
//!   count(x)        [rows with x]
//!   sum, avg        [rows with x] then: int 1 lane; bigint 2, numeric 4 limbs of 32 bits;
//!                   double precision 4 limbs of 32 bits in units of 2^-64, [rows outside that window]
//!   sum(interval)   [rows with x] then months, days and 2 limbs of microseconds
//!   var…, stddev…   the same, and behind the number's limbs those of its square: int 2, bigint 4, else 8
//!   bool_and, …     [rows with x] [rows where it is true]
//!   bit_and, …      [rows with x] then for each two bits how often they are set, 32 bits of a lane each
//!   min, max        [rows with x], and x in an ordered trace
//!   string_agg      [rows with x], and (order, x, delimiter) in an ordered trace
//!   array_agg       [rows that count], and (order, true, x) in an ordered trace
//! ```
//! Doubles that the window (2^-64 to 2^63) cannot hold exactly go to an ordered trace of their own, one
//! entry a value, and are added when the aggregate is read. Every aggregate has its own lane of
//! non-null rows. Bits are counted, not folded from an ordered trace of the values: a change costs the
//! same however many values the group has, and 256 bytes a group (bigint) is less than most groups' values.
//! With DISTINCT an accumulator is fed by the changes of a distinct stage instead of the rows.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Decimal128Type, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};

use super::limbs::{float_total, integer, numeric, set_limbs, set_square};
use crate::decimal::Decimal;
use crate::delta::Delta;
use crate::error::{DataError, EngineError};
use crate::plan::AggregateFunction;
use crate::planted::{self, Bug};
use crate::span::{NANOS_PER_MICRO, interval_of_sums};
use crate::spread::{Deviation, Spread, fixed};
use crate::state::Direction;
use crate::types::DataType;

/// One aggregate over the columns of a reduce's input.
#[derive(Clone, Debug)]
pub(crate) struct AggregateSpec {
    /// Which aggregate.
    pub(crate) function: AggregateFunction,
    /// Its (first) argument's column and type; `None` for `count(*)`.
    pub(crate) argument: Option<(usize, DataType)>,
    /// The column of the delimiter of `string_agg`, or of the values of `array_agg`, with its type.
    pub(crate) delimiter: Option<(usize, DataType)>,
    /// The columns that order the texts of `string_agg`.
    pub(crate) order: Vec<(usize, Direction)>,
    /// Whether equal arguments count once.
    pub(crate) distinct: bool,
    /// The result's type.
    pub(crate) result: DataType,
}

/// The numbers that are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// One lane.
    Int32,
    /// Two limbs.
    Int64,
    /// Four limbs of numbers with this many digits behind the point.
    Numeric { scale: u8 },
    /// Four limbs and the number of rows outside the window.
    Float64,
}

impl Number {
    fn of(data_type: DataType) -> Option<Number> {
        Some(match data_type {
            DataType::Int32 => Number::Int32,
            DataType::Int64 => Number::Int64,
            DataType::Numeric { scale, .. } => Number::Numeric { scale },
            DataType::Float64 => Number::Float64,
            DataType::Boolean
            | DataType::Text
            | DataType::Timestamp
            | DataType::Date
            | DataType::Interval
            | DataType::TimestampTz
            | DataType::Uuid
            | DataType::Bytea
            | DataType::Time
            | DataType::Char
            | DataType::Limited(_)
            | DataType::Json
            | DataType::Jsonb
            | DataType::Array(_)
            // Plans have aggregates of its parts.
            | DataType::Decimal
            // They are summed as integers and doubles.
            | DataType::Int16
            | DataType::Float32 => return None,
        })
    }

    /// The limbs of a sum.
    fn limbs(self) -> usize {
        match self {
            Number::Int32 => 1,
            Number::Int64 => 2,
            Number::Numeric { .. } | Number::Float64 => 4,
        }
    }

    /// Digits behind the point.
    fn scale(self) -> u8 {
        if let Number::Numeric { scale } = self { scale } else { 0 }
    }

    /// The value of a row as an integer; `None` for doubles outside the window.
    fn value(self, column: &ArrayRef, row: usize) -> Option<i128> {
        match self {
            Number::Int32 => Some(column.as_primitive::<Int32Type>().value(row).into()),
            Number::Int64 => Some(column.as_primitive::<Int64Type>().value(row).into()),
            Number::Numeric { .. } => Some(column.as_primitive::<Decimal128Type>().value(row)),
            Number::Float64 => fixed(column.as_primitive::<Float64Type>().value(row)),
        }
    }
}

/// What an aggregate's lanes hold behind its lane of non-null rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Nothing: counts, extremes, texts.
    Nothing,
    /// The sum.
    Sum(Number),
    /// The sums of months, days and time.
    Interval,
    /// The sum and the sum of squares.
    Spread(Number),
    /// How many rows are true.
    True,
    /// How often each of so many bits is set.
    Bits(usize),
}

impl Kept {
    fn of(spec: &AggregateSpec) -> Result<Kept, EngineError> {
        use AggregateFunction as F;
        let wrong = || EngineError::InvalidPlan(format!("{} of {:?}", spec.function.name(), spec.argument));
        let data_type = || spec.argument.map(|(_, data_type)| data_type).ok_or_else(wrong);
        let number = || Number::of(data_type()?).ok_or_else(wrong);
        Ok(match spec.function {
            F::Count | F::Min | F::Max => Kept::Nothing,
            F::Sum if data_type()? == DataType::Interval => Kept::Interval,
            F::Sum | F::Avg => Kept::Sum(number()?),
            F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => match (number()?, spec.result) {
                (Number::Float64, DataType::Float64) => Kept::Spread(Number::Float64),
                (Number::Float64, _) => return Err(wrong()),
                (exact, DataType::Decimal) => Kept::Spread(exact),
                _ => return Err(wrong()),
            },
            F::BoolAnd | F::BoolOr if data_type()? == DataType::Boolean => Kept::True,
            F::BitAnd | F::BitOr | F::BitXor => match number()? {
                Number::Int32 => Kept::Bits(32),
                Number::Int64 => Kept::Bits(64),
                Number::Numeric { .. } | Number::Float64 => return Err(wrong()),
            },
            F::StringAgg if data_type()? == DataType::Text => Kept::Nothing,
            F::ArrayAgg if spec.delimiter.is_some() => Kept::Nothing,
            F::BoolAnd | F::BoolOr | F::StringAgg | F::ArrayAgg => return Err(wrong()),
        })
    }

    fn lanes(self) -> usize {
        let outside = |number: Number| usize::from(number == Number::Float64);
        match self {
            Kept::Nothing => 0,
            Kept::Sum(number) => number.limbs() + outside(number),
            Kept::Interval => 4,
            // An int has one lane for itself, for it is no limb but the whole; its square has two limbs.
            Kept::Spread(number) => 3 * number.limbs() + outside(number),
            Kept::True => 1,
            Kept::Bits(bits) => bits / 2,
        }
    }
}

/// One aggregate and where its lanes are.
#[derive(Clone, Debug)]
pub(crate) struct Accumulator {
    /// What is computed.
    pub(crate) spec: AggregateSpec,
    /// The distinct stage that feeds it; `None`: the rows do.
    pub(crate) feed: Option<usize>,
    kept: Kept,
    /// The lane of non-null rows; what is kept follows.
    first: usize,
}

/// What an aggregate comes to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// NULL
    Null,
    /// boolean
    Boolean(bool),
    /// integer
    Int32(i32),
    /// bigint
    Int64(i64),
    /// numeric, in units of its scale
    Numeric(i128),
    /// numeric of any number of digits, as it is stored
    Decimal(String),
    /// double precision
    Float64(f64),
    /// interval
    Interval(IntervalMonthDayNano),
    /// The first value of the ordered trace.
    Least,
    /// The last value of the ordered trace.
    Greatest,
    /// The values of the ordered trace, joined.
    Joined,
}

/// The lanes of a reduce's aggregates.
pub(crate) struct Layout {
    /// The aggregates.
    pub(crate) accumulators: Vec<Accumulator>,
    /// Lanes a group.
    pub(crate) stride: usize,
    /// The argument columns of the distinct stages.
    pub(crate) distinct: Vec<Vec<usize>>,
}

/// Lays out the lanes of some aggregates.
///
/// # Errors
/// `InvalidPlan` for an argument type that the aggregate does not take.
pub(crate) fn lay_out(specs: Vec<AggregateSpec>) -> Result<Layout, EngineError> {
    let mut layout = Layout { accumulators: Vec::new(), stride: 1, distinct: Vec::new() };
    for spec in specs {
        let kept = Kept::of(&spec)?;
        let first = if spec.argument.is_some() { layout.stride } else { 0 };
        layout.stride += if spec.argument.is_some() { 1 + kept.lanes() } else { 0 };
        let feed = spec.distinct_columns().map(|columns| {
            layout.distinct.iter().position(|known| *known == columns).unwrap_or_else(|| {
                layout.distinct.push(columns);
                layout.distinct.len() - 1
            })
        });
        layout.accumulators.push(Accumulator { spec, feed, kept, first });
    }
    Ok(layout)
}

impl AggregateSpec {
    /// The columns of which each combination counts once, where that makes a difference.
    fn distinct_columns(&self) -> Option<Vec<usize>> {
        use AggregateFunction as F;
        let differs = match self.function {
            F::Min | F::Max | F::BoolAnd | F::BoolOr | F::BitAnd | F::BitOr => false,
            F::Count | F::Sum | F::Avg | F::BitXor | F::StringAgg | F::ArrayAgg => true,
            F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => true,
        };
        let (argument, _) = self.argument.filter(|_| self.distinct && differs)?;
        let second = self.delimiter.map(|(column, _)| column);
        Some(std::iter::once(argument).chain(second).collect())
    }
}

/// The lanes of every row of a delta, `stride` a row: those of the accumulators that it feeds, and
/// lane 0 where the delta is the rows themselves.
pub(crate) fn lanes_of(
    accumulators: &[Accumulator],
    stride: usize,
    delta: &Delta,
    feed: Option<usize>,
) -> Vec<i64> {
    let mut lanes = vec![0i64; stride * delta.len()];
    if feed.is_none() {
        lanes.chunks_exact_mut(stride).zip(delta.diffs.iter()).for_each(|(lanes, diff)| lanes[0] = diff);
    }
    for accumulator in accumulators.iter().filter(|accumulator| accumulator.feed == feed) {
        if let Some((column, _)) = accumulator.spec.argument {
            accumulator.fill(delta.rows.column(column), delta, stride, &mut lanes);
        }
    }
    lanes
}

impl Accumulator {
    fn fill(&self, column: &ArrayRef, delta: &Delta, stride: usize, lanes: &mut [i64]) {
        let rows = lanes.chunks_exact_mut(stride).enumerate().filter(|(row, _)| column.is_valid(*row));
        for (row, lanes) in rows {
            let mut diff = delta.diffs.get(row);
            if planted::is_on(Bug::MultiplicityIgnored) {
                diff = diff.signum();
            }
            lanes[self.first] = diff;
            let target = &mut lanes[self.first + 1..self.first + 1 + self.kept.lanes()];
            match self.kept {
                Kept::Nothing => {}
                Kept::Sum(number) => set_sums(number, number.value(column, row), diff, target, false),
                Kept::Interval => {
                    let value = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
                    target[0] = i64::from(value.months) * diff;
                    target[1] = i64::from(value.days) * diff;
                    set_limbs(i128::from(value.nanoseconds / NANOS_PER_MICRO), diff, &mut target[2..]);
                }
                Kept::Spread(number) => set_sums(number, number.value(column, row), diff, target, true),
                Kept::True => {
                    let counts = diff > 0 || !planted::is_on(Bug::BooleanNeverRetracted);
                    target[0] = if column.as_boolean().value(row) && counts { diff } else { 0 };
                }
                Kept::Bits(32) => {
                    set_bits(column.as_primitive::<Int32Type>().value(row) as u32 as u64, diff, target);
                }
                Kept::Bits(_) => {
                    set_bits(column.as_primitive::<Int64Type>().value(row) as u64, diff, target);
                }
            }
        }
    }

    /// Whether the aggregate keeps some or all of its argument's values in an ordered trace.
    pub(crate) fn is_ordered(&self) -> bool {
        self.keeps_outside() || self.is_extreme() || self.is_joined()
    }

    /// Whether it joins all values in one.
    pub(crate) fn is_joined(&self) -> bool {
        matches!(self.spec.function, AggregateFunction::StringAgg | AggregateFunction::ArrayAgg)
    }

    /// Whether it is `min` or `max`.
    pub(crate) fn is_extreme(&self) -> bool {
        matches!(self.spec.function, AggregateFunction::Min | AggregateFunction::Max)
    }

    /// Whether it is doubles that are summed, so that the ordered trace has those outside the window.
    pub(crate) fn keeps_outside(&self) -> bool {
        matches!(self.kept, Kept::Sum(Number::Float64) | Kept::Spread(Number::Float64))
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
        use AggregateFunction as F;
        let count = lanes[self.first];
        if count < 0 {
            return Err(DataError::negative_multiplicity());
        }
        let kept = &lanes[self.first + 1..self.first + 1 + self.kept.lanes()];
        match self.spec.function {
            F::Count => Ok(Outcome::Int64(count)),
            _ if count == 0 => Ok(Outcome::Null),
            F::Min => Ok(Outcome::Least),
            F::Max => Ok(Outcome::Greatest),
            F::Sum => self.total(kept, None, outside),
            F::Avg if planted::is_on(Bug::AverageCountsNulls) => self.total(kept, Some(lanes[0]), outside),
            F::Avg => self.total(kept, Some(count), outside),
            F::BoolAnd => Ok(Outcome::Boolean(kept[0] == count)),
            F::BoolOr => Ok(Outcome::Boolean(kept[0] > 0)),
            F::BitAnd => self.bits(kept, count, |set| set == count),
            F::BitOr => self.bits(kept, count, |set| set > 0),
            F::BitXor => self.bits(kept, count, |set| set % 2 != 0),
            F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => self.spread(kept, count, outside),
            F::StringAgg | F::ArrayAgg => Ok(Outcome::Joined),
        }
    }

    /// The sum, divided by `divisor` where there is one.
    fn total(
        &self,
        sum: &[i64],
        divisor: Option<i64>,
        outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
    ) -> Result<Outcome, DataError> {
        let (total, scale) = match self.kept {
            Kept::Sum(Number::Float64) => return float_total(sum, divisor, outside),
            Kept::Sum(Number::Int32) if planted::is_on(Bug::OverflowWraps) => (i128::from(sum[0] as i32), 0),
            Kept::Sum(Number::Int32) => (i128::from(sum[0]), 0),
            Kept::Sum(number @ (Number::Int64 | Number::Numeric { .. })) => (integer(sum)?, number.scale()),
            Kept::Interval => return interval_total(sum),
            Kept::Nothing | Kept::Spread(_) | Kept::True | Kept::Bits(_) => return Ok(Outcome::Null),
        };
        match (self.spec.result, divisor) {
            (DataType::Decimal, Some(divisor)) => {
                Ok(Outcome::Decimal(Decimal::mean(total.into(), scale.into(), divisor).encode()))
            }
            (DataType::Numeric { .. }, _) => numeric(total).map(Outcome::Numeric),
            (_, None) => {
                i64::try_from(total).map(Outcome::Int64).map_err(|_| DataError::out_of_range("bigint"))
            }
            (_, Some(divisor)) => Ok(Outcome::Float64(total as f64 / divisor as f64)),
        }
    }

    /// The bits for which `is_set` holds, given how often each is set among `count` rows.
    fn bits(&self, lanes: &[i64], count: i64, is_set: impl Fn(i64) -> bool) -> Result<Outcome, DataError> {
        if count > i64::from(i32::MAX) {
            return Err(DataError::new("54000", "more than 2147483647 rows in one group of a bit aggregate"));
        }
        let mut value = 0u64;
        for (index, lane) in lanes.iter().enumerate() {
            let low = i64::from(*lane as i32);
            let high = (lane - low) >> 32;
            value |= u64::from(is_set(low)) << (2 * index) | u64::from(is_set(high)) << (2 * index + 1);
        }
        Ok(if self.kept == Kept::Bits(32) {
            Outcome::Int32(value as i32)
        } else {
            Outcome::Int64(value as i64)
        })
    }

    /// The variance or standard deviation.
    fn spread(
        &self,
        lanes: &[i64],
        count: i64,
        outside: impl FnOnce(&mut dyn FnMut(f64, i64)),
    ) -> Result<Outcome, DataError> {
        let (Kept::Spread(number), Some(mut deviation)) = (self.kept, Deviation::of(self.spec.function))
        else {
            return Ok(Outcome::Null);
        };
        deviation.population |= planted::is_on(Bug::VarianceDividesByAll);
        let (sum, squares) = lanes.split_at(number.limbs());
        let mut spread = Spread::of_limbs(count, sum, &squares[..2 * number.limbs()]);
        match self.spec.result {
            DataType::Decimal => {
                let found = spread.numeric(deviation, number.scale().into())?;
                Ok(found.map_or(Outcome::Null, |found| Outcome::Decimal(found.encode())))
            }
            _ => {
                if number == Number::Float64 && lanes[3 * number.limbs()] != 0 {
                    outside(&mut |value, times| spread.add_far(value, times));
                }
                Ok(spread.double(deviation)?.map_or(Outcome::Null, Outcome::Float64))
            }
        }
    }
}

/// The interval that sums of months, days and microseconds are.
fn interval_total(sums: &[i64]) -> Result<Outcome, DataError> {
    interval_of_sums(sums[0].into(), sums[1].into(), integer(&sums[2..])?).map(Outcome::Interval)
}

/// Sets lanes to `diff` times a number (`None`: a double outside the window), with its square or not.
fn set_sums(number: Number, value: Option<i128>, diff: i64, lanes: &mut [i64], square: bool) {
    let (sum, rest) = lanes.split_at_mut(number.limbs());
    match value {
        // A whole int in a lane: times 2^31 rows it still fits.
        Some(value) if number == Number::Int32 => sum[0] = value as i64 * diff,
        Some(value) => set_limbs(value, diff, sum),
        None => {
            if let Some(outside) = rest.last_mut() {
                *outside = diff;
            }
            return;
        }
    }
    if let (Some(value), true) = (value, square) {
        set_square(value, diff, &mut rest[..2 * number.limbs()]);
    }
}

/// Sets lanes to `diff` times the bits of `value`, two bits a lane.
fn set_bits(value: u64, diff: i64, lanes: &mut [i64]) {
    for (index, lane) in lanes.iter_mut().enumerate() {
        let pair = value >> (2 * index);
        *lane = (pair & 1) as i64 * diff + (((pair >> 1 & 1) as i64 * diff) << 32);
    }
}

impl Outcome {
    /// Whether the value is less than another of the same aggregate; NULL is less than all others.
    pub(crate) fn is_less(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::Null, _) => *other != Outcome::Null,
            (Outcome::Boolean(value), Outcome::Boolean(other)) => !value & *other,
            (Outcome::Int32(value), Outcome::Int32(other)) => value < other,
            (Outcome::Int64(value), Outcome::Int64(other)) => value < other,
            (Outcome::Numeric(value), Outcome::Numeric(other)) => value < other,
            (Outcome::Decimal(value), Outcome::Decimal(other)) => value < other,
            (Outcome::Float64(value), Outcome::Float64(other)) => value.total_cmp(other).is_lt(),
            (
                Outcome::Boolean(_)
                | Outcome::Int32(_)
                | Outcome::Int64(_)
                | Outcome::Numeric(_)
                | Outcome::Decimal(_)
                | Outcome::Float64(_)
                | Outcome::Interval(_)
                | Outcome::Least
                | Outcome::Greatest
                | Outcome::Joined,
                _,
            ) => false,
        }
    }

    /// The value where it is a boolean.
    pub(crate) fn boolean(self) -> Option<bool> {
        if let Outcome::Boolean(value) = self { Some(value) } else { None }
    }

    /// The value where it is an integer.
    pub(crate) fn int32(self) -> Option<i32> {
        if let Outcome::Int32(value) = self { Some(value) } else { None }
    }

    /// The value where it is a bigint.
    pub(crate) fn int64(self) -> Option<i64> {
        if let Outcome::Int64(value) = self { Some(value) } else { None }
    }

    /// The value where it is a double.
    pub(crate) fn float64(self) -> Option<f64> {
        if let Outcome::Float64(value) = self { Some(value) } else { None }
    }

    /// The value where it is an interval.
    pub(crate) fn interval(self) -> Option<IntervalMonthDayNano> {
        if let Outcome::Interval(value) = self { Some(value) } else { None }
    }

    /// The value where it is a numeric of any number of digits.
    pub(crate) fn decimal(self) -> Option<String> {
        if let Outcome::Decimal(value) = self { Some(value) } else { None }
    }

    /// The value where it is a numeric.
    pub(crate) fn numeric(self) -> Option<i128> {
        if let Outcome::Numeric(value) = self { Some(value) } else { None }
    }
}
