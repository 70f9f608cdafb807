//! Functions that give rows: what they give for the arguments of a row.
//!
//! All but `generate_series` make their rows at once, since these are parts of what they are given. The binder has
//! chosen the types (query/set_function.rs).

mod json; // the elements and fields of JSON
mod lists; // of arrays and texts
mod record; // the objects of json_to_record
mod series; // generate_series

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use millrace_engine::{DataError, DataType, Literal, SetCall, SetFunction, SetRows};

use super::VERSION;
use super::inputs::Inputs;

/// Makes the rows of a call: its name, its arguments, the row that they stand in.
type MakeRows = fn(&str, &Inputs, usize) -> Result<Vec<Vec<Literal>>, DataError>;

/// The functions that make their rows at once.
const LISTS: &[(&str, MakeRows)] = &[
    ("generate_subscripts", lists::subscripts),
    ("json_array_elements", json::parts),
    ("json_array_elements_text", json::parts),
    ("json_each", json::parts),
    ("json_each_text", json::parts),
    ("json_object_keys", json::parts),
    ("jsonb_array_elements", json::parts),
    ("jsonb_array_elements_text", json::parts),
    ("jsonb_each", json::parts),
    ("jsonb_each_text", json::parts),
    ("jsonb_object_keys", json::parts),
    ("json_to_record", record::record),
    ("json_to_recordset", record::records),
    ("jsonb_to_record", record::stored_record),
    ("jsonb_to_recordset", record::stored_records),
    (ONE_ROW, record::one_row),
    ("regexp_matches", lists::regexp_matches),
    ("regexp_split_to_table", lists::regexp_split),
    ("string_to_table", lists::split_text),
    ("unnest", lists::unnest),
];

/// Gives one row of its argument: what a function that gives no rows is in ROWS FROM. SQL cannot call it.
pub(crate) const ONE_ROW: &str = "one row";

const SERIES: &str = "generate_series";

/// Whether a function gives rows.
pub(crate) fn gives_rows(name: &str) -> bool {
    name == SERIES || LISTS.iter().any(|(known, _)| *known == name)
}

/// The function of a call with arguments of these types; `None` where there is none.
pub(crate) fn set_function(call: &SetCall, arguments: &[DataType]) -> Option<Arc<dyn SetFunction>> {
    if call.version != VERSION {
        return None;
    }
    if call.function == SERIES {
        return Some(Arc::new(series::Series::of(arguments)?));
    }
    let (name, make) = LISTS.iter().find(|(name, _)| *name == call.function)?;
    Some(Arc::new(List { name, make: *make }))
}

/// A function that makes its rows at once.
struct List {
    name: &'static str,
    make: MakeRows,
}

impl SetFunction for List {
    fn open(&self, arguments: Vec<ArrayRef>) -> Box<dyn SetRows> {
        let inputs = Inputs::of_columns(arguments);
        Box::new(OpenList { name: self.name, make: self.make, inputs, rows: Vec::new().into_iter() })
    }
}

struct OpenList {
    name: &'static str,
    make: MakeRows,
    inputs: Inputs,
    rows: std::vec::IntoIter<Vec<Literal>>,
}

impl SetRows for OpenList {
    fn start(&mut self, row: usize) -> Result<(), DataError> {
        self.rows = (self.make)(self.name, &self.inputs, row)?.into_iter();
        Ok(())
    }

    fn give(&mut self, most: usize, columns: &mut [Vec<Literal>]) -> Result<usize, DataError> {
        let mut given = 0;
        for row in self.rows.by_ref().take(most) {
            given += 1;
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        Ok(given)
    }
}

/// Whether an argument of a row is NULL.
fn has_null(inputs: &Inputs, row: usize) -> bool {
    inputs.iter().any(|input| input.is_null(row))
}
