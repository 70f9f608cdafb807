"""asyncpg: see steps.txt. Prints `step<TAB>line`."""

import asyncio
import datetime
import decimal
import io
import os
import sys
import uuid

import asyncpg


async def connect():
    return await asyncpg.connect(host=os.environ["PGHOST"], port=int(sys.argv[1]), user="ada", database="millrace")


def tell(step, *lines):
    for line in lines:
        print(f"{step}\t{line}", flush=True)


def text(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        zone = " UTC" if value.tzinfo else ""
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}" + zone
    return str(value)


def row(values):
    return "|".join(text(value) for value in values)


async def code(action):
    try:
        await action
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return "none"


VALUES = [
    True, -5, 7, 9007199254740993, 0.5, -0.25, decimal.Decimal("12.34"), "é'\\", datetime.date(2020, 2, 29),
    datetime.datetime(2020, 2, 29, 12, 34, 56, 789000),
    datetime.datetime(2020, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc),
    uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), b"\x00\xff",
]


async def main():
    a, b = await connect(), await connect()
    tell("connect", await a.fetchval("SELECT current_database()"))
    for values in await a.fetch("SELECT * FROM types ORDER BY b"):
        tell("types-binary", row(values))

    places = ", ".join(f"${at}" for at in range(1, len(VALUES) + 1))
    tell("parameters", row(await a.fetchrow(f"INSERT INTO types VALUES ({places}) RETURNING *", *VALUES)))

    prepared = await a.prepare("SELECT $1::int + 1")
    tell("prepared", await prepared.fetchval(1), await prepared.fetchval(41))

    insert = "INSERT INTO k VALUES ($1, $2, 1)"
    await a.executemany(insert, [(number, f"n{number}") for number in range(1, 4)])
    tell("batch", await a.fetchval("SELECT count(*) FROM k"))
    tell("batch-error", await code(a.executemany(insert, [(4, "x"), (1, "x"), (5, "x")])))
    tell("batch-error", await a.fetchval("SELECT count(*) FROM k"))

    await a.copy_to_table("copied", source=io.BytesIO(b"1\tone\n2\ttwo, and\n"))
    tell("copy-in", await a.fetchval("SELECT count(*) FROM copied"))
    out = io.BytesIO()
    await a.copy_from_query("SELECT * FROM copied ORDER BY id", output=out)
    tell("copy-out", *out.getvalue().decode().replace("\t", " ").splitlines())

    out = io.BytesIO()
    await a.copy_from_table("types", output=out, format="binary")
    await a.copy_to_table("more_types", source=io.BytesIO(out.getvalue()), format="binary")
    tell("copy-binary", await a.fetchval("SELECT count(*) FROM more_types"))

    transaction = a.transaction()
    await transaction.start()
    await a.execute("INSERT INTO moved VALUES (1)")
    await transaction.rollback()
    tell("transaction", await a.fetchval("SELECT count(*) FROM moved"))
    async with a.transaction():
        await a.execute("INSERT INTO moved VALUES (1)")
    tell("transaction", await a.fetchval("SELECT count(*) FROM moved"))

    # It tells a block from none, and the server a failed block from a whole one.
    seen = [a.is_in_transaction()]
    for statement in ["BEGIN", "SELECT 1/0"]:
        await code(a.execute(statement))
        seen.append(a.is_in_transaction())
    failed = await code(a.execute("SELECT 1")) == "25P02"
    await a.execute("ROLLBACK")
    seen.append(a.is_in_transaction())
    words = ["block" if inside else "idle" for inside in seen]
    words[2] = "failed" if failed and seen[2] else words[2]
    tell("status", *words)

    await a.execute("BEGIN")
    tell("failed-block", await code(a.execute("SELECT 1/0")), await code(a.execute("SELECT 1")))
    await a.execute("ROLLBACK")

    async def nested():
        async with a.transaction():
            await a.execute("SELECT 1/0")

    async with a.transaction():
        await a.execute("INSERT INTO moved VALUES (2)")
        await code(nested())
        await a.execute("INSERT INTO moved VALUES (3)")
    tell("savepoint", *[each[0] for each in await a.fetch("SELECT id FROM moved WHERE id > 1 ORDER BY id")])

    for statement in [
        "INSERT INTO k VALUES (1, 'x', 1)", "INSERT INTO k VALUES (9, 'x', -1)", "INSERT INTO k VALUES (9, NULL, 1)",
        "SELECT nope FROM k",
    ]:
        try:
            await a.execute(statement)
        except asyncpg.PostgresError as error:
            if error.position:
                tell("error-fields", f"{error.sqlstate}|{error.position}")
            else:
                names = [
                    error.sqlstate, error.schema_name, error.table_name, error.column_name, error.constraint_name,
                    error.detail,
                ]
                tell("error-fields", "|".join(name or "" for name in names))

    await b.copy_records_to_table("many", records=[(number,) for number in range(1000)])
    async with a.transaction():
        found = [each[0] async for each in a.cursor("SELECT id FROM many", prefetch=100)]
    tell("cursor", f"{len(found)}|{sum(found)}")

    async with a.transaction():
        rows = a.cursor("SUBSCRIBE live", prefetch=1).__aiter__()
        tell("live", row(list(await rows.__anext__())[1:]))
        await b.execute("INSERT INTO live VALUES (2, 'two')")
        tell("live", row(list(await rows.__anext__())[1:]))

    async with a.transaction():
        await a.execute("DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false)")
        await b.execute("INSERT INTO live VALUES (3, 'three')")
        tell("live-cursor", row(list(await a.fetchrow("FETCH 1 FROM c"))[1:]))
        tell("live-cursor", len(await a.fetch("FETCH ALL FROM c WITH (timeout = '10ms')")))

    # A task that is cancelled makes asyncpg send a CancelRequest and swallow the answer: the session goes on.
    begun = asyncio.Event()

    async def take(_):
        begun.set()

    following = asyncio.ensure_future(a.copy_from_query("SUBSCRIBE live", output=take))
    await begun.wait()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert await a.fetchval("SELECT 1") == 1

    await a.execute("SET statement_timeout = '50ms'")
    tell("timeout", await code(a.execute("SUBSCRIBE live")))
    await a.execute("RESET statement_timeout")
    tell("timeout", await a.fetchval("SELECT 1"))

    a.add_log_listener(lambda _, told: tell("notice", f"{told.sqlstate}|{told.message}"))
    await a.execute("DROP TABLE IF EXISTS nowhere")
    # Listeners are called by the loop.
    await asyncio.sleep(0)

    settings = [
        ("application_name", "me"), ("client_encoding", "utf-8"), ("DateStyle", "ISO, DMY"),
        ("extra_float_digits", "3"), ("search_path", "public"), ("standard_conforming_strings", "on"),
        ("bytea_output", "hex"), ("TimeZone", "Europe/Berlin"), ("statement_timeout", "5000"), ("lock_timeout", "0"),
    ]
    for name, value in settings:
        quoted = value if "," in value else f"'{value}'"
        await a.execute(f"SET {name} = {quoted}")
        tell("settings", f"{name}={await a.fetchval(f'SHOW {name}')}")
        await a.execute(f"RESET {name}")
    tell("settings", f"DateStyle={await a.fetchval('SHOW DateStyle')}")

    told = a.get_settings()
    tell("reported", f"{told.server_version[:4]}|{told.client_encoding}")

    # A codec for a type makes asyncpg read pg_catalog; what a pool sends between two users must work, too.
    await a.set_type_codec("uuid", schema="pg_catalog", encoder=str, decoder=str, format="text")
    assert await a.fetchval("SELECT u FROM types WHERE b LIMIT 1") == "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    await a.reset()
    described = await a.prepare("SELECT * FROM k")
    nulls = {
        each["attname"]: each["attnotnull"]
        for each in await a.fetch("SELECT attname, attnotnull FROM pg_attribute WHERE attrelid = 'k'::regclass")
    }
    names = {"int4": "integer"}
    for column in described.get_attributes():
        data_type = names.get(column.type.name, column.type.name)
        tell("catalog", f"{column.name} {data_type}{' not null' if nulls[column.name] else ''}")
    key = await a.fetchval(
        "SELECT a.attname FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND c.conkey::text = "
        "'{' || a.attnum || '}' WHERE c.conrelid = 'k'::regclass AND c.contype = 'p'"
    )
    tell("catalog", f"key {key}")

    print("RESTART", flush=True)
    sys.argv[1] = (await asyncio.to_thread(sys.stdin.readline)).strip()
    tell("restart", await (await connect()).fetchval("SELECT count(*) FROM k"))


asyncio.run(main())
