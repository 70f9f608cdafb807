//! Rows over HTTP as lines of JSON, CSV and Arrow IPC, beside what Arrow's own readers make of the same bytes.
//!
//! ```sh
//! cargo run --release -p millrace-benches --bin ingest       # [rows] [rounds] [connections]
//! ```
//! Needs a release build of the server (`MILLRACE_BINARY`). A million rows, three rounds and four connections unless
//! given. A line a format, medians of the rounds, in which take their turns:
//!
//! - Arrow's reader (arrow-json, arrow-csv, arrow-ipc) on one thread of this process: bytes to columns and no more;
//! - a server with two workers: until every request is answered, so its rows are in the log and on disk, and an aggregate
//!   over all of them has been read, so the view is up to date;
//! - the same with two processes of one worker.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow::array::{Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use millrace_benches::median;
use millrace_tests::{Launch, Random, Server};

/// Rows of one request.
const ROWS: usize = 20_000;

const TABLE: &str = "CREATE TABLE readings (sensor int, at timestamp, value double precision, state text);
    CREATE MATERIALIZED VIEW sensors AS SELECT sensor, count(*) AS n, max(value) AS peak, max(at) AS last
        FROM readings GROUP BY sensor";

/// A form of rows.
#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Csv,
    Arrow,
}

impl Format {
    const ALL: [Format; 3] = [Format::Json, Format::Csv, Format::Arrow];

    fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/x-ndjson",
            Format::Csv => "text/csv",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// A request's body.
    fn body(self, batch: &RecordBatch) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Format::Json => {
                let mut writer = arrow_json::LineDelimitedWriter::new(&mut bytes);
                writer.write(batch).and_then(|()| writer.finish()).expect("lines");
            }
            Format::Csv => arrow_csv::Writer::new(&mut bytes).write(batch).expect("lines"),
            Format::Arrow => {
                let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).expect("a stream");
                writer.write(batch).and_then(|()| writer.finish()).expect("a stream");
            }
        }
        bytes
    }

    /// The rows that Arrow's reader finds in a body.
    fn read(self, body: &[u8]) -> usize {
        let cursor = Cursor::new(body);
        let rows = |batch: Result<RecordBatch, _>| batch.expect("rows").num_rows();
        match self {
            Format::Json => {
                arrow_json::ReaderBuilder::new(schema()).build(cursor).expect("a reader").map(rows).sum()
            }
            Format::Csv => {
                let reader = arrow_csv::ReaderBuilder::new(schema()).with_header(true).build(cursor);
                reader.expect("a reader").map(rows).sum()
            }
            Format::Arrow => StreamReader::try_new(cursor, None).expect("a reader").map(rows).sum(),
        }
    }
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("sensor", DataType::Int32),
        field("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        field("value", DataType::Float64),
        field("state", DataType::Utf8),
    ]))
}

/// The readings of one request: a thousand sensors.
fn batch(random: &mut Random, from: usize) -> RecordBatch {
    let moments = (from..from + ROWS).map(|row| 1_767_225_600_000_000 + row as i64 * 1_000);
    let values = (0..ROWS).map(|_| (random.below(100_000) as f64) / 1_000.0 + 20.0);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values((0..ROWS).map(|row| ((from + row) % 1_000) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(moments)),
        Arc::new(Float64Array::from_iter_values(values)),
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| ["ok", "drifting", "failed"][row % 3]))),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns of one length")
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let mut argument = |or_else: usize| arguments.next().unwrap_or(or_else);
    let (rows, rounds, connections) = (argument(1_000_000), argument(3), argument(4));
    let mut random = Random::new(7);
    let batches: Vec<RecordBatch> =
        (0..rows.div_ceil(ROWS)).map(|request| batch(&mut random, request * ROWS)).collect();
    println!("thousand rows a second, {} rows, {connections} connections", batches.len() * ROWS);
    println!(
        "{:>6} {:>9} {:>10} {:>11} {:>6} {:>14} {:>6}",
        "format", "MB", "its reader", "one process", "ratio", "two processes", "ratio"
    );
    for format in Format::ALL {
        let bodies: Vec<Vec<u8>> = batches.iter().map(|batch| format.body(batch)).collect();
        let turns: Vec<[f64; 3]> = (0..rounds)
            .map(|_| {
                [
                    read(format, &bodies),
                    sent(format, &bodies, 1, connections),
                    sent(format, &bodies, 2, connections),
                ]
            })
            .collect();
        let [reader, one, two] = [0, 1, 2].map(|which| median(turns.iter().map(|turn| turn[which])) / 1e3);
        let megabytes = bodies.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
        let name = format!("{format:?}").to_lowercase();
        println!(
            "{name:>6} {megabytes:>9.1} {reader:>10.0} {one:>11.0} {:>6.2} {two:>14.0} {:>6.2}",
            one / reader,
            two / reader
        );
    }
}

/// Rows a second that Arrow's reader makes of the bodies.
fn read(format: Format, bodies: &[Vec<u8>]) -> f64 {
    let began = Instant::now();
    let rows: usize = bodies.iter().map(|body| format.read(body)).sum();
    assert_eq!(rows, bodies.len() * ROWS);
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Rows a second that a server of so many processes takes in.
fn sent(format: Format, bodies: &[Vec<u8>], processes: usize, connections: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Launch::on(folder.path().join("data")).processes(processes).start();
    server.query(TABLE);
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        (0..connections).for_each(|_| drop(scope.spawn(|| post(&server, format, bodies, &next))));
    });
    assert_eq!(server.query("SELECT sum(n) FROM sensors"), (bodies.len() * ROWS).to_string());
    (bodies.len() * ROWS) as f64 / began.elapsed().as_secs_f64()
}

/// Sends bodies that nobody has sent yet, one after the other on one connection.
fn post(server: &Server, format: Format, bodies: &[Vec<u8>], next: &AtomicUsize) {
    let agent = ureq::Agent::new_with_defaults();
    let address = format!("http://{}/v1/tables/readings", server.http());
    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
        let answer = agent.post(&address).header("content-type", format.content_type()).send(body.as_slice());
        assert_eq!(answer.expect("an answer").status(), 200);
    }
}
