//! Random expressions of a type over the columns in scope.

use crate::queries::Writer;

/// The types that expressions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Big,
    Double,
    Text,
    Bool,
    Time,
    Numeric,
    Small,
    Real,
    Moment,
    Uuid,
    Bytes,
    Span,
    Clock,
    Short,
    Code,
    Doc,
    List,
}

impl Type {
    /// Those of tables' columns.
    pub(crate) const OF_TABLES: [Type; 18] = [
        Type::Int,
        Type::Big,
        Type::Double,
        Type::Text,
        Type::Bool,
        Type::Time,
        Type::Numeric,
        Type::Small,
        Type::Real,
        Type::Moment,
        Type::Uuid,
        Type::Bytes,
        Type::Span,
        Type::Clock,
        Type::Short,
        Type::Code,
        Type::Doc,
        Type::List,
    ];

    /// As SQL names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Int => "int",
            Type::Big => "bigint",
            Type::Double => "double precision",
            Type::Text => "text",
            Type::Bool => "boolean",
            Type::Time => "timestamp",
            Type::Numeric => "numeric",
            Type::Small => "smallint",
            Type::Real => "real",
            Type::Moment => "timestamptz",
            Type::Uuid => "uuid",
            Type::Bytes => "bytea",
            Type::Span => "interval",
            Type::Clock => "time",
            Type::Short => "varchar(6)",
            Type::Code => "char(3)",
            Type::Doc => "jsonb",
            Type::List => "int[]",
        }
    }
}

/// A column that an expression may name.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// As it is written: with its relation, mostly.
    pub(crate) name: String,
    pub(crate) data_type: Type,
}

/// A literal of the type, as INSERT writes it; small values often, NULL sometimes, extremes seldom.
/// Doubles are such that their sums are exact in any order.
pub(crate) fn literal(writer: &mut Writer, data_type: Type) -> String {
    if writer.random.chance(12) {
        return "NULL".to_owned();
    }
    let is_extreme = writer.random.chance(3);
    let of: &[&str] = match (data_type, is_extreme) {
        (Type::Int, false) => &["0", "1", "2", "3", "-1", "5", "7"],
        (Type::Int, true) => &["2147483647", "-2147483648", "2000000000"],
        (Type::Big, false) => &["0", "1", "2", "3", "-4", "5000000000"],
        (Type::Big, true) => &["9223372036854775807", "-9223372036854775808"],
        (Type::Double, false) => &["0", "1", "1.5", "0.25", "-3", "2"],
        (Type::Double, true) => &["'NaN'", "'Infinity'", "'-Infinity'", "1e300"],
        (Type::Text, false) => &["'a'", "'b'", "'ab'", "''", "'7'", "'A'", "'-3'", "'x_y'"],
        (Type::Text, true) => &["'it''s'", "'a%'", "'日本'", "'12 '"],
        (Type::Bool, _) => &["true", "false"],
        (Type::Time, false) => {
            &["'2024-01-01 00:10:00'", "'2024-01-01 00:50:00.25'", "'2024-02-29 12:00:00'"]
        }
        (Type::Time, true) => &["'1969-12-31 23:59:59.999999'", "'2000-01-01'"],
        (Type::Small, false) => &["0", "1", "2", "3", "-1", "5", "7"],
        (Type::Small, true) => &["32767", "-32768", "30000"],
        (Type::Real, false) => &["0", "1", "1.5", "0.25", "-3", "2"],
        (Type::Real, true) => &["'NaN'", "'Infinity'", "'-Infinity'", "1.2676506e30"],
        (Type::Moment, false) => {
            &["'2024-03-31 00:30'", "'2024-03-31 02:30'", "'2024-10-27 02:30'", "'2024-10-27 00:30Z'"]
        }
        (Type::Moment, true) => &["'1890-01-01'", "'2024-07-01 12:00 America/New_York'", "'2100-07-01'"],
        (Type::Uuid, _) => &[
            "'00000000-0000-0000-0000-000000000001'",
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "'{a0eebc999c0b4ef8bb6d6bb9bd380a12}'",
        ],
        (Type::Bytes, _) => &["'\\x00ff'", "''", "'a'", "'\\xFE'", "'a\\001b'"],
        // Hours only: equal intervals look alike.
        (Type::Span, _) => &["'01:30'", "'2 hours'", "'-00:30'", "'0'", "'100:00:00.25'"],
        (Type::Clock, _) => &["'00:10'", "'01:10'", "'23:59:59.999999'", "'12:30 PM'"],
        (Type::Short, _) => &["'a'", "'7'", "''", "'ab'", "'ab '", "'abcdef'"],
        (Type::List, _) => &["'{1,2}'", "'{}'", "'{NULL,1}'", "'{2}'", "'{3,2,1,7}'"],
        // Equal ones look alike.
        (Type::Doc, _) => &[
            "'1'",
            "'{\"a\": 1}'",
            "'{\"a\": {\"a\": \"b\"}, \"b\": null}'",
            "'[1, \"b\", null]'",
            "'\"b\"'",
            "'null'",
            "'[]'",
        ],
        (Type::Code, _) => &["'a'", "'7'", "''", "'ab'", "'ab '", "'abc'"],
        // Equal ones look alike.
        (Type::Numeric, _) => &["0", "1.5", "2", "-0.25", "10", "12345678.9", "0.000123", "1e20"],
    };
    writer.random.pick(of).to_owned()
}

