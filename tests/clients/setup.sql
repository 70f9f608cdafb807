-- What each client finds on its server.
CREATE TABLE types (
    b boolean, s smallint, i int, l bigint, r real, d double precision, n numeric(10,2), t text, da date, ts timestamp,
    tz timestamptz, u uuid, y bytea
);
INSERT INTO types VALUES
    (true, -5, 7, 9007199254740993, 0.5, -0.25, 12.34, 'é''\', '2020-02-29', '2020-02-29 12:34:56.789',
        '2020-02-29 12:34:56.789+00', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\x00ff'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE more_types (
    b boolean, s smallint, i int, l bigint, r real, d double precision, n numeric(10,2), t text, da date, ts timestamp,
    tz timestamptz, u uuid, y bytea
);
CREATE TABLE k (id int PRIMARY KEY, name text NOT NULL, n int CONSTRAINT positive CHECK (n > 0));
CREATE TABLE copied (id int, v text);
CREATE TABLE moved (id int);
CREATE TABLE many (id int);
CREATE TABLE live (id int, v text);
INSERT INTO live VALUES (1, 'one');
