//! The shell around the commit path: a task, a queue, the log's thread, the engine.
//!
//! Bounds: the queue takes `QUEUE_LEN` requests, then callers wait; the log is given one group at a
//! time. Control messages (cancel, alone) are at most one a waiting caller.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc as thread_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_engine::{Engine, EngineError, IndexSpec, RelationId, TableSpec, Tick, ViewSpec};
use millrace_sql::{CatalogChange, OnError, Relation, RelationKind, SqlError, Uniqueness};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::answers::{Answer, Once};
use super::commit::{CommitPath, overloaded};
use super::holds::Holds;
use super::progress::Progress;
use super::request::{AloneId, CommitId, Effect, Event, Group, Request};

/// Requests between callers and the task.
const QUEUE_LEN: usize = 1024;

/// Makes a group durable, on the log's own thread, which it may block.
pub type AppendGroup = Box<dyn FnMut(&Group) -> Result<(), SqlError> + Send>;

/// What the coordinator works with.
pub struct Parts {
    /// The commit path, at the newest tick of the log.
    pub path: CommitPath,
    /// What readers see, at the same tick.
    pub holds: Arc<Holds>,
    /// The uppers that the engine tells.
    pub progress: Arc<Progress>,
    /// The workers.
    pub engine: Engine,
    /// The log.
    pub append: AppendGroup,
}

/// The handle that sessions commit through.
pub struct Coordinator {
    requests: mpsc::Sender<Submission>,
    control: mpsc::UnboundedSender<Control>,
    next_id: AtomicU64,
    counts: Arc<Counts>,
}

/// What was committed since the start.
#[derive(Default)]
pub struct Counts {
    /// Commits.
    pub commits: AtomicU64,
    /// Groups: records of the log.
    pub groups: AtomicU64,
    /// Rows added and taken away.
    pub rows: AtomicU64,
    /// Commits refused with 40001.
    pub conflicts: AtomicU64,
    /// Bytes committed that not every relation has passed, now.
    pub lag_bytes: AtomicU64,
    /// Commits that wait for their group, now.
    pub queued: AtomicU64,
    /// Requests whose answers are kept, now.
    pub answers_kept: AtomicU64,
}

struct Submission {
    id: CommitId,
    request: Request,
    reply: oneshot::Sender<Result<Tick, SqlError>>,
    /// Its caller waits no longer. (What it tells by `Control` may overtake the submission.)
    given_up: Arc<AtomicBool>,
}

enum Control {
    Cancel(CommitId),
    GiveUp(CommitId),
    Answered(Once, oneshot::Sender<Result<Option<Answer>, SqlError>>),
    RequestAlone(AloneId, oneshot::Sender<()>),
    EndAlone(AloneId),
    Pause(oneshot::Sender<Tick>),
    Resume(Engine),
}

/// The right to commit with nobody beside; given back when dropped.
pub struct Alone {
    id: AloneId,
    control: mpsc::UnboundedSender<Control>,
}

impl Alone {
    /// What goes into `Request::alone`.
    pub fn id(&self) -> AloneId {
        self.id
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Without a coordinator there is nobody to tell.
        let _ = self.control.send(Control::EndAlone(self.id));
    }
}

/// Takes a commit back when its caller is gone before the answer.
struct CancelOnDrop<'a> {
    id: CommitId,
    control: &'a mpsc::UnboundedSender<Control>,
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            let _ = self.control.send(Control::Cancel(self.id));
        }
    }
}

impl Coordinator {
    /// Starts the coordinator. The task ends after `shutdown`, once the group in flight is settled.
    ///
    /// # Errors
    /// Where the log's thread cannot be started.
    pub fn start(
        parts: Parts,
        shutdown: CancellationToken,
    ) -> std::io::Result<(Coordinator, tokio::task::JoinHandle<Result<(), SqlError>>)> {
        let (requests, request_receiver) = mpsc::channel(QUEUE_LEN);
        let (control, control_receiver) = mpsc::unbounded_channel();
        let (groups, outcomes) = start_log_thread(parts.append)?;
        let counts = Arc::new(Counts::default());
        let runtime = Runtime {
            path: parts.path,
            holds: parts.holds,
            progress: parts.progress,
            engine: parts.engine,
            groups,
            replies: HashMap::new(),
            grants: HashMap::new(),
            counts: counts.clone(),
            pausing: None,
        };
        let task = tokio::spawn(runtime.run(request_receiver, control_receiver, outcomes, shutdown));
        Ok((Coordinator { requests, control, next_id: AtomicU64::new(1), counts }, task))
    }