fn typed_literal(writer: &mut Writer, data_type: Type) -> String {
    let text = literal(writer, data_type);
    let is_bare = matches!(data_type, Type::Int | Type::Bool) && text.len() < 8 && text != "NULL";
    if is_bare && !text.starts_with('-') { text } else { format!("({text})::{}", data_type.name()) }
}

/// A column of the type, or a literal.
fn leaf(writer: &mut Writer, data_type: Type, scope: &[Column]) -> String {
    if writer.slips() {
        return if writer.random.chance(50) || scope.is_empty() {
            "nothing".to_owned()
        } else {
            scope[writer.random.below(scope.len())].name.clone()
        };
    }
    let columns: Vec<&Column> = scope.iter().filter(|column| column.data_type == data_type).collect();
    if columns.is_empty() || writer.random.chance(12) {
        return typed_literal(writer, data_type);
    }
    columns[writer.random.below(columns.len())].name.clone()
}

/// An expression of the type.
pub(crate) fn expression(writer: &mut Writer, data_type: Type, scope: &[Column], depth: usize) -> String {
    if depth == 0 || writer.random.chance(35) && data_type != Type::Bool {
        return leaf(writer, data_type, scope);
    }
    if writer.random.chance(8)
        && let Some(query) = writer.scalar(data_type, scope)
    {
        return format!("({query})");
    }
    if writer.random.chance(12) {
        return general(writer, data_type, scope, depth - 1);
    }
    match data_type {
        Type::Int => int(writer, scope, depth - 1),
        Type::Big => big(writer, scope, depth - 1),
        Type::Double => double(writer, scope, depth - 1),
        Type::Text => text(writer, scope, depth - 1),
        Type::Bool => condition(writer, scope, depth - 1),
        Type::Time => {
            let unit = writer.random.pick(&["hour", "day", "minute", "month"]);
            match writer.random.below(4) {
                0 => format!("({})::timestamp", expression(writer, Type::Moment, scope, depth - 1)),
                1 => {
                    let zone = writer.random.pick(&ZONES);
                    format!("({} AT TIME ZONE '{zone}')", expression(writer, Type::Moment, scope, depth - 1))
                }
                _ => format!("date_trunc('{unit}', {})", expression(writer, Type::Time, scope, depth - 1)),
            }
        }
        Type::Numeric => numeric(writer, scope, depth - 1),
        Type::Small => small(writer, scope, depth - 1),
        Type::Real => real(writer, scope, depth - 1),
        Type::Moment => moment(writer, scope, depth - 1),
        Type::Uuid => leaf(writer, Type::Uuid, scope),
        Type::Bytes => bytes(writer, scope, depth - 1),
        Type::Span => span(writer, scope, depth - 1),
        Type::Clock => clock(writer, scope, depth - 1),
        Type::Doc => document(writer, scope, depth - 1),
        Type::List => list(writer, scope, depth - 1),
        Type::Short | Type::Code => {
            let text = expression(writer, Type::Text, scope, depth - 1);
            if writer.random.chance(50) {
                leaf(writer, data_type, scope)
            } else {
                format!("({text})::{}", data_type.name())
            }
        }
    }
}

