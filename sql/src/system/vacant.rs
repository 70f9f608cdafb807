//! The relations of the schema `pg_catalog` that never have a row, for what they tell of is not there: clients
//! join them all the same.

use super::types::{BOOL, FLOAT, INT, OID, TEXT};
use super::{Description, Schema, SystemRelation};

/// All of them.
#[rustfmt::skip]
pub(super) static RELATIONS: &[Description] = &[
    Description {
        relation: SystemRelation::Vacant(1261), schema: Schema::PgCatalog, oid: 1261, name: "pg_auth_members",
        columns: &[
            ("roleid", OID), ("member", OID), ("grantor", OID), ("admin_option", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3501), schema: Schema::PgCatalog, oid: 3501, name: "pg_enum",
        columns: &[
            ("oid", OID), ("enumtypid", OID), ("enumsortorder", FLOAT), ("enumlabel", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3466), schema: Schema::PgCatalog, oid: 3466, name: "pg_event_trigger",
        columns: &[
            ("oid", OID), ("evtname", TEXT), ("evtevent", TEXT), ("evtowner", OID), ("evtfoid", OID),
            ("evtenabled", TEXT), ("evttags", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3079), schema: Schema::PgCatalog, oid: 3079, name: "pg_extension",
        columns: &[
            ("oid", OID), ("extname", TEXT), ("extowner", OID), ("extnamespace", OID),
            ("extrelocatable", BOOL), ("extversion", TEXT), ("extconfig", TEXT), ("extcondition", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2328), schema: Schema::PgCatalog, oid: 2328, name: "pg_foreign_data_wrapper",
        columns: &[
            ("oid", OID), ("fdwname", TEXT), ("fdwowner", OID), ("fdwhandler", OID), ("fdwvalidator", OID),
            ("fdwacl", TEXT), ("fdwoptions", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(1417), schema: Schema::PgCatalog, oid: 1417, name: "pg_foreign_server",
        columns: &[
            ("oid", OID), ("srvname", TEXT), ("srvowner", OID), ("srvfdw", OID), ("srvtype", TEXT),
            ("srvversion", TEXT), ("srvacl", TEXT), ("srvoptions", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3118), schema: Schema::PgCatalog, oid: 3118, name: "pg_foreign_table",
        columns: &[
            ("ftrelid", OID), ("ftserver", OID), ("ftoptions", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2611), schema: Schema::PgCatalog, oid: 2611, name: "pg_inherits",
        columns: &[
            ("inhrelid", OID), ("inhparent", OID), ("inhseqno", INT), ("inhdetachpending", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3350), schema: Schema::PgCatalog, oid: 3350, name: "pg_partitioned_table",
        columns: &[
            ("partrelid", OID), ("partstrat", TEXT), ("partnatts", INT), ("partdefid", OID),
            ("partattrs", TEXT), ("partclass", TEXT), ("partcollation", TEXT), ("partexprs", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3256), schema: Schema::PgCatalog, oid: 3256, name: "pg_policy",
        columns: &[
            ("oid", OID), ("polname", TEXT), ("polrelid", OID), ("polcmd", TEXT), ("polpermissive", BOOL),
            ("polroles", TEXT), ("polqual", TEXT), ("polwithcheck", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(6104), schema: Schema::PgCatalog, oid: 6104, name: "pg_publication",
        columns: &[
            ("oid", OID), ("pubname", TEXT), ("pubowner", OID), ("puballtables", BOOL), ("pubinsert", BOOL),
            ("pubupdate", BOOL), ("pubdelete", BOOL), ("pubtruncate", BOOL), ("pubviaroot", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(6237), schema: Schema::PgCatalog, oid: 6237, name: "pg_publication_namespace",
        columns: &[
            ("oid", OID), ("pnpubid", OID), ("pnnspid", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(6106), schema: Schema::PgCatalog, oid: 6106, name: "pg_publication_rel",
        columns: &[
            ("oid", OID), ("prpubid", OID), ("prrelid", OID), ("prqual", TEXT), ("prattrs", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3541), schema: Schema::PgCatalog, oid: 3541, name: "pg_range",
        columns: &[
            ("rngtypid", OID), ("rngsubtype", OID), ("rngmultitypid", OID), ("rngcollation", OID),
            ("rngsubopc", OID), ("rngcanonical", TEXT), ("rngsubdiff", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2618), schema: Schema::PgCatalog, oid: 2618, name: "pg_rewrite",
        columns: &[
            ("oid", OID), ("rulename", TEXT), ("ev_class", OID), ("ev_type", TEXT), ("ev_enabled", TEXT),
            ("is_instead", BOOL), ("ev_qual", TEXT), ("ev_action", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2396), schema: Schema::PgCatalog, oid: 2396, name: "pg_shdescription",
        columns: &[
            ("objoid", OID), ("classoid", OID), ("description", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3381), schema: Schema::PgCatalog, oid: 3381, name: "pg_statistic_ext",
        columns: &[
            ("oid", OID), ("stxrelid", OID), ("stxname", TEXT), ("stxnamespace", OID), ("stxowner", OID),
            ("stxstattarget", INT), ("stxkeys", TEXT), ("stxkind", TEXT), ("stxexprs", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2620), schema: Schema::PgCatalog, oid: 2620, name: "pg_trigger",
        columns: &[
            ("oid", OID), ("tgrelid", OID), ("tgparentid", OID), ("tgname", TEXT), ("tgfoid", OID),
            ("tgtype", INT), ("tgenabled", TEXT), ("tgisinternal", BOOL), ("tgconstrrelid", OID),
            ("tgconstrindid", OID), ("tgconstraint", OID), ("tgdeferrable", BOOL), ("tginitdeferred", BOOL),
            ("tgnargs", INT), ("tgattr", TEXT), ("tgargs", TEXT), ("tgqual", TEXT), ("tgoldtable", TEXT),
            ("tgnewtable", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2600), schema: Schema::PgCatalog, oid: 2600, name: "pg_aggregate",
        columns: &[
            ("aggfnoid", OID), ("aggkind", TEXT), ("aggnumdirectargs", INT), ("aggtransfn", OID),
            ("aggfinalfn", OID), ("aggcombinefn", OID), ("aggserialfn", OID), ("aggdeserialfn", OID),
            ("aggmtransfn", OID), ("aggminvtransfn", OID), ("aggmfinalfn", OID), ("aggfinalextra", BOOL),
            ("aggmfinalextra", BOOL), ("aggfinalmodify", TEXT), ("aggmfinalmodify", TEXT),
            ("aggsortop", OID), ("aggtranstype", OID), ("aggtransspace", INT), ("aggmtranstype", OID),
            ("aggmtransspace", INT), ("agginitval", TEXT), ("aggminitval", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2602), schema: Schema::PgCatalog, oid: 2602, name: "pg_amop",
        columns: &[
            ("oid", OID), ("amopfamily", OID), ("amoplefttype", OID), ("amoprighttype", OID),
            ("amopstrategy", INT), ("amoppurpose", TEXT), ("amopopr", OID), ("amopmethod", OID),
            ("amopsortfamily", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2603), schema: Schema::PgCatalog, oid: 2603, name: "pg_amproc",
        columns: &[
            ("oid", OID), ("amprocfamily", OID), ("amproclefttype", OID), ("amprocrighttype", OID),
            ("amprocnum", INT), ("amproc", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2607), schema: Schema::PgCatalog, oid: 2607, name: "pg_conversion",
        columns: &[
            ("oid", OID), ("conname", TEXT), ("connamespace", OID), ("conowner", OID),
            ("conforencoding", INT), ("contoencoding", INT), ("conproc", OID), ("condefault", BOOL),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2964), schema: Schema::PgCatalog, oid: 2964, name: "pg_db_role_setting",
        columns: &[
            ("setdatabase", OID), ("setrole", OID), ("setconfig", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(826), schema: Schema::PgCatalog, oid: 826, name: "pg_default_acl",
        columns: &[
            ("oid", OID), ("defaclrole", OID), ("defaclnamespace", OID), ("defaclobjtype", TEXT),
            ("defaclacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2995), schema: Schema::PgCatalog, oid: 2995, name: "pg_largeobject_metadata",
        columns: &[
            ("oid", OID), ("lomowner", OID), ("lomacl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2616), schema: Schema::PgCatalog, oid: 2616, name: "pg_opclass",
        columns: &[
            ("oid", OID), ("opcmethod", OID), ("opcname", TEXT), ("opcnamespace", OID), ("opcowner", OID),
            ("opcfamily", OID), ("opcintype", OID), ("opcdefault", BOOL), ("opckeytype", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(2753), schema: Schema::PgCatalog, oid: 2753, name: "pg_opfamily",
        columns: &[
            ("oid", OID), ("opfmethod", OID), ("opfname", TEXT), ("opfnamespace", OID), ("opfowner", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(6243), schema: Schema::PgCatalog, oid: 6243, name: "pg_parameter_acl",
        columns: &[
            ("oid", OID), ("parname", TEXT), ("paracl", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(12023), schema: Schema::PgCatalog, oid: 12023, name: "pg_rules",
        columns: &[
            ("schemaname", TEXT), ("tablename", TEXT), ("rulename", TEXT), ("definition", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(6100), schema: Schema::PgCatalog, oid: 6100, name: "pg_subscription",
        columns: &[
            ("oid", OID), ("subdbid", OID), ("subskiplsn", TEXT), ("subname", TEXT), ("subowner", OID),
            ("subenabled", BOOL), ("subbinary", BOOL), ("substream", BOOL), ("subtwophasestate", TEXT),
            ("subdisableonerr", BOOL), ("subconninfo", TEXT), ("subslotname", TEXT),
            ("subsynccommit", TEXT), ("subpublications", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3602), schema: Schema::PgCatalog, oid: 3602, name: "pg_ts_config",
        columns: &[
            ("oid", OID), ("cfgname", TEXT), ("cfgnamespace", OID), ("cfgowner", OID), ("cfgparser", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3603), schema: Schema::PgCatalog, oid: 3603, name: "pg_ts_config_map",
        columns: &[
            ("mapcfg", OID), ("maptokentype", INT), ("mapseqno", INT), ("mapdict", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3600), schema: Schema::PgCatalog, oid: 3600, name: "pg_ts_dict",
        columns: &[
            ("oid", OID), ("dictname", TEXT), ("dictnamespace", OID), ("dictowner", OID),
            ("dicttemplate", OID), ("dictinitoption", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3601), schema: Schema::PgCatalog, oid: 3601, name: "pg_ts_parser",
        columns: &[
            ("oid", OID), ("prsname", TEXT), ("prsnamespace", OID), ("prsstart", OID), ("prstoken", OID),
            ("prsend", OID), ("prsheadline", OID), ("prslextype", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(3764), schema: Schema::PgCatalog, oid: 3764, name: "pg_ts_template",
        columns: &[
            ("oid", OID), ("tmplname", TEXT), ("tmplnamespace", OID), ("tmplinit", OID),
            ("tmpllexize", OID),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(1418), schema: Schema::PgCatalog, oid: 1418, name: "pg_user_mapping",
        columns: &[
            ("oid", OID), ("umuser", OID), ("umserver", OID), ("umoptions", TEXT),
        ],
    },
    Description {
        relation: SystemRelation::Vacant(12327), schema: Schema::PgCatalog, oid: 12327, name: "pg_user_mappings",
        columns: &[
            ("umid", OID), ("srvid", OID), ("srvname", TEXT), ("umuser", OID), ("usename", TEXT),
            ("umoptions", TEXT),
        ],
    },
];