    /// Commits. The tick is published before this returns. Dropping the future takes the commit
    /// back if it is not being logged yet.
    ///
    /// # Errors
    /// 40001: something read has changed, read again. What a catalog change raises. 53100, 58030:
    /// the log cannot be written. 57P01: the server goes down. 53000: it has waited as long as the request
    /// allows, and has not taken place. Of a request that is done once, 22023 and 53400.
    pub async fn commit(&self, request: Request) -> Result<Tick, SqlError> {
        let id = CommitId(self.next_id());
        let (reply, mut answer) = oneshot::channel();
        let (patience, given_up) = (request.patience, Arc::new(AtomicBool::new(false)));
        let submission = Submission { id, request, reply, given_up: given_up.clone() };
        let submitted = within(patience, self.requests.send(submission)).await.ok_or_else(overloaded)?;
        submitted.map_err(|_| shutting_down())?;
        let mut cancel = CancelOnDrop { id, control: &self.control, armed: true };
        let answered = match within(patience, &mut answer).await {
            Some(answered) => answered,
            None => {
                given_up.store(true, Ordering::SeqCst);
                self.control.send(Control::GiveUp(id)).map_err(|_| shutting_down())?;
                // Refused at once, unless its group is on its way.
                answer.await
            }
        };
        cancel.armed = false;
        answered.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// What a request that is done once was answered, if it was done.
    ///
    /// # Errors
    /// 22023 where its key came with another content; 57P01: the server goes down.
    pub async fn answered(&self, once: Once) -> Result<Option<Answer>, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.control.send(Control::Answered(once, reply)).map_err(|_| shutting_down())?;
        answer.await.map_err(|_| shutting_down())?
    }

    /// Waits until this caller may read and commit with nobody beside.
    ///
    /// # Errors
    /// 57P01: the server goes down.
    pub async fn alone(&self) -> Result<Alone, SqlError> {
        let id = AloneId(self.next_id());
        let (granted, grant) = oneshot::channel();
        let request = Control::RequestAlone(id, granted);
        self.control.send(request).map_err(|_| shutting_down())?;
        let alone = Alone { id, control: self.control.clone() };
        grant.await.map_err(|_| shutting_down())?;
        Ok(alone)
    }

    /// The workers are lost: no group goes to the log until `resume`. Returns once none is on its way: the tick of the
    /// newest one. Commits wait meanwhile.
    ///
    /// # Errors
    /// 57P01: the server goes down.
    pub async fn pause(&self) -> Result<Tick, SqlError> {
        let (reply, paused) = oneshot::channel();
        self.control.send(Control::Pause(reply)).map_err(|_| shutting_down())?;
        paused.await.map_err(|_| shutting_down())
    }

    /// These workers have all that is in the log: commits go on.
    ///
    /// # Errors
    /// 57P01: the server goes down.
    pub fn resume(&self, engine: Engine) -> Result<(), SqlError> {
        self.control.send(Control::Resume(engine)).map_err(|_| shutting_down())
    }

    /// What was committed since the start.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What comes in time, where there is a limit.
async fn within<T>(limit: Option<Duration>, what: impl Future<Output = T>) -> Option<T> {
    match limit {
        None => Some(what.await),
        Some(limit) => timeout(limit, what).await.ok(),
    }
}

/// 57P01, PostgreSQL's words.
pub(crate) fn shutting_down() -> SqlError {
    SqlError::new("57P01", "terminating connection due to administrator command")
}

type Groups = thread_channel::SyncSender<Arc<Group>>;
type Outcomes = mpsc::Receiver<Result<(), SqlError>>;

/// One group at a time is on its way, so one place in each direction is enough.
fn start_log_thread(mut append: AppendGroup) -> std::io::Result<(Groups, Outcomes)> {
    let (groups, group_receiver) = thread_channel::sync_channel::<Arc<Group>>(1);
    let (outcome_sender, outcomes) = mpsc::channel(1);
    std::thread::Builder::new().name("millrace-log".to_owned()).spawn(move || {
        while let Ok(group) = group_receiver.recv() {
            if outcome_sender.blocking_send(append(&group)).is_err() {
                return;
            }
        }
    })?;
    Ok((groups, outcomes))
}

struct Runtime {
    path: CommitPath,
    holds: Arc<Holds>,
    progress: Arc<Progress>,
    engine: Engine,
    groups: Groups,
    replies: HashMap<CommitId, oneshot::Sender<Result<Tick, SqlError>>>,
    grants: HashMap<AloneId, oneshot::Sender<()>>,
    counts: Arc<Counts>,
    /// Told once no group is on its way.
    pausing: Option<oneshot::Sender<Tick>>,
}

impl Runtime {
    async fn run(
        mut self,
        mut requests: mpsc::Receiver<Submission>,
        mut control: mpsc::UnboundedReceiver<Control>,
        mut outcomes: Outcomes,
        shutdown: CancellationToken,
    ) -> Result<(), SqlError> {
        let progress = self.progress.clone();
        let holds = self.holds.clone();
        loop {
            tokio::select! {
                biased;
                outcome = outcomes.recv() => self.on_outcome(outcome)?,
                Some(message) = control.recv() => self.on_control(message)?,
                () = progress.advanced() => self.on_progress()?,
                () = holds.released() => {}
                () = shutdown.cancelled(), if !self.path.is_appending() => return Ok(()),
                Some(submission) = requests.recv(), if self.path.accepts() && !shutdown.is_cancelled() => {
                    self.on_submission(submission)?;
                }
            }
            if shutdown.is_cancelled() {
                let effects = self.path.close(&shutting_down());
                self.perform(effects)?;
            }
            self.settle();
            // The next workers are given all history that somebody reads; these take nothing any more.
            if !self.path.is_paused() {
                self.compact();
            }
        }
    }

