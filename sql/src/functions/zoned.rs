//! Timestamps with time zone: moments to the times that clocks show and back, AT TIME ZONE, and sums with
//! intervals, whose months and days follow the clocks.
//!
//! What depends on the session's time zone takes its name as the last argument: a constant of the plan.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, PrimitiveArray};
use datafusion::arrow::datatypes::{IntervalMonthDayNanoType, TimestampMicrosecondType as Micros};
use millrace_engine::{DataError, DataType, Expr, Literal, MOMENT_ZONE};

use super::VERSION;
use super::date::{add_months, timestamp_out_of_range};
use super::inputs::Inputs;
use crate::text_form::{self, FIRST_DAY, Interval, MICROS_PER_DAY};
use crate::zone::{self, Zone};

type Computed = Result<ArrayRef, DataError>;

/// Computed micros as moments.
pub(super) fn moments(array: PrimitiveArray<Micros>) -> ArrayRef {
    Arc::new(array.with_timezone(MOMENT_ZONE))
}

/// 22023 for what is no zone.
fn no_zone(name: &str) -> DataError {
    DataError::new("22023", format!("time zone \"{name}\" not recognized"))
}

/// Reads the zone of each row, looking a name up again only where it changes.
pub(super) fn zones<'a>(
    inputs: &'a Inputs,
    argument: usize,
    find: fn(&str) -> Option<Zone>,
) -> impl Fn(usize) -> Result<Zone, DataError> + 'a {
    let name = inputs.get(argument).text();
    let last: RefCell<Option<(&str, Zone)>> = RefCell::new(None);
    move |row| {
        let wanted = name(row);
        if let Some((known, zone)) = last.borrow().as_ref()
            && *known == wanted
        {
            return Ok(zone.clone());
        }
        let found = find(wanted).ok_or_else(|| no_zone(wanted))?;
        *last.borrow_mut() = Some((wanted, found.clone()));
        Ok(found)
    }
}

/// The zone of the session that made the plan: the last argument.
pub(super) fn session_zone(inputs: &Inputs) -> impl Fn(usize) -> Result<Zone, DataError> + '_ {
    zones(inputs, inputs.len() - 1, Zone::named)
}

/// The moment at which the zone's clocks show a time.
pub(super) fn moment_in(zone: &Zone, local: i64) -> Result<i64, DataError> {
    zone.moment(local)
        .filter(|moment| moment.div_euclid(MICROS_PER_DAY) >= FIRST_DAY)
        .ok_or_else(timestamp_out_of_range)
}

/// The time that the zone's clocks show at a moment.
pub(super) fn local_in(zone: &Zone, moment: i64) -> Result<i64, DataError> {
    zone.local(moment).ok_or_else(timestamp_out_of_range)
}

/// The text of a moment, in a zone.
pub(crate) fn read(inputs: &Inputs, _: DataType) -> Computed {
    let (text, zone) = (inputs.get(0).text(), session_zone(inputs));
    Ok(moments(inputs.build::<Micros>(|row| text_form::parse_timestamptz(text(row), &zone(row)?))?))
}

/// A timestamp as the moment at which a zone's clocks show it.
pub(crate) fn moment(inputs: &Inputs, _: DataType) -> Computed {
    let (local, zone) = (inputs.get(0).primitive::<Micros>(), session_zone(inputs));
    Ok(moments(inputs.build::<Micros>(|row| moment_in(&zone(row)?, local.get(row)))?))
}

/// A moment as the time that a zone's clocks show.
pub(crate) fn local(inputs: &Inputs, _: DataType) -> Computed {
    let (moment, zone) = (inputs.get(0).primitive::<Micros>(), session_zone(inputs));
    Ok(Arc::new(inputs.build::<Micros>(|row| local_in(&zone(row)?, moment.get(row)))?))
}

/// A moment as text.
pub(crate) fn shown(inputs: &Inputs, _: DataType) -> Computed {
    let (moment, zone) = (inputs.get(0).primitive::<Micros>(), session_zone(inputs));
    inputs.build_text(|row| {
        let mut out = String::new();
        text_form::write_timestamptz(moment.get(row), &zone(row)?, &mut out);
        Ok(out)
    })
}

/// `timestamp AT TIME ZONE zone`
pub(crate) fn at_zone(inputs: &Inputs, _: DataType) -> Computed {
    let (zone, local) = (zones(inputs, 0, zone::zone_of_word), inputs.get(1).primitive::<Micros>());
    Ok(moments(inputs.build::<Micros>(|row| moment_in(&zone(row)?, local.get(row)))?))
}

/// `timestamptz AT TIME ZONE zone`
pub(crate) fn in_zone(inputs: &Inputs, _: DataType) -> Computed {
    let (zone, moment) = (zones(inputs, 0, zone::zone_of_word), inputs.get(1).primitive::<Micros>());
    Ok(Arc::new(inputs.build::<Micros>(|row| local_in(&zone(row)?, moment.get(row)))?))
}

