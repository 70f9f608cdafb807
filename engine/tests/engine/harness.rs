//! An engine under test: tables filled from rows, reads and subscriptions as plain rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use millrace_engine::{
    DataError, DataType, Decimal, Delta, Engine, EngineConfig, EngineError, Expr, Formed, IndexSpec, Literal,
    Plan, ProgressSink, RelationId, RowCodec, Snapshot, SubscriptionEvent, TableSpec, Tick, ViewSpec,
    batch_of, column_of_literals, normalise_keys,
};

use crate::compiler::TestCompiler;
use crate::mesh::cluster;

/// A row as literals.
pub(crate) type Row = Vec<Literal>;

/// A multiset of rows, by their display.
pub(crate) type Bag = BTreeMap<String, i64>;

/// A table, its columns, and rows with their diffs.
pub(crate) type TableRows<'a> = (u64, &'a [DataType], Vec<(Row, i64)>);

/// An engine, and the uppers that it has reported.
pub(crate) struct Harness {
    pub(crate) engine: Engine,
    uppers: Arc<(Mutex<BTreeMap<RelationId, Tick>>, Condvar)>,
}

/// How many processes, each with how many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize, pub(crate) usize);

impl Harness {
    pub(crate) fn start(workers: usize) -> Harness {
        Harness::limited(workers, None)
    }

    /// In a mesh where there is more than one process.
    pub(crate) fn of(size: Size) -> Harness {
        Harness::limited_of(size, None)
    }

    /// With a limit of what views may hold.
    pub(crate) fn limited(workers: usize, view_bytes_max: Option<usize>) -> Harness {
        Harness::limited_of(Size(1, workers), view_bytes_max)
    }

    /// The same, in a mesh where there is more than one process.
    pub(crate) fn limited_of(size: Size, view_bytes_max: Option<usize>) -> Harness {
        let Size(processes, workers) = size;
        if processes > 1 {
            return Harness::leading(cluster(size).form().unwrap(), view_bytes_max);
        }
        Harness::over(|sink| {
            Engine::start(EngineConfig { workers, view_bytes_max }, Arc::new(TestCompiler), sink).unwrap()
        })
    }

    /// Process 0 of a mesh.
    pub(crate) fn leading(formed: Formed, view_bytes_max: Option<usize>) -> Harness {
        Harness::over(|sink| Engine::lead(formed, view_bytes_max, Arc::new(TestCompiler), sink).unwrap())
    }

    fn over(start: impl FnOnce(ProgressSink) -> Engine) -> Harness {
        let uppers: Arc<(Mutex<BTreeMap<RelationId, Tick>>, Condvar)> = Arc::default();
        let reported = Arc::clone(&uppers);
        let sink = move |relation, upper| {
            reported.0.lock().unwrap().insert(relation, upper);
            reported.1.notify_all();
        };
        Harness { engine: start(Arc::new(sink)), uppers }
    }

    pub(crate) fn table(&self, id: u64, columns: &[DataType], as_of: Tick) {
        self.engine.create_table(
            RelationId(id),
            TableSpec { name: format!("t{id}"), columns: columns.to_vec(), keep_rows: true },
            as_of,
        );
    }

    pub(crate) fn view(&self, id: u64, plan: &Plan, as_of: Tick) {
        self.view_with(id, plan, ViewSpec::default(), as_of);
    }

    pub(crate) fn view_with(&self, id: u64, plan: &Plan, spec: ViewSpec, as_of: Tick) {
        let spec = ViewSpec { name: format!("v{id}"), ..spec };
        self.engine.install(RelationId(id), plan.clone().into(), spec, as_of).unwrap();
    }

    /// An index of a table of these columns.
    pub(crate) fn index(&self, id: u64, table: u64, columns: &[DataType], keys: &[Expr], as_of: Tick) {
        let spec = IndexSpec {
            name: format!("i{id}"),
            relation: RelationId(table),
            columns: columns.to_vec(),
            keys: keys.to_vec(),
            is_awaited: false,
        };
        self.engine.create_index(RelationId(id), spec, as_of).unwrap();
    }

