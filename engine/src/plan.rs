//! Dataflow plans: what `sql` lowers a view to and the engine renders.
//!
//! Closed, serialisable, without names. A plan is a graph without cycles: an operator (`Plan`) whose inputs are
//! shared plans (`PlanRef`), since an outer join reads its inputs more than once. A plan is made once, by the
//! coordinator, and sent to every worker: planning twice could differ.

mod form; // a plan in the log
mod shared; // plans as inputs of plans: identity, distinct operators
mod show; // plans as text

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

pub use form::PlanTree;
pub use shared::{PlanId, PlanRef};

use crate::error::EngineError;
use crate::expr::Expr;
use crate::types::{DataType, RelationId};

/// A relational operator over its inputs: shared plans, or in the log their numbers. Serialised: only append
/// variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Plan<I = PlanRef> {
    /// The rows of a table or of another materialized view.
    Get {
        /// Which.
        relation: RelationId,
        /// Its columns.
        columns: Vec<DataType>,
    },
    /// Constant rows, each once; one inner vector a row.
    Constant {
        /// The rows.
        rows: Vec<Vec<crate::types::Literal>>,
        /// The columns' types.
        columns: Vec<DataType>,
    },
    /// Filter, then compute: keeps rows for which every predicate is true; evaluates `outputs`
    /// over the input's columns.
    Project {
        /// The input.
        input: I,
        /// Boolean expressions over the input's columns.
        predicates: Vec<Expr>,
        /// The output's columns.
        outputs: Vec<Expr>,
    },
    /// Inner equi-join. Output: the left columns, then the right ones.
    Join {
        /// Left input.
        left: I,
        /// Right input.
        right: I,
        /// What must be equal; nothing: a cross join.
        keys: Vec<JoinKey>,
    },
    /// GROUP BY. Output: the keys, then the aggregates. Without keys it always has one row.
    Reduce {
        /// The input.
        input: I,
        /// Group keys over the input's columns.
        keys: Vec<Expr>,
        /// The aggregates.
        aggregates: Vec<Aggregate>,
    },
    /// UNION ALL of inputs with the same column types.
    Union {
        /// At least one input.
        inputs: Vec<I>,
    },
    /// Semi or anti join: the left rows for which the right input has (or lacks) a row with equal
    /// keys. Output: the left columns.
    Exists {
        /// The rows that are kept or not.
        left: I,
        /// Where a match is looked for; only its keys matter.
        right: I,
        /// What must be equal; nothing: any row of the right input matches.
        keys: Vec<JoinKey>,
        /// Keeps the rows without a match instead of those with one.
        anti: bool,
    },
    /// Each row as often as `count` says (a bigint over its columns), times its own multiplicity;
    /// not at all where that is NULL, zero or negative. More than 2^31 are an error (22003).
    Repeat {
        /// The input.
        input: I,
        /// How often.
        count: Expr,
    },
    /// The first rows of each group: ordered by `order`, ties by the whole row (its columns ascending from
    /// the first on, NULL first), the copies of a row one after the other.
    TopK {
        /// The input.
        input: I,
        /// Group keys over the input's columns; none: one group.
        keys: Vec<Expr>,
        /// The order within a group.
        order: Vec<OrderKey>,
        /// How many rows of each group are left out at the front.
        skip: u64,
        /// How many rows are kept behind them; `None`: all.
        fetch: Option<u64>,
        /// Appends a bigint column: the row's number in its group, from 1 (`row_number()`).
        numbered: bool,
    },
    /// Calls for each row: the columns that stay beside each row of what the calls give.
    FlatMap {
        /// The input.
        input: I,
        /// The calls.
        calls: RowCalls,
    },
}

/// Calls of functions that give rows, for each row of an input. They go in step: a call that ends before the others
/// is NULL from there on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowCalls {
    /// The input's columns that stay.
    pub kept: Vec<usize>,
    /// The calls; their columns stand behind those.
    pub calls: Vec<SetCall>,
    /// Appends a bigint column: the number of a row among those of its input row, from 1 (`WITH ORDINALITY`).
    pub numbered: bool,
    /// Whether a row for which the calls give nothing comes once, with NULLs (`LEFT JOIN LATERAL … ON true`).
    pub outer: bool,
}

