//! What planning refuses, names of columns, parameters, and the sources of INSERT and DELETE.

use std::sync::Arc;

use millrace_engine::{DataType, Literal};

use super::{TICK, catalog, columns, parse, parse_expr, plan, plan_delete, plan_insert, run, text_rows};
use crate::error::SqlError;
use crate::query::{Parameters, Query};

fn shown(error: &SqlError) -> String {
    format!("{}: {}", error.sqlstate, error.message)
}

fn refused(sql: &str) -> String {
    shown(&plan(sql).unwrap_err())
}

#[test]
fn names_that_mean_nothing() {
    assert_eq!(refused("SELECT * FROM nowhere"), "42P01: relation \"nowhere\" does not exist");
    assert_eq!(refused("SELECT z FROM t"), "42703: column \"z\" does not exist");
    assert_eq!(refused("SELECT t.z FROM t"), "42703: column t.z does not exist");
    assert_eq!(refused("SELECT q.a FROM t"), "42P01: missing FROM-clause entry for table \"q\"");
    assert_eq!(refused("SELECT a FROM t, u"), "42702: column reference \"a\" is ambiguous");
    assert_eq!(
        refused("SELECT b FROM t GROUP BY a"),
        "42803: column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate function"
    );
    assert_eq!(refused("SELECT c + 1 FROM t"), "42883: operator does not exist: text + integer");
    assert_eq!(refused("SELECT foo(a, 'x') FROM t"), "42883: function foo(integer, unknown) does not exist");
    assert_eq!(
        refused("SELECT a FROM t WHERE c"),
        "42804: argument of WHERE must be type boolean, not type text"
    );
    assert_eq!(refused("SELECT a FROM t WHERE a = c"), "42883: operator does not exist: integer = text");
    assert_eq!(refused("SELECT flag FROM v WHERE x = ts"), "42703: column \"ts\" does not exist");
}

#[test]
fn what_is_not_there_yet_says_so() {
    for sql in [
        "SELECT t FROM t",
        "SELECT a, row_number() OVER (ORDER BY b ROWS UNBOUNDED PRECEDING) FROM t",
        "SELECT sum(b) OVER (PARTITION BY a) FROM t",
        "SELECT a FROM t ORDER BY a FETCH FIRST 2 ROWS WITH TIES",
        "SELECT rank() OVER (ORDER BY a) FROM t",
        "SELECT generate_series(1, generate_series(1, a)) FROM t",
        "SELECT count(*) FROM t GROUP BY generate_series(1, a)",
        "SELECT json_each('{}'::json) FROM t",
        "WITH RECURSIVE r AS (SELECT 1) SELECT * FROM r",
        "SELECT CASE WHEN flag THEN unnest(ARRAY[1]) END FROM v",
        "SELECT mode() WITHIN GROUP (ORDER BY a) FROM t",
        "SELECT count(*) FROM t GROUP BY CUBE (a, b, c, a + 1, a + 2, a + 3, a + 4)",
        "SELECT current_time",
        "SELECT a::timetz FROM t",
    ] {
        let error = plan(sql).unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{sql}: {}", error.message);
    }
}

#[test]
fn deep_expressions_are_refused_and_long_ones_are_not() {
    let sum = vec!["1"; 5_000].join(" + ");
    assert_eq!(refused(&format!("SELECT {sum}")), "54001: stack depth limit exceeded");
    let any: Vec<String> = (0..5_000).map(|value| format!("a = {value}")).collect();
    plan(&format!("SELECT a FROM t WHERE {}", any.join(" OR "))).unwrap();
    let union = vec!["SELECT 1"; 1_000].join(" UNION ALL ");
    assert_eq!(
        run(&plan(&union).unwrap()).unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(),
        1_000
    );
}

