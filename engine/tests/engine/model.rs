//! The naive model: a plan evaluated over whole tables, row by row, with nothing incremental in it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dashu_int::ops::SquareRoot;
use dashu_int::{IBig, UBig};
use millrace_engine::{
    Aggregate, AggregateFunction, DataError, DataType, Decimal, Expr, JoinKey, Literal, OrderKey, Plan,
    RelationId, quotient,
};

use crate::compiler::rows_up_to;
use crate::harness::{Bag, Row};

/// The rows of every table, with their multiplicities.
pub(crate) type Tables = BTreeMap<RelationId, Vec<(Row, i64)>>;

type Rows = Vec<(Row, i64)>;

/// The plan's rows over these tables, or the least error of any row.
pub(crate) fn evaluate(plan: &Plan, tables: &Tables) -> Result<Bag, DataError> {
    let mut errors = BTreeMap::<DataError, i64>::new();
    let rows = run(plan, tables, &mut errors);
    if let Some((error, _)) = errors.into_iter().find(|(_, count)| *count > 0) {
        return Err(error);
    }
    let mut bag = Bag::new();
    for (row, diff) in rows {
        *bag.entry(display(&row)).or_default() += diff;
    }
    bag.retain(|_, count| *count != 0);
    Ok(bag)
}

fn display(row: &Row) -> String {
    let cell = |literal: &Literal| match literal {
        Literal::Null(_) => "null".to_owned(),
        Literal::Boolean(value) => value.to_string(),
        Literal::Int32(value) => value.to_string(),
        Literal::Int64(value) => value.to_string(),
        Literal::Float64(bits) => format!("{:?}", f64::from_bits(*bits)),
        Literal::Text(value) => format!("'{value}'"),
        Literal::Numeric { value, scale, .. } => decimal(*value, *scale),
        Literal::Timestamp(_) => "timestamp".to_owned(),
        Literal::Date(days) => format!("day {days}"),
        Literal::Interval { .. } => "interval".to_owned(),
        Literal::TimestampTz(_) => "moment".to_owned(),
        Literal::Time(_) => "time".to_owned(),
        Literal::Json(value) => format!("'{value}'"),
        Literal::Jsonb(_) => "jsonb".to_owned(),
        Literal::Array { .. } => "array".to_owned(),
        Literal::Decimal(stored) => Decimal::decode(stored).unwrap().to_string(),
        Literal::Uuid(bytes) => format!("{bytes:?}"),
        Literal::Bytea(bytes) => format!("{bytes:?}"),
        Literal::Int16(value) => value.to_string(),
        Literal::Float32(bits) => format!("{:?}", f32::from_bits(*bits)),
    };
    row.iter().map(cell).collect::<Vec<_>>().join("|")
}

fn decimal(value: i128, scale: u8) -> String {
    if scale == 0 {
        return value.to_string();
    }
    let (unit, sign) = (10u128.pow(scale.into()), if value < 0 { "-" } else { "" });
    let magnitude = value.unsigned_abs();
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = scale.into())
}

