//! Random calls of aggregates, as columns that HAVING and the select list may name.

use crate::expressions::{Column, Type, expression};
use crate::queries::Writer;

/// A call over these columns.
pub(crate) fn aggregate(writer: &mut Writer, scope: &[Column]) -> Column {
    let of = [
        Type::Int,
        Type::Int,
        Type::Big,
        Type::Double,
        Type::Text,
        Type::Bool,
        Type::Time,
        Type::Small,
        Type::Real,
        Type::Moment,
        Type::Span,
        Type::Clock,
    ];
    let argument = writer.random.pick(&of);
    let text = expression(writer, argument, scope, 1);
    let distinct = if writer.random.chance(15) { "DISTINCT " } else { "" };
    let (call, data_type) = match (argument, writer.random.below(8)) {
        (_, 0) => ("count(*)".to_owned(), Type::Big),
        (_, 1) => (format!("count({distinct}{text})"), Type::Big),
        (Type::Int | Type::Small, 2 | 3) => (format!("sum({distinct}{text})"), Type::Big),
        (Type::Int | Type::Big | Type::Small, 4) => (format!("avg({distinct}{text})"), Type::Numeric),
        (Type::Int | Type::Big | Type::Small, 5) => {
            let name = writer.random.pick(&["bit_and", "bit_or", "bit_xor"]);
            (format!("{name}({distinct}{text})"), argument)
        }
        (Type::Big, 2 | 3) => (format!("sum({distinct}{text})"), Type::Numeric),
        (Type::Numeric, 2 | 3) => (format!("sum({distinct}{text})"), Type::Numeric),
        (Type::Numeric, 4) => (format!("avg({distinct}{text})"), Type::Numeric),
        (Type::Numeric, 5) => {
            let name = writer.random.pick(&["variance", "stddev", "var_pop", "stddev_pop"]);
            (format!("{name}({text})"), Type::Numeric)
        }
        (Type::Real, 2 | 3) => (format!("sum({distinct}{text})"), Type::Real),
        (Type::Double, 2 | 3) => (format!("sum({distinct}{text})"), Type::Double),
        (Type::Double | Type::Real, 4) => (format!("avg({distinct}{text})"), Type::Double),
        (Type::Double | Type::Real, 5) => {
            let name = writer.random.pick(&["variance", "stddev", "var_pop", "stddev_pop"]);
            (format!("{name}({distinct}{text})"), Type::Double)
        }
        (Type::Int, 6) => {
            let way = writer.random.pick(&["", " DESC", " NULLS FIRST"]);
            (format!("array_agg({distinct}{text} ORDER BY {text}{way})"), Type::List)
        }
        (Type::Span | Type::Clock, 2 | 3) => (format!("sum({text})"), Type::Span),
        (Type::Span | Type::Clock, 4) => (format!("avg({text})"), Type::Span),
        (Type::Text, 2..=4) => {
            let way = writer.random.pick(&["", " DESC"]);
            (format!("string_agg({distinct}{text}, ',' ORDER BY {text}{way})"), Type::Text)
        }
        (Type::Bool, _) => {
            let name = writer.random.pick(&["bool_and", "bool_or", "every"]);
            (format!("{name}({distinct}{text})"), Type::Bool)
        }
        (_, choice) if choice % 2 == 0 => (format!("min({distinct}{text})"), argument),
        _ => (format!("max({distinct}{text})"), argument),
    };
    let mut name = call;
    if writer.random.chance(15) {
        name = format!("{name} FILTER (WHERE {})", expression(writer, Type::Bool, scope, 1));
    }
    Column { name, data_type }
}
