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
        expect![[r#"
            INSERT INTO nothing VALUES (1)
                error 42P01 at 13: relation "nothing" does not exist
            INSERT INTO hot VALUES (now(), 'a', 1)
                error 42809: cannot change materialized view "hot"
                  detail: A materialized view shows the rows of its query.
                  hint: Change the tables that it reads.
            INSERT INTO readings (at, colour) VALUES (now(), 1)
                error 42703 at 27: column "colour" of relation "readings" does not exist
            INSERT INTO readings (at, at) VALUES (now(), now())
                error 42701 at 27: column "at" specified more than once
            INSERT INTO readings VALUES (now(), 'a', 1, 2)
                error 42601 at 45: INSERT has more expressions than target columns
            INSERT INTO readings (at) VALUES (now(), 'ä', 2)
                error 42601 at 42: INSERT has more expressions than target columns
            INSERT INTO readings (at, sensor) SELECT now()
                error 42601 at 27: INSERT has more target columns than expressions
            INSERT INTO readings (at) SELECT now(), 'ä' AS b
                error 42601 at 41: INSERT has more expressions than target columns
            INSERT INTO readings VALUES (now(), 'a'), (now())
                error 42601 at 44: VALUES lists must all be the same length
            DELETE FROM nothing
                error 42P01 at 13: relation "nothing" does not exist
            DELETE FROM hot
                error 42809: cannot change materialized view "hot"
                  detail: A materialized view shows the rows of its query.
                  hint: Change the tables that it reads.
            DELETE FROM events WHERE id = 1
                error 0A000: cannot delete from stream "events"
                  detail: The table was created with append_only and retention = '0': it keeps no rows.
        "#]],
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
        expect![[r#"
            INSERT INTO readings VALUES ('2014-01-01 00:00:00', 'a', 1)
                insert readings: [] -> (column0 timestamp, column1 text, column2 double precision)
            INSERT INTO readings (sensor, at) VALUES ('a', '2014-01-01 00:00:00'), ('b', DEFAULT)
                insert readings: [] -> (column0 timestamp, column1 text, column2 double precision)
            INSERT INTO readings SELECT * FROM hot
                insert readings: [RelationId(2)] -> (column0 timestamp, column1 text, column2 double precision)
            INSERT INTO events VALUES (1)
                insert events: [] -> (column0 bigint)
            INSERT INTO events SELECT * FROM readings
                error 42601: INSERT has more expressions than target columns
            INSERT INTO events VALUES ('x')
                error 22P02 at 28: invalid input syntax for type bigint: "x"
            INSERT INTO events SELECT colour FROM readings
                error 42703 at 27: column "colour" does not exist
        "#]],
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
        expect![[r#"
            DELETE FROM readings
                delete readings: [RelationId(1)] -> (column0 timestamp, column1 text, column2 double precision)
            DELETE FROM readings WHERE value > 1
                delete readings: [RelationId(1)] -> (column0 timestamp, column1 text, column2 double precision)
            DELETE FROM readings WHERE colour > 1
                error 42703 at 28: column "colour" does not exist
            DELETE FROM readings WHERE value
                error 42804: argument of WHERE must be type boolean, not type double precision
        "#]],
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
    expect![[r#"
        INSERT INTO readings VALUES ($1, $2, $3)
            [Timestamp, Text, Float64] -> no rows
        INSERT INTO readings (value) VALUES ($1)
            [Float64] -> no rows
        DELETE FROM readings WHERE value > $1 AND sensor = $2
            [Float64, Text] -> no rows
        INSERT INTO nothing VALUES ($1)
            error 42P01 at 13: relation "nothing" does not exist
    "#]]
    .assert_eq(&super::described(&texts, &[]));
    expect![[r#"
        INSERT INTO readings (value) VALUES ($1)
            [Int32] -> no rows
    "#]]
    .assert_eq(&super::described(&texts[1..2], &[Some(DataType::Int32)]));
}

#[test]
fn parameters() {
    expect![[r#"
        INSERT INTO events VALUES ($1)
            insert events: [] -> (column0 bigint)
        DELETE FROM readings WHERE value > $1
            delete readings: [RelationId(1)] -> (column0 timestamp, column1 text, column2 double precision)
    "#]]
    .assert_eq(&super::bound_with(
        &["INSERT INTO events VALUES ($1)", "DELETE FROM readings WHERE value > $1"],
        &[Literal::Int64(7)],
    ));
}
