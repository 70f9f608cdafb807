//! The aggregates of ad-hoc queries, with the answers that the engine's have: integer and numeric
//! sums are exact, sums and deviations of doubles are exact and rounded once (by the engine's own
//! arithmetic), texts are joined in one order, in whatever order rows come.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use dashu_int::IBig;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{SortOptions, filter, is_not_null};
use datafusion::arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Field, FieldRef, Float64Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, SchemaRef, i256,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::PhysicalExpr;
use millrace_engine::{
    Aggregate, AggregateFunction, ByteRows, DataError, DataType, Decimal, Deviation, Direction, Element,
    ExactSum, Literal, NUMERIC_PRECISION_MAX, RowCodec, Spread, array_of, compared_part, interval_of_sums,
    join_texts, normalise_interval, normalise_keys,
};

use crate::compile::scalar;
use crate::functions::{self, Inputs, normalize_float, normalize_real};
use crate::text_form::Interval;

/// The aggregate as DataFusion's operators take it, over its arguments and then what orders them; its
/// output column is `c{position}`.
pub(super) fn physical(
    call: &Aggregate,
    types: Vec<DataType>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    input: &SchemaRef,
    position: usize,
) -> Result<Arc<AggregateFunctionExpr>> {
    let order = call.order.iter();
    let function = Function {
        function: call.function,
        signature: Signature::any(types.len(), Volatility::Immutable),
        arguments: types,
        result: call.data_type,
        distinct: call.distinct,
        order: order
            .map(|key| SortOptions { descending: key.descending, nulls_first: key.nulls_first })
            .collect(),
    };
    let built = AggregateExprBuilder::new(Arc::new(AggregateUDF::new_from_impl(function)), arguments)
        .schema(Arc::clone(input))
        .alias(format!("c{position}"))
        .build()?;
    Ok(Arc::new(built))
}

/// An aggregate over certain types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    function: AggregateFunction,
    /// The arguments' types, then those of what orders them.
    arguments: Vec<DataType>,
    result: DataType,
    distinct: bool,
    order: Vec<SortOptions>,
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
        let width = self.arguments.len() - self.order.len();
        let state = State::new(self.function, &self.arguments, &self.order);
        let seen = self.distinct.then(HashSet::new);
        Ok(Box::new(Accumulate { state, seen, width, result: self.result }))
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
    /// The sums of months, days and microseconds of intervals, and how many.
    Span {
        sums: [i128; 3],
        count: i64,
    },
    /// The least or the greatest value so far.
    Extreme {
        best: Option<ArrayRef>,
        greatest: bool,
    },
    /// `bool_and` or, where `any`, `bool_or` so far.
    Truth {
        value: Option<bool>,
        any: bool,
    },
    /// The bits so far, of an integer or a bigint.
    Bits {
        value: Option<i64>,
        fold: fn(i64, i64) -> i64,
    },
    /// The exact sums of a variance over numbers at a scale.
    Spread {
        spread: Box<Spread>,
        deviation: Deviation,
        scale: u8,
    },
    /// What counts, how values compare and how they look behind what orders them, encoded so that their bytes
    /// compare as they do.
    Elements {
        codec: RowCodec,
        rows: ByteRows,
    },
    /// Texts and delimiters behind what orders them, encoded so that their bytes compare as they do.
    Texts {
        codec: RowCodec,
        rows: ByteRows,
    },
}

impl State {
    fn new(function: AggregateFunction, arguments: &[DataType], order: &[SortOptions]) -> State {
        use AggregateFunction as F;
        let argument = arguments.first().copied().unwrap_or(DataType::Boolean);
        let scale = if let DataType::Numeric { scale, .. } = argument { scale } else { 0 };
        let mean = function == F::Avg;
        if let Some(deviation) = Deviation::of(function) {
            return State::Spread { spread: Box::default(), deviation, scale };
        }
        match function {
            F::Count => State::Count(0),
            F::Min | F::Max => State::Extreme { best: None, greatest: function == F::Max },
            F::BoolAnd | F::BoolOr => State::Truth { value: None, any: function == F::BoolOr },
            F::BitAnd => State::Bits { value: None, fold: |a, b| a & b },
            F::BitOr => State::Bits { value: None, fold: |a, b| a | b },
            F::BitXor => State::Bits { value: None, fold: |a, b| a ^ b },
            F::StringAgg => State::Texts { codec: text_codec(arguments, order), rows: ByteRows::default() },
            F::ArrayAgg => {
                State::Elements { codec: element_codec(arguments, order), rows: ByteRows::default() }
            }
            F::Sum | F::Avg | F::VarPop | F::VarSamp | F::StddevPop | F::StddevSamp => match argument {
                DataType::Float64 => State::Float { sum: Box::default(), count: 0, mean },
                DataType::Interval => State::Span { sums: [0; 3], count: 0 },
                _ => State::Exact { sum: i256::ZERO, count: 0, scale, mean },
            },
        }
    }

