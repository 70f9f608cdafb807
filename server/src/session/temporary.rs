//! The session's temporary relations: a schema of its own, first in its path, which goes with the session.
//!
//! They are relations like others: in the catalog, in the log and on the workers. So whatever a crash leaves of a
//! session's goes when the server starts again.

use std::sync::Arc;

use millrace_sql::{
    Catalog, CatalogChange, OnCommit, Relation, SqlError, create_temporary_schema, is_temporary_schema,
    quoted, temporary_schema_name,
};

use crate::coordinator::Write;
use crate::server::Server;
use crate::session::block::Block;
use crate::session::write::{Prepared, Task};
use crate::session::{Response, Session};

/// Who drops what is left.
const USER: &str = "millrace";

/// A session's schema of temporary relations.
pub(super) struct Temporary {
    name: Arc<str>,
    /// Whether the session has created it, and it may be there.
    is_made: bool,
}

impl Temporary {
    /// That of a session of this number.
    pub(super) fn new(number: u64) -> Temporary {
        Temporary { name: temporary_schema_name(number).into(), is_made: false }
    }

    /// What `pg_temp` means.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl Session {
    /// Sees to it that something temporary can be created: in a block the schema is created in it.
    pub(super) async fn make_temporary_schema(&mut self) -> Result<(), SqlError> {
        let name = self.temporary.name.clone();
        let is_there = self.catalog().schemas().any(|schema| *schema.name == *name);
        if is_there || matches!(self.block, Block::Failed { .. }) {
            return Ok(());
        }
        self.temporary.is_made = true;
        let task = || Task::Bound(create_temporary_schema(&name));
        let moment = self.moment();
        self.perform(task(), |_| Ok(task()), moment).await?;
        Ok(())
    }

    /// Drops, as a part of the block, the tables that go when it commits.
    pub(super) async fn drop_on_commit(&mut self) -> Result<(), SqlError> {
        if !self.temporary.is_made || !matches!(self.block, Block::Open(_)) {
            return Ok(());
        }
        let catalog = self.catalog();
        let goes = |relation: &&Arc<Relation>| {
            relation.on_commit() == OnCommit::Drop && catalog.schema_of(relation) == &*self.temporary.name
        };
        let schema = quoted(&self.temporary.name);
        let names = catalog.relations().filter(goes);
        let names: Vec<String> =
            names.map(|relation| format!("{schema}.{}", quoted(&relation.name))).collect();
        if names.is_empty() {
            return Ok(());
        }
        let notices = std::mem::take(&mut self.notices);
        for statement in self.parse(&format!("DROP TABLE {} CASCADE", names.join(", ")))? {
            let moment = self.moment();
            let bound = self.bind(&statement, &[], None, &moment.catalog)?;
            self.change(&statement, &[], bound, moment).await?;
        }
        self.notices = notices;
        Ok(())
    }

    /// DISCARD TEMP: as a part of the block, or by itself.
    pub(super) async fn discard_temporary(&mut self) -> Result<(), SqlError> {
        if !self.temporary.is_made {
            return Ok(());
        }
        let statements = self.parse(&drop_text(&self.temporary.name))?;
        let notices = std::mem::take(&mut self.notices);
        for statement in &statements {
            Box::pin(self.run(statement, &[], None)).await?;
        }
        self.notices = notices;
        Ok(())
    }
}

impl Drop for Session {
    /// What is temporary goes a moment after its session.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.temporary.is_made {
            let (server, name) = (self.server.clone(), self.temporary.name.clone());
            runtime.spawn(async move {
                if let Err(error) = drop_schema(&server, &name).await {
                    // The next start tries again.
                    tracing::warn!(schema = %name, error = %error.message, "temporary relations stay");
                }
            });
        }
    }
}

/// Drops what the sessions of an earlier run have left.
///
/// # Errors
/// Where it cannot be committed.
pub(crate) async fn drop_left(server: &Arc<Server>) -> Result<(), SqlError> {
    let is_left = |name: &String| is_temporary_schema(name);
    let names =
        |catalog: &Catalog| catalog.schemas().map(|schema| schema.name.clone()).filter(is_left).collect();
    let left: Vec<String> = names(&server.catalog());
    for name in left {
        drop_schema(server, &name).await?;
    }
    Ok(())
}

async fn drop_schema(server: &Arc<Server>, name: &str) -> Result<(), SqlError> {
    let mut session = Session::new(server.clone(), USER.to_owned(), USER.to_owned());
    for statement in session.parse(&drop_text(name))? {
        let _: Response = session.execute(&statement, &[]).await?;
    }
    Ok(())
}

/// Leaves away what a statement that commits by itself has done to tables whose rows go at its commit, or which go
/// themselves.
pub(super) fn forget_what_goes(prepared: &mut Prepared, catalog: &Catalog) {
    let created: Vec<&Relation> = prepared.changes.iter().filter_map(relation_of).collect();
    let is_dropped = created.iter().any(|relation| relation.on_commit() == OnCommit::Drop);
    let stays = |write: &Write| {
        let own = created.iter().find(|relation| relation.id == write.relation).copied();
        own.or_else(|| catalog.by_id(write.relation).map(Arc::as_ref))
            .is_none_or(|relation| relation.on_commit().keeps_all())
    };
    prepared.writes.retain(stays);
    if is_dropped {
        prepared.changes.clear();
    }
}

fn relation_of(change: &CatalogChange) -> Option<&Relation> {
    match change {
        CatalogChange::Create(relation) => Some(relation),
        _ => None,
    }
}

fn drop_text(schema: &str) -> String {
    format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(schema))
}
