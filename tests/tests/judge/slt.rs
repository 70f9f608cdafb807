//! Files of sqllogictest: read, and written again with other expectations.
//!
//! ```text
//! statement ok                      or: statement count 3, statement error 22012
//! INSERT INTO t VALUES (1)
//!
//! # columns: k int4, ?column? text  names and types, which the format has no place for
//! # view: no, its reason            a materialized view of the query is refused with 0A000
//! query IT rowsort                  or nosort, where ORDER BY makes the order a part of the answer
//! SELECT k, 'a' FROM t
//! ----
//! 1<tab>a
//!
//! query error 22012
//! SELECT 1 / 0
//! ```
//! Records are divided by empty lines, columns by tabs. NULL stands for NULL and (empty) for an empty text; a
//! backslash escapes a tab, a line's end, a backslash, and texts that read like those two words.
//!
//! A reader of our own: the crate `sqllogictest` (0.29, well kept, MIT or Apache) has no feature
//! without its runner, and the runner with its fourteen dependencies knows one answer to a query,
//! not three, neither SQLSTATEs as codes nor expectations that another database writes.

use std::fmt::Write;

use crate::answer::{Column, Row, Table};

/// What a file says in one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The line of its header.
    pub(crate) line: usize,
    /// The lines above it, without what is a part of the expectation.
    pub(crate) comments: Vec<String>,
    pub(crate) sql: String,
    pub(crate) kind: Kind,
}

/// What is expected of a text of SQL.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Statement(Outcome),
    Query {
        /// Whether the order of the rows matters.
        ordered: bool,
        /// Whether a materialized view of it is possible.
        view: bool,
        /// The columns, where the file names them, and the rows as lines; or a SQLSTATE.
        answer: Result<Expected, String>,
    },
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Ok,
    Count(u64),
    Error(String),
}

/// The rows of a query as the file writes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) columns: String,
    pub(crate) lines: Vec<String>,
}

/// All records of a file.
pub(crate) fn read(text: &str) -> Vec<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    let mut comments = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() || lines[at].starts_with('#') {
            comments.push(lines[at].to_owned());
            at += 1;
            continue;
        }
        let body: Vec<&str> = lines[at + 1..].iter().take_while(|line| !line.is_empty()).copied().collect();
        let header = lines[at];
        let record = record(header, &body, std::mem::take(&mut comments), at + 1);
        records.push(record.unwrap_or_else(|| panic!("line {}: what is {header}?", at + 1)));
        at += 1 + body.len();
    }
    records
}

fn record(header: &str, body: &[&str], mut comments: Vec<String>, line: usize) -> Option<Record> {
    let words: Vec<&str> = header.split_whitespace().collect();
    let divider = body.iter().position(|line| *line == "----").unwrap_or(body.len());
    let sql = body[..divider].join("\n");
    let kind = match words[..] {
        ["statement", "ok"] => Kind::Statement(Outcome::Ok),
        ["statement", "count", count] => Kind::Statement(Outcome::Count(count.parse().ok()?)),
        ["statement", "error"] => Kind::Statement(Outcome::Error(String::new())),
        ["statement", "error", code] => Kind::Statement(Outcome::Error(code.to_owned())),
        ["query", ref rest @ ..] => {
            let view = !comments.iter().any(|comment| comment.starts_with("# view: no"));
            let columns = comments.iter().find_map(|comment| comment.strip_prefix("# columns: "));
            let columns = columns.unwrap_or_default().to_owned();
            let lines = body.iter().skip(divider + 1).map(|line| (*line).to_owned()).collect();
            let answer = match rest {
                ["error"] => Err(String::new()),
                ["error", code] => Err((*code).to_owned()),
                _ => Ok(Expected { columns, lines }),
            };
            Kind::Query { ordered: rest.contains(&"nosort"), view, answer }
        }
        _ => return None,
    };
    comments.retain(|comment| !comment.starts_with("# columns: "));
    Some(Record { line, comments, sql, kind })
}

