//! GROUP BY: plain keys, GROUPING SETS, ROLLUP and CUBE, and what GROUPING(…) answers.
//!
//! Several grouping sets are a union of aggregations over the same input, each with NULL for the keys
//! that it does not group by. The empty set groups all rows into one, also where there are none.
//!
//! ```text
//!   GROUP BY a, ROLLUP (b, c)  →  sets (a, b, c), (a, b), (a)  →  Union [Project [Aggregate …], …]
//!   columns of each: all keys, the aggregates, one integer for each GROUPING(…)
//! ```

use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use millrace_engine::{Aggregate, Expr, Literal};

use super::expr::AGGREGATE_BASE;
use super::exprs::{calls, try_map_operands};
use super::rel::{Rel, aggregate_exprs, map_aggregate, types_of};
use super::scope::{Scope, fold_name};
use super::unnest::{self, Subquery};
use super::window::WINDOW_BASE;
use crate::error::SqlError;

/// The most grouping sets of one query: each is an aggregation of its own.
const SETS_MAX: usize = 64;

/// The call that stands for GROUPING(…) until the keys are known.
pub(crate) const GROUPING: &str = "grouping";

/// A bound GROUP BY.
pub(crate) struct Grouping {
    /// Every key, once.
    keys: Vec<Expr>,
    /// The grouping sets: positions of keys. None: there is no GROUP BY.
    sets: Vec<Vec<usize>>,
}

/// 42803 for a GROUPING(…) of something that is no key.
fn no_key() -> SqlError {
    let message = "arguments to GROUPING must be grouping expressions of the associated query level";
    SqlError::new("42803", message)
}

fn too_many() -> SqlError {
    SqlError::unsupported(format_args!("GROUP BY with more than {SETS_MAX} grouping sets"))
}

/// Refuses GROUPING(…) in a query that does not group.
pub(crate) fn refuse_grouping<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Result<(), SqlError> {
    if exprs.into_iter().any(|expr| calls(expr, GROUPING)) { Err(no_key()) } else { Ok(()) }
}

impl Grouping {
    /// Binds the items of GROUP BY; `bind` binds a key.
    pub(crate) fn bind(
        items: &[ast::Expr],
        bind: &mut impl FnMut(&ast::Expr) -> Result<Expr, SqlError>,
    ) -> Result<Grouping, SqlError> {
        let mut grouping = Grouping { keys: Vec::new(), sets: Vec::new() };
        for item in items {
            let sets = grouping.sets_of(item, bind)?;
            if grouping.sets.is_empty() {
                grouping.sets.push(Vec::new());
            }
            if sets.len().saturating_mul(grouping.sets.len()) > SETS_MAX {
                return Err(too_many());
            }
            let product = grouping.sets.iter().flat_map(|left| sets.iter().map(|right| union(left, right)));
            grouping.sets = product.collect();
        }
        Ok(grouping)
    }

    /// Whether there is a GROUP BY.
    pub(crate) fn is_there(&self) -> bool {
        !self.sets.is_empty()
    }

    fn sets_of(
        &mut self,
        item: &ast::Expr,
        bind: &mut impl FnMut(&ast::Expr) -> Result<Expr, SqlError>,
    ) -> Result<Vec<Vec<usize>>, SqlError> {
        Ok(match item {
            ast::Expr::Tuple(keys) => vec![self.set(keys, bind)?],
            ast::Expr::Rollup(elements) => rollup(&self.elements(elements, bind)?),
            ast::Expr::Cube(elements) => cube(&self.elements(elements, bind)?)?,
            ast::Expr::GroupingSets(lists) => {
                let mut sets = Vec::new();
                for list in lists {
                    match list.as_slice() {
                        [ast::Expr::Function(function)] if inner_kind(function).is_some() => {
                            sets.extend(self.inner_sets(function, bind)?);
                        }
                        keys => sets.push(self.set(keys, bind)?),
                    }
                    if sets.len() > SETS_MAX {
                        return Err(too_many());
                    }
                }
                sets
            }
            key => vec![self.set(std::slice::from_ref(key), bind)?],
        })
    }

