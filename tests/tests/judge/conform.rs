//! Runs the files of tests/slt: each query is answered three ways, and all three are what PostgreSQL
//! said when the file was written.
//!
//! ```text
//!            ┌─ ad hoc ──────────────── rows (in order, where it matters), names, types, SQLSTATE
//!  query ────┼─ SELECT * FROM its view ─ the same but for the order
//!            └─ SUBSCRIBE its view ───── folded up to the query's tick: the rows
//! ```
//! The views of a file are made at their queries or, in other runs, as soon as they can be: then they
//! live through all changes of the file, their subscriptions are open all the time, and `kill -9`
//! comes between. A file in [`WAITING`] must fail: whoever makes it pass takes it off the list.
//!
//! `MILLRACE_SLT=text` runs only the files whose names contain the text, waiting or not.

use std::path::PathBuf;

use millrace_tests::{Launch, Server};
use tokio_postgres::Client;

use crate::answer::{Answer, Failure, Table, ask, execute, in_zone};
use crate::differences::canonical;
use crate::slt::{Expected, Kind, Outcome, Record, columns, lines, read};
use crate::subscription::Subscription;

/// Files whose forms are not there yet, with what they wait for.
const WAITING: &[(&str, &str)] = &[("row_values_distinct", "row values as arguments")];

/// How a file is run.
#[derive(Clone, Copy)]
struct Mode {
    processes: usize,
    workers: usize,
    /// Whether views are made as soon as they can be, not at their queries.
    early: bool,
    /// The server is killed and started again after so many records.
    restart_after: Option<usize>,
}

/// The files, in the order of their names.
pub(crate) fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("slt");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

fn stem(file: &std::path::Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

/// What of an answer is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Columns and rows, in order.
    Ordered,
    /// Columns and rows, in any order.
    Bag,
    /// Rows only.
    Rows,
}

/// A query's view.
struct View {
    name: String,
    /// What CREATE said, where it failed.
    created: Result<(), Failure>,
    subscription: Option<Subscription>,
}

/// A file on its way.
struct Run {
    server: Server,
    client: Client,
    /// A view of each record that has one.
    views: Vec<Option<View>>,
    wrong: Vec<String>,
}

