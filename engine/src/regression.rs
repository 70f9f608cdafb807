//! `Moments`: how two columns of doubles go together (corr, covar_…, regr_…), exact until it is read.
//!
//! Kept are the count and the sums of x, y, x², xy and y², as integers without a bound, so that `n·Σxy - Σx·Σy` and
//! its like are computed without a rounding, and the result is rounded once. So neither the order of rows nor their
//! retraction shows, however close the points lie to each other and however far from zero. The sums of doubles in
//! the window (see spread.rs) come from aggregates of their parts; pairs with a double outside are far, and are
//! added one by one.

use dashu_int::{IBig, UBig};

use crate::error::DataError;
use crate::spread::{FAR_BITS, FIXED_BITS, fixed, nearest, nearest_root, parts};

/// Which value is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regression {
    /// `corr`
    Correlation,
    /// `covar_pop`
    CovariancePopulation,
    /// `covar_samp`
    CovarianceSample,
    /// `regr_slope`
    Slope,
    /// `regr_intercept`
    Intercept,
    /// `regr_r2`
    Determination,
    /// `regr_avgx`
    MeanX,
    /// `regr_avgy`
    MeanY,
    /// `regr_sxx`
    SquaresX,
    /// `regr_syy`
    SquaresY,
    /// `regr_sxy`
    Products,
}

/// The exact sums of pairs.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    count: i64,
    sums: Sums,
    /// The far pairs, in units of 2^-1074 and 2^-2148.
    far: Option<Box<Sums>>,
    x: Specials,
    y: Specials,
}

/// Sums, those of products in squares of the unit.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Σx
    pub x: IBig,
    /// Σy
    pub y: IBig,
    /// Σx²
    pub xx: IBig,
    /// Σxy
    pub xy: IBig,
    /// Σy²
    pub yy: IBig,
}

/// What is no number among the values of a column.
#[derive(Clone, Copy, Debug, Default)]
struct Specials {
    is_nan: bool,
    has_infinity: bool,
    has_negative_infinity: bool,
}

impl Specials {
    fn add(&mut self, value: f64) {
        self.is_nan |= value.is_nan();
        self.has_infinity |= value == f64::INFINITY;
        self.has_negative_infinity |= value == f64::NEG_INFINITY;
    }

    fn any(self) -> bool {
        self.is_nan || self.has_infinity || self.has_negative_infinity
    }

    /// The sum of a column in which some value is no number.
    fn total(self) -> f64 {
        match (self.has_infinity, self.has_negative_infinity) {
            (true, false) if !self.is_nan => f64::INFINITY,
            (false, true) if !self.is_nan => f64::NEG_INFINITY,
            _ => f64::NAN,
        }
    }
}

impl Sums {
    fn shifted(&self, bits: usize) -> Sums {
        Sums {
            x: &self.x << bits,
            y: &self.y << bits,
            xx: &self.xx << (2 * bits),
            xy: &self.xy << (2 * bits),
            yy: &self.yy << (2 * bits),
        }
    }

    fn add(&mut self, other: &Sums) {
        self.x += &other.x;
        self.y += &other.y;
        self.xx += &other.xx;
        self.xy += &other.xy;
        self.yy += &other.yy;
    }
}

/// `n` times the sums of products about the means, exact.
struct Centred {
    xx: IBig,
    xy: IBig,
    yy: IBig,
}

impl Moments {
    /// Of so many pairs, whose sums in units of 2^-64 are known but for those that are far.
    pub fn new(count: i64, sums: Sums) -> Moments {
        Moments { count, sums, ..Moments::default() }
    }

    /// A double in units of 2^-64; `None` where it makes its pair a far one.
    pub fn fixed(value: f64) -> Option<i128> {
        fixed(value)
    }

    /// Adds a far pair, which the count holds already.
    pub fn add_far(&mut self, y: f64, x: f64) {
        self.x.add(x);
        self.y.add(y);
        let wide = |value: f64| {
            let (mantissa, shift) = parts(value);
            IBig::from(mantissa) << shift as usize
        };
        let sums = self.far.get_or_insert_with(Box::default);
        // A value that is no number leaves the other one of its pair to its own sums.
        let (x, y) = (x.is_finite().then(|| wide(x)), y.is_finite().then(|| wide(y)));
        if let (Some(x), Some(y)) = (&x, &y) {
            sums.xy += x * y;
        }
        if let Some(x) = x {
            sums.xx += x.pow(2);
            sums.x += x;
        }
        if let Some(y) = y {
            sums.yy += y.pow(2);
            sums.y += y;
        }
    }

