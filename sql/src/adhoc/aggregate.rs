//! The aggregates of ad-hoc queries, with the answers that the engine's have: integer and numeric
//! sums are exact, sums of doubles are exact and rounded once, in whatever order rows come.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Field, FieldRef, Float64Type, Int32Type, Int64Type, SchemaRef,
    i256,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::PhysicalExpr;
use millrace_engine::{
    Aggregate, AggregateFunction, DataError, DataType, ExactSum, Literal, NUMERIC_PRECISION_MAX,
};

use crate::compile::scalar;
use crate::functions::{self, Inputs, normalize_float};

/// The aggregate as DataFusion's operators take it; its output column is `c{position}`.
pub(super) fn physical(
    call: &Aggregate,
    argument_type: DataType,
    argument: Arc<dyn PhysicalExpr>,
    input: &SchemaRef,
    position: usize,
) -> Result<Arc<AggregateFunctionExpr>> {
    let function = Function {
        function: call.function,
        argument: argument_type,
        result: call.data_type,
        distinct: call.distinct,
        signature: Signature::any(1, Volatility::Immutable),
    };
    let built = AggregateExprBuilder::new(Arc::new(AggregateUDF::new_from_impl(function)), vec![argument])
        .schema(Arc::clone(input))
        .alias(format!("c{position}"))
        .build()?;
    Ok(Arc::new(built))
}

/// An aggregate over one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    function: AggregateFunction,
    argument: DataType,
    result: DataType,
    distinct: bool,
    signature: Signature,
}

impl AggregateUDFImpl for Function {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(self.result.to_arrow())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let state = State::new(self.function, self.argument);
        let seen = self.distinct.then(HashSet::new);
        Ok(Box::new(Accumulate { state, seen, result: self.result }))
    }

    /// Operators run in one step, without states between them.
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(args.name, self.result.to_arrow(), true))])
    }
}

/// What an aggregate remembers.
enum State {
    Count(i64),
    /// The sum of integers or numerics at a scale, how many, and whether it is a mean.
    Exact {
        sum: i256,
        count: i64,
        scale: u8,
        mean: bool,
    },
    /// The sum of doubles.
    Float {
        sum: Box<ExactSum>,
        count: i64,
        mean: bool,
    },
    /// The least or the greatest value so far.
    Extreme {
        best: Option<ArrayRef>,
        greatest: bool,
    },
}

impl State {
    fn new(function: AggregateFunction, argument: DataType) -> State {
        let mean = function == AggregateFunction::Avg;
        match function {
            AggregateFunction::Count => State::Count(0),
            AggregateFunction::Min => State::Extreme { best: None, greatest: false },
            AggregateFunction::Max => State::Extreme { best: None, greatest: true },
            AggregateFunction::Sum | AggregateFunction::Avg => match argument {
                DataType::Float64 => State::Float { sum: Box::default(), count: 0, mean },
                DataType::Numeric { scale, .. } => State::Exact { sum: i256::ZERO, count: 0, scale, mean },
                DataType::Boolean
                | DataType::Int32
                | DataType::Int64
                | DataType::Text
                | DataType::Timestamp
                | DataType::Date
                | DataType::Interval => State::Exact { sum: i256::ZERO, count: 0, scale: 0, mean },
            },
            // The binder knows no others yet.
            _ => State::Count(0),
        }
    }

    fn update(&mut self, values: &ArrayRef) -> Result<()> {
        let valid = (values.len() - values.null_count()) as i64;
        match self {
            State::Count(count) => *count += valid,
            State::Exact { sum, count, .. } => {
                *count += valid;
                *sum = sum.wrapping_add(exact_sum(values)?);
            }
            State::Float { sum, count, .. } => {
                *count += valid;
                values.as_primitive::<Float64Type>().iter().flatten().for_each(|value| sum.add(value, 1));
            }
            State::Extreme { best, greatest } => {
                let Some(row) = functions::extreme_row(values, *greatest)? else { return Ok(()) };
                let value = values.slice(row, 1);
                if best.as_ref().map_or(Ok(true), |best| replaces(&value, best, *greatest))? {
                    // A copy: the slice would keep its whole batch.
                    *best = Some(ScalarValue::try_from_array(&value, 0)?.to_array()?);
                }
            }
        }
        Ok(())
    }

