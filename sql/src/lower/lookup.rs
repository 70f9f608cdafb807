//! Which index answers a filter: a scan whose filter asks for certain keys of an index is read by them.
//!
//! The filter stays above the scan and decides as ever; the keys only have to cover what it lets pass. So a
//! value that no key can be (5.5 of an integer, NULL) is simply not looked for. What else the filter asks
//! must not fail for a row that is not looked at, or the answer would depend on there being an index: it
//! either cannot fail at all, or stands behind the conditions on the keys, where it is not asked of others.

use millrace_engine::{DataError, DataType, Expr, Limit, Literal};

use crate::catalog::{Catalog, IndexKey, Relation, RelationKind};
use crate::compile::evaluate_constant;
use crate::query::expr::call;
use crate::query::exprs::{calls, columns_of, volatile_call};
use crate::query::rel::{Lookup, LookupKey, Rel};

/// As many keys are looked for; where a filter asks for more, the relation is scanned.
const KEYS_MAX: usize = 10_000;

/// Functions that have a value for all arguments.
#[rustfmt::skip]
const TOTAL: [&str; 12] = [
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "is_distinct_from", "in", "coalesce",
    "lower", "upper", "length",
];

/// Sets by which index each scan of an optimised query is read, where one serves.
pub(crate) fn choose_indexes(rel: &mut Rel, catalog: &Catalog) {
    if let Rel::Project { input, predicates, .. } = rel
        && let Rel::Scan { relation, columns, by } = input.as_mut()
    {
        *by = best(predicates, columns, catalog.indexes(*relation).map(AsRef::as_ref));
    }
    rel.inputs_mut().into_iter().for_each(|input| choose_indexes(input, catalog));
}

/// The index with the most keys that serves; the oldest of several.
fn best<'c>(
    predicates: &[Expr],
    columns: &[DataType],
    indexes: impl Iterator<Item = &'c Relation>,
) -> Option<Lookup> {
    let mut indexes = indexes.peekable();
    indexes.peek()?;
    let conjuncts: Vec<Conjunct> =
        predicates.iter().flat_map(terms).map(|term| Conjunct::new(term, columns)).collect();
    let served = indexes.filter_map(|index| lookup(index, columns, &conjuncts));
    served.reduce(|best, other| if other.keys.len() > best.keys.len() { other } else { best })
}

/// The conjuncts of a predicate, in order.
fn terms(predicate: &Expr) -> Vec<&Expr> {
    match predicate {
        Expr::And(all) => all.iter().flat_map(terms).collect(),
        other => vec![other],
    }
}

/// The keys of an index that the conjuncts ask for, if they say something of each.
fn lookup(index: &Relation, columns: &[DataType], conjuncts: &[Conjunct]) -> Option<Lookup> {
    let RelationKind::Index { keys, .. } = &index.kind else { return None };
    let mut places = Vec::with_capacity(keys.len());
    let mut found = Vec::with_capacity(keys.len());
    let mut count = 1_usize;
    for IndexKey { expr, text } in keys {
        let asks = |conjunct: &Conjunct| {
            conjunct.condition.as_ref().is_some_and(|condition| condition.sides.contains(&expr))
        };
        let place = conjuncts.iter().position(asks)?;
        let values = conjuncts[place].condition.as_ref().map(|condition| &condition.values)?;
        count = count.checked_mul(values.len()).filter(|count| *count <= KEYS_MAX)?;
        let values = values.iter().map(|value| (*value).clone()).collect();
        found.push(LookupKey { text: text.clone(), data_type: expr.data_type(columns)?, values });
        places.push(place);
    }
    // An index with a row whose key fails is not read by, so of the conditions on keys none fails unseen.
    let last = places.iter().max()?;
    let must_not_fail = (0..*last).filter(|place| !places.contains(place));
    let mut must_not_fail = must_not_fail.map(|place| &conjuncts[place]);
    must_not_fail.all(|conjunct| conjunct.is_total).then_some(Lookup { index: index.id, keys: found })
}

/// A term of a filter's conjunction.
struct Conjunct<'e> {
    /// Set where it is true only for rows in which an expression has one of some constant values.
    condition: Option<Condition<'e>>,
    /// It has a value for every row.
    is_total: bool,
}

impl<'e> Conjunct<'e> {
    fn new(term: &'e Expr, columns: &[DataType]) -> Conjunct<'e> {
        Conjunct { condition: Condition::new(term, columns), is_total: is_total(term, columns) }
    }
}

/// An expression that has one of some constant values.
struct Condition<'e> {
    /// The expression, and where it is a cast that loses nothing, also what is cast.
    sides: Vec<&'e Expr>,
    values: Vec<&'e Expr>,
}

impl<'e> Condition<'e> {
    fn new(conjunct: &'e Expr, columns: &[DataType]) -> Option<Condition<'e>> {
        let Expr::Call { function, arguments, .. } = conjunct else { return None };
        let (side, values): (&Expr, Vec<&Expr>) = match (function.as_str(), arguments.as_slice()) {
            ("equal", [side, value]) if is_constant(value) => (side, vec![value]),
            ("equal", [value, side]) if is_constant(value) => (side, vec![value]),
            ("in", [side, values @ ..]) if values.iter().all(is_constant) => (side, values.iter().collect()),
            _ => return None,
        };
        let mut sides = vec![side];
        if let Expr::Cast { input, to } = side
            && input.data_type(columns).is_some_and(|from| embeds(from, *to))
        {
            sides.push(input.as_ref());
        }
        Some(Condition { sides, values })
    }
}

/// Whether an expression is the same for all rows, and has a value. `now()` is the query's tick.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => true,
        _ if !columns_of(expr).is_empty() || volatile_call(expr).is_some() => false,
        _ => calls(expr, "now") || evaluate_constant(expr).is_ok(),
    }
}

