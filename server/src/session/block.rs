//! The transaction block: what its statements see, and what they gather for one commit.
//!
//! All statements of a block read at one tick, the newest at its first statement; everything they
//! write becomes one commit, at one tick, when the block ends. A block that wrote is refused with
//! 40001 if a table that it read has changed meanwhile.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use millrace_engine::RelationId;
use millrace_sql::{Bound, Catalog, CatalogChange, SqlError};

use crate::coordinator::{Moment, Reads, Request, Write};
use crate::session::parameters::Parameters;
use crate::session::{Notice, Response, Session};

/// The most bytes of rows that one block may hold in memory before its commit.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Where the session stands.
pub(super) enum Block {
    /// Each statement commits by itself.
    None,
    /// Statements gather.
    Open(Transaction),
    /// A statement failed; nothing of the block will be.
    Failed {
        /// BEGIN opened it.
        explicit: bool,
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
    writes: Vec<Write>,
    bytes: usize,
    reads: BTreeSet<RelationId>,
    /// Changes of the catalog, provisional ids in place.
    pub(super) changes: Vec<CatalogChange>,
}

impl Transaction {
    /// A block without statements.
    pub(super) fn new(explicit: bool, saved_parameters: Parameters) -> Transaction {
        Transaction {
            explicit,
            saved_parameters,
            moment: None,
            writes: Vec::new(),
            bytes: 0,
            reads: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// The tables that the block has written.
    pub(super) fn written(&self) -> BTreeSet<RelationId> {
        self.writes.iter().map(|write| write.relation).collect()
    }

    /// Changes the catalog that the rest of the block sees.
    ///
    /// # Errors
    /// What applying it raises.
    pub(super) fn change_catalog(&mut self, moment: &Moment, change: CatalogChange) -> Result<(), SqlError> {
        let mut catalog = Catalog::clone(&moment.catalog);
        catalog.apply(&change)?;
        if let CatalogChange::Drop(ids) = &change {
            // What was read stays noted: rows of a dropped table may have been copied elsewhere.
            self.writes.retain(|write| !ids.contains(&write.relation));
        }
        self.moment = Some(Moment { catalog: Arc::new(catalog), ..moment.clone() });
        self.changes.push(change);
        Ok(())
    }

    /// Adds rows to what the block will commit, and what they depend on.
    ///
    /// # Errors
    /// 53200 where the block grows too large.
    pub(super) fn gather(&mut self, writes: Vec<Write>, reads: BTreeSet<RelationId>) -> Result<(), SqlError> {
        self.bytes += writes.iter().map(Write::bytes).sum::<usize>();
        if self.bytes > BLOCK_BYTES_MAX {
            return Err(too_large("the transaction", BLOCK_BYTES_MAX));
        }
        self.writes.extend(writes);
        self.reads.extend(reads);
        Ok(())
    }

    /// What the block commits; `None` where it only read: then it was right at its tick.
    fn into_request(self) -> Option<(Request, Moment)> {
        let moment = self.moment?;
        if self.writes.is_empty() && self.changes.is_empty() {
            return None;
        }
        let reads = Reads { tick: moment.tick, relations: self.reads };
        Some((Request { writes: self.writes, reads, catalog: self.changes, alone: None }, moment))
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
            Block::Open(Transaction { moment: Some(moment), .. }) => moment.catalog.clone(),
            Block::None | Block::Open(_) | Block::Failed { .. } => self.server.catalog(),
        }
    }

    /// In a failed block only its end is heard.
    pub(super) fn check_not_failed(&self, bound: Result<&Bound, &SqlError>) -> Result<(), SqlError> {
        match (&self.block, bound) {
            (Block::None | Block::Open(_), _)
            | (Block::Failed { .. }, Ok(Bound::Commit | Bound::Rollback)) => Ok(()),
            (Block::Failed { .. }, _) => Err(block_failed()),
        }
    }

    /// BEGIN. An implicit transaction becomes the block.
    pub(super) fn begin(&mut self) -> Response {
        match &mut self.block {
            Block::Open(transaction) if !transaction.explicit => transaction.explicit = true,
            Block::Open(_) | Block::Failed { .. } => {
                self.notices.push(Notice::warning("25001", "there is already a transaction in progress"));
            }
            Block::None => self.block = Block::Open(Transaction::new(true, self.parameters.clone())),
        }
        command("BEGIN")
    }

    /// COMMIT. A failed block answers ROLLBACK, as PostgreSQL does.
    pub(super) async fn commit(&mut self) -> Result<Response, SqlError> {
        match &self.block {
            Block::Open(transaction) => {
                if !transaction.explicit {
                    self.warn_no_block();
                }
                self.commit_block().await?;
                Ok(command("COMMIT"))
            }
            Block::Failed { .. } => Ok(self.rollback()),
            Block::None => {
                self.warn_no_block();
                Ok(command("COMMIT"))
            }
        }
    }

    /// ROLLBACK.
    pub(super) fn rollback(&mut self) -> Response {
        match mem::replace(&mut self.block, Block::None) {
            Block::Open(transaction) => {
                if !transaction.explicit {
                    self.warn_no_block();
                }
                self.parameters.restore(transaction.saved_parameters);
            }
            Block::Failed { explicit: true } => {}
            Block::None | Block::Failed { explicit: false } => self.warn_no_block(),
        }
        command("ROLLBACK")
    }

    /// Commits what the block gathered; the block is over, however that goes.
    pub(super) async fn commit_block(&mut self) -> Result<(), SqlError> {
        match mem::replace(&mut self.block, Block::None) {
            Block::Open(transaction) => self.commit_transaction(transaction).await,
            Block::None | Block::Failed { .. } => Ok(()),
        }
    }

    async fn commit_transaction(&mut self, transaction: Transaction) -> Result<(), SqlError> {
        let saved_parameters = transaction.saved_parameters.clone();
        // The moment's hold lives until the commit is decided.
        let Some((request, _moment)) = transaction.into_request() else { return Ok(()) };
        let committed = self.server.coordinator().commit(request).await;
        if committed.is_err() {
            self.parameters.restore(saved_parameters);
        }
        committed.map(|_| ())
    }

    fn warn_no_block(&mut self) {
        self.notices.push(Notice::warning("25P01", "there is no transaction in progress"));
    }
}

/// A finished command.
pub(super) fn command(tag: impl Into<String>) -> Response {
    Response::Command { tag: tag.into() }
}
