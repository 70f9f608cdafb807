//! The transaction block: what its statements see, and what they gather for one commit.
//!
//! All statements of a block read at one tick, the newest at its first statement, and what the block itself
//! has written by then: tables are their rows at the tick with the block's own, views over such tables are
//! computed anew. Everything they write becomes one commit, at one tick, when the block ends. A block that wrote is refused with
//! 40001 if a table that it read has changed meanwhile.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use millrace_engine::{RelationId, Snapshot};
use millrace_sql::{Bound, Catalog, CatalogChange, SavepointAction, Setting, Sources, SqlError};

use crate::coordinator::{Moment, Reads, Request, Write, is_provisional, provisional_id};
use crate::session::own::OwnWrites;
use crate::session::parameters::{Locals, Parameters};
use crate::session::{Notice, Response, Session};

/// The most bytes of rows that one block may hold in memory before its commit.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Where the session stands.
pub(super) enum Block {
    /// Each statement commits by itself.
    None,
    /// Statements gather.
    Open(Box<Transaction>),
    /// A statement failed; nothing of the block will be, but for what a savepoint keeps.
    Failed {
        /// BEGIN opened it.
        explicit: bool,
        /// The block, where it has savepoints.
        kept: Option<Box<Transaction>>,
    },
}

/// A block that gathers.
pub(super) struct Transaction {
    /// BEGIN opened it; else the wire did, around several statements.
    pub(super) explicit: bool,
    /// What the parameters go back to if the block fails.
    pub(super) saved_parameters: Parameters,
    /// What its statements see; taken at the first that looks.
    moment: Option<Moment>,
    /// What it has written.
    pub(super) own: OwnWrites,
    bytes: usize,
    reads: Reads,
    /// Changes of the catalog, provisional ids in place.
    pub(super) changes: Vec<CatalogChange>,
    savepoints: Vec<Savepoint>,
    /// What the parameters that SET LOCAL has changed go back to when the block commits.
    locals: Locals,
}

/// What a block had gathered when SAVEPOINT was said. What was read since stays noted.
struct Savepoint {
    name: String,
    moment: Moment,
    writes: usize,
    bytes: usize,
    changes: usize,
    parameters: Parameters,
    locals: Locals,
    /// How many cursors there had been.
    cursors: u64,
}

/// What a savepoint has kept of the session.
struct Kept {
    parameters: Parameters,
    cursors: u64,
}

impl Transaction {
    /// A block without statements.
    pub(super) fn new(explicit: bool, saved_parameters: Parameters) -> Transaction {
        Transaction {
            explicit,
            saved_parameters,
            moment: None,
            own: OwnWrites::default(),
            bytes: 0,
            reads: Reads::default(),
            changes: Vec::new(),
            savepoints: Vec::new(),
            locals: Locals::default(),
        }
    }

