//! `numeric` of any number of digits: arithmetic, rounding, casts. Digits behind the point of each result are those
//! that PostgreSQL shows (its numeric.c); beyond its limits a value is 22003.
//!
//! An argument may also be a numeric of a fixed scale: it is read as one of any.

use std::sync::Arc;

use dashu_int::ops::{DivRem, Gcd, UnsignedAbs};
use dashu_int::{IBig, UBig};
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringViewArray,
};
use datafusion::arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
};
use millrace_engine::{
    DataError, DataType, Decimal, NUMERIC_PRECISION_MAX, digits_of, quotient, rescaled, rounded_quotient,
    ten_to,
};

use super::inputs::{Input, Inputs};
use crate::text_form;

pub(super) type Computed = Result<ArrayRef, DataError>;
type Number = Result<Decimal, DataError>;

/// The most digits that `round` and `trunc` keep, behind the point or before it.
const DIGITS_MAX: i32 = 2_000;

/// What is stored is ours, so that it can be read.
fn damaged() -> DataError {
    DataError::new("XX000", "a numeric cannot be read")
}

/// The numbers of an argument.
pub(super) fn reader<'a>(input: &'a Input) -> Box<dyn Fn(usize) -> Number + 'a> {
    if let ArrowType::Decimal128(_, scale) = input.array().data_type() {
        let (values, scale) = (input.primitive::<Decimal128Type>(), scale.unsigned_abs().into());
        return Box::new(move |row| Ok(Decimal::new(values.get(row), scale)));
    }
    let stored = input.stored_numeric();
    Box::new(move |row| Decimal::decode(stored(row)).ok_or_else(damaged))
}

/// Computes a number by row; rows with a NULL argument are NULL.
pub(super) fn build(inputs: &Inputs, compute: impl Fn(usize) -> Number) -> Computed {
    build_some(inputs, |row| compute(row).map(Some))
}

/// The same where a row may be NULL besides.
pub(super) fn build_some(
    inputs: &Inputs,
    compute: impl Fn(usize) -> Result<Option<Decimal>, DataError>,
) -> Computed {
    let nulls = inputs.nulls();
    let is_valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let stored = |row| {
        if !is_valid(row) {
            return Ok(None);
        }
        Ok(compute(row)?.map(|number| number.encode()))
    };
    Ok(Arc::new((0..inputs.rows()).map(stored).collect::<Result<StringViewArray, DataError>>()?))
}

fn unary(inputs: &Inputs, apply: impl Fn(Decimal) -> Number) -> Computed {
    let value = reader(inputs.get(0));
    build(inputs, |row| apply(value(row)?))
}

fn binary(inputs: &Inputs, apply: impl Fn(Decimal, Decimal) -> Number) -> Computed {
    let (left, right) = (reader(inputs.get(0)), reader(inputs.get(1)));
    build(inputs, |row| apply(left(row)?, right(row)?))
}

/// -1, 0 or 1; of NaN 0.
pub(super) fn sign_of(number: &Decimal) -> i32 {
    match number {
        Decimal::NaN => 0,
        Decimal::NegativeInfinity => -1,
        Decimal::Infinity => 1,
        Decimal::Number { unscaled, .. } => match unscaled.cmp(&IBig::ZERO) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        },
    }
}

fn is_infinite(number: &Decimal) -> bool {
    matches!(number, Decimal::Infinity | Decimal::NegativeInfinity)
}

fn infinity(sign: i32) -> Decimal {
    match sign {
        0 => Decimal::NaN,
        ..0 => Decimal::NegativeInfinity,
        _ => Decimal::Infinity,
    }
}

pub(super) fn negated(number: Decimal) -> Decimal {
    match number {
        Decimal::NaN => Decimal::NaN,
        Decimal::Infinity => Decimal::NegativeInfinity,
        Decimal::NegativeInfinity => Decimal::Infinity,
        Decimal::Number { unscaled, scale } => Decimal::Number { unscaled: -unscaled, scale },
    }
}

