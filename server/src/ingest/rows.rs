//! Rows of which each gives what columns it likes, by their names and as texts.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take;
use millrace_engine::{DataType, batch_of};
use millrace_sql::{SqlError, Zone};

use super::{Columns, Given, named_twice};
use crate::copy::builder::Builder;
use crate::copy::decode::{BATCH_BYTES, BATCH_ROWS};

/// How many sets of columns the rows of a body may give: each is bound by itself.
const SETS_MAX: usize = 256;

/// Rows that are gathered: all columns of the table, and which of them each row has given.
pub(super) struct Rows {
    columns: Columns,
    zone: Zone,
    builders: Vec<Builder>,
    /// Which columns the row at hand has given.
    given: Vec<bool>,
    /// All sets of columns that came, and the number of each.
    sets: HashMap<Vec<bool>, usize>,
    /// The set of the last row.
    last: Option<(Vec<bool>, usize)>,
    /// By row: its set, and its line.
    set_of: Vec<usize>,
    lines: Vec<u64>,
    bytes: usize,
    /// Finished, the last first.
    ready: Vec<Given>,
}

impl Rows {
    pub(super) fn new(columns: Columns, zone: Zone) -> Rows {
        let builders = columns.all.iter().map(|column| Builder::new(column.data_type)).collect();
        let given = vec![false; columns.all.len()];
        let (sets, last) = (HashMap::new(), None);
        let (set_of, lines, ready) = (Vec::new(), Vec::new(), Vec::new());
        Rows { columns, zone, builders, given, sets, last, set_of, lines, bytes: 0, ready }
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn begin(&mut self) {
        self.given.fill(false);
    }

    /// A value of the row: `text_of` tells what it is to the input of the column's type, `None` for NULL.
    ///
    /// # Errors
    /// 42703, 42701; what the type's input raises.
    pub(super) fn value<'a>(
        &mut self,
        name: &str,
        text_of: impl FnOnce(DataType) -> Result<Option<Cow<'a, str>>, SqlError>,
    ) -> Result<(), SqlError> {
        let place = self.columns.place(name)?;
        if std::mem::replace(&mut self.given[place], true) {
            return Err(named_twice(name));
        }
        let text = text_of(self.columns.all[place].data_type)?;
        self.builders[place].append(text.as_deref().map(str::as_bytes), &self.zone)?;
        self.bytes += text.map_or(0, |text| text.len());
        Ok(())
    }

    /// What is finished, in order.
    pub(super) fn take(&mut self) -> Option<Given> {
        self.ready.pop()
    }

    /// The row is whole: what it has not given is NULL for now.
    pub(super) fn end(&mut self, line: u64) -> Result<(), SqlError> {
        for (builder, given) in self.builders.iter_mut().zip(&self.given) {
            if !given {
                builder.append(None, &self.zone)?;
            }
        }
        let set = self.set()?;
        self.set_of.push(set);
        self.lines.push(line);
        Ok(())
    }

    /// The set of columns that the row has given.
    fn set(&mut self) -> Result<usize, SqlError> {
        if let Some((given, set)) = &self.last
            && *given == self.given
        {
            return Ok(*set);
        }
        let next = self.sets.len();
        let set = *self.sets.entry(self.given.clone()).or_insert(next);
        if set >= SETS_MAX {
            let message = format!("the rows give more than {SETS_MAX} different sets of columns");
            return Err(SqlError::new("54000", message)
                .hint("Give all rows the same columns, or send several requests."));
        }
        self.last = Some((self.given.clone(), set));
        Ok(set)
    }

    /// The rows at hand, those of each set together.
    pub(super) fn finish(&mut self) -> Result<(), SqlError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
        let (set_of, lines) = (std::mem::take(&mut self.set_of), std::mem::take(&mut self.lines));
        self.bytes = 0;
        let mut rows_of: Vec<(usize, Vec<u64>)> = Vec::new();
        for (row, set) in set_of.iter().enumerate() {
            match rows_of.iter_mut().find(|(other, _)| other == set) {
                Some((_, rows)) => rows.push(row as u64),
                None => rows_of.push((*set, vec![row as u64])),
            }
        }
        let is_one = rows_of.len() == 1;
        for (set, rows) in rows_of.into_iter().rev() {
            let places = self.places_of(set);
            let types: Vec<DataType> =
                places.iter().map(|place| self.columns.all[*place].data_type).collect();
            let own_lines = rows.iter().map(|row| lines[*row as usize]).collect();
            let count = rows.len();
            let picked = UInt64Array::from(rows);
            let values = places.iter().map(|place| match is_one {
                true => Ok(columns[*place].clone()),
                false => take(&columns[*place], &picked, None),
            });
            let values = values.collect::<Result<Vec<_>, _>>().map_err(SqlError::internal)?;
            let batch: RecordBatch = batch_of(&types, values, count).map_err(SqlError::internal)?;
            self.ready.push(Given { columns: places, batch, lines: own_lines });
        }
        Ok(())
    }

    fn places_of(&self, set: usize) -> Vec<usize> {
        let given = self.sets.iter().find(|(_, number)| **number == set).map(|(given, _)| given.as_slice());
        let places = given.unwrap_or_default().iter().enumerate();
        places.filter(|(_, given)| **given).map(|(place, _)| place).collect()
    }
}
