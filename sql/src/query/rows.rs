//! Row values: `(a, b) = (1, 2)` and the like, resolved into comparisons of their entries. A row is
//! no value of its own, so it can stand in a comparison, in IN and before IS NULL only.

use datafusion::sql::sqlparser::ast;
use millrace_engine::Expr;

use super::expr::{Bound, ExprBinder, negated_if};
use super::typed::Typed;
use crate::error::SqlError;

/// Rows with more entries are not ordered: each entry is compared with all before it.
const ORDERED_ENTRIES_MAX: usize = 100;

/// The entries of a row value.
pub(super) fn entries(expr: &ast::Expr) -> Option<&[ast::Expr]> {
    match expr {
        ast::Expr::Tuple(entries) => Some(entries),
        ast::Expr::Nested(inner) => entries(inner),
        _ => None,
    }
}

impl ExprBinder<'_> {
    /// A comparison of two rows, by a function of the table.
    pub(super) fn compare_rows(
        &self,
        name: &str,
        symbol: &str,
        left: &[ast::Expr],
        right: &[ast::Expr],
    ) -> Result<Expr, SqlError> {
        if left.len() != right.len() {
            return Err(SqlError::new("42601", "unequal number of entries in row expressions"));
        }
        let bound = left.iter().zip(right).map(|(left, right)| Ok((self.bind(left)?, self.bind(right)?)));
        let pairs: Vec<(Typed, Typed)> = bound.collect::<Result<_, SqlError>>()?;
        let each = |name, symbol, pairs: &[(Typed, Typed)]| -> Result<Vec<Expr>, SqlError> {
            pairs.iter().map(|(l, r)| self.comparison(name, symbol, l.clone(), r.clone())).collect()
        };
        let (strict, sign) = match name {
            "equal" => return Ok(Expr::And(each(name, symbol, &pairs)?)),
            "not_equal" | "is_distinct_from" => return Ok(Expr::Or(each(name, symbol, &pairs)?)),
            "less" | "less_equal" => ("less", "<"),
            _ => ("greater", ">"),
        };
        if pairs.len() > ORDERED_ENTRIES_MAX {
            return Err(SqlError::unsupported(format_args!(
                "an order of rows of more than {ORDERED_ENTRIES_MAX} entries"
            )));
        }
        // The first entries that differ decide: a < x or (a = x and b < y) or …; where all are equal, the last.
        let (equal, differing) = (each("equal", "=", &pairs)?, each(strict, sign, &pairs)?);
        let last = each(name, symbol, &pairs[pairs.len() - 1..])?;
        let deciding = differing[..pairs.len() - 1].iter().cloned().chain(last);
        let branches = deciding.enumerate().map(|(index, decides)| match index {
            0 => decides,
            _ => Expr::And(equal[..index].iter().cloned().chain([decides]).collect()),
        });
        Ok(Expr::Or(branches.collect()))
    }

    /// `(a, b) IN ((1, 2), (3, 4))`
    pub(super) fn row_in_list(&self, row: &[ast::Expr], list: &[ast::Expr], negated: bool) -> Bound {
        let equal = |item: &ast::Expr| match entries(item) {
            Some(item) => self.compare_rows("equal", "=", row, item),
            None => Err(SqlError::unsupported("a row beside another value")),
        };
        let matches = list.iter().map(equal).collect::<Result<_, _>>()?;
        Ok(Typed::boolean(negated_if(negated, Expr::Or(matches))))
    }

    /// `(a, b) IS NULL`: all entries are; `(a, b) IS NOT NULL`: none is.
    pub(super) fn row_is_null(&self, row: &[ast::Expr], negated: bool) -> Bound {
        let entries = row.iter().map(|entry| Ok(negated_if(negated, self.is_null(entry)?)));
        Ok(Typed::boolean(Expr::And(entries.collect::<Result<_, SqlError>>()?)))
    }
}