    /// Whether something of the block outlives an error.
    pub(super) fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }

    /// The place of the last savepoint of a name.
    fn savepoint(&self, name: &str) -> Result<usize, SqlError> {
        let place = self.savepoints.iter().rposition(|savepoint| savepoint.name == name);
        place.ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    /// Takes back what came after a savepoint, which stays.
    fn roll_back_to(&mut self, name: &str) -> Result<Kept, SqlError> {
        self.savepoints.truncate(self.savepoint(name)? + 1);
        let Some(savepoint) = self.savepoints.last() else {
            return Err(SqlError::internal("a savepoint that was found is gone"));
        };
        self.own.truncate(savepoint.writes);
        self.bytes = savepoint.bytes;
        self.changes.truncate(savepoint.changes);
        let moment = savepoint.moment.clone();
        let kept = Kept { parameters: savepoint.parameters.clone(), cursors: savepoint.cursors };
        self.locals = savepoint.locals.clone();
        self.fit_own(&moment.catalog)?;
        self.moment = Some(moment);
        Ok(kept)
    }

    /// What was written has the columns that its tables have in a catalog.
    ///
    /// # Errors
    /// XX000 where it cannot have them.
    pub(super) fn fit_own(&mut self, catalog: &Catalog) -> Result<(), SqlError> {
        for table in self.own.tables().clone() {
            if let Some(table) = catalog.by_id(table) {
                self.own.fit(table.id, &table.shape())?;
            }
        }
        Ok(())
    }

    /// What the block's own writes add to each of the sources. What the block has created is not asked of the
    /// workers, which lack all of it.
    pub(super) fn own_rows(
        &mut self,
        sources: &mut Sources,
        moment: &Moment,
    ) -> Result<HashMap<RelationId, Snapshot>, SqlError> {
        let mut own = HashMap::new();
        for id in &sources.relations {
            if self.own.has(*id) || is_provisional(*id) {
                let relation = moment
                    .catalog
                    .by_id(*id)
                    .ok_or_else(|| SqlError::internal("a table without a relation"))?;
                own.insert(*id, self.own.share(relation, moment.tick)?);
            }
        }
        sources.relations.retain(|relation| !is_provisional(*relation));
        Ok(own)
    }

    /// From now on what is below the block's own writes is computed anew, and so is what it has created.
    fn see_own_writes(&mut self) {
        let Some(moment) = &mut self.moment else { return };
        let written = self.own.tables();
        let above = written.iter().flat_map(|table| moment.catalog.dependants(*table));
        let created = moment.catalog.relations().map(|relation| relation.id).filter(|id| is_provisional(*id));
        let inlined = above.chain(created).collect();
        moment.catalog = Arc::new(moment.catalog.inlining(inlined));
    }

    /// Changes the catalog that the rest of the block sees.
    ///
    /// # Errors
    /// What applying it raises.
    pub(super) fn change_catalog(&mut self, change: CatalogChange) -> Result<(), SqlError> {
        let moment = self.moment.as_ref().ok_or_else(|| SqlError::internal("a block without a moment"))?;
        let mut catalog = Catalog::clone(&moment.catalog);
        catalog.apply(&change)?;
        let moment = Moment { catalog: Arc::new(catalog), ..moment.clone() };
        if matches!(change, CatalogChange::Replace(_)) {
            self.fit_own(&moment.catalog)?;
        }
        self.moment = Some(moment);
        self.changes.push(change);
        self.see_own_writes();
        Ok(())
    }

    /// Adds rows to what the block will commit, and what they depend on.
    ///
    /// # Errors
    /// 53200 where the block grows too large.
    pub(super) fn gather(&mut self, writes: Vec<Write>, reads: Reads) -> Result<(), SqlError> {
        self.bytes += writes.iter().map(Write::bytes).sum::<usize>();
        if self.bytes > BLOCK_BYTES_MAX {
            return Err(too_large("the transaction", BLOCK_BYTES_MAX));
        }
        let is_new = writes.iter().any(|write| !self.own.has(write.relation));
        self.own.extend(writes);
        self.reads.extend(reads);
        if is_new {
            self.see_own_writes();
        }
        Ok(())
    }

    /// What the block commits; `None` where it only read: then it was right at its tick. What it has written to
    /// tables that it dropped goes with them; what it has read of them stays noted, as it may have been copied.
    fn into_request(self) -> Option<(Request, Moment)> {
        let moment = self.moment?;
        let writes = self.own.into_writes(|table| {
            moment.catalog.by_id(table).is_some_and(|table| table.on_commit().keeps_all())
        });
        if writes.is_empty() && self.changes.is_empty() {
            return None;
        }
        let Reads { mut relations, mut keys, .. } = self.reads;
        // Nobody else can have changed what the block has created.
        relations.retain(|relation| !is_provisional(*relation));
        keys.retain(|(index, _)| !is_provisional(*index));
        let reads = Reads { tick: moment.tick, relations, keys };
        Some((Request { writes, reads, catalog: self.changes, ..Request::default() }, moment))
    }
}

/// 53200, with the bound.
pub(super) fn too_large(what: &str, bytes_max: usize) -> SqlError {
    SqlError::new("53200", "out of memory")
        .detail(format!("{what} holds more than {} MiB of rows before its commit", bytes_max >> 20))
        .hint("Split it into several transactions.")
}

