//! `ExprCompiler`: the engine's expressions become DataFusion physical expressions over the
//! function table's kernels.
//!
//! Calls and casts are ours throughout. What is evaluated lazily in SQL (AND, OR, CASE, coalesce)
//! first tries the whole batch; where that fails, only the rows that need the value.

mod logic; // AND, OR, CASE, coalesce
mod volatile; // random(), nextval() and their kin

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, new_empty_array};
use datafusion::arrow::datatypes::{DataType as ArrowType, IntervalMonthDayNano, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, IsNullExpr, Literal as PhysicalLiteral, NotExpr};
use datafusion::physical_plan::PhysicalExpr;
use millrace_engine::{
    Array, Compiler, DataType, EngineError, Expr, Literal, MOMENT_ZONE, SetCall, SetFunction,
};

use crate::functions::{self, Inputs, Kernel};
use crate::query::volatile::VOLATILE;
use crate::sequence::Sequences;
use crate::text_form::Interval;
use logic::{Case, Coalesce, Junction};
use volatile::VolatileCall;

/// Compiles the engine's expressions; handed to `Engine::start`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExprCompiler;

impl Compiler for ExprCompiler {
    fn compile(&self, expr: &Expr, input: &[DataType]) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
        compile(expr, input, None)
    }

    fn set_function(&self, call: &SetCall, input: &[DataType]) -> Result<Arc<dyn SetFunction>, EngineError> {
        compile_set(call, input)
    }
}

/// The function of a call that gives rows, whose arguments are over rows of these column types.
pub(crate) fn compile_set(call: &SetCall, input: &[DataType]) -> Result<Arc<dyn SetFunction>, EngineError> {
    let types =
        call.arguments.iter().map(|argument| type_of(argument, input)).collect::<Result<Vec<_>, _>>()?;
    functions::set_function(call, &types).ok_or_else(|| {
        EngineError::InvalidPlan(format!("{call}: no function of this name and these types gives rows"))
    })
}

/// Who gives values of sequences, if anybody does.
type Giver<'a> = Option<&'a Arc<dyn Sequences>>;

/// Compiles an expression of a statement that may draw from sequences.
pub(crate) fn compile_drawing(
    expr: &Expr,
    input: &[DataType],
    sequences: Option<&Arc<dyn Sequences>>,
) -> Result<Arc<dyn PhysicalExpr>, EngineError> {
    compile(expr, input, sequences)
}

type Compiled = Result<Arc<dyn PhysicalExpr>, EngineError>;

fn invalid(expr: &Expr, why: &str) -> EngineError {
    EngineError::InvalidPlan(format!("{expr}: {why}"))
}

fn compile_all(
    exprs: &[Expr],
    input: &[DataType],
    giver: Giver,
) -> Result<Vec<Arc<dyn PhysicalExpr>>, EngineError> {
    exprs.iter().map(|expr| compile(expr, input, giver)).collect()
}

fn type_of(expr: &Expr, input: &[DataType]) -> Result<DataType, EngineError> {
    expr.data_type(input).ok_or_else(|| invalid(expr, "reads a column that does not exist"))
}

fn compile(expr: &Expr, input: &[DataType], giver: Giver) -> Compiled {
    Ok(match expr {
        Expr::Column(index) if *index < input.len() => Arc::new(Column::new(&format!("c{index}"), *index)),
        Expr::Column(_) => return Err(invalid(expr, "no such column")),
        Expr::Literal(literal) => Arc::new(PhysicalLiteral::new(scalar(literal))),
        Expr::Call { function, version, arguments, data_type } => {
            return compile_call(expr, function, *version, arguments, *data_type, input, giver);
        }
        Expr::Cast { input: inner, to } => {
            let from = type_of(inner, input)?;
            Arc::new(CastExpr { input: compile(inner, input, giver)?, from, to: *to })
        }
        Expr::And(terms) => Arc::new(Junction::and(compile_all(terms, input, giver)?)),
        Expr::Or(terms) => Arc::new(Junction::or(compile_all(terms, input, giver)?)),
        Expr::Not(inner) => Arc::new(NotExpr::new(compile(inner, input, giver)?)),
        Expr::IsNull(inner) => Arc::new(IsNullExpr::new(compile(inner, input, giver)?)),
        Expr::Case { branches, otherwise, data_type } => {
            let branches = branches
                .iter()
                .map(|(condition, result)| {
                    Ok((compile(condition, input, giver)?, compile(result, input, giver)?))
                })
                .collect::<Result<_, EngineError>>()?;
            let otherwise = match otherwise {
                Some(otherwise) => compile(otherwise, input, giver)?,
                None => Arc::new(PhysicalLiteral::new(scalar(&Literal::Null(*data_type)))),
            };
            Arc::new(Case::new(branches, otherwise, data_type.to_arrow()))
        }
    })
}

