//! `SELECT k, count(*), sum(v) … GROUP BY k` over a million bigint keys: our engine beside a
//! hand-written, typed differential program on the same batches, in turn, in one process.
//!
//! ```sh
//! cargo run --release -p millrace-benches --bin group_by      # [rows] [rounds]
//! ```
//! It prints CPU time and rows/s of both and their ratio, round by round and as medians, and the latency of a
//! single row once a million groups exist. Ours ends in a view that can be read (its output is
//! arranged and published); the other in a consumer that counts the changes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array};
use differential_dataflow::input::InputSession;
use differential_dataflow::operators::CountTotal;
use millrace_benches::{Columns, cpu_time, median};
use millrace_engine::{
    Aggregate, AggregateFunction, DataType, Delta, Engine, EngineConfig, Expr, Plan, PlanRef, RelationId,
    TableSpec, Tick, ViewSpec, batch_of,
};

const WORKERS: usize = 2;
const KEYS: i64 = 1_000_000;
/// Rows of one tick, over all workers.
const TICK_ROWS: usize = WORKERS * 65_536;
const SINGLE_ROWS: usize = 2_000;

type Rows = Vec<(i64, i64)>;

fn main() {
    let argument = |index: usize, default: usize| {
        std::env::args().nth(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (rows, rounds) = (argument(1, 4_000_000), argument(2, 3));
    let batches = generate(rows);
    println!("{rows} rows, {KEYS} keys, {WORKERS} workers, a tick each {TICK_ROWS} rows");
    let mut results = Vec::new();
    for round in 1..=rounds {
        let ours = Ours::start();
        let our_cpu = cpu_time();
        let our_rate = rows as f64 / ours.load(&batches).as_secs_f64();
        let our_cpu = cpu_time() - our_cpu;
        let latencies = ours.single_rows();
        ours.engine.shutdown();
        let their_cpu = cpu_time();
        let their_rate = rows as f64 / differential(&batches).as_secs_f64();
        let their_cpu = cpu_time() - their_cpu;
        println!(
            "round {round}: CPU ns a row: millrace {}, differential {}, ratio {:.2}",
            our_cpu.as_nanos() / rows as u128,
            their_cpu.as_nanos() / rows as u128,
            their_cpu.as_secs_f64() / our_cpu.as_secs_f64(),
        );
        println!(
            "round {round}: millrace {:.2} M rows/s, differential {:.2} M rows/s, ratio {:.2}; one row p50 {:?} p99 {:?}",
            our_rate / 1e6,
            their_rate / 1e6,
            our_rate / their_rate,
            latencies[latencies.len() / 2],
            latencies[latencies.len() * 99 / 100],
        );
        results.push((our_rate, their_rate, our_rate / their_rate, latencies[latencies.len() / 2]));
    }
    println!(
        "median:  millrace {:.2} M rows/s, differential {:.2} M rows/s, ratio {:.2}; one row p50 {:?}",
        median(results.iter().map(|r| r.0)) / 1e6,
        median(results.iter().map(|r| r.1)) / 1e6,
        median(results.iter().map(|r| r.2)),
        Duration::from_secs_f64(median(results.iter().map(|r| r.3.as_secs_f64()))),
    );
}

/// Ticks of rows with pseudo-random keys (a linear congruence: the same in every run).
fn generate(rows: usize) -> Vec<Rows> {
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let all: Rows = (0..rows).map(|_| ((next() % KEYS as u64) as i64, (next() % 1000) as i64)).collect();
    all.chunks(TICK_ROWS).map(<[_]>::to_vec).collect()
}

/// Our engine with a stream and a view over it.
struct Ours {
    engine: Engine,
    upper: Arc<(Mutex<Tick>, Condvar)>,
}

const STREAM: RelationId = RelationId(1);
const VIEW: RelationId = RelationId(2);

impl Ours {
    fn start() -> Ours {
        let upper: Arc<(Mutex<Tick>, Condvar)> = Arc::default();
        let reported = Arc::clone(&upper);
        let progress = move |relation, tick| {
            if relation == VIEW {
                *reported.0.lock().expect("no holder panics") = tick;
                reported.1.notify_all();
            }
        };
        let config = EngineConfig { workers: WORKERS, view_bytes_max: None };
        let engine = Engine::start(config, Arc::new(Columns), Arc::new(progress)).expect("threads start");
        let columns = vec![DataType::Int64, DataType::Int64];
        engine.create_table(
            STREAM,
            TableSpec { name: "stream".to_owned(), columns: columns.clone(), keep_rows: false },
            1,
        );
        let plan = Plan::Reduce {
            input: PlanRef::new(Plan::Get { relation: STREAM, columns }),
            keys: vec![Expr::Column(0)],
            aggregates: vec![
                Aggregate::plain(AggregateFunction::Count, None, DataType::Int64),
                Aggregate::plain(
                    AggregateFunction::Sum,
                    Some(Expr::Column(1)),
                    DataType::Numeric { precision: 38, scale: 0 },
                ),
            ],
        };
        engine.install(VIEW, plan.into(), ViewSpec::default(), 1).expect("the plan is valid");
        Ours { engine, upper }
    }

    /// Commits all ticks and waits until the view shows the last.
    fn load(&self, batches: &[Rows]) -> Duration {
        let deltas: Vec<Delta> = batches.iter().zip(2..).map(|(rows, tick)| delta(rows, tick)).collect();
        let started = Instant::now();
        let last = deltas.len() as Tick + 1;
        for (delta, tick) in deltas.into_iter().zip(2..) {
            self.engine.commit(tick, vec![(STREAM, vec![delta])]);
            self.engine.compact(&[(STREAM, tick - 1), (VIEW, tick - 1)]);
            // Some ticks of slack, as back-pressure gives it.
            self.wait(tick.saturating_sub(4));
        }
        self.wait(last);
        started.elapsed()
    }

    /// One row a tick, each awaited: sorted latencies.
    fn single_rows(&self) -> Vec<Duration> {
        let first = 1_000_000;
        let mut latencies: Vec<Duration> = (0..SINGLE_ROWS)
            .map(|index| {
                let tick = first + index as Tick;
                let delta = delta(&[((index as i64 * 7919) % KEYS, 1)], tick);
                let started = Instant::now();
                self.engine.commit(tick, vec![(STREAM, vec![delta])]);
                self.wait(tick);
                started.elapsed()
            })
            .collect();
        latencies.sort();
        latencies
    }

    /// Waits until the view is complete through `tick`.
    fn wait(&self, tick: Tick) {
        let guard = self.upper.0.lock().expect("no holder panics");
        drop(self.upper.1.wait_while(guard, |upper| *upper <= tick).expect("no holder panics"));
    }
}

fn delta(rows: &[(i64, i64)], tick: Tick) -> Delta {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
    let columns = [DataType::Int64, DataType::Int64];
    Delta::uniform(batch_of(&columns, vec![keys, values], rows.len()).expect("two columns"), 1, tick)
}

/// The hand-written program: count and sum as the difference of a keyed collection.
fn differential(batches: &[Rows]) -> Duration {
    let batches = Arc::new(batches.to_vec());
    let changes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&changes);
    let guards = timely::execute(timely::Config::process(WORKERS), move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut input = InputSession::<u64, i64, (i64, i64)>::new();
        let seen = Arc::clone(&counted);
        let probe = worker.dataflow(|scope| {
            let groups = input.to_collection(scope).count_total();
            let groups = groups.inspect_batch(move |_, batch| {
                seen.fetch_add(batch.len() as u64, Ordering::Relaxed);
            });
            groups.probe().0
        });
        let started = Instant::now();
        for (rows, tick) in batches.iter().zip(2u64..) {
            input.advance_to(tick);
            let part = rows.len() * index / peers..rows.len() * (index + 1) / peers;
            rows[part].iter().for_each(|(key, value)| input.update(*key, (1, *value)));
            input.advance_to(tick + 1);
            input.flush();
            while probe.less_than(&tick.saturating_sub(3)) {
                worker.step();
            }
        }
        let end = *input.time();
        while probe.less_than(&end) {
            worker.step();
        }
        started.elapsed()
    })
    .expect("threads start");
    guards.join().into_iter().map(|time| time.expect("no worker panics")).max().unwrap_or_default()
}
