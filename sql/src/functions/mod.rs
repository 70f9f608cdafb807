//! The function table: every function and operator by name, with its types and its kernel.
//!
//! The binder resolves names against it, `compile` looks kernels up in it; both ways to run an
//! expression (in a dataflow, ad hoc) therefore compute the same. What is not in it does not exist.

mod arithmetic; // + - * / % on integers and floats
mod bytes; // bytea and uuid
mod cast;
mod clock; // time of day
mod comparison;
mod date; // dates and intervals
mod inputs; // a kernel's arguments
mod json; // parts of json and jsonb
mod json_build; // to_json, json_build_object
mod like; // LIKE and ILIKE
mod limits; // varchar(n), char(n), timestamp(p)
mod math;
mod numeric;
mod resolve; // which overload a call means
mod regex; // ~ and ~*
mod row; // the one row of a scalar sub-query
mod span; // functions of intervals
mod strings; // replace, split_part, trim, pad, concat …
mod text; // length, lower, upper, substr
mod time; // date_trunc, extract
mod zoned; // moments and the times that clocks show
mod to_char;

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{DataError, DataType, NUMERIC_PRECISION_MAX};

pub(crate) use arithmetic::float_overflow;
pub(crate) use cast::{Context, cast, context};
pub(crate) use comparison::{compare_shown_intervals, extreme_row, normalize_float, normalize_real};
pub(crate) use date::fold_moment;
pub(crate) use inputs::Inputs;
pub(crate) use numeric::{mean, overflow as numeric_overflow, quotient_scale, rescale};
pub(crate) use resolve::{Unresolved, common_type, comparison_type, resolve_function, resolve_operator};
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
            DataType::Numeric { .. } => Kind::Numeric,
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
            (Kind::Char, _) => DataType::Char,
            (Kind::Numeric, Some(known @ DataType::Numeric { .. })) => known,
            (Kind::Numeric, Some(from)) if is_whole(from) || from == DataType::Boolean => numeric_type(0),
            (Kind::Numeric, _) => numeric_type(numeric::QUOTIENT_SCALE),
        }
    }
}

/// Whether the type is one of the integers'.
fn is_whole(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

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
    /// numeric with the scale of a quotient
    Quotient,
    /// numeric without digits behind the point
    Whole,
}

