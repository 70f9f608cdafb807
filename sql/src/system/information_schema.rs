//! The relations of the schema `information_schema`: the standard's names and columns.

use super::types::{INT, TEXT};
use super::{Description, Schema, SystemRelation};

/// All of them.
#[rustfmt::skip]
pub(super) static RELATIONS: &[Description] = &[
    Description {
        relation: SystemRelation::InformationColumns, schema: Schema::InformationSchema, oid: 13295, name: "columns",
        columns: &[
            ("table_catalog", TEXT), ("table_schema", TEXT), ("table_name", TEXT), ("column_name", TEXT),
            ("ordinal_position", INT), ("column_default", TEXT), ("is_nullable", TEXT), ("data_type", TEXT),
            ("character_maximum_length", INT), ("character_octet_length", INT), ("numeric_precision", INT),
            ("numeric_precision_radix", INT), ("numeric_scale", INT), ("datetime_precision", INT),
            ("interval_type", TEXT), ("interval_precision", INT), ("character_set_catalog", TEXT),
            ("character_set_schema", TEXT), ("character_set_name", TEXT), ("collation_catalog", TEXT),
            ("collation_schema", TEXT), ("collation_name", TEXT), ("domain_catalog", TEXT),
            ("domain_schema", TEXT), ("domain_name", TEXT), ("udt_catalog", TEXT), ("udt_schema", TEXT),
            ("udt_name", TEXT), ("scope_catalog", TEXT), ("scope_schema", TEXT), ("scope_name", TEXT),
            ("maximum_cardinality", INT), ("dtd_identifier", TEXT), ("is_self_referencing", TEXT),
            ("is_identity", TEXT), ("identity_generation", TEXT), ("identity_start", TEXT),
            ("identity_increment", TEXT), ("identity_maximum", TEXT), ("identity_minimum", TEXT),
            ("identity_cycle", TEXT), ("is_generated", TEXT), ("generation_expression", TEXT),
            ("is_updatable", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::InformationKeys, schema: Schema::InformationSchema, oid: 13329, name: "key_column_usage",
        columns: &[
            ("constraint_catalog", TEXT), ("constraint_schema", TEXT), ("constraint_name", TEXT),
            ("table_catalog", TEXT), ("table_schema", TEXT), ("table_name", TEXT), ("column_name", TEXT),
            ("ordinal_position", INT), ("position_in_unique_constraint", INT),
        ],
    },
    Description {
        relation: SystemRelation::InformationSchemata, schema: Schema::InformationSchema, oid: 13382, name: "schemata",
        columns: &[
            ("catalog_name", TEXT), ("schema_name", TEXT), ("schema_owner", TEXT),
            ("default_character_set_catalog", TEXT), ("default_character_set_schema", TEXT),
            ("default_character_set_name", TEXT), ("sql_path", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::InformationSequences, schema: Schema::InformationSchema, oid: 13387, name: "sequences",
        columns: &[
            ("sequence_catalog", TEXT), ("sequence_schema", TEXT), ("sequence_name", TEXT), ("data_type", TEXT),
            ("numeric_precision", INT), ("numeric_precision_radix", INT), ("numeric_scale", INT),
            ("start_value", TEXT), ("minimum_value", TEXT), ("maximum_value", TEXT), ("increment", TEXT),
            ("cycle_option", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::InformationConstraints, schema: Schema::InformationSchema, oid: 13411, name: "table_constraints",
        columns: &[
            ("constraint_catalog", TEXT), ("constraint_schema", TEXT), ("constraint_name", TEXT),
            ("table_catalog", TEXT), ("table_schema", TEXT), ("table_name", TEXT), ("constraint_type", TEXT),
            ("is_deferrable", TEXT), ("initially_deferred", TEXT), ("enforced", TEXT),
            ("nulls_distinct", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::InformationTables, schema: Schema::InformationSchema, oid: 13425, name: "tables",
        columns: &[
            ("table_catalog", TEXT), ("table_schema", TEXT), ("table_name", TEXT), ("table_type", TEXT),
            ("self_referencing_column_name", TEXT), ("reference_generation", TEXT),
            ("user_defined_type_catalog", TEXT), ("user_defined_type_schema", TEXT),
            ("user_defined_type_name", TEXT), ("is_insertable_into", TEXT), ("is_typed", TEXT),
            ("commit_action", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::InformationViews, schema: Schema::InformationSchema, oid: 13483, name: "views",
        columns: &[
            ("table_catalog", TEXT), ("table_schema", TEXT), ("table_name", TEXT), ("view_definition", TEXT),
            ("check_option", TEXT), ("is_updatable", TEXT), ("is_insertable_into", TEXT),
            ("is_trigger_updatable", TEXT), ("is_trigger_deletable", TEXT),
            ("is_trigger_insertable_into", TEXT),
        ],
    },
];
