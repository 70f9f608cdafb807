//! Joins of all kinds, made of the engine's inner joins and semi joins.
//!
//! ```text
//! matched = left ⋈ right on the keys, where the conditions that are no keys hold
//! LEFT    = matched ∪ the left rows that are not among the matched, with NULLs for the right columns
//! FULL    = LEFT ∪ the right rows that are not among the matched, with NULLs for the left columns
//! ```
//! Without conditions beyond the keys "among the matched" asks the other side itself; with such conditions it
//! asks for the columns that the conditions read, since rows that agree in them match alike. A condition that
//! reads one side only splits that side first. A sub-plan that is needed twice is shared, so that a stack of
//! joins makes a plan that grows with their number. Multiplicities need no care: a row is matched or not with
//! all its copies.

use millrace_engine::{DataType, Expr, JoinKey, Limit, Literal, NUMERIC_PRECISION_MAX, Plan, PlanRef};

use super::plan;
use crate::error::SqlError;
use crate::query::exprs::{columns_of, map_columns};
use crate::query::rel::{JoinKind, Rel};

/// The plan of a join.
pub(super) fn join(kind: JoinKind, left: &Rel, right: &Rel, on: &[Expr]) -> Result<PlanRef, SqlError> {
    match kind {
        JoinKind::Inner => {
            let (input, residual) = inner(left, right, on)?;
            Ok(filter(input, residual))
        }
        JoinKind::Right => mirrored(left, right, on),
        JoinKind::Left => {
            let sides = Sides::new(left, right, on)?;
            let mut parts = vec![sides.matched.clone()];
            parts.extend(sides.unmatched_left().map(|rows| padded(rows, sides.right.columns(), false)));
            Ok(Plan::Union { inputs: parts }.into())
        }
        JoinKind::Full => {
            let sides = Sides::new(left, right, on)?;
            let mut parts = vec![sides.matched.clone()];
            parts.extend(sides.unmatched_left().map(|rows| padded(rows, sides.right.columns(), false)));
            parts.extend(sides.unmatched_right().map(|rows| padded(rows, sides.left.columns(), true)));
            Ok(Plan::Union { inputs: parts }.into())
        }
        JoinKind::Semi => Ok(Sides::new(left, right, on)?.left_exists(false)),
        JoinKind::Anti => {
            let mut parts: Vec<PlanRef> = Sides::new(left, right, on)?.unmatched_left().collect();
            Ok(if parts.len() == 1 { parts.remove(0) } else { Plan::Union { inputs: parts }.into() })
        }
    }
}

/// An inner join without the conditions that are no keys, which are for a projection above it.
pub(super) fn inner(left: &Rel, right: &Rel, on: &[Expr]) -> Result<(PlanRef, Vec<Expr>), SqlError> {
    let (keys, residual) = join_keys(on, &left.columns(), &right.columns());
    Ok((Plan::Join { left: plan(left)?, right: plan(right)?, keys }.into(), residual))
}

/// A right join: the left join of the sides exchanged, its columns put back.
fn mirrored(left: &Rel, right: &Rel, on: &[Expr]) -> Result<PlanRef, SqlError> {
    let (left_width, right_width) = (left.columns().len(), right.columns().len());
    let exchange = |column: usize| match column.checked_sub(left_width) {
        Some(of_right) => Expr::Column(of_right),
        None => Expr::Column(column + right_width),
    };
    let on: Vec<Expr> = on.iter().map(|condition| map_columns(condition, &mut |c| exchange(c))).collect();
    let input = join(JoinKind::Left, right, left, &on)?;
    let outputs = (0..left_width + right_width).map(exchange).collect();
    Ok(Plan::Project { input, predicates: Vec::new(), outputs }.into())
}

/// The inputs of a join and its conditions, sorted out.
struct Sides {
    /// The left rows that can match: for which the conditions on left columns alone are true.
    left: PlanRef,
    /// The left rows that cannot.
    left_failing: Option<PlanRef>,
    right: PlanRef,
    right_failing: Option<PlanRef>,
    /// The pairs that match.
    matched: PlanRef,
    keys: Vec<JoinKey>,
    /// The conditions that read both sides and are no keys.
    residual: Vec<Expr>,
    /// The columns of each side that keys and residual read.
    left_read: Vec<usize>,
    right_read: Vec<usize>,
}

