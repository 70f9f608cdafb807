//! Stacks of outer joins: a view's plan grows with their number, and the view equals its query and
//! PostgreSQL's answer.

use expect_test::expect;
use millrace_engine::DataType;

use super::adhoc::Database;
use super::plan;

/// `t` joined to `v` so many times, each time by another key and with a condition that is no key.
fn stack(kind: &str, joins: usize) -> String {
    let joined = |n: usize| match kind {
        "FULL" => format!("FULL JOIN v v{n} ON v{n}.x = t.b + {n} AND (v{n}.flag OR t.a < {n})"),
        _ => format!("{kind} JOIN v v{n} ON v{n}.x = t.a + {n} % 3 AND (v{n}.flag OR t.b < {n})"),
    };
    let columns: Vec<String> = (1..=joins).map(|n| format!("v{n}.x AS x{n}")).collect();
    let joins: Vec<String> = (1..=joins).map(joined).collect();
    format!("SELECT t.a, t.b, {} FROM t {}", columns.join(", "), joins.join(" "))
}

fn operators(sql: &str) -> usize {
    plan(sql).unwrap().lower().unwrap().nodes().len()
}

#[test]
fn the_plan_grows_with_the_number_of_joins() {
    for (kind, at_most) in [("LEFT", 9), ("RIGHT", 9), ("FULL", 12)] {
        let [ten, twenty, thirty] = [10, 20, 30].map(|joins| operators(&stack(kind, joins)));
        assert_eq!(thirty - twenty, twenty - ten, "{kind}");
        assert!(thirty <= 30 * at_most, "{kind}: {thirty}");
    }
}

/// What `shown` gives of the view and of its query, which agree, after each of three commits.
fn follows_its_tables(kind: &str, joins: usize, shown: &str) -> String {
    let sql = stack(kind, joins);
    let mut database = Database::new(2);
    database.table("t", &[("a", DataType::Int32), ("b", DataType::Int64)]);
    database.table("v", &[("x", DataType::Int64), ("flag", DataType::Boolean)]);
    database.view("stacked", &sql);
    let agreed = |database: &Database| {
        assert_eq!(database.select("SELECT * FROM stacked"), database.select(&sql));
        database.select(&format!("SELECT {shown} FROM stacked")).join("\n") + "\n"
    };
    database.insert("t", "VALUES (1, 10), (2, 20), (4, 3), (NULL, 5)");
    database.insert("v", "VALUES (1, true), (2, false), (3, NULL), (4, true), (16, false), (NULL, true)");
    let mut answers = agreed(&database);
    database.delete("v", "x = 1 OR x = 16");
    answers += &agreed(&database);
    database.delete("t", "a = 2");
    database.insert("v", "VALUES (5, true), (6, true)");
    answers + &agreed(&database)
}

#[test]
fn thirty_left_joins() {
    let shown = "a, b, x1, x2, x3, x11, x12, x13, x14, x22, x29, x30";
    expect![[r#"
        1|10|null|null|1|3|1|2|3|2|3|1
        2|20|null|4|null|4|null|null|4|3|4|2
        4|3|null|null|4|null|4|null|null|null|null|4
        null|5|null|null|null|null|null|null|null|null|null|null
        1|10|null|null|null|3|null|2|3|2|3|null
        2|20|null|4|null|4|null|null|4|3|4|2
        4|3|null|null|4|null|4|null|null|null|null|4
        null|5|null|null|null|null|null|null|null|null|null|null
        1|10|null|null|null|3|null|2|3|2|3|null
        4|3|5|6|4|6|4|5|6|5|6|4
        null|5|null|null|null|null|null|null|null|null|null|null
    "#]]
    .assert_eq(&follows_its_tables("LEFT", 30, shown));
}

#[test]
fn twelve_full_joins() {
    expect![[r#"
        74|5|26
        51|3|9
        71|5|20
    "#]]
    .assert_eq(&follows_its_tables("FULL", 12, "count(*), count(x12), sum(x3)"));
}

#[test]
fn a_plan_that_is_too_deep_is_refused() {
    let inner = stack("RIGHT", 99).replace("SELECT t.a, t.b,", "SELECT t.a AS a, t.b AS b,");
    let sql = format!("SELECT t.a FROM ({inner}) t {}", stack("RIGHT", 98).split_once("FROM t ").unwrap().1);
    let error = plan(&sql).unwrap().lower().unwrap_err();
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("54001", "statement too complex"));
}

#[test]
fn only_distinct_operators_count() {
    let branch = |n: usize| stack("LEFT", 60).replace("t.b <", &format!("t.b + {n} <"));
    let union = |n: fn(usize) -> usize| {
        let branches: Vec<String> = (0..25).map(|index| branch(n(index))).collect();
        plan(&branches.join(" UNION ALL ")).unwrap().lower()
    };
    let shared = union(|_| 7).unwrap();
    assert!(shared.nodes().len() < 600, "{}", shared.nodes().len());
    let error = union(|index| index).unwrap_err();
    assert_eq!(error.sqlstate, "54001");
    assert!(error.detail.is_some_and(|detail| detail.contains("5000 operators")));
}
