//! The commit path: a pure state machine. Events in, effects out; no I/O, no clock, no waiting.
//!
//! ```text
//!            Requested            Append             GroupDurable
//! session ──────────────► queue ──────────► group ─────────────────► Apply, Publish, Acknowledge
//!                           │  one group      │      GroupFailed
//!                           │  at a time      └────────────────────► Reject
//!                           └─ conflict, DDL that no longer applies ► Reject, nothing logged
//! ```
//! A group is what arrived while the one before was being made durable; its members share one tick.
//! Members commit in the order in which they came; none may have scanned a table, or looked up a key, that a
//! commit after its read tick, or an earlier member, changed. So the members have a serial order, and sharing a tick
//! is right. A change of the catalog has a group of its own.
//!
//! Invariants: ticks ascend strictly, also over failed groups. Nothing is applied, published or
//! acknowledged before it is durable. A tick is published before it is acknowledged.
//!
//! Back-pressure: no group is formed while the bytes applied but not yet passed by every relation's
//! upper exceed `lag_bytes`; requests wait in the queue, whose bound is `QUEUE_LEN_MAX` (`accepts`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use millrace_engine::{Delta, RelationId, Tick};
use millrace_sql::{Catalog, CatalogChange, Relation, RelationKind, SqlError, Uniqueness};

use super::answers::{Answer, Answers, Once, key_used};
use super::coalesce::coalesce;
use super::ddl;
use super::keys::{KeySet, RecentKeys};
use super::lag::Lag;
use super::request::{AloneId, CommitId, Effect, Event, Group, Request, Write, WrittenKeys};

/// A group takes members until their rows take this many bytes …
const GROUP_BYTES_MAX: usize = 32 << 20;
/// … or until there are this many.
const GROUP_LEN_MAX: usize = 4096;
/// Requests that wait at most; then callers wait outside.
const QUEUE_LEN_MAX: usize = 8192;

/// The state of the commit path.
pub struct CommitPath {
    /// The catalog at `newest`.
    catalog: Arc<Catalog>,
    /// The newest durable tick.
    newest: Tick,
    /// The newest tick given, also to a group that failed.
    last_given: Tick,
    /// When each table last changed.
    last_write: BTreeMap<RelationId, Tick>,
    /// When keys of unique indexes last changed.
    recent_keys: RecentKeys,
    queue: VecDeque<(CommitId, Request)>,
    in_flight: Option<InFlight>,
    /// Who commits alone, and who waits to.
    alone: Option<AloneId>,
    alone_queue: VecDeque<AloneId>,
    lag: Lag,
    /// What was answered to requests that are done once.
    answers: Answers,
    /// There are no workers: no group is formed.
    is_paused: bool,
}

/// The group that is being made durable.
struct InFlight {
    group: Arc<Group>,
    members: Vec<CommitId>,
    /// The keys that its rows have.
    keys: Vec<WrittenKeys>,
    /// The catalog after it.
    catalog: Arc<Catalog>,
}

impl CommitPath {
    /// The commit path of a database whose newest commit has this tick and left this catalog.
    pub fn new(catalog: Arc<Catalog>, newest: Tick, lag_bytes: usize, answers: Answers) -> CommitPath {
        let maintained = catalog.relations().filter(|relation| relation.is_maintained());
        let lag = Lag::new(lag_bytes, maintained.map(|relation| relation.id), newest);
        CommitPath {
            catalog,
            newest,
            last_given: newest,
            last_write: BTreeMap::new(),
            recent_keys: RecentKeys::new(newest),
            queue: VecDeque::new(),
            in_flight: None,
            alone: None,
            alone_queue: VecDeque::new(),
            lag,
            answers,
            is_paused: false,
        }
    }

    /// Whether another request may be handed in now; false: later.
    pub fn accepts(&self) -> bool {
        self.queue.len() < QUEUE_LEN_MAX
    }

