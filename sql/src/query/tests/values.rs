//! Queries without relations against PostgreSQL's answers.
//!
//! `answers.txt` holds what `psql -At` of PostgreSQL 15 (database in locale C) answered: a query a
//! line, its rows or its error indented below it. `DIFFERENT` lists where our answer is another by
//! design, and why.

use super::answer;

/// Queries whose answer differs, with ours.
const DIFFERENT: &[(&str, &str)] = &[
    // A result of literals with a point has one scale, PostgreSQL's values have each their own.
    ("SELECT coalesce(NULL, 2, 3), coalesce(NULL, NULL), coalesce(1, 2.5)", "2|null|1.0"),
    ("SELECT 1 UNION ALL SELECT 2.5", "1.0\n2.5"),
    // PostgreSQL folds the constant before it runs; what is not needed we do not evaluate.
    ("SELECT coalesce(x, 1 / 0) FROM (VALUES (1), (2)) AS v (x)", "1\n2"),
    // Order is that of locale C, but letters have their cases in every script.
    (
        "SELECT 'ABC' ILIKE 'a%', 'ÄB' ILIKE 'äb', 'abc' NOT ILIKE 'B%', 'abc' NOT LIKE 'b%', NULL ILIKE 'a', \
         'A' ~~* 'a', 'A' !~~* 'a'",
        "t|t|t|t|null|t|f",
    ),
    ("SELECT length('äöü'), lower('ÄB'), upper('ßä'), length('')", "3|äb|ßÄ|0"),
];

/// Queries with their expected answers.
fn answers() -> Vec<(String, String)> {
    let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
    for line in include_str!("answers.txt").lines() {
        match (line.strip_prefix("  "), answers.last_mut()) {
            (Some(row), Some((_, rows))) => rows.push(row),
            _ => answers.push((line.to_owned(), Vec::new())),
        }
    }
    answers.into_iter().map(|(query, rows)| (query, rows.join("\n").replace("(empty)", ""))).collect()
}

#[test]
fn answers_are_postgresqls() {
    let mut wrong = Vec::new();
    for (query, expected) in answers() {
        let expected = match DIFFERENT.iter().find(|(different, _)| *different == query) {
            Some((_, ours)) => (*ours).to_owned(),
            None => expected,
        };
        let actual = answer(&query);
        if actual != expected {
            wrong.push(format!("{query}\n  expected {expected:?}\n  got      {actual:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}
