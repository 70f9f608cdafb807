//! The relations of the schema `pg_catalog` that have rows: PostgreSQL's names, columns and oids.

use super::types::{BIGINT, BOOL, FLOAT, INT, OID, TEXT, TEXTS};
use super::{Description, Schema, SystemRelation};

/// All of them.
#[rustfmt::skip]
pub(super) static RELATIONS: &[Description] = &[
    Description {
        relation: SystemRelation::AccessMethods, schema: Schema::PgCatalog, oid: 2601, name: "pg_am",
        columns: &[
            ("oid", OID), ("amname", TEXT), ("amhandler", TEXT), ("amtype", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Defaults, schema: Schema::PgCatalog, oid: 2604, name: "pg_attrdef",
        columns: &[
            ("oid", OID), ("adrelid", OID), ("adnum", INT), ("adbin", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Attributes, schema: Schema::PgCatalog, oid: 1249, name: "pg_attribute",
        columns: &[
            ("attrelid", OID), ("attname", TEXT), ("atttypid", OID), ("attstattarget", INT), ("attlen", INT),
            ("attnum", INT), ("attndims", INT), ("attcacheoff", INT), ("atttypmod", INT), ("attbyval", BOOL),
            ("attalign", TEXT), ("attstorage", TEXT), ("attcompression", TEXT), ("attnotnull", BOOL),
            ("atthasdef", BOOL), ("atthasmissing", BOOL), ("attidentity", TEXT), ("attgenerated", TEXT),
            ("attisdropped", BOOL), ("attislocal", BOOL), ("attinhcount", INT), ("attcollation", OID),
            ("attacl", TEXT), ("attoptions", TEXT), ("attfdwoptions", TEXT), ("attmissingval", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Classes, schema: Schema::PgCatalog, oid: 1259, name: "pg_class",
        columns: &[
            ("oid", OID), ("relname", TEXT), ("relnamespace", OID), ("reltype", OID), ("reloftype", OID),
            ("relowner", OID), ("relam", OID), ("relfilenode", OID), ("reltablespace", OID),
            ("relpages", INT), ("reltuples", FLOAT), ("relallvisible", INT), ("reltoastrelid", OID),
            ("relhasindex", BOOL), ("relisshared", BOOL), ("relpersistence", TEXT), ("relkind", TEXT),
            ("relnatts", INT), ("relchecks", INT), ("relhasrules", BOOL), ("relhastriggers", BOOL),
            ("relhassubclass", BOOL), ("relrowsecurity", BOOL), ("relforcerowsecurity", BOOL),
            ("relispopulated", BOOL), ("relreplident", TEXT), ("relispartition", BOOL), ("relrewrite", OID),
            ("relfrozenxid", BIGINT), ("relminmxid", BIGINT), ("relacl", TEXT), ("reloptions", TEXTS),
            ("relpartbound", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Collations, schema: Schema::PgCatalog, oid: 3456, name: "pg_collation",
        columns: &[
            ("oid", OID), ("collname", TEXT), ("collnamespace", OID), ("collowner", OID),
            ("collprovider", TEXT), ("collisdeterministic", BOOL), ("collencoding", INT),
            ("collcollate", TEXT), ("collctype", TEXT), ("colliculocale", TEXT), ("collversion", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Constraints, schema: Schema::PgCatalog, oid: 2606, name: "pg_constraint",
        columns: &[
            ("oid", OID), ("conname", TEXT), ("connamespace", OID), ("contype", TEXT),
            ("condeferrable", BOOL), ("condeferred", BOOL), ("convalidated", BOOL), ("conrelid", OID),
            ("contypid", OID), ("conindid", OID), ("conparentid", OID), ("confrelid", OID),
            ("confupdtype", TEXT), ("confdeltype", TEXT), ("confmatchtype", TEXT), ("conislocal", BOOL),
            ("coninhcount", INT), ("connoinherit", BOOL), ("conkey", TEXT), ("confkey", TEXT),
            ("conpfeqop", TEXT), ("conppeqop", TEXT), ("conffeqop", TEXT), ("confdelsetcols", TEXT),
            ("conexclop", TEXT), ("conbin", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Databases, schema: Schema::PgCatalog, oid: 1262, name: "pg_database",
        columns: &[
            ("oid", OID), ("datname", TEXT), ("datdba", OID), ("encoding", INT), ("datlocprovider", TEXT),
            ("datistemplate", BOOL), ("datallowconn", BOOL), ("datconnlimit", INT), ("datfrozenxid", BIGINT),
            ("datminmxid", BIGINT), ("dattablespace", OID), ("datcollate", TEXT), ("datctype", TEXT),
            ("daticulocale", TEXT), ("datcollversion", TEXT), ("datacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Indexes, schema: Schema::PgCatalog, oid: 2610, name: "pg_index",
        columns: &[
            ("indexrelid", OID), ("indrelid", OID), ("indnatts", INT), ("indnkeyatts", INT),
            ("indisunique", BOOL), ("indnullsnotdistinct", BOOL), ("indisprimary", BOOL),
            ("indisexclusion", BOOL), ("indimmediate", BOOL), ("indisclustered", BOOL), ("indisvalid", BOOL),
            ("indcheckxmin", BOOL), ("indisready", BOOL), ("indislive", BOOL), ("indisreplident", BOOL),
            ("indkey", TEXT), ("indcollation", TEXT), ("indclass", TEXT), ("indoption", TEXT),
            ("indexprs", TEXT), ("indpred", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::IndexTexts, schema: Schema::PgCatalog, oid: 12043, name: "pg_indexes",
        columns: &[
            ("schemaname", TEXT), ("tablename", TEXT), ("indexname", TEXT), ("tablespace", TEXT),
            ("indexdef", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::MaterializedViews, schema: Schema::PgCatalog, oid: 12038, name: "pg_matviews",
        columns: &[
            ("schemaname", TEXT), ("matviewname", TEXT), ("matviewowner", TEXT), ("tablespace", TEXT),
            ("hasindexes", BOOL), ("ispopulated", BOOL), ("definition", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Namespaces, schema: Schema::PgCatalog, oid: 2615, name: "pg_namespace",
        columns: &[
            ("oid", OID), ("nspname", TEXT), ("nspowner", OID), ("nspacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Roles, schema: Schema::PgCatalog, oid: 12000, name: "pg_roles",
        columns: &[
            ("rolname", TEXT), ("rolsuper", BOOL), ("rolinherit", BOOL), ("rolcreaterole", BOOL),
            ("rolcreatedb", BOOL), ("rolcanlogin", BOOL), ("rolreplication", BOOL), ("rolconnlimit", INT),
            ("rolpassword", TEXT), ("rolvaliduntil", TEXT), ("rolbypassrls", BOOL), ("rolconfig", TEXT),
            ("oid", OID),
        ],
    },
    Description {
        relation: SystemRelation::Settings, schema: Schema::PgCatalog, oid: 12104, name: "pg_settings",
        columns: &[
            ("name", TEXT), ("setting", TEXT), ("unit", TEXT), ("category", TEXT), ("short_desc", TEXT),
            ("extra_desc", TEXT), ("context", TEXT), ("vartype", TEXT), ("source", TEXT), ("min_val", TEXT),
            ("max_val", TEXT), ("enumvals", TEXT), ("boot_val", TEXT), ("reset_val", TEXT),
            ("sourcefile", TEXT), ("sourceline", INT), ("pending_restart", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Tables, schema: Schema::PgCatalog, oid: 12033, name: "pg_tables",
        columns: &[
            ("schemaname", TEXT), ("tablename", TEXT), ("tableowner", TEXT), ("tablespace", TEXT),
            ("hasindexes", BOOL), ("hasrules", BOOL), ("hastriggers", BOOL), ("rowsecurity", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Tablespaces, schema: Schema::PgCatalog, oid: 1213, name: "pg_tablespace",
        columns: &[
            ("oid", OID), ("spcname", TEXT), ("spcowner", OID), ("spcacl", TEXT), ("spcoptions", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Types, schema: Schema::PgCatalog, oid: 1247, name: "pg_type",
        columns: &[
            ("oid", OID), ("typname", TEXT), ("typnamespace", OID), ("typowner", OID), ("typlen", INT),
            ("typbyval", BOOL), ("typtype", TEXT), ("typcategory", TEXT), ("typispreferred", BOOL),
            ("typisdefined", BOOL), ("typdelim", TEXT), ("typrelid", OID), ("typsubscript", TEXT),
            ("typelem", OID), ("typarray", OID), ("typinput", TEXT), ("typoutput", TEXT),
            ("typreceive", TEXT), ("typsend", TEXT), ("typmodin", TEXT), ("typmodout", TEXT),
            ("typanalyze", TEXT), ("typalign", TEXT), ("typstorage", TEXT), ("typnotnull", BOOL),
            ("typbasetype", OID), ("typtypmod", INT), ("typndims", INT), ("typcollation", OID),
            ("typdefaultbin", TEXT), ("typdefault", TEXT), ("typacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Users, schema: Schema::PgCatalog, oid: 12014, name: "pg_user",
        columns: &[
            ("usename", TEXT), ("usesysid", OID), ("usecreatedb", BOOL), ("usesuper", BOOL),
            ("userepl", BOOL), ("usebypassrls", BOOL), ("passwd", TEXT), ("valuntil", TEXT),
            ("useconfig", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Views, schema: Schema::PgCatalog, oid: 12028, name: "pg_views",
        columns: &[
            ("schemaname", TEXT), ("viewname", TEXT), ("viewowner", TEXT), ("definition", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Sequences, schema: Schema::PgCatalog, oid: 2224, name: "pg_sequence",
        columns: &[
            ("seqrelid", OID), ("seqtypid", OID), ("seqstart", BIGINT), ("seqincrement", BIGINT),
            ("seqmax", BIGINT), ("seqmin", BIGINT), ("seqcache", BIGINT), ("seqcycle", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Dependencies, schema: Schema::PgCatalog, oid: 2608, name: "pg_depend",
        columns: &[
            ("classid", OID), ("objid", OID), ("objsubid", INT), ("refclassid", OID), ("refobjid", OID),
            ("refobjsubid", INT), ("deptype", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::SequenceTexts, schema: Schema::PgCatalog, oid: 12048, name: "pg_sequences",
        columns: &[
            ("schemaname", TEXT), ("sequencename", TEXT), ("sequenceowner", TEXT), ("data_type", TEXT),
            ("start_value", BIGINT), ("min_value", BIGINT), ("max_value", BIGINT), ("increment_by", BIGINT),
            ("cycle", BOOL), ("cache_size", BIGINT), ("last_value", BIGINT),
        ],
    },
    Description {
        relation: SystemRelation::Descriptions, schema: Schema::PgCatalog, oid: 2609, name: "pg_description",
        columns: &[
            ("objoid", OID), ("classoid", OID), ("objsubid", INT), ("description", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Casts, schema: Schema::PgCatalog, oid: 2605, name: "pg_cast",
        columns: &[
            ("oid", OID), ("castsource", OID), ("casttarget", OID), ("castfunc", OID), ("castcontext", TEXT),
            ("castmethod", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Languages, schema: Schema::PgCatalog, oid: 2612, name: "pg_language",
        columns: &[
            ("oid", OID), ("lanname", TEXT), ("lanowner", OID), ("lanispl", BOOL), ("lanpltrusted", BOOL),
            ("lanplcallfoid", OID), ("laninline", OID), ("lanvalidator", OID), ("lanacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Functions, schema: Schema::PgCatalog, oid: 1255, name: "pg_proc",
        columns: &[
            ("oid", OID), ("proname", TEXT), ("pronamespace", OID), ("proowner", OID), ("prolang", OID),
            ("procost", FLOAT), ("prorows", FLOAT), ("provariadic", OID), ("prosupport", TEXT),
            ("prokind", TEXT), ("prosecdef", BOOL), ("proleakproof", BOOL), ("proisstrict", BOOL),
            ("proretset", BOOL), ("provolatile", TEXT), ("proparallel", TEXT), ("pronargs", INT),
            ("pronargdefaults", INT), ("prorettype", OID), ("proargtypes", TEXT), ("proallargtypes", TEXT),
            ("proargmodes", TEXT), ("proargnames", TEXT), ("proargdefaults", TEXT), ("protrftypes", TEXT),
            ("prosrc", TEXT), ("probin", TEXT), ("prosqlbody", TEXT), ("proconfig", TEXT), ("proacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Operators, schema: Schema::PgCatalog, oid: 2617, name: "pg_operator",
        columns: &[
            ("oid", OID), ("oprname", TEXT), ("oprnamespace", OID), ("oprowner", OID), ("oprkind", TEXT),
            ("oprcanmerge", BOOL), ("oprcanhash", BOOL), ("oprleft", OID), ("oprright", OID),
            ("oprresult", OID), ("oprcom", OID), ("oprnegate", OID), ("oprcode", OID), ("oprrest", OID),
            ("oprjoin", OID),
        ],
    },
];