impl Sides {
    fn new(left: &Rel, right: &Rel, on: &[Expr]) -> Result<Sides, SqlError> {
        let (left_columns, right_columns) = (left.columns(), right.columns());
        let width = left_columns.len();
        let (keys, others) = join_keys(on, &left_columns, &right_columns);
        let (mut of_left, mut of_right, mut residual) = (Vec::new(), Vec::new(), Vec::new());
        for condition in others {
            let columns = columns_of(&condition);
            match (columns.first(), columns.last()) {
                // A constant condition holds for all rows or for none: on the left as well as anywhere.
                (None, _) | (_, None) => of_left.push(condition),
                (_, Some(last)) if *last < width => of_left.push(condition),
                (Some(first), _) if *first >= width => {
                    of_right.push(map_columns(&condition, &mut |column| Expr::Column(column - width)));
                }
                _ => residual.push(condition),
            }
        }
        let (left, left_failing) = split(plan(left)?, of_left);
        let (right, right_failing) = split(plan(right)?, of_right);
        let mut read: Vec<usize> = residual.iter().flat_map(columns_of).collect();
        for key in &keys {
            read.extend(columns_of(&key.left));
            read.extend(columns_of(&key.right).into_iter().map(|column| column + width));
        }
        read.sort_unstable();
        read.dedup();
        let (left_read, right_read) = read.into_iter().partition(|column| *column < width);
        let pairs = Plan::Join { left: left.clone(), right: right.clone(), keys: keys.clone() };
        let matched = filter(pairs.into(), residual.clone());
        Ok(Sides { left, left_failing, right, right_failing, matched, keys, residual, left_read, right_read })
    }

    /// The left rows without a match.
    fn unmatched_left(&self) -> impl Iterator<Item = PlanRef> {
        std::iter::once(self.left_exists(true)).chain(self.left_failing.clone())
    }

    /// The right rows without a match.
    fn unmatched_right(&self) -> impl Iterator<Item = PlanRef> {
        let anti = if self.residual.is_empty() {
            let flip = |key: &JoinKey| JoinKey {
                left: key.right.clone(),
                right: key.left.clone(),
                nulls_equal: key.nulls_equal,
            };
            let keys = self.keys.iter().map(flip).collect();
            exists(self.right.clone(), self.left.clone(), keys, true)
        } else {
            let width = self.left.columns().len();
            let own: Vec<usize> = self.right_read.iter().map(|column| column - width).collect();
            self.among_matched(&self.right, &own, &self.right_read, true)
        };
        std::iter::once(anti).chain(self.right_failing.clone())
    }

    /// Of the left rows that can match, those that do or do not.
    fn left_exists(&self, anti: bool) -> PlanRef {
        if self.residual.is_empty() {
            return exists(self.left.clone(), self.right.clone(), self.keys.clone(), anti);
        }
        self.among_matched(&self.left, &self.left_read, &self.left_read, anti)
    }

    /// The rows of a side that are (or are not) among the matched, by the columns that decide it: `own` in the
    /// side, `matched` in the pairs.
    fn among_matched(&self, side: &PlanRef, own: &[usize], matched: &[usize], anti: bool) -> PlanRef {
        let columns = side.columns();
        let outputs = matched.iter().copied().map(Expr::Column).collect();
        let pairs = Plan::Project { input: self.matched.clone(), predicates: Vec::new(), outputs };
        let key = |(position, column): (usize, &usize)| JoinKey {
            left: identity(*column, columns[*column]),
            right: identity(position, columns[*column]),
            nulls_equal: true,
        };
        exists(side.clone(), pairs.into(), own.iter().enumerate().map(key).collect(), anti)
    }
}

/// A column as a key that tells apart whatever a condition could: 0.0 and -0.0 are equal, so are a month and 30
/// days, but not as text.
fn identity(column: usize, data_type: DataType) -> Expr {
    match data_type {
        DataType::Float32
        | DataType::Float64
        | DataType::Interval
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Decimal => Expr::Cast { input: Box::new(Expr::Column(column)), to: DataType::Text },
        DataType::Boolean
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Text
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Char
        | DataType::Json
        | DataType::Date
        | DataType::Numeric { .. } => Expr::Column(column),
        DataType::Limited(Limit::Numeric { .. }) => identity(column, DataType::Decimal),
        DataType::Limited(_) => Expr::Column(column),
    }
}

fn exists(left: PlanRef, right: PlanRef, keys: Vec<JoinKey>, anti: bool) -> PlanRef {
    Plan::Exists { left, right, keys, anti }.into()
}

