//! The line protocol of InfluxDB: its own client library, and what is refused; nothing half-applied.

use std::process::Command;

use millrace_tests::Server;

use crate::clients::{folder, libraries};
use crate::http_client::Http;

const TABLES: &str = "
    create table weather (place text, degrees double precision not null, wet boolean, note text, time timestamptz);
    create table counts (n bigint check (n > 0), time timestamptz not null);
    create materialized view coldest as select min(degrees) as degrees from weather";

#[test]
fn the_library_of_influxdb_writes_points() {
    let server = Server::start();
    server.query(TABLES);
    let mut command = Command::new(libraries().join("python/bin/python"));
    command.arg(folder().join("influx_client.py")).arg(format!("http://{}", server.http()));
    let told = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let missing = "relation \"nowhere\" does not exist (42P01); A measurement is a table: create it, with a column time timestamptz.";
    let expected = format!("written\n400 line 2: {missing}\n");
    assert_eq!(String::from_utf8_lossy(&told.stdout), expected, "{}", String::from_utf8_lossy(&told.stderr));
    let rows = "select place, degrees, wet, note, time at time zone 'UTC' from weather order by time";
    let expected = "my hall, left=west|21.5|t||2026-01-01 00:00:00\nroof|-3||say \"snow\" \\ ice|2026-01-01 00:00:00.001";
    assert_eq!(server.query(rows), expected);
    assert_eq!(server.query("select n from counts"), "9007199254740993");
    assert_eq!(server.query("select degrees from coldest"), "-3");
}

#[test]
fn a_request_is_written_whole_or_not_at_all() {
    let server = Server::start();
    server.query(TABLES);
    let http = Http::of(&server);
    let good = "weather degrees=1\n";
    let cases = [
        (
            "",
            "counts n=5i soon",
            400,
            "line 2: invalid input syntax for the line protocol (22P02); \"soon\" is no timestamp.",
        ),
        (
            "",
            "counts m=5i",
            400,
            "line 2, m: column \"m\" does not exist (42703); The table has the columns n, time.",
        ),
        ("", "counts n=\"x\"", 400, "line 2, n: invalid input syntax for type bigint: \"x\" (22P02)"),
        ("", "weather,place=x note=\"y\"", 400, "null value in column \"degrees\""),
        ("", "counts n=0i", 400, "violates check constraint"),
        ("", "coldest degrees=1", 400, "42809"),
        ("?precision=fortnight", "counts n=1i", 400, "unrecognized precision \"fortnight\" (22023)"),
    ];
    for (query, line, status, part) in cases {
        for path in ["/write", "/api/v2/write"] {
            let reply = http.post(&format!("{path}{query}"), &[], format!("{good}{line}"));
            assert_eq!(reply.status, status, "{line}: {reply:?}");
            let json = reply.json();
            assert!(json["message"].as_str().unwrap().contains(part), "{line}: {reply:?}");
            assert_eq!((&json["error"], &json["code"]), (&json["message"], &"invalid".into()));
        }
    }
    assert_eq!(server.query("select count(*) from weather"), "0");
    assert_eq!(http.post("/write?db=any&precision=s", &[], "# none\n\n").status, 204);
    let reply = http.post("/write?db=any&precision=s", &[], format!("{good}counts n=7i 1767225600\r\n"));
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let rows = "select n, time at time zone 'UTC' from counts";
    assert_eq!(server.query(rows), "7|2026-01-01 00:00:00");
    assert_eq!(server.query("select count(*) from weather where time > now() - interval '1 hour'"), "1");
}