    /// ROLLUP or CUBE inside of GROUPING SETS, which the parser takes for functions.
    fn inner_sets(
        &mut self,
        function: &ast::Function,
        bind: &mut impl FnMut(&ast::Expr) -> Result<Expr, SqlError>,
    ) -> Result<Vec<Vec<usize>>, SqlError> {
        let FunctionArguments::List(list) = &function.args else {
            return Err(SqlError::unsupported(function));
        };
        let mut elements = Vec::new();
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Tuple(keys))) => {
                    elements.push(keys.clone());
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(key)) => elements.push(vec![key.clone()]),
                other => return Err(SqlError::unsupported(format_args!("the argument {other}"))),
            }
        }
        let elements = self.elements(&elements, bind)?;
        if inner_kind(function) == Some("rollup") { Ok(rollup(&elements)) } else { cube(&elements) }
    }

    fn elements(
        &mut self,
        elements: &[Vec<ast::Expr>],
        bind: &mut impl FnMut(&ast::Expr) -> Result<Expr, SqlError>,
    ) -> Result<Vec<Vec<usize>>, SqlError> {
        elements.iter().map(|keys| self.set(keys, bind)).collect()
    }

    /// The positions of some keys, which are noted.
    fn set(
        &mut self,
        keys: &[ast::Expr],
        bind: &mut impl FnMut(&ast::Expr) -> Result<Expr, SqlError>,
    ) -> Result<Vec<usize>, SqlError> {
        let mut set = Vec::new();
        for key in keys {
            let key = bind(key)?;
            let position = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                self.keys.push(key);
                self.keys.len() - 1
            });
            set = union(&set, &[position]);
        }
        Ok(set)
    }

    /// The aggregation, with a column for each of these GROUPING(…).
    pub(crate) fn aggregate(
        mut self,
        mut input: Rel,
        mut aggregates: Vec<Aggregate>,
        groupings: &[Vec<usize>],
        subqueries: &[Subquery],
    ) -> Result<Rel, SqlError> {
        if !self.keys.is_empty() || !aggregates.is_empty() {
            // What keys and aggregates read of sub-queries is computed below.
            let read = self.keys.iter().chain(aggregates.iter().flat_map(aggregate_exprs)).cloned().collect();
            let (attached, read) = unnest::attach(input, read, subqueries)?;
            input = attached;
            let mut read = read.into_iter();
            let mut next = |own: &Expr| read.next().unwrap_or_else(|| own.clone());
            self.keys.iter_mut().for_each(|key| *key = next(key));
            aggregates = aggregates.into_iter().map(|call| map_aggregate(call, &mut next)).collect();
        }
        if self.sets.len() < 2 {
            return Ok(aggregate(input, self.keys, aggregates));
        }
        let types = types_of(&self.keys, &input.columns());
        let branch = |set: &Vec<usize>| {
            let keys: Vec<Expr> = set.iter().map(|key| self.keys[*key].clone()).collect();
            let key = |index: usize| match set.iter().position(|key| *key == index) {
                Some(position) => Expr::Column(position),
                None => Expr::Literal(Literal::Null(types[index])),
            };
            let computed = (0..aggregates.len()).map(|index| Expr::Column(set.len() + index));
            let answers = groupings.iter().map(|keys| Expr::Literal(Literal::Int32(answer(keys, set))));
            let outputs = (0..self.keys.len()).map(key).chain(computed).chain(answers).collect();
            aggregate(input.clone(), keys, aggregates.clone()).project(outputs)
        };
        Ok(Rel::Union { inputs: self.sets.iter().map(branch).collect() })
    }
}

/// The aggregation; without keys and aggregates (HAVING alone, or an empty set) it is one row, whatever the
/// input.
fn aggregate(input: Rel, keys: Vec<Expr>, aggregates: Vec<Aggregate>) -> Rel {
    if keys.is_empty() && aggregates.is_empty() {
        return Rel::unit();
    }
    Rel::Aggregate { input: Box::new(input), keys, aggregates }
}

