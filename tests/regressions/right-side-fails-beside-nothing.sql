-- A join whose left side is empty, or has only NULL keys, does not hide the right side's errors.
CREATE TABLE t0 (k int)
CREATE TABLE t1 (k int, a3 text)
CREATE MATERIALIZED VIEW v0 AS SELECT l.k AS c0 FROM t0 AS l JOIN t1 AS r ON l.k = 10 / r.k
CREATE MATERIALIZED VIEW v1 AS SELECT l.k AS c0 FROM t0 AS l JOIN t1 AS r ON l.k = r.k WHERE r.a3::int IN (0, 1)
-- judge
INSERT INTO t1 VALUES (0, '1')
DELETE FROM t1 WHERE k = 0
INSERT INTO t1 VALUES (1, 'x')
INSERT INTO t0 VALUES (NULL)
DELETE FROM t1 WHERE a3 = 'x'
INSERT INTO t1 VALUES (1, '1'), (10, '0')
INSERT INTO t0 VALUES (1), (10)
