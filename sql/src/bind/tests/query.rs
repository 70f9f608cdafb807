//! SELECT, CREATE MATERIALIZED VIEW, EXPLAIN, COPY TO: the queries inside, and where errors lie.

use expect_test::{Expect, expect};
use millrace_engine::DataType;

fn check(texts: &[&str], expected: Expect) {
    expected.assert_eq(&super::bound(texts));
}

#[test]
fn select() {
    check(
        &[
            "SELECT sensor, value FROM public.readings",
            "TABLE readings",
            "VALUES (1, 'a')",
            "SELECT 1; SELECT value\nFROM nothing",
            "SELECT 'ä', colour FROM readings",
            "SELECT r.colour FROM readings r",
            "SELECT nothing(value) FROM readings",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn create_materialized_view() {
    check(
        &[
            "CREATE MATERIALIZED VIEW v AS SELECT sensor, max(value) FROM readings GROUP BY sensor",
            "CREATE MATERIALIZED VIEW IF NOT EXISTS hot (a, b) AS SELECT sensor, value AS x FROM hot ;",
            "CREATE MATERIALIZED VIEW hot AS SELECT sensor FROM readings",
            "CREATE MATERIALIZED VIEW v (a) AS SELECT sensor, value FROM readings",
            "CREATE MATERIALIZED VIEW v (a, b, c) AS SELECT sensor, value FROM readings",
            "CREATE MATERIALIZED VIEW v (a, a) AS SELECT sensor, value FROM readings",
            "CREATE MATERIALIZED VIEW v AS SELECT sensor, value AS sensor FROM readings",
            "CREATE MATERIALIZED VIEW v AS SELECT * FROM nothing",
            "CREATE MATERIALIZED VIEW v AS SELECT value FROM readings WHERE value > $1",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn explain() {
    check(
        &[
            "EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT sensor FROM readings WHERE value > 1",
            "EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT b FROM \"Odd Name\"",
            "EXPLAIN SELECT sensor FROM readings",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn copy_to() {
    check(
        &[
            "COPY readings TO STDOUT",
            "COPY hot (value, at) TO STDOUT CSV",
            "COPY \"Odd Name\" TO STDOUT",
            "COPY (SELECT 1 AS a) TO STDOUT",
            "COPY (SUBSCRIBE hot) TO STDOUT",
            "COPY readings (colour) TO STDOUT",
            "COPY nothing TO STDOUT",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn describe() {
    let texts =
        ["SELECT sensor, value FROM readings WHERE value > $1", "SELECT $1", "SELECT colour FROM readings"];
    expect![[r#""#]].assert_eq(&super::described(&texts, &[]));
    expect![[r#""#]].assert_eq(&super::described(&texts[1..2], &[Some(DataType::Int64)]));
}