/// Two numbers in units of the finer one's.
fn aligned(left: (IBig, u16), right: (IBig, u16)) -> (IBig, IBig, u16) {
    let scale = left.1.max(right.1);
    let wide = |(value, own): (IBig, u16)| rescaled(value, own.into(), scale.into());
    (wide(left), wide(right), scale)
}

pub(super) fn sum(left: Decimal, right: Decimal) -> Number {
    Ok(match (left, right) {
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t }) => {
            let (a, b, scale) = aligned((a, s), (b, t));
            return Decimal::fitted(a + b, scale.into());
        }
        (Decimal::NaN, _) | (_, Decimal::NaN) => Decimal::NaN,
        (left, right) if is_infinite(&left) && is_infinite(&right) && left != right => Decimal::NaN,
        (left, _) if is_infinite(&left) => left,
        (_, right) => right,
    })
}

pub(super) fn product(left: Decimal, right: Decimal) -> Number {
    match (left, right) {
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t }) => {
            Decimal::fitted(a * b, u32::from(s) + u32::from(t))
        }
        // Infinity times zero is none, as NaN times anything.
        (left, right) => Ok(infinity(sign_of(&left) * sign_of(&right))),
    }
}

pub(super) fn divided(left: Decimal, right: Decimal) -> Number {
    Ok(match (left, right) {
        (Decimal::NaN, _) | (_, Decimal::NaN) => Decimal::NaN,
        (_, right) if sign_of(&right) == 0 => return Err(DataError::division_by_zero()),
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t }) => {
            quotient((&a, s), (&b, t))
        }
        (Decimal::Number { .. }, _) => Decimal::new(0, 0),
        (_, right) if is_infinite(&right) => Decimal::NaN,
        (left, right) => infinity(sign_of(&left) * sign_of(&right)),
    })
}

fn remainder(left: Decimal, right: Decimal) -> Number {
    Ok(match (left, right) {
        (Decimal::NaN, _) | (_, Decimal::NaN) => Decimal::NaN,
        (_, right) if sign_of(&right) == 0 => return Err(DataError::division_by_zero()),
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t }) => {
            let (a, b, scale) = aligned((a, s), (b, t));
            Decimal::new(a % b, scale)
        }
        (left @ Decimal::Number { .. }, _) => left,
        _ => Decimal::NaN,
    })
}

/// `div`: the whole quotient, cut towards zero.
fn whole_quotient(left: Decimal, right: Decimal) -> Number {
    match (left, right) {
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t })
            if !b.is_zero() =>
        {
            let (a, b, _) = aligned((a, s), (b, t));
            Ok(Decimal::new(a / b, 0))
        }
        (left, right) => divided(left, right),
    }
}

pub(super) fn add(inputs: &Inputs) -> Computed {
    binary(inputs, sum)
}

pub(super) fn subtract(inputs: &Inputs) -> Computed {
    binary(inputs, |left, right| sum(left, negated(right)))
}

pub(super) fn multiply(inputs: &Inputs) -> Computed {
    binary(inputs, product)
}

pub(super) fn divide(inputs: &Inputs) -> Computed {
    binary(inputs, divided)
}

pub(super) fn modulo(inputs: &Inputs) -> Computed {
    binary(inputs, remainder)
}

/// `div(numeric, numeric)`
pub(crate) fn div(inputs: &Inputs, _: DataType) -> Computed {
    binary(inputs, whole_quotient)
}

pub(super) fn negate(inputs: &Inputs) -> Computed {
    unary(inputs, |number| Ok(negated(number)))
}

pub(super) fn abs(inputs: &Inputs) -> Computed {
    unary(inputs, |number| Ok(if sign_of(&number) < 0 { negated(number) } else { number }))
}

pub(super) fn sign(inputs: &Inputs) -> Computed {
    unary(inputs, |number| match number {
        Decimal::NaN => Ok(Decimal::NaN),
        number => Ok(Decimal::new(sign_of(&number), 0)),
    })
}

