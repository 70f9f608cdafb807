-- workers 2
-- 0.0 and -0.0 are equal in ORDER BY; the row of -0.0 comes first in the whole row, for the view and for its query.
CREATE TABLE t0 (k int, a2 double precision, a3 text)
INSERT INTO t0 VALUES (1, NULL, ''), (2, 'Infinity', 'a longer text that goes on A'), (0, 0, '12')
CREATE MATERIALIZED VIEW v0 AS SELECT * FROM (SELECT coalesce(l.a2, 0) AS c0, l.a2 AS c1 FROM t0 AS l) AS q ORDER BY c0 LIMIT 1
-- judge
INSERT INTO t0 VALUES (2147483647, 0, 'a')
INSERT INTO t0 VALUES (2000000000, 2.25, 'ab'); INSERT INTO t0 VALUES (2147483647, '-0', 'x'), (2147483647, 'Infinity', '-3')
INSERT INTO t0 VALUES (3, '-0', 'a'); INSERT INTO t0 VALUES (2, 2.25, '')
