//! Roots, powers and logarithms of `numeric`, with as many digits as PostgreSQL shows (its numeric.c): 16 significant
//! ones at least, and no fewer behind the point than an argument has.
//!
//! They are computed with some digits more and rounded then.

use dashu_float::DBig;
use dashu_int::ops::{Abs, SquareRoot};
use dashu_int::{IBig, UBig};
use millrace_engine::{DataError, DataType, Decimal, Group, rescaled, rounded_quotient, ten_to};

use super::decimal::{Computed, build, negated, reader, sign_of};
use super::inputs::Inputs;

type Number = Result<Decimal, DataError>;

/// Digits that a result has at least, and the most that it has behind the point.
const SIGNIFICANT_MIN: i64 = 16;
const SCALE_MAX: i64 = 1_000;

/// Beyond e to the power of this, or below its inverse, no numeric lies.
const EXPONENT_MAX: f64 = 6_000.0;

/// Digits that are computed and not shown.
const GUARD: i64 = 12;

/// log10(e)
const LOG_E: f64 = std::f64::consts::LOG10_E;

fn overflow() -> DataError {
    DataError::new("22003", "value overflows numeric format")
}

/// 2201E: no such logarithm.
fn no_logarithm(of: &str) -> DataError {
    DataError::new("2201E", format!("cannot take logarithm of {of}"))
}

/// The digits behind the point of a result whose first digit counts about 10^`weight`.
fn scale_for(weight: i64, shown: u16) -> u16 {
    (SIGNIFICANT_MIN - weight).max(shown.into()).clamp(0, SCALE_MAX) as u16
}

/// About the value; infinite beyond all doubles.
fn about(unscaled: &IBig, scale: u16) -> f64 {
    Decimal::new(unscaled.clone(), scale).to_string().parse().unwrap_or(f64::NAN)
}

/// `unscaled` × 10^-`scale` to compute with, so many digits of it.
fn wide(unscaled: &IBig, scale: u16, digits: i64) -> DBig {
    let digits = usize::try_from(digits.max(1)).unwrap_or(1);
    DBig::from_parts(unscaled.clone(), -isize::try_from(scale).unwrap_or(0)).with_precision(digits).value()
}

/// What was computed, rounded to so many digits behind the point.
fn rounded(value: &DBig, scale: u16) -> Number {
    let (digits, exponent) = value.repr().clone().into_parts();
    let unscaled = match u32::try_from(-exponent) {
        Ok(own) => rescaled(digits, own, scale.into()),
        Err(_) => digits * ten_to(u32::try_from(exponent).map_err(|_| overflow())? + u32::from(scale)),
    };
    Decimal::fitted(unscaled, scale.into())
}

/// The root of a number that is not negative, rounded to so many digits behind the point.
pub(super) fn root(unscaled: IBig, scale: u16, shown: u16) -> Number {
    // The root of u × 10^-s in units of 10^-t is that of u × 10^(2t - s); two digits more, and it is cut right.
    let places = 2 * (i64::from(shown) + 1) - i64::from(scale);
    let square = match u32::try_from(places) {
        Ok(more) => unscaled * ten_to(more),
        Err(_) => unscaled / ten_to(u32::try_from(-places).unwrap_or(0)),
    };
    let cut = UBig::try_from(square).map_err(|_| overflow())?.sqrt();
    Decimal::fitted(rescaled(cut.into(), u32::from(shown) + 1, shown.into()), shown.into())
}

/// `sqrt(numeric)`
pub(crate) fn sqrt(inputs: &Inputs, _: DataType) -> Computed {
    let number = reader(inputs.get(0));
    build(inputs, |row| match number(row)? {
        number if sign_of(&number) < 0 => {
            Err(DataError::new("2201F", "cannot take square root of a negative number"))
        }
        Decimal::Number { unscaled, scale } => {
            let weight = (Group::first_of((&unscaled, scale)).weight + 1) * 2 - 1;
            let shown = scale_for(weight, scale);
            root(unscaled, scale, shown)
        }
        other => Ok(other),
    })
}

