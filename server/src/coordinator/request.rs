//! What a session asks the commit path for, and what the commit path has others do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use millrace_engine::{Delta, RelationId, Tick, batch_bytes};
use millrace_sql::{Catalog, CatalogChange, SqlError};

use super::answers::Once;

/// Names a commit while it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u64);

/// Names a session that commits alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AloneId(pub u64);

/// Rows that a commit adds to a table or takes from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The table.
    pub relation: RelationId,
    /// Whole rows of it.
    pub rows: RecordBatch,
    /// By how much each row's multiplicity changes.
    pub diff: i64,
    /// The keys of the rows, for each unique index of the table.
    pub keys: Vec<WrittenKeys>,
    /// When the table had been altered last, as the statement knew it.
    pub altered: Tick,
}

/// The keys of a unique index that the rows of a write have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenKeys {
    /// The index.
    pub index: RelationId,
    /// Their hashes; none: too many to tell, perhaps all.
    pub hashes: Option<Arc<[u64]>>,
}

impl Write {
    /// The bytes that the rows take, at most.
    pub fn bytes(&self) -> usize {
        batch_bytes(&self.rows)
    }
}

/// What a commit depends on: nothing of it may have changed since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The tick at which it read.
    pub tick: Tick,
    /// The relations that it scanned; a view stands for the tables below it.
    pub relations: BTreeSet<RelationId>,
    /// The keys of unique indexes that it looked up, whether there was a row or not: index and hash.
    pub keys: BTreeSet<(RelationId, u64)>,
}

impl Reads {
    /// Takes what another part of the transaction read.
    pub fn extend(&mut self, other: Reads) {
        self.relations.extend(other.relations);
        self.keys.extend(other.keys);
    }
}

/// A commit as a session asks for it. Invariant: NOT NULL and types were checked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Rows to add and to take away.
    pub writes: Vec<Write>,
    /// What it depends on.
    pub reads: Reads,
    /// Changes of the catalog. Relations to be created carry provisional ids (`provisional_id`),
    /// which `writes` and the plans of later changes may name.
    pub catalog: Vec<CatalogChange>,
    /// Set where the session was granted to commit alone.
    pub alone: Option<AloneId>,
    /// Set where it is to be done once, however often it is asked for.
    pub once: Option<Once>,
    /// How long it may wait for its group, then it is refused; `None`: as long as it takes.
    pub patience: Option<Duration>,
}

impl Request {
    /// The bytes that the commit's rows take, at most.
    pub fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }
}

/// Ids from here on are provisional: given by a session to a relation that it is about to create,
/// replaced at commit.
const PROVISIONAL: u64 = 1 << 63;

/// The provisional id of the `n`-th relation that a transaction creates.
pub fn provisional_id(n: usize) -> RelationId {
    RelationId(PROVISIONAL + n as u64)
}

/// Whether the id was given by `provisional_id`.
pub fn is_provisional(id: RelationId) -> bool {
    id.0 >= PROVISIONAL
}

/// Commits that share a tick, an fsync and a record of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// When it takes effect.
    pub tick: Tick,
    /// Changes of the catalog, final ids in place. They come before the changes of tables.
    pub catalog: Vec<CatalogChange>,
    /// Changes of tables, each table once, its rows in the order of the commits.
    pub changes: Vec<(RelationId, Vec<Delta>)>,
    /// The members that are done once.
    pub once: Vec<Once>,
}

impl Group {
    /// The bytes that the changes take, at most.
    pub fn bytes(&self) -> usize {
        self.changes.iter().flat_map(|(_, deltas)| deltas).map(Delta::bytes).sum()
    }

    /// The number of rows that change.
    pub fn rows(&self) -> usize {
        self.changes.iter().flat_map(|(_, deltas)| deltas).map(Delta::len).sum()
    }
}

/// What happens to the commit path.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session asks for a commit.
    Requested {
        /// Its name in all that follows.
        id: CommitId,
        /// What is to be committed.
        request: Request,
    },
    /// The session is gone. Takes back a commit that still waits; too late for one that is being logged.
    Cancelled {
        /// Which commit.
        id: CommitId,
    },
    /// The session waits no longer: as `Cancelled`, but it wants to know whether it was too late.
    GivenUp {
        /// Which commit.
        id: CommitId,
    },
    /// A session that lost too often asks to commit with nobody beside it.
    AloneRequested {
        /// Its name in all that follows.
        id: AloneId,
    },
    /// That session is done, or gone.
    AloneEnded {
        /// Which.
        id: AloneId,
    },
    /// The group that was to be appended is on disk.
    GroupDurable,
    /// The group that was to be appended is not on disk and never will be.
    GroupFailed {
        /// What its commits get to hear.
        error: SqlError,
    },
    /// All workers have passed every tick before `upper` for this relation.
    Applied {
        /// Which relation.
        relation: RelationId,
        /// The first tick that is not complete.
        upper: Tick,
    },
    /// The workers are lost: all requests wait, but for the group that is being made durable.
    Paused,
    /// There are workers again, which have all that is durable.
    Resumed,
}

/// What the commit path has others do, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make the group durable, then answer `GroupDurable` or `GroupFailed`. One at a time.
    Append(Arc<Group>),
    /// Hand the group to the engine. Only after it is durable; ticks ascend.
    Apply(Arc<Group>),
    /// Let readers see it.
    Publish {
        /// The newest tick.
        tick: Tick,
        /// The catalog at that tick.
        catalog: Arc<Catalog>,
    },
    /// The commit is durable and published; one that is done once perhaps long since.
    Acknowledge {
        /// Which commit.
        id: CommitId,
        /// When it took effect.
        tick: Tick,
    },
    /// The commit did not take place.
    Reject {
        /// Which commit.
        id: CommitId,
        /// Why. 40001: read again and retry.
        error: SqlError,
    },
    /// The session may read and commit now; all others wait.
    GrantAlone {
        /// Which.
        id: AloneId,
    },
}
