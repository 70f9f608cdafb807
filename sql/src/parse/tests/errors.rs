//! What is not SQL, and what is SQL that we do not have.

use expect_test::{Expect, expect};

fn check(texts: &[&str], expected: Expect) {
    expected.assert_eq(&super::parsed(texts));
}

#[test]
fn syntax_errors_point_into_the_whole_text() {
    check(
        &[
            "selec 1",
            "select 1 +",
            "select 1 +;",
            "select 1; select 2;\n  select from where",
            "select 'ä', 'ö' frm",
            "select 'ä' from t where",
            "select (1",
            "select 1)",
            "select * from t limit limit",
            "select 1 2",
            "create table t (a int",
            "create table t (a int,)",
            "create table t (a)",
            "create table t",
            "create table order (a int)",
            "create table t (user text)",
            "create table t (a int) with (append_only = )",
            "create table t (a int null not null)",
            "create",
            "drop",
            "drop table",
            "drop table t cascade restrict",
            "insert t values (1)",
            "insert into t (a, b values (1)",
            "insert into t",
            "delete t",
            "delete from t where",
            "delete from t where a = 1 b",
            "subscribe",
            "subscribe v as of",
            "subscribe v with (progress = maybe)",
            "copy t",
            "copy t from",
            "copy (select 1) from stdin",
            "copy t from stdin with (format)",
            "copy t from stdin (colour 'red')",
            "copy t from stdin csv csv",
            "set x",
            "set x to",
            "set x to 1,",
            "show",
            "begin isolation level chaos",
            "begin read write,",
            "commit now",
            "explain",
            "discard",
            "table",
            "t",
            ")",
            "1",
            "select \"\"",
            "create table \"\" (a int)",
        ],
        expect![[r#"
            selec 1
                error 42601 at 1: syntax error at or near "selec"
            select 1 +
                error 42601 at 11: syntax error at end of input
            select 1 +;
                error 42601 at 11: syntax error at or near ";"
            select 1; select 2;
              select from where
                select SELECT 1
                select SELECT 2
                select SELECT FROM where
            select 'ä', 'ö' frm
                select SELECT 'ä', 'ö' AS frm
            select 'ä' from t where
                error 42601 at 24: syntax error at end of input
            select (1
                error 42601 at 10: syntax error at end of input
            select 1)
                error 42601 at 9: syntax error at or near ")"
            select * from t limit limit
                select SELECT * FROM t LIMIT limit
            select 1 2
                error 42601 at 10: syntax error at or near "2"
            create table t (a int
                error 42601 at 22: syntax error at end of input
            create table t (a int,)
                error 42601 at 23: syntax error at or near ")"
            create table t (a)
                error 42601 at 18: syntax error at or near ")"
            create table t
                error 42601 at 15: syntax error at end of input
            create table order (a int)
                error 42601 at 14: syntax error at or near "order"
            create table t (user text)
                error 42601 at 17: syntax error at or near "user"
            create table t (a int) with (append_only = )
                error 42601 at 44: syntax error at or near ")"
            create table t (a int null not null)
                error 42601 at 28: conflicting NULL/NOT NULL declarations for column "a" of table "t"
            create
                error 42601 at 7: syntax error at end of input
            drop
                error 42601 at 5: syntax error at end of input
            drop table
                error 42601 at 11: syntax error at end of input
            drop table t cascade restrict
                error 42601 at 22: syntax error at or near "restrict"
            insert t values (1)
                error 42601 at 8: syntax error at or near "t"
            insert into t (a, b values (1)
                error 42601 at 21: syntax error at or near "values"
            insert into t
                error 42601 at 14: syntax error at end of input
            delete t
                error 42601 at 8: syntax error at or near "t"
            delete from t where
                error 42601 at 20: syntax error at end of input
            delete from t where a = 1 b
                error 42601 at 27: syntax error at or near "b"
            subscribe
                error 42601 at 10: syntax error at end of input
            subscribe v as of
                error 42601 at 18: syntax error at end of input
            subscribe v with (progress = maybe)
                error 42601 at 30: progress requires a Boolean value
            copy t
                error 42601 at 7: syntax error at end of input
            copy t from
                error 42601 at 12: syntax error at end of input
            copy (select 1) from stdin
                error 42601 at 17: syntax error at or near "FROM"
            copy t from stdin with (format)
                error 42601 at 31: syntax error at or near ")"
            copy t from stdin (colour 'red')
                error 42601 at 20: option "colour" not recognized
            copy t from stdin csv csv
                error 42601 at 23: conflicting or redundant options
            set x
                error 42601 at 6: syntax error at end of input
            set x to
                error 42601 at 9: syntax error at end of input
            set x to 1,
                error 42601 at 12: syntax error at end of input
            show
                error 42601 at 5: syntax error at end of input
            begin isolation level chaos
                error 42601 at 23: syntax error at or near "chaos"
            begin read write,
                error 42601 at 18: syntax error at end of input
            commit now
                error 42601 at 8: syntax error at or near "now"
            explain
                error 42601 at 8: syntax error at end of input
            discard
                error 42601 at 8: syntax error at end of input
            table
                error 42601 at 6: syntax error at end of input
            t
                error 42601 at 1: syntax error at or near "t"
            )
                error 42601 at 1: syntax error at or near ")"
            1
                error 42601 at 1: syntax error at or near "1"
            select ""
                error 42601 at 8: zero-length delimited identifier
            create table "" (a int)
                error 42601 at 14: zero-length delimited identifier
        "#]],
    );
}

#[test]
fn what_is_opened_must_be_closed() {
    check(
        &[
            "select 'abc",
            "select 1; select \"abc",
            "select /* a /* b */",
            "select $$abc",
            "select $x$abc$$",
            "select E'a",
        ],
        expect![[r#"
            select 'abc
                error 42601 at 8: unterminated quoted string at or near "'abc"
            select 1; select "abc
                error 42601 at 18: unterminated quoted identifier at or near ""abc"
            select /* a /* b */
                error 42601 at 20: unterminated /* comment at end of input
            select $$abc
                error 42601 at 13: unterminated dollar-quoted string at end of input
            select $x$abc$$
                error 42601 at 16: unterminated dollar-quoted string at end of input
            select E'a
                error 42601 at 8: unterminated quoted string at or near "E'a"
        "#]],
    );
}

#[test]
fn names() {
    let long = format!("create table {} (a int)", "ä".repeat(32));
    let fits = format!("create table {} (a int)", "a".repeat(63));
    check(
        &[
            "create table other.t (a int)",
            "drop table a.b.c",
            "insert into pg_catalog.pg_class values (1)",
            "create table information_schema.t (a int)",
            "create table t (a int, b int, A int)",
            &long,
            &fits,
        ],
        expect![[r#"
            create table other.t (a int)
                table other.t@14 (a integer)
            drop table a.b.c
                refused 0A000 at 12: cross-database references are not implemented: "a.b.c"
            insert into pg_catalog.pg_class values (1)
                insert pg_catalog.pg_class@13 [] VALUES (1)
            create table information_schema.t (a int)
                table information_schema.t@14 (a integer)
            create table t (a int, b int, A int)
                refused 42701 at 31: column "a" specified more than once
            create table ääääääääääääääääääääääääääääääää (a int)
                refused 42622 at 14: identifier "ääääääääääääääääääääääääääääääää" is too long
                  detail: A name can have 63 bytes, this one has 64.
            create table aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (a int)
                table aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@14 (a integer)
        "#]],
    );
}

#[test]
fn tables_that_we_do_not_have() {
    check(
        &[
            "create table t (a int, b numeric)",
            "create table t (b decimal(39))",
            "create table t (b numeric(0))",
            "create table t (a interval)",
            "create table t (a numeric(10, 2), b decimal(5), c date, d pg_catalog.date)",
            "create table t (a varchar(10))",
            "create table t (a timestamp(3))",
            "create table t (a timestamptz)",
            "create table t (a timestamp with time zone)",
            "create table t (a int[])",
            "create table t (a serial)",
            "create table t (a moody)",
            "create table t (a real, b smallint, c float(24), d pg_catalog.int2)",
            "create table t (a float(0))",
            "create table t (a int primary key)",
            "create table t (a int not null default 1)",
            "create table t (a int check (a > 0))",
            "create table t (a int references u)",
            "create table t (a int generated always as identity)",
            "create table t (a int constraint c not null)",
            "create table t (a text collate \"C\")",
            "create table t (a int, primary key (a))",
            "create table t (a int, constraint c check (a > 0))",
            "create table t (like u)",
            "create table t (a int) inherits (u)",
            "create table t (a int) partition by range (a)",
            "create table t (a int) on commit drop",
            "create table t (a int) tablespace x",
            "create table t (a int) using heap",
            "create table t as select 1",
            "create table t (a int) with (append_only)",
            "create table t (a int) with (retention = '0')",
            "create table t (a int) with (append_only, retention = '1d')",
            "create table t (a int) with (append_only = maybe, retention = '0')",
            "create table t (a int) with (fillfactor = 70)",
            "create table t (a int) with (append_only = false, retention = '0')",
            "create temp table t (a int)",
            "create temp table t (a int) on commit drop",
            "create temp table t on commit delete rows as select 1",
            "create unlogged table t (a int)",
            "create stream t (a int)",
        ],
        expect![[r#"
            create table t (a int, b numeric)
                table t@14 (a integer, b numeric)
            create table t (b decimal(39))
                table t@14 (b numeric(39,0))
            create table t (b numeric(0))
                refused 22023 at 19: NUMERIC precision 0 must be between 1 and 1000
            create table t (a interval)
                table t@14 (a interval)
            create table t (a numeric(10, 2), b decimal(5), c date, d pg_catalog.date)
                table t@14 (a numeric(10,2), b numeric(5,0), c date, d date)
            create table t (a varchar(10))
                table t@14 (a varchar(10))
            create table t (a timestamp(3))
                table t@14 (a timestamp(3))
            create table t (a timestamptz)
                table t@14 (a timestamptz)
            create table t (a timestamp with time zone)
                table t@14 (a timestamptz)
            create table t (a int[])
                table t@14 (a integer[])
            create table t (a serial)
                table t@14 (a integer not null)
            create table t (a moody)
                refused 42704 at 19: type "moody" does not exist
            create table t (a real, b smallint, c float(24), d pg_catalog.int2)
                table t@14 (a real, b smallint, c real, d smallint)
            create table t (a float(0))
                refused 22023 at 19: precision for type float must be at least 1 bit
            create table t (a int primary key)
                table t@14 (a integer, ? primary key [a@17])
            create table t (a int not null default 1)
                table t@14 (a integer not null default <1>)
            create table t (a int check (a > 0))
                table t@14 (a integer, ? check <a > 0>)
            create table t (a int references u)
                refused 0A000 at 23: CREATE TABLE … REFERENCES is not supported
                  hint: It is planned for a later version; today there are NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, CHECK.
            create table t (a int generated always as identity)
                table t@14 (a integer not null)
            create table t (a int constraint c not null)
                table t@14 (a integer not null)
            create table t (a text collate "C")
                refused 0A000 at 24: CREATE TABLE … COLLATE is not supported
                  hint: It is planned for a later version; today there are NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, CHECK.
            create table t (a int, primary key (a))
                table t@14 (a integer, ? primary key [a@37])
            create table t (a int, constraint c check (a > 0))
                table t@14 (a integer, c@35 check <a > 0>)
            create table t (like u)
                refused 0A000 at 17: CREATE TABLE … LIKE is not supported
                  hint: It is planned for a later version; today there are NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, CHECK.
            create table t (a int) inherits (u)
                refused 0A000 at 24: CREATE TABLE … INHERITS is not supported
            create table t (a int) partition by range (a)
                refused 0A000 at 24: CREATE TABLE … PARTITION BY is not supported
            create table t (a int) on commit drop
                refused 42P16 at 24: ON COMMIT can only be used on temporary tables
            create table t (a int) tablespace x
                refused 0A000 at 24: CREATE TABLE … TABLESPACE is not supported
            create table t (a int) using heap
                refused 0A000 at 24: CREATE TABLE … USING is not supported
            create table t as select 1
                table t@14 () as SELECT 1 with data true
            create table t (a int) with (append_only)
                refused 22023 at 30: append_only and retention = '0' must be given together
                  detail: Together they make a stream, a table that keeps no rows.
            create table t (a int) with (retention = '0')
                refused 22023 at 30: append_only and retention = '0' must be given together
                  detail: Together they make a stream, a table that keeps no rows.
            create table t (a int) with (append_only, retention = '1d')
                refused 22023 at 30: invalid value for parameter "retention": "1d"
                  hint: A table keeps all its rows, or none with retention = '0'.
            create table t (a int) with (append_only = maybe, retention = '0')
                refused 22023 at 30: invalid value for boolean option "append_only": maybe
            create table t (a int) with (fillfactor = 70)
                refused 22023 at 30: unrecognized parameter "fillfactor"
                  hint: A table can have the parameters append_only and retention.
            create table t (a int) with (append_only = false, retention = '0')
                refused 22023 at 30: append_only and retention = '0' must be given together
                  detail: Together they make a stream, a table that keeps no rows.
            create temp table t (a int)
                table pg_temp.t@19 (a integer)
            create temp table t (a int) on commit drop
                table pg_temp.t@19 (a integer) on commit Drop
            create temp table t on commit delete rows as select 1
                table pg_temp.t@19 () as SELECT 1 with data true on commit DeleteRows
            create unlogged table t (a int)
                refused 0A000 at 1: CREATE UNLOGGED TABLE is not supported
            create stream t (a int)
                refused 0A000 at 1: CREATE STREAM is not supported
                  hint: Use CREATE TABLE … WITH (append_only, retention = '0').
        "#]],
    );
}

#[test]
fn clauses_that_we_do_not_have() {
    check(
        &[
            "create materialized view v with (fillfactor = 70) as select 1",
            "create materialized view v using heap as select 1",
            "create materialized view v as select 1 with no data",
            "create materialized view v as select 1 emit on window close",
            "create or replace materialized view v as select 1",
            "insert into t values (1) on conflict do nothing",
            "insert into t values (1) returning a",
            "insert into t default values",
            "insert into t as x values (1)",
            "insert into t overriding system value values (1)",
            "delete from t using u",
            "delete from t x where x.a = 1",
            "delete from t as x",
            "delete from t returning a",
            "delete from t where a = 1 returning a",
            "delete from t where a = 1 order by a limit 1",
            "select 1 for update",
            "select * from t for share of t",
            "select 1 into t",
            "select * from t as of 5",
            "with w as (insert into t values (1) returning a) select * from w",
            "with w as (select 1) insert into t select * from w",
            "with w as (select 1) delete from t",
            "select * from (select 1 for update) x",
            "subscribe (select a from v)",
            "subscribe (select * from v where a > 1)",
            "subscribe (values (1))",
            "subscribe v envelope upsert (key (id))",
            "subscribe v up to 7",
            "subscribe v as of at least 7",
            "subscribe v as of $1",
            "subscribe v as of -1",
            "subscribe v as of 99999999999999999999",
            "subscribe v with (colour)",
            "explain analyze select 1",
            "explain verbose select 1",
            "explain (format json) select 1",
            "explain insert into t values (1)",
            "set local x = 1",
            "set constraints all deferred",
            "set transaction read only",
            "set transaction snapshot 'x'",
            "begin read only",
            "begin deferrable",
            "commit and chain",
            "commit prepared 'x'",
            "rollback to savepoint a",
            "rollback to a",
            "discard plans",
        ],
        expect![[r#"
            create materialized view v with (fillfactor = 70) as select 1
                refused 22023 at 34: unrecognized parameter "fillfactor"
                  hint: A materialized view can have the parameters on_error and memory_limit.
            create materialized view v using heap as select 1
                refused 0A000 at 28: CREATE MATERIALIZED VIEW … USING is not supported
            create materialized view v as select 1 with no data
                refused 0A000 at 40: CREATE MATERIALIZED VIEW … WITH NO DATA is not supported
            create materialized view v as select 1 emit on window close
                error 42601 at 45: syntax error at or near "on"
            create or replace materialized view v as select 1
                refused 0A000 at 1: CREATE MATERIALIZED VIEW is not supported
            insert into t values (1) on conflict do nothing
                insert t@13 [] VALUES (1) on conflict OnConflict { target: None, action: Nothing }
            insert into t values (1) returning a
                insert t@13 [] VALUES (1) returning a
            insert into t default values
                insert t@13 [] default values
            insert into t as x values (1)
                insert t@13 [] VALUES (1)
            insert into t overriding system value values (1)
                insert t@13 [] VALUES (1)
            delete from t using u
                delete t@13 using u
            delete from t x where x.a = 1
                delete t@13 as x@15 where x.a = 1
            delete from t as x
                delete t@13 as x@18
            delete from t returning a
                delete t@13 returning a
            delete from t where a = 1 returning a
                delete t@13 where a = 1 returning a
            delete from t where a = 1 order by a limit 1
                refused 0A000 at 27: DELETE … ORDER BY is not supported
            select 1 for update
                error 42601 at 14: syntax error at or near "update"
            select * from t for share of t
                refused 0A000 at 1: SELECT … FOR UPDATE or FOR SHARE is not supported
            select 1 into t
                refused 0A000 at 1: SELECT … INTO is not supported
            select * from t as of 5
                error 42601 at 23: syntax error at or near "5"
            with w as (insert into t values (1) returning a) select * from w
                refused 0A000: INSERT, UPDATE, DELETE or MERGE with WITH or inside a query is not supported
            with w as (select 1) insert into t select * from w
                insert t@34 [] SELECT * FROM w
            with w as (select 1) delete from t
                delete t@34
            select * from (select 1 for update) x
                error 42601 at 23: syntax error at or near "1"
            subscribe (select a from v)
                refused 0A000 at 12: SUBSCRIBE to a query is not supported
                  hint: Create a materialized view of the query and subscribe to that.
            subscribe (select * from v where a > 1)
                refused 0A000 at 12: SUBSCRIBE to a query is not supported
                  hint: Create a materialized view of the query and subscribe to that.
            subscribe (values (1))
                refused 0A000 at 12: SUBSCRIBE to a query is not supported
                  hint: Create a materialized view of the query and subscribe to that.
            subscribe v envelope upsert (key (id))
                refused 0A000 at 13: SUBSCRIBE … ENVELOPE is not supported
            subscribe v up to 7
                refused 0A000 at 13: SUBSCRIBE … UP TO is not supported
            subscribe v as of at least 7
                refused 0A000 at 13: SUBSCRIBE … AS OF AT LEAST is not supported
            subscribe v as of $1
                refused 0A000 at 19: a parameter in AS OF is not supported
            subscribe v as of -1
                error 42601 at 19: syntax error at or near "-"
            subscribe v as of 99999999999999999999
                refused 22023 at 19: invalid tick "99999999999999999999"
                  hint: A tick is the number of microseconds since 1970.
            subscribe v with (colour)
                refused 22023 at 19: unrecognized SUBSCRIBE option "colour"
                  hint: The options are PROGRESS and SNAPSHOT.
            explain analyze select 1
                refused 0A000 at 9: EXPLAIN … ANALYZE is not supported
            explain verbose select 1
                refused 0A000 at 9: EXPLAIN … VERBOSE is not supported
            explain (format json) select 1
                refused 0A000 at 9: EXPLAIN with options is not supported
            explain insert into t values (1)
                refused 0A000 at 9: EXPLAIN of this statement is not supported
            set local x = 1
                Set([Setting { name: "x", value: Some("1"), reach: Local }])
            set constraints all deferred
                refused 0A000 at 5: SET … CONSTRAINTS is not supported
            set transaction read only
                Set([Setting { name: "transaction_read_only", value: Some("on"), reach: Transaction }])
            set transaction snapshot 'x'
                refused 0A000 at 17: SET TRANSACTION … SNAPSHOT is not supported
            begin read only
                Begin([Setting { name: "transaction_read_only", value: Some("on"), reach: Local }])
            begin deferrable
                Begin([Setting { name: "transaction_deferrable", value: Some("on"), reach: Local }])
            commit and chain
                Commit { chain: true }
            commit prepared 'x'
                refused 0A000 at 1: COMMIT PREPARED is not supported
            rollback to savepoint a
                Savepoint(RollbackTo, Name { value: "a", position: 23 })
            rollback to a
                Savepoint(RollbackTo, Name { value: "a", position: 13 })
            discard plans
                refused 0A000 at 9: DISCARD … PLANS is not supported
        "#]],
    );
}

#[test]
fn copies_that_we_do_not_have() {
    check(
        &[
            "copy t from '/etc/passwd'",
            "copy t to program 'sh'",
            "copy binary t from stdin",
            "copy t from stdin binary",
            "copy t from stdin (format binary)",
            "copy t from stdin (format parquet)",
            "copy t from stdin (header match)",
            "copy t from stdin csv force not null a",
            "copy t from stdin (freeze)",
            "copy t from stdin where a > 1",
            "copy t from stdin (encoding 'latin1')",
            "copy t from stdin (escape '\\', format csv)",
            "copy t from stdin (quote '|')",
            "copy t from stdin (delimiter '||')",
            "copy t from stdin (delimiter E'\\n')",
            "copy t from stdin (delimiter 'a')",
            "copy t from stdin (delimiter 'ä')",
            "copy t from stdin (delimiter '\"', format csv)",
            "copy t from stdin (null 'a,b', format csv)",
            "copy t from stdin (null '\"', format csv)",
            "copy t from stdin (null E'\\n')",
            "copy (delete from t) to stdout",
        ],
        expect![[r#"
            copy t from '/etc/passwd'
                refused 0A000 at 13: COPY with a file or program on the server is not supported
                  hint: Use psql's \copy, or COPY … FROM STDIN and COPY … TO STDOUT.
            copy t to program 'sh'
                refused 0A000 at 11: COPY with a file or program on the server is not supported
                  hint: Use psql's \copy, or COPY … FROM STDIN and COPY … TO STDOUT.
            copy binary t from stdin
                copy t@13 [] from Binary
            copy t from stdin binary
                copy t@6 [] from Binary
            copy t from stdin (format binary)
                copy t@6 [] from Binary
            copy t from stdin (format parquet)
                refused 22023 at 20: COPY format "parquet" not recognized
            copy t from stdin (header match)
                refused 0A000 at 27: COPY … HEADER … MATCH is not supported
            copy t from stdin csv force not null a
                refused 0A000 at 23: COPY … FORCE NOT NULL is not supported
            copy t from stdin (freeze)
                refused 0A000 at 20: COPY … FREEZE is not supported
            copy t from stdin where a > 1
                refused 0A000 at 19: COPY … WHERE is not supported
            copy t from stdin (encoding 'latin1')
                refused 0A000 at 19: COPY … ENCODING other than UTF8 is not supported
            copy t from stdin (escape '\', format csv)
                refused 0A000 at 19: COPY … ESCAPE other than the quote is not supported
            copy t from stdin (quote '|')
                refused 0A000 at 19: COPY QUOTE requires CSV mode
            copy t from stdin (delimiter '||')
                refused 0A000 at 19: COPY delimiter must be a single one-byte character
            copy t from stdin (delimiter E'\n')
                refused 22023 at 19: COPY delimiter cannot be newline or carriage return
            copy t from stdin (delimiter 'a')
                refused 22023 at 19: COPY delimiter cannot be "a"
            copy t from stdin (delimiter 'ä')
                refused 0A000 at 19: COPY delimiter must be a single one-byte character
            copy t from stdin (delimiter '"', format csv)
                refused 22023 at 19: COPY delimiter and quote must be different
            copy t from stdin (null 'a,b', format csv)
                refused 22023 at 19: COPY delimiter character must not appear in the NULL specification
            copy t from stdin (null '"', format csv)
                refused 22023 at 19: CSV quote character must not appear in the NULL specification
            copy t from stdin (null E'\n')
                refused 22023 at 19: COPY null representation cannot use newline or carriage return
            copy (delete from t) to stdout
                refused 0A000 at 7: COPY of a statement that changes data is not supported
        "#]],
    );
}

#[test]
fn statements_that_we_do_not_have() {
    check(
        super::corpus::OTHER_STATEMENTS,
        expect![[r#"
            REFRESH MATERIALIZED VIEW mv
                refused 0A000 at 1: REFRESH MATERIALIZED VIEW is not supported
                  hint: A materialized view is always up to date.
            REFRESH MATERIALIZED VIEW CONCURRENTLY mv WITH DATA
                refused 0A000 at 1: REFRESH MATERIALIZED VIEW is not supported
                  hint: A materialized view is always up to date.
            ALTER MATERIALIZED VIEW mv RENAME TO mv2
                Alter(AlterRelation { kind: MaterializedView, if_exists: false, relation: RelationName { schema: None, value: "mv", position: 25 }, actions: [Rename(Name { value: "mv2", position: 38 })] })
            CREATE SOURCE s FROM KAFKA CONNECTION k (TOPIC 't') FORMAT JSON
                refused 0A000 at 1: CREATE SOURCE is not supported
            CREATE SOURCE s (a int, b text, WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH (connector='mqtt', url='x') FORMAT PLAIN ENCODE JSON
                refused 0A000 at 1: CREATE SOURCE is not supported
            CREATE SINK sk FROM mv INTO KAFKA CONNECTION k (TOPIC 't')
                refused 0A000 at 1: CREATE SINK is not supported
            CREATE SINK sk FROM mv WITH (connector='http')
                refused 0A000 at 1: CREATE SINK is not supported
            CREATE CONNECTION k TO KAFKA (BROKER 'x')
                refused 0A000 at 1: CREATE CONNECTION is not supported
            CREATE SECRET s AS 'x'
                refused 0A000 at 1: CREATE SECRET is not supported
            CREATE SECRET s WITH (backend='meta') AS 'x'
                refused 0A000 at 1: CREATE SECRET is not supported
            CREATE CLUSTER c SIZE 'x'
                refused 0A000 at 1: CREATE CLUSTER is not supported
            CREATE UNLOGGED TABLE t (a int)
                refused 0A000 at 1: CREATE UNLOGGED TABLE is not supported
            CREATE STREAM s (a int)
                refused 0A000 at 1: CREATE STREAM is not supported
                  hint: Use CREATE TABLE … WITH (append_only, retention = '0').
            CREATE USER bob PASSWORD 'x'
                refused 0A000 at 1: CREATE USER is not supported
            ALTER USER bob SET search_path TO x
                refused 0A000 at 1: ALTER USER is not supported
            GRANT admin TO bob
                refused 0A000 at 1: GRANT is not supported
            REVOKE admin FROM bob
                refused 0A000 at 1: REVOKE is not supported
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO bob
                refused 0A000 at 1: ALTER PRIVILEGES is not supported
            REASSIGN OWNED BY a TO b
                refused 0A000 at 1: REASSIGN is not supported
            VACUUM ANALYZE t
                refused 0A000 at 1: VACUUM is not supported
            CREATE SEQUENCE s START 1 INCREMENT 2
                CreateSequence(CreateSequence { name: RelationName { schema: None, value: "s", position: 17 }, if_not_exists: false, options: SequenceOptions([(Start(1), 19), (Increment(2), 27)]) })
            CREATE PUBLICATION p FOR TABLE t
                refused 0A000 at 1: CREATE PUBLICATION is not supported
            CREATE OR REPLACE VIEW v WITH (security_barrier) AS SELECT 1
                refused 0A000 at 26: CREATE VIEW … WITH is not supported
            DO $$ BEGIN NULL; END $$
                refused 0A000 at 1: DO is not supported
            CHECKPOINT
                refused 0A000 at 1: CHECKPOINT is not supported
            IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z
                refused 0A000 at 1: IMPORT is not supported
            CREATE WEBHOOK w
                refused 0A000 at 1: CREATE WEBHOOK is not supported
            CREATE OR REPLACE MATERIALIZED VIEW mv AS SELECT 1
                refused 0A000 at 1: CREATE MATERIALIZED VIEW is not supported
            CREATE TEMP TABLE t AS SELECT 1
                table pg_temp.t@19 () as SELECT 1 with data true
            CREATE INDEX ON t USING btree (a DESC NULLS LAST) INCLUDE (b) WHERE a>1
                refused 0A000 at 51: CREATE INDEX … INCLUDE is not supported
            CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(a))
                index concurrently i@34 on t@39 using btree@39 (<lower(a)>@42 None None)
            CREATE ROLE bob WITH LOGIN PASSWORD 'x' SUPERUSER
                refused 0A000 at 1: CREATE ROLE is not supported
            ALTER ROLE bob WITH PASSWORD 'y'
                refused 0A000 at 1: ALTER ROLE is not supported
            DROP ROLE bob
                refused 0A000 at 1: DROP ROLE is not supported
            DROP USER bob
                refused 0A000 at 1: DROP USER is not supported
            GRANT SELECT, INSERT ON TABLE t TO bob
                refused 0A000 at 1: GRANT is not supported
            GRANT SELECT ON ALL TABLES IN SCHEMA public TO bob
                refused 0A000 at 1: GRANT is not supported
            GRANT USAGE ON SCHEMA s TO bob WITH GRANT OPTION
                refused 0A000 at 1: GRANT is not supported
            REVOKE SELECT ON t FROM bob
                refused 0A000 at 1: REVOKE is not supported
            LISTEN ch
                refused 0A000 at 1: LISTEN is not supported
                  hint: SUBSCRIBE tells of changes.
            NOTIFY ch, 'x'
                refused 0A000 at 1: NOTIFY is not supported
                  hint: SUBSCRIBE tells of changes.
            ROLLBACK TO SAVEPOINT a
                Savepoint(RollbackTo, Name { value: "a", position: 23 })
            SAVEPOINT a
                Savepoint(Set, Name { value: "a", position: 11 })
            RELEASE SAVEPOINT a
                Savepoint(Release, Name { value: "a", position: 19 })
            UPDATE t SET a=1 FROM u WHERE t.id=u.id RETURNING a
                update t@8 set (a@14) = 1 from u where t.id = u.id returning a
            MERGE INTO t USING u ON t.id=u.id WHEN MATCHED THEN UPDATE SET a=1 WHEN NOT MATCHED THEN INSERT VALUES (1)
                refused 0A000 at 1: MERGE is not supported
            TRUNCATE t, u RESTART IDENTITY CASCADE
                Truncate(Truncate { tables: [RelationName { schema: None, value: "t", position: 10 }, RelationName { schema: None, value: "u", position: 13 }], restart: true })
            LOCK TABLE t IN ACCESS SHARE MODE
                refused 0A000 at 1: LOCK is not supported
            ANALYZE t
                refused 0A000 at 1: ANALYZE is not supported
            COMMENT ON TABLE t IS 'x'
                Comment(Comment { on: Relation(Table, RelationName { schema: None, value: "t", position: 18 }), text: Some("x") })
            COMMENT ON MATERIALIZED VIEW mv IS 'x'
                Comment(Comment { on: Relation(MaterializedView, RelationName { schema: None, value: "mv", position: 30 }), text: Some("x") })
            COMMENT ON COLUMN t.a IS 'x'
                Comment(Comment { on: Column(ColumnName { table: RelationName { schema: None, value: "t", position: 19 }, column: Name { value: "a", position: 21 } }), text: Some("x") })
            ALTER TABLE t ADD COLUMN a int, DROP COLUMN b, ALTER COLUMN c TYPE text USING c::text
                Alter(AlterRelation { kind: Table, if_exists: false, relation: RelationName { schema: None, value: "t", position: 13 }, actions: [AddColumn { if_not_exists: false, definition: ColumnDefinition { column: Column { name: "a", data_type: Int32, nullable: true, dropped: false }, default: None, drawn: None }, constraints: [] }, DropColumn { if_exists: false, name: Name { value: "b", position: 45 }, cascade: false }, SetType { column: Name { value: "c", position: 61 }, data_type: Text, using: Some(Cast { kind: DoubleColon, expr: Identifier(Ident { value: "c", quote_style: None, span: Span(Location(1,79)..Location(1,80)) }), data_type: Text, array: false, format: None }) }] })
            ALTER TABLE t RENAME TO u
                Alter(AlterRelation { kind: Table, if_exists: false, relation: RelationName { schema: None, value: "t", position: 13 }, actions: [Rename(Name { value: "u", position: 25 })] })
            ALTER TABLE t ADD PRIMARY KEY (a)
                Alter(AlterRelation { kind: Table, if_exists: false, relation: RelationName { schema: None, value: "t", position: 13 }, actions: [AddConstraint(TableConstraint { name: None, kind: PrimaryKey([Name { value: "a", position: 32 }]), position: 19 })] })
            ALTER TABLE "public"."t" OWNER TO bob
                refused 0A000 at 26: ALTER TABLE … OWNER TO is not supported
                  hint: It is planned for a later version.
            CREATE SCHEMA IF NOT EXISTS s AUTHORIZATION bob
                CreateSchema(CreateSchema { name: Some(Name { value: "s", position: 29 }), if_not_exists: true, owner: Some(Named(Name { value: "bob", position: 45 })) })
            CREATE DATABASE d
                refused 0A000 at 1: CREATE DATABASE is not supported
            CREATE EXTENSION IF NOT EXISTS pg_trgm
                refused 0A000 at 1: CREATE EXTENSION is not supported
            CREATE TYPE moody AS ENUM ('a','b')
                refused 0A000 at 1: CREATE TYPE is not supported
            CREATE TYPE c AS (a int, b text)
                refused 0A000 at 1: CREATE TYPE is not supported
            CREATE DOMAIN d AS int CHECK (VALUE>0)
                refused 0A000 at 1: CREATE DOMAIN is not supported
            CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS $$ select a+1 $$
                refused 0A000 at 1: CREATE FUNCTION is not supported
            CREATE FUNCTION f(a int) RETURNS int AS 'select 1' LANGUAGE sql IMMUTABLE
                refused 0A000 at 1: CREATE FUNCTION is not supported
            CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()
                refused 0A000 at 1: CREATE TRIGGER is not supported
            CREATE POLICY p ON t USING (a=1)
                refused 0A000 at 1: CREATE POLICY is not supported
            CREATE VIEW v AS SELECT 1
                plain view v@13 [] <SELECT 1>
            CREATE OR REPLACE TEMP VIEW v (a,b) AS SELECT 1,2
                plain or replaced view pg_temp.v@29 [a@32, b@34] <SELECT 1,2>
            CALL p(1)
                refused 0A000 at 1: CALL is not supported
            KILL 5
                refused 0A000 at 1: KILL is not supported
            DESCRIBE t
                refused 0A000 at 1: DESCRIBE is not supported
            USE db
                refused 0A000 at 1: USE is not supported
        "#]],
    );
}

#[test]
fn an_unsupported_statement_does_not_hide_the_others() {
    check(
        &["select 1; update t set a = 1; select 2"],
        expect![[r#"
            select 1; update t set a = 1; select 2
                select SELECT 1
                update t@18 set (a@24) = 1
                select SELECT 2
        "#]],
    );
}
