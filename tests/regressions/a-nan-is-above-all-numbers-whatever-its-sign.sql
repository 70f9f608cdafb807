-- workers 2
-- Infinity * -0 is a NaN whose sign bit is set (on x86): it is above all numbers in the whole row by which ties are broken, too.
CREATE TABLE t0 (k int, a2 double precision)
CREATE MATERIALIZED VIEW v0 AS SELECT * FROM (SELECT (l.k > l.k) AS c0, (l.a2 * r.a2) AS c1 FROM t0 AS l JOIN t0 AS r ON true) AS q ORDER BY c0 LIMIT 1
CREATE MATERIALIZED VIEW v1 AS SELECT min(l.a2 * r.a2) AS c0, max(l.a2 * r.a2) AS c1 FROM t0 AS l JOIN t0 AS r ON true
-- judge
INSERT INTO t0 VALUES (1, 'Infinity')
INSERT INTO t0 VALUES (1, '-0')
INSERT INTO t0 VALUES (1, 1.5), (1, 'NaN')
DELETE FROM t0 WHERE a2 = 0
