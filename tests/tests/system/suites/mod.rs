//! Whole suites of queries as materialized views, beside a real PostgreSQL that holds the same tables.
//!
//! ```text
//! generator ─► tables ─┬─► millrace: each query a view ──────► SELECT * FROM view ─┐
//!   changes ───────────┴─► PostgreSQL: the query, asked anew ──────────────────────┴─► equal?
//! ```
//! The queries are the files under tests/suites. One that cannot be a view yet stands in its suite's
//! WAITING; once it can, the test says so, and it has to leave the list.

mod compare; // rows of both sides in one form
mod events; // Nexmark's generator
mod nexmark;
mod pair; // the two servers
mod tpch;

use std::collections::BTreeSet;

use pair::Pair;

/// Queries that are views on one side and are asked on the other.
struct Suite {
    name: &'static str,
    /// File stem and text.
    queries: Vec<(String, String)>,
    comparisons: usize,
    /// The views that had rows at some time.
    non_empty: BTreeSet<String>,
}

impl Suite {
    /// Creates the tables of tests/suites/`name`, and a view for every query that does not wait.
    async fn create(name: &'static str, pair: &Pair, waiting: &[(&str, &str)]) -> Suite {
        pair.both(&read(name, "schema.sql")).await;
        let mut queries = Vec::new();
        for file in files(name) {
            let text = read(name, &file);
            let stem = file.trim_end_matches(".sql").to_owned();
            let view = format!("CREATE MATERIALIZED VIEW {stem} AS {text}");
            let created = pair.ours().batch_execute(&view).await;
            match (waiting.iter().find(|(waits, _)| *waits == stem), created) {
                (None, Ok(())) => queries.push((stem, text)),
                (None, Err(error)) => panic!("{name} {stem}: {error:?}"),
                (Some((_, reason)), Ok(())) => panic!("{name} {stem} waits no longer for {reason}"),
                (Some(_), Err(error)) => {
                    let code = error.code().map(|code| code.code());
                    assert_eq!(code, Some("0A000"), "{name} {stem}: {error:?}");
                }
            }
        }
        Suite { name, queries, comparisons: 0, non_empty: BTreeSet::new() }
    }

    /// Each view has the rows, names and types of its query.
    async fn compare(&mut self, pair: &Pair, moment: &str) {
        for (stem, text) in &self.queries {
            let rows = compare::view(pair, stem, text).await;
            let rows = rows.unwrap_or_else(|wrong| panic!("{} {stem} {moment}:\n{wrong}", self.name));
            self.comparisons += 1;
            if rows > 0 {
                self.non_empty.insert(stem.clone());
            }
        }
    }

    /// Tells what was compared; a suite whose views stay empty proves nothing.
    fn finish(&self, empty: &[&str]) {
        let (views, non_empty) = (self.queries.len(), self.non_empty.len());
        println!("{}: {views} views, {non_empty} with rows, {} comparisons", self.name, self.comparisons);
        let never: Vec<&String> = self
            .queries
            .iter()
            .map(|(stem, _)| stem)
            .filter(|stem| !self.non_empty.contains(*stem) && !empty.contains(&stem.as_str()))
            .collect();
        assert!(never.is_empty(), "{}: never any rows in {never:?}", self.name);
    }
}

fn folder(name: &str) -> std::path::PathBuf {
    crate::page::root().join("tests/suites").join(name)
}

fn read(name: &str, file: &str) -> String {
    std::fs::read_to_string(folder(name).join(file)).unwrap()
}

/// The queries' files in order.
fn files(name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = names.filter(|name| name.starts_with('q')).collect();
    files.sort();
    files
}