    fn on_outcome(&mut self, outcome: Option<Result<(), SqlError>>) -> Result<(), SqlError> {
        let event = match outcome {
            Some(Ok(())) => Event::GroupDurable,
            Some(Err(error)) => Event::GroupFailed { error },
            // Whether the group is on disk, nobody knows: only a new start can tell.
            None => return Err(SqlError::internal("the log's thread has panicked")),
        };
        self.feed(event)
    }

    /// Tells whoever waits for it that no group is on its way.
    fn settle(&mut self) {
        if self.path.is_appending() {
            return;
        }
        if let Some(reply) = self.pausing.take() {
            // Whoever asked is gone only where the server goes down.
            let _ = reply.send(self.holds.newest_tick());
        }
    }

    fn on_submission(&mut self, submission: Submission) -> Result<(), SqlError> {
        let Submission { id, request, reply, given_up } = submission;
        if reply.is_closed() {
            return Ok(());
        }
        if given_up.load(Ordering::SeqCst) {
            // The caller may be gone by now.
            let _ = reply.send(Err(overloaded()));
            return Ok(());
        }
        self.replies.insert(id, reply);
        self.feed(Event::Requested { id, request })
    }

    fn on_control(&mut self, message: Control) -> Result<(), SqlError> {
        match message {
            Control::Cancel(id) => self.feed(Event::Cancelled { id }),
            Control::GiveUp(id) => self.feed(Event::GivenUp { id }),
            Control::Answered(once, reply) => {
                // The caller may be gone.
                let _ = reply.send(self.path.answered(&once, now()));
                Ok(())
            }
            Control::RequestAlone(id, granted) => {
                self.grants.insert(id, granted);
                self.feed(Event::AloneRequested { id })
            }
            Control::EndAlone(id) => {
                self.grants.remove(&id);
                self.feed(Event::AloneEnded { id })
            }
            Control::Pause(reply) => {
                self.pausing = Some(reply);
                self.feed(Event::Paused)
            }
            Control::Resume(engine) => {
                self.engine = engine;
                self.feed(Event::Resumed)
            }
        }
    }

    fn on_progress(&mut self) -> Result<(), SqlError> {
        for (relation, upper) in self.progress.take() {
            self.feed(Event::Applied { relation, upper })?;
        }
        Ok(())
    }

    fn feed(&mut self, event: Event) -> Result<(), SqlError> {
        let effects = self.path.handle(event, now());
        let performed = self.perform(effects);
        self.counts.lag_bytes.store(self.path.lag_bytes() as u64, Ordering::Relaxed);
        self.counts.queued.store(self.path.queued() as u64, Ordering::Relaxed);
        self.counts.answers_kept.store(self.path.answers_kept() as u64, Ordering::Relaxed);
        performed
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), SqlError> {
        effects.into_iter().try_for_each(|effect| self.perform_one(effect))
    }

    fn perform_one(&mut self, effect: Effect) -> Result<(), SqlError> {
        match effect {
            Effect::Append(group) => {
                self.groups
                    .try_send(group)
                    .map_err(|_| SqlError::internal("the log's thread has panicked"))?;
            }
            Effect::Apply(group) => self.apply(&group)?,
            Effect::Publish { tick, catalog } => self.holds.publish(tick, catalog),
            Effect::Acknowledge { id, tick } => {
                self.counts.commits.fetch_add(1, Ordering::Relaxed);
                self.reply(id, Ok(tick));
            }
            Effect::Reject { id, error } => {
                let conflicts = u64::from(error.sqlstate == "40001");
                self.counts.conflicts.fetch_add(conflicts, Ordering::Relaxed);
                self.reply(id, Err(error));
            }
            Effect::GrantAlone { id } => {
                if let Some(granted) = self.grants.remove(&id) {
                    // Who is gone has sent EndAlone, or will when its `Alone` is dropped.
                    let _ = granted.send(());
                }
            }
        }
        Ok(())
    }

