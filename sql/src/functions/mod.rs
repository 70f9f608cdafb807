//! The function table: every function and operator by name, with its types and its kernel.
//!
//! The binder resolves names against it, `compile` looks kernels up in it; both ways to run an
//! expression (in a dataflow, ad hoc) therefore compute the same. What is not in it does not exist.

mod array; // arrays
mod array_fill;
mod arithmetic; // + - * / % on integers and floats
mod bits; // & | # ~ << >>
mod bytes; // bytea and uuid
mod cast;
mod clock; // time of day
mod comparison;
mod date; // dates and intervals
mod inputs; // a kernel's arguments
mod json; // parts of json and jsonb
mod json_build; // to_json, json_build_object
mod json_elements; // arrays of JSON as arrays
mod json_path; // paths as arrays, changes along them
mod like; // LIKE and ILIKE
mod make; // make_date and its kin
mod limits; // varchar(n), char(n), timestamp(p)
mod math;
mod moment_fields; // what to_date has read
mod moment_pattern; // the patterns of to_char and to_date
mod number_pattern; // the patterns of to_char of numbers
mod numeric; // of a fixed scale
mod decimal; // of any number of digits
mod decimal_math; // its roots, powers, logarithms
mod overlaps; // OVERLAPS
mod read_moment; // to_date, to_timestamp
mod resolve; // which overload a call means
mod regression; // the parts of corr and regr_…
mod regex; // ~ and ~*, regexp_…, SIMILAR TO
mod row; // the one row of a scalar sub-query
mod sets; // functions that give rows
mod span; // functions of intervals
mod table; // every overload, and the names of SQL
mod strings; // replace, split_part, trim, pad, concat …
mod text; // length, lower, upper, substr
mod time; // date_trunc, extract
mod trigonometry; // sin, gcd, width_bucket …
mod words; // initcap, format, quote_literal …
mod zoned; // moments and the times that clocks show
mod to_char; // moments by a pattern
mod to_char_interval;
mod to_char_number;
mod to_number;

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{DataError, DataType, Element, NUMERIC_PRECISION_MAX};

pub(crate) use arithmetic::float_overflow;
pub(crate) use cast::{Context, cast, context};
pub(crate) use comparison::{compare_shown_intervals, extreme_row, normalize_float, normalize_real};
pub(crate) use date::fold_moment;
pub(crate) use decimal::{FRACTION, limited};
pub(crate) use inputs::Inputs;
pub(crate) use numeric::{overflow as numeric_overflow, rescale};
pub(crate) use regression::{PARTS, Part, regression_of};
pub(crate) use resolve::{Unresolved, common_type, comparison_type, resolve_function, resolve_operator};
pub(crate) use sets::{ONE_ROW, gives_rows, set_function};
pub(crate) use table::sql_function;
use table::{FUNCTIONS, GENERIC};
pub(crate) use time::extract_scale;
pub(crate) use zoned::cast_in_zone;

/// The version that every function has had so far: part of a call's identity in plans.
pub(crate) const VERSION: u32 = 1;

/// Computes a call for a batch: the arguments, and the result's type.
pub(crate) type Kernel = fn(&Inputs, DataType) -> Result<ArrayRef, DataError>;

/// A type without precision and scale: what overloads differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int32,
    Int64,
    Float64,
    Text,
    Timestamp,
    Numeric,
    Date,
    Interval,
    Int16,
    Float32,
    TimestampTz,
    Uuid,
    Bytea,
    Time,
    Char,
    Json,
    Jsonb,
    /// Of whatever type.
    Array,
}

impl Kind {
    /// The kind of a type.
    pub(crate) fn of(data_type: DataType) -> Kind {
        match data_type.base() {
            DataType::Boolean => Kind::Boolean,
            DataType::Int32 => Kind::Int32,
            DataType::Int64 => Kind::Int64,
            DataType::Float64 => Kind::Float64,
            DataType::Text => Kind::Text,
            DataType::Timestamp => Kind::Timestamp,
            DataType::Numeric { .. } | DataType::Decimal => Kind::Numeric,
            DataType::Date => Kind::Date,
            DataType::Interval => Kind::Interval,
            DataType::Int16 => Kind::Int16,
            DataType::Float32 => Kind::Float32,
            DataType::TimestampTz => Kind::TimestampTz,
            DataType::Uuid => Kind::Uuid,
            DataType::Bytea => Kind::Bytea,
            DataType::Time => Kind::Time,
            DataType::Json => Kind::Json,
            DataType::Jsonb => Kind::Jsonb,
            DataType::Array(_) => Kind::Array,
            DataType::Char | DataType::Limited(_) => Kind::Char,
        }
    }

