//! `ExprCompiler`: the engine's expressions become DataFusion physical expressions over the
//! function table's kernels.

use std::sync::Arc;

use datafusion::physical_plan::PhysicalExpr;
use millrace_engine::{Compiler, DataType, EngineError, Expr};

/// Compiles the engine's expressions; handed to `Engine::start`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExprCompiler;

impl Compiler for ExprCompiler {
    fn compile(&self, _expr: &Expr, _input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
        unimplemented!()
    }
}