/// The number with so many digits behind the point; negative: so many before it are zero. `divide` gives the
/// units that are kept.
fn cut(number: Decimal, digits: i32, divide: fn(&IBig, &IBig) -> IBig) -> Number {
    let Decimal::Number { unscaled, scale } = number else { return Ok(number) };
    let digits = digits.clamp(-DIGITS_MAX, DIGITS_MAX);
    let shown = digits.max(0) as u32;
    let unscaled = match u32::try_from(i32::from(scale) - digits) {
        Ok(dropped) => divide(&unscaled, &ten_to(dropped)),
        Err(_) => return Decimal::fitted(rescaled(unscaled, scale.into(), shown), shown),
    };
    // Digits that are dropped before the point come back as zeros.
    let unscaled = if digits < 0 { unscaled * ten_to(digits.unsigned_abs()) } else { unscaled };
    Decimal::fitted(unscaled, shown)
}

fn truncated(numerator: &IBig, denominator: &IBig) -> IBig {
    numerator / denominator
}

fn floored(numerator: &IBig, denominator: &IBig) -> IBig {
    let (quotient, rest) = numerator.div_rem(denominator);
    if rest < IBig::ZERO { quotient - 1 } else { quotient }
}

fn ceiled(numerator: &IBig, denominator: &IBig) -> IBig {
    -floored(&-numerator, denominator)
}

pub(super) fn round(inputs: &Inputs) -> Computed {
    unary(inputs, |number| cut(number, 0, rounded_quotient))
}

pub(super) fn trunc(inputs: &Inputs) -> Computed {
    unary(inputs, |number| cut(number, 0, truncated))
}

pub(super) fn ceil(inputs: &Inputs) -> Computed {
    unary(inputs, |number| cut(number, 0, ceiled))
}

pub(super) fn floor(inputs: &Inputs) -> Computed {
    unary(inputs, |number| cut(number, 0, floored))
}

fn cut_to(inputs: &Inputs, divide: fn(&IBig, &IBig) -> IBig) -> Computed {
    let (number, digits) = (reader(inputs.get(0)), inputs.get(1).primitive::<Int32Type>());
    build(inputs, |row| cut(number(row)?, digits.get(row), divide))
}

pub(super) fn round_to(inputs: &Inputs) -> Computed {
    cut_to(inputs, rounded_quotient)
}

pub(super) fn trunc_to(inputs: &Inputs) -> Computed {
    cut_to(inputs, truncated)
}

/// `scale(numeric)`: the digits behind the point; NULL of NaN and the infinities.
pub(crate) fn scale(inputs: &Inputs, _: DataType) -> Computed {
    digits_behind(inputs, |_, scale| scale)
}

/// `min_scale(numeric)`: those that the value needs.
pub(crate) fn min_scale(inputs: &Inputs, _: DataType) -> Computed {
    digits_behind(inputs, |unscaled, scale| without_zeros(unscaled, scale).1)
}

fn digits_behind(inputs: &Inputs, count: fn(IBig, u16) -> u16) -> Computed {
    let (number, nulls) = (reader(inputs.get(0)), inputs.nulls());
    let is_valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let digits = |row| {
        if !is_valid(row) {
            return Ok(None);
        }
        Ok(match number(row)? {
            Decimal::Number { unscaled, scale } => Some(i32::from(count(unscaled, scale))),
            Decimal::NaN | Decimal::Infinity | Decimal::NegativeInfinity => None,
        })
    };
    let digits = (0..inputs.rows()).map(digits).collect::<Result<PrimitiveArray<Int32Type>, DataError>>()?;
    Ok(Arc::new(digits))
}

fn without_zeros(mut unscaled: IBig, mut scale: u16) -> (IBig, u16) {
    while scale > 0 {
        let (quotient, rest) = (&unscaled).div_rem(IBig::from(10));
        if !rest.is_zero() {
            break;
        }
        (unscaled, scale) = (quotient, scale - 1);
    }
    (unscaled, scale)
}

