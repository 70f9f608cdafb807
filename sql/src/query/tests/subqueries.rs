//! Sub-queries: their answers against PostgreSQL's, their plans, and what is refused.

use millrace_engine::DataType;

use super::adhoc::Database;
use crate::query::{Parameters, Query};

/// Tables with repeated rows, NULLs and keys that meet none, one or several rows.
pub(super) fn tables(database: &mut Database) {
    let wide = &[
        ("k", DataType::Int32),
        ("a", DataType::Int32),
        ("b", DataType::Int64),
        ("s", DataType::Text),
        ("x", DataType::Float64),
    ];
    let narrow = &[("a", DataType::Int32), ("v", DataType::Int64), ("f", DataType::Boolean)];
    database.table("t", wide);
    database.table("u", wide);
    database.table("w", narrow);
    database.table("e", narrow);
    database.insert(
        "t",
        "VALUES (1, 1, 10, 'x', 0.5), (2, 1, 20, 'y', 1.5), (3, 2, 10, 'x', NULL), (4, 2, NULL, NULL, 2.5), \
         (5, 3, 30, 'z', -1), (6, NULL, 30, 'y', 0), (7, 5, 50, 'q', 7), (7, 5, 50, 'q', 7)",
    );
    database.insert(
        "u",
        "VALUES (1, 1, 10, 'x', 0.5), (2, 1, 15, 'y', 2.5), (3, 2, 20, 'x', 1), (4, 3, NULL, 'z', 0), \
         (5, 3, 30, NULL, NULL), (6, NULL, 20, 'y', 3), (8, 4, 10, 'w', 9)",
    );
    database.insert(
        "w",
        "VALUES (1, 100, true), (2, 200, false), (2, NULL, true), (NULL, 300, NULL), (3, 30, false)",
    );
}

/// A query's rows, sorted, or its error: the form of `subqueries.txt`.
fn shown(database: &Database, sql: &str) -> String {
    match database.try_select(sql) {
        Ok(mut rows) => {
            rows.sort();
            rows.iter().map(|row| format!("{row}\n")).collect()
        }
        Err(error) => format!("ERROR {}: {}\n", error.sqlstate, error.message),
    }
}

/// Each query behind `-- `, then what PostgreSQL 15 answers.
fn recorded() -> Vec<(&'static str, String)> {
    let mut cases: Vec<(&str, String)> = Vec::new();
    for line in include_str!("subqueries.txt").lines() {
        match (line.strip_prefix("-- "), cases.last_mut()) {
            (Some(sql), _) => cases.push((sql, String::new())),
            (None, Some((_, rows))) => *rows += &format!("{line}\n"),
            (None, None) => panic!("a row before the first query"),
        }
    }
    cases
}