    /// Takes a batch: the arguments, then what orders them.
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let values = &columns[0];
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
            State::Span { sums, count } => {
                *count += valid;
                let values = values.as_primitive::<IntervalMonthDayNanoType>();
                for Interval { months, days, micros } in values.iter().flatten().map(Interval::from_arrow) {
                    sums[0] += i128::from(months);
                    sums[1] += i128::from(days);
                    sums[2] += i128::from(micros);
                }
            }
            State::Extreme { best, greatest } => {
                let Some(row) = functions::extreme_row(values, *greatest)? else { return Ok(()) };
                let value = values.slice(row, 1);
                if best.as_ref().map_or(Ok(true), |best| replaces(&value, best, *greatest))? {
                    // A copy: the slice would keep its whole batch.
                    *best = Some(ScalarValue::try_from_array(&value, 0)?.to_array()?);
                }
            }
            State::Truth { value, any } => {
                let fold = |a: bool, b: bool| if *any { a || b } else { a && b };
                *value = (*value).into_iter().chain(values.as_boolean().iter().flatten()).reduce(fold);
            }
            State::Bits { value, fold } => {
                let integers = integers(values)?.map(|integer| integer as i64);
                *value = (*value).into_iter().chain(integers).reduce(*fold);
            }
            State::Spread { spread, .. } if *values.data_type() == ArrowType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                values.iter().flatten().for_each(|value| spread.add_double(value, 1));
            }
            State::Spread { spread, .. } => integers(values)?.for_each(|value| spread.add(value, 1)),
            State::Texts { codec, rows } => rows.extend(texts(codec, columns)?.iter()),
            State::Elements { codec, rows } => rows.extend(elements(codec, columns)?.iter()),
        }
        Ok(())
    }

    fn finish(&self, result: DataType) -> Result<ScalarValue> {
        let null = scalar(&Literal::Null(result));
        Ok(match self {
            State::Count(count) => ScalarValue::Int64(Some(*count)),
            State::Exact { count: 0, .. } | State::Float { count: 0, .. } | State::Span { count: 0, .. } => {
                null
            }
            State::Span { sums: [months, days, micros], .. } => {
                ScalarValue::IntervalMonthDayNano(Some(interval_of_sums(*months, *days, *micros)?))
            }
            State::Exact { sum, count, scale, mean: true } => {
                // 256 bits hold the sum, and their digits are an integer's.
                let total = match sum.to_i128() {
                    Some(total) => total.into(),
                    None => sum.to_string().parse().unwrap_or(IBig::ZERO),
                };
                ScalarValue::Utf8View(Some(Decimal::mean(total, (*scale).into(), *count).encode()))
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
                Some(best) => extreme_key(ScalarValue::try_from_array(best, 0)?),
            },
            State::Truth { value, .. } => ScalarValue::Boolean(*value),
            State::Bits { value, .. } if result == DataType::Int32 => {
                ScalarValue::Int32(value.map(|value| value as i32))
            }
            State::Bits { value, .. } => ScalarValue::Int64(*value),
            State::Spread { spread, deviation, scale } => match result {
                DataType::Decimal => {
                    let value = spread.numeric(*deviation, (*scale).into())?;
                    ScalarValue::Utf8View(value.map(|value| value.encode()))
                }
                _ => ScalarValue::Float64(spread.double(*deviation)?),
            },
            State::Texts { codec, rows } => ScalarValue::Utf8(joined(codec, rows)?),
            State::Elements { rows, .. } if rows.is_empty() => null,
            State::Elements { codec, rows } => match result {
                DataType::Array(element) => ScalarValue::BinaryView(Some(gathered(codec, rows, element)?)),
                other => return Err(DataFusionError::Internal(format!("an array of type {other}"))),
            },
        })
    }

    fn bytes(&self) -> usize {
        match self {
            State::Count(_) | State::Exact { .. } | State::Truth { .. } | State::Bits { .. } => 0,
            State::Span { .. } => 0,
            State::Float { .. } => size_of::<ExactSum>(),
            State::Extreme { best, .. } => best.as_ref().map_or(0, |best| best.get_array_memory_size()),
            State::Spread { spread, .. } => spread.bytes(),
            State::Texts { rows, .. } | State::Elements { rows, .. } => rows.bytes(),
        }
    }
}