    /// Whether a group is being made durable.
    pub fn is_appending(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether all requests wait for workers.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// The number of requests that wait for their group.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Bytes committed that not every relation has passed.
    pub fn lag_bytes(&self) -> usize {
        self.lag.bytes()
    }

    /// The number of requests whose answers are kept.
    pub fn answers_kept(&self) -> usize {
        self.answers.len()
    }

    /// The answer to a request that was done before.
    ///
    /// # Errors
    /// 22023 where its key came with another content.
    pub fn answered(&self, once: &Once, now: Tick) -> Result<Option<Answer>, SqlError> {
        self.answers.find(once, now)
    }

    /// Takes an event in; `now` is the wall clock in microseconds since 1970.
    pub fn handle(&mut self, event: Event, now: Tick) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.answers.forget_old(now);
        match event {
            Event::Requested { id, request } => self.queue.push_back((id, request)),
            Event::GivenUp { id } => self.refuse_waiting(id, &mut effects),
            Event::Cancelled { id } => self.queue.retain(|(queued, _)| *queued != id),
            Event::AloneRequested { id } => self.alone_queue.push_back(id),
            Event::AloneEnded { id } => self.end_alone(id),
            Event::GroupDurable => self.settle(&mut effects),
            Event::GroupFailed { error } => self.give_up(&error, &mut effects),
            Event::Applied { relation, upper } => self.lag.applied(relation, upper),
            Event::Paused => self.is_paused = true,
            Event::Resumed => self.is_paused = false,
        }
        self.advance(now, &mut effects);
        effects
    }

    /// Rejects all that waits: the server is going down. What is being logged still gets its answer.
    pub fn close(&mut self, error: &SqlError) -> Vec<Effect> {
        self.alone_queue.clear();
        let queue = mem::take(&mut self.queue);
        queue.into_iter().map(|(id, _)| Effect::Reject { id, error: error.clone() }).collect()
    }

    /// Refuses a request that waits; one whose group is on its way is answered when that is settled.
    fn refuse_waiting(&mut self, id: CommitId, effects: &mut Vec<Effect>) {
        let waiting = self.queue.len();
        self.queue.retain(|(queued, _)| *queued != id);
        if self.queue.len() < waiting {
            effects.push(Effect::Reject { id, error: overloaded() });
        }
    }

    fn end_alone(&mut self, id: AloneId) {
        self.alone_queue.retain(|waiting| *waiting != id);
        if self.alone == Some(id) {
            self.alone = None;
        }
    }

