//! CREATE TABLE, DROP, SUBSCRIBE, COPY FROM, EXPLAIN of a view, and what needs no catalog.

use expect_test::{Expect, expect};

fn check(texts: &[&str], expected: Expect) {
    expected.assert_eq(&super::bound(texts));
}

#[test]
fn create_table() {
    let columns = |count| (0..count).map(|n| format!("c{n} int")).collect::<Vec<_>>().join(", ");
    check(
        &[
            "CREATE TABLE t (a int not null, b text)",
            "CREATE TABLE t (a int) WITH (append_only, retention = '0')",
            "CREATE TABLE IF NOT EXISTS readings (a int)",
            "CREATE TABLE readings (a int)",
            "CREATE TABLE hot (a int)",
            "CREATE TABLE \"Readings\" (a int)",
        ],
        expect![[r#"
            CREATE TABLE t (a int not null, b text)
                create t (a integer not null, b text) table TableRules { defaults: [None, None], checks: [], drawn: [], owned: [], missing: [], order: [], altered: 0, on_commit: PreserveRows }
            CREATE TABLE t (a int) WITH (append_only, retention = '0')
                create t (a integer) stream
            CREATE TABLE IF NOT EXISTS readings (a int)
                create if not exists readings (a integer) table TableRules { defaults: [None], checks: [], drawn: [], owned: [], missing: [], order: [], altered: 0, on_commit: PreserveRows }
            CREATE TABLE readings (a int)
                error 42P07: relation "readings" already exists
            CREATE TABLE hot (a int)
                error 42P07: relation "hot" already exists
            CREATE TABLE "Readings" (a int)
                create Readings (a integer) table TableRules { defaults: [None], checks: [], drawn: [], owned: [], missing: [], order: [], altered: 0, on_commit: PreserveRows }
        "#]],
    );
    assert!(
        super::bound(&[&format!("CREATE TABLE t ({})", columns(1_600))]).contains("create t (c0 integer")
    );
    assert!(super::bound(&[&format!("CREATE TABLE t ({})", columns(1_601))]).contains("error 54011"));
}

#[test]
fn create_index() {
    let many = vec!["sensor"; 33].join(", ");
    let too_many = format!("CREATE INDEX ON readings ({many})");
    check(
        &[
            "CREATE INDEX ON readings (sensor)",
            "CREATE INDEX \"By Sensor\" ON readings USING hash (sensor)",
            "CREATE INDEX IF NOT EXISTS hot ON readings (sensor DESC, at NULLS FIRST, value DESC NULLS LAST)",
            "CREATE INDEX ON hot ((sensor), (value + 1), (value - 1), coalesce(value, 0), sensor)",
            "CREATE INDEX ON readings ((readings.sensor || 'x'))",
            "CREATE INDEX hot ON readings (sensor)",
            "CREATE INDEX ON nothing (a)",
            "CREATE INDEX ON readings (nothing)",
            "CREATE INDEX ON readings ((nothing + 1))",
            "CREATE INDEX ON readings ((sum(value)))",
            "CREATE INDEX ON readings (((SELECT 1)))",
            "CREATE INDEX ON readings (now())",
            "CREATE INDEX ON events (id)",
            "CREATE INDEX ON \"Odd Name\" (\"Select\", lower(b::text))",
            "CREATE INDEX ON readings ((random()))",
            "CREATE INDEX ON readings (('x'))",
            "CREATE INDEX ON readings ((at - at))",
            "CREATE INDEX ON readings ((value + $1))",
            "CREATE INDEX ON readings USING gin (sensor)",
            "CREATE INDEX ON readings USING tree (sensor)",
            "CREATE INDEX ON readings USING hash (sensor, at)",
            "CREATE INDEX ON readings USING hash (sensor ASC)",
            "CREATE INDEX ON readings USING hash (sensor NULLS LAST)",
            &too_many,
            "DROP INDEX readings",
            "DROP INDEX nothing",
            "DROP INDEX IF EXISTS nothing",
            "DROP INDEX CONCURRENTLY IF EXISTS nothing CASCADE",
            "DROP INDEX CONCURRENTLY IF EXISTS nothing, none",
        ],
        expect![[r#"
            CREATE INDEX ON readings (sensor)
                create readings_sensor_idx (sensor text) index on r1 by [#1] <CREATE INDEX readings_sensor_idx ON public.readings USING btree (sensor)>
            CREATE INDEX "By Sensor" ON readings USING hash (sensor)
                create By Sensor (sensor text) index on r1 by [#1] <CREATE INDEX "By Sensor" ON public.readings USING hash (sensor)>
            CREATE INDEX IF NOT EXISTS hot ON readings (sensor DESC, at NULLS FIRST, value DESC NULLS LAST)
                create if not exists hot (sensor text, at timestamp, value double precision) index on r1 by [#1, #0, #2] <CREATE INDEX hot ON public.readings USING btree (sensor DESC, at NULLS FIRST, value DESC NULLS LAST)>
            CREATE INDEX ON hot ((sensor), (value + 1), (value - 1), coalesce(value, 0), sensor)
                create hot_sensor_expr_expr1_coalesce_sensor1_idx (sensor text, expr double precision, expr1 double precision, coalesce double precision, sensor1 text) index on r2 by [#1, add(#2, 1.0::double precision), subtract(#2, 1.0::double precision), coalesce(#2, 0.0::double precision), #1] <CREATE INDEX hot_sensor_expr_expr1_coalesce_sensor1_idx ON public.hot USING btree (sensor, (value + 1), (value - 1), coalesce(value, 0), sensor)>
            CREATE INDEX ON readings ((readings.sensor || 'x'))
                create readings_expr_idx (expr text) index on r1 by [concat(#1, 'x')] <CREATE INDEX readings_expr_idx ON public.readings USING btree ((sensor || 'x'))>
            CREATE INDEX hot ON readings (sensor)
                error 42P07: relation "hot" already exists
            CREATE INDEX ON nothing (a)
                error 42P01 at 17: relation "nothing" does not exist
            CREATE INDEX ON readings (nothing)
                error 42703: column "nothing" does not exist
            CREATE INDEX ON readings ((nothing + 1))
                error 42703 at 28: column "nothing" does not exist
            CREATE INDEX ON readings ((sum(value)))
                error 42803: aggregate functions are not allowed in index expressions
            CREATE INDEX ON readings (((SELECT 1)))
                error 0A000: a sub-query in index expressions is not supported
            CREATE INDEX ON readings (now())
                error 42P17: functions in index expression must be marked IMMUTABLE
            CREATE INDEX ON events (id)
                error 42809 at 17: cannot create index on stream "events"
                  detail: The table was created with append_only and retention = '0': it keeps no rows.
                  hint: Create the index on a materialized view over it.
            CREATE INDEX ON "Odd Name" ("Select", lower(b::text))
                create Odd Name_Select_lower_idx (Select integer, lower text) index on r5 by [#0, lower(#1::text)] <CREATE INDEX "Odd Name_Select_lower_idx" ON public."Odd Name" USING btree ("Select", lower(b::text))>
            CREATE INDEX ON readings ((random()))
                error 42P17: functions in index expression must be marked IMMUTABLE
            CREATE INDEX ON readings (('x'))
                error 42704 at 27: data type unknown has no default operator class for access method "btree"
                  hint: Cast it to a type.
            CREATE INDEX ON readings ((at - at))
                create readings_expr_idx (expr interval) index on r1 by [subtract(#0, #0)] <CREATE INDEX readings_expr_idx ON public.readings USING btree ((at - at))>
            CREATE INDEX ON readings ((value + $1))
                error 42P02 at 36: there is no parameter $1
            CREATE INDEX ON readings USING gin (sensor)
                error 0A000 at 32: CREATE INDEX … USING gin is not supported
                  hint: An index can be read by whole keys: USING btree and USING hash mean the same.
            CREATE INDEX ON readings USING tree (sensor)
                error 42704 at 32: access method "tree" does not exist
            CREATE INDEX ON readings USING hash (sensor, at)
                error 0A000: access method "hash" does not support multicolumn indexes
            CREATE INDEX ON readings USING hash (sensor ASC)
                error 0A000: access method "hash" does not support ASC/DESC options
            CREATE INDEX ON readings USING hash (sensor NULLS LAST)
                error 0A000: access method "hash" does not support NULLS FIRST/LAST options
            CREATE INDEX ON readings (sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor, sensor)
                error 54011: cannot use more than 32 columns in an index
            DROP INDEX readings
                error 42809: "readings" is not an index
                  hint: Use DROP TABLE to remove a table.
            DROP INDEX nothing
                error 42704: index "nothing" does not exist
            DROP INDEX IF EXISTS nothing
                DROP INDEX [] ["index \"nothing\" does not exist, skipping"]
            DROP INDEX CONCURRENTLY IF EXISTS nothing CASCADE
                error 0A000: DROP INDEX CONCURRENTLY does not support CASCADE
            DROP INDEX CONCURRENTLY IF EXISTS nothing, none
                error 0A000: DROP INDEX CONCURRENTLY does not support dropping multiple objects
        "#]],
    );
}

#[test]
fn drop() {
    check(
        &[
            "DROP TABLE events",
            "DROP TABLE events, \"Odd Name\", events",
            "DROP TABLE readings",
            "DROP TABLE readings, events",
            "DROP TABLE readings CASCADE",
            "DROP MATERIALIZED VIEW hottest",
            "DROP MATERIALIZED VIEW hot",
            "DROP MATERIALIZED VIEW hot, hottest",
            "DROP MATERIALIZED VIEW hottest, hot",
            "DROP TABLE nothing",
            "DROP TABLE IF EXISTS nothing, events",
            "DROP MATERIALIZED VIEW nothing",
            "DROP VIEW IF EXISTS nothing",
            "DROP VIEW nothing",
            "DROP TABLE hot",
            "DROP TABLE IF EXISTS hot",
            "DROP MATERIALIZED VIEW readings",
            "DROP VIEW hot",
        ],
        expect![[r#"
            DROP TABLE events
                DROP TABLE [RelationId(4)] []
            DROP TABLE events, "Odd Name", events
                DROP TABLE [RelationId(5), RelationId(4)] []
            DROP TABLE readings
                error 2BP01: cannot drop table readings because other objects depend on it
                  detail: materialized view hot depends on table readings
            materialized view hottest depends on materialized view hot
                  hint: Use DROP ... CASCADE to drop the dependent objects too.
            DROP TABLE readings, events
                error 2BP01: cannot drop desired object(s) because other objects depend on them
                  detail: materialized view hot depends on table readings
            materialized view hottest depends on materialized view hot
                  hint: Use DROP ... CASCADE to drop the dependent objects too.
            DROP TABLE readings CASCADE
                DROP TABLE [RelationId(3), RelationId(2), RelationId(1)] ["drop cascades to materialized view hot", "drop cascades to materialized view hottest"]
            DROP MATERIALIZED VIEW hottest
                DROP MATERIALIZED VIEW [RelationId(3)] []
            DROP MATERIALIZED VIEW hot
                error 2BP01: cannot drop materialized view hot because other objects depend on it
                  detail: materialized view hottest depends on materialized view hot
                  hint: Use DROP ... CASCADE to drop the dependent objects too.
            DROP MATERIALIZED VIEW hot, hottest
                DROP MATERIALIZED VIEW [RelationId(3), RelationId(2)] []
            DROP MATERIALIZED VIEW hottest, hot
                DROP MATERIALIZED VIEW [RelationId(3), RelationId(2)] []
            DROP TABLE nothing
                error 42P01: table "nothing" does not exist
            DROP TABLE IF EXISTS nothing, events
                DROP TABLE [RelationId(4)] ["table \"nothing\" does not exist, skipping"]
            DROP MATERIALIZED VIEW nothing
                error 42P01: materialized view "nothing" does not exist
            DROP VIEW IF EXISTS nothing
                DROP VIEW [] ["view \"nothing\" does not exist, skipping"]
            DROP VIEW nothing
                error 42P01: view "nothing" does not exist
            DROP TABLE hot
                error 42809: "hot" is not a table
                  hint: Use DROP MATERIALIZED VIEW to remove a materialized view.
            DROP TABLE IF EXISTS hot
                error 42809: "hot" is not a table
                  hint: Use DROP MATERIALIZED VIEW to remove a materialized view.
            DROP MATERIALIZED VIEW readings
                error 42809: "readings" is not a materialized view
                  hint: Use DROP TABLE to remove a table.
            DROP VIEW hot
                error 42809: "hot" is not a view
                  hint: Use DROP MATERIALIZED VIEW to remove a materialized view.
        "#]],
    );
}

#[test]
fn subscribe() {
    check(
        &[
            "SUBSCRIBE hot",
            "SUBSCRIBE TO readings WITH (PROGRESS, SNAPSHOT = false) AS OF 5",
            "SUBSCRIBE nothing",
            "SUBSCRIBE (SELECT * FROM \"Hot\")",
        ],
        expect![[r#"
            SUBSCRIBE hot
                subscribe hot (tick bigint not null, diff bigint not null, at timestamp not null, sensor text not null, value double precision) snapshot=true progress=false as_of=None
            SUBSCRIBE TO readings WITH (PROGRESS, SNAPSHOT = false) AS OF 5
                subscribe readings (tick bigint not null, progressed boolean not null, diff bigint, at timestamp, sensor text, value double precision) snapshot=false progress=true as_of=Some(5)
            SUBSCRIBE nothing
                error 42P01 at 11: relation "nothing" does not exist
            SUBSCRIBE (SELECT * FROM "Hot")
                error 42P01 at 26: relation "Hot" does not exist
        "#]],
    );
}

#[test]
fn copy_from() {
    check(
        &[
            "COPY readings FROM STDIN CSV HEADER",
            "COPY readings (value, at) FROM STDIN",
            "COPY \"Odd Name\" (\"Select\") FROM STDIN",
            "COPY events FROM STDIN",
            "COPY readings (value, colour) FROM STDIN",
            "COPY readings (value, value) FROM STDIN",
            "COPY hot FROM STDIN",
            "COPY nothing FROM STDIN",
        ],
        expect![[r#"
            COPY readings FROM STDIN CSV HEADER
                copy readings (at timestamp not null, sensor text not null, value double precision) Lines(LineFormat { csv: true, header: true, delimiter: 44, quote: 34, null: "" })
            COPY readings (value, at) FROM STDIN
                copy readings (value double precision, at timestamp not null) Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY "Odd Name" ("Select") FROM STDIN
                copy Odd Name (Select integer) Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY events FROM STDIN
                copy events (id bigint) Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY readings (value, colour) FROM STDIN
                error 42703 at 23: column "colour" of relation "readings" does not exist
            COPY readings (value, value) FROM STDIN
                error 42701 at 23: column "value" specified more than once
            COPY hot FROM STDIN
                error 42809: cannot copy to materialized view "hot"
                  detail: A materialized view shows the rows of its query.
                  hint: Change the tables that it reads.
            COPY nothing FROM STDIN
                error 42P01 at 6: relation "nothing" does not exist
        "#]],
    );
}

#[test]
fn explain_an_existing_view() {
    check(
        &[
            "EXPLAIN MATERIALIZED VIEW hottest",
            "EXPLAIN MATERIALIZED VIEW readings",
            "EXPLAIN MATERIALIZED VIEW nothing",
        ],
        expect![[r#"
            EXPLAIN MATERIALIZED VIEW hottest
                explain
                  Project [#0, #1, #2]
                    Get hot
            EXPLAIN MATERIALIZED VIEW readings
                error 42809 at 27: "readings" is not a materialized view
            EXPLAIN MATERIALIZED VIEW nothing
                error 42P01 at 27: relation "nothing" does not exist
        "#]],
    );
}

#[test]
fn what_needs_no_catalog() {
    check(
        &[
            "SET x = 1",
            "RESET x",
            "SHOW x",
            "BEGIN",
            "END",
            "ABORT",
            "DEALLOCATE s",
            "DEALLOCATE ALL",
            "DISCARD ALL",
            "UPDATE t SET a = 1",
        ],
        expect![[r#"
            SET x = 1
                Set([Setting { name: "x", value: Some("1"), reach: Session }])
            RESET x
                Set([Setting { name: "x", value: None, reach: Session }])
            SHOW x
                Show { name: "x" }
            BEGIN
                Begin([])
            END
                Commit { chain: false }
            ABORT
                Rollback { chain: false }
            DEALLOCATE s
                Deallocate { name: Some("s") }
            DEALLOCATE ALL
                Deallocate { name: None }
            DISCARD ALL
                Discard { all: true }
            UPDATE t SET a = 1
                error 42P01 at 8: relation "t" does not exist
        "#]],
    );
}

#[test]
fn describe() {
    let texts = [
        "SUBSCRIBE hot WITH (PROGRESS)",
        "EXPLAIN SELECT 1",
        "SHOW timezone",
        "SHOW all",
        "CREATE TABLE readings (a int)",
        "CREATE MATERIALIZED VIEW v AS SELECT nothing",
        "DROP TABLE nothing",
        "COPY nothing FROM STDIN",
        "BEGIN",
        "UPDATE t SET a = 1",
    ];
    expect![[r#"
        SUBSCRIBE hot WITH (PROGRESS)
            [] -> tick bigint not null, progressed boolean not null, diff bigint, at timestamp, sensor text, value double precision
        EXPLAIN SELECT 1
            [] -> QUERY PLAN text not null
        SHOW timezone
            [] -> TimeZone text not null
        SHOW all
            [] -> name text not null, setting text not null, description text not null
        CREATE TABLE readings (a int)
            [] -> no rows
        CREATE MATERIALIZED VIEW v AS SELECT nothing
            [] -> no rows
        DROP TABLE nothing
            [] -> no rows
        COPY nothing FROM STDIN
            [] -> no rows
        BEGIN
            [] -> no rows
        UPDATE t SET a = 1
            error 42P01 at 8: relation "t" does not exist
    "#]].assert_eq(&super::described(&texts, &[]));
}
