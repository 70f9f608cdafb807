//! Which shared arrangements a worker has: made for the first view or index that wants one, stopped with
//! the last. Every worker does this at the same commands.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::{Installation, Parts, WorkerState};
use crate::dataflow::arrangement::Start;
use crate::dataflow::meter::Meter;
use crate::dataflow::shared::{ArrangementKey, Export, SharedArrangement, shareable};
use crate::dataflow::turns::Token;
use crate::engine::ViewSpec;
use crate::error::EngineError;
use crate::types::Tick;

impl WorkerState<'_> {
    /// Sees to it that the arrangements exist that a new view can share, and counts it among their users.
    /// A restored view has them in its own saved state.
    pub(super) fn use_shared(&mut self, installation: &Installation) -> Vec<ArrangementKey> {
        let Start::Fresh(as_of) = installation.start else { return Vec::new() };
        let keeps_rows = |relation| self.published.get(&relation).is_some_and(|found| found.keeps_rows());
        let mut uses = shareable(&installation.plan);
        uses.retain(|key| key.relation().is_some_and(keeps_rows));
        uses.iter().for_each(|key| self.use_arrangement(key, &installation.spec, as_of));
        uses
    }

    /// One more uses an arrangement, which is made where it is the first.
    pub(super) fn use_arrangement(&mut self, key: &ArrangementKey, user: &ViewSpec, as_of: Tick) {
        if !self.shared.contains_key(key)
            && let Some(arrangement) = self.arrange(key, user, as_of)
        {
            self.shared.insert(key.clone(), arrangement);
        }
        if let Some(arrangement) = self.shared.get_mut(key) {
            arrangement.users += 1;
        }
    }

    /// Builds a shared arrangement for a view or an index that wants it.
    fn arrange(&mut self, key: &ArrangementKey, user: &ViewSpec, as_of: Tick) -> Option<SharedArrangement> {
        let (token, export) = (Token::new(&self.background), Export::new(as_of));
        let meter = Arc::new(Meter::new(&user.name, self.worker.peers(), None));
        let parts =
            Parts { compiler: self.crew.compiler.as_ref(), relations: &self.published, clock: &self.clock };
        let nothing = HashMap::new();
        let name = format!("arrangement for {}", user.name);
        let rendered = self.worker.dataflow_named(&name, |scope| {
            let renderer = parts.renderer(scope, Start::Fresh(as_of), user, &token, &meter, &nothing);
            let (arranged, errors) = renderer.shared_arrangement(key, Rc::clone(&export))?;
            Ok::<_, EngineError>((arranged.trace, errors))
        });
        match rendered {
            Ok((trace, errors)) => {
                Some(SharedArrangement::new(trace, export, errors, Arc::clone(&meter), token, as_of))
            }
            Err(error) => {
                token.press();
                tracing::error!(%error, user = user.name, "a checked plan was not arranged");
                None
            }
        }
    }

    /// A view uses these no longer; the last user stops an arrangement.
    pub(super) fn release_shared(&mut self, uses: &[ArrangementKey]) {
        for key in uses {
            let Some(arrangement) = self.shared.get_mut(key) else { continue };
            arrangement.users -= 1;
            if arrangement.users == 0 {
                arrangement.stop(self.worker.index());
                self.shared.remove(key);
            }
        }
    }
}