    fn finish(&self, result: DataType) -> Result<ScalarValue> {
        let null = scalar(&Literal::Null(result));
        Ok(match self {
            State::Count(count) => ScalarValue::Int64(Some(*count)),
            State::Exact { count: 0, .. } | State::Float { count: 0, .. } => null,
            State::Exact { sum, count, scale, mean: true } => {
                let digits = functions::quotient_scale(*scale, 0);
                let mean = functions::mean(*sum, *scale, *count, digits);
                let mean = mean.ok_or_else(functions::numeric_overflow)?;
                ScalarValue::Decimal128(Some(mean), NUMERIC_PRECISION_MAX, digits as i8)
            }
            State::Exact { sum, scale, mean: false, .. } => exact_result(*sum, *scale, result)?,
            State::Float { sum, count, mean } => {
                let total = sum.finish();
                if total.is_infinite() && sum.is_finite() {
                    return Err(functions::float_overflow().into());
                }
                ScalarValue::Float64(Some(if *mean { total / *count as f64 } else { total }))
            }
            State::Extreme { best, .. } => match best {
                None => null,
                // The engine keeps extremes as keys, in which -0 is 0.
                Some(best) => distinct_key(ScalarValue::try_from_array(best, 0)?),
            },
        })
    }
}

/// The sum of a batch of integers or numerics: a batch cannot overflow 256 bits.
fn exact_sum(values: &ArrayRef) -> Result<i256> {
    let wide = |value: i128| i256::from_i128(value);
    let sum = match values.data_type() {
        ArrowType::Int32 => wide(values.as_primitive::<Int32Type>().iter().flatten().map(i128::from).sum()),
        ArrowType::Int64 => wide(values.as_primitive::<Int64Type>().iter().flatten().map(i128::from).sum()),
        ArrowType::Decimal128(..) => values
            .as_primitive::<Decimal128Type>()
            .iter()
            .flatten()
            .fold(i256::ZERO, |sum, value| sum.wrapping_add(wide(value))),
        other => return Err(DataFusionError::Internal(format!("sum of {other}"))),
    };
    Ok(sum)
}

fn exact_result(sum: i256, scale: u8, result: DataType) -> Result<ScalarValue> {
    match result {
        DataType::Int64 => {
            let sum = sum.to_i128().and_then(|sum| i64::try_from(sum).ok());
            Ok(ScalarValue::Int64(Some(sum.ok_or_else(|| DataError::out_of_range("bigint"))?)))
        }
        _ => {
            let fitted =
                sum.to_i128().and_then(|sum| functions::rescale(sum, scale, scale, NUMERIC_PRECISION_MAX));
            let sum = fitted.ok_or_else(functions::numeric_overflow)?;
            Ok(ScalarValue::Decimal128(Some(sum), NUMERIC_PRECISION_MAX, scale as i8))
        }
    }
}

/// Whether one value takes the place of the best so far, by the comparison that SQL has.
fn replaces(value: &ArrayRef, best: &ArrayRef, greatest: bool) -> Result<bool> {
    let types = [value, best].map(|array| DataType::from_arrow(array.data_type()));
    let [Some(left), Some(right)] = types else {
        return Err(DataFusionError::Internal(format!("extreme of {}", value.data_type())));
    };
    let name = if greatest { "greater" } else { "less" };
    let kernel = functions::kernel(name, &[left, right])
        .ok_or_else(|| DataFusionError::Internal(format!("no kernel {name}")))?;
    let inputs = Inputs::new(vec![Arc::clone(value).into(), Arc::clone(best).into()], 1)?;
    Ok(kernel(&inputs, DataType::Boolean)?.as_boolean().value(0))
}

/// One group's aggregate.
struct Accumulate {
    state: State,
    /// The values so far, where each counts once.
    seen: Option<HashSet<ScalarValue>>,
    result: DataType,
}

impl fmt::Debug for Accumulate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accumulate({})", self.result)
    }
}

/// A value as the key under which equal ones are one.
fn distinct_key(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(normalize_float(value))),
        other => other,
    }
}