/// `trim_scale(numeric)`: without zeros at its end.
pub(crate) fn trim_scale(inputs: &Inputs, _: DataType) -> Computed {
    unary(inputs, |number| match number {
        Decimal::Number { unscaled, scale } => {
            let (unscaled, scale) = without_zeros(unscaled, scale);
            Ok(Decimal::new(unscaled, scale))
        }
        other => Ok(other),
    })
}

/// The greatest common divisor, or a multiple, of two numbers in units of the finer one's.
fn of_divisors(inputs: &Inputs, compute: fn(UBig, UBig) -> UBig) -> Computed {
    binary(inputs, |left, right| match (left, right) {
        (Decimal::Number { unscaled: a, scale: s }, Decimal::Number { unscaled: b, scale: t }) => {
            let (a, b, scale) = aligned((a, s), (b, t));
            Decimal::fitted(compute(a.unsigned_abs(), b.unsigned_abs()).into(), scale.into())
        }
        _ => Ok(Decimal::NaN),
    })
}

fn divisor(a: UBig, b: UBig) -> UBig {
    if a.is_zero() && b.is_zero() { a } else { a.gcd(b) }
}

/// `gcd(numeric, numeric)`
pub(crate) fn gcd(inputs: &Inputs, _: DataType) -> Computed {
    of_divisors(inputs, divisor)
}

/// `lcm(numeric, numeric)`
pub(crate) fn lcm(inputs: &Inputs, _: DataType) -> Computed {
    of_divisors(inputs, |a, b| match a.is_zero() || b.is_zero() {
        true => UBig::ZERO,
        false => &a / divisor(a.clone(), b.clone()) * b,
    })
}

/// `factorial(bigint)`
pub(crate) fn factorial(inputs: &Inputs, _: DataType) -> Computed {
    /// The greatest number whose factorial PostgreSQL's numeric holds.
    const GREATEST: i64 = 32_177;
    let value = inputs.get(0).primitive::<Int64Type>();
    build(inputs, |row| match value.get(row) {
        ..0 => Err(DataError::new("22003", "factorial of a negative number is undefined")),
        n @ 0..=GREATEST => Ok(Decimal::new((1..=n).fold(IBig::ONE, |product, factor| product * factor), 0)),
        _ => Err(DataError::new("22003", "value overflows numeric format")),
    })
}

/// `width_bucket(value, low, high, count)`: from 1, 0 before them, `count` + 1 behind them.
pub(crate) fn width_bucket(inputs: &Inputs, _: DataType) -> Computed {
    let [value, low, high] = [0, 1, 2].map(|place| reader(inputs.get(place)));
    let count = inputs.get(3).primitive::<Int32Type>();
    let invalid = |why: &str| Err(DataError::new("2201G", why));
    let bucket = |row: usize| {
        let (value, low, high, count) = (value(row)?, low(row)?, high(row)?, count.get(row));
        if count <= 0 {
            return invalid("count must be greater than zero");
        }
        if [&value, &low, &high].contains(&&Decimal::NaN) {
            return invalid("operand, lower bound, and upper bound cannot be NaN");
        }
        if is_infinite(&low) || is_infinite(&high) {
            return invalid("lower and upper bounds must be finite");
        }
        // Both ways are one with the signs turned.
        let width = sum(high, negated(low.clone()))?;
        let (value, low, width) = match sign_of(&width) {
            0 => return invalid("lower bound cannot equal upper bound"),
            1 => (value, low, width),
            _ => (negated(value), negated(low), negated(width)),
        };
        let above = sum(value, negated(low))?;
        let behind = || count.checked_add(1).ok_or_else(|| DataError::out_of_range("integer"));
        if sign_of(&above) < 0 {
            return Ok(0);
        }
        if sign_of(&sum(width.clone(), negated(above.clone()))?) <= 0 {
            return behind();
        }
        let place = whole_quotient(product(above, Decimal::new(count, 0))?, width)?;
        let Decimal::Number { unscaled, .. } = place else { return behind() };
        Ok(i32::try_from(unscaled).unwrap_or(count - 1) + 1)
    };
    Ok(Arc::new(inputs.build::<Int32Type>(bucket)?))
}