/// What every type has.
fn general(writer: &mut Writer, data_type: Type, scope: &[Column], depth: usize) -> String {
    let when = expression(writer, Type::Bool, scope, depth);
    let one = expression(writer, data_type, scope, depth);
    let other = expression(writer, data_type, scope, depth);
    match writer.random.below(6) {
        0 => format!("CASE WHEN {when} THEN {one} ELSE {other} END"),
        1 => format!("CASE WHEN {when} THEN {one} END"),
        2 => format!("coalesce({one}, {other})"),
        3 => format!("nullif({one}, {other})"),
        4 if data_type != Type::Bool => format!("greatest({one}, {other})"),
        5 if data_type != Type::Bool => format!("least({one}, {other})"),
        _ => format!("CASE {one} WHEN {other} THEN {other} ELSE {one} END"),
    }
}

fn int(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other) = (of(Type::Int), of(Type::Int));
    let (text, double, time) = (of(Type::Text), of(Type::Double), of(Type::Time));
    let (small, moment, bytes) = (of(Type::Small), of(Type::Moment), of(Type::Bytes));
    let (span, clock, code) = (of(Type::Span), of(Type::Clock), of(Type::Code));
    let list = of(Type::List);
    match writer.random.below(35) {
        31 => format!("cardinality({list})"),
        32 => format!("({list})[1]"),
        33 => format!("array_position({list}, {one})"),
        26 => format!("extract(minute FROM {span})::int"),
        27 => format!("extract(hour FROM {clock})::int"),
        28 => format!("length({code})"),
        29 => format!("octet_length({code})"),
        0..=4 => format!("({one} + {other})"),
        5..=7 => format!("({one} - {other})"),
        8 | 9 => format!("({one} * {other})"),
        10 => format!("({one} / {other})"),
        11 => format!("({one} / 2)"),
        12 | 13 => format!("({one} % 3)"),
        14 => format!("(- {one})"),
        15 => format!("abs({one})"),
        16 | 17 => format!("length({text})"),
        18 => format!("({double})::int"),
        19 if writer.random.chance(30) => format!("({text})::int"),
        20 => format!("extract(minute FROM {time})::int"),
        21 => format!("({small})::int"),
        22 => format!("({small} + {one})"),
        23 => format!("extract(hour FROM {moment})::int"),
        24 => format!("length({bytes})"),
        25 => format!("get_byte({bytes}, 0)"),
        _ => format!("({one} + 1)"),
    }
}

fn big(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, int, other) = (of(Type::Big), of(Type::Int), of(Type::Big));
    match writer.random.below(8) {
        0 => format!("({one} + {int})"),
        1 => format!("({int} - {other})"),
        2 => format!("({one} * {int})"),
        3 | 4 => format!("({int})::bigint"),
        5 => format!("({one} % 7)"),
        6 => format!("({one} / 3)"),
        _ => format!("abs({one})"),
    }
}

fn double(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, int, other, real) = (of(Type::Double), of(Type::Int), of(Type::Double), of(Type::Real));
    match writer.random.below(12) {
        0 => format!("({one} + {other})"),
        1 => format!("({one} - {int})"),
        2 => format!("({one} * {other})"),
        3 => format!("({one} / 2)"),
        4 => format!("({int})::double precision"),
        5 => format!("floor({one})"),
        6 => format!("round({one})"),
        7 => format!("abs({one})"),
        8 => format!("({real} + {one})"),
        9 => format!("({int} * {real})"),
        10 => format!("({real})::double precision"),
        _ => format!("ceil({one})"),
    }
}

fn small(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, int, real) = (of(Type::Small), of(Type::Small), of(Type::Int), of(Type::Real));
    match writer.random.below(9) {
        0 | 1 => format!("({one} + {other})"),
        2 => format!("({one} - {other})"),
        3 => format!("({one} * {other})"),
        4 => format!("({one} / {other})"),
        5 => format!("({one} % 3::smallint)"),
        6 => format!("({int})::smallint"),
        7 => format!("({real})::smallint"),
        _ => format!("abs({one})"),
    }
}

fn real(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, int, double) = (of(Type::Real), of(Type::Real), of(Type::Int), of(Type::Double));
    match writer.random.below(8) {
        0 | 1 => format!("({one} + {other})"),
        2 => format!("({one} * {other})"),
        3 => format!("({one} / 2::real)"),
        4 => format!("({int})::real"),
        5 => format!("({double})::real"),
        6 => format!("(- {one})"),
        _ => format!("abs({one})"),
    }
}

