// node-postgres with pg-cursor and pg-copy-streams: see steps.txt. Prints `step<TAB>line`.

const { Client } = require('pg');
const Cursor = require('pg-cursor');
const copyStreams = require('pg-copy-streams');
const readline = require('readline');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');

let port = process.argv[2];
const raw = { getTypeParser: () => (value) => value };

async function connect() {
  const client = new Client({ host: process.env.PGHOST, port, user: 'ada', database: 'millrace' });
  client.reported = {};
  client.connection.on('parameterStatus', (told) => { client.reported[told.parameterName] = told.parameterValue; });
  await client.connect();
  return client;
}

function tell(step, ...lines) {
  for (const line of lines) process.stdout.write(`${step}\t${line}\n`);
}

async function one(client, text, values) {
  const { rows } = await client.query({ text, values, rowMode: 'array' });
  return rows[0][0];
}

async function code(action) {
  try {
    await action;
  } catch (error) {
    return error.code;
  }
  return 'none';
}

// Values come as texts; these differ in them from what the list expects.
const plain = {
  getTypeParser: (oid) => (text) => {
    if (oid === 16) return text === 't' ? 'true' : 'false';
    if (oid === 17) return text.replace('\\x', '');
    return oid === 1184 ? text.replace('+00', ' UTC') : text;
  },
};
const row = (values) => values.map((value) => (value === null ? 'null' : String(value))).join('|');

const VALUES = [
  true, -5, 7, '9007199254740993', 0.5, -0.25, '12.34', "é'\\", '2020-02-29', '2020-02-29 12:34:56.789',
  new Date('2020-02-29T12:34:56.789Z'), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', Buffer.from([0, 255]),
];

