//! `POST /v1/sql`: statements and their results as JSON, transactions, errors with their statuses, long answers.

use millrace_tests::Server;
use serde_json::json;

use crate::http_client::Http;

#[test]
fn statements_answer_with_tags_columns_and_rows() {
    let server = Server::start();
    let http = Http::of(&server);
    let created = http.sql(r#"{"query": "create table t (a int primary key, b text, n numeric(10,2), j jsonb, l int[]); insert into t values (1, 'x', 1.50, '{\"k\": 1}', '{1,2}'), (2, null, null, null, null) returning a"}"#);
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(
        created.json(),
        json!({"results": [
            {"tag": "CREATE TABLE"},
            {"columns": [{"name": "a", "type": "integer"}], "rows": [[1], [2]], "tag": "INSERT 0 2"},
        ]})
    );
    let selected = http.sql(r#"{"query": "select * from t order by a"}"#);
    assert_eq!(
        selected.json()["results"][0],
        json!({
            "columns": [
                {"name": "a", "type": "integer"},
                {"name": "b", "type": "text"},
                {"name": "n", "type": "numeric(10,2)"},
                {"name": "j", "type": "jsonb"},
                {"name": "l", "type": "integer[]"},
            ],
            "rows": [[1, "x", 1.50, {"k": 1}, [1, 2]], [2, null, null, null, null]],
            "tag": "SELECT 2",
        })
    );
    // All digits are there.
    let digits = http.sql(r#"{"query": "select 9223372036854775807, 1234567890123456789.50::numeric(30,2), 'NaN'::float8, now() is null"}"#);
    assert!(
        digits.body.contains("[[9223372036854775807,1234567890123456789.50,\"NaN\",false]]"),
        "{digits:?}"
    );
    assert_eq!(http.sql(r#"{"query": ""}"#).json(), json!({"results": []}));
}

#[test]
fn parameters_are_texts_or_json() {
    let server = Server::start();
    let http = Http::of(&server);
    let body = r#"{"query": "select $1::int + 1, $2::text, $3::numeric, $4::jsonb -> 'k', $5::int[], $6::bool, $7::timestamp",
        "params": ["41", "é", 12345678901234567890.5, {"k": [1]}, [1, null], true, null]}"#;
    let reply = http.sql(body);
    assert!(reply.body.contains("[[42,\"é\",12345678901234567890.5,[1],[1,null],true,null]]"), "{reply:?}");
    let wrong = [
        (r#"{"query": "select $1::int", "params": ["x"]}"#, "22P02"),
        (r#"{"query": "select $1::int", "params": []}"#, "08P01"),
        (r#"{"query": "select $1::int", "params": [1, 2]}"#, "08P01"),
        (r#"{"query": "select $1::int"}"#, "42P02"),
        (r#"{"query": "select 1; select 2", "params": []}"#, "42601"),
        (r#"{"query": "select $1::int", "params": [{}]}"#, "42804"),
        (r#"{"query": "select $1::text", "params": ["\u0000"]}"#, "22021"),
    ];
    for (body, code) in wrong {
        let (status, found, ..) = http.sql(body).error();
        assert_eq!((status, found.as_str()), (400, code), "{body}");
    }
}

#[test]
fn a_list_is_one_transaction() {
    let server = Server::start();
    let http = Http::of(&server);
    let good = r#"{"queries": [{"query": "create table t (a int primary key)"},
        {"query": "insert into t values ($1)", "params": [1]}, {"query": "select count(*) from t"}]}"#;
    assert_eq!(http.sql(good).json()["results"][2]["rows"], json!([[1]]));
    let bad = r#"{"queries": [{"query": "insert into t values (2)"}, {"query": "insert into t values (3); insert into t values (1)"}]}"#;
    let reply = http.sql(bad);
    assert_eq!((reply.error().1.as_str(), reply.json()["error"]["statement"].as_u64()), ("23505", Some(3)));
    assert_eq!(reply.json()["error"]["constraint"], "t_pkey");
    assert_eq!(server.query("select a from t"), "1");
    let open = http.sql(r#"{"query": "begin; insert into t values (9)"}"#);
    assert_eq!(open.error().1, "25001");
    assert_eq!(server.query("select a from t"), "1");
    let closed = http.sql(r#"{"query": "begin; insert into t values (9); commit"}"#);
    assert_eq!(closed.status, 200, "{closed:?}");
    assert_eq!(server.query("select count(*) from t"), "2");
}

#[test]
fn errors_have_the_status_that_fits() {
    let server = Server::start();
    let http = Http::of(&server);
    let cases = [
        (r#"{"query": "selec 1"}"#, 400, "42601"),
        (r#"{"query": "select * from nothing"}"#, 400, "42P01"),
        (r#"{"query": "select 1/0"}"#, 400, "22012"),
        (r#"{"query": "subscribe t"}"#, 400, "0A000"),
        (r#"{"query": "copy t from stdin"}"#, 400, "0A000"),
        (r#"{"query": "copy (select 1) to stdout"}"#, 400, "0A000"),
        (r#"{"query": "declare c cursor for select 1"}"#, 400, "0A000"),
        (r#"{"query": "fetch c"}"#, 400, "0A000"),
        (r#"{"query": 1}"#, 400, "22P02"),
        (r#"{"sql": "select 1"}"#, 400, "22P02"),
        (r#"{}"#, 400, "22023"),
        (r#"{"query": "select 1", "queries": []}"#, 400, "22023"),
    ];
    for (body, status, code) in cases {
        let (found, sqlstate, ..) = http.sql(body).error();
        assert_eq!((found, sqlstate.as_str()), (status, code), "{body}");
    }
    let reply = http.sql(r#"{"query": "select 1, nothing"}"#);
    assert_eq!(reply.json()["error"]["position"].as_u64(), Some(11), "{reply:?}");
    let plain = http.post("/v1/sql", &[("content-type", "text/plain")], r#"{"query": "select 1"}"#);
    assert_eq!(plain.error().0, 415);
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    assert_eq!(http.post("/v1/sql", &headers, r#"{"query": "select 1"}"#).error().1, "0A000");
    let noted = http.sql(r#"{"query": "drop table if exists nothing"}"#);
    assert_eq!(noted.json()["results"][0]["notices"][0]["severity"], "NOTICE", "{noted:?}");
}

#[test]
fn long_answers_are_whole_or_cut() {
    let server = Server::start();
    let http = Http::of(&server);
    let whole = http.sql(r#"{"query": "select g, 'row ' || g from generate_series(1, 300000) as g"}"#);
    let json = whole.json();
    let rows = json["results"][0]["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[299_999]), (300_000, &json!([300_000, "row 300000"])));
    let headers = [("content-type", "application/json")];
    let failing = br#"{"query": "select 100 / (290000 - g) from generate_series(1, 300000) as g"}"#;
    let cut = http.try_post("/v1/sql", &headers, failing);
    match cut {
        Err(_) => {}
        // It failed before its first piece was sent.
        Ok(reply) => assert_eq!(reply.error().1, "22012"),
    }
    assert_eq!(http.sql(r#"{"query": "select 1"}"#).json()["results"][0]["rows"], json!([[1]]));
}