/// Encodes what orders texts, then the texts and their delimiters.
fn text_codec(arguments: &[DataType], order: &[SortOptions]) -> RowCodec {
    let (texts, keys) = arguments.split_at(arguments.len() - order.len());
    let directions = order
        .iter()
        .map(|options| Direction { descending: options.descending, nulls_first: options.nulls_first });
    let keys: Vec<(DataType, Direction)> = keys.iter().copied().zip(directions).collect();
    RowCodec::ordered(&keys, texts)
}

/// Encodes what orders values, then what counts, and each value as it compares and as it looks: NULL last.
fn element_codec(arguments: &[DataType], order: &[SortOptions]) -> RowCodec {
    let (own, keys) = arguments.split_at(arguments.len() - order.len());
    let directions = order
        .iter()
        .map(|options| Direction { descending: options.descending, nulls_first: options.nulls_first });
    let mut columns: Vec<(DataType, Direction)> = keys.iter().copied().zip(directions).collect();
    let ascending = Direction { descending: false, nulls_first: false };
    columns.extend(own.iter().chain(own.last()).map(|data_type| (*data_type, ascending)));
    RowCodec::ordered(&columns, &[])
}

/// The rows that count, encoded: what orders them first.
fn elements(codec: &RowCodec, columns: &[ArrayRef]) -> Result<ByteRows> {
    let counts = is_not_null(&columns[0])?;
    let (own, keys) = columns.split_at(2);
    let columns = keys.iter().chain(own).map(|column| filter(column, &counts));
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    let mut compared = normalise_keys(&columns);
    compared.extend(columns.last().cloned());
    Ok(codec.encode(&compared, counts.true_count())?)
}

/// The values in their order, as the bytes of an array.
fn gathered(codec: &RowCodec, rows: &ByteRows, element: Element) -> Result<Vec<u8>> {
    let mut sorted: Vec<&[u8]> = rows.iter().collect();
    sorted.sort_unstable();
    let counts = vec![1; sorted.len()];
    let columns = codec.decode(sorted)?;
    let values = columns.last().ok_or_else(|| DataFusionError::Internal("no values".to_owned()))?;
    Ok(array_of(element, values, &counts)?)
}

/// The rows that have a text, encoded: what orders them first.
fn texts(codec: &RowCodec, columns: &[ArrayRef]) -> Result<ByteRows> {
    let has_text = is_not_null(&columns[0])?;
    let (texts, keys) = columns.split_at(2);
    let columns = keys.iter().chain(texts).map(|column| filter(column, &has_text));
    let columns = normalise_keys(&columns.collect::<Result<Vec<ArrayRef>, _>>()?);
    Ok(codec.encode(&columns, has_text.true_count())?)
}

/// The texts in their order, joined.
fn joined(codec: &RowCodec, rows: &ByteRows) -> Result<Option<String>> {
    let mut sorted: Vec<&[u8]> = rows.iter().collect();
    sorted.sort_unstable();
    let columns = codec.decode(sorted)?;
    let [.., texts, delimiters] = columns.as_slice() else {
        return Err(DataFusionError::Internal("texts without delimiters".to_owned()));
    };
    let parts = texts.as_string::<i32>().iter().zip(delimiters.as_string::<i32>());
    let parts = parts.map(|(text, delimiter)| (text.unwrap_or_default(), delimiter, 1));
    Ok(join_texts(parts)?)
}

/// The values that are not NULL, as integers: a numeric in units of its scale.
fn integers(values: &ArrayRef) -> Result<Box<dyn Iterator<Item = i128> + '_>> {
    Ok(match values.data_type() {
        ArrowType::Int32 => Box::new(values.as_primitive::<Int32Type>().iter().flatten().map(i128::from)),
        ArrowType::Int64 => Box::new(values.as_primitive::<Int64Type>().iter().flatten().map(i128::from)),
        ArrowType::Decimal128(..) => Box::new(values.as_primitive::<Decimal128Type>().iter().flatten()),
        other => return Err(DataFusionError::Internal(format!("integers of {other}"))),
    })
}

