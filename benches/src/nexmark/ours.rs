//! Our side: streams and a view planned from SQL, followed to its last change.

use std::sync::{Arc, Condvar, Mutex};

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use millrace_engine::{DataType, Delta, RelationId, SubscriptionEvent, TableSpec, Tick, ViewSpec, batch_of};
use millrace_sql::{Bound, Catalog, CatalogChange, Create, Parameters, Relation, RelationKind, bind, parse};

use crate::cluster::{Cluster, Size};
use crate::consumer::{RowHash, Seen};
use crate::events::{Events, TickEvents, micros};
use crate::measure::{Measured, Meter, What};
use crate::queries::{Query, STREAMS};

/// The tick at which everything is created; the events follow, a tick a batch.
const CREATED: Tick = 1;
/// How many ticks a commit may be ahead of the view, as back-pressure gives it.
const AHEAD: Tick = 4;

/// The changes of one tick.
type Commit = Vec<(RelationId, Vec<Delta>)>;

/// Runs the query over the events.
pub(crate) fn measure(query: Query, events: Events, what: What, size: Size) -> Measured {
    let running = Running::start(query, size);
    let commits = events.zip(CREATED + 1..).map(|(events, tick)| running.commit_of(&events, tick));
    let meter = match what {
        What::Time => {
            let commits: Vec<Commit> = commits.collect();
            let meter = Meter::start();
            running.follow(commits.into_iter());
            meter
        }
        What::Memory => {
            let meter = Meter::start();
            running.follow(commits);
            meter
        }
    };
    meter.stop(&running.seen)
}

/// An engine with the query's view and its consumer.
struct Running {
    cluster: Cluster,
    /// In the order of `TickEvents`.
    streams: Vec<Relation>,
    view: RelationId,
    seen: Arc<Seen>,
    consumed: Arc<Consumed>,
}

impl Running {
    fn start(query: Query, size: Size) -> Running {
        let mut catalog = Catalog::default();
        let streams: Vec<Relation> = STREAMS.iter().map(|sql| create(sql, &mut catalog)).collect();
        let view = create(&format!("CREATE MATERIALIZED VIEW v AS {}", query.sql()), &mut catalog);
        let RelationKind::MaterializedView { plan, .. } = view.kind else { panic!("a view was created") };
        let cluster = Cluster::start(size, Arc::new(|_, _| {}));
        let engine = &cluster.engine;
        for stream in &streams {
            let spec = TableSpec { name: stream.name.clone(), columns: types(stream), keep_rows: false };
            engine.create_table(stream.id, spec, CREATED);
        }
        engine.install(view.id, plan, ViewSpec::default(), CREATED).expect("the plan is valid");
        let (seen, consumed) = (Arc::<Seen>::default(), Arc::new(Consumed::of(engine.workers())));
        let (noted, told) = (Arc::clone(&seen), Arc::clone(&consumed));
        let sink = move |event| {
            if let SubscriptionEvent::Changes { worker, changes, errors, upper } = event {
                assert!(errors.is_empty(), "no query has errors");
                changes.iter().for_each(|delta| note(delta, &noted));
                told.advance(worker, upper);
            }
            true
        };
        engine.on_loss(|loss| {
            if loss.is_defect {
                eprintln!("{}", loss.reason);
                std::process::exit(1);
            }
        });
        engine.subscribe(view.id, CREATED, Arc::new(sink));
        Running { cluster, streams, view: view.id, seen, consumed }
    }

    /// The events as rows of the streams.
    fn commit_of(&self, events: &TickEvents, tick: Tick) -> Commit {
        let columns = [
            (!events.persons.is_empty()).then(|| persons(events)),
            (!events.auctions.is_empty()).then(|| auctions(events)),
            (!events.bids.is_empty()).then(|| bids(events)),
        ];
        let present =
            self.streams.iter().zip(columns).filter_map(|(stream, columns)| Some((stream, columns?)));
        present.map(|(stream, columns)| (stream.id, vec![delta(&types(stream), columns, tick)])).collect()
    }

    /// Commits all ticks and waits until the consumer has had the last.
    fn follow(&self, commits: impl Iterator<Item = Commit>) {
        let mut last = CREATED;
        for (commit, tick) in commits.zip(CREATED + 1..) {
            self.cluster.engine.commit(tick, commit);
            let relations = self.streams.iter().map(|stream| stream.id).chain([self.view]);
            let since: Vec<(RelationId, Tick)> = relations.map(|relation| (relation, tick - 1)).collect();
            self.cluster.engine.compact(&since);
            self.consumed.wait(tick.saturating_sub(AHEAD));
            last = tick;
        }
        self.consumed.wait(last);
    }
}

/// How far the consumer has come, by worker.
struct Consumed {
    uppers: Mutex<Vec<Tick>>,
    advanced: Condvar,
}

