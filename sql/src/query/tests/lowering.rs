//! The dataflow plans of the view forms.

use expect_test::{Expect, expect};

use super::plan;

fn check(sql: &str, expected: Expect) {
    let shown = match plan(sql).and_then(|query| query.lower()) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("{}: {}", error.sqlstate, error.message),
    };
    expected.assert_eq(&shown);
}

#[test]
fn quickstart_hourly() {
    check(
        "SELECT date_trunc('hour', ts) AS hour, count(*) AS n, min(value), max(value), avg(value) FROM readings GROUP BY 1",
        expect![[""]],
    );
}

#[test]
fn quickstart_join_of_a_table_with_a_view_of_it() {
    check(
        "SELECT r.ts, r.value, h.mean FROM readings r JOIN hourly h ON date_trunc('hour', r.ts) = h.hour \
         WHERE r.value > h.mean + 5",
        expect![[""]],
    );
}

#[test]
fn filter_and_projection_are_one_operator() {
    check("SELECT a + 1, c FROM t WHERE b > 5 AND c <> 'x'", expect![[""]]);
    check("SELECT x FROM (SELECT a + 1 AS x, c FROM t WHERE b > 5) s WHERE x < 3", expect![[""]]);
}

#[test]
fn whole_tables_and_constants() {
    check("SELECT * FROM t", expect![[""]]);
    check("SELECT 1, 'x'", expect![[""]]);
    check("SELECT a FROM t UNION ALL SELECT a FROM u", expect![[""]]);
    check("SELECT a FROM t ORDER BY b", expect![[""]]);
}

#[test]
fn all_aggregates_with_expressions_around_them() {
    check(
        "SELECT a % 10, count(*), count(c), sum(b) + 1, avg(a), min(c), max(b) FROM t GROUP BY a % 10",
        expect![[""]],
    );
    check("SELECT count(*) FROM t", expect![[""]]);
    check("SELECT sum(b) FILTER (WHERE c = 'x') FROM t", expect![[""]]);
}

#[test]
fn having() {
    check("SELECT c FROM t GROUP BY c HAVING count(*) > 1 AND c > 'm'", expect![[""]]);
}

#[test]
fn join_keys_of_expressions_and_different_types() {
    check("SELECT t.c, u.x FROM t JOIN u ON t.b + 1 = u.a", expect![[""]]);
    check("SELECT t.c FROM t, u WHERE u.y = t.a AND u.x > 0", expect![[""]]);
}

#[test]
fn residual_conditions_stand_above_the_join() {
    check("SELECT t.c FROM t JOIN u ON t.a = u.a AND t.b < u.x", expect![[""]]);
}

#[test]
fn chains_of_joins_are_put_in_an_order_with_keys() {
    check("SELECT t.c, v.flag FROM t, v, u WHERE t.a = u.a AND v.x = u.x", expect![[""]]);
    check("SELECT * FROM t JOIN u USING (a) JOIN v ON v.x = t.b", expect![[""]]);
}

#[test]
fn what_a_view_cannot_hold_yet() {
    for sql in [
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t UNION SELECT a FROM u",
        "SELECT a FROM t ORDER BY a LIMIT 3",
        "SELECT * FROM t LEFT JOIN u ON t.a = u.a",
        "SELECT count(DISTINCT a) FROM t",
        "SELECT now()",
        "SELECT a FROM t WHERE random() < 0.5",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
    ] {
        let error = plan(sql).and_then(|query| query.lower()).unwrap_err();
        println!("{sql}\n  {}: {}", error.sqlstate, error.message);
        assert!(error.sqlstate == "0A000" || error.sqlstate == "42P17", "{sql}: {error:?}");
    }
}