/// The text of a file.
pub(crate) fn write(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        for comment in &record.comments {
            writeln!(text, "{comment}").unwrap();
        }
        match &record.kind {
            Kind::Statement(Outcome::Ok) => writeln!(text, "statement ok").unwrap(),
            Kind::Statement(Outcome::Count(count)) => writeln!(text, "statement count {count}").unwrap(),
            Kind::Statement(Outcome::Error(code)) => writeln!(text, "statement error {code}").unwrap(),
            Kind::Query { answer: Err(code), .. } => writeln!(text, "query error {code}").unwrap(),
            Kind::Query { ordered, answer: Ok(expected), .. } => {
                let sort = if *ordered { "nosort" } else { "rowsort" };
                writeln!(text, "# columns: {}", expected.columns).unwrap();
                writeln!(text, "query {} {sort}", letters(&expected.columns)).unwrap();
            }
        }
        writeln!(text, "{}", record.sql).unwrap();
        if let Kind::Query { answer: Ok(expected), .. } = &record.kind {
            writeln!(text, "----").unwrap();
            expected.lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        }
    }
    text
}

/// The letters of the format: I, R, and T for all others.
fn letters(columns: &str) -> String {
    let letter = |column: &str| match column.rsplit(' ').next() {
        Some("int2" | "int4" | "int8") => 'I',
        Some("float4" | "float8" | "numeric") => 'R',
        _ => 'T',
    };
    columns.split(", ").map(letter).collect()
}

/// Names and types as a file writes them.
pub(crate) fn columns(columns: &[Column]) -> String {
    let column = |column: &Column| format!("{} {}", column.name, column.type_name);
    columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// An answer as a file writes it; sorted where the order does not matter.
pub(crate) fn expected(table: &Table, ordered: bool) -> Expected {
    Expected { columns: columns(&table.columns), lines: lines(&table.rows, ordered) }
}

/// Rows as a file writes them.
pub(crate) fn lines(rows: &[Row], ordered: bool) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(|row| line(row)).collect();
    if !ordered {
        lines.sort();
    }
    lines
}

fn line(row: &[Option<String>]) -> String {
    row.iter().map(|value| written(value.as_deref())).collect::<Vec<_>>().join("\t")
}

fn written(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(word @ ("NULL" | "(empty)")) => format!("\\{word}"),
        Some(text) => text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"),
    }
}

#[test]
fn a_file_is_written_as_it_was_read() {
    let text = "# a file\n\nstatement ok\nCREATE TABLE t (k int)\n\nstatement count 1\nINSERT INTO t\nVALUES (1)\n\n\
        # why\n# columns: k int4, x text, ?column? numeric\nquery ITR rowsort\nSELECT 1\n----\n1\tNULL\t2.5\n\n\
        # view: no, because\n# columns: a int4\nquery I nosort\nSELECT 2\n----\n\nquery error 22012\nSELECT 1 / 0\n";
    let records = read(text);
    assert_eq!(records.len(), 5);
    assert_eq!((records[0].line, records[1].sql.as_str()), (3, "INSERT INTO t\nVALUES (1)"));
    let Kind::Query { ordered, view, answer } = &records[2].kind else { panic!("{:?}", records[2]) };
    assert_eq!((*ordered, *view), (false, true));
    assert_eq!(answer.as_ref().unwrap().lines, ["1\tNULL\t2.5"]);
    let Kind::Query { ordered, view, .. } = &records[3].kind else { panic!("{:?}", records[3]) };
    assert_eq!((*ordered, *view), (true, false));
    assert_eq!(write(&records), text);
}

#[test]
fn no_two_values_are_written_alike() {
    let values = [None, Some(""), Some("NULL"), Some("(empty)"), Some("\\NULL"), Some("a\tb"), Some("a\\tb")];
    let mut written: Vec<String> = values.into_iter().map(written).collect();
    written.sort();
    written.dedup();
    assert_eq!(written.len(), values.len());
}
