-- One statement a line, on PostgreSQL and on Millrace: rows, counts, SQLSTATE, message and detail must be equal.
SELECT current_schema(), current_schemas(false), current_schemas(true)
SELECT current_schema
SHOW search_path
CREATE SCHEMA s
CREATE SCHEMA s
CREATE SCHEMA IF NOT EXISTS s
CREATE SCHEMA "Odd one"
CREATE SCHEMA pg_mine
CREATE SCHEMA pg_catalog
CREATE SCHEMA u AUTHORIZATION nobody
CREATE SCHEMA IF NOT EXISTS u
CREATE SCHEMA u.v
CREATE TABLE s.t (a int PRIMARY KEY, b text DEFAULT 'in s', c serial, CHECK (a < 1000))
CREATE TABLE t (a int, b text)
CREATE TABLE s.t (a int)
CREATE TABLE nope.t (a int)
CREATE TABLE pg_catalog.t (a int)
INSERT INTO s.t VALUES (1), (2)
INSERT INTO t VALUES (10, 'public')
INSERT INTO public.t VALUES (11, 'public')
INSERT INTO nope.t VALUES (1)
INSERT INTO s.nope VALUES (1)
INSERT INTO s.t VALUES (1)
INSERT INTO s.t VALUES (1000)
SELECT * FROM s.t ORDER BY a
SELECT * FROM t ORDER BY a
SELECT * FROM nope.t
SELECT * FROM s.nope
SELECT * FROM nope.public.t
SELECT s.t.a, t.b FROM s.t
SELECT public.t.a FROM s.t
SELECT s.t.* FROM s.t WHERE s.t.a = 1
SELECT public.t.* FROM s.t
SELECT nope.t.a FROM s.t
SELECT s.t.nope FROM s.t
SELECT s.t.a, public.t.a FROM s.t, public.t ORDER BY 1, 2
SELECT t.a FROM s.t, public.t
SELECT a FROM s.t, public.t
SELECT s.t.a FROM s.t AS t
SELECT * FROM s.t, s.t
SELECT * FROM s.t x JOIN t x ON true
SELECT (SELECT s.t.a + public.t.a FROM public.t WHERE public.t.a = 10) FROM s.t ORDER BY 1
UPDATE s.t SET b = 'changed' WHERE s.t.a = 2 RETURNING s.t.a, t.b
UPDATE s.t SET b = public.t.b FROM public.t WHERE public.t.a = s.t.a + 9 RETURNING s.t.a, s.t.b
DELETE FROM s.t WHERE s.t.a = 100
DELETE FROM s.t USING t WHERE t.a = 3
DELETE FROM s.t USING public.t WHERE public.t.a = s.t.a
DELETE FROM nope.t
UPDATE nope.t SET a = 1
INSERT INTO s.t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = s.t.b || '!' RETURNING b
TRUNCATE nope.t
TRUNCATE s.nope
CREATE VIEW s.v AS SELECT a, b FROM s.t
CREATE VIEW w AS SELECT a FROM s.v
CREATE VIEW nope.v AS SELECT 1
CREATE INDEX ON s.t (b)
CREATE INDEX i ON nope.t (a)
CREATE INDEX s.i ON s.t (a)
CREATE INDEX t_b_idx ON t (b)
CREATE INDEX t_b_idx ON t (b)
SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE schemaname IN ('s', 'public') ORDER BY 1, 3
CREATE SEQUENCE s.q
CREATE SEQUENCE q START 100
SELECT nextval('s.q'), nextval('q'), nextval('public.q')
SELECT currval('s.q'), currval('q')
SELECT nextval('nope.q')
SELECT nextval('s.nope')
SELECT setval('s.q', 7)
SELECT last_value, is_called FROM s.q
ALTER SEQUENCE s.q RESTART
SELECT nextval('"s"."q"'::regclass)
ALTER SEQUENCE nope.q RESTART
ALTER SEQUENCE s.nope RESTART
CREATE TABLE d (a int DEFAULT nextval('s.q'), b int DEFAULT nextval('q'))
INSERT INTO d DEFAULT VALUES RETURNING *
SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 'd' ORDER BY 1
SELECT pg_get_serial_sequence('s.t', 'c'), pg_get_serial_sequence('t', 'a')
SELECT 's.t'::regclass::oid::regclass, 't'::regclass::oid::regclass, 'public.t'::regclass::oid::regclass, 's.t'::regclass::oid = 't'::regclass::oid
SELECT 'nope.t'::regclass
SELECT 's.nope'::regclass
SELECT 's'::regnamespace::oid::regnamespace, '"Odd one"'::regnamespace::oid::regnamespace
SELECT 'nope'::regnamespace
SELECT 'v'::regclass
SELECT to_regclass('s.v')::oid::regclass, to_regclass('s.nope'), to_regclass('nope.v')
SET search_path TO s, public
SHOW search_path
SELECT current_schema(), current_schemas(false), current_schemas(true)
SELECT a FROM t ORDER BY a
SELECT a FROM v ORDER BY a
SELECT a FROM w ORDER BY a
SELECT 's.t'::regclass::oid::regclass, 't'::regclass::oid::regclass, 'public.t'::regclass::oid::regclass, 'w'::regclass::oid::regclass
SELECT relname, relnamespace::regnamespace, pg_table_is_visible(oid) FROM pg_class WHERE relname IN ('t', 'v', 'w', 'q') ORDER BY 1, 2
INSERT INTO t (a) VALUES (50) RETURNING b
CREATE TABLE made (a int)
SELECT schemaname FROM pg_tables WHERE tablename = 'made'
CREATE TABLE made (a int)
CREATE VIEW seen AS SELECT a FROM made
CREATE MATERIALIZED VIEW kept AS SELECT a, b FROM t WHERE a < 0
CREATE VIEW both_ts AS SELECT t.a AS here, o.a AS there FROM t, public.t o
SELECT schemaname, viewname FROM pg_views WHERE viewname IN ('seen', 'both_ts')
SET search_path TO public
SELECT * FROM seen
SELECT * FROM s.seen
SELECT count(*) > 0 FROM s.kept
SELECT here, there FROM s.both_ts WHERE here = 50 ORDER BY 2
SELECT pg_table_is_visible('s.t'::regclass), pg_table_is_visible('t'::regclass)
DROP TABLE s.made
DROP TABLE s.made CASCADE
DROP TABLE made
DROP TABLE IF EXISTS made
DROP TABLE IF EXISTS nope.made
DROP TABLE nope.made
DROP VIEW s.nope
DROP VIEW s.t
DROP INDEX s.nope
DROP INDEX nope.i
DROP SEQUENCE s.t
DROP TABLE pg_class
DROP TABLE pg_catalog.pg_class
DROP VIEW s.both_ts
SET search_path TO nope, missing
SELECT current_schema(), current_schemas(true)
SHOW search_path
CREATE TABLE nowhere (a int)
CREATE VIEW nowhere AS SELECT 1
CREATE SEQUENCE nowhere
CREATE MATERIALIZED VIEW nowhere AS SELECT 1 AS a
SELECT * FROM t
SELECT count(*) > 0 FROM pg_class
SET search_path TO nope, s
CREATE TABLE somewhere (a int)
SELECT 'somewhere'::regclass::oid::regclass, 's.somewhere'::regclass::oid::regclass
DROP TABLE somewhere
SET search_path TO ''
SHOW search_path
SELECT * FROM t
SELECT current_schema()
SET search_path TO "Odd one", 's', "$user"
SHOW search_path
SELECT current_schemas(true)
SET search_path TO 's, public'
SHOW search_path
SELECT current_schemas(true)
SELECT set_config('search_path', 's, "Odd one", PUBLIC', false)
SHOW search_path
SELECT current_schemas(true)
SELECT set_config('search_path', 's,,x', false)
SELECT set_config('search_path', '', false)
SHOW search_path
SELECT current_schemas(true)
SELECT current_setting('search_path')
SELECT current_setting('nope')
SELECT current_setting('nope', true)
SELECT set_config('nope', 'x', false)
SET search_path TO public, pg_catalog
SELECT current_schemas(true)
CREATE TABLE pg_class (relname text)
SELECT count(*) FROM pg_class
DROP TABLE pg_class
SET search_path TO pg_catalog, public
SELECT current_schema()
CREATE TABLE somewhere (a int)
RESET search_path
SHOW search_path
SET SCHEMA 's'
SHOW search_path
SET search_path = DEFAULT
BEGIN
SET LOCAL search_path TO s
SELECT a FROM t ORDER BY a
COMMIT
SELECT a FROM t ORDER BY a
BEGIN
SET search_path TO s
ROLLBACK
SELECT a FROM t ORDER BY a
BEGIN
CREATE SCHEMA b
CREATE TABLE b.t (a int PRIMARY KEY)
INSERT INTO b.t VALUES (1)
SET LOCAL search_path TO b
SELECT * FROM t
CREATE VIEW v AS SELECT * FROM t
COMMIT
SELECT * FROM b.v
BEGIN
CREATE SCHEMA c
CREATE TABLE c.t (a int)
ROLLBACK
SELECT * FROM c.t
BEGIN
ALTER SCHEMA b RENAME TO bb
SELECT * FROM bb.v
SAVEPOINT x
DROP SCHEMA bb CASCADE
CREATE SCHEMA bb
ROLLBACK TO x
SELECT * FROM bb.t
COMMIT
SELECT * FROM bb.v
SELECT indexdef FROM pg_indexes WHERE schemaname = 'bb'
PREPARE p AS SELECT a FROM t WHERE a < 100 ORDER BY a
EXECUTE p
SET search_path TO s
EXECUTE p
SET search_path TO bb
EXECUTE p
SET search_path TO nope
EXECUTE p
RESET search_path
EXECUTE p
DEALLOCATE p
ALTER SCHEMA nope RENAME TO x
ALTER SCHEMA bb RENAME TO s
ALTER SCHEMA bb RENAME TO pg_x
ALTER SCHEMA bb RENAME TO b
ALTER TABLE nope.t ADD COLUMN x int
ALTER TABLE IF EXISTS nope.t ADD COLUMN x int
ALTER TABLE IF EXISTS s.nope ADD COLUMN x int
ALTER TABLE s.nope ADD COLUMN x int
ALTER TABLE s.t ADD COLUMN x int DEFAULT 3
SELECT DISTINCT x FROM s.t
ALTER TABLE s.t ADD CHECK (x > 0)
ALTER TABLE s.t ADD CONSTRAINT odd CHECK (s.t.x > 1)
ALTER TABLE s.t DROP COLUMN b
ALTER TABLE s.t ALTER COLUMN x SET NOT NULL
ALTER TABLE s.t RENAME TO t2
ALTER TABLE s.t2 RENAME TO t
ALTER TABLE s.t SET SCHEMA nope
ALTER TABLE s.t SET SCHEMA public
ALTER TABLE s.t SET SCHEMA s
ALTER TABLE s.t SET SCHEMA b
ALTER TABLE b.t SET SCHEMA "Odd one"
ALTER TABLE s.t SET SCHEMA b
SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes WHERE schemaname IN ('s', 'b') ORDER BY 1, 3
SELECT sequence_schema, sequence_name FROM information_schema.sequences ORDER BY 1, 2
INSERT INTO b.t (a) VALUES (70) RETURNING c
SELECT count(*) FROM s.v
SELECT count(*) FROM w
SELECT count(*) > 0 FROM s.kept
ALTER VIEW s.v SET SCHEMA b
ALTER VIEW b.t SET SCHEMA s
ALTER SEQUENCE b.t_c_seq SET SCHEMA s
ALTER SEQUENCE s.q SET SCHEMA b
ALTER SEQUENCE IF EXISTS s.q SET SCHEMA b
ALTER MATERIALIZED VIEW s.kept SET SCHEMA b
ALTER INDEX b.t_pkey SET SCHEMA s
ALTER INDEX b.t_b_idx RENAME TO by_b
SELECT nextval('b.q')
INSERT INTO d DEFAULT VALUES RETURNING a
SELECT count(*) > 0 FROM b.kept
COMMENT ON SCHEMA b IS 'what it is for'
COMMENT ON SCHEMA nope IS 'x'
COMMENT ON TABLE b.t IS 'a table'
COMMENT ON COLUMN b.t.a IS 'a column'
COMMENT ON TABLE nope.t IS 'a table'
COMMENT ON COLUMN nope.t.a IS 'x'
SELECT obj_description('b'::regnamespace, 'pg_namespace'), obj_description('b.t'::regclass, 'pg_class'), col_description('b.t'::regclass, 1)
SELECT obj_description('public'::regnamespace, 'pg_namespace')
COMMENT ON SCHEMA b IS NULL
SELECT obj_description('b'::regnamespace, 'pg_namespace')
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'millrace') ORDER BY 1
SELECT schema_name FROM information_schema.schemata WHERE schema_name !~ '^pg_' AND schema_name NOT IN ('information_schema', 'millrace') ORDER BY 1
SELECT table_schema, table_name, table_type FROM information_schema.tables WHERE table_schema IN ('public', 's', 'b', 'Odd one') ORDER BY 1, 2
SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema IN ('s', 'b', 'Odd one') ORDER BY 1, 2, 3
SELECT constraint_schema, constraint_name, table_schema, table_name, constraint_type FROM information_schema.table_constraints WHERE table_schema = 'Odd one' AND constraint_type = 'PRIMARY KEY'
SELECT connamespace::regnamespace, conname FROM pg_constraint WHERE conrelid = '"Odd one".t'::regclass ORDER BY 2
SELECT schemaname, matviewname, definition IS NULL FROM pg_matviews
SELECT schemaname, sequencename FROM pg_sequences ORDER BY 1, 2
DROP SCHEMA nope
DROP SCHEMA IF EXISTS nope
DROP SCHEMA "Odd one"
DROP SCHEMA b
DROP SCHEMA b RESTRICT
DROP SCHEMA s, b
DROP SCHEMA s, nope
DROP SCHEMA b CASCADE
SELECT count(*) FROM w
SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 'd' ORDER BY 1
DROP SCHEMA "Odd one" CASCADE
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'millrace') ORDER BY 1
DROP SCHEMA pg_catalog
DROP SCHEMA s, u
CREATE SCHEMA e
CREATE TABLE e.a (x int)
CREATE VIEW e.b AS SELECT x FROM e.a
CREATE VIEW outside AS SELECT x FROM e.b
DROP SCHEMA e
DROP TABLE e.a
DROP SCHEMA e CASCADE
SELECT * FROM outside
CREATE SCHEMA e
CREATE TABLE e.a (x int)
SELECT * FROM e.a
DROP SCHEMA e CASCADE
DROP SCHEMA public
DROP TABLE t, d
DROP SEQUENCE q
DROP SCHEMA public
CREATE TABLE t (a int)
CREATE SCHEMA public
CREATE TABLE t (a int)
INSERT INTO t VALUES (1)
SELECT * FROM public.t
