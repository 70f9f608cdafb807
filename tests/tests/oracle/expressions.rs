//! SQL expressions out of genes: small trees of numbers that mean something only where they are
//! rendered, so that everything shrinks and nothing a shrunk script names is missing.

use proptest::prelude::*;

/// The types of columns. A numeric has two digits behind the point in tables, more out of aggregates; an exact one
/// any number of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Big,
    Double,
    Text,
    Bool,
    Time,
    Date,
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
    Exact,
}

impl Type {
    /// Those that tables have.
    pub(crate) const OF_TABLES: [Type; 20] = [
        Type::Int,
        Type::Big,
        Type::Double,
        Type::Text,
        Type::Bool,
        Type::Time,
        Type::Date,
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
        Type::Exact,
    ];

    /// One of those.
    fn of_tables(choice: u16) -> Type {
        Type::OF_TABLES[usize::from(choice) % Type::OF_TABLES.len()]
    }

    /// Whether there are min and max of it.
    pub(crate) fn has_extremes(self) -> bool {
        !matches!(self, Type::Bool | Type::Uuid | Type::Bytes | Type::Short | Type::Doc)
    }

    /// As a column of a table has it.
    pub(crate) fn definition(self) -> &'static str {
        if self == Type::Numeric { "numeric(8, 2)" } else { self.name() }
    }

    /// As SQL names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Int => "int",
            Type::Big => "bigint",
            Type::Double => "double precision",
            Type::Text => "text",
            Type::Bool => "boolean",
            Type::Time => "timestamp",
            Type::Date => "date",
            Type::Numeric | Type::Exact => "numeric",
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
    pub(crate) name: String,
    pub(crate) data_type: Type,
    /// Whether INSERT may write NULL into it.
    pub(crate) nullable: bool,
}

/// The seed of an expression.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gene {
    pub(crate) choice: u16,
    kids: Vec<Gene>,
}

/// Any gene; zero and leaves are the simplest.
pub(crate) fn gene() -> impl Strategy<Value = Gene> + Clone {
    let leaf = (0u16..4096).prop_map(|choice| Gene { choice, kids: Vec::new() });
    leaf.prop_recursive(2, 6, 3, |inner| {
        (0u16..4096, prop::collection::vec(inner, 0..3)).prop_map(|(choice, kids)| Gene { choice, kids })
    })
    .boxed()
}

impl Gene {
    /// The seed of a part of the expression.
    pub(crate) fn kid(&self, index: usize) -> Gene {
        let default = || Gene { choice: self.choice / 7 + 3 * index as u16, kids: Vec::new() };
        self.kids.get(index).cloned().unwrap_or_else(default)
    }

    fn of(&self, index: usize, data_type: Type, scope: &[Column]) -> String {
        expression(&self.kid(index), data_type, scope)
    }
}

/// An expression of this type over these columns.
pub(crate) fn expression(gene: &Gene, data_type: Type, scope: &[Column]) -> String {
    if gene.kids.is_empty() && data_type != Type::Bool {
        return leaf(gene.choice, data_type, scope);
    }
    match data_type {
        Type::Int => int(gene, scope),
        Type::Big => big(gene, scope),
        Type::Double => double(gene, scope),
        Type::Text => text(gene, scope),
        Type::Bool => condition(gene, scope),
        Type::Time if gene.choice % 4 == 3 => format!("({})::timestamp", gene.of(0, Type::Date, scope)),
        Type::Time => format!("date_trunc('hour', {})", gene.of(0, Type::Time, scope)),
        Type::Date => date(gene, scope),
        Type::Numeric => numeric(gene, scope),
        Type::Exact => exact(gene, scope),
        Type::Small => small(gene, scope),
        Type::Real => real(gene, scope),
        Type::Moment => moment(gene, scope),
        Type::Uuid => leaf(gene.choice, Type::Uuid, scope),
        Type::Bytes => bytes(gene, scope),
        Type::Span => span(gene, scope),
        Type::Clock => clock(gene, scope),
        Type::Short if gene.choice.is_multiple_of(3) => {
            format!("({})::varchar(6)", gene.of(0, Type::Text, scope))
        }
        Type::Code if gene.choice.is_multiple_of(3) => {
            format!("({})::char(3)", gene.of(0, Type::Text, scope))
        }
        Type::Doc => document(gene, scope),
        Type::List => list(gene, scope),
        Type::Short | Type::Code => leaf(gene.choice / 3, data_type, scope),
    }
}

