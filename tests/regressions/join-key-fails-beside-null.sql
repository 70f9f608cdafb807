-- workers 2
CREATE TABLE t0 (k int, a0 int, a3 text, a5 timestamp)
CREATE TABLE t1 (k int, a0 int, a2 double precision)
CREATE MATERIALIZED VIEW v0 AS SELECT l.k AS c0 FROM t1 AS l JOIN t0 AS r ON l.k = r.k AND l.a0 + 1 = r.k
-- judge
INSERT INTO t1 VALUES (NULL, 2147483647, 1.5)
INSERT INTO t0 VALUES (1, 1, 'a', '2024-01-01 00:10:00')
INSERT INTO t0 VALUES (1, 1, 'a', '2024-01-01 00:10:00')
-- restart, forget