fn bytes(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let start = writer.random.below(3);
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other) = (of(Type::Bytes), of(Type::Bytes));
    match writer.random.below(5) {
        0 | 1 => format!("({one} || {other})"),
        2 => format!("substr({one}, {start})"),
        3 => format!("substring({one} from {start} for 2)"),
        _ => format!("decode(encode({one}, 'base64'), 'base64')"),
    }
}

fn span(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, first, second) = (of(Type::Span), of(Type::Span), of(Type::Clock), of(Type::Clock));
    match writer.random.below(7) {
        0 | 1 => format!("({one} + {other})"),
        2 => format!("({one} - {other})"),
        3 => format!("({one} * 2)"),
        4 => format!("({first} - {second})"),
        5 => format!("({first})::interval"),
        _ => format!("(- {one})"),
    }
}

fn list(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, int) = (of(Type::List), of(Type::List), of(Type::Int));
    match writer.random.below(8) {
        0 | 1 => format!("({one} || {other})"),
        2 => format!("({one} || {int})"),
        3 => format!("({int} || {one})"),
        4 => format!("ARRAY[{int}, 1]"),
        5 => format!("array_remove({one}, {int})"),
        6 => format!("({one})[1:2]"),
        _ => format!("array_replace({one}, 1, {int})"),
    }
}

fn document(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let any = writer.random.pick(&Type::OF_TABLES);
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, any) = (of(Type::Doc), of(Type::Doc), of(any));
    match writer.random.below(9) {
        0 | 1 => format!("({one} || {other})"),
        2 | 3 => format!("({one} -> 'a')"),
        4 => format!("({one} -> 0)"),
        5 => format!("jsonb_strip_nulls({one})"),
        6 => format!("jsonb_build_object('a', {one}, 'b', {other})"),
        7 if !any.contains('(') => format!("to_jsonb({any})"),
        _ => format!("jsonb_build_array({one}, {other})"),
    }
}

fn clock(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, span, time) = (of(Type::Clock), of(Type::Span), of(Type::Time));
    match writer.random.below(4) {
        0 => format!("({one} + {span})"),
        1 => format!("({one} - {span})"),
        2 => format!("({time})::time"),
        _ => format!("({span})::time"),
    }
}

const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "EST", "+03"];

fn moment(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let unit = writer.random.pick(&["hour", "day", "minute", "month", "week"]);
    let span = writer.random.pick(&["1 day", "24 hours", "1 month", "-90 minutes", "1 month -1 day 1 hour"]);
    let zone = writer.random.pick(&ZONES);
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, time) = (of(Type::Moment), of(Type::Time));
    match writer.random.below(7) {
        0 => format!("({time})::timestamptz"),
        1 => format!("({time} AT TIME ZONE '{zone}')"),
        2 => format!("date_trunc('{unit}', {one})"),
        3 => format!("date_trunc('{unit}', {one}, '{zone}')"),
        4 | 5 => format!("({one} + interval '{span}')"),
        _ => format!("({one} - interval '{span}')"),
    }
}

fn numeric(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (int, big) = (of(Type::Int), of(Type::Big));
    let (one, other) = (of(Type::Numeric), of(Type::Numeric));
    match writer.random.below(15) {
        0 => format!("({int} + 0.5)"),
        1 => format!("({int} * 1.5)"),
        2 => format!("({big} - 0.25)"),
        3 => format!("({one} + {other})"),
        4 => format!("({one} * {other})"),
        5 => format!("({one} / 3)"),
        6 => format!("({one} / nullif({other}, 0))"),
        7 => format!("round({one}, {int} % 4)"),
        8 => format!("sqrt(abs({one}))"),
        9 => format!("mod({one}, 0.7)"),
        10 => format!("ln(abs({one}) + 0.5)"),
        11 => format!("power(abs({one}) % 5 + 0.5, 1.5)"),
        12 => format!("({one} - {other})"),
        _ => leaf(writer, Type::Numeric, scope),
    }
}

