//! Rows of system relations, by the names of their columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, new_null_array,
};
use millrace_engine::DataType;
use millrace_sql::{Column, SystemRelation};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Boolean(bool),
    Number(i64),
    Text(String),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Boolean(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Number(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Cell {
        Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Cell {
        Cell::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Into::into)
    }
}

/// The cells of one row.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::session::system::cells::Cell::from($cell)),*] };
}
pub(super) use row;

/// Rows of some columns of a relation; the others are NULL.
pub(super) struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    /// What the columns are that are the same in each row.
    constants: Vec<(&'static str, Cell)>,
}

impl Table {
    pub(super) fn new(names: &[&'static str], rows: Vec<Vec<Cell>>) -> Table {
        Table { names: names.to_vec(), rows, constants: Vec::new() }
    }

    /// No rows.
    pub(super) fn vacant() -> Table {
        Table::new(&[], Vec::new())
    }

    /// The same with columns that are the same in each row.
    pub(super) fn with<T: Into<Cell> + Copy>(mut self, names: &[&'static str], value: T) -> Table {
        self.constants.extend(names.iter().map(|name| (*name, value.into())));
        self
    }

    /// The columns of the relation.
    pub(super) fn columns(&self, relation: SystemRelation) -> Vec<ArrayRef> {
        let is_named = |name: &str| relation.columns().iter().any(|column| column.name == name);
        let constants = self.constants.iter().map(|(name, _)| name);
        debug_assert!(self.names.iter().chain(constants).all(|name| is_named(name)), "{relation:?}");
        relation.columns().iter().map(|column| self.column(column)).collect()
    }

    fn column(&self, column: &Column) -> ArrayRef {
        let own = self.names.iter().position(|name| *name == column.name);
        let constant = self.constants.iter().find(|(name, _)| *name == column.name);
        let cell = |row: &Vec<Cell>| match (own, constant) {
            (Some(at), _) => row.get(at).cloned().unwrap_or(Cell::Null),
            (None, Some((_, constant))) => constant.clone(),
            (None, None) => Cell::Null,
        };
        array(column.data_type, self.rows.iter().map(cell))
    }
}

fn boolean(cell: Cell) -> Option<bool> {
    match cell {
        Cell::Boolean(value) => Some(value),
        Cell::Null | Cell::Number(_) | Cell::Text(_) => None,
    }
}

fn number(cell: Cell) -> Option<i64> {
    match cell {
        Cell::Number(value) => Some(value),
        Cell::Null | Cell::Boolean(_) | Cell::Text(_) => None,
    }
}

fn text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(value) => Some(value),
        Cell::Null | Cell::Boolean(_) | Cell::Number(_) => None,
    }
}

fn array(data_type: DataType, cells: impl ExactSizeIterator<Item = Cell>) -> ArrayRef {
    match data_type {
        DataType::Boolean => Arc::new(cells.map(boolean).collect::<BooleanArray>()),
        DataType::Int32 => {
            let narrow = |cell| number(cell).and_then(|value| i32::try_from(value).ok());
            Arc::new(cells.map(narrow).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(cells.map(number).collect::<Int64Array>()),
        DataType::Float64 => {
            Arc::new(cells.map(|cell| number(cell).map(|value| value as f64)).collect::<Float64Array>())
        }
        DataType::Text => Arc::new(cells.map(text).collect::<StringArray>()),
        // The catalogs have no columns of these.
        DataType::Int16
        | DataType::Float32
        | DataType::Timestamp
        | DataType::TimestampTz
        | DataType::Numeric { .. }
        | DataType::Date
        | DataType::Interval
        | DataType::Uuid
        | DataType::Bytea
        | DataType::Time
        | DataType::Json
        | DataType::Jsonb
        | DataType::Array(_)
        | DataType::Decimal
        | DataType::Char
        | DataType::Limited(_) => new_null_array(&data_type.to_arrow(), cells.len()),
    }
}
