//! The arguments of a kernel: arrays of one length, and constants, read alike.
//!
//! A constant is an array of one row that is read with stride 0, so that a kernel is one loop for
//! every mixture. NULLs: `nulls()` is the union over all arguments, what strict functions need.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
    UInt32Array,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use millrace_engine::DataError;

/// A kernel's arguments.
pub(crate) struct Inputs {
    values: Vec<Input>,
    rows: usize,
    constant: bool,
}

/// One argument.
pub(crate) struct Input {
    array: ArrayRef,
    stride: usize,
}

impl Inputs {
    /// The arguments over a batch of `rows` rows; where all are constants, one row is computed.
    pub(crate) fn new(values: Vec<ColumnarValue>, rows: usize) -> Result<Inputs> {
        let constant = values.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let values = values
            .into_iter()
            .map(|value| match value {
                ColumnarValue::Array(array) => Ok(Input { array, stride: 1 }),
                ColumnarValue::Scalar(scalar) => Ok(Input { array: scalar.to_array()?, stride: 0 }),
            })
            .collect::<Result<_>>()?;
        Ok(Inputs { values, rows: if constant { 1 } else { rows }, constant })
    }

    /// Columns of values.
    pub(crate) fn of_columns(arrays: Vec<ArrayRef>) -> Inputs {
        let rows = arrays.first().map_or(0, |array| array.len());
        Inputs { values: arrays.into_iter().map(Input::whole).collect(), rows, constant: false }
    }

    /// One column of values as the only argument.
    pub(crate) fn of_column(array: ArrayRef) -> Inputs {
        let rows = array.len();
        Inputs { values: vec![Input::whole(array)], rows, constant: false }
    }

    /// The number of rows to compute.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of arguments.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The argument at this position.
    pub(crate) fn get(&self, index: usize) -> &Input {
        &self.values[index]
    }

    /// The arguments in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Input> {
        self.values.iter()
    }

    /// What the kernel computed, as a constant where all arguments were.
    pub(crate) fn finish(&self, result: ArrayRef) -> Result<ColumnarValue> {
        if self.constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    /// The rows where any argument is NULL; `None` where there are none.
    pub(crate) fn nulls(&self) -> Option<NullBuffer> {
        self.values.iter().fold(None, |nulls, input| {
            let own = match input.stride {
                _ if input.array.null_count() == 0 => None,
                0 => Some(NullBuffer::new_null(self.rows)),
                _ => input.array.nulls().cloned(),
            };
            NullBuffer::union(nulls.as_ref(), own.as_ref())
        })
    }

    /// Applies a strict function to each row.
    pub(crate) fn map1<A, R>(
        &self,
        apply: impl Fn(A::Native) -> std::result::Result<R::Native, DataError>,
    ) -> std::result::Result<PrimitiveArray<R>, DataError>
    where
        A: ArrowPrimitiveType,
        R: ArrowPrimitiveType,
    {
        let values = self.get(0).primitive::<A>();
        self.build(|row| apply(values.get(row)))
    }

    /// Applies a strict function of two arguments to each row.
    pub(crate) fn map2<A, B, R>(
        &self,
        apply: impl Fn(A::Native, B::Native) -> std::result::Result<R::Native, DataError>,
    ) -> std::result::Result<PrimitiveArray<R>, DataError>
    where
        A: ArrowPrimitiveType,
        B: ArrowPrimitiveType,
        R: ArrowPrimitiveType,
    {
        let (left, right) = (self.get(0).primitive::<A>(), self.get(1).primitive::<B>());
        self.build(|row| apply(left.get(row), right.get(row)))
    }

    /// Builds a primitive array by row; rows with a NULL argument are NULL and not computed.
    pub(crate) fn build<R: ArrowPrimitiveType>(
        &self,
        compute: impl Fn(usize) -> std::result::Result<R::Native, DataError>,
    ) -> std::result::Result<PrimitiveArray<R>, DataError> {
        let nulls = self.nulls();
        let mut values = vec![R::Native::default(); self.rows];
        match &nulls {
            None => {
                for (row, value) in values.iter_mut().enumerate() {
                    *value = compute(row)?;
                }
            }
            Some(nulls) => {
                for row in nulls.valid_indices() {
                    values[row] = compute(row)?;
                }
            }
        }
        Ok(PrimitiveArray::new(values.into(), nulls))
    }

    /// Builds a boolean array by row; `compute` is also called for rows that become NULL.
    pub(crate) fn build_boolean(&self, compute: impl Fn(usize) -> bool) -> BooleanArray {
        BooleanArray::new(BooleanBuffer::collect_bool(self.rows, compute), self.nulls())
    }

    /// Builds an array of bytes by row; rows with a NULL argument are NULL and not computed.
    pub(crate) fn build_bytes<B: AsRef<[u8]>>(
        &self,
        compute: impl Fn(usize) -> std::result::Result<B, DataError>,
    ) -> std::result::Result<ArrayRef, DataError> {
        let nulls = self.nulls();
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let array = (0..self.rows)
            .map(|row| if valid(row) { compute(row).map(Some) } else { Ok(None) })
            .collect::<std::result::Result<Vec<Option<B>>, DataError>>()?;
        Ok(Arc::new(array.iter().map(|bytes| bytes.as_ref().map(B::as_ref)).collect::<BinaryArray>()))
    }

    /// Builds a text array by row; rows with a NULL argument are NULL and not computed.
    pub(crate) fn build_text<S: AsRef<str>>(
        &self,
        compute: impl Fn(usize) -> std::result::Result<S, DataError>,
    ) -> std::result::Result<ArrayRef, DataError> {
        let nulls = self.nulls();
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let array = (0..self.rows)
            .map(|row| if valid(row) { compute(row).map(Some) } else { Ok(None) })
            .collect::<std::result::Result<StringArray, DataError>>()?;
        Ok(Arc::new(array))
    }
}

