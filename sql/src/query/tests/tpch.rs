//! The sub-queries of TPC-H: their plans have no cross product, and no domain where none is needed.
//! Doubles stand for decimals, timestamps for dates; what is aggregated above is left out.

use expect_test::{Expect, expect};
use millrace_engine::DataType::{Float64, Int32, Text, Timestamp};

use super::{parse, relation};
use crate::catalog::{Catalog, CatalogChange};
use crate::query::rel::{JoinKind, Rel};
use crate::query::{Parameters, Query};

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for relation in [
        relation(
            1,
            "part",
            &[
                ("p_partkey", Int32),
                ("p_name", Text),
                ("p_brand", Text),
                ("p_type", Text),
                ("p_size", Int32),
                ("p_container", Text),
            ],
        ),
        relation(
            2,
            "supplier",
            &[("s_suppkey", Int32), ("s_name", Text), ("s_nationkey", Int32), ("s_comment", Text)],
        ),
        relation(
            3,
            "partsupp",
            &[
                ("ps_partkey", Int32),
                ("ps_suppkey", Int32),
                ("ps_availqty", Int32),
                ("ps_supplycost", Float64),
            ],
        ),
        relation(
            4,
            "customer",
            &[("c_custkey", Int32), ("c_name", Text), ("c_phone", Text), ("c_acctbal", Float64)],
        ),
        relation(
            5,
            "orders",
            &[
                ("o_orderkey", Int32),
                ("o_custkey", Int32),
                ("o_orderstatus", Text),
                ("o_orderdate", Timestamp),
                ("o_orderpriority", Text),
            ],
        ),
        relation(
            6,
            "lineitem",
            &[
                ("l_orderkey", Int32),
                ("l_partkey", Int32),
                ("l_suppkey", Int32),
                ("l_quantity", Float64),
                ("l_extendedprice", Float64),
                ("l_discount", Float64),
                ("l_shipdate", Timestamp),
                ("l_commitdate", Timestamp),
                ("l_receiptdate", Timestamp),
            ],
        ),
        relation(7, "nation", &[("n_nationkey", Int32), ("n_name", Text), ("n_regionkey", Int32)]),
        relation(8, "region", &[("r_regionkey", Int32), ("r_name", Text)]),
        relation(9, "revenue", &[("supplier_no", Int32), ("total_revenue", Float64)]),
    ] {
        catalog.apply(&CatalogChange::Create(relation)).unwrap();
    }
    catalog
}

/// Whether it has one row by its form: such a side makes no product.
fn one_row(rel: &Rel) -> bool {
    match rel {
        Rel::Project { input, .. } => one_row(input),
        Rel::Aggregate { keys, .. } => keys.is_empty(),
        _ => false,
    }
}

fn check(sql: &str, expected: Expect) {
    let query = Query::plan(&parse(sql), &catalog(), Parameters::values(&[])).unwrap();
    query.rel.visit(&mut |rel| {
        if let Rel::Join { kind, left, right, on } = rel {
            let (keys, _) = crate::lower::join_keys(on, &left.columns(), &right.columns());
            let semi = matches!(kind, JoinKind::Semi | JoinKind::Anti) && on.is_empty();
            assert!(
                !keys.is_empty() || semi || one_row(left) || one_row(right),
                "a product in\n{}",
                query.rel
            );
        }
    });
    expected.assert_eq(&query.rel.to_string());
}

