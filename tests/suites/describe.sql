-- One statement a line, prepared on PostgreSQL and on Millrace: the parameters' types and the columns' names, types,
-- modifiers, tables and numbers must be equal, or the SQLSTATE.
SELECT * FROM d
SELECT b, a AS other, (c), d.e FROM d
SELECT a + 1, upper(t), 'x', NULL, 1, 1.5::float8 FROM d
SELECT x.a, y.a FROM d x JOIN d y ON x.a = y.b
SELECT * FROM d JOIN o USING (a)
SELECT * FROM d LEFT JOIN o USING (a)
SELECT * FROM d RIGHT JOIN o USING (a)
SELECT * FROM d FULL JOIN o USING (a)
SELECT * FROM d NATURAL JOIN o
SELECT s.b, s.n FROM (SELECT b, a + 1 AS n FROM d) s
SELECT * FROM (SELECT * FROM d) s (p, q)
WITH w AS (SELECT b, c FROM d) SELECT * FROM w
WITH w (p) AS (SELECT b FROM d) SELECT p, w.p + 1 FROM w
SELECT * FROM pv
SELECT * FROM pv JOIN d ON d.a = pv.b
SELECT a, count(*), max(b) FROM d GROUP BY a
SELECT DISTINCT b FROM d ORDER BY b LIMIT 1
SELECT DISTINCT ON (a) a, b FROM d
SELECT a FROM d UNION ALL SELECT a FROM o
SELECT a FROM d EXCEPT SELECT a FROM o
VALUES (1, 'x'), (2, NULL)
SELECT * FROM (VALUES (1, 'x')) v (p, q)
SELECT (SELECT a FROM d LIMIT 1), EXISTS (SELECT 1 FROM d)
SELECT row_number() OVER (ORDER BY a), a FROM d
TABLE o
(SELECT a FROM d)
SELECT CASE WHEN a > 1 THEN a END, coalesce(a, b), a::bigint FROM d
INSERT INTO d (a, b) VALUES (1, 2) RETURNING *, a + 1, b AS other
UPDATE d SET b = 1 RETURNING a, d.t
UPDATE d SET b = o.z FROM o WHERE o.a = d.a RETURNING d.a, o.z
DELETE FROM d USING o WHERE o.a = d.a RETURNING o.a, d.b
INSERT INTO d (a) VALUES (1)
SELECT $1
SELECT $1, $2::int, $3::text
SELECT $1::boolean, $2::smallint, $3::bigint, $4::real, $5::double precision, $6::text, $7::date, $8::timestamp, $9::timestamptz, $10::uuid, $11::bytea
SELECT * FROM d WHERE a = $1
SELECT * FROM d WHERE $1 = a
SELECT * FROM d WHERE t = $1 AND e > $2 AND f <= $3 AND g <> $4
SELECT * FROM d WHERE a IN ($1, $2) AND t NOT IN ($3)
SELECT * FROM d WHERE a BETWEEN $1 AND $2
SELECT * FROM d WHERE t LIKE $1
SELECT * FROM d WHERE $1
SELECT * FROM d WHERE $1 IS NULL
SELECT * FROM d WHERE a = $1 OR $1 IS NULL
SELECT * FROM d LIMIT $1 OFFSET $2
SELECT a + $1, $2 - b, -$3::int, t || $4 FROM d
SELECT $1 + $2
SELECT $1 || $2
SELECT upper($1), length($2), abs($3::int)
SELECT coalesce($1, 'x'), coalesce(a, $2), nullif(b, $3), greatest(c, $4) FROM d
SELECT CASE WHEN a = $1 THEN $2 ELSE 'x' END FROM d
SELECT * FROM d WHERE e > $1 + interval '1 day'
SELECT e + $1 FROM d
SELECT * FROM d WHERE (a, b) = ($1, $2)
SELECT * FROM d WHERE a = (SELECT max(z) FROM o WHERE z < $1)
SELECT * FROM d WHERE EXISTS (SELECT 1 FROM o WHERE o.a = $1)
SELECT count(*) FROM d HAVING count(*) > $1
SELECT a FROM d UNION SELECT $1
SELECT $1 UNION SELECT a FROM d
VALUES ($1, $2)
VALUES ($1, 1), (2, $2)
INSERT INTO d (a, b, c, t, e, f, g) VALUES ($1, $2, $3, $4, $5, $6, $7)
INSERT INTO d (a) VALUES ($1), ($2 + 1)
INSERT INTO d (a, t) SELECT $1, $2
INSERT INTO d (a, t) SELECT a, $1 FROM o WHERE z = $2
INSERT INTO o VALUES ($1, $2) ON CONFLICT DO NOTHING
INSERT INTO o VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET z = excluded.z + $3 WHERE o.z < $4 RETURNING $5::int
UPDATE d SET a = $1, t = $2 WHERE b = $3
UPDATE d SET b = b + $1
DELETE FROM d WHERE a = $1 RETURNING t
SELECT * FROM e
INSERT INTO e (ti, j, jb, ai, ta, iv, tp) VALUES ($1, $2, $3, $4, $5, $6, $7)
SELECT $1::char(4), $2::json, $3::int[], $4::time
SELECT $2::int
SELECT $1::int, $1
SELECT $1::int, $1::text
SELECT * FROM d WHERE a = $1 AND t = $1
SELECT $0
SELECT $1 FROM nope
BEGIN
SHOW search_path
EXPLAIN SELECT 1
SET application_name = 'x'
CREATE TABLE later (a int)
DROP TABLE nowhere
DECLARE c CURSOR FOR SELECT a FROM d WHERE b = $1
CREATE TABLE made AS SELECT a, $1::int AS more, t FROM d WHERE b = $2 AND c < $3
CREATE TABLE made AS SELECT nothing FROM d