/// A column of numerics of a fixed scale as numerics of any.
pub(super) fn widened(inputs: &Inputs) -> Computed {
    unary(inputs, Ok)
}

/// Numbers of a primitive type.
pub(super) fn of_whole<T: ArrowPrimitiveType>(inputs: &Inputs) -> Computed
where
    IBig: From<T::Native>,
{
    let values = inputs.get(0).primitive::<T>();
    build(inputs, |row| Ok(Decimal::new(IBig::from(values.get(row)), 0)))
}

/// A double's 15 significant digits.
pub(super) fn of_doubles(inputs: &Inputs) -> Computed {
    let values = inputs.get(0).primitive::<Float64Type>();
    build(inputs, |row| of_float(values.get(row), 15))
}

/// A real's 6 significant digits.
pub(super) fn of_reals(inputs: &Inputs) -> Computed {
    let values = inputs.get(0).primitive::<Float32Type>();
    build(inputs, |row| of_float(values.get(row).into(), 6))
}

fn of_float(value: f64, digits: usize) -> Number {
    match value {
        _ if value.is_nan() => Ok(Decimal::NaN),
        f64::INFINITY => Ok(Decimal::Infinity),
        f64::NEG_INFINITY => Ok(Decimal::NegativeInfinity),
        _ => text_form::parse_unlimited(&text_form::significant_digits(value, digits)),
    }
}

/// Texts, read.
pub(super) fn of_texts(inputs: &Inputs) -> Computed {
    let text = inputs.get(0).text();
    build(inputs, |row| text_form::parse_unlimited(text(row)))
}

/// The texts of numbers.
pub(super) fn shown(inputs: &Inputs) -> Computed {
    let value = reader(inputs.get(0));
    inputs.build_text(|row| Ok(value(row)?.to_string()))
}

/// The whole number nearest to each, halves away from zero.
pub(super) fn to_whole<T: ArrowPrimitiveType>(inputs: &Inputs, name: &'static str) -> Computed
where
    T::Native: TryFrom<IBig>,
{
    let value = reader(inputs.get(0));
    let whole = |row| match value(row)? {
        Decimal::Number { unscaled, scale } => T::Native::try_from(rescaled(unscaled, scale.into(), 0))
            .map_err(|_| DataError::out_of_range(name)),
        Decimal::NaN => Err(DataError::new("0A000", format!("cannot convert NaN to {name}"))),
        _ => Err(DataError::new("0A000", format!("cannot convert infinity to {name}"))),
    };
    Ok(Arc::new(inputs.build::<T>(whole)?))
}

/// The floats nearest to numbers.
pub(super) fn to_float<T: ArrowPrimitiveType>(
    inputs: &Inputs,
    parse: fn(&str) -> Result<T::Native, DataError>,
) -> Computed {
    let value = reader(inputs.get(0));
    Ok(Arc::new(inputs.build::<T>(|row| parse(&value(row)?.to_string()))?))
}

/// The number in units of 10^-`scale`, where `precision` digits hold it.
///
/// # Errors
/// 22003, for the infinities as well; 0A000 for NaN, which a fixed scale does not have.
pub(super) fn fixed(number: Decimal, precision: u8, scale: u8) -> Result<i128, DataError> {
    let Decimal::Number { unscaled, scale: own } = number else {
        return Err(text_form::without_fixed_scale(&number));
    };
    let value = i128::try_from(rescaled(unscaled, own.into(), scale.into())).ok();
    let fits = |value: &i128| value.unsigned_abs() < 10u128.pow(precision.into());
    value.filter(fits).ok_or_else(|| DataError::new("22003", "numeric field overflow"))
}

/// The number as `numeric(precision, scale)` of more than 38 digits holds it.
///
/// # Errors
/// 22003
pub(crate) fn limited(number: Decimal, precision: u16, scale: i16) -> Number {
    let overflow = || DataError::new("22003", "numeric field overflow");
    let kept = match number {
        Decimal::NaN => return Ok(number),
        Decimal::Infinity | Decimal::NegativeInfinity => return Err(overflow()),
        number => cut(number, scale.into(), rounded_quotient)?,
    };
    let Decimal::Number { unscaled, scale: shown } = &kept else { return Ok(kept) };
    let digits = digits_of(&unscaled.clone().unsigned_abs()) - i64::from(*shown);
    if !unscaled.is_zero() && digits > i64::from(precision) - i64::from(scale) {
        return Err(overflow());
    }
    Ok(kept)
}

/// The same of a column.
pub(super) fn limited_all(inputs: &Inputs, precision: u16, scale: i16) -> Computed {
    unary(inputs, |number| limited(number, precision, scale))
}

/// Whether the numbers of an argument have a scale each.
pub(super) fn is_unlimited(array: &ArrayRef) -> bool {
    *array.data_type() == ArrowType::Utf8View
}

/// What is compared of each number of an argument.
pub(super) fn compared<'a>(input: &'a Input) -> Box<dyn Fn(usize) -> String + 'a> {
    if is_unlimited(input.array()) {
        let stored = input.stored_numeric();
        return Box::new(move |row| Decimal::compared(stored(row)).to_owned());
    }
    let value = reader(input);
    // Of a fixed scale, where reading cannot fail.
    Box::new(move |row| {
        value(row).map(|number| Decimal::compared(&number.encode()).to_owned()).unwrap_or_default()
    })
}

