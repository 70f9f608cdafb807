//! How long an insert takes until a view shows it, idle and while another view hydrates over a large
//! table: p50 and p99 of both and their ratio.
//!
//! ```sh
//! cargo run --release -p millrace-benches --bin hydration     # [rows of the large table]
//! ```
//! Goal: while hydrating at most five times as long as idle.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array};
use millrace_benches::Columns;
use millrace_engine::{
    Aggregate, AggregateFunction, DataType, Delta, Engine, EngineConfig, Expr, JoinKey, Plan, PlanRef,
    RelationId, TableSpec, Tick, ViewSpec, batch_of,
};

const WORKERS: usize = 2;
const LARGE: RelationId = RelationId(1);
const SMALL: RelationId = RelationId(2);
const FRESH: RelationId = RelationId(3);
const HYDRATING: RelationId = RelationId(4);
/// Rows of one commit while the large table is loaded.
const LOAD_ROWS: usize = 1 << 18;
const SINGLE_ROWS: usize = 1_000;
const COLUMNS: [DataType; 2] = [DataType::Int64, DataType::Int64];

fn main() {
    let rows = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let mut bench = Bench::start();
    bench.load(rows);
    bench.engine.install(FRESH, sums(SMALL), ViewSpec::default(), bench.tick).expect("the plan is valid");
    let idle = bench.latencies(|_, measured| measured < SINGLE_ROWS);
    println!("{rows} rows, {WORKERS} workers\nidle:                    {}", shown(&idle));
    for (name, plan) in [("group by", sums(LARGE)), ("join", joined())] {
        bench.engine.install(HYDRATING, plan, ViewSpec::default(), bench.tick).expect("the plan is valid");
        let (as_of, start) = (bench.tick, Instant::now());
        let busy = bench.latencies(|bench, _| bench.upper(HYDRATING) <= as_of);
        let took = start.elapsed();
        let ratio = |at: usize| percentile(&busy, at).as_secs_f64() / percentile(&idle, at).as_secs_f64();
        println!(
            "hydrating a {name:<8} for {took:.1?}: {}; ratio p50 {:.1}, p99 {:.1}; longest {:?}",
            shown(&busy),
            ratio(50),
            ratio(99),
            percentile(&busy, 100),
        );
        bench.engine.drop_relations(&[HYDRATING]);
    }
    bench.engine.shutdown();
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn shown(sorted: &[Duration]) -> String {
    let (p50, p99) = (percentile(sorted, 50), percentile(sorted, 99));
    format!("{} inserts, p50 {p50:?}, p99 {p99:?}", sorted.len())
}

fn get(relation: RelationId) -> PlanRef {
    Plan::Get { relation, columns: COLUMNS.to_vec() }.into()
}

fn sums(relation: RelationId) -> PlanRef {
    let sum = Aggregate::plain(AggregateFunction::Count, None, DataType::Int64);
    Plan::Reduce { input: get(relation), keys: vec![Expr::Column(0)], aggregates: vec![sum] }.into()
}

fn joined() -> PlanRef {
    let key = JoinKey { left: Expr::Column(1), right: Expr::Column(1), nulls_equal: false };
    Plan::Join { left: get(LARGE), right: get(LARGE), keys: vec![key] }.into()
}

struct Bench {
    engine: Engine,
    advanced: Arc<(Mutex<()>, Condvar)>,
    tick: Tick,
}

impl Bench {
    fn start() -> Bench {
        let advanced: Arc<(Mutex<()>, Condvar)> = Arc::default();
        let told = Arc::clone(&advanced);
        let progress = move |_: RelationId, _: Tick| {
            drop(told.0.lock());
            told.1.notify_all();
        };
        let config = EngineConfig { workers: WORKERS, view_bytes_max: None };
        let engine = Engine::start(config, Arc::new(Columns), Arc::new(progress)).expect("threads start");
        for (id, name) in [(LARGE, "large"), (SMALL, "small")] {
            let spec = TableSpec { name: name.to_owned(), columns: COLUMNS.to_vec(), keep_rows: true };
            engine.create_table(id, spec, 1);
        }
        Bench { engine, advanced, tick: 1 }
    }

    fn load(&mut self, rows: usize) {
        for from in (0..rows).step_by(LOAD_ROWS) {
            self.commit(LARGE, from as i64..rows.min(from + LOAD_ROWS) as i64);
            self.wait(LARGE);
        }
        self.engine.compact(&[(LARGE, self.tick)]);
    }

    fn commit(&mut self, table: RelationId, rows: std::ops::Range<i64>) {
        self.tick += 1;
        let groups: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row % 1_000)));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
        let batch =
            batch_of(&COLUMNS, vec![groups, numbers], rows.count()).expect("two columns of one length");
        self.engine.commit(self.tick, vec![(table, vec![Delta::uniform(batch, 1, self.tick)])]);
    }

    fn upper(&self, relation: RelationId) -> Tick {
        self.engine.upper(relation)
    }

    fn wait(&self, relation: RelationId) {
        let mut guard = self.advanced.0.lock().expect("nobody panics with it");
        while self.upper(relation) <= self.tick {
            guard = self.advanced.1.wait(guard).expect("nobody panics with it");
        }
    }

    /// Inserts single rows while `goes_on`: how long each took to be in the view, sorted.
    fn latencies(&mut self, goes_on: impl Fn(&Bench, usize) -> bool) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while goes_on(self, latencies.len()) {
            let start = Instant::now();
            let row = self.tick as i64;
            self.commit(SMALL, row..row + 1);
            self.wait(FRESH);
            latencies.push(start.elapsed());
            self.engine.compact(&[(SMALL, self.tick), (FRESH, self.tick)]);
        }
        latencies.sort_unstable();
        latencies
    }
}