/// 25P02, PostgreSQL's words.
fn block_failed() -> SqlError {
    SqlError::new("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

impl Session {
    /// What the next statement sees: the block's moment, or the newest.
    pub(super) fn moment(&mut self) -> Moment {
        match &mut self.block {
            Block::Open(transaction) => {
                transaction.moment.get_or_insert_with(|| self.server.newest()).clone()
            }
            Block::None | Block::Failed { .. } => self.server.newest(),
        }
    }

    /// The catalog that the next statement is bound against.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        match &self.block {
            Block::Open(transaction) => match &transaction.moment {
                Some(moment) => moment.catalog.clone(),
                None => self.server.catalog(),
            },
            Block::None | Block::Failed { .. } => self.server.catalog(),
        }
    }

    /// The block's moment, or the newest, which is not kept: the block has looked at nothing by that.
    pub(super) fn passing_moment(&self) -> Moment {
        match &self.block {
            Block::Open(transaction) => transaction.moment.clone().unwrap_or_else(|| self.server.newest()),
            Block::None | Block::Failed { .. } => self.server.newest(),
        }
    }

    /// # Errors
    /// 25P02 in a block that has failed.
    pub(super) fn check_block_is_whole(&self) -> Result<(), SqlError> {
        match &self.block {
            Block::Failed { .. } => Err(block_failed()),
            Block::None | Block::Open(_) => Ok(()),
        }
    }

    /// In a failed block only its end is heard.
    pub(super) fn check_not_failed(&self, bound: Result<&Bound, &SqlError>) -> Result<(), SqlError> {
        match (&self.block, bound) {
            (Block::None | Block::Open(_), _)
            | (Block::Failed { .. }, Ok(Bound::Commit { .. } | Bound::Rollback { .. })) => Ok(()),
            (Block::Failed { .. }, Ok(Bound::Savepoint(SavepointAction::RollbackTo, _))) => Ok(()),
            (Block::Failed { .. }, _) => Err(block_failed()),
        }
    }

    /// BEGIN. An implicit transaction becomes the block.
    pub(super) fn begin(&mut self, modes: &[Setting]) -> Result<Response, SqlError> {
        match &mut self.block {
            Block::Open(transaction) if !transaction.explicit => transaction.explicit = true,
            Block::Open(_) | Block::Failed { .. } => {
                self.notices.push(Notice::warning("25001", "there is already a transaction in progress"));
            }
            Block::None => {
                self.block = Block::Open(Box::new(Transaction::new(true, self.parameters.clone())))
            }
        }
        modes.iter().try_for_each(|mode| self.set_for_block(mode))?;
        Ok(command("BEGIN"))
    }

    /// COMMIT. A failed block answers ROLLBACK, as PostgreSQL does.
    ///
    /// # Errors
    /// The commit's; 25P01 for AND CHAIN outside a block.
    pub(super) async fn commit(&mut self, chain: bool) -> Result<Response, SqlError> {
        self.check_chain(chain, "COMMIT")?;
        match &self.block {
            Block::Open(transaction) => {
                if !transaction.explicit {
                    self.warn_no_block();
                }
                let modes = self.parameters.modes();
                self.commit_block().await?;
                self.begin_again(chain, &modes)?;
                Ok(command("COMMIT"))
            }
            Block::Failed { .. } => self.rollback(chain),
            Block::None => {
                self.warn_no_block();
                Ok(command("COMMIT"))
            }
        }
    }

    /// ROLLBACK.
    ///
    /// # Errors
    /// 25P01 for AND CHAIN outside a block.
    pub(super) fn rollback(&mut self, chain: bool) -> Result<Response, SqlError> {
        self.check_chain(chain, "ROLLBACK")?;
        let mut modes = self.parameters.modes();
        self.drawing.forget_own(provisional_id(0));
        match mem::replace(&mut self.block, Block::None) {
            Block::Open(transaction) => {
                if !transaction.explicit {
                    self.warn_no_block();
                }
                self.parameters.restore(transaction.saved_parameters);
            }
            // As in PostgreSQL: what failed has taken its modes along.
            Block::Failed { explicit: true, .. } => modes.clear(),
            Block::None | Block::Failed { explicit: false, .. } => self.warn_no_block(),
        }
        self.cursors.roll_back();
        self.begin_again(chain, &modes)?;
        Ok(command("ROLLBACK"))
    }

    fn check_chain(&self, chain: bool, statement: &str) -> Result<(), SqlError> {
        match &self.block {
            Block::Open(transaction) if transaction.explicit => Ok(()),
            Block::Failed { explicit: true, .. } => Ok(()),
            _ if !chain => Ok(()),
            _ => {
                let message = format!("{statement} AND CHAIN can only be used in transaction blocks");
                Err(SqlError::new("25P01", message))
            }
        }
    }

    /// AND CHAIN: a block with the modes of the one that has ended.
    fn begin_again(&mut self, chain: bool, modes: &[Setting]) -> Result<(), SqlError> {
        if chain {
            self.block = Block::Open(Box::new(Transaction::new(true, self.parameters.clone())));
            modes.iter().try_for_each(|mode| self.set_for_block(mode))?;
        }
        Ok(())
    }

    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    ///
    /// # Errors
    /// 25P01 outside a block, 3B001 for a savepoint that is not there.
    pub(super) fn savepoint(&mut self, action: SavepointAction, name: &str) -> Result<Response, SqlError> {
        let tag = match action {
            SavepointAction::Set => "SAVEPOINT",
            SavepointAction::Release => "RELEASE",
            SavepointAction::RollbackTo => "ROLLBACK",
        };
        if let (Block::Failed { kept, .. }, SavepointAction::RollbackTo) = (&mut self.block, action) {
            let missing = || SqlError::new("3B001", format!("savepoint \"{name}\" does not exist"));
            let transaction = kept.as_mut().ok_or_else(missing)?;
            let back = transaction.roll_back_to(name)?;
            let first = provisional_id(transaction.changes.len());
            self.take_back(back, first);
            if let Block::Failed { kept: Some(transaction), .. } = mem::replace(&mut self.block, Block::None)
            {
                self.block = Block::Open(transaction);
            }
            return Ok(command(tag));
        }
        let moment = self.moment();
        let Block::Open(transaction) = &mut self.block else { return Err(only_in_block(action)) };
        if !transaction.explicit {
            return Err(only_in_block(action));
        }
        match action {
            SavepointAction::Set => transaction.savepoints.push(Savepoint {
                name: name.to_owned(),
                moment,
                writes: transaction.own.len(),
                bytes: transaction.bytes,
                changes: transaction.changes.len(),
                parameters: self.parameters.clone(),
                locals: transaction.locals.clone(),
                cursors: self.cursors.born(),
            }),
            SavepointAction::Release => {
                let place = transaction.savepoint(name)?;
                transaction.savepoints.truncate(place);
            }
            SavepointAction::RollbackTo => {
                let back = transaction.roll_back_to(name)?;
                let first = provisional_id(transaction.changes.len());
                self.take_back(back, first);
            }
        }
        Ok(command(tag))
    }

    /// What the session goes back to at a savepoint.
    fn take_back(&mut self, kept: Kept, first_forgotten: RelationId) {
        self.drawing.forget_own(first_forgotten);
        self.parameters.restore(kept.parameters);
        self.cursors.close_younger(kept.cursors);
    }

    /// SET and RESET: after SET LOCAL the block's end no longer goes back.
    pub(super) fn set_for_session(&mut self, setting: &Setting) -> Result<(), SqlError> {
        self.parameters.set(&setting.name, setting.value.as_deref())?;
        if let Block::Open(transaction) = &mut self.block {
            transaction.locals.forget(&setting.name);
        }
        Ok(())
    }

    /// SET LOCAL, and a mode of the transaction.
    ///
    /// # Errors
    /// As SET; 25001 where a transaction that only reads is to write after its first query.
    pub(super) fn set_for_block(&mut self, setting: &Setting) -> Result<(), SqlError> {
        let Block::Open(transaction) = &mut self.block else { return Ok(()) };
        let before = self.parameters.clone();
        self.parameters.set(&setting.name, setting.value.as_deref())?;
        let was_on = before.show("transaction_read_only").as_deref() == Some("on");
        let is_on = self.parameters.show("transaction_read_only").as_deref() == Some("on");
        if was_on && !is_on && transaction.moment.is_some() {
            self.parameters.restore(before);
            let message = "transaction read-write mode must be set before any query";
            return Err(SqlError::new("25001", message));
        }
        transaction.locals.remember(&setting.name, &before);
        Ok(())
    }

    /// Commits what the block gathered; the block is over, however that goes.
    pub(super) async fn commit_block(&mut self) -> Result<(), SqlError> {
        if let Err(error) = self.drop_on_commit().await {
            self.fail();
            self.block = Block::None;
            self.cursors.roll_back();
            return Err(error);
        }
        let Block::Open(transaction) = mem::replace(&mut self.block, Block::None) else { return Ok(()) };
        let (saved, locals) = (transaction.saved_parameters.clone(), transaction.locals.clone());
        let committed = self.commit_transaction(*transaction).await;
        match committed {
            Ok(()) => {
                self.cursors.commit();
                self.parameters.end_locals(locals);
            }
            Err(_) => {
                self.cursors.roll_back();
                self.parameters.restore(saved);
            }
        }
        committed
    }

    async fn commit_transaction(&mut self, transaction: Transaction) -> Result<(), SqlError> {
        // The moment's hold lives until the commit is decided.
        let Some((mut request, _moment)) = transaction.into_request() else { return Ok(()) };
        self.drawing.settle(&mut request.catalog);
        self.drawing.forget_own(provisional_id(0));
        request.patience = self.patience;
        self.server.coordinator().commit(request).await.map(|_| ())
    }

    fn warn_no_block(&mut self) {
        self.notices.push(Notice::warning("25P01", "there is no transaction in progress"));
    }
}

/// 25P01, PostgreSQL's words.
fn only_in_block(action: SavepointAction) -> SqlError {
    let statement = match action {
        SavepointAction::Set => "SAVEPOINT",
        SavepointAction::Release => "RELEASE SAVEPOINT",
        SavepointAction::RollbackTo => "ROLLBACK TO SAVEPOINT",
    };
    SqlError::new("25P01", format!("{statement} can only be used in transaction blocks"))
}

/// A finished command.
pub(super) fn command(tag: impl Into<String>) -> Response {
    Response::Command { tag: tag.into() }
}