fn compile_call(
    expr: &Expr,
    function: &str,
    version: u32,
    arguments: &[Expr],
    result: DataType,
    input: &[DataType],
    giver: Giver,
) -> Compiled {
    if version != functions::VERSION {
        return Err(invalid(expr, "is of another version of the function"));
    }
    let compiled = compile_all(arguments, input, giver)?;
    if VOLATILE.contains(&function) {
        return Ok(Arc::new(VolatileCall::new(function, compiled, result, giver)));
    }
    if function == "coalesce" {
        return Ok(Arc::new(Coalesce::new(compiled, result.to_arrow())));
    }
    let types = arguments.iter().map(|argument| type_of(argument, input)).collect::<Result<Vec<_>, _>>()?;
    let kernel = functions::kernel(function, &types)
        .ok_or_else(|| invalid(expr, "no function of this name and these types"))?;
    Ok(Arc::new(Call { function: function.to_owned(), kernel, arguments: compiled, result }))
}

/// A literal as Arrow's value of one row.
pub(crate) fn scalar(literal: &Literal) -> ScalarValue {
    match literal {
        Literal::Null(data_type) => null(*data_type),
        Literal::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Literal::Int32(value) => ScalarValue::Int32(Some(*value)),
        Literal::Int64(value) => ScalarValue::Int64(Some(*value)),
        Literal::Float64(bits) => ScalarValue::Float64(Some(f64::from_bits(*bits))),
        Literal::Text(value) | Literal::Json(value) => ScalarValue::Utf8(Some(value.clone())),
        Literal::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Literal::Numeric { value, precision, scale } => {
            ScalarValue::Decimal128(Some(*value), *precision, *scale as i8)
        }
        Literal::Date(days) => ScalarValue::Date32(Some(*days)),
        // The time is within Arrow's nanoseconds: `Interval` checked it.
        Literal::Interval { months, days, micros } => ScalarValue::IntervalMonthDayNano(Some(
            IntervalMonthDayNano::new(*months, *days, micros.saturating_mul(1_000)),
        )),
        Literal::Int16(value) => ScalarValue::Int16(Some(*value)),
        Literal::Float32(bits) => ScalarValue::Float32(Some(f32::from_bits(*bits))),
        Literal::Uuid(bytes) => ScalarValue::FixedSizeBinary(16, Some(bytes.to_vec())),
        Literal::Bytea(bytes) => ScalarValue::Binary(Some(bytes.clone())),
        Literal::Time(micros) => ScalarValue::Time64Microsecond(Some(*micros)),
        Literal::Jsonb(bytes) => ScalarValue::LargeBinary(Some(bytes.clone())),
        Literal::Array { bytes, .. } => ScalarValue::BinaryView(Some(bytes.clone())),
        Literal::Decimal(stored) => ScalarValue::Utf8View(Some(stored.clone())),
        Literal::TimestampTz(micros) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some(MOMENT_ZONE.into()))
        }
    }
}

fn null(data_type: DataType) -> ScalarValue {
    match data_type {
        DataType::Boolean => ScalarValue::Boolean(None),
        DataType::Int32 => ScalarValue::Int32(None),
        DataType::Int64 => ScalarValue::Int64(None),
        DataType::Float64 => ScalarValue::Float64(None),
        DataType::Text | DataType::Char | DataType::Json => ScalarValue::Utf8(None),
        DataType::Jsonb => ScalarValue::LargeBinary(None),
        DataType::Array(_) => ScalarValue::BinaryView(None),
        DataType::Decimal => ScalarValue::Utf8View(None),
        DataType::Limited(_) => null(data_type.stored()),
        DataType::Timestamp => ScalarValue::TimestampMicrosecond(None, None),
        DataType::Numeric { precision, scale } => ScalarValue::Decimal128(None, precision, scale as i8),
        DataType::Date => ScalarValue::Date32(None),
        DataType::Interval => ScalarValue::IntervalMonthDayNano(None),
        DataType::Int16 => ScalarValue::Int16(None),
        DataType::Float32 => ScalarValue::Float32(None),
        DataType::Uuid => ScalarValue::FixedSizeBinary(16, None),
        DataType::Bytea => ScalarValue::Binary(None),
        DataType::Time => ScalarValue::Time64Microsecond(None),
        DataType::TimestampTz => ScalarValue::TimestampMicrosecond(None, Some(MOMENT_ZONE.into())),
    }
}

