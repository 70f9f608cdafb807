//! The commit path under random schedules, against a model ledger.
//!
//! Proves, for any order of requests, cancellations, durable and failed groups, progress, clock
//! jumps and sessions that commit alone: ticks ascend strictly; nothing is applied, published or
//! acknowledged before it is durable, and each exactly once, in this order; a failed group's
//! commits hear its SQLSTATE; what is acknowledged is serialisable in the order of ticks and
//! members, and what is refused with 40001 had a reason; what is to be done once is, and answered the same each time,
//! unless its key came with another content; who gives up learns whether it was too late; the catalog is the one that the logged
//! changes give; rows are neither lost nor invented; back-pressure holds; nobody starves.
//! Does not prove anything of the task around it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use arrow::datatypes::Int32Type;
use millrace_engine::{DataType, Plan, RelationId, Tick, batch_of};
use millrace_sql::{
    Catalog, CatalogChange, Column, Relation, RelationKind, SchemaId, SqlError, TableRules, ViewOptions,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::answers::{Answers, Once};
use super::commit::CommitPath;
use super::request::{AloneId, CommitId, Effect, Event, Group, Reads, Request, Write, provisional_id};

const LAG_BYTES: usize = 400;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// One step of a schedule. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Op {
    Commit {
        writes: Vec<(usize, u8)>,
        reads: Vec<usize>,
        ticks_back: usize,
        alone: bool,
        once: Option<(u8, u8)>,
    },
    CreateTable {
        name: usize,
        with_row: bool,
    },
    CreateView {
        name: usize,
        over: usize,
    },
    Drop {
        relation: usize,
        cascade: bool,
    },
    Cancel {
        request: usize,
    },
    GiveUp {
        request: usize,
    },
    Durable,
    Fail,
    Applied {
        relation: usize,
    },
    AloneRequest,
    AloneEnd {
        alone: usize,
    },
    Clock {
        by: i64,
    },
    Pause,
    Resume,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (
            vec((0..8usize, 1..4u8), 0..3),
            vec(0..8usize, 0..3),
            0..4usize,
            any::<bool>(),
            prop::option::weighted(0.3, (0..4u8, 0..2u8)),
        )
            .prop_map(|(writes, reads, ticks_back, alone, once)| Op::Commit {
                writes,
                reads,
                ticks_back,
                alone,
                once,
            }),
        2 => (0..5usize, any::<bool>()).prop_map(|(name, with_row)| Op::CreateTable { name, with_row }),
        2 => (0..5usize, 0..8usize).prop_map(|(name, over)| Op::CreateView { name, over }),
        1 => (0..8usize, any::<bool>()).prop_map(|(relation, cascade)| Op::Drop { relation, cascade }),
        1 => (0..100usize).prop_map(|request| Op::Cancel { request }),
        1 => (0..100usize).prop_map(|request| Op::GiveUp { request }),
        8 => Just(Op::Durable),
        1 => Just(Op::Fail),
        6 => (0..8usize).prop_map(|relation| Op::Applied { relation }),
        1 => Just(Op::AloneRequest),
        1 => (0..4usize).prop_map(|alone| Op::AloneEnd { alone }),
        1 => (-50..50i64).prop_map(|by| Op::Clock { by }),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
    ]
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Waits,
    Cancelled,
    Acknowledged(Tick),
    Rejected(String),
}

/// A row change: table, value, diff.
type Change = (RelationId, i32, i64);

struct Model {
    path: CommitPath,
    now: Tick,
    requests: Vec<(Request, Fate)>,
    next_value: i32,
    /// Published moments, oldest first.
    moments: Vec<(Tick, Arc<Catalog>)>,
    last_tick: Tick,
    in_flight: Option<Arc<Group>>,
    /// Durable changes of tables, in commit order.
    ledger: Vec<(Tick, BTreeSet<RelationId>)>,
    applied_groups: Vec<(Tick, usize)>,
    uppers: BTreeMap<RelationId, Tick>,
    /// What the group that was just settled contained, less what its members have claimed.
    unclaimed: Vec<Change>,
    alone_waiting: Vec<AloneId>,
    alone_granted: Option<AloneId>,
    next_alone: u64,
}

