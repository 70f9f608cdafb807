-- One statement a line, on PostgreSQL and on Millrace: rows, counts, SQLSTATE, message and detail must be equal.
SELECT * FROM pg_temp.t
CREATE TEMP TABLE t (a int PRIMARY KEY, b text DEFAULT 'x', c serial)
INSERT INTO t (a) VALUES (1), (2)
INSERT INTO t (a) VALUES (1)
SELECT * FROM t ORDER BY a
SELECT * FROM pg_temp.t ORDER BY a
UPDATE pg_temp.t SET b = 'y' WHERE a = 2 RETURNING *
SELECT relname, relpersistence, relkind FROM pg_class WHERE relname = 't'
SELECT table_type FROM information_schema.tables WHERE table_name = 't'
SELECT to_regclass('t') IS NOT NULL, to_regclass('pg_temp.t') IS NOT NULL, to_regclass('public.t') IS NULL
CREATE TABLE t (a text)
INSERT INTO public.t VALUES ('of all')
SELECT * FROM public.t
SELECT a FROM t ORDER BY a
CREATE TEMP TABLE t (a int)
CREATE TEMP TABLE IF NOT EXISTS t (a int)
CREATE TEMPORARY TABLE public.u (a int)
CREATE LOCAL TEMP TABLE u (a int) ON COMMIT PRESERVE ROWS
CREATE TABLE pg_temp.w (a int)
INSERT INTO w VALUES (3)
SELECT * FROM w
CREATE TABLE v (a int) ON COMMIT DROP
CREATE TEMP TABLE s AS SELECT a * 10 AS a FROM t
SELECT * FROM s ORDER BY a
CREATE TEMP TABLE s2 (x) ON COMMIT PRESERVE ROWS AS SELECT 1
SELECT * FROM s2
CREATE TEMP SEQUENCE q
SELECT nextval('q'), nextval('pg_temp.q')
CREATE TEMP VIEW tv AS SELECT a FROM t
SELECT * FROM tv ORDER BY a
CREATE VIEW pv AS SELECT a + 1 AS a FROM t
SELECT * FROM pv ORDER BY a
SELECT * FROM public.pv
CREATE OR REPLACE TEMP VIEW tv (a, b) AS SELECT 1, 2
SELECT * FROM tv
CREATE MATERIALIZED VIEW mv AS SELECT a FROM t
CREATE INDEX ON t (b)
ALTER TABLE t ADD COLUMN d int DEFAULT 7
SELECT * FROM t ORDER BY a
ALTER TABLE t RENAME TO t2
SELECT * FROM t
SELECT a FROM t2 ORDER BY a
DROP TABLE t
DROP TABLE t2
DROP TABLE t2 CASCADE
SELECT * FROM pv
BEGIN
CREATE TEMP TABLE b (a int)
INSERT INTO b VALUES (1)
SELECT * FROM b
ROLLBACK
SELECT * FROM b
BEGIN
CREATE TEMP TABLE b (a int)
INSERT INTO b VALUES (1)
COMMIT
SELECT * FROM b
SET search_path = public, pg_temp
CREATE TABLE b (a text)
SELECT * FROM b
DROP TABLE b
SELECT * FROM b
SET search_path = pg_temp
CREATE TABLE only_here (a int)
SELECT relpersistence FROM pg_class WHERE relname = 'only_here'
RESET search_path
DISCARD TEMP
SELECT * FROM b
SELECT * FROM only_here
CREATE TEMP TABLE again (a int)
DISCARD ALL
SELECT * FROM again