/// The sum of a batch of integers or numerics: a batch cannot overflow 256 bits.
fn exact_sum(values: &ArrayRef) -> Result<i256> {
    Ok(integers(values)?.fold(i256::ZERO, |sum, value| sum.wrapping_add(i256::from_i128(value))))
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

/// The bytes of the first jsonb or array of a column.
fn stored_bytes(column: &ArrayRef) -> Option<&[u8]> {
    let documents = column.as_binary_opt::<i64>().map(|values| values.value(0));
    documents.or_else(|| column.as_binary_view_opt().map(|values| values.value(0)))
}

/// Whether one value takes the place of the best so far, by the comparison that SQL has.
fn replaces(value: &ArrayRef, best: &ArrayRef, greatest: bool) -> Result<bool> {
    if let (Some(value), Some(best)) = (
        value.as_primitive_opt::<IntervalMonthDayNanoType>(),
        best.as_primitive_opt::<IntervalMonthDayNanoType>(),
    ) {
        let order = functions::compare_shown_intervals(value.value(0), best.value(0));
        return Ok(if greatest { order.is_gt() } else { order.is_lt() });
    }
    if let (Some(value), Some(best)) = (value.as_string_view_opt(), best.as_string_view_opt()) {
        // Of equal numerics the bytes tell by what is shown of them.
        let order = value.value(0).cmp(best.value(0));
        return Ok(if greatest { order.is_gt() } else { order.is_lt() });
    }
    if let (Some(value), Some(best)) = (stored_bytes(value), stored_bytes(best)) {
        let order = (compared_part(value), value).cmp(&(compared_part(best), best));
        return Ok(if greatest { order.is_gt() } else { order.is_lt() });
    }
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
    /// The combinations of arguments so far, where each counts once.
    seen: Option<HashSet<Vec<ScalarValue>>>,
    /// How many of the columns are arguments.
    width: usize,
    result: DataType,
}

impl fmt::Debug for Accumulate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accumulate({})", self.result)
    }
}

/// An extreme as it is shown: a float as a key, what equals may differ from as its row has it.
fn extreme_key(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::IntervalMonthDayNano(_)
        | ScalarValue::LargeBinary(_)
        | ScalarValue::BinaryView(_)
        | ScalarValue::Utf8View(_) => value,
        other => distinct_key(other),
    }
}

/// What counts once of equal numerics: the one without zeros at its end, whichever came first.
fn counted(value: &ArrayRef) -> ArrayRef {
    match value.data_type() {
        ArrowType::Utf8View => normalise_keys(std::slice::from_ref(value)).remove(0),
        _ => Arc::clone(value),
    }
}

/// A value as the key under which equal ones are one.
fn distinct_key(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(normalize_float(value))),
        ScalarValue::Float32(Some(value)) => ScalarValue::Float32(Some(normalize_real(value))),
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            ScalarValue::IntervalMonthDayNano(Some(normalise_interval(value)))
        }
        ScalarValue::LargeBinary(Some(value)) => ScalarValue::LargeBinary(Some(compared_part(&value))),
        ScalarValue::BinaryView(Some(value)) => ScalarValue::BinaryView(Some(compared_part(&value))),
        ScalarValue::Utf8View(Some(value)) => ScalarValue::Utf8View(Some(Decimal::normalised(&value))),
        other => other,
    }
}

impl Accumulator for Accumulate {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(seen) = &mut self.seen else { return self.state.update(values) };
        for row in (0..values[0].len()).filter(|row| values[0].is_valid(*row)) {
            let argument = |column: &ArrayRef| Ok(distinct_key(ScalarValue::try_from_array(column, row)?));
            if seen.insert(values[..self.width].iter().map(argument).collect::<Result<_>>()?) {
                let row: Vec<ArrayRef> = values.iter().map(|column| counted(&column.slice(row, 1))).collect();
                self.state.update(&row)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.state.finish(self.result)
    }

    fn size(&self) -> usize {
        let seen: usize = self.seen.iter().flatten().flatten().map(ScalarValue::size).sum();
        size_of::<Accumulate>() + seen + self.state.bytes()
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
        let mut state = State::new(function, &[DataType::Float64], &[]);
        for batch in batches {
            let values: ArrayRef = Arc::new(Float64Array::from(batch.to_vec()));
            state.update(&[values]).unwrap();
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