/// `exp(numeric)`
pub(crate) fn exp(inputs: &Inputs, _: DataType) -> Computed {
    let number = reader(inputs.get(0));
    build(inputs, |row| match number(row)? {
        Decimal::NegativeInfinity => Ok(Decimal::new(0, 0)),
        Decimal::Number { unscaled, scale } => {
            let value = about(&unscaled, scale);
            let weight = (value * LOG_E).clamp(-2_000.0, 2_000.0) as i64;
            let shown = scale_for(weight, scale);
            match value {
                EXPONENT_MAX.. => Err(overflow()),
                _ if value <= -EXPONENT_MAX => Ok(Decimal::new(0, shown)),
                _ => {
                    let digits = i64::from(shown) + ((value * LOG_E) as i64).max(0) + GUARD;
                    // An argument has to be exact as far as its power shows.
                    rounded(&wide(&unscaled, scale, digits + 8).exp(), shown)
                }
            }
        }
        other => Ok(other),
    })
}

/// The power of ten that the first digit of the natural logarithm of a positive number counts, as PostgreSQL
/// estimates it.
fn weight_of_ln(unscaled: &IBig, scale: u16) -> i64 {
    let one = ten_to(scale.into());
    let ten = IBig::from(10);
    if unscaled * &ten >= &one * 9 && unscaled * &ten <= &one * 11 {
        let from_one = unscaled - one;
        let group = Group::first_of((&from_one, scale));
        return match group.value {
            0 => 0,
            digit => group.weight * 4 + f64::from(digit).log10() as i64,
        };
    }
    let first = Group::first_of((unscaled, scale));
    let (mut digits, mut weight) = (f64::from(first.value), first.weight * 4);
    let rest = unscaled.clone().abs() - in_units(first.value, first.weight, scale);
    if !rest.is_zero() {
        let second = Group::first_of((&rest, scale));
        let next = if second.weight == first.weight - 1 { second.value } else { 0 };
        (digits, weight) = (digits * 10_000.0 + f64::from(next), weight - 4);
    }
    let logarithm = digits.ln() + weight as f64 * std::f64::consts::LN_10;
    logarithm.abs().log10() as i64
}

/// A digit of base 10,000 in units of 10^-`scale`, cut.
fn in_units(digit: u32, weight: i64, scale: u16) -> IBig {
    let places = weight * 4 + i64::from(scale);
    match u32::try_from(places) {
        Ok(more) => IBig::from(digit) * ten_to(more),
        Err(_) => IBig::from(digit) / ten_to(u32::try_from(-places).unwrap_or(0)),
    }
}

/// A number that has a logarithm.
fn positive(number: Decimal) -> Number {
    match sign_of(&number) {
        ..0 => Err(no_logarithm("a negative number")),
        0 if number != Decimal::NaN => Err(no_logarithm("zero")),
        _ => Ok(number),
    }
}

/// `ln(numeric)`
pub(crate) fn ln(inputs: &Inputs, _: DataType) -> Computed {
    let number = reader(inputs.get(0));
    build(inputs, |row| match positive(number(row)?)? {
        Decimal::Number { unscaled, scale } => {
            let weight = weight_of_ln(&unscaled, scale);
            let shown = scale_for(weight, scale);
            rounded(&natural(&unscaled, scale, i64::from(shown) + weight.max(0) + GUARD), shown)
        }
        other => Ok(other),
    })
}

/// The natural logarithm, so many digits of it.
fn natural(unscaled: &IBig, scale: u16, digits: i64) -> DBig {
    // All digits of the argument count: near to one its logarithm is what is behind the point.
    let own = unscaled.to_string().len() as i64;
    wide(unscaled, scale, digits.max(0) + own + GUARD).ln()
}

