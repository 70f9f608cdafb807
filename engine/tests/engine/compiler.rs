//! A small compiler for the tests: DataFusion's own expressions, overflow checked.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, IsNullExpr, Literal as Constant, NotExpr};
use millrace_engine::{
    Compiler, DataError, DataType, EngineError, Expr, Literal, SetCall, SetFunction, SetRows,
};

/// Compiles the functions `up_to` and `all_up_to`, and columns, literals, `add`, `multiply`, `divide`, `greater`, `equal`, AND, NOT, IS NULL.
pub(crate) struct TestCompiler;

impl Compiler for TestCompiler {
    fn compile(&self, expr: &Expr, _input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
        compile(expr)
    }

    fn set_function(&self, call: &SetCall, _: &[DataType]) -> Result<Arc<dyn SetFunction>, EngineError> {
        match call.function.as_str() {
            "up_to" => Ok(Arc::new(UpTo { all: false })),
            "all_up_to" => Ok(Arc::new(UpTo { all: true })),
            other => Err(EngineError::InvalidPlan(format!("no function {other}"))),
        }
    }
}

/// How many rows `up_to` gives for an integer; 3 fails.
pub(crate) fn rows_up_to(value: Option<i32>) -> Result<i32, DataError> {
    match value {
        Some(3) => Err(DataError::new("22000", "three")),
        value => Ok(value.map_or(0, |value| value.rem_euclid(4))),
    }
}

/// `up_to(integer)`: from 1 as far as `rows_up_to` says; `all_up_to(integer)`: as far as the integer.
struct UpTo {
    all: bool,
}

impl SetFunction for UpTo {
    fn open(&self, arguments: Vec<ArrayRef>) -> Box<dyn SetRows> {
        Box::new(OpenUpTo { argument: arguments[0].clone(), is_long: self.all, given: 0, all: 0 })
    }
}

struct OpenUpTo {
    argument: ArrayRef,
    is_long: bool,
    given: i32,
    all: i32,
}

impl SetRows for OpenUpTo {
    fn start(&mut self, row: usize) -> Result<(), DataError> {
        let values = self.argument.as_primitive::<Int32Type>();
        let value = (!values.is_null(row)).then(|| values.value(row));
        let all = if self.is_long { value.unwrap_or(0) } else { rows_up_to(value)? };
        (self.given, self.all) = (0, all);
        Ok(())
    }

    fn give(&mut self, most: usize, columns: &mut [Vec<Literal>]) -> Result<usize, DataError> {
        let step = (self.all - self.given).min(most as i32);
        columns[0].extend((self.given + 1..=self.given + step).map(Literal::Int32));
        self.given += step;
        Ok(step as usize)
    }
}

fn compile(expr: &Expr) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
    Ok(match expr {
        Expr::Column(index) => Arc::new(Column::new(&format!("c{index}"), *index)),
        Expr::Literal(literal) => Arc::new(Constant::new(scalar(literal))),
        Expr::Call { function, arguments, .. } => {
            let operator = match function.as_str() {
                "add" => Operator::Plus,
                "multiply" => Operator::Multiply,
                "divide" => Operator::Divide,
                "greater" => Operator::Gt,
                "equal" => Operator::Eq,
                other => return Err(EngineError::InvalidPlan(format!("no function {other}"))),
            };
            let (left, right) = (compile(&arguments[0])?, compile(&arguments[1])?);
            Arc::new(BinaryExpr::new(left, operator, right).with_fail_on_overflow(true))
        }
        Expr::And(terms) => {
            let mut terms = terms.iter().map(compile);
            let first = terms.next().unwrap()?;
            terms.try_fold(first, |all, term| {
                Ok::<_, EngineError>(Arc::new(BinaryExpr::new(all, Operator::And, term?)) as _)
            })?
        }
        Expr::Not(inner) => Arc::new(NotExpr::new(compile(inner)?)),
        Expr::IsNull(inner) => Arc::new(IsNullExpr::new(compile(inner)?)),
        other => return Err(EngineError::InvalidPlan(format!("the test compiler has no {other}"))),
    })
}

fn scalar(literal: &Literal) -> ScalarValue {
    match literal {
        Literal::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Literal::Int32(value) => ScalarValue::Int32(Some(*value)),
        Literal::Int64(value) => ScalarValue::Int64(Some(*value)),
        Literal::Float64(bits) => ScalarValue::Float64(Some(f64::from_bits(*bits))),
        Literal::Text(value) => ScalarValue::Utf8(Some(value.clone())),
        other => ScalarValue::try_from(&other.data_type().to_arrow()).unwrap(),
    }
}