impl Model {
    fn new() -> Model {
        Model {
            path: CommitPath::new(Arc::default(), 10, LAG_BYTES, Answers::new(10)),
            now: 100,
            requests: Vec::new(),
            next_value: 0,
            moments: vec![(10, Arc::default())],
            last_tick: 10,
            in_flight: None,
            ledger: Vec::new(),
            applied_groups: Vec::new(),
            uppers: BTreeMap::new(),
            unclaimed: Vec::new(),
            alone_waiting: Vec::new(),
            alone_granted: None,
            next_alone: 1,
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.moments.last().unwrap().1.clone()
    }

    fn relation(&self, catalog: &Catalog, index: usize) -> Option<Arc<Relation>> {
        let all: Vec<_> = catalog.relations().cloned().collect();
        (!all.is_empty()).then(|| all[index % all.len()].clone())
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Commit { writes, reads, ticks_back, alone, once } => {
                let once =
                    once.map(|(key, content)| Once { key: [key; 32], content: [content; 32], rows: 1 });
                self.commit(&writes, &reads, ticks_back, alone, once);
            }
            Op::CreateTable { name, with_row } => {
                let kind = RelationKind::Table { keep_rows: true, rules: TableRules::default() };
                let writes = if with_row { vec![self.write(provisional_id(0), 1)] } else { Vec::new() };
                self.create(name, kind, writes);
            }
            Op::CreateView { name, over } => {
                let Some(over) = self.relation(&self.catalog(), over) else { return };
                let plan = Plan::Get { relation: over.id, columns: vec![DataType::Int32] }.into();
                self.create(
                    name,
                    RelationKind::MaterializedView {
                        sql: String::new(),
                        plan,
                        options: ViewOptions::default(),
                        through: Vec::new(),
                        known: None,
                    },
                    Vec::new(),
                );
            }
            Op::Drop { relation, cascade } => {
                let catalog = self.catalog();
                let Some(relation) = self.relation(&catalog, relation) else { return };
                let mut ids = if cascade { catalog.dependants(relation.id) } else { Vec::new() };
                ids.push(relation.id);
                self.request(Request { catalog: vec![CatalogChange::Drop(ids)], ..Request::default() });
            }
            Op::Cancel { request } => self.cancel(request),
            Op::GiveUp { request } => self.give_up(request),
            Op::Durable => self.durable(),
            Op::Fail => self.fail(),
            Op::Applied { relation } => {
                if let Some(relation) = self.relation(&self.catalog(), relation) {
                    self.applied(relation.id);
                }
            }
            Op::AloneRequest => {
                let id = AloneId(self.next_alone);
                self.next_alone += 1;
                self.alone_waiting.push(id);
                self.feed(Event::AloneRequested { id });
            }
            Op::AloneEnd { alone } => self.alone_end(alone),
            Op::Clock { by } => self.now = self.now.saturating_add_signed(by).max(1),
            Op::Pause => self.feed(Event::Paused),
            Op::Resume => self.feed(Event::Resumed),
        }
    }

    fn write(&mut self, relation: RelationId, rows: u8) -> Write {
        let values = self.next_value..self.next_value + i32::from(rows);
        self.next_value = values.end;
        let column = Arc::new(Int32Array::from_iter_values(values));
        let rows = batch_of(&[DataType::Int32], vec![column], usize::from(rows)).unwrap();
        Write {
            relation,
            rows,
            diff: if self.next_value % 3 == 0 { -1 } else { 1 },
            keys: Vec::new(),
            altered: 0,
        }
    }