    /// The value that is asked for, rounded once; `None`: NULL.
    ///
    /// # Errors
    /// 22003 where it is beyond all doubles, XX000 for a negative number of rows.
    pub fn finish(&self, asked: Regression) -> Result<Option<f64>, DataError> {
        if self.count < 0 {
            return Err(DataError::negative_multiplicity());
        }
        let least = if asked == Regression::CovarianceSample { 2 } else { 1 };
        if self.count < least {
            return Ok(None);
        }
        let (sums, bits) = match &self.far {
            None => (self.sums.clone(), FIXED_BITS),
            Some(far) => {
                let mut sums = self.sums.shifted((FAR_BITS - FIXED_BITS) as usize);
                sums.add(far);
                (sums, FAR_BITS)
            }
        };
        match self.of(asked, &sums, bits)? {
            Some(value) if value.is_infinite() && !self.x.any() && !self.y.any() => {
                Err(DataError::float_overflow())
            }
            value => Ok(value),
        }
    }

    /// The value, of sums in units of 2^-`bits`.
    fn of(&self, asked: Regression, sums: &Sums, bits: i32) -> Result<Option<f64>, DataError> {
        use Regression as R;
        let n = IBig::from(self.count);
        let centred = Centred {
            xx: &n * &sums.xx - sums.x.pow(2),
            xy: &n * &sums.xy - &sums.x * &sums.y,
            yy: &n * &sums.yy - sums.y.pow(2),
        };
        let Centred { xx, xy, yy } = &centred;
        // A column of equal values has no spread, if all are numbers.
        let (flat_x, flat_y) = (!self.x.any() && *xx == IBig::ZERO, !self.y.any() && *yy == IBig::ZERO);
        let special = self.x.any() || self.y.any();
        let value = match asked {
            R::MeanX if self.x.any() => self.x.total(),
            R::MeanY if self.y.any() => self.y.total(),
            R::MeanX => signed(&sums.x, &n, bits),
            R::MeanY => signed(&sums.y, &n, bits),
            R::SquaresX if self.x.any() => f64::NAN,
            R::SquaresY if self.y.any() => f64::NAN,
            R::SquaresX => signed(xx, &n, 2 * bits),
            R::SquaresY => signed(yy, &n, 2 * bits),
            R::Correlation if flat_x || flat_y => return Ok(None),
            R::Determination | R::Slope | R::Intercept if flat_x => return Ok(None),
            R::Determination if flat_y => 1.0,
            _ if special => f64::NAN,
            R::Products => signed(xy, &n, 2 * bits),
            R::CovariancePopulation => signed(xy, &(&n * &n), 2 * bits),
            R::CovarianceSample => signed(xy, &(&n * (&n - 1)), 2 * bits),
            R::Slope => signed(xy, xx, 0),
            R::Intercept => signed(&(&sums.y * xx - &sums.x * xy), &(&n * xx), bits),
            R::Determination => nearest(&magnitude(&xy.pow(2)), &magnitude(&(xx * yy)), 0),
            R::Correlation => {
                let root = nearest_root(&magnitude(&xy.pow(2)), &magnitude(&(xx * yy)), 0);
                if *xy < IBig::ZERO { -root } else { root }
            }
        };
        Ok(Some(value))
    }
}

/// The double nearest to `numerator` / `denominator` × 2^-`bits`.
fn signed(numerator: &IBig, denominator: &IBig, bits: i32) -> f64 {
    let value = nearest(&magnitude(numerator), &magnitude(denominator), bits);
    if (*numerator < IBig::ZERO) != (*denominator < IBig::ZERO) { -value } else { value }
}

