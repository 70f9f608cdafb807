//! Bodies of requests into rows of a table: JSON, NDJSON, CSV, Arrow. Pure: no sockets, no session.
//!
//! ```text
//! body ─► json │ csv │ arrow ─► Given: some columns of the table, rows, and in which line each stands
//! ```
//! Whatever the form, a value comes to its column through the text input of the column's type (`copy::builder`), or
//! has its Arrow type already: so every way in takes the same values.

mod arrow_stream; // Arrow IPC streams
mod csv; // a header and lines
pub(crate) mod json; // objects, and their values as texts
pub(crate) mod lines; // InfluxDB's line protocol
mod rows; // rows that give what columns they like

use std::collections::HashMap;

use arrow::array::RecordBatch;
use bytes::Bytes;
use millrace_sql::{Column, SqlError, Zone};

/// Rows that give the same columns of a table.
#[derive(Debug)]
pub(crate) struct Given {
    /// Which, by their positions among the table's.
    pub(crate) columns: Vec<usize>,
    /// Their values, in the columns' types.
    pub(crate) batch: RecordBatch,
    /// In which line of the body each row stands, from 1. Rows that have no lines are counted.
    pub(crate) lines: Vec<u64>,
}

/// What is wrong with a body, and where.
#[derive(Debug)]
pub(crate) struct BadRow {
    pub(crate) error: Box<SqlError>,
    pub(crate) line: Option<u64>,
    pub(crate) column: Option<String>,
}

impl From<SqlError> for BadRow {
    fn from(error: SqlError) -> BadRow {
        BadRow { error: Box::new(error), line: None, column: None }
    }
}

impl BadRow {
    fn at(error: impl Into<SqlError>, line: u64) -> BadRow {
        BadRow { error: Box::new(error.into()), line: Some(line), column: None }
    }

    fn of_value(error: impl Into<SqlError>, line: u64, column: &str) -> BadRow {
        BadRow { error: Box::new(error.into()), line: Some(line), column: Some(column.to_owned()) }
    }

    /// An error that knows which of some rows it is about; these are their lines.
    pub(crate) fn of_rows(error: SqlError, lines: &[u64]) -> BadRow {
        let about = error.about.as_deref();
        let line = about.and_then(|about| about.row).and_then(|row| lines.get(row)).copied();
        let column = about.and_then(|about| about.column.clone());
        BadRow { error: Box::new(error), line, column }
    }
}

/// The forms of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One object, or an array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// A line of names, then a line a row.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
}

impl Form {
    /// The form of a media type, without its parameters.
    pub(crate) fn of_media_type(media_type: &str) -> Option<Form> {
        match media_type {
            "application/json" => Some(Form::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Form::Ndjson),
            "text/csv" => Some(Form::Csv),
            "application/vnd.apache.arrow.stream" => Some(Form::Arrow),
            _ => None,
        }
    }

    /// Its media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Ndjson => "application/x-ndjson",
            Form::Csv => "text/csv",
            Form::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// A body while it is read.
pub(crate) enum Reader {
    Objects(Box<json::Objects>),
    Csv(Box<csv::Csv>),
    Arrow(Box<arrow_stream::ArrowStream>),
}

impl Reader {
    /// A body with rows for a table of these columns; moments without a time zone are meant in `zone`.
    ///
    /// # Errors
    /// What is wrong with its head.
    pub(crate) fn new(form: Form, body: Bytes, columns: &[Column], zone: Zone) -> Result<Reader, BadRow> {
        let columns = Columns::new(columns);
        Ok(match form {
            Form::Json => Reader::Objects(Box::new(json::Objects::new(body, columns, zone, false)?)),
            Form::Ndjson => Reader::Objects(Box::new(json::Objects::new(body, columns, zone, true)?)),
            Form::Csv => Reader::Csv(Box::new(csv::Csv::new(&body, &columns, zone)?)),
            Form::Arrow => Reader::Arrow(Box::new(arrow_stream::ArrowStream::new(body, columns, zone))),
        })
    }

    /// The next rows; `None` behind the last. No rows follow an error.
    ///
    /// # Errors
    /// What is wrong with them, and where.
    pub(crate) fn next(&mut self) -> Result<Option<Given>, BadRow> {
        match self {
            Reader::Objects(objects) => objects.next(),
            Reader::Csv(csv) => csv.next(),
            Reader::Arrow(stream) => stream.next(),
        }
    }
}

/// A table's columns by their places and by their names.
pub(crate) struct Columns {
    all: Vec<Column>,
    by_name: HashMap<String, usize>,
}

impl Columns {
    fn new(columns: &[Column]) -> Columns {
        let named = columns.iter().enumerate().map(|(place, column)| (column.name.clone(), place));
        Columns { all: columns.to_vec(), by_name: named.collect() }
    }

    /// The place of the column of a name.
    ///
    /// # Errors
    /// 42703
    fn place(&self, name: &str) -> Result<usize, SqlError> {
        self.by_name.get(name).copied().ok_or_else(|| {
            let known: Vec<&str> = self.all.iter().map(|column| column.name.as_str()).collect();
            SqlError::new("42703", format!("column \"{name}\" does not exist"))
                .hint(format!("The table has the columns {}.", known.join(", ")))
        })
    }

    /// The places of the columns of a head.
    ///
    /// # Errors
    /// 42703, 42701
    fn places<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<Vec<usize>, BadRow> {
        let mut places = Vec::new();
        for name in names {
            let place = self.place(name).map_err(|error| BadRow::of_value(error, 1, name))?;
            if places.contains(&place) {
                return Err(BadRow::of_value(named_twice(name), 1, name));
            }
            places.push(place);
        }
        Ok(places)
    }
}

/// 42701
fn named_twice(name: &str) -> SqlError {
    SqlError::new("42701", format!("column \"{name}\" specified more than once"))
}

/// Text without the byte order mark that some editors put before it.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

#[cfg(test)]
pub(crate) mod tests; // what each form reads, and what it refuses