impl Accumulator for Accumulate {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let Some(seen) = &mut self.seen else { return self.state.update(values) };
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            if seen.insert(distinct_key(ScalarValue::try_from_array(values, row)?)) {
                self.state.update(&values.slice(row, 1))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.state.finish(self.result)
    }

    fn size(&self) -> usize {
        let seen: usize = self.seen.iter().flatten().map(ScalarValue::size).sum();
        let state = match &self.state {
            State::Count(_) | State::Exact { .. } => 0,
            State::Float { .. } => size_of::<ExactSum>(),
            State::Extreme { best, .. } => best.as_ref().map_or(0, |best| best.get_array_memory_size()),
        };
        size_of::<Accumulate>() + seen + state
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::Internal("aggregates run in one step".to_owned()))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::Internal("aggregates run in one step".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::arrow::array::Float64Array;
    use proptest::prelude::*;

    use super::*;

    /// Shewchuk's exact expansions with the rounding of Python's `math.fsum`; overflow left out.
    fn reference(values: &[f64]) -> f64 {
        let mut partials: Vec<f64> = Vec::new();
        for value in values {
            let mut x = *value;
            let mut kept = Vec::new();
            for partial in &partials {
                let (big, small) = if x.abs() < partial.abs() { (*partial, x) } else { (x, *partial) };
                let high = big + small;
                let low = small - (high - big);
                if low != 0.0 {
                    kept.push(low);
                }
                x = high;
            }
            kept.push(x);
            partials = kept;
        }
        let mut rest = partials.into_iter().rev();
        let mut high = rest.next().unwrap_or_default();
        while let Some(next) = rest.next() {
            let before = high;
            high = before + next;
            let low = next - (high - before);
            if low != 0.0 {
                // Halfway cases: the next partial decides.
                let following = rest.next().unwrap_or_default();
                if (low < 0.0 && following < 0.0) || (low > 0.0 && following > 0.0) {
                    let twice = low * 2.0;
                    let moved = high + twice;
                    if twice == moved - high {
                        high = moved;
                    }
                }
                break;
            }
        }
        high
    }

    fn aggregate(function: AggregateFunction, batches: &[&[f64]]) -> f64 {
        let mut state = State::new(function, DataType::Float64);
        for batch in batches {
            let values: ArrayRef = Arc::new(Float64Array::from(batch.to_vec()));
            state.update(&values).unwrap();
        }
        match state.finish(DataType::Float64).unwrap() {
            ScalarValue::Float64(value) => value.unwrap_or_default(),
            other => panic!("{other}"),
        }
    }

    /// Doubles of every magnitude that leave room for a few thousand of them.
    fn any_double() -> impl Strategy<Value = f64> {
        (any::<u64>(), 0u64..2000)
            .prop_map(|(bits, exponent)| f64::from_bits((bits & 0x800f_ffff_ffff_ffff) | (exponent << 52)))
    }

    /// Doubles near each other, so that they cancel and carry.
    fn near_double() -> impl Strategy<Value = f64> {
        (-(1i64 << 53)..(1i64 << 53), -60i32..60).prop_map(|(value, shift)| value as f64 * 2f64.powi(shift))
    }

    proptest! {
        #[test]
        fn sums_of_doubles_are_rounded_once(values in prop::collection::vec(any_double(), 0..40)) {
            prop_assert_eq!(aggregate(AggregateFunction::Sum, &[&values]), reference(&values));
        }

        #[test]
        fn near_sums_of_doubles_are_rounded_once(values in prop::collection::vec(near_double(), 0..60)) {
            prop_assert_eq!(aggregate(AggregateFunction::Sum, &[&values]), reference(&values));
        }

        #[test]
        fn the_order_of_rows_does_not_show(
            (values, other) in prop::collection::vec(any_double(), 1..40)
                .prop_flat_map(|values| (Just(values.clone()), Just(values).prop_shuffle())),
            cut in 0usize..40,
        ) {
            let (first, second) = other.split_at(cut.min(other.len()));
            for function in [AggregateFunction::Sum, AggregateFunction::Avg, AggregateFunction::Max] {
                let whole = aggregate(function, &[&values]);
                prop_assert_eq!(aggregate(function, &[second, first]).to_bits(), whole.to_bits());
            }
        }
    }
}