/// The result's type of `round(numeric, digits)` and `trunc(numeric, digits)`: the scale that is asked
/// for where that is a constant, else the argument's.
pub(crate) fn rounded_type(argument: DataType, digits: Option<i32>) -> DataType {
    match (argument, digits) {
        (_, Some(digits)) => numeric_type(digits.clamp(0, i32::from(NUMERIC_PRECISION_MAX)) as u8),
        (DataType::Numeric { scale, .. }, None) => numeric_type(scale),
        (_, None) => numeric_type(0),
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
            Returns::MaxScale => numeric_type(scale(0).max(scale(1))),
            Returns::Product => numeric_type(numeric::product_scale(scale(0), scale(1))),
            Returns::Quotient => numeric_type(numeric::quotient_scale(scale(0), scale(1))),
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

/// Functions of any number of arguments of one kind, whichever.
const GENERIC: &[(&str, Kernel)] = &[
    ("equal", comparison::equal),
    ("not_equal", comparison::not_equal),
    ("less", comparison::less),
    ("less_equal", comparison::less_equal),
    ("greater", comparison::greater),
    ("greater_equal", comparison::greater_equal),
    ("is_distinct_from", comparison::is_distinct_from),
    ("in", comparison::is_in),
    ("least", comparison::least),
    ("greatest", comparison::greatest),
    ("single_row", row::single_row),
    ("assign", limits::assign),
    ("padded", limits::padded),
    ("iso_text", json_build::iso_text),
    ("to_json", json_build::to_json),
    ("to_jsonb", json_build::to_jsonb),
    ("json_build_array", json_build::json_build_array),
    ("json_build_object", json_build::json_build_object),
    ("jsonb_build_array", json_build::build_array),
    ("jsonb_build_object", json_build::build_object),
    ("json_extract_path", json::json_extract_path),
    ("json_extract_path_text", json::json_extract_path_text),
    ("jsonb_extract_path", json::extract_path),
    ("jsonb_extract_path_text", json::extract_path_text),
    ("concat_all", strings::concat_all),
    ("concat_ws", strings::concat_ws),
];

const INT2: Returns = Returns::Fixed(DataType::Int16);
const INT4: Returns = Returns::Fixed(DataType::Int32);
const INT8: Returns = Returns::Fixed(DataType::Int64);
const FLOAT4: Returns = Returns::Fixed(DataType::Float32);
const FLOAT8: Returns = Returns::Fixed(DataType::Float64);
const TEXT: Returns = Returns::Fixed(DataType::Text);
const BOOLEAN: Returns = Returns::Fixed(DataType::Boolean);
const TIMESTAMP: Returns = Returns::Fixed(DataType::Timestamp);
const TIMESTAMPTZ: Returns = Returns::Fixed(DataType::TimestampTz);
const BYTEA: Returns = Returns::Fixed(DataType::Bytea);
const DATE: Returns = Returns::Fixed(DataType::Date);
const INTERVAL: Returns = Returns::Fixed(DataType::Interval);
const JSON: Returns = Returns::Fixed(DataType::Json);
const JSONB: Returns = Returns::Fixed(DataType::Jsonb);
const TIME: Returns = Returns::Fixed(DataType::Time);

const fn entry(name: &'static str, arguments: &'static [Kind], returns: Returns, kernel: Kernel) -> Function {
    Function { name, arguments, returns, kernel, in_zone: None }
}

const fn zoned(
    name: &'static str,
    in_zone: &'static str,
    arguments: &'static [Kind],
    returns: Returns,
    kernel: Kernel,
) -> Function {
    Function { name, arguments, returns, kernel, in_zone: Some(in_zone) }
}

/// Every other function, by overload.
static FUNCTIONS: &[Function] = {
    use Kind::{
        Bytea, Char, Date, Float32, Float64, Int16, Int32, Int64, Interval, Json, Jsonb, Numeric, Text, Time,
        Timestamp, TimestampTz,
    };
    &[
        entry("add", &[Int16, Int16], INT2, arithmetic::add_int2),
        entry("add", &[Int32, Int32], INT4, arithmetic::add_int4),
        entry("add", &[Int64, Int64], INT8, arithmetic::add_int8),
        entry("add", &[Float32, Float32], FLOAT4, arithmetic::add_real),
        entry("add", &[Float32, Float64], FLOAT8, arithmetic::add_mixed),
        entry("add", &[Float64, Float32], FLOAT8, arithmetic::add_mixed),
        entry("add", &[Float64, Float64], FLOAT8, arithmetic::add_float),
        entry("add", &[Numeric, Numeric], Returns::MaxScale, numeric::add),
        entry("add", &[Date, Int32], DATE, date::add_days),
        entry("add", &[Int32, Date], DATE, date::add_days),
        entry("add", &[Date, Interval], TIMESTAMP, date::add_interval),
        entry("add", &[Interval, Date], TIMESTAMP, date::add_interval),
        entry("add", &[Timestamp, Interval], TIMESTAMP, date::add_interval),
        entry("add", &[Interval, Timestamp], TIMESTAMP, date::add_interval),
        entry("add", &[Interval, Interval], INTERVAL, date::add_intervals),
        entry("add", &[Time, Interval], TIME, clock::add_interval),
        entry("add", &[Interval, Time], TIME, clock::add_interval),
        entry("add", &[Date, Time], TIMESTAMP, clock::on_day),
        entry("add", &[Time, Date], TIMESTAMP, clock::on_day),
        entry("subtract", &[Int16, Int16], INT2, arithmetic::subtract_int2),
        entry("subtract", &[Int32, Int32], INT4, arithmetic::subtract_int4),
        entry("subtract", &[Int64, Int64], INT8, arithmetic::subtract_int8),
        entry("subtract", &[Float32, Float32], FLOAT4, arithmetic::subtract_real),
        entry("subtract", &[Float32, Float64], FLOAT8, arithmetic::subtract_mixed),
        entry("subtract", &[Float64, Float32], FLOAT8, arithmetic::subtract_mixed),
        entry("subtract", &[Float64, Float64], FLOAT8, arithmetic::subtract_float),
        entry("subtract", &[Numeric, Numeric], Returns::MaxScale, numeric::subtract),
        entry("subtract", &[Date, Int32], DATE, date::subtract_days),
        entry("subtract", &[Date, Date], INT4, date::days_between),
        entry("subtract", &[Date, Interval], TIMESTAMP, date::subtract_interval),
        entry("subtract", &[Timestamp, Interval], TIMESTAMP, date::subtract_interval),
        entry("subtract", &[Timestamp, Timestamp], INTERVAL, date::time_between),
        entry("subtract", &[Interval, Interval], INTERVAL, date::subtract_intervals),
        entry("subtract", &[Time, Interval], TIME, clock::subtract_interval),
        entry("subtract", &[Time, Time], INTERVAL, clock::between),
        entry("multiply", &[Int16, Int16], INT2, arithmetic::multiply_int2),
        entry("multiply", &[Int32, Int32], INT4, arithmetic::multiply_int4),
        entry("multiply", &[Int64, Int64], INT8, arithmetic::multiply_int8),
        entry("multiply", &[Float32, Float32], FLOAT4, arithmetic::multiply_real),
        entry("multiply", &[Float32, Float64], FLOAT8, arithmetic::multiply_mixed),
        entry("multiply", &[Float64, Float32], FLOAT8, arithmetic::multiply_mixed),
        entry("multiply", &[Float64, Float64], FLOAT8, arithmetic::multiply_floats),
        entry("multiply", &[Numeric, Numeric], Returns::Product, numeric::multiply),
        entry("multiply", &[Interval, Float64], INTERVAL, date::multiply_interval),
        entry("multiply", &[Float64, Interval], INTERVAL, date::multiply_interval),
        entry("divide", &[Interval, Float64], INTERVAL, date::divide_interval),
        entry("divide", &[Int16, Int16], INT2, arithmetic::divide_int2),
        entry("divide", &[Int32, Int32], INT4, arithmetic::divide_int4),
        entry("divide", &[Int64, Int64], INT8, arithmetic::divide_int8),
        entry("divide", &[Float32, Float32], FLOAT4, arithmetic::divide_real),
        entry("divide", &[Float32, Float64], FLOAT8, arithmetic::divide_mixed),
        entry("divide", &[Float64, Float32], FLOAT8, arithmetic::divide_mixed),
        entry("divide", &[Float64, Float64], FLOAT8, arithmetic::divide_floats),
        entry("divide", &[Numeric, Numeric], Returns::Quotient, numeric::divide),
        entry("modulo", &[Int16, Int16], INT2, arithmetic::modulo_int2),
        entry("modulo", &[Int32, Int32], INT4, arithmetic::modulo_int4),
        entry("modulo", &[Int64, Int64], INT8, arithmetic::modulo_int8),
        entry("modulo", &[Numeric, Numeric], Returns::MaxScale, numeric::modulo),
        entry("negate", &[Int16], INT2, arithmetic::negate_int2),
        entry("negate", &[Int32], INT4, arithmetic::negate_int4),
        entry("negate", &[Int64], INT8, arithmetic::negate_int8),
        entry("negate", &[Float32], FLOAT4, arithmetic::negate_real),
        entry("negate", &[Float64], FLOAT8, arithmetic::negate_float),
        entry("negate", &[Numeric], Returns::MaxScale, numeric::negate),
        entry("negate", &[Interval], INTERVAL, date::negate_interval),
        entry("abs", &[Int16], INT2, math::abs_int2),
        entry("abs", &[Int32], INT4, math::abs_int4),
        entry("abs", &[Int64], INT8, math::abs_int8),
        entry("abs", &[Float32], FLOAT4, math::abs_real),
        entry("abs", &[Float64], FLOAT8, math::abs_float),
        entry("abs", &[Numeric], Returns::MaxScale, numeric::abs),
        entry("ceil", &[Float64], FLOAT8, math::ceil_float),
        entry("ceil", &[Numeric], Returns::Whole, numeric::ceil),
        entry("floor", &[Float64], FLOAT8, math::floor_float),
        entry("floor", &[Numeric], Returns::Whole, numeric::floor),
        entry("round", &[Float64], FLOAT8, math::round_float),
        entry("round", &[Numeric], Returns::Whole, numeric::round),
        entry("round", &[Numeric, Int32], Returns::MaxScale, numeric::round_to),
        entry("trunc", &[Float64], FLOAT8, math::trunc_float),
        entry("trunc", &[Numeric], Returns::Whole, numeric::trunc),
        entry("trunc", &[Numeric, Int32], Returns::MaxScale, numeric::trunc_to),
        entry("sign", &[Float64], FLOAT8, math::sign_float),
        entry("sign", &[Numeric], Returns::Whole, numeric::sign),
        entry("sqrt", &[Float64], FLOAT8, math::sqrt),
        entry("power", &[Float64, Float64], FLOAT8, math::power),
        entry("ln", &[Float64], FLOAT8, math::ln),
        entry("log", &[Float64], FLOAT8, math::log10),
        entry("exp", &[Float64], FLOAT8, math::exp),
        entry("length", &[Text], INT4, text::length),
        entry("length", &[Bytea], INT4, bytes::length),
        entry("octet_length", &[Text], INT4, bytes::text_octets),
        entry("octet_length", &[Bytea], INT4, bytes::length),
        entry("octet_length", &[Char], INT4, bytes::text_octets),
        entry("concat", &[Bytea, Bytea], BYTEA, bytes::concat),
        entry("substr", &[Bytea, Int32], BYTEA, bytes::substr),
        entry("substr", &[Bytea, Int32, Int32], BYTEA, bytes::substr),
        entry("get_byte", &[Bytea, Int32], INT4, bytes::get_byte),
        entry("bit_count", &[Bytea], INT8, bytes::bit_count),
        entry("encode", &[Bytea, Text], TEXT, bytes::encode),
        entry("decode", &[Text, Text], BYTEA, bytes::decode),
        entry("lower", &[Text], TEXT, text::lower),
        entry("upper", &[Text], TEXT, text::upper),
        entry("concat", &[Text, Text], TEXT, text::concat),
        entry("substr", &[Text, Int32], TEXT, text::substr),
        entry("substr", &[Text, Int32, Int32], TEXT, text::substr),
        entry("replace", &[Text, Text, Text], TEXT, strings::replace),
        entry("split_part", &[Text, Text, Int32], TEXT, strings::split_part),
        entry("strpos", &[Text, Text], INT4, strings::strpos),
        entry("starts_with", &[Text, Text], BOOLEAN, strings::starts_with),
        entry("left", &[Text, Int32], TEXT, strings::left),
        entry("right", &[Text, Int32], TEXT, strings::right),
        entry("lpad", &[Text, Int32], TEXT, strings::lpad),
        entry("lpad", &[Text, Int32, Text], TEXT, strings::lpad),
        entry("rpad", &[Text, Int32], TEXT, strings::rpad),
        entry("rpad", &[Text, Int32, Text], TEXT, strings::rpad),
        entry("btrim", &[Text], TEXT, strings::btrim),
        entry("btrim", &[Text, Text], TEXT, strings::btrim),
        entry("ltrim", &[Text], TEXT, strings::ltrim),
        entry("ltrim", &[Text, Text], TEXT, strings::ltrim),
        entry("rtrim", &[Text], TEXT, strings::rtrim),
        entry("rtrim", &[Text, Text], TEXT, strings::rtrim),
        entry("like", &[Char, Text], BOOLEAN, like::like),
        entry("like", &[Char, Text, Text], BOOLEAN, like::like),
        entry("ilike", &[Char, Text], BOOLEAN, like::ilike),
        entry("ilike", &[Char, Text, Text], BOOLEAN, like::ilike),
        entry("matches", &[Char, Text], BOOLEAN, regex::matches),
        entry("matches_any_case", &[Char, Text], BOOLEAN, regex::matches_any_case),
        entry("like", &[Text, Text], BOOLEAN, like::like),
        entry("like", &[Text, Text, Text], BOOLEAN, like::like),
        entry("ilike", &[Text, Text], BOOLEAN, like::ilike),
        entry("ilike", &[Text, Text, Text], BOOLEAN, like::ilike),
        entry("matches", &[Text, Text], BOOLEAN, regex::matches),
        entry("matches_any_case", &[Text, Text], BOOLEAN, regex::matches_any_case),
        entry("date_trunc", &[Text, Timestamp], TIMESTAMP, time::date_trunc),
        entry("date_part", &[Text, Timestamp], FLOAT8, time::date_part),
        entry("extract", &[Text, Timestamp], Returns::Whole, time::extract),
        entry("extract", &[Text, Date], Returns::Whole, time::extract_of_date),
        entry("extract", &[Text, Time], Returns::Whole, clock::extract),
        entry("extract", &[Text, Interval], Returns::Whole, span::extract),
        entry("date_part", &[Text, Time], FLOAT8, clock::date_part),
        entry("date_part", &[Text, Interval], FLOAT8, span::date_part),
        entry("justify_hours", &[Interval], INTERVAL, span::justify_hours),
        entry("justify_days", &[Interval], INTERVAL, span::justify_days),
        entry("justify_interval", &[Interval], INTERVAL, span::justify_interval),
        entry(
            "make_interval",
            &[Int32, Int32, Int32, Int32, Int32, Int32, Float64],
            INTERVAL,
            span::make_interval,
        ),
        entry("age", &[Timestamp, Timestamp], INTERVAL, span::age),
        zoned("age", "age_in_zone", &[TimestampTz, TimestampTz], INTERVAL, span::age_in_zone),
        entry("isfinite", &[Date], BOOLEAN, span::is_finite),
        entry("isfinite", &[Timestamp], BOOLEAN, span::is_finite),
        entry("isfinite", &[TimestampTz], BOOLEAN, span::is_finite),
        entry("isfinite", &[Interval], BOOLEAN, span::is_finite),
        entry("date_bin", &[Interval, Timestamp, Timestamp], TIMESTAMP, date::date_bin),
        entry("to_char", &[Timestamp, Text], TEXT, to_char::to_char),
        zoned("to_char", "to_char_in_zone", &[TimestampTz, Text], TEXT, to_char::to_char_in_zone),
        zoned(
            "date_trunc",
            "date_trunc_in_zone",
            &[Text, TimestampTz],
            TIMESTAMPTZ,
            time::date_trunc_in_zone,
        ),
        entry("date_trunc", &[Text, TimestampTz, Text], TIMESTAMPTZ, time::date_trunc_in_named_zone),
        zoned("date_part", "date_part_in_zone", &[Text, TimestampTz], FLOAT8, time::date_part_in_zone),
        entry("date_trunc", &[Text, Interval], INTERVAL, time::date_trunc_of_interval),
        entry("date_part", &[Text, Date], FLOAT8, time::date_part_of_date),
        zoned("extract", "extract_in_zone", &[Text, TimestampTz], Returns::Whole, time::extract_in_zone),
        entry("date_bin", &[Interval, TimestampTz, TimestampTz], TIMESTAMPTZ, date::date_bin),
        zoned("add", "add_in_zone", &[TimestampTz, Interval], TIMESTAMPTZ, zoned::add_interval),
        zoned("add", "add_in_zone", &[Interval, TimestampTz], TIMESTAMPTZ, zoned::add_interval),
        zoned(
            "subtract",
            "subtract_in_zone",
            &[TimestampTz, Interval],
            TIMESTAMPTZ,
            zoned::subtract_interval,
        ),
        entry("subtract", &[TimestampTz, TimestampTz], INTERVAL, date::time_between),
        entry("timezone", &[Text, Timestamp], TIMESTAMPTZ, zoned::at_zone),
        entry("timezone", &[Text, TimestampTz], TIMESTAMP, zoned::in_zone),
        entry("timezone", &[Interval, Timestamp], TIMESTAMPTZ, zoned::at_offset),
        entry("timezone", &[Interval, TimestampTz], TIMESTAMP, zoned::in_offset),
        zoned("timestamptz", "timestamptz_in_zone", &[Text], TIMESTAMPTZ, zoned::read),
        zoned("timestamptz", "timestamptz_in_zone", &[Timestamp], TIMESTAMPTZ, zoned::moment),
        zoned("timestamp", "timestamp_in_zone", &[TimestampTz], TIMESTAMP, zoned::local),
        zoned("text", "text_in_zone", &[TimestampTz], TEXT, zoned::shown),
        entry("->", &[Jsonb, Text], JSONB, json::field),
        entry("->", &[Jsonb, Int32], JSONB, json::element),
        entry("->", &[Json, Text], JSON, json::json_field),
        entry("->", &[Json, Int32], JSON, json::json_element),
        entry("->>", &[Jsonb, Text], TEXT, json::field_text),
        entry("->>", &[Jsonb, Int32], TEXT, json::element_text),
        entry("->>", &[Json, Text], TEXT, json::json_field_text),
        entry("->>", &[Json, Int32], TEXT, json::json_element_text),
        entry("@>", &[Jsonb, Jsonb], BOOLEAN, json::contains),
        entry("<@", &[Jsonb, Jsonb], BOOLEAN, json::contained),
        entry("?", &[Jsonb, Text], BOOLEAN, json::exists),
        entry("concat", &[Jsonb, Jsonb], JSONB, json::concat),
        entry("subtract", &[Jsonb, Text], JSONB, json::without_key),
        entry("subtract", &[Jsonb, Int32], JSONB, json::without_element),
        entry("json_typeof", &[Json], TEXT, json::json_type_name),
        entry("jsonb_typeof", &[Jsonb], TEXT, json::type_name),
        entry("json_array_length", &[Json], INT4, json::json_array_length),
        entry("jsonb_array_length", &[Jsonb], INT4, json::array_length),
        entry("json_strip_nulls", &[Json], JSON, json::json_strip_nulls),
        entry("jsonb_strip_nulls", &[Jsonb], JSONB, json::strip_nulls),
        entry("jsonb_pretty", &[Jsonb], TEXT, json::pretty),
        entry("normalize", &[Jsonb], JSONB, comparison::normalize_jsonb),
        entry("normalize", &[Float64], FLOAT8, comparison::normalize),
        entry("normalize", &[Float32], FLOAT4, comparison::normalize_reals),
        entry("normalize", &[Interval], INTERVAL, comparison::normalize_intervals),
    ]
};

/// The table's name of a function that SQL may call, by its SQL name.
pub(crate) fn sql_function(name: &str) -> Option<&'static str> {
    const CALLABLE: &[(&str, &str)] = &[
        ("abs", "abs"),
        ("ceil", "ceil"),
        ("ceiling", "ceil"),
        ("floor", "floor"),
        ("round", "round"),
        ("sqrt", "sqrt"),
        ("length", "length"),
        ("octet_length", "octet_length"),
        ("get_byte", "get_byte"),
        ("bit_count", "bit_count"),
        ("encode", "encode"),
        ("decode", "decode"),
        ("char_length", "length"),
        ("character_length", "length"),
        ("lower", "lower"),
        ("upper", "upper"),
        ("substr", "substr"),
        ("substring", "substr"),
        ("date_trunc", "date_trunc"),
        ("date_part", "date_part"),
        ("date_bin", "date_bin"),
        ("to_char", "to_char"),
        ("timezone", "timezone"),
        ("json_typeof", "json_typeof"),
        ("jsonb_typeof", "jsonb_typeof"),
        ("json_array_length", "json_array_length"),
        ("jsonb_array_length", "jsonb_array_length"),
        ("json_strip_nulls", "json_strip_nulls"),
        ("jsonb_strip_nulls", "jsonb_strip_nulls"),
        ("jsonb_pretty", "jsonb_pretty"),
        ("justify_hours", "justify_hours"),
        ("justify_days", "justify_days"),
        ("justify_interval", "justify_interval"),
        ("age", "age"),
        ("isfinite", "isfinite"),
        ("trunc", "trunc"),
        ("sign", "sign"),
        ("mod", "modulo"),
        ("power", "power"),
        ("pow", "power"),
        ("ln", "ln"),
        ("log", "log"),
        ("log10", "log"),
        ("exp", "exp"),
        ("replace", "replace"),
        ("split_part", "split_part"),
        ("strpos", "strpos"),
        ("starts_with", "starts_with"),
        ("left", "left"),
        ("right", "right"),
        ("lpad", "lpad"),
        ("rpad", "rpad"),
        ("btrim", "btrim"),
        ("ltrim", "ltrim"),
        ("rtrim", "rtrim"),
    ];
    CALLABLE.iter().find(|(sql, _)| *sql == name).map(|(_, table)| *table)
}
