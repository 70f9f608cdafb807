//! INSERT and DELETE.

use expect_test::{Expect, expect};
use millrace_engine::{DataType, Literal};

fn check(texts: &[&str], expected: Expect) {
    expected.assert_eq(&super::bound(texts));
}

#[test]
fn refused_before_planning() {
    check(
        &[
            "INSERT INTO nothing VALUES (1)",
            "INSERT INTO hot VALUES (now(), 'a', 1)",
            "INSERT INTO readings (at, colour) VALUES (now(), 1)",
            "INSERT INTO readings (at, at) VALUES (now(), now())",
            "INSERT INTO readings VALUES (now(), 'a', 1, 2)",
            "INSERT INTO readings (at) VALUES (now(), 'ä', 2)",
            "INSERT INTO readings (at, sensor) SELECT now()",
            "INSERT INTO readings (at) SELECT now(), 'ä' AS b",
            "INSERT INTO readings VALUES (now(), 'a'), (now())",
            "DELETE FROM nothing",
            "DELETE FROM hot",
            "DELETE FROM events WHERE id = 1",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn insert() {
    check(
        &[
            "INSERT INTO readings VALUES ('2014-01-01 00:00:00', 'a', 1)",
            "INSERT INTO readings (sensor, at) VALUES ('a', '2014-01-01 00:00:00'), ('b', DEFAULT)",
            "INSERT INTO readings SELECT * FROM hot",
            "INSERT INTO events VALUES (1)",
            "INSERT INTO events SELECT * FROM readings",
            "INSERT INTO events VALUES ('x')",
            "INSERT INTO events SELECT colour FROM readings",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn delete() {
    check(
        &[
            "DELETE FROM readings",
            "DELETE FROM readings WHERE value > 1",
            "DELETE FROM readings WHERE colour > 1",
            "DELETE FROM readings WHERE value",
        ],
        expect![[r#""#]],
    );
}

#[test]
fn describe() {
    let texts = [
        "INSERT INTO readings VALUES ($1, $2, $3)",
        "INSERT INTO readings (value) VALUES ($1)",
        "DELETE FROM readings WHERE value > $1 AND sensor = $2",
        "INSERT INTO nothing VALUES ($1)",
    ];
    expect![[r#""#]].assert_eq(&super::described(&texts, &[]));
    expect![[r#""#]].assert_eq(&super::described(&texts[1..2], &[Some(DataType::Int32)]));
}

#[test]
fn parameters() {
    expect![[r#""#]].assert_eq(&super::bound_with(
        &["INSERT INTO events VALUES ($1)", "DELETE FROM readings WHERE value > $1"],
        &[Literal::Int64(7)],
    ));
}
