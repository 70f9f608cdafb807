//! The parts of corr, covar_… and regr_…, and what they come to (query/regression.rs makes the aggregates).
//!
//! A product of two doubles in units of 2^-64 has 256 bits: it is summed in pieces of 88 bits, each a numeric with
//! room for 10^11 rows.

use std::sync::Arc;

use dashu_int::IBig;
use datafusion::arrow::array::{ArrayRef, BinaryArray, Decimal128Array, Float64Array};
use datafusion::arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type, i256};
use millrace_engine::{DataError, DataType, Literal, Moments, Regression, Sums};

use super::array::arrays;
use super::comparison::normalize_float;
use super::inputs::Inputs;
use super::numeric_type;

type Computed = Result<ArrayRef, DataError>;

/// The bits of a piece.
const PIECE_BITS: u8 = 88;

/// What is summed, and in how many pieces.
pub(crate) const PARTS: [(Part, i32); 5] =
    [(Part::X, 2), (Part::Y, 2), (Part::XX, 3), (Part::XY, 3), (Part::YY, 3)];

/// One of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    X,
    Y,
    XX,
    XY,
    YY,
}

impl Part {
    /// The number that stands for it in plans.
    pub(crate) fn number(self) -> i32 {
        match self {
            Part::X => 0,
            Part::Y => 1,
            Part::XX => 2,
            Part::XY => 3,
            Part::YY => 4,
        }
    }

    fn of_number(number: i32) -> Option<Part> {
        PARTS.iter().map(|(part, _)| *part).find(|part| part.number() == number)
    }

    /// What a pair adds to the sum.
    fn of(self, y: i128, x: i128) -> i256 {
        let (x, y) = (i256::from_i128(x), i256::from_i128(y));
        match self {
            Part::X => x,
            Part::Y => y,
            Part::XX => x.wrapping_mul(x),
            Part::XY => x.wrapping_mul(y),
            Part::YY => y.wrapping_mul(y),
        }
    }
}

/// The value that a function asks for; `None` for a function that is none of these.
pub(crate) fn regression_of(name: &str) -> Option<Regression> {
    Some(match name {
        "corr" => Regression::Correlation,
        "covar_pop" => Regression::CovariancePopulation,
        "covar_samp" => Regression::CovarianceSample,
        "regr_slope" => Regression::Slope,
        "regr_intercept" => Regression::Intercept,
        "regr_r2" => Regression::Determination,
        "regr_avgx" => Regression::MeanX,
        "regr_avgy" => Regression::MeanY,
        "regr_sxx" => Regression::SquaresX,
        "regr_syy" => Regression::SquaresY,
        "regr_sxy" => Regression::Products,
        _ => return None,
    })
}

/// `regression_part(y, x, part, piece)`: of a pair that is not far.
pub(super) fn part(inputs: &Inputs, _: DataType) -> Computed {
    let doubles = [0, 1].map(|index| inputs.get(index).primitive::<Float64Type>());
    let numbers = [2, 3].map(|index| inputs.get(index).primitive::<Int32Type>());
    let nulls = inputs.nulls();
    let row = |row: usize| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let [y, x] = [0, 1].map(|index: usize| Moments::fixed(doubles[index].get(row)));
        let sum = Part::of_number(numbers[0].get(row))?.of(y?, x?);
        Some(piece(sum, numbers[1].get(row)))
    };
    let pieces: Decimal128Array = (0..inputs.rows()).map(row).collect();
    Ok(Arc::new(pieces.with_data_type(numeric_type(0).to_arrow())))
}

/// A piece of a number, with its sign.
fn piece(number: i256, index: i32) -> i128 {
    let mask = i256::from_i128((1 << PIECE_BITS) - 1);
    let bits = (number.wrapping_abs() >> (PIECE_BITS * index as u8)) & mask;
    let magnitude = bits.as_i128();
    if number.is_negative() { -magnitude } else { magnitude }
}

/// `regression_pair(y, x, all)`: the bytes of a far pair, or of any.
pub(super) fn pair(inputs: &Inputs, _: DataType) -> Computed {
    let doubles = [0, 1].map(|index| inputs.get(index).primitive::<Float64Type>());
    let (all, nulls) = (inputs.get(2).boolean(), inputs.nulls());
    let row = |row: usize| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        let [y, x] = [0, 1].map(|index: usize| normalize_float(doubles[index].get(row)));
        let is_far = Moments::fixed(y).is_none() || Moments::fixed(x).is_none();
        (is_far || all(row)).then(|| [y.to_be_bytes(), x.to_be_bytes()].concat())
    };
    Ok(Arc::new((0..inputs.rows()).map(row).collect::<BinaryArray>()))
}

/// `regression(name, count, pieces of the sums …, far pairs)`
pub(super) fn regression(inputs: &Inputs, _: DataType) -> Computed {
    let name = inputs.get(0).text();
    let count = inputs.get(1).primitive::<Int64Type>();
    let pairs = inputs.get(inputs.len() - 1);
    let far = arrays(pairs);
    let row = |row: usize| {
        let asked = regression_of(name(row)).ok_or_else(|| DataError::new("XX000", "no such regression"))?;
        let mut moments = Moments::new(count.get(row), sums(inputs, row));
        if !pairs.is_null(row) {
            for pair in far(row)?.values.into_iter().flatten() {
                let (y, x) = doubles(&pair).ok_or_else(|| DataError::new("XX000", "no pair of doubles"))?;
                moments.add_far(y, x);
            }
        }
        moments.finish(asked)
    };
    Ok(Arc::new((0..inputs.rows()).map(row).collect::<Result<Float64Array, DataError>>()?))
}

/// The sums of a row, of their pieces.
fn sums(inputs: &Inputs, row: usize) -> Sums {
    let mut next = 2;
    let [x, y, xx, xy, yy] = PARTS.map(|(_, pieces)| {
        let of_piece = |index: i32| {
            let input = inputs.get(next + index as usize);
            let value = if input.is_null(row) { 0 } else { input.primitive::<Decimal128Type>().get(row) };
            IBig::from(value) << (index as usize * PIECE_BITS as usize)
        };
        let sum: IBig = (0..pieces).map(of_piece).sum();
        next += pieces as usize;
        sum
    });
    Sums { x, y, xx, xy, yy }
}

/// The doubles of a pair's bytes.
fn doubles(pair: &Literal) -> Option<(f64, f64)> {
    let Literal::Bytea(bytes) = pair else { return None };
    let (y, x) = bytes.split_at_checked(8)?;
    Some((f64::from_be_bytes(y.try_into().ok()?), f64::from_be_bytes(x.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_the_product(y in any::<i64>(), x in any::<i64>(), up in 0u32..60) {
            let (x, y) = (i128::from(x) << up, i128::from(y) << up);
            for (part, pieces) in PARTS {
                let number = part.of(y, x);
                let whole: IBig = (0..pieces).map(|index| IBig::from(piece(number, index)) << (88 * index as usize)).sum();
                prop_assert_eq!(whole.to_string(), number.to_string());
            }
        }
    }
}