/// A call of a function that gives rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetCall {
    /// The function's name, e.g. `unnest`.
    pub function: String,
    /// Raised when the function's answers change.
    pub version: u32,
    /// The arguments over the input's columns, already of the types that the function takes.
    pub arguments: Vec<Expr>,
    /// The types of its columns.
    pub columns: Vec<DataType>,
}

impl RowCalls {
    /// The types of the output's columns, over an input of these.
    pub fn output(&self, input: &[DataType]) -> Vec<DataType> {
        let kept = self.kept.iter().filter_map(|column| input.get(*column).copied());
        let called = self.calls.iter().flat_map(|call| call.columns.iter().copied());
        kept.chain(called).chain(self.numbered.then_some(DataType::Int64)).collect()
    }

    /// The arguments of all calls.
    pub fn arguments(&self) -> impl Iterator<Item = &Expr> {
        self.calls.iter().flat_map(|call| &call.arguments)
    }
}

/// One equality of a join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JoinKey {
    /// Over the left columns.
    pub left: Expr,
    /// Over the right columns, of the same type.
    pub right: Expr,
    /// Whether NULL equals NULL (`IS NOT DISTINCT FROM`); else NULL equals nothing.
    pub nulls_equal: bool,
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    /// What is compared.
    pub expr: Expr,
    /// From the greatest down.
    pub descending: bool,
    /// NULL before all values, else behind them.
    pub nulls_first: bool,
}

/// One aggregate of a `Plan::Reduce`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// Which aggregate.
    pub function: AggregateFunction,
    /// Its arguments over the input's columns; none for `count(*)` only.
    pub arguments: Vec<Expr>,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// The order in which values are taken, where that shows (`string_agg`).
    pub order: Vec<OrderKey>,
    /// The result's type, as PostgreSQL has it (`sum(int)` is bigint, `sum(bigint)` numeric, …).
    pub data_type: DataType,
}

impl Aggregate {
    /// An aggregate of all values of at most one argument, in any order.
    pub fn plain(function: AggregateFunction, argument: Option<Expr>, data_type: DataType) -> Aggregate {
        let (arguments, order) = (argument.into_iter().collect(), Vec::new());
        Aggregate { function, arguments, distinct: false, order, data_type }
    }
}

/// The aggregates that the engine maintains. Serialised: only append variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AggregateFunction {
    /// `count(*)` and `count(x)`
    Count,
    /// `sum(x)`
    Sum,
    /// `avg(x)`
    Avg,
    /// `min(x)`
    Min,
    /// `max(x)`
    Max,
    /// `bool_and(x)`, `every(x)`
    BoolAnd,
    /// `bool_or(x)`
    BoolOr,
    /// `bit_and(x)`
    BitAnd,
    /// `bit_or(x)`
    BitOr,
    /// `bit_xor(x)`
    BitXor,
    /// `var_pop(x)`
    VarPop,
    /// `var_samp(x)`, `variance(x)`
    VarSamp,
    /// `stddev_pop(x)`
    StddevPop,
    /// `stddev_samp(x)`, `stddev(x)`
    StddevSamp,
    /// `string_agg(x, delimiter)`
    StringAgg,
    /// `array_agg(x)`, over (whether the row counts: true or NULL, x)
    ArrayAgg,
}

impl AggregateFunction {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Avg => "avg",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
            AggregateFunction::BoolAnd => "bool_and",
            AggregateFunction::BoolOr => "bool_or",
            AggregateFunction::BitAnd => "bit_and",
            AggregateFunction::BitOr => "bit_or",
            AggregateFunction::BitXor => "bit_xor",
            AggregateFunction::VarPop => "var_pop",
            AggregateFunction::VarSamp => "var_samp",
            AggregateFunction::StddevPop => "stddev_pop",
            AggregateFunction::StddevSamp => "stddev_samp",
            AggregateFunction::StringAgg => "string_agg",
            AggregateFunction::ArrayAgg => "array_agg",
        }
    }
}

