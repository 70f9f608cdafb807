//! The dataflow plans of outer joins, set operations, LIMIT, DISTINCT ON and row numbers.

use expect_test::expect;

use super::lowering::check;

#[test]
fn a_left_join_on_keys() {
    check(
        "SELECT t.a, u.x FROM t LEFT JOIN u ON t.a = u.a",
        expect![[r#"
            Project [#0, #2]
              Union
                Join on [#0 = #0]
                  Project [#0] as p1
                    Get r3
                  Project [#0, #1] as p2
                    Get r4
                Project [#0, null::integer, null::double precision]
                  Anti join on [#0 = #0]
                    Same as p1
                    Same as p2
        "#]],
    );
}

#[test]
fn a_left_join_with_more_conditions() {
    check(
        "SELECT t.c, u.x FROM t LEFT JOIN u ON t.a = u.a AND t.b < u.x",
        expect![[r#"
            Project [#2, #4]
              Union
                Project [#0, #1, #2, #3, #4] where less(#1::double precision, #4) as p1
                  Join on [#0 = #0]
                    Get r3
                    Project [#0, #1]
                      Get r4
                Project [#0, #1, #2, null::integer, null::double precision]
                  Anti join on [#0 is not distinct from #0, #1 is not distinct from #1]
                    Get r3
                    Project [#0, #1]
                      Same as p1
        "#]],
    );
    check(
        "SELECT t.c, u.x FROM t LEFT JOIN u ON t.a = u.a AND t.b > 5 AND u.y > 1",
        expect![[r#"
            Project [#1, #4]
              Union
                Join on [#0 = #0]
                  Project [#0, #1, #2] where #2 as p1
                    Project [#0, #2, greater(#1, 5::bigint)] as p2
                      Get r3
                  Project [#0, #1] where greater(#2, 1e-0::numeric) as p3
                    Get r4
                Project [#0, #1, #2, null::integer, null::double precision]
                  Anti join on [#0 = #0]
                    Same as p1
                    Same as p3
                Project [#0, #1, #2, null::integer, null::double precision]
                  Project [#0, #1, #2] where is_distinct_from(#2, true)
                    Same as p2
        "#]],
    );
    check(
        "SELECT t.c, u.x FROM t LEFT JOIN u ON true",
        expect![[r#"
            Union
              Join on []
                Project [#2] as p1
                  Get r3
                Project [#1] as p2
                  Get r4
              Project [#0, null::double precision]
                Anti join on []
                  Same as p1
                  Same as p2
        "#]],
    );
    check(
        "SELECT t.c, u.x FROM t LEFT JOIN u ON false",
        expect![[r#"
            Union
              Join on []
                Project [#0] where false as p1
                  Project [#2] as p2
                    Get r3
                Project [#1] as p3
                  Get r4
              Project [#0, null::double precision]
                Anti join on []
                  Same as p1
                  Same as p3
              Project [#0, null::double precision]
                Project [#0] where is_distinct_from(false, true)
                  Same as p2
        "#]],
    );
    // 0.0 and -0.0 are one key, but a condition can tell them apart.
    check(
        "SELECT u.a, t.c FROM u LEFT JOIN t ON u.x::text < t.c",
        expect![[r#"
            Project [#0, #2]
              Union
                Project [#0, #1, #2] where less(#1::text, #2) as p1
                  Join on []
                    Project [#0, #1] as p2
                      Get r4
                    Project [#2]
                      Get r3
                Project [#0, #1, null::text]
                  Anti join on [#1::text is not distinct from #0::text]
                    Same as p2
                    Project [#1]
                      Same as p1
        "#]],
    );
}

#[test]
fn right_and_full_joins() {
    check(
        "SELECT t.c, u.x FROM t RIGHT JOIN u ON t.a = u.a",
        expect![[r#"
            Project [#1, #3]
              Project [#2, #3, #0, #1]
                Union
                  Join on [#0 = #0]
                    Project [#0, #1] as p1
                      Get r4
                    Project [#0, #2] as p2
                      Get r3
                  Project [#0, #1, null::integer, null::text]
                    Anti join on [#0 = #0]
                      Same as p1
                      Same as p2
        "#]],
    );
    check(
        "SELECT * FROM t FULL JOIN u USING (a)",
        expect![[r#"
        Project [coalesce(#0, #3), #1, #2, #4, #5]
          Union
            Join on [#0 = #0]
              Get r3
              Get r4
            Project [#0, #1, #2, null::integer, null::double precision, null::numeric(10,2)]
              Anti join on [#0 = #0]
                Get r3
                Get r4
            Project [null::integer, null::bigint, null::text, #0, #1, #2]
              Anti join on [#0 = #0]
                Get r4
                Get r3
    "#]],
    );
    check(
        "SELECT t.c, u.x FROM t FULL JOIN u ON t.a = u.a AND t.b < u.x",
        expect![[r#"
            Project [#2, #4]
              Union
                Project [#0, #1, #2, #3, #4] where less(#1::double precision, #4) as p1
                  Join on [#0 = #0]
                    Get r3
                    Project [#0, #1] as p2
                      Get r4
                Project [#0, #1, #2, null::integer, null::double precision]
                  Anti join on [#0 is not distinct from #0, #1 is not distinct from #1]
                    Get r3
                    Project [#0, #1]
                      Same as p1
                Project [null::integer, null::bigint, null::text, #0, #1]
                  Anti join on [#0 is not distinct from #0, #1::text is not distinct from #1::text]
                    Same as p2
                    Project [#3, #4]
                      Same as p1
        "#]],
    );
    check(
        "SELECT * FROM t JOIN v ON t.a = v.x LEFT JOIN u USING (a)",
        expect![[r#"
            Project [#0, #1, #2, #3, #4, #6, #7]
              Union
                Join on [#0 = #0]
                  Join on [#0::bigint = #0] as p1
                    Get r3
                    Get r5
                  Get r4
                Project [#0, #1, #2, #3, #4, null::integer, null::double precision, null::numeric(10,2)]
                  Anti join on [#0 = #0]
                    Same as p1
                    Get r4
        "#]],
    );
}

#[test]
fn set_operations() {
    check(
        "SELECT a FROM t UNION SELECT a FROM u",
        expect![[r#"
        Reduce by [#0] compute []
          Union
            Project [#0]
              Get r3
            Project [#0]
              Get r4
    "#]],
    );
    check(
        "SELECT a FROM t INTERSECT SELECT x FROM v",
        expect![[r#"
        Semi join on [#0 is not distinct from #0]
          Reduce by [#0] compute []
            Project [#0::bigint]
              Get r3
          Project [#0]
            Get r5
    "#]],
    );
    check(
        "SELECT a FROM t EXCEPT SELECT a FROM u",
        expect![[r#"
        Anti join on [#0 is not distinct from #0]
          Reduce by [#0] compute []
            Project [#0]
              Get r3
          Project [#0]
            Get r4
    "#]],
    );
    check(
        "SELECT a FROM t EXCEPT ALL SELECT a FROM u",
        expect![[r#"
        Project [#0]
          Repeat subtract(#1, #2)
            Reduce by [#0] compute [count(#1), count(#2)]
              Union
                Project [#0, true, null::boolean]
                  Get r3
                Project [#0, null::boolean, true]
                  Get r4
    "#]],
    );
    check(
        "SELECT a FROM t INTERSECT ALL SELECT a FROM u",
        expect![[r#"
        Project [#0]
          Repeat least(#1, #2)
            Reduce by [#0] compute [count(#1), count(#2)]
              Union
                Project [#0, true, null::boolean]
                  Get r3
                Project [#0, null::boolean, true]
                  Get r4
    "#]],
    );
    check(
        "SELECT a FROM t UNION ALL SELECT a FROM u INTERSECT SELECT 1",
        expect![[r#"
        Union
          Project [#0]
            Get r3
          Semi join on [#0 is not distinct from #0]
            Reduce by [#0] compute []
              Project [#0]
                Get r4
            Project [1]
              Constant 1 rows
    "#]],
    );
}

#[test]
fn limits() {
    check(
        "SELECT a FROM t ORDER BY b DESC LIMIT 3 OFFSET 1",
        expect![[r#"
        Project [#0]
          Top by [] order [#1 desc] skip 1 fetch 3
            Project [#0, #1]
              Get r3
    "#]],
    );
    check(
        "SELECT a FROM t LIMIT 3",
        expect![[r#"
        Top by [] order [] fetch 3
          Project [#0]
            Get r3
    "#]],
    );
    check(
        "SELECT DISTINCT c FROM t ORDER BY c FETCH FIRST ROW ONLY",
        expect![[r#"
        Top by [] order [#0] fetch 1
          Reduce by [#0] compute []
            Project [#2]
              Get r3
    "#]],
    );
    check(
        "SELECT a FROM t ORDER BY b OFFSET 2",
        expect![[r#"
        Project [#0]
          Top by [] order [#1] skip 2
            Project [#0, #1]
              Get r3
    "#]],
    );
    // What breaks ties stays, unless it cannot be told apart.
    check(
        "SELECT a FROM (SELECT a, b, c FROM t ORDER BY b LIMIT 3) s",
        expect![[r#"
        Project [#0]
          Top by [] order [#1] fetch 3
            Get r3
    "#]],
    );
    check(
        "SELECT b FROM (SELECT a, b, c FROM t ORDER BY b LIMIT 3) s",
        expect![[r#"
        Top by [] order [#0] fetch 3
          Project [#1]
            Get r3
    "#]],
    );
}

#[test]
fn distinct_on() {
    check(
        "SELECT DISTINCT ON (a) a, c FROM t ORDER BY a, b DESC",
        expect![[r#"
        Project [#0, #1]
          Top by [#0] order [#2 desc] fetch 1
            Project [#0, #2, #1]
              Get r3
    "#]],
    );
    check(
        "SELECT DISTINCT ON (1, c) a, b FROM t",
        expect![[r#"
        Project [#0, #1]
          Top by [#0, #2] order [] fetch 1
            Get r3
    "#]],
    );
}

#[test]
fn row_numbers() {
    check(
        "SELECT a, row_number() OVER (PARTITION BY c ORDER BY b DESC) FROM t",
        expect![[r#"
        Project [#0, #3]
          Top by [#2] order [#1 desc] numbered
            Get r3
    "#]],
    );
    check(
        "SELECT row_number() OVER w, row_number() OVER (w ORDER BY a + 1) FROM t WINDOW w AS (PARTITION BY c)",
        expect![[r#"
        Project [#2, #4]
          Top by [#1] order [#3] numbered
            Project [#0, #1, #2, add(#0, 1)]
              Top by [#1] order [] numbered
                Project [#0, #2]
                  Get r3
    "#]],
    );
    check(
        "SELECT c, sum(b), row_number() OVER (ORDER BY sum(b) DESC) FROM t GROUP BY c HAVING count(*) > 1",
        expect![[r#"
        Top by [] order [#1 desc] numbered
          Project [#0, #1] where greater(#2, 1::bigint)
            Reduce by [#1] compute [sum(#0), count(*)]
              Project [#1, #2]
                Get r3
    "#]],
    );
    check(
        "SELECT row_number() OVER () FROM t",
        expect![[r#"
        Top by [] order [] numbered
          Project []
            Get r3
    "#]],
    );
}

#[test]
fn a_filter_on_a_row_number_bounds_it() {
    let numbered = "(SELECT *, row_number() OVER (PARTITION BY a ORDER BY b DESC) AS rn FROM t) s";
    check(
        &format!("SELECT * FROM {numbered} WHERE rn <= 3"),
        expect![[r#"
        Top by [#0] order [#1 desc] fetch 3 numbered
          Get r3
    "#]],
    );
    check(
        &format!("SELECT a, b, c FROM {numbered} WHERE 1 = rn AND a > 5 AND c <> 'x'"),
        expect![[r#"
        Project [#0, #1, #2] where not_equal(#2, 'x')
          Top by [#0] order [#1 desc] fetch 1
            Project [#0, #1, #2] where greater(#0, 5)
              Get r3
    "#]],
    );
    check(
        &format!("SELECT * FROM {numbered} WHERE rn BETWEEN 1 AND 4"),
        expect![[r#"
        Top by [#0] order [#1 desc] fetch 4 numbered
          Get r3
    "#]],
    );
    check(
        &format!("SELECT a FROM {numbered} WHERE 3 > rn OR rn = 7"),
        expect![[r#"
        Project [#0] where (greater(3::bigint, #2) or equal(#2, 7::bigint))
          Top by [#0] order [#1 desc] numbered
            Project [#0, #1]
              Get r3
    "#]],
    );
    check(
        &format!("SELECT a FROM {numbered} WHERE rn < 1"),
        expect![[r#"
        Project [#0]
          Top by [#0] order [#1 desc] fetch 0
            Project [#0, #1]
              Get r3
    "#]],
    );
    check(
        &format!("SELECT a, b FROM {numbered}"),
        expect![[r#"
        Project [#0, #1]
          Get r3
    "#]],
    );
}

#[test]
fn nexmarks_rankings_are_bounded() {
    // q9: the winning bid of each auction.
    check(
        "SELECT id, item_name, auction, bidder, price, bid_date_time FROM ( \
           SELECT a.*, b.auction, b.bidder, b.price, b.date_time AS bid_date_time, \
             row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time ASC) AS rn \
           FROM auction a JOIN bid b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires) t \
         WHERE rn <= 1",
        expect![[r#"
            Project [#0, #1, #5, #6, #7, #8]
              Top by [#0] order [#7 desc, #8] fetch 1
                Project [#0, #1, #2, #3, #4, #5, #6, #7, #8] where (greater_equal(#8, #2) and less_equal(#8, #3))
                  Join on [#0 = #0]
                    Get r6
                    Project [#0, #1, #2, #3]
                      Get r7
        "#]],
    );
    // q18: the last bid of each bidder on each auction.
    check(
        "SELECT auction, bidder, price, date_time, extra FROM ( \
           SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price DESC, extra) AS rn \
           FROM bid) t WHERE rn <= 1",
        expect![[r#"
            Top by [#1, #0] order [#3 desc, #2 desc, #4] fetch 1
              Get r7
        "#]],
    );
    // q19: the ten highest bids of each auction, with their places.
    check(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra) AS rn \
         FROM bid) t WHERE rn <= 10",
        expect![[r#"
            Top by [#0] order [#2 desc, #3, #1, #4] fetch 10 numbered
              Get r7
        "#]],
    );
}
