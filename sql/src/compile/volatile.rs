//! Calls of volatile functions: each row gets a value of its own.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::PhysicalExpr;
use millrace_engine::{DataError, DataType, RelationId};

use super::literal;
use crate::query::volatile::{CURRENT, LAST, NEXT, SEQUENCE_IS_CALLED, SEQUENCE_VALUE, SET, id_of};
use crate::sequence::{Position, Sequences};
use crate::system::id_of_oid;

/// A call by one of the names of `query::volatile`.
#[derive(Debug)]
pub(super) struct VolatileCall {
    function: String,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    result: DataType,
    sequences: Option<Arc<dyn Sequences>>,
}

impl VolatileCall {
    pub(super) fn new(
        function: &str,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        result: DataType,
        sequences: Option<&Arc<dyn Sequences>>,
    ) -> VolatileCall {
        VolatileCall { function: function.to_owned(), arguments, result, sequences: sequences.cloned() }
    }

    fn values(&self, batch: &RecordBatch) -> Result<ArrayRef, DataError> {
        let rows = batch.num_rows();
        match self.function.as_str() {
            "random" => {
                Ok(Arc::new(Float64Array::from_iter_values((0..rows).map(|_| rand::random::<f64>()))))
            }
            "gen_random_uuid" => uuids(rows),
            _ => self.of_sequences(batch),
        }
    }

    fn of_sequences(&self, batch: &RecordBatch) -> Result<ArrayRef, DataError> {
        let rows = batch.num_rows();
        let sequences = self
            .sequences
            .as_ref()
            .ok_or_else(|| DataError::new("0A000", format!("{}() is not supported here", self.function)))?;
        let same = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
        Ok(match self.function.as_str() {
            NEXT => match self.named(batch)? {
                Named::One(sequence) => Arc::new(Int64Array::from(sequences.next(sequence, rows)?)),
                Named::Each(each) => each_value(each, |sequence| Ok(sequences.next(sequence, 1)?.pop()))?,
            },
            CURRENT => match self.named(batch)? {
                Named::One(sequence) => same(sequences.current(sequence)?),
                Named::Each(each) => each_value(each, |sequence| sequences.current(sequence).map(Some))?,
            },
            LAST => same(sequences.last()?),
            SEQUENCE_VALUE => same(sequences.position(self.sequence(batch)?)?.value),
            SEQUENCE_IS_CALLED => {
                let is_called = sequences.position(self.sequence(batch)?)?.is_called;
                Arc::new(BooleanArray::from(vec![is_called; rows]))
            }
            SET => self.set(batch, sequences.as_ref())?,
            other => return Err(DataError::new("XX000", format!("there is no function {other}"))),
        })
    }

    /// What the first argument names: a sequence by its id, or, row by row, by its oid.
    fn named(&self, batch: &RecordBatch) -> Result<Named, DataError> {
        let broken = || DataError::new("XX000", format!("{} of no sequence", self.function));
        let argument = self.arguments.first().ok_or_else(broken)?;
        match argument.evaluate(batch).map_err(|error| DataError::from_datafusion(&error))? {
            ColumnarValue::Scalar(scalar) => {
                literal(&scalar).as_ref().and_then(id_of).map(Named::One).ok_or_else(broken)
            }
            ColumnarValue::Array(oids) => {
                let oids = oids.as_any().downcast_ref::<Int64Array>().ok_or_else(broken)?;
                Ok(Named::Each(oids.iter().map(|oid| oid.map(id_of_oid)).collect()))
            }
        }
    }

    /// The one sequence of a call that takes no other.
    fn sequence(&self, batch: &RecordBatch) -> Result<RelationId, DataError> {
        match self.named(batch)? {
            Named::One(sequence) => Ok(sequence),
            Named::Each(each) => {
                let first = each.first().copied().flatten();
                first.filter(|first| each.iter().all(|other| *other == Some(*first))).ok_or_else(|| {
                    DataError::new(
                        "0A000",
                        format!("{}() of several sequences is not supported", self.function),
                    )
                })
            }
        }
    }

    /// setval: row by row, the last one stays. NULL moves nothing.
    fn set(&self, batch: &RecordBatch, sequences: &dyn Sequences) -> Result<ArrayRef, DataError> {
        let sequence = self.sequence(batch)?;
        let column = |at: usize| {
            let value = self.arguments[at].evaluate(batch)?.into_array(batch.num_rows())?;
            (0..batch.num_rows())
                .map(|row| ScalarValue::try_from_array(&value, row))
                .collect::<Result<Vec<_>>>()
        };
        let from_datafusion = |error| DataError::from_datafusion(&error);
        let (values, called) = (column(1).map_err(from_datafusion)?, column(2).map_err(from_datafusion)?);
        let set = |(value, called): (ScalarValue, ScalarValue)| match (value, called) {
            (ScalarValue::Int64(Some(value)), ScalarValue::Boolean(Some(is_called))) => {
                sequences.set(sequence, Position { value, is_called }).map(|()| Some(value))
            }
            _ => Ok(None),
        };
        Ok(Arc::new(values.into_iter().zip(called).map(set).collect::<Result<Int64Array, _>>()?))
    }
}

/// What a call is about.
enum Named {
    One(RelationId),
    Each(Vec<Option<RelationId>>),
}

/// A value for each row that names a sequence.
fn each_value(
    each: Vec<Option<RelationId>>,
    mut value: impl FnMut(RelationId) -> Result<Option<i64>, DataError>,
) -> Result<ArrayRef, DataError> {
    let values = each.into_iter().map(|sequence| sequence.map_or(Ok(None), &mut value));
    Ok(Arc::new(values.collect::<Result<Int64Array, DataError>>()?))
}

/// Random UUIDs, version 4 (RFC 9562).
fn uuids(rows: usize) -> Result<ArrayRef, DataError> {
    let uuid = |_| {
        let mut bytes: [u8; 16] = rand::random();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Some(bytes)
    };
    let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size((0..rows).map(uuid), 16);
    Ok(Arc::new(array.map_err(|error| DataError::new("XX000", error.to_string()))?))
}

impl PhysicalExpr for VolatileCall {
    fn data_type(&self, _: &Schema) -> Result<ArrowType> {
        Ok(self.result.to_arrow())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn is_volatile_node(&self) -> bool {
        true
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let values = self.values(batch).map_err(DataFusionError::from)?;
        Ok(ColumnarValue::Array(values))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.arguments.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let (function, result, sequences) = (self.function.clone(), self.result, self.sequences.clone());
        Ok(Arc::new(VolatileCall { function, arguments, result, sequences }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Two calls are never the same value, but each is the same expression as itself.
impl PartialEq for VolatileCall {
    fn eq(&self, other: &VolatileCall) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for VolatileCall {}

impl Hash for VolatileCall {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.function, self.result, &self.arguments).hash(state);
    }
}

impl fmt::Display for VolatileCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function, super::list(&self.arguments, ", "))
    }
}