    fn commit(
        &mut self,
        writes: &[(usize, u8)],
        reads: &[usize],
        ticks_back: usize,
        alone: bool,
        once: Option<Once>,
    ) {
        let (tick, catalog) = self.moments[self.moments.len().saturating_sub(ticks_back + 1)].clone();
        let is_table = |relation: &Arc<Relation>| matches!(relation.kind, RelationKind::Table { .. });
        let targets: Vec<_> = writes
            .iter()
            .filter_map(|(index, rows)| Some((self.relation(&catalog, *index)?, *rows)))
            .collect();
        let writes: Vec<Write> = targets
            .into_iter()
            .filter(|(relation, _)| is_table(relation))
            .map(|(relation, rows)| self.write(relation.id, rows))
            .collect();
        if writes.is_empty() {
            return;
        }
        let relations = reads.iter().filter_map(|index| Some(self.relation(&catalog, *index)?.id)).collect();
        let alone = self.alone_granted.filter(|_| alone);
        self.request(Request {
            writes,
            reads: Reads { tick, relations, keys: BTreeSet::new() },
            alone,
            once,
            ..Request::default()
        });
    }

    fn create(&mut self, name: usize, kind: RelationKind, writes: Vec<Write>) {
        let column = Column::new("x".to_owned(), DataType::Int32, true);
        let relation = Relation {
            id: provisional_id(0),
            name: NAMES[name].to_owned(),
            schema: SchemaId::PUBLIC,
            columns: vec![column],
            kind,
            created: 0,
        };
        let catalog = vec![CatalogChange::Create(relation)];
        self.request(Request { writes, catalog, ..Request::default() });
    }

    fn request(&mut self, request: Request) {
        let id = CommitId(self.requests.len() as u64);
        self.requests.push((request.clone(), Fate::Waits));
        self.feed(Event::Requested { id, request });
    }

    /// Takes back a request that waits in the queue; for one in flight nothing may change.
    fn cancel(&mut self, request: usize) {
        if self.requests.is_empty() {
            return;
        }
        let index = request % self.requests.len();
        if self.requests[index].1 == Fate::Waits && !self.may_be_in_flight(index) {
            self.requests[index].1 = Fate::Cancelled;
            self.feed(Event::Cancelled { id: CommitId(index as u64) });
        }
    }

    fn may_be_in_flight(&self, index: usize) -> bool {
        let request = &self.requests[index].0;
        let values = changes_of_request(request);
        self.in_flight.as_ref().is_some_and(|group| {
            let inside = changes_of_group(group);
            values.iter().any(|(_, value, _)| inside.iter().any(|(_, other, _)| other == value))
                || (!group.catalog.is_empty() && !request.catalog.is_empty())
                || request.once.is_some_and(|once| group.once.contains(&once))
        })
    }

    /// Who gives up is refused at once, unless its group is on its way.
    fn give_up(&mut self, request: usize) {
        if self.requests.is_empty() {
            return;
        }
        let index = request % self.requests.len();
        let is_waiting = self.requests[index].1 == Fate::Waits && !self.may_be_in_flight(index);
        self.feed(Event::GivenUp { id: CommitId(index as u64) });
        let fate = &self.requests[index].1;
        assert!(!is_waiting || *fate == Fate::Rejected("53000".to_owned()), "{fate:?}");
    }

    /// The tick at which a request that is done once was done, by another that was the same.
    fn done_before(&self, id: CommitId) -> Option<Tick> {
        let once = self.requests[id.0 as usize].0.once?;
        self.requests.iter().find_map(|(request, fate)| match fate {
            Fate::Acknowledged(tick) if request.once == Some(once) => Some(*tick),
            _ => None,
        })
    }

    fn durable(&mut self) {
        let Some(group) = self.in_flight.clone() else { return };
        self.unclaimed = changes_of_group(&group);
        self.feed(Event::GroupDurable);
        assert_eq!(self.unclaimed, [], "every row belongs to a commit that was acknowledged");
        assert_eq!(self.moments.last().unwrap().0, group.tick, "a durable group is published");
    }

    fn fail(&mut self) {
        let Some(group) = self.in_flight.take() else { return };
        let inside = changes_of_group(&group);
        self.feed(Event::GroupFailed { error: SqlError::new("58030", "disk") });
        for (request, fate) in &self.requests {
            let was_in_it =
                changes_of_request(request).iter().any(|(_, v, _)| inside.iter().any(|(_, w, _)| v == w));
            assert!(!was_in_it || *fate == Fate::Rejected("58030".to_owned()), "{fate:?}");
        }
    }

