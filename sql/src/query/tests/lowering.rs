//! The dataflow plans of the view forms.

use expect_test::{Expect, expect};

use super::plan;

pub(super) fn check(sql: &str, expected: Expect) {
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
        expect![[r#"
            Reduce by [date_trunc('hour', #0)] compute [count(*), min(#1), max(#1), avg(#1)]
              Get r1
        "#]],
    );
}

#[test]
fn quickstart_join_of_a_table_with_a_view_of_it() {
    check(
        "SELECT r.ts, r.value, h.mean FROM readings r JOIN hourly h ON date_trunc('hour', r.ts) = h.hour \
         WHERE r.value > h.mean + 5",
        expect![[r#"
            Project [#0, #1, #3] where greater(#1, add(#3, 5.0::double precision))
              Join on [date_trunc('hour', #0) = #0]
                Get r1
                Project [#0, #2]
                  Get r2
        "#]],
    );
}

#[test]
fn filter_and_projection_are_one_operator() {
    check(
        "SELECT a + 1, c FROM t WHERE b > 5 AND c <> 'x'",
        expect![[r#"
        Project [add(#0, 1), #2] where (greater(#1, 5::bigint) and not_equal(#2, 'x'))
          Get r3
    "#]],
    );
    check(
        "SELECT x FROM (SELECT a + 1 AS x, c FROM t WHERE b > 5) s WHERE x < 3",
        expect![[r#"
        Project [add(#0, 1)] where (greater(#1, 5::bigint) and less(add(#0, 1), 3))
          Get r3
    "#]],
    );
}

#[test]
fn whole_tables_and_constants() {
    check(
        "SELECT * FROM t",
        expect![[r#"
        Get r3
    "#]],
    );
    check(
        "SELECT 1, 'x'",
        expect![[r#"
        Project [1, 'x']
          Constant 1 rows
    "#]],
    );
    check(
        "SELECT a FROM t UNION ALL SELECT a FROM u",
        expect![[r#"
        Union
          Project [#0]
            Get r3
          Project [#0]
            Get r4
    "#]],
    );
    check(
        "SELECT a FROM t ORDER BY b",
        expect![[r#"
            Project [#0]
              Get r3
        "#]],
    );
}

#[test]
fn all_aggregates_with_expressions_around_them() {
    check(
        "SELECT a % 10, count(*), count(c), sum(b) + 1, avg(a), min(c), max(b) FROM t GROUP BY a % 10",
        expect![[r#"
            Project [#0, #1, #2, add(#3, 1e-0::numeric), #4, #5, #6]
              Reduce by [modulo(#0, 10)] compute [count(*), count(#2), sum(#1), avg(#0), min(#2), max(#1)]
                Get r3
        "#]],
    );
    check(
        "SELECT count(*) FROM t",
        expect![[r#"
        Reduce by [] compute [count(*)]
          Project []
            Get r3
    "#]],
    );
    check(
        "SELECT sum(b) FILTER (WHERE c = 'x') FROM t",
        expect![[r#"
        Reduce by [] compute [sum(case when equal(#1, 'x') then #0 end)]
          Project [#1, #2]
            Get r3
    "#]],
    );
}

#[test]
fn having() {
    check(
        "SELECT c FROM t GROUP BY c HAVING count(*) > 1 AND c > 'm'",
        expect![[r#"
        Project [#0] where greater(#1, 1::bigint)
          Reduce by [#0] compute [count(*)]
            Project [#2] where greater(#2, 'm')
              Get r3
    "#]],
    );
}

#[test]
fn join_keys_of_expressions_and_different_types() {
    check(
        "SELECT t.c, u.x FROM t JOIN u ON t.b + 1 = u.a",
        expect![[r#"
            Project [#1, #3]
              Join on [add(#0, 1::bigint) = #0::bigint]
                Project [#1, #2]
                  Get r3
                Project [#0, #1]
                  Get r4
        "#]],
    );
    check(
        "SELECT t.c FROM t, u WHERE u.y = t.a AND u.x > 0",
        expect![[r#"
            Project [#1]
              Join on [#0::numeric(38,0)::numeric(38,2) = #0::numeric(38,2)]
                Project [#0, #2]
                  Get r3
                Project [#2] where greater(#1, 0.0::double precision)
                  Get r4
        "#]],
    );
}

#[test]
fn residual_conditions_stand_above_the_join() {
    check(
        "SELECT t.c FROM t JOIN u ON t.a = u.a AND t.b < u.x",
        expect![[r#"
            Project [#2] where less(#1::double precision, #4)
              Join on [#0 = #0]
                Get r3
                Project [#0, #1]
                  Get r4
        "#]],
    );
}

#[test]
fn chains_of_joins_are_put_in_an_order_with_keys() {
    check(
        "SELECT t.c, v.flag FROM t, v, u WHERE t.a = u.a AND v.x = u.x",
        expect![[r#"
            Project [#0, #3]
              Join on [#1 = #0::double precision]
                Project [#1, #3]
                  Join on [#0 = #0]
                    Project [#0, #2]
                      Get r3
                    Project [#0, #1]
                      Get r4
                Get r5
        "#]],
    );
    check(
        "SELECT * FROM t JOIN u USING (a) JOIN v ON v.x = t.b",
        expect![[r#"
            Join on [#1 = #0]
              Project [#0, #1, #2, #4, #5]
                Join on [#0 = #0]
                  Get r3
                  Get r4
              Get r5
        "#]],
    );
}

#[test]
fn what_a_view_cannot_hold_yet() {
    for sql in ["SELECT now()", "SELECT a FROM t WHERE random() < 0.5"] {
        let error = plan(sql).and_then(|query| query.lower()).unwrap_err();
        println!("{sql}\n  {}: {}", error.sqlstate, error.message);
        assert!(error.sqlstate == "0A000" || error.sqlstate == "42P17", "{sql}: {error:?}");
    }
}
