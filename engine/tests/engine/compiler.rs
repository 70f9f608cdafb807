//! A small compiler for the tests: DataFusion's own expressions, overflow checked.

use std::sync::Arc;

use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, IsNullExpr, Literal as Constant, NotExpr};
use millrace_engine::{Compiler, DataType, EngineError, Expr, Literal};

/// Compiles columns, literals, `add`, `multiply`, `divide`, `greater`, `equal`, AND, NOT, IS NULL.
pub(crate) struct TestCompiler;

impl Compiler for TestCompiler {
    fn compile(&self, expr: &Expr, _input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
        compile(expr)
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