/// A column of the type, now and then a literal.
fn leaf(choice: u16, data_type: Type, scope: &[Column]) -> String {
    let choice = usize::from(choice);
    let columns: Vec<&Column> = scope.iter().filter(|column| column.data_type == data_type).collect();
    match columns.len() {
        0 => typed_literal(choice, data_type),
        _ if choice % 7 == 6 => typed_literal(choice / 7, data_type),
        count => columns[choice / 7 % count].name.clone(),
    }
}

fn typed_literal(choice: usize, data_type: Type) -> String {
    match data_type {
        Type::Int => format!("({})", choice % 5),
        Type::Numeric => format!("{}.25", choice % 4),
        Type::Exact => format!("({}.50)::numeric", choice % 4),
        other => format!("{}::{}", value(choice * 8, other), other.name()),
    }
}

fn int(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 23 {
        20 => format!("cardinality({})", of(0, Type::List)),
        21 => format!("({})[1]", of(0, Type::List)),
        0..=4 => leaf(gene.choice / 23, Type::Int, scope),
        5..=8 => format!("({} + {})", of(0, Type::Int), of(1, Type::Int)),
        9 | 10 => format!("({} - {})", of(0, Type::Int), of(1, Type::Int)),
        11 => format!("({} * {})", of(0, Type::Int), of(1, Type::Int)),
        12 => format!("({} / {})", of(0, Type::Int), of(1, Type::Int)),
        13 => format!("({} % 3)", of(0, Type::Int)),
        14 => format!("length({})", of(0, Type::Text)),
        15 => {
            format!("CASE WHEN {} THEN {} ELSE {} END", of(0, Type::Bool), of(1, Type::Int), of(2, Type::Int))
        }
        16 => format!("coalesce({}, {})", of(0, Type::Int), gene.choice % 3),
        17 => format!("({})::int", of(0, Type::Text)),
        18 => format!("({})::int", of(0, Type::Double)),
        19 => format!("({} - {})", of(0, Type::Date), of(1, Type::Date)),
        _ => format!("abs({})", of(0, Type::Int)),
    }
}

fn big(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 8 {
        0..=2 => leaf(gene.choice / 8, Type::Big, scope),
        3 => format!("({} + {})", of(0, Type::Big), of(1, Type::Int)),
        4 => format!("({} - {})", of(0, Type::Big), of(1, Type::Big)),
        5 => format!("({} * {})", of(0, Type::Big), of(1, Type::Int)),
        6 => format!("({})::bigint", of(0, Type::Int)),
        _ => format!("({} % 7)", of(0, Type::Big)),
    }
}

fn double(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 8 {
        0..=2 => leaf(gene.choice / 8, Type::Double, scope),
        3 => format!("({} + {})", of(0, Type::Double), of(1, Type::Double)),
        4 => format!("({} * {})", of(0, Type::Double), of(1, Type::Double)),
        5 => format!("({})::double precision", of(0, Type::Int)),
        6 => format!("({} / {})", of(0, Type::Double), of(1, Type::Double)),
        _ => format!("coalesce({}, 0)", of(0, Type::Double)),
    }
}

fn small(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 8 {
        0..=2 => leaf(gene.choice / 8, Type::Small, scope),
        3 => format!("({} + {})", of(0, Type::Small), of(1, Type::Small)),
        4 => format!("({} * {})", of(0, Type::Small), of(1, Type::Small)),
        5 => format!("({})::smallint", of(0, Type::Int)),
        6 => format!("({})::smallint", of(0, Type::Real)),
        _ => format!("abs({})", of(0, Type::Small)),
    }
}