    /// The group in flight is durable: engine, readers and committers learn of it, in this order.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let Some(InFlight { group, members, keys, catalog }) = self.in_flight.take() else { return };
        let tick = group.tick;
        keys.iter().for_each(|keys| self.recent_keys.written(keys, tick));
        self.newest = tick;
        self.catalog = catalog;
        self.last_write.extend(group.changes.iter().map(|(relation, _)| (*relation, tick)));
        self.lag.committed(&group);
        group.once.iter().for_each(|once| self.answers.keep(once, tick));
        self.last_write.retain(|relation, _| self.catalog.by_id(*relation).is_some());
        effects.push(Effect::Apply(group));
        effects.push(Effect::Publish { tick, catalog: self.catalog.clone() });
        effects.extend(members.into_iter().map(|id| Effect::Acknowledge { id, tick }));
    }

    fn give_up(&mut self, error: &SqlError, effects: &mut Vec<Effect>) {
        let Some(InFlight { members, .. }) = self.in_flight.take() else { return };
        effects.extend(members.into_iter().map(|id| Effect::Reject { id, error: error.clone() }));
    }

    /// Forms groups until one is to be made durable or nothing more can be done.
    fn advance(&mut self, now: Tick, effects: &mut Vec<Effect>) {
        if self.in_flight.is_some() {
            return;
        }
        if self.alone.is_none() {
            self.alone = self.alone_queue.pop_front();
            effects.extend(self.alone.map(|id| Effect::GrantAlone { id }));
        }
        while self.in_flight.is_none() && !self.is_paused && !self.lag.is_exceeded() {
            let Some((id, request)) = self.take_next(|_| true) else { return };
            if request.catalog.is_empty() {
                self.form_group(id, request, now, effects);
            } else {
                self.form_catalog_group(id, request, now, effects);
            }
        }
    }

    /// The first request that may go now and that `fits`; the order of the others stays.
    fn take_next(&mut self, fits: impl FnOnce(&Request) -> bool) -> Option<(CommitId, Request)> {
        let alone = self.alone;
        let position = match alone {
            None => 0,
            Some(_) => self.queue.iter().position(|(_, request)| request.alone == alone)?,
        };
        let (_, request) = self.queue.get(position)?;
        if fits(request) { self.queue.remove(position) } else { None }
    }

    /// A group of writes: the request and all after it that fit.
    fn form_group(&mut self, id: CommitId, request: Request, now: Tick, effects: &mut Vec<Effect>) {
        let mut forming = Forming::default();
        self.join(&mut forming, id, request, now, effects);
        while forming.has_room() {
            let Some((id, request)) = self.take_next(|request| request.catalog.is_empty()) else { break };
            self.join(&mut forming, id, request, now, effects);
        }
        if !forming.members.is_empty() {
            let catalog = self.catalog.clone();
            self.append(forming, Vec::new(), catalog, now, effects);
        }
    }

    fn join(
        &self,
        forming: &mut Forming,
        id: CommitId,
        request: Request,
        now: Tick,
        effects: &mut Vec<Effect>,
    ) {
        match self.standing(&request, forming, now) {
            Ok(Standing::New) => {}
            Ok(Standing::Done(tick)) => return effects.push(Effect::Acknowledge { id, tick }),
            // The group's tick will be its answer, too.
            Ok(Standing::Forming) => return forming.members.push(id),
            Err(error) => return effects.push(Effect::Reject { id, error }),
        }
        forming.once.extend(request.once);
        forming.bytes += request.bytes();
        forming.written.extend(request.writes.iter().map(|write| write.relation));
        request.writes.iter().flat_map(|write| &write.keys).for_each(|keys| forming.keys.add(keys));
        forming.members.push(id);
        forming.writes.extend(request.writes);
    }

    /// Whether a request is to be done: one that is done once may have been before, or be in the group already.
    fn standing(&self, request: &Request, forming: &Forming, now: Tick) -> Result<Standing, SqlError> {
        if let Some(once) = &request.once {
            if let Some(answer) = self.answers.find(once, now)? {
                return Ok(Standing::Done(answer.tick));
            }
            match forming.once.iter().find(|other| other.key == once.key) {
                Some(other) if other.content == once.content => return Ok(Standing::Forming),
                Some(_) => return Err(key_used()),
                None => self.answers.check_room(forming.once.len())?,
            }
        }
        self.check(request, forming).map(|()| Standing::New)
    }

    /// A change of the catalog: ids are given, and it is tried on the newest catalog before it is logged.
    fn form_catalog_group(&mut self, id: CommitId, request: Request, now: Tick, effects: &mut Vec<Effect>) {
        debug_assert!(request.once.is_none(), "what is done once changes rows only");
        let tick = self.next_tick(now);
        let resolved = self
            .check_reads(&request, &Forming::default())
            .and_then(|()| check_unaltered(&self.catalog, &request.writes))
            .and_then(|()| check_keys(&self.catalog, &request.writes, &request.catalog))
            .and_then(|()| {
                ddl::resolve(&self.catalog, request.catalog, request.writes, request.reads.tick, tick)
            })
            .and_then(|resolved| check_writes(&resolved.catalog, &resolved.writes).map(|()| resolved));
        match resolved {
            Ok(ddl::Resolved { catalog, changes, writes }) => {
                let forming = Forming { members: vec![id], writes, ..Forming::default() };
                self.append(forming, changes, Arc::new(catalog), now, effects);
            }
            Err(error) => effects.push(Effect::Reject { id, error }),
        }
    }

    fn append(
        &mut self,
        forming: Forming,
        changes: Vec<CatalogChange>,
        catalog: Arc<Catalog>,
        now: Tick,
        effects: &mut Vec<Effect>,
    ) {
        let Forming { members, writes, once, .. } = forming;
        let tick = self.next_tick(now);
        self.last_given = tick;
        let keys = writes.iter().flat_map(|write| write.keys.clone()).collect();
        let deltas =
            writes.into_iter().map(|write| (write.relation, Delta::uniform(write.rows, write.diff, tick)));
        let changed = coalesce(deltas.collect(), tick);
        let group = Arc::new(Group { tick, catalog: changes, changes: changed, once });
        effects.push(Effect::Append(group.clone()));
        self.in_flight = Some(InFlight { group, members, keys, catalog });
    }

    /// A clock that jumps back never turns ticks back.
    fn next_tick(&self, now: Tick) -> Tick {
        now.max(self.last_given + 1)
    }

    fn check(&self, request: &Request, forming: &Forming) -> Result<(), SqlError> {
        self.check_reads(request, forming)?;
        check_writes(&self.catalog, &request.writes)?;
        check_unaltered(&self.catalog, &request.writes)?;
        check_keys(&self.catalog, &request.writes, &[])
    }

    /// Whether anything that the request scanned or looked up has changed since: then it must read again.
    fn check_reads(&self, request: &Request, forming: &Forming) -> Result<(), SqlError> {
        let key_changed = |(index, hash): &(RelationId, u64)| {
            forming.keys.have(*index, *hash)
                || self.recent_keys.changed_after(*index, *hash, request.reads.tick)
        };
        if request.reads.keys.iter().any(key_changed) {
            return Err(conflict());
        }
        let tables = ddl::tables_below(&self.catalog, &request.reads.relations).ok_or_else(conflict)?;
        let changed = |table: &RelationId| {
            forming.written.contains(table)
                || self.last_write.get(table).is_some_and(|tick| *tick > request.reads.tick)
        };
        if tables.iter().any(changed) { Err(conflict()) } else { Ok(()) }
    }
}

