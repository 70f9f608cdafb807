//! `generate_series(start, stop [, step])`: one value after the other, so that a long series takes no memory.

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{DataError, DataType, Decimal, Literal, SetFunction, SetRows, rescaled};

use crate::functions::date::later_timestamp;
use crate::functions::inputs::Inputs;
use crate::functions::zoned::later;
use crate::text_form::Interval;
use crate::zone::Zone;

/// A call that gives more rows is refused.
const ROWS_MAX: i128 = 1 << 24;

/// The function for one type of values.
pub(super) struct Series {
    data_type: DataType,
}

impl Series {
    /// For arguments of these types: start, stop and step; of moments also the name of a zone.
    pub(super) fn of(arguments: &[DataType]) -> Option<Series> {
        let data_type = *arguments.first()?;
        let counted = matches!(
            data_type,
            DataType::Int32 | DataType::Int64 | DataType::Numeric { .. } | DataType::Decimal
        );
        let fits = match data_type {
            DataType::Timestamp => arguments == [data_type, data_type, DataType::Interval],
            DataType::TimestampTz => arguments == [data_type, data_type, DataType::Interval, DataType::Text],
            _ => counted && arguments == [data_type; 3],
        };
        fits.then_some(Series { data_type })
    }
}

impl SetFunction for Series {
    fn open(&self, arguments: Vec<ArrayRef>) -> Box<dyn SetRows> {
        let inputs = Inputs::of_columns(arguments);
        Box::new(OpenSeries {
            data_type: self.data_type,
            inputs,
            next: None,
            stop: 0,
            step: Step::By(1),
            given: 0,
            scale: 0,
        })
    }
}

/// From a value to the next.
enum Step {
    By(i128),
    Later(Interval),
    LaterIn(Zone, Interval),
}

struct OpenSeries {
    data_type: DataType,
    inputs: Inputs,
    next: Option<i128>,
    stop: i128,
    step: Step,
    given: i128,
    /// Of a numeric of any number of digits those behind the point.
    scale: u16,
}

/// A value, or a step, as a number by which it is ordered.
fn place(value: &Literal) -> i128 {
    match value {
        Literal::Int32(value) => i128::from(*value),
        Literal::Int64(value) | Literal::Timestamp(value) | Literal::TimestampTz(value) => i128::from(*value),
        Literal::Numeric { value, .. } => *value,
        _ => 0,
    }
}

/// Start, stop and step in one unit.
fn aligned(values: [&Literal; 3]) -> Result<([i128; 3], u16), DataError> {
    const NAMES: [&str; 3] = ["start value", "stop value", "step size"];
    let mut numbers = Vec::new();
    for (value, name) in values.into_iter().zip(NAMES) {
        let decoded = match value {
            Literal::Decimal(stored) => Decimal::decode(stored),
            _ => None,
        };
        numbers.push(match decoded {
            Some(Decimal::Number { unscaled, scale }) => (unscaled, scale),
            Some(Decimal::NaN) => return Err(DataError::new("22023", format!("{name} cannot be NaN"))),
            _ => return Err(DataError::new("22023", format!("{name} cannot be infinity"))),
        });
    }
    let scale = numbers.iter().map(|(_, scale)| *scale).max().unwrap_or(0);
    let mut aligned = [0; 3];
    for (place, (unscaled, own)) in aligned.iter_mut().zip(numbers) {
        let wide = rescaled(unscaled, own.into(), scale.into());
        *place = i128::try_from(&wide).map_err(|_| DataError::out_of_range("numeric"))?;
    }
    Ok((aligned, scale))
}

fn too_many() -> DataError {
    DataError::new("54000", format!("generate_series() gives more than {ROWS_MAX} rows"))
}

impl Step {
    /// Upwards, downwards, or nowhere.
    fn direction(&self) -> i128 {
        match self {
            Step::By(step) => step.signum(),
            Step::Later(interval) | Step::LaterIn(_, interval) => interval.normal().signum(),
        }
    }

    fn after(&self, value: i128) -> Result<i128, DataError> {
        let moment = || i64::try_from(value).map_err(|_| DataError::out_of_range("timestamp"));
        Ok(match self {
            Step::By(step) => value.saturating_add(*step),
            Step::Later(interval) => later_timestamp(moment()?, *interval)?.into(),
            Step::LaterIn(zone, interval) => later(zone, moment()?, *interval, 1)?.into(),
        })
    }
}

impl OpenSeries {
    fn literal(&self, value: i128) -> Literal {
        match self.data_type {
            DataType::Int32 => Literal::Int32(value as i32),
            DataType::Timestamp => Literal::Timestamp(value as i64),
            DataType::TimestampTz => Literal::TimestampTz(value as i64),
            DataType::Numeric { precision, scale } => Literal::Numeric { value, precision, scale },
            DataType::Decimal => Literal::Decimal(Decimal::new(value, self.scale).encode()),
            _ => Literal::Int64(value as i64),
        }
    }

    fn step(&self, literal: &Literal, row: usize) -> Result<Step, DataError> {
        let Literal::Interval { months, days, micros } = *literal else {
            return Ok(Step::By(place(literal)));
        };
        let interval = Interval { months, days, micros };
        if self.data_type != DataType::TimestampTz {
            return Ok(Step::Later(interval));
        }
        let zone = self.inputs.get(3).text()(row);
        let zone = Zone::named(zone)
            .ok_or_else(|| DataError::new("22023", format!("time zone \"{zone}\" not recognized")))?;
        Ok(Step::LaterIn(zone, interval))
    }
}

impl SetRows for OpenSeries {
    fn start(&mut self, row: usize) -> Result<(), DataError> {
        (self.next, self.given) = (None, 0);
        let value = |index: usize| self.inputs.get(index).literal(row);
        let (Some(start), Some(stop), Some(step)) = (value(0)?, value(1)?, value(2)?) else { return Ok(()) };
        let (start, stop, step) = match self.data_type {
            DataType::Decimal => {
                let ([start, stop, step], scale) = aligned([&start, &stop, &step])?;
                self.scale = scale;
                (start, stop, Step::By(step))
            }
            _ => (place(&start), place(&stop), self.step(&step, row)?),
        };
        if step.direction() == 0 {
            return Err(DataError::new("22023", "step size cannot equal zero"));
        }
        if let Step::By(step) = step
            && stop.saturating_sub(start) / step >= ROWS_MAX
        {
            return Err(too_many());
        }
        (self.next, self.stop, self.step) = (Some(start), stop, step);
        Ok(())
    }

    fn give(&mut self, most: usize, columns: &mut [Vec<Literal>]) -> Result<usize, DataError> {
        let direction = self.step.direction();
        for given in 0..most {
            let Some(next) = self.next.filter(|next| (self.stop - next) * direction >= 0) else {
                return Ok(given);
            };
            self.given += 1;
            if self.given > ROWS_MAX {
                return Err(too_many());
            }
            columns[0].push(self.literal(next));
            self.next = Some(self.step.after(next)?);
        }
        Ok(most)
    }
}
