//! Plans for any values of a statement's parameters, and the values that each run gives them.

use millrace_engine::Literal;

use super::change::{Change, ChangeKind, OnConflict};
use super::{Query, Sources};

impl Query {
    /// The same query, to run with these values of its placeholders.
    #[must_use]
    pub fn with_values(&self, values: &[Literal]) -> Query {
        Query { values: values.into(), ..self.clone() }
    }
}

impl Change {
    /// The same change, to run with these values of its placeholders.
    #[must_use]
    pub fn with_values(&self, values: &[Literal]) -> Change {
        let kind = match &self.kind {
            ChangeKind::Insert(Some(conflict)) => ChangeKind::Insert(Some(OnConflict {
                arbiters: conflict.arbiters.clone(),
                update: conflict.update.as_ref().map(|update| update.with_values(values)),
            })),
            kind @ (ChangeKind::Insert(None) | ChangeKind::Update | ChangeKind::Delete) => kind.clone(),
        };
        Change {
            kind,
            source: self.source.with_values(values),
            checks: self
                .checks
                .iter()
                .map(|(name, check)| (name.clone(), check.with_values(values)))
                .collect(),
            returning: self.returning.as_ref().map(|returning| returning.with_values(values)),
            ..self.clone()
        }
    }

    /// What each of its queries reads.
    pub fn sources(&self) -> Vec<Sources> {
        let update = match &self.kind {
            ChangeKind::Insert(Some(conflict)) => conflict.update.as_ref(),
            ChangeKind::Insert(None) | ChangeKind::Update | ChangeKind::Delete => None,
        };
        let checks = self.checks.iter().map(|(_, check)| check);
        let queries = std::iter::once(&self.source).chain(checks).chain(&self.returning).chain(update);
        queries.map(Query::sources).collect()
    }
}