impl Consumed {
    fn of(workers: usize) -> Consumed {
        Consumed { uppers: Mutex::new(vec![0; workers]), advanced: Condvar::new() }
    }

    fn advance(&self, worker: usize, upper: Tick) {
        self.uppers.lock().expect("no holder panics")[worker] = upper;
        self.advanced.notify_all();
    }

    /// Waits until all changes through `tick` have come.
    fn wait(&self, tick: Tick) {
        let uppers = self.uppers.lock().expect("no holder panics");
        let is_behind = |uppers: &mut Vec<Tick>| uppers.iter().any(|upper| *upper <= tick);
        drop(self.advanced.wait_while(uppers, is_behind).expect("no holder panics"));
    }
}

fn types(relation: &Relation) -> Vec<DataType> {
    relation.columns.iter().map(|column| column.data_type).collect()
}

/// Runs one CREATE against the catalog.
fn create(sql: &str, catalog: &mut Catalog) -> Relation {
    let statements = parse(sql).expect("the statement parses");
    let Ok(Bound::Create(Create { mut relation, .. })) =
        bind(&statements[0], catalog, Parameters::values(&[]))
    else {
        panic!("cannot create: {sql}")
    };
    relation.id = catalog.next_id();
    relation.created = CREATED;
    catalog.apply(&CatalogChange::Create(relation.clone())).expect("the name is free");
    relation
}

/// Counts and hashes the changes of a batch, column by column.
fn note(delta: &Delta, seen: &Seen) {
    let mut hashes = vec![RowHash::new(); delta.len()];
    for column in delta.rows.columns() {
        let rows = hashes.iter_mut().enumerate();
        match column.data_type() {
            ArrowType::Int64 => {
                let values = column.as_primitive::<Int64Type>();
                rows.for_each(|(row, hash)| *hash = hash.int(values.value(row)));
            }
            ArrowType::Timestamp(..) => {
                let values = column.as_primitive::<TimestampMicrosecondType>();
                rows.for_each(|(row, hash)| *hash = hash.int(values.value(row)));
            }
            ArrowType::Decimal128(..) => {
                let values = column.as_primitive::<Decimal128Type>();
                rows.for_each(|(row, hash)| *hash = hash.wide(values.value(row)));
            }
            ArrowType::Utf8 => {
                let values = column.as_string::<i32>();
                rows.for_each(|(row, hash)| *hash = hash.text(values.value(row)));
            }
            // Numerics of any number of digits: equal ones are equal bytes.
            ArrowType::Utf8View => {
                let values = column.as_string_view();
                rows.for_each(|(row, hash)| *hash = hash.text(values.value(row)));
            }
            other => panic!("no query has a column of {other}"),
        }
    }
    seen.note(hashes.into_iter().zip(delta.diffs.iter()));
}

fn delta(types: &[DataType], columns: Vec<ArrayRef>, tick: Tick) -> Delta {
    let rows = columns[0].len();
    Delta::uniform(batch_of(types, columns, rows).expect("columns of one length"), 1, tick)
}

fn ints<E>(events: &[E], value: impl Fn(&E) -> usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(events.iter().map(|event| value(event) as i64)))
}

fn times<E>(events: &[E], millis: impl Fn(&E) -> u64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|event| micros(millis(event)))))
}

fn texts<E>(events: &[E], value: impl Fn(&E) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(events.iter().map(value)))
}

fn persons(events: &TickEvents) -> Vec<ArrayRef> {
    let rows = &events.persons;
    vec![
        ints(rows, |p| p.id),
        texts(rows, |p| &p.name),
        texts(rows, |p| &p.email_address),
        texts(rows, |p| &p.credit_card),
        texts(rows, |p| &p.city),
        texts(rows, |p| &p.state),
        times(rows, |p| p.date_time),
        texts(rows, |p| &p.extra),
    ]
}

fn auctions(events: &TickEvents) -> Vec<ArrayRef> {
    let rows = &events.auctions;
    vec![
        ints(rows, |a| a.id),
        texts(rows, |a| &a.item_name),
        texts(rows, |a| &a.description),
        ints(rows, |a| a.initial_bid),
        ints(rows, |a| a.reserve),
        times(rows, |a| a.date_time),
        times(rows, |a| a.expires),
        ints(rows, |a| a.seller),
        ints(rows, |a| a.category),
        texts(rows, |a| &a.extra),
    ]
}

fn bids(events: &TickEvents) -> Vec<ArrayRef> {
    let rows = &events.bids;
    vec![
        ints(rows, |b| b.auction),
        ints(rows, |b| b.bidder),
        ints(rows, |b| b.price),
        texts(rows, |b| &b.channel),
        texts(rows, |b| &b.url),
        times(rows, |b| b.date_time),
        texts(rows, |b| &b.extra),
    ]
}