fn real(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 8 {
        0..=2 => leaf(gene.choice / 8, Type::Real, scope),
        3 => format!("({} + {})", of(0, Type::Real), of(1, Type::Real)),
        4 => format!("({} * {})", of(0, Type::Real), of(1, Type::Real)),
        5 => format!("({})::real", of(0, Type::Double)),
        6 => format!("({})::real", of(0, Type::Numeric)),
        _ => format!("coalesce({}, 0)", of(0, Type::Real)),
    }
}

fn bytes(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 5 {
        0 | 1 => leaf(gene.choice / 5, Type::Bytes, scope),
        2 => format!("({} || {})", of(0, Type::Bytes), of(1, Type::Bytes)),
        3 => format!("substr({}, 2)", of(0, Type::Bytes)),
        _ => format!("decode(encode({}, 'hex'), 'hex')", of(0, Type::Bytes)),
    }
}

/// Equal ones in several forms, so that what a group shows of them matters.
fn span(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 7 {
        0 | 1 => leaf(gene.choice / 7, Type::Span, scope),
        2 => format!("({} + {})", of(0, Type::Span), of(1, Type::Span)),
        3 => format!("({} * 2)", of(0, Type::Span)),
        4 => format!("({} - {})", of(0, Type::Clock), of(1, Type::Clock)),
        5 => format!("justify_interval({})", of(0, Type::Span)),
        _ => format!("({} - {})", of(0, Type::Time), of(1, Type::Time)),
    }
}

fn list(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 6 {
        0 | 1 => leaf(gene.choice / 6, Type::List, scope),
        2 => format!("({} || {})", of(0, Type::List), of(1, Type::List)),
        3 => format!("({} || {})", of(0, Type::List), of(1, Type::Int)),
        4 => format!("ARRAY[{}, {}]", of(0, Type::Int), of(1, Type::Int)),
        _ => format!("array_remove({}, {})", of(0, Type::List), of(1, Type::Int)),
    }
}

/// Equal ones with more and fewer digits.
fn document(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 7 {
        0 | 1 => leaf(gene.choice / 7, Type::Doc, scope),
        2 => format!("({} || {})", of(0, Type::Doc), of(1, Type::Doc)),
        3 => format!("({} -> 'a')", of(0, Type::Doc)),
        4 => format!("to_jsonb({})", of(0, Type::Numeric)),
        5 => format!("jsonb_build_object('a', {}, 'b', {})", of(0, Type::Int), of(1, Type::Doc)),
        _ => format!("({} -> 0)", of(0, Type::Doc)),
    }
}

fn clock(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 4 {
        0 | 1 => leaf(gene.choice / 4, Type::Clock, scope),
        2 => format!("({} + {})", of(0, Type::Clock), of(1, Type::Span)),
        _ => format!("({})::time", of(0, Type::Time)),
    }
}

fn moment(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 6 {
        0 | 1 => leaf(gene.choice / 6, Type::Moment, scope),
        2 => format!("({} + interval '1 month 1 day')", of(0, Type::Moment)),
        3 => format!("date_trunc('day', {}, 'Europe/Berlin')", of(0, Type::Moment)),
        4 => format!("({} AT TIME ZONE 'America/New_York')", of(0, Type::Time)),
        _ => format!("({})::timestamptz", of(0, Type::Date)),
    }
}

/// Never far away, so that no day is out of range.
fn date(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 6 {
        0 | 1 => leaf(gene.choice / 6, Type::Date, scope),
        2 => format!("({} + {} % 3)", of(0, Type::Date), of(1, Type::Int)),
        3 => format!("({} - 1)", of(0, Type::Date)),
        4 => format!("({})::date", of(0, Type::Time)),
        _ => format!("CASE WHEN {} THEN {} END", of(0, Type::Bool), of(1, Type::Date)),
    }
}

