"""psycopg 3: see steps.txt. Prints `step<TAB>line`."""

import datetime
import decimal
import os
import sys
import threading
import uuid

import psycopg
from psycopg import sql, types


def connect(**more):
    return psycopg.connect(
        host=os.environ["PGHOST"], port=sys.argv[1], user="ada", dbname="millrace", autocommit=True, **more
    )


def tell(step, *lines):
    for line in lines:
        print(f"{step}\t{line}", flush=True)


def one(connection, statement, *parameters):
    return connection.execute(statement, parameters or None).fetchone()[0]


def text(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        zone = " UTC" if value.tzinfo else ""
        value = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03}" + zone
    return str(value)


def row(values):
    return "|".join(text(value) for value in values)


def code(action):
    try:
        action()
    except psycopg.Error as error:
        return error.sqlstate
    return "none"


VALUES = [
    True, -5, 7, 9007199254740993, 0.5, -0.25, decimal.Decimal("12.34"), "é'\\", datetime.date(2020, 2, 29),
    datetime.datetime(2020, 2, 29, 12, 34, 56, 789000),
    datetime.datetime(2020, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc),
    uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), b"\x00\xff",
]


def main():
    a, b = connect(), connect()
    tell("connect", one(a, "SELECT current_database()"))

    cursor = a.execute("SELECT * FROM types ORDER BY b")
    result = cursor.pgresult
    for at in range(result.ntuples):
        values = [result.get_value(at, column) for column in range(result.nfields)]
        tell("types-text", "|".join("null" if value is None else value.decode() for value in values))
    with a.cursor(binary=True) as cursor:
        for values in cursor.execute("SELECT * FROM types ORDER BY b"):
            tell("types-binary", row(values))

    places = ", ".join(["%s"] * len(VALUES))
    with a.cursor(binary=True) as cursor:
        cursor.execute(f"INSERT INTO types VALUES ({places}) RETURNING *", VALUES)
        tell("parameters", row(cursor.fetchone()))

    for number in [1, 41]:
        tell("prepared", a.execute("SELECT %s::int + 1", [number], prepare=True).fetchone()[0])

    with a.pipeline():
        for number in range(1, 4):
            a.execute("INSERT INTO k VALUES (%s, %s, 1)", [number, f"n{number}"])
    tell("batch", one(a, "SELECT count(*) FROM k"))

    def broken():
        with a.pipeline() as pipeline:
            for number in [4, 1, 5]:
                a.execute("INSERT INTO k VALUES (%s, 'x', 1)", [number])
            pipeline.sync()

    tell("batch-error", code(broken), one(a, "SELECT count(*) FROM k"))

    with a.cursor().copy("COPY copied FROM STDIN") as copy:
        copy.write("1\tone\n2\ttw")
        copy.write("o, and\n")
    tell("copy-in", one(a, "SELECT count(*) FROM copied"))
    with a.cursor().copy("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT") as copy:
        lines = b"".join(copy).decode()
    tell("copy-out", *lines.replace("\t", " ").splitlines())

    with a.cursor().copy("COPY types TO STDOUT (FORMAT binary)") as copy:
        file = b"".join(copy)
    with a.cursor().copy("COPY more_types FROM STDIN (FORMAT binary)") as copy:
        copy.write(file)
    tell("copy-binary", one(a, "SELECT count(*) FROM more_types"))

    with a.transaction(force_rollback=True):
        a.execute("INSERT INTO moved VALUES (1)")
    tell("transaction", one(a, "SELECT count(*) FROM moved"))
    with a.transaction():
        a.execute("INSERT INTO moved VALUES (1)")
    tell("transaction", one(a, "SELECT count(*) FROM moved"))

    status = {0: "idle", 2: "block", 3: "failed"}
    seen = [a.info.transaction_status]
    for statement in ["BEGIN", "SELECT 1/0", "ROLLBACK"]:
        code(lambda: a.execute(statement))
        seen.append(a.info.transaction_status)
    tell("status", *[status.get(int(each), each) for each in seen])

    a.execute("BEGIN")
    tell("failed-block", code(lambda: a.execute("SELECT 1/0")), code(lambda: a.execute("SELECT 1")))
    a.execute("ROLLBACK")

    with a.transaction():
        a.execute("INSERT INTO moved VALUES (2)")
        code(lambda: nested(a))
        a.execute("INSERT INTO moved VALUES (3)")
    tell("savepoint", *[each[0] for each in a.execute("SELECT id FROM moved WHERE id > 1 ORDER BY id")])

    for statement in [
        "INSERT INTO k VALUES (1, 'x', 1)", "INSERT INTO k VALUES (9, 'x', -1)", "INSERT INTO k VALUES (9, NULL, 1)",
        "SELECT nope FROM k",
    ]:
        try:
            a.execute(statement)
        except psycopg.Error as error:
            told = error.diag
            if told.statement_position:
                tell("error-fields", f"{told.sqlstate}|{told.statement_position}")
            else:
                names = [told.sqlstate, told.schema_name, told.table_name, told.column_name, told.constraint_name]
                tell("error-fields", "|".join(name or "" for name in names + [told.message_detail]))

    with b.cursor().copy("COPY many FROM STDIN") as copy:
        copy.write("".join(f"{number}\n" for number in range(1000)))
    with a.transaction(), a.cursor(name="through") as cursor:
        cursor.itersize = 100
        found = [each[0] for each in cursor.execute("SELECT id FROM many")]
    tell("cursor", f"{len(found)}|{sum(found)}")

    with a.cursor().copy("COPY (SUBSCRIBE live) TO STDOUT") as copy:
        rows = iter(copy.rows())
        tell("live", "|".join(next(rows)[1:]))
        b.execute("INSERT INTO live VALUES (2, 'two')")
        tell("live", "|".join(next(rows)[1:]))
        a.cancel()
        code(lambda: list(rows))

    a.execute("BEGIN")
    a.execute("DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false)")
    b.execute("INSERT INTO live VALUES (3, 'three')")
    tell("live-cursor", row(a.execute("FETCH 1 FROM c").fetchone()[1:]))
    tell("live-cursor", len(a.execute("FETCH ALL FROM c WITH (timeout = '10ms')").fetchall()))
    a.execute("COMMIT")

    started = a.cursor().stream("SUBSCRIBE live")
    next(started)
    a.cancel()
    tell("cancel", code(lambda: list(started)))

    a.execute("SET statement_timeout = '50ms'")
    tell("timeout", code(lambda: a.execute("SUBSCRIBE live")))
    a.execute("RESET statement_timeout")
    tell("timeout", one(a, "SELECT 1"))

    a.add_notice_handler(lambda told: tell("notice", f"{told.sqlstate}|{told.message_primary}"))
    a.execute("DROP TABLE IF EXISTS nowhere")

    settings = [
        ("application_name", "me"), ("client_encoding", "utf-8"), ("DateStyle", "ISO, DMY"),
        ("extra_float_digits", "3"), ("search_path", "public"), ("standard_conforming_strings", "on"),
        ("bytea_output", "hex"), ("TimeZone", "Europe/Berlin"), ("statement_timeout", "5000"), ("lock_timeout", "0"),
    ]
    for name, value in settings:
        a.execute(sql.SQL("SET {} = {}").format(sql.Identifier(name.lower()), value))
        tell("settings", f"{name}={one(a, f'SHOW {name}')}")
        a.execute(f"RESET {name}")
    tell("settings", f"DateStyle={one(a, 'SHOW DateStyle')}")

    told = a.info.parameter_status
    tell("reported", f"{told('server_version')[:4]}|{told('client_encoding')}")

    # Types are looked up by name, as for a type of one's own; columns in information_schema.
    assert types.TypeInfo.fetch(a, "uuid").oid == 2950
    columns = a.execute(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'k' "
        "ORDER BY ordinal_position"
    )
    for name, data_type, nullable in columns.fetchall():
        tell("catalog", f"{name} {data_type}{'' if nullable == 'YES' else ' not null'}")
    key = one(
        a,
        "SELECT column_name FROM information_schema.key_column_usage JOIN information_schema.table_constraints "
        "USING (constraint_name) WHERE constraint_type = 'PRIMARY KEY' AND table_constraints.table_name = 'k'",
    )
    tell("catalog", f"key {key}")

    print("RESTART", flush=True)
    sys.argv[1] = sys.stdin.readline().strip()
    tell("restart", one(connect(), "SELECT count(*) FROM k"))


def nested(connection):
    with connection.transaction():
        connection.execute("SELECT 1/0")


main()
