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
        expect![[r#"
            SELECT sensor, value FROM public.readings
                select [RelationId(1)] -> (sensor text, value double precision)
            TABLE readings
                select [RelationId(1)] -> (at timestamp, sensor text, value double precision)
            VALUES (1, 'a')
                select [] -> (column1 integer, column2 text)
            SELECT 1; SELECT value
            FROM nothing
                error 42P01 at 29: relation "nothing" does not exist
            SELECT 'ä', colour FROM readings
                error 42703 at 13: column "colour" does not exist
            SELECT r.colour FROM readings r
                error 42703 at 8: column r.colour does not exist
            SELECT nothing(value) FROM readings
                error 42883 at 8: function nothing(double precision) does not exist
                  hint: No function matches the given name and argument types. You might need to add explicit type casts.
        "#]],
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
        expect![[r#"
            CREATE MATERIALIZED VIEW v AS SELECT sensor, max(value) FROM readings GROUP BY sensor
                create v (sensor text, max double precision) view <SELECT sensor, max(value) FROM readings GROUP BY sensor>
            Reduce by [#0] compute [max(#1)]
              Project [#1, #2]
                Get r1
            CREATE MATERIALIZED VIEW IF NOT EXISTS hot (a, b) AS SELECT sensor, value AS x FROM hot ;
                create if not exists hot (a text, b double precision) view <SELECT sensor, value AS x FROM hot>
            Project [#1, #2]
              Get r2
            CREATE MATERIALIZED VIEW hot AS SELECT sensor FROM readings
                error 42P07: relation "hot" already exists
            CREATE MATERIALIZED VIEW v (a) AS SELECT sensor, value FROM readings
                create v (a text, value double precision) view <SELECT sensor, value FROM readings>
            Project [#1, #2]
              Get r1
            CREATE MATERIALIZED VIEW v (a, b, c) AS SELECT sensor, value FROM readings
                error 42601 at 35: too many column names were specified
            CREATE MATERIALIZED VIEW v (a, a) AS SELECT sensor, value FROM readings
                error 42701 at 32: column "a" specified more than once
            CREATE MATERIALIZED VIEW v AS SELECT sensor, value AS sensor FROM readings
                error 42701: column "sensor" specified more than once
                  hint: Name the columns with AS, or in parentheses after its name.
            CREATE MATERIALIZED VIEW v AS SELECT * FROM nothing
                error 42P01 at 45: relation "nothing" does not exist
            CREATE MATERIALIZED VIEW v AS SELECT value FROM readings WHERE value > $1
                error 42P02 at 72: there is no parameter $1
        "#]],
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
        expect![[r#"
            EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT sensor FROM readings WHERE value > 1
                explain
                  Project [#1] where greater(#2, 1.0::double precision)
                    Get readings
            EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT b FROM "Odd Name"
                explain
                  Project [#1]
                    Get "Odd Name"
            EXPLAIN SELECT sensor FROM readings
                explain
                  Project [#1]
                    Scan readings
        "#]],
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
        expect![[r#"
            COPY readings TO STDOUT
                copy [RelationId(1)] -> (at timestamp, sensor text, value double precision) to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY hot (value, at) TO STDOUT CSV
                copy [RelationId(2)] -> (value double precision, at timestamp) to Lines(LineFormat { csv: true, header: false, delimiter: 44, quote: 34, null: "" })
            COPY "Odd Name" TO STDOUT
                copy [RelationId(5)] -> (Select integer, b boolean) to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY (SELECT 1 AS a) TO STDOUT
                copy [] -> (a integer) to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY (SUBSCRIBE hot) TO STDOUT
                copy subscribe hot (tick bigint not null, diff bigint not null, at timestamp not null, sensor text not null, value double precision) snapshot=true progress=false as_of=None to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY readings (colour) TO STDOUT
                error 42703 at 16: column "colour" of relation "readings" does not exist
            COPY nothing TO STDOUT
                error 42P01 at 6: relation "nothing" does not exist
        "#]],
    );
}

#[test]
fn describe() {
    let texts =
        ["SELECT sensor, value FROM readings WHERE value > $1", "SELECT $1", "SELECT colour FROM readings"];
    expect![[r#"
        SELECT sensor, value FROM readings WHERE value > $1
            [Float64] -> sensor text, value double precision
        SELECT $1
            [Text] -> ?column? text
        SELECT colour FROM readings
            error 42703 at 8: column "colour" does not exist
    "#]]
    .assert_eq(&super::described(&texts, &[]));
    expect![[r#"
        SELECT $1
            [Int64] -> ?column? bigint
    "#]]
    .assert_eq(&super::described(&texts[1..2], &[Some(DataType::Int64)]));
}