/// `log(numeric)`: to base 10.
pub(crate) fn log10(inputs: &Inputs, _: DataType) -> Computed {
    let number = reader(inputs.get(0));
    build(inputs, |row| logarithm(Decimal::new(10, 0), number(row)?))
}

/// `log(base, numeric)`
pub(crate) fn log(inputs: &Inputs, _: DataType) -> Computed {
    let (base, number) = (reader(inputs.get(0)), reader(inputs.get(1)));
    build(inputs, |row| logarithm(base(row)?, number(row)?))
}

fn logarithm(base: Decimal, number: Decimal) -> Number {
    if base == Decimal::NaN || number == Decimal::NaN {
        return Ok(Decimal::NaN);
    }
    match (positive(base)?, positive(number)?) {
        (Decimal::Number { unscaled: b, scale: s }, Decimal::Number { unscaled: x, scale: t }) => {
            let weight = weight_of_ln(&x, t) - weight_of_ln(&b, s);
            let shown = scale_for(weight, s.max(t));
            let digits = i64::from(shown) + weight.max(0) + 2 * GUARD;
            let below = natural(&b, s, digits);
            if below.repr().significand().is_zero() {
                return Err(DataError::division_by_zero());
            }
            rounded(&(natural(&x, t, digits) / below), shown)
        }
        (Decimal::Number { .. }, _) => Ok(Decimal::Infinity),
        (_, Decimal::Number { .. }) => Ok(Decimal::new(0, 0)),
        _ => Ok(Decimal::NaN),
    }
}

/// `power(numeric, numeric)`
pub(crate) fn power(inputs: &Inputs, _: DataType) -> Computed {
    let (base, exponent) = (reader(inputs.get(0)), reader(inputs.get(1)));
    build(inputs, |row| raised(base(row)?, exponent(row)?))
}

/// Whether a number is whole.
fn whole((unscaled, scale): (&IBig, u16)) -> Option<IBig> {
    let (quotient, rest) = (unscaled / ten_to(scale.into()), unscaled % ten_to(scale.into()));
    rest.is_zero().then_some(quotient)
}

fn raised(base: Decimal, exponent: Decimal) -> Number {
    let (b, s, e, t) = match (base, exponent) {
        (Decimal::Number { unscaled: b, scale: s }, Decimal::Number { unscaled: e, scale: t }) => {
            (b, s, e, t)
        }
        (base, exponent) => return raised_special(&base, &exponent),
    };
    let invalid = |why: &str| Err(DataError::new("2201F", why));
    if b.is_zero() && e < IBig::ZERO {
        return invalid("zero raised to a negative power is undefined");
    }
    let count = whole((&e, t));
    if b < IBig::ZERO && count.is_none() {
        return invalid("a negative number raised to a non-integer power yields a complex result");
    }
    if let Some(count) = count.as_ref().and_then(|count| i32::try_from(count).ok()) {
        return raised_whole(&b, s, count);
    }
    if b.is_zero() {
        return Ok(Decimal::new(0, SIGNIFICANT_MIN as u16));
    }
    let is_odd = count.is_some_and(|count| !(count % IBig::from(2)).is_zero());
    let is_negative = b < IBig::ZERO && is_odd;
    let b = b.abs();
    let value = about(&e, t) * about_ln(&b, s);
    if value.abs() > EXPONENT_MAX * 1.003_333 {
        return if value > 0.0 { Err(overflow()) } else { Ok(Decimal::new(0, SCALE_MAX as u16)) };
    }
    let weight = (value * LOG_E) as i64;
    let shown = scale_for(weight, s.max(t));
    let digits = i64::from(shown) + weight.max(0) + 2 * GUARD;
    let exponent = wide(&e, t, digits + e.to_string().len() as i64);
    let logarithm = natural(&b, s, digits + 8) * exponent;
    let power = rounded(&logarithm.with_precision((digits + 8) as usize).value().exp(), shown)?;
    Ok(if is_negative { negated(power) } else { power })
}

