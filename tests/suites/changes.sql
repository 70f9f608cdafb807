-- One statement a line, on PostgreSQL and on Millrace: rows, counts, SQLSTATE, message and detail must be equal.
CREATE TABLE acc (id int PRIMARY KEY, owner text NOT NULL UNIQUE, bal numeric(12,2) DEFAULT 0 CHECK (bal >= 0), note text DEFAULT 'n' || 'x', CONSTRAINT pos CHECK (id > 0))
INSERT INTO acc (id, owner) VALUES (1, 'ann'), (2, 'bob') RETURNING *
INSERT INTO acc VALUES (1, 'x', 1)
INSERT INTO acc VALUES (3, 'ann', 1)
INSERT INTO acc VALUES (3, 'cy', -1)
INSERT INTO acc VALUES (0, 'cy', DEFAULT, DEFAULT)
INSERT INTO acc VALUES (NULL, 'cy')
INSERT INTO acc VALUES (5, 'eve', 5), (5, 'eva', 6)
INSERT INTO acc (id, owner, bal) VALUES (1, 'ann', 5), (4, 'dan', 7) ON CONFLICT (id) DO UPDATE SET bal = acc.bal + excluded.bal, note = 'up' RETURNING id, bal, note
INSERT INTO acc (id, owner, bal) VALUES (1, 'ann', 5), (6, 'fay', 7) ON CONFLICT DO NOTHING RETURNING id
INSERT INTO acc (id, owner) VALUES (7, 'g'), (7, 'h') ON CONFLICT (id) DO UPDATE SET owner = excluded.owner
INSERT INTO acc (id, owner) VALUES (7, 'g'), (7, 'h') ON CONFLICT (id) DO NOTHING
INSERT INTO acc (id, owner) VALUES (8, 'g') ON CONFLICT (note) DO NOTHING
INSERT INTO acc (id, owner) VALUES (8, 'g') ON CONFLICT (nope) DO NOTHING
INSERT INTO acc (id, owner) VALUES (8, 'g') ON CONFLICT ON CONSTRAINT nope DO NOTHING
INSERT INTO acc AS a (id, owner) VALUES (1, 'g') ON CONFLICT (id) DO UPDATE SET note = a.note || excluded.owner WHERE a.bal > 1 RETURNING a.note
INSERT INTO acc (id, owner) VALUES (1, 'g') ON CONFLICT (id) DO UPDATE SET id = NULL
INSERT INTO acc (id, owner) VALUES (1, 'g') ON CONFLICT (id) DO UPDATE SET owner = 'bob'
UPDATE acc SET bal = bal + 1 WHERE id = 1 RETURNING *
UPDATE acc SET id = id + 10
UPDATE acc SET (bal, note) = (SELECT 3, 'sub') WHERE id = 11
UPDATE acc SET (bal, note) = (SELECT 3) WHERE id = 11
UPDATE acc SET (bal, note) = ROW (4, DEFAULT) WHERE id = 11 RETURNING bal, note
UPDATE acc a SET note = v.n FROM (VALUES (11, 'p'), (12, 'q')) v (i, n) WHERE v.i = a.id RETURNING a.id, v.n, a.note
UPDATE acc SET bal = -1 WHERE id = 11
UPDATE acc SET owner = NULL WHERE id = 11
UPDATE acc SET owner = 'bob' WHERE id = 11
UPDATE acc SET id = 11
UPDATE acc SET nope = 1
UPDATE acc SET id = 1, id = 2
UPDATE nope SET a = 1
UPDATE acc SET id = owner
UPDATE acc SET id = 'x'
UPDATE acc a SET note = 'x' WHERE acc.id = 1
DELETE FROM acc a USING (VALUES (14), (16)) v (i) WHERE v.i = a.id RETURNING *
DELETE FROM acc WHERE nope = 1
DELETE FROM acc WHERE id = 99 RETURNING owner
SELECT * FROM acc
BEGIN
UPDATE acc SET bal = bal - 1 WHERE id = 11
UPDATE acc SET bal = bal + 1 WHERE id = 12
SELECT id, bal FROM acc WHERE id IN (11, 12)
SAVEPOINT a
INSERT INTO acc VALUES (12, 'zz')
SELECT 1
ROLLBACK TO SAVEPOINT a
INSERT INTO acc VALUES (13, 'zz')
SAVEPOINT b
DELETE FROM acc
SELECT count(*) FROM acc
ROLLBACK TO b
RELEASE SAVEPOINT b
ROLLBACK TO b
ROLLBACK
SAVEPOINT outside
BEGIN
CREATE TABLE fresh (a int PRIMARY KEY, b text)
INSERT INTO fresh VALUES (1, 'one'), (2, 'two')
CREATE VIEW above AS SELECT a + 1 AS c FROM fresh
SELECT * FROM above
INSERT INTO fresh VALUES (2, 'again') ON CONFLICT (a) DO UPDATE SET b = fresh.b || excluded.b RETURNING b
INSERT INTO fresh VALUES (1, 'dup')
COMMIT
SELECT * FROM fresh
TRUNCATE acc
SELECT count(*) FROM acc
INSERT INTO acc DEFAULT VALUES
TRUNCATE nope
CREATE TABLE d (a int, b int DEFAULT 7)
INSERT INTO d DEFAULT VALUES RETURNING b
INSERT INTO d VALUES (1, DEFAULT), (2, DEFAULT)
CREATE UNIQUE INDEX ON d (a)
INSERT INTO d VALUES (1, 1)
INSERT INTO d VALUES (NULL, 1), (NULL, 2)
CREATE UNIQUE INDEX ON d (b)
CREATE UNIQUE INDEX ON d ((a + b))
INSERT INTO d VALUES (5, 3)
DROP INDEX acc_pkey
CREATE TABLE bad (a int DEFAULT b, b int)
CREATE TABLE bad (a int DEFAULT 'x')
CREATE TABLE bad (a int DEFAULT true)
CREATE TABLE bad (a int CHECK (a), b int)
CREATE TABLE bad (a int PRIMARY KEY, b int PRIMARY KEY)
CREATE TABLE bad (a int, PRIMARY KEY (c))
CREATE TABLE bad (a int, UNIQUE (a, a))
CREATE TABLE bad (a int NULL PRIMARY KEY)
CREATE VIEW w AS SELECT a AS x, b FROM d
CREATE OR REPLACE VIEW w AS SELECT a AS x, b, 1 AS c FROM d
CREATE OR REPLACE VIEW w AS SELECT a AS x FROM d
CREATE OR REPLACE VIEW w AS SELECT a AS y, b, 1 AS c FROM d
CREATE OR REPLACE VIEW w AS SELECT a::text AS x, b, 1 AS c FROM d
CREATE OR REPLACE VIEW d AS SELECT 1
SELECT * FROM w WHERE x = 1
CREATE VIEW ww AS SELECT x FROM w
DROP VIEW w
DROP TABLE w
DROP TABLE d
DROP VIEW w CASCADE
SELECT * FROM ww
CREATE TABLE wq (id int, v text)
WITH q AS (SELECT g AS id FROM generate_series(1, 4) g) INSERT INTO wq SELECT id, 'a' FROM q RETURNING *
WITH q AS (SELECT 2 AS id), p (n) AS (SELECT id + 1 FROM q) UPDATE wq SET v = 'b' FROM p WHERE p.n = wq.id RETURNING wq.id, p.n
WITH q AS (SELECT 1 AS id) DELETE FROM wq WHERE id IN (SELECT id FROM q) RETURNING id, (SELECT count(*) FROM q)
WITH q AS (SELECT 9 AS id) UPDATE wq SET v = (SELECT id::text FROM q) WHERE id = 4
WITH q AS (SELECT 7 AS id, 'c' AS v) INSERT INTO wq (v, id) WITH p AS (SELECT * FROM q) SELECT v, id FROM p
WITH q AS (SELECT 1) INSERT INTO wq SELECT * FROM nope
WITH q AS (SELECT 1 AS a, 2, 3) INSERT INTO wq SELECT * FROM q
WITH q AS (SELECT 1), q AS (SELECT 2) DELETE FROM wq
WITH q AS (SELECT 1) DELETE FROM q
SELECT * FROM wq ORDER BY id
WITH insert AS (SELECT 1 AS one) SELECT * FROM insert
DROP TABLE wq
