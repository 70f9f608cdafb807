//! Queries over relations, and views against the same queries asked ad hoc: a running engine holds
//! the tables and maintains the views, with the plans and the compiler of this crate.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use datafusion::arrow::array::RecordBatch;
use futures::TryStreamExt;
use millrace_engine::{
    DataType, Delta, Engine, EngineConfig, RelationId, Snapshot, TableSpec, Tick, ViewSpec,
};

use super::{parse, plan_delete, plan_insert, relation, text_rows};
use crate::catalog::{Catalog, CatalogChange};
use crate::compile::ExprCompiler;
use crate::error::SqlError;
use crate::query::{Parameters, Query, Snapshots};

/// A database of one session: a catalog, and an engine that is at `tick`.
pub(super) struct Database {
    pub(super) catalog: Catalog,
    engine: Engine,
    tick: Tick,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    pub(super) fn new(workers: usize) -> Database {
        let progress = Arc::new(|_, _| {});
        let engine =
            Engine::start(EngineConfig { workers, view_bytes_max: None }, Arc::new(ExprCompiler), progress)
                .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        Database { catalog: Catalog::default(), engine, tick: 1, runtime }
    }

    pub(super) fn table(&mut self, name: &str, columns: &[(&str, DataType)]) {
        let id = self.catalog.next_id();
        self.catalog.apply(&CatalogChange::Create(relation(id.0, name, columns))).unwrap();
        let columns = columns.iter().map(|(_, data_type)| *data_type).collect();
        self.engine.create_table(id, TableSpec { name: "t".to_owned(), columns, keep_rows: true }, self.tick);
    }

    pub(super) fn view(&mut self, name: &str, sql: &str) {
        let query = Query::plan(&parse(sql), &self.catalog, Parameters::values(&[])).unwrap();
        let id = self.catalog.next_id();
        let columns: Vec<(&str, DataType)> =
            query.columns().iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        self.catalog.apply(&CatalogChange::Create(relation(id.0, name, &columns))).unwrap();
        self.engine.install(id, query.lower().unwrap(), ViewSpec::default(), self.tick).unwrap();
    }

    /// Commits rows of a query to a table, each `diff` times.
    fn change(&mut self, table: &str, query: &Query, diff: i64) {
        let table = Arc::clone(self.catalog.named("public", table).unwrap());
        let batches = self.run(query).unwrap();
        self.tick += 1;
        let deltas = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        let deltas = deltas.map(|batch| Delta::uniform(batch, diff, self.tick)).collect();
        self.engine.commit(self.tick, vec![(table.id, deltas)]);
    }

    pub(super) fn insert(&mut self, table: &str, source: &str) {
        let relation = Arc::clone(self.catalog.named("public", table).unwrap());
        let columns: Vec<usize> = (0..relation.columns.len()).collect();
        let source = parse(source);
        let change =
            plan_insert(&relation, &columns, &source, &self.catalog, Parameters::values(&[])).unwrap();
        self.change(table, &change.source, 1);
    }

    pub(super) fn delete(&mut self, table: &str, condition: &str) {
        let relation = Arc::clone(self.catalog.named("public", table).unwrap());
        let condition = super::parse_expr(condition);
        let change = plan_delete(&relation, &condition, &self.catalog).unwrap();
        self.change(table, &change.source, -1);
    }

    fn snapshots(&self, relations: &[RelationId]) -> Snapshots {
        let mut all = HashMap::new();
        for id in relations {
            let (sender, receiver) = mpsc::channel();
            let sender = Mutex::new(sender);
            let reply = move |worker: usize, snapshot| {
                sender.lock().unwrap().send((worker, snapshot)).unwrap();
            };
            self.engine.read(*id, self.tick, Arc::new(reply));
            let shares: BTreeMap<usize, Snapshot> = (0..self.engine.workers())
                .map(|_| receiver.recv().unwrap())
                .map(|(worker, snapshot): (usize, Result<Snapshot, _>)| (worker, snapshot.unwrap()))
                .collect();
            all.insert(*id, shares.into_values().collect());
        }
        all
    }

    fn run(&self, query: &Query) -> Result<Vec<RecordBatch>, SqlError> {
        let snapshots = self.snapshots(&query.relations());
        self.runtime.block_on(async { query.execute(snapshots, self.tick)?.try_collect().await })
    }

    pub(super) fn try_select(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        let query = Query::plan(&parse(sql), &self.catalog, Parameters::values(&[]))?;
        let mut rows = text_rows(&query, &self.run(&query)?);
        if !is_ordered(sql) {
            rows.sort();
        }
        Ok(rows)
    }