fn numeric(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 10 {
        0 | 1 => leaf(gene.choice / 10, Type::Numeric, scope),
        2 | 3 => format!("({} + {})", of(0, Type::Numeric), of(1, Type::Numeric)),
        4 => format!("({} - {})", of(0, Type::Numeric), of(1, Type::Numeric)),
        5 => format!("({} * 1.5)", of(0, Type::Numeric)),
        6 => format!("({})::numeric(8, 2)", of(0, Type::Int)),
        7 => format!("({})::numeric(6, 1)", of(0, Type::Numeric)),
        8 => format!("round({}, 1)", of(0, Type::Numeric)),
        _ => format!("coalesce({}, 0.5)", of(0, Type::Numeric)),
    }
}

fn exact(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 9 {
        0 | 1 => leaf(gene.choice / 9, Type::Exact, scope),
        2 => format!("({} + {})", of(0, Type::Exact), of(1, Type::Numeric)),
        3 => format!("({} * {})", of(0, Type::Exact), of(1, Type::Exact)),
        4 => format!("({} / 3)", of(0, Type::Exact)),
        5 => format!("({} / 7.0)", of(0, Type::Numeric)),
        6 => format!("round({}, {} % 3)", of(0, Type::Exact), of(1, Type::Int)),
        7 => format!("({})::numeric(60, 4)", of(0, Type::Numeric)),
        _ => format!("greatest({}, {})", of(0, Type::Exact), of(1, Type::Int)),
    }
}

fn text(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    match gene.choice % 9 {
        7 => format!("({} ->> 'a')", of(0, Type::Doc)),
        0 | 1 => leaf(gene.choice / 9, Type::Text, scope),
        5 => format!("({} || {})", of(0, Type::Short), of(1, Type::Code)),
        6 => format!("({})::text", of(0, Type::Span)),
        2 => format!("upper({})", of(0, Type::Text)),
        3 => format!("({} || {})", of(0, Type::Text), of(1, Type::Text)),
        4 => format!("({})::text", of(0, Type::Int)),
        _ => format!("CASE WHEN {} THEN {} END", of(0, Type::Bool), of(1, Type::Text)),
    }
}

fn condition(gene: &Gene, scope: &[Column]) -> String {
    let of = |index, data_type| gene.of(index, data_type, scope);
    let compare = |sign, data_type| format!("({} {sign} {})", of(0, data_type), of(1, data_type));
    match gene.choice % 36 {
        34 => compare("<", Type::Exact),
        35 => format!("({} = {})", of(0, Type::Exact), of(1, Type::Numeric)),
        30 => compare("@>", Type::List),
        31 => compare("<", Type::List),
        32 => compare("=", Type::List),
        33 => format!("({} = ANY ({}))", of(0, Type::Int), of(1, Type::List)),
        27 => compare("@>", Type::Doc),
        28 => compare("=", Type::Doc),
        29 => compare("<", Type::Doc),
        22 => compare("<=", Type::Span),
        23 => compare("=", Type::Span),
        24 => compare(">", Type::Clock),
        25 => format!("({} = {})", of(0, Type::Short), of(1, Type::Text)),
        26 => compare("=", Type::Code),
        0 | 1 => compare(">", Type::Int),
        2 => compare("<=", Type::Int),
        3 => compare("=", Type::Int),
        4 => compare("<>", Type::Text),
        5 => compare("<", Type::Double),
        6 => compare(">=", Type::Big),
        7 => compare("<", Type::Time),
        8 => format!("({} IS NULL)", of(0, Type::of_tables(gene.choice / 34))),
        9 => format!("({} IS NOT NULL)", of(0, Type::of_tables(gene.choice / 34))),
        10 if !gene.kids.is_empty() => format!("(NOT {})", of(0, Type::Bool)),
        11 if !gene.kids.is_empty() => compare("AND", Type::Bool),
        12 if !gene.kids.is_empty() => compare("OR", Type::Bool),
        13 => format!("({} IN (0, 1, {}))", of(0, Type::Int), gene.choice % 5),
        14 => format!("({} LIKE 'a%')", of(0, Type::Text)),
        15 => compare("<", Type::Date),
        16 => compare(">=", Type::Numeric),
        17 => format!("({} <= {})", of(0, Type::Small), of(1, Type::Int)),
        18 => format!("({} > {})", of(0, Type::Real), of(1, Type::Double)),
        19 => format!("({} <= {})", of(0, Type::Moment), of(1, Type::Time)),
        20 => compare("<", Type::Uuid),
        21 => compare(">=", Type::Bytes),
        _ => format!("({} IS DISTINCT FROM {})", of(0, Type::Int), of(1, Type::Int)),
    }
}

