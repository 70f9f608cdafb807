//! The relations of the schema `millrace`: what the server tells of itself beyond PostgreSQL's catalogs.

use super::types::{BIGINT, BOOL, INT, OID, TEXT};
use super::{Description, Schema, SystemRelation};

/// All of them.
#[rustfmt::skip]
pub(super) static RELATIONS: &[Description] = &[
    Description {
        relation: SystemRelation::Frontiers, schema: Schema::Millrace, oid: 16011, name: "frontiers",
        columns: &[
            ("schema", TEXT), ("relation", TEXT), ("kind", TEXT), ("upper", BIGINT), ("since", BIGINT), ("lag", BIGINT),
            ("state_rows", BIGINT), ("state_bytes", BIGINT),
        ],
    },
    Description {
        relation: SystemRelation::Hydration, schema: Schema::Millrace, oid: 16012, name: "hydration",
        columns: &[
            ("schema", TEXT), ("relation", TEXT), ("hydrated", BOOL), ("rows", BIGINT), ("rows_all", BIGINT),
            ("state_bytes", BIGINT), ("tick", BIGINT),
        ],
    },
    Description {
        relation: SystemRelation::ViewErrors, schema: Schema::Millrace, oid: 16013, name: "view_errors",
        columns: &[
            ("schema", TEXT), ("relation", TEXT), ("sqlstate", TEXT), ("message", TEXT), ("count", BIGINT), ("operator", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Definitions, schema: Schema::Millrace, oid: 16014, name: "definitions",
        columns: &[("oid", OID), ("part", INT), ("definition", TEXT)],
    },
    Description {
        relation: SystemRelation::Names, schema: Schema::Millrace, oid: 16015, name: "names",
        columns: &[("oid", OID), ("name", TEXT), ("qualified", TEXT), ("visible", BOOL)],
    },
    Description {
        relation: SystemRelation::Sizes, schema: Schema::Millrace, oid: 16016, name: "sizes",
        columns: &[("oid", OID), ("bytes", BIGINT), ("indexes", BIGINT)],
    },
    Description {
        relation: SystemRelation::Signatures, schema: Schema::Millrace, oid: 16017, name: "signatures",
        columns: &[("oid", OID), ("arguments", TEXT), ("identity", TEXT), ("result", TEXT)],
    },
];