/// The literal of an Arrow value; `None` where the engine has no such type.
pub(crate) fn literal(value: &ScalarValue) -> Option<Literal> {
    Some(match value {
        ScalarValue::Boolean(Some(value)) => Literal::Boolean(*value),
        ScalarValue::Int32(Some(value)) => Literal::Int32(*value),
        ScalarValue::Int64(Some(value)) => Literal::Int64(*value),
        ScalarValue::Float64(Some(value)) => Literal::Float64(value.to_bits()),
        ScalarValue::Utf8(Some(value)) => Literal::Text(value.clone()),
        ScalarValue::TimestampMicrosecond(Some(micros), None) => Literal::Timestamp(*micros),
        ScalarValue::Decimal128(Some(value), precision, scale) => {
            Literal::Numeric { value: *value, precision: *precision, scale: u8::try_from(*scale).ok()? }
        }
        ScalarValue::Date32(Some(days)) => Literal::Date(*days),
        ScalarValue::IntervalMonthDayNano(Some(value)) => Interval::from_arrow(*value).literal(),
        ScalarValue::FixedSizeBinary(16, Some(bytes)) => Literal::Uuid(bytes.as_slice().try_into().ok()?),
        ScalarValue::Binary(Some(bytes)) => Literal::Bytea(bytes.clone()),
        ScalarValue::Time64Microsecond(Some(micros)) => Literal::Time(*micros),
        ScalarValue::LargeBinary(Some(bytes)) => Literal::Jsonb(bytes.clone()),
        ScalarValue::Utf8View(Some(stored)) => Literal::Decimal(stored.clone()),
        ScalarValue::BinaryView(Some(bytes)) => {
            Literal::Array { element: Array::element_of(bytes)?, bytes: bytes.clone() }
        }
        ScalarValue::Int16(Some(value)) => Literal::Int16(*value),
        ScalarValue::Float32(Some(value)) => Literal::Float32(value.to_bits()),
        ScalarValue::TimestampMicrosecond(Some(micros), Some(_)) => Literal::TimestampTz(*micros),
        other if other.is_null() => Literal::Null(DataType::from_arrow(&other.data_type())?),
        _ => return None,
    })
}

/// The value of an expression without columns.
pub(crate) fn evaluate_constant(expr: &Expr) -> Result<Literal, millrace_engine::DataError> {
    evaluate_drawing(expr, None)
}

/// The same of a statement that may draw from sequences.
pub(crate) fn evaluate_drawing(
    expr: &Expr,
    sequences: Option<&Arc<dyn Sequences>>,
) -> Result<Literal, millrace_engine::DataError> {
    let defect = |what: String| millrace_engine::DataError::new("XX000", what);
    let compiled = compile(expr, &[], sequences).map_err(|error| defect(error.to_string()))?;
    let batch = millrace_engine::batch_of(&[], Vec::new(), 1).map_err(|error| defect(error.to_string()))?;
    let from_datafusion = |error| millrace_engine::DataError::from_datafusion(&error);
    let value = compiled.evaluate(&batch).map_err(from_datafusion)?;
    let value = match value {
        ColumnarValue::Scalar(scalar) => scalar,
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0).map_err(from_datafusion)?,
    };
    literal(&value).ok_or_else(|| defect(format!("{expr} has no literal")))
}

/// The value for no rows: constants, which may fail, are not computed for nobody.
fn of_no_rows(data_type: DataType) -> ColumnarValue {
    ColumnarValue::Array(new_empty_array(&data_type.to_arrow()))
}

/// A call of a function of the table.
#[derive(Debug)]
struct Call {
    function: String,
    kernel: Kernel,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    result: DataType,
}

impl PhysicalExpr for Call {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(self.result.to_arrow())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if batch.num_rows() == 0 {
            return Ok(of_no_rows(self.result));
        }
        let arguments =
            self.arguments.iter().map(|argument| argument.evaluate(batch)).collect::<Result<_>>()?;
        let inputs = Inputs::new(arguments, batch.num_rows())?;
        inputs.finish((self.kernel)(&inputs, self.result)?)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.arguments.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let (function, kernel, result) = (self.function.clone(), self.kernel, self.result);
        Ok(Arc::new(Call { function, kernel, arguments, result }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// The kernel follows from the name and the arguments.
impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.function == other.function && self.result == other.result && self.arguments == other.arguments
    }
}

impl Eq for Call {}

impl Hash for Call {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.function, self.result, &self.arguments).hash(state);
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function, list(&self.arguments, ", "))
    }
}

/// Expressions for display.
fn list(exprs: &[Arc<dyn PhysicalExpr>], separator: &str) -> String {
    exprs.iter().map(|expr| expr.to_string()).collect::<Vec<_>>().join(separator)
}

/// A cast of ours.
#[derive(Debug, Eq)]
struct CastExpr {
    input: Arc<dyn PhysicalExpr>,
    from: DataType,
    to: DataType,
}

impl PartialEq for CastExpr {
    fn eq(&self, other: &CastExpr) -> bool {
        self.input.eq(&other.input) && (self.from, self.to) == (other.from, other.to)
    }
}

impl Hash for CastExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.input, self.from, self.to).hash(state);
    }
}

impl PhysicalExpr for CastExpr {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(self.to.to_arrow())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if batch.num_rows() == 0 {
            return Ok(of_no_rows(self.to));
        }
        let inputs = Inputs::new(vec![self.input.evaluate(batch)?], batch.num_rows())?;
        inputs.finish(functions::cast(&inputs, self.from, self.to)?)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let (from, to) = (self.from, self.to);
        Ok(Arc::new(CastExpr { input: children.swap_remove(0), from, to }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CastExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.input, self.to)
    }
}