    pub(super) fn select(&self, sql: &str) -> Vec<String> {
        self.try_select(sql).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

/// Whether the result has an order: an ORDER BY outside of all parentheses.
fn is_ordered(sql: &str) -> bool {
    let mut depth = 0;
    let outside = sql.chars().filter(|c| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    });
    outside.collect::<String>().contains("ORDER BY")
}

const HOURLY: &str = "SELECT date_trunc('hour', ts) AS hour, count(*) AS n, min(value), max(value), \
                      avg(value) AS mean FROM readings GROUP BY 1";
const ABOVE: &str = "SELECT r.ts, r.value, h.mean FROM readings r \
                     JOIN hourly h ON date_trunc('hour', r.ts) = h.hour WHERE r.value > h.mean + 5";

fn quickstart(workers: usize) -> Database {
    let mut database = Database::new(workers);
    database.table("readings", &[("ts", DataType::Timestamp), ("value", DataType::Float64)]);
    database.view("hourly", HOURLY);
    database.view("above", ABOVE);
    database
}

#[test]
fn the_quickstarts_views_follow_their_table() {
    for workers in [1, 2] {
        let mut database = quickstart(workers);
        database.insert(
            "readings",
            "VALUES ('2014-01-01 00:10', 1), ('2014-01-01 00:20', 2.5), ('2014-01-01 00:50', 50), \
             ('2014-01-01 01:00', 7), ('2014-01-01 01:01', NULL)",
        );
        assert_eq!(
            database.select("SELECT * FROM hourly ORDER BY hour"),
            ["2014-01-01 00:00:00|3|1|50|17.833333333333332", "2014-01-01 01:00:00|2|7|7|7"]
        );
        assert_eq!(database.select("SELECT * FROM above"), ["2014-01-01 00:50:00|50|17.833333333333332"]);
        database.delete("readings", "value > 40");
        assert_eq!(
            database.select("SELECT * FROM hourly ORDER BY hour"),
            ["2014-01-01 00:00:00|2|1|2.5|1.75", "2014-01-01 01:00:00|2|7|7|7"]
        );
        assert!(database.select("SELECT * FROM above").is_empty());
    }
}

/// Views of every form that can be maintained, each against its query asked ad hoc.
const VIEWS: &[&str] = &[
    "SELECT a + 1 AS a, c FROM t WHERE b > 5 AND c <> 'x'",
    "SELECT c, count(*) AS n, count(b) AS m, sum(a) AS s, sum(b) AS s8, avg(a) AS mean, min(x) AS low, max(c) AS high FROM t GROUP BY c",
    "SELECT count(*) AS n, sum(x) AS s, avg(x) AS mean FROM t",
    "SELECT a % 2 AS parity, sum(x) + count(*) AS s FROM t GROUP BY a % 2 HAVING count(*) > 1",
    "SELECT l.a, r.b, l.x FROM t l JOIN t r ON l.a + 1 = r.b WHERE l.x < r.x OR r.x IS NULL",
    "SELECT l.a, r.c FROM t l, t r WHERE l.x = r.x",
    "SELECT l.c, s.n FROM t l JOIN (SELECT a, count(*) AS n FROM t GROUP BY a) s USING (a)",
    "SELECT a AS k FROM t UNION ALL SELECT 7 FROM t WHERE c IS NULL",
    "SELECT CASE WHEN b = 0 THEN 0 ELSE 100 / b END AS q FROM t",
    "SELECT sum(b) FILTER (WHERE c = 'x') AS s, max(coalesce(c, 'none')) AS m FROM t",
    "SELECT c, count(DISTINCT a) AS n, sum(DISTINCT x) AS s, avg(DISTINCT y) AS m, stddev(DISTINCT b) AS d FROM t GROUP BY c",
    "SELECT bool_and(a > 1) AS p, bool_or(a > 6) AS q, bit_and(a) AS r, bit_or(b) AS s, bit_xor(DISTINCT b) AS t FROM t",
    "SELECT c, var_pop(a) AS p, variance(y) AS q, stddev(b) AS r, stddev_pop(a) FILTER (WHERE b > 2) AS s FROM t GROUP BY c",
    "SELECT c, var_pop(x) AS p, variance(x) FILTER (WHERE x < 1e10 AND x > -1e10) AS q, stddev(x / 1e200) AS r FROM t WHERE abs(x) < 1e299 OR x IS NULL GROUP BY c",
    "SELECT stddev(x / 1e200) AS p, var_pop(x) FILTER (WHERE x > 1e301 OR abs(x) < 1) AS q FROM t",
    "SELECT string_agg(c, ',') AS p, string_agg(c, c ORDER BY x DESC NULLS FIRST, y) AS q, string_agg(DISTINCT c, '-' ORDER BY c DESC) AS r FROM t",
    "SELECT a % 2 AS k, string_agg(c || b, ',' ORDER BY 12 / b) FILTER (WHERE b <> 0) AS p FROM t GROUP BY a % 2",
    "SELECT a % 2 AS k, c, count(*) AS n, grouping(c) AS g, sum(b) AS s FROM t GROUP BY CUBE (a % 2, c)",
    "SELECT c, max(a) AS m, count(DISTINCT b) AS n FROM t GROUP BY ROLLUP (c) HAVING count(*) > 1",
];

#[test]
fn views_equal_their_queries() {
    for workers in [1, 2] {
        let mut database = Database::new(workers);
        let numeric = DataType::Numeric { precision: 10, scale: 2 };
        database.table(
            "t",
            &[
                ("a", DataType::Int32),
                ("b", DataType::Int64),
                ("c", DataType::Text),
                ("x", DataType::Float64),
                ("y", numeric),
            ],
        );
        for (index, sql) in VIEWS.iter().enumerate() {
            database.view(&format!("v{index}"), sql);
        }
        let inserts = [
            "VALUES (1, 2, 'x', 0.1, 1.25), (2, 3, 'y', 0.2, 2.5), (3, 0, NULL, 'NaN', NULL)",
            "VALUES (1, 2, 'x', 0.1, 1.25), (5, 9, 'x', '-0', 7), (NULL, NULL, 'y', 0, 0), (-4, 6, '', 1e300, 9)",
            "VALUES (2, 3, 'y', -1e300, 0), (7, 8, 'z', 'Infinity', 1), (6, 7, 'x', 5, 1)",
        ];
        for source in inserts {
            database.insert("t", source);
            check_views(&database);
        }
        for condition in ["x = 'NaN'", "a = 1", "c = 'y' OR c IS NULL", "true"] {
            database.delete("t", condition);
            check_views(&database);
        }
    }
}

fn check_views(database: &Database) {
    for (index, sql) in VIEWS.iter().enumerate() {
        let view = database.select(&format!("SELECT * FROM v{index}"));
        // An aggregate may have an ORDER BY: then `select` leaves the rows as they come.
        let mut query = database.select(sql);
        query.sort();
        assert_eq!(view, query, "at tick {}: {sql}", database.tick);
    }
}

#[test]
fn a_view_in_error_fails_its_reads_until_the_row_is_gone() {
    let mut database = Database::new(2);
    database.table("t", &[("a", DataType::Int32)]);
    database.view("inverse", "SELECT a, 10 / a AS q FROM t");
    database.insert("t", "VALUES (0), (5)");
    let error = database.try_select("SELECT * FROM inverse").unwrap_err();
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("22012", "division by zero"));
    let error = database.try_select("SELECT 10 / a FROM t").unwrap_err();
    assert_eq!(error.sqlstate, "22012");
    database.delete("t", "a = 0");
    assert_eq!(database.select("SELECT * FROM inverse"), ["5|2"]);
}