async function main() {
  const a = await connect();
  const b = await connect();
  await a.query("SET TIME ZONE 'UTC'");
  tell('connect', await one(a, 'SELECT current_database()'));

  const types = 'SELECT * FROM types ORDER BY b';
  for (const values of (await a.query({ text: types, rowMode: 'array', types: raw })).rows) tell('types-text', row(values));
  const places = VALUES.map((_, at) => `$${at + 1}`).join(', ');
  const insert = { text: `INSERT INTO types VALUES (${places}) RETURNING *`, values: VALUES };
  tell('parameters', row((await a.query({ ...insert, rowMode: 'array', types: plain })).rows[0]));

  for (const number of [1, 41]) {
    const prepared = { name: 'next', text: 'SELECT $1::int + 1 AS next', values: [number] };
    tell('prepared', (await a.query(prepared)).rows[0].next);
  }

  const batch = (numbers) => numbers.map((number) => `INSERT INTO k VALUES (${number}, 'n${number}', 1)`).join('; ');
  await a.query(batch([1, 2, 3]));
  tell('batch', await one(a, 'SELECT count(*) FROM k'));
  tell('batch-error', await code(a.query(batch([4, 1, 5]))), await one(a, 'SELECT count(*) FROM k'));

  await pipeline(Readable.from(['1\tone\n2\ttw', 'o, and\n']), a.query(copyStreams.from('COPY copied FROM STDIN')));
  tell('copy-in', await one(a, 'SELECT count(*) FROM copied'));
  const collect = async (stream) => {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const out = await collect(a.query(copyStreams.to('COPY (SELECT * FROM copied ORDER BY id) TO STDOUT')));
  tell('copy-out', ...out.toString().trimEnd().replaceAll('\t', ' ').split('\n'));
  const file = await collect(a.query(copyStreams.to('COPY types TO STDOUT (FORMAT binary)')));
  await pipeline(Readable.from([file]), a.query(copyStreams.from('COPY more_types FROM STDIN (FORMAT binary)')));
  tell('copy-binary', await one(a, 'SELECT count(*) FROM more_types'));

  for (const end of ['ROLLBACK', 'COMMIT']) {
    await a.query('BEGIN');
    await a.query('INSERT INTO moved VALUES (1)');
    await a.query(end);
    tell('transaction', await one(a, 'SELECT count(*) FROM moved'));
  }

  await a.query('BEGIN');
  tell('failed-block', await code(a.query('SELECT 1/0')), await code(a.query('SELECT 1')));
  await a.query('ROLLBACK');

  await a.query('BEGIN');
  await a.query('INSERT INTO moved VALUES (2)');
  await a.query('SAVEPOINT s');
  await code(a.query('SELECT 1/0'));
  await a.query('ROLLBACK TO s');
  await a.query('INSERT INTO moved VALUES (3)');
  await a.query('COMMIT');
  for (const { id } of (await a.query('SELECT id FROM moved WHERE id > 1 ORDER BY id')).rows) tell('savepoint', id);

  for (const text of [
    "INSERT INTO k VALUES (1, 'x', 1)", "INSERT INTO k VALUES (9, 'x', -1)", 'INSERT INTO k VALUES (9, NULL, 1)',
    'SELECT nope FROM k',
  ]) {
    const error = await a.query(text).then(() => ({}), (failed) => failed);
    const names = [error.code, error.schema, error.table, error.column, error.constraint, error.detail];
    tell('error-fields', error.position ? `${error.code}|${error.position}` : names.map((name) => name || '').join('|'));
  }

  const many = Array.from({ length: 1000 }, (_, number) => `${number}\n`);
  await pipeline(Readable.from(many), b.query(copyStreams.from('COPY many FROM STDIN')));
  const cursor = a.query(new Cursor('SELECT id FROM many'));
  const found = [];
  for (let rows = await cursor.read(100); rows.length; rows = await cursor.read(100)) found.push(...rows);
  await cursor.close();
  tell('cursor', `${found.length}|${found.reduce((sum, { id }) => sum + id, 0)}`);

  const live = a.query(new Cursor('SUBSCRIBE live', null, { rowMode: 'array' }));
  tell('live', row((await live.read(1))[0].slice(1)));
  await b.query("INSERT INTO live VALUES (2, 'two')");
  tell('live', row((await live.read(1))[0].slice(1)));
  await live.close();

  await a.query('BEGIN');
  await a.query('DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false)');
  await b.query("INSERT INTO live VALUES (3, 'three')");
  tell('live-cursor', row((await a.query({ text: 'FETCH 1 FROM c', rowMode: 'array' })).rows[0].slice(1)));
  tell('live-cursor', (await a.query("FETCH ALL FROM c WITH (timeout = '10ms')")).rows.length);
  await a.query('COMMIT');

  const endless = a.query(copyStreams.to('COPY (SUBSCRIBE live) TO STDOUT'));
  const ended = code(new Promise((_, fail) => endless.once('error', fail)));
  await new Promise((seen) => endless.once('data', seen));
  const canceller = new Client({ host: process.env.PGHOST, port, user: 'ada', database: 'millrace' });
  canceller.connection.once('connect', () => canceller.connection.cancel(a.processID, a.secretKey));
  canceller.connection.connect(port, process.env.PGHOST);
  tell('cancel', await ended);

  await a.query("SET statement_timeout = '50ms'");
  tell('timeout', await code(a.query('SUBSCRIBE live')));
  await a.query('RESET statement_timeout');
  tell('timeout', await one(a, 'SELECT 1'));

  a.once('notice', (told) => tell('notice', `${told.code}|${told.message}`));
  await a.query('DROP TABLE IF EXISTS nowhere');

  const settings = [
    ['application_name', "'me'"], ['client_encoding', "'utf-8'"], ['DateStyle', 'ISO, DMY'], ['extra_float_digits', '3'],
    ['search_path', 'public'], ['standard_conforming_strings', 'on'], ['bytea_output', 'hex'],
    ['TimeZone', "'Europe/Berlin'"], ['statement_timeout', '5000'], ['lock_timeout', '0'],
  ];
  for (const [name, value] of settings) {
    await a.query(`SET ${name} = ${value}`);
    tell('settings', `${name}=${await one(a, `SHOW ${name}`)}`);
    await a.query(`RESET ${name}`);
  }
  tell('settings', `DateStyle=${await one(a, 'SHOW DateStyle')}`);
  tell('reported', `${a.reported.server_version.slice(0, 4)}|${a.reported.client_encoding}`);

  const columns = await a.query(
    "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'k' " +
      'ORDER BY ordinal_position',
  );
  for (const told of columns.rows) {
    tell('catalog', `${told.column_name} ${told.data_type}${told.is_nullable === 'YES' ? '' : ' not null'}`);
  }
  const key = await one(
    a,
    "SELECT column_name FROM information_schema.key_column_usage WHERE table_name = $1 AND constraint_name = 'k_pkey'",
    ['k'],
  );
  tell('catalog', `key ${key}`);

  for (const client of [a, b]) client.on('error', () => {});
  process.stdout.write('RESTART\n');
  port = await new Promise((told) => readline.createInterface({ input: process.stdin }).once('line', told));
  const again = await connect();
  tell('restart', await one(again, 'SELECT count(*) FROM k'));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