impl Run {
    /// Runs a file: what is wrong with it.
    async fn file(records: &[Record], mode: Mode) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let server =
            Launch::on(folder.path().join("data")).workers(mode.workers).processes(mode.processes).start();
        let client = in_zone(server.connect().await).await;
        let views = records.iter().map(|_| None).collect();
        let mut run = Run { server, client, views, wrong: Vec::new() };
        for (index, record) in records.iter().enumerate() {
            if mode.early {
                run.create_early(records, index).await;
            }
            match &record.kind {
                Kind::Statement(outcome) => run.statement(record, outcome).await,
                Kind::Query { ordered, view, answer } => {
                    run.ad_hoc(record, *ordered, answer).await;
                    run.view(index, record, *view, answer).await;
                }
            }
            if mode.restart_after.is_some_and(|after| index % after == after - 1) {
                run.restart().await;
            }
        }
        run.wrong
    }

    fn note(&mut self, record: &Record, what: &str, expected: &str, found: &str) {
        if expected != found {
            let line = record.line;
            self.wrong.push(format!(
                "line {line}: {}\n{what}\n--- expected\n{expected}\n--- found\n{found}",
                record.sql
            ));
        }
    }

    fn compare(
        &mut self,
        record: &Record,
        what: &str,
        answer: &Result<Expected, String>,
        found: &Answer,
        shape: Shape,
    ) {
        self.note(record, what, &text(answer, shape), &told(found, answer, shape));
    }

    async fn statement(&mut self, record: &Record, outcome: &Outcome) {
        let found = match (execute(&self.client, &record.sql).await, outcome) {
            (Ok(_), Outcome::Ok) => Outcome::Ok,
            (Ok(count), _) => Outcome::Count(count),
            (Err(failure), Outcome::Error(_)) => Outcome::Error(failure.code),
            (Err(failure), _) => Outcome::Error(format!("{}: {}", failure.code, failure.message)),
        };
        self.note(record, "the statement", &format!("{outcome:?}"), &format!("{found:?}"));
    }

    async fn ad_hoc(&mut self, record: &Record, ordered: bool, answer: &Result<Expected, String>) {
        let found = ask(&self.client, &record.sql).await;
        self.compare(record, "ad hoc", answer, &found, if ordered { Shape::Ordered } else { Shape::Bag });
    }

    /// Makes the views that can be made by now.
    async fn create_early(&mut self, records: &[Record], from: usize) {
        for (index, record) in records.iter().enumerate().skip(from) {
            let Kind::Query { answer, .. } = &record.kind else { continue };
            if self.views[index].is_none() {
                let view = self.create(index, record, answer).await;
                self.views[index] = view.created.is_ok().then_some(view);
            }
        }
    }

    async fn create(&mut self, index: usize, record: &Record, answer: &Result<Expected, String>) -> View {
        let name = format!("view_{index}");
        let names = answer.as_ref().map(names_of).unwrap_or_default();
        let sql = format!("CREATE MATERIALIZED VIEW {name}{names} AS {}", record.sql);
        let created = execute(&self.client, &sql).await.map(drop);
        // A view in error has no rows to tell of; its subscription starts when it is asked.
        let subscription = match created {
            Ok(()) => Subscription::start(&self.server, &name).await.ok(),
            Err(_) => None,
        };
        View { name, created, subscription }
    }

    /// The answer of the query's view, and of subscriptions to it.
    async fn view(
        &mut self,
        index: usize,
        record: &Record,
        possible: bool,
        answer: &Result<Expected, String>,
    ) {
        let mut view = match self.views[index].take() {
            Some(view) => view,
            None => self.create(index, record, answer).await,
        };
        let refused = view.created.as_ref().is_err_and(|failure| failure.code == "0A000");
        if !possible {
            let told = view.created.as_ref().map_err(|failure| failure.code.clone());
            self.note(record, "CREATE MATERIALIZED VIEW", "Err(\"0A000\")", &format!("{told:?}"));
        } else if let (Err(failure), false) = (&view.created, refused && answer.is_err()) {
            let found = Err(failure.clone());
            self.compare(record, "CREATE MATERIALIZED VIEW", answer, &found, Shape::Bag);
        } else if view.created.is_ok() {
            self.three_ways(record, &mut view, answer).await;
        }
        if view.created.is_ok() {
            let dropped = execute(&self.client, &format!("DROP MATERIALIZED VIEW {}", view.name)).await;
            self.note(record, "DROP MATERIALIZED VIEW", "Ok(())", &format!("{:?}", dropped.map(drop)));
        }
    }

    async fn three_ways(&mut self, record: &Record, view: &mut View, answer: &Result<Expected, String>) {
        let read = ask(&self.client, &format!("SELECT * FROM {}", view.name)).await;
        let has_list = answer.as_ref().is_ok_and(|expected| !names_of(expected).is_empty());
        let shape = if has_list { Shape::Rows } else { Shape::Bag };
        self.compare(record, "SELECT * FROM its view", answer, &read, shape);
        let fresh = Subscription::start(&self.server, &view.name).await;
        let rows = fresh.as_ref().map(rows_of).map_err(Clone::clone);
        self.compare(record, "a new SUBSCRIBE of its view", answer, &rows, Shape::Rows);
        let (Ok(fresh), Some(mut old)) = (fresh, view.subscription.take()) else { return };
        // An error on the way has ended it; the new one has told that it is over.
        if old.listen(fresh.heard()).await.is_ok() {
            self.compare(
                record,
                "the SUBSCRIBE of its view, folded",
                answer,
                &Ok(rows_of(&old)),
                Shape::Rows,
            );
        }
    }

    async fn restart(&mut self) {
        for view in self.views.iter_mut().flatten() {
            view.subscription = None;
        }
        self.server.restart();
        self.client = in_zone(self.server.connect().await).await;
        for view in self.views.iter_mut().flatten() {
            view.subscription = Subscription::start(&self.server, &view.name).await.ok();
        }
    }
}

/// The rows that a subscription knows, as an answer without columns.
fn rows_of(subscription: &Subscription) -> Table {
    Table { columns: Vec::new(), rows: subscription.rows() }
}