#[test]
fn q2_the_cheapest_supplier() {
    check(
        "SELECT s_name, p_partkey FROM part, supplier, partsupp, nation, region \
         WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS' \
         AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE' \
         AND ps_supplycost = (SELECT min(ps_supplycost) FROM partsupp, supplier, nation, region \
           WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND s_nationkey = n_nationkey \
           AND n_regionkey = r_regionkey AND r_name = 'EUROPE')",
        expect![[r#"
            Project [#1, #0]
              Inner join on equal(#0, #4) and equal(#2, #3)
                Project [#0, #2, #1]
                  Inner join on equal(#3, #4)
                    Project [#0, #1, #2, #5]
                      Inner join on equal(#3, #4)
                        Project [#0, #2, #4, #5]
                          Inner join on equal(#3, #1)
                            Project [#0, #2, #3]
                              Inner join on equal(#0, #1)
                                Project [#0] where equal(#4, 15) and like(#3, '%BRASS')
                                  Scan r1
                                Project [#0, #1, #3]
                                  Scan r3
                            Project [#0, #1, #2]
                              Scan r2
                        Project [#0, #2]
                          Scan r7
                    Project [#0] where equal(#1, 'EUROPE')
                      Scan r8
                Project [#1, #0]
                  Aggregate by [#0] compute [min(#1)]
                    Project [#0, #1]
                      Inner join on equal(#2, #3)
                        Project [#0, #1, #4]
                          Inner join on equal(#2, #3)
                            Project [#0, #2, #4]
                              Inner join on equal(#3, #1)
                                Project [#0, #1, #3]
                                  Scan r3
                                Project [#0, #2]
                                  Scan r2
                            Project [#0, #2]
                              Scan r7
                        Project [#0] where equal(#1, 'EUROPE')
                          Scan r8
        "#]],
    );
}

#[test]
fn q4_orders_with_a_late_line() {
    check(
        "SELECT o_orderpriority, count(*) FROM orders WHERE o_orderdate >= '1993-07-01' \
         AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate) \
         GROUP BY o_orderpriority",
        expect![[r#"
            Aggregate by [#0] compute [count(*)]
              Project [#1]
                Semi join on equal(#0, #2)
                  Project [#0, #4] where greater_equal(#3, 741484800000000us::timestamp)
                    Scan r5
                  Project [#0] where less(#7, #8)
                    Scan r6
        "#]],
    );
}

#[test]
fn q11_more_than_a_part_of_the_sum() {
    check(
        "SELECT ps_partkey, sum(ps_supplycost * ps_availqty) FROM partsupp, supplier \
         WHERE ps_suppkey = s_suppkey GROUP BY ps_partkey HAVING sum(ps_supplycost * ps_availqty) > \
         (SELECT sum(ps_supplycost * ps_availqty) * 0.0001 FROM partsupp, supplier WHERE ps_suppkey = s_suppkey)",
        expect![[r#"
            Project [#0, #1]
              Inner join on greater(#1, #2)
                Aggregate by [#0] compute [sum(multiply(#2, #1::double precision))]
                  Project [#0, #2, #3]
                    Inner join on equal(#1, #4)
                      Scan r3
                      Project [#0]
                        Scan r2
                Project [multiply(#0, 0.0001::double precision)]
                  Aggregate by [] compute [sum(multiply(#1, #0::double precision))]
                    Project [#1, #2]
                      Inner join on equal(#0, #3)
                        Project [#1, #2, #3]
                          Scan r3
                        Project [#0]
                          Scan r2
        "#]],
    );
}

#[test]
fn q15_the_greatest() {
    check(
        "SELECT s_suppkey, s_name, total_revenue FROM supplier, revenue WHERE s_suppkey = supplier_no \
         AND total_revenue = (SELECT max(total_revenue) FROM revenue)",
        expect![[r#"
            Project [#0, #1, #2]
              Inner join on equal(#2, #3)
                Project [#0, #1, #3]
                  Inner join on equal(#0, #2)
                    Project [#0, #1]
                      Scan r2
                    Scan r9
                Aggregate by [] compute [max(#0)]
                  Project [#1]
                    Scan r9
        "#]],
    );
}

#[test]
fn q16_not_among_the_suppliers_with_complaints() {
    check(
        "SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) FROM partsupp, part \
         WHERE p_partkey = ps_partkey AND p_brand <> 'Brand#45' AND ps_suppkey NOT IN \
         (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%') \
         GROUP BY p_brand, p_type, p_size",
        expect![[r#"
            Aggregate by [#1, #2, #3] compute [count(distinct #0)]
              Anti join on equal((#0 is null), #4)
                Anti join
                  Anti join on equal(#0, #4)
                    Project [#1, #3, #4, #5]
                      Inner join on equal(#2, #0)
                        Project [#0, #1]
                          Scan r3
                        Project [#0, #2, #3, #4] where not_equal(#2, 'Brand#45')
                          Scan r1
                    Project [#0] where like(#3, '%Customer%Complaints%')
                      Scan r2
                  Project [] where like(#3, '%Customer%Complaints%') and (#0 is null)
                    Scan r2
                Project [true] where like(#3, '%Customer%Complaints%')
                  Scan r2
        "#]],
    );
}

#[test]
fn q17_less_than_a_part_of_the_mean() {
    check(
        "SELECT sum(l_extendedprice) / 7.0 FROM lineitem, part WHERE p_partkey = l_partkey \
         AND p_brand = 'Brand#23' AND l_quantity < \
         (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)",
        expect![[r#"
            Project [divide(#0, 7.0::double precision)]
              Aggregate by [] compute [sum(#0)]
                Project [#1]
                  Inner join on equal(#2, #4) and less(#0, #3)
                    Project [#1, #2, #3]
                      Inner join on equal(#3, #0)
                        Project [#1, #3, #4]
                          Scan r6
                        Project [#0] where equal(#2, 'Brand#23')
                          Scan r1
                    Project [multiply(0.2::double precision, #1), #0]
                      Aggregate by [#0] compute [avg(#1)]
                        Project [#1, #3]
                          Scan r6
        "#]],
    );
}

#[test]
fn q18_in_large_orders() {
    check(
        "SELECT c_name, o_orderkey, sum(l_quantity) FROM customer, orders, lineitem WHERE o_orderkey IN \
         (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 300) \
         AND c_custkey = o_custkey AND o_orderkey = l_orderkey GROUP BY c_name, o_orderkey",
        expect![[r#"
            Aggregate by [#0, #1] compute [sum(#2)]
              Semi join on equal(#1, #3)
                Project [#0, #1, #3]
                  Inner join on equal(#1, #2)
                    Project [#1, #2]
                      Inner join on equal(#0, #3)
                        Project [#0, #1]
                          Scan r4
                        Project [#0, #1]
                          Scan r5
                    Project [#0, #3]
                      Scan r6
                Project [#0] where greater(#1, 300.0::double precision)
                  Aggregate by [#0] compute [sum(#1)]
                    Project [#0, #3]
                      Scan r6
        "#]],
    );
}

#[test]
fn q20_in_nested_in() {
    check(
        "SELECT s_name FROM supplier, nation WHERE s_suppkey IN (SELECT ps_suppkey FROM partsupp \
           WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%') \
           AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM lineitem WHERE l_partkey = ps_partkey \
             AND l_suppkey = ps_suppkey AND l_shipdate >= '1994-01-01')) \
         AND s_nationkey = n_nationkey AND n_name = 'CANADA'",
        expect![[r#"
            Project [#1]
              Semi join on equal(#0, #2)
                Project [#0, #1]
                  Inner join on equal(#2, #3)
                    Project [#0, #1, #2]
                      Scan r2
                    Project [#0] where equal(#1, 'CANADA')
                      Scan r7
                Project [#1]
                  Inner join on equal(#0, #4) and equal(#1, #5) and greater(#2::double precision, #3)
                    Semi join on equal(#0, #3)
                      Project [#0, #1, #2]
                        Scan r3
                      Project [#0] where like(#1, 'forest%')
                        Scan r1
                    Project [multiply(0.5::double precision, #2), #0, #1]
                      Aggregate by [#0, #1] compute [sum(#2)]
                        Project [#1, #2, #3] where greater_equal(#6, 757382400000000us::timestamp)
                          Scan r6
        "#]],
    );
}

#[test]
fn q21_suppliers_who_alone_kept_orders_waiting() {
    check(
        "SELECT s_name, count(*) FROM supplier, lineitem l1, orders, nation WHERE s_suppkey = l1.l_suppkey \
         AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F' AND l1.l_receiptdate > l1.l_commitdate \
         AND EXISTS (SELECT * FROM lineitem l2 WHERE l2.l_orderkey = l1.l_orderkey \
           AND l2.l_suppkey <> l1.l_suppkey) \
         AND NOT EXISTS (SELECT * FROM lineitem l3 WHERE l3.l_orderkey = l1.l_orderkey \
           AND l3.l_suppkey <> l1.l_suppkey AND l3.l_receiptdate > l3.l_commitdate) \
         AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA' GROUP BY s_name",
        expect![[r#"
            Aggregate by [#0] compute [count(*)]
              Project [#0]
                Anti join on equal(#1, #3) and not_equal(#4, #2)
                  Semi join on equal(#1, #3) and not_equal(#4, #2)
                    Project [#0, #2, #3]
                      Inner join on equal(#1, #4)
                        Project [#0, #1, #2, #3]
                          Inner join on equal(#4, #2)
                            Project [#1, #2, #3, #4]
                              Inner join on equal(#0, #4)
                                Project [#0, #1, #2]
                                  Scan r2
                                Project [#0, #2] where greater(#8, #7)
                                  Scan r6
                            Project [#0] where equal(#2, 'F')
                              Scan r5
                        Project [#0] where equal(#1, 'SAUDI ARABIA')
                          Scan r7
                    Project [#0, #2]
                      Scan r6
                  Project [#0, #2] where greater(#8, #7)
                    Scan r6
        "#]],
    );
}

#[test]
fn q22_rich_customers_without_orders() {
    check(
        "SELECT substring(c_phone, 1, 2), c_acctbal FROM customer \
         WHERE substring(c_phone, 1, 2) IN ('13', '31') AND c_acctbal > \
         (SELECT avg(c_acctbal) FROM customer WHERE c_acctbal > 0.00 AND substring(c_phone, 1, 2) IN ('13', '31')) \
         AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)",
        expect![[r#"
            Project [substring(#0, 1, 2), #1]
              Inner join on greater(#1, #2)
                Project [#1, #2]
                  Anti join on equal(#0, #3)
                    Project [#0, #2, #3] where in(substring(#2, 1, 2), '13', '31')
                      Scan r4
                    Project [#1]
                      Scan r5
                Aggregate by [] compute [avg(#0)]
                  Project [#3] where greater(#3, 0.0::double precision) and in(substring(#2, 1, 2), '13', '31')
                    Scan r4
        "#]],
    );
}