#[test]
fn columns_are_named_as_postgresql_names_them() {
    assert_eq!(
        columns("SELECT a, t.b, a + 1, count(*), sum(b), a::bigint, '1'::int, 1::text FROM t GROUP BY a, b"),
        "a integer, b bigint, ?column? integer, count bigint, sum numeric(38,0), a bigint, int4 integer, text text"
    );
    assert_eq!(
        columns(
            "SELECT CASE WHEN true THEN 1 END, CASE WHEN true THEN 1 ELSE a END, coalesce(a, 1), date_trunc('hour', now()) FROM t"
        ),
        "case integer, a integer, coalesce integer, date_trunc timestamptz"
    );
    assert_eq!(
        columns("SELECT 1, 2, 'x', NULL"),
        "?column? integer, ?column? integer, ?column? text, ?column? text"
    );
    assert_eq!(columns("SELECT a AS x, b AS x, a, a FROM t"), "x integer, x bigint, a integer, a integer");
    assert_eq!(
        columns("SELECT * FROM t, u"),
        "a integer, b bigint, c text, a integer, x double precision, y numeric(10,2)"
    );
    assert_eq!(
        columns("SELECT u.*, t.a FROM t JOIN u USING (a)"),
        "a integer, x double precision, y numeric(10,2), a integer"
    );
    assert_eq!(columns("VALUES (1, 2.5)"), "column1 integer, column2 numeric");
    assert_eq!(
        columns("SELECT extract(hour FROM ts) FROM readings WHERE false AND 1 = 0 OR ts = '2014-01-01'")
            .split(',')
            .next(),
        Some("extract numeric(38")
    );
}

#[test]
fn result_types_of_aggregates() {
    assert_eq!(
        columns(
            "SELECT sum(a), sum(b), sum(x), sum(y), avg(a), avg(b), avg(x), avg(y), min(c), max(y) FROM t JOIN u USING (a)"
        ),
        "sum bigint, sum numeric(38,0), sum double precision, sum numeric(38,2), avg numeric, avg numeric, \
         avg double precision, avg numeric, min text, max numeric(10,2)"
    );
    assert_eq!(
        columns(
            "SELECT every(a > 1), bit_and(a), bit_or(b), variance(a), stddev(y), var_pop(x), string_agg(c, '') FROM t JOIN u USING (a)"
        ),
        "every boolean, bit_and integer, bit_or bigint, variance numeric, stddev numeric, \
         var_pop double precision, string_agg text"
    );
    assert_eq!(
        columns("SELECT a, grouping(a), a + 1, count(*) FROM t GROUP BY ROLLUP (a)"),
        "a integer, grouping integer, ?column? integer, count bigint"
    );
}

fn described(sql: &str, declared: &[Option<DataType>]) -> Vec<DataType> {
    Query::plan(&parse(sql), &catalog(), Parameters::types(declared)).unwrap().parameter_types().to_vec()
}

#[test]
fn parameters_take_their_types_from_their_use() {
    use DataType::{Float64, Int32, Int64, Interval, Text, Timestamp, TimestampTz};
    assert_eq!(described("SELECT a FROM t WHERE a = $1 AND b > $2 AND c = $3", &[]), [Int32, Int64, Text]);
    assert_eq!(described("SELECT $1, $2::float8, $3 + 1", &[]), [Text, Float64, Int32]);
    assert_eq!(described("SELECT date_trunc($1, $2::timestamp)", &[]), [Text, Timestamp]);
    assert_eq!(
        described("SELECT $1 < now(), date_bin($2, now(), $3)", &[]),
        [TimestampTz, Interval, TimestampTz]
    );
    assert_eq!(described("SELECT a FROM t LIMIT $1 OFFSET $2", &[]), [Int64, Int64]);
    assert_eq!(described("SELECT $1 IS NULL, $2 + a FROM t WHERE $1 = 'x'", &[]), [Text, Int32]);
    for untyped in ["SELECT $2 + a FROM t", "SELECT $1 IS NULL"] {
        let error = Query::plan(&parse(untyped), &catalog(), Parameters::types(&[])).unwrap_err();
        let expected = ("42P18", "could not determine data type of parameter $1");
        assert_eq!((error.sqlstate.as_str(), error.message.as_str()), expected);
    }
    assert_eq!(described("SELECT a FROM t WHERE a = $1", &[Some(Int64)]), [Int64]);
    assert_eq!(described("SELECT a FROM t UNION ALL SELECT $1", &[]), [Int32]);
    assert_eq!(
        described("SELECT coalesce($1, x) FROM u WHERE x IN ($2, $3)", &[]),
        [Float64, Float64, Float64]
    );
}