fn run(plan: &Plan, tables: &Tables, errors: &mut BTreeMap<DataError, i64>) -> Rows {
    match plan {
        Plan::Get { relation, .. } => tables.get(relation).cloned().unwrap_or_default(),
        Plan::Constant { rows, .. } => rows.iter().map(|row| (row.clone(), 1)).collect(),
        Plan::Project { input, predicates, outputs } => {
            let rows = run(input.operator(), tables, errors);
            rows.into_iter()
                .filter_map(|(row, diff)| project(&row, predicates, outputs, diff, errors))
                .collect()
        }
        Plan::Join { left, right, keys } => {
            let [left, right] = sides([left.operator(), right.operator()], keys, tables, errors);
            let mut joined = Vec::new();
            for (left_key, l, left_diff) in &left {
                for (right_key, r, right_diff) in &right {
                    if matches(keys, left_key, right_key) {
                        joined.push(([l.clone(), r.clone()].concat(), left_diff * right_diff));
                    }
                }
            }
            joined
        }
        Plan::Reduce { input, keys, aggregates } => {
            let mut groups: BTreeMap<String, (Row, Rows)> = BTreeMap::new();
            for (row, diff) in run(input.operator(), tables, errors) {
                let group: Row = keys.iter().map(|key| normal(eval(key, &row).unwrap())).collect();
                groups.entry(format!("{group:?}")).or_insert_with(|| (group, Vec::new())).1.push((row, diff));
            }
            if keys.is_empty() {
                groups.entry(String::from("[]")).or_default();
            }
            let mut result = Vec::new();
            for (group, rows) in groups.into_values() {
                let count: i64 = rows.iter().map(|(_, diff)| diff).sum();
                if count == 0 && !keys.is_empty() {
                    continue;
                }
                let values: Result<Row, DataError> = aggregates.iter().map(|a| aggregate(a, &rows)).collect();
                match values {
                    Ok(values) => result.push(([group, values].concat(), 1)),
                    Err(error) => *errors.entry(error).or_default() += 1,
                }
            }
            result
        }
        Plan::Union { inputs } => {
            inputs.iter().flat_map(|input| run(input.operator(), tables, errors)).collect()
        }
        Plan::Exists { left, right, keys, anti } => {
            let [left, right] = sides([left.operator(), right.operator()], keys, tables, errors);
            let has_match = |key: &Row| right.iter().any(|(other, _, _)| matches(keys, key, other));
            let kept = left.into_iter().filter(|(key, _, _)| has_match(key) != *anti);
            kept.map(|(_, row, diff)| (row, diff)).collect()
        }
        Plan::Repeat { input, count } => {
            let rows = with_keys(run(input.operator(), tables, errors), std::slice::from_ref(count), errors);
            let mut repeated = Vec::new();
            for (count, row, diff) in rows {
                match count[0] {
                    Literal::Int64(count) if count > 1 << 31 => {
                        let error = DataError::out_of_range("number of copies of a row");
                        *errors.entry(error).or_default() += diff;
                    }
                    Literal::Int64(count) => repeated.push((row, diff * count.max(0))),
                    _ => {}
                }
            }
            repeated.into_iter().filter(|(_, diff)| *diff != 0).collect()
        }
        Plan::FlatMap { input, calls } => {
            let arguments: Vec<Expr> = calls.arguments().cloned().collect();
            let mut called = Vec::new();
            for (arguments, row, diff) in with_keys(run(input.operator(), tables, errors), &arguments, errors)
            {
                let counts: Result<Vec<i32>, DataError> = arguments.iter().map(count_up_to).collect();
                let counts = match counts {
                    Ok(counts) => counts,
                    Err(error) => {
                        *errors.entry(error).or_default() += diff;
                        continue;
                    }
                };
                let most = counts.iter().copied().max().unwrap_or(0);
                let kept: Row = calls.kept.iter().map(|column| row[*column].clone()).collect();
                let numbers = if most == 0 && calls.outer { 0..=0 } else { 1..=most };
                for number in numbers {
                    let shown = |count: &i32| match (1..=*count).contains(&number) {
                        true => Literal::Int32(number),
                        false => Literal::Null(DataType::Int32),
                    };
                    let numbered = calls.numbered.then(|| match number {
                        0 => Literal::Null(DataType::Int64),
                        number => Literal::Int64(number.into()),
                    });
                    let given = counts.iter().map(shown).chain(numbered);
                    called.push((kept.iter().cloned().chain(given).collect(), diff));
                }
            }
            called
        }
        Plan::TopK { input, keys, order, skip, fetch, numbered } => {
            let compared: Vec<Expr> = keys.iter().chain(order.iter().map(|key| &key.expr)).cloned().collect();
            let mut groups: BTreeMap<String, Vec<(Row, Row)>> = BTreeMap::new();
            for (values, row, diff) in with_keys(run(input.operator(), tables, errors), &compared, errors) {
                let (group, values) = values.split_at(keys.len());
                let group = groups.entry(format!("{group:?}")).or_default();
                (0..diff).for_each(|_| group.push((values.to_vec(), row.clone())));
            }
            let mut kept = Vec::new();
            for mut group in groups.into_values() {
                group.sort_by(|(a, row_a), (b, row_b)| {
                    by_order(order, a, b).then_with(|| by_row(row_a, row_b))
                });
                let window = group.into_iter().enumerate().skip(*skip as usize);
                for (index, (_, row)) in window.take(fetch.map_or(usize::MAX, |fetch| fetch as usize)) {
                    let number = numbered.then_some(Literal::Int64(index as i64 + 1));
                    kept.push((row.into_iter().chain(number).collect(), 1));
                }
            }
            kept
        }
    }
}

/// How many rows `up_to` gives for a value.
fn count_up_to(value: &Literal) -> Result<i32, DataError> {
    rows_up_to(match value {
        Literal::Int32(value) => Some(*value),
        _ => None,
    })
}