/// A value as INSERT writes it; often the same, sometimes NULL, seldom extreme.
pub(crate) fn value(choice: usize, data_type: Type) -> String {
    if choice % 8 == 7 {
        return "NULL".to_owned();
    }
    let pick = |values: &[&str]| values[choice / 8 % values.len()].to_owned();
    match data_type {
        Type::Int => pick(&[
            "1",
            "2",
            "0",
            "3",
            "-1",
            "1",
            "2",
            "3",
            "5",
            "7",
            "1",
            "2",
            "2000000000",
            "2147483647",
            "3",
            "-2147483648",
        ]),
        Type::Big => pick(&["1", "2", "0", "5000000000", "-7", "1", "3", "2", "9223372036854775807"]),
        Type::Double => {
            pick(&["1.5", "0", "2.25", "0.1", "-3", "1e300", "'NaN'", "'-0'", "0.2", "'Infinity'"])
        }
        Type::Text => {
            pick(&["'a'", "'7'", "''", "'ab'", "'-3'", "'a longer text that goes on A'", "'12'", "'x'"])
        }
        Type::Bool => pick(&["true", "false"]),
        Type::Time => pick(&[
            "'2024-01-01 00:10:00'",
            "'2024-01-01 00:50:00.25'",
            "'2024-01-01 01:10:00'",
            "'1969-12-31 23:59:59'",
        ]),
        Type::Date => pick(&["'2024-01-01'", "'2024-01-02'", "'2024-02-29'", "'1969-12-31'"]),
        Type::Moment => pick(&[
            "'2024-03-31 00:30Z'",
            "'2024-03-31 02:30'",
            "'2024-10-27 00:30Z'",
            "'2024-01-01 00:10'",
            "'1890-01-01'",
        ]),
        Type::Uuid => pick(&[
            "'00000000-0000-0000-0000-000000000001'",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'",
        ]),
        Type::Bytes => {
            pick(&["'\\x00ff'", "''", "'a'", "'\\xfe'", "'a longer row of bytes than the others'"])
        }
        Type::Span => pick(&[
            "'1 month'",
            "'30 days'",
            "'29 days 24:00'",
            "'01:30'",
            "'-1 day 2 hours'",
            "'1 mon -1 day 24 hours'",
            "'5 years'",
        ]),
        Type::Clock => pick(&["'00:10'", "'01:10'", "'23:59:59.999999'", "'24:00'"]),
        Type::Short => pick(&["'a'", "'7'", "''", "'ab'", "'ab '", "'abcdef'"]),
        Type::Code => pick(&["'a'", "'7'", "''", "'ab'", "'ab '", "'abc'"]),
        Type::List => pick(&["'{1,2}'", "'{}'", "'{NULL,1}'", "'{2}'", "'{1,2,3,5,7,-1,2000000000}'"]),
        Type::Doc => pick(&[
            "'1'",
            "'1.0'",
            "'{\"a\": 1}'",
            "'{\"a\": 1.00}'",
            "'[1, \"b\"]'",
            "'\"b\"'",
            "'null'",
            "'[]'",
        ]),
        Type::Small => pick(&["1", "2", "0", "3", "-7", "1", "32767", "-32768"]),
        Type::Real => pick(&["1.5", "0", "0.1", "-3", "3e38", "'NaN'", "'-0'", "1e-40", "'Infinity'"]),
        Type::Exact => {
            pick(&["1.5", "1.50", "0", "-0.5", "NULL", "'NaN'", "1e40", "-1e-30", "2", "'Infinity'"])
        }
        Type::Numeric => pick(&["1.25", "0", "2", "1.2", "-0.5", "1.25", "999999.99", "2.00"]),
    }
}