    fn applied(&mut self, relation: RelationId) {
        let upper = self.moments.last().unwrap().0 + 1;
        if self.uppers.contains_key(&relation) {
            self.uppers.insert(relation, upper);
        }
        self.feed(Event::Applied { relation, upper });
    }

    fn alone_end(&mut self, alone: usize) {
        let mut known = self.alone_waiting.clone();
        known.extend(self.alone_granted);
        if known.is_empty() {
            return;
        }
        let id = known[alone % known.len()];
        self.alone_waiting.retain(|waiting| *waiting != id);
        if self.alone_granted == Some(id) {
            self.alone_granted = None;
            // Its own requests cannot go any more; a real session would have cancelled them.
            let orphans: Vec<usize> = self
                .requests
                .iter()
                .enumerate()
                .filter(|(_, (request, fate))| request.alone == Some(id) && *fate == Fate::Waits)
                .map(|(index, _)| index)
                .collect();
            orphans.into_iter().for_each(|index| self.cancel(index));
        }
        self.feed(Event::AloneEnded { id });
    }

    fn feed(&mut self, event: Event) {
        let settles = matches!(event, Event::GroupDurable);
        let effects = self.path.handle(event, self.now);
        let mut stage = if settles { 0 } else { 3 };
        for effect in effects {
            match effect {
                Effect::Apply(group) => {
                    assert_eq!(
                        stage, 0,
                        "a group is applied once, first of all, and only after it is durable"
                    );
                    stage = 1;
                    self.on_apply(&group);
                }
                Effect::Publish { tick, catalog } => {
                    assert_eq!(stage, 1, "published after it was applied");
                    stage = 2;
                    self.on_publish(tick, catalog);
                }
                Effect::Acknowledge { id, tick } => match self.done_before(id) {
                    Some(then) => self.on_repeat(id, tick, then),
                    None => {
                        assert_eq!(stage, 2, "acknowledged after it was published");
                        self.on_acknowledge(id, tick);
                    }
                },
                Effect::Append(group) => {
                    stage = 3;
                    self.on_append(group);
                }
                Effect::Reject { id, error } => self.on_reject(id, &error),
                Effect::GrantAlone { id } => self.on_grant(id),
            }
        }
        assert_eq!(self.path.is_appending(), self.in_flight.is_some());
        assert_eq!(self.path.lag_bytes(), self.lag());
    }

    fn on_append(&mut self, group: Arc<Group>) {
        assert!(self.in_flight.is_none(), "one group at a time");
        assert!(group.tick > self.last_tick, "ticks ascend, over failures too");
        assert!(group.tick >= self.now, "a tick is not before the clock");
        assert!(self.lag() <= LAG_BYTES, "back-pressure");
        assert!(!self.path.is_paused(), "nothing goes to the log while there are no workers");
        if let Some(alone) = self.alone_granted {
            for change in changes_of_group(&group) {
                let owner = self.owner(&change);
                assert_eq!(owner.0.alone, Some(alone), "somebody commits beside the one who is alone");
            }
            assert_eq!(group.catalog, []);
        }
        self.last_tick = group.tick;
        self.in_flight = Some(group);
    }

    fn owner(&self, change: &Change) -> &(Request, Fate) {
        let owns =
            |request: &Request| changes_of_request(request).iter().any(|(_, value, _)| *value == change.1);
        self.requests.iter().find(|(request, _)| owns(request)).unwrap()
    }

    fn on_apply(&mut self, group: &Arc<Group>) {
        let appended = self.in_flight.take().expect("applied what was appended");
        assert!(Arc::ptr_eq(&appended, group));
        for change in &group.catalog {
            match change {
                CatalogChange::Create(relation) => {
                    assert_eq!(relation.created, group.tick);
                    self.uppers.insert(relation.id, group.tick);
                }
                CatalogChange::Drop(ids) => ids.iter().for_each(|id| {
                    self.uppers.remove(id);
                }),
                CatalogChange::Replace(_)
                | CatalogChange::Move(..)
                | CatalogChange::Schema(..)
                | CatalogChange::Comment { .. } => {}
            }
        }
        self.applied_groups.push((group.tick, group.bytes()));
        self.ledger.push((group.tick, BTreeSet::new()));
    }