/// Parts of a number that are summed each for itself: its whole part, and what is behind the point in units of
/// 10^-20. A number that has no such parts is far: it is kept as it is.
const FRACTION_DIGITS: u8 = 20;

/// The type of the part behind the point.
pub(crate) const FRACTION: DataType =
    DataType::Numeric { precision: NUMERIC_PRECISION_MAX, scale: FRACTION_DIGITS };

/// The parts of a number, and how many digits behind the point it is shown with; `None`: it is far.
fn parts(number: Decimal) -> Option<(i64, i128, u16)> {
    let Decimal::Number { unscaled, scale } = number else { return None };
    let (whole, fraction) = unscaled.div_rem(ten_to(scale.into()));
    let (fraction, needed) = without_zeros(fraction, scale);
    if needed > u16::from(FRACTION_DIGITS) {
        return None;
    }
    let fraction = rescaled(fraction, needed.into(), FRACTION_DIGITS.into());
    Some((i64::try_from(whole).ok()?, i128::try_from(fraction).ok()?, scale))
}

/// A part of each number that is not far; else NULL.
fn near<T: ArrowPrimitiveType>(
    inputs: &Inputs,
    part: fn((i64, i128, u16)) -> T::Native,
) -> Result<PrimitiveArray<T>, DataError> {
    let (number, input) = (reader(inputs.get(0)), inputs.get(0));
    let of_row = |row| if input.is_null(row) { Ok(None) } else { Ok(parts(number(row)?).map(part)) };
    (0..inputs.rows()).map(of_row).collect()
}

/// `numeric_whole(numeric)`: the part before the point.
pub(crate) fn whole_part(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(near::<Int64Type>(inputs, |(whole, _, _)| whole)?))
}

/// `numeric_fraction(numeric)`: the part behind the point, with 20 digits.
pub(crate) fn fraction_part(inputs: &Inputs, result: DataType) -> Computed {
    super::numeric::with_type(near::<Decimal128Type>(inputs, |(_, fraction, _)| fraction)?, result)
}

/// `numeric_shown(numeric)`: the digits behind the point.
pub(crate) fn shown_digits(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(near::<Int32Type>(inputs, |(_, _, scale)| scale.into())?))
}

/// `numeric_is_far(numeric)`: true where a number has no parts, else NULL.
pub(crate) fn is_far(inputs: &Inputs, _: DataType) -> Computed {
    let (number, input) = (reader(inputs.get(0)), inputs.get(0));
    let of_row = |row| match input.is_null(row) {
        true => Ok(None),
        false => Ok(parts(number(row)?).is_none().then_some(true)),
    };
    Ok(Arc::new((0..inputs.rows()).map(of_row).collect::<Result<BooleanArray, DataError>>()?))
}

