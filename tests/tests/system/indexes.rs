//! Indexes from outside: reads by key look at few rows, answer as scans do, and what they cost is told.

use millrace_tests::{Launch, Server, wait_for};

/// The rows that queries have looked at so far.
fn rows_read(server: &Server) -> u64 {
    let (_, metrics) = server.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix("millrace_rows_read_total "));
    line.unwrap().parse().unwrap()
}

/// A query's answer, and how many rows it looked at.
fn visited(server: &Server, query: &str) -> (String, u64) {
    let before = rows_read(server);
    let answer = server.query(query);
    (answer, rows_read(server) - before)
}

/// Until an index has taken in all rows, its relation is read.
fn wait_for_hydration(server: &Server) {
    let open = "select count(*) from millrace.hydration where not hydrated";
    wait_for("every index takes in all rows", || (server.query(open) == "0").then_some(()));
}

/// Two columns: the hundred thousands of six digits, a row each, and their last digit.
fn fill(server: &Server) {
    server.query(
        "create table digits (d int); insert into digits values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    );
    server.query(
        "create table t (a int, b int); insert into t \
         select a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d, a.d \
         from digits a, digits b, digits c, digits d, digits e, digits f",
    );
}

#[test]
fn a_read_by_key_of_a_million_rows_looks_at_some_tens_also_after_a_restart() {
    let mut server = Server::with_workers(2);
    fill(&server);
    server.query(
        "create index on t (a); create materialized view v as select b, a + 1 as a from t where b < 5",
    );
    server.query("create index on v (a, b)");
    for _ in 0..2 {
        wait_for_hydration(&server);
        let queries = [
            ("select * from t where a = 424242", "424242|2", 1),
            ("select count(*) from t where a in (3, 99999, 1000000) and b > 0", "2", 2),
            ("select sum(b) from v where b = 2 and a = 424243", "2", 1),
            ("select x.b from t x join v y on x.b = y.b where x.a = 7 and y.a = 8 and y.b = 7", "", 1),
        ];
        for (query, expected, rows) in queries {
            let (answer, visited) = visited(&server, query);
            assert_eq!(answer, expected, "{query}");
            assert!((rows..100).contains(&visited), "{visited} rows for {query}");
        }
        let (answer, by_scan) = visited(&server, "select * from t where a + 0 = 424242");
        assert_eq!(answer, "424242|2");
        assert!(by_scan >= 1_000_000, "{by_scan} rows by a scan");
        let deleted = visited(&server, "delete from t where a = -1");
        assert!(deleted.1 < 100, "{deleted:?}");
        server.restart();
    }
}

#[test]
fn joins_of_views_use_the_arrangement_of_an_index_and_either_may_go() {
    let mut server = Server::with_workers(2);
    server.query("create table t (a int, b int); insert into t values (1, 10), (1, 11), (2, 20), (3, 30)");
    server.query("create index i on t (a)");
    let held = |server: &Server| {
        server.query("select relation, state_rows, state_bytes from millrace.frontiers where relation <> 'v' order by 1")
    };
    wait_for_hydration(&server);
    let before = held(&server);
    assert!(before.starts_with("i|4|") && before.contains("\nt|4|"), "{before}");
    server
        .query("create materialized view v as select x.a, x.b as p, y.b as q from t x join t y on x.a = y.a");
    assert_eq!(server.query("select count(*) from v"), "6");
    assert_eq!(held(&server), before, "the view arranges nothing anew");
    // Without the index the view goes on, and what it holds is told as the table's.
    server.query("drop index i; insert into t values (3, 31)");
    assert_eq!(server.query("select count(*) from v"), "9");
    assert!(held(&server).starts_with("t|10|"), "{}", held(&server));
    server.query("create index i on t (a)");
    server.restart();
    server.query("drop materialized view v");
    assert_eq!(server.query("select b from t where a = 3 order by b"), "30\n31");
    assert_eq!(server.query("explain select b from t where a = 3").lines().count(), 3);
    server.query("drop table t");
    assert_eq!(server.query("select count(*) from millrace.frontiers"), "0");
}

#[test]
fn errors_are_the_same_with_and_without_an_index() {
    let server = Server::with_workers(2);
    server.query("create table t (a int, b int); create materialized view v as select a, 10 / b as c from t");
    server.query("create materialized view w with (on_error = 'skip') as select a, 10 / b as c from t");
    server.query(
        "create index on v (a); create index on w (a); create index on t ((12 / b)); create index on t (a)",
    );
    let queries = [
        "select c from v where a = 1 order by c",
        "select c from w where a = 1 order by c",
        "select a from t where 12 / b = 6 order by a",
        "select a from t where b > 1 and 12 / b = 6 order by a",
        "select a from t where a = 1 and 12 / b = 6 order by a",
        "select b from t where a = 1 and 12 / b > 0 order by b",
        "select b from t where 12 / b > 0 and a = 1 order by b",
        "select b from t where a = 1 / 0",
    ];
    let texts = [
        "insert into t values (1, 2)",
        "insert into t values (2, 0), (1, 5)",
        "insert into t values (1, 0)",
        "delete from t where b = 0",
    ];
    let answers = || {
        let answer = |query: &&str| server.psql().script(&["-qAt"], query);
        queries.iter().map(answer).map(|answer| answer.stdout + &answer.stderr).collect::<Vec<_>>()
    };
    let mut with = Vec::new();
    for text in texts {
        server.query(text);
        with.push(answers());
    }
    server.query("delete from t; drop index v_a_idx, w_a_idx, t_expr_idx, t_a_idx");
    for (text, with) in texts.iter().zip(with) {
        server.query(text);
        assert_eq!(with, answers(), "after {text}");
    }
}

#[test]
fn an_index_takes_part_in_transactions_but_not_concurrently() {
    let server = Server::with_workers(2);
    let errors = |text: &str| server.psql().script(&["-qAt", "-v", "VERBOSITY=sqlstate"], text).stderr;
    server.query(
        "begin; create table t (a int); create index on t (a); insert into t values (1), (2), (2); commit",
    );
    assert_eq!(server.query("select a from t where a = 2"), "2\n2");
    // Its own index a transaction cannot read yet: it scans.
    assert_eq!(
        server.query("begin; create index twin on t (a, a); select a from t where a = 1; rollback"),
        "1"
    );
    assert_eq!(errors("drop index twin;"), "ERROR:  42704\n");
    server.query("begin; create index twin on t (a); drop table t; create table twin (b int); commit");
    assert_eq!(server.query("select relation from millrace.frontiers"), "twin");
    assert_eq!(errors("begin; create index concurrently on twin (b);"), "ERROR:  25001\n");
    assert_eq!(errors("begin; drop index concurrently if exists nothing;"), "ERROR:  25001\n");
    assert_eq!(errors("create index concurrently on twin (b);"), "");
}

/// The next of a sequence of numbers that looks like chance, below a bound.
fn next(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

/// A value of a column of this type, often one that others have.
fn value(state: &mut u64, data_type: &str) -> String {
    let of: &[&str] = match data_type {
        "int" | "bigint" => &["0", "1", "2", "-1", "NULL", "3", "1", "2"],
        "text" => &["'a'", "'A'", "'b'", "''", "NULL", "'a '"],
        "double precision" => &["0", "'-0'", "0.5", "'NaN'", "'Infinity'", "NULL", "2"],
        "numeric(8,2)" => &["0", "0.5", "0.50", "-1.25", "2", "NULL"],
        "date" => &["'2026-01-01'", "'2026-01-02'", "NULL"],
        "boolean" => &["true", "false", "NULL"],
        other => panic!("no values of {other}"),
    };
    of[next(state, of.len() as u64) as usize].to_owned()
}

const COLUMNS: [(&str, &str); 7] = [
    ("a", "int"),
    ("b", "bigint"),
    ("c", "text"),
    ("d", "double precision"),
    ("e", "numeric(8,2)"),
    ("f", "date"),
    ("g", "boolean"),
];

/// What an index is by.
fn keys(state: &mut u64) -> String {
    let one = |state: &mut u64| match next(state, 10) {
        place @ 0..7 => COLUMNS[place as usize].0,
        7 => "lower(c)",
        8 => "(a + 1)",
        _ => "(coalesce(b, 7))",
    };
    let count = 1 + next(state, 3);
    (0..count).map(|_| one(state)).collect::<Vec<_>>().join(", ")
}

/// A filter, mostly of equalities.
fn filter(state: &mut u64) -> String {
    let one = |state: &mut u64| {
        let (column, data_type) = COLUMNS[next(state, 7) as usize];
        match next(state, 10) {
            0 => format!("lower(c) = lower({})", value(state, "text")),
            1 => format!("a + 1 = {}", value(state, "int")),
            2 => format!("coalesce(b, 7) IN (7, {})", value(state, "bigint")),
            3 => format!("{column} IN ({}, {})", value(state, data_type), value(state, data_type)),
            4 => format!("{column} IS NULL"),
            5 => format!("{column} > {}", value(state, data_type)),
            6 => format!("a = {}.0", next(state, 3)),
            _ => format!("{column} = {}", value(state, data_type)),
        }
    };
    let count = 1 + next(state, 4);
    (0..count).map(|_| one(state)).collect::<Vec<_>>().join(" AND ")
}

/// Two tables get the same changes, one of them has indexes that come and go: all queries by filters find
/// the same in both, and in views over both.
#[test]
fn a_table_with_indexes_answers_as_its_twin_without() {
    for seed in [1, 2, 3] {
        let mut state = seed;
        let folder = tempfile::tempdir().unwrap();
        let workers = 1 + (seed as usize) % 2;
        let mut server = Launch::on(folder.path().join("data")).workers(workers).start();
        let columns = COLUMNS.map(|(name, data_type)| format!("{name} {data_type}")).join(", ");
        for twin in ["i", "p"] {
            server.query(&format!("create table {twin} ({columns})"));
            server.query(&format!(
                "create materialized view {twin}v as select * from {twin} where a is not null"
            ));
        }
        let (mut created, mut found, mut by_key) = (0, 0, 0);
        for round in 0..12 {
            let row = |state: &mut u64| COLUMNS.map(|(_, data_type)| value(state, data_type)).join(", ");
            let rows: Vec<String> = (0..20).map(|_| format!("({})", row(&mut state))).collect();
            let gone = filter(&mut state);
            for twin in ["i", "p"] {
                server.query(&format!("insert into {twin} values {}", rows.join(", ")));
                server.query(&format!("delete from {twin} where {gone} and d > 0"));
            }
            for _ in 0..2 {
                let of = if next(&mut state, 3) == 0 { "iv" } else { "i" };
                server.query(&format!("create index x{created} on {of} ({})", keys(&mut state)));
                created += 1;
            }
            if round % 4 == 3 {
                server.query(&format!("drop index x{}", created - 3));
                server.restart();
            }
            let queries: Vec<[String; 2]> = (0..25)
                .map(|_| {
                    let (filter, view) = (filter(&mut state), next(&mut state, 3) == 0);
                    let suffix = if view { "v" } else { "" };
                    ["i", "p"].map(|twin| {
                        format!("select * from {twin}{suffix} where {filter} order by a, b, c, d, d::text, e, f, g")
                    })
                })
                .collect();
            let all = |twin: usize| {
                let text: Vec<&str> = queries.iter().map(|query| query[twin].as_str()).collect();
                server.query(&text.join(";\nselect '---';\n"))
            };
            let (with, without) = (all(0), all(1));
            assert_eq!(with, without, "seed {seed}, round {round}: {queries:#?}");
            found += with.lines().filter(|line| *line != "---").count();
            let explained: Vec<String> =
                queries.iter().map(|query| format!("explain {}", query[0])).collect();
            by_key += server.query(&explained.join(";\n")).matches("Index Scan").count();
        }
        println!("seed {seed}: {found} rows found, {by_key} of 300 queries by key");
        assert!(found > 100 && by_key > 50, "the queries show too little: {found} rows, {by_key} by key");
    }
}
