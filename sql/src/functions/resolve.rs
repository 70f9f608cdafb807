//! Which overload a call means: PostgreSQL's rules (its manual, chapter 10) over our table.
//!
//! An argument without a type (`None`) is a quoted literal, NULL or a parameter: it takes what the
//! others leave it.

use millrace_engine::{DataType, Element, Limit};

use super::cast::{Context, context};
use super::{Function, Kind, is_whole, numeric_type, overloads};

/// What a name could not be resolved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// No overload takes these arguments.
    Missing,
    /// Several do, none better than the others.
    Ambiguous,
}

/// PostgreSQL's type categories, as far as we have types of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Boolean,
    Number,
    String,
    Time,
    Span,
    Array,
    Other,
}

fn category(kind: Kind) -> Category {
    match kind {
        Kind::Boolean => Category::Boolean,
        Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Float32 | Kind::Float64 | Kind::Numeric => {
            Category::Number
        }
        Kind::Text | Kind::Char => Category::String,
        Kind::Timestamp | Kind::TimestampTz | Kind::Date | Kind::Time => Category::Time,
        Kind::Interval => Category::Span,
        Kind::Uuid | Kind::Bytea | Kind::Json | Kind::Jsonb => Category::Other,
        Kind::Array => Category::Array,
    }
}

fn preferred(kind: Kind) -> bool {
    matches!(kind, Kind::Float64 | Kind::Text | Kind::Boolean | Kind::Interval | Kind::TimestampTz)
}

/// Whether an expression of this type becomes that kind by itself.
fn implicit(from: DataType, to: Kind) -> bool {
    context(from, to.with_room_for(Some(from))) == Some(Context::Implicit)
}

fn accepts(function: &Function, arguments: &[Option<DataType>]) -> bool {
    function.arguments().len() == arguments.len()
        && arguments
            .iter()
            .zip(function.arguments())
            .all(|(argument, kind)| argument.is_none_or(|from| implicit(from, *kind)))
}

/// Keeps the candidates that score highest.
fn best(candidates: Vec<&'static Function>, score: impl Fn(&Function) -> usize) -> Vec<&'static Function> {
    let highest = candidates.iter().map(|function| score(function)).max().unwrap_or_default();
    candidates.into_iter().filter(|function| score(function) == highest).collect()
}

/// The overload of a function of the table that a call means.
pub(crate) fn resolve_function(
    name: &str,
    arguments: &[Option<DataType>],
) -> Result<&'static Function, Unresolved> {
    let candidates: Vec<_> = overloads(name).filter(|function| accepts(function, arguments)).collect();
    let exact = |function: &Function| {
        let matches = |(argument, kind): (&Option<DataType>, &Kind)| argument.map(Kind::of) == Some(*kind);
        arguments.iter().zip(function.arguments()).filter(|pair| matches(*pair)).count()
    };
    let candidates = best(candidates, exact);
    let kept_or_preferred = |function: &Function| {
        let scores = |(argument, kind): (&Option<DataType>, &Kind)| match argument.map(Kind::of) {
            Some(own) => own == *kind || (category(own) == category(*kind) && preferred(*kind)),
            None => false,
        };
        arguments.iter().zip(function.arguments()).filter(|pair| scores(*pair)).count()
    };
    let candidates = by_unknowns(best(candidates, kept_or_preferred), arguments);
    match candidates.as_slice() {
        [] => Err(Unresolved::Missing),
        [one] => Ok(one),
        _ => Err(Unresolved::Ambiguous),
    }
}

/// Chooses by the positions without a type: strings first, else the preferred type of a category
/// that all candidates agree on.
fn by_unknowns(
    mut candidates: Vec<&'static Function>,
    arguments: &[Option<DataType>],
) -> Vec<&'static Function> {
    for position in (0..arguments.len()).filter(|position| arguments[*position].is_none()) {
        if candidates.len() < 2 {
            break;
        }
        let kind = |function: &&'static Function| function.arguments()[position];
        if candidates.iter().any(|function| kind(function) == Kind::Text) {
            candidates.retain(|function| kind(function) == Kind::Text);
        } else if candidates.iter().all(|f| category(kind(f)) == category(kind(&candidates[0])))
            && candidates.iter().any(|function| preferred(kind(function)))
        {
            candidates.retain(|function| preferred(kind(function)));
        }
    }
    candidates
}

