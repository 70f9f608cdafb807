//! Joins whose right side reads the left one (LATERAL), or whose condition has sub-queries.
//!
//! The condition of an inner join is a filter above it. That of an outer join decides which rows find a
//! match, so its sub-queries are attached below, to the side that they read.

use millrace_engine::{DataType, Expr};

use super::attach::{attach, filter, lateral};
use super::{Subquery, columns_from};
use crate::error::SqlError;
use crate::query::exprs::{columns_of, map_columns};
use crate::query::outer::{map_places, place, places_of};
use crate::query::rel::{JoinKind, Rel};

/// What is joined.
pub(crate) struct Sides {
    pub(crate) kind: JoinKind,
    pub(crate) left: Rel,
    pub(crate) right: Rel,
    /// What the right side reads, over the left columns.
    pub(crate) arguments: Vec<Expr>,
}

impl Sides {
    fn on(self, on: Vec<Expr>) -> Result<Rel, SqlError> {
        if self.arguments.is_empty() {
            return Ok(super::attach::join(self.kind, self.left, self.right, on));
        }
        lateral(self.kind, self.left, &self.right, &self.arguments, &on)
    }
}

/// The join on these conditions over both sides' columns.
///
/// # Errors
/// 0A000 where a sub-query in the condition of an outer join reads both sides.
pub(crate) fn join(sides: Sides, on: Vec<Expr>, subqueries: &[Subquery]) -> Result<Rel, SqlError> {
    let (plain, reading): (Vec<_>, Vec<_>) =
        on.into_iter().partition(|condition| places_of(condition).is_empty());
    if reading.is_empty() {
        return sides.on(plain);
    }
    match sides.kind {
        JoinKind::Inner => filter(sides.on(plain)?, reading, subqueries),
        JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Semi | JoinKind::Anti => {
            outer_join(sides, [plain, reading].concat(), subqueries)
        }
    }
}

fn outer_join(sides: Sides, on: Vec<Expr>, subqueries: &[Subquery]) -> Result<Rel, SqlError> {
    let width = sides.left.columns().len();
    let total = width + sides.right.columns().len();
    let (mut of_left, mut of_right) = (Vec::new(), Vec::new());
    for index in on.iter().flat_map(places_of) {
        let reads = columns_read(index, subqueries);
        let side =
            match (reads.iter().any(|column| *column < width), reads.iter().any(|column| *column >= width)) {
                (true, true) => {
                    let what = "a sub-query that reads both sides of an outer join in its condition";
                    return Err(SqlError::unsupported(what));
                }
                (true, false) => &mut of_left,
                (false, _) => &mut of_right,
            };
        if !side.contains(&index) {
            side.push(index);
        }
    }
    let moved: Vec<Subquery> = subqueries.iter().map(|subquery| moved_down(subquery, width)).collect();
    let left = with_values(sides.left, &of_left, subqueries)?;
    let right = with_values(sides.right, &of_right, &moved)?;

    let extra = of_left.len();
    let own = |column: usize| Expr::Column(if column < width { column } else { column + extra });
    let value = |index: usize| match of_left.iter().position(|known| *known == index) {
        Some(at) => Expr::Column(width + at),
        None => {
            let at = of_right.iter().position(|known| *known == index).unwrap_or_default();
            Expr::Column(total + extra + at)
        }
    };
    let on = on
        .iter()
        .map(|condition| map_places(&map_columns(condition, &mut |at| own(at)), &mut |at| value(at)));
    let joined = Sides { left, right, ..sides }.on(on.collect())?;
    Ok(joined.project((0..total).map(own).collect()))
}

/// The columns of the clause that a sub-query reads, also by the sub-queries among its operands.
fn columns_read(index: usize, subqueries: &[Subquery]) -> Vec<usize> {
    let Some(subquery) = subqueries.get(index) else { return Vec::new() };
    let outside = subquery.arguments.iter().chain(subquery.operands());
    let mut columns: Vec<usize> = outside.flat_map(columns_of).collect();
    for place in subquery.operands().flat_map(places_of) {
        columns.extend(columns_read(place, subqueries));
    }
    columns
}

/// The sub-query for the right side alone; of one that reads the left side nothing is used.
fn moved_down(subquery: &Subquery, width: usize) -> Subquery {
    let mut down = |expr: &Expr| -> Result<Expr, std::convert::Infallible> {
        Ok(map_columns(expr, &mut |column| Expr::Column(column.saturating_sub(width))))
    };
    match subquery.clone().try_map_outside(&mut down) {
        Ok(moved) => moved,
        Err(never) => match never {},
    }
}

/// The relation with the values of these sub-queries behind its columns.
fn with_values(rel: Rel, indices: &[usize], subqueries: &[Subquery]) -> Result<Rel, SqlError> {
    if indices.is_empty() {
        return Ok(rel);
    }
    let width = rel.columns().len();
    let places = indices.iter().map(|index| place(*index, DataType::Boolean)).collect();
    let (rel, values) = attach(rel, places, subqueries)?;
    Ok(rel.project(columns_from(0, width).chain(values).collect()))
}