impl Input {
    /// The array; one row where it is a constant.
    pub(crate) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// A column of values.
    pub(crate) fn whole(array: ArrayRef) -> Input {
        Input { array, stride: 1 }
    }

    /// The argument as a column of `rows` values.
    pub(crate) fn spread(&self, rows: usize) -> std::result::Result<Input, ArrowError> {
        if self.stride == 1 {
            return Ok(Input::whole(Arc::clone(&self.array)));
        }
        let indices = UInt32Array::from(vec![0; rows]);
        Ok(Input::whole(take(&self.array, &indices, None)?))
    }

    /// Whether the value of a row is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row * self.stride)
    }

    /// The values of a primitive type.
    pub(crate) fn primitive<T: ArrowPrimitiveType>(&self) -> Primitive<'_, T> {
        Primitive { values: self.array.as_primitive::<T>().values(), stride: self.stride }
    }

    /// The value of a row of text.
    pub(crate) fn text<'a>(&'a self) -> impl Fn(usize) -> &'a str {
        let array = self.array.as_string::<i32>();
        move |row| array.value(row * self.stride)
    }

    /// The value of a row of bytes, as a bytea, a uuid, a jsonb or an array has them.
    pub(crate) fn bytes<'a>(&'a self) -> Box<dyn Fn(usize) -> &'a [u8] + 'a> {
        if let Some(uuids) = self.array.as_fixed_size_binary_opt() {
            return Box::new(move |row| uuids.value(row * self.stride));
        }
        if let Some(values) = self.array.as_binary_view_opt() {
            return Box::new(move |row| values.value(row * self.stride));
        }
        match self.array.as_binary_opt::<i64>() {
            Some(values) => Box::new(move |row| values.value(row * self.stride)),
            None => {
                let array = self.array.as_binary::<i32>();
                Box::new(move |row| array.value(row * self.stride))
            }
        }
    }

    /// What is stored of a numeric of any number of digits.
    pub(crate) fn stored_numeric<'a>(&'a self) -> impl Fn(usize) -> &'a str {
        let array = self.array.as_string_view();
        move |row| array.value(row * self.stride)
    }

    /// The value of a boolean row.
    pub(crate) fn boolean(&self) -> impl Fn(usize) -> bool {
        let array = self.array.as_boolean();
        move |row| array.value(row * self.stride)
    }
}

/// The values of a primitive argument.
pub(crate) struct Primitive<'a, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    stride: usize,
}

impl<T: ArrowPrimitiveType> Primitive<'_, T> {
    /// The value of a row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> T::Native {
        self.values[row * self.stride]
    }
}
