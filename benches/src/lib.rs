//! What several benches share: the CPU clock, medians, plans without SQL.

pub mod following; // one view, many who follow it

use std::sync::Arc;
use std::time::Duration;

use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, IsNotNullExpr};
use millrace_engine::{Compiler, DataType, EngineError, Expr, SetCall, SetFunction};

/// The CPU time of this process so far, in steps of 10 ms: less noisy than the clock where others work, too.
///
/// # Panics
/// Where there is no `/proc`: benches are run on Linux.
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let times = behind_name.split_whitespace().skip(11).take(2);
    Duration::from_millis(times.filter_map(|time| time.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// The middle one of some values, the upper of two.
///
/// # Panics
/// Of no values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Compiles what plans that are written by hand have: columns, and that a join's key is not NULL.
#[derive(Debug)]
pub struct Columns;

impl Compiler for Columns {
    fn compile(&self, expr: &Expr, _input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
        match expr {
            Expr::Column(index) => Ok(Arc::new(Column::new(&format!("c{index}"), *index))),
            Expr::Not(inner) => not_null(inner),
            other => Err(EngineError::InvalidPlan(format!("{other} is not a column"))),
        }
    }

    fn set_function(&self, call: &SetCall, _: &[DataType]) -> Result<Arc<dyn SetFunction>, EngineError> {
        Err(EngineError::InvalidPlan(format!("{call} gives rows")))
    }
}

fn not_null(expr: &Expr) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
    match expr {
        Expr::IsNull(column) => Ok(Arc::new(IsNotNullExpr::new(Columns.compile(column, &[])?))),
        other => Err(EngineError::InvalidPlan(format!("{other} is not a column"))),
    }
}