#[test]
fn answers_are_postgresqls() {
    let mut database = Database::new(2);
    tables(&mut database);
    let wrong: Vec<String> = recorded()
        .into_iter()
        .filter_map(|(sql, expected)| {
            let found = shown(&database, sql);
            (found != expected).then(|| format!("{sql}\nPostgreSQL:\n{expected}ours:\n{found}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The error of a second row is raised only where a row asks for the value.
#[test]
fn a_second_row_that_nobody_asks_for_is_no_error() {
    let mut database = Database::new(1);
    tables(&mut database);
    database.insert("w", "VALUES (77, 1, true), (77, 2, true)");
    for sql in [
        "SELECT k FROM t WHERE b = (SELECT v FROM w WHERE w.a = t.a AND v < 100)",
        "SELECT k, (SELECT v FROM w WHERE w.a = t.a + 70 AND w.a < 77) FROM t",
        "SELECT k FROM t WHERE CASE WHEN k < 7 THEN true ELSE b = (SELECT v FROM w WHERE w.a = t.k * 11) END AND k < 7",
        "SELECT k FROM t WHERE k = 99 AND b = (SELECT v FROM w WHERE w.a = t.a)",
    ] {
        assert!(!shown(&database, sql).contains("ERROR"), "{sql}\n{}", shown(&database, sql));
    }
    let asked = "SELECT k, (SELECT v FROM w WHERE w.a = t.a + 72) FROM t";
    assert_eq!(
        shown(&database, asked),
        "ERROR 21000: more than one row returned by a subquery used as an expression\n"
    );
}

/// What is equal is not always the same: a sub-query sees the sign of an outer zero.
#[test]
fn arguments_keep_their_form() {
    let mut database = Database::new(1);
    tables(&mut database);
    database.insert("t", "VALUES (10, 1, 1, 'x', '-0'), (11, 1, 1, 'x', 0)");
    let sql = "SELECT k, (SELECT min(t.x::text || u.s) FROM u WHERE u.x > t.x) FROM t WHERE k > 9";
    assert_eq!(shown(&database, sql), "10|-0w\n11|0w\n");
}

/// What is wrong with the views of these queries, if anything: each shows what its query answers.
fn differing(database: &Database, views: &[&str]) -> Vec<String> {
    let differs = |(index, sql): (usize, &&str)| {
        let (view, query) = (shown(database, &format!("SELECT * FROM v{index}")), shown(database, sql));
        (view != query).then(|| format!("{sql}\nthe view:\n{view}the query:\n{query}"))
    };
    views.iter().enumerate().filter_map(differs).collect()
}

#[test]
fn views_follow_their_tables() {
    let mut database = Database::new(2);
    tables(&mut database);
    let mut views = Vec::new();
    for (sql, _) in recorded() {
        let planned = Query::plan(&super::parse(sql), &database.catalog, Parameters::values(&[]));
        if planned.and_then(|query| query.lower()).is_ok() {
            database.view(&format!("v{}", views.len()), sql);
            views.push(sql);
        }
    }
    assert!(views.len() + 3 > recorded().len(), "only {} views", views.len());
    let check = |database: &Database, change: &str| {
        let wrong = differing(database, &views);
        assert!(wrong.is_empty(), "after {change}:\n{}", wrong.join("\n"));
    };
    check(&database, "nothing");
    for (table, source) in [
        ("e", "VALUES (1, 5, true), (NULL, NULL, NULL)"),
        ("u", "VALUES (9, 1, NULL, 'v', 4), (10, 5, 50, 'q', 7)"),
        ("t", "VALUES (8, NULL, NULL, NULL, NULL), (9, 4, 10, 'w', 9)"),
    ] {
        database.insert(table, source);
        check(&database, &format!("INSERT INTO {table} {source}"));
    }
    for (table, condition) in [
        ("u", "a IS NULL"),
        ("w", "v IS NULL"),
        ("u", "b = 10"),
        ("t", "k > 5"),
        ("e", "true"),
        ("u", "true"),
        ("t", "true"),
    ] {
        database.delete(table, condition);
        check(&database, &format!("DELETE FROM {table} WHERE {condition}"));
    }
}

/// Random queries: what is made, and how deep it may nest.
struct Maker {
    state: u64,
    tables: usize,
}

/// The tables in sight of a query, by alias, the innermost last.
type Sight = Vec<(String, &'static [&'static str])>;

impl Maker {
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % bound
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    /// A table with a new alias, which comes into sight.
    fn table(&mut self, sight: &mut Sight) -> String {
        let (name, columns): (&str, &'static [&'static str]) = [
            ("t", &["k", "a", "b"] as &[_]),
            ("u", &["k", "a", "b"]),
            ("w", &["a", "v"]),
            ("e", &["a", "v"]),
        ][self.below(10) * 3 / 9 % 4];
        self.tables += 1;
        let alias = format!("q{}", self.tables);
        sight.push((alias.clone(), columns));
        format!("{name} {alias}")
    }

    /// A column, more often of the innermost tables.
    fn column(&mut self, sight: &Sight) -> String {
        let back = if self.one_in(2) { 0 } else { self.below(sight.len()) };
        let (alias, columns) = &sight[sight.len() - 1 - back];
        format!("{alias}.{}", self.pick(columns))
    }

    fn scalar(&mut self, sight: &Sight, depth: usize) -> String {
        match self.below(8) {
            0 => format!("{}", self.below(40)),
            1 => format!("{} + {}", self.column(sight), self.column(sight)),
            2 if depth > 0 => format!("({})", self.aggregate(sight, depth - 1)),
            _ => self.column(sight),
        }
    }

    fn condition(&mut self, sight: &Sight, depth: usize) -> String {
        let nested = depth.saturating_sub(1);
        match self.below(if depth == 0 { 3 } else { 12 }) {
            0 => {
                let operator = self.pick(&["<", ">", "<>", "<="]);
                format!("{} {operator} {}", self.scalar(sight, depth), self.scalar(sight, depth))
            }
            1 | 2 => format!("{} = {}", self.column(sight), self.column(sight)),
            3 => format!("({} OR {})", self.condition(sight, nested), self.condition(sight, nested)),
            4 => format!("NOT ({})", self.condition(sight, nested)),
            5 => format!("({}) IS NULL", self.condition(sight, nested)),
            6 | 7 => {
                let not = self.pick(&["", "NOT "]);
                format!("{not}EXISTS ({})", self.rows(sight, nested, 1))
            }
            8 | 9 => {
                let not = self.pick(&["", "NOT "]);
                format!("{} {not}IN ({})", self.scalar(sight, 0), self.rows(sight, nested, 1))
            }
            10 => {
                let operator = self.pick(&["<", ">=", "<>", "="]);
                let quantifier = self.pick(&["ANY", "ALL"]);
                format!("{} {operator} {quantifier} ({})", self.scalar(sight, 0), self.rows(sight, nested, 1))
            }
            _ => {
                let not = self.pick(&["", "NOT "]);
                let row = format!("({}, {})", self.column(sight), self.column(sight));
                format!("{row} {not}IN ({})", self.rows(sight, nested, 2))
            }
        }
    }

    fn from(&mut self, sight: &mut Sight, depth: usize) -> String {
        let mut from = self.table(sight);
        if depth > 0 && self.one_in(4) {
            let join = self.pick(&["JOIN", "LEFT JOIN"]);
            if self.one_in(2) {
                let inner = self.rows(sight, depth - 1, 1);
                self.tables += 1;
                let alias = format!("q{}", self.tables);
                sight.push((alias.clone(), &["y"]));
                from = format!("{from} {join} LATERAL ({inner}) {alias}(y) ON {}", self.condition(sight, 0));
            } else {
                let right = self.table(sight);
                from = format!("{from} {join} {right} ON {}", self.condition(sight, 0));
            }
        }
        from
    }

    fn filter(&mut self, sight: &Sight, depth: usize) -> String {
        let count = 1 + self.below(2);
        let conditions: Vec<String> = (0..count).map(|_| self.condition(sight, depth)).collect();
        conditions.join(" AND ")
    }

    /// Rows of so many columns.
    fn rows(&mut self, sight: &Sight, depth: usize, width: usize) -> String {
        let mut sight = sight.clone();
        let from = self.from(&mut sight, depth);
        let filter = self.filter(&sight, depth);
        if self.one_in(6) {
            let keys: Vec<String> = (0..width).map(|_| self.column(&sight)).collect();
            let (keys, own) = (keys.join(", "), &sight[sight.len() - 1]);
            let of = format!("{}.{}", own.0, own.1[0]);
            return format!("SELECT {keys} FROM {from} WHERE {filter} GROUP BY {keys} HAVING sum({of}) > 10");
        }
        let items: Vec<String> =
            (0..width).map(|_| format!("({})::bigint", self.scalar(&sight, depth))).collect();
        let distinct = if self.one_in(5) { "DISTINCT " } else { "" };
        let query = format!("SELECT {distinct}{} FROM {from} WHERE {filter}", items.join(", "));
        query
    }

    /// One row of one number.
    fn aggregate(&mut self, sight: &Sight, depth: usize) -> String {
        let mut sight = sight.clone();
        let from = self.from(&mut sight, depth);
        let own = &sight[sight.len() - 1];
        let own = format!("{}.{}", own.0, own.1[0]);
        let filter = self.filter(&sight, depth);
        let of = self.pick(&["count(*)", "max(#)", "min(#)", "count(#)", "count(*) + coalesce(max(#), 3)"]);
        format!("SELECT {} FROM {from} WHERE {filter}", of.replace('#', &own))
    }

    /// A query of a condition, and two others that mean the same but ask for it in other ways.
    fn query(&mut self) -> [String; 3] {
        self.tables = 0;
        let mut sight = Sight::new();
        let from = self.table(&mut sight);
        let column = sight[0].1[0];
        let value = self.scalar(&sight, 1);
        let filter = self.filter(&sight, 2);
        let query = |filter: String| format!("SELECT q1.{column}, {value} FROM {from} WHERE {filter}");
        [
            query(filter.clone()),
            query(format!("({filter}) IS TRUE")),
            query(format!("CASE WHEN {filter} THEN 1 ELSE 0 END = 1")),
        ]
    }
}

/// An answer that is not the lack of memory: all queries of the process share one pool, and other tests of it ask
/// at the same time.
fn answered(database: &Database, query: &str) -> String {
    let begun = std::time::Instant::now();
    loop {
        let answer = shown(database, query);
        if !answer.starts_with("ERROR 53200") || begun.elapsed().as_secs() > 30 {
            return answer;
        }
        std::thread::yield_now();
    }
}

/// Random queries have no outer reference left, and the same answer whether a condition is a join of its
/// own or a value, and whether sub-queries are unnested by pulling or by a domain.
#[test]
fn all_ways_to_unnest_agree() {
    let mut database = Database::new(1);
    tables(&mut database);
    let seed = std::env::var("MILLRACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}");
    let mut maker = Maker { state: seed, tables: 0 };
    let too_large = |answer: &str| answer.starts_with("ERROR 54001");
    let (mut rows, mut compared) = (0, 0);
    for _ in 0..200 {
        let queries = maker.query();
        let expected = answered(&database, &queries[0]);
        assert!(!expected.contains("ERROR") || too_large(&expected), "{}\n{expected}", queries[0]);
        for query in &queries {
            let pulled = answered(&database, query);
            let by_domain = crate::query::unnest::without_pulling(|| answered(&database, query));
            for answer in [pulled, by_domain] {
                if !too_large(&answer) && !too_large(&expected) {
                    assert_eq!(answer, expected, "{query}\nand\n{}", queries[0]);
                    compared += 1;
                }
            }
        }
        rows += expected.lines().count();
    }
    assert!(rows > 200 && compared > 800, "a weak generator: {rows} rows, {compared} comparisons");
}

fn error(sql: &str) -> String {
    match super::plan(sql) {
        Ok(query) => panic!("planned:\n{}", query.explain().join("\n")),
        Err(error) => {
            let more = [
                error.detail.map(|detail| format!("DETAIL: {detail}")),
                error.hint.map(|hint| format!("HINT: {hint}")),
            ];
            let lines =
                [Some(format!("{}: {}", error.sqlstate, error.message))].into_iter().chain(more).flatten();
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn errors_are_postgresqls() {
    let cases = [
        ("SELECT (SELECT a, b FROM t)", "42601: subquery must return only one column"),
        ("SELECT 1 IN (SELECT a, b FROM t)", "42601: subquery has too many columns"),
        ("SELECT (1, 2) IN (SELECT a FROM t)", "42601: subquery has too few columns"),
        (
            "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.zz)",
            "42703: column t.zz does not exist",
        ),
        ("SELECT 1 FROM t WHERE EXISTS (SELECT nothing FROM u)", "42703: column \"nothing\" does not exist"),
        (
            "SELECT 1 FROM t WHERE EXISTS (SELECT z.a FROM u)",
            "42P01: missing FROM-clause entry for table \"z\"",
        ),
        ("SELECT 1 FROM t, u WHERE EXISTS (SELECT a)", "42702: column reference \"a\" is ambiguous"),
        (
            "SELECT * FROM t, (SELECT t.a) s",
            "42P01: invalid reference to FROM-clause entry for table \"t\"\n\
             DETAIL: There is an entry for table \"t\", but it cannot be referenced from this part of the query.\n\
             HINT: To reference that table, you must mark this subquery with LATERAL.",
        ),
        (
            "SELECT * FROM t, (SELECT b FROM u) s",
            "42703: column \"b\" does not exist\n\
             DETAIL: There is a column named \"b\" in table \"t\", but it cannot be referenced from this part of the query.\n\
             HINT: To reference that column, you must mark this subquery with LATERAL.",
        ),
        (
            "SELECT * FROM t FULL JOIN LATERAL (SELECT t.a) s ON true",
            "42P10: invalid reference to FROM-clause entry for table \"t\"\n\
             DETAIL: The combining JOIN type must be INNER or LEFT for a LATERAL reference.",
        ),
        (
            "SELECT a, (SELECT t.b) FROM t GROUP BY a",
            "42803: subquery uses ungrouped column \"t.b\" from outer query",
        ),
        (
            "SELECT b IN (SELECT a FROM u) FROM t GROUP BY a",
            "42803: column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate function",
        ),
        (
            "SELECT c IN (SELECT a FROM u) FROM t",
            "42883: operator does not exist: text = integer\nHINT: No operator matches the given name and argument types. You might need to add explicit type casts.",
        ),
        (
            "SELECT (SELECT count(t.a) FROM u) FROM t",
            "0A000: an aggregate of an outer query's columns inside a sub-query is not supported",
        ),
        (
            "SELECT (a, b) < ANY (SELECT a, b FROM t) FROM t",
            "0A000: operator < between rows is not supported",
        ),
        ("SELECT 1 FROM t LIMIT (SELECT 1)", "0A000: a sub-query in LIMIT is not supported"),
        (
            "SELECT 1 FROM t LEFT JOIN u ON EXISTS (SELECT 1 FROM v WHERE v.x = t.a + u.a)",
            "0A000: a sub-query that reads both sides of an outer join in its condition is not supported",
        ),
    ];
    for (sql, expected) in cases {
        assert_eq!(error(sql), expected, "{sql}");
    }
}

#[test]
fn names_and_types_are_postgresqls() {
    assert_eq!(
        super::columns(
            "SELECT (SELECT a FROM t), (SELECT * FROM (SELECT 5 AS five) z), EXISTS (SELECT 1), 1 IN (SELECT 1), \
             1 = ANY (SELECT 1), ((SELECT c AS named FROM t)), (SELECT 'x'), (SELECT a FROM t)::bigint"
        ),
        "a integer, five integer, exists boolean, ?column? boolean, ?column? boolean, named text, \
         ?column? text, a bigint"
    );
}

/// What makes a plan large without end is refused.
#[test]
fn a_clause_has_a_bounded_number_of_sub_queries() {
    let items: Vec<String> = (0..101).map(|item| format!("(SELECT max(b) + {item} FROM t)")).collect();
    assert!(error(&format!("SELECT {}", items.join(", "))).starts_with("54001: stack depth limit exceeded"));
}

/// Each NOT IN within another trebles the plan: before it takes all memory, the statement is refused.
#[test]
fn a_plan_has_a_bounded_number_of_operators() {
    let query = |depth: usize| {
        let nested = (1..=depth).rev().fold("true".to_owned(), |inner, level| {
            let outer = level - 1;
            format!(
                "t{outer}.a NOT IN (SELECT t{level}.b FROM t AS t{level} WHERE t{level}.a < t{outer}.b AND {inner})"
            )
        });
        format!("SELECT {nested} FROM t AS t0")
    };
    assert!(super::plan(&query(6)).unwrap().explain().len() > 2_000);
    assert_eq!(
        error(&query(7)),
        "54001: stack depth limit exceeded\n\
         DETAIL: Sub-queries within sub-queries make a plan of more than 5000 operators."
    );
}