fn text(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other, int) = (of(Type::Text), of(Type::Text), of(Type::Int));
    let (bool, time, double) = (of(Type::Bool), of(Type::Time), of(Type::Double));
    let (small, real, moment) = (of(Type::Small), of(Type::Real), of(Type::Moment));
    let (uuid, bytes) = (of(Type::Uuid), of(Type::Bytes));
    let (span, clock) = (of(Type::Span), of(Type::Clock));
    let (short, code, doc) = (of(Type::Short), of(Type::Code), of(Type::Doc));
    match writer.random.below(25) {
        21 => format!("({doc} ->> 'a')"),
        22 => format!("({doc})::text"),
        23 => format!("jsonb_typeof({doc})"),
        16 => format!("({span})::text"),
        17 => format!("({clock})::text"),
        18 => format!("({short} || {code})"),
        19 => format!("concat({code}, {short})"),
        20 => format!("upper({short})"),
        0 => format!("upper({one})"),
        1 => format!("lower({one})"),
        2 | 3 => format!("({one} || {other})"),
        4 => format!("({int})::text"),
        5 => format!("({bool})::text"),
        6 => format!("({time})::text"),
        7 => format!("substr({one}, 1, 2)"),
        8 => format!("({one} || {int})"),
        9 => format!("({small})::text"),
        11 => format!("({moment})::text"),
        13 => format!("({uuid})::text"),
        14 => format!("({bytes})::text"),
        15 => format!("encode({bytes}, 'hex')"),
        12 => format!("to_char({moment}, 'YYYY-MM-DD HH24:MI TZ OF')"),
        10 if !real.contains('(') => format!("({real})::text"),
        _ if double.contains('(') => format!("substring({one} from 2)"),
        // Only of columns: a computed double may differ in its last digits.
        _ => format!("({double})::text"),
    }
}

/// A condition.
fn condition(writer: &mut Writer, scope: &[Column], depth: usize) -> String {
    if writer.random.chance(18)
        && let Some(condition) = writer.condition_with_query(scope)
    {
        return condition;
    }
    let data_type = writer.random.pick(&Type::OF_TABLES);
    let comparable = if data_type == Type::Bool { Type::Int } else { data_type };
    let mut of = |data_type| expression(writer, data_type, scope, depth);
    let (one, other) = (of(comparable), of(comparable));
    let (left, right, text) = (of(Type::Bool), of(Type::Bool), of(Type::Text));
    let (real, number) = (of(Type::Real), of(Type::Int));
    let (moment, time) = (of(Type::Moment), of(Type::Time));
    let (short, code) = (of(Type::Short), of(Type::Code));
    let (doc, part) = (of(Type::Doc), of(Type::Doc));
    let (list, items) = (of(Type::List), of(Type::List));
    let sign = writer.random.pick(&["=", "<>", "<", "<=", ">", ">="]);
    match writer.random.below(33) {
        28 => format!("({list} @> {items})"),
        29 => format!("({list} && {items})"),
        30 => format!("({number} {sign} ANY ({list}))"),
        31 => format!("({number} {sign} ALL ({list}))"),
        25 => format!("({doc} @> {part})"),
        26 => format!("({doc} <@ {part})"),
        27 => format!("({doc} ? 'a')"),
        22 => format!("({short} {sign} {text})"),
        23 => format!("({code} {sign} {short})"),
        24 => format!("({code} LIKE '{}')", writer.random.pick(&["a%", "a", "ab_", "% "])),
        0..=6 => format!("({one} {sign} {other})"),
        7 => format!("({one} IS NULL)"),
        8 => format!("({one} IS NOT NULL)"),
        9 => format!("({one} IS DISTINCT FROM {other})"),
        10 => format!("({one} IS NOT DISTINCT FROM {other})"),
        11 => format!("(NOT {left})"),
        12 => format!("({left} AND {right})"),
        13 => format!("({left} OR {right})"),
        14 => format!("({one} IN ({}, {other}))", typed_literal(writer, comparable)),
        15 => format!("({one} NOT IN ({}, {other}))", typed_literal(writer, comparable)),
        16 => format!("({one} BETWEEN {other} AND {})", typed_literal(writer, comparable)),
        17 => format!("({text} LIKE '{}')", writer.random.pick(&["a%", "%b%", "_", "", "%"])),
        18 => {
            let test =
                writer.random.pick(&["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN", "NOT UNKNOWN"]);
            format!("({left} IS {test})")
        }
        19 => format!("({real} {sign} {number})"),
        20 => format!("({real} IN (0.25, {number}, 2))"),
        21 => format!("({moment} {sign} {time})"),
        // A literal without a type takes that of the other side.
        _ => format!("({} = '{}')", of_int(writer, scope), writer.random.below(4)),
    }
}

fn of_int(writer: &mut Writer, scope: &[Column]) -> String {
    leaf(writer, Type::Int, scope)
}