fn magnitude(value: &IBig) -> UBig {
    value.clone().into_parts().1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const ALL: [Regression; 11] = [
        Regression::Correlation,
        Regression::CovariancePopulation,
        Regression::CovarianceSample,
        Regression::Slope,
        Regression::Intercept,
        Regression::Determination,
        Regression::MeanX,
        Regression::MeanY,
        Regression::SquaresX,
        Regression::SquaresY,
        Regression::Products,
    ];

    /// Pairs (x, y), in the window or not.
    fn moments(pairs: &[(f64, f64)], all_far: bool) -> Moments {
        let mut sums = Sums::default();
        let mut far = Vec::new();
        for (x, y) in pairs {
            match (fixed(*x), fixed(*y)) {
                (Some(x), Some(y)) if !all_far => {
                    let (x, y) = (IBig::from(x), IBig::from(y));
                    sums.add(&Sums { xx: x.clone().pow(2), xy: &x * &y, yy: y.clone().pow(2), x, y });
                }
                _ => far.push((*x, *y)),
            }
        }
        let mut moments = Moments::new(pairs.len() as i64, sums);
        far.into_iter().for_each(|(x, y)| moments.add_far(y, x));
        moments
    }

    fn of(pairs: &[(f64, f64)], asked: Regression) -> Option<f64> {
        moments(pairs, false).finish(asked).unwrap()
    }

    #[test]
    fn known_lines() {
        use Regression as R;
        // y = 3 - 2x, far from zero and close together.
        let line: Vec<(f64, f64)> = (0..5).map(|x| 1e9 + f64::from(x)).map(|x| (x, 3.0 - 2.0 * x)).collect();
        let found = |asked| of(&line, asked);
        assert_eq!((found(R::Slope), found(R::Intercept)), (Some(-2.0), Some(3.0)));
        assert_eq!((found(R::Correlation), found(R::Determination)), (Some(-1.0), Some(1.0)));
        assert_eq!(
            (found(R::SquaresX), found(R::SquaresY), found(R::Products)),
            (Some(10.0), Some(40.0), Some(-20.0))
        );
        assert_eq!((found(R::CovariancePopulation), found(R::CovarianceSample)), (Some(-4.0), Some(-5.0)));
        assert_eq!((found(R::MeanX), found(R::MeanY)), (Some(1e9 + 2.0), Some(-2e9 - 1.0)));
    }

    #[test]
    fn too_few_flat_and_no_numbers() {
        use Regression as R;
        assert!(ALL.iter().all(|asked| of(&[], *asked).is_none()));
        let one = [(2.0, 3.0)];
        assert_eq!((of(&one, R::CovariancePopulation), of(&one, R::CovarianceSample)), (Some(0.0), None));
        assert_eq!((of(&one, R::Slope), of(&one, R::Correlation)), (None, None));
        let flat = [(1.0, 0.1), (2.0, 0.1), (4.0, 0.1)];
        assert_eq!((of(&flat, R::Determination), of(&flat, R::Correlation)), (Some(1.0), None));
        assert_eq!((of(&flat, R::Slope), of(&flat, R::Intercept)), (Some(0.0), Some(0.1)));
        let infinite = [(1.0, f64::INFINITY), (2.0, 3.0)];
        assert_eq!((of(&infinite, R::MeanY), of(&infinite, R::MeanX)), (Some(f64::INFINITY), Some(1.5)));
        assert_eq!(of(&infinite, R::SquaresX), Some(0.5));
        assert!(
            [R::SquaresY, R::Products, R::Slope, R::Correlation]
                .iter()
                .all(|asked| of(&infinite, *asked).unwrap().is_nan())
        );
        assert_eq!(
            moments(&[(1e300, 0.0), (0.0, 0.0)], false).finish(R::SquaresX).unwrap_err().sqlstate,
            "22003"
        );
        assert_eq!(of(&[(1e300, 1e300), (0.0, 0.0)], R::Slope), Some(1.0));
    }

    fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let near =
            || (-8i32..8, 0i32..70).prop_map(|(value, shift)| f64::from(value) * 2f64.powi(-shift) + 1e6);
        let small = || (-1000i32..1000).prop_map(|value| f64::from(value) / 7.0);
        prop::collection::vec((prop_oneof![near(), small()], prop_oneof![near(), small()]), 2..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn neither_the_order_nor_what_is_far_shows(pairs in pairs(), rotation in 0usize..8) {
            let mut other = pairs.clone();
            other.rotate_left(rotation % pairs.len());
            for asked in ALL {
                let bits = |found: Result<Option<f64>, DataError>| found.map(|value| value.map(f64::to_bits));
                let found = bits(moments(&pairs, false).finish(asked));
                prop_assert_eq!(&found, &bits(moments(&other, false).finish(asked)));
                prop_assert_eq!(&found, &bits(moments(&other, true).finish(asked)));
            }
        }

        #[test]
        fn a_column_with_itself_is_its_spread(values in prop::collection::vec(-1e6f64..1e6, 2..8)) {
            let pairs: Vec<(f64, f64)> = values.iter().map(|value| (*value, *value)).collect();
            let mut spread = crate::spread::Spread::default();
            values.iter().for_each(|value| spread.add_double(*value, 1));
            for (asked, population) in [(Regression::CovarianceSample, false), (Regression::CovariancePopulation, true)] {
                let deviation = crate::spread::Deviation { population, root: false };
                prop_assert_eq!(of(&pairs, asked), spread.double(deviation).unwrap());
            }
        }
    }
}