    fn on_publish(&mut self, tick: Tick, catalog: Arc<Catalog>) {
        assert_eq!(self.ledger.last().unwrap().0, tick);
        for relation in catalog.relations() {
            if let RelationKind::MaterializedView { plan, .. } = &relation.kind {
                assert!(plan.relations().iter().all(|input| catalog.by_id(*input).is_some()));
            }
        }
        self.moments.push((tick, catalog));
    }

    fn on_acknowledge(&mut self, id: CommitId, tick: Tick) {
        let (request, fate) = self.requests[id.0 as usize].clone();
        assert_eq!(fate, Fate::Waits, "answered once");
        assert_eq!(self.moments.last().unwrap().0, tick, "published before it is acknowledged");
        assert!(!self.has_conflict(&request), "not serialisable: {request:?}");
        for (relation, value, diff) in changes_of_request(&request) {
            let position = self.unclaimed.iter().position(|(r, v, d)| {
                (*v, *d) == (value, diff) && (*r == relation || relation == provisional_id(0))
            });
            let (relation, ..) = self.unclaimed.remove(position.expect("its rows were logged"));
            self.ledger.last_mut().unwrap().1.insert(relation);
        }
        self.requests[id.0 as usize].1 = Fate::Acknowledged(tick);
    }

    /// The same answer again, and nothing else.
    fn on_repeat(&mut self, id: CommitId, tick: Tick, then: Tick) {
        let (request, fate) = self.requests[id.0 as usize].clone();
        assert_eq!((fate, tick), (Fate::Waits, then), "answered once, and as the first time");
        let values = changes_of_request(&request);
        let is_logged = |(_, value, _): &Change| self.unclaimed.iter().any(|(_, other, _)| other == value);
        assert!(!values.iter().any(is_logged), "done again");
        self.requests[id.0 as usize].1 = Fate::Acknowledged(tick);
    }

    fn on_reject(&mut self, id: CommitId, error: &SqlError) {
        let (request, fate) = self.requests[id.0 as usize].clone();
        assert_eq!(fate, Fate::Waits, "answered once");
        match error.sqlstate.as_str() {
            "40001" => assert!(self.has_reason(&request), "refused without a reason: {request:?}"),
            "42P07" | "2BP01" => assert!(!request.catalog.is_empty()),
            "58030" | "53000" => {}
            "22023" => {
                let key = request.once.map(|once| once.key);
                let another = |(other, fate): &(Request, Fate)| {
                    let came = !matches!(fate, Fate::Cancelled);
                    came && other.once.map(|once| once.key) == key && other.once != request.once
                };
                assert!(key.is_some() && self.requests.iter().any(another));
            }
            other => panic!("{other}"),
        }
        self.requests[id.0 as usize].1 = Fate::Rejected(error.sqlstate.clone());
    }

    fn on_grant(&mut self, id: AloneId) {
        assert!(self.alone_granted.is_none() && self.in_flight.is_none());
        assert_eq!(self.alone_waiting.remove(0), id, "first come, first served");
        self.alone_granted = Some(id);
    }

    fn tables_below(&self, relations: &BTreeSet<RelationId>) -> Option<BTreeSet<RelationId>> {
        let catalog = self.catalog();
        let mut tables = BTreeSet::new();
        for id in relations {
            match &catalog.by_id(*id)?.kind {
                RelationKind::Table { .. } => drop(tables.insert(*id)),
                RelationKind::Index { on, .. } => tables.extend(self.tables_below(&BTreeSet::from([*on]))?),
                RelationKind::View { .. } | RelationKind::Sequence(_) => panic!("nobody creates these here"),
                RelationKind::MaterializedView { plan, .. } => {
                    tables.extend(self.tables_below(&plan.relations().into_iter().collect())?);
                }
            }
        }
        Some(tables)
    }