/// The rows for which the conditions are true.
fn filter(input: PlanRef, conditions: Vec<Expr>) -> PlanRef {
    if conditions.is_empty() {
        return input;
    }
    let outputs = (0..input.columns().len()).map(Expr::Column).collect();
    Plan::Project { input, predicates: one_predicate(conditions), outputs }.into()
}

/// The rows for which the conditions are true, and where there are conditions, the others.
fn split(input: PlanRef, mut conditions: Vec<Expr>) -> (PlanRef, Option<PlanRef>) {
    conditions.retain(|condition| *condition != Expr::Literal(Literal::Boolean(true)));
    if conditions.is_empty() {
        return (input, None);
    }
    let failing = Expr::Call {
        function: "is_distinct_from".to_owned(),
        version: crate::functions::VERSION,
        arguments: one_predicate(conditions.clone())
            .into_iter()
            .chain([Expr::Literal(Literal::Boolean(true))])
            .collect(),
        data_type: DataType::Boolean,
    };
    let failing = filter(input.clone(), vec![failing]);
    (filter(input, conditions), Some(failing))
}

/// The rows with NULLs of these types behind them, or before them.
fn padded(rows: PlanRef, types: &[DataType], before: bool) -> PlanRef {
    let own = (0..rows.columns().len()).map(Expr::Column);
    let nulls = types.iter().map(|data_type| Expr::Literal(Literal::Null(*data_type)));
    let outputs = if before { nulls.chain(own).collect() } else { own.chain(nulls).collect() };
    Plan::Project { input: rows, predicates: Vec::new(), outputs }.into()
}

/// Several predicates as one AND, which is evaluated from left to right and only where needed.
pub(super) fn one_predicate(mut predicates: Vec<Expr>) -> Vec<Expr> {
    if predicates.len() > 1 {
        predicates = vec![Expr::And(predicates)];
    }
    predicates
}

/// The keys among the conditions of a join, and the conditions that are none.
pub(crate) fn join_keys(on: &[Expr], left: &[DataType], right: &[DataType]) -> (Vec<JoinKey>, Vec<Expr>) {
    let mut keys = Vec::new();
    let mut residual = Vec::new();
    for condition in on {
        match join_key(condition, left, right) {
            Some(key) => keys.push(key),
            None => residual.push(condition.clone()),
        }
    }
    (keys, residual)
}

fn join_key(condition: &Expr, left: &[DataType], right: &[DataType]) -> Option<JoinKey> {
    let (call, nulls_equal) = match condition {
        Expr::Not(inner) => (inner.as_ref(), true),
        other => (other, false),
    };
    let Expr::Call { function, arguments, .. } = call else { return None };
    let [a, b] = arguments.as_slice() else { return None };
    if function != if nulls_equal { "is_distinct_from" } else { "equal" } {
        return None;
    }
    let width = left.len();
    let of_left = |expr: &Expr| side(expr, width) == Some(true);
    let of_right = |expr: &Expr| side(expr, width) == Some(false);
    let (a, b) = match () {
        () if of_left(a) && of_right(b) => (a, b),
        () if of_left(b) && of_right(a) => (b, a),
        () => return None,
    };
    let b = map_columns(b, &mut |column| Expr::Column(column - width));
    let to = common_key_type(a.data_type(left)?, b.data_type(right)?);
    Some(JoinKey { left: as_key(a.clone(), left, to), right: as_key(b, right, to), nulls_equal })
}

/// `Some(true)` where the expression reads left columns only, `Some(false)` where right ones only.
fn side(expr: &Expr, width: usize) -> Option<bool> {
    let columns = columns_of(expr);
    let left = *columns.first()? < width;
    let right = *columns.last()? >= width;
    if left == right { None } else { Some(left) }
}

/// Operands of `equal` differ at most by their limits and the scale of numerics.
fn common_key_type(a: DataType, b: DataType) -> DataType {
    if a == b {
        return a;
    }
    match (a.base(), b.base()) {
        (DataType::Numeric { scale: left, .. }, DataType::Numeric { scale: right, .. }) => {
            DataType::Numeric { precision: NUMERIC_PRECISION_MAX, scale: left.max(right) }
        }
        (DataType::Numeric { .. } | DataType::Decimal, DataType::Numeric { .. } | DataType::Decimal) => {
            DataType::Decimal
        }
        (base, _) => base,
    }
}

fn as_key(expr: Expr, columns: &[DataType], to: DataType) -> Expr {
    if expr.data_type(columns) == Some(to) { expr } else { Expr::Cast { input: Box::new(expr), to } }
}
