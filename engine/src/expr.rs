//! Expressions over the columns of one row: closed, typed, serialisable, versioned.
//!
//! `sql` lowers bound SQL to these; the engine evaluates them through a `Compiler` that `sql`
//! hands over at start. DataFusion's own expressions are neither canonical nor stable between
//! releases, and an operator's identity must outlive an upgrade.

use std::fmt;
use std::sync::Arc;

use datafusion_physical_expr::PhysicalExpr;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::plan::SetCall;
use crate::sets::SetFunction;
use crate::types::{DataType, Literal};

/// A scalar expression. Serialised inside plans and the log: only append variants.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expr {
    /// The input's column at this position, from 0.
    Column(usize),
    /// A constant.
    Literal(Literal),
    /// A function of the function table (arithmetic and comparison are functions, too).
    Call {
        /// The function's name there, e.g. `add` or `date_trunc`.
        function: String,
        /// Raised when the function's answers change.
        version: u32,
        /// The arguments, already of the types that the function takes.
        arguments: Vec<Expr>,
        /// The result's type.
        data_type: DataType,
    },
    /// An explicit or implied cast.
    Cast {
        /// What is cast.
        input: Box<Expr>,
        /// The type it becomes.
        to: DataType,
    },
    /// SQL's three-valued conjunction.
    And(Vec<Expr>),
    /// SQL's three-valued disjunction.
    Or(Vec<Expr>),
    /// SQL's three-valued negation.
    Not(Box<Expr>),
    /// `IS NULL`
    IsNull(Box<Expr>),
    /// `CASE WHEN … THEN … ELSE … END`; branches are tried in order and evaluated only where taken.
    Case {
        /// Condition and result.
        branches: Vec<(Expr, Expr)>,
        /// `ELSE`; NULL where absent.
        otherwise: Option<Box<Expr>>,
        /// The type of all results.
        data_type: DataType,
    },
}

impl Expr {
    /// The type of the expression's value over an input of these column types.
    ///
    /// `None` where a column is out of range: the plan is invalid.
    pub fn data_type(&self, input: &[DataType]) -> Option<DataType> {
        match self {
            Expr::Column(index) => input.get(*index).copied(),
            Expr::Literal(literal) => Some(literal.data_type()),
            Expr::Call { data_type, .. } | Expr::Case { data_type, .. } => Some(*data_type),
            Expr::Cast { to, .. } => Some(*to),
            Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::IsNull(_) => Some(DataType::Boolean),
        }
    }

    /// Calls `visit` with every column position that the expression reads.
    pub fn for_each_column(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Expr::Column(index) => visit(*index),
            Expr::Literal(_) => {}
            Expr::Call { arguments, .. } | Expr::And(arguments) | Expr::Or(arguments) => {
                arguments.iter().for_each(|argument| argument.for_each_column(visit));
            }
            Expr::Cast { input, .. } | Expr::Not(input) | Expr::IsNull(input) => input.for_each_column(visit),
            Expr::Case { branches, otherwise, .. } => {
                for (condition, result) in branches {
                    condition.for_each_column(visit);
                    result.for_each_column(visit);
                }
                otherwise.iter().for_each(|expr| expr.for_each_column(visit));
            }
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Column(index) => write!(f, "#{index}"),
            Expr::Literal(literal) => write!(f, "{literal}"),
            Expr::Call { function, arguments, .. } => write!(f, "{function}({})", list(arguments, ", ")),
            Expr::Cast { input, to } => write!(f, "{input}::{to}"),
            Expr::And(terms) => write!(f, "({})", list(terms, " and ")),
            Expr::Or(terms) => write!(f, "({})", list(terms, " or ")),
            Expr::Not(input) => write!(f, "not({input})"),
            Expr::IsNull(input) => write!(f, "({input} is null)"),
            Expr::Case { branches, otherwise, .. } => {
                f.write_str("case")?;
                for (condition, result) in branches {
                    write!(f, " when {condition} then {result}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
                f.write_str(" end")
            }
        }
    }
}

/// Joins expressions and the like for display.
pub(crate) fn list<T: fmt::Display>(items: &[T], separator: &str) -> String {
    items.iter().map(|item| item.to_string()).collect::<Vec<_>>().join(separator)
}

/// Turns expressions into something that evaluates whole Arrow batches. `sql` implements it over
/// its function table; the engine calls it while it renders a plan, never on a row.
pub trait Compiler: Send + Sync {
    /// Compiles `expr` over rows of these column types (named `c0`, `c1`, …).
    ///
    /// # Errors
    /// `InvalidPlan` where a function is unknown or a type does not fit.
    fn compile(&self, expr: &Expr, input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError>;

    /// The function of a call that gives rows, whose arguments are over rows of these column types.
    ///
    /// # Errors
    /// `InvalidPlan` where it is unknown or a type does not fit.
    fn set_function(&self, call: &SetCall, input: &[DataType]) -> Result<Arc<dyn SetFunction>, EngineError>;
}
