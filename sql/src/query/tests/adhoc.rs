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

use super::{parse, relation, text_rows};
use crate::catalog::{Catalog, CatalogChange};
use crate::compile::ExprCompiler;
use crate::error::SqlError;
use crate::query::{Parameters, Query, Snapshots};

/// A database of one session: a catalog, and an engine that is at `tick`.
struct Database {
    catalog: Catalog,
    engine: Engine,
    tick: Tick,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    fn new(workers: usize) -> Database {
        let progress = Arc::new(|_, _| {});
        let engine =
            Engine::start(EngineConfig { workers, view_bytes_max: None }, Arc::new(ExprCompiler), progress)
                .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        Database { catalog: Catalog::default(), engine, tick: 1, runtime }
    }

    fn table(&mut self, name: &str, columns: &[(&str, DataType)]) {
        let id = self.catalog.next_id();
        self.catalog.apply(&CatalogChange::Create(relation(id.0, name, columns))).unwrap();
        let columns = columns.iter().map(|(_, data_type)| *data_type).collect();
        self.engine.create_table(id, TableSpec { name: "t".to_owned(), columns, keep_rows: true }, self.tick);
    }

    fn view(&mut self, name: &str, sql: &str) {
        let query = Query::plan(&parse(sql), &self.catalog, Parameters::Values(&[])).unwrap();
        let id = self.catalog.next_id();
        let columns: Vec<(&str, DataType)> =
            query.columns().iter().map(|column| (column.name.as_str(), column.data_type)).collect();
        self.catalog.apply(&CatalogChange::Create(relation(id.0, name, &columns))).unwrap();
        self.engine.install(id, query.lower().unwrap(), ViewSpec::default(), self.tick).unwrap();
    }

    /// Commits rows of a query to a table, each `diff` times.
    fn change(&mut self, table: &str, query: &Query, diff: i64) {
        let table = Arc::clone(self.catalog.get(table).unwrap());
        let batches = self.run(query).unwrap();
        self.tick += 1;
        let deltas = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        let deltas = deltas.map(|batch| Delta::uniform(batch, diff, self.tick)).collect();
        self.engine.commit(self.tick, vec![(table.id, deltas)]);
    }

    fn insert(&mut self, table: &str, source: &str) {
        let relation = Arc::clone(self.catalog.get(table).unwrap());
        let columns: Vec<usize> = (0..relation.columns.len()).collect();
        let source = parse(source);
        let query =
            Query::plan_insert(&relation, &columns, &source, &self.catalog, Parameters::Values(&[])).unwrap();
        self.change(table, &query, 1);
    }

    fn delete(&mut self, table: &str, condition: &str) {
        let relation = Arc::clone(self.catalog.get(table).unwrap());
        let condition = super::parse_expr(condition);
        let query =
            Query::plan_delete(&relation, Some(&condition), &self.catalog, Parameters::Values(&[])).unwrap();
        self.change(table, &query, -1);
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

    fn try_select(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        let query = Query::plan(&parse(sql), &self.catalog, Parameters::Values(&[]))?;
        let mut rows = text_rows(&query, &self.run(&query)?);
        if !sql.contains("ORDER BY") {
            rows.sort();
        }
        Ok(rows)
    }

    fn select(&self, sql: &str) -> Vec<String> {
        self.try_select(sql).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
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
        assert_eq!(view, database.select(sql), "at tick {}: {sql}", database.tick);
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
    let query = Query::plan(&parse("SELECT * FROM t"), &database.catalog, Parameters::Values(&[])).unwrap();
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