/// Whether a cast between these types has a value for all values, a different one for each.
fn embeds(from: DataType, to: DataType) -> bool {
    let digits = |precision: u8, scale: u8| precision.saturating_sub(scale);
    match (from, to) {
        (DataType::Int16, DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64) => true,
        (DataType::Int32, DataType::Int64 | DataType::Float64) | (DataType::Float32, DataType::Float64) => {
            true
        }
        (DataType::Int16, DataType::Numeric { precision, scale }) => digits(precision, scale) >= 5,
        (DataType::Int32, DataType::Numeric { precision, scale }) => digits(precision, scale) >= 10,
        (DataType::Int64, DataType::Numeric { precision, scale }) => digits(precision, scale) >= 19,
        (
            DataType::Numeric { precision: narrow, scale: short },
            DataType::Numeric { precision: wide, scale: long },
        ) => long >= short && digits(wide, long) >= digits(narrow, short),
        (
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Numeric { .. },
            DataType::Decimal,
        ) => true,
        // What is cut off a char of its blanks is not put back.
        (DataType::Limited(limit), to) if !matches!(limit, Limit::Char(_)) => limit.base() == to,
        (from, to) => from == to,
    }
}

/// Whether an expression has a value for every row, as far as can be told without looking at rows.
fn is_total(expr: &Expr, columns: &[DataType]) -> bool {
    let all = |exprs: &[Expr]| exprs.iter().all(|expr| is_total(expr, columns));
    match expr {
        Expr::Column(_) | Expr::Literal(_) => true,
        Expr::Call { function, arguments, .. } => TOTAL.contains(&function.as_str()) && all(arguments),
        Expr::Cast { input, to } => {
            let from = input.data_type(columns);
            is_total(input, columns) && from.is_some_and(|from| embeds(from, *to))
        }
        Expr::And(terms) | Expr::Or(terms) => all(terms),
        Expr::Not(input) | Expr::IsNull(input) => is_total(input, columns),
        Expr::Case { branches, otherwise, .. } => {
            branches
                .iter()
                .all(|(condition, result)| is_total(condition, columns) && is_total(result, columns))
                && otherwise.as_deref().is_none_or(|otherwise| is_total(otherwise, columns))
        }
    }
}

/// A constant as a key of this type; `None` where no key equals it.
///
/// # Errors
/// Those of the constant.
pub(crate) fn key_literal(value: &Expr, data_type: DataType) -> Result<Option<Literal>, DataError> {
    let literal = evaluate_constant(value)?;
    let from = literal.data_type();
    if literal == Literal::Null(from) {
        return Ok(None);
    }
    if from == data_type {
        return Ok(Some(literal));
    }
    let cast = |literal: &Literal, to| {
        evaluate_constant(&Expr::Cast { input: Box::new(Expr::Literal(literal.clone())), to }).ok()
    };
    let key = cast(&literal, data_type);
    // A cast may have rounded.
    Ok(key.filter(|key| cast(key, from).is_some_and(|back| same(&back, &literal))))
}

/// Whether two constants of one type are equal; -0.0 is 0.0.
fn same(left: &Literal, right: &Literal) -> bool {
    let arguments = vec![Expr::Literal(left.clone()), Expr::Literal(right.clone())];
    evaluate_constant(&call("equal", arguments, DataType::Boolean)) == Ok(Literal::Boolean(true))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn numeric(value: i128, precision: u8, scale: u8) -> Literal {
        Literal::Numeric { value, precision, scale }
    }

    fn key(value: Literal, data_type: DataType) -> Option<Literal> {
        key_literal(&Expr::Literal(value), data_type).unwrap()
    }

    #[test]
    fn a_constant_is_a_key_where_some_key_equals_it() {
        let int = DataType::Int32;
        assert_eq!(key(Literal::Int64(7), int), Some(Literal::Int32(7)));
        assert_eq!(key(Literal::Int64(1 << 40), int), None);
        assert_eq!(key(numeric(50, 2, 1), int), Some(Literal::Int32(5)));
        assert_eq!(key(numeric(55, 2, 1), int), None);
        assert_eq!(key(Literal::Float64(5.0_f64.to_bits()), int), Some(Literal::Int32(5)));
        assert_eq!(key(Literal::Float64(f64::NAN.to_bits()), int), None);
        assert_eq!(key(Literal::Float64((-0.0_f64).to_bits()), int), Some(Literal::Int32(0)));
        assert_eq!(key(Literal::Null(int), int), None);
        let money = DataType::Numeric { precision: 10, scale: 2 };
        assert_eq!(key(numeric(5, 1, 0), money), Some(numeric(500, 10, 2)));
        assert_eq!(key(numeric(5005, 4, 3), money), None);
        assert_eq!(key(numeric(10_i128.pow(30), 38, 0), money), None);
    }

    #[test]
    fn a_cast_that_may_fail_or_round_is_no_embedding() {
        let numeric = |precision, scale| DataType::Numeric { precision, scale };
        assert!(embeds(DataType::Int32, DataType::Int64) && embeds(numeric(10, 2), numeric(38, 4)));
        assert!(!embeds(DataType::Int64, DataType::Float64) && !embeds(numeric(10, 2), numeric(10, 4)));
        assert!(!embeds(DataType::Int32, numeric(38, 30)) && !embeds(DataType::Int64, DataType::Int32));
    }
}