/// The offset that an interval is.
fn offset(interval: Interval) -> Result<i64, DataError> {
    if interval.months == 0 && interval.days == 0 {
        return Ok(interval.micros);
    }
    let mut shown = String::new();
    text_form::write_interval(interval, &mut shown);
    let message = format!("interval time zone \"{shown}\" must not include months or days");
    Err(DataError::new("22023", message))
}

fn shifted_by_offset(inputs: &Inputs, sign: i64) -> Result<PrimitiveArray<Micros>, DataError> {
    inputs.map2::<IntervalMonthDayNanoType, Micros, Micros>(|interval, micros| {
        let shift = offset(Interval::from_arrow(interval))? * sign;
        micros.checked_add(shift).ok_or_else(timestamp_out_of_range)
    })
}

/// `timestamp AT TIME ZONE interval`
pub(crate) fn at_offset(inputs: &Inputs, _: DataType) -> Computed {
    Ok(moments(shifted_by_offset(inputs, -1)?))
}

/// `timestamptz AT TIME ZONE interval`
pub(crate) fn in_offset(inputs: &Inputs, _: DataType) -> Computed {
    Ok(Arc::new(shifted_by_offset(inputs, 1)?))
}

/// The moment `sign` times an interval later: months and days by the zone's clocks, each, then time.
pub(super) fn later(zone: &Zone, moment: i64, interval: Interval, sign: i64) -> Result<i64, DataError> {
    let by_clock = |moment: i64, days_later: &dyn Fn(i64) -> i64| {
        let local = local_in(zone, moment)?;
        let (days, time) = (local.div_euclid(MICROS_PER_DAY), local.rem_euclid(MICROS_PER_DAY));
        let local = days_later(days).checked_mul(MICROS_PER_DAY).and_then(|micros| micros.checked_add(time));
        moment_in(zone, local.ok_or_else(timestamp_out_of_range)?)
    };
    let mut moment = moment;
    if interval.months != 0 {
        moment = by_clock(moment, &|days| add_months(days, sign * i64::from(interval.months)))?;
    }
    if interval.days != 0 {
        moment = by_clock(moment, &|days| days + sign * i64::from(interval.days))?;
    }
    let time = interval.micros.checked_mul(sign);
    let moment = time.and_then(|time| moment.checked_add(time));
    moment.filter(|moment| moment.div_euclid(MICROS_PER_DAY) >= FIRST_DAY).ok_or_else(timestamp_out_of_range)
}

fn shift(inputs: &Inputs, sign: i64) -> Computed {
    let is_interval = *inputs.get(0).array().data_type() == DataType::Interval.to_arrow();
    let (moment, interval) = if is_interval { (1, 0) } else { (0, 1) };
    let moment = inputs.get(moment).primitive::<Micros>();
    let interval = inputs.get(interval).primitive::<IntervalMonthDayNanoType>();
    let zone = session_zone(inputs);
    Ok(moments(inputs.build::<Micros>(|row| {
        later(&zone(row)?, moment.get(row), Interval::from_arrow(interval.get(row)), sign)
    })?))
}

/// `timestamptz + interval`, in either order
pub(crate) fn add_interval(inputs: &Inputs, _: DataType) -> Computed {
    shift(inputs, 1)
}

/// `timestamptz - interval`
pub(crate) fn subtract_interval(inputs: &Inputs, _: DataType) -> Computed {
    shift(inputs, -1)
}

/// A cast from or to a timestamp with time zone as the call that it is; `None` for other casts.
pub(crate) fn cast_in_zone(expr: Expr, from: DataType, to: DataType, zone: &Zone) -> Option<Expr> {
    let call = |function: &str, argument: Expr, data_type: DataType| Expr::Call {
        function: function.to_owned(),
        version: VERSION,
        arguments: vec![argument, Expr::Literal(Literal::Text(zone.name().to_owned()))],
        data_type,
    };
    let cast = |input: Expr, to: DataType| Expr::Cast { input: Box::new(input), to };
    Some(match (from, to) {
        (DataType::Text | DataType::Timestamp, DataType::TimestampTz) => {
            call("timestamptz_in_zone", expr, to)
        }
        (DataType::Date, DataType::TimestampTz) => {
            call("timestamptz_in_zone", cast(expr, DataType::Timestamp), to)
        }
        (DataType::TimestampTz, DataType::Timestamp) => call("timestamp_in_zone", expr, to),
        (DataType::TimestampTz, DataType::Date) => {
            cast(call("timestamp_in_zone", expr, DataType::Timestamp), to)
        }
        (DataType::TimestampTz, DataType::Time) => {
            cast(call("timestamp_in_zone", expr, DataType::Timestamp), to)
        }
        (DataType::Char, DataType::TimestampTz) => {
            call("timestamptz_in_zone", cast(expr, DataType::Text), to)
        }
        (DataType::TimestampTz, DataType::Char) => cast(call("text_in_zone", expr, DataType::Text), to),
        (DataType::TimestampTz, DataType::Text) => call("text_in_zone", expr, to),
        _ => return None,
    })
}