    /// The type of this kind that holds every value of `from`, where there is a choice.
    pub(crate) fn with_room_for(self, from: Option<DataType>) -> DataType {
        match (self, from) {
            (Kind::Boolean, _) => DataType::Boolean,
            (Kind::Int32, _) => DataType::Int32,
            (Kind::Int64, _) => DataType::Int64,
            (Kind::Float64, _) => DataType::Float64,
            (Kind::Text, _) => DataType::Text,
            (Kind::Timestamp, _) => DataType::Timestamp,
            (Kind::Date, _) => DataType::Date,
            (Kind::Interval, _) => DataType::Interval,
            (Kind::Int16, _) => DataType::Int16,
            (Kind::Float32, _) => DataType::Float32,
            (Kind::TimestampTz, _) => DataType::TimestampTz,
            (Kind::Uuid, _) => DataType::Uuid,
            (Kind::Bytea, _) => DataType::Bytea,
            (Kind::Time, _) => DataType::Time,
            (Kind::Json, _) => DataType::Json,
            (Kind::Jsonb, _) => DataType::Jsonb,
            (Kind::Array, Some(array @ DataType::Array(_))) => array,
            (Kind::Array, _) => DataType::Array(Element::Text),
            (Kind::Char, _) => DataType::Char,
            (Kind::Numeric, Some(known @ (DataType::Numeric { .. } | DataType::Decimal))) => known,
            (Kind::Numeric, Some(from)) if is_whole(from) || from == DataType::Boolean => numeric_type(0),
            (Kind::Numeric, _) => DataType::Decimal,
        }
    }
}

/// Whether the type is one of the integers'.
fn is_whole(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// A result of numerics of a fixed scale has one, too, up to so many digits behind the point: then 38 digits leave
/// room for those before it.
const FIXED_SCALE_MAX: i32 = 16;

/// `numeric` with this many digits behind the point, as wide as it can be.
pub(crate) fn numeric_type(scale: u8) -> DataType {
    DataType::Numeric { precision: NUMERIC_PRECISION_MAX, scale }
}

/// How the result's type follows from the arguments'.
#[derive(Clone, Copy)]
enum Returns {
    Fixed(DataType),
    /// numeric with the greater of the arguments' scales
    MaxScale,
    /// numeric with the scale of a product
    Product,
    /// numeric without digits behind the point
    Whole,
}

/// The result's type of `round(numeric, digits)` and `trunc(numeric, digits)`: of the scale that is asked
/// for where that is a constant, and of any else.
pub(crate) fn rounded_type(argument: DataType, digits: Option<i32>) -> DataType {
    match (argument, digits) {
        (DataType::Numeric { .. }, Some(digits @ ..=FIXED_SCALE_MAX)) => numeric_type(digits.max(0) as u8),
        _ => DataType::Decimal,
    }
}

/// One overload of a function.
pub(crate) struct Function {
    name: &'static str,
    arguments: &'static [Kind],
    returns: Returns,
    kernel: Kernel,
    /// Where the value depends on the session's time zone: the name under which a plan has the call, whose last
    /// argument is then the zone's name. So a view keeps the zone that it was created in.
    in_zone: Option<&'static str>,
}

impl Function {
    /// The result's type for arguments of these types, which have the overload's kinds.
    pub(crate) fn result(&self, arguments: &[DataType]) -> DataType {
        let scale = |index: usize| match arguments.get(index) {
            Some(DataType::Numeric { scale, .. }) => *scale,
            _ => 0,
        };
        match self.returns {
            Returns::Fixed(data_type) => data_type,
            // Where one has a scale for each value, so has the result.
            _ if arguments.contains(&DataType::Decimal) => DataType::Decimal,
            Returns::MaxScale => numeric_type(scale(0).max(scale(1))),
            Returns::Product => match scale(0) + scale(1) {
                exact if i32::from(exact) <= FIXED_SCALE_MAX => numeric_type(exact),
                _ => DataType::Decimal,
            },
            Returns::Whole => numeric_type(0),
        }
    }

    /// The name in the table.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The name that plans carry of a function that takes the zone's name as one more argument.
    pub(crate) fn in_zone(&self) -> Option<&'static str> {
        self.in_zone
    }

    /// The arguments' kinds.
    pub(crate) fn arguments(&self) -> &'static [Kind] {
        self.arguments
    }
}

/// The overloads of a name of the table.
pub(crate) fn overloads(name: &str) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS.iter().filter(move |function| function.name == name)
}

/// The kernel of a call with arguments of these types.
pub(crate) fn kernel(name: &str, arguments: &[DataType]) -> Option<Kernel> {
    if let Some((_, kernel)) = GENERIC.iter().find(|(generic, _)| *generic == name) {
        return Some(*kernel);
    }
    let kinds = || arguments.iter().map(|argument| Kind::of(*argument));
    let takes = |function: &&Function| match function.in_zone {
        None => function.name == name && function.arguments.iter().copied().eq(kinds()),
        Some(in_zone) => {
            let zone = std::iter::once(Kind::Text);
            in_zone == name && function.arguments.iter().copied().chain(zone).eq(kinds())
        }
    };
    FUNCTIONS.iter().find(takes).map(|found| found.kernel)
}

/// Whether a call of this name in a plan depends on the time zone of the session that made it.
pub(crate) fn depends_on_session(name: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.in_zone == Some(name))
}
