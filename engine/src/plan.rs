//! Dataflow plans: what `sql` lowers a view to and the engine renders.
//!
//! Closed, serialisable, without names. A plan's identity is BLAKE3 over its canonical bytes, so
//! that equal sub-plans can be found and state survives a change of the views around it. A plan is
//! serialised once, by the coordinator, and sent to every worker: planning twice could differ.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::expr::{Expr, list};
use crate::types::{DataType, RelationId};

/// Raised when the row encoding or the meaning of a plan node changes: part of every identity.
const FORMAT_VERSION: u32 = 1;

/// A relational operator tree. Serialised in the log: only append variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Plan {
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
        input: Box<Plan>,
        /// Boolean expressions over the input's columns.
        predicates: Vec<Expr>,
        /// The output's columns.
        outputs: Vec<Expr>,
    },
    /// Inner equi-join; NULL keys match nothing. Output: the left columns, then the right ones.
    Join {
        /// Left input.
        left: Box<Plan>,
        /// Right input.
        right: Box<Plan>,
        /// Key expressions over the left columns.
        left_keys: Vec<Expr>,
        /// Key expressions over the right columns, of the same types; none: a cross join.
        right_keys: Vec<Expr>,
    },
    /// GROUP BY. Output: the keys, then the aggregates. Without keys it always has one row.
    Reduce {
        /// The input.
        input: Box<Plan>,
        /// Group keys over the input's columns.
        keys: Vec<Expr>,
        /// The aggregates.
        aggregates: Vec<Aggregate>,
    },
    /// UNION ALL of inputs with the same column types.
    Union {
        /// At least one input.
        inputs: Vec<Plan>,
    },
}

/// One aggregate of a `Plan::Reduce`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aggregate {
    /// Which aggregate.
    pub function: AggregateFunction,
    /// Its argument over the input's columns; `None` for `count(*)` only.
    pub argument: Option<Expr>,
    /// The result's type, as PostgreSQL has it (`sum(int)` is bigint, `sum(bigint)` numeric, …).
    pub data_type: DataType,
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
}

/// The identity of a plan: BLAKE3 of its canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanId(pub [u8; 32]);

impl fmt::Display for PlanId {
    /// The first 8 bytes in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlanId({self})")
    }
}

impl Plan {
    /// The types of the output's columns.
    pub fn columns(&self) -> Vec<DataType> {
        match self {
            Plan::Get { columns, .. } | Plan::Constant { columns, .. } => columns.clone(),
            Plan::Project { input, outputs, .. } => types_of(outputs, &input.columns()),
            Plan::Join { left, right, .. } => [left.columns(), right.columns()].concat(),
            Plan::Reduce { input, keys, aggregates } => {
                let mut columns = types_of(keys, &input.columns());
                columns.extend(aggregates.iter().map(|aggregate| aggregate.data_type));
                columns
            }
            Plan::Union { inputs } => inputs.first().map(Plan::columns).unwrap_or_default(),
        }
    }