#[test]
fn large_relations_stream() {
    let mut database = Database::new(2);
    database.table("t", &[("a", DataType::Int32), ("c", DataType::Text)]);
    database.insert("t", "VALUES (0, 'row')");
    for doubling in 0..16 {
        database.insert("t", &format!("SELECT a + {}, c || a FROM t", 1 << doubling));
    }
    assert_eq!(
        database.select("SELECT count(*), max(a), min(a), count(DISTINCT a) FROM t"),
        ["65536|65535|0|65536"]
    );
    assert_eq!(database.select("SELECT a FROM t ORDER BY a DESC LIMIT 2 OFFSET 1"), ["65534", "65533"]);
    assert_eq!(database.select("SELECT a FROM t LIMIT 3").len(), 3);
    assert_eq!(database.select("SELECT count(*) FROM t l JOIN t r ON l.a = r.a + 1"), ["65535"]);
    // A reader that goes away stops its scans: the runtime below would wait for them for ever.
    let query = Query::plan(&parse("SELECT * FROM t"), &database.catalog, Parameters::values(&[])).unwrap();
    let snapshots = database.snapshots(&query.relations());
    let first = database.runtime.block_on(async {
        let mut rows = query.execute(snapshots, database.tick).unwrap();
        rows.try_next().await.unwrap()
    });
    assert!(first.is_some_and(|batch| batch.num_rows() <= 8_192));
}