/// What GROUPING(…) of some keys answers in a set: a bit for each key that is not in it, the last lowest.
fn answer(keys: &[usize], set: &[usize]) -> i32 {
    keys.iter().fold(0, |bits, key| bits << 1 | i32::from(!set.contains(key)))
}

fn inner_kind(function: &ast::Function) -> Option<&'static str> {
    match fold_name(&function.name).as_slice() {
        [name] if name == "rollup" => Some("rollup"),
        [name] if name == "cube" => Some("cube"),
        _ => None,
    }
}

fn union(left: &[usize], right: &[usize]) -> Vec<usize> {
    let mut keys = left.to_vec();
    keys.extend(right.iter().filter(|key| !left.contains(key)));
    keys
}

/// All elements, then one less, down to none.
fn rollup(elements: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let prefix =
        |count: usize| elements[..count].iter().fold(Vec::new(), |set, element| union(&set, element));
    (0..=elements.len()).rev().map(prefix).collect()
}

/// Every choice of elements.
fn cube(elements: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, SqlError> {
    if elements.len() > SETS_MAX.ilog2() as usize {
        return Err(too_many());
    }
    let choose = |choice: usize| {
        let chosen = elements.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1);
        chosen.fold(Vec::new(), |set, (_, element)| union(&set, element))
    };
    Ok((0..1usize << elements.len()).rev().map(choose).collect())
}

/// Expressions over an input as expressions over its aggregation.
pub(crate) struct Regroup<'a> {
    grouping: &'a Grouping,
    aggregates: usize,
    scope: &'a Scope,
    /// The GROUPING(…) met so far: positions of keys.
    pub(crate) groupings: Vec<Vec<usize>>,
}

impl<'a> Regroup<'a> {
    /// Over the keys and this many aggregates.
    pub(crate) fn new(grouping: &'a Grouping, aggregates: usize, scope: &'a Scope) -> Regroup<'a> {
        Regroup { grouping, aggregates, scope, groupings: Vec::new() }
    }

    /// The expression over keys, aggregates and GROUPING(…).
    ///
    /// # Errors
    /// 42803 for a column that is neither in a key nor in an aggregate.
    pub(crate) fn over(&mut self, expr: &Expr) -> Result<Expr, SqlError> {
        self.replace(expr, &|name| {
            format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            )
        })
    }

    /// The same for what a sub-query reads of this query.
    pub(crate) fn over_argument(&mut self, expr: &Expr) -> Result<Expr, SqlError> {
        self.replace(expr, &|name| format!("subquery uses ungrouped column \"{name}\" from outer query"))
    }

    fn replace(&mut self, expr: &Expr, ungrouped: &dyn Fn(&str) -> String) -> Result<Expr, SqlError> {
        let keys = &self.grouping.keys;
        if let Some(key) = keys.iter().position(|key| key == expr) {
            return Ok(Expr::Column(key));
        }
        match expr {
            Expr::Column(column) if *column >= WINDOW_BASE => Ok(expr.clone()),
            Expr::Column(column) if *column >= AGGREGATE_BASE => {
                Ok(Expr::Column(column - AGGREGATE_BASE + keys.len()))
            }
            Expr::Column(column) => Err(SqlError::new("42803", ungrouped(&self.scope.display(*column)))),
            Expr::Call { function, arguments, .. } if function == GROUPING => self.grouping(arguments),
            other => try_map_operands(other, &mut |operand| self.replace(operand, ungrouped)),
        }
    }

    /// GROUPING(…): 0 where there is one set, else a column of the aggregation.
    fn grouping(&mut self, arguments: &[Expr]) -> Result<Expr, SqlError> {
        let keys = &self.grouping.keys;
        let position = |argument| keys.iter().position(|key| key == argument).ok_or_else(no_key);
        let wanted = arguments.iter().map(position).collect::<Result<Vec<usize>, SqlError>>()?;
        if self.grouping.sets.len() < 2 {
            return Ok(Expr::Literal(Literal::Int32(0)));
        }
        let index = self.groupings.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.groupings.push(wanted);
            self.groupings.len() - 1
        });
        Ok(Expr::Column(keys.len() + self.aggregates + index))
    }
}