/// The overload of an operator: as a function, but the one operand without a type first takes the
/// other's type, and two of them are ambiguous.
pub(crate) fn resolve_operator(
    name: &str,
    arguments: &[Option<DataType>],
) -> Result<&'static Function, Unresolved> {
    let known = arguments.iter().flatten().next().copied();
    match (arguments.len(), known) {
        (2, None) => return Err(Unresolved::Ambiguous),
        (2, Some(other)) if arguments.contains(&None) => {
            let same = [Kind::of(other), Kind::of(other)];
            if let Some(function) = overloads(name).find(|function| function.arguments() == same) {
                return Ok(function);
            }
        }
        _ => {}
    }
    resolve_function(name, arguments)
}

/// The type that two operands of a comparison are brought to; `None` where they do not compare.
/// Numerics keep their own scales: the kernel compares them exactly.
pub(crate) fn comparison_type(left: Option<DataType>, right: Option<DataType>) -> Option<Kind> {
    match (left, right) {
        // Of two numbers one of which is a real, PostgreSQL compares doubles, whatever the other becomes by itself.
        (Some(DataType::Float32), Some(other)) | (Some(other), Some(DataType::Float32))
            if other != DataType::Float32 && category(Kind::of(other)) == Category::Number =>
        {
            Some(Kind::Float64)
        }
        (None, None) => Some(Kind::Text),
        (Some(one), None) | (None, Some(one)) => Some(Kind::of(one)),
        (Some(left), Some(right)) => Some(Kind::of(wider(left, right)?)),
    }
}

/// The one of two types that the other becomes by itself.
fn wider(left: DataType, right: DataType) -> Option<DataType> {
    use DataType::{Char, Decimal, Numeric, Text};
    let (left, right) = (left.base(), right.base());
    Some(match (left, right) {
        (Char, Text) | (Text, Char) => Text,
        (DataType::Array(left), DataType::Array(right)) if left != right => {
            DataType::Array(Element::of(wider(left.data_type(), right.data_type())?)?)
        }
        (Numeric { scale: a, .. }, Numeric { scale: b, .. }) if left != right => numeric_type(a.max(b)),
        (Decimal, other) | (other, Decimal) if context(other, Decimal) == Some(Context::Implicit) => Decimal,
        (Numeric { scale, .. }, whole) if is_whole(whole) => numeric_type(scale),
        (whole, Numeric { scale, .. }) if is_whole(whole) => numeric_type(scale),
        _ if context(left, right) == Some(Context::Implicit) => right,
        _ if context(right, left) == Some(Context::Implicit) => left,
        _ => return None,
    })
}

/// The one type of several expressions (of CASE, UNION, VALUES …); text where none has a type.
///
/// # Errors
/// The two types that cannot be matched.
pub(crate) fn common_type(types: &[Option<DataType>]) -> Result<DataType, (DataType, DataType)> {
    let mut known = types.iter().flatten().copied();
    let Some(first) = known.next() else { return Ok(DataType::Text) };
    // A limit stays where all have it; varchar, whose limit is none of its meaning, without it.
    if types.iter().all(|data_type| *data_type == Some(first)) {
        return Ok(first);
    }
    // Of types of text, which become one another by themselves, the first is the one.
    let is_text = |data_type: &DataType| matches!(data_type.base(), DataType::Text | DataType::Char);
    if types.iter().flatten().all(is_text) {
        return Ok(match first {
            DataType::Limited(Limit::Varchar(_)) => DataType::Limited(Limit::Varchar(None)),
            other => other.base(),
        });
    }
    known.try_fold(first.base(), |common, next| wider(common, next).ok_or((common, next)))
}