    /// Commits rows with their diffs at a tick.
    pub(crate) fn commit(&self, tick: Tick, changes: &[TableRows<'_>]) {
        let deltas = changes.iter().filter(|(_, _, rows)| !rows.is_empty());
        let deltas = deltas.map(|(id, columns, rows)| (RelationId(*id), vec![delta(columns, rows, tick)]));
        self.engine.commit(tick, deltas.collect());
    }

    /// Waits until the relation is complete before `upper`.
    pub(crate) fn wait(&self, id: u64, upper: Tick) {
        let mut uppers = self.uppers.0.lock().unwrap();
        while uppers.get(&RelationId(id)).copied().unwrap_or(0) < upper {
            let (guard, timeout) =
                self.uppers.1.wait_timeout(uppers, std::time::Duration::from_secs(60)).unwrap();
            uppers = guard;
            assert!(!timeout.timed_out(), "relation {id} does not reach {upper}: {uppers:?}");
        }
    }

    /// Every worker's share at a tick.
    pub(crate) fn snapshots(&self, id: u64, tick: Tick) -> Vec<Result<Snapshot, EngineError>> {
        let (reply, replies) = mpsc::channel();
        let reply = Mutex::new(reply);
        let sink = move |_, snapshot| drop(reply.lock().unwrap().send(snapshot));
        self.engine.read(RelationId(id), tick, Arc::new(sink));
        let wait = || replies.recv_timeout(std::time::Duration::from_secs(60)).expect("every worker answers");
        (0..self.engine.workers()).map(|_| wait()).collect()
    }

    /// The relation's rows at a tick, or its error.
    pub(crate) fn read(&self, id: u64, tick: Tick) -> Result<Bag, DataError> {
        rows_in(self.snapshots(id, tick).into_iter().map(Result::unwrap).collect())
    }

    /// The rows that have one of these keys of an index at a tick, or the relation's error.
    pub(crate) fn find(&self, id: u64, tick: Tick, keys: &[Row]) -> Result<Bag, DataError> {
        let shares = self.snapshots(id, tick).into_iter().map(Result::unwrap);
        rows_in(shares.map(|share| share.find(keys)).collect::<Result<_, _>>()?)
    }

    /// The same by their encoding, as all workers are asked for them at once.
    pub(crate) fn find_encoded(&self, id: u64, tick: Tick, keys: &[Row]) -> Result<Bag, DataError> {
        let types: Vec<DataType> = keys[0].iter().map(Literal::data_type).collect();
        let column = |(index, data_type): (usize, &DataType)| {
            column_of_literals(*data_type, keys.iter().map(|key| &key[index]))
        };
        let columns: Vec<_> = types.iter().enumerate().map(column).collect();
        let encoded = RowCodec::new(&types).encode(&normalise_keys(&columns), keys.len())?;
        let wanted: BTreeSet<Box<[u8]>> = encoded.iter().map(Box::from).collect();
        let (reply, replies) = mpsc::channel();
        let reply = Mutex::new(reply);
        let sink = move |_, snapshot| drop(reply.lock().unwrap().send(snapshot));
        self.engine.find(RelationId(id), tick, Arc::new(wanted.clone()), Arc::new(sink));
        let wait = || replies.recv_timeout(std::time::Duration::from_secs(60)).expect("every worker answers");
        let shares = (0..self.engine.workers()).map(|_| wait().unwrap().find_encoded(wanted.clone()));
        rows_in(shares.collect::<Result<_, _>>()?)
    }

    /// Follows a relation; the events come through the channel.
    pub(crate) fn subscribe(&self, id: u64, as_of: Tick) -> mpsc::Receiver<SubscriptionEvent> {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let sink = move |event| sender.lock().unwrap().send(event).is_ok();
        self.engine.subscribe(RelationId(id), as_of, Arc::new(sink));
        receiver
    }
}

/// The rows of all workers' shares, or the least error.
fn rows_in(snapshots: Vec<Snapshot>) -> Result<Bag, DataError> {
    if let Some(error) = snapshots.iter().filter_map(Snapshot::error).min() {
        return Err(error);
    }
    let mut bag = Bag::new();
    for batch in snapshots.iter().flat_map(Snapshot::rows) {
        rows_of(&batch?).into_iter().for_each(|row| *bag.entry(row).or_default() += 1);
    }
    Ok(bag)
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

/// Rows with diffs as a delta.
pub(crate) fn delta(columns: &[DataType], rows: &[(Row, i64)], tick: Tick) -> Delta {
    let column = |(index, data_type): (usize, &DataType)| {
        column_of_literals(*data_type, rows.iter().map(|(row, _)| &row[index]))
    };
    let arrays = columns.iter().enumerate().map(column).collect();
    let batch = batch_of(columns, arrays, rows.len()).unwrap();
    let mut delta = Delta::uniform(batch, 1, tick);
    delta.diffs = millrace_engine::Col::Each(rows.iter().map(|(_, diff)| *diff).collect());
    delta
}

/// Rows as text; doubles by value, so that 0.0 and -0.0 differ only where the bits do.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: &dyn Array, row: usize| -> String {
        if column.is_null(row) {
            return "null".to_owned();
        }
        match DataType::from_arrow(column.data_type()).unwrap() {
            DataType::Boolean => column.as_boolean().value(row).to_string(),
            DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
            DataType::Text => format!("'{}'", column.as_string::<i32>().value(row)),
            DataType::Numeric { .. } => column.as_primitive::<Decimal128Type>().value_as_string(row),
            DataType::Timestamp => "timestamp".to_owned(),
            DataType::Date => format!("day {}", column.as_primitive::<Date32Type>().value(row)),
            DataType::Interval => "interval".to_owned(),
            DataType::TimestampTz => "moment".to_owned(),
            DataType::Uuid => format!("{:?}", column.as_fixed_size_binary().value(row)),
            DataType::Time => "time".to_owned(),
            DataType::Array(_) => "array".to_owned(),
            DataType::Decimal => Decimal::decode(column.as_string_view().value(row)).unwrap().to_string(),
            DataType::Jsonb => "jsonb".to_owned(),
            DataType::Char | DataType::Json | DataType::Limited(_) => "text".to_owned(),
            DataType::Bytea => format!("{:?}", column.as_binary::<i32>().value(row)),
            DataType::Int16 => column.as_primitive::<Int16Type>().value(row).to_string(),
            DataType::Float32 => format!("{:?}", column.as_primitive::<Float32Type>().value(row)),
        }
    };
    let row =
        |row: usize| batch.columns().iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}
