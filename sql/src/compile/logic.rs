//! AND, OR, CASE and coalesce: evaluated from left to right, and only where needed.
//!
//! A term is first tried on the whole batch, which is fastest and nearly always right; where it
//! fails, it is evaluated again on the rows that need it, so that `x <> 0 AND 1 / x > 2` never
//! divides by zero. What still fails is the user's error.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{and_kleene, is_not_null, or_kleene};
use datafusion::arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::PhysicalExpr;

use super::list;

type Exprs = Vec<Arc<dyn PhysicalExpr>>;

/// Evaluates `expr` such that the rows of `needed` are right; the others may be anything.
fn evaluate_where(
    expr: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    needed: &BooleanBuffer,
) -> Result<ArrayRef> {
    let rows = batch.num_rows();
    match expr.evaluate(batch) {
        Ok(value) => value.into_array(rows),
        Err(_) if needed.count_set_bits() == 0 => {
            Ok(new_null_array(&expr.data_type(batch.schema_ref())?, rows))
        }
        Err(error) if needed.count_set_bits() == rows => Err(error),
        Err(_) => {
            let selection = BooleanArray::new(needed.clone(), None);
            expr.evaluate_selection(batch, &selection)?.into_array(rows)
        }
    }
}

/// The rows where a condition is true (not false, not NULL).
fn truths(condition: &BooleanArray) -> BooleanBuffer {
    match condition.nulls() {
        None => condition.values().clone(),
        Some(nulls) => condition.values() & nulls.inner(),
    }
}

/// AND or OR of any number of terms.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Junction {
    terms: Exprs,
    /// The value that settles a row: false for AND, true for OR.
    settles: bool,
}

impl Junction {
    pub(super) fn and(terms: Exprs) -> Junction {
        Junction { terms, settles: false }
    }

    pub(super) fn or(terms: Exprs) -> Junction {
        Junction { terms, settles: true }
    }

    /// The rows that a further term can still change.
    fn open(&self, known: &BooleanArray) -> BooleanBuffer {
        let settled = BooleanBuffer::collect_bool(known.len(), |row| {
            known.is_valid(row) && known.value(row) == self.settles
        });
        !&settled
    }
}

impl PhysicalExpr for Junction {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(ArrowType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let neutral = BooleanBuffer::collect_bool(rows, |_| !self.settles);
        let mut known = BooleanArray::new(neutral, None);
        for term in &self.terms {
            let value = evaluate_where(term, batch, &self.open(&known))?;
            let combine = if self.settles { or_kleene } else { and_kleene };
            known = combine(&known, value.as_boolean())?;
        }
        Ok(ColumnarValue::Array(Arc::new(known)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.terms.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, terms: Exprs) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Junction { terms, settles: self.settles }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Junction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", list(&self.terms, if self.settles { " or " } else { " and " }))
    }
}

/// `CASE WHEN … THEN … ELSE … END`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Case {
    /// Condition, result, condition, result, …, and the result of ELSE.
    parts: Exprs,
    result: ArrowType,
}

impl Case {
    pub(super) fn new(
        branches: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
        otherwise: Arc<dyn PhysicalExpr>,
        result: ArrowType,
    ) -> Case {
        let mut parts: Exprs =
            branches.into_iter().flat_map(|(condition, result)| [condition, result]).collect();
        parts.push(otherwise);
        Case { parts, result }
    }
}

impl PhysicalExpr for Case {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(self.result.clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let mut open = BooleanBuffer::new_set(rows);
        let mut value = new_null_array(&self.result, rows);
        for part in self.parts.chunks(2) {
            let (taken, result) = match part {
                [condition, result] => {
                    let condition = evaluate_where(condition, batch, &open)?;
                    (&open & &truths(condition.as_boolean()), result)
                }
                [otherwise] => (open.clone(), otherwise),
                _ => continue,
            };
            if taken.count_set_bits() > 0 {
                let result = evaluate_where(result, batch, &taken)?;
                value = zip(&BooleanArray::new(taken.clone(), None), &result, &value)?;
                open = &open & &!&taken;
            }
        }
        Ok(ColumnarValue::Array(value))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.parts.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, parts: Exprs) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Case { parts, result: self.result.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case({})", list(&self.parts, ", "))
    }
}

/// `coalesce(a, b, …)`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Coalesce {
    arguments: Exprs,
    result: ArrowType,
}

impl Coalesce {
    pub(super) fn new(arguments: Exprs, result: ArrowType) -> Coalesce {
        Coalesce { arguments, result }
    }
}

impl PhysicalExpr for Coalesce {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(self.result.clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let mut value = new_null_array(&self.result, rows);
        for argument in &self.arguments {
            let found = is_not_null(&value)?;
            let open = !found.values();
            if open.count_set_bits() == 0 {
                break;
            }
            let next = evaluate_where(argument, batch, &open)?;
            value = zip(&found, &value, &next)?;
        }
        Ok(ColumnarValue::Array(value))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.arguments.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, arguments: Exprs) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Coalesce { arguments, result: self.result.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Coalesce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coalesce({})", list(&self.arguments, ", "))
    }
}