    /// Whether a durable commit so far, earlier members of the group included, changed what the request read.
    fn has_conflict(&self, request: &Request) -> bool {
        let Some(tables) = self.tables_below(&request.reads.relations) else { return true };
        self.ledger.iter().any(|(tick, written)| *tick > request.reads.tick && !written.is_disjoint(&tables))
    }

    /// As `has_conflict`; or an earlier request that may be in the group changes it, or something is gone.
    fn has_reason(&self, request: &Request) -> bool {
        let catalog = self.catalog();
        let gone = request
            .writes
            .iter()
            .any(|write| catalog.by_id(write.relation).is_none() && write.relation != provisional_id(0));
        let missing_input = request.catalog.iter().any(|change| match change {
            CatalogChange::Drop(ids) => ids.iter().any(|id| catalog.by_id(*id).is_none()),
            CatalogChange::Create(Relation { kind: RelationKind::MaterializedView { plan, .. }, .. }) => {
                plan.relations().iter().any(|id| catalog.by_id(*id).is_none())
            }
            CatalogChange::Create(_)
            | CatalogChange::Replace(_)
            | CatalogChange::Move(..)
            | CatalogChange::Schema(..)
            | CatalogChange::Comment { .. } => false,
        });
        let tables = self.tables_below(&request.reads.relations).unwrap_or_default();
        let beside = self.requests.iter().any(|(other, fate)| {
            *fate == Fate::Waits && other.writes.iter().any(|write| tables.contains(&write.relation))
        });
        gone || missing_input || beside || self.has_conflict(request)
    }

    fn lag(&self) -> usize {
        let passed = |tick: Tick| self.uppers.values().all(|upper| *upper > tick);
        // Once passed, always passed: a relation that is created later starts behind.
        self.applied_groups.iter().filter(|(tick, _)| !passed(*tick)).map(|(_, bytes)| bytes).sum()
    }

    /// Lets everything go its way; then every request has its answer.
    fn drain(&mut self) {
        self.feed(Event::Resumed);
        for _ in 0..4 * self.requests.len() + 16 {
            self.durable();
            let ids: Vec<RelationId> = self.uppers.keys().copied().collect();
            ids.into_iter().for_each(|id| self.applied(id));
            if self.in_flight.is_none() {
                self.alone_end(0);
            }
        }
        assert!(self.requests.iter().all(|(_, fate)| *fate != Fate::Waits), "somebody starves");
    }

    /// The catalog that the logged changes give is the one that was published: ids are never given twice.
    fn check_ids(&self) {
        let mut seen: BTreeMap<RelationId, Tick> = BTreeMap::new();
        for (_, catalog) in &self.moments {
            for relation in catalog.relations() {
                assert!(!super::request::is_provisional(relation.id));
                assert_eq!(*seen.entry(relation.id).or_insert(relation.created), relation.created);
            }
        }
    }
}

fn values(rows: &RecordBatch) -> Vec<i32> {
    rows.column(0).as_primitive::<Int32Type>().values().to_vec()
}

fn changes_of_request(request: &Request) -> Vec<Change> {
    let rows = |write: &Write| {
        values(&write.rows).into_iter().map(|v| (write.relation, v, write.diff)).collect::<Vec<_>>()
    };
    request.writes.iter().flat_map(rows).collect()
}

fn changes_of_group(group: &Group) -> Vec<Change> {
    let mut changes = Vec::new();
    for (relation, deltas) in &group.changes {
        for delta in deltas {
            assert!(delta.ticks.iter().all(|tick| tick == group.tick));
            changes.extend(
                values(&delta.rows).into_iter().zip(delta.diffs.iter()).map(|(v, d)| (*relation, v, d)),
            );
        }
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_keeps_the_promises(ops in vec(op(), 1..120)) {
        let mut model = Model::new();
        ops.into_iter().for_each(|op| model.run(op));
        model.drain();
        model.check_ids();
    }
}