/// A group while its members are chosen.
#[derive(Default)]
struct Forming {
    members: Vec<CommitId>,
    writes: Vec<Write>,
    /// The tables that members change.
    written: BTreeSet<RelationId>,
    /// The keys of the rows that they change.
    keys: KeySet,
    /// The members that are done once.
    once: Vec<Once>,
    bytes: usize,
}

/// What is to be done with a request.
enum Standing {
    /// All of it.
    New,
    /// It was done at this tick.
    Done(Tick),
    /// Another member of the group is the same request.
    Forming,
}

impl Forming {
    fn has_room(&self) -> bool {
        self.bytes < GROUP_BYTES_MAX && self.members.len() < GROUP_LEN_MAX
    }
}

/// A table may have been dropped since the statement was bound: bound again, it gives the right error.
fn check_writes(catalog: &Catalog, writes: &[Write]) -> Result<(), SqlError> {
    let exists = |write: &Write| catalog.by_id(write.relation).is_some();
    if writes.iter().all(exists) { Ok(()) } else { Err(conflict()) }
}

/// A table may have been altered since: the statement's rows lack columns, or were not checked for what holds now.
fn check_unaltered(catalog: &Catalog, writes: &[Write]) -> Result<(), SqlError> {
    let altered = |write: &Write| catalog.by_id(write.relation)?.rules().map(|rules| rules.altered);
    let is_known = |write: &Write| altered(write).is_none_or(|altered| altered == write.altered);
    if writes.iter().all(is_known) { Ok(()) } else { Err(conflict()) }
}

/// The keys that a write has to tell are those of the unique indexes of today. (A transaction that makes an
/// index has looked at its own rows itself, and one that drops an index has nothing to tell of it.)
fn check_keys(catalog: &Catalog, writes: &[Write], changes: &[CatalogChange]) -> Result<(), SqlError> {
    let is_unique = |index: &&Arc<Relation>| matches!(index.kind, RelationKind::Index { uniqueness, .. } if uniqueness != Uniqueness::None);
    let is_dropped = |index: RelationId| {
        changes.iter().any(|change| matches!(change, CatalogChange::Drop(ids) if ids.contains(&index)))
    };
    let told = |write: &Write| {
        let mut unique =
            catalog.indexes(write.relation).filter(is_unique).filter(|index| !is_dropped(index.id));
        unique.all(|index| write.keys.iter().any(|keys| keys.index == index.id))
    };
    if writes.iter().all(told) { Ok(()) } else { Err(conflict()) }
}

/// 53000: whoever waits for a limited time has waited for so long.
pub(crate) fn overloaded() -> SqlError {
    SqlError::new("53000", "the server is overloaded")
        .detail("The views are too far behind what was committed.")
        .hint("Nothing was applied. Send the request again a little later.")
}

/// 40001, PostgreSQL's words.
pub fn conflict() -> SqlError {
    SqlError::new("40001", "could not serialize access due to concurrent update")
        .hint("The transaction might succeed if retried.")
}
