//! Every form of every statement that we have.

use expect_test::{Expect, expect};

fn check(texts: &[&str], expected: Expect) {
    expected.assert_eq(&super::parsed(texts));
}

#[test]
fn several_statements_each_with_its_text() {
    check(
        &[
            "",
            " ;; -- nothing\n /* at /* all */ */ ;",
            "select 1; select 'a;b', $$c;d$$, $x$e;$$f$x$, \"g;h\" from t ; /* i;j */ values (2) -- k;l",
            "BEGIN;\nDELETE FROM öffnung;\n  COMMIT",
            "table t; ; abort",
        ],
        expect![[r#"

                nothing
             ;; -- nothing
             /* at /* all */ */ ;
                nothing
            select 1; select 'a;b', $$c;d$$, $x$e;$$f$x$, "g;h" from t ; /* i;j */ values (2) -- k;l
                select SELECT 1
                select SELECT 'a;b', $$c;d$$, $x$e;$$f$x$, "g;h" FROM t
                select VALUES (2)
            BEGIN;
            DELETE FROM öffnung;
              COMMIT
                Begin([])
                delete öffnung@20
                Commit { chain: false }
            table t; ; abort
                select SELECT * FROM t
                Rollback { chain: false }
        "#]],
    );
    let texts: Vec<String> = crate::parse(" select 1 -- a\n;\n\nselect 2 ;/* b */ values (1) ")
        .unwrap()
        .into_iter()
        .map(|s| s.text)
        .collect();
    assert_eq!(texts, ["select 1", "select 2", "values (1)"]);
}

#[test]
fn prepared_statements_and_cursors() {
    check(
        &[
            "PREPARE p AS SELECT $1; PREPARE \"P\" (int, unknown) AS INSERT INTO t VALUES ($1)",
            "PREPARE p (numeric) AS SELECT $1; PREPARE p (numeric(6, 2)) AS SELECT $1",
            "prepare p as (values (1)) ; prepare p as update t set a = 1",
            "PREPARE p AS COMMIT",
            "PREPARE p (nope) AS SELECT 1",
            "PREPARE TRANSACTION 'x'",
            "EXECUTE p; EXECUTE p(1 + 1, 'x')",
            "EXECUTE p()",
            "DECLARE c CURSOR FOR TABLE t; DECLARE c INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR (SELECT 1)",
            "DECLARE c CURSOR FOR SUBSCRIBE TO mv WITH (PROGRESS)",
            "DECLARE c SCROLL CURSOR FOR SELECT 1",
            "DECLARE c BINARY CURSOR FOR SELECT 1",
            "DECLARE c CURSOR FOR DELETE FROM t",
            "FETCH c; FETCH FROM c; FETCH NEXT FROM c; FETCH PRIOR IN c; FETCH FIRST c; FETCH LAST c",
            "FETCH 3 c; FETCH -3 FROM c; FETCH +3 c; FETCH ALL c; FETCH ABSOLUTE -1 c; FETCH RELATIVE 2 FROM c",
            "FETCH FORWARD c; FETCH FORWARD 2 c; FETCH FORWARD ALL c; FETCH BACKWARD c; FETCH BACKWARD 2 c; FETCH BACKWARD ALL c",
            "MOVE c; MOVE 0 IN c",
            "FETCH next; FETCH \"all\"",
            "FETCH ALL FROM c WITH (timeout = '1s'); FETCH c WITH (timeout '500ms')",
            "FETCH c WITH (timeout = '-1s')",
            "FETCH c WITH (timeout = '1 day')",
            "FETCH c WITH (timeout = 'soon')",
            "FETCH c WITH (patience = '1s')",
            "FETCH 1.5 FROM c",
            "FETCH ABSOLUTE c",
            "FETCH ALL",
            "CLOSE c; CLOSE ALL; UNLISTEN *; UNLISTEN c",
        ],
        expect![[r#"
            PREPARE p AS SELECT $1; PREPARE "P" (int, unknown) AS INSERT INTO t VALUES ($1)
                prepare p [] <select SELECT $1>
                prepare P [Some(Int32), None] <insert t@67 [] VALUES ($1)>
            PREPARE p (numeric) AS SELECT $1; PREPARE p (numeric(6, 2)) AS SELECT $1
                prepare p [Some(Decimal)] <select SELECT $1>
                prepare p [Some(Decimal)] <select SELECT $1>
            prepare p as (values (1)) ; prepare p as update t set a = 1
                prepare p [] <select (VALUES (1))>
                prepare p [] <update t@49 set (a@55) = 1>
            PREPARE p AS COMMIT
                error 42601 at 14: syntax error at or near "COMMIT"
            PREPARE p (nope) AS SELECT 1
                refused 42704 at 12: type "nope" does not exist
            PREPARE TRANSACTION 'x'
                refused 0A000 at 9: PREPARE … TRANSACTION is not supported
            EXECUTE p; EXECUTE p(1 + 1, 'x')
                execute p ()
                execute p (1 + 1, 'x')
            EXECUTE p()
                error 42601 at 11: syntax error at or near ")"
            DECLARE c CURSOR FOR TABLE t; DECLARE c INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR (SELECT 1)
                declare c only_forward=false is_held=false <SELECT * FROM t>
                declare c only_forward=true is_held=true <(SELECT 1)>
            DECLARE c CURSOR FOR SUBSCRIBE TO mv WITH (PROGRESS)
                declare c only_forward=false is_held=false <subscribe mv@35 snapshot=true progress=true as_of=None>
            DECLARE c SCROLL CURSOR FOR SELECT 1
                refused 0A000 at 11: DECLARE … SCROLL is not supported
            DECLARE c BINARY CURSOR FOR SELECT 1
                refused 0A000 at 11: DECLARE … BINARY is not supported
            DECLARE c CURSOR FOR DELETE FROM t
                error 42601 at 22: syntax error at or near "DELETE"
            FETCH c; FETCH FROM c; FETCH NEXT FROM c; FETCH PRIOR IN c; FETCH FIRST c; FETCH LAST c
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(-1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Absolute(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Absolute(-1), timeout: None })
            FETCH 3 c; FETCH -3 FROM c; FETCH +3 c; FETCH ALL c; FETCH ABSOLUTE -1 c; FETCH RELATIVE 2 FROM c
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(3), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(-3), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(3), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: ForwardAll, timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Absolute(-1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Relative(2), timeout: None })
            FETCH FORWARD c; FETCH FORWARD 2 c; FETCH FORWARD ALL c; FETCH BACKWARD c; FETCH BACKWARD 2 c; FETCH BACKWARD ALL c
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(2), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: ForwardAll, timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(-1), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(-2), timeout: None })
                Fetch(Fetch { is_move: false, name: "c", direction: BackwardAll, timeout: None })
            MOVE c; MOVE 0 IN c
                Fetch(Fetch { is_move: true, name: "c", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: true, name: "c", direction: Forward(0), timeout: None })
            FETCH next; FETCH "all"
                Fetch(Fetch { is_move: false, name: "next", direction: Forward(1), timeout: None })
                Fetch(Fetch { is_move: false, name: "all", direction: Forward(1), timeout: None })
            FETCH ALL FROM c WITH (timeout = '1s'); FETCH c WITH (timeout '500ms')
                Fetch(Fetch { is_move: false, name: "c", direction: ForwardAll, timeout: Some(1s) })
                Fetch(Fetch { is_move: false, name: "c", direction: Forward(1), timeout: Some(500ms) })
            FETCH c WITH (timeout = '-1s')
                refused 22023 at 25: invalid value for FETCH option "timeout": "-1s"
                  hint: It is a time without days, such as '1s' or '500ms'.
            FETCH c WITH (timeout = '1 day')
                refused 22023 at 25: invalid value for FETCH option "timeout": "1 day"
                  hint: It is a time without days, such as '1s' or '500ms'.
            FETCH c WITH (timeout = 'soon')
                refused 22007 at 25: invalid input syntax for type interval: "soon"
            FETCH c WITH (patience = '1s')
                refused 22023 at 15: unrecognized FETCH option "patience"
                  hint: The option is TIMEOUT.
            FETCH 1.5 FROM c
                error 42601 at 7: syntax error at or near "1.5"
            FETCH ABSOLUTE c
                error 42601 at 16: syntax error at or near "c"
            FETCH ALL
                error 42601 at 7: syntax error at or near "ALL"
            CLOSE c; CLOSE ALL; UNLISTEN *; UNLISTEN c
                Close { name: Some("c") }
                Close { name: None }
                Unlisten
                Unlisten
        "#]],
    );
}

#[test]
fn indexes() {
    check(
        &[
            "CREATE INDEX i ON t (a)",
            "create index concurrently if not exists \"I\" on only public.T using Hash ((a))",
            "CREATE INDEX ON t (a ASC, lower(b) DESC NULLS FIRST, (a + 1) NULLS LAST, substring(b from 2), \"date\", date)",
            "DROP INDEX i",
            "DROP INDEX CONCURRENTLY IF EXISTS i, public.j RESTRICT",
            "CREATE INDEX IF NOT EXISTS ON t (a)",
            "CREATE INDEX public.i ON t (a)",
            "CREATE INDEX i ON t ()",
            "CREATE INDEX i ON t",
            "CREATE INDEX i ON t (a + 1)",
            "CREATE INDEX i ON t (lower(a) || 'x')",
            "CREATE INDEX i ON t ((a + 1)",
            "CREATE INDEX i ON t ((select 1))",
            "CREATE INDEX i ON t (a DESC ASC)",
            "CREATE INDEX i ON t (a), (b)",
            "CREATE INDEX i ON t (a text_pattern_ops)",
            "CREATE INDEX i ON t (a COLLATE \"C\")",
            "CREATE INDEX i ON t (a) INCLUDE (b)",
            "CREATE INDEX i ON t (a) WITH (fillfactor = 70)",
            "CREATE INDEX i ON t (a) TABLESPACE x",
            "CREATE INDEX i ON t (a) WHERE a > 1",
            "CREATE UNIQUE INDEX i ON t (a)",
            "REINDEX TABLE t",
        ],
        expect![[r#"
            CREATE INDEX i ON t (a)
                index i@14 on t@19 using btree@19 (<a>@22 None None)
            create index concurrently if not exists "I" on only public.T using Hash ((a))
                index concurrently if not exists I@41 on public.t@53 using hash@68 (<a>@74 None None)
            CREATE INDEX ON t (a ASC, lower(b) DESC NULLS FIRST, (a + 1) NULLS LAST, substring(b from 2), "date", date)
                index ? on t@17 using btree@17 (<a>@20 Some(false) None, <lower(b)>@27 Some(true) Some(true), <a + 1>@54 None Some(false), <substring(b from 2)>@74 None None, <"date">@95 None None, <date>@103 None None)
            DROP INDEX i
                drop Index i@12
            DROP INDEX CONCURRENTLY IF EXISTS i, public.j RESTRICT
                drop Index concurrently if exists i@35, public.j@38
            CREATE INDEX IF NOT EXISTS ON t (a)
                error 42601 at 28: syntax error at or near "ON"
            CREATE INDEX public.i ON t (a)
                error 42601 at 20: syntax error at or near "."
            CREATE INDEX i ON t ()
                error 42601 at 22: syntax error at or near ")"
            CREATE INDEX i ON t
                error 42601 at 20: syntax error at end of input
            CREATE INDEX i ON t (a + 1)
                error 42601 at 24: syntax error at or near "+"
            CREATE INDEX i ON t (lower(a) || 'x')
                error 42601 at 31: syntax error at or near "||"
            CREATE INDEX i ON t ((a + 1)
                error 42601 at 29: syntax error at end of input
            CREATE INDEX i ON t ((select 1))
                error 42601 at 23: syntax error at or near "select"
            CREATE INDEX i ON t (a DESC ASC)
                error 42601 at 29: syntax error at or near "ASC"
            CREATE INDEX i ON t (a), (b)
                error 42601 at 24: syntax error at or near ","
            CREATE INDEX i ON t (a text_pattern_ops)
                refused 0A000 at 24: CREATE INDEX with an operator class is not supported
            CREATE INDEX i ON t (a COLLATE "C")
                refused 0A000 at 24: CREATE INDEX … COLLATE is not supported
            CREATE INDEX i ON t (a) INCLUDE (b)
                refused 0A000 at 25: CREATE INDEX … INCLUDE is not supported
            CREATE INDEX i ON t (a) WITH (fillfactor = 70)
                refused 0A000 at 25: CREATE INDEX … WITH is not supported
            CREATE INDEX i ON t (a) TABLESPACE x
                refused 0A000 at 25: CREATE INDEX … TABLESPACE is not supported
            CREATE INDEX i ON t (a) WHERE a > 1
                refused 0A000 at 25: CREATE INDEX … WHERE is not supported
                  hint: Create a materialized view of these rows, and an index on it.
            CREATE UNIQUE INDEX i ON t (a)
                index i@21 on t@26 using btree@26 (<a>@29 None None)
            REINDEX TABLE t
                refused 0A000 at 1: REINDEX is not supported
                  hint: An index is always up to date.
        "#]],
    );
}

#[test]
fn create_table() {
    check(
        &[
            "CREATE TABLE t (a int, b INTEGER, c int4, d bigint, e int8)",
            "CREATE TABLE t (a bool, b boolean, c double precision, d float8, e float, f float(53))",
            "CREATE TABLE t (a text, b varchar, c character varying, d timestamp, e timestamp(6) without time zone)",
            "create table if not exists public.Readings (At timestamp not null, \"Value\" float8 null)",
            "CREATE TABLE t (a pg_catalog.int4, b pg_catalog.text NOT NULL)",
            "CREATE TABLE t (a int) WITH (append_only = true, retention = '0')",
            "CREATE TABLE t (a int) WITH (retention = 0, append_only)",
            "CREATE TABLE t (a int) WITH (append_only = on, retention = '0')",
            "CREATE TABLE t ()",
            "CREATE TABLE \"select\" (\"from\" int, value int, key text, at timestamp, name text, data text)",
        ],
        expect![[r#"
            CREATE TABLE t (a int, b INTEGER, c int4, d bigint, e int8)
                table t@14 (a integer, b integer, c integer, d bigint, e bigint)
            CREATE TABLE t (a bool, b boolean, c double precision, d float8, e float, f float(53))
                table t@14 (a boolean, b boolean, c double precision, d double precision, e double precision, f double precision)
            CREATE TABLE t (a text, b varchar, c character varying, d timestamp, e timestamp(6) without time zone)
                table t@14 (a text, b varchar, c varchar, d timestamp, e timestamp(6))
            create table if not exists public.Readings (At timestamp not null, "Value" float8 null)
                table if not exists public.readings@28 (at timestamp not null, Value double precision)
            CREATE TABLE t (a pg_catalog.int4, b pg_catalog.text NOT NULL)
                table t@14 (a integer, b text not null)
            CREATE TABLE t (a int) WITH (append_only = true, retention = '0')
                table t@14 (a integer) stream
            CREATE TABLE t (a int) WITH (retention = 0, append_only)
                table t@14 (a integer) stream
            CREATE TABLE t (a int) WITH (append_only = on, retention = '0')
                table t@14 (a integer) stream
            CREATE TABLE t ()
                table t@14 ()
            CREATE TABLE "select" ("from" int, value int, key text, at timestamp, name text, data text)
                table select@14 (from integer, value integer, key text, at timestamp, name text, data text)
        "#]],
    );
}

#[test]
fn create_materialized_view() {
    check(
        &[
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            "CREATE MATERIALIZED VIEW IF NOT EXISTS public.v (a, \"B\") AS\n  SELECT x, /* why */ y\n  FROM t -- end\n ;",
            "CREATE MATERIALIZED VIEW v AS (SELECT 1) UNION ALL VALUES (2) WITH DATA",
            "CREATE MATERIALIZED VIEW v AS WITH w AS (SELECT 1 AS a) SELECT * FROM w",
            "CREATE MATERIALIZED VIEW v AS TABLE t",
        ],
        expect![[r#"
            CREATE MATERIALIZED VIEW v AS SELECT 1
                view v@26 [] <SELECT 1>
            CREATE MATERIALIZED VIEW IF NOT EXISTS public.v (a, "B") AS
              SELECT x, /* why */ y
              FROM t -- end
             ;
                view if not exists public.v@40 [a@50, B@53] <SELECT x, /* why */ y
              FROM t>
            CREATE MATERIALIZED VIEW v AS (SELECT 1) UNION ALL VALUES (2) WITH DATA
                view v@26 [] <(SELECT 1) UNION ALL VALUES (2)>
            CREATE MATERIALIZED VIEW v AS WITH w AS (SELECT 1 AS a) SELECT * FROM w
                view v@26 [] <WITH w AS (SELECT 1 AS a) SELECT * FROM w>
            CREATE MATERIALIZED VIEW v AS TABLE t
                view v@26 [] <TABLE t>
        "#]],
    );
}

#[test]
fn drop() {
    check(
        &[
            "DROP TABLE t",
            "DROP TABLE IF EXISTS t, public.u CASCADE",
            "DROP MATERIALIZED VIEW v RESTRICT",
            "DROP VIEW IF EXISTS v",
        ],
        expect![[r#"
            DROP TABLE t
                drop Table t@12
            DROP TABLE IF EXISTS t, public.u CASCADE
                drop Table if exists t@22, public.u@25 cascade
            DROP MATERIALIZED VIEW v RESTRICT
                drop MaterializedView v@24
            DROP VIEW IF EXISTS v
                drop View if exists v@21
        "#]],
    );
}

#[test]
fn changes() {
    check(
        &[
            "INSERT INTO t VALUES (1, 'a'), (2, DEFAULT)",
            "INSERT INTO public.t (a, \"B\") SELECT 1, 2",
            "INSERT INTO t (a) (SELECT 1)",
            "INSERT INTO t (SELECT 1)",
            "INSERT INTO t ((SELECT 1) UNION SELECT 2)",
            "INSERT INTO t WITH w AS (SELECT 1) SELECT * FROM w",
            "INSERT INTO t TABLE u",
            "INSERT INTO t VALUES ($1, $2)",
            "DELETE FROM t",
            "DELETE FROM ONLY t WHERE a > 1 AND b IN (SELECT b FROM u)",
        ],
        expect![[r#"
            INSERT INTO t VALUES (1, 'a'), (2, DEFAULT)
                insert t@13 [] VALUES (1, 'a'), (2, DEFAULT)
            INSERT INTO public.t (a, "B") SELECT 1, 2
                insert public.t@13 [a@23, B@26] SELECT 1, 2
            INSERT INTO t (a) (SELECT 1)
                insert t@13 [a@16] (SELECT 1)
            INSERT INTO t (SELECT 1)
                insert t@13 [] (SELECT 1)
            INSERT INTO t ((SELECT 1) UNION SELECT 2)
                insert t@13 [] ((SELECT 1) UNION SELECT 2)
            INSERT INTO t WITH w AS (SELECT 1) SELECT * FROM w
                insert t@13 [] WITH w AS (SELECT 1) SELECT * FROM w
            INSERT INTO t TABLE u
                insert t@13 [] SELECT * FROM u
            INSERT INTO t VALUES ($1, $2)
                insert t@13 [] VALUES ($1, $2)
            DELETE FROM t
                delete t@13
            DELETE FROM ONLY t WHERE a > 1 AND b IN (SELECT b FROM u)
                delete t@18 where a > 1 AND b IN (SELECT b FROM u)
        "#]],
    );
}

#[test]
fn queries() {
    check(
        &[
            "SELECT a, count(*) FROM t WHERE b > 1 GROUP BY a HAVING count(*) > 2 ORDER BY 1 LIMIT 3",
            "VALUES (1, 'a'), (2, 'b')",
            "TABLE t",
            "TABLE public.t",
            "WITH w (x) AS (SELECT 1) SELECT * FROM w",
            "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
            "((SELECT 1))",
            "SELECT 1::int4, 'a'::regclass, E'\\n', $tag$x$tag$, U&'\\0041', B'101', X'1F'",
        ],
        expect![[r#"
            SELECT a, count(*) FROM t WHERE b > 1 GROUP BY a HAVING count(*) > 2 ORDER BY 1 LIMIT 3
                select SELECT a, count(*) FROM t WHERE b > 1 GROUP BY a HAVING count(*) > 2 ORDER BY 1 LIMIT 3
            VALUES (1, 'a'), (2, 'b')
                select VALUES (1, 'a'), (2, 'b')
            TABLE t
                select SELECT * FROM t
            TABLE public.t
                select SELECT * FROM public.t
            WITH w (x) AS (SELECT 1) SELECT * FROM w
                select WITH w (x) AS (SELECT 1) SELECT * FROM w
            (SELECT 1) UNION ALL (SELECT 2) ORDER BY 1
                select (SELECT 1) UNION ALL (SELECT 2) ORDER BY 1
            ((SELECT 1))
                select ((SELECT 1))
            SELECT 1::int4, 'a'::regclass, E'\n', $tag$x$tag$, U&'\0041', B'101', X'1F'
                select SELECT 1::INT4, 'a'::REGCLASS, E'\n', $tag$x$tag$, U&'A', B'101', X'1F'
        "#]],
    );
}

#[test]
fn subscribe() {
    check(
        &[
            "SUBSCRIBE v",
            "SUBSCRIBE TO public.v",
            "SUBSCRIBE (SELECT * FROM v)",
            "SUBSCRIBE v WITH (PROGRESS)",
            "SUBSCRIBE TO v WITH (PROGRESS = false, SNAPSHOT off) AS OF 5",
            "SUBSCRIBE v WITH (SNAPSHOT = 'false', PROGRESS 1) AS OF '1700000000000000'",
            "SUBSCRIBE \"to\" AS OF 0",
        ],
        expect![[r#"
            SUBSCRIBE v
                subscribe v@11 snapshot=true progress=false as_of=None
            SUBSCRIBE TO public.v
                subscribe public.v@14 snapshot=true progress=false as_of=None
            SUBSCRIBE (SELECT * FROM v)
                subscribe v@26 snapshot=true progress=false as_of=None
            SUBSCRIBE v WITH (PROGRESS)
                subscribe v@11 snapshot=true progress=true as_of=None
            SUBSCRIBE TO v WITH (PROGRESS = false, SNAPSHOT off) AS OF 5
                subscribe v@14 snapshot=false progress=false as_of=Some(5)
            SUBSCRIBE v WITH (SNAPSHOT = 'false', PROGRESS 1) AS OF '1700000000000000'
                subscribe v@11 snapshot=false progress=true as_of=Some(1700000000000000)
            SUBSCRIBE "to" AS OF 0
                subscribe to@11 snapshot=true progress=false as_of=Some(0)
        "#]],
    );
}

#[test]
fn copy() {
    check(
        &[
            "COPY t FROM STDIN",
            "COPY public.t (a, \"B\") FROM STDIN",
            "COPY t FROM STDIN CSV HEADER DELIMITER ','",
            "COPY t FROM stdin WITH DELIMITER AS '|' NULL AS 'null' CSV QUOTE ''''",
            "COPY  t FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', QUOTE '|', NULL 'n', ENCODING 'UTF-8')",
            "COPY t FROM STDIN (FORMAT \"csv\", HEADER false, ESCAPE '\"')",
            "COPY t FROM STDIN (DELIMITER E'\\t')",
            "COPY t TO STDOUT",
            "COPY t (a) TO STDOUT WITH CSV",
            "COPY (SELECT a FROM t ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER true)",
            "COPY (VALUES (1)) TO STDOUT",
            "COPY (SUBSCRIBE v WITH (PROGRESS) AS OF 7) TO STDOUT",
        ],
        expect![[r#"
            COPY t FROM STDIN
                copy t@6 [] from Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY public.t (a, "B") FROM STDIN
                copy public.t@6 [a@16, B@19] from Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY t FROM STDIN CSV HEADER DELIMITER ','
                copy t@6 [] from Lines(LineFormat { csv: true, header: true, delimiter: 44, quote: 34, null: "" })
            COPY t FROM stdin WITH DELIMITER AS '|' NULL AS 'null' CSV QUOTE ''''
                copy t@6 [] from Lines(LineFormat { csv: true, header: false, delimiter: 124, quote: 39, null: "null" })
            COPY  t FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';', QUOTE '|', NULL 'n', ENCODING 'UTF-8')
                copy t@7 [] from Lines(LineFormat { csv: true, header: true, delimiter: 59, quote: 124, null: "n" })
            COPY t FROM STDIN (FORMAT "csv", HEADER false, ESCAPE '"')
                copy t@6 [] from Lines(LineFormat { csv: true, header: false, delimiter: 44, quote: 34, null: "" })
            COPY t FROM STDIN (DELIMITER E'\t')
                copy t@6 [] from Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY t TO STDOUT
                copy t@6 [] to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY t (a) TO STDOUT WITH CSV
                copy t@6 [a@9] to Lines(LineFormat { csv: true, header: false, delimiter: 44, quote: 34, null: "" })
            COPY (SELECT a FROM t ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER true)
                copy (SELECT a FROM t ORDER BY 1) to Lines(LineFormat { csv: true, header: true, delimiter: 44, quote: 34, null: "" })
            COPY (VALUES (1)) TO STDOUT
                copy (VALUES (1)) to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
            COPY (SUBSCRIBE v WITH (PROGRESS) AS OF 7) TO STDOUT
                copy (subscribe v@17 snapshot=true progress=true as_of=Some(7)) to Lines(LineFormat { csv: false, header: false, delimiter: 9, quote: 34, null: "\\N" })
        "#]],
    );
}

#[test]
fn explain() {
    check(
        &[
            "EXPLAIN SELECT 1",
            "EXPLAIN (SELECT 1)",
            "EXPLAIN TABLE t",
            "EXPLAIN CREATE MATERIALIZED VIEW v (a) AS SELECT 1",
            "EXPLAIN MATERIALIZED VIEW v",
        ],
        expect![[r#"
            EXPLAIN SELECT 1
                explain SELECT 1
            EXPLAIN (SELECT 1)
                explain (SELECT 1)
            EXPLAIN TABLE t
                explain SELECT * FROM t
            EXPLAIN CREATE MATERIALIZED VIEW v (a) AS SELECT 1
                explain view v@34 [a@37] <SELECT 1>
            EXPLAIN MATERIALIZED VIEW v
                explain view v@27
        "#]],
    );
}

#[test]
fn settings() {
    check(
        &[
            "SET search_path TO \"$user\", Public",
            "SET Statement_Timeout = '1s'",
            "SET SESSION extra_float_digits = -3",
            "SET my.own TO on",
            "SET x TO DEFAULT",
            "SET TIME ZONE 'UTC'",
            "SET SESSION TIME ZONE LOCAL",
            "SET NAMES 'utf8'",
            "SET ROLE bob",
            "SET SESSION AUTHORIZATION bob",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            "RESET ALL",
            "RESET TIME ZONE",
            "RESET search_path",
            "SHOW ALL",
            "SHOW TIME ZONE",
            "SHOW TRANSACTION ISOLATION LEVEL",
            "SHOW server_version",
        ],
        expect![[r#"
            SET search_path TO "$user", Public
                Set([Setting { name: "search_path", value: Some("\"$user\", public"), reach: Session }])
            SET Statement_Timeout = '1s'
                Set([Setting { name: "statement_timeout", value: Some("1s"), reach: Session }])
            SET SESSION extra_float_digits = -3
                Set([Setting { name: "extra_float_digits", value: Some("-3"), reach: Session }])
            SET my.own TO on
                Set([Setting { name: "my.own", value: Some("on"), reach: Session }])
            SET x TO DEFAULT
                Set([Setting { name: "x", value: None, reach: Session }])
            SET TIME ZONE 'UTC'
                Set([Setting { name: "timezone", value: Some("UTC"), reach: Session }])
            SET SESSION TIME ZONE LOCAL
                Set([Setting { name: "timezone", value: None, reach: Session }])
            SET NAMES 'utf8'
                Set([Setting { name: "client_encoding", value: Some("utf8"), reach: Session }])
            SET ROLE bob
                Set([Setting { name: "role", value: Some("bob"), reach: Session }])
            SET SESSION AUTHORIZATION bob
                Set([Setting { name: "session_authorization", value: Some("bob"), reach: Session }])
            SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
                Set([Setting { name: "default_transaction_isolation", value: Some("read committed"), reach: Session }])
            SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE
                Set([Setting { name: "transaction_isolation", value: Some("serializable"), reach: Transaction }, Setting { name: "transaction_read_only", value: Some("off"), reach: Transaction }])
            RESET ALL
                Set([Setting { name: "all", value: None, reach: Session }])
            RESET TIME ZONE
                Set([Setting { name: "timezone", value: None, reach: Session }])
            RESET search_path
                Set([Setting { name: "search_path", value: None, reach: Session }])
            SHOW ALL
                Show { name: "all" }
            SHOW TIME ZONE
                Show { name: "timezone" }
            SHOW TRANSACTION ISOLATION LEVEL
                Show { name: "transaction_isolation" }
            SHOW server_version
                Show { name: "server_version" }
        "#]],
    );
}

#[test]
fn sessions() {
    check(
        &[
            "BEGIN",
            "BEGIN WORK",
            "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE NOT DEFERRABLE",
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "COMMIT",
            "COMMIT WORK AND NO CHAIN",
            "END TRANSACTION",
            "ROLLBACK",
            "ABORT",
            "DEALLOCATE s",
            "DEALLOCATE PREPARE \"S\"",
            "DEALLOCATE ALL",
            "DISCARD ALL",
        ],
        expect![[r#"
            BEGIN
                Begin([])
            BEGIN WORK
                Begin([])
            BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE NOT DEFERRABLE
                Begin([Setting { name: "transaction_isolation", value: Some("serializable"), reach: Local }, Setting { name: "transaction_read_only", value: Some("off"), reach: Local }, Setting { name: "transaction_deferrable", value: Some("off"), reach: Local }])
            START TRANSACTION ISOLATION LEVEL REPEATABLE READ
                Begin([Setting { name: "transaction_isolation", value: Some("repeatable read"), reach: Local }])
            COMMIT
                Commit { chain: false }
            COMMIT WORK AND NO CHAIN
                Commit { chain: false }
            END TRANSACTION
                Commit { chain: false }
            ROLLBACK
                Rollback { chain: false }
            ABORT
                Rollback { chain: false }
            DEALLOCATE s
                Deallocate { name: Some("s") }
            DEALLOCATE PREPARE "S"
                Deallocate { name: Some("S") }
            DEALLOCATE ALL
                Deallocate { name: None }
            DISCARD ALL
                Discard { all: true }
        "#]],
    );
}