/// Rows with the normal values of some expressions; where one fails, an error in the row's place.
fn with_keys(rows: Rows, keys: &[Expr], errors: &mut BTreeMap<DataError, i64>) -> Vec<(Row, Row, i64)> {
    let mut keyed = Vec::new();
    for (row, diff) in rows {
        match keys.iter().map(|key| eval(key, &row).map(normal)).collect::<Result<Row, DataError>>() {
            Ok(values) => keyed.push((values, row, diff)),
            Err(error) => *errors.entry(error).or_default() += diff,
        }
    }
    keyed
}

/// Whether two values are equal as keys.
fn equal(a: &Literal, b: &Literal, nulls_equal: bool) -> bool {
    match is_null(a) || is_null(b) {
        true => nulls_equal && is_null(a) && is_null(b),
        false => key(a) == key(b),
    }
}

fn by_order(order: &[OrderKey], a: &Row, b: &Row) -> Ordering {
    let compare = |(key, (a, b)): (&OrderKey, (&Literal, &Literal))| match (is_null(a), is_null(b)) {
        (false, false) if key.descending => by_value(b, a),
        (false, false) => by_value(a, b),
        (a, b) if key.nulls_first => b.cmp(&a),
        (a, b) => a.cmp(&b),
    };
    order.iter().zip(a.iter().zip(b)).map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Whole rows: columns ascending, NULL first.
fn by_row(a: &Row, b: &Row) -> Ordering {
    let compare = |(a, b): (&Literal, &Literal)| match (is_null(a), is_null(b)) {
        (false, false) => by_value(a, b),
        (a, b) => b.cmp(&a),
    };
    a.iter().zip(b).map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn by_value(a: &Literal, b: &Literal) -> Ordering {
    match (a, b) {
        (Literal::Int32(a), Literal::Int32(b)) => a.cmp(b),
        (Literal::Int64(a), Literal::Int64(b)) => a.cmp(b),
        (Literal::Text(a), Literal::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Literal::Float64(a), Literal::Float64(b)) => f64::from_bits(*a).total_cmp(&f64::from_bits(*b)),
        (Literal::Numeric { value: a, .. }, Literal::Numeric { value: b, .. }) => a.cmp(b),
        (a, b) => panic!("the model does not order {a} and {b}"),
    }
}

/// The rows of both sides of a join with their keys.
fn sides(
    inputs: [&Plan; 2],
    keys: &[JoinKey],
    tables: &Tables,
    errors: &mut BTreeMap<DataError, i64>,
) -> [Vec<(Row, Row, i64)>; 2] {
    let exprs = |side: fn(&JoinKey) -> &Expr| keys.iter().map(|key| side(key).clone()).collect::<Vec<_>>();
    let [left, right] = inputs.map(|input| run(input, tables, errors));
    [with_keys(left, &exprs(|key| &key.left), errors), with_keys(right, &exprs(|key| &key.right), errors)]
}

/// Whether the keys of two rows match.
fn matches(keys: &[JoinKey], left: &Row, right: &Row) -> bool {
    keys.iter().zip(left.iter().zip(right)).all(|(key, (a, b))| equal(a, b, key.nulls_equal))
}

fn project(
    row: &Row,
    predicates: &[Expr],
    outputs: &[Expr],
    diff: i64,
    errors: &mut BTreeMap<DataError, i64>,
) -> Option<(Row, i64)> {
    for predicate in predicates {
        match eval(predicate, row) {
            Ok(Literal::Boolean(true)) => {}
            Ok(_) => return None,
            Err(error) => {
                *errors.entry(error).or_default() += diff;
                return None;
            }
        }
    }
    match outputs.iter().map(|output| eval(output, row)).collect::<Result<Row, DataError>>() {
        Ok(row) => Some((row, diff)),
        Err(error) => {
            *errors.entry(error).or_default() += diff;
            None
        }
    }
}

fn is_null(literal: &Literal) -> bool {
    matches!(literal, Literal::Null(_))
}

/// Keys compare doubles by value: -0.0 is 0.0, NaN is NaN.
fn normal(literal: Literal) -> Literal {
    match literal {
        Literal::Float64(bits) if f64::from_bits(bits) == 0.0 => Literal::Float64(0),
        Literal::Float64(bits) if f64::from_bits(bits).is_nan() => Literal::Float64(f64::NAN.to_bits()),
        Literal::Decimal(stored) => Literal::Decimal(Decimal::normalised(&stored)),
        other => other,
    }
}

fn key(literal: &Literal) -> String {
    format!("{:?}", normal(literal.clone()))
}

fn eval(expr: &Expr, row: &Row) -> Result<Literal, DataError> {
    Ok(match expr {
        Expr::Column(index) => row[*index].clone(),
        Expr::Literal(literal) => literal.clone(),
        Expr::Call { function, arguments, data_type, .. } => {
            let (left, right) = (eval(&arguments[0], row)?, eval(&arguments[1], row)?);
            call(function, left, right, *data_type)?
        }
        Expr::And(terms) => {
            let terms = terms.iter().map(|term| eval(term, row)).collect::<Result<Vec<_>, _>>()?;
            if terms.contains(&Literal::Boolean(false)) {
                Literal::Boolean(false)
            } else if terms.iter().any(is_null) {
                Literal::Null(DataType::Boolean)
            } else {
                Literal::Boolean(true)
            }
        }
        Expr::Not(inner) => match eval(inner, row)? {
            Literal::Boolean(value) => Literal::Boolean(!value),
            null => null,
        },
        Expr::IsNull(inner) => Literal::Boolean(is_null(&eval(inner, row)?)),
        other => panic!("the model has no {other}"),
    })
}

fn call(function: &str, left: Literal, right: Literal, data_type: DataType) -> Result<Literal, DataError> {
    let overflow = || DataError::out_of_range("value");
    Ok(match (function, left, right) {
        (_, Literal::Null(_), _) | (_, _, Literal::Null(_)) => Literal::Null(data_type),
        ("add", Literal::Int32(a), Literal::Int32(b)) => {
            Literal::Int32(a.checked_add(b).ok_or_else(overflow)?)
        }
        ("add", Literal::Int64(a), Literal::Int64(b)) => {
            Literal::Int64(a.checked_add(b).ok_or_else(overflow)?)
        }
        ("divide", Literal::Int64(_), Literal::Int64(0)) => return Err(DataError::division_by_zero()),
        ("divide", Literal::Int64(a), Literal::Int64(b)) => {
            Literal::Int64(a.checked_div(b).ok_or_else(overflow)?)
        }
        ("multiply", Literal::Int32(a), Literal::Int32(b)) => {
            Literal::Int32(a.checked_mul(b).ok_or_else(overflow)?)
        }
        ("divide", Literal::Int32(_), Literal::Int32(0)) => return Err(DataError::division_by_zero()),
        ("divide", Literal::Int32(a), Literal::Int32(b)) => {
            Literal::Int32(a.checked_div(b).ok_or_else(overflow)?)
        }
        ("greater", Literal::Int32(a), Literal::Int32(b)) => Literal::Boolean(a > b),
        ("equal", Literal::Int32(a), Literal::Int32(b)) => Literal::Boolean(a == b),
        (function, a, b) => panic!("the model has no {function}({a}, {b})"),
    })
}

/// What an aggregate reads of some rows: its arguments, then what orders them; and how often.
type Read = (Vec<Literal>, i64);

fn aggregate(aggregate: &Aggregate, rows: &Rows) -> Result<Literal, DataError> {
    use AggregateFunction as F;
    if aggregate.arguments.is_empty() {
        return Ok(Literal::Int64(rows.iter().map(|(_, diff)| diff).sum()));
    }
    let read = read_by(aggregate, rows);
    let values: Vec<(Literal, i64)> = read.iter().map(|(read, count)| (read[0].clone(), *count)).collect();
    let count: i64 = values.iter().map(|(_, count)| count).sum();
    let truths = || values.iter().map(|(value, _)| *value == Literal::Boolean(true));
    match aggregate.function {
        F::Count => Ok(Literal::Int64(count)),
        _ if count == 0 => Ok(Literal::Null(aggregate.data_type)),
        F::Sum => sum(&values, aggregate.data_type, 1),
        F::Avg => sum(&values, aggregate.data_type, count),
        F::Min => Ok(extreme(&values, false)),
        F::Max => Ok(extreme(&values, true)),
        F::BoolAnd => Ok(Literal::Boolean(truths().all(|truth| truth))),
        F::BoolOr => Ok(Literal::Boolean(truths().any(|truth| truth))),
        F::BitAnd => Ok(bits(&values, |a, b| a & b)),
        F::BitOr => Ok(bits(&values, |a, b| a | b)),
        F::BitXor => Ok(bits(&values, |a, b| a ^ b)),
        F::VarPop => deviation(&values, aggregate.data_type, count, false),
        F::VarSamp => deviation(&values, aggregate.data_type, count - 1, false),
        F::StddevPop => deviation(&values, aggregate.data_type, count, true),
        F::StddevSamp => deviation(&values, aggregate.data_type, count - 1, true),
        F::StringAgg => Ok(joined(aggregate, read)),
        F::ArrayAgg => panic!("the model has no arrays"),
    }
}

/// What the aggregate reads, each combination once, those whose first argument is NULL left out.
fn read_by(aggregate: &Aggregate, rows: &Rows) -> Vec<Read> {
    let width = aggregate.arguments.len();
    let mut net: BTreeMap<String, Read> = BTreeMap::new();
    for (row, diff) in rows {
        let exprs = aggregate.arguments.iter().chain(aggregate.order.iter().map(|key| &key.expr));
        let read: Vec<Literal> = exprs.map(|expr| normal(eval(expr, row).unwrap())).collect();
        if !is_null(&read[0]) {
            net.entry(format!("{read:?}")).or_insert((read, 0)).1 += diff;
        }
    }
    net.retain(|_, (_, count)| *count != 0);
    if !aggregate.distinct {
        return net.into_values().collect();
    }
    let mut once: BTreeMap<String, Read> = BTreeMap::new();
    for (read, _) in net.into_values() {
        once.insert(format!("{:?}", &read[..width]), (read, 1));
    }
    once.into_values().collect()
}

fn bits(values: &[(Literal, i64)], fold: fn(i64, i64) -> i64) -> Literal {
    let each = values.iter().flat_map(|(value, count)| std::iter::repeat_n(value, *count as usize));
    let of = |value: &Literal| match value {
        Literal::Int32(value) => i64::from(*value),
        Literal::Int64(value) => *value,
        other => panic!("bits of {other}"),
    };
    let folded = each.map(of).reduce(fold).unwrap();
    if matches!(values[0].0, Literal::Int32(_)) {
        Literal::Int32(folded as i32)
    } else {
        Literal::Int64(folded)
    }
}

fn joined(aggregate: &Aggregate, mut read: Vec<Read>) -> Literal {
    let width = aggregate.arguments.len();
    let nulls = |a: &Literal, b: &Literal, first: bool| {
        let order = is_null(a).cmp(&is_null(b));
        if first { order.reverse() } else { order }
    };
    let valued =
        |a: &Literal, b: &Literal| if is_null(a) || is_null(b) { Ordering::Equal } else { by_value(a, b) };
    read.sort_by(|(a, _), (b, _)| {
        let keys = aggregate.order.iter().enumerate().map(|(index, key)| {
            let (a, b) = (&a[width + index], &b[width + index]);
            let by_value = if key.descending { valued(b, a) } else { valued(a, b) };
            nulls(a, b, key.nulls_first).then(by_value)
        });
        let ties =
            (0..width).map(|index| nulls(&a[index], &b[index], true).then(valued(&a[index], &b[index])));
        keys.chain(ties).fold(Ordering::Equal, Ordering::then)
    });
    let mut text: Option<String> = None;
    for (read, count) in read {
        let piece =
            |literal: &Literal| if let Literal::Text(text) = literal { text.clone() } else { String::new() };
        for _ in 0..count {
            let before = text.map_or(String::new(), |text| text + &piece(&read[1]));
            text = Some(before + &piece(&read[0]));
        }
    }
    text.map_or(Literal::Null(DataType::Text), Literal::Text)
}

/// The definition: the squares of the distances from the mean, summed, over `divisor`, in decimal digits.
/// Doubles are rounded by the standard library, which reads those digits.
fn deviation(
    values: &[(Literal, i64)],
    data_type: DataType,
    divisor: i64,
    root: bool,
) -> Result<Literal, DataError> {
    const DIGITS: usize = 2400;
    let count: i64 = values.iter().map(|(_, count)| count).sum();
    if divisor < 1 {
        return Ok(Literal::Null(data_type));
    }
    let special = |(value, _): &(Literal, i64)| matches!(value, Literal::Float64(bits) if !f64::from_bits(*bits).is_finite());
    if values.iter().any(special) {
        return Ok(Literal::Float64(f64::NAN.to_bits()));
    }
    let sum: IBig = values.iter().map(|(value, count)| whole(value) * count).sum();
    let squares: IBig =
        values.iter().map(|(value, times)| (whole(value) * count - &sum).pow(2) * times).sum();
    if data_type == DataType::Decimal {
        let variance = quotient((&(squares / count), 0), (&(IBig::from(count) * divisor), 0));
        return Ok(Literal::Decimal(if root { rooted(variance) } else { without_zeros(variance) }.encode()));
    }
    let divisor = IBig::from(count).pow(2) * divisor;
    let power = |exponent: usize| IBig::from(10u8).pow(exponent);
    // Units of 2^-2148 are 5^2148 units of 10^-2148.
    let digits = squares * power(2 * DIGITS - 2148) * IBig::from(5u8).pow(2148) / divisor;
    let (digits, exponent) = match root {
        true => (UBig::try_from(digits).unwrap().sqrt().into(), DIGITS),
        false => (digits, 2 * DIGITS),
    };
    let value: f64 = format!("{digits}e-{exponent}").parse().unwrap();
    if value.is_infinite() { Err(DataError::float_overflow()) } else { Ok(Literal::Float64(value.to_bits())) }
}

/// Nothing deviates: PostgreSQL shows no digits behind the point then.
fn without_zeros(variance: Decimal) -> Decimal {
    match &variance {
        Decimal::Number { unscaled, .. } if unscaled.is_zero() => Decimal::new(0, 0),
        _ => variance,
    }
}

/// The root with as many digits behind the point, half up.
fn rooted(variance: Decimal) -> Decimal {
    let Decimal::Number { unscaled, scale } = without_zeros(variance) else {
        panic!("a variance is a number")
    };
    let square = UBig::try_from(unscaled * IBig::from(10).pow(scale.into())).unwrap();
    Decimal::new(((square * 4u8).sqrt() + 1u8) / 2u8, scale)
}

/// An integer as itself, a double in units of 2^-1074.
fn whole(value: &Literal) -> IBig {
    match value {
        Literal::Int32(value) => IBig::from(*value),
        Literal::Int64(value) => IBig::from(*value),
        Literal::Float64(bits) => {
            let (exponent, fraction) = ((bits >> 52 & 0x7ff) as u32, bits & ((1 << 52) - 1));
            let magnitude = match exponent {
                0 => IBig::from(fraction),
                _ => IBig::from(fraction | 1 << 52) << (exponent as usize - 1),
            };
            if bits >> 63 == 1 { -magnitude } else { magnitude }
        }
        other => panic!("a deviation of {other}"),
    }
}

fn extreme(values: &[(Literal, i64)], greatest: bool) -> Literal {
    let order = |a: &Literal, b: &Literal| by_value(&normal(a.clone()), &normal(b.clone()));
    let mut sorted: Vec<Literal> = values.iter().map(|(value, _)| value.clone()).collect();
    sorted.sort_by(order);
    normal(if greatest { sorted.pop().unwrap() } else { sorted.remove(0) })
}

fn sum(values: &[(Literal, i64)], data_type: DataType, divisor: i64) -> Result<Literal, DataError> {
    if data_type == DataType::Float64 {
        let mut exact = millrace_engine::ExactSum::default();
        for (value, count) in values {
            let Literal::Float64(bits) = value else { panic!("a sum of doubles") };
            exact.add(f64::from_bits(*bits), *count);
        }
        if exact.finish().is_infinite() && exact.is_finite() {
            return Err(DataError::float_overflow());
        }
        let total = exact.finish();
        let result = if divisor == 1 { total } else { total / divisor as f64 };
        return Ok(Literal::Float64(result.to_bits()));
    }
    let integer = |value: &Literal| match value {
        Literal::Int32(value) => i128::from(*value),
        Literal::Int64(value) => i128::from(*value),
        other => panic!("a sum of {other}"),
    };
    let total: i128 = values.iter().map(|(value, count)| integer(value) * i128::from(*count)).sum();
    Ok(match data_type {
        DataType::Int64 => {
            Literal::Int64(i64::try_from(total).map_err(|_| DataError::out_of_range("bigint"))?)
        }
        DataType::Numeric { precision, scale } => Literal::Numeric { value: total, precision, scale },
        DataType::Decimal => {
            Literal::Decimal(quotient((&IBig::from(total), 0), (&IBig::from(divisor), 0)).encode())
        }
        other => panic!("a sum as {other}"),
    })
}
