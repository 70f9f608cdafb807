-- workers 2
-- The operands of a left join's keys are computed for all left rows, also where another condition on the left row is not true.
CREATE TABLE t0 (k int, a7 int)
CREATE TABLE t1 (k int, a0 int, a1 bigint)
CREATE MATERIALIZED VIEW v0 AS SELECT l.k AS c0, r.a7 AS c1 FROM t1 AS l LEFT JOIN t0 AS r ON l.k + 1 = r.k AND l.a0 = r.k AND (l.a1 >= l.a1) WHERE (r.a7 >= r.a7)
-- judge
INSERT INTO t0 VALUES (2, 1), (3, 2)
INSERT INTO t1 VALUES (2147483647, 2, NULL)
INSERT INTO t1 VALUES (1, 2, 2)
