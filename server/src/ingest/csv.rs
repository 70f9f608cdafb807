//! CSV with a line of names: COPY's decoder behind a header that says which columns come.

use millrace_sql::{Column, LineFormat, SqlError, Zone};

use super::{BadRow, Columns, Given, without_mark};
use crate::copy::Decoder;
use crate::copy::decode::BadLine;
use crate::copy::fields::Fields;
use crate::copy::lines::Lines;
use crate::pgwire::utf8;

/// As many bytes at once are looked at for the end of the header.
const HEADER_STEP: usize = 4096;

/// RFC 4180, a first line of names; nothing between two commas is NULL, an empty text is written `""`.
fn format() -> LineFormat {
    LineFormat { csv: true, header: true, delimiter: b',', quote: b'"', null: String::new() }
}

/// A body of CSV.
pub(crate) struct Csv {
    decoder: Decoder,
    places: Vec<usize>,
}

impl From<BadLine> for BadRow {
    fn from(bad: BadLine) -> BadRow {
        BadRow { error: bad.error, line: Some(bad.line), column: bad.column }
    }
}

impl Csv {
    pub(super) fn new(body: &[u8], columns: &Columns, zone: Zone) -> Result<Csv, BadRow> {
        let body = without_mark(body);
        let names = header(body)?;
        let places = columns.places(names.iter().map(String::as_str))?;
        let given: Vec<Column> = places.iter().map(|place| columns.all[*place].clone()).collect();
        let mut decoder = Decoder::new(&given, &format(), zone).of_file();
        decoder.feed(body);
        decoder.end();
        Ok(Csv { decoder, places })
    }

    pub(super) fn next(&mut self) -> Result<Option<Given>, BadRow> {
        let Some((batch, lines)) = self.decoder.next_numbered()? else { return Ok(None) };
        Ok(Some(Given { columns: self.places.clone(), batch, lines }))
    }
}

/// The names in the first line.
fn header(body: &[u8]) -> Result<Vec<String>, BadRow> {
    let misplaced = |error| BadRow::at(error, 1);
    let mut lines = Lines::new(&format()).of_file();
    let mut steps = body.chunks(HEADER_STEP);
    let line = loop {
        if let Some(line) = lines.next().map_err(misplaced)? {
            break line;
        }
        match steps.next() {
            Some(step) => lines.feed(step),
            None => {
                lines.complete();
                match lines.next().map_err(misplaced)? {
                    Some(line) => break line,
                    None => {
                        return Err(misplaced(SqlError::new("22P04", "the line of column names is missing")));
                    }
                }
            }
        }
    };
    let mut fields = Fields::default();
    fields.cut(&line.bytes, &format()).map_err(misplaced)?;
    let name = |at| utf8(fields.value(at).unwrap_or_default()).map(str::to_owned);
    (0..fields.len()).map(name).collect::<Result<_, _>>().map_err(misplaced)
}