#[test]
fn too_much_memory_is_refused() {
    let database = Database::new(1);
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let from: Vec<String> = (0..8).map(|index| format!("{digits} AS d{index} (x)")).collect();
    let text = "'0123456789012345678901234567890123456789'";
    let sql =
        format!("SELECT {text} || d0.x || d7.x || d1.x FROM {} ORDER BY d3.x, d4.x, d5.x", from.join(", "));
    let error = database.try_select(&sql).unwrap_err();
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("53200", "out of memory"));
}

/// Views of the relational forms over two small tables that change; each is compared with its query.
#[test]
fn relational_forms_equal_their_queries() {
    let views = [
        "SELECT l.k, l.v, r.w FROM l LEFT JOIN r ON l.k = r.k",
        "SELECT l.k, l.v, r.w FROM l LEFT JOIN r ON l.k = r.k AND l.v < r.w",
        "SELECT l.k, l.v, r.w FROM l LEFT JOIN r ON l.k = r.k AND l.v > 1 AND r.w > 1",
        "SELECT l.k, l.v, r.w FROM r RIGHT JOIN l ON l.k = r.k AND l.v < r.w",
        "SELECT l.*, r.* FROM l FULL JOIN r ON l.k = r.k AND l.v < r.w",
        "SELECT * FROM l FULL JOIN r USING (k) FULL JOIN (SELECT k, w + 1 AS z FROM r) AS s USING (k)",
        "SELECT l.v, r.w FROM l LEFT JOIN r ON l.v + r.w = 4 OR l.v IS NULL",
        "SELECT l.v, r.w FROM l FULL JOIN r ON l.v = 1",
        "SELECT l.v, r.w FROM l LEFT JOIN r ON false",
        "SELECT l.v, r.w FROM l CROSS JOIN r",
        "SELECT k FROM l EXCEPT ALL SELECT k FROM r",
        "SELECT k, v FROM l INTERSECT ALL SELECT k, w FROM r",
        "SELECT k FROM l EXCEPT SELECT k FROM r",
        "SELECT k FROM l INTERSECT SELECT k FROM r",
        "SELECT k FROM l UNION SELECT k FROM r",
        "SELECT * FROM l ORDER BY v DESC LIMIT 2 OFFSET 1",
        "SELECT v FROM l ORDER BY k, v OFFSET 2",
        "SELECT DISTINCT ON (k) k, v FROM l ORDER BY k, v DESC",
        "SELECT k, v, row_number() OVER (PARTITION BY k ORDER BY v) AS a, row_number() OVER (ORDER BY v DESC) AS b FROM l",
        "SELECT k, v FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM l) AS s WHERE n <= 2",
        "SELECT k, v, n FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM l) AS s WHERE n BETWEEN 2 AND 3",
        "WITH top AS (SELECT * FROM l ORDER BY k LIMIT 1) SELECT x.v, y.k FROM top AS x, top AS y",
    ];
    for workers in [1, 2] {
        let mut database = Database::new(workers);
        database.table("l", &[("k", DataType::Int32), ("v", DataType::Int32)]);
        database.table("r", &[("k", DataType::Int32), ("w", DataType::Int32)]);
        for (index, sql) in views.iter().enumerate() {
            database.view(&format!("view{index}"), sql);
        }
        let check = |database: &Database| {
            for (index, sql) in views.iter().enumerate() {
                let mut fresh = database.select(sql);
                let mut kept = database.select(&format!("SELECT * FROM view{index}"));
                fresh.sort();
                kept.sort();
                assert_eq!(kept, fresh, "{workers} workers, {sql}");
            }
        };
        database.insert("l", "VALUES (1, 1), (1, 1), (1, 2), (2, 5), (NULL, 1), (NULL, 1), (4, NULL)");
        check(&database);
        database.insert("r", "VALUES (1, 2), (1, 1), (2, 1), (3, 9), (NULL, 1)");
        check(&database);
        database.delete("r", "w = 2 OR k IS NULL");
        check(&database);
        database.insert("r", "VALUES (2, 8), (2, 9), (4, 1), (1, 1)");
        check(&database);
        database.delete("l", "v = 1");
        check(&database);
        database.delete("l", "true");
        check(&database);
    }
}