    /// The plan's inputs, left to right.
    pub fn inputs(&self) -> Vec<&Plan> {
        match self {
            Plan::Get { .. } | Plan::Constant { .. } => Vec::new(),
            Plan::Project { input, .. } | Plan::Reduce { input, .. } => vec![input],
            Plan::Join { left, right, .. } => vec![left, right],
            Plan::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The relations that the plan reads, each once, in ascending order.
    pub fn relations(&self) -> Vec<RelationId> {
        let mut found = Vec::new();
        self.collect_relations(&mut found);
        found.sort();
        found.dedup();
        found
    }

    fn collect_relations(&self, found: &mut Vec<RelationId>) {
        if let Plan::Get { relation, .. } = self {
            found.push(*relation);
        }
        self.inputs().into_iter().for_each(|input| input.collect_relations(found));
    }

    /// The plan's identity.
    pub fn id(&self) -> PlanId {
        let bytes = postcard::to_stdvec(&(FORMAT_VERSION, self)).unwrap_or_default();
        PlanId(*blake3::hash(&bytes).as_bytes())
    }

    /// Checks what the types cannot say: columns in range, predicates boolean, keys of equal types.
    ///
    /// # Errors
    /// `InvalidPlan`, a defect of the planner, never the user's fault.
    pub fn check(&self) -> Result<(), EngineError> {
        let wrong = |what: String| Err(EngineError::InvalidPlan(what));
        match self {
            Plan::Get { .. } => {}
            Plan::Constant { rows, columns } => {
                for row in rows {
                    if !row.iter().map(|literal| literal.data_type()).eq(columns.iter().copied()) {
                        return wrong("a constant row does not have its columns' types".to_owned());
                    }
                }
            }
            Plan::Project { input, predicates, outputs } => {
                let columns = input.columns();
                check_exprs(outputs, &columns)?;
                check_exprs(predicates, &columns)?;
                for predicate in predicates {
                    if predicate.data_type(&columns) != Some(DataType::Boolean) {
                        return wrong(format!("predicate {predicate} is not boolean"));
                    }
                }
            }
            Plan::Join { left, right, left_keys, right_keys } => {
                check_exprs(left_keys, &left.columns())?;
                check_exprs(right_keys, &right.columns())?;
                if types_of(left_keys, &left.columns()) != types_of(right_keys, &right.columns()) {
                    return wrong("the two sides of a join have keys of different types".to_owned());
                }
            }
            Plan::Reduce { input, keys, aggregates } => {
                let columns = input.columns();
                check_exprs(keys, &columns)?;
                for aggregate in aggregates {
                    check_exprs(aggregate.argument.as_slice(), &columns)?;
                    if aggregate.argument.is_none() && aggregate.function != AggregateFunction::Count {
                        return wrong(format!("{aggregate} lacks its argument"));
                    }
                }
            }
            Plan::Union { inputs } => {
                let mut columns = inputs.iter().map(Plan::columns);
                let Some(first) = columns.next() else { return wrong("an empty union".to_owned()) };
                if columns.any(|other| other != first) {
                    return wrong("a union of different column types".to_owned());
                }
            }
        }
        self.inputs().into_iter().try_for_each(Plan::check)
    }

    fn fmt_indented(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:indent$}", "", indent = depth * 2)?;
        match self {
            Plan::Get { relation, .. } => writeln!(f, "Get {relation}")?,
            Plan::Constant { rows, .. } => writeln!(f, "Constant {} rows", rows.len())?,
            Plan::Project { predicates, outputs, .. } => {
                write!(f, "Project [{}]", list(outputs, ", "))?;
                if !predicates.is_empty() {
                    write!(f, " where {}", list(predicates, " and "))?;
                }
                writeln!(f)?;
            }
            Plan::Join { left_keys, right_keys, .. } => {
                writeln!(f, "Join [{}] = [{}]", list(left_keys, ", "), list(right_keys, ", "))?;
            }
            Plan::Reduce { keys, aggregates, .. } => {
                let aggregates: Vec<String> = aggregates.iter().map(|a| a.to_string()).collect();
                writeln!(f, "Reduce by [{}] compute [{}]", list(keys, ", "), aggregates.join(", "))?;
            }
            Plan::Union { .. } => writeln!(f, "Union")?,
        }
        self.inputs().into_iter().try_for_each(|input| input.fmt_indented(f, depth + 1))
    }
}

impl fmt::Display for Plan {
    /// One operator a line, inputs indented below: what EXPLAIN shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_indented(f, 0)
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.function {
            AggregateFunction::Count => "count",
            AggregateFunction::Sum => "sum",
            AggregateFunction::Avg => "avg",
            AggregateFunction::Min => "min",
            AggregateFunction::Max => "max",
        };
        match &self.argument {
            Some(argument) => write!(f, "{name}({argument})"),
            None => write!(f, "{name}(*)"),
        }
    }
}

/// The types of expressions over these columns; a column out of range is left to `Plan::check`.
fn types_of(exprs: &[Expr], columns: &[DataType]) -> Vec<DataType> {
    exprs.iter().map(|expr| expr.data_type(columns).unwrap_or(DataType::Boolean)).collect()
}

fn check_exprs(exprs: &[Expr], columns: &[DataType]) -> Result<(), EngineError> {
    for expr in exprs {
        let mut last = None;
        expr.for_each_column(&mut |index| last = last.max(Some(index)));
        if last.is_some_and(|index| index >= columns.len()) {
            return Err(EngineError::InvalidPlan(format!("{expr} reads a column beyond {}", columns.len())));
        }
    }
    Ok(())
}