    fn reply(&mut self, id: CommitId, answer: Result<Tick, SqlError>) {
        if let Some(reply) = self.replies.remove(&id) {
            // The caller may be gone; what was acknowledged stays committed.
            let _ = reply.send(answer);
        }
    }

    fn apply(&mut self, group: &Group) -> Result<(), SqlError> {
        self.counts.groups.fetch_add(1, Ordering::Relaxed);
        self.counts.rows.fetch_add(group.rows() as u64, Ordering::Relaxed);
        apply(&self.engine, &self.progress, group).map_err(|error| {
            error!(tick = group.tick, %error, "a logged group cannot be applied");
            SqlError::internal(error)
        })
    }

    /// Lets the engine forget what nobody can read any more.
    fn compact(&self) {
        if let Some(since) = self.holds.move_since() {
            let since: Vec<(RelationId, Tick)> = self
                .holds
                .catalog()
                .relations()
                .filter(|relation| relation.is_maintained())
                .map(|relation| (relation.id, since.max(relation.created)))
                .collect();
            self.engine.compact(&since);
        }
    }
}

/// Hands a durable group to the engine: first the catalog, then the rows. A new view's inputs are
/// complete before the group's tick and no compaction comes in between, which holds them.
///
/// # Errors
/// Where a view cannot be installed: a defect, since plans are checked before they are logged.
pub fn apply(engine: &Engine, progress: &Progress, group: &Group) -> Result<(), EngineError> {
    for change in &group.catalog {
        match change {
            CatalogChange::Create(relation) => create(engine, relation, group.tick)?,
            CatalogChange::Replace(relation) => replace(engine, relation, group.tick)?,
            CatalogChange::Move(..) | CatalogChange::Schema(..) | CatalogChange::Comment { .. } => {}
            CatalogChange::Drop(ids) => {
                engine.drop_relations(ids);
                ids.iter().for_each(|id| progress.forget(*id));
            }
        }
    }
    engine.commit(group.tick, group.changes.clone());
    Ok(())
}

/// What is in the place of another relation: a table may have more columns, and its indexes then know them.
fn replace(engine: &Engine, relation: &Relation, as_of: Tick) -> Result<(), EngineError> {
    match &relation.kind {
        RelationKind::Table { .. } => {
            engine.widen(relation.id, relation.shape());
            Ok(())
        }
        RelationKind::Index { .. } => match index_spec(relation) {
            Some(spec) => engine.create_index(relation.id, spec, as_of),
            None => Ok(()),
        },
        RelationKind::View { .. } | RelationKind::MaterializedView { .. } | RelationKind::Sequence(_) => {
            Ok(())
        }
    }
}

fn create(engine: &Engine, relation: &Relation, as_of: Tick) -> Result<(), EngineError> {
    match &relation.kind {
        RelationKind::View { .. } | RelationKind::Sequence(_) => Ok(()),
        RelationKind::Table { keep_rows, .. } => {
            let spec =
                TableSpec { name: relation.name.clone(), columns: relation.types(), keep_rows: *keep_rows };
            engine.create_table(relation.id, spec, as_of);
            Ok(())
        }
        RelationKind::Index { .. } => match index_spec(relation) {
            Some(spec) => engine.create_index(relation.id, spec, as_of),
            None => Ok(()),
        },
        RelationKind::MaterializedView { plan, options, .. } => {
            let spec = ViewSpec {
                name: relation.name.clone(),
                skip_errors: options.on_error == OnError::Skip,
                bytes_max: options.memory_limit.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            };
            engine.install(relation.id, plan.clone(), spec, as_of)
        }
    }
}

/// An index as the engine sees it; `None` of another relation. What is unique is asked at every change of its table,
/// which must not be looked through each time until the index is there.
pub(crate) fn index_spec(index: &Relation) -> Option<IndexSpec> {
    let RelationKind::Index { on, columns, keys, uniqueness, .. } = &index.kind else { return None };
    Some(IndexSpec {
        name: index.name.clone(),
        relation: *on,
        columns: columns.clone(),
        keys: keys.iter().map(|key| key.expr.clone()).collect(),
        is_awaited: *uniqueness != Uniqueness::None,
    })
}

/// The wall clock, in microseconds since 1970.
fn now() -> Tick {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX)
}