/// A list of names for a view, where those of the query are not unique.
fn names_of(expected: &Expected) -> String {
    let columns = expected.columns.split(", ").map(|column| column.rsplit_once(' ').unwrap_or_default().0);
    let columns: Vec<&str> = columns.collect();
    let is_unique = |(index, name): (usize, &&str)| !columns[..index].contains(name);
    if columns.iter().enumerate().all(is_unique) {
        return String::new();
    }
    let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
    format!(" ({})", names.join(", "))
}

/// Lines with the values that have several texts in their shortest one (see `differences.rs`), by
/// the types of the expected columns; sorted anew where the order does not matter.
fn canonical_lines(lines: &[String], columns: &str, ordered: bool) -> String {
    let types: Vec<&str> = columns.split(", ").map(|column| column.rsplit(' ').next().unwrap()).collect();
    let value = |(index, value): (usize, &str)| canonical(types.get(index).unwrap_or(&""), value);
    let line = |line: &String| line.split('\t').enumerate().map(value).collect::<Vec<_>>().join("\t");
    let mut lines: Vec<String> = lines.iter().map(line).collect();
    if !ordered {
        lines.sort();
    }
    lines.join("\n")
}

/// An expectation as a difference shows it.
fn text(answer: &Result<Expected, String>, shape: Shape) -> String {
    match answer {
        Ok(expected) => {
            let lines = canonical_lines(&expected.lines, &expected.columns, shape == Shape::Ordered);
            if shape == Shape::Rows { lines } else { format!("({})\n{lines}", expected.columns) }
        }
        Err(code) => code.clone(),
    }
}

/// An answer in the same form; the message of an error only where none is expected.
fn told(answer: &Answer, expected: &Result<Expected, String>, shape: Shape) -> String {
    match answer {
        Ok(table) => {
            let types = expected.as_ref().map(|expected| expected.columns.as_str()).unwrap_or_default();
            let lines = canonical_lines(&lines(&table.rows, true), types, shape == Shape::Ordered);
            if shape == Shape::Rows { lines } else { format!("({})\n{lines}", columns(&table.columns)) }
        }
        Err(failure) if expected.is_err() => failure.code.clone(),
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    }
}

async fn run_all(mode: Mode) {
    let only = std::env::var("MILLRACE_SLT").ok();
    let mut wrong = Vec::new();
    let mut queries = 0;
    for file in files() {
        let name = stem(&file).to_owned();
        let records = read(&std::fs::read_to_string(&file).unwrap());
        let waits = WAITING.iter().find(|(waiting, _)| *waiting == name);
        match &only {
            Some(text) if !name.contains(text.as_str()) => continue,
            // Waiting files are known to fail; it is enough to see that once.
            None if waits.is_some() && mode.early => continue,
            _ => {}
        }
        queries += records.iter().filter(|record| matches!(record.kind, Kind::Query { .. })).count();
        let found = Run::file(&records, mode).await;
        match waits {
            Some((_, reason)) if only.is_none() && found.is_empty() => {
                wrong.push(format!("{name}.slt passes: take it off WAITING (it waited for {reason})"));
            }
            Some(_) if only.is_none() => {}
            _ => wrong.extend(found.into_iter().map(|found| format!("{name}.slt, {found}\n"))),
        }
    }
    println!("{queries} queries");
    assert!(queries > 0, "no file is called so");
    assert!(wrong.is_empty(), "{} wrong\n\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_answer_with_views_made_at_their_queries() {
    run_all(Mode { processes: 1, workers: 1, early: false, restart_after: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_answer_with_views_that_live_through_all_changes() {
    run_all(Mode { processes: 1, workers: 2, early: true, restart_after: None }).await;
}

/// With two processes, of which the one with the data is killed and the other stays.
#[tokio::test(flavor = "multi_thread")]
async fn files_answer_with_kills_between() {
    run_all(Mode { processes: 2, workers: 2, early: true, restart_after: Some(8) }).await;
}

#[test]
fn what_waits_is_there() {
    let names: Vec<PathBuf> = files();
    for (waiting, reason) in WAITING {
        assert!(names.iter().any(|file| stem(file) == *waiting), "{waiting} waits for {reason} but is gone");
    }
}