/// `numeric_total(whole, fraction, shown, far)`: the sum that the sums of parts, the most digits shown and the
/// array of far numbers stand for; NULL where there are none.
pub(crate) fn total(inputs: &Inputs, _: DataType) -> Computed {
    let (whole, fraction) = (reader(inputs.get(0)), reader(inputs.get(1)));
    let (shown, far) = (inputs.get(2).primitive::<Int32Type>(), inputs.get(3));
    let numbers = super::array::arrays(far);
    let total = |row| -> Result<Option<String>, DataError> {
        let mut total = None;
        if !inputs.get(0).is_null(row) {
            let near = sum(whole(row)?, fraction(row)?)?;
            total = Some(rescaled_number(near, shown.get(row) as u16));
        }
        if !far.is_null(row) {
            for value in numbers(row)?.values.into_iter().flatten() {
                let millrace_engine::Literal::Decimal(stored) = value else { return Err(damaged()) };
                let number = Decimal::decode(&stored).ok_or_else(damaged)?;
                total = Some(match total {
                    None => number,
                    Some(before) => sum(before, number)?,
                });
            }
        }
        Ok(total.map(|total| total.encode()))
    };
    Ok(Arc::new((0..inputs.rows()).map(total).collect::<Result<StringViewArray, DataError>>()?))
}

/// The number with so many digits behind the point.
fn rescaled_number(number: Decimal, scale: u16) -> Decimal {
    match number {
        Decimal::Number { unscaled, scale: own } => {
            Decimal::new(rescaled(unscaled, own.into(), scale.into()), scale)
        }
        other => other,
    }
}

/// The variance (or its root) of `count` numbers with this sum and this sum of squares; `None`: NULL.
fn deviation(
    count: i64,
    total: Decimal,
    squares: Decimal,
    population: bool,
    root: bool,
) -> Result<Option<Decimal>, DataError> {
    let divisor = if population { count } else { count - 1 };
    if divisor < 1 {
        return Ok(None);
    }
    if !matches!((&total, &squares), (Decimal::Number { .. }, Decimal::Number { .. })) {
        return Ok(Some(Decimal::NaN));
    }
    let numbers = Decimal::new(count, 0);
    let numerator = sum(product(numbers.clone(), squares)?, negated(product(total.clone(), total)?))?;
    if sign_of(&numerator) <= 0 {
        return Ok(Some(Decimal::new(0, 0)));
    }
    let variance = divided(numerator, product(numbers, Decimal::new(divisor, 0))?)?;
    match (root, variance) {
        (true, Decimal::Number { unscaled, scale }) => {
            super::decimal_math::root(unscaled, scale, scale).map(Some)
        }
        (_, variance) => Ok(Some(variance)),
    }
}

fn deviations(inputs: &Inputs, population: bool, root: bool) -> Computed {
    let count = inputs.get(0).primitive::<Int64Type>();
    let (total, squares) = (reader(inputs.get(1)), reader(inputs.get(2)));
    build_some(inputs, |row| deviation(count.get(row), total(row)?, squares(row)?, population, root))
}

/// `numeric_var_pop(count, total, squares)`
pub(crate) fn var_pop(inputs: &Inputs, _: DataType) -> Computed {
    deviations(inputs, true, false)
}

/// `numeric_var_samp(count, total, squares)`
pub(crate) fn var_samp(inputs: &Inputs, _: DataType) -> Computed {
    deviations(inputs, false, false)
}

/// `numeric_stddev_pop(count, total, squares)`
pub(crate) fn stddev_pop(inputs: &Inputs, _: DataType) -> Computed {
    deviations(inputs, true, true)
}

/// `numeric_stddev_samp(count, total, squares)`
pub(crate) fn stddev_samp(inputs: &Inputs, _: DataType) -> Computed {
    deviations(inputs, false, true)
}