/// About the natural logarithm.
fn about_ln(unscaled: &IBig, scale: u16) -> f64 {
    natural(unscaled, scale, SIGNIFICANT_MIN).to_string().parse().unwrap_or(f64::NAN)
}

/// Powers where an operand is no number of digits.
fn raised_special(base: &Decimal, exponent: &Decimal) -> Number {
    let is_one = |number: &Decimal| matches!(number, Decimal::Number { unscaled, scale } if *unscaled == ten_to((*scale).into()));
    let is_whole_odd = |number: &Decimal| match number {
        Decimal::Number { unscaled, scale } => {
            whole((unscaled, *scale)).map(|count| !(count % IBig::from(2)).is_zero())
        }
        _ => None,
    };
    Ok(match (base, exponent) {
        // As in POSIX: one to any power, and anything to the power of zero, is one.
        (base, _) if is_one(base) => Decimal::new(1, 0),
        (_, exponent @ Decimal::Number { .. }) if sign_of(exponent) == 0 => Decimal::new(1, 0),
        (Decimal::NaN, _) | (_, Decimal::NaN) => Decimal::NaN,
        (base, exponent) if sign_of(base) == 0 && sign_of(exponent) < 0 => {
            return Err(DataError::new("2201F", "zero raised to a negative power is undefined"));
        }
        (base @ Decimal::Number { unscaled, scale }, exponent) => {
            // Infinitely often.
            let one = ten_to((*scale).into());
            let magnitude = unscaled.clone().abs();
            match (magnitude.cmp(&one), exponent) {
                (std::cmp::Ordering::Equal, _) => Decimal::new(1, 0),
                _ if sign_of(base) == 0 => Decimal::new(0, 0),
                (std::cmp::Ordering::Greater, Decimal::Infinity)
                | (std::cmp::Ordering::Less, Decimal::NegativeInfinity) => Decimal::Infinity,
                _ => Decimal::new(0, 0),
            }
        }
        (Decimal::NegativeInfinity, exponent @ Decimal::Number { .. }) => match is_whole_odd(exponent) {
            None => {
                let why = "a negative number raised to a non-integer power yields a complex result";
                return Err(DataError::new("2201F", why));
            }
            _ if sign_of(exponent) < 0 => Decimal::new(0, 0),
            Some(true) => Decimal::NegativeInfinity,
            Some(false) => Decimal::Infinity,
        },
        (_, exponent) if sign_of(exponent) > 0 => Decimal::Infinity,
        _ => Decimal::new(0, 0),
    })
}

/// A power of a whole number of times: with 16 digits behind the point, or those of the base, as PostgreSQL 15 has it.
fn raised_whole(base: &IBig, scale: u16, count: i32) -> Number {
    let weight = weight_of(base, scale) * f64::from(count);
    if weight > 3.0 * 32_767.0 * 4.0 {
        return Err(overflow());
    }
    let shown = scale_for(0, scale);
    if weight + 1.0 < -f64::from(shown) {
        return Ok(Decimal::new(0, shown));
    }
    let digits = i64::from(shown) + (weight as i64).max(0) + GUARD;
    match count {
        0 => Ok(Decimal::new(ten_to(shown.into()), shown)),
        -1 => {
            let inverse = rounded_quotient(&ten_to(u32::from(scale) + u32::from(shown)), base);
            Decimal::fitted(inverse, shown.into())
        }
        _ => {
            let own = base.to_string().len() as i64;
            rounded(&wide(base, scale, digits + own + GUARD).powi(IBig::from(count)), shown)
        }
    }
}

/// About the decimal logarithm of the magnitude, from its first 16 digits; of zero, zero.
fn weight_of(unscaled: &IBig, scale: u16) -> f64 {
    if unscaled.is_zero() {
        return 0.0;
    }
    let magnitude = unscaled.clone().abs().to_string();
    let (first, rest) = magnitude.split_at(magnitude.len().min(17));
    first.parse::<f64>().unwrap_or(1.0).log10() + rest.len() as f64 - f64::from(scale)
}
