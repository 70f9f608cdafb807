//! The relations of the schema `millrace`: what the server tells of itself.
//!
//! They are read like tables. Their rows are made when a query asks, at the query's tick, by the
//! server; the catalog does not hold them, so nothing can be created over them, written to them or
//! dropped. Their ids are far from those that relations and transactions give.

use millrace_engine::{DataType, RelationId};

use crate::catalog::Column;

/// The schema.
pub(crate) const SCHEMA: &str = "millrace";

/// Ids of system relations begin here; those of a transaction's new relations lie higher.
const FIRST_ID: u64 = 1 << 62;

/// A relation of the schema `millrace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRelation {
    /// How far each relation is complete, and what it holds.
    Frontiers,
    /// Which relations can be read, and how far the others have come.
    Hydration,
    /// The rows in error of each relation.
    ViewErrors,
}

impl SystemRelation {
    /// All of them, in the order of their ids.
    pub const ALL: [SystemRelation; 3] =
        [SystemRelation::Frontiers, SystemRelation::Hydration, SystemRelation::ViewErrors];

    /// The name in the schema.
    pub fn name(self) -> &'static str {
        match self {
            SystemRelation::Frontiers => "frontiers",
            SystemRelation::Hydration => "hydration",
            SystemRelation::ViewErrors => "view_errors",
        }
    }

    /// The id by which queries read it.
    pub fn id(self) -> RelationId {
        let place = SystemRelation::ALL.iter().position(|other| *other == self).unwrap_or_default();
        RelationId(FIRST_ID + place as u64)
    }

    /// The system relation of this id.
    pub fn of_id(id: RelationId) -> Option<SystemRelation> {
        SystemRelation::ALL.into_iter().find(|relation| relation.id() == id)
    }

    /// The system relation of this name.
    pub(crate) fn of_name(name: &str) -> Option<SystemRelation> {
        SystemRelation::ALL.into_iter().find(|relation| relation.name() == name)
    }

    /// The columns.
    pub fn columns(self) -> Vec<Column> {
        use DataType::{Boolean, Int64, Text};
        let columns: &[(&str, DataType, bool)] = match self {
            SystemRelation::Frontiers => &[
                ("relation", Text, false),
                ("kind", Text, false),
                ("upper", Int64, true),
                ("since", Int64, true),
                ("lag", Int64, true),
                ("state_rows", Int64, false),
                ("state_bytes", Int64, false),
            ],
            SystemRelation::Hydration => &[
                ("relation", Text, false),
                ("hydrated", Boolean, false),
                ("rows", Int64, false),
                ("rows_all", Int64, false),
                ("state_bytes", Int64, false),
                ("tick", Int64, false),
            ],
            SystemRelation::ViewErrors => &[
                ("relation", Text, false),
                ("sqlstate", Text, false),
                ("message", Text, false),
                ("count", Int64, false),
                ("operator", Text, true),
            ],
        };
        let column = |(name, data_type, nullable): &(&str, DataType, bool)| Column {
            name: (*name).to_owned(),
            data_type: *data_type,
            nullable: *nullable,
        };
        columns.iter().map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name_and_by_its_id() {
        for relation in SystemRelation::ALL {
            assert_eq!(SystemRelation::of_name(relation.name()), Some(relation));
            assert_eq!(SystemRelation::of_id(relation.id()), Some(relation));
        }
        assert_eq!(SystemRelation::of_id(RelationId(1)), None);
    }
}
