//! The dataflow plans of outer joins, set operations, LIMIT, DISTINCT ON and row numbers.

use expect_test::expect;

use super::lowering::check;

#[test]
fn a_left_join_on_keys() {
    check("SELECT t.a, u.x FROM t LEFT JOIN u ON t.a = u.a", expect![[""]]);
}

#[test]
fn a_left_join_with_more_conditions() {
    check("SELECT t.c, u.x FROM t LEFT JOIN u ON t.a = u.a AND t.b < u.x", expect![[""]]);
    check("SELECT t.c, u.x FROM t LEFT JOIN u ON t.a = u.a AND t.b > 5 AND u.y > 1", expect![[""]]);
    check("SELECT t.c, u.x FROM t LEFT JOIN u ON true", expect![[""]]);
    check("SELECT t.c, u.x FROM t LEFT JOIN u ON false", expect![[""]]);
    // 0.0 and -0.0 are one key, but a condition can tell them apart.
    check("SELECT u.a, t.c FROM u LEFT JOIN t ON u.x::text < t.c", expect![[""]]);
}

#[test]
fn right_and_full_joins() {
    check("SELECT t.c, u.x FROM t RIGHT JOIN u ON t.a = u.a", expect![[""]]);
    check("SELECT * FROM t FULL JOIN u USING (a)", expect![[""]]);
    check("SELECT t.c, u.x FROM t FULL JOIN u ON t.a = u.a AND t.b < u.x", expect![[""]]);
    check("SELECT * FROM t JOIN v ON t.a = v.x LEFT JOIN u USING (a)", expect![[""]]);
}

#[test]
fn set_operations() {
    check("SELECT a FROM t UNION SELECT a FROM u", expect![[""]]);
    check("SELECT a FROM t INTERSECT SELECT x FROM v", expect![[""]]);
    check("SELECT a FROM t EXCEPT SELECT a FROM u", expect![[""]]);
    check("SELECT a FROM t EXCEPT ALL SELECT a FROM u", expect![[""]]);
    check("SELECT a FROM t INTERSECT ALL SELECT a FROM u", expect![[""]]);
    check("SELECT a FROM t UNION ALL SELECT a FROM u INTERSECT SELECT 1", expect![[""]]);
}

#[test]
fn limits() {
    check("SELECT a FROM t ORDER BY b DESC LIMIT 3 OFFSET 1", expect![[""]]);
    check("SELECT a FROM t LIMIT 3", expect![[""]]);
    check("SELECT DISTINCT c FROM t ORDER BY c FETCH FIRST ROW ONLY", expect![[""]]);
    check("SELECT a FROM t ORDER BY b OFFSET 2", expect![[""]]);
    // What breaks ties stays, unless it cannot be told apart.
    check("SELECT a FROM (SELECT a, b, c FROM t ORDER BY b LIMIT 3) s", expect![[""]]);
    check("SELECT b FROM (SELECT a, b, c FROM t ORDER BY b LIMIT 3) s", expect![[""]]);
}

#[test]
fn distinct_on() {
    check("SELECT DISTINCT ON (a) a, c FROM t ORDER BY a, b DESC", expect![[""]]);
    check("SELECT DISTINCT ON (1, c) a, b FROM t", expect![[""]]);
}

#[test]
fn row_numbers() {
    check("SELECT a, row_number() OVER (PARTITION BY c ORDER BY b DESC) FROM t", expect![[""]]);
    check(
        "SELECT row_number() OVER w, row_number() OVER (w ORDER BY a + 1) FROM t WINDOW w AS (PARTITION BY c)",
        expect![[""]],
    );
    check(
        "SELECT c, sum(b), row_number() OVER (ORDER BY sum(b) DESC) FROM t GROUP BY c HAVING count(*) > 1",
        expect![[""]],
    );
    check("SELECT row_number() OVER () FROM t", expect![[""]]);
}

#[test]
fn a_filter_on_a_row_number_bounds_it() {
    let numbered = "(SELECT *, row_number() OVER (PARTITION BY a ORDER BY b DESC) AS rn FROM t) s";
    check(&format!("SELECT * FROM {numbered} WHERE rn <= 3"), expect![[""]]);
    check(&format!("SELECT a, b, c FROM {numbered} WHERE 1 = rn AND a > 5 AND c <> 'x'"), expect![[""]]);
    check(&format!("SELECT * FROM {numbered} WHERE rn BETWEEN 1 AND 4"), expect![[""]]);
    check(&format!("SELECT a FROM {numbered} WHERE 3 > rn OR rn = 7"), expect![[""]]);
    check(&format!("SELECT a FROM {numbered} WHERE rn < 1"), expect![[""]]);
    check(&format!("SELECT a, b FROM {numbered}"), expect![[""]]);
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
        expect![[""]],
    );
    // q18: the last bid of each bidder on each auction.
    check(
        "SELECT auction, bidder, price, date_time, extra FROM ( \
           SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, price DESC, extra) AS rn \
           FROM bid) t WHERE rn <= 1",
        expect![[""]],
    );
    // q19: the ten highest bids of each auction, with their places.
    check(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, date_time, bidder, extra) AS rn \
         FROM bid) t WHERE rn <= 10",
        expect![[""]],
    );
}