impl<I> Plan<I> {
    /// The plan's inputs, left to right.
    pub fn inputs(&self) -> Vec<&I> {
        match self {
            Plan::Get { .. } | Plan::Constant { .. } => Vec::new(),
            Plan::Project { input, .. }
            | Plan::Reduce { input, .. }
            | Plan::Repeat { input, .. }
            | Plan::FlatMap { input, .. }
            | Plan::TopK { input, .. } => vec![input],
            Plan::Join { left, right, .. } | Plan::Exists { left, right, .. } => vec![left, right],
            Plan::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The same operator over what `map` makes of its inputs, left to right.
    ///
    /// # Errors
    /// The first of `map`.
    pub fn try_map_inputs<J, E>(&self, mut map: impl FnMut(&I) -> Result<J, E>) -> Result<Plan<J>, E> {
        Ok(match self {
            Plan::Get { relation, columns } => Plan::Get { relation: *relation, columns: columns.clone() },
            Plan::Constant { rows, columns } => {
                Plan::Constant { rows: rows.clone(), columns: columns.clone() }
            }
            Plan::Project { input, predicates, outputs } => {
                Plan::Project { input: map(input)?, predicates: predicates.clone(), outputs: outputs.clone() }
            }
            Plan::Join { left, right, keys } => {
                Plan::Join { left: map(left)?, right: map(right)?, keys: keys.clone() }
            }
            Plan::Reduce { input, keys, aggregates } => {
                Plan::Reduce { input: map(input)?, keys: keys.clone(), aggregates: aggregates.clone() }
            }
            Plan::Union { inputs } => {
                Plan::Union { inputs: inputs.iter().map(map).collect::<Result<_, E>>()? }
            }
            Plan::Exists { left, right, keys, anti } => {
                Plan::Exists { left: map(left)?, right: map(right)?, keys: keys.clone(), anti: *anti }
            }
            Plan::Repeat { input, count } => Plan::Repeat { input: map(input)?, count: count.clone() },
            Plan::FlatMap { input, calls } => Plan::FlatMap { input: map(input)?, calls: calls.clone() },
            Plan::TopK { input, keys, order, skip, fetch, numbered } => Plan::TopK {
                input: map(input)?,
                keys: keys.clone(),
                order: order.clone(),
                skip: *skip,
                fetch: *fetch,
                numbered: *numbered,
            },
        })
    }

    /// As `try_map_inputs`, where nothing can fail.
    pub fn map_inputs<J>(&self, mut map: impl FnMut(&I) -> J) -> Plan<J> {
        match self.try_map_inputs(|input| Ok::<J, Infallible>(map(input))) {
            Ok(plan) => plan,
            Err(never) => match never {},
        }
    }
}

impl Plan {
    /// The types of the output's columns.
    fn output(&self) -> Vec<DataType> {
        match self {
            Plan::Get { columns, .. } | Plan::Constant { columns, .. } => columns.clone(),
            Plan::Project { input, outputs, .. } => types_of(outputs, input.columns()),
            Plan::Join { left, right, .. } => [left.columns(), right.columns()].concat(),
            Plan::Reduce { input, keys, aggregates } => {
                let mut columns = types_of(keys, input.columns());
                columns.extend(aggregates.iter().map(|aggregate| aggregate.data_type));
                columns
            }
            Plan::Union { inputs } => {
                inputs.first().map(|input| input.columns().to_vec()).unwrap_or_default()
            }
            Plan::Exists { left, .. } => left.columns().to_vec(),
            Plan::Repeat { input, .. } => input.columns().to_vec(),
            Plan::FlatMap { input, calls } => calls.output(input.columns()),
            Plan::TopK { input, numbered, .. } => {
                let mut columns = input.columns().to_vec();
                columns.extend(numbered.then_some(DataType::Int64));
                columns
            }
        }
    }

    /// Checks this operator, not its inputs.
    fn check(&self) -> Result<(), EngineError> {
        let wrong = |what: String| Err(EngineError::InvalidPlan(what));
        match self {
            Plan::Get { .. } => {}
            Plan::Constant { rows, columns } => {
                for row in rows {
                    let forms = columns.iter().map(|column| column.to_arrow());
                    if !row.iter().map(|literal| literal.data_type().to_arrow()).eq(forms) {
                        return wrong("a constant row does not have its columns' types".to_owned());
                    }
                }
            }
            Plan::Project { input, predicates, outputs } => {
                let columns = input.columns();
                check_exprs(outputs, columns)?;
                check_exprs(predicates, columns)?;
                for predicate in predicates {
                    if predicate.data_type(columns) != Some(DataType::Boolean) {
                        return wrong(format!("predicate {predicate} is not boolean"));
                    }
                }
            }
            Plan::Join { left, right, keys } | Plan::Exists { left, right, keys, .. } => {
                let (left, right) = (left.columns(), right.columns());
                for key in keys {
                    check_exprs([&key.left], left)?;
                    check_exprs([&key.right], right)?;
                    if key.left.data_type(left) != key.right.data_type(right) {
                        return wrong("the two sides of a join have keys of different types".to_owned());
                    }
                }
            }
            Plan::Reduce { input, keys, aggregates } => {
                let columns = input.columns();
                check_exprs(keys, columns)?;
                for aggregate in aggregates {
                    check_exprs(&aggregate.arguments, columns)?;
                    check_exprs(aggregate.order.iter().map(|key| &key.expr), columns)?;
                    let expected = match aggregate.function {
                        AggregateFunction::Count => 0..=1,
                        AggregateFunction::StringAgg | AggregateFunction::ArrayAgg => 2..=2,
                        _ => 1..=1,
                    };
                    if !expected.contains(&aggregate.arguments.len()) {
                        return wrong(format!("{aggregate} has the wrong number of arguments"));
                    }
                }
            }
            Plan::Union { inputs } => {
                let mut columns = inputs.iter().map(PlanRef::columns);
                let Some(first) = columns.next() else { return wrong("an empty union".to_owned()) };
                if columns.any(|other| other != first) {
                    return wrong("a union of different column types".to_owned());
                }
            }
            Plan::Repeat { input, count } => {
                let columns = input.columns();
                check_exprs([count], columns)?;
                if count.data_type(columns) != Some(DataType::Int64) {
                    return wrong(format!("count {count} is not bigint"));
                }
            }
            Plan::FlatMap { input, calls } => {
                let columns = input.columns();
                check_exprs(calls.arguments(), columns)?;
                if calls.calls.is_empty() || calls.kept.iter().any(|column| *column >= columns.len()) {
                    return wrong(
                        "calls for each row without calls, or of a column that is not there".to_owned(),
                    );
                }
            }
            Plan::TopK { input, keys, order, .. } => {
                let columns = input.columns();
                check_exprs(keys, columns)?;
                check_exprs(order.iter().map(|key| &key.expr), columns)?;
            }
        }
        Ok(())
    }
}

/// The types of expressions over these columns; a column out of range is left to `Plan::check`.
fn types_of(exprs: &[Expr], columns: &[DataType]) -> Vec<DataType> {
    exprs.iter().map(|expr| expr.data_type(columns).unwrap_or(DataType::Boolean)).collect()
}

fn check_exprs<'e>(
    exprs: impl IntoIterator<Item = &'e Expr>,
    columns: &[DataType],
) -> Result<(), EngineError> {
    for expr in exprs {
        let mut last = None;
        expr.for_each_column(&mut |index| last = last.max(Some(index)));
        if last.is_some_and(|index| index >= columns.len()) {
            return Err(EngineError::InvalidPlan(format!("{expr} reads a column beyond {}", columns.len())));
        }
    }
    Ok(())
}