#[test]
fn parameters_have_values() {
    let values = [Literal::Int32(7), Literal::Null(DataType::Text)];
    let query = Query::plan(&parse("SELECT $1 + 1, $2"), &catalog(), Parameters::values(&values)).unwrap();
    assert_eq!(text_rows(&query, &run(&query).unwrap()), ["8|null"]);
    let missing = Query::plan(&parse("SELECT $3"), &catalog(), Parameters::values(&values)).unwrap_err();
    assert_eq!(shown(&missing), "42P02: there is no parameter $3");
}

/// The rows that INSERT INTO u (columns) would store, or the error.
fn insert(columns: &[usize], source: &str) -> String {
    let catalog = catalog();
    let table = Arc::clone(catalog.named("public", "u").unwrap());
    let planned = plan_insert(&table, columns, &parse(source), &catalog, Parameters::values(&[]));
    match planned
        .map(|change| change.source)
        .and_then(|query| run(&query).map(|batches| text_rows(&query, &batches)))
    {
        Ok(rows) => rows.join("\n"),
        Err(error) => shown(&error),
    }
}

#[test]
fn inserts_assign_to_their_columns() {
    assert_eq!(insert(&[0, 1, 2], "VALUES (1, 2, 3), ('4', '5.5', '6.125')"), "1|2|3.00\n4|5.5|6.13");
    assert_eq!(insert(&[2, 0], "VALUES (1, 2)"), "2|null|1.00");
    assert_eq!(
        insert(&[0], "VALUES (2.5), (3000000000 / 2), (NULL), (DEFAULT)"),
        "3|null|null\n1500000000|null|null\nnull|null|null\nnull|null|null"
    );
    assert_eq!(insert(&[0], "SELECT 2.5 UNION ALL SELECT 1"), "3|null|null\n1|null|null");
    assert_eq!(insert(&[0, 1], "SELECT '7', '0.5'"), "7|0.5|null");
    assert_eq!(insert(&[0], "SELECT NULL"), "null|null|null");
    assert_eq!(insert(&[0], "VALUES (3000000000)"), "22003: integer out of range");
    assert_eq!(insert(&[0], "VALUES ('x')"), "22P02: invalid input syntax for type integer: \"x\"");
    assert_eq!(
        insert(&[0], "VALUES ('x'::text)"),
        "42804: column \"a\" is of type integer but expression is of type text"
    );
    assert_eq!(
        insert(&[0], "SELECT true"),
        "42804: column \"a\" is of type integer but expression is of type boolean"
    );
    assert_eq!(insert(&[0], "VALUES (1, 2)"), "42601: INSERT has more expressions than target columns");
    assert_eq!(insert(&[0, 1], "VALUES (1)"), "42601: INSERT has more target columns than expressions");
    assert_eq!(insert(&[2], "VALUES (123456789)"), "22003: numeric field overflow");
    assert_eq!(
        insert(&[1], "SELECT 1::text"),
        "42804: column \"x\" is of type double precision but expression is of type text"
    );
}

#[test]
fn insert_parameters_take_their_columns_types() {
    let catalog = catalog();
    let table = Arc::clone(catalog.named("public", "u").unwrap());
    for source in ["VALUES ($1, $2)", "SELECT $1, $2", "VALUES (1, 2), ($1, $2)"] {
        let change = plan_insert(&table, &[0, 1], &parse(source), &catalog, Parameters::types(&[])).unwrap();
        assert_eq!(change.parameter_types, [DataType::Int32, DataType::Float64], "{source}");
    }
}

#[test]
fn deletes_read_whole_rows() {
    let catalog = catalog();
    let table = Arc::clone(catalog.named("public", "u").unwrap());
    let condition = parse_expr("a = 1 AND u.x > 2");
    let query = plan_delete(&table, &condition, &catalog).unwrap().source;
    assert_eq!(
        query.explain(),
        ["Project [#0, #1, #2] where equal(#0, 1) and greater(#1, 2.0::double precision)", "  Scan r4"]
    );
    let error = plan_delete(&table, &parse_expr("b = 1"), &catalog);
    assert_eq!(shown(&error.unwrap_err()), "42703: column \"b\" does not exist");
}

#[test]
fn now_is_the_tick() {
    let query = plan("SELECT now()::timestamp, current_timestamp = localtimestamp, current_date").unwrap();
    assert_eq!(TICK, 1_000_000_000_000_000);
    assert_eq!(text_rows(&query, &run(&query).unwrap()), ["2001-09-09 01:46:40|t|2001-09-09"]);
}
